//! A fake Debian archive on loopback. It has suites with pockets, signatures, and compressed indexes that are also
//! served by digest.
//!
//! Source: the Debian wiki's "DebianRepository/Format". Like on the real mirrors, the main archive is at `/debian`, and
//! the archive of security fixes is at `/debian-security`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, KeyType, SecretKeyParamsBuilder, SignedPublicKey, SignedSecretKey,
};
use pgp::ser::Serialize as _;
use pgp::types::{Password, Timestamp};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::deb::{Compression, DebSummary, compress, summarize};
use crate::digest::sha256_hex;
use crate::server::{Response, Server};

const DAY_SECS: i64 = 86_400;

/// The parts of a suite. Each is served separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pocket {
    /// For example `trixie`.
    Release,
    /// For example `trixie-updates`.
    Updates,
    /// For example `trixie-security`.
    Security,
}

/// How the archive signs its releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signing {
    Honest,
    Unsigned,
    ByAnotherKey,
    TamperedAfterwards,
}

/// Builds an archive: `DebianArchive::new("trixie").deb(&bytes).serve()`.
#[derive(Debug, Clone)]
pub struct DebianArchive {
    suite: String,
    architectures: Vec<String>,
    debs: Vec<(Pocket, Vec<u8>)>,
    /// Paragraphs of packages that have no .deb.
    paragraphs: Vec<(Pocket, String)>,
    valid_until_secs: Option<i64>,
    has_valid_until: bool,
    has_by_hash: bool,
    signing: Signing,
    has_xz: bool,
    is_on_one_mirror: bool,
    date_secs: Option<i64>,
    has_wrong_index_hash: bool,
    /// The names of packages whose sha256 in the index is wrong.
    wrong_debs: BTreeSet<String>,
}

impl DebianArchive {
    /// Creates a valid archive without packages, for amd64 and arm64. Its releases are valid for a week.
    pub fn new(suite: &str) -> Self {
        Self {
            suite: suite.to_owned(),
            architectures: vec!["amd64".to_owned(), "arm64".to_owned()],
            debs: Vec::new(),
            paragraphs: Vec::new(),
            valid_until_secs: None,
            has_valid_until: true,
            has_by_hash: true,
            signing: Signing::Honest,
            has_xz: true,
            is_on_one_mirror: false,
            date_secs: None,
            has_wrong_index_hash: false,
            wrong_debs: BTreeSet::new(),
        }
    }

    pub fn deb(self, bytes: &[u8]) -> Self {
        self.deb_in(Pocket::Release, bytes)
    }

    /// Adds a package to one pocket.
    pub fn deb_in(mut self, pocket: Pocket, bytes: &[u8]) -> Self {
        self.debs.push((pocket, bytes.to_vec()));
        self
    }

    /// Adds a paragraph to the index, without a .deb.
    pub fn paragraph(mut self, paragraph: &str) -> Self {
        self.paragraphs.push((Pocket::Release, format!("{}\n", paragraph.trim_end())));
        self
    }

    /// Sets the time until which the releases are valid, in seconds since 1970. If this time is in the past, the
    /// releases have expired.
    pub fn valid_until(mut self, secs: i64) -> Self {
        self.valid_until_secs = Some(secs);
        self
    }

    /// Leaves out the time until which the releases are valid, like Ubuntu and old releases.
    pub fn without_valid_until(mut self) -> Self {
        self.has_valid_until = false;
        self
    }

    /// Serves indexes only by name, not by digest.
    pub fn without_by_hash(mut self) -> Self {
        self.has_by_hash = false;
        self
    }

    /// Compresses indexes only with gzip, like old archives.
    pub fn without_xz(mut self) -> Self {
        self.has_xz = false;
        self
    }

    /// Serves the security fixes in the same directory as the release, like Ubuntu's mirrors.
    pub fn on_one_mirror(mut self) -> Self {
        self.is_on_one_mirror = true;
        self
    }

    /// Sets the date of the release, in seconds since 1970. The default is one hour ago.
    pub fn dated(mut self, secs: i64) -> Self {
        self.date_secs = Some(secs);
        self
    }

    /// Wrong: `InRelease` is not signed.
    pub fn unsigned(mut self) -> Self {
        self.signing = Signing::Unsigned;
        self
    }

    /// Wrong: the signature is valid, but the keyring does not contain its key.
    pub fn signed_by_another_key(mut self) -> Self {
        self.signing = Signing::ByAnotherKey;
        self
    }

    /// Wrong: the text was changed after it was signed.
    pub fn tampered(mut self) -> Self {
        self.signing = Signing::TamperedAfterwards;
        self
    }

    /// Wrong: the signed digests do not match the indexes.
    pub fn with_wrong_index_hash(mut self) -> Self {
        self.has_wrong_index_hash = true;
        self
    }

    /// Wrong: the sha256 of the package `name` in the index does not match its bytes.
    pub fn with_wrong_deb_hash(mut self, name: &str) -> Self {
        self.wrong_debs.insert(name.to_owned());
        self
    }

    /// Starts the server.
    pub fn serve(self) -> DebianServer {
        let server = Server::empty();
        for (pocket, folder) in [
            (Pocket::Release, format!("/debian/dists/{}", self.suite)),
            (Pocket::Updates, format!("/debian/dists/{}-updates", self.suite)),
            (Pocket::Security, format!("{}/dists/{}-security", self.base(Pocket::Security), self.suite)),
        ] {
            self.serve_pocket(pocket, &folder, &server);
        }
        DebianServer { server, suite: self.suite }
    }

    fn base(&self, pocket: Pocket) -> &'static str {
        if pocket == Pocket::Security && !self.is_on_one_mirror { "/debian-security" } else { "/debian" }
    }

    fn serve_pocket(&self, pocket: Pocket, folder: &str, server: &Server) {
        let base = self.base(pocket);
        let packages: Vec<(DebSummary, &[u8])> = self
            .debs
            .iter()
            .filter(|(of, _)| *of == pocket)
            .map(|(_, bytes)| (summarize(bytes).expect("a package has a control paragraph"), bytes.as_slice()))
            .collect();
        for (summary, bytes) in &packages {
            server.set(&format!("{base}/{}", pool_path(summary)), Response::ok(bytes));
        }
        let mut indexes: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for architecture in &self.architectures {
            let mine: Vec<_> = packages
                .iter()
                .filter(|(summary, _)| matches!(summary.field("Architecture"), Some(of) if of == architecture || of == "all"))
                .collect();
            let mut text: String = mine.iter().map(|(summary, bytes)| self.index_paragraph(summary, bytes)).collect();
            for (_, paragraph) in self.paragraphs.iter().filter(|(of, _)| *of == pocket) {
                text.push_str(paragraph);
                text.push('\n');
            }
            let name = format!("main/binary-{architecture}/Packages");
            if self.has_xz {
                indexes.insert(format!("{name}.xz"), compress(text.as_bytes(), Compression::Xz));
            }
            indexes.insert(format!("{name}.gz"), compress(text.as_bytes(), Compression::Gzip));
            let contents = compress(contents_of(mine.iter().map(|(summary, _)| summary)).as_bytes(), Compression::Gzip);
            indexes.insert(format!("main/Contents-{architecture}.gz"), contents);
        }
        for (name, bytes) in &indexes {
            server.set(&format!("{folder}/{name}"), Response::ok(bytes));
            if self.has_by_hash {
                // The file is also served at its wrong digest. Otherwise the client would get the status 404 and never
                // see the wrong bytes.
                let digest = self.told_index_digest(bytes);
                let parent = name.rsplit_once('/').map_or("", |(parent, _)| parent);
                server.set(&format!("{folder}/{parent}/by-hash/SHA256/{digest}"), Response::ok(bytes));
            }
        }
        let release = self.release(pocket, &indexes);
        server.set(&format!("{folder}/InRelease"), Response::ok(self.sign(&release)));
        server.set(&format!("{folder}/Release"), Response::ok(release));
    }

    fn index_paragraph(&self, summary: &DebSummary, bytes: &[u8]) -> String {
        let is_wrong = summary.field("Package").is_some_and(|name| self.wrong_debs.contains(name));
        let sha256 = if is_wrong { sha256_hex(b"other bytes") } else { sha256_hex(bytes) };
        let (size, path) = (bytes.len(), pool_path(summary));
        format!("{}Filename: {path}\nSize: {size}\nSHA256: {sha256}\n\n", summary.paragraph)
    }

    fn told_index_digest(&self, bytes: &[u8]) -> String {
        if self.has_wrong_index_hash { sha256_hex(&[bytes, b"changed"].concat()) } else { sha256_hex(bytes) }
    }

    fn release(&self, pocket: Pocket, indexes: &BTreeMap<String, Vec<u8>>) -> String {
        let suffix = match pocket {
            Pocket::Release => "",
            Pocket::Updates => "-updates",
            Pocket::Security => "-security",
        };
        let now = now_secs();
        let mut text = format!(
            "Origin: Debian\nLabel: Debian\nSuite: {0}{suffix}\nCodename: {0}{suffix}\nDate: {1}\n",
            self.suite,
            rfc_2822(self.date_secs.unwrap_or(now - 3600))
        );
        if self.has_valid_until {
            text.push_str(&format!("Valid-Until: {}\n", rfc_2822(self.valid_until_secs.unwrap_or(now + 7 * DAY_SECS))));
        }
        if self.has_by_hash {
            text.push_str("Acquire-By-Hash: yes\n");
        }
        text.push_str(&format!("Architectures: all {}\nComponents: main\nSHA256:\n", self.architectures.join(" ")));
        for (name, bytes) in indexes {
            text.push_str(&format!(" {} {:>8} {name}\n", self.told_index_digest(bytes), bytes.len()));
        }
        text
    }

    fn sign(&self, release: &str) -> String {
        match self.signing {
            Signing::Unsigned => release.to_owned(),
            Signing::Honest => clear_signed(release, test_key()),
            Signing::ByAnotherKey => clear_signed(release, stranger_key()),
            Signing::TamperedAfterwards => {
                clear_signed(release, test_key()).replacen("Origin: Debian", "Origin: Nobody", 1)
            }
        }
    }
}

/// The running archive. The server stops when this value is dropped.
#[derive(Debug)]
pub struct DebianServer {
    /// The server. It records requests, and tests can set faults on it.
    pub server: Server,
    suite: String,
}

impl DebianServer {
    /// Returns the URL of the mirror with the release and its updates.
    pub fn url(&self) -> String {
        self.server.url("/debian")
    }

    /// Returns the URL of the mirror with the security fixes.
    pub fn security_url(&self) -> String {
        self.server.url("/debian-security")
    }

    /// Returns the keyring for its signatures, in binary form.
    pub fn keyring(&self) -> Vec<u8> {
        keyring()
    }

    /// Returns the path of the release's `InRelease`. Tests need the path to set faults.
    pub fn in_release_path(&self) -> String {
        format!("/debian/dists/{}/InRelease", self.suite)
    }

    /// Returns the path of a package. Tests need the path to set faults. If several file names begin with `name`,
    /// returns the first of them.
    pub fn deb_path(&self, name: &str) -> Option<String> {
        let begin = format!("/{name}_");
        self.server.paths().into_iter().find(|path| path.contains("/pool/") && path.contains(&begin))
    }
}

/// Returns the keyring with the test key. The key is the same for every archive, in every run.
pub fn keyring() -> Vec<u8> {
    SignedPublicKey::from(test_key().clone()).to_bytes().expect("memory takes every byte")
}

fn test_key() -> &'static SignedSecretKey {
    static KEY: OnceLock<SignedSecretKey> = OnceLock::new();
    KEY.get_or_init(|| make_key("Test archive <archive@example.org>", 1))
}

fn stranger_key() -> &'static SignedSecretKey {
    static KEY: OnceLock<SignedSecretKey> = OnceLock::new();
    KEY.get_or_init(|| make_key("Stranger <stranger@example.org>", 2))
}

/// Creates an Ed25519 key from a seed, in a form that GnuPG can read too. Its date is in 2023, so that new signatures
/// are newer than the key.
fn make_key(user: &str, seed: u64) -> SignedSecretKey {
    let parameters = SecretKeyParamsBuilder::default()
        .key_type(KeyType::Ed25519Legacy)
        .can_certify(true)
        .can_sign(true)
        .created_at(Timestamp::from_secs(1_700_000_000))
        .primary_user_id(user.to_owned())
        .build()
        .expect("the parameters are whole");
    parameters.generate(StdRng::seed_from_u64(seed)).expect("an Ed25519 key can always be made")
}

fn clear_signed(text: &str, key: &SignedSecretKey) -> String {
    let message = CleartextSignedMessage::sign(StdRng::seed_from_u64(3), text, &key.primary_key, &Password::empty())
        .expect("the key signs");
    message.to_armored_string(ArmorOptions::default()).expect("a signed text is text")
}

fn pool_path(summary: &DebSummary) -> String {
    let source = summary.field("Source").or(summary.field("Package")).unwrap_or_default();
    let source = source.split_whitespace().next().unwrap_or_default();
    let letters = if source.starts_with("lib") { 4 } else { 1 };
    let shelf: String = source.chars().take(letters).collect();
    format!("pool/main/{shelf}/{source}/{}", summary.file_name())
}

/// Returns the text of `Contents-ARCH`: one line per path, with the packages that contain it.
fn contents_of<'a>(packages: impl Iterator<Item = &'a DebSummary>) -> String {
    let mut owners: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for package in packages {
        let section = package.field("Section").unwrap_or("misc");
        for path in &package.paths {
            owners.entry(path).or_default().push(format!("{section}/{}", package.field("Package").unwrap_or_default()));
        }
    }
    owners.iter().map(|(path, packages)| format!("{path:<60} {}\n", packages.join(","))).collect()
}

fn now_secs() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(since.as_secs()).expect("the clock is before the year 292277026596")
}

/// Formats a date as in `Release` files, such as `Mon, 30 Nov 2026 02:09:33 UTC`.
///
/// The calendar date is computed with Howard Hinnant's algorithm `civil_from_days`.
fn rfc_2822(secs: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, time) = (secs.div_euclid(DAY_SECS), secs.rem_euclid(DAY_SECS));
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12;
    let year = year_of_era + era * 400 + i64::from(month < 2);
    let at = |names: &[&'static str], index: i64| names[usize::try_from(index).expect("a remainder is not negative")];
    let (weekday, month) = (at(&DAYS, days.rem_euclid(7)), at(&MONTHS, month));
    format!("{weekday}, {day:02} {month} {year} {:02}:{:02}:{:02} UTC", time / 3600, time / 60 % 60, time % 60)
}

#[cfg(test)]
mod tests {
    use pgp::composed::Deserializable as _;

    use super::*;
    use crate::DebBuilder;

    fn text(archive: &DebianServer, path: &str) -> String {
        let response =
            archive.server.get(path).unwrap_or_else(|| panic!("`{path}` is among {:?}", archive.server.paths()));
        String::from_utf8(response.body.to_vec()).unwrap()
    }

    fn is_trusted(archive: &DebianServer, path: &str) -> bool {
        let key = SignedPublicKey::from_bytes(archive.keyring().as_slice()).unwrap();
        let Ok((message, _)) = CleartextSignedMessage::from_string(&text(archive, path)) else { return false };
        message.verify(&key.primary_key).is_ok()
    }

    fn packages(archive: &DebianServer, path: &str) -> String {
        let response = archive.server.get(path).unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut liblzma::read::XzDecoder::new(&*response.body), &mut text).unwrap();
        text
    }

    #[test]
    fn every_pocket_is_signed_by_the_key_of_the_keyring() {
        let archive = DebianArchive::new("trixie").serve();
        for path in [
            "/debian/dists/trixie/InRelease",
            "/debian/dists/trixie-updates/InRelease",
            "/debian-security/dists/trixie-security/InRelease",
        ] {
            assert!(is_trusted(&archive, path), "{path}");
        }
        assert_eq!(archive.keyring(), keyring());
        assert!(archive.url().ends_with("/debian") && archive.security_url().ends_with("/debian-security"));
    }

    #[test]
    fn the_digests_lead_from_the_release_to_the_package() {
        let deb = DebBuilder::new("libdemo1", "1:1.0-1", "amd64").file("usr/lib/libdemo.so.1", 0o644, "x").build();
        let everywhere = DebBuilder::new("demo-data", "1.0", "all").build();
        let archive = DebianArchive::new("trixie").deb(&deb).deb_in(Pocket::Security, &everywhere).serve();
        let release = text(&archive, "/debian/dists/trixie/InRelease");
        let index = "/debian/dists/trixie/main/binary-amd64/Packages.xz";
        let digest = sha256_hex(&archive.server.get(index).unwrap().body);
        assert!(release.contains(&digest), "{release}");
        assert!(
            archive.server.get(&format!("/debian/dists/trixie/main/binary-amd64/by-hash/SHA256/{digest}")).is_some()
        );
        let listed = packages(&archive, index);
        let path = "pool/main/libd/libdemo1/libdemo1_1.0-1_amd64.deb";
        assert!(listed.contains(&format!("Filename: {path}\nSize: {}\nSHA256: {}\n\n", deb.len(), sha256_hex(&deb))));
        assert_eq!(*archive.server.get(&format!("/debian/{path}")).unwrap().body, *deb);
        assert_eq!(archive.deb_path("libdemo1"), Some(format!("/debian/{path}")));
        assert_eq!(packages(&archive, &index.replace("amd64", "arm64")), "");
        let security = "/debian-security/dists/trixie-security/main/binary-arm64/Packages.xz";
        assert!(packages(&archive, security).starts_with("Package: demo-data\n"), "what is for all is in every index");
    }

    #[test]
    fn an_archive_can_be_wrong_in_each_way() {
        let path = "/debian/dists/trixie/InRelease";
        let deb = DebBuilder::new("demo", "1", "amd64").build();
        let honest = DebianArchive::new("trixie").deb(&deb);
        assert!(!is_trusted(&honest.clone().unsigned().serve(), path));
        assert!(!is_trusted(&honest.clone().signed_by_another_key().serve(), path));
        assert!(!is_trusted(&honest.clone().tampered().serve(), path));
        let expired = honest.clone().valid_until(100).serve();
        assert!(is_trusted(&expired, path));
        assert!(text(&expired, path).contains("Valid-Until: Thu, 01 Jan 1970 00:01:40 UTC\n"));
        assert!(!text(&honest.clone().without_valid_until().serve(), path).contains("Valid-Until"));
        let index = "/debian/dists/trixie/main/binary-amd64/Packages.xz";
        let wrong_index = honest.clone().with_wrong_index_hash().serve();
        let digest = sha256_hex(&wrong_index.server.get(index).unwrap().body);
        assert!(is_trusted(&wrong_index, path) && !text(&wrong_index, path).contains(&digest));
        let wrong_deb = honest.with_wrong_deb_hash("demo").serve();
        assert!(!packages(&wrong_deb, index).contains(&sha256_hex(&deb)));
    }

    #[test]
    fn dates_are_written_as_archives_write_them() {
        let table = [
            (0, "Thu, 01 Jan 1970 00:00:00 UTC"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 UTC"),
            (1_796_004_573, "Mon, 30 Nov 2026 02:09:33 UTC"),
            (1_767_225_599, "Wed, 31 Dec 2025 23:59:59 UTC"),
        ];
        for (secs, date) in table {
            assert_eq!(rfc_2822(secs), date);
        }
    }
}
