//! Forwards the signals that lath receives while a program of the user runs in the sandbox.
//!
//! The program is the first process of its namespace. The kernel delivers a signal to such a process only if the
//! process has a handler for it. Some signals end every other program that has no handler for them. If this program
//! has no handler for such a signal, lath kills the program.

use std::cell::Cell;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use fs_err as fs;
use hakoniwa::{Child, ExitStatus};
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use super::Refusal;

const INTERRUPT: i32 = 2;
const QUIT: i32 = 3;

/// The signals that are forwarded: hang-up, interrupt, quit, the two user-defined signals, and terminate.
const PASSED: [i32; 6] = [1, INTERRUPT, QUIT, 10, 12, 15];

/// Calls `begin`. Then calls `deliver` for each signal that this process receives, until `end` returns a result.
pub(super) fn relay<B, T>(
    begin: impl FnOnce() -> B,
    mut end: impl FnMut(&mut B) -> Option<T>,
    mut deliver: impl FnMut(i32),
) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    // The signals get a handler and are not ignored, because a program inherits ignored signals.
    let mut streams = Vec::new();
    for number in PASSED {
        streams.push((number, signal(SignalKind::from_raw(number))?));
    }
    let mut begun = begin();
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    for (number, mut stream) in streams {
        let sender = sender.clone();
        runtime.spawn(async move { while stream.recv().await.is_some() && sender.send(number).is_ok() {} });
    }
    loop {
        if let Some(result) = end(&mut begun) {
            return Ok(result);
        }
        // The kernel also sends a signal when a child ends. A short pause is simpler than waiting for that signal.
        const PAUSE: Duration = Duration::from_millis(10);
        let next = runtime.block_on(async { tokio::time::timeout(PAUSE, received.recv()).await });
        if let Ok(Some(number)) = next {
            deliver(number);
        }
    }
}

/// Sends a signal to another process of lath. That process forwards the signal. Signals that come from a terminal are
/// not sent, because the terminal sends them to both processes.
pub(super) fn send(process: u32, number: i32) {
    if matches!(number, INTERRUPT | QUIT) && io::stdin().is_terminal() {
        return;
    }
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    if let (Some(process), Some(signal)) = (process, Signal::from_named_raw(number)) {
        // The process may already have ended.
        let _ = kill_process(process, signal);
    }
}

/// Runs `command`, forwards signals, and returns how it ended. `has_terminal` means that a terminal also sends its
/// signals directly to the program.
pub(super) fn run_forwarding(command: &mut hakoniwa::Command, has_terminal: bool) -> Result<ExitStatus, Refusal> {
    let failed = |error: String| Refusal::Run { cause: error };
    let ended_by = Cell::new(None);
    let warden = Cell::new(0);
    let status = relay(
        || {
            let child = command.spawn().map_err(|error| error.to_string())?;
            warden.set(child.id());
            Ok(child)
        },
        |child: &mut Result<Child, String>| match child {
            Ok(child) => child.try_wait().map_err(|error| error.to_string()).transpose(),
            Err(error) => Some(Err(std::mem::take(error))),
        },
        |number| {
            if pass(warden.get(), number, has_terminal) {
                ended_by.set(Some(number));
            }
        },
    );
    let status = status.map_err(|error| failed(error.to_string()))?.map_err(failed)?;
    Ok(match ended_by.get() {
        Some(number) if status.code == 128 + Signal::KILL.as_raw() => ExitStatus { code: 128 + number, ..status },
        _ => status,
    })
}

/// Forwards the signal to the program. If the program has no handler for the signal, kills the program instead. Returns
/// whether the program was killed.
fn pass(warden: u32, number: i32, has_terminal: bool) -> bool {
    let Some(program) = only_child(warden) else { return false };
    let status = fs::read_to_string(format!("/proc/{program}/status")).unwrap_or_default();
    let Some(pid) = i32::try_from(program).ok().and_then(Pid::from_raw) else { return false };
    match disposition(&status, number) {
        Disposition::Ignores => false,
        Disposition::Asks => {
            // The terminal has already sent these signals to the program.
            let is_sent = matches!(number, INTERRUPT | QUIT) && has_terminal;
            if let Some(signal) = Signal::from_named_raw(number).filter(|_| !is_sent) {
                // The program may already have ended.
                let _ = kill_process(pid, signal);
            }
            false
        }
        Disposition::Ends => kill_process(pid, Signal::KILL).is_ok(),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Disposition {
    Ignores,
    Asks,
    Ends,
}

/// Returns how a process handles a signal. `status` is the text of `/proc/PID/status` (proc_pid_status(5), `SigIgn` and
/// `SigCgt`).
fn disposition(status: &str, number: i32) -> Disposition {
    let has = |field: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix(field));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        mask >> (number - 1) & 1 == 1
    };
    match (has("SigIgn:"), has("SigCgt:")) {
        (true, _) => Disposition::Ignores,
        (_, true) => Disposition::Asks,
        _ => Disposition::Ends,
    }
}

/// Returns the process of the program. It is the only child of `warden`, the process in which hakoniwa waits.
fn only_child(warden: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{warden}/task/{warden}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_asked_for_ignored_or_ends_the_program() {
        let status = "Name:\tpython3\nSigIgn:\t0000000001001000\nSigCgt:\t0000000000000002\n";
        assert_eq!(disposition(status, INTERRUPT), Disposition::Asks);
        assert_eq!(disposition(status, 13), Disposition::Ignores);
        assert_eq!(disposition(status, 15), Disposition::Ends);
    }

    #[test]
    fn the_child_of_a_process_is_found() {
        let mut child = std::process::Command::new("sleep").arg("10").spawn().unwrap();
        let thread = fs::read_link("/proc/thread-self").unwrap();
        let id: u32 = thread.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let children = fs::read_to_string(format!("/proc/self/task/{id}/children")).unwrap();
        assert!(children.split_whitespace().any(|one| one == child.id().to_string()), "{children}");
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(only_child(u32::MAX), None);
    }
}
