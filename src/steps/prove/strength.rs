//! Measures the strength of the proof: deletes files of the trimmed tree, one at a time, and runs the checks.
//!
//! All checks run once in the intact tree, and the paths that they use are recorded. After a deletion, a check runs
//! only if it used the deleted file, because all other checks would have the same result again.

use std::collections::BTreeSet;
use std::sync::Arc;

use rayon::prelude::*;

use super::checkout::Checkout;
use super::checks::{self, Batch, Item, Task};
use super::compare::{Answer, Reply, is_alike};
use super::engine_files::{hosts_of_check, with_engine_files};
use super::own_code::OwnCode;
use super::{ProveError, data_files, started};
use crate::model::digest::Digest;
use crate::model::facts::is_extension_module;
use crate::model::image_path::ImagePath;
use crate::model::made::Made;
use crate::model::reach::module_of;
use crate::model::reason::Kept;
use crate::model::request::ProveRequest;
use crate::model::strength::{Deletion, Deletions, FileKind, Notice};
use crate::model::trace::{Trace, Use};
use crate::model::tree::{Kind, Node, Origin, Tree};
use crate::outside::sandbox::Emulation;
use crate::outside::stage::{Shown, Stage};
use crate::outside::world::World;

/// The number of items of a batch that run together as a piece. If one item of a piece uses the deleted file, all items
/// of the piece run. So if pieces are small, fewer items run that cannot notice the deletion.
const PIECE: usize = 16;

/// The maximum number of checks that run for one deletion, apart from the checks that name the file. If more checks use
/// a file, Python probably uses the file at each start. Then the first checks already notice that the file is missing.
const MOST_CHECKS: usize = 16;

/// Deletes files of the trimmed tree, one at a time, and reports each to `on_deletion`.
pub(crate) fn measure(
    made: &Made,
    request: &ProveRequest<'_>,
    deletions: Deletions,
    world: &World,
    mut on_deletion: impl FnMut(Deletion),
) -> Result<(), ProveError> {
    let named = started::named(made, request, &world.store)?;
    // The checks are chosen before a file is deleted, so that no check disappears together with its file.
    let tasks = checks::tasks(made, request, named, &OwnCode::default());
    let mut stage = world.stages.stage();
    let mut other_stage = world.stages.stage();
    let intact = LaidOut::new(made, &made.tree, &mut other_stage, world)?;
    let claims = claims(&intact, &tasks)?;
    let intact = intact.checkout();
    let places = Places { made, request, data: data_files::named(made, request) };
    for path in chosen(&made.tree, deletions) {
        let mut tree = made.tree.clone();
        let Some(node) = tree.nodes.remove(&path) else { continue };
        let module = places.module(&path);
        let checkout = LaidOut::new(made, &tree, &mut stage, world)?.checkout();
        let search =
            Search { checkout: &checkout, intact: &intact, claims: &claims, module: module.as_deref(), path: &path };
        let (notice, check) = search.run(places.has_modules_beside(&path))?;
        let (kind, is_reached) = (places.kind(&path, &node), places.is_reached(&path, &node, module.as_deref()));
        on_deletion(Deletion { path, kind, is_reached, notice, check });
    }
    Ok(())
}

/// A tree that is laid out. Several checkouts can share it.
struct LaidOut<'a> {
    made: &'a Made,
    tree: &'a Tree,
    shown: Shown<'a>,
    world: &'a World,
}

impl<'a> LaidOut<'a> {
    fn new(made: &'a Made, tree: &'a Tree, stage: &'a mut Stage, world: &'a World) -> Result<Self, ProveError> {
        let shown = stage.show(&with_engine_files(tree, &hosts_of_check(), &world.store)?)?;
        Ok(Self { made, tree, shown, world })
    }

    fn checkout(&self) -> Checkout<'a> {
        Checkout::new(self.tree, self.shown.clone(), &self.made.launch, Emulation::None, self.world)
    }
}

/// A task, and the results that the intact tree gives.
struct Claim {
    task: Task,
    /// The result of a command.
    answer: Option<Answer>,
    /// Whether the output differs from run to run.
    is_restless: bool,
    /// The errors of the items, if all items of a batch fail.
    errors: Vec<Failed>,
    /// The paths that the task uses.
    used: Arc<Trace>,
}

impl Claim {
    /// Whether the result can depend on the file: the task used the file, or listed its folder. If the folder contains
    /// modules, a list of the folder does not count, because each import lists it.
    fn can_notice(&self, path: &ImagePath, has_modules_beside: bool) -> bool {
        let lists = |folder: &ImagePath| self.used.paths.get(folder).is_some_and(|uses| uses.contains(&Use::List));
        self.used.has(path) || !has_modules_beside && path.parent().is_some_and(|folder| lists(&folder))
    }
}

/// An item that fails, and its error.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failed {
    item: Item,
    error: String,
}

/// Runs all tasks in the intact tree, and records the paths that they use. Tasks with output run twice.
fn claims(intact: &LaidOut<'_>, tasks: &[Task]) -> Result<Vec<Claim>, ProveError> {
    let tasks: Vec<Task> = tasks.iter().flat_map(pieces).collect();
    let claims: Result<Vec<Vec<Claim>>, ProveError> = tasks.par_iter().map(|task| claims_of(intact, task)).collect();
    Ok(claims?.into_iter().flatten().collect())
}

/// Splits a batch into small batches.
fn pieces(task: &Task) -> Vec<Task> {
    match task {
        Task::Batch(batch) => {
            let piece = |items: &[Item]| Batch { items: items.to_vec(), is_shared: true, ..batch.clone() };
            batch.items.chunks(PIECE).map(|items| Task::Batch(piece(items))).collect()
        }
        Task::Command(_) | Task::Help(_) => vec![task.clone()],
    }
}

/// Returns the claims of one task. A batch has two claims: one with the items that work, and one with the items that
/// fail, because only failing items have errors to compare.
fn claims_of(intact: &LaidOut<'_>, task: &Task) -> Result<Vec<Claim>, ProveError> {
    let checkout = intact.checkout().recording();
    let Task::Batch(batch) = task else {
        let answer = match checkout.ask(task)?.pop() {
            Some(Reply::Answer(answer)) => Some(answer),
            Some(Reply::NotRun) | None => None,
        };
        let is_restless = answer.clone().map(Reply::Answer) != checkout.ask(task)?.pop();
        let used = Arc::new(checkout.recorded());
        return Ok(vec![Claim { task: task.clone(), answer, is_restless, errors: Vec::new(), used }]);
    };
    let (mut working, mut failing) = (batch.clone(), Batch { items: Vec::new(), ..batch.clone() });
    // An item may work only because an item that fails has run before it in the same process. So the items that work
    // run again without the items that fail, until all of them work.
    loop {
        let failed: Vec<Item> = failed(&checkout, &working)?.into_iter().map(|failed| failed.item).collect();
        if failed.is_empty() {
            break;
        }
        working.items.retain(|item| !failed.contains(item));
        failing.items.extend(failed);
    }
    let errors = failed(&checkout, &failing)?;
    failing.items = errors.iter().map(|failed| failed.item.clone()).collect();
    let used = Arc::new(checkout.recorded());
    let claim = |batch: Batch, errors| Claim {
        task: Task::Batch(batch),
        answer: None,
        is_restless: false,
        errors,
        used: Arc::clone(&used),
    };
    Ok(vec![claim(working, Vec::new()), claim(failing, errors)])
}

/// The search for a check that notices that a file is missing.
struct Search<'a> {
    checkout: &'a Checkout<'a>,
    /// The tree with the file.
    intact: &'a Checkout<'a>,
    claims: &'a [Claim],
    module: Option<&'a str>,
    path: &'a ImagePath,
}

impl Search<'_> {
    fn run(&self, has_modules_beside: bool) -> Result<(Notice, Option<String>), ProveError> {
        let can_notice = |claim: &&Claim| claim.can_notice(self.path, has_modules_beside);
        let mut claims: Vec<&Claim> = self.claims.iter().filter(can_notice).collect();
        claims.sort_by_key(|claim| (!self.is_near(claim), claim.answer.is_none()));
        let first = &claims[..claims.len().min(MOST_CHECKS)];
        if let Some(check) = self.first(first, |item| !self.names_file(item))? {
            return Ok((Notice::ByOthers, Some(check)));
        }
        let batches: Vec<&Claim> = claims.into_iter().filter(|claim| claim.answer.is_none()).collect();
        let check = self.first(&batches, |item| self.names_file(item))?;
        Ok((if check.is_some() { Notice::ByItself } else { Notice::No }, check))
    }

    /// Returns the name of a check that has another result than in the intact tree.
    fn first(&self, claims: &[&Claim], is_wanted: impl Fn(&Item) -> bool + Sync) -> Result<Option<String>, ProveError> {
        let noticed = |claim: &&Claim| self.noticed(claim, &is_wanted).transpose();
        claims.par_iter().find_map_any(noticed).transpose()
    }

    /// Whether the task will probably notice the missing file: a batch if it imports modules of the same package, and a
    /// command if the file is not a module.
    fn is_near(&self, claim: &Claim) -> bool {
        let package = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
        let Task::Batch(batch) = &claim.task else { return self.module.is_none() };
        self.module.is_some_and(|module| batch.items.iter().any(|item| package(&item.argument) == package(module)))
    }

    /// Whether the item imports, loads or reads the file itself, and not through another one.
    fn names_file(&self, item: &Item) -> bool {
        let argument = item.argument.trim_start_matches('<');
        argument == self.path.as_str() || self.module == argument.split(':').next()
    }

    fn noticed(&self, claim: &Claim, is_wanted: impl Fn(&Item) -> bool) -> Result<Option<String>, ProveError> {
        let Task::Batch(batch) = &claim.task else {
            let found = self.checkout.ask(&claim.task)?.pop();
            let (Some(Reply::Answer(found)), Some(claimed)) = (found, &claim.answer) else { return Ok(None) };
            let agrees = if claim.is_restless { is_alike(&found, claimed) } else { found == *claimed };
            return Ok((!agrees).then(|| claim.task.name(0)));
        };
        let items: Vec<Item> = batch.items.iter().filter(|item| is_wanted(item)).cloned().collect();
        let shared = Batch { items, ..batch.clone() };
        for found in failed(self.checkout, &shared)?.into_iter().filter(|found| !claim.errors.contains(found)) {
            // A failure is confirmed in a process of its own.
            let alone = Batch { items: vec![found.item.clone()], ..shared.clone() };
            let error = failed(self.checkout, &alone)?;
            if !error.is_empty() && failed(self.intact, &alone)? != error {
                return Ok(Some(found.item.name));
            }
        }
        Ok(None)
    }
}

/// Returns the items that fail.
fn failed(checkout: &Checkout<'_>, batch: &Batch) -> Result<Vec<Failed>, ProveError> {
    let replies = checkout.ask(&Task::Batch(batch.clone()))?;
    let failed = batch.items.iter().zip(replies).filter_map(|(item, reply)| match reply {
        Reply::Answer(answer) if answer.exit_code != 0 => Some(Failed { item: item.clone(), error: answer.stderr }),
        Reply::Answer(_) | Reply::NotRun => None,
    });
    Ok(failed.collect())
}

/// Returns random files of the tree. Bytecode is not among them, because programs work without it.
fn chosen(tree: &Tree, Deletions { count, skip, seed }: Deletions) -> Vec<ImagePath> {
    let is_file = |node: &Node| !matches!(node.kind, Kind::Directory) && node.origin != Origin::Base;
    let files = tree.nodes.iter().filter(|(path, node)| is_file(node) && !path.is_bytecode());
    // The order of these digests is random. If the seed is the same, the order is the same.
    let mut files: Vec<(Digest, &ImagePath)> =
        files.map(|(path, _)| (Digest::of(format!("{seed} {path}").as_bytes()), path)).collect();
    files.sort();
    files.into_iter().skip(skip).take(count).map(|(_, path)| path.clone()).collect()
}

struct Places<'a> {
    made: &'a Made,
    request: &'a ProveRequest<'a>,
    /// The data files that a module of the image names or reads.
    data: BTreeSet<ImagePath>,
}

impl Places<'_> {
    fn site(&self) -> String {
        self.request.user_base.site(self.request.python.version)
    }

    /// Returns the module name of the file.
    fn module(&self, path: &ImagePath) -> Option<String> {
        module_of(path, &self.request.user_base.search_path(self.request.python))
    }

    /// Whether the folder of the file contains modules.
    fn has_modules_beside(&self, path: &ImagePath) -> bool {
        let is_beside = |other: &ImagePath| other.parent() == path.parent() && self.module(other).is_some();
        let folder = path.parent().unwrap_or_else(|| path.clone());
        let below = self.made.tree.nodes.range(folder.clone()..).map(|(path, _)| path);
        below.take_while(|path| path.as_str().starts_with(folder.as_str())).any(is_beside)
    }

    fn kind(&self, path: &ImagePath, node: &Node) -> FileKind {
        let (name, text) = (path.file_name(), path.as_str());
        let is_of_site = path.is_within(&self.site());
        // The mode of a link does not count.
        let is_executable = matches!(node.kind, Kind::File { .. }) && node.is_executable();
        match () {
            () if is_extension_module(name) => FileKind::ExtensionModule,
            () if name.contains(".so") => FileKind::SharedLibrary,
            () if text.contains(".dist-info/") => FileKind::DistInfo,
            () if name.ends_with(".py") && is_of_site => FileKind::Module,
            () if name.ends_with(".py") => FileKind::StdlibModule,
            () if is_of_site => FileKind::PackageData,
            () if text.contains("/bin/") || text.contains("/sbin/") || is_executable => FileKind::Program,
            () => FileKind::Other,
        }
    }

    fn is_reached(&self, path: &ImagePath, node: &Node, module: Option<&str>) -> bool {
        let is_reached = |module: &str| self.made.reached.as_ref().is_some_and(|all| all.modules.contains_key(module));
        let is_python = path.as_str() == self.request.python.program();
        let is_script = self
            .made
            .assembly
            .scripts
            .iter()
            .any(|script| script.is_requested && self.request.user_base.program(&script.name) == path.as_str());
        let is_module = module.is_some_and(|module| is_reached(module) && !self.is_hidden(path, module));
        is_module || is_python || is_script || self.data.contains(path) || self.is_needed(node)
    }

    /// Whether Python never loads this file of the module, because an extension module with the same name is beside it.
    fn is_hidden(&self, path: &ImagePath, module: &str) -> bool {
        let is_same = |other: &ImagePath| {
            is_extension_module(other.file_name())
                && other.parent() == path.parent()
                && self.module(other).as_deref() == Some(module)
        };
        path.file_name().ends_with(".py") && self.made.tree.nodes.keys().any(is_same)
    }

    /// Whether the file is a library that Python or a reached extension module needs.
    fn is_needed(&self, node: &Node) -> bool {
        let mut kept = node.kept.as_ref();
        for _ in 0..8 {
            let Some(Kept::NeededBy { path }) = kept else { return false };
            if path.as_str() == self.request.python.program() {
                return true;
            }
            let module = self.module(path);
            let is_reached =
                |module: &String| self.made.reached.as_ref().is_some_and(|all| all.modules.contains_key(module));
            if module.as_ref().is_some_and(is_reached) {
                return true;
            }
            kept = self.made.tree.nodes.get(path).and_then(|node| node.kept.as_ref());
        }
        false
    }
}
