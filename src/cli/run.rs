//! `lath run`.

use std::sync::Arc;

use crate::cli::args::{Global, Run};
use crate::cli::failure::Failure;
use crate::cli::screen::Screen;
use crate::cli::settings;
use crate::model::event::Listener;
use crate::pipeline;

/// Builds, runs the command in the sandbox, and returns its exit code.
pub(super) fn main(run: &Run, global: &Global, screen: &Arc<Screen>) -> Result<u8, Failure> {
    let build = &run.build;
    if build.tag.is_some() || !build.output.is_empty() || build.metadata_file.is_some() {
        return Err(Failure::usage(
            "cannot write an image with `lath run`: leave out `-t`, `-o` and `--metadata-file`",
        ));
    }
    let mut named = build.clone();
    named.tag = Some("run".to_owned());
    let request = settings::request(&named)?;
    let volumes = settings::volumes(&run.volume)?;
    let settings = settings::world(build, global)?;
    let listener: Arc<dyn Listener> = Arc::clone(screen) as Arc<dyn Listener>;
    let world = pipeline::open(settings, listener).map_err(|error| Failure::of(&error))?;
    let code = pipeline::run(&request, &run.command, &volumes, &world).map_err(|error| Failure::of_build(&error))?;
    Ok(u8::try_from(code).unwrap_or(1))
}
