//! The store when several processes use it at once, and when some of them are killed.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use testkit::{Fault, PyPi};

use crate::world::{World, archive, digest, stdout, tool};

/// Creates a world with a large wheel, so that each step of a build takes some time.
fn slow() -> World {
    let mut wheel = tool();
    for number in 0..200 {
        wheel = wheel.file(&format!("tool/part{number}.py"), format!("x = {number}\n").repeat(500));
    }
    World::new(archive(), PyPi::new().built(&wheel))
}

/// Returns whether a step of a build has begun. The files in the world show this.
type Mark = fn(&World) -> bool;

fn start(world: &World, words: &str) -> Child {
    world.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Returns the files below `dir`, at any depth.
fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_build_that_was_killed_at_any_step_leaves_a_store_that_the_next_one_can_use() {
    let world = slow();
    let expected = digest(world.build("tool --cache-dir clean"));
    let marks: [(&str, Mark); 6] = [
        ("asked", |world| !world.debian.server.requests().is_empty()),
        ("fetching", |world| {
            files(&world.path("cache/store/partial")).len() + files(&world.path("cache/store/parcels")).len() > 1
        }),
        ("unpacking", |world| files(&world.path("cache/store/packs")).len() > 4),
        ("unpacked", |world| world.path("cache/store/notes/parts-8").exists()),
        ("packing", |world| files(&world.path("cache/store/segments")).len() > 4),
        ("writing", |world| world.leftovers().iter().any(|path| path.parent() == Some(&world.path("")))),
    ];
    for (step, has_begun) in marks {
        let _ = fs_err::remove_dir_all(world.path("cache"));
        world.debian.server.forget_requests();
        let mut child = start(&world, "tool");
        while !has_begun(&world) && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(digest(world.build("tool")), expected, "killed while {step}");
        assert_eq!(files(&world.path("cache/store/tmp")), Vec::<std::path::PathBuf>::new(), "killed while {step}");
    }
}

#[test]
fn builds_that_begin_at_once_in_a_fresh_store_come_to_the_same() {
    let world = slow();
    let children: Vec<Child> = (0..3).map(|number| start(&world, &format!("tool -o {number}.tar"))).collect();
    let mut digests: Vec<String> =
        children.into_iter().map(|child| digest(child.wait_with_output().unwrap())).collect();
    digests.dedup();
    assert_eq!(digests.len(), 1, "{digests:?}");
    let name = tool().file_name();
    assert_eq!(world.pypi.server.requests_of(&format!("/files/{name}")).len(), 1, "it is fetched once");
}

#[test]
fn contents_that_a_crash_cut_short_are_made_again() {
    let world = slow();
    stdout(world.build("tool"));
    let expected = digest(world.build("tool --compression zstd --cache-dir clean"));
    for shelf in ["files", "packs"] {
        let contents = files(&world.path("cache/store").join(shelf));
        assert!(!contents.is_empty(), "{shelf}");
        for file in contents {
            fs_err::write(file, "").unwrap();
        }
    }
    for parcel in files(&world.path("cache/store/parcels")).iter().step_by(2) {
        fs_err::write(parcel, "").unwrap();
    }
    assert_eq!(digest(world.build("tool --compression zstd")), expected);
}

#[test]
fn a_parcel_whose_bytes_changed_is_removed_and_the_next_build_succeeds() {
    let world = World::usual();
    stdout(world.build("tool"));
    let _ = fs_err::remove_dir_all(world.path("cache/store/notes/parts-8"));
    let parcels = files(&world.path("cache/store/parcels"));
    let is_deb = |path: &&std::path::PathBuf| fs_err::read(path).unwrap().starts_with(b"!<arch>");
    let parcel = parcels.iter().find(is_deb).unwrap();
    let length = fs_err::metadata(parcel).unwrap().len();
    fs_err::write(parcel, vec![b'x'; usize::try_from(length).unwrap()]).unwrap();
    let said = world.refusal("tool");
    assert!(
        said.contains("they changed after the download") && said.contains("hint: run the same command again"),
        "{said}"
    );
    stdout(world.build("tool"));
}

#[test]
fn pruning_waits_for_a_running_build_and_breaks_nothing() {
    let world = slow();
    let deb = world.debian.deb_path("netbase").unwrap();
    world.debian.server.fault(&deb, Fault::Delay { times: 1, wait: Duration::from_secs(3) });
    let build = start(&world, "tool");
    while world.debian.server.requests_of(&world.debian.in_release_path()).is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let pruned = world.cache("prune --all");
    let said = String::from_utf8(pruned.stderr).unwrap();
    assert!(said.starts_with("waiting until no build uses the cache\nremoved "), "{said}");
    stdout(build.wait_with_output().unwrap());
    assert_eq!(files(&world.path("cache")), [world.path("cache/store/lock")]);
}

#[test]
fn the_cache_tells_where_it_is_and_how_large_and_is_pruned() {
    let world = World::usual();
    assert_eq!(stdout(world.cache("size")), "0\n");
    stdout(world.build("tool"));
    assert_eq!(stdout(world.cache("dir")), "cache\n");
    let bytes: u64 = stdout(world.cache("size")).trim().parse().unwrap();
    assert!(bytes > 1000, "{bytes}");
    let said = world.cache("prune");
    assert!(String::from_utf8(said.stderr).unwrap().starts_with("removed 0 files, 0.0 MB, of `cache`"));
    stdout(world.build("tool --offline"));
    assert!(world.cache("prune --all").status.success());
    assert_eq!(stdout(world.cache("size --bytes")), "0\n");
    assert_eq!(world.cache("prune --all --older-than 3").status.code(), Some(2));
}
