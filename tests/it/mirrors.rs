//! Archives and mirrors that are valid in different ways: for example, without xz, or with all pockets on one mirror.

use testkit::debian_archive::Pocket;
use testkit::{DebBuilder, PyPi, Response, oci};

use crate::world::{World, archive, archive_of, stdout, tool};

fn served(archive: testkit::DebianArchive) -> World {
    World::new(archive, PyPi::new().built(&tool()))
}

#[test]
fn indexes_of_gzip_and_mirrors_without_names_by_digest_serve_as_well() {
    let archives = [
        archive().without_xz(),
        archive().without_by_hash(),
        archive().without_xz().without_by_hash().without_valid_until(),
    ];
    for archive in archives {
        stdout(served(archive).build("tool"));
    }
    // The Release file says that indexes can be fetched by digest (`by-hash`), but the mirror does not have these
    // files.
    let world = served(archive());
    for path in world.debian.server.paths().iter().filter(|path| path.contains("/by-hash/")) {
        world.debian.server.remove(path);
    }
    stdout(world.build("tool"));
}

#[test]
fn a_security_fix_is_taken_from_its_own_mirror_or_from_the_only_one() {
    let fixed = DebBuilder::new("netbase", "1+deb13u1", "all").file("usr/share/netbase/x", 0o644, "fixed").build();
    for (archive, words) in [
        (archive().deb_in(Pocket::Security, &fixed), String::new()),
        (archive().deb_in(Pocket::Security, &fixed).on_one_mirror(), "one".to_owned()),
    ] {
        let world = served(archive);
        let output = if words.is_empty() {
            world.build("tool")
        } else {
            let mut command = world.command("tool");
            let arguments: Vec<_> = command
                .get_args()
                .map(|argument| {
                    let text = argument.to_str().unwrap();
                    if text == world.debian.security_url() { world.debian.url() } else { text.to_owned() }
                })
                .collect();
            let program = command.get_program().to_owned();
            let folder = command.get_current_dir().unwrap().to_owned();
            command = std::process::Command::new(program);
            command.args(arguments).current_dir(folder).env_clear().env("LATH_CACHE_DIR", "cache").output().unwrap()
        };
        stdout(output);
        let image = oci::check(&world.path("tool.tar")).unwrap();
        assert_eq!(image.platforms[0].text("usr/share/netbase/x"), Some("fixed"));
    }
}

#[test]
fn a_mirror_that_falls_behind_does_not_take_back_what_it_said() {
    let fixed = DebBuilder::new("netbase", "2", "all").file("usr/share/netbase/x", 0o644, "fixed").build();
    let world = served(archive().deb(&fixed));
    let stale = archive().dated(1_700_100_000).serve();
    let path = world.debian.in_release_path();
    stdout(world.build("tool"));
    world.debian.server.set(&path, stale.server.get(&path).unwrap());
    stdout(world.build("tool -o again.tar"));
    let image = oci::check(&world.path("again.tar")).unwrap();
    assert_eq!(image.platforms[0].text("usr/share/netbase/x"), Some("fixed"));
    // With an empty cache, lath knows no newer Release file, so it cannot detect that the mirror is outdated.
    for path in stale.server.paths() {
        world.debian.server.set(&path, stale.server.get(&path).unwrap());
    }
    stdout(world.build("tool -o other.tar --cache-dir other"));
    let image = oci::check(&world.path("other.tar")).unwrap();
    assert_eq!(image.platforms[0].text("usr/share/netbase/x"), Some("netbase"));
}

#[test]
fn each_platform_gets_the_packages_of_its_own() {
    let world = served(archive());
    stdout(world.build("tool --platform linux/arm64"));
    let image = oci::check(&world.path("tool.tar")).unwrap();
    let names: Vec<&str> = image.platforms.iter().map(|platform| platform.platform.as_str()).collect();
    assert_eq!(names, ["linux/amd64", "linux/arm64"]);
    let [amd64, arm64] = image.platforms.as_slice() else { panic!("there are two platforms") };
    assert!(amd64.files.contains_key("usr/lib/x86_64-linux-gnu/libc.so.6"));
    assert!(arm64.files.contains_key("usr/lib/aarch64-linux-gnu/libc.so.6"));
    assert!(!arm64.files.contains_key("usr/lib/x86_64-linux-gnu/libc.so.6"));
}

#[test]
fn a_redirect_to_another_mirror_is_followed() {
    let world = served(archive());
    let deb = world.debian.deb_path("netbase").unwrap();
    let elsewhere = testkit::Server::empty();
    elsewhere.set("/netbase.deb", world.debian.server.get(&deb).unwrap());
    world.debian.server.set(&deb, Response::redirect(&elsewhere.url("/netbase.deb")));
    stdout(world.build("tool"));
    assert_eq!(elsewhere.requests().len(), 1);
}

#[test]
fn the_python_of_a_release_that_may_change_it_is_read_from_its_archive() {
    // lath's catalog expects Python 3.14 in this release, but the archive has 3.15.
    let own = DebBuilder::new("python3", "3.15.2-1", "amd64").build();
    let world = served(archive_of("forky", "3.15").deb(&own));
    for words in ["tool --base debian:forky", "tool --base debian:testing -o again.tar"] {
        stdout(world.build(words));
    }
    let image = oci::check(&world.path("again.tar")).unwrap();
    assert!(image.platforms[0].files.contains_key("usr/bin/python3.15"));
    assert!(image.platforms[0].files.contains_key("opt/app/lib/python3.15/site-packages/tool/__init__.py"));
    let refusal = world.refusal("tool --base debian:forky --python 3.12");
    assert!(refusal.contains("cannot find python 3.12 in debian's `forky`"), "{refusal}");
    assert!(refusal.contains("hint: `debian:forky` has python 3.15: leave out `--python`"), "{refusal}");
    assert!(refusal.contains("hint: use `--release ubuntu:noble`, which has python 3.12"), "{refusal}");
}

#[test]
fn a_release_that_lath_does_not_list_has_the_python_of_its_archive() {
    let own = DebBuilder::new("python3", "3.16.0-1", "amd64").build();
    let world = served(archive_of("duke", "3.16").deb(&own));
    stdout(world.build("tool --base debian:duke"));
    let image = oci::check(&world.path("tool.tar")).unwrap();
    assert!(image.platforms[0].files.contains_key("usr/bin/python3.16"));
    let world = served(archive_of("duke", "3.16"));
    let refusal = world.refusal("tool --base debian:duke");
    assert!(refusal.contains("cannot find the Python of debian's `duke`: it has no package `python3`"), "{refusal}");
}
