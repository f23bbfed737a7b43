//! A folder of the user or of a repository -> an archive in the store. The same files result in the same archive. The
//! path of the folder, the owner and the times do not matter.

use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use ignore::WalkBuilder;

use super::error::Reason;
use crate::formats::tarball;
use crate::model::digest::Digest;
use crate::model::image_path::ImagePath;
use crate::model::request::PackRequest;
use crate::model::tree::{Node, Origin};
use crate::outside::app_files::tracked::tracked;
use crate::outside::app_files::{is_image, is_output_folder};
use crate::outside::store::Store;

/// The name of the folder in the archive.
const TOP: &str = "source";
/// The maximum size of all files together.
const MAX_BYTES: u64 = 1 << 30;
const MAX_FILES: usize = 100_000;

/// Folders that never go into a build.
const EXCLUDED: [&str; 12] = [
    ".git",
    ".hg",
    ".mypy_cache",
    ".nox",
    ".pytest_cache",
    ".ruff_cache",
    ".svn",
    ".tox",
    ".venv",
    "__pycache__",
    "node_modules",
    ".eggs",
];

/// Texts in the files of a project that computes its version from the history of its repository.
const USES_GIT: [&str; 11] = [
    "setuptools_scm",
    "setuptools-scm",
    "hatch-vcs",
    "versioningit",
    "versioneer",
    "pbr",
    "dynamic-versioning",
    "dunamai",
    "git-versioning",
    "flit_scm",
    "source = \"scm\"",
];

/// Returns whether the project in the folder `project` computes its version from the repository at `root`.
pub(super) fn wants_git(project: &Path, root: &Path) -> bool {
    let uses_git = |file: &str| {
        let text = fs::read_to_string(project.join(file)).unwrap_or_default();
        USES_GIT.iter().any(|one| text.contains(one))
    };
    // A link could lead to any folder of this machine.
    let is_folder = fs::symlink_metadata(root.join(".git")).is_ok_and(|metadata| metadata.is_dir());
    is_folder && ["pyproject.toml", "setup.cfg", "setup.py"].into_iter().any(uses_git)
}

/// Writes an archive with the files of the folder `root`, except those that git ignores. If `has_git` is set, the
/// archive also contains the history of the repository. Returns the digest of the archive.
pub(super) fn archive(root: &Path, has_git: bool, store: &Store) -> Result<Digest, Reason> {
    let mut files = not_ignored(root)?;
    // The tracked files are added, because git may track files that `.gitignore` names.
    let canonical = fs::canonicalize(root).map_err(|error| unreadable(root, error))?;
    for path in tracked(&canonical).map_err(|error| unreadable(root, error))? {
        if counts_with_folders(root, &path)? {
            add(root, &root.join(&path), &mut files)?;
        }
    }
    if has_git {
        files.extend(history(root)?);
    }
    files.sort();
    files.dedup();
    let folder = store.temporary_dir()?;
    let path = folder.path().join("source.tar");
    let file = fs::File::create(&path).map_err(Reason::Work)?;
    let mut writer = io::BufWriter::with_capacity(128 << 10, file);
    let mut bytes = 0;
    for path in files {
        bytes += fs::symlink_metadata(root.join(&path)).map_err(|error| unreadable(&path, error))?.len();
        if bytes > MAX_BYTES {
            return Err(Reason::LargeFolder { path: root.to_owned(), limit: "1 GiB of files" });
        }
        write(root, &path, &mut writer)?;
    }
    writer.write_all(&tarball::END).and_then(|()| writer.flush()).map_err(Reason::Work)?;
    Ok(store.copy_parcel(&path)?.0)
}

/// Returns the paths of the files that git does not ignore, relative to `root`.
fn not_ignored(root: &Path) -> Result<Vec<PathBuf>, Reason> {
    // If there is no repository, only the folder's own ignore files count.
    let is_in_repository = root.ancestors().any(|folder| folder.join(".git").exists());
    let mut walk = WalkBuilder::new(root);
    walk.hidden(false).ignore(false).follow_links(false);
    // The user's own settings of git must not decide which files a build contains.
    walk.git_ignore(true).git_exclude(true).git_global(false).require_git(is_in_repository).parents(is_in_repository);
    walk.filter_entry(|entry| {
        let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
        entry.depth() == 0 || counts(entry.path(), entry.depth(), is_folder)
    });
    let mut files = Vec::new();
    for entry in walk.build() {
        let entry = entry.map_err(|error| unreadable(root, io::Error::other(error)))?;
        let Some(kind) = entry.file_type() else { continue };
        let is_output = kind.is_file() && is_image(entry.path()).map_err(|error| unreadable(entry.path(), error))?;
        if (kind.is_file() || kind.is_symlink()) && !is_output {
            add(root, entry.path(), &mut files)?;
        }
    }
    Ok(files)
}

/// Returns whether a file or a folder may be part of a source. `depth` is 1 for a path directly in the folder of the
/// source.
fn counts(path: &Path, depth: usize, is_folder: bool) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_environment = is_folder && path.join("pyvenv.cfg").is_file();
    let is_output = if is_folder { is_output_folder(path) } else { is_lock(&name, depth) };
    !(EXCLUDED.contains(&&*name) || is_environment || is_output || name == ".env" || name.ends_with(".pyc"))
}

/// Returns whether a tracked file and the folders above it may be part of a source.
fn counts_with_folders(root: &Path, path: &Path) -> Result<bool, Reason> {
    let depth = path.components().count();
    let own = root.join(path);
    let is_link = fs::symlink_metadata(&own).map_err(|error| unreadable(&own, error))?.is_symlink();
    let mut folders = path.ancestors().enumerate().skip(1).take(depth - 1);
    Ok(counts(&own, depth, false)
        && folders.all(|(above, folder)| counts(&root.join(folder), depth - above, true))
        && (is_link || !is_image(&own).map_err(|error| unreadable(&own, error))?))
}

/// Returns whether a file is the project's lock. The lock must not be part of the source, because the lock contains the
/// digest of that source.
fn is_lock(name: &str, depth: usize) -> bool {
    depth == 1 && name.starts_with("pylock.") && name.ends_with(".toml")
}

/// Returns the paths of the files of `.git` that the history needs. The index is left out, because it contains the
/// times of the user's files. Hooks and settings are left out, because they are programs or can start some. Links are
/// left out, because a link in a stranger's repository could lead to any folder of this machine.
fn history(root: &Path) -> Result<Vec<PathBuf>, Reason> {
    let mut files = Vec::new();
    for place in ["HEAD", "packed-refs", "shallow", "refs", "objects"] {
        let place = root.join(".git").join(place);
        if fs::symlink_metadata(&place).map_or(true, |metadata| metadata.is_symlink()) {
            continue;
        }
        for entry in WalkBuilder::new(&place).standard_filters(false).build() {
            let entry = entry.map_err(|error| unreadable(&place, io::Error::other(error)))?;
            if entry.file_type().is_some_and(|kind| kind.is_file()) {
                add(root, entry.path(), &mut files)?;
            }
        }
    }
    Ok(files)
}

fn add(root: &Path, path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Reason> {
    if files.len() >= MAX_FILES {
        return Err(Reason::LargeFolder { path: root.to_owned(), limit: "100000 files" });
    }
    files.push(path.strip_prefix(root).unwrap_or(path).to_owned());
    Ok(())
}

/// Writes one file or link.
fn write(root: &Path, path: &Path, writer: &mut impl io::Write) -> Result<(), Reason> {
    let own = root.join(path);
    let failed = |source| unreadable(&own, source);
    let name = path.to_str().ok_or_else(|| failed(io::Error::other("its name is not UTF-8")))?;
    let place = ImagePath::parse(&format!("/{TOP}/{name}")).map_err(|error| failed(io::Error::other(error)))?;
    let metadata = fs::symlink_metadata(&own).map_err(failed)?;
    let epoch_secs = PackRequest::DEFAULT_EPOCH_SECS;
    if metadata.is_symlink() {
        let target = fs::read_link(&own).map_err(failed)?;
        if !stays_inside(path, &target) {
            return Err(Reason::Link { path: own });
        }
        let node = Node::link(target.to_string_lossy(), Origin::User);
        return tarball::write_node(writer, &place, &node, epoch_secs, &mut io::empty()).map_err(failed);
    }
    let mode = if metadata.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 };
    let mut file = fs::File::open(&own).map_err(failed)?;
    let node = Node::file(Digest::of(b""), metadata.len(), mode, Origin::User);
    tarball::write_node(writer, &place, &node, epoch_secs, &mut file).map_err(failed)
}

/// Returns whether the link at `path` leads to a place in the folder of the source. `path` is relative to this folder.
fn stays_inside(path: &Path, target: &Path) -> bool {
    let mut depth = path.components().count() as i64 - 1;
    for component in target.components() {
        match component {
            std::path::Component::Normal(_) => depth += 1,
            std::path::Component::ParentDir => depth -= 1,
            std::path::Component::CurDir => {}
            std::path::Component::RootDir | std::path::Component::Prefix(_) => return false,
        }
        if depth < 0 {
            return false;
        }
    }
    true
}

fn unreadable(path: &Path, source: io::Error) -> Reason {
    Reason::Folder { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::sdist;
    use crate::outside::app_files::tracked::tests::index;
    use crate::outside::store::tests::store;

    fn lay_out(root: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), text).unwrap();
        }
    }

    const FILES: [(&str, &str); 13] = [
        ("pyproject.toml", "[project]"),
        ("src/x/__init__.py", ""),
        ("src/x/__pycache__/x.pyc", ""),
        (".gitignore", "*.log\n/dist"),
        (".github/ci.yaml", ""),
        ("x.log", ""),
        ("dist/x.whl", ""),
        ("env/pyvenv.cfg", ""),
        (".env", "SECRET"),
        // lath itself has written these.
        ("pylock.toml", ""),
        ("parcels/SHA256SUMS", "0  x.deb"),
        ("x.tar", "oci-layout\0"),
        ("cache/CACHEDIR.TAG", ""),
    ];

    #[test]
    fn ignored_files_that_git_tracks_go_in_except_those_that_never_do() {
        let (_home, store) = store();
        let folder = tempfile::tempdir().unwrap();
        lay_out(folder.path(), &FILES);
        fs::create_dir(folder.path().join(".git")).unwrap();
        let names = [
            ".env",
            "dist/x.whl",
            "env/pyvenv.cfg",
            "parcels/SHA256SUMS",
            "pylock.toml",
            "src/x/__pycache__/x.pyc",
            "x.log",
            "x.tar",
        ];
        fs::write(folder.path().join(".git/index"), index(&names)).unwrap();
        let digest = archive(folder.path(), false, &store).unwrap();
        let sdist = sdist::read(fs::File::open(store.parcel_path(&digest)).unwrap(), None).unwrap();
        assert_eq!(
            sdist.files,
            [".github/ci.yaml", ".gitignore", "dist/x.whl", "pyproject.toml", "src/x/__init__.py", "x.log"]
        );
    }

    #[test]
    fn the_history_contains_no_files_to_which_links_lead() {
        use fs_err::os::unix::fs::symlink;

        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        lay_out(folder.path(), &[("keys/id", "SECRET"), ("own/.git/HEAD", ""), ("own/.git/refs/x", "")]);
        lay_out(folder.path(), &[("own/setup.py", "pbr"), ("linked/setup.py", "pbr"), ("file/setup.py", "pbr")]);
        for (target, link) in [("../../keys", "own/.git/objects"), ("../../keys/id", "own/.git/shallow")] {
            symlink(target, at(link)).unwrap();
        }
        symlink("../../../keys", at("own/.git/refs/heads")).unwrap();
        assert_eq!(history(&at("own")).unwrap(), [".git/HEAD", ".git/refs/x"].map(PathBuf::from));
        assert!(wants_git(&at("own"), &at("own")));
        symlink("../own/.git", at("linked/.git")).unwrap();
        fs::write(at("file/.git"), "gitdir: ../own/.git").unwrap();
        for name in ["linked", "file"] {
            assert!(!wants_git(&at(name), &at(name)), "{name}");
        }
    }

    #[test]
    fn files_that_git_does_not_ignore_go_in_and_give_the_same_archive_elsewhere() {
        let (_home, store) = store();
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let digests = folders.each_ref().map(|folder| {
            lay_out(folder.path(), &FILES);
            archive(folder.path(), false, &store).unwrap()
        });
        assert_eq!(digests[0], digests[1]);
        lay_out(folders[0].path(), &[(".git/HEAD", "ref: refs/heads/main"), (".git/refs/x", "")]);
        assert_eq!(archive(folders[0].path(), false, &store).unwrap(), digests[0]);
        assert_ne!(archive(folders[0].path(), true, &store).unwrap(), digests[0]);
        let archive = fs::File::open(store.parcel_path(&digests[0])).unwrap();
        let sdist = sdist::read(archive, None).unwrap();
        assert_eq!(sdist.files, [".github/ci.yaml", ".gitignore", "pyproject.toml", "src/x/__init__.py"]);
        assert_eq!((sdist.top.as_str(), sdist.pyproject.as_deref()), (TOP, Some("[project]")));
    }

    #[test]
    fn a_folder_that_is_too_large_is_refused() {
        let (_home, store) = store();
        let folder = tempfile::tempdir().unwrap();
        fs::File::create(folder.path().join("data")).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert!(matches!(archive(folder.path(), false, &store), Err(Reason::LargeFolder { .. })));
        lay_out(folder.path(), &[(".gitignore", "data")]);
        archive(folder.path(), false, &store).unwrap();
    }

    #[test]
    fn a_link_that_leads_outside_is_refused() {
        let (_home, store) = store();
        for (target, is_inside) in [("x.py", true), ("../a/x.py", true), ("../../x", false), ("/etc/passwd", false)] {
            let folder = tempfile::tempdir().unwrap();
            lay_out(folder.path(), &[("a/x.py", "")]);
            fs_err::os::unix::fs::symlink(target, folder.path().join("a/link")).unwrap();
            let archived = archive(folder.path(), false, &store);
            assert_eq!(archived.is_ok(), is_inside, "{target}: {archived:?}");
        }
    }

    #[test]
    fn the_history_goes_in_only_if_the_version_depends_on_it() {
        let folder = tempfile::tempdir().unwrap();
        lay_out(folder.path(), &[("pyproject.toml", "requires = [\"hatch-vcs\"]")]);
        assert!(!wants_git(folder.path(), folder.path()));
        lay_out(folder.path(), &[(".git/HEAD", "x"), (".git/hooks/pre-commit", ""), (".git/index", "")]);
        assert!(wants_git(folder.path(), folder.path()));
        assert_eq!(history(folder.path()).unwrap(), [PathBuf::from(".git/HEAD")]);
        lay_out(folder.path(), &[("pyproject.toml", "requires = [\"hatchling\"]")]);
        assert!(!wants_git(folder.path(), folder.path()));
    }
}
