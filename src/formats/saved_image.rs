//! What `docker save` and `podman save` write: a tar of documents and layers, a layer being a tar itself, at times compressed.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::identity;
use std::io::{self, BufReader, Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::each_entry;

/// The magic of a tar's header, and where it is (POSIX, "ustar Interchange Format").
const USTAR: (usize, &[u8]) = (257, b"ustar");
const HEADER_BYTES: u64 = 512;
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// A layer's word for "this was removed" (image-spec, layer.md, "Whiteouts").
const WHITEOUT: &str = ".wh.";
const DPKG: &str = "var/lib/dpkg/";
/// What the texts of dpkg in all layers may come to: they are held in memory.
const MAX_TEXTS_BYTES: u64 = 256 << 20;

/// What an image holds, by its layers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SavedImage {
    /// Files of all layers: path without a leading slash, and bytes summed over the layers that have it.
    pub(crate) files: BTreeMap<String, u64>,
    /// Paths of the files that a container sees.
    pub(crate) present: BTreeSet<String>,
    /// Of all layers, as gzip -6 leaves them.
    pub(crate) compressed_bytes: u64,
    /// dpkg's lists of files, by package.
    pub(crate) package_lists: BTreeMap<String, String>,
    /// dpkg's `status`, the newest.
    pub(crate) status: String,
}

impl SavedImage {
    /// Reads the whole of `reader`; no more than dpkg's texts is kept of contents.
    pub(crate) fn read(reader: impl Read) -> io::Result<Self> {
        let mut image = Self::default();
        let mut room = MAX_TEXTS_BYTES;
        each_entry(reader, identity, |entry| {
            if !entry.header().entry_type().is_file() {
                return Ok(());
            }
            let packed_bytes = entry.size();
            let (start, entry) = peeked(entry)?;
            if start.starts_with(&GZIP) {
                let (start, unpacked) = peeked(MultiGzDecoder::new(entry))?;
                if is_tar(&start) {
                    image.layer(unpacked, &mut room)?;
                    image.compressed_bytes += packed_bytes;
                }
            } else if is_tar(&start) {
                let mut tee = Tee { inner: entry, copy: Blocks::new(GzEncoder::new(Count(0), Compression::new(6))) };
                image.layer(&mut tee, &mut room)?;
                io::copy(&mut tee, &mut io::sink())?;
                image.compressed_bytes += tee.copy.finish()?.finish()?.0;
            }
            Ok(())
        })?;
        Ok(image)
    }

    /// Reads one layer; `room` is how many bytes of texts may still be kept.
    fn layer(&mut self, reader: impl Read, room: &mut u64) -> io::Result<()> {
        each_entry(reader, identity, |entry| {
            let path = entry.path()?.to_string_lossy().trim_start_matches("./").trim_start_matches('/').to_owned();
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            if let Some(removed) = name.strip_prefix(WHITEOUT) {
                let gone = if folder.is_empty() { removed.to_owned() } else { format!("{folder}/{removed}") };
                self.remove(&gone);
                return Ok(());
            }
            if !entry.header().entry_type().is_file() {
                return Ok(());
            }
            *self.files.entry(path.clone()).or_default() += entry.size();
            self.present.insert(path.clone());
            let Some(known) = path.strip_prefix(DPKG) else { return Ok(()) };
            let list = known.strip_prefix("info/").and_then(|name| name.strip_suffix(".list"));
            if known == "status" {
                self.status = text(entry, room)?;
            } else if let Some(package) = list {
                let name = package.split(':').next().unwrap_or_default().to_owned();
                self.package_lists.entry(name).or_default().push_str(&text(entry, room)?);
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Takes out `gone` and everything below it.
    fn remove(&mut self, gone: &str) {
        let below = format!("{gone}/");
        let paths = self.present.range(below.clone()..).take_while(|path| path.starts_with(&below)).cloned();
        for path in paths.collect::<Vec<_>>() {
            self.present.remove(&path);
        }
        self.present.remove(gone);
    }
}

/// Reads a text, if there is room for it.
fn text(reader: impl Read, room: &mut u64) -> io::Result<String> {
    let mut text = String::new();
    let length = reader.take(*room + 1).read_to_string(&mut text)? as u64;
    let too_large = || io::Error::new(io::ErrorKind::InvalidData, "the texts of dpkg are too large");
    *room = room.checked_sub(length).ok_or_else(too_large)?;
    Ok(text)
}

/// The first bytes of a file, as many as a header of a tar has, and a reader of the whole of it.
fn peeked<R: Read>(mut reader: R) -> io::Result<(Vec<u8>, impl Read)> {
    let mut start = Vec::with_capacity(HEADER_BYTES as usize);
    // A pipe, or a stream that is unpacked, may give less than a header at once.
    reader.by_ref().take(HEADER_BYTES).read_to_end(&mut start)?;
    let whole = BufReader::with_capacity(1 << 16, io::Cursor::new(start.clone()).chain(reader));
    Ok((start, whole))
}

fn is_tar(start: &[u8]) -> bool {
    let (at, magic) = USTAR;
    start.len() as u64 == HEADER_BYTES && start[at..].starts_with(magic)
}

/// Passes bytes on, and writes them elsewhere too.
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

/// Writes blocks of one size: what a compressor makes of bytes depends on how many it is given at once.
struct Blocks<W> {
    inner: W,
    block: Vec<u8>,
}

impl<W: Write> Blocks<W> {
    const BYTES: usize = 1 << 16;

    fn new(inner: W) -> Self {
        Self { inner, block: Vec::with_capacity(Self::BYTES) }
    }

    /// Writes the last block, and gives the writer back.
    fn finish(mut self) -> io::Result<W> {
        self.inner.write_all(&self.block)?;
        Ok(self.inner)
    }
}

impl<W: Write> Write for Blocks<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(Self::BYTES - self.block.len());
        self.block.extend_from_slice(&bytes[..length]);
        if self.block.len() == Self::BYTES {
            self.inner.write_all(&self.block)?;
            self.block.clear();
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Counts.
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
        let packed = packed(&above);
        let saved = archive(&[("manifest.json", b"[]"), ("1/layer.tar", &below), ("blobs/sha256/2", &packed)]);
        let image = SavedImage::read(saved.as_slice()).unwrap();
        assert_eq!(image.files["kept"], 6);
        assert_eq!(image.files["tmp/a/b"], 5);
        assert!(!image.present.contains("tmp/a/b") && image.present.contains("kept"));
        assert_eq!(image.package_lists["bash"], "/bin/bash\n");
        assert_eq!(image.status, "Package: dash\n");
        assert!(image.compressed_bytes > packed.len() as u64);
    }

    /// Gives at most a few bytes at a time, like a pipe whose other end is slow.
    struct Sips<'a>(&'a [u8]);

    impl Read for Sips<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(97);
            self.0.read(&mut buffer[..most])
        }
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_pipe_that_gives_a_few_bytes_at_a_time_hides_no_layer() {
        let noise: Vec<u8> =
            (0..200_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let layer = archive(&[("kept", &noise)]);
        for saved in [archive(&[("1/layer.tar", &layer)]), archive(&[("1", &packed(&layer))])] {
            let whole = SavedImage::read(saved.as_slice()).unwrap();
            assert_eq!(whole.files["kept"], 800_000);
            assert_eq!(SavedImage::read(Sips(&saved)).unwrap(), whole);
        }
    }

    #[test]
    fn a_layer_removes_a_folder_with_its_files_and_nothing_beside_it() {
        let below = archive(&[("a", b""), ("a/b", b""), ("a/b/c", b""), ("a-b", b""), ("a.b", b""), ("ab/c", b"")]);
        let above = archive(&[(".wh.a", b"")]);
        let image = SavedImage::read(archive(&[("1", &below), ("2", &above)]).as_slice()).unwrap();
        assert_eq!(image.present.iter().collect::<Vec<_>>(), ["a-b", "a.b", "ab/c"]);
    }

    #[test]
    fn texts_that_come_to_more_than_memory_are_refused() {
        let layer = archive(&[("var/lib/dpkg/status", b"123"), ("var/lib/dpkg/info/a.list", b"45")]);
        let read = |mut room| SavedImage::default().layer(layer.as_slice(), &mut room).map(|()| room);
        assert_eq!(read(6).unwrap(), 1);
        assert_eq!(read(5).unwrap(), 0);
        assert_eq!(read(4).unwrap_err().to_string(), "the texts of dpkg are too large");
    }

    #[test]
    fn an_archive_that_is_cut_short_is_an_error() {
        let saved = archive(&[("1/layer.tar", &archive(&[("x", &[7; 5000])]))]);
        assert!(SavedImage::read(&saved[..3000]).is_err());
    }
}
