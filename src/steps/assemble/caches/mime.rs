//! The database of file types, like the one that `update-mime-database` writes (freedesktop.org, "Shared MIME-info
//! Database").
//!
//! lath does not write the file `mime.cache`. Without this file, GLib and pyxdg read separate lists, so lath writes
//! these lists. The lists contain patterns of file names, the first bytes of files, aliases of types, and the parents
//! of types.

use std::cmp::Reverse;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::files;
use crate::model::tree::Tree;
use crate::outside::store::Store;
use crate::steps::assemble::{AssembleError, write_bytes, write_text};

const DIRECTORY: &str = "/usr/share/mime";
/// The program that would write the database. It is in the package shared-mime-info.
const WRITER: &str = "/usr/bin/update-mime-database";

/// The types that the files of packages declare.
#[derive(Debug, Default)]
struct Types {
    /// Each entry has the weight, the type, the pattern, and whether upper and lower case matter.
    globs: Vec<(u32, String, String, bool)>,
    /// Each entry has the priority, the type, and the rules.
    magic: Vec<(u32, String, Vec<u8>)>,
    aliases: Vec<String>,
    subclasses: Vec<String>,
}

/// Writes the database if the tree contains shared-mime-info.
pub(super) fn write(tree: &mut Tree, store: &Store) -> Result<(), AssembleError> {
    if tree.find(WRITER).is_none() || tree.find(&format!("{DIRECTORY}/mime.cache")).is_some() {
        return Ok(());
    }
    let mut types = Types::default();
    for path in files(tree, &format!("{DIRECTORY}/packages"), |name| name.ends_with(".xml")) {
        if let Some(digest) = tree.nodes[&path].digest() {
            // If a file is damaged, the types before the damage are used, and the rest of the file is left out.
            let _ = types.read(&String::from_utf8_lossy(&store.read(digest)?));
        }
    }
    let magic = types.magic();
    write_bytes(tree, &format!("{DIRECTORY}/magic"), &magic, 0o644, store)?;
    for (name, text) in
        [("globs2", types.globs()), ("aliases", lines(types.aliases)), ("subclasses", lines(types.subclasses))]
    {
        write_text(tree, &format!("{DIRECTORY}/{name}"), &text, store)?;
    }
    Ok(())
}

fn lines(mut lines: Vec<String>) -> String {
    lines.sort();
    lines.dedup();
    lines.concat()
}

impl Types {
    /// Adds the types of one file.
    fn read(&mut self, xml: &str) -> quick_xml::Result<()> {
        let mut reader = Reader::from_str(xml);
        let mut kind = String::new();
        let mut depth = 0;
        loop {
            let (element, is_empty) = match reader.read_event()? {
                Event::Start(element) => (element, false),
                Event::Empty(element) => (element, true),
                Event::End(element) => {
                    depth -= usize::from(element.local_name().as_ref() == "match" && depth > 0);
                    continue;
                }
                Event::Eof => return Ok(()),
                _ => continue,
            };
            let attribute = |name: &str| attribute(&element, name);
            let number = |name: &str| attribute(name).and_then(|value| value.parse().ok()).unwrap_or(50);
            match element.local_name().as_ref() {
                "mime-type" => kind = attribute("type").unwrap_or_default(),
                "alias" => self.aliases.extend(attribute("type").map(|alias| format!("{alias} {kind}\n"))),
                "sub-class-of" => self.subclasses.extend(attribute("type").map(|parent| format!("{kind} {parent}\n"))),
                "glob" => {
                    let is_exact = attribute("case-sensitive").as_deref() == Some("true");
                    self.globs
                        .extend(attribute("pattern").map(|glob| (number("weight"), kind.clone(), glob, is_exact)));
                }
                "magic" => self.magic.push((number("priority"), kind.clone(), Vec::new())),
                "match" => {
                    if let (Some(line), Some((.., rules))) = (rule(&attribute, depth), self.magic.last_mut()) {
                        rules.extend(line);
                    }
                    depth += usize::from(!is_empty);
                }
                _ => {}
            }
        }
    }

    /// Returns the text of the file `globs2`. The entries with the greatest weights come first.
    fn globs(&mut self) -> String {
        self.globs.sort_by(|one, other| (Reverse(one.0), &one.1, &one.2).cmp(&(Reverse(other.0), &other.1, &other.2)));
        self.globs.dedup();
        let line = |(weight, kind, glob, is_exact): &(u32, String, String, bool)| {
            format!("{weight}:{kind}:{glob}{}\n", if *is_exact { ":cs" } else { "" })
        };
        self.globs.iter().map(line).collect()
    }

    /// Returns the contents of the file `magic`. The entries with the greatest priorities come first.
    fn magic(&mut self) -> Vec<u8> {
        self.magic.sort_by(|one, other| (Reverse(one.0), &one.1).cmp(&(Reverse(other.0), &other.1)));
        let mut bytes = b"MIME-Magic\0\n".to_vec();
        for (priority, kind, rules) in self.magic.iter().filter(|(.., rules)| !rules.is_empty()) {
            bytes.extend(format!("[{priority}:{kind}]\n").into_bytes());
            bytes.extend(rules);
        }
        bytes
    }
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = element.try_get_attribute(name).ok()??;
    let text = &attribute.value;
    // A value with a line break is left out, because the line break would begin another entry.
    let value = quick_xml::escape::unescape(text).ok()?;
    (!value.contains('\n')).then(|| value.into_owned())
}

/// Returns one rule: `INDENT>START=LENGTH VALUE [&MASK] [~WORD SIZE] [+RANGE]`. The length has two bytes. The parts of
/// a rule are written without the blanks between them.
fn rule(attribute: &impl Fn(&str) -> Option<String>, depth: usize) -> Option<Vec<u8>> {
    let kind = attribute("type")?;
    let offset = attribute("offset")?;
    let (start, end) = offset.split_once(':').unwrap_or((&offset, &offset));
    let (start, end): (u32, u32) = (start.parse().ok()?, end.parse().ok()?);
    let value = bytes(&kind, &attribute("value")?)?;
    let mut rule = if depth == 0 { String::new() } else { depth.to_string() }.into_bytes();
    rule.extend(format!(">{start}=").bytes());
    rule.extend(u16::try_from(value.len()).ok()?.to_be_bytes());
    rule.extend(&value);
    if let Some(mask) = attribute("mask") {
        let mask = if kind == "string" { hex::decode(mask.strip_prefix("0x")?).ok()? } else { bytes(&kind, &mask)? };
        (mask.len() == value.len()).then_some(())?;
        rule.push(b'&');
        rule.extend(mask);
    }
    // If a value is a word in the byte order of the machine, the list contains the word with the most significant byte
    // first, and the size of the word. A program that reads the list converts the word to its own byte order.
    if let Some(bits @ ("16" | "32")) = kind.strip_prefix("host") {
        rule.extend(if bits == "16" { b"~2" } else { b"~4" });
    }
    let range = end.checked_sub(start)?.checked_add(1)?;
    if range > 1 {
        rule.extend(format!("+{range}").bytes());
    }
    rule.push(b'\n');
    Some(rule)
}

/// Converts a value of the type `kind`, such as `big16`, into the bytes that a file must contain.
fn bytes(kind: &str, value: &str) -> Option<Vec<u8>> {
    if kind == "string" {
        return unescaped(value);
    }
    let number = match value.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None if value.len() > 1 && value.starts_with('0') => u32::from_str_radix(value, 8).ok()?,
        None => value.parse().ok()?,
    };
    Some(match kind {
        "byte" => vec![u8::try_from(number).ok()?],
        "big16" | "host16" => u16::try_from(number).ok()?.to_be_bytes().to_vec(),
        "little16" => u16::try_from(number).ok()?.to_le_bytes().to_vec(),
        "big32" | "host32" => number.to_be_bytes().to_vec(),
        "little32" => number.to_le_bytes().to_vec(),
        _ => return None,
    })
}

/// Replaces escape sequences, such as `\n`, in the same way as C.
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let (&letter, after) = rest.split_first()?;
        rest = after;
        let digits = |most: usize, radix: u32, from: &[u8]| {
            from.iter().take(most).take_while(|digit| char::from(**digit).is_digit(radix)).count()
        };
        let (count, radix, from) = match letter {
            b'x' => (digits(2, 16, rest), 16, rest),
            b'0'..=b'7' => (digits(2, 8, rest), 8, rest),
            b'n' => (0, 0, b"\n".as_slice()),
            b'r' => (0, 0, b"\r".as_slice()),
            b't' => (0, 0, b"\t".as_slice()),
            _ => {
                bytes.push(letter);
                continue;
            }
        };
        if radix == 0 {
            bytes.extend(from);
            continue;
        }
        let mut number = String::from_utf8_lossy(&from[..count]).into_owned();
        if radix == 8 {
            number.insert(0, char::from(letter));
        }
        bytes.push(u32::from_str_radix(&number, radix).ok()? as u8);
        rest = &rest[count..];
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parts of freedesktop.org.xml.
    const XML: &str = r##"<?xml version="1.0"?>
<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">
  <mime-type type="image/svg+xml">
    <sub-class-of type="application/xml"/>
    <alias type="image/svg"/>
    <magic priority="80">
      <match type="string" value="&lt;!DOCTYPE svg" offset="0:256"/>
    </magic>
    <glob pattern="*.svg"/>
  </mime-type>
  <mime-type type="text/x-c++src">
    <glob pattern="*.C" case-sensitive="true"/>
    <glob pattern="*.cc" weight="60"/>
  </mime-type>
  <mime-type type="application/x-cpio">
    <magic priority="60">
      <match type="host16" value="0x71c7" offset="0"/>
      <match type="string" value="MZ\0\x1a\\" offset="0">
        <match type="little32" mask="0x8080ffff" value="0x0000081a" offset="4"/>
        <match type="string" value="\xff&gt;" mask="0xff00" offset="5"/>
      </match>
      <match type="byte" value="077" offset="9"/>
    </magic>
  </mime-type>
</mime-info>"##;

    #[test]
    fn names_bytes_and_relations_of_types_are_listed() {
        let mut types = Types::default();
        types.read(XML).unwrap();
        assert_eq!(types.globs(), "60:text/x-c++src:*.cc\n50:image/svg+xml:*.svg\n50:text/x-c++src:*.C:cs\n");
        let magic: &[u8] = b"MIME-Magic\0\n[80:image/svg+xml]\n>0=\0\x0d<!DOCTYPE svg+257\n\
            [60:application/x-cpio]\n>0=\0\x02\x71\xc7~2\n>0=\0\x05MZ\0\x1a\\\n\
            1>4=\0\x04\x1a\x08\0\0&\xff\xff\x80\x80\n1>5=\0\x02\xff>&\xff\0\n>9=\0\x01\x3f\n";
        assert_eq!(types.magic().escape_ascii().to_string(), magic.escape_ascii().to_string());
        assert_eq!(
            (types.aliases.concat(), types.subclasses.concat()),
            ("image/svg image/svg+xml\n".to_owned(), "image/svg+xml application/xml\n".to_owned())
        );
    }

    #[test]
    fn a_damaged_or_hostile_file_adds_no_entries_of_its_own() {
        let table = [
            r#"<mime-type type="a/b"><glob pattern="x&#10;90:text/html:*"/></mime-type>"#,
            r#"<mime-type type="a/b"><magic><match type="string" value="a" offset="9:1"/><match type="string" value="\" offset="0"/>"#,
            r#"<mime-type type="a/b"><magic><match type="byte" value="256" offset="0"/><match type="x" value="1" offset="0"/>"#,
            r#"</match></match><match type="string" value="a" offset="0"/>"#,
        ];
        for xml in table {
            let mut types = Types::default();
            let _ = types.read(xml);
            assert_eq!((types.globs(), types.magic()), (String::new(), b"MIME-Magic\0\n".to_vec()), "{xml}");
        }
    }
}
