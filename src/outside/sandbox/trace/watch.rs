//! The warden's side of a trace: it receives the notifications of one job, reads the paths, and lets the calls
//! continue.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::JoinHandle;

use fs_err as fs;
use rustix::event::{PollFd, PollFlags};

use super::calls::{Call, OPENAT2, calls};
use super::listener::{receive, send};
use crate::model::trace::{Touch, Use};

/// The maximum number of different paths of a job. If a program uses more, the rest is not recorded.
const MAX_PATHS: usize = 500_000;
/// The maximum number of bytes of all recorded paths of a job. If they have more, the rest is not recorded.
const MAX_BYTES: usize = 64 << 20;

/// The oldest supported version of Linux. Older versions cannot let a call continue (before 5.5), or do not report that
/// all processes with the filter have ended (before 5.9). On such a version, the program or lath would wait forever.
const OLDEST_LINUX: (u32, u32) = (5, 9);

/// The maximum size of a path, including the NUL at its end (`PATH_MAX` of Linux).
const MAX_PATH_BYTES: usize = 4096;

/// The paths that a job used.
#[derive(Debug, Default)]
pub(in crate::outside::sandbox) struct Recorded {
    pub(in crate::outside::sandbox) touches: BTreeSet<Touch>,
    bytes: usize,
    /// Whether paths are missing, because there were too many.
    pub(in crate::outside::sandbox) is_cut: bool,
}

impl Recorded {
    fn add(&mut self, touch: Touch) {
        if self.touches.contains(&touch) {
            return;
        }
        self.bytes += touch.path.len();
        if self.touches.len() == MAX_PATHS || self.bytes > MAX_BYTES {
            self.is_cut = true;
        } else {
            self.touches.insert(touch);
        }
    }
}

/// A thread that watches one job.
pub(in crate::outside::sandbox) struct Watch {
    socket: UnixStream,
    thread: JoinHandle<Recorded>,
}

impl Watch {
    /// Starts the thread before the job begins. Returns a socket, which becomes the standard input of the job's
    /// process. Through this socket, the process receives `input`, its real standard input.
    pub(in crate::outside::sandbox) fn start(input: &OwnedFd) -> io::Result<(Self, OwnedFd)> {
        refuse_old(&fs::read_to_string("/proc/sys/kernel/osrelease")?)?;
        let (socket, other) = UnixStream::pair()?;
        send(&socket, input)?;
        let own = socket.try_clone()?;
        let thread = std::thread::Builder::new().spawn(move || match receive(&own) {
            Ok(listener) => record(&listener),
            // The socket was closed because the program was not started.
            Err(_) => Recorded::default(),
        })?;
        Ok((Self { socket, thread }, other.into()))
    }

    /// Returns the paths after all processes of the job have ended. The path of the first program is added here. The
    /// warden cannot read this path from the call that starts the program, because the calling process has just
    /// changed its user. The kernel does not allow access to the memory of such a process.
    pub(in crate::outside::sandbox) fn end(self, program: &str) -> Recorded {
        // If the job has ended before it sent its descriptor, the thread is still waiting. Closing the socket ends the
        // thread.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        let mut recorded = self.thread.join().unwrap_or_default();
        recorded.add(Touch { path: program.to_owned(), by: Use::Exec });
        recorded
    }
}

/// Refuses a kernel that is too old. `release` is a text such as `6.1.0-18-amd64`. A text in another form is accepted.
fn refuse_old(release: &str) -> io::Result<()> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    let version = (numbers.next().and_then(Result::ok), numbers.next().and_then(Result::ok));
    let (Some(major), Some(minor)) = version else { return Ok(()) };
    if (major, minor) >= OLDEST_LINUX {
        return Ok(());
    }
    let (major, minor) = OLDEST_LINUX;
    let message =
        format!("recording its paths needs Linux {major}.{minor} or later, and this is Linux {}", release.trim());
    Err(io::Error::new(io::ErrorKind::Unsupported, message))
}

/// Handles all notifications, until every process with the filter has ended.
fn record(listener: &OwnedFd) -> Recorded {
    let mut recorded = Recorded::default();
    loop {
        let mut poll = [PollFd::new(listener, PollFlags::IN)];
        if !matches!(rustix::event::poll(&mut poll, None), Ok(_) | Err(rustix::io::Errno::INTR)) {
            return recorded;
        }
        let ready = poll[0].revents();
        if ready.contains(PollFlags::IN) {
            let Ok(notification) = next(listener) else { continue };
            let touch = read(&notification);
            // If the caller has ended, its process ID may be reused, so the memory may be that of another process.
            if let Some(touch) = touch.filter(|_| is_waiting(listener, notification.id)) {
                recorded.add(touch);
            }
            go_on(listener, notification.id);
        } else if ready.intersects(PollFlags::HUP | PollFlags::ERR) {
            return recorded;
        }
    }
}

#[expect(unsafe_code, reason = "no crate that lath has wraps seccomp_unotify(2)")]
fn next(listener: &OwnedFd) -> io::Result<libc::seccomp_notif> {
    // SAFETY: the struct contains only numbers, and the kernel requires that all of them are 0.
    let mut notification: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the request writes a struct of exactly this type.
    let result = unsafe {
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, std::ptr::from_mut(&mut notification))
    };
    if result == 0 { Ok(notification) } else { Err(io::Error::last_os_error()) }
}

#[expect(unsafe_code, reason = "no crate that lath has wraps seccomp_unotify(2)")]
fn is_waiting(listener: &OwnedFd, id: u64) -> bool {
    // SAFETY: the request reads a number of exactly this type.
    unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, std::ptr::from_ref(&id)) == 0 }
}

/// Lets the call continue. If the caller has ended, this does nothing.
#[expect(unsafe_code, reason = "no crate that lath has wraps seccomp_unotify(2)")]
fn go_on(listener: &OwnedFd, id: u64) {
    let flags = u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).unwrap_or_default();
    let response = libc::seccomp_notif_resp { id, val: 0, error: 0, flags };
    // SAFETY: the request reads a struct of exactly this type.
    let _ = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, std::ptr::from_ref(&response)) };
}

/// Reads the path of a call. Returns `None` if the call has no path, or if the path cannot be read.
fn read(notification: &libc::seccomp_notif) -> Option<Touch> {
    let call = calls().get(&libc::c_long::from(notification.data.nr))?;
    let arguments = notification.data.args;
    let process = Path::new("/proc").join(notification.pid.to_string());
    let memory = File::open(process.join("mem")).ok()?;
    let path = String::from_utf8(text(&memory, arguments[call.path])?).ok()?;
    let is_rooted = call.number == OPENAT2 && is_below_directory(&memory, arguments[2]);
    if path.starts_with('/') && !is_rooted {
        return Some(Touch { path, by: call.by });
    }
    if path.is_empty() && call.by != Use::Exec {
        return None;
    }
    let directory = fs::read_link(process.join(base(call, &arguments))).ok()?;
    Some(Touch { path: format!("{}/{path}", directory.to_str()?), by: call.by })
}

/// Returns the entry of `/proc/PID` that is a link to the directory of a relative path. Its target is a path of the
/// image, because the sandbox has its own root.
fn base(call: &Call, arguments: &[u64; 6]) -> String {
    // The kernel uses only 32 bits of this argument.
    let directory = call.directory.map_or(libc::AT_FDCWD, |index| arguments[index] as i32);
    if directory == libc::AT_FDCWD { "cwd".to_owned() } else { format!("fd/{directory}") }
}

/// Whether openat2(2) resolves an absolute path below the given directory, like in chroot(2).
fn is_below_directory(memory: &File, how: u64) -> bool {
    const RESOLVE_IN_ROOT: u64 = 0x10;
    /// The offset of `resolve` in `struct open_how`.
    const RESOLVE: u64 = 16;
    let mut resolve = [0; 8];
    let read = memory.read_exact_at(&mut resolve, how.wrapping_add(RESOLVE));
    read.is_ok() && u64::from_ne_bytes(resolve) & RESOLVE_IN_ROOT != 0
}

/// Reads the text at `address`, up to its NUL.
fn text(memory: &File, address: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 256];
    loop {
        // If the memory ends soon after the text, fewer bytes are read.
        let read = memory.read_at(&mut bytes, address).ok()?;
        if let Some(end) = bytes[..read].iter().position(|&byte| byte == 0) {
            bytes.truncate(end);
            return Some(bytes);
        }
        if bytes.len() == MAX_PATH_BYTES || read < bytes.len() {
            return None;
        }
        bytes.resize(MAX_PATH_BYTES, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_up_to_its_end_and_no_further_than_a_path_can_be() {
        let memory = File::open("/proc/self/mem").unwrap();
        let at = |bytes: &[u8]| bytes.as_ptr() as u64;
        let long = [vec![b'x'; 4095], vec![0]].concat();
        let endless = vec![b'x'; 5000];
        assert_eq!(text(&memory, at(b"/usr/bin\0rest")).unwrap(), b"/usr/bin");
        assert_eq!(text(&memory, at(&long)).unwrap().len(), 4095);
        assert_eq!(text(&memory, at(&endless)), None);
        assert_eq!(text(&memory, 1), None);
    }

    #[test]
    fn a_kernel_that_cannot_let_calls_continue_is_refused() {
        for release in ["5.9.0", "5.10.0-28-amd64\n", "6.1", "10.0.1", "unknown", "7-custom"] {
            refuse_old(release).unwrap();
        }
        for release in ["5.8.18", "5.4.0-190-generic\n", "4.18.0-553.el8.x86_64", "4.4.0"] {
            let said = refuse_old(release).unwrap_err().to_string();
            let expected =
                format!("recording its paths needs Linux 5.9 or later, and this is Linux {}", release.trim());
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn a_record_has_each_path_once_and_a_limit() {
        let mut recorded = Recorded::default();
        let touch = |path: String| Touch { path, by: Use::Open };
        for _ in 0..3 {
            recorded.add(touch("/a".to_owned()));
        }
        assert_eq!((recorded.touches.len(), recorded.bytes, recorded.is_cut), (1, 2, false));
        recorded.add(touch("x".repeat(MAX_BYTES)));
        assert_eq!((recorded.touches.len(), recorded.is_cut), (1, true));
    }
}
