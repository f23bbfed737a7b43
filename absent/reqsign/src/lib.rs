//! Replaces the library reqsign. With reqsign, uv signs requests to indexes in the storage of Amazon, Google or
//! Microsoft, if `UV_S3_ENDPOINT_URL`, `UV_GCS_ENDPOINT_URL` or `UV_AZURE_ENDPOINT_URL` is set. lath fetches wheels
//! without uv, and does not sign these requests, so lath cannot use such an index. lath warns that the variables have
//! no effect (docs/decisions/0190-crates-that-never-run-are-replaced.md).
//!
//! These are the parts that uv-auth uses. Requests are sent without a signature.

use std::marker::PhantomData;
use std::time::Duration;

use http::request::Parts;
use thiserror::Error as ThisError;

/// An error of [`Signer::sign`], which never fails.
#[derive(Debug, ThisError)]
pub enum Error {}

/// Signs nothing. The parameter `Storage` makes a different type for the storage of each company, as uv-auth needs it.
#[derive(Debug, Clone)]
pub struct Signer<Storage>(PhantomData<Storage>);

impl<Storage> Signer<Storage> {
    /// Leaves the request as it is.
    ///
    /// # Errors
    ///
    /// None.
    pub async fn sign(&self, _parts: &mut Parts, _expires_in: Option<Duration>) -> Result<(), Error> {
        Ok(())
    }
}

/// The storage of Amazon, S3.
pub mod aws {
    use std::marker::PhantomData;

    use crate::Signer;

    #[derive(Debug, Clone)]
    pub enum S3 {}

    pub type DefaultSigner = Signer<S3>;

    #[must_use]
    pub fn default_signer(_service: &str, _region: &str) -> DefaultSigner {
        Signer(PhantomData)
    }
}

/// The storage of Microsoft.
pub mod azure {
    use std::marker::PhantomData;

    use crate::Signer;

    #[derive(Debug, Clone)]
    pub enum Blobs {}

    pub type DefaultSigner = Signer<Blobs>;

    #[must_use]
    pub fn default_signer() -> DefaultSigner {
        Signer(PhantomData)
    }
}

/// The storage of Google.
pub mod google {
    use std::marker::PhantomData;

    use crate::Signer;

    #[derive(Debug, Clone)]
    pub enum CloudStorage {}

    pub type DefaultSigner = Signer<CloudStorage>;

    #[must_use]
    pub fn default_signer(_service: &str) -> DefaultSigner {
        Signer(PhantomData)
    }
}
