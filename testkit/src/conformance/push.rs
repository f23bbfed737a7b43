//! The section "Push" of the specification.

use serde_json::json;

use super::{
    CONFIG_TYPE, Case, Image, Target, assert_error, cases_of, descriptor, location, manifest_of, with_parameter,
};
use crate::client::Answer;
use crate::registry::{OCI_INDEX, OCI_MANIFEST, digest};

const BLOB: &[u8] = b"0123456789abcdefghij";

pub(super) fn cases() -> Vec<Case> {
    cases_of![
        a_blob_is_pushed_with_post_and_put,
        a_blob_is_pushed_with_one_post_or_goes_on_with_put,
        a_blob_is_pushed_as_a_stream,
        a_blob_is_pushed_in_chunks,
        the_last_chunk_may_come_with_the_put,
        a_chunk_out_of_order_is_refused_and_the_upload_goes_on,
        the_first_chunk_begins_at_0,
        a_last_chunk_out_of_order_is_refused,
        two_uploads_of_the_same_blob_both_end_well,
        a_blob_with_another_digest_is_refused,
        an_invalid_digest_is_refused,
        an_upload_is_cancelled,
        an_unknown_upload_is_not_found,
        a_blob_is_mounted_or_uploaded,
        a_mount_of_an_unknown_blob_starts_an_upload,
        a_manifest_is_kept_byte_for_byte,
        a_manifest_is_pushed_by_its_digest,
        a_manifest_with_another_digest_is_refused,
        a_manifest_that_is_not_json_is_refused,
        a_manifest_without_its_blobs_is_accepted_or_refused_with_the_right_code,
        an_index_is_pushed,
        a_tag_moves_to_another_manifest,
        a_manifest_of_almost_4_megabytes_is_accepted,
        a_subject_need_not_exist,
    ]
}

/// Checks that a pushed blob is at the URL in the response, and in its repository.
fn assert_pushed(target: &Target, name: &str, answer: &Answer, bytes: &[u8]) {
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(target.send("GET", &location(answer)).body, bytes);
    assert_eq!(target.get_blob(name, &digest(bytes)).body, bytes);
}

fn a_blob_is_pushed_with_post_and_put(target: &Target) {
    let name = target.repository();
    let upload = target.start_upload(&name);
    assert_pushed(target, &name, &target.finish_upload(&upload, &digest(BLOB), BLOB), BLOB);
}

fn a_blob_is_pushed_with_one_post_or_goes_on_with_put(target: &Target) {
    let name = target.repository();
    let path = format!("/v2/{name}/blobs/uploads/?digest={}", digest(BLOB));
    let mut answer = target.send_with("POST", &path, &[("Content-Type", "application/octet-stream")], BLOB);
    if answer.status == 202 {
        answer = target.finish_upload(&location(&answer), &digest(BLOB), BLOB);
    }
    assert_pushed(target, &name, &answer, BLOB);
}

/// A chunk without `Content-Range`. The specification does not mention such a chunk, but the specification's
/// conformance tests send one.
fn a_blob_is_pushed_as_a_stream(target: &Target) {
    let name = target.repository();
    let upload = target.start_upload(&name);
    let streamed = target.send_with("PATCH", &upload, &[("Content-Type", "application/octet-stream")], BLOB);
    assert_eq!((streamed.status, streamed.header("range")), (202, "0-19"));
    assert_pushed(target, &name, &target.finish_upload(&location(&streamed), &digest(BLOB), b""), BLOB);
}

fn a_blob_is_pushed_in_chunks(target: &Target) {
    let name = target.repository();
    let first = target.send_chunk(&target.start_upload(&name), 0, &BLOB[..12]);
    assert_eq!((first.status, first.header("range")), (202, "0-11"));
    let second = target.send_chunk(&location(&first), 12, &BLOB[12..]);
    assert_eq!((second.status, second.header("range")), (202, "0-19"));
    assert_pushed(target, &name, &target.finish_upload(&location(&second), &digest(BLOB), b""), BLOB);
}

fn the_last_chunk_may_come_with_the_put(target: &Target) {
    let name = target.repository();
    let first = target.send_chunk(&target.start_upload(&name), 0, &BLOB[..12]);
    let url = with_parameter(&location(&first), "digest", &digest(BLOB));
    let headers = [("Content-Range", "12-19"), ("Content-Type", "application/octet-stream")];
    assert_pushed(target, &name, &target.send_with("PUT", &url, &headers, &BLOB[12..]), BLOB);
}

fn a_chunk_out_of_order_is_refused_and_the_upload_goes_on(target: &Target) {
    let name = target.repository();
    let first = target.send_chunk(&target.start_upload(&name), 0, &BLOB[..12]);
    for wrong in [0, 11, 13] {
        let refused = target.send_chunk(&location(&first), wrong, &BLOB[12..]);
        assert_error(&refused, &[416]);
    }
    let status = target.send("GET", &location(&first));
    assert_eq!((status.status, status.header("range")), (204, "0-11"));
    let second = target.send_chunk(&location(&status), 12, &BLOB[12..]);
    assert_eq!(second.status, 202, "{second:?}");
    assert_pushed(target, &name, &target.finish_upload(&location(&second), &digest(BLOB), b""), BLOB);
}

fn the_first_chunk_begins_at_0(target: &Target) {
    let upload = target.start_upload(&target.repository());
    assert_error(&target.send_chunk(&upload, 1, BLOB), &[416]);
}

fn a_last_chunk_out_of_order_is_refused(target: &Target) {
    let first = target.send_chunk(&target.start_upload(&target.repository()), 0, &BLOB[..12]);
    let url = with_parameter(&location(&first), "digest", &digest(BLOB));
    assert_error(&target.send_with("PUT", &url, &[("Content-Range", "13-20")], &BLOB[12..]), &[416]);
}

fn two_uploads_of_the_same_blob_both_end_well(target: &Target) {
    let name = target.repository();
    let (one, two) = (target.start_upload(&name), target.start_upload(&name));
    assert_ne!(one, two);
    let first = target.send_chunk(&one, 0, &BLOB[..12]);
    assert_pushed(target, &name, &target.finish_upload(&two, &digest(BLOB), BLOB), BLOB);
    let second = target.send_chunk(&location(&first), 12, &BLOB[12..]);
    assert_pushed(target, &name, &target.finish_upload(&location(&second), &digest(BLOB), b""), BLOB);
}

fn a_blob_with_another_digest_is_refused(target: &Target) {
    let name = target.repository();
    let wrong = digest(b"other bytes");
    assert_error(&target.finish_upload(&target.start_upload(&name), &wrong, BLOB), &[400]);
    assert_error(&target.get_blob(&name, &wrong), &[404]);
}

fn an_invalid_digest_is_refused(target: &Target) {
    for wrong in ["sha256:abc", "md4:0123456789abcdef0123456789abcdef", "nothing"] {
        assert_error(&target.finish_upload(&target.start_upload(&target.repository()), wrong, BLOB), &[400]);
    }
}

fn an_upload_is_cancelled(target: &Target) {
    let upload = target.start_upload(&target.repository());
    assert_eq!(target.send("DELETE", &upload).status, 204);
    assert_error(&target.send("GET", &upload), &[404]);
}

fn an_unknown_upload_is_not_found(target: &Target) {
    let upload = target.start_upload(&target.repository());
    assert_eq!(target.finish_upload(&upload, &digest(BLOB), BLOB).status, 201);
    assert_error(&target.send("GET", &upload), &[404]);
    assert_error(&target.send_chunk(&upload, 0, BLOB), &[404]);
}

fn a_blob_is_mounted_or_uploaded(target: &Target) {
    let (from, to) = (target.repository(), target.repository());
    let digest = target.push_blob(&from, b"bytes for two repositories");
    let answer = target.send("POST", &format!("/v2/{to}/blobs/uploads/?mount={digest}&from={from}"));
    if answer.status == 202 {
        let finished = target.finish_upload(&location(&answer), &digest, b"bytes for two repositories");
        return assert_pushed(target, &to, &finished, b"bytes for two repositories");
    }
    assert_pushed(target, &to, &answer, b"bytes for two repositories");
}

fn a_mount_of_an_unknown_blob_starts_an_upload(target: &Target) {
    let (from, to) = (target.repository(), target.repository());
    let path = format!("/v2/{to}/blobs/uploads/?mount={}&from={from}", digest(BLOB));
    let answer = target.send("POST", &path);
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_pushed(target, &to, &target.finish_upload(&location(&answer), &digest(BLOB), BLOB), BLOB);
}

fn a_manifest_is_kept_byte_for_byte(target: &Target) {
    let name = target.repository();
    let image = target.push_image(&name, "v1");
    let odd = [b"  \n", image.manifest.as_slice(), b"\n\n"].concat();
    let answer = target.put_manifest(&name, "odd", OCI_MANIFEST, &odd);
    assert_eq!((answer.status, answer.header("docker-content-digest")), (201, digest(&odd).as_str()));
    assert_eq!(target.get_manifest(&name, "odd").body, odd);
    let at_location = target.send_with("GET", &location(&answer), &[("Accept", OCI_MANIFEST)], b"");
    assert_eq!(at_location.body, odd);
}

fn a_manifest_is_pushed_by_its_digest(target: &Target) {
    let name = target.repository();
    let image = Image::new(&name, json!({}));
    target.push_blob(&name, &image.layer);
    target.push_blob(&name, &image.config);
    let answer = target.put_manifest(&name, &image.digest, OCI_MANIFEST, &image.manifest);
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(target.get_manifest(&name, &image.digest).body, image.manifest);
}

fn a_manifest_with_another_digest_is_refused(target: &Target) {
    let name = target.repository();
    let image = target.push_image(&name, "v1");
    let wrong = digest(b"other bytes");
    assert_error(&target.put_manifest(&name, &wrong, OCI_MANIFEST, &image.manifest), &[400]);
    assert_error(&target.get_manifest(&name, &wrong), &[404]);
}

fn a_manifest_that_is_not_json_is_refused(target: &Target) {
    let name = target.repository();
    target.push_image(&name, "v1");
    assert_error(&target.put_manifest(&name, "bad", OCI_MANIFEST, b"blablabla"), &[400]);
    assert_error(&target.get_manifest(&name, "bad"), &[404]);
}

fn a_manifest_without_its_blobs_is_accepted_or_refused_with_the_right_code(target: &Target) {
    let name = target.repository();
    let config = b"{}";
    target.push_blob(&name, config);
    let manifest = manifest_of(config, b"a layer that was never pushed").to_string();
    let answer = target.put_manifest(&name, "v1", OCI_MANIFEST, manifest.as_bytes());
    if answer.status != 201 {
        assert_error(&answer, &[400, 404]);
        assert_eq!(answer.json()["errors"][0]["code"], "MANIFEST_BLOB_UNKNOWN");
        assert_error(&target.get_manifest(&name, "v1"), &[404]);
    }
}

fn an_index_is_pushed(target: &Target) {
    let name = target.repository();
    let image = target.push_image(&name, "amd64");
    let mut entry = descriptor(OCI_MANIFEST, &image.manifest);
    entry["platform"] = json!({ "architecture": "amd64", "os": "linux" });
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry] }).to_string();
    let answer = target.put_manifest(&name, "all", OCI_INDEX, index.as_bytes());
    assert_eq!(answer.status, 201, "{answer:?}");
    let pulled = target.get_manifest(&name, "all");
    assert_eq!((pulled.header("content-type"), pulled.body.as_slice()), (OCI_INDEX, index.as_bytes()));
}

fn a_tag_moves_to_another_manifest(target: &Target) {
    let name = target.repository();
    let old = target.push_image(&name, "v1");
    let new = Image::new(&name, json!({ "test": "newer" }));
    assert_eq!(target.put_manifest(&name, "v1", OCI_MANIFEST, &new.manifest).status, 201);
    assert_eq!(target.get_manifest(&name, "v1").body, new.manifest);
    assert_eq!(target.get_manifest(&name, &old.digest).body, old.manifest);
}

fn a_manifest_of_almost_4_megabytes_is_accepted(target: &Target) {
    let name = target.repository();
    target.push_image(&name, "v1");
    let large = Image::new(&name, json!({ "test": "x".repeat(3_990_000) }));
    let answer = target.put_manifest(&name, "large", OCI_MANIFEST, &large.manifest);
    assert_eq!(answer.status, 201);
    assert!(target.get_manifest(&name, "large").body == large.manifest, "the bytes differ");
}

/// `OCI-Subject` must be present exactly if the registry supports referrers.
fn a_subject_need_not_exist(target: &Target) {
    let name = target.repository();
    let image = target.push_image(&name, "v1");
    let mut manifest = manifest_of(&image.config, &image.layer);
    let subject = digest(b"a manifest that comes later");
    manifest["subject"] = json!({ "mediaType": CONFIG_TYPE, "digest": subject, "size": 27 });
    let answer = target.put_manifest(&name, "about", OCI_MANIFEST, manifest.to_string().as_bytes());
    assert_eq!(answer.status, 201, "{answer:?}");
    let lists = target.send("GET", &format!("/v2/{name}/referrers/{subject}"));
    let expected = if lists.status == 200 { subject.as_str() } else { "" };
    assert_eq!(answer.header("oci-subject"), expected, "{lists:?}");
}
