//! The binary. All of its code is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(lath::run(std::env::args_os()))
}
