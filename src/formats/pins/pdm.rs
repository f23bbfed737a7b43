//! `pdm.lock` in format 4 (PDM's source, `project/lockfile/pdmlock.py`).

use serde::Deserialize;

use super::{Pin, PinSource, Pins, PinsError};
use crate::model::git_url::git_url;

#[derive(Debug, Deserialize)]
struct Document {
    #[serde(default)]
    package: Vec<Package>,
    metadata: Option<Metadata>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    lock_version: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    extras: Vec<String>,
    marker: Option<String>,
    #[serde(default)]
    files: Vec<File>,
    git: Option<String>,
    revision: Option<String>,
    subdirectory: Option<String>,
    url: Option<String>,
    path: Option<String>,
}

#[derive(Debug, Deserialize)]
struct File {
    hash: String,
}

pub(super) fn read(text: &str) -> Result<Pins, PinsError> {
    let document: Document = toml::from_str(text)?;
    let version = document.metadata.and_then(|metadata| metadata.lock_version).unwrap_or_default();
    if version.split('.').next() != Some("4") {
        return Err(PinsError::Version { tool: "PDM", found: version, known: "4" });
    }
    let pins = document.package.into_iter().map(pin).collect();
    Ok(Pins { pins, ..Pins::default() })
}

fn pin(package: Package) -> Pin {
    let source = match (package.git, package.url, package.path) {
        (Some(git), _, _) => {
            PinSource::Url(git_url(&git, package.revision.as_deref(), package.subdirectory.as_deref()))
        }
        (_, Some(url), _) => PinSource::Url(url),
        (_, _, Some(path)) => PinSource::Path(path),
        _ => PinSource::Index(None),
    };
    Pin {
        hashes: package.files.into_iter().map(|file| file.hash).collect(),
        groups: package.groups,
        extras: package.extras,
        marker: package.marker,
        source,
        ..Pin::new(&package.name, &package.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_read() {
        let text = r#"
            [metadata]
            groups = ["default", "web"]
            lock_version = "4.5.0"
            [[package]]
            name = "Anyio"
            version = "4.4.0"
            groups = ["default"]
            marker = "python_version >= '3.8'"
            files = [{ file = "anyio.whl", hash = "sha256:aa" }]
            [[package]]
            name = "anyio"
            version = "4.4.0"
            extras = ["trio"]
            files = [{ file = "anyio.whl", hash = "sha256:aa" }]
            [[package]]
            name = "local"
            path = "./libs/local"
        "#;
        let pins = read(text).unwrap().pins;
        assert_eq!((pins[0].name.as_str(), &pins[0].hashes[..]), ("anyio", &["sha256:aa".to_owned()][..]));
        assert_eq!(pins[2].source, PinSource::Path("./libs/local".to_owned()));
    }

    #[test]
    fn another_format_is_refused() {
        let error = read("[metadata]\nlock_version = '3.1'").unwrap_err();
        insta::assert_snapshot!(error, @"its format has the version 3.1, and lath reads 4: write it again with a newer PDM");
    }
}
