//! An image that lath builds on: its layers as one tree, and the facts that decide how a Python program runs in it.
//!
//! Everything is read from files. No program of the image runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::facts::FileFacts;
use crate::model::image::{BlobDigest, Layer};
use crate::model::image_path::ImagePath;
use crate::model::platform::{Platform, PythonVersion};
use crate::model::tree::Tree;

/// The image of one platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BaseImage {
    /// The digest of its manifest.
    pub(crate) digest: BlobDigest,
    pub(crate) platform: Platform,
    /// The media type of its manifest: OCI's, or Docker's of schema 2.
    pub(crate) media_type: String,
    /// The exact text of its config.
    pub(crate) config: String,
    /// The lowest first. Their contents are blobs.
    pub(crate) layers: Vec<Layer>,
    /// Everything has the origin [`crate::model::tree::Origin::Base`].
    pub(crate) tree: Tree,
    /// The facts about the files of the tree.
    pub(crate) facts: FileFacts,
    pub(crate) found: Found,
    /// Things in the layers that a tree cannot have, or that a reader should notice. In the order of their paths.
    pub(crate) oddities: Vec<Oddity>,
}

/// Something unusual in the layers of a base image. It stays in the image, because the layers are not changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Oddity {
    /// As in the layer, without a leading slash. Bytes that are not UTF-8 are replaced.
    pub(crate) path: String,
    pub(crate) kind: OddityKind,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OddityKind {
    /// A program that runs as its owner or its group.
    SetId,
    /// Extended attributes, by name: `security.capability`.
    Attributes(Vec<String>),
    /// A device node. It is not in the tree.
    Device,
    /// A named pipe. It is not in the tree.
    Pipe,
    /// A name, or the target of a link, that lath cannot use: not UTF-8, with a line break, or too long. The path is not
    /// in the tree.
    Name,
}

impl OddityKind {
    /// Returns the words for several paths of this kind.
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Self::SetId => "programs that run as their owner (setuid or setgid)",
            Self::Attributes(_) => "files with extended attributes",
            Self::Device => "device nodes",
            Self::Pipe => "named pipes",
            Self::Name => "unusual names",
        }
    }
}

/// The facts that were found in the tree and in the config.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) distribution: Option<OsRelease>,
    /// `None` if there is no C library, so that only static programs run.
    pub(crate) libc: Option<Libc>,
    /// The first one is the one that `PATH` finds, if it finds one. The others are sorted by path.
    pub(crate) interpreters: Vec<Interpreter>,
    /// The installed packages of Debian, sorted by name.
    pub(crate) debs: Vec<InstalledDeb>,
    pub(crate) user: ImageUser,
    /// `NAME=VALUE`, in the order of the config. The last one of a name is valid.
    pub(crate) env: Vec<String>,
    /// `/` if the config has none.
    pub(crate) workdir: String,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
    /// The file with the certificates of authorities that OpenSSL finds.
    pub(crate) ca_bundle: Option<ImagePath>,
    /// A shell that can run scripts: `/bin/sh`, or another one.
    pub(crate) shell: Option<ImagePath>,
    pub(crate) has_ld_cache: bool,
    /// The libraries that the dynamic loader finds, by SONAME.
    pub(crate) libraries: BTreeMap<String, ImagePath>,
}

impl Found {
    /// Returns the value of an environment variable.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().rev().find_map(|entry| entry.split_once('=').filter(|(key, _)| *key == name)).map(|(_, v)| v)
    }

    /// Returns the interpreter that the name `python3` or `python` starts, if there is one.
    pub(crate) fn default_interpreter(&self) -> Option<&Interpreter> {
        self.interpreters.iter().find(|interpreter| interpreter.is_on_path)
    }
}

/// The release of the operating system (os-release(5)).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OsRelease {
    /// `debian`, `ubuntu`, `alpine`, `rhel`.
    pub(crate) id: String,
    /// `12`, `24.04`.
    pub(crate) version: Option<String>,
    /// `bookworm`, `noble`.
    pub(crate) codename: Option<String>,
    /// `Debian GNU/Linux 12 (bookworm)`.
    pub(crate) pretty_name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Libc {
    pub(crate) family: LibcFamily,
    /// `2.36`, `1.2.5`. `None` if the file does not contain a version.
    pub(crate) version: Option<String>,
    /// The library, after links.
    pub(crate) path: ImagePath,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LibcFamily {
    Glibc,
    Musl,
}

/// A CPython.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Interpreter {
    /// The path by which it was found: `/usr/local/bin/python3`.
    pub(crate) path: ImagePath,
    /// The program, after links.
    pub(crate) program: ImagePath,
    /// Whether the image's `PATH` finds it.
    pub(crate) is_on_path: bool,
    pub(crate) version: PythonVersion,
    /// With the patch level: `3.12.4`, `3.14.0rc2`. `None` if no file contains it.
    pub(crate) full_version: Option<String>,
    /// `/usr/local`.
    pub(crate) prefix: ImagePath,
    /// The virtual environment that `path` belongs to.
    pub(crate) environment: Option<ImagePath>,
    /// `/usr/local/lib/python3.12`.
    pub(crate) stdlib: ImagePath,
    /// The folders of distributions, in the order of `sys.path`. They may be missing.
    pub(crate) site_packages: Vec<ImagePath>,
    /// Whether `ensurepip` and its wheels are there.
    pub(crate) has_ensurepip: bool,
    /// The file that forbids installers to change the folders (packaging.python.org, "Externally Managed Environments").
    pub(crate) externally_managed: Option<ImagePath>,
    /// In the order of `site_packages`, so the first one of a name is the one that is imported.
    pub(crate) distributions: Vec<InstalledDistribution>,
}

impl Interpreter {
    /// Returns the path by which it is started. The program of a virtual environment finds it by this path.
    pub(crate) fn start(&self) -> &ImagePath {
        if self.environment.is_some() { &self.path } else { &self.program }
    }
}

/// A Python distribution that is in the image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct InstalledDistribution {
    /// Normalised: `charset-normalizer`.
    pub(crate) name: String,
    pub(crate) version: String,
    /// The folder that is on `sys.path`.
    pub(crate) folder: ImagePath,
    /// Its metadata: the path of `NAME.dist-info`, or of an `.egg-info`.
    pub(crate) metadata: ImagePath,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct InstalledDeb {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// The user that the image starts as.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageUser {
    /// As in the config: `1000`, `app:app`. Empty means root.
    pub(crate) text: String,
    /// `None` if it is a name that `/etc/passwd` lacks.
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    /// From `/etc/passwd`.
    pub(crate) home: Option<String>,
}
