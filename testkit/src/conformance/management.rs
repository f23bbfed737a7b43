//! The section "Content Management" of the specification. A registry may refuse any of these requests with 400 or 405.

use super::{Case, Target, assert_error, cases_of};
use crate::client::Answer;
use crate::registry::digest;

pub(super) fn cases() -> Vec<Case> {
    cases_of![
        a_deleted_tag_is_gone_and_its_manifest_stays,
        a_deleted_manifest_is_gone_with_its_tags,
        an_unknown_manifest_cannot_be_deleted,
        nothing_is_deleted_in_an_unknown_repository,
        a_deleted_blob_is_gone,
        an_unknown_blob_cannot_be_deleted,
    ]
}

/// Returns whether the registry has deleted the object. If not, the response must mean that deletions are disabled.
fn is_deleted(answer: &Answer) -> bool {
    if answer.status != 202 {
        assert_error(answer, &[400, 405]);
    }
    answer.status == 202
}

fn a_deleted_tag_is_gone_and_its_manifest_stays(target: &Target) {
    let name = target.repository();
    let image = target.push_image(&name, "v1");
    let is_deleted = is_deleted(&target.send("DELETE", &format!("/v2/{name}/manifests/v1")));
    assert_eq!(target.get_manifest(&name, "v1").status, if is_deleted { 404 } else { 200 });
    assert_eq!(target.get_manifest(&name, &image.digest).body, image.manifest);
}

fn a_deleted_manifest_is_gone_with_its_tags(target: &Target) {
    let name = target.repository();
    let image = target.push_image(&name, "v1");
    let is_deleted = is_deleted(&target.send("DELETE", &format!("/v2/{name}/manifests/{}", image.digest)));
    for reference in ["v1", &image.digest] {
        assert_eq!(target.get_manifest(&name, reference).status, if is_deleted { 404 } else { 200 });
    }
}

fn an_unknown_manifest_cannot_be_deleted(target: &Target) {
    let name = target.repository();
    target.push_image(&name, "v1");
    let path = format!("/v2/{name}/manifests/{}", digest(b"no manifest"));
    assert_error(&target.send("DELETE", &path), &[404, 400, 405]);
}

fn nothing_is_deleted_in_an_unknown_repository(target: &Target) {
    let path = format!("/v2/{}/manifests/{}", target.repository(), digest(b"no manifest"));
    assert_error(&target.send("DELETE", &path), &[404, 400, 405]);
}

fn a_deleted_blob_is_gone(target: &Target) {
    let name = target.repository();
    let digest = target.push_blob(&name, b"bytes to delete");
    let is_deleted = is_deleted(&target.send("DELETE", &format!("/v2/{name}/blobs/{digest}")));
    assert_eq!(target.get_blob(&name, &digest).status, if is_deleted { 404 } else { 200 });
}

fn an_unknown_blob_cannot_be_deleted(target: &Target) {
    let name = target.repository();
    target.push_blob(&name, b"some bytes");
    let path = format!("/v2/{name}/blobs/{}", digest(b"no blob"));
    assert_error(&target.send("DELETE", &path), &[404, 400, 405]);
}
