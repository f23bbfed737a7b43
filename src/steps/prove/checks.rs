//! The checks of a tree: commands that run, and lists of modules and libraries that are imported or loaded.

use serde::Serialize;

use super::data_files;
use super::help::{self, HELP_SECS, Help};
use super::imports;
use super::modules::promised;
use super::own_code::OwnCode;
use crate::model::assembly::{Assembly, InstalledScript};
use crate::model::facts::is_extension_module;
use crate::model::image_path::ImagePath;
use crate::model::launch::Exposed;
use crate::model::made::Made;
use crate::model::options::TrimLevel;
use crate::model::receipt::ItemKind;
use crate::model::request::ProveRequest;
use crate::model::tree::{Kind, Origin, Tree};

/// The time limit of one of lath's own checks. A limit is needed, because a script that does not support `--version`
/// may start a server.
const DEFAULT_SECS: u64 = 20;

/// The time limit of one of the user's checks.
const ASKED_SECS: u64 = 120;

/// The number of items that one process imports or loads. A larger number is faster, because more imports are shared. A
/// smaller number uses more cores.
const BATCH: usize = 24;

/// The check for every image's Python. It runs with a cleared environment and without the user base. The first text of
/// each pair is a module, which is imported if the image has it. The second text is code that uses the module.
const PYTHON: [(&str, &str); 5] = [
    ("ssl", "assert ssl.create_default_context().cert_store_stats()['x509'] > 0, 'no certificates'\n"),
    ("sqlite3", ""),
    ("zoneinfo", "zoneinfo.ZoneInfo('Europe/Berlin')\n"),
    ("decimal", ""),
    ("ctypes", ""),
];

/// The number of reached modules that one process imports. The same number holds for shared libraries and data files.
/// Modules of the same package follow one another, and share the imports of the package.
const SHARED: usize = 160;

/// The limits of one import, in seconds of processor time, and of one process with many imports, in seconds.
const IMPORT_SECS: u64 = 5;
const PROCESS_SECS: u64 = 60;

/// The program that imports modules and loads libraries.
pub(super) const DRIVER: &str = include_str!("driver.py");

/// A check. The trimmed and the untrimmed tree must give the same result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Task {
    Command(Command),
    Help(Help),
    Batch(Batch),
}

/// The part of a key that describes a task: everything on which the result depends, except the tree.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum TaskKey<'a> {
    Command {
        name: &'a str,
        attempts: &'a [Vec<String>],
        is_cleared: bool,
        has_loopback: bool,
        user: Option<u32>,
        timeout_secs: u64,
        must: bool,
        scope: Scope,
    },
    Help {
        name: &'a str,
        driver: &'a [String],
        user: Option<u32>,
        timeout_secs: u64,
    },
    Batch {
        driver: &'a [String],
        items: &'a [Item],
        scope: Scope,
        user: Option<u32>,
        timeout_secs: u64,
        item_secs: Option<u64>,
    },
}

/// The files on which a result depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Scope {
    /// All files except the user base. Python runs isolated, so it reads nothing in the user base.
    Base,
    /// All files except the user's own code.
    Others,
    Image,
}

impl Task {
    pub(super) fn scope(&self) -> Scope {
        match self {
            Self::Command(command) => command.scope,
            Self::Help(_) => Scope::Image,
            Self::Batch(batch) => batch.scope,
        }
    }

    pub(super) fn key(&self) -> TaskKey<'_> {
        match self {
            Self::Command(Command { name, attempts, circumstances, must, is_extra: _, scope }) => {
                let Circumstances { is_cleared, has_loopback, user, timeout_secs } = *circumstances;
                let (must, scope) = (*must, *scope);
                TaskKey::Command { name, attempts, is_cleared, has_loopback, user, timeout_secs, must, scope }
            }
            Self::Help(Help { name, driver, user, timeout_secs }) => {
                TaskKey::Help { name, driver, user: *user, timeout_secs: *timeout_secs }
            }
            // `is_shared` is not in the key, because `item_secs` shows it: items share processes if they have a time
            // limit.
            Self::Batch(Batch { driver, items, scope, user, timeout_secs, item_secs, is_shared: _ }) => {
                let (scope, user, timeout_secs, item_secs) = (*scope, *user, *timeout_secs, *item_secs);
                TaskKey::Batch { driver, items, scope, user, timeout_secs, item_secs }
            }
        }
    }

    /// If the task is a batch, returns a batch with only the items in `indexes`. Any other task is returned unchanged.
    pub(super) fn only(&self, indexes: &[usize]) -> Self {
        match self {
            Self::Command(_) | Self::Help(_) => self.clone(),
            Self::Batch(batch) => {
                let items = indexes.iter().filter_map(|&index| batch.items.get(index).cloned()).collect();
                Self::Batch(Batch { items, ..batch.clone() })
            }
        }
    }

    /// Returns the number of items of the task. A command counts as one item, and so does the help of a program.
    pub(super) fn items(&self) -> usize {
        match self {
            Self::Command(_) | Self::Help(_) => 1,
            Self::Batch(batch) => batch.items.len(),
        }
    }

    /// Returns the name of one of the items, or of the command.
    pub(super) fn name(&self, item: usize) -> String {
        match self {
            Self::Command(command) => command.name.clone(),
            Self::Help(help) => format!("{} --help", help.name),
            Self::Batch(batch) => batch.items.get(item).map(|item| item.name.clone()).unwrap_or_default(),
        }
    }

    /// Whether the check must succeed, even if it fails in the untrimmed tree.
    pub(super) fn must(&self) -> bool {
        matches!(self, Self::Command(command) if command.must)
    }
}

#[cfg(test)]
impl Task {
    /// Returns the check that loads extension modules, for tests.
    pub(super) fn of_extension_modules(names: &[&str]) -> Self {
        let item = |name: &&str| Item {
            kind: ItemKind::ExtensionModules,
            name: (*name).to_owned(),
            argument: (*name).to_owned(),
        };
        let items = names.iter().map(item).collect();
        let (driver, scope) = (Vec::new(), Scope::Image);
        Self::Batch(Batch { driver, items, scope, user: None, timeout_secs: 1, item_secs: None, is_shared: false })
    }

    pub(super) fn of_script(name: &str) -> Self {
        Self::Command(Command {
            name: name.to_owned(),
            attempts: Vec::new(),
            circumstances: Circumstances::within(1),
            must: false,
            is_extra: false,
            scope: Scope::Image,
        })
    }
}

/// A command, or several alternative commands. The first alternative that succeeds counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) name: String,
    pub(super) attempts: Vec<Vec<String>>,
    pub(super) circumstances: Circumstances,
    /// Whether the command must succeed, even if it fails in the untrimmed tree.
    pub(super) must: bool,
    /// Whether no distribution promises that the command works. If such a command fails in both trees, this is not
    /// reported.
    pub(super) is_extra: bool,
    pub(super) scope: Scope,
}

/// How a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Circumstances {
    /// Whether the environment is cleared.
    pub(super) is_cleared: bool,
    /// Whether a client and a server in the sandbox can talk to each other.
    pub(super) has_loopback: bool,
    /// The ID of the user as whom the command runs. `None` is the user of the image. Other users are needed because
    /// some platforms run each container as another user.
    pub(super) user: Option<u32>,
    /// The time limit. 0 means no limit.
    pub(super) timeout_secs: u64,
}

impl Circumstances {
    /// The default circumstances, with this time limit.
    pub(super) fn within(timeout_secs: u64) -> Self {
        Self { is_cleared: false, has_loopback: false, user: None, timeout_secs }
    }
}

/// Modules or libraries that one process imports or loads, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    /// The command of the driver, to which the items are added: Python and its arguments.
    pub(super) driver: Vec<String>,
    pub(super) items: Vec<Item>,
    pub(super) scope: Scope,
    /// The user as whom the driver runs, as in [`Circumstances`].
    pub(super) user: Option<u32>,
    pub(super) timeout_secs: u64,
    /// The time limit of each item, in seconds of processor time. With a limit, the driver also requires that the file
    /// of each module exists.
    pub(super) item_secs: Option<u64>,
    /// Whether the items share processes even if some of them fail. Otherwise, an item that fails is repeated in a
    /// separate process.
    pub(super) is_shared: bool,
}

/// A module or library that is imported or loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Item {
    pub(super) kind: ItemKind,
    /// The name for people.
    pub(super) name: String,
    /// The argument for the driver.
    pub(super) argument: String,
}

/// The parts of an image that its command names. They are checked.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// A console script.
    pub(super) script: Option<String>,
    /// The imports that run at start-up.
    pub(super) items: Vec<Item>,
}

/// Returns all checks. Imports and loads are first. Then come the commands that must succeed, so that they run before
/// the time is over. Then come the scripts. The user's checks as another user are last.
pub(super) fn tasks(made: &Made, request: &ProveRequest<'_>, named: Named, own: &OwnCode) -> Vec<Task> {
    let Made { tree, assembly, .. } = made;
    let python = request.python.program();
    let run = |scope: Scope, code: &str| {
        let options: &[&str] = if scope == Scope::Base { &["-I", "-c"] } else { &["-c"] };
        let words = std::iter::once(python.as_str()).chain(options.iter().copied()).chain([code]);
        words.map(str::to_owned).collect::<Vec<String>>()
    };
    let site = request.user_base.site(request.python.version);
    let stdlib = format!("{}/lib-dynload", request.python.stdlib());
    // Scripts import most of the promised modules, so the imports of scripts and of modules share processes.
    let imports = |is_own: bool| {
        let is_wanted = |distribution: &str| own.is_of(distribution) == is_own;
        let scripts = entry_points(tree, assembly, &request.user_base.bin(), is_wanted);
        [scripts, promised_modules(assembly, &site, is_wanted)].concat()
    };
    let user = other_user(made, request);
    let lists = [
        (if own.is_apart() { Scope::Others } else { Scope::Image }, imports(false)),
        (Scope::Image, imports(true)),
        // The imports of the application are separate, because an application may change its process so much that other
        // imports fail in it.
        (Scope::Image, named.items),
        (Scope::Image, extension_modules(tree, &site)),
        // The extension modules of a base image's own Python are not checked.
        (Scope::Base, if request.python.home.is_of_release() { extension_modules(tree, &stdlib) } else { Vec::new() }),
    ];
    // The imports of reached modules take longest, so they begin first.
    let mut tasks = inner_loads(made, request, run(Scope::Image, DRIVER), user);
    for (scope, items) in lists {
        tasks.extend(items.chunks(BATCH).map(|items| {
            let (driver, items) = (run(scope, DRIVER), items.to_vec());
            let (timeout_secs, item_secs) = (DEFAULT_SECS, None);
            Task::Batch(Batch { driver, items, scope, user, timeout_secs, item_secs, is_shared: false })
        }));
    }
    tasks.push(Task::Command(Command {
        name: "python".to_owned(),
        attempts: vec![run(Scope::Base, &python_check(tree, &request.python.stdlib()))],
        circumstances: Circumstances { is_cleared: true, user, ..Circumstances::within(DEFAULT_SECS) },
        // The Python of a base image may lack parts, such as certificates, on purpose.
        must: request.python.home.is_of_release(),
        is_extra: false,
        scope: Scope::Base,
    }));
    let checks = || request.proof.checks.iter();
    tasks.extend(checks().map(|command| of_user(command, None)));
    for script in asked_scripts(made, request, named.script.as_deref()) {
        tasks.push(version(script, request, user));
        if user.is_some() {
            tasks.extend(help(script, request, run(Scope::Image, help::DRIVER), user));
        }
    }
    tasks.extend(user.into_iter().flat_map(|user| checks().map(move |command| of_user(command, Some(user)))));
    tasks
}

/// Returns the console scripts that run as checks. `started` is the script with which the image starts. With
/// `--only-scripts`, trim removes other scripts on purpose, so they are not checked. But such a script is checked if it
/// stays because a program needs it.
fn asked_scripts<'a>(made: &'a Made, request: &ProveRequest<'_>, started: Option<&str>) -> Vec<&'a InstalledScript> {
    let bin = request.user_base.bin();
    let exposed = Exposed { only_scripts: request.only_scripts, named: request.scripts, started };
    let is_asked = |script: &&InstalledScript| {
        let name = &script.name;
        let is_wanted = script.is_requested || request.scripts.contains(name) || started == Some(name);
        is_wanted && (exposed.contains(name) || made.tree.find(&format!("{bin}/{name}")).is_some())
    };
    made.assembly.scripts.iter().filter(is_asked).collect()
}

/// Returns the ID of another user as whom lath runs its own checks. Platforms such as OpenShift choose such IDs. The ID
/// depends only on the files outside of the user base. So a proof has the same result every time, and results that
/// depend only on these files can be reused. Below the level `reach`, returns `None`, and the checks run as the user of
/// the image.
fn other_user(made: &Made, request: &ProveRequest<'_>) -> Option<u32> {
    const FIRST: u32 = 1_000_000_000;
    if request.level < TrimLevel::Reach {
        return None;
    }
    let user_base = request.user_base.path().as_str();
    let digest = made.assembly.tree.digest_of(|path, _| !path.is_within(user_base)).to_string();
    let digits = digest.get(..7).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    Some(FIRST + digits.unwrap_or_default())
}

/// Returns the imports of all reached modules, the loads of all shared libraries, and the reads of data files. `driver`
/// is the command that starts Python with the driver.
fn inner_loads(made: &Made, request: &ProveRequest<'_>, driver: Vec<String>, user: Option<u32>) -> Vec<Task> {
    if request.level < TrimLevel::Reach {
        return Vec::new();
    }
    let module = |name: String| Item { kind: ItemKind::InnerModules, name: format!("import {name}"), argument: name };
    let modules: Vec<Item> = imports::names(made, request).into_iter().map(module).collect();
    let batch = |items: &[Item]| Batch {
        driver: driver.clone(),
        items: items.to_vec(),
        scope: Scope::Image,
        user,
        timeout_secs: PROCESS_SECS,
        item_secs: Some(IMPORT_SECS),
        is_shared: true,
    };
    let libraries = shared_libraries(&made.tree);
    let data: Vec<Item> = data_files::named(made, request).iter().map(read_of).collect();
    let lists = [modules, libraries, data];
    lists.iter().flat_map(|items| items.chunks(SHARED)).map(|items| Task::Batch(batch(items))).collect()
}

/// Returns the item that reads a file. The argument begins with `<`, because a path without this sign would be loaded
/// as a library.
fn read_of(path: &ImagePath) -> Item {
    Item { kind: ItemKind::DataFiles, name: format!("read {path}"), argument: format!("<{path}") }
}

/// Returns the shared libraries of the tree that are not extension modules.
fn shared_libraries(tree: &Tree) -> Vec<Item> {
    let is_version = |rest: &str| rest.chars().all(|c| c.is_ascii_digit() || c == '.');
    let is_library = |name: &str| name.split_once(".so").is_some_and(|(_, rest)| is_version(rest));
    let files = tree.nodes.iter().filter(|(path, node)| {
        let name = path.file_name();
        let is_own = matches!(node.kind, Kind::File { .. }) && node.origin != Origin::Base;
        is_own && is_library(name) && !is_extension_module(name)
    });
    let item =
        |path: &ImagePath| Item { kind: ItemKind::SharedLibraries, name: path.to_string(), argument: path.to_string() };
    files.map(|(path, _)| item(path)).collect()
}

/// Returns a `--check` of the user. If it runs as the image's user, it must succeed. If it runs as another user, it
/// must have the same result in both trees.
fn of_user(command: &str, user: Option<u32>) -> Task {
    Task::Command(Command {
        name: if user.is_some() { format!("{command} as another user") } else { command.to_owned() },
        attempts: vec![shlex::split(command).unwrap_or_default()],
        circumstances: Circumstances { has_loopback: true, user, ..Circumstances::within(ASKED_SECS) },
        must: user.is_none(),
        is_extra: user.is_some(),
        scope: Scope::Image,
    })
}

/// Returns the check of a script with `--version`, or else `--help`.
fn version(script: &InstalledScript, request: &ProveRequest<'_>, user: Option<u32>) -> Task {
    let with = |option: &str| vec![request.user_base.program(&script.name), option.to_owned()];
    Task::Command(Command {
        name: script.name.clone(),
        attempts: vec![with("--version"), with("--help")],
        circumstances: Circumstances { user, ..Circumstances::within(DEFAULT_SECS) },
        must: false,
        is_extra: false,
        scope: Scope::Image,
    })
}

/// Returns the check that runs `--help` of a script and of its subcommands. `driver` is the command that starts Python
/// with the driver.
fn help(
    script: &InstalledScript,
    request: &ProveRequest<'_>,
    mut driver: Vec<String>,
    user: Option<u32>,
) -> Option<Task> {
    driver.push(format!("{}:{}", script.module.as_ref()?, script.attribute.as_ref()?));
    driver.push(request.user_base.program(&script.name));
    Some(Task::Help(Help { name: script.name.clone(), driver, user, timeout_secs: HELP_SECS }))
}

/// Returns the program that checks Python itself.
fn python_check(tree: &Tree, stdlib: &str) -> String {
    let is_there =
        |name: &str| ["/__init__.py", ".py"].iter().any(|end| tree.find(&format!("{stdlib}/{name}{end}")).is_some());
    let there: Vec<&(&str, &str)> = PYTHON.iter().filter(|(name, _)| is_there(name)).collect();
    let names: String = there.iter().map(|(name, _)| format!("{name}, ")).collect();
    let lines: String = there.iter().map(|(_, lines)| *lines).collect();
    let encoding = "assert sys.getfilesystemencoding() == 'utf-8', sys.getfilesystemencoding()\n";
    format!("import {names}sys\n{encoding}{lines}")
}

/// Returns the entry points of the console scripts in the tree. Scripts of distributions for which `is_wanted` is false
/// are left out.
fn entry_points(tree: &Tree, assembly: &Assembly, bin: &str, is_wanted: impl Fn(&str) -> bool) -> Vec<Item> {
    let target = |script: &InstalledScript| {
        let argument = format!("{}:{}", script.module.as_ref()?, script.attribute.as_ref()?);
        Some(Item { kind: ItemKind::ScriptImports, name: script.name.clone(), argument })
    };
    let is_there = |script: &&InstalledScript| {
        is_wanted(&script.distribution) && tree.find(&format!("{bin}/{}", script.name)).is_some()
    };
    assembly.scripts.iter().filter(is_there).filter_map(target).collect()
}

/// Returns the modules that the requested distributions promise, according to the untrimmed tree. Distributions for
/// which `is_wanted` is false are left out.
fn promised_modules(assembly: &Assembly, site: &str, is_wanted: impl Fn(&str) -> bool) -> Vec<Item> {
    let is_requested = |name: &str| is_wanted(name) && assembly.programs.iter().any(|program| program.name == name);
    let modules = promised(&assembly.tree, site, is_requested).into_iter();
    modules.map(|name| Item { kind: ItemKind::Modules, name: format!("import {name}"), argument: name }).collect()
}

/// Returns the extension modules in `directory`.
fn extension_modules(tree: &Tree, directory: &str) -> Vec<Item> {
    tree.nodes
        .iter()
        .filter(|(path, node)| {
            matches!(node.kind, Kind::File { .. }) && path.is_within(directory) && is_extension_module(path.file_name())
        })
        .map(|(path, _)| {
            let short = path.as_str().strip_prefix(directory).unwrap_or(path.as_str()).trim_start_matches('/');
            let (name, argument) = (short.to_owned(), path.as_str().to_owned());
            Item { kind: ItemKind::ExtensionModules, name, argument }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::tree::Node;

    #[test]
    fn every_script_of_the_tree_with_an_entry_point_is_imported() {
        let script = |name: &str, module: Option<&str>| InstalledScript {
            name: name.to_owned(),
            distribution: "d".to_owned(),
            module: module.map(str::to_owned),
            attribute: module.map(|_| "main".to_owned()),
            is_requested: false,
        };
        let scripts = vec![script("one", Some("d.cli")), script("two.sh", None), script("gone", Some("d.gone"))];
        let mut tree = Tree::default();
        for name in ["one", "two.sh"] {
            let path = ImagePath::parse(&format!("/opt/app/bin/{name}")).unwrap();
            tree.insert(path, Node::file(Digest::of(b""), 0, 0o755, Origin::Lath));
        }
        let assembly = Assembly { scripts, ..Assembly::default() };
        assert_eq!(entry_points(&tree, &assembly, "/opt/app/bin", |name| name != "d"), []);
        let item =
            |kind, name: &str, argument: &str| Item { kind, name: name.to_owned(), argument: argument.to_owned() };
        assert_eq!(
            entry_points(&tree, &assembly, "/opt/app/bin", |name| name == "d"),
            [item(ItemKind::ScriptImports, "one", "d.cli:main")]
        );
    }

    #[test]
    fn shared_libraries_are_loaded_and_neither_their_links_nor_other_files_with_similar_names() {
        let mut tree = Tree::default();
        for path in
            ["/usr/lib/libz.so.1.3", "/usr/lib/a.so", "/usr/lib/libx.so.hmac", "/opt/x.cpython-313-x86_64-linux-gnu.so"]
        {
            tree.insert(ImagePath::parse(path).unwrap(), Node::file(Digest::of(b"x"), 1, 0o644, Origin::Lath));
        }
        let target = "libz.so.1.3".to_owned();
        let link = Node { kind: Kind::Link { target }, ..tree.nodes.values().next().unwrap().clone() };
        tree.insert(ImagePath::parse("/usr/lib/libz.so.1").unwrap(), link);
        let base = Node { origin: Origin::Base, ..Node::file(Digest::of(b"x"), 1, 0o644, Origin::Base) };
        tree.insert(ImagePath::parse("/usr/lib/libbase.so").unwrap(), base);
        let names: Vec<String> = shared_libraries(&tree).into_iter().map(|item| item.name).collect();
        assert_eq!(names, ["/usr/lib/a.so", "/usr/lib/libz.so.1.3"]);
    }

    #[test]
    fn modules_of_a_folder_are_loaded_and_no_other_library() {
        let mut tree = Tree::default();
        for path in [
            "/opt/app/lib/python3.13/site-packages/n/_x.cpython-313-x86_64-linux-gnu.so",
            "/opt/app/lib/python3.13/site-packages/c/_rust.abi3.so",
            "/opt/app/lib/python3.13/site-packages/n.libs/libblas.so",
            "/usr/lib/python3.13/lib-dynload/_lzma.cpython-313-x86_64-linux-gnu.so",
            "/usr/lib/x86_64-linux-gnu/libz.so",
        ] {
            tree.insert(ImagePath::parse(path).unwrap(), Node::file(Digest::of(b"x"), 1, 0o644, Origin::Lath));
        }
        let names =
            |directory: &str| extension_modules(&tree, directory).into_iter().map(|item| item.name).collect::<Vec<_>>();
        let site = ["c/_rust.abi3.so", "n/_x.cpython-313-x86_64-linux-gnu.so"];
        assert_eq!(names("/opt/app/lib/python3.13/site-packages"), site);
        assert_eq!(names("/usr/lib/python3.13/lib-dynload"), ["_lzma.cpython-313-x86_64-linux-gnu.so"]);
    }
}
