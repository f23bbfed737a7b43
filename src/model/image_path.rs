//! Paths inside an image. Their type can only be created by its own check.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An absolute, normalised path in an image. It begins with `/` and has no empty, `.` or `..` component, no whiteout,
/// no NUL and no trailing slash (except the root itself). If it is joined to a directory on the host, the result cannot
/// lead outside of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ImagePath(String);

#[derive(Debug, Error)]
pub(crate) enum ImagePathError {
    #[error("cannot use the path `{0}`: it leads outside the image")]
    Outside(String),
    #[error("cannot use the path {0:?}: it holds a NUL, a line break or bytes that are not UTF-8")]
    Unspeakable(String),
    #[error("cannot use the path `{0}`: in a layer, names that begin with `.wh.` remove other files")]
    Whiteout(String),
}

impl ImagePath {
    /// Reads a path as archives write it: `./usr/bin`, `usr/bin/` and `/usr/bin` are the same.
    pub(crate) fn parse(text: &str) -> Result<Self, ImagePathError> {
        if text.contains(['\0', '\n', '\r']) {
            return Err(ImagePathError::Unspeakable(text.to_owned()));
        }
        let mut path = String::with_capacity(text.len() + 1);
        for component in text.split('/') {
            match component {
                "" | "." => {}
                ".." => return Err(ImagePathError::Outside(text.to_owned())),
                // OCI image specification, "Image Layer Filesystem Changeset", section "Whiteouts".
                name if name.starts_with(".wh.") => return Err(ImagePathError::Whiteout(text.to_owned())),
                name => {
                    path.push('/');
                    path.push_str(name);
                }
            }
        }
        if path.is_empty() {
            path.push('/');
        }
        Ok(Self(path))
    }

    /// Returns the root directory.
    pub(crate) fn root() -> Self {
        Self("/".to_owned())
    }

    /// Appends a relative path, which is checked like in [`ImagePath::parse`].
    pub(crate) fn join(&self, relative: &str) -> Result<Self, ImagePathError> {
        Self::parse(&format!("{}/{relative}", self.0))
    }

    /// Follows a symbolic link's `target` from the directory of the link. `..` stops at the root, like in the kernel.
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

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path without its leading slash: `usr/bin`. Empty for the root.
    pub(crate) fn relative(&self) -> &str {
        &self.0[1..]
    }

    pub(crate) fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|component| !component.is_empty())
    }

    /// Returns the last component. Empty for the root.
    pub(crate) fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the directory that contains this path. `None` for the root.
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

    /// Returns whether Python would load this file as the bytecode of a module (PEP 3147).
    pub(crate) fn is_bytecode(&self) -> bool {
        self.0.ends_with(".pyc") && self.0.contains("/__pycache__/")
    }

    /// Returns the path on the host if the host directory `root` is the image's root.
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
}
