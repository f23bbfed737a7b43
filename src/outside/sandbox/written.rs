//! Opens files that a program in a sandbox has written.

use std::io;
use std::path::Path;

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::OFlags;

/// Opens a file that was written in the sandbox. Refuses links and pipes: the program may have created a link to a file
/// of the host, or a pipe that never ends.
pub(crate) fn open_written(path: &Path) -> io::Result<fs::File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = fs::OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, format!("`{}` is not a file", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_or_a_pipe_in_place_of_a_written_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("told"), "{}").unwrap();
        fs_err::os::unix::fs::symlink(path("told"), path("link")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), rustix::fs::Mode::RWXU).unwrap();
        assert!(open_written(&path("told")).is_ok());
        for name in ["link", "pipe", "missing", "."] {
            assert!(open_written(&path(name)).is_err(), "{name}");
        }
    }
}
