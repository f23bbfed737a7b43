//! Replaces the library procfs. With procfs, hakoniwa measures the memory of a process, and uv looks for the floating
//! point unit of an ARM machine with 32 bits, to choose a Python for this machine. lath does neither
//! (docs/decisions/0190-crates-that-never-run-are-replaced.md).
//!
//! These are the parts that the two crates use. A call of one of them fails.

use std::collections::BTreeMap;

use thiserror::Error;

#[derive(Debug, Error)]
#[error("this program does not read /proc")]
pub struct ProcError;

/// Values that are read anew at each call.
pub trait Current: Sized {
    /// Fails.
    ///
    /// # Errors
    ///
    /// Always [`ProcError`].
    fn current() -> Result<Self, ProcError> {
        Err(ProcError)
    }
}

#[derive(Debug)]
pub struct CpuInfo {
    pub fields: BTreeMap<String, String>,
}

impl Current for CpuInfo {}

/// Facts about one process.
pub mod process {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use crate::ProcError;

    /// No value of this type can exist.
    #[derive(Debug)]
    pub enum Process {}

    impl Process {
        /// Fails.
        ///
        /// # Errors
        ///
        /// Always [`ProcError`].
        pub fn new_with_root(_root: PathBuf) -> Result<Self, ProcError> {
            Err(ProcError)
        }

        /// Cannot be called.
        ///
        /// # Errors
        ///
        /// None.
        pub fn smaps_rollup(&self) -> Result<SmapsRollup, ProcError> {
            match *self {}
        }

        /// Cannot be called.
        ///
        /// # Errors
        ///
        /// None.
        pub fn status(&self) -> Result<Status, ProcError> {
            match *self {}
        }
    }

    #[derive(Debug)]
    pub struct SmapsRollup {
        pub memory_map_rollup: MemoryMaps,
    }

    #[derive(Debug)]
    pub struct MemoryMaps(pub Vec<MemoryMap>);

    #[derive(Debug)]
    pub struct MemoryMap {
        pub extension: MMapExtension,
    }

    #[derive(Debug)]
    pub struct MMapExtension {
        pub map: BTreeMap<String, u64>,
    }

    #[derive(Debug)]
    pub struct Status {
        pub name: String,
        pub vmpeak: Option<u64>,
        pub vmsize: Option<u64>,
        pub vmhwm: Option<u64>,
        pub vmrss: Option<u64>,
        pub vmdata: Option<u64>,
        pub vmstk: Option<u64>,
        pub vmexe: Option<u64>,
        pub vmlib: Option<u64>,
        pub vmpte: Option<u64>,
        pub vmswap: Option<u64>,
        pub rssanon: Option<u64>,
        pub rssfile: Option<u64>,
        pub rssshmem: Option<u64>,
        pub nonewprivs: Option<u64>,
    }
}
