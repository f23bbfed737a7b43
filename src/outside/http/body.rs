//! The bodies of responses, with limits on their size and speed. Everything that lath or uv reads from the network
//! passes through this module after decompression.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{BoxStream, Stream};
use reqwest::Response;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::hint::{Hint, Hints, NetworkHint};
use crate::model::secret_text::public;

const MIB: u64 = 1 << 20;
/// Each page and each metadata file counts as at least this many bytes. Otherwise a server could send small documents
/// without end.
const LEAST_DOCUMENT_BYTES: u64 = 16 << 10;

/// Limits for the bodies of responses: their sizes, and the speed at which they must arrive.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    /// Limit for an index page or a requirements file.
    pub(crate) page_bytes: u64,
    /// Limit for a wheel's metadata, in a separate file or inside the wheel.
    pub(crate) metadata_bytes: u64,
    /// Limit for all pages and metadata that one run reads.
    pub(crate) documents_bytes: u64,
    /// A document is large if it has more bytes than this. Only a few large documents are in memory at once.
    pub(crate) large_bytes: u64,
    /// Limit for a wheel or .deb. The limit applies even if the index contains a larger size.
    pub(crate) parcel_bytes: u64,
    pub(crate) pace: Pace,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            page_bytes: 64 * MIB,
            metadata_bytes: 16 * MIB,
            documents_bytes: 1024 * MIB,
            large_bytes: 4 * MIB,
            parcel_bytes: 8192 * MIB,
            pace: Pace { window: Duration::from_secs(60), least_bytes: 60 << 10 },
        }
    }
}

/// The minimum speed of a body. Only the time in which lath waits for bytes is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) window: Duration,
    /// The number of bytes that must arrive in each window of time.
    pub(crate) least_bytes: u64,
}

/// The kinds of bodies. Each has its own limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Page,
    Metadata,
    Parcel,
}

/// Applies the limits of this process, and counts the bytes of all documents.
#[derive(Debug, Clone)]
pub(crate) struct Bodies {
    bounds: Arc<Bounds>,
    /// The bytes of all documents that were read until now.
    documents: Arc<AtomicU64>,
    /// Permits for large documents. The rest of a large document is read only with a permit.
    large: Arc<Semaphore>,
}

impl Default for Bodies {
    fn default() -> Self {
        Self::new(Bounds::default())
    }
}

#[derive(Debug, Error)]
pub(crate) enum BodyError {
    #[error(transparent)]
    Network(reqwest::Error),
    #[error("cannot read `{url}`: it is larger than {max_bytes} bytes")]
    TooLarge { url: String, max_bytes: u64 },
    #[error("cannot read `{url}`: the pages and metadata of one build are larger than {max_bytes} bytes")]
    TooMany { url: String, max_bytes: u64 },
    #[error("cannot read `METADATA` in `{wheel}`: it is larger than {max_bytes} bytes")]
    LargeMetadata { wheel: String, max_bytes: u64 },
    #[error(
        "cannot read `METADATA` in `{wheel}`: reading it needs more than {max_requests} requests or {max_bytes} bytes"
    )]
    ScatteredMetadata { wheel: String, max_requests: u32, max_bytes: u64 },
    #[error("cannot read `{url}`: it arrives too slowly")]
    TooSlow {
        url: String,
        /// This error has the kind `TimedOut`, so that uv tries again.
        source: std::io::Error,
    },
}

impl BodyError {
    /// Returns the `BodyError` among the causes of `error`, if there is one.
    pub(crate) fn within<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(cause) = next {
            // The `source()` of an `io::Error` skips the error that the `io::Error` wraps, so the wrapped error is
            // checked here.
            let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            if let Some(wrapped) = wrapped
                && let Some(found) = Self::within(wrapped)
            {
                return Some(found);
            }
            if let Some(found) = cause.downcast_ref::<Self>() {
                return Some(found);
            }
            next = cause.source();
        }
        None
    }
}

impl Hints for BodyError {
    fn own_hints(&self) -> Vec<Hint> {
        let hint = match self {
            Self::Network(_) => return Vec::new(),
            Self::TooLarge { .. } => NetworkHint::LargePage,
            Self::LargeMetadata { .. } | Self::ScatteredMetadata { .. } => NetworkHint::LargeMetadata,
            Self::TooMany { .. } => NetworkHint::ManyPages,
            Self::TooSlow { .. } => NetworkHint::Slow,
        };
        vec![Hint::Network(hint)]
    }
}

impl Bodies {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds: Arc::new(bounds), documents: Arc::default(), large: Arc::new(Semaphore::new(4)) }
    }

    /// Returns the limit for a parcel. `size_bytes` is its size according to the index, if the index contains it.
    pub(crate) fn parcel_bytes(&self, size_bytes: Option<u64>) -> u64 {
        size_bytes.unwrap_or(u64::MAX).min(self.bounds.parcel_bytes)
    }

    /// Returns the limit for the metadata of a wheel.
    pub(crate) fn metadata_bytes(&self) -> u64 {
        self.bounds.metadata_bytes
    }

    /// Returns the body of `response`, with the limit of its kind.
    pub(crate) fn of_kind(&self, kind: Kind, response: Response) -> Body {
        let max_bytes = match kind {
            Kind::Page => self.bounds.page_bytes,
            Kind::Metadata => self.bounds.metadata_bytes,
            Kind::Parcel => self.bounds.parcel_bytes,
        };
        let document = (kind != Kind::Parcel).then(|| self.document(response.url().as_str()));
        Body { document, ..self.of(response, max_bytes) }
    }

    /// Creates a document of which no bytes were read yet.
    pub(crate) fn document(&self, url: &str) -> Document {
        Document { url: public(url), bodies: self.clone(), have_bytes: 0, permit: None }
    }

    /// Returns the body of `response`. If it has more than `max_bytes`, reading it fails.
    pub(crate) fn of(&self, response: Response, max_bytes: u64) -> Body {
        Body {
            url: public(response.url().as_str()),
            max_bytes,
            pace: self.bounds.pace,
            document: None,
            have_bytes: 0,
            waited: Duration::ZERO,
            window_bytes: 0,
            chunks: response.bytes_stream().boxed(),
        }
    }
}

/// A page or a wheel's metadata while it is in memory. Its bytes count towards the limit for all documents.
pub(crate) struct Document {
    url: String,
    bodies: Bodies,
    have_bytes: u64,
    permit: Option<OwnedSemaphorePermit>,
}

impl Document {
    #[cfg(test)]
    pub(crate) fn have_bytes(&self) -> u64 {
        self.have_bytes
    }

    /// Counts `bytes` that were read. If the document becomes large and too many other large documents are in memory,
    /// this waits.
    pub(crate) async fn add(&mut self, bytes: u64) -> Result<(), BodyError> {
        let counted = if self.have_bytes == 0 { bytes.max(LEAST_DOCUMENT_BYTES) } else { bytes };
        self.have_bytes += bytes;
        let max_bytes = self.bodies.bounds.documents_bytes;
        if self.bodies.documents.fetch_add(counted, Ordering::Relaxed).saturating_add(counted) > max_bytes {
            return Err(BodyError::TooMany { url: self.url.clone(), max_bytes });
        }
        if self.have_bytes > self.bodies.bounds.large_bytes && self.permit.is_none() {
            // The semaphore is never closed. If it were, the only effect would be that large documents do not wait.
            self.permit = Arc::clone(&self.bodies.large).acquire_owned().await.ok();
        }
        Ok(())
    }
}

/// A body that is being read.
pub(crate) struct Body {
    url: String,
    max_bytes: u64,
    pace: Pace,
    /// Set if the body is a document. The document counts the bytes of the body.
    document: Option<Document>,
    have_bytes: u64,
    /// The time in the current window that lath has spent waiting for bytes. The time that lath needs to process the
    /// bytes is not included, because the server does not cause this time.
    waited: Duration,
    window_bytes: u64,
    chunks: BoxStream<'static, reqwest::Result<Bytes>>,
}

impl Body {
    /// Returns the next bytes, or `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        let began = Instant::now();
        let chunk = self.chunks.next().await;
        self.waited += began.elapsed();
        let Some(chunk) = chunk else { return Ok(None) };
        let chunk = chunk.map_err(BodyError::Network)?;
        let bytes = chunk.len() as u64;
        self.check_pace(bytes)?;
        self.have_bytes += bytes;
        if self.have_bytes > self.max_bytes {
            return Err(BodyError::TooLarge { url: self.url.clone(), max_bytes: self.max_bytes });
        }
        if let Some(document) = &mut self.document {
            document.add(bytes).await?;
        }
        Ok(Some(chunk))
    }

    fn check_pace(&mut self, bytes: u64) -> Result<(), BodyError> {
        self.window_bytes += bytes;
        if self.waited < self.pace.window {
            return Ok(());
        }
        let (came, least) = (self.window_bytes, self.pace.least_bytes);
        if came < least {
            let message = format!(
                "{came} bytes arrived in {} s, and the minimum is {least}",
                self.waited.as_secs_f64().round().max(1.0)
            );
            let source = std::io::Error::new(std::io::ErrorKind::TimedOut, message);
            return Err(BodyError::TooSlow { url: self.url.clone(), source });
        }
        (self.waited, self.window_bytes) = (Duration::ZERO, 0);
        Ok(())
    }

    /// Returns the body as a stream, which ends with the first error.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static {
        futures::stream::try_unfold(self, |mut body| async move {
            let chunk = body.next().await?;
            Ok(chunk.map(|chunk| (chunk, body)))
        })
    }
}

/// Returns the kind of a file that is requested by uv. The end of its path shows the kind.
pub(crate) fn kind_of(path: &str) -> Kind {
    if path.ends_with(".metadata") {
        Kind::Metadata
    } else if path.ends_with(".whl") {
        Kind::Parcel
    } else {
        Kind::Page
    }
}
