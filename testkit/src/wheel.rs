//! Builds wheels in memory: valid ones with little code, and every kind of wrong wheel.
//!
//! The zip file is written by hand, because a library refuses the names and sizes in a malicious wheel. Sources: the
//! binary distribution format (packaging.python.org) and PKWARE's APPNOTE, section 4.3.

use std::collections::BTreeSet;
use std::io::Write as _;

use crate::digest::record_digest;

/// Builds a wheel: `WheelBuilder::new("demo", "1.0").script("demo", "demo:main").build()`.
#[derive(Debug, Clone)]
pub struct WheelBuilder {
    name: String,
    version: String,
    tag: String,
    metadata: Vec<String>,
    scripts: Vec<(String, String, String)>,
    entries: Vec<Entry>,
    /// Entries that are missing in RECORD.
    unrecorded: BTreeSet<String>,
    /// Lines of RECORD for which there is no file.
    record_lines: Vec<String>,
    has_record: bool,
    /// A wrong size of METADATA in the zip file.
    claimed_metadata_size: Option<u32>,
}

#[derive(Debug, Clone)]
struct Entry {
    path: String,
    bytes: Vec<u8>,
    /// The Unix file mode including the file type, such as `0o100644`.
    mode: u32,
    /// A wrong size of the file in the zip file.
    claimed_size: Option<u32>,
    is_recorded: bool,
    recorded_as: Option<Vec<u8>>,
}

impl WheelBuilder {
    /// Creates a pure wheel (`py3-none-any`) that contains only its metadata.
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            tag: "py3-none-any".to_owned(),
            metadata: Vec::new(),
            scripts: Vec::new(),
            entries: Vec::new(),
            unrecorded: BTreeSet::new(),
            record_lines: Vec::new(),
            has_record: true,
            claimed_metadata_size: None,
        }
    }

    /// Sets the compatibility tag, such as `cp313-cp313-manylinux_2_28_x86_64`.
    pub fn tag(mut self, tag: &str) -> Self {
        tag.clone_into(&mut self.tag);
        self
    }

    /// Adds a file with mode 0644 to site-packages.
    pub fn file(self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.entry(path, bytes.as_ref(), 0o100_644)
    }

    /// Adds an executable file to site-packages.
    pub fn executable(self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.entry(path, bytes.as_ref(), 0o100_755)
    }

    /// Adds a console script, for example with `.script("demo", "demo.cli:main")`.
    pub fn script(self, name: &str, target: &str) -> Self {
        self.entry_point("console_scripts", name, target)
    }

    /// Adds an entry point to any group.
    pub fn entry_point(mut self, group: &str, name: &str, target: &str) -> Self {
        self.scripts.push((group.to_owned(), name.to_owned(), target.to_owned()));
        self
    }

    /// Adds a file to the `.data` directory. `scheme` is `scripts`, `data`, `headers`, `purelib` or `platlib`.
    pub fn data(self, scheme: &str, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        let mode = if scheme == "scripts" { 0o100_755 } else { 0o100_644 };
        let path = format!("{}-{}.data/{scheme}/{path}", self.escaped_name(), self.version);
        self.entry(&path, bytes.as_ref(), mode)
    }

    /// Adds a `Requires-Dist` line.
    pub fn requires(self, requirement: &str) -> Self {
        self.metadata_line(&format!("Requires-Dist: {requirement}"))
    }

    /// Adds a `Requires-Python` line.
    pub fn requires_python(self, specifiers: &str) -> Self {
        self.metadata_line(&format!("Requires-Python: {specifiers}"))
    }

    /// Adds a line to the header of METADATA.
    pub fn metadata_line(mut self, line: &str) -> Self {
        self.metadata.push(line.to_owned());
        self
    }

    /// Wrong: `path` is missing in RECORD.
    pub fn without_record_of(mut self, path: &str) -> Self {
        self.unrecorded.insert(path.to_owned());
        self
    }

    /// Wrong: RECORD has the digest and size of `other` for `path`.
    pub fn recorded_as(mut self, path: &str, other: impl AsRef<[u8]>) -> Self {
        self.last_named(path).recorded_as = Some(other.as_ref().to_vec());
        self
    }

    /// Wrong: adds a line to RECORD for which there is no file.
    pub fn record_line(mut self, line: &str) -> Self {
        self.record_lines.push(line.to_owned());
        self
    }

    /// Wrong: there is no RECORD.
    pub fn without_record(mut self) -> Self {
        self.has_record = false;
        self
    }

    /// Wrong: adds an entry with exactly this name, such as `../evil`, `/etc/passwd` or a name that occurs twice.
    /// RECORD lists it too.
    pub fn raw_entry(self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.file(path, bytes)
    }

    /// Wrong: adds a symbolic link, in the form that Info-ZIP writes.
    pub fn link(self, path: &str, target: &str) -> Self {
        self.entry(path, target.as_bytes(), 0o120_777)
    }

    /// Wrong: the zip file contains `size` for the entry `path`, but its real size is different.
    pub fn claims_size(mut self, path: &str, size: u32) -> Self {
        self.last_named(path).claimed_size = Some(size);
        self
    }

    /// Wrong: the zip file contains `size` for METADATA, but its real size is different.
    pub fn claims_metadata_size(mut self, size: u32) -> Self {
        self.claimed_metadata_size = Some(size);
        self
    }

    /// Returns the file name of this wheel on an index.
    pub fn file_name(&self) -> String {
        format!("{}-{}-{}.whl", self.escaped_name(), self.version, self.tag)
    }

    /// Returns the text of METADATA.
    pub fn metadata(&self) -> String {
        let mut text = format!("Metadata-Version: 2.1\nName: {}\nVersion: {}\n", self.name, self.version);
        for line in &self.metadata {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Writes the wheel. The same builder always writes the same bytes.
    pub fn build(&self) -> Vec<u8> {
        let dist_info = format!("{}-{}.dist-info", self.escaped_name(), self.version);
        let mut entries = self.entries.clone();
        let metadata = entries.len();
        let mut add = |name: &str, text: String| {
            entries.push(Entry::new(&format!("{dist_info}/{name}"), text.as_bytes(), 0o100_644))
        };
        add("METADATA", self.metadata());
        add("WHEEL", self.wheel_file());
        if !self.scripts.is_empty() {
            add("entry_points.txt", self.entry_points());
        }
        if self.has_record {
            let record_path = format!("{dist_info}/RECORD");
            let record = self.record(&entries, &record_path);
            entries.push(Entry::new(&record_path, record.as_bytes(), 0o100_644));
        }
        entries[metadata].claimed_size = self.claimed_metadata_size;
        write_zip(&entries)
    }

    fn entry(mut self, path: &str, bytes: &[u8], mode: u32) -> Self {
        self.entries.push(Entry::new(path, bytes, mode));
        self
    }

    fn last_named(&mut self, path: &str) -> &mut Entry {
        self.entries.iter_mut().rfind(|entry| entry.path == path).expect("the entry was added before")
    }

    fn escaped_name(&self) -> String {
        self.name.replace(['-', '.'], "_")
    }

    fn wheel_file(&self) -> String {
        let is_pure = self.tag.ends_with("-none-any");
        let mut text = format!("Wheel-Version: 1.0\nGenerator: testkit\nRoot-Is-Purelib: {is_pure}\n");
        let mut parts = self.tag.splitn(3, '-');
        let (pythons, abis, platforms) =
            (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        for python in pythons.split('.') {
            for abi in abis.split('.') {
                for platform in platforms.split('.') {
                    text.push_str(&format!("Tag: {python}-{abi}-{platform}\n"));
                }
            }
        }
        text
    }

    fn entry_points(&self) -> String {
        let groups: BTreeSet<&str> = self.scripts.iter().map(|(group, ..)| group.as_str()).collect();
        let mut text = String::new();
        for group in groups {
            text.push_str(&format!("[{group}]\n"));
            for (_, name, target) in self.scripts.iter().filter(|(of, ..)| of == group) {
                text.push_str(&format!("{name} = {target}\n"));
            }
            text.push('\n');
        }
        text
    }

    fn record(&self, entries: &[Entry], record_path: &str) -> String {
        let mut text = String::new();
        for entry in entries.iter().filter(|entry| entry.is_recorded && !self.unrecorded.contains(&entry.path)) {
            let bytes = entry.recorded_as.as_ref().unwrap_or(&entry.bytes);
            text.push_str(&format!("{},{},{}\n", quoted(&entry.path), record_digest(bytes), bytes.len()));
        }
        for line in &self.record_lines {
            text.push_str(line);
            text.push('\n');
        }
        text.push_str(&format!("{},,\n", quoted(record_path)));
        text
    }
}

impl Entry {
    fn new(path: &str, bytes: &[u8], mode: u32) -> Self {
        Self {
            path: path.to_owned(),
            bytes: bytes.to_vec(),
            mode,
            claimed_size: None,
            is_recorded: !path.ends_with('/'),
            recorded_as: None,
        }
    }
}

/// Returns a text as a field of RECORD, which is CSV.
fn quoted(path: &str) -> String {
    if path.contains([',', '"', '\n']) { format!("\"{}\"", path.replace('"', "\"\"")) } else { path.to_owned() }
}

/// Writes compressed entries in the given order. All have the date 1 January 1980.
fn write_zip(entries: &[Entry]) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        let offset = size_of_zip(archive.len());
        let mut checksum = flate2::Crc::new();
        checksum.update(&entry.bytes);
        let packed = deflated(&entry.bytes);
        let mut common = Vec::new();
        for field in [20u16, 0x0800, 8, 0, 0x0021] {
            common.extend(field.to_le_bytes());
        }
        let size = entry.claimed_size.unwrap_or_else(|| size_of_zip(entry.bytes.len()));
        for field in [checksum.sum(), size_of_zip(packed.len()), size] {
            common.extend(field.to_le_bytes());
        }
        let name_length = u16::try_from(entry.path.len()).expect("a path of a test is short");
        common.extend(name_length.to_le_bytes());
        common.extend(0u16.to_le_bytes());

        archive.extend(b"PK\x03\x04");
        archive.extend(&common);
        archive.extend(entry.path.as_bytes());
        archive.extend(&packed);

        directory.extend(b"PK\x01\x02");
        // The zip file says that it was made by Unix. So the upper half of the external attributes contains the mode.
        directory.extend(0x0314u16.to_le_bytes());
        directory.extend(&common);
        directory.extend([0; 6]);
        directory.extend((entry.mode << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(entry.path.as_bytes());
    }
    let start = size_of_zip(archive.len());
    let count = u16::try_from(entries.len()).expect("a wheel of a test has few entries");
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend(count.to_le_bytes());
    archive.extend(count.to_le_bytes());
    archive.extend(size_of_zip(directory.len()).to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend([0; 2]);
    archive
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory takes every byte");
    encoder.finish().expect("memory takes every byte")
}

fn size_of_zip(length: usize) -> u32 {
    u32::try_from(length).expect("a wheel of a test is below 4 GiB")
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read as _};

    use super::*;

    fn open(wheel: &[u8]) -> zip::ZipArchive<Cursor<&[u8]>> {
        zip::ZipArchive::new(Cursor::new(wheel)).unwrap()
    }

    fn text_of(wheel: &[u8], path: &str) -> String {
        let mut text = String::new();
        open(wheel).by_name(path).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_wheel_reads_back_with_every_file_in_its_record() {
        let builder = WheelBuilder::new("my-demo", "1.0")
            .file("my_demo/__init__.py", "def main(): pass\n")
            .data("data", "share/my demo,1.txt", b"x")
            .script("demo", "my_demo:main")
            .requires("idna>=2")
            .requires_python(">=3.9");
        assert_eq!(builder.file_name(), "my_demo-1.0-py3-none-any.whl");
        let wheel = builder.build();
        let metadata = text_of(&wheel, "my_demo-1.0.dist-info/METADATA");
        assert!(metadata.contains("Name: my-demo\n") && metadata.contains("Requires-Dist: idna>=2\n"), "{metadata}");
        assert_eq!(
            text_of(&wheel, "my_demo-1.0.dist-info/entry_points.txt"),
            "[console_scripts]\ndemo = my_demo:main\n\n"
        );
        let record = text_of(&wheel, "my_demo-1.0.dist-info/RECORD");
        assert_eq!(record.lines().count(), open(&wheel).len());
        assert!(record.contains(&format!("my_demo/__init__.py,{},17\n", record_digest(b"def main(): pass\n"))));
        assert!(record.contains("\"my_demo-1.0.data/data/share/my demo,1.txt\",sha256="), "{record}");
        assert_eq!(builder.build(), wheel, "the same builder gives the same bytes");
    }

    #[test]
    fn every_tag_of_a_compressed_set_is_spelled_out() {
        let wheel = WheelBuilder::new("demo", "1").tag("py2.py3-none-any").build();
        let text = text_of(&wheel, "demo-1.dist-info/WHEEL");
        assert!(text.ends_with("Root-Is-Purelib: true\nTag: py2-none-any\nTag: py3-none-any\n"), "{text}");
    }

    #[test]
    fn a_wheel_can_be_wrong_in_each_way() {
        let wheel = WheelBuilder::new("demo", "1")
            .file("a.py", "a")
            .file("b.py", "b")
            .raw_entry("../evil", "out")
            .raw_entry("a.py", "again")
            .link("lib.so", "/etc/passwd")
            .without_record_of("b.py")
            .recorded_as("../evil", "other")
            .record_line("ghost.py,,")
            .build();
        let record = text_of(&wheel, "demo-1.dist-info/RECORD");
        assert!(!record.contains("b.py"), "{record}");
        assert!(record.contains(&format!("../evil,{},5\n", record_digest(b"other"))), "{record}");
        assert!(record.contains("ghost.py,,\n"));
        let names = wheel.windows(4).filter(|window| *window == b"a.py").count();
        assert_eq!(names, 4, "both stand before their bytes and in the directory");
        assert_eq!(open(&wheel).by_name("lib.so").unwrap().unix_mode(), Some(0o120_777));
        let lying = WheelBuilder::new("demo", "1").file("a.py", "aaaa").claims_size("a.py", 1).build();
        assert_eq!(open(&lying).by_name("a.py").unwrap().size(), 1);
        let bare = WheelBuilder::new("demo", "1").without_record().build();
        assert!(open(&bare).by_name("demo-1.dist-info/RECORD").is_err());
    }
}
