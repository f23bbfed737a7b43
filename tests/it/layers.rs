//! The layers of images: how many there are, which of them do not change, and layers from which single files can be
//! fetched.

use std::collections::BTreeMap;

use serde_json::Value;
use testkit::{PyPi, WheelBuilder, chunked, oci};

use crate::world::{World, archive, stdout};

fn blob(world: &World, layout: &str, descriptor: &Value) -> Vec<u8> {
    let digest = descriptor["digest"].as_str().unwrap();
    std::fs::read(world.path(layout).join("blobs").join(digest.replace(':', "/"))).unwrap()
}

/// Returns the layer descriptors of the only image in a layout. The lowest layer comes first.
fn layers(world: &World, layout: &str) -> Vec<Value> {
    oci::check(&world.path(layout)).unwrap();
    let index = std::fs::read(world.path(layout).join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let manifest: Value = serde_json::from_slice(&blob(world, layout, &index["manifests"][0])).unwrap();
    manifest["layers"].as_array().unwrap().clone()
}

fn title(layer: &Value) -> String {
    layer["annotations"]["org.opencontainers.image.title"].as_str().unwrap().to_owned()
}

/// Returns an index with a program and dependencies of different sizes. The bytes of the files cannot be compressed.
fn index() -> PyPi {
    let mut tool =
        WheelBuilder::new("tool", "1").script("tool", "tool:main").file("tool/__init__.py", "def main(): pass");
    let mut index = PyPi::new();
    for (name, kilobytes) in [("big", 300), ("middle", 60), ("small", 10), ("tiny", 1)] {
        tool = tool.requires(name);
        for version in ["1", "2"] {
            let noise = (0..kilobytes * 16)
                .map(|line| testkit::digest::sha256_hex(format!("{name}{version}{line}").as_bytes()));
            let text = format!("TEXT = '''{}'''\n", noise.collect::<Vec<_>>().join("\n"));
            index = index.built(&WheelBuilder::new(name, version).file(&format!("{name}/__init__.py"), &text));
        }
    }
    index.built(&tool)
}

#[test]
fn another_version_of_a_dependency_changes_its_own_layer_alone() {
    let world = World::new(archive(), index());
    for name in ["big", "middle", "small", "tiny"] {
        let pins = |version: &str| {
            let pin = |other: &str| format!("{other}=={}", if other == name { version } else { "1" });
            ["big", "middle", "small", "tiny"].map(pin).join("\n")
        };
        for version in ["1", "2"] {
            std::fs::write(world.path("pins"), pins(version)).unwrap();
            stdout(world.build(&format!("tool --constraint pins -t t -o oci:{name}{version}")));
        }
        let sizes = |layout: &str| -> BTreeMap<String, (String, u64)> {
            let of = |layer: &Value| (layer["digest"].to_string(), (title(layer), layer["size"].as_u64().unwrap()));
            layers(&world, layout).iter().map(of).collect()
        };
        let (before, after) = (sizes(&format!("{name}1")), sizes(&format!("{name}2")));
        let new: Vec<&(String, u64)> =
            after.iter().filter(|(digest, _)| !before.contains_key(*digest)).map(|new| new.1).collect();
        assert_eq!(new.len(), 1, "{name}: {new:?}");
        let own = if matches!(name, "small" | "tiny") { "small and tiny" } else { name };
        assert_eq!(new[0].0, own);
    }
}

#[test]
fn layers_are_as_many_as_the_options_allow_and_contain_the_same_files() {
    let world = World::new(archive(), index());
    let mut listings = Vec::new();
    for (options, most) in [
        ("--layers single", 1),
        ("--max-layers 1", 1),
        ("--max-layers 3", 3),
        ("--layers package --max-layers 5", 5),
        ("--layers package", 60),
    ] {
        let layout = format!("layout{}", listings.len());
        stdout(world.build(&format!("tool -t t -o oci:{layout} {options}")));
        let count = layers(&world, &layout).len();
        assert!(count <= most && (most == 60 || count == most), "{options}: {count}");
        let image = oci::check(&world.path(&layout)).unwrap();
        listings.push(image.platforms[0].files.keys().cloned().collect::<Vec<_>>());
    }
    assert!(listings.iter().all(|listing| *listing == listings[0]));
    assert_eq!(layers(&world, "layout0")[0]["digest"], layers(&world, "layout1")[0]["digest"]);
    let titles: Vec<String> = layers(&world, "layout4").iter().map(title).collect();
    for name in ["libc6", "python", "files of lath", "big", "middle", "small", "tiny", "tool"] {
        assert!(titles.iter().any(|title| title == name), "{name}: {titles:?}");
    }
}

#[test]
fn the_files_of_chunked_layers_can_be_fetched_alone() {
    let world = World::new(archive(), index());
    stdout(world.build("tool -t t -o oci:layout --compression zstd:chunked"));
    let mut files = 0;
    for layer in layers(&world, "layout") {
        assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd");
        let bytes = blob(&world, "layout", &layer);
        files +=
            chunked::check(&bytes, &layer["annotations"]).unwrap_or_else(|error| panic!("{}: {error}", title(&layer)));
        if title(&layer) == "big" {
            for position in [bytes.len() / 2, bytes.len() - 20, bytes.len() - 100] {
                let mut broken = bytes.clone();
                broken[position] ^= 1;
                assert!(chunked::check(&broken, &layer["annotations"]).is_err(), "{position}");
            }
        }
    }
    assert!(files > 20, "{files}");
    stdout(world.build("tool -t t -o oci:plain --compression zstd"));
    let diff_ids = |layout: &str| oci::check(&world.path(layout)).unwrap().platforms[0].config["rootfs"].clone();
    assert_eq!(diff_ids("layout"), diff_ids("plain"));
    let again = stdout(world.build("tool -t t -o oci:layout --compression zstd:chunked"));
    let elsewhere =
        stdout(world.build("tool -t t -o oci:layout --compression zstd:chunked --cache-dir other --jobs 1"));
    assert_eq!(again, elsewhere);
}
