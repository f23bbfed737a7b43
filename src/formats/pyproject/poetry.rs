//! The table `[tool.poetry]` of `pyproject.toml` (Poetry's documentation, "The pyproject.toml file").

use std::collections::{BTreeMap, BTreeSet};

use toml::Value;

use crate::formats::pyproject::poetry_version;
use crate::model::distribution_name::normalised;
use crate::model::git_url::git_url;
use crate::model::indexes::IndexEntry;

/// The parts of `[tool.poetry]` that decide what is installed. All names are normalised.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Poetry {
    /// The dependencies that are in no group.
    pub(crate) main: Vec<PoetryDependency>,
    pub(crate) groups: BTreeMap<String, PoetryGroup>,
    /// The names of the optional dependencies of each extra.
    pub(crate) extras: BTreeMap<String, Vec<String>>,
    /// The indexes, in the order in which they are searched.
    pub(crate) sources: Vec<IndexEntry>,
}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct PoetryGroup {
    dependencies: Vec<PoetryDependency>,
    /// The names of the groups that this group contains.
    included: Vec<String>,
}

/// A dependency of a project.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PoetryDependency {
    pub(crate) name: String,
    pub(crate) extras: Vec<String>,
    /// Whether the dependency is installed only with an extra.
    pub(crate) is_optional: bool,
    pub(crate) place: PoetryPlace,
    /// The name of its index in [`Poetry::sources`].
    pub(crate) index: Option<String>,
    /// A marker as in PEP 508.
    pub(crate) marker: Option<String>,
}

/// The place where a dependency is found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PoetryPlace {
    /// An index has it. The text is a constraint of PEP 440, or empty.
    Index(String),
    /// An index has it, but the constraint has no form in PEP 440.
    Unclear(String),
    /// A URL in the form that PEP 508 has after the `@`.
    Url(String),
    /// A path, relative to the folder of the project.
    Path(String),
}

impl Poetry {
    pub(super) fn read(table: &Value) -> Self {
        let mut groups = BTreeMap::new();
        if let Some(dev) = table.get("dev-dependencies") {
            groups.insert("dev".to_owned(), PoetryGroup { dependencies: dependencies(dev), included: Vec::new() });
        }
        for (name, group) in table.get("group").and_then(Value::as_table).into_iter().flatten() {
            let group = PoetryGroup {
                dependencies: group.get("dependencies").map(dependencies).unwrap_or_default(),
                included: normalised_names(group.get("include-groups")),
            };
            groups.insert(normalised(name), group);
        }
        let extras = table.get("extras").and_then(Value::as_table).into_iter().flatten();
        Self {
            main: table.get("dependencies").map(dependencies).unwrap_or_default(),
            groups,
            extras: extras.map(|(name, names)| (normalised(name), normalised_names(Some(names)))).collect(),
            sources: sources(table.get("source")),
        }
    }

    /// Returns the dependencies of the project itself, with those of `extras`.
    pub(crate) fn main_with(&self, extras: &[String]) -> Vec<&PoetryDependency> {
        let wanted: BTreeSet<&String> = extras.iter().filter_map(|extra| self.extras.get(extra)).flatten().collect();
        self.main.iter().filter(|one| !one.is_optional || wanted.contains(&one.name)).collect()
    }

    /// Returns the dependencies of a group, with those of the groups that it contains. Returns `None` if there is no
    /// such group.
    pub(crate) fn of_group(&self, name: &str) -> Option<Vec<&PoetryDependency>> {
        self.groups.get(name)?;
        let (mut seen, mut waiting, mut found) = (BTreeSet::new(), vec![name], Vec::new());
        while let Some(name) = waiting.pop() {
            let Some(group) = self.groups.get(name).filter(|_| seen.insert(name)) else { continue };
            found.extend(&group.dependencies);
            waiting.extend(group.included.iter().map(String::as_str));
        }
        Some(found)
    }
}

fn normalised_names(list: Option<&Value>) -> Vec<String> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(normalised).collect()
}

/// Returns the dependencies of a table. A dependency may have several entries with different markers.
fn dependencies(table: &Value) -> Vec<PoetryDependency> {
    let each = |(name, value): (&String, &Value)| {
        let entries = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        entries.iter().map(|entry| dependency(name, entry)).collect::<Vec<_>>()
    };
    let table = table.as_table().into_iter().flatten().filter(|(name, _)| *name != "python");
    table.flat_map(each).collect()
}

fn dependency(name: &str, value: &Value) -> PoetryDependency {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let place = match (text("git"), text("url"), text("path").or_else(|| text("file"))) {
        (Some(git), _, _) => {
            let revision = text("rev").or_else(|| text("tag")).or_else(|| text("branch"));
            PoetryPlace::Url(git_url(git, revision, text("subdirectory")))
        }
        (_, Some(url), _) => PoetryPlace::Url(url.to_owned()),
        (_, _, Some(path)) => PoetryPlace::Path(path.to_owned()),
        _ => {
            let written = value.as_str().or_else(|| text("version")).unwrap_or("*");
            let version = poetry_version::to_pep440(written);
            version.map_or_else(|| PoetryPlace::Unclear(written.to_owned()), PoetryPlace::Index)
        }
    };
    let python = text("python").and_then(poetry_version::to_marker);
    let platform = text("platform").map(poetry_version::platform_to_marker);
    let markers: Vec<String> = [text("markers").map(str::to_owned), python, platform].into_iter().flatten().collect();
    let marker = markers.iter().map(|marker| format!("({marker})")).collect::<Vec<_>>().join(" and ");
    PoetryDependency {
        name: normalised(name),
        extras: normalised_names(value.get("extras")),
        is_optional: value.get("optional").and_then(Value::as_bool).unwrap_or(false),
        place,
        index: text("source").map(str::to_owned),
        marker: (!marker.is_empty()).then_some(marker),
    }
}

/// Returns the indexes, without PyPI. If there are primary sources and PyPI is not one of them, the last one replaces
/// PyPI (Poetry's documentation, "Repositories").
fn sources(list: Option<&Value>) -> Vec<IndexEntry> {
    let (mut first, mut later, mut has_pypi) = (Vec::new(), Vec::new(), false);
    for source in list.and_then(Value::as_array).into_iter().flatten() {
        let text = |key: &str| source.get(key).and_then(Value::as_str);
        let is_set = |key: &str| source.get(key).and_then(Value::as_bool).unwrap_or(false);
        let priority = text("priority").map(str::to_lowercase);
        let priority = match priority.as_deref() {
            None if is_set("default") => "default",
            None if is_set("secondary") => "supplemental",
            other => other.unwrap_or("primary"),
        };
        let name = text("name").unwrap_or_default().to_owned();
        let Some(url) = text("url").filter(|_| !name.eq_ignore_ascii_case("pypi")) else {
            has_pypi |= priority != "explicit";
            continue;
        };
        let index = IndexEntry {
            name: Some(name),
            url: url.into(),
            is_default: priority == "default",
            is_explicit: priority == "explicit",
            is_of_poetry: true,
            ..IndexEntry::default()
        };
        if ["primary", "default"].contains(&priority) { first.push(index) } else { later.push(index) }
    }
    if !has_pypi
        && !first.iter().any(|index| index.is_default)
        && let Some(last) = first.last_mut()
    {
        last.is_default = true;
    }
    first.into_iter().chain(later).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::pyproject::Pyproject;

    fn read(text: &str) -> Poetry {
        Pyproject::parse(text).unwrap().poetry
    }

    #[test]
    fn dependencies_have_a_place_and_a_marker() {
        let poetry = read(
            r#"
            [tool.poetry.dependencies]
            python = "^3.10"
            Django = "^4.2"
            uvicorn = { version = "~0.30", extras = ["Standard"], markers = "sys_platform == 'linux'" }
            old = [{ version = "1.*", python = "<3.11" }, { version = "*", platform = "linux" }]
            numpy = "~1.26 || ^3.0"
            mine = { path = "../mine", develop = true }
            wheel = { file = "dist/wheel-1-py3-none-any.whl" }
            tool = { git = "git@host.example:team/tool.git", tag = "v1", subdirectory = "python" }
            file = { url = "https://host.example/file-1.tar.gz" }
            inner = { version = "1", source = "Private" }
        "#,
        );
        let shown = |one: &PoetryDependency| (one.name.clone(), one.place.clone(), one.marker.clone());
        let index = |text: &str| PoetryPlace::Index(text.to_owned());
        let url = |text: &str| PoetryPlace::Url(text.to_owned());
        let path = |text: &str| PoetryPlace::Path(text.to_owned());
        let marker = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let expected = [
            ("django", index(">=4.2,<5"), ""),
            ("uvicorn", index(">=0.30,<0.31"), "(sys_platform == 'linux')"),
            ("old", index("==1.*"), "(python_version < '3.11')"),
            ("old", index(""), "((sys_platform == 'linux'))"),
            ("numpy", PoetryPlace::Unclear("~1.26 || ^3.0".to_owned()), ""),
            ("mine", path("../mine"), ""),
            ("wheel", path("dist/wheel-1-py3-none-any.whl"), ""),
            ("tool", url("git+ssh://git@host.example/team/tool.git@v1#subdirectory=python"), ""),
            ("file", url("https://host.example/file-1.tar.gz"), ""),
            ("inner", index("==1"), ""),
        ];
        let expected = expected.map(|(name, place, text)| (name.to_owned(), place, marker(text)));
        assert_eq!(poetry.main.iter().map(shown).collect::<Vec<_>>(), expected);
        assert_eq!(
            (&poetry.main[1].extras[..], poetry.main[9].index.as_deref()),
            (&["standard".to_owned()][..], Some("Private"))
        );
    }

    #[test]
    fn extras_and_groups_add_dependencies() {
        let poetry = read(
            r#"
            [tool.poetry.dependencies]
            a = "*"
            b = { version = "*", optional = true }
            [tool.poetry.extras]
            Fast_IO = ["B"]
            [tool.poetry.dev-dependencies]
            pytest = "*"
            [tool.poetry.group.All_Docs]
            include-groups = ["docs", "all-docs"]
            [tool.poetry.group.docs]
            optional = true
            dependencies = { sphinx = "*" }
        "#,
        );
        let names = |found: Vec<&PoetryDependency>| found.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(poetry.main_with(&[])), ["a"]);
        assert_eq!(names(poetry.main_with(&["fast-io".to_owned()])), ["a", "b"]);
        assert_eq!(names(poetry.of_group("dev").unwrap()), ["pytest"]);
        assert_eq!(names(poetry.of_group("all-docs").unwrap()), ["sphinx"]);
        assert_eq!(poetry.of_group("main"), None);
    }

    #[test]
    fn indexes_are_searched_by_priority() {
        let sources = |text: &str| {
            let shown = |index: &IndexEntry| (index.name.clone().unwrap(), index.is_default, index.is_explicit);
            read(text).sources.iter().map(shown).collect::<Vec<_>>()
        };
        let source = |name: &str, priority: &str| {
            format!("[[tool.poetry.source]]\nname = '{name}'\nurl = 'https://{name}.example/'\n{priority}\n")
        };
        let of = |name: &str, is_default, is_explicit| (name.to_owned(), is_default, is_explicit);
        let [two, first] = [source("two", "priority = 'supplemental'"), source("first", "")];
        assert_eq!(sources(&format!("{two}{first}")), [of("first", true, false), of("two", false, false)]);
        let pypi = "[[tool.poetry.source]]\nname = 'PyPI'\n";
        assert_eq!(sources(&format!("{pypi}{first}")), [of("first", false, false)]);
        assert_eq!(sources(&source("own", "priority = 'explicit'")), [of("own", false, true)]);
        assert_eq!(sources(&source("own", "secondary = true")), [of("own", false, false)]);
        let default = source("mirror", "default = true");
        assert_eq!(sources(&format!("{first}{default}")), [of("first", false, false), of("mirror", true, false)]);
    }
}
