//! Runs the test cases for the distribution specification with Docker's registry. This checks whether the cases
//! themselves are right.

use std::panic::{AssertUnwindSafe, catch_unwind};

use libtest_mimic::Trial;
use testkit::client::Client;
use testkit::conformance::{self, Case, Target};

use crate::docker_registry::DockerRegistry;
use crate::needs::Need::DockerRegistry as Registry;
use crate::needs::{trial, trials_of};

/// The requirements of the distribution specification 1.1 that Docker's registry 2.8 does not fulfil, with reasons.
const DEVIATIONS: &[(&str, &str)] = &[
    ("a_chunk_out_of_order_is_refused_and_the_upload_goes_on", IGNORES_CONTENT_RANGE),
    ("the_first_chunk_begins_at_0", IGNORES_CONTENT_RANGE),
    ("a_last_chunk_out_of_order_is_refused", IGNORES_CONTENT_RANGE),
    ("tags_are_listed_in_order", LISTS_ALL_TAGS),
    ("a_list_has_at_most_n_tags_and_its_pages_give_all", LISTS_ALL_TAGS),
    ("a_list_of_0_tags_is_empty", LISTS_ALL_TAGS),
    ("a_list_begins_after_the_last_tag", LISTS_ALL_TAGS),
];
const IGNORES_CONTENT_RANGE: &str = "it adds a chunk to the upload, whatever `Content-Range` is";
const LISTS_ALL_TAGS: &str = "it lists all tags, in any order";

pub(crate) fn trials() -> Vec<Trial> {
    let of_case = |case: Case| trial(format!("dockers_registry_{}", case.name), &[Registry], move || conforms(case));
    let cases = conformance::cases().into_iter().map(of_case);
    cases.chain(trials_of![&[Registry]; dockers_registry_takes_only_the_newest_url_of_an_upload]).collect()
}

fn conforms(case: Case) {
    let registry = DockerRegistry::open();
    let target = Target::new(registry.client());
    match DEVIATIONS.iter().find(|(name, _)| *name == case.name) {
        None => (case.run)(&target),
        Some((name, reason)) => {
            let result = catch_unwind(AssertUnwindSafe(|| (case.run)(&target)));
            assert!(result.is_err(), "`{name}` holds now, although {reason}");
        }
    }
}

/// Docker's registry accepts only the newest URL of an upload. If the connection breaks before the client receives the
/// response with the new URL, the client cannot continue the upload. The registry of `testkit` has an option to behave
/// like Docker's registry.
fn dockers_registry_takes_only_the_newest_url_of_an_upload() {
    let docker = DockerRegistry::open();
    let ours = testkit::Registry::new().forgets_cut_uploads().serve();
    for client in [docker.client(), Client::new(&ours.host())] {
        let send = |method: &str, path: &str, body: &[u8]| client.send(method, path, &[], body).unwrap();
        let started = send("POST", "/v2/a/blobs/uploads/", b"");
        let first = send("PATCH", started.header("location"), b"some bytes");
        assert_eq!(first.status, 202, "{first:?}");
        let status = send("GET", started.header("location"), b"");
        assert_eq!((status.status, &status.json()["errors"][0]["code"]), (404, &"BLOB_UPLOAD_INVALID".into()));
    }
}
