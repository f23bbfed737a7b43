//! Source -> wheel. The build backend of the source runs in the sandbox, without network. It runs in a separate tree,
//! which contains Python, the requirements of the build and compilers. The image never contains this tree.
//!
//! A build is repeated only if one of its inputs changes (docs/decisions/0048-builds-from-source.md).

mod advice;
mod crates;
mod driver;
mod error;
mod folder;
mod open;
mod plan;

use std::collections::BTreeMap;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::crates::Crate;
pub(crate) use self::driver::Goal;
use self::driver::{DRIVER, Desk, Instructions, Report, Run, drive};
pub(crate) use self::error::{BuildFailure, Reason};
pub(crate) use self::open::{OpenSource, is_here, open, open_again};
pub(crate) use self::plan::{Plan, plan};
use crate::formats::metadata;
use crate::formats::wheel::Wheel;
use crate::model::digest::Digest;
use crate::model::distribution_name::normalised;
use crate::model::lock::PlatformLock;
use crate::model::platform::{Platform, PythonVersion};
use crate::model::request::BuildsRequest;
use crate::model::tree::Tree;
use crate::model::user_base::UserBase;
use crate::outside::pypi::is_same_version;
use crate::outside::sandbox::Emulation;
use crate::outside::sandbox::open_written;
use crate::outside::stage::Stage;
use crate::outside::store::Bucket;
use crate::outside::world::World;

/// A build of one source in one tree.
pub(crate) struct Order<'a> {
    pub(crate) open: &'a OpenSource,
    pub(crate) plan: &'a Plan,
    pub(crate) builds: &'a BuildsRequest,
    /// The lock of the tree.
    pub(crate) lock: &'a PlatformLock,
    pub(crate) version: PythonVersion,
    pub(crate) user_base: &'a UserBase,
    pub(crate) goal: Goal,
}

/// The place of a build.
pub(crate) struct Site<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) stage: &'a mut Stage,
    pub(crate) emulation: Emulation,
}

/// The result of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Step {
    /// The backend needs these requirements as well.
    Requires(Vec<String>),
    /// The text of METADATA.
    Metadata(String),
    Wheel(BuiltWheel),
    /// These groups of compilers are missing.
    Compilers(Vec<String>),
}

/// A wheel that is in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BuiltWheel {
    pub(crate) file_name: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) digest: Digest,
    pub(crate) size_bytes: u64,
    /// The text of METADATA.
    pub(crate) metadata: String,
}

impl BuiltWheel {
    /// Returns the requirements of the wheel, sorted, and the Pythons that it supports.
    pub(crate) fn dependencies(&self) -> Vec<String> {
        let (mut dependencies, _) = metadata::requirements(&self.metadata);
        dependencies.sort();
        let python = metadata::field(&self.metadata, "requires-python");
        dependencies.extend(python.map(|python| format!("python {python}")));
        dependencies
    }

    /// Returns whether the wheel fits every platform.
    pub(crate) fn is_pure(&self) -> bool {
        self.file_name.ends_with("-any.whl")
    }
}

/// Everything that a build depends on.
#[derive(Serialize)]
struct Key<'a> {
    source: Digest,
    subdirectory: Option<&'a str>,
    has_git: bool,
    /// The digests of the tree's packages and wheels.
    tree: Vec<Digest>,
    platform: String,
    requires: &'a [String],
    settings: &'a BTreeMap<String, Vec<String>>,
    user_base: String,
    goal: Goal,
    driver: &'a str,
}

impl Order<'_> {
    fn key(&self, goal: Goal) -> Digest {
        let debs = self.lock.debs.iter().map(|deb| deb.digest);
        Digest::of_key(&Key {
            source: self.open.archive,
            subdirectory: self.open.source.subdirectory.as_deref(),
            has_git: self.open.has_git,
            tree: debs.chain(self.lock.wheels.iter().map(|wheel| wheel.digest)).collect(),
            platform: self.lock.platform.to_string(),
            requires: &self.plan.requires,
            settings: &self.builds.config_settings,
            user_base: self.user_base.to_string(),
            goal,
            driver: DRIVER,
        })
    }

    /// Returns the folder of the project, relative to the folder of the build.
    fn folder(&self) -> String {
        let top = Path::new(&self.open.sdist.top);
        let subdirectory = self.open.source.subdirectory.as_deref().unwrap_or_default();
        top.join(subdirectory.trim_matches('/')).to_string_lossy().into_owned()
    }
}

/// Returns the result of the same build, if it is still in the store.
pub(crate) fn known(order: &Order<'_>, world: &World) -> Option<Step> {
    let step: Step = world.store.entry(Bucket::Builds, &order.key(order.goal))?;
    match &step {
        Step::Wheel(wheel) if !world.store.has_parcel(&wheel.digest, Some(wheel.size_bytes)) => None,
        _ => Some(step),
    }
}

/// Fetches the crates of the source's Rust code into the store, and returns them. `None` if it has no Rust code.
fn fetched_crates(open: &OpenSource, plan: &Plan, world: &World) -> Result<Option<Vec<Crate>>, Reason> {
    if !plan.has_rust {
        return Ok(None);
    }
    let crates = crates::pinned(open.sdist.cargo_locks.iter().map(|(_, text)| text.as_str()))?;
    crates::fetch(&crates, world)?;
    Ok(Some(crates))
}

/// Fetches the crates of the source's Rust code. Returns their digests and file names.
pub(crate) fn crate_files(open: &OpenSource, plan: &Plan, world: &World) -> Result<Vec<(Digest, String)>, Reason> {
    let crates = fetched_crates(open, plan, world)?.unwrap_or_default();
    Ok(crates.into_iter().map(|Crate { file, digest, .. }| (digest, file)).collect())
}

/// Builds the source, and keeps the result in the store.
pub(crate) fn build(order: &Order<'_>, site: Site<'_>, world: &World) -> Result<Step, Reason> {
    let crates = fetched_crates(order.open, order.plan, world)?;
    let folder = world.store.temporary_dir()?;
    let desk = Desk::new(folder.path()).map_err(Reason::Work)?;
    let built = run(order, site, crates.as_deref(), &desk, world)
        .and_then(|report| keep(order, report, &desk, world))
        .map_err(|reason| advised(reason, order.version));
    let step = match built {
        Ok(step) => step,
        Err(reason) => missing_compilers(&reason, order).ok_or_else(|| kept(reason, order.builds, folder))?,
    };
    world.store.write_entry(Bucket::Builds, &order.key(order.goal), &step)?;
    if matches!(step, Step::Wheel(_)) {
        // If the backend had to build a whole wheel for the metadata, the wheel is kept, so that it is not built again.
        world.store.write_entry(Bucket::Builds, &order.key(Goal::Wheel), &step)?;
    }
    Ok(step)
}

/// Returns the groups of compilers that a failed build needs but does not have.
fn missing_compilers(reason: &Reason, order: &Order<'_>) -> Option<Step> {
    let Reason::Backend { log, .. } = reason else { return None };
    let mut plan = order.plan.clone();
    let groups = advice::groups(&advice::missing(log)).into_iter();
    let new: Vec<String> = groups.filter(|group| plan.add(group, order.version)).map(str::to_owned).collect();
    (!new.is_empty()).then_some(Step::Compilers(new))
}

/// Adds hints to the failure of a backend.
fn advised(reason: Reason, python: PythonVersion) -> Reason {
    match reason {
        Reason::Backend { exit_code, log, .. } => {
            let hints = advice::hints(&advice::missing(&log), python);
            Reason::Backend { exit_code, log, hints }
        }
        other => other,
    }
}

/// Keeps a copy of the folder of a failed build, if the user wants that.
fn kept(reason: Reason, builds: &BuildsRequest, folder: tempfile::TempDir) -> Reason {
    if !builds.keep_failed {
        return reason;
    }
    // The copy is not in the store's folder for unfinished files, because that folder is removed at the end of the
    // process.
    let place = tempfile::Builder::new().prefix("lath-failed-").tempdir();
    let moved = place.and_then(|place| {
        let path = place.keep();
        copy_all(&folder.path().join("build"), &path)?;
        if let Ok(mut log) = open_written(&folder.path().join("work"), "log") {
            // The source may contain a link with this name, which must not be followed.
            let place = path.join("build.log");
            if place.symlink_metadata().is_ok() {
                fs::remove_file(&place)?;
            }
            std::io::copy(&mut log, &mut fs::File::create_new(&place)?)?;
        }
        Ok(path)
    });
    match moved {
        Ok(path) => Reason::Kept { path, reason: Box::new(reason) },
        Err(_) => reason,
    }
}

/// Copies a folder with its links.
fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (own, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_all(&own, &target)?;
        } else if kind.is_symlink() {
            fs_err::os::unix::fs::symlink(fs::read_link(&own)?, &target)?;
        } else if kind.is_file() {
            fs::copy(&own, &target)?;
        }
    }
    Ok(())
}

/// Runs the driver in the tree of `site`.
fn run(
    order: &Order<'_>,
    site: Site<'_>,
    crates: Option<&[Crate]>,
    desk: &Desk,
    world: &World,
) -> Result<Report, Reason> {
    let settings = order.builds.config_settings.iter().map(|(name, values)| {
        let value = match values.as_slice() {
            [one] => Value::from(one.as_str()),
            several => Value::from(several),
        };
        (name.as_str(), value)
    });
    let instructions = Instructions {
        archive: Instructions::ARCHIVE,
        folder: order.folder(),
        repository: format!("{}/{}", Instructions::BUILD, order.open.sdist.top),
        has_git: order.open.has_git,
        backend: &order.plan.backend,
        backend_path: &order.plan.backend_path,
        requires: &order.plan.requires,
        settings: settings.collect(),
        crates: crates.map(|crates| crates.iter().map(|one| (&*one.file, one.digest.to_string())).collect()),
        goal: order.goal,
    };
    let shown = site.stage.show(site.tree)?;
    let run = Run {
        shown,
        version: order.version,
        user_base: order.user_base,
        emulation: site.emulation,
        archive: world.store.parcel_path(&order.open.archive),
        crates: crates.map(|crates| lay_out(crates, desk, world)).transpose()?,
        limit_secs: order.builds.limit_secs,
    };
    drive(run, &instructions, desk, world)
}

/// Makes a folder with the crates, by their file names.
fn lay_out(crates: &[Crate], desk: &Desk, world: &World) -> Result<PathBuf, Reason> {
    let place = desk.own.join("crates");
    fs::create_dir(&place).map_err(Reason::Work)?;
    for Crate { file, digest, .. } in crates {
        fs::hard_link(world.store.parcel_path(digest), place.join(file)).map_err(Reason::Work)?;
    }
    Ok(place)
}

/// Puts the result of the driver into the store.
fn keep(order: &Order<'_>, report: Report, desk: &Desk, world: &World) -> Result<Step, Reason> {
    let name = match report {
        Report::Problem(text) => return Err(Reason::Problem(text)),
        Report::Requires(requires) => return Ok(Step::Requires(requires)),
        Report::Metadata(text) => return Ok(Step::Metadata(text)),
        Report::Wheel(name) => name,
    };
    let source = &order.open.source;
    let other = || Reason::OtherWheel { found: name.clone(), wanted: source.shown() };
    let stem = name.strip_suffix(".whl").filter(|stem| !stem.contains('/')).ok_or_else(other)?;
    if !(5..=6).contains(&stem.split('-').count()) {
        return Err(other());
    }
    let file = open_written(&desk.work, &format!("out/{name}")).map_err(Reason::Work)?;
    let mut wheel = Wheel::open(BufReader::new(file)).map_err(Reason::Wheel)?;
    let text = wheel.header().map_err(Reason::Wheel)?.metadata;
    let path = desk.own.join("plain.whl");
    let plain = BufWriter::new(fs::File::create(&path).map_err(Reason::Work)?);
    let mut plain = wheel.write_plain(plain).map_err(Reason::Plain)?;
    plain.flush().map_err(Reason::Work)?;
    drop(plain);
    let (digest, size_bytes) = world.store.copy_parcel(&path)?;
    let field = |name| metadata::field(&text, name).unwrap_or_default();
    let built = BuiltWheel {
        file_name: name.clone(),
        name: normalised(&field("name")),
        version: field("version"),
        digest,
        size_bytes,
        metadata: text,
    };
    let in_file_name = stem.split('-').next().unwrap_or_default();
    let is_named = |name: &str| normalised(name) == built.name;
    let is_wanted = source.name.as_deref().is_none_or(is_named)
        && source.version.as_deref().is_none_or(|version| is_same_version(version, &built.version));
    if !is_named(in_file_name) || !is_wanted || !(built.is_pure() || is_for(stem, order.lock.platform)) {
        return Err(other());
    }
    Ok(Step::Wheel(built))
}

/// Returns whether the platform tags of a wheel are those of `platform`.
fn is_for(stem: &str, platform: Platform) -> bool {
    let tags = stem.rsplit('-').next().unwrap_or_default();
    tags.split('.').any(|tag| tag.ends_with(platform.architecture.machine()))
}
