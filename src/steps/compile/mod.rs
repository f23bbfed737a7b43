//! Adds bytecode, compiled by the release's own Python in the sandbox. The .pyc files are unchecked hash-based (PEP
//! 552): they contain no time, and Python loads them without reading the source.
//!
//! The same files give the same bytecode on every machine (docs/decisions/0010-bytecode-is-the-same-everywhere.md).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::assembly::{Assembly, InstalledScript};
use crate::model::digest::Digest;
use crate::model::event::Event;
use crate::model::hint::Hints;
use crate::model::image_path::ImagePath;
use crate::model::platform::{Architecture, PythonVersion};
use crate::model::reason::Kept;
use crate::model::request::{Bytecode, CompileRequest};
use crate::model::tree::{Node, Origin, Tree};
use crate::outside::sandbox::{Job, SandboxError};
use crate::outside::stage::{Shown, Stage, StageError, check_out};
use crate::outside::store::{Bucket, Packed, StoreError};
use crate::outside::world::World;

/// The Python script that finds the modules imported at start-up and compiles them. Its docstring explains how.
const DRIVER: &str = include_str!("driver.py");

/// The path of the image in the sandbox of the Python that compiles for it.
const IMAGE: &str = "/run/lath-image";

#[derive(Debug, Error)]
pub(crate) enum CompileError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("cannot compile Python files in the sandbox: the image's python exits with {exit_code}: {said}")]
    Python { exit_code: i32, said: String },
    #[error("cannot write bytecode to `{path}`")]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read what the image's python tells of its bytecode")]
    Told(#[from] serde_json::Error),
    #[error("cannot use a folder for the bytecode")]
    Folder(#[source] std::io::Error),
}

impl Hints for CompileError {
    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Store(error) => Some(error),
            Self::Stage(error) => Some(error),
            Self::Sandbox(error) => Some(error),
            _ => None,
        }
    }
}

/// A file's bytecode in the store.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Compiled {
    source: ImagePath,
    digest: Digest,
    size_bytes: u64,
}

/// Cache entry: the bytecode of one tree, and the packs that contain it.
#[derive(Serialize, Deserialize)]
struct Finished {
    compiled: Vec<Compiled>,
    packs: Vec<Packed>,
}

/// Cache entry: results that the next run with the same modules can reuse.
#[derive(Serialize, Deserialize)]
struct Last {
    files: Vec<Known>,
    packs: Vec<Packed>,
}

/// The results for a file. They are valid as long as the file does not change.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    compiled: Compiled,
    /// The digest of the source. `None` for a link, which is compiled each time.
    source_digest: Option<Digest>,
    imports: Vec<String>,
    /// The driver's data about a file whose functions run at start-up: the names and imports in them.
    outline: serde_json::Value,
}

/// The driver's report about one file.
#[derive(Debug, Deserialize)]
struct Told {
    path: String,
    /// The size of the bytecode that it wrote. `None` if the bytecode was known before.
    size_bytes: Option<u64>,
    #[serde(default)]
    imports: Vec<String>,
    outline: serde_json::Value,
}

/// The place where Python compiles.
pub(crate) struct Workbench<'a> {
    /// A tree of the same release whose Python runs on this machine. It is needed if the image's own Python does not run
    /// here.
    pub(crate) workshop: Option<&'a Tree>,
    /// The stage on which the image's tree is laid out. It contains the tree afterwards.
    pub(crate) stage: &'a mut Stage,
}

/// Adds the bytecode that the request wants.
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
    let key = Digest::of_fields([slim.digest().as_bytes().as_slice(), job.question().as_bytes()]);
    let finished = match world.store.entry::<Finished>(Bucket::Bytecode, &key) {
        Some(noted) if job.opens(&noted.packs) && noted.compiled.iter().all(|one| job.holds(one)) => noted,
        _ => {
            let finished = job.run(bench.stage)?;
            world.store.write_entry(Bucket::Bytecode, &key, &finished)?;
            finished
        }
    };
    let reason = job.reason();
    insert(&mut slim, finished.compiled.iter(), request.version, &reason);
    Ok(slim)
}

/// Adds bytecode next to its sources.
fn insert<'a>(tree: &mut Tree, compiled: impl Iterator<Item = &'a Compiled>, version: PythonVersion, reason: &Kept) {
    let tag = format!("cpython-{}{}", version.major, version.minor);
    for one in compiled {
        let Some(source) = tree.nodes.get(&one.source) else { continue };
        let Some(directory) = one.source.parent() else { continue };
        let stem = one.source.file_name().trim_end_matches(".py");
        let Ok(path) = directory.join(&format!("__pycache__/{stem}.{tag}.pyc")) else { continue };
        let node =
            Node { kept: Some(reason.clone()), ..Node::file(one.digest, one.size_bytes, 0o644, source.origin.clone()) };
        tree.insert(path, node);
    }
}

/// Returns the entry points of the scripts to start, as `MODULE:FUNCTION`. These are the scripts of requested
/// distributions, and those that the user named.
fn entry_points(assembly: &Assembly, request: &CompileRequest<'_>) -> Vec<String> {
    let is_started = |script: &&InstalledScript| script.is_requested || request.scripts.contains(&script.name);
    let target = |script: &InstalledScript| {
        Some(format!("{}:{}", script.module.as_ref()?, script.attribute.as_deref().unwrap_or_default()))
    };
    assembly.scripts.iter().filter(is_started).filter_map(target).collect()
}

/// Returns the top-level modules of the requested distributions, used if there is no script to start.
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

/// The error of the system that kept Python from writing, if its traceback ends with one.
fn unwritable(traceback: &str) -> Option<io::Error> {
    let number = traceback.lines().last()?.strip_prefix("OSError: [Errno ")?.split(']').next()?.parse().ok()?;
    let error = io::Error::from_raw_os_error(number);
    let is_of_disk = matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge
            | io::ErrorKind::ReadOnlyFilesystem
    );
    is_of_disk.then_some(error)
}

/// Opens a file that the sandbox has written. Its program could have made a link to a file of the host instead, or a
/// pipe that never ends.
fn open_written(path: &Path) -> io::Result<fs::File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = fs::OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, format!("`{}` is not a file", path.display()))),
    }
}

/// Everything that affects bytecode and imports, except the modules and the files.
#[derive(Serialize)]
struct Ground<'a> {
    mode: &'a str,
    roots: &'a str,
    interpreter: Option<&'a Digest>,
    driver: &'a str,
}

/// One run of the driver.
struct Compilation<'a> {
    slim: &'a Tree,
    workshop: Option<&'a Tree>,
    version: PythonVersion,
    /// `start` or `all`.
    mode: &'static str,
    /// The search path for modules.
    roots: String,
    /// The modules and entry points from which start-up begins.
    modules: Vec<String>,
    /// The digest of the [`Ground`].
    ground: Digest,
    world: &'a World,
}

impl<'a> Compilation<'a> {
    /// If there are this many packs of earlier runs, they are merged into one.
    const PACKS: usize = 8;

    fn new(
        slim: &'a Tree,
        assembly: &'a Assembly,
        request: &CompileRequest<'_>,
        workshop: Option<&'a Tree>,
        world: &'a World,
    ) -> Self {
        let version = request.version;
        let site = request.user_base.site(version);
        let mut modules = entry_points(assembly, request);
        if modules.is_empty() {
            modules.extend(importable(slim, assembly, &site));
        }
        modules.sort_unstable();
        modules.dedup();
        let roots = format!("{}:{site}:/usr/lib/python3/dist-packages", version.stdlib());
        let mode = if request.bytecode == Bytecode::All { "all" } else { "start" };
        let interpreter = workshop.unwrap_or(slim).find(&version.interpreter()).and_then(|(_, node)| node.digest());
        let ground = Ground { mode, roots: &roots, interpreter, driver: DRIVER };
        let ground = Digest::of_key(&ground);
        Self { slim, workshop, version, mode, roots, modules, ground, world }
    }

    fn reason(&self) -> Kept {
        if self.mode == "all" { Kept::AllBytecode } else { Kept::StartUpBytecode }
    }

    /// Returns a key for the task that does not depend on the contents of the files.
    fn question(&self) -> Digest {
        Digest::of_key(&(self.ground, &self.modules))
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

    /// Returns the results of the last run for files that have not changed, and the packs that contain them.
    fn known(&self) -> (BTreeMap<ImagePath, Known>, Vec<Packed>) {
        let last: Option<Last> = self.world.store.entry(Bucket::LastBytecode, &self.question());
        let Some(Last { files, packs }) = last.filter(|last| self.opens(&last.packs)) else {
            return Default::default();
        };
        let files = files.into_iter().filter(|known| {
            let digest = self.source_digest(&known.compiled.source);
            digest.is_some() && digest == known.source_digest && self.holds(&known.compiled)
        });
        (files.map(|known| (known.compiled.source.clone(), known)).collect(), packs)
    }

    fn run(&self, stage: &mut Stage) -> Result<Finished, CompileError> {
        let store = &self.world.store;
        let (known, packs) = self.known();
        let desk = store.temporary_dir()?;
        let folder = |name: &str| {
            let path = desk.path().join(name);
            fs::create_dir(&path).map(|()| path).map_err(CompileError::Folder)
        };
        let work = folder("work")?;
        // Python itself also starts faster with bytecode.
        let mut tree = self.slim.clone();
        insert(&mut tree, known.values().map(|known| &known.compiled), self.version, &self.reason());
        let image = stage.show(&tree)?;
        let workshop_root;
        let home = match self.workshop {
            None => image.clone(),
            Some(workshop) => {
                workshop_root = folder("workshop")?;
                check_out(store, workshop, &workshop_root)?;
                Shown { root: &workshop_root, files: Vec::new() }
            }
        };
        let facts: BTreeMap<&str, _> =
            known.iter().map(|(path, one)| (path.as_str(), (&one.imports, &one.outline))).collect();
        fs::write(work.join("known.json"), serde_json::to_vec(&facts)?).map_err(CompileError::Folder)?;
        let all_told = self.drive(home, image, &work)?;
        self.keep(all_told, known, packs, &work)
    }

    /// Keeps the bytecode that the driver wrote into the folder `work`, together with the results that were known before.
    fn keep(
        &self,
        all_told: Vec<Told>,
        mut known: BTreeMap<ImagePath, Known>,
        mut packs: Vec<Packed>,
        work: &Path,
    ) -> Result<Finished, CompileError> {
        let store = &self.world.store;
        let mut written = BufReader::new(open_written(&work.join("code")).map_err(CompileError::Folder)?);
        let mut pack = store.pack();
        // Merging keeps the number of packs small, so they open quickly. It also drops bytecode that is no longer used.
        let is_repacked = packs.len() >= Self::PACKS;
        let mut files = Vec::new();
        for told in all_told {
            let mut bytecode = written.by_ref().take(told.size_bytes.unwrap_or_default());
            let Ok(source) = ImagePath::parse(&told.path) else {
                io::copy(&mut bytecode, &mut io::sink()).map_err(CompileError::Folder)?;
                continue;
            };
            let source_digest = self.source_digest(&source);
            let earlier = known.remove(&source);
            let one = match (earlier, told.size_bytes) {
                (Some(earlier), None) => {
                    if is_repacked {
                        pack.put_reader(&mut store.reader(&earlier.compiled.digest)?)?;
                    }
                    Known { outline: told.outline, ..earlier }
                }
                (_, Some(told_bytes)) => {
                    let (digest, size_bytes) = pack.put_reader(&mut bytecode)?;
                    if size_bytes != told_bytes {
                        return Err(CompileError::Folder(io::ErrorKind::UnexpectedEof.into()));
                    }
                    let compiled = Compiled { source, digest, size_bytes };
                    Known { compiled, source_digest, imports: told.imports, outline: told.outline }
                }
                (None, None) => continue,
            };
            files.push(one);
        }
        if is_repacked {
            packs.clear();
        }
        packs.push(pack.finish()?);
        let last = Last { files, packs };
        store.write_entry(Bucket::LastBytecode, &self.question(), &last)?;
        let Last { files, packs } = last;
        Ok(Finished { compiled: files.into_iter().map(|known| known.compiled).collect(), packs })
    }

    /// Runs the driver with the Python of the tree at `home`.
    fn drive(&self, home: Shown<'_>, image: Shown<'_>, work: &Path) -> Result<Vec<Told>, CompileError> {
        // Without `site`, the process contains only the objects of the interpreter itself.
        let mut argv = vec![self.version.interpreter(), "-S".to_owned(), "-c".to_owned(), DRIVER.to_owned()];
        argv.extend([IMAGE.to_owned(), self.mode.to_owned(), self.roots.clone()]);
        argv.extend(self.modules.iter().cloned());
        let env =
            [("PYTHONHASHSEED", "0"), ("PYTHONDONTWRITEBYTECODE", "1"), ("HOME", "/home/app"), ("LANG", "C.UTF-8")];
        // The driver reads only sources of the image.
        let sources = image.files.into_iter().filter(|(_, path)| path.ends_with(".py"));
        let of_image = sources.map(|(file, path)| (file, format!("{IMAGE}{path}")));
        let files = home.files.into_iter().chain(of_image).collect();
        let job = Job {
            argv,
            env: env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            cwd: "/tmp".to_owned(),
            writable: vec![(work.to_owned(), "/work".to_owned())],
            readable: vec![(image.root.to_owned(), IMAGE.to_owned())],
            files,
            timeout_secs: 600,
            ..Job::default()
        };
        let outcome = self.world.sandbox.run(home.root, &job)?;
        if outcome.exit_code != 0 {
            let said = String::from_utf8_lossy(&outcome.stderr).trim().to_owned();
            if let Some(source) = unwritable(&said) {
                return Err(CompileError::Write { path: work.to_owned(), source });
            }
            return Err(CompileError::Python { exit_code: outcome.exit_code, said });
        }
        let mut lines = String::new();
        let told = open_written(&work.join("told")).and_then(|mut file| file.read_to_string(&mut lines));
        told.map_err(CompileError::Folder)?;
        let told: Result<Vec<Told>, serde_json::Error> = lines.lines().map(serde_json::from_str).collect();
        Ok(told?)
    }
}

#[cfg(test)]
mod tests {
    use fs_err as fs;

    use super::{open_written, unwritable};

    #[test]
    fn a_link_or_a_pipe_in_place_of_a_written_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("told"), "{}").unwrap();
        fs_err::os::unix::fs::symlink(path("told"), path("link")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), rustix::fs::Mode::RWXU).unwrap();
        assert!(open_written(&path("told")).is_ok());
        for name in ["link", "pipe", "missing", "."] {
            assert!(open_written(&path(name)).is_err(), "{name}");
        }
    }

    #[test]
    fn a_traceback_that_ends_with_a_full_disk_is_an_error_of_the_disk() {
        let traceback = |last: &str| format!("Traceback (most recent call last):\n  File \"<string>\", line 9\n{last}");
        let kind = |last: &str| unwritable(&traceback(last)).map(|error| error.kind());
        assert_eq!(kind("OSError: [Errno 28] No space left on device"), Some(std::io::ErrorKind::StorageFull));
        assert_eq!(
            kind("OSError: [Errno 122] Disk quota exceeded: '/work/code'"),
            Some(std::io::ErrorKind::QuotaExceeded)
        );
        for last in ["ValueError: [Errno 28] x", "OSError: [Errno 5] Input/output error", "OSError: x", ""] {
            assert_eq!(kind(last), None, "{last}");
        }
    }
}
