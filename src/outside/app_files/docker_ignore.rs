//! `.dockerignore`: patterns of paths that do not go into the image (docs.docker.com, "Build context", section
//! ".dockerignore files"). In contrast to git's patterns, each pattern is relative to the folder of the file. If
//! several patterns match, the last one decides.

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};
use thiserror::Error;

use crate::model::hint::Hints;

#[derive(Debug, Error)]
#[error("the pattern `{pattern}` is not valid")]
pub(crate) struct DockerIgnoreError {
    pattern: String,
    source: globset::Error,
}

impl Hints for DockerIgnoreError {}

#[derive(Debug, Default)]
pub(super) struct DockerIgnore {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    matcher: GlobMatcher,
    /// Whether the pattern begins with `!`. Paths that match such a pattern go into the image.
    is_exception: bool,
}

impl DockerIgnore {
    pub(super) fn parse(text: &str) -> Result<Self, DockerIgnoreError> {
        let lines = text.trim_start_matches('\u{feff}').lines().filter(|line| !line.starts_with('#')).map(str::trim);
        let mut patterns = Vec::new();
        for line in lines {
            let (is_exception, pattern) = match line.strip_prefix('!') {
                Some(pattern) => (true, pattern.trim()),
                None => (false, line),
            };
            let components = pattern.split('/').filter(|component| !matches!(*component, "" | "."));
            let pattern = components.collect::<Vec<_>>().join("/");
            if pattern.is_empty() {
                continue;
            }
            let glob = GlobBuilder::new(&pattern).literal_separator(true).backslash_escape(true).build();
            let matcher =
                glob.map_err(|source| DockerIgnoreError { pattern: line.to_owned(), source })?.compile_matcher();
            patterns.push(Pattern { matcher, is_exception });
        }
        Ok(Self { patterns })
    }

    /// Returns whether `path` is left out. `path` is relative to the folder of `.dockerignore`. If there are
    /// exceptions, a folder never counts as left out, because an exception may apply to a file in it.
    pub(super) fn ignores(&self, path: &Path, is_folder: bool) -> bool {
        if is_folder && self.patterns.iter().any(|pattern| pattern.is_exception) {
            return false;
        }
        // A pattern that matches a folder also applies to everything in it.
        let matches = |pattern: &&Pattern| path.ancestors().any(|path| pattern.matcher.is_match(path));
        self.patterns.iter().rev().find(matches).is_some_and(|pattern| !pattern.is_exception)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left<'a>(text: &str, paths: &[&'a str]) -> Vec<&'a str> {
        let ignore = DockerIgnore::parse(text).unwrap();
        paths.iter().copied().filter(|path| !ignore.ignores(Path::new(path), false)).collect()
    }

    #[test]
    fn patterns_begin_at_the_folder() {
        let paths = ["a.md", "docs/a.md", "docs/b/c.md", "src/docs/x", "x.py"];
        assert_eq!(left("# all\n*.md\n/docs/\n", &paths), ["src/docs/x", "x.py"]);
        assert_eq!(left("**/*.md", &paths), ["src/docs/x", "x.py"]);
        assert_eq!(left("docs/*/c.md\n\n", &paths), ["a.md", "docs/a.md", "src/docs/x", "x.py"]);
    }

    #[test]
    fn the_last_pattern_decides() {
        let paths = ["docs/a.md", "docs/b.md", "x.py"];
        assert_eq!(left("docs\n!docs/b.md\n", &paths), ["docs/b.md", "x.py"]);
        assert_eq!(left("!docs/b.md\ndocs\n", &paths), ["x.py"]);
        assert_eq!(left("*\n!*.py\n", &paths), ["x.py"]);
    }

    #[test]
    fn a_folder_is_searched_only_if_there_are_exceptions() {
        let ignores = |text: &str| DockerIgnore::parse(text).unwrap().ignores(Path::new("docs"), true);
        assert!(ignores("docs"));
        assert!(!ignores("docs\n!docs/b.md"));
        assert!(DockerIgnore::parse("[").unwrap_err().to_string().contains("`[`"));
    }
}
