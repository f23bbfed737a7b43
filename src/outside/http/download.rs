//! Downloads parcels into the store. Interrupted downloads are continued. If the sha256 of a parcel is known in
//! advance, the parcel is accepted only if its bytes match.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::atomic::Ordering;

use fs_err as fs;
use futures::StreamExt as _;
use reqwest::header::{CONTENT_RANGE, ETAG, IF_NONE_MATCH, RANGE};
use reqwest::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use super::{Http, HttpError, file, network, unread};
use crate::model::digest::{Digest, DigestWriter};
use crate::model::event::Event;
use crate::model::lock::{LockedDeb, LockedWheel, Parcel};
use crate::model::secret_text::public;
use crate::outside::store::{Bucket, Store};

/// A parcel to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Download {
    /// The file name that is shown to the user.
    pub(crate) name: String,
    pub(crate) url: String,
    /// If the server does not have the file at `url`, these URLs are tried in order.
    pub(crate) other_urls: Vec<String>,
    pub(crate) digest: Digest,
    pub(crate) size_bytes: Option<u64>,
}

impl Download {
    pub(crate) fn of(parcel: &Parcel<'_>) -> Self {
        match parcel {
            Parcel::Deb(deb) => Self::of_deb(deb),
            Parcel::Wheel(wheel) => Self::of_wheel(wheel),
        }
    }

    fn of_wheel(wheel: &LockedWheel) -> Self {
        Self {
            name: wheel.file_name.clone(),
            url: wheel.url.clone(),
            other_urls: Vec::new(),
            digest: wheel.digest,
            size_bytes: wheel.size_bytes,
        }
    }

    fn of_deb(deb: &LockedDeb) -> Self {
        Self {
            name: format!("{}_{}.deb", deb.name, deb.version),
            url: deb.url.clone(),
            other_urls: deb.other_urls.clone(),
            digest: deb.digest,
            size_bytes: Some(deb.size_bytes),
        }
    }
}

/// The result of the last download from a URL, for a file whose sha256 is not known in advance.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Seen {
    etag: Option<String>,
    digest: Digest,
    size_bytes: u64,
}

/// A response that is being received.
struct Transfer<'a> {
    /// The number of the download, which the listener receives.
    id: u64,
    url: &'a str,
    /// The maximum size of the whole file.
    max_bytes: u64,
}

/// The file that a download is written to, and the digest and the size of its current content.
struct Partial {
    file: fs::File,
    digest: DigestWriter<std::io::Sink>,
    have_bytes: u64,
}

impl Partial {
    /// Opens `path`, and reads the bytes that an earlier attempt has written.
    fn open(path: &Path) -> std::io::Result<Self> {
        let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut partial = Self { file, digest: DigestWriter::new(std::io::sink()), have_bytes: 0 };
        let mut buffer = vec![0; 128 << 10];
        loop {
            let length = partial.file.read(&mut buffer)?;
            if length == 0 {
                return Ok(partial);
            }
            partial.digest.write_all(&buffer[..length])?;
            partial.have_bytes += length as u64;
        }
    }

    fn start_again(&mut self) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.digest = DigestWriter::new(std::io::sink());
        self.have_bytes = 0;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all(bytes)?;
        self.digest.write_all(bytes)?;
        self.have_bytes += bytes.len() as u64;
        Ok(())
    }
}

impl Http {
    /// Returns the maximum number of downloads that run at once.
    pub(crate) fn downloads_at_once(&self) -> usize {
        self.settings.jobs.max(1)
    }

    /// Fetches every item that is missing in the store. A parcel is accepted only if it has the expected sha256.
    pub(crate) fn download_all(&self, items: &[Download], store: &Store) -> Result<(), HttpError> {
        self.download_each(items, store, |_| ())
    }

    /// Fetches every missing item like [`Self::download_all`], and calls `arrived` for each of them as soon as it is in
    /// the store. The argument is the item's position in `items`.
    pub(crate) fn download_each(
        &self,
        items: &[Download],
        store: &Store,
        arrived: impl Fn(usize),
    ) -> Result<(), HttpError> {
        let missing: Vec<(usize, &Download)> =
            items.iter().enumerate().filter(|(_, item)| !store.has_parcel(&item.digest, item.size_bytes)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let bytes = missing.iter().filter_map(|(_, item)| item.size_bytes).sum();
        self.listener.hear(Event::DownloadsPlanned { bytes });
        let files = missing.len();
        let fetched = self.runtime.block_on(async {
            let mut work = futures::stream::iter(missing)
                .map(|(number, item)| async move { Ok::<_, HttpError>((number, self.download(item, store).await?)) })
                .buffer_unordered(self.downloads_at_once());
            let mut fetched = 0;
            while let Some(done) = work.next().await {
                let (number, bytes) = done?;
                arrived(number);
                fetched += bytes;
            }
            Ok::<u64, HttpError>(fetched)
        })?;
        self.listener.hear(Event::DownloadsFinished { files, bytes: fetched });
        Ok(())
    }

    /// Fetches a wheel whose sha256 is not known in advance, and returns its sha256 and its size in bytes. If the wheel
    /// is already in the store and the server supports entity tags, it is fetched again only if it has changed.
    pub(crate) fn download_unpinned(&self, name: &str, url: &str, store: &Store) -> Result<(Digest, u64), HttpError> {
        let key = Digest::of(public(url).as_bytes());
        let seen: Option<Seen> = store
            .entry(Bucket::UnpinnedWheels, &key)
            .filter(|seen: &Seen| store.has_parcel(&seen.digest, Some(seen.size_bytes)));
        if let Some(seen) = seen.as_ref().filter(|_| self.settings.offline) {
            return Ok((seen.digest, seen.size_bytes));
        }
        let _guard = store.lock(&format!("unpinned-{key}"))?;
        let partial = store.partial_path(&key);
        let etag = seen.as_ref().and_then(|seen| seen.etag.clone());
        let work = self.with_retries(url, || self.download_unpinned_once(name, url, etag.as_deref(), &partial));
        let Some(new) = self.runtime.block_on(work)? else {
            let unasked = || HttpError::Status {
                url: public(url),
                status: StatusCode::NOT_MODIFIED,
                redirected_to: None,
                pause: None,
            };
            return seen.map(|seen| (seen.digest, seen.size_bytes)).ok_or_else(unasked);
        };
        store.adopt_parcel(&partial, &new.digest)?;
        store.write_entry(Bucket::UnpinnedWheels, &key, &new)?;
        Ok((new.digest, new.size_bytes))
    }

    /// Returns `None` if the version with this `etag` is still the current one.
    async fn download_unpinned_once(
        &self,
        name: &str,
        url: &str,
        etag: Option<&str>,
        path: &Path,
    ) -> Result<Option<Seen>, HttpError> {
        let keep = |source| HttpError::Keep { url: public(url), source };
        let mut request = self.request(url)?;
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let response = request.send().await.map_err(|source| network(url, source))?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let response = file(url, response)?;
        let etag = response.headers().get(ETAG).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut partial = Partial::open(path).map_err(keep)?;
        // The bytes of an earlier attempt are deleted, because they may belong to another version.
        partial.start_again().map_err(keep)?;
        let id = self.started(name, response.content_length());
        let max_bytes = self.settings.clients.bodies.parcel_bytes(None);
        let filled = self.fill(&Transfer { id, url, max_bytes }, response, &mut partial).await;
        self.listener.hear(Event::DownloadFinished { id });
        filled?;
        let size_bytes = partial.have_bytes;
        Ok(Some(Seen { etag, digest: partial.digest.finish().1, size_bytes }))
    }

    fn started(&self, name: &str, total: Option<u64>) -> u64 {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.listener.hear(Event::DownloadStarted { id, name: name.to_owned(), total });
        id
    }

    /// Returns the size of the parcel in bytes, or 0 if another process has fetched it.
    async fn download(&self, item: &Download, store: &Store) -> Result<u64, HttpError> {
        // If two processes need the same parcel, the second waits, and then finds it in the store.
        let lock_name = format!("parcel-{}", item.digest);
        let waiting = store.clone();
        let _guard = tokio::task::spawn_blocking(move || waiting.lock(&lock_name))
            .await
            .map_err(|error| HttpError::Setup(error.into()))??;
        if store.has_parcel(&item.digest, item.size_bytes) {
            return Ok(0);
        }
        let id = self.started(&item.name, item.size_bytes);
        let partial = store.partial_path(&item.digest);
        let was_begun = fs::metadata(&partial).is_ok_and(|file| file.len() > 0);
        let mut outcome = self.download_from_any_place(id, item, &partial).await;
        if was_begun && matches!(&outcome, Ok((found, _)) if *found != item.digest) {
            // The server may not be the cause, because an earlier process may have left wrong bytes in the file. So the
            // file is removed, and the download starts again.
            let _ = fs::remove_file(&partial);
            outcome = self.download_from_any_place(id, item, &partial).await;
        }
        self.listener.hear(Event::DownloadFinished { id });
        let (found, size_bytes) = outcome?;
        if found != item.digest {
            let _ = fs::remove_file(&partial);
            return Err(HttpError::Digest { url: public(&item.url), expected: item.digest, found });
        }
        store.adopt_parcel(&partial, &item.digest)?;
        Ok(size_bytes)
    }

    /// Fetches an item like [`Self::download_once`], with retries. If the server does not have the file, the other URLs
    /// are tried. If all fail, the error is that of the first URL.
    async fn download_from_any_place(&self, id: u64, item: &Download, path: &Path) -> Result<(Digest, u64), HttpError> {
        let first = self.with_retries(&item.url, || self.download_once(id, item, path)).await;
        if !matches!(&first, Err(HttpError::Status { status, .. }) if is_gone(*status)) {
            return first;
        }
        for url in &item.other_urls {
            let other = Download { url: url.clone(), ..item.clone() };
            match self.with_retries(url, || self.download_once(id, &other, path)).await {
                Ok(found) => return Ok(found),
                Err(error) => self.listener.hear(Event::Detail(error.to_string())),
            }
        }
        first
    }

    /// Fetches the bytes of `item` that are missing in `path`, and returns the digest and the size of the whole file.
    async fn download_once(&self, id: u64, item: &Download, path: &Path) -> Result<(Digest, u64), HttpError> {
        let url = &item.url;
        let keep = |source| HttpError::Keep { url: public(url), source };
        let mut partial = Partial::open(path).map_err(keep)?;
        if partial.have_bytes > 0 && item.size_bytes == Some(partial.have_bytes) {
            return Ok((partial.digest.finish().1, partial.have_bytes));
        }
        let mut request = self.request(url)?;
        if partial.have_bytes > 0 {
            request = request.header(RANGE, format!("bytes={}-", partial.have_bytes));
        }
        let mut response = request.send().await.map_err(|source| network(url, source))?;
        if partial.have_bytes > 0 && response.status() == StatusCode::OK {
            partial.start_again().map_err(keep)?;
        } else if partial.have_bytes > 0 && cannot_continue(&response, partial.have_bytes) {
            partial.start_again().map_err(keep)?;
            response = self.request(url)?.send().await.map_err(|source| network(url, source))?;
        }
        let response = file(url, response)?;
        let max_bytes = self.settings.clients.bodies.parcel_bytes(item.size_bytes);
        self.fill(&Transfer { id, url, max_bytes }, response, &mut partial).await.inspect_err(|error| {
            if matches!(error, HttpError::TooLarge { .. }) {
                let _ = fs::remove_file(path);
            }
        })?;
        match item.size_bytes {
            // The server sent the whole file, and the file is too short. So another attempt would not return more
            // bytes.
            Some(expected) if partial.have_bytes < expected => {
                let _ = fs::remove_file(path);
                Err(HttpError::Short { url: public(url), expected, found: partial.have_bytes })
            }
            _ => Ok((partial.digest.finish().1, partial.have_bytes)),
        }
    }

    /// Appends the body of `response` to `partial`.
    async fn fill(&self, transfer: &Transfer<'_>, response: Response, partial: &mut Partial) -> Result<(), HttpError> {
        let Transfer { id, url, max_bytes } = *transfer;
        let mut body = self.settings.clients.bodies.of(response, max_bytes.saturating_sub(partial.have_bytes));
        let unread = |error| match unread(url, error) {
            HttpError::TooLarge { url, .. } => HttpError::TooLarge { url, max_bytes },
            other => other,
        };
        while let Some(chunk) = body.next().await.map_err(unread)? {
            partial.append(&chunk).map_err(|source| HttpError::Keep { url: public(url), source })?;
            self.listener.hear(Event::DownloadProgress { id, bytes: partial.have_bytes });
        }
        Ok(())
    }
}

/// Returns whether the server cannot continue the download at `first_byte`. Either there are no bytes after that
/// position, or the server sends another part (RFC 9110, section 14.4).
fn cannot_continue(response: &Response, first_byte: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match response.status() {
        StatusCode::RANGE_NOT_SATISFIABLE => true,
        StatusCode::PARTIAL_CONTENT => !range.starts_with(&format!("bytes {first_byte}-")),
        _ => false,
    }
}

/// Returns whether the status means that the server no longer has the file.
fn is_gone(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tempfile::TempDir;
    use testkit::{Fault, Response, Server};

    use super::*;
    use crate::model::event::Silence;
    use crate::model::hint::{Hint, Hints as _, NetworkHint};
    use crate::outside::http::{Bounds, Clients, HttpSettings, Pace};

    const PATH: &str = "/x.whl";

    /// A server with a parcel of 300 kB, and a client with a timeout of 300 ms.
    struct Bench {
        _home: TempDir,
        store: Store,
        http: Http,
        server: Server,
        bytes: Vec<u8>,
    }

    impl Bench {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            let store = Store::open(&home.path().join("store")).unwrap();
            let settings = HttpSettings {
                clients: Clients::default(),
                offline: false,
                jobs: 4,
                read_timeout: Duration::from_millis(300),
                credentials: Arc::default(),
            };
            let http = Http::new(settings, Arc::new(Silence)).unwrap();
            let bytes: Vec<u8> = (0..300_000_u32).map(|number| number.to_le_bytes()[number as usize % 3]).collect();
            let server = Server::empty();
            server.set(PATH, Response::ok(&bytes));
            Self { _home: home, store, http, server, bytes }
        }

        fn item(&self) -> Download {
            Download {
                name: "x.whl".to_owned(),
                url: self.server.url(PATH),
                other_urls: Vec::new(),
                digest: Digest::of(&self.bytes),
                size_bytes: Some(self.bytes.len() as u64),
            }
        }

        fn fetch(&self, item: &Download) -> Result<(), HttpError> {
            self.http.download_all(std::slice::from_ref(item), &self.store)
        }

        fn assert_fetched(&self) {
            self.fetch(&self.item()).unwrap();
            assert_eq!(std::fs::read(self.store.parcel_path(&Digest::of(&self.bytes))).unwrap(), self.bytes);
        }

        /// Returns the `Range` header of each request.
        fn ranges(&self) -> Vec<String> {
            let requests = self.server.requests_of(PATH);
            requests.iter().map(|request| request.headers.get("range").cloned().unwrap_or_default()).collect()
        }
    }

    #[test]
    fn what_was_cut_short_is_continued() {
        let bench = Bench::new();
        bench.server.fault(PATH, Fault::Cut { times: 2, after_bytes: 100_000 });
        bench.assert_fetched();
        let ranges = bench.ranges();
        assert_eq!(ranges.len(), 3);
        assert_eq!(ranges[0], "");
        assert!(ranges[1].starts_with("bytes=") && ranges[1] != ranges[2], "{ranges:?}");
    }

    #[test]
    fn a_server_that_cannot_continue_starts_again() {
        let bench = Bench::new();
        bench.server.set(PATH, Response::ok(&bench.bytes).without_ranges());
        bench.server.fault(PATH, Fault::Cut { times: 1, after_bytes: 100_000 });
        bench.assert_fetched();
    }

    #[test]
    fn what_another_process_left_is_not_trusted() {
        for left in [b"other bytes".as_slice(), &[0; 300_000], &[0; 400_000]] {
            let bench = Bench::new();
            std::fs::write(bench.store.partial_path(&bench.item().digest), left).unwrap();
            bench.assert_fetched();
        }
    }

    #[test]
    fn a_server_that_is_busy_or_silent_is_asked_again() {
        let faults =
            [Fault::Fail { times: 2, status: 503 }, Fault::Fail { times: 1, status: 429 }, Fault::Hang { times: 1 }];
        for fault in faults {
            let bench = Bench::new();
            bench.server.fault(PATH, fault);
            bench.assert_fetched();
            assert!(bench.ranges().len() > 1, "{fault:?}");
        }
    }

    #[test]
    fn a_body_without_an_end_is_refused_by_its_bound_and_one_that_drips_is_tried_again() {
        let mut bench = Bench::new();
        let bounds = Bounds {
            parcel_bytes: 400_000,
            pace: Pace { window: Duration::from_millis(30), least_bytes: 100 },
            ..Bounds::default()
        };
        bench.http.settings.clients = Clients::with_bounds(bounds);
        let undeclared = Download { size_bytes: None, ..bench.item() };
        bench.server.fault(PATH, Fault::Endless { times: u32::MAX });
        let attempts = [
            (bench.fetch(&undeclared).unwrap_err(), "it is larger than 400000 bytes"),
            (bench.fetch(&bench.item()).unwrap_err(), "it is larger than 300000 bytes"),
            (bench.http.get(&bench.server.url(PATH), 1000).unwrap_err(), "it is larger than 1000 bytes"),
            (
                bench.http.download_unpinned("x", &bench.server.url(PATH), &bench.store).unwrap_err(),
                "it is larger than 400000 bytes",
            ),
        ];
        for (error, message) in attempts {
            assert!(error.to_string().contains(message) && !error.hints().is_empty(), "{error:?}");
        }
        bench.server.fault(PATH, Fault::Drip { times: 1, wait: Duration::from_millis(15) });
        bench.assert_fetched();
        bench.server.fault(PATH, Fault::Drip { times: u32::MAX, wait: Duration::from_millis(15) });
        let error = bench.http.get(&bench.server.url(PATH), 1000).unwrap_err();
        assert!(error.to_string().contains("it arrives too slowly") && !error.hints().is_empty(), "{error:?}");
    }

    #[test]
    fn a_redirect_that_leads_back_to_itself_is_reported_as_one() {
        let bench = Bench::new();
        bench.server.set("/round", Response::redirect(&bench.server.url("/round")));
        let error = bench.fetch(&Download { url: bench.server.url("/round"), ..bench.item() }).unwrap_err();
        assert!(error.hints() == [Hint::Network(NetworkHint::RedirectLoop)], "{error:?}");
    }

    #[test]
    fn what_stays_wrong_is_told_and_nothing_is_adopted() {
        let bench = Bench::new();
        bench.server.set("/away", Response::redirect(&bench.server.url("/nowhere")));
        bench.server.set("/page", Response::proxy_page());
        bench.server.set("/short", Response::ok(&bench.bytes[..1000]));
        bench.server.set("/other", Response::ok(vec![7; bench.bytes.len()]));
        bench.server.set("/long", Response::ok(vec![7; bench.bytes.len() + 1]));
        let table = ["/away", "/page", "/short", "/other", "/long"];
        let errors = table.map(|path| {
            let error = bench.fetch(&Download { url: bench.server.url(path), ..bench.item() }).unwrap_err();
            assert!(!bench.store.has_parcel(&bench.item().digest, None), "{path}");
            let _ = fs::remove_file(bench.store.partial_path(&bench.item().digest));
            error.to_string().replace(&bench.server.url(""), "[SERVER]")
        });
        insta::assert_snapshot!(errors.join("\n"), @"
        cannot fetch `[SERVER]/away`: the server answers 404 Not Found
        cannot fetch `[SERVER]/page`: the response is a web page (text/html), perhaps the login page of a proxy
        cannot fetch `[SERVER]/short`: it ends after 1000 of 300000 bytes
        cannot use `[SERVER]/other`: its sha256 is 08f166476de183f7a1b2874d544d37912aaf8d19b92013e1aafe233ba231024a, not 02482ab03648f4e59b47aacdf575de82f716ef66d8424ee8460834fbe8d7cf17
        cannot fetch `[SERVER]/long`: it is larger than 300000 bytes
        ");
        let url = bench.server.url_as("me", "secret", "/nowhere");
        let error = bench.fetch(&Download { url, ..bench.item() }).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }

    #[test]
    fn a_redirect_is_followed_and_credentials_are_not_taken_to_another_server() {
        let bench = Bench::new();
        let front = Server::empty();
        front.set("/front", Response::redirect(&bench.server.url(PATH)));
        front.require_basic("me", "secret");
        let url = front.url_as("me", "secret", "/front");
        bench.fetch(&Download { url, ..bench.item() }).unwrap();
        assert!(bench.server.requests_of(PATH).iter().all(|request| !request.headers.contains_key("authorization")));
    }
}
