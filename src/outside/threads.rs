//! Checks before a build that lath can get enough threads and address space. Without this check, libraries could panic
//! or abort later, because they cannot get a thread or memory.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, PoisonError, RwLock};

use rayon::{ThreadPoolBuildError, ThreadPoolBuilder};
use rustix::process::{Resource, getrlimit};
use thiserror::Error;

use crate::model::hint::{Hint, Hints, MachineHint};

/// The maximum number of threads that a build needs in addition to rayon's pool. They are for the network, name
/// resolution, files, the resolver, the archive, the downloads and the output of the sandbox.
const BESIDE_POOL: usize = 16;
/// With less address space, a build may abort, because every thread needs a stack and its own area of the allocator.
const LEAST_ADDRESS_BYTES: u64 = 2 << 30;
/// The stacks of the threads need about 40 MB. With less memory than this limit, it may not even be possible to report
/// an error.
const LEAST_DATA_BYTES: u64 = 48 << 20;

/// The stack size of a thread of [`at_once`]. It is large because the thread resolves a request, opens parcels and
/// assembles a tree.
const STACK_BYTES: usize = 8 << 20;

/// Calls `work` for all items. The number of items that run at once is the number of processors. This function is meant
/// for builds from source, because such a build mostly runs a single process. The results are in no particular order.
/// After an error, the thread of the failed item begins no further item. The other threads continue.
pub(crate) fn at_once<T: Send, R: Send, E: Send>(
    items: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let waiting: VecDeque<T> = items.into_iter().collect();
    let count = std::thread::available_parallelism().map_or(1, usize::from).min(waiting.len());
    let waiting = Mutex::new(waiting);
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work_on = || std::iter::from_fn(next).map(&work).collect::<Result<Vec<R>, E>>();
    std::thread::scope(|scope| {
        // Fewer threads only make the work slower, because this thread works too.
        let spawn = |_| std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work_on).ok();
        let others: Vec<_> = (1..count).filter_map(spawn).collect();
        let mut done = work_on()?;
        for other in others {
            done.append(&mut other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(done)
    })
}

#[derive(Debug, Error)]
pub(crate) enum ThreadsError {
    #[error("cannot start the threads of a build")]
    Threads(#[source] io::Error),
    #[error("cannot start the threads of a build")]
    Pool(#[from] ThreadPoolBuildError),
    #[error(
        "cannot build with {} MB of address space: a build needs {} MB",
        limit_bytes / 1_000_000,
        LEAST_ADDRESS_BYTES / 1_000_000
    )]
    AddressSpace { limit_bytes: u64 },
    #[error(
        "cannot build with {} MB of memory for data: a build needs {} MB",
        limit_bytes / 1_000_000,
        LEAST_DATA_BYTES / 1_000_000
    )]
    Data { limit_bytes: u64 },
}

impl Hints for ThreadsError {
    fn own_hints(&self) -> Vec<Hint> {
        match self {
            Self::AddressSpace { .. } => vec![Hint::Machine(MachineHint::AddressSpace)],
            Self::Data { .. } => vec![Hint::Machine(MachineHint::DataMemory)],
            // These errors contain an error of the operating system, for which there is another hint.
            Self::Threads(_) | Self::Pool(_) => Vec::new(),
        }
    }
}

/// Checks that the threads of a build can be started, and starts rayon's threads. If fewer threads than processors can
/// be started, rayon gets fewer threads.
pub(crate) fn prepare() -> Result<(), ThreadsError> {
    static IS_PREPARED: Mutex<bool> = Mutex::new(false);
    let mut is_prepared = IS_PREPARED.lock().unwrap_or_else(PoisonError::into_inner);
    if *is_prepared {
        return Ok(());
    }
    if let Some(limit_bytes) = getrlimit(Resource::As).current.filter(|limit| *limit < LEAST_ADDRESS_BYTES) {
        return Err(ThreadsError::AddressSpace { limit_bytes });
    }
    if let Some(limit_bytes) = getrlimit(Resource::Data).current.filter(|limit| *limit < LEAST_DATA_BYTES) {
        return Err(ThreadsError::Data { limit_bytes });
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut pool = processors;
    while let Err(error) = try_threads(pool + BESIDE_POOL) {
        if pool == 1 {
            return Err(ThreadsError::Threads(error));
        }
        pool /= 2;
    }
    let builder = ThreadPoolBuilder::new();
    let builder = if pool < processors { builder.num_threads(pool) } else { builder };
    builder.build_global()?;
    *is_prepared = true;
    Ok(())
}

/// Starts this number of threads at once, and ends them.
fn try_threads(count: usize) -> io::Result<()> {
    let gate = RwLock::new(());
    std::thread::scope(|scope| {
        let closed = gate.write().unwrap_or_else(PoisonError::into_inner);
        let started = (0..count).try_for_each(|_| {
            let wait = || drop(gate.read());
            std::thread::Builder::new().spawn_scoped(scope, wait).map(drop)
        });
        drop(closed);
        started
    })
}

/// Starts a thread. No other thread waits until it ends.
pub(crate) fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

/// Whether a panic message means that a thread could not be started. The standard library, tokio and rayon have no
/// other way to report this.
pub(crate) fn is_thread_panic(message: &str) -> bool {
    const MESSAGES: [&str; 3] =
        ["failed to spawn thread", "OS can't spawn worker thread", "The global thread pool has not been initialized"];
    MESSAGES.iter().any(|known| message.starts_with(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_done_once_and_an_error_is_returned() {
        let mut done = at_once(0..100, |number| Ok::<_, ()>(number * 2)).unwrap();
        done.sort_unstable();
        assert_eq!(done, (0..100).map(|number| number * 2).collect::<Vec<_>>());
        assert_eq!(at_once(0..100, |number| if number == 7 { Err(number) } else { Ok(()) }), Err(7));
        assert_eq!(at_once(Vec::<u8>::new(), Ok::<_, ()>), Ok(Vec::new()));
    }

    #[test]
    fn a_panic_because_of_a_missing_thread_is_no_bug() {
        let spawned = "failed to spawn thread: Os { code: 11, kind: WouldBlock, message: \"...\" }";
        assert!(is_thread_panic(spawned));
        assert!(is_thread_panic("OS can't spawn worker thread: Resource temporarily unavailable (os error 11)"));
        assert!(!is_thread_panic("index out of bounds: the len is 0 but the index is 0"));
    }

    #[test]
    fn threads_that_were_tried_have_ended() {
        try_threads(8).unwrap();
    }
}
