//! `lath strength`, for lath's own benchmarks. Releases of lath do not contain this command.

use clap::Args;

use crate::cli::build::Build;
use crate::cli::command::{Call, Command};
use crate::cli::failure::Failure;
use crate::cli::layers::{Settings, Typed};
use crate::model::strength::Deletions;
use crate::pipeline;

/// Delete files of an image, one at a time, and count how often the proof notices
#[derive(Debug, Args)]
pub(super) struct Strength {
    #[command(flatten)]
    build: Build,
    /// How many files to delete [default: 200]
    #[arg(long, value_name = "N", help_heading = "The files")]
    deletions: Option<usize>,
    /// How many files to leave out, because an earlier run deleted them [default: 0]
    #[arg(long, value_name = "N", help_heading = "The files")]
    skip: Option<usize>,
    /// The seed of the random choice of files [default: 1]
    #[arg(long, value_name = "N", help_heading = "The files")]
    seed: Option<u64>,
}

impl Typed for Strength {
    fn typed(&self) -> Settings {
        self.build.typed()
    }
}

impl Command for Strength {
    /// Prints each deletion as a line of JSON.
    fn main(&self, call: &Call) -> Result<u8, Failure> {
        let request = call.request(&call.settings)?;
        let world = call.open()?;
        let (count, skip) = (self.deletions.unwrap_or(200), self.skip.unwrap_or(0));
        let deletions = Deletions { count, skip, seed: self.seed.unwrap_or(1) };
        let print = |line: String| {
            // If the reader has closed the pipe, the measurement ends.
            let _ = call.screen.print(line);
        };
        pipeline::strength(&request, deletions, &world, print).map_err(|error| Failure::of_build(&error))?;
        Ok(0)
    }
}
