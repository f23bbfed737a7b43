//! `lath explain` for a real image: it explains all paths of the image, and no others.

use std::collections::BTreeSet;
use std::path::Path;

use fs_err as fs;
use libtest_mimic::Trial;
use serde_json::Value;

use crate::lath::{self, Built, command, stdout_of};
use crate::needs::Need::{Namespaces, Registries};
use crate::needs::trials_of;

pub(crate) fn trials() -> Vec<Trial> {
    trials_of![&[Registries, Namespaces]; every_path_of_an_image_is_explained_up_to_the_request]
}

/// To save time, only every path at a multiple of this number is explained with a separate call.
const STEP: usize = 97;

fn explain(built: &Built, words: &[&str]) -> Value {
    let words = [&["explain", "image.tar", "--json"], words].concat();
    serde_json::from_str(&stdout_of(command(&built.folder, &words), "")).unwrap()
}

/// Returns the paths in a stored explanation.
fn paths(stored: &Value) -> Vec<String> {
    let (columns, mut before) = (&stored["paths"], String::new());
    let shared = columns["shared"].as_array().unwrap().iter();
    let rest = columns["rest"].as_array().unwrap().iter();
    let joined = shared.zip(rest).map(|(shared, rest)| {
        let shared = usize::try_from(shared.as_u64().unwrap()).unwrap();
        before = format!("{}{}", &before[..shared], rest.as_str().unwrap());
        before.clone()
    });
    joined.collect()
}

fn paths_on_disk(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = entry.path();
        found.insert(format!("/{}", path.strip_prefix(root).unwrap().to_str().unwrap()));
        if entry.file_type().unwrap().is_dir() {
            paths_on_disk(&path, root, found);
        }
    }
}

fn every_path_of_an_image_is_explained_up_to_the_request() {
    let words = ["pre-commit", "--with", "git", "--trim", "reach", "--explanation", "explanation"];
    let built = lath::built("explained", &words);
    let file = fs::File::open(built.folder.join("explanation")).unwrap();
    let stored: Value = serde_json::from_reader(zstd::Decoder::new(file.into_file()).unwrap()).unwrap();
    let kept = paths(&stored["kept"]);
    let mut on_disk = BTreeSet::from(["/".to_owned()]);
    paths_on_disk(&built.root(), &built.root(), &mut on_disk);
    let explained: BTreeSet<String> = kept.iter().cloned().chain(["/".to_owned()]).collect();
    assert_eq!(explained, on_disk);

    let receipt = &built.metadata["platforms"][0];
    let table = explain(&built, &[]);
    assert_eq!(table["size_bytes"], receipt["files_bytes"]);
    let removed = receipt["removed_bytes_by_reason"].as_object().unwrap().values();
    assert_eq!(table["removed_bytes"], removed.map(|bytes| bytes.as_u64().unwrap()).sum::<u64>());

    let last = ["requested", "with", "every-image", "console-script", "command", "every-program", "root", "kept"];
    for path in kept.iter().step_by(STEP) {
        let answer = explain(&built, &[path]);
        let chain = answer[0]["chains"][0].as_array().unwrap_or_else(|| panic!("{path}: {answer}"));
        let end = chain.last().unwrap()["because"].as_str().unwrap();
        assert!(last.contains(&end), "{path}: {answer}");
    }
    for path in paths(&stored["removed"]).iter().step_by(STEP) {
        let answer = explain(&built, &[path]);
        assert_eq!(answer[0]["fate"], "removed", "{path}");
    }
}
