//! Builds from source: real source distributions of each kind, projects of the user, repositories, and backends that
//! try to do forbidden things.

use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;

use crate::lath;
use crate::needs::Need::{Minutes, Namespaces, Registries};
use crate::needs::trial;

pub(crate) fn trials() -> Vec<Trial> {
    let needs = &[Registries, Namespaces];
    let slow = &[Registries, Namespaces, Minutes];
    vec![
        trial("a_source_distribution_with_an_old_setup_py_is_built_once", needs, old_setup_py),
        trial("libpq_is_found_for_psycopg2_and_named_if_it_is_missing", needs, psycopg2),
        trial("a_cython_module_with_a_backend_in_its_source_is_built", needs, || imports("frozenlist", &[])),
        trial("a_project_folder_is_built_again_only_if_its_files_change", needs, folder),
        trial("the_version_of_a_project_comes_from_its_repository", needs, history),
        trial("a_repository_is_built_by_its_url_with_its_commit_recorded", needs, repository),
        trial("a_project_whose_last_file_is_a_zip_file_is_built", needs, ends_with_zip),
        trial("a_build_requirement_may_be_a_source_itself", needs, nested),
        trial("a_wheel_without_machine_code_serves_another_platform", needs, other_platform),
        trial("a_backend_that_fails_is_shown_and_its_files_are_kept", needs, failing),
        trial("a_backend_reaches_neither_the_network_nor_the_users_files", needs, confined),
        trial("a_backend_changes_no_file_of_the_host_through_links", needs, links),
        trial("a_backend_that_makes_no_wheel_or_another_one_is_refused", needs, other_wheels),
        trial("sources_are_built_by_the_oldest_pythons_too", needs, old_pythons),
        trial("a_meson_project_is_built", slow, || imports("contourpy", &[])),
        trial("a_rust_project_is_built_with_the_crates_of_its_lock", slow, || imports("jellyfish", &[])),
        trial("esphome_is_built_from_its_sources", slow, esphome),
    ]
}

/// A folder for one test.
fn home(name: &str) -> PathBuf {
    let home = lath::folder().join(name);
    fs_err::create_dir_all(&home).unwrap();
    home
}

/// Runs lath, which must succeed. Returns its output and its messages.
fn succeeds(home: &Path, words: &[&str]) -> (String, String) {
    let output = lath::run(home, words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words:?}: {said}");
    (String::from_utf8(output.stdout).unwrap(), said)
}

/// Runs lath, which must fail. Returns the messages without line breaks.
fn refused(home: &Path, words: &[&str]) -> String {
    let output = lath::run(home, words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn git(folder: &Path, words: &str) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=me", "-c", "user.email=me@example.org"]).args(words.split(' ')).current_dir(folder);
    let output = command.output().unwrap();
    lath::stdout(&command, output)
}

fn imports(name: &str, words: &[&str]) {
    let home = home(name);
    let module = format!("import {name}; print({name}.__file__)");
    let start = [&["run", name, "--no-binary-package", name], words].concat();
    let (printed, said) = succeeds(&home, &[&start[..], &["--", "python3", "-c", &module]].concat());
    assert!(printed.contains(&format!("/site-packages/{name}")), "{printed}");
    assert!(said.contains(&format!("building {name} ")), "{said}");
}

fn old_pythons() {
    for base in ["ubuntu:jammy", "debian:bookworm"] {
        imports("docopt", &["--release", base]);
    }
}

fn old_setup_py() {
    let home = home("docopt");
    let (digest, said) = succeeds(&home, &["build", "docopt==0.6.2", "-o", "one.tar"]);
    assert!(said.contains("building docopt 0.6.2 from source"), "{said}");
    let (again, said) = succeeds(&home, &["build", "docopt==0.6.2", "-o", "one.tar"]);
    assert!(!said.contains("from source"), "{said}");
    assert_eq!(again, digest);
    // With another cache, the source is built again, and the result must be the same.
    let words = ["build", "docopt==0.6.2", "-o", "one.tar", "--cache-dir", "other-cache"];
    assert_eq!(succeeds(&home, &words).0, digest);
    let said = refused(&home, &["build", "docopt==0.6.2", "--no-build"]);
    assert!(said.contains("cannot resolve `docopt==0.6.2`"), "{said}");
}

fn psycopg2() {
    let home = home("psycopg2-source");
    let start = ["run", "psycopg2", "--no-binary-package", "psycopg2"];
    let said = refused(&home, &start);
    assert!(said.contains("`pg_config` is not in the build: add it with `--build-with libpq-dev`"), "{said}");
    let job = [
        "--build-with",
        "libpq-dev",
        "--",
        "python3",
        "-c",
        "import psycopg2; print(psycopg2.extensions.libpq_version())",
    ];
    let (printed, _) = succeeds(&home, &[&start[..], &job].concat());
    assert!(printed.trim().parse::<u32>().is_ok_and(|version| version >= 150_000), "{printed}");
}

/// The build backend of a source. Each test adds the body of its last function, `build_wheel`. This body can call
/// `wheel` to create a wheel.
const BACKEND: &str = r#"
import os, zipfile
def wheel(directory, name="own", version="1.0", tag="py3-none-any", text="def main(): print('made')\n"):
    stem = f"{name}-{version}"
    info = f"{stem}.dist-info"
    with zipfile.ZipFile(f"{directory}/{stem}-{tag}.whl", "w") as file:
        file.writestr("own.py", text)
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        file.writestr(f"{info}/entry_points.txt", "[console_scripts]\nown = own:main\n")
        file.writestr(f"{info}/RECORD", f"own.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n{info}/entry_points.txt,,\n")
    return f"{stem}-{tag}.whl"
def build_wheel(directory, settings=None, metadata=None):
"#;

/// Writes a project. `body` is the body of `build_wheel` in its backend.
fn project(home: &Path, name: &str, body: &str) -> String {
    let folder = home.join(name);
    fs_err::create_dir_all(&folder).unwrap();
    let system = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n";
    fs_err::write(folder.join("pyproject.toml"), system).unwrap();
    let body: String = body.lines().map(|line| format!("    {line}\n")).collect();
    fs_err::write(folder.join("backend.py"), format!("{BACKEND}{body}")).unwrap();
    format!("./{name}")
}

const READS: &str = "return wheel(directory, text=open('own.txt').read())";

fn folder() {
    let home = home("folder");
    let project = project(&home, "project", READS);
    let text = |word: &str| {
        fs_err::write(home.join("project/own.txt"), format!("def main(): print('{word}')\n")).unwrap();
    };
    text("one");
    let (printed, said) = succeeds(&home, &["run", &project]);
    assert!(printed == "one\n" && said.contains("/project from source"), "{printed}{said}");
    let (printed, said) = succeeds(&home, &["run", &project]);
    assert!(printed == "one\n" && !said.contains("from source"), "{printed}{said}");
    text("two");
    assert_eq!(succeeds(&home, &["run", &project]).0, "two\n");
    // The same files in another folder lead to the same image.
    let (digest, _) = succeeds(&home, &["build", &project, "-t", "own", "-o", "own.tar"]);
    fs_err::create_dir_all(home.join("elsewhere")).unwrap();
    fs_err::rename(home.join("project"), home.join("elsewhere/project")).unwrap();
    let words = ["build", "./elsewhere/project", "-t", "own", "-o", "own.tar", "--cache-dir", "other-cache"];
    assert_eq!(succeeds(&home, &words).0, digest);
}

fn history() {
    let home = home("history");
    let folder = home.join("project");
    fs_err::create_dir_all(&folder).unwrap();
    let pyproject = "[build-system]\nrequires = ['hatchling', 'hatch-vcs']\nbuild-backend = 'hatchling.build'\n\
                     [project]\nname = 'versioned'\ndynamic = ['version']\n[tool.hatch.version]\nsource = 'vcs'\n";
    fs_err::write(folder.join("pyproject.toml"), pyproject).unwrap();
    fs_err::write(folder.join("versioned.py"), "").unwrap();
    // A build leaves out this file, but the version must be that of an unchanged tree.
    fs_err::write(folder.join(".env"), "").unwrap();
    for words in ["init -q", "add .", "commit -q -m one", "tag v3.1.4"] {
        git(&folder, words);
    }
    let version = "import importlib.metadata as m; print(m.version('versioned'))";
    let words = ["run", "./project", "--", "python3", "-c", version];
    assert_eq!(succeeds(&home, &words).0, "3.1.4\n");
    fs_err::write(folder.join("versioned.py"), "x = 1\n").unwrap();
    git(&folder, "commit -q -a -m two");
    assert!(succeeds(&home, &words).0.starts_with("3.1.5.dev1"), "{words:?}");
}

fn repository() {
    let home = home("repository");
    project(&home, "all/inner", READS);
    fs_err::write(home.join("all/inner/own.txt"), "def main(): print('from git')\n").unwrap();
    for words in ["init -q", "add .", "commit -q -m one", "tag v1"] {
        git(&home.join("all"), words);
    }
    let commit = git(&home.join("all"), "rev-parse HEAD");
    let url = |reference: &str| format!("git+file://{}@{reference}#subdirectory=inner", home.join("all").display());
    let show = "import own; own.main(); import importlib.metadata as m; print(m.distribution('own').read_text('direct_url.json'))";
    let (printed, _) = succeeds(&home, &["run", &url("v1"), "--", "python3", "-c", show]);
    assert!(printed.starts_with("from git\n"), "{printed}");
    for expected in [commit.trim(), "\"vcs\":\"git\"", "\"subdirectory\":\"inner\""] {
        assert!(printed.contains(expected), "{expected}: {printed}");
    }
    let said = refused(&home, &["run", &url("gone")]);
    assert!(said.contains("cannot fetch the repository `file://") && said.contains("`gone`"), "{said}");
    let mut command = lath::command(&home, &["build", &url("v1"), "-t", "x", "--cache-dir", "no-git"]);
    let output = command.env("PATH", "/nowhere").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("hint: install git on this machine"), "{said}");
}

fn ends_with_zip() {
    let home = home("ends-with-zip");
    let project = project(&home, "project", "return wheel(directory)");
    // This is a zip file without any entries.
    let zip = [b"PK\x05\x06".as_slice(), &[0; 18]].concat();
    fs_err::write(home.join("project/zzz.docx"), zip).unwrap();
    assert_eq!(succeeds(&home, &["run", &project]).0, "made\n");
}

/// A build may require a distribution that is itself built from source. Then the order is: the requirements of this
/// distribution, this distribution, and the build that requires it.
fn nested() {
    let home = home("nested");
    project(
        &home,
        "project",
        "import docopt\nreturn wheel(directory, text=f'def main(): print({docopt.__version__!r})')",
    );
    let system = "[build-system]\nrequires = ['docopt==0.6.2']\nbuild-backend = 'backend'\nbackend-path = ['.']\n";
    fs_err::write(home.join("project/pyproject.toml"), system).unwrap();
    assert_eq!(succeeds(&home, &["run", "./project"]).0, "0.6.2\n");
}

fn other_platform() {
    let home = home("other-platform");
    let project = project(&home, "project", "return wheel(directory)");
    let other = if cfg!(target_arch = "x86_64") { "linux/arm64" } else { "linux/amd64" };
    let words = ["build", &project, "-t", "own", "--platform", other, "--no-verify", "--bytecode", "none"];
    let (_, said) = succeeds(&home, &words);
    assert!(said.contains(&format!("own for {other}")), "{said}");
    // If the project contains C code, the build may fail, because lath may not be able to build for another processor
    // here.
    fs_err::write(home.join("project/own.c"), "int x;").unwrap();
    let output = lath::run(&home, &words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() || said.contains(&format!("programs of {other} do not run here")), "{said}");
}

fn failing() {
    let home = home("failing");
    let body = "print('see https://me:secret@host.example/x')\nopen('left-behind', 'w').close()\nraise RuntimeError('broken on purpose')";
    let project = project(&home, "project", body);
    let said = refused(&home, &["build", &project, "-t", "x", "--keep-failed"]);
    for expected in ["cannot build ", "its build backend fails", "broken on purpose", "see https://"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(!said.contains("secret"), "{said}");
    let (_, kept) = said.split_once("its files were kept in `").unwrap();
    let kept = Path::new(kept.split('`').next().unwrap());
    assert!(kept.join("source/left-behind").is_file() && kept.join("build.log").is_file());
    fs_err::remove_dir_all(kept).unwrap();
}

fn links() {
    let home = home("links");
    let victim = home.join("victim");
    fs_err::write(&victim, "mine").unwrap();
    let names = "for name in ['plain.whl', 'wheel.whl', 'own', 'crates']:\n    os.symlink(victim, '/work/' + name)\n";
    let results = "os.remove('/work/job.json')\nos.symlink(victim, '/work/job.json')\n";
    let body = format!("victim = {victim:?}\n{names}{results}return wheel(directory)");
    succeeds(&home, &["build", &project(&home, "names", &body), "-t", "own"]);
    // The folder of the result is a link to a folder of the backend.
    let body = "name = wheel(directory)\nos.rename('/work/out', '/work/moved')\nos.symlink('/work/moved', '/work/out')\nreturn name";
    refused(&home, &["build", &project(&home, "folder", body), "-t", "x"]);
    let body = format!("os.symlink({victim:?}, '/build/build.log')\nraise RuntimeError('broken on purpose')");
    let said = refused(&home, &["build", &project(&home, "log", &body), "-t", "x", "--keep-failed"]);
    assert_eq!(fs_err::read_to_string(&victim).unwrap(), "mine");
    let (_, kept) = said.split_once("its files were kept in `").unwrap();
    let kept = Path::new(kept.split('`').next().unwrap());
    assert!(fs_err::read_to_string(kept.join("build.log")).unwrap().contains("broken on purpose"));
    fs_err::remove_dir_all(kept).unwrap();
}

fn confined() {
    let home = home("confined");
    let network = "import socket\nsocket.create_connection(('1.1.1.1', 443), timeout=5)";
    let said = refused(&home, &["build", &project(&home, "network", network), "-t", "x"]);
    assert!(said.contains("Network is unreachable") && said.contains("hint: a build has no network"), "{said}");
    let names = "import urllib.request\nurllib.request.urlopen('https://pypi.org/simple/')";
    let said = refused(&home, &["build", &project(&home, "names", names), "-t", "x"]);
    assert!(said.contains("hint: a build has no network"), "{said}");
    let secret = home.join("secret");
    fs_err::write(&secret, "secret").unwrap();
    let writes = format!(
        "for path in ['/usr/x', '/etc/x', {:?}]:\n    try: open(path, 'w')\n    except OSError as error: print(type(error))\n    \
         else: raise SystemExit('wrote ' + path)\nassert not os.path.exists({secret:?})\nreturn wheel(directory)",
        home.join("outside")
    );
    succeeds(&home, &["build", &project(&home, "writes", &writes), "-t", "own"]);
    assert!(!home.join("outside").exists());
    // If the backend is a fork bomb, lath ends all of its processes and the build.
    let forks = "while True:\n    os.fork()";
    let said = refused(&home, &["build", &project(&home, "forks", forks), "-t", "x"]);
    assert!(said.contains("its build backend fails"), "{said}");
    // The backend changes its copy of the folder, but not the folder itself.
    let changes = "open('backend.py', 'w').close()\nopen('new', 'w').close()\nreturn wheel(directory)";
    let changed = project(&home, "changes", changes);
    succeeds(&home, &["build", &changed, "-t", "own"]);
    assert!(!home.join("changes/new").exists() && fs_err::metadata(home.join("changes/backend.py")).unwrap().len() > 0);
}

fn other_wheels() {
    let home = home("other-wheels");
    let table = [
        ("nothing", "return 'own-1.0-py3-none-any.whl'", "cannot use a folder for the build"),
        (
            "text",
            "open(directory + '/own-1.0-py3-none-any.whl', 'w').close()\nreturn 'own-1.0-py3-none-any.whl'",
            "not a zip archive",
        ),
        ("path", "return '../../etc/passwd'", "makes `passwd`, which is not a wheel"),
        ("win", "return wheel(directory, tag='cp313-cp313-win_amd64')", "which is not a wheel of"),
        (
            "link",
            "os.symlink('/etc/passwd', directory + '/own-1.0-py3-none-any.whl')\nreturn 'own-1.0-py3-none-any.whl'",
            "cannot ",
        ),
        ("exit", "os._exit(0)", "gives no result"),
    ];
    for (name, body, expected) in table {
        let said = refused(&home, &["build", &project(&home, name, body), "-t", "x"]);
        assert!(said.contains(expected), "{name}: {said}");
    }
    let wrong = project(&home, "wrong", "return wheel(directory, name='other')");
    let said = refused(&home, &["build", &format!("own @ file://{}", home.join(&wrong[2..]).display()), "-t", "x"]);
    assert!(said.contains("which is not a wheel of `own`") || said.contains("has the name `other`"), "{said}");
}

fn esphome() {
    let home = home("esphome");
    let (printed, _) = succeeds(&home, &["run", "esphome", "--", "esphome", "version"]);
    assert!(printed.contains("Version: "), "{printed}");
}
