//! Adds bytecode, made by the release's own Python in the sandbox: unchecked hash-based .pyc files (PEP 552), which carry
//! no time and are read without looking at the source.
//!
//! The same files come to the same bytecode on every machine (docs/decisions/0010-bytecode-is-the-same-everywhere.md).

use std::collections::BTreeMap;

use fs_err as fs;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::assembly::Assembly;
use crate::model::digest::Digest;
use crate::model::event::Event;
use crate::model::image_path::ImagePath;
use crate::model::platform::Architecture;
use crate::model::request::{Bytecode, Request};
use crate::model::tree::{Node, Tree};
use crate::outside::sandbox::{Job, SandboxError};
use crate::outside::store::StoreError;
use crate::outside::world::World;

/// Finds what start-up imports, and compiles; its own words tell how.
const DRIVER: &str = include_str!("driver.py");

/// Where the image lies in the sandbox of the Python that compiles for it.
const IMAGE: &str = "/run/lath-image";

#[derive(Debug, Error)]
pub(crate) enum CompileError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("cannot compile Python files in the sandbox: the image's python exits with {exit_code}: {said}")]
    Python { exit_code: i32, said: String },
    #[error("cannot read the bytecode that the image's python made")]
    Read(#[source] std::io::Error),
}

#[derive(Debug, Serialize, Deserialize)]
struct Compiled {
    source: ImagePath,
    digest: Digest,
    size_bytes: u64,
}

/// Adds bytecode as the request says. `workshop` is a tree of the same release whose Python this machine runs, where
/// it does not run the tree's own.
pub(crate) fn compile(
    mut slim: Tree,
    assembly: &Assembly,
    request: &Request,
    workshop: Option<&Tree>,
    world: &World,
) -> Result<Tree, CompileError> {
    const SHELF: &str = "bytecode-2";
    if request.bytecode == Bytecode::None {
        return Ok(slim);
    }
    if Architecture::of_host().is_none() {
        let text = "no bytecode is in the image: no release has a Python for this machine's processor";
        world.listener.hear(Event::Warning(text.to_owned()));
        return Ok(slim);
    }
    let mut modules: Vec<&str> = assembly
        .scripts
        .iter()
        .filter(|script| script.is_requested || request.runtime.scripts.contains(&script.name))
        .filter_map(|script| script.module.as_deref())
        .collect();
    modules.sort_unstable();
    modules.dedup();
    let question = format!("{:?} {modules:?} {DRIVER}", request.bytecode);
    let key = Digest::of_fields([slim.digest().as_bytes().as_slice(), question.as_bytes()]);
    let compiled: Vec<Compiled> = match world.store.note::<Vec<Compiled>>(SHELF, &key) {
        Some(noted) if noted.iter().all(|one| world.store.holds(&one.digest, one.size_bytes)) => noted,
        _ => {
            let compiled = run(&slim, workshop, &modules, request, world)?;
            world.store.write_note(SHELF, &key, &compiled)?;
            compiled
        }
    };
    let tag = format!("cpython-{}{}", request.python.version.major, request.python.version.minor);
    for one in compiled {
        let Some(origin) = slim.nodes.get(&one.source).map(|node| node.origin.clone()) else { continue };
        let Some(directory) = one.source.parent() else { continue };
        let stem = one.source.file_name().trim_end_matches(".py");
        let Ok(path) = directory.join(&format!("__pycache__/{stem}.{tag}.pyc")) else { continue };
        slim.insert(path, Node::file(one.digest, one.size_bytes, 0o644, origin));
    }
    Ok(slim)
}

fn run(
    slim: &Tree,
    workshop: Option<&Tree>,
    modules: &[&str],
    request: &Request,
    world: &World,
) -> Result<Vec<Compiled>, CompileError> {
    let version = request.python.version;
    let home = world.store.temporary_dir()?;
    let (root, work) = (home.path().join("root"), home.path().join("work"));
    fs::create_dir(&root).map_err(CompileError::Read)?;
    fs::create_dir(&work).map_err(CompileError::Read)?;
    world.store.check_out(slim, &root)?;
    let image = root.clone();
    let root = match workshop {
        None => root,
        Some(workshop) => {
            let root = home.path().join("workshop");
            fs::create_dir(&root).map_err(CompileError::Read)?;
            world.store.check_out(workshop, &root)?;
            root
        }
    };
    let mode = if request.bytecode == Bytecode::All { "all" } else { "start" };
    let site = request.user_base.site(version);
    let roots = format!("/usr/lib/python{version}:{site}:/usr/lib/python3/dist-packages");
    // Without `site`, the process holds what the interpreter brings and nothing else.
    let mut argv = vec![format!("/usr/bin/python{version}"), "-S".to_owned(), "-c".to_owned(), DRIVER.to_owned()];
    argv.extend([IMAGE.to_owned(), mode.to_owned(), roots]);
    argv.extend(modules.iter().map(|module| (*module).to_owned()));
    let env = [("PYTHONHASHSEED", "0"), ("PYTHONDONTWRITEBYTECODE", "1"), ("HOME", "/home/app"), ("LANG", "C.UTF-8")];
    let job = Job {
        argv,
        env: env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<BTreeMap<_, _>>(),
        cwd: "/tmp".to_owned(),
        writable: vec![(work.clone(), "/work".to_owned())],
        readable: vec![(image, IMAGE.to_owned())],
        timeout_secs: 600,
        ..Job::default()
    };
    let outcome = world.sandbox.run(&root, &job)?;
    if outcome.exit_code != 0 {
        let said = String::from_utf8_lossy(&outcome.stderr).trim().to_owned();
        return Err(CompileError::Python { exit_code: outcome.exit_code, said });
    }
    let mut compiled = Vec::new();
    for line in String::from_utf8_lossy(&outcome.stdout).lines() {
        let Some((number, path)) = line.split_once(' ') else { continue };
        let Ok(source) = ImagePath::parse(path) else { continue };
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let mut file = fs::File::open(work.join(format!("{number}.pyc"))).map_err(CompileError::Read)?;
        let (digest, size_bytes) = world.store.put_reader(&mut file)?;
        compiled.push(Compiled { source, digest, size_bytes });
    }
    Ok(compiled)
}
