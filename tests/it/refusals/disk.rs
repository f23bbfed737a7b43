//! A disk that is full or cannot be written to.

use std::path::Path;
use std::process::{Command, Output};

use testkit::{PyPi, oci};

use crate::world::{World, archive, skip, stdout, tool};

/// Returns bytes that cannot be compressed.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Mounts a disk of two megabytes at the directory `small`, and runs `command`. Returns `None` if that is not possible
/// on this machine.
fn on_a_small_disk(command: &Command, small: &Path) -> Option<Output> {
    let unshare = |script: &str| {
        let mut outer = Command::new("unshare");
        outer.args(["-Urm", "sh", "-c", script, "sh"]).arg(small);
        outer.current_dir(command.get_current_dir().unwrap());
        outer
    };
    let is_possible =
        unshare("mount -t tmpfs -o size=2m none \"$1\"").output().is_ok_and(|output| output.status.success());
    if !is_possible {
        skip("a full disk: this machine has no user namespaces, or no `unshare`");
        return None;
    }
    let mut outer =
        unshare("mount -t tmpfs -o size=2m none \"$1\" && d=$1 && shift && \"$@\"; code=$?; ls -A \"$d\"; exit $code");
    outer.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        outer.env(name, value.unwrap_or_default());
    }
    Some(outer.output().unwrap())
}

fn assert_full(output: &Output, hint: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for text in ["error: cannot ", "No space left on device", &format!("\n\nhint: {hint}")] {
        assert!(said.contains(text), "{text:?} is missing in:\n{said}");
    }
}

#[test]
fn a_full_disk_is_told_with_a_way_out_and_nothing_is_left_at_the_destination() {
    let large = tool().file("tool/noise", noise(3 << 20));
    let roomy = tool().file("tool/text", vec![b'x'; 3 << 20]);
    // The disk becomes full during the download, during unpacking, or while the image is written.
    let cache = "the disk is full: remove unused cache entries with `lath cache prune`";
    let table = [
        (&large, "--cache-dir small", cache),
        (&roomy, "--cache-dir small", cache),
        (&large, "-o small/tool.tar", "the disk of `small/tool.tar` is full: free some space there"),
        (&large, "-o oci:small/layout", "the disk of `small/layout` is full"),
        (&large, "-o dir:small/root", "the disk of `small/root` is full"),
    ];
    for (wheel, words, hint) in table {
        let world = World::new(archive(), PyPi::new().built(wheel));
        fs_err::create_dir(world.path("small")).unwrap();
        let command = world.command(&format!("tool {words}"));
        let Some(output) = on_a_small_disk(&command, &world.path("small")) else { return };
        assert_full(&output, hint);
        assert!(hint == cache || output.stdout.is_empty(), "nothing is left on the small disk: {output:?}");
        assert_eq!(world.leftovers(), Vec::<std::path::PathBuf>::new());
        assert!(!world.path("tool.tar").exists());
        // With enough space, the same build succeeds.
        let digest = stdout(world.build("tool")).trim().rsplit_once('@').unwrap().1.to_owned();
        assert_eq!(oci::check(&world.path("tool.tar")).unwrap().digest, digest);
    }
}

#[test]
fn an_older_image_stays_where_the_new_one_cannot_be_written() {
    let world = World::new(archive(), PyPi::new().built(&tool().file("tool/noise", noise(3 << 20))));
    fs_err::create_dir(world.path("small")).unwrap();
    let inner = world.command("tool -o small/tool.tar");
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "echo old > small/tool.tar && \"$@\"; code=$?; cat small/tool.tar; ls -A small; exit $code",
        "sh",
    ]);
    command.current_dir(inner.get_current_dir().unwrap()).arg(inner.get_program()).args(inner.get_args());
    command.env("LATH_CACHE_DIR", "cache");
    let Some(output) = on_a_small_disk(&command, &world.path("small")) else { return };
    assert_full(&output, "the disk of `small/tool.tar` is full");
    let after = String::from_utf8_lossy(&output.stdout);
    assert!(after.starts_with("old\ntool.tar\n"), "{after}");
}

#[test]
fn a_destination_that_is_there_or_cannot_be_written_is_refused_before_anything_is_fetched() {
    let world = World::usual();
    fs_err::create_dir(world.path("tool.tar")).unwrap();
    fs_err::create_dir_all(world.path("full/inside")).unwrap();
    fs_err::write(world.path("file"), "mine").unwrap();
    let table = ["tool", "tool -o dir:full", "tool -o dir:file", "tool -o oci:file", "tool -o oci-archive:file/x.tar"];
    insta::assert_snapshot!(world.errors(&table), @"
    $ tool
    exit 1
    error: cannot write `tool.tar`: there is a folder of that name

    hint: use another destination with `-o DEST`, or another file

    $ tool -o dir:full
    exit 1
    error: cannot write `full`: it exists and is not an empty folder

    hint: use another destination with `-o DEST`, or another file

    $ tool -o dir:file
    exit 1
    error: cannot write `file`: it exists and is not an empty folder

    hint: use another destination with `-o DEST`, or another file

    $ tool -o oci:file
    exit 1
    error: cannot write `file`: there is a file of that name

    hint: use another destination with `-o DEST`, or another file

    $ tool -o oci-archive:file/x.tar
    exit 1
    error: cannot write `file/x.tar`: its folder does not exist

    hint: use another destination with `-o DEST`, or another file
    ");
    assert_eq!(fs_err::read_to_string(world.path("file")).unwrap(), "mine");
    assert!(world.debian.server.requests().is_empty() && world.pypi.server.requests().is_empty());
}

#[test]
fn a_store_that_cannot_be_used_is_named_with_a_way_out() {
    let world = World::usual();
    fs_err::create_dir_all(world.path("cache/store")).unwrap();
    fs_err::write(world.path("cache/store/version"), "99").unwrap();
    insta::assert_snapshot!(world.error("tool"), @"
    exit 1
    error: cannot use the cache `[DIR]/cache/store`: it has version `99`, and this lath uses version `1`

    hint: empty the cache with `lath cache prune --all`, or use another with `--cache-dir DIR`
    ");
    assert_eq!(fs_err::read_dir(world.path("cache/store")).unwrap().count(), 2, "the version and the lock alone");
    fs_err::write(world.path("file"), "mine").unwrap();
    insta::assert_snapshot!(world.error("tool --cache-dir file"), @"
    exit 1
    error: cannot open the cache `file/store`
      cause: failed to create directory `file/store`: Not a directory (os error 20)

    hint: use a directory that you can write to: `--cache-dir DIR`
    ");
}
