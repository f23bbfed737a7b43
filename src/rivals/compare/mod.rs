//! Compares four images of the same program: the images of the fat, the recipe and the lean Dockerfile, and lath's
//! image. The Dockerfiles are not built: the sizes of their images are computed.

mod apt;
mod weigh;

use std::collections::BTreeMap;

use thiserror::Error;

use self::apt::Installed;
use self::weigh::{Load, Scales};
use crate::model::assembly::Assembly;
use crate::model::event::Event;
use crate::model::hint::Hints;
use crate::model::image::Layer;
use crate::model::lock::PlatformLock;
use crate::model::reason::Why;
use crate::model::request::ReleaseRequest;
use crate::model::tree::{Node, Origin, Tree};
use crate::outside::archive::ArchiveError;
use crate::outside::world::World;
use crate::rivals::content::content;
use crate::rivals::model::comparison::{AptHabits, ComparedImage, Content, Way};

#[derive(Debug, Error)]
pub(crate) enum CompareError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("cannot compare with Dockerfiles on `{base}`: its archive has no `{package}`")]
    NoPackage { base: String, package: &'static str },
}

impl Hints for CompareError {
    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Archive(error) => Some(error),
            Self::NoPackage { .. } => None,
        }
    }
}

/// lath's own image for one platform. A build has already made it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own<'a> {
    pub(crate) lock: &'a PlatformLock,
    /// The untrimmed tree. It also contains the files that an installer would write, such as `INSTALLER`.
    pub(crate) assembly: &'a Assembly,
    /// The trimmed tree, which is the content of the image.
    pub(crate) tree: &'a Tree,
    pub(crate) layers: &'a [Layer],
}

/// Computes all four images in the order of [`Way`].
pub(crate) fn compare(
    own: Own<'_>,
    base: &ReleaseRequest,
    habits: AptHabits,
    world: &World,
) -> Result<Vec<ComparedImage>, CompareError> {
    let architecture = own.lock.platform.architecture;
    let snapshot = world.archive.snapshot(base, architecture, world.access())?;
    let index = world.archive.load(&snapshot, world.access())?;
    for package in ["apt", "python3", "python3-pip", "python3-minimal"] {
        if index.versions(package).is_empty() {
            let base = format!("{}:{}", base.distribution, base.suite);
            return Err(CompareError::NoPackage { base, package });
        }
    }
    let details = world.archive.details(&snapshot, world.access())?;
    let extents = world.archive.extents(&snapshot, world.access())?;
    if extents.is_none() {
        let note = "the archive has no lists of files: the numbers of files are estimates";
        world.listener.hear(Event::Note(note.to_owned()));
    }
    let scales = Scales { details: &details, extents: extents.as_ref(), lists: &snapshot.lists, habits };
    let system = apt::bootstrap(&index, &details);
    let extra = names(own.lock, |why| matches!(why, Why::Named { .. } | Why::Library { .. }));
    let grown = names(own.lock, |why| !matches!(why, Why::Dependency { .. }));
    let with = |first: &[&str], more: &[String]| {
        let first = first.iter().map(|name| (*name).to_owned());
        first.chain(more.iter().cloned()).collect::<Vec<String>>()
    };
    let fat = apt::install(&index, &system, &with(&["python3", "python3-pip"], &extra), true);
    let recipe = apt::install(&index, &system, &with(&["python3-minimal"], &extra), true);
    let lean = apt::install(&index, &system, &with(&["python3-minimal"], &grown), false);
    Ok(vec![
        image(Way::Fat, with_leftovers(&scales, &system, &fat, own), own),
        image(Way::Recipe, with_leftovers(&scales, &system, &recipe, own), own),
        image(Way::Lean, careful(&scales, &system, &lean, own), own),
        ours(own, |name, version| scales.content(name, version)),
    ])
}

/// Returns only lath's own image. This needs no data of a Debian archive, so the image may have any base image.
pub(crate) fn only_own(
    own: Own<'_>,
    _: &ReleaseRequest,
    _: AptHabits,
    _: &World,
) -> Result<Vec<ComparedImage>, CompareError> {
    // The sections of packages are empty, because they are only in the archive.
    Ok(vec![ours(own, |name, _| content(name, ""))])
}

/// Returns the names of the Debian packages of the lock whose reason satisfies `is_wanted`.
fn names(lock: &PlatformLock, is_wanted: impl Fn(&Why) -> bool) -> Vec<String> {
    lock.debs.iter().filter(|deb| is_wanted(&deb.why)).map(|deb| deb.name.clone()).collect()
}

/// Computes an image that is not minimised. It consists of the base image, all files that apt installs, the files that
/// apt leaves behind, and the user base that pip writes.
fn with_leftovers(scales: &Scales<'_>, system: &Installed<'_>, added: &Installed<'_>, own: Own<'_>) -> Load {
    let mut load = base_and_packages(scales, system, added);
    for package in added.values() {
        scales.put_bytecode(package, &mut load);
    }
    scales.put_leftovers(added.values(), &mut load);
    let source = put_program(own, &mut load);
    load.add(Content::Bytecode, weigh::bytecode_of_source(source.0));
    load.files += source.1;
    load
}

/// Computes an image like [`with_leftovers`], but without the files that apt leaves behind. From the standard library,
/// it has the same bytecode files as lath's image, which has bytecode for only some modules.
fn careful(scales: &Scales<'_>, system: &Installed<'_>, added: &Installed<'_>, own: Own<'_>) -> Load {
    let mut load = base_and_packages(scales, system, added);
    let source = put_program(own, &mut load);
    load.add(Content::Bytecode, weigh::bytecode_of_source(source.0));
    load.files += source.1;
    let of_stdlib = own.tree.nodes.iter().filter(|(path, _)| path.is_within("/usr") && path.is_bytecode());
    let (mut bytes, mut files) = (0, 0);
    for (_, node) in of_stdlib {
        bytes += node.size_bytes();
        files += u64::from(node.digest().is_some());
    }
    load.add(Content::Bytecode, bytes);
    load.files += files;
    load
}

fn base_and_packages(scales: &Scales<'_>, system: &Installed<'_>, added: &Installed<'_>) -> Load {
    let mut load = Load::default();
    for package in system.values().chain(added.values()) {
        scales.put_package(package, &mut load);
    }
    // The databases of packages are added twice, because a layer of the base image contains them, and the layer of the
    // installation contains them again.
    scales.put_bookkeeping(system.len() as u64, &mut load);
    scales.put_bookkeeping((system.len() + added.len()) as u64, &mut load);
    load
}

/// Adds the files of the wheels. Returns the size in bytes and the number of the Python files that can be compiled.
fn put_program(own: Own<'_>, load: &mut Load) -> (u64, u64) {
    let (mut bytes, mut source) = (0, (0, 0));
    for (path, node) in &own.assembly.tree.nodes {
        if !matches!(node.origin, Origin::Wheel { .. }) || node.digest().is_none() {
            continue;
        }
        bytes += node.size_bytes();
        load.files += 1;
        if path.as_str().ends_with(".py") {
            source.0 += node.size_bytes();
            source.1 += 1;
        }
    }
    // A wheel is compressed with the same algorithm as a layer. So the size of the wheel is a good estimate of the
    // compressed size.
    let packed: u64 = own.lock.wheels.iter().map(|wheel| wheel.size_bytes.unwrap_or(0)).sum();
    load.add_both(Content::Program, bytes, packed);
    source
}

fn image(way: Way, load: Load, own: Own<'_>) -> ComparedImage {
    ComparedImage {
        way,
        is_measured: false,
        raw_bytes: load.raw_bytes(),
        compressed_bytes: load.compressed_bytes,
        files: load.files,
        debian_packages: load.packages,
        distributions: own.lock.wheels.len() as u64,
        contents: load.contents,
        build: None,
        start_ms: None,
    }
}

/// Returns the values of lath's own image. These values are not estimated, because they are read from the image.
fn ours(own: Own<'_>, of_package: impl Fn(&str, &str) -> Content) -> ComparedImage {
    let mut contents = BTreeMap::new();
    let mut files = 0;
    for (path, node) in &own.tree.nodes {
        let content = Content::of_path(path.relative()).unwrap_or_else(|| of_origin(node, &of_package));
        *contents.entry(content).or_default() += node.size_bytes();
        files += u64::from(node.digest().is_some());
    }
    ComparedImage {
        way: Way::Lath,
        is_measured: true,
        raw_bytes: own.tree.size_bytes(),
        compressed_bytes: own.layers.iter().map(|layer| layer.size_bytes).sum(),
        files,
        debian_packages: own.lock.debs.len() as u64,
        distributions: own.lock.wheels.len() as u64,
        contents,
        build: None,
        start_ms: None,
    }
}

fn of_origin(node: &Node, of_package: impl Fn(&str, &str) -> Content) -> Content {
    match &node.origin {
        Origin::Deb { name, version } => of_package(name, version),
        Origin::Wheel { .. } | Origin::User | Origin::Application => Content::Program,
        Origin::Base | Origin::Lath => Content::System,
    }
}
