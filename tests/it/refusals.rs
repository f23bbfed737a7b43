//! Bad input and bad servers: each error names its object, and nothing is written.

mod archive;
mod circle;
mod debs;
mod dependencies;
mod disk;
mod typed;
mod wheels;

use testkit::PyPi;

use crate::world::{World, archive, tool};

/// Asserts that lath refuses `words` with exit code 1 and all of `expected`, and that no files are left.
fn assert_refused(world: &World, words: &str, expected: &[&str]) {
    let said = world.refusal(words);
    for text in ["exit 1\n", "error: cannot "].iter().chain(expected) {
        assert!(said.contains(text), "{text:?} is missing in:\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    assert!(!world.path("tool.tar").exists());
    assert_eq!(world.leftovers(), Vec::<std::path::PathBuf>::new());
}

/// Returns a world with an honest archive and this wheel.
fn with_wheel(wheel: &testkit::WheelBuilder) -> World {
    World::new(archive(), PyPi::new().built(wheel))
}

/// Returns a world with an honest index and this package in the archive.
fn with_deb(deb: &testkit::DebBuilder) -> World {
    World::new(archive().deb(&deb.build()), PyPi::new().built(&tool()))
}
