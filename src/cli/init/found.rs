//! The facts about a folder from which `lath init` makes the settings.

use std::path::Path;

use fs_err as fs;
use toml::{Table, Value};

use crate::cli::init::dockerfile::DockerfileFacts;

/// The file with requirements that lath reads if a folder without a project is the input.
pub(super) const OF_FOLDERS: &str = "requirements.txt";
/// The files with requirements, the preferred one first.
const REQUIREMENTS: [&str; 3] = [OF_FOLDERS, "requirements/production.txt", "requirements/base.txt"];
const LOCKS: [&str; 5] = ["uv.lock", "pylock.toml", "poetry.lock", "pdm.lock", "Pipfile.lock"];

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The name of the project. If it has no name, the name of the folder.
    pub(super) name: String,
    /// Whether the folder is a project with metadata.
    pub(super) is_project: bool,
    pub(super) requires_python: Option<String>,
    /// The first line of `.python-version`.
    pub(super) chosen_python: Option<String>,
    pub(super) scripts: Vec<String>,
    /// The line `web:` of the Procfile.
    pub(super) web: Option<String>,
    pub(super) has_manage: bool,
    /// Whether the folder has a Procfile or Python files. If it is no project, it is an application.
    pub(super) has_application: bool,
    pub(super) requirements: Option<&'static str>,
    pub(super) lock: Option<&'static str>,
    pub(super) dockerfile: Option<DockerfileFacts>,
}

impl Found {
    /// Looks at the files in `folder`. `pyproject` is the contents of its `pyproject.toml`. Ignores files that it
    /// cannot read.
    pub(super) fn in_folder(folder: &Path, pyproject: &Table) -> Self {
        let text = |name: &str| fs::read_to_string(folder.join(name)).ok();
        let exists = |name: &&'static str| folder.join(name).is_file();
        let project = pyproject.get("project").and_then(Value::as_table);
        let poetry = table(pyproject, "tool").and_then(|tool| table(tool, "poetry"));
        let of_project = |key: &str| project.and_then(|project| project.get(key)?.as_str()).map(str::to_owned);
        let of_poetry = |key: &str| poetry.and_then(|poetry| poetry.get(key)?.as_str()).map(str::to_owned);
        let name = of_project("name").or_else(|| of_poetry("name")).or_else(|| name_of(folder));
        let scripts = project.and_then(|project| table(project, "scripts"));
        let scripts = scripts.or_else(|| poetry.and_then(|poetry| table(poetry, "scripts")));
        let chosen_python = text(".python-version");
        Self {
            name: name.unwrap_or_default(),
            is_project: is_project(folder, pyproject),
            requires_python: of_project("requires-python"),
            chosen_python: chosen_python.and_then(|text| text.lines().next().map(|line| line.trim().to_owned())),
            scripts: scripts.map(|scripts| scripts.keys().cloned().collect()).unwrap_or_default(),
            web: text("Procfile").and_then(|text| web(&text)),
            has_manage: exists(&"manage.py"),
            has_application: exists(&"Procfile") || has_python(folder, 1),
            requirements: REQUIREMENTS.into_iter().find(exists),
            lock: LOCKS.into_iter().find(exists),
            dockerfile: text("Dockerfile").map(|text| DockerfileFacts::read(&text)),
        }
    }
}

/// Whether a distribution can be built from the folder.
fn is_project(folder: &Path, pyproject: &Table) -> bool {
    let has_name = |table: &Table| table.contains_key("name");
    let poetry = table(pyproject, "tool").and_then(|tool| table(tool, "poetry"));
    table(pyproject, "project").is_some_and(has_name)
        || poetry.is_some_and(has_name)
        || pyproject.contains_key("build-system")
        || folder.join("setup.py").is_file()
}

/// Whether there is a Python file in the folder, or in folders in it down to this depth.
fn has_python(folder: &Path, depth: usize) -> bool {
    let entries = fs::read_dir(Path::new(".").join(folder)).into_iter().flatten().flatten();
    let mut paths =
        entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')).map(|entry| entry.path());
    paths.any(|path| match path.is_dir() {
        true => depth > 0 && has_python(&path, depth - 1),
        false => path.extension().is_some_and(|ending| ending == "py"),
    })
}

fn table<'a>(parent: &'a Table, key: &str) -> Option<&'a Table> {
    parent.get(key)?.as_table()
}

/// Returns the name of a folder.
fn name_of(folder: &Path) -> Option<String> {
    // The path of the current folder is empty and contains no name, so the path is made absolute first.
    let whole = fs::canonicalize(Path::new(".").join(folder)).ok()?;
    whole.file_name()?.to_str().map(str::to_owned)
}

/// Returns the command of the process `web` in a Procfile.
fn web(procfile: &str) -> Option<String> {
    let line = procfile.lines().find_map(|line| line.trim().strip_prefix("web:"))?;
    Some(line.trim().to_owned()).filter(|line| !line.is_empty())
}
