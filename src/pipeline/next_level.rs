//! The bytes that the next level of trim would remove. They are computed while the bytecode is compiled, and kept in
//! the cache.

use serde::Serialize;

use crate::model::assembly::Assembly;
use crate::model::digest::Digest;
use crate::model::image_path::ImagePath;
use crate::model::launch::{Launch, Started};
use crate::model::lock::{LockedDeb, PlatformLock};
use crate::model::made::Made;
use crate::model::receipt::NextLevel;
use crate::model::request::{Bytecode, PythonRequest, Request, SlimRequest, TrimLevel, TrimRequest};
use crate::model::tree::Tree;
use crate::model::user_base::UserBase;
use crate::outside::program;
use crate::outside::store::{Bucket, Store, StoreError};
use crate::steps::compile::bytecode_path;
use crate::steps::trim::trim;

/// Everything that the result depends on.
#[derive(Serialize)]
struct Key<'a> {
    program: String,
    whole: Digest,
    slim: Digest,
    bytecode: Bytecode,
    debs: &'a [LockedDeb],
    /// The requested distributions.
    distributions: Vec<&'a str>,
    python: &'a PythonRequest,
    user_base: &'a UserBase,
    scripts: &'a [String],
    started: &'a Started,
    options: &'a TrimRequest,
}

/// The contents of an image before its bytecode is compiled.
#[derive(Clone, Copy)]
pub(super) struct Trimmed<'a> {
    pub(super) lock: &'a PlatformLock,
    pub(super) assembly: &'a Assembly,
    pub(super) launch: &'a Launch,
    pub(super) tree: &'a Tree,
}

/// The gain of the next level, before the sizes of the bytecode are known.
pub(super) enum Begun {
    /// It is not computed.
    Nothing,
    Known(NextLevel),
    /// The level would remove these paths, and their bytecode.
    Removed {
        key: Digest,
        level: TrimLevel,
        paths: Vec<ImagePath>,
        notes: Vec<String>,
    },
}

/// Begins to compute the gain of `--trim reach` for an image of the level `standard`. No gain is computed for the
/// other levels. For example, only runs can show the gain of `trace`. If no checks run, nothing is computed either,
/// because the image would have to wait for the result.
pub(super) fn begin(trimmed: Trimmed<'_>, request: &Request, store: &Store) -> Result<Begun, StoreError> {
    if request.trim.level != TrimLevel::Standard || !request.proof.verify {
        return Ok(Begun::Nothing);
    }
    let Trimmed { lock, assembly, launch, tree } = trimmed;
    let options = TrimRequest { level: TrimLevel::Reach, ..request.trim.clone() };
    let wanted = SlimRequest { options: &options, ..request.to_trim(&launch.started) };
    let key = Digest::of_key(&Key {
        program: program::identity(),
        whole: assembly.tree.digest(),
        slim: tree.digest(),
        bytecode: request.bytecode,
        debs: &lock.debs,
        distributions: assembly.programs.iter().map(|program| program.name.as_str()).collect(),
        python: &request.python,
        user_base: wanted.user_base,
        scripts: wanted.scripts,
        started: wanted.started,
        options: wanted.options,
    });
    if let Some(known) = store.entry(Bucket::NextLevels, &key) {
        return Ok(Begun::Known(known));
    }
    let slim = trim(assembly, lock, &wanted, store)?;
    let paths = slim.tree.removed.into_keys().collect();
    Ok(Begun::Removed { key, level: options.level, paths, notes: slim.notes })
}

impl Begun {
    /// Returns the gain for the image `made`, and keeps it in the cache.
    pub(super) fn finish(self, made: &Made, request: &Request, store: &Store) -> Result<Option<NextLevel>, StoreError> {
        let (key, level, paths, notes) = match self {
            Self::Nothing => return Ok(None),
            Self::Known(known) => return Ok(Some(known)),
            Self::Removed { key, level, paths, notes } => (key, level, paths, notes),
        };
        let links = made.tree.hard_links();
        let shipped = |path: &&ImagePath| !links.contains_key(*path);
        let sources = paths.iter().filter(|path| path.as_str().ends_with(".py"));
        let bytecode: Vec<ImagePath> = sources.filter_map(|path| bytecode_path(path, request.python.version)).collect();
        let removed = paths.iter().filter(shipped).chain(&bytecode);
        let removed_bytes = removed.filter_map(|path| made.tree.nodes.get(path)).map(|node| node.size_bytes()).sum();
        let next = NextLevel { level, removed_bytes, notes };
        store.write_entry(Bucket::NextLevels, &key, &next)?;
        Ok(Some(next))
    }
}
