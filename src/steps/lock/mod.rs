//! Lock files: the lock of every platform -> `pylock.toml`, and back; the differences between a lock and a request.

mod compare;
mod error;
mod outdated;
mod places;
mod read;
mod write;

pub(crate) use self::compare::{Wanted, refuse_other};
pub(crate) use self::error::LockError;
pub(crate) use self::outdated::{add_newer, urls};
pub(crate) use self::read::{Named, as_requirement, of_platform, read};
pub(crate) use self::write::write;
