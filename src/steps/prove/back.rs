//! Finds the removed files that a check needs, so that they can be put back.
//!
//! The check runs in the trimmed tree together with a part of the removed files. If the check works, the part contains
//! the needed files, and is halved again. So a file is found even if no message names it.

use super::checks::Task;
use super::compare::{Answer, Reply};
use super::{ProveError, Side, Staged};
use crate::model::image_path::ImagePath;
use crate::model::tree::Tree;

/// The most needed files that are found for one check. If the check needs more files, the next proof finds them.
const MOST: usize = 4;

/// Returns removed files that `task` needs: without them, its result is not `claim`. `named` are the removed files that
/// are named in the output, and are tried first. Empty if the removed files do not explain the difference, or if the
/// time is over.
pub(super) fn needed(
    slim: &mut Staged<'_>,
    whole: &Tree,
    task: &Task,
    claim: &Answer,
    named: &[ImagePath],
) -> Result<Vec<ImagePath>, ProveError> {
    let side = slim.side;
    let removed = side.tree.removed.keys().filter(|path| whole.nodes.contains_key(*path));
    let rest = removed.clone().filter(|path| !named.contains(path));
    let order: Vec<&ImagePath> = removed.clone().filter(|path| named.contains(path)).chain(rest).collect();
    let stage = &mut *slim.stage;
    let works = |parts: &[&[&ImagePath]]| -> Result<Option<bool>, ProveError> {
        let mut tree = side.tree.clone();
        for path in parts.iter().copied().flatten() {
            tree.insert((*path).clone(), whole.nodes[*path].clone());
        }
        let reply = Side { tree: &tree, ..side }.checkout(stage)?.ask(task)?.pop();
        Ok(match reply {
            Some(Reply::Answer(found)) => Some(is_like(task, &found, claim)),
            Some(Reply::NotRun) | None => None,
        })
    };
    let first = order.len().min(named.len());
    Ok(search(&order, first, works)?.into_iter().cloned().collect())
}

fn is_like(task: &Task, found: &Answer, claim: &Answer) -> bool {
    match task {
        Task::Batch(_) => found.exit_code == 0,
        Task::Command(_) | Task::Help(_) => found == claim,
    }
}

/// Returns members of `order` that are needed, at most [`MOST`], from the last to the first. `first` is the number of
/// members at the beginning of `order` that are tried before all others. Empty if `works` is false even for all members
/// together, or if a result of `works` is unknown. A result is unknown if the time for the checks has ended. No members
/// are returned in that case, because they would depend on the speed of the machine.
fn search<T: Copy, E>(
    order: &[T],
    first: usize,
    mut works: impl FnMut(&[&[T]]) -> Result<Option<bool>, E>,
) -> Result<Vec<T>, E> {
    let mut is_unknown = false;
    let mut works = |parts: &[&[T]]| -> Result<bool, E> {
        let known = if is_unknown { None } else { works(parts)? };
        is_unknown |= known.is_none();
        Ok(known.unwrap_or(false))
    };
    let mut needed: Vec<T> = Vec::new();
    let mut end = match first {
        0 => 0,
        first if works(&[&order[..first]])? => first,
        _ => 0,
    };
    if end == 0 && !order.is_empty() && works(&[order])? {
        end = order.len();
    }
    while needed.len() < MOST && end > 0 && (needed.is_empty() || !works(&[&needed])?) {
        // The check works with `needed` and the members before `high`. It fails with `needed` and the members before
        // `low`.
        let (mut low, mut high) = (0, end);
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
    use std::collections::BTreeSet;

    use super::*;

    /// Searches for `needed` among the numbers below `count`. Returns the result, and the number of runs.
    fn found(count: u32, first: usize, needed: &[u32]) -> (Vec<u32>, usize) {
        let order: Vec<u32> = (0..count).collect();
        let mut runs = 0;
        let works = |parts: &[&[u32]]| {
            runs += 1;
            let there: BTreeSet<u32> = parts.iter().copied().flatten().copied().collect();
            Ok::<_, ()>(Some(needed.iter().all(|one| there.contains(one))))
        };
        (search(&order, first, works).unwrap(), runs)
    }

    #[test]
    fn the_needed_files_are_found_in_few_runs() {
        assert_eq!(found(1000, 0, &[0]).0, [0]);
        assert_eq!(found(1000, 0, &[999]).0, [999]);
        let (two, runs) = found(1000, 0, &[17, 600]);
        assert_eq!(two, [600, 17]);
        assert!(runs <= 24, "{runs}");
        assert_eq!(found(1000, 0, &[1, 2, 3, 4, 5, 6]).0, [6, 5, 4, 3]);
        assert_eq!(found(1, 0, &[0]).0, [0]);
    }

    #[test]
    fn files_that_a_message_names_are_tried_first() {
        assert_eq!(found(1000, 2, &[1]), (vec![1], 3));
        assert_eq!(found(1000, 1, &[0]), (vec![0], 1));
        assert_eq!(found(1000, 2, &[500]).0, [500]);
    }

    #[test]
    fn nothing_is_needed_if_the_removed_files_do_not_explain_the_difference() {
        assert_eq!(found(1000, 0, &[1000]), (vec![], 1));
        assert_eq!(found(0, 0, &[1]), (vec![], 0));
        assert_eq!(found(2, 2, &[2]), (vec![], 2));
    }

    #[test]
    fn nothing_is_needed_if_the_time_ends_before_the_search() {
        for most in 0..12 {
            let mut runs = 0;
            let works = |parts: &[&[u32]]| {
                runs += 1;
                Ok::<_, ()>((runs <= most).then(|| parts.iter().copied().flatten().any(|one| *one == 17)))
            };
            let order: Vec<u32> = (0..1000).collect();
            assert!(search(&order, 0, works).unwrap().is_empty(), "{most}");
        }
    }
}
