//! Writes a lock as text. Lists such as those of wheels and packages have one line per entry, because people compare
//! locks line by line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::lath_table::Builder;
use super::{Archive, Directory, File, LathTable, LockedPlatform, Package, Pylock, Vcs};

/// Returns the text of `lock`. The same lock always has the same text.
pub(crate) fn text(lock: &Pylock) -> String {
    let mut text = String::new();
    pair(&mut text, "lock-version", &lock.lock_version);
    list(&mut text, "environments", &lock.environments);
    optional(&mut text, "requires-python", lock.requires_python.as_ref());
    for (key, names) in [("extras", &lock.extras), ("dependency-groups", &lock.dependency_groups)] {
        if !names.is_empty() {
            list(&mut text, key, names);
        }
    }
    if !lock.default_groups.is_empty() {
        list(&mut text, "default-groups", &lock.default_groups);
    }
    pair(&mut text, "created-by", &lock.created_by);
    for package in &lock.packages {
        push_package(&mut text, package);
    }
    if lock.packages.is_empty() {
        text.push_str("packages = []\n");
    }
    if let Some(table) = &lock.tool.lath {
        push_table(&mut text, table);
    }
    text
}

fn push_package(text: &mut String, package: &Package) {
    text.push_str("\n[[packages]]\n");
    pair(text, "name", &package.name);
    optional(text, "version", package.version.as_ref());
    optional(text, "marker", package.marker.as_ref());
    optional(text, "requires-python", package.requires_python.as_ref());
    if let Some(vcs) = &package.vcs {
        pair(text, "vcs", &WrittenVcs::of(vcs));
    }
    if let Some(Directory { path, editable, subdirectory }) = &package.directory {
        let editable = editable.then_some(true);
        pair(text, "directory", &WrittenDirectory { path, editable, subdirectory: subdirectory.as_deref() });
    }
    if let Some(Archive { file, subdirectory }) = &package.archive {
        pair(text, "archive", &WrittenFile { subdirectory: subdirectory.as_deref(), ..WrittenFile::of(file) });
    }
    if let Some(sdist) = &package.sdist {
        pair(text, "sdist", &WrittenFile::of(sdist));
    }
    if !package.wheels.is_empty() {
        list(text, "wheels", package.wheels.iter().map(WrittenFile::of));
    }
}

fn push_table(text: &mut String, table: &LathTable) {
    text.push_str("\n[tool.lath]\n");
    pair(text, "version", &table.version);
    pair(text, "lath", &table.lath);
    text.push_str("\n[tool.lath.request]\n");
    let request = toml::Table::try_from(&table.request).unwrap_or_default();
    for (key, value) in request {
        match value {
            toml::Value::Array(values) if values.len() > 1 => list(text, &key, values),
            value => pair(text, &key, &value),
        }
    }
    for LockedPlatform { platform, releases, base, wheels, debs, missing } in &table.platforms {
        text.push_str("\n[[tool.lath.platforms]]\n");
        pair(text, "platform", platform);
        optional(text, "base", base.as_ref());
        list(text, "releases", releases);
        list(text, "wheels", wheels);
        list(text, "debs", debs);
        if !missing.is_empty() {
            list(text, "missing", missing);
        }
    }
    push_builds(text, table);
}

/// Adds the builds from source.
fn push_builds(text: &mut String, table: &LathTable) {
    for Builder { platform, releases, debs } in &table.builders {
        text.push_str("\n[[tool.lath.builders]]\n");
        pair(text, "platform", platform);
        list(text, "releases", releases);
        list(text, "debs", debs);
    }
    for build in &table.builds {
        text.push_str("\n[[tool.lath.builds]]\n");
        pair(text, "name", &build.name);
        pair(text, "file", &build.file);
        pair(text, "size", &build.size);
        pair(text, "wheel", &build.wheel);
        pair(text, "source", &build.source);
        optional(text, "history", build.history.then_some(&true));
        pair(text, "builder", &build.builder);
        list(text, "requires", &build.requires);
        list(text, "packages", &build.packages);
        list(text, "dependencies", &build.dependencies);
        list(text, "wheels", &build.wheels);
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct WrittenVcs<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_revision: Option<&'a str>,
    commit_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subdirectory: Option<&'a str>,
}

impl<'a> WrittenVcs<'a> {
    fn of(vcs: &'a Vcs) -> Self {
        Self {
            kind: &vcs.kind,
            url: vcs.url.as_deref(),
            path: vcs.path.as_deref(),
            requested_revision: vcs.requested_revision.as_deref(),
            commit_id: &vcs.commit_id,
            subdirectory: vcs.subdirectory.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct WrittenDirectory<'a> {
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    editable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subdirectory: Option<&'a str>,
}

/// A file of a lock, with its keys in the order of the specification.
#[derive(Serialize)]
struct WrittenFile<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    hashes: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subdirectory: Option<&'a str>,
}

impl<'a> WrittenFile<'a> {
    fn of(file: &'a File) -> Self {
        Self {
            name: file.name.as_deref(),
            url: file.url.as_deref(),
            path: file.path.as_deref(),
            size: file.size,
            hashes: &file.hashes,
            subdirectory: None,
        }
    }
}

/// Adds a line with a key and its value. If the value is a table, it is written inline.
fn pair(text: &mut String, key: &str, value: &impl Serialize) {
    let _ = writeln!(text, "{key} = {}", inline(value));
}

fn optional(text: &mut String, key: &str, value: Option<&impl Serialize>) {
    if let Some(value) = value {
        pair(text, key, value);
    }
}

/// Adds a list with one line per entry.
fn list<T: Serialize>(text: &mut String, key: &str, values: impl IntoIterator<Item = T>) {
    let mut lines = values.into_iter().map(|value| format!("    {},\n", inline(&value))).peekable();
    if lines.peek().is_none() {
        let _ = writeln!(text, "{key} = []");
        return;
    }
    let _ = writeln!(text, "{key} = [\n{}]", lines.collect::<String>());
}

/// Returns a value as TOML on one line.
fn inline(value: &impl Serialize) -> String {
    let mut text = String::new();
    match value.serialize(toml::ser::ValueSerializer::new(&mut text)) {
        Ok(_) => text,
        Err(error) => unreachable!("a value of a lock that cannot be TOML: {error}"),
    }
}
