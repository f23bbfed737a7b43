//! The command line: arguments, and output.

mod args;
mod build;
mod cache;
mod clean;
mod compare;
mod dockerfile;
mod environment;
mod failure;
mod panic;
mod run;
mod screen;
mod settings;

use std::ffi::OsString;
use std::sync::Arc;

use crate::cli::args::{Arguments, Command};
use crate::cli::screen::Screen;
use crate::outside::sandbox::serve_warden;
use crate::outside::unfinished::survive_file_size_limit;

/// Runs the command in `arguments`, which begin with the program's name, and returns the exit code: 0 done; 1 the
/// request cannot be met, or something outside failed; 2 wrong usage; 3 built, but it does not run as promised; 70 a
/// bug in lath.
pub(crate) fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if serve_warden(&arguments) {
        return 0;
    }
    survive_file_size_limit();
    panic::caught(|| obey(arguments)).unwrap_or_else(|failure| {
        Screen::plain().tell_failure(&failure);
        failure.exit_code
    })
}

fn obey(arguments: Vec<OsString>) -> u8 {
    let arguments = match Arguments::read(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return show_usage(&error),
    };
    let screen = Arc::new(Screen::new(&arguments.global));
    let outcome = match arguments.command {
        Command::Build(build) => build::main(&build, &arguments.global, &screen).map(|()| 0),
        Command::Run(run) => run::main(&run, &arguments.global, &screen),
        Command::Dockerfile(dockerfile) => dockerfile::main(&dockerfile, &arguments.global, &screen).map(|()| 0),
        Command::Compare(compare) => compare::main(&compare, &arguments.global, &screen).map(|()| 0),
        Command::Cache(cache) => cache::main(&cache.action, &arguments.global, &screen).map(|()| 0),
        Command::Completions { shell } => screen.print(completions(shell).trim_end()).map(|()| 0),
    };
    match outcome {
        Ok(exit_code) => exit_code,
        Err(failure) => {
            screen.tell_failure(&failure);
            failure.exit_code
        }
    }
}

/// Help and the version are written to stdout with exit code 0, errors to stderr with 2.
fn show_usage(error: &clap::Error) -> u8 {
    let printed = screen::written(screen::print_usage(error));
    match printed {
        Err(failure) if !error.use_stderr() => {
            Screen::plain().tell_failure(&failure);
            failure.exit_code
        }
        _ => u8::try_from(error.exit_code()).unwrap_or(2),
    }
}

/// Returns the script that completes lath's command line in a shell.
fn completions(shell: clap_complete::Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::described(), "lath", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}
