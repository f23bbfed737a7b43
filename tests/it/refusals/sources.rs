//! Sources that cannot be built, as far as this is known before a build backend runs.

use std::io::Write as _;

use testkit::{DebBuilder, DebianArchive, PyPi};

use crate::world::{World, archive};

/// Returns an archive with the packages of a build's tree.
fn archive_for_builds() -> DebianArchive {
    let packages = ["dash", "coreutils"];
    packages.iter().fold(archive(), |archive, name| archive.deb(&DebBuilder::new(name, "1", "amd64").build()))
}

/// Returns a source distribution of `name` 1.0 whose build requires `requires`.
fn sdist(name: &str, requires: &str) -> Vec<u8> {
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

/// Returns the words of a refusal, without line breaks.
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
