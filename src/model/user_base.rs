//! The user base: the directory that contains the program of the image and its Python libraries.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use thiserror::Error;

use crate::model::image_path::ImagePath;
use crate::model::platform::PythonVersion;
use crate::model::python_home::{Python, PythonHome};

/// The directory in `PYTHONUSERBASE`. Executables are in `bin`, and libraries in `lib`. Only simple characters are
/// allowed, because the path is written into `PATH`, which has no quoting, and into Python source code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct UserBase(ImagePath);

impl UserBase {
    pub(crate) const DEFAULT: &str = "/opt/app";

    pub(crate) fn path(&self) -> &ImagePath {
        &self.0
    }

    /// Returns the directory of its executables.
    pub(crate) fn bin(&self) -> String {
        format!("{}/bin", self.0)
    }

    /// Returns the full path of one of its executables.
    pub(crate) fn program(&self, name: &str) -> String {
        format!("{}/bin/{name}", self.0)
    }

    /// Returns the user site, the directory in which Python `version` searches for libraries.
    pub(crate) fn site(&self, version: PythonVersion) -> String {
        format!("{}/lib/python{version}/site-packages", self.0)
    }

    /// Returns the folders in which `python` finds modules. If a folder contains another one, the inner folder comes
    /// first.
    pub(crate) fn search_path(&self, python: Python<'_>) -> Vec<String> {
        let stdlib = python.stdlib();
        let mut folders = vec![format!("{stdlib}/lib-dynload"), stdlib, self.site(python.version)];
        folders.extend(python.sites());
        folders
    }

    /// Returns a line for a path file (`.pth`). With this line, `python` finds the user base even if no environment
    /// variables are set, and programs find data in the user base. If the user site is already in `sys.path`, the line
    /// does not add it, because the path files in the user site would be read a second time.
    ///
    /// The user site must come before the distributions of a base image, so that distributions in the user site are
    /// preferred. If environment variables set the user base, the order is the same.
    pub(crate) fn path_line(&self, python: Python<'_>) -> String {
        let (base, site) = (&self.0, self.site(python.version));
        let line = format!(
            "import os, site, sys; os.environ.setdefault('PYTHONUSERBASE', '{base}') == '{base}' and \
             (setattr(site, 'USER_BASE', '{base}'), setattr(site, 'USER_SITE', '{site}')); \
             '{site}' in sys.path or site.addsitedir('{site}')"
        );
        let first = match python.home {
            PythonHome::Release => None,
            PythonHome::Image { sites, .. } => sites.first(),
        };
        let Some(first) = first else { return line };
        format!(
            "{line}; _at = sys.path.index('{first}') if '{first}' in sys.path else len(sys.path); \
             _own = sys.path.index('{site}') if '{site}' in sys.path else len(sys.path); \
             sys.path[_at:] = sys.path[_own:] + sys.path[_at:_own] if _at < _own else sys.path[_at:]"
        )
    }
}

/// A path that cannot be the user base.
#[derive(Debug, Error)]
#[error(
    "cannot use `{0}` as the user base: write a path like `/opt/app` that consists of plain letters, and that neither the system nor an engine uses"
)]
pub(crate) struct UserBaseError(String);

impl fmt::Display for UserBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for UserBase {
    type Err = UserBaseError;

    fn from_str(text: &str) -> Result<Self, UserBaseError> {
        // Directories that belong to packages or that engines mount, and symbolic links to such directories.
        const TAKEN: [&str; 13] = [
            "/dev",
            "/proc",
            "/sys",
            "/run",
            "/var/run",
            "/var/lock",
            "/etc",
            "/root",
            "/bin",
            "/sbin",
            "/lib",
            "/lib64",
            "/var/lib/dpkg",
        ];
        let refuse = || UserBaseError(text.to_owned());
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@".contains(c);
        if !text.starts_with('/') || !text.chars().all(is_plain) {
            return Err(refuse());
        }
        let path = ImagePath::parse(text).map_err(|_| refuse())?;
        if ["/", "/usr"].contains(&path.as_str()) || TAKEN.iter().any(|taken| path.is_within(taken)) {
            return Err(refuse());
        }
        Ok(Self(path))
    }
}

#[cfg(test)]
impl UserBase {
    pub(crate) fn example() -> Self {
        Self(ImagePath::parse(Self::DEFAULT).unwrap())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_base_is_a_path_that_nothing_else_takes() {
        for text in ["/opt/app", "/tmp/theuserbase", "/usr/local", "/srv/a-b_c.d+e@f/"] {
            assert!(text.parse::<UserBase>().is_ok(), "{text}");
        }
        for text in ["opt/app", "/", "/usr", "/proc/x", "/bin/x", "/a:b", "/a'b", "/a b", "/a/../b", ""] {
            assert!(text.parse::<UserBase>().is_err(), "{text}");
        }
        assert_eq!("/srv//x/".parse::<UserBase>().unwrap().program("tool"), "/srv/x/bin/tool");
    }
}
