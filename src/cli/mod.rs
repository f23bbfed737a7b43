//! The command line: what was typed, and what is shown.

mod args;
mod build;
mod cache;
mod compare;
mod dockerfile;
mod failure;
mod run;
mod screen;
mod settings;
mod summary;

use std::ffi::OsString;
use std::sync::Arc;

use crate::cli::args::{Arguments, Command};
use crate::cli::screen::Screen;
use crate::pipeline;

/// Does what `arguments` say, the program's name first, and returns the exit code: 0 done; 1 the request cannot be met,
/// or the outside failed; 2 wrong usage; 3 built, but it does not run as promised; 70 a fault of lath's own.
pub(crate) fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if pipeline::serve_warden(&arguments) {
        return 0;
    }
    let arguments = match Arguments::read(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to stdout with 0, all else to stderr with 2; a closed pipe is no fault.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    let screen = Arc::new(Screen::new(&arguments.global));
    let outcome = match arguments.command {
        Command::Build(build) => build::main(&build, &arguments.global, &screen).map(|()| 0),
        Command::Run(run) => run::main(&run, &arguments.global, &screen),
        Command::Dockerfile(dockerfile) => dockerfile::main(&dockerfile, &arguments.global, &screen).map(|()| 0),
        Command::Compare(compare) => compare::main(&compare, &arguments.global, &screen).map(|()| 0),
        Command::Cache(cache) => cache::main(&cache.action, &arguments.global, &screen).map(|()| 0),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::described(), "lath", &mut screen.stdout());
            Ok(0)
        }
    };
    match outcome {
        Ok(exit_code) => exit_code,
        Err(failure) => {
            screen.tell_failure(&failure);
            failure.exit_code
        }
    }
}
