//! Project folders as the input: their dependencies, extras and groups, and the locks of uv, Poetry, PDM and Pipenv.

use testkit::{PyPi, WheelBuilder, oci};

use crate::world::{World, archive, tool};

const SITE: &str = "opt/app/lib/python3.13/site-packages";

/// Returns an index with two versions of `tool`, and with the small distributions that extras and groups of a project
/// require.
fn index() -> PyPi {
    let module = |name: &str| WheelBuilder::new(name, "1").file(&format!("{name}.py"), "");
    let newer = WheelBuilder::new("tool", "2.0").file("tool/__init__.py", "").script("tool", "tool:main");
    let index = PyPi::new().built(&tool()).built(&newer);
    ["database", "extras", "docs", "web", "tests"].iter().fold(index, |index, name| index.built(&module(name)))
}

/// Creates a world with a project in the folder `service`. The project has this `pyproject.toml`.
fn world(pyproject: &str) -> World {
    let world = World::new(archive(), index());
    write(&world, "pyproject.toml", pyproject);
    world
}

fn write(world: &World, name: &str, text: &str) {
    let path = world.path("service").join(name);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, text).unwrap();
}

/// Builds `service`. Returns the modules in the image with their versions, and lath's messages.
fn installed(world: &World, words: &str) -> (Vec<String>, String) {
    let output = world.build(&format!("./service -t image {words} -- python3.13"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words}: {said}");
    let image = oci::check(&world.path("image.tar")).unwrap();
    let name = |path: &String| {
        let name = path.strip_prefix(SITE)?.trim_start_matches('/').strip_suffix(".dist-info/METADATA")?;
        Some(name.to_owned())
    };
    (image.platforms[0].files.keys().filter_map(name).collect(), said)
}

fn sha256_of(wheel: &WheelBuilder) -> String {
    testkit::digest::sha256_hex(&wheel.build())
}

const PROJECT: &str = "
    [project]
    name = 'Service'
    version = '0.1.0'
    requires-python = '>=3.11'
    dependencies = ['tool']
    [project.optional-dependencies]
    db = ['database']
    more = ['extras']
    all = ['service[db]']
    [dependency-groups]
    dev = ['tests']
    docs = ['docs', { include-group = 'web' }]
    web = ['web']
";

#[test]
fn a_project_that_is_no_package_installs_its_dependencies_with_the_extras_and_groups_that_are_named() {
    let world = world(PROJECT);
    assert_eq!(installed(&world, "").0, ["tool-2.0"]);
    assert_eq!(installed(&world, "--extra db").0, ["database-1", "tool-2.0"]);
    assert_eq!(installed(&world, "--extra all").0, ["database-1", "tool-2.0"]);
    assert_eq!(installed(&world, "--all-extras").0, ["database-1", "extras-1", "tool-2.0"]);
    assert_eq!(installed(&world, "--group docs").0, ["docs-1", "tool-2.0", "web-1"]);
    assert_eq!(installed(&world, "--group dev").0, ["tests-1", "tool-2.0"]);
    let (_, said) = installed(&world, "");
    assert!(said.contains("python 3.13, the default"), "{said}");
}

#[test]
fn the_default_groups_are_those_of_uv_except_dev() {
    let world = world(&format!("{PROJECT}\n[tool.uv]\ndefault-groups = ['dev', 'web']"));
    assert_eq!(installed(&world, "").0, ["tool-2.0", "web-1"]);
    write(&world, "pyproject.toml", &format!("{PROJECT}\n[tool.uv]\ndefault-groups = 'all'"));
    assert_eq!(installed(&world, "").0, ["docs-1", "tool-2.0", "web-1"]);
}

#[test]
fn the_constraints_and_overrides_of_a_project_hold() {
    let world = world(&format!("{PROJECT}\n[tool.uv]\nconstraint-dependencies = ['tool<2']"));
    assert_eq!(installed(&world, "").0, ["tool-1.0"]);
    write(&world, "pyproject.toml", &format!("{PROJECT}\n[tool.uv]\noverride-dependencies = ['tool==1.0']"));
    assert_eq!(installed(&world, "").0, ["tool-1.0"]);
    write(&world, "pyproject.toml", &format!("{PROJECT}\n[tool.uv]\nexclude-dependencies = ['tool']"));
    assert_eq!(installed(&world, "--extra db").0, ["database-1"]);
}

#[test]
fn extras_and_groups_that_conflict_or_do_not_exist_are_refused() {
    let conflicts =
        "[tool.uv]\nconflicts = [[{ extra = 'db' }, { extra = 'more' }], [{ extra = 'db' }, { group = 'web' }]]";
    let world = world(&format!("{PROJECT}\n{conflicts}"));
    assert_eq!(installed(&world, "--extra db").0, ["database-1", "tool-2.0"]);
    fs_err::remove_file(world.path("image.tar")).unwrap();
    let table = [
        "./service --all-extras",
        "./service --extra db --group web",
        "./service --extra unknown",
        "./service --group unknown",
        "./service --package other",
        "tool --extra db",
        "./service --python 3.10",
    ];
    insta::assert_snapshot!(world.errors(&table), @"
    $ ./service --all-extras
    exit 1
    error: cannot read the project `[DIR]/service`
      cause: the extra `db` and the extra `more` cannot be installed together, because `conflicts` names them

    $ ./service --extra db --group web
    exit 1
    error: cannot read the project `[DIR]/service`
      cause: the extra `db` and the group `web` cannot be installed together, because `conflicts` names them

    $ ./service --extra unknown
    exit 1
    error: cannot read the project `[DIR]/service`
      cause: it has no extra `unknown`; it has `all`, `db`, `more`

    $ ./service --group unknown
    exit 1
    error: cannot read the project `[DIR]/service`
      cause: it has no group `unknown`; it has `dev`, `docs`, `web`

    $ ./service --package other
    exit 1
    error: cannot read the project `[DIR]/service`
      cause: The workspace does not have a member other: [DIR]/service

    $ tool --extra db
    exit 2
    error: cannot use `--extra` without a project: name its folder, such as `lath build . --extra ...`

    $ ./service --python 3.10
    exit 2
    error: cannot build `service` for python 3.10: it requires python >=3.11
    ");
    assert!(!world.path("image.tar").exists());
}

/// Returns a `uv.lock` of the project, with `tool` 1.0.
fn uv_lock(world: &World, sha256: &str) -> String {
    let (url, file) = (world.pypi_url(), world.pypi().file_path("tool-1.0-py3-none-any.whl"));
    let host = url.trim_end_matches('/').trim_end_matches("/simple");
    format!(
        "version = 1\nrevision = 3\nrequires-python = \">=3.11\"\n
        [[package]]\nname = \"service\"\nversion = \"0.1.0\"\nsource = {{ virtual = \".\" }}\n
        dependencies = [{{ name = \"tool\" }}]\n
        [package.metadata]\nrequires-dist = [{{ name = \"tool\" }}]\n
        [[package]]\nname = \"tool\"\nversion = \"1.0\"\nsource = {{ registry = \"{url}\" }}\n
        wheels = [{{ url = \"{host}{file}\", hash = \"sha256:{sha256}\" }}]\n"
    )
}

const SMALL: &str = "
    [project]
    name = 'service'
    version = '0.1.0'
    requires-python = '>=3.11'
    dependencies = ['tool']
";

#[test]
fn a_uv_lock_determines_the_versions_and_no_index_is_read() {
    let world = world(SMALL);
    write(&world, "uv.lock", &uv_lock(&world, &sha256_of(&tool())));
    let (installed, said) = installed(&world, "");
    assert_eq!(installed, ["tool-1.0"]);
    assert!(said.contains("versions from `uv.lock`"), "{said}");
    let pages = world.pypi().server.requests_of("/simple/tool/");
    assert!(pages.is_empty(), "{pages:?}");
}

#[test]
fn a_uv_lock_of_a_later_revision_is_read_like_one_of_this_revision() {
    let world = world(SMALL);
    let lock = uv_lock(&world, &sha256_of(&tool())).replace("revision = 3\n", "revision = 99\n");
    write(&world, "uv.lock", &format!("{lock}\n[future]\nkey = 1\n"));
    assert_eq!(installed(&world, "").0, ["tool-1.0"]);
}

#[test]
fn settings_of_uv_in_a_project_are_followed_or_named() {
    let newer = WheelBuilder::new("tool", "3.0rc1").file("tool/__init__.py", "");
    let world = World::new(archive(), index().built(&newer));
    let settings = "[tool.uv]\nprerelease = 'allow'\nresolution = 'lowest'\nlink-mode = 'copy'\nfuture = 1\n";
    write(&world, "pyproject.toml", &format!("{SMALL}\n{settings}"));
    let (modules, said) = installed(&world, "");
    assert_eq!(modules, ["tool-3.0rc1"]);
    assert!(said.contains("lath does not use `tool.uv.resolution` and `tool.uv.future` of `"), "{said}");
    // The option on the command line has priority over the setting in the project.
    assert_eq!(installed(&world, "--prerelease disallow").0, ["tool-2.0"]);
}

#[test]
fn a_uv_lock_that_does_not_match_is_refused_with_the_difference() {
    let world = world(SMALL);
    let lock = uv_lock(&world, &sha256_of(&tool()));
    let mut errors = Vec::new();
    let mut refuse = |pyproject: &str, lock: &str| {
        write(&world, "pyproject.toml", pyproject);
        write(&world, "uv.lock", lock);
        errors.push(world.error("./service"));
    };
    refuse(&SMALL.replace("'tool'", "'tool', 'web>=1'"), &lock);
    refuse(&SMALL.replace("'tool'", ""), &lock);
    refuse(SMALL, &lock.replace("version = 1\n", "version = 2\n"));
    refuse(SMALL, "not a lock");
    refuse(SMALL, &lock.replace(">=3.11", ">=3.14"));
    refuse(SMALL, &uv_lock(&world, &testkit::digest::sha256_hex(b"other")));
    refuse(&format!("{SMALL}\n[tool.uv]\nconstraint-dependencies = ['tool<9']"), &lock);
    insta::assert_snapshot!(errors.join("\n"), @"
    exit 1
    error: the lock `[DIR]/service/uv.lock` does not match its project:
           `service`: the lock lacks `web>=1`

    hint: bring the lock up to date with `uv lock`
    exit 1
    error: the lock `[DIR]/service/uv.lock` does not match its project:
           `service`: only the lock has `tool`

    hint: bring the lock up to date with `uv lock`
    exit 1
    error: cannot read the lock `[DIR]/service/uv.lock`
      cause: unsupported lockfile schema version (v2, but only v1 is supported)
    exit 1
    error: cannot read the lock `[DIR]/service/uv.lock`
      cause: TOML parse error at line 1, column 5
               |
             1 | not a lock
               |     ^
             key with no value, expected `=`
    exit 1
    error: the lock `[DIR]/service/uv.lock` does not match its project:
           it is for python >=3.14, and the image has python 3.13.5

    hint: bring the lock up to date with `uv lock`
    exit 1
    error: cannot fetch all wheels and packages
      cause: cannot use `[INDEX]/files/tool-1.0-py3-none-any.whl`: its sha256 is [SHA256], not [SHA256]

    hint: a proxy or a mirror does not send the bytes that were published: use another, or try again later
    exit 1
    error: the lock `[DIR]/service/uv.lock` does not match its project:
           `constraint-dependencies`: the lock lacks `tool<9`

    hint: bring the lock up to date with `uv lock`
    ");
    assert!(!world.path("service.tar").exists());
}

#[test]
fn the_locks_of_poetry_pdm_and_pipenv_determine_versions_and_digests() {
    let tool_sha256 = sha256_of(&tool());
    fn poetry(sha256: &str) -> String {
        format!(
            "[[package]]\nname = \"tool\"\nversion = \"1.0\"\ngroups = [\"main\"]\n
            files = [{{ file = \"tool-1.0-py3-none-any.whl\", hash = \"sha256:{sha256}\" }}]\n
            [metadata]\nlock-version = \"2.1\"\ncontent-hash = \"x\"\n"
        )
    }
    fn pdm(sha256: &str) -> String {
        format!(
            "[metadata]\nlock_version = \"4.5.0\"\n[[package]]\nname = \"tool\"\nversion = \"1.0\"\n
            groups = [\"default\"]\nfiles = [{{ file = \"tool-1.0-py3-none-any.whl\", hash = \"sha256:{sha256}\" }}]\n"
        )
    }
    fn pipenv(sha256: &str) -> String {
        format!(
            "{{\"_meta\": {{\"pipfile-spec\": 6, \"sources\": []}},
             \"default\": {{\"tool\": {{\"version\": \"==1.0\", \"hashes\": [\"sha256:{sha256}\"]}}}}}}"
        )
    }
    let of_poetry = "[tool.poetry]\nname = 'site'\npackage-mode = false\n[tool.poetry.dependencies]\ntool = '>=1.0'";
    /// A function that returns the text of a lock. Its argument is the digest in the lock.
    type Writer = fn(&str) -> String;
    let locks: [(&str, &str, Writer); 4] = [
        ("poetry.lock", SMALL, poetry),
        ("poetry.lock", of_poetry, poetry),
        ("pdm.lock", SMALL, pdm),
        ("Pipfile.lock", SMALL, pipenv),
    ];
    for (name, pyproject, lock) in locks {
        let world = world(pyproject);
        write(&world, name, &lock(&tool_sha256));
        let (modules, said) = installed(&world, "");
        assert_eq!(modules, ["tool-1.0"], "{name}");
        assert!(said.contains(&format!("versions from `{name}`")), "{said}");
        write(&world, name, &lock(&testkit::digest::sha256_hex(b"other")));
        let said = world.refusal("./service -t other");
        assert!(said.contains("sha256") || said.contains("hash"), "{name}: {said}");
        write(&world, name, &lock(&tool_sha256));
        write(
            &world,
            "pyproject.toml",
            &pyproject.replace("'tool'", "'tool', 'web'").replace("tool = '>=1.0'", "tool = '*'\nweb = '*'"),
        );
        let said = world.error("./service -t other");
        assert!(said.contains("`web` is required, and it is not in the lock"), "{name}: {said}");
        assert!(!world.path("other.tar").exists());
    }
}

#[test]
fn a_command_that_names_a_file_of_a_package_is_a_warning() {
    let world = world("[build-system]\nrequires = []\n[project]\nname = 'x'\nversion = '1'");
    write(&world, "app/main.py", "");
    let said = world.refusal("./service -- python3 app/main.py");
    assert!(said.contains("the command names `app/main.py`, but the image of a package"), "{said}");
    write(&world, "pyproject.toml", SMALL);
    let output = world.build("./service -t image -- python3.13 app/main.py");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("the command names"), "{said}");
}

#[test]
fn a_dockerfile_copies_an_application() {
    let world = world(SMALL);
    let written = |words: &str| {
        let output = world.dockerfile(words);
        let [out, said] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        (out, said)
    };
    let (text, said) = written("./service --style lean -- python3.13 main.py");
    assert!(text.contains("COPY [\"./service\", \"/app/\"]"), "{text}{said}");
    assert!(text.contains("tool==2.0"), "{text}");
}

#[test]
fn a_project_that_cannot_be_read_is_refused() {
    let mut errors = Vec::new();
    let cases = [
        "[project]\nversion = '1'",
        "[project\nname = 'x'",
        "[project]\nname = 'x'\nversion = '1'\ndependencies = ['tool>>1']",
        "[project]\nname = 'x'\nversion = '1'\n[dependency-groups]\na = [{ include-group = 'b' }]\nb = [{ include-group = 'a' }]",
        "[project]\nname = 'x'\nversion = '1'\nrequires-python = '<3.9'",
        "[project]\nname = 'x'\nversion = '1'\ndependencies = ['web']\n[tool.uv.sources]\nweb = { workspace = true }",
    ];
    for case in cases {
        errors.push(world(case).error("./service"));
    }
    insta::assert_snapshot!(errors.join("\n"), @r#"
    exit 1
    error: cannot read the project `[DIR]/service`
      cause: Failed to parse: `service/pyproject.toml`
      cause: TOML parse error at line 1, column 1
               |
             1 | [project]
               | ^^^^^^^^^
             `pyproject.toml` is using the `[project]` table, but the required `project.name` field is not set
    exit 1
    error: cannot read the project `[DIR]/service`
      cause: TOML parse error at line 1, column 9
               |
             1 | [project
               |         ^
             unclosed table, expected `]`
    exit 1
    error: cannot read the project `[DIR]/service`
      cause: cannot read its dependency `tool>>1`: no such comparison operator ">>", must be one of ~= == != <= >= < > ===
             tool>>1
                 ^^^
    exit 1
    error: cannot read the project `[DIR]/service`
      cause: Project `x @ service` has malformed dependency groups
      cause: Detected a cycle in `dependency-groups`: `a` -> `b` -> `a`
    exit 2
    error: cannot find a release for `x`: it requires python <3.9, and lath knows releases with 3.10, 3.11, 3.12, 3.13, 3.14
    exit 1
    error: cannot read the project `[DIR]/service`
      cause: Failed to parse entry: `web`
      cause: `web` references a workspace in `tool.uv.sources` (e.g., `web = { workspace = true }`), but is not a workspace member
    "#);
}
