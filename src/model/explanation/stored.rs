//! The format in which an explanation is stored and sent. Each field is a column, so that the result is small after
//! compression. A path does not repeat the bytes that it shares with the previous path. The format has a version,
//! because other programs and later versions of lath read it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::columns::{TextColumns, in_range, same_length};
use super::stored_modules::ModuleColumns;
use super::{Explanation, KeptPath, Package, RemovedPath};
use crate::model::options::TrimLevel;
use crate::model::platform::Platform;
use crate::model::reason::{Kept, Removed};

const VERSION: u32 = 2;
/// The maximum number of packages, which is much higher than in real images. The limit is necessary because the time of
/// some searches grows with the square of the number of packages.
const MAX_PACKAGES: usize = 5_000;
/// The maximum number of entries in all lists `required_by` together. The reason for this limit is the same as for
/// [`MAX_PACKAGES`].
const MAX_REQUIREMENTS: usize = 50_000;
/// The maximum number of folders with modules. Every path is compared with each folder.
const MAX_FOLDERS: usize = 100;
/// The maximum size of a file. Because of this limit and the maximum number of paths, a sum of sizes always fits into
/// 64 bits.
const MAX_FILE_BYTES: u64 = 1 << 40;

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

#[derive(Debug, Default, Serialize, Deserialize)]
struct KeptColumns {
    paths: TextColumns,
    sizes: Vec<u64>,
    packages: Vec<usize>,
    reasons: Vec<usize>,
    /// The size of the symbols that were removed, by the position of the path. If a path is missing here, no symbols
    /// were removed from it.
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

fn sizes<'a>(mut sizes: impl Iterator<Item = &'a u64>) -> Result<(), String> {
    match sizes.find(|size| **size > MAX_FILE_BYTES) {
        None => Ok(()),
        Some(size) => Err(format!("it has a file of {size} bytes, and the limit is {MAX_FILE_BYTES}")),
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
    use crate::model::explanation::columns::{MAX_PATH_BYTES, MAX_PATHS};
    use crate::model::explanation::example;
    use crate::model::image_path::ImagePath;

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
