//! Files for another processor, from each source: packages, wheels and the user's files.

use testkit::{DebBuilder, PyPi};

use crate::world::{World, archive, tool};

/// Returns the beginning of an arm64 library (ELF-64, `e_machine` 183).
fn foreign() -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\xb7\0".to_vec();
    bytes.resize(64, 0);
    bytes
}

fn foreign_error(world: &World, words: &str) -> String {
    let error = world.error(words);
    assert!(!world.path("tool.tar").exists());
    error
}

#[test]
fn a_package_with_a_program_of_another_processor_is_refused() {
    let package = DebBuilder::new("odd", "1", "amd64").file("usr/bin/odd", 0o755, foreign());
    let world = World::new(archive().deb(&package.build()), PyPi::new().built(&tool()));
    insta::assert_snapshot!(foreign_error(&world, "tool --with odd"), @"
    exit 1
    error: cannot use `/usr/bin/odd` of deb odd on linux/amd64: it is made for another processor (ELF machine 183)
    ");
}

#[test]
fn a_wheel_with_a_program_of_another_processor_is_refused() {
    let wheel = tool().data("scripts", "odd", foreign());
    insta::assert_snapshot!(foreign_error(&World::new(archive(), PyPi::new().built(&wheel)), "tool"), @"
    exit 1
    error: cannot use `/opt/app/bin/odd` of wheel tool on linux/amd64: it is made for another processor (ELF machine 183)
    ");
}

#[test]
fn a_copied_extension_module_of_another_processor_is_refused() {
    let world = World::usual();
    std::fs::write(world.path("_odd.abi3.so"), foreign()).unwrap();
    insta::assert_snapshot!(foreign_error(&world, "tool --copy _odd.abi3.so:/srv/_odd.abi3.so"), @"
    exit 1
    error: cannot use `/srv/_odd.abi3.so` of user on linux/amd64: it is made for another processor (ELF machine 183)
    ");
}
