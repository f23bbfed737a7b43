//! Checks before a push: whether the user may write, and which image a tag has now. These requests are sent to the
//! registry itself, because a mirror may be outdated, and nothing can be pushed to a mirror.

use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, HeaderValue};

use crate::model::image::BlobDigest;
use crate::model::image_reference::ImageReference;
use crate::outside::http::with_retries;
use crate::outside::registry::Registry;
use crate::outside::registry::error::{RegistryError, Task};
use crate::outside::registry::requests::{Access, Call, next_address};

impl Registry {
    /// Fails if the user may not write to the repository of `image`. To find out, lath begins an upload and cancels it.
    /// Getting a token is not enough, because a token server may give fewer rights than were requested.
    pub(crate) fn check_push(&self, image: &ImageReference) -> Result<(), RegistryError> {
        let access = self.pushing(image, Task::CheckPush { repository: image.name() });
        self.block_on(async {
            let address = with_retries(&*self.listener, || self.begin_nothing(&access)).await?;
            // If this fails, nothing is lost, because registries delete an upload that is not continued.
            if let Some(address) = address {
                let _ = self.send(&access, &Call::new(Method::DELETE, address)).await;
            }
            Ok(())
        })
    }

    async fn begin_nothing(&self, access: &Access) -> Result<Option<url::Url>, RegistryError> {
        let mut call = Call::new(Method::POST, self.url(access, "blobs/uploads/").await?);
        call.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        let response = self.send(access, &call).await?;
        match response.status().is_success() {
            true => Ok(next_address(&access.task, &response).ok()),
            false => Err(self.unexpected(access, response).await),
        }
    }

    /// Returns the digest that the registry itself has for the tag or digest of `image`. Returns `None` if the registry
    /// does not have this image.
    pub(crate) fn pushed_manifest(&self, image: &ImageReference) -> Result<Option<BlobDigest>, RegistryError> {
        let access = self.pushing(image, Task::FetchManifest { image: image.to_string() });
        let found = with_retries(&*self.listener, || self.find_manifest_once(&access, image));
        match self.block_on(found) {
            Err(RegistryError::Missing { .. }) => Ok(None),
            found => found.map(Some),
        }
    }
}
