//! The request: what the user asked for, settled. Nothing below it sees an option that means "default".

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::image_path::ImagePath;
use crate::model::platform::{Architecture, Platform, PythonVersion};
use crate::model::secret_text::SecretText;

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

impl Request {
    /// The request for the Python alone, of the same release, that compiles for `platform` on this machine; `None`
    /// where the platform's own does, or nothing is compiled.
    pub(crate) fn workshop(&self, platform: Platform) -> Option<Self> {
        let host = Platform { architecture: Architecture::of_host()? };
        if host == platform || self.bytecode == Bytecode::None {
            return None;
        }
        let mut bare = self.clone();
        bare.platforms = vec![host];
        bare.python.requirements.clear();
        bare.python.requirement_files.clear();
        bare.python.constraint_files.clear();
        bare.base.packages.clear();
        bare.runtime.entrypoint = Entrypoint::Exec;
        bare.runtime.shell = false;
        bare.copies.clear();
        Some(bare)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct PythonRequest {
    pub(crate) version: PythonVersion,
    /// PEP 508 requirements, or paths and URLs of wheels, as typed.
    pub(crate) requirements: Vec<SecretText>,
    /// `-r` files.
    pub(crate) requirement_files: Vec<PathBuf>,
    /// `--constraint` files.
    pub(crate) constraint_files: Vec<PathBuf>,
    pub(crate) prereleases: Prereleases,
    pub(crate) indexes: Indexes,
}

impl PythonRequest {
    /// What is asked for, as it was typed.
    pub(crate) fn what(&self) -> (&[SecretText], &[PathBuf]) {
        (&self.requirements, &self.requirement_files)
    }
}

/// Which versions that are not final may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prereleases {
    Disallow,
    Allow,
    /// Of what has no other version that fits, or is asked for by name with one.
    IfNecessary,
    /// Of what is asked for by name with one.
    Explicit,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Indexes {
    /// Takes the place of PyPI.
    pub(crate) default_index: Option<SecretText>,
    /// Searched before the default one, in order.
    pub(crate) extra: Vec<SecretText>,
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
    pub(crate) mirror: Option<SecretText>,
    /// The mirror of the security archive; `None` is the distribution's own, or `mirror`'s where that is set and holds it.
    pub(crate) security_mirror: Option<SecretText>,
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

impl RuntimeRequest {
    /// Who runs the image, without the group.
    pub(crate) fn uid(&self) -> &str {
        self.user.split(':').next().unwrap_or_default()
    }
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

/// A host file or folder that is seen, and may be written to, while the program runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Volume {
    /// Absolute.
    pub(crate) source: PathBuf,
    pub(crate) target: ImagePath,
    pub(crate) is_read_only: bool,
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
    /// `oci:PATH[:REFERENCE]`: an OCI layout in a folder, beside the images that it has under other names.
    Oci { path: PathBuf, reference: Option<String> },
    /// `oci-archive:PATH[:REFERENCE]`: an OCI layout in a tar.
    OciArchive { path: PathBuf, reference: Option<String> },
    /// `docker-archive:PATH[:NAME[:TAG]]`: what `docker save` writes.
    DockerArchive { path: PathBuf, name: Option<String> },
    /// `dir:PATH`: a plain root file system.
    Directory(PathBuf),
    /// `docker-daemon:NAME`: Docker's or Podman's socket.
    Daemon(String),
}

#[derive(Debug, Error)]
pub(crate) enum ParseError {
    #[error(
        "cannot read the destination `{0}`: write `PATH.tar`, `oci:PATH[:TAG]`, `oci-archive:PATH[:TAG]`, `docker-archive:PATH[:NAME:TAG]`, `dir:PATH` or `docker-daemon:NAME[:TAG]`"
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
            "oci" => named(rest).map(|(path, reference)| Self::Oci { path, reference }).ok_or_else(refuse),
            "oci-archive" => {
                named(rest).map(|(path, reference)| Self::OciArchive { path, reference }).ok_or_else(refuse)
            }
            "docker-archive" => match named(rest) {
                Some((path, name)) if name.as_deref().is_none_or(is_image_name) => {
                    Ok(Self::DockerArchive { path, name })
                }
                _ => Err(refuse()),
            },
            "dir" => Ok(Self::Directory(rest.into())),
            "docker-daemon" if is_image_name(rest) => Ok(Self::Daemon(rest.to_owned())),
            _ => Err(refuse()),
        }
    }
}

/// Splits `PATH[:REFERENCE]` at the first colon, as skopeo does: such a path holds none. A reference is of the characters
/// that image-spec, annotations.md, has for `org.opencontainers.image.ref.name`.
fn named(text: &str) -> Option<(PathBuf, Option<String>)> {
    let (path, reference) = match text.split_once(':') {
        None => (text, None),
        Some((path, reference)) => (path, Some(reference)),
    };
    let is_reference = |text: &str| {
        let is_edge = |c: char| c.is_ascii_alphanumeric();
        text.starts_with(is_edge)
            && text.ends_with(is_edge)
            && text.chars().all(|c| is_edge(c) || "-._:@/+".contains(c))
    };
    let is_whole = !path.is_empty() && reference.is_none_or(is_reference);
    is_whole.then(|| (path.into(), reference.map(str::to_owned)))
}

/// Whether engines and registries take `text` as a name, with a tag or without (distribution-spec, "Pulling manifests").
pub(crate) fn is_image_name(text: &str) -> bool {
    let (path, tag) = match text.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (text, None),
    };
    let is_component = |component: &str| {
        let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        component.starts_with(is_edge)
            && component.ends_with(is_edge)
            && component.chars().all(|c| is_edge(c) || matches!(c, '-' | '_' | '.' | ':'))
    };
    let is_tag = |tag: &str| {
        (1..=128).contains(&tag.len())
            && !tag.starts_with(['-', '.'])
            && tag.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    path.split('/').all(is_component) && tag.is_none_or(is_tag)
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive(path) => write!(f, "{}", path.display()),
            Self::Oci { path, reference } => write_named(f, "oci", path, reference.as_ref()),
            Self::OciArchive { path, reference } => write_named(f, "oci-archive", path, reference.as_ref()),
            Self::DockerArchive { path, name } => write_named(f, "docker-archive", path, name.as_ref()),
            Self::Directory(path) => write!(f, "dir:{}", path.display()),
            Self::Daemon(name) => write!(f, "docker-daemon:{name}"),
        }
    }
}

fn write_named(f: &mut fmt::Formatter<'_>, scheme: &str, path: &Path, name: Option<&String>) -> fmt::Result {
    write!(f, "{scheme}:{}", path.display())?;
    name.map_or(Ok(()), |name| write!(f, ":{name}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_read_as_skopeo_reads_them_and_written_as_they_were() {
        let table = [
            ("image.tar", Destination::Archive("image.tar".into())),
            ("oci:dir/layout", Destination::Oci { path: "dir/layout".into(), reference: None }),
            ("oci:l:4.7.0", Destination::Oci { path: "l".into(), reference: Some("4.7.0".to_owned()) }),
            (
                "oci-archive:a.tar:x/y:1",
                Destination::OciArchive { path: "a.tar".into(), reference: Some("x/y:1".to_owned()) },
            ),
            ("docker-archive:d.tar", Destination::DockerArchive { path: "d.tar".into(), name: None }),
            (
                "docker-archive:d.tar:a/b:1",
                Destination::DockerArchive { path: "d.tar".into(), name: Some("a/b:1".to_owned()) },
            ),
            ("docker-daemon:a:1", Destination::Daemon("a:1".to_owned())),
            ("dir:root:fs", Destination::Directory("root:fs".into())),
        ];
        for (text, destination) in table {
            assert_eq!(text.parse::<Destination>().unwrap(), destination);
            assert_eq!(destination.to_string(), text);
        }
    }

    #[test]
    fn a_destination_that_means_nothing_is_refused() {
        for text in
            ["oci:", "oci::x", "oci:x:", "oci:x:/y", "docker-archive:d:Big", "docker-daemon:Big", "docker://x", "y:z"]
        {
            assert!(text.parse::<Destination>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_user_base_is_a_path_that_nothing_else_takes() {
        for text in ["/opt/app", "/tmp/theuserbase", "/usr/local", "/srv/a-b_c.d+e@f/"] {
            assert!(text.parse::<UserBase>().is_ok(), "{text}");
        }
        for text in ["opt/app", "/", "/usr", "/proc/x", "/bin/x", "/a:b", "/a'b", "/a b", "/a/../b", ""] {
            assert!(text.parse::<UserBase>().is_err(), "{text}");
        }
        assert_eq!("/srv//x/".parse::<UserBase>().unwrap().program("tool"), "/srv/x/bin/tool");
    }
}
