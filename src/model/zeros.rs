//! Finds blocks of zeros, because sparse files mostly consist of such blocks.

/// Whether all bytes are zero.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|chunk| chunk == &ZEROS[..chunk.len()])
}

#[cfg(test)]
mod tests {
    use super::is_zero;

    #[test]
    fn one_byte_anywhere_is_seen() {
        assert!(is_zero(&[]) && is_zero(&[0; 10_000]));
        for position in [0, 4095, 4096, 9999] {
            let mut bytes = [0; 10_000];
            bytes[position] = 1;
            assert!(!is_zero(&bytes), "{position}");
        }
    }
}
