//! Packages whose programs are scripts.

use testkit::{DebBuilder, PyPi, oci};

use crate::world::{World, archive, stdout, tool};

/// Returns a world whose package `browser` starts with a script, like Debian's `chromium`.
fn world() -> World {
    let script = "#!/bin/sh\nls | grep x | xargs rm\n";
    let browser = DebBuilder::new("browser", "1", "all").depends("browser-common, tools");
    let browser = browser.file("usr/bin/browser", 0o755, script).build();
    let common = DebBuilder::new("browser-common", "1", "all").file("usr/share/browser/x", 0o644, "x").build();
    // Most programs of this package are no scripts, so its script adds nothing.
    let tools = DebBuilder::new("tools", "1", "all").file("usr/bin/a", 0o755, "\x7fELF").file("usr/bin/b", 0o755, "b");
    let tools = tools.file("usr/bin/c", 0o755, "#!/bin/bash\n").build();
    let mut archive = archive().deb(&browser).deb(&common).deb(&tools);
    for (name, program) in [
        ("dash", "sh"),
        ("coreutils", "ls"),
        ("grep", "grep"),
        ("sed", "sed"),
        ("findutils", "xargs"),
        ("bash", "bash"),
    ] {
        let package = DebBuilder::new(name, "1", "all").file(&format!("usr/bin/{program}"), 0o755, program);
        archive = archive.deb(&package.build());
    }
    World::new(archive, PyPi::new().built(&tool()))
}

fn programs(world: &World, image: &str) -> String {
    let image = oci::check(&world.path(image)).unwrap().platforms.remove(0);
    let names = ["sh", "ls", "grep", "sed", "xargs", "bash"];
    let has = |name: &&str| image.files.contains_key(&format!("usr/bin/{name}"));
    names.into_iter().filter(has).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_scripts_of_a_named_package_get_their_shell_and_their_tools() {
    let world = world();
    stdout(world.build("tool --with browser -o oci:browser"));
    assert_eq!(programs(&world, "browser"), "sh ls grep sed xargs");
    stdout(world.build("tool --with tools -o oci:tools"));
    assert_eq!(programs(&world, "tools"), "");
}

#[test]
fn a_lock_contains_what_scripts_need() {
    let world = world();
    stdout(world.lock("tool --with browser"));
    let lock = fs_err::read_to_string(world.path("pylock.toml")).unwrap();
    let has = |name: &str| lock.contains(&format!("name = \"{name}\""));
    assert!(has("dash") && has("findutils") && !has("bash"), "{lock}");
    stdout(world.build("--lock pylock.toml -o oci:locked"));
    stdout(world.build("tool --with browser -o oci:direct"));
    assert_eq!(programs(&world, "locked"), programs(&world, "direct"));
}
