//! Packages on a base image in which `/bin` and `/lib` are directories and not links into `/usr`, as in distroless.

use testkit::elf::elf;
use testkit::oci::{self, Kind};
use testkit::{DebBuilder, PyPi};

use super::Base;
use crate::world::{World, archive_of, stdout, tool};

/// Returns the file or the link at `path`.
fn node(image: &oci::CheckedPlatform, path: &str) -> String {
    match image.files.get(path).map(|file| &file.kind) {
        Some(Kind::Link(target)) => format!("{path} -> {target}"),
        Some(Kind::Folder) => format!("{path}/"),
        Some(_) => path.to_owned(),
        None => format!("no {path}"),
    }
}

#[test]
fn a_package_on_an_unmerged_base_has_its_programs_at_the_paths_that_others_use() {
    let dash = DebBuilder::new("dash", "1", "amd64")
        .file("bin/dash", 0o755, elf(None, &["libc.so.6"]))
        .link("bin/sh", "dash")
        .file("usr/bin/other", 0o755, "x")
        .file("lib/x86_64-linux-gnu/libnew.so.1", 0o644, elf(Some("libnew.so.1"), &[]))
        .file("lib/dash/data", 0o644, "x")
        .file("sbin/admin", 0o755, "x");
    let coreutils = DebBuilder::new("coreutils", "1", "amd64").file("usr/bin/true", 0o755, "x");
    let archive = archive_of("bookworm", "3.11").deb(&dash.build()).deb(&coreutils.build());
    let world = World::new(archive, PyPi::new().built(&tool()));
    let mut base = Base::with_python("debian");
    // A shell at another path is not enough.
    base.layers[0].retain(|(path, ..)| path != "bin/sh");
    base.layers[0].extend(super::files(&[
        ("bin/own", 0o755, b"x"),
        ("usr/bin/bash", 0o755, &elf(None, &["libc.so.6"])),
        ("lib/x86_64-linux-gnu/libown.so.1", 0o644, &elf(Some("libown.so.1"), &[])),
    ]));
    base.write(&world, "base");
    stdout(world.build("tool --base oci:base --entrypoint shell --trim none -o oci:out"));
    let image = oci::check(&world.path("out")).unwrap().platforms.remove(0);
    let paths = [
        "bin/sh",
        "bin/dash",
        "usr/bin/sh",
        "usr/bin/dash",
        "bin/other",
        "usr/bin/other",
        "sbin",
        "usr/sbin/admin",
        "lib/x86_64-linux-gnu/libnew.so.1",
        "usr/lib/x86_64-linux-gnu/libnew.so.1",
        "lib/dash/data",
        "bin/own",
    ];
    insta::assert_snapshot!(paths.map(|path| node(&image, path)).join("\n"), @"
    bin/sh -> /usr/bin/sh
    bin/dash -> /usr/bin/dash
    usr/bin/sh -> dash
    usr/bin/dash
    no bin/other
    usr/bin/other
    sbin -> usr/sbin
    usr/sbin/admin
    no lib/x86_64-linux-gnu/libnew.so.1
    usr/lib/x86_64-linux-gnu/libnew.so.1
    lib/dash/data -> /usr/lib/dash/data
    bin/own
    ");
}
