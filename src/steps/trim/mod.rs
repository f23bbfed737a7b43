//! Tree -> smaller tree. The level `standard` never removes Python files of a distribution, or data that a program in
//! this image could read. The level `reach` also removes modules that no program of the image can import.
//!
//! Rules propose changes, and `carry_out` makes them, stage after stage. Each removed path has the reason of its rule,
//! and each kept path has the reason why it is kept. The user sees both.

mod carry_out;
mod held;
mod plan;
mod rules;
mod scene;

use self::carry_out::{Findings, carry_out, explain};
use self::rules::STAGES;
use self::scene::{Inputs, Scene};
use crate::model::assembly::Assembly;
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
    /// The modules that are reached, each with its cause, if the level needs them.
    pub(crate) reached: Option<Reached>,
}

/// Removes files that no program needs at run time.
pub(crate) fn trim(
    whole: &Assembly,
    lock: &PlatformLock,
    request: &SlimRequest<'_>,
    store: &Store,
) -> Result<Slim, StoreError> {
    let (mut tree, mut findings) = (whole.tree.clone(), Findings::default());
    let inputs = Inputs::new(whole, lock, request, store);
    for (_, rules) in STAGES.iter().filter(|(level, _)| *level <= request.options.level) {
        let scene = Scene::new(&tree, &inputs);
        let mut plan = Vec::new();
        for rule in *rules {
            plan.extend(rule(&scene)?);
        }
        carry_out(&mut tree, plan, &inputs.held, &mut findings);
    }
    explain(&mut tree, lock, &inputs.held);
    Ok(Slim { tree, notes: findings.notes, reached: findings.reached })
}

#[cfg(test)]
mod tests;
