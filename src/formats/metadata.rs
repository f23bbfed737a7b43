//! The core metadata of a distribution (packaging.python.org, "Core metadata specifications").

/// SPDX identifiers that may be in the old field `License`. Each identifier is paired with the classifier that has
/// exactly the same meaning. `BSD License` and `Apache Software License` are not listed, because they do not include a
/// version.
const LICENSES: [(&str, &str); 19] = [
    ("0BSD", "Zero-Clause BSD (0BSD)"),
    ("AGPL-3.0-only", "GNU Affero General Public License v3"),
    ("AGPL-3.0-or-later", "GNU Affero General Public License v3 or later (AGPLv3+)"),
    ("Apache-2.0", ""),
    ("BSD-2-Clause", ""),
    ("BSD-3-Clause", ""),
    ("GPL-2.0-only", "GNU General Public License v2 (GPLv2)"),
    ("GPL-2.0-or-later", "GNU General Public License v2 or later (GPLv2+)"),
    ("GPL-3.0-only", "GNU General Public License v3 (GPLv3)"),
    ("GPL-3.0-or-later", "GNU General Public License v3 or later (GPLv3+)"),
    ("ISC", "ISC License (ISCL)"),
    ("LGPL-3.0-only", "GNU Lesser General Public License v3 (LGPLv3)"),
    ("LGPL-3.0-or-later", "GNU Lesser General Public License v3 or later (LGPLv3+)"),
    ("MIT", "MIT License"),
    ("MIT-0", "MIT No Attribution License (MIT-0)"),
    ("MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)"),
    ("PSF-2.0", ""),
    ("Unlicense", "The Unlicense (Unlicense)"),
    ("Zlib", ""),
];

/// The metadata fields that are shown to the user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) summary: Option<String>,
    /// The license as an SPDX expression, if it is unambiguous.
    pub(crate) licenses: Option<String>,
    pub(crate) homepage: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) documentation: Option<String>,
}

/// Returns the first field called `name` that comes before the description. `name` is in lower case.
pub(crate) fn field(text: &str, name: &str) -> Option<String> {
    fields(text).into_iter().find(|(field, _)| field.to_ascii_lowercase() == name).map(|(_, value)| value)
}

/// Reads the fields that come before the description. Fields that cannot be read are left out, because no program
/// depends on them.
pub(crate) fn read(text: &str) -> Metadata {
    let mut metadata = Metadata::default();
    let (mut license, mut classified) = (None, Vec::new());
    for (name, value) in fields(text) {
        match name.to_ascii_lowercase().as_str() {
            "summary" => metadata.summary = Some(value),
            "license-expression" => metadata.licenses = Some(value),
            "license" => license = LICENSES.iter().find(|(id, _)| id.eq_ignore_ascii_case(&value)).map(|(id, _)| *id),
            "classifier" => {
                if let Some(name) = value.strip_prefix("License :: OSI Approved :: ") {
                    classified.push(LICENSES.iter().find(|(_, known)| *known == name).map(|(id, _)| *id));
                }
            }
            "home-page" => metadata.homepage = metadata.homepage.or_else(|| web(&value)),
            "project-url" => {
                if let Some((label, url)) = value.split_once(',')
                    && let Some(place) = place(&mut metadata, label)
                {
                    *place = web(url).or_else(|| place.take());
                }
            }
            _ => {}
        }
    }
    // Several classifiers are ignored, because it is unclear whether they mean "and" or "or".
    let classified = if let [Some(one)] = classified.as_slice() { Some(*one) } else { None };
    metadata.licenses = metadata.licenses.or_else(|| license.or(classified).map(str::to_owned));
    metadata
}

/// Returns the requirements in the form of PEP 508, and the names of all extras.
pub(crate) fn requirements(text: &str) -> (Vec<String>, Vec<String>) {
    let (mut requirements, mut extras) = (Vec::new(), Vec::new());
    for (name, value) in fields(text) {
        match name.to_ascii_lowercase().as_str() {
            "requires-dist" => requirements.push(value),
            "provides-extra" => extras.push(value),
            _ => {}
        }
    }
    (requirements, extras)
}

/// Reads `Name: value` lines up to the first empty line, and joins continuation lines with spaces. Skips values that
/// are empty or `UNKNOWN`.
fn fields(text: &str) -> Vec<(&str, String)> {
    let mut fields: Vec<(&str, String)> = Vec::new();
    for line in text.lines().take_while(|line| !line.trim_end().is_empty()) {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim(), value.trim().to_owned()));
        }
    }
    fields.retain(|(_, value)| !value.is_empty() && value != "UNKNOWN");
    fields
}

/// Returns the field of `metadata` for the URL with this label (packaging.python.org, "Well-known Project URLs in
/// Metadata").
fn place<'a>(metadata: &'a mut Metadata, label: &str) -> Option<&'a mut Option<String>> {
    let plain: String =
        label.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    match plain.as_str() {
        "homepage" => Some(&mut metadata.homepage),
        "source" | "repository" | "sourcecode" | "github" => Some(&mut metadata.source),
        "documentation" | "docs" => Some(&mut metadata.documentation),
        _ => None,
    }
}

fn web(url: &str) -> Option<String> {
    let url = url.trim();
    ["https://", "http://"].iter().any(|scheme| url.starts_with(scheme)).then(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_distribution_says_of_itself_is_read_up_to_its_description() {
        let text = "Metadata-Version: 2.4\nName: tool\nSummary: A tool\n  of two lines\nLicense-Expression: MIT OR ISC\n\
            License: GPL-3.0-only\nHome-page: UNKNOWN\nProject-URL: Home Page, https://tool.example\n\
            Project-URL: Source Code, https://code.example/tool\nProject-URL: docs , https://docs.example\n\
            Project-URL: Bugs, https://bugs.example\n\nSummary: not this\n";
        let some = |text: &str| Some(text.to_owned());
        let expected = Metadata {
            summary: some("A tool of two lines"),
            licenses: some("MIT OR ISC"),
            homepage: some("https://tool.example"),
            source: some("https://code.example/tool"),
            documentation: some("https://docs.example"),
        };
        assert_eq!(read(text), expected);
        assert_eq!(read(""), Metadata::default());
        assert_eq!(read("no colon\n: no name\nHome-page: javascript:x"), Metadata::default());
    }

    #[test]
    fn a_licence_is_told_only_where_there_is_no_doubt() {
        let table = [
            ("License: mit", Some("MIT")),
            ("License: Copyright (c) 2020, all of it", None),
            ("Classifier: License :: OSI Approved :: MIT License", Some("MIT")),
            ("Classifier: License :: OSI Approved :: BSD License", None),
            ("License: BSD-3-Clause\nClassifier: License :: OSI Approved :: BSD License", Some("BSD-3-Clause")),
            (
                "Classifier: License :: OSI Approved :: MIT License\nClassifier: License :: OSI Approved :: ISC License (ISCL)",
                None,
            ),
        ];
        for (text, licence) in table {
            assert_eq!(read(text).licenses.as_deref(), licence, "{text}");
        }
    }
}
