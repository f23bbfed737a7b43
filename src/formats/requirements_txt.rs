//! Converts requirements files to the form that uv's parser accepts (pip's documentation, "Requirements File Format").
//! The line numbers stay the same, because errors contain them.

use std::borrow::Cow;

use thiserror::Error;

/// A file in the form that uv's parser accepts, and the parts that this parser would ignore.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Prepared {
    pub(crate) text: String,
    /// The paths of the files that this file includes, as they are written in this file.
    pub(crate) includes: Vec<String>,
    pub(crate) options: Vec<FileOption>,
    /// Requirements that are paths and that uv's parser would misread. They are removed from the text.
    pub(crate) odd_paths: Vec<String>,
}

/// An option that uv's parser does not support. It is removed from the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileOption {
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) value: String,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum RequirementsTxtError {
    #[error("line {line} has the option `{option}`, which no requirements file can have")]
    Option { line: usize, option: String },
    #[error("line {line} is in no encoding that is known: save the file as UTF-8")]
    Encoding { line: usize },
}

/// Options that pip accepts on a separate line, but that uv's parser does not support.
const PASSED_OVER: [&str; 6] =
    ["--pre", "--prefer-binary", "--trusted-host", "--use-feature", "--no-binary", "--only-binary"];
/// Options that may follow a requirement. They change how the distribution is built.
const OF_BUILDS: [&str; 5] = ["--config-settings", "--config-setting", "-C", "--global-option", "--install-option"];
/// Options that uv's parser supports. uv's parser also replaces variables in their values.
const SUPPORTED: [&str; 13] = [
    "-r",
    "--requirement",
    "-c",
    "--constraint",
    "-e",
    "--editable",
    "-i",
    "--index-url",
    "--extra-index-url",
    "-f",
    "--find-links",
    "--no-index",
    "--require-hashes",
];

/// Reads a file. `variable` returns the value of an environment variable. `is_odd_path` decides whether a requirement
/// is a path that uv's parser would misread.
pub(crate) fn prepare(
    bytes: &[u8],
    variable: impl Fn(&str) -> Option<String>,
    is_odd_path: impl Fn(&str) -> bool,
) -> Result<Prepared, RequirementsTxtError> {
    let text = decoded(bytes)?;
    let mut prepared = Prepared::default();
    let mut index_url = None;
    for Logical { number, lines, text } in logical_lines(&text) {
        let text = without_comment(&text).trim();
        let (option, value) = option_of(text);
        let mut kept: Cow<'_, str> = text.into();
        if text.starts_with('-') {
            if is_any(&PASSED_OVER, &option) {
                prepared.options.push(FileOption { line: number, name: option.clone(), value: value.clone() });
                kept = "".into();
            } else if !is_any(&SUPPORTED, &option) {
                return Err(RequirementsTxtError::Option { line: number, option });
            }
            if matches!(option.as_str(), "-r" | "--requirement" | "-c" | "--constraint") {
                prepared.includes.push(value);
            } else if matches!(option.as_str(), "-i" | "--index-url") {
                // If there are several indexes, the last one is used, like in pip. The earlier one is overwritten with
                // blanks.
                if let Some((start, end)) = index_url.replace((prepared.text.len(), prepared.text.len() + kept.len())) {
                    prepared.text.replace_range(start..end, &" ".repeat(end - start));
                }
            }
        } else if !text.contains("://") {
            kept = expanded(text, &variable).into();
            if is_odd_path(&kept) {
                prepared.odd_paths.push(kept.into_owned());
                kept = "".into();
            }
        }
        let (requirement, options) = without_build_options(&kept);
        prepared.options.extend(options.into_iter().map(|(name, value)| FileOption { line: number, name, value }));
        prepared.text.push_str(&requirement);
        prepared.text.push_str(&"\n".repeat(lines));
    }
    Ok(prepared)
}

fn is_any(names: &[&str], option: &str) -> bool {
    names.contains(&option)
}

/// Decodes a file like pip: by its byte order mark if it has one, or else as UTF-8.
fn decoded(bytes: &[u8]) -> Result<String, RequirementsTxtError> {
    let utf16 = |bytes: &[u8], read: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| read([pair[0], pair[1]]));
        char::decode_utf16(units).collect::<Result<String, _>>().map_err(|_| RequirementsTxtError::Encoding { line: 1 })
    };
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => decoded(rest),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => str::from_utf8(bytes).map(str::to_owned).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            RequirementsTxtError::Encoding { line: 1 + before.iter().filter(|byte| **byte == b'\n').count() }
        }),
    }
}

/// A line, after continued lines were joined.
struct Logical {
    /// The number of its first line. Numbers begin at 1.
    number: usize,
    /// The number of lines that were joined.
    lines: usize,
    text: String,
}

/// Joins each line that ends with a backslash with the next line. Like in pip, a comment line ends the joined line.
fn logical_lines(text: &str) -> Vec<Logical> {
    let mut all = Vec::new();
    let mut open: Option<Logical> = None;
    for (index, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let is_comment = line.trim_start().starts_with('#');
        let logical = open.get_or_insert(Logical { number: index + 1, lines: 0, text: String::new() });
        logical.lines += 1;
        match line.strip_suffix('\\').filter(|_| !is_comment) {
            Some(continued) => logical.text.push_str(continued),
            None => {
                if is_comment {
                    logical.text.push(' ');
                }
                logical.text.push_str(line);
                all.extend(open.take());
            }
        }
    }
    all.extend(open);
    all
}

/// Removes the comment of a line. A comment begins at the start of the line or after a blank. At other places, `#` may
/// be a part of a URL.
fn without_comment(line: &str) -> &str {
    let is_start = |(at, _): &(usize, &str)| line[..*at].chars().next_back().is_none_or(char::is_whitespace);
    let comment = line.match_indices('#').find(is_start);
    comment.map_or(line, |(at, _)| &line[..at])
}

/// Splits `--name=value`, `--name value` and `-rfile`. The last form is possible because pip's short options need no
/// blank before the value.
fn option_of(line: &str) -> (String, String) {
    let is_short = line.starts_with('-') && !line.starts_with("--");
    let end = line.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(line.len());
    let end = if is_short { end.min(2) } else { end };
    let (name, rest) = line.split_at(end.min(line.len()));
    let value = rest.trim_start_matches(|c: char| c == '=' || c.is_whitespace()).trim_end();
    (name.to_owned(), value.trim_matches(['"', '\'']).to_owned())
}

/// Replaces `${NAME}` by the variable's value. Like in pip, the text stays as it is if the variable is unknown.
fn expanded(line: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let mut done = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("${") {
        let found = after.split_once('}').filter(|(name, _)| is_name(name));
        let value = found.and_then(|(name, end)| Some((variable(name)?, end)));
        done.push_str(before);
        match value {
            Some((value, end)) => {
                done.push_str(&value);
                rest = end;
            }
            None => {
                done.push_str("${");
                rest = after;
            }
        }
    }
    done + rest
}

/// Removes the options from a requirement that change how the distribution is built. Returns the rest and these
/// options.
fn without_build_options(line: &str) -> (String, Vec<(String, String)>) {
    let is_start = |at: usize| line[..at].ends_with(char::is_whitespace);
    let found = OF_BUILDS.iter().flat_map(|option| line.match_indices(option)).map(|(at, _)| at);
    let Some(first) = found.filter(|at| is_start(*at)).min() else { return (line.to_owned(), Vec::new()) };
    let (requirement, mut rest) = line.split_at(first);
    let mut requirement = requirement.trim_end().to_owned();
    let mut options = Vec::new();
    while !rest.trim().is_empty() {
        rest = rest.trim_start();
        // The next option begins after a blank.
        let end = rest.match_indices(" -").map(|(at, _)| at).next().unwrap_or(rest.len());
        let (one, after) = rest.split_at(end);
        let (name, value) = option_of(one);
        if is_any(&OF_BUILDS, &name) {
            options.push((name, value));
        } else {
            requirement.push(' ');
            requirement.push_str(one);
        }
        rest = after;
    }
    (requirement, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Prepared {
        prepare(bytes, |name| (name == "VERSION").then(|| "1.16.0".to_owned()), |path| path == "./a#1/x.whl").unwrap()
    }

    fn option(line: usize, name: &str, value: &str) -> FileOption {
        FileOption { line, name: name.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn marks_line_ends_and_encodings_are_read() {
        let text = "# a comment\r\n\tsix==1  # another\r\nidna\r\n";
        let utf16 = |order: fn(u16) -> [u8; 2], mark: [u8; 2]| {
            [mark.to_vec(), text.encode_utf16().flat_map(order).collect()].concat()
        };
        let expected = "\nsix==1\nidna\n\n";
        assert_eq!(read(text.as_bytes()).text, expected);
        assert_eq!(read(&[b"\xEF\xBB\xBF", text.as_bytes()].concat()).text, expected);
        assert_eq!(read(&utf16(u16::to_le_bytes, [0xFF, 0xFE])).text, expected);
        assert_eq!(read(&utf16(u16::to_be_bytes, [0xFE, 0xFF])).text, expected);
        let error = prepare(b"six\nna\xEFve", |_| None, |_| false).unwrap_err();
        assert_eq!(error, RequirementsTxtError::Encoding { line: 2 });
    }

    #[test]
    fn continued_lines_are_joined_and_the_next_ones_keep_their_numbers() {
        let prepared = read(b"packaging>=21,!=22.*,\\\n  <25\nsix \\\n    --hash=sha256:aa \\\n    # via\nidna\n--pre");
        assert_eq!(prepared.text, "packaging>=21,!=22.*,  <25\n\nsix     --hash=sha256:aa\n\n\nidna\n\n");
        assert_eq!(prepared.options, [option(7, "--pre", "")]);
    }

    #[test]
    fn a_hash_in_a_url_is_no_comment() {
        assert_eq!(
            read(b"x @ https://h.example/x.whl#sha256=aa # why").text,
            "x @ https://h.example/x.whl#sha256=aa\n"
        );
    }

    #[test]
    fn options_that_uvs_parser_passes_over_are_returned_with_their_line() {
        let prepared = read(b"--trusted-host h.example\n--no-binary=:all:\n-rmore.txt\n-c \"limits.txt\"\nsix");
        assert_eq!(prepared.text, "\n\n-rmore.txt\n-c \"limits.txt\"\nsix\n");
        assert_eq!(prepared.includes, ["more.txt", "limits.txt"]);
        assert_eq!(prepared.options, [option(1, "--trusted-host", "h.example"), option(2, "--no-binary", ":all:")]);
        let error = prepare(b"six\n\n--colour red", |_| None, |_| false).unwrap_err();
        assert_eq!(error, RequirementsTxtError::Option { line: 3, option: "--colour".to_owned() });
    }

    #[test]
    fn options_of_builds_are_taken_off_a_requirement() {
        let prepared = read(b"six==1 --config-settings=\"a=b\" --hash=sha256:aa --global-option x");
        assert_eq!(prepared.text, "six==1 --hash=sha256:aa\n");
        assert_eq!(prepared.options, [option(1, "--config-settings", "a=b"), option(1, "--global-option", "x")]);
    }

    #[test]
    fn the_last_index_counts() {
        let prepared = read(b"-i https://a.example/\n--index-url https://b.example/\n");
        assert_eq!(prepared.text.trim(), "--index-url https://b.example/");
    }

    #[test]
    fn variables_are_expanded_unless_uv_does_it() {
        let text = b"six==${VERSION}\nidna==${UNSET}\nx @ https://h.example/${VERSION}/x.whl\n${";
        let expected = "six==1.16.0\nidna==${UNSET}\nx @ https://h.example/${VERSION}/x.whl\n${\n";
        assert_eq!(read(text).text, expected);
    }

    #[test]
    fn a_path_that_uv_would_misread_is_returned() {
        let prepared = read(b"./a#1/x.whl # why\nsix");
        assert_eq!(
            (prepared.text.as_str(), prepared.odd_paths.as_slice()),
            ("\nsix\n", &["./a#1/x.whl".to_owned()][..])
        );
    }

    #[test]
    fn no_text_panics() {
        for text in
            ["\\", "-", "--", "-r", "-C", " -C", "a -C", "#", "\\\n#\\\n", "a --hash", "${}", "é#", "\u{2028}-C x"]
        {
            let _ = prepare(text.as_bytes(), |_| None, |_| false);
            let _ = prepare(&text.as_bytes()[..text.len() - 1], |_| None, |_| false);
        }
        let _ = prepare(&[0xFF, 0xFE, 0x00], |_| None, |_| false);
        let _ = prepare(&[0xFF, 0xFE, 0x00, 0xD8], |_| None, |_| false);
    }
}
