//! Adds bytecode, made by the image's own Python in the sandbox: unchecked hash-based .pyc files (PEP 552), which carry
//! no time and are read without looking at the source.

use std::collections::BTreeMap;

use fs_err as fs;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::assembly::Assembly;
use crate::model::digest::Digest;
use crate::model::image_path::ImagePath;
use crate::model::platform::{Architecture, Platform};
use crate::model::request::{Bytecode, Request};
use crate::model::tree::{Node, Tree};
use crate::outside::sandbox::{Job, SandboxError};
use crate::outside::store::StoreError;
use crate::outside::world::World;

/// Compiles what it is told, and tells what it compiled: a line `NUMBER PATH` for each `NUMBER.pyc` in `/work`.
/// Start-up's modules are those that importing the entry points' modules loads; one that fails is passed over.
const DRIVER: &str = r#"
import importlib, importlib.util, importlib._bootstrap_external as external, os, sys
mode, roots, modules = sys.argv[1], sys.argv[2].split(":"), sys.argv[3:]
paths = set()
if mode == "start":
    output, sys.stdout = sys.stdout, sys.stderr
    for module in modules:
        try:
            importlib.import_module(module)
        except BaseException:
            pass
    sys.stdout = output
    paths.update(getattr(module, "__file__", None) or "" for module in list(sys.modules.values()))
    paths.update((getattr(module, "__cached__", None) and module.__file__) or "" for module in list(sys.modules.values()))
    frozen = (getattr(getattr(m, "__spec__", None), "loader_state", None) for m in list(sys.modules.values()))
    paths.update(getattr(state, "filename", None) or "" for state in frozen)
else:
    for root in roots:
        for directory, _, names in os.walk(root):
            paths.update(os.path.join(directory, name) for name in names)
number = 0
for path in sorted(path for path in paths if path.endswith(".py") and any(path.startswith(r + "/") for r in roots)):
    try:
        with open(path, "rb") as file:
            source = file.read()
        code = compile(source, path, "exec", dont_inherit=True)
        data = external._code_to_hash_pyc(code, importlib.util.source_hash(source), False)
    except (SyntaxError, ValueError, OSError, RecursionError):
        continue
    with open(f"/work/{number}.pyc", "wb") as file:
        file.write(data)
    print(number, path)
    number += 1
"#;

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

/// Adds bytecode as the request says. A tree for another processor than this machine's stays as it is.
pub(crate) fn compile(
    mut slim: Tree,
    assembly: &Assembly,
    request: &Request,
    platform: Platform,
    world: &World,
) -> Result<Tree, CompileError> {
    const SHELF: &str = "bytecode-1";
    if request.bytecode == Bytecode::None || Architecture::of_host() != Some(platform.architecture) {
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
            let compiled = run(&slim, &modules, request, world)?;
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

fn run(slim: &Tree, modules: &[&str], request: &Request, world: &World) -> Result<Vec<Compiled>, CompileError> {
    let version = request.python.version;
    let home = world.store.temporary_dir()?;
    let (root, work) = (home.path().join("root"), home.path().join("work"));
    fs::create_dir(&root).map_err(CompileError::Read)?;
    fs::create_dir(&work).map_err(CompileError::Read)?;
    world.store.check_out(slim, &root)?;
    let mode = if request.bytecode == Bytecode::All { "all" } else { "start" };
    let roots = format!("/usr/lib/python{version}:/usr/lib/python3:{}", request.user_base.site(version));
    let mut argv =
        vec![format!("/usr/bin/python{version}"), "-c".to_owned(), DRIVER.to_owned(), mode.to_owned(), roots];
    argv.extend(modules.iter().map(|module| (*module).to_owned()));
    let env = [("PYTHONHASHSEED", "0"), ("PYTHONDONTWRITEBYTECODE", "1"), ("HOME", "/home/app"), ("LANG", "C.UTF-8")];
    let job = Job {
        argv,
        env: env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<BTreeMap<_, _>>(),
        cwd: "/tmp".to_owned(),
        writable: vec![(work.clone(), "/work".to_owned())],
        timeout_secs: 600,
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
