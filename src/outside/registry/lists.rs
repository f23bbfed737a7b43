//! The lists of a registry: tags, and the manifests that refer to another one (distribution-spec, "Content Discovery").

use std::str::FromStr as _;

use reqwest::header::{ACCEPT, HeaderValue, LINK};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use url::Url;

use crate::formats::oci;
use crate::model::digest::Digest;
use crate::model::image::BlobDigest;
use crate::model::image_reference::ImageReference;
use crate::outside::http::with_retries;
use crate::outside::registry::error::{RegistryError, Task};
use crate::outside::registry::pull::{pulling, text_of};
use crate::outside::registry::requests::{Access, Call};
use crate::outside::registry::{Referrer, Registry};

const MAX_PAGE_BYTES: u64 = 8 << 20;
/// A list has at most so many pages.
const MAX_PAGES: usize = 1000;

#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
}

impl Registry {
    pub(super) async fn list_tags(&self, image: &ImageReference) -> Result<Vec<String>, RegistryError> {
        let access = pulling(&self.host(image), image, Task::ListTags { repository: image.name() });
        let mut tags = Vec::new();
        let first = self.url(&access, "tags/list").await?;
        for page in self.pages(&access, first).await? {
            let page: Tags = serde_json::from_slice(&page).map_err(|_| list(&access))?;
            tags.extend(page.tags.unwrap_or_default());
        }
        Ok(tags)
    }

    pub(super) async fn list_referrers(
        &self,
        image: &ImageReference,
        digest: &BlobDigest,
    ) -> Result<Vec<Referrer>, RegistryError> {
        let task = Task::ListReferrers { digest: digest.0.prefixed(), repository: image.name() };
        let access = pulling(&self.host(image), image, task);
        let first = self.url(&access, &format!("referrers/{}", digest.0.prefixed())).await?;
        let mut pages = self.pages(&access, first).await?;
        if pages.is_empty() {
            // Registries without this list have an index with this tag (distribution-spec, "Unavailable Referrers API").
            let tag = format!("sha256-{}", digest.0);
            pages = self.pages(&access, self.url(&access, &format!("manifests/{tag}")).await?).await?;
        }
        let mut referrers = Vec::new();
        for page in pages {
            let index: oci::Index = serde_json::from_slice(&page).map_err(|_| list(&access))?;
            referrers.extend(index.manifests.iter().filter_map(referrer));
        }
        Ok(referrers)
    }

    /// Returns the pages of a list. There are none if the registry does not have the list.
    async fn pages(&self, access: &Access, first: Url) -> Result<Vec<Vec<u8>>, RegistryError> {
        let (mut pages, mut next) = (Vec::new(), Some(first));
        while let Some(url) = next {
            if pages.len() == MAX_PAGES {
                return Err(list(access));
            }
            let Some((page, following)) = with_retries(&*self.listener, || self.page(access, &url)).await? else {
                break;
            };
            pages.push(page);
            next = following.filter(|following| *following != url);
        }
        Ok(pages)
    }

    async fn page(&self, access: &Access, url: &Url) -> Result<Option<(Vec<u8>, Option<Url>)>, RegistryError> {
        let mut call = Call::new(Method::GET, url.clone());
        call.headers
            .insert(ACCEPT, HeaderValue::from_static("application/json, application/vnd.oci.image.index.v1+json"));
        let response = self.send(access, &call).await?;
        match response.status() {
            StatusCode::NOT_FOUND => return Ok(None),
            status if status.is_success() => {}
            _ => return Err(self.unexpected(access, response).await),
        }
        let next = following(&response);
        let page = self.read(&access.task, response, MAX_PAGE_BYTES).await?;
        Ok(Some((page, next)))
    }
}

/// Reads `Link: </v2/NAME/tags/list?n=2&last=b>; rel="next"` (RFC 8288).
fn following(response: &Response) -> Option<Url> {
    let link = text_of(response, LINK.as_str())?;
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    if !parameters.replace('"', "").contains("rel=next") {
        return None;
    }
    let url = response.url().join(target).ok()?;
    (url.origin() == response.url().origin()).then_some(url)
}

/// Returns a manifest of a list, if its digest is of the kind that lath reads.
fn referrer(descriptor: &oci::Descriptor) -> Option<Referrer> {
    let digest = BlobDigest(Digest::from_str(descriptor.digest.strip_prefix("sha256:")?).ok()?);
    let artifact_type = descriptor.other.get("artifactType").and_then(|value| value.as_str()).map(str::to_owned);
    Some(Referrer { digest, artifact_type, size_bytes: descriptor.size })
}

fn list(access: &Access) -> RegistryError {
    RegistryError::List { task: access.task.clone() }
}
