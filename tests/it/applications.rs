//! Applications: folders and scripts that are not packages, and the commands that images run.

use std::os::unix::fs::PermissionsExt as _;

use fs_err as fs;
use fs_err::os::unix::fs::symlink;
use serde_json::{Value, json};
use testkit::{PyPi, WheelBuilder, oci};

use crate::world::{World, archive, digest, stdout, tool};

/// Creates a world with these files.
fn world(files: &[(&str, &str)]) -> World {
    let server = WheelBuilder::new("server", "1.0")
        .file("server/__init__.py", "def main():\n    return 0\n")
        .script("serve", "server:main");
    let world = World::new(archive(), PyPi::new().built(&tool()).built(&server));
    for (path, text) in files {
        let path = world.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    world
}

/// Builds an image. Returns the messages and the image.
fn built(world: &World, words: &str) -> (String, oci::CheckedPlatform) {
    let output = world.build(words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let name = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{words}: {said}");
    let file = name.trim().split('@').next().unwrap();
    (said, oci::check(&world.path(file)).unwrap().platforms.remove(0))
}

fn config(platform: &oci::CheckedPlatform) -> &Value {
    &platform.config["config"]
}

#[test]
fn a_folder_that_is_no_package_goes_into_the_work_directory() {
    let world = world(&[
        ("shop/requirements.txt", "server\n"),
        ("shop/app/main.py", "app = 1\n"),
        ("shop/.gitignore", "*.db\n"),
        ("shop/local.db", "x"),
        ("shop/.env", "SECRET=1"),
        ("shop/app/__pycache__/main.cpython-313.pyc", "x"),
    ]);
    let (said, image) = built(&world, "./shop -- serve app.main:app --port 80");
    assert_eq!(config(&image)["Entrypoint"], json!(["/opt/app/bin/serve", "app.main:app", "--port", "80"]));
    assert_eq!(config(&image)["WorkingDir"], "/app");
    // The image must not have the labels of the only requested distribution.
    let labels =
        json!({"org.opencontainers.image.base.name": "debian:trixie", "org.opencontainers.image.title": "shop"});
    assert_eq!(config(&image)["Labels"], labels);
    assert!(config(&image)["Env"].to_string().contains("\"PYTHONPATH=/app\""), "{}", image.config);
    let files: Vec<&str> = image.files.keys().filter_map(|path| path.strip_prefix("app/")).collect();
    assert_eq!(files, [".gitignore", "app", "app/main.py", "requirements.txt"]);
    assert!(said.contains("application: 3 files, 20 bytes"), "{said}");
    assert!(said.contains("may contain secrets: `.env`; add a file with `--copy`"), "{said}");
    // If a file is changed, only the last layer changes. That layer contains only the files of the application.
    let last = image.layer_sizes.len() - 1;
    assert!(image.files.iter().all(|(path, file)| (file.layer == last) == path.starts_with("app")));
    fs::write(world.path("shop/app/main.py"), "app = 2\n").unwrap();
    let (_, changed) = built(&world, "./shop -- serve app.main:app --port 80");
    let layers = |image: &oci::CheckedPlatform| image.manifest["layers"].as_array().unwrap().clone();
    assert_eq!(layers(&image)[..last], layers(&changed)[..last]);
    assert_ne!(layers(&image)[last], layers(&changed)[last]);
}

#[test]
fn the_digest_does_not_depend_on_modes_times_and_places() {
    let files = [("shop/requirements.txt", "tool\n"), ("shop/main.py", "x = 1\n"), ("shop/run.sh", "#!/bin/sh\n")];
    let (one, other) = (world(&files), world(&files));
    for (world, modes) in [(&one, [0o644, 0o755]), (&other, [0o600, 0o711])] {
        for (name, mode) in ["shop/main.py", "shop/run.sh"].into_iter().zip(modes) {
            fs::set_permissions(world.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    fs::create_dir(other.path("shop/.git")).unwrap();
    let words = "./shop -- tool";
    let first = digest(one.build(words));
    assert_eq!(first, digest(one.build(words)), "the image of the first build is in the folder of nobody");
    assert_eq!(first, digest(other.build(words)));
}

#[test]
fn an_image_that_lies_in_the_folder_is_not_in_the_next_one() {
    let world = world(&[("main.py", "x = 1\n"), ("requirements.txt", "tool\n")]);
    // The cache and the keys of this world are in the folder of the application, so they must be left out.
    fs::write(world.path(".dockerignore"), "cache\nkeys\n").unwrap();
    let words = "./ -t shop --metadata-file meta.json -- tool";
    let first = digest(world.build(words));
    assert_eq!(first, digest(world.build(words)));
    assert_eq!(first, digest(world.build("./ -t shop -o other.tar --metadata-file meta.json -- tool")));
    let meta: Value = serde_json::from_slice(&fs::read(world.path("meta.json")).unwrap()).unwrap();
    assert_eq!(meta["application"]["files"], 3);
}

#[test]
fn a_procfile_has_the_command_if_nothing_else_names_one() {
    let world = world(&[
        ("shop/requirements.txt", "server\n"),
        ("shop/Procfile", "worker: serve work\nweb: serve 'app main' -b 0.0.0.0:80\n"),
        ("shop/main.py", ""),
    ]);
    let entrypoint = |words: &str| config(&built(&world, words).1)["Entrypoint"].clone();
    assert_eq!(entrypoint("./shop"), json!(["/opt/app/bin/serve", "app main", "-b", "0.0.0.0:80"]));
    assert_eq!(entrypoint("./shop -c serve"), json!(["/opt/app/bin/serve"]));
    assert_eq!(entrypoint("./shop -m main"), json!(["/usr/bin/python3.13", "-m", "main"]));
    assert_eq!(entrypoint("./shop -- python main.py --x"), json!(["/usr/bin/python", "main.py", "--x"]));
    fs::write(world.path("shop/Procfile"), "web: serve -b 0.0.0.0:$PORT\n").unwrap();
    insta::assert_snapshot!(world.error("./shop"), @"
    exit 1
    error: cannot run the process `web` of the Procfile without a shell: `serve -b 0.0.0.0:$PORT`

    hint: write the command without a shell, with a port of your choice: `lath build . -- COMMAND ...`; or add a shell with `--shell`: the image then runs `/bin/sh -c 'exec serve -b 0.0.0.0:$PORT'`
    ");
}

#[test]
fn without_a_command_the_candidates_are_listed() {
    let world = world(&[
        ("shop/requirements.txt", "server\ntool\n"),
        ("shop/Procfile", "worker: serve work\n"),
        ("shop/main.py", "if __name__ == '__main__':\n    print()\n"),
        ("empty/x.txt", ""),
    ]);
    insta::assert_snapshot!(world.errors(&["./shop", "./empty"]), @"
    $ ./shop
    exit 1
    error: cannot choose the command of the image: it could run the console script `serve` or `tool`, or the process `worker`, or the program `main.py`

    hint: name the command after `--`, such as `lath build . -- uvicorn main:app --host 0.0.0.0`, or the module with `-m MODULE`

    $ ./empty
    exit 1
    error: cannot choose the command of the image: the folder has neither a `Procfile` nor a program

    hint: name the command after `--`, such as `lath build . -- uvicorn main:app --host 0.0.0.0`, or the module with `-m MODULE`
    ");
}

#[test]
fn a_command_that_the_image_does_not_have_is_refused() {
    let world = world(&[("shop/requirements.txt", "server\n"), ("shop/main.py", ""), ("shop/pack/__init__.py", "")]);
    insta::assert_snapshot!(world.errors(&[
        "./shop -- serv app",
        "./shop -- bash",
        "./shop -- ./main.py",
        "./shop -- ./other",
        "./shop -m mian",
        "./shop -m pack",
        "./shop -c x=main:f -c x=main:g",
        "./shop -c serve=main:f",
        "./shop -m main -- serve",
        "tool --healthcheck nothing",
    ]), @"
    $ ./shop -- serv app
    exit 1
    error: cannot run `serv`: the image has no such program

    hint: did you mean `serve`?

    $ ./shop -- bash
    exit 1
    error: cannot run `bash`: the image has no such program

    hint: add it with `--with bash`

    $ ./shop -- ./main.py
    exit 1
    error: cannot run `./main.py`: it is not executable

    hint: run it with Python: `-- python ./main.py`

    $ ./shop -- ./other
    exit 1
    error: cannot run `./other`: the image has no such file

    $ ./shop -m mian
    exit 1
    error: cannot run the module `mian`: the image does not contain it

    hint: did you mean `main`?

    $ ./shop -m pack
    exit 1
    error: cannot run the package `pack`: it has no module `__main__`

    $ ./shop -c x=main:f -c x=main:g
    exit 2
    error: cannot run two entry points named `x`: give one another name, `NAME=MODULE:FUNCTION`

    $ ./shop -c serve=main:f
    exit 1
    error: cannot write the console script `serve`: the image already has one of this name, of wheel server

    $ ./shop -m main -- serve
    exit 2
    error: the argument '--module <MODULE>' cannot be used with '[COMMAND]...'

    Usage: lath build --platform <PLATFORM> --bytecode <WHICH> --no-verify --keyring <FILE> --default-index <[NAME=]URL> --mirror <URL> --security-mirror <URL> --module <MODULE> <INPUT>... [-- <COMMAND>...]

    For more information, try '--help'.

    $ tool --healthcheck nothing
    exit 1
    error: cannot run `nothing`: the image has no such program
    ");
}

#[test]
fn lath_writes_a_console_script_for_a_function() {
    let world = world(&[("shop/main.py", "def run():\n    return 0\n")]);
    let (said, image) = built(&world, "./shop -c start=main:run");
    assert_eq!(config(&image)["Entrypoint"], json!(["/opt/app/bin/start"]));
    assert!(image.text("opt/app/bin/start").unwrap().contains("from main import run\n"));
    assert!(said.contains("`./shop` has no requirements.txt: no distributions are installed"), "{said}");
    let (_, image) = built(&world, "tool -c tool:main -t other");
    assert_eq!(config(&image)["Entrypoint"], json!(["/opt/app/bin/tool-main"]));
}

#[test]
fn links_that_leave_the_folder_and_large_folders_are_refused() {
    let world = world(&[("shop/main.py", ""), ("shop/models/big", "")]);
    symlink("/etc/passwd", world.path("shop/passwords")).unwrap();
    let link = world.error("./shop -- python main.py");
    fs::remove_file(world.path("shop/passwords")).unwrap();
    fs::OpenOptions::new().write(true).open(world.path("shop/models/big")).unwrap().set_len(10 << 30).unwrap();
    let large = world.error("./shop -- python main.py");
    insta::assert_snapshot!(format!("{link}\n\n{large}"), @"
    exit 1
    error: cannot put the link `passwords` into the image: it leads out of the folder, to `/etc/passwd`

    hint: name the files that the image does not need in `.dockerignore`, one pattern per line

    exit 1
    error: cannot put `./shop` into the image: its files have 10737 MB, and the most are 1073 MB; the largest entries are `models` (10737 MB), `main.py` (0 MB)

    hint: name the files that the image does not need in `.dockerignore`, one pattern per line
    ");
    fs::write(world.path("shop/.dockerignore"), "models\n").unwrap();
    built(&world, "./shop -- python main.py");
}

#[test]
fn a_script_runs_with_the_distributions_in_its_metadata() {
    let block = "# /// script\n# requires-python = \"<3.13\"\n# dependencies = [\"tool\"]\n# ///\n";
    let world = World::new(crate::world::archive_of("noble", "3.12"), PyPi::new().built(&tool()));
    fs::write(world.path("report.py"), format!("{block}import tool\n")).unwrap();
    let output = world.command("report.py").arg("--quiet").output().unwrap();
    // noble is a release of Ubuntu, but the signed files of this archive name Debian (`Origin`), so the build may fail.
    // Even then, the messages show which release was chosen.
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("noble") || output.status.success(), "{said}");
    let world = self::world(&[("jobs/report.py", &block.replace("<3.13", ">=3.12"))]);
    let (_, image) = built(&world, "jobs/report.py");
    assert_eq!(config(&image)["Entrypoint"], json!(["/usr/bin/python3.13", "/app/report.py"]));
    assert!(image.files.contains_key("opt/app/lib/python3.13/site-packages/tool/__init__.py"));
    assert!(image.files.contains_key("app/report.py"));
}

#[test]
fn the_settings_of_uv_in_a_script_decide_what_is_installed() {
    let versions = ["1.0", "2.0"].map(|version| WheelBuilder::new("lib", version).file("lib/__init__.py", version));
    let local = WheelBuilder::new("local", "1.0").requires("lib").file("local/__init__.py", "");
    let other = WheelBuilder::new("other", "1.0").requires("lib>=2").requires("absent").file("other/__init__.py", "");
    let index = PyPi::new().built(&versions[0]).built(&versions[1]).built(&other);
    let world = World::new(crate::world::archive(), index);
    fs::create_dir(world.path("jobs")).unwrap();
    fs::write(world.path(&format!("jobs/{}", local.file_name())), local.build()).unwrap();
    let lib = |dependencies: &str, settings: &str| {
        let text = format!("dependencies = {dependencies}\n{settings}");
        let block: String = text.lines().map(|line| format!("# {line}\n")).collect();
        fs::write(world.path("jobs/report.py"), format!("# /// script\n{block}# ///\n")).unwrap();
        let (_, image) = built(&world, "jobs/report.py");
        image.text("opt/app/lib/python3.13/site-packages/lib/__init__.py").map(str::to_owned)
    };
    let version = |text: &str| Some(text.to_owned());
    assert_eq!(lib("['lib']", ""), version("2.0"));
    assert_eq!(lib("['lib']", "[tool.uv]\nconstraint-dependencies = ['lib<2']\n"), version("1.0"));
    assert_eq!(lib("['lib>=2']", "[tool.uv]\noverride-dependencies = ['lib==1.0']\n"), version("1.0"));
    // A relative path is relative to the folder of the script.
    let sources = format!("[tool.uv.sources]\nlocal = {{ path = '{}' }}\n", local.file_name());
    assert_eq!(lib("['local']", &sources), version("2.0"));
    assert_eq!(lib("['local']", &format!("[tool.uv]\nexclude-dependencies = ['lib']\n{sources}")), None);
    let metadata = "[[tool.uv.dependency-metadata]]\nname = 'other'\nversion = '1.0'\nrequires-dist = ['lib<2']\n";
    assert_eq!(lib("['other']", metadata), version("1.0"));
    // The metadata of the script contain this index. Only `lib` comes from it, because only the source of `lib` names
    // the index.
    let named = format!(
        "[[tool.uv.index]]\nname = 'mine'\nurl = '{}'\nexplicit = true\n[tool.uv.sources]\nlib = {{ index = 'mine' }}\n",
        world.pypi().url()
    );
    assert_eq!(lib("['lib']", &named), version("2.0"));
}

/// Scripts whose metadata have faults.
const BAD_SCRIPTS: &[(&str, &str)] = &[
    ("plain.py", "import tool\n"),
    ("open.py", "# /// script\n# dependencies = []\n"),
    ("bad.py", "# /// script\n# dependencies = 1\n# ///\n"),
    ("old.py", "# /// script\n# requires-python = \"<3\"\n# ///\n"),
    ("local.py", "# /// script\n# dependencies = [\"x\"]\n# [tool.uv.sources]\n# x = { workspace = true }\n# ///\n"),
    ("other.py", "# /// script\n# [tool.uv]\n# resolution = \"lowest\"\n# ///\n"),
    (
        "match.py",
        "# /// script\n# [tool.uv.extra-build-dependencies]\n# x = [{ requirement = \"y\", match-runtime = true }]\n# ///\n",
    ),
    ("new.py", "# /// script\n# requires-python = \">=3.13\"\n# ///\n"),
];

#[test]
fn scripts_that_cannot_be_built_are_refused() {
    let world = world(BAD_SCRIPTS);
    insta::assert_snapshot!(world.errors(&[
        "plain.py", "open.py", "bad.py", "old.py", "local.py", "other.py", "match.py", "./missing.py",
        "new.py --python 3.12", "plain.py new.py",
    ]), @"
    $ plain.py
    exit 2
    error: cannot find the requirements of `plain.py`: it has no block `# /// script`

    hint: add the block with `uv add --script plain.py REQUIREMENT`
    hint: name the requirements: `lath build plain.py REQUIREMENT`

    $ open.py
    exit 1
    error: cannot read the metadata of the script `open.py`
      cause: the block `# /// script` has no end: the line `# ///`

    $ bad.py
    exit 1
    error: cannot read the metadata of the script `bad.py`
      cause: the block `# /// script` is not valid
      cause: TOML parse error at line 1, column 16
               |
             1 | dependencies = 1
               |                ^
             invalid type: integer `1`, expected a sequence

    $ old.py
    exit 2
    error: cannot find a release for `old.py`: it requires python <3, and lath knows releases with 3.10, 3.11, 3.12, 3.13, 3.14

    $ local.py
    exit 1
    error: cannot read the metadata of the script `local.py`
      cause: Workspace members are not allowed in non-workspace contexts

    $ other.py
    exit 2
    error: cannot use `tool.uv.resolution` of `other.py`

    $ match.py
    exit 2
    error: cannot use `match-runtime` of `y` in `match.py`

    $ ./missing.py
    exit 1
    error: cannot read the script `./missing.py`
      cause: failed to open file `./missing.py`: No such file or directory (os error 2)

    $ new.py --python 3.12
    exit 2
    error: cannot build `new` for python 3.12: it requires python >=3.13

    $ plain.py new.py
    exit 2
    error: cannot build an image of several folders or scripts: name one, and add others with `--copy`
    ");
    let (_, image) = built(&world, "plain.py tool");
    assert_eq!(config(&image)["Entrypoint"], json!(["/usr/bin/python3.13", "/app/plain.py"]));
}

#[test]
fn a_volume_on_a_folder_of_the_application_belongs_to_the_users_program() {
    let world = world(&[("shop/main.py", ""), ("shop/media/.gitkeep", "")]);
    let (_, image) = built(&world, "./shop --volume /app/media -- python main.py");
    let of = |path: &str| (image.files[path].mode, image.files[path].uid, image.files[path].gid);
    assert_eq!((of("app/media"), of("app/media/.gitkeep")), ((0o755, 65532, 65532), (0o644, 0, 0)));
}

#[test]
fn a_changed_procfile_changes_the_image_although_dockerignore_names_it() {
    let world = world(&[
        ("shop/a.py", ""),
        ("shop/b.py", ""),
        ("shop/.dockerignore", "Procfile\n"),
        ("shop/Procfile", "web: python a.py\n"),
    ]);
    let entry_point = || config(&built(&world, "./shop").1)["Entrypoint"].to_string();
    assert!(entry_point().contains("a.py"));
    fs::write(world.path("shop/Procfile"), "web: python b.py\n").unwrap();
    assert!(entry_point().contains("b.py"));
}

#[test]
fn volumes_signals_health_checks_and_owners_are_in_the_image() {
    let world = world(&[("settings.ini", "x"), ("conf/a", "a")]);
    let words = "tool --volume /data --stop-signal int --healthcheck tool --healthcheck-interval 1m \
                 --healthcheck-retries 2 --copy settings.ini:/etc/tool.ini:640:7:8 --copy conf:/etc/conf";
    let (_, image) = built(&world, words);
    let config = config(&image);
    assert_eq!(config["Volumes"], json!({"/data": {}}));
    assert_eq!(config["StopSignal"], "SIGINT");
    let check = json!({"Interval": 60_000_000_000u64, "Retries": 2, "Test": ["CMD", "/opt/app/bin/tool"]});
    assert_eq!(config["Healthcheck"], check);
    let of = |path: &str| {
        let file = &image.files[path];
        (file.mode, file.uid, file.gid)
    };
    assert_eq!((of("etc/tool.ini"), of("etc/conf/a")), ((0o640, 7, 8), (0o644, 0, 0)));
    // The program must be able to write to the volume.
    assert_eq!(of("data"), (0o755, 65532, 65532));
    insta::assert_snapshot!(world.errors(&[
        "tool --volume data:/data",
        "tool --stop-signal STOPP",
        "tool --copy conf:/etc/conf:888",
        "tool --healthcheck tool --healthcheck-interval soon",
        "tool --healthcheck tool||false",
    ]), @"
    $ tool --volume data:/data
    exit 2
    error: cannot keep `data:/data` in a volume: write a folder of the image that begins with `/`; the place on a machine is chosen by `docker run --volume`

    $ tool --stop-signal STOPP
    exit 2
    error: cannot stop the program with `STOPP`: write the name or the number of a signal, `SIGTERM` or `15`

    $ tool --copy conf:/etc/conf:888
    exit 2
    error: cannot copy `conf:/etc/conf:888`: write it as `SRC:DST` or `SRC:DST:MODE:UID:GID`, DST beginning with `/`, MODE in octal digits

    $ tool --healthcheck tool --healthcheck-interval soon
    exit 2
    error: cannot read the time `soon`: write it as `30s`, `5m` or `1h`

    $ tool --healthcheck tool||false
    exit 2
    error: cannot read the health check `tool||false`: no shell reads it, so `||` would be plain text for the program

    hint: let a shell run it: `sh -c '...'` (`lath build` needs `--shell` for it), or put `'` around plain text
    ");
}

#[test]
fn a_dockerfile_has_the_same_command_files_and_settings() {
    let world = world(&[("shop/requirements.txt", "server\n"), ("shop/main.py", "x = 1\n"), ("conf", "a")]);
    let words = "./shop --style lean --volume /data --stop-signal 2 --healthcheck serve --healthcheck-timeout 5s \
                 --copy conf:/etc/conf:600:1 -- python main.py";
    let text = stdout(world.dockerfile(words));
    let tail: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("COPY --chown")).collect();
    insta::assert_snapshot!(tail.join("\n"), @r#"
    COPY --chown=1:1 --chmod=600 ["conf", "/etc/conf"]
    # The application. Keep `.git`, `.env`, virtual environments and caches out of it by a .dockerignore.
    COPY ["./shop", "/app/"]
    ENV PYTHONPATH="/app"
    WORKDIR /app
    # A new volume has the owner of the folder under it, so that the program can write there.
    RUN install -d -o 65532 -g 65532 /data
    VOLUME ["/data"]
    STOPSIGNAL 2
    HEALTHCHECK --timeout=5s CMD ["serve"]
    USER 65532:65532
    # The program runs without a shell, so it gets arguments and signals directly.
    ENTRYPOINT ["/usr/bin/python3.13", "main.py"]
    "#);
    let refused = |words: &str| {
        let output = world.dockerfile(words);
        assert!(!output.status.success());
        world.error_in(&String::from_utf8_lossy(&output.stderr))
    };
    fs::write(world.path("shop/requirements.txt"), "").unwrap();
    insta::assert_snapshot!([
        refused("./shop -- python main.py"),
        refused("tool -c x=tool:main"),
        refused("tool --copy conf:/etc/conf:600 --builder classic"),
    ].join("\n"), @"
    error: cannot write a Dockerfile for an image without distributions: there is nothing that pip could install
    error: cannot write the entry point `x` into a Dockerfile: no distribution has it; run its module with `-m`
    error: cannot give `conf` a mode in a Dockerfile of this builder: it needs BuildKit, Podman or Buildah
    ");
}
