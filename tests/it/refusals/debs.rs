//! Malicious and broken Debian packages.

use testkit::{Compression, DebBuilder, oci};

use super::{causes, refused, with_deb};
use crate::world::stdout;

fn evil() -> DebBuilder {
    DebBuilder::new("evil", "1", "all").file("usr/bin/evil", 0o755, "x")
}

#[test]
fn a_hostile_package_is_refused_by_its_file() {
    let hostile = [
        evil().device("dev/sda"),
        evil().fifo("run/pipe"),
        evil().raw_entry("../../etc/passwd", "x"),
        evil().hard_link("usr/bin/out", "../../etc/shadow"),
        evil().hard_link("usr/bin/a", "./usr/bin/later").file("usr/bin/later", 0o755, ""),
        evil().hard_link("usr/bin/a", "./usr/bin"),
        evil().hard_link("usr/bin/a", "./usr/share/netbase/x"),
        evil().raw_entry("./usr/bin/.wh.python3.13", "x"),
        evil().raw_entry("./etc/.wh..wh..opq", "x"),
        evil().raw_entry("./usr/bin/evil", "again"),
        evil().raw_entry("./usr/bin/a\nb", "x"),
        evil().file(&format!("usr/bin/{}", "x".repeat(256)), 0o755, "x"),
        evil().compression(Compression::Zstd).file("zeros", 0o644, vec![0; 80 << 20]),
        evil().lies_about_size(-40),
        evil().lies_about_size(40),
    ];
    let errors = hostile.map(|deb| {
        let error = refused(&with_deb(&deb), "tool --with evil");
        assert!(error.starts_with("error: cannot unpack `evil_1.deb`\n") && error.contains("\n\nhint: "), "{error}");
        causes(&error)
    });
    insta::assert_snapshot!(errors.join("\n"), @r#"
    cause: cannot unpack `./dev/sda`: it is a device, which no image needs
    cause: cannot unpack `./run/pipe`: it is a pipe, which no image needs
    cause: cannot use the path `../../etc/passwd`: it leads outside the image
    cause: cannot use the path `../../etc/shadow`: it leads outside the image
    cause: cannot use `usr/bin/a`: it is a hard link to `./usr/bin/later`, which is not an earlier file of the package
    cause: cannot use `usr/bin/a`: it is a hard link to `./usr/bin`, which is not an earlier file of the package
    cause: cannot use `usr/bin/a`: it is a hard link to `./usr/share/netbase/x`, which is not an earlier file of the package
    cause: cannot use the path `./usr/bin/.wh.python3.13`: in a layer, names that begin with `.wh.` remove other files
    cause: cannot use the path `./etc/.wh..wh..opq`: in a layer, names that begin with `.wh.` remove other files
    cause: cannot use `usr/bin/evil`: the path occurs twice
    cause: cannot use the path "./usr/bin/a\nb": it contains a NUL, a line break or bytes that are not UTF-8
    cause: cannot use the path `./usr/bin/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…`: Linux allows names of at most 255 bytes and paths of at most 4095 bytes
    cause: cannot unpack `zeros`
    cause: it unpacks to more than 67 MB, like a zip bomb
    cause: cannot read `data.tar.xz`
    cause: premature eof
    cause: cannot read `data.tar.xz`: it is cut short, or it does not have the size that the package declares
    "#);
}

#[test]
fn a_file_through_a_link_is_refused_and_reaches_nothing_on_the_host() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap();
    let deb = evil().without_parents().link("a", target).raw_entry("./a/passwd", "x");
    insta::assert_snapshot!(refused(&with_deb(&deb), "tool --with evil"), @"
    error: cannot put `/a/passwd` of deb evil into the image: `/a` is not a directory there
    ");
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
        let note = "`/usr/bin/both` of deb two replaced the file of deb one";
        assert!(output.status.success() && said.contains(note) == is_reported, "{said}");
        assert_eq!(oci::check(&world.path("tool.tar")).unwrap().platforms[0].text("usr/bin/both"), Some("2"));
    }
}
