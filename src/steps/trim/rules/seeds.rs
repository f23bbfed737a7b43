//! Removes wheels of pip and setuptools that virtualenv contains for new environments. A wheel is removed if it is for
//! a Python that the image does not have and that no program in the image could install.

use std::collections::BTreeSet;

use super::{Proposal, Scene};
use crate::model::image_path::ImagePath;
use crate::model::platform::PythonVersion;
use crate::model::reason::Removed;
use crate::model::tree::{Node, Origin};
use crate::model::vocabulary::PYTHON_BUILD_STANDALONE;
use crate::outside::store::StoreError;

const VIRTUALENV: &str = "virtualenv";

/// The module with the table of wheels: for each version of Python, the wheels in the same folder.
const TABLE: &str = "/virtualenv/seed/wheels/embed/__init__.py";

/// Removes the wheels that virtualenv installs only into environments of Pythons that are not in the image. They stay
/// if the image contains another interpreter, or a program that fetches interpreters. If the user requested virtualenv
/// itself, everything stays, because virtualenv can fetch newer wheels for each Python.
pub(super) fn foreign(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    let Some((table, node)) = scene.tree.nodes.iter().find(|(path, node)| is_table(path, node)) else {
        return Ok(Vec::new());
    };
    let version = scene.python();
    if scene.lock().requests(VIRTUALENV)
        || scene.is_mentioned(&[PYTHON_BUILD_STANDALONE])
        || scene.tree.nodes.keys().any(|path| is_other_interpreter(path, version))
    {
        return Ok(Vec::new());
    }
    let (Some(digest), Some(directory)) = (node.digest(), table.parent()) else { return Ok(Vec::new()) };
    let text = scene.store().read(digest)?;
    let wheels = wheels_for_others(&String::from_utf8_lossy(&text), version);
    let paths = wheels.iter().filter_map(|wheel| directory.join(wheel).ok());
    let going = paths.filter(|path| scene.tree.nodes.get(path).is_some_and(is_of_virtualenv));
    Ok(going.map(|path| Proposal::Remove { path, reason: Removed::ForeignSeeds }).collect())
}

fn is_of_virtualenv(node: &Node) -> bool {
    matches!(&node.origin, Origin::Wheel { name, .. } if name == VIRTUALENV)
}

fn is_table(path: &ImagePath, node: &Node) -> bool {
    path.as_str().ends_with(TABLE) && is_of_virtualenv(node)
}

/// Returns whether `path` is another interpreter than the image's own Python, such as `bin/python3.9`, `bin/pypy3.11`
/// or `bin/graalpy`. virtualenv could make an environment for such an interpreter.
fn is_other_interpreter(path: &ImagePath, version: PythonVersion) -> bool {
    let name = path.file_name();
    let is_minor = |minor: &str| !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit());
    let is_other = name.strip_prefix("python3.").is_some_and(is_minor) && name != format!("python{version}");
    path.parent().is_some_and(|directory| directory.file_name() == "bin")
        && (is_other || name.starts_with("pypy") || name.starts_with("graalpy"))
}

/// Returns the wheels that `table` lists only for other Pythons. This table, `BUNDLE_SUPPORT`, maps each version to
/// projects, and each project to a file name. The wheels for the version `MAX` stay, too, because virtualenv uses them
/// for a Python that the table does not contain. Empty if the table cannot be read or has no entry for `version`.
fn wheels_for_others(table: &str, version: PythonVersion) -> BTreeSet<String> {
    let Some((bundles, after)) = bundles(table) else { return BTreeSet::new() };
    let of = |version: &str| bundles.iter().find(|(key, _)| *key == version);
    let fallback = after.lines().find_map(|line| line.strip_prefix("MAX")).and_then(|assignment| {
        let (_, value) = assignment.split_once('=')?;
        match value.trim().trim_matches(['"', '\'']) {
            "next(reversed(BUNDLE_SUPPORT))" => bundles.last(),
            literal => of(literal),
        }
    });
    let (Some((_, own)), Some((_, fallback))) = (of(&version.to_string()), fallback) else { return BTreeSet::new() };
    let all = bundles.iter().flat_map(|(_, wheels)| wheels);
    all.filter(|wheel| !own.contains(wheel) && !fallback.contains(wheel)).map(|wheel| (*wheel).to_owned()).collect()
}

/// For each version of Python, its wheels, in the order of the table.
type Bundles<'a> = Vec<(&'a str, Vec<&'a str>)>;

/// Reads `BUNDLE_SUPPORT`, a literal dictionary of dictionaries of strings. Returns each key of the outer dictionary
/// with the values of its inner dictionary, and the text after the outer dictionary. `None` if the table has another
/// form.
fn bundles(table: &str) -> Option<(Bundles<'_>, &str)> {
    let (_, assignment) = table.split_once("BUNDLE_SUPPORT")?;
    let (_, mut rest) = assignment.split_once('{')?;
    let mut bundles = Bundles::new();
    let mut is_inside = false;
    let mut is_value = false;
    loop {
        rest = rest.trim_start();
        let token = rest.chars().next()?;
        rest = &rest[token.len_utf8()..];
        match token {
            '\'' | '"' => {
                let (text, after) = rest.split_once(token)?;
                rest = after;
                match (is_inside, is_value) {
                    (false, _) => bundles.push((text, Vec::new())),
                    (true, true) => bundles.last_mut()?.1.push(text),
                    (true, false) => {}
                }
            }
            ':' => is_value = true,
            ',' => is_value = false,
            '{' if !is_inside => (is_inside, is_value) = (true, false),
            '}' if is_inside => (is_inside, is_value) = (false, false),
            '}' => return Some((bundles, rest)),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMBED: &str = r#"
BUNDLE_FOLDER = Path(__file__).absolute().parent
BUNDLE_SUPPORT: Final[dict[str, dict[str, str]]] = {
    "3.9": {
        "pip": "pip-26.0-py3-none-any.whl",
        'setuptools': 'setuptools-82.0-py3-none-any.whl',
    },
    "3.10": {"pip": "pip-26.3-py3-none-any.whl", "setuptools": "setuptools-82.0-py3-none-any.whl"},
    "3.11": {"pip": "pip-26.4-py3-none-any.whl", "setuptools": "setuptools-84.2-py3-none-any.whl"},
}
#: The newest Python version with bundled wheels.
MAX: Final[str] = next(reversed(BUNDLE_SUPPORT))
"#;

    fn foreign_to(table: &str, version: &str) -> Vec<String> {
        wheels_for_others(table, version.parse().unwrap()).into_iter().collect()
    }

    #[test]
    fn wheels_for_the_images_python_and_for_unknown_ones_stay() {
        assert_eq!(foreign_to(EMBED, "3.10"), ["pip-26.0-py3-none-any.whl"]);
        let foreign_to_newest =
            ["pip-26.0-py3-none-any.whl", "pip-26.3-py3-none-any.whl", "setuptools-82.0-py3-none-any.whl"];
        assert_eq!(foreign_to(EMBED, "3.11"), foreign_to_newest);
        // This is the form of the table in older versions of virtualenv 20.
        let oldest = EMBED.replace(": Final[str] = next(reversed(BUNDLE_SUPPORT))", " = \"3.9\"");
        assert_eq!(foreign_to(&oldest, "3.11"), ["pip-26.3-py3-none-any.whl"]);
    }

    #[test]
    fn a_table_of_another_form_takes_nothing() {
        assert!(foreign_to(EMBED, "3.13").is_empty());
        for table in [
            EMBED.replace("BUNDLE_SUPPORT: ", "BUNDLES: "),
            EMBED.replace("\"3.9\"", "OLDEST"),
            EMBED.replace("},\n}", "}"),
            EMBED.replace("{\"pip\"", "{**NEWEST, \"pip\""),
            EMBED.replace("MAX", "LAST"),
            EMBED.replace("next(reversed(", "max(("),
        ] {
            assert!(foreign_to(&table, "3.11").is_empty(), "{table}");
        }
    }

    #[test]
    fn another_interpreter_is_known_by_its_name() {
        let version: PythonVersion = "3.13".parse().unwrap();
        let table = [
            ("/usr/bin/python3.13", false),
            ("/usr/bin/python3", false),
            ("/usr/bin/python3.13-config", false),
            ("/usr/lib/python3.9", false),
            ("/opt/py/bin/python3.9", true),
            ("/usr/bin/pypy3.11", true),
        ];
        for (path, is_other) in table {
            assert_eq!(is_other_interpreter(&ImagePath::parse(path).unwrap(), version), is_other, "{path}");
        }
    }
}
