//! Reads and verifies wheels (packaging.python.org, "Binary distribution format").

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Seek};

use sha2::digest::DynDigest;
use thiserror::Error;
use zip::ZipArchive;

/// The maximum size of one file of a wheel. All files together may have four times this size.
const MAX_FILE_BYTES: u64 = 4 << 30;
/// How many times its size a wheel may unpack to. Even the densest honest wheels stay below 30.
const MAX_RATIO: u64 = 200;
/// A wheel may unpack to this many bytes at any ratio.
const RATIO_FREE_BYTES: u64 = 64 << 20;
/// How many entries a wheel may have. The largest honest wheels have a few tens of thousands.
const MAX_ENTRIES: usize = 500_000;
/// The maximum size of a document in dist-info.
const MAX_TEXT_BYTES: u64 = 64 << 20;

#[derive(Debug, Error)]
pub(crate) enum WheelError {
    #[error("cannot read the wheel: it is not a zip archive")]
    Archive(#[source] zip::result::ZipError),
    #[error("cannot use the wheel: {0}")]
    Bomb(&'static str),
    #[error("cannot read the wheel's `{file}`")]
    Entry { file: String, source: zip::result::ZipError },
    #[error("cannot read the wheel's `{file}`")]
    Read { file: String, source: io::Error },
    #[error("cannot use the wheel: `{}` {problem}", file.escape_default())]
    File { file: String, problem: &'static str },
    #[error("cannot use the wheel: it has {0} directories named `*.dist-info`, not one")]
    DistInfo(usize),
    #[error("cannot use the wheel: its Wheel-Version is `{0}`, and this lath reads only 1.x")]
    Version(String),
    #[error("cannot use the wheel: the {algorithm} of `{file}` is not the one in its RECORD")]
    Record { file: String, algorithm: &'static str },
    #[error("cannot use the wheel: its entry_points.txt contains a script named `{}`, which cannot be the name of a file", name.escape_debug())]
    Script { name: String },
    #[error("cannot use the wheel: its RECORD {problem} `{file}`")]
    Listing { file: String, problem: &'static str },
}

/// The place that a file of a wheel is installed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scheme {
    /// site-packages: `purelib` and `platlib`, which are the same directory here.
    Site,
    Scripts,
    Data,
    Headers,
}

/// The metadata of a wheel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WheelHeader {
    pub(crate) dist_info: String,
    pub(crate) is_purelib: bool,
    /// The text of METADATA.
    pub(crate) metadata: String,
    /// `name`, `module`, `attribute` of each script: console_scripts first, then gui_scripts.
    pub(crate) console_scripts: Vec<(String, String, String)>,
}

/// A wheel that is open for reading.
pub(crate) struct Wheel<R> {
    archive: ZipArchive<R>,
    /// In the order of the archive. Names of directories end in a slash.
    names: Vec<String>,
    dist_info: String,
    record: BTreeMap<String, Recorded>,
}

/// A digest that RECORD gives for a file: sha256 or better, as the specification requires, in URL-safe base64.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Recorded {
    algorithm: &'static str,
    digest: String,
}

impl<R: Read + Seek> Wheel<R> {
    /// Opens the wheel, checks all names and sizes in it, and checks that RECORD lists exactly its files.
    pub(crate) fn open(reader: R) -> Result<Self, WheelError> {
        let mut archive = ZipArchive::new(reader).map_err(WheelError::Archive)?;
        let names = checked_names(&mut archive)?;
        let mut tops: BTreeSet<&str> = BTreeSet::new();
        for name in &names {
            tops.extend(name.split_once('/').map(|(top, _)| top).filter(|top| top.ends_with(".dist-info")));
        }
        let dist_info = match (tops.len(), tops.first()) {
            (1, Some(only)) => (*only).to_owned(),
            (count, _) => return Err(WheelError::DistInfo(count)),
        };
        let mut wheel = Self { archive, names, dist_info, record: BTreeMap::new() };
        let record = wheel.text("RECORD")?.ok_or_else(|| wheel.missing("RECORD"))?;
        wheel.check_listing(&record)?;
        Ok(wheel)
    }

    /// Stores the digests of RECORD. Every file must be listed in it, and every line must name a file (Binary
    /// distribution format, "The .dist-info directory", 8).
    fn check_listing(&mut self, record: &str) -> Result<(), WheelError> {
        let refuse = |file: &str, problem| Err(WheelError::Listing { file: file.to_owned(), problem });
        let held: BTreeSet<&str> = self.names.iter().map(String::as_str).collect();
        let mut listed = BTreeSet::new();
        for line in record.lines().filter(|line| !line.trim().is_empty()) {
            let (path, hash) = record_line(line);
            if !held.contains(path.as_str()) {
                return refuse(&path, "lists a file that the wheel does not contain:");
            }
            if let Some(recorded) = hash {
                self.record.insert(path.clone(), recorded);
            }
            listed.insert(path);
        }
        for name in &self.names {
            if name.ends_with('/') || self.is_record(name) {
                continue;
            }
            if !listed.contains(name) {
                return refuse(name, "does not list");
            }
            if !self.record.contains_key(name) {
                return refuse(name, "has no sha256 or stronger hash of");
            }
        }
        Ok(())
    }

    /// Returns whether `name` is RECORD or a signature of it. RECORD cannot contain the digests of these files.
    fn is_record(&self, name: &str) -> bool {
        let own = name.strip_prefix(self.dist_info.as_str()).unwrap_or_default();
        matches!(own, "/RECORD" | "/RECORD.jws" | "/RECORD.p7s")
    }

    fn missing(&self, name: &str) -> WheelError {
        WheelError::File { file: format!("{}/{name}", self.dist_info), problem: "is missing" }
    }

    /// Returns a file of dist-info as text.
    fn text(&mut self, name: &str) -> Result<Option<String>, WheelError> {
        let path = format!("{}/{name}", self.dist_info);
        let Some(index) = self.archive.index_for_name(&path) else { return Ok(None) };
        let file = self.archive.by_index(index).map_err(|source| WheelError::Entry { file: path.clone(), source })?;
        let mut bytes = Vec::new();
        let read = file.take(MAX_TEXT_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|source| WheelError::Read { file: path.clone(), source })?;
        if bytes.len() as u64 > MAX_TEXT_BYTES {
            return Err(WheelError::File { file: path, problem: "is too large to be read" });
        }
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    pub(crate) fn header(&mut self) -> Result<WheelHeader, WheelError> {
        let wheel = self.text("WHEEL")?.ok_or_else(|| self.missing("WHEEL"))?;
        let field = |name: &str| {
            wheel.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let version = field("Wheel-Version").unwrap_or_default();
        if !version.starts_with("1.") {
            return Err(WheelError::Version(version));
        }
        Ok(WheelHeader {
            is_purelib: field("Root-Is-Purelib").is_some_and(|value| value.eq_ignore_ascii_case("true")),
            metadata: self.text("METADATA")?.ok_or_else(|| self.missing("METADATA"))?,
            console_scripts: scripts(&self.text("entry_points.txt")?.unwrap_or_default())?,
            dist_info: self.dist_info.clone(),
        })
    }

    /// Passes each file to `keep`: its path as spelled in the wheel, whether it is executable, and its bytes. `keep`
    /// returns the sha256 of the bytes, which must match RECORD, or `None` if it read only a part.
    pub(crate) fn files<E: From<WheelError>>(
        &mut self,
        mut keep: impl FnMut(Scheme, String, bool, &mut dyn Read) -> Result<Option<[u8; 32]>, E>,
    ) -> Result<(), E> {
        let data = self.dist_info.trim_end_matches(".dist-info").to_owned() + ".data/";
        for index in 0..self.archive.len() {
            let name = self.names[index].clone();
            if name.ends_with('/') {
                continue;
            }
            let file = self.archive.by_index(index);
            let file = file.map_err(|source| WheelError::Entry { file: name.clone(), source })?;
            let is_executable = file.unix_mode().is_some_and(|mode| mode & 0o111 != 0);
            let (scheme, path) = place(&name, &data)?;
            let recorded = self.record.get(&name);
            let told_bytes = file.size();
            // One byte more than the archive promises is enough to detect a wrong size.
            let mut reader = Watched::new(file.take(told_bytes.saturating_add(1)), recorded);
            let sha256 = keep(scheme, path, is_executable, &mut reader)?;
            let (read_bytes, stronger) = reader.finish();
            let Some(sha256) = sha256 else { continue };
            if read_bytes != told_bytes {
                return Err(WheelError::File {
                    file: name,
                    problem: "does not have the size that the zip archive declares",
                }
                .into());
            }
            let Some(recorded) = recorded else { continue };
            if recorded.digest != base64_url(stronger.as_deref().unwrap_or(&sha256)) {
                return Err(WheelError::Record { file: name, algorithm: recorded.algorithm }.into());
            }
        }
        Ok(())
    }
}

/// A reader that counts bytes and, if RECORD has another digest than sha256, computes that digest.
struct Watched<R> {
    inner: R,
    read_bytes: u64,
    hasher: Option<Box<dyn DynDigest>>,
}

impl<R: Read> Watched<R> {
    fn new(inner: R, recorded: Option<&Recorded>) -> Self {
        let hasher: Option<Box<dyn DynDigest>> = match recorded.map(|recorded| recorded.algorithm) {
            Some("sha384") => Some(Box::new(sha2::Sha384::default())),
            Some("sha512") => Some(Box::new(sha2::Sha512::default())),
            _ => None,
        };
        Self { inner, read_bytes: 0, hasher }
    }

    fn finish(self) -> (u64, Option<Box<[u8]>>) {
        (self.read_bytes, self.hasher.map(DynDigest::finalize))
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..length]);
        }
        self.read_bytes += length as u64;
        Ok(length)
    }
}

/// Returns the names of all entries, after it has checked that no name and no size is hostile.
fn checked_names<R: Read + Seek>(archive: &mut ZipArchive<R>) -> Result<Vec<String>, WheelError> {
    if archive.len() > MAX_ENTRIES {
        return Err(WheelError::Bomb("it has more entries than any wheel needs"));
    }
    if archive.has_duplicate_names() {
        return Err(WheelError::Bomb("two of its entries have the same name"));
    }
    if archive.has_overlapping_entries().map_err(WheelError::Archive)? {
        return Err(WheelError::Bomb("its entries overlap, which happens only in zip bombs"));
    }
    let mut names = Vec::with_capacity(archive.len());
    let (mut total_bytes, mut packed_bytes) = (0_u64, 0_u64);
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).map_err(WheelError::Archive)?;
        // Many tools forget to set the bit that marks a name as UTF-8, so the bit is ignored. Other encodings are
        // obsolete.
        let name = match str::from_utf8(file.name_raw()) {
            Ok(name) => name.to_owned(),
            Err(_) => {
                let file = String::from_utf8_lossy(file.name_raw()).into_owned();
                return Err(WheelError::File { file, problem: "has a name that is not UTF-8" });
            }
        };
        check_name(&name, file.is_symlink())?;
        total_bytes = total_bytes.saturating_add(file.size());
        packed_bytes = packed_bytes.saturating_add(file.compressed_size());
        if file.size() > MAX_FILE_BYTES || total_bytes > 4 * MAX_FILE_BYTES {
            return Err(WheelError::File { file: name, problem: "makes it too large" });
        }
        names.push(name);
    }
    if total_bytes > RATIO_FREE_BYTES && total_bytes / MAX_RATIO > packed_bytes {
        return Err(WheelError::Bomb("it unpacks to more than 200 times its size, like a zip bomb"));
    }
    Ok(names)
}

fn check_name(name: &str, is_symlink: bool) -> Result<(), WheelError> {
    let refuse = |problem| Err(WheelError::File { file: name.to_owned(), problem });
    if is_symlink {
        return refuse("is a symbolic link");
    }
    if name.starts_with('/') || name.split('/').any(|component| component == "..") {
        return refuse("leads outside the wheel");
    }
    let is_normal = name.strip_suffix('/').unwrap_or(name).split('/').all(|component| !matches!(component, "" | "."));
    if name.contains(['\\', '\0', '\n', '\r']) || !is_normal {
        return refuse("has a name that no file can have");
    }
    Ok(())
}

fn place(name: &str, data: &str) -> Result<(Scheme, String), WheelError> {
    let Some(rest) = name.strip_prefix(data) else { return Ok((Scheme::Site, name.to_owned())) };
    let refuse = |problem| WheelError::File { file: name.to_owned(), problem };
    let split = rest.split_once('/').filter(|(_, path)| !path.is_empty());
    let (scheme, path) = split.ok_or_else(|| refuse("is a file, but other files are in a folder of that name"))?;
    let scheme = match scheme {
        "purelib" | "platlib" => Scheme::Site,
        "scripts" => Scheme::Scripts,
        "data" => Scheme::Data,
        "headers" => Scheme::Headers,
        _ => return Err(refuse("has an unknown installation scheme")),
    };
    Ok((scheme, path.to_owned()))
}

/// Reads `path,sha256=...,size`. The path is quoted if it contains a comma or a quote.
fn record_line(line: &str) -> (String, Option<Recorded>) {
    let line = line.trim_end();
    let (rest, _size) = line.rsplit_once(',').unwrap_or((line, ""));
    let (path, hash) = rest.rsplit_once(',').unwrap_or((rest, ""));
    let path = match path.strip_prefix('"').and_then(|path| path.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => path.to_owned(),
    };
    let recorded = hash.split_once('=').and_then(|(name, digest)| {
        let algorithm = ["sha256", "sha384", "sha512"].into_iter().find(|known| *known == name)?;
        Some(Recorded { algorithm, digest: digest.trim_end_matches('=').to_owned() })
    });
    (path, recorded)
}

/// Encodes URL-safe base64 without padding, like RECORD (RFC 4648, section 5).
pub(crate) fn base64_url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let value = chunk.iter().fold(0_u32, |value, byte| value << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for position in 0..=chunk.len() {
            text.push(ALPHABET[(value >> (18 - 6 * position) & 63) as usize] as char);
        }
    }
    text
}

/// The scripts of `entry_points.txt`, each with a name that a file in a folder of an image can have. In a layer, names
/// that begin with `.wh.` remove other files.
fn scripts(text: &str) -> Result<Vec<(String, String, String)>, WheelError> {
    const MAX_NAME_BYTES: usize = 255;
    let is_name = |name: &str| {
        !matches!(name, "" | "." | "..")
            && name.len() <= MAX_NAME_BYTES
            && !name.starts_with(".wh.")
            && !name.contains(|c: char| matches!(c, '/' | '\\') || c.is_control())
    };
    let scripts = entry_points(text);
    match scripts.iter().find(|(name, ..)| !is_name(name)) {
        Some((name, ..)) => Err(WheelError::Script { name: name.chars().take(64).collect() }),
        None => Ok(scripts),
    }
}

/// The scripts of `entry_points.txt` (packaging.python.org, "Entry points specification").
fn entry_points(text: &str) -> Vec<(String, String, String)> {
    let mut console = Vec::new();
    let mut gui = Vec::new();
    let mut section = "";
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.trim();
            continue;
        }
        let list = match section {
            "console_scripts" => &mut console,
            "gui_scripts" => &mut gui,
            _ => continue,
        };
        let Some((name, target)) = line.split_once('=') else { continue };
        // Extras after the target are allowed but have no effect.
        let target = target.split('[').next().unwrap_or_default();
        if let Some((module, attribute)) = target.split_once(':') {
            list.push((name.trim().to_owned(), module.trim().to_owned(), attribute.trim().to_owned()));
        }
    }
    console.append(&mut gui);
    console
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use testkit::WheelBuilder;

    use super::*;

    /// A reader that returns at most three bytes at a time.
    struct Sips(Cursor<Vec<u8>>);

    impl Read for Sips {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(3);
            self.0.read(&mut buffer[..most])
        }
    }

    impl Seek for Sips {
        fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    fn read(reader: impl Read + Seek) -> Result<Vec<(Scheme, String)>, WheelError> {
        use sha2::Digest as _;
        let mut seen = Vec::new();
        let mut wheel = Wheel::open(reader)?;
        wheel.header()?;
        wheel.files(|scheme, path, _, reader| {
            let mut bytes = Vec::new();
            let read = reader.read_to_end(&mut bytes);
            read.map_err(|source| WheelError::Read { file: path.clone(), source })?;
            seen.push((scheme, path));
            Ok::<_, WheelError>(Some(sha2::Sha256::digest(&bytes).into()))
        })?;
        Ok(seen)
    }

    fn demo() -> WheelBuilder {
        WheelBuilder::new("demo", "1").file("demo/a.py", "a")
    }

    fn honest() -> Vec<u8> {
        demo()
            .file("demo/vendored.dist-info/RECORD", "")
            .data("scripts", "tool", "x")
            .data("platlib", "c.so", "so")
            .script("demo", "demo.a:main")
            .build()
    }

    #[test]
    fn files_go_where_their_scheme_says() {
        let seen = read(Cursor::new(honest())).unwrap();
        let has = |scheme, path: &str| seen.contains(&(scheme, path.to_owned()));
        assert!(
            has(Scheme::Site, "demo/a.py") && has(Scheme::Site, "c.so") && has(Scheme::Scripts, "tool"),
            "{seen:?}"
        );
    }

    #[test]
    fn a_reader_that_gives_a_few_bytes_at_a_time_gives_the_same() {
        assert_eq!(read(Sips(Cursor::new(honest()))).unwrap(), read(Cursor::new(honest())).unwrap());
    }

    #[test]
    fn a_hostile_wheel_is_refused_by_what_is_wrong_with_it() {
        let zeros = vec![0; 80 << 20];
        let table = [
            demo().raw_entry("../evil", "x"),
            demo().raw_entry("/etc/passwd", "x"),
            demo().raw_entry("a\\b", "x"),
            demo().raw_entry("a\0b", "x"),
            demo().raw_entry("a//b", "x"),
            demo().link("lib", "/etc"),
            demo().raw_entry("demo/a.py", "again"),
            demo().recorded_as("demo/a.py", "other"),
            demo().without_record_of("demo/a.py"),
            demo().record_line("ghost.py,,"),
            demo().without_record_of("demo/a.py").record_line("demo/a.py,md5=x,1"),
            demo().without_record(),
            demo().claims_size("demo/a.py", 0),
            demo().claims_size("demo/a.py", 9),
            demo().claims_size("demo/a.py", u32::MAX - 1),
            demo().file("zeros", &zeros),
            demo().raw_entry("demo-1.data/scripts", "x"),
            demo().script("", "demo:main"),
            demo().script("../evil", "demo:main"),
            demo().script("a\0b", "demo:main"),
            demo().file("other-2.dist-info/METADATA", ""),
        ];
        let errors = table.map(|wheel| {
            let error = read(Cursor::new(wheel.build())).unwrap_err();
            let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
            std::iter::once(error.to_string()).chain(causes.map(ToString::to_string)).collect::<Vec<_>>().join(": ")
        });
        insta::assert_snapshot!(errors.join("\n"), @r"
        cannot use the wheel: `../evil` leads outside the wheel
        cannot use the wheel: `/etc/passwd` leads outside the wheel
        cannot use the wheel: `a\\b` has a name that no file can have
        cannot use the wheel: `a\u{0}b` has a name that no file can have
        cannot use the wheel: `a//b` has a name that no file can have
        cannot use the wheel: `lib` is a symbolic link
        cannot use the wheel: two of its entries have the same name
        cannot use the wheel: the sha256 of `demo/a.py` is not the one in its RECORD
        cannot use the wheel: its RECORD does not list `demo/a.py`
        cannot use the wheel: its RECORD lists a file that the wheel does not contain: `ghost.py`
        cannot use the wheel: its RECORD has no sha256 or stronger hash of `demo/a.py`
        cannot use the wheel: `demo-1.dist-info/RECORD` is missing
        cannot read the wheel's `demo/a.py`: File is larger than its declared uncompressed size
        cannot use the wheel: `demo/a.py` does not have the size that the zip archive declares
        cannot use the wheel: it unpacks to more than 200 times its size, like a zip bomb
        cannot use the wheel: it unpacks to more than 200 times its size, like a zip bomb
        cannot use the wheel: `demo-1.data/scripts` is a file, but other files are in a folder of that name
        cannot use the wheel: its entry_points.txt contains a script named ``, which cannot be the name of a file
        cannot use the wheel: its entry_points.txt contains a script named `../evil`, which cannot be the name of a file
        cannot use the wheel: its entry_points.txt contains a script named `a\0b`, which cannot be the name of a file
        cannot use the wheel: it has 2 directories named `*.dist-info`, not one
        ");
    }

    #[test]
    fn entries_that_share_their_bytes_are_a_bomb() {
        // Two entries of the directory point at the same local header.
        let bytes = demo().file("demo/b.py", "a").build();
        let find = |text: &[u8]| bytes.windows(text.len()).rposition(|window| window == text).unwrap();
        let (first, second) = (find(b"demo/a.py") - 4, find(b"demo/b.py") - 4);
        let mut overlapping = bytes.clone();
        overlapping.copy_within(first..first + 4, second);
        let error = read(Cursor::new(overlapping)).unwrap_err();
        assert!(error.to_string().contains("its entries overlap"), "{error}");
    }

    #[test]
    fn digests_better_than_sha256_are_verified_too() {
        use sha2::Digest as _;
        let line = |text: &str| format!("demo/a.py,sha512={},1", base64_url(&sha2::Sha512::digest(text)));
        let wheel = |text: &str| demo().without_record_of("demo/a.py").record_line(&line(text)).build();
        assert!(read(Cursor::new(wheel("a"))).is_ok());
        let error = read(Cursor::new(wheel("b"))).unwrap_err();
        assert!(error.to_string().contains("the sha512 of `demo/a.py`"), "{error}");
    }

    #[test]
    fn what_was_cut_or_altered_is_refused_and_never_a_panic() {
        let whole = honest();
        for length in 0..whole.len() {
            assert!(read(Cursor::new(whole[..length].to_vec())).is_err(), "cut after {length} bytes");
        }
        for position in 0..whole.len() {
            let mut altered = whole.clone();
            altered[position] ^= 1 << (position % 8);
            // A date or an attribute may change without harm. This test only checks that the call returns.
            let _ = read(Cursor::new(altered));
        }
    }

    #[test]
    fn entry_points_are_read_with_extras_dropped() {
        let text = "[console_scripts]\na = m.n:f.g [extra]\n[other]\nx = y:z\n[gui_scripts]\ng=m:h\n";
        let expected = [("a", "m.n", "f.g"), ("g", "m", "h")];
        let expected: Vec<_> = expected.iter().map(|(a, b, c)| (a.to_string(), b.to_string(), c.to_string())).collect();
        assert_eq!(entry_points(text), expected);
    }

    #[test]
    fn a_script_has_a_name_that_a_file_can_have() {
        let (whole, long) = ("x".repeat(255), "x".repeat(256));
        for name in ["tool", "tool.py", "..tool", "my tool", &whole] {
            assert!(scripts(&format!("[console_scripts]\n{name} = a:b\n")).is_ok(), "{name}");
        }
        for name in ["", ".", "..", "a/b", "../x", "/x", "a\0b", "a\rb", "a\x1bb", "a\\b", ".wh.a", &long] {
            let error = scripts(&format!("[gui_scripts]\n{name} = a:b\n")).unwrap_err().to_string();
            assert!(
                error.starts_with("cannot use the wheel: its entry_points.txt contains a script named `"),
                "{error}"
            );
        }
    }
}
