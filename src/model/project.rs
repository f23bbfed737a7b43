//! A project: a folder with a `pyproject.toml`, a `Pipfile` or a `setup.py`, and the locks that other tools have
//! written for it.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::extra_requires::ExtraRequires;

/// The project that a request installs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProjectRequest {
    /// The absolute path of the folder.
    pub(crate) folder: PathBuf,
    pub(crate) extras: Extras,
    /// The groups that the user named (PEP 735).
    pub(crate) groups: Vec<String>,
    /// Whether the project itself is installed as a distribution. If not, only its dependencies are.
    pub(crate) is_package: bool,
    /// The lock that determines the versions. Another tool has written it.
    pub(crate) lock: Option<FoundLock>,
}

/// The extras of a project that are installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Extras {
    Named(Vec<String>),
    All,
}

/// A lock that was found in the folder of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundLock {
    pub(crate) kind: LockKind,
    pub(crate) path: PathBuf,
}

/// The tools whose locks lath reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LockKind {
    Uv,
    Pdm,
    Poetry,
    Pipenv,
}

impl LockKind {
    pub(crate) const ALL: [Self; 4] = [Self::Uv, Self::Pdm, Self::Poetry, Self::Pipenv];

    pub(crate) fn file_name(self) -> &'static str {
        match self {
            Self::Uv => "uv.lock",
            Self::Pdm => "pdm.lock",
            Self::Poetry => "poetry.lock",
            Self::Pipenv => "Pipfile.lock",
        }
    }

    /// Returns the command that updates a lock of this kind.
    pub(crate) fn update(self) -> &'static str {
        match self {
            Self::Uv => "uv lock",
            Self::Pdm => "pdm lock",
            Self::Poetry => "poetry lock",
            Self::Pipenv => "pipenv lock",
        }
    }
}

impl fmt::Display for LockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file_name())
    }
}

/// The facts about a project that are needed to complete its request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Project {
    /// The absolute path of the folder.
    pub(crate) folder: PathBuf,
    /// The normalised name. `None` if a build is necessary to find it.
    pub(crate) name: Option<String>,
    /// The Python versions that it supports (PEP 440), such as `>=3.10`.
    pub(crate) requires_python: Option<String>,
    /// The Python version in `.python-version`, such as `3.12`.
    pub(crate) pinned_python: Option<String>,
    /// Whether it can be installed as a distribution. If not, its files are an application.
    pub(crate) is_package: bool,
    /// Whether the folder is a project that a tool could install. If not, its `pyproject.toml` contains only settings
    /// of tools.
    pub(crate) is_project: bool,
    /// The names of its console scripts.
    pub(crate) scripts: Vec<String>,
    /// Additional requirements for builds, from `[tool.uv]`.
    pub(crate) extra_requires: ExtraRequires,
    /// The table `[tool.uv]` of the project or of its workspace.
    pub(crate) tool_uv: toml::Table,
    /// The folder of the file that contains this table.
    pub(crate) settings_folder: PathBuf,
    /// The locks in the project. The one that is used comes first.
    pub(crate) locks: Vec<FoundLock>,
}
