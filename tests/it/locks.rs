//! Locks: what they contain, and that a build from one needs no index and no archive.

use testkit::{DebBuilder, PyPi, WheelBuilder, oci};

use crate::world::{World, archive, stdout, tool};

/// A tool that depends on a distribution, and a package for `--with`.
fn world() -> World {
    let tool = tool().requires("lib>=1");
    let lib = WheelBuilder::new("lib", "1.5").file("lib/__init__.py", "");
    let extra = DebBuilder::new("extra", "1", "all").file("usr/share/extra/x", 0o644, "x");
    World::new(archive().deb(&extra.build()), PyPi::new().built(&tool).built(&lib))
}

fn assert_same(world: &World, first: &str, second: &str) {
    let [one, other] = [first, second].map(|name| oci::check(&world.path(name)).unwrap());
    assert_eq!(one.difference(&other), "", "{first} and {second} differ");
}

/// Returns the paths of all requests since the last call, without those of wheels and packages.
fn lists(world: &World) -> Vec<String> {
    let requests = [world.pypi.server.requests(), world.debian.server.requests()].concat();
    world.pypi.server.forget_requests();
    world.debian.server.forget_requests();
    let is_list = |path: &String| !path.ends_with(".whl") && !path.ends_with(".deb");
    requests.into_iter().map(|request| request.path).filter(is_list).collect()
}

#[test]
fn a_build_from_a_lock_gives_the_same_image_and_reads_no_index_and_no_archive() {
    let world = world();
    stdout(world.build("tool --with extra -o plain.tar"));
    stdout(world.lock("tool --with extra"));
    assert!(!lists(&world).is_empty());
    for words in ["tool --with extra --locked", "--locked", "--frozen", "--lock pylock.toml", "other --frozen"] {
        stdout(world.build(&format!("{words} -o locked.tar --cache-dir empty")));
        assert_same(&world, "plain.tar", "locked.tar");
        assert_eq!(lists(&world), [""; 0], "{words}");
        fs_err::remove_dir_all(world.path("empty")).unwrap();
    }
}
