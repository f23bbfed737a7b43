//! What the ELF files of wheels need of the system: `DT_NEEDED` that no wheel brings.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read as _};

use fs_err as fs;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::formats::elf;
use crate::formats::wheel::{Wheel, WheelError};
use crate::model::digest::Digest;
use crate::model::lock::LockedWheel;
use crate::model::platform::Platform;
use crate::outside::store::{Store, StoreError};

#[derive(Debug, Error)]
pub(crate) enum NeedsError {
    #[error("cannot read the libraries of `{wheel}`")]
    Wheel { wheel: String, source: WheelError },
    #[error("cannot read the libraries of `{wheel}`")]
    Open { wheel: String, source: std::io::Error },
    #[error("cannot use `{wheel}` on {platform}: its `{file}` is made for another processor (ELF machine {machine})")]
    Machine { wheel: String, platform: Platform, file: String, machine: u16 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An ELF file of a wheel.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Library {
    path: String,
    machine: u16,
    soname: Option<String>,
    needed: Vec<String>,
}

/// Each library that the wheels need and none of them brings, with the first wheel that asks for it.
pub(super) fn needs(
    wheels: &[LockedWheel],
    platform: Platform,
    store: &Store,
) -> Result<BTreeMap<String, String>, NeedsError> {
    let read: Result<Vec<Vec<Library>>, NeedsError> = wheels.par_iter().map(|wheel| libraries(wheel, store)).collect();
    let libraries = read?;
    let machine = platform.architecture.elf_machine();
    // A library that a wheel brings is found there by its RPATH, or was loaded before by the wheel's own code.
    let mut brought = BTreeSet::new();
    for library in libraries.iter().flatten().filter(|library| library.machine == machine) {
        brought.extend(library.soname.as_deref());
        brought.extend(library.path.rsplit('/').next());
    }
    let mut needs = BTreeMap::new();
    for (wheel, libraries) in wheels.iter().zip(&libraries) {
        for library in libraries {
            if library.machine != machine {
                if is_extension_module(&library.path) {
                    return Err(NeedsError::Machine {
                        wheel: wheel.file_name.clone(),
                        platform,
                        file: library.path.clone(),
                        machine: library.machine,
                    });
                }
                continue;
            }
            for name in library.needed.iter().filter(|name| !brought.contains(name.as_str())) {
                needs.entry(name.clone()).or_insert_with(|| wheel.name.clone());
            }
        }
    }
    Ok(needs)
}

/// Whether the interpreter itself would load the file: `name.cpython-313-x86_64-linux-gnu.so`, `name.abi3.so`.
fn is_extension_module(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.ends_with(".abi3.so") || (name.contains(".cpython-") && name.ends_with(".so"))
}

/// The wheel's ELF files, from an earlier reading where there is one.
fn libraries(wheel: &LockedWheel, store: &Store) -> Result<Vec<Library>, NeedsError> {
    const SHELF: &str = "libraries-1";
    if wheel.file_name.ends_with("-any.whl") {
        return Ok(Vec::new());
    }
    if let Some(noted) = store.note(SHELF, &wheel.digest) {
        return Ok(noted);
    }
    let unreadable = |source| NeedsError::Wheel { wheel: wheel.file_name.clone(), source };
    let file = fs::File::open(store.parcel_path(&wheel.digest))
        .map_err(|source| NeedsError::Open { wheel: wheel.file_name.clone(), source })?;
    let mut found = Vec::new();
    let mut archive = Wheel::open(BufReader::new(file)).map_err(unreadable)?;
    archive
        .files(|_, path, _, reader| {
            let mut bytes = Vec::new();
            let failed = |source| WheelError::Read { file: path.clone(), source };
            reader.take(4).read_to_end(&mut bytes).map_err(failed)?;
            let is_elf = bytes == b"\x7fELF";
            if is_elf {
                reader.read_to_end(&mut bytes).map_err(failed)?;
                // One that cannot be read, or is of 32 bits, needs nothing that lath could bring.
                if let Ok(Some(file)) = elf::parse(&bytes) {
                    found.push(Library {
                        path: path.clone(),
                        machine: file.machine,
                        soname: file.soname,
                        needed: file.needed,
                    });
                }
            }
            Ok::<_, WheelError>(is_elf.then(|| *Digest::of(&bytes).as_bytes()))
        })
        .map_err(unreadable)?;
    store.write_note(SHELF, &wheel.digest, &found)?;
    Ok(found)
}
