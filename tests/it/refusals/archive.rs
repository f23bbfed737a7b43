//! Archives, indexes and connections that cannot be trusted.

use testkit::{Fault, PyPi, Response};

use super::{refused, unwrapped};
use crate::world::{World, archive, stdout, tool};

#[test]
fn an_archive_that_is_not_signed_by_a_known_key_is_not_trusted() {
    let errors = [archive().unsigned(), archive().signed_by_another_key(), archive().tampered()]
        .map(|archive| refused(&World::new(archive, PyPi::new().built(&tool())), "tool"));
    insta::assert_snapshot!(errors.join("\n\n"), @"
    error: cannot trust the archive's `[MIRROR]/debian/dists/trixie`
      cause: cannot trust the file: it is not a signed text

    error: cannot trust the archive's `[MIRROR]/debian/dists/trixie`
      cause: cannot trust the file: none of its 1 signatures of this text is by a key of the keyring

    hint: if the archive is your own, name its keys with `--keyring FILE`; otherwise use another mirror with `--mirror URL`

    error: cannot trust the archive's `[MIRROR]/debian/dists/trixie`
      cause: cannot trust the file: none of its 1 signatures of this text is by a key of the keyring

    hint: if the archive is your own, name its keys with `--keyring FILE`; otherwise use another mirror with `--mirror URL`
    ");
}

#[test]
fn an_archive_that_has_expired_is_refused_with_the_date() {
    let world = World::new(archive().valid_until(1_000_000_000), PyPi::new().built(&tool()));
    insta::assert_snapshot!(refused(&world, "tool"), @"
    error: cannot use the archive's `[MIRROR]/debian/dists/trixie`: it expired on 2001-09-09T01:46:40Z

    hint: the mirror is out of date, or the clock of this machine is wrong; use another mirror with `--mirror URL`
    ");
}

#[test]
fn an_index_or_a_package_with_other_bytes_than_promised_is_refused() {
    let world = World::new(archive().with_wrong_index_hash(), PyPi::new().built(&tool()));
    insta::assert_snapshot!(refused(&world, "tool"), @"
    error: cannot use the archive's `trixie/main/binary-amd64/Packages.xz` from `[MIRROR]/debian/dists/trixie/main/binary-amd64/by-hash/SHA256/[SHA256]`: its sha256 is not the one in the signed Release file

    hint: if the mirror is being updated, try again in some minutes; or use another mirror with `--mirror URL`
    ");
    let world = World::new(archive().with_wrong_deb_hash("netbase"), PyPi::new().built(&tool()));
    insta::assert_snapshot!(refused(&world, "tool"), @"
    error: cannot fetch all wheels and packages
      cause: cannot use `[MIRROR]/debian/pool/main/n/netbase/netbase_1_all.deb`: its sha256 is [SHA256], not [SHA256]

    hint: a proxy or a mirror does not send the bytes that were published: use another, or try again later
    ");
    let world = World::new(archive(), PyPi::new().built(&tool()).with_wrong_sha256());
    insta::assert_snapshot!(refused(&world, "tool"), @"
    error: cannot fetch the wheels
      cause: cannot use `[INDEX]/files/tool-1.0-py3-none-any.whl`: its sha256 is [SHA256], not [SHA256]

    hint: a proxy or a mirror does not send the bytes that were published: use another, or try again later
    ");
}

#[test]
fn a_proxy_that_answers_with_a_page_is_found_out_and_what_is_kept_stays_good() {
    let world = World::usual();
    stdout(world.build("tool"));
    fs_err::remove_file(world.path("tool.tar")).unwrap();
    let path = world.debian.in_release_path();
    let honest = world.debian.server.get(&path).unwrap();
    world.debian.server.set(&path, Response::proxy_page());
    insta::assert_snapshot!(refused(&world, "tool"), @"
    error: cannot trust the archive's `[MIRROR]/debian/dists/trixie`
      cause: cannot trust the file: it is not a signed text; it is a web page, perhaps of a proxy

    hint: check whether a proxy intercepts requests to the mirror, or use another mirror with `--mirror URL`
    ");
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
    insta::assert_snapshot!(refused(&world, "tool"), @"
    error: cannot fetch all wheels and packages
      cause: cannot fetch `[MIRROR]/debian/pool/main/n/netbase/netbase_1_all.deb`: the response is a web page (text/html), perhaps the login page of a proxy

    hint: check the proxy settings: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`
    ");
    let world = World::usual();
    world.pypi.server.set("/simple/tool/", Response::proxy_page());
    let error = refused(&world, "tool");
    insta::assert_snapshot!(unwrapped(&error), @"
    error: cannot resolve `tool` for python 3.13 on linux/amd64
      cause: Because there are no versions of tool and the request requires tool, the request cannot be met.
      cause: the page of `tool` on `[INDEX]/simple/` lists no file: check whether it is an index, and not a page of a proxy
    ");
    let world = World::usual();
    world.pypi.server.set(&format!("/files/{}", tool().file_name()), Response::proxy_page());
    insta::assert_snapshot!(refused(&world, "tool"), @"
    error: cannot fetch the wheels
      cause: cannot fetch `[INDEX]/files/tool-1.0-py3-none-any.whl`: the response is a web page (text/html), perhaps the login page of a proxy

    hint: check the proxy settings: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`
    ");
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
    insta::assert_snapshot!(refused(&world, "tool"), @"
    error: cannot fetch all wheels and packages
      cause: cannot fetch `[MIRROR]/debian/pool/main/n/netbase/netbase_1_all.deb`
      cause: error decoding response body
      cause: request or response body error
      cause: error reading a body from connection
      cause: end of file before message length reached

    hint: check whether this machine can reach the host; `HTTPS_PROXY` sets a proxy, `NO_PROXY` sets exceptions
    ");
}

#[test]
fn a_suite_that_is_not_there_is_named_with_those_that_are() {
    let world = World::usual();
    let words = "tool --base debian:trixy --python 3.13";
    insta::assert_snapshot!(refused(&world, words), @"
    error: cannot find the suite `trixy` in the archive `[MIRROR]/debian`

    hint: lath knows `debian:trixie`, `debian:bookworm`, `debian:sid`; older releases are on other mirrors: `--mirror URL`
    ");
    world.debian.server.remove("/debian-security/dists/trixie-security/InRelease");
    insta::assert_snapshot!(refused(&world, "tool"), @"
    error: cannot find the suite `trixie-security` in the archive `[MIRROR]/debian-security`

    hint: use a mirror that has the security updates with `--security-mirror URL`
    ");
}

#[test]
fn a_file_that_is_not_modified_though_there_is_no_copy_is_requested_again() {
    let world = World::usual();
    let path = world.debian.in_release_path();
    world.debian.server.fault(&path, Fault::Fail { times: 1, status: 304 });
    stdout(world.build("tool"));
    fs_err::remove_file(world.path("tool.tar")).unwrap();
    world.debian.server.fault(&path, Fault::Fail { times: 99, status: 304 });
    insta::assert_snapshot!(refused(&world, "tool --cache-dir new"), @"
    error: cannot read the archive's `[MIRROR]/debian/dists/trixie/InRelease`
      cause: cannot fetch `[MIRROR]/debian/dists/trixie/InRelease`: the server answers 304 Not Modified
    ");
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
    insta::assert_snapshot!(refused(&world, "tool"), @"
    error: cannot read the archive's `[MIRROR]/debian/dists/trixie/InRelease`
      cause: cannot fetch `[MIRROR]/debian/dists/trixie/InRelease`: the server answers 503 Service Unavailable
    ");
}
