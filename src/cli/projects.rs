//! A project folder as the input: which one it is, which Python it gets, and which lock counts.

use std::path::{Path, PathBuf};

use crate::catalog::releases::{self, Release};
use crate::cli::failure::Failure;
use crate::cli::layers::Settings;
use crate::cli::settings::{all, usage};
use crate::model::platform::PythonVersion;
use crate::model::project::{Extras, FoundLock, LockKind, Project, ProjectRequest, PythonReason};
use crate::pipeline;

/// Reads the project that is the only input. `None` if the inputs are requirements.
pub(super) fn read(settings: &Settings) -> Result<Option<Project>, Failure> {
    let inputs = all(&settings.requirement);
    let [input] = inputs.as_slice() else { return refuse_options(settings).map(|()| None) };
    let Some(folder) = folder(input.exposed()) else { return refuse_options(settings).map(|()| None) };
    let folder = fs_err::canonicalize(&folder)
        .map_err(|error| usage(format!("cannot use the project `{}`: {error}", folder.display())))?;
    pipeline::read_project(&folder).map(Some).map_err(|error| Failure::of_build(&error))
}

/// Returns the folder that an input names: a folder that is written as a path, or the folder of a file that belongs to a
/// project. A plain word is the name of a distribution, even if there is such a folder.
fn folder(input: &str) -> Option<PathBuf> {
    const FILES: [&str; 2] = ["pyproject.toml", "Pipfile"];
    let path = Path::new(input);
    let is_path = [".", ".."].contains(&input) || input.contains('/');
    if is_path
        && path.is_dir()
        && ["pyproject.toml", "Pipfile.lock", "setup.py"].iter().any(|name| path.join(name).is_file())
    {
        return Some(path.to_owned());
    }
    let name = path.file_name()?.to_str()?;
    let is_of_project = FILES.contains(&name) || LockKind::ALL.iter().any(|kind| kind.file_name() == name);
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    (is_of_project && path.is_file()).then(|| parent.to_owned())
}

/// Returns whether an input is written as a path, and not as the name of a distribution.
pub(super) fn is_path(input: &str) -> bool {
    [".", ".."].contains(&input) || (input.contains('/') && !input.contains("://"))
}

/// Refuses options that only projects have.
fn refuse_options(settings: &Settings) -> Result<(), Failure> {
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

/// Returns the name of a project's image.
pub(super) fn image_name(project: &Project) -> String {
    let of_folder = || project.folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = project.name.clone().or_else(of_folder).unwrap_or_default().to_lowercase();
    // A folder may have any name, but the parts of an image's name are letters and digits with single hyphens between.
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

/// Returns the Python of a project's image, and why it is this one: that of `.python-version`, otherwise the default if
/// the project supports it, otherwise the newest that it supports.
pub(super) fn python(project: &Project) -> Result<(PythonVersion, PythonReason), Failure> {
    let known = releases::for_python();
    let fits = |release: &&&Release| {
        let full = release.full_python().unwrap_or_else(|| format!("{}.0", release.python));
        project.requires_python.as_ref().is_none_or(|limits| pipeline::python_fits(limits, &full))
    };
    let pinned = project.pinned_python.as_ref().and_then(|text| {
        let mut numbers = text.split('.');
        format!("{}.{}", numbers.next()?, numbers.next()?).parse::<PythonVersion>().ok()
    });
    if let Some(release) = known.iter().filter(fits).find(|release| Some(release.python) == pinned) {
        return Ok((release.python, PythonReason::Pinned));
    }
    let default = releases::default();
    if fits(&&default) {
        return Ok((default.python, PythonReason::Default));
    }
    let limits = project.requires_python.clone().unwrap_or_default();
    let newest = known.iter().rev().find(|release| fits(release));
    newest.map(|release| (release.python, PythonReason::Required(limits.clone()))).ok_or_else(|| {
        let pythons: Vec<String> = known.iter().map(|release| release.python.to_string()).collect();
        usage(format!(
            "cannot build `{}`: it requires python {limits}, and lath knows releases with {}",
            image_name(project),
            pythons.join(", ")
        ))
    })
}

/// Returns the request for a project.
pub(super) fn request(
    project: &Project,
    settings: &Settings,
    version: PythonVersion,
) -> Result<ProjectRequest, Failure> {
    let is_named = settings.python.is_some() || settings.base.is_some();
    let reason = if is_named { PythonReason::Named } else { python(project)?.1 };
    let full = releases::all().iter().find(|release| release.python == version).and_then(Release::full_python);
    let full = full.unwrap_or_else(|| format!("{version}.0"));
    if let Some(limits) = project.requires_python.as_ref().filter(|limits| !pipeline::python_fits(limits, &full)) {
        return Err(usage(format!(
            "cannot build `{}` for python {version}: it requires python {limits}",
            image_name(project)
        )));
    }
    let extras = if settings.all_extras == Some(true) { Extras::All } else { Extras::Named(all(&settings.extra)) };
    Ok(ProjectRequest {
        folder: project.folder.clone(),
        package: settings.package.clone(),
        extras,
        groups: all(&settings.group),
        is_package: project.is_package,
        lock: project.locks.first().cloned(),
        unused_locks: project.locks.iter().skip(1).cloned().collect(),
        python: reason,
    })
}

/// Returns the remarks about a project that the user should see before the build: its Python, its lock.
pub(super) fn remarks(project: &ProjectRequest, version: PythonVersion) -> Vec<String> {
    let mut remarks = Vec::new();
    match &project.python {
        PythonReason::Named => {}
        PythonReason::Pinned => remarks.push(format!("python {version}, because `.python-version` names it")),
        PythonReason::Default => remarks.push(format!("python {version}, the default")),
        PythonReason::Required(limits) => {
            remarks.push(format!("python {version}, because `requires-python` is `{limits}`"));
        }
    }
    if let Some(lock) = &project.lock {
        remarks.push(format!("versions from `{}`", lock.kind));
        let unused = |other: &FoundLock| format!("`{}` is not used, because `{}` is", other.kind, lock.kind);
        remarks.extend(project.unused_locks.iter().map(unused));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_python_of_a_project_is_pinned_or_the_default_or_the_newest_that_fits() {
        let chosen = |requires, pinned| {
            let (python, reason) = python(&project(requires, pinned)).map_err(|error| error.to_string())?;
            Ok::<_, String>(format!("{python} {reason:?}"))
        };
        assert_eq!(chosen(None, None).unwrap(), "3.13 Default");
        assert_eq!(chosen(Some(">=3.10"), None).unwrap(), "3.13 Default");
        assert_eq!(chosen(Some(">=3.10"), Some("3.11.4")).unwrap(), "3.11 Pinned");
        assert_eq!(chosen(Some(">=3.12"), Some("3.11")).unwrap(), "3.13 Default");
        assert_eq!(chosen(Some(">=3.10,<3.13"), None).unwrap(), "3.12 Required(\">=3.10,<3.13\")");
        assert_eq!(chosen(Some(">=3.14"), Some("3.15")).unwrap(), "3.14 Required(\">=3.14\")");
        assert!(chosen(Some("<3.9"), None).unwrap_err().contains("it requires python <3.9"));
    }

    #[test]
    fn the_name_of_an_image_is_that_of_the_project_or_of_its_folder() {
        assert_eq!(image_name(&project(None, None)), "service");
        let unnamed = Project { folder: "/src/My App+(2)".into(), ..Project::default() };
        assert_eq!(image_name(&unnamed), "my-app-2");
    }

    #[test]
    fn only_a_path_names_a_project() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().to_str().unwrap();
        fs_err::create_dir(home.path().join("empty")).unwrap();
        fs_err::write(home.path().join("pyproject.toml"), "").unwrap();
        assert_eq!(folder(root), Some(home.path().to_owned()));
        assert_eq!(folder(&format!("{root}/pyproject.toml")), Some(home.path().to_owned()));
        assert_eq!(folder(&format!("{root}/empty")), None);
        assert_eq!(folder("src"), None);
    }
}
