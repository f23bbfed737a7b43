//! Images with handmade layers, some valid and some invalid.

use std::error::Error as _;

use testkit::{BuiltImage, Compression, ImageBuilder, LayerBuilder};

use super::*;
use crate::model::image_source::ImageSource;
use crate::model::platform::Architecture;
use crate::outside::images;
use crate::outside::images::fixture::TestDoors;

const AMD64: Platform = Platform { architecture: Architecture::Amd64 };

fn read_with(doors: &TestDoors, image: &BuiltImage) -> Result<BaseImage, BaseError> {
    let folder = doors.home.path().join("layout");
    image.write_layout(&folder, "1");
    let open = images::open(&ImageSource::Oci { path: folder, reference: None }, doors.doors())?;
    base(&open, &open.choose(AMD64)?, AMD64, &doors.store)
}

fn read(image: &ImageBuilder) -> Result<BaseImage, BaseError> {
    read_with(&TestDoors::new(), &image.build())
}

fn of(layers: &[LayerBuilder]) -> ImageBuilder {
    layers.iter().fold(ImageBuilder::new(), ImageBuilder::layer)
}

/// Returns the listing of the tree, without its origins.
fn listing(image: &BaseImage) -> String {
    image.tree.listing().replace("  base image", "")
}

fn causes(error: &BaseError) -> String {
    let first: &dyn std::error::Error = error;
    let causes = std::iter::successors(Some(first), |error| (*error).source()).skip(1);
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[test]
fn every_kind_of_entry_is_read() {
    let long = format!("{}/{}", "d".repeat(150), "n".repeat(200));
    let layer = LayerBuilder::new()
        .dir(".", 0o755)
        .dir("tmp", 0o1777)
        .owned_by(1000, 2_000_000_000)
        .file("/absolute", 0o600, "own")
        .record("uid", "4000000000")
        .record("gid", "5")
        .file("pax", 0o644, "own")
        .record("path", "renamed by pax")
        .file("short", 0o644, "x")
        .file("bin/../sbin/setuid", 0o4755, "program")
        .hard_link("hard", "./sbin/setuid")
        .link("out", "../../../etc/shadow")
        .link("dangling", "/no/where")
        .link("empty", "")
        .file(&long, 0o644, "long")
        .device("dev/null")
        .pipe("run/pipe")
        .record("SCHILY.xattr.security.capability", "\u{1}")
        .record("SCHILY.xattr.user.x", "1")
        .file("ping", 0o755, "ping")
        .file("odd\nname", 0o644, "x");
    let image = read(&of(&[layer])).unwrap();
    insta::assert_snapshot!(listing(&image), @"
    dir  0755 0 /
    file 0600 1000 /absolute  sha256:5b397565
    link 0777 0 /dangling -> /no/where
    dir  0755 0 /dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd
    file 0644 0 /dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd/nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn  sha256:fc66f021
    dir  0755 0 /dev
    file 4755 0 /hard  sha256:1310ca2c
    link 0777 0 /out -> ../../../etc/shadow
    file 0644 4000000000 /pax  sha256:5b397565
    file 0755 0 /ping  sha256:758d61f2
    file 0644 0 /renamed by pax  sha256:2d711642
    dir  0755 0 /run
    dir  0755 0 /sbin
    file 4755 0 /sbin/setuid  sha256:1310ca2c
    dir  1777 0 /tmp
    ");
    let oddities: Vec<String> =
        image.oddities.iter().map(|oddity| format!("{:?} {:?}", oddity.path, oddity.kind)).collect();
    insta::assert_snapshot!(oddities.join("\n"), @r#"
    "dev/null" Device
    "empty" Name
    "odd\nname" Name
    "ping" Attributes(["security.capability", "user.x"])
    "run/pipe" Pipe
    "sbin/setuid" SetId
    "#);
    assert!(image.tree.nodes.values().all(|node| node.origin == crate::model::tree::Origin::Base));
}

#[test]
fn layers_are_applied_with_their_whiteouts() {
    let lower = LayerBuilder::new()
        .dir("etc", 0o700)
        .file("etc/a", 0o644, "a")
        .file("etc/b", 0o644, "b")
        .file("opt/deep/x", 0o644, "x")
        .file("opt/deep/y", 0o644, "y")
        .file("kept", 0o755, "kept");
    let middle =
        LayerBuilder::new().whiteout("etc/a").opaque("opt/deep").file("opt/deep/z", 0o644, "z").dir("etc", 0o755);
    let upper = LayerBuilder::new().hard_link("linked", "kept").whiteout("kept").file("etc", 0o644, "now a file");
    insta::assert_snapshot!(listing(&read(&of(&[lower.clone(), middle.clone()])).unwrap()), @"
    dir  0755 0 /
    dir  0755 0 /etc
    file 0644 0 /etc/b  sha256:3e23e816
    file 0755 0 /kept  sha256:79f076ab
    dir  0755 0 /opt
    dir  0755 0 /opt/deep
    file 0644 0 /opt/deep/z  sha256:594e519a
    ");
    insta::assert_snapshot!(listing(&read(&of(&[lower.clone(), middle, upper])).unwrap()), @"
    dir  0755 0 /
    file 0644 0 /etc  sha256:92af885f
    file 0755 0 /linked  sha256:79f076ab
    dir  0755 0 /opt
    dir  0755 0 /opt/deep
    file 0644 0 /opt/deep/z  sha256:594e519a
    ");
    let emptied = read(&of(&[lower, LayerBuilder::new().opaque("").file("only", 0o644, "x")])).unwrap();
    insta::assert_snapshot!(listing(&emptied), @"
    dir  0755 0 /
    file 0644 0 /only  sha256:2d711642
    ");
}

#[test]
fn each_compression_gives_the_same_tree_and_the_layers_are_described() {
    let tar = LayerBuilder::new().file("a", 0o644, "x").file("b", 0o644, vec![7; 300_000]).tar();
    let trees = [Compression::None, Compression::Gzip, Compression::Zstd].map(|compression| {
        let built = ImageBuilder::new().compressed_layer(&tar, compression).build();
        let image = read_with(&TestDoors::new(), &built).unwrap();
        let layer = &image.layers[0];
        assert_eq!(layer.digest.0.prefixed(), built.manifest["layers"][0]["digest"]);
        assert_eq!(layer.diff_id.0.prefixed(), built.config["rootfs"]["diff_ids"][0]);
        assert_eq!((layer.tar_bytes, layer.files_bytes), (tar.len() as u64, 300_001));
        assert_eq!(layer.contents, LayerContents::Blob);
        assert_eq!(image.config, built.config.to_string());
        image.tree
    });
    assert_eq!(trees[0], trees[1]);
    assert_eq!(trees[0], trees[2]);
}

#[test]
fn a_gzip_of_several_members_and_bytes_after_the_end_of_the_tar_are_read() {
    let tar = [LayerBuilder::new().file("a", 0o644, "x").tar(), vec![0; 9000]].concat();
    let (start, end) = tar.split_at(700);
    let blob = [start, end].map(|part| testkit::deb::compress(part, Compression::Gzip)).concat();
    let mut built = ImageBuilder::new().compressed_layer(&tar, Compression::Gzip).build();
    let layer = testkit::image::describe(&mut built.blobs, "application/vnd.oci.image.layer.v1.tar+gzip", blob);
    built.manifest["layers"][0] = layer;
    let bytes = built.manifest.to_string().into_bytes();
    built.descriptor = testkit::image::describe(&mut built.blobs, "application/vnd.oci.image.manifest.v1+json", bytes);
    let image = read_with(&TestDoors::new(), &built).unwrap();
    assert_eq!(image.layers[0].tar_bytes, tar.len() as u64);
    assert!(image.tree.find("/a").is_some());
}

#[test]
fn an_image_with_128_layers_is_read() {
    let layers: Vec<LayerBuilder> = (0..128)
        .map(|number| {
            let layer = LayerBuilder::new().file("last", 0o644, number.to_string());
            layer.file(&format!("dir/{}", number / 2), 0o644, number.to_string())
        })
        .collect();
    let image = read(&of(&layers)).unwrap();
    assert_eq!(image.layers.len(), 128);
    assert_eq!(image.tree.find("/last").unwrap().1.digest(), Some(&Digest::of(b"127")));
    assert_eq!(image.tree.nodes.keys().filter(|path| path.is_within("/dir")).count(), 65);
}

#[test]
fn a_second_read_of_the_same_image_needs_no_layer() {
    let doors = TestDoors::new();
    let lower = LayerBuilder::new().file("a", 0o644, "x").file("large", 0o644, vec![7; 300_000]);
    let built = of(&[lower.clone(), LayerBuilder::new().file("b", 0o644, "y")]).build();
    let first = read_with(&doors, &built).unwrap();
    for layer in &first.layers {
        fs_err::remove_file(doors.store.blob_path(&layer.digest)).unwrap();
    }
    let without_layers = |built: &BuiltImage| {
        let mut built = built.clone();
        built.manifest["layers"].as_array().unwrap().iter().take(1).for_each(|layer| {
            built.blobs.remove(layer["digest"].as_str().unwrap()).unwrap();
        });
        built
    };
    fs_err::remove_dir_all(doors.home.path().join("layout")).unwrap();
    assert_eq!(read_with(&doors, &without_layers(&built)).unwrap(), first);
    // If another image has the same lower layer, only its new layer is read.
    let other = of(&[lower, LayerBuilder::new().file("c", 0o644, "z")]).build();
    fs_err::remove_dir_all(doors.home.path().join("layout")).unwrap();
    let other = read_with(&doors, &without_layers(&other)).unwrap();
    assert_eq!(doors.store.read(other.tree.find("/a").unwrap().1.digest().unwrap()).unwrap(), b"x");
}

#[test]
fn contents_that_the_store_lost_are_read_again() {
    let doors = TestDoors::new();
    let built = of(&[LayerBuilder::new().file("large", 0o644, vec![7; 300_000])]).build();
    let first = read_with(&doors, &built).unwrap();
    let digest = *first.tree.find("/large").unwrap().1.digest().unwrap();
    std::fs::write(doors.store.contents_place(&digest), "cut short").unwrap();
    assert_eq!(read_with(&doors, &built).unwrap(), first);
    assert_eq!(doors.store.read(&digest).unwrap(), vec![7; 300_000]);
}

#[test]
fn layers_that_are_wrong_are_refused_by_name() {
    let refused = |layer: LayerBuilder| causes(&read(&of(&[layer])).unwrap_err());
    let new = LayerBuilder::new;
    let table = [
        (new().file("../evil", 0o644, ""), "cannot use `../evil`: it leads outside the image"),
        (new().file("a/../../evil", 0o644, ""), "cannot use `a/../../evil`: it leads outside the image"),
        (new().hard_link("a", "../../etc/shadow"), "cannot use `../../etc/shadow`: it leads outside the image"),
        (
            new().hard_link("a", "etc/shadow"),
            "cannot use `/a`: it is a hard link to `/etc/shadow`, which does not exist",
        ),
        (new().typed("sparse", b'S'), "cannot use `sparse`: it is a sparse file, which an image may not contain"),
        (
            new().record("GNU.sparse.major", "1").file("sparse", 0o644, ""),
            "cannot use `sparse`: it is a sparse file, which an image may not contain",
        ),
        (new().typed("odd", b'Z'), "cannot use `odd`: it has the unknown type 'Z'"),
        (
            new().owned_by(1 << 32, 0).file("a", 0o644, ""),
            "cannot use `a`: its owner or its group has the number 4294967296, and Linux has no more than 32 bits",
        ),
        (new().file("a/.wh...", 0o644, ""), "cannot use `a/.wh...`: it marks no path as removed"),
        (new().file("a/.wh.", 0o644, ""), "cannot use `a/.wh.`: it marks no path as removed"),
        // The root cannot be removed.
        (new().file(".wh.", 0o644, ""), "cannot use `.wh.`: it marks no path as removed"),
        (new().file(".wh..", 0o644, ""), "cannot use `.wh..`: it marks no path as removed"),
        (new().file("a", 0o644, "").file("a/b", 0o644, ""), "cannot use `/a/b`: its parent `/a` is not a directory"),
        (new().link("a", "a").file("a/b", 0o644, ""), "cannot use `/a/b`: its links form a circle"),
        (new().raw(&[7; 512]), "cannot read the layer: numeric field was not a number"),
    ];
    for (layer, expected) in table {
        let refused = refused(layer);
        assert!(refused.starts_with(expected), "{refused}\n{expected}");
    }
}

#[test]
fn layers_that_do_not_match_the_config_are_refused() {
    let mut built = of(&[LayerBuilder::new().file("a", 0o644, "x")]).build();
    let table = [
        (serde_json::json!([Digest::of(b"other").prefixed()]), "the diff ID of its tar is `sha256:"),
        (serde_json::json!([]), "it has 1 layers, and its config has 0 diff IDs"),
    ];
    for (diff_ids, expected) in table {
        built.config["rootfs"]["diff_ids"] = diff_ids;
        let config = built.config.to_string().into_bytes();
        built.manifest["config"] =
            testkit::image::describe(&mut built.blobs, "application/vnd.oci.image.config.v1+json", config);
        let bytes = built.manifest.to_string().into_bytes();
        built.descriptor =
            testkit::image::describe(&mut built.blobs, "application/vnd.oci.image.manifest.v1+json", bytes);
        let error = read_with(&TestDoors::new(), &built).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn changed_and_cut_bytes_never_panic_and_never_give_another_tree() {
    let layer = LayerBuilder::new()
        .dir("etc", 0o755)
        .file("etc/passwd", 0o644, "root:x:0:0::/root:/bin/sh\n")
        .link("bin", "usr/bin")
        .hard_link("etc/other", "etc/passwd")
        .record("SCHILY.xattr.user.x", "1")
        .file(&"long/".repeat(40), 0o644, "x")
        .whiteout("gone");
    let tar = layer.tar();
    // A random number generator (Marsaglia's xorshift) with a fixed seed, so that each run tries the same bytes.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |most: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % most as u64) as usize
    };
    let (mut read_count, doors) = (0, TestDoors::new());
    for round in 0..1500 {
        let mut bytes = tar.clone();
        if round % 3 == 0 {
            bytes.truncate(random(tar.len()));
        }
        for _ in 0..=random(3) {
            let at = random(bytes.len().max(1));
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random(256) as u8;
            }
        }
        let path = doors.home.path().join("layer");
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(opened) = layers::read(&path, &layers::Room::default(), &doors.store) {
            read_count += 1;
            assert_eq!(opened.diff_id.0, Digest::of(&bytes));
            let mut flat = Flat::default();
            if flat.add(opened).is_ok() {
                assert!(flat.tree.nodes.keys().all(|path| ImagePath::parse(path.as_str()).unwrap() == *path));
                let has_parent =
                    |path: &ImagePath| path.parent().is_none_or(|parent| flat.tree.nodes.contains_key(&parent));
                assert!(flat.tree.nodes.keys().all(has_parent));
            }
        }
    }
    assert!((100..1500).contains(&read_count), "{read_count}");
}

#[test]
fn layers_that_are_too_large_are_refused() {
    let doors = TestDoors::new();
    let path = doors.home.path().join("layer");
    let read = |layer: LayerBuilder, room: layers::Room| {
        std::fs::write(&path, testkit::deb::compress(&layer.tar(), Compression::Zstd)).unwrap();
        let error: Option<LayerProblem> = layers::read(&path, &room, &doors.store).err();
        error.map(|error| error.source().map_or(error.to_string(), ToString::to_string))
    };
    let zeros = LayerBuilder::new().file("zeros", 0o644, vec![0; 4 << 20]);
    assert_eq!(read(zeros.clone(), layers::Room::new(5 << 20, 1, 5)), None);
    let refused = |layer, room| read(layer, room).unwrap();
    assert_eq!(refused(zeros.clone(), layers::Room::new(1 << 20, 1, 5)), "the unpacked layers are too large");
    assert_eq!(refused(zeros.clone(), layers::Room::new(5 << 20, 1, 4)), "cannot use a layer with so many entries");
    assert_eq!(refused(zeros, layers::Room::new(5 << 20, 0, 5)), "cannot use a layer with so many entries");
    // Parents that no entry describes count, and so do the targets of links.
    let deep = LayerBuilder::new().file("a/b/c", 0o644, "");
    assert_eq!(read(deep.clone(), layers::Room::new(1 << 20, 3, 1 + 3 + 5)), None);
    for room in [layers::Room::new(1 << 20, 2, 9), layers::Room::new(1 << 20, 3, 8)] {
        assert_eq!(refused(deep.clone(), room), "cannot use a layer with so many entries");
    }
    let link = LayerBuilder::new().link("x", "target");
    assert_eq!(read(link.clone(), layers::Room::new(1 << 20, 1, 7)), None);
    assert_eq!(refused(link, layers::Room::new(1 << 20, 1, 6)), "cannot use a layer with so many entries");
    // Names of two megabytes.
    let long = LayerBuilder::new().file(&"x/".repeat(1 << 20), 0o644, "");
    assert_eq!(refused(long, layers::Room::default()), "the headers of an entry are too large");
}

/// Returns the kind, the mode, the owner and the contents of everything below a directory of this machine.
fn listing_on_disk(root: &std::path::Path, folder: &std::path::Path, lines: &mut Vec<String>) {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
    let metadata = fs_err::symlink_metadata(folder).unwrap();
    let name = format!("/{}", folder.strip_prefix(root).unwrap().display());
    let kind = match metadata.file_type() {
        kind if kind.is_symlink() => format!("link {}", fs_err::read_link(folder).unwrap().display()),
        kind if kind.is_dir() => "dir".to_owned(),
        kind if kind.is_char_device() || kind.is_block_device() || kind.is_fifo() => return,
        _ => format!("file {}", Digest::of(&std::fs::read(folder).unwrap())),
    };
    let mode = if metadata.is_symlink() { 0o777 } else { metadata.mode() & 0o7777 };
    lines.push(format!("{name} {kind} {mode:o} {}:{}", metadata.uid(), metadata.gid()));
    if metadata.is_dir() {
        for entry in std::fs::read_dir(folder).unwrap() {
            listing_on_disk(root, &entry.unwrap().path(), lines);
        }
    }
}

/// Returns two layers with everything that is rare.
fn odd_layers() -> [LayerBuilder; 2] {
    let lower = LayerBuilder::new()
        .dir(".", 0o755)
        .dir("tmp", 0o1777)
        .dir("etc", 0o700)
        .file("etc/a", 0o640, "a")
        .owned_by(1000, 2_000_000_000)
        .file("etc/b", 0o644, "b")
        .hard_link("etc/c", "etc/b")
        .file("opt/deep/x", 0o644, "x")
        .file("bin/setuid", 0o4755, "program")
        .link("lib", "usr/lib")
        .dir("usr/lib", 0o755)
        .file("lib/inside", 0o644, "through a link of the same layer")
        .file(&format!("{}/{}", "d".repeat(150), "n".repeat(200)), 0o644, "long")
        .file("swap", 0o644, "file")
        .file("gone/x", 0o644, "x")
        .pipe("run/pipe");
    let upper = LayerBuilder::new()
        .whiteout("etc/a")
        .opaque("opt/deep")
        .file("opt/deep/z", 0o600, "z")
        .dir("etc", 0o755)
        .whiteout("gone")
        .file("gone", 0o644, "now a file")
        .whiteout("swap")
        .dir("swap", 0o711)
        .file("swap/in", 0o644, "in")
        .hard_link("etc/linked", "etc/b")
        .link("out", "../../../etc/shadow");
    [lower, upper]
}

#[test]
#[ignore = "needs umoci, and root to change owners"]
fn umoci_unpacks_the_same_tree() {
    let official = testkit::bases::official_python();
    let sixty = testkit::bases::many_layers(60);
    for (image, compression) in [(of(&odd_layers()), "odd"), (official, "official"), (sixty, "sixty")] {
        let doors = TestDoors::new();
        let read = read_with(&doors, &image.build()).unwrap();
        let bundle = doors.home.path().join("bundle");
        let layout = format!("{}:1", doors.home.path().join("layout").display());
        let unpacked = std::process::Command::new("umoci").args(["unpack", "--image", &layout]).arg(&bundle).output();
        let unpacked = unpacked.unwrap();
        assert!(unpacked.status.success(), "{compression}: {}", String::from_utf8_lossy(&unpacked.stderr));
        let root = bundle.join("rootfs");
        let mut expected = Vec::new();
        listing_on_disk(&root, &root, &mut expected);
        expected.sort();
        let mut own: Vec<String> = read
            .tree
            .nodes
            .iter()
            .map(|(path, node)| {
                let kind = match &node.kind {
                    Kind::Directory => "dir".to_owned(),
                    Kind::File { digest, .. } => format!("file {}", Digest::of(&doors.store.read(digest).unwrap())),
                    Kind::Link { target } => format!("link {target}"),
                };
                format!("{path} {kind} {:o} {}:{}", node.mode, node.owner, node.group())
            })
            .collect();
        own.sort();
        // The root may have an entry of its own or none.
        own.retain(|line| !line.starts_with("/ "));
        expected.retain(|line| !line.starts_with("/ "));
        assert_eq!(own, expected, "{compression}");
    }
}
