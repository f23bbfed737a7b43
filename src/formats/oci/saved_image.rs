//! Reads the output of `docker save` and `podman save`: a tar of documents and layers. Each layer is itself a tar,
//! sometimes compressed.
//!
//! The archive may contain the layers in any order: Docker sorts them by digest since version 25. Their real order is in
//! `manifest.json`, which may come after them, so each layer is read on its own and the layers are joined at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead as _, BufReader, Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::DockerManifest;

/// The magic of a tar header and its offset (POSIX, "ustar Interchange Format").
const USTAR: (usize, &[u8]) = (257, b"ustar");
const HEADER_BYTES: usize = 512;
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// The file with the order of the layers.
const MANIFEST: &str = "manifest.json";
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

/// The contents of one layer.
#[derive(Debug, Default)]
struct Layer {
    /// The path of the layer in the archive.
    name: String,
    files: BTreeMap<String, u64>,
    /// Paths of lower layers that this one removes.
    removed: Vec<String>,
    compressed_bytes: u64,
    package_lists: BTreeMap<String, String>,
    status: Option<String>,
}

impl SavedImage {
    /// Reads all of `reader`. Of the file contents, only dpkg's texts are kept.
    pub(crate) fn read(reader: impl Read) -> io::Result<Self> {
        let mut layers = Vec::new();
        let mut manifests: Vec<DockerManifest> = Vec::new();
        let mut outer = tar::Archive::new(reader);
        for entry in outer.entries()? {
            let entry = entry?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let name = plain(&entry.path()?.to_string_lossy());
            let packed_bytes = entry.size();
            let mut entry = BufReader::with_capacity(1 << 16, entry);
            if name == MANIFEST {
                manifests = serde_json::from_reader(entry)?;
            } else if entry.fill_buf()?.starts_with(&GZIP) {
                let mut unpacked = BufReader::with_capacity(1 << 16, MultiGzDecoder::new(entry));
                if is_tar(&mut unpacked)? {
                    layers.push(Layer { compressed_bytes: packed_bytes, ..Layer::read(name, unpacked)? });
                }
            } else if is_tar(&mut entry)? {
                let mut tee = Tee { inner: entry, copy: GzEncoder::new(Count(0), Compression::new(6)) };
                let layer = Layer::read(name, &mut tee)?;
                io::copy(&mut tee, &mut io::sink())?;
                layers.push(Layer { compressed_bytes: tee.copy.finish()?.0, ..layer });
            }
        }
        let order: Vec<String> = manifests.into_iter().flat_map(|image| image.layers).collect();
        // The sort is stable, so layers that no manifest names keep the order of the archive.
        layers.sort_by_key(|layer| order.iter().position(|name| *name == layer.name).unwrap_or(usize::MAX));
        let mut image = Self::default();
        layers.into_iter().for_each(|layer| image.add(layer));
        Ok(image)
    }

    /// Adds the layer above those that were added before.
    fn add(&mut self, layer: Layer) {
        for gone in layer.removed {
            let below = format!("{gone}/");
            self.present.retain(|path| *path != gone && !path.starts_with(&below));
        }
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
}

impl Layer {
    fn read(name: String, reader: impl Read) -> io::Result<Self> {
        let mut layer = Self { name, ..Self::default() };
        let mut archive = tar::Archive::new(reader);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = plain(&entry.path()?.to_string_lossy());
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            if let Some(removed) = name.strip_prefix(WHITEOUT) {
                let gone = if folder.is_empty() { removed.to_owned() } else { format!("{folder}/{removed}") };
                layer.removed.push(gone);
                continue;
            }
            if !entry.header().entry_type().is_file() {
                continue;
            }
            *layer.files.entry(path.clone()).or_default() += entry.size();
            let Some(known) = path.strip_prefix(DPKG) else { continue };
            let list = known.strip_prefix("info/").and_then(|name| name.strip_suffix(".list"));
            if known == "status" {
                let mut status = String::new();
                entry.read_to_string(&mut status)?;
                layer.status = Some(status);
            } else if let Some(package) = list {
                let name = package.split(':').next().unwrap_or_default().to_owned();
                entry.read_to_string(layer.package_lists.entry(name).or_default())?;
            }
        }
        Ok(layer)
    }
}

/// Returns a path of a tar without a leading slash or `./`.
fn plain(path: &str) -> String {
    path.trim_start_matches("./").trim_start_matches('/').to_owned()
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
