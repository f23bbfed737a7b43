//! Reads the output of `docker save` and `podman save`, which is a tar file with documents and layers. Each layer is
//! also a tar file, and may be compressed.
//!
//! The layers in the archive may be in any order. For example, Docker sorts them by digest since version 25. The real
//! order of the layers is in `manifest.json`. Because this file may come after the layers, each layer is read
//! separately, and the layers are joined at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::identity;
use std::io::{self, BufReader, Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{DockerManifest, each_entry};

/// The offset and the bytes of the magic number in a tar header (POSIX, "ustar Interchange Format").
const USTAR: (usize, &[u8]) = (257, b"ustar");
const HEADER_BYTES: u64 = 512;
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// The file that contains the order of the layers.
const MANIFEST: &str = "manifest.json";
/// The name of a file begins with this prefix if it marks a path as removed (image-spec, layer.md, "Whiteouts").
const WHITEOUT: &str = ".wh.";
const DPKG: &str = "var/lib/dpkg/";
/// The maximum total size of `manifest.json` and of dpkg's texts in all layers. The size is limited, because the texts
/// are held in memory.
const MAX_TEXTS_BYTES: u64 = 256 << 20;

/// The contents of an image, collected from its layers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SavedImage {
    /// The files of all layers. The key is the path without a leading slash, and the value is the sum of its sizes in
    /// all layers.
    pub(crate) files: BTreeMap<String, u64>,
    /// The paths of the files that are visible in a container.
    pub(crate) present: BTreeSet<String>,
    /// The compressed size of all layers. If a layer was saved uncompressed, its size after gzip -6 is used.
    pub(crate) compressed_bytes: u64,
    /// dpkg's lists of files, by package.
    pub(crate) package_lists: BTreeMap<String, String>,
    /// dpkg's `status`, from the last layer that has it.
    pub(crate) status: String,
}

/// The contents of one layer.
#[derive(Debug, Default)]
struct Layer {
    /// The path of the layer in the archive.
    name: String,
    files: BTreeMap<String, u64>,
    /// The paths of lower layers that this layer removes.
    removed: BTreeSet<String>,
    compressed_bytes: u64,
    package_lists: BTreeMap<String, String>,
    status: Option<String>,
}

impl SavedImage {
    /// Reads all of `reader`. The contents of files are not kept, except for dpkg's texts.
    pub(crate) fn read(reader: impl Read) -> io::Result<Self> {
        let mut layers = Vec::new();
        let mut manifests: Vec<DockerManifest> = Vec::new();
        let mut room_bytes = MAX_TEXTS_BYTES;
        each_entry(reader, identity, |entry| {
            if !entry.header().entry_type().is_file() {
                return Ok(());
            }
            let name = plain(&entry.path()?.to_string_lossy());
            let packed_bytes = entry.size();
            let (start, entry) = peeked(entry)?;
            if name == MANIFEST {
                manifests = serde_json::from_str(&text(entry, &mut room_bytes)?)?;
            } else if start.starts_with(&GZIP) {
                let (start, unpacked) = peeked(MultiGzDecoder::new(entry))?;
                if is_tar(&start) {
                    let layer = Layer::read(name, unpacked, &mut room_bytes)?;
                    layers.push(Layer { compressed_bytes: packed_bytes, ..layer });
                }
            } else if is_tar(&start) {
                let mut tee = Tee { inner: entry, copy: Blocks::new(GzEncoder::new(Count(0), Compression::new(6))) };
                let layer = Layer::read(name, &mut tee, &mut room_bytes)?;
                io::copy(&mut tee, &mut io::sink())?;
                layers.push(Layer { compressed_bytes: tee.copy.finish()?.finish()?.0, ..layer });
            }
            Ok(())
        })?;
        let mut order = BTreeMap::new();
        for (position, name) in manifests.into_iter().flat_map(|image| image.layers).enumerate() {
            order.entry(name).or_insert(position);
        }
        // Because the sort is stable, layers that are not in the manifest stay in the order of the archive.
        layers.sort_by_key(|layer: &Layer| order.get(&layer.name).copied().unwrap_or(usize::MAX));
        let mut image = Self::default();
        layers.into_iter().for_each(|layer| image.add(layer));
        Ok(image)
    }

    /// Adds a layer above all layers that were added before.
    fn add(&mut self, layer: Layer) {
        layer.removed.iter().for_each(|gone| self.remove(gone));
        for (path, size_bytes) in layer.files {
            *self.files.entry(path.clone()).or_default() += size_bytes;
            self.present.insert(path);
        }
        for (package, list) in layer.package_lists {
            self.package_lists.entry(package).or_default().push_str(&list);
        }
        self.status = layer.status.unwrap_or_else(|| std::mem::take(&mut self.status));
        self.compressed_bytes += layer.compressed_bytes;
    }

    /// Removes the path `gone` and all paths below it from `present`.
    fn remove(&mut self, gone: &str) {
        let below = format!("{gone}/");
        let paths = self.present.range(below.clone()..).take_while(|path| path.starts_with(&below)).cloned();
        for path in paths.collect::<Vec<_>>() {
            self.present.remove(&path);
        }
        self.present.remove(gone);
    }
}

impl Layer {
    /// Reads one layer. `room_bytes` is the number of bytes that all further texts may have together. This function
    /// reduces it.
    fn read(name: String, reader: impl Read, room_bytes: &mut u64) -> io::Result<Self> {
        let mut layer = Self { name, ..Self::default() };
        each_entry(reader, identity, |entry| {
            let path = plain(&entry.path()?.to_string_lossy());
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            if let Some(removed) = name.strip_prefix(WHITEOUT) {
                let gone = if folder.is_empty() { removed.to_owned() } else { format!("{folder}/{removed}") };
                layer.removed.insert(gone);
                return Ok(());
            }
            if !entry.header().entry_type().is_file() {
                return Ok(());
            }
            *layer.files.entry(path.clone()).or_default() += entry.size();
            let Some(known) = path.strip_prefix(DPKG) else { return Ok(()) };
            let list = known.strip_prefix("info/").and_then(|name| name.strip_suffix(".list"));
            if known == "status" {
                layer.status = Some(text(entry, room_bytes)?);
            } else if let Some(package) = list {
                let name = package.split(':').next().unwrap_or_default().to_owned();
                layer.package_lists.entry(name).or_default().push_str(&text(entry, room_bytes)?);
            }
            Ok(())
        })?;
        Ok(layer)
    }
}

/// Returns a path of a tar file without a leading slash or `./`.
fn plain(path: &str) -> String {
    path.trim_start_matches("./").trim_start_matches('/').to_owned()
}

/// Reads a text, and subtracts its size from `room_bytes`. Fails if the text has more than `room_bytes`.
fn text(reader: impl Read, room_bytes: &mut u64) -> io::Result<String> {
    let mut text = String::new();
    let length = reader.take(*room_bytes + 1).read_to_string(&mut text)? as u64;
    let too_large =
        || io::Error::new(io::ErrorKind::InvalidData, "the texts of dpkg and `manifest.json` are too large");
    *room_bytes = room_bytes.checked_sub(length).ok_or_else(too_large)?;
    Ok(text)
}

/// Returns the first bytes of a file, up to the size of a tar header, and a reader that starts again at the first byte.
fn peeked<R: Read>(mut reader: R) -> io::Result<(Vec<u8>, impl Read)> {
    let mut start = Vec::with_capacity(HEADER_BYTES as usize);
    // All bytes of the header are read, because a single read from a pipe or a decompressor may return fewer.
    reader.by_ref().take(HEADER_BYTES).read_to_end(&mut start)?;
    let whole = BufReader::with_capacity(1 << 16, io::Cursor::new(start.clone()).chain(reader));
    Ok((start, whole))
}

fn is_tar(start: &[u8]) -> bool {
    let (at, magic) = USTAR;
    start.len() as u64 == HEADER_BYTES && start[at..].starts_with(magic)
}

/// A reader that also copies all bytes to a writer.
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

/// A writer that passes on its bytes in blocks of a fixed size, because the output of the compressor depends on the
/// sizes of the blocks that it gets.
struct Blocks<W> {
    inner: W,
    block: Vec<u8>,
}

impl<W: Write> Blocks<W> {
    const BYTES: usize = 1 << 16;

    fn new(inner: W) -> Self {
        Self { inner, block: Vec::with_capacity(Self::BYTES) }
    }

    /// Writes the last block and returns the writer.
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

    /// A reader that returns at most 97 bytes per read, like a pipe with a slow writer.
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
        let read = |mut room| Layer::read("1".to_owned(), layer.as_slice(), &mut room).map(|_| room);
        assert_eq!(read(6).unwrap(), 1);
        assert_eq!(read(5).unwrap(), 0);
        assert_eq!(read(4).unwrap_err().to_string(), "the texts of dpkg and `manifest.json` are too large");
    }

    #[test]
    fn the_manifest_orders_the_layers_and_not_the_archive() {
        let below = archive(&[("a", b"1"), ("var/lib/dpkg/status", b"Package: bash\n")]);
        let above = archive(&[(".wh.a", b""), ("b", b"1"), ("var/lib/dpkg/status", b"Package: dash\n")]);
        let manifest = br#"[{"Config": "c", "RepoTags": null, "Layers": ["blobs/sha256/9", "blobs/sha256/1"]}]"#;
        let saved =
            archive(&[("blobs/sha256/1", &above), ("blobs/sha256/9", &below), ("manifest.json", manifest.as_slice())]);
        let image = SavedImage::read(saved.as_slice()).unwrap();
        assert!(!image.present.contains("a") && image.present.contains("b"));
        assert_eq!(image.status, "Package: dash\n");
    }

    #[test]
    fn an_archive_that_is_cut_short_is_an_error() {
        let saved = archive(&[("1/layer.tar", &archive(&[("x", &[7; 5000])]))]);
        assert!(SavedImage::read(&saved[..3000]).is_err());
    }
}
