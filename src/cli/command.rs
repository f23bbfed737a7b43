//! The trait of lath's commands, and the values that every command gets.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::environment::Environment;
use crate::cli::failure::Failure;
use crate::cli::layers::{self, Settings, Typed};
use crate::cli::locked;
use crate::cli::options::Options;
use crate::cli::registries;
use crate::cli::screen::Screen;
use crate::cli::settings;
use crate::cli::stack::{Files, Stack};
use crate::model::event::Listener;
use crate::model::request::Request;
use crate::outside::world::World;
use crate::pipeline;

/// The arguments of a command, and the function that runs it.
pub(super) trait Command: Typed {
    /// The configuration files that the command reads.
    const FILES: Files = Files::OfImages;

    /// Returns the options that are set by environment variables.
    fn of_variables(&self, environment: &Environment) -> Result<Settings, clap::Error> {
        layers::of_variables::<Self>(environment)
    }

    /// Runs the command, and returns the exit code.
    fn main(&self, call: &Call) -> Result<u8, Failure>;
}

/// One run of lath.
pub(super) struct Call {
    /// The settings of all layers except the defaults. If the command works on several images, these are the settings
    /// of the first image.
    pub(super) settings: Settings,
    /// The settings of each image without those of a file that was found in a project.
    pub(super) trusted: Vec<Settings>,
    /// The settings of each image.
    pub(super) images: Vec<Settings>,
    /// The layers from which the settings come.
    pub(super) stack: Stack,
    pub(super) environment: Environment,
    pub(super) screen: Arc<Screen>,
    /// The whole command line, for completions.
    pub(super) command_line: clap::Command,
    /// The options that configuration files can contain.
    pub(super) options: Options,
}

impl Call {
    /// Returns the request that `settings` describe. If `settings` name a lock, the request uses this lock.
    pub(super) fn request(&self, settings: &Settings) -> Result<Request, Failure> {
        let mut request = locked::request(settings, &self.environment)?;
        for notice in request.notices.drain(..) {
            self.screen.hear(notice);
        }
        Ok(request)
    }

    pub(super) fn cache_dir(&self) -> Result<PathBuf, Failure> {
        settings::cache_dir(&self.settings, &self.environment)
    }

    /// Opens the world. Its events are shown on the screen.
    pub(super) fn open(&self) -> Result<World, Failure> {
        self.open_with_cache(self.cache_dir()?)
    }

    /// Opens the world with the cache in `cache_dir`.
    pub(super) fn open_with_cache(&self, cache_dir: PathBuf) -> Result<World, Failure> {
        let mut settings = settings::world(&self.settings, &self.environment, cache_dir)?;
        registries::name_destinations(&mut settings.registries.logins, &self.images, &self.trusted);
        let listener: Arc<dyn Listener> = Arc::clone(&self.screen) as Arc<dyn Listener>;
        pipeline::open(settings, listener).map_err(|error| Failure::of(&error))
    }
}
