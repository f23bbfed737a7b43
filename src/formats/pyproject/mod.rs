//! Reads the parts of `pyproject.toml` that lath needs before it resolves. uv's crates read the rest.
//!
//! Sources: the [PyPA specification](https://packaging.python.org/en/latest/specifications/pyproject-toml/), and for
//! the tables of Poetry, Poetry's documentation, "The pyproject.toml file".

pub(crate) mod poetry;
mod poetry_version;

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Value;

use self::poetry::Poetry;
use crate::model::distribution_name::normalised;
use crate::model::indexes::IndexEntry;

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
    /// The table `[tool.poetry]`. It is empty if the file has none.
    pub(crate) poetry: Poetry,
    /// The groups in `[tool.pdm.dev-dependencies]`, with requirements as in PEP 508.
    pub(crate) pdm_groups: BTreeMap<String, Vec<String>>,
    /// The indexes in `[[tool.pdm.source]]`.
    pub(crate) pdm_sources: Vec<IndexEntry>,
    /// The table `[tool.uv]`.
    pub(crate) tool_uv: toml::Table,
    /// The names of the tables `[tool.NAME]` in the file.
    pub(crate) tools: Vec<String>,
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
            poetry: document.tool.get("poetry").map(Poetry::read).unwrap_or_default(),
            pdm_groups: pdm_groups(table(&["pdm", "dev-dependencies"])),
            pdm_sources: pdm_sources(table(&["pdm", "source"])),
            tool_uv: table(&["uv"]).and_then(Value::as_table).cloned().unwrap_or_default(),
            tools: document.tool.keys().cloned().collect(),
        })
    }
}

/// Returns the groups of PDM that are not in the standard table `[dependency-groups]`. Packages in development
/// (`-e ...`) are left out, because a group of an image cannot contain them.
fn pdm_groups(table: Option<&Value>) -> BTreeMap<String, Vec<String>> {
    let texts = |value: &Value| {
        let texts = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        texts.filter(|text| !text.starts_with("-e ")).map(str::to_owned).collect()
    };
    let groups = table.and_then(Value::as_table).into_iter().flatten();
    groups.map(|(name, value)| (normalised(name), texts(value))).collect()
}

/// Returns the indexes of PDM. The index with the name `pypi` replaces PyPI (PDM's documentation, "Configure the
/// package indexes").
fn pdm_sources(list: Option<&Value>) -> Vec<IndexEntry> {
    let source = |source: &Value| {
        let text = |key: &str| source.get(key).and_then(Value::as_str);
        Some(IndexEntry {
            name: text("name").map(str::to_owned),
            url: text("url")?.into(),
            is_default: text("name") == Some("pypi"),
            is_flat: text("type") == Some("find_links"),
            ..IndexEntry::default()
        })
    };
    list.and_then(Value::as_array).into_iter().flatten().filter_map(source).collect()
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
    fn the_groups_and_indexes_of_pdm_are_read() {
        let text = r#"
            [tool.pdm.dev-dependencies]
            Test_All = ["pytest>=7", "-e file:///x#egg=x"]
            [[tool.pdm.source]]
            name = "pypi"
            url = "https://index.example/simple"
            [[tool.pdm.source]]
            url = "https://files.example/links"
            type = "find_links"
        "#;
        let read = Pyproject::parse(text).unwrap();
        assert_eq!(read.pdm_groups["test-all"], ["pytest>=7"]);
        let sources: Vec<_> = read.pdm_sources.iter().map(|source| (source.is_default, source.is_flat)).collect();
        assert_eq!(sources, [(true, false), (false, true)]);
    }
}
