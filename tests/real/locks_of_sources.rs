//! Locks with sources that lath builds. The same sources lead to the same image, without a network and on other
//! machines. If a project changes, a lock may still be valid.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use libtest_mimic::Trial;
use testkit::oci;

use crate::lath::{self, succeeded};
use crate::needs::Need::{Minutes, Namespaces, Registries, Venv};
use crate::needs::{own_uid, trial};

pub(crate) fn trials() -> Vec<Trial> {
    let needs = &[Registries, Namespaces];
    vec![
        trial("a_lock_of_a_project_gives_the_same_image_elsewhere_without_network", needs, elsewhere),
        trial("a_lock_builds_a_project_that_has_changed_if_it_still_fits", needs, changed),
        trial("a_lock_has_the_compilers_of_its_sources", &[Registries, Namespaces, Minutes], compiled),
        trial("a_lock_of_another_tool_with_sources_is_built", needs, foreign),
        trial("pip_and_uv_install_the_sources_of_a_lock", &[Registries, Namespaces, Venv], installed),
    ]
}

/// Writes files into `folder`.
fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
}

fn git(folder: &Path, words: &str) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=me", "-c", "user.email=me@example.org"]).args(words.split(' ')).current_dir(folder);
    let output = command.output().unwrap();
    lath::stdout(&command, output)
}

const PROJECT: &str = "[build-system]
requires = ['hatchling']
build-backend = 'hatchling.build'
[project]
name = 'svc'
version = '1.0'
dependencies = ['docopt', 'lib @ git+file://HOME/lib@COMMIT']
[project.scripts]
svc = 'svc:main'
[tool.hatch.metadata]
allow-direct-references = true
";

const CODE: &str = "def main():\n    import docopt, lib\n    print(lib.NAME)\n";

/// Creates a folder with a project in `svc`. The project requires a source distribution from the index, and a commit of
/// the repository in the folder `lib`. The version of `lib` comes from the history of its repository.
fn project(name: &str) -> PathBuf {
    let home = lath::folder().join(name);
    let build =
        "[build-system]\nrequires = ['setuptools', 'setuptools-scm']\nbuild-backend = 'setuptools.build_meta'\n";
    let lib = format!("{build}[project]\nname = 'lib'\ndynamic = ['version']\n[tool.setuptools_scm]\n");
    write(&home.join("lib"), &[("pyproject.toml", &lib), ("lib.py", "NAME = 'library'\n")]);
    for words in ["init -q -b main", "add .", "commit -q -m first", "tag v1.2.0"] {
        git(&home.join("lib"), words);
    }
    let commit = git(&home.join("lib"), "rev-parse HEAD");
    let text = PROJECT.replace("HOME", home.to_str().unwrap()).replace("COMMIT", commit.trim());
    write(&home.join("svc"), &[("pyproject.toml", &text), ("src/svc/__init__.py", CODE)]);
    home
}

/// Runs lath in `folder` without a network. The cache is the folder `empty` in `folder`. Words after `--` stay at the
/// end of the command.
fn without_network(folder: &Path, words: &[&str]) -> Output {
    let at = words.iter().position(|word| *word == "--").unwrap_or(words.len());
    let words = [&words[..at], &["--offline", "--cache-dir", "empty"], &words[at..]].concat();
    let inner = lath::command(folder, &words);
    let mut command = Command::new("unshare");
    // Root needs no user namespace. In a user namespace that has only root, lath could not run programs.
    let namespaces: &[&str] = if own_uid() == Some(0) { &[] } else { &["--user", "--map-current-user"] };
    command.arg("--net").args(namespaces).arg(inner.get_program()).args(inner.get_args());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(folder);
    command.output().unwrap()
}

fn assert_same(one: &Path, other: &Path) {
    let [one, other] = [one, other].map(|path| oci::check(path).unwrap());
    assert_eq!(one.difference(&other), "");
}

fn elsewhere() {
    let home = project("locked-project");
    let here = home.join("svc");
    succeeded(lath::run(&here, &["build", ".", "-o", "../plain.tar"]));
    succeeded(lath::run(&here, &["lock", ".", "--vendor", "parcels"]));
    let text = fs_err::read_to_string(here.join("pylock.toml")).unwrap();
    for part in ["sdist = { url = ", "vcs = { type = \"git\", url = ", "directory = { path = \".\" }"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // The first build uses the servers and an empty cache, so everything is built again.
    let output = lath::run(&here, &["build", ".", "--locked", "-o", "../fetched.tar", "--cache-dir", "../fetched"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for name in ["docopt", "lib", "svc"] {
        assert!(said.contains(&format!("building {name}")), "{said}");
    }
    assert!(!said.contains("does not always give the same wheel"), "{said}");
    succeeded(output);
    assert_same(&home.join("plain.tar"), &home.join("fetched.tar"));
    // The next build uses the vendor folder. The project and its lock were moved to another folder, and the repository
    // of `lib` no longer exists.
    let there = home.join("other/place");
    fs_err::create_dir_all(there.parent().unwrap()).unwrap();
    fs_err::rename(&here, &there).unwrap();
    fs_err::remove_dir_all(home.join("lib")).unwrap();
    let words = ["build", ".", "--locked", "--vendor", "parcels", "-o", "../vendored.tar"];
    succeeded(without_network(&there, &words));
    assert_same(&home.join("plain.tar"), &home.join("other/vendored.tar"));
    // If the built wheels are removed from the vendor folder, all sources are built again from the files in this
    // folder.
    for wheel in ["docopt-0.6.2-py2.py3-none-any.whl", "lib-1.2.0-py3-none-any.whl", "svc-1.0-py2.py3-none-any.whl"] {
        forget(&there.join("parcels"), wheel);
    }
    fs_err::remove_dir_all(there.join("empty")).unwrap();
    let output = without_network(&there, &words);
    assert!(String::from_utf8_lossy(&output.stderr).contains("building lib"), "{output:?}");
    succeeded(output);
    assert_same(&home.join("plain.tar"), &home.join("other/vendored.tar"));
}

/// Removes a file from a vendor folder.
fn forget(parcels: &Path, name: &str) {
    let list = fs_err::read_to_string(parcels.join("SHA256SUMS")).unwrap();
    let kept = list.lines().filter(|line| !line.ends_with(&format!("  {name}"))).map(|line| format!("{line}\n"));
    let kept: String = kept.collect();
    assert!(kept.len() < list.len(), "{name}: {list}");
    fs_err::write(parcels.join("SHA256SUMS"), kept).unwrap();
    fs_err::remove_file(parcels.join(name)).unwrap();
}

fn changed() {
    let home = project("changed-project");
    let here = home.join("svc");
    succeeded(lath::run(&here, &["lock", "."]));
    let build = |words: &[&str]| lath::run(&here, &[&["build", "-o", "../svc.tar"], words].concat());
    let refused = |words: &[&str]| {
        let output = build(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
        said.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let first = succeeded(build(&[".", "--locked"]));
    // If only the code of the project has changed, the lock is still valid. If no inputs are given, the project next to
    // the lock is used.
    write(&here, &[("src/svc/__init__.py", &CODE.replace("lib.NAME", "lib.NAME.upper()"))]);
    let second = succeeded(build(&[".", "--locked"]));
    assert_ne!(first, second);
    assert_eq!(succeeded(build(&["--locked"])), second);
    assert_eq!(succeeded(lath::run(&here, &["build", ".", "-o", "../svc.tar"])), second);
    let text = fs_err::read_to_string(here.join("pyproject.toml")).unwrap();
    // The lock does not contain the new requirement of the project, so the build fails.
    write(&here, &[("pyproject.toml", &text.replace("['docopt', ", "['docopt', 'idna', "))]);
    for words in [&[".", "--locked"][..], &["--locked"]] {
        let said = refused(words);
        assert!(said.contains("`svc` requires `idna`, and the lock was made without it"), "{said}");
    }
    succeeded(build(&[".", "--frozen"]));
    // The same is true for a new requirement of the project's build.
    write(&here, &[("pyproject.toml", &text.replace("['hatchling']", "['hatchling', 'hatch-vcs']"))]);
    let said = refused(&[".", "--locked"]);
    assert!(said.contains("the build of `svc` requires `hatch-vcs`, and the lock was made without it"), "{said}");
    // The lock does not contain an extra that was not requested when it was made, so this build fails, too.
    write(&here, &[("pyproject.toml", &text)]);
    let said = refused(&[".", "--extra", "more", "--locked"]);
    assert!(said.contains("the request has `svc[more] @ directory`, and the lock does not"), "{said}");
    succeeded(build(&[".", "--locked"]));
}

fn compiled() {
    let home = lath::folder().join("locked-compiled");
    fs_err::create_dir_all(&home).unwrap();
    let options = ["simplejson", "--no-binary-package", "simplejson"];
    succeeded(lath::run(&home, &[&["lock"], &options[..], &["--vendor", "parcels"]].concat()));
    let text = fs_err::read_to_string(home.join("pylock.toml")).unwrap();
    assert!(text.contains("name = \"gcc\""), "{text}");
    forget_wheels(&home.join("parcels"));
    succeeded(lath::run(&home, &[&["build", "-t", "x", "-o", "plain.tar"], &options[..], &["--", "python3"]].concat()));
    let words = ["build", "--locked", "--vendor", "parcels", "-t", "x", "-o", "locked.tar", "--", "python3"];
    // Without inputs on the command line, the inputs and `--no-binary-package` come from the lock.
    succeeded(without_network(&home, &words));
    assert_same(&home.join("plain.tar"), &home.join("locked.tar"));
    let output = lath::run(&home, &["build", "simplejson", "--locked", "-t", "x", "--", "python3"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("the lock has `--no-binary-package` `simplejson`"), "{said}");
}

/// Removes the wheel of simplejson from a vendor folder, so that it must be built again.
fn forget_wheels(parcels: &Path) {
    let list = fs_err::read_to_string(parcels.join("SHA256SUMS")).unwrap();
    let names = list.lines().filter_map(|line| line.split_once("  ")).map(|(_, name)| name.to_owned());
    let names: Vec<String> = names.filter(|name| name.starts_with("simplejson-") && name.ends_with(".whl")).collect();
    assert_eq!(names.len(), 1, "{list}");
    forget(parcels, &names[0]);
}

fn installed() {
    let home = project("installed-sources");
    let here = home.join("svc");
    let run = |program: &str, words: &[&str]| {
        succeeded(Command::new(home.join(program)).args(words).current_dir(&here).output().unwrap())
    };
    for name in ["tools", "pip", "uv"] {
        succeeded(Command::new("python3").args(["-m", "venv", name]).current_dir(&home).output().unwrap());
    }
    run("tools/bin/pip", &["install", "--quiet", "--upgrade", "pip>=25.1", "uv"]);
    let python = run("tools/bin/python", &["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]);
    let lock = |input: &str| {
        // `LATH_BASE` is not set here, because its release has another Python.
        let mut lock = lath::command(&here, &["lock", input, "--python", python.trim()]);
        succeeded(lock.env_remove("LATH_BASE").output().unwrap());
    };
    lock(".");
    run("tools/bin/uv", &["pip", "install", "--python", "../uv", "-r", "pylock.toml"]);
    assert_eq!(succeeded(Command::new(home.join("uv/bin/svc")).output().unwrap()), "library\n");
    // This lock contains hashes. Then pip refuses folders and repositories, because these have no hashes. So pip gets a
    // lock without them.
    fs_err::remove_file(here.join("pylock.toml")).unwrap();
    lock("docopt");
    run("tools/bin/pip", &["--python", "../pip", "install", "-r", "pylock.toml"]);
    assert!(run("pip/bin/python", &["-c", "import docopt; print(docopt.__version__)"]).starts_with("0.6"));
}

/// Builds from a lock of uv that contains every kind of source.
fn foreign() {
    let home = project("foreign-sources");
    let here = home.join("svc");
    let commit = git(&home.join("lib"), "rev-parse HEAD");
    succeeded(lath::run(&here, &["lock", ".", "-o", "pylock.own.toml"]));
    let own = fs_err::read_to_string(here.join("pylock.own.toml")).unwrap();
    let sdist = own.lines().find(|line| line.starts_with("sdist = ")).unwrap();
    let text = format!(
        "lock-version = '1.0'\ncreated-by = 'another'\n\n[[packages]]\nname = 'docopt'\nversion = '0.6.2'\n{sdist}\n\n\
         [[packages]]\nname = 'lib'\nvcs = {{ type = 'git', path = '../lib', commit-id = '{}' }}\n\n\
         [[packages]]\nname = 'svc'\ndirectory = {{ path = '.' }}\n",
        commit.trim()
    );
    fs_err::write(here.join("pylock.toml"), text).unwrap();
    fs_err::remove_file(here.join("pylock.own.toml")).unwrap();
    let output = lath::run(&here, &["build", "pylock.toml", "-t", "svc", "-o", "../foreign.tar"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    succeeded(output);
    assert!(said.contains("runs: /opt/app/bin/svc"), "{said}");
    // The lock that lath makes from uv's lock has the same sources.
    succeeded(lath::run(&here, &["lock", "pylock.toml", "-o", "pylock.own.toml"]));
    succeeded(lath::run(
        &here,
        &["build", "pylock.own.toml", "-t", "svc", "-o", "../own.tar", "--cache-dir", "../empty"],
    ));
    assert_same(&home.join("foreign.tar"), &home.join("own.tar"));
}
