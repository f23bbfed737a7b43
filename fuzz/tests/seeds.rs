//! Passes every seed to its target once.

use std::fs;
use std::path::Path;

const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("control", lath_fuzz::control),
    ("deb", lath_fuzz::deb),
    ("elf", lath_fuzz::elf),
    ("git_index", lath_fuzz::git_index),
    ("gsettings", lath_fuzz::gsettings),
    ("in_release", lath_fuzz::in_release),
    ("ld_so_cache", lath_fuzz::ld_so_cache),
    ("oci_layout", lath_fuzz::oci_layout),
    ("python_imports", lath_fuzz::python_imports),
    ("pylock", lath_fuzz::pylock),
    ("release", lath_fuzz::release),
    #[cfg(feature = "requirements")]
    ("requirements", lath_fuzz::requirements),
    ("requirements_txt", lath_fuzz::requirements_txt),
    ("saved_image", lath_fuzz::saved_image),
    ("tar", lath_fuzz::tar),
    ("wheel", lath_fuzz::wheel),
    ("wheel_texts", lath_fuzz::wheel_texts),
];

#[test]
fn every_seed_passes_its_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for (name, target) in TARGETS {
        let mut seeds: Vec<_> = fs::read_dir(folder.join(name)).unwrap().map(|seed| seed.unwrap().path()).collect();
        seeds.sort();
        assert!(!seeds.is_empty(), "{name} has no seeds");
        for seed in seeds {
            println!("{}", seed.display());
            target(&fs::read(&seed).unwrap());
        }
    }
}
