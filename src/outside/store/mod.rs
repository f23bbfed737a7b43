//! The content-addressed cache on disk. The cache has parcels, contents of files, segments of layers, blobs of other
//! images, and small cache entries.
//!
//! Every file is first written to a temporary file on the same file system and then renamed. So a killed process leaves
//! no incomplete files, and two processes may write the same file at once. Processes that use the store have a shared
//! lock on it. A process that cleans up the store has an exclusive lock. If the machine loses power, files may be
//! truncated, so their sizes are checked when they are used (decision 0050).

mod blobs;
mod bucket;
mod contents;
mod entries;
mod error;
mod files;
mod handle;
mod packs;
mod parcels;
mod segments;
#[cfg(test)]
pub(crate) mod tests;
mod upkeep;

pub(crate) use self::bucket::{Bucket, Form};
pub(crate) use self::error::StoreError;
pub(crate) use self::files::private_dir;
pub(crate) use self::handle::Store;
pub(crate) use self::packs::{PackWriter, Packed};
pub(crate) use self::upkeep::{Amount, amount, prune};
