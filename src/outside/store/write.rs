//! Writes one file of a tree that is laid out.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fs_err as fs;

/// Writes the file `path` with mode 0644, or 0755 if it is executable.
pub(super) fn write(contents: &mut dyn io::Read, path: &Path, executable: bool) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    io::copy(&mut io::BufReader::with_capacity(128 << 10, contents), &mut file)?;
    let mode = if executable { 0o755 } else { 0o644 };
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}
