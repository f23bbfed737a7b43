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
