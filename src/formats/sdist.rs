//! Source distributions (packaging.python.org, "Source distribution format"). This module lists the files of a source
//! distribution, and reads the files that decide how it is built. Nothing is written to the disk here.

use std::io::{self, Read, Seek, SeekFrom};

use flate2::read::MultiGzDecoder;
use liblzma::read::XzDecoder;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zip::ZipArchive;

/// The maximum number of files.
const MAX_FILES: usize = 200_000;
/// The maximum size of an unpacked archive.
const MAX_BYTES: u64 = 4 << 30;
/// The maximum size of a file that is read here.
const MAX_TEXT_BYTES: u64 = 16 << 20;

/// The parts of a source distribution that decide how it is built.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sdist {
    /// The folder at the top of the archive, which contains everything else. It is empty if there is no such folder.
    pub(crate) top: String,
    /// The paths of all files of the project, relative to the project's folder.
    pub(crate) files: Vec<String>,
    pub(crate) pyproject: Option<String>,
    pub(crate) pkg_info: Option<String>,
    /// The paths and the texts of the `Cargo.lock` files, which pin crates of Rust.
    pub(crate) cargo_locks: Vec<(String, String)>,
}

#[derive(Debug, Error)]
pub(crate) enum SdistError {
    #[error("it is neither a tar archive, compressed with gzip or xz, nor a zip archive")]
    Format,
    #[error("it cannot be read")]
    Read(#[from] io::Error),
    #[error("it cannot be read")]
    Zip(#[from] zip::result::ZipError),
    #[error("it is too large: it has more than {0}")]
    TooLarge(&'static str),
    #[error("its `{0}` leads outside of it")]
    Outside(String),
    #[error("it has no folder `{0}`")]
    NoSubdirectory(String),
}

/// Reads an archive. `subdirectory` is the folder of the project, if that is not the top folder.
pub(crate) fn read(mut archive: impl Read + Seek, subdirectory: Option<&str>) -> Result<Sdist, SdistError> {
    let mut start = [0; 6];
    let mut length = 0;
    while length < start.len() {
        match archive.read(&mut start[length..])? {
            0 => break,
            read => length += read,
        }
    }
    archive.seek(SeekFrom::Start(0))?;
    let mut reading = Reading::default();
    match start {
        [0x1F, 0x8B, ..] => reading.tar(MultiGzDecoder::new(io::BufReader::new(archive)))?,
        [0xFD, b'7', b'z', b'X', b'Z', 0] => reading.tar(XzDecoder::new_multi_decoder(archive))?,
        [b'P', b'K', ..] => reading.zip(archive)?,
        _ => {
            let mut magic = [0; 5];
            archive.seek(SeekFrom::Start(257))?;
            let is_tar = archive.read_exact(&mut magic).is_ok() && magic == *b"ustar";
            archive.seek(SeekFrom::Start(0))?;
            if !is_tar {
                return Err(SdistError::Format);
            }
            reading.tar(io::BufReader::new(archive))?;
        }
    }
    reading.finish(subdirectory)
}

/// The files that were read until now.
#[derive(Default)]
struct Reading {
    names: Vec<String>,
    texts: Vec<(String, String)>,
    bytes: u64,
}

impl Reading {
    fn tar(&mut self, archive: impl Read) -> Result<(), SdistError> {
        // The unpacked size is limited, because a small archive may contain very much data, which would take long to
        // read.
        let mut archive = tar::Archive::new(archive.take(MAX_BYTES));
        for entry in archive.entries()? {
            let mut entry = entry?;
            let kind = entry.header().entry_type();
            if kind.is_dir() || !(kind.is_file() || kind.is_symlink() || kind.is_hard_link()) {
                continue;
            }
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let size_bytes = entry.size();
            self.add(name, size_bytes, &mut entry)?;
        }
        Ok(())
    }

    fn zip(&mut self, archive: impl Read + Seek) -> Result<(), SdistError> {
        let mut archive = ZipArchive::new(archive)?;
        for index in 0..archive.len() {
            let mut file = archive.by_index(index)?;
            if file.is_dir() {
                continue;
            }
            let (name, size_bytes) = (String::from_utf8_lossy(file.name_raw()).into_owned(), file.size());
            self.add(name, size_bytes, &mut file)?;
        }
        Ok(())
    }

    fn add(&mut self, name: String, size_bytes: u64, contents: &mut dyn Read) -> Result<(), SdistError> {
        let name = name.trim_start_matches("./").to_owned();
        if name.starts_with('/') || name.split('/').any(|part| part == "..") {
            return Err(SdistError::Outside(name));
        }
        self.bytes = self.bytes.saturating_add(size_bytes);
        if self.bytes > MAX_BYTES {
            return Err(SdistError::TooLarge("4 GiB"));
        }
        if self.names.len() >= MAX_FILES {
            return Err(SdistError::TooLarge("200000 files"));
        }
        let file = name.rsplit('/').next().unwrap_or_default();
        if matches!(file, "pyproject.toml" | "PKG-INFO" | "Cargo.lock") {
            let mut bytes = Vec::new();
            contents.take(MAX_TEXT_BYTES).read_to_end(&mut bytes)?;
            self.texts.push((name.clone(), String::from_utf8_lossy(&bytes).into_owned()));
        }
        self.names.push(name);
        Ok(())
    }

    fn finish(self, subdirectory: Option<&str>) -> Result<Sdist, SdistError> {
        let first = self.names.first().and_then(|name| name.split_once('/')).map(|(top, _)| top.to_owned());
        let top = first.filter(|top| self.names.iter().all(|name| name.split('/').next() == Some(top)));
        let top = top.unwrap_or_default();
        let mut folder = if top.is_empty() { String::new() } else { format!("{top}/") };
        if let Some(subdirectory) = subdirectory {
            folder.push_str(subdirectory.trim_matches('/'));
            folder.push('/');
        }
        let within = |name: &String| name.strip_prefix(&folder).map(str::to_owned);
        let mut files: Vec<String> = self.names.iter().filter_map(within).collect();
        if let Some(subdirectory) = subdirectory.filter(|_| files.is_empty()) {
            return Err(SdistError::NoSubdirectory(subdirectory.to_owned()));
        }
        files.sort();
        let text = |wanted: &str| self.texts.iter().find(|(name, _)| *name == format!("{folder}{wanted}"));
        let text = |wanted: &str| text(wanted).map(|(_, text)| text.clone());
        let (pyproject, pkg_info) = (text("pyproject.toml"), text("PKG-INFO"));
        let locks = self.texts.into_iter().filter(|(name, _)| name.ends_with("Cargo.lock"));
        Ok(Sdist { top, files, pyproject, pkg_info, cargo_locks: locks.collect() })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use super::*;

    fn tar_of(files: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, text) in files {
            let mut header = tar::Header::new_ustar();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(text.len() as u64);
            header.set_entry_type(tar::EntryType::Regular);
            header.set_cksum();
            builder.append(&header, text.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn zip_of(files: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in files {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    const FILES: [(&str, &str); 4] = [
        ("x-1/PKG-INFO", "Name: x"),
        ("x-1/pyproject.toml", "[project]"),
        ("x-1/rust/Cargo.lock", "version = 3"),
        ("x-1/src/x.c", "int x;"),
    ];

    #[test]
    fn each_format_gives_the_same_files() {
        let expected = Sdist {
            top: "x-1".to_owned(),
            files: ["PKG-INFO", "pyproject.toml", "rust/Cargo.lock", "src/x.c"].map(str::to_owned).to_vec(),
            pyproject: Some("[project]".to_owned()),
            pkg_info: Some("Name: x".to_owned()),
            cargo_locks: vec![("x-1/rust/Cargo.lock".to_owned(), "version = 3".to_owned())],
        };
        let tar = tar_of(&FILES);
        for bytes in [gzip(&tar), zip_of(&FILES), tar] {
            assert_eq!(read(Cursor::new(bytes), None).unwrap(), expected);
        }
    }

    #[test]
    fn a_project_may_be_in_a_folder_of_its_archive() {
        let bytes = gzip(&tar_of(&[("a/README", ""), ("a/py/x/pyproject.toml", "inner"), ("a/py/x/m.py", "")]));
        let sdist = read(Cursor::new(&bytes), Some("py/x")).unwrap();
        assert_eq!((sdist.pyproject.as_deref(), sdist.top.as_str()), (Some("inner"), "a"));
        assert_eq!(sdist.files, ["m.py", "pyproject.toml"]);
        let error = read(Cursor::new(&bytes), Some("rs")).unwrap_err();
        assert_eq!(error.to_string(), "it has no folder `rs`");
    }

    #[test]
    fn a_path_that_leads_outside_and_another_file_are_refused() {
        for name in ["../x", "/etc/x", "a/../../x"] {
            let error = read(Cursor::new(tar_of(&[(name, "")])), None).unwrap_err();
            assert_eq!(error.to_string(), format!("its `{name}` leads outside of it"));
        }
        for bytes in [&b""[..], b"PK", b"\x1F\x8Bxx", b"BZh91AY", b"<html>"] {
            assert!(read(Cursor::new(bytes), None).is_err(), "{bytes:?}");
        }
    }
}
