//! Tags and referrers.

use testkit::registry::{OCI_INDEX, OCI_MANIFEST};

use super::*;

#[test]
fn tags_come_in_pages() {
    let bench = Bench::new(testkit::Registry::new().tags_page(2));
    for tag in ["a", "b", "c", "d", "e"] {
        bench.put_manifest("x/y", tag);
    }
    assert_eq!(bench.registry.tags(&bench.image("x/y")).unwrap(), ["a", "b", "c", "d", "e"]);
    assert_eq!(bench.registry.tags(&bench.image("none")).unwrap(), [""; 0]);
}

#[test]
fn referrers_come_from_the_list_or_from_the_tag() {
    let subject = manifest();
    let descriptor = format!(
        r#"{{"mediaType":"{OCI_MANIFEST}","digest":"{}","size":{}}}"#,
        subject.digest.0.prefixed(),
        subject.bytes.len()
    );
    let text = String::from_utf8(subject.bytes.clone()).unwrap();
    let referring = text.replacen('{', &format!(r#"{{"artifactType":"application/x","subject":{descriptor},"#), 1);
    let expected = Referrer {
        digest: BlobDigest(Digest::of(referring.as_bytes())),
        artifact_type: Some("application/x".to_owned()),
        size_bytes: referring.len() as u64,
    };
    let bench = Bench::new(testkit::Registry::new());
    bench.put_manifest("a", "1");
    bench.server.put_manifest("a", "2", OCI_MANIFEST, referring.as_bytes());
    let referrers = |bench: &Bench| bench.registry.referrers(&bench.image("a"), &subject.digest).unwrap();
    assert_eq!(referrers(&bench), [expected.clone()]);
    let bench = Bench::new(testkit::Registry::new().without_referrers());
    assert_eq!(referrers(&bench), []);
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{{"mediaType":"{OCI_MANIFEST}","artifactType":"application/x","digest":"{}","size":{}}}]}}"#,
        expected.digest.0.prefixed(),
        expected.size_bytes
    );
    bench.server.put_manifest("a", &format!("sha256-{}", subject.digest.0), OCI_INDEX, index.as_bytes());
    assert_eq!(referrers(&bench), [expected]);
}
