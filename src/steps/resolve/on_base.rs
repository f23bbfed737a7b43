//! The facts about a base image that decide which wheels and packages are added.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::releases;
use crate::formats::relation::{Relation, RelationError};
use crate::model::base_image::{InstalledDistribution, Interpreter, LibcFamily, OsRelease};
use crate::model::distribution_name::normalised;
use crate::model::hint::Hint;
use crate::model::request::{Distribution, OnBase, PythonRequest};
use crate::outside::archive::index::PackageIndex;
use crate::outside::pypi::{InstalledWheel, SystemLibc};
use crate::outside::store::{Store, StoreError};

impl<'a> OnBase<'a> {
    /// Returns the Python of the base image with which the program runs. `None` if lath adds another Python.
    pub(super) fn interpreter(self, python: &PythonRequest) -> Option<&'a Interpreter> {
        let program = (!python.home.is_of_release()).then(|| python.python().program())?;
        self.image.found.interpreters.iter().find(|one| one.start().as_str() == program)
    }

    /// Returns the C library of the image. If the image has none, no wheel with machine code fits.
    pub(super) fn libc(self) -> SystemLibc {
        let libc = self.image.found.libc.as_ref();
        let mut numbers = libc.and_then(|libc| libc.version.as_deref()).unwrap_or_default().split('.');
        let mut number = || numbers.next().and_then(|number| number.parse().ok()).unwrap_or(0);
        let version = (number(), number());
        SystemLibc { family: libc.map_or(LibcFamily::Glibc, |libc| libc.family), version }
    }

    /// Returns the distributions of `interpreter` that the request may use. A distribution whose program the user named
    /// is left out, because the image runs the program from the user base.
    pub(super) fn installed(
        self,
        interpreter: &Interpreter,
        python: &PythonRequest,
        store: &Store,
    ) -> Result<Vec<InstalledWheel>, StoreError> {
        if !self.request.uses_packages {
            return Ok(Vec::new());
        }
        let named: BTreeSet<String> = python.requirements.iter().map(|text| named(text.exposed())).collect();
        let mut wheels: BTreeMap<String, InstalledWheel> = BTreeMap::new();
        for distribution in &interpreter.distributions {
            let name = normalised(&distribution.name);
            let has_scripts = self.image.tree.find(&format!("{}/entry_points.txt", distribution.metadata)).is_some();
            let Some(metadata) = self.metadata(distribution, store)? else { continue };
            if has_scripts && named.contains(&name) {
                continue;
            }
            let (version, path) = (distribution.version.clone(), distribution.metadata.to_string());
            // If a distribution is installed twice, Python imports the first one.
            wheels.entry(name.clone()).or_insert(InstalledWheel { name, version, path, metadata });
        }
        Ok(wheels.into_values().collect())
    }

    fn metadata(self, distribution: &InstalledDistribution, store: &Store) -> Result<Option<Vec<u8>>, StoreError> {
        let tree = &self.image.tree;
        let folder = &distribution.metadata;
        let places = [format!("{folder}/METADATA"), format!("{folder}/PKG-INFO"), folder.to_string()];
        let found = places.iter().find_map(|path| tree.find(path)?.1.digest());
        found.map(|digest| store.read(digest)).transpose()
    }

    /// Returns whether the dynamic loader finds a library in the image.
    pub(super) fn has_library(self, soname: &str) -> bool {
        let found = &self.image.found;
        let is_of_libc = || {
            let is_musl = found.libc.as_ref().is_some_and(|libc| libc.family == LibcFamily::Musl);
            // musl's loader and its C library are the same file.
            is_musl && (soname.starts_with("libc.musl-") || soname.starts_with("ld-musl-") || soname == "libc.so")
        };
        found.libraries.contains_key(soname) || is_of_libc()
    }

    /// Returns whether the image already contains the program or library of a hint, so that the hint is not needed.
    pub(super) fn answers(self, hint: &Hint) -> bool {
        let Hint::Call { called, .. } = hint else { return false };
        let is_program = || {
            let folders = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];
            folders.iter().any(|folder| self.image.tree.find(&format!("{folder}/{called}")).is_some())
        };
        self.has_library(called) || is_program()
    }

    /// Returns the release from which packages can be added. `None` if the image is neither Debian nor Ubuntu.
    pub(crate) fn release(self) -> Option<(Distribution, String)> {
        let OsRelease { id, codename, version, .. } = self.image.found.distribution.as_ref()?;
        let distribution = match id.as_str() {
            "debian" => Distribution::Debian,
            "ubuntu" => Distribution::Ubuntu,
            _ => return None,
        };
        let known = [codename, version].into_iter().flatten().find_map(|name| releases::find(distribution, name));
        let suite = known.map(|release| release.suite.clone()).or_else(|| codename.clone())?;
        Some((distribution, suite))
    }

    /// Returns whether the image has a shell at the path that commands and scripts use.
    pub(super) fn has_shell(self) -> bool {
        let shell = self.image.tree.find("/bin/sh");
        shell.is_some_and(|(_, node)| node.digest().is_some() && node.is_executable())
    }

    /// Returns whether the image has no certificates of authorities and they can be added from its release.
    pub(super) fn lacks_certificates(self) -> bool {
        self.image.found.ca_bundle.is_none() && self.release().is_some()
    }

    /// Returns the installed packages of Debian.
    pub(super) fn debs(self) -> Debs<'a> {
        let debs = &self.image.found.debs;
        Debs(debs.iter().map(|deb| (deb.name.as_str(), deb.version.as_str())).collect())
    }
}

/// The names and versions of the packages in a base image. Without a base image, there are none.
#[derive(Debug, Clone, Default)]
pub(super) struct Debs<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Debs<'a> {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().map(|(name, version)| (*name, *version))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Returns whether an installed package satisfies `relation`, by its own name or by a package that it provides. The
    /// database contains no versions of provided packages. So for a relation with a version, only the package's own
    /// name counts.
    pub(super) fn satisfy(&self, relation: &Relation, index: &PackageIndex) -> Result<bool, RelationError> {
        if let Some(version) = self.0.get(relation.name.as_str()) {
            return relation.allows(version);
        }
        Ok(relation.version.is_none() && index.providers(&relation.name).iter().any(|one| self.has(one.name)))
    }
}

#[cfg(test)]
impl<'a> Debs<'a> {
    pub(super) fn of(debs: &[(&'a str, &'a str)]) -> Self {
        Self(debs.iter().copied().collect())
    }
}

/// Returns the normalised name at the beginning of a requirement.
fn named(requirement: &str) -> String {
    let is_of_name = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    normalised(&requirement.trim().chars().take_while(is_of_name).collect::<String>())
}

/// Returns those libraries of `needs` that the base image lacks.
pub(super) fn lacking(needs: BTreeMap<String, String>, base: Option<OnBase<'_>>) -> BTreeMap<String, String> {
    let Some(base) = base else { return needs };
    needs.into_iter().filter(|(soname, _)| !base.has_library(soname)).collect()
}
