//! Lists the system calls that have the path of a file as an argument, and the positions of these arguments.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::model::trace::Use;

/// A system call that names a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) number: libc::c_long,
    /// The position of the argument with the directory. A relative path begins at this directory. `None` means the
    /// current directory.
    pub(super) directory: Option<usize>,
    pub(super) path: usize,
    pub(super) by: Use,
}

const fn here(number: libc::c_long, by: Use) -> Call {
    Call { number, directory: None, path: 0, by }
}

const fn at(number: libc::c_long, by: Use) -> Call {
    Call { number, directory: Some(0), path: 1, by }
}

/// Calls that exist on all processors.
const CALLS: [Call; 11] = [
    at(libc::SYS_openat, Use::Open),
    at(OPENAT2, Use::Open),
    at(libc::SYS_newfstatat, Use::Stat),
    at(libc::SYS_statx, Use::Stat),
    at(libc::SYS_faccessat, Use::Stat),
    at(libc::SYS_faccessat2, Use::Stat),
    at(libc::SYS_readlinkat, Use::Stat),
    at(libc::SYS_execveat, Use::Exec),
    here(libc::SYS_execve, Use::Exec),
    here(libc::SYS_chdir, Use::Stat),
    here(libc::SYS_statfs, Use::Stat),
];

/// Older calls, which do not exist on newer processors.
#[cfg(target_arch = "x86_64")]
const CALLS_HERE: [Call; 5] = [
    here(libc::SYS_open, Use::Open),
    here(libc::SYS_stat, Use::Stat),
    here(libc::SYS_lstat, Use::Stat),
    here(libc::SYS_access, Use::Stat),
    here(libc::SYS_readlink, Use::Stat),
];
#[cfg(not(target_arch = "x86_64"))]
const CALLS_HERE: [Call; 0] = [];

/// The third argument of this call is a `struct open_how`.
pub(super) const OPENAT2: libc::c_long = libc::SYS_openat2;

/// Returns all calls that name a file, by their numbers.
pub(super) fn calls() -> &'static BTreeMap<libc::c_long, Call> {
    static BY_NUMBER: LazyLock<BTreeMap<libc::c_long, Call>> =
        LazyLock::new(|| CALLS.into_iter().chain(CALLS_HERE).map(|call| (call.number, call)).collect());
    &BY_NUMBER
}
