//! The recipe: two stages, so that the tools for installation are never in the image that ships.

use super::contents::{extra_packages, pins, requirements};
use super::text::{Text, exec_form, folded, listed};
use super::{COMPILERS, DockerfileError, Page};

pub(super) fn write(page: &Page<'_>, text: &mut Text) -> Result<(), DockerfileError> {
    let from = &page.wanted.from;
    let user_base = &page.wanted.user_base;
    text.why("Stage one installs; nothing of it ships but the folders that stage two copies.");
    text.line(format!("FROM {from} AS build"));
    text.why("Where `pip install --user` puts executables (bin) and libraries (lib).");
    text.line(format!("ENV PYTHONUSERBASE={user_base}"));
    page.copy_certificates(text);
    install(page, text);
    text.gap();
    text.why("Stage two starts clean: no pip, no compilers.");
    text.line(format!("FROM {from}"));
    text.line(format!("ENV PYTHONUSERBASE={user_base}"));
    text.why("All that stage one installed for the program.");
    let folders: &[&str] = match (page.is_unpinned(), page.ingredients.scripts.as_slice()) {
        // The contents of the user base are not known in advance.
        (true, _) => &["/"],
        (false, []) => &["/lib/"],
        (false, _) => &["/bin/", "/lib/"],
    };
    for folder in folders {
        text.line(format!("COPY --from=build ${{PYTHONUSERBASE}}{folder} ${{PYTHONUSERBASE}}{folder}"));
    }
    let mut packages = vec!["python3-minimal".to_owned()];
    let extra = extra_packages(page.ingredients, page.request);
    text.why("The interpreter; what apt recommends with it is the standard library, without which little runs.");
    if !extra.is_empty() {
        text.why(&format!("Asked for, or needed by libraries of wheels: {}.", extra.join(", ")));
    }
    packages.extend(extra);
    if page.wanted.has_certificates && !page.has_mounts() {
        text.why("No certificate is here for apt: its sources have to be http, or of a known authority.");
    }
    let certificates = page.certificates().filter(|_| page.has_mounts());
    text.run(&page.secret_mounts(), &page.apt("", &packages, certificates));
    finish(page, text)
}

/// Installs Python, pip and the program into the user base.
pub(super) fn install(page: &Page<'_>, text: &mut Text) {
    let mut packages = vec!["python3".to_owned(), "python3-pip".to_owned()];
    text.why(
        "Python and pip as the release has them, and what they recommend: compilers, should something want building.",
    );
    if page.is_unpinned() {
        packages.extend(COMPILERS.map(str::to_owned));
    }
    text.run(&page.secret_mounts(), &page.apt("", &packages, page.certificates()));
    if page.is_unpinned() {
        text.why("What was asked for; what the release has of it counts as not there.");
    } else {
        text.why(
            "Every distribution at the version that lath resolved; what the release has of them counts as not there.",
        );
    }
    if page.is_externally_managed() {
        text.why(
            "The release marks its Python as its own to manage: in a stage for one program that may be passed over.",
        );
    }
    let mut options = vec!["--user", "--no-cache-dir", "--ignore-installed"];
    let words = if page.is_unpinned() {
        requirements(page.request)
    } else {
        options.push("--no-deps");
        pins(page.ingredients, false)
    };
    text.run(&page.secret_mounts(), &[listed(&page.pip_install(&options), &words)]);
}

/// Writes the settings with which the image runs.
pub(super) fn finish(page: &Page<'_>, text: &mut Text) -> Result<(), DockerfileError> {
    page.settings(text)?;
    text.why("The executables of the user base are found by name.");
    text.line("ENV PATH=${PYTHONUSERBASE}/bin:${PATH}");
    text.why("One line for a shell: `docker run IMAGE 'NAME --version'`.");
    text.line(format!("ENTRYPOINT {}", exec_form(&["/bin/bash".to_owned(), "-c".to_owned()])));
    if !page.request.runtime.cmd.is_empty() {
        text.line(folded(&format!("CMD {}", exec_form(&page.request.runtime.cmd)), &[]));
    }
    Ok(())
}
