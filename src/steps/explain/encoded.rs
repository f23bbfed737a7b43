//! An explanation as bytes: JSON on one line, compressed with zstd. A file can contain several explanations, one after
//! the other, one for each platform.

use std::io::{self, Read};

use super::error::EncodedError;
use crate::model::explanation::Explanation;

const LEVEL: i32 = 3;
/// The maximum size of the JSON. There is a limit because lath needs up to eleven times as much memory to read the
/// JSON. The explanation of an image with 100,000 paths has about 3 MB.
pub(super) const MAX_BYTES: u64 = 16 << 20;

/// Returns the bytes of an explanation.
pub(super) fn encode(explanation: &Explanation) -> Result<Vec<u8>, EncodedError> {
    let mut text = serde_json::to_vec(explanation)?;
    text.push(b'\n');
    zstd::bulk::compress(&text, LEVEL).map_err(EncodedError::Compress)
}

/// Reads all explanations in a file.
pub(super) fn decode(file: impl Read) -> Result<Vec<Explanation>, EncodedError> {
    let mut text = Vec::new();
    let unpacked = zstd::Decoder::new(file).map_err(EncodedError::Compress)?;
    unpacked.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(EncodedError::Compress)?;
    if text.len() as u64 > MAX_BYTES {
        let message = format!("it has more than {MAX_BYTES} bytes");
        return Err(EncodedError::Compress(io::Error::new(io::ErrorKind::InvalidData, message)));
    }
    serde_json::Deserializer::from_slice(&text).into_iter().collect::<Result<_, _>>().map_err(EncodedError::Json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::explanation::example;

    #[test]
    fn several_explanations_in_a_file_are_read_again() {
        let arm = Explanation { platform: "linux/arm64".parse().unwrap(), ..example() };
        let bytes = [encode(&example()).unwrap(), encode(&arm).unwrap()].concat();
        assert_eq!(decode(bytes.as_slice()).unwrap(), [example(), arm]);
    }

    #[test]
    #[ignore = "a check of real images: LATH_EXPLANATIONS=FILE:FILE cargo test --lib every_path_of_these -- --ignored --nocapture"]
    #[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "it checks files that the caller names")]
    fn every_path_of_these_explanations_has_a_chain() {
        let files = std::env::var_os("LATH_EXPLANATIONS").expect("LATH_EXPLANATIONS names files");
        for file in std::env::split_paths(&files) {
            for explanation in decode(fs_err::File::open(&file).unwrap()).unwrap() {
                let started = std::time::Instant::now();
                let unexplained = explanation.unexplained();
                let (kept, removed) = (explanation.kept.len(), explanation.removed.len());
                let seconds = started.elapsed().as_secs_f64();
                println!("{} {}: {kept} kept, {removed} removed, {seconds:.1} s", file.display(), explanation.platform);
                assert_eq!(unexplained, Vec::<String>::new(), "{}", file.display());
            }
        }
    }

    #[test]
    fn other_bytes_are_no_explanation() {
        let refused = |bytes: &[u8]| decode(bytes).unwrap_err().to_string();
        assert_eq!(refused(b"text"), "it is not compressed with zstd, or too large");
        let compressed = zstd::bulk::compress(b"{}", LEVEL).unwrap();
        assert_eq!(refused(&compressed), "it is not an explanation that this lath reads");
        let bomb = zstd::bulk::compress(&vec![b' '; (MAX_BYTES + 1) as usize], LEVEL).unwrap();
        assert_eq!(refused(&bomb), "it is not compressed with zstd, or too large");
    }
}
