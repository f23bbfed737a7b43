//! GVDB: a file with hash tables, which GLib maps into memory. All numbers are little-endian.
//!
//! Source: `gvdb-format.h` and `gvdb-builder.c` of GNOME's gvdb. The file begins with a magic number and with the place
//! of the first table. A table consists of a number for a filter that is not used, the number of buckets, the number of
//! the first item of each bucket, and the items. After each table come the names and the contents of its items.

use super::fault::{Fault, MAX_COMPILED_BYTES};
use super::string_table::{self, StringTable};

const MAGIC: &[u8; 8] = b"GVariant";
/// The number for the Bloom filter: its shift is in the upper five bits. The other bits are 0, because the filter has
/// no words.
const NO_FILTER: u32 = 5 << 27;
/// The value in the field of the parent, if an item has no parent.
const NO_PARENT: u32 = u32::MAX;
const HEADER_BYTES: usize = 24;
const ITEM_BYTES: usize = 24;
/// The name of the item that lists the children of a table.
const ROOT: &str = "";

/// One table. Each table has an item with an empty name, the root, which lists the children of the table.
#[derive(Debug)]
pub(super) struct Table {
    items: StringTable<Item>,
}

#[derive(Debug)]
struct Item {
    /// Whether the root of the table lists the item.
    is_child: bool,
    content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    /// A serialised value of the type `v`.
    Value(Vec<u8>),
    Table(Table),
    Root,
}

impl Table {
    pub(super) fn new() -> Self {
        let mut items = StringTable::default();
        items.insert(ROOT, Item { is_child: false, content: Content::Root });
        Self { items }
    }

    /// Adds an item that the root lists.
    pub(super) fn add_child(&mut self, name: &str, content: Content) {
        self.items.insert(name, Item { is_child: true, content });
    }

    /// Adds an item that the root does not list.
    pub(super) fn add(&mut self, name: &str, content: Content) {
        self.items.insert(name, Item { is_child: false, content });
    }

    /// Returns the items of each bucket. In each bucket, they are in the reverse order of GLib's hash table.
    fn buckets(&self) -> Vec<Vec<(&str, &Item)>> {
        let count = self.items.len();
        let mut buckets = vec![Vec::new(); count];
        for (name, item) in self.items.iter() {
            buckets[string_table::hash(name) as usize % count].insert(0, (name, item));
        }
        buckets
    }
}

/// Returns the file with `table` as its first table.
pub(super) fn write(table: &Table) -> Result<Vec<u8>, Fault> {
    let mut writer = Writer { bytes: vec![0; HEADER_BYTES] };
    let place = writer.add_table(table)?;
    writer.bytes[..8].copy_from_slice(MAGIC);
    // The bytes from 8 to 16 are the version and the options, which are both 0.
    writer.put(16, place.start);
    writer.put(20, place.end);
    Ok(writer.bytes)
}

/// The offsets at which a part of the file begins and ends.
struct Place {
    start: u32,
    end: u32,
}

struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Replaces four bytes by a number.
    fn put(&mut self, at: usize, number: u32) {
        self.bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
    }

    fn append(&mut self, bytes: &[u8], alignment: usize) -> Result<Place, Fault> {
        let start = self.bytes.len().next_multiple_of(alignment);
        let end = start + bytes.len();
        if end > MAX_COMPILED_BYTES {
            return Err(Fault::CompiledSize);
        }
        // Empty contents add no bytes, not even bytes for the alignment.
        if !bytes.is_empty() {
            self.bytes.resize(start, 0);
            self.bytes.extend(bytes);
        }
        Ok(Place { start: start as u32, end: end as u32 })
    }

    fn add_table(&mut self, table: &Table) -> Result<Place, Fault> {
        let buckets = table.buckets();
        let items: Vec<(&str, &Item)> = buckets.iter().flatten().copied().collect();
        let mut head = Vec::new();
        head.extend(NO_FILTER.to_le_bytes());
        head.extend((buckets.len() as u32).to_le_bytes());
        let mut first = 0_u32;
        for bucket in &buckets {
            head.extend(first.to_le_bytes());
            first += bucket.len() as u32;
        }
        let items_at = head.len();
        head.resize(items_at + items.len() * ITEM_BYTES, 0);
        let place = self.append(&head, 4)?;
        let root = items.iter().position(|(name, _)| *name == ROOT).map_or(NO_PARENT, |at| at as u32);
        for (number, (name, item)) in items.iter().enumerate() {
            let at = place.start as usize + items_at + number * ITEM_BYTES;
            let key = self.append(name.as_bytes(), 1)?;
            let (kind, content) = self.add_content(&item.content, &items)?;
            self.put(at, string_table::hash(name));
            self.put(at + 4, if item.is_child { root } else { NO_PARENT });
            self.put(at + 8, key.start);
            let length = u16::try_from(name.len()).map_err(|_| Fault::Name((*name).to_owned()))?;
            self.put(at + 12, u32::from(length) | u32::from(kind) << 16);
            self.put(at + 16, content.start);
            self.put(at + 20, content.end);
        }
        Ok(place)
    }

    /// Adds the contents of an item. Returns the letter for the kind of the contents, and their place.
    fn add_content(&mut self, content: &Content, items: &[(&str, &Item)]) -> Result<(u8, Place), Fault> {
        match content {
            Content::Value(bytes) => Ok((b'v', self.append(bytes, 8)?)),
            Content::Table(table) => Ok((b'H', self.add_table(table)?)),
            Content::Root => {
                let mut children: Vec<(&str, u32)> = items
                    .iter()
                    .enumerate()
                    .filter(|(_, (_, item))| item.is_child)
                    .map(|(at, (name, _))| (*name, at as u32))
                    .collect();
                children.sort_unstable();
                let list: Vec<u8> = children.iter().flat_map(|(_, at)| at.to_le_bytes()).collect();
                if list.is_empty() {
                    return Ok((0, Place { start: 0, end: 0 }));
                }
                Ok((b'L', self.append(&list, 4)?))
            }
        }
    }
}
