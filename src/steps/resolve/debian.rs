//! The closure of Debian packages: Depends and Pre-Depends, alternatives, virtual packages, versions.

use std::collections::{BTreeMap, VecDeque};

use thiserror::Error;

use crate::formats::relation::{self, Operator, Relation, RelationError};
use crate::model::lock::LockedDeb;
use crate::outside::archive::index::{Package, PackageIndex};

/// A package that something asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) package: String,
    /// In the words of [`LockedDeb::reason`].
    pub(super) reason: String,
}

#[derive(Debug, Error)]
pub(crate) enum DebianError {
    #[error("cannot find the Debian package `{name}` ({reason})")]
    Unknown { name: String, reason: String },
    #[error("cannot satisfy `{relation}` of the Debian package `{package}`: no version in the archive does")]
    Unsatisfied { package: String, relation: String },
    #[error("cannot read the relations of the Debian package `{package}`")]
    Relation { package: String, source: RelationError },
    #[error("cannot use the Debian package `{package}`: the archive's index tells no sha256 and size of it")]
    Index { package: String },
}

/// Every package that `wanted` comes to, by name. Packages of `skipped` are never taken and count as there.
pub(super) fn close(
    index: &PackageIndex,
    wanted: &[Wanted],
    skipped: &[&str],
    recommends: bool,
) -> Result<Vec<LockedDeb>, DebianError> {
    let mut taken: BTreeMap<String, (Package<'_>, String)> = BTreeMap::new();
    let mut queue = VecDeque::new();
    for one in wanted {
        let relation = Relation { name: one.package.clone(), qualifier: None, version: None };
        let package = best(index, &relation, &one.package)?;
        let package =
            package.ok_or_else(|| DebianError::Unknown { name: one.package.clone(), reason: one.reason.clone() })?;
        if !taken.contains_key(package.name) {
            taken.insert(package.name.to_owned(), (package, one.reason.clone()));
            queue.push_back(package);
        }
    }
    while let Some(package) = queue.pop_front() {
        let mut fields = vec![(package.pre_depends, true), (package.depends, true)];
        if recommends {
            fields.push((package.recommends, false));
        }
        for (field, must) in fields {
            let bad = |source| DebianError::Relation { package: package.name.to_owned(), source };
            for alternatives in relation::parse(field).map_err(bad)? {
                let relations = &alternatives.0;
                if satisfied(relations, &taken, skipped).map_err(bad)? {
                    continue;
                }
                let mut found = None;
                for relation in relations {
                    found = best(index, relation, package.name)?;
                    if found.is_some() {
                        break;
                    }
                }
                let Some(next) = found else {
                    if !must {
                        continue;
                    }
                    let relation = relations.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
                    return Err(DebianError::Unsatisfied { package: package.name.to_owned(), relation });
                };
                taken.insert(next.name.to_owned(), (next, format!("needed by {}", package.name)));
                queue.push_back(next);
            }
        }
    }
    taken.into_values().map(|(package, reason)| locked(&package, reason)).collect()
}

fn satisfied(
    relations: &[Relation],
    taken: &BTreeMap<String, (Package<'_>, String)>,
    skipped: &[&str],
) -> Result<bool, RelationError> {
    for relation in relations {
        if skipped.contains(&relation.name.as_str()) {
            return Ok(true);
        }
        if let Some((package, _)) = taken.get(&relation.name)
            && relation.allows(package.version)?
        {
            return Ok(true);
        }
        for (package, _) in taken.values() {
            if provides(package, relation)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether `package` provides what `relation` names; a versioned relation needs a versioned `Provides`.
fn provides(package: &Package<'_>, relation: &Relation) -> Result<bool, RelationError> {
    if !package.provides.contains(&relation.name) {
        return Ok(false);
    }
    for provided in relation::parse(package.provides)?.iter().flat_map(|one| &one.0) {
        if provided.name != relation.name {
            continue;
        }
        match (&relation.version, &provided.version) {
            (None, _) => return Ok(true),
            (Some(_), Some((Operator::Equal, version))) if relation.allows(version)? => return Ok(true),
            _ => {}
        }
    }
    Ok(false)
}

/// The newest version that `relation` allows, or the first provider by name.
fn best<'a>(index: &'a PackageIndex, relation: &Relation, asked_by: &str) -> Result<Option<Package<'a>>, DebianError> {
    let bad = |source| DebianError::Relation { package: asked_by.to_owned(), source };
    let mut best: Option<Package<'a>> = None;
    for package in index.versions(&relation.name) {
        if !relation.allows(package.version).map_err(bad)? {
            continue;
        }
        let is_newer = match &best {
            None => true,
            Some(best) => relation::compare(package.version, best.version).map_err(bad)?.is_gt(),
        };
        if is_newer {
            best = Some(package);
        }
    }
    if best.is_some() {
        return Ok(best);
    }
    let mut providers = Vec::new();
    for package in index.providers(&relation.name) {
        if provides(&package, relation).map_err(bad)? {
            providers.push(package);
        }
    }
    providers.sort_by_key(|package| package.name);
    let Some(first) = providers.first() else { return Ok(None) };
    // The provider itself in its newest version, where that still provides it.
    let mut newest = *first;
    for package in providers.iter().filter(|package| package.name == first.name) {
        if relation::compare(package.version, newest.version).map_err(bad)?.is_gt() {
            newest = *package;
        }
    }
    Ok(Some(newest))
}

fn locked(package: &Package<'_>, reason: String) -> Result<LockedDeb, DebianError> {
    let unusable = || DebianError::Index { package: package.name.to_owned() };
    Ok(LockedDeb {
        name: package.name.to_owned(),
        version: package.version.to_owned(),
        architecture: package.architecture.to_owned(),
        url: format!("{}/{}", package.mirror, package.filename),
        digest: package.sha256.parse().map_err(|_| unusable())?,
        size_bytes: package.size.parse().map_err(|_| unusable())?,
        reason,
    })
}
