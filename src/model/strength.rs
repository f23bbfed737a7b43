//! The strength of a proof: how often it notices that a file of the image is missing.

use serde::Serialize;

use crate::model::image_path::ImagePath;

/// The files that are deleted, one at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deletions {
    pub(crate) count: usize,
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
    /// Any other file beside the modules of a distribution.
    PackageData,
    DistInfo,
    Program,
    Other,
}

/// How the proof noticed that a file is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Notice {
    /// A check noticed it that does not name the file itself.
    ByOthers,
    /// Only the import of the module itself noticed it.
    ByItself,
    No,
}

/// One deleted file, and the result.
#[derive(Debug, Serialize)]
pub(crate) struct Deletion {
    pub(crate) path: ImagePath,
    pub(crate) kind: FileKind,
    /// Whether the file is a module that the programs of the image can import, one of these programs, or a library that
    /// one of them needs.
    pub(crate) is_reached: bool,
    pub(crate) notice: Notice,
    /// The check that noticed it.
    pub(crate) check: Option<String>,
}
