//! The warden: lath started anew as a small process that runs the jobs of a build in sandboxes.
//!
//! It is a process of its own for three reasons. Only a process with one thread may enter a user namespace. A process
//! that never opens a program for writing cannot hand such a descriptor to a job while another starts that program
//! (`ETXTBSY` of execve(2)). And a small process forks quickly. It ends when lath does, and its jobs end with it.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use fs_err as fs;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

use super::Refusal;
use super::cgroup::Group;
use super::identity::{self, Maps};
use super::order::{Ended, Order};
use super::work::Workshop;

/// The first argument of a warden. The second is [`MAPPED`] or [`PLAIN`].
const WORD: &str = "--sandbox-warden";
/// It makes a user namespace, which lath fills.
const MAPPED: &str = "mapped";
const PLAIN: &str = "plain";
/// A warden says this when it is ready for the next step; anything else is the reason why it is not.
const READY: &str = "ready";

/// What a job gets from lath beside its order: the socket for the answer, standard input, output and error.
pub(super) const DESCRIPTORS: usize = 4;

/// A running warden, as lath sees it.
#[derive(Debug)]
pub(super) struct Warden {
    child: Mutex<Child>,
    socket: UnixStream,
    process: u32,
    /// Removed after the process ended.
    _group: Option<Group>,
}

impl Warden {
    /// Starts one for jobs with the user `user` inside. One for the user's own run shares lath's terminal; all others are
    /// in a process group of their own, out of reach of the terminal's signals.
    pub(super) fn start(user: u32, is_own_run: bool) -> Result<Self, Refusal> {
        let unavailable = |error: io::Error| Refusal::Unavailable { reason: format!("its process: {error}") };
        let maps = identity::maps(user).map_err(|reason| Refusal::Unavailable { reason })?;
        let (socket, other_end) = UnixStream::pair().map_err(unavailable)?;
        let mut command = Command::new("/proc/self/exe");
        command.args([WORD, if maps.is_some() { MAPPED } else { PLAIN }]);
        command.stdin(OwnedFd::from(other_end));
        if !is_own_run {
            command.stdout(Stdio::null()).process_group(0);
        }
        let group = if is_own_run { None } else { Group::make() };
        let child = command.spawn().map_err(unavailable)?;
        let process = child.id();
        // From here on, dropping the warden ends the process.
        let warden = Self { child: Mutex::new(child), socket, process, _group: group };
        if let Some(group) = &warden._group {
            // A group that does not take the process limits nothing, which the other limits make up for.
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
        // Byte by byte: nothing of the next message may be taken.
        while (&self.socket).read(&mut byte).is_ok_and(|length| length == 1) && byte != *b"\n" {
            line.extend(byte);
        }
        match String::from_utf8_lossy(&line).as_ref() {
            READY => Ok(()),
            "" => Err(Refusal::Unavailable { reason: "its process ended at once".to_owned() }),
            reason => Err(Refusal::Unavailable { reason: reason.to_owned() }),
        }
    }

    /// Hands over a job with its standard streams, and returns the socket that the answer comes from.
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

    pub(super) fn process(&self) -> u32 {
        self.process
    }
}

/// Whether the answer to a job has come, or cannot come any more.
pub(super) fn has_answered(socket: &UnixStream) -> bool {
    let mut poll = [PollFd::new(socket, PollFlags::IN)];
    rustix::event::poll(&mut poll, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// Reads the answer to a job, which comes once the job has ended.
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
            // It has no job any more, or none that somebody waits for.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The kernel takes each map once, and only from a process that may change its ids (user_namespaces(7)).
fn write_maps(process: u32, maps: &Maps) -> io::Result<()> {
    fs::write(format!("/proc/{process}/uid_map"), &maps.users)?;
    fs::write(format!("/proc/{process}/gid_map"), &maps.groups)
}

/// Works as a warden if `arguments` say so, until lath ends; `false` if they do not.
pub(crate) fn serve(arguments: &[OsString]) -> bool {
    let [_, word, kind] = arguments else { return false };
    if word != WORD {
        return false;
    }
    let Ok(socket) = std::io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from) else { return true };
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

/// Makes a user namespace and waits until lath has filled its maps.
fn enter_namespace(socket: &UnixStream) -> Result<(), String> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER)
        .map_err(|error| format!("unshare(CLONE_NEWUSER) => {error}"))?;
    writeln!(&mut &*socket, "{READY}").map_err(|error| error.to_string())?;
    let mut line = String::new();
    BufReader::with_capacity(1, socket).read_line(&mut line).map_err(|error| error.to_string())?;
    if line.is_empty() { Err("lath ended".to_owned()) } else { Ok(()) }
}

/// Runs each job in a thread of its own, until no more can come.
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
        // Nobody waits for the jobs that still run. They end with this process.
        exit()
    });
}

#[expect(clippy::exit, reason = "the threads that still run have nobody to answer to")]
fn exit() -> ! {
    std::process::exit(0)
}

/// Reads the order from `socket`, and writes there how it ended.
fn reply(mut socket: &UnixStream, run: impl FnOnce(&Order) -> Result<Ended, Refusal>) {
    let mut bytes = Vec::new();
    let read = socket.read_to_end(&mut bytes).map_err(|error| error.to_string());
    let order = read.and_then(|_| serde_json::from_slice::<Order>(&bytes).map_err(|error| error.to_string()));
    let ended = match order {
        Ok(order) => run(&order),
        Err(cause) => Err(Refusal::Run { cause }),
    };
    // If nobody reads it, lath has ended.
    let _ = socket.write_all(&serde_json::to_vec(&ended).unwrap_or_default());
}

/// The descriptors of the next job; `None` if lath has ended.
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
