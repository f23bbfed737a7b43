//! Tests of mirrors, insecure registries and certificates.

use std::net::SocketAddr;

use testkit::registry::{Fault, Operation};

use super::*;

/// Returns a client. For the host `registry.example` and for the host of `docker.io`, the client connects to `server`.
fn with_names(server: &RegistryServer, registries: RegistrySettings) -> Registry {
    let clients = Clients::default();
    let address: SocketAddr = server.host().parse().unwrap();
    for host in ["registry.example", "registry-1.docker.io"] {
        clients.place(host, address);
    }
    let settings = Settings { offline: false, jobs: 4, read_timeout: READ_TIMEOUT, registries, clients };
    Registry::new(settings, Arc::new(Heard::default()))
}

fn named(server: &RegistryServer) -> ImageReference {
    let port = server.host().rsplit_once(':').unwrap().1.to_owned();
    format!("registry.example:{port}/a:1").parse().unwrap()
}

#[test]
fn a_registry_that_is_not_insecure_needs_tls_and_a_known_certificate() {
    for server in [testkit::Registry::new(), testkit::Registry::new().tls()] {
        let server = server.serve();
        let document = manifest();
        server.put_manifest("a", "1", &document.media_type, &document.bytes);
        let image = named(&server);
        let error = with_names(&server, RegistrySettings::default()).manifest(&image).unwrap_err();
        assert!(told(&error).starts_with(&format!("cannot connect to the registry `{}`", image.registry)), "{error}");
        use crate::model::hint::{Hint, Hints as _, RegistryHint};
        assert_eq!(error.hints(), [Hint::Registry(RegistryHint::Insecure { registry: image.registry.clone() })]);
        assert!(server.exchanges().is_empty());
        let insecure = RegistrySettings { insecure: vec![image.registry.clone()], ..RegistrySettings::default() };
        assert_eq!(with_names(&server, insecure).manifest(&image).unwrap(), document);
    }
}

#[test]
fn a_mirror_is_tried_first_and_the_registry_has_the_last_word() {
    let (mirror, bench) = (testkit::Registry::new().serve(), Bench::new(testkit::Registry::new()));
    let mirrors = BTreeMap::from([(bench.server.host(), vec![format!("{}/hub", mirror.host())])]);
    let settings = RegistrySettings { mirrors, ..RegistrySettings::default() };
    let bench = Bench::of(bench.server, settings);
    let (document, bytes) = (bench.put_manifest("a", "1"), large(300_000));
    bench.server.put_blob("a", &bytes);
    let image = bench.image("a:1");
    // If the mirror does not have the image, the registry is used.
    assert_eq!(bench.registry.manifest(&image).unwrap(), document);
    assert!(bench.fetch("a", &bytes).unwrap() == bytes);
    assert_eq!((mirror.count(Operation::GetManifest), mirror.count(Operation::GetBlob)), (1, 1));
    // The first mirror has the image. The second one sends wrong bytes.
    mirror.put_manifest("hub/a", "1", &document.media_type, &document.bytes);
    mirror.put_blob("hub/a", &bytes);
    mirror.fault(Fault::on(Operation::GetBlob).wrong_bytes());
    bench.server.forget_exchanges();
    assert_eq!(bench.registry.manifest(&image).unwrap(), document);
    assert!(bench.fetch("a", &bytes).unwrap() == bytes);
    assert!(bench.fetch("a", &bytes).unwrap() == bytes);
    assert_eq!((bench.server.count(Operation::GetManifest), bench.server.count(Operation::GetBlob)), (0, 1));
    // Nothing is pushed to a mirror, and tags are read from the registry itself.
    bench.push("a", b"new").unwrap();
    assert_eq!(mirror.count(Operation::StartUpload), 0);
    mirror.stop();
    assert_eq!(bench.registry.manifest(&image).unwrap(), document);
}

#[test]
fn a_registry_that_is_not_there_is_told() {
    let bench = Bench::new(testkit::Registry::new());
    bench.server.stop();
    let error = bench.registry.manifest(&bench.image("a:1")).unwrap_err();
    let expected = format!("cannot connect to the registry `{}`", bench.server.host());
    assert_eq!(error.to_string(), expected);
}
