//! Runs the checks in the sandbox, in the tree as it ships; what fails is run in the untrimmed tree too, and where the
//! two agree the failure is the program's own and is told, not hidden.

use std::collections::BTreeMap;

use fs_err as fs;
use thiserror::Error;

use crate::model::assembly::{Assembly, InstalledScript};
use crate::model::digest::Digest;
use crate::model::platform::{Architecture, Platform};
use crate::model::receipt::ProofSummary;
use crate::model::request::Request;
use crate::model::tree::Tree;
use crate::outside::sandbox::{Job, Outcome, SandboxError};
use crate::outside::store::StoreError;
use crate::outside::world::World;

/// How long one check may take.
const TIMEOUT_SECS: u64 = 120;

/// What every image's Python must do, with a cleared environment.
const PYTHON: &str = "import ssl, sqlite3, zoneinfo, decimal, ctypes, sys
assert ssl.create_default_context().cert_store_stats()['x509'] > 0, 'no certificates'
assert sys.getfilesystemencoding() == 'utf-8', sys.getfilesystemencoding()
zoneinfo.ZoneInfo('Europe/Berlin')
";

/// Loads every extension module and library of site-packages as the loader would, and names those that fail.
const LIBRARIES: &str = r#"
import ctypes, os, sys
failed = 0
for directory, _, names in os.walk(sys.argv[1]):
    for name in sorted(names):
        if name.endswith(".so") and (".cpython-" in name or ".abi3." in name):
            try:
                ctypes.CDLL(os.path.join(directory, name))
            except OSError as error:
                failed = 1
                print(error)
sys.exit(failed)
"#;

/// Splits a check's text as a POSIX shell would and runs it; there is no shell in the image.
const COMMAND: &str = "import os, shlex, sys
argv = shlex.split(sys.argv[1])
os.execvp(argv[0], argv)
";

#[derive(Debug, Error)]
pub(crate) enum ProveError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("cannot make a folder for the proof")]
    Folder(#[source] std::io::Error),
    #[error("cannot promise that the image works: the check `{check}` {ended}\n{said}")]
    Failed { check: String, ended: String, said: String },
}

/// One command with a name for people.
struct Check {
    name: String,
    argv: Vec<String>,
    /// Further commands of which one has to succeed where the first does not.
    otherwise: Vec<Vec<String>>,
    is_cleared: bool,
    /// Asked for by the user: must succeed, whatever the untrimmed tree does.
    must: bool,
}

/// Runs every check. An earlier proof of the same tree and checks counts.
pub(crate) fn prove(
    tree: &Tree,
    assembly: &Assembly,
    request: &Request,
    platform: Platform,
    env: &[String],
    world: &World,
) -> Result<ProofSummary, ProveError> {
    const SHELF: &str = "proofs-1";
    let mut summary = ProofSummary::default();
    if !request.verify {
        summary.not_run.push("the checks (`--no-verify`)".to_owned());
        return Ok(summary);
    }
    if Architecture::of_host() != Some(platform.architecture) {
        summary.not_run.push(format!("the checks: this machine does not run {platform}"));
        return Ok(summary);
    }
    let checks = checks(assembly, request);
    let question: Vec<String> = checks.iter().map(|check| format!("{:?} {:?}", check.argv, check.otherwise)).collect();
    let question = format!("{question:?} {env:?}");
    let key = Digest::of_fields([tree.digest().as_bytes().as_slice(), question.as_bytes()]);
    if let Some(proved) = world.store.note(SHELF, &key) {
        return Ok(proved);
    }
    let slim = Checkout::new(tree, env, request, world)?;
    let mut whole = None;
    for check in checks {
        let outcome = slim.run(&check, world)?;
        if outcome.exit_code == 0 {
            summary.passed.push(check.name);
            continue;
        }
        let failure = failure(&check, &outcome);
        if check.must {
            return Err(failure);
        }
        let untrimmed = match &whole {
            Some(untrimmed) => untrimmed,
            None => whole.insert(Checkout::new(&assembly.tree, env, request, world)?),
        };
        let before = untrimmed.run(&check, world)?;
        if (before.exit_code, &before.stdout) != (outcome.exit_code, &outcome.stdout) {
            return Err(failure);
        }
        let said = String::from_utf8_lossy(if outcome.stdout.is_empty() { &outcome.stderr } else { &outcome.stdout });
        let last = said.trim().lines().last().unwrap_or_default().to_owned();
        summary.notes.push(format!("`{}` fails untrimmed too: {last}", check.name));
    }
    world.store.write_note(SHELF, &key, &summary)?;
    Ok(summary)
}

/// Runs `argv` in `tree` with this process's own input and output, and returns its exit code.
pub(crate) fn execute(
    tree: &Tree,
    argv: Vec<String>,
    env: &[String],
    request: &Request,
    world: &World,
) -> Result<i32, ProveError> {
    let checkout = Checkout::new(tree, env, request, world)?;
    let job = Job {
        argv: found(argv, &checkout.env, tree),
        env: checkout.env.clone(),
        cwd: checkout.cwd.clone(),
        ..Job::default()
    };
    Ok(world.sandbox.attach(&checkout.home.path().join("root"), &job)?)
}

/// The command with its program's whole path, as `PATH` has it.
fn found(mut argv: Vec<String>, env: &BTreeMap<String, String>, tree: &Tree) -> Vec<String> {
    let Some(program) = argv.first_mut().filter(|program| !program.contains('/')) else { return argv };
    let path = env.get("PATH").map_or("", String::as_str);
    let candidates = path.split(':').map(|directory| format!("{directory}/{program}"));
    if let Some(candidate) = candidates.into_iter().find(|candidate| tree.find(candidate).is_some()) {
        *program = candidate;
    }
    argv
}

fn checks(assembly: &Assembly, request: &Request) -> Vec<Check> {
    let python = format!("/usr/bin/python{}", request.python.version);
    let site = request.user_base.site(request.python.version);
    let run = |code: &str, argument: Option<&str>| {
        let mut argv = vec![python.clone(), "-c".to_owned(), code.to_owned()];
        argv.extend(argument.map(str::to_owned));
        argv
    };
    let check = |name: &str, argv, is_cleared| Check {
        name: name.to_owned(),
        argv,
        otherwise: Vec::new(),
        is_cleared,
        must: false,
    };
    let mut checks =
        vec![check("python", run(PYTHON, None), true), check("libraries", run(LIBRARIES, Some(&site)), true)];
    let is_asked = |script: &&InstalledScript| script.is_requested || request.runtime.scripts.contains(&script.name);
    for script in assembly.scripts.iter().filter(is_asked) {
        let path = request.user_base.program(&script.name);
        let with = |option: &str| vec![path.clone(), option.to_owned()];
        let mut otherwise = vec![with("--help")];
        if let (Some(module), Some(attribute)) = (&script.module, &script.attribute) {
            let code = format!(
                "import importlib, operator\noperator.attrgetter('{attribute}')(importlib.import_module('{module}'))"
            );
            otherwise.push(run(&code, None));
        }
        let argv = with("--version");
        checks.push(Check { name: script.name.clone(), argv, otherwise, is_cleared: false, must: false });
    }
    for command in &request.checks {
        let argv = run(COMMAND, Some(command));
        checks.push(Check { name: command.clone(), argv, otherwise: Vec::new(), is_cleared: false, must: true });
    }
    checks
}

/// A tree on disk, for as long as its checks run.
struct Checkout {
    home: tempfile::TempDir,
    env: BTreeMap<String, String>,
    cwd: String,
}

impl Checkout {
    fn new(tree: &Tree, env: &[String], request: &Request, world: &World) -> Result<Self, ProveError> {
        let home = world.store.temporary_dir()?;
        let root = home.path().join("root");
        fs::create_dir(&root).map_err(ProveError::Folder)?;
        world.store.check_out(tree, &root)?;
        let mut variables: BTreeMap<String, String> = env
            .iter()
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        variables.entry("HOME".to_owned()).or_insert_with(|| "/home/app".to_owned());
        let cwd = request.runtime.workdir.as_ref().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { home, env: variables, cwd })
    }

    /// What the check's command came to, or the first of the others that succeeds.
    fn run(&self, check: &Check, world: &World) -> Result<Outcome, ProveError> {
        let first = self.run_one(check, &check.argv, world)?;
        if first.exit_code == 0 {
            return Ok(first);
        }
        for argv in &check.otherwise {
            let outcome = self.run_one(check, argv, world)?;
            if outcome.exit_code == 0 {
                return Ok(outcome);
            }
        }
        Ok(first)
    }

    fn run_one(&self, check: &Check, argv: &[String], world: &World) -> Result<Outcome, ProveError> {
        let job = Job {
            argv: argv.to_vec(),
            env: if check.is_cleared { BTreeMap::new() } else { self.env.clone() },
            cwd: self.cwd.clone(),
            writable: Vec::new(),
            timeout_secs: TIMEOUT_SECS,
        };
        Ok(world.sandbox.run(&self.home.path().join("root"), &job)?)
    }
}

/// The failure with the last lines of what the command said.
fn failure(check: &Check, outcome: &Outcome) -> ProveError {
    const LINES: usize = 20;
    let text = format!("{}{}", String::from_utf8_lossy(&outcome.stdout), String::from_utf8_lossy(&outcome.stderr));
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let ended = if outcome.is_timeout {
        format!("did not end within {TIMEOUT_SECS} s")
    } else {
        format!("ends with exit code {}", outcome.exit_code)
    };
    let said: Vec<String> =
        lines[lines.len().saturating_sub(LINES)..].iter().map(|line| format!("  | {line}")).collect();
    ProveError::Failed { check: check.name.clone(), ended, said: said.join("\n") }
}
