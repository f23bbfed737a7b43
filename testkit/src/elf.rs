//! Builds ELF files of a few hundred bytes. They contain the data that a loader reads, but no code.

const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_STRSZ: u64 = 10;
const DT_SONAME: u64 = 14;

/// The value of `EM_X86_64`.
pub const X86_64: u16 = 62;

/// Builds a shared library or program for x86-64 with the given SONAME and needed libraries.
pub fn elf(soname: Option<&str>, needed: &[&str]) -> Vec<u8> {
    elf_for(X86_64, soname, needed)
}

/// Builds the same file as [`elf`], but for the processor with the value `machine` of `e_machine`.
pub fn elf_for(machine: u16, soname: Option<&str>, needed: &[&str]) -> Vec<u8> {
    const HEADER_BYTES: usize = 64;
    const SEGMENT_BYTES: usize = 56;
    let mut strings = vec![0];
    let mut entries: Vec<(u64, u64)> = Vec::new();
    let named = needed.iter().map(|name| (DT_NEEDED, *name)).chain(soname.map(|name| (DT_SONAME, name)));
    for (tag, name) in named {
        entries.push((tag, strings.len() as u64));
        strings.extend_from_slice(name.as_bytes());
        strings.push(0);
    }
    let dynamic_start = HEADER_BYTES + 2 * SEGMENT_BYTES;
    let dynamic_bytes = (entries.len() + 3) * 16;
    let strings_start = dynamic_start + dynamic_bytes;
    let end = strings_start + strings.len();
    entries.extend([(DT_STRTAB, strings_start as u64), (DT_STRSZ, strings.len() as u64), (DT_NULL, 0)]);

    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    bytes.extend_from_slice(&3_u16.to_le_bytes()); // ET_DYN
    bytes.extend_from_slice(&machine.to_le_bytes());
    bytes.extend_from_slice(&1_u32.to_le_bytes());
    bytes.extend_from_slice(&0_u64.to_le_bytes()); // no entry point
    bytes.extend_from_slice(&(HEADER_BYTES as u64).to_le_bytes());
    bytes.extend_from_slice(&0_u64.to_le_bytes()); // no sections
    bytes.extend_from_slice(&0_u32.to_le_bytes());
    for half in [HEADER_BYTES, SEGMENT_BYTES, 2, 64, 0, 0] {
        bytes.extend_from_slice(&(half as u16).to_le_bytes());
    }
    // There are two segments: PT_LOAD for the whole file, and PT_DYNAMIC.
    for (kind, start, size) in [(1_u32, 0, end), (2, dynamic_start, dynamic_bytes)] {
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&4_u32.to_le_bytes());
        for word in [start, start, start, size, size, 8] {
            bytes.extend_from_slice(&(word as u64).to_le_bytes());
        }
    }
    for (tag, value) in entries {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes.extend_from_slice(&strings);
    bytes
}
