//! The user's own code, which changes from build to build. If no other distribution uses this code, the results of the
//! checks of other distributions stay valid.

use std::collections::BTreeSet;

use crate::formats::wheel::entry_point_groups;
use crate::model::image_path::ImagePath;
use crate::model::launch::Launch;
use crate::model::made::Made;
use crate::model::reach::{Cause, Reached, is_program};
use crate::model::source::BuiltPlace;
use crate::model::tree::{Kind, Node, Origin};
use crate::outside::store::{Store, StoreError};

/// Modules that Python imports at each start.
const AT_EACH_START: [&str; 2] = ["sitecustomize", "usercustomize"];

/// The folders that contain the modules of distributions. `dist-packages` is Debian's own name.
const SITES: [&str; 2] = ["/site-packages/", "/dist-packages/"];

/// Variables that lath sets in each image, and whose values are not names of modules. They are ignored, because a
/// module may be called `app`, and these values contain `app` as the name of a folder (`/opt/app`).
const NO_MODULES: [&str; 5] = ["HOME", "LANG", "PATH", "PYTHONUSERBASE", "USER"];

/// The groups of entry points that only start programs. The entry points of all other groups are for distributions,
/// which search for them and import them.
const OF_SCRIPTS: [&str; 2] = ["console_scripts", "gui_scripts"];

/// The largest `entry_points.txt` that is read.
const ENTRY_POINTS_BYTES: u64 = 1 << 20;

/// The distributions that were built from folders of the user, and the files of the application.
#[derive(Debug, Default)]
pub(super) struct OwnCode {
    /// The names of the distributions.
    names: BTreeSet<String>,
    /// Whether no other distribution runs this code.
    is_apart: bool,
}

impl OwnCode {
    pub(super) fn of(made: &Made, store: &Store) -> Result<Self, StoreError> {
        let is_of_folder = |place: &BuiltPlace| matches!(place, BuiltPlace::Folder(_));
        let built = made.lock.builds().filter(|(_, build)| is_of_folder(&build.from.place));
        let names = built.map(|(wheel, _)| wheel.name.clone()).collect();
        let mut own = Self { names, is_apart: false };
        let may_be_apart = own.is_there(made) && !has_search_path(&made.launch) && !own.is_required(made);
        own.is_apart = may_be_apart && !own.is_used(made) && !own.is_plugin(made, store)?;
        Ok(own)
    }

    pub(super) fn is_of(&self, distribution: &str) -> bool {
        self.names.contains(distribution)
    }

    pub(super) fn has(&self, node: &Node) -> bool {
        match &node.origin {
            Origin::Wheel { name, .. } => self.is_of(name),
            Origin::Application => true,
            Origin::Deb { .. } | Origin::Base | Origin::Lath | Origin::User => false,
        }
    }

    /// Returns whether this code has no effect on the checks of other distributions.
    pub(super) fn is_apart(&self) -> bool {
        self.is_apart
    }

    /// Returns whether the image contains any code of the user.
    fn is_there(&self, made: &Made) -> bool {
        !self.names.is_empty() || files(made).any(|(_, node)| self.has(node))
    }

    /// Returns whether the file comes from another distribution.
    fn is_of_another(&self, node: &Node) -> bool {
        match &node.origin {
            Origin::Wheel { name, .. } => !self.is_of(name),
            Origin::Deb { .. } | Origin::Base => true,
            Origin::Lath | Origin::User | Origin::Application => false,
        }
    }

    /// Returns whether another distribution may import this code. This is so in three cases:
    ///
    /// - This code and another distribution have files in the same top-level folder, such as a namespace package.
    /// - An environment variable of the image contains the name of a module of this code.
    /// - A module outside of this code leads to a module of this code, for example by an import.
    fn is_used(&self, made: &Made) -> bool {
        let own = files(made).filter(|(_, node)| self.has(node));
        let own: BTreeSet<&str> = own.filter_map(|(path, _)| top_level(path)).collect();
        let mut others = files(made).filter(|(_, node)| self.is_of_another(node));
        others.any(|(path, _)| top_level(path).is_some_and(|name| own.contains(name)))
            || is_in_environment(&made.launch, &own)
            || made.reached.as_ref().is_some_and(|reached| is_reached(reached, &own))
    }

    /// Returns whether another distribution requires this code.
    fn is_required(&self, made: &Made) -> bool {
        let own = made.lock.wheels.iter().filter(|wheel| self.is_of(&wheel.name));
        own.flat_map(|wheel| &wheel.required_by).any(|name| !self.is_of(name))
    }

    /// Returns whether Python or another distribution may find and run this code.
    fn is_plugin(&self, made: &Made, store: &Store) -> Result<bool, StoreError> {
        for (path, node) in files(made).filter(|(_, node)| self.has(node)) {
            let name = path.file_name();
            if name.ends_with(".pth") || path.components().any(is_at_each_start) {
                return Ok(true);
            }
            let digest = node.digest().filter(|_| name == "entry_points.txt");
            if let Some(digest) = digest {
                let text = store.read_start(digest, ENTRY_POINTS_BYTES)?;
                let groups = entry_point_groups(&String::from_utf8_lossy(&text));
                if groups.iter().any(|(group, _)| !OF_SCRIPTS.contains(&group.as_str())) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// Returns the files and links of the trimmed and of the untrimmed tree, because checks run in both trees.
fn files(made: &Made) -> impl Iterator<Item = (&ImagePath, &Node)> {
    let nodes = made.tree.nodes.iter().chain(&made.assembly.tree.nodes);
    nodes.filter(|(_, node)| node.kind != Kind::Directory)
}

/// Returns whether a file or folder with this name belongs to a module that Python imports at each start. The module
/// may be a file, a package or an extension module.
fn is_at_each_start(name: &str) -> bool {
    name.split('.').next().is_some_and(|module| AT_EACH_START.contains(&module))
}

/// Returns the top-level folder of a distribution's file. If the file itself is a top-level module, returns its name.
fn top_level(path: &ImagePath) -> Option<&str> {
    let (_, inside) = SITES.iter().find_map(|&site| path.as_str().split_once(site))?;
    match inside.split_once('/') {
        // This folder contains the bytecode of top-level modules of all distributions.
        Some(("__pycache__", _)) => None,
        Some((folder, _)) => Some(folder),
        None => inside.split('.').next(),
    }
}

/// Returns whether the value of a variable contains the name of a module in `own`, such as
/// `DJANGO_SETTINGS_MODULE=own.settings`.
fn is_in_environment(launch: &Launch, own: &BTreeSet<&str>) -> bool {
    let variables = launch.env.iter().filter_map(|pair| pair.split_once('='));
    let values = variables.filter(|(name, _)| !NO_MODULES.contains(name)).map(|(_, value)| value);
    let mut words = values.flat_map(|value| value.split(|c: char| !c.is_alphanumeric() && c != '_'));
    words.any(|word| own.contains(word))
}

/// Returns whether a module outside of `own` leads to a module in `own`. The scripts of other distributions do not
/// count, because their results depend on the whole image.
fn is_reached(reached: &Reached, own: &BTreeSet<&str>) -> bool {
    let is_own = |module: &str| module.split('.').next().is_some_and(|name| own.contains(name));
    let is_of_another = |cause: &Cause| cause.module().is_some_and(|module| !is_program(module) && !is_own(module));
    reached.modules.iter().any(|(module, cause)| is_own(module) && is_of_another(cause))
        || reached.more.iter().any(|(module, causes)| is_own(module) && causes.iter().any(is_of_another))
}

/// Returns whether the image sets `PYTHONPATH`. If it does, Python may find the modules of the application.
fn has_search_path(launch: &Launch) -> bool {
    launch.env.iter().any(|pair| pair.starts_with("PYTHONPATH="))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::assembly::Assembly;
    use crate::model::digest::Digest;
    use crate::model::lock::{LockedBuild, LockedWheel, PlatformLock, WheelSource};

    use crate::model::source::BuiltFrom;
    use crate::model::tree::Tree;
    use crate::outside::store::tests::store;

    /// Returns an image with the distribution `own`, which was built from a folder.
    fn made() -> Made {
        let place = BuiltPlace::Folder("/home/own".into());
        let build = LockedBuild {
            from: BuiltFrom { place, subdirectory: None, archive: Digest::of(b""), has_git: false },
            requires: Vec::new(),
            packages: Vec::new(),
            tree: PlatformLock::example(Vec::new()),
            dependencies: Vec::new(),
        };
        let wheel = LockedWheel {
            name: "own".to_owned(),
            version: "1".to_owned(),
            file_name: "own-1-py3-none-any.whl".to_owned(),
            url: String::new(),
            digest: Digest::of(b""),
            size_bytes: None,
            is_requested: true,
            required_by: Vec::new(),
            source: WheelSource::Path,
            built: Some(Box::new(build)),
        };
        let (assembly, launch, tree) = (Assembly::default(), Launch::default(), Tree::default());
        Made { lock: PlatformLock::example(vec![wheel]), assembly, launch, tree, reached: None }
    }

    #[test]
    fn others_do_not_depend_on_code_that_they_cannot_run() {
        let (_home, store) = store();
        let is_apart = |path: &str, text: &str, env: &[&str]| {
            let origin = Origin::Wheel { name: "own".to_owned(), version: "1".to_owned() };
            let digest = store.put(text.as_bytes()).unwrap();
            let mut made = made();
            made.launch.env = env.iter().map(|&pair| pair.to_owned()).collect();
            made.tree.insert(ImagePath::parse(path).unwrap(), Node::file(digest, 1, 0o644, origin));
            OwnCode::of(&made, &store).unwrap().is_apart()
        };
        let site = "/opt/app/lib/python3.13/site-packages";
        let script = "[console_scripts]\nown = own:main\n";
        let plugin = "[console_scripts]\nown = own:main\n[pytest11]\nown = own\n";
        let entry_points = format!("{site}/own-1.dist-info/entry_points.txt");
        assert!(is_apart(&format!("{site}/own/a.py"), "", &["PATH=/bin"]));
        assert!(is_apart(&entry_points, script, &[]));
        assert!(!is_apart(&entry_points, plugin, &[]));
        assert!(!is_apart(&format!("{site}/own.pth"), "", &[]));
        for file in ["sitecustomize.py", "usercustomize/__init__.py", "sitecustomize.cpython-313-x86_64-linux-gnu.so"] {
            assert!(!is_apart(&format!("{site}/{file}"), "", &[]), "{file}");
        }
        assert!(!is_apart(&format!("{site}/own/a.py"), "", &["PYTHONPATH=/app"]));
        let mut made = made();
        made.lock.wheels[0].required_by = vec!["other".to_owned()];
        assert!(!OwnCode::of(&made, &store).unwrap().is_apart());
        made.lock.wheels[0].required_by = vec!["own".to_owned()];
        assert!(OwnCode::of(&made, &store).unwrap().is_apart());
    }

    const SITE: &str = "/opt/app/lib/python3.13/site-packages";

    fn put(tree: &mut Tree, path: &str, distribution: &str) {
        let origin = Origin::Wheel { name: distribution.to_owned(), version: "1".to_owned() };
        let path = ImagePath::parse(&format!("{SITE}/{path}")).unwrap();
        tree.insert(path, Node::file(Digest::of(b""), 0, 0o644, origin));
    }

    #[test]
    fn variables_with_the_name_of_a_module_let_others_import_it() {
        let (_home, store) = store();
        let is_apart = |pair: &str| {
            let mut made = made();
            put(&mut made.tree, "own/__init__.py", "own");
            put(&mut made.tree, "app.py", "own");
            made.launch.env = vec![pair.to_owned()];
            OwnCode::of(&made, &store).unwrap().is_apart()
        };
        for pair in ["DJANGO_SETTINGS_MODULE=own.settings", "PYTHONWARNINGS=error::own.W", "CELERY_APP=app"] {
            assert!(!is_apart(pair), "{pair}");
        }
        for pair in ["A=owner.settings", "A=my_own", "own=1", "PYTHONUSERBASE=/opt/app", "USER=app"] {
            assert!(is_apart(pair), "{pair}");
        }
    }

    #[test]
    fn folders_with_files_of_another_distribution_are_not_apart() {
        let (_home, store) = store();
        let is_apart = |path: &str, other: &str| {
            let mut made = made();
            put(&mut made.tree, path, "own");
            put(&mut made.assembly.tree, other, "other");
            OwnCode::of(&made, &store).unwrap().is_apart()
        };
        assert!(!is_apart("space/own/__init__.py", "space/other/__init__.py"));
        assert!(is_apart("own/__init__.py", "other/own/__init__.py"));
        assert!(is_apart("__pycache__/own.cpython-313.pyc", "__pycache__/other.cpython-313.pyc"));
    }

    #[test]
    fn files_that_are_only_in_the_untrimmed_tree_count() {
        let (_home, store) = store();
        let mut made = made();
        put(&mut made.assembly.tree, "own.pth", "own");
        assert!(!OwnCode::of(&made, &store).unwrap().is_apart());
    }

    #[test]
    fn a_module_that_another_distribution_imports_is_not_apart() {
        let (_home, store) = store();
        let is_apart = |first: Cause, more: Option<Cause>| {
            let mut made = made();
            put(&mut made.tree, "own/a.py", "own");
            let mut reached = Reached::default();
            reached.modules.insert("own.a".to_owned(), first);
            reached.more.insert("own.a".to_owned(), more.into_iter().collect());
            made.reached = Some(reached);
            OwnCode::of(&made, &store).unwrap().is_apart()
        };
        let by = |module: &str| Cause::ImportedBy { module: module.to_owned() };
        assert!(is_apart(Cause::Root, None) && is_apart(by("own"), Some(by("/opt/app/bin/own"))));
        assert!(!is_apart(by("other.b"), None) && !is_apart(Cause::Root, Some(by("other.b"))));
    }

    #[test]
    fn an_image_without_own_code_has_nothing_that_is_apart() {
        let (_home, store) = store();
        let mut made = made();
        made.lock.wheels.clear();
        assert!(!OwnCode::of(&made, &store).unwrap().is_apart());
    }

    #[test]
    fn the_files_of_an_application_and_of_folders_are_own_code() {
        let (_home, store) = store();
        let own = OwnCode::of(&made(), &store).unwrap();
        let wheel = |name: &str| Origin::Wheel { name: name.to_owned(), version: "1".to_owned() };
        let is_own = |origin| own.has(&Node::file(Digest::of(b""), 0, 0o644, origin));
        assert_eq!([is_own(wheel("own")), is_own(Origin::Application)], [true, true]);
        assert_eq!([is_own(wheel("other")), is_own(Origin::User), is_own(Origin::Lath)], [false; 3]);
    }
}
