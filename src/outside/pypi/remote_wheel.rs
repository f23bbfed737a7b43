//! Reads METADATA from a wheel on a server that has no separate metadata file for this wheel. Ranges of the wheel are
//! requested, or the whole wheel if the server does not support ranges.
//!
//! The result is stored in uv's cache, in the same place and form as uv's own results.

use std::io::{self, Seek as _};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt as _;
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderName, HeaderValue, RANGE,
};
use reqwest::{Method, Request, Response, StatusCode};
use thiserror::Error as ThisError;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Mutex;
use url::Url;
use uv_cache::{CacheBucket, WheelCache};
use uv_client::{CacheControl, CachedClientError, Connectivity, Error, ErrorKind, RegistryClient, WrappedReqwestError};
use uv_distribution_filename::WheelFilename;
use uv_distribution_types::IndexUrl;
use uv_pypi_types::ResolutionMetadata;
use uv_redacted::DisplaySafeUrl;
use uv_types::BuildContext as _;

use crate::model::secret_text::public;
use crate::outside::http::{Bodies, BodyError, Document};
use crate::outside::pypi::metadata_entry::{self, Bound, EntryError};
use crate::outside::pypi::no_builds::NoBuilds;
use crate::outside::pypi::ranges::{FIRST_BYTES, Question, RangeReader};

/// The maximum number of ranges that are requested of one wheel. A usual wheel needs two or three, and wheels with the
/// longest directories need about ten.
const MAX_REQUESTS: u32 = 64;

/// A wheel on a server.
pub(super) struct RemoteWheel<'a> {
    pub(super) file_name: &'a WheelFilename,
    pub(super) url: &'a DisplaySafeUrl,
    /// The index of the wheel, or `None` if a requirement contains the wheel's URL.
    pub(super) index: Option<&'a IndexUrl>,
}

/// The reason why there is no metadata.
#[derive(Debug, ThisError)]
pub(super) enum Failure {
    #[error("the server does not support range requests")]
    NoRanges,
    #[error("{0}")]
    Read(#[source] Error),
    /// The wheel was read, but its metadata cannot be used. A wheel that has the same name and contains only `entries`
    /// has the same fault.
    #[error("{error}")]
    Unusable {
        #[source]
        error: Error,
        file_name: Box<WheelFilename>,
        entries: Vec<(String, Vec<u8>)>,
    },
}

impl From<ErrorKind> for Failure {
    fn from(kind: ErrorKind) -> Self {
        Self::Read(kind.into())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        ErrorKind::Io(error).into()
    }
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        unreadable(error).into()
    }
}

impl Failure {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Read(error) | Self::Unusable { error, .. } => error,
            Self::NoRanges => unreadable(self.to_string()).into(),
        }
    }

    /// Returns whether reading the whole wheel may succeed. This is so if the server does not support ranges or HEAD
    /// requests. uv decides this by the same list of statuses.
    fn is_about_ranges(&self) -> bool {
        const STATUSES: [StatusCode; 4] =
            [StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_FOUND, StatusCode::FORBIDDEN, StatusCode::BAD_REQUEST];
        match self {
            Self::NoRanges => true,
            Self::Unusable { .. } => false,
            Self::Read(error) => match error.kind() {
                ErrorKind::WrappedReqwestError(_, error) => {
                    let status = error.inner().and_then(reqwest::Error::status);
                    status.is_some_and(|status| STATUSES.contains(&status))
                }
                _ => false,
            },
        }
    }
}

/// This additional layer is needed because uv drops an I/O error and passes on only its source.
#[derive(Debug, ThisError)]
#[error("cannot read the metadata of the wheel")]
struct Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Returns an error of uv with `cause` among its causes.
pub(super) fn unreadable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ErrorKind {
    ErrorKind::Io(io::Error::other(Unreadable(cause.into())))
}

/// Those properties of a wheel that must not change while it is read in ranges.
struct Version {
    length: u64,
    etag: Option<HeaderValue>,
}

impl Version {
    /// Reads the properties from the response to a HEAD request. Fails if the response does not contain the length, or
    /// does not show that the server supports ranges.
    fn of(head: &Response) -> Result<Self, Failure> {
        let header = |name: HeaderName| head.headers().get(name).and_then(|value| value.to_str().ok());
        let length = header(CONTENT_LENGTH).and_then(|length| length.parse().ok()).filter(|length| *length > 0);
        match (header(ACCEPT_RANGES), length) {
            (Some("bytes"), Some(length)) => Ok(Self { length, etag: head.headers().get(ETAG).cloned() }),
            _ => Err(Failure::NoRanges),
        }
    }

    /// Returns whether `answer` contains exactly the bytes `first` to `last` of this version (RFC 9110, section 14.4).
    fn has(&self, answer: &Response, first: u64, last: u64) -> bool {
        let expected = format!("bytes {first}-{last}/{}", self.length);
        let range = answer.headers().get(CONTENT_RANGE);
        let is_other = matches!((answer.headers().get(ETAG), &self.etag), (Some(one), Some(other)) if one != other);
        answer.status() == StatusCode::PARTIAL_CONTENT
            && range.is_some_and(|range| range.as_bytes() == expected.as_bytes())
            && !is_other
    }
}

/// Reads metadata of wheels on servers.
pub(super) struct RemoteWheels<'a> {
    pub(super) client: &'a RegistryClient,
    pub(super) context: &'a NoBuilds,
    pub(super) bodies: &'a Bodies,
}

impl RemoteWheels<'_> {
    pub(super) async fn metadata(&self, wheel: &RemoteWheel<'_>) -> Result<ResolutionMetadata, Failure> {
        let capabilities = self.context.capabilities();
        if wheel.index.is_none_or(|index| capabilities.supports_range_requests(index)) {
            let read = self.cached(wheel, Method::HEAD, async |head| self.by_ranges(wheel, &head).await).await;
            match read {
                Err(failure) if failure.is_about_ranges() => {
                    if let Some(index) = wheel.index {
                        capabilities.set_no_range_requests(index.clone());
                    }
                }
                other => return other,
            }
        }
        self.cached(wheel, Method::GET, async |answer| self.out_of_whole(wheel, answer).await).await
    }

    /// Returns the metadata in uv's cache if it is still valid. Otherwise sends a request, and calls `read` with the
    /// response. Failed requests are repeated like in uv.
    async fn cached(
        &self,
        wheel: &RemoteWheel<'_>,
        method: Method,
        read: impl AsyncFn(Response) -> Result<ResolutionMetadata, Failure>,
    ) -> Result<ResolutionMetadata, Failure> {
        let bucket = wheel.index.map_or(WheelCache::Url(wheel.url), WheelCache::Index);
        let (directory, file) =
            (bucket.wheel_dir(wheel.file_name.name.as_ref()), format!("{}.msgpack", wheel.file_name.cache_key()));
        let cache = self.context.cache();
        let entry = cache.entry(CacheBucket::Wheels, directory, file);
        let header = wheel.index.and_then(|index| self.context.locations.artifact_cache_control_for(index));
        let control = match (self.client.connectivity(), header) {
            (Connectivity::Offline, _) => CacheControl::AllowStale,
            (Connectivity::Online, Some(header)) => CacheControl::Override(header),
            (Connectivity::Online, None) => cache.freshness(&entry, Some(&wheel.file_name.name), None)?.into(),
        };
        let request = self.request(wheel, method)?;
        let answered = self.client.cached_client().get_serde_with_retry(request, &entry, control, read);
        Box::pin(answered).await.map_err(|error| match error {
            CachedClientError::Client(error) => Failure::Read(error),
            CachedClientError::Callback { err, .. } => err,
        })
    }

    async fn by_ranges(&self, wheel: &RemoteWheel<'_>, head: &Response) -> Result<ResolutionMetadata, Failure> {
        let version = Version::of(head)?;
        let (reader, mut questions) = RangeReader::new(version.length);
        let (version, document) = (&version, &self.document(wheel));
        let work = self.read(wheel, reader, document);
        // When this future ends, the remaining requests of the reader are dropped, so that the reader does not wait for
        // answers.
        let answering = async move {
            let max_bytes = self.bodies.metadata_bytes().saturating_mul(2).saturating_add(4 * FIRST_BYTES);
            let (mut requests, mut bytes) = (0, 0);
            while let Some(Question { range, answer }) = questions.recv().await {
                (requests, bytes) = (requests + 1, bytes + (range.end - range.start));
                if requests > MAX_REQUESTS || bytes > max_bytes {
                    let (wheel, max_requests) = (public(wheel.url.as_str()), MAX_REQUESTS);
                    return Err(BodyError::ScatteredMetadata { wheel, max_requests, max_bytes }.into());
                }
                let part = self.range(wheel, version, (range.start, range.end - 1)).await?;
                document.lock().await.add(part.len() as u64).await?;
                // If the reader does not accept the answer, the reader has ended.
                let _ = answer.send(part);
            }
            Ok(())
        };
        // If a range cannot be fetched, the reader fails as well. The error of the request is reported, because it is
        // the cause.
        let (answered, text) = futures::future::join(answering, work).await;
        answered.and(text)
    }

    /// Fetches the bytes from `first` to `last`.
    async fn range(
        &self,
        wheel: &RemoteWheel<'_>,
        version: &Version,
        (first, last): (u64, u64),
    ) -> Result<Bytes, Failure> {
        let mut request = self.request(wheel, Method::GET)?;
        let range = HeaderValue::try_from(format!("bytes={first}-{last}")).map_err(io::Error::other)?;
        request.headers_mut().insert(RANGE, range);
        let answer = self.client.cached_client().uncached().execute(request).await;
        let answer = answer.map_err(|error| wheel.network(error.into()))?;
        let answer = match answer.status() {
            StatusCode::RANGE_NOT_SATISFIABLE => return Err(Failure::NoRanges),
            _ => answer.error_for_status().map_err(|error| wheel.network(error.into()))?,
        };
        if !version.has(&answer, first, last) {
            return Err(Failure::NoRanges);
        }
        let (wanted, mut part) = (last - first + 1, BytesMut::new());
        let mut chunks = answer.bytes_stream();
        while let Some(chunk) = chunks.try_next().await.map_err(|error| wheel.network(error.into()))? {
            part.extend_from_slice(&chunk);
            if part.len() as u64 > wanted {
                break;
            }
        }
        if part.len() as u64 == wanted { Ok(part.freeze()) } else { Err(Failure::NoRanges) }
    }

    /// Downloads the whole wheel to an unnamed temporary file, and reads the metadata from there.
    async fn out_of_whole(&self, wheel: &RemoteWheel<'_>, answer: Response) -> Result<ResolutionMetadata, Failure> {
        let mut file = tokio::fs::File::from_std(tempfile::tempfile_in(self.context.cache().root())?);
        let mut chunks = answer.bytes_stream();
        while let Some(chunk) = chunks.try_next().await.map_err(|error| wheel.network(error.into()))? {
            file.write_all(&chunk).await?;
        }
        file.flush().await?;
        let mut file = file.into_std().await;
        file.rewind()?;
        self.read(wheel, io::BufReader::new(file), &self.document(wheel)).await
    }

    /// Returns a request with the credentials of the wheel's URL.
    fn request(&self, wheel: &RemoteWheel<'_>, method: Method) -> Result<Request, Failure> {
        let request = self.client.uncached_client(wheel.url).get(Url::from(wheel.url.clone()));
        let mut request = request.build().map_err(|error| wheel.network(error.into()))?;
        *request.method_mut() = method;
        // The response must not be compressed, because ranges are positions in the wheel's own bytes.
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        Ok(request)
    }

    fn document(&self, wheel: &RemoteWheel<'_>) -> Arc<Mutex<Document>> {
        Arc::new(Mutex::new(self.bodies.document(wheel.url.as_str())))
    }

    /// Reads the metadata from `reader`, on a thread that may block.
    async fn read(
        &self,
        wheel: &RemoteWheel<'_>,
        reader: impl io::Read + io::Seek + Send + 'static,
        document: &Arc<Mutex<Document>>,
    ) -> Result<ResolutionMetadata, Failure> {
        let (file_name, url) = (wheel.file_name.clone(), public(wheel.url.as_str()));
        let (document, max_bytes) = (Arc::clone(document), self.bodies.metadata_bytes());
        let work = move || {
            let read = metadata_entry::read(reader, &file_name, &Bound { wheel: &url, max_bytes, document: &document });
            let text = read.map_err(|error| unusable(error, &file_name, &url))?;
            ResolutionMetadata::parse_metadata(&text).map_err(|error| {
                let name = format!("{}-{}.dist-info/METADATA", file_name.name.as_dist_info_name(), file_name.version);
                let error = ErrorKind::MetadataParseError(file_name.clone(), url, Box::new(error)).into();
                Failure::Unusable { error, file_name: Box::new(file_name), entries: vec![(name, text)] }
            })
        };
        tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
    }
}

fn unusable(error: EntryError, file_name: &WheelFilename, url: &str) -> Failure {
    match error {
        EntryError::Body(error) => error.into(),
        EntryError::Structure { names, source } => Failure::Unusable {
            error: ErrorKind::Metadata(url.to_owned(), source).into(),
            file_name: Box::new(file_name.clone()),
            entries: names.into_iter().map(|name| (name, Vec::new())).collect(),
        },
        // The I/O error is converted to text, because uv repeats the request after some I/O errors.
        EntryError::Archive(error) => unreadable(format!("cannot read `{url}`: {error}")).into(),
    }
}

impl RemoteWheel<'_> {
    fn network(&self, error: WrappedReqwestError) -> Failure {
        ErrorKind::WrappedReqwestError(self.url.clone(), error).into()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use testkit::pypi::PyPiServer;
    use testkit::{Fault, PyPi, WheelBuilder};

    use super::*;
    use crate::model::python_home::PythonHome;
    use crate::model::request::{Indexes, Prereleases, PythonRequest};
    use crate::outside::http::{Bounds, Clients};
    use crate::outside::pypi::Pypi;

    const WHEEL: &str = "/files/tool-1.0-py3-none-any.whl";

    /// Resolves `requirement` from `index` with the cache in `home`. Returns the wheels, or the error with its causes.
    fn resolved(home: &Path, index: &PyPiServer, requirement: &str) -> Result<Vec<String>, String> {
        let pypi = Pypi {
            variables: Default::default(),
            cache_dir: home.to_owned(),
            offline: false,
            credentials: std::sync::Arc::default(),
            clients: Clients::with_bounds(Bounds { metadata_bytes: 1 << 20, ..Bounds::default() }),
        };
        let request = PythonRequest {
            home: PythonHome::Release,
            version: "3.13".parse().unwrap(),
            is_expected: false,
            requirements: vec![requirement.into()],
            requirement_files: Vec::new(),
            constraint_files: Vec::new(),
            prereleases: Prereleases::Disallow,
            indexes: Indexes { default_index: Some(index.url().into()), ..Indexes::default() },
            script: None,
            project: None,
            builds: Default::default(),
            lock: None,
            preferred: Vec::new(),
        };
        let answer = pypi.resolve(
            &request,
            crate::outside::pypi::System::example(),
            &[],
            &crate::outside::pypi::source_queue::OnlyWheels,
        );
        let answer = answer.map_err(|error| error.in_full())?;
        let direct = answer.direct.iter().map(|wheel| format!("{} {}", wheel.name, wheel.version));
        let wheels = answer.wheels.iter().map(|wheel| format!("{} {}", wheel.name, wheel.version));
        Ok(direct.chain(wheels).collect())
    }

    fn tool() -> WheelBuilder {
        // These bytes cannot be compressed, so the wheel is much longer than the part that must be read.
        let noise = (0..2_000_000_u32).map(|number| number.wrapping_mul(number).wrapping_mul(2_654_435_761) >> 24);
        WheelBuilder::new("tool", "1.0").file("tool.bin", noise.map(|byte| byte as u8).collect::<Vec<u8>>())
    }

    fn index(tool: &WheelBuilder) -> PyPiServer {
        PyPi::new().built(tool).without_metadata_file().built(&WheelBuilder::new("dependency", "1.0")).serve()
    }

    /// Returns the method, the status and the requested range of each request for the wheel.
    fn asked(index: &PyPiServer) -> Vec<String> {
        let requests = index.server.requests_of(WHEEL).into_iter();
        requests
            .map(|request| {
                let range = request.headers.get("range").map_or("whole", String::as_str);
                format!("{} {} {range}", request.method, request.status)
            })
            .collect()
    }

    #[test]
    fn a_range_of_another_file_or_place_is_not_taken() {
        let version = Version { length: 100, etag: Some(HeaderValue::from_static("\"one\"")) };
        let table = [
            (206, "bytes 10-19/100", Some("\"one\""), true),
            (206, "bytes 10-19/100", None, true),
            (206, "bytes 10-19/100", Some("\"two\""), false),
            (206, "bytes 10-19/101", Some("\"one\""), false),
            (206, "bytes 11-20/100", Some("\"one\""), false),
            (200, "bytes 10-19/100", Some("\"one\""), false),
        ];
        for (status, range, etag, expected) in table {
            let mut answer = http::Response::builder().status(status).header(CONTENT_RANGE, range);
            if let Some(etag) = etag {
                answer = answer.header(ETAG, etag);
            }
            let answer = answer.body("").unwrap().into();
            assert_eq!(version.has(&answer, 10, 19), expected, "{status} {range} {etag:?}");
        }
    }

    #[test]
    fn metadata_is_read_in_ranges_and_later_taken_from_the_cache() {
        let tool = tool().requires("dependency");
        let length = tool.build().len();
        for by_url in [false, true] {
            let (home, index) = (tempfile::tempdir().unwrap(), index(&tool));
            let requirement = if by_url { format!("tool @ {}", index.server.url(WHEEL)) } else { "tool".to_owned() };
            let mut wheels = resolved(home.path(), &index, &requirement).unwrap();
            wheels.sort();
            assert_eq!(wheels, ["dependency 1.0", "tool 1.0"]);
            let range = format!("GET 206 bytes={}-{}", length - (64 << 10), length - 1);
            assert_eq!(asked(&index), ["HEAD 200 whole".to_owned(), range]);
            index.server.forget_requests();
            resolved(home.path(), &index, &requirement).unwrap();
            assert_eq!(asked(&index), ["HEAD 304 whole"]);
        }
    }

    #[test]
    fn a_range_that_fails_in_passing_is_fetched_again() {
        let (home, index) = (tempfile::tempdir().unwrap(), index(&tool()));
        index.server.fault(WHEEL, Fault::Cut { times: 2, after_bytes: 1000 });
        resolved(home.path(), &index, "tool").unwrap();
        assert!(asked(&index).iter().all(|request| !request.starts_with("GET 200")), "{:?}", asked(&index));
    }

    #[test]
    fn the_whole_wheel_is_read_if_the_server_has_no_ranges_or_lies_about_them() {
        let without_ranges = index(&tool());
        let wheel = without_ranges.server.get(WHEEL).unwrap();
        without_ranges.server.set(WHEEL, wheel.without_ranges());
        let lying = index(&tool());
        lying.server.fault(WHEEL, Fault::LieAboutLength { times: u32::MAX });
        let table = [(without_ranges, 2), (lying, 3)];
        for (index, requests) in table {
            let home = tempfile::tempdir().unwrap();
            assert_eq!(resolved(home.path(), &index, "tool").unwrap(), ["tool 1.0"]);
            let asked = asked(&index);
            assert_eq!((asked.len(), asked.last().map(String::as_str)), (requests, Some("GET 200 whole")), "{asked:?}");
        }
    }

    #[test]
    fn metadata_that_unpacks_beyond_its_bound_is_refused_by_the_url_of_its_wheel() {
        let bomb = tool().metadata_line(&format!("Summary: {}", "x".repeat(100 << 20)));
        for has_ranges in [true, false] {
            let index = index(&bomb);
            if !has_ranges {
                let wheel = index.server.get(WHEEL).unwrap();
                index.server.set(WHEEL, wheel.without_ranges());
            }
            let url = index.server.url(WHEEL);
            for requirement in ["tool".to_owned(), format!("tool @ {url}")] {
                let home = tempfile::tempdir().unwrap();
                let said = resolved(home.path(), &index, &requirement).unwrap_err();
                for text in [&url, "it is larger than 1048576 bytes", "hint: no honest"] {
                    assert!(said.contains(text), "{requirement}: {said}");
                }
            }
            // uv did not read the wheel again.
            assert!(asked(&index).len() <= 6, "{:?}", asked(&index));
        }
    }

    #[test]
    fn a_directory_without_an_end_is_refused_after_a_bounded_number_of_bytes() {
        let names: Vec<String> = (0..60_000).map(|number| format!("{number:0>90}")).collect();
        let many =
            names.iter().fold(WheelBuilder::new("tool", "1.0").without_record(), |wheel, name| wheel.file(name, ""));
        let (home, index) = (tempfile::tempdir().unwrap(), index(&many));
        let said = resolved(home.path(), &index, "tool").unwrap_err();
        assert!(
            said.contains("reading it needs more than 64 requests or 2359296 bytes") && said.contains(WHEEL),
            "{said}"
        );
        let bytes: u64 = index
            .server
            .requests_of(WHEEL)
            .iter()
            .filter_map(|request| {
                let (first, last) = request.headers.get("range")?.strip_prefix("bytes=")?.split_once('-')?;
                Some(last.parse::<u64>().ok()? - first.parse::<u64>().ok()? + 1)
            })
            .sum();
        assert!(bytes <= 2_359_296, "{bytes}");
    }

    #[test]
    fn a_version_without_usable_metadata_is_passed_over_and_its_wheel_read_once() {
        let other = WheelBuilder::new("other", "2.0").build();
        let invalid = WheelBuilder::new("tool", "2.0").metadata_line("Requires-Dist: !!!").build();
        for bytes in [other, invalid] {
            let pages = PyPi::new().wheel("tool-2.0-py3-none-any.whl", &bytes).without_metadata_file();
            let index = pages.built(&WheelBuilder::new("tool", "1.0")).serve();
            let home = tempfile::tempdir().unwrap();
            assert_eq!(resolved(home.path(), &index, "tool").unwrap(), ["tool 1.0"]);
            assert_eq!(index.server.requests_of("/files/tool-2.0-py3-none-any.whl").len(), 2);
        }
    }

    #[test]
    fn a_server_may_not_name_a_wheel_on_this_machine() {
        let (home, index) = (tempfile::tempdir().unwrap(), index(&tool()));
        let path = home.path().join("tool-1.0-py3-none-any.whl");
        std::fs::write(&path, WheelBuilder::new("tool", "1.0").build()).unwrap();
        let page = format!(
            "<!DOCTYPE html><html><body><a href=\"file://{}\">tool-1.0-py3-none-any.whl</a></body></html>",
            path.display()
        );
        index.server.set("/simple/tool/", testkit::Response::ok(page).header("Content-Type", "text/html"));
        let said = resolved(home.path(), &index, "tool").unwrap_err();
        assert!(said.contains("lists `tool-1.0-py3-none-any.whl` with a path on this machine"), "{said}");
    }
}
