//! The user's own code, which changes from build to build, while the results of checks of other distributions stay.

use std::collections::BTreeSet;

use crate::formats::wheel::entry_point_groups;
use crate::model::launch::Launch;
use crate::model::made::Made;
use crate::model::source::BuiltPlace;
use crate::model::tree::{Node, Origin};
use crate::outside::store::{Store, StoreError};

/// Files that Python runs at each start.
const AT_EACH_START: [&str; 2] = ["sitecustomize.py", "usercustomize.py"];

/// The entry points that only start programs. Distributions search for those of all other groups, and import them.
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
        let mut own = Self { names, is_apart: !has_search_path(&made.launch) };
        own.is_apart = own.is_apart && !own.is_required(made) && !own.is_plugin(made, store)?;
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

    /// Returns whether the checks of other distributions do not depend on this code.
    pub(super) fn is_apart(&self) -> bool {
        self.is_apart
    }

    /// Returns whether another distribution requires this code.
    fn is_required(&self, made: &Made) -> bool {
        let own = made.lock.wheels.iter().filter(|wheel| self.is_of(&wheel.name));
        own.flat_map(|wheel| &wheel.required_by).any(|name| !self.is_of(name))
    }

    /// Returns whether Python or another distribution may find and run this code.
    fn is_plugin(&self, made: &Made, store: &Store) -> Result<bool, StoreError> {
        for (path, node) in made.tree.nodes.iter().filter(|(_, node)| self.has(node)) {
            let name = path.file_name();
            if name.ends_with(".pth") || AT_EACH_START.contains(&name) {
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

/// Returns whether the image sets the folders in which Python finds modules, so that they may contain the application.
fn has_search_path(launch: &Launch) -> bool {
    launch.env.iter().any(|pair| pair.starts_with("PYTHONPATH="))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::assembly::Assembly;
    use crate::model::digest::Digest;
    use crate::model::image_path::ImagePath;
    use crate::model::lock::{LockedBuild, LockedWheel, PlatformLock, WheelSource};
    use crate::model::platform::{Architecture, Platform};
    use crate::model::source::BuiltFrom;
    use crate::model::tree::Tree;
    use crate::outside::store::tests::store;

    fn lock(wheels: Vec<LockedWheel>) -> PlatformLock {
        let platform = Platform { architecture: Architecture::Amd64 };
        PlatformLock { platform, wheels, debs: Vec::new(), hints: Vec::new(), releases: Vec::new(), base: None }
    }

    /// Returns an image with the distribution `own`, which was built from a folder.
    fn made() -> Made {
        let place = BuiltPlace::Folder("/home/own".into());
        let build = LockedBuild {
            from: BuiltFrom { place, subdirectory: None, archive: Digest::of(b""), has_git: false },
            requires: Vec::new(),
            packages: Vec::new(),
            tree: lock(Vec::new()),
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
        Made { lock: lock(vec![wheel]), assembly, launch, tree, reached: None }
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
        assert!(!is_apart(&format!("{site}/sitecustomize.py"), "", &[]));
        assert!(!is_apart(&format!("{site}/own/a.py"), "", &["PYTHONPATH=/app"]));
        let mut made = made();
        made.lock.wheels[0].required_by = vec!["other".to_owned()];
        assert!(!OwnCode::of(&made, &store).unwrap().is_apart());
        made.lock.wheels[0].required_by = vec!["own".to_owned()];
        assert!(OwnCode::of(&made, &store).unwrap().is_apart());
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
