//! `lath compare` with a real engine, on base images made from Debian's archive. The computed sizes must be close to
//! the measured ones.

use std::path::Path;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::bases::{base, builder, docker};
use crate::lath::{self, succeeded};
use crate::needs::Need::{Debootstrap, Engine, Namespaces, Registries, Root};
use crate::needs::trials_of;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = trials_of![&[Debootstrap, Engine, Namespaces, Registries, Root]; reckoned_and_measured_sizes_agree_within_5_percent, everything_is_built_weighed_and_timed];
    trials.extend(trials_of![&[Namespaces, Registries]; sources_are_compared_without_an_engine]);
    trials
}

const PROGRAMS: [&str; 3] = ["pre-commit", "httpie", "yamllint"];

/// Returns the options that add the certificates which this machine trusts.
fn certificates() -> Vec<String> {
    let file = lath::variable("SSL_CERT_FILE").unwrap_or_default();
    if file.is_empty() { Vec::new() } else { vec!["--ca".to_owned(), file] }
}

fn run(home: &Path, words: &[&str]) -> String {
    let more = certificates();
    let words: Vec<&str> = words.iter().copied().chain(more.iter().map(String::as_str)).collect();
    // The variable is removed, because the release must be that of the base image in `--from`.
    succeeded(lath::run_without_base(home, &words))
}

/// Returns by how many percent `reckoned` differs from `measured`.
fn percent_off(reckoned: u64, measured: u64) -> f64 {
    (reckoned as f64 / measured as f64 - 1.0) * 100.0
}

fn reckoned_and_measured_sizes_agree_within_5_percent() {
    let home = tempfile::tempdir().unwrap();
    let mut off = Vec::new();
    for suite in ["bookworm", "trixie"] {
        let from = base(suite);
        for program in PROGRAMS {
            let json = run(home.path(), &["compare", program, "--from", &from, "--apt", "plain", "--json"]);
            let reckoned: Value = serde_json::from_str(&json).unwrap();
            for (place, style) in [&["--fat"][..], &["--style", "recipe"]].into_iter().enumerate() {
                let tag = format!("lath-test-compare-{program}-{place}");
                let words =
                    [&["dockerfile", program, "--from", &from, "--build", "--engine", "docker", "-t", &tag], style];
                let _own = builder();
                run(home.path(), &words.concat());
                let measured = succeeded(docker(&["image", "inspect", "--format", "{{.Size}}", &tag]));
                let reckoned = reckoned["images"][place]["raw_bytes"].as_u64().unwrap();
                let percent = percent_off(reckoned, measured.trim().parse().unwrap());
                if percent.abs() > 5.0 {
                    off.push(format!("{program} on {suite}, {style:?}: {reckoned} for {measured}, {percent:.1} %"));
                }
                succeeded(docker(&["rmi", &tag]));
            }
        }
    }
    assert!(off.is_empty(), "{}", off.join("\n"));
}

fn sources_are_compared_without_an_engine() {
    let home = tempfile::tempdir().unwrap();
    let project = home.path().join("own");
    fs_err::create_dir(&project).unwrap();
    fs_err::write(
        project.join("pyproject.toml"),
        "[project]\nname = 'own'\nversion = '1'\ndescription = 'Own.'\ndependencies = ['idna']\n[project.scripts]\nown = 'own:main'\n\
         [build-system]\nrequires = ['flit-core']\nbuild-backend = 'flit_core.buildapi'\n\
         [tool.flit.module]\nname = 'own'\n",
    )
    .unwrap();
    fs_err::write(project.join("own.py"), "\"\"\"Own.\"\"\"\ndef main(): print('own')\n").unwrap();
    // docopt has no wheel on the index.
    for words in [vec!["./own"], vec!["docopt", "-c", "docopt:docopt"]] {
        let words = [words.as_slice(), &["--json"]].concat();
        let said = succeeded(lath::command(home.path(), &[&["compare"], words.as_slice()].concat()).output().unwrap());
        let comparison: Value = serde_json::from_str(&said).unwrap();
        let sizes = comparison["images"].as_array().unwrap().iter().map(|image| image["raw_bytes"].as_u64().unwrap());
        let sizes: Vec<u64> = sizes.collect();
        assert!(sizes.len() == 4 && sizes.is_sorted_by(|one, next| one > next), "{words:?}: {sizes:?}");
    }
}

fn everything_is_built_weighed_and_timed() {
    let home = tempfile::tempdir().unwrap();
    let from = base("bookworm");
    let words = ["compare", "pre-commit", "--from", &from, "--measure", "--engine", "docker", "--json"];
    let _own = builder();
    let comparison: Value = serde_json::from_str(&run(home.path(), &words)).unwrap();
    assert_eq!(comparison["check"], "pre-commit --version");
    let images = comparison["images"].as_array().unwrap();
    assert_eq!(images.len(), 4);
    for image in images {
        let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{image:#}"));
        assert_eq!(image["is_measured"], true);
        assert!(number(&image["start_ms"]) > 0 && number(&image["build"]["uncached_ms"]) > 0);
        // The sum of the sizes of files in the layers must match the size that the engine reports.
        let sum: u64 = image["contents"].as_object().unwrap().values().map(number).sum();
        assert!(percent_off(sum, number(&image["raw_bytes"])).abs() < 1.0, "{image:#}");
        assert!(number(&image["compressed_bytes"]) < number(&image["raw_bytes"]));
        let tag = format!("lath-compare-{}", image["way"].as_str().unwrap());
        assert!(!docker(&["image", "inspect", &tag]).status.success(), "{tag} is left behind");
    }
    let sizes: Vec<u64> = images.iter().filter_map(|image| image["raw_bytes"].as_u64()).collect();
    assert!(sizes.is_sorted_by(|one, next| one > next), "{sizes:?}");
}
