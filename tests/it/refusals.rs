//! Bad input and a bad outside: each refused by name, and nothing written.

use testkit::PyPi;

use crate::world::{World, archive, tool};

/// Each world refuses `tool` in these words, with exit code 1, and leaves no archive.
fn assert_refused(world: &World, words: &[&str]) {
    let said = world.refusal("tool");
    for word in ["exit 1\n", "error: cannot "].iter().chain(words) {
        assert!(said.contains(word), "{word:?} is missing in:\n{said}");
    }
    assert!(!world.path("tool.tar").exists());
}

#[test]
fn an_archive_that_is_not_signed_by_a_known_key_is_not_trusted() {
    for archive in [archive().unsigned(), archive().signed_by_another_key(), archive().tampered()] {
        assert_refused(&World::new(archive, PyPi::new().built(&tool())), &["cannot trust the archive's", "trixie"]);
    }
}

#[test]
fn an_archive_that_has_expired_is_refused_with_the_date() {
    let world = World::new(archive().valid_until(1_000_000_000), PyPi::new().built(&tool()));
    assert_refused(&world, &["it was valid until 2001-09-09"]);
}

#[test]
fn an_index_or_a_package_with_other_bytes_than_promised_is_refused() {
    let world = World::new(archive().with_wrong_index_hash(), PyPi::new().built(&tool()));
    assert_refused(&world, &["Packages.xz"]);
    let world = World::new(archive().with_wrong_deb_hash("netbase"), PyPi::new().built(&tool()));
    assert_refused(&world, &["netbase", "sha256"]);
    let world = World::new(archive(), PyPi::new().built(&tool()).with_wrong_sha256());
    assert_refused(&world, &["tool-1.0", "sha256"]);
}

#[test]
fn a_hostile_wheel_is_refused_by_its_file() {
    let hostile = [
        (tool().raw_entry("../../etc/passwd", "x"), "leads outside the wheel"),
        (tool().link("tool/link", "/etc"), "is a symbolic link"),
        (tool().recorded_as("tool/__init__.py", "other"), "the sha256 of `tool/__init__.py`"),
        (tool().without_record(), "RECORD"),
    ];
    for (wheel, word) in hostile {
        assert_refused(&World::new(archive(), PyPi::new().built(&wheel)), &["tool-1.0-py3-none-any.whl", word]);
    }
}

#[test]
fn what_is_not_there_is_named() {
    let world = World::usual();
    let table = [
        ("nothing-like-it", "`nothing-like-it`"),
        ("tool==9", "tool==9"),
        ("tool --with no-such-package", "cannot find the Debian package `no-such-package` (`--with no-such-package`)"),
        ("tool -c other", "cannot run `other`"),
        ("tool -o nowhere/x.tar", "cannot write `nowhere/x.tar`"),
        ("tool --python 3.12 --base debian:trixie", "cannot find python 3.12 in debian's `trixie`"),
        ("tool --offline --cache-dir empty", "--offline"),
    ];
    for (words, message) in table {
        let said = world.refusal(words);
        assert!(said.starts_with("exit 1\n") && said.contains(message), "{words}:\n{said}");
    }
    assert!(!world.path("tool.tar").exists());
}

#[test]
fn wrong_usage_has_exit_code_2() {
    let world = World::usual();
    for words in ["", "tool --trim everything", "tool --platform linux/vax", "tool --env X", "tool --no-such-flag"] {
        let said = world.refusal(words);
        assert!(said.starts_with("exit 2\n"), "{words}: {said}");
    }
}
