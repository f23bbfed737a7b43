//! Runs the image of every program in a real Docker engine, without a network. Each image runs as its own user with a
//! read-only root, and as a user that the image does not contain.

use std::process::Command;

use libtest_mimic::Trial;

use crate::lath::{self, Built};
use crate::needs::Need::Engine;
use crate::needs::trial;
use crate::programs::{Job, PROGRAMS, Program};

pub(crate) fn trials() -> Vec<Trial> {
    let of_program = |program: &'static Program| {
        let name = format!("{}_does_its_work_in_an_engine", program.name);
        trial(name, &program.needs(&[Engine]), || does_its_work(program))
    };
    PROGRAMS.iter().map(of_program).collect()
}

/// An image in the engine, which is removed when this value is dropped.
pub(crate) struct Loaded {
    pub(crate) tag: String,
}

impl Loaded {
    pub(crate) fn new(name: &str, built: &Built) -> Self {
        let said = lath::stdout_of(docker(&["load", "-i", built.archive().to_str().unwrap()]), "");
        let tag = lath::tag(name);
        assert!(said.contains(&tag), "{said}");
        Self { tag }
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // An error is ignored. Then the image remains in the engine, but only these tests use its name.
        let _ = docker(&["image", "rm", "-f", &self.tag]).output();
    }
}

/// The user of the image.
const OWN: &str = "65532";
/// A user that the image does not contain.
const STRANGER: &str = "4711";

fn does_its_work(program: &Program) {
    let image = Loaded::new(program.name, &program.built());
    let find = format!("import shutil; assert all(map(shutil.which, {:?})); print('all there')", program.executables);
    let there = Job { argv: &[], input: "", prints: &["all there"] };
    for who in [OWN, STRANGER] {
        works(&image, &there, who, &["python3", "-c", &find]);
        for job in program.jobs {
            works(&image, job, who, job.argv);
        }
    }
    // The first job must also work if all environment variables are removed.
    let first = &program.jobs[0];
    let cleared = format!("import os, shutil; argv = {:?}; os.execve(shutil.which(argv[0]), argv, {{}})", first.argv);
    works(&image, first, OWN, &["python3", "-c", &cleared]);
}

/// Runs `argv` as `user` in a new container of `image`, and compares the output with `job`.
fn works(image: &Loaded, job: &Job, user: &str, argv: &[&str]) {
    let mut words = vec!["run", "--rm", "-i", "--network", "none"];
    let who = format!("{user}:{user}");
    if user == OWN {
        words.extend(["--read-only", "--tmpfs", "/tmp", "--tmpfs", "/home/app"]);
    } else {
        words.extend(["--user", &who]);
    }
    words.extend(["--entrypoint", argv[0], &image.tag]);
    words.extend(&argv[1..]);
    let printed = lath::stdout_of(docker(&words), job.input);
    for expected in job.prints {
        assert!(printed.contains(expected), "{argv:?} as {user} does not print {expected:?}:\n{printed}");
    }
}

fn docker(words: &[&str]) -> Command {
    let mut command = Command::new("docker");
    command.args(words);
    command
}
