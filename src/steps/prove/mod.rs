//! Runs every check in the sandbox, in the trimmed and in the untrimmed tree. Exit code and output must agree.
//!
//! If a result differs from run to run, the check runs twice and only exit codes are compared. If a check fails in both
//! trees, the program itself is at fault, and lath reports it. Results are cached by the digest of the files that they
//! depend on.

mod back;
mod checkout;
mod checks;
mod clock;
mod compare;
mod data_files;
mod engine_files;
mod evidence;
mod help;
mod imports;
mod known;
mod libraries;
mod machine;
mod missing;
mod modules;
mod own_code;
mod staged;
mod started;
#[cfg(feature = "strength")]
mod strength;
mod verdicts;

use std::time::Duration;

use serde::Serialize;
use thiserror::Error;

use self::back::{BackSearch, Broken};
use self::checkout::Checkout;
use self::checks::{Scope, Task, TaskKey};
use self::clock::Clock;
use self::compare::{Answer, Pair, Reply, Verdict, judge};
use self::engine_files::{hosts_of_check, hosts_of_run, with_engine_files};
use self::known::remember;
use self::missing::Image;
use self::own_code::OwnCode;
use self::staged::{Asked, Question, Replies, Staged};
use self::verdicts::Verdicts;
use crate::catalog::programs;
use crate::model::digest::Digest;
use crate::model::event::Event;
use crate::model::hint::{Hint, Hints, ProofHint};
use crate::model::image_path::ImagePath;
use crate::model::launch::Launch;
use crate::model::made::Made;
use crate::model::options::TrimLevel;
use crate::model::platform::{Platform, PythonVersion};
use crate::model::reason::Removed;
use crate::model::receipt::{NotRun, ProofNote, ProofSummary, PutBack, shortened};
use crate::model::request::{ProveRequest, Volume};
use crate::model::trace::Trace;
use crate::model::tree::{Origin, Tree};
use crate::outside::sandbox::{Emulation, SandboxError, cannot_write_to};
use crate::outside::stage::{Stage, StageError};
use crate::outside::store::{Bucket, StoreError};
use crate::outside::world::World;

pub(crate) use self::compare::Difference;
pub(crate) use self::evidence::evidence;
pub(crate) use self::known::known_lacks;
#[cfg(feature = "strength")]
pub(crate) use self::strength::measure;

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
        "cannot prove that the image works: {} did not run within the time for all checks, {limit_secs} s",
        shortened(checks)
    )]
    OutOfTime { checks: Vec<String>, limit_secs: u64 },
    #[error("cannot prove that the image works: {}", joined(differences))]
    Failed {
        differences: Vec<Difference>,
        /// Whether the time was over. In this case, lath may not have found all removed files that the checks need.
        is_late: bool,
    },
}

impl Hints for ProveError {
    fn own_hints(&self) -> Vec<Hint> {
        match self {
            Self::NotFound { program } => {
                let name = program.rsplit_once("bin/").map_or(program.as_str(), |(_, name)| name);
                programs::of_program(name).into_iter().map(Hint::Add).collect()
            }
            Self::OutOfTime { .. } => vec![Hint::Proof(ProofHint::MoreTime)],
            Self::Failed { differences, is_late } => {
                let mut hints: Vec<Hint> = differences.iter().flat_map(Difference::hints).collect();
                hints.extend(is_late.then_some(Hint::Proof(ProofHint::MoreTime)));
                hints.push(Hint::Proof(ProofHint::Untrimmed));
                hints
            }
            _ => Vec::new(),
        }
    }

    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Store(error) => Some(error),
            Self::Stage(error) => Some(error),
            Self::Sandbox(error) => Some(error),
            _ => None,
        }
    }
}

impl ProveError {
    /// Returns the removed files that explain differences. Other differences may have no such explanation.
    fn lacks(&self) -> Vec<PutBack> {
        let Self::Failed { differences, .. } = self else { return Vec::new() };
        let mut lacks: Vec<PutBack> = differences.iter().flat_map(|difference| difference.lacks().to_vec()).collect();
        lacks.sort();
        lacks
    }
}

fn joined(differences: &[Difference]) -> String {
    differences.iter().map(Difference::to_string).collect::<Vec<_>>().join("\n")
}

/// Everything that a program can see, except the tree.
#[derive(Clone, Copy, Serialize)]
struct Identity<'a> {
    /// The image's environment, each `NAME=VALUE`.
    env: &'a [String],
    workdir: Option<&'a ImagePath>,
    user: &'a str,
}

impl<'a> Identity<'a> {
    fn of(launch: &'a Launch) -> Self {
        Self { env: &launch.env, workdir: launch.workdir.as_ref(), user: &launch.user }
    }
}

/// The key of a proof: everything that its summary depends on.
#[derive(Serialize)]
struct ProofKey<'a> {
    slim: Digest,
    whole: Digest,
    tasks: Vec<TaskKey<'a>>,
    identity: Identity<'a>,
    is_driven: bool,
}

/// The key of the results of one task. The digest covers the files that the task depends on.
#[derive(Serialize)]
struct AnswerKey<'a> {
    tree: Digest,
    task: TaskKey<'a>,
    identity: Identity<'a>,
}

/// The result of a proof.
#[derive(Debug)]
pub(crate) enum Proved {
    Works(ProofSummary),
    /// The results of some checks differ from those in the untrimmed tree, because these files are missing.
    Lacks(Vec<PutBack>),
}

/// The maximum number of rounds that put files back. One more round follows.
pub(crate) const ROUNDS: usize = 4;

/// A round of the proof. If a round finds removed files that the checks need, these files are put back for the next
/// round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    /// The number of earlier rounds.
    pub(crate) number: usize,
    /// The time that the earlier rounds took.
    pub(crate) spent: Duration,
}

impl Round {
    /// Whether the round searches for removed files that a check needs.
    fn puts_back(self) -> bool {
        self.number < ROUNDS
    }
}

/// Refuses files of another processor, and runs every check. If the same trees passed the same checks before, the
/// earlier result is used. The tree is laid out on `stage`.
pub(crate) fn prove(
    made: &Made,
    stage: &mut Stage,
    request: &ProveRequest<'_>,
    round: Round,
    world: &World,
) -> Result<Proved, ProveError> {
    let platform = made.lock.platform;
    machine::refuse_foreign(&made.tree, &made.assembly, platform, request.user_base)?;
    if !request.proof.verify {
        let known = if round.puts_back() { known_lacks(made, &world.store) } else { Vec::new() };
        return Ok(if known.is_empty() { not_run(NotRun::Unwanted) } else { Proved::Lacks(known) });
    }
    let emulation = match world.sandbox.emulation(platform.architecture) {
        Ok(emulation) => emulation,
        Err(reason) => return Ok(not_run(NotRun::Foreign { platform, reason })),
    };
    let named = started::named(made, request, &world.store)?;
    let own = OwnCode::of(made, &world.store)?;
    let tasks = checks::tasks(made, request, named, &own);
    let whole = untrimmed(made);
    let (slim_digest, whole_digest) = rayon::join(|| made.tree.digest(), || whole.digest());
    let is_driven = request.level >= TrimLevel::Trace;
    let key = Digest::of_key(&ProofKey {
        slim: slim_digest,
        whole: whole_digest,
        tasks: tasks.iter().map(Task::key).collect(),
        identity: Identity::of(&made.launch),
        is_driven,
    });
    if let Some(proved) = earlier(&key, round.puts_back(), world) {
        return Ok(proved);
    }
    let mut other_stage = world.stages.stage();
    let clock = Clock::start(request.proof.limit_secs, round.spent);
    let (user_base, python) = (request.user_base.path().as_str(), request.python.version);
    let emulation = &emulation;
    let common = Common { launch: &made.launch, python, user_base, emulation, is_driven, clock: &clock, world };
    let slim = Side::new(common, &made.tree, slim_digest, false).apart_from(&own);
    let whole = Side::new(common, &whole, whole_digest, true).apart_from(&own);
    let mut slim = Staged { side: slim, stage };
    let mut whole = Staged { side: whole, stage: &mut other_stage };
    let compared = compare(&mut slim, &mut whole, &tasks, round);
    let lacks = compared.as_ref().err().map(ProveError::lacks).unwrap_or_default();
    // If the time is over, the search for these files may be incomplete, and there is no time for another round.
    if !lacks.is_empty() && !clock.is_over() {
        world.store.write_entry(Bucket::Lacks, &key, &lacks)?;
        remember(&lacks, made, &world.store)?;
        return Ok(Proved::Lacks(lacks));
    }
    let mut summary = libraries::name_packages(compared, made, request.release, world)?;
    if clock.is_over() || !summary.not_run.is_empty() {
        return Ok(Proved::Works(summary));
    }
    if matches!(emulation, Emulation::Program(_)) {
        summary.notes.push(ProofNote::Emulated { platform });
    }
    world.store.write_entry(Bucket::Proofs, &key, &summary)?;
    Ok(Proved::Works(summary))
}

fn not_run(reason: NotRun) -> Proved {
    Proved::Works(ProofSummary { not_run: vec![reason], ..ProofSummary::default() })
}

/// Returns the result of an earlier proof with this key.
fn earlier(key: &Digest, puts_back: bool, world: &World) -> Option<Proved> {
    let works = world.store.entry(Bucket::Proofs, key).map(Proved::Works);
    works.or_else(|| world.store.entry(Bucket::Lacks, key).filter(|_| puts_back).map(Proved::Lacks))
}

/// Returns the untrimmed tree with the bytecode of the trimmed one, so that no file is compiled in only one of the
/// trees. Debian's file EXTERNALLY-MANAGED is left out if the image does not have it.
fn untrimmed(made: &Made) -> Tree {
    let mut whole = made.assembly.tree.clone();
    whole.nodes.retain(|path, _| {
        made.tree.removed.get(path).is_none_or(|removal| removal.reason != Removed::ExternallyManaged)
    });
    for (path, node) in &made.tree.nodes {
        if path.is_bytecode() && !whole.nodes.contains_key(path) {
            whole.insert(path.clone(), node.clone());
        }
    }
    whole
}

/// The values that are the same for both sides of a comparison.
#[derive(Clone, Copy)]
struct Common<'a> {
    launch: &'a Launch,
    python: PythonVersion,
    /// The user base, as a path.
    user_base: &'a str,
    emulation: &'a Emulation,
    /// Whether the paths that some of the checks use have decided which files were removed, as with `--trim trace`.
    is_driven: bool,
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
    /// The digest of all files except the user's own code.
    others_digest: Digest,
    /// Whether a failure may be cached. This is so only for the untrimmed tree.
    may_fail: bool,
}

impl<'a> Side<'a> {
    fn new(common: Common<'a>, tree: &'a Tree, digest: Digest, may_fail: bool) -> Self {
        let base_digest = tree.digest_of(|path, _| !path.is_within(common.user_base));
        Self { common, tree, digest, base_digest, others_digest: digest, may_fail }
    }

    /// Returns the same side, with another `others_digest`: the results of checks of other distributions are used again
    /// if only `own` has changed.
    fn apart_from(self, own: &OwnCode) -> Self {
        Self { others_digest: self.tree.digest_of(|_, node| !own.has(node)), ..self }
    }

    /// Lays out the tree on `stage`, with the files that an engine would add.
    fn checkout<'s>(&self, stage: &'s mut Stage) -> Result<Checkout<'s>, ProveError>
    where
        'a: 's,
    {
        let Common { launch, emulation, clock, world, .. } = self.common;
        let shown = stage.show(&with_engine_files(self.tree, &hosts_of_check(), &world.store)?)?;
        let checkout = Checkout::new(self.tree, shown, launch, emulation.clone(), world);
        Ok(checkout.until(clock.deadline))
    }

    fn key(&self, task: &Task) -> Digest {
        let digest = match task.scope() {
            Scope::Base => &self.base_digest,
            Scope::Others => &self.others_digest,
            Scope::Image => &self.digest,
        };
        Digest::of_key(&AnswerKey { tree: *digest, task: task.key(), identity: Identity::of(self.common.launch) })
    }

    /// Returns the cached result for a tree with the same files.
    fn noted(&self, task: &Task) -> Option<Vec<Answer>> {
        self.common.world.store.entry(Bucket::Answers, &self.key(task))
    }

    /// Runs the checks of a task. Caches the results if a later run would give the same results.
    fn ask(&self, checkout: &Checkout<'_>, task: &Task) -> Result<Vec<Reply>, ProveError> {
        let replies = checkout.ask(task)?;
        self.common.clock.tick(self.common.world.listener.as_ref());
        // If a check exceeded its time limit, its result is not cached, because the check may be faster the next time.
        // A failure in the trimmed tree is not cached either, so that the check is tried again.
        let lasts = |answer: &Answer| answer.timeout_secs.is_none() && (self.may_fail || answer.exit_code == 0);
        let lasting = replies.iter().map(|reply| match reply {
            Reply::Answer(answer) if lasts(answer) => Some(answer),
            Reply::Answer(_) | Reply::NotRun => None,
        });
        let lasting: Option<Vec<&Answer>> = lasting.collect();
        if let Some(lasting) = lasting {
            self.common.world.store.write_entry(Bucket::Answers, &self.key(task), &lasting)?;
        }
        Ok(replies)
    }
}

/// The result that the trimmed tree must have.
#[derive(Debug, PartialEq, Eq)]
enum Claim {
    /// Any success, because the check proves only that a module or library can be loaded.
    Success,
    /// The same result as in the untrimmed tree.
    Like(Answer),
    /// The check did not run in the untrimmed tree.
    Unknown,
}

/// Returns the result that a check of `task` must have in the trimmed tree. `found` is its result in the trimmed tree.
fn claim(task: &Task, found: &Answer, untrimmed: Option<&Reply>) -> Claim {
    match (task, untrimmed) {
        (Task::Batch(_), _) if found.exit_code == 0 => Claim::Success,
        (_, Some(Reply::Answer(answer))) => Claim::Like(answer.clone()),
        (_, Some(Reply::NotRun) | None) => Claim::Unknown,
    }
}

/// Returns the questions of all tasks in the order in which they are asked. The user's checks as another user are in
/// the second list. These checks run after all others, so that they do not use up the time of the others.
fn in_order(tasks: &[Task]) -> [Vec<Asked>; 2] {
    let is_extra = |asked: &Asked| matches!(&asked.task, Task::Command(command) if command.is_extra);
    let all = tasks.iter().enumerate().map(|(number, task)| Asked::all(number, task));
    let (extra, first): (Vec<Asked>, Vec<Asked>) = all.partition(is_extra);
    [first, extra]
}

/// Returns the replies of the trimmed tree, and the replies of the untrimmed tree with which they must agree. Imports
/// and loads run in the untrimmed tree only if they fail in the trimmed one. If both trees are the same, the checks run
/// only in the trimmed tree.
fn ask_both(slim: &mut Staged<'_>, whole: &mut Staged<'_>, asked: &[Asked]) -> Result<(Replies, Replies), ProveError> {
    if slim.side.digest == whole.side.digest {
        return Ok((slim.replies(asked)?, Replies::new()));
    }
    let commands = asked.iter().filter(|asked| asked.has_output());
    let commands: Vec<Asked> = commands.filter_map(|asked| asked.only(|_| true)).collect();
    let (found, claimed) = rayon::join(|| slim.replies(asked), || whole.replies(&commands));
    let (found, mut claimed) = (found?, claimed?);
    let has_failed =
        |question: &Question| matches!(found.get(question), Some(Reply::Answer(answer)) if answer.exit_code != 0);
    let imports = asked.iter().filter(|asked| !asked.has_output());
    let failed: Vec<Asked> = imports.filter_map(|asked| asked.only(has_failed)).collect();
    claimed.extend(whole.replies(&failed)?);
    Ok((found, claimed))
}

/// Compares the results of all checks in both trees. Checks without a cached result run now, in parallel.
fn compare(
    slim: &mut Staged<'_>,
    whole: &mut Staged<'_>,
    tasks: &[Task],
    round: Round,
) -> Result<ProofSummary, ProveError> {
    let is_trimmed = slim.side.digest != whole.side.digest;
    let in_order = in_order(tasks);
    let (mut found, mut claimed) = (Replies::new(), Replies::new());
    for asked in &in_order {
        let (more_found, more_claimed) = ask_both(slim, whole, asked)?;
        found.extend(more_found);
        claimed.extend(more_claimed);
    }
    let image = Image { tree: slim.side.tree, python: slim.side.common.python };
    let mut search = BackSearch::new(round.puts_back());
    let Common { clock, is_driven, .. } = slim.side.common;
    // In a later round, the proof fails if the time ends before a check has run, because this check may have failed in
    // an earlier round.
    let must_run = |task: &Task| task.must() || round.number > 0;
    let mut verdicts = Verdicts::new(image, is_driven, clock.limit_secs);
    for question in in_order.iter().flatten().flat_map(|asked| &asked.questions) {
        let (task, item) = (&tasks[question.task], question.item);
        let reply = found.get(question);
        let Some(Reply::Answer(found)) = reply else {
            verdicts.add_unasked(task, item, must_run(task));
            continue;
        };
        // If both trees are the same, so are their results.
        let claimed = if is_trimmed { claimed.get(question) } else { reply };
        let verdict = match claim(task, found, claimed) {
            Claim::Success => Verdict::Passed,
            Claim::Like(claim) => {
                let again = |is_slim: bool| {
                    if is_slim { slim.again(task, item, found) } else { whole.again(task, item, &claim) }
                };
                let mut verdict = judge(task.must(), Pair { slim: found, whole: &claim }, image, again)?;
                if let Verdict::Differs(difference) = &mut verdict {
                    let broken = Broken { task: &task.only(&[item]), claim: &claim };
                    search.explain(difference, broken, slim, whole.side.tree)?;
                }
                verdict
            }
            Claim::Unknown => {
                verdicts.add_unasked(task, item, must_run(task));
                continue;
            }
        };
        verdicts.add(task, item, found, verdict);
        if search.has_enough() {
            break;
        }
    }
    verdicts.summary(clock.is_over())
}

/// How the program of the user runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnRun<'a> {
    pub(crate) argv: &'a [String],
    pub(crate) volumes: &'a [Volume],
    /// Whether the paths that the program uses are recorded.
    pub(crate) is_recorded: bool,
}

/// Returns how programs of the platform run on this machine.
fn emulation(made: &Made, world: &World) -> Result<Emulation, ProveError> {
    let platform = made.lock.platform;
    let foreign = |reason| ProveError::Foreign { platform, reason };
    world.sandbox.emulation(platform.architecture).map_err(foreign)
}

/// Runs a program in the tree with the input and the output of lath's own process. Returns the exit code, and the paths
/// that the program used, if they are recorded. The stage cannot be used again, because the user's program may change
/// it.
pub(crate) fn execute(
    made: &Made,
    mut stage: Stage,
    run: OwnRun<'_>,
    world: &World,
) -> Result<(i32, Trace), ProveError> {
    let emulation = emulation(made, world)?;
    for volume in run.volumes.iter().filter(|volume| cannot_write_to(volume)) {
        world.listener.hear(Event::Warning(format!(
            "the program cannot write to `{}`: lath runs as root, and the program runs as a user without rights; open the folder \
             to all users (`chmod -R o+w`), or run lath as an ordinary user who owns it",
            volume.source.display()
        )));
    }
    let hosts = hosts_of_run(&world.sandbox.host_names());
    let shown = stage.show(&with_engine_files(&made.tree, &hosts, &world.store)?)?;
    let checkout = Checkout::new(&made.tree, shown, &made.launch, emulation, world);
    let checkout = if run.is_recorded { checkout.recording() } else { checkout };
    let exit_code = checkout.attach(run.argv, run.volumes)?;
    Ok((exit_code, checkout.recorded()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Task {
        Task::of_extension_modules(&["a", "b", "c"])
    }

    #[test]
    fn the_checks_of_the_user_as_another_user_are_asked_after_all_others() {
        let mut extra = Task::of_script("check as another user");
        if let Task::Command(command) = &mut extra {
            command.is_extra = true;
        }
        let tasks = [batch(), extra, Task::of_script("check"), Task::of_script("tool")];
        let numbers = |asked: Vec<Asked>| {
            let questions = asked.into_iter().flat_map(|asked| asked.questions);
            questions.map(|question| (question.task, question.item)).collect::<Vec<_>>()
        };
        let expected = [vec![(0, 0), (0, 1), (0, 2), (2, 0), (3, 0)], vec![(1, 0)]];
        assert_eq!(in_order(&tasks).map(numbers), expected);
    }

    #[test]
    fn a_check_that_did_not_run_untrimmed_never_passes_unless_loading_is_all_that_it_proves() {
        let fine = Answer::default();
        let broken = Answer { exit_code: 1, ..Answer::default() };
        for unknown in [None, Some(&Reply::NotRun)] {
            assert_eq!(claim(&Task::of_script("tool"), &fine, unknown), Claim::Unknown);
            assert_eq!(claim(&Task::of_script("tool"), &broken, unknown), Claim::Unknown);
            assert_eq!(claim(&batch(), &broken, unknown), Claim::Unknown);
            assert_eq!(claim(&batch(), &fine, unknown), Claim::Success);
        }
        let reply = Reply::Answer(broken.clone());
        assert_eq!(claim(&Task::of_script("tool"), &fine, Some(&reply)), Claim::Like(broken.clone()));
        assert_eq!(claim(&batch(), &broken, Some(&reply)), Claim::Like(broken));
    }
}
