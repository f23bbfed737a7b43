//! Facts about the contents of files. Each file is read once, when its parcel is opened. All later steps use these
//! facts.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::digest::Digest;
use crate::model::tree::{Node, Origin};

/// The facts about one file. Most files have none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Facts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) elf: Option<Elf>,
    /// The names of libraries in the file, without `.so` and the characters after it. For example, this contains
    /// `libmagic` if the file contains the text `libmagic.so.1` or the call `find_library("magic")`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) libraries: BTreeSet<String>,
    /// The words of [`crate::model::vocabulary`] that occur in the file.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) mentions: BTreeSet<String>,
}

impl Facts {
    /// Returns the facts that the dynamic loader uses. Returns `None` if the file is not an ELF file, or if it cannot
    /// be loaded.
    pub(crate) fn linkage(&self) -> Option<&Linkage> {
        self.elf.as_ref()?.linkage.as_ref().ok()
    }
}

/// A file that begins with the magic number of ELF.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Elf {
    /// The field `e_machine`. `None` if the file ends before that field.
    pub(crate) machine: Option<u16>,
    /// The dynamic section, or the reason why it cannot be read.
    pub(crate) linkage: Result<Linkage, ElfFault>,
}

/// The facts that the dynamic loader uses from an ELF file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Linkage {
    /// The field `e_machine`.
    pub(crate) machine: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) soname: Option<String>,
    /// The values of `DT_NEEDED`, in the order of the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) needed: Vec<String>,
    /// The folders in `DT_RUNPATH`, or in `DT_RPATH` if there is no `DT_RUNPATH`. The text in the file was split at
    /// colons. `$ORIGIN` is not replaced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) search_paths: Vec<String>,
    /// The path of the dynamic loader, if the file is a program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) interpreter: Option<String>,
    /// Whether the file has a dynamic section.
    pub(crate) is_dynamic: bool,
}

/// The reason why an ELF file cannot be read: the error that occurred when lath read the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("{0}")]
pub(crate) struct ElfFault(pub(crate) String);

/// The facts about the files of one origin, by digest of the contents. Files without any facts are left out.
pub(crate) type FileFacts = BTreeMap<Digest, Facts>;

/// The facts about all files of a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TreeFacts {
    files: BTreeMap<Origin, FileFacts>,
    /// For each origin, the sha256 of its parcel.
    parcels: BTreeMap<Origin, Digest>,
}

impl TreeFacts {
    /// Adds the facts about a file of `origin`.
    pub(crate) fn add(&mut self, origin: &Origin, digest: Digest, facts: Facts) {
        if facts != Facts::default() {
            self.files.entry(origin.clone()).or_default().insert(digest, facts);
        }
    }

    /// Adds the facts about all files of a parcel.
    pub(crate) fn add_all(&mut self, origin: &Origin, parcel: Digest, facts: &FileFacts) {
        self.parcels.insert(origin.clone(), parcel);
        let files = self.files.entry(origin.clone()).or_default();
        files.extend(facts.iter().map(|(digest, facts)| (*digest, facts.clone())));
    }

    /// Returns the sha256 of the parcel that contains the files of an origin.
    pub(crate) fn parcel_of(&self, origin: &Origin) -> Option<Digest> {
        self.parcels.get(origin).copied()
    }

    /// Returns the facts about a file of the tree. `None` if there are none about this file.
    pub(crate) fn of(&self, node: &Node) -> Option<&Facts> {
        self.files.get(&node.origin)?.get(node.digest()?)
    }
}

/// Returns whether this is the name of an extension module, such as `name.cpython-313-x86_64-linux-gnu.so` or
/// `name.abi3.so`. The argument is a name or a path.
pub(crate) fn is_extension_module(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.ends_with(".so") && (name.contains(".cpython-") || name.contains(".abi3."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_found_by_origin_and_contents() {
        let (digest, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let facts = Facts { libraries: BTreeSet::from(["libx".to_owned()]), ..Facts::default() };
        let mut all = TreeFacts::default();
        all.add(&Origin::User, digest, facts.clone());
        all.add(&Origin::User, other, Facts::default());
        assert_eq!(all.of(&Node::file(digest, 3, 0o644, Origin::User)), Some(&facts));
        assert_eq!(all.of(&Node::file(digest, 3, 0o644, Origin::Lath)), None);
        assert_eq!(all.of(&Node::file(other, 5, 0o644, Origin::User)), None);
        assert_eq!(all.of(&Node::directory(Origin::User)), None);
    }

    #[test]
    fn facts_survive_the_cache() {
        let fault = || Err(ElfFault("cut short".to_owned()));
        let linkage = Linkage { machine: 62, needed: vec!["libc.so.6".to_owned()], ..Linkage::default() };
        for elf in
            [None, Some(Elf { machine: Some(62), linkage: Ok(linkage) }), Some(Elf { machine: None, linkage: fault() })]
        {
            let facts = Facts { elf, ..Facts::default() };
            let text = serde_json::to_string(&facts).unwrap();
            assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), facts, "{text}");
        }
    }

    #[test]
    fn extension_modules_are_recognised_by_their_names() {
        for (path, is_module) in [
            ("a/_x.cpython-313-x86_64-linux-gnu.so", true),
            ("_x.abi3.so", true),
            ("a.cpython-313/libx.so", false),
            ("libx.so.1", false),
        ] {
            assert_eq!(is_extension_module(path), is_module, "{path}");
        }
    }
}
