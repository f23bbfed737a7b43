//! Opens files that a program in a sandbox has written. The program may also have created links to files of the host, or
//! pipes that never end. So after a program has run, nothing is opened by path in a folder to which it could write, and
//! nothing is written there.

use std::io;
use std::path::Path;

use fs_err as fs;
use rustix::fs::{Mode, OFlags, open, openat};

/// Opens the file `name` in `folder`, to which a program in the sandbox could write. `name` may contain folders. Refuses
/// links and pipes, also among these folders.
pub(crate) fn open_written(folder: &Path, name: &str) -> io::Result<fs::File> {
    let refused = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("`{name}` is {what}"));
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut opened = open(folder, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    for part in name.split('/') {
        if matches!(part, "" | "." | "..") {
            return Err(refused("not a path below the folder"));
        }
        // If a part before the last one is not a folder, the next call fails.
        opened = openat(&opened, part, flags, Mode::empty())?;
    }
    let file = fs::File::from_parts(std::fs::File::from(opened), folder.join(name));
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(refused("not a file")),
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
        fs::create_dir(path("out")).unwrap();
        fs::write(path("out/told"), "{}").unwrap();
        fs_err::os::unix::fs::symlink(path("told"), path("link")).unwrap();
        fs_err::os::unix::fs::symlink(path("out"), path("folder")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), rustix::fs::Mode::RWXU).unwrap();
        assert!(open_written(folder.path(), "told").is_ok() && open_written(folder.path(), "out/told").is_ok());
        for name in ["link", "pipe", "missing", ".", "", "out", "folder/told", "out/../told", "told/x", "/etc/passwd"] {
            assert!(open_written(folder.path(), name).is_err(), "{name}");
        }
    }
}
