//! A part is an opened parcel: the list of its files, each with the digest of its contents.

use serde::{Deserialize, Serialize};

use crate::model::digest::Digest;
use crate::model::facts::FileFacts;
use crate::model::tree::{Kind, Origin};

/// One opened parcel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// The sha256 of the parcel.
    pub(crate) parcel: Digest,
    pub(crate) origin: Origin,
    pub(crate) contents: PartContents,
    /// The facts about its files.
    pub(crate) facts: FileFacts,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub(crate) enum PartContents {
    Deb(DebPart),
    Wheel(WheelPart),
}

/// A path in an archive. It was checked like an [`crate::model::image_path::ImagePath`], but it is relative and has no
/// leading slash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartEntry {
    pub(crate) path: String,
    pub(crate) kind: Kind,
    /// Permission bits, including setuid, setgid and sticky.
    pub(crate) mode: u32,
}

/// The contents of a .deb (deb(5)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DebPart {
    /// The control paragraph, unchanged.
    pub(crate) control: String,
    /// The maintainer scripts and the file `triggers` in the control member, by name.
    pub(crate) scripts: Vec<(String, String)>,
    /// Further control files that dpkg keeps, such as `conffiles` and `md5sums`, by name.
    pub(crate) control_files: Vec<(String, String)>,
    pub(crate) entries: Vec<PartEntry>,
}

/// The contents of a wheel (PEP 427). Files are grouped by the place in which they are installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WheelPart {
    /// The field `Root-Is-Purelib`.
    pub(crate) is_purelib: bool,
    /// The name of the folder, such as `foo-1.0.dist-info`.
    pub(crate) dist_info: String,
    /// The text of METADATA.
    pub(crate) metadata: String,
    /// Files in the top folder of the wheel, which are installed in site-packages.
    pub(crate) site: Vec<PartEntry>,
    /// Files of `.data/scripts`. The first line `#!python` was not replaced yet. Files in subfolders of this folder are
    /// data of the programs.
    pub(crate) scripts: Vec<PartEntry>,
    /// Files of `.data/data`, relative to the prefix.
    pub(crate) data: Vec<PartEntry>,
    /// Files of `.data/headers`.
    pub(crate) headers: Vec<PartEntry>,
    /// The scripts in `entry_points.txt`. Those of console_scripts come before those of gui_scripts.
    pub(crate) console_scripts: Vec<ConsoleScript>,
    /// The differences between RECORD and the wheel, one for each kind of difference.
    pub(crate) record_faults: Vec<RecordFault>,
}

/// A kind of difference between a wheel and its RECORD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RecordFaultKind {
    /// RECORD lists a file that the wheel does not contain.
    NotContained,
    /// RECORD does not list a file.
    NotListed,
    /// RECORD has no sha256 or stronger digest for a file.
    NoDigest,
    /// The digest in RECORD does not match the file's contents.
    OtherDigest,
    /// The digest is correct, but it is written in hexadecimal digits instead of base64.
    Hexadecimal,
}

/// The files of a wheel that differ from its RECORD in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordFault {
    pub(crate) kind: RecordFaultKind,
    /// The path of the first of these files.
    pub(crate) path: String,
    /// The number of the other files.
    pub(crate) others: usize,
}

/// A line of `[console_scripts]` in the form `name = module:attribute.path`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ConsoleScript {
    pub(crate) name: String,
    pub(crate) module: String,
    /// The attribute, which may contain dots and is never empty.
    pub(crate) attribute: String,
}
