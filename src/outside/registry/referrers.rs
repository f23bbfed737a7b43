//! Referrers: manifests that refer to another manifest, which is called their subject (distribution-spec, "Pushing
//! Manifests with Subject" and "Listing Referrers").

use reqwest::header::{ACCEPT, HeaderValue, LINK};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Map, Value};
use url::Url;

use crate::formats::oci::{self, Descriptor, Index};
use crate::model::image::{BlobDigest, Document};
use crate::model::image_reference::ImageReference;
use crate::outside::http::with_retries;
use crate::outside::registry::Registry;
use crate::outside::registry::error::{RegistryError, Task};
use crate::outside::registry::pull::{pulling, text_of};
use crate::outside::registry::requests::{Access, Call};

const MAX_PAGE_BYTES: u64 = 8 << 20;
/// The maximum number of pages of a list that are read. If the list has more pages, the rest is not read.
const MAX_PAGES: usize = 100;
/// If the pages that were read have this number of bytes or more, no further page is read.
const MAX_LIST_BYTES: usize = 16 << 20;
/// The maximum number of rounds. In each round, lath reads the list, and writes it if the entry is missing.
const MAX_ROUNDS: usize = 5;
/// If a registry supports referrers, it repeats the digest of the subject in this header.
pub(super) const SUBJECT_HEADER: &str = "oci-subject";

/// A part of a list of referrers.
struct Page {
    referrers: Vec<Descriptor>,
    bytes: usize,
    /// The URL of the next page.
    next: Option<Url>,
}

impl Registry {
    /// Pushes a manifest by its digest. The manifest refers to `subject`. `descriptor` is its entry in the list of
    /// referrers. If the registry does not support such lists, the entry is added to the index that is used instead of
    /// the list. Fails if other programs replace the index after each attempt, or if the registry uses the tag of the
    /// index for another manifest.
    pub(crate) fn push_referrer(
        &self,
        image: &ImageReference,
        subject: &BlobDigest,
        document: &Document,
        descriptor: &Descriptor,
    ) -> Result<(), RegistryError> {
        self.block_on(async {
            let place = image.with_digest(document.digest);
            if self.send_manifest(&place, document).await? {
                return Ok(());
            }
            let tagged = list_tag(image, subject);
            // Another push at the same time may replace the list. Then the list lacks this entry, so it is checked
            // again.
            for _ in 0..MAX_ROUNDS {
                if self.add_to_list(&tagged, subject, descriptor).await? {
                    return Ok(());
                }
            }
            Err(RegistryError::Replaced { list: tagged.to_string() })
        })
    }

    /// Adds an entry to the list with this tag. Returns whether the list had it already.
    async fn add_to_list(
        &self,
        tagged: &ImageReference,
        subject: &BlobDigest,
        descriptor: &Descriptor,
    ) -> Result<bool, RegistryError> {
        // The list of a mirror may be outdated. An outdated list must not replace the list of the registry.
        let mut index = match self.pull_own_manifest(tagged).await {
            // Some registries answer with the subject itself, as if the tag were its digest. The subject may be an
            // index, too.
            Ok(found) => index_in(&found.bytes)
                .filter(|_| found.digest != *subject)
                .ok_or_else(|| RegistryError::NoReferrers { list: tagged.to_string() })?,
            Err(RegistryError::Missing { .. }) => Index::new(Vec::new(), std::collections::BTreeMap::new()),
            Err(error) => return Err(error),
        };
        if index.manifests.iter().any(|entry| entry.digest == descriptor.digest) {
            return Ok(true);
        }
        index.manifests.push(descriptor.clone());
        let bytes = serde_json::to_vec(&index).map_err(|_| not_a_list(tagged))?;
        self.send_manifest(tagged, &Document::new(oci::INDEX, bytes)).await?;
        Ok(false)
    }

    /// Returns the manifests that refer to `subject`: all of them, or those of one type.
    pub(crate) fn referrers(
        &self,
        image: &ImageReference,
        subject: &BlobDigest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let is_wanted = |entry: &Descriptor| {
            artifact_type.is_none_or(|wanted| entry.other.get("artifactType").is_some_and(|own| own == wanted))
        };
        let mut found = self.block_on(self.list_referrers(image, subject, artifact_type))?;
        // A registry may ignore the filter in the request.
        found.retain(is_wanted);
        Ok(found)
    }

    async fn list_referrers(
        &self,
        image: &ImageReference,
        subject: &BlobDigest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let task = Task::ListReferrers { image: image.with_digest(*subject).to_string() };
        let access = pulling(&self.host(image), image, task);
        let mut first = self.url(&access, &format!("referrers/{}", subject.0.prefixed())).await?;
        if let Some(artifact_type) = artifact_type {
            first.query_pairs_mut().append_pair("artifactType", artifact_type);
        }
        if let Some(referrers) = self.list(&access, first).await? {
            return Ok(referrers);
        }
        let tagged = list_tag(image, subject);
        let path = format!("manifests/{}", tagged.reference());
        let listed = self.list(&access, self.url(&access, &path).await?).await?;
        Ok(listed.unwrap_or_default())
    }

    /// Returns the entries on all pages of a list. Returns `None` if the registry does not have the list.
    async fn list(&self, access: &Access, first: Url) -> Result<Option<Vec<Descriptor>>, RegistryError> {
        let mut referrers: Option<Vec<Descriptor>> = None;
        let (mut next, mut pages, mut bytes) = (Some(first), 0, 0);
        while let Some(url) = next.filter(|_| pages < MAX_PAGES && bytes < MAX_LIST_BYTES) {
            let page = match (with_retries(&*self.listener, || self.page(access, &url)).await?, &referrers) {
                (Some(page), _) => page,
                (None, None) => return Ok(None),
                (None, Some(_)) => return Err(RegistryError::NoManifest { task: access.task.clone() }),
            };
            (pages, bytes) = (pages + 1, bytes + page.bytes);
            referrers.get_or_insert_default().extend(page.referrers);
            next = page.next.filter(|following| *following != url);
        }
        Ok(referrers)
    }

    /// Fetches a page of a list. A registry without such lists should respond with 404. But some respond with another
    /// status, or successfully with a page for people.
    async fn page(&self, access: &Access, url: &Url) -> Result<Option<Page>, RegistryError> {
        let mut call = Call::new(Method::GET, url.clone());
        call.headers.insert(ACCEPT, HeaderValue::from_static(oci::INDEX));
        let response = self.send(access, &call).await?;
        match response.status() {
            status if status.is_success() => {}
            // These concern the proxy or the moment, and not the list. Missing permission is already an error.
            StatusCode::PROXY_AUTHENTICATION_REQUIRED | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                return Err(self.unexpected(access, response).await);
            }
            status if status.is_client_error() => return Ok(None),
            _ => return Err(self.unexpected(access, response).await),
        }
        let next = following(&response);
        let bytes = self.read(&access.task, response, MAX_PAGE_BYTES).await?;
        Ok(index_in(&bytes).map(|index| Page { referrers: index.manifests, bytes: bytes.len(), next }))
    }
}

/// Reads an index. Returns `None` if the bytes are something else.
fn index_in(bytes: &[u8]) -> Option<Index> {
    let document: Map<String, Value> = serde_json::from_slice(bytes).ok()?;
    if !document.contains_key("manifests") {
        return None;
    }
    let index: Index = serde_json::from_value(Value::Object(document)).ok()?;
    matches!(index.media_type.as_str(), oci::INDEX | oci::DOCKER_INDEX).then_some(index)
}

/// Returns the tag of the index that is used instead of a list of referrers (distribution-spec, "Referrers Tag
/// Schema").
fn list_tag(image: &ImageReference, subject: &BlobDigest) -> ImageReference {
    ImageReference { tag: Some(format!("sha256-{}", subject.0)), digest: None, ..image.clone() }
}

fn not_a_list(image: &ImageReference) -> RegistryError {
    RegistryError::NoManifest { task: Task::ListReferrers { image: image.to_string() } }
}

/// Reads `Link: </v2/NAME/referrers/DIGEST?n=2&last=b>; rel="next"` (RFC 8288).
fn following(response: &Response) -> Option<Url> {
    let link = text_of(response, LINK.as_str())?;
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    if !parameters.replace('"', "").contains("rel=next") {
        return None;
    }
    let url = response.url().join(target).ok()?;
    (url.origin() == response.url().origin()).then_some(url)
}
