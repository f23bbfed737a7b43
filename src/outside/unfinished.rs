//! Tracks files and folders that are not finished. If a signal ends the process, they are removed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use fs_err as fs;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::outside::threads;

static PATHS: Mutex<BTreeMap<PathBuf, Removal>> = Mutex::new(BTreeMap::new());
static PROGRAMS: AtomicUsize = AtomicUsize::new(0);
static WATCH: OnceLock<()> = OnceLock::new();
/// The number of attempts to remove an unfinished path.
const ATTEMPTS: usize = 20;
/// The signals that end a process. Their numbers are the same on all processors that Linux supports (signal(7)).
const HANGUP: i32 = 1;
const INTERRUPT: i32 = 2;
const TERMINATE: i32 = 15;
/// The signal that a process gets if a file exceeds `ulimit -f`.
const FILE_SIZE: i32 = 25;

/// Which part of a path is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Removal {
    Whole,
    /// Only the folder itself, and only if it is empty.
    IfEmpty,
}

/// A path that must be removed if the process is ended. If the value is dropped, the path counts as finished.
#[derive(Debug)]
pub(crate) struct Unfinished(PathBuf);

impl Unfinished {
    /// Registers a file, or a folder including everything in it.
    pub(crate) fn new(path: &Path) -> Self {
        Self::with(path, Removal::Whole)
    }

    fn with(path: &Path, removal: Removal) -> Self {
        PATHS.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), removal);
        Self(path.to_owned())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        PATHS.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// Folders that were created for files that do not exist yet. If this value is dropped or a signal ends the process,
/// the folders that are still empty are removed.
#[derive(Debug, Default)]
pub(crate) struct NewFolders(Vec<Unfinished>);

impl NewFolders {
    /// Creates `folder` and the missing folders above it.
    pub(crate) fn make(folder: &Path) -> io::Result<Self> {
        let mut made = Self::default();
        let missing = folder.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.exists());
        let missing: Vec<&Path> = missing.collect();
        for path in missing.into_iter().rev() {
            match fs::create_dir(path) {
                Ok(()) => made.0.push(Unfinished::with(path, Removal::IfEmpty)),
                // Another process has just created the folder, so it must not be removed here.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(made)
    }

    /// Keeps the folders, because they contain files now.
    pub(crate) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for NewFolders {
    fn drop(&mut self) {
        for folder in self.0.drain(..).rev() {
            let _ = fs::remove_dir(&folder.0);
        }
    }
}

/// While a value of this type exists, lath does not act on signals. The code that runs the program in the foreground
/// forwards them.
#[derive(Debug)]
pub(crate) struct Foreground(());

impl Foreground {
    pub(crate) fn new() -> Self {
        PROGRAMS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        PROGRAMS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// From now on, if a file exceeds the limit of `ulimit -f`, writing fails with an error (EFBIG). Without this, the
/// kernel's signal would end the process without a message.
pub(crate) fn survive_file_size_limit() {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    let _entered = runtime.enter();
    // The handler remains active when the stream is dropped.
    let _ = signal(SignalKind::from_raw(FILE_SIZE));
}

/// From now on, SIGHUP, SIGINT and SIGTERM remove unfinished paths and end the process with 128 plus the signal's
/// number, as in a shell. Programs in the sandbox end together with lath.
///
/// A signal that is ignored remains ignored, for example SIGHUP under `nohup`.
pub(crate) fn watch_signals() -> io::Result<()> {
    if WATCH.get().is_some() {
        return Ok(());
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let numbers: Vec<i32> =
        [HANGUP, INTERRUPT, TERMINATE].into_iter().filter(|number| !is_ignored(&status, *number)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    let streams: io::Result<Vec<(i32, Signal)>> =
        numbers.into_iter().map(|number| Ok((number, signal(SignalKind::from_raw(number))?))).collect();
    let streams = streams?;
    drop(entered);
    threads::start("signals", move || wait(&runtime, streams))?;
    // If another thread calls this at the same time, a second watch starts, which is harmless.
    let _ = WATCH.set(());
    Ok(())
}

/// Whether the signal is ignored, according to the text of `/proc/PID/status` (proc_pid_status(5), `SigIgn`).
fn is_ignored(status: &str, number: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (number - 1) & 1 == 1
}

fn wait(runtime: &tokio::runtime::Runtime, streams: Vec<(i32, Signal)>) {
    let number = runtime.block_on(async {
        let mut waits: Vec<_> = streams.into_iter().map(|(number, stream)| Box::pin(next(number, stream))).collect();
        while !waits.is_empty() {
            let ((number, stream), _, others) = futures::future::select_all(waits).await;
            if PROGRAMS.load(Ordering::Relaxed) == 0 {
                return Some(number);
            }
            waits = others;
            waits.push(Box::pin(next(number, stream)));
        }
        None
    });
    if let Some(number) = number {
        remove_and_exit(128 + number);
    }
}

/// Removes unfinished paths and ends the process, even if its threads are still busy.
pub(crate) fn remove_and_exit(code: i32) -> ! {
    // The lock is not released, so that no new path can be added.
    let paths = PATHS.lock().unwrap_or_else(PoisonError::into_inner);
    // In the list, a folder comes before its contents, so the list is processed from its end.
    for (path, removal) in paths.iter().rev() {
        // This is tried several times, because other threads may still write to the folder.
        let _ = (0..ATTEMPTS).find(|_| is_gone(path, *removal));
    }
    exit(code);
}

async fn next(number: i32, mut stream: Signal) -> (i32, Signal) {
    stream.recv().await;
    (number, stream)
}

/// Removes the path. Returns whether it no longer exists.
fn is_gone(path: &Path, removal: Removal) -> bool {
    if removal == Removal::IfEmpty {
        let _ = fs::remove_dir(path);
        return true;
    }
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.is_ok() || path.symlink_metadata().is_err()
}

#[expect(clippy::exit, reason = "a signal or a panic ends the process, whatever its threads are doing")]
fn exit(code: i32) -> ! {
    std::process::exit(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_folders_go_if_they_stay_empty_and_stay_if_they_are_filled() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("a/b/c");
        drop(NewFolders::make(&deep).unwrap());
        assert!(!home.path().join("a").exists());
        let made = NewFolders::make(&deep).unwrap();
        fs::write(home.path().join("a/mine"), "").unwrap();
        drop(made);
        assert!(home.path().join("a/mine").exists() && !home.path().join("a/b").exists());
        NewFolders::make(&deep).unwrap().keep();
        drop(NewFolders::make(&deep).unwrap());
        assert!(deep.is_dir(), "it was there before");
    }

    #[test]
    fn a_signal_that_nohup_ignores_stays_ignored() {
        let status = "Name:\tlath\nSigBlk:\t0000000000000003\nSigIgn:\t0000000000001001\n";
        assert!(is_ignored(status, HANGUP) && !is_ignored(status, INTERRUPT) && !is_ignored(status, TERMINATE));
        assert!(!is_ignored("", HANGUP));
    }
}
