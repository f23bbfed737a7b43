//! The last steps before a sandboxed program starts. They run in the program's own process, which is still root in its
//! namespaces. They hide files of the kernel, leave the host's keyring, change to the program's user, and apply the
//! filter for system calls.

use std::ffi::CString;
use std::path::Path;
use std::sync::Arc;

use rustix::mount::{MountFlags, mount, mount_bind, mount_remount};
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use seccompiler::BpfProgram;

use super::trace::Listener;
use super::{COMPLAINT, NOT_STARTED, loopback};

/// Files of the kernel that may be read, but not written to: its settings, devices and drivers.
const READ_ONLY: [&str; 6] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/pressure", "/proc/sys", "/proc/sysrq-trigger"];

/// Files of the kernel that are hidden because they contain information about the host, such as its memory, keys,
/// timers and hardware.
const HIDDEN: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// The flags of mounts over files of the kernel. No program on such a mount can be executed, and no device file can be
/// used.
const NO_PROGRAMS: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// A program, and the steps before it starts.
pub(super) struct Confinement {
    pub(super) program: CString,
    pub(super) argv: Vec<CString>,
    pub(super) env: Vec<CString>,
    /// The user that the process must change to. Set if the process is still root in its user namespace.
    pub(super) user: Option<u32>,
    pub(super) has_loopback: bool,
    pub(super) filters: Arc<Vec<BpfProgram>>,
    /// Set if the paths that the program uses are recorded.
    pub(super) listener: Option<Listener>,
}

impl Confinement {
    /// Replaces this process by the program. If this fails, writes the reason to standard error, and returns the exit
    /// code.
    pub(super) fn enter(&self) -> i32 {
        let Err(complaint) = self.prepare().and_then(|()| self.start());
        let line = [COMPLAINT, complaint.as_bytes(), b"\n"].concat();
        // If this write fails, there is no other way to report the failure.
        let _ = rustix::io::write(rustix::stdio::stderr(), &line);
        NOT_STARTED
    }

    fn prepare(&self) -> Result<(), String> {
        if self.has_loopback {
            // If this fails, checks that need loopback fail, and they report the reason.
            let _ = loopback::switch_on();
        }
        hide_kernel_files()?;
        leave_keyring();
        if let Some(user) = self.user {
            become_user(user).map_err(|error| format!("setresuid({user}) => {error}"))?;
        }
        for filter in self.filters.iter() {
            seccompiler::apply_filter(filter).map_err(|error| format!("seccomp => {error}"))?;
        }
        if let Some(listener) = &self.listener {
            listener.listen().map_err(|error| format!("seccomp(SECCOMP_FILTER_FLAG_NEW_LISTENER) => {error}"))?;
        }
        Ok(())
    }

    fn start(&self) -> Result<std::convert::Infallible, String> {
        nix::unistd::execve(&self.program, &self.argv, &self.env)
            .map_err(|error| format!("execve({:?}) => {error}", self.program.to_string_lossy()))
    }
}

fn hide_kernel_files() -> Result<(), String> {
    let failed = |path: &'static str| move |error: rustix::io::Errno| format!("mount({path}) => {error}");
    for path in READ_ONLY.into_iter().filter(|path| Path::new(path).exists()) {
        mount_bind(path, path).map_err(failed(path))?;
        remount_read_only(path, NO_PROGRAMS).map_err(failed(path))?;
    }
    for path in HIDDEN {
        let Ok(metadata) = Path::new(path).symlink_metadata() else { continue };
        if metadata.is_dir() {
            let flags = NO_PROGRAMS | MountFlags::RDONLY;
            mount("tmpfs", path, "tmpfs", flags, Some(c"size=4k,nr_inodes=2,mode=555")).map_err(failed(path))?;
        } else {
            mount_bind("/dev/null", path).map_err(failed(path))?;
        }
    }
    // Device files in `/dev` can still be used, but no program can create files there.
    remount_read_only("/dev", MountFlags::NOSUID | MountFlags::NOEXEC).map_err(failed("/dev"))
}

fn remount_read_only(path: &str, flags: MountFlags) -> rustix::io::Result<()> {
    mount_remount(path, MountFlags::BIND | MountFlags::RDONLY | flags, c"")
}

/// Replaces the host's session keyring by a new one (session-keyring(7)). If this fails, the program still cannot use
/// the old keyring, because the filter refuses the necessary calls. The replacement fails if the kernel has no
/// keyrings or does not allow the call.
#[expect(unsafe_code, reason = "no crate that lath has wraps keyctl(2)")]
fn leave_keyring() {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: both arguments are numbers. If the name is null, the kernel creates an anonymous keyring.
    unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0usize) };
}

/// Changes to a user that is in no group. These calls change only one thread, but the process has only one thread.
fn become_user(user: u32) -> rustix::io::Result<()> {
    set_thread_groups(&[])?;
    let group = Gid::from_raw(user);
    set_thread_res_gid(group, group, group)?;
    let user = Uid::from_raw(user);
    set_thread_res_uid(user, user, user)?;
    // The kernel resets this setting if a process changes its user (PR_SET_PDEATHSIG(2const)).
    set_parent_process_death_signal(Some(Signal::KILL))
}
