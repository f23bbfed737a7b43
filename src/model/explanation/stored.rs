//! The format in which an explanation is stored and sent. Each field is a column, so that the result is small after
//! compression. A path does not repeat the bytes that it shares with the previous path. The format has a version,
//! because other programs and later versions of lath read it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::stored_modules::ModuleColumns;
use super::{Explanation, KeptPath, Package, RemovedPath};
use crate::model::image_path::ImagePath;
use crate::model::options::TrimLevel;
use crate::model::platform::Platform;
use crate::model::reason::{Kept, Removed};

const VERSION: u32 = 2;
/// The maximum number of packages. It is much higher than in real images. It is necessary because the time of some
/// searches grows with the square of this number.
const MAX_PACKAGES: usize = 5_000;
/// The maximum length of all `required_by` together. The reason is the same.
const MAX_REQUIREMENTS: usize = 50_000;
/// The maximum number of folders with modules. Every path is compared with each folder.
const MAX_FOLDERS: usize = 100;
/// The maximum size of all paths in a column. This limit is necessary because a few stored bytes can become a long
/// path.
const MAX_PATH_BYTES: usize = 32 << 20;
/// The maximum size of a file. With the maximum number of paths, a sum of sizes always fits into 64 bits.
const MAX_FILE_BYTES: u64 = 1 << 40;
const MAX_PATHS: usize = 500_000;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    version: u32,
    name: String,
    platform: Platform,
    trim: TrimLevel,
    packages: Vec<Package>,
    reasons: Vec<Kept>,
    kept: KeptColumns,
    removed: RemovedColumns,
    modules: ModuleColumns,
}

/// Texts in their order, such as paths.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct TextColumns {
    /// The number of bytes that each text shares with the previous text.
    shared: Vec<usize>,
    rest: Vec<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct KeptColumns {
    paths: TextColumns,
    sizes: Vec<u64>,
    packages: Vec<usize>,
    reasons: Vec<usize>,
    /// The size of the symbols that were removed, by the position of the path. Other paths had none.
    symbols: BTreeMap<usize, u64>,
    /// The positions of the paths that are hard links.
    hard_links: Vec<usize>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct RemovedColumns {
    paths: TextColumns,
    sizes: Vec<u64>,
    packages: Vec<usize>,
    rules: Vec<usize>,
    /// The ids of the rules that removed paths.
    ids: Vec<Removed>,
}

impl TextColumns {
    pub(super) fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let (mut columns, mut before) = (Self::default(), "");
        for text in texts {
            let mut shared = before.bytes().zip(text.bytes()).take_while(|(one, other)| one == other).count();
            while !text.is_char_boundary(shared) {
                shared -= 1;
            }
            columns.shared.push(shared);
            columns.rest.push(text[shared..].to_owned());
            before = text;
        }
        columns
    }

    pub(super) fn texts(&self) -> Result<Vec<String>, String> {
        same_length("paths", self.shared.len(), self.rest.len())?;
        if self.rest.len() > MAX_PATHS {
            return Err(format!("it has more than {MAX_PATHS} paths"));
        }
        let lengths = self.shared.iter().zip(&self.rest).map(|(shared, rest)| shared.saturating_add(rest.len()));
        if lengths.fold(0, usize::saturating_add) > MAX_PATH_BYTES {
            return Err(format!("its paths have more than {MAX_PATH_BYTES} bytes"));
        }
        let mut texts: Vec<String> = Vec::with_capacity(self.rest.len());
        for (shared, rest) in self.shared.iter().zip(&self.rest) {
            let before = texts.last().map(String::as_str).unwrap_or_default();
            let start = before.get(..*shared).ok_or("a path shares more bytes than there are")?;
            texts.push(format!("{start}{rest}"));
        }
        Ok(texts)
    }

    fn paths(&self) -> Result<Vec<ImagePath>, String> {
        let parsed = |text: String| ImagePath::parse(&text).map_err(|error| error.to_string());
        self.texts()?.into_iter().map(parsed).collect()
    }
}

pub(super) fn same_length(column: &str, found: usize, expected: usize) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("the column `{column}` has {found} entries instead of {expected}"))
}

fn sizes<'a>(mut sizes: impl Iterator<Item = &'a u64>) -> Result<(), String> {
    match sizes.find(|size| **size > MAX_FILE_BYTES) {
        None => Ok(()),
        Some(size) => Err(format!("it has a file of {size} bytes, and the limit is {MAX_FILE_BYTES}")),
    }
}

pub(super) fn in_range(column: &str, positions: &[usize], length: usize) -> Result<(), String> {
    match positions.iter().find(|position| **position >= length) {
        None => Ok(()),
        Some(position) => Err(format!("the column `{column}` has the position {position}, and there are {length}")),
    }
}

impl Stored {
    pub(super) fn of(explanation: &Explanation) -> Self {
        Self {
            version: VERSION,
            name: explanation.name.clone(),
            platform: explanation.platform,
            trim: explanation.trim,
            packages: explanation.packages.clone(),
            reasons: explanation.reasons.clone(),
            kept: KeptColumns::of(&explanation.kept),
            removed: RemovedColumns::of(&explanation.removed),
            modules: ModuleColumns::of(&explanation.modules),
        }
    }
}

impl TryFrom<Stored> for Explanation {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        let Stored { version, name, platform, trim, packages, reasons, kept, removed, modules } = stored;
        if version != VERSION {
            return Err(format!("it has the version {version}, and this lath reads version {VERSION}"));
        }
        if packages.len() > MAX_PACKAGES {
            return Err(format!("it has {} packages, and the limit is {MAX_PACKAGES}", packages.len()));
        }
        let requirements: usize = packages.iter().map(|package| package.required_by.len()).sum();
        if requirements > MAX_REQUIREMENTS || modules.folders() > MAX_FOLDERS {
            return Err("it has too many requirements of packages, or too many folders of modules".to_owned());
        }
        let kept = kept.rows(packages.len(), reasons.len())?;
        let removed = removed.rows(packages.len())?;
        let modules = modules.modules()?;
        Ok(Self { name, platform, trim, packages, reasons, kept, removed, modules })
    }
}

impl KeptColumns {
    fn of(rows: &[KeptPath]) -> Self {
        let placed = || rows.iter().enumerate();
        let symbols = placed().filter(|(_, row)| row.symbol_bytes > 0);
        Self {
            paths: TextColumns::of(rows.iter().map(|row| row.path.as_str())),
            sizes: rows.iter().map(|row| row.size_bytes).collect(),
            packages: rows.iter().map(|row| row.package).collect(),
            reasons: rows.iter().map(|row| row.reason).collect(),
            symbols: symbols.map(|(place, row)| (place, row.symbol_bytes)).collect(),
            hard_links: placed().filter(|(_, row)| row.is_hard_link).map(|(place, _)| place).collect(),
        }
    }

    fn rows(&self, packages: usize, reasons: usize) -> Result<Vec<KeptPath>, String> {
        let paths = self.paths.paths()?;
        same_length("sizes", self.sizes.len(), paths.len())?;
        same_length("packages", self.packages.len(), paths.len())?;
        same_length("reasons", self.reasons.len(), paths.len())?;
        in_range("packages", &self.packages, packages)?;
        in_range("reasons", &self.reasons, reasons)?;
        sizes(self.sizes.iter().chain(self.symbols.values()))?;
        let mut rows: Vec<KeptPath> = paths
            .into_iter()
            .enumerate()
            .map(|(place, path)| KeptPath {
                path,
                size_bytes: self.sizes[place],
                package: self.packages[place],
                reason: self.reasons[place],
                symbol_bytes: self.symbols.get(&place).copied().unwrap_or(0),
                is_hard_link: false,
            })
            .collect();
        in_range("hard_links", &self.hard_links, rows.len())?;
        self.hard_links.iter().for_each(|place| rows[*place].is_hard_link = true);
        Ok(rows)
    }
}

impl RemovedColumns {
    fn of(rows: &[RemovedPath]) -> Self {
        let mut ids: Vec<Removed> = rows.iter().map(|row| row.rule).collect();
        ids.sort_unstable();
        ids.dedup();
        let rules = rows.iter().map(|row| ids.binary_search(&row.rule).unwrap_or_default());
        Self {
            paths: TextColumns::of(rows.iter().map(|row| row.path.as_str())),
            sizes: rows.iter().map(|row| row.size_bytes).collect(),
            packages: rows.iter().map(|row| row.package).collect(),
            rules: rules.collect(),
            ids,
        }
    }

    fn rows(&self, packages: usize) -> Result<Vec<RemovedPath>, String> {
        let paths = self.paths.paths()?;
        same_length("sizes", self.sizes.len(), paths.len())?;
        same_length("packages", self.packages.len(), paths.len())?;
        same_length("rules", self.rules.len(), paths.len())?;
        in_range("packages", &self.packages, packages)?;
        in_range("rules", &self.rules, self.ids.len())?;
        sizes(self.sizes.iter())?;
        let rows = paths.into_iter().enumerate().map(|(place, path)| RemovedPath {
            path,
            size_bytes: self.sizes[place],
            package: self.packages[place],
            rule: self.ids[self.rules[place]],
        });
        Ok(rows.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::explanation::example;

    #[test]
    fn an_explanation_that_was_stored_is_the_same() {
        let text = serde_json::to_string(&example()).unwrap();
        assert_eq!(serde_json::from_str::<Explanation>(&text).unwrap(), example());
    }

    #[test]
    fn paths_are_stored_without_the_beginning_that_they_share() {
        let paths = ["/usr/lib/a", "/usr/lib/ä", "/usr/lib/ö", "/x"].map(|path| ImagePath::parse(path).unwrap());
        let columns = TextColumns::of(paths.iter().map(ImagePath::as_str));
        assert_eq!((columns.shared.as_slice(), columns.rest[2].as_str()), ([0, 9, 9, 1].as_slice(), "ö"));
        assert_eq!(columns.paths().unwrap(), paths);
    }

    /// A function that changes a stored explanation.
    type Change = fn(&mut serde_json::Value);

    #[test]
    fn a_wrong_explanation_is_refused() {
        let refused = |change: Change| {
            let mut value = serde_json::to_value(example()).unwrap();
            change(&mut value);
            serde_json::from_value::<Explanation>(value).unwrap_err().to_string()
        };
        let table: [(Change, &str); 10] = [
            (|value| value["version"] = 1.into(), "it has the version 1, and this lath reads version 2"),
            (|value| value["kept"]["sizes"] = [1].into(), "the column `sizes` has 1 entries instead of"),
            (|value| value["kept"]["packages"][0] = 99.into(), "the column `packages` has the position 99"),
            (|value| value["kept"]["hard_links"] = [99].into(), "the column `hard_links` has the position 99"),
            (|value| value["removed"]["paths"]["shared"][0] = 9.into(), "a path shares more bytes than there are"),
            (|value| value["removed"]["paths"]["rest"][0] = "/../x".into(), "it leads outside the image"),
            (|value| value["kept"]["sizes"][0] = u64::MAX.into(), "it has a file of 18446744073709551615 bytes"),
            (|value| value["removed"]["sizes"][0] = u64::MAX.into(), "it has a file of 18446744073709551615 bytes"),
            (
                |value| value["packages"][0]["required_by"] = vec!["a"; MAX_REQUIREMENTS + 1].into(),
                "too many requirements",
            ),
            (|value| value["modules"]["folders"] = vec!["/a"; MAX_FOLDERS + 1].into(), "too many folders"),
        ];
        for (change, message) in table {
            let found = refused(change);
            assert!(found.contains(message), "{found}");
        }
    }

    #[test]
    fn paths_that_share_most_bytes_cannot_fill_the_memory() {
        let long = format!("/{}", vec!["x".repeat(200); 20].join("/"));
        let rest = std::iter::once(long.clone()).chain(std::iter::repeat_n(String::new(), 40_000));
        let shared = std::iter::once(0).chain(std::iter::repeat_n(long.len(), 40_000));
        let columns = TextColumns { shared: shared.collect(), rest: rest.collect() };
        assert_eq!(columns.paths().unwrap_err(), format!("its paths have more than {MAX_PATH_BYTES} bytes"));
        let many = TextColumns { shared: vec![0; MAX_PATHS + 1], rest: vec![String::new(); MAX_PATHS + 1] };
        assert_eq!(many.paths().unwrap_err(), format!("it has more than {MAX_PATHS} paths"));
    }
}
