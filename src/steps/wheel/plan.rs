//! The files of a source -> its build backend, the requirements of its build, and the Debian packages that the build
//! needs. No program runs for this.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::error::Reason;
use super::open::OpenSource;
use crate::catalog::builds;
use crate::model::platform::PythonVersion;
use crate::model::request::BuildsRequest;

/// The backend of a project without `[build-system]` (PEP 517, "Source trees").
const LEGACY_BACKEND: &str = "setuptools.build_meta:__legacy__";
/// The requirement of a build with [`LEGACY_BACKEND`].
const LEGACY_REQUIRES: &str = "setuptools>=40.8.0";

/// The plan for the build of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The module of the backend, and the object in it: `setuptools.build_meta:__legacy__`.
    pub(crate) backend: String,
    pub(crate) backend_path: Vec<String>,
    pub(crate) requires: Vec<String>,
    /// Debian packages, sorted.
    pub(crate) packages: BTreeSet<String>,
    /// Whether the build needs the crates of Rust code.
    pub(crate) has_rust: bool,
    /// Whether the build is likely to make machine code.
    pub(crate) is_native: bool,
}

#[derive(Debug, Default, Deserialize)]
struct Pyproject {
    #[serde(rename = "build-system")]
    build_system: Option<BuildSystem>,
}

/// The table of PEP 518 and PEP 517.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct BuildSystem {
    requires: Vec<String>,
    build_backend: Option<String>,
    backend_path: Vec<String>,
}

/// Plans the build of `open`.
pub(crate) fn plan(open: &OpenSource, builds: &BuildsRequest, python: PythonVersion) -> Result<Plan, Reason> {
    let text = open.sdist.pyproject.as_deref().unwrap_or_default();
    let pyproject: Pyproject = toml::from_str(text).map_err(Reason::Pyproject)?;
    let system = pyproject.build_system;
    let is_legacy = system.is_none();
    let BuildSystem { mut requires, build_backend, backend_path } = system.unwrap_or_default();
    if is_legacy {
        requires.push(LEGACY_REQUIRES.to_owned());
    }
    let extra = open.source.name.as_ref().and_then(|name| builds.extra_requires.get(name));
    requires.extend(extra.into_iter().flatten().cloned());
    let mut plan = Plan {
        backend: build_backend.unwrap_or_else(|| LEGACY_BACKEND.to_owned()),
        backend_path,
        requires,
        packages: builds.packages.iter().cloned().collect(),
        has_rust: false,
        is_native: false,
    };
    plan.find_rust();
    let groups = plan.groups(&open.sdist.files);
    plan.is_native = !groups.is_empty();
    for group in groups {
        plan.add(group, python);
    }
    if open.has_git {
        plan.add("git", python);
    }
    Ok(plan)
}

impl Plan {
    /// Adds the Debian packages of a group, such as `c`. Returns whether they are new.
    pub(crate) fn add(&mut self, group: &str, python: PythonVersion) -> bool {
        let before = self.packages.len();
        let version = python.to_string();
        self.packages.extend(builds::packages(group).map(|package| package.replace("{python}", &version)));
        self.packages.len() > before
    }

    /// Adds requirements that the backend names, and the Debian packages that they need.
    pub(crate) fn add_requires(&mut self, requires: Vec<String>, python: PythonVersion) {
        self.requires.extend(requires);
        self.find_rust();
        for group in self.groups(&[]) {
            self.add(group, python);
        }
    }

    /// Sets `has_rust` after the requirements were changed.
    pub(crate) fn find_rust(&mut self) {
        self.has_rust = self.requires("maturin") || self.requires("setuptools-rust");
    }

    /// Returns whether a distribution is among the requirements of the build.
    fn requires(&self, name: &str) -> bool {
        self.requires.iter().any(|requirement| name_of(requirement) == name)
    }

    /// Returns the groups of Debian packages that the files and requirements indicate.
    fn groups(&self, files: &[String]) -> BTreeSet<&'static str> {
        let of_requirements = builds::requirements().filter(|(name, _)| self.requires(name)).map(|(_, group)| group);
        let of_files = files.iter().filter(|file| is_code(file)).filter_map(|file| {
            let (_, extension) = file.rsplit_once('.')?;
            builds::group_of_extension(extension)
        });
        of_requirements.chain(of_files).collect()
    }
}

/// Returns whether a file is part of the code, and not of its tests or documentation.
fn is_code(file: &str) -> bool {
    const OTHERS: [&str; 9] =
        ["test", "tests", "testing", "doc", "docs", "example", "examples", "benchmarks", "contrib"];
    let mut folders = file.split('/').rev().skip(1);
    !folders.any(|folder| OTHERS.contains(&folder))
}

/// Returns the normalised name at the start of a requirement (PEP 508).
fn name_of(requirement: &str) -> String {
    let is_part = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    requirement.trim().chars().take_while(is_part).collect::<String>().to_lowercase().replace(['_', '.'], "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::sdist::Sdist;
    use crate::model::allowed_hashes::AllowedHashes;
    use crate::model::digest::Digest;
    use crate::model::source::{Source, SourcePlace};

    fn planned(pyproject: Option<&str>, files: &[&str], builds: &BuildsRequest) -> Plan {
        let open = OpenSource {
            source: Source {
                name: Some("x".to_owned()),
                version: None,
                place: SourcePlace::Path("x-1.tar.gz".into()),
                subdirectory: None,
                allowed: AllowedHashes::default(),
                other_python: None,
            },
            archive: Digest::of(b""),
            sdist: Sdist {
                files: files.iter().map(|file| (*file).to_owned()).collect(),
                pyproject: pyproject.map(str::to_owned),
                ..Sdist::default()
            },
            has_git: false,
        };
        plan(&open, builds, PythonVersion { major: 3, minor: 13 }).unwrap()
    }

    #[test]
    fn a_project_without_a_build_system_is_built_by_setuptools() {
        let none = BuildsRequest::default();
        for pyproject in [None, Some("[tool.black]")] {
            let plan = planned(pyproject, &["setup.py", "x.py"], &none);
            assert_eq!((plan.backend.as_str(), plan.requires.join(" ")), (LEGACY_BACKEND, LEGACY_REQUIRES.to_owned()));
            assert_eq!(plan.packages.len(), 0);
        }
        // PEP 517: if no backend is named, only the named requirements are used.
        let plan = planned(Some("[build-system]\nrequires = ['setuptools', 'wheel']"), &[], &none);
        assert_eq!((plan.backend.as_str(), plan.requires.join(" ")), (LEGACY_BACKEND, "setuptools wheel".to_owned()));
    }

    #[test]
    fn files_and_requirements_indicate_the_compilers() {
        let none = BuildsRequest::default();
        let has = |files: &[&str], requires: &str, package: &str| {
            let pyproject = format!("[build-system]\nrequires = [\"{requires}\"]\nbuild-backend = 'b'");
            planned(Some(&pyproject), files, &none).packages.contains(package)
        };
        assert!(has(&["src/x.c"], "setuptools", "gcc") && has(&["src/x.c"], "setuptools", "libpython3.13-dev"));
        assert!(!has(&["src/x.c"], "setuptools", "g++") && !has(&["tests/x.c", "x.py"], "setuptools", "gcc"));
        assert!(has(&["x.cpp"], "setuptools", "g++") && has(&["x.py"], "pybind11>=2", "g++"));
        assert!(has(&[], "Cython ; python_version > '3'", "gcc") && has(&[], "maturin>=1,<2", "cargo"));
    }

    #[test]
    fn the_request_adds_packages_and_requirements() {
        let builds = BuildsRequest {
            packages: vec!["libpq-dev".to_owned()],
            extra_requires: [("x".to_owned(), vec!["numpy".to_owned()])].into(),
            ..BuildsRequest::default()
        };
        let plan = planned(None, &["setup.py"], &builds);
        assert_eq!(plan.requires, [LEGACY_REQUIRES, "numpy"]);
        let mut later = plan.clone();
        later.add_requires(vec!["maturin>=1".to_owned()], PythonVersion { major: 3, minor: 13 });
        assert!(!plan.has_rust && later.has_rust && later.packages.contains("cargo"), "{later:?}");
        assert_eq!(plan.packages.into_iter().collect::<Vec<_>>(), ["libpq-dev"]);
    }
}
