//! Checks the catalogue except `reach.toml`: names are valid and sorted, and no name has two different values.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::accounts;
use super::builds::{self, BUILDS};
use super::packages::{self, PACKAGES, Packages};
use super::programs::{self, PROGRAMS};
use super::releases::{self, Release};
use super::sonames::{self, SONAMES};
use crate::model::hint::Addition;
use crate::model::platform::Architecture;
use crate::model::request::Distribution;

/// The names and contents of all files, except `reach.toml`, whose lists are not sorted.
const FILES: [(&str, &str); 8] = [
    ("accounts.toml", include_str!("accounts.toml")),
    ("builds.toml", include_str!("builds.toml")),
    ("maintainer.toml", include_str!("maintainer.toml")),
    ("packages.toml", include_str!("packages.toml")),
    ("programs.toml", include_str!("programs.toml")),
    ("releases.toml", include_str!("releases.toml")),
    ("sonames.toml", include_str!("sonames.toml")),
    ("time_zones.toml", include_str!("time_zones.toml")),
];

/// Returns whether `name` is a valid name of a Debian package (Debian Policy, section 5.6.1).
fn is_package(name: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    name.len() >= 2 && name.chars().all(is_of_name) && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// Returns whether `name` is a normalised name of a distribution.
fn is_distribution(name: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    !name.is_empty() && name.split('-').all(|word| !word.is_empty() && word.chars().all(is_of_name))
}

fn is_library(name: &str) -> bool {
    name.starts_with("lib") && name.contains(".so") && !name.contains(|c: char| c == '/' || c.is_whitespace())
}

/// Returns the names of the lists and tables in `table` that are not sorted. A table is sorted if its keys are sorted.
fn unsorted(name: &str, table: &DeTable<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for (key, value) in table {
        let name = format!("{name}.{}", key.get_ref());
        match value.get_ref() {
            DeValue::Array(list) => {
                let texts: Vec<&str> = list.iter().filter_map(|one| one.get_ref().as_str()).collect();
                if !texts.is_sorted_by(|one, other| one < other) {
                    found.push(name.clone());
                }
                found.extend(
                    list.iter().filter_map(|one| one.get_ref().as_table()).flat_map(|one| unsorted(&name, one)),
                );
            }
            DeValue::Table(table) => {
                let mut keys: Vec<&Spanned<_>> = table.keys().collect();
                keys.sort_by_key(|key| key.span().start);
                if !keys.is_sorted() {
                    found.push(name.clone());
                }
            }
            _ => {}
        }
    }
    found
}

#[test]
fn every_list_and_table_is_sorted() {
    for (name, text) in FILES {
        let table = DeTable::parse(text).unwrap();
        assert_eq!(unsorted(name, table.get_ref()), Vec::<String>::new());
    }
    let text = "list = [\"b\", \"a\"]\nmore = [\"a\", \"a\"]\n[names]\nb = 1\na = 2\n";
    let table = DeTable::parse(text).unwrap();
    assert_eq!(unsorted("x", table.get_ref()), ["x.list", "x.more", "x.names"]);
}

#[test]
fn every_release_has_names_of_its_own_and_a_keyring() {
    let mut known = BTreeSet::new();
    for release in releases::all() {
        let Release { distribution, suite, number, title, .. } = release;
        for name in release.names() {
            assert!(known.insert((distribution.to_string(), name)), "{distribution}:{name} is named twice");
        }
        let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase());
        assert!(is_word(suite) && is_word(release.codename()) && !title.is_empty(), "{release:?}");
        let is_number = |word: &str| word.split('.').all(|part| part.parse::<u8>().is_ok());
        assert!(number.as_deref().is_none_or(is_number), "{release:?}");
        let archive = releases::archive(*distribution);
        assert!(!archive.keyring().is_empty() && !archive.components.is_empty(), "{distribution}");
        for architecture in [Architecture::Amd64, Architecture::Arm64] {
            let (main, security) = archive.mirrors(architecture);
            assert!([main, security].iter().all(|url| url.starts_with("http") && !url.ends_with('/')));
        }
        // A release without a number is not published yet. The catalogue must not contain its versions of Python and
        // glibc, because they may still change.
        assert!(
            number.is_some() || release.full_python().or(release.glibc.map(|_| String::new())).is_none(),
            "{suite}"
        );
    }
    for distribution in [Distribution::Debian, Distribution::Ubuntu] {
        let numbers: Vec<Vec<u8>> = releases::all()
            .iter()
            .filter(|release| release.distribution == distribution)
            .map(|release| release.number.as_deref().map_or(vec![u8::MAX], numbers))
            .collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
    }
}

fn numbers(text: &str) -> Vec<u8> {
    text.split('.').map(|number| number.parse().unwrap()).collect()
}

#[test]
fn each_python_has_one_release_and_the_default_is_among_them() {
    let releases = releases::for_python();
    assert!(releases.is_sorted_by(|one, other| one.python < other.python), "{releases:?}");
    let known: Vec<String> = releases.iter().map(|one| format!("{} {}", one.python, one.suite)).collect();
    assert_eq!(known, ["3.10 jammy", "3.11 bookworm", "3.12 noble", "3.13 trixie", "3.14 resolute"]);
    // A release that is not published yet has no number, and lath does not choose it.
    assert!(releases.iter().all(|release| release.number.is_some()));
    assert_eq!(releases::default().suite, "trixie");
}

#[test]
fn every_program_has_one_package() {
    let mut known = BTreeMap::new();
    for (program, package) in programs::programs() {
        assert_eq!(known.insert(program, package), None, "{program}");
        assert!(is_package(package), "{package}");
        assert!(!program.is_empty() && !program.contains(|c: char| c == '/' || c.is_whitespace()), "{program}");
    }
    // The programs of this package are in the vocabulary.
    assert!(!PROGRAMS.packages.contains_key("coreutils"));
}

#[test]
fn every_call_has_one_package_and_is_there_once() {
    let calls = programs::calls();
    assert!(calls.is_sorted_by(|one, other| (&one.caller, &one.called) < (&other.caller, &other.called)));
    let mut packages: BTreeMap<&str, &str> = BTreeMap::new();
    for call in calls {
        assert!(is_distribution(&call.caller) && call.spared_by.iter().all(|name| is_distribution(name)), "{call:?}");
        let package = call.package().unwrap_or_else(|| panic!("{call:?}"));
        assert!(is_package(package), "{call:?}");
        assert_eq!(*packages.entry(&call.called).or_insert(package), package, "{call:?}");
        // The package of a program is only in the table of programs. The package of a library is only in the table of
        // calls.
        assert_eq!(call.package.is_some(), is_library(&call.called), "{call:?}");
        assert!(sonames::package_of(&call.called).is_none_or(|other| other == package), "{call:?}");
    }
    assert!(PROGRAMS.removed_modules.values().all(|removed| is_package(&removed.package)));
    for addition in PROGRAMS.modules.values() {
        let is_valid = match addition {
            Addition::Package(package) => is_package(package),
            Addition::Requirement(text) => is_distribution(text.split(['<', '>', '=']).next().unwrap_or_default()),
            Addition::Shell | Addition::BuildPackage(_) => false,
        };
        assert!(is_valid, "{addition:?}");
    }
}

#[test]
fn every_library_and_package_has_a_valid_name() {
    for (soname, package) in &SONAMES.packages {
        assert!(is_library(soname) && is_package(package), "{soname}: {package}");
        assert!(!package.ends_with("t64"), "{soname}: this form is tried anyway");
    }
    assert!(SONAMES.driver.iter().all(|name| name.starts_with("lib") && !name.contains('.')));
    let of_driver = |soname: &&String| sonames::is_of_driver(soname);
    assert_eq!(SONAMES.packages.keys().chain(&SONAMES.manylinux).find(of_driver), None);
    assert!(SONAMES.manylinux.iter().all(|soname| is_library(soname)));
    let Packages { always, compilers, helpers, idle_programs, idle_scripts, in_every_base, .. } = &*PACKAGES;
    let Packages { interpreters, pip, shell, skipped, skipped_by_trim, tools, used_by, .. } = &*PACKAGES;
    let lists = [helpers, interpreters, skipped, skipped_by_trim, used_by];
    let listed = lists.iter().flat_map(|table| table.iter()).flat_map(|(one, others)| others.iter().chain([one]));
    let all = always.keys().chain(compilers).chain(idle_programs).chain(idle_scripts).chain(in_every_base);
    let all = all.chain(pip).chain(shell).chain(tools.values()).chain(listed);
    for name in all {
        assert!(is_package(name) || name == "*", "{name}");
    }
    for name in always.keys() {
        let mut others = packages::skipped(&[]).filter(|(_, skipped)| skipped == name);
        assert_eq!(others.next(), None, "`{name}` is in every image");
    }
}

#[test]
fn every_group_of_builds_exists_and_its_packages_have_valid_names() {
    let groups: BTreeSet<&String> = BUILDS.groups.keys().collect();
    let named = [&BUILDS.extensions, &BUILDS.requirements, &BUILDS.compilers].into_iter().flat_map(BTreeMap::values);
    assert!(
        named.chain(BUILDS.needs.keys()).chain(BUILDS.needs.values().flatten()).all(|group| groups.contains(group))
    );
    assert!(BUILDS.requirements.keys().all(|name| is_distribution(name)));
    let of_groups = BUILDS.groups.values().flatten();
    let of_names = [&BUILDS.programs, &BUILDS.headers, &BUILDS.pkg_config].into_iter().flat_map(BTreeMap::values);
    for package in of_groups.chain(of_names) {
        assert!(is_package(&package.replace("{python}", "3.13")), "{package}");
    }
    let packages: BTreeSet<&str> = builds::packages("rust").collect();
    assert!(packages.contains("cargo") && packages.contains("gcc") && !packages.contains("g++"), "{packages:?}");
    assert_eq!(builds::group_of_program("aarch64-linux-gnu-g++"), Some("c++"));
}

#[test]
fn every_account_has_a_name_an_id_and_a_group() {
    let (users, groups) = (accounts::users(), accounts::groups());
    assert!(users.is_sorted_by(|one, other| one.id < other.id));
    assert!(groups.is_sorted_by(|one, other| one.id < other.id));
    let is_group = |id: u32| groups.iter().any(|group| group.id == id);
    assert!(users.iter().all(|user| is_group(user.group) && user.home.starts_with('/')));
    let names: BTreeSet<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names.len(), groups.len());
    let names: BTreeSet<&str> = users.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names.len(), users.len());
    let is_of_name = |c: char| c.is_ascii_lowercase() || "-_".contains(c);
    assert!(
        users
            .iter()
            .map(|user| &user.name)
            .chain(groups.iter().map(|group| &group.name))
            .all(|name| name.chars().all(is_of_name))
    );
}

#[test]
fn the_facts_about_python_files_contain_all_names_that_conditional_imports_need() {
    use crate::model::python_file::USES;
    let named: BTreeSet<&str> =
        super::reach::conditional().iter().flat_map(|one| &one.names).map(String::as_str).collect();
    assert_eq!(named, BTreeSet::from(USES));
    assert!(USES.is_sorted());
}
