//! Runs a program, passes on its output line by line, and waits for its end.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::model::event::{Event, Listener};

/// The number of lines that an error shows from the end of a failed program's output.
const TAIL_LINES: usize = 20;

/// The maximum length of a line in bytes. Without a limit, a program that writes no line breaks could fill the memory.
const LINE_BYTES: u64 = 1 << 16;

const POLL: Duration = Duration::from_millis(20);

/// The end of a program, its output on stdout, and its last lines.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) status: Option<ExitStatus>,
    /// Everything on stdout, trimmed.
    pub(super) stdout: String,
    /// The last lines of stdout and stderr.
    pub(super) tail: String,
}

impl Ended {
    pub(super) fn is_success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// Describes how the program ended, such as `ended with exit code 1`.
    pub(super) fn how(&self) -> String {
        match self.status.map(|status| status.code()) {
            None => "did not end in time".to_owned(),
            Some(Some(code)) => format!("ended with exit code {code}"),
            Some(None) => "was killed by a signal".to_owned(),
        }
    }
}

/// Runs `command` with an empty input, for at most `limit`. If there is a `listener`, passes the output to it while the
/// program runs.
pub(super) fn run(command: &mut Command, limit: Duration, listener: Option<&dyn Listener>) -> std::io::Result<Ended> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let tail = Mutex::new(VecDeque::new());
    let (status, said) = std::thread::scope(|scope| {
        let out = scope.spawn(|| stdout.map(|pipe| hear(pipe, &tail, listener)).unwrap_or_default());
        let err = scope.spawn(|| stderr.map(|pipe| hear(pipe, &tail, listener)).unwrap_or_default());
        let began = Instant::now();
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break Ok(Some(status)),
                Ok(None) if began.elapsed() > limit => {
                    // An error is ignored, because it only means that the program has ended by itself.
                    let _ = child.kill();
                    break child.wait().map(|_| None);
                }
                Ok(None) => std::thread::sleep(POLL),
                Err(error) => break Err(error),
            }
        };
        let said = out.join().unwrap_or_default();
        drop(err.join());
        (status, said)
    });
    let tail = tail.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Ended { status: status?, stdout: said, tail: Vec::from(tail).join("\n") })
}

/// Reads all lines of `pipe`. If there is a listener, passes the lines to it. Otherwise returns the lines.
fn hear(pipe: impl Read, tail: &Mutex<VecDeque<String>>, listener: Option<&dyn Listener>) -> String {
    let mut reader = BufReader::new(pipe);
    let mut all = String::new();
    loop {
        let mut bytes = Vec::new();
        match reader.by_ref().take(LINE_BYTES).read_until(b'\n', &mut bytes) {
            Ok(0) | Err(_) => return all.trim().to_owned(),
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&bytes);
        // A progress bar writes `\r`, and then its line again. Only the last state of the line is kept.
        let line = line.trim_end().rsplit('\r').next().unwrap_or_default().to_owned();
        if line.is_empty() {
            continue;
        }
        if let Some(listener) = listener {
            listener.hear(Event::Output(line.clone()));
        } else {
            all.push_str(&line);
            all.push('\n');
        }
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn shell(line: &str, limit: Duration) -> Ended {
        run(Command::new("/bin/sh").args(["-c", line]), limit, None).unwrap()
    }

    #[test]
    fn both_outputs_are_heard_and_the_end_is_told() {
        let ended = shell("echo out; echo err >&2; exit 3", LIMIT);
        assert_eq!((ended.stdout.as_str(), ended.how().as_str()), ("out", "ended with exit code 3"));
        assert!(ended.tail.contains("out") && ended.tail.contains("err"), "{ended:?}");
        assert_eq!(shell("kill -9 $$", LIMIT).how(), "was killed by a signal");
    }

    #[test]
    fn only_the_last_lines_are_kept_for_an_error() {
        let ended = shell("for n in $(seq 100); do echo $n; done", LIMIT);
        assert!(ended.tail.starts_with("81\n") && ended.tail.ends_with("\n100"), "{}", ended.tail);
    }

    #[test]
    fn a_program_that_never_ends_is_ended() {
        let ended = shell("exec sleep 60", Duration::from_millis(50));
        assert!(!ended.is_success());
        assert_eq!(ended.how(), "did not end in time");
    }
}
