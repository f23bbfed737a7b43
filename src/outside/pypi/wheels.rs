//! Converts the result of uv to lath's own types. A wheel can be locked at once if its sha256 is known: from
//! its index, or from the requirement that names its URL. Other wheels must be fetched first, such as wheels that a
//! requirement names by path.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use uv_distribution_types::{
    BuiltDist, Diagnostic as _, Dist, HashPolicy, Name as _, Node, RegistryBuiltDist, Resolution, ResolvedDist,
    SourceDist,
};
use uv_types::HashStrategy;

use crate::model::allowed_hashes::AllowedHashes;
use crate::model::digest::Digest;
use crate::model::hint::Hint;
use crate::model::lock::{LockedWheel, WheelSource};
use crate::model::secret_text::{public, without_credentials};
use crate::model::source::Source;
use crate::outside::credentials::Credentials;
use crate::outside::pypi::ahead::Expected;
use crate::outside::pypi::hashes::{self, sha256s};
use crate::outside::pypi::sources::SourceMetadata;
use crate::outside::pypi::{PypiError, redacted};

/// The result of a request on one platform.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) wheels: Vec<LockedWheel>,
    /// Wheels that must be fetched before they can be locked, because their index does not contain their sha256.
    pub(crate) direct: Vec<DirectWheel>,
    /// Sources that must be built into wheels.
    pub(crate) sources: Vec<ChosenSource>,
    /// The wheels that come from an index. Their pages and metadata are prefetched when the same request is resolved
    /// again.
    pub(crate) expected: Vec<Expected>,
    /// Warnings for the user, for example if a version was yanked or an extra does not exist.
    pub(crate) warnings: Vec<String>,
    /// Changes of the request that may help the user.
    pub(crate) hints: Vec<Hint>,
}

/// A source of the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChosenSource {
    pub(crate) source: Source,
    pub(crate) is_requested: bool,
    /// The distributions that depend on it, sorted by name.
    pub(crate) required_by: Vec<String>,
}

/// A wheel whose sha256 is not in an index, for example because a requirement names the wheel by path or URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DirectWheel {
    /// The normalised name (PEP 503).
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) file_name: String,
    pub(crate) place: Place,
    pub(crate) allowed: AllowedHashes,
    pub(crate) is_requested: bool,
    /// The distributions that depend on it, sorted by name.
    pub(crate) required_by: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The URL in a requirement, without credentials and fragment.
    Url(String),
    /// The URL in an index that does not contain the wheel's sha256. It has no credentials and no fragment.
    Index(String),
    /// The path in a requirement, or the path of a file in a folder that is used as an index.
    Path(PathBuf),
}

impl DirectWheel {
    /// Returns the entry for the lock, after the bytes were read.
    pub(crate) fn locked(&self, digest: Digest, size_bytes: Option<u64>) -> LockedWheel {
        let (url, source) = match &self.place {
            Place::Url(url) => (url.clone(), WheelSource::Url),
            Place::Index(url) => (url.clone(), WheelSource::Index),
            Place::Path(path) => {
                let url = url::Url::from_file_path(path).map(String::from);
                (url.unwrap_or_else(|()| format!("file://{}", path.display())), WheelSource::Path)
            }
        };
        LockedWheel {
            name: self.name.clone(),
            version: self.version.clone(),
            file_name: self.file_name.clone(),
            url,
            digest,
            size_bytes,
            is_requested: self.is_requested,
            required_by: self.required_by.clone(),
            source,
            built: None,
        }
    }
}

/// Returns the wheels of `resolution`, sorted by name. `asked` are the names of the distributions that the user
/// requested.
pub(super) fn answer(
    resolution: &Resolution,
    asked: &[String],
    hasher: &HashStrategy,
    credentials: &Credentials,
) -> Result<Answer, PypiError> {
    let mut answer = Answer::default();
    for resolved in resolution.distributions() {
        let ResolvedDist::Installable { dist, .. } = resolved else { continue };
        let is_requested = asked.contains(&dist.name().to_string());
        let policy = hasher.get(dist.as_ref());
        match dist.as_ref() {
            Dist::Built(BuiltDist::Registry(registry)) => {
                match of_index(registry, is_requested, &policy, credentials)? {
                    Indexed::Pinned(wheel) => answer.wheels.push(wheel),
                    Indexed::Unpinned(wheel) => answer.direct.push(wheel),
                }
                answer.expected.extend(Expected::of(registry));
            }
            Dist::Built(BuiltDist::DirectUrl(wheel)) => {
                credentials.remember(wheel.url.to_url().as_str());
                let mut location = url::Url::from(wheel.location.as_ref().clone());
                location.set_fragment(None);
                let place = Place::Url(without_credentials(&location).into());
                answer.direct.push(direct(&wheel.filename, place, is_requested, &policy));
            }
            Dist::Built(BuiltDist::Path(wheel)) => {
                let place = Place::Path(wheel.install_path.to_path_buf());
                answer.direct.push(direct(&wheel.filename, place, is_requested, &policy));
            }
            // Sources are not added here, because the function `sources` returns them.
            Dist::Source(_) => {}
            other => return Err(PypiError::NotAWheel { distribution: public(&other.to_string()) }),
        }
    }
    let mut edges = edges(resolution);
    for wheel in &mut answer.wheels {
        wheel.required_by = edges.remove(&wheel.name).unwrap_or_default();
    }
    for wheel in &mut answer.direct {
        wheel.required_by = edges.remove(&wheel.name).unwrap_or_default();
    }
    answer.wheels.sort_by(|one, other| one.name.cmp(&other.name));
    answer.expected.sort();
    answer.direct.sort_by(|one, other| one.name.cmp(&other.name));
    answer.warnings = resolution.diagnostics().iter().map(|diagnostic| public(&diagnostic.message())).collect();
    answer.warnings.sort();
    Ok(answer)
}

/// Returns the sources of `resolution`, sorted by name. `asked` are the names of the distributions that the user
/// requested.
pub(super) async fn sources(
    resolution: &Resolution,
    asked: &[String],
    hasher: &HashStrategy,
    metadata: &SourceMetadata<'_>,
) -> Result<Vec<ChosenSource>, PypiError> {
    let mut sources = Vec::new();
    let mut edges = edges(resolution);
    for resolved in resolution.distributions() {
        let ResolvedDist::Installable { dist, .. } = resolved else { continue };
        let Dist::Source(dist) = dist.as_ref() else { continue };
        // If a project is not a package, only its dependencies are installed.
        if matches!(dist, SourceDist::Directory(folder) if folder.r#virtual == Some(true)) {
            continue;
        }
        let name = dist.name().to_string();
        let source = metadata.chosen(dist, hasher).await.map_err(PypiError::Build)?;
        let required_by = edges.remove(&name).unwrap_or_default();
        sources.push(ChosenSource { source, is_requested: asked.contains(&name), required_by });
    }
    sources.sort_by(|one, other| one.source.name.cmp(&other.source.name));
    Ok(sources)
}

/// Returns for each distribution the names of the distributions that depend on it. Dependencies of extras are included.
fn edges(resolution: &Resolution) -> BTreeMap<String, Vec<String>> {
    let graph = resolution.graph();
    let name = |node: Option<&Node>| match node {
        Some(Node::Dist { dist, .. }) => Some(dist.name().to_string()),
        Some(Node::Root) | None => None,
    };
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for edge in graph.raw_edges() {
        let ends = (name(graph.node_weight(edge.source())), name(graph.node_weight(edge.target())));
        if let (Some(asker), Some(required)) = ends
            && asker != required
        {
            edges.entry(required).or_default().insert(asker);
        }
    }
    edges.into_iter().map(|(required, askers)| (required, askers.into_iter().collect())).collect()
}

/// A wheel that is in an index.
enum Indexed {
    Pinned(LockedWheel),
    /// The index does not contain its sha256, or the index is a folder on this machine.
    Unpinned(DirectWheel),
}

fn of_index(
    registry: &RegistryBuiltDist,
    is_requested: bool,
    policy: &HashPolicy<'_>,
    credentials: &Credentials,
) -> Result<Indexed, PypiError> {
    let wheel = registry.best_wheel();
    let file_name = wheel.filename.to_string();
    let digest = sha256s(wheel.file.hashes.as_slice()).next();
    let allowed = hashes::allowed(policy.digests());
    if let Some(digest) = digest.filter(|digest| !allowed.allows_sha256(digest)) {
        return Err(PypiError::OtherDigest { file: file_name, found: digest });
    }
    let mut url = wheel.file.url.to_url().map_err(|error| PypiError::Setup(redacted(error.into())))?;
    url.set_fragment(None);
    credentials.remember(url.as_str());
    let path = if url.scheme() == "file" { url::Url::from(url.clone()).to_file_path().ok() } else { None };
    let url: String = without_credentials(&url).into();
    let (place, digest) = match (path, digest) {
        (Some(path), digest) => (Place::Path(path), digest),
        (None, Some(digest)) if allowed.others.is_empty() => {
            return Ok(Indexed::Pinned(LockedWheel {
                name: wheel.filename.name.to_string(),
                version: wheel.filename.version.to_string(),
                file_name,
                url,
                digest,
                size_bytes: wheel.file.size,
                is_requested,
                required_by: Vec::new(),
                source: WheelSource::Index,
                built: None,
            }));
        }
        (None, digest) => (Place::Index(url), digest),
    };
    let mut unpinned = direct(&wheel.filename, place, is_requested, policy);
    if let Some(digest) = digest {
        unpinned.allowed.sha256s = vec![digest];
    }
    Ok(Indexed::Unpinned(unpinned))
}

fn direct(
    file_name: &uv_distribution_filename::WheelFilename,
    place: Place,
    is_requested: bool,
    policy: &HashPolicy<'_>,
) -> DirectWheel {
    DirectWheel {
        name: file_name.name.to_string(),
        version: file_name.version.to_string(),
        file_name: file_name.to_string(),
        place,
        allowed: hashes::allowed(policy.digests()),
        is_requested,
        required_by: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use testkit::{PyPi, WheelBuilder};

    use crate::model::platform::PythonVersion;
    use crate::model::python_home::PythonHome;
    use crate::model::request::{Indexes, Prereleases, PythonRequest};
    use crate::outside::pypi::Pypi;

    #[test]
    fn a_wheel_names_all_that_depend_on_it_also_through_an_extra() {
        let wheel = |name: &str| WheelBuilder::new(name, "1");
        let index = PyPi::new()
            .built(&wheel("tool").requires("Lib_A").requires("b[more]").requires("no; sys_platform == 'win32'"))
            .built(&wheel("lib-a").requires("b"))
            .built(&wheel("b").metadata_line("Provides-Extra: more").requires("c; extra == 'more'"))
            .built(&wheel("c").requires("b"))
            .serve();
        let home = tempfile::tempdir().unwrap();
        let pypi = Pypi {
            variables: Default::default(),
            cache_dir: home.path().to_owned(),
            offline: false,
            credentials: Default::default(),
            clients: Default::default(),
        };
        let version = PythonVersion { major: 3, minor: 13 };
        let request = PythonRequest {
            home: PythonHome::Release,
            version,
            is_expected: false,
            requirements: vec!["tool".into()],
            requirement_files: Vec::new(),
            constraint_files: Vec::new(),
            prereleases: Prereleases::IfNecessary,
            indexes: Indexes { default_index: Some(index.url().as_str().into()), ..Indexes::default() },
            script: None,
            project: None,
            builds: Default::default(),
            lock: None,
            preferred: Vec::new(),
        };
        let answer = pypi
            .resolve(
                &request,
                crate::outside::pypi::System::example(),
                &[],
                &crate::outside::pypi::source_queue::OnlyWheels,
            )
            .unwrap();
        let lines = answer.wheels.iter().map(|wheel| format!("{}: {}", wheel.name, wheel.required_by.join(" ")));
        assert_eq!(lines.collect::<Vec<_>>(), ["b: c lib-a tool", "c: b", "lib-a: tool", "tool: "]);
    }
}
