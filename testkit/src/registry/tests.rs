//! Tests the registry with a client: pushes and pulls, credentials, and every fault.

use std::time::{Duration, Instant};

use serde_json::json;

use super::*;
use crate::client::{Answer, Client};
use crate::digest::base64;

const LAYER: &[u8] = b"the bytes of a layer";
const CONFIG: &[u8] = b"{}";

fn send(registry: &RegistryServer, method: &str, target: &str, body: &[u8]) -> Answer {
    Client::new(&registry.host()).send(method, target, &[], body).unwrap()
}

/// Pushes a blob with one `POST` and one `PUT`. Returns the last response.
fn push_blob(registry: &RegistryServer, name: &str, bytes: &[u8]) -> Answer {
    let started = send(registry, "POST", &format!("/v2/{name}/blobs/uploads/"), b"");
    assert_eq!(started.status, 202);
    let url = format!("{}&digest={}", started.header("location"), digest(bytes));
    send(registry, "PUT", &url, bytes)
}

fn manifest() -> Vec<u8> {
    let descriptor = |bytes: &[u8], kind: &str| {
        let media_type = format!("application/vnd.oci.image.{kind}");
        json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() })
    };
    let layers = [descriptor(LAYER, "layer.v1.tar")];
    let config = descriptor(CONFIG, "config.v1+json");
    let manifest = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers });
    manifest.to_string().into_bytes()
}

fn put_manifest(registry: &RegistryServer, name: &str, tag: &str, bytes: &[u8]) -> Answer {
    let headers = [("Content-Type", OCI_MANIFEST)];
    let path = format!("/v2/{name}/manifests/{tag}");
    Client::new(&registry.host()).send("PUT", &path, &headers, bytes).unwrap()
}

fn code(answer: &Answer) -> String {
    answer.json()["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn an_image_is_pushed_counted_and_pulled() {
    let registry = Registry::new().serve();
    let missing = put_manifest(&registry, "a/b", "v1", &manifest());
    assert_eq!((missing.status, code(&missing)), (404, "MANIFEST_BLOB_UNKNOWN".to_owned()));
    assert!(registry.tags("a/b").is_empty());
    for bytes in [LAYER, CONFIG] {
        let answer = push_blob(&registry, "a/b", bytes);
        assert_eq!((answer.status, answer.header("docker-content-digest")), (201, digest(bytes).as_str()));
    }
    assert_eq!(put_manifest(&registry, "a/b", "v1", &manifest()).status, 201);
    let pulled = send(&registry, "GET", "/v2/a/b/manifests/v1", b"");
    assert_eq!((pulled.body.as_slice(), pulled.header("content-type")), (manifest().as_slice(), OCI_MANIFEST));
    let blob = send(&registry, "GET", &format!("/v2/a/b/blobs/{}", digest(LAYER)), b"");
    assert_eq!(blob.body, LAYER);
    assert_eq!(registry.tags("a/b")["v1"], digest(&manifest()));
    assert_eq!(registry.stored_bytes(), (LAYER.len() + CONFIG.len()) as u64);
    let uploaded: u64 = registry.exchanges_of(Operation::FinishUpload).iter().map(|e| e.received_bytes).sum();
    assert_eq!(uploaded, registry.stored_bytes());
    assert_eq!((registry.count(Operation::PutManifest), registry.unfinished_uploads()), (2, 0));
}

#[test]
fn a_manifest_that_states_a_wrong_size_or_type_is_refused() {
    let registry = Registry::new().serve();
    registry.put_blob("a", LAYER);
    registry.put_blob("a", CONFIG);
    let text = String::from_utf8(manifest()).unwrap();
    let wrong_size = text.replace(&format!("\"size\":{}", LAYER.len()), "\"size\":7");
    assert_eq!(code(&put_manifest(&registry, "a", "v1", wrong_size.as_bytes())), "SIZE_INVALID");
    let wrong_type = text.replace(OCI_MANIFEST, DOCKER_MANIFEST);
    assert_eq!(code(&put_manifest(&registry, "a", "v1", wrong_type.as_bytes())), "MANIFEST_INVALID");
    let wrong_digest = put_manifest(&registry, "a", &digest(b"other"), &manifest());
    assert_eq!((wrong_digest.status, code(&wrong_digest)), (400, "DIGEST_INVALID".to_owned()));
    assert!(registry.manifests("a").is_empty());
}

#[test]
fn passwords_are_checked_and_never_recorded() {
    let registry = Registry::new().basic("me", "hunter2").reader("guest", "look").serve();
    let client = |user: &str| {
        let value = format!("Basic {}", base64(user.as_bytes()));
        Client::new(&registry.host()).authorized(&value)
    };
    let without = send(&registry, "GET", "/v2/", b"");
    assert_eq!((without.status, without.header("www-authenticate")), (401, "Basic realm=\"registry\""));
    for (user, status) in [("me:wrong", 401), ("me:hunter2", 202), ("guest:look", 403)] {
        let answer = client(user).send("POST", "/v2/a/blobs/uploads/", &[], b"").unwrap();
        assert_eq!(answer.status, status, "{user}");
    }
    assert_eq!(client("guest:look").send("GET", "/v2/", &[], b"").unwrap().status, 200);
    let recorded = format!("{:?}", registry.exchanges());
    assert!(recorded.contains("Basic <secret>"), "{recorded}");
    assert_eq!(registry.secrets().len(), 4);
    assert!(registry.secrets().iter().all(|secret| !recorded.contains(secret.as_str())), "{recorded}");
}

/// Requests a token with a password. Returns the JSON in the response.
fn token(registry: &RegistryServer, scope: &str, user: &str) -> serde_json::Value {
    let client = Client::new(&registry.token_host()).authorized(&format!("Basic {}", base64(user.as_bytes())));
    let path = format!("/token?service=registry.test&scope={scope}&offline_token=true");
    client.send("GET", &path, &[], b"").unwrap().json()
}

#[test]
fn a_token_is_good_for_its_scope_and_for_some_requests() {
    let registry = Registry::new().bearer("me", "hunter2").tokens_elsewhere().tokens_expire_after(2).serve();
    assert_ne!(registry.host(), registry.token_host());
    let start = |token: &str| {
        let client = Client::new(&registry.host()).authorized(&format!("Bearer {token}"));
        client.send("POST", "/v2/a/blobs/uploads/", &[], b"").unwrap()
    };
    let challenge = send(&registry, "POST", "/v2/a/blobs/uploads/", b"");
    let expected = format!(
        "Bearer realm=\"http://{}/token\",service=\"registry.test\",scope=\"repository:a:pull,push\"",
        registry.token_host()
    );
    assert_eq!((challenge.status, challenge.header("www-authenticate")), (401, expected.as_str()));
    let pull = token(&registry, "repository:a:pull", "me:hunter2");
    let refused = start(pull["token"].as_str().unwrap());
    assert!(refused.header("www-authenticate").ends_with("error=\"insufficient_scope\""), "{refused:?}");
    let push = token(&registry, "repository:a:pull,push", "me:hunter2");
    let statuses: Vec<u16> = (0..3).map(|_| start(push["token"].as_str().unwrap()).status).collect();
    assert_eq!(statuses, [202, 202, 401]);
    let form = format!(
        "grant_type=refresh_token&scope=repository:a:push,pull&refresh_token={}",
        push["refresh_token"].as_str().unwrap()
    );
    let renewed = Client::new(&registry.token_host()).send("POST", "/token", &[], form.as_bytes()).unwrap().json();
    assert_eq!(start(renewed["access_token"].as_str().unwrap()).status, 202);
    registry.expire_tokens();
    assert_eq!(start(renewed["access_token"].as_str().unwrap()).status, 401);
    assert!(token(&registry, "repository:a:pull", "me:wrong")["token"].is_null());
    let recorded = format!("{:?}", registry.exchanges());
    assert!(registry.secrets().iter().all(|secret| !recorded.contains(secret.as_str())), "{recorded}");
}

#[test]
fn tls_needs_the_private_authority() {
    let registry = Registry::new().tls().serve();
    let trusting = Client::new(&registry.host()).trusting(registry.authority_pem().unwrap());
    assert_eq!(trusting.send("GET", "/v2/", &[], b"").unwrap().status, 200);
    let other = Client::new(&registry.host()).trusting(&Certificates::for_loopback().authority_pem);
    assert!(other.send("GET", "/v2/", &[], b"").is_err());
    let large = vec![7; 300_000];
    let path = format!("/v2/a/blobs/uploads/?digest={}", digest(&large));
    assert_eq!(trusting.send("POST", &path, &[], &large).unwrap().status, 201);
    let pulled = trusting.send("GET", &format!("/v2/a/blobs/{}", digest(&large)), &[], b"").unwrap();
    assert_eq!(pulled.body, large);
}

#[test]
fn an_upload_goes_on_after_its_connection_broke() {
    let registry = Registry::new().serve();
    registry.fault(Fault::on(Operation::UploadChunk).cut_request(7));
    let started = send(&registry, "POST", "/v2/a/blobs/uploads/", b"");
    let client = Client::new(&registry.host());
    assert!(client.send("PATCH", started.header("location"), &[], LAYER).is_err());
    let status = send(&registry, "GET", started.header("location"), b"");
    assert_eq!((status.status, status.header("range")), (204, "0-6"));
    let wrong = client.send("PATCH", status.header("location"), &[("Content-Range", "0-19")], LAYER).unwrap();
    assert_eq!((wrong.status, wrong.header("range")), (416, "0-6"));
    let rest = client.send("PATCH", status.header("location"), &[("Content-Range", "7-19")], &LAYER[7..]).unwrap();
    assert_eq!((rest.status, rest.header("range")), (202, "0-19"));
    let done = send(&registry, "PUT", &format!("{}&digest={}", rest.header("location"), digest(LAYER)), b"");
    assert_eq!(done.status, 201);
    let received: Vec<u64> = registry.exchanges_of(Operation::UploadChunk).iter().map(|e| e.received_bytes).collect();
    assert_eq!(received, [7, 20, 13]);
}

#[test]
fn a_registry_like_dockers_does_not_continue_a_broken_upload() {
    let registry = Registry::new().forgets_cut_uploads().serve();
    registry.fault(Fault::on(Operation::UploadChunk).cut_request(7));
    let started = send(&registry, "POST", "/v2/a/blobs/uploads/", b"");
    assert!(Client::new(&registry.host()).send("PATCH", started.header("location"), &[], LAYER).is_err());
    let status = send(&registry, "GET", started.header("location"), b"");
    assert_eq!((status.status, code(&status)), (404, "BLOB_UPLOAD_INVALID".to_owned()));
    assert_eq!(registry.unfinished_uploads(), 0);
    let registry = Registry::new().ignores_content_range().serve();
    let started = send(&registry, "POST", "/v2/a/blobs/uploads/", b"");
    let client = Client::new(&registry.host());
    let chunk = client.send("PATCH", started.header("location"), &[("Content-Range", "7-26")], LAYER).unwrap();
    assert_eq!((chunk.status, chunk.header("range")), (202, "0-19"));
}

#[test]
fn an_upload_in_chunks_may_need_a_least_length() {
    let registry = Registry::new().least_chunk(10).serve();
    let started = send(&registry, "POST", "/v2/a/blobs/uploads/", b"");
    assert_eq!(started.header("oci-chunk-min-length"), "10");
    let first = send(&registry, "PATCH", started.header("location"), &LAYER[..9]);
    assert_eq!(first.status, 202, "the last chunk may be short");
    assert_eq!(send(&registry, "PATCH", first.header("location"), &LAYER[9..]).status, 416);
    let registry = Registry::new().monolithic_only().serve();
    let started = send(&registry, "POST", "/v2/a/blobs/uploads/", b"");
    assert_eq!(send(&registry, "PATCH", started.header("location"), LAYER).status, 405);
    assert_eq!(push_blob(&registry, "a", LAYER).status, 201);
}

#[test]
fn a_url_that_a_client_made_is_no_upload() {
    let registry = Registry::new().serve();
    let started = send(&registry, "POST", "/v2/a/blobs/uploads/", b"");
    let (path, _) = started.header("location").split_once('?').unwrap();
    assert_eq!(code(&send(&registry, "PATCH", path, LAYER)), "BLOB_UPLOAD_UNKNOWN");
}

#[test]
fn a_full_registry_refuses_and_forgets() {
    let registry = Registry::new().full_after(25).serve();
    assert_eq!(push_blob(&registry, "a", LAYER).status, 201);
    assert_eq!(push_blob(&registry, "a", b"more bytes").status, 507);
    assert_eq!(registry.stored_bytes(), LAYER.len() as u64);
}

#[test]
fn a_blob_is_mounted_if_the_registry_wants() {
    for (registry, status) in [(Registry::new(), 201), (Registry::new().refuses_mounts(), 202)] {
        let registry = registry.serve();
        let digest = registry.put_blob("from/here", LAYER);
        let mount = format!("/v2/to/there/blobs/uploads/?mount={digest}&from=from/here");
        assert_eq!(send(&registry, "POST", &mount, b"").status, status);
        assert_eq!(registry.blob("to/there", &digest).is_some(), status == 201);
        assert_eq!(registry.count(Operation::Mount), 1);
    }
}

#[test]
fn every_status_comes_as_often_as_asked() {
    let registry = Registry::new().serve();
    for status in [401, 403, 404, 405, 413, 416, 429, 500, 502, 503, 507] {
        registry.fault(Fault::on(Operation::Version).times(2).status_with(status, "Retry-After", "3"));
        let answers: Vec<Answer> = (0..3).map(|_| send(&registry, "GET", "/v2/", b"")).collect();
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [status, status, 200]);
        assert_eq!(answers[0].header("retry-after"), "3");
        assert!(!code(&answers[0]).is_empty());
    }
}

#[test]
fn a_fault_concerns_only_its_requests() {
    let registry = Registry::new().serve();
    registry.put_blob("a", LAYER);
    let path = format!("/v2/a/blobs/{}", digest(LAYER));
    registry.fault(Fault::on(Operation::GetBlob).with("/other/").always().status(500));
    registry.fault(Fault::on_any(&[]).after(1).status(502));
    let statuses: Vec<u16> = (0..3).map(|_| send(&registry, "GET", &path, b"").status).collect();
    assert_eq!(statuses, [200, 502, 200]);
}

#[test]
fn bodies_are_wrong_short_endless_or_slow() {
    let registry = Registry::new().serve();
    registry.put_blob("a", LAYER);
    let path = format!("/v2/a/blobs/{}", digest(LAYER));
    let get = |fault: Fault| {
        registry.fault(fault);
        send(&registry, "GET", &path, b"")
    };
    let wrong = get(Fault::on(Operation::GetBlob).wrong_bytes());
    assert!(wrong.body != LAYER && wrong.body.len() == LAYER.len());
    let short = get(Fault::on(Operation::GetBlob).short_body(5));
    assert_eq!((short.body.as_slice(), short.header("content-length")), (&LAYER[..5], "20"));
    let lie = get(Fault::on(Operation::GetBlob).wrong_digest_header());
    assert!(lie.body == LAYER && lie.header("docker-content-digest") != digest(LAYER));
    let begun = Instant::now();
    assert_eq!(get(Fault::on(Operation::GetBlob).slow_body(10, Duration::from_millis(60))).body, LAYER);
    assert!(begun.elapsed() >= Duration::from_millis(120));
    registry.fault(Fault::on(Operation::GetBlob).endless_body());
    let mut stream = std::net::TcpStream::connect(registry.host()).unwrap();
    std::io::Write::write_all(&mut stream, format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes()).unwrap();
    let mut taken = vec![0; 100_000];
    std::io::Read::read_exact(&mut stream, &mut taken).unwrap();
    assert!(!String::from_utf8_lossy(&taken).contains("Content-Length"));
}

#[test]
fn redirects_go_to_another_host_or_in_a_circle() {
    let registry = Registry::new().serve();
    let digest = registry.put_blob("a", LAYER);
    let path = format!("/v2/a/blobs/{digest}");
    registry.fault(Fault::on(Operation::GetBlob).redirect("http://127.0.0.2:1/cdn/{digest}"));
    registry.fault(Fault::on(Operation::GetBlob).redirect_loop());
    let away = send(&registry, "GET", &path, b"");
    assert_eq!((away.status, away.header("location")), (307, format!("http://127.0.0.2:1/cdn/{digest}").as_str()));
    assert_eq!(send(&registry, "GET", &path, b"").header("location"), path);
}

#[test]
fn a_request_may_be_carried_out_without_a_response() {
    let registry = Registry::new().serve();
    registry.fault(Fault::on(Operation::FinishUpload).no_reply());
    let started = send(&registry, "POST", "/v2/a/blobs/uploads/", b"");
    let url = format!("{}&digest={}", started.header("location"), digest(LAYER));
    assert!(Client::new(&registry.host()).send("PUT", &url, &[], LAYER).is_err());
    assert!(registry.blob("a", &digest(LAYER)).is_some());
}

#[test]
fn uploads_and_tokens_may_be_gone() {
    let registry = Registry::new().serve();
    registry.fault(Fault::on(Operation::UploadChunk).forget_uploads());
    let started = send(&registry, "POST", "/v2/a/blobs/uploads/", b"");
    assert_eq!(send(&registry, "PATCH", started.header("location"), LAYER).status, 404);
    let registry = Registry::new().bearer("me", "hunter2").serve();
    registry.fault(Fault::on(Operation::ListTags).expire_tokens());
    let token = token(&registry, "repository:a:pull", "me:hunter2")["token"].as_str().unwrap().to_owned();
    let client = Client::new(&registry.host()).authorized(&format!("Bearer {token}"));
    assert_eq!(client.send("GET", "/v2/", &[], b"").unwrap().status, 200);
    assert_eq!(client.send("GET", "/v2/a/tags/list", &[], b"").unwrap().status, 401);
}

#[test]
fn the_registry_stops_in_an_upload_and_comes_back_on_its_port() {
    let registry = Registry::new().serve();
    registry.fault(Fault::on(Operation::UploadChunk).stop(7, Duration::from_millis(300)));
    let started = send(&registry, "POST", "/v2/a/blobs/uploads/", b"");
    let client = Client::new(&registry.host());
    assert!(client.send("PATCH", started.header("location"), &[], LAYER).is_err());
    let begun = Instant::now();
    let status = loop {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not come back");
        match client.send("GET", started.header("location"), &[], b"") {
            Ok(answer) => break answer,
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
    assert_eq!((status.status, status.header("range")), (204, "0-6"));
    registry.stop();
    assert!(client.send("GET", "/v2/", &[], b"").is_err());
    registry.start_again();
    assert_eq!(client.send("GET", "/v2/", &[], b"").unwrap().status, 200);
}

#[test]
fn chunked_transfers_and_refusals_before_the_body_work() {
    let registry = Registry::new().serve();
    let started = send(&registry, "POST", "/v2/a/blobs/uploads/", b"");
    let client = Client::new(&registry.host());
    let chunks = b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n";
    let headers = [("Transfer-Encoding", "chunked"), ("Expect", "100-continue")];
    let answer = client.send("PATCH", started.header("location"), &headers, chunks).unwrap();
    assert_eq!(answer.status, 100, "the small client does not wait");
    let status = send(&registry, "GET", started.header("location"), b"");
    assert_eq!(status.header("range"), "0-10");
    registry.fault(Fault::on(Operation::UploadChunk).early_status(413));
    let early = send(&registry, "PATCH", started.header("location"), b"");
    assert_eq!((early.status, early.header("connection")), (413, "close"));
    assert_eq!(registry.exchanges_of(Operation::UploadChunk)[1].received_bytes, 0);
}

#[test]
fn a_manifest_of_a_kind_that_is_not_accepted_does_not_exist() {
    let registry = Registry::new().serve();
    registry.put_manifest("a", "old", DOCKER_SCHEMA_1, b"{\"schemaVersion\":1}");
    let client = Client::new(&registry.host());
    for (accept, status) in [(OCI_MANIFEST, 404), (DOCKER_SCHEMA_1, 200), ("*/*", 200)] {
        let answer = client.send("GET", "/v2/a/manifests/old", &[("Accept", accept)], b"").unwrap();
        assert_eq!(answer.status, status, "{accept}");
    }
    let twice = [("Accept", DOCKER_SCHEMA_1), ("Accept", OCI_MANIFEST)];
    assert_eq!(client.send("GET", "/v2/a/manifests/old", &twice, b"").unwrap().status, 200);
}
