//! The request: what the user asked for, settled. Nothing below it sees an option that means "default".

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::image_path::ImagePath;
use crate::model::platform::{Platform, PythonVersion};

#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// What goes in, Python half.
    pub(crate) python: PythonRequest,
    /// What goes in, Debian half.
    pub(crate) base: BaseRequest,
    /// At least one, in the order that the user gave, without duplicates.
    pub(crate) platforms: Vec<Platform>,
    pub(crate) trim: TrimLevel,
    /// Globs of image paths that trim must leave.
    pub(crate) keep: Vec<String>,
    pub(crate) bytecode: Bytecode,
    /// Where wheels go (`PYTHONUSERBASE`).
    pub(crate) user_base: UserBase,
    pub(crate) runtime: RuntimeRequest,
    /// Host files that go in, in order.
    pub(crate) copies: Vec<Copied>,
    /// Commands that must exit with 0 in the finished image.
    pub(crate) checks: Vec<String>,
    /// Whether the default checks and `checks` run.
    pub(crate) verify: bool,
    pub(crate) compression: Compression,
    /// Seconds since 1970 for every time in the image (`SOURCE_DATE_EPOCH`).
    pub(crate) epoch_secs: u64,
    /// The image's name, with its tag where one was given: `registry.example/tools/pre-commit:4.7.0`.
    pub(crate) name: String,
    pub(crate) destinations: Vec<Destination>,
}

/// The directory that `PYTHONUSERBASE` names: executables in `bin`, libraries in `lib`. It stands in `PATH`, which knows
/// no quoting, and in Python source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserBase(ImagePath);

impl UserBase {
    pub(crate) const DEFAULT: &str = "/opt/app";

    pub(crate) fn path(&self) -> &ImagePath {
        &self.0
    }

    /// Where its executables are.
    pub(crate) fn bin(&self) -> String {
        format!("{}/bin", self.0)
    }

    /// The whole path of one of its executables.
    pub(crate) fn program(&self, name: &str) -> String {
        format!("{}/bin/{name}", self.0)
    }

    /// The user site, where `version` looks for libraries.
    pub(crate) fn site(&self, version: PythonVersion) -> String {
        format!("{}/lib/python{version}/site-packages", self.0)
    }
}

impl fmt::Display for UserBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for UserBase {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        // What an engine mounts over, what belongs to packages, and the links that stand for the latter.
        const TAKEN: [&str; 11] =
            ["/dev", "/proc", "/sys", "/run", "/etc", "/root", "/bin", "/sbin", "/lib", "/lib64", "/var/lib/dpkg"];
        let refuse = || ParseError::UserBase(text.to_owned());
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@".contains(c);
        if !text.starts_with('/') || !text.chars().all(is_plain) {
            return Err(refuse());
        }
        let path = ImagePath::parse(text).map_err(|_| refuse())?;
        if ["/", "/usr"].contains(&path.as_str()) || TAKEN.iter().any(|taken| path.is_within(taken)) {
            return Err(refuse());
        }
        Ok(Self(path))
    }
}

#[derive(Debug, Clone)]
pub(crate) struct PythonRequest {
    pub(crate) version: PythonVersion,
    /// PEP 508 requirements, or paths and URLs of wheels, as typed.
    pub(crate) requirements: Vec<String>,
    /// `-r` files.
    pub(crate) requirement_files: Vec<PathBuf>,
    /// `--constraint` files.
    pub(crate) constraint_files: Vec<PathBuf>,
    pub(crate) indexes: Indexes,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Indexes {
    /// Takes the place of PyPI.
    pub(crate) default_index: Option<String>,
    /// Searched before the default one, in order.
    pub(crate) extra: Vec<String>,
    /// A date or an RFC 3339 time: files uploaded later don't exist.
    pub(crate) exclude_newer: Option<String>,
}

/// Where Python and its shared libraries come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BaseRequest {
    pub(crate) distribution: Distribution,
    /// `trixie`, `noble`.
    pub(crate) suite: String,
    /// Debian packages that the user adds.
    pub(crate) packages: Vec<String>,
    /// Follow Recommends too.
    pub(crate) recommends: bool,
    /// The mirror of the main archive; `None` is the distribution's own.
    pub(crate) mirror: Option<String>,
    /// The mirror of the security archive; `None` is the distribution's own, or `mirror`'s where that is set and holds it.
    pub(crate) security_mirror: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Distribution {
    Debian,
    Ubuntu,
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debian => "debian",
            Self::Ubuntu => "ubuntu",
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TrimLevel {
    None,
    Standard,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bytecode {
    None,
    /// What the console scripts import when they start.
    Start,
    All,
}

/// How the image runs.
#[derive(Debug, Clone)]
pub(crate) struct RuntimeRequest {
    /// The console scripts the image runs; empty when the user named none.
    pub(crate) scripts: Vec<String>,
    pub(crate) entrypoint: Entrypoint,
    /// Whether `/bin/sh` and its tools go in.
    pub(crate) shell: bool,
    pub(crate) cmd: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    /// `uid` or `uid:gid`.
    pub(crate) user: String,
    pub(crate) workdir: Option<ImagePath>,
    /// `8080/tcp`.
    pub(crate) expose: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entrypoint {
    Exec,
    Shell,
}

/// A host file or folder and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copied {
    pub(crate) source: PathBuf,
    pub(crate) target: ImagePath,
}

/// How layers are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compression {
    /// RFC 1952, level 1 to 12.
    Gzip(u8),
    /// RFC 8878, level 1 to 19.
    Zstd(u8),
}

/// Where an image goes, in skopeo's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// One tar that is an OCI layout and a Docker archive at once.
    Archive(PathBuf),
    /// `oci:PATH`: an OCI layout in a folder.
    Oci(PathBuf),
    /// `oci-archive:PATH`: an OCI layout in a tar.
    OciArchive(PathBuf),
    /// `docker-archive:PATH`: what `docker save` writes.
    DockerArchive(PathBuf),
    /// `dir:PATH`: a plain root file system.
    Directory(PathBuf),
    /// `docker-daemon:NAME`: Docker's or Podman's socket.
    Daemon(String),
}

#[derive(Debug, Error)]
pub(crate) enum ParseError {
    #[error(
        "cannot read the destination `{0}`: write `PATH.tar`, `oci:PATH`, `oci-archive:PATH`, `docker-archive:PATH`, `dir:PATH` or `docker-daemon:NAME`"
    )]
    Destination(String),
    #[error(
        "cannot use `{0}` as the user base: write a path like `/opt/app`, of plain letters, that neither the system nor an engine takes"
    )]
    UserBase(String),
    #[error("cannot read the compression `{0}`: write `gzip`, `zstd`, `gzip:1` to `gzip:12` or `zstd:1` to `zstd:19`")]
    Compression(String),
}

impl FromStr for Destination {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let refuse = || ParseError::Destination(text.to_owned());
        let (scheme, rest) = match text.split_once(':') {
            None => ("", text),
            Some((scheme, rest)) => (scheme, rest),
        };
        if rest.is_empty() || rest.starts_with("//") {
            return Err(refuse());
        }
        match scheme {
            "" => Ok(Self::Archive(rest.into())),
            "oci" => Ok(Self::Oci(rest.into())),
            "oci-archive" => Ok(Self::OciArchive(rest.into())),
            "docker-archive" => Ok(Self::DockerArchive(rest.into())),
            "dir" => Ok(Self::Directory(rest.into())),
            "docker-daemon" => Ok(Self::Daemon(rest.to_owned())),
            _ => Err(refuse()),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive(path) => write!(f, "{}", path.display()),
            Self::Oci(path) => write!(f, "oci:{}", path.display()),
            Self::OciArchive(path) => write!(f, "oci-archive:{}", path.display()),
            Self::DockerArchive(path) => write!(f, "docker-archive:{}", path.display()),
            Self::Directory(path) => write!(f, "dir:{}", path.display()),
            Self::Daemon(name) => write!(f, "docker-daemon:{name}"),
        }
    }
}

impl FromStr for Compression {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let refuse = || ParseError::Compression(text.to_owned());
        let (name, level) = match text.split_once(':') {
            None => (text, None),
            Some((name, level)) => (name, Some(level.parse::<u8>().map_err(|_| refuse())?)),
        };
        match (name, level) {
            ("gzip", level) if (1..=12).contains(&level.unwrap_or(6)) => Ok(Self::Gzip(level.unwrap_or(6))),
            ("zstd", level) if (1..=19).contains(&level.unwrap_or(9)) => Ok(Self::Zstd(level.unwrap_or(9))),
            _ => Err(refuse()),
        }
    }
}
