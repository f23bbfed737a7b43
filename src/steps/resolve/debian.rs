//! Computes the closure of Debian packages: the requested packages, and all packages that they need. It follows Depends
//! and Pre-Depends, and handles alternatives, virtual packages and versions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use thiserror::Error;

use super::on_base::Debs;
use crate::formats::relation::{self, Operator, Relation, RelationError};
use crate::model::hint::Hints;
use crate::model::lock::LockedDeb;
use crate::model::reason::Why;
use crate::outside::archive::index::{Package, PackageIndex};

/// The maximum number of times that the computation starts again with a new version constraint. If 50 attempts are not
/// enough, the computation would probably never end.
const ATTEMPTS: usize = 50;

/// A required package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) package: String,
    pub(super) why: Why,
}

/// A relation that is never followed, because the image does not need the package to which it refers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Skip {
    /// The package with the relation. `*` is any package.
    pub(super) asker: &'static str,
    pub(super) package: &'static str,
}

/// The rules that decide which relations are followed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    /// Relations that are never followed. They count as satisfied.
    pub(super) skipped: &'a [Skip],
    /// Whether the field `Recommends` is followed, too.
    pub(super) recommends: bool,
    /// The packages of the base image. They are not added again. They are upgraded only if a relation requires another
    /// version.
    pub(super) installed: &'a Debs<'a>,
    /// The components of the archive that the index contains.
    pub(super) components: &'static [String],
}

#[derive(Debug, Error)]
pub(crate) enum DebianError {
    #[error("cannot find the Debian package `{name}` ({why}): lath searches only {}{}", listed(.components), did_you_mean(.near))]
    Unknown { name: String, why: Why, components: &'static [String], near: Vec<String> },
    #[error("cannot satisfy `{relation}`, needed by {chain}: {why}")]
    Unsatisfied { relation: String, chain: String, why: String },
    #[error("cannot read the relations of the Debian package `{package}`")]
    Relation { package: String, source: RelationError },
    #[error("cannot use the Debian package `{package}`: the archive's index has no sha256 and size of it")]
    Index { package: String },
}

impl Hints for DebianError {}

fn listed(components: &[String]) -> String {
    match components {
        [one] => format!("the component `{one}`"),
        all => format!("the components `{}`", all.join("` and `")),
    }
}

fn did_you_mean(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; similar names are `{}`", near.join("`, `")) }
}

/// A selected package, and the reason why it was selected.
struct Taken<'a> {
    package: Package<'a>,
    why: Why,
    /// The package that depends on this package. `None` if the request contains this package.
    asked_by: Option<String>,
}

/// One attempt to compute the closure.
struct Closure<'a, 'b> {
    index: &'a PackageIndex,
    rules: Rules<'b>,
    /// The constraints that earlier attempts have found. When a package is selected, its version must satisfy them.
    narrowed: &'b BTreeMap<String, Vec<Relation>>,
    taken: BTreeMap<&'a str, Taken<'a>>,
    queue: VecDeque<Package<'a>>,
}

/// The reason why an attempt ended early.
enum Stop {
    /// The selected version of a package does not satisfy this relation, which was found later.
    TooWide(Relation),
    Failed(DebianError),
}

impl From<DebianError> for Stop {
    fn from(error: DebianError) -> Self {
        Self::Failed(error)
    }
}

/// Returns the packages of `wanted` and all packages that they need according to `rules`, sorted by name. Packages of
/// the base image are left out.
pub(super) fn close(index: &PackageIndex, wanted: &[Wanted], rules: Rules<'_>) -> Result<Vec<LockedDeb>, DebianError> {
    let mut narrowed: BTreeMap<String, Vec<Relation>> = BTreeMap::new();
    for _ in 0..ATTEMPTS {
        let mut closure = Closure { index, rules, narrowed: &narrowed, taken: BTreeMap::new(), queue: VecDeque::new() };
        match closure.run(wanted) {
            Ok(()) => return closure.locked(),
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::TooWide(relation)) => narrowed.entry(relation.name.clone()).or_default().push(relation),
        }
    }
    let relations: Vec<String> = narrowed.values().flatten().map(ToString::to_string).collect();
    Err(DebianError::Unsatisfied {
        relation: relations.join(", "),
        chain: "several packages".to_owned(),
        why: "no combination of versions satisfies all packages".to_owned(),
    })
}

impl<'a> Closure<'a, '_> {
    fn run(&mut self, wanted: &[Wanted]) -> Result<(), Stop> {
        for one in wanted.iter().filter(|one| !self.rules.installed.has(&one.package)) {
            let relation = Relation { name: one.package.clone(), qualifier: None, version: None };
            let package = self.best(&relation).map_err(|source| unreadable(&one.package, source))?;
            let Some(package) = package else { return Err(self.unknown(one).into()) };
            self.take(package, one.why.clone(), None);
        }
        // All dependencies are followed before the recommendations. Otherwise, a recommendation could decide which
        // alternative of a dependency is selected.
        let mut asked = 0;
        let mut order: Vec<Package<'a>> = Vec::new();
        loop {
            while let Some(package) = self.queue.pop_front() {
                self.follow(package, package.pre_depends, true)?;
                self.follow(package, package.depends, true)?;
                order.push(package);
            }
            if !self.rules.recommends || asked == order.len() {
                return Ok(());
            }
            self.follow(order[asked], order[asked].recommends, false)?;
            asked += 1;
        }
    }

    fn take(&mut self, package: Package<'a>, why: Why, asked_by: Option<String>) {
        if !self.taken.contains_key(package.name) {
            self.taken.insert(package.name, Taken { package, why, asked_by });
            self.queue.push_back(package);
        }
    }

    /// Adds packages until one relation of each clause of `field` is satisfied. If this is impossible, returns an error
    /// if `must` is set, and otherwise leaves the clause unsatisfied.
    fn follow(&mut self, package: Package<'a>, field: &str, must: bool) -> Result<(), Stop> {
        let bad = |source| unreadable(package.name, source);
        for clause in relation::parse(field).map_err(bad)? {
            let relations = &clause.0;
            if self.is_satisfied(relations).map_err(bad)? {
                continue;
            }
            let mut is_settled = false;
            let mut too_wide = None;
            for relation in relations {
                if self.is_skipped(package.name, relation) {
                    is_settled = true;
                    break;
                }
                match self.best(relation).map_err(bad)? {
                    Some(next) if self.taken.contains_key(next.name) => {
                        too_wide = too_wide.or_else(|| (next.name == relation.name).then(|| relation.clone()));
                    }
                    Some(next) => {
                        let of = package.name.to_owned();
                        self.take(next, Why::Dependency { of: of.clone() }, Some(of));
                        is_settled = true;
                        break;
                    }
                    None => {}
                }
            }
            match too_wide {
                _ if is_settled || !must => {}
                Some(relation) => return Err(Stop::TooWide(relation)),
                None => return Err(self.unsatisfied(package, relations).into()),
            }
        }
        Ok(())
    }

    fn is_satisfied(&self, relations: &[Relation]) -> Result<bool, RelationError> {
        for relation in relations {
            let is_replaced = self.taken.contains_key(relation.name.as_str());
            if !self.satisfying(relation)?.is_empty()
                || (!is_replaced && self.rules.installed.satisfy(relation, self.index)?)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the names of the selected packages that satisfy `relation`.
    fn satisfying(&self, relation: &Relation) -> Result<Vec<&'a str>, RelationError> {
        let mut names = Vec::new();
        for taken in self.taken.values() {
            let package = &taken.package;
            let is_named = package.name == relation.name && relation.allows(package.version)?;
            if is_named || provides(package, relation)? {
                names.push(package.name);
            }
        }
        Ok(names)
    }

    /// Returns the lock's entries, sorted by name.
    fn locked(self) -> Result<Vec<LockedDeb>, DebianError> {
        let mut edges = self.edges()?;
        let taken = self.taken.into_iter();
        taken.map(|(name, taken)| locked(taken, edges.remove(name).unwrap_or_default())).collect()
    }

    /// Returns for each selected package the names of the packages that depend on it. If several selected packages
    /// satisfy the same clause, there is an edge to each of them.
    fn edges(&self) -> Result<BTreeMap<&'a str, BTreeSet<String>>, DebianError> {
        let mut edges: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for Taken { package, .. } in self.taken.values() {
            let bad = |source| unreadable(package.name, source);
            let recommended = if self.rules.recommends { package.recommends } else { "" };
            for field in [package.pre_depends, package.depends, recommended] {
                for relation in relation::parse(field).map_err(bad)?.iter().flat_map(|clause| &clause.0) {
                    let names = self.satisfying(relation).map_err(bad)?;
                    for name in names.into_iter().filter(|name| *name != package.name) {
                        edges.entry(name).or_default().insert(package.name.to_owned());
                    }
                }
            }
        }
        Ok(edges)
    }

    /// Returns whether the relation is never followed. Such a relation names a skipped package that is not selected, or
    /// a virtual package that such a package provides.
    fn is_skipped(&self, asker: &str, relation: &Relation) -> bool {
        let is_skipped = |name: &str| {
            let mut skips = self.rules.skipped.iter().filter(|skip| skip.package == name);
            skips.any(|skip| skip.asker == "*" || skip.asker == asker) && !self.taken.contains_key(name)
        };
        is_skipped(&relation.name)
            || (self.index.versions(&relation.name).is_empty()
                && self.index.providers(&relation.name).iter().any(|provider| is_skipped(provider.name)))
    }

    /// Returns the newest version that satisfies `relation` and the constraints of earlier attempts. If there is none,
    /// returns the first package, in the order of names, that provides the package in `relation`.
    fn best(&self, relation: &Relation) -> Result<Option<Package<'a>>, RelationError> {
        let mut own = Vec::new();
        for package in self.index.versions(&relation.name) {
            if relation.allows(package.version)? {
                own.push(package);
            }
        }
        if let Some(best) = self.newest(own)? {
            return Ok(Some(best));
        }
        let mut providers: BTreeMap<&str, Vec<Package<'a>>> = BTreeMap::new();
        for package in self.index.providers(&relation.name) {
            if provides(&package, relation)? {
                providers.entry(package.name).or_default().push(package);
            }
        }
        for versions in providers.into_values() {
            if let Some(best) = self.newest(versions)? {
                return Ok(Some(best));
            }
        }
        Ok(None)
    }

    fn newest(&self, versions: Vec<Package<'a>>) -> Result<Option<Package<'a>>, RelationError> {
        let mut newest: Option<Package<'a>> = None;
        for package in versions {
            let mut is_better = match newest {
                Some(newest) => relation::compare(package.version, newest.version)?.is_gt(),
                None => true,
            };
            for relation in self.narrowed.get(package.name).into_iter().flatten() {
                is_better = is_better && relation.allows(package.version)?;
            }
            if is_better {
                newest = Some(package);
            }
        }
        Ok(newest)
    }

    fn unknown(&self, wanted: &Wanted) -> DebianError {
        let (name, why) = (wanted.package.clone(), wanted.why.clone());
        match self.narrowed.get(&name) {
            None => {
                let (near, components) = (self.index.near(&name), self.rules.components);
                DebianError::Unknown { name, why, components, near }
            }
            Some(relations) => DebianError::Unsatisfied {
                relation: relations.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
                chain: format!("packages that depend on {name} ({why})"),
                why: "no version in the archive satisfies all of them".to_owned(),
            },
        }
    }

    /// Describes the chain of dependencies that begins at the package whose relation fails and ends at the request.
    fn unsatisfied(&self, package: Package<'a>, relations: &[Relation]) -> DebianError {
        let mut chain = vec![format!("`{}`", package.name)];
        let mut at = self.taken.get(package.name);
        while let Some(taken) = at {
            match &taken.asked_by {
                Some(name) => {
                    chain.push(format!("needed by `{name}`"));
                    at = self.taken.get(name.as_str());
                }
                None => {
                    chain.push(format!("requested by {}", taken.why));
                    break;
                }
            }
        }
        let held: Vec<String> = relations
            .iter()
            .flat_map(|relation| self.index.versions(&relation.name))
            .map(|package| format!("`{} {}`", package.name, package.version))
            .collect();
        let why = match held.as_slice() {
            [] => "the archive has no such package".to_owned(),
            held => format!("the archive has {}", held.join(", ")),
        };
        let relation = relations.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
        DebianError::Unsatisfied { relation, chain: chain.join(", "), why }
    }
}

fn unreadable(package: &str, source: RelationError) -> DebianError {
    DebianError::Relation { package: package.to_owned(), source }
}

/// Returns whether `package` provides the package in `relation`. If the relation has a version, the field `Provides`
/// must have one, too.
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

fn locked(taken: Taken<'_>, required_by: BTreeSet<String>) -> Result<LockedDeb, DebianError> {
    let Taken { package, why, .. } = taken;
    let unusable = || DebianError::Index { package: package.name.to_owned() };
    Ok(LockedDeb {
        name: package.name.to_owned(),
        version: package.version.to_owned(),
        architecture: package.architecture.to_owned(),
        url: format!("{}/{}", package.mirror, package.filename),
        other_urls: Vec::new(),
        digest: package.sha256.parse().map_err(|_| unusable())?,
        size_bytes: package.size.parse().map_err(|_| unusable())?,
        why,
        required_by: required_by.into_iter().collect(),
        is_base: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::releases;
    use crate::model::digest::Digest;
    use crate::model::request::Distribution;

    /// Builds an index from lines of name, version, Depends, Recommends and Provides, separated by `;`.
    fn index(lines: &[&str]) -> PackageIndex {
        let reduced: String = lines
            .iter()
            .map(|line| {
                let mut fields: Vec<&str> = line.split(';').map(str::trim).collect();
                fields.resize(5, "");
                let digest = Digest::of(b"");
                format!(
                    "{}\t{}\tamd64\t\t{}\t{}\t{}\tpool/x.deb\t3\t{digest}\n",
                    fields[0], fields[1], fields[2], fields[3], fields[4]
                )
            })
            .collect();
        PackageIndex::of_reduced("http://mirror.example/debian", reduced)
    }

    fn rules<'a>(skipped: &'a [Skip], recommends: bool, installed: &'a Debs<'a>) -> Rules<'a> {
        let components = &releases::archive(Distribution::Debian).components;
        Rules { skipped, recommends, installed, components }
    }

    fn closed(lines: &[&str], wanted: &[&str], skipped: &[Skip], recommends: bool) -> Result<Vec<String>, String> {
        let wanted: Vec<Wanted> =
            wanted.iter().map(|name| Wanted { package: (*name).to_owned(), why: Why::Shell }).collect();
        let debs = close(&index(lines), &wanted, rules(skipped, recommends, &Debs::default()))
            .map_err(|error| error.to_string())?;
        Ok(debs.into_iter().map(|deb| format!("{} {} {}", deb.name, deb.version, deb.why)).collect())
    }

    #[test]
    fn the_newest_version_is_taken_and_says_who_asked() {
        let lines = ["b;1", "a;1;b (>= 1)", "a;2;b (>= 1)"];
        assert_eq!(closed(&lines, &["a"], &[], false).unwrap(), ["a 2 `--shell`", "b 1 needed by a"]);
    }

    #[test]
    fn a_locked_package_names_all_that_depend_on_it() {
        let lines =
            ["a;1;lib, x | y, v;r;own", "b;1;lib (>= 1), own;;own", "lib;1;b", "x;1", "y;1", "v-is;1;;;v", "r;1"];
        let required_by = |recommends: bool| {
            let wanted = ["a", "b", "y", "x"].map(|name| Wanted { package: name.to_owned(), why: Why::Shell });
            let debs = close(&index(&lines), &wanted, rules(&[], recommends, &Debs::default())).unwrap();
            debs.into_iter().map(|deb| format!("{}: {}", deb.name, deb.required_by.join(" "))).collect::<Vec<_>>()
        };
        assert_eq!(required_by(false), ["a: b", "b: lib", "lib: a b", "v-is: a", "x: a", "y: a"]);
        assert_eq!(required_by(true), ["a: b", "b: lib", "lib: a b", "r: a", "v-is: a", "x: a", "y: a"]);
    }

    #[test]
    fn an_alternative_that_is_there_comes_before_the_first() {
        let lines = ["a;1;x | y", "y;1", "x;1", "b;1;nowhere | x"];
        assert_eq!(closed(&lines, &["a", "y"], &[], false).unwrap(), ["a 1 `--shell`", "y 1 `--shell`"]);
        assert_eq!(closed(&lines, &["b"], &[], false).unwrap(), ["b 1 `--shell`", "x 1 needed by b"]);
    }

    #[test]
    fn what_is_provided_satisfies_with_its_version_where_one_is_asked() {
        let lines = ["a;1;virtual (>= 2)", "p;1;;;virtual", "q;1;;;virtual (= 2)", "b;1;virtual"];
        assert_eq!(closed(&lines, &["a"], &[], false).unwrap(), ["a 1 `--shell`", "q 1 needed by a"]);
        assert_eq!(closed(&lines, &["b"], &[], false).unwrap(), ["b 1 `--shell`", "p 1 needed by b"]);
    }

    #[test]
    fn skipped_packages_count_as_there_also_through_what_they_provide() {
        let lines = ["a;1;debconf (>= 9) | x, debconf-2.0", "debconf;1;;;debconf-2.0", "x;1"];
        assert_eq!(
            closed(&lines, &["a"], &[Skip { asker: "*", package: "debconf" }], false).unwrap(),
            ["a 1 `--shell`"]
        );
    }

    #[test]
    fn a_package_that_one_asks_for_in_vain_is_taken_for_another() {
        let lines = ["a;1;perl", "b;1;perl", "perl;1"];
        let skipped = [Skip { asker: "a", package: "perl" }];
        assert_eq!(closed(&lines, &["a"], &skipped, false).unwrap(), ["a 1 `--shell`"]);
        assert_eq!(closed(&lines, &["a", "b"], &skipped, false).unwrap().len(), 3);
    }

    #[test]
    fn a_later_relation_that_is_narrower_is_heeded_from_the_start() {
        let lines = ["a;1;lib, b", "b;1;lib (<< 2)", "lib;2;extra", "lib;1", "extra;1"];
        assert_eq!(
            closed(&lines, &["a"], &[], false).unwrap(),
            ["a 1 `--shell`", "b 1 needed by a", "lib 1 needed by a"]
        );
    }

    #[test]
    fn recommendations_are_followed_when_asked_and_never_required() {
        let lines = ["a;1;;r | s, nowhere", "r;1;d", "d;1"];
        assert_eq!(closed(&lines, &["a"], &[], true).unwrap(), ["a 1 `--shell`", "d 1 needed by r", "r 1 needed by a"]);
        assert_eq!(closed(&lines, &["a"], &[], false).unwrap().len(), 1);
    }

    #[test]
    fn what_cannot_be_is_told_with_its_chain() {
        let lines = ["a;1;b", "b;1;c (>= 5)", "c;4", "git;1"];
        assert_eq!(
            closed(&lines, &["a"], &[], false).unwrap_err(),
            "cannot satisfy `c (>= 5)`, needed by `b`, needed by `a`, requested by `--shell`: the archive has `c 4`"
        );
        let unknown = closed(&lines, &["gti"], &[], false).unwrap_err();
        assert_eq!(
            unknown,
            "cannot find the Debian package `gti` (`--shell`): lath searches only the component `main`; similar names are `git`"
        );
        let unknown = closed(&lines, &["hg"], &[], false).unwrap_err();
        assert_eq!(unknown, "cannot find the Debian package `hg` (`--shell`): lath searches only the component `main`");
        let unknown = closed(&lines, &["gitt"], &[], false).unwrap_err();
        assert_eq!(
            unknown,
            "cannot find the Debian package `gitt` (`--shell`): lath searches only the component `main`; similar names are `git`"
        );
        let of_ubuntu = listed(&releases::archive(Distribution::Ubuntu).components);
        assert_eq!(of_ubuntu, "the components `main` and `universe`");
    }

    #[test]
    fn packages_of_the_base_are_not_added_and_are_replaced_only_if_a_version_needs_it() {
        let lines = ["a;1;lib (>= 2), base, mail", "lib;3;other", "base;5", "other;1", "smtp;1;;;mail"];
        let closed = |installed: &[(&'static str, &'static str)]| {
            let (index, installed) = (index(&lines), Debs::of(installed));
            let wanted = [Wanted { package: "a".to_owned(), why: Why::Shell }];
            let debs = close(&index, &wanted, rules(&[], false, &installed));
            debs.unwrap().into_iter().map(|deb| format!("{} {}", deb.name, deb.version)).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(closed(&[]), "a 1, base 5, lib 3, other 1, smtp 1");
        // The base image has an older version, which satisfies the relation.
        assert_eq!(closed(&[("lib", "2"), ("base", "1"), ("smtp", "0")]), "a 1");
        assert_eq!(closed(&[("lib", "1"), ("base", "1"), ("smtp", "0")]), "a 1, lib 3, other 1");
        assert_eq!(closed(&[("a", "0")]), "");
    }

    #[test]
    fn versions_that_exclude_each_other_are_an_error() {
        let lines = ["a;1;lib (>= 2), b", "b;1;lib (<< 2)", "lib;2", "lib;1"];
        assert!(closed(&lines, &["a"], &[], false).unwrap_err().starts_with("cannot satisfy `lib"));
    }
}
