//! `lath dockerfile --build` with a real engine, on a base image made from Debian's archive. In every style, the image
//! can be built and works, and contains no certificate of this machine. In the style lean, its user base has the same
//! files as lath's own image.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fs_err as fs;
use libtest_mimic::Trial;
use serde_json::Value;

use crate::bases::{base, builder, docker};
use crate::compare::percent_off;
use crate::docker_registry::DockerRegistry;
use crate::lath::{self, succeeded};
use crate::needs::Need::{self, Debootstrap, Engine, Namespaces, Registries, Root};
use crate::needs::trials_of;

pub(crate) fn trials() -> Vec<Trial> {
    let needs = [Registries, Namespaces, Engine, Debootstrap, Root];
    let mut trials = trials_of![&needs; every_style_builds_works_and_leaves_no_certificate, every_style_builds_a_project_from_its_folder, the_user_base_of_lean_and_of_the_own_image_hold_the_same_files];
    let needs = [&needs[..], &[Need::DockerRegistry]].concat();
    trials.extend(trials_of![&needs; a_dockerfile_on_a_base_image_builds_the_same]);
    trials
}

const STYLES: [&[&str]; 4] = [&["--style", "recipe"], &["--style", "lean"], &["--style", "uv"], &["--fat"]];

/// Builds the Dockerfile of `program` on the base image `from`, with the certificates that this machine trusts.
fn build(home: &Path, (program, from): (&str, &str), words: &[&str], tag: &str) -> Output {
    let of_program = ["dockerfile", program, "--from", from, "--build", "--engine", "docker", "-t", tag];
    lath::run_with_certificates(home, &[&of_program, words].concat())
}

/// Builds the Dockerfile of `program` in every style. `check` must work in each image, and `lath compare` must compute
/// nearly the same size.
fn build_in_every_style(home: &Path, program: &str, suite: &str, check: &str) {
    let from = base(suite);
    let reckoned = reckoned_bytes(home, program, &from);
    let (mut compared, mut off) = (0, Vec::new());
    for style in STYLES {
        let name = style.concat().replace("--style", "").replace("--", "");
        let tag = format!("lath-test-dockerfile-{suite}-{name}");
        let words = [style, &["--check", check]].concat();
        let _own = builder();
        let said = succeeded(build(home, (program, &from), &words, &tag));
        assert_eq!(said, format!("{tag}\n"));
        let left = "test ! -e /ca.crt && test ! -e /run/secrets/ca";
        succeeded(docker(&["run", "--rm", "--entrypoint", "/bin/sh", &tag, "-c", left]));
        let history = succeeded(docker(&["history", "--no-trunc", &tag]));
        assert!(!history.contains("BEGIN CERTIFICATE"), "{history}");
        if let Some(reckoned) = reckoned.get(&name) {
            let size = succeeded(docker(&["image", "inspect", "--format", "{{.Size}}", &tag]));
            let size = size.trim();
            let percent = percent_off(*reckoned, size.parse().unwrap());
            compared += 1;
            if percent.abs() > 5.0 {
                off.push(format!("{program} on {suite}, {name}: {reckoned} for {size}, {percent:.1} %"));
            }
        }
        succeeded(docker(&["rmi", &tag]));
    }
    // `lath compare` computes the sizes of three of the styles.
    assert_eq!(compared, 3);
    assert!(off.is_empty(), "{}", off.join("\n"));
}

/// Returns the sizes that `lath compare` computes for the images, by the names of the styles.
fn reckoned_bytes(home: &Path, program: &str, from: &str) -> BTreeMap<String, u64> {
    let words = ["compare", program, "--from", from, "--apt", "plain", "--json"];
    let comparison: Value = serde_json::from_str(&succeeded(lath::run_with_certificates(home, &words))).unwrap();
    let images = comparison["images"].as_array().unwrap().iter();
    images.map(|image| (image["way"].as_str().unwrap().to_owned(), image["raw_bytes"].as_u64().unwrap())).collect()
}

fn every_style_builds_works_and_leaves_no_certificate() {
    let home = tempfile::tempdir().unwrap();
    build_in_every_style(home.path(), "pre-commit", "bookworm", "pre-commit sample-config");
}

/// Writes a project that requires two distributions: one from the index, and one from another folder.
fn write_project(home: &Path) {
    let pyproject = "[project]\nname = 'my-service'\nversion = '1.2'\ndependencies = ['six', 'helper']\n\
        [project.scripts]\nserve = 'my_service:main'\n[tool.uv.sources]\nhelper = { path = 'extra' }\n\
        [build-system]\nrequires = ['hatchling']\nbuild-backend = 'hatchling.build'\n";
    let helper = "[project]\nname = 'helper'\nversion = '3'\n\
        [build-system]\nrequires = ['setuptools']\nbuild-backend = 'setuptools.build_meta'\n";
    let main = "import helper, six, sys\n\ndef main():\n    print(helper.WORD, six.__name__, sys.argv[1:])\n";
    for (path, text) in [
        ("pyproject.toml", pyproject),
        ("src/my_service/__init__.py", main),
        ("extra/pyproject.toml", helper),
        ("extra/src/helper/__init__.py", "WORD = 'helped'\n"),
    ] {
        fs::create_dir_all(home.join(path).parent().unwrap()).unwrap();
        fs::write(home.join(path), text).unwrap();
    }
}

fn every_style_builds_a_project_from_its_folder() {
    let home = tempfile::tempdir().unwrap();
    write_project(home.path());
    build_in_every_style(home.path(), ".", "trixie", "serve word | grep -q \"helped six .'word'\"");
}

/// Returns whether a file in the user base exists or differs only because of the installer.
fn is_installers(path: &str) -> bool {
    let is_of_dist_info = path.contains(".dist-info/")
        && ["INSTALLER", "RECORD", "REQUESTED"].iter().any(|name| path.ends_with(&format!("/{name}")));
    // If pip installs pip, it adds one more script, whose name contains the version of Python.
    is_of_dist_info || path == "bin/pip3.11"
}

/// Collects the files of the user base with their bytes. Bytecode and files that depend on the installer are left out.
fn files(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            files(root, &path, found);
            continue;
        }
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        if !name.contains("__pycache__") && !is_installers(&name) {
            found.insert(name, fs::read(&path).unwrap());
        }
    }
}

fn the_user_base_of_lean_and_of_the_own_image_hold_the_same_files() {
    let from = base("bookworm");
    let home = tempfile::tempdir().unwrap();
    for program in ["pre-commit", "httpie"] {
        let tag = format!("lath-test-same-{program}");
        let own_builder = builder();
        succeeded(build(home.path(), (program, &from), &["--style", "lean"], &tag));
        let copied = "id=$(docker create \"$0\") && docker cp \"$id\":/opt/app lean && docker rm \"$id\"";
        succeeded(Command::new("sh").args(["-ec", copied, &tag]).current_dir(home.path()).output().unwrap());
        succeeded(docker(&["rmi", &tag]));
        drop(own_builder);
        // The image is not trimmed, because `standard` would remove the symbols of extension modules.
        let words =
            ["build", program, "--release", "debian:bookworm", "--trim", "none", "--no-verify", "-o", "dir:own"];
        succeeded(lath::run(home.path(), &words));
        let (mut lean, mut own) = (BTreeMap::new(), BTreeMap::new());
        files(&home.path().join("lean"), &home.path().join("lean"), &mut lean);
        files(&home.path().join("own/opt/app"), &home.path().join("own/opt/app"), &mut own);
        let names = |found: &BTreeMap<String, Vec<u8>>| found.keys().cloned().collect::<Vec<_>>().join("\n");
        assert!(lean.len() > 300, "{}", lean.len());
        assert_eq!(names(&lean), names(&own));
        for (name, bytes) in &lean {
            // Console scripts are not compared, because each installer writes other lines into them.
            assert!(name.starts_with("bin/") || own[name] == *bytes, "`{name}` of {program} differs");
        }
        fs::remove_dir_all(home.path().join("lean")).unwrap();
        fs::remove_dir_all(home.path().join("own")).unwrap();
    }
}

/// Creates an image of Debian with Debian's Python and pip, and pushes it to a registry. Returns its name there.
fn base_with_python(registry: &DockerRegistry, home: &Path) -> String {
    let name = format!("{}/base/python:3.13", registry.host);
    let line = "RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-pip";
    fs::write(home.join("Dockerfile"), format!("FROM {}\n{line}\n", base("trixie"))).unwrap();
    succeeded(Command::new("docker").args(["build", "-q", "-t", &name, "."]).current_dir(home).output().unwrap());
    succeeded(docker(&["push", "-q", &name]));
    name
}

/// Builds a project, and a distribution without wheels, with the Python of the base image `source`.
fn build_sources_on_base(source: &str) {
    let project = tempfile::tempdir().unwrap();
    write_project(project.path());
    for style in ["lean", "recipe"] {
        let tag = format!("lath-test-sources-on-base-{style}");
        let check = "serve word | grep -q \"helped six .'word'\"";
        let words = ["dockerfile", ".", "docopt==0.6.2", "--base", source, "--style", style, "--check", check];
        let words = [&words[..], &["--build", "--engine", "docker", "-t", &tag]].concat();
        succeeded(lath::run_with_certificates(project.path(), &words));
        succeeded(docker(&["run", "--rm", "--entrypoint", "python3", &tag, "-c", "import docopt"]));
        succeeded(docker(&["rmi", &tag]));
    }
}

fn a_dockerfile_on_a_base_image_builds_the_same() {
    let (home, registry) = (tempfile::tempdir().unwrap(), DockerRegistry::open());
    let own_builder = builder();
    let name = base_with_python(&registry, home.path());
    let source = format!("docker://{name}");
    let tags = ["lath-test-on-base-lean", "lath-test-on-base-own"];
    let words = ["dockerfile", "httpie", "--base", &source, "--style", "lean", "--build", "--engine", "docker"];
    build_sources_on_base(&source);
    succeeded(lath::run_with_certificates(home.path(), &[&words[..], &["-t", tags[0]]].concat()));
    // The image is not trimmed, because `standard` would remove the symbols of extension modules.
    let own = ["build", "httpie", "--base", &source, "--trim", "none", "--no-verify", "-t", tags[1]];
    let engine = format!("docker-daemon:{}:latest", tags[1]);
    succeeded(lath::run_without_base(home.path(), &[&own[..], &["-o", &engine]].concat()));
    let found = tags.map(|tag| {
        let copied = "id=$(docker create \"$0\" x) && docker cp \"$id\":/opt/app \"$0\" && docker rm \"$id\"";
        succeeded(Command::new("sh").args(["-ec", copied, tag]).current_dir(home.path()).output().unwrap());
        let mut found = BTreeMap::new();
        files(&home.path().join(tag), &home.path().join(tag), &mut found);
        // Console scripts are not compared, because each installer writes other lines into them.
        found.iter_mut().filter(|(name, _)| name.starts_with("bin/")).for_each(|(_, bytes)| bytes.clear());
        let settings = "{{json .Config.Entrypoint}} {{.Config.User}} {{.Config.WorkingDir}}";
        let settings = succeeded(docker(&["image", "inspect", "-f", settings, tag]));
        let env = succeeded(docker(&["image", "inspect", "-f", "{{range .Config.Env}}{{println .}}{{end}}", tag]));
        let env: BTreeSet<String> = env.lines().map(str::to_owned).collect();
        let line = "import httpie, sys; print(httpie.__file__, sys.executable)";
        let said = succeeded(docker(&["run", "--rm", "--entrypoint", "python3", tag, "-c", line]));
        (found, settings, env, said)
    });
    for tag in tags.into_iter().chain([name.as_str()]) {
        succeeded(docker(&["rmi", "-f", tag]));
    }
    drop(own_builder);
    let [lean, own] = found;
    assert!(lean.0.len() > 300, "{}", lean.0.len());
    assert_eq!(lean.0.keys().collect::<Vec<_>>(), own.0.keys().collect::<Vec<_>>());
    assert!(lean.0 == own.0, "a file differs");
    assert_eq!((lean.1, lean.2, lean.3), (own.1, own.2, own.3));
}
