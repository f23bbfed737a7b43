//! The door to the Debian half: archives of Debian and Ubuntu. The archives are trusted by their signatures, never by
//! the mirror.

pub(crate) mod details;
pub(crate) mod extents;
pub(crate) mod index;
mod lines;
mod mirrors;
pub(crate) mod signature;
mod sonames;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::sync::{Mutex, PoisonError};

use flate2::read::MultiGzDecoder;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::catalog::releases;
use crate::formats::release::{IndexFile, Release, ReleaseError};
use crate::model::digest::Digest;
use crate::model::hint::{ArchiveHint, Hint, Hints, RequestHint};
use crate::model::lock::LockedRelease;
use crate::model::platform::Architecture;
use crate::model::request::{Distribution, ReleaseRequest};
use crate::model::secret_text::SecretText;
use crate::outside::archive::details::DetailIndex;
use crate::outside::archive::extents::Extent;
use crate::outside::archive::index::PackageIndex;
use crate::outside::archive::lines::Bounded;
use crate::outside::archive::mirrors::Pocket;
use crate::outside::archive::signature::{Keyring, SignatureError, Verified};
use crate::outside::http::{Conditional, Download, Http, HttpError};
use crate::outside::store::{Bucket, Form, Store, StoreError};

const MAX_RELEASE_BYTES: u64 = 8 << 20;
/// The maximum size of a packed index. The size is limited, because the packed index is held in memory.
const MAX_PACKED_BYTES: u64 = 128 << 20;
/// The maximum unpacked size of a list of all files. Ubuntu's list has 830 MB.
const MAX_CONTENTS_BYTES: u64 = 8 << 30;

/// Access to archives, with the keys to trust.
pub(crate) struct Archive {
    keyring: Option<Keyring>,
    /// The snapshots that this process has made, each with its key. A snapshot is used again, so that an image and the
    /// builds of its sources use the same state of an archive.
    snapshots: Mutex<Vec<(SnapshotKey, Snapshot)>>,
}

/// Everything that a snapshot depends on, except the time.
#[derive(Debug, PartialEq, Eq)]
struct SnapshotKey {
    distribution: Distribution,
    main_suite: String,
    architecture: Architecture,
    /// The URLs of the Release files.
    urls: Vec<String>,
}

#[derive(Debug, Error)]
pub(crate) enum ArchiveError {
    #[error("cannot read the archive's `{suite}`")]
    Fetch { suite: String, source: HttpError },
    #[error("cannot use the mirror `{mirror}`: it is not a plain URL of http or https")]
    Mirror { mirror: SecretText },
    #[error("cannot find the suite `{suite}` in the archive `{mirror}`")]
    NoSuite { suite: String, mirror: String, distribution: Distribution },
    #[error("cannot trust the archive's `{suite}`")]
    Signature { suite: String, source: SignatureError },
    #[error("cannot use the archive's `{suite}`")]
    Release { suite: String, source: ReleaseError },
    #[error("cannot use the archive's `{suite}`: its Release file is of `{found}`")]
    Suite { suite: String, found: String },
    #[error("cannot use the archive's `{suite}`: it expired on {until}")]
    Expired { suite: String, until: String },
    #[error("cannot use the archive's `{suite}`: it has no `{path}`")]
    NoIndex { suite: String, path: String },
    #[error("cannot use the archive's `{path}` from `{url}`: its sha256 is not the one in the signed Release file")]
    IndexDigest { path: String, url: String },
    #[error("cannot read the archive's `{path}`")]
    IndexText { path: String, source: std::io::Error },
    #[error("cannot read the keys that lath contains for {0}")]
    NoKeys(Distribution, #[source] SignatureError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hints for ArchiveError {
    fn own_hints(&self) -> Vec<Hint> {
        let hint = match self {
            Self::Mirror { .. } => return vec![Hint::Request(RequestHint::PercentEncode)],
            Self::NoSuite { suite, .. } if suite.ends_with("-security") => ArchiveHint::SecurityMirror,
            Self::NoSuite { distribution, .. } => {
                let known = mirrors::suites(*distribution);
                let known = known.map(|suite| format!("{distribution}:{suite}")).collect();
                ArchiveHint::OtherRelease { known }
            }
            Self::Signature { source: SignatureError::Unsigned { is_html: true }, .. } => ArchiveHint::ProxyPage,
            Self::Signature { source: SignatureError::Untrusted { .. }, .. } => ArchiveHint::Keyring,
            Self::Expired { .. } => ArchiveHint::StaleMirror,
            Self::IndexDigest { .. } => ArchiveHint::UpdatingMirror,
            Self::NoIndex { .. } => ArchiveHint::PlatformMirror,
            _ => return Vec::new(),
        };
        vec![Hint::Archive(hint)]
    }

    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Fetch { source, .. } => Some(source),
            Self::Store(error) => Some(error),
            Self::Signature { source, .. } | Self::NoKeys(_, source) => Some(source),
            _ => None,
        }
    }
}

/// An InRelease file from the last fetch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KeptRelease {
    etag: Option<String>,
    text: String,
}

/// An index whose digest is in a signed Release file.
#[derive(Debug, Clone)]
pub(crate) struct SignedIndex {
    pub(crate) mirror: String,
    url: String,
    path: String,
    file: (Digest, u64),
}

/// The current contents of the archive according to its signed Release files. A snapshot is cheap to create, because no
/// index is read.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) indexes: Vec<SignedIndex>,
    architecture: Architecture,
    /// The indexes that list all files of all packages.
    contents: Vec<SignedIndex>,
    /// The indexes that list the files of packages for every architecture (`Architecture: all`). Empty if the archive
    /// has no separate lists for such packages.
    contents_of_all: Vec<SignedIndex>,
    /// The sizes of the files that `apt-get update` would download. There is one entry per pocket, in order.
    pub(crate) lists: Vec<AptLists>,
    /// The Release files of the pockets, in order.
    pub(crate) releases: Vec<LockedRelease>,
}

/// The unpacked sizes, in bytes, of the files that `apt-get update` fetches from one pocket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct AptLists {
    pub(crate) release: u64,
    pub(crate) packages: u64,
    /// The English descriptions of packages.
    pub(crate) translations: u64,
}

/// The other doors that are needed to read an archive, and the time.
#[derive(Clone, Copy)]
pub(crate) struct Access<'a> {
    pub(crate) http: &'a Http,
    pub(crate) store: &'a Store,
    /// Seconds since 1970.
    pub(crate) now_secs: u64,
}

impl Snapshot {
    fn new(architecture: Architecture) -> Self {
        Self {
            indexes: Vec::new(),
            architecture,
            contents: Vec::new(),
            contents_of_all: Vec::new(),
            lists: Vec::new(),
            releases: Vec::new(),
        }
    }

    /// Adds the indexes of a pocket. The lists of files come only from the `main_suite`, because the lists of the
    /// updates are empty or very large.
    fn add(&mut self, pocket: &Pocket, trusted: &Trusted, main_suite: &str) -> Result<(), ArchiveError> {
        let Trusted { release, text_bytes, keys } = trusted;
        let architecture = self.architecture.name();
        self.releases.push(LockedRelease {
            suite: pocket.suite.clone(),
            mirror: pocket.mirror.clone(),
            date: release.date_secs.map(date),
            keys: keys.clone(),
        });
        self.lists.push(apt_lists(pocket, self.architecture, release, *text_bytes));
        for component in pocket.components {
            let name = format!("{component}/binary-{architecture}/Packages");
            let mut forms = ["xz", "gz"].into_iter().map(|form| format!("{name}.{form}"));
            let Some(path) = forms.find(|path| release.indexes.contains_key(path)) else {
                return Err(ArchiveError::NoIndex { suite: pocket.place(), path: format!("{name}.xz") });
            };
            let file = &release.indexes[&path];
            self.indexes.push(signed_index(pocket, release, path, file));
        }
        if pocket.suite != main_suite {
            return Ok(());
        }
        let list = |path: String| {
            let file = release.indexes.get(&path)?;
            Some(signed_index(pocket, release, path, file))
        };
        // Debian has one such list per component. Ubuntu has one list for all components.
        let name = format!("Contents-{architecture}.gz");
        self.contents.extend([format!("main/{name}"), name].into_iter().filter_map(list));
        self.contents_of_all.extend(list("main/Contents-all.gz".to_owned()));
        Ok(())
    }

    /// Returns a key. Two snapshots with the same key contain the same packages on the same mirrors.
    pub(crate) fn key(&self) -> Digest {
        let fields = self
            .indexes
            .iter()
            .chain(&self.contents)
            .flat_map(|index| [index.mirror.as_bytes(), index.file.0.as_bytes().as_slice()]);
        Digest::of_fields(fields)
    }
}

impl Archive {
    pub(crate) fn new(keyring: Option<Keyring>) -> Self {
        Self { keyring, snapshots: Mutex::default() }
    }

    /// Returns the state of all pockets of `base`. This process fetches and verifies their Release files only once.
    pub(crate) fn snapshot(
        &self,
        base: &ReleaseRequest,
        architecture: Architecture,
        access: Access<'_>,
    ) -> Result<Snapshot, ArchiveError> {
        let pockets = mirrors::pockets(base, architecture, access.http.credentials())?;
        let urls = pockets.iter().map(Pocket::url).collect();
        let (distribution, main_suite) = (base.distribution, base.suite.clone());
        let key = SnapshotKey { distribution, main_suite, architecture, urls };
        // The lock is held during the fetch, so a second caller waits, and then uses the snapshot of the first one.
        let mut known = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, snapshot)) = known.iter().find(|(other, _)| *other == key) {
            return Ok(snapshot.clone());
        }
        let snapshot = self.fetched(base, &pockets, architecture, access)?;
        known.push((key, snapshot.clone()));
        Ok(snapshot)
    }

    /// Fetches and verifies the Release files of `pockets`.
    fn fetched(
        &self,
        base: &ReleaseRequest,
        pockets: &[Pocket],
        architecture: Architecture,
        access: Access<'_>,
    ) -> Result<Snapshot, ArchiveError> {
        let Access { http, store, now_secs } = access;
        let own;
        let keyring = match (&self.keyring, base.distribution) {
            (Some(keyring), _) => keyring,
            (None, distribution) => {
                own = Keyring::read(releases::archive(distribution).keyring())
                    .map_err(|error| ArchiveError::NoKeys(distribution, error))?;
                &own
            }
        };
        // If lath is offline, an expired file in the store is accepted. It was valid when it was fetched, and a newer
        // one cannot be fetched.
        let not_after = (!http.is_offline()).then_some(now_secs);
        let mut snapshot = Snapshot::new(architecture);
        for (pocket, fetched) in pockets.iter().zip(in_releases(pockets, base.distribution, http, store)?) {
            let trusted = |kept: &KeptRelease| {
                let trusted = trusted(kept, keyring, &pocket.place(), store)?;
                judge(base.distribution, pocket, &trusted.release, not_after)?;
                Ok::<_, ArchiveError>(trusted)
            };
            let mut current = trusted(&fetched.release)?;
            // If a mirror serves an older Release than the stored one, the stored one is used. The mirror may be stale,
            // or this may be a downgrade attack. apt does the same.
            let before = fetched.before.as_ref().and_then(|before| trusted(before).ok());
            match before.filter(|before| before.release.date_secs > current.release.date_secs) {
                Some(newer) => current = newer,
                None if fetched.is_new => store.write_entry(Bucket::Releases, &pocket.key(), &fetched.release)?,
                None => {}
            }
            snapshot.add(pocket, &current, &base.suite)?;
        }
        Ok(snapshot)
    }

    /// Reads the packages of a snapshot. Indexes that are not in the store are fetched.
    pub(crate) fn load(&self, snapshot: &Snapshot, access: Access<'_>) -> Result<PackageIndex, ArchiveError> {
        let mut whole = PackageIndex::default();
        for (index, reduced) in snapshot.indexes.iter().zip(reduced(&snapshot.indexes, PACKAGES, access)?) {
            whole.add(&index.mirror, reduced);
        }
        Ok(whole)
    }

    /// Reads those data about packages that the resolution does not use.
    pub(crate) fn details(&self, snapshot: &Snapshot, access: Access<'_>) -> Result<DetailIndex, ArchiveError> {
        let mut whole = DetailIndex::default();
        for reduced in reduced(&snapshot.indexes, DETAILS, access)? {
            whole.add(reduced);
        }
        Ok(whole)
    }

    /// Returns how many files each package has, according to the archive's lists of all files. Returns `None` if these
    /// lists are not available. For example, a mirror may serve lists that are older than its Release file, so their
    /// digests are wrong.
    pub(crate) fn extents(
        &self,
        snapshot: &Snapshot,
        access: Access<'_>,
    ) -> Result<Option<BTreeMap<String, Extent>>, ArchiveError> {
        let Access { store, now_secs, .. } = access;
        const DAY_SECS: u64 = 24 * 60 * 60;
        let lists: Vec<&SignedIndex> = snapshot.contents.iter().chain(&snapshot.contents_of_all).collect();
        let key = Digest::of_fields(lists.iter().map(|list| list.file.0.as_bytes().as_slice()));
        // These lists have tens of megabytes, so after a failure they are fetched again only after a day.
        if store
            .entry(Bucket::ListsOutOfReach, &key)
            .is_some_and(|tried_secs: u64| tried_secs.saturating_add(DAY_SECS) > now_secs)
        {
            return Ok(None);
        }
        let reduced: Result<Vec<String>, ArchiveError> = lists
            .par_iter()
            .map(|list| reduced_contents(list, Form::Extents, &|text| extents::reduce(text), access))
            .collect();
        match reduced {
            Ok(reduced) if !reduced.is_empty() => {
                let mut whole = BTreeMap::new();
                for reduced in reduced {
                    extents::read(&reduced, &mut whole);
                }
                Ok(Some(whole))
            }
            Err(ArchiveError::Fetch {
                source: HttpError::Status { .. } | HttpError::Refused { .. } | HttpError::Digest { .. },
                ..
            }) => {
                store.write_entry(Bucket::ListsOutOfReach, &key, &now_secs)?;
                Ok(None)
            }
            Ok(_) | Err(ArchiveError::Fetch { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Finds the packages of shared libraries in the archive's list of all files. Libraries that no package contains
    /// are left out.
    pub(crate) fn packages_for_sonames(
        &self,
        snapshot: &Snapshot,
        index: &PackageIndex,
        sonames: &BTreeSet<String>,
        access: Access<'_>,
    ) -> Result<BTreeMap<String, String>, ArchiveError> {
        let mut found = BTreeMap::new();
        for contents in &snapshot.contents {
            if found.len() == sonames.len() {
                break;
            }
            let libraries = |list: &mut dyn BufRead| sonames::reduce(list, snapshot.architecture);
            let reduced = reduced_contents(contents, Form::Sonames, &libraries, access)?;
            for soname in sonames {
                if let Some(package) = sonames::packages_of(&reduced, soname).find(|name| index.has(name)) {
                    found.entry(soname.clone()).or_insert_with(|| package.to_owned());
                }
            }
        }
        Ok(found)
    }
}

/// A reduced form of `Packages`, and the function that creates it.
type Reduction = (Form, fn(&[u8], bool) -> std::io::Result<String>);

const PACKAGES: Reduction = (Form::Packages, index::reduce);
const DETAILS: Reduction = (Form::PackageDetails, details::reduce);

/// Returns the reduced texts of the indexes. Indexes that are not in the store are fetched, all in parallel, and kept.
fn reduced(
    indexes: &[SignedIndex],
    (form, reduce): Reduction,
    Access { http, store, .. }: Access<'_>,
) -> Result<Vec<String>, ArchiveError> {
    let missing: Vec<&SignedIndex> =
        indexes.iter().filter(|index| !store.has_segment(&index.reduced_key(form))).collect();
    let bound = |index: &SignedIndex| index.file.1.min(MAX_PACKED_BYTES);
    let requests: Vec<_> = missing.iter().map(|index| (index.url.clone(), None, bound(index))).collect();
    for (index, answer) in missing.into_iter().zip(http.get_all_if_changed(&requests)) {
        let (digest, size_bytes) = (index.file.0, bound(index));
        let failed = |source| ArchiveError::Fetch { suite: index.path.clone(), source };
        let packed = match answer {
            Ok(Conditional::Changed { bytes, .. }) => bytes,
            Ok(Conditional::Unchanged) | Err(HttpError::Status { .. } | HttpError::Refused { .. }) => {
                http.get(&index.plain_url(), size_bytes).map_err(failed)?
            }
            Err(source) => return Err(failed(source)),
        };
        if Digest::of(&packed) != digest {
            return Err(ArchiveError::IndexDigest { path: index.path.clone(), url: index.url.clone() });
        }
        let unreadable = |source| ArchiveError::IndexText { path: index.path.clone(), source };
        let reduced = reduce(&packed, index.path.ends_with(".gz")).map_err(unreadable)?;
        store.put_segment(&index.reduced_key(form), reduced.as_bytes())?;
    }
    let read = |index: &SignedIndex| {
        let unreadable = |source| ArchiveError::IndexText { path: index.path.clone(), source };
        fs_err::read_to_string(store.segment_path(&index.reduced_key(form))).map_err(unreadable)
    };
    indexes.iter().map(read).collect()
}

/// Returns a list of all files in the reduced form `form`, from the store or from the network.
fn reduced_contents(
    contents: &SignedIndex,
    form: Form,
    reduce: &(dyn Fn(&mut dyn BufRead) -> std::io::Result<String> + Sync),
    Access { http, store, .. }: Access<'_>,
) -> Result<String, ArchiveError> {
    let (digest, size_bytes) = contents.file;
    let key = Digest::of_fields([form.name().as_bytes(), digest.as_bytes()]);
    let unreadable = |source| ArchiveError::IndexText { path: contents.path.clone(), source };
    if store.has_segment(&key) {
        return fs_err::read_to_string(store.segment_path(&key)).map_err(unreadable);
    }
    let item = Download {
        name: contents.path.clone(),
        url: contents.url.clone(),
        other_urls: Vec::new(),
        digest,
        size_bytes: Some(size_bytes),
    };
    let fetched = match http.download_all(std::slice::from_ref(&item), store) {
        Err(HttpError::Status { .. } | HttpError::Refused { .. }) => {
            http.download_all(&[Download { url: contents.plain_url(), ..item }], store)
        }
        other => other,
    };
    fetched.map_err(|source| ArchiveError::Fetch { suite: contents.path.clone(), source })?;
    let parcel = store.parcel_path(&digest);
    let file = fs_err::File::open(&parcel).map_err(unreadable)?;
    let mut unpacked = BufReader::with_capacity(128 << 10, Bounded::new(MultiGzDecoder::new(file), MAX_CONTENTS_BYTES));
    let reduced = reduce(&mut unpacked).map_err(unreadable)?;
    store.put_segment(&key, reduced.as_bytes())?;
    // The complete list is not needed again. If it cannot be removed, it only uses disk space.
    let _ = fs_err::remove_file(parcel);
    Ok(reduced)
}

impl SignedIndex {
    fn reduced_key(&self, form: Form) -> Digest {
        Digest::of_fields([form.name().as_bytes(), self.file.0.as_bytes()])
    }

    /// Returns the URL that contains the file's name. It is needed because some mirrors do not serve files by digest.
    fn plain_url(&self) -> String {
        format!("{}/dists/{}", self.mirror, self.path)
    }
}

/// Returns the sizes of the lists that apt would store for a pocket. The Release contains the sizes of the unpacked
/// indexes.
fn apt_lists(pocket: &Pocket, architecture: Architecture, release: &Release, release_bytes: usize) -> AptLists {
    let size = |path: String| release.indexes.get(&path).map_or(0, |file| file.size_bytes);
    let components = || pocket.components.iter();
    AptLists {
        release: release_bytes as u64,
        packages: components().map(|it| size(format!("{it}/binary-{}/Packages", architecture.name()))).sum(),
        translations: components().map(|it| size(format!("{it}/i18n/Translation-en"))).sum(),
    }
}

fn signed_index(pocket: &Pocket, release: &Release, path: String, file: &IndexFile) -> SignedIndex {
    let dists = format!("{}/dists/{}", pocket.mirror, pocket.suite);
    let url = match (release.acquires_by_hash, path.rsplit_once('/')) {
        (true, Some((directory, _))) => format!("{dists}/{directory}/by-hash/SHA256/{}", file.digest),
        (true, None) => format!("{dists}/by-hash/SHA256/{}", file.digest),
        _ => format!("{dists}/{path}"),
    };
    let path = format!("{}/{path}", pocket.suite);
    SignedIndex { mirror: pocket.mirror.clone(), url, path, file: (file.digest, file.size_bytes) }
}

/// The InRelease file that the server sent. If the server reports that nothing has changed, this is the stored file.
struct Fetched {
    release: KeptRelease,
    /// Whether the file must be stored after it was verified.
    is_new: bool,
    /// The stored file, if the server sent a different file.
    before: Option<KeptRelease>,
}

/// A release that a key of the keyring has signed.
struct Trusted {
    release: Release,
    /// The length of the signed text.
    text_bytes: usize,
    /// The fingerprints of the keys that signed the text.
    keys: Vec<String>,
}

/// Verifies the signature of a release. If the same keys have verified these bytes before, the result comes from the
/// cache.
fn trusted(kept: &KeptRelease, keyring: &Keyring, suite: &str, store: &Store) -> Result<Trusted, ArchiveError> {
    let key = Digest::of_fields([keyring.digest().as_bytes().as_slice(), kept.text.as_bytes()]);
    let verified = match store.entry::<Verified>(Bucket::VerifiedReleases, &key) {
        Some(verified) => verified,
        None => {
            let verified = keyring.verified(&kept.text);
            let verified = verified.map_err(|source| ArchiveError::Signature { suite: suite.to_owned(), source })?;
            store.write_entry(Bucket::VerifiedReleases, &key, &verified)?;
            verified
        }
    };
    let Verified { text, keys } = verified;
    let release = Release::parse(&text);
    let release = release.map_err(|source| ArchiveError::Release { suite: suite.to_owned(), source })?;
    Ok(Trusted { release, text_bytes: text.len(), keys })
}

/// Fetches the InRelease file of each pocket, all in parallel. A server sends only files that have changed.
fn in_releases(
    pockets: &[Pocket],
    distribution: Distribution,
    http: &Http,
    store: &Store,
) -> Result<Vec<Fetched>, ArchiveError> {
    let kept: Vec<Option<KeptRelease>> =
        pockets.iter().map(|pocket| store.entry(Bucket::Releases, &pocket.key())).collect();
    let requests: Vec<(String, Option<String>, u64)> = pockets
        .iter()
        .zip(&kept)
        .map(|(pocket, kept)| (pocket.url(), kept.as_ref().and_then(|kept| kept.etag.clone()), MAX_RELEASE_BYTES))
        .collect();
    let mut releases = Vec::new();
    for ((answer, kept), pocket) in http.get_all_if_changed(&requests).into_iter().zip(kept).zip(pockets) {
        releases.push(match (answer, kept) {
            (Ok(Conditional::Changed { bytes, etag }), before) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let release = KeptRelease { etag, text };
                // Some servers send no entity tags, so they always send the whole file.
                let is_new = before.as_ref() != Some(&release);
                Fetched { release, is_new, before: before.filter(|_| is_new) }
            }
            (Ok(Conditional::Unchanged) | Err(HttpError::Offline { .. }), Some(release)) => {
                Fetched { release, is_new: false, before: None }
            }
            // The request contained no entity tag, so the response "unchanged" is wrong. A proxy may have sent it
            // because of the entity tag of another client. So the request is sent again. If it fails, its error
            // contains the status.
            (Ok(Conditional::Unchanged), None) => {
                let bytes = http.get(&pocket.url(), MAX_RELEASE_BYTES);
                let bytes = bytes.map_err(|source| ArchiveError::Fetch { suite: pocket.url(), source })?;
                let text = String::from_utf8_lossy(&bytes).into_owned();
                Fetched { release: KeptRelease { etag: None, text }, is_new: true, before: None }
            }
            (Err(HttpError::Status { status, .. }), _) if status.as_u16() == 404 => {
                let (suite, mirror) = (pocket.suite.clone(), pocket.mirror.clone());
                return Err(ArchiveError::NoSuite { suite, mirror, distribution });
            }
            (Err(source), _) => return Err(ArchiveError::Fetch { suite: pocket.url(), source }),
        });
    }
    Ok(releases)
}

fn judge(
    distribution: Distribution,
    pocket: &Pocket,
    release: &Release,
    not_after: Option<u64>,
) -> Result<(), ArchiveError> {
    // All pockets of an Ubuntu suite have the same codename. So the codename does not show whether the server sent the
    // wrong pocket.
    let is_asked =
        release.suite == pocket.suite || (distribution == Distribution::Debian && release.codename == pocket.suite);
    if !is_asked {
        return Err(ArchiveError::Suite { suite: pocket.place(), found: release.suite.clone() });
    }
    match (release.valid_until_secs, not_after) {
        (Some(until), Some(now)) if i64::try_from(now).unwrap_or(i64::MAX) > until => {
            Err(ArchiveError::Expired { suite: pocket.place(), until: date(until) })
        }
        _ => Ok(()),
    }
}

/// Formats a time as in RFC 3339.
fn date(secs: i64) -> String {
    jiff::Timestamp::from_second(secs).map(|time| time.to_string()).unwrap_or_default()
}
