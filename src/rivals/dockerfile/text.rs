//! The text of a Dockerfile. Comments above the instructions give their reasons. Long instructions are split into
//! several lines.
//!
//! Only syntax that every builder supports is used: no heredocs, no `# syntax=` line.

use super::DockerfileError;

/// Lists of words are split into lines of at most about this number of columns.
const WIDTH: usize = 100;

#[derive(Debug, Default)]
pub(super) struct Text {
    lines: Vec<String>,
}

impl Text {
    /// Adds a comment with the reason for the next instruction.
    pub(super) fn why(&mut self, reason: &str) -> &mut Self {
        self.lines.push(format!("# {reason}"));
        self
    }

    pub(super) fn line(&mut self, instruction: impl Into<String>) -> &mut Self {
        self.lines.push(instruction.into());
        self
    }

    pub(super) fn lines(&mut self, instructions: impl IntoIterator<Item = String>) -> &mut Self {
        self.lines.extend(instructions);
        self
    }

    pub(super) fn gap(&mut self) -> &mut Self {
        self.line("")
    }

    /// Adds a `RUN` with its mounts. Each command must succeed before the next one begins.
    pub(super) fn run(&mut self, mounts: &[String], commands: &[String]) -> &mut Self {
        let mut words: Vec<String> = mounts.iter().map(|mount| format!("--mount={mount}")).collect();
        words.push(commands.join(" \\\n    && "));
        self.line(format!("RUN {}", words.join(" \\\n    ")))
    }

    pub(super) fn finish(self) -> String {
        let mut text = self.lines.join("\n");
        text.push('\n');
        text
    }
}

/// Returns a command and its words, split into lines of at most about [`WIDTH`] columns.
pub(super) fn folded(command: &str, words: &[String]) -> String {
    let mut lines = vec![command.to_owned()];
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("      {word}")),
        }
    }
    lines.join(" \\\n")
}

/// Returns a command and its words, one word per line.
pub(super) fn listed(command: &str, words: &[String]) -> String {
    let mut text = command.to_owned();
    for word in words {
        text.push_str(" \\\n      ");
        text.push_str(word);
    }
    text
}

/// Quotes a word for a POSIX shell.
pub(super) fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:=+/@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Returns `NAME="value"` in the syntax of `ENV` and `LABEL`. Variables in the value are not expanded.
pub(super) fn pair(name: &str, value: &str) -> Result<String, DockerfileError> {
    if name.contains(char::is_whitespace) || value.contains(['\n', '\r']) || name.contains(['"', '\\', '$']) {
        return Err(DockerfileError::Unwritable { name: name.trim().to_owned() });
    }
    Ok(format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$")))
}

/// Returns the arguments of an instruction in exec form, which is JSON.
pub(super) fn exec_form(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| serde_json::Value::from(word.as_str()).to_string()).collect();
    format!("[{}]", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_means_itself() {
        assert_eq!(pair("A", r#"a "b" $HOME \n"#).unwrap(), r#"A="a \"b\" \$HOME \\n""#);
        assert!(pair("A", "two\nlines").is_err());
        assert!(pair("A B", "x").is_err());
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word("a==1.0+x"), "a==1.0+x");
        assert_eq!(exec_form(&["/bin/bash".to_owned(), "-c".to_owned()]), r#"["/bin/bash", "-c"]"#);
    }

    #[test]
    fn long_lists_are_folded() {
        let words: Vec<String> = (0..30).map(|number| format!("word{number}")).collect();
        let text = folded("apt-get install", &words);
        assert!(text.lines().count() > 1 && text.lines().all(|line| line.len() < WIDTH + 10), "{text}");
    }
}
