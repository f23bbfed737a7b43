//! Repeated builds with the same inputs, or with inputs of which only a part has changed. They must not repeat all of
//! the work.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use crate::world::{World, digest, stdout};

/// Removes the parts from the cache, which are the lists of the files in opened parcels. Then runs `build`, and returns
/// how many parcels the build has opened.
fn opened(world: &World, build: impl FnOnce()) -> usize {
    let notes = world.path("cache/store/notes");
    let parts = || {
        let folders = fs_err::read_dir(&notes).unwrap().map(|entry| entry.unwrap().path());
        folders.into_iter().filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("parts-"))
    };
    parts().for_each(|folder| fs_err::remove_dir_all(folder).unwrap());
    build();
    parts().map(|folder| fs_err::read_dir(folder).unwrap().count()).sum()
}

#[test]
fn a_build_that_chooses_the_same_wheels_and_packages_opens_no_package() {
    let world = World::usual();
    let words = "tool --trim none --keep /no/such/path";
    let first = world.build(words);
    let pages = || world.pypi.server.requests_of("/simple/tool/").len();
    let before = pages();
    let mut again = None;
    assert_eq!(opened(&world, || again = Some(world.build(words))), 1, "only the wheel");
    assert_eq!(pages(), before + 1, "the versions are chosen anew");
    let again = again.unwrap();
    let said = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said(&first).contains("`--keep /no/such/path` matches no path of the image"), "{}", said(&first));
    assert!(said(&again).contains("`--keep /no/such/path` matches no path of the image"), "{}", said(&again));
    assert_eq!(digest(again), digest(first));
    // With another option, the image is made again.
    assert!(opened(&world, || drop(stdout(world.build("tool --trim none --env A=1")))) > 1);
}

#[test]
fn an_application_without_changes_is_not_made_again_but_one_with_changes_is() {
    let world = World::usual();
    fs_err::create_dir(world.path("shop")).unwrap();
    let write = |text: &str| fs_err::write(world.path("shop/main.py"), text).unwrap();
    fs_err::write(world.path("shop/requirements.txt"), "tool\n").unwrap();
    write("a = 1\n");
    let build = || digest(world.build("./shop --trim none -- tool main.py"));
    let first = build();
    let mut again = String::new();
    assert_eq!(opened(&world, || again = build()), 1, "only the wheel");
    assert_eq!(again, first);
    write("a = 2\n");
    assert!(opened(&world, || again = build()) > 1);
    assert_ne!(again, first);
    write("a = 1\n");
    assert_eq!(build(), first);
}

#[test]
fn a_trimmed_image_of_a_lock_without_a_proof_is_made_again() {
    // Without a proof, the earlier image may lack files that a proof has put back in the meantime. So it is made again.
    let world = World::usual();
    for (trim, is_made_again) in [("none", false), ("standard", true)] {
        stdout(world.lock(&format!("tool --trim {trim}")));
        let build = || drop(stdout(world.build(&format!("--locked --trim {trim}"))));
        build();
        assert_eq!(opened(&world, build) > 0, is_made_again, "{trim}");
    }
}

#[test]
fn a_file_with_requirements_needs_no_utf_8_name() {
    let world = World::usual();
    let name = OsStr::from_bytes(b"wanted-\xff.txt");
    fs_err::write(std::path::Path::new(&world.path("")).join(name), "tool\n").unwrap();
    let build = || digest(world.command("--trim standard -t image").arg("-r").arg(name).output().unwrap());
    let first = build();
    assert_eq!(build(), first);
}

#[test]
fn a_build_that_needs_no_tls_needs_no_certificates() {
    let world = World::usual();
    let nothing = [("SSL_CERT_FILE", "/no/such/file"), ("SSL_CERT_DIR", "/no/such/folder")];
    stdout(world.build_with("tool", &nothing));
}
