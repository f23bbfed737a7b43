//! `lath completions`.

use clap::Args;

use crate::cli::command::{Call, Command};
use crate::cli::environment::Environment;
use crate::cli::failure::Failure;
use crate::cli::layers::{Settings, Typed};
use crate::cli::stack::Files;

/// Print completions for a shell
#[derive(Debug, Args)]
pub(super) struct Completions {
    shell: clap_complete::Shell,
}

impl Typed for Completions {
    fn typed(&self) -> Settings {
        Settings::default()
    }
}

impl Command for Completions {
    const FILES: Files = Files::Nothing;

    /// Reads no variables, because the command has no options, and no variable sets its argument.
    fn of_variables(&self, _: &Environment) -> Result<Settings, clap::Error> {
        Ok(Settings::default())
    }

    fn main(&self, call: &Call) -> Result<u8, Failure> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut call.command_line.clone(), "lath", &mut text);
        call.screen.print(String::from_utf8_lossy(&text).trim_end())?;
        Ok(0)
    }
}
