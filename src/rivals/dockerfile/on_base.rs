//! A Dockerfile that starts from a base image with its own Python. Like lath's image on the same base, it adds only the
//! distributions and packages that the base image lacks.

use super::contents::lean_packages;
use super::pins::write_pins;
use super::text::{Text, exec_form, folded, pair, shell_word};
use super::{DockerfileError, Page, lean, recipe, sources, uv};
use crate::model::base_image::Interpreter;
use crate::model::image_path::ImagePath;
use crate::model::image_source::ImageSource;
use crate::model::request::{OnBase, Request};
use crate::rivals::model::dockerfile::{DockerfileRequest, Style};

/// The way in which the first stage gets pip.
enum Pip {
    /// The base image contains pip.
    There,
    /// `ensurepip` installs pip.
    StandardLibrary,
    /// apt installs pip from a package of the release.
    Package,
}

/// A base image and its Python.
#[derive(Clone, Copy)]
pub(super) struct OwnPython<'a> {
    pub(super) base: OnBase<'a>,
    pub(super) interpreter: &'a Interpreter,
}

impl<'a> OwnPython<'a> {
    /// Returns the Python of the base image. `None` if the program does not run with this Python.
    pub(super) fn of(page: &Page<'a>) -> Option<Self> {
        let base = page.base()?;
        let program = (!page.request.python.home.is_of_release()).then(|| page.program())?;
        let interpreter = base.image.found.interpreters.iter().find(|one| one.start().as_str() == program)?;
        Some(Self { base, interpreter })
    }

    fn pip(self) -> Result<Pip, DockerfileError> {
        let interpreter = self.interpreter;
        let is_there = interpreter.distributions.iter().any(|distribution| distribution.name == "pip");
        match interpreter.has_ensurepip {
            _ if is_there => Ok(Pip::There),
            true => Ok(Pip::StandardLibrary),
            false if interpreter.program.is_within("/usr/bin") && self.base.release().is_some() => Ok(Pip::Package),
            false => Err(DockerfileError::NoPip { base: self.base.request.source.to_string() }),
        }
    }
}

/// Refuses a base image without a shell, because `RUN` instructions need a shell. This is called before anything is
/// resolved.
pub(crate) fn refuse_base(request: &Request) -> Result<(), DockerfileError> {
    let Some(base) = request.base_of(*request.platforms.first()) else { return Ok(()) };
    let shell = ImagePath::parse("/bin/sh").ok().and_then(|path| base.image.tree.canonical(&path));
    match shell {
        Some(_) => Ok(()),
        None => Err(DockerfileError::NoShell { base: base.request.source.to_string() }),
    }
}

/// If `FROM` is the base image that lath has read from a registry, adds the digest of this image to `FROM`.
pub(crate) fn on_its_base(wanted: &DockerfileRequest, request: &Request) -> DockerfileRequest {
    let base = request.base_image.as_ref();
    let named = base.filter(|base| base.engine_name().as_deref() == Some(wanted.from.as_str()));
    let of_registry = named.filter(|base| matches!(base.source, ImageSource::Registry(_)));
    let only = || request.base_of(*request.platforms.first()).map(|base| base.image.digest);
    let is_one = request.platforms.len() == 1;
    let digest = of_registry.and_then(|base| base.root.or_else(|| only().filter(|_| is_one)));
    let digest = digest.filter(|_| !wanted.from.contains('@'));
    let from = digest.map_or_else(|| wanted.from.clone(), |digest| format!("{}@{}", wanted.from, digest.0.prefixed()));
    DockerfileRequest { from, ..wanted.clone() }
}

pub(super) fn write(page: &Page<'_>, own: OwnPython<'_>, text: &mut Text) -> Result<(), DockerfileError> {
    let from = &page.wanted.from;
    // If the certificates are copied, and not mounted as a secret, a second stage is necessary, because they must not
    // be in the final image.
    let is_copied = page.wanted.has_certificates && !page.has_mounts();
    let is_one_stage = page.wanted.style == Style::Fat && !is_copied;
    text.why(if is_one_stage {
        "One stage: the tools that install are in the image as well."
    } else {
        "Stage one installs. Only the user base is copied from it."
    });
    text.line(format!("FROM {from}{}", if is_one_stage { "" } else { " AS build" }));
    page.become_root(text);
    text.line(format!("ENV PYTHONUSERBASE={}", page.wanted.user_base));
    page.copy_certificates(text);
    install(page, own, text)?;
    if !is_one_stage {
        text.gap();
        text.why("Stage two starts from the base again, without the tools that install.");
        text.line(format!("FROM {from}"));
        page.become_root(text);
    }
    let packages = lean_packages(page.ingredients);
    if !packages.is_empty() {
        text.why("Packages that were requested, or that the libraries of wheels need.");
        lean::install_packages(page, &packages, text);
    }
    if !is_one_stage {
        text.why("The program and its dependencies from stage one.");
        text.line(format!("COPY --from=build {0} {0}", page.wanted.user_base));
    }
    find_user_base(page, text);
    run_time(page, own.base, text)
}

/// Installs into the user base the distributions that the base image does not have.
fn install(page: &Page<'_>, own: OwnPython<'_>, text: &mut Text) -> Result<(), DockerfileError> {
    match own.pip()? {
        Pip::There => {}
        Pip::StandardLibrary => {
            text.why("pip, from the standard library of this Python.");
            text.run(&[], &[format!("{} -m ensurepip", page.program())]);
        }
        Pip::Package => {
            text.why("pip, from the release of the base.");
            let packages = ["python3-pip".to_owned()];
            let apt = page.apt(" --no-install-recommends", &packages, page.certificates());
            text.run(&page.secret_mounts(), &apt);
        }
    }
    let for_builds: Vec<String> = sources::packages(page).into_iter().collect();
    if !for_builds.is_empty() {
        text.why("The packages that the builds of distributions without a wheel need.");
        let apt = page.apt(" --no-install-recommends", &for_builds, page.certificates());
        text.run(&page.secret_mounts(), &apt);
    }
    match page.wanted.style {
        Style::Uv => uv::install(page, text),
        Style::Lean => lean::install(page, text),
        Style::Recipe | Style::Fat if !page.has_fetched() => {}
        Style::Recipe | Style::Fat => {
            if page.has_pin_file() {
                write_pins(page, text);
            }
            text.why("Every distribution that the base lacks, at the version that lath resolved.");
            let options = [&page.target()[..], &["--no-cache-dir", "--ignore-installed"]].concat();
            recipe::install_pins(page, &options, text);
        }
    }
    if sources::has_own(page.ingredients) {
        sources::build(page, text)?;
        sources::install(page, text);
    }
    Ok(())
}

/// Writes the path file (`.pth`) that adds the user base to Python's search path. lath's images contain the same file.
fn find_user_base(page: &Page<'_>, text: &mut Text) {
    let python = page.request.python.python();
    let Some(folder) = python.sites().into_iter().next().map(|folder| shell_word(&folder)) else { return };
    text.why("Python finds the user base by this file, also in a virtual environment and without any variables.");
    let line = shell_word(&page.request.user_base.path_line(python));
    let make = format!("mkdir -p {folder}");
    text.run(&[], &[make, format!("printf '%s\\n' {line} \\\n      > {folder}/lath.pth")]);
}

fn run_time(page: &Page<'_>, base: OnBase<'_>, text: &mut Text) -> Result<(), DockerfileError> {
    if base.home().is_none() {
        text.why("The home directory. Any user that runs the image may write to it.");
        let commands = ["mkdir -p /home/app", "chown 65532:65532 /home/app", "chmod 1777 /home/app"];
        text.run(&[], &commands.map(str::to_owned));
    }
    lean::labels(page, text)?;
    environment(page, base, text)?;
    page.settings(text)?;
    text.line(format!("USER {}", page.request.runtime.user));
    start(page, base, text);
    Ok(())
}

/// Writes the variables that the base image does not have, or has with other values.
fn environment(page: &Page<'_>, base: OnBase<'_>, text: &mut Text) -> Result<(), DockerfileError> {
    let typed = &page.request.runtime.env;
    let pairs = page.ingredients.env.iter().filter_map(|variable| variable.split_once('='));
    let own: Result<Vec<String>, DockerfileError> = pairs
        .filter(|(name, value)| !typed.contains_key(*name) && base.image.found.variable(name) != Some(value))
        .map(|(name, value)| pair(name, value))
        .collect();
    text.why("Programs of the user base can be called by name.");
    text.line(folded("ENV", &own?));
    Ok(())
}

/// Writes the command, which replaces the command of the base.
fn start(page: &Page<'_>, base: OnBase<'_>, text: &mut Text) {
    let found = &base.image.found;
    let shell = || vec![found.shell.as_ref().map_or("/bin/sh", ImagePath::as_str).to_owned(), "-c".to_owned()];
    let (entrypoint, cmd) = match page.is_shell() {
        true => (shell(), page.cmd_of_shell()),
        false => (page.ingredients.entrypoint.clone(), page.ingredients.cmd.clone()),
    };
    let has_entrypoint = !entrypoint.is_empty() || !found.entrypoint.is_empty();
    if has_entrypoint {
        text.line(format!("ENTRYPOINT {}", exec_form(&entrypoint)));
    }
    // An `ENTRYPOINT` also removes the command of the base. Without an `ENTRYPOINT`, an empty `CMD` is written to
    // remove it.
    if !cmd.is_empty() || !has_entrypoint && !found.cmd.is_empty() {
        text.line(format!("CMD {}", exec_form(&cmd)));
    }
}
