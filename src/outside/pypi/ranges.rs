//! Reads a file from a server in ranges. The reader is for code that blocks. It sends requests for ranges to
//! asynchronous code.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

/// The size of the first range. This range is at the end of the file, because the directory of a wheel is there, and
/// METADATA is usually just before the directory.
pub(super) const FIRST_BYTES: u64 = 64 << 10;
/// Each further range is twice as long as the one before, up to this limit.
const LONGEST_BYTES: u64 = 1 << 20;

/// A range that a reader needs. If this value is dropped without an answer, the reader returns an error.
pub(super) struct Question {
    pub(super) range: Range<u64>,
    /// Receives exactly the bytes of the range.
    pub(super) answer: oneshot::Sender<Bytes>,
}

/// Reads a file of known length. Bytes that were fetched are kept, so no byte is requested twice.
pub(super) struct RangeReader {
    length: u64,
    position: u64,
    /// The blocks that were fetched, by the position of their first byte.
    blocks: BTreeMap<u64, Bytes>,
    next_bytes: u64,
    questions: mpsc::UnboundedSender<Question>,
}

impl RangeReader {
    /// Returns a reader of a file with `length` bytes, and the receiver for its requests.
    pub(super) fn new(length: u64) -> (Self, mpsc::UnboundedReceiver<Question>) {
        let (questions, receiver) = mpsc::unbounded_channel();
        let reader = Self { length, position: 0, blocks: BTreeMap::new(), next_bytes: FIRST_BYTES, questions };
        (reader, receiver)
    }

    /// Returns the fetched bytes from the current position to the end of their block. Returns `None` if the current
    /// position was not fetched yet.
    fn known(&self) -> Option<Bytes> {
        let (start, block) = self.blocks.range(..=self.position).next_back()?;
        let skipped = usize::try_from(self.position - start).ok().filter(|skipped| *skipped < block.len())?;
        Some(block.slice(skipped..))
    }

    /// Requests bytes at the current position. Bytes that were fetched before are not requested again.
    fn fetch(&mut self) -> io::Result<()> {
        let end_block = self.length.saturating_sub(FIRST_BYTES);
        let range = if self.blocks.is_empty() && self.position >= end_block {
            end_block..self.length
        } else {
            let next_block = self.blocks.range(self.position..).next().map_or(self.length, |(start, _)| *start);
            let end = self.position.saturating_add(self.next_bytes).min(next_block);
            self.next_bytes = (self.next_bytes * 2).min(LONGEST_BYTES);
            self.position..end
        };
        let (answer, answered) = oneshot::channel();
        let gone = || io::Error::new(io::ErrorKind::NotConnected, "the range cannot be fetched");
        let start = range.start;
        self.questions.send(Question { range, answer }).map_err(|_| gone())?;
        self.blocks.insert(start, answered.blocking_recv().map_err(|_| gone())?);
        Ok(())
    }
}

impl Read for RangeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.position >= self.length {
            return Ok(0);
        }
        if self.known().is_none() {
            self.fetch()?;
        }
        let bytes = self.known().unwrap_or_default();
        let length = bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&bytes[..length]);
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for RangeReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(distance) => self.length.checked_add_signed(distance),
            SeekFrom::Current(distance) => self.position.checked_add_signed(distance),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_reads_the_same_in_ranges_and_nothing_is_asked_for_twice() {
        let file: Vec<u8> = (0..300_000_u32).map(|number| number.to_le_bytes()[1]).collect();
        let (mut reader, mut questions) = RangeReader::new(file.len() as u64);
        let whole = file.clone();
        let server = std::thread::spawn(move || {
            let mut asked = Vec::new();
            while let Some(question) = questions.blocking_recv() {
                let range = question.range.start as usize..question.range.end as usize;
                asked.push(range.clone());
                let _ = question.answer.send(Bytes::copy_from_slice(&whole[range]));
            }
            asked
        });
        let (mut end, mut all) = (Vec::new(), Vec::new());
        reader.seek(SeekFrom::End(-10)).unwrap();
        reader.read_to_end(&mut end).unwrap();
        reader.seek(SeekFrom::Start(0)).unwrap();
        reader.read_to_end(&mut all).unwrap();
        assert!(end == file[299_990..] && all == file);
        assert!(reader.seek(SeekFrom::Current(-300_001)).is_err());
        drop(reader);
        assert_eq!(server.join().unwrap(), [234_464..300_000, 0..65_536, 65_536..196_608, 196_608..234_464]);
    }

    #[test]
    fn a_range_that_nobody_fetches_is_an_error() {
        let (mut reader, questions) = RangeReader::new(10);
        drop(questions);
        assert_eq!(reader.read(&mut [0; 4]).unwrap_err().kind(), io::ErrorKind::NotConnected);
    }
}
