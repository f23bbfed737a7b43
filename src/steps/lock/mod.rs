//! Lock files: writes the locks of all platforms to `pylock.toml`, reads them, and finds the differences between a lock
//! and a request.

mod builds;
mod compare;
mod error;
mod outdated;
mod places;
mod read;
mod sources;
mod write;

pub(crate) use self::builds::refuse_folders;
pub(crate) use self::compare::{Changed, Wanted, changed, refuse_other};
pub(crate) use self::error::LockError;
pub(crate) use self::outdated::{add_newer, urls};
pub(crate) use self::read::{Named, as_requirement, of_platform, read};
pub(crate) use self::sources::place_project;
pub(crate) use self::write::write;

#[cfg(test)]
mod tests;
