//! Decides to which layer each path goes (decisions 0030 and 0138). Paths are grouped by origin. The number of layers
//! is limited. Contents that change least are at the bottom.

use std::collections::{BTreeMap, BTreeSet};

use super::layering::{Place, runs};
use crate::model::image_path::ImagePath;
use crate::model::reason::Kept;
use crate::model::request::LayersRequest;
use crate::model::tree::{Kind, Node, Origin, Tree};

/// The folder with the dpkg metadata of each package, in the files `NAME` and `NAME.md5sums`.
const DPKG: &str = "/var/lib/dpkg/status.d/";
/// The folder of the bundle of certificates, which lath makes from the certificates of a package.
const CERTIFICATES: &str = "/etc/ssl/certs/";

/// The contents of a layer. First come the parent directories of its files, and then one or two shares of each origin,
/// sorted by name. A layer does not depend on the layers below it, so the same shares result in the same layer in every
/// image.
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

/// The origin of the share that contains the parent directories of all files of the layer.
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
    /// The path to which the entry refers if it is a hard link. This path comes earlier in the same share.
    pub(super) link: Option<&'a ImagePath>,
}

impl Entry<'_> {
    /// Returns the size of the contents. 0 if the entry is a hard link.
    pub(super) fn size_bytes(&self) -> u64 {
        if self.link.is_some() { 0 } else { self.node.size_bytes() }
    }
}

#[derive(Default)]
struct Contents<'a> {
    folders: BTreeMap<&'a ImagePath, Entry<'a>>,
    shares: BTreeMap<String, Vec<Entry<'a>>>,
}

/// The paths that are packed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed<'a> {
    pub(super) tree: &'a Tree,
    /// The whiteouts of all paths that the layers remove from the base image.
    pub(super) removed: &'a BTreeMap<ImagePath, Node>,
}

/// Groups all paths of `tree` except the root itself and the paths of a base image. `requested` are the distributions
/// that the user named. The whiteouts are in the layer with lath's files.
pub(super) fn group<'a>(
    Packed { tree, removed }: Packed<'a>,
    requested: &[&str],
    layers: LayersRequest,
) -> Vec<Group<'a>> {
    let owners = Owners::of(tree);
    let placed = |entry: Entry<'a>| {
        let origin = owners.owner(&entry);
        (entry, origin, place(&entry, origin, requested))
    };
    let whiteouts = removed.iter().map(|(path, node)| (Entry { path, node, link: None }, &node.origin, Place::Lath));
    let placed: Vec<(Entry<'_>, &Origin, Place)> = leaves(tree).into_iter().map(placed).chain(whiteouts).collect();
    let mut places: BTreeMap<Place, u64> = BTreeMap::new();
    for (entry, _, place) in &placed {
        match places.get_mut(place) {
            Some(bytes) => *bytes += entry.size_bytes(),
            None => drop(places.insert(place.clone(), entry.size_bytes())),
        }
    }
    let runs = runs(&places, layers);
    let indexes: BTreeMap<&Place, usize> =
        runs.iter().enumerate().flat_map(|(index, run)| run.places.iter().map(move |place| (place, index))).collect();
    let mut contents: Vec<Contents<'_>> = runs.iter().map(|_| Contents::default()).collect();
    for (entry, origin, place) in placed {
        if let Some(index) = indexes.get(&place) {
            contents[*index].add(entry, origin, tree);
        }
    }
    contents.into_iter().zip(&runs).map(|(contents, run)| contents.into_group(&run.title)).collect()
}

impl<'a> Contents<'a> {
    /// Adds a path and the directories above it.
    fn add(&mut self, entry: Entry<'a>, origin: &Origin, tree: &'a Tree) {
        let mut above = entry.path.parent();
        while let Some((path, node)) = above.and_then(|parent| tree.nodes.get_key_value(&parent)) {
            above = path.parent();
            if above.is_none() || self.folders.insert(path, Entry { path, node, link: None }).is_some() {
                break;
            }
        }
        self.shares.entry(share(&entry, origin)).or_default().push(entry);
    }

    fn into_group(self, title: &str) -> Group<'a> {
        let folders = Share { origin: FOLDERS.to_owned(), entries: self.folders.into_values().collect() };
        let shares = self.shares.into_iter().map(|(origin, entries)| Share { origin, entries });
        let shares = std::iter::once(folders).chain(shares).filter(|share| !share.entries.is_empty());
        Group { title: title.to_owned(), shares: shares.collect() }
    }
}

/// Returns the name of the share to which a path belongs. Bytecode is in a separate share after the share of its
/// sources. So the compressed sources are the same with and without bytecode.
fn share(entry: &Entry<'_>, origin: &Origin) -> String {
    if entry.path.is_bytecode() { format!("{origin} bytecode") } else { origin.to_string() }
}

/// Returns the files, the links and the empty directories of the tree. Paths of the base image are left out.
fn leaves(tree: &Tree) -> Vec<Entry<'_>> {
    let links = tree.hard_links();
    let filled: BTreeSet<ImagePath> = tree.nodes.keys().filter_map(ImagePath::parent).collect();
    let is_leaf = |path: &ImagePath, node: &Node| node.kind != Kind::Directory || !filled.contains(path);
    let is_added = |path: &ImagePath, node: &Node| *path != ImagePath::root() && node.origin != Origin::Base;
    let leaves = tree.nodes.iter().filter(|(path, node)| is_added(path, node) && is_leaf(path, node));
    leaves.map(|(path, node)| Entry { path, node, link: links.get(path).copied() }).collect()
}

/// The packages and distributions for which lath writes files. Such a file goes to the layer of its package or
/// distribution.
struct Owners<'a> {
    /// Debian packages by name.
    packages: BTreeMap<&'a str, &'a Origin>,
    /// Distributions by the folder of their metadata.
    distributions: BTreeMap<ImagePath, &'a Origin>,
}

impl<'a> Owners<'a> {
    fn of(tree: &'a Tree) -> Self {
        let packages = tree.nodes.values().filter_map(|node| Some((node.origin.package()?, &node.origin)));
        let distributions = tree.nodes.iter().filter_map(|(path, node)| {
            let is_metadata = matches!(node.origin, Origin::Wheel { .. }) && path.file_name() == "METADATA";
            let folder = path.parent().filter(|_| is_metadata)?;
            folder.file_name().ends_with(".dist-info").then_some((folder, &node.origin))
        });
        Self { packages: packages.collect(), distributions: distributions.collect() }
    }

    /// Returns the origin whose layer contains the path. Usually, this is the origin of the path itself. But a file
    /// that lath wrote for a package or a distribution goes to the layer of that package or distribution. Otherwise, a
    /// new version of the distribution would change two layers: its own layer, and the layer with lath's files.
    fn owner(&self, entry: &Entry<'a>) -> &'a Origin {
        let origin = &entry.node.origin;
        if *origin != Origin::Lath {
            return origin;
        }
        let path = entry.path.as_str();
        let package = if path.starts_with(CERTIFICATES) {
            Some("ca-certificates")
        } else {
            path.strip_prefix(DPKG).map(|file| file.strip_suffix(".md5sums").unwrap_or(file))
        };
        let package = package.and_then(|package| self.packages.get(package));
        let distribution = || entry.path.parent().and_then(|folder| self.distributions.get(&folder));
        package.or_else(distribution).copied().unwrap_or(origin)
    }
}

fn place(entry: &Entry<'_>, origin: &Origin, requested: &[&str]) -> Place {
    match origin {
        _ if *origin != Origin::Application && entry.node.kept == Some(Kept::ApplicationBytecode) => {
            Place::ImportsOfApplication
        }
        Origin::Deb { name, .. } if is_python(name) => Place::Python,
        // This is bytecode for modules of the base image's Python.
        Origin::Lath if entry.path.is_bytecode() => Place::Python,
        Origin::Deb { name, .. } => Place::Package(name.clone()),
        Origin::Wheel { name, .. } if requested.contains(&name.as_str()) => Place::Program(name.clone()),
        Origin::Wheel { name, .. } => Place::Dependency(name.clone()),
        Origin::Base | Origin::Lath => Place::Lath,
        Origin::User => Place::Copied,
        Origin::Application => Place::Application,
    }
}

/// Whether a package belongs to Python itself, such as `python3.13-minimal`, `libpython3.13-stdlib` or `python3`.
/// `python3-apt` does not belong to Python, because it is only a library for Python.
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
    use crate::model::request::Layering;

    fn deb(name: &str) -> Origin {
        Origin::Deb { name: name.to_owned(), version: "1".to_owned() }
    }

    fn wheel(name: &str) -> Origin {
        Origin::Wheel { name: name.to_owned(), version: "1".to_owned() }
    }

    fn layers() -> LayersRequest {
        LayersRequest { layering: Layering::Auto, max: 60 }
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

    fn group_all<'a>(tree: &'a Tree, requested: &[&str], layers: LayersRequest) -> Vec<Group<'a>> {
        static NOTHING: BTreeMap<ImagePath, Node> = BTreeMap::new();
        group(Packed { tree, removed: &NOTHING }, requested, layers)
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

    /// Returns an image with files of each kind.
    fn of_each_kind() -> Tree {
        let mut tree = tree(&[
            ("/usr/lib/libc.so.6", deb("libc6"), 5),
            ("/usr/bin/python3.13", deb("python3.13-minimal"), 7),
            ("/var/lib/dpkg/status.d/python3.13-minimal.md5sums", Origin::Lath, 1),
            ("/etc/passwd", Origin::Lath, 1),
            ("/etc/ssl/certs/ca-certificates.crt", Origin::Lath, 9 << 20),
            ("/usr/share/x.crt", deb("ca-certificates"), 1),
            ("/opt/app/lib/yaml.py", wheel("pyyaml"), 1),
            ("/opt/app/lib/pyyaml-1.dist-info/METADATA", wheel("pyyaml"), 1),
            ("/opt/app/lib/pyyaml-1.dist-info/INSTALLER", Origin::Lath, 1),
            ("/opt/app/lib/torch.so", wheel("torch"), 90 << 20),
            ("/opt/app/bin/tool", wheel("tool"), 1),
            ("/data/x", Origin::User, 1),
        ]);
        tree.insert(ImagePath::parse("/tmp").unwrap(), Node::directory(Origin::Lath));
        tree
    }

    #[test]
    fn what_changes_least_is_at_the_bottom_and_every_layer_has_its_own_folders() {
        let tree = of_each_kind();
        insta::assert_snapshot!(listing(&group_all(&tree, &["tool"], layers())), @"
        ca-certificates
          folders: /etc
          folders: /etc/ssl
          folders: /etc/ssl/certs
          folders: /usr
          folders: /usr/share
          deb ca-certificates: /etc/ssl/certs/ca-certificates.crt
          deb ca-certificates: /usr/share/x.crt
        libc6
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
        files of lath
          folders: /etc
          lath: /etc/passwd
          lath: /tmp
        torch
          folders: /opt
          folders: /opt/app
          folders: /opt/app/lib
          wheel torch: /opt/app/lib/torch.so
        pyyaml
          folders: /opt
          folders: /opt/app
          folders: /opt/app/lib
          folders: /opt/app/lib/pyyaml-1.dist-info
          wheel pyyaml: /opt/app/lib/pyyaml-1.dist-info/INSTALLER
          wheel pyyaml: /opt/app/lib/pyyaml-1.dist-info/METADATA
          wheel pyyaml: /opt/app/lib/yaml.py
        tool
          folders: /opt
          folders: /opt/app
          folders: /opt/app/bin
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
        insta::assert_snapshot!(listing(&group_all(&tree, &["tool"], layers())), @"
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
    fn the_files_of_a_neighbour_are_in_the_same_layer_each_origin_as_a_share_of_its_own() {
        let tree =
            tree(&[("/opt/b.py", wheel("b"), 1), ("/opt/a.py", wheel("a"), 1), ("/opt/c.py", wheel("c"), 9 << 20)]);
        insta::assert_snapshot!(listing(&group_all(&tree, &[], layers())), @r"
        c
          folders: /opt
          wheel c: /opt/c.py
        a and b
          folders: /opt
          wheel a: /opt/a.py
          wheel b: /opt/b.py
        ");
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
