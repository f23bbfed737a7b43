//! A map with the order of GLib's hash tables.
//!
//! GLib writes the entries into a file in the order in which its hash tables contain them. To write the same bytes,
//! lath needs the same order. This order depends on the hashes of the names, and on the order in which the names were
//! added and removed.

/// Every table has at least `1 << LEAST_SHIFT` places.
const LEAST_SHIFT: u32 = 3;

/// The greatest prime number below each power of 2. The first two numbers are exceptions.
const PRIMES: [u32; 25] = [
    1, 2, 3, 7, 13, 31, 61, 127, 251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 131_071, 262_139, 524_287,
    1_048_573, 2_097_143, 4_194_301, 8_388_593, 16_777_213,
];

#[derive(Debug, Clone)]
pub(super) struct StringTable<V> {
    places: Vec<Place<V>>,
    /// The number of places that are not free. Places of removed entries are included.
    occupied: usize,
    /// The number of places with an entry.
    count: usize,
}

#[derive(Debug, Clone, Default)]
enum Place<V> {
    #[default]
    Free,
    /// An entry was removed from here.
    Removed,
    Used(Entry<V>),
}

#[derive(Debug, Clone)]
struct Entry<V> {
    name: String,
    value: V,
}

/// The hash of a string in GLib and in GVDB, by D. J. Bernstein. Each byte counts as a signed number.
pub(super) fn hash(name: &str) -> u32 {
    name.bytes().fold(5381, |hash: u32, byte| hash.wrapping_mul(33).wrapping_add_signed(i32::from(byte.cast_signed())))
}

impl<V> Default for StringTable<V> {
    fn default() -> Self {
        Self { places: free(1 << LEAST_SHIFT), occupied: 0, count: 0 }
    }
}

fn free<V>(count: usize) -> Vec<Place<V>> {
    std::iter::repeat_with(Place::default).take(count).collect()
}

impl<V> StringTable<V> {
    pub(super) fn get(&self, name: &str) -> Option<&V> {
        match &self.places[self.place(name)] {
            Place::Used(entry) => Some(&entry.value),
            _ => None,
        }
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        let place = self.place(name);
        match &mut self.places[place] {
            Place::Used(entry) => Some(&mut entry.value),
            _ => None,
        }
    }

    /// Adds an entry. If there is an entry with this name, replaces its value.
    pub(super) fn insert(&mut self, name: &str, value: V) {
        let place = self.place(name);
        let entry = Place::Used(Entry { name: name.to_owned(), value });
        match std::mem::replace(&mut self.places[place], entry) {
            Place::Used(_) => {}
            Place::Removed => self.count += 1,
            Place::Free => {
                self.count += 1;
                self.occupied += 1;
                self.fit();
            }
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        let place = self.place(name);
        if matches!(self.places[place], Place::Used(_)) {
            self.places[place] = Place::Removed;
            self.count -= 1;
            self.fit();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Returns the entries in GLib's order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.places.iter().filter_map(|place| match place {
            Place::Used(entry) => Some((entry.name.as_str(), &entry.value)),
            _ => None,
        })
    }

    /// Returns the place of an entry, or the place to which it would be added.
    fn place(&self, name: &str) -> usize {
        let mut probe = Probe::new(name, self.places.len());
        let mut removed = None;
        loop {
            match &self.places[probe.at] {
                Place::Free => return removed.unwrap_or(probe.at),
                Place::Removed => removed = removed.or(Some(probe.at)),
                Place::Used(entry) if entry.name == name => return probe.at,
                Place::Used(_) => {}
            }
            probe.advance();
        }
    }

    /// Makes the table larger or smaller if it is too full or too empty.
    fn fit(&mut self) {
        let size = self.places.len();
        let is_too_large = size > self.count * 4 && size > 1 << LEAST_SHIFT;
        if is_too_large || size <= self.occupied + self.occupied / 16 {
            self.resize();
        }
    }

    /// Moves all entries to their new places, in the order of their old places. If an entry is moved to a place that
    /// another entry still uses, that other entry is moved next.
    fn resize(&mut self) {
        // GLib multiplies by 1.333, and uses the smallest power of 2 that is greater than the result.
        let wanted = self.count * 1333 / 1000;
        let shift = (usize::BITS - wanted.leading_zeros()).max(LEAST_SHIFT);
        let (old_size, size) = (self.places.len(), 1_usize << shift);
        self.places.resize_with(old_size.max(size), Place::default);
        let mut is_final = vec![false; self.places.len()];
        for start in 0..old_size {
            if is_final[start] {
                continue;
            }
            let Place::Used(mut entry) = std::mem::take(&mut self.places[start]) else { continue };
            loop {
                let mut probe = Probe::new(&entry.name, size);
                while is_final[probe.at] {
                    probe.advance();
                }
                is_final[probe.at] = true;
                match std::mem::replace(&mut self.places[probe.at], Place::Used(entry)) {
                    Place::Used(other) => entry = other,
                    _ => break,
                }
            }
        }
        self.places.truncate(size);
        self.occupied = self.count;
    }
}

/// The places in which an entry may be, in the order in which they are tried.
struct Probe {
    at: usize,
    step: usize,
    size: usize,
}

impl Probe {
    fn new(name: &str, size: usize) -> Self {
        // GLib does not use the hashes 0 and 1 for entries, because they mark free and removed places.
        let hash = hash(name);
        let hash = if hash < 2 { 2 } else { hash };
        let prime = PRIMES[(size.trailing_zeros() as usize).min(PRIMES.len() - 1)];
        Self { at: (hash.wrapping_mul(11) % prime) as usize, step: 0, size }
    }

    fn advance(&mut self) {
        self.step += 1;
        self.at = (self.at + self.step) & (self.size - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;

    fn names(table: &StringTable<usize>) -> String {
        table.iter().map(|(name, _)| name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn entries_are_found_replaced_and_removed() {
        let mut table = StringTable::default();
        for number in 0..1000 {
            table.insert(&format!("name{number}"), number);
        }
        table.insert("name7", 70);
        assert_eq!((table.len(), table.get("name7"), table.get("name")), (1000, Some(&70), None));
        for number in 10..1000 {
            table.remove(&format!("name{number}"));
        }
        *table.get_mut("name8").unwrap() = 80;
        let sum: usize = table.iter().map(|(_, number)| number).sum();
        assert_eq!((table.len(), sum), (10, 45 - 7 - 8 + 70 + 80));
        assert_eq!(table.places.len(), 32);
    }

    #[test]
    fn names_beyond_ascii_have_the_hash_of_signed_bytes() {
        assert_eq!((hash(""), hash("a"), hash("é")), (5381, 177_670, 5_857_809));
    }

    /// The expected order is that of `g_hash_table_foreach` in GLib 2.74.
    #[test]
    fn the_order_is_that_of_glib() {
        let mut table = StringTable::default();
        for name in "color font-name b ba aB zoom x-1 x-2".split(' ') {
            table.insert(name, 0);
        }
        assert_eq!(names(&table), "b x-2 x-1 ba zoom font-name color aB");
    }

    /// The expected digests were computed from the names in the order of GLib 2.74.
    #[test]
    fn the_order_is_that_of_glib_after_many_changes() {
        let mut table = StringTable::default();
        let digest = |table: &StringTable<usize>| Digest::of(names(table).as_bytes()).to_string();
        (0..1000).for_each(|number| table.insert(&format!("name{number}"), 0));
        assert_eq!(digest(&table), "fb70506297c653f0f3ebfcf148e2e063a9af6f77db32330545d185f55dc7db5c");
        (0..1000).step_by(3).for_each(|number| table.remove(&format!("name{number}")));
        (0..200).for_each(|number| table.insert(&format!("new{number}"), 0));
        assert_eq!(digest(&table), "832b0a31f599a434fda23a4a72bc23e1a66a943d9573139e50cd2f51287e7aa3");
        (1..900).for_each(|number| table.remove(&format!("name{number}")));
        assert_eq!(digest(&table), "600eaa9b8db30ec19e42b2a455029a5d563912cafeba2bbef298b4a8cef37266");
        (0..200).for_each(|number| table.remove(&format!("new{number}")));
        (900..990).for_each(|number| table.remove(&format!("name{number}")));
        assert_eq!(names(&table), "name998 name991 name997 name995 name994 name992");
    }
}
