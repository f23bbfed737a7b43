//! The real path of a destination. Links are followed, and two spellings of one path are detected.

use std::path::{Path, PathBuf};

use fs_err as fs;

use super::EmitError;

/// If a path leads through more links than this, lath assumes that the links form a circle (`MAXSYMLINKS` of Linux).
const MOST_LINKS: usize = 40;

/// A place that lath writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The path as the user typed it.
    pub(super) typed: PathBuf,
    /// The same path. If it is a link, the target of the link.
    pub(super) path: PathBuf,
    /// The absolute path without links. It is unique for each place.
    identity: PathBuf,
}

impl Place {
    /// Follows `typed` to its file, which may be missing. Like `cp`, lath writes to the target of a link.
    pub(super) fn of(typed: &Path) -> Result<Self, EmitError> {
        let failed = |source| EmitError::Write { path: typed.to_owned(), source };
        let mut path = typed.to_owned();
        for _ in 0..MOST_LINKS {
            // A link in `/proc` to a file that a process has open is not followed, because no file can be created
            // beside it.
            let Some(target) = fs::read_link(&path).ok().filter(|_| !path.starts_with("/proc")) else {
                let identity = identity(&path).map_err(failed)?;
                return Ok(Self { typed: typed.to_owned(), path, identity });
            };
            // Some systems do not follow a link that another user made in a shared folder (proc_sys_fs(5),
            // `protected_symlinks`).
            if let Err(error) = fs::metadata(&path)
                && error.kind() == std::io::ErrorKind::PermissionDenied
            {
                return Err(failed(error));
            }
            path = path.parent().map_or_else(|| target.clone(), |folder| folder.join(&target));
        }
        Err(EmitError::Refused { path: typed.to_owned(), problem: "it is a link that leads back to itself" })
    }

    /// Whether the user named a link. A link in `/proc` does not count, because it refers to a file that a process has
    /// open.
    pub(super) fn is_link(&self) -> bool {
        self.typed != self.path && !self.path.starts_with("/proc")
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    /// Whether this place is in `folder`.
    pub(super) fn is_in(&self, folder: &Self) -> bool {
        self.identity != folder.identity && self.identity.starts_with(&folder.identity)
    }
}

/// Returns the path without links and dots. Its end may be missing.
fn identity(path: &Path) -> std::io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    if absolute.starts_with("/proc") {
        return Ok(absolute);
    }
    let is_there = |above: &&Path| above.exists();
    let Some(there) = absolute.ancestors().find(is_there) else { return Ok(absolute) };
    let missing = absolute.strip_prefix(there).unwrap_or(Path::new(""));
    let there = fs::canonicalize(there)?;
    Ok(if missing.as_os_str().is_empty() { there } else { there.join(missing) })
}

#[cfg(test)]
mod tests {
    use fs_err::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_and_spellings_of_one_path_are_one_place() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        fs::create_dir_all(at("real/deep")).unwrap();
        for (target, link) in [("real", "folder"), ("real/a.tar", "a.tar"), ("a.tar", "b.tar"), ("circle", "circle")] {
            symlink(target, at(link)).unwrap();
        }
        let place = |name: &str| Place::of(&at(name)).unwrap();
        assert_eq!(place("b.tar").path, at("real/a.tar"));
        assert!(place("b.tar").is_link() && !place("real/a.tar").is_link());
        for spelling in ["b.tar", "a.tar", "folder/a.tar", "./real/a.tar", "real//a.tar", "real/deep/../a.tar"] {
            assert!(place(spelling).is_same(&place("real/a.tar")), "{spelling}");
        }
        assert!(!place("real/b.tar").is_same(&place("real/a.tar")));
        assert!(place("folder/x").is_in(&place("real")) && !place("real").is_in(&place("real")));
        assert!(!place("realx").is_in(&place("real")));
        let error = Place::of(&at("circle")).unwrap_err();
        assert!(error.to_string().ends_with("it is a link that leads back to itself"), "{error}");
    }
}
