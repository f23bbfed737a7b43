//! The request for a Dockerfile, and the values that it is written from.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::all_indexes::AllIndexes;
use crate::model::assembly::InstalledScript;
use crate::model::digest::Digest;
use crate::model::lock::{LockedWheel, PlatformLock};
use crate::model::non_empty::NonEmpty;
use crate::model::platform::PythonVersion;
use crate::model::request::ReleaseRequest;
use crate::model::user_base::UserBase;

/// The locks of all platforms of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lock {
    pub(crate) python: PythonVersion,
    pub(crate) base: ReleaseRequest,
    /// One for each requested platform, in that order.
    pub(crate) platforms: NonEmpty<PlatformLock>,
}

/// The user base in the recipe style if the user named none.
pub(crate) const RECIPE_USER_BASE: &str = "/tmp/theuserbase";

/// The style of a Dockerfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Style {
    /// Two stages, as written by hand: `pip install --user`, then two directories and `python3-minimal` on a clean
    /// base.
    Recipe,
    /// Two stages like `Recipe`, but done carefully: hashes, no recommended packages, no leftovers, no root.
    Lean,
    /// Lean, with uv in the first stage.
    Uv,
    /// One stage with everything in it, for comparison.
    Fat,
}

/// The kinds of `RUN --mount` that the builder supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mounts {
    /// `RUN --mount=type=cache` and `type=secret`: BuildKit, Podman, Buildah.
    Known,
    /// Neither of them: Docker's classic builder.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DockerfileRequest {
    pub(crate) style: Style,
    /// The image after `FROM`, with its digest if known: `debian:trixie`, `ubuntu:22.04@sha256:...`.
    pub(crate) from: String,
    /// The directory for executables and libraries (`PYTHONUSERBASE`).
    pub(crate) user_base: UserBase,
    pub(crate) mounts: Mounts,
    /// Whether the build adds certificates, from the secret `ca` or from the file `ca.crt` of the build context.
    pub(crate) has_certificates: bool,
    /// The build context: the folder in which the Dockerfile is built, as an absolute path.
    pub(crate) context: PathBuf,
}

/// The values that a Dockerfile is written from: the result of resolving the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ingredients {
    pub(crate) lock: Lock,
    /// Distributions that have no fitting wheel. If there are any, the request cannot be resolved without building. In
    /// that case the lock has no wheels, and pip resolves while it builds the image.
    pub(crate) without_wheels: Vec<String>,
    /// uv itself for each platform of the lock. Empty if the style does not use uv.
    pub(crate) uv: Vec<LockedWheel>,
    pub(crate) indexes: AllIndexes,
    /// The names directly below the user base after the installation: `bin`, `lib`, `share`. Empty if they are not
    /// known in advance.
    pub(crate) user_base_names: BTreeSet<String>,
    /// The console scripts of the wheels, sorted by name.
    pub(crate) scripts: Vec<InstalledScript>,
    /// In exec form. Empty if there are several scripts and the user named none.
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
    /// The distributions that the Dockerfile copies.
    pub(crate) context: Vec<ContextFile>,
}

/// A distribution in the build context of a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContextFile {
    /// The path, relative to the build context.
    pub(crate) path: PathBuf,
    pub(crate) contents: ContextContents,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ContextContents {
    /// A folder, as an archive in the store. The files of the archive are below a single folder.
    Folder(Digest),
    /// A wheel or a source distribution of this machine.
    File(PathBuf),
}

/// A command that must succeed in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainerCheck {
    /// The command as a user would type it inside the container: `pre-commit --version`.
    pub(crate) name: String,
    /// Replaces the image's own entry point.
    pub(crate) entrypoint: Option<String>,
    /// Arguments after the image's name, one list per attempt. The check passes if one attempt succeeds.
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
    /// In the order in which they are tried.
    pub(crate) const ALL: [Self; 3] = [Self::Docker, Self::Podman, Self::Buildah];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Buildah => "buildah",
        }
    }
}

/// How a Dockerfile is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EngineRequest {
    /// The first program that responds is used for the build.
    pub(crate) programs: Vec<EngineProgram>,
    /// The mount support that the Dockerfile must be written for. `None` means the mount support of the engine's
    /// builder.
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
    /// The size of all layers together, unpacked.
    pub(crate) size_bytes: u64,
    /// The checks that passed.
    pub(crate) checks: Vec<String>,
}
