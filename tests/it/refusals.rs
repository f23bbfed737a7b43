//! Bad inputs and bad servers. Each error names its object, and nothing is written.

mod archive;
mod circle;
mod debs;
mod dependencies;
mod disk;
pub(crate) mod sources;
mod typed;
mod wheels;

use testkit::PyPi;

use crate::world::{World, archive, tool};

/// Checks that a build with `words` fails with exit code 1 and leaves no files. Returns the error for use in a
/// snapshot.
fn refused(world: &World, words: &str) -> String {
    let said = world.refusal(words);
    assert!(said.starts_with("exit 1\n") && said.contains("error: cannot "), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert!(!world.path("tool.tar").exists());
    assert_eq!(world.leftovers(), Vec::<std::path::PathBuf>::new());
    world.error_in(&said)
}

/// Joins the wrapped lines of causes, because the places of the line breaks depend on the length of a URL.
fn unwrapped(error: &str) -> String {
    error.replace("\n         ", " ")
}

/// Returns only the causes in the text of an error.
fn causes(error: &str) -> String {
    let causes = error.lines().filter(|line| line.starts_with("  cause: "));
    causes.collect::<Vec<_>>().join("\n")
}

/// Creates a world with a valid archive and this wheel.
fn with_wheel(wheel: &testkit::WheelBuilder) -> World {
    World::new(archive(), PyPi::new().built(wheel))
}

/// Creates a world with a valid index and this package in the archive.
fn with_deb(deb: &testkit::DebBuilder) -> World {
    World::new(archive().deb(&deb.build()), PyPi::new().built(&tool()))
}
