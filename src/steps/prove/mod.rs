//! Runs every check in the sandbox, in the tree as it ships and in the untrimmed one: exit code and output must agree.
//!
//! What answers otherwise each time is asked twice and then compared by its exit code. What fails in both trees is the
//! program's own failure, which is told and not hidden. The untrimmed tree's answers are kept by its digest.

mod checkout;
mod checks;
mod compare;
mod machine;

use rayon::prelude::*;
use thiserror::Error;

use self::checkout::Checkout;
use self::checks::Task;
use self::compare::{Answer, Verdict, judge};
use crate::model::assembly::Assembly;
use crate::model::digest::Digest;
use crate::model::image_path::ImagePath;
use crate::model::platform::Platform;
use crate::model::receipt::ProofSummary;
use crate::model::request::Request;
use crate::model::tree::{Origin, Tree};
use crate::outside::sandbox::{Emulation, SandboxError};
use crate::outside::store::StoreError;
use crate::outside::world::World;

pub(crate) use self::compare::Difference;

#[derive(Debug, Error)]
pub(crate) enum ProveError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("cannot make a folder for the proof")]
    Folder(#[source] std::io::Error),
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
    /// The untrimmed tree, and the programs in it.
    pub(crate) assembly: &'a Assembly,
    pub(crate) platform: Platform,
    /// The image's environment, each `NAME=VALUE`.
    pub(crate) env: &'a [String],
}

/// Refuses files of another processor, and runs every check. An earlier proof of the same trees and checks counts.
pub(crate) fn prove(subject: &Subject, request: &Request, world: &World) -> Result<ProofSummary, ProveError> {
    const SHELF: &str = "proofs-2";
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
    let identity = format!("{:?} {:?} {}", subject.env, request.runtime.workdir, request.runtime.user);
    let question = format!("{tasks:?} {identity}");
    let (slim_digest, whole_digest) = (subject.tree.digest(), whole.digest());
    let key = Digest::of_fields([slim_digest.as_bytes().as_slice(), whole_digest.as_bytes(), question.as_bytes()]);
    if let Some(proved) = world.store.note(SHELF, &key) {
        return Ok(proved);
    }
    let trees = Trees { subject, whole: &whole, whole_digest, is_trimmed: slim_digest != whole_digest, identity };
    let mut summary = trees.compare(&tasks, request, &emulation, world)?;
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
        if path.as_str().contains("/__pycache__/") && !whole.nodes.contains_key(path) {
            whole.insert(path.clone(), node.clone());
        }
    }
    whole
}

/// The two trees that are compared.
struct Trees<'a> {
    subject: &'a Subject<'a>,
    whole: &'a Tree,
    whole_digest: Digest,
    is_trimmed: bool,
    /// All that a program sees beside the tree.
    identity: String,
}

impl Trees<'_> {
    /// Asks both trees everything at once, as far as the cores go, and judges the answers.
    fn compare(
        &self,
        tasks: &[Task],
        request: &Request,
        emulation: &Emulation,
        world: &World,
    ) -> Result<ProofSummary, ProveError> {
        let noted: Vec<Option<Vec<Answer>>> = tasks.iter().map(|task| self.noted(task, world)).collect();
        let lacks_notes = self.is_trimmed && noted.iter().any(Option::is_none);
        let open = |tree| Checkout::new(tree, self.subject.env, request, emulation.clone(), world);
        let (slim, whole) =
            rayon::join(|| open(self.subject.tree), || lacks_notes.then(|| open(self.whole)).transpose());
        let (slim, mut whole) = (slim?, whole?);
        let ask_whole = |task: &Task| match &whole {
            Some(whole) => {
                let answers = whole.ask(task)?;
                // What was too slow today may not be tomorrow.
                if answers.iter().all(|answer| answer.timeout_secs.is_none()) {
                    world.store.write_note(UNTRIMMED, &self.key(task), &answers)?;
                }
                Ok(Some(answers))
            }
            None => Ok(None),
        };
        // One list for both trees: whichever core is free takes the next.
        let jobs: Vec<(bool, usize)> = (0..tasks.len())
            .flat_map(|index| [(true, index), (false, index)])
            .filter(|(is_slim, index)| *is_slim || (self.is_trimmed && noted[*index].is_none()))
            .collect();
        let asked: Result<Vec<Option<Vec<Answer>>>, ProveError> = jobs
            .par_iter()
            .map(|&(is_slim, index)| if is_slim { slim.ask(&tasks[index]).map(Some) } else { ask_whole(&tasks[index]) })
            .collect();
        let mut found: Vec<(Vec<Answer>, Option<Vec<Answer>>)> = vec![(Vec::new(), None); tasks.len()];
        for ((is_slim, index), answers) in jobs.into_iter().zip(asked?) {
            if is_slim { found[index].0 = answers.unwrap_or_default() } else { found[index].1 = answers }
        }
        let mut verdicts = Verdicts::default();
        for ((task, (answers, claimed)), noted) in tasks.iter().zip(&found).zip(&noted) {
            let claimed = claimed.as_ref().or(noted.as_ref()).unwrap_or(answers);
            for (index, pair) in answers.iter().zip(claimed).enumerate() {
                let must = matches!(task, Task::Command(command) if command.must);
                if pair.0 != pair.1 && whole.is_none() {
                    whole = Some(open(self.whole)?);
                }
                let again = |is_slim: bool| {
                    let checkout = if is_slim { Some(&slim) } else { whole.as_ref() };
                    let mut answers = checkout.map_or_else(|| Ok(Vec::new()), |checkout| checkout.ask(task))?;
                    Ok::<_, ProveError>(if index < answers.len() { answers.swap_remove(index) } else { pair.1.clone() })
                };
                verdicts.add(task, pair.0, judge(must, pair, self.subject.tree, again)?);
            }
        }
        verdicts.summary()
    }

    fn key(&self, task: &Task) -> Digest {
        let question = format!("{task:?} {}", self.identity);
        Digest::of_fields([self.whole_digest.as_bytes().as_slice(), question.as_bytes()])
    }

    fn noted(&self, task: &Task, world: &World) -> Option<Vec<Answer>> {
        world.store.note(UNTRIMMED, &self.key(task)).filter(|_| self.is_trimmed)
    }
}

/// The shelf of the untrimmed trees' answers.
const UNTRIMMED: &str = "untrimmed-1";

#[derive(Default)]
struct Verdicts {
    summary: ProofSummary,
    /// How many items of each kind passed.
    counts: std::collections::BTreeMap<&'static str, usize>,
    differences: Vec<Difference>,
}

impl Verdicts {
    fn add(&mut self, task: &Task, answer: &Answer, verdict: Verdict) {
        match verdict {
            Verdict::Differs(difference) => return self.differences.push(difference),
            Verdict::FailsAlike => {
                let note = format!("`{}` fails untrimmed too: {}", answer.command, answer.last_line());
                return self.summary.notes.push(note);
            }
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

    fn summary(mut self) -> Result<ProofSummary, ProveError> {
        if !self.differences.is_empty() {
            return Err(ProveError::Failed(self.differences));
        }
        self.summary.passed.extend(self.counts.iter().map(|(what, count)| format!("{count} {what}")));
        Ok(self.summary)
    }
}

/// Runs `argv` in the tree with this process's own input and output, and returns its exit code.
pub(crate) fn execute(subject: &Subject, argv: &[String], request: &Request, world: &World) -> Result<i32, ProveError> {
    let foreign = |reason| ProveError::Foreign { platform: subject.platform, reason };
    let emulation = world.sandbox.emulation(subject.platform.architecture).map_err(foreign)?;
    Checkout::new(subject.tree, subject.env, request, emulation, world)?.attach(argv)
}
