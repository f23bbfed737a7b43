//! Archives, indexes and connections that cannot be trusted.

use testkit::{Fault, PyPi, Response};

use super::assert_refused;
use crate::world::{World, archive, stdout, tool};

#[test]
fn an_archive_that_is_not_signed_by_a_known_key_is_not_trusted() {
    for (archive, hint) in [
        (archive().unsigned(), "it is not a signed text"),
        (archive().signed_by_another_key(), "hint: name the keys of an archive of your own with `--keyring FILE`"),
        (archive().tampered(), "none of its 1 signatures is by a key of the keyring over this text"),
    ] {
        let world = World::new(archive, PyPi::new().built(&tool()));
        assert_refused(&world, "tool", &["cannot trust the archive's", "trixie", hint]);
    }
}

#[test]
fn an_archive_that_has_expired_is_refused_with_the_date() {
    let world = World::new(archive().valid_until(1_000_000_000), PyPi::new().built(&tool()));
    assert_refused(&world, "tool", &["it was valid until 2001-09-09", "hint: the mirror is not kept up to date"]);
}

#[test]
fn an_index_or_a_package_with_other_bytes_than_promised_is_refused() {
    let world = World::new(archive().with_wrong_index_hash(), PyPi::new().built(&tool()));
    assert_refused(
        &world,
        "tool",
        &["Packages.xz", "its bytes are not those that the signed Release promises", "hint: "],
    );
    let world = World::new(archive().with_wrong_deb_hash("netbase"), PyPi::new().built(&tool()));
    assert_refused(&world, "tool", &["netbase", "its sha256 is", "was promised", "hint: "]);
    let world = World::new(archive(), PyPi::new().built(&tool()).with_wrong_sha256());
    assert_refused(&world, "tool", &["tool-1.0", "its sha256 is", "was promised"]);
}

#[test]
fn a_proxy_that_answers_with_a_page_is_found_out_and_what_is_kept_stays_good() {
    let world = World::usual();
    stdout(world.build("tool"));
    fs_err::remove_file(world.path("tool.tar")).unwrap();
    let path = world.debian.in_release_path();
    let honest = world.debian.server.get(&path).unwrap();
    world.debian.server.set(&path, Response::proxy_page());
    assert_refused(&world, "tool", &["a web page came instead, perhaps a proxy's", "hint: see that no proxy stands"]);
    stdout(world.build("tool --offline"));
    fs_err::remove_file(world.path("tool.tar")).unwrap();
    world.debian.server.set(&path, honest);
    stdout(world.build("tool"));
}

#[test]
fn a_page_in_place_of_a_package_or_of_the_index_is_refused_by_its_url() {
    let world = World::usual();
    let deb = world.debian.deb_path("netbase").unwrap();
    world.debian.server.set(&deb, Response::proxy_page());
    assert_refused(
        &world,
        "tool",
        &["cannot fetch", "netbase", "a page comes in its place (text/html)", "hint: `HTTPS_PROXY`"],
    );
    let world = World::usual();
    world.pypi.server.set("/simple/tool/", Response::proxy_page());
    assert_refused(&world, "tool", &["answers for `tool` with a page that lists no file"]);
    let world = World::usual();
    world.pypi.server.set(&format!("/files/{}", tool().file_name()), Response::proxy_page());
    assert_refused(&world, "tool", &["tool-1.0-py3-none-any.whl", "a page comes in its place (text/html)"]);
}

#[test]
fn a_download_that_is_cut_is_gone_on_with_and_one_that_is_always_cut_is_refused() {
    let world = World::usual();
    let deb = world.debian.deb_path("netbase").unwrap();
    world.debian.server.fault(&deb, Fault::Cut { times: 2, after_bytes: 100 });
    stdout(world.build("tool"));
    let ranges: Vec<String> = world
        .debian
        .server
        .requests_of(&deb)
        .iter()
        .filter_map(|request| request.headers.get("range").cloned())
        .collect();
    assert_eq!(ranges, ["bytes=100-", "bytes=200-"]);
    let world = World::usual();
    world.debian.server.fault(&deb, Fault::Cut { times: 99, after_bytes: 0 });
    assert_refused(&world, "tool", &["cannot fetch", "netbase", "hint: "]);
}

#[test]
fn a_suite_that_is_not_there_is_named_with_those_that_are() {
    let world = World::usual();
    let words = "tool --base debian:trixy --python 3.13";
    assert_refused(
        &world,
        words,
        &["cannot find the suite `trixy` in the archive", "hint: lath knows `debian:trixie`"],
    );
    world.debian.server.remove("/debian-security/dists/trixie-security/InRelease");
    assert_refused(
        &world,
        "tool",
        &["cannot find the suite `trixie-security`", "hint: name the mirror", "--security-mirror"],
    );
}

#[test]
fn a_file_that_is_not_modified_though_there_is_no_copy_is_requested_again() {
    let world = World::usual();
    let path = world.debian.in_release_path();
    world.debian.server.fault(&path, Fault::Fail { times: 1, status: 304 });
    stdout(world.build("tool"));
    fs_err::remove_file(world.path("tool.tar")).unwrap();
    world.debian.server.fault(&path, Fault::Fail { times: 99, status: 304 });
    assert_refused(
        &world,
        "tool --cache-dir new",
        &["cannot read the archive's", "the server answers 304 Not Modified"],
    );
    assert!(!world.refusal("tool --cache-dir new").contains("offline"));
}

#[test]
fn a_server_that_fails_is_asked_again_and_then_named() {
    let world = World::usual();
    let path = world.debian.in_release_path();
    world.debian.server.fault(&path, Fault::Fail { times: 2, status: 503 });
    stdout(world.build("tool"));
    fs_err::remove_file(world.path("tool.tar")).unwrap();
    world.debian.server.fault(&path, Fault::Fail { times: 99, status: 503 });
    assert_refused(&world, "tool", &["cannot read the archive's", "the server answers 503"]);
}
