//! The lean style: like the recipe, but with hashes, and without recommended packages and leftover files. The program
//! does not run as root.

use super::contents::{lean_packages, modules};
use super::pins::{installed, write_pins};
use super::text::{Text, exec_form, folded, pair, shell_word};
use super::{DockerfileError, Page, sources, uv};
use crate::catalog::packages;
use crate::model::request::Bytecode;
use crate::rivals::model::dockerfile::Style;

/// Files that an installation writes in addition to the files of the packages. No image needs them.
const LEFT_OVER: [&str; 5] = [
    "/var/log/apt",
    "/var/log/dpkg.log",
    "/var/log/alternatives.log",
    "/var/cache/debconf/*-old",
    "/var/cache/ldconfig/aux-cache",
];

pub(super) fn write(page: &Page<'_>, text: &mut Text) -> Result<(), DockerfileError> {
    let from = &page.wanted.from;
    text.why("Stage one installs. Only the user base is copied from it.");
    text.line(format!("FROM {from} AS build"));
    page.become_root(text);
    text.line(format!("ENV PYTHONUSERBASE={}", page.wanted.user_base));
    page.copy_certificates(text);
    let mut packages = vec!["python3-pip".to_owned()];
    if page.is_unpinned() {
        text.why("pip, and compilers for distributions without a wheel.");
        packages.extend(packages::compilers().iter().cloned());
    } else if !sources::packages(page).is_empty() {
        text.why("pip, and the packages that the builds of distributions without a wheel need.");
    } else {
        text.why("pip, without the packages that apt recommends, because nothing has to be compiled.");
    }
    packages.extend(sources::packages(page));
    text.run(&apt_mounts(page, "build"), &page.apt(" --no-install-recommends", &packages, page.certificates()));
    match page.wanted.style {
        Style::Uv => uv::install(page, text),
        _ => install(page, text),
    }
    if sources::has_own(page.ingredients) {
        sources::build(page, text)?;
        sources::install(page, text);
    }
    text.gap();
    text.why("Stage two starts from a clean base.");
    text.line(format!("FROM {from}"));
    page.become_root(text);
    if !from.contains('@') {
        text.why("The base is named by a tag. To pin it, use `--from NAME@sha256:...`.");
    }
    system(page, text);
    account(page, text);
    text.why("The program and its dependencies from stage one.");
    text.line(format!("COPY --from=build {0} {0}", page.wanted.user_base));
    run_time(page, text)
}

/// Installs the distributions with pip into the user base.
pub(super) fn install(page: &Page<'_>, text: &mut Text) {
    if !page.has_fetched() {
        return;
    }
    let mut options = [&page.target()[..], &["--ignore-installed"]].concat();
    if !page.is_unpinned() {
        write_pins(page, text);
        options.extend(["--no-deps", "--require-hashes", "--only-binary :all:"]);
    }
    text.why(if page.base().is_some() {
        "Install into the user base."
    } else {
        "Install into the user base, and ignore versions that Debian packages already installed."
    });
    if page.is_externally_managed() {
        text.why(
            "The distribution marks its Python as externally managed (PEP 668). Overriding that is safe in a build stage.",
        );
    }
    if !page.has_bytecode() {
        options.push("--no-compile");
    }
    let mut mounts = page.secret_mounts();
    if page.has_mounts() {
        mounts.push("type=cache,target=/root/.cache/pip".to_owned());
    } else {
        options.push("--no-cache-dir");
    }
    text.run(&mounts, &[format!("{} {}", page.pip_install(&options), installed(page))]);
}

/// Installs the interpreter and the libraries, and removes everything that apt leaves behind.
fn system(page: &Page<'_>, text: &mut Text) {
    let packages = [vec!["python3-minimal".to_owned()], lean_packages(page.ingredients)].concat();
    text.why("The interpreter with its standard library, certificates, time zones, and packages that wheels need.");
    install_packages(page, &packages, text);
}

/// Installs packages in the stage that becomes the final image.
pub(super) fn install_packages(page: &Page<'_>, packages: &[String], text: &mut Text) {
    if page.wanted.has_certificates && !page.has_mounts() {
        text.why(
            "This stage has no certificates of its own for apt: its sources must use http or a well-known authority.",
        );
    }
    let certificates = page.certificates().filter(|_| page.has_mounts());
    let mut commands = page.apt(" --no-install-recommends", packages, certificates);
    let mut left_over: Vec<String> = LEFT_OVER.iter().map(|path| (*path).to_owned()).collect();
    if !page.has_mounts() {
        commands.push("apt-get clean".to_owned());
        left_over.insert(0, "/var/lib/apt/lists/*".to_owned());
    }
    commands.push(folded("rm -rf", &left_over));
    text.run(&apt_mounts(page, "ship"), &commands);
}

/// Returns cache mounts for apt's lists and archives, so that no layer contains them. Each stage has its own mounts,
/// because BuildKit builds stages in parallel. There is a second reason: if a `RUN` has several locked mounts, Buildah
/// 1.28 releases only the last lock (Buildah's issue 4342). If two stages had the same mounts, the second stage would
/// wait forever.
fn apt_mounts(page: &Page<'_>, stage: &str) -> Vec<String> {
    let mut mounts = page.secret_mounts();
    if page.has_mounts() {
        let release = format!("{}-{}", page.distribution(), page.request.release.suite);
        for (name, target) in [("lists", "/var/lib/apt/lists"), ("archives", "/var/cache/apt")] {
            mounts.push(format!("type=cache,id={release}-{stage}-apt-{name},target={target},sharing=locked"));
        }
    }
    mounts
}

/// Adds a user for the program. Nothing is added if the program runs as root or as a user of the base image.
pub(super) fn account(page: &Page<'_>, text: &mut Text) {
    let (user, group) = ids(page);
    let is_of_base = page.base().is_some_and(|base| base.keeps_user());
    if user == "0" || is_of_base {
        return;
    }
    text.why("The program does not run as root. Its user has a name and a home directory.");
    let add_group = format!("groupadd --non-unique --gid {group} app");
    let add_user = format!(
        "useradd --non-unique --no-log-init --uid {user} --gid {group} --create-home --shell /usr/sbin/nologin app"
    );
    text.run(&[], &[add_group, add_user]);
}

/// Returns the IDs of the user and the group.
pub(super) fn ids<'a>(page: &'a Page<'_>) -> (&'a str, &'a str) {
    let user = page.request.runtime.user.as_str();
    user.split_once(':').unwrap_or((user, user))
}

fn run_time(page: &Page<'_>, text: &mut Text) -> Result<(), DockerfileError> {
    let user_base = &page.wanted.user_base;
    text.why("Python and the shell find the user base by these variables.");
    text.line(format!("ENV PYTHONUSERBASE={user_base} PATH={user_base}/bin:${{PATH}} LANG=C.UTF-8"));
    let modules = modules(page.ingredients);
    match page.request.bytecode {
        Bytecode::All => {
            text.why("Compile the whole standard library. Files that are not Python 3 are skipped.");
            text.run(
                &[],
                &[format!("{} -m compileall -q {} || true", page.program(), page.request.python.python().stdlib())],
            );
        }
        Bytecode::Start if !modules.is_empty() => {
            text.why("Compile the modules that start-up imports, because the program itself cannot write there.");
            text.why("A script of an optional extra may fail.");
            let import =
                |module: &String| format!("{} -c {} || true", page.program(), shell_word(&format!("import {module}")));
            text.run(&[], &modules.iter().map(import).collect::<Vec<_>>());
        }
        Bytecode::Start | Bytecode::None => {}
    }
    labels(page, text)?;
    page.settings(text)?;
    let (user, group) = ids(page);
    text.line(format!("USER {user}:{group}"));
    if page.is_shell() {
        text.why("The command is one line for a shell: `docker run IMAGE 'NAME --version'`.");
        text.line(format!("ENTRYPOINT {}", exec_form(&["/bin/sh".to_owned(), "-c".to_owned()])));
    } else if !page.ingredients.entrypoint.is_empty() {
        text.why("The program runs without a shell, so it gets arguments and signals directly.");
        text.line(format!("ENTRYPOINT {}", exec_form(&page.ingredients.entrypoint)));
    }
    let cmd = if page.is_shell() { page.cmd_of_shell() } else { page.ingredients.cmd.clone() };
    if !cmd.is_empty() {
        text.line(format!("CMD {}", exec_form(&cmd)));
    }
    Ok(())
}

/// Writes labels with keys that image-spec defines (annotations.md): the base image from `FROM`, and the name and
/// version of the requested distribution from the lock.
pub(super) fn labels(page: &Page<'_>, text: &mut Text) -> Result<(), DockerfileError> {
    let (name, digest) = page.wanted.from.split_once('@').unwrap_or((&page.wanted.from, ""));
    let mut known = vec![("base.name", name.to_owned())];
    if !digest.is_empty() {
        known.push(("base.digest", digest.to_owned()));
    }
    let wheels = page.ingredients.lock.platforms.iter().flat_map(|half| &half.wheels);
    if let Some(program) = wheels.clone().find(|wheel| wheel.is_requested && page.request.app.is_none()) {
        known.push(("title", program.name.clone()));
        known.push(("version", program.version.clone()));
    }
    text.why("Labels for registries and scanners.");
    for (key, value) in known {
        text.line(format!("LABEL {}", pair(&format!("org.opencontainers.image.{key}"), &value)?));
    }
    Ok(())
}
