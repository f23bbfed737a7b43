//! Distributions that do not support the Python of the image (`Requires-Python`). The image has python 3.13.5.

use testkit::{PyPi, Response, WheelBuilder};

use crate::world::{World, archive, stdout, tool};

fn wheel(name: &str, version: &str, pythons: &str) -> WheelBuilder {
    WheelBuilder::new(name, version).file(&format!("{name}.py"), "").requires_python(pythons)
}

/// Builds successfully, and returns the hints that are shown.
fn hints(world: &World, words: &str) -> Vec<String> {
    let output = world.build(words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    stdout(output);
    said.lines().filter_map(|line| line.strip_prefix("hint: ")).map(str::to_owned).collect()
}

fn is_fetched(world: &World, file: &str) -> bool {
    !world.pypi().server.requests_of(&world.pypi().file_path(file)).is_empty()
}

#[test]
fn a_version_that_excludes_the_python_is_not_chosen_and_a_hint_names_the_right_python() {
    for (pythons, python) in [("<3.13,>=3.9", "3.12"), (">=3.14", "3.14"), ("!=3.13.*,<3.14", "3.12")] {
        let index = PyPi::new().built(&wheel("lib", "2.0", pythons)).built(&wheel("lib", "1.0", ">=3.8"));
        let world = World::new(archive(), index);
        let expected = format!("`lib` 2.0 is newer than 1.0, but it needs another Python: use `--python {python}`");
        assert_eq!(hints(&world, "lib"), [expected], "{pythons}");
        assert!(is_fetched(&world, "lib-1.0-py3-none-any.whl"));
        assert!(
            !is_fetched(&world, "lib-2.0-py3-none-any.whl") && !is_fetched(&world, "lib-2.0-py3-none-any.whl.metadata")
        );
        // The hint needs no further request, because the index page contains the `Requires-Python` of all versions.
        assert_eq!(world.pypi().server.requests_of("/simple/lib/").len(), 1, "{pythons}");
    }
}

#[test]
fn there_is_no_hint_if_the_user_named_the_version_or_no_python_takes_the_newer_one() {
    let index = PyPi::new().built(&wheel("lib", "2.0", "<3.13")).built(&wheel("lib", "1.0", ">=3.8"));
    let world = World::new(archive(), index.built(&wheel("old", "2.0", "<3")).built(&wheel("old", "1.0", ">=3")));
    assert_eq!(hints(&world, "lib==1.0 old"), [""; 0]);
    assert_eq!(hints(&world, "lib<2 -o x.tar"), [""; 0]);
}

#[test]
fn a_dependency_that_excludes_the_python_is_explained() {
    let index = PyPi::new().built(&tool().requires("lib")).built(&wheel("lib", "2.0", "<3.13,>=3.9"));
    let world = World::new(archive(), index);
    insta::assert_snapshot!(world.errors(&["tool", "lib==2.0"]), @"
    $ tool
    exit 1
    error: cannot resolve `tool` for python 3.13 on linux/amd64
      cause: Because lib==2.0 requires Python >=3.9, <3.13 and only lib==2.0 is available, all versions of lib
             cannot be used.
             And because all versions of tool depend on lib and the request requires tool, the request cannot be
             met.

    $ lib==2.0
    exit 1
    error: cannot resolve `lib==2.0` for python 3.13 on linux/amd64
      cause: Because lib==2.0 requires Python >=3.9, <3.13 and the request requires lib==2.0, the request cannot
             be met.

    hint: use `--python 3.12`, for which `lib` has wheels
    ");
}

#[test]
fn a_python_that_only_the_metadata_of_a_wheel_excludes_is_heeded() {
    let (new, old) = (wheel("lib", "2.0", "<3.13"), wheel("lib", "1.0", ">=3.8"));
    let world = World::new(archive(), PyPi::new().built(&new).built(&old));
    let link = |wheel: &WheelBuilder| {
        let (file, sha256) = (wheel.file_name(), testkit::digest::sha256_hex(&wheel.build()));
        format!("<a href=\"{}#sha256={sha256}\">{file}</a>", world.pypi().file_path(&file))
    };
    let page = format!("<!DOCTYPE html><html><body>{}{}</body></html>", link(&new), link(&old));
    world.pypi().server.set("/simple/lib/", Response::ok(page).header("Content-Type", "text/html"));
    stdout(world.build("lib -v"));
    assert!(is_fetched(&world, "lib-1.0-py3-none-any.whl"));
    insta::assert_snapshot!(world.error("lib>=2"), @"
    exit 1
    error: cannot resolve `lib>=2` for python 3.13 on linux/amd64
      cause: Because lib==2.0 requires Python <3.13 and only lib<=2.0 is available, lib>=2.0 cannot be used.
             And because the request requires lib>=2, the request cannot be met.
    ");
}

#[test]
fn a_wheel_by_path_that_excludes_the_python_is_refused_as_pip_refuses_it() {
    let world = World::usual();
    let wheel = wheel("lib", "2.0", "<3.13,>=3.9");
    fs_err::write(world.path(&wheel.file_name()), wheel.build()).unwrap();
    insta::assert_snapshot!(world.error("./lib-2.0-py3-none-any.whl"), @"
    exit 1
    error: cannot use the wheel `lib 2.0`: it requires python >=3.9, <3.13, and the image has 3.13.5

    hint: use `--python 3.12`, for which `lib` has wheels
    ");
}
