//! A folder with the files of a lock. `SHA256SUMS` lists these files, in the format of sha256sum(1).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use thiserror::Error;

use crate::model::digest::Digest;
use crate::model::hint::{Hint, Hints, LockHint};
use crate::outside::store::{Store, StoreError};

const LIST: &str = "SHA256SUMS";

/// The first line of a list that lath wrote. sha256sum(1) ignores it.
const MARK: &str = "# The files of a lock of lath";

#[derive(Debug, Error)]
pub(crate) enum VendorError {
    #[error("cannot use the folder `{folder}`: it has no `{LIST}`")]
    NoList { folder: PathBuf },
    #[error("cannot write the files of the lock into `{folder}`: lath did not write its `{LIST}`; name another folder")]
    Foreign { folder: PathBuf },
    #[error("cannot read `{path}`")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot read `{path}`: the line `{line}` is not a digest and a file name")]
    Line { path: PathBuf, line: String },
    #[error("cannot use `{path}`: its sha256 is {found}, and the lock has {expected}")]
    Changed { path: PathBuf, found: Digest, expected: Digest },
    #[error("cannot write `{path}`")]
    Write { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hints for VendorError {
    fn own_hints(&self) -> Vec<Hint> {
        match self {
            Self::NoList { .. } | Self::Line { .. } | Self::Changed { .. } => vec![Hint::Lock(LockHint::VendorAgain)],
            Self::Read { .. } | Self::Write { .. } | Self::Foreign { .. } | Self::Store(_) => Vec::new(),
        }
    }

    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

/// An open folder.
#[derive(Debug)]
pub(crate) struct Vendor {
    folder: PathBuf,
    names: BTreeMap<Digest, String>,
    /// Whether lath wrote the list.
    is_own: bool,
}

impl Vendor {
    pub(crate) fn open(folder: &Path) -> Result<Self, VendorError> {
        let path = folder.join(LIST);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(VendorError::NoList { folder: folder.to_owned() });
            }
            Err(source) => return Err(VendorError::Read { path, source }),
        };
        let mut names = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let wrong = || VendorError::Line { path: path.clone(), line: line.to_owned() };
            let (digest, name) = line.split_once("  ").ok_or_else(wrong)?;
            if name.contains('/') || name.starts_with('.') {
                return Err(wrong());
            }
            names.insert(digest.parse().map_err(|_| wrong())?, name.to_owned());
        }
        Ok(Self { folder: folder.to_owned(), names, is_own: text.starts_with(MARK) })
    }

    /// Puts a file of the folder into the store. Returns whether the folder has this file.
    pub(crate) fn take(&self, digest: &Digest, store: &Store) -> Result<bool, VendorError> {
        let Some(name) = self.names.get(digest) else { return Ok(false) };
        let path = self.folder.join(name);
        let (found, _) = store.copy_parcel(&path)?;
        if found != *digest {
            return Err(VendorError::Changed { path, found, expected: *digest });
        }
        Ok(true)
    }
}

/// Writes files of the store into `folder`, each under a readable name. Removes files of an earlier lock that are not
/// in this lock.
pub(crate) fn write(folder: &Path, files: &BTreeMap<Digest, String>, store: &Store) -> Result<(), VendorError> {
    fs::create_dir_all(folder).map_err(|source| VendorError::Write { path: folder.to_owned(), source })?;
    let before = match Vendor::open(folder) {
        Ok(vendor) if vendor.is_own => vendor.names,
        Err(VendorError::NoList { .. }) => BTreeMap::new(),
        // The files of this list belong to the user, so they must not be removed.
        Ok(_) | Err(VendorError::Line { .. }) => return Err(VendorError::Foreign { folder: folder.to_owned() }),
        Err(error) => return Err(error),
    };
    let names = distinct(files);
    for (digest, name) in &names {
        write_file(&folder.join(name), |temporary| fs::copy(store.parcel_path(digest), temporary).map(drop))?;
    }
    let mut lines: Vec<String> = names.iter().map(|(digest, name)| format!("{digest}  {name}\n")).collect();
    lines.sort_by(|one, other| one[64..].cmp(&other[64..]));
    let text = format!("{MARK}\n{}", lines.concat());
    write_file(&folder.join(LIST), |temporary| fs::write(temporary, text))?;
    for name in before.values().filter(|name| !names.values().any(|new| new == *name)) {
        let path = folder.join(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(VendorError::Write { path, source }),
            _ => {}
        }
    }
    Ok(())
}

/// Writes a file with a temporary name, and then renames it.
fn write_file(path: &Path, fill: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), VendorError> {
    let failed = |source| VendorError::Write { path: path.to_owned(), source };
    let folder = path.parent().unwrap_or(Path::new("."));
    let temporary = tempfile::Builder::new().prefix(".tmp").tempfile_in(folder).map_err(failed)?.into_temp_path();
    fill(&temporary).map_err(failed)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(&temporary, mode).map_err(failed)?;
    temporary.persist(path).map_err(|error| failed(error.error))
}

/// Makes the names unique. If two files have the same name, the beginning of the digest is added to both.
fn distinct(files: &BTreeMap<Digest, String>) -> BTreeMap<Digest, String> {
    let is_shared = |name: &String| files.values().filter(|other| *other == name).count() > 1;
    let named = |(digest, name): (&Digest, &String)| {
        let name = name.replace(['/', ':'], "_");
        let short = &digest.to_string()[..12];
        (*digest, if is_shared(&name) { format!("{short}-{name}") } else { name })
    };
    files.iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_of_the_same_name_get_different_names() {
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let files = BTreeMap::from([(one, "a.whl".to_owned()), (other, "a.whl".to_owned())]);
        let names: Vec<String> = distinct(&files).into_values().collect();
        assert!(names.iter().all(|name| name.ends_with("-a.whl")) && names[0] != names[1], "{names:?}");
        let files = BTreeMap::from([(one, "z_1:2_all.deb".to_owned())]);
        assert_eq!(distinct(&files)[&one], "z_1_2_all.deb");
    }
}
