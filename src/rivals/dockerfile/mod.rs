//! Lock and style -> Dockerfile. The result is only text. The same lock always results in the same text. This step does
//! no I/O.
//!
//! There is one file per style. All styles work with every builder: `printf` writes the requirements, because heredocs
//! need BuildKit, and mounts are used only if the builder supports them.

mod contents;
mod context;
mod fat;
mod indexes;
mod lean;
mod on_base;
mod pins;
mod recipe;
mod requests;
mod sources;
mod text;
mod uv;

use std::path::Path;

use thiserror::Error;

pub(crate) use self::contents::{scripts, user_base_names};
use self::on_base::OwnPython;
pub(crate) use self::on_base::{on_its_base, refuse_base};
pub(crate) use self::requests::{from_source, request_for_uv, request_without_wheels};
use self::text::{Text, exec_form, folded, listed, pair, shell_word};
use crate::model::hint::{BaseHint, Hint, Hints};
use crate::model::indexes::IndexStrategy;
use crate::model::platform::PythonVersion;
use crate::model::python_home::{Python, PythonHome};
use crate::model::request::{Bytecode, Copied, Distribution, Entrypoint, Healthcheck, OnBase, Owner, Request};
use crate::model::secret_text::SecretText;
use crate::rivals::model::dockerfile::{ContainerCheck, Dockerfile, DockerfileRequest, Ingredients, Mounts, Style};

/// Debian and Ubuntu mark this version of Python and later ones as externally managed (PEP 668).
const FIRST_EXTERNALLY_MANAGED: PythonVersion = PythonVersion { major: 3, minor: 11 };

/// The path of the release's Python. Commands use the whole path, because the base may have another Python that comes
/// first in `PATH`.
const PYTHON: &str = "/usr/bin/python3";

/// The path at which certificates are mounted as a secret.
const SECRET: &str = "/run/secrets/ca";

/// The path of the certificates if they are copied. They are copied only into a stage that does not become the final
/// image.
const COPIED: &str = "/ca.crt";

#[derive(Debug, Error)]
pub(crate) enum DockerfileError {
    #[error(
        "cannot write `{name}` into a Dockerfile: names must not contain blanks, and values must not contain line breaks"
    )]
    Unwritable { name: String },
    #[error(
        "cannot copy `{source_path}` in a Dockerfile: the path must be relative and inside the folder that is built"
    )]
    Copy { source_path: String },
    #[error(
        "cannot write `{name}` into a Dockerfile: its source `{place}` is outside the folder that is built, which is the current one"
    )]
    Outside { name: String, place: String },
    #[error(
        "cannot write `{name}` into a Dockerfile: the builder cannot read the repository `{url}` without a key; use a URL with https"
    )]
    Repository { name: String, url: String },
    #[error(
        "cannot write `{name}` into a Dockerfile: pip does not have `extra-build-dependencies`; add them to `requires` in its `[build-system]`"
    )]
    BuildRequirements { name: String },
    #[error(
        "cannot write `{file_name}` into a Dockerfile: the wheel is only on this machine, outside the current folder; copy it there, or name it by a URL"
    )]
    LocalWheel { file_name: String },
    #[error(
        "cannot write the entry point `{name}` into a Dockerfile: no distribution has it; run its module with `-m`"
    )]
    WrittenScript { name: String },
    #[error("cannot write a Dockerfile for an image without distributions: there is nothing that pip could install")]
    NoDistributions,
    #[error("cannot give `{source_path}` a mode in a Dockerfile of this builder: it needs BuildKit, Podman or Buildah")]
    Mode { source_path: String },
    #[error(
        "cannot write `{name}` into a Dockerfile on this base: its build needs Debian packages, and the base is no Debian or Ubuntu; build the image with `lath build --base`"
    )]
    BuildPackages { name: String },
    #[error(
        "cannot write a Dockerfile on `{base}`: it has no `/bin/sh`, so that no instruction of a Dockerfile can run in it"
    )]
    NoShell { base: String },
    #[error("cannot write a Dockerfile on `{base}`: it has neither pip nor `ensurepip`, so nothing in it can install")]
    NoPip { base: String },
    #[error("cannot write the index `{index}` into a Dockerfile: it is only on this machine; name one by a URL")]
    LocalIndex { index: SecretText },
    #[error(
        "cannot write a Dockerfile without hashes for several indexes: pip could install a distribution from the wrong one; use `--style uv`, or build the image with `lath build`"
    )]
    SeveralIndexes,
}

impl Hints for DockerfileError {
    fn own_hints(&self) -> Vec<Hint> {
        match self {
            Self::NoShell { .. } | Self::NoPip { .. } => vec![Hint::Base(BaseHint::BuildInstead)],
            _ => Vec::new(),
        }
    }
}

/// Refuses a request that no Dockerfile can meet. It is called before anything is resolved.
pub(crate) fn refuse_hopeless(request: &Request) -> Result<(), DockerfileError> {
    match request.runtime.written_scripts.first() {
        Some(script) => Err(DockerfileError::WrittenScript { name: script.name.clone() }),
        None => Ok(()),
    }
}

/// Writes the Dockerfile.
pub(crate) fn dockerfile(
    ingredients: &Ingredients,
    request: &Request,
    wanted: &DockerfileRequest,
) -> Result<Dockerfile, DockerfileError> {
    let page = Page { ingredients, request, wanted };
    if ingredients.lock.platforms.first().wheels.is_empty() && !page.is_unpinned() {
        return Err(DockerfileError::NoDistributions);
    }
    sources::refuse_hopeless(&page)?;
    // An index on this machine is refused only if the versions are not pinned. If they are pinned, the Dockerfile
    // copies the wheels of this index, so it does not need the index itself.
    if page.is_unpinned()
        && let Some(index) = indexes::each(&ingredients.indexes).find(|index| indexes::is_local(index))
    {
        return Err(DockerfileError::LocalIndex { index: index.clone() });
    }
    if page.is_unpinned() && page.mixes_indexes() {
        return Err(DockerfileError::SeveralIndexes);
    }
    let mut text = Text::default();
    page.head(&mut text);
    match (OwnPython::of(&page), wanted.style) {
        (Some(own), _) => on_base::write(&page, own, &mut text)?,
        (None, Style::Recipe) => recipe::write(&page, &mut text)?,
        (None, Style::Lean | Style::Uv) => lean::write(&page, &mut text)?,
        (None, Style::Fat) => fat::write(&page, &mut text)?,
    }
    Ok(Dockerfile { text: text.finish(), checks: page.checks(), context: context::context(&page)? })
}

/// The values that every style uses.
struct Page<'a> {
    ingredients: &'a Ingredients,
    request: &'a Request,
    wanted: &'a DockerfileRequest,
}

impl<'a> Page<'a> {
    /// Returns the base image of the first platform, if the request has a base image. Its Python is the same on all
    /// platforms.
    fn base(&self) -> Option<OnBase<'a>> {
        self.request.base_of(*self.request.platforms.first())
    }

    /// Returns the path of the Python that installs and runs the program.
    fn program(&self) -> String {
        match &self.request.python.home {
            // The path is `python3` without the version, because this is easier to read in a Dockerfile.
            PythonHome::Release => PYTHON.to_owned(),
            PythonHome::Image { program, .. } => program.clone(),
        }
    }

    /// Returns the options with which pip installs into the user base. In a virtual environment, pip refuses `--user`.
    fn target(&self) -> Vec<&'a str> {
        let is_environment = OwnPython::of(self).is_some_and(|own| own.interpreter.environment.is_some());
        match is_environment {
            true => vec!["--prefix", self.wanted.user_base.path().as_str()],
            false => vec!["--user"],
        }
    }

    /// Adds an instruction that changes to root if the base image has another user, because this user may not write to
    /// the folders of the base image.
    fn become_root(&self, text: &mut Text) {
        if self.base().is_some_and(|base| base.image.found.user.uid != Some(0)) {
            text.why("The base runs as another user, who may not install.");
            text.line("USER 0:0");
        }
    }

    fn python(&self) -> PythonVersion {
        self.ingredients.lock.python
    }

    /// Returns whether the Dockerfile has a hash for each distribution from a server. Every style has hashes if there
    /// are several indexes: pip searches all of them for each distribution, so without hashes, it could install a
    /// distribution of the same name from the wrong index (dependency confusion).
    fn has_hashes(&self) -> bool {
        let has_several = indexes::are_several(&self.ingredients.indexes) || contents::has_other_index(self);
        matches!(self.wanted.style, Style::Lean | Style::Uv) || has_several
    }

    /// Returns whether the installer searches all indexes for each distribution, although the user did not choose this
    /// strategy. pip has no other strategy, and uv cannot assign an index to a distribution on its command line.
    fn mixes_indexes(&self) -> bool {
        let is_first = |strategy| strategy == IndexStrategy::FirstIndex;
        let indexes = &self.ingredients.indexes;
        let is_safe = self.wanted.style == Style::Uv && is_first(indexes.strategy);
        !indexes.extra.is_empty() && is_first(self.request.python.indexes.strategy) && !is_safe
    }

    /// Returns whether the pins with their hashes are in a file of the first stage.
    fn has_pin_file(&self) -> bool {
        self.has_hashes() && !self.is_unpinned()
    }

    fn has_mounts(&self) -> bool {
        self.wanted.mounts == Mounts::Known
    }

    /// Returns whether the image's entry point is a shell, which gets the command as one line.
    fn is_shell(&self) -> bool {
        matches!(self.wanted.style, Style::Recipe | Style::Fat) || self.request.runtime.entrypoint == Entrypoint::Shell
    }

    /// The requirements as the user typed them, but without credentials.
    fn asked(&self) -> String {
        let asked: Vec<String> = self.request.python.requirements.iter().map(ToString::to_string).collect();
        asked.join(", ")
    }

    /// Writes the comments at the beginning: the contents of the image, and how it is built.
    fn head(&self, text: &mut Text) {
        let asked: Vec<String> = self
            .ingredients
            .lock
            .platforms
            .first()
            .wheels
            .iter()
            .filter(|wheel| wheel.is_requested)
            .map(|wheel| format!("{} {}", wheel.name, wheel.version))
            .chain(self.is_unpinned().then(|| self.asked()))
            .collect();
        let platforms: Vec<String> =
            self.ingredients.lock.platforms.iter().map(|half| half.platform.to_string()).collect();
        text.why(&format!("{}, with python {} on {}.", asked.join(", "), self.python(), platforms.join(" and ")));
        let name = shell_word(&self.request.output.name);
        let build = match (self.wanted.has_certificates, self.wanted.mounts) {
            (false, _) => format!("docker build -t {name} ."),
            (true, Mounts::Known) => format!("docker build --secret id=ca,src=ca.crt -t {name} ."),
            (true, Mounts::Unknown) => {
                format!("docker build -t {name} .   (with the certificates in the file ca.crt next to it)")
            }
        };
        text.why(&format!("Build it: {build}"));
        if self.wanted.mounts == Mounts::Known && self.needs_mounts() {
            text.why("Its mounts need BuildKit (Docker 23 has it), Podman or Buildah.");
        }
        for name in &self.ingredients.without_wheels {
            text.why(&format!(
                "No wheel of {name} fits: the first stage installs compilers and builds it from source."
            ));
        }
        if self.is_unpinned() {
            text.why(
                "So versions are not pinned, because the dependencies of a source are known only after its build.",
            );
            text.why("If its libraries need Debian packages at run time, add them with --with PACKAGE.");
        }
        text.gap();
    }

    /// Returns whether pip chooses the versions. Otherwise, the Dockerfile contains the versions of the lock.
    fn is_unpinned(&self) -> bool {
        !self.ingredients.without_wheels.is_empty()
    }

    /// Returns whether pip or uv fetches distributions from a server.
    fn has_fetched(&self) -> bool {
        self.is_unpinned() || !contents::pins(self, false).is_empty()
    }

    fn needs_mounts(&self) -> bool {
        self.wanted.has_certificates || matches!(self.wanted.style, Style::Lean | Style::Uv)
    }

    /// Copies the certificates into the first stage if they cannot be mounted as a secret.
    fn copy_certificates(&self, text: &mut Text) {
        if self.wanted.has_certificates && !self.has_mounts() {
            text.why("Certificates for pip and apt. They are only in this stage, which is not in the final image.");
            text.line(format!("COPY ca.crt {COPIED}"));
        }
    }

    /// Returns the path of the certificates in a stage that installs distributions or packages.
    fn certificates(&self) -> Option<&'static str> {
        self.wanted.has_certificates.then_some(if self.has_mounts() { SECRET } else { COPIED })
    }

    /// Returns the mounts of a `RUN` that accesses the network.
    fn secret_mounts(&self) -> Vec<String> {
        match self.certificates() {
            // All users may read the secret (mode 0444), because apt does not download as root.
            Some(SECRET) => vec![format!("type=secret,id=ca,target={SECRET},mode=0444")],
            _ => Vec::new(),
        }
    }

    /// Returns `apt-get update` and `apt-get install` commands. `options` are passed to `apt-get install`.
    fn apt(&self, options: &str, packages: &[String], certificates: Option<&str>) -> Vec<String> {
        let trusted = certificates.map(|path| format!(" -o Acquire::https::CAInfo={path}")).unwrap_or_default();
        let install = format!("DEBIAN_FRONTEND=noninteractive apt-get{trusted} install -y{options}");
        vec![format!("apt-get{trusted} update"), folded(&install, packages)]
    }

    fn is_externally_managed(&self) -> bool {
        if let Some(own) = OwnPython::of(self) {
            return own.interpreter.externally_managed.is_some();
        }
        self.python() >= FIRST_EXTERNALLY_MANAGED
    }

    /// Returns `PIP_CERT=... /usr/bin/python3 -m pip install` and its options, without the distributions to install.
    fn pip_install(&self, options: &[&str]) -> String {
        let trusted = self.certificates().map(|path| format!("PIP_CERT={path} ")).unwrap_or_default();
        let mut words: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        if self.is_externally_managed() {
            words.push("--break-system-packages".to_owned());
        }
        let install = folded(&format!("{trusted}{} -m pip install", self.program()), &words);
        listed(&install, &indexes::for_pip(&self.ingredients.indexes))
    }

    /// Writes labels, the user's variables, files, the working directory, ports, volumes and signals.
    fn settings(&self, text: &mut Text) -> Result<(), DockerfileError> {
        let runtime = &self.request.runtime;
        let mut labels = runtime.annotations.clone();
        labels.extend(runtime.labels.clone());
        for (name, value) in &labels {
            text.line(format!("LABEL {}", pair(name, value)?));
        }
        for (name, value) in &runtime.env {
            text.line(format!("ENV {}", pair(name, value)?));
        }
        for copied in &self.request.copies {
            let options = self.copy_options(copied)?;
            let words = [self.in_context(&copied.source)?, copied.target.to_string()];
            text.line(format!("COPY {options}{}", exec_form(&words)));
        }
        self.application(text)?;
        if let Some(workdir) = &runtime.workdir {
            text.line(format!("WORKDIR {workdir}"));
        }
        for port in &runtime.expose {
            text.line(format!("EXPOSE {port}"));
        }
        if !runtime.volumes.is_empty() {
            let paths: Vec<String> = runtime.volumes.iter().map(ToString::to_string).collect();
            if !matches!(self.wanted.style, Style::Recipe | Style::Fat) || self.wanted.has_user {
                text.why("A new volume has the owner of the folder under it, so that the program can write there.");
                let (user, group) = lean::ids(self);
                let words: Vec<String> = paths.iter().map(|path| shell_word(path)).collect();
                text.run(&[], &[folded(&format!("install -d -o {user} -g {group}"), &words)]);
            }
            text.line(format!("VOLUME {}", exec_form(&paths)));
        }
        if let Some(signal) = &runtime.stop_signal {
            text.line(format!("STOPSIGNAL {signal}"));
        }
        text.lines(runtime.healthcheck.as_ref().map(|check| healthcheck(check, self.request.python.python())));
        Ok(())
    }

    /// Returns the options of a `COPY`, each with a blank after it.
    fn copy_options(&self, copied: &Copied) -> Result<String, DockerfileError> {
        let mut options = String::new();
        if copied.owner != Owner::default() {
            options += &format!("--chown={}:{} ", copied.owner.user, copied.owner.group);
        }
        match copied.mode {
            Some(_) if !self.has_mounts() => {
                return Err(DockerfileError::Mode { source_path: copied.source.display().to_string() });
            }
            Some(mode) => options += &format!("--chmod={mode:o} "),
            None => {}
        }
        Ok(options)
    }

    /// Returns a path for `COPY`, relative to the build context. Refuses a path outside of the build context.
    fn in_context(&self, path: &Path) -> Result<String, DockerfileError> {
        let inside = path.strip_prefix(&self.wanted.context).unwrap_or(path);
        let is_inside =
            inside.is_relative() && !inside.components().any(|part| matches!(part, std::path::Component::ParentDir));
        if !is_inside {
            return Err(DockerfileError::Copy { source_path: path.to_string_lossy().into_owned() });
        }
        Ok(if inside == Path::new("") { ".".to_owned() } else { inside.to_string_lossy().into_owned() })
    }

    /// Copies the files of the application.
    fn application(&self, text: &mut Text) -> Result<(), DockerfileError> {
        let Some(app) = &self.request.app else { return Ok(()) };
        let source = app.script.as_ref().map_or_else(|| app.folder.clone(), |script| app.folder.join(script));
        let target = format!("{}/", app.target.as_str().trim_end_matches('/'));
        if app.script.is_none() {
            text.why(
                "The application. Keep `.git`, `.env`, virtual environments and caches out of it by a .dockerignore.",
            );
        }
        text.line(format!("COPY {}", exec_form(&[self.in_context(&source)?, target])));
        // If the program runs with the Python of a base image, `on_base` writes this variable, together with all
        // others.
        if !self.request.runtime.env.contains_key("PYTHONPATH") && self.request.python.home.is_of_release() {
            text.line(format!("ENV {}", pair("PYTHONPATH", app.target.as_str())?));
        }
        Ok(())
    }

    /// Returns the default command as a line for a shell.
    fn cmd_of_shell(&self) -> Vec<String> {
        let Ingredients { entrypoint, cmd, .. } = self.ingredients;
        let runtime = &self.request.runtime;
        let is_of_script = runtime.command.is_empty() && runtime.module.is_none() && self.request.app.is_none();
        // A user who chose a shell as the entry point wrote `--cmd` as a line for this shell. Otherwise, `--cmd` has
        // the arguments of the program, or if the image has no program, the words of a command.
        let has_arguments = runtime.cmd.len() > 1 || !runtime.cmd.is_empty() && !entrypoint.is_empty();
        if is_of_script && (!has_arguments || runtime.entrypoint == Entrypoint::Shell) {
            return runtime.cmd.clone();
        }
        let words = entrypoint.iter().chain(cmd);
        vec![words.map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")]
    }

    fn distribution(&self) -> Distribution {
        self.request.release.distribution
    }

    fn has_bytecode(&self) -> bool {
        self.request.bytecode != Bytecode::None
    }

    /// Returns the checks of the finished image: the check of the program, and the user's checks. The check of the
    /// program runs the program with `--version`, and if this fails, with `--help`.
    fn checks(&self) -> Vec<ContainerCheck> {
        if !self.request.proof.verify {
            return Vec::new();
        }
        let runtime = &self.request.runtime;
        if runtime.command.is_empty() && runtime.module.is_none() && self.request.app.is_none() {
            return [self.version_check(), self.own_checks()].concat();
        }
        // If the user gave a command, `--version` is not added to its words, because some programs ignore `--version`
        // and start a server.
        self.own_checks()
    }

    fn version_check(&self) -> Vec<ContainerCheck> {
        let started = self.ingredients.entrypoint.first().or(self.ingredients.cmd.first());
        let program = started.and_then(|path| path.rsplit('/').next()).unwrap_or("python3").to_owned();
        let asked = ["--version", "--help"].map(|option| match (self.is_shell(), &self.ingredients.entrypoint[..]) {
            (true, _) => vec![format!("{program} {option}")],
            (false, []) => vec![program.to_owned(), option.to_owned()],
            (false, _) => vec![option.to_owned()],
        });
        vec![ContainerCheck { name: format!("{program} --version"), entrypoint: None, attempts: asked.to_vec() }]
    }

    fn own_checks(&self) -> Vec<ContainerCheck> {
        let check = |command: &String| ContainerCheck {
            name: command.clone(),
            entrypoint: Some("/bin/sh".to_owned()),
            attempts: vec![vec!["-c".to_owned(), command.clone()]],
        };
        self.request.proof.checks.iter().map(check).collect()
    }
}

/// If the first word of a command is `python`, replaces this word by the name of the interpreter. lath's images have a
/// program `python`, but the Python packages of the release do not contain one.
pub(crate) fn with_interpreter(mut command: Vec<String>, python: Python<'_>) -> Vec<String> {
    if let Some(program) = command.first_mut().filter(|program| *program == "python") {
        *program = python.program();
    }
    command
}

fn healthcheck(check: &Healthcheck, python: Python<'_>) -> String {
    let times =
        [("interval", check.interval_secs), ("timeout", check.timeout_secs), ("start-period", check.start_period_secs)];
    let mut words = vec!["HEALTHCHECK".to_owned()];
    words.extend(times.iter().filter_map(|(name, secs)| Some(format!("--{name}={}s", (*secs)?))));
    words.extend(check.retries.map(|retries| format!("--retries={retries}")));
    words.push(format!("CMD {}", exec_form(&with_interpreter(check.command.clone(), python))));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::lock::{LockedWheel, WheelSource};

    use crate::rivals::model::dockerfile::Lock;

    #[test]
    fn a_wheel_from_an_index_on_this_machine_is_refused_by_name() {
        let request = Request::example();
        let wheel = LockedWheel {
            name: "tool".to_owned(),
            version: "1.0".to_owned(),
            file_name: "tool-1.0-py3-none-any.whl".to_owned(),
            url: "file:///wheels/tool-1.0-py3-none-any.whl".to_owned(),
            digest: Digest::of(b"tool"),
            size_bytes: None,
            is_requested: true,
            required_by: Vec::new(),
            source: WheelSource::Index,
            built: None,
        };
        let lock = Lock::example(vec![wheel], &request);
        let wanted = DockerfileRequest::example(Style::Lean, &request);
        let ingredients = from_source(lock, Vec::new(), &request, &wanted);
        let error = dockerfile(&ingredients, &request, &wanted).unwrap_err();
        assert!(error.to_string().starts_with("cannot write `tool-1.0-py3-none-any.whl` into"), "{error}");
    }
}
