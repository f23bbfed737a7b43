//! Checks layers in the format zstd:chunked. It follows the description of the format in containers/storage.

use std::collections::BTreeMap;
use std::io::Cursor;

use serde_json::Value;

use crate::digest::sha256_hex;

const PREFIX: &str = "io.github.containers.zstd-chunked.";

/// Checks a layer and the annotations of its descriptor. Returns the number of files whose contents were read from
/// their positions.
///
/// # Errors
/// Returns the first value that is wrong.
pub fn check(layer: &[u8], annotations: &Value) -> Result<usize, String> {
    let numbers = |key: &str| -> Result<Vec<usize>, String> {
        let text = annotations[format!("{PREFIX}{key}")].as_str().ok_or_else(|| format!("no annotation `{key}`"))?;
        text.split(':').map(|number| number.parse().map_err(|_| format!("`{text}` of `{key}`"))).collect()
    };
    let (toc_place, split_place) = (numbers("manifest-position")?, numbers("tarsplit-position")?);
    let checksum = annotations[format!("{PREFIX}manifest-checksum")].as_str().unwrap_or_default();
    let packed = part(layer, toc_place[0], toc_place[1])?;
    claim(checksum == format!("sha256:{}", sha256_hex(packed)), "the checksum of the table")?;
    check_footer(layer, &toc_place, &split_place)?;
    let toc: Value = serde_json::from_slice(&unpacked(packed, toc_place[2])?).map_err(|error| error.to_string())?;
    claim(toc["version"] == 1, "the version")?;
    let split = part(layer, split_place[0], split_place[1])?;
    claim(toc["tarSplitDigest"] == format!("sha256:{}", sha256_hex(split)), "the checksum of tar-split")?;
    let split = unpacked(split, split_place[2])?;
    let tar = zstd::decode_all(Cursor::new(layer)).map_err(|error| error.to_string())?;
    let contents = contents(layer, &toc)?;
    check_listing(&toc, &tar)?;
    claim(restored(&split, &contents)? == tar, "the tar that tar-split restores")?;
    Ok(contents.values().filter(|bytes| !bytes.is_empty()).count())
}

fn claim(is_true: bool, what: &str) -> Result<(), String> {
    if is_true { Ok(()) } else { Err(format!("{what} is wrong")) }
}

fn part(layer: &[u8], offset: usize, length: usize) -> Result<&[u8], String> {
    layer.get(offset..offset + length).ok_or_else(|| format!("no {length} bytes at {offset}"))
}

fn unpacked(bytes: &[u8], size: usize) -> Result<Vec<u8>, String> {
    let unpacked = zstd::decode_all(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    claim(unpacked.len() == size, "an unpacked size")?;
    Ok(unpacked)
}

/// Checks the last frame. It must contain seven numbers of eight bytes each, and then the magic number.
fn check_footer(layer: &[u8], toc: &[usize], split: &[usize]) -> Result<(), String> {
    let start = layer.len().checked_sub(72).ok_or("no footer")?;
    let (frame, footer) = layer[start..].split_at(8);
    claim(frame == [0x50, 0x2a, 0x4d, 0x18, 64, 0, 0, 0], "the frame of the footer")?;
    let (numbers, magic) = footer.split_at(56);
    claim(magic == b"GNUlInUx", "the magic number")?;
    let mut found = Vec::new();
    for number in numbers.chunks(8) {
        found.push(number.iter().rev().fold(0usize, |value, byte| (value << 8) | usize::from(*byte)));
    }
    claim(found == [toc, split].concat(), "the numbers of the footer")?;
    for place in [toc, split] {
        let header = part(layer, place[0] - 8, 8)?;
        let length = (place[1] as u32).to_le_bytes();
        claim(header[..4] == [0x50, 0x2a, 0x4d, 0x18] && header[4..] == length, "the frame of a table")?;
    }
    Ok(())
}

/// Reads the contents of each file from its position.
fn contents(layer: &[u8], toc: &Value) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let mut contents = BTreeMap::new();
    for entry in toc["entries"].as_array().ok_or("no entries")? {
        let name = entry["name"].as_str().ok_or("an entry without a name")?.to_owned();
        let number = |key: &str| entry[key].as_u64().unwrap_or(0) as usize;
        let mut bytes = Vec::new();
        if entry["type"] == "reg" && number("size") > 0 {
            let packed = part(layer, number("offset"), number("endOffset") - number("offset"))?;
            bytes = unpacked(packed, number("size")).map_err(|error| format!("{name}: {error}"))?;
            claim(entry["digest"] == format!("sha256:{}", sha256_hex(&bytes)), &format!("the digest of {name}"))?;
        }
        if contents.insert(name.clone(), bytes).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    Ok(contents)
}

/// Compares the table with the headers of the tar file.
fn check_listing(toc: &Value, tar: &[u8]) -> Result<(), String> {
    let mut archive = tar::Archive::new(tar);
    let mut listed = toc["entries"].as_array().ok_or("no entries")?.iter();
    for entry in archive.entries().map_err(|error| error.to_string())? {
        let entry = entry.map_err(|error| error.to_string())?;
        let (header, name) = (entry.header(), String::from_utf8_lossy(&entry.path_bytes()).into_owned());
        let told = listed.next().ok_or_else(|| format!("{name} is not in the table"))?;
        let kind = match header.entry_type() {
            tar::EntryType::Regular => "reg",
            tar::EntryType::Directory => "dir",
            tar::EntryType::Symlink => "symlink",
            tar::EntryType::Link => "hardlink",
            other => return Err(format!("{name} is {other:?}")),
        };
        let link = entry.link_name_bytes().map(|link| String::from_utf8_lossy(&link).into_owned()).unwrap_or_default();
        let number = |value: std::io::Result<u64>| value.map_err(|error| error.to_string());
        let same = told["name"] == name
            && told["type"] == kind
            && told["linkName"].as_str().unwrap_or_default() == link
            && told["mode"].as_u64().unwrap_or(0) == u64::from(header.mode().map_err(|error| error.to_string())?)
            && told["size"].as_u64().unwrap_or(0) == entry.size()
            && told["uid"].as_u64() == Some(number(header.uid())?)
            && told["gid"].as_u64() == Some(number(header.gid())?);
        claim(same, &format!("the entry of {name}"))?;
    }
    claim(listed.next().is_none(), "the number of entries")
}

/// Restores the tar file. Lines of type 2 contain bytes, and lines of type 1 mean files.
fn restored(split: &[u8], contents: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, String> {
    let mut tar = Vec::new();
    for (position, line) in split.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
        let line: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        claim(line["position"] == position, "a position")?;
        let payload = base64(line["payload"].as_str().unwrap_or_default());
        if line["type"] == 2 {
            tar.extend(payload);
            continue;
        }
        let name = line["name"].as_str().unwrap_or_default();
        let bytes = contents.get(name).ok_or_else(|| format!("{name} is only in tar-split"))?;
        claim(line["size"].as_u64().unwrap_or(0) == bytes.len() as u64, &format!("the size of {name}"))?;
        let sum = if bytes.is_empty() { Vec::new() } else { crc64(bytes).to_be_bytes().to_vec() };
        claim(payload == sum, &format!("the checksum of {name}"))?;
        tar.extend(bytes);
    }
    Ok(tar)
}

/// Computes CRC-64/GO-ISO bit by bit.
fn crc64(bytes: &[u8]) -> u64 {
    let mut sum = u64::MAX;
    for byte in bytes {
        sum ^= u64::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ if sum & 1 == 1 { 0xd8 << 56 } else { 0 };
        }
    }
    !sum
}

fn base64(text: &str) -> Vec<u8> {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut value, mut bits) = (Vec::new(), 0u32, 0);
    for letter in text.trim_end_matches('=').chars() {
        value = (value << 6) | LETTERS.find(letter).unwrap_or_default() as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((value >> bits) as u8);
            value &= (1 << bits) - 1;
        }
    }
    bytes
}
