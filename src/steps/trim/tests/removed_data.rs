//! Tests of the file that names removed data, and of the lines in `importlib.resources` that read it.

use super::*;

const COMMON: &str = "/usr/lib/python3.13/importlib/resources/_common.py";
const NAMES: &str = "/usr/lib/python3.13/importlib/_lath.py";
const PATHS: &[u8] = b"import os\nimport pathlib\n\n\ndef from_package(package):\n    pass\n";

/// Returns an image with a program that reads data, and whose code is `cli`.
fn with_data(cli: &[u8], paths: &[u8]) -> Given {
    let at = |path: &str| format!("{SITE}/{path}");
    Given::new()
        .base("stdlib", &[(COMMON, paths)])
        .asked("tool")
        .wheel(
            "tool",
            &[
                (&at("tool/__init__.py"), b"''"),
                (&at("tool/cli.py"), cli),
                (&at("tool/cli.pyi"), b"..."),
                (&at("tool/native/fast.hpp"), b"int x;"),
                (&at("tool/native/libfast.so"), b""),
                (&at("tool/native/fast.pyi"), b"..."),
                (&at("tool/tests/test_a.py"), b"import tool"),
                (&at("tool/tests/data/a.json"), b"{}"),
                (&at("tool/templates/a.html"), b"a"),
                (&at("tool/templates/b.html"), b"b"),
                (&at("tool-1.dist-info/sboms/a.json"), b"{}"),
            ],
        )
        .with_script("tool.cli")
}

const READS: &[u8] = b"import importlib.resources._common";

/// Returns the text of a file of the trimmed tree.
fn text(given: &Given, slim: &Slim, path: &str) -> Option<String> {
    let (_, node) = slim.tree.find(path)?;
    Some(String::from_utf8(given.store.read(node.digest().unwrap()).unwrap()).unwrap())
}

/// Returns the lines with the names of removed data.
fn names(given: &Given, slim: &Slim) -> Option<Vec<String>> {
    let text = text(given, slim, NAMES)?;
    let lines = text.lines().skip_while(|line| !line.starts_with("REMOVED")).skip(1);
    Some(lines.take_while(|line| *line != "\"\"\"").map(|line| line.replace(SITE, "SITE")).collect())
}

#[test]
fn removed_data_is_named_by_the_highest_folder_that_one_rule_removed() {
    let given = with_data(READS, PATHS);
    let slim = given.slim(TrimLevel::Reach, &[]);
    let lines = [
        "SITE/tool/cli.pyi type-stubs --keep SITE/tool/cli.pyi",
        "SITE/tool/native/fast.hpp extension-sources --keep SITE/tool/native/fast.hpp",
        "SITE/tool/native/fast.pyi type-stubs --keep SITE/tool/native/fast.pyi",
        "SITE/tool/tests test-suites --keep SITE/tool/tests/**",
    ];
    assert_eq!(names(&given, &slim).unwrap(), lines);
    let changed = text(&given, &slim, COMMON).unwrap();
    assert!(changed.starts_with(std::str::from_utf8(PATHS).unwrap()), "{changed}");
    assert!(changed.contains("from importlib._lath import explain"), "{changed}");
    let slim = given.traced("");
    let lines = names(&given, &slim).unwrap();
    assert!(lines.contains(&"SITE/tool/templates untraced-data --keep SITE/tool/templates/**".to_owned()), "{lines:?}");
    let given = with_data(READS, PATHS).keep("**/b.html");
    let lines = names(&given, &given.traced("")).unwrap();
    let one = "SITE/tool/templates/a.html untraced-data --keep SITE/tool/templates/a.html";
    assert!(lines.contains(&one.to_owned()), "{lines:?}");
}

#[test]
fn importlib_resources_stays_as_it_is_if_nothing_reads_the_names() {
    let none = |given: Given, level: TrimLevel| {
        let slim = given.slim(level, &[]);
        assert_eq!(names(&given, &slim), None);
        text(&given, &slim, COMMON)
    };
    let paths = |bytes: &[u8]| Some(String::from_utf8(bytes.to_vec()).unwrap());
    assert_eq!(none(with_data(READS, PATHS), TrimLevel::Standard), paths(PATHS));
    assert_eq!(none(with_data(READS, PATHS).keep(COMMON), TrimLevel::Reach), paths(PATHS));
    // The added lines need a function that this file does not have.
    let other: &[u8] = b"import pathlib\n\ndef files(package):\n    pass\n";
    assert_eq!(none(with_data(READS, other), TrimLevel::Reach), paths(other));
    assert_eq!(none(with_data(b"''", PATHS), TrimLevel::Reach), None);
    let whole = with_data(READS, PATHS).keep("/opt/**");
    assert_eq!(none(whole, TrimLevel::Reach), paths(PATHS));
}
