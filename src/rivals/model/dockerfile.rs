//! The request for a Dockerfile, and the values from which a Dockerfile is written.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::all_indexes::AllIndexes;
use crate::model::assembly::InstalledScript;
use crate::model::digest::Digest;
use crate::model::lock::{LockedWheel, PlatformLock};
use crate::model::non_empty::NonEmpty;
use crate::model::platform::{Platform, PythonVersion};
use crate::model::request::ReleaseRequest;
use crate::model::user_base::UserBase;

/// The locks of all platforms of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lock {
    pub(crate) python: PythonVersion,
    pub(crate) base: ReleaseRequest,
    /// The lock of each requested platform, in the order of the request.
    pub(crate) platforms: NonEmpty<PlatformLock>,
}

#[cfg(test)]
impl Lock {
    /// A lock of one platform for tests.
    pub(crate) fn example(wheels: Vec<LockedWheel>, request: &crate::model::request::Request) -> Self {
        let platforms = NonEmpty::of(PlatformLock::example(wheels));
        Self { python: request.python.version, base: request.release.clone(), platforms }
    }
}

/// The default user base of the styles `Recipe` and `Fat`.
pub(crate) const RECIPE_USER_BASE: &str = "/tmp/theuserbase";

/// The style of a Dockerfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Style {
    /// Two stages, as people write them. The first stage runs `pip install --user`. The second stage has a clean base,
    /// `python3-minimal`, and the folders of the user base that are copied from the first stage.
    Recipe,
    /// Two stages like `Recipe`, but with hashes, and without recommended packages and leftover files. The program does
    /// not run as root.
    Lean,
    /// Like `Lean`, but uv installs the distributions in the first stage.
    Uv,
    /// One stage, and an image that contains everything. It is only for comparison.
    Fat,
}

/// The kinds of `RUN --mount` that the builder supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mounts {
    /// `RUN --mount=type=cache` and `type=secret`: BuildKit, Podman, Buildah.
    Known,
    /// The builder supports neither kind: Docker's classic builder.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DockerfileRequest {
    pub(crate) style: Style,
    /// The image after `FROM`, such as `debian:trixie`. If its digest is known, the name contains the digest:
    /// `ubuntu:22.04@sha256:...`.
    pub(crate) from: String,
    /// The directory for executables and libraries (`PYTHONUSERBASE`).
    pub(crate) user_base: UserBase,
    /// Whether the user chose the user of the image. If not, the styles `Recipe` and `Fat` run the program as root, as
    /// people write such Dockerfiles.
    pub(crate) has_user: bool,
    pub(crate) mounts: Mounts,
    /// Whether the build adds certificates, from the secret `ca` or from the file `ca.crt` of the build context.
    pub(crate) has_certificates: bool,
    /// The build context: the folder in which the Dockerfile is built, as an absolute path.
    pub(crate) context: PathBuf,
}

#[cfg(test)]
impl DockerfileRequest {
    /// A request for tests.
    pub(crate) fn example(style: Style, request: &crate::model::request::Request) -> Self {
        Self {
            style,
            from: "debian:trixie".to_owned(),
            user_base: request.user_base.clone(),
            has_user: false,
            mounts: Mounts::Known,
            has_certificates: false,
            context: "/work".into(),
        }
    }
}

/// The values from which a Dockerfile is written. They are the result of resolving the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ingredients {
    pub(crate) lock: Lock,
    /// Distributions that have no fitting wheel and that lath cannot build. If there are any, the lock has no wheels,
    /// and pip chooses the versions while the engine builds the image.
    pub(crate) without_wheels: Vec<String>,
    /// The wheel of uv for each platform of the lock. The list is empty if the style does not use uv.
    pub(crate) uv: Vec<LockedWheel>,
    pub(crate) indexes: AllIndexes,
    /// The names of the files and folders at the top of the user base after the installation, such as `bin`, `lib` and
    /// `share`. The set is empty if these names are not known before the build.
    pub(crate) user_base_names: BTreeSet<String>,
    /// The console scripts of the wheels, sorted by name.
    pub(crate) scripts: Vec<InstalledScript>,
    /// The entry point in exec form. Empty if there are several scripts and the user chose none.
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
    /// The variables of lath's image, each `NAME=VALUE`.
    pub(crate) env: Vec<String>,
}

/// The Dockerfile, and the checks of the image that is built from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dockerfile {
    pub(crate) text: String,
    pub(crate) checks: Vec<ContainerCheck>,
    /// The files and folders that the Dockerfile copies. If two entries have the same path, the last one wins.
    pub(crate) context: Vec<ContextFile>,
}

/// A file or a folder in the build context of a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContextFile {
    /// The path, relative to the build context.
    pub(crate) path: PathBuf,
    pub(crate) contents: ContextContents,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ContextContents {
    /// A source folder, as the digest of an archive in the store. The archive contains one folder, and all files are
    /// below it.
    Folder(Digest),
    /// The contents of a file of this machine. If the path is a link, the file to which it leads.
    File(PathBuf),
    /// A file of this machine, or a folder with its contents. Links are copied as links.
    Tree(PathBuf),
    /// A link to this path.
    Link(String),
}

/// A command that must succeed in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainerCheck {
    /// The command as a user would type it inside the container, such as `pre-commit --version`.
    pub(crate) name: String,
    /// A program that runs instead of the image's entry point.
    pub(crate) entrypoint: Option<String>,
    /// The arguments of the command. There is one list per attempt, and the check passes if one attempt succeeds.
    pub(crate) attempts: Vec<Vec<String>>,
}

/// A program that builds Dockerfiles and runs the resulting images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EngineProgram {
    Docker,
    Podman,
    Buildah,
}

impl EngineProgram {
    /// All programs, in the order in which lath tries them.
    pub(crate) const ALL: [Self; 3] = [Self::Docker, Self::Podman, Self::Buildah];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Buildah => "buildah",
        }
    }
}

/// The request to build a Dockerfile with an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EngineRequest {
    /// The programs to try. The first one that works builds the Dockerfile.
    pub(crate) programs: Vec<EngineProgram>,
    /// The platform of the image.
    pub(crate) platform: Platform,
    /// The kinds of mounts that the Dockerfile may use. `None` means the kinds that the engine's builder supports.
    pub(crate) mounts: Option<Mounts>,
    /// A file with certificates.
    pub(crate) certificates: Option<PathBuf>,
    pub(crate) uses_cache: bool,
}

/// The result of building a Dockerfile with an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EngineReceipt {
    pub(crate) program: EngineProgram,
    pub(crate) dockerfile: String,
    pub(crate) build: Duration,
    /// The sum of the unpacked sizes of all layers.
    pub(crate) size_bytes: u64,
    /// The checks that passed.
    pub(crate) checks: Vec<String>,
}
