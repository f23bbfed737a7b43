//! Files that maintainer scripts would make.

use std::process::{Command, Output};

use testkit::oci::{self, CheckedPlatform, Kind};
use testkit::{DebBuilder, PyPi};

use crate::world::{World, archive, lath, stdout, tool};

const COMPILED: &str = "usr/share/glib-2.0/schemas/gschemas.compiled";

/// Returns a package with a schema of settings (GSettings). Its only key is a number, and `default` is its default.
fn package_with_schema(name: &str, default: &str) -> Vec<u8> {
    let schema = format!(
        "<schemalist><schema id='org.{name}' path='/org/{name}/'><key name='size' type='i'><default>{default}</default>\
         </key></schema></schemalist>"
    );
    let path = format!("usr/share/glib-2.0/schemas/org.{name}.gschema.xml");
    DebBuilder::new(name, "1", "all").file(&path, 0o644, &schema).build()
}

fn world() -> World {
    let archive = archive().deb(&package_with_schema("first", "7")).deb(&package_with_schema("second", "8"));
    let archive = archive.deb(&package_with_schema("broken", "'text'"));
    World::new(archive, PyPi::new().built(&tool()))
}

fn image(world: &World, name: &str) -> CheckedPlatform {
    oci::check(&world.path(name)).unwrap().platforms.remove(0)
}

/// Returns the compiled settings of an image.
fn compiled(image: &CheckedPlatform) -> String {
    let file = &image.files[COMPILED];
    assert_eq!((file.mode, file.uid, file.gid), (0o644, 0, 0));
    file.bytes.escape_ascii().to_string()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn settings_are_compiled_and_stay() {
    let world = world();
    let standard = world.build("tool --with first --with broken -o oci:standard");
    assert!(stderr(&standard).contains("org.broken.gschema.xml, line 1: `'text'` is not a value of the type `i`"));
    let standard = image(&world, "standard");
    // `glib-compile-schemas` writes the same bytes for the value 7.
    assert!(compiled(&standard).contains(r"\x07\x00\x00\x00\x00(i)"));
    stdout(world.build("tool --with first --with broken --trim reach -o oci:reach"));
    assert_eq!(compiled(&image(&world, "reach")), compiled(&standard));
    let mut command = Command::new(lath());
    command.current_dir(world.path("")).env_clear().env("LATH_CACHE_DIR", "cache");
    let explained = stdout(command.args(["explain", "oci:standard", &format!("/{COMPILED}")]).output().unwrap());
    insta::assert_snapshot!(explained, @"
    /usr/share/glib-2.0/schemas/gschemas.compiled
      244 bytes, lath
      kept: in every image
    ");
    stdout(world.build("tool -o oci:without"));
    assert!(!image(&world, "without").files.contains_key(COMPILED));
}

#[test]
fn settings_of_a_base_image_are_compiled_again_with_those_of_added_packages() {
    let world = world();
    stdout(world.build("tool --with first -o oci:base"));
    let of_base = compiled(&image(&world, "base"));
    assert!(of_base.contains("org.first") && !of_base.contains("org.second"));
    stdout(world.build("tool --base oci:base -o oci:same"));
    assert_eq!(compiled(&image(&world, "same")), of_base);
    stdout(world.build("tool --base oci:base --with second -o oci:more"));
    let more = compiled(&image(&world, "more"));
    assert!(more.contains("org.first") && more.contains("org.second"));
    // If the same packages are installed without a base image, the compiled settings are the same.
    stdout(world.build("tool --with second --with first -o oci:both"));
    assert_eq!(compiled(&image(&world, "both")), more);
}

#[test]
fn run_has_its_old_names_in_var_and_paths_below_them_go_to_run() {
    let postinst = "#!/bin/sh\nadduser --system --home /var/run/daemon-home daemon-user\nmkdir -p /var/lock/daemon\n";
    let daemon = DebBuilder::new("daemon", "1", "all").file("var/run/daemon/socket", 0o644, "s");
    let daemon = daemon.dir("var/lock", 0o755).script("postinst", postinst).build();
    let world = World::new(archive().deb(&daemon), PyPi::new().built(&tool()));
    stdout(world.build("tool --with daemon --workdir /var/run/work -o oci:image"));
    let image = image(&world, "image");
    let link = |path: &str| match &image.files[path].kind {
        Kind::Link(target) => target.clone(),
        other => panic!("`{path}` is {other:?}"),
    };
    assert_eq!((link("var/run").as_str(), link("var/lock").as_str()), ("/run", "/run/lock"));
    assert_eq!((image.files["run/lock"].mode, image.files["var/log"].mode), (0o1777, 0o755));
    for path in ["run/daemon/socket", "run/daemon-home", "run/lock/daemon", "run/work"] {
        assert!(image.files.contains_key(path), "{path}");
    }
    assert_eq!(image.config["config"]["WorkingDir"], "/var/run/work");
}

#[test]
fn programs_that_need_the_rights_of_their_owner_are_named() {
    let sudo = DebBuilder::new("sudo", "1", "all").depends("mount").file("usr/bin/sudo", 0o4755, "ELF");
    let sudo = sudo.file("usr/lib/openssh/ssh-keysign", 0o4755, "x").file("usr/bin/ssh-agent", 0o2755, "x");
    let sudo = sudo.script("postinst", "dpkg-statoverride --update --add root crontab 2755 /usr/bin/crontab\n");
    let mount = DebBuilder::new("mount", "1", "all").file("bin/mount", 0o4755, "ELF");
    let archive = archive().deb(&sudo.build()).deb(&mount.build());
    let world = World::new(archive, PyPi::new().built(&tool()));
    let note = "without the rights of their owner or group: crontab, sudo.";
    let said = stderr(&world.build("tool --with sudo"));
    assert!(said.contains(note) && said.contains("`--user 0`"), "{said}");
    for words in ["tool --with sudo --user 0", "tool --with netbase"] {
        let said = stderr(&world.build(words));
        assert!(!said.contains("without the rights"), "{said}");
    }
}
