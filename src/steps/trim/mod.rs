//! Tree -> smaller tree. The level `standard` removes no Python files of a distribution, and no data that a program in
//! this image could read. The level `reach` also removes modules that no program of the image can import. The level
//! `trace` also removes modules and data that no run has used.
//!
//! Rules propose changes, and `carry_out` makes them, stage after stage. Each removed path has the reason of its rule,
//! and each kept path has the reason why it is kept. Both reasons are shown to the user.

mod carry_out;
mod held;
mod plan;
mod rules;
mod scene;

use self::carry_out::{carry_out, explain};
use self::rules::STAGES;
use self::scene::{Inputs, Scene};
use crate::model::assembly::Assembly;
use crate::model::glob;
use crate::model::lock::PlatformLock;
use crate::model::reach::Reached;
use crate::model::request::SlimRequest;
use crate::model::tree::Tree;
use crate::outside::store::{Store, StoreError};

/// The result of trim.
pub(crate) struct Slim {
    pub(crate) tree: Tree,
    /// Messages for the user.
    pub(crate) notes: Vec<String>,
    /// The modules that are reached, each with its cause. `None` if the level does not need them.
    pub(crate) reached: Option<Reached>,
    pub(crate) warnings: Vec<String>,
}

/// Trims the tree of `whole`. The level decides which files are removed.
pub(crate) fn trim(
    whole: &Assembly,
    lock: &PlatformLock,
    request: &SlimRequest<'_>,
    store: &Store,
) -> Result<Slim, StoreError> {
    let warnings = useless_patterns(whole, request);
    let mut slim = Slim { tree: whole.tree.clone(), notes: Vec::new(), warnings, reached: None };
    let inputs = Inputs::new(whole, lock, request, store);
    for (_, rules) in STAGES.iter().filter(|(level, _)| *level <= request.options.level) {
        let scene = Scene::new(&slim.tree, &inputs);
        let mut plan = Vec::new();
        for rule in *rules {
            plan.extend(rule(&scene)?);
        }
        carry_out(&mut slim, plan, &inputs.held);
    }
    explain(&mut slim.tree, lock, &inputs.held);
    Ok(slim)
}

/// Returns a warning for each `--keep` that matches no path.
fn useless_patterns(whole: &Assembly, request: &SlimRequest<'_>) -> Vec<String> {
    let matches = |pattern: &str| whole.tree.nodes.keys().any(|path| glob::matches(pattern, path.as_str()));
    let useless = request.options.keep.iter().filter(|pattern| !matches(pattern));
    useless.map(|pattern| format!("`--keep {pattern}` matches no path of the image")).collect()
}

#[cfg(test)]
mod tests;
