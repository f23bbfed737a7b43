//! Paragraphs of Debian control files: `Field: value` lines, continued by lines that begin with a blank (deb822(5)).

use std::io::{self, BufRead};

/// One paragraph as it stands, without the empty line that ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paragraph(String);

impl Paragraph {
    /// The value of a field, by its name in any case; continuation lines as they are. `None` where it is missing.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut start = 0;
        for line in self.0.split_inclusive('\n') {
            let end = start + line.len();
            let is_it = line.len() > name.len()
                && line.is_char_boundary(name.len())
                && line[..name.len()].eq_ignore_ascii_case(name)
                && line.as_bytes()[name.len()] == b':';
            if is_it {
                let rest = &self.0[end..];
                let more: usize =
                    rest.split_inclusive('\n').take_while(|next| next.starts_with([' ', '\t'])).map(str::len).sum();
                return Some(self.0[start + name.len() + 1..end + more].trim());
            }
            start = end;
        }
        None
    }
}

/// The paragraphs of `reader`, one after the other: no more than one is in memory.
pub(crate) fn paragraphs(mut reader: impl BufRead) -> impl Iterator<Item = io::Result<Paragraph>> {
    std::iter::from_fn(move || {
        let mut text = String::new();
        loop {
            let start = text.len();
            match reader.read_line(&mut text) {
                Err(error) => return Some(Err(error)),
                Ok(0) => break,
                Ok(_) if text[start..].trim().is_empty() => {
                    text.truncate(start);
                    if start > 0 {
                        break;
                    }
                }
                Ok(_) => {}
            }
        }
        (!text.is_empty()).then_some(Ok(Paragraph(text)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\n\nPackage: a\nDescription: short\n long\n .\nVersion: 1\n\n\nPackage: b\n";

    fn names(reader: impl BufRead) -> Vec<String> {
        paragraphs(reader).map(|paragraph| paragraph.unwrap().field("package").unwrap().to_owned()).collect()
    }

    #[test]
    fn paragraphs_are_told_apart_by_empty_lines() {
        assert_eq!(names(TEXT.as_bytes()), ["a", "b"]);
    }

    #[test]
    fn a_reader_that_gives_a_few_bytes_at_a_time_gives_the_same() {
        assert_eq!(names(io::BufReader::with_capacity(3, TEXT.as_bytes())), ["a", "b"]);
    }

    #[test]
    fn a_field_ends_where_the_next_begins() {
        let paragraph = paragraphs(TEXT.as_bytes()).next().unwrap().unwrap();
        assert_eq!(paragraph.field("Description"), Some("short\n long\n ."));
        assert_eq!(paragraph.field("Version"), Some("1"));
        assert_eq!(paragraph.field("Vers"), None);
        assert_eq!(paragraph.field("long"), None);
    }

    #[test]
    fn what_was_cut_or_altered_never_panics_and_loses_no_paragraph_before_it() {
        for position in 0..TEXT.len() {
            for byte in [0, b'\n', b':', b' ', 0xff] {
                let mut altered = TEXT.as_bytes().to_vec();
                altered[position] = byte;
                for paragraph in paragraphs(altered.as_slice()).take_while(Result::is_ok).flatten() {
                    let _ = (paragraph.field("package"), paragraph.field("é"), paragraph.field(""));
                }
            }
            let first = paragraphs(&TEXT.as_bytes()[..position]).next();
            assert_eq!(first.is_some(), position > 2, "cut after {position} bytes");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_an_error() {
        assert!(paragraphs(b"Package: \xff\n".as_slice()).next().unwrap().is_err());
    }
}
