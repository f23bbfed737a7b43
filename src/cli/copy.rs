//! `lath copy`.

use clap::Args;

use crate::cli::args::Registries;
use crate::cli::command::{Call, Command};
use crate::cli::environment::Environment;
use crate::cli::failure::Failure;
use crate::cli::layers::{self, Settings, Typed, flag};
use crate::cli::stack::Files;
use crate::cli::values::usage;
use crate::model::copy::CopyRequest;
use crate::pipeline;
use crate::present::summary;

/// Copy an image with all its platforms between registries, layouts, archives and daemons
#[derive(Debug, Args)]
pub(super) struct Copy {
    /// The image: `docker://HOST/NAME[:TAG]`, `oci:DIR[:TAG]`, `oci-archive:PATH[:TAG]`, `docker-archive:PATH[:NAME]`
    /// or `docker-daemon:NAME`
    #[arg(value_name = "SRC")]
    source: String,
    /// The place of the copy, in the same forms
    #[arg(value_name = "DEST")]
    destination: String,
    /// The only platform to copy, such as `linux/arm64` [default: all platforms]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// Also copy signatures, SBOMs and other manifests about the image, from one registry to another
    #[arg(long)]
    referrers: bool,
    #[command(flatten)]
    transfers: Transfers,
}

/// How the bytes are sent. No other option of `lath copy` has a variable.
#[derive(Debug, Args)]
#[command(next_help_heading = "How")]
struct Transfers {
    /// The number of parallel transfers
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,
    #[command(flatten)]
    registries: Registries,
}

impl Typed for Transfers {
    fn typed(&self) -> Settings {
        Settings { jobs: self.jobs, ..self.registries.typed() }
    }
}

impl Typed for Copy {
    fn typed(&self) -> Settings {
        // The destination counts as an output. So lath uses `LATH_REGISTRY_USER` for the registry of the destination,
        // and not for the registry of the source.
        let output = Some(vec![self.destination.clone()]);
        Settings { output, referrers: flag(self.referrers), ..self.transfers.typed() }
    }
}

impl Command for Copy {
    const FILES: Files = Files::User;

    fn of_variables(&self, environment: &Environment) -> Result<Settings, clap::Error> {
        layers::of_variables::<Transfers>(environment)
    }

    /// Copies the image. The platform is read only from the command line. `LATH_PLATFORM` and configuration files are
    /// for builds, and users do not expect that a setting for builds removes platforms from a copy.
    fn main(&self, call: &Call) -> Result<u8, Failure> {
        let request = CopyRequest {
            source: self.source.parse().map_err(usage)?,
            destination: self.destination.parse().map_err(usage)?,
            platform: self.platform.as_deref().map(str::parse).transpose().map_err(usage)?,
            referrers: self.referrers,
        };
        let world = call.open()?;
        let copied = pipeline::copy(&request, &world).map_err(|error| Failure::of_build(&error))?;
        call.screen.say(summary::summary_of_copy(&request, &copied));
        call.screen.print(&copied.destination)?;
        Ok(0)
    }
}
