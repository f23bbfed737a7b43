//! Every option can also be set by an environment variable.

use std::process::Command;

use testkit::oci;

use crate::world::{self, World, stdout};

/// Returns lath with these arguments. The options of [`World::command`] are not used.
fn lath(world: &World, words: &[&str]) -> Command {
    let mut command = Command::new(world::lath());
    command.current_dir(world.path("")).env_clear().env("LATH_CACHE_DIR", "cache").args(words);
    command
}

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

#[test]
fn a_variable_of_another_command_is_not_used_and_an_empty_one_is_not_set() {
    let world = World::usual();
    let output = lath(&world, &["cache", "size"]).env("LATH_JOBS", "many").env("LATH_BYTES", "").output().unwrap();
    stdout(output);
    let mut command = world.command("tool");
    command.env("LATH_ENGINE", "podman").env("LATH_STYLE", "nonsense").env("LATH_TAG", "").env("LATH_WITH", "");
    stdout(command.output().unwrap());
    assert!(world.path("tool.tar").exists());
}

#[test]
fn a_typed_check_is_over_the_variable_that_turns_checks_off() {
    let world = World::usual();
    let output = lath(&world, &["build", "tool", "--check", "it's open"]).env("LATH_NO_VERIFY", "1").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "error: cannot read the check `it's open`: a quote is not closed, or there is no command\n");
}

#[test]
fn a_bad_value_is_refused_with_the_name_of_its_variable() {
    let world = World::usual();
    let output = lath(&world, &["build", "tool"]).env("LATH_TRIM", "most").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @r"
    error: invalid value 'most' for 'LATH_TRIM'
      [possible values: none, standard, reach, trace]

    For more information, try '--help'.
    ");
    let output = lath(&world, &["--cache-dir", "c", "cache", "dir"]).env("LATH_COLOR", "blue").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: invalid value 'blue' for 'LATH_COLOR'"), "{said}");
}
