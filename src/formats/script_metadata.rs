//! The metadata in a script: a block of comments that contains TOML (PEP 723; packaging.python.org, "Inline script
//! metadata").

use thiserror::Error;

use crate::model::script::ScriptMetadata;

#[derive(Debug, Error)]
pub(crate) enum ScriptMetadataError {
    #[error("it has more than one block `# /// script`")]
    Twice,
    #[error("the block `# /// script` has no end: the line `# ///`")]
    NoEnd,
    #[error("the block `# /// script` is not valid")]
    Toml(#[source] Box<toml::de::Error>),
}

/// Reads the metadata. Returns `None` if the script has none.
pub(crate) fn read(text: &str) -> Result<Option<ScriptMetadata>, ScriptMetadataError> {
    let Some(block) = block(text)? else { return Ok(None) };
    toml::from_str(&block).map(Some).map_err(|error| ScriptMetadataError::Toml(Box::new(error)))
}

/// Returns the TOML text of the block, without the comment signs. According to the specification, a block ends at the
/// last line `# ///` before a line that is not a comment.
fn block(text: &str) -> Result<Option<String>, ScriptMetadataError> {
    let lines: Vec<&str> = text.lines().collect();
    let mut blocks = Vec::new();
    let mut number = 0;
    while number < lines.len() {
        let Some(kind) = kind(lines[number]) else {
            number += 1;
            continue;
        };
        let rest = &lines[number + 1..];
        let comments = rest.iter().take_while(|line| **line == "#" || line.starts_with("# ")).count();
        let end = rest[..comments].iter().rposition(|line| line.trim_end() == "# ///");
        match end {
            Some(end) => {
                if kind == "script" {
                    blocks.push(rest[..end].iter().map(|line| contents(line)).collect::<Vec<_>>().join("\n"));
                }
                number += end + 2;
            }
            None if kind == "script" => return Err(ScriptMetadataError::NoEnd),
            None => number += 1,
        }
    }
    if blocks.len() > 1 {
        return Err(ScriptMetadataError::Twice);
    }
    Ok(blocks.pop())
}

/// Returns the kind of the block that begins at `line`, such as `script` for `# /// script`. Returns `None` if no block
/// begins there.
fn kind(line: &str) -> Option<&str> {
    let kind = line.trim_end().strip_prefix("# /// ")?;
    (!kind.is_empty() && kind.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-')).then_some(kind)
}

fn contents(line: &str) -> &str {
    line.strip_prefix("# ").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_read() {
        let text = "#!/usr/bin/env python3\n# /// other\n# x = 1\n# ///\n\n# /// script\r\n# requires-python = \">=3.12\"\n\
                    # dependencies = [\n#   \"httpx\",\n#\n#   \"rich>=13\",\n# ]\n#\n# [tool.uv]\n# exclude-newer = \"2026-01-01\"\n\
                    # ///\nimport httpx\n";
        let metadata = read(text).unwrap().unwrap();
        assert_eq!(metadata.dependencies, ["httpx", "rich>=13"]);
        assert_eq!(metadata.requires_python.as_deref(), Some(">=3.12"));
        assert_eq!(metadata.tool_uv().unwrap()["exclude-newer"].as_str(), Some("2026-01-01"));
        assert_eq!(read("# /// script\n# ///\n").unwrap(), Some(ScriptMetadata::default()));
    }

    #[test]
    fn a_script_without_a_block_has_no_metadata() {
        for text in ["", "import x\n", "#/// script\n#///\n", "x = '# /// script'\n", "# /// other\n# ///\n"] {
            assert_eq!(read(text).unwrap(), None, "{text}");
        }
    }

    #[test]
    fn a_block_that_is_wrong_is_an_error() {
        let said = |text: &str| read(text).unwrap_err().to_string();
        assert_eq!(said("# /// script\n# ///\n\n# /// script\n# ///\n"), "it has more than one block `# /// script`");
        assert_eq!(
            said("# /// script\n# a = 1\nimport x\n# ///\n"),
            "the block `# /// script` has no end: the line `# ///`"
        );
        for text in ["# /// script\n# dependencies = 'x'\n# ///\n", "# /// script\n# [\n# ///\n"] {
            assert_eq!(said(text), "the block `# /// script` is not valid");
        }
    }
}
