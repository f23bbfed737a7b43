//! The recipe style: two stages, so that the final image does not contain the tools for the installation.

use super::contents::{extra_packages, pins, requirements};
use super::pins::{installed, write_pins};
use super::text::{Text, exec_form, folded, listed};
use super::{DockerfileError, Page, lean, sources};
use crate::catalog::packages;

pub(super) fn write(page: &Page<'_>, text: &mut Text) -> Result<(), DockerfileError> {
    let from = &page.wanted.from;
    let user_base = &page.wanted.user_base;
    text.why("Stage one installs. Only the folders that stage two copies are in the final image.");
    text.line(format!("FROM {from} AS build"));
    page.become_root(text);
    text.why("The folder in which `pip install --user` puts executables (bin) and libraries (lib).");
    text.line(format!("ENV PYTHONUSERBASE={user_base}"));
    page.copy_certificates(text);
    install(page, text)?;
    text.gap();
    text.why("Stage two starts from a clean base, without pip and compilers.");
    text.line(format!("FROM {from}"));
    page.become_root(text);
    text.line(format!("ENV PYTHONUSERBASE={user_base}"));
    text.why("The program and its dependencies from stage one.");
    for folder in copied_folders(page) {
        text.line(format!("COPY --from=build ${{PYTHONUSERBASE}}{folder} ${{PYTHONUSERBASE}}{folder}"));
    }
    let mut packages = vec!["python3-minimal".to_owned()];
    let extra = extra_packages(page.ingredients, page.request);
    text.why(
        "The interpreter. The standard library, which most programs need, is among the packages that apt recommends.",
    );
    if !extra.is_empty() {
        text.why(&format!("Requested, or needed by libraries of wheels: {}.", extra.join(", ")));
    }
    packages.extend(extra);
    if page.wanted.has_certificates && !page.has_mounts() {
        text.why(
            "This stage has no certificates of its own for apt: its sources must use http or a well-known authority.",
        );
    }
    let certificates = page.certificates().filter(|_| page.has_mounts());
    text.run(&page.secret_mounts(), &page.apt("", &packages, certificates));
    finish(page, text)
}

/// Returns the folders of the user base that the second stage copies.
fn copied_folders(page: &Page<'_>) -> &'static [&'static str] {
    let names: Vec<&str> = page.ingredients.user_base_names.iter().map(String::as_str).collect();
    match names.as_slice() {
        ["lib"] => &["/lib/"],
        ["bin", "lib"] => &["/bin/", "/lib/"],
        // The whole user base is copied, because the wheels add other folders or files, such as `share`, or because
        // lath does not know the names before the build.
        _ => &["/"],
    }
}

/// Installs Python and pip with apt, and then the program into the user base.
pub(super) fn install(page: &Page<'_>, text: &mut Text) -> Result<(), DockerfileError> {
    let mut packages = vec!["python3".to_owned(), "python3-pip".to_owned()];
    text.why(
        "Python and pip of the release, and the packages they recommend: compilers, in case something must be built.",
    );
    if page.is_unpinned() {
        packages.extend(packages::compilers().iter().cloned());
    }
    packages.extend(sources::packages(page));
    text.run(&page.secret_mounts(), &page.apt("", &packages, page.certificates()));
    if page.has_fetched() {
        fetch(page, text);
    }
    if sources::has_own(page.ingredients) {
        sources::build(page, text)?;
        sources::install(page, text);
    }
    Ok(())
}

/// Installs the distributions that pip fetches from servers.
fn fetch(page: &Page<'_>, text: &mut Text) {
    if page.has_pin_file() {
        write_pins(page, text);
    }
    if page.is_unpinned() {
        text.why("The requested distributions, ignoring versions that Debian packages already installed.");
    } else {
        text.why(
            "Every distribution at the version that lath resolved, ignoring versions that Debian packages installed.",
        );
    }
    if page.is_externally_managed() {
        text.why(
            "The distribution marks its Python as externally managed (PEP 668). Overriding that is safe in a build stage.",
        );
    }
    let options = ["--user", "--no-cache-dir", "--ignore-installed"];
    if page.is_unpinned() {
        text.run(&page.secret_mounts(), &[listed(&page.pip_install(&options), &requirements(page.request))]);
    } else {
        install_pins(page, &options, text);
    }
}

/// Writes the command with which pip installs the pinned distributions.
pub(super) fn install_pins(page: &Page<'_>, options: &[&str], text: &mut Text) {
    let mut options = [options, &["--no-deps"]].concat();
    let install = if page.has_pin_file() {
        options.push("--require-hashes");
        format!("{} {}", page.pip_install(&options), installed(page))
    } else {
        listed(&page.pip_install(&options), &pins(page, false))
    };
    text.run(&page.secret_mounts(), &[install]);
}

/// Writes the instructions that define how the image runs.
pub(super) fn finish(page: &Page<'_>, text: &mut Text) -> Result<(), DockerfileError> {
    if page.wanted.has_user {
        lean::account(page, text);
    }
    page.settings(text)?;
    text.why("Commands of the user base can be called by name.");
    text.line("ENV PATH=${PYTHONUSERBASE}/bin:${PATH}");
    if page.wanted.has_user {
        let (user, group) = lean::ids(page);
        text.line(format!("USER {user}:{group}"));
    }
    text.why("The command is one line for a shell: `docker run IMAGE 'NAME --version'`.");
    text.line(format!("ENTRYPOINT {}", exec_form(&["/bin/bash".to_owned(), "-c".to_owned()])));
    let cmd = page.cmd_of_shell();
    if !cmd.is_empty() {
        text.line(folded(&format!("CMD {}", exec_form(&cmd)), &[]));
    }
    Ok(())
}
