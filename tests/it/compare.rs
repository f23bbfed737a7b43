//! `lath compare` without an engine: the computed sizes, the output, the chart and the errors.

use std::process::{Command, Output};

use serde_json::Value;
use testkit::{DebBuilder, DebianArchive, PyPi};

use crate::world::{World, archive, lath, stdout, tool};

/// Returns the usual archive with the packages that a Dockerfile would install: a system with apt, Python's packages,
/// pip and a compiler.
fn whole_archive() -> DebianArchive {
    let package = |name: &str, section: &str, kib: &str| {
        DebBuilder::new(name, "1", "all").field("Section", section).field("Installed-Size", kib)
    };
    let packages = [
        package("base-files", "admin", "400").field("Essential", "yes"),
        package("dash", "shells", "200").field("Priority", "required"),
        package("apt", "admin", "4000"),
        package("python3-minimal", "python", "100").recommends("python3"),
        package("python3", "python", "90").depends("python3-minimal, libpython3.13-stdlib"),
        package("python3-pip", "python", "7000").depends("python3").recommends("build-essential"),
        package("build-essential", "devel", "20").depends("gcc"),
        package("gcc", "devel", "90000"),
    ];
    packages.into_iter().fold(archive(), |archive, package| archive.deb(&package.build()))
}

fn world() -> World {
    World::new(whole_archive(), PyPi::new().built(&tool()))
}

/// Runs `lath compare` with the options that [`World::command`] uses for `lath build`.
fn compare(world: &World, words: &str) -> Output {
    let build = world.command(words);
    let mut command = Command::new(lath());
    command.current_dir(build.get_current_dir().unwrap()).env_clear();
    command.envs(build.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.arg("compare").args(build.get_args().skip(1)).output().unwrap()
}

fn json(world: &World, words: &str) -> Value {
    serde_json::from_str(&stdout(compare(world, &format!("tool --json {words}")))).unwrap()
}

fn bytes(image: &Value, content: &str) -> u64 {
    image["contents"][content].as_u64().unwrap_or(0)
}

#[test]
fn four_images_are_told_from_the_fattest_on_and_only_the_fat_one_has_compilers() {
    let comparison = json(&world(), "");
    let images = comparison["images"].as_array().unwrap();
    let ways: Vec<&str> = images.iter().map(|image| image["way"].as_str().unwrap()).collect();
    assert_eq!(ways, ["fat", "recipe", "lean", "lath"]);
    let sizes: Vec<u64> = images.iter().map(|image| image["raw_bytes"].as_u64().unwrap()).collect();
    assert!(sizes.is_sorted_by(|one, next| one > next), "{sizes:?}");
    assert!(bytes(&images[0], "compilers") > 90_000_000 && bytes(&images[0], "pip") > 6_000_000, "{comparison:#}");
    for image in &images[1..] {
        assert_eq!(bytes(image, "compilers") + bytes(image, "pip"), 0, "{comparison:#}");
    }
    // Three packages are base-files, dash and apt. The other three are python3-minimal and its recommended packages.
    assert_eq!(images[1]["debian_packages"], 3 + 3);
    assert_eq!(images[3]["is_measured"], true);
    assert_eq!(images[0]["is_measured"], false);
    assert_eq!(comparison["program"], "tool 1.0");
}

/// Writes the files for inputs of each kind, except for inputs that are names.
fn write_inputs(world: &World) {
    let files = [
        ("shop/requirements.txt", "tool\n"),
        ("shop/main.py", "import tool\n"),
        ("service/pyproject.toml", "[project]\nname = 'service'\nversion = '1'\ndependencies = ['tool']\n"),
        ("service/main.py", "import tool\n"),
        ("report.py", "# /// script\n# dependencies = ['tool']\n# ///\nimport tool\n"),
    ];
    for (path, text) in files {
        fs_err::create_dir_all(world.path(path).parent().unwrap()).unwrap();
        fs_err::write(world.path(path), text).unwrap();
    }
}

#[test]
fn applications_projects_scripts_and_locks_are_compared() {
    let world = world();
    write_inputs(&world);
    stdout(world.lock("tool"));
    let by_name = json(&world, "");
    let debian_packages = |comparison: &Value| {
        let images = comparison["images"].as_array().unwrap();
        images.iter().map(|image| image["debian_packages"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let table = [
        ("./shop --json -- python main.py", "tool 1.0"),
        ("./service --json -- python main.py", "tool 1.0"),
        ("report.py --json", "tool 1.0"),
        ("--locked --json", "tool 1.0"),
    ];
    for (words, program) in table {
        let comparison: Value = serde_json::from_str(&stdout(compare(&world, words))).unwrap();
        assert_eq!(comparison["program"], program, "{words}");
        assert_eq!(debian_packages(&comparison), debian_packages(&by_name), "{words}");
        for (image, of_name) in
            comparison["images"].as_array().unwrap().iter().zip(by_name["images"].as_array().unwrap())
        {
            assert!(image["raw_bytes"].as_u64() >= of_name["raw_bytes"].as_u64(), "{words}: {image:#}");
        }
    }
    let without_command = compare(&world, "./shop");
    assert_eq!(without_command.status.code(), Some(1));
    insta::assert_snapshot!(world.error_in(&String::from_utf8(without_command.stderr).unwrap()), @"
    error: cannot choose the command of the image: it could run the console script `tool`

    hint: name the command after `--`, such as `lath build . -- uvicorn main:app --host 0.0.0.0`, or the module with `-m MODULE`
    ");
}

#[test]
fn contents_sum_up_to_the_raw_size() {
    for apt in ["official", "plain"] {
        for image in json(&world(), &format!("--apt {apt}"))["images"].as_array().unwrap() {
            let sum: u64 = image["contents"].as_object().unwrap().values().map(|bytes| bytes.as_u64().unwrap()).sum();
            assert_eq!(sum, image["raw_bytes"].as_u64().unwrap(), "{image}");
        }
    }
}

#[test]
fn a_plain_base_keeps_packages_that_an_official_one_removes() {
    let world = world();
    let (plain, official) = (json(&world, "--apt plain"), json(&world, "--apt official"));
    assert!(bytes(&plain["images"][0], "apt-caches") > 0);
    assert_eq!(bytes(&official["images"][0], "apt-caches"), 0);
    assert_eq!(bytes(&plain["images"][2], "apt-caches"), 0, "lean leaves nothing behind");
}

#[test]
fn a_table_is_printed_and_a_picture_drawn_and_no_image_is_written() {
    let world = world();
    let said = stdout(compare(&world, "tool --svg sizes.svg"));
    assert!(said.starts_with("tool 1.0 on debian:trixie, linux/amd64\n"), "{said}");
    assert!(said.contains("contents of fat that lath does not have:\n") && said.contains("  compilers\n"), "{said}");
    let svg = fs_err::read_to_string(world.path("sizes.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains("prefers-color-scheme:dark"), "{svg}");
    assert!(!world.path("tool.tar").exists() && !world.path("compare.tar").exists());
    // The same request leads to the same output, even without a network.
    assert_eq!(stdout(compare(&world, "tool --offline")), said);
}

#[test]
fn a_mirror_without_lists_of_files_is_told_of_and_the_numbers_are_estimated() {
    let world = world();
    for path in world.debian.server.paths() {
        if path.contains("Contents-amd64") || path.contains("by-hash") {
            world.debian.server.remove(&path);
        }
    }
    let output = compare(&world, "tool");
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    insta::assert_snapshot!(said.lines().find(|line| line.starts_with("note: ")).unwrap(), @"
    note: the archive has no lists of files: the numbers of files are estimates
    ");
    assert!(stdout(output).contains("compilers"));
}

#[test]
fn a_base_without_apt_or_without_the_python_is_refused() {
    let without_apt = World::usual();
    let said = String::from_utf8(compare(&without_apt, "tool").stderr).unwrap();
    insta::assert_snapshot!(without_apt.error_in(&said), @"
    error: cannot compare with Dockerfiles on `debian:trixie`: its archive has no `apt`
    ");
    let said = String::from_utf8(compare(&world(), "tool --python 3.12 --base debian:trixie").stderr).unwrap();
    insta::assert_snapshot!(without_apt.error_in(&said), @"
    error: cannot install python 3.12 on `debian:trixie`: its `python3` has version 3.13

    hint: use `--from ubuntu:noble`, which has it
    ");
}

/// Returns the error in the messages of lath.
fn error_in(said: &str) -> &str {
    said[said.find("error: ").unwrap()..].trim_end()
}

/// Runs `lath compare tool --measure`. `docker` is the script that is run as Docker. If it is `None`, there is no
/// engine.
fn measure(docker: Option<&str>, words: &str) -> String {
    let world = world();
    let engines = world.path("engines");
    fs_err::create_dir(&engines).unwrap();
    if let Some(script) = docker {
        fs_err::write(engines.join("docker"), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs_err::set_permissions(engines.join("docker"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let build = world.command("");
    let mut command = Command::new(lath());
    command.current_dir(build.get_current_dir().unwrap()).env_clear();
    command.envs(build.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("PATH", engines);
    let ordinary = build.get_args().skip(1).filter(|word| *word != "--no-verify");
    let output = command.args(["compare", "tool", "--measure"]).args(ordinary).args(words.split_whitespace()).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(if words.is_empty() { 1 } else { 2 }), "{output:?}");
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn measuring_without_an_engine_is_refused() {
    let said = measure(None, "");
    insta::assert_snapshot!(error_in(&said), @"
    error: cannot find an engine: `docker` is not installed; `podman` is not installed

    hint: start Docker, or install podman or buildah; `lath build` and `lath run` do not need an engine
    ");
    let said = measure(None, "--engine buildah");
    insta::assert_snapshot!(error_in(&said), @"
    error: cannot measure with buildah: it has no command that saves images; use `docker` or `podman`
    ");
}

#[test]
fn an_engine_that_dies_before_or_after_the_build_is_told_of() {
    let answers = "case $1 in version) echo 20.10.1 20.10.1;; build) exit 0;; run) exit 0;; image) echo 1000;;";
    let said = measure(Some(&format!("{answers} save) echo no tar; exit 1;; esac")), "");
    insta::assert_snapshot!(error_in(&said), @"
    error: cannot read the layers of `lath-compare-fat` from `docker save`
      cause: failed to read entire block
    ");
    let said = measure(
        Some(
            "case $1 in version) test ! -e gone && echo 20.10.1 20.10.1;; buildx) exit 1;; build) : > gone; exit 1;; esac",
        ),
        "",
    );
    insta::assert_snapshot!(error_in(&said), @"
    error: cannot build `lath-compare-fat`: the engine does not answer any more, `docker build` ended with exit code 1

    hint: check whether the engine is running, then build again: finished steps are in its cache
    ");
}

#[test]
fn options_that_write_an_image_are_refused() {
    let world = world();
    for (words, tip) in [
        ("tool -o tool.tar", "tip: `-o` is an option of `lath build`, `lath trace`, `lath lock` and `lath dockerfile`"),
        ("tool --load", "tip: `--load` is an option of `lath build`"),
    ] {
        let output = compare(&world, words);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(tip), "{said}");
    }
}

#[test]
fn every_command_shows_the_hint_of_a_world_that_cannot_be_opened() {
    let world = world();
    fs_err::write(world.path("keys"), "-----BEGIN PGP PUBLIC KEY BLOCK-----\n").unwrap();
    for output in [world.build("tool"), world.dockerfile("tool"), compare(&world, "tool")] {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("keyring `keys`") && said.matches("`gpg --dearmor`").count() == 1, "{said}");
    }
}
