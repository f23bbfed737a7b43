//! Wrong arguments and objects that do not exist.

use testkit::oci;

use super::assert_refused;
use crate::world::{World, lath, stdout};

#[test]
fn what_is_not_there_is_named() {
    let world = World::usual();
    stdout(world.build("tool"));
    fs_err::remove_file(world.path("tool.tar")).unwrap();
    let table = [
        ("nothing-like-it", "`nothing-like-it`"),
        ("tool==9", "tool==9"),
        ("tool --with no-such-package", "cannot find the Debian package `no-such-package` (`--with no-such-package`)"),
        ("tool --with netbas", "netbase"),
        // From the catalogue, and from the pages in the cache.
        ("pre-comit", "hint: did you mean `pre-commit`?"),
        ("tol", "hint: did you mean `tool`?"),
        ("tool --with netbsae", "near to it are `netbase`"),
        ("tool -c other", "cannot run `other`"),
        ("tool -o nowhere/x.tar", "cannot write `nowhere/x.tar`"),
        ("tool --python 3.12 --base debian:trixie", "cannot find python 3.12 in debian's `trixie`"),
        ("tool --offline --cache-dir empty", "hint: leave out `--offline` once"),
    ];
    for (words, message) in table {
        assert_refused(&world, words, &[message]);
    }
}

#[test]
fn a_script_that_is_not_there_is_refused_before_anything_is_packed() {
    let world = World::usual();
    assert_refused(&world, "tool -c typo", &["cannot run `typo`", "`tool`", "hint: name one of them with `-c NAME`"]);
    let packed = || fs_err::read_dir(world.path("cache/store/segments")).unwrap().count();
    let before = packed();
    stdout(world.build("tool"));
    assert!(packed() > before, "the refused build has packed the {before} segments of the image");
}

#[test]
fn a_time_that_an_image_cannot_hold_is_wrong_usage() {
    let world = World::usual();
    let said = |epoch: &str| {
        let output = world.build_with("tool", &[("SOURCE_DATE_EPOCH", epoch)]);
        format!("{:?} {}", output.status.code(), String::from_utf8_lossy(&output.stderr))
    };
    for (epoch, words) in [
        ("8589934592", "an image can hold times up to 8589934591"),
        ("99999999999999999999999", "an image can hold times up to 8589934591"),
        ("soon", "it is a number of seconds since 1970"),
        ("-1", "it is a number of seconds since 1970"),
    ] {
        let said = said(epoch);
        assert!(said.starts_with("Some(2)") && said.contains(words), "{said}");
    }
    assert!(world.debian.server.requests().is_empty());
    assert!(said("8589934591").starts_with("Some(0)"));
    let image = oci::check(&world.path("tool.tar")).unwrap();
    assert_eq!(image.platforms[0].config["created"], "2242-03-16T12:56:31Z");
}

#[test]
fn a_keyring_that_is_none_is_explained_by_every_command() {
    let world = World::usual();
    std::fs::write(world.path("keys"), "no keys").unwrap();
    for command in ["build", "run", "dockerfile", "compare"] {
        let output = std::process::Command::new(lath())
            .args([command, "tool", "--keyring", "keys"])
            .current_dir(world.path(""))
            .env_clear()
            .env("LATH_CACHE_DIR", "cache")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("cannot use the keyring `keys`"), "{command}: {said}");
        assert!(said.contains("hint: a keyring is a file of public keys"), "{command}: {said}");
    }
}

#[test]
fn wrong_usage_has_exit_code_2() {
    let world = World::usual();
    for words in [
        "",
        "tool --trim everything",
        "tool --platform linux/vax",
        "tool --env X",
        "tool --no-such-flag",
        "tool -t a:b:c",
        "tool --user 4294967296",
        "tool --keep [",
        "tool --workdir data",
    ] {
        let said = world.refusal(words);
        assert!(said.starts_with("exit 2\n"), "{words}: {said}");
    }
}
