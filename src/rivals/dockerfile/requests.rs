//! Requests that lath derives from the user's request. Also the ingredients of a Dockerfile if its request cannot be
//! resolved.

use std::collections::BTreeSet;

use crate::model::all_indexes::AllIndexes;
use crate::model::indexes::IndexEntry;
use crate::model::request::Request;
use crate::model::secret_text::SecretText;
use crate::rivals::model::dockerfile::{DockerfileRequest, Ingredients, Lock};

/// Returns the request for uv itself, for the same platforms and from the same indexes.
pub(crate) fn request_for_uv(request: &Request, indexes: &AllIndexes) -> Request {
    let mut tool = request.clone();
    let entry = |url: &SecretText| IndexEntry { url: url.clone(), ..IndexEntry::default() };
    tool.python.indexes.default_index = indexes.default_index.as_ref().map(entry);
    tool.python.indexes.extra = indexes.extra.iter().map(entry).collect();
    tool.python.indexes.torch_backend = None;
    tool.python.requirements = vec!["uv".into()];
    tool.python.requirement_files = Vec::new();
    tool.python.constraint_files = Vec::new();
    tool.python.project = None;
    tool.python.script = None;
    tool.python.lock = None;
    tool.lock = None;
    tool.release.packages = Vec::new();
    tool
}

/// Returns a request for only the Debian half of the lock.
pub(crate) fn request_without_wheels(request: &Request) -> Request {
    let mut debian = request.clone();
    debian.python.requirements = Vec::new();
    debian.python.project = None;
    debian.python.script = None;
    debian
}

/// Returns the ingredients for a request that cannot be resolved, because the distributions `names` have no fitting
/// wheel. These ingredients are only the Debian half of the lock, and the program that the user named.
pub(crate) fn from_source(
    lock: Lock,
    names: Vec<String>,
    request: &Request,
    wanted: &DockerfileRequest,
) -> Ingredients {
    let programs: Vec<String> = request.runtime.scripts.iter().map(|name| wanted.user_base.program(name)).collect();
    let (entrypoint, cmd) = match programs.as_slice() {
        [_] => (programs, request.runtime.cmd.clone()),
        _ => (Vec::new(), request.runtime.cmd.clone()),
    };
    Ingredients {
        lock,
        without_wheels: names,
        uv: Vec::new(),
        indexes: AllIndexes::default(),
        user_base_names: BTreeSet::new(),
        scripts: Vec::new(),
        entrypoint,
        cmd,
        env: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::rivals::dockerfile::{DockerfileError, dockerfile};
    use crate::rivals::model::dockerfile::Style;

    /// Returns the Dockerfile for a distribution that has no wheel and that lath cannot build.
    fn unpinned(style: Style, indexes: AllIndexes) -> Result<String, DockerfileError> {
        let mut request = Request::example();
        request.python.requirements = vec!["oldie>=0.5".into()];
        request.python.builds.packages = vec!["libpq-dev".to_owned()];
        request.runtime.scripts = vec!["oldie".to_owned()];
        let wanted = DockerfileRequest::example(style, &request);
        let lock = Lock::example(Vec::new(), &request);
        let ingredients = from_source(lock, vec!["oldie".to_owned()], &request, &wanted);
        Ok(dockerfile(&Ingredients { indexes, ..ingredients }, &request, &wanted)?.text)
    }

    #[test]
    fn a_distribution_without_a_wheel_is_named_and_gets_compilers_and_the_packages_of_the_user() {
        for style in [Style::Recipe, Style::Lean, Style::Fat] {
            let text = unpinned(style, AllIndexes::default()).unwrap();
            let folded = text.replace("\\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ");
            for expected in [
                "# No wheel of oldie fits: the first stage installs compilers and builds it from source.",
                "# So versions are not pinned",
                "build-essential python3-dev libpq-dev",
                " 'oldie>=0.5'",
            ] {
                assert!(folded.contains(expected), "{style:?}: {expected:?} is missing in:\n{text}");
            }
            assert!(!text.contains("--require-hashes") && !text.contains("--no-deps"), "{text}");
            // Only in the fat image, the last stage contains the compilers.
            let last = text.rsplit("\nFROM ").next().unwrap();
            assert_eq!(last.contains("build-essential"), style == Style::Fat, "{text}");
        }
        let lean = unpinned(Style::Lean, AllIndexes::default()).unwrap();
        assert!(lean.contains("ENTRYPOINT [\"/opt/app/bin/oldie\"]"), "{lean}");
    }

    #[test]
    fn without_pins_a_local_index_and_several_indexes_are_refused() {
        let error = |style, index: &str| {
            let indexes = AllIndexes { extra: vec![index.into()], ..AllIndexes::default() };
            unpinned(style, indexes).map_err(|error| error.to_string())
        };
        let local = error(Style::Recipe, "file:///simple").unwrap_err();
        assert!(local.starts_with("cannot write the index `file:///simple` into a Dockerfile"), "{local}");
        let several = error(Style::Lean, "https://corp.example/simple").unwrap_err();
        assert!(several.starts_with("cannot write a Dockerfile without hashes for several indexes"), "{several}");
    }
}
