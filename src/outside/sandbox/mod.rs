//! The sandbox runs a program in a tree on disk, in namespaces of the kernel. It needs neither root nor an engine.
//!
//! The root is read-only. `/proc` is new, and nothing on the host can be changed through it. `/dev` contains only a few
//! devices. `/tmp`, `/var/tmp` and the home are in memory. The program has no capabilities and cannot get any. Some
//! system calls are refused. There is no network except loopback. The user's own run (`lath run` or `lath trace`) is
//! an exception and has a network. If lath runs as root, the program is an unprivileged user of the host
//! (docs/security.md).

mod cgroup;
mod confine;
mod container;
mod emulator;
mod filter;
mod identity;
mod loopback;
mod obstacle;
mod order;
mod signals;
mod trace;
mod warden;
mod work;
mod written;

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
pub(crate) use self::order::Ended;
use self::order::Order;
pub(crate) use self::warden::serve as serve_warden;
use self::warden::{Jobs, Warden};
pub(crate) use self::written::open_written;
use crate::model::hint::{Hint, Hints, MachineHint};
use crate::model::platform::Architecture;
use crate::model::request::Volume;
use crate::model::trace::Touch;
use crate::model::world_settings::SandboxSettings;
use crate::outside::unfinished::Foreground;

/// The user of the program if the image's user is root or is not set. Root is not used, because root in a sandbox would
/// keep its capabilities.
const USER: u32 = 65532;

/// The host name in a sandbox.
pub(crate) const HOST_NAME: &str = "lath";

/// The path at which the user's own run gets the host's trusted certificates.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The file with the addresses of name servers, on the host and in the user's own run.
const RESOLVER: &str = "/etc/resolv.conf";

/// The path of the emulator in the sandbox, if the program is for another processor.
const EMULATOR: &str = "/run/lath-emulator";

/// Of each output, only this number of bytes is kept. The rest is read and discarded.
const OUTPUT_BYTES: u64 = 1 << 20;

#[derive(Debug, Default)]
pub(crate) struct Sandbox {
    settings: SandboxSettings,
    /// The wardens. The key is the user who runs the jobs of the warden. A warden is started with its first job,
    /// because a build without changes usually has no jobs.
    wardens: Mutex<BTreeMap<u32, Arc<Warden>>>,
}

#[derive(Debug, Error)]
pub(crate) enum SandboxError {
    #[error("cannot run anything in a sandbox: {reason}")]
    Unavailable { reason: String },
    #[error(
        "cannot run anything in a sandbox: lath runs as root, and this user namespace has no other user that programs in the sandbox could run as"
    )]
    OnlyRoot,
    #[error("cannot run `{program}` in the sandbox: {cause}")]
    Run { program: String, cause: String },
    #[error("cannot run `{program}` in the sandbox")]
    Io { program: String, source: io::Error },
    #[error("cannot run anything in a sandbox of this tree: its `{path}` is a link")]
    Link { path: String },
}

/// The reason why a warden did not run a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Refusal {
    Unavailable { reason: String },
    OnlyRoot,
    Run { cause: String },
    Link { path: String },
}

impl SandboxError {
    fn of(refusal: Refusal, job: &Job) -> Self {
        match refusal {
            Refusal::Unavailable { reason } => Self::Unavailable { reason },
            Refusal::OnlyRoot => Self::OnlyRoot,
            Refusal::Run { cause } => Self::Run { program: job.program(), cause },
            Refusal::Link { path } => Self::Link { path },
        }
    }
}

impl Hints for SandboxError {
    fn own_hints(&self) -> Vec<Hint> {
        let hint = if matches!(self, Self::OnlyRoot) { MachineHint::OrdinaryUser } else { obstacle::hint() };
        vec![Hint::Machine(hint)]
    }
}

/// A program to run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Job {
    /// The program's absolute path, and its arguments.
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    /// The folder in which the program starts.
    pub(crate) cwd: String,
    /// The user of the program. 0 means the default user of lath.
    pub(crate) uid: u32,
    /// Host folders that the program can write to, and their paths in the image.
    pub(crate) writable: Vec<(PathBuf, String)>,
    /// Host folders that are mounted read-only, and their paths in the image.
    pub(crate) readable: Vec<(PathBuf, String)>,
    /// Host files that keep their mode, and their paths in the image.
    pub(crate) files: Vec<(PathBuf, String)>,
    /// Host files that the program only reads, and their paths in the image.
    pub(crate) documents: Vec<(PathBuf, String)>,
    /// The folders that are mounted by the user. Programs in them may be started as well.
    pub(crate) volumes: Vec<Volume>,
    /// Whether the program may use loopback. This matters only if the program does not use the host's network.
    pub(crate) has_loopback: bool,
    /// Whether this is the user's own run, which uses the host's network and has no limits.
    pub(crate) is_own_run: bool,
    /// The time limit in seconds; 0 means no limit.
    pub(crate) timeout_secs: u64,
    pub(crate) emulation: Emulation,
    /// Whether the paths that the program uses are recorded.
    #[serde(default)]
    pub(crate) is_traced: bool,
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
    /// The exit code of the program. It is 127 if the program could not be started. If a signal ended the program, it
    /// is 128 plus the signal's number.
    pub(crate) exit_code: i32,
    /// The beginning of the output, at most one mebibyte.
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) is_timeout: bool,
    /// The paths that the program and its children used, if the job is traced.
    pub(crate) touches: Vec<Touch>,
}

/// The exit code if a sandbox cannot start its program.
const NOT_STARTED: i32 = 125;
/// The prefix of the message about a program that cannot be started.
const COMPLAINT: &[u8] = b"lath-sandbox: ";
/// [`COMPLAINT`], and the prefix of hakoniwa, which reports failures in earlier steps.
const COMPLAINTS: [&[u8]; 2] = [COMPLAINT, b"hakoniwa: "];
const NOT_FOUND: i32 = 127;

impl Sandbox {
    pub(crate) fn new(settings: SandboxSettings) -> Self {
        Self { settings, wardens: Mutex::default() }
    }

    /// Returns how this machine runs programs for that architecture. The error is the reason why it cannot run them.
    pub(crate) fn emulation(&self, architecture: Architecture) -> Result<Emulation, String> {
        emulator::find(architecture, &self.settings.search_path)
    }

    /// Runs `job` in the tree at `root` with empty input, and keeps its output.
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
        // Now only the warden has these descriptors, so the output ends when the job ends.
        drop((other_stdout, other_stderr));
        let (stdout, stderr) = std::thread::scope(|scope| {
            let reader = std::thread::Builder::new().spawn_scoped(scope, move || keep(stderr)).map_err(failed)?;
            Ok((keep(stdout), reader.join().unwrap_or_default()))
        })?;
        let Ended { exit_code, touches } = warden::answer(&answer).map_err(refused)?;
        if exit_code == NOT_STARTED
            && let Some(complaint) = COMPLAINTS.iter().find_map(|start| stderr.strip_prefix(*start))
        {
            return not_started(complaint);
        }
        let limit = Duration::from_secs(job.timeout_secs);
        let is_timeout = job.timeout_secs > 0 && exit_code > 128 && begun.elapsed() >= limit;
        Ok(Outcome { exit_code, stdout, stderr, is_timeout, touches })
    }

    fn warden(&self, user: u32) -> Result<Arc<Warden>, Refusal> {
        let mut wardens = self.wardens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(warden) = wardens.get(&user) {
            return Ok(Arc::clone(warden));
        }
        let group = wardens.values().find_map(|warden| warden.group());
        let warden = Arc::new(Warden::start(user, Jobs::Checks { group })?);
        wardens.insert(user, Arc::clone(&warden));
        Ok(warden)
    }

    /// Runs `job` with the input, output and network of this process, and forwards signals to the program. Returns how
    /// the job ended.
    pub(crate) fn attach(&self, root: &Path, job: &Job) -> Result<Ended, SandboxError> {
        // If the sandbox cannot be set up, this first job fails, so the error is shown before the program's own output
        // begins.
        let probe = Job { argv: vec!["/.lath-probe".to_owned()], ..job.clone() };
        self.run(root, &probe)?;
        let job = self.own_run(job);
        let refused = |refusal| SandboxError::of(refusal, &job);
        let failed = |source| SandboxError::Io { program: job.program(), source };
        let warden = Warden::start(job.uid(), Jobs::OwnRun).map_err(refused)?;
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
        ended.map_err(failed)?.map_err(refused)
    }

    /// Returns the text of the host's `/etc/hosts`, which is empty if there is none.
    pub(crate) fn host_names(&self) -> String {
        fs::read("/etc/hosts").map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Returns the job with the host's network, name servers and certificates. If a volume of the user covers the path
    /// of a document, the document is not mounted.
    fn own_run(&self, job: &Job) -> Job {
        let mut job = Job { is_own_run: true, ..job.clone() };
        // The program uses the same name servers as the host.
        if Path::new(RESOLVER).exists() && !container::is_hidden(&job, RESOLVER) {
            job.documents.push((PathBuf::from(RESOLVER), RESOLVER.to_owned()));
        }
        let certificates = self.settings.certificates.as_deref().filter(|bundle| bundle.is_file());
        if let Some(bundle) = certificates.filter(|_| !container::is_hidden(&job, CERTIFICATES)) {
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

/// Whether a program in a sandbox cannot write to `volume`. If root runs lath, the program runs as a user who is
/// neither root nor the owner of the folder.
pub(crate) fn cannot_write_to(volume: &Volume) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    const OTHERS_WRITE: u32 = 0o002;
    let is_open = |metadata: std::fs::Metadata| metadata.permissions().mode() & OTHERS_WRITE != 0;
    !volume.is_read_only && rustix::process::geteuid().is_root() && !fs::metadata(&volume.source).is_ok_and(is_open)
}

/// Returns the outcome of a program that could not be started, for example because it is missing. If the sandbox could
/// not be set up, returns an error.
fn not_started(complaint: &[u8]) -> Result<Outcome, SandboxError> {
    let reason = String::from_utf8_lossy(complaint).trim().to_owned();
    if !reason.starts_with("execve(") && !reason.starts_with("chdir(") {
        return Err(SandboxError::Unavailable { reason });
    }
    Ok(Outcome {
        exit_code: NOT_FOUND,
        stdout: Vec::new(),
        stderr: reason.into_bytes(),
        is_timeout: false,
        touches: Vec::new(),
    })
}

/// Reads all output, and keeps only the beginning.
fn keep(mut pipe: PipeReader) -> Vec<u8> {
    let mut kept = Vec::new();
    // If reading fails, the output until then and the exit code are used.
    let _ = pipe.by_ref().take(OUTPUT_BYTES).read_to_end(&mut kept);
    let _ = io::copy(&mut pipe, &mut io::sink());
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::image_path::ImagePath;

    #[test]
    fn output_is_kept_to_its_first_part_and_read_to_its_end() {
        use std::io::Write as _;
        let (reader, mut writer) = io::pipe().unwrap();
        let writing = std::thread::spawn(move || writer.write_all(&vec![b'x'; 3 << 20]));
        assert_eq!(keep(reader).len() as u64, OUTPUT_BYTES);
        writing.join().unwrap().unwrap();
    }

    #[test]
    fn no_document_is_mounted_in_a_folder_of_the_user() {
        let certificates = Some(PathBuf::from("/etc/passwd"));
        let sandbox = Sandbox::new(SandboxSettings { certificates, ..SandboxSettings::default() });
        let documents = |targets: &[&str]| {
            let volume = |target: &&str| Volume {
                source: "/srv".into(),
                target: ImagePath::parse(target).unwrap(),
                is_read_only: false,
            };
            let job = Job { volumes: targets.iter().map(volume).collect(), ..Job::default() };
            let job = sandbox.own_run(&job);
            assert_eq!(job.env.contains_key("SSL_CERT_FILE"), job.documents.iter().any(|(_, at)| at == CERTIFICATES));
            job.documents.into_iter().map(|(_, inside)| inside).filter(|inside| inside != RESOLVER).collect::<Vec<_>>()
        };
        assert_eq!(documents(&[]), [CERTIFICATES]);
        assert_eq!(documents(&["/etc/ssl/cert", "/srv"]), [CERTIFICATES]);
        for target in ["/etc", "/etc/ssl", CERTIFICATES] {
            assert_eq!(documents(&[target]), Vec::<String>::new(), "{target}");
        }
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
