//! Writes an image into the daemon of an engine. The daemon loads an archive in the form that every engine reads.

use tempfile::TempDir;

use super::EmitError;
use super::archive::{self, Form};
use super::contents::Contents;
use super::staged::StagedFile;
use crate::outside::store::StoreError;
use crate::outside::world::World;

const ARCHIVE: &str = "image.tar";

/// An archive in the store that is ready to be loaded.
pub(super) struct Loading<'a> {
    home: TempDir,
    name: String,
    world: &'a World,
}

pub(super) fn refuse(name: &str, is_zstd: bool, world: &World) -> Result<(), EmitError> {
    let failed = |source| EmitError::Daemon { name: name.to_owned(), source };
    let engine = world.daemon.ask().map_err(failed)?;
    if is_zstd && !engine.reads_zstd {
        return Err(EmitError::Zstd { name: name.to_owned(), engine: engine.name });
    }
    Ok(())
}

pub(super) fn stage<'a>(name: &str, contents: &Contents<'_>, world: &'a World) -> Result<Loading<'a>, EmitError> {
    let home = world.store.temporary_dir()?;
    // If the destination has the image's own name, the image is loaded under all of its names. If the destination has
    // another name, the image is loaded only under that name.
    let is_own = contents.names.first().is_some_and(|own| own == name);
    let names = if is_own { contents.names.clone() } else { vec![name.to_owned()] };
    let contents = Contents { names, ..contents.clone() };
    let staged = archive::stage(&home.path().join(ARCHIVE), &contents, &Form::BOTH, &world.store);
    staged.and_then(StagedFile::publish).map_err(|error| match error {
        // The archive is a file in the store and not a destination of the user. So this is an error of the store.
        EmitError::Write { path, source } => StoreError::Write { path, source }.into(),
        other => other,
    })?;
    Ok(Loading { home, name: name.to_owned(), world })
}

impl Loading<'_> {
    pub(super) fn load(self) -> Result<(), EmitError> {
        let loaded = self.world.daemon.load(&self.home.path().join(ARCHIVE));
        loaded.map_err(|source| EmitError::Daemon { name: self.name, source })
    }
}
