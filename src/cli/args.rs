//! The arguments of the command line, as clap reads them. Doc comments of the fields are the help texts.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use crate::model::request::UserBase;
use crate::model::secret_text::SecretText;

const VARIABLES: &str = "Every option can also be set by an environment variable, such as LATH_EXCLUDE_NEWER. Separate repeated values by newlines.";

/// Makes the smallest container image in which a Python program still does its whole job.
#[derive(Debug, Parser)]
#[command(name = "lath", version, max_term_width = 100, after_help = VARIABLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

impl Arguments {
    /// Reads the arguments, starting with the program's name, and the environment variables of options that were not
    /// given.
    pub(super) fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut command = Self::described();
        let matches = command.try_get_matches_from_mut(words)?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }

    /// The whole command line, for help and for shell completions.
    pub(super) fn described() -> clap::Command {
        with_variables(Self::command())
    }
}

/// Gives every option an environment variable. The help explains the rule once, and shows no values, because one may be
/// a password.
fn with_variables(command: clap::Command) -> clap::Command {
    // The values of these options may contain line breaks.
    const OF_ONE_VALUE: [&str; 2] = ["check", "cmd"];
    let with_variable = |arg: clap::Arg| {
        let Some(name) = arg.get_long().filter(|name| !["help", "version"].contains(name)) else { return arg };
        let variable = format!("LATH_{}", name.to_uppercase().replace('-', "_"));
        let is_list = arg.get_value_delimiter().is_none() && !OF_ONE_VALUE.contains(&name);
        let arg = arg.env(variable).hide_env(true);
        match arg.get_action() {
            ArgAction::Append if is_list => arg.value_delimiter('\n'),
            ArgAction::SetTrue => arg.value_parser(FalseyValueParser::new()),
            _ => arg,
        }
    };
    command.mut_args(with_variable).mut_subcommands(with_variables)
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(super) struct Global {
    /// The folder for downloads and intermediate results [default: `lath` in the user's cache folder]
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) cache_dir: Option<PathBuf>,
    /// Show only errors and warnings
    #[arg(long, short, global = true)]
    pub(super) quiet: bool,
    /// Show details
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    pub(super) verbose: bool,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(super) color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Build an image
    Build(Box<Build>),
    /// Build, then run a command in the sandbox; no engine is needed
    Run(Box<Run>),
    /// Write a Dockerfile for the same image, and with `--build` build it
    Dockerfile(Box<Dockerfile>),
    /// Compare the image with images from Dockerfiles: their sizes, and the files that only they contain
    Compare(Box<Compare>),
    /// Show the cache, or remove from it
    Cache(Cache),
    /// Print completions for a shell
    Completions { shell: clap_complete::Shell },
}

#[derive(Debug, Args)]
pub(super) struct Cache {
    #[command(subcommand)]
    pub(super) action: CacheAction,
}

#[derive(Debug, Subcommand)]
pub(super) enum CacheAction {
    /// Print its path
    Dir,
    /// Print its size: in bytes, or rounded if stdout is a terminal
    Size {
        /// Print bytes on a terminal, too
        #[arg(long)]
        bytes: bool,
    },
    /// Remove the files that no build has used recently; waits for running builds
    Prune {
        /// Remove files that were not used for this many days
        #[arg(long, value_name = "DAYS", default_value = "30")]
        older_than: u64,
        /// Remove everything
        #[arg(long, conflicts_with = "older_than")]
        all: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) build: Build,
    /// Mount a file or folder of this machine; `:ro` makes it read-only
    #[arg(long, value_name = "SRC:DST[:ro]", help_heading = "The run")]
    pub(super) volume: Vec<String>,
    /// The command and its arguments [default: the image's entry point]
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Dockerfile {
    /// How the Dockerfile installs the packages
    #[arg(long, value_name = "STYLE", default_value = "recipe", help_heading = "The Dockerfile")]
    pub(super) style: DockerfileStyle,
    /// Write one stage with everything in it, for comparison
    #[arg(long, conflicts_with = "style", help_heading = "The Dockerfile")]
    pub(super) fat: bool,
    /// The base image, which must have apt [default: the image of the release]
    #[arg(long, value_name = "IMAGE", help_heading = "The Dockerfile")]
    pub(super) from: Option<String>,
    /// Certificates that pip and apt trust during the build; the image does not contain them
    #[arg(long, value_name = "FILE", help_heading = "The Dockerfile")]
    pub(super) ca: Option<PathBuf>,
    /// The builder: `classic` avoids everything that needs BuildKit
    #[arg(long, value_name = "BUILDER", default_value = "auto", help_heading = "The Dockerfile")]
    pub(super) builder: Builder,
    /// Build it, run its checks, and report its size
    #[arg(long = "build", help_heading = "The Dockerfile")]
    pub(super) is_built: bool,
    /// The engine that builds [default: the first that is installed]
    #[arg(long, value_name = "ENGINE", requires = "is_built", help_heading = "The Dockerfile")]
    pub(super) engine: Option<EngineName>,
    /// Do not use the engine's build cache
    #[arg(long, requires = "is_built", help_heading = "The Dockerfile")]
    pub(super) no_cache: bool,
    #[command(flatten)]
    pub(super) build: Build,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DockerfileStyle {
    /// Two stages, as people write them by hand
    Recipe,
    /// The same with hashes, without caches, and not run by root
    Lean,
    /// Lean, with uv
    Uv,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Builder {
    /// The builder of the engine, or BuildKit if there is no engine
    Auto,
    Buildkit,
    Classic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum EngineName {
    Docker,
    Podman,
    Buildah,
}

#[derive(Debug, Args)]
pub(super) struct Compare {
    #[command(flatten)]
    pub(super) build: Build,
    /// Build each image with an engine, twice, and measure its size, the build time and the time of its check
    #[arg(long, help_heading = "The comparison")]
    pub(super) measure: bool,
    /// The base image of the Dockerfiles [default: the image of the release]
    #[arg(long, value_name = "IMAGE", help_heading = "The comparison")]
    pub(super) from: Option<String>,
    /// Certificates that pip and apt trust during the builds; the images do not contain them
    #[arg(long, value_name = "FILE", help_heading = "The comparison")]
    pub(super) ca: Option<PathBuf>,
    /// The engine that builds: `docker` or `podman` [default: the first that is installed]
    #[arg(long, value_name = "ENGINE", requires = "measure", help_heading = "The comparison")]
    pub(super) engine: Option<EngineName>,
    /// Print JSON
    #[arg(long, help_heading = "The comparison")]
    pub(super) json: bool,
    /// Write a picture to a file
    #[arg(long, value_name = "FILE", help_heading = "The comparison")]
    pub(super) svg: Option<PathBuf>,
    /// Whether the base image removes apt's downloads: like the distribution's own images, or like debootstrap
    #[arg(
        long,
        value_name = "WHICH",
        default_value = "official",
        conflicts_with = "measure",
        help_heading = "The comparison"
    )]
    pub(super) apt: Apt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Apt {
    Official,
    Plain,
}

#[derive(Debug, Clone, Args)]
pub(super) struct Build {
    /// Python packages to install, as for pip: `pre-commit` or `httpx[http2]>=0.28`
    #[arg(value_name = "REQUIREMENT", required_unless_present = "requirements")]
    pub(super) requirement: Vec<SecretText>,
    /// A requirements file
    #[arg(long, short, value_name = "FILE", help_heading = "What goes in")]
    pub(super) requirements: Vec<PathBuf>,
    /// A constraints file: it limits versions and installs nothing
    #[arg(long, value_name = "FILE", help_heading = "What goes in")]
    pub(super) constraint: Vec<PathBuf>,
    /// A Debian package to add, such as `git`
    #[arg(long, value_name = "PACKAGE", help_heading = "What goes in")]
    pub(super) with: Vec<String>,
    /// Also install the packages that Debian packages recommend
    #[arg(long, help_heading = "What goes in")]
    pub(super) recommends: bool,
    /// The version of Python [default: the version of the release, 3.13]
    #[arg(long, value_name = "VERSION", help_heading = "What goes in")]
    pub(super) python: Option<String>,
    /// The release that Python comes from, such as `debian:trixie` or `ubuntu:26.04` [default: the release that has the
    /// Python version]
    #[arg(long, value_name = "RELEASE", help_heading = "What goes in")]
    pub(super) base: Option<String>,
    /// The platforms of the image, such as `linux/arm64` [default: this machine's]
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',', help_heading = "What goes in")]
    pub(super) platform: Vec<String>,
    /// A file or folder to copy into the image
    #[arg(long, value_name = "SRC:DST", help_heading = "What goes in")]
    pub(super) copy: Vec<String>,

    /// How much to remove
    #[arg(long, value_name = "LEVEL", default_value = "standard", help_heading = "How small")]
    pub(super) trim: Trim,
    /// Paths of the image that trimming must keep, such as `/usr/share/doc/**`
    #[arg(long, value_name = "GLOB", help_heading = "How small")]
    pub(super) keep: Vec<String>,
    /// Which Python files are compiled: the modules that a start imports, all, or none
    #[arg(long, value_name = "WHICH", default_value = "start", help_heading = "How small")]
    pub(super) bytecode: BytecodeKind,
    /// Add `/bin/sh` and its tools
    #[arg(long, help_heading = "How small")]
    pub(super) shell: bool,

    /// The console script that the image runs; if there are several, the first argument chooses one
    #[arg(long, short = 'c', value_name = "NAME", help_heading = "The image")]
    pub(super) script: Vec<String>,
    /// The folder for the packages in the image, which is its `PYTHONUSERBASE`
    #[arg(long, value_name = "PATH", default_value = UserBase::DEFAULT, help_heading = "The image")]
    pub(super) user_base: String,
    /// Whether arguments go to the program, or are a line for a shell
    #[arg(long, value_name = "FORM", default_value = "exec", help_heading = "The image")]
    pub(super) entrypoint: EntrypointForm,
    /// Default argument, used if the container is started without any
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true, help_heading = "The image")]
    pub(super) cmd: Vec<String>,
    /// An environment variable
    #[arg(long, short, value_name = "NAME=VALUE", help_heading = "The image")]
    pub(super) env: Vec<String>,
    /// A label of the configuration
    #[arg(long, value_name = "NAME=VALUE", help_heading = "The image")]
    pub(super) label: Vec<String>,
    /// An annotation of the manifest
    #[arg(long, value_name = "NAME=VALUE", help_heading = "The image")]
    pub(super) annotation: Vec<String>,
    /// The user that runs the program: `UID` or `UID:GID`
    #[arg(long, value_name = "USER", default_value = "65532:65532", help_heading = "The image")]
    pub(super) user: String,
    /// The working directory
    #[arg(long, value_name = "PATH", help_heading = "The image")]
    pub(super) workdir: Option<String>,
    /// A port that the program serves, such as `8080/tcp`
    #[arg(long, value_name = "PORT", help_heading = "The image")]
    pub(super) expose: Vec<String>,

    /// The image's name [default: the first requirement's]
    #[arg(long, short, value_name = "NAME[:TAG]", help_heading = "Where to")]
    pub(super) tag: Option<String>,
    /// `PATH.tar`, `oci:DIR[:TAG]`, `oci-archive:PATH[:TAG]`, `docker-archive:PATH[:NAME]`, `docker-daemon:NAME` or `dir:DIR`; may repeat [default: ./NAME.tar]
    #[arg(long, short, value_name = "DEST", help_heading = "Where to")]
    pub(super) output: Vec<String>,
    /// Load the image into Docker or Podman: the daemon in `DOCKER_HOST`, or else the first socket that answers
    #[arg(long, help_heading = "Where to")]
    pub(super) load: bool,
    /// Write a description of the image to a file, as JSON
    #[arg(long, value_name = "FILE", help_heading = "Where to")]
    pub(super) metadata_file: Option<PathBuf>,

    /// A command that must succeed in the finished image; may repeat
    #[arg(long, value_name = "COMMAND", help_heading = "Proof")]
    pub(super) check: Vec<String>,
    /// Run no checks
    #[arg(long, conflicts_with = "check", help_heading = "Proof")]
    pub(super) no_verify: bool,
    /// How long all checks may take together; 0 is no limit [default: 300, and 240 more for each `--check`]
    #[arg(long, value_name = "SECONDS", help_heading = "Proof")]
    pub(super) proof_timeout: Option<u64>,

    /// Use no network, only the cache
    #[arg(long, help_heading = "How")]
    pub(super) offline: bool,
    /// Ignore files that were uploaded after this date
    #[arg(long, value_name = "DATE", help_heading = "How")]
    pub(super) exclude_newer: Option<String>,
    /// Which pre-releases may be chosen
    #[arg(long, value_name = "WHICH", default_value = "if-necessary", help_heading = "How")]
    pub(super) prerelease: Prerelease,
    /// An additional index of Python packages
    #[arg(long, value_name = "URL", value_delimiter = ' ', help_heading = "How")]
    pub(super) index: Vec<SecretText>,
    /// The index of Python packages, in place of PyPI
    #[arg(long, value_name = "URL", help_heading = "How")]
    pub(super) default_index: Option<SecretText>,
    /// The mirror of the Debian or Ubuntu archive
    #[arg(long, value_name = "URL", help_heading = "How")]
    pub(super) mirror: Option<SecretText>,
    /// The mirror of its security updates
    #[arg(long, value_name = "URL", help_heading = "How")]
    pub(super) security_mirror: Option<SecretText>,
    /// The keys that must have signed the archive, in place of Debian's and Ubuntu's
    #[arg(long, value_name = "FILE", help_heading = "How")]
    pub(super) keyring: Option<PathBuf>,
    /// The number of parallel downloads
    #[arg(long, short, value_name = "N", default_value = "16", help_heading = "How")]
    pub(super) jobs: usize,
    /// The compression of layers: `gzip` or `zstd`, with an optional `:LEVEL`
    #[arg(long, value_name = "KIND", default_value = "gzip:6", help_heading = "How")]
    pub(super) compression: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Trim {
    None,
    Standard,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Prerelease {
    Disallow,
    Allow,
    IfNecessary,
    Explicit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum BytecodeKind {
    None,
    Start,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum EntrypointForm {
    Exec,
    Shell,
}
