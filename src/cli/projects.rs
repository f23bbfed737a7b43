//! A project as the input: its folder, the Python of its image, and the lock from which the versions come.

use std::path::{Path, PathBuf};

use crate::catalog::releases::{self, Release};
use crate::cli::failure::Failure;
use crate::cli::layers::Settings;
use crate::cli::pythons::{allows, fitting_release};
use crate::cli::values::{all, usage};
use crate::model::platform::PythonVersion;
use crate::model::project::{Extras, LockKind, Project, ProjectRequest};
use crate::pipeline;

/// The folder of a project contains at least one of these files.
const FILES: [&str; 3] = ["pyproject.toml", "Pipfile.lock", "setup.py"];

/// Returns whether a folder contains one of the files in [`FILES`].
pub(super) fn may_be_project(folder: &Path) -> bool {
    FILES.iter().any(|name| folder.join(name).is_file())
}

/// Returns the folder of a file that belongs to a project, such as its lock.
pub(super) fn folder_of_file(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let is_of_project =
        ["pyproject.toml", "Pipfile"].contains(&name) || LockKind::ALL.iter().any(|kind| kind.file_name() == name);
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    (is_of_project && path.is_file()).then(|| parent.to_owned())
}

/// Reads the project in a folder, or the member `package` of its workspace. `None` if the `pyproject.toml` contains
/// only settings of tools.
pub(super) fn read(folder: &Path, package: Option<&str>) -> Result<Option<Project>, Failure> {
    if !may_be_project(folder) {
        return Ok(None);
    }
    let folder = fs_err::canonicalize(folder)
        .map_err(|error| usage(format!("cannot use the project `{}`: {error}", folder.display())))?;
    let project = pipeline::read_project(&folder, package).map_err(|error| Failure::of_build(&error))?;
    Ok(project.is_project.then_some(project))
}

/// Refuses options that are only valid for projects. It is called if there is no project.
pub(super) fn refuse_options(settings: &Settings) -> Result<(), Failure> {
    let given = [
        ("--extra", settings.extra.is_some()),
        ("--all-extras", settings.all_extras == Some(true)),
        ("--group", settings.group.is_some()),
        ("--package", settings.package.is_some()),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => Err(usage(format!(
            "cannot use `{option}` without a project: name its folder, such as `lath build . {option} ...`"
        ))),
        None => Ok(()),
    }
}

/// Returns the release of a project's image, and the reason in words. The release has the Python that `.python-version`
/// names. If there is no such file, or if lath or the project does not support its version, the default Python is used.
/// If the project does not support the default Python either, the nearest version that it supports is used.
pub(super) fn python(project: &Project) -> Result<(&'static Release, String), Failure> {
    let limits = project.requires_python.as_deref().unwrap_or_default();
    let pinned = project.pinned_python.as_deref().and_then(|text| {
        let mut numbers = text.split('.');
        format!("{}.{}", numbers.next()?, numbers.next()?).parse::<PythonVersion>().ok()
    });
    for release in releases::for_python() {
        if Some(release.python) == pinned && allows(limits, release.python, release.full_python().as_deref())? {
            return Ok((release, format!("python {}, because `.python-version` names it", release.python)));
        }
    }
    let name = project.name.as_deref().unwrap_or("the project");
    let release = fitting_release(limits, name)?;
    let reason = if release.python == releases::default().python {
        format!("python {}, the default", release.python)
    } else {
        format!("python {}, because `requires-python` is `{limits}`", release.python)
    };
    Ok((release, reason))
}

/// Returns the extras that the user named.
pub(super) fn extras(settings: &Settings) -> Extras {
    if settings.all_extras == Some(true) { Extras::All } else { Extras::Named(all(&settings.extra)) }
}

/// Returns the request for a project.
pub(super) fn request(project: &Project, settings: &Settings) -> ProjectRequest {
    ProjectRequest {
        folder: project.folder.clone(),
        extras: extras(settings),
        groups: all(&settings.group),
        is_package: project.is_package,
        lock: project.locks.first().cloned(),
    }
}

/// Returns remarks about the locks of a project.
pub(super) fn remarks(project: &Project) -> Vec<String> {
    let Some((lock, others)) = project.locks.split_first() else { return Vec::new() };
    let unused = others.iter().map(|other| format!("`{}` is not used, because `{}` is", other.kind, lock.kind));
    [format!("versions from `{}`", lock.kind)].into_iter().chain(unused).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::values::is_path;

    fn project(requires_python: Option<&str>, pinned_python: Option<&str>) -> Project {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Project {
            name: Some("service".to_owned()),
            requires_python: text(requires_python),
            pinned_python: text(pinned_python),
            ..Project::default()
        }
    }

    #[test]
    fn the_python_of_a_project_is_pinned_or_the_default_or_the_nearest_that_fits() {
        let chosen = |requires, pinned| python(&project(requires, pinned)).map(|(_, reason)| reason);
        let table = [
            (None, None, "python 3.13, the default"),
            (Some(">=3.10"), None, "python 3.13, the default"),
            (Some(">=3.10"), Some("3.11.4"), "python 3.11, because `.python-version` names it"),
            (Some(">=3.12"), Some("3.11"), "python 3.13, the default"),
            (Some(">=3.10,<3.13"), None, "python 3.12, because `requires-python` is `>=3.10,<3.13`"),
            (Some(">=3.14"), Some("3.15"), "python 3.14, because `requires-python` is `>=3.14`"),
        ];
        for (requires, pinned, expected) in table {
            assert_eq!(chosen(requires, pinned).unwrap(), expected);
        }
        assert!(chosen(Some("<3.9"), None).unwrap_err().to_string().contains("it requires python <3.9"));
    }

    #[test]
    fn a_file_of_a_project_names_its_folder() {
        let home = tempfile::tempdir().unwrap();
        fs_err::write(home.path().join("uv.lock"), "").unwrap();
        assert_eq!(folder_of_file(&home.path().join("uv.lock")), Some(home.path().to_owned()));
        assert_eq!(folder_of_file(&home.path().join("poetry.lock")), None);
        assert!(is_path(".") && is_path("./x") && is_path("a/b") && !is_path("httpie") && !is_path("https://h/x"));
    }
}
