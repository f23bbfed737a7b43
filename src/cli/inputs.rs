//! The inputs that are given without an option: the kind of each input, and the values of the request that depend on
//! the kind. The metadata of a script are a layer of settings below all others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::catalog::releases;
use crate::cli::failure::Failure;
use crate::cli::layers::Settings;
use crate::cli::projects;
use crate::cli::pythons::{allows, fitting_release};
use crate::cli::tool_uv::{self, ToolUv};
use crate::cli::values::{is_path, usage};
use crate::model::application::{AppFiles, AppRequest};
use crate::model::event::Event;
use crate::model::extra_requires::ExtraRequires;
use crate::model::image_path::ImagePath;
use crate::model::platform::PythonVersion;
use crate::model::project::Project;
use crate::model::secret_text::SecretText;
use crate::pipeline;

/// The kind of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// A requirement, or a path or URL of a distribution. The resolver reads it.
    Requirement,
    /// A folder, perhaps with a project.
    Folder(PathBuf),
    /// A Python file.
    Script(PathBuf),
}

/// Returns the kind of an input. As for pip, a word is a path only if it contains a slash, because any other word could
/// also be a distribution.
fn kind(word: &str) -> Kind {
    let path = PathBuf::from(word);
    let is_path = is_path(word);
    if is_path && path.is_dir() {
        return Kind::Folder(path);
    }
    if let Some(folder) = projects::folder_of_file(&path) {
        return Kind::Folder(folder);
    }
    // A name that ends with `.py` can be a distribution, such as `discord.py`. So the file has to exist, or the word
    // has to be a path.
    if word.ends_with(".py") && !word.contains("://") && (path.is_file() || is_path) {
        return Kind::Script(path);
    }
    Kind::Requirement
}

/// Returns a notice if an input is the name of a distribution, but the user may have meant a folder or a file with this
/// name.
fn of_index(word: &str) -> Option<Event> {
    if word.ends_with(".py") && !word.contains("://") {
        return Some(Event::Warning(format!(
            "there is no file `{word}`, so lath takes the distribution `{word}` of the index: to build a script, name its file"
        )));
    }
    let has_folder = !is_path(word) && Path::new(word).is_dir();
    let text =
        || format!("`{word}` is the distribution of the index: to build the folder `{word}`, name it `./{word}`");
    has_folder.then(text).map(Event::Note)
}

/// The folder or script of the user's application.
#[derive(Debug, Clone)]
enum Source {
    Folder(PathBuf),
    Script(PathBuf),
}

/// The inputs of a request.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    pub(super) requirements: Vec<SecretText>,
    pub(super) requirement_files: Vec<PathBuf>,
    /// The project in the folder, if there is one.
    pub(super) project: Option<Project>,
    source: Option<Source>,
    /// Additional requirements for builds, by the name of the distribution that is built.
    pub(super) extra_requires: BTreeMap<String, Vec<String>>,
    /// The script, if it has metadata. The metadata contain requirements.
    pub(super) script: Option<PathBuf>,
    /// The settings that the input itself contains.
    pub(super) layer: Settings,
    /// The range of Python versions that the input allows.
    pub(super) requires_python: Option<String>,
    /// Messages for the user.
    pub(super) notices: Vec<Event>,
}

/// Sorts the inputs by their kinds.
pub(super) fn read(settings: &Settings) -> Result<Inputs, Failure> {
    let mut inputs =
        Inputs { requirement_files: settings.requirements.clone().unwrap_or_default(), ..Inputs::default() };
    let kinds: Vec<(&SecretText, Kind)> =
        settings.requirement.iter().flatten().map(|word| (word, kind(word.exposed()))).collect();
    let folders = kinds.iter().filter(|(_, kind)| matches!(kind, Kind::Folder(_))).count();
    for (word, kind) in kinds {
        let source = match kind {
            Kind::Folder(path) if folders == 1 || !projects::may_be_project(&path) => Source::Folder(path),
            Kind::Script(path) => Source::Script(path),
            // If several folders are projects, each of them is a requirement, and none is the application.
            Kind::Requirement | Kind::Folder(_) => {
                inputs.notices.extend(of_index(word.exposed()));
                inputs.requirements.push(word.clone());
                continue;
            }
        };
        if inputs.source.replace(source).is_some() {
            return Err(usage(
                "cannot build an image of several folders or scripts: name one, and add others with `--copy`",
            ));
        }
    }
    match inputs.source.clone() {
        Some(Source::Folder(folder)) => match projects::read(&folder, settings.package.as_deref())? {
            Some(project) => inputs.add_project(project, settings)?,
            None => inputs.add_folder(&folder),
        },
        Some(Source::Script(script)) => inputs.add_script(&script, settings)?,
        None => {}
    }
    if inputs.project.is_none() {
        projects::refuse_options(settings)?;
    }
    Ok(inputs)
}

impl Inputs {
    pub(super) fn is_empty(&self) -> bool {
        self.requirements.is_empty() && self.requirement_files.is_empty() && self.source.is_none()
    }

    /// Whether there is a folder or a script whose files go into the work directory. A project that is a package does
    /// not count, because its files come from its wheel.
    pub(super) fn has_application(&self) -> bool {
        self.source.is_some() && !self.project.as_ref().is_some_and(|project| project.is_package)
    }

    /// Returns the name of the project, of the folder or of the script.
    pub(super) fn name(&self) -> Option<String> {
        if let Some(name) = self.project.as_ref().and_then(|project| project.name.clone()) {
            return Some(name);
        }
        let path = match self.source.as_ref()? {
            Source::Folder(folder) => fs_err::canonicalize(folder).ok()?,
            Source::Script(script) => script.with_extension(""),
        };
        let name = path.file_name()?.to_str()?.to_lowercase();
        let plain = |letter: char| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '-' };
        let name: String = name.chars().map(plain).collect();
        Some(name.trim_matches(|letter: char| !letter.is_ascii_alphanumeric()).to_owned())
    }

    fn add_folder(&mut self, folder: &Path) {
        if !self.requirement_files.is_empty() {
            return;
        }
        let file = folder.join("requirements.txt");
        if file.is_file() {
            self.requirement_files.push(file);
        } else if self.requirements.is_empty() {
            let text = format!("`{}` has no requirements.txt: no distributions are installed", folder.display());
            self.notices.push(Event::Note(text));
        }
    }

    fn add_project(&mut self, project: Project, settings: &Settings) -> Result<(), Failure> {
        if settings.python.is_none() && settings.release.is_none() && settings.base.is_none() {
            let (release, reason) = projects::python(&project)?;
            self.notices.push(Event::Note(reason));
            if release.python != releases::default().python {
                self.layer.python = Some(release.python.to_string());
            }
        }
        // If there is a lock of lath, all versions come from it.
        if !settings.is_locked() {
            self.notices.extend(projects::remarks(&project).into_iter().map(Event::Note));
        }
        self.add_tool_uv(&project)?;
        self.requires_python.clone_from(&project.requires_python);
        self.add_extra_requires(project.extra_requires.clone(), &project.folder.display().to_string())?;
        if settings.package.is_some() {
            self.source = Some(Source::Folder(project.folder.clone()));
        }
        self.project = Some(project);
        Ok(())
    }

    /// Adds the settings of uv in the project's file. If lath does not support a setting, the user gets a warning, but
    /// no error, because the project also works without the setting.
    fn add_tool_uv(&mut self, project: &Project) -> Result<(), Failure> {
        let file = project.settings_folder.join("pyproject.toml");
        let ToolUv { settings, others } =
            tool_uv::read(&project.tool_uv, &project.settings_folder, &file.display().to_string())?;
        self.layer = self.layer.clone().over(settings);
        if !others.is_empty() {
            let names: Vec<String> = others.iter().map(|key| format!("`tool.uv.{key}`")).collect();
            let text = format!("lath does not use {} of `{}`", names.join(" and "), file.display());
            self.notices.push(Event::Warning(text));
        }
        Ok(())
    }

    /// Adds requirements for builds. `of` is the name of the file that contains these requirements.
    fn add_extra_requires(&mut self, extra: ExtraRequires, of: &str) -> Result<(), Failure> {
        if let Some(requirement) = extra.matching {
            return Err(usage(format!("cannot use `match-runtime` of `{requirement}` in `{of}`")));
        }
        self.extra_requires = extra.requirements;
        Ok(())
    }

    fn add_script(&mut self, script: &Path, settings: &Settings) -> Result<(), Failure> {
        let shown = script.display();
        let metadata = pipeline::script_metadata(script).map_err(|error| Failure::of(&error))?;
        let has_requirements = !self.requirements.is_empty() || !self.requirement_files.is_empty();
        let Some(metadata) = metadata else {
            if has_requirements {
                return Ok(());
            }
            return Err(usage(format!("cannot find the requirements of `{shown}`: it has no block `# /// script`"))
                .with_hints(vec![
                    format!("add the block with `uv add --script {shown} REQUIREMENT`"),
                    format!("name the requirements: `lath build {shown} REQUIREMENT`"),
                ]));
        };
        let empty = toml::Table::new();
        let folder = script.parent().unwrap_or(Path::new(""));
        let ToolUv { settings: layer, others } =
            tool_uv::read(metadata.tool_uv().unwrap_or(&empty), folder, &shown.to_string())?;
        // A setting that lath does not support is refused, because without this setting, the versions in the image
        // would differ from those in the user's environment.
        if let Some(key) = others.first() {
            return Err(usage(format!("cannot use `tool.uv.{key}` of `{shown}`")));
        }
        self.layer = layer;
        let extra = metadata.tool_uv().and_then(|uv| uv.get("extra-build-dependencies"));
        self.add_extra_requires(ExtraRequires::of(extra), &shown.to_string())?;
        self.script = Some(script.to_owned());
        let Some(specifiers) = metadata.requires_python else { return Ok(()) };
        if settings.python.is_none() && settings.release.is_none() && settings.base.is_none() {
            let release = fitting_release(&specifiers, &shown.to_string())?;
            if release.python != releases::default().python {
                let text = format!("python {}, because `{shown}` requires python {specifiers}", release.python);
                self.notices.push(Event::Note(text));
                self.layer.python = Some(release.python.to_string());
            }
        }
        self.requires_python = Some(specifiers);
        Ok(())
    }

    /// Refuses a Python that the input does not allow.
    pub(super) fn check_python(&self, python: PythonVersion) -> Result<(), Failure> {
        let Some(specifiers) = &self.requires_python else { return Ok(()) };
        if allows(specifiers, python, None)? {
            return Ok(());
        }
        let name = self.name().unwrap_or_default();
        Err(usage(format!("cannot build `{name}` for python {python}: it requires python {specifiers}")))
    }

    /// Adds a warning if the project is a package and the command names a file in its folder. The image does not
    /// contain this file, because it contains only the files in the wheel of the project.
    pub(super) fn check_command(&mut self, command: &[String]) {
        let Some(project) = self.project.as_ref().filter(|project| project.is_package) else { return };
        let is_file = |word: &&String| Path::new(word).is_relative() && project.folder.join(word).is_file();
        let files: Vec<String> = command.iter().skip(1).filter(is_file).map(|word| format!("`{word}`")).collect();
        if !files.is_empty() {
            self.notices.push(Event::Warning(format!(
                "the command names {}, but the image of a package contains only the files in its wheel: name a module, or add \
                 the file with `--copy`",
                files.join(" and ")
            )));
        }
    }

    /// Lists the files of the application, which the image has in `target`. `outputs` are the paths that lath itself
    /// writes. They are left out.
    pub(super) fn application(
        &mut self,
        target: &ImagePath,
        outputs: &[PathBuf],
    ) -> Result<Option<AppRequest>, Failure> {
        let failed = |error: pipeline::InputError| Failure::of(&error);
        let (folder, script, files) = match self.source.as_ref().filter(|_| self.has_application()) {
            None => return Ok(None),
            Some(Source::Folder(folder)) => {
                (folder.clone(), None, pipeline::application(folder, outputs).map_err(failed)?)
            }
            Some(Source::Script(script)) => {
                let files = pipeline::script_file(script).map_err(failed)?;
                let name = files.files.keys().next().cloned();
                (script.parent().map(Path::to_owned).unwrap_or_default(), name, files)
            }
        };
        self.notices.extend(notices(&files));
        Ok(Some(AppRequest { folder, script, target: target.clone(), files }))
    }
}

/// Returns the messages about files that do not go into the image.
fn notices(files: &AppFiles) -> Vec<Event> {
    let named = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let mut notices = Vec::new();
    if !files.secrets.is_empty() {
        notices.push(Event::Warning(format!(
            "not in the image, because they may contain secrets: {}; add a file with `--copy` if the image needs it",
            named(&files.secrets)
        )));
    }
    if !files.special.is_empty() {
        notices.push(Event::Warning(format!(
            "not in the image, because they are neither files nor links: {}",
            named(&files.special)
        )));
    }
    if !files.dangling.is_empty() {
        let links = files.dangling.iter().map(|link| format!("`{}` to `{}`", link.path, link.target));
        let links = links.collect::<Vec<_>>().join(", ");
        notices.push(Event::Warning(format!("links lead to files that are not in the image: {links}")));
    }
    notices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_path_only_with_a_slash_and_a_script_only_if_it_exists() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
        for folder in ["app", "project", "old"] {
            fs_err::create_dir(path(folder)).unwrap();
        }
        for file in ["project/pyproject.toml", "old/setup.py", "report.py"] {
            fs_err::write(path(file), "").unwrap();
        }
        assert_eq!(kind(&path("app")), Kind::Folder(path("app").into()));
        assert_eq!(kind(&path("project/pyproject.toml")), Kind::Folder(path("project").into()));
        assert_eq!(kind(&path("report.py")), Kind::Script(path("report.py").into()));
        assert_eq!(kind("./missing.py"), Kind::Script("./missing.py".into()));
        for folder in ["project", "old"] {
            assert_eq!(kind(&path(folder)), Kind::Folder(path(folder).into()));
        }
        // The tests run in the folder of this package, which has a folder `src`.
        assert!(matches!(of_index("src"), Some(Event::Note(text)) if text.ends_with("name it `./src`")));
        assert!(["./src", "Cargo.toml", "httpie", "."].iter().all(|word| of_index(word).is_none()));
        for word in ["src", "discord.py", "https://host/x.py", "./x-1-py3-none-any.whl"] {
            assert_eq!(kind(word), Kind::Requirement, "{word}");
        }
    }
}
