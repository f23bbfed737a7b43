//! Tree -> smaller tree. The level `standard` never removes Python files of a distribution, or data that a program in
//! this image could read. The level `reach` also removes modules that no program of the image can import.
//!
//! Rules propose changes, and `carry_out` makes them, stage after stage. Each removed path has the reason of its rule,
//! and each kept path has the reason why it is kept. The user sees both.

mod carry_out;
mod held;
mod plan;
mod reach;
mod rules;
mod scene;

use self::carry_out::{carry_out, explain};
use self::rules::STAGES;
use self::scene::{Inputs, Scene};
use crate::model::assembly::Assembly;
use crate::model::lock::PlatformLock;
use crate::model::request::{SlimRequest, TrimLevel};
use crate::model::tree::Tree;
use crate::outside::store::{Store, StoreError};

/// The result of trim.
pub(crate) struct Slim {
    pub(crate) tree: Tree,
    /// The reason if the level `reach` keeps all modules.
    pub(crate) note: Option<String>,
}

/// Removes files that no program needs at run time.
pub(crate) fn trim(
    whole: &Assembly,
    lock: &PlatformLock,
    request: &SlimRequest<'_>,
    store: &Store,
) -> Result<Slim, StoreError> {
    let (mut tree, mut note) = (whole.tree.clone(), None);
    let inputs = Inputs::new(whole, lock, request, store);
    if request.options.level != TrimLevel::None {
        for (number, rules) in STAGES.iter().enumerate() {
            let scene = Scene::new(&tree, &inputs);
            let mut plan = Vec::new();
            for rule in *rules {
                plan.extend(rule(&scene)?);
            }
            carry_out(&mut tree, plan, &inputs.held);
            // Modules that are not reached need no libraries, so they go before these.
            if number == 0 && request.options.level == TrimLevel::Reach {
                let unreached = reach::unreached(&Scene::new(&tree, &inputs), whole, request)?;
                carry_out(&mut tree, unreached.plan, &inputs.held);
                note = unreached.host.map(|reason| format!("`--trim reach` keeps all modules: {reason}"));
            }
        }
    }
    explain(&mut tree, lock, &inputs.held);
    Ok(Slim { tree, note })
}

#[cfg(test)]
mod tests;
