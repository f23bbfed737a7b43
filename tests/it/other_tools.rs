//! Projects of Poetry, PDM and Pipenv: tables, groups, indexes and locks that uv does not read.

use std::process::{Command, Output};

use testkit::pypi::PyPiServer;
use testkit::{PyPi, WheelBuilder, digest, oci};

use crate::world::{self, World, archive};

const SITE: &str = "opt/app/lib/python3.13/site-packages";

fn wheel(name: &str, version: &str) -> WheelBuilder {
    WheelBuilder::new(name, version).file(&format!("{name}.py"), version)
}

/// Creates a world with a folder `service`. The default index has several versions of `tool` and a few other
/// distributions.
fn world() -> World {
    let index =
        ["1.0", "1.5", "2.5", "3.1"].iter().fold(PyPi::new(), |index, version| index.built(&wheel("tool", version)));
    let names = ["fast", "docs", "inner", "tests"];
    let world = World::new(archive(), names.iter().fold(index, |index, name| index.built(&wheel(name, "1"))));
    fs_err::create_dir_all(world.path("service/libs")).unwrap();
    world
}

fn write(world: &World, name: &str, bytes: impl AsRef<[u8]>) {
    fs_err::write(world.path("service").join(name), bytes).unwrap();
}

/// Builds `service` with `words`, without an option for the default index.
fn build(world: &World, words: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(world::lath());
    command.current_dir(world.path("")).env_clear().env("LATH_CACHE_DIR", "cache").envs(variables.iter().copied());
    command.args(["build", "./service", "-t", "image", "--platform", "linux/amd64", "--bytecode", "none"]);
    command.args(["--no-verify", "--keyring", "keys", "--mirror", &world.debian.url()]);
    command.args(["--security-mirror", &world.debian.security_url()]).args(words.split_whitespace());
    command.args(["--", "python3.13"]).output().unwrap()
}

/// Returns the distributions in the image that a build wrote, with their versions.
fn installed(world: &World, output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let image = oci::check(&world.path("image.tar")).unwrap();
    let name = |path: &String| {
        let name = path.strip_prefix(SITE)?.trim_start_matches('/').strip_suffix(".dist-info/METADATA")?;
        Some(name.to_owned())
    };
    image.platforms[0].files.keys().filter_map(name).collect()
}

/// Returns whether `private.py`, which only the private index has, is in the image.
fn is_private(world: &World) -> bool {
    oci::check(&world.path("image.tar")).unwrap().platforms[0].files.contains_key(&format!("{SITE}/private.py"))
}

#[test]
fn a_project_of_poetry_needs_no_lock() {
    let world = world();
    write(
        &world,
        "pyproject.toml",
        "
        [tool.poetry]
        name = 'site'
        package-mode = false
        [tool.poetry.dependencies]
        tool = '^1.0 || >=2 <3'
        mine = { path = 'libs/mine-1-py3-none-any.whl', extras = ['more'] }
        fast = { version = '*', optional = true }
        [tool.poetry.extras]
        speed = ['fast']
        [tool.poetry.group.docs]
        optional = true
        dependencies = { docs = '*' }
        ",
    );
    write(&world, "libs/mine-1-py3-none-any.whl", wheel("mine", "1").build());
    let build = |words: &str| world.build(&format!("./service -t image {words} -- python3.13"));
    assert_eq!(installed(&world, &build("")), ["mine-1", "tool-2.5"]);
    assert_eq!(installed(&world, &build("--extra speed")), ["fast-1", "mine-1", "tool-2.5"]);
    assert_eq!(installed(&world, &build("--all-extras")), ["fast-1", "mine-1", "tool-2.5"]);
    assert_eq!(installed(&world, &build("--group docs")), ["docs-1", "mine-1", "tool-2.5"]);
    let errors = world.errors(&["./service --group nope", "./service --extra nope"]);
    insta::assert_snapshot!(errors, @"
    $ ./service --group nope
    exit 1
    error: cannot read the project `[DIR]/service`
      cause: it has no group `nope`; it has `docs`, `main`

    $ ./service --extra nope
    exit 1
    error: cannot read the project `[DIR]/service`
      cause: it has no extra `nope`; it has `speed`
    ");
    let text = fs_err::read_to_string(world.path("service/pyproject.toml")).unwrap();
    write(&world, "pyproject.toml", text.replace("'^1.0 || >=2 <3'", "'~1.0 || ^3.0'"));
    insta::assert_snapshot!(world.error("./service"), @"
    exit 1
    error: cannot read the project `[DIR]/service`
      cause: lath cannot convert the constraint `~1.0 || ^3.0` of its dependency `tool` to a standard one (PEP 440): write a `poetry.lock` with `poetry lock`, or a constraint without gaps
    ");
}

#[test]
fn a_standard_project_has_groups_of_poetry_and_pdm_and_paths_of_poetry() {
    let world = world();
    write(
        &world,
        "pyproject.toml",
        "
        [project]
        name = 'site'
        version = '1'
        dependencies = ['tool<2', 'inner']
        [tool.poetry.dependencies]
        inner = { path = 'libs/inner-7-py3-none-any.whl' }
        [tool.poetry.group.docs.dependencies]
        docs = '*'
        [tool.pdm.dev-dependencies]
        tests = ['tests']
        ",
    );
    write(&world, "libs/inner-7-py3-none-any.whl", wheel("inner", "7").build());
    let words = "./service -t image --group docs --group tests -- python3.13";
    assert_eq!(installed(&world, &world.build(words)), ["docs-1", "inner-7", "tests-1", "tool-1.5"]);
}

#[test]
fn an_override_replaces_a_url_in_the_metadata_of_a_wheel() {
    let world = world();
    let top = wheel("top", "1").requires("inner @ file:///nowhere/inner-1-py3-none-any.whl");
    write(&world, "libs/top-1-py3-none-any.whl", top.build());
    write(
        &world,
        "pyproject.toml",
        "
        [project]
        name = 'site'
        version = '1'
        dependencies = ['top']
        [tool.uv]
        override-dependencies = ['inner==1']
        [tool.uv.sources]
        top = { path = 'libs/top-1-py3-none-any.whl' }
        ",
    );
    let output = world.build("./service -t image -- python3.13");
    assert_eq!(installed(&world, &output), ["inner-1", "top-1"]);
}

#[test]
fn the_lock_of_an_application_is_built_only_with_its_folder() {
    let world = world();
    write(&world, "requirements.txt", "tool");
    write(&world, "Procfile", "web: python3.13 app.py\n");
    write(&world, "app.py", "");
    assert!(world.lock("./service").status.success());
    insta::assert_snapshot!(world.error("--locked -t image"), @"
    exit 2
    error: the lock `pylock.toml` does not contain the files of its application: name the folder or the script, such as `lath build . --locked`
    ");
    assert!(world.build("./service --locked -t image").status.success());
    let image = oci::check(&world.path("image.tar")).unwrap();
    assert!(image.platforms[0].files.keys().any(|path| path.ends_with("/app.py")));
}

/// Returns the table of an index in the form of Poetry or PDM.
fn source(tool: &str, url: &str, more: &str) -> String {
    format!("[[tool.{tool}.source]]\nname = 'own'\nurl = '{url}'\n{more}\n")
}

fn private() -> PyPi {
    PyPi::new().built(&wheel("inner", "1").file("private.py", "")).built(&wheel("tool", "1.5").file("private.py", ""))
}

#[test]
fn the_indexes_of_poetry_have_priorities() {
    let world = world();
    let private = private().serve();
    let project = |dependencies: &str, more: &str| {
        let source = source("poetry", &private.url(), more);
        let head = "[tool.poetry]\npackage-mode = false\n[tool.poetry.dependencies]\n";
        write(&world, "pyproject.toml", format!("{head}{dependencies}\n{source}"));
    };
    // A primary index replaces PyPI, which this world cannot reach.
    project("inner = '*'\ntool = '*'", "");
    assert_eq!(installed(&world, &build(&world, "", &[])), ["inner-1", "tool-1.5"]);
    // The default index of the user does not replace it.
    let words = format!("--default-index {}", world.pypi().url());
    project("inner = '*'", "");
    assert!(installed(&world, &build(&world, &words, &[])) == ["inner-1"] && is_private(&world));
    // An explicit index is only for the dependencies that name it.
    project("inner = { version = '*', source = 'own' }\ntool = '*'", "priority = 'explicit'");
    assert!(installed(&world, &build(&world, &words, &[])) == ["inner-1", "tool-3.1"] && is_private(&world));
    project("inner = '*'", "priority = 'explicit'");
    assert!(installed(&world, &build(&world, &words, &[])) == ["inner-1"] && !is_private(&world));
    project("inner = { version = '*', source = 'other' }", "");
    insta::assert_snapshot!(world.error("./service"), @"
    exit 1
    error: cannot read the project `[DIR]/service`
      cause: its dependency `inner` names the source `other`, which it does not define
    ");
}

#[test]
fn a_lock_of_poetry_says_which_index_has_a_distribution() {
    let world = world();
    // The private index has other files of `tool`, and would be searched first.
    let private = private().protected("me", "secret").serve();
    let pin = |name: &str, version: &str, bytes: &[u8], source: &str| {
        format!(
            "[[package]]\nname = '{name}'\nversion = '{version}'\nfiles = [{{ file = 'x', hash = 'sha256:{}' }}]\n{source}\n",
            digest::sha256_hex(bytes)
        )
    };
    let legacy = format!("[package.source]\ntype = 'legacy'\nurl = '{}'\nreference = 'own'", private.url());
    let inner = wheel("inner", "1").file("private.py", "").build();
    let lock = [
        pin("tool", "1.5", &wheel("tool", "1.5").build(), ""),
        pin("inner", "1", &inner, &legacy),
        // Without markers, the project decides which of the two versions is used.
        pin("fast", "1", &wheel("fast", "1").build(), ""),
        pin("fast", "0.5", b"", ""),
        "[metadata]\nlock-version = '2.0'\n".to_owned(),
    ];
    write(&world, "poetry.lock", lock.concat());
    let project =
        "[tool.poetry]\npackage-mode = false\n[tool.poetry.dependencies]\ntool = '*'\ninner = '*'\nfast = '*'\n";
    write(&world, "pyproject.toml", format!("{project}{}", source("poetry", &private.url(), "")));
    let words = format!("--default-index {}", world.pypi().url());
    let variables = [("POETRY_HTTP_BASIC_OWN_USERNAME", "me"), ("POETRY_HTTP_BASIC_OWN_PASSWORD", "secret")];
    let output = build(&world, &words, &variables);
    assert_eq!(installed(&world, &output), ["fast-1", "inner-1", "tool-1.5"]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("secret"));
    assert!(private.server.requests().iter().all(|request| !request.path.contains("tool")));
}

#[test]
fn the_urls_of_pdm_and_pipenv_may_contain_variables() {
    fn url(server: &PyPiServer) -> String {
        server.url().replace("http://", "http://me:${SECRET_OF_INDEX}@")
    }
    let hash = digest::sha256_hex(&wheel("inner", "1").file("private.py", "").build());
    let pdm = format!(
        "[metadata]\nlock_version = '4.5.0'\n[[package]]\nname = 'inner'\nversion = '1'\ngroups = ['default']\n
        files = [{{ file = 'x', hash = 'sha256:{hash}' }}]"
    );
    let small = "[project]\nname = 'site'\nversion = '1'\ndependencies = ['inner']\n";
    for tool in ["pdm", "pdm.lock", "Pipfile.lock"] {
        let world = world();
        let private = private().protected("me", "secret").serve();
        let table = if tool == "Pipfile.lock" { String::new() } else { source("pdm", &url(&private), "") };
        write(&world, "pyproject.toml", format!("{small}{table}"));
        let pipenv = format!(
            "{{\"_meta\": {{\"pipfile-spec\": 6, \"sources\": [{{\"name\": \"own\", \"url\": \"{}\"}}]}}, \"default\":
             {{\"inner\": {{\"version\": \"==1\", \"index\": \"own\", \"hashes\": [\"sha256:{hash}\"]}}}}}}",
            url(&private)
        );
        match tool {
            "pdm.lock" => write(&world, tool, &pdm),
            "Pipfile.lock" => write(&world, tool, &pipenv),
            _ => {}
        }
        let words = format!("--default-index {}", world.pypi().url());
        let output = build(&world, &words, &[("SECRET_OF_INDEX", "secret")]);
        assert_eq!(installed(&world, &output), ["inner-1"], "{tool}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("secret"), "{tool}");
        assert!(is_private(&world), "{tool}");
    }
}

#[test]
fn an_unknown_group_of_pipenv_is_refused() {
    let world = world();
    let lock = "{\"_meta\": {\"pipfile-spec\": 6, \"sources\": []}, \"default\": {\"tool\": {\"version\": \"==1.0\"}},
        \"develop\": {\"tests\": {\"version\": \"==1\"}}}";
    write(&world, "Pipfile.lock", lock);
    let words = "./service -t image --group dev -- python3.13";
    assert_eq!(installed(&world, &world.build(words)), ["tests-1", "tool-1.0"]);
    insta::assert_snapshot!(world.error("./service --group nope"), @"
    exit 1
    error: cannot read the project `[DIR]/service`
      cause: it has no group `nope`; it has `default`, `develop`
    ");
}
