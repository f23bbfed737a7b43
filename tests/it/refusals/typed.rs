//! Wrong arguments, and objects that do not exist.

use testkit::oci;

use super::{refused, unwrapped};
use crate::world::{World, archive, lath, stdout};

#[test]
fn what_is_not_there_is_named() {
    let world = World::usual();
    stdout(world.build("tool"));
    fs_err::remove_file(world.path("tool.tar")).unwrap();
    let table = [
        "nothing-like-it",
        "tool==9",
        "tool --with no-such-package",
        "tool --with netbas",
        // The names that lath suggests for the next inputs come from its catalog, from cached pages of the index, and
        // from the archive.
        "pre-comit",
        "tol",
        "tool --with netbsae",
        "tool -c other",
        "tool -o nowhere/x.tar",
        "tool --python 3.12 --base debian:trixie",
    ];
    let errors = table.map(|words| format!("$ {words}\n{}\n", unwrapped(&refused(&world, words))));
    insta::assert_snapshot!(errors.join("\n"), @"
    $ nothing-like-it
    error: cannot resolve `nothing-like-it` for python 3.13 on linux/amd64
      cause: Because nothing-like-it is not on `[INDEX]/simple/` and the request requires nothing-like-it, the request cannot be met.

    $ tool==9
    error: cannot resolve `tool==9` for python 3.13 on linux/amd64
      cause: Because there is no version of tool==9 and the request requires tool==9, the request cannot be met.
      cause: the index has only 1.0 of `tool`

    $ tool --with no-such-package
    error: cannot find the Debian package `no-such-package` (`--with no-such-package`): lath searches only the component `main`

    $ tool --with netbas
    error: cannot find the Debian package `netbas` (`--with netbas`): lath searches only the component `main`; similar names are `netbase`

    $ pre-comit
    error: cannot resolve `pre-comit` for python 3.13 on linux/amd64
      cause: Because pre-comit is not on `[INDEX]/simple/` and the request requires pre-comit, the request cannot be met.

    hint: did you mean `pre-commit`?

    $ tol
    error: cannot resolve `tol` for python 3.13 on linux/amd64
      cause: Because tol is not on `[INDEX]/simple/` and the request requires tol, the request cannot be met.

    hint: did you mean `tool`?

    $ tool --with netbsae
    error: cannot find the Debian package `netbsae` (`--with netbsae`): lath searches only the component `main`; similar names are `netbase`

    $ tool -c other
    error: cannot run `other`: no distribution of the image installs it; it has `tool`

    hint: choose one of them with `-c NAME`

    $ tool -o nowhere/x.tar
    error: cannot write `nowhere/x.tar`: its folder does not exist

    hint: use another destination with `-o DEST`, or another file

    $ tool --python 3.12 --base debian:trixie
    error: cannot find python 3.12 in debian's `trixie`: it has no package `python3.12-minimal`

    hint: use `--release ubuntu:noble`, which has python 3.12
    ");
    // In each run, lath may report another missing file. So only the hint is compared.
    let said = refused(&world, "tool --offline --cache-dir empty");
    insta::assert_snapshot!(said.split_once("\n\n").unwrap().1, @"hint: run once without `--offline` to fill the cache");
}

#[test]
fn a_script_that_is_not_there_is_refused_before_anything_is_packed() {
    let world = World::usual();
    insta::assert_snapshot!(refused(&world, "tool -c typo"), @"
    error: cannot run `typo`: no distribution of the image installs it; it has `tool`

    hint: choose one of them with `-c NAME`
    ");
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
    let errors = ["8589934592", "99999999999999999999999", "soon", "-1"].map(|epoch| said(epoch).trim_end().to_owned());
    insta::assert_snapshot!(errors.join("\n"), @"
    Some(2) error: cannot use SOURCE_DATE_EPOCH `8589934592`: an image can hold times up to 8589934591 (2242-03-16)
    Some(2) error: cannot use SOURCE_DATE_EPOCH `99999999999999999999999`: an image can hold times up to 8589934591 (2242-03-16)
    Some(2) error: cannot read SOURCE_DATE_EPOCH `soon`: it must be a number of seconds since 1970
    Some(2) error: cannot read SOURCE_DATE_EPOCH `-1`: it must be a number of seconds since 1970
    ");
    assert!(world.debian.server.requests().is_empty());
    assert!(said("8589934591").starts_with("Some(0)"));
    let image = oci::check(&world.path("tool.tar")).unwrap();
    assert_eq!(image.platforms[0].config["created"], "2242-03-16T12:56:31Z");
}

#[test]
fn a_keyring_that_is_none_is_explained_by_every_command() {
    let world = World::usual();
    std::fs::write(world.path("keys"), "no keys").unwrap();
    let mut errors = std::collections::BTreeSet::new();
    for command in ["build", "run", "dockerfile", "compare"] {
        let output = std::process::Command::new(lath())
            .args([command, "tool", "--keyring", "keys"])
            .current_dir(world.path(""))
            .env_clear()
            .env("LATH_CACHE_DIR", "cache")
            .output()
            .unwrap();
        errors.insert(world.error_in(&String::from_utf8_lossy(&output.stderr)));
    }
    assert_eq!(errors.len(), 1, "{errors:?}");
    insta::assert_snapshot!(errors.first().unwrap(), @"
    error: cannot use the keyring `keys`
      cause: cannot read the keyring
      cause: IO error: unknown packet header version 1101110
      cause: unknown packet header version 1101110

    hint: a keyring is a file of public keys in binary form, like those in `/usr/share/keyrings`; `gpg --dearmor` converts an armored file
    ");
}

#[test]
fn a_script_that_no_wheel_has_is_refused_before_anything_is_compressed() {
    let world = World::usual();
    insta::assert_snapshot!(world.error("tool -c typo"), @"
    exit 1
    error: cannot run `typo`: no distribution of the image installs it; it has `tool`

    hint: choose one of them with `-c NAME`
    ");
    let layers = world.path("cache/store/notes/layers-2");
    assert!(!layers.exists());
    assert!(world.build("tool -c tool").status.success());
    assert!(layers.exists());
}

#[test]
fn wrong_usage_has_exit_code_2() {
    let world = World::usual();
    let words = [
        "",
        "tool --trim everything",
        "tool --platform linux/vax",
        "tool --env X",
        "tool --no-such-flag",
        "tool -t a:b:c",
        "tool --user 4294967296",
        "tool --keep [",
        "tool --workdir data",
    ];
    let errors = words.map(|words| {
        let error = world.error(words);
        assert!(error.starts_with("exit 2\n"), "{words}: {error}");
        // clap adds the lines after this one, such as the usage.
        error.lines().nth(1).unwrap_or_default().to_owned()
    });
    insta::assert_snapshot!(errors.join("\n"), @"
    error: cannot install nothing: name a requirement, such as `pre-commit`, a project, such as `.`, or a file of requirements with `-r`
    error: invalid value 'everything' for '--trim <LEVEL>'
    error: cannot build for the platform `linux/vax`: lath supports `linux/amd64` and `linux/arm64`
    error: cannot read the value of `--env`: write it as `NAME=VALUE`
    error: unexpected argument '--no-such-flag' found
    error: cannot name an image `a:b:c`: write `name`, `name:tag` or `host/name:tag`, in lower case, with at most 255 characters
    error: cannot run as `4294967296`: write `UID` or `UID:GID`, in digits, each at most 2147483647
    error: cannot read the pattern `[` of `--keep`: write a path of the image with `*`, `**` and `?`, beginning with `/` or `*`
    error: cannot start in `data`: write a path of the image that begins with `/`
    ");
}

#[test]
fn a_python_that_the_newest_version_accepts_is_named() {
    let old = testkit::WheelBuilder::new("picky", "1.0").requires("gone==1");
    let new = testkit::WheelBuilder::new("picky", "2.0").requires_python("<3.13,>=3.10").requires("gone==1");
    let world = World::new(archive(), testkit::PyPi::new().built(&old).built(&new));
    let error = world.error("picky");
    assert!(error.contains("hint: use `--python 3.12`, for which `picky` has wheels"), "{error}");
}
