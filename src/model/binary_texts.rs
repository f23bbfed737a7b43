//! Those texts of a compiled file that may be names of modules, and a search for module names in them.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use aho_corasick::AhoCorasick;
use serde::{Deserialize, Serialize};

/// Those texts of a compiled file that may be names of modules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BinaryTexts {
    /// Texts that have the form of a name and are between two zero bytes.
    pub(crate) words: BTreeSet<String>,
    /// Rows of texts. There are no separators between the texts of a row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) rows: Vec<String>,
    /// Whether the file contains texts that lath cannot read. Such a file may use any module.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_hidden: bool,
}

impl BinaryTexts {
    /// Whether Cython has created the file. If so, it may import modules by names that are relative to its package.
    pub(crate) fn is_of_cython(&self) -> bool {
        let is_mark = |word: &String| word.starts_with("__pyx_") || word == "cython_runtime";
        self.is_hidden || !self.rows.is_empty() || self.words.iter().any(is_mark)
    }

    /// Whether the file may contain a name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.is_hidden || self.words.contains(name) || self.rows.iter().any(|row| row.contains(name))
    }
}

/// Finds the names of modules in texts.
pub(crate) struct NameSearch<'a> {
    /// The names, sorted.
    names: Vec<&'a str>,
    /// A search for all names at any position of a row. `None` if there are too many names.
    anywhere: OnceCell<Option<AhoCorasick>>,
}

impl<'a> NameSearch<'a> {
    pub(crate) fn new(names: impl Iterator<Item = &'a str>) -> Self {
        let names: BTreeSet<&str> = names.collect();
        Self { names: names.into_iter().collect(), anywhere: OnceCell::new() }
    }

    /// Returns the names that occur in the texts of a file.
    pub(crate) fn names_in(&self, texts: &BinaryTexts) -> BTreeSet<&'a str> {
        if texts.is_hidden {
            return self.all();
        }
        let words = texts.words.iter().filter_map(|word| self.longest(word));
        words.chain(texts.rows.iter().flat_map(|row| self.anywhere(row))).collect()
    }

    fn all(&self) -> BTreeSet<&'a str> {
        self.names.iter().copied().collect()
    }

    /// Returns the longest name with which a dotted word begins. The rest of the word may be the names of objects in
    /// this module.
    fn longest(&self, word: &str) -> Option<&'a str> {
        let mut parts = std::iter::successors(Some(word), |name| name.rsplit_once('.').map(|(parent, _)| parent));
        parts.find_map(|name| self.names.binary_search(&name).ok()).map(|index| self.names[index])
    }

    /// Returns the names that occur at any position of a row.
    fn anywhere(&self, row: &str) -> BTreeSet<&'a str> {
        match self.anywhere.get_or_init(|| AhoCorasick::new(&self.names).ok()) {
            Some(search) => search.find_overlapping_iter(row).map(|found| self.names[found.pattern()]).collect(),
            None => self.all(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(words: &[&str], rows: &[&str], is_hidden: bool) -> Vec<&'static str> {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let texts = BinaryTexts { words: owned(words).into_iter().collect(), rows: owned(rows), is_hidden };
        let names = ["re", "json.decoder", "json", "decimal", "os.path"];
        NameSearch::new(names.into_iter()).names_in(&texts).into_iter().collect()
    }

    #[test]
    fn the_longest_part_of_a_word_and_all_names_in_a_row_are_found() {
        assert_eq!(found(&["json.decoder.JSONDecoder", "re", "redecimals"], &[], false), ["json.decoder", "re"]);
        assert_eq!(found(&[], &["xdecimaljson.decoderx"], false), ["decimal", "json", "json.decoder"]);
        assert_eq!(found(&[], &[], true).len(), 5);
        assert_eq!(found(&[], &[], false), [""; 0]);
    }
}
