//! Patterns for image paths, as in `--keep`: `*` matches within a component, `**` matches several components, and `?`
//! matches one character.

/// Whether `pattern` is valid. It must be absolute, because image paths are absolute. The special characters that other
/// programs use in patterns (`[ab]`, `{a,b}`, `\`) are refused, because they would have no special meaning here. A
/// pattern can contain a `?` instead of such a character.
pub(crate) fn is_pattern(pattern: &str) -> bool {
    let is_sign = |c: char| "[]{}\\".contains(c) || c.is_control();
    pattern.starts_with(['/', '*', '?']) && !pattern.contains(is_sign)
}

/// Whether `pattern` matches the whole `path`.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    matches_bytes(pattern.as_bytes(), path.as_bytes())
}

fn matches_bytes(pattern: &[u8], path: &[u8]) -> bool {
    match pattern {
        [] => path.is_empty(),
        [b'*', b'*', b'/', rest @ ..] if matches_bytes(rest, path) => true,
        [b'*', b'*', rest @ ..] => (0..=path.len()).any(|taken| matches_bytes(rest, &path[taken..])),
        [b'*', rest @ ..] => {
            let component = path.iter().position(|&byte| byte == b'/').unwrap_or(path.len());
            (0..=component).any(|taken| matches_bytes(rest, &path[taken..]))
        }
        [b'?', rest @ ..] => path.first().is_some_and(|&byte| byte != b'/') && matches_bytes(rest, &path[1..]),
        [literal, rest @ ..] => path.first() == Some(literal) && matches_bytes(rest, &path[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_pattern, matches};

    #[test]
    fn a_star_stays_in_its_component_and_two_cross() {
        assert!(matches("/usr/lib/*.so", "/usr/lib/libz.so"));
        assert!(!matches("/usr/*.so", "/usr/lib/libz.so"));
        assert!(matches("/usr/**.so", "/usr/lib/libz.so"));
        assert!(matches("**/man1/*", "/usr/share/man/man1/git.1.gz"));
        assert!(matches("/usr/?ib", "/usr/lib"));
    }

    #[test]
    fn a_pattern_that_matches_nothing_or_means_something_else_is_none() {
        for pattern in ["/usr/bin/git", "**/*.so", "*", "/usr/bin/?"] {
            assert!(is_pattern(pattern), "{pattern}");
        }
        for pattern in ["", "[", "usr/bin", "/usr/[ab]", "/usr/{a,b}", "/a\\*", "/a\n"] {
            assert!(!is_pattern(pattern), "{pattern:?}");
        }
    }
}
