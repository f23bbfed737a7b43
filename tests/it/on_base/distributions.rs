//! Distributions of the base image: those that the new image can import, and those that it replaces.

use serde_json::json;
use testkit::PyPi;
use testkit::oci::{self, CheckedPlatform};

use super::{Base, NO_ARCHIVE, built, files, helper, world};
use crate::world::{stdout, tool};

/// Returns the versions of `helper` that are in the image.
fn helpers(image: &CheckedPlatform) -> Vec<&str> {
    image
        .files
        .keys()
        .filter_map(|path| path.strip_suffix(".dist-info/METADATA")?.rsplit_once("helper-"))
        .map(|(_, version)| version)
        .collect()
}

#[test]
fn a_distribution_of_the_old_user_site_is_added_because_the_new_image_cannot_import_it() {
    let world = world(PyPi::new().built(&tool().requires("helper")).built(&helper("2.0")));
    let with_helper = |user_base: &str| {
        let mut base = Base::with_python("rhel");
        let metadata = format!("{user_base}/lib/python3.12/site-packages/helper-1.0.dist-info/METADATA");
        base.layers.push(files(&[
            ("etc/passwd", 0o644, b"me:x:1000:1001::/home/me:/bin/sh\n"),
            (&metadata, 0o644, b"Metadata-Version: 2.1\nName: helper\nVersion: 1.0\n"),
        ]));
        base
    };
    with_helper("home/me/.local").write(&world, "base");
    assert_eq!(helpers(&built(&world, "tool")), ["1.0", "2.0"]);
    // lath made this base image.
    let mut own = with_helper("opt/app");
    own.config["Env"] = json!(["PATH=/opt/app/bin:/usr/local/bin:/usr/bin:/bin", "PYTHONUSERBASE=/opt/app"]);
    fs_err::remove_dir_all(world.path("base")).unwrap();
    own.write(&world, "base");
    assert_eq!(helpers(&built(&world, "tool -t x")), ["1.0"]);
    assert_eq!(helpers(&built(&world, "tool --user-base /opt/other")), ["1.0", "2.0"]);
}

/// Returns a base image with `helper` 1.0 in the user base of lath, and the lines of its RECORD that are not in every
/// wheel.
fn with_old_helper(record: &str) -> Base {
    let mut base = Base::with_python("rhel");
    let site = "opt/app/lib/python3.12/site-packages";
    let metadata = format!("{site}/helper-1.0.dist-info");
    let record = format!("helper.py,,\nhelper-1.0.dist-info/METADATA,,\nhelper-1.0.dist-info/RECORD,,\n{record}");
    let own = [
        ("helper.py", ""),
        ("__pycache__/helper.cpython-312.pyc", "old"),
        ("__pycache__/helper_more.cpython-312.pyc", "of another module"),
        ("helper_old/__init__.py", ""),
        ("helper_old/__pycache__/__init__.cpython-312.pyc", "old"),
        ("shared/other.py", ""),
        ("shared/old.py", ""),
    ];
    base.layers.push(files(&[
        (&format!("{metadata}/METADATA"), 0o644, b"Metadata-Version: 2.1\nName: helper\nVersion: 1.0\n"),
        (&format!("{metadata}/RECORD"), 0o644, record.as_bytes()),
        ("opt/app/bin/old-helper", 0o755, b"#!/usr/local/bin/python3.12\n"),
        ("opt/other", 0o644, b"not in the user base"),
    ]));
    let own = own.map(|(path, text)| (format!("{site}/{path}"), 0o644, text.as_bytes().to_vec()));
    base.layers.push(own.into());
    base.config["Env"] = json!(["PATH=/opt/app/bin:/usr/local/bin:/usr/bin:/bin", "PYTHONUSERBASE=/opt/app"]);
    base
}

#[test]
fn an_upgraded_distribution_leaves_nothing_of_its_old_version() {
    let new = helper("2.0").file("helper_new.py", "").script("new-helper", "helper:main");
    let world = world(PyPi::new().built(&tool().requires("helper>=2")).built(&new));
    let record = "helper_old/__init__.py,,\nshared/old.py,,\n../../../bin/old-helper,,\n../../../../other,,\n";
    with_old_helper(record).write(&world, "base");
    let output = world.build(&format!("tool --base oci:base -o oci:out {NO_ARCHIVE}"));
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(messages.contains("helper 2.0 replaces version 1.0 of the base image"), "{messages}");
    assert!(!messages.contains("added packages change files"), "{messages}");
    let image = oci::check(&world.path("out")).unwrap().platforms.remove(0);
    let mut own: Vec<&str> = image.files.keys().filter_map(|path| path.strip_prefix("opt/")).collect();
    own.retain(|path| path.contains("help") || path.contains("other") || path.contains("shared"));
    insta::assert_snapshot!(own.join("\n"), @"
    app/bin/new-helper
    app/lib/python3.12/site-packages/__pycache__/helper_more.cpython-312.pyc
    app/lib/python3.12/site-packages/helper-2.0.dist-info
    app/lib/python3.12/site-packages/helper-2.0.dist-info/INSTALLER
    app/lib/python3.12/site-packages/helper-2.0.dist-info/METADATA
    app/lib/python3.12/site-packages/helper-2.0.dist-info/RECORD
    app/lib/python3.12/site-packages/helper-2.0.dist-info/WHEEL
    app/lib/python3.12/site-packages/helper-2.0.dist-info/entry_points.txt
    app/lib/python3.12/site-packages/helper.py
    app/lib/python3.12/site-packages/helper_new.py
    app/lib/python3.12/site-packages/shared
    app/lib/python3.12/site-packages/shared/other.py
    other
    ");
    // A second build makes the same image.
    stdout(world.build(&format!("tool --base oci:base -o oci:again --cache-dir other-cache {NO_ARCHIVE}")));
    let again = oci::check(&world.path("again")).unwrap().platforms.remove(0);
    assert_eq!(again.manifest, image.manifest);
    // The new version can be replaced, too.
    fs_err::remove_dir_all(world.path("base")).unwrap();
    fs_err::rename(world.path("out"), world.path("base")).unwrap();
    let image = built(&world, "helper==2.0");
    assert_eq!(helpers(&image), ["2.0"]);
}
