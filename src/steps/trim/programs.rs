//! Removes programs of Debian's essential packages that are included for the scripts of another package, if no script
//! names them.

use std::collections::BTreeMap;

use super::survey::Survey;
use super::{Base, keeps};
use crate::model::image_path::ImagePath;
use crate::model::reason::Removed;
use crate::model::request::Request;
use crate::model::tree::{Kind, Node, Origin, Tree};
use crate::model::vocabulary::is_program;

/// A package with at most this many programs keeps all of them, because they are probably the reason for the
/// dependency.
const FEW: usize = 4;

/// Removes the programs of `coreutils` and similar packages that no script in the image could call.
pub(super) fn remove_unnamed(tree: &mut Tree, surveys: &BTreeMap<Origin, Survey<'_>>, base: &Base, request: &Request) {
    let is_in_path = |path: &ImagePath, node: &Node| {
        node.kind != Kind::Directory && (path.is_within("/usr/bin") || path.is_within("/usr/sbin"))
    };
    let mut programs: BTreeMap<&str, Vec<&ImagePath>> = BTreeMap::new();
    for (path, node) in &tree.nodes {
        if let Origin::Deb { name, .. } = &node.origin
            && base.is_aide(name)
            && is_in_path(path, node)
        {
            programs.entry(name).or_default().push(path);
        }
    }
    let is_named = |path: &ImagePath| {
        let mut askers = surveys.iter().filter(|(origin, _)| match origin {
            Origin::Deb { name, .. } => !base.is_aide(name),
            Origin::Wheel { .. } | Origin::Lath | Origin::User => true,
        });
        // A program that the vocabulary lacks could be named anywhere.
        !is_program(path.file_name().as_bytes()) || askers.any(|(_, survey)| survey.mentions.contains(path.file_name()))
    };
    let going: Vec<ImagePath> = programs
        .into_values()
        .filter(|programs| programs.len() > FEW)
        .flatten()
        .filter(|path| !is_named(path) && !keeps(request, path))
        .cloned()
        .collect();
    for path in going {
        tree.remove(&path, Removed::UnnamedPrograms);
    }
}
