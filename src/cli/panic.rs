//! Replaces the backtrace of a panic by a message that a user can report, and an exit code.

use std::panic::{self, PanicHookInfo};
use std::sync::{Mutex, PoisonError};

use crate::cli::failure::Failure;
use crate::model::hint::{Hint, MachineHint};
use crate::outside::threads::is_thread_panic;

/// The exit code for a bug in lath (`EX_SOFTWARE` of sysexits.h).
const BUG: u8 = 70;

/// The first panic. Later ones are consequences of it.
static FIRST: Mutex<Option<Panic>> = Mutex::new(None);

#[derive(Debug, Clone)]
struct Panic {
    message: String,
    /// For example `src/steps/pack/mod.rs:12`.
    place: String,
}

/// Runs `work`. If it panics, or if a thread that it waits for panics, the panic is returned as a failure, and the
/// backtrace is printed if `shows_backtrace` is set.
pub(super) fn caught<T>(shows_backtrace: bool, work: impl FnOnce() -> T) -> Result<T, Failure> {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        FIRST.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| Panic::of(info));
        if shows_backtrace {
            usual(info);
        }
    }));
    panic::catch_unwind(panic::AssertUnwindSafe(work)).map_err(|_| {
        let first = FIRST.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.unwrap_or_else(Panic::unknown).failure()
    })
}

impl Panic {
    fn of(info: &PanicHookInfo<'_>) -> Self {
        let message = info.payload_as_str().unwrap_or("a panic without a message").to_owned();
        let place = info.location().map_or_else(String::new, |place| format!("{}:{}", place.file(), place.line()));
        Self { message, place }
    }

    fn unknown() -> Self {
        Self { message: "a panic without a message".to_owned(), place: String::new() }
    }

    /// A thread that cannot be started is a limit of the machine. Everything else is a bug.
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
    use super::*;

    #[test]
    fn a_panic_is_a_bug_with_exit_code_70_and_a_want_of_threads_is_not() {
        // Both cases are in one test, because the hook belongs to the process.
        let failure =
            caught(false, || std::thread::scope(|scope| scope.spawn(|| panic!("one is not two")).join().unwrap()));
        let failure = failure.unwrap_err();
        let text = failure.to_string();
        assert_eq!(failure.exit_code, BUG);
        assert!(text.starts_with("error: cannot continue: this is a bug in lath, at src/cli/panic.rs:"), "{text}");
        assert!(text.contains("\n  cause: one is not two\n\nhint: report it"), "{text}");
        let failure = caught(false, || panic!("failed to spawn thread: Os {{ code: 11 }}")).map(|()| 0).unwrap_err();
        let text = failure.to_string();
        assert_eq!(failure.exit_code, 1);
        assert!(text.contains("hint: raise the limit on processes and threads"), "{text}");
        assert_eq!(caught(false, || 7).unwrap(), 7);
        drop(panic::take_hook());
    }
}
