//! All chains of something, the shortest first. Their number can grow exponentially with the number of reasons, so the
//! search has a limit.
//!
//! Each step continues the unfinished chain that may become the shortest one, like the algorithm A*.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use super::chain::{Chain, Edge, Graph, Subject};

/// The maximum number of chains that are returned.
const MAX_CHAINS: usize = 100;
/// The maximum number of reasons that a search examines.
const MAX_STEPS: usize = 200_000;
/// The maximum number of reasons in a chain.
const MAX_LENGTH: usize = 500;

/// Chains, the shortest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chains {
    pub(crate) found: Vec<Chain>,
    /// Whether there are more chains than these, or may be.
    pub(crate) are_more: bool,
}

impl Graph<'_> {
    /// Returns all chains, the shortest first. If `all` is false, returns only the shortest chain.
    pub(super) fn chains(&self, subject: &Subject, all: bool) -> Chains {
        match all {
            true => all_chains(self, subject),
            false => Chains { found: self.shortest(subject).into_iter().collect(), are_more: false },
        }
    }
}

/// Returns all chains of a subject.
fn all_chains(graph: &Graph<'_>, subject: &Subject) -> Chains {
    let part = Part::above(graph, subject);
    let (mut ends, are_more) = part.search();
    ends.sort_by_cached_key(|chain| (chain.len(), chain.clone()));
    ends.dedup();
    Chains { found: ends, are_more: are_more || part.is_cut }
}

/// A reason, and the position of the next thing that needs a reason. The position is `None` if the chain ends.
type Step = (Edge, Option<usize>);

/// The part of a graph that contains all chains of one subject. The subject is at position 0.
#[derive(Default)]
struct Part {
    steps: Vec<Vec<Step>>,
    /// The number of reasons up to the nearest end. `None` if no end can be reached.
    distances: Vec<Option<usize>>,
    /// Whether reasons are missing: the explanation does not contain all causes of a module, or there are more reasons
    /// than [`MAX_STEPS`].
    is_cut: bool,
}

impl Part {
    fn above(graph: &Graph<'_>, subject: &Subject) -> Self {
        let mut part = Self::default();
        let mut places = BTreeMap::from([(subject.clone(), 0)]);
        let mut next = VecDeque::from([subject.clone()]);
        let mut steps = 0;
        while let Some(subject) = next.pop_front() {
            part.is_cut |= graph.is_cut(&subject);
            let mut own = Vec::new();
            let edges = if steps > MAX_STEPS { Vec::new() } else { graph.edges(&subject) };
            for (edge, target) in edges {
                steps += 1;
                if steps > MAX_STEPS {
                    part.is_cut = true;
                    break;
                }
                let place = target.map(|target| {
                    let new = places.len();
                    *places.entry(target).or_insert_with_key(|target| {
                        next.push_back(target.clone());
                        new
                    })
                });
                own.push((edge, place));
            }
            part.steps.push(own);
        }
        part.distances = part.distances();
        part
    }

    /// Returns the distances of all positions. The computation begins at the ends of the chains.
    fn distances(&self) -> Vec<Option<usize>> {
        let mut before: Vec<Vec<usize>> = vec![Vec::new(); self.steps.len()];
        let mut distances = vec![None; self.steps.len()];
        let mut next = VecDeque::new();
        for (place, steps) in self.steps.iter().enumerate() {
            steps.iter().filter_map(|(_, target)| *target).for_each(|target| before[target].push(place));
            if steps.iter().any(|(_, target)| target.is_none()) {
                distances[place] = Some(1);
                next.push_back((place, 1));
            }
        }
        while let Some((place, distance)) = next.pop_front() {
            for &earlier in &before[place] {
                if distances[earlier].is_none() {
                    distances[earlier] = Some(distance + 1);
                    next.push_back((earlier, distance + 1));
                }
            }
        }
        distances
    }

    /// Returns the shortest chains, and whether there are more chains, or may be.
    fn search(&self) -> (Vec<Chain>, bool) {
        let mut partial = vec![Partial { at: Some(0), before: None, length: 0 }];
        let mut next = BinaryHeap::from([Reverse((0, 0))]);
        let mut found = Vec::new();
        let mut examined = 0;
        while let Some(Reverse((_, place))) = next.pop() {
            let Partial { at, length, .. } = partial[place];
            let Some(at) = at else {
                if found.len() == MAX_CHAINS {
                    return (found, true);
                }
                found.push(self.chain(&partial, place));
                continue;
            };
            if length == MAX_LENGTH {
                return (found, true);
            }
            for (number, (_, target)) in self.steps[at].iter().enumerate() {
                // Reasons that no chain can use are counted too, because examining them takes as much time.
                examined += 1;
                if examined > MAX_STEPS {
                    return (found, true);
                }
                let rest = target.map_or(Some(0), |target| self.distances[target]);
                if let Some(rest) = rest.filter(|_| !target.is_some_and(|target| contains(&partial, place, target))) {
                    next.push(Reverse((length + 1 + rest, partial.len())));
                    partial.push(Partial { at: *target, before: Some((place, number)), length: length + 1 });
                }
            }
        }
        (found, false)
    }

    fn chain(&self, partial: &[Partial], end: usize) -> Chain {
        let mut chain = Vec::new();
        let mut place = end;
        while let Some((before, number)) = partial[place].before {
            let at = partial[before].at.unwrap_or_default();
            chain.push(self.steps[at][number].0.clone());
            place = before;
        }
        chain.reverse();
        chain
    }
}

/// An unfinished chain.
#[derive(Debug, Clone, Copy)]
struct Partial {
    /// The position of the last thing. `None` if the chain has ended.
    at: Option<usize>,
    /// The chain without its last reason, and the number of this reason.
    before: Option<(usize, usize)>,
    length: usize,
}

/// Whether a chain contains the thing with the position `target`.
fn contains(partial: &[Partial], end: usize, target: usize) -> bool {
    let mut place = Some(end);
    while let Some(at) = place {
        if partial[at].at == Some(target) {
            return true;
        }
        place = partial[at].before.map(|(before, _)| before);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::explanation::{Explanation, example};
    use crate::model::reach::Cause;

    /// Returns all chains of the module `m0`, and whether there are more chains. Each chain is a list of the numbers of
    /// its modules.
    fn chains(causes: &[(usize, &[usize])]) -> (Vec<Vec<usize>>, bool) {
        let name = |number: &usize| format!("m{number}");
        let by = |number: &usize| Cause::ImportedBy { module: name(number) };
        let mut explanation = example();
        let causes = causes.iter().map(|(number, by_all)| (name(number), by_all.iter().map(by).collect()));
        explanation.modules.causes = Some(causes.chain([("root".to_owned(), vec![Cause::Root])]).collect());
        let root = Cause::ImportedBy { module: "root".to_owned() };
        explanation.modules.causes.as_mut().unwrap().insert("m9".to_owned(), vec![root]);
        let Chains { found, are_more } = all_of(&explanation);
        let number = |edge: &Edge| match edge {
            Edge::ImportedBy { module } => module.strip_prefix('m').map(|number| number.parse().unwrap()),
            _ => None,
        };
        (found.iter().map(|chain| chain.iter().filter_map(number).collect()).collect(), are_more)
    }

    fn all_of(explanation: &Explanation) -> Chains {
        all_chains(&Graph::new(explanation), &Subject::Module("m0".to_owned()))
    }

    #[test]
    fn all_chains_are_found_and_the_shortest_are_first() {
        let (found, are_more) = chains(&[(0, &[1, 2, 9]), (1, &[2, 0]), (2, &[3, 9]), (3, &[9])]);
        let expected: [&[usize]; 5] = [&[9], &[2, 9], &[1, 2, 9], &[2, 3, 9], &[1, 2, 3, 9]];
        assert_eq!(found, expected);
        assert!(!are_more);
    }

    #[test]
    fn modules_that_only_need_one_another_have_no_chain() {
        assert_eq!(chains(&[(0, &[1]), (1, &[2]), (2, &[0])]), (Vec::new(), false));
    }

    #[test]
    fn of_many_chains_the_shortest_are_returned_and_there_are_more() {
        // Each module is imported by all later modules.
        let later = (10..30).map(|number| (number, (number + 1..=30).collect()));
        let all: Vec<(usize, Vec<usize>)> = later.chain([(30, vec![9]), (0, (10..=30).collect())]).collect();
        let causes: Vec<(usize, &[usize])> = all.iter().map(|(number, later)| (*number, later.as_slice())).collect();
        let (found, are_more) = chains(&causes);
        assert_eq!((found.len(), are_more), (MAX_CHAINS, true));
        assert_eq!(found[0], [30, 9]);
        assert!(found.is_sorted_by_key(Vec::len));
    }

    #[test]
    fn a_module_with_causes_that_are_not_stored_has_more_chains() {
        let mut explanation = example();
        let root = vec![Cause::Root];
        explanation.modules.causes = Some([("m0".to_owned(), root)].into());
        assert!(!all_of(&explanation).are_more);
        explanation.modules.cut = ["m0".to_owned()].into();
        assert!(all_of(&explanation).are_more);
    }

    #[test]
    fn many_reasons_that_lead_back_end_the_search() {
        // Each of 50 things needs the thing with the position 51. That thing has many reasons that lead back to the
        // beginning, and one reason that ends the chain.
        let search = |back: usize| {
            let mut steps: Vec<Vec<Step>> = vec![vec![(Edge::Root, Some(51))]; 51];
            steps[0] = (1..=50).map(|place| (Edge::Root, Some(place))).collect();
            steps.push(vec![(Edge::Root, Some(0)); back]);
            steps[51].push((Edge::Root, None));
            let mut part = Part { steps, ..Part::default() };
            part.distances = part.distances();
            part.search()
        };
        let chain = vec![Edge::Root; 3];
        assert_eq!(search(10), (vec![chain; 50], false));
        assert!(search(MAX_STEPS / 10).1);
    }

    #[test]
    fn very_long_chains_end_the_search() {
        let mut explanation = example();
        let by = |number: usize| vec![Cause::ImportedBy { module: format!("m{number}") }];
        let mut causes: BTreeMap<String, Vec<Cause>> =
            (0..100_000).map(|number| (format!("m{number}"), by(number + 1))).collect();
        causes.insert("m100000".to_owned(), vec![Cause::Root]);
        explanation.modules.causes = Some(causes);
        assert_eq!(all_of(&explanation), Chains { found: Vec::new(), are_more: true });
    }
}
