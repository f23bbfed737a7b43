//! Every option can also be set by an environment variable.

use testkit::oci;

use crate::world::{World, stdout};

#[test]
fn an_option_is_also_read_from_its_variable_a_line_for_each_of_several() {
    let world = World::usual();
    let mut command = world.command("tool");
    command.env("LATH_TAG", "named:1").env("LATH_ENV", "A=1\nB=two words").env("LATH_EXPOSE", "80");
    stdout(command.env("LATH_OFFLINE", "0").env("LATH_OUTPUT", "x.tar").output().unwrap());
    let image = oci::check(&world.path("x.tar")).unwrap();
    assert_eq!(image.docker_tags, ["named:1"]);
    let config = &image.platforms[0].config["config"];
    assert_eq!(config["ExposedPorts"], serde_json::json!({ "80/tcp": {} }));
    let env: Vec<&str> = config["Env"].as_array().unwrap().iter().filter_map(|one| one.as_str()).collect();
    assert!(env.contains(&"A=1") && env.contains(&"B=two words"), "{env:?}");
}

#[test]
fn a_typed_option_comes_before_its_variable_and_help_tells_no_value() {
    let world = World::usual();
    let mut command = world.command("tool -t typed");
    stdout(command.env("LATH_TAG", "variable").output().unwrap());
    assert!(world.path("typed.tar").exists() && !world.path("variable.tar").exists());
    let mut command = world.command("--help");
    let help = stdout(command.env("LATH_INDEX", "https://me:secret@index.example/simple").output().unwrap());
    assert!(help.contains("--index") && !help.contains("secret"), "{help}");
}
