//! Finds in the image the program and the modules that a command names.

use std::collections::BTreeSet;

use super::error::LaunchError;
use crate::model::image_path::ImagePath;
use crate::model::launch::Started;
use crate::model::modules::Modules;
use crate::model::request::LaunchRequest;
use crate::model::start_up::EntryPoint;
use crate::model::tree::{Kind, Tree};
use crate::outside::similar::similar;

/// Options whose value is a module or a file of the application. flask, celery and other programs have such options.
const OPTIONS_OF_MODULES: [&str; 3] = ["--app", "-A", "--settings"];
/// Programs that accept only a module as the value of an option in [`OPTIONS_OF_MODULES`]. If the image does not have
/// the module, the program cannot start.
const PROGRAMS_OF_MODULES: [&str; 2] = ["celery", "flask"];
/// Environment variables whose value is a module or a file of the application.
const VARIABLES_OF_MODULES: [&str; 2] = ["DJANGO_SETTINGS_MODULE", "FLASK_APP"];

/// The tree in which a command runs.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) tree: &'a Tree,
    /// The environment variables, each as `NAME=VALUE`.
    pub(super) env: &'a [String],
    pub(super) request: &'a LaunchRequest<'a>,
}

impl Place<'_> {
    /// Returns the command with the full path of its program.
    pub(super) fn located(&self, words: &[String]) -> Result<Vec<String>, LaunchError> {
        let Some((program, arguments)) = words.split_first() else { return Ok(Vec::new()) };
        let located = if program.contains('/') { self.by_path(program)? } else { self.by_name(program)? };
        Ok([&[located], arguments].concat())
    }

    fn by_path(&self, program: &str) -> Result<String, LaunchError> {
        let absolute = self.absolute(program);
        let Some((_, node)) = absolute.as_ref().and_then(|path| self.tree.find(path.as_str())) else {
            return Err(LaunchError::NoFile { path: program.to_owned() });
        };
        if !matches!(node.kind, Kind::File { .. }) || !node.is_executable() {
            return Err(LaunchError::NotExecutable { path: program.to_owned() });
        }
        Ok(absolute.map_or_else(|| program.to_owned(), |path| path.as_str().to_owned()))
    }

    fn by_name(&self, program: &str) -> Result<String, LaunchError> {
        let is_program = |path: &str| {
            self.tree.find(path).is_some_and(|(_, node)| matches!(node.kind, Kind::File { .. }) && node.is_executable())
        };
        let mut paths = self.search_path().map(|folder| format!("{folder}/{program}"));
        if let Some(path) = paths.find(|path| is_program(path)) {
            return Ok(path);
        }
        let folders: BTreeSet<&str> = self.search_path().collect();
        let is_there = |path: &&ImagePath| path.parent().is_some_and(|folder| folders.contains(folder.as_str()));
        let known: BTreeSet<&str> = self.tree.nodes.keys().filter(is_there).map(ImagePath::file_name).collect();
        let similar = similar(program, known).into_iter().map(str::to_owned).collect();
        Err(LaunchError::NoProgram { program: program.to_owned(), similar })
    }

    fn search_path(&self) -> impl Iterator<Item = &str> {
        let path = self.env.iter().find_map(|pair| pair.strip_prefix("PATH="));
        path.unwrap_or_default().split(':').filter(|folder| folder.starts_with('/'))
    }

    /// Returns the absolute form of a path. A relative path is relative to the work directory.
    fn absolute(&self, path: &str) -> Option<ImagePath> {
        if path.starts_with('/') {
            return ImagePath::parse(path).ok();
        }
        // The path is resolved like the target of a link in the work directory, because the kernel treats `..` in the
        // same way in both cases.
        let workdir = self.request.workdir().unwrap_or_else(ImagePath::root);
        Some(workdir.join("-").ok()?.resolve_link(path))
    }

    /// Refuses a module that the image does not contain, or that cannot run as a program.
    pub(super) fn check_module(&self, module: &str) -> Result<(), LaunchError> {
        let modules = self.modules();
        match modules.find(module) {
            Some(found) if found.is_package && modules.find(&format!("{module}.__main__")).is_none() => {
                Err(LaunchError::NoMain { module: module.to_owned() })
            }
            Some(_) => Ok(()),
            // The module is a namespace package. It can run if it has a `__main__`.
            None if modules.find(&format!("{module}.__main__")).is_some() => Ok(()),
            None => {
                let known = modules.top_level();
                let similar = similar(module, known.iter().map(String::as_str)).into_iter().map(str::to_owned);
                Err(LaunchError::NoModule { module: module.to_owned(), similar: similar.collect() })
            }
        }
    }

    fn modules(&self) -> Modules<'_> {
        let LaunchRequest { python, user_base, app, .. } = self.request;
        Modules::new(self.tree, *python, user_base.site(python.version)).with_application(*app)
    }

    /// Returns the modules and files of the image that a command names.
    pub(super) fn started(&self, argv: &[String]) -> Started {
        let mut started = Started::default();
        if let [shell, option, line] = argv
            && (shell.as_str(), option.as_str()) == ("/bin/sh", "-c")
        {
            return self.started_by_line(line);
        }
        let Some((program, arguments)) = argv.split_first() else { return started };
        let name = program.rsplit('/').next().unwrap_or_default();
        let is_script = program.strip_prefix(&self.request.user_base.program("")) == Some(name);
        started.script = is_script.then(|| name.to_owned());
        let is_python = name == "python" || name.starts_with("python3");
        let is_certain = PROGRAMS_OF_MODULES.contains(&name);
        let (mut expects_module, mut may_be_file) = (false, is_python);
        let mut arguments = arguments.iter();
        while let Some(word) = arguments.next() {
            if may_be_file && ["-W", "-X"].contains(&word.as_str()) {
                // The value of these two options of Python is skipped, because it is not a file.
                arguments.next();
                continue;
            }
            if expects_module {
                self.add_module(word, is_certain, &mut started);
            } else if word.starts_with('-') {
                match word.split_once('=') {
                    Some((option, value)) if OPTIONS_OF_MODULES.contains(&option) => {
                        self.add_module(value, is_certain, &mut started);
                    }
                    Some((_, value)) => self.add(value, &mut started),
                    None => {}
                }
            } else if may_be_file {
                self.add_file(word, &mut started);
            } else {
                self.add(word, &mut started);
            }
            let is_option_of_python = may_be_file && word.starts_with('-');
            expects_module = OPTIONS_OF_MODULES.contains(&word.as_str()) || (is_option_of_python && word == "-m");
            may_be_file = is_option_of_python && !expects_module && word != "-c";
        }
        let is_file = program.ends_with(".py");
        is_file.then(|| self.add_file(program, &mut started));
        for pair in self.env {
            let Some((name, value)) = pair.split_once('=') else { continue };
            VARIABLES_OF_MODULES.contains(&name).then(|| self.add_module(value, false, &mut started));
        }
        started
    }

    /// Returns the modules and files of the image that a line for a shell names. Only a simple command is understood.
    fn started_by_line(&self, line: &str) -> Started {
        let words = shlex::split(line).unwrap_or_default();
        let words: Vec<String> = words.into_iter().skip_while(|word| word == "exec").collect();
        self.located(&words).map(|argv| self.started(&argv)).unwrap_or_default()
    }

    /// Adds the module or the file that a word names, such as `app.main:app`, `wsgi:create()` or `main.py`.
    fn add(&self, word: &str, started: &mut Started) {
        if word.ends_with(".py") {
            self.add_file(word, started);
        } else if word.contains([':', '.']) && !word.contains('/') {
            self.add_module(word, false, started);
        }
    }

    /// Adds the module that a word names. If `is_certain` is set, the module is added even if the image does not have
    /// it. Its check fails then, and the user gets a message.
    fn add_module(&self, word: &str, is_certain: bool, started: &mut Started) {
        if word.ends_with(".py") {
            return self.add_file(word, started);
        }
        let (module, function) = word.split_once(':').map_or((word, None), |(module, rest)| (module, Some(rest)));
        let is_name = |name: &str| !name.is_empty() && name.chars().all(|one| one.is_alphanumeric() || one == '_');
        if !module.split('.').all(is_name) {
            return;
        }
        let modules = self.modules();
        let main = format!("{module}.__main__");
        if function.is_none() && modules.find(&main).is_some() {
            started.modules.insert(EntryPoint { module: main, function: None });
        }
        let name = function.map(|text| text.trim_end_matches("()")).filter(|name| is_name(name));
        let top = module.split('.').next().unwrap_or_default();
        // If the image has the package but not the module, the name may be misspelled. So the module is added: its
        // check fails, and the user gets a message.
        let is_misspelled = name.is_some() && modules.find(top).is_some();
        if is_certain || is_misspelled || modules.find(module).is_some() {
            let function = name.map(str::to_owned);
            started.modules.insert(EntryPoint { module: module.to_owned(), function });
        }
    }

    fn add_file(&self, word: &str, started: &mut Started) {
        let Some(path) = self.absolute(word) else { return };
        if self.tree.nodes.get(&path).is_some_and(|node| matches!(node.kind, Kind::File { .. })) {
            started.files.insert(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::application::{AppFiles, AppRequest};
    use crate::model::digest::Digest;
    use crate::model::request::Request;
    use crate::model::tree::{Node, Origin};

    fn tree() -> Tree {
        let mut tree = Tree::default();
        let mut insert = |path: &str, mode| {
            let node = Node::file(Digest::of(b"x"), 1, mode, Origin::Application);
            tree.insert(ImagePath::parse(path).unwrap(), node);
        };
        for program in ["python3.13", "sh"] {
            insert(&format!("/usr/bin/{program}"), 0o755);
        }
        for program in ["uvicorn", "flask", "celery"] {
            insert(&format!("/opt/app/bin/{program}"), 0o755);
        }
        for file in ["main.py", "app/main.py", "pack/__init__.py", "pack/__main__.py", "settings.py", "tools/x.py"] {
            insert(&format!("/app/{file}"), 0o644);
        }
        insert("/opt/app/lib/python3.13/site-packages/server/__main__.py", 0o644);
        tree.insert(ImagePath::parse("/usr/bin/python").unwrap(), Node::link("python3.13", Origin::Lath));
        tree.insert(ImagePath::parse("/bin").unwrap(), Node::link("usr/bin", Origin::Lath));
        tree
    }

    /// Calls `with` with the place of an application whose folder is `/app`.
    fn in_place<T>(env: &[&str], with: impl Fn(&Place<'_>) -> T) -> T {
        let mut request = Request::example();
        request.app = Some(AppRequest {
            folder: ".".into(),
            script: None,
            target: ImagePath::parse("/app").unwrap(),
            files: AppFiles::default(),
        });
        let mut env: Vec<String> = env.iter().map(|pair| (*pair).to_owned()).collect();
        env.push("PATH=/opt/app/bin:/usr/bin".to_owned());
        with(&Place { tree: &tree(), env: &env, request: &request.to_launch(*request.platforms.first()) })
    }

    fn words(line: &str) -> Vec<String> {
        shlex::split(line).unwrap()
    }

    /// Returns the modules and files that a command names, as text.
    fn named(line: &str, env: &[&str]) -> String {
        let started = in_place(env, |place| place.started(&place.located(&words(line)).unwrap()));
        let entry = |entry: &EntryPoint| match &entry.function {
            Some(function) => format!("{}:{function}", entry.module),
            None => entry.module.clone(),
        };
        let modules = started.modules.iter().map(entry);
        let parts = started.script.into_iter().chain(modules).chain(started.files.iter().map(ToString::to_string));
        parts.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_command_names_modules_and_files() {
        let table = [
            ("uvicorn app.main:app --host 0.0.0.0", "uvicorn app.main:app"),
            ("uvicorn --factory 'app.main:create()'", "uvicorn app.main:create"),
            ("flask --app main run", "flask main"),
            ("flask --app=main.py run", "flask /app/main.py"),
            ("celery -A pack worker", "celery pack pack.__main__"),
            ("celery -A absent worker", "celery absent"),
            ("uvicorn -A absent", "uvicorn"),
            ("python main.py app.main", "app.main /app/main.py"),
            ("python -X dev -m pack settings", "pack pack.__main__"),
            ("python -m server app.main:app", "app.main:app server.__main__"),
            ("python -u ./tools/x.py", "/app/tools/x.py"),
            ("python -c 'import main' main.py", "/app/main.py"),
            ("uvicorn other.main:app 1.5 a/b.c", "uvicorn"),
            ("uvicorn pack.mian:app", "uvicorn pack.mian:app"),
            ("/bin/sh -c 'exec uvicorn app.main:app --port $PORT'", "uvicorn app.main:app"),
            ("/bin/sh -c 'unknown app.main:app'", ""),
        ];
        for (line, expected) in table {
            assert_eq!(named(line, &[]), expected, "{line}");
        }
        assert_eq!(named("python main.py", &["DJANGO_SETTINGS_MODULE=settings"]), "settings /app/main.py");
    }

    #[test]
    fn a_program_is_found_on_the_path_or_by_its_path() {
        let located = |line: &str| {
            in_place(&[], |place| {
                place.located(&words(line)).map(|argv| argv.join(" ")).map_err(|error| error.to_string())
            })
        };
        for (line, expected) in [
            ("uvicorn x", Ok("/opt/app/bin/uvicorn x")),
            ("python", Ok("/usr/bin/python")),
            ("/bin/sh", Ok("/bin/sh")),
            ("../opt/app/bin/flask", Ok("/opt/app/bin/flask")),
            ("main.py", Err("cannot run `main.py`: the image has no such program")),
            ("./main.py", Err("cannot run `./main.py`: it is not executable")),
            ("./app", Err("cannot run `./app`: it is not executable")),
            ("./none", Err("cannot run `./none`: the image has no such file")),
        ] {
            assert_eq!(located(line), expected.map(str::to_owned).map_err(str::to_owned), "{line}");
        }
        let error = in_place(&[], |place| place.located(&words("uvicron"))).unwrap_err();
        assert!(matches!(error, LaunchError::NoProgram { similar, .. } if similar == ["uvicorn"]));
    }

    #[test]
    fn a_module_must_be_one_that_can_run() {
        let checked =
            |module: &str| in_place(&[], |place| place.check_module(module).map_err(|error| error.to_string()));
        for module in ["main", "pack", "server", "app.main"] {
            assert_eq!(checked(module), Ok(()), "{module}");
        }
        assert_eq!(
            checked("pack.none").unwrap_err(),
            "cannot run the module `pack.none`: the image does not contain it"
        );
        let error = in_place(&[], |place| place.check_module("mian")).unwrap_err();
        assert!(matches!(error, LaunchError::NoModule { similar, .. } if similar == ["main"]));
    }
}
