//! lath against the real Python index and the real Debian archive, with the sandbox as the judge.

mod compare;
mod dockerfile;
mod engine;
mod proof;

use std::path::Path;
use std::process::Output;

use testkit::oci;

/// Files uploaded later do not exist for these tests.
const NOT_NEWER: &str = "2026-11-01T00:00:00Z";

fn lath(home: &Path, words: &[&str]) -> Output {
    let mut command = assert_cmd::Command::cargo_bin("lath").unwrap();
    command.current_dir(home).env("LATH_CACHE_DIR", home.join("cache")).env("LATH_EXCLUDE_NEWER", NOT_NEWER);
    command.args(words).output().unwrap()
}

fn stdout(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs the real Python index, the real Debian archive and user namespaces"]
fn pre_commit_is_built_proved_and_run() {
    let home = tempfile::tempdir().unwrap();
    let said = stdout(lath(home.path(), &["build", "pre-commit", "--check", "pre-commit sample-config"]));
    let image = oci::check(&home.path().join("pre-commit.tar")).unwrap();
    assert_eq!(said, format!("pre-commit.tar@{}\n", image.digest));
    let ran = stdout(lath(home.path(), &["run", "pre-commit", "--offline", "--", "pre-commit", "sample-config"]));
    assert!(ran.contains("repos:"), "{ran}");
    // A cache that knows nothing comes to the same image.
    let again =
        stdout(lath(home.path(), &["build", "pre-commit", "--cache-dir", "other", "-o", "again.tar", "--no-verify"]));
    assert_eq!(again.split_once('@').unwrap().1.trim(), image.digest);
}

#[test]
#[ignore = "needs the real Python index, the real Debian archive and user namespaces"]
fn a_failed_check_has_exit_code_3_and_writes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let output = lath(home.path(), &["build", "yamllint", "--check", "yamllint /nothing/there.yaml"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("the check `yamllint /nothing/there.yaml` ends with exit code"), "{said}");
    assert!(output.stdout.is_empty() && !home.path().join("yamllint.tar").exists());
}

#[test]
#[ignore = "needs the real Python index, the real Debian archive and user namespaces"]
fn extension_modules_find_their_libraries() {
    let home = tempfile::tempdir().unwrap();
    stdout(lath(home.path(), &["build", "numpy", "pandas", "cryptography", "-t", "science"]));
    let code = "import numpy, pandas, cryptography.fernet; print(pandas.DataFrame(numpy.eye(2)).sum().sum())";
    let ran = stdout(lath(
        home.path(),
        &["run", "numpy", "pandas", "cryptography", "--offline", "--", "python3", "-c", code],
    ));
    assert_eq!(ran, "2.0\n");
}
