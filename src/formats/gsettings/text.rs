//! Reads the text format of GVariant into a tree of terms. The terms have no types yet.
//!
//! Source: GLib's documentation, "GVariant Text Format". All functions return `None` if the text is not valid.

use super::variant_type::{MAX_DEPTH, VariantType};

/// One value in the form in which it is written in the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Term {
    Array(Vec<Term>),
    Tuple(Vec<Term>),
    /// A value inside `<` and `>`.
    Variant(Box<Term>),
    Dictionary(Vec<(Term, Term)>),
    /// `{key, value}`
    Entry(Box<Term>, Box<Term>),
    /// `nothing`, or `just` and a value.
    Maybe(Option<Box<Term>>),
    Text(String),
    /// `b'...'`, without the byte 0 at its end.
    Bytes(Vec<u8>),
    Number(String),
    Boolean(bool),
    /// A value with its type, which is written before it: `int32 5`, or `@i 5`.
    Typed(VariantType, Box<Term>),
}

/// The names of types that can be written before a value.
const TYPES: [(&str, u8); 13] = [
    ("boolean", b'b'),
    ("byte", b'y'),
    ("int16", b'n'),
    ("uint16", b'q'),
    ("int32", b'i'),
    ("handle", b'h'),
    ("uint32", b'u'),
    ("int64", b'x'),
    ("uint64", b't'),
    ("double", b'd'),
    ("string", b's'),
    ("objectpath", b'o'),
    ("signature", b'g'),
];

/// Parses the text of one value.
pub(super) fn parse(text: &str) -> Option<Term> {
    let mut tokens = Tokens { rest: text };
    let term = tokens.term(MAX_DEPTH)?;
    tokens.peek().is_none().then_some(term)
}

/// Whether the language C counts the character as a blank.
pub(super) fn is_blank(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}

struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    /// Returns the next token without removing it. `None` at the end of the text.
    fn peek(&mut self) -> Option<&'a str> {
        self.rest = self.rest.trim_start_matches(is_blank);
        let rest = self.rest;
        let run = |is_part: fn(char) -> bool| rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let length = match rest.chars().next()? {
            '-' | '+' | '.' | '0'..='9' => run(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.')),
            '\'' | '"' => quoted(rest),
            'b' if rest[1..].starts_with(['\'', '"']) => 1 + quoted(&rest[1..]),
            'a'..='z' => run(|c| c.is_ascii_alphanumeric()),
            '@' => declaration(rest),
            other => other.len_utf8(),
        };
        Some(&rest[..length])
    }

    fn take(&mut self) -> Option<&'a str> {
        let token = self.peek()?;
        self.rest = &self.rest[token.len()..];
        Some(token)
    }

    /// Removes the next token if it is `wanted`.
    fn skip(&mut self, wanted: &str) -> bool {
        let is_wanted = self.peek() == Some(wanted);
        if is_wanted {
            self.take();
        }
        is_wanted
    }

    fn require(&mut self, wanted: &str) -> Option<()> {
        self.skip(wanted).then_some(())
    }

    /// Parses a value. `depth` is the maximum number of levels of the value.
    fn term(&mut self, depth: usize) -> Option<Term> {
        let below = depth.checked_sub(1)?;
        let token = self.take()?;
        let boxed = |tokens: &mut Self| tokens.term(below).map(Box::new);
        Some(match token {
            "[" => Term::Array(self.array(below)?),
            "(" => Term::Tuple(self.tuple(below)?),
            "{" => self.dictionary(below)?,
            "<" => {
                let term = Term::Variant(boxed(self)?);
                self.require(">")?;
                term
            }
            "true" | "false" => Term::Boolean(token == "true"),
            "inf" | "nan" => Term::Number(token.to_owned()),
            "nothing" => Term::Maybe(None),
            "just" => Term::Maybe(Some(boxed(self)?)),
            _ if token.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) => {
                Term::Number(token.to_owned())
            }
            _ if token.starts_with(['\'', '"']) => Term::Text(unquoted(token)?),
            _ if token.starts_with("b'") || token.starts_with("b\"") => Term::Bytes(unquoted_bytes(&token[1..])?),
            _ => {
                let declared = match token.strip_prefix('@') {
                    Some(text) => VariantType::parse(text)?,
                    None => VariantType::Basic(TYPES.iter().find(|(name, _)| *name == token)?.1),
                };
                Term::Typed(declared, boxed(self)?)
            }
        })
    }

    fn array(&mut self, depth: usize) -> Option<Vec<Term>> {
        let mut members = Vec::new();
        while !self.skip("]") {
            if !members.is_empty() {
                self.require(",")?;
            }
            members.push(self.term(depth)?);
        }
        Some(members)
    }

    fn tuple(&mut self, depth: usize) -> Option<Vec<Term>> {
        let mut members = Vec::new();
        while !self.skip(")") {
            if members.len() > 1 {
                self.require(",")?;
            }
            members.push(self.term(depth)?);
            // The comma after the first member is necessary, even if there is only one member.
            if members.len() == 1 {
                self.require(",")?;
            }
        }
        Some(members)
    }

    fn dictionary(&mut self, depth: usize) -> Option<Term> {
        let mut entries = Vec::new();
        if self.skip("}") {
            return Some(Term::Dictionary(entries));
        }
        let key = self.term(depth)?;
        if self.skip(",") {
            let value = self.term(depth)?;
            self.require("}")?;
            return Some(Term::Entry(Box::new(key), Box::new(value)));
        }
        self.require(":")?;
        entries.push((key, self.term(depth)?));
        while !self.skip("}") {
            self.require(",")?;
            let key = self.term(depth)?;
            self.require(":")?;
            entries.push((key, self.term(depth)?));
        }
        Some(Term::Dictionary(entries))
    }
}

/// Returns the length of the string at the beginning of `text`, including its quotes.
fn quoted(text: &str) -> usize {
    let quote = text.chars().next();
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if Some(c) == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Returns the length of `@` and the type after it. The type ends before a closing bracket that is not opened in the
/// type.
fn declaration(text: &str) -> usize {
    let mut open = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            ',' | ':' | '>' | ']' => return at,
            _ if is_blank(c) => return at,
            '(' | '{' => open += 1,
            ')' | '}' => match open.checked_sub(1) {
                Some(less) => open = less,
                None => return at,
            },
            _ => {}
        }
    }
    text.len()
}

/// Returns the text between the quotes of a token.
fn inside(token: &str) -> Option<&str> {
    let quote = token.chars().next()?;
    token[1..].strip_suffix(quote)
}

/// Returns the character for an escape sequence of the language C that consists of a backslash and `letter`.
fn escaped(letter: char) -> char {
    match letter {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        other => other,
    }
}

/// Returns the string that a token represents.
fn unquoted(token: &str) -> Option<String> {
    let mut text = String::new();
    let mut rest = inside(token)?.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match rest.next()? {
            '\n' => {}
            letter @ ('u' | 'U') => {
                let length = if letter == 'u' { 4 } else { 8 };
                let digits: String = rest.by_ref().take(length).collect();
                let is_hex = digits.len() == length && digits.chars().all(|digit| digit.is_ascii_hexdigit());
                let number = is_hex.then(|| u32::from_str_radix(&digits, 16).ok()).flatten()?;
                text.push(char::from_u32(number).filter(|c| *c != '\0')?);
            }
            letter => text.push(escaped(letter)),
        }
    }
    // If the last quote is escaped, the string has no end, and `None` was returned above.
    Some(text)
}

/// Returns the bytes that a token represents. They end before the first byte 0.
fn unquoted_bytes(token: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = inside(token)?;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '\\' {
            bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
            continue;
        }
        let letter = rest.chars().next()?;
        let digits = rest.bytes().take(3).take_while(|digit| (b'0'..=b'7').contains(digit)).count();
        if digits > 0 {
            // Like in C, only the last eight bits of the number are used.
            bytes.push(u16::from_str_radix(&rest[..digits], 8).ok()? as u8);
            rest = &rest[digits..];
        } else {
            rest = &rest[letter.len_utf8()..];
            if letter != '\n' {
                bytes.extend(escaped(letter).encode_utf8(&mut [0; 4]).bytes());
            }
        }
    }
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    Some(bytes)
}
