//! Tests lath with the real Python index and the real Debian archive. The images are checked in the sandbox and in a
//! Docker engine, with skopeo and umoci, and with the checks of the corpus.
//!
//! Each test lists its needs next to its name. If the machine does not fulfil a need, the test is reported as ignored,
//! with the reason. If `LATH_REQUIRE_ALL` is set, the test fails instead of being ignored
//! (docs/decisions/0060-tests-name-what-they-need.md).

mod applications;
mod bases;
mod builds;
mod compare;
mod confinement;
mod conformance;
mod containers;
mod corpus;
mod digest;
mod docker_registry;
mod dockerfile;
mod engine;
mod explain;
mod git;
mod lath;
mod locks;
mod locks_of_sources;
mod maintainer_scripts;
mod needs;
mod newer;
mod on_base;
mod programs;
mod projects;
mod proof;
mod pushes;
mod refusals;
mod sandbox;
mod trace;
mod validators;

use std::io::Write as _;
use std::process::ExitCode;

use libtest_mimic::Trial;

/// At the end, this number of the slowest tests is listed, with their times.
const SHOWN_AS_SLOW: usize = 20;

fn main() -> ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    let groups = [
        applications::trials(),
        sandbox::trials(),
        trace::trials(),
        projects::trials(),
        builds::trials(),
        proof::trials(),
        confinement::trials(),
        explain::trials(),
        git::trials(),
        refusals::trials(),
        maintainer_scripts::trials(),
        engine::trials(),
        newer::trials(),
        on_base::trials(),
        containers::trials(),
        compare::trials(),
        validators::trials(),
        corpus::trials(),
        conformance::trials(),
        digest::trials(),
        locks::trials(),
        pushes::trials(),
        locks_of_sources::trials(),
    ];
    let building = [dockerfile::trials(), compare::building()].into_iter().flatten().collect();
    let trials = spread(building, groups.into_iter().flatten().collect());
    let conclusion = libtest_mimic::run(&arguments, trials);
    // These lines are not part of the result. So it is no failure if they cannot be written.
    let _ = write!(std::io::stderr(), "The tests that took longest, in seconds:\n{}", needs::slowest(SHOWN_AS_SLOW));
    conclusion.exit_code()
}

/// Puts the trials `building` at equal distances between the `others`. Only one trial at a time may build in the
/// engine. If many such trials followed one another, all threads except one would have to wait.
fn spread(building: Vec<Trial>, others: Vec<Trial>) -> Vec<Trial> {
    let distance = others.len().div_ceil(building.len());
    let (mut building, mut trials) = (building.into_iter(), Vec::new());
    for (place, other) in others.into_iter().enumerate() {
        if place % distance == 0 {
            trials.extend(building.next());
        }
        trials.push(other);
    }
    trials.extend(building);
    trials
}
