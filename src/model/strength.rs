//! The strength of a proof: how often the proof detects that a file of the image is missing.

use serde::Serialize;

use crate::model::image_path::ImagePath;

/// The files that are deleted, one at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deletions {
    pub(crate) count: usize,
    /// The number of chosen files that are skipped, because an earlier run deleted them.
    pub(crate) skip: usize,
    /// The seed of the random choice.
    pub(crate) seed: u64,
}

/// The kind of a deleted file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FileKind {
    /// A Python file of a distribution.
    Module,
    /// A Python file of the standard library.
    StdlibModule,
    ExtensionModule,
    SharedLibrary,
    /// Any other file of a distribution in `site-packages`.
    PackageData,
    DistInfo,
    Program,
    Other,
}

/// How the proof detected that a file is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Notice {
    /// A check that does not import or read the file itself detected that the file is missing.
    ByOthers,
    /// No check detected it, except the import or the read of the file itself.
    ByItself,
    No,
}

/// A file that was deleted, and the result.
#[derive(Debug, Serialize)]
pub(crate) struct Deletion {
    pub(crate) path: ImagePath,
    pub(crate) kind: FileKind,
    /// Whether a program of the image can reach the file. It may be a module that the program can import, the program
    /// itself, a library that it needs, or data that one of its modules names.
    pub(crate) is_reached: bool,
    pub(crate) notice: Notice,
    /// The check that detected that the file is missing.
    pub(crate) check: Option<String>,
}
