//! `lath dockerfile`.

use std::path::Path;
use std::sync::Arc;

use fs_err as fs;

use crate::cli::args::{Builder, Dockerfile, DockerfileStyle, EngineName, Global};
use crate::cli::failure::Failure;
use crate::cli::screen::Screen;
use crate::cli::settings::{self, usage};
use crate::model::event::Listener;
use crate::model::request::{Distribution, Request, UserBase};
use crate::pipeline;
use crate::present::summary;
use crate::rivals::model::dockerfile::{
    DockerfileRequest, EngineProgram, EngineRequest, Mounts, RECIPE_USER_BASE, Style,
};
use crate::rivals::{self, RivalError};

/// Names and numbers of releases, with which the tags of base images begin.
const RELEASES: [(Distribution, &str, &str); 9] = [
    (Distribution::Debian, "bookworm", "12"),
    (Distribution::Debian, "trixie", "13"),
    (Distribution::Debian, "forky", "14"),
    (Distribution::Debian, "sid", "unstable"),
    (Distribution::Debian, "trixie", "stable"),
    (Distribution::Debian, "bookworm", "oldstable"),
    (Distribution::Ubuntu, "jammy", "22.04"),
    (Distribution::Ubuntu, "noble", "24.04"),
    (Distribution::Ubuntu, "resolute", "26.04"),
];

/// Base images that have another package manager than apt, or none.
const WITHOUT_APT: [&str; 16] = [
    "alpine",
    "almalinux",
    "amazonlinux",
    "archlinux",
    "busybox",
    "centos",
    "fedora",
    "opensuse",
    "oraclelinux",
    "photon",
    "rockylinux",
    "scratch",
    "tumbleweed",
    "ubi",
    "void",
    "wolfi",
];

pub(super) fn main(typed: &Dockerfile, global: &Global, screen: &Arc<Screen>) -> Result<(), Failure> {
    let (request, wanted) = settle(typed)?;
    let how = engine_request(typed, &request)?;
    let file = typed.build.output.first().filter(|file| *file != "-").map(Path::new);
    file.map_or(Ok(()), pipeline::refuse_document).map_err(|error| Failure::of_build(&error))?;
    let settings = settings::world(&typed.build, global)?;
    let listener: Arc<dyn Listener> = Arc::clone(screen) as Arc<dyn Listener>;
    let world = pipeline::open(settings, listener).map_err(|error| Failure::of(&error))?;
    let failed = |error: RivalError| Failure::of_rival(&error);
    if typed.is_built {
        let receipt = rivals::build_dockerfile(&request, &wanted, &how, &world).map_err(failed)?;
        if let Some(file) = file {
            write(file, &receipt.dockerfile)?;
        }
        screen.say(summary::summary_of_engine(&request, &receipt));
        return screen.print(&request.name);
    }
    let dockerfile = rivals::dockerfile(&request, &wanted, &world).map_err(failed)?;
    match file {
        Some(file) => write(file, &dockerfile.text),
        None => screen.print(dockerfile.text.trim_end()),
    }
}

/// Turns the arguments into settled values.
pub(super) fn settle(typed: &Dockerfile) -> Result<(Request, DockerfileRequest), Failure> {
    let mut build = typed.build.clone();
    if build.load || build.metadata_file.is_some() {
        return Err(usage("cannot write an image with `lath dockerfile`: leave out `--load` and `--metadata-file`"));
    }
    if build.output.len() > 1 {
        return Err(usage("cannot write a Dockerfile to several places: name one with `-o`"));
    }
    build.output.clear();
    if let Some(from) = &typed.from {
        let release = release(from, build.base.is_some())?;
        build.base = build.base.or(release);
    }
    let style = match (typed.fat, typed.style) {
        (true, _) => Style::Fat,
        (false, DockerfileStyle::Recipe) => Style::Recipe,
        (false, DockerfileStyle::Lean) => Style::Lean,
        (false, DockerfileStyle::Uv) => Style::Uv,
    };
    if matches!(style, Style::Recipe | Style::Fat) && build.user_base == UserBase::DEFAULT {
        RECIPE_USER_BASE.clone_into(&mut build.user_base);
    }
    let request = settings::request(&build)?;
    own_python(&request, typed.from.as_deref())?;
    if typed.is_built && request.platforms.len() > 1 {
        return Err(usage("cannot build for several platforms by an engine: name one with `--platform`"));
    }
    if let Some(file) = &typed.ca
        && !file.is_file()
    {
        return Err(usage(format!("cannot use the certificates `{}`: there is no such file", file.display())));
    }
    let from = typed.from.clone().unwrap_or_else(|| format!("{}:{}", request.base.distribution, request.base.suite));
    let wanted = DockerfileRequest {
        style,
        from,
        user_base: request.user_base.clone(),
        mounts: mounts(typed.builder).unwrap_or(Mounts::Known),
        has_certificates: typed.ca.is_some(),
    };
    Ok((request, wanted))
}

fn mounts(builder: Builder) -> Option<Mounts> {
    match builder {
        Builder::Auto => None,
        Builder::Buildkit => Some(Mounts::Known),
        Builder::Classic => Some(Mounts::Unknown),
    }
}

pub(super) fn engine_request(typed: &Dockerfile, request: &Request) -> Result<EngineRequest, Failure> {
    for copied in &request.copies {
        if typed.is_built && !copied.source.exists() {
            return Err(usage(format!("cannot copy `{}`: it is not there", copied.source.display())));
        }
    }
    let programs = match typed.engine {
        None => EngineProgram::ALL.to_vec(),
        Some(EngineName::Docker) => vec![EngineProgram::Docker],
        Some(EngineName::Podman) => vec![EngineProgram::Podman],
        Some(EngineName::Buildah) => vec![EngineProgram::Buildah],
    };
    let certificates = match &typed.ca {
        None => None,
        Some(file) => Some(fs::canonicalize(file).map_err(|error| Failure::of(&error))?),
    };
    Ok(EngineRequest { programs, mounts: mounts(typed.builder), certificates, uses_cache: !typed.no_cache })
}

/// Returns the release that the name of a base image contains: `ubuntu:22.04`,
/// `mirror.example/library/debian:bookworm-slim`. `is_told` means that the user has given it with `--base`; then the
/// result is `None`.
fn release(from: &str, is_told: bool) -> Result<Option<String>, Failure> {
    if from.is_empty() || from.contains(|c: char| c.is_whitespace() || c.is_control() || "\"'$\\".contains(c)) {
        return Err(usage(format!("cannot start from `{from}`: it is no name of an image")));
    }
    let name = from.split('@').next().unwrap_or_default();
    let (path, tag) = match name.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, tag),
        _ => (name, ""),
    };
    let last = path.rsplit('/').next().unwrap_or_default();
    if let Some(known) = WITHOUT_APT.iter().find(|known| last.starts_with(**known)) {
        return Err(usage(format!(
            "cannot install by apt on `{from}`: {known} has none; name one of Debian's or Ubuntu's, such as `debian:trixie`"
        )));
    }
    if is_told {
        return Ok(None);
    }
    let words: Vec<&str> = tag.split('-').collect();
    let is_meant = |(_, suite, number): &&(Distribution, &str, &str)| {
        words.iter().any(|word| word == suite || word == number || word.starts_with(&format!("{number}.")))
    };
    let of_name = |distribution: Distribution| last.contains(&distribution.to_string());
    let mut known: Vec<_> = RELEASES.iter().filter(is_meant).collect();
    if known.iter().any(|(distribution, _, _)| of_name(*distribution)) {
        known.retain(|(distribution, _, _)| of_name(*distribution));
    }
    match known.first() {
        Some((distribution, suite, _)) => Ok(Some(format!("{distribution}:{suite}"))),
        None => Err(usage(format!(
            "cannot tell which release `{from}` is: tell it with `--base`, such as `--base debian:trixie`"
        ))),
    }
}

/// Refuses a Python that is not the release's own `python3`, because apt would install another one than the lock is
/// for.
fn own_python(request: &Request, from: Option<&str>) -> Result<(), Failure> {
    let suite = &request.base.suite;
    let Some((own, _, _)) = settings::BASES.iter().find(|(_, _, known)| known == suite) else { return Ok(()) };
    let wanted = request.python.version.to_string();
    if *own == wanted {
        return Ok(());
    }
    let base = from.map_or_else(|| format!("{}:{suite}", request.base.distribution), str::to_owned);
    let failure = Failure::usage(format!("cannot install python {wanted} on `{base}`: its `python3` is {own}"));
    let other = settings::BASES.iter().find(|(version, _, _)| *version == wanted);
    let hint = match other {
        Some((_, distribution, suite)) => format!("`--from {distribution}:{suite}` has it"),
        None => "leave out `--python`".to_owned(),
    };
    Err(failure.with_exit_code(1).with_hints(vec![hint]))
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    pipeline::write_document(file, text).map_err(|error| Failure::of_build(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_base_tells_its_release() {
        let table = [
            ("debian:bookworm", "debian:bookworm"),
            ("debian:12", "debian:bookworm"),
            ("debian:12.11-slim", "debian:bookworm"),
            ("debian:trixie-20251103-slim", "debian:trixie"),
            ("ubuntu:22.04", "ubuntu:jammy"),
            ("ubuntu:noble-20251001", "ubuntu:noble"),
            ("mirror.example:5000/library/ubuntu:24.04@sha256:00", "ubuntu:noble"),
            ("mirror.example/team/base:bookworm", "debian:bookworm"),
        ];
        for (from, expected) in table {
            assert_eq!(release(from, false).unwrap().as_deref(), Some(expected), "{from}");
        }
        assert_eq!(release("mirror.example/team/base:7", true).unwrap(), None);
    }

    #[test]
    fn a_base_that_cannot_be_used_is_refused() {
        let table = [
            ("alpine:3.22", "cannot install by apt on `alpine:3.22`: alpine has none"),
            ("mirror.example/fedora:43", "fedora has none"),
            ("scratch", "scratch has none"),
            ("team/base:7", "cannot tell which release `team/base:7` is"),
            ("debian", "cannot tell which release `debian` is"),
            ("debian:trixie AS x", "it is no name of an image"),
            ("debian:trixie\nRUN x", "it is no name of an image"),
        ];
        for (from, expected) in table {
            let failure = release(from, false).unwrap_err().to_string();
            assert!(failure.contains(expected), "{from:?}: {failure}");
        }
    }
}
