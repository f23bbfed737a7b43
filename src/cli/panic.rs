//! Ends a panic with a message that a user can report, and with an exit code, in place of a backtrace.

use std::panic::{self, PanicHookInfo};
use std::sync::Mutex;

use crate::cli::failure::Failure;
use crate::cli::screen::Screen;
use crate::model::hint::{Hint, MachineHint};
use crate::outside::threads::is_thread_panic;
use crate::outside::unfinished::remove_and_exit;

/// The exit code for a bug in lath (`EX_SOFTWARE` of sysexits.h).
const BUG: u8 = 70;

/// The thread that panics first holds this lock until the process ends, so that only the message of this thread is
/// shown.
static FIRST: Mutex<()> = Mutex::new(());

#[derive(Debug)]
struct Panic {
    message: String,
    /// For example `src/steps/pack/mod.rs:12`.
    place: String,
}

/// From now on, a panic of any thread removes unfinished files, shows a message, and ends the process. The backtrace is
/// printed as well if `shows_backtrace` is set.
///
/// The stacks of the threads are not unwound, because the optimised program contains no code for unwinding.
pub(super) fn end_with_a_message(shows_backtrace: bool) {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let _first = FIRST.lock();
        if shows_backtrace {
            usual(info);
        }
        let failure = Panic::of(info).failure();
        Screen::plain().tell_failure(&failure);
        remove_and_exit(failure.exit_code.into());
    }));
}

impl Panic {
    fn of(info: &PanicHookInfo<'_>) -> Self {
        let message = info.payload_as_str().unwrap_or("a panic without a message").to_owned();
        let place = info.location().map_or_else(String::new, |place| format!("{}:{}", place.file(), place.line()));
        Self { message, place }
    }

    /// If the panic says that a thread cannot be started, the cause is a limit of the machine. Every other panic is a
    /// bug.
    fn failure(self) -> Failure {
        if is_thread_panic(&self.message) {
            return Failure::outside("cannot continue: a thread cannot be started", vec![self.message])
                .with_hints(vec![Hint::Machine(MachineHint::Threads).to_string()]);
        }
        let Self { message, place } = self;
        Failure::outside(format!("cannot continue: this is a bug in lath, at {place}"), vec![message])
            .with_exit_code(BUG)
            .with_hints(vec!["report it with the command line and this text".to_owned()])
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::outside::unfinished::Unfinished;

    const MARK: &str = "lath-unfinished-file";

    #[test]
    fn a_panic_is_a_bug_with_exit_code_70_and_a_want_of_threads_is_not() {
        let panic = |message: &str| Panic { message: message.to_owned(), place: "src/lib.rs:1".to_owned() };
        let failure = panic("one is not two").failure();
        let text = failure.to_string();
        assert_eq!(failure.exit_code, BUG);
        assert!(text.starts_with("error: cannot continue: this is a bug in lath, at src/lib.rs:1\n"), "{text}");
        assert!(text.contains("\n  cause: one is not two\n\nhint: report it"), "{text}");
        let failure = panic("failed to spawn thread: Os { code: 11 }").failure();
        let text = failure.to_string();
        assert_eq!(failure.exit_code, 1);
        assert!(text.contains("hint: raise the limit on processes and threads"), "{text}");
    }

    #[test]
    fn a_panic_of_any_thread_removes_unfinished_files_and_ends_the_process() {
        let home = tempfile::tempdir().unwrap();
        let mut program = Command::new(std::env::current_exe().unwrap());
        program.args(["--exact", "cli::panic::tests::panics_in_a_thread", "--ignored", "--nocapture"]);
        let ended = program.current_dir(home.path()).output().unwrap();
        let stderr = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(i32::from(BUG)), "{stderr}");
        assert_eq!(stderr.matches("error: cannot continue: this is a bug in lath, at src/cli/panic.rs:").count(), 1);
        assert!(stderr.contains("\n  cause: one is not two\n"), "{stderr}");
        assert!(!home.path().join(MARK).exists());
    }

    #[test]
    #[ignore = "ends its process; another test starts it"]
    fn panics_in_a_thread() {
        let file = std::env::current_dir().unwrap().join(MARK);
        std::fs::write(&file, "half").unwrap();
        let _unfinished = Unfinished::new(&file);
        end_with_a_message(false);
        let other = || std::thread::spawn(|| panic!("one is not two"));
        for thread in [other(), other()] {
            drop(thread.join());
        }
        panic!("the threads ended, and the process did not");
    }
}
