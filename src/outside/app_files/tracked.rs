//! Lists the files of a folder that are in the index of git's repository, which means that git tracks them. No program
//! is started (docs/decisions/0167-the-index-of-git.md).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use fs_err as fs;

use crate::formats::git_index;

/// The index of a repository with two million files has about 200 MB.
const MAX_BYTES: u64 = 512 << 20;
/// The maximum number of bytes that are read from a text file of git, such as its `config`. These files have only a
/// few lines.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// Returns the files and links below `root` that git tracks, relative to `root`. `root` is canonical.
pub(crate) fn tracked(root: &Path) -> io::Result<Vec<PathBuf>> {
    let Some(top) = root.ancestors().find(|folder| folder.join(".git").exists()) else { return Ok(Vec::new()) };
    let git = git_folder(top)?;
    let path = git.join("index");
    let mut bytes = Vec::new();
    match opened(&path) {
        Ok(file) => file.take(MAX_BYTES).read_to_end(&mut bytes)?,
        // If there is no index, git tracks no files yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let inside = root.strip_prefix(top).unwrap_or(Path::new(""));
    // An index that another program wrote may contain a path twice.
    let mut found = BTreeSet::new();
    let mut add = |path: &[u8]| {
        let path = Path::new(OsStr::from_bytes(path));
        if let Ok(relative) = path.strip_prefix(inside)
            && is_there(root, relative)
        {
            found.insert(relative.to_owned());
        }
    };
    git_index::each_path(&bytes, hash_bytes(&git), &mut add)
        .map_err(|error| io::Error::other(format!("cannot read `{}`: {error}", path.display())))?;
    Ok(found.into_iter().collect())
}

/// Opens a file for reading. A pipe or a device is refused, because a read from it may never end.
fn opened(path: &Path) -> io::Result<fs::File> {
    if fs::metadata(path)?.is_file() {
        return fs::File::open(path);
    }
    Err(io::Error::other(format!("cannot read `{}`: it is not a file", path.display())))
}

/// Reads the beginning of one of git's text files.
fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    opened(path)?.take(MAX_TEXT_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Returns the folder of the repository's own files. If the working tree belongs to `git worktree` or to a submodule,
/// `.git` is a file that contains the path of this folder.
fn git_folder(top: &Path) -> io::Result<PathBuf> {
    let git = top.join(".git");
    if git.is_dir() {
        return Ok(git);
    }
    let text = text(&git)?;
    let path = text.strip_prefix("gitdir:").unwrap_or_default().trim();
    Ok(top.join(path))
}

/// Returns the length of the repository's hashes (git's documentation, "extensions.objectFormat").
fn hash_bytes(git: &Path) -> usize {
    // A working tree of `git worktree` uses the settings of the main working tree.
    let common = text(&git.join("commondir")).map(|path| git.join(path.trim())).unwrap_or(git.to_owned());
    let config = text(&common.join("config")).unwrap_or_default().to_lowercase();
    let is_sha256 = |line: &str| line.contains("objectformat") && line.contains("sha256");
    if config.lines().any(is_sha256) { 32 } else { 20 }
}

/// Returns whether there is a file or a link at `relative`. Returns false if a folder in `relative` is a link, because
/// a link could lead anywhere.
fn is_there(root: &Path, relative: &Path) -> bool {
    let is_plain = relative.components().all(|component| matches!(component, Component::Normal(_)));
    let is_folder = |folder: &Path| fs::symlink_metadata(root.join(folder)).is_ok_and(|metadata| metadata.is_dir());
    let mut above = relative.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    is_plain
        && relative.file_name().is_some()
        && above.all(is_folder)
        && fs::symlink_metadata(root.join(relative)).is_ok_and(|metadata| !metadata.is_dir())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns an index of version 2 with these paths.
    pub(crate) fn index(names: &[&str]) -> Vec<u8> {
        let mut bytes = [&b"DIRC\0\0\0\x02"[..], &u32::try_from(names.len()).unwrap().to_be_bytes()].concat();
        for name in names {
            let mut entry = [&[0; 62][..], name.as_bytes(), &[0]].concat();
            entry.resize(entry.len().next_multiple_of(8), 0);
            bytes.extend(entry);
        }
        bytes
    }

    fn write(folder: &Path, name: &str, bytes: &[u8]) {
        fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
    }

    #[test]
    fn only_files_of_the_folder_that_are_still_there_count() {
        let home = tempfile::tempdir().unwrap();
        let top = fs::canonicalize(home.path()).unwrap();
        for name in ["app/a.log", "app/data/b", "other/c", "outside/d"] {
            write(&top, name, b"");
        }
        fs::os::unix::fs::symlink(top.join("outside"), top.join("app/link")).unwrap();
        let names = ["app/../outside/d", "app/a.log", "app/data/b", "app/gone", "app/link", "app/link/d", "other/c"];
        write(&top, ".git/index", &index(&names));
        let of = |root: &Path| -> Vec<String> {
            tracked(root).unwrap().iter().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(of(&top.join("app")), ["a.log", "data/b", "link"]);
        assert_eq!(of(&top), ["app/a.log", "app/data/b", "app/link", "other/c"]);
        // In a working tree of `git worktree`, `.git` is a file.
        write(&top, "app/.git", b"gitdir: ../.git/worktrees/app\n");
        write(&top, ".git/worktrees/app/index", &index(&["a.log", "a.log"]));
        assert_eq!(of(&top.join("app")), ["a.log"]);
        // A file without an end must not fill the memory.
        fs::os::unix::fs::symlink("/dev/zero", top.join(".git/worktrees/app/commondir")).unwrap();
        assert_eq!(of(&top.join("app")), ["a.log"]);
        write(&top, ".git/worktrees/app/index", b"nothing");
        let said = || tracked(&top.join("app")).unwrap_err().to_string();
        assert!(said().ends_with("/index`: it is not the index of a git repository"), "{}", said());
        // A pipe that nobody writes to must not stop the build.
        let index = top.join(".git/worktrees/app/index");
        fs::remove_file(&index).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &index, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(said().ends_with("/index`: it is not a file"), "{}", said());
        assert_eq!(tracked(Path::new("/proc")).unwrap(), Vec::<PathBuf>::new());
    }
}
