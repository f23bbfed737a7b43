//! The differences between a lock and a request.

use serde::Serialize;

use super::LockError;
use super::error::Difference;
use crate::model::lock_file::{LockFile, LockRequest, LockedBuilds, LockedRequest};

/// The request with which a lock is compared.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) request: &'a LockedRequest,
    /// Whether the user's inputs are compared, too, such as the requirements, the constraints and the indexes.
    pub(crate) compares_inputs: bool,
}

/// Refuses a lock that was made for another request.
pub(crate) fn refuse_other(file: &LockFile, wanted: &Wanted<'_>) -> Result<(), LockError> {
    let mut differences = options(&file.request, wanted.request);
    if wanted.compares_inputs {
        differences.splice(0..0, inputs(&file.request, wanted.request));
    }
    match Difference::chained(differences) {
        Some(source) => Err(LockError::Differs { path: file.path.clone(), is_frozen: !wanted.compares_inputs, source }),
        None => Ok(()),
    }
}

/// A change of a source after the lock was made.
#[derive(Debug)]
pub(crate) enum Changed<'a> {
    /// The build of the source needs these requirements, which the lock does not contain.
    Requires { name: &'a str, new: &'a [String] },
    /// The build of the source needs these Debian packages, which the lock does not contain.
    Packages { name: &'a str, new: &'a [String] },
    /// The build of the source needs these groups of compilers, which the lock does not contain.
    Compilers { name: &'a str, groups: &'a [String] },
    /// The new wheel of the source has other requirements than the wheel in the lock.
    Dependencies { name: &'a str, locked: &'a [String], found: &'a [String] },
}

/// Returns the error about a source that does not match its lock any more.
pub(crate) fn changed(lock: &LockRequest, changed: Changed<'_>) -> LockError {
    let LockRequest { file, is_frozen, .. } = lock;
    let all = |name: &str, verb: &str, new: &[String]| {
        let text = |one| format!("the build of `{name}` {verb} `{one}`, and the lock was made without it");
        new.iter().map(text).collect()
    };
    let differences: Vec<String> = match changed {
        Changed::Requires { name, new } => all(name, "requires", new),
        Changed::Packages { name, new } => all(name, "needs the Debian package", new),
        Changed::Compilers { name, groups } => all(name, "needs the compilers for", groups),
        Changed::Dependencies { name, locked, found } => {
            let new = found.iter().filter(|one| !locked.contains(one));
            let new = new.map(|one| format!("`{name}` requires `{one}`, and the lock was made without it"));
            let gone = locked.iter().filter(|one| !found.contains(one));
            new.chain(gone.map(|one| format!("the lock was made with the requirement `{one}` of `{name}`"))).collect()
        }
    };
    match Difference::chained(differences) {
        Some(source) => LockError::Differs { path: file.path.clone(), is_frozen: *is_frozen, source },
        None => LockError::Content { path: file.path.clone(), problem: "one of its builds has changed".to_owned() },
    }
}

/// Returns the differences in the lists and options that belong to the user's inputs.
fn inputs(locked: &LockedRequest, wanted: &LockedRequest) -> Vec<String> {
    let mut differences = lists("", &locked.requirements, &wanted.requirements);
    differences.extend(lists("the constraint ", &locked.constraints, &wanted.constraints));
    differences.extend(lists("the index ", &locked.indexes, &wanted.indexes));
    differences.extend(lists("the links ", &locked.find_links, &wanted.find_links));
    let shown = |index: &Option<String>| index.clone().unwrap_or_else(|| "PyPI".to_owned());
    differences.extend(values("the default index", &shown(&locked.default_index), &shown(&wanted.default_index)));
    differences.extend(flags("`--no-index`", locked.no_index, wanted.no_index));
    differences
}

fn options(locked: &LockedRequest, wanted: &LockedRequest) -> Vec<String> {
    let never = || "no date".to_owned();
    let date = |date: &Option<String>| date.clone().unwrap_or_else(never);
    let mut differences = values("the release", &locked.base, &wanted.base);
    let image = |image: &Option<String>| image.clone().unwrap_or_else(|| "none".to_owned());
    differences.extend(values("the base image", &image(&locked.base_image), &image(&wanted.base_image)));
    differences.extend(flags("`--no-base-packages`", locked.no_base_packages, wanted.no_base_packages));
    differences.extend(values("python", &locked.python.to_string(), &wanted.python.to_string()));
    differences.extend(lists("the Debian package ", &locked.with, &wanted.with));
    differences.extend(flags("`--shell`", locked.shell, wanted.shell));
    differences.extend(flags("`--recommends`", locked.recommends, wanted.recommends));
    differences.extend(values("`--trim`", &word(&locked.trim), &word(&wanted.trim)));
    differences.extend(values("`--prerelease`", &word(&locked.prerelease), &word(&wanted.prerelease)));
    let strategies = [&locked.index_strategy, &wanted.index_strategy].map(word);
    differences.extend(values("`--index-strategy`", &strategies[0], &strategies[1]));
    let build = |backend: &Option<String>| backend.clone().unwrap_or_else(|| "that of the index".to_owned());
    let [of_lock, of_request] = [locked, wanted].map(|request| build(&request.torch_backend));
    differences.extend(values("the build of PyTorch", &of_lock, &of_request));
    differences.extend(values("`--exclude-newer`", &date(&locked.exclude_newer), &date(&wanted.exclude_newer)));
    differences.extend(builds(&locked.builds, &wanted.builds));
    differences
}

/// Returns the differences of the options of builds from source.
fn builds(locked: &LockedBuilds, wanted: &LockedBuilds) -> Vec<String> {
    let mut differences = lists("the Debian package for builds ", &locked.with, &wanted.with);
    differences.extend(flags("`--no-build`", locked.no_build, wanted.no_build));
    differences.extend(lists("`--no-build-package` ", &locked.no_build_package, &wanted.no_build_package));
    differences.extend(lists("`--no-binary-package` ", &locked.no_binary_package, &wanted.no_binary_package));
    differences.extend(lists("`--config-setting` ", &locked.config_setting, &wanted.config_setting));
    differences
}

/// Returns the value of an option as the user types it.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn lists(kind: &str, locked: &[String], wanted: &[String]) -> Vec<String> {
    let new = wanted
        .iter()
        .filter(|one| !locked.contains(one))
        .map(|one| format!("the request has {kind}`{one}`, and the lock does not"));
    let gone = locked.iter().filter(|one| !wanted.contains(one));
    new.chain(gone.map(|one| format!("the lock has {kind}`{one}`, and the request does not"))).collect()
}

fn values(name: &str, locked: &str, wanted: &str) -> Vec<String> {
    let text = || format!("{name} of the lock is `{locked}`, and that of the request is `{wanted}`");
    (locked != wanted).then(text).into_iter().collect()
}

fn flags(name: &str, locked: bool, wanted: bool) -> Vec<String> {
    match (locked, wanted) {
        (true, false) => vec![format!("the lock was made with {name}, and the request is without it")],
        (false, true) => vec![format!("the lock was made without {name}, and the request is with it")],
        _ => Vec::new(),
    }
}
