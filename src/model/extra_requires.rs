//! `extra-build-dependencies` in `[tool.uv]`: additional requirements for the builds of distributions.

use std::collections::BTreeMap;

use toml::Value;

use crate::model::distribution_name::normalised;

/// The parts of the table that lath supports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ExtraRequires {
    /// The requirements, by the normalised name of the distribution that is built.
    pub(crate) requirements: BTreeMap<String, Vec<String>>,
    /// The first requirement that must have the same version in the build as in the image (`match-runtime`). lath
    /// cannot support this, because it builds before it resolves the image.
    pub(crate) matching: Option<String>,
}

impl ExtraRequires {
    /// Reads the value of the key `extra-build-dependencies`. Entries in another form are left out, because uv refuses
    /// them.
    pub(crate) fn of(value: Option<&Value>) -> Self {
        let mut extra = Self::default();
        for (name, entries) in value.and_then(Value::as_table).into_iter().flatten() {
            let entries = entries.as_array().into_iter().flatten();
            let requirements = entries.filter_map(|entry| extra.requirement(entry)).collect();
            extra.requirements.insert(normalised(name), requirements);
        }
        extra
    }

    fn requirement(&mut self, entry: &Value) -> Option<String> {
        let text = entry.as_str().or_else(|| entry.get("requirement")?.as_str())?.to_owned();
        if entry.get("match-runtime").and_then(Value::as_bool) == Some(true) {
            self.matching.get_or_insert_with(|| text.clone());
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_requirement_are_read() {
        let text =
            "Flash_Attn = ['torch', { requirement = 'wheel>=1' }, { requirement = 'numpy', match-runtime = true }]";
        let table: toml::Table = toml::from_str(text).unwrap();
        let extra = ExtraRequires::of(Some(&Value::Table(table)));
        let requirements = ["torch", "wheel>=1", "numpy"].map(str::to_owned).to_vec();
        assert_eq!(extra.requirements, BTreeMap::from([("flash-attn".to_owned(), requirements)]));
        assert_eq!(extra.matching.as_deref(), Some("numpy"));
        assert_eq!(ExtraRequires::of(None), ExtraRequires::default());
    }
}
