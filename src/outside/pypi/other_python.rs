//! Finds another Python that can use the wheels of a version in an index.

use uv_distribution_filename::WheelFilename;

use crate::catalog::releases;
use crate::model::platform::PythonVersion;

/// Of the Pythons of all releases, returns the newest one that can use one of `wheels` on Linux with the processor
/// `machine`.
pub(super) fn python_with_wheels(wheels: &[&WheelFilename], machine: &str) -> Option<PythonVersion> {
    let runs_here = |wheel: &&&WheelFilename| {
        wheel.platform_tags().iter().any(|tag| {
            let tag = tag.to_string();
            tag == "any" || (tag.starts_with("manylinux") || tag.starts_with("linux")) && tag.ends_with(machine)
        })
    };
    let mut pythons = releases::for_python().into_iter().rev().map(|release| release.python);
    pythons.find(|python| {
        let tag = format!("cp{}{}", python.major, python.minor);
        let is_for = |wheel: &&WheelFilename| wheel.python_tags().iter().any(|python| python.to_string() == tag);
        wheels.iter().filter(runs_here).any(is_for)
    })
}
