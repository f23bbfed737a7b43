//! The bytes that the next level of trim would remove. They are computed while the checks run, and kept in the cache.

use serde::Serialize;

use crate::model::digest::Digest;
use crate::model::image_path::ImagePath;
use crate::model::launch::Started;
use crate::model::lock::LockedDeb;
use crate::model::made::Made;
use crate::model::receipt::NextLevel;
use crate::model::request::{PythonRequest, Request, SlimRequest, TrimLevel, TrimRequest};
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
    debs: &'a [LockedDeb],
    /// The requested distributions.
    distributions: Vec<&'a str>,
    python: &'a PythonRequest,
    user_base: &'a UserBase,
    scripts: &'a [String],
    started: &'a Started,
    options: &'a TrimRequest,
}

/// Returns the gain of `--trim reach` for an image of the level `standard`. `None` for the other levels: only runs can
/// show the gain of `trace`. Also `None` if no checks run, because the image would then have to wait for the
/// computation.
pub(super) fn next_level(made: &Made, request: &Request, store: &Store) -> Result<Option<NextLevel>, StoreError> {
    if request.trim.level != TrimLevel::Standard || !request.proof.verify {
        return Ok(None);
    }
    let options = TrimRequest { level: TrimLevel::Reach, ..request.trim.clone() };
    let wanted = SlimRequest { options: &options, ..request.to_trim(&made.launch.started) };
    let key = Digest::of_key(&Key {
        program: program::identity(),
        whole: made.assembly.tree.digest(),
        slim: made.tree.digest(),
        debs: &made.lock.debs,
        distributions: made.assembly.programs.iter().map(|program| program.name.as_str()).collect(),
        python: &request.python,
        user_base: wanted.user_base,
        scripts: wanted.scripts,
        started: wanted.started,
        options: wanted.options,
    });
    if let Some(known) = store.entry(Bucket::NextLevels, &key) {
        return Ok(Some(known));
    }
    let slim = trim(&made.assembly, &made.lock, &wanted, store)?;
    let links = made.tree.hard_links();
    let shipped = |path: &&ImagePath| !links.contains_key(*path);
    let sources = slim.tree.removed.keys().filter(|path| path.as_str().ends_with(".py"));
    let bytecode: Vec<ImagePath> = sources.filter_map(|path| bytecode_path(path, wanted.python.version)).collect();
    let removed = slim.tree.removed.keys().filter(shipped).chain(&bytecode);
    let removed_bytes = removed.filter_map(|path| made.tree.nodes.get(path)).map(|node| node.size_bytes()).sum();
    let next = NextLevel { level: options.level, removed_bytes, notes: slim.notes };
    store.write_entry(Bucket::NextLevels, &key, &next)?;
    Ok(Some(next))
}
