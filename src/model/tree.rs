//! The file system of an image as a plain value. It has one node per path. Instead of the contents of files, the tree
//! contains only their digests. Nothing is on the disk.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};

use crate::model::digest::Digest;
use crate::model::image_path::ImagePath;
pub(crate) use crate::model::origin::Origin;
use crate::model::reason::{Kept, Removed};

/// The type of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "type")]
pub(crate) enum Kind {
    Directory,
    File { digest: Digest, size_bytes: u64 },
    Link { target: String },
}

/// One path of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// The permission bits, such as `0o755`.
    pub(crate) mode: u32,
    /// The numeric ID of the owner.
    pub(crate) owner: u32,
    /// The numeric ID of the group. `None` if it is the same number as the ID of the owner.
    pub(crate) group: Option<u32>,
    pub(crate) origin: Origin,
    /// The reason why the path is kept. `None` until trim sets it.
    pub(crate) kept: Option<Kept>,
}

impl Node {
    pub(crate) fn directory(origin: Origin) -> Self {
        Self { kind: Kind::Directory, mode: 0o755, owner: 0, group: None, origin, kept: None }
    }

    pub(crate) fn link(target: impl Into<String>, origin: Origin) -> Self {
        Self { kind: Kind::Link { target: target.into() }, mode: 0o777, owner: 0, group: None, origin, kept: None }
    }

    pub(crate) fn file(digest: Digest, size_bytes: u64, mode: u32, origin: Origin) -> Self {
        Self { kind: Kind::File { digest, size_bytes }, mode, owner: 0, group: None, origin, kept: None }
    }

    /// Returns the numeric ID of the group.
    pub(crate) fn group(&self) -> u32 {
        self.group.unwrap_or(self.owner)
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        match self.kind {
            Kind::File { size_bytes, .. } => size_bytes,
            Kind::Directory | Kind::Link { .. } => 0,
        }
    }

    /// Returns the digest of the contents. Returns `None` if this is not a file.
    pub(crate) fn digest(&self) -> Option<&Digest> {
        match &self.kind {
            Kind::File { digest, .. } => Some(digest),
            Kind::Directory | Kind::Link { .. } => None,
        }
    }

    pub(crate) fn is_executable(&self) -> bool {
        self.mode & 0o111 != 0
    }
}

/// Adds the length of a field and then the field, so that different lists of fields never have the same bytes.
fn add_field(bytes: &mut Vec<u8>, field: &[u8]) {
    bytes.extend((field.len() as u64).to_le_bytes());
    bytes.extend(field);
}

/// A removed path, and the reason for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Removal {
    pub(crate) size_bytes: u64,
    pub(crate) origin: Origin,
    pub(crate) reason: Removed,
}

/// Returns nodes that have the same contents, mode and owner as an earlier node of the same Debian package. Each node
/// is returned with the path of the earlier node. In the package, such files are hard links or copies. In an image, all
/// of them become hard links, because programs do not notice the difference.
pub(crate) fn hard_links<'a>(
    nodes: impl Iterator<Item = (&'a ImagePath, &'a Node)>,
) -> BTreeMap<&'a ImagePath, &'a ImagePath> {
    let mut first: BTreeMap<(&Digest, u32, u32, &Origin), &ImagePath> = BTreeMap::new();
    let mut links = BTreeMap::new();
    for (path, node) in nodes {
        let (Kind::File { digest, size_bytes: 1.. }, Origin::Deb { .. }) = (&node.kind, &node.origin) else { continue };
        match first.entry((digest, node.mode, node.owner, &node.origin)) {
            Entry::Vacant(entry) => {
                entry.insert(path);
            }
            Entry::Occupied(entry) => {
                links.insert(path, *entry.get());
            }
        }
    }
    links
}

/// All paths of an image, and all paths that trim removed from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tree {
    pub(crate) nodes: BTreeMap<ImagePath, Node>,
    pub(crate) removed: BTreeMap<ImagePath, Removal>,
}

impl Tree {
    /// Adds `node`. Missing parent directories are added too. They have mode 0755, the owner root and the node's
    /// origin.
    pub(crate) fn insert(&mut self, path: ImagePath, node: Node) {
        let mut above = path.parent();
        while let Some(parent) = above {
            if self.nodes.contains_key(&parent) {
                break;
            }
            self.nodes.insert(parent.clone(), Node::directory(node.origin.clone()));
            above = parent.parent();
        }
        self.nodes.insert(path, node);
    }

    /// Removes a path and records the reason.
    pub(crate) fn remove(&mut self, path: &ImagePath, reason: Removed) {
        if let Some(node) = self.nodes.remove(path) {
            let removal = Removal { size_bytes: node.size_bytes(), origin: node.origin, reason };
            self.removed.insert(path.clone(), removal);
        }
    }

    /// Follows links in every component of `path`, like the kernel. Returns `None` if the path does not exist or if
    /// links lead in a circle.
    pub(crate) fn canonical(&self, path: &ImagePath) -> Option<ImagePath> {
        let mut current = path.clone();
        'again: for _ in 0..40 {
            let mut walked = String::new();
            let components: Vec<&str> = current.components().collect();
            for (index, component) in components.iter().enumerate() {
                walked.push('/');
                walked.push_str(component);
                let here = ImagePath::parse(&walked).ok()?;
                match self.nodes.get(&here).map(|node| &node.kind) {
                    None => return None,
                    Some(Kind::Link { target }) => {
                        let mut next = here.resolve_link(target).as_str().to_owned();
                        for rest in &components[index + 1..] {
                            next.push('/');
                            next.push_str(rest);
                        }
                        current = ImagePath::parse(&next).ok()?;
                        continue 'again;
                    }
                    Some(Kind::Directory | Kind::File { .. }) => {}
                }
            }
            return Some(current);
        }
        None
    }

    /// Returns the node at `path`, after links were followed.
    pub(crate) fn find(&self, path: &str) -> Option<(ImagePath, &Node)> {
        let canonical = self.canonical(&ImagePath::parse(path).ok()?)?;
        let node = self.nodes.get(&canonical)?;
        Some((canonical, node))
    }

    /// Returns all paths below a directory, in their order.
    pub(crate) fn below(&self, directory: &ImagePath) -> impl Iterator<Item = (&ImagePath, &Node)> {
        // `\u{1}` is the smallest name that a path can have.
        let first = directory.join("\u{1}").ok();
        let directory = directory.clone();
        let below = first.into_iter().flat_map(|first| self.nodes.range(first..));
        below.take_while(move |(path, _)| path.is_within(directory.as_str()))
    }

    /// Returns the paths that are directly in a directory, in the order of their names.
    pub(crate) fn children(&self, directory: &ImagePath) -> impl Iterator<Item = (&ImagePath, &Node)> {
        let depth = directory.components().count() + 1;
        self.below(directory).filter(move |(path, _)| path.components().count() == depth)
    }

    /// Returns the sum of the sizes of all files. Hard links count once.
    pub(crate) fn size_bytes(&self) -> u64 {
        let twice: u64 = self.hard_links().keys().map(|path| self.nodes[*path].size_bytes()).sum();
        self.nodes.values().map(Node::size_bytes).sum::<u64>() - twice
    }

    /// Returns the files that become hard links in the image. The value is the path to which the file is linked.
    pub(crate) fn hard_links(&self) -> BTreeMap<&ImagePath, &ImagePath> {
        hard_links(self.nodes.iter())
    }

    /// Returns a key for everything in the image: paths, kinds, modes, owners and contents. Origins and reasons have no
    /// effect on the key.
    pub(crate) fn digest(&self) -> Digest {
        self.digest_of(|_, _| true)
    }

    /// Returns the digest of the paths for which `counts` is true.
    pub(crate) fn digest_of(&self, counts: impl Fn(&ImagePath, &Node) -> bool) -> Digest {
        let mut bytes = Vec::with_capacity(self.nodes.len() * 128);
        for (path, node) in self.nodes.iter().filter(|(path, node)| counts(path, node)) {
            add_field(&mut bytes, path.as_str().as_bytes());
            bytes.extend([node.mode, node.owner, node.group()].into_iter().flat_map(u32::to_le_bytes));
            match &node.kind {
                Kind::Directory => bytes.push(b'd'),
                Kind::File { digest, size_bytes } => {
                    bytes.push(b'f');
                    bytes.extend(digest.as_bytes());
                    bytes.extend(size_bytes.to_le_bytes());
                }
                Kind::Link { target } => {
                    bytes.push(b'l');
                    add_field(&mut bytes, target.as_bytes());
                }
            }
        }
        Digest::of(&bytes)
    }

    /// Returns the tree as text for tests and people. There is one line per path, including removed paths.
    #[cfg(test)]
    pub(crate) fn listing(&self) -> String {
        use std::fmt::Write as _;
        let mut lines: BTreeMap<&ImagePath, String> = BTreeMap::new();
        for (path, node) in &self.nodes {
            let (kind, tail) = match &node.kind {
                Kind::Directory => ("dir ", String::new()),
                Kind::File { digest, .. } => ("file", format!("  sha256:{}", &digest.to_string()[..8])),
                Kind::Link { target } => ("link", format!(" -> {target}")),
            };
            let mut line = format!("{kind} {:04o} {} {path}{tail}  {}", node.mode, node.owner, node.origin);
            if let Some(kept) = &node.kept {
                let _ = write!(line, "  kept: {kept}");
            }
            lines.insert(path, line);
        }
        for (path, removal) in &self.removed {
            lines.insert(path, format!("gone        {path}  {}  trimmed: {}", removal.origin, removal.reason));
        }
        let mut text = String::new();
        for line in lines.values() {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_twice_in_a_package_are_a_hard_link_and_count_once() {
        let deb = |name: &str| Origin::Deb { name: name.to_owned(), version: "1".to_owned() };
        let file = |bytes: &[u8], mode, origin| Node::file(Digest::of(bytes), bytes.len() as u64, mode, origin);
        let path = |text: &str| ImagePath::parse(text).unwrap();
        let mut tree = Tree::default();
        tree.insert(path("/usr/bin/git"), file(b"program", 0o755, deb("git")));
        tree.insert(path("/usr/lib/git-core/git"), file(b"program", 0o755, deb("git")));
        for (other, node) in [
            ("/usr/lib/git-core/text", file(b"program", 0o644, deb("git"))),
            ("/usr/bin/gat", file(b"program", 0o755, deb("gat"))),
            ("/opt/a", file(b"program", 0o755, Origin::Lath)),
            ("/opt/b", file(b"program", 0o755, Origin::Lath)),
            ("/usr/bin/empty", file(b"", 0o644, deb("git"))),
            ("/usr/bin/void", file(b"", 0o644, deb("git"))),
        ] {
            tree.insert(path(other), node);
        }
        let links: Vec<String> =
            tree.hard_links().into_iter().map(|(path, first)| format!("{path} = {first}")).collect();
        assert_eq!(links, ["/usr/lib/git-core/git = /usr/bin/git"]);
        assert_eq!(tree.size_bytes(), 5 * 7);
    }
}
