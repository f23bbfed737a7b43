//! Files and folders that are not finished: forgotten once they are, removed when a signal ends the process before.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use fs_err as fs;
use tokio::signal::unix::{SignalKind, signal};

static PATHS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
static PROGRAMS: AtomicUsize = AtomicUsize::new(0);
static WATCH: Once = Once::new();
/// How often what is unfinished is removed before it is left.
const ATTEMPTS: usize = 20;

/// Stands for one path that has to go if the process is ended now.
#[derive(Debug)]
pub(crate) struct Unfinished(PathBuf);

impl Unfinished {
    pub(crate) fn new(path: &Path) -> Self {
        PATHS.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
        Self(path.to_owned())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        PATHS.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// While one lives, signals are left to whoever passes them on to the program that has the terminal.
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

/// From now on, SIGINT and SIGTERM remove what is unfinished and end the process with 128 and the signal's number,
/// as shells tell it. Programs in the sandbox end with their parent.
pub(crate) fn watch_signals() {
    WATCH.call_once(|| {
        // Without a thread or a runtime the signals do what they always do.
        let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(wait);
    });
}

fn wait() {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    let number = runtime.block_on(async {
        let kinds = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
        let (Ok(mut interrupt), Ok(mut terminate)) = kinds else { return None };
        loop {
            tokio::select! {
                _ = interrupt.recv() => if PROGRAMS.load(Ordering::Relaxed) == 0 { return Some(2) },
                _ = terminate.recv() => if PROGRAMS.load(Ordering::Relaxed) == 0 { return Some(15) },
            }
        }
    });
    let Some(number) = number else { return };
    // The lock stays held: nobody begins anything new.
    let paths = PATHS.lock().unwrap_or_else(PoisonError::into_inner);
    for path in paths.iter() {
        // Other threads may still put something there.
        let _ = (0..ATTEMPTS).find(|_| is_gone(path));
    }
    exit(number);
}

/// Removes the path, and says whether nothing is there any more.
fn is_gone(path: &Path) -> bool {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.is_ok() || path.symlink_metadata().is_err()
}

#[expect(clippy::exit, reason = "a signal ends the process, whatever its threads are at")]
fn exit(signal: i32) -> ! {
    std::process::exit(128 + signal)
}
