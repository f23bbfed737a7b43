//! Imports in the standard library that count only under a condition. For example, `asyncio` imports `ssl`, but a
//! program that never uses TLS starts and runs without `ssl`.

use std::collections::BTreeSet;

use crate::model::binary_texts::BinaryTexts;

/// An import in the standard library that counts only under a condition.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conditional {
    /// The module that imports, or a package that contains it.
    pub(crate) module: String,
    pub(crate) import: String,
    /// The import counts if a reached file outside of the standard library uses one of these names.
    pub(crate) names: BTreeSet<String>,
    /// The import also counts if one of these modules is reached.
    pub(crate) with: BTreeSet<String>,
}

/// An import that does not count yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HeldBack {
    /// The module that imports.
    pub(super) module: String,
    /// The imported name.
    pub(super) name: String,
}

/// The conditions, and everything that is known about them so far.
pub(super) struct Conditions<'a> {
    all: &'a [Conditional],
    used: BTreeSet<&'a str>,
    held_back: Vec<(&'a Conditional, HeldBack)>,
}

impl<'a> Conditions<'a> {
    pub(super) fn new(all: &'a [Conditional]) -> Self {
        Self { all, used: BTreeSet::new(), held_back: Vec::new() }
    }

    /// Returns whether an import does not count yet. As soon as it counts, [`Self::due`] returns it.
    pub(super) fn holds_back(&mut self, module: &str, name: &str) -> bool {
        let is_about = |one: &&Conditional| is_within(module, &one.module) && is_within(name, &one.import);
        let Some(condition) = self.all.iter().find(is_about) else { return false };
        self.held_back.push((condition, HeldBack { module: module.to_owned(), name: name.to_owned() }));
        true
    }

    /// Adds the names that a Python file uses. `None` means that lath cannot read the file, so it may use all names.
    pub(super) fn add_uses(&mut self, uses: Option<&BTreeSet<String>>) {
        self.add(|name| uses.is_none_or(|uses| uses.contains(name)));
    }

    /// Adds the names that occur in a compiled file, because the file may use any of these names.
    pub(super) fn add_texts(&mut self, texts: &BinaryTexts) {
        self.add(|name| name.split('.').all(|part| part != "*" && texts.has(part)));
    }

    fn add(&mut self, is_used: impl Fn(&str) -> bool) {
        let names = self.all.iter().flat_map(|one| &one.names).map(String::as_str);
        self.used.extend(names.filter(|name| is_used(name)));
    }

    /// Returns the imports that count from now on.
    pub(super) fn due(&mut self, is_reached: impl Fn(&str) -> bool) -> Vec<HeldBack> {
        let is_due = |one: &Conditional| {
            one.names.iter().any(|name| self.used.contains(name.as_str()))
                || one.with.iter().any(|module| is_reached(module))
        };
        let (due, held_back): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.held_back).into_iter().partition(|(one, _)| is_due(one));
        self.held_back = held_back;
        due.into_iter().map(|(_, import)| import).collect()
    }
}

/// Whether `module` is `package` or a module in it.
pub(super) fn is_within(module: &str, package: &str) -> bool {
    module.strip_prefix(package).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn conditions() -> Vec<Conditional> {
        let condition = |import: &str, names: &[&str], with: &[&str]| Conditional {
            module: "a".to_owned(),
            import: import.to_owned(),
            names: set(names),
            with: set(with),
        };
        vec![condition("b", &["x", "y.z", "m.*"], &[]), condition("c", &["w"], &["d"])]
    }

    /// Returns the imports that count after `learn` was called and the modules in `reached` were reached. Before,
    /// `a.sub` imported `b.x`, and `a` imported `c`.
    fn due(learn: impl Fn(&mut Conditions<'_>), reached: &[&str]) -> Vec<String> {
        let all = conditions();
        let mut conditions = Conditions::new(&all);
        assert!(conditions.holds_back("a.sub", "b.x") && conditions.holds_back("a", "c"));
        learn(&mut conditions);
        let due = conditions.due(|name| reached.contains(&name));
        assert_eq!(conditions.held_back.len() + due.len(), 2);
        due.into_iter().map(|import| format!("{} {}", import.module, import.name)).collect()
    }

    #[test]
    fn an_import_counts_when_its_name_is_used_or_its_module_is_reached() {
        let used = |names: &[&str]| {
            let names = set(names);
            due(move |conditions| conditions.add_uses(Some(&names)), &[])
        };
        assert_eq!(used(&[]), [""; 0]);
        assert_eq!(used(&["x"]), ["a.sub b.x"]);
        assert_eq!(used(&["y.z", "w"]), ["a.sub b.x", "a c"]);
        assert_eq!(due(|_| (), &["d", "x"]), ["a c"]);
        assert_eq!(due(|conditions| conditions.add_uses(None), &[]), ["a.sub b.x", "a c"], "a file without facts");
    }

    #[test]
    fn a_compiled_file_uses_the_names_that_it_contains() {
        let contains = |words: &[&str], rows: &[&str]| {
            let rows = rows.iter().map(|&row| row.to_owned()).collect();
            let texts = BinaryTexts { words: set(words), rows, is_hidden: false };
            due(move |conditions| conditions.add_texts(&texts), &[])
        };
        assert_eq!(contains(&["y"], &[]), [""; 0]);
        assert_eq!(contains(&["y", "z"], &[]), ["a.sub b.x"]);
        assert_eq!(contains(&["m"], &["..w.."]), ["a c"]);
        let hidden = BinaryTexts { is_hidden: true, ..BinaryTexts::default() };
        assert_eq!(due(|conditions| conditions.add_texts(&hidden), &[]), ["a.sub b.x", "a c"]);
    }

    #[test]
    fn other_imports_are_not_held_back() {
        let all = conditions();
        let mut conditions = Conditions::new(&all);
        for (module, name) in [("ab", "b"), ("e", "b"), ("a", "bc"), ("a", "d")] {
            assert!(!conditions.holds_back(module, name), "{module} {name}");
        }
    }
}
