//! lath against the real Python index and the real Debian archive, with the sandbox, a Docker engine, skopeo, umoci and
//! the corpus as judges.
//!
//! What a test needs of the machine is said beside its name. Where that is missing the test is reported as ignored, with
//! the reason; where `LATH_REQUIRE_ALL` is set it fails (docs/decisions/0060-tests-name-what-they-need.md).

mod bases;
mod compare;
mod confinement;
mod containers;
mod corpus;
mod digest;
mod dockerfile;
mod engine;
mod git;
mod lath;
mod needs;
mod newer;
mod programs;
mod proof;
mod refusals;
mod sandbox;
mod validators;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    let groups = [
        sandbox::trials(),
        proof::trials(),
        confinement::trials(),
        git::trials(),
        refusals::trials(),
        engine::trials(),
        newer::trials(),
        containers::trials(),
        dockerfile::trials(),
        compare::trials(),
        validators::trials(),
        corpus::trials(),
        digest::trials(),
    ];
    libtest_mimic::run(&arguments, groups.into_iter().flatten().collect()).exit_code()
}
