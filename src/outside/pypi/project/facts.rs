//! Reads the facts about a project that are needed to complete the request: its name, its Python versions and its
//! locks.

use std::path::{Path, PathBuf};

use fs_err as fs;
use uv_cache::Cache;
use uv_normalize::PackageName;
use uv_pep440::VersionSpecifiers;
use uv_workspace::{DiscoveryOptions, VirtualProject, WorkspaceCache};

use crate::formats::pyproject::Pyproject;
use crate::model::distribution_name::normalised;
use crate::model::extra_requires::ExtraRequires;
use crate::model::project::{FoundLock, LockKind, Project};
use crate::outside::pypi::project::unreadable;
use crate::outside::pypi::{Cause, PypiError, on_own_stack};

/// Returns the folder of a member of the workspace in `folder`. `folder` is absolute.
pub(crate) fn member_folder(folder: &Path, name: &str) -> Result<PathBuf, PypiError> {
    let failed = unreadable(folder);
    let found = async || -> Result<PathBuf, Cause> {
        let (cache, workspaces, name) = (Cache::temp()?, WorkspaceCache::default(), name.parse::<PackageName>()?);
        let options = DiscoveryOptions::default();
        let project = VirtualProject::discover_with_package(folder, &options, &cache, &workspaces, name).await?;
        Ok(project.root().to_owned())
    };
    on_own_stack(|runtime| runtime.block_on(found()).map_err(failed))
}

/// Reads the facts about the project in `folder`. `folder` is absolute.
pub(crate) fn read_project(folder: &Path) -> Result<Project, PypiError> {
    read(folder).map_err(unreadable(folder))
}

fn read(folder: &Path) -> Result<Project, Cause> {
    let path = folder.join("pyproject.toml");
    let toml = if path.is_file() { Pyproject::parse(&fs::read_to_string(&path)?)? } else { Pyproject::default() };
    let has_setup = folder.join("setup.py").is_file() || path.is_file() && has_metadata(folder)?;
    let locks = locks(folder, &toml);
    // Many projects have a `pyproject.toml` only because it contains the settings of their tools. In that case, only
    // `setup.py`, or the metadata in `setup.cfg`, shows that there is a package.
    let is_package = if toml.is_project { toml.is_package } else { has_setup };
    let settings = settings_of_uv(folder, toml.tool_uv);
    Ok(Project {
        is_project: is_package || toml.is_project || !locks.is_empty(),
        folder: folder.to_owned(),
        name: toml.name.as_deref().map(normalised),
        is_package,
        requires_python: toml.requires_python.filter(|text| text.parse::<VersionSpecifiers>().is_ok()),
        pinned_python: pinned_python(folder),
        scripts: toml.scripts,
        extra_requires: ExtraRequires::of(settings.table.get("extra-build-dependencies")),
        tool_uv: settings.table,
        settings_folder: settings.folder,
        locks,
    })
}

/// Returns whether the `setup.cfg` in `folder` has the name of a package. Often, the file contains only settings of tools
/// such as flake8. Without a `pyproject.toml` or a `setup.py`, nothing builds such a package.
fn has_metadata(folder: &Path) -> Result<bool, Cause> {
    let path = folder.join("setup.cfg");
    let text = if path.is_file() { fs::read_to_string(&path)? } else { String::new() };
    let mut section = "";
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name;
        } else if section == "metadata" && line.split(['=', ':']).next().is_some_and(|key| key.trim_end() == "name") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the locks of the project, or of the workspace that contains it. If `pyproject.toml` has a table of a tool,
/// the lock of this tool comes first.
fn locks(folder: &Path, toml: &Pyproject) -> Vec<FoundLock> {
    let tool = |kind: LockKind| match kind {
        LockKind::Uv => "uv",
        LockKind::Pdm => "pdm",
        LockKind::Poetry => "poetry",
        LockKind::Pipenv => "pipenv",
    };
    let mut locks: Vec<FoundLock> = Vec::new();
    for kind in LockKind::ALL {
        // The lock of a uv workspace is in the root of the workspace.
        let folders = folder.ancestors().take(if kind == LockKind::Uv { usize::MAX } else { 1 });
        let found = folders.map(|folder| folder.join(kind.file_name())).find(|path| path.is_file());
        let is_own = |path: &Path| path.parent() == Some(folder) || is_member(path, folder);
        locks.extend(found.filter(|path| is_own(path)).map(|path| FoundLock { kind, path }));
    }
    // The other locks keep the order of `LockKind::ALL`, because sorting is stable.
    locks.sort_by_key(|lock| !toml.tools.iter().any(|name| name == tool(lock.kind)));
    locks
}

/// Returns whether the lock at `path`, which is the lock of a workspace, may include the project in `folder`. This is
/// only a quick check. Later, uv checks exactly which projects the lock includes.
fn is_member(path: &Path, folder: &Path) -> bool {
    let root = path.with_file_name("pyproject.toml");
    let declares = fs::read_to_string(root).is_ok_and(|text| text.contains("[tool.uv.workspace]"));
    declares && folder.join("pyproject.toml").is_file()
}

/// The table `[tool.uv]`, and the folder of its file.
struct UvSettings {
    table: toml::Table,
    folder: PathBuf,
}

/// Returns the settings of uv. In a workspace, they are in the file at its root (uv's documentation, "Settings").
fn settings_of_uv(folder: &Path, own: toml::Table) -> UvSettings {
    let is_member = |root: &&Path| is_member(&root.join(LockKind::Uv.file_name()), folder);
    let of_root = || {
        let root = folder.ancestors().skip(1).find(is_member)?;
        let text = fs::read_to_string(root.join("pyproject.toml")).ok()?;
        Some(UvSettings { table: Pyproject::parse(&text).ok()?.tool_uv, folder: root.to_owned() })
    };
    of_root().unwrap_or(UvSettings { table: own, folder: folder.to_owned() })
}

/// Returns the version in `.python-version`. Returns `None` if it is not a plain version such as `3.12` or `3.12.4`.
fn pinned_python(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join(".python-version")).ok()?;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let version = line.strip_prefix("cpython-").or_else(|| line.strip_prefix("cpython@")).unwrap_or(line);
    version.chars().all(|c| c.is_ascii_digit() || c == '.').then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_of_a_folder_are_found() {
        let home = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = home.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            "pyproject.toml",
            "[project]\nname='Root_X'\nrequires-python='>=3.11'\n[tool.poetry]\n[tool.uv.workspace]",
        );
        write("uv.lock", "");
        write("poetry.lock", "");
        write(".python-version", "# pinned\n3.12.4\n");
        write("packages/member/pyproject.toml", "[project]\nname='member'\n[build-system]");
        write("other/Pipfile.lock", "{}");
        write("old/setup.py", "");
        write("older/setup.cfg", "[flake8]\nname = x\n[metadata]\nname = older\n");
        write("older/pyproject.toml", "[tool.black]");
        write("app/pyproject.toml", "[tool.black]");
        write("app/setup.cfg", "[flake8]\nname = x\n[metadata]\ndescription = name\n");
        let root = read_project(home.path()).unwrap();
        assert_eq!((root.name.as_deref(), root.pinned_python.as_deref()), (Some("root-x"), Some("3.12.4")));
        assert_eq!(root.requires_python.as_deref(), Some(">=3.11"));
        // Both tools have a table, so their usual order is used.
        assert_eq!(root.locks.iter().map(|lock| lock.kind).collect::<Vec<_>>(), [LockKind::Uv, LockKind::Poetry]);
        let member = read_project(&home.path().join("packages/member")).unwrap();
        assert_eq!(member.locks, [FoundLock { kind: LockKind::Uv, path: home.path().join("uv.lock") }]);
        assert!(member.is_package && !root.is_package);
        let other = read_project(&home.path().join("other")).unwrap();
        assert_eq!(other.locks.iter().map(|lock| lock.kind).collect::<Vec<_>>(), [LockKind::Pipenv]);
        let is_package = |name: &str| read_project(&home.path().join(name)).unwrap().is_package;
        assert!(is_package("old") && is_package("older") && !is_package("app"));
    }
}
