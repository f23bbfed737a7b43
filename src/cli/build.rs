//! `lath build`.

use clap::Args;

use crate::cli::args::{
    Checks, Compiled, Destinations, Inputs, Labels, Locking, Name, Packing, Program, ProofTime, Size, Sources,
};
use crate::cli::command::{Call, Command};
use crate::cli::failure::Failure;
use crate::cli::layers::{Settings, Typed, joined};
use crate::pipeline;
use crate::present::summary;

/// Build an image
#[derive(Debug, Args)]
pub(super) struct Build {
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    locking: Locking,
    #[command(flatten)]
    size: Size,
    #[command(flatten)]
    compiled: Compiled,
    #[command(flatten)]
    program: Program,
    #[command(flatten)]
    labels: Labels,
    #[command(flatten)]
    name: Name,
    #[command(flatten)]
    destinations: Destinations,
    #[command(flatten)]
    checks: Checks,
    #[command(flatten)]
    proof_time: ProofTime,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    packing: Packing,
}

impl Typed for Build {
    fn typed(&self) -> Settings {
        joined([
            self.inputs.typed(),
            self.locking.typed(),
            self.size.typed(),
            self.compiled.typed(),
            self.program.typed(),
            self.labels.typed(),
            self.name.typed(),
            self.destinations.typed(),
            self.checks.typed(),
            self.proof_time.typed(),
            self.sources.typed(),
            self.packing.typed(),
        ])
    }
}

impl Command for Build {
    fn main(&self, call: &Call) -> Result<u8, Failure> {
        let request = call.request(&call.settings)?;
        let world = call.open()?;
        let receipt = pipeline::build(&request, &world).map_err(|error| Failure::of_build(&error))?;
        call.screen.say(summary::summary(&receipt, &request.output.destinations));
        for destination in &receipt.destinations {
            let lost = |failure: Failure| failure.with_hints(vec![format!("the image is written: `{destination}`")]);
            call.screen.print(destination).map_err(lost)?;
        }
        Ok(0)
    }
}
