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
