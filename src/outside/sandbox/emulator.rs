//! Runs programs that are built for another processor. Either the kernel starts an emulator itself (binfmt_misc), or
//! qemu's user mode emulator is mounted into the sandbox.

use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::formats::elf;
use crate::model::platform::Architecture;

/// How a program is started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Emulation {
    /// The program is for this machine's processor.
    #[default]
    None,
    /// The kernel starts an emulator, whose file it keeps open. So child processes are emulated as well.
    Kernel,
    /// This static emulator starts the program. Processes that the program starts are not emulated.
    Program(PathBuf),
}

const REGISTRATIONS: &str = "/proc/sys/fs/binfmt_misc";

/// Finds out how programs for `architecture` can be run. The error is the reason why they cannot be run.
pub(super) fn find(architecture: Architecture, search_path: &[PathBuf]) -> Result<Emulation, String> {
    if Architecture::of_host() == Some(architecture) {
        return Ok(Emulation::None);
    }
    let machine = architecture.machine();
    let registered = fs::read_to_string(Path::new(REGISTRATIONS).join(format!("qemu-{machine}"))).unwrap_or_default();
    let (is_open, interpreter) = registration(&registered);
    if is_open {
        return Ok(Emulation::Kernel);
    }
    let names = [format!("qemu-{machine}-static"), format!("qemu-{machine}")];
    let found = search_path.iter().flat_map(|directory| names.iter().map(|name| directory.join(name)));
    let mut reason = format!("there is neither `{}` nor a registration in binfmt_misc", names[0]);
    for candidate in found.chain(interpreter).filter(|candidate| candidate.is_file()) {
        match fs::read(&candidate).map(|bytes| elf::parse(&bytes)) {
            Ok(Ok(Some(program))) if program.interpreter.is_none() => return Ok(Emulation::Program(candidate)),
            Ok(Ok(Some(_))) => reason = format!("`{}` is not static", candidate.display()),
            _ => reason = format!("`{}` is not a program", candidate.display()),
        }
    }
    Err(reason)
}

/// Reads a registration (the kernel's Documentation/admin-guide/binfmt-misc.rst). Returns whether the emulator works in
/// every root (flag `F`), and the emulator's path.
fn registration(text: &str) -> (bool, Option<PathBuf>) {
    let is_enabled = text.lines().next() == Some("enabled");
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let is_open = is_enabled && field("flags:").is_some_and(|flags| flags.contains('F'));
    (is_open, field("interpreter ").filter(|_| is_enabled).map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: Architecture = if cfg!(target_arch = "aarch64") { Architecture::Amd64 } else { Architecture::Arm64 };

    #[test]
    fn a_registration_counts_where_it_is_enabled_and_holds_its_file() {
        let text = |state: &str, flags: &str| format!("{state}\ninterpreter /usr/bin/qemu\nflags: {flags}\noffset 0\n");
        let path = Some(PathBuf::from("/usr/bin/qemu"));
        assert_eq!(registration(&text("enabled", "POCF")), (true, path.clone()));
        assert_eq!(registration(&text("enabled", "PO")), (false, path));
        assert_eq!(registration(&text("disabled", "F")), (false, None));
        assert_eq!(registration(""), (false, None));
    }

    #[test]
    fn a_program_that_is_no_static_emulator_is_not_taken() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(format!("qemu-{}", OTHER.machine())), "#!/bin/sh\n").unwrap();
        if let Err(reason) = find(OTHER, &[home.path().to_owned()]) {
            assert!(reason.contains("is not a program"), "{reason}");
        }
    }
}
