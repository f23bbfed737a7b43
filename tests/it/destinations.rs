//! The destinations of an image: each one is either complete or unchanged, and new layers contain only changed files.

use testkit::{PyPi, WheelBuilder, oci};

use crate::world::{World, archive, stdout, tool};

#[test]
fn a_layout_keeps_the_images_that_it_has_under_other_names() {
    let world = World::usual();
    stdout(world.build("tool -t one:1 -o oci:layout"));
    stdout(world.build("tool -o oci:layout:2 --label other=yes"));
    // An image with the same name replaces the earlier one.
    stdout(world.build("tool -t one:1 -o oci:layout"));
    let image = oci::check(&world.path("layout")).unwrap();
    assert_eq!(image.names, ["2", "1"]);
    insta::assert_snapshot!(world.error("tool -o oci:."), @"
    exit 1
    error: cannot write `.`: it is a folder that contains other files than an OCI layout

    hint: use another destination with `-o DEST`, or another file
    ");
}

/// Returns the references and the digests in a layout.
fn entries(world: &World) -> Vec<(String, String)> {
    let index = std::fs::read(world.path("layout/index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let entry = |entry: &serde_json::Value| {
        (text(&entry["annotations"]["org.opencontainers.image.ref.name"]), text(&entry["digest"]))
    };
    index["manifests"].as_array().unwrap().iter().map(entry).collect()
}

#[test]
fn two_images_in_a_layout_may_have_the_same_tag() {
    let world = World::usual();
    stdout(world.build("tool -t one -o oci:layout"));
    stdout(world.build("tool -t two -o oci:layout --label two=1"));
    let [(one, first), (two, second)] = entries(&world).try_into().unwrap();
    assert_eq!([one.as_str(), two.as_str()], ["latest", "two:latest"]);
    assert_ne!(first, second);
    // Each image replaces only itself.
    stdout(world.build("tool -t two -o oci:layout --label two=2"));
    let [(one, again), (two, changed)] = entries(&world).try_into().unwrap();
    assert_eq!((one.as_str(), two.as_str(), &again), ("latest", "two:latest", &first));
    assert_ne!(changed, second);
    stdout(world.build("tool -t one -o oci:layout --label one=2"));
    let names: Vec<String> = entries(&world).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["two:latest", "latest"]);
    // A reference that the user gives replaces the image that has it.
    stdout(world.build("tool -t three -o oci:layout:latest"));
    assert_eq!(entries(&world).len(), 2);
}

#[test]
fn a_destination_that_cannot_be_written_leaves_the_others_as_they_were() {
    let world = World::usual();
    std::fs::write(world.path("a.tar"), "mine").unwrap();
    std::fs::create_dir(world.path("full")).unwrap();
    std::fs::write(world.path("full/x"), "mine").unwrap();
    let table = ["dir:full", "oci:full", "oci:a.tar", "full", "/dev/null", "oci-archive:a.tar"];
    let errors =
        table.map(|other| world.error(&format!("tool -o a.tar -o {other}")).lines().nth(1).unwrap().to_owned());
    insta::assert_snapshot!(errors.join("\n"), @"
    error: cannot write `full`: it exists and is not an empty folder
    error: cannot write `full`: it is a folder that contains other files than an OCI layout
    error: cannot write `a.tar`: there is a file of that name
    error: cannot write `full`: there is a folder of that name
    error: cannot write `/dev/null`: there is something of that name that is not a file
    error: cannot write `a.tar`: it is given twice
    ");
    assert_eq!(std::fs::read_to_string(world.path("a.tar")).unwrap(), "mine");
    let left: Vec<_> = std::fs::read_dir(world.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| ["a.tar", "full", "keys", "cache"].iter().any(|known| name == known)), "{left:?}");
}

#[test]
fn a_changed_program_changes_its_own_layer_alone() {
    let layers = |image: &str, world: &World| -> Vec<String> {
        let manifest = &oci::check(&world.path(image)).unwrap().platforms[0].manifest;
        let layers = manifest["layers"].as_array().unwrap().iter();
        let line = |layer: &serde_json::Value| {
            let title = layer["annotations"]["org.opencontainers.image.title"].as_str().unwrap().to_owned();
            format!("{title} {}", layer["digest"].as_str().unwrap())
        };
        layers.map(line).collect()
    };
    let world = World::usual();
    stdout(world.build("tool"));
    let before = layers("tool.tar", &world);
    let titles: Vec<&str> = before.iter().map(|line| line.rsplit_once(' ').unwrap().0).collect();
    assert_eq!(titles, ["base", "python", "files of lath", "tool"]);
    let newer = tool().file("tool/new.py", "new = 1\n");
    let world = World::new(archive(), PyPi::new().built(&newer));
    stdout(world.build("tool"));
    let after = layers("tool.tar", &world);
    assert_eq!(before[..3], after[..3]);
    assert_ne!(before[3], after[3]);
}

#[test]
fn a_daemon_that_does_not_answer_is_told_before_anything_is_fetched() {
    let world = World::usual();
    let mut command = world.command("tool --load");
    command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains("resolving"), "{said}");
    insta::assert_snapshot!(world.error_in(&said), @"
    error: cannot load `tool`
      cause: cannot reach the daemon at `unix:///nowhere/docker.sock`
      cause: error sending request for url (http://localhost/version)
      cause: client error (Connect)
      cause: No such file or directory (os error 2)

    hint: start Docker or Podman's socket (`systemctl --user start podman.socket`), or name another daemon with `DOCKER_HOST`; if there is none, write a file with `-o NAME.tar` and load it on a machine that has one
    ");
}

#[test]
fn annotations_tell_what_the_program_says_of_itself() {
    let tool = tool()
        .metadata_line("Summary: Does things")
        .metadata_line("License-Expression: MIT")
        .metadata_line("Project-URL: Repository, https://code.example/tool");
    let other = WheelBuilder::new("other", "2.0").file("other.py", "").metadata_line("License-Expression: ISC");
    let world = World::new(archive(), PyPi::new().built(&tool).built(&other));
    let annotations = |image: &str| {
        let platform = oci::check(&world.path(image)).unwrap().platforms.remove(0);
        let told = platform.manifest["annotations"].clone();
        assert_eq!(told, platform.config["config"]["Labels"]);
        let told = told.as_object().unwrap().iter();
        let short = |key: &str| key.trim_start_matches("org.opencontainers.image.").to_owned();
        told.map(|(key, value)| format!("{}={}", short(key), value.as_str().unwrap())).collect::<Vec<_>>()
    };
    stdout(world.build("tool --annotation org.opencontainers.image.version=mine"));
    let expected =
        ["base.name=debian:trixie", "description=Does things", "licenses=MIT", "source=https://code.example/tool"];
    assert_eq!(annotations("tool.tar"), [&expected[..], &["title=tool", "version=mine"]].concat());
    stdout(world.build("tool other -o both.tar"));
    let expected = ["base.name=debian:trixie", "description=other 2.0, tool 1.0", "licenses=ISC AND MIT"];
    assert_eq!(annotations("both.tar"), [&expected[..], &["title=other, tool"]].concat());
}

#[test]
fn the_configuration_is_as_it_was_asked_for() {
    let world = World::usual();
    stdout(world.build("tool --workdir /data --expose 80 --expose 53/udp --user 7:8 --env A=1 --cmd --help"));
    let platform = &oci::check(&world.path("tool.tar")).unwrap().platforms[0];
    let config = &platform.config["config"];
    assert_eq!(config["User"], "7:8");
    assert_eq!(config["WorkingDir"], "/data");
    assert!(platform.files.contains_key("data"), "no engine can make it in a read-only root");
    assert_eq!(config["ExposedPorts"], serde_json::json!({ "53/udp": {}, "80/tcp": {} }));
    assert_eq!(config["Cmd"], serde_json::json!(["--help"]));
    assert_eq!(config["Env"][0], "A=1");
}

#[test]
fn several_scripts_are_a_menu() {
    let tool = tool().script("other", "tool:main");
    let suite = WheelBuilder::new("suite", "1.0").requires("suite-core");
    let core = WheelBuilder::new("suite-core", "1.0").file("suite.py", "").script("suite", "suite:main");
    let core = core.script("suite-admin", "suite:admin");
    let world = World::new(archive(), PyPi::new().built(&tool).built(&suite).built(&core));
    let start = |image: &str| {
        let platform = oci::check(&world.path(image)).unwrap().platforms.remove(0);
        format!("{} {}", platform.config["config"]["Entrypoint"], platform.config["config"]["Cmd"])
    };
    stdout(world.build("tool"));
    assert_eq!(start("tool.tar"), r#"["/opt/app/bin/tool"] null"#, "the one that bears the name");
    stdout(world.build("tool -c other -o one.tar"));
    assert_eq!(start("one.tar"), r#"["/opt/app/bin/other"] null"#);
    stdout(world.build("tool -c other -c tool -o menu.tar"));
    assert_eq!(start("menu.tar"), r#"null ["/opt/app/bin/other"]"#, "the first answers where nothing is typed");
    stdout(world.build("suite"));
    assert_eq!(start("suite.tar"), r#"["/opt/app/bin/suite"] null"#, "what brings along the script of its name");
}

#[test]
fn a_metadata_file_that_cannot_be_written_is_refused_before_anything_is_fetched() {
    let world = World::usual();
    fs_err::create_dir_all(world.path("folder/empty")).unwrap();
    std::fs::write(world.path("a.tar"), "mine").unwrap();
    fs_err::os::unix::fs::symlink(".", world.path("here")).unwrap();
    let table = [
        "tool --metadata-file nowhere/m.json",
        "tool --metadata-file folder",
        "tool -o a.tar --metadata-file a.tar",
        "tool -o a.tar --metadata-file ./folder/../a.tar",
        "tool -o a.tar --metadata-file here/a.tar",
    ];
    insta::assert_snapshot!(world.errors(&table), @"
    $ tool --metadata-file nowhere/m.json
    exit 1
    error: cannot write `nowhere/m.json`: its folder does not exist

    hint: use another destination with `-o DEST`, or another file

    $ tool --metadata-file folder
    exit 1
    error: cannot write `folder`: there is a folder of that name

    hint: use another destination with `-o DEST`, or another file

    $ tool -o a.tar --metadata-file a.tar
    exit 1
    error: cannot write `a.tar`: it is given twice

    hint: use another destination with `-o DEST`, or another file

    $ tool -o a.tar --metadata-file ./folder/../a.tar
    exit 1
    error: cannot write `a.tar` and `./folder/../a.tar`: they are the same file

    hint: use another destination with `-o DEST`, or another file

    $ tool -o a.tar --metadata-file here/a.tar
    exit 1
    error: cannot write `a.tar` and `here/a.tar`: they are the same file

    hint: use another destination with `-o DEST`, or another file
    ");
}

#[test]
fn links_and_places_in_one_another_are_refused_before_anything_is_fetched() {
    let world = World::usual();
    fs_err::create_dir_all(world.path("folder/empty")).unwrap();
    std::fs::write(world.path("a.tar"), "mine").unwrap();
    for (link, target) in [("link.json", "a.tar"), ("gone.json", "nowhere/m.json"), ("circle", "circle")] {
        fs_err::os::unix::fs::symlink(target, world.path(link)).unwrap();
    }
    let table = [
        "tool -o a.tar --metadata-file link.json",
        "tool -o a.tar -o oci-archive:link.json",
        "tool -o new.tar --metadata-file gone.json",
        "tool -o circle",
        "tool -o dir:folder/empty --metadata-file folder/empty/m.json",
        "tool -o oci:l --metadata-file l/index.json",
    ];
    insta::assert_snapshot!(world.errors(&table), @"
    $ tool -o a.tar --metadata-file link.json
    exit 1
    error: cannot write `a.tar` and `link.json`: they are the same file

    hint: use another destination with `-o DEST`, or another file

    $ tool -o a.tar -o oci-archive:link.json
    exit 1
    error: cannot write `a.tar` and `link.json`: they are the same file

    hint: use another destination with `-o DEST`, or another file

    $ tool -o new.tar --metadata-file gone.json
    exit 1
    error: cannot write `nowhere/m.json`: its folder does not exist

    hint: use another destination with `-o DEST`, or another file

    $ tool -o circle
    exit 1
    error: cannot write `circle`: it is a link that leads back to itself

    hint: use another destination with `-o DEST`, or another file

    $ tool -o dir:folder/empty --metadata-file folder/empty/m.json
    exit 1
    error: cannot write `folder/empty/m.json`: it is in `folder/empty`, which is another destination

    hint: use another destination with `-o DEST`, or another file

    $ tool -o oci:l --metadata-file l/index.json
    exit 1
    error: cannot write `l/index.json`: it is in `l`, which is another destination

    hint: use another destination with `-o DEST`, or another file
    ");
    assert!(world.debian.server.requests().is_empty() && world.pypi.server.requests().is_empty());
    assert_eq!(std::fs::read_to_string(world.path("a.tar")).unwrap(), "mine");
    assert!(!world.path("l").exists() && !world.path("new.tar").exists());
}

#[test]
fn the_metadata_is_written_with_the_image_or_to_a_stream() {
    let world = World::usual();
    let said = stdout(world.build("tool --metadata-file m.json"));
    let told: serde_json::Value = serde_json::from_slice(&std::fs::read(world.path("m.json")).unwrap()).unwrap();
    assert_eq!(told["destinations"][0].as_str(), Some(said.trim()));
    assert_eq!(told["platforms"][0]["removed_bytes_by_reason"], serde_json::json!({ "documentation": 4 }));
    let output = world.build("tool -q --metadata-file /dev/stderr");
    let streamed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&streamed).ok(), Some(told), "{streamed}");
}

#[test]
fn a_link_is_followed_as_by_cp_also_to_a_file_that_is_not_there() {
    let world = World::usual();
    std::fs::create_dir(world.path("real")).unwrap();
    std::fs::write(world.path("real/old.tar"), "old").unwrap();
    for (link, target) in
        [("a.tar", "real/old.tar"), ("b.tar", "real/new.tar"), ("layout", "real/l"), ("root", "real/r")]
    {
        fs_err::os::unix::fs::symlink(target, world.path(link)).unwrap();
    }
    let output = world.build("tool -o a.tar -o b.tar -o oci:layout -o dir:root");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    stdout(output);
    assert!(said.contains("note: `a.tar` is a link: `real/old.tar` is written\n"), "{said}");
    for link in ["a.tar", "b.tar", "layout", "root"] {
        assert!(world.path(link).symlink_metadata().unwrap().is_symlink(), "{link}");
    }
    for image in ["real/old.tar", "real/new.tar", "real/l"] {
        oci::check(&world.path(image)).unwrap();
    }
    assert!(world.path("real/r/usr/bin").is_dir());
}

#[test]
fn a_default_destination_that_leads_out_of_the_project_is_refused_unless_it_is_named() {
    let world = World::usual();
    for folder in ["project/.git", "project/out"] {
        fs_err::create_dir_all(world.path(folder)).unwrap();
    }
    fs_err::write(world.path("rc"), "mine").unwrap();
    let link = |target: &str, name: &str| {
        let _ = fs_err::remove_file(world.path("project").join(name));
        fs_err::os::unix::fs::symlink(target, world.path("project").join(name)).unwrap();
    };
    let run = |mut command: std::process::Command, words: &str| {
        command.current_dir(world.path("project")).env("LATH_CACHE_DIR", world.path("cache"));
        command.args(words.split_whitespace()).output().unwrap()
    };
    link("../keys", "keys");
    let refused = |output: std::process::Output| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        said
    };
    for target in ["../rc", "../new", ".git/new"] {
        link(target, "tool.tar");
        let error = refused(run(world.command("tool"), ""));
        let expected = format!(
            "error: cannot write `tool.tar`: it is a link to `{target}`, which is not a file of this project\n\nhint: name the file for the image with `-o FILE`\n"
        );
        assert_eq!(error, expected);
        link(target, "pylock.toml");
        let error = refused(run(world.lock_command("tool"), ""));
        assert!(error.contains(&format!("cannot write `pylock.toml`: it is a link to `{target}`")), "{error}");
    }
    assert!(world.debian.server.requests().is_empty() && world.pypi.server.requests().is_empty());
    assert!(!world.path("new").exists() && !world.path("project/.git/new").exists());
    assert_eq!(fs_err::read_to_string(world.path("rc")).unwrap(), "mine");
    // A link to another file of the project, and a link that is named, are followed.
    fs_err::write(world.path("project/out/old.tar"), "old").unwrap();
    link("out/old.tar", "tool.tar");
    stdout(run(world.command("tool"), ""));
    oci::check(&world.path("project/out/old.tar")).unwrap();
    link("../new", "tool.tar");
    stdout(run(world.command("tool"), "-o tool.tar"));
    oci::check(&world.path("new")).unwrap();
    link("../lock", "pylock.toml");
    stdout(run(world.lock_command("tool"), "-o pylock.toml"));
    assert!(world.path("lock").is_file());
}

#[test]
fn a_build_that_fails_at_one_destination_leaves_no_empty_folders_of_another() {
    let world = World::usual();
    let mut command = world.command("tool -o oci:new/layout -o oci:new/layout:2 -o dir:new/root");
    stdout(world.build("tool"));
    let Some(mut small) = crate::world::limited(&command, &["--fsize=20"]) else { return };
    assert_eq!(small.output().unwrap().status.code(), Some(1));
    assert!(!world.path("new").exists());
    stdout(command.output().unwrap());
}
