//! The options of the command line, as clap reads them, in groups that commands are composed of. Doc comments of the
//! fields are the help texts. No option has a default here, so that an option that was given can be told from one that
//! was not; the help gets the defaults from `defaults`.

use std::path::PathBuf;

use clap::{Args, Parser};

use crate::cli::choices::Color;
use crate::cli::layers::{Settings, Typed, flag, list};
use crate::model::request::{Bytecode, Entrypoint, Prereleases, TrimLevel};
use crate::model::secret_text::SecretText;

const VARIABLES: &str = "Every option can also be set by an environment variable, such as LATH_EXCLUDE_NEWER. Separate repeated values by newlines.";

/// Makes the smallest container image in which a Python program still does its whole job.
#[derive(Debug, Parser)]
#[command(name = "lath", version, max_term_width = 100, after_help = VARIABLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(super) struct Global {
    /// The folder for downloads and intermediate results [default: `lath` in the user's cache folder]
    #[arg(long, global = true, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Show only errors and warnings
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Show details
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    verbose: bool,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN")]
    color: Option<Color>,
}

impl Typed for Global {
    fn typed(&self) -> Settings {
        Settings {
            cache_dir: self.cache_dir.clone(),
            quiet: flag(self.quiet),
            verbose: flag(self.verbose),
            color: self.color,
            ..Settings::default()
        }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "What goes in")]
pub(super) struct Inputs {
    /// Python packages to install, as for pip: `pre-commit` or `httpx[http2]>=0.28`
    #[arg(value_name = "REQUIREMENT", help_heading = None::<&str>)]
    requirement: Vec<SecretText>,
    /// A requirements file
    #[arg(long, short, value_name = "FILE")]
    requirements: Vec<PathBuf>,
    /// A constraints file: it limits versions and installs nothing
    #[arg(long, value_name = "FILE")]
    constraint: Vec<PathBuf>,
    /// A Debian package to add, such as `git`
    #[arg(long, value_name = "PACKAGE")]
    with: Vec<String>,
    /// Also install the packages that Debian packages recommend
    #[arg(long)]
    recommends: bool,
    /// The version of Python [default: the version of the release, 3.13]
    #[arg(long, value_name = "VERSION")]
    python: Option<String>,
    /// The release that Python comes from, such as `debian:trixie` or `ubuntu:26.04` [default: the release that has
    /// the Python version]
    #[arg(long, value_name = "RELEASE")]
    base: Option<String>,
    /// The platforms of the image, such as `linux/arm64` [default: this machine's]
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    platform: Vec<String>,
    /// A file or folder to copy into the image
    #[arg(long, value_name = "SRC:DST")]
    copy: Vec<String>,
}

impl Typed for Inputs {
    fn typed(&self) -> Settings {
        Settings {
            requirement: list(&self.requirement),
            requirements: list(&self.requirements),
            constraint: list(&self.constraint),
            with: list(&self.with),
            recommends: flag(self.recommends),
            python: self.python.clone(),
            base: self.base.clone(),
            platform: list(&self.platform),
            copy: list(&self.copy),
            ..Settings::default()
        }
    }
}

/// The lock that an image is built from.
#[derive(Debug, Args)]
#[command(next_help_heading = "The lock")]
pub(super) struct Locking {
    /// Build from this lock, which must match the request [default: pylock.toml, if `--locked` or `--frozen` is given]
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// Build from the lock, which must match the request
    #[arg(long)]
    locked: bool,
    /// Build from the lock, also if the inputs have changed
    #[arg(long, conflicts_with = "locked")]
    frozen: bool,
    /// A folder with the files of the lock, as `lath lock --vendor` writes it
    #[arg(long, value_name = "DIR")]
    vendor: Option<PathBuf>,
    /// The archive of packages that left the mirror [default: snapshot.debian.org or snapshot.ubuntu.com]
    #[arg(long, value_name = "URL")]
    snapshot: Option<SecretText>,
}

impl Typed for Locking {
    fn typed(&self) -> Settings {
        Settings {
            lock: self.lock.clone(),
            locked: flag(self.locked),
            frozen: flag(self.frozen),
            vendor: self.vendor.clone(),
            snapshot: self.snapshot.clone(),
            ..Settings::default()
        }
    }
}

/// The options that only lath's own images have.
#[derive(Debug, Args)]
#[command(next_help_heading = "How small")]
pub(super) struct Size {
    /// How much to remove
    #[arg(long, value_name = "LEVEL")]
    trim: Option<TrimLevel>,
    /// Paths of the image that trimming must keep, such as `/usr/share/doc/**`
    #[arg(long, value_name = "GLOB")]
    keep: Vec<String>,
    /// Add `/bin/sh` and its tools
    #[arg(long)]
    shell: bool,
}

impl Typed for Size {
    fn typed(&self) -> Settings {
        Settings { trim: self.trim, keep: list(&self.keep), shell: flag(self.shell), ..Settings::default() }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "How small")]
pub(super) struct Compiled {
    /// Which Python files are compiled: the modules that a start imports, all, or none
    #[arg(long, value_name = "WHICH")]
    bytecode: Option<Bytecode>,
}

impl Typed for Compiled {
    fn typed(&self) -> Settings {
        Settings { bytecode: self.bytecode, ..Settings::default() }
    }
}

/// How the program is started.
#[derive(Debug, Args)]
#[command(next_help_heading = "The image")]
pub(super) struct Program {
    /// The console script that the image runs; if there are several, the first argument chooses one
    #[arg(long, short = 'c', value_name = "NAME")]
    script: Vec<String>,
    /// The folder for the packages in the image, which is its `PYTHONUSERBASE`
    #[arg(long, value_name = "PATH")]
    user_base: Option<String>,
    /// Whether arguments go to the program, or are a line for a shell
    #[arg(long, value_name = "FORM")]
    entrypoint: Option<Entrypoint>,
    /// Default argument, used if the container is started without any
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    cmd: Vec<String>,
    /// An environment variable
    #[arg(long, short, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// The user that runs the program: `UID` or `UID:GID`
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// The working directory
    #[arg(long, value_name = "PATH")]
    workdir: Option<String>,
}

impl Typed for Program {
    fn typed(&self) -> Settings {
        Settings {
            script: list(&self.script),
            user_base: self.user_base.clone(),
            entrypoint: self.entrypoint,
            cmd: list(&self.cmd),
            env: list(&self.env),
            user: self.user.clone(),
            workdir: self.workdir.clone(),
            ..Settings::default()
        }
    }
}

/// The descriptions of an image for registries and engines.
#[derive(Debug, Args)]
#[command(next_help_heading = "The image")]
pub(super) struct Labels {
    /// A label of the configuration
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<String>,
    /// An annotation of the manifest
    #[arg(long, value_name = "NAME=VALUE")]
    annotation: Vec<String>,
    /// A port that the program serves, such as `8080/tcp`
    #[arg(long, value_name = "PORT")]
    expose: Vec<String>,
}

impl Typed for Labels {
    fn typed(&self) -> Settings {
        Settings {
            label: list(&self.label),
            annotation: list(&self.annotation),
            expose: list(&self.expose),
            ..Settings::default()
        }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Where to")]
pub(super) struct Name {
    /// The image's name [default: the first requirement's]
    #[arg(long, short, value_name = "NAME[:TAG]")]
    tag: Option<String>,
}

impl Typed for Name {
    fn typed(&self) -> Settings {
        Settings { tag: self.tag.clone(), ..Settings::default() }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Where to")]
pub(super) struct Destinations {
    /// `PATH.tar`, `oci:DIR[:TAG]`, `oci-archive:PATH[:TAG]`, `docker-archive:PATH[:NAME]`, `docker-daemon:NAME` or `dir:DIR`; may repeat [default: ./NAME.tar]
    #[arg(long, short, value_name = "DEST")]
    output: Vec<String>,
    /// Load the image into Docker or Podman: the daemon in `DOCKER_HOST`, or else the first socket that answers
    #[arg(long)]
    load: bool,
    /// Write a description of the image to a file, as JSON
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
}

impl Typed for Destinations {
    fn typed(&self) -> Settings {
        Settings {
            output: list(&self.output),
            load: flag(self.load),
            metadata_file: self.metadata_file.clone(),
            ..Settings::default()
        }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Proof")]
pub(super) struct Checks {
    /// A command that must succeed in the finished image; may repeat
    #[arg(long, value_name = "COMMAND")]
    check: Vec<String>,
    /// Run no checks
    #[arg(long, conflicts_with = "check")]
    no_verify: bool,
}

impl Typed for Checks {
    fn typed(&self) -> Settings {
        Settings { check: list(&self.check), no_verify: flag(self.no_verify), ..Settings::default() }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Proof")]
pub(super) struct ProofTime {
    /// How long all checks may take together; 0 is no limit [default: 300, and 240 more for each `--check`]
    #[arg(long, value_name = "SECONDS")]
    proof_timeout: Option<u64>,
}

impl Typed for ProofTime {
    fn typed(&self) -> Settings {
        Settings { proof_timeout: self.proof_timeout, ..Settings::default() }
    }
}

/// The servers that packages come from.
#[derive(Debug, Args)]
#[command(next_help_heading = "How")]
pub(super) struct Sources {
    /// Use no network, only the cache
    #[arg(long)]
    offline: bool,
    /// Ignore files that were uploaded after this date
    #[arg(long, value_name = "DATE")]
    exclude_newer: Option<String>,
    /// Which pre-releases may be chosen
    #[arg(long, value_name = "WHICH")]
    prerelease: Option<Prereleases>,
    /// An additional index of Python packages
    #[arg(long, value_name = "URL", value_delimiter = ' ')]
    index: Vec<SecretText>,
    /// The index of Python packages, in place of PyPI
    #[arg(long, value_name = "URL")]
    default_index: Option<SecretText>,
    /// The mirror of the Debian or Ubuntu archive
    #[arg(long, value_name = "URL")]
    mirror: Option<SecretText>,
    /// The mirror of its security updates
    #[arg(long, value_name = "URL")]
    security_mirror: Option<SecretText>,
    /// The keys that must have signed the archive, in place of Debian's and Ubuntu's
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,
    /// The number of parallel downloads
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,
}

impl Typed for Sources {
    fn typed(&self) -> Settings {
        Settings {
            offline: flag(self.offline),
            exclude_newer: self.exclude_newer.clone(),
            prerelease: self.prerelease,
            index: list(&self.index),
            default_index: self.default_index.clone(),
            mirror: self.mirror.clone(),
            security_mirror: self.security_mirror.clone(),
            keyring: self.keyring.clone(),
            jobs: self.jobs,
            ..Settings::default()
        }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "How")]
pub(super) struct Packing {
    /// The compression of layers: `gzip` or `zstd`, with an optional `:LEVEL`
    #[arg(long, value_name = "KIND")]
    compression: Option<String>,
}

impl Typed for Packing {
    fn typed(&self) -> Settings {
        Settings { compression: self.compression.clone(), ..Settings::default() }
    }
}
