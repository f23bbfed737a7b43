//! Runs the driver: the release's own Python compiles files in the sandbox.

use std::io::{self, Read as _};
use std::path::Path;

use fs_err as fs;

use super::error::CompileError;
use crate::model::image_path::ImagePath;
use crate::model::python_home::Python;
use crate::outside::sandbox::open_written;
use crate::outside::sandbox::{Job, Sandbox};
use crate::outside::stage::Shown;

/// The Python script that compiles. Its docstring explains how.
pub(super) const DRIVER: &str = include_str!("driver.py");

/// The path at which the sandbox of the driver shows the tree of the image.
const IMAGE: &str = "/run/lath-image";

/// The trees of a run of the driver: `home` has the Python that compiles, and `image` has the files that are compiled.
/// Both may be the same tree.
pub(super) struct Trees<'a> {
    pub(super) home: Shown<'a>,
    pub(super) image: Shown<'a>,
    pub(super) python: Python<'a>,
}

/// Compiles `paths`. Returns for each file the size of its bytecode in bytes, or `None` if the file cannot be compiled.
/// The file that [`open_code`] opens contains the bytecode of all files, one after the other.
pub(super) fn drive(
    trees: Trees<'_>,
    paths: &[&ImagePath],
    work: &Path,
    sandbox: &Sandbox,
) -> Result<Vec<Option<u64>>, CompileError> {
    fs::write(work.join("files.json"), serde_json::to_vec(paths)?).map_err(CompileError::Folder)?;
    // With `-S`, Python does not import `site`. So the process contains only the objects of the interpreter itself, and
    // these do not depend on the image.
    let argv = [trees.python.program(), "-S".to_owned(), "-c".to_owned(), DRIVER.to_owned(), IMAGE.to_owned()];
    let env = [("PYTHONHASHSEED", "0"), ("PYTHONDONTWRITEBYTECODE", "1"), ("HOME", "/home/app"), ("LANG", "C.UTF-8")];
    // The driver reads only sources of the image.
    let sources = trees.image.files.into_iter().filter(|(_, path)| path.ends_with(".py"));
    let of_image = sources.map(|(file, path)| (file, format!("{IMAGE}{path}")));
    let job = Job {
        argv: argv.into(),
        env: env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        cwd: "/tmp".to_owned(),
        writable: vec![(work.to_owned(), "/work".to_owned())],
        readable: vec![(trees.image.root.to_owned(), IMAGE.to_owned())],
        files: trees.home.files.into_iter().chain(of_image).collect(),
        timeout_secs: 600,
        ..Job::default()
    };
    let outcome = sandbox.run(trees.home.root, &job)?;
    if outcome.exit_code != 0 {
        let said = String::from_utf8_lossy(&outcome.stderr).trim().to_owned();
        if let Some(source) = unwritable(&said) {
            return Err(CompileError::Write { path: work.to_owned(), source });
        }
        return Err(CompileError::Python { exit_code: outcome.exit_code, said });
    }
    let mut text = String::new();
    let read = open_written(work, "sizes.json").and_then(|mut file| file.read_to_string(&mut text));
    read.map_err(CompileError::Folder)?;
    Ok(serde_json::from_str(&text)?)
}

/// Opens the bytecode that the driver wrote into the folder `work`.
pub(super) fn open_code(work: &Path) -> Result<fs::File, CompileError> {
    open_written(work, "code").map_err(CompileError::Folder)
}

/// Returns the error of the operating system in the last line of a traceback of Python. `None` if the error is not
/// about writing.
fn unwritable(traceback: &str) -> Option<io::Error> {
    let number = traceback.lines().last()?.strip_prefix("OSError: [Errno ")?.split(']').next()?.parse().ok()?;
    let error = io::Error::from_raw_os_error(number);
    let is_of_disk = matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge
            | io::ErrorKind::ReadOnlyFilesystem
    );
    is_of_disk.then_some(error)
}

#[cfg(test)]
mod tests {
    use super::unwritable;

    #[test]
    fn a_traceback_that_ends_with_a_full_disk_is_an_error_of_the_disk() {
        let traceback = |last: &str| format!("Traceback (most recent call last):\n  File \"<string>\", line 9\n{last}");
        let kind = |last: &str| unwritable(&traceback(last)).map(|error| error.kind());
        assert_eq!(kind("OSError: [Errno 28] No space left on device"), Some(std::io::ErrorKind::StorageFull));
        assert_eq!(
            kind("OSError: [Errno 122] Disk quota exceeded: '/work/code'"),
            Some(std::io::ErrorKind::QuotaExceeded)
        );
        for last in ["ValueError: [Errno 28] x", "OSError: [Errno 5] Input/output error", "OSError: x", ""] {
            assert_eq!(kind(last), None, "{last}");
        }
    }
}
