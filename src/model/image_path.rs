//! Paths inside an image. A value of [`ImagePath`] exists only if its text was checked.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An absolute, normal path in an image. It begins with `/` and is not too long for Linux. It has no empty component,
/// no `.`, no `..`, no whiteout and no NUL. It has no slash at its end, except for the root itself. If such a path is
/// joined to a directory of the host, the result is never outside of that directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ImagePath(String);

#[derive(Debug, Error)]
pub(crate) enum ImagePathError {
    #[error("cannot use the path `{0}`: it leads outside the image")]
    Outside(String),
    #[error("cannot use the path {0:?}: it contains a NUL, a line break or bytes that are not UTF-8")]
    Unspeakable(String),
    #[error("cannot use the path `{}…`: {}", start(.0), TOO_LONG)]
    TooLong(String),
    #[error("cannot use the path `{0}`: in a layer, names that begin with `.wh.` remove other files")]
    Whiteout(String),
}

/// The maximum size of a name (limits.h(0p), `NAME_MAX` of Linux).
const MAX_NAME_BYTES: usize = 255;
/// The maximum size of a path, including the NUL at its end (limits.h(0p), `PATH_MAX` of Linux).
const MAX_PATH_BYTES: usize = 4096;
const TOO_LONG: &str = "Linux allows names of at most 255 bytes and paths of at most 4095 bytes";

/// Returns the beginning of a path. This is used for errors about paths that are too long to be shown.
fn start(path: &str) -> String {
    path.chars().take(64).collect()
}

impl ImagePath {
    /// Reads a path in a form that occurs in archives. `./usr/bin`, `usr/bin/` and `/usr/bin` mean the same path.
    pub(crate) fn parse(text: &str) -> Result<Self, ImagePathError> {
        if text.contains(['\0', '\n', '\r']) {
            return Err(ImagePathError::Unspeakable(text.to_owned()));
        }
        let mut path = String::with_capacity(text.len() + 1);
        for component in text.split('/') {
            match component {
                "" | "." => {}
                ".." => return Err(ImagePathError::Outside(text.to_owned())),
                // Source: OCI image specification, "Image Layer Filesystem Changeset", section "Whiteouts".
                name if name.starts_with(".wh.") => return Err(ImagePathError::Whiteout(text.to_owned())),
                name if name.len() > MAX_NAME_BYTES => return Err(ImagePathError::TooLong(text.to_owned())),
                name => {
                    path.push('/');
                    path.push_str(name);
                }
            }
        }
        if path.is_empty() {
            path.push('/');
        }
        if path.len() >= MAX_PATH_BYTES {
            return Err(ImagePathError::TooLong(text.to_owned()));
        }
        Ok(Self(path))
    }

    /// Returns the root directory.
    pub(crate) fn root() -> Self {
        Self("/".to_owned())
    }

    /// Appends a relative path. It is checked like in [`ImagePath::parse`].
    pub(crate) fn join(&self, relative: &str) -> Result<Self, ImagePathError> {
        Self::parse(&format!("{}/{relative}", self.0))
    }

    /// Returns the path to which a symbolic link with this `target` leads. A `..` at the root stays at the root, like
    /// in the kernel.
    pub(crate) fn resolve_link(&self, target: &str) -> Self {
        let mut components: Vec<&str> = if target.starts_with('/') {
            Vec::new()
        } else {
            let mut own: Vec<&str> = self.components().collect();
            own.pop();
            own
        };
        for component in target.split('/') {
            match component {
                "" | "." => {}
                ".." => {
                    components.pop();
                }
                name => components.push(name),
            }
        }
        Self(format!("/{}", components.join("/")))
    }

    /// Returns the name under which a layer contains the whiteout of this path. The result is not a path of an image. It
    /// is only used for entries of layers.
    pub(crate) fn whiteout(&self) -> Self {
        let (folder, name) = self.0.rsplit_once('/').unwrap_or_default();
        Self(format!("{folder}/.wh.{name}"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path without its leading slash, such as `usr/bin`. Returns an empty text for the root.
    pub(crate) fn relative(&self) -> &str {
        &self.0[1..]
    }

    pub(crate) fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|component| !component.is_empty())
    }

    /// Returns the last component. Returns an empty text for the root.
    pub(crate) fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the directory that contains this path. Returns `None` for the root.
    pub(crate) fn parent(&self) -> Option<Self> {
        if self.0 == "/" {
            return None;
        }
        let (parent, _) = self.0.rsplit_once('/')?;
        Some(Self(if parent.is_empty() { "/" } else { parent }.to_owned()))
    }

    /// Returns whether this path is `directory` or is below it.
    pub(crate) fn is_within(&self, directory: &str) -> bool {
        self.0
            .strip_prefix(directory)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || directory.ends_with('/'))
    }

    /// Returns whether Python would load this file as a module's bytecode (PEP 3147).
    pub(crate) fn is_bytecode(&self) -> bool {
        self.0.ends_with(".pyc") && self.0.contains("/__pycache__/")
    }

    /// Returns this path on the host. `root` is the host directory that contains the files of the image.
    pub(crate) fn under(&self, root: &Path) -> PathBuf {
        root.join(self.relative())
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ImagePath {
    type Error = ImagePathError;

    fn try_from(text: String) -> Result<Self, ImagePathError> {
        Self::parse(&text)
    }
}

impl From<ImagePath> for String {
    fn from(path: ImagePath) -> Self {
        path.0
    }
}

/// The directories in the root that are links into `/usr` since usrmerge.
pub(crate) const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

/// Replaces a link of [`MERGED`] at the beginning of a path, because packages may still contain paths that use these
/// links. For example, `/lib/x` and `lib/x` become `/usr/lib/x`. Other paths are returned unchanged.
pub(crate) fn usr_merged(path: &str) -> Cow<'_, str> {
    let relative = path.trim_start_matches('/');
    let first = relative.split('/').next().unwrap_or_default();
    if MERGED.contains(&first) && relative != first {
        return Cow::Owned(format!("/usr/{relative}"));
    }
    Cow::Borrowed(path)
}

/// The directories in `/var` that are links since Debian has `/run`, with their targets (base-files).
pub(crate) const IN_RUN: [(&str, &str); 2] = [("/var/run", "/run"), ("/var/lock", "/run/lock")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archive_spellings_become_one() {
        for spelling in ["./usr/bin", "usr/bin/", "/usr//bin", "/usr/./bin"] {
            assert_eq!(ImagePath::parse(spelling).unwrap().as_str(), "/usr/bin");
        }
        assert_eq!(ImagePath::parse("./").unwrap(), ImagePath::root());
    }

    #[test]
    fn a_path_that_climbs_is_refused() {
        for hostile in ["../etc/passwd", "/usr/../../etc", "a/..", "a\0b", "a\nb"] {
            assert!(ImagePath::parse(hostile).is_err(), "{hostile:?}");
        }
    }

    #[test]
    fn a_path_is_as_long_as_linux_takes_it() {
        let name = |length: usize| "ü".repeat(length / 2) + &"x".repeat(length % 2);
        assert!(ImagePath::parse(&name(255)).is_ok());
        let error = ImagePath::parse(&format!("a/{}", name(256))).unwrap_err().to_string();
        assert!(error.starts_with("cannot use the path `a/ü") && error.len() < 300, "{error}");
        let path = |length: usize| "/123456789".repeat(length / 10) + &"y".repeat(length % 10);
        assert!(ImagePath::parse(&path(4095)).is_ok());
        assert!(matches!(ImagePath::parse(&path(4096)), Err(ImagePathError::TooLong(_))));
    }

    #[test]
    fn links_stop_at_the_root() {
        let link = ImagePath::parse("/usr/lib/libz.so").unwrap();
        assert_eq!(link.resolve_link("libz.so.1").as_str(), "/usr/lib/libz.so.1");
        assert_eq!(link.resolve_link("../../../../etc").as_str(), "/etc");
        assert_eq!(link.resolve_link("/lib").as_str(), "/lib");
    }

    #[test]
    fn within_is_a_matter_of_components() {
        let path = ImagePath::parse("/usr/share/doc").unwrap();
        assert!(path.is_within("/usr/share") && path.is_within("/usr/share/doc") && path.is_within("/"));
        assert!(!path.is_within("/usr/sha"));
    }

    #[test]
    fn what_lies_at_the_root_goes_to_usr() {
        for (path, merged) in [
            ("lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libc.so.6"),
            ("/lib64/ld.so", "/usr/lib64/ld.so"),
            ("/sbin/x", "/usr/sbin/x"),
            ("lib", "lib"),
            ("/library/x", "/library/x"),
            ("/usr/bin/x", "/usr/bin/x"),
            ("etc/passwd", "etc/passwd"),
        ] {
            assert_eq!(usr_merged(path), merged);
        }
    }
}
