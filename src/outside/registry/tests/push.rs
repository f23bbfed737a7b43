//! Tests of pushes, with every fault that may happen.

use testkit::registry::{Fault, Operation};

use super::*;

const MIB: usize = 1 << 20;

/// Checks that the registry has exactly these bytes.
fn assert_there(bench: &Bench, name: &str, bytes: &[u8]) {
    let stored = bench.server.blob(name, &Digest::of(bytes).prefixed());
    assert!(stored.is_some_and(|stored| *stored == *bytes), "{name}");
    assert_eq!(bench.server.unfinished_uploads(), 0);
}

#[test]
fn a_blob_is_sent_once_and_mounted_from_another_repository() {
    let bench = Bench::new(testkit::Registry::new());
    for bytes in [b"small".to_vec(), large(3 * MIB)] {
        let size = bytes.len() as u64;
        assert_eq!(bench.push("a/b", &bytes).unwrap(), Sent::Bytes(size));
        assert_there(&bench, "a/b", &bytes);
        assert_eq!(bench.push("a/b", &bytes).unwrap(), Sent::Present);
        assert_eq!(bench.push_from("c", &bytes, &["none", "a/b"]).unwrap(), Sent::Mounted);
        assert_there(&bench, "c", &bytes);
        // The other repository does not have the blob. So the registry begins an upload, and that upload is used.
        assert_eq!(bench.push_from("d", &bytes, &["none"]).unwrap(), Sent::Bytes(size));
        assert_there(&bench, "d", &bytes);
    }
    assert_eq!(bench.server.received_bytes(), 2 * (5 + 3 * MIB as u64));
    assert_eq!(bench.server.count(Operation::StartUpload), 2);
    // A small blob is sent in one request. A large blob needs a chunk and a request that completes the upload.
    assert_eq!(bench.server.count(Operation::UploadChunk), 2);
}

#[test]
fn an_empty_blob_and_every_kind_of_registry_work() {
    use testkit::Registry;
    let kinds = [
        Registry::new(),
        Registry::new().absolute_locations(),
        Registry::new().monolithic_only(),
        Registry::new().refuses_mounts(),
        Registry::new().least_chunk(2 << 20),
        Registry::new().tls(),
        Registry::new().without_single_posts().forgets_cut_uploads(),
    ];
    for kind in kinds {
        let bench = Bench::new(kind);
        for bytes in [Vec::new(), large(3 * MIB)] {
            assert_eq!(bench.push_from("a", &bytes, &["b"]).unwrap(), Sent::Bytes(bytes.len() as u64));
            assert_there(&bench, "a", &bytes);
        }
    }
}

#[test]
fn an_upload_is_continued_after_the_connection_broke() {
    let bench = Bench::new(testkit::Registry::new());
    let bytes = large(5 * MIB);
    bench.server.fault(Fault::on(Operation::UploadChunk).cut_request(2 * MIB as u64));
    assert_eq!(bench.push("a", &bytes).unwrap(), Sent::Bytes(bytes.len() as u64));
    assert_there(&bench, "a", &bytes);
    assert_eq!(bench.server.count(Operation::UploadStatus), 1);
    // No byte is sent twice.
    assert_eq!(bench.server.received_bytes(), bytes.len() as u64);
    let ranges: Vec<String> = bench
        .server
        .exchanges_of(Operation::UploadChunk)
        .iter()
        .map(|exchange| exchange.headers.get("content-range").cloned().unwrap_or_default())
        .collect();
    // The first request has the whole blob, so it needs no range.
    assert_eq!(ranges, ["", "2097152-5242879"]);
}

/// A reader that pauses before each read.
struct Slow(io::Cursor<Vec<u8>>);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        std::thread::sleep(Duration::from_millis(100));
        self.0.read(buffer)
    }
}

/// Returns a client that gives up a request after one second without progress.
fn impatient() -> Bench {
    let server = testkit::Registry::new().serve();
    Bench::with_timeout(server, RegistrySettings::default(), Duration::from_secs(1))
}

#[test]
fn an_upload_may_take_longer_than_the_timeout_while_bytes_are_sent() {
    let bench = impatient();
    let bytes = large(3 * MIB);
    let open = || Ok(Box::new(Slow(io::Cursor::new(bytes.clone()))) as Box<dyn Read + Send>);
    // The body has 24 chunks, so it takes more than two seconds.
    let sent = bench.registry.push_blob(&bench.image("a"), &blob(&bytes), &open, &[]).unwrap();
    assert_eq!(sent, Sent::Bytes(bytes.len() as u64));
    assert_there(&bench, "a", &bytes);
    assert_eq!(bench.server.count(Operation::UploadChunk), 1);
}

#[test]
fn an_upload_that_makes_no_progress_is_continued() {
    let bench = impatient();
    let bytes = large(3 * MIB);
    bench.server.fault(Fault::on(Operation::UploadChunk).hang());
    assert_eq!(bench.push("a", &bytes).unwrap(), Sent::Bytes(bytes.len() as u64));
    assert_there(&bench, "a", &bytes);
    bench.server.fault(Fault::on(Operation::PutManifest).hang());
    bench.push("a", b"{}").unwrap();
    bench.registry.push_manifest(&bench.image("a:1"), &manifest()).unwrap();
    let events = bench.heard.0.lock().unwrap().join("\n");
    assert_eq!(events.matches("has neither taken nor sent any bytes for 1 seconds").count(), 2, "{events}");
}

#[test]
fn an_upload_that_the_registry_forgot_begins_again() {
    let bytes = large(5 * MIB);
    let bench = Bench::new(testkit::Registry::new().forgets_cut_uploads());
    bench.server.fault(Fault::on(Operation::UploadChunk).cut_request(2 * MIB as u64));
    bench.push("a", &bytes).unwrap();
    assert_there(&bench, "a", &bytes);
    let bench = Bench::new(testkit::Registry::new());
    bench.server.fault(Fault::on(Operation::FinishUpload).forget_uploads());
    bench.push("a", &bytes).unwrap();
    assert_there(&bench, "a", &bytes);
    assert_eq!(bench.server.count(Operation::StartUpload), 2);
}

#[test]
fn an_answer_that_was_lost_does_not_send_the_blob_again() {
    let bytes = large(2 * MIB);
    let bench = Bench::new(testkit::Registry::new());
    bench.server.fault(Fault::on(Operation::FinishUpload).no_reply());
    assert_eq!(bench.push("a", &bytes).unwrap(), Sent::Bytes(bytes.len() as u64));
    assert_eq!(bench.server.received_bytes(), bytes.len() as u64);
    assert_there(&bench, "a", &bytes);
}

#[test]
fn a_registry_that_dies_and_comes_back_gets_the_rest() {
    let bytes = large(5 * MIB);
    let bench = Bench::new(testkit::Registry::new());
    bench.server.fault(Fault::on(Operation::UploadChunk).stop(2 * MIB as u64, Duration::from_millis(1500)));
    assert_eq!(bench.push("a", &bytes).unwrap(), Sent::Bytes(bytes.len() as u64));
    assert_there(&bench, "a", &bytes);
}

#[test]
fn a_proxy_with_a_limit_gets_smaller_chunks() {
    let bytes = large(20 * MIB);
    let bench = Bench::new(testkit::Registry::new().least_chunk(1 << 20));
    bench.server.fault(Fault::on(Operation::UploadChunk).times(3).early_status(413));
    bench.push("a", &bytes).unwrap();
    assert_there(&bench, "a", &bytes);
    // Chunks of 20, 5 and 1.25 MiB were too large, and the registry requires at least 1 MiB.
    assert_eq!(accepted_chunks(&bench), [MIB as u64; 20]);
}

/// Returns the sizes of the chunks that the registry has accepted.
fn accepted_chunks(bench: &Bench) -> Vec<u64> {
    let chunks = bench.server.exchanges_of(Operation::UploadChunk);
    chunks.iter().filter(|one| one.status == 202).map(|one| one.received_bytes).collect()
}

#[test]
fn a_registry_that_limits_chunks_with_a_range_gets_the_whole_blob_or_small_chunks() {
    let limited = || testkit::Registry::new().most_ranged_chunk(4 << 20);
    let bytes = large(20 * MIB);
    let bench = Bench::new(limited());
    bench.push("a", &bytes).unwrap();
    assert_there(&bench, "a", &bytes);
    assert_eq!(accepted_chunks(&bench), [bytes.len() as u64]);
    // The connection breaks, and the registry loses the upload. So the blob is sent in chunks, and the first one is too
    // large.
    for losses in [1, 2] {
        let bench = Bench::new(limited().forgets_cut_uploads());
        bench.server.fault(Fault::on(Operation::UploadChunk).cut_request(2 * MIB as u64));
        // The registry does not know the upload after it has refused a chunk.
        bench.server.fault(Fault::on(Operation::UploadStatus).times(losses).status(404));
        bench.push("a", &bytes).unwrap();
        assert_eq!(bench.server.blob("a", &Digest::of(&bytes).prefixed()).unwrap().len(), bytes.len());
        let accepted = accepted_chunks(&bench);
        assert_eq!(accepted, [3, 3, 3, 3, 3, 3, 2].map(|size| size * MIB as u64), "{losses}");
    }
}

#[test]
fn a_proxy_with_a_limit_gets_smaller_chunks_even_if_the_upload_was_lost() {
    let bytes = large(8 * MIB);
    let bench = Bench::new(testkit::Registry::new());
    bench.server.fault(Fault::on(Operation::UploadChunk).status(413));
    bench.server.fault(Fault::on(Operation::UploadStatus).status(404));
    bench.push("a", &bytes).unwrap();
    assert_eq!(accepted_chunks(&bench), [2 * MIB as u64; 4]);
}

#[test]
fn a_chunk_that_is_kept_counts_even_if_the_registry_reports_the_range_of_another_one() {
    let bytes = large(8 * MIB);
    for (range, breaks) in [("0-2097151", false), ("0-0", false), ("0-2097151", true)] {
        let bench = Bench::new(testkit::Registry::new());
        // After this response, the blob is sent in four chunks.
        bench.server.fault(Fault::on(Operation::UploadChunk).status(413));
        if breaks {
            // The connection breaks before the registry keeps any byte of the third chunk.
            bench.server.fault(Fault::on(Operation::UploadChunk).after(2).cut_request(0));
            bench.server.fault(Fault::on(Operation::UploadStatus).after(1).header("Range", range));
        }
        bench.server.fault(Fault::on(Operation::UploadChunk).always().header("Range", range));
        assert_eq!(bench.push("a", &bytes).unwrap(), Sent::Bytes(bytes.len() as u64), "{range}");
        assert_there(&bench, "a", &bytes);
        assert_eq!(bench.server.count(Operation::StartUpload), 1, "{range}");
        assert_eq!(accepted_chunks(&bench).iter().sum::<u64>(), bytes.len() as u64, "no byte is sent twice");
    }
}

#[test]
fn passing_failures_are_tried_again_and_lasting_ones_are_told() {
    let bench = Bench::new(testkit::Registry::new());
    for operation in [Operation::HeadBlob, Operation::StartUpload, Operation::FinishUpload] {
        bench.server.fault(Fault::on(operation).status(503));
    }
    bench.push("a", b"bytes").unwrap();
    bench.server.fault(Fault::on(Operation::StartUpload).status_with(429, "Retry-After", "1"));
    bench.push("a", b"others").unwrap();
    let events = bench.heard.0.lock().unwrap().join("\n");
    assert!(events.contains("429 Too Many Requests") && events.contains("trying again in 1000 ms"), "{events}");
    bench.server.fault(Fault::on(Operation::StartUpload).status(400));
    let error = bench.push("a", b"refused").unwrap_err();
    let digest = Digest::of(b"refused").prefixed();
    let host = bench.server.host();
    assert!(
        told(&error)
            .starts_with(&format!("cannot push the blob `{digest}` to `{host}/a`: `{host}` answers 400 Bad Request (")),
        "{error}"
    );
}

#[test]
fn a_full_registry_is_told_at_once() {
    let bench = Bench::new(testkit::Registry::new().full_after_with(1000, 507));
    let error = bench.push("a", &large(2 * MIB)).unwrap_err();
    assert!(told(&error).contains("answers 507 Insufficient Storage"), "{error}");
    assert_eq!(bench.server.stored_bytes(), 0);
    let bench = Bench::new(testkit::Registry::new().full_after_with(1000, 413));
    let error = bench.push("a", &large(2 * MIB)).unwrap_err();
    assert!(told(&error).contains("answers 413 Payload Too Large"), "{error}");
}

#[test]
fn bytes_that_cannot_be_read_or_are_others_are_no_blob() {
    let bench = Bench::new(testkit::Registry::new());
    let bytes = large(2 * MIB);
    let broken = || {
        let error = io::Error::other("the disk is broken");
        Ok(Box::new(io::Cursor::new(large(MIB)).chain(Broken(Some(error)))) as Box<dyn Read + Send>)
    };
    let error = bench.registry.push_blob(&bench.image("a"), &blob(&bytes), &broken, &[]).unwrap_err();
    assert!(told(&error).ends_with("cannot read its bytes: the disk is broken"), "{}", told(&error));
    let others = || Ok(Box::new(io::Cursor::new(vec![0_u8; 2 * MIB])) as Box<dyn Read + Send>);
    let error = bench.registry.push_blob(&bench.image("a"), &blob(&bytes), &others, &[]).unwrap_err();
    assert!(told(&error).contains("answers 400 Bad Request (DIGEST_INVALID"), "{error}");
    assert!(bench.server.blob("a", &Digest::of(&bytes).prefixed()).is_none());
}

/// A reader that fails at the first read.
struct Broken(Option<io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

#[test]
fn several_blobs_are_pushed_at_once_and_the_results_are_in_order() {
    let bench = Bench::new(testkit::Registry::new());
    bench.server.put_blob("a", b"1");
    let blobs: Vec<Vec<u8>> = vec![large(2 * MIB), b"1".to_vec(), b"22".to_vec()];
    let uploads: Vec<Upload<'_>> = blobs
        .iter()
        .map(|bytes| Upload {
            title: "layer".to_owned(),
            blob: blob(bytes),
            open: Box::new(|| Ok(Box::new(io::Cursor::new(bytes.clone())) as Box<dyn Read + Send>)),
            mount_from: Vec::new(),
        })
        .collect();
    let sent = bench.registry.push_blobs(&bench.image("a"), &uploads).unwrap();
    assert_eq!(sent, [Sent::Bytes(2 * MIB as u64), Sent::Present, Sent::Bytes(2)]);
    let events = bench.heard.0.lock().unwrap().join("\n");
    assert!(events.contains("UploadStarted") && events.contains("bytes: 2097152"), "{events}");
}

#[test]
fn a_manifest_is_pushed_to_its_tag_or_by_its_digest() {
    let bench = Bench::new(testkit::Registry::new());
    let document = manifest();
    let error = bench.registry.push_manifest(&bench.image("a:1"), &document).unwrap_err();
    assert!(told(&error).contains("MANIFEST_BLOB_UNKNOWN"), "{error}");
    bench.push("a", b"{}").unwrap();
    bench.server.fault(Fault::on(Operation::PutManifest).times(2).status(500));
    bench.registry.push_manifest(&bench.image("a:1"), &document).unwrap();
    assert_eq!(bench.server.tags("a")["1"], document.digest.0.prefixed());
    let by_digest = bench.image("a").with_digest(document.digest);
    bench.registry.push_manifest(&by_digest, &document).unwrap();
    assert_eq!(bench.server.tags("a").len(), 1);
    bench.server.fault(Fault::on(Operation::PutManifest).wrong_digest_header());
    let error = bench.registry.push_manifest(&bench.image("a:2"), &document).unwrap_err();
    assert!(matches!(error, RegistryError::Digest { .. }), "{error}");
}

/// Makes a request fail with a status each time, and returns the error of the push or the pull.
fn failed_with(operation: Operation, status: u16) -> String {
    let bench = Bench::new(testkit::Registry::new());
    bench.push("a", b"{}").unwrap();
    bench.put_manifest("a", "1");
    bench.server.fault(Fault::on(operation).always().status(status));
    let outcome = match operation {
        Operation::GetManifest => bench.registry.manifest(&bench.image("a:1")).map(drop),
        Operation::GetBlob => bench.fetch("a", b"{}").map(drop),
        Operation::PutManifest => bench.registry.push_manifest(&bench.image("a:2"), &manifest()),
        _ => bench.push("a", b"others").map(drop),
    };
    outcome.map_or_else(|error| told(&error), |()| "no error".to_owned())
}

#[test]
fn each_lasting_status_of_the_specification_is_an_error_that_names_it() {
    use Operation::{FinishUpload, GetBlob, GetManifest, HeadBlob, PutManifest, StartUpload};
    for operation in [HeadBlob, StartUpload, FinishUpload, PutManifest, GetManifest, GetBlob] {
        for status in [400, 401, 403, 404, 405, 413, 416] {
            let error = failed_with(operation, status);
            match (operation, status) {
                (HeadBlob, 404) => assert_eq!(error, "no error", "the blob is sent"),
                (GetManifest, 404) => assert!(error.contains("a:1"), "{error}"),
                // With these statuses, the registry reports that it does not know the upload.
                (FinishUpload, 404 | 416) => assert!(error.ends_with("the registry has lost the upload"), "{error}"),
                _ => assert!(error.contains(&status.to_string()), "{operation:?} {status}: {error}"),
            }
        }
    }
}
