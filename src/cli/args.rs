//! The options of the command line, in the form that clap reads. They are in groups, and each command consists of some
//! of these groups. The doc comments of the fields are the help texts. No option has a default here, so that lath can
//! see which options the user gave. `usage` adds the defaults from `defaults` to the help texts.

use std::path::PathBuf;

use clap::{Args, Parser};

use crate::cli::choices::Color;
use crate::cli::layers::{Settings, Typed, flag, list};
use crate::model::indexes::{IndexStrategy, Keyring};
use crate::model::request::{Bytecode, Entrypoint, Layering, Prereleases, TrimLevel};
use crate::model::secret_text::SecretText;

const VARIABLES: &str = "Every option of a build can also be set by an environment variable, such as LATH_EXCLUDE_NEWER. Separate repeated values by newlines. Settings of a project can be in `lath.toml` or in `[tool.lath]` of `pyproject.toml`.";

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
    /// A configuration file, in place of the project's [default: `lath.toml`, or `[tool.lath]` in `pyproject.toml`]
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "no_config")]
    config: Option<PathBuf>,
    /// Read no configuration files
    #[arg(long, global = true)]
    no_config: bool,
}

impl Typed for Global {
    fn typed(&self) -> Settings {
        Settings {
            cache_dir: self.cache_dir.clone(),
            quiet: flag(self.quiet),
            verbose: flag(self.verbose),
            color: self.color,
            config: self.config.clone(),
            no_config: flag(self.no_config),
            ..Settings::default()
        }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "What goes in")]
pub(super) struct Inputs {
    /// Python packages as for pip, such as `pre-commit` or `httpx[http2]>=0.28`; the folder of a project; a script
    #[arg(value_name = "INPUT", help_heading = None::<&str>)]
    requirement: Vec<SecretText>,
    /// A requirements file
    #[arg(long, short, value_name = "FILE")]
    requirements: Vec<PathBuf>,
    /// A constraints file: it limits versions and installs nothing
    #[arg(long, value_name = "FILE")]
    constraint: Vec<PathBuf>,
    /// An extra of the project to install; may repeat
    #[arg(long, value_name = "NAME")]
    extra: Vec<String>,
    /// Install all extras of the project
    #[arg(long, conflicts_with = "extra")]
    all_extras: bool,
    /// A dependency group of the project to install; may repeat
    #[arg(long, value_name = "NAME")]
    group: Vec<String>,
    /// The member of the workspace to install
    #[arg(long, value_name = "NAME")]
    package: Option<String>,
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
    release: Option<String>,
    /// The image to build on, such as `registry.example/python:3.13`, `oci:FOLDER` or `docker-archive:FILE`
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,
    /// Do not use the Python packages that the base image has
    #[arg(long)]
    no_base_packages: bool,
    /// The platforms of the image, such as `linux/arm64` [default: this machine's]
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    platform: Vec<String>,
    /// A file or folder to copy into the image
    #[arg(long, value_name = "SRC:DST[:MODE[:UID[:GID]]]")]
    copy: Vec<String>,
}

impl Typed for Inputs {
    fn typed(&self) -> Settings {
        Settings {
            requirement: list(&self.requirement),
            requirements: list(&self.requirements),
            constraint: list(&self.constraint),
            extra: list(&self.extra),
            all_extras: flag(self.all_extras),
            group: list(&self.group),
            package: self.package.clone(),
            with: list(&self.with),
            recommends: flag(self.recommends),
            python: self.python.clone(),
            release: self.release.clone(),
            base: self.base.clone(),
            no_base_packages: flag(self.no_base_packages),
            platform: list(&self.platform),
            copy: list(&self.copy),
            ..Settings::default()
        }
    }
}

/// Builds from source.
#[derive(Debug, Args)]
#[command(next_help_heading = "Builds from source")]
pub(super) struct SourceBuilds {
    /// A Debian package that builds need, such as `libpq-dev`; the image does not contain it
    #[arg(long, value_name = "PACKAGE")]
    build_with: Vec<String>,
    /// Build nothing from source
    #[arg(long)]
    no_build: bool,
    /// A distribution that is never built from source
    #[arg(long, value_name = "NAME")]
    no_build_package: Vec<String>,
    /// A distribution that is always built from source
    #[arg(long, value_name = "NAME")]
    no_binary_package: Vec<String>,
    /// A setting for build backends
    #[arg(long, value_name = "KEY=VALUE")]
    config_setting: Vec<String>,
    /// How long the build of one source may take; 0 is no limit [default: 1800]
    #[arg(long, value_name = "SECONDS")]
    build_timeout: Option<u64>,
    /// Keep the files of a build that fails
    #[arg(long)]
    keep_failed: bool,
}

impl Typed for SourceBuilds {
    fn typed(&self) -> Settings {
        Settings {
            build_with: list(&self.build_with),
            no_build: flag(self.no_build),
            no_build_package: list(&self.no_build_package),
            no_binary_package: list(&self.no_binary_package),
            config_setting: list(&self.config_setting),
            build_timeout: self.build_timeout,
            keep_failed: flag(self.keep_failed),
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
    /// Build from the lock, even if the inputs have changed
    #[arg(long, conflicts_with = "locked")]
    frozen: bool,
    /// A folder with the files of the lock, as `lath lock --vendor` writes it
    #[arg(long, value_name = "DIR")]
    vendor: Option<PathBuf>,
    /// The archive for packages that the mirror no longer has [default: snapshot.debian.org or snapshot.ubuntu.com]
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

/// An image of a configuration file.
#[derive(Debug, Args)]
#[command(next_help_heading = "What goes in")]
pub(super) struct FromFile {
    /// The image of the configuration file, by its name, if the file describes several
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
}

impl Typed for FromFile {
    fn typed(&self) -> Settings {
        Settings { image: self.image.clone(), ..Settings::default() }
    }
}

/// The options that apply only to images that lath builds itself, and not to Dockerfiles.
#[derive(Debug, Args)]
#[command(next_help_heading = "How small")]
pub(super) struct Size {
    /// How much to remove
    #[arg(long, value_name = "LEVEL")]
    trim: Option<TrimLevel>,
    /// Paths of the image that trimming must keep, such as `/usr/share/doc/**`
    #[arg(long, value_name = "GLOB")]
    keep: Vec<String>,
    /// A module or package that `--trim reach` must keep, such as `json.tool`
    #[arg(long, value_name = "MODULE")]
    keep_module: Vec<String>,
    /// Remove the translations of distributions into other languages than these, such as `de,pt_BR`
    #[arg(long, value_name = "LANG", value_delimiter = ',')]
    locale: Vec<String>,
    /// With `--trim reach`, keep only the modules of the console scripts that `-c` names
    #[arg(long)]
    only_scripts: bool,
    /// A record of `lath trace`, for `--trim trace`; may repeat
    #[arg(long, value_name = "FILE")]
    trace: Vec<PathBuf>,
    #[command(flatten)]
    shell: Shell,
}

impl Typed for Size {
    fn typed(&self) -> Settings {
        Settings {
            trim: self.trim,
            keep: list(&self.keep),
            keep_module: list(&self.keep_module),
            locale: list(&self.locale),
            only_scripts: flag(self.only_scripts),
            trace: list(&self.trace),
            ..self.shell.typed()
        }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "How small")]
pub(super) struct Shell {
    /// Add `/bin/sh` and its tools
    #[arg(long)]
    shell: bool,
}

impl Typed for Shell {
    fn typed(&self) -> Settings {
        Settings { shell: flag(self.shell), ..Settings::default() }
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
    /// The console script that the image runs, or the function `MODULE:FUNCTION` or `NAME=MODULE:FUNCTION`; if there
    /// are several, the first argument chooses one
    #[arg(long, short = 'c', value_name = "NAME")]
    script: Vec<String>,
    /// The module that the image runs, as `python -m` does
    #[arg(long, short = 'm', value_name = "MODULE", conflicts_with = "script")]
    module: Option<String>,
    /// The folder for the packages in the image, which is its `PYTHONUSERBASE`
    #[arg(long, value_name = "PATH")]
    user_base: Option<String>,
    /// How the image starts: `exec` passes arguments to the program, `shell` runs them with `/bin/sh -c`
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
    /// The working directory, which also has the files of an application or a script [default for these: `/app`]
    #[arg(long, value_name = "PATH")]
    workdir: Option<String>,
}

impl Typed for Program {
    fn typed(&self) -> Settings {
        Settings {
            script: list(&self.script),
            module: self.module.clone(),
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

/// The command of an image.
#[derive(Debug, Args)]
pub(super) struct Words {
    /// The command that the image runs, and its first arguments [default: `-m`, `-c`, the only console script, or the
    /// process `web` of the Procfile]
    #[arg(last = true, value_name = "COMMAND", help_heading = None::<&str>, conflicts_with_all = ["module", "script"])]
    run: Vec<String>,
}

impl Typed for Words {
    fn typed(&self) -> Settings {
        Settings { run: list(&self.run), ..Settings::default() }
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
    /// A folder of the image that an engine keeps in a volume
    #[arg(long, value_name = "PATH")]
    volume: Vec<String>,
    /// The signal that stops the program, such as `SIGINT` or `2`
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<String>,
    /// The command by which an engine finds out whether the program works
    #[arg(long, value_name = "COMMAND")]
    healthcheck: Option<String>,
    /// The time between two such commands, such as `30s`
    #[arg(long, value_name = "TIME", requires = "healthcheck")]
    healthcheck_interval: Option<String>,
    /// The time limit of one such command
    #[arg(long, value_name = "TIME", requires = "healthcheck")]
    healthcheck_timeout: Option<String>,
    /// The time after a start in which failures do not count
    #[arg(long, value_name = "TIME", requires = "healthcheck")]
    healthcheck_start_period: Option<String>,
    /// How many failures in a row mean that the program does not work
    #[arg(long, value_name = "N", requires = "healthcheck")]
    healthcheck_retries: Option<u32>,
}

impl Typed for Labels {
    fn typed(&self) -> Settings {
        Settings {
            label: list(&self.label),
            annotation: list(&self.annotation),
            expose: list(&self.expose),
            volume: list(&self.volume),
            stop_signal: self.stop_signal.clone(),
            healthcheck: self.healthcheck.clone(),
            healthcheck_interval: self.healthcheck_interval.clone(),
            healthcheck_timeout: self.healthcheck_timeout.clone(),
            healthcheck_start_period: self.healthcheck_start_period.clone(),
            healthcheck_retries: self.healthcheck_retries,
            ..Settings::default()
        }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Where to")]
pub(super) struct Name {
    /// The image's name; may repeat, for several names [default: the first requirement's]
    #[arg(long, short, value_name = "NAME[:TAG]")]
    tag: Vec<String>,
}

impl Typed for Name {
    fn typed(&self) -> Settings {
        Settings { tag: list(&self.tag), ..Settings::default() }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Where to")]
pub(super) struct Destinations {
    /// `PATH.tar`, `docker://HOST/NAME[:TAG]`, `oci:DIR[:TAG]`, `oci-archive:PATH[:TAG]`, `docker-archive:PATH[:NAME]`,
    /// `docker-daemon:NAME` or `dir:DIR`; may repeat [default: ./NAME.tar]
    #[arg(long, short, value_name = "DEST")]
    output: Vec<String>,
    /// Load the image into Docker or Podman: the daemon in `DOCKER_HOST` or in Docker's context, or else the first socket
    /// that answers
    #[arg(long)]
    load: bool,
    /// Push the image to its registry, under each name of `--tag`
    #[arg(long)]
    push: bool,
    /// The registry, and a prefix, for the names of `--push` that have no registry, such as `ghcr.io/team`
    #[arg(long, value_name = "HOST[/PREFIX]")]
    repo: Option<String>,
    /// Write a description of the image to a file, as JSON
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
    /// Write the explanation of the image to a file, which `lath explain --from` reads
    #[arg(long, value_name = "FILE")]
    explanation: Option<PathBuf>,
    /// Attach the explanation to the image in each registry, so that `lath explain docker://` finds it
    #[arg(long)]
    attach_explanation: bool,
}

impl Typed for Destinations {
    fn typed(&self) -> Settings {
        Settings {
            output: list(&self.output),
            load: flag(self.load),
            push: flag(self.push),
            repo: self.repo.clone(),
            metadata_file: self.metadata_file.clone(),
            explanation: self.explanation.clone(),
            attach_explanation: flag(self.attach_explanation),
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
    /// An additional index of Python packages, searched before the default index; may repeat
    #[arg(long, value_name = "[NAME=]URL", value_delimiter = ' ')]
    index: Vec<SecretText>,
    /// The index of Python packages, in place of PyPI
    #[arg(long, value_name = "[NAME=]URL")]
    default_index: Option<SecretText>,
    /// A folder of wheels, or a page with links to wheels; may repeat
    #[arg(long, value_name = "PATH|URL")]
    find_links: Vec<SecretText>,
    /// Use no index, only `--find-links`
    #[arg(long)]
    no_index: bool,
    /// Which index provides a package that several of them have
    #[arg(long, value_name = "STRATEGY")]
    index_strategy: Option<IndexStrategy>,
    /// Whether the program `keyring` of this machine provides passwords for indexes
    #[arg(long, value_name = "PROVIDER")]
    keyring_provider: Option<Keyring>,
    /// The build of PyTorch: `cpu`, `cu128` for CUDA 12.8, `rocm6.4`, `xpu`, or `auto`, which means `cpu`
    #[arg(long, value_name = "BACKEND")]
    torch_backend: Option<String>,
    /// The mirror of the Debian or Ubuntu archive
    #[arg(long, value_name = "URL")]
    mirror: Option<SecretText>,
    /// The mirror of the archive's security updates
    #[arg(long, value_name = "URL")]
    security_mirror: Option<SecretText>,
    /// The keys that must have signed the archive, in place of Debian's and Ubuntu's
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,
    /// The number of parallel downloads and uploads
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,
    #[command(flatten)]
    registries: Registries,
}

impl Typed for Sources {
    fn typed(&self) -> Settings {
        Settings {
            offline: flag(self.offline),
            exclude_newer: self.exclude_newer.clone(),
            prerelease: self.prerelease,
            index: list(&self.index),
            default_index: self.default_index.clone(),
            find_links: list(&self.find_links),
            no_index: flag(self.no_index),
            index_strategy: self.index_strategy,
            keyring_provider: self.keyring_provider,
            torch_backend: self.torch_backend.clone(),
            mirror: self.mirror.clone(),
            security_mirror: self.security_mirror.clone(),
            keyring: self.keyring.clone(),
            jobs: self.jobs,
            ..self.registries.typed()
        }
    }
}

/// The registries of images.
#[derive(Debug, Args)]
#[command(next_help_heading = "How")]
pub(super) struct Registries {
    /// A registry of images that may use plain HTTP or an unknown certificate; may repeat
    #[arg(long, value_name = "HOST[:PORT]")]
    insecure_registry: Vec<String>,
    /// A mirror that images of a registry are pulled from, if it has them; may repeat
    #[arg(long, value_name = "REGISTRY=HOST")]
    registry_mirror: Vec<String>,
}

impl Typed for Registries {
    fn typed(&self) -> Settings {
        Settings {
            insecure_registry: list(&self.insecure_registry),
            registry_mirror: list(&self.registry_mirror),
            ..Settings::default()
        }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "How")]
pub(super) struct Packing {
    /// The compression of layers: `gzip`, `zstd` or `zstd:chunked`, with an optional `:LEVEL`
    #[arg(long, value_name = "KIND")]
    compression: Option<String>,
    /// How files are divided into layers
    #[arg(long, value_name = "KIND")]
    layers: Option<Layering>,
    /// The most layers of an image, from 1 to 125
    #[arg(long, value_name = "N")]
    max_layers: Option<usize>,
}

impl Typed for Packing {
    fn typed(&self) -> Settings {
        Settings {
            compression: self.compression.clone(),
            layers: self.layers,
            max_layers: self.max_layers,
            ..Settings::default()
        }
    }
}
