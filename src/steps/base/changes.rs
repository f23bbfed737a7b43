//! The changes that one layer makes to the layers below it (image-spec, layer.md).
//!
//! Entries are applied in the order of the tar. If a path has several entries, the last one counts. Whiteouts hide only
//! paths of lower layers, whatever their position in the tar is ("Whiteouts"). A parent directory that is a link in the
//! same layer is followed. A link of a lower layer is not followed. Such a link is replaced by a directory, as on an
//! overlay file system.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::digest::Digest;
use crate::model::hint::Hints;
use crate::model::image_path::{ImagePath, ImagePathError};
use crate::model::tree::{Kind, Node, Origin, Tree};

/// How many links are followed in one path. The kernel follows the same number of links (path_resolution(7)).
const MAX_LINKS: usize = 40;

#[derive(Debug, Error)]
pub(crate) enum ChangeError {
    #[error(transparent)]
    Path(#[from] ImagePathError),
    #[error("cannot use `{path}`: its parent `{parent}` is not a directory")]
    Parent { path: ImagePath, parent: ImagePath },
    #[error("cannot use `{path}`: it is a hard link to `{target}`, which does not exist")]
    HardLink { path: ImagePath, target: ImagePath },
    #[error("cannot use `{path}`: it is a hard link to `{target}`, which is a directory")]
    DirectoryLink { path: ImagePath, target: ImagePath },
    #[error("cannot use `{0}`: its links form a circle")]
    Circle(ImagePath),
}

impl Hints for ChangeError {}

/// The changes of one layer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Changes {
    paths: BTreeMap<ImagePath, Change>,
    /// Paths of lower layers that are removed.
    removed: BTreeSet<ImagePath>,
    /// Directories in which everything of lower layers is removed.
    opaque: BTreeSet<ImagePath>,
    /// The size of all entries that were added so far.
    #[serde(skip)]
    size: Size,
}

/// The size of changes in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) paths: u64,
    /// The bytes of the paths and of the targets of links.
    pub(super) bytes: u64,
}

/// The state of a path after a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Change {
    Node(Attributes, Kind),
    /// A directory that the layer needs, but for which it has no entry.
    Implied,
    /// A device or a pipe.
    Special,
    /// A hard link to a path of a lower layer.
    HardLink(ImagePath),
}

/// The mode and the owner of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attributes {
    pub(super) mode: u32,
    pub(super) owner: u32,
    pub(super) group: u32,
}

impl Change {
    fn is_directory(&self) -> bool {
        matches!(self, Self::Implied | Self::Node(_, Kind::Directory))
    }
}

impl Changes {
    /// Adds a directory, a file or a symbolic link.
    pub(super) fn add(&mut self, path: &str, attributes: Attributes, kind: Kind) -> Result<(), ChangeError> {
        let attributes = match kind {
            Kind::Link { .. } => Attributes { mode: 0o777, ..attributes },
            Kind::Directory | Kind::File { .. } => attributes,
        };
        let path = self.resolve(path)?;
        self.put(path, Change::Node(attributes, kind));
        Ok(())
    }

    /// Adds a device or a pipe.
    pub(super) fn add_special(&mut self, path: &str) -> Result<(), ChangeError> {
        let path = self.resolve(path)?;
        self.put(path, Change::Special);
        Ok(())
    }

    /// Adds a hard link to a path of this layer, or else of a lower one.
    pub(super) fn add_hard_link(&mut self, path: &str, target: &str) -> Result<(), ChangeError> {
        let path = self.resolve(path)?;
        let target = self.follow(target)?;
        let change = match self.paths.get(&target) {
            None => Change::HardLink(target),
            Some(first) if first.is_directory() => return Err(ChangeError::DirectoryLink { path, target }),
            Some(first) => first.clone(),
        };
        self.put(path, change);
        Ok(())
    }

    /// Removes a path of lower layers.
    pub(super) fn remove(&mut self, path: &str) -> Result<(), ChangeError> {
        let path = self.resolve(path)?;
        self.count(&path, 0);
        self.removed.insert(path);
        Ok(())
    }

    /// Removes everything that lower layers have in a directory.
    pub(super) fn empty(&mut self, directory: &str) -> Result<(), ChangeError> {
        let directory = self.resolve(directory)?;
        if !self.paths.get(&directory).is_some_and(Change::is_directory) {
            self.put(directory.clone(), Change::Implied);
        }
        self.count(&directory, 0);
        self.opaque.insert(directory);
        Ok(())
    }

    /// Returns the contents of the files: digests and sizes in bytes.
    pub(super) fn contents(&self) -> impl Iterator<Item = (&Digest, u64)> {
        self.paths.values().filter_map(|change| match change {
            Change::Node(_, Kind::File { digest, size_bytes }) => Some((digest, *size_bytes)),
            Change::Node(..) | Change::Implied | Change::Special | Change::HardLink(_) => None,
        })
    }

    /// Replaces the state of a path. If a directory becomes something else, everything in it is removed.
    fn put(&mut self, path: ImagePath, change: Change) {
        let was_directory = self.paths.get(&path).is_some_and(Change::is_directory);
        if was_directory && !change.is_directory() {
            remove_below(&mut self.paths, &path);
        }
        let target_bytes = match &change {
            Change::Node(_, Kind::Link { target }) => target.len(),
            Change::HardLink(target) => target.as_str().len(),
            Change::Node(..) | Change::Implied | Change::Special => 0,
        };
        self.count(&path, target_bytes);
        self.paths.insert(path, change);
    }

    /// Counts a path that is added. The root is not counted, because it is in every layer.
    fn count(&mut self, path: &ImagePath, target_bytes: usize) {
        if *path != ImagePath::root() {
            self.size.paths += 1;
            self.size.bytes += (path.relative().len() + target_bytes) as u64;
        }
    }

    /// Returns the size of everything that was added. Entries that are replaced later count, too.
    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// Returns the path, after the links in its parent directories were resolved. Only links of this layer are
    /// followed. Adds missing directories.
    fn resolve(&mut self, path: &str) -> Result<ImagePath, ChangeError> {
        let path = self.follow(path)?;
        let mut above = path.parent();
        while let Some(parent) = above {
            match self.paths.get(&parent) {
                None => {
                    self.count(&parent, 0);
                    self.paths.insert(parent.clone(), Change::Implied);
                }
                Some(change) if change.is_directory() => break,
                Some(_) => return Err(ChangeError::Parent { path, parent }),
            }
            above = parent.parent();
        }
        Ok(path)
    }

    /// Follows the links of this layer in the parent directories of a path.
    fn follow(&self, path: &str) -> Result<ImagePath, ChangeError> {
        let path = ImagePath::parse(path)?;
        let mut current = path.clone();
        'links: for _ in 0..=MAX_LINKS {
            let mut folder = String::new();
            let components: Vec<&str> = current.components().collect();
            for (index, component) in components.iter().enumerate().take(components.len().saturating_sub(1)) {
                folder.push('/');
                folder.push_str(component);
                let here = ImagePath::parse(&folder)?;
                if let Some(Change::Node(_, Kind::Link { target })) = self.paths.get(&here) {
                    let rest = components[index + 1..].join("/");
                    current = ImagePath::parse(&format!("{}/{rest}", here.resolve_link(target)))?;
                    continue 'links;
                }
            }
            return Ok(current);
        }
        Err(ChangeError::Circle(path))
    }

    /// Makes the changes.
    pub(super) fn apply(self, tree: &mut Tree) -> Result<(), ChangeError> {
        // The targets of hard links are read first, because the same layer may remove or replace them.
        let mut linked = BTreeMap::new();
        for (path, change) in &self.paths {
            if let Change::HardLink(target) = change {
                linked.insert(path.clone(), linked_node(tree, path, target)?);
            }
        }
        for directory in &self.opaque {
            remove_below(&mut tree.nodes, directory);
        }
        for path in self.removed {
            remove_below(&mut tree.nodes, &path);
            tree.nodes.remove(&path);
        }
        for (path, change) in self.paths {
            let node = match change {
                Change::Node(attributes, kind) => Some(node(attributes, kind)),
                Change::Implied => match tree.nodes.get(&path) {
                    Some(lower) if lower.kind == Kind::Directory => continue,
                    _ => Some(Node::directory(Origin::Base)),
                },
                Change::Special => None,
                Change::HardLink(_) => linked.remove(&path),
            };
            let is_directory = node.as_ref().is_some_and(|node| node.kind == Kind::Directory);
            if !is_directory && tree.nodes.get(&path).is_some_and(|lower| lower.kind == Kind::Directory) {
                remove_below(&mut tree.nodes, &path);
            }
            match node {
                Some(node) => tree.nodes.insert(path, node),
                None => tree.nodes.remove(&path),
            };
        }
        Ok(())
    }
}

fn node(attributes: Attributes, kind: Kind) -> Node {
    let Attributes { mode, owner, group } = attributes;
    Node { kind, mode, owner, group: (group != owner).then_some(group), origin: Origin::Base, kept: None }
}

/// Returns the file of a lower layer that a hard link refers to.
fn linked_node(tree: &Tree, path: &ImagePath, target: &ImagePath) -> Result<Node, ChangeError> {
    let missing = || ChangeError::HardLink { path: path.clone(), target: target.clone() };
    let folder = target.parent().and_then(|parent| tree.canonical(&parent));
    let place = match folder {
        Some(folder) => folder.join(target.file_name())?,
        None => target.clone(),
    };
    let node = tree.nodes.get(&place).ok_or_else(missing)?;
    if node.kind == Kind::Directory {
        return Err(ChangeError::DirectoryLink { path: path.clone(), target: target.clone() });
    }
    Ok(node.clone())
}

/// Removes everything below a directory.
fn remove_below<T>(paths: &mut BTreeMap<ImagePath, T>, directory: &ImagePath) {
    // This is the smallest name. If even this name makes the path too long, the directory is empty.
    let Ok(first) = directory.join("\u{1}") else { return };
    let is_below = |path: &&ImagePath| path.is_within(directory.as_str());
    let below: Vec<ImagePath> = paths.range(first..).map(|(path, _)| path).take_while(is_below).cloned().collect();
    for path in below {
        paths.remove(&path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Attributes = Attributes { mode: 0o644, owner: 0, group: 0 };

    /// Makes the changes of layers. Each entry is `KIND PATH [MORE]`, with the kinds of the match below.
    fn tree(layers: &[&[&str]]) -> Result<String, ChangeError> {
        let mut tree = Tree::default();
        for layer in layers {
            let mut changes = Changes::default();
            for entry in *layer {
                let words: Vec<&str> = entry.split(' ').collect();
                let (path, more) = (words[1], words.get(2).copied().unwrap_or_default());
                match words[0] {
                    "dir" => {
                        let mode = u32::from_str_radix(if more.is_empty() { "755" } else { more }, 8).unwrap();
                        changes.add(path, Attributes { mode, ..PLAIN }, Kind::Directory)?;
                    }
                    "file" => {
                        let kind = Kind::File { digest: Digest::of(more.as_bytes()), size_bytes: more.len() as u64 };
                        changes.add(path, PLAIN, kind)?;
                    }
                    "link" => changes.add(path, PLAIN, Kind::Link { target: more.to_owned() })?,
                    "hard" => changes.add_hard_link(path, more)?,
                    "special" => changes.add_special(path)?,
                    "gone" => changes.remove(path)?,
                    "empty" => changes.empty(path)?,
                    other => panic!("{other}"),
                }
            }
            changes.apply(&mut tree)?;
        }
        let names: BTreeMap<Digest, &str> =
            ["one", "two", "three"].into_iter().map(|text| (Digest::of(text.as_bytes()), text)).collect();
        let lines = tree.nodes.iter().filter(|(path, _)| path.as_str() != "/").map(|(path, node)| match &node.kind {
            Kind::Directory if node.mode == 0o755 => format!("{path}/"),
            Kind::Directory => format!("{path}/ {:o}", node.mode),
            Kind::File { digest, .. } => format!("{path} {}", names[digest]),
            Kind::Link { target } => format!("{path} -> {target}"),
        });
        Ok(lines.collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn layers_change_one_another_as_the_specification_has_it() {
        let below: &[&str] =
            &["dir a", "file a/x one", "file a/y one", "dir a/sub", "file a/sub/z one", "file a-b one"];
        let table: [(&[&str], &str); 15] = [
            (&["gone a"], "/a-b one"),
            (&["gone a/x"], "/a/, /a-b one, /a/sub/, /a/sub/z one, /a/y one"),
            (&["gone a/sub", "gone a/no"], "/a/, /a-b one, /a/x one, /a/y one"),
            // Whiteouts hide only lower layers, whether they come before or after the entry.
            (&["empty a", "file a/new two"], "/a/, /a-b one, /a/new two"),
            (&["file a/new two", "empty a"], "/a/, /a-b one, /a/new two"),
            (&["file a/x two", "gone a/x"], "/a/, /a-b one, /a/sub/, /a/sub/z one, /a/x two, /a/y one"),
            (&["gone a", "dir a 700", "file a/x two"], "/a/ 700, /a-b one, /a/x two"),
            (&["empty .", "file n two"], "/n two"),
            // A path whose kind changes.
            (&["file a two"], "/a two, /a-b one"),
            (&["link a a-b"], "/a -> a-b, /a-b one"),
            (&["special a"], "/a-b one"),
            (&["dir a-b", "dir a 700"], "/a/ 700, /a-b/, /a/sub/, /a/sub/z one, /a/x one, /a/y one"),
            (&["file a-b/n two"], "/a/, /a-b/, /a-b/n two, /a/sub/, /a/sub/z one, /a/x one, /a/y one"),
            // Hard links to a lower layer, even to a path that this layer removes.
            (&["hard b a/x", "gone a"], "/a-b one, /b one"),
            (&["hard b a/x", "file a two"], "/a two, /a-b one, /b one"),
        ];
        for (above, expected) in table {
            assert_eq!(tree(&[below, above]).unwrap(), expected, "{above:?}");
        }
    }

    #[test]
    fn the_last_entry_of_a_path_is_valid() {
        let table: [(&[&str], &str); 8] = [
            (&["file a one", "file a two"], "/a two"),
            (&["dir a", "file a/x one", "file a two"], "/a two"),
            (&["file a one", "dir a", "file a/x two"], "/a/, /a/x two"),
            (&["dir a 700", "file a/x one", "dir a 711"], "/a/ 711, /a/x one"),
            (&["file a/x one", "dir a 700"], "/a/ 700, /a/x one"),
            (&["link a b", "dir a"], "/a/"),
            (&["file a one", "hard b a", "file a two"], "/a two, /b one"),
            (&["file a one", "special a"], ""),
        ];
        for (layer, expected) in table {
            assert_eq!(tree(&[layer]).unwrap(), expected, "{layer:?}");
        }
    }

    #[test]
    fn links_of_the_same_layer_are_followed_and_those_of_lower_ones_are_replaced() {
        let merged = &["dir usr/bin", "link bin usr/bin"];
        let both = [merged.as_slice(), &["file bin/x one"]].concat();
        assert_eq!(tree(&[&both]).unwrap(), "/bin -> usr/bin, /usr/, /usr/bin/, /usr/bin/x one");
        assert_eq!(tree(&[merged, &["file bin/x one"]]).unwrap(), "/bin/, /bin/x one, /usr/, /usr/bin/");
        // A link to a path outside of the root leads to a path inside of it.
        assert_eq!(tree(&[&["link a ../../..", "file a/x one"]]).unwrap(), "/a -> ../../.., /x one");
        assert_eq!(tree(&[&["link a /b", "file a/x one"]]).unwrap(), "/a -> /b, /b/, /b/x one");
    }

    #[test]
    fn changes_that_are_impossible_are_refused() {
        let table: [(&[&str], &str); 6] = [
            (&["file a one", "file a/b two"], "cannot use `/a/b`: its parent `/a` is not a directory"),
            (&["hard a b"], "cannot use `/a`: it is a hard link to `/b`, which does not exist"),
            (&["dir b", "hard a b"], "cannot use `/a`: it is a hard link to `/b`, which is a directory"),
            (&["link a b", "link b a", "file a/x one"], "cannot use `/a/x`: its links form a circle"),
            (&["file ../a one"], "cannot use the path `../a`: it leads outside the image"),
            (&["special a", "file a/b two"], "cannot use `/a/b`: its parent `/a` is not a directory"),
        ];
        for (layer, expected) in table {
            assert_eq!(tree(&[layer]).unwrap_err().to_string(), expected, "{layer:?}");
        }
    }
}
