//! Successful runs of `lath build`.

use testkit::{DebBuilder, PyPi, oci};

use crate::world::{World, archive, stdout, tool};

#[test]
fn a_name_becomes_a_valid_image_and_stdout_carries_its_digest_alone() {
    let world = World::usual();
    let said = stdout(world.build("tool"));
    let image = oci::check(&world.path("tool.tar")).unwrap();
    assert_eq!(said, format!("tool.tar@{}\n", image.digest));
    assert_eq!(image.docker_tags, ["tool:latest"]);
    let platform = &image.platforms[0];
    assert_eq!(platform.platform, "linux/amd64");
    assert_eq!(platform.config["config"]["Entrypoint"], serde_json::json!(["/opt/app/bin/tool"]));
    assert_eq!(platform.config["config"]["User"], "65532:65532");
    let script = platform.text("opt/app/bin/tool").unwrap();
    assert!(script.starts_with("#!/usr/bin/python3.13\n"), "{script}");
    assert!(platform.files.contains_key("usr/share/doc/python3.13-minimal/copyright"));
    assert!(!platform.files.contains_key("usr/share/doc/python3.13-minimal/changelog.gz"));
    assert!(platform.text("var/lib/dpkg/status.d/libc6").unwrap().contains("Version: 2.41-12"));
    assert!(platform.text("etc/passwd").unwrap().contains("app:x:65532:65532"));
}

#[test]
fn the_same_request_has_the_same_digest_in_another_cache_and_without_a_network() {
    let world = World::usual();
    let first = stdout(world.build("tool"));
    let again = stdout(world.build("tool --offline"));
    let elsewhere = stdout(world.build("tool --cache-dir other"));
    assert_eq!((&first, &first), (&again, &elsewhere));
}

#[test]
fn every_destination_gets_the_image() {
    let world = World::usual();
    let said = stdout(
        world.build("tool -o oci:layout -o oci-archive:a.tar -o docker-archive:d.tar -o dir:root --compression zstd"),
    );
    assert_eq!(said.lines().count(), 4);
    let digests: Vec<String> =
        ["layout", "a.tar", "d.tar"].iter().map(|name| oci::check(&world.path(name)).unwrap().digest).collect();
    assert!(digests.iter().all(|digest| said.contains(digest)), "{digests:?} {said}");
    assert!(world.path("root/opt/app/bin/tool").exists());
    assert_eq!(world.path("root/bin").read_link().unwrap().to_str(), Some("usr/bin"));
}

#[test]
fn a_user_base_of_the_users_own_is_spelled_everywhere() {
    let world = World::usual();
    stdout(world.build("tool --user-base /tmp/theuserbase"));
    let platform = &oci::check(&world.path("tool.tar")).unwrap().platforms[0];
    let config = &platform.config["config"];
    assert_eq!(config["Entrypoint"], serde_json::json!(["/tmp/theuserbase/bin/tool"]));
    let env = config["Env"].to_string();
    assert!(env.contains("PATH=/tmp/theuserbase/bin:") && env.contains("PYTHONUSERBASE=/tmp/theuserbase"), "{env}");
    assert!(platform.files.contains_key("tmp/theuserbase/lib/python3.13/site-packages/tool/__init__.py"));
    let leftover: Vec<&String> = platform.files.keys().filter(|path| path.starts_with("opt")).collect();
    assert!(leftover.is_empty(), "{leftover:?}");
    assert!(!platform.text("usr/lib/python3/dist-packages/lath.pth").unwrap().contains("/opt/app"));
}

#[test]
fn reach_removes_modules_names_them_in_errors_and_warns_about_options_without_effect() {
    let wheel = tool().file("tool/later.py", "x = 1\n").file("tool/admin.py", "def main():\n    return 0\n");
    let world = World::new(archive(), PyPi::new().built(&wheel.script("tool-admin", "tool.admin:main")));
    let said = |words: &str| String::from_utf8(world.build(words).stderr).unwrap();
    let text = |path: &str| oci::check(&world.path("tool.tar")).unwrap().platforms[0].text(path).map(str::to_owned);
    let site = "opt/app/lib/python3.13/site-packages";
    let warnings = said("tool --trim reach --keep /nowhere/** --keep-module other");
    assert!(warnings.contains("warning: `--keep /nowhere/**` matches no path of the image"), "{warnings}");
    assert!(warnings.contains("warning: `--keep-module other` is not a module of the image"), "{warnings}");
    assert!(text(&format!("{site}/tool/later.py")).is_none() && text("opt/app/bin/tool-admin").is_some());
    let names = text(&format!("{site}/sitecustomize.py")).unwrap();
    assert!(names.contains("\ntool.later unreached-modules --keep-module tool.later\n"), "{names}");
    said("tool -c tool --trim reach --only-scripts --keep-module tool.later");
    assert!(text(&format!("{site}/tool/later.py")).is_some() && text("opt/app/bin/tool-admin").is_none());
    assert!(text(&format!("{site}/sitecustomize.py")).unwrap().contains("\ntool.admin unreached-modules "));
}

#[test]
fn a_python_with_curses_has_the_descriptions_of_terminals() {
    let stdlib = DebBuilder::new("libpython3.13-stdlib", "2", "all").depends("libncursesw6");
    let curses = DebBuilder::new("libncursesw6", "6.5", "all").file("usr/share/x/curses", 0o644, "curses");
    let terminals = DebBuilder::new("ncurses-base", "6.5", "all")
        .file("usr/share/terminfo/x/xterm", 0o644, "xterm")
        .file("usr/share/tabset/vt100", 0o644, "stops");
    let archive = archive().deb(&stdlib.build()).deb(&curses.build()).deb(&terminals.build());
    let world = World::new(archive, PyPi::new().built(&tool()));
    stdout(world.build("tool"));
    let platform = &oci::check(&world.path("tool.tar")).unwrap().platforms[0];
    assert!(platform.files.contains_key("usr/share/terminfo/x/xterm"));
    assert!(!platform.files.contains_key("usr/share/tabset/vt100"));

    // If the Python has no `curses`, these packages are not needed. The archive of this world does not contain them,
    // and the build succeeds.
    let world = World::usual();
    stdout(world.build("tool"));
    let platform = &oci::check(&world.path("tool.tar")).unwrap().platforms[0];
    assert!(!platform.files.contains_key("var/lib/dpkg/status.d/ncurses-base"));
}

#[test]
fn the_old_algorithms_of_openssl_are_there_if_the_user_named_a_program_that_has_them() {
    let provider = DebBuilder::new("openssl-provider-legacy", "1", "all").file("usr/lib/legacy.so", 0o644, "x").build();
    let library = DebBuilder::new("libssl3t64", "1", "all").depends("openssl-provider-legacy").build();
    let using = |name: &str| DebBuilder::new(name, "1", "all").depends("libssl3t64").build();
    let archive = archive().deb(&provider).deb(&library).deb(&using("openssl")).deb(&using("curl"));
    let world = World::new(archive, PyPi::new().built(&tool()));
    for (name, is_there) in [("openssl", true), ("curl", false)] {
        stdout(world.build(&format!("tool --with {name} -o oci:{name}")));
        let files = &oci::check(&world.path(name)).unwrap().platforms[0].files;
        assert_eq!(files.contains_key("usr/lib/legacy.so"), is_there, "{name}");
    }
}
