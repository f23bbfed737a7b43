//! `lath build`.

use std::collections::BTreeMap;

use clap::Args;

use crate::cli::args::{
    Checks, Compiled, Destinations, FromFile, Inputs, Labels, Locking, Name, Packing, Program, ProofTime, Size,
    SourceBuilds, Sources, Words,
};
use crate::cli::command::{Call, Command};
use crate::cli::default_file;
use crate::cli::failure::Failure;
use crate::cli::layers::{Settings, Typed, flag, joined};
use crate::cli::settings::{refuse_checks_for_a_shell, usage};
use crate::model::destination::Destination;
use crate::model::event::{Event, Listener as _};
use crate::model::receipt::Receipt;
use crate::model::request::{OutputRequest, Request};
use crate::pipeline;
use crate::present::summary;

/// Build an image
#[derive(Debug, Args)]
pub(super) struct Build {
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    source_builds: SourceBuilds,
    #[command(flatten)]
    from_file: FromFile,
    /// Build all images of the configuration file
    #[arg(long, conflicts_with = "image", help_heading = "What goes in")]
    all: bool,
    #[command(flatten)]
    words: Words,
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
        let image = joined([
            self.inputs.typed(),
            self.source_builds.typed(),
            self.from_file.typed(),
            self.words.typed(),
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
        ]);
        Settings { all: flag(self.all), ..image }
    }
}

impl Command for Build {
    /// Builds one image after the other. The first error ends the run. Images that were already written stay.
    fn main(&self, call: &Call) -> Result<u8, Failure> {
        call.images.iter().try_for_each(refuse_checks_for_a_shell)?;
        let requests = call.images.iter().map(|settings| call.request(settings)).collect::<Result<Vec<_>, _>>()?;
        refuse_same_places(&requests)?;
        call.images.iter().zip(&requests).try_for_each(|(settings, request)| refuse_link(settings, &request.output))?;
        let world = call.open()?;
        let mut receipts: Vec<Receipt> = Vec::new();
        for request in &requests {
            let failed = |failure: Failure| failure.with_hints(written(&receipts));
            let receipt = pipeline::build(request, &world).map_err(|error| failed(Failure::of_build(&error)))?;
            call.screen.say(summary::summary(&receipt, &request.output.destinations));
            summary::warnings(&receipt).into_iter().for_each(|text| call.screen.hear(Event::Warning(text)));
            receipts.push(receipt);
            for destination in receipts.iter().rev().take(1).flat_map(|receipt| &receipt.destinations) {
                call.screen.print(destination).map_err(|failure| failure.with_hints(written(&receipts)))?;
            }
        }
        if receipts.len() > 1 {
            call.screen.say(summary::summary_of_all(&receipts));
        }
        Ok(0)
    }
}

/// Refuses the default destination if it is a link that leads out of the project.
fn refuse_link(settings: &Settings, output: &OutputRequest) -> Result<(), Failure> {
    let has_outputs = settings.output.iter().flatten().next().is_some();
    if has_outputs || settings.load == Some(true) || settings.push == Some(true) {
        return Ok(());
    }
    let mut paths = output.destinations.iter().filter_map(Destination::path);
    paths.try_for_each(|path| default_file::refuse_link(path, "name the file for the image with `-o FILE`"))
}

/// Refuses images that would overwrite one another.
fn refuse_same_places(requests: &[Request]) -> Result<(), Failure> {
    let mut places: BTreeMap<String, &str> = BTreeMap::new();
    for output in requests.iter().map(|request| &request.output) {
        let OutputRequest { name, destinations, metadata_file, explanation, .. } = output;
        let files = metadata_file.iter().chain(explanation).map(|path| path.display().to_string());
        let own: Vec<String> = destinations.iter().map(ToString::to_string).chain(files).collect();
        if let Some((place, other)) = own.iter().find_map(|place| places.get_key_value(place)) {
            return Err(usage(format!("cannot write the images `{other}` and `{name}` both to `{place}`")).with_hints(
                vec![
                    "write `tag`, `output`, `metadata-file` and `explanation` into the table of each image".to_owned(),
                ],
            ));
        }
        places.extend(own.into_iter().map(|place| (place, name.as_str())));
    }
    Ok(())
}

/// Returns one hint for each destination to which an image was written before the error.
fn written(receipts: &[Receipt]) -> Vec<String> {
    let destinations = receipts.iter().flat_map(|receipt| &receipt.destinations);
    destinations.map(|destination| format!("the image is written: `{destination}`")).collect()
}
