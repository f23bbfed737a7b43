//! Locks that belong to other requests, and files that are not locks.

use testkit::DebBuilder;

use super::world;
use crate::world::stdout;

#[test]
fn a_lock_of_another_request_is_refused_with_all_differences() {
    let world = world();
    fs_err::write(world.path("wanted.txt"), "tool\n").unwrap();
    stdout(world.lock("-r wanted.txt --with extra"));
    stdout(world.build("-r wanted.txt --with extra --locked -o x.tar -t x"));
    // The lock still matches, because comments have no effect, and because a requirement may be in a file or on the
    // command line.
    fs_err::write(world.path("wanted.txt"), "# a comment\ntool\n").unwrap();
    stdout(world.build("-r wanted.txt --with extra --locked -o x.tar -t x"));
    stdout(world.build("tool --with extra --locked -o x.tar"));
    fs_err::write(world.path("wanted.txt"), "tool>=1\nlib\n").unwrap();
    insta::assert_snapshot!(world.errors(&[
        "-r wanted.txt --with extra --locked -t x",
        "tool --locked --shell",
        "tool --with extra --locked --trim none --prerelease allow --exclude-newer 2026-01-01",
        "--frozen --base debian:bookworm",
        "--locked --platform linux/arm64",
        "tool --lock nowhere.toml",
    ]), @"
    $ -r wanted.txt --with extra --locked -t x
    exit 1
    error: cannot build from the lock `pylock.toml`: it does not match the request
      cause: the request has `tool>=1`, and the lock does not
      cause: the request has `lib`, and the lock does not
      cause: the lock has `tool`, and the request does not

    hint: write it again with `lath lock` and the same inputs and options, or use it as it is with `--frozen`

    $ tool --locked --shell
    exit 1
    error: cannot build from the lock `pylock.toml`: it does not match the request
      cause: the lock has the Debian package `extra`, and the request does not
      cause: the lock was made without `--shell`, and the request is with it

    hint: write it again with `lath lock` and the same inputs and options, or use it as it is with `--frozen`

    $ tool --with extra --locked --trim none --prerelease allow --exclude-newer 2026-01-01
    exit 1
    error: cannot build from the lock `pylock.toml`: it does not match the request
      cause: `--trim` of the lock is `standard`, and that of the request is `none`
      cause: `--prerelease` of the lock is `if-necessary`, and that of the request is `allow`
      cause: `--exclude-newer` of the lock is `no date`, and that of the request is `2026-01-01`

    hint: write it again with `lath lock` and the same inputs and options, or use it as it is with `--frozen`

    $ --frozen --base debian:bookworm
    exit 1
    error: cannot build from the lock `pylock.toml`: it does not match the request
      cause: the release of the lock is `debian:trixie`, and that of the request is `debian:bookworm`

    hint: write it with `lath lock` and the same inputs and options

    $ --locked --platform linux/arm64
    exit 1
    error: cannot build for linux/arm64 from the lock `pylock.toml`: it is for linux/amd64

    hint: write it again with `lath lock --platform linux/amd64,linux/arm64`

    $ tool --lock nowhere.toml
    exit 1
    error: cannot find the lock `nowhere.toml`

    hint: write it with `lath lock` and the same inputs and options
    ");
}

#[test]
fn a_file_that_is_no_lock_is_refused() {
    let world = world();
    fs_err::write(world.path("text.toml"), "this is no TOML").unwrap();
    fs_err::write(world.path("other.toml"), "[project]\nname = 'x'\n").unwrap();
    fs_err::write(world.path("later.toml"), "lock-version = \"2.0\"\n").unwrap();
    fs_err::File::create(world.path("large.toml")).unwrap().set_len(50 << 20).unwrap();
    let locks = ["text", "other", "later", "large"].map(|name| format!("--lock {name}.toml"));
    insta::assert_snapshot!(world.errors(&locks.each_ref().map(String::as_str)), @"
    $ --lock text.toml
    exit 1
    error: cannot use the lock `text.toml`
      cause: it is not TOML
      cause: TOML parse error at line 1, column 6
               |
             1 | this is no TOML
               |      ^
             key with no value, expected `=`

    hint: restore the file, or remove it and write it again with `lath lock`

    $ --lock other.toml
    exit 1
    error: cannot use the lock `other.toml`
      cause: it has no `lock-version`, so it is not a lock as in PEP 751

    hint: restore the file, or remove it and write it again with `lath lock`

    $ --lock later.toml
    exit 1
    error: cannot use the lock `later.toml`
      cause: its `lock-version` is `2.0`, and this lath reads version 1

    hint: use a newer lath, or write the lock again with `lath lock`

    $ --lock large.toml
    exit 1
    error: cannot use the lock `large.toml`
      cause: it has more than 33554432 bytes

    hint: restore the file, or remove it and write it again with `lath lock`
    ");
}

#[test]
fn a_lock_with_other_contents_than_lath_writes_is_refused() {
    let world = world();
    stdout(world.lock("tool"));
    let text = fs_err::read_to_string(world.path("pylock.toml")).unwrap();
    let write = |name: &str, text: &str| fs_err::write(world.path(name), text).unwrap();
    write("table.toml", &text.replace("[tool.lath]\nversion = 1", "[tool.lath]\nversion = 2"));
    write("lost.toml", &text.replace("lib-1.5-py3-none-any.whl\", size", "lib-1.6-py3-none-any.whl\", size"));
    write("twice.toml", &text.replacen("    { name = \"libc6\"", "    { name = \"libc-bin\"", 1));
    write("wrong.toml", &text.replace("version = \"1.5\"", "version = 1.5"));
    write("foreign.toml", text.split("\n[tool.lath]").next().unwrap());
    let locks = ["table", "lost", "twice", "wrong", "foreign"].map(|name| format!("--lock {name}.toml"));
    let words: Vec<&str> = locks.iter().map(String::as_str).chain(["tool pylock.toml"]).collect();
    insta::assert_snapshot!(world.errors(&words), @"
    $ --lock table.toml
    exit 1
    error: cannot use the lock `table.toml`
      cause: its `[tool.lath]` table has version 2, and this lath reads version 1

    hint: use a newer lath, or write the lock again with `lath lock`

    $ --lock lost.toml
    exit 1
    error: cannot use the lock `lost.toml`: its `packages` do not contain `lib-1.5-py3-none-any.whl`, which its `[tool.lath]` table names

    hint: restore the file, or remove it and write it again with `lath lock`

    $ --lock twice.toml
    exit 1
    error: cannot use the lock `twice.toml`: it has the Debian package `libc-bin` twice for linux/amd64

    hint: restore the file, or remove it and write it again with `lath lock`

    $ --lock wrong.toml
    exit 1
    error: cannot use the lock `wrong.toml`
      cause: it does not have the form of a lock as in PEP 751
      cause: TOML parse error at line 10, column 11
                |
             10 | version = 1.5
                |           ^^^
             invalid type: floating point `1.5`, expected a string

    hint: restore the file, or remove it and write it again with `lath lock`

    $ --lock foreign.toml
    exit 1
    error: cannot use the lock `foreign.toml`: it has no `[tool.lath]` table, because lath did not write it

    hint: name it as the input, so that the packages of the release are chosen: `lath build foreign.toml`

    $ tool pylock.toml
    exit 2
    error: cannot add other inputs to the lock `pylock.toml`: it contains all packages of its request
    ");
    // A later minor version of the format only adds keys, so a lock with this version is accepted.
    write("minor.toml", &text.replace("lock-version = \"1.0\"", "lock-version = \"1.1\""));
    stdout(world.build("--lock minor.toml -o x.tar"));
}

#[test]
fn bytes_that_the_lock_does_not_have_are_refused() {
    let world = world();
    stdout(world.lock("tool"));
    let path = world.debian.deb_path("netbase").unwrap();
    let other = DebBuilder::new("netbase", "1", "all").file("usr/share/netbase/x", 0o644, "other").build();
    world.debian.server.set(&path, testkit::Response::ok(other));
    let said = world.error("--locked --cache-dir empty -o x.tar");
    assert!(said.contains("its sha256 is [SHA256], not [SHA256]"), "{said}");
    assert!(!world.path("x.tar").exists());
}
