//! A part is an opened parcel: a list of its files, with their contents by digest.

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

/// A path of an archive as the archive spells it, after the check of [`crate::model::image_path::ImagePath`]: relative,
/// without a leading slash.
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
    /// Maintainer scripts and triggers of the control member, by name, with their text.
    pub(crate) scripts: Vec<(String, String)>,
    /// `conffiles`, `md5sums` and other control files that dpkg keeps, by name.
    pub(crate) control_files: Vec<(String, String)>,
    pub(crate) entries: Vec<PartEntry>,
}

/// The contents of a wheel (PEP 427), sorted by their place of installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WheelPart {
    /// `Root-Is-Purelib`.
    pub(crate) is_purelib: bool,
    /// `foo-1.0.dist-info`.
    pub(crate) dist_info: String,
    /// The text of METADATA.
    pub(crate) metadata: String,
    /// Files of the root, for site-packages.
    pub(crate) site: Vec<PartEntry>,
    /// Files of `.data/scripts`. A first line `#!python` is not replaced yet. Those in folders are data of the programs.
    pub(crate) scripts: Vec<PartEntry>,
    /// Files of `.data/data`, relative to the prefix.
    pub(crate) data: Vec<PartEntry>,
    /// Files of `.data/headers`.
    pub(crate) headers: Vec<PartEntry>,
    /// `entry_points.txt`: console_scripts, then gui_scripts.
    pub(crate) console_scripts: Vec<ConsoleScript>,
    /// The differences between RECORD and the wheel, one for each kind.
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
    /// RECORD has no sha256 or better for a file.
    NoDigest,
    /// RECORD has the digest of other contents.
    OtherDigest,
    /// The digest is correct, but in hexadecimal digits instead of base64.
    Hexadecimal,
}

/// The files of a wheel that differ from its RECORD in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordFault {
    pub(crate) kind: RecordFaultKind,
    /// The first of them.
    pub(crate) path: String,
    /// The number of the others.
    pub(crate) others: usize,
}

/// A line of `[console_scripts]`: `name = module:attribute.path`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ConsoleScript {
    pub(crate) name: String,
    pub(crate) module: String,
    /// Dotted; never empty.
    pub(crate) attribute: String,
}
