//! Builds from source in which the build backend is started. The Python that runs it is a program that never ends.

use std::time::{Duration, Instant};

use testkit::{DebBuilder, PyPi};

use crate::refusals::sources::sdist;
use crate::world::{World, archive_with, skip};

#[test]
fn a_backend_that_hangs_is_stopped_after_the_time_that_the_user_allows() {
    let Some(program) = testkit::elf::endless() else { return skip("a backend that hangs: another processor") };
    let archive = ["dash", "coreutils"].iter().fold(archive_with("trixie", "3.13", &program), |archive, name| {
        archive.deb(&DebBuilder::new(name, "1", "all").build())
    });
    let tool = testkit::WheelBuilder::new("tool", "1.0").file("tool.py", "");
    let world = World::new(archive, PyPi::new().built(&tool).sdist("one-1.0.tar.gz", &sdist("one", "tool")));
    let begun = Instant::now();
    let output = world.build("one --build-timeout 1");
    let said = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    if said.contains("cannot run anything in a sandbox") {
        return skip("a backend that hangs: no sandbox");
    }
    assert!(begun.elapsed() < Duration::from_secs(60), "{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error: cannot build one 1.0 from source"), "{said}");
    assert!(said.contains("its build backend does not finish in 1 s"), "{said}");
    assert!(said.contains("hint: allow more time with `--build-timeout SECONDS`"), "{said}");
    assert!(!world.path("one.tar").exists());
    // The image and the tree in which the source is built use the same state of the archive, so its Release file is
    // fetched only once.
    assert_eq!(world.debian.server.requests_of(&world.debian.in_release_path()).len(), 1);
    assert_eq!(world.leftovers(), Vec::<std::path::PathBuf>::new());
}
