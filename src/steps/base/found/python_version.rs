//! Finds the full version of an interpreter, such as `3.12.4`, without running the interpreter.

use std::collections::BTreeSet;

use memchr::memmem;

use super::Scene;
use crate::model::base_image::InstalledDeb;
use crate::model::image_path::ImagePath;
use crate::model::platform::PythonVersion;
use crate::outside::store::StoreError;

/// The files and packages that may contain the full version of an interpreter.
pub(super) struct Candidate<'a> {
    pub(super) version: PythonVersion,
    /// The program, and its `libpython` if it has one.
    pub(super) binaries: Vec<ImagePath>,
    pub(super) prefix: &'a ImagePath,
    pub(super) debs: &'a [InstalledDeb],
}

/// Returns the full version. The `libpython` and the program are read first, because the other files may belong to
/// another build of Python.
pub(super) fn full_version(scene: &Scene<'_>, candidate: &Candidate<'_>) -> Result<Option<String>, StoreError> {
    let version = candidate.version;
    for path in &candidate.binaries {
        let bytes = scene.bytes(path.as_str())?.unwrap_or_default();
        if let Some(found) = in_binary(&bytes, version) {
            return Ok(Some(found));
        }
    }
    let header = format!("{}/include/python{version}/patchlevel.h", candidate.prefix);
    if let Some(found) = scene.text(&header)?.and_then(|text| in_header(&text, version)) {
        return Ok(Some(found));
    }
    let minimal = [format!("python{version}-minimal"), format!("libpython{version}-minimal")];
    let is_debians = candidate.prefix.as_str() == "/usr";
    let deb = candidate.debs.iter().find(|deb| is_debians && minimal.contains(&deb.name));
    if let Some(found) = deb.and_then(|deb| in_package(&deb.version, version)) {
        return Ok(Some(found));
    }
    let variable = scene.variable("PYTHON_VERSION").filter(|text| is_full(text, version));
    Ok(variable.map(str::to_owned))
}

/// Returns the value of `PY_VERSION`, which is a string in the program (CPython, `Python/getversion.c`). `None` if
/// several strings look like a version.
fn in_binary(bytes: &[u8], version: PythonVersion) -> Option<String> {
    const LONGEST: usize = 24;
    let start = format!("\0{version}.");
    let candidates = memmem::find_iter(bytes, start.as_bytes()).filter_map(|at| {
        let text = &bytes[at + 1..];
        let end = memchr::memchr(0, &text[..text.len().min(LONGEST)])?;
        let text = std::str::from_utf8(&text[..end]).ok()?;
        is_full(text, version).then(|| text.to_owned())
    });
    let found: BTreeSet<String> = candidates.take(64).collect();
    let mut found = found.into_iter();
    found.next().filter(|_| found.next().is_none())
}

/// Reads `#define PY_VERSION "3.12.4"`.
fn in_header(text: &str, version: PythonVersion) -> Option<String> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("#define PY_VERSION "))?;
    let value = line.trim().trim_matches('"');
    is_full(value, version).then(|| value.to_owned())
}

/// Reads the version of Debian's package: `3.11.2-6+deb12u6`, `3.14.0~rc2-1`.
fn in_package(text: &str, version: PythonVersion) -> Option<String> {
    let upstream = text.rsplit_once('-').map_or(text, |(upstream, _)| upstream).replace('~', "");
    is_full(&upstream, version).then_some(upstream)
}

/// Whether `text` is a full version number that begins with `version`. Examples of full version numbers are `3.12.4`,
/// `3.14.0rc2` and `3.13.0+`.
fn is_full(text: &str, version: PythonVersion) -> bool {
    let Some(rest) = text.strip_prefix(&format!("{version}.")) else { return false };
    let rest = rest.strip_suffix('+').unwrap_or(rest);
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (level, stage) = rest.split_at(digits);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let stages = ["a", "b", "rc"].into_iter().filter_map(|name| stage.strip_prefix(name));
    is_number(level) && (stage.is_empty() || stages.into_iter().any(is_number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_each_kind_of_evidence() {
        let version: PythonVersion = "3.12".parse().unwrap();
        let binary: [(&[u8], Option<&str>); 6] = [
            (b"x\x003.12.4\0y", Some("3.12.4")),
            (b"\x003.12.0rc2\0\x003.12.0rc2\0", Some("3.12.0rc2")),
            (b"\x003.12.13+\0", Some("3.12.13+")),
            (b"\x003.12.4\0\x003.12.5\0", None),
            (b"\x003.12.4 (main)\0python3.12.4\0\x003.1.2\0\x003.12.x\0", None),
            (b"\x003.12.4", None),
        ];
        for (bytes, expected) in binary {
            assert_eq!(in_binary(bytes, version).as_deref(), expected, "{}", String::from_utf8_lossy(bytes));
        }
        let header = "#define PY_MAJOR_VERSION 3\n#define PY_VERSION      \t\"3.12.4\"\n";
        assert_eq!(in_header(&header.replace('\t', ""), version).as_deref(), Some("3.12.4"));
        assert_eq!(in_header("#define PY_VERSION \"3.11.4\"", version), None);
        assert_eq!(in_package("3.12.2-6+deb12u6", version).as_deref(), Some("3.12.2"));
        assert_eq!(in_package("3.12.0~rc2-1", version).as_deref(), Some("3.12.0rc2"));
        assert_eq!(in_package("3.13.0-1", version), None);
    }
}
