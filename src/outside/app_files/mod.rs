//! Lists the files of an application: the files that git tracks or would track, except those that `.dockerignore`
//! excludes. Secrets, caches and lath's own images are never listed
//! (docs/decisions/0110-the-files-of-an-application.md).

mod docker_ignore;
mod left_out;
pub(crate) mod tracked;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;
use ignore::{DirEntry, WalkBuilder};
use thiserror::Error;

use self::docker_ignore::{DockerIgnore, DockerIgnoreError};
pub(crate) use self::left_out::{is_image, is_output_folder};
use self::left_out::{is_left_out_file, is_left_out_folder, is_secret};
use self::tracked::tracked;
use crate::model::application::{AppFile, AppFiles, DanglingLink};
use crate::model::hint::{Hint, Hints, RequestHint};

/// The maximum size of all files of an application together.
const MAX_BYTES: u64 = 1 << 30;
/// The number of the largest entries that an error shows.
const LARGEST: usize = 5;
const DOCKER_IGNORE: &str = ".dockerignore";

#[derive(Debug, Error)]
pub(crate) enum AppFilesError {
    #[error("cannot read the folder `{folder}`")]
    Walk { folder: PathBuf, source: ignore::Error },
    #[error("cannot read `{path}`")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot read `{path}`")]
    DockerIgnore { path: PathBuf, source: DockerIgnoreError },
    #[error("cannot put {path:?} into the image: its name is not UTF-8")]
    Name { path: PathBuf },
    #[error("cannot put the link `{path}` into the image: it leads out of the folder, to `{target}`")]
    Link { path: String, target: String },
    #[error(
        "cannot put `{folder}` into the image: its files have {} MB, and the most are {} MB; the largest entries are {largest}",
        bytes / 1_000_000, MAX_BYTES / 1_000_000
    )]
    TooLarge { folder: PathBuf, bytes: u64, largest: String },
}

impl Hints for AppFilesError {
    fn own_hints(&self) -> Vec<Hint> {
        match self {
            Self::Link { .. } | Self::TooLarge { .. } => vec![Hint::Request(RequestHint::DockerIgnore)],
            _ => Vec::new(),
        }
    }

    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::DockerIgnore { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Lists the files of `folder`. `outputs` are the paths to which lath writes. The contents of a file are read only if
/// the file may be a secret or an image of lath, or if it is the `Procfile`.
pub(crate) fn list(folder: &Path, outputs: &[PathBuf]) -> Result<AppFiles, AppFilesError> {
    let read = |path: &Path, source| AppFilesError::Read { path: path.to_owned(), source };
    let root = fs::canonicalize(folder).map_err(|source| read(folder, source))?;
    let mut listing = Listing { root: &root, files: AppFiles::default() };
    let filter = Filter::new(&root, outputs)?;
    let mut paths = BTreeSet::new();
    for entry in walk(&root, &filter) {
        let entry = entry.map_err(|source| AppFilesError::Walk { folder: folder.to_owned(), source })?;
        if !entry.file_type().is_some_and(|kind| kind.is_dir()) {
            paths.insert(entry.into_path());
        }
    }
    // git may track files that `.gitignore` excludes, so these files are added.
    let tracked = tracked(&root).map_err(|source| read(&root, source))?;
    paths.extend(tracked.iter().filter(|path| filter.counts_with_folders(path)).map(|path| root.join(path)));
    let mut entries = Vec::new();
    for path in paths {
        let metadata = fs::symlink_metadata(&path).map_err(|source| read(&path, source))?;
        entries.push((path, metadata));
    }
    refuse_too_large(folder, &root, &entries)?;
    for (path, metadata) in entries {
        listing.add(&path, &metadata)?;
    }
    let procfile = root.join("Procfile");
    if procfile.is_file() {
        listing.files.procfile = Some(fs::read_to_string(&procfile).map_err(|source| read(&procfile, source))?);
    }
    listing.files.secrets.sort();
    listing.files.special.sort();
    listing.files.dangling = listing.dangling();
    Ok(listing.files)
}

/// Lists the script as the only file of the application.
pub(crate) fn script(path: &Path) -> Result<AppFiles, AppFilesError> {
    let read = |source| AppFilesError::Read { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(read)?;
    let source = fs::canonicalize(path).map_err(read)?;
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| AppFilesError::Name { path: path.to_owned() })?;
    let file = AppFile::File { source, size_bytes: metadata.len(), is_executable: is_executable(&metadata) };
    Ok(AppFiles { files: BTreeMap::from([(name.to_owned(), file)]), ..AppFiles::default() })
}

/// Returns the paths of the Python files that can be run as programs, because they compare `__name__` with `__main__`.
/// Files that cannot be read are skipped.
pub(crate) fn programs(files: &AppFiles) -> Vec<&str> {
    const MAX_BYTES: u64 = 1 << 20;
    let is_program = |(path, file): (&'_ String, &AppFile)| match file {
        AppFile::File { source, size_bytes, .. } if path.ends_with(".py") && *size_bytes <= MAX_BYTES => {
            fs::read(source).is_ok_and(|bytes| left_out::contains(&bytes, b"__main__"))
        }
        _ => false,
    };
    files.files.iter().filter(|entry| is_program(*entry)).map(|(path, _)| path.as_str()).collect()
}

fn is_executable(metadata: &Metadata) -> bool {
    metadata.permissions().mode() & 0o111 != 0
}

/// Decides which files never go into an image.
#[derive(Clone)]
struct Filter {
    /// The absolute path without links.
    root: PathBuf,
    outputs: Vec<PathBuf>,
    docker_ignore: Arc<DockerIgnore>,
}

impl Filter {
    fn new(root: &Path, outputs: &[PathBuf]) -> Result<Self, AppFilesError> {
        let docker_ignore = match fs::read_to_string(root.join(DOCKER_IGNORE)) {
            Ok(text) => DockerIgnore::parse(&text)
                .map_err(|source| AppFilesError::DockerIgnore { path: root.join(DOCKER_IGNORE), source })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => DockerIgnore::default(),
            Err(source) => return Err(AppFilesError::Read { path: root.join(DOCKER_IGNORE), source }),
        };
        let outputs = outputs.iter().filter_map(|path| resolved(path)).collect();
        Ok(Self { root: root.to_owned(), outputs, docker_ignore: Arc::new(docker_ignore) })
    }

    /// Returns whether a file or a folder may go into the image. `relative` is its path in the application.
    fn counts(&self, relative: &Path, is_folder: bool) -> bool {
        let path = self.root.join(relative);
        let is_left_out = if is_folder { is_left_out_folder(&path) } else { is_left_out_file(&path) };
        !is_left_out && !self.outputs.contains(&path) && !self.docker_ignore.ignores(relative, is_folder)
    }

    /// Returns whether a file and the folders above it may go into the image.
    fn counts_with_folders(&self, relative: &Path) -> bool {
        let mut folders = relative.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
        self.counts(relative, false) && folders.all(|folder| self.counts(folder, true))
    }
}

/// Returns an iterator over the files that git tracks or would track, without those that never go into an image. The
/// git settings of this user have no effect, because the image must not depend on them.
fn walk(root: &Path, filter: &Filter) -> ignore::Walk {
    let is_in_repository = root.ancestors().any(|folder| folder.join(".git").exists());
    let filter = filter.clone();
    let counts = move |entry: &DirEntry| match entry.path().strip_prefix(&filter.root) {
        Ok(relative) if !relative.as_os_str().is_empty() => {
            filter.counts(relative, entry.file_type().is_some_and(|kind| kind.is_dir()))
        }
        _ => true,
    };
    let mut walk = WalkBuilder::new(root);
    walk.standard_filters(false).git_ignore(true).require_git(false).parents(is_in_repository).filter_entry(counts);
    walk.build()
}

/// Returns an absolute path without links, for a file that may be missing.
fn resolved(path: &Path) -> Option<PathBuf> {
    if let Ok(path) = fs::canonicalize(path) {
        return Some(path);
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some(fs::canonicalize(parent).ok()?.join(path.file_name()?))
}

/// Refuses an application that is too large, before any of its files is read.
fn refuse_too_large(folder: &Path, root: &Path, entries: &[(PathBuf, Metadata)]) -> Result<(), AppFilesError> {
    let bytes: u64 = entries.iter().map(|(_, metadata)| metadata.len()).sum();
    if bytes <= MAX_BYTES {
        return Ok(());
    }
    let mut by_entry: BTreeMap<&str, u64> = BTreeMap::new();
    for (path, metadata) in entries {
        let first = path.strip_prefix(root).ok().and_then(|path| path.components().next());
        let name = first.and_then(|first| first.as_os_str().to_str()).unwrap_or("?");
        *by_entry.entry(name).or_default() += metadata.len();
    }
    let mut largest: Vec<(&str, u64)> = by_entry.into_iter().collect();
    largest.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let named = largest.iter().take(LARGEST).map(|(name, bytes)| format!("`{name}` ({} MB)", bytes / 1_000_000));
    let largest = named.collect::<Vec<_>>().join(", ");
    Err(AppFilesError::TooLarge { folder: folder.to_owned(), bytes, largest })
}

/// The files that were found so far.
struct Listing<'a> {
    /// The absolute path without links.
    root: &'a Path,
    files: AppFiles,
}

impl Listing<'_> {
    fn add(&mut self, path: &Path, metadata: &Metadata) -> Result<(), AppFilesError> {
        let relative = path.strip_prefix(self.root).unwrap_or(path);
        let relative = relative.to_str().ok_or_else(|| AppFilesError::Name { path: path.to_owned() })?.to_owned();
        if metadata.is_symlink() {
            let file = AppFile::Link { target: self.target(path, &relative)? };
            self.files.files.insert(relative, file);
            return Ok(());
        }
        if !metadata.is_file() {
            self.files.special.push(relative);
            return Ok(());
        }
        let read = |source| AppFilesError::Read { path: path.to_owned(), source };
        if is_secret(path, metadata.len()).map_err(read)? {
            self.files.secrets.push(relative);
        } else if !is_image(path).map_err(read)? {
            let (size_bytes, is_executable) = (metadata.len(), is_executable(metadata));
            let file = AppFile::File { source: path.to_owned(), size_bytes, is_executable };
            self.files.files.insert(relative, file);
        }
        Ok(())
    }

    /// Returns the links whose target was left out. A link without a target is no such link, because the target may be
    /// created when the program runs.
    fn dangling(&self) -> Vec<DanglingLink> {
        let files = &self.files.files;
        let is_listed = |path: &str| {
            let below = format!("{path}/");
            path.is_empty()
                || files.contains_key(path)
                || files.range(below.clone()..).next().is_some_and(|(file, _)| file.starts_with(&below))
        };
        let dangling = files.iter().filter_map(|(path, file)| {
            let AppFile::Link { target } = file else { return None };
            let end = fs::canonicalize(self.root.join(path)).ok()?;
            let end = end.strip_prefix(self.root).ok()?.to_str()?;
            (!is_listed(end)).then(|| DanglingLink { path: path.clone(), target: target.clone() })
        });
        dangling.collect()
    }

    /// Returns the target of a link. Refuses a link that leads out of the folder, because its target is not in the
    /// image.
    fn target(&self, path: &Path, relative: &str) -> Result<String, AppFilesError> {
        let target = fs::read_link(path).map_err(|source| AppFilesError::Read { path: path.to_owned(), source })?;
        let target = target.to_str().ok_or_else(|| AppFilesError::Name { path: path.to_owned() })?.to_owned();
        let leads_out = match fs::canonicalize(path) {
            Ok(end) => !end.starts_with(self.root),
            // A link without a target is allowed, because the target may be created when the program runs.
            Err(_) => false,
        };
        if leads_out || climbs_out(relative, &target) {
            return Err(AppFilesError::Link { path: relative.to_owned(), target });
        }
        Ok(target)
    }
}

/// Returns whether the target of the link at `relative` leads out of the folder. This is so if the target is absolute
/// or has too many `..`.
fn climbs_out(relative: &str, target: &str) -> bool {
    let mut depth = relative.matches('/').count();
    for component in Path::new(target).components() {
        match component {
            Component::RootDir | Component::Prefix(_) => return true,
            Component::CurDir => {}
            Component::ParentDir => match depth.checked_sub(1) {
                Some(above) => depth = above,
                None => return true,
            },
            Component::Normal(_) => depth += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests;
