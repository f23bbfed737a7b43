//! `lath compare`.

mod measured;

use std::sync::Arc;

use crate::cli::args::{Apt, Builder, Compare, Dockerfile, DockerfileStyle, Global};
use crate::cli::failure::Failure;
use crate::cli::screen::Screen;
use crate::cli::{dockerfile, settings};
use crate::model::event::Listener;
use crate::model::world_settings::WorldSettings;
use crate::outside::world::World;
use crate::pipeline::{self, BuildError};
use crate::present::{chart, json, table};
use crate::rivals;
use crate::rivals::model::comparison::{AptHabits, Comparison, Way};

pub(super) fn main(compare: &Compare, global: &Global, screen: &Arc<Screen>) -> Result<(), Failure> {
    let build = &compare.build;
    if build.tag.is_some() || !build.output.is_empty() || build.load || build.metadata_file.is_some() {
        return Err(Failure::usage(
            "cannot write an image with `lath compare`: leave out `-t`, `-o`, `--load` and `--metadata-file`",
        ));
    }
    compare.svg.as_deref().map_or(Ok(()), pipeline::refuse_document).map_err(|error| failed(&error))?;
    let comparison =
        if compare.measure { measured::measure(compare, global, screen)? } else { reckon(compare, global, screen)? };
    if let Some(path) = &compare.svg {
        let svg = chart::svg(&comparison).map_err(|error| Failure::of(&error))?;
        pipeline::write_document(path, &svg).map_err(|error| failed(&error))?;
    }
    if compare.json {
        let json = json::comparison(&comparison).map_err(|error| Failure::of(&error))?;
        screen.print(json)
    } else {
        screen.print(table::table(&comparison))
    }
}

/// Makes the comparison by computing it, without an engine.
fn reckon(compare: &Compare, global: &Global, screen: &Arc<Screen>) -> Result<Comparison, Failure> {
    let (request, _) = dockerfile::settle(&typed(compare, Way::Lath))?;
    let habits = match compare.apt {
        Apt::Official => AptHabits::Official,
        Apt::Plain => AptHabits::Plain,
    };
    let world = open(settings::world(&compare.build, global)?, screen)?;
    rivals::compare(&request, habits, &world).map_err(|error| Failure::of_rival(&error))
}

/// Returns the arguments of `lath dockerfile` for one of the ways.
fn typed(compare: &Compare, way: Way) -> Dockerfile {
    let mut build = compare.build.clone();
    build.tag = Some(format!("lath-compare-{way}"));
    Dockerfile {
        style: if way == Way::Recipe { DockerfileStyle::Recipe } else { DockerfileStyle::Lean },
        fat: way == Way::Fat,
        from: compare.from.clone(),
        ca: compare.ca.clone(),
        builder: Builder::Auto,
        is_built: compare.measure,
        engine: compare.engine,
        no_cache: false,
        build,
    }
}

fn open(settings: WorldSettings, screen: &Arc<Screen>) -> Result<World, Failure> {
    let listener: Arc<dyn Listener> = Arc::clone(screen) as Arc<dyn Listener>;
    pipeline::open(settings, listener).map_err(|error| Failure::of(&error))
}

fn failed(error: &BuildError) -> Failure {
    Failure::of_build(error)
}
