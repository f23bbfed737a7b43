//! Locks with real packages. A lock leads to the same image later, on other machines, and without a network. pip and uv
//! can install the Python half of a lock.

use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;
use testkit::oci;

use crate::lath::{self, succeeded};
use crate::needs::Need::{Faketime, Namespaces, Registries, Venv};
use crate::needs::{own_uid, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_vendor_folder_is_enough_without_network_and_cache", &[Registries, Namespaces], vendored),
        trial("a_lock_gives_the_same_image_a_year_later", &[Registries, Namespaces, Faketime], a_year_later),
        trial("pip_and_uv_install_the_python_half_of_a_lock", &[Registries, Venv], installed),
    ]
}

/// Returns a folder that contains a lock, its files, and the image of a build without a lock.
fn home(name: &str) -> PathBuf {
    let home = lath::folder().join(name);
    fs_err::create_dir_all(home.join("else/where")).unwrap();
    // The build and `lath lock` use the same cache, so that both see the same state of the archive.
    let words = ["build", "httpie", "cryptography", "-t", "same", "-c", "http", "-o", "plain.tar"];
    succeeded(lath::run(&home, &words));
    let words = ["lock", "httpie", "cryptography", "--vendor", "parcels", "--platform"];
    let platform = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" };
    succeeded(lath::run(&home, &[&words[..], &[platform]].concat()));
    home
}

fn assert_same(home: &Path, name: &str) {
    let [plain, other] = ["plain.tar", name].map(|name| oci::check(&home.join(name)).unwrap());
    assert_eq!(plain.difference(&other), "", "{name}");
}

/// Returns a command that builds from the lock. It runs in another folder, with an empty cache and without a network.
/// `before` are the first words of the command.
fn elsewhere(home: &Path, before: &[&str], name: &str) -> Command {
    let words = ["build", "--lock", "../../pylock.toml", "--offline", "--vendor", "../../parcels", "-t", "same"];
    let inner = lath::command(home, &words);
    let mut command = Command::new("unshare");
    // Root needs no user namespace. In a user namespace that has only root, lath could not run programs.
    let namespaces: &[&str] = if own_uid() == Some(0) { &[] } else { &["--user", "--map-current-user"] };
    command.arg("--net").args(namespaces).args(before);
    command.arg(inner.get_program()).args(inner.get_args());
    command.args(["-c", "http", "-o", &format!("../../{name}"), "--cache-dir", &format!("cache-{name}")]);
    command.current_dir(home.join("else/where"));
    command
}

fn vendored() {
    let home = home("vendored");
    succeeded(elsewhere(&home, &[], "vendored.tar").output().unwrap());
    assert_same(&home, "vendored.tar");
    // The lock also works with an empty cache if the files are downloaded from the servers.
    let words = ["build", "httpie", "cryptography", "--locked", "-t", "same", "-c", "http", "-o", "fetched.tar"];
    succeeded(lath::run(&home, &[&words[..], &["--cache-dir", "fetched"]].concat()));
    assert_same(&home, "fetched.tar");
    let name = fs_err::read_dir(home.join("parcels")).unwrap().map(|entry| entry.unwrap().file_name());
    let name = name.map(|name| name.into_string().unwrap()).find(|name| name.starts_with("httpie-")).unwrap();
    fs_err::write(home.join("parcels").join(&name), "changed").unwrap();
    let output = elsewhere(&home, &[], "changed.tar").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("cannot use `../../parcels/{name}`: its sha256 is")), "{said}");
    assert!(!home.join("changed.tar").exists());
}

fn a_year_later() {
    let home = home("later");
    succeeded(elsewhere(&home, &["faketime", "+400 days"], "later.tar").output().unwrap());
    assert_same(&home, "later.tar");
}

fn installed() {
    let home = lath::folder().join("installed");
    fs_err::create_dir_all(&home).unwrap();
    let run = |program: &str, words: &[&str]| {
        succeeded(Command::new(home.join(program)).args(words).current_dir(&home).output().unwrap())
    };
    succeeded(Command::new("python3").args(["-m", "venv", "tools"]).current_dir(&home).output().unwrap());
    run("tools/bin/pip", &["install", "--quiet", "--upgrade", "pip>=25.1", "uv"]);
    let program = "import sys; print('%d.%d' % sys.version_info[:2])";
    let python = run("tools/bin/python", &["-c", program]);
    let words = ["lock", "httpie", "pyyaml", "--platform", "linux/amd64,linux/arm64", "--python", python.trim()];
    // `LATH_BASE` is not set here, because its release has another Python.
    succeeded(lath::run_without_base(&home, &words));
    for install in [
        &["tools/bin/pip", "--python", "NAME", "install", "-r", "pylock.toml"][..],
        &["tools/bin/uv", "pip", "install", "--python", "NAME", "-r", "pylock.toml"],
    ] {
        let name = install[0].rsplit('/').next().unwrap();
        succeeded(Command::new("python3").args(["-m", "venv", name]).current_dir(&home).output().unwrap());
        let words: Vec<&str> = install[1..].iter().map(|word| if *word == "NAME" { name } else { *word }).collect();
        run(install[0], &words);
        let frozen = run(&format!("{name}/bin/python"), &["-m", "pip", "freeze", "--all"]);
        let lock: toml::Table = fs_err::read_to_string(home.join("pylock.toml")).unwrap().parse().unwrap();
        for package in lock["packages"].as_array().unwrap() {
            let word = |key: &str| package[key].as_str().unwrap().to_owned();
            // In the output of pip, some names have capital letters, or `_` for `-`.
            let line = format!("{}=={}", word("name"), word("version"));
            assert!(
                frozen.to_lowercase().replace('_', "-").contains(&line),
                "{line} is missing after {name}: {frozen}"
            );
        }
        assert!(!run(&format!("{name}/bin/http"), &["--version"]).is_empty());
    }
}
