//! Pushes to registries: the requests are in the right order, nothing is sent twice, and a tag never refers to an
//! incomplete image.

use testkit::client::Client;
use testkit::registry::{Fault, Operation};
use testkit::{PyPi, Registry, RegistryServer, oci};

use crate::world::{World, archive, stdout, tool};

/// Returns the kinds of the requests that change the registry, in their order. If requests of the same kind follow one
/// another, the kind occurs once.
fn order(registry: &RegistryServer) -> Vec<String> {
    let mut order: Vec<String> = Vec::new();
    for exchange in registry.exchanges() {
        let word = match exchange.operation {
            Operation::FinishUpload | Operation::SinglePost => "blob".to_owned(),
            Operation::Mount if exchange.status == 201 => "mount".to_owned(),
            Operation::PutManifest if exchange.reference.starts_with("sha256:") => "document".to_owned(),
            Operation::PutManifest => format!("tag {}", exchange.reference),
            _ => continue,
        };
        if order.last() != Some(&word) {
            order.push(word);
        }
    }
    order
}

/// Returns the number of bytes that were sent for blobs.
fn blob_bytes(registry: &RegistryServer) -> u64 {
    let operations = [Operation::SinglePost, Operation::UploadChunk, Operation::FinishUpload];
    operations.iter().flat_map(|one| registry.exchanges_of(*one)).map(|exchange| exchange.received_bytes).sum()
}

/// Returns the digest of the image in an archive, and the sum of the sizes of its blobs.
fn archived(world: &World, name: &str) -> (String, u64) {
    let image = oci::check(&world.path(name)).unwrap();
    let sizes = image.platforms.iter().map(|platform| {
        let layers = platform.manifest["layers"].as_array().unwrap().iter();
        let config = &platform.manifest["config"];
        layers.chain([config]).map(|descriptor| descriptor["size"].as_u64().unwrap()).sum::<u64>()
    });
    (image.digest.clone(), sizes.sum())
}

#[test]
fn a_push_sends_blobs_then_documents_then_tags_and_prints_only_the_name() {
    let (world, registry) = (World::usual(), Registry::new().serve());
    let name = registry.image("team/tool:1");
    let printed = stdout(world.build(&format!("tool -t {name} --push --metadata-file meta.json")));
    let digest = registry.tags("team/tool")["1"].clone();
    assert_eq!(printed, format!("{name}@{digest}\n"));
    assert!(!world.path("tool.tar").exists(), "a push writes no archive");
    assert_eq!(order(&registry), ["blob", "tag 1"]);
    let meta: serde_json::Value = serde_json::from_slice(&std::fs::read(world.path("meta.json")).unwrap()).unwrap();
    assert_eq!(meta["destinations"], serde_json::json!([format!("{name}@{digest}")]));
    stdout(world.build(&format!("tool -t {name} -o image.tar")));
    let (archived, bytes) = archived(&world, "image.tar");
    assert_eq!((archived, bytes), (digest, blob_bytes(&registry)), "exactly the bytes of the blobs are sent");
}

#[test]
fn an_index_comes_after_its_manifests_and_every_tag_after_all() {
    let (world, registry) = (World::usual(), Registry::new().serve());
    let names = ["a:1", "a:2", "b:1"].map(|name| registry.image(name));
    let tags = names.each_ref().map(|name| format!("-t {name}")).join(" ");
    let printed = stdout(world.build(&format!("tool {tags} --push --platform linux/arm64")));
    let digest = registry.tags("a")["1"].clone();
    assert_eq!(printed, names.map(|name| format!("{name}@{digest}\n")).concat());
    assert_eq!(order(&registry), ["blob", "document", "mount", "document", "tag 1", "tag 2", "tag 1"]);
    // Each of the two repositories gets two manifests and their index. In addition, there are three tags.
    assert_eq!(registry.count(Operation::PutManifest), 2 * 3 + 3);
    assert_eq!(registry.manifest("b", "1").unwrap().json()["manifests"].as_array().unwrap().len(), 2);
}

#[test]
fn nothing_is_sent_twice() {
    let (world, registry) = (World::usual(), Registry::new().serve());
    let push = |tag: &str, more: &str| {
        registry.forget_exchanges();
        stdout(world.build(&format!("tool -t {} --push {more}", registry.image(tag))));
        (blob_bytes(&registry), registry.count(Operation::PutManifest), registry.count(Operation::HeadBlob))
    };
    let (bytes, documents, _) = push("tool:1", "");
    assert!(bytes > 0 && documents == 1, "{bytes} {documents}");
    assert_eq!(push("tool:1", ""), (0, 0, 0), "the tag has this digest");
    assert_eq!(push("tool:2", ""), (0, 1, 0), "the repository has the image under another tag");
    let (bytes, documents, _) = push("tool:2", "--label a=b");
    let config = registry.manifest("tool", "2").unwrap().json()["config"]["size"].as_u64().unwrap();
    assert_eq!((bytes, documents), (config, 1), "only the config is new");
}

/// Returns the digests of the config and the layers of the manifest with this tag or digest.
fn blobs_of(registry: &RegistryServer, reference: &str) -> Vec<String> {
    let manifest = registry.manifest("tool", reference).unwrap().json();
    let descriptors = manifest["layers"].as_array().unwrap().iter().chain([&manifest["config"]]);
    descriptors.map(|descriptor| descriptor["digest"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn blobs_of_the_push_before_need_no_request() {
    let (world, registry) = (World::usual(), Registry::new().serve());
    let push = |world: &World, tag: &str| {
        registry.forget_exchanges();
        stdout(world.build(&format!("tool -t {} --push --label of={tag}", registry.image(&format!("tool:{tag}")))));
        registry.count(Operation::HeadBlob)
    };
    let all = push(&world, "a");
    assert_eq!(all, blobs_of(&registry, "a").len());
    assert_eq!(push(&world, "b"), 1, "only the config is new");
    assert_eq!(push(&World::usual(), "c"), all, "another machine has not pushed to this repository");
    let pushed = registry.tags("tool")["b"].clone();
    let client = Client::new(&registry.host());
    client.send("DELETE", &format!("/v2/tool/manifests/{pushed}"), &[], b"").unwrap();
    assert_eq!(push(&world, "d"), all, "the registry no longer has the image");
}

#[test]
fn blobs_that_a_registry_lost_are_sent_again() {
    let (world, registry) = (World::usual(), Registry::new().serve());
    let client = Client::new(&registry.host());
    let push = |tags: &[&str], more: &str| {
        let names: String = tags.iter().map(|tag| format!(" -t {}", registry.image(&format!("tool:{tag}")))).collect();
        stdout(world.build(&format!("tool{names} --push {more}")));
    };
    push(&["a"], "");
    // The registry refuses the first request with the manifest, because a blob is missing. If there is one tag, this is
    // the request that sets the tag. If there are two tags, it is the request that sends the manifest by its digest.
    // Some registries respond with a server error instead.
    let cases = [
        (&["b"][..], "--label x=b", None),
        (&["c", "d"], "--label x=c", None),
        (&["e"], "--label x=e", Some(501)),
        (&["f", "g"], "--label x=f", Some(501)),
    ];
    for (tags, label, status) in cases {
        if let Some(status) = status {
            registry.fault(Fault::on(Operation::PutManifest).status(status));
        }
        let lost = blobs_of(&registry, "a")[0].clone();
        assert_eq!(client.send("DELETE", &format!("/v2/tool/blobs/{lost}"), &[], b"").unwrap().status, 202);
        push(tags, label);
        for blob in blobs_of(&registry, tags[0]) {
            assert!(registry.blob("tool", &blob).is_some(), "{blob}");
        }
    }
}

/// Returns the digests of the manifests that the index with this tag names.
fn manifests_of(registry: &RegistryServer, tag: &str) -> Vec<String> {
    let index = registry.manifest("tool", tag).unwrap().json();
    let descriptors = index["manifests"].as_array().unwrap().iter();
    descriptors.map(|descriptor| descriptor["digest"].as_str().unwrap().to_owned()).collect()
}

/// Some registries remove a manifest that has no tag, and then its blobs, even if an index still refers to the
/// manifest.
#[test]
fn if_a_registry_lost_a_manifest_of_an_index_its_blobs_are_sent_again() {
    let (world, registry) = (World::usual(), Registry::new().accepts_incomplete_images().serve());
    let client = Client::new(&registry.host());
    let delete = |path: &str| assert_eq!(client.send("DELETE", path, &[], b"").unwrap().status, 202, "{path}");
    let push = |tag: &str, label: &str| {
        registry.forget_exchanges();
        let name = registry.image(&format!("tool:{tag}"));
        stdout(world.build(&format!("tool -t {name} --push --platform linux/arm64 --label x={label}")));
        for blob in manifests_of(&registry, tag).iter().flat_map(|manifest| blobs_of(&registry, manifest)) {
            assert!(registry.blob("tool", &blob).is_some(), "{tag}: {blob}");
        }
    };
    push("a", "a");
    push("b", "b");
    assert_eq!(registry.count(Operation::HeadBlob), 2, "only the two configs are new");
    // The three pushes: a new image, the same image with a new tag, and the same image with the same tag.
    for (tag, label) in [("c", "c"), ("d", "c"), ("d", "c")] {
        let tags = registry.tags("tool");
        let last = tags.keys().next_back().unwrap();
        let manifests = manifests_of(&registry, last);
        let kept = blobs_of(&registry, &manifests[0]);
        for blob in blobs_of(&registry, &manifests[1]).iter().filter(|blob| !kept.contains(blob)) {
            delete(&format!("/v2/tool/blobs/{blob}"));
        }
        delete(&format!("/v2/tool/manifests/{}", manifests[1]));
        push(tag, label);
    }
}

#[test]
fn a_push_succeeds_even_if_the_cache_cannot_record_it() {
    let (world, registry) = (World::usual(), Registry::new().serve());
    // lath cannot create the folder of its records, because there is a file with the same name.
    fs_err::create_dir_all(world.path("cache/store/notes")).unwrap();
    fs_err::write(world.path("cache/store/notes/pushed-images-1"), "").unwrap();
    stdout(world.build(&format!("tool -t {} -t {} --push", registry.image("tool:1"), registry.image("tool:2"))));
    assert_eq!(registry.tags("tool").len(), 2);
    assert!(world.path("cache/store/notes/pushed-images-1").is_file());
}

#[test]
fn a_registry_that_dies_gets_no_tag_and_later_only_the_rest() {
    let (world, registry) = (World::usual(), Registry::new().serve());
    let words = format!("tool -t {} --push", registry.image("tool:1"));
    registry.fault(Fault::on(Operation::FinishUpload).after(2).always().status(500));
    let output = world.build(&words);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{output:?}");
    assert_eq!(registry.count(Operation::PutManifest), 0);
    assert!(registry.tags("tool").is_empty());
    let stored = registry.stored_bytes();
    assert!(stored > 0);
    registry.forget_faults();
    registry.forget_exchanges();
    stdout(world.build(&words));
    stdout(world.build(&format!("tool -t {} -o image.tar", registry.image("tool:1"))));
    assert_eq!(blob_bytes(&registry), archived(&world, "image.tar").1 - stored);
}

#[test]
fn if_one_of_two_registries_refuses_no_tag_is_set_on_the_other() {
    let (world, first, second) = (World::usual(), Registry::new().serve(), Registry::new().serve());
    let words = format!("tool -t {} -t {} --push -o out.tar", first.image("tool:1"), second.image("tool:1"));
    for fault in [
        Fault::on_any(&[Operation::FinishUpload, Operation::SinglePost]).always().status(400),
        Fault::on(Operation::PutManifest).always().status(400),
    ] {
        second.fault(fault);
        let output = world.build(&words);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(first.tags("tool").is_empty() && second.tags("tool").is_empty());
        assert!(!world.path("out.tar").exists());
        assert_eq!(world.leftovers(), Vec::<std::path::PathBuf>::new());
        second.forget_faults();
    }
    stdout(world.build(&words));
    assert_eq!(first.tags("tool"), second.tags("tool"));
}

#[test]
fn a_registry_that_does_not_let_the_user_write_is_told_before_anything_is_fetched() {
    let world = World::usual();
    let registry = Registry::new().bearer("me", "password").anonymous_pulls().serve();
    let said = world.refusal(&format!("tool -t {} --push", registry.image("tool:1")));
    assert!(!said.contains("resolving"), "{said}");
    assert!(said.starts_with("exit 1\nerror: cannot push `"), "{said}");
    let closed = registry.host();
    drop(registry);
    let said = world.refusal(&format!("tool -t {closed}/tool:1 --push"));
    assert!(said.contains("cannot connect to the registry") && !said.contains("resolving"), "{said}");
}

#[test]
fn a_full_registry_gets_no_tag() {
    let (world, registry) = (World::usual(), Registry::new().full_after(10).serve());
    let said = world.refusal(&format!("tool -t {} --push", registry.image("tool:1")));
    assert!(said.contains("507"), "{said}");
    assert!(registry.tags("tool").is_empty());
}

#[test]
fn two_pushes_of_one_tag_at_once_leave_one_complete_image() {
    let (world, registry) = (World::usual(), Registry::new().serve());
    let name = registry.image("tool:1");
    let mut builds: Vec<_> = ["a", "b"]
        .iter()
        .map(|label| world.command(&format!("tool -t {name} --push --label of={label} --quiet")).spawn().unwrap())
        .collect();
    assert!(builds.iter_mut().all(|build| build.wait().unwrap().success()));
    let manifest = registry.manifest("tool", "1").unwrap().json();
    let blobs = manifest["layers"].as_array().unwrap().iter().chain([&manifest["config"]]);
    for blob in blobs {
        assert!(registry.blob("tool", blob["digest"].as_str().unwrap()).is_some());
    }
}

#[test]
fn a_name_without_a_registry_is_pushed_below_lath_repo() {
    let (world, registry) = (World::usual(), Registry::new().serve());
    let repo = registry.image("team");
    let printed = stdout(world.build_with("tool --push", &[("LATH_REPO", &repo)]));
    assert!(printed.starts_with(&format!("{repo}/tool:latest@sha256:")), "{printed}");
    assert_eq!(registry.repositories(), ["team/tool"]);
    insta::assert_snapshot!(world.error("tool --push"), @"
    exit 2
    error: cannot push `tool`: the name has no registry

    hint: write the registry into the name, as in `-t ghcr.io/team/NAME`, or set it with `--repo ghcr.io/team` or `LATH_REPO`
    ");
}

#[test]
fn several_names_are_in_an_archive_and_in_a_layout() {
    let world = World::new(archive(), PyPi::new().built(&tool()));
    stdout(world.build("tool -t tool:1 -t h.example/tool:1 -o tool.tar -o oci:layout"));
    let archive = oci::check(&world.path("tool.tar")).unwrap();
    assert_eq!(archive.docker_tags, ["tool:1", "h.example/tool:1"]);
    assert_eq!(archive.names, ["1", "h.example/tool:1"]);
    let layout = oci::check(&world.path("layout")).unwrap();
    assert_eq!(layout.names, ["1", "h.example/tool:1"]);
}
