//! Reads the output of `docker save` and `podman save`: a tar of documents and layers. Each layer is itself a tar,
//! sometimes compressed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead as _, BufReader, Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// The magic of a tar header and its offset (POSIX, "ustar Interchange Format").
const USTAR: (usize, &[u8]) = (257, b"ustar");
const HEADER_BYTES: usize = 512;
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Prefix of the file that marks a path as removed in a layer (image-spec, layer.md, "Whiteouts").
const WHITEOUT: &str = ".wh.";
const DPKG: &str = "var/lib/dpkg/";

/// The contents of an image, collected from its layers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SavedImage {
    /// Files of all layers: the path without a leading slash, and the bytes summed over the layers that contain it.
    pub(crate) files: BTreeMap<String, u64>,
    /// Paths of the files that a container sees.
    pub(crate) present: BTreeSet<String>,
    /// The compressed size of all layers. A layer that was saved uncompressed counts with its size after gzip -6.
    pub(crate) compressed_bytes: u64,
    /// dpkg's lists of files, by package.
    pub(crate) package_lists: BTreeMap<String, String>,
    /// dpkg's `status`, from the last layer that has it.
    pub(crate) status: String,
}

impl SavedImage {
    /// Reads all of `reader`. Of the file contents, only dpkg's texts are kept.
    pub(crate) fn read(reader: impl Read) -> io::Result<Self> {
        let mut image = Self::default();
        let mut outer = tar::Archive::new(reader);
        for entry in outer.entries()? {
            let entry = entry?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let packed_bytes = entry.size();
            let mut entry = BufReader::with_capacity(1 << 16, entry);
            if entry.fill_buf()?.starts_with(&GZIP) {
                let mut unpacked = BufReader::with_capacity(1 << 16, MultiGzDecoder::new(entry));
                if is_tar(&mut unpacked)? {
                    image.layer(unpacked)?;
                    image.compressed_bytes += packed_bytes;
                }
            } else if is_tar(&mut entry)? {
                let mut tee = Tee { inner: entry, copy: GzEncoder::new(Count(0), Compression::new(6)) };
                image.layer(&mut tee)?;
                io::copy(&mut tee, &mut io::sink())?;
                image.compressed_bytes += tee.copy.finish()?.0;
            }
        }
        Ok(image)
    }

    fn layer(&mut self, reader: impl Read) -> io::Result<()> {
        let mut layer = tar::Archive::new(reader);
        for entry in layer.entries()? {
            let mut entry = entry?;
            let path = entry.path()?.to_string_lossy().trim_start_matches("./").trim_start_matches('/').to_owned();
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            if let Some(removed) = name.strip_prefix(WHITEOUT) {
                let gone = if folder.is_empty() { removed.to_owned() } else { format!("{folder}/{removed}") };
                let below = format!("{gone}/");
                self.present.retain(|path| *path != gone && !path.starts_with(&below));
                continue;
            }
            if !entry.header().entry_type().is_file() {
                continue;
            }
            *self.files.entry(path.clone()).or_default() += entry.size();
            self.present.insert(path.clone());
            let Some(known) = path.strip_prefix(DPKG) else { continue };
            let list = known.strip_prefix("info/").and_then(|name| name.strip_suffix(".list"));
            if known == "status" {
                self.status.clear();
                entry.read_to_string(&mut self.status)?;
            } else if let Some(package) = list {
                let name = package.split(':').next().unwrap_or_default().to_owned();
                entry.read_to_string(self.package_lists.entry(name).or_default())?;
            }
        }
        Ok(())
    }
}

fn is_tar(reader: &mut BufReader<impl Read>) -> io::Result<bool> {
    // The buffer is larger than a header, but a pipe may return less than that at first.
    let buffered = reader.fill_buf()?;
    let (at, magic) = USTAR;
    Ok(buffered.len() >= HEADER_BYTES && buffered[at..].starts_with(magic))
}

/// A reader that also writes a copy of all bytes that pass through it.
struct Tee<R, W> {
    inner: R,
    copy: W,
}

impl<R: Read, W: Write> Read for Tee<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.copy.write_all(&buffer[..length])?;
        Ok(length)
    }
}

/// A writer that only counts bytes.
struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, path, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn layers_are_added_up_and_what_a_later_one_removes_is_gone() {
        let below = archive(&[
            ("var/lib/dpkg/info/bash:amd64.list", b"/bin/bash\n"),
            ("var/lib/dpkg/status", b"Package: bash\n"),
            ("tmp/a/b", b"bytes"),
            ("kept", b"1234"),
        ]);
        let above = archive(&[("tmp/.wh.a", b""), ("kept", b"12"), ("var/lib/dpkg/status", b"Package: dash\n")]);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&above).unwrap();
        let packed = encoder.finish().unwrap();
        let saved = archive(&[("manifest.json", b"[]"), ("1/layer.tar", &below), ("blobs/sha256/2", &packed)]);
        let image = SavedImage::read(saved.as_slice()).unwrap();
        assert_eq!(image.files["kept"], 6);
        assert_eq!(image.files["tmp/a/b"], 5);
        assert!(!image.present.contains("tmp/a/b") && image.present.contains("kept"));
        assert_eq!(image.package_lists["bash"], "/bin/bash\n");
        assert_eq!(image.status, "Package: dash\n");
        assert!(image.compressed_bytes > packed.len() as u64);
    }

    #[test]
    fn an_archive_that_is_cut_short_is_an_error() {
        let saved = archive(&[("1/layer.tar", &archive(&[("x", &[7; 5000])]))]);
        assert!(SavedImage::read(&saved[..3000]).is_err());
    }
}
