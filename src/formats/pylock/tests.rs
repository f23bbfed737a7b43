use super::*;

fn sha256(digits: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("sha256".to_owned(), digits.to_owned())])
}

/// Returns a lock with every kind of package.
fn every_kind() -> Pylock {
    let file = File {
        url: Some("https://host/a%2B1-1.0.tar.gz#x".to_owned()),
        size: Some(3),
        hashes: sha256("00"),
        ..File::default()
    };
    let package = |name: &str| Package { name: name.to_owned(), version: Some("1.0".to_owned()), ..Package::default() };
    let directory = Directory { path: "../b \"quoted\"".to_owned(), editable: true, subdirectory: None };
    let vcs = Vcs {
        kind: "git".to_owned(),
        url: Some("https://host/c".to_owned()),
        requested_revision: Some("main".to_owned()),
        commit_id: "0123".to_owned(),
        subdirectory: Some("sub".to_owned()),
        ..Vcs::default()
    };
    let archive = Archive { file: file.clone(), subdirectory: Some("sub".to_owned()) };
    Pylock {
        lock_version: LOCK_VERSION.to_owned(),
        environments: vec!["sys_platform == 'linux'".to_owned()],
        requires_python: Some(">=3.11".to_owned()),
        extras: vec!["more".to_owned()],
        dependency_groups: vec!["dev".to_owned(), "docs".to_owned()],
        default_groups: vec!["docs".to_owned()],
        created_by: "lath".to_owned(),
        packages: vec![
            Package { sdist: Some(file.clone()), wheels: vec![file.clone(), file], ..package("a") },
            Package { directory: Some(directory), marker: Some("'more' in extras".to_owned()), ..package("b") },
            Package { vcs: Some(vcs), requires_python: Some(">=3".to_owned()), ..package("c") },
            Package { archive: Some(archive), ..package("d") },
        ],
        tool: Tool::default(),
    }
}

#[test]
fn a_lock_with_every_kind_of_package_is_read_as_it_was_written() {
    let lock = every_kind();
    let text = text(&lock);
    assert_eq!(parse(&text).unwrap(), Read { lock, is_newer: false }, "{text}");
    insta::assert_snapshot!(text, @r#"
    lock-version = "1.0"
    environments = [
        "sys_platform == 'linux'",
    ]
    requires-python = ">=3.11"
    extras = [
        "more",
    ]
    dependency-groups = [
        "dev",
        "docs",
    ]
    default-groups = [
        "docs",
    ]
    created-by = "lath"

    [[packages]]
    name = "a"
    version = "1.0"
    sdist = { url = "https://host/a%2B1-1.0.tar.gz#x", size = 3, hashes = { sha256 = "00" } }
    wheels = [
        { url = "https://host/a%2B1-1.0.tar.gz#x", size = 3, hashes = { sha256 = "00" } },
        { url = "https://host/a%2B1-1.0.tar.gz#x", size = 3, hashes = { sha256 = "00" } },
    ]

    [[packages]]
    name = "b"
    version = "1.0"
    marker = "'more' in extras"
    directory = { path = '../b "quoted"', editable = true }

    [[packages]]
    name = "c"
    version = "1.0"
    requires-python = ">=3"
    vcs = { type = "git", url = "https://host/c", requested-revision = "main", commit-id = "0123", subdirectory = "sub" }

    [[packages]]
    name = "d"
    version = "1.0"
    archive = { url = "https://host/a%2B1-1.0.tar.gz#x", size = 3, hashes = { sha256 = "00" }, subdirectory = "sub" }
    "#);
    let empty = Pylock { lock_version: LOCK_VERSION.to_owned(), created_by: "lath".to_owned(), ..Pylock::default() };
    assert_eq!(parse(&super::text(&empty)).unwrap().lock, empty);
}

#[test]
fn a_file_without_a_name_has_that_of_its_url_or_path() {
    let file = |url: Option<&str>, path: Option<&str>| File {
        url: url.map(str::to_owned),
        path: path.map(str::to_owned),
        ..File::default()
    };
    let table = [
        (file(Some("https://host/a%2B1.whl?x=/b#c"), None), Some("a+1.whl")),
        (file(None, Some("wheels/a.whl")), Some("a.whl")),
        (file(Some("https://host/"), None), None),
        (file(Some("https://host/a%2Fb.whl"), None), None),
        (file(None, None), None),
    ];
    for (file, name) in table {
        assert_eq!(file.file_name().as_deref(), name, "{file:?}");
    }
}

#[test]
fn a_version_that_lath_does_not_read_is_refused_and_a_later_minor_one_is_not() {
    let refused = |text: &str| parse(text).unwrap_err().to_string();
    assert_eq!(refused("x = "), "it is not TOML");
    assert_eq!(refused("x = 1"), "it has no `lock-version`, so it is not a lock as in PEP 751");
    for version in ["2.0", "0.9", "1.x", "", "one"] {
        let said = refused(&format!("lock-version = '{version}'"));
        assert_eq!(said, format!("its `lock-version` is `{version}`, and this lath reads version 1"));
    }
    assert!(parse("lock-version = '1.7'\nnew = 1\n[[packages]]\nname = 'x'\nnew = 2\n").unwrap().is_newer);
    assert!(!parse("lock-version = '1'").unwrap().is_newer);
    let said = refused("lock-version = '1.0'\n[tool.lath]\nversion = 2");
    assert_eq!(said, "its `[tool.lath]` table has version 2, and this lath reads version 1");
    assert_eq!(refused("lock-version = '1.0'\npackages = 3"), "it does not have the form of a lock as in PEP 751");
}
