//! Programs and modules that distributions use, although the metadata of these distributions does not mention them. The
//! catalogue contains the distributions that use a program, and the Debian package or the distribution that contains a
//! program or a module.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;

use crate::model::hint::Addition;
use crate::model::platform::PythonVersion;
use crate::model::vocabulary;

pub(super) static PROGRAMS: LazyLock<Programs> = LazyLock::new(|| super::read(include_str!("programs.toml")));

/// The package that the option `--shell` adds to an image.
const SHELL: &str = "dash";
/// The package that contains the programs of the vocabulary.
const COREUTILS: &str = "coreutils";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Programs {
    pub(super) calls: Vec<Call>,
    pub(super) everyday: BTreeSet<String>,
    pub(super) packages: BTreeMap<String, Vec<String>>,
    pub(super) modules: BTreeMap<String, Addition>,
    pub(super) removed_modules: BTreeMap<String, RemovedModule>,
}

/// A module that Python removed from its standard library.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RemovedModule {
    /// The first minor version of Python without the module.
    since: u8,
    /// The Debian package that contains the module for earlier versions.
    pub(super) package: String,
}

/// A distribution, and a program or library that it uses.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    pub(crate) caller: String,
    pub(crate) called: String,
    /// The Debian package that contains the library. `None` if a program is called.
    pub(super) package: Option<String>,
    /// Distributions that contain a copy of the program or library. If the image contains one of these distributions,
    /// no package is needed.
    #[serde(default)]
    pub(crate) spared_by: Vec<String>,
}

impl Call {
    /// Returns the Debian package that contains the program or library.
    pub(crate) fn package(&self) -> Option<&str> {
        self.package.as_deref().or_else(|| package_of(&self.called))
    }
}

/// Returns the known distributions that use a program or a library which no wheel contains, each with this program or
/// library.
pub(crate) fn calls() -> &'static [Call] {
    &PROGRAMS.calls
}

/// Returns all distributions that this catalogue names.
pub(crate) fn distributions() -> impl Iterator<Item = &'static str> {
    let of_calls = calls().iter().flat_map(|call| call.spared_by.iter().chain([&call.caller])).map(String::as_str);
    let of_modules = PROGRAMS.modules.values().filter_map(|addition| match addition {
        Addition::Requirement(text) => text.split(['<', '>', '=']).next(),
        Addition::Package(_) | Addition::BuildPackage(_) | Addition::Shell => None,
    });
    of_calls.chain(of_modules)
}

/// Returns whether the name of `program` is also a common name of other things, such as files.
pub(crate) fn is_everyday(program: &str) -> bool {
    PROGRAMS.everyday.contains(program)
}

/// Returns all programs whose Debian packages are known, each with its package.
pub(crate) fn programs() -> impl Iterator<Item = (&'static str, &'static str)> {
    let others = PROGRAMS.packages.iter();
    let others =
        others.flat_map(|(package, programs)| programs.iter().map(move |one| (one.as_str(), package.as_str())));
    vocabulary::PROGRAMS.iter().map(|program| (*program, COREUTILS)).chain(others)
}

/// Returns the Debian package that contains `program`. `None` if the package is not known.
fn package_of(program: &str) -> Option<&'static str> {
    programs().find(|(known, _)| *known == program).map(|(_, package)| package)
}

/// Returns the addition that gives a Debian package to an image.
pub(crate) fn of_package(package: &str) -> Addition {
    match package {
        SHELL => Addition::Shell,
        package => Addition::Package(package.to_owned()),
    }
}

/// Returns the addition that gives `program` to an image. `None` if the package of the program is not known.
pub(crate) fn of_program(program: &str) -> Option<Addition> {
    package_of(program).map(of_package)
}

/// Returns the addition that gives `module` to an image with this version of Python. `None` if no addition is known.
pub(crate) fn of_module(module: &str, python: PythonVersion) -> Option<Addition> {
    let name = module.split('.').next()?;
    let old = PROGRAMS.removed_modules.get(name).filter(|removed| python.minor < removed.since);
    let of_old = old.map(|removed| Addition::Package(removed.package.clone()));
    of_old.or_else(|| PROGRAMS.modules.get(name).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_and_modules_have_their_additions() {
        let package = |name: &str| Some(Addition::Package(name.to_owned()));
        let table = [
            ("sh", Some(Addition::Shell)),
            ("uname", package("coreutils")),
            ("psql", package("postgresql-client")),
            ("frobnicate", None),
        ];
        for (program, addition) in table {
            assert_eq!(of_program(program), addition, "{program}");
        }
        let requirement = |text: &str| Some(Addition::Requirement(text.to_owned()));
        let table = [
            ("pkg_resources.extern", requirement("setuptools<81"), requirement("setuptools<81")),
            ("tkinter.ttk", package("python3-tk"), package("python3-tk")),
            ("_gdbm", package("python3-gdbm"), package("python3-gdbm")),
            ("ensurepip", package("python3-venv"), package("python3-venv")),
            ("idlelib", package("idle"), package("idle")),
            ("distutils.core", package("python3-distutils"), requirement("setuptools")),
            ("lib2to3", package("python3-lib2to3"), None),
            ("frobnicate", None, None),
        ];
        for (module, of_old, of_new) in table {
            let [old, new] = [11, 13].map(|minor| of_module(module, PythonVersion { major: 3, minor }));
            assert_eq!((old, new), (of_old, of_new), "{module}");
        }
    }
}
