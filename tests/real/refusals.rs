//! Errors that involve the real registries.

use libtest_mimic::Trial;

use crate::lath;
use crate::needs::Need::{Namespaces, Registries};
use crate::needs::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("an_unknown_name_is_told", &[Registries], || {
            let said = refusal("unknown", &["build", "lath-no-such-distribution-4711"], 1);
            assert!(said.contains("`lath-no-such-distribution-4711`"), "{said}");
        }),
        trial("a_failed_check_has_exit_code_3_and_writes_nothing", &[Registries, Namespaces], || {
            let said = refusal("failed-check", &["build", "yamllint", "--check", "yamllint /nothing/there.yaml"], 3);
            assert!(said.contains("the check `yamllint /nothing/there.yaml` ended with exit code"), "{said}");
        }),
    ]
}

/// Runs lath, which must fail with `exit_code` and write nothing. Returns its messages.
fn refusal(folder: &str, words: &[&str], exit_code: i32) -> String {
    let home = lath::folder().join(folder);
    fs_err::create_dir_all(&home).unwrap();
    let output = lath::run(&home, words);
    assert_eq!(output.status.code(), Some(exit_code), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert_eq!(fs_err::read_dir(&home).unwrap().count(), 0, "something was left in {}", home.display());
    String::from_utf8(output.stderr).unwrap()
}
