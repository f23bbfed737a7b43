//! Adds bytecode to the tree. The release's own Python compiles it in the sandbox. The .pyc files are unchecked
//! hash-based (PEP 552): they contain no time, and Python loads them without reading the source.
//!
//! The same sources result in the same bytecode on every machine
//! (docs/decisions/0010-bytecode-is-the-same-everywhere.md).

mod driver;
mod error;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};

use fs_err as fs;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::driver::{DRIVER, Trees, drive, open_code};
pub(crate) use self::error::CompileError;
use crate::formats::python_imports;
use crate::model::application::AppRequest;
use crate::model::assembly::{Assembly, InstalledScript};
use crate::model::digest::Digest;
use crate::model::event::Event;
use crate::model::image_path::ImagePath;
use crate::model::launch::Started;
use crate::model::modules::Modules;
use crate::model::platform::{Architecture, PythonVersion};
use crate::model::python_home::Python;
use crate::model::reason::Kept;
use crate::model::request::{Bytecode, CompileRequest};
use crate::model::start_up::{EntryPoint, start_up_files};
use crate::model::tree::{Node, Origin, Tree};
use crate::outside::python_files::PythonFiles;
use crate::outside::stage::{Shown, Stage, check_out};
use crate::outside::store::{Bucket, Packed, StoreError};
use crate::outside::world::World;

/// A file's bytecode in the store.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Compiled {
    source: ImagePath,
    /// The digest of the source. `None` if the source is a link. Then the bytecode is compiled in each build.
    source_digest: Option<Digest>,
    digest: Digest,
    size_bytes: u64,
    /// Whether only the application loads the bytecode. Such bytecode is in a separate layer. So if the application
    /// imports other modules, the layers of packages and distributions do not change.
    #[serde(default)]
    is_of_application: bool,
}

/// Cache entry: the bytecode of one tree, and the packs that contain it.
#[derive(Default, Serialize, Deserialize)]
struct Finished {
    compiled: Vec<Compiled>,
    packs: Vec<Packed>,
}

/// The place where Python compiles.
pub(crate) struct Workbench<'a> {
    /// A tree of the same release, or of the same base image, whose Python runs on this machine. The tree is needed if
    /// the image's own Python does not run here.
    pub(crate) workshop: Option<&'a Tree>,
    /// The stage on which the image's tree is laid out, together with the bytecode that is already known. If there is
    /// nothing to compile, the stage does not change.
    pub(crate) stage: &'a mut Stage,
}

/// Adds to `slim` the bytecode that the request wants.
pub(crate) fn compile(
    mut slim: Tree,
    assembly: &Assembly,
    request: &CompileRequest<'_>,
    bench: Workbench<'_>,
    world: &World,
) -> Result<Tree, CompileError> {
    if request.bytecode == Bytecode::None {
        return Ok(slim);
    }
    if Architecture::of_host().is_none() {
        let text = "no bytecode is in the image: no release has a Python for this machine's processor";
        world.listener.hear(Event::Warning(text.to_owned()));
        return Ok(slim);
    }
    let job = Compilation::new(&slim, assembly, request, bench.workshop, world);
    let question = job.question();
    let key = Digest::of_fields([slim.digest().as_bytes().as_slice(), question.as_bytes()]);
    let finished = match world.store.entry::<Finished>(Bucket::Bytecode, &key) {
        Some(finished) if job.opens(&finished.packs) && finished.compiled.iter().all(|one| job.holds(one)) => finished,
        _ => {
            let finished = job.run(bench.stage)?;
            world.store.write_entry(Bucket::Bytecode, &key, &finished)?;
            world.store.write_entry(Bucket::LastBytecode, &question, &finished)?;
            finished
        }
    };
    let reason = job.reason();
    insert(&mut slim, finished.compiled.iter(), request.python.version, &reason);
    Ok(slim)
}

/// Adds bytecode to the tree, in the folder `__pycache__` beside each source.
fn insert<'a>(tree: &mut Tree, compiled: impl Iterator<Item = &'a Compiled>, version: PythonVersion, reason: &Kept) {
    for one in compiled {
        let Some(source) = tree.nodes.get(&one.source) else { continue };
        let Some(path) = bytecode_path(&one.source, version) else { continue };
        // If the source is in the base image, the origin of its bytecode is lath, because the base image does not
        // contain the bytecode.
        let origin = if source.origin == Origin::Base { Origin::Lath } else { source.origin.clone() };
        let reason = if one.is_of_application { Kept::ApplicationBytecode } else { reason.clone() };
        let node = Node { kept: Some(reason), ..Node::file(one.digest, one.size_bytes, 0o644, origin) };
        tree.insert(path, node);
    }
}

/// Returns the path of a module's bytecode (PEP 3147).
pub(crate) fn bytecode_path(source: &ImagePath, version: PythonVersion) -> Option<ImagePath> {
    let tag = format!("cpython-{}{}", version.major, version.minor);
    let stem = source.file_name().trim_end_matches(".py");
    source.parent()?.join(&format!("__pycache__/{stem}.{tag}.pyc")).ok()
}

/// Shares `files` among `count` runs of Python, so that all runs get about the same number of bytes. Each file, the
/// largest first, goes to the run that has the fewest bytes.
fn equal_shares<'a>(
    files: &[&'a ImagePath],
    count: usize,
    size_bytes: impl Fn(&ImagePath) -> u64,
) -> Vec<Vec<&'a ImagePath>> {
    let mut sized: Vec<(u64, &ImagePath)> = files.iter().map(|path| (size_bytes(path), *path)).collect();
    sized.sort_by_key(|(size_bytes, _)| Reverse(*size_bytes));
    let mut shares = vec![(0, Vec::new()); count];
    for (size_bytes, path) in sized {
        if let Some((sum_bytes, share)) = shares.iter_mut().min_by_key(|(sum_bytes, _)| *sum_bytes) {
            // An empty file takes time, too.
            *sum_bytes += size_bytes.max(1);
            share.push(path);
        }
    }
    shares.into_iter().map(|(_, share)| share).collect()
}

/// Returns the entry points of the scripts that users start: scripts of requested distributions, scripts that the user
/// named, and the script of the image's command.
fn entry_points(assembly: &Assembly, request: &CompileRequest<'_>) -> Vec<EntryPoint> {
    let by_command = request.started.and_then(|started| started.script.as_deref());
    let is_started = |script: &&InstalledScript| {
        script.is_requested || request.scripts.contains(&script.name) || by_command == Some(&script.name)
    };
    let target = |script: &InstalledScript| {
        let function = script.attribute.clone().filter(|function| !function.is_empty());
        Some(EntryPoint { module: script.module.clone()?, function })
    };
    assembly.scripts.iter().filter(is_started).filter_map(target).collect()
}

fn as_key(entry: &EntryPoint) -> (&str, Option<&str>) {
    (&entry.module, entry.function.as_deref())
}

/// Returns the top-level modules of the requested distributions. They get bytecode, because users import them from
/// their own programs.
fn importable(tree: &Tree, assembly: &Assembly, site: &str) -> BTreeSet<String> {
    let libraries: BTreeSet<&str> = assembly.programs.iter().map(|program| program.name.as_str()).collect();
    let module = |(path, node): (&ImagePath, &Node)| {
        let Origin::Wheel { name, .. } = &node.origin else { return None };
        let inside = path.as_str().strip_prefix(site)?.trim_start_matches('/');
        let module = inside.strip_suffix("/__init__.py").or_else(|| inside.strip_suffix(".py"))?;
        (libraries.contains(name.as_str()) && !module.contains('/')).then(|| module.to_owned())
    };
    tree.nodes.iter().filter_map(module).collect()
}

/// Returns the name of the module in a file of the application, so that lath can follow the imports of the file.
fn main_module(path: &ImagePath, app: &AppRequest) -> Option<EntryPoint> {
    let inside = path.as_str().strip_prefix(app.target.as_str())?.trim_start_matches('/');
    let module = inside.strip_suffix(".py")?.replace('/', ".");
    Some(EntryPoint { module, function: None })
}

/// Everything that affects the bytecode and decides which files get bytecode, except the contents of the files.
#[derive(Serialize)]
struct Question<'a> {
    all: bool,
    site: &'a str,
    entry_points: Vec<(&'a str, Option<&'a str>)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<ApplicationKey<'a>>,
    interpreter: Option<&'a Digest>,
    driver: &'a str,
}

/// The parts of [`Question`] that exist only if there is an application.
#[derive(Serialize)]
struct ApplicationKey<'a> {
    folder: &'a ImagePath,
    entry_points: Vec<(&'a str, Option<&'a str>)>,
    files: &'a BTreeSet<ImagePath>,
}

/// The results of one run of the driver.
struct Results<'a> {
    paths: Vec<&'a ImagePath>,
    /// The size of each file's bytecode in bytes, or `None` if the file cannot be compiled.
    sizes: Vec<Option<u64>>,
    /// The folder with the bytecode.
    work: PathBuf,
}

/// The compilation of a tree.
struct Compilation<'a> {
    slim: &'a Tree,
    assembly: &'a Assembly,
    workshop: Option<&'a Tree>,
    python: Python<'a>,
    bytecode: Bytecode,
    /// The folder of the distributions.
    site: String,
    /// The modules and functions at which programs start, sorted.
    entry_points: Vec<EntryPoint>,
    app: Option<&'a AppRequest>,
    /// The modules and files that the command of an application names.
    started: Started,
    world: &'a World,
}

impl<'a> Compilation<'a> {
    /// If the known bytecode is in at least this number of packs, lath writes all of it into one new pack.
    const PACKS: usize = 8;

    /// If there are at most this number of files, the driver runs once. If there are at most twice as many files, it
    /// runs at most twice, and so on. With more runs, the starts of Python would take more time than the parallel runs
    /// save.
    const FILES_PER_RUN: usize = 64;

    fn new(
        slim: &'a Tree,
        assembly: &'a Assembly,
        request: &CompileRequest<'a>,
        workshop: Option<&'a Tree>,
        world: &'a World,
    ) -> Self {
        let python = request.python;
        let site = request.user_base.site(python.version);
        let mut entry_points = entry_points(assembly, request);
        let modules = importable(slim, assembly, &site).into_iter();
        entry_points.extend(modules.map(|module| EntryPoint { module, function: None }));
        let mut started = Started::default();
        match (request.started, request.app) {
            (Some(named), Some(_)) => started = named.clone(),
            (Some(named), None) => entry_points.extend(named.modules.iter().cloned()),
            (None, _) => {}
        }
        entry_points.sort_unstable();
        entry_points.dedup();
        let (bytecode, app) = (request.bytecode, request.app);
        Self { slim, assembly, workshop, python, bytecode, site, entry_points, app, started, world }
    }

    fn reason(&self) -> Kept {
        if self.bytecode == Bytecode::All { Kept::AllBytecode } else { Kept::StartUpBytecode }
    }

    /// Returns the digest of the Python that compiles.
    fn interpreter(&self) -> Option<&Digest> {
        self.workshop.unwrap_or(self.slim).find(&self.python.program())?.1.digest()
    }

    /// Returns the key of the cache entry with the bytecode of the last build with the same entry points, application
    /// and interpreter. The key does not depend on the contents of the files. So after a change of some files, lath
    /// finds the bytecode of all other files.
    fn question(&self) -> Digest {
        Digest::of_key(&Question {
            all: self.bytecode == Bytecode::All,
            site: &self.site,
            entry_points: self.entry_points.iter().map(as_key).collect(),
            application: self.app.map(|app| ApplicationKey {
                folder: &app.target,
                entry_points: self.started.modules.iter().map(as_key).collect(),
                files: &self.started.files,
            }),
            interpreter: self.interpreter(),
            driver: DRIVER,
        })
    }

    fn opens(&self, packs: &[Packed]) -> bool {
        packs.iter().all(|packed| self.world.store.open_pack(packed))
    }

    fn holds(&self, compiled: &Compiled) -> bool {
        self.world.store.holds(&compiled.digest, compiled.size_bytes)
    }

    fn source_digest(&self, source: &ImagePath) -> Option<Digest> {
        self.slim.nodes.get(source)?.digest().copied()
    }

    /// Returns the files that get bytecode, and whether only the application loads them.
    fn files(&self) -> Result<BTreeMap<ImagePath, bool>, StoreError> {
        let mut files = self.wanted_files()?;
        files.retain(|path, _| !self.is_compiled_in_base(path));
        Ok(files)
    }

    /// Returns whether `source` is a module of the base image that gets no bytecode from lath. With `--bytecode all`,
    /// this is every module of the base image. With the other values, this is a module whose bytecode the base image
    /// contains.
    fn is_compiled_in_base(&self, source: &ImagePath) -> bool {
        let is_of_base = self.slim.nodes.get(source).is_some_and(|node| node.origin == Origin::Base);
        let there = bytecode_path(source, self.python.version);
        is_of_base && (self.bytecode == Bytecode::All || there.is_none_or(|path| self.slim.nodes.contains_key(&path)))
    }

    /// Returns the files for which the request wants bytecode, even if the base image already contains the bytecode.
    fn wanted_files(&self) -> Result<BTreeMap<ImagePath, bool>, StoreError> {
        let modules = Modules::new(self.slim, self.python, self.site.clone()).with_application(self.app);
        if self.bytecode == Bytecode::All {
            return Ok(modules.all_files().map(|path| (path.clone(), false)).collect());
        }
        let mut python_files = PythonFiles::new(self.slim, &self.assembly.facts, &self.world.store);
        let mut imported = BTreeSet::new();
        for path in modules.pth_files() {
            imported.extend(python_imports::of_pth(&python_files.contents(path)?));
        }
        let files = start_up_files(&modules, &self.entry_points, imported.clone(), &mut python_files)?;
        let mut files: BTreeMap<ImagePath, bool> = files.into_iter().map(|path| (path, false)).collect();
        if let Some(app) = self.app {
            let mut entry_points: Vec<EntryPoint> = self.started.modules.iter().cloned().collect();
            entry_points.extend(self.started.files.iter().filter_map(|path| main_module(path, app)));
            let of_application = start_up_files(&modules, &entry_points, imported, &mut python_files)?;
            of_application.into_iter().for_each(|path| {
                files.entry(path).or_insert(true);
            });
        }
        python_files.keep()?;
        Ok(files)
    }

    /// Returns the key of the entry with the bytecode of packages. All images with the same Python use this entry.
    fn package_key(&self) -> Digest {
        let interpreter = self.interpreter().map_or(&[][..], |digest| digest.as_bytes());
        Digest::of_fields([interpreter, DRIVER.as_bytes()])
    }

    /// Returns an entry of the store. If there is none, or if its packs cannot be opened, returns an empty entry.
    fn entry(&self, bucket: Bucket, key: &Digest) -> Finished {
        let entry: Option<Finished> = self.world.store.entry(bucket, key);
        entry.filter(|entry| self.opens(&entry.packs)).unwrap_or_default()
    }

    /// Returns whether `one` is the bytecode of a file of this tree, and is in the store.
    fn is_current(&self, one: &Compiled) -> bool {
        let digest = self.source_digest(&one.source);
        digest.is_some() && digest == one.source_digest && self.holds(one)
    }

    /// Returns the bytecode that earlier runs have compiled from `files`. Files that have changed since then are left
    /// out.
    fn known(&self, files: &BTreeMap<ImagePath, bool>) -> Finished {
        let Finished { mut compiled, mut packs } = self.entry(Bucket::LastBytecode, &self.question());
        compiled.retain(|one| files.contains_key(&one.source) && self.is_current(one));
        let known: BTreeSet<ImagePath> = compiled.iter().map(|one| one.source.clone()).collect();
        let mut shared = self.entry(Bucket::PackageBytecode, &self.package_key());
        let is_new = |one: &Compiled| files.contains_key(&one.source) && !known.contains(&one.source);
        shared.compiled.retain(|one| is_new(one) && self.is_current(one));
        if !shared.compiled.is_empty() {
            shared.packs.retain(|packed| !packs.contains(packed));
            packs.extend(shared.packs);
            compiled.extend(shared.compiled);
        }
        Finished { compiled, packs }
    }

    /// Adds the bytecode of files of Debian packages to the entry that all images with the same Python share.
    fn share(&self, new: &[Compiled], pack: Packed) -> Result<(), CompileError> {
        let is_shared = |one: &&Compiled| {
            let node = self.slim.nodes.get(&one.source);
            one.source_digest.is_some() && node.is_some_and(|node| node.origin.package().is_some())
        };
        let new: BTreeMap<&ImagePath, &Compiled> = new.iter().filter(is_shared).map(|one| (&one.source, one)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let key = self.package_key();
        let Finished { mut compiled, mut packs } = self.entry(Bucket::PackageBytecode, &key);
        compiled.retain(|one| !new.contains_key(&one.source) && self.holds(one));
        compiled.extend(new.into_values().cloned());
        packs.push(pack);
        if packs.len() >= Self::PACKS {
            packs = vec![self.repack(&compiled)?];
        }
        Ok(self.world.store.write_entry(Bucket::PackageBytecode, &key, &Finished { compiled, packs })?)
    }

    fn run(&self, stage: &mut Stage) -> Result<Finished, CompileError> {
        let files = self.files()?;
        let Finished { mut compiled, mut packs } = self.known(&files);
        if packs.len() >= Self::PACKS {
            // One new pack replaces many old ones, because opening many packs is slow. The new pack contains only the
            // bytecode that this image uses.
            packs = vec![self.repack(&compiled)?];
        }
        let known: BTreeSet<&ImagePath> = compiled.iter().map(|one| &one.source).collect();
        let new: Vec<&ImagePath> = files.keys().filter(|path| !known.contains(path)).collect();
        if !new.is_empty() {
            let desk = self.world.store.temporary_dir()?;
            let desks = self.drive(stage, &compiled, &new, desk.path())?;
            let (new, pack) = self.keep(&desks)?;
            self.share(&new, pack.clone())?;
            compiled.extend(new);
            packs.push(pack);
        }
        for one in &mut compiled {
            one.is_of_application = files.get(&one.source).copied().unwrap_or(false);
        }
        Ok(Finished { compiled, packs })
    }

    /// Writes the bytecode `compiled`, which is in several packs, into one new pack.
    fn repack(&self, compiled: &[Compiled]) -> Result<Packed, CompileError> {
        let store = &self.world.store;
        let mut pack = store.pack();
        for one in compiled {
            pack.put_reader(&mut store.reader(&one.digest)?)?;
        }
        Ok(pack.finish()?)
    }

    /// Compiles the files `new` by one or several parallel runs of the driver: at most one run per core, and at most
    /// one per [`Self::FILES_PER_RUN`] files. Each run writes its results into its own folder in `desk`. Returns the
    /// results of each run.
    fn drive<'b>(
        &self,
        stage: &mut Stage,
        compiled: &[Compiled],
        new: &[&'b ImagePath],
        desk: &Path,
    ) -> Result<Vec<Results<'b>>, CompileError> {
        // The staged tree contains the bytecode that is known, because the Python that compiles also starts faster with
        // bytecode.
        let mut tree = self.slim.clone();
        insert(&mut tree, compiled.iter(), self.python.version, &self.reason());
        let image = stage.show(&tree)?;
        let workshop = desk.join("workshop");
        let home = match self.workshop {
            None => image.clone(),
            Some(tree) => {
                fs::create_dir(&workshop).map_err(CompileError::Folder)?;
                check_out(&self.world.store, tree, &workshop)?;
                Shown { root: &workshop, files: Vec::new() }
            }
        };
        let count = rayon::current_num_threads().min(new.len().div_ceil(Self::FILES_PER_RUN));
        let drive_one = |(number, paths): (usize, Vec<&'b ImagePath>)| {
            let work = desk.join(number.to_string());
            fs::create_dir(&work).map_err(CompileError::Folder)?;
            let trees = Trees { home: home.clone(), image: image.clone(), python: self.python };
            let sizes = drive(trees, &paths, &work, &self.world.sandbox)?;
            Ok(Results { paths, sizes, work })
        };
        let size_bytes = |path: &ImagePath| self.slim.nodes.get(path).map_or(0, Node::size_bytes);
        equal_shares(new, count, size_bytes).into_par_iter().enumerate().map(drive_one).collect()
    }

    /// Puts the bytecode that the driver wrote into the store, as one pack.
    fn keep(&self, results: &[Results<'_>]) -> Result<(Vec<Compiled>, Packed), CompileError> {
        let mut pack = self.world.store.pack();
        let mut compiled = Vec::new();
        for Results { paths, sizes, work } in results {
            let mut written = BufReader::new(open_code(work)?);
            for (source, size_bytes) in paths.iter().copied().zip(sizes) {
                let Some(size_bytes) = *size_bytes else { continue };
                let (digest, kept_bytes) = pack.put_reader(&mut written.by_ref().take(size_bytes))?;
                if kept_bytes != size_bytes {
                    return Err(CompileError::Folder(io::ErrorKind::UnexpectedEof.into()));
                }
                compiled.push(Compiled {
                    source: source.clone(),
                    source_digest: self.source_digest(source),
                    digest,
                    size_bytes,
                    is_of_application: false,
                });
            }
        }
        Ok((compiled, pack.finish()?))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::equal_shares;
    use crate::model::image_path::ImagePath;

    #[test]
    fn all_runs_of_python_compile_about_the_same_number_of_bytes() {
        let sizes: BTreeMap<ImagePath, u64> =
            [("/a", 3), ("/b", 5), ("/c", 9), ("/d", 4), ("/e", 3), ("/f", 0), ("/g", 0)]
                .map(|(path, size_bytes)| (ImagePath::parse(path).unwrap(), size_bytes))
                .into();
        let files: Vec<&ImagePath> = sizes.keys().collect();
        let shares = |count: usize| {
            let shares = equal_shares(&files, count, |path| sizes[path]).into_iter();
            shares.map(|share| share.into_iter().map(ImagePath::as_str).collect()).collect::<Vec<Vec<&str>>>()
        };
        assert_eq!(shares(2), [vec!["/c", "/a", "/f"], vec!["/b", "/d", "/e", "/g"]]);
        assert_eq!(shares(1), [["/c", "/b", "/d", "/a", "/e", "/f", "/g"]]);
    }
}
