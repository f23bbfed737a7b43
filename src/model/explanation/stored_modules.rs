//! The modules of an explanation in their stored form. A cause contains the position of a module in the list of names
//! instead of the name, so that the causes are short lists of numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Modules;
use super::columns::{TextColumns, in_range, same_length};
use crate::model::reach::Cause;

/// The maximum number of causes of all modules together.
const MAX_CAUSES: usize = 1_000_000;
/// The maximum size of a name, which is much higher than in real images. Each cause is stored as a short number, but
/// gets a copy of a whole name when it is read. So without this limit, a few stored bytes could fill the memory.
const MAX_NAME_BYTES: usize = 1_000;
/// The maximum size of all copies of names together.
const MAX_COPIED_BYTES: usize = 64 << 20;
/// The maximum number of scripts, started modules and modules to keep. To find the reason of a root, the root is
/// compared with all of these.
const MAX_STARTS: usize = 5_000;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct ModuleColumns {
    folders: Vec<String>,
    scripts: BTreeMap<String, String>,
    started: Vec<String>,
    kept: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    causes: Option<CauseColumns>,
}

/// The causes of all modules.
#[derive(Debug, Default, Serialize, Deserialize)]
struct CauseColumns {
    /// The names of the modules, sorted.
    names: TextColumns,
    /// The number of causes of each module.
    counts: Vec<usize>,
    /// The kind of each cause. The causes of the first module come first, then those of the second module, and so on.
    kinds: Vec<Kind>,
    /// For each cause, the position of the module that the cause names, or 0 for a root. If the previous cause belongs
    /// to the same module and has the same kind, the value is the difference between the two positions. The first two
    /// causes of a module always have plain positions.
    by: Vec<usize>,
    /// The positions of the modules that have more causes than these columns contain.
    cut: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Kind {
    #[serde(rename = "r")]
    Root,
    #[serde(rename = "p")]
    PackageOf,
    #[serde(rename = "i")]
    ImportedBy,
    #[serde(rename = "c")]
    ComputedBy,
    #[serde(rename = "n")]
    NamedBy,
    #[serde(rename = "u")]
    Unread,
}

impl Kind {
    fn of(cause: &Cause) -> Self {
        match cause {
            Cause::Root => Self::Root,
            Cause::PackageOf { .. } => Self::PackageOf,
            Cause::ImportedBy { .. } => Self::ImportedBy,
            Cause::ComputedBy { .. } => Self::ComputedBy,
            Cause::NamedBy { .. } => Self::NamedBy,
            Cause::Unread { .. } => Self::Unread,
        }
    }

    fn cause(self, module: String) -> Cause {
        match self {
            Self::Root => Cause::Root,
            Self::PackageOf => Cause::PackageOf { module },
            Self::ImportedBy => Cause::ImportedBy { module },
            Self::ComputedBy => Cause::ComputedBy { module },
            Self::NamedBy => Cause::NamedBy { module },
            Self::Unread => Cause::Unread { module },
        }
    }
}

impl ModuleColumns {
    pub(super) fn of(modules: &Modules) -> Self {
        Self {
            folders: modules.folders.clone(),
            scripts: modules.scripts.clone(),
            started: modules.started.clone(),
            kept: modules.kept.clone(),
            causes: modules.causes.as_ref().map(|causes| CauseColumns::of(causes, modules)),
        }
    }

    /// Returns the number of folders.
    pub(super) fn folders(&self) -> usize {
        self.folders.len()
    }

    pub(super) fn modules(self) -> Result<Modules, String> {
        let Self { folders, scripts, started, kept, causes } = self;
        let starts = scripts.len() + started.len() + kept.len();
        if starts > MAX_STARTS {
            return Err(format!("it has {starts} scripts and started modules, and the limit is {MAX_STARTS}"));
        }
        let mut modules = Modules { folders, scripts, started, kept, ..Modules::default() };
        if let Some(columns) = causes {
            columns.read_into(&mut modules)?;
        }
        Ok(modules)
    }
}

impl CauseColumns {
    fn of(causes: &BTreeMap<String, Vec<Cause>>, modules: &Modules) -> Self {
        let places: BTreeMap<&str, usize> =
            causes.keys().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
        let place = |cause: &Cause| match cause.module() {
            Some(module) => places.get(module).copied(),
            None => Some(0),
        };
        let mut columns = Self { names: TextColumns::of(causes.keys().map(String::as_str)), ..Self::default() };
        for causes in causes.values() {
            let placed = |cause: &Cause| Some((Kind::of(cause), place(cause)?));
            let mut placed: Vec<(Kind, usize)> = causes.iter().filter_map(placed).collect();
            // The first cause stays first. Only the other causes are sorted.
            let number_of_first = placed.len().min(1);
            let (first, rest) = placed.split_at_mut(number_of_first);
            rest.sort_unstable();
            columns.counts.push(first.len() + rest.len());
            columns.push(first);
            columns.push(rest);
        }
        columns.cut = modules.cut.iter().filter_map(|name| places.get(name.as_str()).copied()).collect();
        columns
    }

    /// Adds causes. They must be sorted.
    fn push(&mut self, causes: &[(Kind, usize)]) {
        let mut before = None;
        for &(kind, place) in causes {
            let start = before.filter(|(earlier, _)| *earlier == kind).map_or(0, |(_, place)| place);
            self.kinds.push(kind);
            self.by.push(place - start);
            before = Some((kind, place));
        }
    }

    fn read_into(&self, modules: &mut Modules) -> Result<(), String> {
        let mut names = Names::new(self.names.texts()?)?;
        same_length("counts", self.counts.len(), names.all.len())?;
        let all = self.counts.iter().copied().fold(0, usize::saturating_add);
        if all > MAX_CAUSES {
            return Err(format!("it has more than {MAX_CAUSES} causes of modules"));
        }
        same_length("kinds", self.kinds.len(), all)?;
        same_length("by", self.by.len(), all)?;
        let mut columns = self.kinds.iter().copied().zip(self.by.iter().copied());
        let mut causes = BTreeMap::new();
        for (place, count) in self.counts.iter().enumerate() {
            let own: Vec<(Kind, usize)> = columns.by_ref().take(*count).collect();
            causes.insert(names.copy("counts", place)?, read(&own, &mut names)?);
        }
        modules.causes = Some(causes);
        modules.cut = self.cut.iter().map(|place| names.copy("cut", *place)).collect::<Result<_, _>>()?;
        Ok(())
    }
}

/// The names of modules. The total size of the copies of these names is limited.
struct Names {
    all: Vec<String>,
    /// The size of all copies together.
    copied_bytes: usize,
}

impl Names {
    fn new(all: Vec<String>) -> Result<Self, String> {
        if let Some(bytes) = all.iter().map(String::len).find(|bytes| *bytes > MAX_NAME_BYTES) {
            return Err(format!("it has a module with a name of {bytes} bytes, and the limit is {MAX_NAME_BYTES}"));
        }
        Ok(Self { all, copied_bytes: 0 })
    }

    /// Returns the name at a position of a column.
    fn copy(&mut self, column: &str, place: usize) -> Result<String, String> {
        in_range(column, &[place], self.all.len())?;
        let name = &self.all[place];
        self.copied_bytes += name.len();
        if self.copied_bytes > MAX_COPIED_BYTES {
            return Err(format!("the names in its causes of modules have more than {MAX_COPIED_BYTES} bytes"));
        }
        Ok(name.clone())
    }
}

/// Reads the causes of one module.
fn read(columns: &[(Kind, usize)], names: &mut Names) -> Result<Vec<Cause>, String> {
    let mut causes = Vec::with_capacity(columns.len());
    let mut before = None;
    for (number, &(kind, difference)) in columns.iter().enumerate() {
        let start = before.filter(|(earlier, _)| number > 1 && *earlier == kind).map_or(0, |(_, place)| place);
        let place = difference.saturating_add(start);
        causes.push(kind.cause(names.copy("by", place)?));
        before = Some((kind, place));
    }
    Ok(causes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::explanation::{Explanation, example};

    #[test]
    fn causes_that_were_stored_are_the_same() {
        let by = |module: &str| Cause::ImportedBy { module: module.to_owned() };
        let named = |module: &str| Cause::NamedBy { module: module.to_owned() };
        let mut explanation = example();
        let causes = [
            ("a", vec![Cause::Root, by("b"), by("c"), named("c")]),
            ("b", vec![named("c"), by("a"), Cause::Unread { module: "c".to_owned() }]),
            ("c", vec![Cause::ComputedBy { module: "b".to_owned() }]),
        ];
        explanation.modules.causes = Some(causes.map(|(name, causes)| (name.to_owned(), causes)).into());
        explanation.modules.cut = ["b".to_owned()].into();
        let text = serde_json::to_string(&explanation).unwrap();
        assert_eq!(serde_json::from_str::<Explanation>(&text).unwrap(), explanation);
        explanation.modules.causes = None;
        explanation.modules.cut.clear();
        let text = serde_json::to_string(&explanation).unwrap();
        assert_eq!(serde_json::from_str::<Explanation>(&text).unwrap(), explanation);
    }

    #[test]
    fn wrong_columns_are_refused() {
        let table = [
            ("counts", serde_json::json!([1]), "the column `counts` has 1 entries instead of 4"),
            ("counts", serde_json::json!([1, 1, 1, u64::MAX]), "it has more than 1000000 causes of modules"),
            ("kinds", serde_json::json!(["r"]), "the column `kinds` has 1 entries instead of"),
            ("by", serde_json::json!([0]), "the column `by` has 1 entries instead of"),
            ("cut", serde_json::json!([4]), "the column `cut` has the position 4"),
            ("by", serde_json::json!([3, 9, 0, 1, 2]), "the column `by` has the position 9"),
        ];
        for (column, wrong, message) in table {
            let mut value = serde_json::to_value(example()).unwrap();
            value["modules"]["causes"][column] = wrong;
            let found = serde_json::from_value::<Explanation>(value).unwrap_err().to_string();
            assert!(found.contains(message), "{column}: {found}");
        }
    }

    /// Returns the error for the example after `change` has changed its modules.
    fn refused(change: impl FnOnce(&mut serde_json::Value)) -> String {
        let mut value = serde_json::to_value(example()).unwrap();
        change(&mut value["modules"]);
        serde_json::from_value::<Explanation>(value).unwrap_err().to_string()
    }

    #[test]
    fn names_that_many_causes_repeat_cannot_fill_the_memory() {
        let longest = "z".repeat(MAX_NAME_BYTES);
        let too_long = refused(|modules| modules["causes"]["names"]["rest"][3] = format!("{longest}z").into());
        assert!(too_long.contains("a module with a name of 1001 bytes, and the limit is 1000"), "{too_long}");
        let number = MAX_COPIED_BYTES / MAX_NAME_BYTES + 1;
        let in_causes = refused(|modules| {
            modules["causes"]["names"]["rest"][3] = longest.as_str().into();
            modules["causes"]["counts"] = vec![0, 0, 0, number].into();
            modules["causes"]["kinds"] = vec!["i"; number].into();
            // The first two numbers are positions, and the others are differences.
            modules["causes"]["by"] = (0..number).map(|cause| if cause < 2 { 3_usize } else { 0 }).collect();
        });
        let in_cut = refused(|modules| {
            modules["causes"]["names"]["rest"][3] = longest.as_str().into();
            modules["causes"]["cut"] = vec![3_usize; number].into();
        });
        for found in [in_causes, in_cut] {
            assert!(found.contains("the names in its causes of modules have more than 67108864 bytes"), "{found}");
        }
    }

    #[test]
    fn too_many_started_modules_are_refused() {
        let found = refused(|modules| modules["started"] = vec!["a"; MAX_STARTS].into());
        assert!(found.contains("it has 5001 scripts and started modules, and the limit is 5000"), "{found}");
    }
}
