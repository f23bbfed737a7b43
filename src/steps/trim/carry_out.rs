//! Carries a plan out. This is the only place where trim changes a tree, and the only one where `--keep` is enforced.

use std::collections::{BTreeMap, BTreeSet};

use super::held::Held;
use super::plan::Proposal;
use crate::model::lock::PlatformLock;
use crate::model::reach::Reached;
use crate::model::reason::{Kept, Why};
use crate::model::tree::{Kind, Origin, Tree};

/// The parts of a plan that change nothing.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Messages for the user.
    pub(super) notes: Vec<String>,
    /// The reached modules, if a rule has followed the imports.
    pub(super) reached: Option<Reached>,
}

/// Makes all proposed changes, except those of held paths. Adds to `findings`.
pub(super) fn carry_out(tree: &mut Tree, plan: Vec<Proposal>, held: &Held, findings: &mut Findings) {
    for proposal in plan {
        match proposal {
            Proposal::Remove { path, reason } if !held.has(&path) => tree.remove(&path, reason),
            Proposal::Rewrite { path, digest, size_bytes } if !held.has(&path) => {
                if let Some(node) = tree.nodes.get_mut(&path) {
                    node.kind = Kind::File { digest, size_bytes };
                }
            }
            Proposal::Substitute { paths, reason, by } if !paths.iter().any(|path| held.has(path)) => {
                for path in &paths {
                    tree.remove(path, reason);
                }
                tree.insert(by.0, by.1);
            }
            Proposal::Explain { path, reason } => {
                if let Some(node) = tree.nodes.get_mut(&path) {
                    node.kept = Some(reason);
                }
            }
            Proposal::Remove { .. } | Proposal::Rewrite { .. } | Proposal::Substitute { .. } => {}
            Proposal::Reached(reached) => findings.reached = Some(reached),
            Proposal::Note(note) => findings.notes.push(note),
        }
    }
}

/// Gives every path of the tree a reason why it is kept: `--keep`, the reason of a rule, or the reason of its package.
pub(super) fn explain(tree: &mut Tree, lock: &PlatformLock, held: &Held) {
    let debs: BTreeMap<&str, &Why> = lock.debs.iter().map(|deb| (deb.name.as_str(), &deb.why)).collect();
    let requested: BTreeSet<&str> =
        lock.wheels.iter().filter(|wheel| wheel.is_requested).map(|wheel| wheel.name.as_str()).collect();
    for (path, node) in &mut tree.nodes {
        node.kept = held.reason(path).or(node.kept.take());
        if node.kept.is_some() {
            continue;
        }
        node.kept = Some(match &node.origin {
            Origin::Deb { name, .. } => debs.get(name.as_str()).map_or(Kept::Base, |why| Kept::Package((*why).clone())),
            Origin::Wheel { name, .. } if requested.contains(name.as_str()) => Kept::Requested,
            Origin::Wheel { .. } => Kept::Required,
            Origin::Base => Kept::BaseImage,
            Origin::Lath => Kept::EveryImage,
            Origin::User => Kept::Copied,
            Origin::Application => Kept::Application,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::image_path::ImagePath;
    use crate::model::reason::Removed;
    use crate::model::tree::Node;

    fn path(text: &str) -> ImagePath {
        ImagePath::parse(text).unwrap()
    }

    fn tree(paths: &[&str]) -> Tree {
        let mut tree = Tree::default();
        for text in paths {
            tree.insert(path(text), Node::file(Digest::of(b"old"), 3, 0o755, Origin::User));
        }
        tree
    }

    /// Carries out all changes of `/a` and `/b`, and returns the paths and sizes of the files that are left.
    fn changed(keep: &[&str]) -> Vec<(String, u64)> {
        let mut tree = tree(&["/a", "/b", "/c", "/d"]);
        let keep: Vec<String> = keep.iter().map(|&pattern| pattern.to_owned()).collect();
        let held = Held::of(&tree, &keep, &BTreeSet::new());
        let new = Node::file(Digest::of(b"other"), 5, 0o755, Origin::Lath);
        let substitute = Proposal::Substitute {
            paths: vec![path("/a"), path("/b")],
            reason: Removed::Ldconfig,
            by: (path("/a"), new),
        };
        let plan = vec![
            substitute,
            Proposal::Rewrite { path: path("/c"), digest: Digest::of(b"short"), size_bytes: 1 },
            Proposal::Remove { path: path("/d"), reason: Removed::Manuals },
            Proposal::Remove { path: path("/nowhere"), reason: Removed::Manuals },
        ];
        carry_out(&mut tree, plan, &held, &mut Findings::default());
        let files = tree.nodes.iter().filter(|(_, node)| node.kind != Kind::Directory);
        files.map(|(path, node)| (path.to_string(), node.size_bytes())).collect()
    }

    #[test]
    fn a_held_path_stays_as_it_is_and_keeps_those_that_belong_to_it() {
        let sizes =
            |files: &[(&str, u64)]| files.iter().map(|&(path, size)| (path.to_owned(), size)).collect::<Vec<_>>();
        assert_eq!(changed(&[]), sizes(&[("/a", 5), ("/c", 1)]));
        assert_eq!(changed(&["/b"]), sizes(&[("/a", 3), ("/b", 3), ("/c", 1)]));
        assert_eq!(changed(&["/c", "/d"]), sizes(&[("/a", 5), ("/c", 3), ("/d", 3)]));
    }

    #[test]
    fn the_first_rule_gives_the_reason() {
        let mut tree = tree(&["/a"]);
        let plan = [Removed::Manuals, Removed::Locales].map(|reason| Proposal::Remove { path: path("/a"), reason });
        carry_out(&mut tree, plan.into(), &Held::default(), &mut Findings::default());
        assert_eq!(tree.removed[&path("/a")].reason, Removed::Manuals);
    }
}
