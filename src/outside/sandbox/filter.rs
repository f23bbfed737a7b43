//! The system calls that are refused in a sandbox. Docker's default profile refuses the same calls if a container has
//! no capabilities.
//!
//! The kernel refuses most of these calls anyway, because the program has no privileges. But each of these calls has
//! had bugs that gave privileges to unprivileged programs. Correct programs do not need these calls.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

/// Calls that are refused with `EPERM`, like in Docker.
const DENIED: &[libc::c_long] = &[
    // Access to the keys of the host's users.
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    // Programs that run in the kernel, and access to the kernel's data.
    libc::SYS_bpf,
    libc::SYS_fanotify_init,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_lookup_dcookie,
    libc::SYS_perf_event_open,
    libc::SYS_syslog,
    libc::SYS_userfaultfd,
    // Kernel modules, and loading another kernel.
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    // Changes of namespaces and mounts.
    libc::SYS_chroot,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_pivot_root,
    libc::SYS_setns,
    libc::SYS_umount2,
    libc::SYS_unshare,
    // The machine's name, its clocks, accounting, quotas and swap.
    libc::SYS_acct,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_vhangup,
    // The placement of memory on machines with several memory nodes (NUMA).
    libc::SYS_mbind,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_set_mempolicy,
    libc::SYS_set_mempolicy_home_node,
];

/// Further calls, which exist only on this processor.
#[cfg(target_arch = "x86_64")]
const DENIED_HERE: &[libc::c_long] = &[
    libc::SYS__sysctl,
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_modify_ldt,
    libc::SYS_sysfs,
    libc::SYS_uselib,
    libc::SYS_ustat,
];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_HERE: &[libc::c_long] = &[];

/// The last system call that existed when this list was written (`mseal`, Linux 6.10). Later calls were not reviewed
/// yet, so they are refused with `ENOSYS`. Programs then work without these calls. The calls of the x32 ABI have higher
/// numbers, so they are refused too.
const LAST: u32 = 462;

/// This call is refused with `ENOSYS`, because a filter cannot read its arguments. The C library then uses `clone`.
const CLONE3: u32 = 435;

/// Flags of `clone` that create namespaces (clone(2)).
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];

/// Requests of ioctl(2) that write to the input of a terminal (`TIOCSTI`, `TIOCLINUX`). A program of `lath run` uses
/// the user's terminal, so it could type commands for the user's shell.
const TERMINAL_INPUT: [u64; 2] = [0x5412, 0x541C];

/// Compiles the filters for this machine's processor. The kernel applies all filters to each call, and the strictest
/// result is used.
pub(super) fn filters() -> Result<Vec<BpfProgram>, BackendError> {
    let errno = |number: i32| SeccompAction::Errno(number.unsigned_abs());
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let always = |calls: &[libc::c_long]| calls.iter().map(|&call| (call, Vec::new())).collect::<BTreeMap<_, _>>();
    let mut denied = always(DENIED);
    denied.extend(always(DENIED_HERE));
    denied.insert(libc::SYS_clone, namespaces()?);
    let families = [libc::AF_VSOCK, libc::AF_ALG].map(|family| argument(0, u64::from(family.unsigned_abs())));
    denied.insert(libc::SYS_socket, families.into_iter().collect::<Result<_, _>>()?);
    let requests = TERMINAL_INPUT.map(|request| argument(1, request));
    denied.insert(libc::SYS_ioctl, requests.into_iter().collect::<Result<_, _>>()?);
    let denied = SeccompFilter::new(denied, SeccompAction::Allow, errno(libc::EPERM), arch)?;
    Ok(vec![BpfProgram::try_from(denied)?, unknown()])
}

/// A filter that is written as instructions (seccomp(2)), because a rule cannot contain a range of numbers.
fn unknown() -> BpfProgram {
    /// The offset of the system call's number in `struct seccomp_data`.
    const NUMBER: u32 = 0;
    let step = |code: u32, jt: u8, jf: u8, k: u32| sock_filter { code: code as u16, jt, jf, k };
    let refused = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    vec![
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, NUMBER),
        step(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K, 1, 0, LAST),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, CLONE3),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, refused),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

/// Returns one rule for each flag. The call is refused if one rule matches, so one of the flags is enough.
fn namespaces() -> Result<Vec<SeccompRule>, BackendError> {
    let rule = |flag: &i32| {
        let flag = u64::from(flag.unsigned_abs());
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), flag)?;
        SeccompRule::new(vec![condition])
    };
    NAMESPACES.iter().map(rule).collect()
}

/// A rule that matches if the argument with this number is `value`.
fn argument(number: u8, value: u64) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(number, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_fit_into_the_kernel() {
        /// The maximum number of instructions, `BPF_MAXINSNS` of bpf(2).
        const MOST: usize = 4096;
        let filters = filters().unwrap();
        assert_eq!(filters.len(), 2);
        assert!((DENIED.len()..MOST).contains(&filters[0].len()));
    }
}
