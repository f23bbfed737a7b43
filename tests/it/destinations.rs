//! Where an image goes: each destination whole or as it was, and only what changed in new layers.

use testkit::{PyPi, oci};

use crate::world::{World, archive, stdout, tool};

#[test]
fn a_layout_keeps_the_images_that_it_has_under_other_names() {
    let world = World::usual();
    stdout(world.build("tool -t one:1 -o oci:layout"));
    stdout(world.build("tool -o oci:layout:2 --label other=yes"));
    // The same name again takes the same place.
    stdout(world.build("tool -t one:1 -o oci:layout"));
    let image = oci::check(&world.path("layout")).unwrap();
    assert_eq!(image.names, ["2", "1"]);
    let said = world.refusal("tool -o oci:.");
    assert!(said.contains("something else in it than an OCI layout"), "{said}");
}

#[test]
fn a_destination_that_cannot_be_written_leaves_the_others_as_they_were() {
    let world = World::usual();
    std::fs::write(world.path("a.tar"), "mine").unwrap();
    std::fs::create_dir(world.path("full")).unwrap();
    std::fs::write(world.path("full/x"), "mine").unwrap();
    for (other, words) in [
        ("dir:full", "not an empty folder"),
        ("oci:full", "something else in it"),
        ("oci:a.tar", "there is a file of that name"),
        ("full", "there is a folder of that name"),
        ("/dev/null", "what has that name is no file"),
        ("oci-archive:a.tar", "it is named twice"),
    ] {
        let said = world.refusal(&format!("tool -o a.tar -o {other}"));
        assert!(said.contains(words), "{other}: {said}");
    }
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
    let titles: Vec<&str> = before.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(titles, ["base", "python", "program"]);
    let newer = tool().file("tool/new.py", "new = 1\n");
    let world = World::new(archive(), PyPi::new().built(&newer));
    stdout(world.build("tool"));
    let after = layers("tool.tar", &world);
    assert_eq!(before[..2], after[..2]);
    assert_ne!(before[2], after[2]);
}

#[test]
fn a_daemon_that_does_not_answer_is_told_before_anything_is_fetched() {
    let world = World::usual();
    let mut command = world.command("tool --load");
    command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for words in ["cannot load `tool`", "unix:///nowhere/docker.sock", "hint: start Docker"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("resolving"), "{said}");
}
