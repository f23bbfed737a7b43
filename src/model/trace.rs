//! The files that programs used while they ran. `--trim trace` needs them. A record of these files is text with one
//! path per line, so that records of several runs can be joined.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::image_path::{ImagePath, ImagePathError};
use crate::model::tree::{Kind, Tree};

/// The beginning of the first line of a record. The version of the format comes after it.
const TITLE: &str = "lath trace ";
const VERSION: &str = "1";

/// The maximum size of a record. The size is limited, because the record is held in memory. Real records are much
/// smaller.
pub(crate) const MAX_BYTES: u64 = 64 << 20;
/// The maximum number of paths in a record. The number is limited, because the paths are held in memory.
const MAX_PATHS: usize = 500_000;

/// How a program used a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Use {
    /// The path was started as a program.
    Exec,
    /// A directory was opened to read its entries.
    List,
    /// A file was opened. This includes libraries, which are opened when they are loaded.
    Open,
    /// Only properties of the path were read, such as its size, its mode, its existence, or the target of a link.
    Stat,
}

impl Use {
    const ALL: [Self; 4] = [Self::Exec, Self::List, Self::Open, Self::Stat];

    fn word(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::List => "list",
            Self::Open => "open",
            Self::Stat => "stat",
        }
    }
}

/// A path as a program used it. It is absolute but not normalised, so it can contain links and `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Touch {
    pub(crate) path: String,
    pub(crate) by: Use,
}

/// The paths of an image that programs used, and how they were used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trace {
    pub(crate) paths: BTreeMap<ImagePath, BTreeSet<Use>>,
}

#[derive(Debug, Error)]
pub(crate) enum TraceError {
    #[error("it is not a record of `lath trace`: its first line is not `{TITLE}{VERSION}`")]
    NoRecord,
    #[error("it has version {0:?} of the format, and this lath reads version {VERSION}")]
    Version(String),
    #[error("line {line} is not a list of uses and a path: {text:?}")]
    Line { line: usize, text: String },
    #[error("line {line} has a path that no image has")]
    Path { line: usize, source: ImagePathError },
    #[error("it has more than {MAX_PATHS} paths")]
    TooLong,
}

impl Trace {
    /// Adds those paths in `touches` that `tree` contains. The links on the way to a path are added as well. Other
    /// paths, such as temporary files and those in `/proc`, are not recorded.
    pub(crate) fn add(&mut self, tree: &Tree, touches: &[Touch]) {
        for Touch { path, by } in touches {
            let Some((links, end)) = walk(tree, path) else { continue };
            for link in links {
                self.paths.entry(link).or_default().insert(Use::Stat);
            }
            let is_directory = tree.nodes.get(&end).is_some_and(|node| node.kind == Kind::Directory);
            let by = if *by == Use::Open && is_directory { Use::List } else { *by };
            self.paths.entry(end).or_default().insert(by);
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (path, uses) in other.paths {
            self.paths.entry(path).or_default().extend(uses);
        }
    }

    pub(crate) fn has(&self, path: &ImagePath) -> bool {
        self.paths.contains_key(path)
    }

    /// Reads a record.
    pub(crate) fn parse(text: &str) -> Result<Self, TraceError> {
        let mut lines = text.lines().enumerate();
        let title = lines.next().map(|(_, line)| line).unwrap_or_default();
        match title.strip_prefix(TITLE) {
            Some(VERSION) => {}
            Some(other) => return Err(TraceError::Version(other.chars().take(20).collect())),
            None => return Err(TraceError::NoRecord),
        }
        let mut trace = Self::default();
        for (number, line) in lines {
            let number = number + 1;
            let broken = || TraceError::Line { line: number, text: line.chars().take(80).collect() };
            let (uses, path) = line.split_once(' ').filter(|(_, path)| path.starts_with('/')).ok_or_else(broken)?;
            let read = |word: &str| Use::ALL.into_iter().find(|one| one.word() == word);
            let uses: Option<BTreeSet<Use>> = uses.split(',').map(read).collect();
            let path = ImagePath::parse(path).map_err(|source| TraceError::Path { line: number, source })?;
            trace.paths.entry(path).or_default().extend(uses.ok_or_else(broken)?);
            if trace.paths.len() > MAX_PATHS {
                return Err(TraceError::TooLong);
            }
        }
        Ok(trace)
    }
}

/// Writes the record: its version, and then each path with its uses, sorted by path.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{TITLE}{VERSION}")?;
        for (path, uses) in &self.paths {
            let words: Vec<&str> = uses.iter().map(|one| one.word()).collect();
            writeln!(f, "{} {path}", words.join(","))?;
        }
        Ok(())
    }
}

/// The maximum number of links that the kernel follows in one path (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Follows `path` like the kernel. Returns the links that were followed, and the file or directory at the end. Returns
/// `None` if `path` leads to nothing in the tree.
fn walk(tree: &Tree, path: &str) -> Option<(Vec<ImagePath>, ImagePath)> {
    if path.is_empty() {
        return None;
    }
    let mut links = Vec::new();
    let mut here = String::new();
    let mut next: Vec<&str> = path.split('/').rev().collect();
    while let Some(name) = next.pop() {
        match name {
            "" | "." => continue,
            ".." => {
                here.truncate(here.rfind('/').unwrap_or_default());
                continue;
            }
            name => write!(here, "/{name}").ok()?,
        }
        let at = ImagePath::parse(&here).ok()?;
        if let Kind::Link { target } = &tree.nodes.get(&at)?.kind {
            if links.len() == MAX_LINKS {
                return None;
            }
            links.push(at);
            here.truncate(if target.starts_with('/') { 0 } else { here.rfind('/').unwrap_or_default() });
            next.extend(target.split('/').rev());
        }
    }
    let end = if here.is_empty() { ImagePath::root() } else { ImagePath::parse(&here).ok()? };
    tree.nodes.contains_key(&end).then_some((links, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::tree::{Node, Origin};

    fn tree() -> Tree {
        let path = |text: &str| ImagePath::parse(text).unwrap();
        let mut tree = Tree::default();
        tree.insert(ImagePath::root(), Node::directory(Origin::Lath));
        for file in ["/usr/bin/python3.13", "/usr/lib/x.so.1.2", "/opt/app/data/a.json"] {
            tree.insert(path(file), Node::file(Digest::of(b""), 0, 0o755, Origin::Lath));
        }
        for (link, target) in [
            ("/lib", "usr/lib"),
            ("/usr/bin/python3", "python3.13"),
            ("/usr/bin/python", "/usr/bin/python3"),
            ("/usr/lib/x.so.1", "x.so.1.2"),
            ("/loop", "loop"),
            ("/dangling", "/nowhere"),
        ] {
            tree.insert(path(link), Node::link(target, Origin::Lath));
        }
        tree
    }

    fn traced(touches: &[(&str, Use)]) -> String {
        let touches: Vec<Touch> = touches.iter().map(|&(path, by)| Touch { path: path.to_owned(), by }).collect();
        let mut trace = Trace::default();
        trace.add(&tree(), &touches);
        trace.to_string()
    }

    #[test]
    fn links_on_the_way_and_their_target_are_recorded() {
        let text = traced(&[("/usr/bin/../bin/python", Use::Exec), ("/lib/x.so.1", Use::Open)]);
        insta::assert_snapshot!(text, @r"
        lath trace 1
        stat /lib
        stat /usr/bin/python
        stat /usr/bin/python3
        exec /usr/bin/python3.13
        stat /usr/lib/x.so.1
        open /usr/lib/x.so.1.2
        ");
    }

    #[test]
    fn a_directory_that_is_opened_is_listed_and_paths_that_the_tree_does_not_have_leave_no_trace() {
        let text = traced(&[
            ("/opt/app//data/", Use::Open),
            ("/opt/app/data/a.json", Use::Stat),
            ("/opt/app/data/a.json", Use::Open),
            ("/opt/app/data/../../../../..", Use::Stat),
            ("/proc/123/maps", Use::Open),
            ("/tmp/tmpa1b2", Use::Open),
            ("/loop/x", Use::Open),
            ("/loop", Use::Open),
            ("/dangling", Use::Open),
            ("", Use::Open),
        ]);
        insta::assert_snapshot!(text, @r"
        lath trace 1
        stat /
        list /opt/app/data
        open,stat /opt/app/data/a.json
        ");
    }

    #[test]
    fn a_record_reads_back_and_several_are_joined() {
        let one = "lath trace 1\nopen /a\nexec,stat /b c\n";
        let other = "lath trace 1\nstat /a\n";
        let mut joined = Trace::parse(one).unwrap();
        assert_eq!(joined.to_string(), one);
        joined.merge(Trace::parse(other).unwrap());
        joined.merge(Trace::parse(one).unwrap());
        assert_eq!(joined.to_string(), "lath trace 1\nopen,stat /a\nexec,stat /b c\n");
    }

    #[test]
    fn other_versions_and_broken_lines_are_refused() {
        let refused = |text: &str| Trace::parse(text).unwrap_err().to_string();
        assert_eq!(refused(""), "it is not a record of `lath trace`: its first line is not `lath trace 1`");
        assert_eq!(refused("{}"), "it is not a record of `lath trace`: its first line is not `lath trace 1`");
        assert_eq!(refused("lath trace 2\n"), "it has version \"2\" of the format, and this lath reads version 1");
        for line in ["", "/a", "open a", "read /a", "open, /a", "open  /a"] {
            let said = refused(&format!("lath trace 1\nopen /x\n{line}\n"));
            assert_eq!(said, format!("line 3 is not a list of uses and a path: {line:?}"));
        }
        assert_eq!(refused("lath trace 1\nopen /a/../b\n"), "line 2 has a path that no image has");
        let many: String = (0..=MAX_PATHS).map(|number| format!("open /{number}\n")).collect();
        assert_eq!(refused(&format!("lath trace 1\n{many}")), "it has more than 500000 paths");
    }
}
