//! An application of the user: files that are not a distribution.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::image_path::ImagePath;

/// An application, and its path in the image.
#[derive(Debug, Clone)]
pub(crate) struct AppRequest {
    /// The folder of the application.
    pub(crate) folder: PathBuf,
    /// The name of the script in `folder`, if the application is only this script.
    pub(crate) script: Option<String>,
    /// The folder of the application in the image. It is also the work directory.
    pub(crate) target: ImagePath,
    pub(crate) files: AppFiles,
}

impl AppRequest {
    /// Returns the path of the script in the image. Returns `None` if the application is a folder.
    pub(crate) fn script_path(&self) -> Option<String> {
        self.script.as_ref().map(|name| format!("{}/{name}", self.target.as_str().trim_end_matches('/')))
    }

    /// Returns the number of the files, their total size, and the largest files.
    pub(crate) fn extent(&self) -> AppExtent {
        let mut sizes: Vec<(String, u64)> =
            self.files.files.iter().map(|(path, file)| (path.clone(), file.size_bytes())).collect();
        let (files, bytes) = (sizes.len(), sizes.iter().map(|(_, bytes)| bytes).sum());
        sizes.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        sizes.truncate(AppExtent::LARGEST);
        AppExtent { files, bytes, largest: sizes }
    }
}

/// The number of an application's files, and their total size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AppExtent {
    pub(crate) files: usize,
    pub(crate) bytes: u64,
    /// The largest files with their sizes. The largest one comes first.
    pub(crate) largest: Vec<(String, u64)>,
}

impl AppExtent {
    const LARGEST: usize = 5;
}

/// The files of an application that go into the image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AppFiles {
    /// The files by path. The paths are relative to the folder, with slashes.
    pub(crate) files: BTreeMap<String, AppFile>,
    /// The text of the `Procfile`.
    pub(crate) procfile: Option<String>,
    /// Files that do not go into the image, because they may contain secrets.
    pub(crate) secrets: Vec<String>,
    /// Paths that do not go into the image, because they are neither regular files nor links.
    pub(crate) special: Vec<String>,
    /// Links whose target exists in the folder but does not go into the image.
    pub(crate) dangling: Vec<DanglingLink>,
}

/// A link that leads to nothing in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DanglingLink {
    pub(crate) path: String,
    pub(crate) target: String,
}

/// One file of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AppFile {
    File {
        /// The path of the file on the host.
        source: PathBuf,
        size_bytes: u64,
        is_executable: bool,
    },
    Link {
        target: String,
    },
}

impl AppFile {
    fn size_bytes(&self) -> u64 {
        match self {
            Self::File { size_bytes, .. } => *size_bytes,
            Self::Link { .. } => 0,
        }
    }
}
