//! All layers of a call, in their order, and the configuration files from which they come.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cli::bases::with_release;
use crate::cli::environment::Environment;
use crate::cli::failure::Failure;
use crate::cli::file::{Contents, Image, Reader};
use crate::cli::file_paths::Trust;
use crate::cli::layers::Settings;
use crate::outside::config_files::{self, ConfigFile};
use crate::outside::similar::similar;

/// The configuration files that a command reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    /// All files. The command works on images: on one or several images of the project's file, or on the image that the
    /// command line describes.
    OfImages,
    /// All files. All options in the files are used, even if the command does not have these options. The user does not
    /// have to choose an image.
    Shown,
    /// Only the user's file.
    User,
    Nothing,
}

/// The source of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    CommandLine,
    Variables,
    /// A table of a file. `lines` contains the line of each option. `is_trusted` is false if the file was found in a
    /// project.
    File {
        path: PathBuf,
        lines: BTreeMap<String, usize>,
        is_trusted: bool,
    },
    Defaults,
}

impl Source {
    /// Returns the path if the source is a file.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } => Some(path),
            Self::CommandLine | Self::Variables | Self::Defaults => None,
        }
    }

    fn is_trusted(&self) -> bool {
        !matches!(self, Self::File { is_trusted: false, .. })
    }
}

/// The settings of one source.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub(super) source: Source,
    pub(super) settings: Settings,
}

/// All layers except the defaults.
#[derive(Debug)]
pub(super) struct Stack {
    /// The command line and the variables.
    given: Vec<Layer>,
    /// The images of the project's file.
    pub(super) images: Vec<Image>,
    /// The files. The first file has priority.
    files: Vec<Layer>,
}

impl Stack {
    pub(super) fn new(typed: Settings, variables: Settings) -> Self {
        let given = [(Source::CommandLine, typed), (Source::Variables, variables)];
        let given = given.into_iter().map(|(source, settings)| Layer { source, settings }).collect();
        Self { given, images: Vec::new(), files: Vec::new() }
    }

    /// Returns the options on the command line.
    pub(super) fn typed(&self) -> Settings {
        let typed = self.given.iter().find(|layer| layer.source == Source::CommandLine);
        typed.map(|layer| layer.settings.clone()).unwrap_or_default()
    }

    /// Adds the layers of the configuration files.
    pub(super) fn read_files(
        &mut self,
        files: Files,
        reader: &Reader<'_>,
        environment: &Environment,
    ) -> Result<(), Failure> {
        let given = self.settings(None);
        if files == Files::Nothing || given.no_config == Some(true) {
            return Ok(());
        }
        if files != Files::User
            && let Some((file, trust)) = of_project(&given)?
        {
            self.add(&file.path, reader.read(&file, &trust)?, !matches!(trust, Trust::Project { .. }));
        }
        let user = environment.configuration().map(|folder| folder.join("lath").join(config_files::OWN));
        if let Some(path) = user.filter(|path| path.is_file()) {
            let file = ConfigFile::read(&path).map_err(unreadable)?;
            self.add(&path, reader.read(&file, &Trust::User)?, true);
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, contents: Contents, is_trusted: bool) {
        self.images.extend(contents.images);
        let source = Source::File { path: path.to_owned(), lines: contents.table.lines, is_trusted };
        self.files.push(Layer { source, settings: contents.table.settings });
    }

    /// Returns all layers of an image, in the order of their priority. If `image` is `None`, the result contains no
    /// layer of an image's table.
    pub(super) fn layers(&self, image: Option<&Image>) -> Vec<Layer> {
        // All images come from the first file, which is the project's, because the file of the user cannot describe
        // images.
        let image = image.zip(self.files.first()).map(|(image, file)| {
            let mut source = file.source.clone();
            if let Source::File { lines, .. } = &mut source {
                lines.clone_from(&image.table.lines);
            }
            Layer { source, settings: image.table.settings.clone() }
        });
        self.given.iter().cloned().chain(image).chain(self.files.iter().cloned()).collect()
    }

    /// Returns the settings of all layers.
    pub(super) fn settings(&self, image: Option<&Image>) -> Settings {
        combined(self.layers(image))
    }

    /// Returns the settings without those of a file that was found in a project.
    pub(super) fn trusted_settings(&self, image: Option<&Image>) -> Settings {
        combined(self.layers(image).into_iter().filter(|layer| layer.source.is_trusted()))
    }

    /// Returns the images that the user chose. If the file describes no image and the user names none, the result is
    /// empty.
    pub(super) fn chosen(&self) -> Result<Vec<&Image>, Failure> {
        let given = self.settings(None);
        let all: Vec<&Image> = self.images.iter().collect();
        match (given.image, given.all.unwrap_or(false)) {
            (Some(name), _) => match all.iter().find(|image| image.name == name) {
                Some(image) => Ok(vec![image]),
                None => Err(self.unknown(&name)),
            },
            (None, true) if all.is_empty() => Err(without_images("build all images")),
            (None, is_all) if is_all || all.len() < 2 => Ok(all),
            (None, _) => Err(Failure::usage(format!("cannot choose an image: the file describes {}", self.names()))
                .with_hints(vec!["choose one with `--image NAME`; `lath build --all` builds all of them".to_owned()])),
        }
    }

    /// Returns the paths of the files, in their order.
    pub(super) fn paths(&self) -> Vec<&Path> {
        self.files.iter().filter_map(|layer| layer.source.path()).collect()
    }

    fn unknown(&self, name: &str) -> Failure {
        if self.images.is_empty() {
            return without_images(&format!("build the image `{name}`"));
        }
        let failure = Failure::usage(format!("there is no image `{name}`: the file describes {}", self.names()));
        let near = similar(name, self.images.iter().map(|image| image.name.as_str()));
        failure.with_hints(near.first().map(|near| format!("did you mean `{near}`?")).into_iter().collect())
    }

    fn names(&self) -> String {
        let names: Vec<String> = self.images.iter().map(|image| format!("`{}`", image.name)).collect();
        names.join(", ")
    }
}

fn combined(layers: impl IntoIterator<Item = Layer>) -> Settings {
    let settings = layers.into_iter().map(|layer| with_release(layer.settings));
    settings.fold(Settings::default(), Settings::over).complete()
}

fn without_images(wish: &str) -> Failure {
    Failure::usage(format!("cannot {wish}: no configuration file was found that describes images")).with_hints(vec![
        "describe each image in a table `[[image]]` of `lath.toml`, or `[[tool.lath.image]]` of `pyproject.toml`"
            .to_owned(),
    ])
}

/// Returns the configuration file of the project, and how far this file is trusted.
fn of_project(given: &Settings) -> Result<Option<(ConfigFile, Trust)>, Failure> {
    if let Some(path) = &given.config {
        let file = ConfigFile::read(path).map_err(unreadable)?;
        return Ok(Some((file, Trust::Named)));
    }
    let found = match folder_of_inputs(given) {
        Some(folder) => config_files::in_folder(&folder),
        None => config_files::around(),
    };
    let Some(file) = found.map_err(unreadable)? else { return Ok(None) };
    let realm = config_files::realm_of(&file.folder).map_err(unreadable)?;
    Ok(Some((file, Trust::Project { realm })))
}

/// Finds the first input that is a folder or a file of a project. Returns this folder, or the folder of the file.
fn folder_of_inputs(given: &Settings) -> Option<PathBuf> {
    let inputs = given.requirement.iter().flatten().map(|input| input.exposed());
    // A word such as `httpie` is the name of a distribution, even if there is a folder `httpie`. A path begins with a
    // dot or contains a slash.
    inputs.filter(|input| input.starts_with('.') || input.contains('/')).map(Path::new).find_map(|path| {
        let is_of_project =
            path.ends_with(config_files::PYPROJECT) || path.extension().is_some_and(|end| end == "lock");
        let folder = if is_of_project { path.parent()? } else { path };
        folder.is_dir().then(|| folder.to_owned())
    })
}

fn unreadable(error: config_files::ConfigFileError) -> Failure {
    Failure::of(&error).with_exit_code(2)
}
