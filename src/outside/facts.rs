//! Reads the facts about files while they are copied into the store.

use std::io::{self, Read, Seek};

use crate::formats::elf::{self, ElfError};
use crate::formats::mentions::{Mentions, Scan, Texts};
use crate::model::digest::Digest;
use crate::model::facts::{Elf, ElfFault, Facts, FileFacts};
use crate::model::vocabulary;
use crate::outside::store::{Bucket, PackWriter, Packed, Store, StoreError};

/// The contents of a file in the store, and the facts about it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) digest: Digest,
    pub(crate) size_bytes: u64,
    pub(crate) facts: Facts,
}

/// Puts the output of `reader` into the store with `put`, and reads the facts from the same bytes. At any time, only
/// one piece of a large file is in memory. The ELF headers of a large file may be anywhere in it, so they are read
/// afterwards from the store.
pub(crate) fn keep(
    reader: &mut dyn Read,
    texts: Texts,
    store: &Store,
    put: impl FnOnce(&mut dyn Read) -> Result<(Digest, u64), StoreError>,
) -> Result<Kept, StoreError> {
    let mut observed = Observed { reader, scan: Scan::new(texts) };
    let (digest, size_bytes) = put(&mut observed)?;
    let scan = observed.scan;
    let elf = match scan.whole() {
        _ if !scan.is_elf() => None,
        Some(bytes) => Some(elf_of(io::Cursor::new(bytes))),
        None => Some(elf_of(store.reader(&digest)?)),
    };
    let elf = elf.transpose().map_err(|source| StoreError::Read { path: store.contents_place(&digest), source })?;
    Ok(Kept { digest, size_bytes, facts: facts(elf, scan.finish()) })
}

/// Puts the files of an archive into the store. Small files share a pack.
pub(crate) struct Keeper<'a> {
    texts: Texts,
    pack: PackWriter<'a>,
    store: &'a Store,
    facts: FileFacts,
}

impl<'a> Keeper<'a> {
    pub(crate) fn new(texts: Texts, store: &'a Store) -> Self {
        Self { texts, pack: store.pack(), store, facts: FileFacts::new() }
    }

    /// Stores the contents of a file. Returns their digest and their size. If the archive cannot be read, `unreadable`
    /// creates the error.
    pub(crate) fn keep<E: From<StoreError>>(
        &mut self,
        reader: &mut dyn Read,
        unreadable: impl FnOnce(io::Error) -> E,
    ) -> Result<(Digest, u64), E> {
        let kept = keep(reader, self.texts, self.store, |reader| self.pack.put_reader(reader));
        let Kept { digest, size_bytes, facts } = kept.map_err(|error| match error {
            StoreError::Incoming(source) => unreadable(source),
            other => other.into(),
        })?;
        if facts != Facts::default() {
            self.facts.insert(digest, facts);
        }
        Ok((digest, size_bytes))
    }

    /// Returns the facts about all files, and the pack with the small files.
    pub(crate) fn finish(self) -> Result<(FileFacts, Packed), StoreError> {
        Ok((self.facts, self.pack.finish()?))
    }
}

/// Puts `bytes` into the store, and reads the facts from them.
pub(crate) fn keep_bytes(mut bytes: &[u8], texts: Texts, store: &Store) -> Result<Kept, StoreError> {
    keep(&mut bytes, texts, store, |reader| store.put_reader(reader))
}

/// Puts a file of the user into the store. The facts about a large file are cached, because every build puts the same
/// files of the user into the store again. So only the first build searches such a file.
pub(crate) fn keep_copied(file: &mut dyn Read, size_bytes: u64, store: &Store) -> Result<Kept, StoreError> {
    const LARGE_BYTES: u64 = 8 << 20;
    if size_bytes < LARGE_BYTES {
        return keep(file, Texts::Scripts, store, |reader| store.put_reader(reader));
    }
    let (digest, size_bytes) = store.put_reader(file)?;
    let key = Digest::of_fields([digest.as_bytes().as_slice(), vocabulary::digest().as_bytes()]);
    if let Some(facts) = store.entry(Bucket::CopiedFacts, &key) {
        return Ok(Kept { digest, size_bytes, facts });
    }
    let kept = keep(&mut store.reader(&digest)?, Texts::Scripts, store, |reader| {
        let failed = |source| StoreError::Read { path: store.contents_place(&digest), source };
        io::copy(reader, &mut io::sink()).map_err(failed)?;
        Ok((digest, size_bytes))
    })?;
    store.write_entry(Bucket::CopiedFacts, &key, &kept.facts)?;
    Ok(kept)
}

/// A reader that also searches all bytes that are read through it.
struct Observed<'a> {
    reader: &'a mut dyn Read,
    scan: Scan,
}

impl Read for Observed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.scan.add(&buffer[..length]);
        Ok(length)
    }
}

fn facts(elf: Option<Elf>, mentions: Mentions) -> Facts {
    Facts { elf, libraries: mentions.libraries, mentions: mentions.words }
}

/// Reads the facts about an ELF file. This fails only if the file cannot be read at all.
fn elf_of(mut contents: impl Read + Seek) -> io::Result<Elf> {
    let mut header = Vec::new();
    contents.by_ref().take(elf::MACHINE_END).read_to_end(&mut header)?;
    let linkage = match elf::parse_file(contents) {
        Ok(linkage) => Ok(linkage.unwrap_or_default()),
        Err(ElfError::Read(source)) => return Err(source),
        Err(error) => Err(fault(&error)),
    };
    Ok(Elf { machine: elf::machine(&header), linkage })
}

/// Returns the text of an error and its causes.
fn fault(error: &dyn std::error::Error) -> ElfFault {
    let causes = std::iter::successors(Some(error), |error| error.source());
    ElfFault(causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("store")).unwrap();
        (home, store)
    }

    #[test]
    fn the_tests_own_program_is_read_once_and_needs_libc() {
        let (_home, store) = store();
        let mut program = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
        let kept = keep(&mut program, Texts::All, &store, |reader| store.put_reader(reader)).unwrap();
        assert!(store.holds(&kept.digest, kept.size_bytes));
        let linkage = kept.facts.linkage().unwrap();
        assert!(linkage.needed.iter().any(|name| name == "libc.so.6"));
        assert_eq!(kept.facts.elf.as_ref().unwrap().machine, Some(linkage.machine));
    }

    #[test]
    fn a_large_copied_file_has_the_same_facts_from_its_bytes_and_from_the_cache() {
        let (_home, store) = store();
        let mut bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        bytes.resize(bytes.len().max(20 << 20), 0);
        bytes.extend_from_slice(b"\0iconv_open\0 find_library('across')");
        let keep = || keep_copied(&mut bytes.as_slice(), bytes.len() as u64, &store).unwrap();
        let (first, again) = (keep(), keep());
        assert_eq!((first.digest, first.size_bytes), (Digest::of(&bytes), bytes.len() as u64));
        assert_eq!(first.facts, again.facts);
        assert!(first.facts.linkage().is_some() && first.facts.libraries.contains("libacross"));
        let direct = keep_bytes(&bytes, Texts::Scripts, &store).unwrap();
        assert_eq!(first.facts, direct.facts);
    }

    #[test]
    fn an_elf_file_that_cannot_be_loaded_has_its_machine_and_the_reason() {
        let (_home, store) = store();
        let facts = |bytes: &[u8]| keep_bytes(bytes, Texts::All, &store).unwrap().facts;
        let narrow = facts(b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x03\0");
        assert_eq!(narrow.elf.as_ref().unwrap().machine, Some(3));
        assert!(narrow.linkage().is_none());
        let Err(ElfFault(fault)) = narrow.elf.unwrap().linkage else { panic!("it has a linkage") };
        insta::assert_snapshot!(fault, @"
        cannot read the ELF file: it is a 32-bit file, and all platforms of lath are 64-bit
        ");
        assert_eq!(facts(b"\x7fELF").elf.unwrap().machine, None);
        assert_eq!(facts(b"text"), Facts::default());
    }
}
