//! Images in real engines: files that lath wrote are loaded, run and unpacked by other tools.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;

use crate::lath::{self, succeeded};
use crate::needs::Need::{Engine, Namespaces, Registries, Skopeo, Umoci};
use crate::needs::trials_of;

pub(crate) fn trials() -> Vec<Trial> {
    trials_of![&[Engine, Namespaces, Registries, Skopeo, Umoci]; any_user_runs_the_image_read_only_and_with_a_cleared_environment, the_recipes_form_runs_a_line_of_shell_at_any_user_base, the_archive_of_two_platforms_is_taken_by_everybody]
}

fn said(program: &str, words: &[&str], home: &Path) -> String {
    succeeded(Command::new(program).args(words).current_dir(home).output().unwrap())
}

/// Removes an image from Docker when the test ends.
struct Loaded(&'static str);

impl Drop for Loaded {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rmi", "-f", self.0]).output();
    }
}

fn any_user_runs_the_image_read_only_and_with_a_cleared_environment() {
    let home = tempfile::tempdir().unwrap();
    let image = Loaded("lath-test-engine:any");
    succeeded(lath::run(home.path(), &["build", "yamllint", "-t", image.0, "--load", "--shell"]));
    let run = ["run", "--rm", "--network", "none", "--read-only", "--user", "12345:999", "--cap-drop", "ALL"];
    assert!(said("docker", &[&run[..], &[image.0, "--version"]].concat(), home.path()).starts_with("yamllint "));
    let bare = ["--entrypoint", "/usr/bin/env", image.0, "-i", "/opt/app/bin/yamllint", "--version"];
    assert!(said("docker", &[&run[..], &bare].concat(), home.path()).starts_with("yamllint "));
}

fn the_recipes_form_runs_a_line_of_shell_at_any_user_base() {
    let home = tempfile::tempdir().unwrap();
    let image = Loaded("lath-test-engine:recipe");
    let form = ["--entrypoint", "shell", "--user-base", "/tmp/theuserbase"];
    succeeded(lath::run(home.path(), &[&["build", "yamllint", "-t", image.0, "--load"], &form[..]].concat()));
    let line = "yamllint --version && echo $PYTHONUSERBASE";
    let ran = said("docker", &["run", "--rm", "--network", "none", image.0, line], home.path());
    assert!(ran.starts_with("yamllint ") && ran.ends_with("\n/tmp/theuserbase\n"), "{ran}");
}

fn the_archive_of_two_platforms_is_taken_by_everybody() {
    let home = tempfile::tempdir().unwrap();
    let image = Loaded("lath-test-engine:two");
    let platforms = ["--platform", "linux/amd64,linux/arm64", "-o", "two.tar", "-o", "oci:layout"];
    succeeded(lath::run(home.path(), &[&["build", "yamllint", "-t", image.0], &platforms[..]].concat()));
    said("docker", &["load", "-i", "two.tar"], home.path());
    let ran = said("docker", &["run", "--rm", "--network", "none", image.0, "--version"], home.path());
    assert!(ran.starts_with("yamllint "), "{ran}");
    for (from, to) in [("docker-archive:two.tar", "oci:from-docker:x"), ("oci-archive:two.tar", "oci:from-oci:x")] {
        said("skopeo", &["copy", "--quiet", from, to], home.path());
    }
    for (architecture, from) in [("amd64", "oci:layout:two"), ("arm64", "oci-archive:two.tar")] {
        let raw = said("skopeo", &["--override-arch", architecture, "inspect", from], home.path());
        assert!(raw.contains(&format!("\"Architecture\": \"{architecture}\"")), "{raw}");
    }
    said("umoci", &["unpack", "--rootless", "--image", "from-oci:x", "bundle"], home.path());
    assert!(home.path().join("bundle/rootfs/opt/app/bin/yamllint").exists());
}
