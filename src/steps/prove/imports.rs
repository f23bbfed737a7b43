//! The imports of modules inside of packages. A program may do such imports some time after its start.
//!
//! Modules that trim removed are not imported. If a module that stays needs a removed module, the import of the module
//! that stays fails. A `__main__` is in the list, but only its code is read.

use std::collections::BTreeSet;

use crate::model::made::Made;
use crate::model::reach::module_of;
use crate::model::request::ProveRequest;

/// Names of modules that only run as programs, or that are tests.
const NOT_IMPORTED: [&str; 4] = ["__main__", "conftest", "test", "tests"];

/// Returns the reached modules that stay and that can be imported alone. Below the level `reach`, trim removes no
/// modules of distributions, so the proof does not import them. The reason: if a distribution is large, the imports of
/// all its modules can take longer than the rest of the proof.
pub(super) fn names(made: &Made, request: &ProveRequest<'_>) -> Vec<String> {
    let Some(reached) = made.reached.as_ref() else { return Vec::new() };
    let removed = removed(made, request);
    let names = reached.modules.keys().filter(|name| is_loaded(name) && !removed.contains(*name));
    names.cloned().collect()
}

/// Whether the module can be imported alone, or is the `__main__` of a package that can be imported alone.
fn is_loaded(name: &str) -> bool {
    name.strip_suffix(".__main__").unwrap_or(name).split('.').all(is_imported)
}

/// Returns the modules that trim removed, such as the texts of Python's help.
pub(super) fn removed(made: &Made, request: &ProveRequest<'_>) -> BTreeSet<String> {
    let folders = request.user_base.search_path(request.python);
    made.tree.removed.keys().filter_map(|path| module_of(path, &folders)).collect()
}

fn is_imported(name: &str) -> bool {
    let mut letters = name.chars();
    // No statement can import a name with a hyphen, but `import_module` can.
    letters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-'))
        && !NOT_IMPORTED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_packages_are_read_and_tests_are_not_imported() {
        let names = [
            "a",
            "a.b_1",
            "a.b-1",
            "a.__main__",
            "__main__",
            "a.tests.__main__",
            "a.tests.b",
            "conftest",
            "a.two words",
            "a.2b",
            "_a.contest",
            "a.",
        ];
        let loaded: Vec<&str> = names.into_iter().filter(|name| is_loaded(name)).collect();
        assert_eq!(loaded, ["a", "a.b_1", "a.b-1", "a.__main__", "_a.contest"]);
    }
}
