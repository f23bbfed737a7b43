//! Computes which packages debootstrap and apt-get would install, by the rules of these programs.
//!
//! debootstrap(8) installs all required and essential packages, `apt`, and their dependencies. `apt-get install`
//! follows Depends and Pre-Depends, then Recommends. If no alternative of a relation is installed, apt-get installs the
//! first alternative that is available.

use std::collections::BTreeMap;

use crate::formats::relation::{self, Relation};
use crate::outside::archive::details::DetailIndex;
use crate::outside::archive::index::{Package, PackageIndex};

/// Two packages that a relation can name as alternatives. debootstrap installs `usr-is-merged`, because `usrmerge`
/// would move files.
const MERGED: (&str, &str) = ("usrmerge", "usr-is-merged");

/// Packages by name.
pub(super) type Installed<'a> = BTreeMap<&'a str, Package<'a>>;

/// Returns the packages of a system that `debootstrap --variant=minbase` creates.
pub(super) fn bootstrap<'a>(index: &'a PackageIndex, details: &DetailIndex) -> Installed<'a> {
    let mut apt = Apt { index, installed: Installed::new(), recommends: false };
    let names: Vec<&str> = details.indispensable().into_iter().chain(["apt"]).collect();
    // All of these packages are added before their dependencies. So if one of them is an alternative in a relation, the
    // relation is already satisfied.
    for name in &names {
        if let Some(package) = newest(index.versions(name)) {
            apt.installed.insert(package.name, package);
        }
    }
    for package in apt.installed.values().copied().collect::<Vec<_>>() {
        apt.follow(package);
    }
    apt.installed
}

/// Returns the packages that `apt-get install` of `names` adds to `present`, sorted by name. Unknown names are skipped.
pub(super) fn install<'a>(
    index: &'a PackageIndex,
    present: &Installed<'a>,
    names: &[String],
    recommends: bool,
) -> Installed<'a> {
    let mut apt = Apt { index, installed: present.clone(), recommends };
    for name in names {
        if let Some(package) = newest(index.versions(name)) {
            apt.take(package);
        }
    }
    apt.installed.into_iter().filter(|(name, _)| !present.contains_key(name)).collect()
}

struct Apt<'a> {
    index: &'a PackageIndex,
    installed: Installed<'a>,
    recommends: bool,
}

impl<'a> Apt<'a> {
    fn take(&mut self, package: Package<'a>) {
        if !self.installed.contains_key(package.name) {
            self.installed.insert(package.name, package);
            self.follow(package);
        }
    }

    /// Adds the packages that `package` needs, first its dependencies and then its recommendations.
    fn follow(&mut self, package: Package<'a>) {
        let recommended = if self.recommends { package.recommends } else { "" };
        for field in [package.pre_depends, package.depends, recommended] {
            // A field that cannot be read is treated as empty. This is acceptable, because the result is only an
            // estimate of sizes.
            for clause in relation::parse(field).unwrap_or_default() {
                if clause.0.iter().any(|relation| self.is_met(relation)) {
                    continue;
                }
                let has_merged = clause.0.iter().any(|relation| relation.name == MERGED.1);
                let wanted = clause.0.iter().filter(|relation| !(has_merged && relation.name == MERGED.0));
                if let Some(next) = wanted.into_iter().find_map(|relation| self.best(relation)) {
                    self.take(next);
                }
            }
        }
    }

    fn is_met(&self, relation: &Relation) -> bool {
        let of_name = self.installed.get(relation.name.as_str());
        of_name.is_some_and(|package| relation.allows(package.version).unwrap_or(false))
            || self.index.providers(&relation.name).iter().any(|provider| self.installed.contains_key(provider.name))
    }

    fn best(&self, relation: &Relation) -> Option<Package<'a>> {
        let fits = |package: &Package<'a>| relation.allows(package.version).unwrap_or(false);
        let own = self.index.versions(&relation.name).into_iter().filter(fits).collect();
        newest(own).or_else(|| newest(self.index.providers(&relation.name)))
    }
}

fn newest(versions: Vec<Package<'_>>) -> Option<Package<'_>> {
    versions.into_iter().reduce(|best, next| {
        let is_newer =
            best.name == next.name && relation::compare(next.version, best.version).is_ok_and(|order| order.is_gt());
        if is_newer { next } else { best }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds an index from lines. Each line has four fields, separated by `;`: name, Depends, Recommends and Provides.
    fn index(lines: &[&str]) -> PackageIndex {
        let reduced = lines.iter().map(|line| {
            let mut fields: Vec<&str> = line.split(';').map(str::trim).collect();
            fields.resize(4, "");
            format!("{}\t1\tamd64\t\t{}\t{}\t{}\tpool/x.deb\t3\tff\n", fields[0], fields[1], fields[2], fields[3])
        });
        PackageIndex::of_reduced("http://mirror.example/debian", reduced.collect())
    }

    fn installed(lines: &[&str], present: &[&str], wanted: &str, recommends: bool) -> Vec<String> {
        let index = index(lines);
        let present: Installed<'_> =
            present.iter().filter_map(|name| index.versions(name).first().copied()).map(|it| (it.name, it)).collect();
        install(&index, &present, &[wanted.to_owned()], recommends).into_keys().map(str::to_owned).collect()
    }

    #[test]
    fn recommendations_are_followed_where_apt_would() {
        let lines = ["a; b; c", "b;; d", "c; nowhere | e", "d", "e"];
        assert_eq!(installed(&lines, &[], "a", false), ["a", "b"]);
        assert_eq!(installed(&lines, &["b"], "a", true), ["a", "c", "e"]);
        assert_eq!(installed(&lines, &[], "a", true), ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn an_alternative_that_is_there_is_enough_and_so_is_one_that_is_provided() {
        let lines = ["a; x | y, v", "x", "y", "p;;; v", "q;;; v"];
        assert_eq!(installed(&lines, &["y", "q"], "a", true), ["a"]);
        assert_eq!(installed(&lines, &[], "a", true), ["a", "p", "x"]);
    }

    #[test]
    fn a_system_is_what_it_cannot_be_without_and_apt() {
        let index = index(&[
            "libc6",
            "base; awk, usrmerge | usr-is-merged",
            "mawk;;; awk",
            "gawk;;; awk",
            "apt; keys",
            "keys",
            "usrmerge",
            "usr-is-merged",
            "z",
        ]);
        let details = DetailIndex::of_reduced(
            "base\t1\t1\t\trequired\tyes\nmawk\t1\t1\t\trequired\t\nlibc6\t1\t1\t\toptional\tyes\nz\t1\t1\t\toptional\t\n".to_owned(),
        );
        let names: Vec<&str> = bootstrap(&index, &details).into_keys().collect();
        assert_eq!(names, ["apt", "base", "keys", "libc6", "mawk", "usr-is-merged"]);
    }
}
