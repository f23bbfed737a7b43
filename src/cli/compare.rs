//! `lath compare`.

mod chart;
mod table;

use std::sync::Arc;

use fs_err as fs;

use crate::cli::args::{Apt, Compare, Global};
use crate::cli::failure::Failure;
use crate::cli::screen::Screen;
use crate::cli::settings;
use crate::model::comparison::AptHabits;
use crate::model::event::Listener;
use crate::pipeline;

pub(super) fn main(compare: &Compare, global: &Global, screen: &Arc<Screen>) -> Result<(), Failure> {
    let build = &compare.build;
    if build.tag.is_some() || !build.output.is_empty() || build.load || build.metadata_file.is_some() {
        return Err(Failure::usage(
            "cannot write an image with `lath compare`: leave out `-t`, `-o`, `--load` and `--metadata-file`",
        ));
    }
    let mut named = build.clone();
    named.tag = Some("compare".to_owned());
    let request = settings::request(&named)?;
    let settings = settings::world(build, global)?;
    let listener: Arc<dyn Listener> = Arc::clone(screen) as Arc<dyn Listener>;
    let world = pipeline::open(settings, listener).map_err(|error| Failure::of(&error))?;
    let habits = match compare.apt {
        Apt::Official => AptHabits::Official,
        Apt::Plain => AptHabits::Plain,
    };
    let comparison = pipeline::compare(&request, habits, &world)
        .map_err(|error| Failure::of(&error).with_hints(error.hints()).with_exit_code(error.exit_code()))?;
    if let Some(path) = &compare.svg {
        let svg = chart::svg(&comparison).map_err(|error| Failure::of(&error))?;
        fs::write(path, svg).map_err(|error| Failure::of(&error))?;
    }
    if compare.json {
        let json = serde_json::to_string_pretty(&comparison).map_err(|error| Failure::of(&error))?;
        screen.print(json);
    } else {
        screen.print(table::table(&comparison));
    }
    Ok(())
}
