//! The same lock leads to the same digest. The packages come from the real registries, with compiled bytecode and
//! native modules.

use std::process::Command;

use libtest_mimic::Trial;
use testkit::oci;

use crate::lath;
use crate::needs::Need::{Minutes, Namespaces, Registries};
use crate::needs::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("caches_folders_umasks_locales_and_jobs_do_not_matter", &[Registries, Namespaces, Minutes], || {
        let home = lath::folder().join("digest");
        fs_err::create_dir_all(home.join("deep/er")).unwrap();
        let expected = image("umask 022", &[], "--cache-dir cold --jobs 8 -o first.tar", "first.tar");
        let table = [
            ("umask 077", [("LC_ALL", "tr_TR.UTF-8"), ("TZ", "Pacific/Kiritimati")], "--cache-dir tight --jobs 1"),
            ("umask 000; cd deep/er", [("LC_ALL", "C"), ("TZ", "America/Adak")], "--cache-dir ../../cold --jobs 1"),
            ("umask 022", [("HOME", "/"), ("USER", "nobody")], "--cache-dir cold --jobs 8 --offline"),
        ];
        for (number, (before, variables, words)) in table.into_iter().enumerate() {
            let name = format!("{number}.tar");
            let path = home.join(&name);
            let found = image(before, &variables, &format!("{words} -o {}", path.display()), &name);
            assert_eq!(expected.difference(&found), "", "{before}, {variables:?}, {words}");
        }
    })]
}

/// Runs the command `before` in a shell, and then builds the image `name`, with these environment variables.
fn image(before: &str, variables: &[(&str, &str)], words: &str, name: &str) -> oci::Checked {
    let home = lath::folder().join("digest");
    let asked: Vec<&str> = ["build", "httpie", "cryptography", "-t", "same", "-c", "http"]
        .into_iter()
        .chain(words.split_whitespace())
        .collect();
    let inner = lath::command(&home, &asked);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{before}; exec \"$@\""), "sh"]).arg(inner.get_program()).args(inner.get_args());
    command.current_dir(&home).envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.envs(variables.iter().copied());
    let output = command.output().unwrap();
    lath::stdout(&command, output);
    oci::check(&home.join(name)).unwrap()
}
