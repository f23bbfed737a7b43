//! `lath copy`: images keep their digests, and an incomplete image never gets a name.

use std::process::{Command, Output};

use serde_json::json;
use testkit::registry::{OCI_INDEX, OCI_MANIFEST, Operation, RegistryServer};
use testkit::{Registry, oci};

use crate::world::{World, lath, limited, stdout};

fn copy(world: &World, words: &str) -> Output {
    let mut command = Command::new(lath());
    command.current_dir(world.path("")).env_clear().env("LATH_CACHE_DIR", "copies").arg("copy");
    command.args(words.split_whitespace()).output().unwrap()
}

/// Runs a copy that must fail, and returns its error.
fn refusal(world: &World, words: &str) -> String {
    let output = copy(world, words);
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    format!("exit {}\n{}", output.status.code().unwrap(), world.error_in(&said))
}

/// Creates a layout `oci:layout:1` with an image for two platforms. Returns its digest as well.
fn layout() -> (World, String) {
    let world = World::usual();
    stdout(world.build("tool -t tool:1 --platform linux/arm64 -o oci:layout"));
    let digest = oci::check(&world.path("layout")).unwrap().digest;
    (world, digest)
}

#[test]
fn an_index_keeps_its_digest_in_every_format_that_can_contain_it() {
    let (world, digest) = layout();
    let registry = Registry::new().serve();
    let name = registry.image("team/tool:1");
    assert_eq!(stdout(copy(&world, &format!("oci:layout docker://{name}"))), format!("{name}@{digest}\n"));
    assert_eq!(registry.tags("team/tool")["1"], digest);
    assert_eq!(registry.manifest("team/tool", "1").unwrap().json()["manifests"].as_array().unwrap().len(), 2);
    let puts = registry.exchanges_of(Operation::PutManifest);
    assert_eq!(puts.last().unwrap().reference, "1", "the tag is set last");
    for destination in ["oci:again:2", "oci-archive:a.tar", "b.tar"] {
        let printed = stdout(copy(&world, &format!("docker://{name} {destination}")));
        assert_eq!(printed, format!("{destination}@{digest}\n"));
    }
    for (path, reference) in [("again", "2"), ("a.tar", "1"), ("b.tar", "1")] {
        let image = oci::check(&world.path(path)).unwrap();
        assert_eq!((image.digest, image.platforms.len()), (digest.clone(), 2), "{path}");
        assert_eq!(image.names, [reference], "{path}");
    }
    // The archive of this build has both formats, so it also contains Docker's manifest.
    assert_eq!(stdout(copy(&world, "oci-archive:a.tar oci:last")), format!("oci:last@{digest}\n"));
}

#[test]
fn a_copy_within_a_registry_sends_and_fetches_no_blob() {
    let (world, digest) = layout();
    let registry = Registry::new().serve();
    let [from, to] = ["a:1", "b:1"].map(|name| registry.image(name));
    stdout(copy(&world, &format!("oci:layout docker://{from}")));
    registry.forget_exchanges();
    assert_eq!(stdout(copy(&world, &format!("docker://{from} docker://{to}"))), format!("{to}@{digest}\n"));
    let sent = [Operation::SinglePost, Operation::UploadChunk, Operation::FinishUpload, Operation::GetBlob];
    assert_eq!(sent.map(|operation| registry.count(operation)), [0; 4]);
    assert!(registry.count(Operation::Mount) > 0);
    // If the source and the destination are different registries, every blob is fetched once and sent once.
    let other = Registry::new().serve();
    stdout(copy(&world, &format!("docker://{from} docker://{}", other.image("c:1"))));
    let blobs = registry.count(Operation::GetBlob);
    assert_eq!(other.tags("c")["1"], digest);
    stdout(copy(&world, &format!("docker://{from} docker://{}", other.image("c:2"))));
    assert_eq!(registry.count(Operation::GetBlob), blobs);
    // If a registry cannot mount blobs from another repository, the blobs are sent.
    let plain = Registry::new().refuses_mounts().serve();
    let [from, to] = ["a:1", "b:1"].map(|name| plain.image(name));
    stdout(copy(&world, &format!("oci:layout docker://{from}")));
    assert_eq!(stdout(copy(&world, &format!("docker://{from} docker://{to}"))), format!("{to}@{digest}\n"));
}

#[test]
fn one_platform_is_chosen_for_formats_that_contain_one() {
    let (world, digest) = layout();
    let platforms = oci::check(&world.path("layout")).unwrap().platforms;
    let output = copy(&world, "oci:layout:1 docker-archive:d.tar:tool:1 --platform linux/arm64");
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(said.contains("\nplatform: linux/arm64\n") && said.contains(&digest), "{said}");
    let image = oci::check(&world.path("d.tar")).unwrap();
    let of = |platform: &str| platforms.iter().find(|one| one.platform == platform).unwrap().config.clone();
    assert_eq!(image.platforms.len(), 1);
    assert_eq!(image.platforms[0].config, of("linux/arm64"));
    assert_eq!(image.docker_tags, ["tool:1"]);
    assert_eq!(stdout(output), format!("docker-archive:d.tar:tool:1@{}\n", image.digest));
    let error = refusal(&world, "oci:layout docker-archive:e.tar --platform linux/riscv64");
    assert!(error.contains("cannot build for the platform `linux/riscv64`"), "{error}");
}

#[test]
fn a_layer_that_may_not_be_distributed_is_left_out() {
    let (world, registry) = (World::usual(), Registry::new().serve());
    let layer = "sha256:".to_owned() + &"ab".repeat(32);
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {}, "rootfs": { "type": "layers", "diff_ids": [layer] },
    });
    let config = config.to_string().into_bytes();
    let digest = registry.put_blob("tool", &config);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": config.len() },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "digest": layer, "size": 9, "urls": ["https://layers.example/9"],
        }],
    });
    let digest = registry.put_manifest("tool", "1", OCI_MANIFEST, manifest.to_string().as_bytes());
    let from = format!("docker://{}", registry.image("tool:1"));
    for words in ["", "--platform linux/amd64"] {
        assert_eq!(stdout(copy(&world, &format!("{from} oci:layout {words}"))), format!("oci:layout@{digest}\n"));
        assert_eq!(std::fs::read_dir(world.path("layout/blobs/sha256")).unwrap().count(), 2, "no layer");
        let error = refusal(&world, &format!("{from} docker-archive:d.tar {words}"));
        assert!(error.contains("it is only at other addresses"), "{error}");
    }
}

#[test]
fn a_damaged_source_gets_no_name() {
    let (world, _) = layout();
    let layer = oci::check(&world.path("layout")).unwrap().platforms[0].manifest["layers"][0].clone();
    let path = world.path("layout/blobs/sha256").join(layer["digest"].as_str().unwrap().trim_start_matches("sha256:"));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let registry = Registry::new().serve();
    refusal(&world, &format!("oci:layout docker://{}", registry.image("tool:1")));
    assert!(registry.tags("tool").is_empty() && registry.count(Operation::PutManifest) == 0);
    refusal(&world, "oci:layout oci-archive:a.tar");
    assert!(!world.path("a.tar").exists() && world.leftovers().is_empty());
}

#[test]
fn what_cannot_be_copied_is_told() {
    let (world, _) = layout();
    let table = [
        "oci:layout dir:root",
        "oci:nowhere oci:x",
        "oci:layout:9 oci:x",
        "tool oci:x",
        "oci:layout docker:x",
        "oci:layout oci:x --referrers",
    ];
    let errors = table.map(|words| format!("$ {words}\n{}\n", refusal(&world, words)));
    insta::assert_snapshot!(errors.join("\n"), @"
    $ oci:layout dir:root
    exit 1
    error: cannot copy to `dir:root`: an image is copied to a registry, a layout, an archive or a daemon

    $ oci:nowhere oci:x
    exit 1
    error: cannot open the image `oci:nowhere`
      cause: cannot read the image
      cause: failed to open file `nowhere/index.json`: No such file or directory (os error 2)

    $ oci:layout:9 oci:x
    exit 1
    error: cannot open the image `oci:layout:9`
      cause: cannot find the image `9`: there is only `1`

    $ tool oci:x
    exit 2
    error: cannot read `tool` as the place of an image: write `docker://HOST/NAME[:TAG]`, `oci:PATH[:TAG]`, `oci-archive:PATH[:TAG]`, `docker-archive:PATH[:NAME:TAG]` or `docker-daemon:NAME[:TAG]`

    $ oci:layout docker:x
    exit 2
    error: cannot read the destination `docker:x`: write `PATH.tar`, `docker://HOST/NAME[:TAG]`, `oci:PATH[:TAG]`, `oci-archive:PATH[:TAG]`, `docker-archive:PATH[:NAME:TAG]`, `dir:PATH` or `docker-daemon:NAME[:TAG]`

    $ oci:layout oci:x --referrers
    exit 1
    error: cannot copy the referrers of `oci:layout` to `oci:x`: both must be in a registry (`docker://`)
    ");
}

/// Puts a signature of `subject` into the repository `from`. Returns its digest.
fn sign(registry: &RegistryServer, subject: &str) -> String {
    let signature = registry.put_blob("from", format!("signature of {subject}").as_bytes());
    let config = registry.put_blob("from", b"{}");
    let blob = |digest: &str, size: usize, kind: &str| json!({"digest": digest, "size": size, "mediaType": kind});
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/x.signature",
        "config": blob(&config, 2, "application/vnd.oci.empty.v1+json"),
        "layers": [blob(&signature, "signature of ".len() + subject.len(), "application/x.signature")],
        "subject": blob(subject, 1, OCI_INDEX),
    });
    registry.put_manifest("from", "", OCI_MANIFEST, manifest.to_string().as_bytes())
}

/// Puts an index of referrers into the repository `from`. Clients do this if a registry cannot list referrers itself.
fn list(registry: &RegistryServer, subject: &str, referrers: &[&str]) {
    let entry = |digest: &&str| {
        let size = registry.manifest("from", digest).unwrap().bytes.len();
        json!({"digest": digest, "size": size, "mediaType": OCI_MANIFEST, "artifactType": "application/x.signature"})
    };
    let manifests: Vec<_> = referrers.iter().map(entry).collect();
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests});
    registry.put_manifest("from", &subject.replace(':', "-"), OCI_INDEX, index.to_string().as_bytes());
}

/// Copies an image together with its signature, and with a signature of this signature.
fn copy_with_signatures(from: Registry, to: Registry, has_lists: [bool; 2]) {
    let (world, digest) = layout();
    let (from, to) = (from.serve(), to.serve());
    let [source, copied] = [from.image("from:1"), to.image("to:1")].map(|name| format!("docker://{name}"));
    stdout(copy(&world, &format!("oci:layout {source}")));
    let first = sign(&from, &digest);
    let second = sign(&from, &first);
    if !has_lists[0] {
        // `second` is a wrong entry here, because it refers to `first` and not to the image.
        list(&from, &digest, &[&first, &second]);
        list(&from, &first, &[&second]);
    }
    stdout(copy(&world, &format!("{source} {copied}")));
    assert!(!to.manifests("to").contains(&first));
    for _ in 0..2 {
        let output = copy(&world, &format!("{source} {copied} --referrers"));
        let said = String::from_utf8(output.stderr.clone()).unwrap();
        assert!(said.contains("\nreferrers: 2\n"), "{said}");
        assert_eq!(stdout(output), format!("{}@{digest}\n", copied.trim_start_matches("docker://")));
    }
    for (subject, referrer) in [(&digest, &first), (&first, &second)] {
        let bytes = |registry: &RegistryServer, name| registry.manifest(name, referrer).unwrap().bytes;
        assert_eq!(bytes(&to, "to"), bytes(&from, "from"));
        assert_eq!(to.tags("to").contains_key(&subject.replace(':', "-")), !has_lists[1]);
        if !has_lists[1] {
            let list = to.manifest("to", &subject.replace(':', "-")).unwrap().json();
            let [entry] = list["manifests"].as_array().unwrap().as_slice() else { panic!("{list}") };
            assert_eq!(entry["digest"], **referrer);
            assert_eq!(entry["artifactType"], "application/x.signature");
        }
    }
}

#[test]
fn referrers_are_copied_if_they_are_wanted() {
    for has_lists in [[true, true], [true, false], [false, true], [false, false]] {
        let [from, to] = has_lists.map(|has| if has { Registry::new() } else { Registry::new().without_referrers() });
        copy_with_signatures(from, to, has_lists);
    }
}

#[test]
fn a_blob_is_never_in_memory_as_a_whole() {
    const LAYER_BYTES: usize = 192 << 20;
    let world = World::usual();
    let write = |bytes: &[u8]| {
        let digest = testkit::registry::digest(bytes);
        let path = world.path("large/blobs/sha256").join(digest.trim_start_matches("sha256:"));
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        serde_json::json!({ "digest": digest, "size": bytes.len() })
    };
    let typed = |mut descriptor: serde_json::Value, kind: &str| {
        descriptor["mediaType"] = format!("application/vnd.oci.image.{kind}").into();
        descriptor
    };
    let layer = typed(write(&vec![0; LAYER_BYTES]), "layer.v1.tar");
    let config = serde_json::json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] } });
    let config = typed(write(&serde_json::to_vec(&config).unwrap()), "config.v1+json");
    let manifest =
        typed(serde_json::json!({ "schemaVersion": 2, "config": config, "layers": [layer] }), "manifest.v1+json");
    let manifest = typed(write(&serde_json::to_vec(&manifest).unwrap()), "manifest.v1+json");
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [manifest] });
    std::fs::write(world.path("large/index.json"), serde_json::to_vec(&index).unwrap()).unwrap();
    std::fs::write(world.path("large/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let registry = Registry::new().serve();
    let mut command = Command::new(lath());
    command.current_dir(world.path("")).env_clear().env("LATH_CACHE_DIR", "copies");
    command.args(["copy", "oci:large", &format!("docker://{}", registry.image("large:1"))]);
    let Some(mut little) = limited(&command, &[&format!("--data={}", 128 << 20)]) else { return };
    stdout(little.output().unwrap());
    assert_eq!(registry.tags("large")["1"], manifest["digest"].as_str().unwrap());
}
