//! `lath trace`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::args::{FromFile, Inputs, Locking, Program, Shell, SourceBuilds, Sources};
use crate::cli::command::{Call, Command};
use crate::cli::default_file;
use crate::cli::environment::Environment;
use crate::cli::failure::Failure;
use crate::cli::layers::{self, Settings, Typed, flag, joined};
use crate::cli::run::{OwnRun, Running};
use crate::model::trace::Trace as Record;
use crate::pipeline;

/// The default path of the record.
const DEFAULT: &str = "lath.trace";

/// Run a command in the untrimmed tree, and record the files that it uses, for `--trim trace`
#[derive(Debug, Args)]
pub(super) struct Trace {
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    source_builds: SourceBuilds,
    #[command(flatten)]
    from_file: FromFile,
    #[command(flatten)]
    locking: Locking,
    #[command(flatten)]
    shell: Shell,
    #[command(flatten)]
    program: Program,
    /// The file for the record [default: lath.trace]
    #[arg(long, short, value_name = "FILE", help_heading = "Where to")]
    output: Option<PathBuf>,
    /// Add to the record in the file, if there is one
    #[arg(long, help_heading = "Where to")]
    append: bool,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    running: Running,
}

impl Typed for Trace {
    fn typed(&self) -> Settings {
        let image = joined([
            self.inputs.typed(),
            self.source_builds.typed(),
            self.from_file.typed(),
            self.locking.typed(),
            self.shell.typed(),
            self.program.typed(),
            self.sources.typed(),
            self.running.typed(),
        ]);
        Settings { trace_output: self.output.clone(), append: flag(self.append), ..image }
    }
}

impl Command for Trace {
    /// `LATH_OUTPUT` is not used, because it sets the destination of builds, and not the file for the record.
    fn of_variables(&self, environment: &Environment) -> Result<Settings, clap::Error> {
        layers::of_variables::<Self>(&environment.without(&["LATH_OUTPUT"]))
    }

    /// Runs the command, writes the record even if the command fails, and returns the exit code of the command.
    fn main(&self, call: &Call) -> Result<u8, Failure> {
        let path = call.settings.trace_output.clone().unwrap_or_else(|| Path::new(DEFAULT).to_owned());
        if call.settings.trace_output.is_none() {
            default_file::refuse_link(&path, "name the file for the record with `-o FILE`")?;
        }
        let is_added = call.settings.append == Some(true) && path.exists();
        let mut record = if is_added {
            pipeline::read_trace(&path).map_err(|error| Failure::of(&error))?
        } else {
            Record::default()
        };
        pipeline::refuse_document(&path).map_err(|error| Failure::of_build(&error))?;
        // Nothing is trimmed here, so the records for `--trim trace` are not needed.
        let settings = Settings { trim: None, trace: None, ..call.settings.clone() };
        let OwnRun { request, command, volumes } = OwnRun::new(call, &settings, &self.running.command)?;
        let world = call.open()?;
        let traced = pipeline::trace(&request, &command, &volumes, &world);
        let (code, used) = traced.map_err(|error| Failure::of_build(&error))?;
        record.merge(used);
        pipeline::write_document(&path, &record.to_string()).map_err(|error| Failure::of_build(&error))?;
        call.screen.say(format!("recorded {} paths in `{}`", record.paths.len(), path.display()));
        Ok(u8::try_from(code).unwrap_or(1))
    }
}
