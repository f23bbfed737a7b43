//! The verdicts on all checks, and the summary of the proof that is made from them.

use std::collections::BTreeMap;

use super::ProveError;
use super::checks::Task;
use super::compare::{Answer, Difference, Verdict};
use super::missing::{Missing, missing};
use crate::model::receipt::ProofSummary;
use crate::model::tree::Tree;

pub(super) struct Verdicts<'a> {
    /// The trimmed tree.
    tree: &'a Tree,
    summary: ProofSummary,
    /// How many items of each kind passed.
    counts: BTreeMap<&'static str, usize>,
    /// The commands that fail in both trees, grouped by their output, in the order in which they were found.
    alike: Vec<(String, Vec<String>)>,
    differences: Vec<Difference>,
    /// The checks that did not run before the time was over, and how many of them must succeed.
    unasked: Vec<String>,
    unasked_musts: usize,
    limit_secs: u64,
}

impl<'a> Verdicts<'a> {
    pub(super) fn new(tree: &'a Tree, limit_secs: u64) -> Self {
        Self {
            tree,
            summary: ProofSummary::default(),
            counts: BTreeMap::new(),
            alike: Vec::new(),
            differences: Vec::new(),
            unasked: Vec::new(),
            unasked_musts: 0,
            limit_secs,
        }
    }

    /// Adds a check that did not run, or not in both trees.
    pub(super) fn add_unasked(&mut self, task: &Task, item: usize) {
        self.unasked_musts += usize::from(task.must());
        self.unasked.push(task.name(item));
    }

    pub(super) fn add(&mut self, task: &Task, answer: &Answer, verdict: Verdict) {
        match verdict {
            Verdict::Differs(difference) => return self.differences.push(difference),
            Verdict::FailsAlike => return self.add_alike(answer),
            Verdict::Restless => self
                .summary
                .notes
                .push(format!("`{}` has another output each time: only its exit code is compared", answer.command)),
            Verdict::Passed => {}
        }
        match task {
            Task::Command(_) => self.summary.passed.push(answer.command.clone()),
            Task::Batch(batch) => *self.counts.entry(batch.what).or_default() += 1,
        }
    }

    fn add_alike(&mut self, answer: &Answer) {
        let output = match missing(&answer.said(), self.tree) {
            Some(Missing { line, hint }) => format!("{line}; {hint}"),
            None => answer.last_line(),
        };
        let place = self.alike.iter().position(|(known, _)| *known == output).unwrap_or_else(|| {
            self.alike.push((output, Vec::new()));
            self.alike.len() - 1
        });
        let commands = &mut self.alike[place].1;
        // If the imports of a script fail, its `--version` fails as well.
        if !commands.iter().any(|known| answer.command.split(' ').next() == Some(known)) {
            commands.push(answer.command.clone());
        }
    }

    pub(super) fn summary(mut self) -> Result<ProofSummary, ProveError> {
        if !self.differences.is_empty() {
            return Err(ProveError::Failed(self.differences));
        }
        if self.unasked_musts > 0 {
            return Err(ProveError::OutOfTime { checks: self.unasked, limit_secs: self.limit_secs });
        }
        if !self.unasked.is_empty() {
            self.summary.not_run.push(format!(
                "{}: the time for all checks, {} s, was over (change it with `--proof-timeout`)",
                listed(&self.unasked),
                self.limit_secs
            ));
        }
        for (output, commands) in self.alike {
            let fail = if commands.len() == 1 { "fails" } else { "fail" };
            self.summary.notes.push(format!("`{}` {fail} in the untrimmed image too: {output}", commands.join("`, `")));
            self.summary.failed_alike.extend(commands);
        }
        self.summary.passed.extend(self.counts.iter().map(|(what, count)| format!("{count} {what}")));
        Ok(self.summary)
    }
}

/// Returns the first names of a list that may be long, and how many more there are.
pub(super) fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(SHOWN);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}
