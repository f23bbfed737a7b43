//! Other tools must be able to read the images: skopeo, umoci and ldconfig.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;

use crate::lath;
use crate::needs::Need::{Ldconfig, Namespaces, Registries, Root, Skopeo, Umoci};
use crate::needs::trial;
use crate::programs::{PROGRAMS, Program};

pub(crate) fn trials() -> Vec<Trial> {
    let of_program = |program: &'static Program| {
        let copied = format!("{}_is_copied_by_skopeo_from_every_format", program.name);
        let unpacked = format!("{}_is_unpacked_by_umoci_to_the_same_files", program.name);
        [
            trial(copied, &program.needs(&[Skopeo]), || skopeo(program)),
            trial(unpacked, &program.needs(&[Umoci]), || umoci(program)),
        ]
    };
    let of_loader = trial(
        "a_driver_that_is_mounted_is_found_after_ldconfig",
        &[Registries, Namespaces, Ldconfig, Root],
        a_driver_that_is_mounted_is_found_after_ldconfig,
    );
    PROGRAMS.iter().flat_map(of_program).chain([of_loader]).collect()
}

/// Tools for GPUs mount the driver into a container. Then they run the host's `ldconfig -r` on the root directory of
/// the container.
fn a_driver_that_is_mounted_is_found_after_ldconfig() {
    let built = PROGRAMS[0].built();
    let root = built.folder.join("with-driver");
    said("cp", &["-a", built.root().to_str().unwrap(), root.to_str().unwrap()]);
    let loader = |words: &[&str]| said("ldconfig", &[&["-r", root.to_str().unwrap()], words].concat());
    // A copy of zlib is used as the driver, because the kind of library does not matter.
    let folder = root.join("driver");
    fs_err::create_dir(&folder).unwrap();
    let library = root.join("usr/lib").join(format!("{}-linux-gnu/libz.so.1", std::env::consts::ARCH));
    fs_err::copy(library, folder.join("libz.so.1")).unwrap();
    fs_err::write(root.join("etc/ld.so.conf.d/00-driver.conf"), "/driver\n").unwrap();
    assert!(!loader(&["-p"]).contains("/driver/libz.so.1"));
    assert_eq!(loader(&[]), "");
    let listed = loader(&["-p"]);
    assert!(listed.contains("/driver/libz.so.1") && listed.contains("libc.so.6"), "{listed}");
    fs_err::remove_dir_all(root).unwrap();
}

/// skopeo can read both formats of the archive, and the layout. The OCI formats keep the image's digest.
fn skopeo(program: &Program) {
    let built = program.built();
    let (archive, layout) = (built.archive(), built.layout());
    let sources = [
        (format!("oci-archive:{}", archive.display()), true),
        (format!("docker-archive:{}", archive.display()), false),
        (format!("oci:{}", layout.display()), true),
    ];
    for (number, (source, keeps_digest)) in sources.iter().enumerate() {
        let copy = built.folder.join(format!("skopeo-{number}"));
        let to = format!("oci:{}:copy", copy.display());
        said("skopeo", &["--insecure-policy", "copy", "--quiet", source, &to]);
        let digest = said("skopeo", &["inspect", "--format", "{{.Digest}}", &to]);
        if *keeps_digest {
            assert_eq!(digest.trim(), built.checked.digest, "{source}");
        }
        let config = said("skopeo", &["inspect", "--config", &to]);
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        assert_eq!(config["rootfs"], built.checked.platforms[0].config["rootfs"], "{source}");
        fs_err::remove_dir_all(copy).unwrap();
    }
}

/// When umoci unpacks the layout, the result contains exactly the paths of the image.
fn umoci(program: &Program) {
    let built = program.built();
    let bundle = built.folder.join("bundle");
    let image = format!("{}:{}", built.layout().display(), built.checked.names[0]);
    said("umoci", &["unpack", "--rootless", "--image", &image, bundle.to_str().unwrap()]);
    let mut found = BTreeSet::new();
    paths(&bundle.join("rootfs"), "", &mut found);
    let expected: BTreeSet<String> = built.checked.platforms[0].files.keys().cloned().collect();
    let differing: Vec<&String> = found.symmetric_difference(&expected).collect();
    assert!(differing.is_empty(), "{differing:?}");
    fs_err::remove_dir_all(bundle).unwrap();
}

fn paths(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
    for entry in fs_err::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            paths(&entry.path(), &format!("{path}/"), found);
        }
        found.insert(path);
    }
}

fn said(program: &str, words: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(words);
    lath::stdout_of(command, "")
}
