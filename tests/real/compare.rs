//! `lath compare`, with and without a real engine. The trials of `lath dockerfile` compare the computed sizes with the
//! sizes of images that an engine has built.

use libtest_mimic::Trial;
use serde_json::Value;

use crate::bases::{base, builder, docker};
use crate::lath::{self, succeeded};
use crate::needs::Need::{Debootstrap, Engine, Namespaces, Registries, Root};
use crate::needs::trials_of;

pub(crate) fn trials() -> Vec<Trial> {
    trials_of![&[Namespaces, Registries]; sources_are_compared_without_an_engine]
}

/// Returns the trials that build images in the engine.
pub(crate) fn building() -> Vec<Trial> {
    trials_of![&[Debootstrap, Engine, Namespaces, Registries, Root]; everything_is_built_weighed_and_timed]
}

/// Returns the difference between `reckoned` and `measured`, in percent of `measured`.
pub(crate) fn percent_off(reckoned: u64, measured: u64) -> f64 {
    (reckoned as f64 / measured as f64 - 1.0) * 100.0
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
    // The index has no wheel of docopt.
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
    // This program is small, so all of its images can be built in a short time.
    let words = ["compare", "yamllint", "--from", &from, "--measure", "--engine", "docker", "--json"];
    let _own = builder();
    let said = succeeded(lath::run_with_certificates(home.path(), &words));
    let comparison: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(comparison["check"], "yamllint --version");
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
