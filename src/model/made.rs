//! The contents of an image before its documents are written.

use crate::model::assembly::Assembly;
use crate::model::image::Layer;
use crate::model::launch::Launch;
use crate::model::lock::PlatformLock;
use crate::model::reach::Reached;
use crate::model::receipt::{NextLevel, ProofSummary};
use crate::model::tree::Tree;

/// Everything that the image of one platform consists of.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) lock: PlatformLock,
    /// The untrimmed tree, and the programs in it.
    pub(crate) assembly: Assembly,
    pub(crate) launch: Launch,
    /// The trimmed tree, which becomes the image.
    pub(crate) tree: Tree,
    /// The modules that are reached, each with its cause. It is set only if trim has followed imports.
    pub(crate) reached: Option<Reached>,
}

/// One platform's share of an image: its contents, its layers, and the proof that it works.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    pub(crate) made: Made,
    pub(crate) layers: Vec<Layer>,
    pub(crate) proof: ProofSummary,
    /// The gain of the next level of trim, if it was computed.
    pub(crate) next_level: Option<NextLevel>,
}
