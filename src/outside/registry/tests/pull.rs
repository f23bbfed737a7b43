//! Tests of pulls, with every fault that may happen.

use testkit::registry::{DOCKER_SCHEMA_1, Fault, OCI_INDEX, Operation};

use super::*;

const MIB: usize = 1 << 20;

#[test]
fn a_manifest_is_found_by_tag_and_by_digest() {
    let bench = Bench::new(testkit::Registry::new());
    let document = bench.put_manifest("a/b", "1");
    let (tagged, pinned) = (bench.image("a/b:1"), bench.image("a/b").with_digest(document.digest));
    for image in [&tagged, &pinned] {
        assert_eq!(bench.registry.manifest(image).unwrap(), document);
        assert_eq!(bench.registry.pushed_manifest(image).unwrap(), Some(document.digest));
    }
    bench.server.fault(Fault::on(Operation::HeadManifest).without_header("Docker-Content-Digest"));
    assert_eq!(bench.registry.pushed_manifest(&tagged).unwrap(), Some(document.digest));
    assert_eq!(bench.registry.pushed_manifest(&bench.image("a/b:2")).unwrap(), None);
    let error = bench.registry.manifest(&bench.image("a/b:2")).unwrap_err();
    let host = bench.server.host();
    assert_eq!(error.to_string(), format!("cannot find the image `{host}/a/b:2`: `{host}` does not have it"));
}

#[test]
fn a_manifest_that_is_not_the_promised_one_is_refused() {
    let bench = Bench::new(testkit::Registry::new());
    let document = bench.put_manifest("a", "1");
    let pinned = bench.image("a").with_digest(document.digest);
    let refusal = |fault: Fault, image: &ImageReference| {
        bench.server.forget_faults();
        bench.server.fault(fault.always());
        told(&bench.registry.manifest(image).unwrap_err())
    };
    let get = || Fault::on(Operation::GetManifest);
    let tagged = bench.image("a:1");
    assert!(refusal(get().other_body(br#"{"schemaVersion":2}"#), &pinned).contains("its sha256 is"));
    assert!(refusal(get().wrong_digest_header(), &tagged).contains("its sha256 is"));
    assert!(refusal(get().other_body(b"<html>"), &tagged).contains("it is not a manifest"));
    assert!(refusal(get().header("Content-Type", OCI_INDEX), &tagged).contains("but in the manifest it is"));
    assert!(refusal(get().endless_body(), &tagged).contains("it is larger than 4194304 bytes"));
    assert!(refusal(get().header("Content-Type", DOCKER_SCHEMA_1), &tagged).contains("it has the old format"));
    assert!(refusal(get().short_body(10), &tagged).contains("cannot fetch the manifest of"));
    assert!(refusal(get().slow_body(1, Duration::from_millis(20)), &tagged).contains("it arrives too slowly"));
    bench.server.forget_faults();
    assert_eq!(bench.registry.manifest(&tagged).unwrap(), document);
}

#[test]
fn an_interrupted_blob_is_continued() {
    let bytes = large(2 * MIB);
    for server in [testkit::Registry::new(), testkit::Registry::new().without_ranges()] {
        let bench = Bench::new(server);
        bench.server.put_blob("a", &bytes);
        bench.server.fault(Fault::on(Operation::GetBlob).times(2).short_body(MIB));
        assert!(bench.fetch("a", &bytes).unwrap() == bytes);
        let ranges: Vec<Option<String>> =
            bench.server.exchanges_of(Operation::GetBlob).iter().map(|one| one.headers.get("range").cloned()).collect();
        assert_eq!(ranges[0], None);
        assert!(ranges.iter().skip(1).all(|range| range.as_deref().is_some_and(|range| range.starts_with("bytes="))));
    }
}

#[test]
fn an_empty_blob_is_fetched() {
    let bench = Bench::new(testkit::Registry::new());
    bench.server.put_blob("a", b"");
    assert_eq!(bench.fetch("a", b"").unwrap(), b"");
}

#[test]
fn a_blob_that_is_not_the_promised_one_is_refused() {
    let bench = Bench::new(testkit::Registry::new());
    let bytes = large(MIB);
    bench.server.put_blob("a", &bytes);
    let refusal = |fault: Fault| {
        bench.server.forget_faults();
        bench.server.fault(fault.always());
        told(&bench.fetch("a", &bytes).unwrap_err())
    };
    let get = || Fault::on(Operation::GetBlob);
    assert!(refusal(get().wrong_bytes()).contains("its sha256 is"));
    assert!(refusal(get().endless_body()).contains("it is larger than 1048576 bytes"));
    // Each of the four attempts receives five bytes.
    assert!(refusal(get().other_body(b"short")).contains("it ends after 20 of 1048576 bytes"));
    assert!(refusal(get().slow_body(1, Duration::from_millis(20))).contains("it arrives too slowly"));
    assert!(refusal(get().status(404)).contains("answers 404 Not Found"));
    assert!(refusal(get().redirect_loop()).contains("too many redirects"));
}

#[test]
fn blobs_are_there_or_not() {
    let bench = Bench::new(testkit::Registry::new());
    bench.server.put_blob("a", b"1");
    let has = |bytes: &[u8]| bench.registry.has_blob(&bench.image("a"), &blob(bytes).digest).unwrap();
    assert!(has(b"1") && !has(b"2"));
}

#[test]
fn without_the_network_nothing_is_asked() {
    let mut bench = Bench::new(testkit::Registry::new());
    bench.registry.settings.offline = true;
    let error = bench.registry.manifest(&bench.image("a:1")).unwrap_err();
    assert!(error.to_string().ends_with("this build is offline"), "{error}");
    assert!(bench.server.exchanges().is_empty());
}
