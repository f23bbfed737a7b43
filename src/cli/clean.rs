//! Cleans foreign text before it is shown. A terminal interprets some characters instead of showing them, and some
//! characters hide the text around them.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A long line is cut to this many characters.
const LINE_CHARACTERS: usize = 4096;
/// A line is not cut if it exceeds [`LINE_CHARACTERS`] by at most this many characters.
const MORE_CHARACTERS: usize = 64;

/// Cuts long lines. Replaces each character that a terminal would interpret. The replacement is an escape sequence of
/// visible characters, such as `\u{1b}`. Line breaks and tabs are kept.
pub(super) fn clean(text: &str) -> String {
    let lines: Vec<Cow<'_, str>> = text.split('\n').map(|line| cut(line.strip_suffix('\r').unwrap_or(line))).collect();
    lines.iter().map(|line| escaped(line)).collect::<Vec<_>>().join("\n")
}

/// Replaces the same characters as [`clean`]. Lines are not cut, because a script that reads the text needs whole
/// lines.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_obeyed(character) {
            // Writing to a String cannot fail.
            let _ = write!(shown, "{}", character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Whether a character is not shown, but has an effect: control characters (C0, DEL, C1), characters that change the
/// direction of text (Unicode Standard Annex 9, section 2), line and paragraph separators, and invisible characters. It
/// is false for line breaks and tabs.
fn is_obeyed(character: char) -> bool {
    let is_break = matches!(character, '\n' | '\t');
    let is_hidden = matches!(
        character,
        '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    );
    (character.is_control() && !is_break) || is_hidden
}

fn cut(line: &str) -> Cow<'_, str> {
    let Some((end, _)) = line.char_indices().nth(LINE_CHARACTERS) else { return Cow::Borrowed(line) };
    match line[end..].chars().count() {
        ..=MORE_CHARACTERS => Cow::Borrowed(line),
        more => Cow::Owned(format!("{} [{more} more characters]", &line[..end])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_a_terminal_obeys_are_escaped_and_others_stay() {
        let table = [
            ("plain, ünïcödé, 漢字, \ttab\nline", "plain, ünïcödé, 漢字, \ttab\nline"),
            ("a\rb", "a\\rb"),
            ("windows\r\nlines\r\n", "windows\nlines\n"),
            ("\x1b[2J\x07\x7f\0", "\\u{1b}[2J\\u{7}\\u{7f}\\u{0}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("tool\u{202e}gpj\u{2066}\u{200b}", "tool\\u{202e}gpj\\u{2066}\\u{200b}"),
            ("one\u{2028}two", "one\\u{2028}two"),
        ];
        for (text, shown) in table {
            assert_eq!(clean(text), shown);
        }
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_is_not() {
        let shown = clean(&format!("{}\nnext", "ü".repeat(1 << 20)));
        let lines: Vec<&str> = shown.split('\n').collect();
        assert!(lines[0].ends_with("ü [1044480 more characters]") && lines[0].len() < 9000);
        assert_eq!(lines[1], "next");
        assert_eq!(clean(&shown), shown, "once is enough");
        let whole = "x".repeat(LINE_CHARACTERS);
        assert_eq!(clean(&whole), whole);
    }
}
