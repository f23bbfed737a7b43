//! Makes the optimised program about 3 MB smaller: its relative relocations are packed, if the linker and the loader of
//! this machine support it (docs/decisions/0146-packed-relocations.md).

#![expect(clippy::disallowed_methods, reason = "Cargo passes everything in environment variables")]

use std::env;
use std::path::PathBuf;
use std::process::Command;

const PACK: &str = "-Wl,-z,pack-relative-relocs";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if variable("PROFILE") == "release" && variable("HOST") == variable("TARGET") && is_supported().unwrap_or(false) {
        println!("cargo::rustc-link-arg-bins={PACK}");
    }
}

/// Returns whether a small program with packed relocations can be linked and run here.
fn is_supported() -> std::io::Result<bool> {
    let folder = PathBuf::from(variable("OUT_DIR"));
    let (source, program) = (folder.join("packed.rs"), folder.join("packed"));
    std::fs::write(&source, "fn main() {}")?;
    let mut rustc = Command::new(variable("RUSTC"));
    rustc.args(["--edition=2024", "--target", &variable("TARGET"), "-C", &format!("link-arg={PACK}")]);
    // The program is linked in the same way as lath.
    rustc.args(variable("CARGO_ENCODED_RUSTFLAGS").split('\x1f').filter(|flag| !flag.is_empty()));
    if !variable("RUSTC_LINKER").is_empty() {
        rustc.args(["-C", &format!("linker={}", variable("RUSTC_LINKER"))]);
    }
    let is_linked = rustc.arg("-o").arg(&program).arg(&source).output()?.status.success();
    Ok(is_linked && Command::new(&program).output()?.status.success())
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}
