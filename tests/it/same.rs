//! The same lock leads to the same digest for every user, in every directory and in every run.

use std::process::Command;

use testkit::{DebBuilder, PyPi, WheelBuilder, oci};

use crate::world::{World, archive, stdout, tool};

fn world() -> World {
    let other = WheelBuilder::new("other", "2.0")
        .requires("tool")
        .file("other/__init__.py", "import tool\n")
        .executable("other/run.sh", "#!/bin/sh\n")
        .data("scripts", "other-script", "#!python\nimport other\n")
        .data("data", "share/other/readme", "text")
        .script("other", "other:tool");
    let extra = DebBuilder::new("extra", "1", "all").dir("var/lib/extra", 0o1777).link("usr/bin/extra", "../lib/extra");
    World::new(archive().deb(&extra.build()), PyPi::new().built(&tool()).built(&other))
}

fn assert_same(world: &World, first: &str, second: &str) {
    let [one, other] = [first, second].map(|name| oci::check(&world.path(name)).unwrap());
    assert_eq!(one.difference(&other), "", "{first} and {second} differ");
}

const WORDS: &str = "tool other --with extra -t same -c other";

/// Runs the command `before` in `sh`, and then the build, with these environment variables.
fn build_after(world: &World, before: &str, variables: &[(&str, &str)], words: &str) {
    let inner = world.command(words);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{before}; exec \"$@\""), "sh"]).arg(inner.get_program()).args(inner.get_args());
    command.current_dir(inner.get_current_dir().unwrap()).env("LATH_CACHE_DIR", "cache");
    command.envs(variables.iter().copied());
    stdout(command.output().unwrap());
}

#[test]
fn folders_umasks_locales_time_zones_and_jobs_do_not_matter() {
    let world = world();
    stdout(world.build(&format!("{WORDS} -o first.tar")));
    let table = [
        ("umask 077", vec![], "--cache-dir tight"),
        ("umask 000", vec![("LC_ALL", "tr_TR.UTF-8"), ("TZ", "Pacific/Kiritimati")], "--cache-dir loose --jobs 1"),
        ("umask 022", vec![("LC_ALL", "C"), ("TZ", "America/Adak"), ("HOME", "/")], "--cache-dir wide --jobs 8"),
        ("mkdir -p deep/er; cp keys deep/er; cd deep/er", vec![("USER", "nobody")], "--jobs 3 -o ../../second.tar"),
    ];
    for (before, variables, words) in table {
        let output = if words.contains("-o ") { "" } else { "-o second.tar" };
        build_after(&world, before, &variables, &format!("{WORDS} {words} {output}"));
        assert_same(&world, "first.tar", "second.tar");
        fs_err::remove_file(world.path("second.tar")).unwrap();
    }
}

#[test]
fn a_warm_store_and_no_network_do_not_matter() {
    let world = world();
    stdout(world.build(&format!("{WORDS} -o first.tar")));
    stdout(world.build(&format!("{WORDS} -o warm.tar")));
    assert_same(&world, "first.tar", "warm.tar");
    stdout(world.build(&format!("{WORDS} -o offline.tar --offline")));
    assert_same(&world, "first.tar", "offline.tar");
    // After this, the cache still contains the files of the parcels, but no segments and no other results.
    fs_err::remove_dir_all(world.path("cache/store/segments")).unwrap();
    fs_err::remove_dir_all(world.path("cache/store/notes")).unwrap();
    stdout(world.build(&format!("{WORDS} -o halfway.tar")));
    assert_same(&world, "first.tar", "halfway.tar");
}

#[test]
fn the_order_of_arguments_does_not_matter() {
    let world = world();
    stdout(world.build("tool other --with extra --with netbase -t same -c other --env A=1 --env B=2 -o first.tar"));
    stdout(world.build("--env B=2 -o second.tar --with netbase -c other -t same other --env A=1 --with extra tool"));
    assert_same(&world, "first.tar", "second.tar");
}

#[test]
fn another_user_comes_to_the_same() {
    let world = world();
    stdout(world.build(&format!("{WORDS} -o first.tar")));
    let Some(output) = world.build_as_another_user(&format!("{WORDS} -o second.tar --cache-dir own")) else { return };
    stdout(output);
    assert_same(&world, "first.tar", "second.tar");
}
