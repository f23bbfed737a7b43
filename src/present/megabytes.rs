//! Amounts of bytes as text.

/// Millions of bytes, with one digit after the point.
pub(crate) fn megabytes(bytes: u64) -> String {
    let tenths = (bytes + 50_000) / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_millions() {
        assert_eq!(megabytes(0), "0.0 MB");
        assert_eq!(megabytes(1_949_999), "1.9 MB");
        assert_eq!(megabytes(1_950_000), "2.0 MB");
    }
}
