//! The sandbox: runs a program in a tree on disk without root and without an engine, by namespaces of the kernel.
//!
//! Read-only root, a fresh `/proc`, a small `/dev`, memory for `/tmp` and the home, no network unless asked for.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs_err as fs;
use hakoniwa::{Container, Namespace, Stdio};
use thiserror::Error;

use crate::outside::unfinished::Foreground;

/// Who runs the program in there, as in the image.
const USER: u32 = 65532;

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sandbox;

#[derive(Debug, Error)]
pub(crate) enum SandboxError {
    #[error("cannot run anything in a sandbox: {reason}")]
    Unavailable { reason: String },
    #[error("cannot run `{program}` in the sandbox")]
    Run { program: String, source: hakoniwa::Error },
    #[error("cannot run `{program}` in the sandbox")]
    Input { program: String, source: std::io::Error },
}

/// A program to run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Job {
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    /// Where it starts.
    pub(crate) cwd: String,
    /// Host folders and the image paths where they can be written to.
    pub(crate) writable: Vec<(PathBuf, String)>,
    pub(crate) timeout_secs: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The program's own, or 128 and the number of the signal that ended it.
    pub(crate) exit_code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) is_timeout: bool,
}

/// What hakoniwa answers when it could not start the program.
const NOT_STARTED: i32 = 125;

impl Sandbox {
    /// Runs `job` in the tree at `root`, its input empty and its output kept.
    pub(crate) fn run(self, root: &Path, job: &Job) -> Result<Outcome, SandboxError> {
        let container = container(root, job, false);
        let program = job.argv.first().cloned().unwrap_or_default();
        let null =
            fs::File::open("/dev/null").map_err(|source| SandboxError::Input { program: program.clone(), source })?;
        let mut command = command(&container, job);
        command.stdin(Stdio::from(OwnedFd::from(null.into_parts().0)));
        command.stdout(Stdio::MakePipe).stderr(Stdio::MakePipe);
        if job.timeout_secs > 0 {
            command.wait_timeout(job.timeout_secs);
        }
        let begun = Instant::now();
        let output = command.output().map_err(|source| SandboxError::Run { program, source })?;
        let is_own = output.status.exit_code.is_some() || output.status.code > 128;
        if !is_own && output.status.code == NOT_STARTED {
            return Err(SandboxError::Unavailable { reason: output.status.reason });
        }
        let limit = Duration::from_secs(job.timeout_secs);
        Ok(Outcome {
            exit_code: output.status.code,
            stdout: output.stdout,
            stderr: output.stderr,
            is_timeout: job.timeout_secs > 0 && output.status.code > 128 && begun.elapsed() >= limit,
        })
    }

    /// Runs `job` with this process's own input and output, and returns its exit code.
    pub(crate) fn attach(self, root: &Path, job: &Job) -> Result<i32, SandboxError> {
        // Ctrl-C is for the program: it gets the signal from the terminal itself.
        let _foreground = Foreground::new();
        let container = container(root, job, true);
        let program = job.argv.first().cloned().unwrap_or_default();
        let status = command(&container, job).status().map_err(|source| SandboxError::Run { program, source })?;
        if status.exit_code.is_none() && status.code == NOT_STARTED {
            return Err(SandboxError::Unavailable { reason: status.reason });
        }
        Ok(status.code)
    }
}

fn container(root: &Path, job: &Job, has_network: bool) -> Container {
    let mut container = Container::new();
    container.rootdir(root);
    container.unshare(Namespace::Ipc).unshare(Namespace::Uts);
    if has_network {
        // Names are looked up as on the host.
        for file in ["/etc/resolv.conf", "/etc/hosts"] {
            if Path::new(file).exists() {
                container.bindmount_ro(file, file);
            }
        }
    } else {
        container.unshare(Namespace::Network);
    }
    container.devfsmount("/dev");
    container.tmpfsmount("/dev/shm");
    for directory in ["/tmp", "/home/app"] {
        cover(&mut container, root, directory);
    }
    for (host, inside) in &job.writable {
        container.bindmount_rw(&host.to_string_lossy(), inside);
    }
    container.uidmap(USER);
    container.gidmap(USER);
    container.hostname("lath");
    container
}

/// Puts memory over `directory`, and over that again what the tree has there, such as a user base. Mounts are made in
/// the order of their targets, and the covered files are reached by the way of `/dev`, which is memory too.
fn cover(container: &mut Container, root: &Path, directory: &str) {
    let (own, aside) = (root.join(&directory[1..]), format!("/dev/covered{directory}"));
    container.tmpfsmount(directory);
    for entry in own.read_dir().into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
            let name = entry.file_name();
            container.bindmount_ro(&own.to_string_lossy(), &aside);
            let source = root.join(&aside[1..]).join(&name);
            container.bindmount_ro(&source.to_string_lossy(), &format!("{directory}/{}", name.to_string_lossy()));
        }
    }
}

fn command(container: &Container, job: &Job) -> hakoniwa::Command {
    let mut command = container.command(job.argv.first().map_or("", String::as_str));
    command.args(job.argv.iter().skip(1));
    command.envs(&job.env);
    command.current_dir(&job.cwd);
    command
}
