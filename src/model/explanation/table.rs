//! A table of the packages in an image: their sizes, and how much smaller the image would be without each package.

use std::collections::BTreeSet;

use serde::Serialize;

use super::chain::{Edge, Graph, own_reason};
use super::{Explanation, Package};
use crate::model::options::TrimLevel;
use crate::model::platform::Platform;
use crate::model::tree::Origin;

/// The packages, sorted by size. The largest package comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) platform: Platform,
    pub(crate) trim: TrimLevel,
    pub(crate) size_bytes: u64,
    pub(crate) removed_bytes: u64,
    pub(crate) packages: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    pub(crate) package: Origin,
    /// The bytes of its files. Hard links count once.
    pub(crate) size_bytes: u64,
    pub(crate) files: usize,
    pub(crate) removed_bytes: u64,
    /// The number of bytes that the image would lose without this package: the bytes of the package, and of all
    /// packages that are needed only because of it. `None` if every image needs the package.
    pub(crate) alone_bytes: Option<u64>,
}

impl Explanation {
    /// Returns the table of the packages.
    pub(crate) fn table(&self) -> Table {
        let mut rows = self.rows();
        rows.retain(|row| row.files > 0 || row.removed_bytes > 0);
        rows.sort_by(|one, other| other.size_bytes.cmp(&one.size_bytes).then_with(|| one.package.cmp(&other.package)));
        Table {
            name: self.name.clone(),
            platform: self.platform,
            trim: self.trim,
            size_bytes: rows.iter().map(|row| row.size_bytes).sum(),
            removed_bytes: rows.iter().map(|row| row.removed_bytes).sum(),
            packages: rows,
        }
    }

    /// Returns a row for each package, in the order of the packages.
    pub(super) fn rows(&self) -> Vec<Row> {
        let empty = |origin: &Origin| Row {
            package: origin.clone(),
            size_bytes: 0,
            files: 0,
            removed_bytes: 0,
            alone_bytes: None,
        };
        let mut rows: Vec<Row> = self.packages.iter().map(|package| empty(&package.origin)).collect();
        for path in &self.kept {
            let row = &mut rows[path.package];
            row.files += 1;
            row.size_bytes += if path.is_hard_link { 0 } else { path.size_bytes };
            row.removed_bytes += path.symbol_bytes;
        }
        for path in &self.removed {
            rows[path.package].removed_bytes += path.size_bytes;
        }
        let needs = Needs::new(self);
        for place in 0..rows.len() {
            let gone = needs.gone_without(place);
            rows[place].alone_bytes = gone.map(|gone| gone.into_iter().map(|place| rows[place].size_bytes).sum());
        }
        rows
    }
}

/// The dependencies between packages.
struct Needs {
    packages: Vec<Need>,
}

struct Need {
    /// Whether the package would be in the image even if no other package needed it.
    is_wanted: bool,
    /// Whether the user can leave out the package, together with all packages that need it. The value is false if one
    /// of these packages is in every image.
    can_go: bool,
    needs: Vec<usize>,
}

impl Needs {
    fn new(explanation: &Explanation) -> Self {
        let graph = Graph::new(explanation);
        let dependents: Vec<Vec<usize>> = (0..explanation.packages.len())
            .map(|place| graph.dependents(place).into_iter().map(|(_, by)| by).collect())
            .collect();
        let need = |(package, dependents): (&Package, &Vec<usize>)| {
            let own = own_reason(package);
            // A package without any reason counts as wanted, because the explanation does not contain anything that
            // needs it.
            let is_wanted = own.is_some() || dependents.is_empty();
            let can_go = matches!(own, None | Some(Edge::Requested | Edge::With { .. }));
            Need { is_wanted, can_go, needs: Vec::new() }
        };
        let mut packages: Vec<Need> = explanation.packages.iter().zip(&dependents).map(need).collect();
        for (place, dependents) in dependents.iter().enumerate() {
            dependents.iter().for_each(|by| packages[*by].needs.push(place));
        }
        let mut next: Vec<usize> = (0..packages.len()).filter(|place| !packages[*place].can_go).collect();
        while let Some(place) = next.pop() {
            for needed in packages[place].needs.clone() {
                if std::mem::replace(&mut packages[needed].can_go, false) {
                    next.push(needed);
                }
            }
        }
        Self { packages }
    }

    /// Returns the packages that disappear if `left_out` is left out. `left_out` itself is one of them. Returns `None`
    /// if every image needs it.
    fn gone_without(&self, left_out: usize) -> Option<BTreeSet<usize>> {
        if !self.packages[left_out].can_go {
            return None;
        }
        let (all, without) = (self.reached(None), self.reached(Some(left_out)));
        Some(all.difference(&without).copied().collect())
    }

    /// Returns the packages of the image if `without` is left out. Packages that only `without` needs are left out too.
    fn reached(&self, without: Option<usize>) -> BTreeSet<usize> {
        let wanted = (0..self.packages.len()).filter(|place| self.packages[*place].is_wanted);
        let mut next: Vec<usize> = wanted.filter(|place| Some(*place) != without).collect();
        let mut reached: BTreeSet<usize> = next.iter().copied().collect();
        while let Some(place) = next.pop() {
            for needed in &self.packages[place].needs {
                if Some(*needed) != without && reached.insert(*needed) {
                    next.push(*needed);
                }
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use crate::model::explanation::example;

    #[test]
    fn each_package_has_its_bytes_and_those_that_go_with_it() {
        let table = example().table();
        let rows: Vec<(String, u64, u64, Option<u64>)> = table
            .packages
            .iter()
            .map(|row| (row.package.to_string(), row.size_bytes, row.removed_bytes, row.alone_bytes))
            .collect();
        let row = |name: &str, size, removed, alone| (name.to_owned(), size, removed, alone);
        assert_eq!(
            rows,
            [
                row("deb python3", 6_000_000, 0, None),
                row("deb libyaml", 150_000, 0, Some(150_000)),
                // This includes the package's own bytes and those of its library.
                row("wheel yaml", 43_000, 9_000, Some(193_000)),
                // This is the size of everything that was requested, because `tool` needs all other distributions.
                row("wheel tool", 1_200, 0, Some(194_300)),
                // The size of `yaml` is not included, because `tool` requires `yaml`, too.
                row("wheel loader", 100, 0, Some(100)),
                row("lath", 10, 0, None),
                // There is no value, because the interpreter needs `libc6`, and every image contains the interpreter.
                row("deb libc6", 0, 9_000, None),
            ]
        );
        assert_eq!((table.size_bytes, table.removed_bytes), (6_194_310, 18_000));
    }
}
