//! Reads METADATA from a wheel, with a limit on its uncompressed size.
//!
//! The directory of the archive is read entry by entry and is not kept in memory, so a long directory needs no
//! additional memory.

use std::io::{Read, Seek};

use futures::executor::block_on;
use thiserror::Error as ThisError;
use tokio::sync::Mutex;
use uv_distribution_filename::WheelFilename;
use uv_metadata::find_archive_dist_info;
use zip::read::{Config, ZipFileEntry};
use zip::result::ZipError;
use zip::unstable::read::ZipIterable;
use zip::{HasZipMetadata as _, ZipReadOptions};

use crate::outside::http::{BodyError, Document};

/// The maximum number of files called METADATA that are examined. More than one such file is already an error.
const MAX_CANDIDATES: usize = 10;

#[derive(Debug, ThisError)]
pub(super) enum EntryError {
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The wheel has no METADATA, several files called METADATA, or the METADATA of another package. `names` contains
    /// the files that were found.
    #[error("the METADATA of the wheel cannot be used")]
    Structure { names: Vec<String>, source: uv_metadata::Error },
    #[error("the wheel is damaged")]
    Archive(#[from] ZipError),
}

/// The limit for METADATA, and the document to which its bytes are added.
pub(super) struct Bound<'a> {
    /// The name or the URL of the wheel, for errors.
    pub(super) wheel: &'a str,
    pub(super) max_bytes: u64,
    pub(super) document: &'a Mutex<Document>,
}

/// Reads METADATA of the wheel `file_name` from `reader`. This function blocks, so it must not be called on a thread of
/// an asynchronous runtime.
pub(super) fn read(
    reader: impl Read + Seek,
    file_name: &WheelFilename,
    bound: &Bound<'_>,
) -> Result<Vec<u8>, EntryError> {
    let mut archive = ZipIterable::try_new(reader, Config::default())?;
    let files = archive.files()?;
    let mut candidates: Vec<(String, ZipFileEntry<'static>)> = Vec::new();
    for entry in files.by_ref() {
        let entry = entry?;
        // If a wheel contains other packages, their METADATA is in deeper folders and is ignored.
        let top = entry.name_raw().strip_suffix(b".dist-info/METADATA");
        if top.is_some_and(|top| !top.contains(&b'/'))
            && let Ok(name) = entry.name()
        {
            let name = name.into_owned();
            candidates.push((name, entry));
            if candidates.len() == MAX_CANDIDATES {
                break;
            }
        }
    }
    let names = candidates.iter().enumerate().map(|(index, (name, _))| (index, name.as_str()));
    let chosen = match find_archive_dist_info(file_name, names) {
        Ok((index, _)) => index,
        Err(source) => {
            let names = candidates.into_iter().map(|(name, _)| name).collect();
            return Err(EntryError::Structure { names, source });
        }
    };
    let (_, entry) = candidates.swap_remove(chosen);
    let said_bytes = entry.get_metadata().uncompressed_size;
    let mut entry = entry.with_reader(files.reader_mut(), ZipReadOptions::new())?;
    let too_large = || BodyError::LargeMetadata { wheel: bound.wheel.to_owned(), max_bytes: bound.max_bytes };
    if said_bytes > bound.max_bytes {
        return Err(too_large().into());
    }
    let (mut text, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let length = entry.read(&mut buffer).map_err(ZipError::Io)?;
        if length == 0 {
            return Ok(text);
        }
        if (text.len() + length) as u64 > bound.max_bytes {
            return Err(too_large().into());
        }
        block_on(async { bound.document.lock().await.add(length as u64).await })?;
        text.extend_from_slice(&buffer[..length]);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use testkit::WheelBuilder;

    use super::*;
    use crate::outside::http::Bodies;

    const MAX_BYTES: u64 = 1 << 20;

    /// Reads METADATA of `wheel` as `tool` 1.0. Also returns the number of bytes that were decompressed.
    fn read_counted(wheel: Vec<u8>) -> (Result<Vec<u8>, EntryError>, u64) {
        let document = Mutex::new(Bodies::default().document("x"));
        let file_name = "tool-1.0-py3-none-any.whl".parse().unwrap();
        let bound = Bound { wheel: "x.whl", max_bytes: MAX_BYTES, document: &document };
        let outcome = read(Cursor::new(wheel), &file_name, &bound);
        (outcome, document.into_inner().have_bytes())
    }

    #[test]
    fn metadata_is_read_whole_and_the_files_beside_it_are_not() {
        let wheel = WheelBuilder::new("tool", "1.0").file("tool.py", vec![7; 50_000_000]).requires("dependency");
        let wheel = (0..20).fold(wheel, |wheel, number| {
            wheel.file(&format!("tool/_vendor/other{number}-1.0.dist-info/METADATA"), "Name: other\n")
        });
        let (outcome, unpacked_bytes) = read_counted(wheel.build());
        assert_eq!(String::from_utf8(outcome.unwrap()).unwrap(), wheel.metadata());
        assert_eq!(unpacked_bytes, wheel.metadata().len() as u64);
    }

    #[test]
    fn metadata_that_unpacks_beyond_its_bound_is_left_there() {
        let long = WheelBuilder::new("tool", "1.0").metadata_line(&format!("Summary: {}", "x".repeat(100 << 20)));
        for wheel in [long.clone(), long.claims_metadata_size(100)] {
            let (outcome, unpacked_bytes) = read_counted(wheel.build());
            let error = outcome.unwrap_err().to_string();
            let is_refused = error == "cannot read `METADATA` in `x.whl`: it is larger than 1048576 bytes"
                || error == "the wheel is damaged";
            assert!(is_refused, "{error}");
            assert!(unpacked_bytes <= MAX_BYTES, "{unpacked_bytes}");
        }
    }

    #[test]
    fn wheels_without_metadata_of_their_own_are_refused() {
        let wheel = || WheelBuilder::new("tool", "1.0");
        let table = [
            WheelBuilder::new("other", "1.0").build(),
            wheel().file("tool-2.0.dist-info/METADATA", "").build(),
            b"no archive".to_vec(),
            wheel().build()[..200].to_vec(),
        ];
        let errors = table.map(|bytes| read_counted(bytes).0.unwrap_err().to_string());
        insta::assert_snapshot!(errors.join("\n"), @"
        the METADATA of the wheel cannot be used
        the METADATA of the wheel cannot be used
        the wheel is damaged
        the wheel is damaged
        ");
    }
}
