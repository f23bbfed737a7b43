//! `lath login`.

use std::io::{self, IsTerminal as _, Read as _};

use clap::Args;

use crate::catalog::registries::DOCKER_HUB;
use crate::cli::command::{Call, Command};
use crate::cli::environment::Environment;
use crate::cli::failure::Failure;
use crate::cli::layers::{Settings, Typed, flag, list};
use crate::cli::registries::registry;
use crate::cli::settings::usage;
use crate::cli::stack::Files;
use crate::model::secret::Secret;
use crate::pipeline::login::{self, LoginRequest, Place};

/// No password or token is longer than this.
const MAX_PASSWORD_BYTES: u64 = 64 << 10;

/// Check the credentials for a registry of images, and save them as Docker does
#[derive(Debug, Args)]
pub(super) struct Login {
    /// The registry [default: docker.io]
    #[arg(value_name = "HOST")]
    registry: Option<String>,
    /// The name of the user
    #[arg(long, short, value_name = "NAME")]
    username: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// A registry of images that may use plain HTTP or an unknown certificate; may repeat
    #[arg(long, value_name = "HOST[:PORT]")]
    insecure_registry: Vec<String>,
}

impl Typed for Login {
    fn typed(&self) -> Settings {
        Settings {
            username: self.username.clone(),
            password_stdin: flag(self.password_stdin),
            insecure_registry: list(&self.insecure_registry),
            ..Settings::default()
        }
    }
}

impl Command for Login {
    /// The file of a project is not read, because it must not choose the server that gets the password.
    const FILES: Files = Files::User;

    /// No variable sets an option of this command, because the variables are for builds.
    fn of_variables(&self, _: &Environment) -> Result<Settings, clap::Error> {
        Ok(Settings::default())
    }

    fn main(&self, call: &Call) -> Result<u8, Failure> {
        let registry = registry(self.registry.as_deref().unwrap_or(DOCKER_HUB))?;
        let user = match &self.username {
            Some(user) => user.clone(),
            None => asked("Username: ", |terminal| terminal.read_line())?,
        };
        if user.is_empty() || user.contains(':') {
            return Err(usage("cannot log in without a name of a user, which has no colon: `-u NAME`"));
        }
        let password = match self.password_stdin {
            true => of_stdin()?,
            false => asked("Password: ", |terminal| terminal.read_secure_line())?,
        };
        if password.is_empty() {
            return Err(usage("cannot log in with an empty password"));
        }
        let request = LoginRequest { registry, user, password: Secret::from(password) };
        let place = login::log_in(&request, &call.open()?).map_err(|error| Failure::of(&error))?;
        let registry = &request.registry;
        match place {
            Place::Nowhere => {
                call.screen.say(format_args!("`{registry}` accepts requests without credentials, so nothing was saved"))
            }
            Place::Helper(program) => {
                call.screen
                    .say(format_args!("logged in to `{registry}`; the program `{program}` keeps the credentials"));
            }
            Place::File(path) => call.screen.say(format_args!(
                "logged in to `{registry}`; the credentials are not encrypted in `{}`",
                path.display()
            )),
        }
        Ok(0)
    }
}

/// Shows a question on the terminal, and returns the answer.
fn asked(question: &str, read: impl FnOnce(&console::Term) -> io::Result<String>) -> Result<String, Failure> {
    let terminal = console::Term::stderr();
    if !io::stdin().is_terminal() || !terminal.is_term() {
        return Err(usage(
            "cannot ask for the name and the password without a terminal: use `-u NAME --password-stdin`",
        ));
    }
    let answer = terminal.write_str(question).and_then(|()| read(&terminal));
    answer.map_err(|error| Failure::outside("cannot read from the terminal", vec![error.to_string()]))
}

/// Reads the password from standard input, without the end of its line.
fn of_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    let read = io::stdin().take(MAX_PASSWORD_BYTES).read_to_string(&mut text);
    read.map_err(|error| Failure::outside("cannot read the password from standard input", vec![error.to_string()]))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
