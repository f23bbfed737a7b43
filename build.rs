//! Leaves the names of functions out of a release program, because they are a third of its size. `strip` in the profile
//! does not do it: Cargo ignores it for a package that has an optimisation level of its own.

#[expect(clippy::print_stdout, reason = "Cargo reads the standard output of a build script")]
#[expect(clippy::disallowed_methods, reason = "Cargo gives the profile in the environment")]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo::rustc-link-arg-bins=-s");
    }
}
