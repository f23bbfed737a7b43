//! Reads and verifies wheels (packaging.python.org, "Binary distribution format").

mod entry_points;
mod plain;
mod record;

use std::collections::BTreeSet;
use std::io::{self, Read, Seek};

use thiserror::Error;
use zip::ZipArchive;

pub(crate) use self::entry_points::entry_point_groups;
use self::entry_points::scripts;
pub(crate) use self::plain::PlainError;
use self::record::Record;
pub(crate) use self::record::{base64_url, record_paths, with_installed_paths};
use crate::model::distribution_name::normalised;
use crate::model::part::RecordFault;

/// The maximum size of one file of a wheel. All files together may have four times this size.
const MAX_FILE_BYTES: u64 = 4 << 30;
/// The maximum ratio between the unpacked size and the compressed size of a wheel. Even wheels that compress very well
/// stay below 30.
const MAX_RATIO: u64 = 200;
/// Up to this unpacked size, the ratio is not checked.
const RATIO_FREE_BYTES: u64 = 64 << 20;
/// The maximum number of entries in a wheel. The largest usual wheels have some tens of thousands.
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
    #[error("cannot use the wheel: its entry_points.txt contains a script named `{}`, which cannot be the name of a file", name.escape_debug())]
    Script { name: String },
}

/// The kind of folder in which a file of a wheel is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scheme {
    /// site-packages. `purelib` and `platlib` are the same directory here.
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
    /// `name`, `module` and `attribute` of each script. Those of console_scripts come before those of gui_scripts.
    pub(crate) console_scripts: Vec<(String, String, String)>,
}

/// A wheel that is open for reading.
pub(crate) struct Wheel<R> {
    archive: ZipArchive<R>,
    /// The names of all entries, in the order of the archive. The names of directories end with a slash.
    names: Vec<String>,
    dist_info: String,
    record: Record,
}

impl<R: Read + Seek> Wheel<R> {
    /// Opens the wheel, checks all names and sizes in it, and reads RECORD.
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
        let mut wheel = Self { archive, names, dist_info, record: Record::default() };
        let record = wheel.text("RECORD")?.ok_or_else(|| wheel.missing("RECORD"))?;
        wheel.record = Record::read(&record, &wheel.names, |name| wheel.is_record(name));
        Ok(wheel)
    }

    /// Returns whether `name` is RECORD or a signature of it. RECORD cannot contain the digests of itself and of its
    /// signatures.
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

    /// Calls `keep` for each file. The arguments are the scheme, the path of the file in the scheme, whether the file
    /// is executable, and its bytes. `keep` returns the sha256 of the bytes, or `None` if it did not read all of them.
    /// Returns the faults that were found in RECORD.
    pub(crate) fn files<E: From<WheelError>>(
        mut self,
        mut keep: impl FnMut(Scheme, String, bool, &mut dyn Read) -> Result<Option<[u8; 32]>, E>,
    ) -> Result<Vec<RecordFault>, E> {
        for (index, name) in self.names.iter().enumerate() {
            if name.ends_with('/') {
                continue;
            }
            let file = self.archive.by_index(index);
            let file = file.map_err(|source| WheelError::Entry { file: name.clone(), source })?;
            let is_executable = file.unix_mode().is_some_and(|mode| mode & 0o111 != 0);
            let (scheme, path) = place(name, &self.dist_info)?;
            let declared_bytes = file.size();
            // At most one byte more than the declared size is read, which is enough to detect a wrong size.
            let mut reader = self.record.watch(name, file.take(declared_bytes.saturating_add(1)));
            let sha256 = keep(scheme, path, is_executable, &mut reader)?;
            let (read_bytes, stronger) = reader.finish();
            let Some(sha256) = sha256 else { continue };
            if read_bytes != declared_bytes {
                let problem = "does not have the size that the zip archive declares";
                return Err(WheelError::File { file: name.clone(), problem }.into());
            }
            self.record.compare(name, &sha256, stronger.as_deref());
        }
        Ok(self.record.faults())
    }
}

/// Returns the names of all entries. Fails if a name or a size is dangerous.
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
        // The zip format has a bit that marks a name as UTF-8. It is ignored, because many tools forget to set it, and
        // because other encodings are obsolete.
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

/// Returns the place in which the entry `name` is installed: the scheme, and the path in the scheme. The folder of a
/// scheme has a name that ends in `.data`. Like pip, lath accepts every folder with such a name, because in some
/// wheels, this name differs from the name of dist-info. If the two names are the same, an unknown scheme in the folder
/// is an error. If they differ, a file in an unknown scheme is installed like a module.
pub(crate) fn place(name: &str, dist_info: &str) -> Result<(Scheme, String), WheelError> {
    let site = || Ok((Scheme::Site, name.to_owned()));
    let Some((top, rest)) = name.split_once('/') else { return site() };
    let Some(stem) = top.strip_suffix(".data") else { return site() };
    let refuse = |problem| Err(WheelError::File { file: name.to_owned(), problem });
    let is_own = normalised(stem) == normalised(dist_info.trim_end_matches(".dist-info"));
    let (scheme, path) = match rest.split_once('/') {
        Some((scheme, path)) if !path.is_empty() => (scheme, path),
        _ if is_own => return refuse("is a file, but other files are in a folder of that name"),
        _ => return site(),
    };
    let scheme = match scheme {
        "purelib" | "platlib" => Scheme::Site,
        "scripts" => Scheme::Scripts,
        "data" => Scheme::Data,
        "headers" => Scheme::Headers,
        _ if is_own => return refuse("has an unknown installation scheme"),
        _ => return site(),
    };
    Ok((scheme, path.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use testkit::WheelBuilder;

    use super::*;
    use crate::model::part::RecordFaultKind;

    /// A reader that returns at most three bytes per read.
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

    /// The scheme and the path of each file of a wheel.
    type Placed = Vec<(Scheme, String)>;

    fn read(reader: impl Read + Seek) -> Result<Placed, WheelError> {
        read_all(reader).map(|(files, _)| files)
    }

    fn read_all(reader: impl Read + Seek) -> Result<(Placed, Vec<RecordFault>), WheelError> {
        use sha2::Digest as _;
        let mut seen = Vec::new();
        let mut wheel = Wheel::open(reader)?;
        wheel.header()?;
        let faults = wheel.files(|scheme, path, _, reader| {
            let mut bytes = Vec::new();
            let read = reader.read_to_end(&mut bytes);
            read.map_err(|source| WheelError::Read { file: path.clone(), source })?;
            seen.push((scheme, path));
            Ok::<_, WheelError>(Some(sha2::Sha256::digest(&bytes).into()))
        })?;
        Ok((seen, faults))
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
        // Two entries of the zip archive's directory refer to the same local header.
        let bytes = demo().file("demo/b.py", "a").build();
        let find = |text: &[u8]| bytes.windows(text.len()).rposition(|window| window == text).unwrap();
        let (first, second) = (find(b"demo/a.py") - 4, find(b"demo/b.py") - 4);
        let mut overlapping = bytes.clone();
        overlapping.copy_within(first..first + 4, second);
        let error = read(Cursor::new(overlapping)).unwrap_err();
        assert!(error.to_string().contains("its entries overlap"), "{error}");
    }

    #[test]
    fn a_record_that_is_wrong_is_a_fault_of_its_kind() {
        use sha2::Digest as _;
        let line = |digest: &str| demo().without_record_of("demo/a.py").record_line(&format!("demo/a.py,{digest},1"));
        let sha512 = |text: &str| line(&format!("sha512={}", base64_url(&sha2::Sha512::digest(text))));
        let hexadecimal = |text: &str| line(&format!("sha256={}", hex::encode(sha2::Sha256::digest(text))));
        let table = [
            (demo(), None),
            (sha512("a"), None),
            (sha512("b"), Some((RecordFaultKind::OtherDigest, "demo/a.py"))),
            (demo().recorded_as("demo/a.py", "other"), Some((RecordFaultKind::OtherDigest, "demo/a.py"))),
            (hexadecimal("a"), Some((RecordFaultKind::Hexadecimal, "demo/a.py"))),
            (hexadecimal("b"), Some((RecordFaultKind::OtherDigest, "demo/a.py"))),
            (demo().without_record_of("demo/a.py"), Some((RecordFaultKind::NotListed, "demo/a.py"))),
            (line("md5=x"), Some((RecordFaultKind::NoDigest, "demo/a.py"))),
            (demo().record_line("ghost.py,,"), Some((RecordFaultKind::NotContained, "ghost.py"))),
        ];
        for (wheel, expected) in table {
            let (_, faults) = read_all(Cursor::new(wheel.build())).unwrap();
            let expected =
                expected.map(|(kind, path)| RecordFault { kind, path: path.to_owned(), others: 0 }).into_iter();
            assert_eq!(faults, expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_folder_of_schemes_is_found_by_its_normalised_name() {
        let place = |name: &str| place(name, "odd_name-1.0.dist-info");
        for top in ["odd_name-1.0.data", "Odd.Name-1.0.data", "odd-name-1.0.data", "other-2.data"] {
            assert_eq!(place(&format!("{top}/scripts/tool")).unwrap(), (Scheme::Scripts, "tool".to_owned()), "{top}");
        }
        assert!(place("Odd.Name-1.0.data/other/tool").is_err());
        for name in ["weather.data/model.bin", "weather.data/models/a.bin", "odd_name/a.data/scripts/x"] {
            assert_eq!(place(name).unwrap(), (Scheme::Site, name.to_owned()));
        }
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
            // If a date or an attribute is changed, there may be no error. For this reason, this test only checks that
            // the call returns.
            let _ = read(Cursor::new(altered));
        }
    }
}
