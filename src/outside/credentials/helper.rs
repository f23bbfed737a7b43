//! Programs that keep credentials for Docker and Podman: `docker-credential-NAME`
//! (github.com/docker/docker-credential-helpers, "Development").

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;
use thiserror::Error;

use crate::catalog::registries;
use crate::model::hint::Hints;
use crate::outside::credentials::{Login, RegistryLogin};

/// The time limit. A program may have to wait until the user has unlocked a key.
const LIMIT: Duration = Duration::from_secs(60);
const MAX_BYTES: u64 = 1 << 20;
/// A program answers with this user name if the secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// A program that keeps credentials.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Helper {
    program: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// A failure of a program. Its output is shown only if it is the program's error message, because other output may be a
/// secret.
#[derive(Debug, Error)]
pub(crate) enum HelperError {
    #[error("cannot find the program `{program}` in `PATH`")]
    Missing { program: String },
    #[error("cannot run the program `{program}`")]
    Run { program: String, source: io::Error },
    #[error("the program `{program}` did not end within {limit_secs} seconds")]
    Late { program: String, limit_secs: u64 },
    #[error("the program `{program}` failed: {message}")]
    Failed { program: String, message: String },
    #[error("the answer of the program `{program}` is not what Docker's programs answer")]
    Form { program: String },
}

impl Hints for HelperError {}

impl Helper {
    pub(super) fn new(name: &str) -> Self {
        Self { program: format!("docker-credential-{name}") }
    }

    pub(crate) fn program(&self) -> &str {
        &self.program
    }

    /// Returns the credentials of a registry, or `None` if the program has none.
    pub(super) fn get(&self, search_path: &[PathBuf], registry: &str) -> Result<Option<RegistryLogin>, HelperError> {
        let answer = match self.run(search_path, "get", registries::docker_key(registry)) {
            Err(HelperError::Failed { message, .. }) if is_absence(&message) => return Ok(None),
            answer => answer?,
        };
        let answer: Answer = serde_json::from_slice(&answer).map_err(|_| self.form())?;
        Ok(match answer {
            Answer { username, secret } if username == TOKEN_USER => Some(RegistryLogin::Identity(secret.into())),
            Answer { secret, .. } if secret.is_empty() => None,
            Answer { username, secret } => Some(RegistryLogin::Password(Login { user: username, password: secret })),
        })
    }

    /// Saves the credentials of a registry.
    pub(super) fn store(&self, search_path: &[PathBuf], registry: &str, login: &Login) -> Result<(), HelperError> {
        let key = registries::docker_key(registry);
        let input = json!({ "ServerURL": key, "Username": login.user, "Secret": login.password });
        self.run(search_path, "store", &input.to_string()).map(drop)
    }

    /// Removes the credentials of a registry.
    pub(super) fn erase(&self, search_path: &[PathBuf], registry: &str) -> Result<(), HelperError> {
        match self.run(search_path, "erase", registries::docker_key(registry)) {
            Err(HelperError::Failed { message, .. }) if is_absence(&message) => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    fn run(&self, search_path: &[PathBuf], verb: &str, input: &str) -> Result<Vec<u8>, HelperError> {
        let is_there = |path: &PathBuf| path.is_file();
        let path = search_path.iter().map(|folder| folder.join(&self.program)).find(is_there);
        let path = path.ok_or_else(|| HelperError::Missing { program: self.program.clone() })?;
        self.run_within(&path, verb, input, LIMIT)
    }

    fn run_within(&self, path: &Path, verb: &str, input: &str, limit: Duration) -> Result<Vec<u8>, HelperError> {
        let fail = |source| HelperError::Run { program: self.program.clone(), source };
        let begun = Instant::now();
        let mut command = Command::new(path);
        command.arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(fail)?;
        if let Some(mut stdin) = child.stdin.take() {
            // This error is ignored. A program that does not read its input either fails, or answers without the input.
            let _ = stdin.write_all(input.as_bytes());
        }
        let (sender, receiver) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                let mut output = Vec::new();
                let outcome = stdout.take(MAX_BYTES).read_to_end(&mut output);
                // Sending fails after the time limit, because no thread receives the output then.
                let _ = sender.send(outcome.map(|_| output));
            });
        }
        let output = receiver.recv_timeout(limit);
        let ended = ended_within(&mut child, limit.saturating_sub(begun.elapsed()));
        let (Ok(output), Some(is_success)) = (output, ended.map_err(fail)?) else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(HelperError::Late { program: self.program.clone(), limit_secs: limit.as_secs() });
        };
        let output = output.map_err(fail)?;
        if is_success {
            return Ok(output);
        }
        let message = String::from_utf8_lossy(&output).trim().chars().take(300).collect();
        Err(HelperError::Failed { program: self.program.clone(), message })
    }

    fn form(&self) -> HelperError {
        HelperError::Form { program: self.program.clone() }
    }
}

/// Returns whether a child process succeeds, or `None` if it does not end in time.
fn ended_within(child: &mut Child, limit: Duration) -> io::Result<Option<bool>> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        if begun.elapsed() >= limit {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns whether the message means that the program has no credentials (docker-credential-helpers,
/// `credentials/error.go`).
fn is_absence(message: &str) -> bool {
    message.contains("credentials not found") || message.contains("no credentials server URL")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_program_that_does_not_end_is_stopped() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("docker-credential-slow");
        std::fs::write(&path, "#!/bin/sh\nexec sleep 30\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let begun = Instant::now();
        let error = Helper::new("slow").run_within(&path, "get", "x", Duration::from_secs(1)).unwrap_err();
        assert_eq!(error.to_string(), "the program `docker-credential-slow` did not end within 1 seconds");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}
