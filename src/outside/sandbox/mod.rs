//! The sandbox: runs a program in a tree on disk without root and without an engine, by namespaces of the kernel.
//!
//! Read-only root, a fresh `/proc`, a small `/dev`, memory for `/tmp`, `/var/tmp` and the home; no capabilities, no new
//! privileges, and no network but loopback unless the program is the user's own run.

mod emulator;
mod loopback;
mod signals;

use std::collections::BTreeMap;
use std::io::{PipeReader, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fs_err as fs;
use hakoniwa::{Container, MountOptions, Namespace, Rlimit, Stdio};
use rustix::process::Resource;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub(crate) use self::emulator::Emulation;
pub(crate) use self::loopback::serve as serve_loopback;
use crate::model::platform::Architecture;
use crate::model::request::Volume;

/// Who runs the program where the image says root, or nothing: a root of the sandbox would keep its capabilities.
const USER: u32 = 65532;

/// Where the user's own run finds the certificates that the host trusts.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Where the emulator of another processor lies in there.
const EMULATOR: &str = "/run/lath-emulator";

/// How much of each output is kept; the rest is read and forgotten.
const OUTPUT_BYTES: u64 = 1 << 20;

/// Of every mount. The kernel lets a user namespace add these and never take them away: a mount without them could not
/// be made where the host's file system has them.
const NO_PRIVILEGES: MountOptions = MountOptions::NOSUID.union(MountOptions::NODEV);

const GIB: u64 = 1 << 30;

/// What a check may take: far more than a healthy program, and less than what takes a machine down. A limit of
/// addresses is not among them, since allocators and virtual machines reserve what they never touch; nor of processor
/// time, since the end of the time allowed ends every process.
const LIMITS: [(Rlimit, Resource, u64); 4] = [
    // Memory that it really writes to: two of the largest models that a test would load.
    (Rlimit::Data, Resource::Data, 16 * GIB),
    // A file, which lies in memory here.
    (Rlimit::Fsize, Resource::Fsize, GIB),
    // Kernels before 5.14 count the user's processes outside, too.
    (Rlimit::Nproc, Resource::Nproc, 4096),
    (Rlimit::Core, Resource::Core, 0),
];

/// What the host has that a sandbox can use.
#[derive(Debug, Clone, Default)]
pub(crate) struct SandboxSettings {
    /// Where programs are looked for, as in `PATH`.
    pub(crate) search_path: Vec<PathBuf>,
    /// The bundle of certificates that the host's programs trust (`SSL_CERT_FILE`), where it is not the usual one.
    pub(crate) certificates: Option<PathBuf>,
    /// Variables that name proxies.
    pub(crate) proxies: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
pub(crate) struct Sandbox {
    settings: SandboxSettings,
    /// Held while a sandbox is set up: hakoniwa makes and removes a folder in the root, which several may share.
    setup: Mutex<()>,
}

#[derive(Debug, Error)]
pub(crate) enum SandboxError {
    #[error("cannot run anything in a sandbox: {reason}")]
    Unavailable { reason: String },
    #[error("cannot run `{program}` in the sandbox")]
    Run { program: String, source: hakoniwa::Error },
    #[error("cannot run `{program}` in the sandbox")]
    Io { program: String, source: std::io::Error },
    #[error("cannot run anything in a sandbox of this tree: its `{path}` is a link")]
    Link { path: String },
}

/// A program to run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Job {
    /// The program's absolute path, and its arguments.
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    /// Where it starts.
    pub(crate) cwd: String,
    /// Who runs it; 0 stands for lath's ordinary user.
    pub(crate) uid: u32,
    /// Host folders and the image paths where they can be written to.
    pub(crate) writable: Vec<(PathBuf, String)>,
    /// Host folders and the image paths where they can be read.
    pub(crate) readable: Vec<(PathBuf, String)>,
    /// Host files and the image paths where they belong, with the mode that they have.
    pub(crate) files: Vec<(PathBuf, String)>,
    /// What the user mounts: programs in there may be started, too.
    pub(crate) volumes: Vec<Volume>,
    /// Whether it may talk to itself by the loopback interface, where it is without the host's network.
    pub(crate) has_loopback: bool,
    /// Seconds; 0 is no limit.
    pub(crate) timeout_secs: u64,
    pub(crate) emulation: Emulation,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// The program's own, 127 where it could not be started, or 128 and the number of the signal that ended it.
    pub(crate) exit_code: i32,
    /// The first part of it, no more than a mebibyte.
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) is_timeout: bool,
}

/// What hakoniwa answers when it could not start the program, and how it begins what it says of it.
const NOT_STARTED: i32 = 125;
const COMPLAINT: &[u8] = b"hakoniwa: ";
const NOT_FOUND: i32 = 127;

impl Sandbox {
    pub(crate) fn new(settings: SandboxSettings) -> Self {
        Self { settings, setup: Mutex::default() }
    }

    /// How this machine runs programs of that architecture; the error is the reason why it does not.
    pub(crate) fn emulation(&self, architecture: Architecture) -> Result<Emulation, String> {
        emulator::find(architecture, &self.settings.search_path)
    }

    /// Runs `job` in the tree at `root`, its input empty and its output kept.
    pub(crate) fn run(&self, root: &Path, job: &Job) -> Result<Outcome, SandboxError> {
        let mut container = container(root, job)?;
        container.unshare(Namespace::Network);
        if job.has_loopback {
            container.network(loopback::helper());
        }
        for (limit, resource, wanted) in LIMITS {
            // A limit that the host has set already cannot be raised.
            let most = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
            let value = wanted.min(most);
            container.setrlimit(limit, value, value);
        }
        let program = || job.argv.first().cloned().unwrap_or_default();
        let failed = |source| SandboxError::Io { program: program(), source };
        let null = fs::File::open("/dev/null").map_err(failed)?;
        let mut command = command(&container, job, &job.env);
        command.stdin(Stdio::from(OwnedFd::from(null.into_parts().0)));
        command.stdout(Stdio::MakePipe).stderr(Stdio::MakePipe);
        if job.timeout_secs > 0 {
            command.wait_timeout(job.timeout_secs);
        }
        let begun = Instant::now();
        let run = |source| SandboxError::Run { program: program(), source };
        let setup = self.setup.lock().unwrap_or_else(PoisonError::into_inner);
        let spawned = command.spawn();
        drop(setup);
        let mut child = spawned.map_err(run)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = std::thread::scope(|scope| {
            let stderr = scope.spawn(move || keep(stderr));
            (keep(stdout), stderr.join().unwrap_or_default())
        });
        let status = child.wait().map_err(run)?;
        if status.code == NOT_STARTED {
            if status.exit_code.is_none() {
                return Err(SandboxError::Unavailable { reason: status.reason });
            }
            if let Some(complaint) = stderr.strip_prefix(COMPLAINT) {
                return not_started(complaint);
            }
        }
        let limit = Duration::from_secs(job.timeout_secs);
        let is_timeout = job.timeout_secs > 0 && status.code > 128 && begun.elapsed() >= limit;
        Ok(Outcome { exit_code: status.code, stdout, stderr, is_timeout })
    }

    /// Runs `job` with this process's own input, output and network, passes signals on, and returns its exit code.
    pub(crate) fn attach(&self, root: &Path, job: &Job) -> Result<i32, SandboxError> {
        // What the kernel or the host refuses is told before the program's own output begins.
        let probe = Job { argv: vec!["/.lath-probe".to_owned()], ..job.clone() };
        self.run(root, &probe)?;
        let mut container = container(root, job)?;
        let mut env = job.env.clone();
        for file in ["/etc/resolv.conf", "/etc/hosts"] {
            // Names are looked up as on the host.
            if Path::new(file).exists() {
                mount_file(&mut container, root, (Path::new(file), file), MountOptions::NOEXEC)?;
            }
        }
        if let Some(bundle) = self.settings.certificates.as_deref().filter(|bundle| bundle.is_file()) {
            mount_file(&mut container, root, (bundle, CERTIFICATES), MountOptions::NOEXEC)?;
            for name in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"] {
                env.entry(name.to_owned()).or_insert_with(|| CERTIFICATES.to_owned());
            }
        }
        for (name, value) in &self.settings.proxies {
            env.entry(name.clone()).or_insert_with(|| value.clone());
        }
        let program = job.argv.first().cloned().unwrap_or_default();
        let mut command = command(&container, job, &env);
        command.stdin(Stdio::Inherit).stdout(Stdio::Inherit).stderr(Stdio::Inherit);
        let status = signals::run_forwarding(&mut command, &program)?;
        if status.exit_code.is_none() && status.code == NOT_STARTED {
            return Err(SandboxError::Unavailable { reason: status.reason });
        }
        Ok(status.code)
    }
}

/// What it means when hakoniwa came as far as the program's own process and no further.
fn not_started(complaint: &[u8]) -> Result<Outcome, SandboxError> {
    let reason = String::from_utf8_lossy(complaint).trim().to_owned();
    if !reason.starts_with("execve(") && !reason.starts_with("chdir(") {
        return Err(SandboxError::Unavailable { reason });
    }
    // Arguments and variables are told too, and are nobody's business: `execve("/x", ["/x"], ["TOKEN=..."]) => ENOENT`.
    let told = match (reason.split_once(", ["), reason.rsplit_once(" => ")) {
        (Some((call, _)), Some((_, why))) => format!("{call}) => {why}"),
        _ => reason,
    };
    Ok(Outcome { exit_code: NOT_FOUND, stdout: Vec::new(), stderr: told.into_bytes(), is_timeout: false })
}

/// Reads to the end and keeps the beginning.
fn keep(pipe: Option<PipeReader>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut pipe) = pipe else { return kept };
    // An output that breaks off is judged by what it gave, and by the exit code.
    let _ = pipe.by_ref().take(OUTPUT_BYTES).read_to_end(&mut kept);
    let _ = std::io::copy(&mut pipe, &mut std::io::sink());
    kept
}

fn container(root: &Path, job: &Job) -> Result<Container, SandboxError> {
    let mut container = Container::new();
    container.rootdir(root);
    container.unshare(Namespace::Ipc).unshare(Namespace::Uts);
    container.devfsmount("/dev");
    mount_memory(&mut container, "/dev/shm");
    for place in ["/tmp", "/var/tmp", "/home/app"].into_iter().filter(|place| !is_hidden(job, place)) {
        refuse_links(root, place)?;
        cover(&mut container, root, place);
    }
    for (host, inside) in &job.writable {
        refuse_links(root, inside)?;
        let flags = MountOptions::BIND | MountOptions::NOEXEC | NO_PRIVILEGES;
        container.mount(&host.to_string_lossy(), inside, "", flags, None);
    }
    for (host, inside) in &job.readable {
        refuse_links(root, inside)?;
        let flags = MountOptions::BIND | MountOptions::RDONLY | MountOptions::NOEXEC | NO_PRIVILEGES;
        container.mount(&host.to_string_lossy(), inside, "", flags, None);
    }
    for (host, inside) in job.files.iter().filter(|(_, inside)| !is_hidden(job, inside)) {
        mount_file(&mut container, root, (host, inside), MountOptions::empty())?;
    }
    for Volume { source, target, is_read_only } in &job.volumes {
        refuse_links(root, target.as_str())?;
        let read_only = if *is_read_only { MountOptions::RDONLY } else { MountOptions::empty() };
        let flags = MountOptions::BIND | MountOptions::REC | NO_PRIVILEGES | read_only;
        container.mount(&source.to_string_lossy(), target.as_str(), "", flags, None);
    }
    if let Emulation::Program(emulator) = &job.emulation {
        mount_file(&mut container, root, (emulator, EMULATOR), MountOptions::empty())?;
    }
    let uid = if job.uid == 0 { USER } else { job.uid };
    container.uidmap(uid);
    container.gidmap(uid);
    container.hostname("lath");
    Ok(container)
}

/// Whether what the image has at `path` is out of sight behind a folder of the user's, where mount points would be made.
fn is_hidden(job: &Job, path: &str) -> bool {
    let folders = job.writable.iter().map(|(_, inside)| inside.as_str());
    let volumes = job.volumes.iter().map(|volume| volume.target.as_str());
    folders.chain(volumes).any(|place| Path::new(path).starts_with(place))
}

fn mount_memory(container: &mut Container, place: &str) {
    container.mount("tmpfs", place, "tmpfs", NO_PRIVILEGES, Some("size=2g,mode=1777".to_owned()));
}

/// Puts memory over `place`, and over that again what the tree has there, such as a user base. Mounts are made in
/// the order of their targets, and the covered files are reached by the way of `/dev`, which is memory too.
fn cover(container: &mut Container, root: &Path, place: &str) {
    let flags = MountOptions::BIND | MountOptions::RDONLY | NO_PRIVILEGES;
    let (own, aside) = (root.join(&place[1..]), format!("/dev/covered{place}"));
    mount_memory(container, place);
    for entry in own.read_dir().into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
            let name = entry.file_name();
            container.mount(&own.to_string_lossy(), &aside, "", flags, None);
            let source = root.join(&aside[1..]).join(&name);
            container.mount(&source.to_string_lossy(), &format!("{place}/{}", name.to_string_lossy()), "", flags, None);
        }
    }
}

/// Brings a file of the host's in, read-only, over what the tree has there.
fn mount_file(
    container: &mut Container,
    root: &Path,
    (host, inside): (&Path, &str),
    options: MountOptions,
) -> Result<(), SandboxError> {
    let here = root.join(inside.trim_start_matches('/'));
    if fs::symlink_metadata(&here).is_ok_and(|metadata| metadata.is_symlink()) {
        let failed = |source| SandboxError::Io { program: inside.to_owned(), source };
        fs::remove_file(&here).map_err(failed)?;
    }
    refuse_links(root, inside)?;
    let flags = MountOptions::BIND | MountOptions::RDONLY | NO_PRIVILEGES | options;
    container.mount(&host.to_string_lossy(), inside, "", flags, None);
    Ok(())
}

/// Mount points are made before the root is changed: a link in their paths would lead into the host.
fn refuse_links(root: &Path, inside: &str) -> Result<(), SandboxError> {
    let mut here = root.to_owned();
    for component in inside.split('/').filter(|component| !component.is_empty()) {
        here.push(component);
        let is_link = fs::symlink_metadata(&here).is_ok_and(|metadata| metadata.is_symlink());
        if is_link || component == ".." {
            return Err(SandboxError::Link { path: inside.to_owned() });
        }
    }
    Ok(())
}

fn command(container: &Container, job: &Job, env: &BTreeMap<String, String>) -> hakoniwa::Command {
    let mut argv: Vec<&str> = job.argv.iter().map(String::as_str).collect();
    if matches!(job.emulation, Emulation::Program(_)) {
        argv.insert(0, EMULATOR);
    }
    let mut command = container.command(argv.first().copied().unwrap_or_default());
    command.args(argv.iter().skip(1));
    command.envs(env);
    command.current_dir(if job.cwd.is_empty() { "/" } else { &job.cwd });
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_behind_a_link_is_refused() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("var/tmp")).unwrap();
        fs_err::os::unix::fs::symlink("/var", root.path().join("run")).unwrap();
        refuse_links(root.path(), "/var/tmp").unwrap();
        refuse_links(root.path(), "/not/there").unwrap();
        for path in ["/run", "/run/x", "/var/../x"] {
            assert!(matches!(refuse_links(root.path(), path), Err(SandboxError::Link { .. })), "{path}");
        }
    }

    #[test]
    fn output_is_kept_to_its_first_part_and_read_to_its_end() {
        use std::io::Write as _;
        let (reader, mut writer) = std::io::pipe().unwrap();
        let writing = std::thread::spawn(move || writer.write_all(&vec![b'x'; 3 << 20]));
        assert_eq!(keep(Some(reader)).len() as u64, OUTPUT_BYTES);
        writing.join().unwrap().unwrap();
    }

    #[test]
    fn a_program_that_is_not_there_is_told_from_a_sandbox_that_is_not() {
        let complaint =
            b"execve(\"/x\", [\"/x\", \"-v\"], [\"TOKEN=secret => x\"]) => ENOENT: No such file or directory\n";
        let outcome = not_started(complaint).unwrap();
        assert_eq!(outcome.exit_code, NOT_FOUND);
        assert_eq!(outcome.stderr, b"execve(\"/x\") => ENOENT: No such file or directory");
        let error = not_started(b"mount(proc) => EPERM\n").unwrap_err();
        assert_eq!(error.to_string(), "cannot run anything in a sandbox: mount(proc) => EPERM");
    }
}
