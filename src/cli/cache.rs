//! `lath cache`.

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::cli::command::{Call, Command};
use crate::cli::defaults;
use crate::cli::environment::Environment;
use crate::cli::failure::Failure;
use crate::cli::layers::{self, Settings, Typed, flag};
use crate::cli::stack::Files;
use crate::pipeline;
use crate::present::megabytes::megabytes;

const DAY_SECS: u64 = 86_400;

/// Show the cache, or remove from it
#[derive(Debug, Args)]
pub(super) struct Cache {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print its path
    Dir,
    /// Print its size: in bytes, or rounded if stdout is a terminal
    Size(Size),
    /// Remove the files that no build has used recently; waits for running builds
    Prune(Prune),
}

#[derive(Debug, Args)]
struct Size {
    /// Print bytes on a terminal, too
    #[arg(long)]
    bytes: bool,
}

impl Typed for Size {
    fn typed(&self) -> Settings {
        Settings { bytes: flag(self.bytes), ..Settings::default() }
    }
}

#[derive(Debug, Args)]
struct Prune {
    /// Remove files that were not used for this many days
    #[arg(long, value_name = "DAYS")]
    older_than: Option<u64>,
    /// Remove everything
    #[arg(long, conflicts_with = "older_than")]
    all: bool,
}

impl Typed for Prune {
    fn typed(&self) -> Settings {
        Settings { older_than: self.older_than, all: flag(self.all), ..Settings::default() }
    }
}

impl Typed for Cache {
    fn typed(&self) -> Settings {
        match &self.action {
            Action::Dir => Settings::default(),
            Action::Size(size) => size.typed(),
            Action::Prune(prune) => prune.typed(),
        }
    }
}

impl Command for Cache {
    /// Only the user's file is read, because the file of a project must not choose the cache.
    const FILES: Files = Files::User;

    fn of_variables(&self, environment: &Environment) -> Result<Settings, clap::Error> {
        match &self.action {
            Action::Dir => Ok(Settings::default()),
            Action::Size(_) => layers::of_variables::<Size>(environment),
            Action::Prune(_) => layers::of_variables::<Prune>(environment),
        }
    }

    fn main(&self, call: &Call) -> Result<u8, Failure> {
        let (settings, screen, dir) = (&call.settings, &call.screen, call.cache_dir()?);
        match self.action {
            Action::Dir => screen.print(dir.display())?,
            Action::Size(_) => {
                let amount = pipeline::cache_amount(&dir).map_err(|error| Failure::of(&error))?;
                if settings.bytes.unwrap_or(false) || !screen.is_terminal() {
                    screen.print(amount.bytes)?;
                } else {
                    screen.print(megabytes(amount.bytes))?;
                }
            }
            Action::Prune(_) => {
                let days = settings.older_than.unwrap_or(defaults::OLDER_THAN);
                let unused_for = Duration::from_secs(days.saturating_mul(DAY_SECS));
                let unused_for = (!settings.all.unwrap_or(false)).then_some(unused_for);
                let on_wait = || screen.say("waiting until no build uses the cache");
                let removed = pipeline::prune_cache(&dir, unused_for, on_wait).map_err(|error| Failure::of(&error))?;
                let (files, what) = (removed.files, if removed.files == 1 { "file" } else { "files" });
                screen.say(format_args!(
                    "removed {files} {what}, {}, of `{}`",
                    megabytes(removed.bytes),
                    dir.display()
                ));
            }
        }
        Ok(0)
    }
}
