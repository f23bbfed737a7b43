//! Decides which path goes to which layer: by origin, within a budget, with the contents that change least at the
//! bottom (decision 0030).

use std::collections::{BTreeMap, BTreeSet};

use crate::model::image_path::ImagePath;
use crate::model::reason::Kept;
use crate::model::tree::{Kind, Node, Origin, Tree};

/// How many packages and distributions can have a layer of their own. Together with the other layers that makes ten, and twelve with an application.
/// More layers would cost more, because each is a request in every pull and a directory in every overlay mount.
const ALONE: usize = 5;
/// The minimum size of an origin with its own layer, in bytes of files. A smaller layer is not worth a request of its
/// own.
const BIG_BYTES: u64 = 8 << 20;
/// The path of each package's dpkg metadata, in `NAME` and `NAME.md5sums`.
const DPKG: &str = "/var/lib/dpkg/status.d/";

/// A future layer: first the parent directories of its files, then the shares of its origins in order. A layer does not
/// depend on layers below it, so the same shares give the same layer in every image.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) title: String,
    pub(super) shares: Vec<Share<'a>>,
}

/// The paths of one origin in a layer.
#[derive(Debug)]
pub(super) struct Share<'a> {
    pub(super) origin: String,
    pub(super) entries: Vec<Entry<'a>>,
}

/// Used instead of an origin, for the share with the parent directories of all other files.
const FOLDERS: &str = "folders";

impl Share<'_> {
    pub(super) fn is_folders(&self) -> bool {
        self.origin == FOLDERS
    }
}

/// A path of a share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) path: &'a ImagePath,
    pub(super) node: &'a Node,
    /// The path that it is a hard link to, an earlier one of the same share.
    pub(super) link: Option<&'a ImagePath>,
}

impl Entry<'_> {
    /// Returns the size of the contents. 0 if the entry is a hard link.
    pub(super) fn size_bytes(&self) -> u64 {
        if self.link.is_some() { 0 } else { self.node.size_bytes() }
    }
}

/// The layers, from the bottom to the top.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// Debian's packages.
    Base,
    /// The interpreter and its standard library.
    Python,
    /// A big Debian package.
    AlonePackage(String),
    /// A big distribution.
    AloneDistribution(String),
    /// The program's dependencies.
    Dependencies,
    /// The requested distributions, and the files that lath wrote.
    Program,
    /// The files that the user copied.
    Copied,
    /// Bytecode of packages and distributions that only the application needs.
    ImportsOfApplication,
    /// The files of the user's application. They change most often.
    Application,
}

impl Place {
    fn title(&self) -> String {
        match self {
            Self::Base => "base".to_owned(),
            Self::Python => "python".to_owned(),
            Self::AlonePackage(name) | Self::AloneDistribution(name) => name.clone(),
            Self::Dependencies => "dependencies".to_owned(),
            Self::Program => "program".to_owned(),
            Self::Copied => "copied files".to_owned(),
            Self::ImportsOfApplication => "imports of the application".to_owned(),
            Self::Application => "application".to_owned(),
        }
    }
}

#[derive(Default)]
struct Contents<'a> {
    folders: BTreeMap<&'a ImagePath, Entry<'a>>,
    shares: BTreeMap<String, Vec<Entry<'a>>>,
}

/// Groups all paths of `tree` except the root itself. `requested` are the distributions that the user named.
pub(super) fn group<'a>(tree: &'a Tree, requested: &[&str]) -> Vec<Group<'a>> {
    let packages = tree.nodes.values().filter_map(|node| match &node.origin {
        Origin::Deb { name, .. } => Some((name.as_str(), &node.origin)),
        _ => None,
    });
    let packages: BTreeMap<&str, &Origin> = packages.collect();
    let owners: Vec<(Entry<'_>, &Origin)> =
        leaves(tree).into_iter().map(|entry| (entry, owner(&entry, &packages))).collect();
    let alone = alone(&owners);
    let mut layers: BTreeMap<Place, Contents<'_>> = BTreeMap::new();
    for (entry, origin) in owners {
        let contents = layers.entry(place(&entry, origin, requested, &alone)).or_default();
        let mut above = entry.path.parent();
        while let Some((path, node)) = above.and_then(|parent| tree.nodes.get_key_value(&parent)) {
            above = path.parent();
            if above.is_none() || contents.folders.insert(path, Entry { path, node, link: None }).is_some() {
                break;
            }
        }
        contents.shares.entry(share(&entry, origin)).or_default().push(entry);
    }
    layers.into_iter().map(|(place, contents)| contents.into_group(&place)).collect()
}

impl<'a> Contents<'a> {
    fn into_group(self, place: &Place) -> Group<'a> {
        let folders = Share { origin: FOLDERS.to_owned(), entries: self.folders.into_values().collect() };
        let shares = self.shares.into_iter().map(|(origin, entries)| Share { origin, entries });
        let shares = std::iter::once(folders).chain(shares).filter(|share| !share.entries.is_empty());
        Group { title: place.title(), shares: shares.collect() }
    }
}

/// Returns the name of the share that a path belongs to. Bytecode gets a share of its own after its sources, so that
/// the sources' bytes do not change if bytecode is turned off.
fn share(entry: &Entry<'_>, origin: &Origin) -> String {
    if entry.path.is_bytecode() { format!("{origin} bytecode") } else { origin.to_string() }
}

/// Returns the files, the links and the empty directories, without those of the base image.
fn leaves(tree: &Tree) -> Vec<Entry<'_>> {
    let links = tree.hard_links();
    let filled: BTreeSet<ImagePath> = tree.nodes.keys().filter_map(ImagePath::parent).collect();
    let is_leaf = |path: &ImagePath, node: &Node| node.kind != Kind::Directory || !filled.contains(path);
    let is_added = |path: &ImagePath, node: &Node| *path != ImagePath::root() && node.origin != Origin::Base;
    let leaves = tree.nodes.iter().filter(|(path, node)| is_added(path, node) && is_leaf(path, node));
    leaves.map(|(path, node)| Entry { path, node, link: links.get(path).copied() }).collect()
}

/// Returns the origin whose layer the path goes to. Usually that is the path's own origin, but dpkg's metadata goes
/// with its package.
fn owner<'a>(entry: &Entry<'a>, packages: &BTreeMap<&str, &'a Origin>) -> &'a Origin {
    let origin = &entry.node.origin;
    let Some(file) = entry.path.as_str().strip_prefix(DPKG).filter(|_| *origin == Origin::Lath) else {
        return origin;
    };
    let package = file.strip_suffix(".md5sums").unwrap_or(file);
    packages.get(package).copied().unwrap_or(origin)
}

/// Returns the biggest origins, as many as the budget allows.
fn alone<'a>(owners: &[(Entry<'_>, &'a Origin)]) -> BTreeSet<&'a Origin> {
    let mut bytes: BTreeMap<&Origin, u64> = BTreeMap::new();
    for (entry, origin) in owners {
        let is_grouped = match origin {
            Origin::Deb { name, .. } => is_python(name),
            Origin::Wheel { .. } => false,
            Origin::Base | Origin::Lath | Origin::User | Origin::Application => true,
        };
        if !is_grouped {
            *bytes.entry(origin).or_default() += entry.size_bytes();
        }
    }
    let mut big: Vec<(&Origin, u64)> = bytes.into_iter().filter(|(_, bytes)| *bytes >= BIG_BYTES).collect();
    // The sort is stable: origins of the same size stay in their order.
    big.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    big.into_iter().take(ALONE).map(|(origin, _)| origin).collect()
}

fn place(entry: &Entry<'_>, origin: &Origin, requested: &[&str], alone: &BTreeSet<&Origin>) -> Place {
    match origin {
        _ if *origin != Origin::Application && entry.node.kept == Some(Kept::ApplicationBytecode) => {
            Place::ImportsOfApplication
        }
        Origin::Deb { name, .. } if is_python(name) => Place::Python,
        // Of modules of the base image's Python.
        Origin::Lath if entry.path.is_bytecode() => Place::Python,
        Origin::Deb { name, .. } if alone.contains(origin) => Place::AlonePackage(name.clone()),
        Origin::Deb { .. } | Origin::Base => Place::Base,
        Origin::Wheel { name, .. } if alone.contains(origin) => Place::AloneDistribution(name.clone()),
        Origin::Wheel { name, .. } if !requested.contains(&name.as_str()) => Place::Dependencies,
        Origin::Wheel { .. } | Origin::Lath => Place::Program,
        Origin::User => Place::Copied,
        Origin::Application => Place::Application,
    }
}

/// `python3.13-minimal`, `libpython3.13-stdlib`, `python3`, but not a library for Python such as `python3-apt`.
fn is_python(package: &str) -> bool {
    let name = package.strip_prefix("lib").unwrap_or(package);
    let Some(rest) = name.strip_prefix("python3") else { return false };
    let rest = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    ["", "-minimal", "-stdlib"].contains(&rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;

    fn deb(name: &str) -> Origin {
        Origin::Deb { name: name.to_owned(), version: "1".to_owned() }
    }

    fn wheel(name: &str) -> Origin {
        Origin::Wheel { name: name.to_owned(), version: "1".to_owned() }
    }

    fn tree(files: &[(&str, Origin, u64)]) -> Tree {
        let mut tree = Tree::default();
        tree.insert(ImagePath::root(), Node::directory(Origin::Lath));
        for (path, origin, size_bytes) in files {
            let node = Node::file(Digest::of(path.as_bytes()), *size_bytes, 0o644, origin.clone());
            tree.insert(ImagePath::parse(path).unwrap(), node);
        }
        tree
    }

    fn listing(groups: &[Group<'_>]) -> String {
        let mut text = String::new();
        for group in groups {
            text += &format!("{}\n", group.title);
            for share in &group.shares {
                for entry in &share.entries {
                    text += &format!("  {}: {}\n", share.origin, entry.path);
                }
            }
        }
        text
    }

    #[test]
    fn what_changes_least_is_at_the_bottom_and_every_layer_has_its_own_folders() {
        let mut tree = tree(&[
            ("/usr/lib/libc.so.6", deb("libc6"), 5),
            ("/usr/bin/python3.13", deb("python3.13-minimal"), 7),
            ("/var/lib/dpkg/status.d/python3.13-minimal.md5sums", Origin::Lath, 1),
            ("/etc/passwd", Origin::Lath, 1),
            ("/opt/app/lib/yaml.py", wheel("pyyaml"), 1),
            ("/opt/app/lib/torch.so", wheel("torch"), 90 << 20),
            ("/opt/app/bin/tool", wheel("tool"), 1),
            ("/data/x", Origin::User, 1),
        ]);
        tree.insert(ImagePath::parse("/tmp").unwrap(), Node::directory(Origin::Lath));
        insta::assert_snapshot!(listing(&group(&tree, &["tool"])), @r"
        base
          folders: /usr
          folders: /usr/lib
          deb libc6: /usr/lib/libc.so.6
        python
          folders: /usr
          folders: /usr/bin
          folders: /var
          folders: /var/lib
          folders: /var/lib/dpkg
          folders: /var/lib/dpkg/status.d
          deb python3.13-minimal: /usr/bin/python3.13
          deb python3.13-minimal: /var/lib/dpkg/status.d/python3.13-minimal.md5sums
        torch
          folders: /opt
          folders: /opt/app
          folders: /opt/app/lib
          wheel torch: /opt/app/lib/torch.so
        dependencies
          folders: /opt
          folders: /opt/app
          folders: /opt/app/lib
          wheel pyyaml: /opt/app/lib/yaml.py
        program
          folders: /etc
          folders: /opt
          folders: /opt/app
          folders: /opt/app/bin
          lath: /etc/passwd
          lath: /tmp
          wheel tool: /opt/app/bin/tool
        copied files
          folders: /data
          user: /data/x
        ");
    }

    #[test]
    fn bytecode_that_only_the_application_needs_is_below_its_files() {
        let mut tree = tree(&[("/app/main.py", Origin::Application, 1)]);
        for (path, origin) in [
            ("/opt/app/lib/__pycache__/yaml.cpython-313.pyc", wheel("pyyaml")),
            ("/app/__pycache__/main.cpython-313.pyc", Origin::Application),
        ] {
            let node = Node::file(Digest::of(b"code"), 1, 0o644, origin);
            let node = Node { kept: Some(Kept::ApplicationBytecode), ..node };
            tree.insert(ImagePath::parse(path).unwrap(), node);
        }
        insta::assert_snapshot!(listing(&group(&tree, &["tool"])), @r"
        imports of the application
          folders: /opt
          folders: /opt/app
          folders: /opt/app/lib
          folders: /opt/app/lib/__pycache__
          wheel pyyaml bytecode: /opt/app/lib/__pycache__/yaml.cpython-313.pyc
        application
          folders: /app
          folders: /app/__pycache__
          application: /app/main.py
          application bytecode: /app/__pycache__/main.cpython-313.pyc
        ");
    }

    #[test]
    fn the_budget_goes_to_the_biggest() {
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        let paths: Vec<String> = names.iter().map(|name| format!("/opt/app/{name}")).collect();
        let files: Vec<(&str, Origin, u64)> = (0u64..)
            .zip(names.iter().zip(&paths))
            .map(|(index, (name, path))| (path.as_str(), wheel(name), BIG_BYTES + index))
            .collect();
        let tree = tree(&files);
        let groups = group(&tree, &[]);
        let titles: Vec<&str> = groups.iter().map(|group| group.title.as_str()).collect();
        assert_eq!(titles, ["c", "d", "e", "f", "g", "dependencies"]);
    }

    #[test]
    fn pythons_own_packages_are_told_from_libraries_for_python() {
        for name in ["python3", "python3.13-minimal", "libpython3.13-stdlib", "libpython3-stdlib", "libpython3.11"] {
            assert!(is_python(name), "{name}");
        }
        for name in ["python3-apt", "libc6", "python3.13-venv", "python"] {
            assert!(!is_python(name), "{name}");
        }
    }
}
