//! The section "Content Discovery" of the specification.

use serde_json::{Value, json};

use super::{Case, Target, assert_error, cases_of, descriptor, manifest_of};
use crate::client::Answer;
use crate::registry::{OCI_INDEX, OCI_MANIFEST, digest};

pub(super) fn cases() -> Vec<Case> {
    cases_of![
        tags_are_listed_in_order,
        a_list_has_at_most_n_tags_and_its_pages_give_all,
        a_list_of_0_tags_is_empty,
        a_list_begins_after_the_last_tag,
        the_tags_of_an_unknown_repository_are_not_found,
        referrers_are_listed_with_their_types_and_annotations,
        referrers_are_filtered_by_their_type,
        a_manifest_without_referrers_has_an_empty_list,
        referrers_of_an_invalid_digest_are_refused,
    ]
}

const TAGS: [&str; 5] = ["alpha", "beta", "delta", "gamma", "v1.0"];

/// Creates a repository with five tags. The order in which they are pushed is not the alphabetical order.
fn tagged(target: &Target) -> String {
    let name = target.repository();
    let image = target.push_image(&name, TAGS[3]);
    for place in [4, 0, 2, 1] {
        assert_eq!(target.put_manifest(&name, TAGS[place], OCI_MANIFEST, &image.manifest).status, 201);
    }
    name
}

fn tags(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    // Go programs write an empty list as null.
    let list = body["tags"].as_array().cloned().unwrap_or_default();
    list.iter().map(|tag| tag.as_str().expect("a tag is a text").to_owned()).collect()
}

/// Returns the URL of the next page.
fn next(answer: &Answer) -> Option<String> {
    let (url, relation) = answer.header("link").split_once('>')?;
    assert!(relation.contains("rel=\"next\""), "{answer:?}");
    Some(url.trim_start_matches('<').to_owned())
}

/// Requests the page at `path` and all further pages.
fn all_tags(target: &Target, path: &str) -> Vec<String> {
    let (mut all, mut page) = (Vec::new(), Some(path.to_owned()));
    while let Some(url) = page {
        let answer = target.send("GET", &url);
        all.extend(tags(&answer));
        page = next(&answer);
        assert!(all.len() <= 12, "{all:?}");
    }
    all
}

/// There are twelve tags, so that they are not in the right order by chance.
fn tags_are_listed_in_order(target: &Target) {
    let name = target.repository();
    let image = target.push_image(&name, "t-00");
    for number in (1..12).map(|place| place * 7 % 12) {
        let answer = target.put_manifest(&name, &format!("t-{number:02}"), OCI_MANIFEST, &image.manifest);
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    assert_eq!(target.send("GET", &format!("/v2/{name}/tags/list")).json()["name"], name.as_str());
    let expected: Vec<String> = (0..12).map(|number| format!("t-{number:02}")).collect();
    assert_eq!(all_tags(target, &format!("/v2/{name}/tags/list")), expected);
}

fn a_list_has_at_most_n_tags_and_its_pages_give_all(target: &Target) {
    let name = tagged(target);
    let first = target.send("GET", &format!("/v2/{name}/tags/list?n=2"));
    assert_eq!(tags(&first), TAGS[..2]);
    if next(&first).is_some() {
        assert_eq!(all_tags(target, &format!("/v2/{name}/tags/list?n=2")), TAGS);
    }
    let second = target.send("GET", &format!("/v2/{name}/tags/list?n=2&last={}", TAGS[1]));
    assert_eq!(tags(&second), TAGS[2..4]);
}

fn a_list_of_0_tags_is_empty(target: &Target) {
    let name = tagged(target);
    let answer = target.send("GET", &format!("/v2/{name}/tags/list?n=0"));
    assert_eq!((tags(&answer), answer.header("link")), (Vec::new(), ""));
}

fn a_list_begins_after_the_last_tag(target: &Target) {
    let name = tagged(target);
    assert_eq!(all_tags(target, &format!("/v2/{name}/tags/list?last={}", TAGS[1])), TAGS[2..]);
    assert_eq!(all_tags(target, &format!("/v2/{name}/tags/list?last={}", TAGS[4])), [""; 0]);
}

fn the_tags_of_an_unknown_repository_are_not_found(target: &Target) {
    assert_error(&target.send("GET", &format!("/v2/{}/tags/list", target.repository())), &[404]);
}

/// Pushes an image and two manifests that refer to it. Returns the repository, and the digest of the image.
fn described(target: &Target) -> (String, String) {
    let name = target.repository();
    let image = target.push_image(&name, "v1");
    let subject = descriptor(OCI_MANIFEST, &image.manifest);
    let mut signature = manifest_of(&image.config, &image.layer);
    signature["subject"] = subject.clone();
    signature["artifactType"] = json!("application/vnd.example.signature");
    signature["annotations"] = json!({ "org.example.by": "me" });
    let mut list = manifest_of(&image.config, &image.layer);
    list["config"]["mediaType"] = json!("application/vnd.example.list");
    list["subject"] = subject;
    for manifest in [signature, list] {
        let bytes = manifest.to_string().into_bytes();
        let answer = target.put_manifest(&name, &digest(&bytes), OCI_MANIFEST, &bytes);
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    (name, image.digest)
}

/// Requests the referrers and sorts them by type. Returns `None` if the registry does not support referrers. Such a
/// registry must respond with the status 404.
fn referrers(target: &Target, name: &str, digest: &str, filter: &str) -> Option<(Answer, Vec<Value>)> {
    let answer = target.send("GET", &format!("/v2/{name}/referrers/{digest}{filter}"));
    if answer.status == 404 {
        return None;
    }
    assert_eq!((answer.status, answer.header("content-type")), (200, OCI_INDEX), "{answer:?}");
    let index = answer.json();
    assert_eq!((&index["schemaVersion"], &index["mediaType"]), (&json!(2), &json!(OCI_INDEX)));
    let mut found = index["manifests"].as_array().expect("a list of manifests").clone();
    found.sort_by_key(|entry| entry["artifactType"].to_string());
    Some((answer, found))
}

fn referrers_are_listed_with_their_types_and_annotations(target: &Target) {
    let (name, digest) = described(target);
    let Some((_, found)) = referrers(target, &name, &digest, "") else { return };
    let types: Vec<&Value> = found.iter().map(|entry| &entry["artifactType"]).collect();
    assert_eq!(types, ["application/vnd.example.list", "application/vnd.example.signature"]);
    assert_eq!(found[1]["annotations"], json!({ "org.example.by": "me" }));
    for entry in &found {
        let pulled = target.get_manifest(&name, entry["digest"].as_str().expect("a digest"));
        assert_eq!((pulled.status, json!(pulled.body.len())), (200, entry["size"].clone()));
        assert_eq!(entry["mediaType"], OCI_MANIFEST);
    }
}

fn referrers_are_filtered_by_their_type(target: &Target) {
    let (name, digest) = described(target);
    let filter = "?artifactType=application/vnd.example.signature";
    let Some((answer, found)) = referrers(target, &name, &digest, filter) else { return };
    if !answer.header("oci-filters-applied").is_empty() {
        assert_eq!(answer.header("oci-filters-applied"), "artifactType");
        assert_eq!(found.len(), 1, "{found:?}");
    }
}

fn a_manifest_without_referrers_has_an_empty_list(target: &Target) {
    let name = target.repository();
    target.push_image(&name, "v1");
    if let Some((_, found)) = referrers(target, &name, &digest(b"no manifest"), "") {
        assert!(found.is_empty(), "{found:?}");
    }
}

fn referrers_of_an_invalid_digest_are_refused(target: &Target) {
    let name = target.repository();
    let image = target.push_image(&name, "v1");
    let expected = if referrers(target, &name, &image.digest, "").is_some() { 400 } else { 404 };
    assert_error(&target.send("GET", &format!("/v2/{name}/referrers/sha256:nothing")), &[expected]);
}
