//! The paths of Python in an image.

use serde::Serialize;

use crate::model::platform::PythonVersion;

/// The folder with the distributions of the release. The Python of the release searches this folder.
const DIST_PACKAGES: &str = "/usr/lib/python3/dist-packages";

/// The paths of an image's Python.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PythonHome {
    /// The paths in Debian and Ubuntu.
    #[default]
    Release,
    /// The paths in a base image that has its own Python.
    Image {
        /// The path of the interpreter, for example `/usr/local/bin/python3.13`.
        program: String,
        /// The standard library, such as `/usr/local/lib/python3.13`.
        stdlib: String,
        /// The folders with distributions that Python searches, in order. They do not depend on environment variables.
        sites: Vec<String>,
    },
}

impl PythonHome {
    pub(crate) fn is_of_release(&self) -> bool {
        *self == Self::Release
    }
}

/// The Python of an image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Python<'a> {
    pub(crate) version: PythonVersion,
    pub(crate) home: &'a PythonHome,
}

impl Python<'_> {
    /// Returns the path of the interpreter.
    pub(crate) fn program(self) -> String {
        match self.home {
            PythonHome::Release => self.version.interpreter(),
            PythonHome::Image { program, .. } => program.clone(),
        }
    }

    /// Returns the path of the standard library.
    pub(crate) fn stdlib(self) -> String {
        match self.home {
            PythonHome::Release => self.version.stdlib(),
            PythonHome::Image { stdlib, .. } => stdlib.clone(),
        }
    }

    /// Returns the folders with distributions that Python searches, in order. They do not depend on environment
    /// variables.
    pub(crate) fn sites(self) -> Vec<String> {
        match self.home {
            PythonHome::Release => vec![DIST_PACKAGES.to_owned()],
            PythonHome::Image { sites, .. } => sites.clone(),
        }
    }
}

#[cfg(test)]
impl Python<'static> {
    /// Returns the Python of a release.
    pub(crate) fn of_release(version: &str) -> Self {
        Self { version: version.parse().unwrap(), home: &PythonHome::Release }
    }
}
