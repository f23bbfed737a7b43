//! The Debian half's door: archives of Debian and Ubuntu, trusted by signature and never by mirror.

pub(crate) mod index;
mod mirrors;
pub(crate) mod signature;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::formats::release::{IndexFile, Release, ReleaseError};
use crate::model::digest::Digest;
use crate::model::platform::Architecture;
use crate::model::request::{BaseRequest, Distribution};
use crate::outside::archive::index::PackageIndex;
use crate::outside::archive::mirrors::Pocket;
use crate::outside::archive::signature::{Keyring, SignatureError};
use crate::outside::http::{Conditional, Http, HttpError};
use crate::outside::store::{Store, StoreError};

const MAX_RELEASE_BYTES: u64 = 8 << 20;

/// Knows which keys to trust.
pub(crate) struct Archive {
    keyring: Option<Keyring>,
}

#[derive(Debug, Error)]
pub(crate) enum ArchiveError {
    #[error("cannot read the archive's `{suite}`")]
    Fetch { suite: String, source: HttpError },
    #[error("cannot trust the archive's `{suite}`")]
    Signature { suite: String, source: SignatureError },
    #[error("cannot use the archive's `{suite}`")]
    Release { suite: String, source: ReleaseError },
    #[error("cannot use the archive's `{suite}`: it says that it is `{found}`")]
    Suite { suite: String, found: String },
    #[error("cannot use the archive's `{suite}`: it was valid until {until}, which has passed")]
    Expired { suite: String, until: String },
    #[error("cannot use the archive's `{suite}`: it has no `{path}`")]
    NoIndex { suite: String, path: String },
    #[error("cannot use the archive's `{path}`: its bytes are not those that the signed Release promises")]
    IndexDigest { path: String },
    #[error("cannot read the archive's `{path}`")]
    IndexText { path: String, source: std::io::Error },
    #[error("cannot read the keys that lath carries for {0}")]
    NoKeys(Distribution, #[source] SignatureError),
    #[error("cannot use {0}: this lath carries no keys of it; give them with `--keyring FILE`")]
    Keyless(Distribution),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An InRelease as it was last fetched.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct KeptRelease {
    etag: Option<String>,
    text: String,
}

/// One `Packages` file that a signed Release vouches for.
#[derive(Debug, Clone)]
pub(crate) struct SignedIndex {
    pub(crate) mirror: String,
    url: String,
    path: String,
    file: (Digest, u64),
}

/// What the archive holds at this moment, by its signed Release files. Cheap: no package has been looked at.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) indexes: Vec<SignedIndex>,
}

impl Snapshot {
    /// Two snapshots with the same key hold the same packages at the same places.
    pub(crate) fn key(&self) -> Digest {
        let fields =
            self.indexes.iter().flat_map(|index| [index.mirror.as_bytes(), index.file.0.as_bytes().as_slice()]);
        Digest::of_fields(fields)
    }
}

impl Archive {
    pub(crate) fn new(keyring: Option<Keyring>) -> Self {
        Self { keyring }
    }

    /// Fetches and verifies the Release files of all pockets of `base`.
    pub(crate) fn snapshot(
        &self,
        base: &BaseRequest,
        architecture: Architecture,
        http: &Http,
        store: &Store,
        now_secs: u64,
    ) -> Result<Snapshot, ArchiveError> {
        let own;
        let keyring = match (&self.keyring, base.distribution) {
            (Some(keyring), _) => keyring,
            (None, Distribution::Debian) => {
                own = Keyring::debian().map_err(|error| ArchiveError::NoKeys(base.distribution, error))?;
                &own
            }
            (None, Distribution::Ubuntu) => return Err(ArchiveError::Keyless(base.distribution)),
        };
        let pockets = mirrors::pockets(base, architecture);
        let mut indexes = Vec::new();
        for (pocket, text) in pockets.iter().zip(in_releases(&pockets, http, store)?) {
            let suite = || format!("{}/dists/{}", pocket.mirror, pocket.suite);
            let text =
                keyring.verified_text(&text).map_err(|source| ArchiveError::Signature { suite: suite(), source })?;
            let release = Release::parse(&text).map_err(|source| ArchiveError::Release { suite: suite(), source })?;
            judge(pocket, &release, now_secs, &suite())?;
            for component in pocket.components {
                let path = format!("{component}/binary-{}/Packages.xz", architecture.name());
                let Some(file) = release.indexes.get(&path) else {
                    return Err(ArchiveError::NoIndex { suite: suite(), path });
                };
                indexes.push(signed_index(pocket, &release, path, file));
            }
        }
        Ok(Snapshot { indexes })
    }

    /// Reads the packages of a snapshot, from the network where the store has not seen them yet.
    pub(crate) fn load(&self, snapshot: &Snapshot, http: &Http, store: &Store) -> Result<PackageIndex, ArchiveError> {
        let mut whole = PackageIndex::default();
        for index in &snapshot.indexes {
            let key = Digest::of_fields([b"packages-1".as_slice(), index.file.0.as_bytes()]);
            let unreadable = |source| ArchiveError::IndexText { path: index.path.clone(), source };
            let reduced = if store.has_segment(&key) {
                fs_err::read_to_string(store.segment_path(&key)).map_err(unreadable)?
            } else {
                let (digest, size_bytes) = index.file;
                let packed = http
                    .get(&index.url, size_bytes)
                    .map_err(|source| ArchiveError::Fetch { suite: index.path.clone(), source })?;
                if Digest::of(&packed) != digest {
                    return Err(ArchiveError::IndexDigest { path: index.url.clone() });
                }
                let reduced = index::reduce(&packed).map_err(unreadable)?;
                store.put_segment(&key, reduced.as_bytes())?;
                reduced
            };
            whole.add(&index.mirror, reduced);
        }
        Ok(whole)
    }
}

fn signed_index(pocket: &Pocket, release: &Release, path: String, file: &IndexFile) -> SignedIndex {
    let dists = format!("{}/dists/{}", pocket.mirror, pocket.suite);
    let url = match (release.acquires_by_hash, path.rsplit_once('/')) {
        (true, Some((directory, _))) => format!("{dists}/{directory}/by-hash/SHA256/{}", file.digest),
        _ => format!("{dists}/{path}"),
    };
    let path = format!("{}/{path}", pocket.suite);
    SignedIndex { mirror: pocket.mirror.clone(), url, path, file: (file.digest, file.size_bytes) }
}

/// The InRelease of each pocket: all asked for at once, each only sent when it changed.
fn in_releases(pockets: &[Pocket], http: &Http, store: &Store) -> Result<Vec<String>, ArchiveError> {
    const SHELF: &str = "releases-1";
    let urls: Vec<String> =
        pockets.iter().map(|pocket| format!("{}/dists/{}/InRelease", pocket.mirror, pocket.suite)).collect();
    let kept: Vec<Option<KeptRelease>> =
        urls.iter().map(|url| store.note(SHELF, &Digest::of(url.as_bytes()))).collect();
    let requests: Vec<(String, Option<String>, u64)> = urls
        .iter()
        .zip(&kept)
        .map(|(url, kept)| (url.clone(), kept.as_ref().and_then(|kept| kept.etag.clone()), MAX_RELEASE_BYTES))
        .collect();
    let mut texts = Vec::new();
    for ((answer, kept), url) in http.get_all_if_changed(&requests).into_iter().zip(kept).zip(urls) {
        let text = match (answer, kept) {
            (Ok(Conditional::Changed { bytes, etag }), _) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                store.write_note(SHELF, &Digest::of(url.as_bytes()), &KeptRelease { etag, text: text.clone() })?;
                text
            }
            (Ok(Conditional::Unchanged) | Err(HttpError::Offline { .. }), Some(kept)) => kept.text,
            (Ok(Conditional::Unchanged), None) => {
                return Err(ArchiveError::Fetch { suite: url.clone(), source: HttpError::Offline { url } });
            }
            (Err(source), _) => return Err(ArchiveError::Fetch { suite: url, source }),
        };
        texts.push(text);
    }
    Ok(texts)
}

fn judge(pocket: &Pocket, release: &Release, now_secs: u64, suite: &str) -> Result<(), ArchiveError> {
    if release.suite != pocket.suite && release.codename != pocket.suite {
        return Err(ArchiveError::Suite { suite: suite.to_owned(), found: release.codename.clone() });
    }
    match release.valid_until_secs {
        Some(until) if i64::try_from(now_secs).unwrap_or(i64::MAX) > until => {
            let until = jiff::Timestamp::from_second(until).map(|time| time.to_string()).unwrap_or_default();
            Err(ArchiveError::Expired { suite: suite.to_owned(), until })
        }
        _ => Ok(()),
    }
}
