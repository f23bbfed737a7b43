//! A tree that is laid out so that programs can run in it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::ProveError;
use super::checks::{Batch, Circumstances, Command, Item, Task};
use super::compare::{Answer, Reply};
use super::help::Help;
use crate::model::image_path::ImagePath;
use crate::model::launch::Launch;
use crate::model::request::Volume;
use crate::model::trace::{Touch, Trace};
use crate::model::tree::Tree;
use crate::outside::deadline::Deadline;
use crate::outside::sandbox::{Emulation, Job};
use crate::outside::stage::Shown;
use crate::outside::world::World;

/// The factor by which an emulated program may take longer. qemu's user mode runs Python at a tenth of its speed.
const EMULATED: u64 = 15;

pub(super) struct Checkout<'a> {
    tree: &'a Tree,
    shown: Shown<'a>,
    env: BTreeMap<String, String>,
    cwd: String,
    uid: u32,
    emulation: Emulation,
    deadline: Deadline,
    /// The paths that the programs used. `None` if they are not recorded.
    record: Option<Mutex<Trace>>,
    world: &'a World,
}

impl<'a> Checkout<'a> {
    /// `shown` is the place in which `tree` is laid out.
    pub(super) fn new(
        tree: &'a Tree,
        shown: Shown<'a>,
        launch: &Launch,
        emulation: Emulation,
        world: &'a World,
    ) -> Self {
        // The user's own run has no time limit.
        let deadline = Deadline::after(0);
        let env: BTreeMap<String, String> = launch
            .env
            .iter()
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let cwd = launch.workdir.as_ref().map_or("/", |path| path.as_str()).to_owned();
        let uid = launch.uid().parse().unwrap_or_default();
        Self { tree, shown, env, cwd, uid, emulation, deadline, record: None, world }
    }

    /// Returns this checkout with a time limit: each check must begin and end before `deadline`.
    pub(super) fn until(self, deadline: Deadline) -> Self {
        Self { deadline, ..self }
    }

    /// Returns this checkout, but with a record of the paths that programs use.
    pub(super) fn recording(self) -> Self {
        Self { record: Some(Mutex::default()), ..self }
    }

    /// Returns the paths that all programs together used.
    pub(super) fn recorded(self) -> Trace {
        self.record.map(|record| record.into_inner().unwrap_or_else(PoisonError::into_inner)).unwrap_or_default()
    }

    fn note(&self, touches: &[Touch]) {
        if let Some(record) = &self.record {
            record.lock().unwrap_or_else(PoisonError::into_inner).add(self.tree, touches);
        }
    }

    /// Runs `argv` with the input and the output of lath's own process, and returns the exit code.
    pub(super) fn attach(&self, argv: &[String], volumes: &[Volume]) -> Result<i32, ProveError> {
        let missing = || ProveError::NotFound { program: argv.first().cloned().unwrap_or_default() };
        let argv = match self.mounted(argv, volumes) {
            Some(argv) => argv,
            None => self.startable(argv)?.ok_or_else(missing)?,
        };
        let job = Job { volumes: volumes.to_vec(), ..self.job(argv, Circumstances::within(0)) };
        let ended = self.world.sandbox.attach(self.shown.root, &job)?;
        self.note(&ended.touches);
        Ok(ended.exit_code)
    }

    /// Returns the command with the whole path of its program if the program is in a folder or a file that the user
    /// mounts. `None` for all other programs.
    fn mounted(&self, argv: &[String], volumes: &[Volume]) -> Option<Vec<String>> {
        let (program, arguments) = argv.split_first().filter(|(program, _)| program.contains('/'))?;
        let path = if program.starts_with('/') { program.clone() } else { format!("{}/{program}", self.cwd) };
        let path = ImagePath::parse(&path).ok()?;
        let is_mounted = volumes.iter().any(|volume| path.is_within(volume.target.as_str()));
        is_mounted.then(|| [std::slice::from_ref(&path.to_string()), arguments].concat())
    }

    /// Returns the results of a task: one result for a command, or one result for each item of a batch.
    pub(super) fn ask(&self, task: &Task) -> Result<Vec<Reply>, ProveError> {
        match task {
            Task::Command(command) => Ok(vec![self.ask_command(command)?]),
            Task::Help(help) => Ok(vec![self.ask_help(help)?]),
            Task::Batch(batch) if batch.is_shared => self.ask_shared(batch),
            Task::Batch(batch) => self.ask_batch(batch),
        }
    }

    /// Returns the result of the first attempt that succeeds. If none succeeds, returns the result of the first
    /// attempt. If an attempt exceeds its time limit, the program may be a server. So no other attempt is made, because
    /// it would only start the server again.
    fn ask_command(&self, command: &Command) -> Result<Reply, ProveError> {
        let mut first = None;
        for argv in &command.attempts {
            let Some(answer) = self.run(&command.name, argv, command.circumstances)? else { return Ok(Reply::NotRun) };
            if answer.exit_code == 0 || answer.timeout_secs.is_some() {
                return Ok(Reply::Answer(first.filter(|_| answer.exit_code != 0).unwrap_or(answer)));
            }
            first.get_or_insert(answer);
        }
        Ok(first.map_or(Reply::NotRun, Reply::Answer))
    }

    fn ask_help(&self, help: &Help) -> Result<Reply, ProveError> {
        let circumstances = Circumstances { user: help.user, ..Circumstances::within(help.timeout_secs) };
        let run = |argv: Vec<String>| self.run("", &argv, circumstances);
        Ok(help.walk(run)?.map_or(Reply::NotRun, Reply::Answer))
    }

    /// The items share processes. If an item ends its process, or if the time of the process is over, the remaining
    /// items continue in a new process.
    fn ask_shared(&self, batch: &Batch) -> Result<Vec<Reply>, ProveError> {
        let mut replies = Vec::new();
        while let Some(rest) = batch.items.get(replies.len()..).filter(|rest| !rest.is_empty()) {
            let Some(shared) = self.drive(batch, rest)? else {
                replies.resize(batch.items.len(), Reply::NotRun);
                break;
            };
            let errors: Vec<&str> = (0..rest.len()).map_while(|index| reported(&shared, index)).collect();
            for (item, error) in rest.iter().zip(&errors) {
                let exit_code = i32::from(!error.is_empty());
                let timeout_secs = self.item_secs(batch).filter(|_| *error == TOO_SLOW);
                let (command, stderr) = (item.name.clone(), (*error).to_owned());
                replies.push(Reply::Answer(Answer { command, exit_code, stderr, timeout_secs, ..Answer::default() }));
            }
            // A process with many items may exceed its time limit even if no item hangs. So the item that did not end
            // is the first item of the next process. If this process exceeds the limit before its first item ends, the
            // item hangs.
            let has_progress = shared.timeout_secs.is_some() && !errors.is_empty();
            if let Some(item) = rest.get(errors.len()).filter(|_| !has_progress) {
                let stderr = "it ends the process".to_owned();
                let (command, timeout_secs) = (item.name.clone(), shared.timeout_secs);
                replies.push(Reply::Answer(Answer {
                    command,
                    exit_code: 1,
                    stderr,
                    timeout_secs,
                    ..Answer::default()
                }));
            }
        }
        Ok(replies)
    }

    /// All items share a process. If an item fails, or if the process does not reach it, the item runs again in a
    /// process of its own.
    fn ask_batch(&self, batch: &Batch) -> Result<Vec<Reply>, ProveError> {
        let Some(shared) = self.drive(batch, &batch.items)? else { return Ok(vec![Reply::NotRun; batch.items.len()]) };
        let mut answers = Vec::new();
        for (index, item) in batch.items.iter().enumerate() {
            let answer = match reported(&shared, index) {
                Some("") => Reply::Answer(Answer { command: item.name.clone(), ..Answer::default() }),
                _ => self.ask_item(batch, item)?,
            };
            answers.push(answer);
        }
        Ok(answers)
    }

    fn ask_item(&self, batch: &Batch, item: &Item) -> Result<Reply, ProveError> {
        let Some(alone) = self.drive(batch, std::slice::from_ref(item))? else { return Ok(Reply::NotRun) };
        let command = item.name.clone();
        Ok(Reply::Answer(match reported(&alone, 0) {
            Some("") => Answer { command, ..Answer::default() },
            Some(error) => Answer { command, exit_code: 1, stderr: error.to_owned(), ..Answer::default() },
            // The item ended the process, or made it hang.
            None if alone.exit_code == 0 => {
                Answer { command, exit_code: 1, stderr: "it ends the process".to_owned(), ..Answer::default() }
            }
            None => Answer { command, stdout: String::new(), ..alone },
        }))
    }

    fn drive(&self, batch: &Batch, items: &[Item]) -> Result<Option<Answer>, ProveError> {
        let item_limit = self.item_secs(batch).map(|secs| format!("+{secs}"));
        let items = items.iter().map(|item| &item.argument);
        let argv: Vec<String> = batch.driver.iter().chain(&item_limit).chain(items).cloned().collect();
        let circumstances = Circumstances { user: batch.user, ..Circumstances::within(batch.timeout_secs) };
        self.run("", &argv, circumstances)
    }

    /// Runs `argv`. `None` if the command did not end before the time for the whole proof was over.
    pub(super) fn run(
        &self,
        name: &str,
        argv: &[String],
        circumstances: Circumstances,
    ) -> Result<Option<Answer>, ProveError> {
        let command = words(name, argv);
        let Some(started) = self.startable(argv)? else {
            let program = argv.first().map_or("", String::as_str);
            let stderr = format!("cannot find `{program}` in the image");
            return Ok(Some(Answer { command, exit_code: 127, stderr, ..Answer::default() }));
        };
        let own_secs = circumstances.timeout_secs * self.slowness();
        let timeout_secs = self.deadline.left_secs().map_or(own_secs, |left| left.min(own_secs));
        if timeout_secs == 0 {
            return Ok(None);
        }
        let circumstances = Circumstances { timeout_secs, ..circumstances };
        let outcome = self.world.sandbox.run(self.shown.root, &self.job(started, circumstances))?;
        self.note(&outcome.touches);
        if outcome.is_timeout && timeout_secs < own_secs {
            return Ok(None);
        }
        Ok(Some(Answer {
            command,
            exit_code: outcome.exit_code,
            stdout: String::from_utf8_lossy(&outcome.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&outcome.stderr).into_owned(),
            timeout_secs: outcome.is_timeout.then_some(timeout_secs),
            parts: Vec::new(),
        }))
    }

    fn item_secs(&self, batch: &Batch) -> Option<u64> {
        Some(batch.item_secs? * self.slowness())
    }

    /// Returns the factor by which a program may take longer than on a machine without an emulator.
    fn slowness(&self) -> u64 {
        if self.emulation == Emulation::None { 1 } else { EMULATED }
    }

    fn job(&self, argv: Vec<String>, circumstances: Circumstances) -> Job {
        let Circumstances { is_cleared, has_loopback, user, timeout_secs } = circumstances;
        Job {
            argv,
            env: if is_cleared { BTreeMap::new() } else { self.env.clone() },
            cwd: self.cwd.clone(),
            uid: user.unwrap_or(self.uid),
            files: self.shown.files.clone(),
            has_loopback,
            timeout_secs,
            emulation: self.emulation.clone(),
            is_traced: self.record.is_some(),
            ..Job::default()
        }
    }

    /// Returns the command with the whole path of its program, which is found through `PATH`. `None` if there is no
    /// such program. An emulator cannot start a script. So if the program is a script and runs in an emulator, the
    /// interpreter of the script is added in front of it.
    fn startable(&self, argv: &[String]) -> Result<Option<Vec<String>>, ProveError> {
        let Some((program, arguments)) = argv.split_first() else { return Ok(None) };
        let path = self.env.get("PATH").map_or("", String::as_str);
        let mut candidates: Vec<String> = path.split(':').map(|directory| format!("{directory}/{program}")).collect();
        if program.contains('/') {
            candidates =
                vec![if program.starts_with('/') { program.clone() } else { format!("{}/{program}", self.cwd) }];
        }
        let found = candidates.into_iter().find(|candidate| self.tree.find(candidate).is_some());
        let Some(found) = found else { return Ok(None) };
        let mut started = Vec::new();
        if matches!(self.emulation, Emulation::Program(_))
            && let Some(digest) = self.tree.find(&found).and_then(|(_, node)| node.digest())
        {
            started = interpreter(&self.world.store.read_start(digest, FIRST_LINE_BYTES)?);
        }
        started.push(found);
        started.extend(arguments.iter().cloned());
        Ok(Some(started))
    }
}

/// The driver's report on an item that exceeded its time limit.
const TOO_SLOW: &str = "no end within its time";

/// Returns the driver's report on the item with the number `index`. `None` if the process did not reach this item.
fn reported(answer: &Answer, index: usize) -> Option<&str> {
    let lines = answer.stdout.lines();
    lines.filter_map(|line| line.split_once(' ')).find(|(number, _)| number.parse() == Ok(index)).map(|(_, said)| said)
}

/// The number of bytes at the beginning of a script that are searched for its first line. The kernel reads only 256
/// bytes (`BINPRM_BUF_SIZE`).
const FIRST_LINE_BYTES: u64 = 4096;

/// Returns the interpreter in the first line of a script, and its argument.
fn interpreter(bytes: &[u8]) -> Vec<String> {
    let Some(rest) = bytes.strip_prefix(b"#!") else { return Vec::new() };
    let line = rest.split(|&byte| byte == b'\n').next().unwrap_or_default();
    String::from_utf8_lossy(line).trim().splitn(2, char::is_whitespace).map(|word| word.trim().to_owned()).collect()
}

/// Returns the command as a person would type it, such as `tool --version`. Other checks than lath's own checks of
/// programs are shown as `name`.
fn words(name: &str, argv: &[String]) -> String {
    match argv {
        [program, option] if program.ends_with(&format!("/bin/{name}")) && option.starts_with("--") => {
            format!("{name} {option}")
        }
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scripts_first_line_names_its_interpreter() {
        assert_eq!(interpreter(b"#!/usr/bin/python3.13 -I\nx"), ["/usr/bin/python3.13", "-I"]);
        assert_eq!(interpreter(b"#! /bin/sh\n"), ["/bin/sh"]);
        assert_eq!(interpreter(b"\x7fELF"), Vec::<String>::new());
    }

    #[test]
    fn what_a_driver_told_is_found_by_its_number() {
        let answer = Answer { stdout: "0 \n1 OSError: x\n".to_owned(), ..Answer::default() };
        assert_eq!(
            [reported(&answer, 0), reported(&answer, 1), reported(&answer, 2)],
            [Some(""), Some("OSError: x"), None]
        );
    }

    #[test]
    fn the_driver_reports_a_slow_item_in_the_words_that_are_looked_for() {
        assert!(crate::steps::prove::checks::DRIVER.contains(&format!("{TOO_SLOW:?}")));
    }

    #[test]
    fn a_script_is_told_by_its_name_and_option() {
        let argv = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        assert_eq!(words("black", &argv(&["/opt/app/bin/black", "--version"])), "black --version");
        assert_eq!(words("black -c x", &argv(&["black", "-c", "x"])), "black -c x");
    }
}
