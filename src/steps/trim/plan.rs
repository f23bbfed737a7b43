//! The plan of trim: the changes that rules propose. Only [`super::carry_out`] changes a tree.

use crate::model::digest::Digest;
use crate::model::image_path::ImagePath;
use crate::model::reach::Reached;
use crate::model::reason::{Kept, Removed};
use crate::model::tree::Node;

/// A change of the tree that a rule proposes. If the path is held, for example by `--keep`, it is not changed.
#[derive(Debug)]
pub(super) enum Proposal {
    /// The path is removed. If several rules propose this, the first one gives the reason.
    Remove { path: ImagePath, reason: Removed },
    /// The file gets other contents. Its mode, owner and origin stay.
    Rewrite { path: ImagePath, digest: Digest, size_bytes: u64 },
    /// All of `paths` are removed, and the new file `by` is added instead. If one of `paths` must stay, nothing
    /// changes, because the paths belong together.
    Substitute { paths: Vec<ImagePath>, reason: Removed, by: (ImagePath, Node) },
    /// The path stays. `reason` is shown instead of the reason of its package, because it is more exact.
    Explain { path: ImagePath, reason: Kept },
    /// Nothing changes. These modules are reached, each with its cause.
    Reached(Reached),
    /// Nothing changes. The text gives the user the reason.
    Note(String),
    /// Nothing changes, because an option of the user has no effect.
    Warning(String),
}
