//! Explains to the user why a request cannot be resolved: it gives uv's reasons in plain words, and lists the files
//! that the index has.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use fs_err as fs;
use uv_cache::{Cache, CacheBucket};
use uv_client::{MetadataFormat, OwnedArchive, RegistryClient};
use uv_distribution_filename::{DistFilename, WheelFilename};
use uv_distribution_types::{IndexLocations, Requirement, RequirementSource};
use uv_errors::Hint as _;
use uv_normalize::PackageName;
use uv_pep440::{Version, VersionSpecifiers};
use uv_resolver::{NoSolutionError, ResolveError};
use uv_types::BuildContext as _;

use crate::catalog::programs;
use crate::model::hint::{Hint, NetworkHint, RequestHint};
use crate::model::platform::PythonVersion;
use crate::model::secret_text::public;
use crate::outside::pypi::newer::newest_accepted;
use crate::outside::pypi::no_builds::NoBuilds;
use crate::outside::pypi::other_python::python_with_wheels;
use crate::outside::pypi::target::Target;
use crate::outside::pypi::wheel_metadata::WheelMetadata;
use crate::outside::pypi::{Advice, Cause, Message, network_hints};
use crate::outside::similar::similar;

/// The maximum number of columns in a line of an explanation.
const WIDTH: usize = 100;
/// If the files of the index are listed, uv's report is added only if it has at most this many lines. Longer reports
/// are hard to read.
const LINES: usize = 12;
/// The maximum number of packages whose files are listed. Other packages may still be in uv's report.
const PACKAGES: usize = 4;
/// Hints of uv are dropped if they begin like this. Such hints are about uv's own options, or about the files of the
/// index, which lath lists completely.
const DROPPED_HINTS: [&str; 7] = [
    "The `Requires-Python` request",
    "An index URL (",
    "Wheels are required for",
    "You require CPython",
    "Wheels are available for",
    "Packages were unavailable because the network was disabled",
    "The following packages were available",
];

/// The explanation why a request could not be resolved.
pub(super) struct Explanation {
    pub(super) cause: Cause,
    pub(super) advice: Advice,
}

/// The failed request, and the values that are needed to send requests to the index.
pub(super) struct Asked<'a> {
    pub(super) client: &'a RegistryClient,
    pub(super) context: &'a NoBuilds,
    pub(super) requirements: &'a [Requirement],
    pub(super) target: &'a Target,
    pub(super) metadata: &'a WheelMetadata<'a>,
    /// The servers that refused a request, as one sentence per server.
    pub(super) refused: Vec<String>,
}

/// Explains `error`. The index pages are requested again, and uv reads them from its cache.
pub(super) async fn explain(error: &ResolveError, asked: Asked<'_>) -> Explanation {
    let texts = error.hints().into_iter().map(|hint| asked.metadata.reworded(&plain(&hint)));
    let texts = texts.map(|hint| hint.replace("By default, uv will", "By default, lath will"));
    let texts = texts.filter(|text| !DROPPED_HINTS.iter().any(|dropped| text.starts_with(dropped)));
    let mut hints: Vec<Hint> = texts.map(|text| Hint::Resolver { text }).collect();
    hints.extend(network_hints(error));
    hints.extend(asked.refused.first().map(|_| Hint::Network(NetworkHint::Password)));
    let asked = &asked;
    let ResolveError::NoSolution(no_solution) = error else {
        return Explanation {
            cause: chain(error, &asked.refused),
            advice: Advice { hints, without_wheels: Vec::new() },
        };
    };
    let report = asked.metadata.reworded(&reworded(no_solution, &asked.context.locations));
    let report = wrapped(&report, WIDTH);
    let mut texts = Vec::new();
    let mut without_wheels = Vec::new();
    let mut names: Vec<&PackageName> = no_solution.packages().collect();
    names.sort();
    names.dedup();
    for name in names {
        let Some(listing) = listing(name, asked).await else {
            hints.extend(did_you_mean(name, &asked.context.cache));
            continue;
        };
        if let Some(python) = listing.other_python.filter(|_| listing.hint.is_none()) {
            hints.push(Hint::Request(RequestHint::OtherPython { name: name.to_string(), python: python.to_string() }));
        }
        if listing.could_be_built {
            without_wheels.push(name.to_string());
        }
        if listing.is_to_blame && texts.len() < PACKAGES {
            texts.push(wrapped(&listing.text, WIDTH));
            hints.extend(listing.hint.map(Hint::Request));
        }
    }
    // If the index has no file that fits, a long report of uv would only repeat this fact. So a long report is left
    // out.
    if texts.is_empty() || report.lines().count() <= LINES {
        texts.insert(0, report);
    }
    // If an index refused a request, the other indexes were not searched. So the refusals are reported first.
    texts.splice(0..0, asked.refused.iter().map(|text| wrapped(text, WIDTH)));
    Explanation { cause: Box::new(Message::chained(texts)), advice: Advice { hints, without_wheels } }
}

/// Returns a hint for a `name` that has no page. The hint contains known names that are similar to `name`. If `name` is
/// a known name, it is not a typing error, so there is no hint.
fn did_you_mean(name: &PackageName, cache: &Cache) -> Option<Hint> {
    let mut known: BTreeSet<String> = programs::distributions().map(str::to_owned).collect();
    add_cached_names(&cache.bucket(CacheBucket::Simple), &mut known);
    if known.contains(name.as_str()) {
        return None;
    }
    let similar = similar(name.as_str(), known.iter().map(String::as_str));
    (!similar.is_empty())
        .then(|| Hint::Request(RequestHint::SimilarName { names: similar.iter().map(ToString::to_string).collect() }))
}

/// Adds the names of the distributions whose pages are cached in `folder`. Each index has its own folder there.
fn add_cached_names(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            add_cached_names(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rkyv") {
            names.extend(path.file_stem().and_then(OsStr::to_str).map(str::to_owned));
        }
    }
}

/// Returns the messages of an error and its causes. Causes that add no information are left out.
fn chain(error: &ResolveError, refused: &[String]) -> Cause {
    const SAYS_NOTHING: [&str; 4] =
        ["error sending request", "client error", "tcp connect error", "operation timed out"];
    let mut texts = Vec::new();
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        let text = wrapped(&plain(&error.to_string()), WIDTH);
        next = error.source();
        let says_nothing = next.is_some() && SAYS_NOTHING.iter().any(|start| text.starts_with(start));
        if !says_nothing && texts.last() != Some(&text) {
            texts.push(text);
        }
    }
    texts.extend(refused.iter().map(|text| wrapped(text, WIDTH)));
    Box::new(Message::chained(texts))
}

/// Returns uv's report with different words. For example, uv's report says `you` and means the author of the
/// requirements.
fn reworded(error: &NoSolutionError, locations: &IndexLocations) -> String {
    let mut text = plain(error.report());
    for name in error.packages() {
        for digit in '0'..='9' {
            let (glued, apart) = (format!("version of {name}{digit}"), format!("version of {name}=={digit}"));
            text = text.replace(&glued, &apart);
        }
    }
    let indexes: Vec<String> =
        locations.indexes().map(|index| format!("`{}`", public(index.url.url().as_str()))).collect();
    let asked = if indexes.is_empty() { "any index".to_owned() } else { indexes.join(" or ") };
    text.replace("was not found in the package registry", &format!("is not on {asked}"))
        .replace("was not found in the cache", "is not in the cache, and this build is offline")
        .replace("your requirements are unsatisfiable", "the request cannot be met")
        .replace("your requirements", "the request")
        .replace("you require", "the request requires")
        .replace("we can conclude that ", "")
}

/// The files that the index has for a package.
struct Listing {
    /// Whether the package has no file that the request allows and that fits the target. If so, this package causes
    /// the failure.
    is_to_blame: bool,
    /// Whether there is a source distribution, from which lath could build the missing wheel.
    could_be_built: bool,
    text: String,
    hint: Option<RequestHint>,
    /// The newest Python that the newest allowed version of the package accepts. Set only if that version does not
    /// accept the target's Python.
    other_python: Option<PythonVersion>,
}

/// The files of one version.
#[derive(Default)]
struct Files {
    wheels: Vec<WheelFilename>,
    has_source: bool,
    /// The Python versions that the last of the wheels accepts (`Requires-Python`).
    pythons: Option<Arc<VersionSpecifiers>>,
}

async fn listing(name: &PackageName, asked: &Asked<'_>) -> Option<Listing> {
    let one = tokio::sync::Semaphore::new(1);
    let found = asked.client.simple_detail(name, None, asked.context.capabilities(), &one).await.ok()?;
    let (index, format) = found.into_iter().next()?;
    let MetadataFormat::Simple(archive) = format else { return None };
    let mut versions: Vec<(Version, Files)> = Vec::new();
    for datum in OwnedArchive::deserialize(&archive) {
        let mut files = Files::default();
        for (file_name, file) in datum.files.all(name) {
            match file_name {
                DistFilename::WheelFilename(wheel) => {
                    files.wheels.push(wheel);
                    files.pythons = file.requires_python.clone();
                }
                DistFilename::SourceDistFilename(_) => files.has_source = true,
            }
        }
        versions.push((datum.version, files));
    }
    let specifier = asked.requirements.iter().find_map(|requirement| match &requirement.source {
        RequirementSource::Registry { specifier, .. } if requirement.name == *name => Some(specifier),
        _ => None,
    });
    let index = public(index.url().as_str());
    let allowed = |version: &Version| specifier.is_none_or(|specifier| specifier.contains(version));
    let is_requested = asked.requirements.iter().any(|requirement| requirement.name == *name);
    let mut listing = described(name.as_str(), &index, &versions, allowed, asked.target);
    listing.other_python = other_python(&versions, allowed, asked.target).filter(|_| is_requested);
    Some(listing)
}

/// Returns the newest Python that the newest allowed version accepts. Returns `None` if that version accepts the
/// target's Python. If it does not, the resolver tries older versions, and its report does not mention the newest
/// version.
fn other_python(
    versions: &[(Version, Files)],
    allowed: impl Fn(&Version) -> bool,
    target: &Target,
) -> Option<PythonVersion> {
    let is_candidate = |(version, files): &&(Version, Files)| {
        allowed(version) && !version.any_prerelease() && !files.wheels.is_empty()
    };
    let (_, files) = versions.iter().rev().find(is_candidate)?;
    let pythons = files.pythons.as_ref()?;
    if pythons.contains(&target.python()) {
        return None;
    }
    newest_accepted(pythons, |_| true)
}

fn described(
    name: &str,
    index: &str,
    versions: &[(Version, Files)],
    allowed: impl Fn(&Version) -> bool,
    target: &Target,
) -> Listing {
    let Some((newest, _)) = versions.last() else {
        let text = format!(
            "the page of `{name}` on `{index}` lists no file: check whether it is an index, and not a page of a proxy"
        );
        return Listing { is_to_blame: true, could_be_built: false, text, hint: None, other_python: None };
    };
    let Some((version, files)) = versions.iter().rev().find(|(version, _)| allowed(version)) else {
        let text = match versions {
            [_] => format!("the index has only {newest} of `{name}`"),
            several => format!("the index has {} versions of `{name}`; the newest is {newest}", several.len()),
        };
        return Listing { is_to_blame: true, could_be_built: false, text, hint: None, other_python: None };
    };
    let is_to_blame = !versions.iter().any(|(version, files)| allowed(version) && fits(files, target));
    let source = if files.has_source { "a source distribution" } else { "no source distribution" };
    let text = if files.wheels.is_empty() {
        format!("the index has no wheel of `{name}` {version}, only {source}")
    } else {
        let (pythons, platforms) = (pythons(&files.wheels), platforms(&files.wheels));
        format!("the index has wheels of `{name}` {version} for {pythons} on {platforms}, and {source}")
    };
    let could_be_built = is_to_blame && files.has_source;
    Listing {
        is_to_blame,
        could_be_built,
        text,
        hint: is_to_blame.then(|| hint_for(name, versions, files, target)).flatten(),
        other_python: None,
    }
}

fn fits(files: &Files, target: &Target) -> bool {
    files.wheels.iter().any(|wheel| wheel.is_compatible(&target.tags))
}

/// Returns a hint: use another version, use another Python, or build a wheel.
fn hint_for(name: &str, versions: &[(Version, Files)], files: &Files, target: &Target) -> Option<RequestHint> {
    let mut fitting = versions.iter().rev().filter(|(_, files)| fits(files, target));
    if let Some((version, _)) = fitting.find(|(version, _)| !version.any_prerelease()) {
        let (name, version) = (name.to_owned(), version.to_string());
        return Some(RequestHint::OtherVersion { name, version });
    }
    let wheels: Vec<&WheelFilename> = files.wheels.iter().collect();
    let other = python_with_wheels(&wheels, target.markers.platform_machine());
    let name = name.to_owned();
    match other {
        Some(python) => Some(RequestHint::OtherPython { name, python: python.to_string() }),
        None => files.has_source.then_some(RequestHint::BuildWheelOf { name }),
    }
}

fn pythons(wheels: &[WheelFilename]) -> String {
    let mut tags: Vec<String> = wheels.iter().flat_map(|wheel| wheel.python_tags()).map(ToString::to_string).collect();
    // Tags are sorted by length first, so that `cp39` is before `cp310`.
    tags.sort_by_key(|tag| (tag.len(), tag.clone()));
    tags.dedup();
    listed(&tags)
}

fn platforms(wheels: &[WheelFilename]) -> String {
    let tags = wheels.iter().flat_map(|wheel| wheel.platform_tags()).map(|tag| family(&tag.to_string()));
    listed(&tags.collect::<BTreeSet<String>>().into_iter().collect::<Vec<String>>())
}

/// Returns the family of a platform tag. For example, the family of `manylinux_2_17_x86_64` is `manylinux x86_64`.
fn family(tag: &str) -> String {
    for kind in ["manylinux", "musllinux", "macosx", "linux", "android", "ios"] {
        let Some(rest) = tag.strip_prefix(kind) else { continue };
        let machine = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_');
        return if machine.is_empty() { kind.to_owned() } else { format!("{kind} {machine}") };
    }
    match tag {
        "any" => "any platform".to_owned(),
        "win32" | "win_amd64" | "win_arm64" => "windows".to_owned(),
        other => other.to_owned(),
    }
}

/// Joins words like this: `a, b and c`.
fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Removes colours and credentials from a text.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    // Each escape sequence that sets colours is removed (Select Graphic Rendition, ECMA-48, section 8.3.117). Such a
    // sequence ends with `m`.
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    public(plain.trim_end())
}

/// Breaks long lines at spaces, and keeps the indentation of each line.
fn wrapped(text: &str, width: usize) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let mut current = indent.to_owned();
        for word in line.split_whitespace() {
            if current.len() > indent.len() && current.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::replace(&mut current, indent.to_owned()));
            }
            if current.len() > indent.len() {
                current.push(' ');
            }
            current.push_str(word);
        }
        lines.push(current);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::pypi::System;

    fn files(wheels: &[&str], has_source: bool) -> Files {
        Files { wheels: wheels.iter().map(|name| name.parse().unwrap()).collect(), has_source, pythons: None }
    }

    fn described_for(versions: &[(&str, Files)], specifier: &str) -> (bool, String, Option<RequestHint>) {
        let target = Target::new(System::example(), "3.13".parse().unwrap()).unwrap();
        let specifiers: uv_pep440::VersionSpecifiers = specifier.parse().unwrap();
        let versions: Vec<(Version, Files)> = versions
            .iter()
            .map(|(version, files)| {
                let files = Files { wheels: files.wheels.clone(), has_source: files.has_source, pythons: None };
                (version.parse().unwrap(), files)
            })
            .collect();
        let listing = described(
            "x-y",
            "https://index.example/simple",
            &versions,
            |version| specifiers.contains(version),
            &target,
        );
        (listing.is_to_blame, listing.text, listing.hint)
    }

    fn other_python(python: &str) -> RequestHint {
        RequestHint::OtherPython { name: "x-y".to_owned(), python: python.to_owned() }
    }

    #[test]
    fn the_newest_requested_version_is_described() {
        let old = || ("1.0", files(&["x_y-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"], false));
        let new = || {
            let wheels = [
                "x_y-2.0-cp310-cp310-win_amd64.whl",
                "x_y-2.0-cp39-cp39-macosx_11_0_arm64.whl",
                "x_y-2.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            ];
            ("2.0", files(&wheels, true))
        };
        let (is_to_blame, text, hint) = described_for(&[old(), new()], "");
        assert!(is_to_blame);
        assert_eq!(
            text,
            "the index has wheels of `x-y` 2.0 for cp39, cp310 and cp311 on macosx arm64, manylinux x86_64 and windows, \
             and a source distribution"
        );
        assert_eq!(hint, Some(other_python("3.11")));
        let (_, text, hint) = described_for(&[old(), new()], "<2");
        assert!(text.starts_with("the index has wheels of `x-y` 1.0 for cp312 on manylinux x86_64, and no"), "{text}");
        assert_eq!(hint, Some(other_python("3.12")));
    }

    #[test]
    fn a_source_distribution_alone_leads_to_building_a_wheel() {
        let (is_to_blame, text, hint) = described_for(&[("1.0", files(&[], true))], "");
        assert_eq!(
            (is_to_blame, text.as_str()),
            (true, "the index has no wheel of `x-y` 1.0, only a source distribution")
        );
        assert_eq!(hint, Some(RequestHint::BuildWheelOf { name: "x-y".to_owned() }));
    }

    #[test]
    fn a_package_with_a_fitting_wheel_is_not_to_blame() {
        assert!(!described_for(&[("1.0", files(&["x_y-1.0-py3-none-any.whl"], true))], "").0);
        let (windows, any) = (["x_y-2.0-py3-none-win32.whl"], ["x_y-1.0-py3-none-any.whl"]);
        let (_, _, hint) = described_for(&[("1.0", files(&any, true)), ("2.0", files(&windows, false))], ">=2");
        let (name, version) = ("x-y".to_owned(), "1.0".to_owned());
        assert_eq!(hint, Some(RequestHint::OtherVersion { name, version }));
        assert_eq!(described_for(&[("2.0", files(&windows, false))], "").2, None);
        let (is_to_blame, text, _) = described_for(&[("1.0", files(&["x_y-1.0-py3-none-any.whl"], true))], ">=7");
        assert_eq!((is_to_blame, text.as_str()), (true, "the index has only 1.0 of `x-y`"));
        insta::assert_snapshot!(described_for(&[], "").1, @"
        the page of `x-y` on `https://index.example/simple` lists no file: check whether it is an index, and not a page of a proxy
        ");
    }

    #[test]
    fn long_explanations_are_broken_and_bare_of_colours() {
        assert_eq!(wrapped("aa bb cc\n    dd ee", 5), "aa bb\ncc\n    dd\n    ee");
        assert_eq!(plain("\u{1b}[36mred\u{1b}[39m and `https://u:p@h/`"), "red and `https://h/`");
    }
}
