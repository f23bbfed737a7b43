//! Targets for text formats: Debian's control files and Release files, and documents of OCI layouts.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::BufReader;
use std::sync::OnceLock;

use crate::formats::deb822::{self, Paragraph};
use crate::formats::gsettings::{self, SourceFile};
use crate::formats::oci::{self, Descriptor, Index};
use crate::formats::pylock;
use crate::formats::relation;
use crate::formats::release::Release;
use crate::signature::Keyring;

const FIELDS: [&str; 6] = ["Package", "Version", "Depends", "Provides", "Description", "Size"];

/// Paragraphs of control files, and the relations and versions in their fields.
pub fn control(bytes: &[u8]) {
    let whole: Vec<Paragraph> = deb822::paragraphs(bytes).map_while(Result::ok).collect();
    let in_sips = deb822::paragraphs(BufReader::with_capacity(3, bytes)).map_while(Result::ok);
    assert_eq!(whole, in_sips.collect::<Vec<_>>());
    let mut versions = Vec::new();
    for paragraph in &whole {
        let values = paragraph.fields(FIELDS);
        let mut written = String::new();
        for (name, value) in FIELDS.into_iter().zip(values) {
            assert_eq!(paragraph.field(name), value);
            if let Some(value) = value {
                let _ = writeln!(written, "{name}: {value}");
                relations(value);
            }
        }
        versions.extend(values[1]);
        let read: Vec<Paragraph> = deb822::paragraphs(written.as_bytes()).map(Result::unwrap).collect();
        match read.as_slice() {
            [] => assert_eq!(values, [None; FIELDS.len()]),
            [one] => assert_eq!(one.fields(FIELDS), values, "{written:?}"),
            more => panic!("one paragraph became {}: {written:?}", more.len()),
        }
    }
    for pair in versions.windows(2) {
        versions_in_order(pair[0], pair[1]);
    }
}

/// Reads a relation field: its text reads the same, and its versions have an order.
fn relations(field: &str) {
    let Ok(clauses) = relation::parse(field) else { return };
    for relation in clauses.iter().flat_map(|clause| &clause.0) {
        let shown = relation.to_string();
        let again = relation::parse(&shown).unwrap_or_else(|error| panic!("{shown:?}: {error}"));
        // The text does not contain the qualifier.
        let expected = relation::Relation { qualifier: None, ..relation.clone() };
        assert_eq!(again, [relation::Alternatives(vec![expected])]);
        if let Some((_, version)) = &relation.version {
            for other in ["1:1.0-1", "0", "1.0~rc0"] {
                let _ = relation.allows(other);
                versions_in_order(version, other);
            }
        }
    }
}

/// The order is dpkg's, and it does not depend on which version comes first.
fn versions_in_order(one: &str, other: &str) {
    let Ok(order) = relation::compare(one, other) else { return };
    assert_eq!(relation::compare(other, one), Ok(order.reverse()));
    assert_eq!(relation::compare(one, one), Ok(Ordering::Equal));
    assert_eq!(order, dpkg_order(one, other), "{one:?} and {other:?}");
}

/// dpkg's own comparison, which follows its source (`lib/dpkg/version.c`).
fn dpkg_order(one: &str, other: &str) -> Ordering {
    let split = |text: &str| -> (u64, String, String) {
        let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch.parse().unwrap_or_else(|_| panic!("the epoch of {text:?}")), upstream.to_owned(), revision.to_owned())
    };
    let (one, other) = (split(one), split(other));
    let parts = || {
        part_order(one.1.as_bytes(), other.1.as_bytes()).then_with(|| part_order(one.2.as_bytes(), other.2.as_bytes()))
    };
    one.0.cmp(&other.0).then_with(parts)
}

fn part_order(mut one: &[u8], mut other: &[u8]) -> Ordering {
    let weight = |text: &[u8]| match text.first() {
        None => 0,
        Some(byte) if byte.is_ascii_digit() => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(b'~') => -1,
        Some(byte) => i32::from(*byte) + 256,
    };
    let starts_with_digit = |text: &[u8]| text.first().is_some_and(u8::is_ascii_digit);
    while !one.is_empty() || !other.is_empty() {
        while (!one.is_empty() && !starts_with_digit(one)) || (!other.is_empty() && !starts_with_digit(other)) {
            let order = weight(one).cmp(&weight(other));
            if order != Ordering::Equal {
                return order;
            }
            (one, other) = (one.get(1..).unwrap_or_default(), other.get(1..).unwrap_or_default());
        }
        let zeros = |text: &[u8]| text.iter().take_while(|byte| **byte == b'0').count();
        (one, other) = (&one[zeros(one)..], &other[zeros(other)..]);
        let mut first = Ordering::Equal;
        while starts_with_digit(one) && starts_with_digit(other) {
            first = first.then(one[0].cmp(&other[0]));
            (one, other) = (&one[1..], &other[1..]);
        }
        match (starts_with_digit(one), starts_with_digit(other)) {
            (true, _) => return Ordering::Greater,
            (_, true) => return Ordering::Less,
            _ if first != Ordering::Equal => return first,
            _ => {}
        }
    }
    Ordering::Equal
}

/// Release files: if the values are written and read again, they are the same.
pub fn release(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(release) = Release::parse(text) else { return };
    let mut written = format!("Suite: {}\nCodename: {}\n", release.suite, release.codename);
    let _ = writeln!(written, "Architectures: {}", release.architectures.join(" "));
    let _ = writeln!(written, "Components: {}", release.components.join("\t"));
    if release.acquires_by_hash {
        written.push_str("Acquire-By-Hash: yes\n");
    }
    written.push_str("SHA256:\n");
    for (path, index) in &release.indexes {
        let _ = writeln!(written, " {} {} {path}", index.digest, index.size_bytes);
    }
    let again = Release::parse(&written).unwrap_or_else(|error| panic!("{error}: {written:?}"));
    assert_eq!(again, Release { date_secs: None, valid_until_secs: None, ..release });
}

/// A real file that Debian signed.
const SIGNED: &str = include_str!("../../tests/data/trixie-security.InRelease");

/// Debian's keys.
const KEYRING: &[u8] = include_bytes!("../../keyrings/debian-archive-keyring.gpg");

/// InRelease files: they give either no text or the text that Debian signed.
pub fn in_release(bytes: &[u8]) {
    static DEBIAN: OnceLock<(Keyring, String)> = OnceLock::new();
    let (keyring, signed) = DEBIAN.get_or_init(|| {
        let keyring = Keyring::read(KEYRING).expect("lath's own keyring is sound");
        let text = keyring.verified(SIGNED).expect("Debian signed it").text;
        (keyring, text)
    });
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(verified) = keyring.verified(text) {
        assert_eq!(verified.text, *signed);
    }
}

/// Locks: what is read is the same after it was written.
pub fn pylock(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(read) = pylock::parse(text) else { return };
    let written = pylock::text(&read.lock);
    let again = pylock::parse(&written).expect("a lock that was written can be read");
    assert_eq!(again.lock, read.lock, "{written}");
    for package in &read.lock.packages {
        let names = package.wheels.iter().chain(&package.sdist).filter_map(pylock::File::file_name);
        assert!(names.into_iter().all(|name| !name.contains('/') && !name.is_empty()));
    }
}

/// `index.json` of an OCI layout: an image is added, and all other fields and images stay as they are.
pub fn oci_layout(bytes: &[u8]) {
    let Ok(mut index) = serde_json::from_slice::<Index>(bytes) else { return };
    // serde_json may change the last digit of a fraction, and no field of a descriptor is a fraction.
    if has_fraction(&serde_json::to_value(&index).expect("an index has a text")) {
        return;
    }
    let annotations = BTreeMap::from([(oci::REF_NAME.to_owned(), "latest".to_owned())]);
    index.manifests.push(Descriptor { annotations, media_type: oci::MANIFEST.to_owned(), ..Descriptor::default() });
    let written = serde_json::to_vec(&index).expect("an index has a text");
    assert_eq!(serde_json::from_slice::<Index>(&written).expect("what was written is an index"), index);
}

fn has_fraction(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Number(number) => number.is_f64(),
        serde_json::Value::Array(values) => values.iter().any(has_fraction),
        serde_json::Value::Object(fields) => fields.values().any(has_fraction),
        _ => false,
    }
}

/// Python files, and path files, whose imports are read.
pub fn python_imports(bytes: &[u8]) {
    let _ = crate::formats::python_imports::parse(bytes);
    let _ = crate::formats::python_imports::of_pth(bytes);
}

/// Requirements files before uv's parser reads them.
pub fn requirements_txt(bytes: &[u8]) {
    let value = |name: &str| (name == "A").then(|| "${A}".to_owned());
    let Ok(prepared) = crate::formats::requirements_txt::prepare(bytes, value, |path| path.starts_with("./")) else {
        return;
    };
    let lines = prepared.text.lines().count();
    assert!(prepared.options.iter().all(|option| option.line <= lines + 1), "an option is in a line of the file");
}

/// A file of schemas, and after a byte 0 a file of overrides. The same files give the same settings.
pub fn gsettings(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let schemas = parts.next().unwrap_or_default();
    let overrides = parts.next().unwrap_or_default();
    let compiled = || {
        let file = |name: &str, bytes: &[u8]| SourceFile { name: name.to_owned(), bytes: bytes.to_vec() };
        gsettings::compile(vec![file("a.gschema.xml", schemas), file("a.gschema.override", overrides)])
    };
    if let (Ok(one), Ok(other)) = (compiled(), compiled()) {
        assert!(one.bytes.starts_with(b"GVariant") && one.bytes == other.bytes);
        // Each fault can be shown.
        for part in one.left_out {
            assert!(!format!("{}: {}", part.place, part.fault).is_empty());
        }
    }
}
