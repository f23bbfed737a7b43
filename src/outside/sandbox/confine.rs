//! The last steps before a sandboxed program starts. They run in its own process, which is still root of its namespaces:
//! hide the kernel's own files, give up the host's keys and every id but the program's, and refuse system calls.

use std::ffi::CString;
use std::path::Path;
use std::sync::Arc;

use rustix::mount::{MountFlags, mount, mount_bind, mount_remount};
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use seccompiler::BpfProgram;

use super::{COMPLAINT, NOT_STARTED, loopback};

/// Files of the kernel that may be read, and not written to: its settings, devices and drivers.
const READ_ONLY: [&str; 6] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/pressure", "/proc/sys", "/proc/sysrq-trigger"];

/// Files of the kernel that nobody sees, because they tell of the host: its memory, keys, timers, hardware.
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

/// The same as of every mount here, and nothing in it is a program.
const NO_PROGRAMS: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// A program, and what is done before it starts.
pub(super) struct Confinement {
    pub(super) program: CString,
    pub(super) argv: Vec<CString>,
    pub(super) env: Vec<CString>,
    /// The user to become, if the process is still root of its user namespace.
    pub(super) user: Option<u32>,
    pub(super) has_loopback: bool,
    pub(super) filters: Arc<Vec<BpfProgram>>,
}

impl Confinement {
    /// Starts the program in the place of this process. Returns only if that fails: with the exit code that says so, and
    /// the reason on the standard error.
    pub(super) fn enter(&self) -> i32 {
        let Err(complaint) = self.prepare().and_then(|()| self.start());
        let line = [COMPLAINT, complaint.as_bytes(), b"\n"].concat();
        // Nobody is left to report a failure to.
        let _ = rustix::io::write(rustix::stdio::stderr(), &line);
        NOT_STARTED
    }

    fn prepare(&self) -> Result<(), String> {
        if self.has_loopback {
            // If this fails, the checks that need it fail with a reason of their own.
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
    // Its device files work all the same, and nobody can fill it.
    remount_read_only("/dev", MountFlags::NOSUID | MountFlags::NOEXEC).map_err(failed("/dev"))
}

fn remount_read_only(path: &str, flags: MountFlags) -> rustix::io::Result<()> {
    mount_remount(path, MountFlags::BIND | MountFlags::RDONLY | flags, c"")
}

/// Takes a new session keyring in the place of the host's (session-keyring(7)). If the kernel has none or refuses, the
/// filter keeps the program away from the old one all the same.
#[expect(unsafe_code, reason = "no crate that lath has wraps keyctl(2)")]
fn leave_keyring() {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: both arguments are numbers; a null name asks for an anonymous keyring.
    unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0usize) };
}

/// Changes to a user without groups. This process has one thread, so that the calls for threads are enough.
fn become_user(user: u32) -> rustix::io::Result<()> {
    set_thread_groups(&[])?;
    let group = Gid::from_raw(user);
    set_thread_res_gid(group, group, group)?;
    let user = Uid::from_raw(user);
    set_thread_res_uid(user, user, user)?;
    // The kernel forgot it with the change of the user (PR_SET_PDEATHSIG(2const)).
    set_parent_process_death_signal(Some(Signal::KILL))
}
