//! `lath dockerfile`.

use std::path::{Path, PathBuf};

use clap::Args;
use fs_err as fs;

use crate::catalog::releases::{self, Release};
use crate::cli::args::{
    Checks, Compiled, FromFile, Inputs, Labels, Locking, Name, Program, SourceBuilds, Sources, Words,
};
use crate::cli::choices::Builder;
use crate::cli::command::{Call, Command};
use crate::cli::defaults;
use crate::cli::failure::Failure;
use crate::cli::layers::{Settings, Typed, flag, joined};
use crate::cli::settings::usage;
use crate::model::request::Request;
use crate::pipeline;
use crate::present::summary;
use crate::rivals::model::dockerfile::{
    DockerfileRequest, EngineProgram, EngineRequest, Mounts, RECIPE_USER_BASE, Style,
};
use crate::rivals::{self, RivalError};

/// Base images without apt. They have another package manager, or none.
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

/// If a word in the name of an image begins with one of these texts, the image has a Python that is not the `python3`
/// of its release.
const WITH_PYTHON: [&str; 6] = ["python", "pypy", "miniconda", "anaconda", "miniforge", "micromamba"];

/// Write a Dockerfile for the same image, and with `--build` build it
#[derive(Debug, Args)]
#[command(mut_arg("user_base", with_both_defaults))]
pub(super) struct Dockerfile {
    #[command(flatten)]
    writing: Writing,
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    source_builds: SourceBuilds,
    #[command(flatten)]
    from_file: FromFile,
    #[command(flatten)]
    words: Words,
    #[command(flatten)]
    compiled: Compiled,
    #[command(flatten)]
    program: Program,
    #[command(flatten)]
    labels: Labels,
    #[command(flatten)]
    name: Name,
    /// The file for the Dockerfile [default: `-`, which is stdout]
    #[arg(long, short, value_name = "FILE", help_heading = "Where to")]
    output: Option<PathBuf>,
    #[command(flatten)]
    checks: Checks,
    #[command(flatten)]
    locking: Locking,
    #[command(flatten)]
    sources: Sources,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "The Dockerfile")]
struct Writing {
    /// How the Dockerfile installs the packages
    #[arg(long, value_name = "STYLE")]
    style: Option<Style>,
    /// Write one stage with everything in it, for comparison
    #[arg(long, conflicts_with = "style")]
    fat: bool,
    /// The base image, which must have apt [default: the image of the release]
    #[arg(long, value_name = "IMAGE")]
    from: Option<String>,
    /// Certificates that pip and apt trust during the build; the image does not contain them
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The builder: `classic` avoids everything that needs BuildKit
    #[arg(long, value_name = "BUILDER")]
    builder: Option<Builder>,
    /// Build it, run its checks, and report its size
    #[arg(long = "build")]
    is_built: bool,
    /// The engine that builds [default: the first that answers]
    #[arg(long, value_name = "ENGINE", requires = "is_built")]
    engine: Option<EngineProgram>,
    /// Do not use the engine's build cache
    #[arg(long, requires = "is_built")]
    no_cache: bool,
}

/// Adds two defaults to the help text of `--user-base`, because the default depends on the style.
fn with_both_defaults(arg: clap::Arg) -> clap::Arg {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    arg.help(format!("{help} [default: {}; {RECIPE_USER_BASE} for `recipe` and `--fat`]", defaults::USER_BASE))
}

impl Typed for Writing {
    fn typed(&self) -> Settings {
        Settings {
            style: self.style,
            fat: flag(self.fat),
            from: self.from.clone(),
            ca: self.ca.clone(),
            builder: self.builder,
            build: flag(self.is_built),
            engine: self.engine,
            no_cache: flag(self.no_cache),
            ..Settings::default()
        }
    }
}

impl Typed for Dockerfile {
    fn typed(&self) -> Settings {
        let image = joined([
            self.writing.typed(),
            self.inputs.typed(),
            self.source_builds.typed(),
            self.from_file.typed(),
            self.words.typed(),
            self.compiled.typed(),
            self.program.typed(),
            self.labels.typed(),
            self.name.typed(),
            self.checks.typed(),
            self.locking.typed(),
            self.sources.typed(),
        ]);
        Settings { dockerfile_output: self.output.clone(), ..image }
    }
}

impl Command for Dockerfile {
    fn main(&self, call: &Call) -> Result<u8, Failure> {
        let (settings, screen) = (&call.settings, &call.screen);
        let (request, wanted) = settle(settings, call)?;
        let how = engine_request(settings, &request)?;
        let file = settings.dockerfile_output.as_deref().filter(|file| *file != Path::new("-"));
        file.map_or(Ok(()), pipeline::refuse_document).map_err(|error| Failure::of_build(&error))?;
        let world = call.open()?;
        let failed = |error: RivalError| Failure::of_rival(&error);
        if settings.build.unwrap_or(false) {
            let receipt = rivals::build_dockerfile(&request, &wanted, &how, &world).map_err(failed)?;
            if let Some(file) = file {
                write(file, &receipt.dockerfile)?;
            }
            screen.say(summary::summary_of_engine(&request, &receipt));
            screen.print(&request.output.name)?;
            return Ok(0);
        }
        let dockerfile = rivals::dockerfile(&request, &wanted, &world).map_err(failed)?;
        match file {
            Some(file) => write(file, &dockerfile.text)?,
            None => screen.print(dockerfile.text.trim_end())?,
        }
        Ok(0)
    }
}

/// Turns settings into the requests for an image and for its Dockerfile.
pub(super) fn settle(settings: &Settings, call: &Call) -> Result<(Request, DockerfileRequest), Failure> {
    let mut settings = settings.clone();
    let from = settings.from.clone();
    if let Some(from) = &from {
        refuse_no_name(from)?;
        // If there is a base image, lath reads its release later, from the files in the image. So the name is not
        // needed.
        if settings.base.is_none() {
            let release = release(from, settings.release.is_some())?;
            settings.release = settings.release.or(release);
        }
    }
    let style = match settings.fat {
        Some(true) => Style::Fat,
        _ => settings.style.unwrap_or(defaults::STYLE),
    };
    if matches!(style, Style::Recipe | Style::Fat) {
        settings.user_base.get_or_insert_with(|| RECIPE_USER_BASE.to_owned());
    }
    let request = call.request(&settings)?;
    if request.base_image.is_none() {
        own_python(&request, from.as_deref())?;
    }
    if settings.build.unwrap_or(false) && request.platforms.len() > 1 {
        return Err(usage("cannot build for several platforms with an engine: choose one with `--platform`"));
    }
    if let Some(file) = &settings.ca
        && !file.is_file()
    {
        return Err(usage(format!("cannot use the certificates `{}`: there is no such file", file.display())));
    }
    let wanted = DockerfileRequest {
        style,
        from: from.map_or_else(|| own_from(&request), Ok)?,
        user_base: request.user_base.clone(),
        has_user: settings.user.is_some(),
        mounts: mounts(&settings).unwrap_or(Mounts::Known),
        has_certificates: settings.ca.is_some(),
        context: std::env::current_dir()
            .map_err(|error| usage(format!("cannot use the current folder as that of the Dockerfile: {error}")))?,
    };
    Ok((request, wanted))
}

/// Returns the image after `FROM` if the user did not choose it with `--from`: the base image, or else the image of the
/// release.
fn own_from(request: &Request) -> Result<String, Failure> {
    let Some(base) = &request.base_image else { return Ok(request.release.name()) };
    base.engine_name().ok_or_else(|| {
        let source = &base.source;
        usage(format!(
            "cannot start from `{source}`: a Dockerfile can only name an image of a registry; add the name of the same image with `--from`"
        ))
    })
}

/// Returns whether the chosen builder supports mounts. `None` if the user chose no builder.
fn mounts(settings: &Settings) -> Option<Mounts> {
    match settings.builder.unwrap_or(defaults::BUILDER) {
        Builder::Auto => None,
        Builder::Buildkit => Some(Mounts::Known),
        Builder::Classic => Some(Mounts::Unknown),
    }
}

pub(super) fn engine_request(settings: &Settings, request: &Request) -> Result<EngineRequest, Failure> {
    for copied in &request.copies {
        if settings.build.unwrap_or(false) && !copied.source.exists() {
            return Err(usage(format!("cannot copy `{}`: there is no such file or folder", copied.source.display())));
        }
    }
    let certificates = match &settings.ca {
        None => None,
        Some(file) => Some(fs::canonicalize(file).map_err(|error| Failure::of(&error))?),
    };
    Ok(EngineRequest {
        programs: settings.engine.map_or_else(|| EngineProgram::ALL.to_vec(), |program| vec![program]),
        platform: *request.platforms.first(),
        mounts: mounts(settings),
        certificates,
        uses_cache: !settings.no_cache.unwrap_or(false),
    })
}

/// Refuses a text that is not the name of an image, because it could add another instruction to the Dockerfile.
fn refuse_no_name(from: &str) -> Result<(), Failure> {
    if from.is_empty() || from.contains(|c: char| c.is_whitespace() || c.is_control() || "\"'$\\".contains(c)) {
        return Err(usage(format!("cannot start from `{from}`: it is not the name of an image")));
    }
    Ok(())
}

/// Returns the release that the name of a base image contains, such as bookworm in
/// `mirror.example/library/debian:bookworm-slim`. If `is_given` is set, the user has named the release with
/// `--release`, and the result is `None`.
fn release(from: &str, is_given: bool) -> Result<Option<String>, Failure> {
    let name = from.split('@').next().unwrap_or_default();
    let (path, tag) = match name.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, tag),
        _ => (name, ""),
    };
    let last = path.rsplit('/').next().unwrap_or_default();
    if let Some(known) = WITHOUT_APT.iter().find(|known| last.starts_with(**known)) {
        return Err(usage(format!(
            "cannot install with apt on `{from}`: {known} has no apt; use an image of Debian or Ubuntu, such as `debian:trixie`"
        ))
        .with_hints(vec![as_base(from)]));
    }
    if is_given {
        return Ok(None);
    }
    let words: Vec<&str> = tag.split('-').collect();
    // A tag may have more numbers than the release: the tag `12.11` means release `12`.
    let is_meant = |release: &Release| {
        release.names().any(|name| words.iter().any(|word| *word == name || word.starts_with(&format!("{name}."))))
    };
    let is_of_name = |release: &Release| last.contains(&release.distribution.to_string());
    let mut known: Vec<&Release> = releases::all().iter().filter(|release| is_meant(release)).collect();
    if known.iter().any(|release| is_of_name(release)) {
        known.retain(|release| is_of_name(release));
    }
    let release = known.first().map(|Release { distribution, suite, .. }| format!("{distribution}:{suite}"));
    if has_own_python(last, tag) {
        return Err(own_python_of_base(from, release.as_deref()));
    }
    match release {
        Some(release) => Ok(Some(release)),
        None => Err(usage(format!(
            "cannot find out the release of `{from}`: name it with `--release`, such as `--release debian:trixie`"
        ))
        .with_hints(vec![as_base(from)])),
    }
}

/// Whether the name of an image shows that the image has another Python than its release. An example is
/// `python:3.12-slim-bookworm`.
fn has_own_python(last: &str, tag: &str) -> bool {
    let is_python = |word: &str| WITH_PYTHON.iter().any(|known| word.starts_with(known));
    last.split(['-', '_', '.']).any(is_python) || tag.split('-').any(is_python)
}

/// Returns the error for an image that has another Python than its release. The other Python would run the program, but
/// lath chooses the wheels for the Python that apt installs.
fn own_python_of_base(from: &str, release: Option<&str>) -> Failure {
    let mut hints = vec![format!("`--from {}` has no other Python", release.unwrap_or("debian:trixie"))];
    let named = release.unwrap_or("RELEASE");
    hints.push(format!(
        "`--release {named}` adds the `python3` of the release to `{from}`, and the program runs with it"
    ));
    hints.insert(0, as_base(from));
    let message = format!(
        "cannot start from `{from}`: it has a Python of its own, but lath chooses wheels for the `python3` of the release"
    );
    usage(message).with_hints(hints)
}

/// Returns the hint to use `--base`, which reads the image itself and not only its name.
fn as_base(from: &str) -> String {
    format!("`--base {from}` reads the image, and uses the Python in it if there is one")
}

/// Refuses a Python that is not the release's own `python3`, because apt can install only the `python3` of the release.
fn own_python(request: &Request, from: Option<&str>) -> Result<(), Failure> {
    let suite = &request.release.suite;
    let Some(release) = releases::find(request.release.distribution, suite) else { return Ok(()) };
    let (own, wanted) = (release.python, request.python.version);
    if own == wanted || request.python.is_expected {
        return Ok(());
    }
    let base = from.map_or_else(|| format!("{}:{suite}", request.release.distribution), str::to_owned);
    let failure =
        Failure::usage(format!("cannot install python {wanted} on `{base}`: its `python3` has version {own}"));
    let other = releases::for_python().into_iter().find(|release| release.python == wanted);
    let hint = match other {
        Some(Release { distribution, suite, .. }) => format!("use `--from {distribution}:{suite}`, which has it"),
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
            "alpine:3.22",
            "mirror.example/fedora:43",
            "scratch",
            "team/base:7",
            "debian",
            "debian:trixie AS x",
            "debian:trixie\nRUN x",
        ];
        let errors =
            table.map(|from| refuse_no_name(from).and_then(|()| release(from, false)).unwrap_err().to_string());
        insta::assert_snapshot!(errors.join("\n"), @"
        error: cannot install with apt on `alpine:3.22`: alpine has no apt; use an image of Debian or Ubuntu, such as `debian:trixie`

        hint: `--base alpine:3.22` reads the image, and uses the Python in it if there is one
        error: cannot install with apt on `mirror.example/fedora:43`: fedora has no apt; use an image of Debian or Ubuntu, such as `debian:trixie`

        hint: `--base mirror.example/fedora:43` reads the image, and uses the Python in it if there is one
        error: cannot install with apt on `scratch`: scratch has no apt; use an image of Debian or Ubuntu, such as `debian:trixie`

        hint: `--base scratch` reads the image, and uses the Python in it if there is one
        error: cannot find out the release of `team/base:7`: name it with `--release`, such as `--release debian:trixie`

        hint: `--base team/base:7` reads the image, and uses the Python in it if there is one
        error: cannot find out the release of `debian`: name it with `--release`, such as `--release debian:trixie`

        hint: `--base debian` reads the image, and uses the Python in it if there is one
        error: cannot start from `debian:trixie AS x`: it is not the name of an image
        error: cannot start from `debian:trixie
               RUN x`: it is not the name of an image
        ");
    }
}
