//! `lath compare`.

mod measured;

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::{
    Checks, Compiled, FromFile, Inputs, Locking, Packing, Program, ProofTime, Size, SourceBuilds, Sources, Words,
};
use crate::cli::command::{Call, Command};
use crate::cli::defaults;
use crate::cli::dockerfile;
use crate::cli::failure::Failure;
use crate::cli::layers::{Settings, Typed, flag, joined};
use crate::cli::settings::refuse_checks_for_a_shell;
use crate::pipeline::{self, BuildError};
use crate::present::{chart, json, table};
use crate::rivals;
use crate::rivals::model::comparison::{AptHabits, Comparison, Way};
use crate::rivals::model::dockerfile::{EngineProgram, Style};

/// Compare the image with images from Dockerfiles: their sizes, and the files that only they contain
#[derive(Debug, Args)]
pub(super) struct Compare {
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    source_builds: SourceBuilds,
    #[command(flatten)]
    from_file: FromFile,
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
    checks: Checks,
    #[command(flatten)]
    proof_time: ProofTime,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    packing: Packing,
    #[command(flatten)]
    comparing: Comparing,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "The comparison")]
struct Comparing {
    /// Build each image with an engine, twice, and measure its size, the build time and the time of its check
    #[arg(long)]
    measure: bool,
    /// The base image of the Dockerfiles [default: the image of the release]
    #[arg(long, value_name = "IMAGE")]
    from: Option<String>,
    /// Certificates that pip and apt trust during the builds; the images do not contain them
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The engine that builds: `docker` or `podman` [default: the first that answers]
    #[arg(long, value_name = "ENGINE", requires = "measure")]
    engine: Option<EngineProgram>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write a picture to a file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Whether the base image removes apt's downloads: like the distribution's own images, or like debootstrap
    #[arg(long, value_name = "WHICH", conflicts_with = "measure")]
    apt: Option<AptHabits>,
}

impl Typed for Comparing {
    fn typed(&self) -> Settings {
        Settings {
            measure: flag(self.measure),
            from: self.from.clone(),
            ca: self.ca.clone(),
            engine: self.engine,
            json: flag(self.json),
            svg: self.svg.clone(),
            apt: self.apt,
            ..Settings::default()
        }
    }
}

impl Typed for Compare {
    fn typed(&self) -> Settings {
        joined([
            self.inputs.typed(),
            self.source_builds.typed(),
            self.from_file.typed(),
            self.words.typed(),
            self.locking.typed(),
            self.size.typed(),
            self.compiled.typed(),
            self.program.typed(),
            self.checks.typed(),
            self.proof_time.typed(),
            self.sources.typed(),
            self.packing.typed(),
            self.comparing.typed(),
        ])
    }
}

impl Command for Compare {
    fn main(&self, call: &Call) -> Result<u8, Failure> {
        let settings = &call.settings;
        refuse_checks_for_a_shell(settings)?;
        settings.svg.as_deref().map_or(Ok(()), pipeline::refuse_document).map_err(|error| failed(&error))?;
        let comparison = if settings.measure.unwrap_or(false) { measured::measure(call)? } else { reckon(call)? };
        if let Some(path) = &settings.svg {
            let svg = chart::svg(&comparison).map_err(|error| Failure::of(&error))?;
            pipeline::write_document(path, &svg).map_err(|error| failed(&error))?;
        }
        if settings.json.unwrap_or(false) {
            let json = json::comparison(&comparison).map_err(|error| Failure::of(&error))?;
            call.screen.print(json)?;
        } else {
            call.screen.print(table::table(&comparison))?;
        }
        Ok(0)
    }
}

/// Computes the comparison. No engine builds an image.
fn reckon(call: &Call) -> Result<Comparison, Failure> {
    if let Some(base) = &call.settings.base {
        return Err(Failure::usage(format!(
            "cannot compute the sizes of Dockerfiles on `{base}`: that is only possible for releases, whose packages are known"
        ))
        .with_hints(vec!["add `--measure`: an engine builds the images".to_owned()]));
    }
    let (request, _) = dockerfile::settle(&of_way(&call.settings, Way::Lath), call)?;
    let habits = call.settings.apt.unwrap_or(defaults::APT);
    let world = call.open()?;
    rivals::compare(&request, habits, &world).map_err(|error| Failure::of_rival(&error))
}

/// Returns the settings for one image of the comparison: the image of one of the Dockerfiles, or lath's own.
fn of_way(settings: &Settings, way: Way) -> Settings {
    let style = match way {
        Way::Fat => Style::Fat,
        Way::Recipe => Style::Recipe,
        Way::Lean | Way::Lath => Style::Lean,
    };
    Settings {
        style: Some(style),
        fat: Some(style == Style::Fat),
        tag: Some(vec![format!("lath-compare-{way}")]),
        build: settings.measure,
        ..settings.clone()
    }
}

fn failed(error: &BuildError) -> Failure {
    Failure::of_build(error)
}
