//! Decides which packages and distributions share a layer (decision 0138).
//!
//! At first, each package and each distribution is a separate layer. Then neighbouring layers are joined. The choice of
//! the neighbours that are joined depends on their names, and only roughly on their sizes. So a new version of one
//! distribution almost never moves other distributions to other layers.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::model::digest::Digest;
use crate::model::request::{Layering, LayersRequest};

/// Two neighbouring layers of Debian packages are joined if their files together have at most this number of bytes. The
/// limit is high, because Debian packages change less often than Python distributions, and because a security update
/// changes several packages together.
const SMALL_PACKAGES_BYTES: u64 = 2 << 20;
/// Two neighbouring layers of distributions are joined if their files together have at most this number of bytes. After
/// compression, these are about 16 kB. If a small distribution changes, the other distributions in its layer are sent
/// again. Decision 0138 allows 50 kB for this and other overhead.
const SMALL_DISTRIBUTIONS_BYTES: u64 = 48 << 10;

/// The purpose of files, in the order of the layers. Files that change least are at the bottom. The reason: if a layer
/// changes, an engine also unpacks all layers above it again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// A Debian package.
    Package(String),
    /// The interpreter and its standard library.
    Python,
    /// The files that lath wrote.
    Lath,
    /// A distribution that the program needs.
    Dependency(String),
    /// A requested distribution.
    Program(String),
    /// The files that the user copied.
    Copied,
    /// Bytecode of packages and distributions that only the application needs.
    ImportsOfApplication,
    /// The files of the user's application. They change most often.
    Application,
}

impl Place {
    fn title(&self) -> &str {
        match self {
            Self::Package(name) | Self::Dependency(name) | Self::Program(name) => name,
            Self::Python => "python",
            Self::Lath => "files of lath",
            Self::Copied => "copied files",
            Self::ImportsOfApplication => "imports of the application",
            Self::Application => "application",
        }
    }

    /// Returns the title of a layer that contains all places of the same kind.
    fn title_of_all(&self) -> &str {
        match self {
            Self::Package(_) => "base",
            Self::Dependency(_) => "dependencies",
            Self::Program(_) => "program",
            other => other.title(),
        }
    }

    fn is_same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Returns the position of a place whose files have `bytes` bytes. The position consists of the kind, of whether
    /// the place can share a layer, and of the size. Places that can share a layer are next to each other, sorted by
    /// name. The other places are sorted roughly by size, with the largest at the bottom. The reason: if a layer
    /// changes, an engine unpacks or even fetches all layers above it again.
    fn order(&self, bytes: u64) -> (usize, bool, Reverse<Option<u32>>) {
        let kind = match self {
            Self::Package(_) => 0,
            Self::Python => 1,
            Self::Lath => 2,
            Self::Dependency(_) => 3,
            Self::Program(_) => 4,
            Self::Copied => 5,
            Self::ImportsOfApplication => 6,
            Self::Application => 7,
        };
        let is_small = bytes <= self.small_bytes() / 2;
        (kind, is_small, Reverse(if is_small { None } else { bytes.checked_ilog2() }))
    }

    /// Returns the size limit in bytes for small layers of this kind. Two neighbouring layers that together do not
    /// exceed it are joined, even if the number of layers is below the maximum.
    fn small_bytes(&self) -> u64 {
        if matches!(self, Self::Package(_)) { SMALL_PACKAGES_BYTES } else { SMALL_DISTRIBUTIONS_BYTES }
    }
}

/// The places that share a layer, at least one. They are neighbours in the order of the layers.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) title: String,
    pub(super) places: Vec<Place>,
    bytes: u64,
}

impl Run {
    fn first(&self) -> &Place {
        &self.places[0]
    }
}

/// Divides places into layers. `places` contains the size of each place's files.
pub(super) fn runs(places: &BTreeMap<Place, u64>, request: LayersRequest) -> Vec<Run> {
    let max = if request.layering == Layering::Single { 1 } else { request.max };
    let alone =
        |(place, bytes): (&Place, &u64)| Run { title: String::new(), places: vec![place.clone()], bytes: *bytes };
    let mut runs: Vec<Run> = places.iter().map(alone).collect();
    runs.sort_by_key(|run| run.first().order(run.bytes));
    if request.layering == Layering::Auto {
        join_small(&mut runs, 1, 1);
    }
    let total: u64 = places.values().sum();
    let mut times = 1;
    while runs.len() > max && times <= total.max(1) {
        join_small(&mut runs, times, max);
        times *= 2;
    }
    while runs.len() > max {
        join_smallest(&mut runs);
    }
    let titles: Vec<String> = runs.iter().map(|run| title(run, places)).collect();
    runs.iter_mut().zip(titles).for_each(|(run, title)| run.title = title);
    runs
}

/// Joins neighbouring layers of the same kind, until only `enough` layers are left. Two neighbours are joined if their
/// total size is at most `times` the size of a small layer. The order of the joins depends only on names. If it
/// depended on sizes, a new version of one distribution could change many layers.
fn join_small(runs: &mut Vec<Run>, times: u64, enough: usize) {
    let mut seconds: Vec<Place> = runs.iter().skip(1).map(|run| run.first().clone()).collect();
    seconds.sort_by_cached_key(|place| Digest::of(place.title().as_bytes()));
    for second in seconds {
        if runs.len() <= enough {
            return;
        }
        let Some(index) = runs.iter().position(|run| *run.first() == second) else { continue };
        let (below, above) = (&runs[index - 1], &runs[index]);
        let limit = second.small_bytes().saturating_mul(times);
        if below.first().is_same_kind(&second) && below.bytes + above.bytes <= limit {
            join(runs, index);
        }
    }
}

/// Joins the two neighbours with the smallest total size. Their kinds may differ.
fn join_smallest(runs: &mut Vec<Run>) {
    let smallest = (1..runs.len()).min_by_key(|index| runs[index - 1].bytes + runs[*index].bytes);
    if let Some(index) = smallest {
        join(runs, index);
    }
}

/// Joins the run at `index` with the run below it.
fn join(runs: &mut Vec<Run>, index: usize) {
    let above = runs.remove(index);
    let below = &mut runs[index - 1];
    below.places.extend(above.places);
    below.bytes += above.bytes;
}

fn title(run: &Run, places: &BTreeMap<Place, u64>) -> String {
    let first = run.first();
    let [.., last] = run.places.as_slice() else { return String::new() };
    if run.places.len() == 1 {
        return first.title().to_owned();
    }
    if run.places.len() == places.len() {
        return "all files".to_owned();
    }
    let has_all = run.places.len() == places.keys().filter(|place| place.is_same_kind(first)).count();
    match (run.places.as_slice(), first.is_same_kind(last)) {
        (_, false) => format!("{} to {}", first.title_of_all(), last.title_of_all()),
        (_, true) if has_all => first.title_of_all().to_owned(),
        ([_, _], true) => format!("{} and {}", first.title(), last.title()),
        (several, true) => format!("{} and {} others", first.title(), several.len() - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KB: u64 = 1 << 10;

    fn dependencies(sizes: &[(&str, u64)]) -> BTreeMap<Place, u64> {
        sizes.iter().map(|(name, bytes)| (Place::Dependency((*name).to_owned()), *bytes)).collect()
    }

    fn titles(places: &BTreeMap<Place, u64>, layering: Layering, max: usize) -> Vec<String> {
        runs(places, LayersRequest { layering, max }).into_iter().map(|run| run.title).collect()
    }

    /// An image with files of every kind.
    fn every_kind() -> BTreeMap<Place, u64> {
        let named = |name: &str| name.to_owned();
        BTreeMap::from([
            (Place::Package(named("libc6")), 9 << 20),
            (Place::Package(named("libffi8")), 60 * KB),
            (Place::Package(named("zlib1g")), 90 * KB),
            (Place::Python, 30 << 20),
            (Place::Lath, 300 * KB),
            (Place::Dependency(named("attrs")), 22 * KB),
            (Place::Dependency(named("zipp")), 20 * KB),
            (Place::Dependency(named("a-large-one")), 1 << 20),
            (Place::Dependency(named("numpy")), 40 << 20),
            (Place::Program(named("tool")), 10 * KB),
            (Place::Copied, 1),
            (Place::ImportsOfApplication, 1),
            (Place::Application, 1),
        ])
    }

    #[test]
    fn small_neighbours_of_one_kind_share_a_layer() {
        assert_eq!(
            titles(&every_kind(), Layering::Auto, 60),
            [
                "libc6",
                "libffi8 and zlib1g",
                "python",
                "files of lath",
                "numpy",
                "a-large-one",
                "attrs and zipp",
                "tool",
                "copied files",
                "imports of the application",
                "application"
            ]
        );
        assert_eq!(titles(&every_kind(), Layering::Package, 60).len(), 13);
        assert_eq!(titles(&every_kind(), Layering::Single, 60), ["all files"]);
    }

    #[test]
    fn there_are_never_more_layers_than_the_limit() {
        for layering in [Layering::Auto, Layering::Package] {
            let of = |max| titles(&every_kind(), layering, max);
            for max in 1..=13 {
                assert!(of(max).len() <= max, "{layering:?} {max}");
            }
            assert_eq!(of(1), ["all files"]);
            assert_eq!(of(8).len(), 8);
            assert_eq!(of(2), ["base to files of lath", "dependencies to application"]);
        }
        let empty = [("a", 0), ("b", 0), ("c", 0)];
        assert_eq!(titles(&dependencies(&empty), Layering::Package, 2).len(), 2);
        assert_eq!(titles(&BTreeMap::new(), Layering::Auto, 1), Vec::<String>::new());
    }

    #[test]
    fn a_layer_of_several_distributions_is_small() {
        let sizes: Vec<(String, u64)> = (0..120).map(|index| (format!("d{index}"), (index % 40) * 5 * KB)).collect();
        let sizes: Vec<(&str, u64)> = sizes.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
        let request = LayersRequest { layering: Layering::Auto, max: 125 };
        let runs = runs(&dependencies(&sizes), request);
        assert!(runs.iter().all(|run| run.places.len() == 1 || run.bytes <= SMALL_DISTRIBUTIONS_BYTES));
        assert!(runs.iter().any(|run| run.places.len() > 1));
    }

    #[test]
    fn another_version_of_a_distribution_and_a_new_one_change_few_layers() {
        let layers = |sizes: &[(&str, u64)], max| {
            runs(&dependencies(sizes), LayersRequest { layering: Layering::Auto, max })
                .into_iter()
                .map(|run| run.places)
                .collect::<Vec<_>>()
        };
        let names: Vec<String> = (0..150).map(|index| format!("d{index:03}")).collect();
        let sizes: Vec<(&str, u64)> =
            (0u64..).zip(&names).map(|(index, name)| (name.as_str(), (index * 7919) % (300 * KB))).collect();
        for max in [125, 60, 20] {
            let before = layers(&sizes, max);
            for changed in (0..sizes.len()).step_by(10) {
                let mut other = sizes.clone();
                other[changed].1 += other[changed].1 / 20;
                let new = layers(&other, max).into_iter().filter(|layer| !before.contains(layer)).count();
                assert!(new <= 5, "{changed} of {max}: {new}");
                let mut more = sizes.clone();
                more.push(("d0725", 20 * KB));
                let new = layers(&more, max).into_iter().filter(|layer| !before.contains(layer)).count();
                assert!(new <= 5, "a new one of {max}: {new}");
            }
        }
    }
}
