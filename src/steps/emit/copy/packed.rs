//! Docker's archives have layers without compression. A copy in a registry or in a layout has compressed layers, so its
//! manifest is made here. The config stays the same, because it names the layers by their uncompressed contents.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use fs_err as fs;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use tempfile::TempDir;

use super::CopyError;
use crate::formats::oci::{self, Descriptor, Manifest};
use crate::model::digest::{Digest, DigestWriter};
use crate::model::image::Document;
use crate::outside::images::OpenImage;
use crate::outside::store::Store;

/// The compression level, which is also the level of layers that lath makes.
const LEVEL: u32 = 6;

/// An image whose layers were compressed.
pub(super) struct Packed {
    pub(super) root: Document,
    /// The files of the compressed layers, by their digests.
    pub(super) files: BTreeMap<Digest, PathBuf>,
    #[expect(dead_code, reason = "the files live as long as their folder")]
    folder: TempDir,
}

/// Compresses the layers of a manifest.
pub(super) fn pack(image: &OpenImage<'_>, manifest: &Manifest, store: &Store) -> Result<Packed, CopyError> {
    let folder = store.temporary_dir().map_err(crate::outside::images::ImagesError::from)?;
    let numbered: Vec<(usize, &Descriptor)> = manifest.layers.iter().enumerate().collect();
    let packed = numbered.into_par_iter().map(|(number, layer)| {
        if layer.media_type != oci::LAYER {
            return Ok((layer.clone(), None));
        }
        let file = folder.path().join(number.to_string());
        let packed = compressed(&image.blob(layer)?, &file).map_err(CopyError::Compress)?;
        Ok((packed, Some(file)))
    });
    let (mut layers, mut files) = (Vec::new(), BTreeMap::new());
    for (layer, file) in packed.collect::<Result<Vec<_>, CopyError>>()? {
        if let Some(file) = file {
            files.insert(crate::outside::images::digest_of(&layer)?.0, file);
        }
        layers.push(layer);
    }
    let manifest = Manifest::new(manifest.config.clone(), layers, BTreeMap::new());
    let bytes = serde_json::to_vec(&manifest).map_err(|error| CopyError::Compress(error.into()))?;
    Ok(Packed { root: Document::new(oci::MANIFEST, bytes), files, folder })
}

/// Writes the compressed form of a file.
fn compressed(from: &PathBuf, to: &PathBuf) -> io::Result<Descriptor> {
    let writer = DigestWriter::new(io::BufWriter::with_capacity(1 << 20, fs::File::create(to)?));
    let mut encoder = GzEncoder::new(writer, Compression::new(LEVEL));
    io::copy(&mut fs::File::open(from)?, &mut encoder)?;
    let (mut file, digest, size) = encoder.finish()?.finish();
    file.flush()?;
    let media_type = oci::LAYER_GZIP.to_owned();
    Ok(Descriptor { digest: digest.prefixed(), media_type, size, ..Descriptor::default() })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn the_same_layer_is_always_compressed_to_the_same_bytes() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        let bytes = b"layer ".repeat(100_000);
        fs::write(path("tar"), &bytes).unwrap();
        let first = compressed(&path("tar"), &path("a")).unwrap();
        assert_eq!(first, compressed(&path("tar"), &path("b")).unwrap());
        let packed = fs::read(path("a")).unwrap();
        assert_eq!((first.size, first.digest), (packed.len() as u64, Digest::of(&packed).prefixed()));
        // Bytes 4 to 7 of the header are a time (RFC 1952). A time other than 0 would change the digest.
        assert_eq!(packed[4..8], [0; 4]);
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == bytes);
    }
}
