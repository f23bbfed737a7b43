//! Runs the checks of the corpus in an engine and in a root file system.

use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;

use crate::containers::Loaded;
use crate::lath::{self, Built};
use crate::needs::Need::{Corpus, Engine, Minutes, Namespaces, Registries, Root};
use crate::needs::trial;

/// The entries that these tests check. `benches/corpus` checks all entries.
const ENTRIES: &[&str] = &[
    "ansible-core",
    "black",
    "build-twine",
    "cryptography",
    "csvkit",
    "httpie",
    "numpy",
    "pandas-excel",
    "pre-commit",
];
/// The entries whose checks take more than a minute in a root file system.
const TAKE_MINUTES: &[&str] = &["ansible-core", "build-twine", "csvkit", "numpy", "pandas-excel", "pre-commit"];
/// The directories that contain an image's executables. `run.py` needs them for a root file system, because the
/// variables of the image are in its configuration, which is not part of a root file system.
const PATH: &str = "/opt/app/bin:/usr/local/bin:/usr/bin:/bin";

pub(crate) fn trials() -> Vec<Trial> {
    let of_entry = |entry: &'static str| {
        let in_engine = format!("{entry}_passes_its_corpus_checks_in_an_engine");
        let in_root = format!("{entry}_passes_its_corpus_checks_in_a_root_file_system");
        let mut needs_of_root = vec![Registries, Namespaces, Corpus, Root];
        if TAKE_MINUTES.contains(&entry) {
            needs_of_root.push(Minutes);
        }
        [
            trial(in_engine, &[Registries, Namespaces, Corpus, Engine], move || {
                let image = Loaded::new(&name(entry), &built(entry));
                passes(entry, &["--image", &image.tag]);
            }),
            trial(in_root, &needs_of_root, move || {
                let root = built(entry).root();
                passes(entry, &["--path", PATH, "--chroot", root.to_str().unwrap()]);
            }),
        ]
    };
    ENTRIES.iter().copied().flat_map(of_entry).collect()
}

/// Returns the name of an entry's image.
fn name(entry: &str) -> String {
    format!("corpus-{entry}")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

fn file(entry: &str) -> PathBuf {
    folder().join(format!("entries/{entry}.toml"))
}

/// Builds the image with the requirements of the entry.
fn built(entry: &str) -> Built {
    let table: toml::Table = std::fs::read_to_string(file(entry)).unwrap().parse().unwrap();
    let strings = |key: &str| -> Vec<String> { table[key].clone().try_into().unwrap() };
    let (requirements, packages) = (strings("requirements"), strings("debian"));
    let mut words: Vec<&str> = requirements.iter().map(String::as_str).collect();
    words.extend(packages.iter().flat_map(|package| ["--with", package]));
    lath::built(&name(entry), &words)
}

fn passes(entry: &str, how: &[&str]) {
    let mut command = Command::new("python3");
    command.arg(folder().join("run.py")).args(how).arg(file(entry));
    let said = lath::stdout_of(command, "");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.ends_with(" passed, 0 failed") && !last.starts_with("0 "), "{said}");
}
