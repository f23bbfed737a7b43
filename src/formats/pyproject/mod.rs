//! Reads the parts of `pyproject.toml` that lath needs before it resolves. uv's crates read the rest.
//!
//! Sources: the [PyPA specification](https://packaging.python.org/en/latest/specifications/pyproject-toml/), and for
//! the tables of Poetry, Poetry's documentation, "The pyproject.toml file".

mod poetry_version;

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Value;

use crate::model::distribution_name::normalised;

/// The facts about a `pyproject.toml`.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Pyproject {
    /// The name as it is written, not normalised.
    pub(crate) name: Option<String>,
    /// Specifiers as in PEP 440, such as `>=3.10`.
    pub(crate) requires_python: Option<String>,
    /// Whether the project can be installed as a distribution.
    pub(crate) is_package: bool,
    /// The names of its console scripts.
    pub(crate) scripts: Vec<String>,
    /// Whether the file describes a project and not only settings of tools. If so, it has a table `[project]`,
    /// `[build-system]`, `[dependency-groups]`, `[tool.poetry]` or `[tool.uv.workspace]`.
    pub(crate) is_project: bool,
    /// Whether the dependencies are only in `[tool.poetry]`.
    pub(crate) is_of_poetry: bool,
    /// The dependencies in `[tool.poetry]`, by group and in the form of PEP 508. The group `main` contains the
    /// dependencies that are in no group. An optional group is installed only if the user names it.
    pub(crate) poetry_groups: BTreeMap<String, PoetryGroup>,
    /// The table `[tool.uv]`.
    pub(crate) tool_uv: toml::Table,
    /// The names of the tables `[tool.NAME]` in the file.
    pub(crate) tools: Vec<String>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PoetryGroup {
    pub(crate) is_optional: bool,
    /// The normalised names of its direct dependencies.
    pub(crate) names: Vec<String>,
    /// The direct dependencies in the form of PEP 508. A dependency is missing if lath cannot convert it.
    pub(crate) requirements: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    project: Option<ProjectTable>,
    build_system: Option<Value>,
    dependency_groups: Option<Value>,
    #[serde(default)]
    tool: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ProjectTable {
    name: Option<String>,
    requires_python: Option<String>,
    #[serde(default)]
    scripts: BTreeMap<String, Value>,
}

impl Pyproject {
    /// Reads the text of a `pyproject.toml`. The tables of other tools are not checked.
    pub(crate) fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let document: Document = toml::from_str(text)?;
        let table = |path: &[&str]| {
            let mut tables = path.iter();
            let first = document.tool.get(*tables.next()?)?;
            tables.try_fold(first, |value, name| value.get(name))
        };
        let poetry = |name: &str| table(&["poetry", name]);
        let project = document.project.as_ref();
        let is_of_poetry = project.is_none() && document.tool.contains_key("poetry");
        let requires_python = project.and_then(|project| project.requires_python.clone()).or_else(|| {
            poetry_version::to_pep440(poetry("dependencies")?.get("python")?.as_str()?).filter(|text| !text.is_empty())
        });
        let scripts = project.map(|project| project.scripts.keys().cloned().collect::<Vec<_>>());
        let of_poetry = || {
            let scripts = poetry("scripts").and_then(Value::as_table);
            scripts.map(|scripts| scripts.keys().cloned().collect()).unwrap_or_default()
        };
        let is_package = match (table(&["uv", "package"]), poetry("package-mode"), table(&["pdm", "distribution"])) {
            (Some(Value::Boolean(is_package)), _, _)
            | (_, Some(Value::Boolean(is_package)), _)
            | (_, _, Some(Value::Boolean(is_package))) => *is_package,
            _ => document.build_system.is_some() || is_of_poetry,
        };
        Ok(Self {
            name: project
                .and_then(|project| project.name.clone())
                .or_else(|| poetry("name")?.as_str().map(str::to_owned)),
            requires_python,
            is_package,
            scripts: scripts.filter(|scripts| !scripts.is_empty()).unwrap_or_else(of_poetry),
            is_project: project.is_some()
                || document.build_system.is_some()
                || document.dependency_groups.is_some()
                || is_of_poetry
                || table(&["uv", "workspace"]).is_some(),
            is_of_poetry,
            poetry_groups: poetry_groups(document.tool.get("poetry")),
            tool_uv: table(&["uv"]).and_then(Value::as_table).cloned().unwrap_or_default(),
            tools: document.tool.keys().cloned().collect(),
        })
    }
}

/// Returns the dependencies in the table `[tool.poetry]`.
fn poetry_groups(poetry: Option<&Value>) -> BTreeMap<String, PoetryGroup> {
    let mut groups = BTreeMap::new();
    let Some(poetry) = poetry else { return groups };
    if let Some(main) = poetry.get("dependencies").and_then(Value::as_table) {
        groups.insert("main".to_owned(), poetry_group(main, false));
    }
    if let Some(dev) = poetry.get("dev-dependencies").and_then(Value::as_table) {
        groups.insert("dev".to_owned(), poetry_group(dev, false));
    }
    for (name, group) in poetry.get("group").and_then(Value::as_table).into_iter().flatten() {
        let is_optional = group.get("optional").and_then(Value::as_bool).unwrap_or(false);
        let table = group.get("dependencies").and_then(Value::as_table).cloned().unwrap_or_default();
        groups.insert(name.clone(), poetry_group(&table, is_optional));
    }
    groups
}

fn poetry_group(table: &toml::Table, is_optional: bool) -> PoetryGroup {
    let mut group = PoetryGroup { is_optional, ..PoetryGroup::default() };
    for (name, value) in table.iter().filter(|(name, _)| *name != "python") {
        // An optional dependency belongs to an extra, and not to the group.
        if value.get("optional").and_then(Value::as_bool).unwrap_or(false) {
            continue;
        }
        group.names.push(normalised(name));
        let each = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        group.requirements.extend(each.iter().filter_map(|value| poetry_requirement(name, value)));
    }
    group
}

/// Returns a dependency of Poetry in the form of PEP 508. Returns `None` for a path, because PEP 508 has no form for a
/// path that is relative to the project.
fn poetry_requirement(name: &str, value: &Value) -> Option<String> {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let extras: Vec<&str> =
        value.get("extras").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let extras = if extras.is_empty() { String::new() } else { format!("[{}]", extras.join(",")) };
    let source = match (value.as_str().or_else(|| text("version")), text("git"), text("url")) {
        (_, Some(git), _) => {
            let revision = text("rev").or_else(|| text("tag")).or_else(|| text("branch"));
            let folder = text("subdirectory").map(|folder| format!("#subdirectory={folder}")).unwrap_or_default();
            format!(" @ git+{git}{}{folder}", revision.map(|revision| format!("@{revision}")).unwrap_or_default())
        }
        (_, _, Some(url)) => format!(" @ {url}"),
        (Some(version), _, _) => poetry_version::to_pep440(version)?,
        (None, None, None) => return None,
    };
    let python = text("python").and_then(poetry_version::to_marker);
    let markers: Vec<String> = [text("markers").map(str::to_owned), python].into_iter().flatten().collect();
    let marker = markers.iter().map(|marker| format!("({marker})")).collect::<Vec<_>>().join(" and ");
    let marker = if marker.is_empty() { marker } else { format!(" ; {marker}") };
    Some(format!("{name}{extras}{source}{marker}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standard_project_is_read() {
        let text = r#"
            [project]
            name = "My_Service"
            requires-python = ">=3.11"
            scripts = { serve = "my.service:main" }
            [build-system]
            requires = ["hatchling"]
            [tool.ruff]
        "#;
        let read = Pyproject::parse(text).unwrap();
        assert_eq!(read.name.as_deref(), Some("My_Service"));
        assert_eq!(read.requires_python.as_deref(), Some(">=3.11"));
        assert_eq!((read.is_package, read.is_of_poetry), (true, false));
        assert_eq!((read.scripts, read.tools), (vec!["serve".to_owned()], vec!["ruff".to_owned()]));
    }

    #[test]
    fn the_tables_of_tools_decide_whether_a_project_is_a_package() {
        let is_package = |text: &str| Pyproject::parse(text).unwrap().is_package;
        assert!(!is_package("[project]\nname = 'x'"));
        assert!(is_package("[project]\nname = 'x'\n[tool.uv]\npackage = true"));
        assert!(!is_package("[project]\nname = 'x'\n[build-system]\n[tool.uv]\npackage = false"));
        assert!(is_package("[tool.poetry]\nname = 'x'"));
        assert!(!is_package("[tool.poetry]\npackage-mode = false\n[build-system]"));
        assert!(!is_package("[project]\nname = 'x'\n[build-system]\n[tool.pdm]\ndistribution = false"));
    }

    #[test]
    fn the_dependencies_of_poetry_become_requirements() {
        let text = r#"
            [tool.poetry]
            name = "site"
            [tool.poetry.dependencies]
            python = "^3.10"
            Django = "^4.2"
            uvicorn = { version = "~0.30", extras = ["standard"], markers = "sys_platform == 'linux'" }
            old = [{ version = "1.*", python = "<3.11" }, { version = "*", python = ">=3.11" }]
            extra = { version = "1", optional = true }
            mine = { path = "../mine" }
            [tool.poetry.group.docs]
            optional = true
            dependencies = { sphinx = "*" }
        "#;
        let read = Pyproject::parse(text).unwrap();
        assert_eq!(read.requires_python.as_deref(), Some(">=3.10,<4"));
        let main = &read.poetry_groups["main"];
        assert_eq!(main.names, ["django", "uvicorn", "old", "mine"]);
        let expected = [
            "Django>=4.2,<5",
            "uvicorn[standard]>=0.30,<0.31 ; (sys_platform == 'linux')",
            "old==1.* ; (python_version < '3.11')",
            "old ; (python_version >= '3.11')",
        ];
        assert_eq!(main.requirements, expected);
        assert!(read.poetry_groups["docs"].is_optional);
    }
}
