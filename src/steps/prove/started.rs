//! The checks of the modules and files that the image's command names. The modules and files are imported and not run,
//! because a server would not end.

use super::ProveError;
use super::checks::{Item, Named};
use crate::model::image_path::ImagePath;
use crate::model::made::Made;
use crate::model::modules::Modules;
use crate::model::python_file::PythonFile;
use crate::model::receipt::ItemKind;
use crate::model::request::ProveRequest;
use crate::model::start_up::PythonSource as _;
use crate::outside::python_files::PythonFiles;
use crate::outside::store::Store;

/// Returns the imports that check the command. If a file contains `__name__` and has a module name, the file itself is
/// imported. Such a file probably does its work only if it is run as a program, so an import is safe. For other files,
/// an import could start the work of the program, so only the modules that the file imports are imported.
pub(super) fn named(made: &Made, request: &ProveRequest<'_>, store: &Store) -> Result<Named, ProveError> {
    let started = &made.launch.started;
    let tree = &made.assembly.tree;
    let modules = Modules::new(tree, request.python, request.user_base.site(request.python.version))
        .with_application(request.app);
    let mut python_files = PythonFiles::new(tree, &made.assembly.facts, store);
    let mut names: Vec<String> = Vec::new();
    let mut programs: Vec<Program> = started.files.iter().map(|path| program_of_file(path, request)).collect();
    for entry in &started.modules {
        match modules.find(&entry.module).filter(|_| entry.module.ends_with(".__main__")) {
            Some(found) => programs.push(Program { path: found.path, module: Some(entry.module.clone()) }),
            None => names.push(match &entry.function {
                Some(function) => format!("{}:{function}", entry.module),
                None => entry.module.clone(),
            }),
        }
    }
    for program in programs {
        let has_guard = memchr::memmem::find(&python_files.contents(&program.path)?, b"__name__").is_some();
        match program.module {
            Some(module) if has_guard => names.push(module),
            module => {
                let file = python_files.read(&[&program.path])?.pop().flatten();
                names.extend(file.iter().flat_map(|file| imports(file, module.as_deref())));
            }
        }
    }
    names.sort();
    names.dedup();
    let item = |name: String| Item { kind: ItemKind::Modules, name: format!("import {name}"), argument: name };
    Ok(Named { script: started.script.clone(), items: names.into_iter().map(item).collect() })
}

/// A file that runs as a program. If it can be imported, it also has the name of a module.
struct Program {
    path: ImagePath,
    module: Option<String>,
}

fn program_of_file(path: &ImagePath, request: &ProveRequest<'_>) -> Program {
    let module = request.app.and_then(|app| {
        let inside = path.as_str().strip_prefix(app.target.as_str())?.trim_start_matches('/');
        let module = inside.strip_suffix(".py").filter(|module| !module.contains('.'))?;
        Some(module.replace('/', "."))
    });
    Program { path: path.clone(), module }
}

/// Returns the modules that a file imports. Modules whose absence the file handles are left out.
fn imports(file: &PythonFile, module: Option<&str>) -> Vec<String> {
    let package = module.map_or("", crate::model::modules::parent);
    let needed = file.at_import().filter(|import| !import.is_optional);
    needed.filter_map(|import| import.module(package)).filter(|module| module != "__future__").collect()
}
