//! The system calls that a sandboxed program may not make. They are those that Docker's default profile refuses to a
//! container without capabilities.
//!
//! The kernel refuses most of them anyway, because the program has no privileges. But each of them has had faults that
//! gave such a program more rights than it should have, and no correct program needs them.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// Refused with `EPERM`, as Docker does.
const DENIED: &[libc::c_long] = &[
    // Keys of the host's users.
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    // Programs that run in the kernel, and calls that read its state.
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
    // Modules and other kernels.
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    // Namespaces and mounts.
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
    // The machine's name, clocks, accounts, quotas and swap.
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
    // The placement of memory on machines on which processors have memory of their own.
    libc::SYS_mbind,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_set_mempolicy,
    libc::SYS_set_mempolicy_home_node,
];

/// The same for calls that only this processor has.
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

/// Refused with `ENOSYS`. The C library then uses `clone`, whose arguments a filter can read.
const UNKNOWN: &[libc::c_long] = &[libc::SYS_clone3];

/// The numbers after the last call that existed when this list was made (`mseal`, Linux 6.10). A newer call is not
/// judged yet. It is refused with `ENOSYS`, so that programs work without it.
const NEWER: std::ops::RangeInclusive<libc::c_long> = 463..=560;

/// Flags of `clone` that make namespaces (clone(2)).
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];

/// Compiles the filters for this machine's processor. All of them are in force, and the strictest result counts.
pub(super) fn filters() -> Result<Vec<BpfProgram>, BackendError> {
    let errno = |number: i32| SeccompAction::Errno(number.unsigned_abs());
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = |rules, action| {
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, arch)?;
        BpfProgram::try_from(filter)
    };
    let always = |calls: &[libc::c_long]| calls.iter().map(|&call| (call, Vec::new())).collect::<BTreeMap<_, _>>();
    let mut denied = always(DENIED);
    denied.extend(always(DENIED_HERE));
    denied.insert(libc::SYS_clone, namespaces()?);
    denied.insert(libc::SYS_socket, vec![socket_family(libc::AF_VSOCK)?, socket_family(libc::AF_ALG)?]);
    let mut unknown = always(UNKNOWN);
    unknown.extend(NEWER.map(|call| (call, Vec::new())));
    Ok(vec![filter(denied, errno(libc::EPERM))?, filter(unknown, errno(libc::ENOSYS))?])
}

/// Returns one rule for each flag, so that one flag that is set is enough.
fn namespaces() -> Result<Vec<SeccompRule>, BackendError> {
    let rule = |flag: &i32| {
        let flag = u64::from(flag.unsigned_abs());
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), flag)?;
        SeccompRule::new(vec![condition])
    };
    NAMESPACES.iter().map(rule).collect()
}

/// Sockets to the host of a virtual machine, and sockets to the kernel's ciphers.
fn socket_family(family: i32) -> Result<SeccompRule, BackendError> {
    let family = u64::from(family.unsigned_abs());
    SeccompRule::new(vec![SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, family)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_fit_into_the_kernel() {
        /// `BPF_MAXINSNS` of bpf(2).
        const MOST: usize = 4096;
        let filters = filters().unwrap();
        assert_eq!(filters.len(), 2);
        assert!(filters.iter().all(|filter| (10..MOST).contains(&filter.len())));
    }
}
