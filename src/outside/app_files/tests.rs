//! Tests of the list of an application's files.

use std::os::unix::fs::PermissionsExt as _;

use fs_err::os::unix::fs::symlink;

use super::*;

/// Creates a folder with these files, each with its contents.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn listed(folder: &Path) -> AppFiles {
    list(folder, &[]).unwrap()
}

fn paths(files: &AppFiles) -> Vec<&str> {
    files.files.keys().map(String::as_str).collect()
}

#[test]
fn ignored_files_that_git_tracks_go_in_except_those_that_never_do() {
    let folder = folder(&[
        ("main.py", ""),
        (".gitignore", "*.log\n/data/\n.env\n"),
        (".dockerignore", "docs\n"),
        ("kept.log", "x"),
        ("ignored.log", "x"),
        ("data/model.bin", "x"),
        ("data/local.bin", "x"),
        ("data/__pycache__/x.pyc", ""),
        ("docs/x.log", "x"),
        (".env", "SECRET=1"),
        (".git/HEAD", ""),
    ]);
    let names = [".env", "data/__pycache__/x.pyc", "data/model.bin", "docs/x.log", "gone.log", "kept.log", "main.py"];
    fs::write(folder.path().join(".git/index"), tracked::tests::index(&names)).unwrap();
    let files = listed(folder.path());
    assert_eq!(paths(&files), [".dockerignore", ".gitignore", "data/model.bin", "kept.log", "main.py"]);
    assert_eq!(files.secrets, [".env"]);
    fs::write(folder.path().join(".git/index"), "").unwrap();
    let said = list(folder.path(), &[]).unwrap_err();
    assert!(said.to_string().starts_with("cannot read `"), "{said}");
}

#[test]
fn ignored_files_caches_and_environments_are_left_out() {
    let folder = folder(&[
        ("main.py", "x"),
        ("app/__init__.py", ""),
        (".gitignore", "*.log\n/data/\n"),
        ("app/.gitignore", "local.py\n"),
        (".dockerignore", "docs\n*.md\n"),
        ("a.log", "x"),
        ("data/big", "x"),
        ("app/local.py", "x"),
        ("docs/a", "x"),
        ("README.md", "x"),
        ("app/notes.md", "x"),
        (".git/config", "x"),
        ("venv/pyvenv.cfg", "x"),
        ("venv/bin/python", "x"),
        ("app/__pycache__/x.pyc", "x"),
        ("old.pyc", "x"),
        ("node_modules/x/y", "x"),
        ("layout/oci-layout", "{}"),
        ("layout/blobs/x", "x"),
        (".config/settings", "x"),
    ]);
    let files = listed(folder.path());
    assert_eq!(
        paths(&files),
        [
            ".config/settings",
            ".dockerignore",
            ".gitignore",
            "app/.gitignore",
            "app/__init__.py",
            "app/notes.md",
            "main.py"
        ]
    );
    assert_eq!((files.secrets.len(), files.special.len()), (0, 0));
}

#[test]
fn a_repository_above_the_folder_counts_and_other_folders_above_it_do_not() {
    let outer = folder(&[(".gitignore", "*.log\n"), ("service/a.log", "x"), ("service/main.py", "x")]);
    assert_eq!(paths(&listed(&outer.path().join("service"))), ["a.log", "main.py"]);
    fs::create_dir(outer.path().join(".git")).unwrap();
    assert_eq!(paths(&listed(&outer.path().join("service"))), ["main.py"]);
}

#[test]
fn secrets_are_left_out_and_named() {
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n";
    let folder = folder(&[
        (".env", "A=1"),
        ("app/.env.local", "A=1"),
        ("id_rsa", "x"),
        ("tls.key", "x"),
        ("private.pem", "-----BEGIN CERTIFICATE-----\n-----BEGIN RSA PRIVATE KEY-----\n"),
        ("public.pem", "-----BEGIN CERTIFICATE-----\n"),
        ("deploy", key),
        ("production.env", "A=1"),
        (".streamlit/secrets.toml", "a = 1"),
        (".streamlit/config.toml", "a = 1"),
        ("account.json", "{\"private_key\": \"-----BEGIN PRIVATE KEY-----\\n\"}"),
        ("data.json", "{}"),
        ("test_keys.py", &format!("KEY = '''{key}'''")),
    ]);
    let files = listed(folder.path());
    assert_eq!(paths(&files), [".streamlit/config.toml", "data.json", "public.pem", "test_keys.py"]);
    let secrets = [
        ".env",
        ".streamlit/secrets.toml",
        "account.json",
        "app/.env.local",
        "deploy",
        "id_rsa",
        "private.pem",
        "production.env",
        "tls.key",
    ];
    assert_eq!(files.secrets, secrets);
}

#[test]
fn a_link_to_a_file_that_is_left_out_is_named() {
    let folder = folder(&[
        ("main.py", ""),
        (".dockerignore", "data\nbig.bin\n"),
        ("data/x", "x"),
        ("big.bin", "x"),
        ("app/a", ""),
    ]);
    let links = [
        ("to-file", "big.bin"),
        ("app/to-folder", "../data"),
        ("to-link", "app/to-folder/x"),
        ("good", "main.py"),
        ("good-folder", "app"),
        ("created-later", "run/socket"),
        ("here", "."),
    ];
    for (path, target) in links {
        symlink(target, folder.path().join(path)).unwrap();
    }
    let files = listed(folder.path());
    let dangling: Vec<(&str, &str)> = files.dangling.iter().map(|link| (&*link.path, &*link.target)).collect();
    assert_eq!(dangling, [("app/to-folder", "../data"), ("to-file", "big.bin"), ("to-link", "app/to-folder/x")]);
}

#[test]
fn images_of_this_and_of_earlier_builds_are_left_out() {
    let folder = folder(&[("old.tar", "oci-layout\0rest"), ("data.tar", "data/x\0rest"), ("main.py", "")]);
    fs::write(folder.path().join("image.json"), "{}").unwrap();
    let output = folder.path().join("image.json");
    assert_eq!(paths(&list(folder.path(), &[output]).unwrap()), ["data.tar", "main.py"]);
}

#[test]
fn links_may_lead_to_nothing_but_not_out_of_the_folder() {
    let folder = folder(&[("app/main.py", "")]);
    symlink("main.py", folder.path().join("app/same.py")).unwrap();
    symlink("../later", folder.path().join("app/dangling")).unwrap();
    let files = listed(folder.path());
    assert_eq!(files.files["app/same.py"], AppFile::Link { target: "main.py".to_owned() });
    assert_eq!(files.files["app/dangling"], AppFile::Link { target: "../later".to_owned() });
    for target in ["/etc/passwd", "../../up", "/no/such/file", ".."] {
        let link = folder.path().join("app/out");
        symlink(target, &link).unwrap();
        match list(folder.path(), &[]) {
            Ok(_) => assert_eq!(target, ".."),
            Err(error) => {
                let expected =
                    format!("cannot put the link `app/out` into the image: it leads out of the folder, to `{target}`");
                assert_eq!(error.to_string(), expected);
            }
        }
        fs::remove_file(link).unwrap();
    }
}

#[test]
fn only_the_executable_bit_of_a_mode_counts() {
    let folder = folder(&[("a", ""), ("b", "")]);
    for (name, mode) in [("a", 0o600), ("b", 0o711)] {
        fs::set_permissions(folder.path().join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let files = listed(folder.path());
    let is_executable = |name: &str| matches!(files.files[name], AppFile::File { is_executable: true, .. });
    assert!(!is_executable("a") && is_executable("b"));
}

#[test]
fn special_files_are_skipped_and_named() {
    let folder = folder(&[("a", "")]);
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    let files = listed(folder.path());
    assert_eq!((paths(&files), files.special.as_slice()), (vec!["a"], ["socket".to_owned()].as_slice()));
}

#[test]
fn a_folder_that_is_too_large_is_refused_with_its_largest_entries() {
    let folder = folder(&[("main.py", ""), ("models/a", ""), ("models/b", "")]);
    // The files are sparse, so they use no space.
    for name in ["models/a", "models/b"] {
        fs::OpenOptions::new().write(true).open(folder.path().join(name)).unwrap().set_len(5 << 30).unwrap();
    }
    let error = list(folder.path(), &[]).unwrap_err().to_string();
    assert!(error.contains("its files have 10737 MB, and the most are 1073 MB"), "{error}");
    assert!(error.ends_with("the largest entries are `models` (10737 MB), `main.py` (0 MB)"), "{error}");
}

#[test]
fn a_python_file_with_a_guard_is_a_program() {
    let folder = folder(&[("a.py", "if __name__ == '__main__':\n    pass\n"), ("b.py", ""), ("c.txt", "__main__")]);
    assert_eq!(programs(&listed(folder.path())), ["a.py"]);
}
