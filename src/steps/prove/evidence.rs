//! The paths that checks use in the untrimmed tree: the evidence for `--trim trace`.
//!
//! The recorded checks are those of the proof, with some exceptions: the loads of extension modules and shared
//! libraries, the reads of data files, the imports of inner modules, the help of subcommands and the check of Python
//! itself. These checks would use files that the program does not need. A script runs with `--version` and with
//! `--help`.

use std::time::Duration;

use rayon::prelude::*;
use serde::Serialize;

use super::checkout::Checkout;
use super::checks::{self, Circumstances, Scope, Task};
use super::clock::Clock;
use super::engine_files::{hosts_of_check, with_engine_files};
use super::own_code::OwnCode;
use super::{Identity, ProveError, started, untrimmed};
use crate::model::digest::Digest;
use crate::model::event::Event;
use crate::model::made::Made;
use crate::model::request::ProveRequest;
use crate::model::trace::Trace;
use crate::outside::stage::Stage;
use crate::outside::store::Bucket;
use crate::outside::world::World;

/// A program that imports one module or one object of a module. It imports no other modules, because they would count
/// as evidence, too.
const IMPORT: &str = r#"
import sys
module, _, attribute = sys.argv.pop().partition(":")
found = __import__(module, fromlist=[attribute.partition(".")[0]] if attribute else [])
for name in filter(None, attribute.split(".")):
    found = getattr(found, name)
"#;

/// The time limit of an import.
const IMPORT_SECS: u64 = 20;

/// A command that is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Recorded {
    name: String,
    argv: Vec<String>,
    is_cleared: bool,
    has_loopback: bool,
    timeout_secs: u64,
}

/// The key of the evidence.
#[derive(Serialize)]
struct EvidenceKey<'a> {
    tree: Digest,
    commands: &'a [Recorded],
    identity: Identity<'a>,
}

/// Runs the checks in the untrimmed tree, which is laid out on `stage`, and returns the paths that they used. The
/// checks are those of the scripts and modules that stay in the tree of `made`.
pub(crate) fn evidence(
    made: &Made,
    stage: &mut Stage,
    request: &ProveRequest<'_>,
    world: &World,
) -> Result<Trace, ProveError> {
    let emulation = super::emulation(made, world)?;
    let named = started::named(made, request, &world.store)?;
    let tasks = checks::tasks(made, request, named, &OwnCode::default());
    let commands: Vec<Recorded> = tasks.iter().flat_map(|task| commands(task, &request.python.program())).collect();
    let whole = untrimmed(made);
    let identity = Identity::of(&made.launch);
    let key = Digest::of_key(&EvidenceKey { tree: whole.digest(), commands: &commands, identity });
    if let Some(trace) = world.store.entry(Bucket::Traces, &key) {
        return Ok(trace);
    }
    let clock = Clock::start(request.proof.limit_secs, Duration::ZERO);
    clock.plan(commands.len());
    let shown = stage.show(&with_engine_files(&whole, &hosts_of_check(), &world.store)?)?;
    let checkout = Checkout::new(&whole, shown, &made.launch, emulation, world).until(clock.deadline).recording();
    let run = |command: &Recorded| {
        let Recorded { name, argv, is_cleared, has_loopback, timeout_secs } = command;
        let circumstances = Circumstances {
            is_cleared: *is_cleared,
            has_loopback: *has_loopback,
            ..Circumstances::within(*timeout_secs)
        };
        let answer = checkout.run(name, argv, circumstances)?;
        clock.tick(world.listener.as_ref());
        let Some(answer) = answer else {
            return Err(ProveError::OutOfTime { checks: vec![name.clone()], limit_secs: clock.limit_secs });
        };
        if answer.timeout_secs.is_some() {
            let text = "did not end, so a later build may find that it uses other files";
            world.listener.hear(Event::Note(format!("`{}` {text}", answer.command)));
        }
        Ok(())
    };
    commands.par_iter().try_for_each(run)?;
    let trace = checkout.recorded();
    world.store.write_entry(Bucket::Traces, &key, &trace)?;
    Ok(trace)
}

/// Returns the commands of a task that are recorded.
fn commands(task: &Task, python: &str) -> Vec<Recorded> {
    match task {
        // The user's checks also run as another user. Those runs are left out, because they give no more evidence.
        Task::Command(command) if command.scope == Scope::Image && !command.is_extra => {
            let Circumstances { is_cleared, has_loopback, timeout_secs, user: _ } = command.circumstances;
            let recorded = |argv: &Vec<String>| Recorded {
                name: command.name.clone(),
                argv: argv.clone(),
                is_cleared,
                has_loopback,
                timeout_secs,
            };
            command.attempts.iter().map(recorded).collect()
        }
        // Batches that share processes, such as the imports of inner modules, are not evidence. The help of subcommands
        // is not evidence either. Otherwise, all of their modules would count as used.
        Task::Batch(batch) if batch.scope != Scope::Base && !batch.is_shared => {
            let is_import = |argument: &&String| is_import(argument);
            let recorded = |argument: &String| Recorded {
                name: format!("import {argument}"),
                argv: [python, "-c", IMPORT, argument].map(str::to_owned).into(),
                is_cleared: false,
                has_loopback: false,
                timeout_secs: IMPORT_SECS,
            };
            batch.items.iter().map(|item| &item.argument).filter(is_import).map(recorded).collect()
        }
        Task::Command(_) | Task::Batch(_) | Task::Help(_) => Vec::new(),
    }
}

fn is_import(argument: &str) -> bool {
    !argument.starts_with('/')
}

/// Whether this check is evidence for `--trim trace`, so that the files that it uses stay. A check that is no evidence
/// only tests the trimmed tree.
pub(super) fn is_evidence(task: &Task, item: usize) -> bool {
    let is_recorded = |item: usize| match task {
        Task::Batch(batch) => batch.items.get(item).is_some_and(|item| is_import(&item.argument)),
        // A check that another user runs counts, too, because the same command was recorded.
        Task::Command(command) => command.scope == Scope::Image,
        Task::Help(_) => false,
    };
    let is_single = matches!(task, Task::Command(_));
    (is_single || !commands(task, "").is_empty()) && is_recorded(item)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::receipt::ItemKind;
    use crate::steps::prove::checks::{Batch, Command, Item};

    #[test]
    fn imports_and_every_attempt_of_a_script_are_recorded_and_neither_loads_nor_the_check_of_python() {
        let item =
            |argument: &str| Item { kind: ItemKind::Modules, name: argument.to_owned(), argument: argument.to_owned() };
        let batch = |scope| {
            let items = ["a", "b:main", "/site/c.so"].map(item).into();
            let (driver, user, timeout_secs, item_secs) = (Vec::new(), None, 9, None);
            Task::Batch(Batch { driver, items, scope, user, timeout_secs, item_secs, is_shared: false })
        };
        let command = |scope| {
            let attempts = ["--version", "--help"].map(|option| vec!["tool".to_owned(), option.to_owned()]).into();
            let circumstances = Circumstances::within(7);
            let name = "tool".to_owned();
            Task::Command(Command { name, attempts, circumstances, must: false, is_extra: false, scope })
        };
        let words = |task: &Task| {
            let recorded = commands(task, "/usr/bin/python3.13");
            recorded.into_iter().map(|one| one.argv.join(" ").replace(IMPORT, "IMPORT")).collect::<Vec<_>>()
        };
        let imports = ["/usr/bin/python3.13 -c IMPORT a", "/usr/bin/python3.13 -c IMPORT b:main"];
        assert_eq!([Scope::Image, Scope::Others].map(|scope| words(&batch(scope))), [imports, imports]);
        assert_eq!(words(&command(Scope::Image)), ["tool --version", "tool --help"]);
        assert!(words(&batch(Scope::Base)).is_empty() && words(&command(Scope::Base)).is_empty());
        let evidence = |task: &Task| [0, 1, 2].map(|item| is_evidence(task, item));
        assert_eq!(evidence(&batch(Scope::Image)), [true, true, false]);
        assert_eq!(evidence(&batch(Scope::Base)), [false; 3]);
        assert!(is_evidence(&command(Scope::Image), 0) && !is_evidence(&command(Scope::Base), 0));
    }
}
