//! `lath explain` shows the reasons for each path, package and module of an image, on this machine and on others.

use std::process::{Command, Output};

use testkit::registry::{Fault, Operation};
use testkit::{PyPi, Registry, WheelBuilder};

use crate::world::{World, archive, lath, stdout};

/// Runs `lath explain` with the given cache.
fn run(world: &World, cache: &str, words: &str) -> Output {
    let mut command = Command::new(lath());
    command.current_dir(world.path("")).env_clear().env("LATH_CACHE_DIR", cache).arg("explain");
    command.args(words.split_whitespace()).output().unwrap()
}

fn explain(world: &World, words: &str) -> String {
    stdout(run(world, "cache", words))
}

/// Runs `lath explain` with an empty cache, like on another machine.
fn elsewhere(world: &World, words: &str) -> String {
    stdout(run(world, "elsewhere", words))
}

fn refusal(world: &World, cache: &str, words: &str) -> String {
    let output = run(world, cache, words);
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    format!("exit {}\n{}", output.status.code().unwrap(), world.error_in(&String::from_utf8(output.stderr).unwrap()))
}

/// Creates a world with a tool that imports one of two modules of another distribution.
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
    insta::assert_snapshot!(names.map(|name| shown(&name)).join("\n"), @"
    /opt/app/lib/python3.13/site-packages/parts/used.py
      9 bytes, wheel parts 2.0
      the file of the module `parts.used`
      imported by `tool.run`
      imported by `tool`
      started by the console script `tool`

    module parts.unused

    /opt/app/lib/python3.13/site-packages/parts/unused.py
      11 bytes, wheel parts 2.0
      removed: modules that no program of the image can import (unreached-modules)
      kept by `--keep-module parts.unused`

    wheel parts 2.0
      689 bytes in 11 paths; trim removed 11 bytes
      without it and everything that only it requires, the image has 689 bytes less
      required by wheel tool
      requested

    module parts

    /opt/app/lib/python3.13/site-packages/parts/__init__.py
      0 bytes, wheel parts 2.0
      the file of the module `parts`
      the package that contains `parts.used`
      imported by `tool.run`
      imported by `tool`
      started by the console script `tool`

    deb libc6 2.41-12
      4 bytes in 2 paths; trim removed 0 bytes
      required by deb python3.13-minimal
      in every image: the interpreter
    ");
}

#[test]
fn without_a_name_all_packages_are_a_table() {
    let world = world();
    stdout(world.build("tool -o tool.tar"));
    insta::assert_snapshot!(explain(&world, "tool.tar"), @"
    tool for linux/amd64: 8.3 kB of files; trim removed 4 bytes

           size     removed if left out   paths  package
         6.5 kB     0 bytes           -      56  lath
         1.0 kB     0 bytes      1.7 kB       9  wheel tool 1.0
      700 bytes     0 bytes   700 bytes      12  wheel parts 2.0
       20 bytes     0 bytes           -       2  deb libpython3.13-stdlib 1
       20 bytes     4 bytes           -       4  deb python3.13-minimal 3.13.5-2
       15 bytes     0 bytes           -       3  deb ca-certificates 1
       11 bytes     0 bytes           -       2  deb media-types 1
        8 bytes     0 bytes           -       2  deb libc-bin 1
        7 bytes     0 bytes           -       2  deb netbase 1
        6 bytes     0 bytes           -       2  deb tzdata 1
        4 bytes     0 bytes           -       2  deb libc6 2.41-12

    if left out: the bytes that go without it, with everything that only it requires
    ");
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
    // If the cache no longer contains the explanation, the next build makes the image and its explanation again.
    let blobs = fs_err::read_dir(world.path("cache/store/notes/explanations-2")).unwrap();
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
        // A second push of the same image sends no blob. Another image in the same repository gets its own explanation.
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
fn an_attached_explanation_is_listed_again_if_another_push_replaced_the_list() {
    let (world, registry) = (world(), Registry::new().without_referrers().serve());
    let name = registry.image("team/tool:1");
    // The registry accepts the list of referrers, but does not store it. If another push replaced the list, the effect
    // would be the same.
    registry.fault(Fault::on(Operation::PutManifest).with("/sha256-").status(201));
    stdout(world.build(&format!("tool -t {name} --push --attach-explanation")));
    assert!(elsewhere(&world, &format!("docker://{name} parts")).contains("required by wheel tool"));
}

#[test]
fn all_chains_of_a_module_have_all_modules_that_lead_to_it() {
    let world = world();
    let again = WheelBuilder::new("again", "1.0").requires("tool").script("again", "again:main");
    let again = again.file("again.py", "import parts.used\ndef main(): from tool import main\n");
    fs_err::write(world.path(&again.file_name()), again.build()).unwrap();
    stdout(world.build(&format!("tool ./{} -t t --trim reach -o tool.tar", again.file_name())));
    insta::assert_snapshot!(explain(&world, "tool.tar parts.used --all"), @"
    module parts.used

    /opt/app/lib/python3.13/site-packages/parts/used.py
      9 bytes, wheel parts 2.0
      the file of the module `parts.used`
      imported by `again`
      started by the console script `again`

      the file of the module `parts.used`
      imported by `tool.run`
      imported by `tool`
      started by the console script `tool`

      the file of the module `parts.used`
      imported by `tool.run`
      imported by `tool`
      imported by `again`
      started by the console script `again`
    ");
    let json: serde_json::Value = serde_json::from_str(&explain(&world, "tool.tar parts.used --all --json")).unwrap();
    let file = &json[0]["files"][0];
    assert_eq!(file["more_chains"], serde_json::Value::Null);
    let chains = file["chains"].as_array().unwrap();
    assert!(chains.iter().any(|chain| chain[1]["module"] == "again") && chains.len() > 1, "{chains:?}");
}

/// Calls that fail. Each entry is the folder of the cache and the words of the command line.
const REFUSED: [(&str, &str); 12] = [
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

#[test]
fn unknown_images_and_names_are_refused_by_name() {
    let world = world();
    stdout(world.build("tool -o tool.tar"));
    fs_err::write(world.path("text"), "text").unwrap();
    let shown = REFUSED.map(|(cache, words)| format!("$ lath explain {words}\n{}", refusal(&world, cache, words)));
    insta::assert_snapshot!(shown.join("\n"), @"
    $ lath explain tool.tar part
    exit 1
    error: cannot explain `part`: `tool` has no path, package or module of this name, and trim removed none

    hint: did you mean `parts`?
    $ lath explain tool.tar /usr/bin/python3.12
    exit 1
    error: cannot explain `/usr/bin/python3.12`: `tool` has no path, package or module of this name, and trim removed none

    hint: did you mean `/usr/bin/python3.13` or `/usr/bin/python3` or `/usr/bin/python`?
    $ lath explain tool.tar nothing-like-it
    exit 1
    error: cannot explain `nothing-like-it`: `tool` has no path, package or module of this name, and trim removed none
    $ lath explain tool.tar
    exit 1
    error: cannot find the explanation of `tool.tar`: it was not made with this cache, and no registry has an explanation for it

    hint: build the image here, or use `--from` with its explanation
    $ lath explain tool.tar --platform linux/s390x
    exit 2
    error: cannot build for the platform `linux/s390x`: lath supports `linux/amd64` and `linux/arm64`
    $ lath explain tool.tar --platform linux/arm64
    exit 1
    error: cannot find an image for linux/arm64: there is only linux/amd64
    $ lath explain gone.tar
    exit 2
    error: cannot find the image `gone.tar`: there is no such file or folder
    $ lath explain text
    exit 1
    error: cannot open the image `oci-archive:text`
      cause: cannot read the image
      cause: failed to read entire block
    $ lath explain --from text
    exit 1
    error: cannot read the explanation in `text`
      cause: it is not compressed with zstd, or too large
      cause: Unknown frame descriptor
    $ lath explain --from gone
    exit 1
    error: cannot read `gone`
      cause: failed to open file `gone`: No such file or directory (os error 2)
    $ lath explain tool.tar parts --from text
    exit 2
    error: cannot use an image and `--from` together: leave out the image
    $ lath explain 
    exit 2
    error: cannot explain nothing: name an image, such as `pre-commit.tar`, or a file with `--from`
    ");
}
