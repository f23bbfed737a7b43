//! `lath run`.

use clap::Args;

use crate::cli::args::{Compiled, FromFile, Inputs, Locking, Program, Size, SourceBuilds, Sources};
use crate::cli::command::{Call, Command};
use crate::cli::failure::Failure;
use crate::cli::layers::{Settings, Typed, joined, list};
use crate::cli::runtime;
use crate::cli::values::all;
use crate::model::request::{Request, Volume};
use crate::pipeline;

/// Build, then run a command in the sandbox; no engine is needed
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    source_builds: SourceBuilds,
    #[command(flatten)]
    from_file: FromFile,
    #[command(flatten)]
    locking: Locking,
    #[command(flatten)]
    size: Size,
    #[command(flatten)]
    compiled: Compiled,
    #[command(flatten)]
    program: Program,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    running: Running,
}

/// The command that runs in the sandbox, and its mounts.
#[derive(Debug, Args)]
pub(super) struct Running {
    /// Mount a file or folder of this machine; `:ro` makes it read-only
    #[arg(long, value_name = "SRC:DST[:ro]", help_heading = "The run")]
    volume: Vec<String>,
    /// The command and its arguments [default: the image's entry point]
    #[arg(last = true, value_name = "COMMAND", help_heading = None::<&str>)]
    pub(super) command: Vec<String>,
}

impl Typed for Running {
    fn typed(&self) -> Settings {
        Settings { mount: list(&self.volume), ..Settings::default() }
    }
}

impl Typed for Run {
    fn typed(&self) -> Settings {
        joined([
            self.inputs.typed(),
            self.source_builds.typed(),
            self.from_file.typed(),
            self.locking.typed(),
            self.size.typed(),
            self.compiled.typed(),
            self.program.typed(),
            self.sources.typed(),
            self.running.typed(),
        ])
    }
}

impl Command for Run {
    /// Builds, runs the command in the sandbox, and returns its exit code.
    fn main(&self, call: &Call) -> Result<u8, Failure> {
        let OwnRun { request, command, volumes } = OwnRun::new(call, &call.settings, &self.running.command)?;
        let world = call.open()?;
        let code = pipeline::run(&request, &command, &volumes, &world).map_err(|error| Failure::of_build(&error))?;
        Ok(u8::try_from(code).unwrap_or(1))
    }
}

/// A run of a program of the image in the sandbox.
pub(super) struct OwnRun {
    pub(super) request: Request,
    /// The words of the command. The list is empty if the image's own command runs.
    pub(super) command: Vec<String>,
    pub(super) volumes: Vec<Volume>,
}

impl OwnRun {
    pub(super) fn new(call: &Call, settings: &Settings, command: &[String]) -> Result<Self, Failure> {
        // No image is written, so the tag is only a placeholder. Without a tag, lath would derive a name from the first
        // requirement, and refuse a requirement whose name is not valid for an image.
        let mut request = call.request(&Settings { tag: Some(vec!["run".to_owned()]), ..settings.clone() })?;
        let mut command = command.to_vec();
        let is_application = request.app.as_ref().is_some_and(|app| app.script.is_none());
        if is_application && !command.is_empty() {
            // An application without a Procfile has no command, so `command` becomes the command of the image.
            request.runtime.command = std::mem::take(&mut command);
            // The default arguments of a variable or a file belong to the command that is replaced.
            request.runtime.cmd = all(&call.stack.typed().cmd);
        }
        let volumes = runtime::mounts(settings)?;
        Ok(Self { request, command, volumes })
    }
}
