//! The arguments of the command line, as clap reads them. Doc comments of the fields are the help texts.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use crate::model::request::UserBase;
use crate::model::secret_text::SecretText;

const VARIABLES: &str =
    "Every option has a variable: LATH_ and its name, such as LATH_EXCLUDE_NEWER; where it may repeat, a line each.";

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
    /// Where downloads and finished pieces are kept [default: lath's folder in the user's cache]
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) cache_dir: Option<PathBuf>,
    /// Say nothing but errors
    #[arg(long, short, global = true)]
    pub(super) quiet: bool,
    /// Say more
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
    /// Write a Dockerfile for the same, and build it where asked to
    Dockerfile(Box<Dockerfile>),
    /// Put the image beside those that Dockerfiles would make: their sizes, and what only the bigger ones carry
    Compare(Box<Compare>),
    /// Look at the cache, or make it smaller
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
    /// Print where it is
    Dir,
    /// Print how large it is: in bytes, or for people where stdout is a terminal
    Size {
        /// Print bytes on a terminal too
        #[arg(long)]
        bytes: bool,
    },
    /// Remove what no build has used for a while; waits for builds at work
    Prune {
        /// How many days it went unused
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
    /// A file or folder of this machine that the program sees and may write to, or with `:ro` read
    #[arg(long, value_name = "SRC:DST[:ro]", help_heading = "The run")]
    pub(super) volume: Vec<String>,
    /// The command and its arguments [default: what the image would start]
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Dockerfile {
    /// How it goes about it
    #[arg(long, value_name = "STYLE", default_value = "recipe", help_heading = "The Dockerfile")]
    pub(super) style: DockerfileStyle,
    /// One stage with everything in it, for comparison
    #[arg(long, conflicts_with = "style", help_heading = "The Dockerfile")]
    pub(super) fat: bool,
    /// The base image: any of Debian's or Ubuntu's, or one that has apt [default: the release itself]
    #[arg(long, value_name = "IMAGE", help_heading = "The Dockerfile")]
    pub(super) from: Option<String>,
    /// Certificates that pip and apt trust while building; they are not left in the image
    #[arg(long, value_name = "FILE", help_heading = "The Dockerfile")]
    pub(super) ca: Option<PathBuf>,
    /// What builds it: `classic` keeps out all that needs BuildKit's mounts
    #[arg(long, value_name = "BUILDER", default_value = "auto", help_heading = "The Dockerfile")]
    pub(super) builder: Builder,
    /// Build it, run its checks, and tell its size
    #[arg(long = "build", help_heading = "The Dockerfile")]
    pub(super) is_built: bool,
    /// The engine that builds [default: the first that is there]
    #[arg(long, value_name = "ENGINE", requires = "is_built", help_heading = "The Dockerfile")]
    pub(super) engine: Option<EngineName>,
    /// Build without what the engine has built before
    #[arg(long, requires = "is_built", help_heading = "The Dockerfile")]
    pub(super) no_cache: bool,
    #[command(flatten)]
    pub(super) build: Build,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DockerfileStyle {
    /// Two stages, as by hand
    Recipe,
    /// The same with care: hashes, nothing left over, no root
    Lean,
    /// Lean, with uv
    Uv,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Builder {
    /// What the engine has, and BuildKit without one
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
    /// Build all of them by an engine, one after the other, twice each, and time their check
    #[arg(long, help_heading = "The comparison")]
    pub(super) measure: bool,
    /// The base image of the Dockerfiles [default: the release itself]
    #[arg(long, value_name = "IMAGE", help_heading = "The comparison")]
    pub(super) from: Option<String>,
    /// Certificates that pip and apt trust while building; they are not left in the images
    #[arg(long, value_name = "FILE", help_heading = "The comparison")]
    pub(super) ca: Option<PathBuf>,
    /// The engine that builds: `docker` or `podman` [default: the first that is there]
    #[arg(long, value_name = "ENGINE", requires = "measure", help_heading = "The comparison")]
    pub(super) engine: Option<EngineName>,
    /// Print JSON
    #[arg(long, help_heading = "The comparison")]
    pub(super) json: bool,
    /// Draw it to a file
    #[arg(long, value_name = "FILE", help_heading = "The comparison")]
    pub(super) svg: Option<PathBuf>,
    /// How the Dockerfiles' base keeps what apt fetches: as the distribution's own image, or as debootstrap leaves it
    #[arg(
        long,
        value_name = "HABITS",
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
    /// What goes in: requirements as pip takes them, `pre-commit` or `httpx[http2]>=0.28`
    #[arg(value_name = "REQUIREMENT", required_unless_present = "requirements")]
    pub(super) requirement: Vec<SecretText>,
    /// A file of requirements
    #[arg(long, short, value_name = "FILE", help_heading = "What goes in")]
    pub(super) requirements: Vec<PathBuf>,
    /// A file that narrows versions without asking for anything
    #[arg(long, value_name = "FILE", help_heading = "What goes in")]
    pub(super) constraint: Vec<PathBuf>,
    /// A Debian package to add, such as `git`
    #[arg(long, value_name = "PACKAGE", help_heading = "What goes in")]
    pub(super) with: Vec<String>,
    /// Take the packages that Debian packages recommend, too
    #[arg(long, help_heading = "What goes in")]
    pub(super) recommends: bool,
    /// The version of Python [default: that of the base, 3.13]
    #[arg(long, value_name = "VERSION", help_heading = "What goes in")]
    pub(super) python: Option<String>,
    /// Where Python comes from, such as `debian:trixie` [default: the release that has the Python]
    #[arg(long, value_name = "RELEASE", help_heading = "What goes in")]
    pub(super) base: Option<String>,
    /// What the image runs on [default: the machine's own]
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',', help_heading = "What goes in")]
    pub(super) platform: Vec<String>,
    /// A file or folder to copy into the image
    #[arg(long, value_name = "SRC:DST", help_heading = "What goes in")]
    pub(super) copy: Vec<String>,

    /// How much to leave out
    #[arg(long, value_name = "LEVEL", default_value = "standard", help_heading = "How small")]
    pub(super) trim: Trim,
    /// Paths of the image that stay whatever trimming says, such as `/usr/share/doc/**`
    #[arg(long, value_name = "GLOB", help_heading = "How small")]
    pub(super) keep: Vec<String>,
    /// Which Python files are compiled: what start-up imports, all, or none
    #[arg(long, value_name = "WHICH", default_value = "start", help_heading = "How small")]
    pub(super) bytecode: BytecodeKind,
    /// Bring `/bin/sh` and its tools
    #[arg(long, help_heading = "How small")]
    pub(super) shell: bool,

    /// The console script that the image runs; several make a menu, chosen from by the first argument
    #[arg(long, short = 'c', value_name = "NAME", help_heading = "The image")]
    pub(super) script: Vec<String>,
    /// Where the packages go: `PYTHONUSERBASE` in the image
    #[arg(long, value_name = "PATH", default_value = UserBase::DEFAULT, help_heading = "The image")]
    pub(super) user_base: String,
    /// Whether arguments are the program's own, or a line for a shell
    #[arg(long, value_name = "FORM", default_value = "exec", help_heading = "The image")]
    pub(super) entrypoint: EntrypointForm,
    /// An argument that stands where the user gives none
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
    /// Who runs it: `UID` or `UID:GID`
    #[arg(long, value_name = "USER", default_value = "65532:65532", help_heading = "The image")]
    pub(super) user: String,
    /// Where it starts
    #[arg(long, value_name = "PATH", help_heading = "The image")]
    pub(super) workdir: Option<String>,
    /// A port that it serves, such as `8080/tcp`
    #[arg(long, value_name = "PORT", help_heading = "The image")]
    pub(super) expose: Vec<String>,

    /// The image's name [default: the first requirement's]
    #[arg(long, short, value_name = "NAME[:TAG]", help_heading = "Where to")]
    pub(super) tag: Option<String>,
    /// `PATH.tar`, `oci:DIR[:TAG]`, `oci-archive:PATH[:TAG]`, `docker-archive:PATH[:NAME]`, `docker-daemon:NAME` or `dir:DIR`; may repeat [default: ./NAME.tar]
    #[arg(long, short, value_name = "DEST", help_heading = "Where to")]
    pub(super) output: Vec<String>,
    /// Load the image into Docker or Podman: what `DOCKER_HOST` names, else the first socket that answers
    #[arg(long, help_heading = "Where to")]
    pub(super) load: bool,
    /// Write what was built to a file, as JSON
    #[arg(long, value_name = "FILE", help_heading = "Where to")]
    pub(super) metadata_file: Option<PathBuf>,

    /// A command that must succeed in the finished image; may repeat
    #[arg(long, value_name = "COMMAND", help_heading = "Proof")]
    pub(super) check: Vec<String>,
    /// Run no check, neither lath's own nor those of `--check`
    #[arg(long, conflicts_with = "check", help_heading = "Proof")]
    pub(super) no_verify: bool,
    /// How long all checks may take together; 0 is no limit [default: 300, and 240 more for each `--check`]
    #[arg(long, value_name = "SECONDS", help_heading = "Proof")]
    pub(super) proof_timeout: Option<u64>,

    /// Use only what the cache holds
    #[arg(long, help_heading = "How")]
    pub(super) offline: bool,
    /// Ignore files that were uploaded after that date
    #[arg(long, value_name = "DATE", help_heading = "How")]
    pub(super) exclude_newer: Option<String>,
    /// Which versions that are not final may be taken
    #[arg(long, value_name = "WHICH", default_value = "if-necessary", help_heading = "How")]
    pub(super) prerelease: Prerelease,
    /// A further index of Python packages
    #[arg(long, value_name = "URL", value_delimiter = ' ', help_heading = "How")]
    pub(super) index: Vec<SecretText>,
    /// The index of Python packages
    #[arg(long, value_name = "URL", help_heading = "How")]
    pub(super) default_index: Option<SecretText>,
    /// Where the Debian archive is fetched from
    #[arg(long, value_name = "URL", help_heading = "How")]
    pub(super) mirror: Option<SecretText>,
    /// Where its security updates are fetched from
    #[arg(long, value_name = "URL", help_heading = "How")]
    pub(super) security_mirror: Option<SecretText>,
    /// Keys that the archive has to be signed by, instead of Debian's
    #[arg(long, value_name = "FILE", help_heading = "How")]
    pub(super) keyring: Option<PathBuf>,
    /// Downloads at once
    #[arg(long, short, value_name = "N", default_value = "16", help_heading = "How")]
    pub(super) jobs: usize,
    /// `gzip` or `zstd`, with `:LEVEL`
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
