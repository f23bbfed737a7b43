//! Files for another processor, from any source.

use testkit::{DebBuilder, PyPi};

use crate::world::{World, archive, tool};

/// The beginning of an arm64 library (ELF-64, `e_machine` 183).
fn foreign() -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\xb7\0".to_vec();
    bytes.resize(64, 0);
    bytes
}

fn assert_foreign(world: &World, words: &str, named: &str) {
    let said = world.refusal(words);
    for word in ["exit 1\n", "error: cannot use ", named, "on linux/amd64", "another processor (ELF machine 183)"] {
        assert!(said.contains(word), "{word:?} is missing in:\n{said}");
    }
    assert!(!world.path("tool.tar").exists());
}

#[test]
fn a_package_with_a_program_of_another_processor_is_refused() {
    let package = DebBuilder::new("odd", "1", "amd64").file("usr/bin/odd", 0o755, foreign());
    let world = World::new(archive().deb(&package.build()), PyPi::new().built(&tool()));
    assert_foreign(&world, "tool --with odd", "`/usr/bin/odd` of deb odd");
}

#[test]
fn a_wheel_with_a_program_of_another_processor_is_refused() {
    let wheel = tool().data("scripts", "odd", foreign());
    assert_foreign(&World::new(archive(), PyPi::new().built(&wheel)), "tool", "`/opt/app/bin/odd` of wheel tool");
}

#[test]
fn a_copied_extension_module_of_another_processor_is_refused() {
    let world = World::usual();
    std::fs::write(world.path("_odd.abi3.so"), foreign()).unwrap();
    assert_foreign(&world, "tool --copy _odd.abi3.so:/srv/_odd.abi3.so", "`/srv/_odd.abi3.so` of user");
}
