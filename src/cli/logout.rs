//! `lath logout`.

use clap::Args;

use crate::catalog::registries::DOCKER_HUB;
use crate::cli::command::{Call, Command};
use crate::cli::environment::Environment;
use crate::cli::failure::Failure;
use crate::cli::layers::{Settings, Typed};
use crate::cli::registries::registry;
use crate::cli::stack::Files;
use crate::pipeline::login;

/// Remove the saved credentials for a registry of images
#[derive(Debug, Args)]
pub(super) struct Logout {
    /// The registry [default: docker.io]
    #[arg(value_name = "HOST")]
    registry: Option<String>,
}

impl Typed for Logout {
    fn typed(&self) -> Settings {
        Settings::default()
    }
}

impl Command for Logout {
    const FILES: Files = Files::Nothing;

    fn of_variables(&self, _: &Environment) -> Result<Settings, clap::Error> {
        Ok(Settings::default())
    }

    fn main(&self, call: &Call) -> Result<u8, Failure> {
        let registry = registry(self.registry.as_deref().unwrap_or(DOCKER_HUB))?;
        let was_there = login::log_out(&registry, &call.open()?).map_err(|error| Failure::of(&error))?;
        match was_there {
            true => call.screen.say(format_args!("removed the credentials for `{registry}`")),
            false => call.screen.say(format_args!("there were no saved credentials for `{registry}`")),
        }
        Ok(0)
    }
}
