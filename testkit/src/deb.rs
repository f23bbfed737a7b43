//! Builds valid and malicious Debian packages in memory, and reads the data about a package that an archive needs.
//!
//! The ar container (deb(5)) and the tar headers are written by hand, because a library refuses the names in a
//! malicious package.

use std::collections::BTreeSet;
use std::io::{Read, Write};

/// How the members `control.tar` and `data.tar` are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    Xz,
    Zstd,
    Gzip,
    None,
}

/// Builds a package: `DebBuilder::new("libdemo1", "1.0-1", "amd64").file("usr/lib/libdemo.so.1", 0o644, b"").build()`.
#[derive(Debug, Clone)]
pub struct DebBuilder {
    fields: Vec<(String, String)>,
    entries: Vec<Entry>,
    control_files: Vec<(String, u32, Vec<u8>)>,
    compression: Compression,
    has_parents: bool,
    lie: i64,
}

#[derive(Debug, Clone)]
struct Entry {
    /// The path in the tar file. It is not checked.
    path: String,
    /// The type flag in the tar header (POSIX ustar, section "typeflag").
    flag: u8,
    mode: u32,
    owner: (u32, u32),
    target: String,
    bytes: Vec<u8>,
}

impl DebBuilder {
    /// Creates a package without files. `arch` is `amd64`, `arm64` or `all`.
    pub fn new(name: &str, version: &str, arch: &str) -> Self {
        let fields = [("Package", name), ("Version", version), ("Architecture", arch)];
        Self {
            fields: fields.map(|(field, value)| (field.to_owned(), value.to_owned())).to_vec(),
            entries: Vec::new(),
            control_files: Vec::new(),
            compression: Compression::Xz,
            has_parents: true,
            lie: 0,
        }
        .field("Maintainer", "Nobody <nobody@example.org>")
        .field("Description", "made for a test")
    }

    pub fn depends(self, relations: &str) -> Self {
        self.field("Depends", relations)
    }

    pub fn pre_depends(self, relations: &str) -> Self {
        self.field("Pre-Depends", relations)
    }

    pub fn recommends(self, relations: &str) -> Self {
        self.field("Recommends", relations)
    }

    pub fn provides(self, names: &str) -> Self {
        self.field("Provides", names)
    }

    /// Sets a field of the control paragraph. Replaces the field if it exists.
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(existing, _)| existing != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn file(self, path: &str, mode: u32, bytes: impl AsRef<[u8]>) -> Self {
        self.entry(path, b'0', mode, "", bytes.as_ref())
    }

    /// Adds a directory as a separate entry. Parent directories of files are added automatically.
    pub fn dir(self, path: &str, mode: u32) -> Self {
        self.entry(&format!("{}/", path.trim_end_matches('/')), b'5', mode, "", b"")
    }

    /// Adds a symbolic link.
    pub fn link(self, path: &str, target: &str) -> Self {
        self.entry(path, b'2', 0o777, target, b"")
    }

    /// Adds a hard link to another path of the package. `target` is that path as it is written in the tar file, such as
    /// `./usr/bin/a`.
    pub fn hard_link(self, path: &str, target: &str) -> Self {
        self.entry(path, b'1', 0o644, target, b"")
    }

    /// Sets the owner of the last entry. The default is root.
    pub fn owned_by(mut self, uid: u32, gid: u32) -> Self {
        self.entries.last_mut().expect("an entry was added before").owner = (uid, gid);
        self
    }

    /// Adds a maintainer script: `preinst`, `postinst`, `prerm`, `postrm` or `config`.
    pub fn script(mut self, name: &str, text: &str) -> Self {
        self.control_files.push((name.to_owned(), 0o755, text.as_bytes().to_vec()));
        self
    }

    /// Adds another file to `control.tar`, such as `conffiles`, `triggers`, `shlibs` or `md5sums`.
    pub fn control_file(mut self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.control_files.push((name.to_owned(), 0o644, bytes.as_ref().to_vec()));
        self
    }

    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Wrong: a character device.
    pub fn device(self, path: &str) -> Self {
        self.entry(path, b'3', 0o666, "", b"")
    }

    /// Wrong: a named pipe.
    pub fn fifo(self, path: &str) -> Self {
        self.entry(path, b'6', 0o666, "", b"")
    }

    /// Wrong: adds a file with exactly this name and without the prefix `./`, such as `../evil`, `/etc/passwd` or
    /// `./a/.wh.b`.
    pub fn raw_entry(mut self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.entries.push(Entry { path: path.to_owned(), ..Entry::new(b'0', 0o644, bytes.as_ref()) });
        self
    }

    /// Wrong: the parent directories of files have no entries.
    pub fn without_parents(mut self) -> Self {
        self.has_parents = false;
        self
    }

    /// Wrong: the ar header of the data member contains a size that differs by `difference` bytes.
    pub fn lies_about_size(mut self, difference: i64) -> Self {
        self.lie = difference;
        self
    }

    /// Returns the file name of this package in the pool of an archive. It does not contain the epoch.
    pub fn file_name(&self) -> String {
        pool_name(&self.paragraph())
    }

    /// Returns the control paragraph.
    pub fn paragraph(&self) -> String {
        self.fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
    }

    /// Writes the package. The same builder always writes the same bytes.
    pub fn build(&self) -> Vec<u8> {
        let mut control = vec![Entry { path: "./".to_owned(), ..Entry::new(b'5', 0o755, b"") }];
        let paragraph = ("control".to_owned(), 0o644, self.paragraph().into_bytes());
        for (name, mode, bytes) in std::iter::once(&paragraph).chain(&self.control_files) {
            control.push(Entry { path: format!("./{name}"), ..Entry::new(b'0', *mode, bytes) });
        }
        let data = if self.has_parents { with_parents(&self.entries) } else { self.entries.clone() };
        let extension = match self.compression {
            Compression::Xz => ".xz",
            Compression::Zstd => ".zst",
            Compression::Gzip => ".gz",
            Compression::None => "",
        };
        let mut deb = b"!<arch>\n".to_vec();
        write_member(&mut deb, "debian-binary", b"2.0\n", 0);
        write_member(
            &mut deb,
            &format!("control.tar{extension}"),
            &compress(&write_tar(&control), self.compression),
            0,
        );
        write_member(
            &mut deb,
            &format!("data.tar{extension}"),
            &compress(&write_tar(&data), self.compression),
            self.lie,
        );
        deb
    }

    fn entry(mut self, path: &str, flag: u8, mode: u32, target: &str, bytes: &[u8]) -> Self {
        let path = format!("./{}", path.trim_start_matches("./").trim_start_matches('/'));
        self.entries.push(Entry { path, target: target.to_owned(), ..Entry::new(flag, mode, bytes) });
        self
    }
}

impl Entry {
    fn new(flag: u8, mode: u32, bytes: &[u8]) -> Self {
        Self { path: String::new(), flag, mode, owner: (0, 0), target: String::new(), bytes: bytes.to_vec() }
    }
}

/// Adds entries for the parent directories before each entry, like dpkg-deb.
fn with_parents(entries: &[Entry]) -> Vec<Entry> {
    let mut seen: BTreeSet<String> =
        entries.iter().filter(|entry| entry.flag == b'5').map(|entry| entry.path.clone()).collect();
    let mut all = Vec::new();
    let mut add_folder = |path: String, all: &mut Vec<Entry>| {
        if seen.insert(path.clone()) {
            all.push(Entry { path, ..Entry::new(b'5', 0o755, b"") });
        }
    };
    add_folder("./".to_owned(), &mut all);
    for entry in entries {
        if let Some(below) = entry.path.strip_prefix("./") {
            for (index, _) in below.trim_end_matches('/').match_indices('/') {
                add_folder(format!("./{}", &below[..=index]), &mut all);
            }
        }
        all.push(entry.clone());
    }
    all
}

fn write_member(deb: &mut Vec<u8>, name: &str, bytes: &[u8], lie: i64) {
    let told = i64::try_from(bytes.len()).expect("a package of a test is small") + lie;
    deb.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{told:<10}`\n", 0, 0, 0, 100_644).into_bytes());
    deb.extend(bytes);
    if bytes.len() % 2 == 1 {
        deb.push(b'\n');
    }
}

/// Writes a GNU tar file. Names of more than 100 bytes get separate entries.
fn write_tar(entries: &[Entry]) -> Vec<u8> {
    let mut tar = Vec::new();
    for entry in entries {
        for (flag, name) in [(b'K', &entry.target), (b'L', &entry.path)] {
            if name.len() > 100 {
                let long =
                    Entry { path: "././@LongLink".to_owned(), ..Entry::new(flag, 0, format!("{name}\0").as_bytes()) };
                write_tar_entry(&mut tar, &long);
            }
        }
        write_tar_entry(&mut tar, entry);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

fn write_tar_entry(tar: &mut Vec<u8>, entry: &Entry) {
    let mut header = [0u8; 512];
    let mut put = |offset: usize, bytes: &[u8]| header[offset..offset + bytes.len()].copy_from_slice(bytes);
    put(0, &entry.path.as_bytes()[..entry.path.len().min(100)]);
    put(100, format!("{:07o}", entry.mode).as_bytes());
    put(108, format!("{:07o}", entry.owner.0).as_bytes());
    put(116, format!("{:07o}", entry.owner.1).as_bytes());
    put(124, format!("{:011o}", entry.bytes.len()).as_bytes());
    put(136, format!("{:011o}", 1_700_000_000).as_bytes());
    put(148, b"        ");
    put(156, &[entry.flag]);
    put(157, &entry.target.as_bytes()[..entry.target.len().min(100)]);
    put(257, b"ustar  \0root");
    put(297, b"root");
    let checksum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{checksum:06o}\0 ").as_bytes());
    tar.extend(header);
    tar.extend(&entry.bytes);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

/// Compresses bytes in the way that archives and packages do.
pub fn compress(bytes: &[u8], compression: Compression) -> Vec<u8> {
    const MEMORY: &str = "memory takes every byte";
    match compression {
        Compression::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
            encoder.write_all(bytes).expect(MEMORY);
            encoder.finish().expect(MEMORY)
        }
        Compression::Zstd => zstd::encode_all(bytes, 3).expect(MEMORY),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(bytes).expect(MEMORY);
            encoder.finish().expect(MEMORY)
        }
        Compression::None => bytes.to_vec(),
    }
}

/// The data about a package in an archive's indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebSummary {
    /// The control paragraph. Each line ends with a line break.
    pub paragraph: String,
    /// The paths of files and links, without `./`. It is empty if the data member cannot be read.
    pub paths: Vec<String>,
}

impl DebSummary {
    /// Returns the first line of a field's value.
    pub fn field(&self, name: &str) -> Option<&str> {
        field_of(&self.paragraph, name)
    }

    /// Returns the package's file name in a pool.
    pub fn file_name(&self) -> String {
        pool_name(&self.paragraph)
    }
}

/// Reads a package. Returns `None` if it has no control paragraph.
pub fn summarize(deb: &[u8]) -> Option<DebSummary> {
    let mut paragraph = None;
    let mut paths = Vec::new();
    let mut rest = deb.strip_prefix(b"!<arch>\n")?;
    while rest.len() >= 60 {
        let (header, after) = rest.split_at(60);
        let name = std::str::from_utf8(&header[..16]).ok()?.trim().trim_end_matches('/');
        let size: usize = std::str::from_utf8(&header[48..58]).ok()?.trim().parse().ok()?;
        let bytes = &after[..size.min(after.len())];
        if name.starts_with("control.tar") {
            paragraph = read_tar(bytes, name, |path, entry| (path == "./control").then(|| text_of(entry))).pop();
        } else if name.starts_with("data.tar") {
            paths = read_tar(bytes, name, |path, entry| {
                (!entry.header().entry_type().is_dir()).then(|| path.trim_start_matches("./").to_owned())
            });
        }
        rest = after.get(size + size % 2..).unwrap_or_default();
    }
    Some(DebSummary { paragraph: paragraph?, paths })
}

type TarEntry<'a, 'b> = tar::Entry<'a, Box<dyn Read + 'b>>;

fn read_tar<T>(bytes: &[u8], name: &str, mut pick: impl FnMut(&str, &mut TarEntry<'_, '_>) -> Option<T>) -> Vec<T> {
    let reader: Box<dyn Read + '_> = match name.rsplit('.').next() {
        Some("xz") => Box::new(liblzma::read::XzDecoder::new(bytes)),
        Some("gz") => Box::new(flate2::read::GzDecoder::new(bytes)),
        Some("zst") => match zstd::Decoder::new(bytes) {
            Ok(decoder) => Box::new(decoder),
            Err(_) => return Vec::new(),
        },
        _ => Box::new(bytes),
    };
    let mut archive = tar::Archive::new(reader);
    let Ok(entries) = archive.entries() else { return Vec::new() };
    let mut picked = Vec::new();
    for mut entry in entries.map_while(Result::ok) {
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        picked.extend(pick(&path, &mut entry));
    }
    picked
}

fn text_of(entry: &mut TarEntry<'_, '_>) -> String {
    let mut text = String::new();
    // If the file is not text, an archive treats it as an empty paragraph.
    let _ = entry.read_to_string(&mut text);
    text
}

fn field_of<'a>(paragraph: &'a str, name: &str) -> Option<&'a str> {
    paragraph.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn pool_name(paragraph: &str) -> String {
    let field = |name| field_of(paragraph, name).unwrap_or_default();
    let version = field("Version");
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    format!("{}_{version}_{}.deb", field("Package"), field("Architecture"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo() -> DebBuilder {
        DebBuilder::new("demo", "1:2.0-1", "amd64")
            .depends("libc6 (>= 2.41)")
            .provides("virtual-demo")
            .file("usr/bin/demo", 0o755, "#!/bin/sh\n")
            .link("usr/bin/other", "demo")
            .script("postinst", "#!/bin/sh\nexit 0\n")
    }

    #[test]
    fn a_package_reads_back_in_every_compression() {
        for compression in [Compression::Xz, Compression::Zstd, Compression::Gzip, Compression::None] {
            let deb = demo().compression(compression).build();
            let summary = summarize(&deb).unwrap();
            assert_eq!(summary.field("Depends"), Some("libc6 (>= 2.41)"));
            assert_eq!(summary.field("Provides"), Some("virtual-demo"));
            assert_eq!(summary.paths, ["usr/bin/demo", "usr/bin/other"]);
            assert_eq!(summary.file_name(), "demo_2.0-1_amd64.deb");
            assert_eq!(demo().compression(compression).build(), deb);
        }
    }

    #[test]
    fn the_folders_above_a_file_come_before_it_and_once() {
        let tar = write_tar(&with_parents(&demo().dir("usr/share/empty", 0o700).entries));
        let mut archive = tar::Archive::new(tar.as_slice());
        let listing: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                format!("{:04o} {}", header.mode().unwrap(), String::from_utf8_lossy(&entry.path_bytes()))
            })
            .collect();
        let expected = [
            "0755 ./",
            "0755 ./usr/",
            "0755 ./usr/bin/",
            "0755 ./usr/bin/demo",
            "0777 ./usr/bin/other",
            "0755 ./usr/share/",
            "0700 ./usr/share/empty/",
        ];
        assert_eq!(listing, expected);
    }

    #[test]
    fn a_package_can_be_wrong_in_each_way() {
        let long = format!("usr/{}/end", "a-folder/".repeat(20));
        let deb = DebBuilder::new("evil", "1", "all")
            .raw_entry("../evil", "x")
            .raw_entry("/etc/passwd", "x")
            .file("usr/.wh.lib", 0o644, "")
            .device("dev/null")
            .fifo("run/pipe")
            .hard_link("usr/hard", "./../../etc/shadow")
            .file(&long, 0o644, "long")
            .owned_by(1000, 1000)
            .build();
        let paths = summarize(&deb).unwrap().paths;
        assert_eq!(paths, ["../evil", "/etc/passwd", "usr/.wh.lib", "dev/null", "run/pipe", "usr/hard", &long]);
        let honest = demo().build();
        let lying = demo().lies_about_size(7).build();
        assert_eq!(lying.len(), honest.len());
        assert_ne!(lying, honest);
        assert_eq!(summarize(&lying).unwrap().field("Package"), Some("demo"), "its control member is whole");
    }

    #[test]
    fn what_is_no_package_has_no_summary() {
        assert_eq!(summarize(b""), None);
        assert_eq!(summarize(b"!<arch>\nrubbish"), None);
    }
}
