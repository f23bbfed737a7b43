//! The fat style: one stage, and an image that contains everything. It is only for comparison.

use super::contents::extra_packages;
use super::recipe::{finish, install};
use super::text::Text;
use super::{DockerfileError, Page};

/// The `PATH` that base images usually have. If all files of a stage are copied into a new stage, the variables are not
/// copied, so the new stage sets this `PATH`.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn write(page: &Page<'_>, text: &mut Text) -> Result<(), DockerfileError> {
    let from = &page.wanted.from;
    let is_copied = page.wanted.has_certificates && !page.has_mounts();
    text.why("One stage: the tools that install are in the image as well.");
    text.line(format!("FROM {from}{}", if is_copied { " AS build" } else { "" }));
    page.become_root(text);
    text.line(format!("ENV PYTHONUSERBASE={}", page.wanted.user_base));
    page.copy_certificates(text);
    install(page, text)?;
    let extra = extra_packages(page.ingredients, page.request);
    if !extra.is_empty() {
        text.why(&format!("Requested, or needed by libraries of wheels: {}.", extra.join(", ")));
        text.run(&page.secret_mounts(), &page.apt("", &extra, page.certificates()));
    }
    if is_copied {
        text.why("Everything except the certificates is copied to a new image, so no layer contains them.");
        text.line("RUN rm /ca.crt");
        text.gap();
        text.line("FROM scratch");
        text.line("COPY --from=build / /");
        text.line(format!("ENV PYTHONUSERBASE={} PATH={PATH}", page.wanted.user_base));
    }
    finish(page, text)
}
