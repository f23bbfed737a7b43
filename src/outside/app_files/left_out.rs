//! The files that never go into an image, unless the user names them: secrets, caches, virtual environments, the data
//! of version control, and images.

use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::path::Path;

use fs_err as fs;

/// Folders that programs create, and create again if they are missing.
const CACHES: [&str; 11] = [
    "__pycache__",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".tox",
    ".nox",
    ".git",
    ".hg",
    ".svn",
    "node_modules",
    ".ipynb_checkpoints",
];

/// Folders of a home directory that contain keys and passwords.
const SECRET_FOLDERS: [&str; 5] = [".aws", ".azure", ".gnupg", ".kube", ".ssh"];

/// Files that contain keys or passwords.
const SECRETS: [&str; 12] = [
    ".dockercfg",
    ".env",
    ".envrc",
    ".git-credentials",
    ".netrc",
    ".npmrc",
    ".pgpass",
    ".pypirc",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "id_rsa",
];

/// The endings of files that contain private keys, or environment variables (`production.env`).
const ENDINGS: [&str; 7] = ["env", "key", "p12", "pfx", "jks", "keystore", "ppk"];

/// Files in folders that may also contain other files: the logins of Docker, and the passwords of an application of
/// Streamlit.
const SECRETS_IN_FOLDERS: [&str; 2] = [".docker/config.json", ".streamlit/secrets.toml"];

/// A larger file is not a private key.
const MAX_KEY_BYTES: u64 = 1 << 20;

/// The file that marks a folder as an OCI layout (image-layout.md). It is also the first member of every archive that
/// lath writes.
const OCI_LAYOUT: &str = "oci-layout";

/// The file that marks a folder as a cache (bford.info/cachedir).
const CACHE_TAG: &str = "CACHEDIR.TAG";

fn name(path: &Path) -> &str {
    path.file_name().and_then(OsStr::to_str).unwrap_or_default()
}

/// Returns whether all files in the folder are left out.
pub(super) fn is_left_out_folder(path: &Path) -> bool {
    CACHES.contains(&name(path))
        || SECRET_FOLDERS.contains(&name(path))
        || path.join("pyvenv.cfg").is_file()
        || is_output_folder(path)
}

/// Returns whether the folder is an output of lath or another tool: an image as an OCI layout, the files of a lock, or
/// a cache.
pub(crate) fn is_output_folder(path: &Path) -> bool {
    path.join(OCI_LAYOUT).is_file() || path.join(CACHE_TAG).is_file() || is_vendor_folder(path)
}

/// Returns whether a file is left out only because of its name. No warning is shown for such a file.
pub(super) fn is_left_out_file(path: &Path) -> bool {
    let name = name(path);
    // In a worktree and in a submodule, `.git` is a file.
    name == ".git" || name.ends_with(".pyc") || name.ends_with(".pyo")
}

/// Returns whether the file may contain a secret: environment variables or a private key.
pub(super) fn is_secret(path: &Path, size_bytes: u64) -> io::Result<bool> {
    let name = name(path);
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
    let is_in_folder = SECRETS_IN_FOLDERS.iter().any(|file| path.ends_with(file));
    let is_named = SECRETS.contains(&name) || name.starts_with(".env.") || is_in_folder;
    if is_named || ENDINGS.contains(&ending.as_str()) {
        return Ok(true);
    }
    if size_bytes > MAX_KEY_BYTES {
        return Ok(false);
    }
    if ending == "pem" || ending == "json" {
        // A `.pem` file may also be a certificate, and the key of a Google service account is in a `.json` file. So the
        // contents decide.
        return Ok(contains(&fs::read(path)?, b"PRIVATE KEY-----"));
    }
    let start = start(path, 128)?;
    let first = start.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(first.starts_with(b"-----BEGIN ") && contains(first, b"PRIVATE KEY"))
}

/// Returns whether the file is an archive that lath wrote.
pub(crate) fn is_image(path: &Path) -> io::Result<bool> {
    let is_tar = path.extension().is_some_and(|ending| ending == "tar");
    let marked = || -> io::Result<bool> { Ok(start(path, OCI_LAYOUT.len() as u64 + 1)? == b"oci-layout\0") };
    if is_tar { marked() } else { Ok(false) }
}

/// Returns whether the folder contains the files of a lock.
fn is_vendor_folder(path: &Path) -> bool {
    let list = fs::read_to_string(path.join("SHA256SUMS")).unwrap_or_default();
    list.lines().any(|line| line.ends_with(".deb"))
}

/// Returns the first bytes of a file.
fn start(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    fs::File::open(path)?.take(bytes).read_to_end(&mut start)?;
    Ok(start)
}

pub(super) fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    memchr::memmem::find(bytes, wanted).is_some()
}
