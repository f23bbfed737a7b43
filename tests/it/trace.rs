//! Images that are trimmed according to records. The tests write the records themselves, so no program is run.

use testkit::{DebBuilder, PyPi, WheelBuilder, oci};

use crate::world::{World, archive, stdout};

const SITE: &str = "/opt/app/lib/python3.13/site-packages/tool";

/// Creates a world with a program that computes the names of the modules that it imports.
fn world() -> World {
    let main = "import importlib, sys\ndef main(): importlib.import_module('tool.plugins.' + sys.argv[1])\n";
    let tool = WheelBuilder::new("tool", "1.0").file("tool/__init__.py", main).script("tool", "tool:main");
    let tool = ["one", "two"].iter().fold(tool, |tool, name| tool.file(&format!("tool/plugins/{name}.py"), "x = 1\n"));
    World::new(archive(), PyPi::new().built(&tool.file("tool/data.txt", "data")))
}

/// Builds with `words`. Returns the digest of the image, and the names of the tool's files in it.
fn built(world: &World, words: &str, layout: &str) -> (String, Vec<String>) {
    let said = stdout(world.build(&format!("tool -t t --trim trace -o oci:{layout} {words}")));
    let image = oci::check(&world.path(layout)).unwrap();
    let files = image.platforms[0].files.keys().map(|path| format!("/{}", path.trim_start_matches('/')));
    let own = files.filter_map(|path| path.strip_prefix(&format!("{SITE}/")).map(str::to_owned));
    let files = own.filter(|name| name.contains('.')).collect();
    (said.rsplit_once('@').unwrap().1.trim().to_owned(), files)
}

#[test]
fn records_are_joined_and_decide_what_stays() {
    let world = world();
    let write = |name: &str, record: &str| fs_err::write(world.path(name), record.replace("TOOL", SITE)).unwrap();
    write("one.trace", "lath trace 1\nopen TOOL/plugins/one.py\nstat /nowhere\n");
    write("two.trace", "lath trace 1\nopen,stat TOOL/plugins/two.py\nopen TOOL/data.txt\n");
    write("both.trace", "lath trace 1\nopen TOOL/data.txt\nopen TOOL/plugins/one.py\nstat TOOL/plugins/two.py\n");
    let one = built(&world, "--trace one.trace", "one");
    assert_eq!(one.1, ["__init__.py", "plugins/one.py"]);
    let both = built(&world, "--trace one.trace --trace two.trace", "both");
    assert_eq!(both.1, ["__init__.py", "data.txt", "plugins/one.py", "plugins/two.py"]);
    assert_eq!(built(&world, "--trace two.trace --trace one.trace", "turned"), both);
    assert_eq!(built(&world, "--trace both.trace", "same"), both);
    assert_ne!(one.0, both.0);
}

#[test]
fn the_image_names_data_that_no_run_used_and_importlib_resources_reads_the_names() {
    let paths = "import pathlib\n\n\ndef from_package(package):\n    pass\n";
    let stdlib = DebBuilder::new("libpython3.13-stdlib", "2", "all");
    let stdlib = stdlib.file("usr/lib/python3.13/importlib/resources/_common.py", 0o644, paths);
    let main = "import importlib.resources._common\ndef main(): pass\n";
    let tool = WheelBuilder::new("tool", "1.0").file("tool/__init__.py", main).script("tool", "tool:main");
    let tool = tool.file("tool/words/a.txt", "a").file("tool/words/b.txt", "b").file("tool/c.txt", "c");
    let world = World::new(archive().deb(&stdlib.build()), PyPi::new().built(&tool));
    fs_err::write(world.path("one.trace"), format!("lath trace 1\nopen {SITE}/words/a.txt\n")).unwrap();
    stdout(world.build("tool -t t --trim trace --trace one.trace -o oci:one"));
    let image = oci::check(&world.path("one")).unwrap();
    let text = |name: &str| image.platforms[0].text(&format!("usr/lib/python3.13/importlib/{name}")).unwrap();
    let line = format!("\n{SITE}/c.txt untraced-data --keep {SITE}/c.txt\n");
    assert!(text("_lath.py").contains(&line) && !text("_lath.py").contains("words"), "{}", text("_lath.py"));
    assert!(text("resources/_common.py").starts_with(paths) && text("resources/_common.py").contains("_lath"));
}

#[test]
fn a_trim_without_evidence_and_a_broken_record_are_refused() {
    let world = world();
    for (name, text) in [("other", "lath trace 2\n"), ("broken", "lath trace 1\nopen /a\nopened /b\n")] {
        fs_err::write(world.path(name), text).unwrap();
    }
    let errors = ["", "--trace other", "--trace broken", "--trace missing"]
        .map(|words| world.error(&format!("tool -t t --trim trace {words}")));
    insta::assert_snapshot!(errors.join("\n\n"), @r#"
    exit 2
    error: cannot trim to the files that runs use: `--no-verify` runs no check, and `--trace` names no record

    exit 1
    error: cannot use the record `other`
      cause: it has version "2" of the format, and this lath reads version 1

    exit 1
    error: cannot use the record `broken`
      cause: line 3 is not a list of uses and a path: "opened /b"

    exit 1
    error: cannot read the record `missing`
      cause: failed to open file `missing`: No such file or directory (os error 2)
    "#);
}
