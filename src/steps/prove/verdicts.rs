//! The verdicts on all checks, and the summary of the proof that is made from them.

use std::collections::BTreeMap;

use super::ProveError;
use super::checks::Task;
use super::compare::{Answer, Difference, Verdict};
use super::evidence::is_evidence;
use super::missing::{Image, Missing, missing};
use crate::model::receipt::{FailedAlike, FailedCheck, ItemKind, NotRun, Passed, ProofNote, ProofSummary};

pub(super) struct Verdicts<'a> {
    image: Image<'a>,
    summary: ProofSummary,
    /// The number of items of each kind that passed. `driving_counts` contains the items that have decided which files
    /// were removed, and `counts` contains all other items.
    counts: BTreeMap<ItemKind, usize>,
    driving_counts: BTreeMap<ItemKind, usize>,
    /// Whether the paths that some of the checks use have decided which files were removed, as with `--trim trace`.
    is_driven: bool,
    differences: Vec<Difference>,
    /// The checks that did not run before the time was over, and how many of them must succeed.
    unasked: Vec<String>,
    unasked_musts: usize,
    limit_secs: u64,
}

impl<'a> Verdicts<'a> {
    pub(super) fn new(image: Image<'a>, is_driven: bool, limit_secs: u64) -> Self {
        Self {
            image,
            summary: ProofSummary::default(),
            counts: BTreeMap::new(),
            driving_counts: BTreeMap::new(),
            is_driven,
            differences: Vec::new(),
            unasked: Vec::new(),
            unasked_musts: 0,
            limit_secs,
        }
    }

    /// Adds a check that did not run, or that ran in only one of the two trees. If it had to run (`must`), the proof
    /// fails.
    pub(super) fn add_unasked(&mut self, task: &Task, item: usize, must: bool) {
        self.unasked_musts += usize::from(must);
        self.unasked.push(task.name(item));
    }

    /// Adds a check with its result in the trimmed tree.
    pub(super) fn add(&mut self, task: &Task, item: usize, answer: &Answer, verdict: Verdict) {
        match verdict {
            Verdict::Differs(difference) => return self.differences.push(difference),
            // Such a failure is not reported, because not every module can be imported alone, and not every program has
            // a help text.
            Verdict::FailsAlike if is_extra(task, item) => return,
            Verdict::FailsAlike => return self.add_alike(task.name(item), answer),
            Verdict::Restless => {
                self.summary.notes.push(ProofNote::Restless { command: answer.command.clone() });
            }
            Verdict::Passed => {}
        }
        let (passed, counts) = match self.is_driven && is_evidence(task, item) {
            true => (&mut self.summary.drove, &mut self.driving_counts),
            false => (&mut self.summary.passed, &mut self.counts),
        };
        match task {
            Task::Command(_) => passed.push(Passed::Command { command: answer.command.clone() }),
            Task::Help(help) => {
                let subcommands = answer.parts.len().saturating_sub(1);
                passed.push(Passed::Help { program: help.name.clone(), subcommands });
            }
            Task::Batch(batch) => {
                let kind = batch.items.get(item).map(|item| item.kind);
                kind.into_iter().for_each(|kind| *counts.entry(kind).or_default() += 1);
            }
        }
    }

    /// Adds a check that fails in both trees. Checks that fail with the same message form a group.
    fn add_alike(&mut self, name: String, answer: &Answer) {
        let (said, hint) = match missing(&answer.said(), self.image) {
            Some(Missing { line, hint }) => (line.to_owned(), hint),
            None => (answer.last_line(), None),
        };
        let groups = &mut self.summary.failed_alike;
        let place = groups.iter().position(|group| group.said == said && group.hint == hint).unwrap_or_else(|| {
            groups.push(FailedAlike { checks: Vec::new(), said, hint });
            groups.len() - 1
        });
        let checks = &mut groups[place].checks;
        // If the imports of a script fail, its `--version` fails as well. Both checks have the same name, so the name
        // is added only once.
        if !checks.iter().any(|known| known.name == name) {
            checks.push(FailedCheck { name, command: answer.command.clone() });
        }
    }

    /// Returns the summary, or an error if the proof failed. `is_late` is true if the time for all checks is over.
    pub(super) fn summary(mut self, is_late: bool) -> Result<ProofSummary, ProveError> {
        let limit_secs = self.limit_secs;
        if !self.differences.is_empty() {
            return Err(ProveError::Failed { differences: self.differences, is_late });
        }
        if self.unasked_musts > 0 {
            return Err(ProveError::OutOfTime { checks: self.unasked, limit_secs });
        }
        if !self.unasked.is_empty() {
            self.summary.not_run.push(NotRun::OutOfTime { checks: self.unasked, limit_secs });
        }
        let items = |(kind, count)| Passed::Items { kind, count };
        self.summary.passed.extend(self.counts.into_iter().map(items));
        self.summary.drove.extend(self.driving_counts.into_iter().map(items));
        Ok(self.summary)
    }
}

/// Whether the failure of a check is not reported if the check also fails in the untrimmed tree.
fn is_extra(task: &Task, item: usize) -> bool {
    match task {
        Task::Command(command) => command.is_extra,
        Task::Help(_) => true,
        Task::Batch(batch) => {
            let kind = batch.items.get(item).map(|item| item.kind);
            matches!(kind, Some(ItemKind::InnerModules | ItemKind::SharedLibraries | ItemKind::DataFiles))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::platform::PythonVersion;
    use crate::model::tree::Tree;

    #[test]
    fn checks_that_drove_the_trimming_are_apart_from_those_that_judge_it() {
        let tree = Tree::default();
        let python = PythonVersion { major: 3, minor: 13 };
        let summary = |is_driven: bool| {
            let mut verdicts = Verdicts::new(Image { tree: &tree, python }, is_driven, 9);
            let answer = Answer { command: "tool --version".to_owned(), ..Answer::default() };
            verdicts.add(&Task::of_script("tool"), 0, &answer, Verdict::Passed);
            verdicts.add(&Task::of_extension_modules(&["/x.so"]), 0, &Answer::default(), Verdict::Passed);
            verdicts.summary(false).unwrap()
        };
        let command = Passed::Command { command: "tool --version".to_owned() };
        let load = Passed::Items { kind: ItemKind::ExtensionModules, count: 1 };
        let ProofSummary { passed, drove, .. } = summary(true);
        assert_eq!((passed, drove), (vec![load.clone()], vec![command.clone()]));
        let ProofSummary { passed, drove, .. } = summary(false);
        assert_eq!((passed, drove), (vec![command, load], vec![]));
    }

    #[test]
    fn scripts_that_fail_with_the_same_message_are_one_group_with_each_script_once() {
        let tree = Tree::default();
        let python = PythonVersion { major: 3, minor: 13 };
        let mut verdicts = Verdicts::new(Image { tree: &tree, python }, false, 9);
        for (name, command, said) in
            [("a", "a", "no"), ("b c", "b c --version", "no"), ("a", "a --version", "no"), ("a", "a --help", "other")]
        {
            let answer =
                Answer { command: command.to_owned(), exit_code: 1, stderr: said.to_owned(), ..Answer::default() };
            verdicts.add(&Task::of_script(name), 0, &answer, Verdict::FailsAlike);
        }
        verdicts.add_unasked(&Task::of_script("d"), 0, false);
        let summary = verdicts.summary(false).unwrap();
        let check = |name: &str, command: &str| FailedCheck { name: name.to_owned(), command: command.to_owned() };
        let group = |said: &str, checks| FailedAlike { checks, said: said.to_owned(), hint: None };
        assert_eq!(
            summary.failed_alike,
            [
                group("no", vec![check("a", "a"), check("b c", "b c --version")]),
                group("other", vec![check("a", "a --help")]),
            ]
        );
        assert_eq!(summary.not_run, [NotRun::OutOfTime { checks: vec!["d".to_owned()], limit_secs: 9 }]);
        assert_eq!(summary.failed_script("b c"), Some(&check("b c", "b c --version")));
        assert_eq!(summary.failed_script("b"), None);
    }
}
