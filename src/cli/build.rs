//! `lath build`.

use std::path::Path;
use std::sync::Arc;

use crate::cli::args::{Build, Global};
use crate::cli::failure::Failure;
use crate::cli::screen::Screen;
use crate::cli::{settings, summary};
use crate::model::event::Listener;
use crate::model::receipt::Receipt;
use crate::pipeline;

pub(super) fn main(build: &Build, global: &Global, screen: &Arc<Screen>) -> Result<(), Failure> {
    let request = settings::request(build)?;
    let settings = settings::world(build, global)?;
    let listener: Arc<dyn Listener> = Arc::clone(screen) as Arc<dyn Listener>;
    let world = pipeline::open(settings, listener).map_err(|error| Failure::of(&error).with_hints(error.hints()))?;
    let receipt = pipeline::build(&request, &world)
        .map_err(|error| Failure::of(&error).with_hints(error.hints()).with_exit_code(error.exit_code()))?;
    if let Some(path) = &build.metadata_file {
        write_metadata(path, &receipt)?;
    }
    screen.say(summary::summary(&receipt, &request.destinations));
    for destination in &receipt.destinations {
        screen.print(destination);
    }
    Ok(())
}

fn write_metadata(path: &Path, receipt: &Receipt) -> Result<(), Failure> {
    let bytes = serde_json::to_vec_pretty(receipt).map_err(|error| Failure::of(&error))?;
    fs_err::write(path, bytes).map_err(|error| Failure::of(&error))
}
