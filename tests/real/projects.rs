//! Project folders with the real index: packages, workspaces, applications, and a lock of uv.

use std::path::PathBuf;

use libtest_mimic::Trial;

use crate::lath;
use crate::needs::Need::{Namespaces, Registries};
use crate::needs::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_package_is_built_and_its_script_runs", &[Registries, Namespaces], package),
        trial("a_member_of_a_workspace_is_installed_with_the_members_it_needs", &[Registries, Namespaces], workspace),
        trial("a_uv_lock_of_a_package_holds_old_versions", &[Registries, Namespaces], uv_lock),
        trial("a_package_of_poetry_requires_a_folder", &[Registries, Namespaces], poetry),
        trial("a_project_of_setuptools_without_metadata_is_built", &[Registries, Namespaces], setup_py),
    ]
}

/// Creates a folder for this run that contains `files`.
fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let home = lath::folder().join("projects").join(name);
    for (path, text) in files {
        let path = home.join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
    home
}

/// Runs `lath run` in a project, and returns the program's output.
fn run(home: &std::path::Path, words: &[&str]) -> String {
    lath::succeeded(lath::run(home, &[&["run"], words].concat()))
}

const HATCH: &str = "[build-system]\nrequires = ['hatchling']\nbuild-backend = 'hatchling.build'\n";

fn package() {
    let pyproject = format!(
        "[project]\nname = 'my-service'\nversion = '1.2'\nrequires-python = '>=3.11'\ndependencies = ['six']\n
        [project.optional-dependencies]\nmore = ['idna']\n[project.scripts]\nserve = 'my_service.main:main'\n{HATCH}"
    );
    let main = "import importlib.metadata, pathlib, six\n\ndef main():\n    data = pathlib.Path(__file__).with_name('data.txt')\n    print(importlib.metadata.version('my-service'), six.__name__, data.read_text())\n";
    let files = [
        ("pyproject.toml", pyproject.as_str()),
        ("src/my_service/__init__.py", ""),
        ("src/my_service/main.py", main),
        ("src/my_service/data.txt", "some data"),
    ];
    let home = folder("package", &files);
    assert_eq!(run(&home, &["."]), "1.2 six some data\n");
    let version = "import idna; print('idna is here')";
    assert_eq!(run(&home, &[".", "--extra", "more", "--", "python3", "-c", version]), "idna is here\n");
    // The backend has written only into a copy of the folder, so the folder itself has no new files.
    let entries = fs_err::read_dir(&home).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(entries.len(), 2, "{entries:?}");
}

fn workspace() {
    let root = "[tool.uv.workspace]\nmembers = ['packages/*']\n";
    let member = |name: &str, dependency: &str, sources: &str| {
        format!("[project]\nname = '{name}'\nversion = '0.1'\ndependencies = [{dependency}]\n{HATCH}{sources}")
    };
    let app =
        member("app", "'lib'", "[project.scripts]\napp = 'app:main'\n[tool.uv.sources]\nlib = { workspace = true }\n");
    let (lib, other) = (member("lib", "'six'", ""), member("other", "'idna'", ""));
    let files = [
        ("pyproject.toml", root),
        ("packages/app/pyproject.toml", app.as_str()),
        ("packages/app/src/app/__init__.py", "import lib\n\ndef main():\n    print(lib.words())\n"),
        ("packages/lib/pyproject.toml", lib.as_str()),
        ("packages/lib/src/lib/__init__.py", "import six\n\ndef words():\n    return 'lib with ' + six.__name__\n"),
        ("packages/other/pyproject.toml", other.as_str()),
        ("packages/other/src/other/__init__.py", ""),
    ];
    let home = folder("workspace", &files);
    for words in [&[".", "--package", "app"][..], &["./packages/app"]] {
        assert_eq!(run(&home, words), "lib with six\n", "{words:?}");
    }
    let absent = "import importlib.util as u; print([u.find_spec(name) is None for name in ('idna', 'other')])";
    let said = run(&home, &[".", "--package", "app", "--", "python3", "-c", absent]);
    assert_eq!(said, "[True, True]\n");
}

/// The lock that uv 0.13 wrote for the project in this test.
const LOCK: &str = r#"version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "locked"
version = "0.1"
source = { editable = "." }
dependencies = [
    { name = "six" },
]

[package.metadata]
requires-dist = [{ name = "six" }]

[[package]]
name = "six"
version = "1.16.0"
source = { registry = "https://pypi.org/simple" }
wheels = [
    { url = "https://files.pythonhosted.org/packages/d9/5a/e7c31adbe875f2abbb91bd84cf2dc52d792b5a01506781dbcf25c91daf11/six-1.16.0-py2.py3-none-any.whl", hash = "sha256:8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254", size = 11053 },
]
"#;

fn uv_lock() {
    let pyproject = format!(
        "[project]\nname = 'locked'\nversion = '0.1'\nrequires-python = '>=3.11'\ndependencies = ['six']\n
        [project.scripts]\nlocked = 'locked:main'\n{HATCH}"
    );
    let files = [
        ("pyproject.toml", pyproject.as_str()),
        ("uv.lock", LOCK),
        ("src/locked/__init__.py", "import six\n\ndef main():\n    print(six.__version__)\n"),
    ];
    let home = folder("locked", &files);
    assert_eq!(run(&home, &["."]), "1.16.0\n");
    let other = pyproject.replace("['six']", "['six', 'idna']");
    fs_err::write(home.join("pyproject.toml"), other).unwrap();
    let refused = lath::run(&home, &["run", "."]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("the lock lacks `idna`"), "{said}");
}

fn poetry() {
    let head = "[tool.poetry]\nname = 'site'\nversion = '1'\ndescription = ''\nauthors = []\n";
    let dependencies = "[tool.poetry.dependencies]\npython = '^3.11'\nlib = { path = 'libs/lib', extras = ['more'] }\n
        idna = { version = '*', optional = true }\n[tool.poetry.extras]\nnames = ['idna']\n";
    let tail = "[tool.poetry.scripts]\nsite = 'site_x:main'\n[build-system]\nrequires = ['poetry-core']\n
        build-backend = 'poetry.core.masonry.api'\n";
    let pyproject = format!("{head}packages = [{{ include = 'site_x' }}]\n{dependencies}{tail}");
    let lib =
        format!("[project]\nname = 'lib'\nversion = '0.1'\n[project.optional-dependencies]\nmore = ['six']\n{HATCH}");
    let files = [
        ("pyproject.toml", pyproject.as_str()),
        ("site_x/__init__.py", "import lib, six\n\ndef main():\n    print(lib.__name__, six.__name__)\n"),
        ("libs/lib/pyproject.toml", lib.as_str()),
        ("libs/lib/src/lib/__init__.py", ""),
    ];
    let home = folder("poetry", &files);
    assert_eq!(run(&home, &["."]), "lib six\n");
    let idna = "import idna, lib; print('idna is here')";
    assert_eq!(run(&home, &[".", "--extra", "names", "--", "python3", "-c", idna]), "idna is here\n");
}

fn setup_py() {
    let setup = "from setuptools import setup\nsetup(name='old-style', version='3.0', py_modules=['old_style'], install_requires=['six'],\n      entry_points={'console_scripts': ['old-style=old_style:main']})\n";
    let module = "import six\n\ndef main():\n    print('old', six.__name__)\n";
    let settings = "[tool.black]\nline-length = 100\n";
    let home = folder("setup", &[("setup.py", setup), ("old_style.py", module), ("pyproject.toml", settings)]);
    assert_eq!(run(&home, &["."]), "old six\n");
}
