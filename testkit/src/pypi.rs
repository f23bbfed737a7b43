//! A fake PyPI on loopback: the simple index in HTML (PEP 503) or JSON (PEP 691), with metadata files (PEP 658).

use std::collections::BTreeMap;
use std::io::Read as _;

use serde_json::{Value, json};

use crate::digest::sha256_hex;
use crate::server::{Response, Server};

/// Builds an index: `PyPi::new().wheel("demo-1.0-py3-none-any.whl", &bytes).serve()`.
///
/// Some methods set details of a file. They apply to the file that was added last.
#[derive(Debug, Clone)]
pub struct PyPi {
    files: Vec<IndexedFile>,
    is_html: bool,
    credentials: Option<(String, String)>,
}

#[derive(Debug, Clone)]
struct IndexedFile {
    name: String,
    bytes: Vec<u8>,
    /// The sha256 in the index. It is empty if the index has no sha256 for the file.
    sha256: String,
    md5: Option<String>,
    /// The text of METADATA, if the wheel has one.
    metadata: Option<String>,
    requires_python: Option<String>,
    uploaded: Option<String>,
    yanked: Option<String>,
}

impl Default for PyPi {
    fn default() -> Self {
        Self::new()
    }
}

impl PyPi {
    /// Creates an index without packages. It responds with JSON.
    pub fn new() -> Self {
        Self { files: Vec::new(), is_html: false, credentials: None }
    }

    /// Adds a file. Its name contains the name of the package.
    pub fn wheel(mut self, file_name: &str, bytes: &[u8]) -> Self {
        let metadata = metadata_of(bytes);
        let requires_python = metadata.as_deref().and_then(|text| field_of(text, "Requires-Python"));
        self.files.push(IndexedFile {
            name: file_name.to_owned(),
            bytes: bytes.to_vec(),
            sha256: sha256_hex(bytes),
            md5: None,
            metadata,
            requires_python,
            uploaded: None,
            yanked: None,
        });
        self
    }

    /// Adds a wheel from a builder, with the builder's file name.
    pub fn built(self, wheel: &crate::WheelBuilder) -> Self {
        self.wheel(&wheel.file_name(), &wheel.build())
    }

    /// Adds a source distribution: any bytes with a name like `demo-1.0.tar.gz`.
    pub fn sdist(self, file_name: &str, bytes: &[u8]) -> Self {
        self.wheel(file_name, bytes)
    }

    /// Sets the upload time of the last file, such as `2024-01-31T00:00:00Z`. Only JSON pages contain it.
    pub fn uploaded(mut self, time: &str) -> Self {
        self.last().uploaded = Some(time.to_owned());
        self
    }

    /// Marks the last file as yanked.
    pub fn yanked(mut self, why: &str) -> Self {
        self.last().yanked = Some(why.to_owned());
        self
    }

    /// Wrong: the sha256 of the last file in the index does not match its bytes.
    pub fn with_wrong_sha256(mut self) -> Self {
        self.last().sha256 = sha256_hex(b"other bytes");
        self
    }

    /// Removes the sha256 of the last file. If `md5` is given, the index has `#md5=` instead. This is possible only in
    /// HTML pages.
    pub fn without_sha256(mut self, md5: Option<&str>) -> Self {
        self.last().sha256 = String::new();
        self.last().md5 = md5.map(str::to_owned);
        self
    }

    /// Removes the metadata file of the last file, like on older indexes.
    pub fn without_metadata_file(mut self) -> Self {
        self.last().metadata = None;
        self
    }

    /// Responds with HTML instead of JSON, like an index that supports only PEP 503.
    pub fn html(mut self) -> Self {
        self.is_html = true;
        self
    }

    /// Refuses all requests without these credentials.
    pub fn protected(mut self, user: &str, password: &str) -> Self {
        self.credentials = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// Starts the server.
    pub fn serve(self) -> PyPiServer {
        let server = Server::empty();
        let mut packages: BTreeMap<String, Vec<&IndexedFile>> = BTreeMap::new();
        for file in &self.files {
            packages.entry(package_of(&file.name)).or_default().push(file);
            server.set(&format!("/files/{}", file.name), Response::ok(&file.bytes));
            if let Some(metadata) = &file.metadata {
                server.set(&format!("/files/{}.metadata", file.name), Response::ok(metadata));
            }
        }
        for (package, files) in &packages {
            let page =
                if self.is_html { html_page(package, files, &server) } else { json_page(package, files, &server) };
            server.set(&format!("/simple/{package}/"), page);
        }
        if let Some((user, password)) = &self.credentials {
            server.require_basic(user, password);
        }
        PyPiServer { server, credentials: self.credentials }
    }

    fn last(&mut self) -> &mut IndexedFile {
        self.files.last_mut().expect("a file was added before")
    }
}

/// The running index. The server stops when this value is dropped.
#[derive(Debug)]
pub struct PyPiServer {
    /// The server. It records requests, and tests can set faults on it.
    pub server: Server,
    credentials: Option<(String, String)>,
}

impl PyPiServer {
    /// Returns the URL for `--index`, without credentials.
    pub fn url(&self) -> String {
        self.server.url("/simple/")
    }

    /// Returns the URL for `--index`. The URL contains the credentials that the index requires.
    pub fn url_with_credentials(&self) -> String {
        match &self.credentials {
            Some((user, password)) => self.server.url_as(user, password, "/simple/"),
            None => self.url(),
        }
    }

    /// Returns the path of a file, such as `/files/demo-1.0-py3-none-any.whl`. Tests need the path to set faults.
    pub fn file_path(&self, file_name: &str) -> String {
        format!("/files/{file_name}")
    }
}

/// Returns the normalised name (PEP 503) of the package that contains a file.
fn package_of(file_name: &str) -> String {
    let name = if file_name.ends_with(".whl") {
        file_name.split('-').next().unwrap_or_default()
    } else {
        file_name.rsplit_once('-').map_or(file_name, |(name, _)| name)
    };
    let mut normalized = String::new();
    for letter in name.to_lowercase().chars() {
        let letter = if matches!(letter, '_' | '.') { '-' } else { letter };
        if !(letter == '-' && normalized.ends_with('-')) {
            normalized.push(letter);
        }
    }
    normalized
}

fn json_page(package: &str, files: &[&IndexedFile], server: &Server) -> Response {
    let files: Vec<Value> = files.iter().map(|file| json_entry(file, server)).collect();
    let page = json!({ "meta": { "api-version": "1.1" }, "name": package, "versions": [], "files": files });
    Response::ok(page.to_string()).header("Content-Type", "application/vnd.pypi.simple.v1+json")
}

fn json_entry(file: &IndexedFile, server: &Server) -> Value {
    let mut entry = json!({
        "filename": file.name,
        "url": server.url(&format!("/files/{}", file.name)),
        "hashes": { "sha256": file.sha256 },
        "size": file.bytes.len(),
        "yanked": file.yanked.as_ref().map_or(Value::Bool(false), |why| json!(why)),
    });
    if let Some(specifiers) = &file.requires_python {
        entry["requires-python"] = json!(specifiers);
    }
    if let Some(time) = &file.uploaded {
        entry["upload-time"] = json!(time);
    }
    if let Some(metadata) = &file.metadata {
        entry["core-metadata"] = json!({ "sha256": sha256_hex(metadata.as_bytes()) });
    }
    entry
}

fn html_page(package: &str, files: &[&IndexedFile], server: &Server) -> Response {
    let mut page = format!("<!DOCTYPE html>\n<html><head><title>Links for {package}</title></head><body>\n");
    for file in files {
        let fragment = match (&file.md5, file.sha256.as_str()) {
            (Some(md5), _) => format!("#md5={md5}"),
            (None, "") => String::new(),
            (None, sha256) => format!("#sha256={sha256}"),
        };
        let url = server.url(&format!("/files/{}{fragment}", file.name));
        page.push_str(&format!("<a href=\"{url}\""));
        if let Some(specifiers) = &file.requires_python {
            page.push_str(&format!(" data-requires-python=\"{}\"", escaped(specifiers)));
        }
        if let Some(why) = &file.yanked {
            page.push_str(&format!(" data-yanked=\"{}\"", escaped(why)));
        }
        if let Some(metadata) = &file.metadata {
            page.push_str(&format!(" data-core-metadata=\"sha256={}\"", sha256_hex(metadata.as_bytes())));
        }
        page.push_str(&format!(">{}</a><br/>\n", file.name));
    }
    page.push_str("</body></html>\n");
    Response::ok(page).header("Content-Type", "text/html; charset=utf-8")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Returns METADATA of a wheel. Returns `None` if there is none, or if the bytes are not a wheel.
fn metadata_of(bytes: &[u8]) -> Option<String> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).ok()?;
    let path = archive.file_names().flatten().find(|name| name.ends_with(".dist-info/METADATA"))?.into_owned();
    let mut text = String::new();
    archive.by_name(&path).ok()?.read_to_string(&mut text).ok()?;
    Some(text)
}

fn field_of(metadata: &str, name: &str) -> Option<String> {
    let header = metadata.lines().take_while(|line| !line.is_empty());
    header.filter_map(|line| line.split_once(": ")).find(|(field, _)| *field == name).map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WheelBuilder;

    fn body(server: &PyPiServer, path: &str) -> String {
        let response =
            server.server.get(path).unwrap_or_else(|| panic!("`{path}` is among {:?}", server.server.paths()));
        String::from_utf8(response.body.to_vec()).unwrap()
    }

    #[test]
    fn the_json_index_tells_all_that_an_installer_asks_for() {
        let wheel = WheelBuilder::new("My.Demo", "1.0").requires("idna").requires_python(">=3.9");
        let index = PyPi::new()
            .built(&wheel)
            .uploaded("2024-01-31T00:00:00Z")
            .yanked("broken")
            .sdist("my-demo-0.9.tar.gz", b"source")
            .with_wrong_sha256()
            .serve();
        assert!(index.url().starts_with("http://127.0.0.1:") && index.url().ends_with("/simple/"));
        let page: Value = serde_json::from_str(&body(&index, "/simple/my-demo/")).unwrap();
        let file = &page["files"][0];
        assert_eq!(file["filename"], "My_Demo-1.0-py3-none-any.whl");
        assert_eq!(file["hashes"]["sha256"], sha256_hex(&wheel.build()));
        assert_eq!(file["requires-python"], ">=3.9");
        assert_eq!(file["upload-time"], "2024-01-31T00:00:00Z");
        assert_eq!(file["yanked"], "broken");
        assert_eq!(file["core-metadata"]["sha256"], sha256_hex(wheel.metadata().as_bytes()));
        assert_eq!(body(&index, "/files/My_Demo-1.0-py3-none-any.whl.metadata"), wheel.metadata());
        assert_ne!(page["files"][1]["hashes"]["sha256"], sha256_hex(b"source"));
        assert_eq!(page["files"][1]["yanked"], false);
    }

    #[test]
    fn the_html_index_tells_the_same() {
        let wheel = WheelBuilder::new("demo", "1.0").requires_python(">=3.9");
        let index = PyPi::new().built(&wheel).html().protected("me", "pass").serve();
        let page = body(&index, "/simple/demo/");
        assert!(page.contains(&format!("demo-1.0-py3-none-any.whl#sha256={}", sha256_hex(&wheel.build()))), "{page}");
        assert!(page.contains("data-requires-python=\"&gt;=3.9\"") && page.contains("data-core-metadata="), "{page}");
        assert!(index.url_with_credentials().starts_with("http://me:pass@127.0.0.1:"));
    }

    #[test]
    fn names_are_normalized_as_the_standard_says() {
        let table = [
            ("Foo_Bar-1-py3-none-any.whl", "foo-bar"),
            ("foo.bar__baz-1-py3-none-any.whl", "foo-bar-baz"),
            ("a-b-1.0.tar.gz", "a-b"),
        ];
        for (file, package) in table {
            assert_eq!(package_of(file), package);
        }
    }
}
