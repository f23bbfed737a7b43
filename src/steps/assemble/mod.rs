//! Parts -> tree: puts each file in its place. Maintainer scripts never run, so lath writes the files that they would
//! create.

mod accounts;
mod alternatives;
mod base;
mod caches;
mod changes;
mod debs;
mod key_store;
mod landing;
mod loader;
mod odbc;
mod on_base;
mod pam;
mod programs;
mod rights;
mod scripts;
mod shell;
mod shortfalls;
mod systemd;
mod upgrades;
mod users;
mod wheels;

use std::path::PathBuf;

use thiserror::Error;

use self::debs::Conflicts;
use self::landing::landing;
use self::scripts::Scripts;
use self::upgrades::{Upgrades, remove_old};
use self::wheels::Target;
use crate::model::assembly::Assembly;
use crate::model::facts::ElfFault;
use crate::model::hint::Hints;
use crate::model::image_path::{ImagePath, ImagePathError};
use crate::model::lock::PlatformLock;
use crate::model::part::{Part, PartContents};
use crate::model::platform::Architecture;
use crate::model::request::AssembleRequest;
use crate::model::tree::{Kind, Node, Origin, Tree};
use crate::outside::facts::Kept;
use crate::outside::store::{Store, StoreError};

#[derive(Debug, Error)]
pub(crate) enum AssembleError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Path(#[from] ImagePathError),
    #[error("cannot read the library `{path}`")]
    Library { path: ImagePath, source: ElfFault },
    #[error("cannot put a file of {origin} into the image")]
    Place { origin: Origin, source: ImagePathError },
    #[error("cannot copy `{path}` into the image")]
    Copy { path: PathBuf, source: std::io::Error },
    #[error("cannot copy `{path}` into the image: it is neither a file, a folder nor a link, or its name is not UTF-8")]
    CopyKind { path: PathBuf },
    #[error("cannot put `{path}` of the application into the image: there is already a file `{target}`")]
    Taken { path: String, target: ImagePath },
    #[error("cannot write the console script `{name}`: the image already has one of this name, of {origin}")]
    Script { name: String, origin: Origin },
    #[error("cannot put `{path}` of {origin} into the image: `{parent}` is not a directory there")]
    Parent { path: ImagePath, origin: Origin, parent: ImagePath },
}

impl Hints for AssembleError {
    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

/// Builds the whole tree of one platform, before anything is trimmed.
pub(crate) fn assemble(
    lock: &PlatformLock,
    parts: &[Part],
    request: &AssembleRequest<'_>,
    store: &Store,
) -> Result<Assembly, AssembleError> {
    let mut assembly = Assembly::default();
    match request.base {
        None => base::lay_ground(&mut assembly.tree, request)?,
        Some(base) => on_base::lay_ground(&mut assembly, base, request)?,
    }
    let mut wheels = Vec::new();
    let mut conflicts = Conflicts::of(parts);
    for part in parts {
        assembly.facts.add_all(&part.origin, part.parcel, &part.facts);
        match &part.contents {
            PartContents::Deb(deb) => {
                debs::place(deb, &part.origin, &mut conflicts, &mut assembly, store).map_err(of(&part.origin))?;
            }
            PartContents::Wheel(wheel) => wheels.push((&part.origin, wheel)),
        }
    }
    debs::link_shell(&mut assembly.tree)?;
    let scripts = scripts::read(parts, &assembly.tree, store)?;
    // Requested distributions come last, so that their files replace files of other distributions at the same path.
    wheels.sort_by_key(|(origin, _)| lock.wheels.iter().any(|wheel| wheel.is_requested && wheel.origin() == **origin));
    let upgrades = match request.base {
        None => Upgrades::default(),
        Some(base) => remove_old(&wheels, base, request, &mut assembly.tree, store)?,
    };
    let target = Target { lock, python: request.python, user_base: request.user_base };
    for (origin, wheel) in &wheels {
        wheels::place(wheel, origin, &target, &mut assembly, store).map_err(of(origin))?;
        assembly.notes.extend(wheels::record_faults(origin, wheel));
    }
    for script in request.written_scripts {
        wheels::write_script(script, &target, &mut assembly, store)?;
    }
    assembly.notes.extend(scripts.notes(&assembly.tree));
    assembly.notes.extend(rights::note(lock, parts, &scripts, request));
    assembly.notes.extend(conflicts.notes());
    assembly.notes.extend(wheels::overlaps(&wheels, request.user_base, request.python.version));
    alternatives::link(&mut assembly.tree, &scripts.alternatives)?;
    base::write(&mut assembly.tree, request, store)?;
    if request.base.is_none() || !lock.debs.is_empty() {
        configure(&scripts, &mut assembly, lock.platform.architecture, request, store)?;
    }
    if let Some(base) = request.base {
        let notes = on_base::restore(&mut assembly, base, &upgrades.removed);
        assembly.notes.extend(upgrades.notes.into_iter().chain(notes));
    }
    add_files_of_user(&mut assembly, request, store)?;
    assembly.programs = programs::programs(lock, parts);
    assembly.scripts.sort();
    assembly.scripts.dedup_by(|one, other| one.name == other.name);
    check_parents(&assembly.tree)?;
    Ok(assembly)
}

/// Adds the user's own files, the directories of volumes, and the work directory.
fn add_files_of_user(
    assembly: &mut Assembly,
    request: &AssembleRequest<'_>,
    store: &Store,
) -> Result<(), AssembleError> {
    for copied in request.copies {
        users::copy(copied, assembly, store)?;
    }
    if let Some(app) = request.app {
        users::place_application(app, assembly, store)?;
    }
    users::make_volumes(request.volumes, request.owner, &mut assembly.tree);
    if let Some(workdir) = request.workdir
        && assembly.tree.find(workdir.as_str()).is_none()
    {
        // If the work directory is missing, an engine creates it. But the engine cannot create it if the root file
        // system is read-only.
        let folder = landing(&assembly.tree, workdir.as_str())?;
        assembly.tree.insert(folder, Node::directory(Origin::Lath));
    }
    Ok(())
}

/// Makes the changes that the packages' maintainer scripts would make.
fn configure(
    scripts: &Scripts,
    assembly: &mut Assembly,
    architecture: Architecture,
    request: &AssembleRequest<'_>,
    store: &Store,
) -> Result<(), AssembleError> {
    let accounts = match request.base {
        None => accounts::write(&mut assembly.tree, &scripts.accounts, store)?,
        Some(_) => accounts::add(&mut assembly.tree, &scripts.accounts, store)?,
    };
    changes::make(&mut assembly.tree, &scripts.changes, &accounts);
    pam::write(&mut assembly.tree, store)?;
    odbc::register(&mut assembly.tree, &scripts.drivers, store)?;
    key_store::write(&mut assembly.tree, store)?;
    let unknown = caches::write(&mut assembly.tree, architecture, store)?;
    assembly.notes.extend(caches::note(&unknown));
    assembly.notes.extend(caches::write_settings(&mut assembly.tree, store)?);
    if request.base.is_none_or(|base| on_base::needs_loader_cache(&assembly.tree, base)) {
        loader::write_cache(assembly, architecture, store)?;
    }
    Ok(())
}

/// Adds the name of the parcel to an error about one of its paths.
fn of(origin: &Origin) -> impl Fn(AssembleError) -> AssembleError {
    |error| match error {
        AssembleError::Path(source) => AssembleError::Place { origin: origin.clone(), source },
        other => other,
    }
}

/// Returns the text of a file of the tree.
fn read_text(tree: &Tree, path: &str, store: &Store) -> Result<Option<String>, AssembleError> {
    let Some(digest) = tree.find(path).and_then(|(_, node)| node.digest()) else { return Ok(None) };
    Ok(Some(String::from_utf8_lossy(&store.read(digest)?).into_owned()))
}

/// Adds a file with a text from lath to the tree.
fn write_text(tree: &mut Tree, path: &str, text: &str, store: &Store) -> Result<(), AssembleError> {
    write_bytes(tree, path, text.as_bytes(), 0o644, store)
}

/// Adds a file that comes from lath to the tree.
fn write_bytes(tree: &mut Tree, path: &str, bytes: &[u8], mode: u32, store: &Store) -> Result<(), AssembleError> {
    let digest = store.put(bytes)?;
    tree.insert(ImagePath::parse(path)?, Node::file(digest, bytes.len() as u64, mode, Origin::Lath));
    Ok(())
}

/// Adds a file to the tree. The contents of the file are in the store.
fn put(kept: Kept, path: ImagePath, mode: u32, origin: &Origin, assembly: &mut Assembly) {
    assembly.tree.insert(path, Node::file(kept.digest, kept.size_bytes, mode, origin.clone()));
    assembly.facts.add(origin, kept.digest, kept.facts);
}

/// Refuses a tree with a path below a file or a link, because such a path could lead to any place.
fn check_parents(tree: &Tree) -> Result<(), AssembleError> {
    for (path, node) in &tree.nodes {
        let Some(parent) = path.parent().filter(|parent| *parent != ImagePath::root()) else { continue };
        if tree.nodes.get(&parent).is_none_or(|above| above.kind != Kind::Directory) {
            return Err(AssembleError::Parent { path: path.clone(), origin: node.origin.clone(), parent });
        }
    }
    Ok(())
}
