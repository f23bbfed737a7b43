//! Detects how data is compressed, and decompresses it. The format is detected from the first bytes, like in engines,
//! because names and media types are sometimes wrong.

use std::io::{self, BufReader, Read};

use flate2::read::MultiGzDecoder;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// The last three bytes of the magic number of a skippable frame (RFC 8878, section 3.1.2). The first byte of this
/// number is 0x50 to 0x5f.
const SKIPPABLE: &[u8] = &[0x2a, 0x4d, 0x18];

/// The format of compressed data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Plain,
    Gzip,
    /// The first frame may be a skippable one.
    Zstd,
}

impl Format {
    /// The number of bytes that are needed to detect a format.
    pub(crate) const START: u64 = ZSTD.len() as u64;

    /// Returns the format of data that begins with these bytes.
    pub(crate) fn of(start: &[u8]) -> Self {
        match start {
            _ if start.starts_with(GZIP) => Self::Gzip,
            _ if start.starts_with(ZSTD) => Self::Zstd,
            [0x50..=0x5f, rest @ ..] if rest.starts_with(SKIPPABLE) => Self::Zstd,
            _ => Self::Plain,
        }
    }
}

/// Reads the first bytes of `reader`. Returns the format, and a reader that starts again at the first byte.
pub(crate) fn recognised<R: Read>(mut reader: R) -> io::Result<(Format, impl Read)> {
    let mut start = Vec::new();
    reader.by_ref().take(Format::START).read_to_end(&mut start)?;
    Ok((Format::of(&start), io::Cursor::new(start).chain(reader)))
}

/// Returns the uncompressed data.
pub(crate) fn decompressed<'a>(reader: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let (format, whole) = recognised(reader)?;
    let whole = BufReader::with_capacity(128 << 10, whole);
    Ok(match format {
        Format::Plain => Box::new(whole),
        Format::Gzip => Box::new(MultiGzDecoder::new(whole)),
        Format::Zstd => Box::new(zstd::Decoder::with_buffer(whole)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_compression_is_recognised_also_in_several_pieces() {
        use std::io::Write as _;
        let tar = [b"first half, ".as_slice(), b"second half"];
        let gzip = |bytes: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
        let skippable = b"\x53\x2a\x4d\x18\x03\0\0\0toc".to_vec();
        let forms = [
            tar.concat(),
            tar.map(gzip).concat(),
            tar.map(zstd).concat(),
            [skippable.clone(), zstd(&tar.concat()), skippable].concat(),
        ];
        for form in forms {
            let mut read = Vec::new();
            decompressed(form.as_slice()).unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read, tar.concat());
        }
        let mut none = Vec::new();
        decompressed(b"".as_slice()).unwrap().read_to_end(&mut none).unwrap();
        assert_eq!(none, b"");
    }
}
