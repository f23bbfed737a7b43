//! Which files of a base image the user of the new image may use. The proof cannot notice a missing permission, because
//! its sandbox gives the files of the image to one user.

use crate::model::image_path::ImagePath;
use crate::model::request::Owner;
use crate::model::tree::{Kind, Node, Tree};

/// The maximum number of links in a path, like in Linux.
const MAX_LINKS: usize = 40;
/// The permission bits that are needed to go through a folder.
const SEARCH: u32 = 0o1;
/// The permission bits that are needed to read a folder, or to run a program.
const READ: u32 = 0o5;

/// Returns the first node that keeps `user` from `path`: a folder above it that this user may not enter, or `path`
/// itself if the user may not read it. Links are followed. If the path does not exist, only the folders above it count.
pub(super) fn obstacle<'a>(tree: &'a Tree, path: &ImagePath, user: Owner) -> Option<(ImagePath, &'a Node)> {
    let mut current = path.clone();
    'again: for _ in 0..MAX_LINKS {
        for here in with_folders(&current) {
            let node = tree.nodes.get(&here)?;
            if let Kind::Link { target } = &node.kind {
                let rest = current.as_str()[here.as_str().len()..].to_owned();
                current = here.resolve_link(target).join(&rest).ok()?;
                continue 'again;
            }
            let needed = if here == current { READ } else { SEARCH };
            if !allows(node, needed, user) {
                return Some((here, node));
            }
        }
        return None;
    }
    None
}

/// Returns the folders above `path`, beginning with the root, and then `path` itself.
fn with_folders(path: &ImagePath) -> Vec<ImagePath> {
    let mut paths: Vec<ImagePath> = std::iter::successors(Some(path.clone()), ImagePath::parent).collect();
    paths.reverse();
    paths
}

/// Whether the mode of `node` gives all bits of `needed` to `user` (path_resolution(7), "Permissions").
fn allows(node: &Node, needed: u32, user: Owner) -> bool {
    let bits = match () {
        () if user.user == 0 => return true,
        () if user.user == node.owner => node.mode >> 6,
        () if user.group == node.group() => node.mode >> 3,
        () => node.mode,
    };
    bits & needed == needed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::tree::Origin;

    #[test]
    fn a_user_needs_the_right_to_enter_every_folder_and_to_run_the_program() {
        let path = |text: &str| ImagePath::parse(text).unwrap();
        let mut tree = Tree::default();
        let folder = |mode, owner, group| Node { mode, owner, group, ..Node::directory(Origin::Base) };
        let program = |mode| Node::file(Digest::of(b""), 0, mode, Origin::Base);
        tree.insert(ImagePath::root(), folder(0o755, 0, None));
        tree.insert(path("/root"), folder(0o700, 0, None));
        tree.insert(path("/root/uv/python"), program(0o755));
        tree.insert(path("/usr/bin/python"), Node::link("../../root/uv/python", Origin::Base));
        tree.insert(path("/home/me"), folder(0o750, 7, Some(8)));
        tree.insert(path("/home/me/python"), program(0o755));
        tree.insert(path("/opt/python"), program(0o754));
        tree.insert(path("/opt/only-entered"), folder(0o711, 0, None));
        tree.insert(path("/opt/only-entered/python"), program(0o755));
        let table = [
            ("/root/uv/python", 0, 0, None),
            ("/root/uv/python", 7, 8, Some("/root")),
            ("/usr/bin/python", 7, 8, Some("/root")),
            ("/home/me/python", 7, 1, None),
            ("/home/me/python", 1, 8, None),
            ("/home/me/python", 1, 1, Some("/home/me")),
            ("/opt/python", 7, 8, Some("/opt/python")),
            ("/opt/python", 7, 0, None),
            ("/opt/only-entered/python", 7, 8, None),
            ("/opt/only-entered", 7, 8, Some("/opt/only-entered")),
            ("/opt/missing/python", 7, 8, None),
            ("/root/missing", 7, 8, Some("/root")),
        ];
        for (program, user, group, expected) in table {
            let found = obstacle(&tree, &path(program), Owner { user, group }).map(|(path, _)| path.to_string());
            assert_eq!(found.as_deref(), expected, "{program} as {user}:{group}");
        }
    }
}
