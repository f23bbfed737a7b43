//! Runs the checks of a proof in one tree, or takes their results from the cache.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::checks::Task;
use super::compare::{Answer, Reply};
use super::{ProveError, Side};
use crate::outside::stage::Stage;

/// One check: the number of its task, and the number of the item in this task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Question {
    pub(super) task: usize,
    pub(super) item: usize,
}

/// The questions that are answered together: those of a whole task, or of some of its items.
pub(super) struct Asked {
    pub(super) task: Task,
    pub(super) questions: Vec<Question>,
}

impl Asked {
    pub(super) fn all(number: usize, task: &Task) -> Self {
        let questions = (0..task.items()).map(|item| Question { task: number, item });
        Self { task: task.clone(), questions: questions.collect() }
    }

    /// Returns the questions that satisfy `is_wanted`. `None` if there are none.
    pub(super) fn only(&self, is_wanted: impl Fn(&Question) -> bool) -> Option<Self> {
        let questions: Vec<Question> = self.questions.iter().copied().filter(is_wanted).collect();
        let items: Vec<usize> = questions.iter().map(|question| question.item).collect();
        (!questions.is_empty()).then(|| Self { task: self.task.only(&items), questions })
    }

    /// Whether the output is compared, and not only the success.
    pub(super) fn has_output(&self) -> bool {
        !matches!(self.task, Task::Batch(_))
    }
}

/// The replies of one tree. If a question has no reply here, its check did not run.
pub(super) type Replies = BTreeMap<Question, Reply>;

/// One of the two trees, and the stage on which it is laid out.
pub(super) struct Staged<'a> {
    pub(super) side: Side<'a>,
    pub(super) stage: &'a mut Stage,
}

impl Staged<'_> {
    /// Returns the replies to all questions. If a reply is not cached, the check runs in the laid-out tree.
    pub(super) fn replies(&mut self, asked: &[Asked]) -> Result<Replies, ProveError> {
        let side = self.side;
        let noted: Vec<Option<Vec<Answer>>> = asked.iter().map(|asked| side.noted(&asked.task)).collect();
        let all = |answers: Vec<Answer>| answers.into_iter().map(Reply::Answer).collect();
        let replies: Vec<Vec<Reply>> = if noted.iter().all(Option::is_some) {
            noted.into_iter().flatten().map(all).collect()
        } else {
            let checkout = side.checkout(self.stage)?;
            side.common.clock.plan(noted.iter().filter(|noted| noted.is_none()).count());
            let reply = |(asked, noted): (&Asked, Option<_>)| {
                noted.map_or_else(|| side.ask(&checkout, &asked.task), |noted| Ok(all(noted)))
            };
            asked.par_iter().zip(noted).map(reply).collect::<Result<_, ProveError>>()?
        };
        let questions = asked.iter().zip(replies);
        Ok(questions.flat_map(|(asked, replies)| asked.questions.iter().copied().zip(replies)).collect())
    }

    /// Runs one check once more. If the time is over, returns `earlier`.
    pub(super) fn again(&mut self, task: &Task, item: usize, earlier: &Answer) -> Result<Answer, ProveError> {
        let mut replies = self.side.checkout(self.stage)?.ask(&task.only(&[item]))?;
        match replies.pop() {
            Some(Reply::Answer(answer)) => Ok(answer),
            Some(Reply::NotRun) | None => Ok(earlier.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Task {
        Task::of_extension_modules(&["a", "b", "c"])
    }

    #[test]
    fn some_items_of_a_task_keep_their_numbers() {
        let all = Asked::all(7, &batch());
        let some = all.only(|question| question.item != 1).unwrap();
        assert_eq!(some.questions, [Question { task: 7, item: 0 }, Question { task: 7, item: 2 }]);
        assert_eq!([some.task.name(0), some.task.name(1)], ["a", "c"]);
        assert!(all.only(|_| false).is_none());
        assert_eq!(Asked::all(7, &Task::of_script("tool")).questions, [Question { task: 7, item: 0 }]);
    }
}
