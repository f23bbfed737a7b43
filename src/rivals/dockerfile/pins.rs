//! The file with the pinned distributions, which pip or uv reads in the first stage.

use super::Page;
use super::contents::{pins, requirements};
use super::text::{Text, listed};

/// Writes the requirements with their hashes to a file in the first stage.
pub(super) fn write_pins(page: &Page<'_>, text: &mut Text) {
    text.why("Every distribution with the version and the hash that lath resolved.");
    let write_pins = listed("printf '%s\\n'", &pins(page, true));
    text.run(&[], &[format!("{write_pins} \\\n      > /tmp/requirements.txt")]);
}

/// Returns the arguments that name the distributions: the file with the pins, or the requirements that the user typed.
pub(super) fn installed(page: &Page<'_>) -> String {
    if page.is_unpinned() { requirements(page.request).join(" ") } else { "-r /tmp/requirements.txt".to_owned() }
}
