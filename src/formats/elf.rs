//! The parts of ELF files that the dynamic loader uses: machine, SONAME, needed libraries and their search paths.
//!
//! Source: System V ABI, chapters 4 and 5 (generic edition), read with the `object` crate.

use std::io::{self, Read, Seek, SeekFrom};

use object::elf::{
    DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_SONAME, DT_STRSZ, DT_STRTAB, FileHeader64, PT_DYNAMIC, PT_INTERP, PT_LOAD,
};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};
use object::{Endianness, ReadCache, ReadRef, StringTable};
use thiserror::Error;

use crate::model::facts::Linkage;

#[derive(Debug, Error)]
pub(crate) enum ElfError {
    #[error("cannot read the ELF file: it is a 32-bit file, and all platforms of lath are 64-bit")]
    NarrowClass,
    #[error("cannot read the ELF file")]
    Malformed(#[from] object::Error),
    #[error("cannot read the ELF file")]
    Read(#[source] io::Error),
    #[error("cannot read the ELF file: the names in it are too long")]
    Names,
}

/// The maximum size of a table in a file. The size is limited, because the table is held in memory. The tables of the
/// largest libraries have 20 MB.
const MAX_TABLE_BYTES: u64 = 256 << 20;

/// The maximum size of all names in a file together. All entries may refer to the same long text, so without this
/// limit, a small file could fill the memory. Usual files contain the names of a few dozen libraries.
const MAX_NAMES_BYTES: usize = 1 << 20;

/// The offset after `e_machine`.
pub(crate) const MACHINE_END: u64 = 20;

/// Returns `e_machine` from the first bytes of a file. Returns `None` if `header` is too short or does not belong to an
/// ELF file.
pub(crate) fn machine(header: &[u8]) -> Option<u16> {
    const BIG_ENDIAN: u8 = 2;
    let field: [u8; 2] = header.get(18..20)?.try_into().ok()?;
    let is_elf = header.starts_with(b"\x7fELF");
    is_elf.then(|| if header[5] == BIG_ENDIAN { u16::from_be_bytes(field) } else { u16::from_le_bytes(field) })
}

/// Reads the facts from `bytes`. Returns `None` if they are not those of an ELF file.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Linkage>, ElfError> {
    if !is_wide(bytes)? {
        return Ok(None);
    }
    parse_wide(bytes).map(Some)
}

/// Reads the facts like [`parse`], from a file of any size. Only its headers and the dynamic section are read.
pub(crate) fn parse_file(mut file: impl Read + Seek) -> Result<Option<Linkage>, ElfError> {
    let mut start = Vec::new();
    let read = file.rewind().and_then(|()| file.by_ref().take(MACHINE_END).read_to_end(&mut start));
    read.and_then(|_| file.seek(SeekFrom::Start(0))).map_err(ElfError::Read)?;
    if !is_wide(&start)? {
        return Ok(None);
    }
    parse_wide(&ReadCache::new(file)).map(Some)
}

/// Whether the first bytes of a file are those of a 64-bit ELF file. A 32-bit ELF file is an error.
fn is_wide(start: &[u8]) -> Result<bool, ElfError> {
    const CLASS: usize = 4;
    const CLASS_32: u8 = 1;
    match start.starts_with(b"\x7fELF") {
        true if start.get(CLASS) == Some(&CLASS_32) => Err(ElfError::NarrowClass),
        is_elf => Ok(is_elf),
    }
}

fn parse_wide<'data>(data: impl ReadRef<'data>) -> Result<Linkage, ElfError> {
    /// This value in `e_phnum` means that there are more segments than fit into the field. Their number is then in
    /// another field.
    const MANY_SEGMENTS: u16 = 0xffff;
    let header = FileHeader64::<Endianness>::parse(data)?;
    let endian = header.endian()?;
    if header.e_phnum(endian) == MANY_SEGMENTS {
        return Err(object_error("it has too many segments").into());
    }
    let segments = header.program_headers(endian, data)?;
    let mut file = Linkage { machine: header.e_machine(endian), ..Linkage::default() };
    let mut rpath = None;
    let mut runpath = None;
    let mut names_bytes = 0;
    let mut text = |name: &[u8]| {
        names_bytes += name.len();
        if names_bytes > MAX_NAMES_BYTES {
            Err(ElfError::Names)
        } else {
            Ok(String::from_utf8_lossy(name).into_owned())
        }
    };
    for segment in segments {
        let kind = segment.p_type(endian);
        if kind == PT_INTERP {
            if segment.p_filesz(endian) > MAX_NAMES_BYTES as u64 {
                return Err(ElfError::Names);
            }
            let path = segment.data(endian, data).map_err(|()| object_error("the interpreter is outside the file"))?;
            file.interpreter = Some(text(path.strip_suffix(b"\0").unwrap_or(path))?);
        }
        // A loader uses only one dynamic section.
        if kind != PT_DYNAMIC || file.is_dynamic {
            continue;
        }
        if segment.p_filesz(endian) > MAX_TABLE_BYTES {
            return Err(object_error("one of its tables is too large").into());
        }
        let Some(entries) = segment.dynamic(endian, data)? else { continue };
        file.is_dynamic = true;
        let strings = dynamic_strings(entries, segments, endian, data);
        for entry in entries {
            let tag = entry.tag(endian);
            if !matches!(tag, DT_NEEDED | DT_SONAME | DT_RPATH | DT_RUNPATH) {
                continue;
            }
            let value = text(entry.string(endian, strings)?)?;
            match tag {
                DT_NEEDED => file.needed.push(value),
                DT_SONAME => file.soname = Some(value),
                DT_RPATH => rpath = Some(value),
                _ => runpath = Some(value),
            }
        }
    }
    let paths = runpath.or(rpath).unwrap_or_default();
    file.search_paths = paths.split(':').filter(|path| !path.is_empty()).map(str::to_owned).collect();
    Ok(file)
}

fn object_error(message: &'static str) -> object::Error {
    // Only the readers of the `object` crate can create its error type, so this code makes a reader fail.
    match FileHeader64::<Endianness>::parse(b"".as_slice()) {
        Err(error) => error,
        Ok(_) => unreachable!("{message}"),
    }
}

/// Finds the string table. The dynamic section contains its address. The loaded segment that contains this address
/// shows the offset of the table in the file.
fn dynamic_strings<'data>(
    entries: &[<FileHeader64<Endianness> as object::read::elf::FileHeader>::Dyn],
    segments: &[<FileHeader64<Endianness> as object::read::elf::FileHeader>::ProgramHeader],
    endian: Endianness,
    data: impl ReadRef<'data>,
) -> StringTable<'data> {
    let value = |tag| entries.iter().find(|entry| entry.tag(endian) == tag).map(|entry| entry.d_val(endian));
    let (Some(address), Some(size)) = (value(DT_STRTAB), value(DT_STRSZ).filter(|size| *size <= MAX_TABLE_BYTES))
    else {
        return StringTable::default();
    };
    let table = segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD).find_map(|segment| {
        let start = address.checked_sub(segment.p_vaddr(endian))?;
        let is_inside = start.checked_add(size)? <= segment.p_filesz(endian);
        data.read_bytes_at(segment.p_offset(endian).checked_add(start)?, size).ok().filter(|_| is_inside)
    });
    table.map_or_else(StringTable::default, |table| StringTable::new(table, 0, table.len() as u64))
}

/// Sections with symbols and debug information. The loader does not map them, and programs do not read them.
const DEAD_SECTIONS: &[&str] = &[
    ".symtab",
    ".strtab",
    ".shstrtab",
    ".comment",
    ".gnu_debuglink",
    ".gnu_debugdata",
    ".note.gnu.gold-version",
    ".gnu.build.attributes",
];

/// A section header of a 64-bit, little-endian file.
#[derive(Debug, Clone, Copy)]
struct Section {
    name: u64,
    kind: u64,
    flags: u64,
    offset: u64,
    size: u64,
    link: u64,
    info: u64,
    raw: [u8; SECTION_BYTES],
}

const SECTION_BYTES: usize = 64;
const SEGMENT_BYTES: usize = 56;
const HEADER_BYTES: usize = 64;

/// Returns a program or library without the sections that are needed only for debugging or linking, like `strip
/// --strip-unneeded`.
///
/// The result is the beginning of the file, with new headers. Every byte of a segment or an allocated section keeps its
/// offset. Returns `None` if the file would become smaller by less than 4 KiB, or if the removed bytes may be in use.
pub(crate) fn strip_debug(bytes: &[u8]) -> Option<Vec<u8>> {
    const LEAST_GAIN_BYTES: usize = 4096;
    const TYPE_EXEC: u64 = 2;
    const TYPE_DYN: u64 = 3;
    // Only 64-bit, little-endian files of version 1 are supported.
    if !bytes.starts_with(b"\x7fELF\x02\x01\x01") || !matches!(number(bytes, 16, 2)?, TYPE_EXEC | TYPE_DYN) {
        return None;
    }
    let sections = sections(bytes)?;
    let names = sections.get(usize::try_from(number(bytes, 62, 2)?).ok()?)?;
    let name_of = |section: &Section| -> Option<&str> {
        let start = usize::try_from(names.offset.checked_add(section.name)?).ok()?;
        let rest = bytes.get(start..usize::try_from(names.offset.checked_add(names.size)?).ok()?)?;
        std::str::from_utf8(&rest[..rest.iter().position(|&byte| byte == 0)?]).ok()
    };
    let mut live = Vec::new();
    for (index, section) in sections.iter().enumerate() {
        let name = name_of(section)?;
        if index == 0 || section.is_allocated() {
            live.push((index, name));
        } else if !(DEAD_SECTIONS.contains(&name) || name.starts_with(".debug_") || name.starts_with(".zdebug_")) {
            return None;
        }
    }
    let end = live_end(bytes, &sections)?;
    if !is_tail_known(bytes, &sections, end)? {
        return None;
    }
    let stripped = rewrite(bytes, &sections, &live, end)?;
    let is_gain = stripped.len() + LEAST_GAIN_BYTES <= bytes.len();
    (is_gain && parse(&stripped).ok() == parse(bytes).ok()).then_some(stripped)
}

impl Section {
    const KIND_NOBITS: u64 = 8;

    fn is_allocated(&self) -> bool {
        self.flags & 2 != 0
    }

    /// Returns the offset after the last byte of the section in the file.
    fn end(&self) -> Option<u64> {
        if self.kind == Self::KIND_NOBITS { Some(0) } else { self.offset.checked_add(self.size) }
    }
}

/// Reads a little-endian number of `size` bytes. Returns `None` if the file ends earlier.
fn number(bytes: &[u8], offset: usize, size: usize) -> Option<u64> {
    let field = bytes.get(offset..offset.checked_add(size)?)?;
    Some(field.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

fn sections(bytes: &[u8]) -> Option<Vec<Section>> {
    if number(bytes, 58, 2)? != SECTION_BYTES as u64 {
        return None;
    }
    let start = usize::try_from(number(bytes, 40, 8)?).ok()?;
    let count = usize::try_from(number(bytes, 60, 2)?).ok()?;
    let table = bytes.get(start..start.checked_add(count * SECTION_BYTES)?)?;
    table
        .chunks_exact(SECTION_BYTES)
        .map(|raw| {
            Some(Section {
                name: number(raw, 0, 4)?,
                kind: number(raw, 4, 4)?,
                flags: number(raw, 8, 8)?,
                offset: number(raw, 24, 8)?,
                size: number(raw, 32, 8)?,
                link: number(raw, 40, 4)?,
                info: number(raw, 44, 4)?,
                raw: raw.try_into().ok()?,
            })
        })
        .collect()
}

/// Returns the offset of the first byte that comes after the program headers, all segments and all allocated sections.
fn live_end(bytes: &[u8], sections: &[Section]) -> Option<usize> {
    let start = number(bytes, 32, 8)?;
    let count = number(bytes, 56, 2)?;
    if number(bytes, 54, 2)? != SEGMENT_BYTES as u64 || count == 0 {
        return None;
    }
    // The ELF header is rewritten, so the table of segments must not overlap it.
    if start < HEADER_BYTES as u64 {
        return None;
    }
    let mut end = start.checked_add(count * SEGMENT_BYTES as u64)?;
    for index in 0..usize::try_from(count).ok()? {
        let at = usize::try_from(start).ok()?.checked_add(index * SEGMENT_BYTES)?;
        end = end.max(number(bytes, at.checked_add(8)?, 8)?.checked_add(number(bytes, at.checked_add(32)?, 8)?)?);
    }
    for section in sections.iter().filter(|section| section.is_allocated()) {
        end = end.max(section.end()?);
    }
    usize::try_from(end).ok().filter(|&end| end <= bytes.len())
}

/// Returns whether all bytes after `end` belong to sections or to the section table. If not, other data was appended to
/// the file.
fn is_tail_known(bytes: &[u8], sections: &[Section], end: usize) -> Option<bool> {
    let table = number(bytes, 40, 8)?;
    let mut spans = vec![(table, table.checked_add((sections.len() * SECTION_BYTES) as u64)?)];
    for section in sections.iter().skip(1).filter(|section| section.kind != Section::KIND_NOBITS) {
        spans.push((section.offset, section.end()?));
    }
    spans.sort_unstable();
    let mut known = end;
    for (start, stop) in spans {
        let (start, stop) = (usize::try_from(start).ok()?, usize::try_from(stop).ok()?);
        // The only bytes between sections should be zeros, which align the next section.
        if start > known && bytes.get(known..start)?.iter().any(|&byte| byte != 0) {
            return Some(false);
        }
        known = known.max(stop);
    }
    Some(bytes.get(known..)?.is_empty())
}

/// Builds the new file. It consists of the old file up to `end`, a new table of names, and the headers of this table
/// and of the sections that stay (`live`). References between sections get the new numbers of these sections.
fn rewrite(bytes: &[u8], sections: &[Section], live: &[(usize, &str)], end: usize) -> Option<Vec<u8>> {
    const OWN_NAME: &str = ".shstrtab";
    const KIND_STRTAB: u32 = 3;
    const KINDS_WITH_SECTION_INFO: [u64; 2] = [4, 9];
    const FLAG_INFO_LINK: u64 = 0x40;
    let renumbered = |old: u64| live.iter().position(|&(index, _)| index as u64 == old).map(|new| new as u32);
    let mut names = vec![0];
    let mut table = Vec::new();
    for &(index, name) in live {
        let section = &sections[index];
        let mut raw = section.raw;
        let position = if name.is_empty() { 0 } else { names.len() as u32 };
        if !name.is_empty() {
            names.extend_from_slice(name.as_bytes());
            names.push(0);
        }
        raw[0..4].copy_from_slice(&position.to_le_bytes());
        // If a section that stays refers to a section that is removed, the file is unusual and is not changed.
        raw[40..44].copy_from_slice(&renumbered(section.link)?.to_le_bytes());
        let names_section = KINDS_WITH_SECTION_INFO.contains(&section.kind) || section.flags & FLAG_INFO_LINK != 0;
        if names_section {
            raw[44..48].copy_from_slice(&renumbered(section.info)?.to_le_bytes());
        }
        table.extend_from_slice(&raw);
    }
    let mut own = [0; SECTION_BYTES];
    own[0..4].copy_from_slice(&(names.len() as u32).to_le_bytes());
    names.extend_from_slice(OWN_NAME.as_bytes());
    names.push(0);
    own[4..8].copy_from_slice(&KIND_STRTAB.to_le_bytes());
    own[24..32].copy_from_slice(&(end as u64).to_le_bytes());
    own[32..40].copy_from_slice(&(names.len() as u64).to_le_bytes());
    own[48] = 1;
    table.extend_from_slice(&own);
    let mut stripped = bytes.get(..end)?.to_vec();
    stripped.extend_from_slice(&names);
    stripped.resize(stripped.len().next_multiple_of(8), 0);
    let start = stripped.len() as u64;
    stripped.extend_from_slice(&table);
    stripped[40..48].copy_from_slice(&start.to_le_bytes());
    stripped[60..62].copy_from_slice(&u16::try_from(live.len() + 1).ok()?.to_le_bytes());
    stripped[62..64].copy_from_slice(&u16::try_from(live.len()).ok()?.to_le_bytes());
    Some(stripped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_test_is_an_elf_file_that_needs_libc() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let file = parse(&bytes).unwrap().unwrap();
        assert!(file.needed.iter().any(|name| name == "libc.so.6"), "{file:?}");
        assert!(file.interpreter.unwrap().contains("ld-linux"));
    }

    #[test]
    fn what_is_no_elf_file_is_none_and_what_is_cut_short_is_an_error() {
        assert_eq!(parse(b"#!/bin/sh").unwrap(), None);
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        for length in [4, 5, 20, 64, 100, 500] {
            assert!(parse(&bytes[..length]).is_err(), "{length}");
        }
        assert!(matches!(parse(b"\x7fELF\x01\x01"), Err(ElfError::NarrowClass)));
    }

    /// Returns a library that needs `count` libraries, all with the same name of `length` letters.
    fn library_that_needs(count: u64, length: usize) -> Vec<u8> {
        const STRINGS: u64 = 64 + 2 * 56;
        let strings = [&[0], vec![b'n'; length].as_slice(), &[0]].concat();
        let dynamic = STRINGS + strings.len() as u64;
        let entries = (0..count).map(|_| (1, 1)).chain([(5, STRINGS), (10, strings.len() as u64), (0, 0)]);
        let entries: Vec<u8> =
            entries.flat_map(|(tag, value): (u64, u64)| [tag, value]).flat_map(u64::to_le_bytes).collect();
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(64, 0);
        bytes[16..20].copy_from_slice(&[3, 0, 62, 0]);
        bytes[32] = 64;
        bytes[54..57].copy_from_slice(&[56, 0, 2]);
        let end = dynamic + entries.len() as u64;
        for (kind, start, size) in [(1, 0, end), (2, dynamic, entries.len() as u64)] {
            let words: [u64; 7] = [kind, start, start, start, size, size, 8];
            bytes.extend(words.into_iter().flat_map(u64::to_le_bytes));
        }
        [bytes, strings, entries].concat()
    }

    #[test]
    fn entries_that_all_name_the_same_long_text_are_refused() {
        let honest = parse(&library_that_needs(2, 20)).unwrap().unwrap();
        assert_eq!(honest.needed, ["n".repeat(20), "n".repeat(20)]);
        let hostile = library_that_needs(400, 6000);
        assert!(hostile.len() < 20_000);
        assert!(matches!(parse(&hostile), Err(ElfError::Names)));
        assert!(matches!(parse_file(io::Cursor::new(&hostile)), Err(ElfError::Names)));
    }

    #[test]
    fn a_table_of_segments_inside_of_the_header_keeps_a_program_whole() {
        let mut bytes = unstripped();
        assert!(strip_debug(&bytes).is_some());
        bytes[32] = 32;
        assert_eq!(strip_debug(&bytes), None);
    }

    /// Counts the bytes that are read from a file.
    struct Counting(std::fs::File, u64);

    impl Read for Counting {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.0.read(buffer)?;
            self.1 += length as u64;
            Ok(length)
        }
    }

    impl Seek for Counting {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    #[test]
    fn a_file_is_read_by_its_headers_alone_and_says_the_same() {
        let path = std::env::current_exe().unwrap();
        let mut file = Counting(std::fs::File::open(&path).unwrap(), 0);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(parse_file(&mut file).unwrap(), parse(&bytes).unwrap());
        assert!(file.1 < 1 << 20 && file.1 < bytes.len() as u64, "{} of {} bytes", file.1, bytes.len());
        for length in [4, 5, 20, 64, 100, 500] {
            assert!(parse_file(io::Cursor::new(&bytes[..length])).is_err(), "{length}");
        }
        assert_eq!(parse_file(io::Cursor::new(b"#!/bin/sh")).unwrap(), None);
        assert!(matches!(parse_file(io::Cursor::new(b"\x7fELF\x01\x01")), Err(ElfError::NarrowClass)));
    }

    /// Returns the program of this test, which contains symbols and line tables.
    fn unstripped() -> Vec<u8> {
        std::fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    #[test]
    fn a_stripped_program_is_smaller_says_the_same_and_still_runs() {
        use std::os::unix::fs::PermissionsExt as _;
        let bytes = unstripped();
        let stripped = strip_debug(&bytes).unwrap();
        assert!(stripped.len() < bytes.len(), "{} of {}", stripped.len(), bytes.len());
        assert_eq!(parse(&stripped).unwrap(), parse(&bytes).unwrap());
        assert_eq!(strip_debug(&stripped), None);
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        std::fs::write(&program, &stripped).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let ran = std::process::Command::new(&program).arg("--list").output().unwrap();
        assert!(ran.status.success());
        assert!(String::from_utf8(ran.stdout).unwrap().contains("elf"));
    }

    #[test]
    fn data_that_somebody_appended_keeps_a_program_whole() {
        let mut bytes = unstripped();
        bytes.extend_from_slice(b"an archive");
        assert_eq!(strip_debug(&bytes), None);
    }

    #[test]
    fn a_damaged_file_is_never_stripped_into_a_panic() {
        let bytes = unstripped();
        for length in (0..600).chain([bytes.len() / 2, bytes.len() - 1]) {
            assert_eq!(strip_debug(&bytes[..length]), None, "{length}");
        }
        for position in 16..64 {
            let mut damaged = bytes[..].to_vec();
            damaged[position] = 0xff;
            let _ = strip_debug(&damaged);
            let _ = parse(&damaged);
        }
    }
}
