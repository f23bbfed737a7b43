//! Numbers in the notation of the language C.

/// Parses an integer in decimal, hexadecimal (`0x`) or octal (`0`) digits.
pub(super) fn integer(text: &str) -> Option<i128> {
    let (is_negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = if let Some(digits) = unsigned.strip_prefix("0x").or(unsigned.strip_prefix("0X")) {
        (digits, 16)
    } else if unsigned.len() > 1 && unsigned.starts_with('0') {
        (unsigned, 8)
    } else {
        (unsigned, 10)
    };
    // The first character must be checked, because `from_str_radix` would accept a second sign.
    let is_digits = digits.starts_with(|first: char| first.is_ascii_alphanumeric());
    let magnitude = i128::from(is_digits.then(|| u64::from_str_radix(digits, radix).ok()).flatten()?);
    Some(if is_negative { -magnitude } else { magnitude })
}

/// Parses a floating-point number, or a hexadecimal integer (`0x`). `None` if the text is no number, or if the number
/// is too large.
pub(super) fn double(text: &str) -> Option<f64> {
    let number = text.parse().ok().or_else(|| integer(text).map(|number| number as f64))?;
    (number.is_finite() || is_special(text)).then_some(number)
}

/// Whether the text of a number is infinity (`inf`) or "not a number" (`nan`).
pub(super) fn is_special(text: &str) -> bool {
    text.contains("inf") || text.contains("nan")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_three_bases() {
        let table = [
            ("0", Some(0)),
            ("-12", Some(-12)),
            ("+7", Some(7)),
            ("0x1F", Some(31)),
            ("-0Xff", Some(-255)),
            ("010", Some(8)),
            ("18446744073709551615", Some(i128::from(u64::MAX))),
            ("18446744073709551616", None),
            ("08", None),
            ("0x", None),
            ("--2", None),
            ("-+1", None),
            ("", None),
            ("1.5", None),
            ("ü", None),
        ];
        for (text, number) in table {
            assert_eq!(integer(text), number, "{text}");
        }
    }

    #[test]
    fn doubles_must_be_finite_unless_they_say_so() {
        assert_eq!(double("-1.5e3"), Some(-1500.0));
        assert_eq!(double(".5"), Some(0.5));
        assert_eq!(double("0x10"), Some(16.0));
        assert_eq!(double("-inf"), Some(f64::NEG_INFINITY));
        assert!(double("nan").unwrap().is_nan());
        for text in ["1e999", "1e", "0x1p", "--3", ""] {
            assert_eq!(double(text), None, "{text}");
        }
    }
}
