//! ELF files as the dynamic loader sees them: machine, SONAME, what they need and where they look for it.
//!
//! Source: System V ABI, chapters 4 and 5 (generic edition), read with the `object` crate.

use object::elf::{DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_SONAME, DT_STRSZ, DT_STRTAB, FileHeader64, PT_INTERP, PT_LOAD};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};
use object::{Endianness, StringTable};
use thiserror::Error;

/// What lath asks of an ELF file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ElfFile {
    /// `e_machine`.
    pub(crate) machine: u16,
    pub(crate) soname: Option<String>,
    /// `DT_NEEDED`, in the file's order.
    pub(crate) needed: Vec<String>,
    /// `DT_RUNPATH`, or `DT_RPATH` where there is none; split at colons, `$ORIGIN` as it stands.
    pub(crate) search_paths: Vec<String>,
    /// The path of the dynamic loader that a program asks for.
    pub(crate) interpreter: Option<String>,
    /// Whether it has a dynamic section at all.
    pub(crate) is_dynamic: bool,
}

#[derive(Debug, Error)]
pub(crate) enum ElfError {
    #[error("cannot read the ELF file: it is of 32 bits, which no platform of lath's runs")]
    NarrowClass,
    #[error("cannot read the ELF file")]
    Malformed(#[source] object::Error),
}

/// Reads what `bytes` say; `None` where they are no ELF file.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<ElfFile>, ElfError> {
    const CLASS: usize = 4;
    const CLASS_32: u8 = 1;
    if !bytes.starts_with(b"\x7fELF") {
        return Ok(None);
    }
    if bytes.get(CLASS) == Some(&CLASS_32) {
        return Err(ElfError::NarrowClass);
    }
    parse_wide(bytes).map(Some).map_err(ElfError::Malformed)
}

fn parse_wide(bytes: &[u8]) -> object::Result<ElfFile> {
    let header = FileHeader64::<Endianness>::parse(bytes)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, bytes)?;
    let mut file = ElfFile { machine: header.e_machine(endian), ..ElfFile::default() };
    let mut rpath = None;
    let mut runpath = None;
    for segment in segments {
        if segment.p_type(endian) == PT_INTERP {
            let path = segment.data(endian, bytes).map_err(|()| object_error("the interpreter lies outside"))?;
            file.interpreter = Some(text(path.strip_suffix(b"\0").unwrap_or(path)));
        }
        let Some(entries) = segment.dynamic(endian, bytes)? else { continue };
        file.is_dynamic = true;
        let strings = dynamic_strings(entries, segments, endian, bytes)?;
        for entry in entries {
            let tag = entry.tag(endian);
            if !matches!(tag, DT_NEEDED | DT_SONAME | DT_RPATH | DT_RUNPATH) {
                continue;
            }
            let value = text(entry.string(endian, strings)?);
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
    // The crate's error can be made only by its own readers: reading from nothing gives one.
    match FileHeader64::<Endianness>::parse(b"".as_slice()) {
        Err(error) => error,
        Ok(_) => unreachable!("{message}"),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The string table that the dynamic section names by address, found through the segments that are loaded.
fn dynamic_strings<'data>(
    entries: &[<FileHeader64<Endianness> as object::read::elf::FileHeader>::Dyn],
    segments: &[<FileHeader64<Endianness> as object::read::elf::FileHeader>::ProgramHeader],
    endian: Endianness,
    bytes: &'data [u8],
) -> object::Result<StringTable<'data>> {
    let value = |tag| entries.iter().find(|entry| entry.tag(endian) == tag).map(|entry| entry.d_val(endian));
    let (Some(address), Some(size)) = (value(DT_STRTAB), value(DT_STRSZ)) else {
        return Ok(StringTable::default());
    };
    for segment in segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD) {
        if let Ok(Some(data)) = segment.data_range(endian, bytes, address, size) {
            return Ok(StringTable::new(data, 0, data.len() as u64));
        }
    }
    Ok(StringTable::default())
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
}
