//! Measures the strength of the proof of an image.

use super::{BuildError, Making, first, make, with_own_python};
use crate::model::request::Request;
use crate::model::strength::Deletions;
use crate::outside::world::World;
use crate::steps::prove::measure;

/// Makes the contents of the first platform's image. Then deletes one file, runs the proof, and puts the file back;
/// repeats this for several files. Passes each result to `print` as a line of JSON.
pub(crate) fn strength(
    request: &Request,
    deletions: Deletions,
    world: &World,
    print: impl Fn(String),
) -> Result<(), BuildError> {
    let request = &*with_own_python(request, world)?;
    let mut stage = world.stages.stage();
    let making = Making { options: &request.trim, computes_gain: false };
    let (made, _) = make(first(request, world)?, request, &making, &mut stage, world)?;
    let report = |deletion| print(serde_json::to_string(&deletion).unwrap_or_default());
    Ok(measure(&made, &request.to_prove(), deletions, world, report)?)
}
