//! Fuzz targets for the formats that lath reads: one function per target, which gets the bytes from the fuzzer.
//!
//! A target checks more than the absence of panics. If a value is written and read again, it is the same. No path leads
//! outside the image. Nothing unpacks to more than its limit. A reader that returns a few bytes at a time changes
//! nothing.
//!
//! lath's modules are private to its crate, so this crate includes their files by path.

#[path = "../../src/formats/mod.rs"]
#[allow(dead_code, reason = "targets call only a part of it")]
mod formats;
#[path = "../../src/model/mod.rs"]
#[allow(dead_code, reason = "targets call only a part of it")]
mod model;
#[path = "../../src/outside/archive/signature.rs"]
#[allow(dead_code, reason = "targets call only a part of it")]
mod signature;

mod archives;
mod binaries;
#[cfg(feature = "requirements")]
mod requirements;
mod texts;

pub use archives::{deb, saved_image, tar, wheel, wheel_texts};
pub use binaries::{elf, git_index, ld_so_cache};
#[cfg(feature = "requirements")]
pub use requirements::requirements;
pub use texts::{control, gsettings, in_release, oci_layout, pylock, python_imports, release, requirements_txt};
