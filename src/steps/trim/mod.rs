//! Tree -> smaller tree: the level `standard`. It never removes Python files of a distribution, or data that a program
//! in this image could read.
//!
//! Rules propose changes, and `carry_out` makes them, stage after stage. Each removed path has the reason of its rule,
//! and each kept path has the reason why it is kept. The user sees both.

mod carry_out;
mod held;
mod plan;
mod rules;
mod scene;

use self::carry_out::{carry_out, explain};
use self::rules::STAGES;
use self::scene::{Inputs, Scene};
use crate::model::assembly::Assembly;
use crate::model::lock::PlatformLock;
use crate::model::platform::PythonVersion;
use crate::model::request::{TrimLevel, TrimRequest};
use crate::model::tree::Tree;
use crate::outside::store::{Store, StoreError};

/// Removes files that no program needs at run time.
pub(crate) fn trim(
    whole: &Assembly,
    lock: &PlatformLock,
    python: PythonVersion,
    request: &TrimRequest,
    store: &Store,
) -> Result<Tree, StoreError> {
    let mut tree = whole.tree.clone();
    let inputs = Inputs::new(whole, lock, python, &request.keep, store);
    if request.level == TrimLevel::Standard {
        for rules in STAGES {
            let scene = Scene::new(&tree, &inputs);
            let mut plan = Vec::new();
            for rule in rules {
                plan.extend(rule(&scene)?);
            }
            carry_out(&mut tree, plan, &inputs.held);
        }
    }
    explain(&mut tree, lock, &inputs.held);
    Ok(tree)
}

#[cfg(test)]
mod tests;
