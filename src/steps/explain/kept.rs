//! The explanations in the store. Each is a blob. lath finds it by the digest of the image's config. This digest is the
//! same in every archive, daemon and registry, even if the layers are compressed in another way.

use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::encoded::{decode, encode};
use super::error::ExplainError;
use crate::model::digest::Digest;
use crate::model::explanation::Explanation;
use crate::model::image::{BlobDescriptor, BlobDigest};
use crate::outside::store::{Bucket, Store, StoreError};

/// The blob with the explanation of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Explained {
    digest: BlobDigest,
    size_bytes: u64,
}

/// Keeps the explanation of the image whose config has the digest `config`.
pub(crate) fn keep(config: &BlobDigest, explanation: &Explanation, store: &Store) -> Result<(), ExplainError> {
    let bytes = encode(explanation).map_err(ExplainError::Encode)?;
    let explained = Explained { digest: BlobDigest(Digest::of(&bytes)), size_bytes: bytes.len() as u64 };
    if !store.has_blob(&explained.digest, Some(explained.size_bytes)) {
        store.write_blob(&explained.digest, explained.size_bytes, |writer| {
            writer.write_all(&bytes).map_err(StoreError::Incoming)
        })?;
    }
    if store.entry::<Explained>(Bucket::Explanations, &config.0) != Some(explained) {
        store.write_entry(Bucket::Explanations, &config.0, &explained)?;
    }
    Ok(())
}

/// Returns the blob with the explanation of the image whose config has the digest `config`. `None` if the store does
/// not have it.
pub(crate) fn kept(config: &BlobDigest, store: &Store) -> Option<BlobDescriptor> {
    let Explained { digest, size_bytes } = store.entry(Bucket::Explanations, &config.0)?;
    store.has_blob(&digest, Some(size_bytes)).then_some(BlobDescriptor { digest, size_bytes })
}

/// Reads from the store the explanation of the image whose config has the digest `config`.
pub(super) fn read(config: &BlobDigest, store: &Store) -> Result<Option<Explanation>, ExplainError> {
    let Some(explained) = kept(config, store) else { return Ok(None) };
    let path = store.blob_path(&explained.digest);
    let file = fs::File::open(&path).map_err(|source| ExplainError::Read { path: path.clone(), source })?;
    let all = decode(file).map_err(|source| ExplainError::File { path, source })?;
    Ok(all.into_iter().next())
}
