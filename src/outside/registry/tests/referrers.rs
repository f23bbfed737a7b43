//! Tests of the index that is used if a registry has no lists of referrers.

use testkit::registry::{Fault, Operation};

use super::*;
use crate::formats::oci::{self, Descriptor, Index};

fn subject() -> BlobDigest {
    BlobDigest(Digest::of(b"subject"))
}

/// Returns the tag of the index.
fn tag() -> String {
    format!("sha256-{}", subject().0)
}

/// Pushes a manifest about the subject.
fn push_about_subject(bench: &Bench) -> Result<(), RegistryError> {
    let document = manifest();
    bench.server.put_blob("a", b"{}");
    bench.registry.push_referrer(&bench.image("a:1"), &subject(), &document, &Descriptor::of(&document))
}

#[test]
fn the_index_of_a_mirror_is_not_used() {
    let (mirror, server) = (testkit::Registry::new().serve(), testkit::Registry::new().without_referrers().serve());
    let mirrors = BTreeMap::from([(server.host(), vec![format!("{}/hub", mirror.host())])]);
    let bench = Bench::of(server, RegistrySettings { mirrors, ..RegistrySettings::default() });
    // The mirror has an index with the entry, and the registry has no index.
    let entry = Descriptor::of(&manifest());
    let index = serde_json::to_vec(&Index::new(vec![entry.clone()], BTreeMap::new())).unwrap();
    mirror.put_manifest("hub/a", &tag(), oci::INDEX, &index);
    push_about_subject(&bench).unwrap();
    let list = bench.server.manifest("a", &tag()).unwrap();
    assert_eq!(serde_json::from_slice::<Index>(&list.bytes).unwrap().manifests, [entry]);
    assert_eq!(mirror.count(Operation::GetManifest), 0);
}

#[test]
fn a_registry_that_has_no_lists_may_say_so_in_another_way() {
    let bench = Bench::new(testkit::Registry::new());
    let entry = Descriptor::of(&manifest());
    let index = serde_json::to_vec(&Index::new(vec![entry.clone()], BTreeMap::new())).unwrap();
    bench.server.put_manifest("a", &tag(), oci::INDEX, &index);
    let list = || bench.registry.referrers(&bench.image("a:1"), &subject(), None);
    let faults = || {
        let fault = || Fault::on(Operation::ListReferrers);
        [400, 404, 405, 406, 501].map(|status| fault().status(status)).into_iter().chain([
            fault().other_body(b"<!doctype html>"),
            fault().other_body(b"{}"),
            fault().other_body(&manifest().bytes),
        ])
    };
    for fault in faults() {
        bench.server.fault(fault.clone());
        let listed = list();
        // A failure of the server says nothing about the list.
        match format!("{fault:?}").contains("501") {
            true => assert!(told(&listed.unwrap_err()).contains("501"), "{fault:?}"),
            false => assert_eq!(listed.unwrap(), std::slice::from_ref(&entry), "{fault:?}"),
        }
    }
    // The list itself is empty, so the index is not read.
    assert_eq!(list().unwrap(), []);
    // An image has the tag of the index.
    bench.server.put_manifest("a", &tag(), OCI_MANIFEST, &manifest().bytes);
    bench.server.fault(Fault::on(Operation::ListReferrers).status(406));
    assert_eq!(list().unwrap(), []);
}

#[test]
fn a_manifest_that_is_no_list_is_not_replaced_by_one() {
    // Each is the answer to a request for the tag: the subject, which may be an index, and an image.
    let index = serde_json::to_vec(&Index::new(Vec::new(), BTreeMap::new())).unwrap();
    let subjects = [(oci::INDEX, index, None), (OCI_MANIFEST, manifest().bytes, Some(subject()))];
    for (media_type, bytes, other) in subjects {
        let bench = Bench::new(testkit::Registry::new().without_referrers());
        let subject = other.unwrap_or(BlobDigest(Digest::of(&bytes)));
        let tag = format!("sha256-{}", subject.0);
        bench.server.put_manifest("a", &tag, media_type, &bytes);
        bench.server.put_blob("a", b"{}");
        let document = manifest();
        let entry = Descriptor::of(&document);
        let error = bench.registry.push_referrer(&bench.image("a:1"), &subject, &document, &entry).unwrap_err();
        let list = bench.image(&format!("a:{tag}"));
        let expected = "the registry has no lists of referrers, and another manifest has this tag";
        assert_eq!(error.to_string(), format!("cannot add an entry to `{list}`: {expected}"));
        assert_eq!(bench.server.manifest("a", &tag).unwrap().bytes.to_vec(), bytes);
    }
}

#[test]
fn an_entry_that_is_always_removed_is_an_error() {
    let bench = Bench::new(testkit::Registry::new().without_referrers());
    // Each time lath reads the index, another program has removed it.
    bench.server.fault(Fault::on(Operation::GetManifest).always().status(404));
    let error = push_about_subject(&bench).unwrap_err();
    let list = bench.image(&format!("a:{}", tag()));
    let expected =
        format!("cannot add an entry to `{list}`: another program writes the same list; run the command again");
    assert_eq!(error.to_string(), expected);
    // The manifest itself was pushed once, and the index five times.
    assert_eq!(bench.server.count(Operation::PutManifest), 6);
}
