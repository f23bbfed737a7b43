//! The metadata in a script.

use serde::Deserialize;

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct ScriptMetadata {
    /// The requirements, in the form of PEP 508.
    pub(crate) dependencies: Vec<String>,
    /// Specifiers for Python, as in PEP 440.
    pub(crate) requires_python: Option<String>,
    tool: Tools,
}

impl ScriptMetadata {
    /// Returns the table `[tool.uv]`.
    pub(crate) fn tool_uv(&self) -> Option<&toml::Table> {
        self.tool.uv.as_ref()
    }
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Tools {
    uv: Option<toml::Table>,
}
