//! The text of a Python file: its encoding (PEP 263), and the depth of its nesting.

use std::borrow::Cow;

use ruff_python_ast::token::TokenKind;
use ruff_python_parser::Mode;
use ruff_python_parser::lexer::lex;

/// The maximum number of nested levels in a file. Python's compiler fails after a few thousand.
const MAX_LEVELS: usize = 10_000;

/// The number of levels that one block, such as the body of a loop, may add to the syntax tree.
const LEVELS_PER_BLOCK: usize = 10;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Returns the text of a file. Returns `None` if Python could not read the file.
///
/// Only UTF-8 is decoded exactly. In every other encoding that a Python file can have, ASCII characters are single
/// bytes, so they are decoded correctly too. Other characters occur almost only in comments and strings, so it does
/// little harm if they are decoded incorrectly.
pub(super) fn decode(bytes: &[u8]) -> Option<Cow<'_, str>> {
    if memchr::memchr(0, bytes).is_some() {
        return None;
    }
    let (bytes, has_bom) = match bytes.strip_prefix(BOM) {
        Some(rest) => (rest, true),
        None => (bytes, false),
    };
    let is_utf8 = match declared_encoding(bytes) {
        None => true,
        Some(name) => {
            let name = name.to_ascii_lowercase().replace('_', "-");
            let is_utf8 = matches!(&*name, "utf-8" | "utf8" | "u8" | "utf") || name.starts_with("utf-8-");
            if has_bom && !is_utf8 {
                return None;
            }
            is_utf8
        }
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(Cow::Borrowed(text)),
        Err(_) if is_utf8 => None,
        Err(_) => Some(Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect())),
    }
}

/// Returns the encoding that a comment in one of the first two lines declares. The second line is used only if the
/// first line is empty or a comment.
fn declared_encoding(bytes: &[u8]) -> Option<String> {
    let mut lines = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).take(2);
    for line in lines.by_ref() {
        let line = line.trim_ascii_start();
        let Some(comment) = line.strip_prefix(b"#") else { if line.is_empty() { continue } else { return None } };
        if let Some(name) = encoding_in(comment) {
            return Some(name);
        }
    }
    None
}

/// Finds the name in a comment such as `-*- coding: latin-1 -*-`.
fn encoding_in(comment: &[u8]) -> Option<String> {
    memchr::memmem::find_iter(comment, b"coding").find_map(|at| {
        let rest = &comment[at + b"coding".len()..];
        let rest = rest.strip_prefix(b":").or_else(|| rest.strip_prefix(b"="))?;
        let name = rest.iter().skip_while(|byte| matches!(byte, b' ' | b'\t'));
        let name = name.take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        let name: String = name.map(|byte| char::from(*byte)).collect();
        (!name.is_empty()).then_some(name)
    })
}

/// Returns an upper limit for the depth of the file's syntax tree. Returns `None` if it exceeds [`MAX_LEVELS`].
///
/// A syntax tree is dropped recursively, so its depth must be known before it is created. Each operator, bracket and
/// dot of an expression may add a level. Each element of a list begins again at the level of the list.
pub(super) fn nesting(text: &str) -> Option<usize> {
    let mut lexer = lex(text, Mode::Module);
    let mut blocks = 0_usize;
    // For each open bracket, the levels of the expression around it.
    let mut brackets: Vec<Levels> = Vec::new();
    let mut here = Levels::default();
    let mut outside = 0_usize;
    let mut deepest = 0;
    loop {
        match lexer.next_token() {
            TokenKind::EndOfFile => return Some(deepest),
            TokenKind::Indent => blocks += 1,
            TokenKind::Dedent => blocks = blocks.saturating_sub(1),
            TokenKind::Newline => {
                brackets.clear();
                (here, outside) = (Levels::default(), 0);
            }
            TokenKind::Lpar
            | TokenKind::Lsqb
            | TokenKind::Lbrace
            | TokenKind::FStringStart
            | TokenKind::TStringStart => {
                here.chain += 1;
                outside += here.all();
                brackets.push(std::mem::take(&mut here));
            }
            TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace | TokenKind::FStringEnd | TokenKind::TStringEnd => {
                here = brackets.pop().unwrap_or_default();
                outside = outside.saturating_sub(here.all());
            }
            // A comma may separate the parameters of a lambda, so it does not reset the number of lambdas. The lambdas
            // are counted because the body of a lambda may contain another lambda.
            TokenKind::Comma => here.chain = 0,
            TokenKind::Lambda => here.lambdas += 1,
            TokenKind::Comment
            | TokenKind::NonLogicalNewline
            | TokenKind::String
            | TokenKind::FStringMiddle
            | TokenKind::TStringMiddle => {}
            _ => here.chain += 1,
        }
        deepest = deepest.max(blocks * LEVELS_PER_BLOCK + outside + here.all());
        if deepest > MAX_LEVELS {
            return None;
        }
    }
}

/// The levels of an expression between two brackets.
#[derive(Default)]
struct Levels {
    /// The number of tokens since the last comma.
    chain: usize,
    lambdas: usize,
}

impl Levels {
    fn all(&self) -> usize {
        self.chain + self.lambdas
    }
}
