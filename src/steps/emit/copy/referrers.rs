//! The referrers of an image: manifests about it, such as signatures and SBOMs. They are copied after the image, with
//! the referrers of referrers.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{CopyError, Graph, MAX_DOCUMENTS};
use crate::formats::oci::Descriptor;
use crate::model::image::{BlobDigest, Document};
use crate::model::image_reference::ImageReference;
use crate::outside::images::{OpenImage, digest_of};
use crate::outside::world::World;
use crate::steps::emit::registry::{failed, fill};

/// A copy of referrers from one registry to another, or to another repository.
pub(super) struct Referrers<'a> {
    pub(super) image: &'a OpenImage<'a>,
    pub(super) to: &'a ImageReference,
    pub(super) world: &'a World,
}

/// The field of a manifest with its subject: the manifest that it is about.
#[derive(Deserialize)]
struct About {
    subject: Option<Descriptor>,
}

impl Referrers<'_> {
    /// Copies the referrers of the documents in `subjects`, and returns their number.
    pub(super) fn copy(&self, mut subjects: Vec<BlobDigest>) -> Result<usize, CopyError> {
        let mut seen = BTreeSet::new();
        while let Some(subject) = subjects.pop() {
            for entry in self.image.referrers(&subject, None)? {
                let digest = digest_of(&entry)?;
                if seen.contains(&digest.0) {
                    continue;
                }
                let document = self.image.document(&entry)?;
                // The list can also contain other manifests. The reason: if the list is the index of a tag, everyone
                // who can push can write it.
                if !is_about(&document, &subject) {
                    continue;
                }
                seen.insert(digest.0);
                if seen.len() > MAX_DOCUMENTS {
                    return Err(CopyError::TooMany { from: self.image.source().clone() });
                }
                self.copy_one(&subject, &entry, document)?;
                subjects.push(digest);
            }
        }
        Ok(seen.len())
    }

    fn copy_one(&self, subject: &BlobDigest, entry: &Descriptor, document: Document) -> Result<(), CopyError> {
        let graph = Graph::of(self.image, document)?;
        fill(self.to, &[], &graph.contents(self.image, String::new())?, self.world)?;
        let pushed = self.world.registry.push_referrer(self.to, subject, &graph.root, entry);
        pushed.map_err(|source| failed(self.to, source).into())
    }
}

fn is_about(document: &Document, subject: &BlobDigest) -> bool {
    let about: Option<About> = serde_json::from_slice(&document.bytes).ok();
    about.and_then(|about| about.subject).is_some_and(|named| named.digest == subject.0.prefixed())
}
