//! Measures the strength of the proof: deletes files of the trimmed tree, one at a time, and runs the checks.

use rayon::prelude::*;

use super::checkout::Checkout;
use super::checks::{self, Batch, Item, Task};
use super::compare::{Answer, Reply, is_alike};
use super::own_code::OwnCode;
use super::{Clock, Common, ProveError, Side, started, untrimmed};
use crate::model::digest::Digest;
use crate::model::facts::is_extension_module;
use crate::model::image_path::ImagePath;
use crate::model::made::Made;
use crate::model::reach::module_of;
use crate::model::reason::Kept;
use crate::model::request::ProveRequest;
use crate::model::strength::{Deletion, Deletions, FileKind, Notice};
use crate::model::tree::{Kind, Node, Origin, Tree};
use crate::outside::sandbox::Emulation;
use crate::outside::world::World;

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
    let clock = Clock::start(0);
    let user_base = request.user_base.path().as_str();
    let python = request.python.version;
    let emulation = &Emulation::Kernel;
    let common = Common { launch: &made.launch, python, user_base, emulation, clock: &clock, world };
    let whole_tree = untrimmed(made);
    let mut stage = world.stages.stage();
    let mut other_stage = world.stages.stage();
    let whole = Side::new(common, &whole_tree, made.tree.digest(), true).checkout(&mut other_stage)?;
    let claims = claims(&whole, &tasks)?;
    let places = Places { made, request };
    for path in chosen(&made.tree, deletions) {
        let mut tree = made.tree.clone();
        let Some(node) = tree.nodes.remove(&path) else { continue };
        let module = places.module(&path);
        let side = Side::new(common, &tree, made.tree.digest(), false);
        let checkout = side.checkout(&mut stage)?;
        let search =
            Search { checkout: &checkout, whole: &whole, claims: &claims, module: module.as_deref(), path: &path };
        let (notice, check) = search.run()?;
        let (kind, is_reached) = (places.kind(&path, &node), places.is_reached(&path, &node, module.as_deref()));
        on_deletion(Deletion { path, kind, is_reached, notice, check });
    }
    Ok(())
}

/// A task, and the results that the untrimmed tree gives. Items that fail there are not in it.
struct Claim {
    task: Task,
    answer: Option<Answer>,
    /// Whether the output differs from run to run.
    is_restless: bool,
}

/// Runs all tasks in the untrimmed tree, those with output twice.
fn claims(checkout: &Checkout<'_>, tasks: &[Task]) -> Result<Vec<Claim>, ProveError> {
    let claim = |task: &Task| {
        let replies = checkout.ask(task)?;
        if let Task::Batch(batch) = task {
            let mut batch = Batch { is_shared: true, ..batch.clone() };
            // Without the items that fail, others may fail, too.
            loop {
                let failed = failed(checkout, &batch)?;
                if failed.is_empty() {
                    return Ok(Claim { task: Task::Batch(batch), answer: None, is_restless: false });
                }
                batch.items.retain(|item| !failed.contains(item));
            }
        }
        let again = checkout.ask(task)?;
        let answer = match replies.into_iter().next() {
            Some(Reply::Answer(answer)) => Some(answer),
            _ => None,
        };
        let is_restless = answer.clone().map(Reply::Answer) != again.into_iter().next();
        Ok(Claim { task: task.clone(), answer, is_restless })
    };
    tasks.par_iter().map(claim).collect()
}

/// The search for a check that notices that a file is missing.
struct Search<'a> {
    checkout: &'a Checkout<'a>,
    /// The untrimmed tree.
    whole: &'a Checkout<'a>,
    claims: &'a [Claim],
    module: Option<&'a str>,
    path: &'a ImagePath,
}

impl Search<'_> {
    fn run(&self) -> Result<(Notice, Option<String>), ProveError> {
        let mut claims: Vec<&Claim> = self.claims.iter().collect();
        claims.sort_by_key(|claim| !self.is_near(claim));
        if let Some(check) = self.first(&claims, |item| !self.names_file(item))? {
            return Ok((Notice::ByOthers, Some(check)));
        }
        let batches: Vec<&Claim> = claims.into_iter().filter(|claim| claim.answer.is_none()).collect();
        let check = self.first(&batches, |item| self.names_file(item))?;
        Ok((if check.is_some() { Notice::ByItself } else { Notice::No }, check))
    }

    /// Returns the name of a check that fails or gives another result.
    fn first(&self, claims: &[&Claim], is_wanted: impl Fn(&Item) -> bool + Sync) -> Result<Option<String>, ProveError> {
        let noticed = |claim: &&Claim| self.noticed(claim, &is_wanted).transpose();
        claims.par_iter().find_map_any(noticed).transpose()
    }

    /// Whether the task imports modules of the same package, and so will probably notice it.
    fn is_near(&self, claim: &Claim) -> bool {
        let package = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
        let Task::Batch(batch) = &claim.task else { return self.module.is_none() };
        self.module.is_some_and(|module| batch.items.iter().any(|item| package(&item.argument) == package(module)))
    }

    /// Whether the item imports or loads the file itself, and not through another one.
    fn names_file(&self, item: &Item) -> bool {
        item.argument == self.path.as_str() || self.module == item.argument.split(':').next()
    }

    fn noticed(&self, claim: &Claim, is_wanted: impl Fn(&Item) -> bool) -> Result<Option<String>, ProveError> {
        if let Task::Batch(batch) = &claim.task {
            let items: Vec<Item> = batch.items.iter().filter(|item| is_wanted(item)).cloned().collect();
            // The proof confirms a failure in a process of its own.
            let shared = Batch { items, is_shared: true, ..batch.clone() };
            for item in failed(self.checkout, &shared)? {
                let alone = Batch { items: vec![item.clone()], ..shared.clone() };
                if !failed(self.checkout, &alone)?.is_empty() && failed(self.whole, &alone)?.is_empty() {
                    return Ok(Some(item.name));
                }
            }
            return Ok(None);
        }
        let found = self.checkout.ask(&claim.task)?.pop();
        let (Some(Reply::Answer(found)), Some(claimed)) = (found, &claim.answer) else { return Ok(None) };
        let agrees = if claim.is_restless { is_alike(&found, claimed) } else { found == *claimed };
        Ok((!agrees).then(|| claim.task.name(0)))
    }
}

/// Returns the items that fail.
fn failed(checkout: &Checkout<'_>, batch: &Batch) -> Result<Vec<Item>, ProveError> {
    let replies = checkout.ask(&Task::Batch(batch.clone()))?;
    let failed = batch.items.iter().zip(replies).filter(|(_, reply)| match reply {
        Reply::Answer(answer) => answer.exit_code != 0,
        Reply::NotRun => false,
    });
    Ok(failed.map(|(item, _)| item.clone()).collect())
}

/// Returns random files of the tree. Bytecode is not among them, because programs work without it.
fn chosen(tree: &Tree, Deletions { count, seed }: Deletions) -> Vec<ImagePath> {
    let is_file = |node: &Node| !matches!(node.kind, Kind::Directory) && node.origin != Origin::Base;
    let files = tree.nodes.iter().filter(|(path, node)| is_file(node) && !path.is_bytecode());
    // The order of these digests is random, and the same for the same seed.
    let mut files: Vec<(Digest, &ImagePath)> =
        files.map(|(path, _)| (Digest::of(format!("{seed} {path}").as_bytes()), path)).collect();
    files.sort();
    files.into_iter().take(count).map(|(_, path)| path.clone()).collect()
}

struct Places<'a> {
    made: &'a Made,
    request: &'a ProveRequest<'a>,
}

impl Places<'_> {
    fn site(&self) -> String {
        self.request.user_base.site(self.request.python.version)
    }

    /// Returns the name of the module that the file is.
    fn module(&self, path: &ImagePath) -> Option<String> {
        module_of(path, &self.request.user_base.search_path(self.request.python))
    }

    fn kind(&self, path: &ImagePath, node: &Node) -> FileKind {
        let (name, text) = (path.file_name(), path.as_str());
        let is_of_site = path.is_within(&self.site());
        match () {
            () if is_extension_module(name) => FileKind::ExtensionModule,
            () if name.contains(".so") => FileKind::SharedLibrary,
            () if text.contains(".dist-info/") => FileKind::DistInfo,
            () if name.ends_with(".py") && is_of_site => FileKind::Module,
            () if name.ends_with(".py") => FileKind::StdlibModule,
            () if is_of_site => FileKind::PackageData,
            () if text.contains("/bin/") || text.contains("/sbin/") || node.is_executable() => FileKind::Program,
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
        module.is_some_and(is_reached) || is_python || is_script || self.is_needed(node)
    }

    /// Whether it is a library that Python or a reached extension module needs.
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
