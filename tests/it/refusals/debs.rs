//! Hostile and broken Debian packages.

use testkit::{Compression, DebBuilder, oci};

use super::{assert_refused, with_deb};
use crate::world::stdout;

fn evil() -> DebBuilder {
    DebBuilder::new("evil", "1", "all").file("usr/bin/evil", 0o755, "x")
}

#[test]
fn a_hostile_package_is_refused_by_its_file() {
    let hostile = [
        (evil().device("dev/sda"), "cannot unpack `./dev/sda`: it is a device"),
        (evil().fifo("run/pipe"), "cannot unpack `./run/pipe`: it is a pipe"),
        (evil().raw_entry("../../etc/passwd", "x"), "`../../etc/passwd`: it leads outside the image"),
        (evil().hard_link("usr/bin/out", "../../etc/shadow"), "it leads outside the image"),
        (evil().hard_link("usr/bin/a", "./usr/bin/later").file("usr/bin/later", 0o755, ""), "no file that came before"),
        (evil().hard_link("usr/bin/a", "./usr/bin"), "no file that came before"),
        (evil().hard_link("usr/bin/a", "./usr/share/netbase/x"), "no file that came before"),
        (evil().raw_entry("./usr/bin/.wh.python3.13", "x"), "names that begin with `.wh.` remove other files"),
        (evil().raw_entry("./etc/.wh..wh..opq", "x"), "names that begin with `.wh.` remove other files"),
        (evil().raw_entry("./usr/bin/evil", "again"), "cannot use `usr/bin/evil`: it is there twice"),
        (evil().raw_entry("./usr/bin/a\nb", "x"), "a line break"),
        (evil().file(&format!("usr/bin/{}", "x".repeat(256)), 0o755, "x"), "Linux takes names of at most 255 bytes"),
        (evil().compression(Compression::Zstd).file("zeros", 0o644, vec![0; 80 << 20]), "as only a bomb does"),
        (evil().lies_about_size(-40), "data.tar.xz"),
        (evil().lies_about_size(40), "data.tar.xz"),
    ];
    for (deb, words) in hostile {
        assert_refused(&with_deb(&deb), "tool --with evil", &["cannot unpack `evil_1.deb`", words, "\n\nhint: "]);
    }
}

#[test]
fn a_file_through_a_link_is_refused_and_reaches_nothing_on_the_host() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap();
    let deb = evil().without_parents().link("a", target).raw_entry("./a/passwd", "x");
    assert_refused(&with_deb(&deb), "tool --with evil", &["/a/passwd", "is no directory there"]);
    assert_eq!(fs_err::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn setuid_bits_owners_and_absolute_paths_do_not_reach_the_image() {
    let deb = evil().file("usr/bin/su", 0o6755, "x").owned_by(1000, 1000).raw_entry("/etc/absolute", "x");
    let world = with_deb(&deb);
    stdout(world.build("tool --with evil"));
    let image = oci::check(&world.path("tool.tar")).unwrap();
    let su = &image.platforms[0].files["usr/bin/su"];
    assert_eq!((su.mode, su.uid, su.gid), (0o755, 0, 0));
    assert_eq!(image.platforms[0].text("etc/absolute"), Some("x"));
}

#[test]
fn two_packages_with_the_same_path_are_reported_unless_one_replaces_the_other() {
    let one = || DebBuilder::new("one", "1", "all").file("usr/bin/both", 0o755, "1");
    let two = || DebBuilder::new("two", "1", "all").file("bin/both", 0o755, "2");
    for (two, is_reported) in [(two(), true), (two().field("Replaces", "one (<< 2)"), false)] {
        let archive = crate::world::archive().deb(&one().build()).deb(&two.build());
        let world = crate::world::World::new(archive, testkit::PyPi::new().built(&crate::world::tool()));
        let output = world.build("tool --with one --with two");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let note = "`/usr/bin/both` of deb two took the place of what deb one has there";
        assert!(output.status.success() && said.contains(note) == is_reported, "{said}");
        assert_eq!(oci::check(&world.path("tool.tar")).unwrap().platforms[0].text("usr/bin/both"), Some("2"));
    }
}
