//! Parcels -> parts: every archive opened once, its contents in the store, its listing kept as a note.

use std::io::Read;
use std::path::Path;

use fs_err as fs;
use rayon::prelude::*;
use thiserror::Error;

use crate::formats::deb::{self, DebEntry, DebError};
use crate::formats::wheel::{Scheme, Wheel, WheelError};
use crate::model::digest::Digest;
use crate::model::image_path::{ImagePath, ImagePathError};
use crate::model::lock::{LockedDeb, LockedWheel, PlatformLock};
use crate::model::part::{ConsoleScript, DebPart, Part, PartContents, PartEntry, WheelPart};
use crate::model::tree::{Kind, Origin};
use crate::outside::store::{Store, StoreError};
use crate::outside::world::World;

/// The shelf of notes; its number changes when [`Part`] does.
const SHELF: &str = "parts-1";

#[derive(Debug, Error)]
pub(crate) enum UnpackError {
    #[error("cannot unpack `{parcel}`")]
    Parcel { parcel: String, source: PartError },
}

#[derive(Debug, Error)]
pub(crate) enum PartError {
    #[error("cannot open the parcel")]
    Open(#[source] std::io::Error),
    #[error(transparent)]
    Deb(#[from] DebError),
    #[error(transparent)]
    Wheel(#[from] WheelError),
    #[error(transparent)]
    Path(#[from] ImagePathError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot use `{path}`: it links to `{target}`, which did not come before it")]
    HardLink { path: String, target: String },
}

/// Opens every parcel of `lock`: .debs first, then wheels, each in the lock's order.
pub(crate) fn unpack(lock: &PlatformLock, world: &World) -> Result<Vec<Part>, UnpackError> {
    let store = &world.store;
    let debs: Result<Vec<Part>, UnpackError> = lock.debs.par_iter().map(|deb| deb_part(deb, store)).collect();
    let wheels: Result<Vec<Part>, UnpackError> = lock.wheels.par_iter().map(|wheel| wheel_part(wheel, store)).collect();
    let mut parts = debs?;
    parts.append(&mut wheels?);
    Ok(parts)
}

fn deb_part(deb: &LockedDeb, store: &Store) -> Result<Part, UnpackError> {
    let name = format!("{}_{}.deb", deb.name, deb.version);
    noted(&name, &deb.digest, deb.origin(), store, |path| read_deb(path, store).map(PartContents::Deb))
}

fn wheel_part(wheel: &LockedWheel, store: &Store) -> Result<Part, UnpackError> {
    noted(&wheel.file_name, &wheel.digest, wheel.origin(), store, |path| {
        read_wheel(path, store).map(PartContents::Wheel)
    })
}

/// The note of an earlier opening, or what `open` finds in the parcel. Contents are in the store before the note is.
fn noted(
    name: &str,
    parcel: &Digest,
    origin: Origin,
    store: &Store,
    open: impl Fn(&Path) -> Result<PartContents, PartError>,
) -> Result<Part, UnpackError> {
    let failed = |source| UnpackError::Parcel { parcel: name.to_owned(), source };
    if let Some(contents) = store.note(SHELF, parcel) {
        return Ok(Part { parcel: *parcel, origin, contents });
    }
    let contents = open(&store.parcel_path(parcel)).map_err(failed)?;
    store.write_note(SHELF, parcel, &contents).map_err(|error| failed(error.into()))?;
    Ok(Part { parcel: *parcel, origin, contents })
}

fn open(path: &Path) -> Result<std::io::BufReader<fs::File>, PartError> {
    Ok(std::io::BufReader::with_capacity(256 << 10, fs::File::open(path).map_err(PartError::Open)?))
}

fn kept(reader: &mut dyn Read, store: &Store) -> Result<Kind, PartError> {
    let (digest, size_bytes) = store.put_reader(reader)?;
    Ok(Kind::File { digest, size_bytes })
}

fn read_deb(path: &Path, store: &Store) -> Result<DebPart, PartError> {
    let mut entries: Vec<PartEntry> = Vec::new();
    let files = deb::read(open(path)?, |path, mode, entry| {
        let path = ImagePath::parse(&path)?.relative().to_owned();
        let kind = match entry {
            DebEntry::Directory => Kind::Directory,
            DebEntry::File(reader) => kept(reader, store)?,
            DebEntry::Link(target) => Kind::Link { target },
            DebEntry::HardLink(target) => {
                let wanted = ImagePath::parse(&target)?;
                let first = entries.iter().find(|entry| entry.path == wanted.relative());
                first.map(|entry| entry.kind.clone()).ok_or(PartError::HardLink { path: path.clone(), target })?
            }
        };
        if !path.is_empty() {
            entries.push(PartEntry { path, kind, mode });
        }
        Ok::<(), PartError>(())
    })?;
    let mut part = DebPart { control: String::new(), scripts: Vec::new(), control_files: Vec::new(), entries };
    for (name, text) in files {
        match name.as_str() {
            "control" => part.control = text,
            "preinst" | "postinst" | "prerm" | "postrm" | "config" | "triggers" => part.scripts.push((name, text)),
            _ => part.control_files.push((name, text)),
        }
    }
    Ok(part)
}

fn read_wheel(path: &Path, store: &Store) -> Result<WheelPart, PartError> {
    let mut wheel = Wheel::open(open(path)?)?;
    let header = wheel.header()?;
    let mut part = WheelPart {
        is_purelib: header.is_purelib,
        dist_info: header.dist_info,
        metadata: header.metadata,
        site: Vec::new(),
        scripts: Vec::new(),
        data: Vec::new(),
        headers: Vec::new(),
        console_scripts: header
            .console_scripts
            .into_iter()
            .map(|(name, module, attribute)| ConsoleScript { name, module, attribute })
            .collect(),
    };
    wheel.files(|scheme, path, is_executable, reader| {
        let path = ImagePath::parse(&path)?.relative().to_owned();
        let (digest, size_bytes) = store.put_reader(reader)?;
        let mode = if is_executable { 0o755 } else { 0o644 };
        let entry = PartEntry { path, kind: Kind::File { digest, size_bytes }, mode };
        match scheme {
            Scheme::Site => part.site.push(entry),
            Scheme::Scripts => part.scripts.push(entry),
            Scheme::Data => part.data.push(entry),
            Scheme::Headers => part.headers.push(entry),
        }
        Ok::<_, PartError>(Some(*digest.as_bytes()))
    })?;
    Ok(part)
}
