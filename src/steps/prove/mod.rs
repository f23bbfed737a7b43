//! Runs every check in the sandbox, in the tree as it ships and in the untrimmed one: exit code and output must agree.
//!
//! What answers otherwise each time is asked twice and then compared by its exit code. What fails in both trees is the
//! program's own failure, which is told and not hidden. Answers are kept by the digest of what they rest on.

mod checkout;
mod checks;
mod compare;
mod machine;
mod missing;

use std::collections::BTreeMap;

use rayon::prelude::*;
use thiserror::Error;

use self::checkout::Checkout;
use self::checks::{Scope, Task};
use self::compare::{Answer, Verdict, judge};
use self::missing::{Missing, missing};
use crate::model::assembly::Assembly;
use crate::model::digest::Digest;
use crate::model::image_path::ImagePath;
use crate::model::platform::Platform;
use crate::model::receipt::ProofSummary;
use crate::model::request::{Request, Volume};
use crate::model::tree::{Origin, Tree};
use crate::outside::sandbox::{Emulation, SandboxError};
use crate::outside::store::{Stage, StoreError};
use crate::outside::world::World;

pub(crate) use self::compare::Difference;

#[derive(Debug, Error)]
pub(crate) enum ProveError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("cannot find `{program}` in the image")]
    NotFound { program: String },
    #[error("cannot run a program of {platform}: {reason}")]
    Foreign { platform: Platform, reason: String },
    #[error("cannot use `{path}` of {origin} on {platform}: it is made for another processor (ELF machine {machine})")]
    Machine { path: ImagePath, origin: Origin, platform: Platform, machine: u16 },
    #[error("cannot promise that the image works: {}", joined(.0))]
    Failed(Vec<Difference>),
}

fn joined(differences: &[Difference]) -> String {
    differences.iter().map(Difference::to_string).collect::<Vec<_>>().join("\n")
}

/// What is proved: a tree as it ships, with what is known of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) tree: &'a Tree,
    /// Where trees are laid out to run something in them.
    pub(crate) stage: &'a Stage,
    /// The untrimmed tree, and the programs in it.
    pub(crate) assembly: &'a Assembly,
    pub(crate) platform: Platform,
    /// The image's environment, each `NAME=VALUE`.
    pub(crate) env: &'a [String],
}

/// Refuses files of another processor, and runs every check. An earlier proof of the same trees and checks counts.
pub(crate) fn prove(subject: &Subject, request: &Request, world: &World) -> Result<ProofSummary, ProveError> {
    const SHELF: &str = "proofs-4";
    let skipped = |reason: String| ProofSummary { not_run: vec![reason], ..ProofSummary::default() };
    machine::refuse_foreign(subject.tree, subject.platform, &request.user_base, &world.store)?;
    if !request.verify {
        return Ok(skipped("the checks (`--no-verify`)".to_owned()));
    }
    let emulation = match world.sandbox.emulation(subject.platform.architecture) {
        Ok(emulation) => emulation,
        Err(reason) => {
            return Ok(skipped(format!("the checks: this machine does not run {}: {reason}", subject.platform)));
        }
    };
    let tasks = checks::tasks(subject.tree, subject.assembly, request);
    let whole = untrimmed(subject);
    let (slim_digest, whole_digest) = rayon::join(|| subject.tree.digest(), || whole.digest());
    let identity = format!("{:?} {:?} {}", subject.env, request.runtime.workdir, request.runtime.user);
    let question = format!("{tasks:?} {identity}");
    let key = Digest::of_fields([slim_digest.as_bytes().as_slice(), whole_digest.as_bytes(), question.as_bytes()]);
    if let Some(proved) = world.store.note(SHELF, &key) {
        return Ok(proved);
    }
    let other_stage = Stage::new(&world.store);
    let common = Common { subject, identity: &identity, request, emulation: &emulation, world };
    let slim = Side::new(common, subject.tree, slim_digest, subject.stage, false);
    let whole = Side::new(common, &whole, whole_digest, &other_stage, true);
    let mut summary = compare(&slim, &whole, &tasks)?;
    if emulation != Emulation::Kernel {
        summary.notes.push(format!(
            "the checks of {} ran emulated; programs that they start themselves did not run, since the kernel knows no \
             emulator (binfmt_misc)",
            subject.platform
        ));
    }
    world.store.write_note(SHELF, &key, &summary)?;
    Ok(summary)
}

/// The untrimmed tree with the bytecode of the one that ships, so that neither compiles what the other does not.
fn untrimmed(subject: &Subject) -> Tree {
    let mut whole = subject.assembly.tree.clone();
    for (path, node) in &subject.tree.nodes {
        if path.is_bytecode() && !whole.nodes.contains_key(path) {
            whole.insert(path.clone(), node.clone());
        }
    }
    whole
}

/// What both sides of a comparison share.
#[derive(Clone, Copy)]
struct Common<'a> {
    subject: &'a Subject<'a>,
    /// All that a program sees beside the tree.
    identity: &'a str,
    request: &'a Request,
    emulation: &'a Emulation,
    world: &'a World,
}

/// One of the two trees that are compared.
struct Side<'a> {
    common: Common<'a>,
    tree: &'a Tree,
    digest: Digest,
    /// Of all paths but those of the user base.
    base_digest: Digest,
    stage: &'a Stage,
    /// Whether a failure is this tree's last word.
    may_fail: bool,
}

impl<'a> Side<'a> {
    fn new(common: Common<'a>, tree: &'a Tree, digest: Digest, stage: &'a Stage, may_fail: bool) -> Self {
        let user_base = common.request.user_base.path().as_str();
        let base_digest = tree.digest_of(|path| !path.is_within(user_base));
        Self { common, tree, digest, base_digest, stage, may_fail }
    }

    /// The tree laid out.
    fn checkout(&self) -> Result<Checkout<'a>, ProveError> {
        let shown = self.stage.show(self.tree)?;
        let Common { subject, request, emulation, world, .. } = self.common;
        Ok(Checkout::new((self.tree, shown), subject.env, request, emulation.clone(), world))
    }

    fn key(&self, task: &Task) -> Digest {
        let digest = match task.scope() {
            Scope::Base => &self.base_digest,
            Scope::Image => &self.digest,
        };
        Digest::of_fields([digest.as_bytes().as_slice(), format!("{task:?} {}", self.common.identity).as_bytes()])
    }

    /// What a tree of the same files answered before.
    fn noted(&self, task: &Task) -> Option<Vec<Answer>> {
        self.common.world.store.note(ANSWERS, &self.key(task))
    }

    /// The answers to all tasks: earlier ones, and the rest from the tree laid out.
    fn answers(&self, tasks: &[Task]) -> Result<Vec<Vec<Answer>>, ProveError> {
        let noted: Vec<Option<Vec<Answer>>> = tasks.iter().map(|task| self.noted(task)).collect();
        if noted.iter().all(Option::is_some) {
            return Ok(noted.into_iter().flatten().collect());
        }
        let checkout = self.checkout()?;
        let ask = |(task, noted): (_, Option<_>)| noted.map_or_else(|| self.ask(&checkout, task), Ok);
        tasks.par_iter().zip(noted).map(ask).collect()
    }

    /// Asks, and keeps the answers where all are such that they will be the same tomorrow.
    fn ask(&self, checkout: &Checkout<'a>, task: &Task) -> Result<Vec<Answer>, ProveError> {
        let answers = checkout.ask(task)?;
        // What was too slow today may not be, and what fails where it must not is worth another try.
        let lasts = |answer: &Answer| answer.timeout_secs.is_none() && (self.may_fail || answer.exit_code == 0);
        if answers.iter().all(lasts) {
            self.common.world.store.write_note(ANSWERS, &self.key(task), &answers)?;
        }
        Ok(answers)
    }
}

/// Asks both trees what they have not answered before, as far as the cores go, and judges the answers. What imports or
/// loads in the tree as it ships is as it should be; what does not is asked of the untrimmed one.
fn compare<'a>(slim: &Side<'a>, whole: &Side<'a>, tasks: &[Task]) -> Result<ProofSummary, ProveError> {
    let is_trimmed = slim.digest != whole.digest;
    let is_claim = |task: &&Task| is_trimmed && matches!(task, Task::Command(_));
    let commands: Vec<Task> = tasks.iter().filter(is_claim).cloned().collect();
    let (found, claimed) = rayon::join(|| slim.answers(tasks), || whole.answers(&commands));
    let (found, claimed) = (found?, claimed?);
    let failed = tasks.iter().zip(&found).filter_map(|(task, answers)| task.failed(answers).filter(|_| is_trimmed));
    let claimed_of_failed = whole.answers(&failed.collect::<Vec<Task>>())?;
    let mut claimed = claimed.iter().flatten();
    let mut claimed_of_failed = claimed_of_failed.iter().flatten();
    let mut verdicts = Verdicts::new(slim.tree);
    for (task, found) in tasks.iter().zip(&found) {
        for (index, found) in found.iter().enumerate() {
            let claim = match task {
                _ if !is_trimmed => Some(found),
                Task::Command(_) => claimed.next(),
                Task::Batch(_) if found.exit_code == 0 => None,
                Task::Batch(_) => claimed_of_failed.next(),
            };
            let Some(claim) = claim else {
                verdicts.add(task, found, Verdict::Passed);
                continue;
            };
            let must = matches!(task, Task::Command(command) if command.must);
            let again = |is_slim: bool| {
                let side = if is_slim { slim } else { whole };
                let answers = side.checkout()?.ask(&task.only(&[index]))?;
                Ok::<_, ProveError>(answers.into_iter().next().unwrap_or_else(|| claim.clone()))
            };
            verdicts.add(task, found, judge(must, (found, claim), slim.tree, again)?);
        }
    }
    verdicts.summary()
}

/// The shelf of the trees' answers.
const ANSWERS: &str = "answers-1";

struct Verdicts<'a> {
    /// The tree as it ships.
    tree: &'a Tree,
    summary: ProofSummary,
    /// How many items of each kind passed.
    counts: BTreeMap<&'static str, usize>,
    /// What fails in both trees: the commands by what they say, in the order in which it was met.
    alike: Vec<(String, Vec<String>)>,
    differences: Vec<Difference>,
}

impl<'a> Verdicts<'a> {
    fn new(tree: &'a Tree) -> Self {
        Self {
            tree,
            summary: ProofSummary::default(),
            counts: BTreeMap::new(),
            alike: Vec::new(),
            differences: Vec::new(),
        }
    }

    fn add(&mut self, task: &Task, answer: &Answer, verdict: Verdict) {
        match verdict {
            Verdict::Differs(difference) => return self.differences.push(difference),
            Verdict::FailsAlike => return self.add_alike(answer),
            Verdict::Restless => self
                .summary
                .notes
                .push(format!("`{}` answers otherwise each time: compared by its exit code alone", answer.command)),
            Verdict::Passed => {}
        }
        match task {
            Task::Command(_) => self.summary.passed.push(answer.command.clone()),
            Task::Batch(batch) => *self.counts.entry(batch.what).or_default() += 1,
        }
    }

    fn add_alike(&mut self, answer: &Answer) {
        let told = match missing(&answer.said(), self.tree) {
            Some(Missing { line, remedy }) => format!("{line}; {remedy}"),
            None => answer.last_line(),
        };
        let place = self.alike.iter().position(|(known, _)| *known == told).unwrap_or_else(|| {
            self.alike.push((told, Vec::new()));
            self.alike.len() - 1
        });
        let commands = &mut self.alike[place].1;
        // Of a script whose imports fail, `--version` fails as well.
        if !commands.iter().any(|known| answer.command.split(' ').next() == Some(known)) {
            commands.push(answer.command.clone());
        }
    }

    fn summary(mut self) -> Result<ProofSummary, ProveError> {
        if !self.differences.is_empty() {
            return Err(ProveError::Failed(self.differences));
        }
        for (told, commands) in self.alike {
            let fail = if commands.len() == 1 { "fails" } else { "fail" };
            self.summary.notes.push(format!("`{}` {fail} untrimmed too: {told}", commands.join("`, `")));
            self.summary.failed_alike.extend(commands);
        }
        self.summary.passed.extend(self.counts.iter().map(|(what, count)| format!("{count} {what}")));
        Ok(self.summary)
    }
}

/// Runs `argv` in the tree with this process's own input and output, and returns its exit code.
pub(crate) fn execute(
    subject: &Subject,
    argv: &[String],
    volumes: &[Volume],
    request: &Request,
    world: &World,
) -> Result<i32, ProveError> {
    let foreign = |reason| ProveError::Foreign { platform: subject.platform, reason };
    let emulation = world.sandbox.emulation(subject.platform.architecture).map_err(foreign)?;
    let shown = subject.stage.show(subject.tree)?;
    Checkout::new((subject.tree, shown), subject.env, request, emulation, world).attach(argv, volumes)
}
