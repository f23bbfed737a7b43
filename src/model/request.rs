//! The request: the user's inputs and options, with all defaults resolved. Later code never sees an option whose value
//! is "default". Each step gets only the parts of the request that it needs.

use std::collections::{BTreeMap, BTreeSet};
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
use crate::model::locale::Locale;
use crate::model::lock_file::{ForeignLock, LockRequest};
use crate::model::non_empty::NonEmpty;
use crate::model::path_key;
use crate::model::platform::{Platform, PythonVersion};
use crate::model::project::ProjectRequest;
use crate::model::python_home::{Python, PythonHome};
use crate::model::secret_text::SecretText;
use crate::model::trace::Trace;
use crate::model::user_base::UserBase;

pub(crate) use crate::model::base_request::{BaseImageRequest, OnBase};
pub(crate) use crate::model::indexes::Indexes;
pub(crate) use crate::model::options::{Prereleases, TrimLevel};

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Request {
    /// The inputs of the Python half.
    pub(crate) python: PythonRequest,
    /// The inputs of the Debian half.
    pub(crate) release: ReleaseRequest,
    /// The base image, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) base_image: Option<BaseImageRequest>,
    /// The platforms in the order that the user gave, without duplicates.
    pub(crate) platforms: NonEmpty<Platform>,
    pub(crate) trim: TrimRequest,
    pub(crate) bytecode: Bytecode,
    /// The directory for wheels (`PYTHONUSERBASE`).
    pub(crate) user_base: UserBase,
    pub(crate) runtime: RuntimeRequest,
    /// The files of the user's application.
    #[serde(skip)]
    pub(crate) app: Option<AppRequest>,
    /// The host files that are copied into the image, in order.
    pub(crate) copies: Vec<Copied>,
    pub(crate) proof: ProofRequest,
    pub(crate) pack: PackRequest,
    pub(crate) output: OutputRequest,
    /// Messages for the user about the inputs.
    #[serde(skip)]
    pub(crate) notices: Vec<Event>,
    /// The lock that decides the versions of wheels and packages. If there is none, they are resolved.
    #[serde(skip)]
    pub(crate) lock: Option<LockRequest>,
}

impl Request {
    /// Returns the base image of a platform. Returns `None` if there is none, or if it was not opened.
    pub(crate) fn base_of(&self, platform: Platform) -> Option<OnBase<'_>> {
        let request = self.base_image.as_ref()?;
        Some(OnBase { image: request.image_of(platform)?, request })
    }

    /// Returns the inputs of resolving.
    pub(crate) fn to_resolve(&self, platform: Platform) -> ResolveRequest<'_> {
        ResolveRequest {
            python: &self.python,
            release: &self.release,
            has_shell: self.runtime.shell || self.runtime.entrypoint == Entrypoint::Shell,
            trim: self.trim.level,
            base: self.base_of(platform),
            lock: self.lock.as_ref(),
        }
    }

    /// Returns how a platform's layers are written. The layers of the base image also count towards the maximum number
    /// of layers.
    pub(crate) fn to_pack(&self, platform: Platform) -> PackRequest {
        let of_base = self.base_of(platform).map_or(0, |base| base.image.layers.len());
        let max = self.pack.layers.max.min(LayersRequest::MAX.saturating_sub(of_base)).max(1);
        PackRequest { layers: LayersRequest { max, ..self.pack.layers }, ..self.pack }
    }

    /// Returns the inputs of the untrimmed tree.
    pub(crate) fn to_assemble(&self, platform: Platform) -> AssembleRequest<'_> {
        AssembleRequest {
            base: self.base_of(platform),
            python: self.python.python(),
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
    pub(crate) fn to_launch(&self, platform: Platform) -> LaunchRequest<'_> {
        LaunchRequest {
            base: self.base_of(platform),
            python: self.python.python(),
            user_base: &self.user_base,
            runtime: &self.runtime,
            app: self.app.as_ref(),
        }
    }

    /// Returns the inputs of trim.
    pub(crate) fn to_trim<'a>(&'a self, started: &'a Started) -> SlimRequest<'a> {
        SlimRequest {
            python: self.python.python(),
            user_base: &self.user_base,
            scripts: &self.runtime.scripts,
            started,
            options: &self.trim,
            trace: None,
        }
    }

    /// Returns the inputs of the bytecode.
    pub(crate) fn to_compile(&self) -> CompileRequest<'_> {
        CompileRequest {
            bytecode: self.bytecode,
            python: self.python.python(),
            user_base: &self.user_base,
            scripts: &self.runtime.scripts,
            app: self.app.as_ref(),
            started: None,
        }
    }

    /// Returns the inputs of the proof.
    pub(crate) fn to_prove(&self) -> ProveRequest<'_> {
        ProveRequest {
            python: self.python.python(),
            release: &self.release,
            user_base: &self.user_base,
            scripts: &self.runtime.scripts,
            app: self.app.as_ref(),
            level: self.trim.level,
            only_scripts: self.trim.only_scripts && self.trim.level >= TrimLevel::Reach,
            proof: &self.proof,
        }
    }

    /// Returns the inputs of the image's documents.
    pub(crate) fn to_seal(&self) -> SealRequest<'_> {
        SealRequest {
            name: &self.output.name,
            aliases: &self.output.aliases,
            release: &self.release,
            base_image: self.base_image.as_ref(),
            runtime: &self.runtime,
            has_application: self.app.is_some(),
            epoch_secs: self.pack.epoch_secs,
        }
    }
}

/// The inputs on which the choice of wheels and packages depends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResolveRequest<'a> {
    pub(crate) python: &'a PythonRequest,
    pub(crate) release: &'a ReleaseRequest,
    /// Whether the image has a shell.
    pub(crate) has_shell: bool,
    pub(crate) trim: TrimLevel,
    /// The opened base image of the platform.
    pub(crate) base: Option<OnBase<'a>>,
    /// If a lock is set, nothing is resolved.
    pub(crate) lock: Option<&'a LockRequest>,
}

/// The inputs that decide which files are in the untrimmed tree. The parts also decide this, but this value does not
/// contain them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AssembleRequest<'a> {
    /// The opened base image of the platform.
    pub(crate) base: Option<OnBase<'a>>,
    pub(crate) python: Python<'a>,
    pub(crate) release: &'a ReleaseRequest,
    pub(crate) user_base: &'a UserBase,
    pub(crate) app: Option<&'a AppRequest>,
    pub(crate) copies: &'a [Copied],
    /// The console scripts that lath writes, because no distribution contains them.
    pub(crate) written_scripts: &'a [WrittenScript],
    pub(crate) volumes: &'a [ImagePath],
    /// The user that runs the image's program.
    pub(crate) owner: Owner,
    pub(crate) workdir: Option<&'a ImagePath>,
}

/// The inputs on which the start of the image's program depends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LaunchRequest<'a> {
    /// The opened base image of the platform.
    pub(crate) base: Option<OnBase<'a>>,
    pub(crate) python: Python<'a>,
    pub(crate) user_base: &'a UserBase,
    pub(crate) runtime: &'a RuntimeRequest,
    pub(crate) app: Option<&'a AppRequest>,
}

impl LaunchRequest<'_> {
    /// Returns the directory in which the program starts.
    pub(crate) fn workdir(&self) -> Option<ImagePath> {
        let own = self.runtime.workdir.as_ref().or_else(|| self.app.map(|app| &app.target));
        let of_base = || ImagePath::parse(&self.base?.image.found.workdir).ok();
        own.cloned().or_else(|| of_base().filter(|path| *path != ImagePath::root()))
    }
}

/// The inputs on which the checks depend. The hints for failed checks depend on these inputs, too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProveRequest<'a> {
    pub(crate) python: Python<'a>,
    /// The archive in which missing libraries are searched for.
    pub(crate) release: &'a ReleaseRequest,
    pub(crate) user_base: &'a UserBase,
    /// The console scripts that the user named.
    pub(crate) scripts: &'a [String],
    pub(crate) app: Option<&'a AppRequest>,
    /// How much trim has removed.
    pub(crate) level: TrimLevel,
    /// Whether trim has removed all other console scripts (`--only-scripts`).
    pub(crate) only_scripts: bool,
    pub(crate) proof: &'a ProofRequest,
}

/// The inputs of an image's documents.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SealRequest<'a> {
    /// The image's name.
    pub(crate) name: &'a str,
    /// Its other names.
    pub(crate) aliases: &'a [String],
    pub(crate) release: &'a ReleaseRequest,
    pub(crate) base_image: Option<&'a BaseImageRequest>,
    pub(crate) runtime: &'a RuntimeRequest,
    /// Whether the image runs the user's application and not a program of a requested distribution.
    pub(crate) has_application: bool,
    pub(crate) epoch_secs: u64,
}

impl SealRequest<'_> {
    /// Returns the base image of a platform.
    pub(crate) fn base_of(&self, platform: Platform) -> Option<OnBase<'_>> {
        let request = self.base_image?;
        Some(OnBase { image: request.image_of(platform)?, request })
    }
}

/// The inputs that decide which paths trim removes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SlimRequest<'a> {
    pub(crate) python: Python<'a>,
    pub(crate) user_base: &'a UserBase,
    /// The console scripts that the user named.
    pub(crate) scripts: &'a [String],
    /// The scripts, modules and files that the command of the image names.
    pub(crate) started: &'a Started,
    pub(crate) options: &'a TrimRequest,
    /// The paths that checks used, and the paths in the user's records. `--trim trace` needs them.
    pub(crate) trace: Option<&'a Trace>,
}

/// The inputs on which the choice of compiled modules depends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CompileRequest<'a> {
    pub(crate) bytecode: Bytecode,
    pub(crate) python: Python<'a>,
    pub(crate) user_base: &'a UserBase,
    /// The console scripts that the user named.
    pub(crate) scripts: &'a [String],
    pub(crate) app: Option<&'a AppRequest>,
    /// The scripts, modules and files that the command of the image names.
    pub(crate) started: Option<&'a Started>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct PythonRequest {
    pub(crate) version: PythonVersion,
    /// The paths of Python in the image.
    #[serde(skip_serializing_if = "PythonHome::is_of_release")]
    pub(crate) home: PythonHome,
    /// Whether `version` is only expected, because the user did not name a version. The actual version of the release
    /// is then read from its archive.
    pub(crate) is_expected: bool,
    /// PEP 508 requirements, or paths and URLs of wheels, as the user typed them.
    pub(crate) requirements: Vec<SecretText>,
    /// The files of `-r`.
    #[serde(serialize_with = "path_key::list")]
    pub(crate) requirement_files: Vec<PathBuf>,
    /// The files of `--constraint`.
    #[serde(serialize_with = "path_key::list")]
    pub(crate) constraint_files: Vec<PathBuf>,
    pub(crate) prereleases: Prereleases,
    pub(crate) indexes: Indexes,
    /// A script with metadata. The metadata contains requirements.
    #[serde(serialize_with = "path_key::optional")]
    pub(crate) script: Option<PathBuf>,
    #[serde(skip)]
    pub(crate) project: Option<ProjectRequest>,
    pub(crate) builds: BuildsRequest,
    /// The lock of another tool, which contains the distributions. If it is set, there are no requirements.
    pub(crate) lock: Option<ForeignLock>,
    /// Versions that are preferred if they fit, even if there are newer versions.
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
    /// Returns the Python of the release, with the same version.
    pub(crate) fn bare_python(&self) -> Python<'static> {
        Python { version: self.version, home: &PythonHome::Release }
    }

    /// Returns the Python of the image.
    pub(crate) fn python(&self) -> Python<'_> {
        Python { version: self.version, home: &self.home }
    }

    /// Returns the request for the same Python without any distribution.
    pub(crate) fn bare(&self) -> Self {
        Self {
            requirements: Vec::new(),
            requirement_files: Vec::new(),
            constraint_files: Vec::new(),
            indexes: self.indexes.clone(),
            script: None,
            project: None,
            builds: self.builds.clone(),
            lock: None,
            preferred: Vec::new(),
            home: PythonHome::Release,
            ..*self
        }
    }
}

/// Decides which distributions are built from source, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BuildsRequest {
    /// Debian packages that builds need, such as packages with headers. They are not added to images.
    pub(crate) packages: Vec<String>,
    /// Whether building is forbidden.
    pub(crate) no_build: bool,
    /// Distributions that are never built. Names in all these lists are normalised.
    pub(crate) no_build_packages: Vec<String>,
    /// Distributions that are always built, even if there is a wheel.
    pub(crate) no_binary_packages: Vec<String>,
    /// The values of each option of the build backend (PEP 517, `config_settings`).
    pub(crate) config_settings: BTreeMap<String, Vec<String>>,
    /// Additional build requirements of each distribution.
    pub(crate) extra_requires: BTreeMap<String, Vec<String>>,
    /// The time limit of one build in seconds. 0 means no limit, and `None` means the default limit of lath.
    #[serde(default)]
    pub(crate) limit_secs: Option<u64>,
    /// Whether the files of a failed build are kept.
    pub(crate) keep_failed: bool,
}

/// The release that Python and its shared libraries come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReleaseRequest {
    pub(crate) distribution: Distribution,
    /// For example `trixie` or `noble`.
    pub(crate) suite: String,
    /// Debian packages that the user adds.
    pub(crate) packages: Vec<String>,
    /// Whether recommended packages are installed too.
    pub(crate) recommends: bool,
    /// The mirror of the main archive. `None` means the default mirror of Debian or Ubuntu.
    pub(crate) mirror: Option<SecretText>,
    /// The mirror of the security archive. `None` means the default mirror of Debian or Ubuntu, even if `mirror` is
    /// set.
    pub(crate) security_mirror: Option<SecretText>,
}

impl ReleaseRequest {
    /// Returns the request for the same release, without packages that the user adds.
    pub(crate) fn bare(&self) -> Self {
        Self { packages: Vec::new(), ..self.clone() }
    }

    /// Returns the name of the release, such as `debian:trixie`.
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
    /// Patterns of image paths that trim must keep.
    pub(crate) keep: Vec<String>,
    /// Modules and packages that trim must keep, together with all modules that they import.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) keep_modules: Vec<String>,
    /// The languages whose translations stay in distributions. If the list is empty, all translations stay.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) locales: Vec<Locale>,
    /// Whether trim may remove every console script except those that the user named and the one that the image runs.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) only_scripts: bool,
    /// All records of the user, joined to a single record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) records: Option<Trace>,
    /// Paths that trim must keep, because a check needs them. The proof finds these paths, and the user does not give
    /// them.
    #[serde(skip)]
    pub(crate) put_back: BTreeSet<ImagePath>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Bytecode {
    None,
    /// The modules that are imported when the console scripts start.
    Start,
    All,
}

/// How the image runs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RuntimeRequest {
    /// The command that the image runs, with its first arguments. It is empty if the user named none.
    pub(crate) command: Vec<String>,
    /// The module that the image runs.
    pub(crate) module: Option<String>,
    /// The console scripts that the image runs. The list is empty if the user named none.
    pub(crate) scripts: Vec<String>,
    /// The scripts in `scripts` that lath writes, because no distribution contains them.
    pub(crate) written_scripts: Vec<WrittenScript>,
    pub(crate) entrypoint: Entrypoint,
    /// Whether the image contains `/bin/sh` and its usual tools.
    pub(crate) shell: bool,
    pub(crate) cmd: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    /// The user in the form `uid` or `uid:gid`.
    pub(crate) user: String,
    pub(crate) workdir: Option<ImagePath>,
    /// The ports, such as `8080/tcp`.
    pub(crate) expose: Vec<String>,
    /// The directories at which an engine mounts volumes.
    pub(crate) volumes: Vec<ImagePath>,
    /// The signal that stops the program, such as `SIGINT` or `15`.
    pub(crate) stop_signal: Option<String>,
    pub(crate) healthcheck: Option<Healthcheck>,
}

/// A console script that lath writes for a function of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct WrittenScript {
    pub(crate) name: String,
    pub(crate) module: String,
    /// The name of the function, which may contain dots.
    pub(crate) function: String,
}

/// The command with which an engine checks that the program works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Healthcheck {
    /// The command in exec form.
    pub(crate) command: Vec<String>,
    /// `None` means the engine's default. The same applies to the other times.
    pub(crate) interval_secs: Option<u64>,
    pub(crate) timeout_secs: Option<u64>,
    pub(crate) start_period_secs: Option<u64>,
    /// If the command fails this number of times in a row, the program counts as not working.
    pub(crate) retries: Option<u32>,
}

impl RuntimeRequest {
    /// Returns the user that runs the image, without the group.
    pub(crate) fn uid(&self) -> &str {
        self.user.split(':').next().unwrap_or_default()
    }

    /// Returns the IDs of the user that runs the image. If the user has no group, the group is that of root, like in
    /// engines.
    pub(crate) fn owner(&self) -> Owner {
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
    #[serde(serialize_with = "path_key::one")]
    pub(crate) source: PathBuf,
    pub(crate) target: ImagePath,
    /// The permissions of the files, such as `0o640`. If a user may read a directory, the user may also enter it.
    /// `None` means 0644, or 0755 for directories and executable files.
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
    /// The absolute path on the host.
    pub(crate) source: PathBuf,
    pub(crate) target: ImagePath,
    pub(crate) is_read_only: bool,
}

/// How the image is checked.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ProofRequest {
    /// Commands that must exit with 0 in the finished image.
    pub(crate) checks: Vec<String>,
    /// Whether any checks run.
    pub(crate) verify: bool,
    /// The time limit in seconds for all checks of a platform together. 0 means no limit.
    pub(crate) limit_secs: u64,
}

/// How layers are written.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct PackRequest {
    pub(crate) compression: Compression,
    pub(crate) layers: LayersRequest,
    /// The time of all files and documents in the image, in seconds since 1970 (`SOURCE_DATE_EPOCH`). The maximum is
    /// [`Self::MAX_EPOCH_SECS`].
    pub(crate) epoch_secs: u64,
}

impl PackRequest {
    /// The latest time that is possible in all parts of an image. A tar header has eleven octal digits for a time, so
    /// the latest time is on 2242-03-16. A pax record could contain a later time, but not every engine can set such a
    /// time. For example, containerd counts nanoseconds in 64 bits, so its latest time is in 2262.
    pub(crate) const MAX_EPOCH_SECS: u64 = 0o77_777_777_777;
    /// This is 1980-01-01T00:00:01Z, because a zip archive cannot contain an earlier time. Some programs write files of
    /// the image into zip archives, for example programs that build documentation.
    pub(crate) const DEFAULT_EPOCH_SECS: u64 = 315_532_801;
}

/// Decides how the files of an image are divided into layers.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct LayersRequest {
    pub(crate) layering: Layering,
    /// The maximum number of layers that lath creates. It is from 1 to [`Self::MAX`].
    pub(crate) max: usize,
}

impl LayersRequest {
    /// The largest possible maximum, because Docker refuses images with more layers.
    pub(crate) const MAX: usize = 125;
    pub(crate) const DEFAULT_MAX: usize = 100;
}

/// The rule by which the files of an image are divided into layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Layering {
    /// A layer for each package and each distribution. Small packages or distributions that are next to each other
    /// share a layer.
    Auto,
    /// A single layer.
    Single,
    /// A layer for each package and each distribution, unless there are too many.
    Package,
}

/// The destinations to which the image is written.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct OutputRequest {
    /// The image's name, with its tag if the user gave one. For example `registry.example/tools/pre-commit:4.7.0`.
    pub(crate) name: String,
    /// The other names that the user gave.
    pub(crate) aliases: Vec<String>,
    #[serde(skip)]
    pub(crate) destinations: Vec<Destination>,
    /// The file to which the receipt is written as JSON.
    pub(crate) metadata_file: Option<PathBuf>,
    /// The file to which the explanation of the image is written.
    pub(crate) explanation: Option<PathBuf>,
    /// Whether the explanation is sent to each registry.
    pub(crate) attach_explanation: bool,
}

/// How layers are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compression {
    /// gzip (RFC 1952), with a level from 1 to 12.
    Gzip(u8),
    /// zstd (RFC 8878), with a level from 1 to 19.
    Zstd(u8),
    /// zstd with a frame per file and a table of contents, so that engines can fetch single files. The levels are the
    /// same as for zstd.
    #[serde(rename = "zstd:chunked")]
    ZstdChunked(u8),
}

impl Compression {
    pub(crate) fn is_zstd(self) -> bool {
        matches!(self, Self::Zstd(_) | Self::ZstdChunked(_))
    }

    /// Returns whether layers have a table of contents.
    pub(crate) fn is_chunked(self) -> bool {
        matches!(self, Self::ZstdChunked(_))
    }
}

/// A text that is not a compression.
#[derive(Debug, Error)]
#[error(
    "cannot read the compression `{0}`: write `gzip`, `zstd` or `zstd:chunked`, and a level after a colon if you want: `gzip:1` to `gzip:12`, `zstd:1` to `zstd:19`, `zstd:chunked:1` to `zstd:chunked:19`"
)]
pub(crate) struct CompressionError(String);

impl FromStr for Compression {
    type Err = CompressionError;

    fn from_str(text: &str) -> Result<Self, CompressionError> {
        let refuse = || CompressionError(text.to_owned());
        let (name, level) = match text.rsplit_once(':') {
            Some((name, level)) if level != "chunked" => (name, Some(level.parse::<u8>().map_err(|_| refuse())?)),
            _ => (text, None),
        };
        match (name, level) {
            ("gzip", level) if (1..=12).contains(&level.unwrap_or(6)) => Ok(Self::Gzip(level.unwrap_or(6))),
            ("zstd", level) if (1..=19).contains(&level.unwrap_or(9)) => Ok(Self::Zstd(level.unwrap_or(9))),
            ("zstd:chunked", level) if (1..=19).contains(&level.unwrap_or(9)) => {
                Ok(Self::ZstdChunked(level.unwrap_or(9)))
            }
            _ => Err(refuse()),
        }
    }
}

#[cfg(test)]
impl PythonRequest {
    /// Returns a request without a distribution, which tests can change.
    fn example() -> Self {
        Self {
            version: PythonVersion { major: 3, minor: 13 },
            home: PythonHome::Release,
            is_expected: false,
            requirements: Vec::new(),
            requirement_files: Vec::new(),
            constraint_files: Vec::new(),
            prereleases: Prereleases::IfNecessary,
            indexes: Indexes::default(),
            script: None,
            project: None,
            builds: BuildsRequest::default(),
            lock: None,
            preferred: Vec::new(),
        }
    }
}

#[cfg(test)]
impl TrimRequest {
    /// Returns a request for this level, which keeps nothing else.
    pub(crate) fn example(level: TrimLevel) -> Self {
        Self {
            level,
            keep: Vec::new(),
            keep_modules: Vec::new(),
            locales: Vec::new(),
            only_scripts: false,
            records: None,
            put_back: BTreeSet::new(),
        }
    }
}

#[cfg(test)]
impl Request {
    /// Returns a request with empty lists and the defaults of the command line, which tests can change.
    pub(crate) fn example() -> Self {
        use crate::model::platform::Architecture;
        Self {
            python: PythonRequest::example(),
            release: ReleaseRequest {
                distribution: Distribution::Debian,
                suite: "trixie".to_owned(),
                packages: Vec::new(),
                recommends: false,
                mirror: None,
                security_mirror: None,
            },
            base_image: None,
            platforms: NonEmpty::of(Platform { architecture: Architecture::Amd64 }),
            trim: TrimRequest::example(TrimLevel::Standard),
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
            pack: PackRequest {
                compression: Compression::Gzip(6),
                layers: LayersRequest { layering: Layering::Auto, max: LayersRequest::DEFAULT_MAX },
                epoch_secs: 0,
            },
            output: OutputRequest {
                name: "tool".to_owned(),
                aliases: Vec::new(),
                destinations: Vec::new(),
                metadata_file: None,
                explanation: None,
                attach_explanation: false,
            },
            notices: Vec::new(),
            lock: None,
        }
    }
}
