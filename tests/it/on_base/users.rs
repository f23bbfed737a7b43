//! The user of the image, and the files of the base image that this user needs.

use serde_json::json;
use testkit::elf::elf;
use testkit::{ImageBuilder, LayerBuilder, PyPi};

use super::{Base, NO_ARCHIVE, layer, world};
use crate::world::{stdout, tool};

#[test]
fn a_python_that_only_root_can_reach_needs_root() {
    let world = world(PyPi::new().built(&tool()));
    let prefix = "root/.local/share/uv/python/cpython-3.12";
    let python = LayerBuilder::new()
        .dir("root", 0o700)
        .file(&format!("{prefix}/bin/python3.12"), 0o755, elf(None, &["libc.so.6"]))
        .file(&format!("{prefix}/lib/python3.12/os.py"), 0o644, "")
        .file(&format!("{prefix}/lib/python3.12/site-packages/README"), 0o644, "")
        .link("usr/local/bin/python3", &format!("/{prefix}/bin/python3.12"));
    let base = Base::with_python("rhel");
    let image = ImageBuilder::new().layer(&layer(&base.layers[0])).layer(&python);
    image.with("Env", json!(["PATH=/usr/local/bin:/usr/bin:/bin"])).build().write_layout(&world.path("base"), "1");
    insta::assert_snapshot!(world.errors(&["tool --base oci:base"]), @"
    $ tool --base oci:base
    exit 1
    error: cannot build on `oci:base`: the image runs as the user 65532:65532, who cannot use its Python `/root/.local/share/uv/python/cpython-3.12/bin/python3.12`, because `/root` has the mode 0700 and belongs to the user 0

    hint: run the program as the user of this path with `--user 0`, or install Python in a folder of the base image that all users can read, such as `/opt`
    ");
    stdout(world.build(&format!("tool --base oci:base --user 0 -o oci:out {NO_ARCHIVE}")));
}
