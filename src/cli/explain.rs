//! `lath explain`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::args::Registries;
use crate::cli::command::{Call, Command};
use crate::cli::environment::Environment;
use crate::cli::failure::Failure;
use crate::cli::layers::{self, Settings, Typed};
use crate::cli::stack::Files;
use crate::cli::values::usage;
use crate::model::explanation::{ExplainRequest, ExplainSource};
use crate::model::image_source::ImageSource;
use crate::pipeline;
use crate::present::{explanation, json};

/// Explain why a path, a package or a module is in an image of lath, or why it is not
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The image: an archive or a layout, or a place as for `lath copy`
    #[arg(value_name = "IMAGE")]
    image: Option<String>,
    /// A path in the image, a package, a distribution or a module [default: a table of all packages]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Show all chains of reasons, not only the shortest
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Read the explanation from the file that `--explanation` wrote; then there is no IMAGE
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The platform, if the image has several [default: the platform of this machine]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    #[command(flatten)]
    registries: Registries,
}

impl Typed for Explain {
    fn typed(&self) -> Settings {
        self.registries.typed()
    }
}

impl Command for Explain {
    const FILES: Files = Files::User;

    /// Only the options about registries have variables, because the other options are only useful for a single call.
    fn of_variables(&self, environment: &Environment) -> Result<Settings, clap::Error> {
        layers::of_variables::<Registries>(environment)
    }

    fn main(&self, call: &Call) -> Result<u8, Failure> {
        let (source, name) = self.question()?;
        let platform = self.platform.as_deref().map(str::parse).transpose().map_err(usage)?;
        let failed = |error| Failure::of_build(&error);
        let world = call.open()?;
        let explained = pipeline::explanation(&ExplainRequest { source, platform }, &world).map_err(failed)?;
        let text = match name {
            None if self.json => json::explained(&explained.table()).map_err(|error| Failure::of(&error))?,
            None => explanation::table(&explained.table()),
            Some(name) => {
                let answers = pipeline::answers(&explained, name, self.all).map_err(failed)?;
                match self.json {
                    true => json::explained(&answers).map_err(|error| Failure::of(&error))?,
                    false => explanation::answers(&answers),
                }
            }
        };
        call.screen.print(text)?;
        Ok(0)
    }
}

impl Explain {
    /// Returns the source of the explanation, and the name to explain. If `--from` is given, there is no word for the
    /// image, so the first word is the name.
    fn question(&self) -> Result<(ExplainSource, Option<&str>), Failure> {
        match (&self.from, &self.image, &self.name) {
            (Some(_), Some(_), Some(_)) => Err(usage("cannot use an image and `--from` together: leave out the image")),
            (Some(file), name, None) => Ok((ExplainSource::File(file.clone()), name.as_deref())),
            (None, Some(image), name) => Ok((source(image)?, name.as_deref())),
            (None, None, _) | (Some(_), None, Some(_)) => {
                Err(usage("cannot explain nothing: name an image, such as `pre-commit.tar`, or a file with `--from`"))
            }
        }
    }
}

/// Reads the place of an image: a place as for `lath copy`, or the path of a layout or of an archive.
fn source(image: &str) -> Result<ExplainSource, Failure> {
    // If the user copied the destination that a build printed, `image` ends with a digest, which is not part of the
    // path.
    let path = image.split_once("@sha256:").map_or(image, |(path, _)| path);
    let path = if Path::new(image).exists() { Path::new(image) } else { Path::new(path) };
    match image.parse::<ImageSource>() {
        Ok(source) => Ok(ExplainSource::Image(source)),
        Err(_) if path.is_dir() => {
            Ok(ExplainSource::Image(ImageSource::Oci { path: path.to_owned(), reference: None }))
        }
        Err(_) if path.exists() => Ok(ExplainSource::Archive(path.to_owned())),
        Err(error) if image.contains(':') => Err(usage(error)),
        Err(_) => Err(usage(format!("cannot find the image `{image}`: there is no such file or folder"))),
    }
}
