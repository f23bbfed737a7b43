//! Runs a job in a warden: sets up the sandbox, starts the program in it, and waits until it ends.

use std::ffi::CString;
use std::io::IsTerminal as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use hakoniwa::{Container, ExitStatus, Stdio};
use rustix::fs::{FileType, FlockOperation, Gid, Uid};
use seccompiler::BpfProgram;

use super::confine::Confinement;
use super::container::container;
use super::order::{Ended, Order};
use super::trace::{Listener, Recorded, Watch};
use super::{EMULATOR, Emulation, Job, NOT_STARTED, Refusal, filter, signals};

/// The values that all jobs of a warden share.
pub(super) struct Workshop {
    /// Whether this process is root in a user namespace that contains the program's user.
    is_mapped: bool,
    filters: Arc<Vec<BpfProgram>>,
}

impl Workshop {
    pub(super) fn new(is_mapped: bool) -> Result<Self, String> {
        let filters = filter::filters().map_err(|error| format!("cannot make a filter of system calls: {error}"))?;
        Ok(Self { is_mapped, filters: Arc::new(filters) })
    }

    /// Runs the job with `streams` as its standard input, output and error.
    pub(super) fn run(&self, order: &Order, streams: [OwnedFd; 3]) -> Result<Ended, Refusal> {
        let Order { root, job } = order;
        if self.is_mapped {
            give_away(job, &streams).map_err(|error| Refusal::Run { cause: error.to_string() })?;
        }
        let container = container(root, job, self.is_mapped)?;
        let has_terminal = streams[0].is_terminal();
        let mut command = self.command(&container, job)?;
        let [input, output, errors] = streams;
        let (watch, input) = if job.is_traced {
            let started = Watch::start(&input).map_err(|error| Refusal::Run { cause: error.to_string() })?;
            (Some(started.0), started.1)
        } else {
            (None, input)
        };
        command.stdin(Stdio::from(input)).stdout(Stdio::from(output)).stderr(Stdio::from(errors));
        if job.timeout_secs > 0 {
            command.wait_timeout(alarm_secs(job.timeout_secs));
        }
        let status = if job.is_own_run {
            signals::run_forwarding(&mut command, has_terminal)
        } else {
            Self::run_one(&mut command, root)
        };
        let recorded = watch.map(|watch| watch.end(&job.program())).unwrap_or_default();
        ended(status?, recorded)
    }

    /// Runs a command in the tree at `root`. Other commands may run there at the same time. hakoniwa makes a folder in
    /// the tree and removes it, so the tree is locked until the sandbox is set up. The lock is a lock of the file
    /// system, because the jobs of different users have different wardens, which are separate processes.
    fn run_one(command: &mut hakoniwa::Command, root: &Path) -> Result<ExitStatus, Refusal> {
        let failed = |cause: String| Refusal::Run { cause };
        let tree = fs_err::File::open(root).map_err(|error| failed(error.to_string()))?;
        rustix::io::retry_on_intr(|| rustix::fs::flock(&tree, FlockOperation::LockExclusive))
            .map_err(|error| failed(format!("cannot lock its tree: {error}")))?;
        let spawned = command.spawn();
        // The new process may still have the descriptor of the tree, so closing the descriptor here would not release
        // the lock.
        let unlocked = rustix::fs::flock(&tree, FlockOperation::Unlock);
        let status = spawned.and_then(|mut child| child.wait()).map_err(|error| failed(error.to_string()))?;
        unlocked.map_err(|error| failed(format!("cannot unlock its tree: {error}")))?;
        Ok(status)
    }

    fn command(&self, container: &Container, job: &Job) -> Result<hakoniwa::Command, Refusal> {
        let mut words = job.argv.clone();
        if matches!(job.emulation, Emulation::Program(_)) {
            words.insert(0, EMULATOR.to_owned());
        }
        let without_nul = |text: String| {
            CString::new(text)
                .map_err(|_| Refusal::Run { cause: "an argument or a variable contains a NUL".to_owned() })
        };
        let argv = words.into_iter().map(without_nul).collect::<Result<Vec<CString>, Refusal>>()?;
        let env = job.env.iter().map(|(name, value)| without_nul(format!("{name}={value}")));
        let confinement = Confinement {
            program: argv.first().cloned().unwrap_or_default(),
            argv,
            env: env.collect::<Result<_, Refusal>>()?,
            user: self.is_mapped.then_some(job.uid()),
            has_loopback: job.has_loopback,
            filters: Arc::clone(&self.filters),
            listener: job.is_traced.then(Listener::new),
        };
        let mut command = from_closure(container, move || confinement.enter());
        command.current_dir(if job.cwd.is_empty() { "/" } else { &job.cwd });
        Ok(command)
    }
}

#[expect(unsafe_code, reason = "hakoniwa's only way to do something in the new process before its program starts")]
fn from_closure(container: &Container, enter: impl Fn() -> i32 + Send + Sync + 'static) -> hakoniwa::Command {
    // SAFETY: the closure runs after a fork. If another thread held a lock at that time, the lock would never be
    // released in the new process. So the closure takes no locks. The closure only makes system calls and allocates
    // memory, and the C library's allocator supports forks.
    unsafe { container.command_from_closure(enter) }
}

/// Makes the program's user the owner of the job's writable folders and output pipes. Otherwise the program could not
/// open `/dev/stdout`. Engines do the same.
fn give_away(job: &Job, streams: &[OwnedFd]) -> std::io::Result<()> {
    let id = job.uid();
    for (folder, _) in &job.writable {
        fs_err::os::unix::fs::lchown(folder, Some(id), Some(id))?;
        for entry in fs_err::read_dir(folder)? {
            fs_err::os::unix::fs::lchown(entry?.path(), Some(id), Some(id))?;
        }
    }
    for stream in &streams[1..] {
        if FileType::from_raw_mode(rustix::fs::fstat(stream)?.st_mode) == FileType::Fifo {
            rustix::fs::fchown(stream.as_fd(), Some(Uid::from_raw(id)), Some(Gid::from_raw(id)))?;
        }
    }
    Ok(())
}

/// Returns the time after which a job is stopped. hakoniwa uses only the lower 32 bits of this number, so a longer time
/// is reduced to the longest possible one, which is more than 100 years.
fn alarm_secs(timeout_secs: u64) -> u64 {
    timeout_secs.min(u64::from(u32::MAX))
}

fn ended(status: ExitStatus, recorded: Recorded) -> Result<Ended, Refusal> {
    match (status.code, status.exit_code) {
        (NOT_STARTED, None) => Err(Refusal::Unavailable { reason: status.reason }),
        _ if recorded.is_cut => Err(Refusal::Run { cause: "it uses too many different paths for a record".to_owned() }),
        (exit_code, _) => Ok(Ended { exit_code, touches: recorded.touches.into_iter().collect() }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, RecvTimeoutError};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_time_limit_that_is_too_large_for_an_alarm_does_not_become_a_short_one() {
        let longest = u64::from(u32::MAX);
        for (limit, alarm) in [(1, 1), (longest, longest), (longest + 2, longest), (u64::MAX, longest)] {
            assert_eq!(alarm_secs(limit), alarm);
        }
    }

    #[test]
    fn a_sandbox_is_not_set_up_while_another_process_sets_one_up_in_the_same_tree() {
        let tree = tempfile::tempdir().unwrap();
        let held = fs_err::File::open(tree.path()).unwrap();
        rustix::fs::flock(&held, FlockOperation::LockExclusive).unwrap();
        let root = tree.path().to_owned();
        let (sender, ended) = mpsc::channel();
        std::thread::spawn(move || {
            let mut command = Container::new().rootdir(&root).command("/bin/true");
            sender.send(Workshop::run_one(&mut command, &root)).unwrap();
        });
        assert_eq!(ended.recv_timeout(Duration::from_millis(300)).unwrap_err(), RecvTimeoutError::Timeout);
        rustix::fs::flock(&held, FlockOperation::Unlock).unwrap();
        // The command has ended. It fails because the tree is empty, but this test is only about setting up the
        // sandbox.
        assert!(ended.recv_timeout(Duration::from_secs(60)).is_ok());
        assert!(!tree.path().join(".oldrootfs").exists());
    }
}
