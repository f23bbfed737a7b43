//! Describes the difference between a `uv.lock` and its project.

use std::collections::{BTreeMap, BTreeSet};

use uv_distribution_types::Requirement;
use uv_normalize::GroupName;
use uv_resolver::SatisfiesResult;

use crate::model::secret_text::public;

/// Returns one sentence for each difference, or `None` if the lock matches.
pub(super) fn difference(result: &SatisfiesResult<'_>) -> Option<Vec<String>> {
    use SatisfiesResult as R;
    Some(match result {
        R::Satisfied => return None,
        R::MismatchedMembers(expected, actual) => sets("the members of the workspace", expected, actual),
        R::MismatchedVirtual(name, is_virtual) => {
            vec![format!("`{name}` is {} now", if *is_virtual { "no package" } else { "a package" })]
        }
        R::MismatchedEditable(name, is_editable) => {
            vec![format!("`{name}` is {} now", if *is_editable { "editable" } else { "not editable" })]
        }
        R::MismatchedDynamic(name, is_dynamic) => {
            let now = if *is_dynamic { "a dynamic version" } else { "a fixed version" };
            vec![format!("`{name}` has {now} now")]
        }
        R::MismatchedVersion(name, locked, version) => {
            let now = version.as_ref().map_or_else(|| "no version".to_owned(), ToString::to_string);
            vec![format!("`{name}` is {locked} in the lock and {now} in the project")]
        }
        R::MismatchedRequirements(expected, actual) => requirements("the project", expected, actual),
        R::MismatchedConstraints(expected, actual) => requirements("`constraint-dependencies`", expected, actual),
        R::MismatchedBuildConstraints(expected, actual) => {
            requirements("`build-constraint-dependencies`", expected, actual)
        }
        R::MismatchedOverrides(..) => vec!["`override-dependencies` changed".to_owned()],
        R::MismatchedExcludes(..) => vec!["`exclude-dependencies` changed".to_owned()],
        R::MismatchedStaticMetadata(..) => vec!["`dependency-metadata` changed".to_owned()],
        R::MismatchedDependencyGroups(expected, actual) => {
            requirements("the groups of the workspace", &of_all(expected), &of_all(actual))
        }
        R::MismatchedPackageRequirements(name, _, expected, actual) => {
            requirements(&format!("`{name}`"), expected, actual)
        }
        R::MismatchedPackageDependencyGroups(name, _, expected, actual) => {
            requirements(&format!("the groups of `{name}`"), &of_all(expected), &of_all(actual))
        }
        R::MismatchedPackageProvidesExtra(name, ..) => vec![format!("the extras of `{name}` changed")],
        R::MismatchedPackageDependencies(name, ..) => vec![format!("the dependencies of `{name}` changed")],
        R::MissingRoot(name) => vec![format!("`{name}` is not in the lock")],
        R::MissingRemoteIndex(name, version, url) => {
            vec![format!(
                "`{name}` {version} comes from `{}`, which is not an index of the project",
                public(url.as_ref())
            )]
        }
        R::MissingLocalIndex(name, version, path) => {
            vec![format!("`{name}` {version} comes from `{}`, which is not an index of the project", path.display())]
        }
        R::MissingVersion(name) => vec![format!("`{name}` has no version in the lock")],
    })
}

/// Returns the requirements of all groups.
fn of_all(groups: &BTreeMap<GroupName, BTreeSet<Requirement>>) -> BTreeSet<Requirement> {
    groups.values().flatten().cloned().collect()
}

/// Returns the requirements that are only in `expected` or only in `actual`.
fn requirements(owner: &str, expected: &BTreeSet<Requirement>, actual: &BTreeSet<Requirement>) -> Vec<String> {
    let texts = |set: &BTreeSet<Requirement>| set.iter().map(|one| public(&one.to_string())).collect();
    let (expected, actual): (BTreeSet<String>, BTreeSet<String>) = (texts(expected), texts(actual));
    sets(owner, &expected, &actual)
}

fn sets<T: Ord + ToString>(owner: &str, expected: &BTreeSet<T>, actual: &BTreeSet<T>) -> Vec<String> {
    let quoted =
        |names: Vec<&T>| names.iter().map(|name| format!("`{}`", name.to_string())).collect::<Vec<_>>().join(", ");
    let (added, removed) =
        (expected.difference(actual).collect::<Vec<_>>(), actual.difference(expected).collect::<Vec<_>>());
    let mut sentences = Vec::new();
    if !added.is_empty() {
        sentences.push(format!("{owner}: the lock lacks {}", quoted(added)));
    }
    if !removed.is_empty() {
        sentences.push(format!("{owner}: only the lock has {}", quoted(removed)));
    }
    if sentences.is_empty() {
        sentences.push(format!("{owner}: they changed"));
    }
    sentences
}
