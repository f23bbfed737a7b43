//! The request: the user's inputs and options, with all defaults resolved. No later code sees an option that means
//! "default".

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
    /// The inputs of the Python half.
    pub(crate) python: PythonRequest,
    /// The inputs of the Debian half.
    pub(crate) base: BaseRequest,
    /// At least one, in the order that the user gave, without duplicates.
    pub(crate) platforms: Vec<Platform>,
    pub(crate) trim: TrimRequest,
    pub(crate) bytecode: Bytecode,
    /// The directory for wheels (`PYTHONUSERBASE`).
    pub(crate) user_base: UserBase,
    pub(crate) runtime: RuntimeRequest,
    /// Host files to copy into the image, in order.
    pub(crate) copies: Vec<Copied>,
    /// Commands that must exit with 0 in the finished image.
    pub(crate) checks: Vec<String>,
    /// Whether the default checks and `checks` run.
    pub(crate) verify: bool,
    /// How long all checks of a platform may take together, in seconds; 0 is no limit.
    pub(crate) proof_secs: u64,
    pub(crate) compression: Compression,
    /// Seconds since 1970, used for every time in the image (`SOURCE_DATE_EPOCH`). At most `MAX_EPOCH_SECS`.
    pub(crate) epoch_secs: u64,
    /// The image's name, with its tag if the user gave one: `registry.example/tools/pre-commit:4.7.0`.
    pub(crate) name: String,
    pub(crate) destinations: Vec<Destination>,
    /// The file for the receipt, as JSON.
    pub(crate) metadata_file: Option<PathBuf>,
}

/// The directory that `PYTHONUSERBASE` names: executables in `bin`, libraries in `lib`. Only plain characters are
/// allowed, because the path is written into `PATH`, which has no quoting, and into Python source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserBase(ImagePath);

impl UserBase {
    pub(crate) const DEFAULT: &str = "/opt/app";

    pub(crate) fn path(&self) -> &ImagePath {
        &self.0
    }

    /// Returns the directory of its executables.
    pub(crate) fn bin(&self) -> String {
        format!("{}/bin", self.0)
    }

    /// Returns the full path of one of its executables.
    pub(crate) fn program(&self, name: &str) -> String {
        format!("{}/bin/{name}", self.0)
    }

    /// Returns the user site, the directory in which Python `version` searches for libraries.
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
        // Directories that an engine mounts over, directories that belong to packages, and the symbolic links to those.
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
    /// The latest time that all parts of an image can hold: a tar header has eleven octal digits for it (2242-03-16).
    /// A pax record could hold later times, but not every engine can set them: containerd counts nanoseconds in 64 bits,
    /// which end in 2262.
    pub(crate) const MAX_EPOCH_SECS: u64 = 0o77_777_777_777;

    /// Returns the request for a bare Python of the same release for this machine, which compiles the bytecode for
    /// `platform`. `None` if the platform's own Python can do it here, if nothing is compiled, or if lath does not
    /// support this machine's architecture.
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

/// Which pre-release versions the resolver may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prereleases {
    Disallow,
    Allow,
    /// For a package that has no other fitting version, or whose requirement names a pre-release version.
    IfNecessary,
    /// For a package whose requirement names a pre-release version.
    Explicit,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Indexes {
    /// Replaces PyPI.
    pub(crate) default_index: Option<SecretText>,
    /// Searched before the default index, in order.
    pub(crate) extra: Vec<SecretText>,
    /// A date or an RFC 3339 time. Files uploaded later are ignored.
    pub(crate) exclude_newer: Option<String>,
}

/// The distribution that Python and its shared libraries come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BaseRequest {
    pub(crate) distribution: Distribution,
    /// `trixie`, `noble`.
    pub(crate) suite: String,
    /// Debian packages that the user adds.
    pub(crate) packages: Vec<String>,
    /// Whether Recommends are followed too.
    pub(crate) recommends: bool,
    /// The mirror of the main archive. `None` means the distribution's own.
    pub(crate) mirror: Option<SecretText>,
    /// The mirror of the security archive. `None` means the distribution's own, even if `mirror` is set.
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

/// The options of trim.
#[derive(Debug, Clone)]
pub(crate) struct TrimRequest {
    pub(crate) level: TrimLevel,
    /// Globs of image paths that trim must keep.
    pub(crate) keep: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TrimLevel {
    None,
    Standard,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bytecode {
    None,
    /// The modules that the console scripts import when they start.
    Start,
    All,
}

/// How the image runs.
#[derive(Debug, Clone)]
pub(crate) struct RuntimeRequest {
    /// The console scripts that the image runs. Empty if the user named none.
    pub(crate) scripts: Vec<String>,
    pub(crate) entrypoint: Entrypoint,
    /// Whether `/bin/sh` and its tools are included.
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
    /// Returns the user that runs the image, without the group.
    pub(crate) fn uid(&self) -> &str {
        self.user.split(':').next().unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entrypoint {
    Exec,
    Shell,
}

/// A host file or directory, and its path in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copied {
    pub(crate) source: PathBuf,
    pub(crate) target: ImagePath,
}

/// A host file or directory that is mounted while the program runs. It is writable unless `is_read_only` is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// A destination of the image, in skopeo's syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// One tar that is both an OCI layout and a Docker archive.
    Archive(PathBuf),
    /// `oci:PATH[:REFERENCE]`: an OCI layout in a directory. Images with other names in this layout are kept.
    Oci { path: PathBuf, reference: Option<String> },
    /// `oci-archive:PATH[:REFERENCE]`: an OCI layout in a tar.
    OciArchive { path: PathBuf, reference: Option<String> },
    /// `docker-archive:PATH[:NAME[:TAG]]`: the format of `docker save`.
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

/// Splits `PATH[:REFERENCE]` at the first colon, like skopeo, so the path cannot contain a colon. A reference consists
/// of the characters that image-spec, annotations.md, allows for `org.opencontainers.image.ref.name`.
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

/// A name may have so many characters, with its registry and without its tag (`RepositoryNameTotalLengthMax` of
/// github.com/distribution/reference, which engines read names by).
const MAX_NAME_CHARACTERS: usize = 255;
/// The registry and the namespace that a name without them has for an engine.
const DEFAULT_REGISTRY: &str = "docker.io/";
const DEFAULT_NAMESPACE: &str = "library/";

/// Whether engines and registries take `text` as a name, with a tag or without (distribution-spec, "Pulling manifests").
pub(crate) fn is_image_name(text: &str) -> bool {
    let (name, tag) = match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (text, None),
    };
    let (registry, path) = match name.split_once('/') {
        Some((first, rest)) if is_registry(first) => (Some(first), rest),
        _ => (None, name),
    };
    qualified(name).len() <= MAX_NAME_CHARACTERS
        && registry.is_none_or(is_host)
        && path.split('/').all(is_component)
        // Engines take these for the digest of an image.
        && !(path.len() == 64 && path.bytes().all(|byte| byte.is_ascii_hexdigit()))
        && tag.is_none_or(is_tag)
}

/// `tool:1` with the registry and the namespace that it stands for.
pub(crate) fn qualified(name: &str) -> String {
    match name.split_once('/') {
        Some((first, _)) if is_registry(first) => name.to_owned(),
        Some(_) => format!("{DEFAULT_REGISTRY}{name}"),
        None => format!("{DEFAULT_REGISTRY}{DEFAULT_NAMESPACE}{name}"),
    }
}

/// Whether engines take the first component of a name for a registry.
fn is_registry(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost"
}

/// `registry.example:5000`.
fn is_host(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, "1"));
    let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_label = |label: &str| {
        label.starts_with(is_edge) && label.ends_with(is_edge) && label.chars().all(|c| is_edge(c) || c == '-')
    };
    host.split('.').all(is_label) && port.parse::<u16>().is_ok() && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(component: &str) -> bool {
    let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_separator = |text: &str| matches!(text, "" | "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    component.starts_with(is_edge) && component.ends_with(is_edge) && component.split(is_edge).all(is_separator)
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
fn is_tag(tag: &str) -> bool {
    (1..=128).contains(&tag.len())
        && !tag.starts_with(['-', '.'])
        && tag.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
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
impl Request {
    /// Returns a request with empty lists and the defaults of the command line, for tests to change.
    pub(crate) fn example() -> Self {
        Self {
            python: PythonRequest {
                version: PythonVersion { major: 3, minor: 13 },
                requirements: Vec::new(),
                requirement_files: Vec::new(),
                constraint_files: Vec::new(),
                prereleases: Prereleases::IfNecessary,
                indexes: Indexes::default(),
            },
            base: BaseRequest {
                distribution: Distribution::Debian,
                suite: "trixie".to_owned(),
                packages: Vec::new(),
                recommends: false,
                mirror: None,
                security_mirror: None,
            },
            platforms: Vec::new(),
            trim: TrimRequest { level: TrimLevel::Standard, keep: Vec::new() },
            bytecode: Bytecode::None,
            user_base: UserBase(ImagePath::parse(UserBase::DEFAULT).unwrap()),
            runtime: RuntimeRequest {
                scripts: Vec::new(),
                entrypoint: Entrypoint::Exec,
                shell: false,
                cmd: Vec::new(),
                env: BTreeMap::new(),
                labels: BTreeMap::new(),
                annotations: BTreeMap::new(),
                user: "65532:65532".to_owned(),
                workdir: None,
                expose: Vec::new(),
            },
            copies: Vec::new(),
            checks: Vec::new(),
            verify: true,
            proof_secs: 0,
            compression: Compression::Gzip(6),
            epoch_secs: 0,
            name: "tool".to_owned(),
            destinations: Vec::new(),
            metadata_file: None,
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
    fn a_name_is_one_that_engines_and_registries_take() {
        let long = |length: usize| "x".repeat(length);
        let good = [
            "tool",
            "tool:1",
            "a/b__c/d.e-f--g:V_1.0-x",
            "host.example:5000/a/b:1",
            "localhost/tool",
            "localhost:5000/tool",
            "127.0.0.1:5000/x",
            &long(237),
            &format!("h.example/{}", long(245)),
            &format!("tool:{}", long(128)),
        ];
        for name in good {
            assert!(is_image_name(name), "{name}");
        }
        let bad = [
            "",
            "a:b:c",
            "a:b/c",
            "Tool",
            "a//b",
            "/a",
            "a/",
            "a..b",
            "a___b",
            "-a",
            "a-",
            "a._b",
            "tool:",
            "tool:-1",
            "tool:a+b",
            "tool:ä",
            "host.example:port/x",
            "host.example:99999/x",
            "host..example/x",
            "a/b:c/d",
            &long(238),
            &long(300),
            &format!("h.example/{}", long(246)),
            &format!("tool:{}", long(129)),
            &"0a".repeat(32),
        ];
        for name in bad {
            assert!(!is_image_name(name), "{name}");
        }
    }

    #[test]
    fn a_name_is_qualified_as_docker_does_it() {
        assert_eq!(qualified("tool:1"), "docker.io/library/tool:1");
        assert_eq!(qualified("me/tool:1"), "docker.io/me/tool:1");
        for name in ["registry.example/me/tool:1", "host:5000/tool:1", "localhost/tool:1"] {
            assert_eq!(qualified(name), name);
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
