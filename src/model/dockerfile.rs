//! What a Dockerfile is asked to be, and what it is written from.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::assembly::InstalledScript;
use crate::model::lock::{Lock, LockedWheel};
use crate::model::request::UserBase;

/// The user base of the recipe, where the user named none.
pub(crate) const RECIPE_USER_BASE: &str = "/tmp/theuserbase";

/// How a Dockerfile goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Two stages, as by hand: `pip install --user`, then two folders and `python3-minimal` on a clean base.
    Recipe,
    /// The same idea with care: hashes, nothing recommended, nothing left over, no root.
    Lean,
    /// Lean, with uv in the first stage.
    Uv,
    /// One stage with everything in it, for comparison.
    Fat,
}

/// What the builder can do for a `RUN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mounts {
    /// `RUN --mount=type=cache` and `type=secret`: BuildKit, Podman, Buildah.
    Known,
    /// Docker's classic builder: neither.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DockerfileRequest {
    pub(crate) style: Style,
    /// What `FROM` names, by digest where one is known: `debian:trixie`, `ubuntu:22.04@sha256:...`.
    pub(crate) from: String,
    /// Where executables and libraries go (`PYTHONUSERBASE`).
    pub(crate) user_base: UserBase,
    pub(crate) mounts: Mounts,
    /// Whether certificates are brought in: as the secret `ca`, or as the file `ca.crt` of the build context.
    pub(crate) has_certificates: bool,
}

/// What a Dockerfile is written from: what the request came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ingredients {
    pub(crate) lock: Lock,
    /// Distributions of which no wheel fits. Where there are any nothing could be resolved without building: the lock has
    /// no wheels then, and pip resolves while it builds the image.
    pub(crate) without_wheels: Vec<String>,
    /// uv itself for each platform of the lock; empty where the style does not need it.
    pub(crate) uv: Vec<LockedWheel>,
    /// The console scripts of the wheels, by name.
    pub(crate) scripts: Vec<InstalledScript>,
    /// In exec form; empty where no script was named and there are several.
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
}

/// The Dockerfile, and what its image is asked once it is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dockerfile {
    pub(crate) text: String,
    pub(crate) checks: Vec<ContainerCheck>,
}

/// A command that has to succeed in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainerCheck {
    /// As a user would type it inside: `pre-commit --version`.
    pub(crate) name: String,
    /// Takes the place of the image's own entry point.
    pub(crate) entrypoint: Option<String>,
    /// What follows the image's name; the first that succeeds is enough.
    pub(crate) attempts: Vec<Vec<String>>,
}

/// A program that builds Dockerfiles and runs what came of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// The first that answers builds.
    pub(crate) programs: Vec<EngineProgram>,
    /// What the Dockerfile has to be written for; without a choice, what the engine's builder can do.
    pub(crate) mounts: Option<Mounts>,
    /// A file of certificates.
    pub(crate) certificates: Option<PathBuf>,
    pub(crate) uses_cache: bool,
}

/// What an engine made of a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EngineReceipt {
    pub(crate) program: EngineProgram,
    pub(crate) dockerfile: String,
    pub(crate) build: Duration,
    /// All layers together, unpacked.
    pub(crate) size_bytes: u64,
    /// The checks that passed.
    pub(crate) checks: Vec<String>,
}
