//! Sources that cannot be built. lath detects this before it runs a build backend.

use std::io::Write as _;

use testkit::{DebBuilder, DebianArchive, PyPi, WheelBuilder};

use crate::world::{World, archive};

/// Returns an archive with the packages that the tree of a build needs.
fn archive_for_builds() -> DebianArchive {
    let packages = ["dash", "coreutils"];
    packages.iter().fold(archive(), |archive, name| archive.deb(&DebBuilder::new(name, "1", "amd64").build()))
}

/// Returns a source distribution `name` 1.0, whose build requires `requires`.
pub(crate) fn sdist(name: &str, requires: &str) -> Vec<u8> {
    let pyproject = format!("[build-system]\nrequires = ['{requires}']\nbuild-backend = 'backend'\n");
    let files =
        [("PKG-INFO", format!("Metadata-Version: 2.2\nName: {name}\nVersion: 1.0\n")), ("pyproject.toml", pyproject)];
    let mut tar = tar::Builder::new(Vec::new());
    for (file, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("{name}-1.0/{file}"), text.as_bytes()).unwrap();
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar.into_inner().unwrap()).unwrap();
    gzip.finish().unwrap()
}

/// Returns the text of an error, without line breaks.
fn refused(world: &World, words: &str) -> String {
    world.refusal(words).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_source_that_needs_itself_for_its_own_build_is_refused() {
    let index = PyPi::new().sdist("one-1.0.tar.gz", &sdist("one", "two"));
    let world = World::new(archive_for_builds(), index.sdist("two-1.0.tar.gz", &sdist("two", "one")));
    let said = refused(&world, "one");
    assert!(said.contains("error: cannot build one 1.0 from source"), "{said}");
    assert!(said.contains("it needs itself for its own build: one 1.0 needs two 1.0 needs one 1.0"), "{said}");
}

#[test]
fn a_source_with_another_digest_is_refused_before_it_is_opened() {
    let wrong = PyPi::new().sdist("one-1.0.tar.gz", &sdist("one", "two")).with_wrong_sha256();
    let said = refused(&World::new(archive_for_builds(), wrong), "one");
    assert!(said.contains("cannot build one 1.0 from source") && said.contains("its sha256 is"), "{said}");
    let world = World::new(archive_for_builds(), PyPi::new().sdist("one-1.0.tar.gz", &sdist("one", "two")));
    let hash = "0".repeat(64);
    fs_err::write(world.path("list.txt"), format!("one==1.0 --hash=sha256:{hash}\n")).unwrap();
    let said = refused(&world, "-r list.txt -t one");
    assert!(said.contains("error: cannot "), "{said}");
    assert!(!world.path("one.tar").exists());
}

#[test]
fn nothing_is_built_if_the_user_excludes_it() {
    let world = World::new(archive_for_builds(), PyPi::new().sdist("one-1.0.tar.gz", &sdist("one", "two")));
    fs_err::write(world.path("one-1.0.tar.gz"), sdist("one", "two")).unwrap();
    for words in ["./one-1.0.tar.gz --no-build", "./one-1.0.tar.gz --no-build-package ONE"] {
        let said = refused(&world, words);
        assert!(said.contains("the build was not allowed") && said.contains("hint: leave out `--no-build`"), "{said}");
    }
    let said = refused(&world, "one --no-build");
    assert!(said.contains("the index has no wheel of `one` 1.0, only a source distribution"), "{said}");
    fs_err::write(world.path("list.txt"), "one\n--only-binary :all:\n").unwrap();
    let said = refused(&world, "-r list.txt -t one");
    assert!(said.contains("the index has no wheel of `one` 1.0, only a source distribution"), "{said}");
}

#[test]
fn a_failed_build_names_the_python_for_which_the_index_has_wheels() {
    let older = WheelBuilder::new("one", "1.0").tag("cp312-cp312-manylinux_2_17_x86_64").file("one.py", "");
    let other = WheelBuilder::new("one", "1.0").tag("cp311-cp311-win_amd64").file("one.py", "");
    let index = PyPi::new().sdist("one-1.0.tar.gz", b"no archive").built(&older).built(&other);
    let said = refused(&World::new(archive_for_builds(), index), "one==1.0 --python 3.13");
    assert!(said.contains("error: cannot build one 1.0 from source"), "{said}");
    assert!(said.contains("hint: use `--python 3.12`, for which `one` has wheels"), "{said}");
    // The index has a wheel for this Python, but the user excluded wheels. So another Python would not help, and the
    // error does not suggest one.
    let own = WheelBuilder::new("one", "1.0").file("one.py", "");
    let index = PyPi::new().sdist("one-1.0.tar.gz", b"no archive").built(&own).built(&older);
    let said = refused(&World::new(archive_for_builds(), index), "one==1.0 --python 3.13 --no-binary-package one");
    assert!(said.contains("error: cannot build one 1.0 from source") && !said.contains("--python 3.12"), "{said}");
}

#[test]
fn markers_that_exclude_everything_are_refused() {
    let world = World::usual();
    let said = refused(&world, "tool;sys_platform=='win32' -t x");
    assert!(said.contains("cannot install `tool;sys_platform=='win32'` for python 3.13"), "{said}");
    assert!(said.contains("its markers exclude it there"), "{said}");
    assert!(!world.path("x.tar").exists());
}

#[test]
fn an_index_that_mixes_kinds_of_hashes_is_read_and_every_hash_holds() {
    let lib = WheelBuilder::new("lib", "1.0").file("lib.py", "");
    let tool =
        WheelBuilder::new("tool", "1.0").requires("lib").file("tool/__init__.py", "").script("tool", "tool:main");
    let index = |wrong: bool| {
        let index =
            PyPi::new().html().built(&tool).without_sha256(Some("0123456789abcdef0123456789abcdef")).built(&lib);
        if wrong { index.with_wrong_sha256() } else { index }
    };
    let said = refused(&World::new(archive(), index(true)), "tool");
    assert!(said.contains("lib-1.0-py3-none-any.whl`: its sha256 is"), "{said}");
    // The md5 of `tool` is wrong as well, but lath checks only sha256. If the index lists no sha256 for a file, lath
    // computes it after the download.
    let world = World::new(archive(), index(false));
    let output = world.build("tool");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
