//! The build context: a temporary folder with the Dockerfile, and with a copy of all files that the Dockerfile copies.
//!
//! Nothing is written outside of the temporary folder. A target must not leave the folder by its path or through a link
//! that was copied earlier, because then lath would overwrite files of the user.

use std::io;
use std::path::{Component, Path, PathBuf};

use fs_err as fs;

use super::BuildJob;
use crate::rivals::model::dockerfile::{ContextContents, Mounts};

/// Creates the folder and writes its files.
pub(super) fn context(job: &BuildJob<'_>) -> io::Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    for file in job.context {
        let target = target(folder.path(), &file.path)?;
        match &file.contents {
            ContextContents::Folder(archive) => unpack(&job.store.parcel_path(archive), &target)?,
            ContextContents::File(source) => {
                free(&target)?;
                fs::copy(source, &target)?;
            }
            ContextContents::Tree(source) => copy(source, &target)?,
            ContextContents::Link(link) => {
                free(&target)?;
                fs::os::unix::fs::symlink(link, &target)?;
            }
        }
    }
    // These files are written last, so that they replace files of the application with the same names.
    if let (Some(file), Mounts::Unknown) = (job.certificates, job.mounts) {
        let target = target(folder.path(), Path::new("ca.crt"))?;
        free(&target)?;
        fs::copy(file, target)?;
    }
    let dockerfile = target(folder.path(), Path::new("Dockerfile"))?;
    free(&dockerfile)?;
    fs::write(dockerfile, job.text)?;
    Ok(folder)
}

/// Returns the path of a file below `folder`, and creates the folder of the file. Refuses a path that leads out of
/// `folder`.
fn target(folder: &Path, path: &Path) -> io::Result<PathBuf> {
    let outside = || {
        let message = format!("`{}` is outside the folder that is built", path.display());
        io::Error::new(io::ErrorKind::InvalidInput, message)
    };
    if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(outside());
    }
    let target = folder.join(path);
    let parent = match target.parent() {
        Some(parent) if target != folder => parent,
        _ => folder,
    };
    // A part of the path can be a link that was copied earlier.
    let there = parent.ancestors().find(|part| fs::symlink_metadata(part).is_ok()).unwrap_or(folder);
    if !fs::canonicalize(there)?.starts_with(fs::canonicalize(folder)?) {
        return Err(outside());
    }
    fs::create_dir_all(parent)?;
    Ok(target)
}

/// Removes the file or link at `target`, because writing to a link would change the file to which it leads.
fn free(target: &Path) -> io::Result<()> {
    match fs::symlink_metadata(target) {
        Ok(found) if !found.is_dir() => fs::remove_file(target),
        _ => Ok(()),
    }
}

/// Unpacks an archive that lath made of a source folder. The first component of each path is left out.
fn unpack(archive: &Path, to: &Path) -> io::Result<()> {
    for entry in tar::Archive::new(io::BufReader::new(fs::File::open(archive)?)).entries()? {
        let mut entry = entry?;
        let target = to.join(entry.path()?.components().skip(1).collect::<PathBuf>());
        fs::create_dir_all(target.parent().unwrap_or(to))?;
        entry.unpack(target)?;
    }
    // The archive contains no empty folders. But these two folders may be empty, and git refuses a repository without
    // them.
    if to.join(".git").is_dir() {
        for folder in [".git/refs/heads", ".git/objects"] {
            fs::create_dir_all(to.join(folder))?;
        }
    }
    Ok(())
}

/// Copies a file, or a directory with its contents. Links are copied as links.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    free(to)?;
    let kind = fs::symlink_metadata(from)?.file_type();
    if kind.is_symlink() {
        return fs::os::unix::fs::symlink(fs::read_link(from)?, to);
    }
    if !kind.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_target_is_outside_the_folder() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = folder.path();
        fs::os::unix::fs::symlink(other.path(), folder.join("link")).unwrap();
        assert_eq!(target(folder, Path::new("a/./b")).unwrap(), folder.join("a/./b"));
        assert_eq!(target(folder, Path::new(".")).unwrap(), folder.join("."));
        for path in ["/etc/hosts", "../x", "a/../../x", "link/x", "link/new/x"] {
            let error = target(folder, Path::new(path)).unwrap_err().to_string();
            assert_eq!(error, format!("`{path}` is outside the folder that is built"));
        }
        assert!(!other.path().join("new").exists());
    }

    #[test]
    fn a_copy_replaces_a_link_and_not_the_file_to_which_it_leads() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("own"), "bytes of the user").unwrap();
        fs::create_dir_all(path("context")).unwrap();
        fs::os::unix::fs::symlink(path("own"), path("context/own")).unwrap();
        copy(&path("own"), &path("context/own")).unwrap();
        assert_eq!(fs::read_to_string(path("own")).unwrap(), "bytes of the user");
        assert_eq!(fs::read_to_string(path("context/own")).unwrap(), "bytes of the user");
        assert!(!path("context/own").is_symlink());
    }
}
