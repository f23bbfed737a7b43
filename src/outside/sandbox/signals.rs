//! Signals that reach lath while a program of the user's runs in the sandbox.
//!
//! The program is the first process of its namespace, and the kernel gives such a one only the signals that it has
//! asked for. What would end any other program ends it here, too.

use std::io::IsTerminal as _;
use std::time::Duration;

use fs_err as fs;
use hakoniwa::ExitStatus;
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use super::SandboxError;
use crate::outside::unfinished::Foreground;

const INTERRUPT: i32 = 2;
const QUIT: i32 = 3;

/// What is passed on: hang-up, interrupt, quit, the two of the user's, and terminate.
const PASSED: [i32; 6] = [1, INTERRUPT, QUIT, 10, 12, 15];

/// Runs `command`, passes signals on, and returns what it came to.
pub(super) fn run_forwarding(command: &mut hakoniwa::Command, program: &str) -> Result<ExitStatus, SandboxError> {
    let _foreground = Foreground::new();
    let io = |source| SandboxError::Io { program: program.to_owned(), source };
    let failed = |source| SandboxError::Run { program: program.to_owned(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io)?;
    let _entered = runtime.enter();
    // A handler, not an ignored signal: what is ignored stays so in the program.
    let mut streams = Vec::new();
    for number in PASSED {
        streams.push((number, signal(SignalKind::from_raw(number)).map_err(io)?));
    }
    let mut child = command.spawn().map_err(failed)?;
    let warden = child.id();
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    for (number, mut stream) in streams {
        let sender = sender.clone();
        runtime.spawn(async move { while stream.recv().await.is_some() && sender.send(number).is_ok() {} });
    }
    let mut ended_by = None;
    loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            return Ok(match ended_by {
                Some(number) if status.code == 128 + Signal::KILL.as_raw() => {
                    ExitStatus { code: 128 + number, ..status }
                }
                _ => status,
            });
        }
        // The kernel tells of the child's end by a signal too; a pause that is no longer than this keeps it simple.
        const PAUSE: Duration = Duration::from_millis(10);
        let next = runtime.block_on(async { tokio::time::timeout(PAUSE, received.recv()).await });
        if let Ok(Some(number)) = next
            && pass(warden, number)
        {
            ended_by = Some(number);
        }
    }
}

/// Gives the signal to the program; whether it was ended for having nothing to say to it.
fn pass(warden: u32, number: i32) -> bool {
    let Some(program) = only_child(warden) else { return false };
    let status = fs::read_to_string(format!("/proc/{program}/status")).unwrap_or_default();
    let Some(pid) = i32::try_from(program).ok().and_then(Pid::from_raw) else { return false };
    match disposition(&status, number) {
        Disposition::Ignores => false,
        Disposition::Asks => {
            // A terminal has sent these to the program already.
            let is_sent = matches!(number, INTERRUPT | QUIT) && std::io::stdin().is_terminal();
            if let Some(signal) = Signal::from_named_raw(number).filter(|_| !is_sent) {
                // It may have ended meanwhile.
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

/// What `/proc/PID/status` says (proc_pid_status(5), `SigIgn` and `SigCgt`).
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

/// The program's process: the only child of the one that hakoniwa waits in.
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
