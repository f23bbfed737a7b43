//! Tests of credentials and tokens.

use testkit::registry::{Fault, Operation};

use super::*;
use crate::model::hint::{Hint, Hints as _, RegistryHint};
use crate::outside::credentials::Login;

#[test]
fn basic_and_tokens_work_with_every_field() {
    use testkit::Registry;
    let kinds = [
        Registry::new().basic(USER, PASSWORD),
        Registry::new().bearer(USER, PASSWORD),
        Registry::new().bearer(USER, PASSWORD).token_field("token"),
        Registry::new().bearer(USER, PASSWORD).token_field("access_token").tokens_elsewhere().tls(),
    ];
    for kind in kinds {
        let bench = Bench::with_login(kind);
        bench.push("a", b"{}").unwrap();
        bench.registry.push_manifest(&bench.image("a:1"), &manifest()).unwrap();
        assert_eq!(bench.registry.manifest(&bench.image("a:1")).unwrap(), manifest());
        // There is one token to push, and one to pull.
        assert!(bench.server.count(Operation::Token) <= 2);
    }
}

#[test]
fn a_token_has_the_scope_of_the_work_and_of_the_mounted_repository() {
    let server = testkit::Registry::new().bearer(USER, PASSWORD).placeholder_scope("repository:user/image:pull");
    let bench = Bench::with_login(server);
    bench.push("base", b"layer").unwrap();
    assert_eq!(bench.push_from("a", b"layer", &["base"]).unwrap(), Sent::Mounted);
    let scopes: Vec<String> = bench
        .server
        .exchanges_of(Operation::Token)
        .iter()
        .map(|exchange| {
            let scopes = exchange.query.iter().filter(|(key, _)| key == "scope").map(|(_, value)| value.as_str());
            scopes.collect::<Vec<_>>().join(" ")
        })
        .collect();
    let expected =
        ["repository:base:pull,push", "repository:a:pull,push", "repository:a:pull,push repository:base:pull"];
    assert_eq!(scopes, expected);
}

#[test]
fn a_token_that_expires_in_the_middle_of_an_upload_is_renewed() {
    let bytes = large(3 << 20);
    let bench = Bench::with_login(testkit::Registry::new().bearer(USER, PASSWORD).tokens_expire_after(1));
    assert_eq!(bench.push("a", &bytes).unwrap(), Sent::Bytes(bytes.len() as u64));
    let bench = Bench::with_login(testkit::Registry::new().bearer(USER, PASSWORD));
    for operation in [Operation::UploadChunk, Operation::FinishUpload] {
        bench.server.fault(Fault::on(operation).expire_tokens());
    }
    assert_eq!(bench.push("a", &bytes).unwrap(), Sent::Bytes(bytes.len() as u64));
    assert_eq!(bench.server.blob("a", &Digest::of(&bytes).prefixed()).unwrap().len(), bytes.len());
    assert_eq!(bench.server.count(Operation::Token), 3);
}

#[test]
fn a_token_for_few_requests_is_enough_for_blobs_that_are_pushed_at_once() {
    for requests in 1..=3 {
        let bench = Bench::with_login(testkit::Registry::new().bearer(USER, PASSWORD).tokens_expire_after(requests));
        let layers = (0..12).map(|number| large(2000 + number));
        let contents: Vec<Vec<u8>> = layers.chain([b"{}".to_vec()]).collect();
        let upload = |bytes: &Vec<u8>| Upload {
            title: "layer".to_owned(),
            blob: blob(bytes),
            open: {
                let bytes = bytes.clone();
                Box::new(move || Ok(Box::new(io::Cursor::new(bytes.clone())) as Box<dyn Read + Send>))
            },
            mount_from: Vec::new(),
        };
        let uploads: Vec<Upload<'_>> = contents.iter().map(upload).collect();
        let sent = bench.registry.push_blobs(&bench.image("a"), &uploads).unwrap();
        let expected: Vec<Sent> = contents.iter().map(|bytes| Sent::Bytes(bytes.len() as u64)).collect();
        assert_eq!(sent, expected, "{requests} requests");
        bench.registry.push_manifest(&bench.image("a:1"), &manifest()).unwrap();
    }
}

#[test]
fn a_refusal_names_the_source_and_the_scope_and_no_secret() {
    let refused = |server: testkit::Registry, has_login: bool| {
        let bench = if has_login { Bench::with_login(server) } else { Bench::new(server) };
        let error = bench.push("team/x", b"bytes").unwrap_err();
        bench.assert_silent(&error);
        let host = bench.server.host();
        let token_host = bench.server.token_host();
        let text = told(&error).replace(&host, "HOST").replace(&token_host, "TOKENS");
        let digest = Digest::of(b"bytes").prefixed();
        (text.replace(&digest, "DIGEST"), error.hints(), host)
    };
    use testkit::Registry;
    let (text, hints, host) = refused(Registry::new().basic(USER, PASSWORD), false);
    insta::assert_snapshot!(text, @"cannot push the blob `DIGEST` to `HOST/team/x`: `HOST` answers 401 Unauthorized; there are no credentials for `HOST`; the requested access is `repository:team/x:pull,push`");
    assert_eq!(hints, [Hint::Registry(RegistryHint::LogIn { registry: host })]);
    let (text, hints, host) = refused(Registry::new().basic("other", PASSWORD), true);
    insta::assert_snapshot!(text, @"cannot push the blob `DIGEST` to `HOST/team/x`: `HOST` answers 401 Unauthorized; the credentials for `HOST` came from `LATH_REGISTRY_USER` and `LATH_REGISTRY_PASSWORD`; the requested access is `repository:team/x:pull,push`");
    assert_eq!(hints, [Hint::Registry(RegistryHint::OtherAccount { registry: host })]);
    insta::assert_snapshot!(refused(Registry::new().bearer("other", PASSWORD), true).0, @"cannot get a token for the registry `HOST`: `HOST` answers 401 Unauthorized (UNAUTHORIZED: unauthorized); the credentials for `HOST` came from `LATH_REGISTRY_USER` and `LATH_REGISTRY_PASSWORD`; the requested access is `repository:team/x:pull,push`");
    insta::assert_snapshot!(refused(Registry::new().bearer("other", "0ther-w0rd").reader(USER, PASSWORD), true).0, @"cannot push the blob `DIGEST` to `HOST/team/x`: `HOST` answers 401 Unauthorized (UNAUTHORIZED: unauthorized); the credentials for `HOST` came from `LATH_REGISTRY_USER` and `LATH_REGISTRY_PASSWORD`; the requested access is `repository:team/x:pull,push`");
    insta::assert_snapshot!(refused(Registry::new().basic("other", "0ther-w0rd").reader(USER, PASSWORD), true).0, @"cannot push the blob `DIGEST` to `HOST/team/x`: `HOST` answers 403 Forbidden (DENIED: denied); the credentials for `HOST` came from `LATH_REGISTRY_USER` and `LATH_REGISTRY_PASSWORD`; the requested access is `repository:team/x:pull,push`");
    insta::assert_snapshot!(refused(Registry::new().bearer("other", PASSWORD).anonymous_pulls(), false).0, @"cannot push the blob `DIGEST` to `HOST/team/x`: `HOST` answers 401 Unauthorized (UNAUTHORIZED: unauthorized); there are no credentials for `HOST`; the requested access is `repository:team/x:pull,push`");
}

#[test]
fn credentials_stay_with_their_host() {
    let other = testkit::Registry::new().basic("them", "theirs").address("127.0.0.2").serve();
    let open = testkit::Registry::new().address("127.0.0.2").serve();
    open.put_blob("files", b"bytes");
    let bench = Bench::with_login(testkit::Registry::new().basic(USER, PASSWORD));
    bench.server.put_blob("a", b"bytes");
    // Real registries also redirect requests for blobs to other hosts.
    bench.server.fault(Fault::on(Operation::GetBlob).redirect(&open.url("/v2/files/blobs/{digest}")));
    assert_eq!(bench.fetch("a", b"bytes").unwrap(), b"bytes");
    // The other host requires credentials. The credentials of the registry must not be sent to the other host.
    bench.server.fault(Fault::on(Operation::GetBlob).redirect(&other.url("/v2/files/blobs/{digest}")));
    let error = bench.fetch("a", b"bytes").unwrap_err();
    assert!(error.to_string().contains("credentials are not sent to another server"), "{error}");
    bench.assert_silent(&error);
    // The upload continues at a URL on another host.
    bench.server.fault(Fault::on(Operation::StartUpload).header("Location", &open.url("/v2/files/blobs/uploads/x")));
    bench.push("a", b"more bytes").unwrap();
    bench.server.fault(Fault::on(Operation::FinishUpload).redirect(&open.url("/v2/files/blobs/uploads/x")));
    bench.push("a", b"most bytes").unwrap();
    assert_eq!(open.count(Operation::FinishUpload), 2);
    for server in [&open, &other] {
        assert!(!server.exchanges().is_empty());
        let has_none = |headers: &BTreeMap<String, String>| !headers.contains_key("authorization");
        assert!(server.exchanges().iter().all(|exchange| has_none(&exchange.headers)));
    }
}

#[test]
fn a_login_is_checked() {
    use testkit::Registry;
    let check = |server: Registry, password: &str| {
        let bench = Bench::new(server);
        let login = Login { user: USER.to_owned(), password: password.to_owned() };
        let outcome = bench.registry.check_login(&bench.server.host(), &login);
        outcome.map_err(|error| told(&error).replace(&bench.server.host(), "HOST"))
    };
    for server in [Registry::new().basic(USER, PASSWORD), Registry::new().bearer(USER, PASSWORD)] {
        assert_eq!(check(server.clone(), PASSWORD), Ok(LoginCheck::Accepted));
        let error = check(server, "wr0ng").unwrap_err();
        assert!(error.contains("answers 401 Unauthorized") && !error.contains("wr0ng"), "{error}");
    }
    assert_eq!(check(Registry::new(), PASSWORD), Ok(LoginCheck::NotNeeded));
}

#[test]
fn a_rate_limit_is_told_in_words() {
    let bench = Bench::new(testkit::Registry::new());
    bench.put_manifest("a", "1");
    let fault = Fault::on(Operation::GetManifest).always();
    bench.server.fault(fault.status_with(429, "ratelimit-limit", "100;w=21600"));
    let error = bench.registry.manifest(&bench.image("a:1")).unwrap_err();
    assert!(
        error.to_string().ends_with("): too many requests; it allows 100 pulls in 6 hours")
            || error.to_string().ends_with("429 Too Many Requests: too many requests; it allows 100 pulls in 6 hours"),
        "{error}"
    );
    let host = bench.server.host();
    assert_eq!(error.hints(), [Hint::Registry(RegistryHint::RateLimit { registry: host })]);
}

/// Returns a client whose credentials are in a file with this text.
fn with_file(server: testkit::Registry, text: impl Fn(&RegistryServer) -> String) -> (Bench, tempfile::TempDir) {
    let (server, home) = (server.serve(), tempfile::tempdir().unwrap());
    let path = home.path().join("config.json");
    std::fs::write(&path, text(&server)).unwrap();
    let logins = RegistryLogins { files: vec![path], ..RegistryLogins::default() };
    (Bench::of(server, RegistrySettings { logins, ..RegistrySettings::default() }), home)
}

/// A client whose file has an identity token, and the folder of the file.
fn with_identity_token() -> (Bench, tempfile::TempDir) {
    let server = testkit::Registry::new().bearer(USER, PASSWORD);
    with_file(server, |server| {
        let url = format!("{}?offline_token=true&service=x", server.url("/token"));
        let client = reqwest::Client::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let text = runtime.block_on(async {
            let response = client.get(url).basic_auth(USER, Some(PASSWORD)).send().await.unwrap();
            response.text().await.unwrap()
        });
        let token: serde_json::Value = serde_json::from_str(&text).unwrap();
        serde_json::json!({ "auths": { server.host(): { "identitytoken": token["refresh_token"] } } }).to_string()
    })
}

#[test]
fn an_identity_token_is_exchanged_for_tokens() {
    let (bench, _home) = with_identity_token();
    bench.push("a", b"bytes").unwrap();
    let tokens = bench.server.exchanges_of(Operation::Token);
    assert_eq!((tokens.last().unwrap().method.as_str(), tokens.last().unwrap().status), ("POST", 200));
}

#[test]
fn an_identity_token_does_not_follow_a_redirect() {
    let (bench, _home) = with_identity_token();
    let other = testkit::Registry::new().bearer(USER, PASSWORD).address("127.0.0.2").serve();
    bench.server.fault(Fault::on(Operation::Token).redirect(&other.url("/token")));
    let error = bench.push("a", b"bytes").unwrap_err();
    assert!(error.to_string().contains("answers 307"), "{error}");
    assert!(other.exchanges().iter().all(|exchange| exchange.received_bytes == 0), "{:?}", other.exchanges());
}
