//! The configuration files on this machine: `lath.toml`, and `pyproject.toml` if it has a table `[tool.lath]`. This
//! module finds and reads the files. `cli` parses the settings in them.

use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use fs_err as fs;
use thiserror::Error;

use crate::model::hint::Hints;

/// The name of a file that contains only settings of lath.
pub(crate) const OWN: &str = "lath.toml";
/// The name of the file of a Python project.
pub(crate) const PYPROJECT: &str = "pyproject.toml";

/// A larger file is not a configuration.
const LIMIT_BYTES: u64 = 4 << 20;

/// A file and its contents.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ConfigFile {
    /// The path that is shown to the user.
    pub(crate) path: PathBuf,
    /// The folder of the file. The path is empty if the file is in the current folder.
    pub(crate) folder: PathBuf,
    pub(crate) text: String,
}

#[derive(Debug, Error)]
pub(crate) enum ConfigFileError {
    #[error("cannot find the current folder")]
    CurrentFolder(#[source] io::Error),
    #[error("cannot read the configuration file `{path}`")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot read the configuration file `{path}`: it is larger than {} MiB", LIMIT_BYTES >> 20)]
    TooLarge { path: PathBuf },
}

impl Hints for ConfigFileError {}

impl ConfigFile {
    /// Reads the file at `path`.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigFileError> {
        let failed = |source| ConfigFileError::Read { path: path.to_owned(), source };
        let mut text = String::new();
        let file = fs::File::open(path).map_err(failed)?;
        let read = file.take(LIMIT_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
        if read as u64 > LIMIT_BYTES {
            return Err(ConfigFileError::TooLarge { path: path.to_owned() });
        }
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Self { path: path.to_owned(), folder, text })
    }

    /// Whether the file is a `pyproject.toml`. Such a file has lath's settings in the table `[tool.lath]`.
    pub(crate) fn is_pyproject(&self) -> bool {
        self.path.file_name() == Some(OsStr::new(PYPROJECT))
    }

    /// Whether the file has settings of lath. If a `pyproject.toml` cannot be parsed, the result is true only if the
    /// file contains the word `lath`.
    fn has_settings(&self) -> bool {
        let table = || toml::from_str::<toml::Table>(&self.text);
        !self.is_pyproject()
            || self.text.contains("lath")
                && table().map_or(true, |table| table.get("tool").is_some_and(|tool| tool.get("lath").is_some()))
    }
}

/// Reads the file of the project in `folder`: its `lath.toml`, or else its `pyproject.toml` if it has settings of lath.
pub(crate) fn in_folder(folder: &Path) -> Result<Option<ConfigFile>, ConfigFileError> {
    for name in [OWN, PYPROJECT] {
        let path = folder.join(name);
        if path.is_file() {
            let file = ConfigFile::read(&path)?;
            if file.has_settings() {
                return Ok(Some(file));
            }
        }
    }
    Ok(None)
}

/// Reads the file of the project that contains the current folder. The parent folders are searched up to the root of
/// the repository. If the current folder is not in a repository, no parent folder is searched, because it may contain
/// a file of another user.
pub(crate) fn around() -> Result<Option<ConfigFile>, ConfigFileError> {
    let current = std::env::current_dir().map_err(ConfigFileError::CurrentFolder)?;
    if let Some(file) = in_folder(Path::new(""))? {
        return Ok(Some(file));
    }
    let Some(root) = repository_of(&current) else { return Ok(None) };
    for folder in current.ancestors().skip(1).take_while(|folder| folder.starts_with(&root)) {
        if let Some(file) = in_folder(folder)? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// Returns the root of the repository that contains `folder`, if there is one.
fn repository_of(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().find(|folder| folder.join(".git").exists()).map(Path::to_owned)
}

/// Returns the folder that contains all files which a project may use. This is the root of the repository that contains
/// `folder`, or `folder` itself if there is no repository.
pub(crate) fn realm_of(folder: &Path) -> Result<PathBuf, ConfigFileError> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let read = |source| ConfigFileError::Read { path: folder.to_owned(), source };
    let folder = fs::canonicalize(folder).map_err(read)?;
    Ok(repository_of(&folder).unwrap_or(folder))
}

/// Whether `path` is in the folder `realm` after all symbolic links in `path` were followed. Returns false for paths
/// in `.git`, because `.git` contains programs that git starts, and may contain passwords. The path does not have to
/// exist.
pub(crate) fn is_within(path: &Path, realm: &Path) -> bool {
    let Ok(current) = std::env::current_dir() else { return false };
    let whole = current.join(path);
    let mut existing = whole.as_path();
    while !existing.exists() && existing.symlink_metadata().is_err() {
        let Some(parent) = existing.parent() else { return false };
        existing = parent;
    }
    let missing = whole.strip_prefix(existing).unwrap_or(Path::new(""));
    // If a folder does not exist yet, a `..` after it could lead anywhere.
    let is_plain = missing.components().all(|component| matches!(component, Component::Normal(_)));
    let Ok(existing) = fs::canonicalize(existing) else { return false };
    let is_git = |component: Component<'_>| component.as_os_str().eq_ignore_ascii_case(".git");
    is_plain && existing.starts_with(realm) && !existing.join(missing).components().any(is_git)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn a_pyproject_counts_only_if_it_has_the_table() {
        type Row = (&'static [(&'static str, &'static str)], Option<&'static str>);
        let table: [Row; 8] = [
            (&[], None),
            (&[(OWN, "")], Some(OWN)),
            (&[(PYPROJECT, "[tool.lath]\n")], Some(PYPROJECT)),
            (&[(PYPROJECT, "tool.lath.with = ['git']\n")], Some(PYPROJECT)),
            (&[(PYPROJECT, "[tool.uv]\n# lath is not used\n")], None),
            (&[(OWN, ""), (PYPROJECT, "[tool.lath]\n")], Some(OWN)),
            (&[(PYPROJECT, "[broken\n")], None),
            (&[(PYPROJECT, "[tool.lath]\n[broken\n")], Some(PYPROJECT)),
        ];
        for (files, expected) in table {
            let folder = folder_with(files);
            let found = in_folder(folder.path()).unwrap();
            assert_eq!(found.map(|file| file.path), expected.map(|name| folder.path().join(name)), "{files:?}");
        }
    }

    #[test]
    fn a_file_that_is_too_large_or_no_text_is_refused_by_name() {
        let folder = folder_with(&[("large/lath.toml", &" ".repeat((LIMIT_BYTES + 1) as usize))]);
        let error = in_folder(&folder.path().join("large")).unwrap_err().to_string();
        assert!(error.ends_with("large/lath.toml`: it is larger than 4 MiB"), "{error}");
        fs::write(folder.path().join(OWN), [0xff, 0xfe]).unwrap();
        let error = in_folder(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("cannot read the configuration file `/") && error.ends_with("lath.toml`"), "{error}");
    }

    #[test]
    fn a_path_that_leaves_the_repository_is_not_within_it() {
        let folder = folder_with(&[("repository/.git/x", ""), ("repository/a/b", ""), ("other/x", "")]);
        let at = |name: &str| folder.path().join(name);
        fs_err::os::unix::fs::symlink("../other", at("repository/link")).unwrap();
        fs_err::os::unix::fs::symlink("../gone", at("repository/broken")).unwrap();
        fs_err::os::unix::fs::symlink(".git", at("repository/data")).unwrap();
        let realm = realm_of(&at("repository/a")).unwrap();
        assert_eq!(realm, fs::canonicalize(at("repository")).unwrap());
        let table = [
            ("repository/a/b", true),
            ("repository/a/new/file.tar", true),
            ("repository/a/../new", true),
            ("repository", true),
            ("repository/../other/x", false),
            ("repository/new/../../../etc", false),
            ("repository/link/x", false),
            ("repository/link/new", false),
            ("repository/broken", false),
            ("repository/.git", false),
            ("repository/.git/hooks/new", false),
            ("repository/new/.GIT/x", false),
            ("repository/data/x", false),
            ("other/x", false),
            ("/etc/passwd", false),
        ];
        for (path, expected) in table {
            assert_eq!(is_within(&at(path), &realm), expected, "{path}");
        }
        assert_eq!(realm_of(&at("other")).unwrap(), fs::canonicalize(at("other")).unwrap());
    }
}
