//! Paragraphs of Debian control files: `Field: value` lines. If a line begins with a blank, it continues the field
//! (deb822(5)).

use std::io::{self, BufRead};

/// The unchanged text of one paragraph, without the empty line at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paragraph(String);

impl Paragraph {
    /// Returns the value of a field, with its continuation lines unchanged. `name` may be in upper or lower case.
    /// Returns `None` if the field is missing.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields([name])[0]
    }

    /// Returns the values of several fields. The text is read only once.
    pub(crate) fn fields<const N: usize>(&self, names: [&str; N]) -> [Option<&str>; N] {
        let mut values = [None; N];
        let mut missing = N;
        let mut start = 0;
        while start < self.0.len() && missing > 0 {
            let mut end = self.line_end(start);
            let line = &self.0.as_bytes()[start..end];
            let is_named = |name: &str| {
                line.get(name.len()) == Some(&b':') && line[..name.len()].eq_ignore_ascii_case(name.as_bytes())
            };
            if let Some(position) = (0..N).find(|&position| values[position].is_none() && is_named(names[position])) {
                while matches!(self.0.as_bytes().get(end), Some(b' ' | b'\t')) {
                    end = self.line_end(end);
                }
                values[position] = Some(self.0[start + names[position].len() + 1..end].trim());
                missing -= 1;
            }
            start = end;
        }
        values
    }

    /// Returns the offset after the end of the line that begins at `start`.
    fn line_end(&self, start: usize) -> usize {
        memchr::memchr(b'\n', &self.0.as_bytes()[start..]).map_or(self.0.len(), |length| start + length + 1)
    }
}

/// Reads the paragraphs of `reader` one after the other. Only one paragraph is in memory at a time.
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
        let several = paragraph.fields(["version", "Size", "description", "Package"]);
        assert_eq!(several, [Some("1"), None, Some("short\n long\n ."), Some("a")]);
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
