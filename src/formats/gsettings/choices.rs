//! The names that are allowed as values of a key: its choices, or the members of its enumeration or of its set of
//! flags. Members have numbers. A name may have aliases.
//!
//! Source: GLib, `gio/strinfo.c`. In the serialised form, the names are an array of 32-bit words. Each name has one
//! word for its number. Then follow the byte 0xff, the name, at least one byte 0, and another byte 0xff, so that they
//! fill whole words. An alias begins with 0xfe instead of 0xff, and its number is the place of the name for which it
//! stands.

use std::collections::{BTreeMap, BTreeSet};

use super::fault::Fault;
use super::number;
use super::value::Value;

/// The maximum length of a name.
const MAX_NAME_BYTES: usize = 65;

#[derive(Debug, Clone, Default)]
pub(super) struct Choices {
    bytes: Vec<u8>,
    names: BTreeMap<String, Name>,
    numbers: BTreeSet<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Name {
    /// The place of the name's number in the array, in words.
    place: u32,
    is_alias: bool,
}

impl Choices {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether `name` is an allowed name. An alias does not count.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.get(name).is_some_and(|name| !name.is_alias)
    }

    /// Adds a choice. Its number is 0, because GLib does not use the numbers of choices.
    pub(super) fn add(&mut self, name: &str) -> Result<(), Fault> {
        self.append(name, 0, false)
    }

    /// Adds a member of an enumeration, or of a set of flags.
    pub(super) fn add_member(&mut self, name: &str, text: &str, is_flags: bool) -> Result<(), Fault> {
        let fault = || Fault::Number(text.to_owned());
        if name.len() < 2 {
            return Err(Fault::Name(name.to_owned()));
        }
        let number = number::integer(text).ok_or_else(fault)?;
        let (least, most) =
            if is_flags { (0, i128::from(u32::MAX)) } else { (i128::from(i32::MIN), i128::from(i32::MAX)) };
        if number < least || number > most || self.numbers.contains(&(number as u32)) {
            return Err(fault());
        }
        if self.names.contains_key(name) {
            return Err(Fault::Repeated { kind: "the member", name: name.to_owned() });
        }
        if is_flags && number == 0 {
            // The member with the number 0 is not stored, because a value without flags is an empty array.
            return Ok(());
        }
        if is_flags && number & (number - 1) != 0 {
            return Err(fault());
        }
        self.numbers.insert(number as u32);
        self.append(name, number as u32, false)
    }

    pub(super) fn add_alias(&mut self, alias: &str, target: &str) -> Result<(), Fault> {
        let found = self.names.get(target).filter(|name| !name.is_alias);
        let place = found.ok_or_else(|| Fault::Unknown { kind: "choice", name: target.to_owned() })?.place;
        self.append(alias, place, true)
    }

    fn append(&mut self, name: &str, number: u32, is_alias: bool) -> Result<(), Fault> {
        if name.len() > MAX_NAME_BYTES {
            return Err(Fault::Name(name.to_owned()));
        }
        if self.names.contains_key(name) {
            return Err(Fault::Repeated { kind: "the value", name: name.to_owned() });
        }
        self.names.insert(name.to_owned(), Name { place: (self.bytes.len() / 4) as u32, is_alias });
        self.bytes.extend(number.to_le_bytes());
        // The name, the two bytes around it and at least one byte 0 fill whole words. They fill at least two words.
        let end = self.bytes.len() + (name.len() + 3).next_multiple_of(4).max(8);
        self.bytes.push(if is_alias { 0xfe } else { 0xff });
        self.bytes.extend(name.as_bytes());
        self.bytes.resize(end - 1, 0);
        self.bytes.push(0xff);
        Ok(())
    }

    /// Returns the words as a value of the type `au`.
    pub(super) fn value(&self) -> Value {
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, byte| word << 8 | i128::from(*byte));
        Value::Array(self.bytes.chunks(4).map(|bytes| Value::Integer(word(bytes))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in GLib's `strinfo.c`.
    #[test]
    fn names_are_between_marks_and_aliases_have_the_place_of_their_target() {
        let mut choices = Choices::default();
        choices.add_member("foo", "1", false).unwrap();
        choices.add_member("bar", "2", false).unwrap();
        choices.add_alias("baz", "bar").unwrap();
        assert_eq!(choices.bytes, b"\x01\0\0\0\xfffoo\0\0\0\xff\x02\0\0\0\xffbar\0\0\0\xff\x03\0\0\0\xfebaz\0\0\0\xff");
        assert!(choices.has("bar") && !choices.has("baz"));
    }

    #[test]
    fn names_fill_whole_words() {
        let table: [(&str, &[u8]); 4] = [
            ("", b"\xff\0\0\0\0\0\0\xff"),
            ("abcde", b"\xffabcde\0\xff"),
            ("abcdef", b"\xffabcdef\0\0\0\0\xff"),
            ("abcdefghi", b"\xffabcdefghi\0\xff"),
        ];
        for (name, bytes) in table {
            let mut choices = Choices::default();
            choices.add(name).unwrap();
            assert_eq!(choices.bytes[4..].escape_ascii().to_string(), bytes.escape_ascii().to_string());
        }
        assert!(Choices::default().add(&"x".repeat(65)).is_ok());
        assert!(Choices::default().add(&"x".repeat(66)).is_err());
    }

    #[test]
    fn numbers_of_members_have_limits() {
        let table = [
            ("2147483647", true, false),
            ("-2147483648", true, false),
            ("2147483648", false, true),
            ("0x10", true, true),
            ("3", true, false),
            ("0", true, true),
            ("", false, false),
            ("4294967296", false, false),
        ];
        for (text, is_member, is_flag) in table {
            let add = |is_flags| Choices::default().add_member("name", text, is_flags).is_ok();
            assert_eq!((add(false), add(true)), (is_member, is_flag), "{text}");
        }
        let mut members = Choices::default();
        members.add_member("one", "1", false).unwrap();
        assert!(members.add_member("other", "1", false).is_err());
        assert!(members.add_member("one", "2", false).is_err());
        assert!(members.add_member("x", "3", false).is_err());
    }
}
