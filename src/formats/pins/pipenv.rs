//! `Pipfile.lock` in format 6 (Pipenv's documentation, "Pipfile & Pipfile.lock").

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Pin, PinSource, Pins, PinsError, is_pypi};
use crate::model::git_url::git_url;
use crate::model::indexes::IndexEntry;

#[derive(Debug, Deserialize)]
struct Document {
    #[serde(rename = "_meta")]
    meta: Meta,
    /// The groups by name: `default`, `develop`, and the other groups of the `Pipfile`.
    #[serde(flatten)]
    groups: BTreeMap<String, BTreeMap<String, Package>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Meta {
    pipfile_spec: Option<Value>,
    #[serde(default)]
    sources: Vec<Source>,
}

#[derive(Debug, Deserialize)]
struct Source {
    name: Option<String>,
    url: String,
}

#[derive(Debug, Deserialize)]
struct Package {
    #[serde(default)]
    version: String,
    #[serde(default)]
    hashes: Vec<String>,
    #[serde(default)]
    extras: Vec<String>,
    markers: Option<String>,
    index: Option<String>,
    git: Option<String>,
    #[serde(rename = "ref")]
    revision: Option<String>,
    subdirectory: Option<String>,
    file: Option<String>,
    path: Option<String>,
}

pub(super) fn read(text: &str, wanted: &[String]) -> Result<Pins, PinsError> {
    let document: Document = serde_json::from_str(text)?;
    let version = document.meta.pipfile_spec.map(|version| version.to_string()).unwrap_or_default();
    if version != "6" {
        return Err(PinsError::Version { tool: "Pipenv", found: version, known: "6" });
    }
    // The first source is the default index.
    let indexes = document.meta.sources.into_iter().enumerate().map(|(at, source)| IndexEntry {
        name: source.name,
        url: source.url.into(),
        is_default: at == 0,
        ..IndexEntry::default()
    });
    let mut pins = Pins { indexes: indexes.filter(|index| !is_pypi(index.url.exposed())).collect(), ..Pins::default() };
    for (group, packages) in document.groups {
        if group == "default" || wanted.contains(&group) {
            pins.pins.extend(packages.into_iter().map(|(name, package)| pin(&name, package, &group, &pins.indexes)));
        }
        pins.groups.push(group);
    }
    Ok(pins)
}

pub(super) fn group(name: &str) -> String {
    match name {
        "dev" | "dev-packages" => "develop".to_owned(),
        "packages" => "default".to_owned(),
        other => other.to_owned(),
    }
}

fn pin(name: &str, package: Package, group: &str, indexes: &[IndexEntry]) -> Pin {
    let source = match (package.git, package.file, package.path) {
        (Some(git), _, _) => {
            PinSource::Url(git_url(&git, package.revision.as_deref(), package.subdirectory.as_deref()))
        }
        (_, Some(file), _) if file.contains("://") => PinSource::Url(file),
        (_, Some(path), _) | (_, _, Some(path)) => PinSource::Path(path),
        _ => {
            let index = indexes.iter().find(|index| index.name.is_some() && index.name == package.index);
            PinSource::Index(index.map(|index| index.url.exposed().to_owned()))
        }
    };
    Pin {
        hashes: package.hashes,
        extras: package.extras,
        groups: vec![group.to_owned()],
        marker: package.markers,
        source,
        ..Pin::new(name, package.version.trim_start_matches('='))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"{
        "_meta": {
            "hash": {"sha256": "x"}, "pipfile-spec": 6, "requires": {"python_version": "3.11"},
            "sources": [
                {"name": "private", "url": "https://index.example/simple", "verify_ssl": true},
                {"name": "pypi", "url": "https://pypi.org/simple", "verify_ssl": true}
            ]
        },
        "default": {
            "Requests": {"hashes": ["sha256:aa"], "index": "pypi", "version": "==2.32.0", "markers": "python_version >= '3.8'"},
            "service": {"version": "==1", "index": "private"},
            "tool": {"git": "https://host.example/tool.git", "ref": "abc"}
        },
        "develop": {"pytest": {"version": "==8.0"}}
    }"#;

    #[test]
    fn the_default_group_is_read_and_others_if_they_are_named() {
        let pins = read(LOCK, &[]).unwrap();
        let indexes: Vec<_> =
            pins.indexes.iter().map(|index| (index.name.as_deref().unwrap(), index.is_default)).collect();
        assert_eq!(
            (indexes, &pins.groups[..]),
            (vec![("private", true)], &["default".to_owned(), "develop".to_owned()][..])
        );
        assert_eq!((pins.pins.len(), &pins.pins[0].source), (3, &PinSource::Index(None)));
        assert_eq!(pins.pins[1].source, PinSource::Index(Some("https://index.example/simple".to_owned())));
        assert_eq!((pins.pins[0].name.as_str(), pins.pins[0].version.as_str()), ("requests", "2.32.0"));
        assert_eq!(pins.pins[2].source, PinSource::Url("git+https://host.example/tool.git@abc".to_owned()));
        assert_eq!(read(LOCK, &["develop".to_owned()]).unwrap().pins.len(), 4);
    }

    #[test]
    fn a_pipfile_names_the_direct_dependencies() {
        let text = "[packages]\nRequests_X = '*'\n[dev-packages]\npytest = '*'\n[requires]\npython_version = '3.11'";
        assert_eq!(Pins::names_of_pipfile(text, &[]).unwrap(), ["requests-x"]);
        assert_eq!(Pins::names_of_pipfile(text, &["develop".to_owned()]).unwrap(), ["requests-x", "pytest"]);
    }

    #[test]
    fn another_format_is_refused() {
        let error = read(r#"{"_meta": {"pipfile-spec": 5}, "default": {}}"#, &[]).unwrap_err();
        insta::assert_snapshot!(error, @"its format has the version 5, and lath reads 6: write it again with a newer Pipenv");
    }
}
