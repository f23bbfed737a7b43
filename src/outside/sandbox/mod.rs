//! The sandbox: runs a program in a tree on disk without root and without an engine, by namespaces of the kernel.
//!
//! The root is read-only, `/proc` is fresh and shows nothing of the host that could be changed, `/dev` is small, and
//! `/tmp`, `/var/tmp` and the home are in memory. The program has no capabilities and cannot get any, some system calls
//! are refused, and there is no network but loopback unless it is the user's own run. If lath runs as root, the program
//! is an unprivileged user of the host (docs/security.md).

mod cgroup;
mod confine;
mod container;
mod emulator;
mod filter;
mod identity;
mod loopback;
mod order;
mod signals;
mod warden;
mod work;

use std::collections::BTreeMap;
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fs_err as fs;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub(crate) use self::emulator::Emulation;
use self::order::Order;
use self::warden::Warden;
pub(crate) use self::warden::serve as serve_warden;
use crate::model::platform::Architecture;
use crate::model::request::Volume;
use crate::outside::unfinished::Foreground;

/// The user of the program if the image says root, or nothing: root of a sandbox would keep its capabilities.
const USER: u32 = 65532;

/// Where the user's own run finds the certificates that the host trusts.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The emulator of another processor, as the sandbox sees it.
const EMULATOR: &str = "/run/lath-emulator";

/// How much of each output is kept; the rest is read and forgotten.
const OUTPUT_BYTES: u64 = 1 << 20;

/// What the host has that a sandbox can use.
#[derive(Debug, Clone, Default)]
pub(crate) struct SandboxSettings {
    /// Where programs are looked for, as in `PATH`.
    pub(crate) search_path: Vec<PathBuf>,
    /// The bundle of certificates that the host's programs trust (`SSL_CERT_FILE`), if it is not the usual one.
    pub(crate) certificates: Option<PathBuf>,
    /// Variables that name proxies.
    pub(crate) proxies: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
pub(crate) struct Sandbox {
    settings: SandboxSettings,
    /// By the user of their jobs. Started when the first job needs one, because most builds that change nothing have none.
    wardens: Mutex<BTreeMap<u32, Arc<Warden>>>,
}

#[derive(Debug, Error)]
pub(crate) enum SandboxError {
    #[error("cannot run anything in a sandbox: {reason}")]
    Unavailable { reason: String },
    #[error("cannot run `{program}` in the sandbox: {cause}")]
    Run { program: String, cause: String },
    #[error("cannot run `{program}` in the sandbox")]
    Io { program: String, source: io::Error },
    #[error("cannot run anything in a sandbox of this tree: its `{path}` is a link")]
    Link { path: String },
}

/// Why a warden did not run a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Refusal {
    Unavailable { reason: String },
    Run { cause: String },
    Link { path: String },
}

impl SandboxError {
    /// Ways out, beyond what the error says itself.
    pub(crate) fn hints(&self) -> Vec<String> {
        let without = "build with `--no-verify --bytecode none` and try the image in an engine";
        let hint = match self {
            Self::Unavailable { reason } if reason == identity::ONLY_ROOT => {
                format!("run lath as an ordinary user, or as root of a namespace that has more users; or {without}")
            }
            _ => format!(
                "the sandbox needs user namespaces: switch them on (`sysctl user.max_user_namespaces`), or {without}"
            ),
        };
        vec![hint]
    }

    fn of(refusal: Refusal, job: &Job) -> Self {
        match refusal {
            Refusal::Unavailable { reason } => Self::Unavailable { reason },
            Refusal::Run { cause } => Self::Run { program: job.program(), cause },
            Refusal::Link { path } => Self::Link { path },
        }
    }
}

/// A program to run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Job {
    /// The program's absolute path, and its arguments.
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    /// The folder that it starts in.
    pub(crate) cwd: String,
    /// The user that it runs as; 0 stands for lath's ordinary user.
    pub(crate) uid: u32,
    /// Host folders and the image paths where they can be written to.
    pub(crate) writable: Vec<(PathBuf, String)>,
    /// Host folders and the image paths where they can be read.
    pub(crate) readable: Vec<(PathBuf, String)>,
    /// Host files and the image paths where they belong, with the mode that they have.
    pub(crate) files: Vec<(PathBuf, String)>,
    /// Host files that are only read, and the image paths where they belong.
    pub(crate) documents: Vec<(PathBuf, String)>,
    /// The folders that the user mounts: programs in there may be started, too.
    pub(crate) volumes: Vec<Volume>,
    /// Whether it may talk to itself by the loopback interface, if it is without the host's network.
    pub(crate) has_loopback: bool,
    /// Whether it is the user's own run: with the host's network, and without limits.
    pub(crate) is_own_run: bool,
    /// Seconds; 0 is no limit.
    pub(crate) timeout_secs: u64,
    pub(crate) emulation: Emulation,
}

impl Job {
    fn program(&self) -> String {
        self.argv.first().cloned().unwrap_or_default()
    }

    fn uid(&self) -> u32 {
        if self.uid == 0 { USER } else { self.uid }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// The program's own, 127 if it could not be started, or 128 and the number of the signal that ended it.
    pub(crate) exit_code: i32,
    /// The first part of it, no more than a mebibyte.
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) is_timeout: bool,
}

/// The exit code of a sandbox that could not start its program, and the first words of the reason. hakoniwa has a word of
/// its own for the steps before lath's.
const NOT_STARTED: i32 = 125;
const COMPLAINT: &[u8] = b"lath-sandbox: ";
const COMPLAINTS: [&[u8]; 2] = [COMPLAINT, b"hakoniwa: "];
const NOT_FOUND: i32 = 127;

impl Sandbox {
    pub(crate) fn new(settings: SandboxSettings) -> Self {
        Self { settings, wardens: Mutex::default() }
    }

    /// How this machine runs programs of that architecture; the error is the reason why it does not.
    pub(crate) fn emulation(&self, architecture: Architecture) -> Result<Emulation, String> {
        emulator::find(architecture, &self.settings.search_path)
    }

    /// Runs `job` in the tree at `root`, its input empty and its output kept.
    pub(crate) fn run(&self, root: &Path, job: &Job) -> Result<Outcome, SandboxError> {
        let failed = |source| SandboxError::Io { program: job.program(), source };
        let refused = |refusal| SandboxError::of(refusal, job);
        let null = fs::File::open("/dev/null").map_err(failed)?;
        let (stdout, other_stdout) = io::pipe().map_err(failed)?;
        let (stderr, other_stderr) = io::pipe().map_err(failed)?;
        let warden = self.warden(job.uid()).map_err(refused)?;
        let order = Order { root: root.to_owned(), job: job.clone() };
        let begun = Instant::now();
        let streams = [null.as_fd(), other_stdout.as_fd(), other_stderr.as_fd()];
        let answer = warden.give(&order, streams).map_err(refused)?;
        // The warden's descriptors of these are the last ones now, so that the output ends with the job.
        drop((other_stdout, other_stderr));
        let (stdout, stderr) = std::thread::scope(|scope| {
            let reader = std::thread::Builder::new().spawn_scoped(scope, move || keep(stderr)).map_err(failed)?;
            Ok((keep(stdout), reader.join().unwrap_or_default()))
        })?;
        let exit_code = warden::answer(&answer).map_err(refused)?.exit_code;
        if exit_code == NOT_STARTED
            && let Some(complaint) = COMPLAINTS.iter().find_map(|start| stderr.strip_prefix(*start))
        {
            return not_started(complaint);
        }
        let limit = Duration::from_secs(job.timeout_secs);
        let is_timeout = job.timeout_secs > 0 && exit_code > 128 && begun.elapsed() >= limit;
        Ok(Outcome { exit_code, stdout, stderr, is_timeout })
    }

    /// Whether a program could not write to `volume` although it should: if root runs lath, the program is neither root nor
    /// the owner of the folder.
    pub(crate) fn cannot_write_to(&self, volume: &Volume) -> bool {
        use std::os::unix::fs::PermissionsExt as _;
        const OTHERS_WRITE: u32 = 0o002;
        let is_open = |metadata: std::fs::Metadata| metadata.permissions().mode() & OTHERS_WRITE != 0;
        !volume.is_read_only && rustix::process::geteuid().is_root() && !fs::metadata(&volume.source).is_ok_and(is_open)
    }

    fn warden(&self, user: u32) -> Result<Arc<Warden>, Refusal> {
        let mut wardens = self.wardens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(warden) = wardens.get(&user) {
            return Ok(Arc::clone(warden));
        }
        let warden = Arc::new(Warden::start(user, false)?);
        wardens.insert(user, Arc::clone(&warden));
        Ok(warden)
    }

    /// Runs `job` with this process's own input, output and network, passes signals on, and returns its exit code.
    pub(crate) fn attach(&self, root: &Path, job: &Job) -> Result<i32, SandboxError> {
        // If the kernel or the host refuses something, that is reported before the program's own output begins.
        let probe = Job { argv: vec!["/.lath-probe".to_owned()], ..job.clone() };
        self.run(root, &probe)?;
        let job = self.own_run(job);
        let refused = |refusal| SandboxError::of(refusal, &job);
        let failed = |source| SandboxError::Io { program: job.program(), source };
        let warden = Warden::start(job.uid(), true).map_err(refused)?;
        let order = Order { root: root.to_owned(), job: job.clone() };
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let streams = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
        let _foreground = Foreground::new();
        let ended = signals::relay(
            || warden.give(&order, streams),
            |given| match given {
                Ok(answer) => warden::has_answered(answer).then(|| warden::answer(answer)),
                Err(refusal) => Some(Err(refusal.clone())),
            },
            |number| signals::send(warden.process(), number),
        );
        Ok(ended.map_err(failed)?.map_err(refused)?.exit_code)
    }

    /// The job with the host's network, names and certificates.
    fn own_run(&self, job: &Job) -> Job {
        let mut job = Job { is_own_run: true, ..job.clone() };
        for file in ["/etc/resolv.conf", "/etc/hosts"] {
            // Names are looked up as on the host.
            if Path::new(file).exists() {
                job.documents.push((PathBuf::from(file), file.to_owned()));
            }
        }
        if let Some(bundle) = self.settings.certificates.as_deref().filter(|bundle| bundle.is_file()) {
            job.documents.push((bundle.to_owned(), CERTIFICATES.to_owned()));
            for name in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"] {
                job.env.entry(name.to_owned()).or_insert_with(|| CERTIFICATES.to_owned());
            }
        }
        for (name, value) in &self.settings.proxies {
            job.env.entry(name.clone()).or_insert_with(|| value.clone());
        }
        job
    }
}

/// Says what it means that a sandbox came as far as the program's own process and no further.
fn not_started(complaint: &[u8]) -> Result<Outcome, SandboxError> {
    let reason = String::from_utf8_lossy(complaint).trim().to_owned();
    if !reason.starts_with("execve(") && !reason.starts_with("chdir(") {
        return Err(SandboxError::Unavailable { reason });
    }
    Ok(Outcome { exit_code: NOT_FOUND, stdout: Vec::new(), stderr: reason.into_bytes(), is_timeout: false })
}

/// Reads to the end and keeps the beginning.
fn keep(mut pipe: PipeReader) -> Vec<u8> {
    let mut kept = Vec::new();
    // An output that breaks off is judged by what it gave, and by the exit code.
    let _ = pipe.by_ref().take(OUTPUT_BYTES).read_to_end(&mut kept);
    let _ = io::copy(&mut pipe, &mut io::sink());
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_kept_to_its_first_part_and_read_to_its_end() {
        use std::io::Write as _;
        let (reader, mut writer) = io::pipe().unwrap();
        let writing = std::thread::spawn(move || writer.write_all(&vec![b'x'; 3 << 20]));
        assert_eq!(keep(reader).len() as u64, OUTPUT_BYTES);
        writing.join().unwrap().unwrap();
    }

    #[test]
    fn a_program_that_is_missing_differs_from_a_sandbox_that_is_missing() {
        let complaint = b"execve(\"/x\") => ENOENT: No such file or directory\n";
        let outcome = not_started(complaint).unwrap();
        assert_eq!(outcome.exit_code, NOT_FOUND);
        assert_eq!(outcome.stderr, b"execve(\"/x\") => ENOENT: No such file or directory");
        let error = not_started(b"mount(proc) => EPERM\n").unwrap_err();
        assert_eq!(error.to_string(), "cannot run anything in a sandbox: mount(proc) => EPERM");
    }
}
