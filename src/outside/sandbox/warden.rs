//! The warden is a second, small process of lath. It runs the jobs of a build in sandboxes.
//!
//! There are three reasons for a separate process. First, only a process with one thread may enter a user namespace.
//! Second, a job cannot start a program that another process has open for writing (`ETXTBSY` of execve(2)). lath writes
//! programs. If a job were forked from lath at that moment, it would inherit the open file. The warden never opens a
//! program for writing. Third, a small process forks quickly. The warden ends when lath ends, and its jobs end with it.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use fs_err as fs;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::Mode;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

use super::Refusal;
use super::cgroup::Group;
use super::identity::{self, Maps};
use super::order::{Ended, Order};
use super::work::Workshop;

/// The first argument of a warden process. The second argument is [`MAPPED`] or [`PLAIN`].
const WORD: &str = "--sandbox-warden";
/// This argument means that the warden creates a user namespace, and that lath writes the ID maps of the namespace.
const MAPPED: &str = "mapped";
/// This argument means that the warden creates no user namespace.
const PLAIN: &str = "plain";
/// A warden sends this when it is ready for the next step. Any other text is the reason why it cannot continue.
const READY: &str = "ready";

/// The number of descriptors that lath sends with each job: the socket for the answer, and standard input, output and
/// error.
pub(super) const DESCRIPTORS: usize = 4;

/// The jobs that a warden runs.
pub(super) enum Jobs {
    /// The user's own run, without limits.
    OwnRun,
    /// Jobs of a build. `group` is the group of another warden. `None` means that the warden tries to create a group.
    Checks { group: Option<Arc<Group>> },
}

/// A running warden, from lath's side.
#[derive(Debug)]
pub(super) struct Warden {
    child: Mutex<Child>,
    socket: UnixStream,
    process: u32,
    /// All wardens of a build share one group. The group is removed after their processes have ended.
    group: Option<Arc<Group>>,
}

impl Warden {
    /// Starts a warden for jobs that run as `user` in the sandbox. The warden for the user's own run shares lath's
    /// terminal. All other wardens have their own process group, so that they do not receive the terminal's signals.
    pub(super) fn start(user: u32, kind: Jobs) -> Result<Self, Refusal> {
        let unavailable = |error: io::Error| Refusal::Unavailable { reason: format!("its process: {error}") };
        let maps = identity::maps(user)?;
        let (socket, other_end) = UnixStream::pair().map_err(unavailable)?;
        let mut command = Command::new("/proc/self/exe");
        command.args([WORD, if maps.is_some() { MAPPED } else { PLAIN }]);
        command.stdin(OwnedFd::from(other_end));
        let group = match kind {
            Jobs::OwnRun => None,
            Jobs::Checks { group } => {
                command.stdout(Stdio::null()).process_group(0);
                group.or_else(|| Group::make().map(Arc::new))
            }
        };
        let child = command.spawn().map_err(unavailable)?;
        let process = child.id();
        // From here on, the process ends if this value is dropped.
        let warden = Self { child: Mutex::new(child), socket, process, group };
        if let Some(group) = &warden.group {
            // If the process cannot be added to the group, the group limits nothing, but the other limits still apply.
            let _ = group.add(process);
        }
        if let Some(maps) = maps {
            warden.expect_ready()?;
            write_maps(process, &maps).map_err(|error| Refusal::Unavailable {
                reason: format!("lath runs as root, and cannot give programs another user: {error}"),
            })?;
            (&warden.socket).write_all(b"\n").map_err(unavailable)?;
        }
        warden.expect_ready()?;
        Ok(warden)
    }

    fn expect_ready(&self) -> Result<(), Refusal> {
        let mut line = Vec::new();
        let mut byte = [0];
        // Single bytes are read, so that no byte of the next message is read.
        while (&self.socket).read(&mut byte).is_ok_and(|length| length == 1) && byte != *b"\n" {
            line.extend(byte);
        }
        match String::from_utf8_lossy(&line).as_ref() {
            READY => Ok(()),
            "" => Err(Refusal::Unavailable { reason: "its process ended at once".to_owned() }),
            reason => Err(Refusal::Unavailable { reason: reason.to_owned() }),
        }
    }

    /// Sends a job with its standard streams. Returns the socket on which the answer arrives.
    pub(super) fn give(&self, order: &Order, streams: [BorrowedFd<'_>; 3]) -> Result<UnixStream, Refusal> {
        let failed = |error: io::Error| Refusal::Run { cause: error.to_string() };
        let words = serde_json::to_vec(order).map_err(|error| failed(error.into()))?;
        let (own, other_end) = UnixStream::pair().map_err(failed)?;
        let [input, output, errors] = streams;
        let descriptors = [other_end.as_fd(), input, output, errors];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        let byte = [io::IoSlice::new(b"j")];
        rustix::net::sendmsg(&self.socket, &byte, &mut ancillary, SendFlags::NOSIGNAL)
            .map_err(|error| failed(error.into()))?;
        drop(other_end);
        (&own).write_all(&words).map_err(failed)?;
        own.shutdown(std::net::Shutdown::Write).map_err(failed)?;
        Ok(own)
    }

    /// Returns the group of the warden's process.
    pub(super) fn group(&self) -> Option<Arc<Group>> {
        self.group.clone()
    }

    pub(super) fn process(&self) -> u32 {
        self.process
    }
}

/// Whether the answer to a job has arrived, or the warden has ended.
pub(super) fn has_answered(socket: &UnixStream) -> bool {
    let mut poll = [PollFd::new(socket, PollFlags::IN)];
    rustix::event::poll(&mut poll, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// Reads the answer to a job, which arrives when the job has ended.
pub(super) fn answer(mut socket: &UnixStream) -> Result<Ended, Refusal> {
    let mut bytes = Vec::new();
    let read = socket.read_to_end(&mut bytes);
    read.map_err(|error| Refusal::Run { cause: error.to_string() })?;
    let ended = || Refusal::Unavailable { reason: "its process ended before the program did".to_owned() };
    serde_json::from_slice::<Result<Ended, Refusal>>(&bytes).unwrap_or_else(|_| Err(ended()))
}

impl Drop for Warden {
    fn drop(&mut self) {
        if let Ok(child) = self.child.get_mut() {
            // No answers to jobs are needed any more.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Writes the ID maps of the user namespace. The kernel accepts each map only once, and only from a process that may
/// change its IDs (user_namespaces(7)).
fn write_maps(process: u32, maps: &Maps) -> io::Result<()> {
    fs::write(format!("/proc/{process}/uid_map"), &maps.users)?;
    fs::write(format!("/proc/{process}/gid_map"), &maps.groups)
}

/// If `arguments` are those of a warden, runs as a warden until lath ends. Otherwise returns `false`.
pub(crate) fn serve(arguments: &[OsString]) -> bool {
    let [_, word, kind] = arguments else { return false };
    if word != WORD {
        return false;
    }
    let Ok(socket) = std::io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from) else { return true };
    // This is the usual umask, which engines use too. With the user's umask, the program might have no access to mount
    // points.
    rustix::process::umask(Mode::WGRP | Mode::WOTH);
    let is_mapped = kind == MAPPED;
    let ready = if is_mapped { enter_namespace(&socket) } else { Ok(()) };
    match ready.and_then(|()| Workshop::new(is_mapped)) {
        Ok(workshop) => {
            let _ = writeln!(&socket, "{READY}");
            take_orders(&socket, &workshop);
        }
        Err(reason) => {
            let _ = writeln!(&socket, "{reason}");
        }
    }
    true
}

/// Creates a user namespace, and waits until lath has written its ID maps.
fn enter_namespace(socket: &UnixStream) -> Result<(), String> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER)
        .map_err(|error| format!("unshare(CLONE_NEWUSER) => {error}"))?;
    writeln!(&mut &*socket, "{READY}").map_err(|error| error.to_string())?;
    let mut line = String::new();
    BufReader::with_capacity(1, socket).read_line(&mut line).map_err(|error| error.to_string())?;
    if line.is_empty() { Err("lath ended".to_owned()) } else { Ok(()) }
}

/// Runs each job in its own thread, until lath ends.
fn take_orders(socket: &UnixStream, workshop: &Workshop) {
    std::thread::scope(|scope| {
        while let Some([answer, streams @ ..]) = next(socket) {
            let answer = UnixStream::from(answer);
            let other = answer.try_clone();
            let work = move || reply(&answer, |order| workshop.run(order, streams));
            if let Err(error) = std::thread::Builder::new().spawn_scoped(scope, work)
                && let Ok(other) = other
            {
                let reason = format!("cannot start a thread: {error}");
                reply(&other, |_| Err(Refusal::Unavailable { reason }));
            }
        }
        // No answers to running jobs are needed. These jobs end with this process.
        exit()
    });
}

#[expect(clippy::exit, reason = "the threads that still run have nobody to answer to")]
fn exit() -> ! {
    std::process::exit(0)
}

/// Reads the order from `socket`, runs it, and writes the result to `socket`.
fn reply(mut socket: &UnixStream, run: impl FnOnce(&Order) -> Result<Ended, Refusal>) {
    let mut bytes = Vec::new();
    let read = socket.read_to_end(&mut bytes).map_err(|error| error.to_string());
    let order = read.and_then(|_| serde_json::from_slice::<Order>(&bytes).map_err(|error| error.to_string()));
    let ended = match order {
        Ok(order) => run(&order),
        Err(cause) => Err(Refusal::Run { cause }),
    };
    // If this fails, lath has ended.
    let _ = socket.write_all(&serde_json::to_vec(&ended).unwrap_or_default());
}

/// Returns the descriptors of the next job. Returns `None` if lath has ended.
fn next(socket: &UnixStream) -> Option<[OwnedFd; DESCRIPTORS]> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut buffers = [io::IoSliceMut::new(&mut byte)];
    let received = loop {
        match rustix::net::recvmsg(socket, &mut buffers, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            received => break received.ok()?,
        }
    };
    if received.bytes == 0 {
        return None;
    }
    let descriptors: Vec<OwnedFd> = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    descriptors.try_into().ok()
}
