//! Finds the removed files that a check needs, so that they can be put back.
//!
//! Most messages of a failed check name the missing module or file. lath puts this file back and runs the check again.
//! The next message may name another file. If no message helps, the check runs in the trimmed tree together with all
//! removed files. If the check works there, lath tries only half of these files next, and so on. So a file is found
//! even if no message names it.

use std::collections::BTreeSet;

use super::checks::Task;
use super::compare::{Answer, Difference, Reply, names_of_removed};
use super::{ProveError, Side, Staged};
use crate::model::image_path::ImagePath;
use crate::model::receipt::PutBack;
use crate::model::tree::Tree;

/// The maximum number of needed files that are found for one check if no message names them. If the check needs more
/// files, the next proof finds them.
const MOST: usize = 4;

/// The maximum number of messages that are read for one check.
const MESSAGES: usize = 24;

/// The maximum number of checks in one proof for which lath searches for missing files. More searches are seldom
/// useful, because other checks often need the same files.
const SEARCHES: usize = 4;

/// The maximum number of checks in one proof that are repeated with the files that other checks need.
const REPEATED: usize = 20;

/// A check that has another result in the trimmed tree.
#[derive(Clone, Copy)]
pub(super) struct Broken<'a> {
    pub(super) task: &'a Task,
    /// The result that the check should have.
    pub(super) claim: &'a Answer,
}

impl Broken<'_> {
    /// Whether the check works if its result is `found`.
    fn works(self, found: &Answer) -> bool {
        match self.task {
            Task::Batch(_) => found.exit_code == 0 || found == self.claim,
            Task::Command(_) | Task::Help(_) => found == self.claim,
        }
    }
}

/// The search for the removed files that the checks of one proof need.
pub(super) struct BackSearch {
    /// The number of further checks for which lath may search for files, and the number of further checks that may be
    /// repeated with the files that were found.
    searches: usize,
    repeated: usize,
    found: BTreeSet<ImagePath>,
}

impl BackSearch {
    pub(super) fn new(puts_back: bool) -> Self {
        let searches = if puts_back { SEARCHES } else { 0 };
        Self { searches, repeated: REPEATED, found: BTreeSet::new() }
    }

    /// Whether the comparison of the checks can end early: files were found, and a limit was reached. In the next
    /// round, all checks run again with these files.
    pub(super) fn has_enough(&self) -> bool {
        !self.found.is_empty() && (self.searches == 0 || self.repeated == 0)
    }

    /// Finds the removed files whose absence changes the result of the check, and adds them to the difference. Files
    /// that another check needs are not added again.
    pub(super) fn explain(
        &mut self,
        difference: &mut Difference,
        broken: Broken<'_>,
        slim: &mut Staged<'_>,
        whole: &Tree,
    ) -> Result<(), ProveError> {
        // There is no search if the check had to succeed but fails in both trees. There is also no search if the check
        // exceeded its time limit, because a search with many such runs would not end in time.
        let is_slow = broken.claim.timeout_secs.is_some() || difference.is_timeout();
        let cannot_search = difference.claimed().is_none() || is_slow;
        if cannot_search || self.searches == 0 {
            return Ok(());
        }
        let Some(lacks) = needed(slim, whole, broken, &self.found, difference.named())? else {
            self.repeated = self.repeated.saturating_sub(1);
            return Ok(());
        };
        self.searches -= 1;
        let put_back = |path: &ImagePath| {
            let rule = slim.side.tree.removed.get(path)?.reason;
            Some(PutBack { path: path.clone(), rule, check: difference.check().to_owned() })
        };
        let put_back = lacks.iter().filter_map(put_back).collect();
        difference.add_lacks(put_back);
        self.found.extend(lacks);
        Ok(())
    }
}

/// Returns the removed files that the check needs. `known` are files that other checks need. `named` are the removed
/// files that the output names. `None` if the check works with `known`. Empty if the removed files do not explain the
/// difference, or if the time is over.
fn needed(
    slim: &mut Staged<'_>,
    whole: &Tree,
    broken: Broken<'_>,
    known: &BTreeSet<ImagePath>,
    named: Vec<ImagePath>,
) -> Result<Option<Vec<ImagePath>>, ProveError> {
    let side = slim.side;
    let stage = &mut *slim.stage;
    let is_open = |path: &ImagePath| whole.nodes.contains_key(path) && !known.contains(path);
    let mut ask = |parts: &[&[&ImagePath]]| -> Result<Option<Answer>, ProveError> {
        let mut tree = side.tree.clone();
        for path in known.iter().chain(parts.iter().copied().flatten().copied()) {
            tree.insert(path.clone(), whole.nodes[path].clone());
        }
        match (Side { tree: &tree, ..side }).checkout(stage)?.ask(broken.task)?.pop() {
            Some(Reply::Answer(found)) if found.timeout_secs.is_none() => Ok(Some(found)),
            Some(_) | None => Ok(None),
        }
    };
    let tried = |paths: &[ImagePath]| {
        let paths: Vec<&ImagePath> = paths.iter().collect();
        Ok::<_, ProveError>(match ask(&[&paths])? {
            Some(found) if broken.works(&found) => Tried::Works,
            Some(found) => Tried::Names(names_of_removed(&found, broken.claim, side.tree).filter(is_open).collect()),
            None => Tried::Unknown,
        })
    };
    let followed = if known.is_empty() && named.is_empty() {
        Followed::Fails
    } else {
        // If there are known files, `named` is not used, because with these files, the message may name other files.
        let named = named.into_iter().filter(|path| known.is_empty() && is_open(path));
        follow(named.collect(), tried)?
    };
    let works = |parts: &[&[&ImagePath]]| -> Result<Option<bool>, ProveError> {
        Ok(ask(parts)?.map(|found| broken.works(&found)))
    };
    let needed = match &followed {
        Followed::Works(named) if named.is_empty() => return Ok(None),
        Followed::Works(named) => {
            let order: Vec<&ImagePath> = named.iter().collect();
            search(&order, Most::All, works)?.into_iter().cloned().collect()
        }
        Followed::Fails => {
            let order: Vec<&ImagePath> = side.tree.removed.keys().filter(|path| is_open(path)).collect();
            search(&order, Most::Few, works)?.into_iter().cloned().collect()
        }
        Followed::Unknown => Vec::new(),
    };
    Ok(Some(needed))
}

/// The result of a check that ran with some of the removed files.
enum Tried<T> {
    Works,
    /// It fails, and its message names these removed files.
    Names(Vec<T>),
    /// It took too long, or the time for all checks was over.
    Unknown,
}

/// The result of following the messages of a check.
#[derive(Debug, PartialEq, Eq)]
enum Followed<T> {
    /// The check works with these files.
    Works(Vec<T>),
    Fails,
    Unknown,
}

/// Runs a check with the files that its messages name, until the check works or its message names no further file. The
/// first run has the files in `named`.
fn follow<T: PartialEq, E>(named: Vec<T>, mut ask: impl FnMut(&[T]) -> Result<Tried<T>, E>) -> Result<Followed<T>, E> {
    let mut all = named;
    for _ in 0..MESSAGES {
        let names = match ask(&all)? {
            Tried::Works => return Ok(Followed::Works(all)),
            Tried::Names(names) => names,
            Tried::Unknown => return Ok(Followed::Unknown),
        };
        let before = all.len();
        for name in names {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        if all.len() == before {
            break;
        }
    }
    Ok(Followed::Fails)
}

/// The expected number of needed members of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Most {
    /// Most members are probably needed. It is known that the check works with all of them together.
    All,
    /// Few members are needed, or none. At most [`MOST`] of them are found.
    Few,
}

/// Returns members of `order` that are needed, from the last to the first. Empty if the check does not work with all of
/// them, or if a result of `works` is unknown. A result is unknown if the check took too long. No members are returned
/// in that case, because they would depend on the speed of the machine.
fn search<T: Copy, E>(
    order: &[T],
    most: Most,
    mut works: impl FnMut(&[&[T]]) -> Result<Option<bool>, E>,
) -> Result<Vec<T>, E> {
    let mut is_unknown = false;
    let mut works = |parts: &[&[T]]| -> Result<bool, E> {
        let known = if is_unknown { None } else { works(parts)? };
        is_unknown |= known.is_none();
        Ok(known.unwrap_or(false))
    };
    let all_work = !order.is_empty() && (most == Most::All || works(&[order])?);
    let mut end = if all_work { order.len() } else { 0 };
    let limit = if most == Most::All { order.len() } else { MOST };
    let mut needed: Vec<T> = Vec::new();
    while needed.len() < limit && end > 0 && (needed.is_empty() || !works(&[&needed])?) {
        // The check works with `needed` and the members before `high`. It fails with `needed` and the members before
        // `low`.
        let (mut low, mut high) = (0, end);
        // The last member is probably needed. If it is not, the last two members are left out, then the last four, and
        // so on.
        let mut left_out = 1;
        while most == Most::All && left_out < end {
            if works(&[&needed, &order[..end - left_out]])? {
                high = end - left_out;
                left_out *= 2;
            } else {
                low = end - left_out;
                break;
            }
        }
        while high - low > 1 {
            let middle = low.midpoint(high);
            if works(&[&needed, &order[..middle]])? {
                high = middle;
            } else {
                low = middle;
            }
        }
        needed.push(order[high - 1]);
        end = high - 1;
    }
    Ok(if is_unknown { Vec::new() } else { needed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_parts(parts: &[&[u32]]) -> BTreeSet<u32> {
        parts.iter().copied().flatten().copied().collect()
    }

    /// Searches for `needed` among the numbers below `count`. Returns the result, and the number of runs.
    fn found(count: u32, most: Most, needed: &[u32]) -> (Vec<u32>, usize) {
        let order: Vec<u32> = (0..count).collect();
        let mut runs = 0;
        let works = |parts: &[&[u32]]| {
            runs += 1;
            Ok::<_, ()>(Some(needed.iter().all(|one| in_parts(parts).contains(one))))
        };
        (search(&order, most, works).unwrap(), runs)
    }

    #[test]
    fn the_needed_files_are_found_in_few_runs() {
        assert_eq!(found(1000, Most::Few, &[0]).0, [0]);
        assert_eq!(found(1000, Most::Few, &[999]).0, [999]);
        let (two, runs) = found(1000, Most::Few, &[17, 600]);
        assert_eq!(two, [600, 17]);
        assert!(runs <= 24, "{runs}");
        assert_eq!(found(1000, Most::Few, &[1, 2, 3, 4, 5, 6]).0, [6, 5, 4, 3]);
        assert_eq!(found(1, Most::Few, &[0]).0, [0]);
        assert_eq!(found(2, Most::All, &[1]), (vec![1], 2));
        assert_eq!(found(1000, Most::All, &[17]).0, [17]);
        let (most, runs) = found(24, Most::All, &(0..24).filter(|number| *number != 9).collect::<Vec<_>>());
        assert_eq!((most.len(), most.contains(&9)), (23, false));
        assert!(runs <= 50, "{runs}");
        assert_eq!(found(1, Most::All, &[0]), (vec![0], 0));
    }

    #[test]
    fn each_message_may_name_another_file() {
        // Each file of the chain is named when the file before it is there. The messages also name `9`.
        let follow_chain = |length: u32, most: u32, first: &[u32]| {
            let ask = |files: &[u32]| {
                let next = (0..length).find(|number| !files.contains(number));
                Ok::<_, ()>(match next {
                    None => Tried::Works,
                    Some(number) if number >= most => Tried::Names(Vec::new()),
                    Some(number) => Tried::Names(vec![number, 9]),
                })
            };
            follow(first.to_vec(), ask).unwrap()
        };
        assert_eq!(follow_chain(3, 3, &[0]), Followed::Works(vec![0, 1, 9, 2]));
        assert_eq!(follow_chain(3, 3, &[]), Followed::Works(vec![0, 9, 1, 2]));
        assert_eq!(follow_chain(0, 0, &[]), Followed::Works(vec![]));
        assert_eq!(follow_chain(3, 2, &[0]), Followed::Fails);
        assert_eq!(follow_chain(1000, 1000, &[0]), Followed::Fails);
        assert_eq!(follow(vec![1], |_| Ok::<_, ()>(Tried::Unknown)), Ok(Followed::Unknown));
    }

    #[test]
    fn nothing_is_needed_if_the_removed_files_do_not_explain_the_difference() {
        assert_eq!(found(1000, Most::Few, &[1000]), (vec![], 1));
        assert_eq!(found(0, Most::Few, &[1]), (vec![], 0));
        assert_eq!(found(0, Most::All, &[]), (vec![], 0));
    }

    #[test]
    fn nothing_is_needed_if_the_time_ends_before_the_search() {
        for most in 0..12 {
            let mut runs = 0;
            let works = |parts: &[&[u32]]| {
                runs += 1;
                Ok::<_, ()>((runs <= most).then(|| in_parts(parts).contains(&17)))
            };
            let order: Vec<u32> = (0..1000).collect();
            assert!(search(&order, Most::Few, works).unwrap().is_empty(), "{most}");
        }
    }
}
