//! Tests the architecture: which part of `src/` may use which other part.

use std::fs;
use std::path::Path;

/// Every part, and the parts that it may use. If a part does not list itself, its children may not use one another.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("model", &["model"]),
    ("formats", &["model"]),
    ("outside", &["outside", "formats", "model"]),
    ("steps", &["outside", "formats", "model"]),
    ("pipeline", &["steps", "outside", "model"]),
    ("cli", &["cli", "pipeline", "model"]),
    ("main", &[]),
    ("lib", &["cli"]),
];

/// Returns the fault in one line of a file of `part`, if there is one.
fn offence(part: &str, line: &str) -> Option<String> {
    let code = line.split("//").next().unwrap_or_default();
    if code.contains("super::super") {
        return Some("climbs two floors".to_owned());
    }
    let allowed = MAY_NAME.iter().find(|(name, _)| *name == part).map(|(_, allowed)| *allowed)?;
    for rest in code.split("crate::").skip(1) {
        if rest.starts_with('{') {
            return Some("groups its imports".to_owned());
        }
        let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if MAY_NAME.iter().any(|(name, _)| *name == word) && !allowed.contains(&word.as_str()) {
            return Some(format!("`{part}` may not name `{word}`"));
        }
    }
    None
}

fn collect(part: &str, path: &Path, offences: &mut Vec<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(part, &entry.unwrap().path(), offences);
        }
        return;
    }
    let text = fs::read_to_string(path).unwrap();
    for (index, line) in text.lines().enumerate() {
        if let Some(what) = offence(part, line) {
            offences.push(format!("{}:{}: {what}: {}", path.display(), index + 1, line.trim()));
        }
    }
}

#[test]
fn every_part_names_only_what_the_floor_plan_allows() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut offences = Vec::new();
    for entry in fs::read_dir(&src).unwrap() {
        let path = entry.unwrap().path();
        let part = path.file_stem().unwrap().to_string_lossy().into_owned();
        if MAY_NAME.iter().any(|(name, _)| *name == part) {
            collect(&part, &path, &mut offences);
        } else {
            offences.push(format!("{}: the floor plan has no such part", path.display()));
        }
    }
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn an_arrow_that_runs_backwards_is_an_offence() {
    assert!(offence("model", "use crate::steps::fetch;").is_some());
    assert!(offence("formats", "use crate::formats::deb;").is_some());
    assert!(offence("steps", "use crate::{model, outside};").is_some());
    assert!(offence("cli", "use super::super::pipeline;").is_some());
    assert!(offence("steps", "use crate::outside::store::Store; // crate::cli").is_none());
}
