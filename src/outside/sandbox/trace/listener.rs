//! The program's side of a trace: the filter that stops calls with a path. Its descriptor is sent to the warden.
//!
//! hakoniwa closes every descriptor except the standard streams. So the program's process gets a socket as its standard
//! input. Through this socket, it sends the descriptor and receives its real standard input.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, FromRawFd as _, OwnedFd, RawFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

use super::calls::calls;

/// The filter of a traced program.
#[derive(Debug)]
pub(in crate::outside::sandbox) struct Listener {
    filter: Vec<libc::sock_filter>,
}

impl Listener {
    pub(in crate::outside::sandbox) fn new() -> Self {
        Self { filter: filter() }
    }

    /// Applies the filter to this process, and exchanges descriptors with the warden. After this, every call with a
    /// path waits for the warden.
    pub(in crate::outside::sandbox) fn listen(&self) -> io::Result<()> {
        let listener = self.apply()?;
        let socket = rustix::stdio::stdin();
        send(socket, &listener)?;
        drop(listener);
        let input = receive(socket)?;
        rustix::stdio::dup2_stdin(&input)?;
        Ok(())
    }

    /// Applies the filter. The filter does not check the architecture of a system call, because another filter already
    /// refuses the calls of other architectures. seccomp(2) requires that the program cannot get new privileges. This
    /// was ensured when the other filter was applied.
    #[expect(unsafe_code, reason = "no crate that lath has wraps seccomp(2) with a listener")]
    fn apply(&self) -> io::Result<OwnedFd> {
        let program = libc::sock_fprog {
            len: u16::try_from(self.filter.len()).unwrap_or(u16::MAX),
            filter: self.filter.as_ptr().cast_mut(),
        };
        // Since Linux 5.19, this flag means that only a signal that ends the program interrupts a waiting call.
        // Without the flag, any signal makes the kernel repeat the call.
        let flags = [
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
        ];
        let mut result = Err(io::Error::from_raw_os_error(libc::EINVAL));
        for flags in flags {
            // SAFETY: the kernel copies `program`, which contains the number of its instructions and a pointer to them.
            // The result is a new descriptor, and nothing else owns it.
            let number = unsafe {
                libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, std::ptr::from_ref(&program))
            };
            result = match RawFd::try_from(number) {
                // SAFETY: the descriptor is new, as explained above.
                Ok(number) if number >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(number) }),
                _ => Err(io::Error::last_os_error()),
            };
            if !matches!(&result, Err(error) if error.raw_os_error() == Some(libc::EINVAL)) {
                break;
            }
        }
        result
    }
}

/// Sends a descriptor.
pub(super) fn send(socket: impl AsFd, descriptor: impl AsFd) -> io::Result<()> {
    let descriptors = [descriptor.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    rustix::net::sendmsg(socket, &[IoSlice::new(b"d")], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Waits for a descriptor.
pub(super) fn receive(socket: impl AsFd) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    loop {
        let mut buffers = [IoSliceMut::new(&mut byte)];
        match rustix::net::recvmsg(&socket, &mut buffers, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            received => {
                received?;
                break;
            }
        }
    }
    let mut descriptors = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let descriptor = descriptors.by_ref().flatten().next();
    descriptor.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
}

/// The offset of the system call's number in `struct seccomp_data` (seccomp(2)).
const NUMBER: u32 = 0;
/// The offset of the first argument in `struct seccomp_data`.
const ARGUMENTS: u32 = 16;

/// If a call has this flag, it is about an open file and has no path. The C library makes such a call for each `fstat`.
const EMPTY_PATH: u32 = libc::AT_EMPTY_PATH.unsigned_abs();

/// Returns a filter that stops the calls with a path, and allows all others.
fn filter() -> Vec<libc::sock_filter> {
    let step = |code: u32, jt: usize, jf: usize, k: u32| {
        let narrow = |jump: usize| u8::try_from(jump).unwrap_or(u8::MAX);
        libc::sock_filter { code: code as u16, jt: narrow(jt), jf: narrow(jf), k }
    };
    let load = |offset| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset);
    let if_equal = |value, jt, jf| step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, jt, jf, value);
    let if_set = |flags, jt, jf| step(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, jt, jf, flags);
    let end = |action| step(libc::BPF_RET | libc::BPF_K, 0, 0, action);
    let number = |number: libc::c_long| u32::try_from(number).unwrap_or(u32::MAX);
    let mut filter = vec![load(NUMBER)];
    for (call, flags) in [(libc::SYS_newfstatat, 3), (libc::SYS_statx, 2)] {
        // On the processors that lath supports, the lower half of an argument comes first.
        let flags = load(ARGUMENTS + 8 * flags);
        filter.extend([
            if_equal(number(call), 0, 4),
            flags,
            if_set(EMPTY_PATH, 0, 1),
            end(libc::SECCOMP_RET_ALLOW),
            load(NUMBER),
        ]);
    }
    let numbers: Vec<u32> = calls().keys().map(|&call| number(call)).collect();
    for (index, call) in numbers.iter().enumerate() {
        filter.push(if_equal(*call, numbers.len() - index, 0));
    }
    filter.extend([end(libc::SECCOMP_RET_ALLOW), end(libc::SECCOMP_RET_USER_NOTIF)]);
    filter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the filter on one call, like the kernel would do. Only the instructions that the filter contains are
    /// supported.
    fn action(number: libc::c_long, flags: (u32, u32)) -> u32 {
        let filter = filter();
        let (mut at, mut loaded) = (0, 0);
        loop {
            let step = filter[at];
            at += 1;
            let is_true = match u32::from(step.code) {
                code if code == libc::BPF_RET | libc::BPF_K => return step.k,
                code if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS => {
                    loaded = match step.k {
                        NUMBER => u32::try_from(number).unwrap(),
                        offset if offset == ARGUMENTS + 8 * flags.0 => flags.1,
                        _ => 0,
                    };
                    continue;
                }
                code if code == libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K => loaded & step.k != 0,
                _ => loaded == step.k,
            };
            at += usize::from(if is_true { step.jt } else { step.jf });
        }
    }

    #[test]
    fn calls_with_a_path_are_stopped_and_no_others() {
        for &call in calls().keys() {
            assert_eq!(action(call, (0, 0)), libc::SECCOMP_RET_USER_NOTIF, "{call}");
        }
        for call in [libc::SYS_read, libc::SYS_mmap, libc::SYS_sendmsg, libc::SYS_recvmsg, libc::SYS_dup3] {
            assert_eq!(action(call, (0, 0)), libc::SECCOMP_RET_ALLOW, "{call}");
        }
        assert_eq!(action(libc::SYS_newfstatat, (3, EMPTY_PATH)), libc::SECCOMP_RET_ALLOW);
        assert_eq!(action(libc::SYS_statx, (2, EMPTY_PATH | 0x100)), libc::SECCOMP_RET_ALLOW);
        assert_eq!(action(libc::SYS_statx, (2, 0x100)), libc::SECCOMP_RET_USER_NOTIF);
    }
}
