//! The imports of modules inside of packages. A program may do such imports some time after its start.
//!
//! Modules that trim removed are not imported. If a module that stays needs one of them, its own import fails.

use std::collections::BTreeSet;

use crate::model::made::Made;
use crate::model::options::TrimLevel;
use crate::model::reach::module_of;
use crate::model::request::ProveRequest;

/// Names of modules that only run as programs, or that are tests.
const NOT_IMPORTED: [&str; 4] = ["__main__", "conftest", "test", "tests"];

/// Returns all modules that are reached. If the trim level is below `reach`, there are none, because these levels do
/// not remove modules of distributions. Besides, importing all modules of a large distribution can take longer than the
/// rest of the proof.
pub(super) fn names(made: &Made, request: &ProveRequest<'_>) -> Vec<String> {
    let Some(reached) = made.reached.as_ref().filter(|_| request.level >= TrimLevel::Reach) else { return Vec::new() };
    let removed = removed(made, request);
    let names = reached.modules.keys().filter(|name| name.split('.').all(is_imported) && !removed.contains(*name));
    names.cloned().collect()
}

/// Returns the modules that trim removed, such as the texts of Python's help.
fn removed(made: &Made, request: &ProveRequest<'_>) -> BTreeSet<String> {
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
    fn programs_and_tests_are_not_imported() {
        let names =
            ["a", "a.b_1", "a.b-1", "a.__main__", "a.tests.b", "conftest", "a.two words", "a.2b", "_a.contest", "a."];
        let imported: Vec<&str> = names.into_iter().filter(|name| name.split('.').all(is_imported)).collect();
        assert_eq!(imported, ["a", "a.b_1", "a.b-1", "_a.contest"]);
    }
}
