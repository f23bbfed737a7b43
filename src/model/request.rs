//! The request: the user's inputs and options, with all defaults resolved. No later code sees an option that means
//! "default". A step takes only the part of it that the step needs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::application::AppRequest;
use crate::model::destination::Destination;
use crate::model::event::Event;
use crate::model::image_path::ImagePath;
use crate::model::launch::Started;
use crate::model::lock_file::LockRequest;
use crate::model::non_empty::NonEmpty;
use crate::model::platform::{Platform, PythonVersion};
use crate::model::project::ProjectRequest;
use crate::model::secret_text::SecretText;
use crate::model::user_base::UserBase;

pub(crate) use crate::model::indexes::Indexes;
pub(crate) use crate::model::options::{Prereleases, TrimLevel};

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Request {
    /// The inputs of the Python half.
    pub(crate) python: PythonRequest,
    /// The inputs of the Debian half.
    pub(crate) release: ReleaseRequest,
    /// In the order that the user gave, without duplicates.
    pub(crate) platforms: NonEmpty<Platform>,
    pub(crate) trim: TrimRequest,
    pub(crate) bytecode: Bytecode,
    /// The directory for wheels (`PYTHONUSERBASE`).
    pub(crate) user_base: UserBase,
    pub(crate) runtime: RuntimeRequest,
    /// The files of the user's application.
    #[serde(skip)]
    pub(crate) app: Option<AppRequest>,
    /// Host files to copy into the image, in order.
    pub(crate) copies: Vec<Copied>,
    pub(crate) proof: ProofRequest,
    pub(crate) pack: PackRequest,
    pub(crate) output: OutputRequest,
    /// Messages about the inputs.
    #[serde(skip)]
    pub(crate) notices: Vec<Event>,
    /// The lock that decides the wheels and packages. Without one, they are resolved.
    #[serde(skip)]
    pub(crate) lock: Option<LockRequest>,
}

impl Request {
    /// Returns the inputs of a lock.
    pub(crate) fn to_resolve(&self) -> ResolveRequest<'_> {
        ResolveRequest {
            python: &self.python,
            release: &self.release,
            has_shell: self.runtime.shell || self.runtime.entrypoint == Entrypoint::Shell,
            trim: self.trim.level,
            lock: self.lock.as_ref(),
        }
    }

    /// Returns the inputs of the untrimmed tree.
    pub(crate) fn to_assemble(&self) -> AssembleRequest<'_> {
        AssembleRequest {
            version: self.python.version,
            release: &self.release,
            user_base: &self.user_base,
            app: self.app.as_ref(),
            copies: &self.copies,
            written_scripts: &self.runtime.written_scripts,
            volumes: &self.runtime.volumes,
            owner: self.runtime.owner(),
            workdir: self.runtime.workdir.as_ref(),
        }
    }

    /// Returns the inputs of the launch.
    pub(crate) fn to_launch(&self) -> LaunchRequest<'_> {
        LaunchRequest {
            version: self.python.version,
            user_base: &self.user_base,
            runtime: &self.runtime,
            app: self.app.as_ref(),
        }
    }

    /// Returns the inputs of trim.
    pub(crate) fn to_trim<'a>(&'a self, started: &'a Started) -> SlimRequest<'a> {
        SlimRequest { version: self.python.version, user_base: &self.user_base, started, options: &self.trim }
    }

    /// Returns the inputs of the bytecode.
    pub(crate) fn to_compile(&self) -> CompileRequest<'_> {
        CompileRequest {
            bytecode: self.bytecode,
            version: self.python.version,
            user_base: &self.user_base,
            scripts: &self.runtime.scripts,
            app: self.app.as_ref(),
            started: None,
        }
    }

    /// Returns the inputs of the proof.
    pub(crate) fn to_prove(&self) -> ProveRequest<'_> {
        ProveRequest {
            version: self.python.version,
            release: &self.release,
            user_base: &self.user_base,
            scripts: &self.runtime.scripts,
            app: self.app.as_ref(),
            proof: &self.proof,
        }
    }

    /// Returns the inputs of the image's documents.
    pub(crate) fn to_seal(&self) -> SealRequest<'_> {
        SealRequest {
            name: &self.output.name,
            release: &self.release,
            runtime: &self.runtime,
            has_application: self.app.is_some(),
            epoch_secs: self.pack.epoch_secs,
        }
    }
}

/// The inputs that decide of which wheels and packages an image consists.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResolveRequest<'a> {
    pub(crate) python: &'a PythonRequest,
    pub(crate) release: &'a ReleaseRequest,
    /// Whether the image has a shell.
    pub(crate) has_shell: bool,
    pub(crate) trim: TrimLevel,
    /// If there is a lock, nothing is resolved.
    pub(crate) lock: Option<&'a LockRequest>,
}

/// The inputs that decide which files the untrimmed tree has, in addition to those of the parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AssembleRequest<'a> {
    pub(crate) version: PythonVersion,
    pub(crate) release: &'a ReleaseRequest,
    pub(crate) user_base: &'a UserBase,
    pub(crate) app: Option<&'a AppRequest>,
    pub(crate) copies: &'a [Copied],
    /// The console scripts that no distribution has.
    pub(crate) written_scripts: &'a [WrittenScript],
    pub(crate) volumes: &'a [ImagePath],
    /// The user that runs the image.
    pub(crate) owner: Owner,
    pub(crate) workdir: Option<&'a ImagePath>,
}

/// The inputs that decide how the image starts its program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LaunchRequest<'a> {
    pub(crate) version: PythonVersion,
    pub(crate) user_base: &'a UserBase,
    pub(crate) runtime: &'a RuntimeRequest,
    pub(crate) app: Option<&'a AppRequest>,
}

impl LaunchRequest<'_> {
    /// Returns the directory in which the program starts.
    pub(crate) fn workdir(&self) -> Option<&ImagePath> {
        self.runtime.workdir.as_ref().or_else(|| self.app.map(|app| &app.target))
    }
}

/// The inputs that decide which checks run, and what a failed one may lack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProveRequest<'a> {
    pub(crate) version: PythonVersion,
    /// The archive that may contain missing libraries.
    pub(crate) release: &'a ReleaseRequest,
    pub(crate) user_base: &'a UserBase,
    /// The console scripts that the user named.
    pub(crate) scripts: &'a [String],
    pub(crate) app: Option<&'a AppRequest>,
    pub(crate) proof: &'a ProofRequest,
}

/// The inputs of an image's documents.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SealRequest<'a> {
    /// The image's name.
    pub(crate) name: &'a str,
    pub(crate) release: &'a ReleaseRequest,
    pub(crate) runtime: &'a RuntimeRequest,
    /// Whether the program is the user's own, and not a requested distribution.
    pub(crate) has_application: bool,
    pub(crate) epoch_secs: u64,
}

/// The inputs that decide which paths trim removes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SlimRequest<'a> {
    pub(crate) version: PythonVersion,
    pub(crate) user_base: &'a UserBase,
    /// The parts of the image that its command names.
    pub(crate) started: &'a Started,
    pub(crate) options: &'a TrimRequest,
}

/// The inputs that decide which modules are compiled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CompileRequest<'a> {
    pub(crate) bytecode: Bytecode,
    pub(crate) version: PythonVersion,
    pub(crate) user_base: &'a UserBase,
    /// The console scripts that the user named.
    pub(crate) scripts: &'a [String],
    pub(crate) app: Option<&'a AppRequest>,
    /// The parts of the image that its command names.
    pub(crate) started: Option<&'a Started>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct PythonRequest {
    pub(crate) version: PythonVersion,
    /// Whether the user named no version and the release may have another one. The version is then read from its archive.
    pub(crate) is_expected: bool,
    /// PEP 508 requirements, or paths and URLs of wheels, as typed.
    pub(crate) requirements: Vec<SecretText>,
    /// `-r` files.
    pub(crate) requirement_files: Vec<PathBuf>,
    /// `--constraint` files.
    pub(crate) constraint_files: Vec<PathBuf>,
    pub(crate) prereleases: Prereleases,
    pub(crate) indexes: Indexes,
    #[serde(skip)]
    pub(crate) project: Option<ProjectRequest>,
    pub(crate) builds: BuildsRequest,
    /// A `pylock.toml` of another tool that contains the wheels. Then there are no requirements.
    pub(crate) lock: Option<PathBuf>,
    /// Versions that are chosen if they fit, even if there are newer ones.
    pub(crate) preferred: Vec<Pin>,
}

/// A version of a distribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Pin {
    /// The normalised name (PEP 503).
    pub(crate) name: String,
    pub(crate) version: String,
}

impl PythonRequest {
    /// Returns the request for the same Python without any distribution.
    pub(crate) fn bare(&self) -> Self {
        Self {
            requirements: Vec::new(),
            requirement_files: Vec::new(),
            constraint_files: Vec::new(),
            indexes: self.indexes.clone(),
            project: None,
            builds: self.builds.clone(),
            lock: None,
            preferred: Vec::new(),
            ..*self
        }
    }
}

/// Which distributions are built from source, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BuildsRequest {
    /// Debian packages that builds need, such as headers of libraries. No image contains them because of this.
    pub(crate) packages: Vec<String>,
    /// Whether nothing is built.
    pub(crate) no_build: bool,
    /// Distributions that are never built. Names are normalised in all lists.
    pub(crate) no_build_packages: Vec<String>,
    /// Distributions that are always built, even if there is a wheel.
    pub(crate) no_binary_packages: Vec<String>,
    /// The values of each option of the build backend (PEP 517, `config_settings`).
    pub(crate) config_settings: BTreeMap<String, Vec<String>>,
    /// Additional build requirements of each distribution.
    pub(crate) extra_requires: BTreeMap<String, Vec<String>>,
    /// Whether the files of a failed build are kept.
    pub(crate) keep_failed: bool,
}

/// The distribution that Python and its shared libraries come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReleaseRequest {
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

impl ReleaseRequest {
    /// Returns the request for the same release without packages that the user adds.
    pub(crate) fn bare(&self) -> Self {
        Self { packages: Vec::new(), ..self.clone() }
    }

    /// `debian:trixie`.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.distribution, self.suite)
    }
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
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TrimRequest {
    pub(crate) level: TrimLevel,
    /// Globs of image paths that trim must keep.
    pub(crate) keep: Vec<String>,
    /// Modules and packages that trim must keep, with everything that they import.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) keep_modules: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Bytecode {
    None,
    /// The modules that the console scripts import when they start.
    Start,
    All,
}

/// How the image runs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RuntimeRequest {
    /// The command that the image runs, and its first arguments. Empty if the user named none.
    pub(crate) command: Vec<String>,
    /// The module that the image runs.
    pub(crate) module: Option<String>,
    /// The console scripts that the image runs. Empty if the user named none.
    pub(crate) scripts: Vec<String>,
    /// Those of `scripts` that lath writes, because no distribution has them.
    pub(crate) written_scripts: Vec<WrittenScript>,
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
    /// The directories that an engine mounts a volume over.
    pub(crate) volumes: Vec<ImagePath>,
    /// The signal that stops the program: `SIGINT`, `15`.
    pub(crate) stop_signal: Option<String>,
    pub(crate) healthcheck: Option<Healthcheck>,
}

/// A console script that lath writes for a function of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct WrittenScript {
    pub(crate) name: String,
    pub(crate) module: String,
    /// Dotted.
    pub(crate) function: String,
}

/// The command by which an engine finds out whether the program works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Healthcheck {
    /// In exec form.
    pub(crate) command: Vec<String>,
    /// Of each time, `None` means the engine's default.
    pub(crate) interval_secs: Option<u64>,
    pub(crate) timeout_secs: Option<u64>,
    pub(crate) start_period_secs: Option<u64>,
    /// So many failures in a row mean that the program does not work.
    pub(crate) retries: Option<u32>,
}

impl RuntimeRequest {
    /// Returns the user that runs the image, without the group.
    pub(crate) fn uid(&self) -> &str {
        self.user.split(':').next().unwrap_or_default()
    }

    /// Returns the IDs of the user that runs the image. A user without a group is in the group of root, as in engines.
    fn owner(&self) -> Owner {
        let mut ids = self.user.split(':').map(|id| id.parse().unwrap_or_default());
        Owner { user: ids.next().unwrap_or_default(), group: ids.next().unwrap_or_default() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Entrypoint {
    Exec,
    Shell,
}

/// A host file or directory, and its path in the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Copied {
    pub(crate) source: PathBuf,
    pub(crate) target: ImagePath,
    /// The permissions of its files, such as `0o640`. Directories can also be searched by everybody who can read them.
    /// `None` means 0644, or 0755 for directories and for files that can be executed.
    pub(crate) mode: Option<u32>,
    pub(crate) owner: Owner,
}

/// The numeric IDs of the user and the group that own a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Owner {
    pub(crate) user: u32,
    pub(crate) group: u32,
}

/// A host file or directory that is mounted while the program runs. It is writable unless `is_read_only` is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Volume {
    /// Absolute.
    pub(crate) source: PathBuf,
    pub(crate) target: ImagePath,
    pub(crate) is_read_only: bool,
}

/// How the image is checked.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ProofRequest {
    /// Commands that must exit with 0 in the finished image.
    pub(crate) checks: Vec<String>,
    /// Whether the default checks and `checks` run.
    pub(crate) verify: bool,
    /// How long all checks of a platform may take together, in seconds; 0 is no limit.
    pub(crate) limit_secs: u64,
}

/// How layers are written.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct PackRequest {
    pub(crate) compression: Compression,
    /// Seconds since 1970, used for every time in the image (`SOURCE_DATE_EPOCH`). At most [`Self::MAX_EPOCH_SECS`].
    pub(crate) epoch_secs: u64,
}

impl PackRequest {
    /// The latest time that all parts of an image can hold: a tar header has eleven octal digits for it (2242-03-16).
    /// A pax record could hold later times, but not every engine can set them: containerd counts nanoseconds in 64 bits,
    /// which end in 2262.
    pub(crate) const MAX_EPOCH_SECS: u64 = 0o77_777_777_777;
    /// 1980-01-01T00:00:01Z. Zip archives have no earlier times, so a program could not zip its own files, as builders of
    /// documents and of functions do.
    pub(crate) const DEFAULT_EPOCH_SECS: u64 = 315_532_801;
}

/// The places to which the image is written.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct OutputRequest {
    /// The image's name, with its tag if the user gave one: `registry.example/tools/pre-commit:4.7.0`.
    pub(crate) name: String,
    #[serde(skip)]
    pub(crate) destinations: Vec<Destination>,
    /// The file for the receipt, as JSON.
    pub(crate) metadata_file: Option<PathBuf>,
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

/// A text that is not a compression.
#[derive(Debug, Error)]
#[error("cannot read the compression `{0}`: write `gzip`, `zstd`, `gzip:1` to `gzip:12` or `zstd:1` to `zstd:19`")]
pub(crate) struct CompressionError(String);

impl FromStr for Compression {
    type Err = CompressionError;

    fn from_str(text: &str) -> Result<Self, CompressionError> {
        let refuse = || CompressionError(text.to_owned());
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
        use crate::model::platform::Architecture;
        Self {
            python: PythonRequest {
                version: PythonVersion { major: 3, minor: 13 },
                is_expected: false,
                requirements: Vec::new(),
                requirement_files: Vec::new(),
                constraint_files: Vec::new(),
                prereleases: Prereleases::IfNecessary,
                indexes: Indexes::default(),
                project: None,
                builds: BuildsRequest::default(),
                lock: None,
                preferred: Vec::new(),
            },
            release: ReleaseRequest {
                distribution: Distribution::Debian,
                suite: "trixie".to_owned(),
                packages: Vec::new(),
                recommends: false,
                mirror: None,
                security_mirror: None,
            },
            platforms: NonEmpty::of(Platform { architecture: Architecture::Amd64 }),
            trim: TrimRequest { level: TrimLevel::Standard, keep: Vec::new(), keep_modules: Vec::new() },
            bytecode: Bytecode::None,
            user_base: UserBase::example(),
            runtime: RuntimeRequest {
                command: Vec::new(),
                module: None,
                scripts: Vec::new(),
                written_scripts: Vec::new(),
                entrypoint: Entrypoint::Exec,
                shell: false,
                cmd: Vec::new(),
                env: BTreeMap::new(),
                labels: BTreeMap::new(),
                annotations: BTreeMap::new(),
                user: "65532:65532".to_owned(),
                workdir: None,
                expose: Vec::new(),
                volumes: Vec::new(),
                stop_signal: None,
                healthcheck: None,
            },
            app: None,
            copies: Vec::new(),
            proof: ProofRequest { checks: Vec::new(), verify: true, limit_secs: 0 },
            pack: PackRequest { compression: Compression::Gzip(6), epoch_secs: 0 },
            output: OutputRequest { name: "tool".to_owned(), destinations: Vec::new(), metadata_file: None },
            notices: Vec::new(),
            lock: None,
        }
    }
}
