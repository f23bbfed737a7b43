//! Wrong arguments and objects that do not exist.

use super::assert_refused;
use crate::world::World;

#[test]
fn what_is_not_there_is_named() {
    let world = World::usual();
    let table = [
        ("nothing-like-it", "`nothing-like-it`"),
        ("tool==9", "tool==9"),
        ("tool --with no-such-package", "cannot find the Debian package `no-such-package` (`--with no-such-package`)"),
        ("tool --with netbas", "netbase"),
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
