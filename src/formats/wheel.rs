//! Wheels: the binary distribution format (packaging.python.org, "Binary distribution format"), read and verified.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek};

use thiserror::Error;
use zip::ZipArchive;

/// No file of a wheel may be larger than this, and all together no larger than four times as much.
const MAX_FILE_BYTES: u64 = 4 << 30;

#[derive(Debug, Error)]
pub(crate) enum WheelError {
    #[error("cannot read the wheel: it is no zip archive")]
    Archive(#[source] zip::result::ZipError),
    #[error("cannot read the wheel's `{file}`")]
    Read { file: String, source: io::Error },
    #[error("cannot use the wheel: `{file}` {problem}")]
    File { file: String, problem: &'static str },
    #[error("cannot use the wheel: it has {0} directories named `*.dist-info`, not one")]
    DistInfo(usize),
    #[error("cannot use the wheel: it says Wheel-Version `{0}`, and this lath reads 1.x")]
    Version(String),
    #[error("cannot use the wheel: the sha256 of `{file}` is not what its RECORD says")]
    Record { file: String },
}

/// Where a file of a wheel goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// site-packages: `purelib` and `platlib`, which are one directory here.
    Site,
    Scripts,
    Data,
    Headers,
}

/// What a wheel says of itself.
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
    dist_info: String,
    /// sha256 in URL-safe base64 by path.
    record: BTreeMap<String, String>,
}

impl<R: Read + Seek> Wheel<R> {
    /// Opens the wheel, checks all names in it and reads its RECORD.
    pub(crate) fn open(reader: R) -> Result<Self, WheelError> {
        let mut archive = ZipArchive::new(reader).map_err(WheelError::Archive)?;
        let mut tops: Vec<String> = Vec::new();
        let mut total_bytes: u64 = 0;
        for index in 0..archive.len() {
            let file = archive.by_index_raw(index).map_err(WheelError::Archive)?;
            let name = file.name().map_err(WheelError::Archive)?.into_owned();
            check_name(&name, file.is_symlink())?;
            total_bytes = total_bytes.saturating_add(file.size());
            if file.size() > MAX_FILE_BYTES || total_bytes > 4 * MAX_FILE_BYTES {
                return Err(WheelError::File { file: name, problem: "makes it too large" });
            }
            let top = name.split('/').next().unwrap_or_default();
            if top.ends_with(".dist-info") && name.contains('/') && !tops.iter().any(|known| known == top) {
                tops.push(top.to_owned());
            }
        }
        let [dist_info] = tops.as_slice() else { return Err(WheelError::DistInfo(tops.len())) };
        let mut wheel = Self { dist_info: dist_info.clone(), archive, record: BTreeMap::new() };
        let record = wheel.text("RECORD")?.ok_or_else(|| wheel.missing("RECORD"))?;
        wheel.record = record.lines().filter_map(record_line).collect();
        Ok(wheel)
    }

    fn missing(&self, name: &str) -> WheelError {
        WheelError::File { file: format!("{}/{name}", self.dist_info), problem: "is missing" }
    }

    /// A file of dist-info as text.
    fn text(&mut self, name: &str) -> Result<Option<String>, WheelError> {
        let path = format!("{}/{name}", self.dist_info);
        let Some(index) = self.archive.index_for_name(&path) else { return Ok(None) };
        let file = self.archive.by_index(index).map_err(WheelError::Archive)?;
        let mut bytes = Vec::new();
        let read = file.take(64 << 20).read_to_end(&mut bytes);
        read.map_err(|source| WheelError::Read { file: path, source })?;
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
            console_scripts: entry_points(&self.text("entry_points.txt")?.unwrap_or_default()),
            dist_info: self.dist_info.clone(),
        })
    }

    /// Hands each file to `keep` with its path as the wheel spells it, whether it may be executed, and its bytes;
    /// `keep` answers with the sha256 of what it read, which has to be RECORD's, or with `None` where it read only a part.
    pub(crate) fn files<E: From<WheelError>>(
        &mut self,
        mut keep: impl FnMut(Scheme, String, bool, &mut dyn Read) -> Result<Option<[u8; 32]>, E>,
    ) -> Result<(), E> {
        let data = self.dist_info.trim_end_matches(".dist-info").to_owned() + ".data/";
        for index in 0..self.archive.len() {
            let file = self.archive.by_index(index).map_err(WheelError::Archive)?;
            if file.is_dir() {
                continue;
            }
            let name = file.name().map_err(WheelError::Archive)?.into_owned();
            let is_executable = file.unix_mode().is_some_and(|mode| mode & 0o111 != 0);
            let (scheme, path) = place(&name, &data)?;
            let size_bytes = file.size();
            // One byte more than promised is enough to be found out by RECORD's hash.
            let digest = keep(scheme, path, is_executable, &mut file.take(size_bytes + 1))?;
            let is_self = [".dist-info/RECORD", ".dist-info/RECORD.jws", ".dist-info/RECORD.p7s"]
                .iter()
                .any(|suffix| name.ends_with(suffix));
            if let (false, Some(digest), Some(expected)) = (is_self, digest, self.record.get(&name))
                && *expected != base64_url(&digest)
            {
                return Err(WheelError::Record { file: name }.into());
            }
        }
        Ok(())
    }
}

fn check_name(name: &str, is_symlink: bool) -> Result<(), WheelError> {
    let refuse = |problem| Err(WheelError::File { file: name.to_owned(), problem });
    if is_symlink {
        return refuse("is a symbolic link");
    }
    if name.starts_with('/') || name.split('/').any(|component| component == "..") {
        return refuse("leads outside the wheel");
    }
    if name.contains(['\\', '\0', '\n', '\r']) {
        return refuse("has a name that no file can have");
    }
    Ok(())
}

fn place(name: &str, data: &str) -> Result<(Scheme, String), WheelError> {
    let Some(rest) = name.strip_prefix(data) else { return Ok((Scheme::Site, name.to_owned())) };
    let (scheme, path) = rest.split_once('/').unwrap_or((rest, ""));
    let scheme = match scheme {
        "purelib" | "platlib" => Scheme::Site,
        "scripts" => Scheme::Scripts,
        "data" => Scheme::Data,
        "headers" => Scheme::Headers,
        _ => return Err(WheelError::File { file: name.to_owned(), problem: "is of an unknown scheme" }),
    };
    Ok((scheme, path.to_owned()))
}

/// `path,sha256=...,size`, the path quoted where it holds a comma. Lines without a sha256 tell nothing.
fn record_line(line: &str) -> Option<(String, String)> {
    let (rest, _size) = line.trim_end().rsplit_once(',')?;
    let (path, hash) = rest.rsplit_once(',')?;
    let path = match path.strip_prefix('"').and_then(|path| path.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => path.to_owned(),
    };
    Some((path, hash.strip_prefix("sha256=")?.trim_end_matches('=').to_owned()))
}

/// URL-safe base64 without padding, as RECORD has it (RFC 4648, section 5).
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
        // Extras after the target are allowed and without meaning.
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
    use std::io::{Cursor, Write as _};

    use super::*;

    fn wheel(files: &[(&str, &str)]) -> Cursor<Vec<u8>> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in files {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap()
    }

    fn read(files: &[(&str, &str)]) -> Result<Vec<(Scheme, String)>, WheelError> {
        use sha2::Digest as _;
        let mut seen = Vec::new();
        Wheel::open(wheel(files))?.files(|scheme, path, _, reader| {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            seen.push((scheme, path));
            Ok::<_, WheelError>(Some(sha2::Sha256::digest(&bytes).into()))
        })?;
        Ok(seen)
    }

    #[test]
    fn files_go_where_their_scheme_says() {
        let files = [
            ("a/b.py", ""),
            ("a-1.data/scripts/tool", "x"),
            ("a-1.data/platlib/c.so", ""),
            ("a-1.dist-info/RECORD", "a/b.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n"),
        ];
        let seen = read(&files).unwrap();
        assert_eq!(seen[0], (Scheme::Site, "a/b.py".to_owned()));
        assert_eq!(seen[1], (Scheme::Scripts, "tool".to_owned()));
        assert_eq!(seen[2], (Scheme::Site, "c.so".to_owned()));
    }

    #[test]
    fn a_file_that_record_belies_is_refused_by_name() {
        let record = "a/b.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n";
        let error = read(&[("a/b.py", "changed"), ("a-1.dist-info/RECORD", record)]).unwrap_err();
        assert!(error.to_string().contains("the sha256 of `a/b.py`"), "{error}");
    }

    #[test]
    fn hostile_names_are_refused() {
        for hostile in ["../a.py", "/etc/passwd", "a/../../b", "a\\b"] {
            assert!(check_name(hostile, false).is_err(), "{hostile}");
        }
        assert!(check_name("a/link", true).is_err());
    }

    #[test]
    fn entry_points_are_read_with_extras_dropped() {
        let text = "[console_scripts]\na = m.n:f.g [extra]\n[other]\nx = y:z\n[gui_scripts]\ng=m:h\n";
        let expected = [("a", "m.n", "f.g"), ("g", "m", "h")];
        let expected: Vec<_> = expected.iter().map(|(a, b, c)| (a.to_string(), b.to_string(), c.to_string())).collect();
        assert_eq!(entry_points(text), expected);
    }
}
