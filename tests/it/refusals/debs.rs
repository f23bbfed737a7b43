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
