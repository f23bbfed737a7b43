//! `lath build`.

use std::sync::Arc;

use crate::cli::args::{Build, Global};
use crate::cli::failure::Failure;
use crate::cli::screen::Screen;
use crate::cli::settings;
use crate::model::event::Listener;
use crate::pipeline;
use crate::present::summary;

pub(super) fn main(build: &Build, global: &Global, screen: &Arc<Screen>) -> Result<(), Failure> {
    let request = settings::request(build)?;
    let settings = settings::world(build, global)?;
    let listener: Arc<dyn Listener> = Arc::clone(screen) as Arc<dyn Listener>;
    let world = pipeline::open(settings, listener).map_err(|error| Failure::of(&error))?;
    let receipt = pipeline::build(&request, &world).map_err(|error| Failure::of_build(&error))?;
    screen.say(summary::summary(&receipt, &request.destinations));
    for destination in &receipt.destinations {
        let lost = |failure: Failure| failure.with_hints(vec![format!("the image is written: `{destination}`")]);
        screen.print(destination).map_err(lost)?;
    }
    Ok(())
}
