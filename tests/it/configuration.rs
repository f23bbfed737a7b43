//! Configuration files: where they are found, their order, their errors, and several images in one file.

use std::process::{Command, Output};

use testkit::{PyPi, WheelBuilder, oci};

use crate::world::{self, World, archive, stdout, tool};

/// Returns lath with these arguments in `folder`. The options of [`World::command`] are not used.
fn lath(world: &World, folder: &str, words: &str) -> Command {
    let mut command = Command::new(world::lath());
    command.current_dir(world.path(folder)).env_clear().args(words.split_whitespace());
    command.env("LATH_CACHE_DIR", world.path("cache")).env("LATH_KEYRING", world.path("keys"));
    command
}

fn write(world: &World, name: &str, text: &str) {
    fs_err::create_dir_all(world.path(name).parent().unwrap()).unwrap();
    fs_err::write(world.path(name), text).unwrap();
}

/// Returns the settings with which lath builds in this world.
fn settings(world: &World) -> String {
    format!(
        "platform = ['linux/amd64']\nbytecode = 'none'\nno-verify = true\ndefault-index = '{}'\nmirror = '{}'\nsecurity-mirror = '{}'\n",
        world.pypi.url(),
        world.debian.url(),
        world.debian.security_url()
    )
}

/// Returns the exit code and the messages. In them, the path of the world's folder is replaced.
fn said(world: &World, output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).replace(&world.path("").display().to_string(), "[DIR]/");
    format!("exit {}\n{text}", output.status.code().unwrap())
}

fn refused(world: &World, text: &str) -> String {
    write(world, "lath.toml", text);
    let output = lath(world, "", "build tool").output().unwrap();
    said(world, &output)
}

#[test]
fn an_image_is_built_from_the_file_alone_and_options_are_over_it() {
    let world = World::usual();
    let text = settings(&world) + "requirement = ['tool']\ntag = 'file'\nenv = ['A=1']\nrun = 'tool --x'\n";
    write(&world, "lath.toml", &text);
    stdout(lath(&world, "", "build").output().unwrap());
    let image = oci::check(&world.path("file.tar")).unwrap();
    let env: Vec<&str> =
        image.platforms[0].config["config"]["Env"].as_array().unwrap().iter().filter_map(|one| one.as_str()).collect();
    assert!(env.contains(&"A=1"), "{env:?}");
    stdout(lath(&world, "", "build -t typed -e ... -e B=2").output().unwrap());
    let image = oci::check(&world.path("typed.tar")).unwrap();
    let env: Vec<&str> =
        image.platforms[0].config["config"]["Env"].as_array().unwrap().iter().filter_map(|one| one.as_str()).collect();
    assert!(env.contains(&"A=1") && env.contains(&"B=2") && !env.contains(&"..."), "{env:?}");
    stdout(lath(&world, "", "build").env("LATH_TAG", "variable").output().unwrap());
    assert!(world.path("variable.tar").exists());
}

#[test]
fn a_file_has_the_same_digest_as_the_same_options() {
    let world = World::usual();
    let typed = world::digest(world.build("tool --env A=1 --label b=c -o typed.tar"));
    let text = settings(&world) + "requirement = ['tool']\nenv = ['A=1']\nlabel = ['b=c']\noutput = ['file.tar']\n";
    write(&world, "pyproject.toml", &format!("[project]\nname = 'x'\n[tool.lath]\n{text}"));
    assert_eq!(world::digest(lath(&world, "", "build").output().unwrap()), typed);
}

#[test]
fn the_file_of_the_project_is_in_the_input_or_in_a_parent_up_to_the_repository() {
    let world = World::usual();
    write(&world, "repository/.git/HEAD", "");
    write(&world, "repository/lath.toml", &(settings(&world) + "requirement = ['tool']\nconstraint = ['c.txt']\n"));
    write(&world, "repository/c.txt", "");
    write(&world, "repository/inner/pyproject.toml", "[tool.uv]\n");
    write(&world, "lath.toml", "outside = true\n");
    stdout(lath(&world, "repository/inner", "build").output().unwrap());
    assert!(world.path("repository/inner/tool.tar").exists());
    // If there is no repository, parent folders are not searched.
    write(&world, "plain/inner/x", "");
    write(&world, "plain/lath.toml", "outside = true\n");
    let error = said(&world, &lath(&world, "plain/inner", "build").output().unwrap());
    assert!(error.contains("cannot install nothing"), "{error}");
    // If an input is in a folder, lath reads the configuration file of this folder, and not that of the current folder.
    write(&world, "input/lath.toml", "wiht = ['git']\n");
    for input in ["../input", "../input/pyproject.toml", "../input/uv.lock"] {
        let error = said(&world, &lath(&world, "repository", &format!("build {input}")).output().unwrap());
        assert!(error.contains("`../input/lath.toml`, line 1, column 1: there is no option `wiht`"), "{error}");
    }
    // If an input is a name, lath does not read the configuration file in the folder with this name.
    write(&world, "repository/tool/lath.toml", "wiht = ['git']\n");
    stdout(lath(&world, "repository", "build tool -t named").output().unwrap());
}

#[test]
fn the_users_file_is_below_the_projects_and_no_config_reads_none() {
    let world = World::usual();
    write(&world, "home/.config/lath/lath.toml", &(settings(&world) + "tag = 'user'\nuser = '1'\n"));
    write(&world, "project/lath.toml", "tag = 'project'\nrequirement = ['tool']\n");
    let home = world.path("home");
    stdout(lath(&world, "project", "build").env("HOME", &home).output().unwrap());
    let image = oci::check(&world.path("project/project.tar")).unwrap();
    assert_eq!(image.platforms[0].config["config"]["User"], "1");
    for variable in [("HOME", home.clone()), ("XDG_CONFIG_HOME", world.path("home/.config"))] {
        let none = lath(&world, "project", "build --no-config").env(variable.0, variable.1).output().unwrap();
        assert!(said(&world, &none).starts_with("exit 2\nerror: cannot install nothing"));
    }
    // `--config` is used instead of the project's file.
    write(&world, "other.toml", "tag = 'other'\nrequirement = ['tool']\n");
    stdout(lath(&world, "project", "build --config ../other.toml").env("HOME", &home).output().unwrap());
    assert!(world.path("project/other.tar").exists());
    // Commands for the cache read only the user's file, so the broken file of the project does no harm.
    write(&world, "home/.config/lath/lath.toml", "cache-dir = 'mine'\n");
    write(&world, "project/lath.toml", "broken");
    let mut command = lath(&world, "project", "cache dir");
    let dir = stdout(command.env("HOME", &home).env_remove("LATH_CACHE_DIR").output().unwrap());
    assert_eq!(dir.trim(), home.join(".config/lath/mine").to_str().unwrap());
}

/// Returns lath's error for each of these files. The contents of a file come before its error.
fn errors(table: &[&str]) -> String {
    let world = World::usual();
    table.iter().map(|text| format!("{text}{}\n", refused(&world, text))).collect()
}

#[test]
fn an_option_or_a_value_that_does_not_exist_is_refused_with_its_place() {
    let table = [
        "# first\nwiht = ['git']\n",
        "user_base = '/srv'\n",
        "postgresql = true\n",
        "with = 'git'\n",
        "with = ['git', 1]\n",
        "shell = 'yes'\n",
        "jobs = -1\n",
        "jobs = '4'\n",
        "tag = 1\n",
        "trim = 'most'\n",
        "run = 'open \"'\n",
        "run = 7\n",
    ];
    insta::assert_snapshot!(errors(&table), @r#"
    # first
    wiht = ['git']
    exit 2
    error: cannot use `lath.toml`, line 2, column 1: there is no option `wiht`

    hint: did you mean `with`?

    user_base = '/srv'
    exit 2
    error: cannot use `lath.toml`, line 1, column 1: there is no option `user_base`

    hint: did you mean `user-base`?

    postgresql = true
    exit 2
    error: cannot use `lath.toml`, line 1, column 1: there is no option `postgresql`

    hint: the options of `lath build --help` are also those of files

    with = 'git'
    exit 2
    error: cannot use `lath.toml`, line 1, column 8: `with` must be a list of texts, such as `with = ["PACKAGE"]`

    with = ['git', 1]
    exit 2
    error: cannot use `lath.toml`, line 1, column 16: `with` must be a list of texts, such as `with = ["PACKAGE"]`

    shell = 'yes'
    exit 2
    error: cannot use `lath.toml`, line 1, column 9: `shell` must be `true` or `false`

    jobs = -1
    exit 2
    error: cannot use `lath.toml`, line 1, column 8: `jobs` must be a number, such as `jobs = 8`

    jobs = '4'
    exit 2
    error: cannot use `lath.toml`, line 1, column 8: `jobs` must be a number, such as `jobs = 8`

    tag = 1
    exit 2
    error: cannot use `lath.toml`, line 1, column 7: `tag` must be a text or a list of texts, such as `tag = "NAME[:TAG]"`

    trim = 'most'
    exit 2
    error: cannot use `lath.toml`, line 1, column 8: `trim` must be one of `"none"`, `"standard"`, `"reach"`, `"trace"`

    run = 'open "'
    exit 2
    error: cannot use `lath.toml`, line 1, column 7: cannot split `run`: a quote is not closed, or there is no command

    run = 7
    exit 2
    error: cannot use `lath.toml`, line 1, column 7: `run` must be a list of texts or one text, such as `run = ["python", "-m", "app"]`
    "#);
}

#[test]
fn a_file_that_contradicts_itself_is_refused_with_the_place() {
    let table = [
        "check = ['true']\nno-verify = true\n",
        "a = [1\nb = 2\n",
        "with = ['git']\nwith = ['curl']\n",
        "config = 'x'\n",
        "image = 'web'\n",
        "[[image]]\ntag = 'x'\n",
        "[[image]]\nname = ''\n",
        "[[image]]\nname = 'a'\n[[image]]\nname = 'a'\n",
        "[[image]]\nname = 'a'\njobs = 3\n",
        "[[image]]\nname = 'a'\nwiht = []\n",
    ];
    insta::assert_snapshot!(errors(&table), @"
    check = ['true']
    no-verify = true
    exit 2
    error: cannot use `lath.toml`, line 2, column 1: `no-verify` cannot be used with `check`

    a = [1
    b = 2
    exit 2
    error: cannot use `lath.toml`, line 2, column 1: missing comma between array elements, expected `,`

    with = ['git']
    with = ['curl']
    exit 2
    error: cannot use `lath.toml`, line 2, column 1: duplicate key

    config = 'x'
    exit 2
    error: cannot use `lath.toml`, line 1, column 1: there is no option `config`

    hint: the options of `lath build --help` are also those of files

    image = 'web'
    exit 2
    error: cannot use `lath.toml`, line 1, column 9: each image must be a table `[[image]]`, with a `name`

    [[image]]
    tag = 'x'
    exit 2
    error: cannot use `lath.toml`, line 1, column 1: this image has no `name`

    [[image]]
    name = ''
    exit 2
    error: cannot use `lath.toml`, line 2, column 8: the `name` of an image must be a text

    [[image]]
    name = 'a'
    [[image]]
    name = 'a'
    exit 2
    error: cannot use `lath.toml`, line 3, column 1: there are two images `a`

    [[image]]
    name = 'a'
    jobs = 3
    exit 2
    error: cannot use `lath.toml`, line 3, column 1: `jobs` applies to all images: write it before the first `[[image]]`

    [[image]]
    name = 'a'
    wiht = []
    exit 2
    error: cannot use `lath.toml`, line 3, column 1: there is no option `wiht`

    hint: did you mean `with`?
    ");
}

#[test]
fn a_line_for_a_shell_and_an_option_of_all_images_are_refused_with_the_place() {
    let table = ["run = 'a && b'\n", "[[image]]\nname = 'a'\nvendor = 'wheels'\n"];
    insta::assert_snapshot!(errors(&table), @"
    run = 'a && b'
    exit 2
    error: cannot use `lath.toml`, line 1, column 7: cannot split `run`: no shell reads it, so `&&` would be plain text for the program

    hint: let a shell run it: `sh -c '...'` (`lath build` needs `shell = true` for it), or put `'` around plain text

    [[image]]
    name = 'a'
    vendor = 'wheels'
    exit 2
    error: cannot use `lath.toml`, line 3, column 1: `vendor` applies to all images: write it before the first `[[image]]`
    ");
}

#[test]
fn a_broken_pyproject_is_an_error_only_if_it_has_settings() {
    let world = World::usual();
    write(&world, "pyproject.toml", "[project\n");
    let error = said(&world, &lath(&world, "", "build").output().unwrap());
    assert!(error.starts_with("exit 2\nerror: cannot install nothing"), "{error}");
    write(&world, "pyproject.toml", "[tool.lath]\n[project\n");
    let error = said(&world, &lath(&world, "", "build").output().unwrap());
    assert!(error.starts_with("exit 2\nerror: cannot use `pyproject.toml`, line 2, column 9"), "{error}");
    let error = said(&world, &lath(&world, "", "build --config gone.toml").output().unwrap());
    assert!(error.starts_with("exit 2\nerror: cannot read the configuration file `gone.toml`"), "{error}");
    write(&world, "x/pyproject.toml", "[project]\n");
    let error = said(&world, &lath(&world, "", "build --config x/pyproject.toml").output().unwrap());
    assert_eq!(error, "exit 2\nerror: cannot use `x/pyproject.toml`: it has no table `[tool.lath]`\n");
}

/// Returns the errors for these files of a project. The folder of the project is next to a file with a secret.
fn errors_of_project(table: &[&str]) -> String {
    let world = World::usual();
    write(&world, "secret", "key");
    fs_err::create_dir_all(world.path("project")).unwrap();
    fs_err::os::unix::fs::symlink("../secret", world.path("project/link")).unwrap();
    let mut errors = String::new();
    for text in table {
        write(&world, "project/lath.toml", text);
        let error = said(&world, &lath(&world, "project", "build tool").output().unwrap());
        assert!(error.starts_with("exit 2\n"), "{text}: {error}");
        let error = error.replace("error: cannot use `lath.toml`, line 1, ", "");
        errors.push_str(&format!("{text}\n{}\n", error.trim_start_matches("exit 2\n")));
    }
    errors
}

#[test]
fn the_file_of_a_project_cannot_weaken_what_is_trusted() {
    let table = ["keyring = 'keys'", "ca = 'ca.pem'", "cache-dir = 'cache'", "build = true", "measure = true"];
    insta::assert_snapshot!(errors_of_project(&table), @"
    keyring = 'keys'
    column 1: `keyring` cannot be in the file of a project: it decides which signatures are trusted

    hint: set it in your own file `~/.config/lath/lath.toml`, or with `--keyring`; or name this file with `--config`, if you trust it

    ca = 'ca.pem'
    column 1: `ca` cannot be in the file of a project: it decides which servers are trusted

    hint: set it in your own file `~/.config/lath/lath.toml`, or with `--ca`; or name this file with `--config`, if you trust it

    cache-dir = 'cache'
    column 1: `cache-dir` cannot be in the file of a project: all projects share the cache

    hint: set it in your own file `~/.config/lath/lath.toml`, or with `--cache-dir`; or name this file with `--config`, if you trust it

    build = true
    column 1: `build` cannot be in the file of a project: it starts an engine

    hint: set it in your own file `~/.config/lath/lath.toml`, or with `--build`; or name this file with `--config`, if you trust it

    measure = true
    column 1: `measure` cannot be in the file of a project: it starts an engine

    hint: set it in your own file `~/.config/lath/lath.toml`, or with `--measure`; or name this file with `--config`, if you trust it
    ");
}

#[test]
fn the_file_of_a_project_cannot_use_files_outside_of_it() {
    let table = [
        "copy = ['../secret:/x']",
        "copy = ['/etc/passwd:/x']",
        "copy = ['link:/x']",
        "volume = ['.:/x:ro']",
        "output = ['dir:.git/hooks']",
        "output = ['dir:../x']",
        "output = ['../x.tar']",
        "metadata-file = '/x.json'",
        "requirements = ['../secret']",
        "requirement = ['../x-1.0-py3-none-any.whl']",
    ];
    insta::assert_snapshot!(errors_of_project(&table), @"
    copy = ['../secret:/x']
    column 9: the file of a project can only use its own files in `[DIR]/project`, not `../secret`

    copy = ['/etc/passwd:/x']
    column 9: the file of a project can only use its own files in `[DIR]/project`, not `/etc/passwd`

    copy = ['link:/x']
    column 9: the file of a project can only use its own files in `[DIR]/project`, not `link`

    volume = ['.:/x:ro']
    column 11: the file of a project cannot mount files of this machine

    output = ['dir:.git/hooks']
    column 11: the file of a project can only use its own files in `[DIR]/project`, not `.git/hooks`

    output = ['dir:../x']
    column 11: the file of a project can only use its own files in `[DIR]/project`, not `../x`

    output = ['../x.tar']
    column 11: the file of a project can only use its own files in `[DIR]/project`, not `../x.tar`

    metadata-file = '/x.json'
    column 17: the file of a project can only use its own files in `[DIR]/project`, not `/x.json`

    requirements = ['../secret']
    column 17: the file of a project can only use its own files in `[DIR]/project`, not `../secret`

    requirement = ['../x-1.0-py3-none-any.whl']
    column 16: the file of a project can only use its own files in `[DIR]/project`, not `../x-1.0-py3-none-any.whl`
    ");
}

#[test]
fn the_users_own_file_and_a_named_one_are_trusted() {
    let world = World::usual();
    write(&world, "secret", "key");
    let text = settings(&world) + "requirement = ['tool']\ncopy = ['../secret:/x']\n";
    write(&world, "project/lath.toml", &text);
    stdout(lath(&world, "project", "build --config lath.toml").output().unwrap());
    write(&world, "home/.config/lath/lath.toml", &text.replace("..", "../../.."));
    write(&world, "project/lath.toml", "tag = 'user'");
    stdout(lath(&world, "project", "build").env("HOME", world.path("home")).output().unwrap());
    assert!(oci::check(&world.path("project/user.tar")).unwrap().platforms[0].files.contains_key("x"));
}

#[test]
fn the_file_of_a_project_cannot_replace_images_of_an_engine() {
    let world = World::usual();
    let show = |words: &str| {
        let output = lath(&world, "project", &format!("config show {words}")).env("HOME", world.path("home")).output();
        said(&world, &output.unwrap())
    };
    let table = [
        ("load = true", "column 1: `load` cannot be in the file of a project: it can replace an image of your engine"),
        (
            "output = ['x.tar', 'docker-daemon:postgres:16']",
            "column 20: the file of a project cannot load an image into an engine, because that can replace another image there",
        ),
    ];
    for (text, expected) in table {
        write(&world, "project/lath.toml", text);
        let error = show("");
        assert!(error.starts_with("exit 2\n") && error.contains(expected), "{text}: {error}");
        assert_eq!(show("--config lath.toml"), "exit 0\n");
        // The base is only read.
        write(&world, "project/lath.toml", "base = 'docker-daemon:company/base:7'");
        write(&world, "home/.config/lath/lath.toml", text);
        assert_eq!(show(""), "exit 0\n");
        fs_err::remove_dir_all(world.path("home")).unwrap();
    }
}

/// Creates a world with two tools that need the same library. A file describes an image for each tool.
fn two_images() -> World {
    let library = WheelBuilder::new("library", "2.0").file("library.py", "x = 1\n".repeat(1000));
    let other = WheelBuilder::new("other", "1.0").file("other.py", "def main(): pass\n").script("other", "other:main");
    let index = PyPi::new().built(&library).built(&tool().requires("library")).built(&other.requires("library"));
    let world = World::new(archive(), index);
    let images = "[[image]]\nname = 'web'\nrequirement = ['tool']\nenv = ['...', 'B=2']\n[[image]]\nname = 'worker'\nrequirement = ['other']\n";
    write(&world, "lath.toml", &(settings(&world) + "env = ['A=1']\n" + images));
    world
}

#[test]
fn all_images_are_built_in_one_run_and_share_layers() {
    let world = two_images();
    let output = lath(&world, "", "build --all").output().unwrap();
    let text = said(&world, &output);
    let lines = stdout(output);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("web.tar@sha256:") && lines[1].starts_with("worker.tar@sha256:"), "{lines:?}");
    assert!(
        text.contains("2 images: ") && text.contains(" of several images\n") && text.contains(": web, worker\n"),
        "{text}"
    );
    let images = ["web.tar", "worker.tar"].map(|name| oci::check(&world.path(name)).unwrap());
    let env = |image: &oci::Checked| image.platforms[0].config["config"]["Env"].to_string();
    assert!(env(&images[0]).contains("A=1") && env(&images[0]).contains("B=2"));
    assert!(env(&images[1]).contains("A=1") && !env(&images[1]).contains("B=2"));
    // An image has the same digest if it is built without the others.
    let one = stdout(lath(&world, "", "build --image worker").output().unwrap());
    assert_eq!(one.trim(), lines[1]);
}

#[test]
fn an_image_has_to_be_chosen_if_there_are_several() {
    let world = two_images();
    let table =
        ["build", "run", "build --image wbe", "build --all -t same", "build --all -o x.tar", "build --all --image web"];
    let errors = table.map(|words| format!("$ {words}\n{}", said(&world, &lath(&world, "", words).output().unwrap())));
    insta::assert_snapshot!(errors.join("\n"), @"
    $ build
    exit 2
    error: cannot choose an image: the file describes `web`, `worker`

    hint: choose one with `--image NAME`; `lath build --all` builds all of them

    $ run
    exit 2
    error: cannot choose an image: the file describes `web`, `worker`

    hint: choose one with `--image NAME`; `lath build --all` builds all of them

    $ build --image wbe
    exit 2
    error: there is no image `wbe`: the file describes `web`, `worker`

    hint: did you mean `web`?

    $ build --all -t same
    exit 2
    error: cannot write the images `same` and `same` both to `same.tar`

    hint: write `tag`, `output`, `metadata-file` and `explanation` into the table of each image

    $ build --all -o x.tar
    exit 2
    error: cannot write the images `web` and `worker` both to `x.tar`

    hint: write `tag`, `output`, `metadata-file` and `explanation` into the table of each image

    $ build --all --image web
    exit 2
    error: the argument '--all' cannot be used with '--image <NAME>'

    Usage: lath build --all [INPUT]... [-- <COMMAND>...]

    For more information, try '--help'.
    ");
    for words in ["build --no-config --all", "build --no-config --image web"] {
        let error = said(&world, &lath(&world, "", words).output().unwrap());
        assert!(
            error.starts_with("exit 2\nerror: cannot build ") && error.contains("no configuration file was found"),
            "{error}"
        );
    }
    // If the file describes only one image, no option is needed to choose it.
    write(&world, "one/lath.toml", &(settings(&world) + "[[image]]\nname = 'one'\nrequirement = ['tool']\n"));
    stdout(lath(&world, "one", "build").output().unwrap());
    assert!(world.path("one/one.tar").exists());
}

#[test]
fn an_image_that_fails_ends_the_run_and_written_images_are_listed() {
    let world = two_images();
    let text = fs_err::read_to_string(world.path("lath.toml")).unwrap();
    write(
        &world,
        "lath.toml",
        &(text.replace("'other'", "'gone'") + "[[image]]\nname = 'last'\nrequirement = ['tool']\n"),
    );
    let output = lath(&world, "", "build --all").output().unwrap();
    let text = said(&world, &output);
    assert!(text.starts_with("exit 1\n") && text.contains("hint: the image is written: `web.tar@sha256:"), "{text}");
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1);
    assert!(world.path("web.tar").exists() && !world.path("last.tar").exists());
}

#[test]
fn config_show_prints_every_value_with_its_source_and_without_secrets() {
    let world = World::usual();
    let project = "# settings\nwith = ['...', 'git']\npython = '3.13'\nindex = ['https://me:secret@index.example/simple']\n\
                   requirements = ['https://me:secret@index.example/list.txt']\nno-verify = true\nshell = true\n\
                   run = 'tool --port 80'\n\n[[image]]\nname = 'web'\nenv = ['A=1']\n";
    write(&world, "project/lath.toml", project);
    write(&world, "home/.config/lath/lath.toml", "with = ['curl']\ntrim = 'none'\ncolor = 'never'\n");
    let show = |words: &str| {
        let mut command = lath(&world, "project", words);
        command.env("HOME", world.path("home")).env_remove("LATH_CACHE_DIR").env_remove("LATH_KEYRING");
        command.env("LATH_WITH", "...\njq").env("LATH_CHECK", "true").env("LATH_STYLE", "").env("LATH_SHELL", "0");
        stdout(command.output().unwrap()).replace(&world.path("").display().to_string(), "[DIR]/")
    };
    insta::assert_snapshot!(show("config show --color always"), @r#"
    check = ["true"]                                   # LATH_CHECK
    color = "always"                                   # command line
    env = ["A=1"]                                      # lath.toml:12
    index = ["https://index.example/simple"]           # lath.toml:4
    no-verify = false                                  # excluded by another option
    python = "3.13"                                    # lath.toml:3
    requirements = ["https://index.example/list.txt"]  # lath.toml:5
    run = ["tool", "--port", "80"]                     # lath.toml:8
    shell = false                                      # LATH_SHELL
    tag = ["web"]                                      # lath.toml:11
    trim = "none"                                      # [DIR]/home/.config/lath/lath.toml:2
    with = ["curl", "git", "jq"]                       # LATH_WITH, lath.toml:2, [DIR]/home/.config/lath/lath.toml:1
    "#);
    insta::assert_snapshot!(show("config path"), @"
    lath.toml
    [DIR]/home/.config/lath/lath.toml
    ");
    let with_defaults = show("config show --defaults");
    assert!(
        with_defaults.contains("user = \"65532:65532\"") && with_defaults.contains("# default\n"),
        "{with_defaults}"
    );
    let json: serde_json::Value = serde_json::from_str(&show("config show --json")).unwrap();
    let of = |option: &str| json.as_array().unwrap().iter().find(|one| one["option"] == option).unwrap().clone();
    assert_eq!(of("with")["value"], serde_json::json!(["curl", "git", "jq"]));
    assert_eq!(of("python"), serde_json::json!({ "option": "python", "value": "3.13", "sources": ["lath.toml:3"] }));
    // The output for people is valid TOML, and lath can read it.
    write(&world, "again/lath.toml", &show("config show").replace("[DIR]", "/"));
    stdout(lath(&world, "again", "config show").output().unwrap());
    // If the file describes several images, none of them is chosen automatically.
    write(&world, "project/lath.toml", &(project.to_owned() + "[[image]]\nname = 'worker'\nenv = ['B=2']\n"));
    let output = lath(&world, "project", "config show").output().unwrap();
    assert!(said(&world, &output).contains("the options of an image are shown with `--image`: `web`, `worker`"));
    assert!(!stdout(output).contains("env = "));
    assert!(show("config show --image worker").contains("env = [\"B=2\"]"));
    assert!(stdout(lath(&world, "home", "config path").output().unwrap()).is_empty());
}
