//! An engine, which lath runs as a program: the first of `docker`, `podman` and `buildah` that works. The engine builds
//! Dockerfiles, runs images and reports their sizes.

mod context;
mod images;
mod program;

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use thiserror::Error;

use self::program::Ended;
use crate::model::event::Listener;
use crate::model::hint::{EngineHint, Hint, Hints};
use crate::model::platform::{Architecture, Platform};
use crate::outside::store::Store;
use crate::rivals::model::dockerfile::{ContainerCheck, ContextFile, EngineProgram, Mounts};

/// The time limit for commands that neither build nor run an image.
const QUESTION: Duration = Duration::from_secs(60);
/// The time limit for a check in a container.
const CHECK: Duration = Duration::from_secs(300);
/// The time limit for a build, which may compile the packages that it installs.
const BUILD: Duration = Duration::from_secs(4 * 3600);

/// The first version of the Docker client that contains no BuildKit. In this and later versions, the plugin `buildx`
/// provides BuildKit.
const DOCKER_WITH_BUILDX: u32 = 23;
/// The first version of Podman that supports cache mounts: major, minor.
const PODMAN_WITH_MOUNTS: (u32, u32) = (4, 0);
/// The first version of Buildah that supports cache mounts: major, minor.
const BUILDAH_WITH_MOUNTS: (u32, u32) = (1, 24);

/// The builder that Docker uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DockerBuilder {
    /// The plugin `buildx`.
    Buildx,
    /// Built into the client, and activated by `DOCKER_BUILDKIT=1`.
    BuildKit,
    Classic,
}

/// An engine that lath has found and that works.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    program: EngineProgram,
    mounts: Mounts,
    docker: DockerBuilder,
    /// The architecture of the machine on which the engine runs, such as `amd64`. Empty if the engine did not report it.
    architecture: String,
    /// The platform of the images, such as `linux/arm64`. `None` if it is the engine's own platform.
    foreign: Option<String>,
}

#[derive(Debug, Error)]
pub(crate) enum EngineError {
    #[error("cannot find an engine: {}", .tried.join("; "))]
    None { tried: Vec<String> },
    #[error("cannot build with the mounts of BuildKit: `{program}` has only the classic builder on this machine")]
    NoMounts { program: &'static str },
    #[error("cannot start `{program}`")]
    Start { program: &'static str, source: io::Error },
    #[error("cannot write the build context for `{program}`")]
    Context { program: &'static str, source: io::Error },
    #[error("cannot build `{tag}`: `{program} build` {how}\n{said}")]
    Build { program: &'static str, tag: String, how: String, said: String },
    #[error("cannot build `{tag}`: the engine does not answer any more, `{program} build` {how}\n{said}")]
    Gone { program: &'static str, tag: String, how: String, said: String },
    #[error("cannot prove that the image works: the check `{check}` {how}\n{said}")]
    Check { check: String, how: String, said: String },
    #[error("cannot read the layers of `{tag}` from `{program} save`")]
    Save { program: &'static str, tag: String, source: io::Error },
    #[error("cannot load lath's image: `{program} load` {how}\n{said}")]
    Load { program: &'static str, how: String, said: String },
    #[error("cannot get the size of `{tag}`: `{program}` {how}\n{said}")]
    Size { program: &'static str, tag: String, how: String, said: String },
}

impl Hints for EngineError {
    fn own_hints(&self) -> Vec<Hint> {
        let hint = match self {
            Self::None { .. } => EngineHint::Install,
            Self::Build { said, .. }
                if said.contains("apt-get: not found") || said.contains("apt-get: command not found") =>
            {
                EngineHint::BaseWithApt
            }
            Self::Build { said, .. } if said.contains("certificate verify failed") => EngineHint::Certificates,
            Self::NoMounts { .. } => EngineHint::Buildx,
            Self::Gone { .. } => EngineHint::Restart,
            _ => return Vec::new(),
        };
        vec![Hint::Engine(hint)]
    }
}

/// The inputs of a build.
#[derive(Clone, Copy)]
pub(crate) struct BuildJob<'a> {
    /// The Dockerfile.
    pub(crate) text: &'a str,
    pub(crate) tag: &'a str,
    /// The kinds of mounts that the Dockerfile may use.
    pub(crate) mounts: Mounts,
    /// A file with certificates. The build gets this file as the secret `ca`, or, if mounts are not used, as the file
    /// `ca.crt` in the build context.
    pub(crate) certificates: Option<&'a Path>,
    /// The files and folders that the Dockerfile copies.
    pub(crate) context: &'a [ContextFile],
    pub(crate) store: &'a Store,
    pub(crate) uses_cache: bool,
}

impl Engine {
    /// Returns the first of `programs` that responds. It builds and runs images of `platform`.
    pub(crate) fn find(programs: &[EngineProgram], platform: Platform) -> Result<Self, EngineError> {
        let mut tried = Vec::new();
        for program in programs {
            match Self::ask(*program) {
                Ok(engine) => {
                    let is_own = engine.architecture == platform.architecture.name();
                    return Ok(Self { foreign: (!is_own).then(|| platform.to_string()), ..engine });
                }
                Err(why) => tried.push(format!("`{}` {why}", program.name())),
            }
        }
        Err(EngineError::None { tried })
    }

    /// Runs the program to get its version and its features. An error is the end of a sentence that begins with the
    /// name of the program.
    fn ask(program: EngineProgram) -> Result<Self, String> {
        // The version of Docker's server is requested as well, because this request fails if the engine is not running.
        let said = match program {
            EngineProgram::Docker => {
                answer("docker", &["version", "--format", "{{.Client.Version}} {{.Server.Version}} {{.Server.Arch}}"])?
            }
            EngineProgram::Podman => answer("podman", &["info", "--format", "{{.Version.Version}} {{.Host.Arch}}"])?,
            EngineProgram::Buildah => answer("buildah", &["--version"])?,
        };
        let words: Vec<&str> = said.split_whitespace().collect();
        let of_host = || Architecture::of_host().map(Architecture::name);
        let (version, architecture) = match program {
            EngineProgram::Docker => (words.first(), words.get(2).copied()),
            EngineProgram::Podman => (words.first(), words.get(1).copied()),
            // Buildah has no server, so it always runs on this machine.
            EngineProgram::Buildah => (words.get(2), of_host()),
        };
        let (version, architecture) = (version.copied().unwrap_or_default(), architecture.unwrap_or_default());
        let version = numbers(version);
        let docker = match program {
            EngineProgram::Docker if answer("docker", &["buildx", "version"]).is_ok() => DockerBuilder::Buildx,
            EngineProgram::Docker if version.0 < DOCKER_WITH_BUILDX => DockerBuilder::BuildKit,
            _ => DockerBuilder::Classic,
        };
        let knows_mounts = match program {
            EngineProgram::Docker => docker != DockerBuilder::Classic,
            EngineProgram::Podman => version >= PODMAN_WITH_MOUNTS,
            EngineProgram::Buildah => version >= BUILDAH_WITH_MOUNTS,
        };
        let mounts = if knows_mounts { Mounts::Known } else { Mounts::Unknown };
        Ok(Self { program, mounts, docker, architecture: architecture.to_owned(), foreign: None })
    }

    pub(crate) fn program(&self) -> EngineProgram {
        self.program
    }

    /// Returns the kinds of mounts that the engine's builder supports.
    pub(crate) fn mounts(&self) -> Mounts {
        self.mounts
    }

    /// Returns the option that names the platform. Empty if the platform is the engine's own.
    fn platform(&self) -> Vec<String> {
        self.foreign.iter().flat_map(|platform| ["--platform".to_owned(), platform.clone()]).collect()
    }

    /// Builds the image, and passes all output of the engine to `listener`. Returns the duration of the build.
    pub(crate) fn build(&self, job: &BuildJob<'_>, listener: &dyn Listener) -> Result<Duration, EngineError> {
        let program = self.program.name();
        let context = context::context(job).map_err(|source| EngineError::Context { program, source })?;
        let mut command = Command::new(program);
        match self.docker {
            _ if self.program != EngineProgram::Docker => command.arg("build"),
            DockerBuilder::Buildx => {
                command.env("DOCKER_BUILDKIT", "1").args(["buildx", "build", "--load", "--progress", "plain"])
            }
            DockerBuilder::BuildKit => command.env("DOCKER_BUILDKIT", "1").args(["build", "--progress", "plain"]),
            DockerBuilder::Classic => command.env("DOCKER_BUILDKIT", "0").arg("build"),
        };
        if self.program == EngineProgram::Buildah {
            command.arg("--layers");
        }
        command.args(self.platform()).args(["--tag", job.tag]);
        if !job.uses_cache {
            command.arg("--no-cache");
        }
        if let (Some(file), Mounts::Known) = (job.certificates, job.mounts) {
            command.arg("--secret").arg(format!("id=ca,src={}", file.display()));
        }
        command.arg(context.path());
        let began = Instant::now();
        let ended = program::run(&mut command, BUILD, Some(listener))
            .map_err(|source| EngineError::Start { program, source })?;
        if ended.is_success() {
            return Ok(began.elapsed());
        }
        let (tag, how, said) = (job.tag.to_owned(), ended.how(), ended.tail);
        Err(match Self::ask(self.program) {
            Ok(_) => EngineError::Build { program, tag, how, said },
            Err(_) => EngineError::Gone { program, tag, how, said },
        })
    }

    /// Runs `check` in a container of the image, without a network.
    pub(crate) fn check(&self, tag: &str, check: &ContainerCheck) -> Result<(), EngineError> {
        let mut first: Option<Ended> = None;
        for attempt in &check.attempts {
            let ended = self.run(tag, check.entrypoint.as_deref(), attempt)?;
            if ended.is_success() {
                return Ok(());
            }
            first.get_or_insert(ended);
        }
        match first {
            None => Ok(()),
            Some(ended) => Err(EngineError::Check { check: check.name.clone(), how: ended.how(), said: ended.tail }),
        }
    }

    fn run(&self, tag: &str, entrypoint: Option<&str>, arguments: &[String]) -> Result<Ended, EngineError> {
        let program = self.program.name();
        let start = |source| EngineError::Start { program, source };
        if self.program == EngineProgram::Buildah {
            return self.run_by_buildah(tag, entrypoint, arguments).map_err(start);
        }
        let mut command = Command::new(program);
        command.args(["run", "--rm", "--network", "none"]);
        // Podman runs an image of any platform. With the option, some of its versions would try to pull the image.
        if self.program == EngineProgram::Docker {
            command.args(self.platform());
        }
        if let Some(entrypoint) = entrypoint {
            command.args(["--entrypoint", entrypoint]);
        }
        program::run(command.arg(tag).args(arguments), CHECK, None).map_err(start)
    }

    /// Runs a command in a working container of Buildah. Working containers use the image's user and variables, but not
    /// its entry point.
    fn run_by_buildah(&self, tag: &str, entrypoint: Option<&str>, arguments: &[String]) -> io::Result<Ended> {
        let ask = |words: &[&str]| program::run(Command::new("buildah").args(words), QUESTION, None);
        let platform = self.platform();
        let words = [&["from", "--pull-never"][..], &platform.iter().map(String::as_str).collect::<Vec<_>>(), &[tag]];
        let made = ask(&words.concat())?;
        if !made.is_success() {
            return Ok(made);
        }
        let container = made.stdout.lines().last().unwrap_or_default().to_owned();
        let mut argv: Vec<String> = Vec::new();
        match entrypoint {
            Some(entrypoint) => argv.push(entrypoint.to_owned()),
            None => {
                let said = ask(&["inspect", &container])?;
                argv = entrypoint_of(&said.stdout);
            }
        }
        argv.extend(arguments.iter().cloned());
        let ended = program::run(Command::new("buildah").args(["run", &container, "--"]).args(argv), CHECK, None);
        // An error is ignored, because a container that stays only takes space.
        let _ = ask(&["rm", &container]);
        ended
    }

    /// Returns the sum of the unpacked sizes of all layers.
    pub(crate) fn size_bytes(&self, tag: &str) -> Result<u64, EngineError> {
        let program = self.program.name();
        let words: [&str; 4] = match self.program {
            EngineProgram::Docker | EngineProgram::Podman => ["image", "inspect", "--format", "{{.Size}}"],
            EngineProgram::Buildah => ["images", "--noheading", "--format", "{{.Size}}"],
        };
        let ended = program::run(Command::new(program).args(words).arg(tag), QUESTION, None)
            .map_err(|source| EngineError::Start { program, source })?;
        match bytes(&ended.stdout) {
            Some(bytes) if ended.is_success() => Ok(bytes),
            _ => Err(EngineError::Size { program, tag: tag.to_owned(), how: ended.how(), said: ended.tail }),
        }
    }

    /// Returns the digest that `image` has in a registry. `None` if the engine did not pull the image from a registry.
    pub(crate) fn digest(&self, image: &str) -> Option<String> {
        if self.program == EngineProgram::Buildah {
            return None;
        }
        let words = ["image", "inspect", "--format", "{{range .RepoDigests}}{{println .}}{{end}}", image];
        let known = answer(self.program.name(), &words).ok()?;
        // Images that the engine built itself have a digest as well. Their names begin with `localhost/`, which is not
        // a registry, so they are skipped.
        let (_, digest) = known.lines().find(|name| !name.starts_with("localhost/"))?.split_once('@')?;
        Some(digest.trim().to_owned())
    }
}

/// Returns the output of a program. An error is the end of a sentence that begins with the name of the program.
fn answer(program: &str, words: &[&str]) -> Result<String, String> {
    match program::run(Command::new(program).args(words), QUESTION, None) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err("is not installed".to_owned()),
        Err(error) => Err(format!("does not start: {error}")),
        Ok(ended) if ended.is_success() => Ok(ended.stdout),
        Ok(ended) => {
            let last = ended.tail.lines().last().unwrap_or_default().trim();
            Err(if last.is_empty() { ended.how() } else { format!("does not work: {last}") })
        }
    }
}

/// Returns the entry point from the output of `buildah inspect`. The whole output is read, because the option
/// `--format` of Buildah cannot print the entry point as JSON.
fn entrypoint_of(inspected: &str) -> Vec<String> {
    let document: serde_json::Value = serde_json::from_str(inspected).unwrap_or_default();
    let words = document.pointer("/OCIv1/config/Entrypoint").and_then(serde_json::Value::as_array);
    words.into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

/// Parses the major and the minor number of a version: `20.10.24+dfsg1` results in (20, 10).
fn numbers(version: &str) -> (u32, u32) {
    let mut numbers = version.trim_start_matches('v').split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Parses a size in bytes, such as `181234567` or `181 MB`. Units are decimal, like in the output of engines.
fn bytes(text: &str) -> Option<u64> {
    let text = text.lines().next()?.trim();
    let Some((number, unit)) = text.split_once(' ') else { return text.parse().ok() };
    let scale = match unit {
        "B" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| (number * scale).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_sizes_are_read_as_engines_write_them() {
        assert_eq!(numbers("20.10.24+dfsg1"), (20, 10));
        assert_eq!(numbers("28.2.2"), (28, 2));
        assert_eq!(numbers("1.28.2"), (1, 28));
        assert_eq!(bytes("181234567\n"), Some(181_234_567));
        assert_eq!(bytes("1.5 GB"), Some(1_500_000_000));
        assert_eq!(bytes("many"), None);
        assert_eq!(
            entrypoint_of(r#"{"OCIv1": {"config": {"Entrypoint": ["/opt/app/bin/tool", "-q"]}}}"#),
            ["/opt/app/bin/tool", "-q"]
        );
        assert_eq!(entrypoint_of(r#"{"OCIv1": {"config": {}}}"#), Vec::<String>::new());
    }
}
