//! `lath lock`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::args::{Inputs, Size, Sources};
use crate::cli::command::{Call, Command};
use crate::cli::failure::Failure;
use crate::cli::layers::{Settings, Typed, joined};
use crate::cli::settings;
use crate::model::lock_file::DEFAULT_LOCK;
use crate::pipeline;

/// Write a lock of all wheels and Debian packages, from which images are built without resolving
#[derive(Debug, Args)]
pub(super) struct Lock {
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    size: Size,
    /// The file for the lock [default: pylock.toml]
    #[arg(long, short, value_name = "FILE", help_heading = "Where to")]
    output: Option<PathBuf>,
    #[command(flatten)]
    sources: Sources,
}

impl Typed for Lock {
    fn typed(&self) -> Settings {
        let request = joined([self.inputs.typed(), self.size.typed(), self.sources.typed()]);
        Settings { lock: self.output.clone(), ..request }
    }
}

impl Command for Lock {
    fn main(&self, call: &Call) -> Result<u8, Failure> {
        let settings = &call.settings;
        let path = settings.lock.clone().unwrap_or_else(|| Path::new(DEFAULT_LOCK).to_owned());
        // The lock has no image, so no requirement has to be a good name for one.
        let unlocked = Settings { tag: Some("lock".to_owned()), lock: None, ..settings.clone() };
        let request = settings::request(&unlocked, &call.environment)?;
        let world = call.open()?;
        pipeline::lock(&request, &path, &world).map_err(|error| Failure::of_build(&error))?;
        call.screen.print(path.display())?;
        Ok(0)
    }
}
