//! Distributions of the base image: those that the new image can import, and those that it replaces.

use serde_json::json;
use testkit::PyPi;
use testkit::oci::CheckedPlatform;

use super::{Base, built, files, helper, world};
use crate::world::tool;

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
