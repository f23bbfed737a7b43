//! Tests lath with the real Python index and the real Debian archive. The results are checked by the sandbox, a Docker
//! engine, skopeo, umoci and the corpus.
//!
//! The needs of a test are written next to its name. If the machine does not fulfil one of them, the test is reported
//! as ignored, with the reason. If `LATH_REQUIRE_ALL` is set, the test fails instead
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

/// The number of tests that are listed at the end, with their time.
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
        dockerfile::trials(),
        compare::trials(),
        validators::trials(),
        corpus::trials(),
        conformance::trials(),
        digest::trials(),
        locks::trials(),
        pushes::trials(),
        locks_of_sources::trials(),
    ];
    let conclusion = libtest_mimic::run(&arguments, groups.into_iter().flatten().collect());
    // These lines are not part of the result, so an error of the output is no failure.
    let _ = write!(std::io::stderr(), "The tests that took longest, in seconds:\n{}", needs::slowest(SHOWN_AS_SLOW));
    conclusion.exit_code()
}
