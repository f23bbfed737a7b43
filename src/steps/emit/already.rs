//! Detects files that an earlier build has written and that have not changed since then.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::EmitError;
use super::contents::Contents;
use super::place::Place;
use crate::model::destination::Destination;
use crate::model::digest::Digest;
use crate::outside::store::{Bucket, Store};

/// The state of a file. Whenever the contents of a file change, the kernel also updates the file's change time
/// (stat(2), `st_ctime`).
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    device: u64,
    inode: u64,
    size_bytes: u64,
    changed_secs: i64,
    changed_nanos: i64,
}

impl State {
    fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        Some(Self {
            device: file.dev(),
            inode: file.ino(),
            size_bytes: file.size(),
            changed_secs: file.ctime(),
            changed_nanos: file.ctime_nsec(),
        })
    }
}

/// Returns whether the file already contains the image.
pub(super) fn is_there(destination: &Destination, contents: &Contents<'_>, store: &Store) -> bool {
    let Some((key, state)) = entry(destination, contents) else { return false };
    store.entry::<State>(Bucket::WrittenFiles, &key).is_some_and(|written| written == state)
}

/// Records the current state of the file, which was just written.
pub(super) fn record(destination: &Destination, contents: &Contents<'_>, store: &Store) -> Result<(), EmitError> {
    let Some((key, state)) = entry(destination, contents) else { return Ok(()) };
    Ok(store.write_entry(Bucket::WrittenFiles, &key, &state)?)
}

fn entry(destination: &Destination, contents: &Contents<'_>) -> Option<(Digest, State)> {
    let (Destination::Archive(path) | Destination::OciArchive { path, .. } | Destination::DockerArchive { path, .. }) =
        destination
    else {
        return None;
    };
    let path = Place::of(path).ok()?.path;
    let absolute = std::path::absolute(&path).ok()?;
    let words = [contents.root.digest.0.prefixed(), destination.to_string()];
    let words = words.iter().chain(&contents.names).map(String::as_bytes);
    let fields = words.chain([absolute.as_os_str().as_encoded_bytes()]);
    Some((Digest::of_fields(fields), State::of(&path)?))
}
