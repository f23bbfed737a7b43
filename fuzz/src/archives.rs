//! Targets for archives: wheels, .debs, lath's own tars, saved images.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write as _};
use std::path::Path;

use arbitrary::Unstructured;
use sha2::{Digest as _, Sha256};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use crate::formats::deb::{self, DebEntry, DebError};
use crate::formats::oci::saved_image::SavedImage;
use crate::formats::wheel::{Wheel, WheelError, base64_url};
use crate::formats::{metadata, tarball};
use crate::model::digest::{Digest, DigestWriter};
use crate::model::image_path::ImagePath;
use crate::model::tree::{Kind, Node, Origin};

/// An archive may unpack to this many bytes at any ratio.
const RATIO_FREE_BYTES: u64 = 64 << 20;

/// A reader that returns at most the given number of bytes at a time.
struct Sips<R>(R, usize);

impl<R: Read> Read for Sips<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.1);
        self.0.read(&mut buffer[..most])
    }
}

/// Returns the path that lath makes of `text`, which is inside the image. `None` if lath refuses it.
fn inside(text: &str) -> Option<ImagePath> {
    let path = ImagePath::parse(text).ok()?;
    let is_normal = |name: &str| !matches!(name, "" | "." | "..") && !name.starts_with(".wh.") && !name.contains('\0');
    assert!(path.as_str() == "/" || path.relative().split('/').all(is_normal), "{path}");
    assert!(path.under(Path::new("/image")).starts_with("/image"));
    Some(path)
}

/// Wheels as bytes: the zip archive, its RECORD, its documents and its files.
pub fn wheel(bytes: &[u8]) {
    let Ok(wheel) = Wheel::open(Cursor::new(bytes)) else { return };
    let _ = read_wheel(wheel, 200 * (bytes.len() as u64 + 1));
}

/// Reads all of a wheel, which may unpack to `limit_bytes`, and returns the paths of its files.
fn read_wheel<R: Read + io::Seek>(mut wheel: Wheel<R>, limit_bytes: u64) -> Result<Vec<String>, WheelError> {
    let header = wheel.header()?;
    assert!(header.dist_info.ends_with(".dist-info") && !header.dist_info.contains('/'));
    for (name, _, _) in &header.console_scripts {
        let path = inside(name).unwrap_or_else(|| panic!("the script {name:?}"));
        assert_eq!(path.relative(), name, "a script lies in the folder of scripts");
    }
    let _ = metadata::read(&header.metadata);
    let mut unpacked_bytes = 0;
    let mut paths = Vec::new();
    wheel.files(|_, path, _, reader| {
        assert_ne!(inside(&path), Some(ImagePath::root()), "a file is not the root");
        let mut writer = DigestWriter::new(io::sink());
        let copied = io::copy(reader, &mut writer);
        unpacked_bytes += copied.map_err(|source| WheelError::Read { file: path.clone(), source })?;
        assert!(unpacked_bytes <= limit_bytes.max(RATIO_FREE_BYTES + 1), "{unpacked_bytes} of {limit_bytes}");
        paths.push(path);
        Ok::<_, WheelError>(Some(*writer.finish().1.as_bytes()))
    })?;
    Ok(paths)
}

/// Documents of a wheel in a valid zip archive. [`wheel`] cannot change them, because a zip archive has checksums.
///
/// The bytes are METADATA, entry_points.txt, more lines of RECORD, and the name of a file, separated by `%%` lines.
pub fn wheel_texts(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut texts = text.split("%%\n");
    let mut next = || texts.next().unwrap_or_default();
    let (metadata, entry_points, record_lines, name) = (next(), next(), next(), next());
    let files = [
        ("demo-1.dist-info/METADATA", metadata),
        ("demo-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"),
        ("demo-1.dist-info/entry_points.txt", entry_points),
        (name, "contents"),
    ];
    // A wheel needs no other file.
    let files = if name.is_empty() { &files[..3] } else { &files[..] };
    let mut record = String::from("demo-1.dist-info/RECORD,,\n");
    for (name, text) in files {
        let quoted =
            if name.contains(['"', ',']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { (*name).into() };
        let digest = base64_url(&Sha256::digest(text.as_bytes()));
        record.push_str(&format!("{quoted},sha256={digest},{}\n", text.len()));
    }
    record.push_str(record_lines);
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, text) in files.iter().copied().chain([("demo-1.dist-info/RECORD", record.as_str())]) {
        let written =
            zip.start_file(name, options).map_err(io::Error::from).and_then(|()| zip.write_all(text.as_bytes()));
        if written.is_err() {
            return;
        }
    }
    let Ok(bytes) = zip.finish() else { return };
    let limit_bytes = 200 * (bytes.get_ref().len() as u64 + 1);
    let opened = Wheel::open(bytes);
    let is_plain =
        !name.contains(['\\', '\n', '\r', '\0']) && !name.starts_with("demo-1.")
        && !name.contains(".dist-info/")
        && !name.contains(".data/");
    let is_normal = name.is_empty() || (inside(name).is_some_and(|path| path.relative() == name) && is_plain);
    if is_normal && record_lines.trim().is_empty() {
        let wheel = opened.unwrap_or_else(|error| panic!("an honest wheel is refused: {error}: {record:?}"));
        match read_wheel(wheel, limit_bytes) {
            Ok(paths) => assert!(name.is_empty() || paths.iter().any(|path| path == name)),
            Err(error) => {
                let is_fair = matches!(error, WheelError::File { .. } | WheelError::Script { .. });
                assert!(is_fair, "an honest wheel is refused: {error}");
            }
        }
    } else if let Ok(wheel) = opened {
        let _ = read_wheel(wheel, limit_bytes);
    }
}

/// Debian packages: the ar archive, the compressed members, their tars.
pub fn deb(bytes: &[u8]) {
    let (whole, unpacked_bytes) = read_deb(bytes, bytes.len());
    if unpacked_bytes < 1 << 20 {
        assert_eq!(read_deb(Sips(bytes, 7), bytes.len()), (whole, unpacked_bytes));
    }
}

/// Returns the contents of a package, one line per path, and the number of bytes of its files. The contents are `None`
/// if the package is refused.
fn read_deb(reader: impl Read, packed_bytes: usize) -> (Option<Vec<String>>, u64) {
    let limit_bytes = (packed_bytes as u64 * 500).max(RATIO_FREE_BYTES);
    let mut unpacked_bytes = 0;
    let mut lines = Vec::new();
    let files = deb::read(reader, |path, mode, entry| {
        assert!(mode <= 0o7777);
        assert!(path.len() <= MAX_NAME_BYTES);
        let path = inside(&path).ok_or(DebError::Name { path })?;
        let kind = match entry {
            DebEntry::Directory => "folder".to_owned(),
            DebEntry::File(reader) => {
                let mut writer = DigestWriter::new(io::sink());
                let copied = io::copy(reader, &mut writer);
                unpacked_bytes += copied.map_err(|source| DebError::Member { member: path.to_string(), source })?;
                assert!(unpacked_bytes <= limit_bytes, "{unpacked_bytes} of {limit_bytes}");
                writer.finish().1.prefixed()
            }
            DebEntry::Link(target) => {
                assert!(!target.is_empty() && !target.contains('\0') && target.len() <= MAX_NAME_BYTES, "{target:?}");
                inside(path.resolve_link(&target).as_str());
                format!("-> {target}")
            }
            DebEntry::HardLink(target) => format!("= {target}"),
        };
        lines.push(format!("{path} {mode:o} {kind}"));
        Ok::<_, DebError>(())
    });
    let files = files.map(|files| {
        let control_bytes: usize = files.iter().map(|(name, text)| name.len() + text.len()).sum();
        // Bytes that are not UTF-8 become three bytes each.
        assert!(control_bytes as u64 <= 3 * RATIO_FREE_BYTES);
        lines.extend(files.into_iter().map(|(name, text)| format!("{name}: {text}")));
        lines
    });
    (files.ok(), unpacked_bytes)
}

/// The most bytes that the headers of one entry of a tar may have.
const MAX_NAME_BYTES: usize = 1 << 20;

/// The tars that lath writes: the `tar` crate reads the same entries from them.
pub fn tar(bytes: &[u8]) {
    let _ = write_and_read(&mut Unstructured::new(bytes));
}

fn write_and_read(input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let epoch_secs = input.arbitrary()?;
    let mut written = Vec::new();
    let mut expected = Vec::new();
    while !input.is_empty() {
        let Some(path) = inside(input.arbitrary()?).filter(|path| *path != ImagePath::root()) else { continue };
        let contents: &[u8] = input.arbitrary()?;
        let kind = match input.int_in_range(0..=3)? {
            0 => Kind::Directory,
            // A link has a target. The `tar` crate cannot read a line break in it.
            1 => Kind::Link { target: format!("t{}", input.arbitrary::<&str>()?.replace(['\0', '\n'], "/")) },
            _ => Kind::File { digest: Digest::of(contents), size_bytes: contents.len() as u64 },
        };
        let node = Node { kind, mode: input.arbitrary()?, owner: input.arbitrary()?, origin: Origin::Lath, kept: None };
        let first = expected
            .iter()
            .rev()
            .find_map(|entry: &Written| (entry.kind == tar::EntryType::Regular).then(|| entry.path.clone()));
        let entry = match (&node.kind, first) {
            (Kind::File { .. }, Some(first)) if input.arbitrary()? => {
                let first_path = inside(&first).expect("it was one before");
                tarball::write_hard_link(&mut written, &path, &node, &first_path, epoch_secs)
                    .expect("memory takes all");
                Written {
                    kind: tar::EntryType::Link,
                    link: first,
                    contents: Vec::new(),
                    ..Written::of(&path, &node, epoch_secs)
                }
            }
            _ => {
                tarball::write_node(&mut written, &path, &node, epoch_secs, &mut &contents[..])
                    .expect("memory takes all");
                let contents = if node.digest().is_some() { contents.to_vec() } else { Vec::new() };
                Written { contents, ..Written::of(&path, &node, epoch_secs) }
            }
        };
        expected.push(entry);
    }
    written.extend(tarball::END);
    assert!(written.len().is_multiple_of(512));
    assert_eq!(read_tar(&written).expect("what was written is a tar"), expected);
    Ok(())
}

/// One entry of a tar.
#[derive(Debug, PartialEq)]
struct Written {
    path: String,
    kind: tar::EntryType,
    mode: u32,
    owner: (u64, u64),
    epoch_secs: u64,
    link: String,
    contents: Vec<u8>,
}

impl Written {
    fn of(path: &ImagePath, node: &Node, epoch_secs: u64) -> Self {
        let (kind, link) = match &node.kind {
            Kind::Directory => (tar::EntryType::Directory, ""),
            Kind::Link { target } => (tar::EntryType::Symlink, target.as_str()),
            Kind::File { .. } => (tar::EntryType::Regular, ""),
        };
        let owner = (u64::from(node.owner), u64::from(node.owner));
        let path = path.relative().to_owned();
        Self { path, kind, mode: node.mode & 0o7777, owner, epoch_secs, link: link.to_owned(), contents: Vec::new() }
    }
}

fn read_tar(bytes: &[u8]) -> io::Result<Vec<Written>> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it was UTF-8 before");
    let mut read = Vec::new();
    for entry in tar::Archive::new(bytes).entries()? {
        let mut entry = entry?;
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents)?;
        let link = text(&entry.link_name_bytes().unwrap_or_default());
        let path = text(&entry.path_bytes()).trim_end_matches('/').to_owned();
        // The crate does not apply this record to the header.
        let records = entry.pax_extensions()?.into_iter().flatten().collect::<io::Result<Vec<_>>>()?;
        let record = records.iter().find(|record| record.key_bytes() == b"mtime");
        let mtime = record.map(|record| text(record.value_bytes()).parse().expect("a time is a number"));
        let header = entry.header();
        let owner = (header.uid()?, header.gid()?);
        let (kind, mode, epoch_secs) = (header.entry_type(), header.mode()?, mtime.unwrap_or(header.mtime()?));
        read.push(Written { path, kind, mode, owner, epoch_secs, link, contents });
    }
    Ok(read)
}

/// The archive that `docker save` writes, its layers, and the texts of dpkg in them.
pub fn saved_image(bytes: &[u8]) {
    let whole = SavedImage::read(bytes);
    if let Ok(image) = &whole {
        let texts: BTreeMap<&str, usize> =
            image.package_lists.iter().map(|(name, text)| (name.as_str(), text.len())).collect();
        let texts_bytes = texts.values().sum::<usize>() + image.status.len();
        assert!(texts_bytes <= 256 << 20, "{texts_bytes} bytes of text");
        assert!(image.present.iter().all(|path| image.files.contains_key(path)));
    }
    assert_eq!(SavedImage::read(Sips(bytes, 97)).ok(), whole.ok());
}
