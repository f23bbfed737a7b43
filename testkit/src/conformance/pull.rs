//! The section "Pull" of the specification.

use super::{Case, Target, assert_error, cases_of};
use crate::registry::{OCI_MANIFEST, digest};

pub(super) fn cases() -> Vec<Case> {
    cases_of![
        the_version_is_answered_with_200,
        a_manifest_is_pulled_by_tag_and_by_digest,
        a_head_of_a_manifest_gives_its_size_and_digest,
        an_unknown_manifest_is_not_found,
        an_unknown_repository_is_not_found,
        a_blob_is_pulled_with_its_digest,
        a_head_of_a_blob_gives_its_size_and_digest,
        an_unknown_blob_is_not_found,
        a_part_of_a_blob_is_pulled_by_its_range,
        a_blob_of_one_repository_is_not_in_another,
    ]
}

fn the_version_is_answered_with_200(target: &Target) {
    assert_eq!(target.send("GET", "/v2/").status, 200);
}

fn a_manifest_is_pulled_by_tag_and_by_digest(target: &Target) {
    let name = target.repository();
    let image = target.push_image(&name, "v1");
    for reference in ["v1", &image.digest] {
        let pulled = target.get_manifest(&name, reference);
        assert_eq!((pulled.status, pulled.body.as_slice()), (200, image.manifest.as_slice()), "{reference}");
        assert_eq!(pulled.header("content-type"), OCI_MANIFEST);
        assert_eq!(pulled.header("docker-content-digest"), image.digest);
    }
}

fn a_head_of_a_manifest_gives_its_size_and_digest(target: &Target) {
    let name = target.repository();
    let image = target.push_image(&name, "v1");
    for reference in ["v1", &image.digest] {
        let path = format!("/v2/{name}/manifests/{reference}");
        let head = target.send_with("HEAD", &path, &[("Accept", OCI_MANIFEST)], b"");
        assert_eq!((head.status, head.header("docker-content-digest")), (200, image.digest.as_str()));
        assert_eq!(head.header("content-length"), image.manifest.len().to_string());
    }
}

fn an_unknown_manifest_is_not_found(target: &Target) {
    let name = target.repository();
    target.push_image(&name, "v1");
    for reference in ["v2", &digest(b"no manifest")] {
        assert_error(&target.get_manifest(&name, reference), &[404]);
        assert_eq!(target.send("HEAD", &format!("/v2/{name}/manifests/{reference}")).status, 404);
    }
}

fn an_unknown_repository_is_not_found(target: &Target) {
    let name = target.repository();
    assert_error(&target.get_manifest(&name, "v1"), &[404]);
    assert_error(&target.get_blob(&name, &digest(b"no blob")), &[404]);
}

fn a_blob_is_pulled_with_its_digest(target: &Target) {
    let name = target.repository();
    for bytes in [&b"some bytes"[..], &[7; 300_000]] {
        let digest = target.push_blob(&name, bytes);
        let pulled = target.get_blob(&name, &digest);
        assert_eq!((pulled.status, pulled.header("docker-content-digest")), (200, digest.as_str()));
        assert!(pulled.body == bytes, "the bytes differ");
    }
}

fn a_head_of_a_blob_gives_its_size_and_digest(target: &Target) {
    let name = target.repository();
    let digest = target.push_blob(&name, b"some bytes");
    let head = target.send("HEAD", &format!("/v2/{name}/blobs/{digest}"));
    assert_eq!((head.status, head.header("docker-content-digest")), (200, digest.as_str()));
    assert_eq!(head.header("content-length"), "10");
}

fn an_unknown_blob_is_not_found(target: &Target) {
    let name = target.repository();
    target.push_image(&name, "v1");
    let digest = digest(b"no blob");
    assert_error(&target.get_blob(&name, &digest), &[404]);
    assert_eq!(target.send("HEAD", &format!("/v2/{name}/blobs/{digest}")).status, 404);
}

/// Source: RFC 9110, section 14.
fn a_part_of_a_blob_is_pulled_by_its_range(target: &Target) {
    let name = target.repository();
    let digest = target.push_blob(&name, b"0123456789");
    let get = |range: &str| {
        target.send_with("GET", &format!("/v2/{name}/blobs/{digest}"), &[("Range", &format!("bytes={range}"))], b"")
    };
    for (range, part, stated) in [("2-4", "234", "bytes 2-4/10"), ("7-", "789", "bytes 7-9/10")] {
        let answer = get(range);
        assert_eq!((answer.status, answer.body.as_slice()), (206, part.as_bytes()), "{range}");
        assert_eq!(answer.header("content-range"), stated);
    }
    assert_eq!(get("10-").status, 416);
}

fn a_blob_of_one_repository_is_not_in_another(target: &Target) {
    let digest = target.push_blob(&target.repository(), b"bytes of one repository");
    let other = target.repository();
    target.push_blob(&other, b"bytes of another");
    assert_error(&target.get_blob(&other, &digest), &[404]);
}
