//! An image that lath builds on. It is described by one tree of all layers, and by the facts that decide how a Python
//! program runs in the image.
//!
//! Everything is read from files. No program in the image is run.

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
    /// The media type of the manifest: either the one of OCI, or the one of Docker's schema 2.
    pub(crate) media_type: String,
    /// The exact text of its config.
    pub(crate) config: String,
    /// The layers, from the lowest to the highest. Their contents are blobs.
    pub(crate) layers: Vec<Layer>,
    /// The file system. All paths have the origin [`crate::model::tree::Origin::Base`].
    pub(crate) tree: Tree,
    /// The facts about the files of the tree.
    pub(crate) facts: FileFacts,
    pub(crate) found: Found,
    /// Things in the layers that a tree cannot contain, or that a user should know about. They are in the order of
    /// their paths.
    pub(crate) oddities: Vec<Oddity>,
}

/// Something unusual in the layers of a base image. It stays in the image, because the layers are not changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Oddity {
    /// The path in the layer, without a leading slash. Bytes that are not UTF-8 are replaced by other characters.
    pub(crate) path: String,
    pub(crate) kind: OddityKind,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OddityKind {
    /// A program that runs with the rights of its owner or group (setuid, setgid).
    SetId,
    /// A file with extended attributes. The value contains their names, such as `security.capability`.
    Attributes(Vec<String>),
    /// A device node. It is not in the tree.
    Device,
    /// A named pipe. It is not in the tree.
    Pipe,
    /// A path that lath cannot use, because the path or the target of the link is not UTF-8, contains a line break or
    /// is too long. The path is not in the tree.
    Name,
}

impl OddityKind {
    /// Returns a description of several paths of this kind.
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
    /// `None` means that there is no C library, so only static programs can run.
    pub(crate) libc: Option<Libc>,
    /// The Python interpreters. The interpreter that `PATH` finds comes first. The others are sorted by path.
    pub(crate) interpreters: Vec<Interpreter>,
    /// The Debian packages that are installed, sorted by name.
    pub(crate) debs: Vec<InstalledDeb>,
    pub(crate) user: ImageUser,
    /// The environment in the form `NAME=VALUE`, in the order of the config. If a name occurs several times, the last
    /// one is used.
    pub(crate) env: Vec<String>,
    /// The work directory. It is `/` if the config contains none.
    pub(crate) workdir: String,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
    /// The file in which OpenSSL finds the certificates of authorities.
    pub(crate) ca_bundle: Option<ImagePath>,
    /// A shell that can run scripts, such as `/bin/sh`.
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

    /// Returns the interpreter that is started by the name `python3` or `python`, if there is one.
    pub(crate) fn default_interpreter(&self) -> Option<&Interpreter> {
        self.interpreters.iter().find(|interpreter| interpreter.is_on_path)
    }
}

/// The release of the operating system (os-release(5)).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OsRelease {
    /// For example `debian`, `ubuntu`, `alpine` or `rhel`.
    pub(crate) id: String,
    /// For example `12` or `24.04`.
    pub(crate) version: Option<String>,
    /// For example `bookworm` or `noble`.
    pub(crate) codename: Option<String>,
    /// For example `Debian GNU/Linux 12 (bookworm)`.
    pub(crate) pretty_name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Libc {
    pub(crate) family: LibcFamily,
    /// For example `2.36` or `1.2.5`. `None` if the library does not contain a version.
    pub(crate) version: Option<String>,
    /// The path of the library, after links were followed.
    pub(crate) path: ImagePath,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LibcFamily {
    Glibc,
    Musl,
}

/// A Python interpreter. It is always CPython.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Interpreter {
    /// The path at which it was found, such as `/usr/local/bin/python3`.
    pub(crate) path: ImagePath,
    /// The path of the program, after links were followed.
    pub(crate) program: ImagePath,
    /// Whether it can be found by the image's `PATH`.
    pub(crate) is_on_path: bool,
    pub(crate) version: PythonVersion,
    /// The version including the patch number, such as `3.12.4` or `3.14.0rc2`. `None` if no file contains the version.
    pub(crate) full_version: Option<String>,
    /// For example `/usr/local`.
    pub(crate) prefix: ImagePath,
    /// The virtual environment that contains `path`, if there is one.
    pub(crate) environment: Option<ImagePath>,
    /// For example `/usr/local/lib/python3.12`.
    pub(crate) stdlib: ImagePath,
    /// The folders with distributions, in the order of `sys.path`. Some of these folders may be missing.
    pub(crate) site_packages: Vec<ImagePath>,
    /// The folder in `site_packages` that Python searches only because of the user: the one in `PYTHONUSERBASE` or in
    /// the user's home directory. `None` if there is no such folder, or if Python searches it for another reason, too.
    pub(crate) user_site: Option<ImagePath>,
    /// Whether the image contains `ensurepip` and its wheels.
    pub(crate) has_ensurepip: bool,
    /// The file `EXTERNALLY-MANAGED`. If it exists, installers must not change the folders in `site_packages`
    /// (packaging.python.org, "Externally Managed Environments").
    pub(crate) externally_managed: Option<ImagePath>,
    /// The distributions, in the order of `site_packages`. If a name occurs several times, the first one is imported.
    pub(crate) distributions: Vec<InstalledDistribution>,
}

impl Interpreter {
    /// Returns the path by which the interpreter must be started. The program of a virtual environment finds the
    /// environment by this path.
    pub(crate) fn start(&self) -> &ImagePath {
        if self.environment.is_some() { &self.path } else { &self.program }
    }
}

/// A Python distribution that is in the image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct InstalledDistribution {
    /// The normalised name, such as `charset-normalizer`.
    pub(crate) name: String,
    pub(crate) version: String,
    /// The folder in `sys.path` that contains it.
    pub(crate) folder: ImagePath,
    /// The path of its metadata. Its name is `NAME.dist-info`, or it ends with `.egg-info`.
    pub(crate) metadata: ImagePath,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct InstalledDeb {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// The user that runs the image's program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageUser {
    /// The user as the config contains it, such as `1000` or `app:app`. An empty text means root.
    pub(crate) text: String,
    /// The numeric ID. `None` if `text` contains a name that is missing in `/etc/passwd`.
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    /// The home directory in `/etc/passwd`.
    pub(crate) home: Option<String>,
}
