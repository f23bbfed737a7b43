//! A line that looks like one for a shell. lath itself only splits lines into words.

/// Returns whether a shell would do more with the line than split it into words (POSIX, "Shell Command Language",
/// sections 2.2 and 2.6).
pub(crate) fn needs_shell(line: &str) -> bool {
    let operators = ['|', '&', ';', '<', '>', '(', ')', '*', '?', '[', '#', '~'];
    find(line, |rest, is_quoted| rest.starts_with(['$', '`']) || !is_quoted && rest.starts_with(operators)).is_some()
}

/// Returns the first part of the line that only a shell understands, such as `||` or `$PORT`. Signs that are also usual
/// in plain words, such as the `?` of a URL or the parentheses of `app:create()`, do not count.
pub(crate) fn syntax(line: &str) -> Option<&str> {
    let is_name = |letter: char| letter.is_ascii_alphabetic() || matches!(letter, '_' | '{' | '(');
    let rest = find(line, |rest, is_quoted| {
        let mut next = rest.chars().skip(1);
        match rest.chars().next() {
            Some('$') => next.next().is_some_and(is_name),
            Some('`') => true,
            Some('|' | ';' | '<' | '>') => !is_quoted,
            Some('&') => !is_quoted && next.next().is_none_or(|letter| letter == '&' || letter.is_whitespace()),
            _ => false,
        }
    })?;
    let is_variable = rest.starts_with('$');
    let is_part = |letter: char| match is_variable {
        true => letter.is_ascii_alphanumeric() || matches!(letter, '$' | '_' | '{' | '}' | '('),
        false => matches!(letter, '|' | '&' | ';' | '<' | '>' | '`'),
    };
    Some(&rest[..rest.find(|letter| !is_part(letter)).unwrap_or(rest.len())])
}

/// Returns the rest of the line from the first letter that `is_special` accepts. Letters in single quotes and letters
/// after a backslash are skipped. The second argument of `is_special` is whether the letter is in double quotes.
fn find(line: &str, is_special: impl Fn(&str, bool) -> bool) -> Option<&str> {
    let mut quote = None;
    let mut letters = line.char_indices();
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), _) => {}
            (_, '\\') => drop(letters.next()),
            (None, '\'' | '"') => quote = Some(letter),
            (quote, _) if is_special(&line[at..], quote.is_some()) => return Some(&line[at..]),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_syntax_that_no_plain_word_has_is_found() {
        let table = [
            ("curl -f http://localhost/ || exit 1", Some("||")),
            ("a && b", Some("&&")),
            ("a; b", Some(";")),
            ("a | b", Some("|")),
            ("a > /dev/null", Some(">")),
            ("a &", Some("&")),
            ("a -b \"0.0.0.0:${PORT}\"", Some("${PORT}")),
            ("a -b :$PORT -c", Some("$PORT")),
            ("echo `hostname`", Some("`")),
            ("curl http://localhost/?full=1&x=2#top", None),
            ("gunicorn app:create() --reload *.py ~", None),
            ("grep -q ok$", None),
            ("sh -c 'a || $B' \\$HOME \"a;b\"", None),
        ];
        for (line, expected) in table {
            assert_eq!(syntax(line), expected, "{line}");
        }
    }
}
