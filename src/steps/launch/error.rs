//! The errors of the step `launch`.

use thiserror::Error;

use crate::catalog::programs;
use crate::model::hint::{CommandHint, Hint, Hints, RequestHint};

#[derive(Debug, Error)]
pub(crate) enum LaunchError {
    #[error("cannot run `{script}`: no distribution of the image installs it; it has {there}")]
    NoScript { script: String, there: String },
    #[error("cannot run `{program}`: the image has no such program")]
    NoProgram { program: String, similar: Vec<String> },
    #[error("cannot run `{path}`: the image has no such file")]
    NoFile { path: String },
    #[error("cannot run `{path}`: it is not executable")]
    NotExecutable { path: String },
    #[error("cannot run the module `{module}`: the image does not contain it")]
    NoModule { module: String, similar: Vec<String> },
    #[error("cannot run the package `{module}`: it has no module `__main__`")]
    NoMain { module: String },
    #[error("cannot choose the command of the image: {0}")]
    NoCommand(Candidates),
    #[error("cannot run the process `web` of the Procfile without a shell: `{}`", .line.trim_start_matches("exec "))]
    NeedsShell { line: String },
}

impl Hints for LaunchError {
    fn own_hints(&self) -> Vec<Hint> {
        let request = |hint| vec![Hint::Request(hint)];
        let command = |hint| vec![Hint::Command(hint)];
        match self {
            Self::NoScript { .. } => request(RequestHint::ChooseScript),
            Self::NoProgram { similar, .. } | Self::NoModule { similar, .. } if !similar.is_empty() => {
                request(RequestHint::SimilarName { names: similar.clone() })
            }
            Self::NoProgram { program: path, .. } | Self::NotExecutable { path } if path.ends_with(".py") => {
                command(CommandHint::ByPython { path: path.clone() })
            }
            Self::NoProgram { program, .. } => programs::of_program(program).into_iter().map(Hint::Add).collect(),
            Self::NoCommand(_) => command(CommandHint::Name),
            Self::NeedsShell { line } => command(CommandHint::ShellOrWords { line: line.clone() }),
            Self::NoFile { .. } | Self::NotExecutable { .. } | Self::NoModule { .. } | Self::NoMain { .. } => {
                Vec::new()
            }
        }
    }
}

/// The possible commands of an image. If the user named no command, the error lists them.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// The console scripts of the requested distributions.
    pub(crate) scripts: Vec<String>,
    /// The processes of the Procfile.
    pub(crate) processes: Vec<String>,
    /// The Python files that can run as programs.
    pub(crate) files: Vec<String>,
}

impl std::fmt::Display for Candidates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kinds =
            [("the console script", &self.scripts), ("the process", &self.processes), ("the program", &self.files)];
        let named = kinds.iter().filter(|(_, names)| !names.is_empty());
        let named: Vec<String> = named.map(|(kind, names)| format!("{kind} `{}`", names.join("` or `"))).collect();
        if named.is_empty() {
            return f.write_str("the folder has neither a `Procfile` nor a program");
        }
        write!(f, "it could run {}", named.join(", or "))
    }
}
