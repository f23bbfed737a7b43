//! Limits the responses that uv reads: a middleware replaces the bodies of responses by lath's own bodies. The
//! middleware also prevents uv from caching pages that contain passwords.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::stream::Stream;
use futures::{StreamExt as _, TryStreamExt as _};
use http::Extensions;
use http::header::{CACHE_CONTROL, HeaderValue};
use reqwest::{Method, Request, Response, ResponseBuilderExt as _};
use reqwest_middleware::{Next, Result};
use uv_client::ExtraMiddleware;

use crate::outside::http::{Bodies, Body, BodyError, Kind, kind_of};
use crate::outside::pypi::refusals::Refusals;

/// Returns the middleware for uv's clients. The middleware receives each response after decompression and before uv
/// reads the response. If a response reports missing permission, the middleware adds the response to `refusals`.
pub(super) fn middleware(bodies: &Bodies, refusals: &Refusals) -> ExtraMiddleware {
    ExtraMiddleware(vec![Arc::new(handler(bodies.clone(), refusals.clone()))])
}

type Outcome<'a> = BoxFuture<'a, Result<Response>>;

fn handler(
    bodies: Bodies,
    refusals: Refusals,
) -> impl for<'a> Fn(Request, &'a mut Extensions, Next<'a>) -> Outcome<'a> + Send + Sync {
    move |request, extensions, next| {
        let (bodies, refusals) = (bodies.clone(), refusals.clone());
        Box::pin(async move {
            // The response to a HEAD request has a length, but no body.
            let has_body = request.method() != Method::HEAD;
            let kind = kind_of(request.url().path());
            let response = next.run(request, extensions).await?;
            refusals.add(response.url(), response.status());
            if !has_body {
                return Ok(response);
            }
            if kind != Kind::Page {
                let head = head(&response);
                return Ok(with_body(head, bodies.of_kind(kind, response).into_stream()));
            }
            let mut head = head(&response);
            let mut body = bodies.of_kind(kind, response);
            let (page, error) = whole(&mut body).await;
            if names_password(&page) {
                head.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            }
            let chunks: Vec<Chunk> = std::iter::once(Ok(page)).chain(error.map(Err)).collect();
            // If a page is large, it keeps its permit until uv has read it, because only a few large pages may be in
            // memory.
            let chunks = futures::stream::iter(chunks).map(move |chunk| {
                let _place = &body;
                chunk
            });
            Ok(with_body(head, chunks))
        })
    }
}

/// Returns the status, the headers and the URL of `response`.
fn head(response: &Response) -> http::Response<()> {
    let mut head = http::Response::new(());
    (*head.status_mut(), *head.version_mut()) = (response.status(), response.version());
    *head.headers_mut() = response.headers().clone();
    *head.extensions_mut() = response.extensions().clone();
    let url = http::Response::builder().url(response.url().clone()).body(());
    head.extensions_mut().extend(url.map(|response| response.into_parts().0.extensions).unwrap_or_default());
    head
}

fn with_body(head: http::Response<()>, chunks: impl Stream<Item = Chunk> + Send + 'static) -> Response {
    // Network errors are not wrapped, because uv examines them to decide whether to try again.
    let chunks = chunks.map_err(|error| -> Box<dyn std::error::Error + Send + Sync> {
        match error {
            BodyError::Network(error) => Box::new(error),
            other => Box::new(other),
        }
    });
    Response::from(head.map(|()| reqwest::Body::wrap_stream(chunks)))
}

type Chunk = std::result::Result<Bytes, BodyError>;

/// Reads a page. Returns the bytes that arrived, and the error if the page is incomplete. The whole page is in memory.
/// This is acceptable, because uv reads the whole page into memory as well.
async fn whole(body: &mut Body) -> (Bytes, Option<BodyError>) {
    let mut page = BytesMut::new();
    loop {
        match body.next().await {
            Ok(Some(chunk)) => page.extend_from_slice(&chunk),
            Ok(None) => return (page.freeze(), None),
            Err(error) => return (page.freeze(), Some(error)),
        }
    }
}

/// Returns whether a URL in a page contains credentials. uv must not write such a page to its cache. An `@` that is
/// escaped in HTML or JSON also counts, even if it is not in a URL.
fn names_password(page: &[u8]) -> bool {
    const SPELLINGS: [&[u8]; 5] = [b"\\u0040", b"&#64;", b"&#x40;", b"&#X40;", b"&commat;"];
    // JSON may write a slash as `\/`, so both spellings are searched for.
    let starts = memchr::memmem::find_iter(page, b"//").map(|at| at + 2);
    let escaped = memchr::memmem::find_iter(page, b"/\\/").map(|at| at + 3);
    let is_authority =
        |byte: &&u8| !matches!(byte, b'/' | b'?' | b'#' | b'\\' | b'"' | b'\'' | b'<' | b'>' | b' ' | b'\n');
    let bears = |start: usize| page[start..].iter().take_while(is_authority).any(|byte| *byte == b'@');
    starts.chain(escaped).any(bears) || SPELLINGS.iter().any(|spelling| memchr::memmem::find(page, spelling).is_some())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::Duration;

    use testkit::{Fault, PyPi, Response, WheelBuilder};

    use crate::model::python_home::PythonHome;
    use crate::model::request::{Indexes, Prereleases, PythonRequest};
    use crate::outside::http::{Bounds, Clients, Pace};
    use crate::outside::pypi::Pypi;

    const PAGE: &str = "/simple/tool/";
    const METADATA: &str = "/files/tool-1.0-py3-none-any.whl.metadata";
    const WHEEL: &str = "/files/tool-1.0-py3-none-any.whl";

    /// Resolves `tool` from `index` with small limits, and returns the error with its causes and hints.
    fn refused(index: &testkit::pypi::PyPiServer) -> String {
        refused_of(index, "tool")
    }

    fn refused_of(index: &testkit::pypi::PyPiServer, requirement: &str) -> String {
        let home = tempfile::tempdir().unwrap();
        let bounds = Bounds {
            page_bytes: 100_000,
            metadata_bytes: 10_000,
            documents_bytes: 1_000_000,
            large_bytes: 1000,
            parcel_bytes: 200_000,
            pace: Pace { window: Duration::from_millis(30), least_bytes: 100 },
        };
        let pypi = Pypi {
            variables: Default::default(),
            cache_dir: home.path().to_owned(),
            offline: false,
            credentials: std::sync::Arc::default(),
            clients: Clients::with_bounds(bounds),
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
        let error = pypi
            .resolve(
                &request,
                crate::outside::pypi::System::example(),
                &[],
                &crate::outside::pypi::source_queue::OnlyWheels,
            )
            .unwrap_err();
        error.in_full()
    }

    /// Returns bytes that cannot be compressed.
    fn noise(length: u32) -> Vec<u8> {
        (0..length).map(|number| number.wrapping_mul(number).wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
    }

    fn index() -> testkit::pypi::PyPiServer {
        PyPi::new().built(&WheelBuilder::new("tool", "1.0").file("tool.py", vec![7; 500_000])).serve()
    }

    fn assert_refused(index: &testkit::pypi::PyPiServer, path: &str, expected: &str) {
        let said = refused(index);
        for text in [expected, &index.server.url(path), "hint: "] {
            assert!(said.contains(text), "{text} is missing in: {said}");
        }
    }

    #[test]
    fn a_page_with_a_password_in_it_is_recognised_however_it_is_written() {
        let table = [
            (r#"<a href="https://me:secret@h/x.whl">"#, true),
            (r#""url":"https:\/\/token@h\/x.whl""#, true),
            (r#""url":"https://me:secret\u0040h/x.whl""#, true),
            (r#"<a href="https://me:secret&#64;h/x.whl">"#, true),
            (r#"<a href="//me:secret@h/x.whl">"#, true),
            (r#"<a href="https://h/@scope/x.whl">x@1</a> <a href="../x">"#, false),
            (r#""url":"https:\/\/h\/@x.whl", "by": "me@h""#, false),
        ];
        for (page, expected) in table {
            assert_eq!(super::names_password(page.as_bytes()), expected, "{page}");
        }
    }

    #[test]
    fn a_page_or_metadata_without_an_end_is_refused_by_its_url_and_bound() {
        for (path, bound) in [(PAGE, "it is larger than 100000 bytes"), (METADATA, "it is larger than 10000 bytes")] {
            let index = index();
            index.server.fault(path, Fault::Endless { times: u32::MAX });
            assert_refused(&index, path, bound);
            assert_eq!(index.server.requests_of(path).len(), 1, "another attempt would be as large");
        }
    }

    #[test]
    fn a_page_that_unpacks_beyond_its_bound_is_refused() {
        let index = index();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(&vec![b' '; 2_000_000]).unwrap();
        let page = Response::ok(packed.finish().unwrap()).header("Content-Encoding", "gzip");
        index.server.set(PAGE, page.header("Content-Type", "text/html"));
        assert_refused(&index, PAGE, "it is larger than 100000 bytes");
    }

    #[test]
    fn a_page_that_drips_is_tried_again_and_then_refused_as_too_slow() {
        let index = index();
        index.server.fault(PAGE, Fault::Drip { times: 1, wait: Duration::from_millis(15) });
        index.server.fault(METADATA, Fault::Drip { times: u32::MAX, wait: Duration::from_millis(15) });
        assert_refused(&index, METADATA, "it arrives too slowly");
        assert!(index.server.requests_of(PAGE).len() == 2 && index.server.requests_of(METADATA).len() > 1);
    }

    #[test]
    fn a_wheel_whose_metadata_has_to_be_searched_for_is_bounded_too() {
        let index = PyPi::new().built(&WheelBuilder::new("tool", "1.0").file("tool.py", noise(500_000)));
        let index = index.without_metadata_file().serve();
        let wheel = index.server.get(WHEEL).unwrap();
        index.server.set(WHEEL, wheel.without_ranges());
        index.server.fault(WHEEL, Fault::Endless { times: u32::MAX });
        assert_refused(&index, WHEEL, "it is larger than 200000 bytes");
    }

    #[test]
    fn a_wheel_by_path_whose_metadata_unpacks_beyond_the_bound_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("tool-1.0-py3-none-any.whl");
        let long = WheelBuilder::new("tool", "1.0").metadata_line(&format!("Summary: {}", "x".repeat(20_000)));
        std::fs::write(&path, long.build()).unwrap();
        let said = refused_of(&index(), path.to_str().unwrap());
        assert!(said.contains("it is larger than 10000 bytes") && said.contains("hint: no honest"), "{said}");
    }

    #[test]
    fn pages_that_are_too_many_are_refused() {
        let mut pages = PyPi::new();
        for number in 0..100 {
            let next = format!("tool{}", number + 1);
            let name = if number == 0 { "tool".to_owned() } else { format!("tool{number}") };
            pages = pages.built(&WheelBuilder::new(&name, "1.0").requires(&next));
        }
        let said = refused(&pages.serve());
        assert!(said.contains("the pages and metadata of one build are larger than 1000000 bytes"), "{said}");
    }
}
