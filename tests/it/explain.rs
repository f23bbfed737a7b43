//! `lath explain`: each path, package and module of an image has its reasons, here and on other machines.

use std::process::{Command, Output};

use testkit::registry::Operation;
use testkit::{PyPi, Registry, WheelBuilder};

use crate::world::{World, archive, lath, stdout};

/// Runs `lath explain` with the cache of the builds, or with another one.
fn run(world: &World, cache: &str, words: &str) -> Output {
    let mut command = Command::new(lath());
    command.current_dir(world.path("")).env_clear().env("LATH_CACHE_DIR", cache).arg("explain");
    command.args(words.split_whitespace()).output().unwrap()
}

fn explain(world: &World, words: &str) -> String {
    stdout(run(world, "cache", words))
}

/// Explains with an empty cache, like another machine.
fn elsewhere(world: &World, words: &str) -> String {
    stdout(run(world, "elsewhere", words))
}

fn refusal(world: &World, cache: &str, words: &str) -> String {
    let output = run(world, cache, words);
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    format!("exit {}\n{}", output.status.code().unwrap(), world.error_in(&String::from_utf8(output.stderr).unwrap()))
}

/// A tool that imports one of the two modules of another distribution.
fn world() -> World {
    let tool = WheelBuilder::new("tool", "1.0").requires("parts").script("tool", "tool:main");
    let tool = tool.file("tool/__init__.py", "def main():\n    from . import run\n    return 0\n");
    let tool = tool.file("tool/run.py", "import parts.used\n");
    let parts = WheelBuilder::new("parts", "2.0").file("parts/__init__.py", "").file("parts/used.py", "USED = 1\n");
    let parts = parts.file("parts/unused.py", "UNUSED = 1\n").file("parts/data.txt", "data");
    World::new(archive(), PyPi::new().built(&tool).built(&parts))
}

const SITE: &str = "/opt/app/lib/python3.13/site-packages";

#[test]
fn a_path_a_module_and_a_package_have_their_chains() {
    let world = world();
    stdout(world.build("tool --trim reach -o tool.tar"));
    let shown = |name: &str| explain(&world, &format!("tool.tar {name}"));
    let names = [format!("{SITE}/parts/used.py"), "parts.unused".to_owned(), "parts".to_owned(), "libc6".to_owned()];
    insta::assert_snapshot!(names.map(|name| shown(&name)).join("\n"), @"");
}

#[test]
fn without_a_name_all_packages_are_a_table() {
    let world = world();
    stdout(world.build("tool -o tool.tar"));
    insta::assert_snapshot!(explain(&world, "tool.tar"), @"");
    let json: serde_json::Value = serde_json::from_str(&explain(&world, "tool.tar --json")).unwrap();
    let rows = json["packages"].as_array().unwrap();
    let parts = rows.iter().find(|row| row["package"]["name"] == "parts").unwrap();
    assert_eq!((&parts["package"]["version"], &parts["alone_bytes"]), (&"2.0".into(), &parts["size_bytes"]));
    let answer: serde_json::Value = serde_json::from_str(&explain(&world, "tool.tar parts.used --json")).unwrap();
    assert_eq!(answer[0]["files"][0]["chains"][0][0]["because"], "file-in");
}

#[test]
fn every_form_of_the_same_image_has_the_same_explanation() {
    let world = world();
    let registry = Registry::new().serve();
    let name = registry.image("team/tool:1");
    stdout(world.build(&format!(
        "tool --trim reach -o a.tar -o docker-archive:d.tar -o oci:layout:1 -o oci-archive:o.tar -t {name} --push"
    )));
    let expected = explain(&world, "a.tar parts");
    let digest = registry.tags("team/tool")["1"].clone();
    let places = [
        "docker-archive:d.tar".to_owned(),
        "d.tar".to_owned(),
        "layout".to_owned(),
        "oci:layout:1".to_owned(),
        "oci-archive:o.tar".to_owned(),
        format!("a.tar@{digest}"),
        format!("docker://{name}"),
        format!("docker://{name}@{digest}"),
    ];
    for place in places {
        assert_eq!(explain(&world, &format!("{place} parts")), expected, "{place}");
    }
}

#[test]
fn an_index_has_an_explanation_for_each_platform() {
    let world = world();
    stdout(world.build("tool --platform linux/arm64 -o oci:layout:1 --explanation both"));
    for platform in ["linux/amd64", "linux/arm64"] {
        let table = explain(&world, &format!("layout --platform {platform}"));
        assert!(table.starts_with(&format!("tool for {platform}: ")), "{table}");
        assert_eq!(elsewhere(&world, &format!("--from both --platform {platform}")), table);
    }
}

#[test]
fn an_image_that_was_found_again_has_its_explanation() {
    let world = world();
    stdout(world.lock("tool"));
    stdout(world.build("tool --lock pylock.toml -o first.tar --explanation first"));
    stdout(world.build("tool --lock pylock.toml -o second.tar --explanation second"));
    let read = |name: &str| fs_err::read(world.path(name)).unwrap();
    assert!(!read("first").is_empty());
    assert_eq!(read("first"), read("second"));
    // If the explanation was removed from the cache, the image is made again.
    let blobs = fs_err::read_dir(world.path("cache/store/notes/explanations-1")).unwrap();
    blobs.for_each(|entry| fs_err::remove_file(entry.unwrap().path()).unwrap());
    stdout(world.build("tool --lock pylock.toml -o third.tar --explanation third"));
    assert_eq!(read("first"), read("third"));
}

#[test]
fn an_explanation_travels_as_a_file_and_with_the_image_in_a_registry() {
    for registry in [Registry::new(), Registry::new().without_referrers()] {
        let (world, registry) = (world(), registry.serve());
        let name = registry.image("team/tool:1");
        let words = format!("tool --trim reach -t {name} --push --attach-explanation --explanation file");
        let pushed = stdout(world.build(&words));
        let expected = explain(&world, &format!("docker://{name} parts.unused"));
        assert_eq!(elsewhere(&world, &format!("docker://{name} parts.unused")), expected);
        assert_eq!(elsewhere(&world, "--from file parts.unused"), expected);
        // A second push sends nothing, and another image of the repository gets its own.
        registry.forget_exchanges();
        assert_eq!(stdout(world.build(&words)), pushed);
        assert_eq!(registry.count(Operation::FinishUpload) + registry.count(Operation::SinglePost), 0);
        let other = registry.image("team/tool:2");
        stdout(world.build(&format!("tool -t {other} --push --attach-explanation")));
        assert!(elsewhere(&world, &format!("docker://{other} parts.unused")).contains("required by wheel tool"));
        assert_eq!(elsewhere(&world, &format!("docker://{name} parts.unused")), expected);
    }
}

#[test]
fn unknown_images_and_names_are_refused_by_name() {
    let world = world();
    stdout(world.build("tool -o tool.tar"));
    fs_err::write(world.path("text"), "text").unwrap();
    let table = [
        ("cache", "tool.tar part"),
        ("cache", "tool.tar /usr/bin/python3.12"),
        ("cache", "tool.tar nothing-like-it"),
        ("elsewhere", "tool.tar"),
        ("cache", "tool.tar --platform linux/s390x"),
        ("cache", "tool.tar --platform linux/arm64"),
        ("cache", "gone.tar"),
        ("cache", "text"),
        ("cache", "--from text"),
        ("cache", "--from gone"),
        ("cache", "tool.tar parts --from text"),
        ("cache", ""),
    ];
    let shown = table.map(|(cache, words)| format!("$ lath explain {words}\n{}", refusal(&world, cache, words)));
    insta::assert_snapshot!(shown.join("\n"), @"");
}
