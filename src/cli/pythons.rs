//! The Python and the release for an input that supports only some versions of Python (`requires-python`).

use crate::catalog::releases::{self, Release};
use crate::cli::failure::Failure;
use crate::cli::values::usage;
use crate::model::platform::PythonVersion;
use crate::pipeline;

/// Returns whether `specifiers` allow a Python. `full` is the full version of this Python, with the patch number. It is
/// `None` if the patch number is not known.
pub(super) fn allows(specifiers: &str, python: PythonVersion, full: Option<&str>) -> Result<bool, Failure> {
    pipeline::allows_python(specifiers, python, full).map_err(|error| Failure::of(&error))
}

/// Returns a release whose Python fits: the default release, or else the release whose Python is nearest to the default
/// Python. If two releases are equally near, returns the one with the newer Python.
pub(super) fn fitting_release(specifiers: &str, input: &str) -> Result<&'static Release, Failure> {
    let default = releases::default();
    let mut fitting = Vec::new();
    for release in releases::for_python() {
        if allows(specifiers, release.python, release.full_python().as_deref())? {
            fitting.push(release);
        }
    }
    let distance = |release: &&Release| {
        let [own, usual] = [release.python, default.python].map(|python| i32::from(python.minor));
        ((own - usual).abs(), std::cmp::Reverse(release.python))
    };
    fitting.into_iter().min_by_key(distance).ok_or_else(|| {
        let known: Vec<String> = releases::for_python().iter().map(|release| release.python.to_string()).collect();
        usage(format!(
            "cannot find a release for `{input}`: it requires python {specifiers}, and lath knows releases with {}",
            known.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_python_is_chosen() {
        let python = |specifiers: &str| fitting_release(specifiers, "x.py").map(|release| release.python.to_string());
        for (specifiers, expected) in
            [(">=3.10", "3.13"), ("<3.13", "3.12"), ("<3.12", "3.11"), (">=3.14", "3.14"), ("!=3.13.*", "3.14")]
        {
            assert_eq!(python(specifiers).unwrap(), expected, "{specifiers}");
        }
        let error = python("<3").unwrap_err().to_string();
        assert!(error.contains("cannot find a release for `x.py`: it requires python <3, and lath knows"), "{error}");
    }
}
