//! Parcels -> parts: opens each archive once. Puts its contents into the store, and its listing into the cache.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fs_err as fs;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::formats::deb::{self, DebEntry, DebError};
use crate::formats::mentions::Texts;
use crate::formats::wheel::{Scheme, Wheel, WheelError};
use crate::model::digest::Digest;
use crate::model::facts::FileFacts;
use crate::model::hint::{Hint, Hints, MachineHint, RequestHint};
use crate::model::image_path::{ImagePath, ImagePathError};
use crate::model::lock::{LockedDeb, LockedWheel, Parcel};
use crate::model::part::{ConsoleScript, DebPart, Part, PartContents, PartEntry, WheelPart};
use crate::model::tree::{Kind, Origin};
use crate::model::vocabulary;
use crate::outside::facts::Keeper;
use crate::outside::store::{Bucket, Packed, Store, StoreError};

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
    #[error("cannot use `{path}`: it is a hard link to `{target}`, which is not an earlier file of the package")]
    HardLink { path: String, target: String },
    #[error("cannot unpack `{path}`")]
    Contents { path: String, source: std::io::Error },
    #[error("cannot use `{path}`: the path occurs twice")]
    Twice { path: String },
    #[error("cannot use its bytes in the cache: they changed after the download, and were removed")]
    Damaged(#[source] Box<Self>),
}

impl Hints for UnpackError {
    fn own_hints(&self) -> Vec<Hint> {
        let Self::Parcel { parcel, source } = self;
        let parcel = parcel.clone();
        let hint = match source {
            PartError::Wheel(_) | PartError::Contents { .. } => RequestHint::OtherWheel { parcel },
            PartError::Deb(_) | PartError::Path(_) | PartError::HardLink { .. } | PartError::Twice { .. } => {
                RequestHint::TrustedParcel { parcel }
            }
            PartError::Store(_) | PartError::Open(_) | PartError::Damaged(_) => return Vec::new(),
        };
        vec![Hint::Request(hint)]
    }

    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Parcel { source, .. } => Some(source),
        }
    }
}

impl Hints for PartError {
    fn own_hints(&self) -> Vec<Hint> {
        match self {
            Self::Damaged(_) => vec![Hint::Machine(MachineHint::RunAgain)],
            _ => Vec::new(),
        }
    }

    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Store(error) => Some(error),
            Self::Damaged(error) => Some(&**error),
            _ => None,
        }
    }
}

/// Opens a parcel that is in the store.
pub(crate) fn unpack(parcel: Parcel<'_>, store: &Store) -> Result<Part, UnpackError> {
    match parcel {
        Parcel::Deb(deb) => deb_part(deb, store),
        Parcel::Wheel(wheel) => wheel_part(wheel, store),
    }
}

fn deb_part(deb: &LockedDeb, store: &Store) -> Result<Part, UnpackError> {
    let name = format!("{}_{}.deb", deb.name, deb.version);
    noted(&name, &deb.digest, deb.origin(), store, |path, keeper| read_deb(path, keeper).map(PartContents::Deb))
}

fn wheel_part(wheel: &LockedWheel, store: &Store) -> Result<Part, UnpackError> {
    noted(&wheel.file_name, &wheel.digest, wheel.origin(), store, |path, keeper| {
        read_wheel(path, keeper).map(PartContents::Wheel)
    })
}

/// Cache entry: the contents of a parcel, the facts about its files, and the pack with its small files.
#[derive(Serialize, Deserialize)]
struct Opened {
    contents: PartContents,
    facts: FileFacts,
    packed: Packed,
}

/// Stores the contents of the file `path`.
fn keep(keeper: &mut Keeper<'_>, path: &str, reader: &mut dyn std::io::Read) -> Result<(Digest, u64), PartError> {
    keeper.keep(reader, |source| PartError::Contents { path: path.to_owned(), source })
}

/// Returns the contents of a parcel from the cache. If the cache has no entry, `open` reads the parcel. A power failure
/// may remove or truncate the files of a cache entry, although they are written before the entry. In this case, the
/// parcel is opened again.
fn noted(
    name: &str,
    parcel: &Digest,
    origin: Origin,
    store: &Store,
    open: impl Fn(&Path, &mut Keeper<'_>) -> Result<PartContents, PartError>,
) -> Result<Part, UnpackError> {
    let failed = |source| UnpackError::Parcel { parcel: name.to_owned(), source };
    let key = Digest::of_fields([parcel.as_bytes().as_slice(), vocabulary::digest().as_bytes()]);
    let noted = store.entry::<Opened>(Bucket::Parts, &key);
    if let Some(Opened { contents, facts, .. }) =
        noted.filter(|noted| store.open_pack(&noted.packed) && holds(&noted.contents, store))
    {
        return Ok(Part { parcel: *parcel, origin, contents, facts });
    }
    // In a package, any text may contain names of programs, because a script of the package may read the text. In a
    // distribution, only scripts count, because most other texts are modules.
    let texts = if matches!(origin, Origin::Deb { .. }) { Texts::All } else { Texts::Scripts };
    let mut keeper = Keeper::new(texts, store);
    let contents =
        open(&store.parcel_path(parcel), &mut keeper).map_err(|error| match store.drop_damaged_parcel(parcel) {
            Ok(true) => failed(PartError::Damaged(Box::new(error))),
            _ => failed(error),
        })?;
    let keep = || {
        let (facts, packed) = keeper.finish()?;
        let opened = Opened { contents, facts, packed };
        store.write_entry(Bucket::Parts, &key, &opened)?;
        Ok(opened)
    };
    let Opened { contents, facts, .. } = keep().map_err(|error: StoreError| failed(error.into()))?;
    Ok(Part { parcel: *parcel, origin, contents, facts })
}

/// Returns whether the store has all files of the part, and whether all of them are complete.
fn holds(contents: &PartContents, store: &Store) -> bool {
    let shelves: Vec<&[PartEntry]> = match contents {
        PartContents::Deb(deb) => vec![&deb.entries],
        PartContents::Wheel(wheel) => vec![&wheel.site, &wheel.scripts, &wheel.data, &wheel.headers],
    };
    shelves.into_iter().flatten().all(|entry| match &entry.kind {
        Kind::File { digest, size_bytes } => store.holds(digest, *size_bytes),
        Kind::Directory | Kind::Link { .. } => true,
    })
}

fn open(path: &Path) -> Result<std::io::BufReader<fs::File>, PartError> {
    Ok(std::io::BufReader::with_capacity(256 << 10, fs::File::open(path).map_err(PartError::Open)?))
}

fn read_deb(path: &Path, keeper: &mut Keeper<'_>) -> Result<DebPart, PartError> {
    let mut seen: BTreeMap<String, Kind> = BTreeMap::new();
    let mut entries: Vec<PartEntry> = Vec::new();
    let files = deb::read(open(path)?, |path, mode, entry| {
        let path = ImagePath::parse(&path)?.relative().to_owned();
        let kind = match entry {
            DebEntry::Directory => Kind::Directory,
            DebEntry::File(reader) => {
                let (digest, size_bytes) = keep(keeper, &path, reader)?;
                Kind::File { digest, size_bytes }
            }
            DebEntry::Link(target) => Kind::Link { target },
            DebEntry::HardLink(target) => {
                let first = seen.get(ImagePath::parse(&target)?.relative());
                let first = first.filter(|kind| **kind != Kind::Directory).cloned();
                first.ok_or_else(|| PartError::HardLink { path: path.clone(), target })?
            }
        };
        match seen.insert(path.clone(), kind.clone()) {
            // A tar may contain the same directory several times.
            Some(Kind::Directory) if kind == Kind::Directory => return Ok(()),
            Some(_) => return Err(PartError::Twice { path }),
            None => {}
        }
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

fn read_wheel(path: &Path, keeper: &mut Keeper<'_>) -> Result<WheelPart, PartError> {
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
        record_faults: Vec::new(),
    };
    let mut seen: BTreeSet<(Scheme, String)> = BTreeSet::new();
    part.record_faults = wheel.files(|scheme, path, is_executable, reader| {
        let path = ImagePath::parse(&path)?.relative().to_owned();
        // The files of `purelib` and `platlib` go to the same directory.
        if !seen.insert((scheme, path.clone())) {
            return Err(PartError::Twice { path });
        }
        let (digest, size_bytes) = keep(keeper, &path, reader)?;
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
