//! Carries a plan out. Only this module changes a tree for trim, and only this module enforces `--keep`.

use std::collections::{BTreeMap, BTreeSet};

use super::Slim;
use super::held::Held;
use super::plan::Proposal;
use crate::model::lock::PlatformLock;
use crate::model::reason::{Kept, Why};
use crate::model::tree::{Kind, Origin, Tree};

/// Makes all proposed changes except those of held paths. Also adds the messages for the user.
pub(super) fn carry_out(slim: &mut Slim, plan: Vec<Proposal>, held: &Held) {
    let Slim { tree, notes, warnings, reached } = slim;
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
            Proposal::Reached(found) => *reached = Some(found),
            Proposal::Note(note) => notes.push(note),
            Proposal::Warning(warning) => warnings.push(warning),
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
    use crate::model::assembly::Assembly;
    use crate::model::digest::Digest;
    use crate::model::image_path::ImagePath;
    use crate::model::reason::Removed;
    use crate::model::tree::Node;

    fn path(text: &str) -> ImagePath {
        ImagePath::parse(text).unwrap()
    }

    fn slim(paths: &[&str]) -> Slim {
        let mut tree = Tree::default();
        for text in paths {
            tree.insert(path(text), Node::file(Digest::of(b"old"), 3, 0o755, Origin::User));
        }
        Slim { tree, notes: Vec::new(), warnings: Vec::new(), reached: None }
    }

    /// Carries out all changes of `/a` and `/b`, and returns the paths and sizes of the files that are left.
    fn changed(keep: &[&str]) -> Vec<(String, u64)> {
        let mut slim = slim(&["/a", "/b", "/c", "/d"]);
        let keep: Vec<String> = keep.iter().map(|&pattern| pattern.to_owned()).collect();
        let whole = Assembly { tree: slim.tree.clone(), ..Assembly::default() };
        let held = Held::of(&whole, &keep, &BTreeSet::new());
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
        carry_out(&mut slim, plan, &held);
        let files = slim.tree.nodes.iter().filter(|(_, node)| node.kind != Kind::Directory);
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
        let mut slim = slim(&["/a"]);
        let plan = [Removed::Manuals, Removed::Locales].map(|reason| Proposal::Remove { path: path("/a"), reason });
        carry_out(&mut slim, plan.into(), &Held::default());
        assert_eq!(slim.tree.removed[&path("/a")].reason, Removed::Manuals);
    }
}
