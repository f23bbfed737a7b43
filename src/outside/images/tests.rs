//! Tests of images from every source, and of invalid images.

use std::error::Error as _;

use serde_json::json;
use testkit::{BuiltImage, Compression, ImageBuilder, LayerBuilder};

use super::fixture::TestDoors;
use super::*;
use crate::model::platform::{Architecture, Platform};

const AMD64: Platform = Platform { architecture: Architecture::Amd64 };
const ARM64: Platform = Platform { architecture: Architecture::Arm64 };

fn image(text: &str) -> ImageBuilder {
    ImageBuilder::new().layer(&LayerBuilder::new().file("etc/text", 0o644, text))
}

/// Opens a layout with the image, and chooses a platform.
fn chosen(image: &BuiltImage, platform: Platform) -> Result<ChosenImage, String> {
    let doors = TestDoors::new();
    let folder = doors.home.path().join("layout");
    image.write_layout(&folder, "1");
    let source = ImageSource::Oci { path: folder, reference: None };
    let open = open(&source, doors.doors()).map_err(|error| error.source().unwrap().to_string())?;
    open.choose(platform).map_err(|error| error.to_string())
}

fn refusal(image: &BuiltImage) -> String {
    chosen(image, AMD64).unwrap_err()
}

/// Returns the image with a manifest that `change` has modified.
fn changed(change: impl FnOnce(&mut serde_json::Value)) -> BuiltImage {
    let mut image = image("x").build();
    change(&mut image.manifest);
    let platform = image.descriptor["platform"].take();
    let media_type = image.descriptor["mediaType"].as_str().unwrap().to_owned();
    let bytes = image.manifest.to_string().into_bytes();
    image.descriptor = testkit::image::describe(&mut image.blobs, &media_type, bytes);
    image.descriptor["platform"] = platform;
    image
}

#[test]
fn the_same_image_is_read_from_every_kind_of_place() {
    let doors = TestDoors::new();
    let built = image("x").build();
    let path = |name: &str| doors.home.path().join(name);
    built.write_layout(&path("layout"), "team/tool:1");
    let archive = built.oci_archive("1");
    std::fs::write(path("plain.tar"), &archive).unwrap();
    std::fs::write(path("gzip.tar.gz"), testkit::deb::compress(&archive, Compression::Gzip)).unwrap();
    std::fs::write(path("zstd.tar.zst"), testkit::deb::compress(&archive, Compression::Zstd)).unwrap();
    let server = testkit::registry::Registry::new().serve();
    built.serve(&server, "team/tool", "1");
    let sources = [
        format!("oci:{}", path("layout").display()),
        format!("oci:{}:team/tool:1", path("layout").display()),
        format!("oci-archive:{}", path("plain.tar").display()),
        format!("oci-archive:{}:1", path("gzip.tar.gz").display()),
        format!("oci-archive:{}", path("zstd.tar.zst").display()),
        format!("docker://{}/team/tool:1", server.host()),
    ];
    for source in sources {
        let doors = TestDoors::new();
        let open = open(&source.parse().unwrap(), doors.doors()).unwrap();
        assert_eq!(open.root().digest.0.prefixed(), built.descriptor["digest"], "{source}");
        let chosen = open.choose(AMD64).unwrap();
        assert_eq!(serde_json::to_value(&chosen.manifest).unwrap(), built.manifest, "{source}");
        let layer = &chosen.manifest.layers[0];
        let blob = std::fs::read(open.blob(layer).unwrap()).unwrap();
        assert_eq!(blob, built.blobs[&layer.digest], "{source}");
        assert!(doors.store.has_blob(&digest_of(layer).unwrap(), Some(layer.size)));
    }
}

#[test]
fn a_pinned_image_of_a_registry_needs_no_network_the_second_time() {
    let mut doors = TestDoors::new();
    let built = BuiltImage::index(&[image("x").build(), image("y").architecture("arm64", Some("v8")).build()]);
    let server = testkit::registry::Registry::new().serve();
    built.serve(&server, "tool", "1");
    let digest = built.descriptor["digest"].as_str().unwrap();
    let pinned: ImageSource = format!("docker://{}/tool@{digest}", server.host()).parse().unwrap();
    let read = |doors: &TestDoors| -> Result<Vec<u8>, ImagesError> {
        let open = open(&pinned, doors.doors())?;
        let chosen = open.choose(ARM64)?;
        Ok(std::fs::read(open.blob(&chosen.manifest.layers[0])?).unwrap())
    };
    let first = read(&doors).unwrap();
    drop(server);
    doors.go_offline();
    assert_eq!(read(&doors).unwrap(), first);
    let other: ImageSource = pinned.to_string().replace(digest, &Digest::of(b"other").prefixed()).parse().unwrap();
    assert!(open(&other, doors.doors()).is_err());
}

#[test]
fn an_archive_of_docker_gets_the_same_manifest_every_time() {
    let doors = TestDoors::new();
    let layer = LayerBuilder::new().file("etc/text", 0o644, "x").tar();
    let other = LayerBuilder::new().file("etc/other", 0o644, "y").tar();
    let built = [&layer, &other, &layer]
        .into_iter()
        .fold(ImageBuilder::new(), |image, tar| image.compressed_layer(tar, Compression::None))
        .compressed_layer(&other, Compression::Gzip)
        .build();
    let path = doors.home.path().join("saved.tar");
    std::fs::write(&path, built.docker_archive(&["team/tool:1", "other:2"])).unwrap();
    let read = |name: Option<&str>| {
        let source = ImageSource::DockerArchive { path: path.clone(), name: name.map(str::to_owned) };
        let open = open(&source, doors.doors()).map_err(|error| error.source().unwrap().to_string())?;
        let chosen = open.choose(AMD64).unwrap();
        for layer in &chosen.manifest.layers {
            assert_eq!(std::fs::read(open.blob(layer).unwrap()).unwrap(), built.blobs[&layer.digest]);
        }
        Ok::<_, String>(chosen)
    };
    let chosen = read(None).unwrap();
    assert_eq!(serde_json::to_value(&chosen.manifest.layers).unwrap(), built.manifest["layers"]);
    assert_eq!(chosen.config_document.digest.0.prefixed(), built.manifest["config"]["digest"]);
    assert_eq!(read(Some("docker.io/team/tool:1")).unwrap().document, chosen.document);
    assert_eq!(
        read(Some("team/tool")).unwrap_err(),
        "cannot find the image `team/tool`: there are `team/tool:1`, `other:2`"
    );
}

#[test]
fn an_archive_of_docker_with_a_layout_keeps_its_manifest() {
    let doors = TestDoors::new();
    let of = |text: &str, architecture: &str| image(text).architecture(architecture, None).dockers().build();
    let (own, other) = (of("x", "amd64"), of("y", "arm64"));
    let mut absent = BuiltImage::index(&[other.clone(), own.clone()]);
    // Docker may name platforms that are not in the archive.
    for digest in other.blobs.keys() {
        absent.blobs.remove(digest);
    }
    let read = |root: &BuiltImage| {
        let path = doors.home.path().join("saved.tar");
        std::fs::write(&path, own.current_docker_archive(&["team/tool:1"], root)).unwrap();
        let open = open(&ImageSource::DockerArchive { path, name: None }, doors.doors()).unwrap();
        let chosen = open.choose(AMD64).map(|chosen| chosen.document.digest.0.prefixed());
        (open.root().digest.0.prefixed(), chosen.map_err(|error| error.to_string()))
    };
    let digest = own.descriptor["digest"].as_str().unwrap().to_owned();
    assert_eq!(read(&own), (digest.clone(), Ok(digest.clone())));
    assert_eq!(read(&BuiltImage::index(&[other.clone(), own.clone()])).0, digest);
    assert_eq!(read(&absent).0, digest);
    // An OCI layout with another image does not belong to `manifest.json`.
    let mut strange = other.clone();
    strange.blobs.extend(own.blobs.clone());
    assert_ne!(read(&strange).0, digest);
}

#[test]
fn a_layer_of_zstd_may_begin_with_a_skippable_frame() {
    let doors = TestDoors::new();
    let tar = LayerBuilder::new().file("etc/text", 0o644, "x").tar();
    let packed = testkit::deb::compress(&tar, Compression::Zstd);
    let layer = [b"\x53\x2a\x4d\x18\x03\0\0\0toc".as_slice(), &packed].concat();
    let mut built = ImageBuilder::new().compressed_layer(&tar, Compression::Zstd).build();
    built.manifest["layers"][0] =
        testkit::image::describe(&mut built.blobs, "application/vnd.oci.image.layer.v1.tar+zstd", layer.clone());
    let path = doors.home.path().join("saved.tar");
    std::fs::write(&path, built.docker_archive(&["a:1"])).unwrap();
    let open = open(&ImageSource::DockerArchive { path, name: None }, doors.doors()).unwrap();
    let chosen = open.choose(AMD64).unwrap();
    assert_eq!(chosen.manifest.layers[0].media_type, oci::LAYER_ZSTD);
    assert_eq!(std::fs::read(open.blob(&chosen.manifest.layers[0]).unwrap()).unwrap(), layer);
}

#[test]
fn an_archive_that_lies_about_a_layer_is_refused_when_the_layer_is_read() {
    let doors = TestDoors::new();
    let tar = LayerBuilder::new().file("etc/text", 0o644, "x").tar();
    let built = ImageBuilder::new().compressed_layer(&tar, Compression::None).build();
    let digest = built.manifest["layers"][0]["digest"].clone();
    let other = LayerBuilder::new().file("etc/text", 0o644, "y").tar();
    let path = doors.home.path().join("saved.tar");
    std::fs::write(&path, built.tampered(&digest, &other).docker_archive(&["a:1"])).unwrap();
    let open = open(&ImageSource::DockerArchive { path, name: None }, doors.doors()).unwrap();
    let chosen = open.choose(AMD64).unwrap();
    let error = open.blob(&chosen.manifest.layers[0]).unwrap_err();
    assert!(matches!(error, ImagesError::Store(StoreError::OtherBlob { .. })), "{error}");
}

#[test]
fn the_image_that_fits_a_platform_is_chosen() {
    let of = |architecture, variant| image(architecture).architecture(architecture, variant).build();
    let mut attestation = of("amd64", None);
    attestation.descriptor["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    let index =
        BuiltImage::index(&[attestation, of("arm", Some("v7")), of("arm64", Some("v8")), of("amd64", Some("v3"))]);
    assert_eq!(chosen(&index, ARM64).unwrap().config.architecture, "arm64");
    assert_eq!(
        chosen(&index, AMD64).unwrap_err(),
        "cannot find an image for linux/amd64: there are linux/arm/v7, linux/arm64/v8, linux/amd64/v3"
    );
    let nested = BuiltImage::index(&[BuiltImage::index(&[of("amd64", None)])]);
    assert_eq!(chosen(&nested, AMD64).unwrap().config.architecture, "amd64");
    assert_eq!(
        chosen(&of("arm64", None), AMD64).unwrap_err(),
        "cannot find an image for linux/amd64: there is only linux/arm64"
    );
    assert_eq!(
        chosen(&BuiltImage::index(&[]), AMD64).unwrap_err(),
        "cannot find an image for linux/amd64: there is none"
    );
}

#[test]
fn documents_of_docker_are_read_like_those_of_oci() {
    let built = image("x").dockers().build();
    assert_eq!(chosen(&built, AMD64).unwrap().document.digest.0.prefixed(), built.descriptor["digest"]);
}

#[test]
fn documents_that_are_wrong_are_refused_by_name() {
    // The digests depend on the bytes of the test's documents, so they are replaced.
    let short = |text: String| {
        let mut parts = text.split("sha256:");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| text + "SHA" + part.trim_start_matches(|c: char| c.is_ascii_hexdigit()))
    };
    insta::assert_snapshot!(refusal(&changed(|manifest| manifest["schemaVersion"] = json!(1))), @"cannot use the image: its manifest has schema 1, which Docker stopped writing in 2017. Push the image again with a current engine");
    insta::assert_snapshot!(short(refusal(&changed(|manifest| manifest["mediaType"] = json!("text/x")))), @"cannot read the document `SHA`: it has the media type `text/x`, and was found as `application/vnd.oci.image.manifest.v1+json`");
    insta::assert_snapshot!(short(refusal(&changed(|manifest| manifest["manifests"] = json!([])))), @"cannot read the document `SHA`: it has the fields of an index and of a manifest");
    insta::assert_snapshot!(short(refusal(&changed(|manifest| manifest["config"]["mediaType"] = json!("application/vnd.cncf.helm.config.v1+json")))), @"cannot use `SHA` as a config: it has the media type `application/vnd.cncf.helm.config.v1+json`");
    insta::assert_snapshot!(short(refusal(&changed(|manifest| manifest["layers"][0]["urls"] = json!(["https://x"])))), @"cannot use the layer `SHA`: it is only at other addresses (`urls`), so a registry may not have it");
    insta::assert_snapshot!(short(refusal(&changed(|manifest| manifest["layers"][0]["mediaType"] = json!("application/x")))), @"cannot use `SHA` as a layer: it has the media type `application/x`");
    insta::assert_snapshot!(short(refusal(&changed(|manifest| manifest["config"]["digest"] = json!("sha512:ab")))), @"cannot use `sha512:ab`: lath reads only digests with sha256");
    insta::assert_snapshot!(short(refusal(&changed(|manifest| manifest["config"]["size"] = json!(5 << 20)))), @"cannot use the document `SHA`: it has 5242880 bytes, and the limit is 4194304");
    insta::assert_snapshot!(short(refusal(&changed(|manifest| manifest["config"]["size"] = json!(7)))), @"cannot read the image");
    insta::assert_snapshot!(short(refusal(&changed(|manifest| manifest["config"] = json!(7)))), @"cannot read the document `SHA`");
    let built = image("x").build();
    let config = built.manifest["config"]["digest"].clone();
    let mut missing = built.clone();
    missing.blobs.remove(config.as_str().unwrap());
    insta::assert_snapshot!(short(refusal(&missing)), @"cannot find the blob `SHA`");
    let size = built.blobs[config.as_str().unwrap()].len();
    insta::assert_snapshot!(short(refusal(&built.tampered(&config, &vec![b' '; size]))), @"cannot use the blob `SHA`: it has 163 bytes with the digest `SHA`, and its descriptor says 163 bytes");
}

#[test]
fn a_layout_with_several_images_needs_a_name() {
    let doors = TestDoors::new();
    let folder = doors.home.path().join("layout");
    let (one, two) = (image("one").build(), image("two").build());
    one.write_layout(&folder, "1");
    two.write_layout(&folder, "2");
    let mut entries = [one.descriptor.clone(), two.descriptor.clone()];
    for (entry, name) in entries.iter_mut().zip(["1", "2"]) {
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": name});
    }
    std::fs::write(folder.join("index.json"), json!({"schemaVersion": 2, "manifests": entries}).to_string()).unwrap();
    let read = |reference: Option<&str>| {
        let source = ImageSource::Oci { path: folder.clone(), reference: reference.map(str::to_owned) };
        let open = open(&source, doors.doors()).map_err(|error| error.source().unwrap().to_string())?;
        Ok::<_, String>(open.root().digest.0.prefixed())
    };
    assert_eq!(read(Some("2")).unwrap(), two.descriptor["digest"]);
    assert_eq!(read(None).unwrap_err(), "cannot choose an image, because there are several: `1`, `2`");
    assert_eq!(read(Some("3")).unwrap_err(), "cannot find the image `3`: there are `1`, `2`");
    // An index whose entries have platforms but no names is one image.
    let platforms = json!({"schemaVersion": 2, "manifests": [one.descriptor, two.descriptor]}).to_string();
    std::fs::write(folder.join("index.json"), &platforms).unwrap();
    assert_eq!(read(None).unwrap(), Digest::of(platforms.as_bytes()).prefixed());
}

#[test]
fn an_image_of_a_daemon_is_an_archive() {
    use std::io::{Read as _, Write as _};
    let tar = LayerBuilder::new().file("etc/text", 0o644, "x").tar();
    let archive = ImageBuilder::new().compressed_layer(&tar, Compression::None).build().docker_archive(&["a:1"]);
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("docker");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let serving = std::thread::spawn(move || {
        let version = br#"{"Version":"29.1.0","ApiVersion":"1.52","Components":null}"#.to_vec();
        let missing = br#"{"message":"No such image: b:1"}"#.to_vec();
        let responses =
            [("200 OK", version.clone()), ("200 OK", archive), ("200 OK", version), ("404 Not Found", missing)];
        responses.map(|(status, body)| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
            String::from_utf8_lossy(&request).lines().next().unwrap().to_owned()
        })
    });
    let doors = TestDoors::with_daemon(Some(format!("unix://{}", path.display())));
    let open = |name: &str| open(&ImageSource::Daemon(name.to_owned()), doors.doors());
    let image = open("a:1").unwrap();
    let layer = image.choose(AMD64).unwrap().manifest.layers.remove(0);
    assert_eq!(std::fs::read(image.blob(&layer).unwrap()).unwrap(), tar);
    let error = open("b:1").err().unwrap();
    let first: &dyn std::error::Error = &error;
    let causes: Vec<String> =
        std::iter::successors(Some(first), |error| (*error).source()).map(ToString::to_string).collect();
    assert!(causes.last().unwrap().contains("status 404: No such image: b:1"), "{causes:?}");
    assert_eq!(serving.join().unwrap()[1], "GET /images/a:1/get HTTP/1.1");
}
