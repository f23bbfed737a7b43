//! The plan of trim: the changes that rules propose. Only [`super::carry_out`] changes a tree.

use crate::model::digest::Digest;
use crate::model::image_path::ImagePath;
use crate::model::reach::Reached;
use crate::model::reason::{Kept, Removed};
use crate::model::tree::Node;

/// A change of the tree that a rule proposes. If `--keep` holds a path, it stays as it is, even if a rule proposes a
/// change.
#[derive(Debug)]
pub(super) enum Proposal {
    /// The path is removed. If several rules propose this, the first one gives the reason.
    Remove { path: ImagePath, reason: Removed },
    /// The file gets other contents. Its mode, owner and origin stay.
    Rewrite { path: ImagePath, digest: Digest, size_bytes: u64 },
    /// A new file takes the place of all of `paths`. If one of them must stay, all stay, because they belong together.
    Substitute { paths: Vec<ImagePath>, reason: Removed, by: (ImagePath, Node) },
    /// The path stays, and this reason is more exact than the reason of its package.
    Explain { path: ImagePath, reason: Kept },
    /// Nothing changes. These modules are reached, each with its cause.
    Reached(Reached),
    /// Nothing changes, and the user sees why.
    Note(String),
    /// Nothing changes, because an option of the user has no effect.
    Warning(String),
}
