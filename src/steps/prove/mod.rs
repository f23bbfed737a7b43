//! Runs every check in the sandbox, in the trimmed and in the untrimmed tree. Exit code and output must agree.
//!
//! If a result differs from run to run, the check runs twice and only exit codes are compared. If a check fails in both
//! trees, the program itself is at fault, and lath reports it. Results are cached by the digest of the files that they
//! depend on.

mod checkout;
mod checks;
mod clock;
mod compare;
mod machine;
mod missing;
mod verdicts;

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Serialize;
use thiserror::Error;

use self::checkout::Checkout;
use self::checks::{Scope, Task, TaskKey};
use self::clock::Clock;
use self::compare::{Answer, Verdict, judge};
use self::verdicts::{Verdicts, listed};
use crate::catalog::programs;
use crate::model::assembly::Assembly;
use crate::model::digest::Digest;
use crate::model::event::Event;
use crate::model::hint::Hints;
use crate::model::image_path::ImagePath;
use crate::model::platform::Platform;
use crate::model::receipt::ProofSummary;
use crate::model::request::{Request, Volume};
use crate::model::tree::{Origin, Tree};
use crate::outside::sandbox::{Emulation, SandboxError};
use crate::outside::stage::{Stage, StageError};
use crate::outside::store::{Bucket, StoreError};
use crate::outside::world::World;

pub(crate) use self::compare::Difference;

#[derive(Debug, Error)]
pub(crate) enum ProveError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("cannot find `{program}` in the image")]
    NotFound { program: String },
    #[error("cannot run a program of {platform}: {reason}")]
    Foreign { platform: Platform, reason: String },
    #[error("cannot use `{path}` of {origin} on {platform}: it is made for another processor (ELF machine {machine})")]
    Machine { path: ImagePath, origin: Origin, platform: Platform, machine: u16 },
    #[error(
        "cannot promise that the image works: {} did not run before the time for all checks, {limit_secs} s, was over",
        listed(checks)
    )]
    OutOfTime { checks: Vec<String>, limit_secs: u64 },
    #[error("cannot promise that the image works: {}", joined(.0))]
    Failed(Vec<Difference>),
}

impl Hints for ProveError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Store(error) => error.hints(),
            Self::Stage(error) => error.hints(),
            Self::Sandbox(error) => error.hints(),
            Self::NotFound { program } => {
                let name = program.rsplit_once("bin/").map_or(program.as_str(), |(_, name)| name);
                programs::of_program(name).iter().map(ToString::to_string).collect()
            }
            Self::OutOfTime { .. } => {
                vec!["`--proof-timeout SECONDS` gives them more time, and 0 all the time that they need".to_owned()]
            }
            Self::Failed(_) => {
                vec!["`--trim none` tells whether trimming is the cause; `--no-verify` builds all the same".to_owned()]
            }
            Self::Foreign { .. } | Self::Machine { .. } => Vec::new(),
        }
    }
}

fn joined(differences: &[Difference]) -> String {
    differences.iter().map(Difference::to_string).collect::<Vec<_>>().join("\n")
}

/// The input of a proof: the trimmed tree, and facts about it.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) tree: &'a Tree,
    /// The stage in which trees are laid out, so that programs can run in them.
    pub(crate) stage: &'a mut Stage,
    /// The untrimmed tree, and the programs in it.
    pub(crate) assembly: &'a Assembly,
    pub(crate) platform: Platform,
    /// The image's environment, each `NAME=VALUE`.
    pub(crate) env: &'a [String],
}

/// Everything except the tree that a program can see.
#[derive(Clone, Copy, Serialize)]
struct Identity<'a> {
    /// The image's environment, each `NAME=VALUE`.
    env: &'a [String],
    workdir: Option<&'a ImagePath>,
    user: &'a str,
}

/// The key of a proof: everything that its summary depends on.
#[derive(Serialize)]
struct ProofKey<'a> {
    slim: Digest,
    whole: Digest,
    tasks: Vec<TaskKey<'a>>,
    identity: Identity<'a>,
}

/// The key of the results of one task. The digest is that of the files that the task depends on.
#[derive(Serialize)]
struct AnswerKey<'a> {
    tree: Digest,
    task: TaskKey<'a>,
    identity: Identity<'a>,
}

/// Refuses files of another processor, and runs every check. If the same trees passed the same checks before, that
/// result is used.
pub(crate) fn prove(subject: &mut Subject<'_>, request: &Request, world: &World) -> Result<ProofSummary, ProveError> {
    let skipped = |reason: String| ProofSummary { not_run: vec![reason], ..ProofSummary::default() };
    machine::refuse_foreign(subject.tree, subject.assembly, subject.platform, &request.user_base)?;
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
    let runtime = &request.runtime;
    let identity = Identity { env: subject.env, workdir: runtime.workdir.as_ref(), user: &runtime.user };
    let key = Digest::of_key(&ProofKey {
        slim: slim_digest,
        whole: whole_digest,
        tasks: tasks.iter().map(Task::key).collect(),
        identity,
    });
    if let Some(proved) = world.store.entry(Bucket::Proofs, &key) {
        return Ok(proved);
    }
    let mut other_stage = world.stages.stage();
    let clock = Clock::start(request.proof_secs);
    let common = Common { identity, request, emulation: &emulation, clock: &clock, world };
    let slim = Side::new(common, subject.tree, slim_digest, false);
    let whole = Side::new(common, &whole, whole_digest, true);
    let mut slim = Staged { side: slim, stage: &mut *subject.stage };
    let mut whole = Staged { side: whole, stage: &mut other_stage };
    let mut summary = compare(&mut slim, &mut whole, &tasks)?;
    if clock.is_over() {
        return Ok(summary);
    }
    if emulation != Emulation::Kernel {
        summary.notes.push(format!(
            "the checks of {} ran emulated; programs that they start themselves did not run, since the kernel knows no \
             emulator (binfmt_misc)",
            subject.platform
        ));
    }
    world.store.write_entry(Bucket::Proofs, &key, &summary)?;
    Ok(summary)
}

/// Returns the untrimmed tree with the bytecode of the trimmed one, so that neither compiles files that the other does
/// not.
fn untrimmed(subject: &Subject<'_>) -> Tree {
    let mut whole = subject.assembly.tree.clone();
    for (path, node) in &subject.tree.nodes {
        if path.is_bytecode() && !whole.nodes.contains_key(path) {
            whole.insert(path.clone(), node.clone());
        }
    }
    whole
}

/// The values that both sides of a comparison share.
#[derive(Clone, Copy)]
struct Common<'a> {
    identity: Identity<'a>,
    request: &'a Request,
    emulation: &'a Emulation,
    clock: &'a Clock,
    world: &'a World,
}

/// One of the two trees that are compared.
#[derive(Clone, Copy)]
struct Side<'a> {
    common: Common<'a>,
    tree: &'a Tree,
    digest: Digest,
    /// The digest of all paths outside of the user base.
    base_digest: Digest,
    /// Whether a failure may be cached.
    may_fail: bool,
}

impl<'a> Side<'a> {
    fn new(common: Common<'a>, tree: &'a Tree, digest: Digest, may_fail: bool) -> Self {
        let user_base = common.request.user_base.path().as_str();
        let base_digest = tree.digest_of(|path| !path.is_within(user_base));
        Self { common, tree, digest, base_digest, may_fail }
    }

    /// Lays out the tree on `stage`.
    fn checkout<'s>(&self, stage: &'s mut Stage) -> Result<Checkout<'s>, ProveError>
    where
        'a: 's,
    {
        let shown = stage.show(self.tree)?;
        let Common { identity, request, emulation, clock, world, .. } = self.common;
        let checkout = Checkout::new((self.tree, shown), identity.env, request, emulation.clone(), world);
        Ok(checkout.until(clock.deadline))
    }

    fn key(&self, task: &Task) -> Digest {
        let digest = match task.scope() {
            Scope::Base => &self.base_digest,
            Scope::Image => &self.digest,
        };
        Digest::of_key(&AnswerKey { tree: *digest, task: task.key(), identity: self.common.identity })
    }

    /// Returns the cached result for a tree with the same files.
    fn noted(&self, task: &Task) -> Option<Vec<Answer>> {
        self.common.world.store.entry(Bucket::Answers, &self.key(task))
    }

    /// Runs the checks of a task, and caches the results if a later run would give the same.
    fn ask(&self, checkout: &Checkout<'_>, task: &Task) -> Result<Vec<Option<Answer>>, ProveError> {
        let answers = checkout.ask(task)?;
        self.common.clock.tick(self.common.world.listener.as_ref());
        // A check that exceeded its time may not do so the next time, and a failure in the trimmed tree is worth
        // another try.
        let lasts = |answer: &Answer| answer.timeout_secs.is_none() && (self.may_fail || answer.exit_code == 0);
        let lasting: Option<Vec<&Answer>> =
            answers.iter().map(|answer| answer.as_ref().filter(|answer| lasts(answer))).collect();
        if let Some(lasting) = lasting {
            self.common.world.store.write_entry(Bucket::Answers, &self.key(task), &lasting)?;
        }
        Ok(answers)
    }
}

/// One of the two trees, and the stage on which it is laid out.
struct Staged<'a> {
    side: Side<'a>,
    stage: &'a mut Stage,
}

impl Staged<'_> {
    /// Returns the results of all tasks. Those that are not cached are made in the laid-out tree. `None` means that the
    /// time was over.
    fn answers(&mut self, tasks: &[Task]) -> Result<Vec<Vec<Option<Answer>>>, ProveError> {
        let side = self.side;
        let noted: Vec<Option<Vec<Answer>>> = tasks.iter().map(|task| side.noted(task)).collect();
        let all = |answers: Vec<Answer>| answers.into_iter().map(Some).collect();
        if noted.iter().all(Option::is_some) {
            return Ok(noted.into_iter().flatten().map(all).collect());
        }
        let checkout = side.checkout(self.stage)?;
        side.common.clock.plan(noted.iter().filter(|noted| noted.is_none()).count());
        let ask =
            |(task, noted): (_, Option<_>)| noted.map_or_else(|| side.ask(&checkout, task), |noted| Ok(all(noted)));
        tasks.par_iter().zip(noted).map(ask).collect()
    }

    /// Runs one check once more. If the time is over, returns `earlier`.
    fn again(&mut self, task: &Task, item: usize, earlier: &Answer) -> Result<Answer, ProveError> {
        let answers = self.side.checkout(self.stage)?.ask(&task.only(&[item]))?;
        Ok(answers.into_iter().next().flatten().unwrap_or_else(|| earlier.clone()))
    }
}

/// The results of the untrimmed tree, by the numbers of the task and of the item.
type Claims = BTreeMap<(usize, usize), Option<Answer>>;

/// Returns the results of the untrimmed tree that are needed for the comparison: of all commands, and of the imports
/// and loads that failed in the trimmed tree. If a module loads in the trimmed tree, it has passed.
fn claims(
    slim_failed: &[Vec<usize>],
    whole: &mut Staged<'_>,
    tasks: &[Task],
    commands: Vec<Vec<Option<Answer>>>,
) -> Result<Claims, ProveError> {
    let numbers =
        tasks.iter().enumerate().filter(|(_, task)| matches!(task, Task::Command(_))).map(|(number, _)| number);
    let mut claims: Claims =
        numbers.zip(commands).map(|(number, answers)| ((number, 0), answers.into_iter().next().flatten())).collect();
    let failed: Vec<(usize, &Vec<usize>)> =
        slim_failed.iter().enumerate().filter(|(_, items)| !items.is_empty()).collect();
    let asked: Vec<Task> = failed.iter().map(|(number, items)| tasks[*number].only(items)).collect();
    for ((number, items), answers) in failed.into_iter().zip(whole.answers(&asked)?) {
        claims.extend(items.iter().zip(answers).map(|(item, answer)| ((number, *item), answer)));
    }
    Ok(claims)
}

/// Runs all checks that have no cached result in both trees, in parallel, and compares the results.
fn compare(slim: &mut Staged<'_>, whole: &mut Staged<'_>, tasks: &[Task]) -> Result<ProofSummary, ProveError> {
    let is_trimmed = slim.side.digest != whole.side.digest;
    let is_claim = |task: &&Task| is_trimmed && matches!(task, Task::Command(_));
    let commands: Vec<Task> = tasks.iter().filter(is_claim).cloned().collect();
    let (found, claimed) = rayon::join(|| slim.answers(tasks), || whole.answers(&commands));
    let found = found?;
    let failed: Vec<Vec<usize>> = tasks.iter().zip(&found).map(|(task, answers)| task.failed(answers)).collect();
    let claims = if is_trimmed { claims(&failed, whole, tasks, claimed?)? } else { Claims::new() };
    let tree = slim.side.tree;
    let mut verdicts = Verdicts::new(tree, slim.side.common.request.proof_secs);
    for (number, (task, answers)) in tasks.iter().zip(&found).enumerate() {
        for (item, found) in answers.iter().enumerate() {
            let Some(found) = found else {
                verdicts.add_unasked(task, item);
                continue;
            };
            let is_sound = matches!(task, Task::Batch(_)) && found.exit_code == 0;
            if is_sound {
                verdicts.add(task, found, Verdict::Passed);
                continue;
            }
            let claim = if is_trimmed { claims.get(&(number, item)).cloned().flatten() } else { Some(found.clone()) };
            let Some(claim) = claim else {
                verdicts.add_unasked(task, item);
                continue;
            };
            let again = |is_slim: bool| {
                if is_slim { slim.again(task, item, found) } else { whole.again(task, item, &claim) }
            };
            verdicts.add(task, found, judge(task.must(), (found, &claim), tree, again)?);
        }
    }
    verdicts.summary()
}

/// Runs `argv` in the tree with this process's own input and output, and returns its exit code.
pub(crate) fn execute(
    subject: &mut Subject<'_>,
    argv: &[String],
    volumes: &[Volume],
    request: &Request,
    world: &World,
) -> Result<i32, ProveError> {
    let foreign = |reason| ProveError::Foreign { platform: subject.platform, reason };
    let emulation = world.sandbox.emulation(subject.platform.architecture).map_err(foreign)?;
    for volume in volumes.iter().filter(|volume| world.sandbox.cannot_write_to(volume)) {
        world.listener.hear(Event::Warning(format!(
            "the program cannot write to `{}`: lath runs as root, and the program as a user without rights; open the folder \
             to all users (`chmod -R o+w`), or run lath as an ordinary user who owns it",
            volume.source.display()
        )));
    }
    let shown = subject.stage.show(subject.tree)?;
    Checkout::new((subject.tree, shown), subject.env, request, emulation, world).attach(argv, volumes)
}
