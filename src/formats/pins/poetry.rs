//! `poetry.lock` in the formats 1.1, 2.0 and 2.1 (Poetry's source, `packages/locker.py`).

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Value;

use super::{Pin, PinSource, Pins, PinsError};
use crate::model::distribution_name::normalised;
use crate::model::git_url::git_url;
use crate::model::indexes::IndexEntry;

#[derive(Debug, Deserialize)]
struct Document {
    #[serde(default)]
    package: Vec<Package>,
    metadata: Option<Metadata>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    /// This field exists since format 2.0. In older formats, the files are in the table `metadata.files`.
    #[serde(default)]
    files: Vec<File>,
    /// This field exists since format 2.1.
    #[serde(default)]
    groups: Vec<String>,
    /// This field exists since format 2.1. It is one marker, or one marker for each group.
    markers: Option<Value>,
    source: Option<Source>,
    /// The dependencies. The value is a constraint, a table, or a list of tables.
    #[serde(default)]
    dependencies: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
struct File {
    hash: String,
}

#[derive(Debug, Deserialize)]
struct Source {
    #[serde(rename = "type", default)]
    kind: String,
    url: String,
    /// The name of the index, or the name of the branch or tag.
    reference: Option<String>,
    resolved_reference: Option<String>,
    subdirectory: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Metadata {
    lock_version: Option<String>,
    #[serde(default)]
    files: BTreeMap<String, Vec<File>>,
}

/// The formats that lath supports. Poetry accepts a later format with the same first number, and shows a warning.
const KNOWN: &str = "1 and 2";

pub(super) fn read(text: &str) -> Result<Pins, PinsError> {
    let document: Document = toml::from_str(text)?;
    let version = document.metadata.as_ref().and_then(|metadata| metadata.lock_version.clone()).unwrap_or_default();
    if !["1", "2"].contains(&version.split('.').next().unwrap_or_default()) {
        return Err(PinsError::Version { tool: "Poetry", found: version, known: KNOWN });
    }
    let mut pins = Pins::default();
    let extras = extras(&document.package);
    for package in &document.package {
        let mut pin = Pin::new(&package.name, &package.version);
        let old = document.metadata.as_ref().and_then(|metadata| metadata.files.get(&package.name));
        let files = if package.files.is_empty() { old.map(Vec::as_slice).unwrap_or_default() } else { &package.files };
        pin.hashes = files.iter().map(|file| file.hash.clone()).collect();
        pin.groups.clone_from(&package.groups);
        pin.extras = extras.get(&pin.name).cloned().unwrap_or_default();
        pin.marker = package.markers.as_ref().and_then(|value| marker(value, &package.groups));
        if let Some(source) = &package.source {
            pin.source = place(source, &mut pins);
        }
        pins.pins.push(pin);
    }
    Ok(pins)
}

/// Returns the marker for a distribution of `groups`. If each group has its own marker, one of them must be true.
/// Returns `None` if a group has none.
fn marker(value: &Value, groups: &[String]) -> Option<String> {
    let Some(table) = value.as_table() else { return value.as_str().map(str::to_owned) };
    let each = groups.iter().map(|group| Some(format!("({})", table.get(group)?.as_str()?)));
    let each = each.collect::<Option<Vec<_>>>()?;
    (!each.is_empty()).then(|| each.join(" or "))
}

/// Returns the extras of each distribution that other distributions require.
fn extras(packages: &[Package]) -> BTreeMap<String, Vec<String>> {
    let mut extras: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in packages.iter().flat_map(|package| &package.dependencies) {
        let entries = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let lists = entries.iter().filter_map(|entry| entry.get("extras")?.as_array());
        let wanted = lists.flatten().filter_map(Value::as_str).map(str::to_owned);
        extras.entry(normalised(name)).or_default().extend(wanted);
    }
    extras
}

fn place(source: &Source, pins: &mut Pins) -> PinSource {
    match source.kind.as_str() {
        "git" => {
            let revision = source.resolved_reference.as_deref().or(source.reference.as_deref());
            PinSource::Url(git_url(&source.url, revision, source.subdirectory.as_deref()))
        }
        "url" => PinSource::Url(source.url.clone()),
        "directory" | "file" => PinSource::Path(source.url.clone()),
        _ if super::is_pypi(&source.url) => PinSource::Index(None),
        // The other types, such as `legacy`, are indexes other than PyPI. Each is searched only for its own
        // distributions.
        _ => {
            if !pins.indexes.iter().any(|index| index.url.exposed() == source.url) {
                pins.indexes.push(IndexEntry {
                    name: source.reference.clone(),
                    url: source.url.as_str().into(),
                    is_explicit: true,
                    is_of_poetry: true,
                    ..IndexEntry::default()
                });
            }
            PinSource::Index(Some(source.url.clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_read() {
        let text = r#"
            [[package]]
            name = "Flask_Cors"
            version = "4.0"
            groups = ["main", "docs"]
            markers = "python_version < '3.13'"
            files = [{ file = "a.whl", hash = "sha256:aa" }, { file = "a.tar.gz", hash = "sha256:bb" }]
            [[package]]
            name = "mine"
            version = "1"
            files = []
            [package.source]
            type = "git"
            url = "git@host.example:team/mine.git"
            reference = "main"
            resolved_reference = "0123abc"
            [[package]]
            name = "inner"
            version = "2"
            [package.dependencies]
            Flask-Cors = { version = "*", extras = ["fast"] }
            mine = [{ version = "1", extras = ["a"] }, { version = "2", extras = ["b"] }]
            six = "*"
            [package.source]
            type = "legacy"
            url = "https://index.example/simple"
            reference = "private"
            [metadata]
            lock-version = "2.1"
            content-hash = "x"
            [metadata.files]
            inner = [{ file = "inner.whl", hash = "sha256:cc" }]
        "#;
        let pins = read(text).unwrap();
        let indexes: Vec<_> =
            pins.indexes.iter().map(|index| (index.name.as_deref().unwrap(), index.url.exposed())).collect();
        assert_eq!(indexes, [("private", "https://index.example/simple")]);
        assert_eq!(
            (&pins.pins[0].extras[..], &pins.pins[1].extras[..]),
            (&["fast".to_owned()][..], &["a".to_owned(), "b".to_owned()][..])
        );
        let flask = &pins.pins[0];
        assert_eq!((flask.name.as_str(), flask.version.as_str()), ("flask-cors", "4.0"));
        assert_eq!(flask.hashes, ["sha256:aa", "sha256:bb"]);
        assert_eq!((flask.groups.len(), flask.marker.as_deref()), (2, Some("python_version < '3.13'")));
        let url = "git+ssh://git@host.example/team/mine.git@0123abc";
        assert_eq!(pins.pins[1].source, PinSource::Url(url.to_owned()));
        assert_eq!(
            (&pins.pins[2].source, &pins.pins[2].hashes[..]),
            (&PinSource::Index(Some("https://index.example/simple".to_owned())), &["sha256:cc".to_owned()][..])
        );
        assert!(pins.contains("inner", "2") && !pins.contains("inner", "3"));
    }

    #[test]
    fn each_group_may_have_its_own_marker() {
        let read = |groups: &[&str]| {
            let value: Value = toml::from_str("main = \"python_version < '3.11'\"\ndev = \"os_name == 'nt'\"").unwrap();
            marker(&value, &groups.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(read(&["main", "dev"]).unwrap(), "(python_version < '3.11') or (os_name == 'nt')");
        assert_eq!((read(&["main", "docs"]), read(&[])), (None, None));
    }

    #[test]
    fn a_later_format_is_refused() {
        let error = read("[metadata]\nlock-version = '3.0'").unwrap_err();
        insta::assert_snapshot!(error, @"its format has the version 3.0, and lath reads 1 and 2: write it again with a newer Poetry");
        assert!(matches!(read("package = 1"), Err(PinsError::Toml(_))));
    }
}
