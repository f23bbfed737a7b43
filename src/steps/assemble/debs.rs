//! Places the files of Debian packages into the merged `/usr`. Also writes the metadata of each package for scanners.
//! No maintainer script runs.

use std::collections::BTreeMap;

use super::{AssembleError, write_text};
use crate::catalog::packages;
use crate::formats::deb822;
use crate::formats::relation::{self, Relation};
use crate::model::assembly::Assembly;
use crate::model::image_path::{IN_RUN, ImagePath, ImagePathError, MERGED, usr_merged};
use crate::model::part::{DebPart, Part, PartContents};
use crate::model::tree::{Kind, Node, Origin, Tree};
use crate::outside::store::Store;

/// Paths that several packages contain with different contents.
#[derive(Default)]
pub(super) struct Conflicts {
    /// For the name of each package, its field `Replaces` (Debian Policy, section 7.6.1).
    replaces: BTreeMap<String, Vec<Relation>>,
    /// Pairs of packages, each with the paths that both contain. Neither package of a pair declares that it replaces
    /// the other. The first package of a pair was placed first.
    paths: BTreeMap<(String, String), Vec<ImagePath>>,
}

/// If two packages contain the same path: the package whose file the image contains.
#[derive(Debug, PartialEq, Eq)]
enum Owner {
    Earlier,
    Later,
    /// The path belongs to the later package, although neither package declares that it replaces the other.
    Unsettled,
}

impl Conflicts {
    pub(super) fn of(parts: &[Part]) -> Self {
        let mut replaces = BTreeMap::new();
        for part in parts {
            let (Origin::Deb { name, .. }, PartContents::Deb(deb)) = (&part.origin, &part.contents) else { continue };
            let paragraph = deb822::paragraphs(deb.control.as_bytes()).next().and_then(Result::ok);
            let field = paragraph.as_ref().and_then(|paragraph| paragraph.field("Replaces")).unwrap_or_default();
            // If the field cannot be read, the package replaces nothing.
            let relations = relation::parse(field).unwrap_or_default().into_iter().flat_map(|clause| clause.0);
            replaces.insert(name.clone(), relations.collect());
        }
        Self { replaces, paths: BTreeMap::new() }
    }

    fn replaces(&self, one: &Origin, other: &Origin) -> bool {
        let (Origin::Deb { name, .. }, Origin::Deb { name: other, version }) = (one, other) else { return false };
        let relations = self.replaces.get(name).into_iter().flatten();
        relations.filter(|relation| relation.name == *other).any(|relation| relation.allows(version).unwrap_or(false))
    }

    fn owner(&self, earlier: &Origin, later: &Origin) -> Owner {
        match (self.replaces(earlier, later), self.replaces(later, earlier)) {
            (_, true) => Owner::Later,
            (true, false) => Owner::Earlier,
            (false, false) => Owner::Unsettled,
        }
    }

    /// Returns one sentence for each pair of packages that contain the same path, if neither package declares that it
    /// replaces the other.
    pub(super) fn notes(self) -> Vec<String> {
        let sentence = |((earlier, later), paths): ((String, String), Vec<ImagePath>)| {
            let more = match paths.len() - 1 {
                0 => String::new(),
                1 => " and another file".to_owned(),
                more => format!(" and {more} more files"),
            };
            format!(
                "`{}`{more} of {later} replaced the file of {earlier}, and neither package declares that it \
                 replaces the other",
                paths[0]
            )
        };
        self.paths.into_iter().map(sentence).collect()
    }
}

/// Adds the package's files and metadata.
pub(super) fn place(
    deb: &DebPart,
    origin: &Origin,
    conflicts: &mut Conflicts,
    assembly: &mut Assembly,
    store: &Store,
) -> Result<(), AssembleError> {
    let Origin::Deb { name, .. } = origin else { return Ok(()) };
    for entry in &deb.entries {
        merge_missing(&entry.path, &mut assembly.tree)?;
        let path = place_of(&entry.path, &assembly.tree)?;
        let there = assembly.tree.nodes.get(&path);
        match (&entry.kind, there.map(|node| &node.kind)) {
            // A directory that several packages share belongs to the first of them. If an earlier package has a link at
            // the path, the link stays.
            (Kind::Directory, Some(Kind::Directory | Kind::Link { .. })) => continue,
            (Kind::File { .. } | Kind::Link { .. }, Some(Kind::File { .. } | Kind::Link { .. })) => {
                let other = there.filter(|node| node.kind != entry.kind).map(|node| &node.origin);
                let other = other.filter(|other| matches!(other, Origin::Deb { .. }) && *other != origin);
                match other.map(|other| (conflicts.owner(other, origin), other)) {
                    Some((Owner::Earlier, _)) => continue,
                    Some((Owner::Unsettled, other)) => {
                        let pair = (other.to_string(), origin.to_string());
                        conflicts.paths.entry(pair).or_default().push(path.clone());
                    }
                    Some((Owner::Later, _)) | None => {}
                }
            }
            _ => {}
        }
        let mode = if entry.kind == Kind::Directory { entry.mode & 0o7777 } else { entry.mode & 0o1777 };
        let node = Node { kind: entry.kind.clone(), mode, owner: 0, group: None, origin: origin.clone(), kept: None };
        if entry.kind != Kind::Directory {
            link_moved(&entry.path, &path, origin, &mut assembly.tree)?;
        }
        assembly.tree.insert(path, node);
    }
    // In an image without a package manager, scanners read one file in `status.d` for each package.
    let status = deb.control.trim_end().to_owned() + "\n";
    write_text(&mut assembly.tree, &format!("/var/lib/dpkg/status.d/{name}"), &status, store)?;
    for (file, text) in &deb.control_files {
        if file == "md5sums" {
            write_text(&mut assembly.tree, &format!("/var/lib/dpkg/status.d/{name}.md5sums"), text, store)?;
        }
    }
    Ok(())
}

/// Returns the place of a package's path. Packages may still contain paths below `/var/run` and `/var/lock`, which are
/// links in the image. A base image may have directories there, and then the path stays as it is.
fn place_of(path: &str, tree: &Tree) -> Result<ImagePath, ImagePathError> {
    let path = ImagePath::parse(&usr_merged(path))?;
    for (link, target) in IN_RUN {
        let Some(below) = path.as_str().strip_prefix(link).filter(|below| below.starts_with('/')) else { continue };
        let there = tree.nodes.get(&ImagePath::parse(link)?);
        if there.is_some_and(|node| matches!(node.kind, Kind::Link { .. })) {
            return ImagePath::parse(&format!("{target}{below}"));
        }
    }
    Ok(path)
}

/// Returns the directory of the merged `/usr`, such as `sbin`, in which a package's path begins.
fn merged_top(path: &str) -> Option<&'static str> {
    MERGED.into_iter().find(|name| path.trim_start_matches('/').split('/').next() == Some(name))
}

/// Adds the link of the merged `/usr` for `path`, such as `/sbin` for `sbin/ldconfig`, if a base image does not have it.
fn merge_missing(path: &str, tree: &mut Tree) -> Result<(), AssembleError> {
    let Some(name) = merged_top(path) else { return Ok(()) };
    let (top, merged) = (ImagePath::parse(name)?, ImagePath::parse(&format!("/usr/{name}"))?);
    if !tree.nodes.contains_key(&top) {
        tree.insert(top, Node::link(format!("usr/{name}"), Origin::Lath));
        if !tree.nodes.contains_key(&merged) {
            tree.insert(merged, Node::directory(Origin::Lath));
        }
    }
    Ok(())
}

/// Adds a link at the path `original`, which a file has in its package, to the path `moved` in the merged `/usr`. This is
/// needed on a base image in which `/bin` and similar paths are directories and not links into `/usr`.
fn link_moved(original: &str, moved: &ImagePath, origin: &Origin, tree: &mut Tree) -> Result<(), AssembleError> {
    let Some(top) = merged_top(original) else { return Ok(()) };
    if tree.nodes.get(&ImagePath::parse(top)?).is_none_or(|node| node.kind != Kind::Directory) {
        return Ok(());
    }
    let original = ImagePath::parse(original)?;
    let there = tree.nodes.get(&original).map(|node| &node.kind);
    // The loader searches both folders. But if the base image has an older file at this path, programs must not get it.
    let is_found = there.is_none() && top.starts_with("lib") && original.file_name().contains(".so");
    if !is_found && there != Some(&Kind::Directory) {
        tree.insert(original, Node::link(moved.as_str(), origin.clone()));
    }
    Ok(())
}

/// Adds `/bin/sh` if an added package has a shell only in the merged `/usr`. Newer packages contain no paths outside of
/// `/usr`.
pub(super) fn link_shell(tree: &mut Tree) -> Result<(), AssembleError> {
    const SHELLS: [&str; 2] = ["/bin/sh", "/usr/bin/sh"];
    if let [None, Some((_, shell))] = SHELLS.map(|path| tree.find(path))
        && matches!(shell.origin, Origin::Deb { .. })
    {
        let link = Node::link(SHELLS[1], shell.origin.clone());
        tree.insert(ImagePath::parse(SHELLS[0])?, link);
    }
    Ok(())
}

/// Returns whether lath can ignore the `postinst` of the package `name`.
pub(super) fn is_known(name: &str) -> bool {
    let is_python = ["python3.", "libpython3."].iter().any(|prefix| name.starts_with(prefix));
    is_python || packages::has_idle_script(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::facts::FileFacts;
    use crate::model::part::PartEntry;

    #[test]
    fn paths_below_a_link_to_run_go_to_run_and_a_directory_of_a_base_image_stays() {
        let place = |path: &str, run: Node| {
            let mut tree = Tree::default();
            tree.insert(ImagePath::parse("/var/run").unwrap(), run);
            place_of(path, &tree).unwrap().to_string()
        };
        let link = || Node::link("/run", Origin::Lath);
        assert_eq!(place("var/run/x/y", link()), "/run/x/y");
        assert_eq!(place("var/run", link()), "/var/run");
        assert_eq!(place("var/running/x", link()), "/var/running/x");
        assert_eq!(place("var/run/x", Node::directory(Origin::Base)), "/var/run/x");
        assert_eq!(place("lib/x", link()), "/usr/lib/x");
    }

    #[test]
    fn a_path_of_two_packages_goes_to_the_one_that_replaces_the_other_or_is_reported() {
        let (_home, store) = crate::outside::store::tests::store();
        let deb = |name: &str, replaces: &str, contents: &[u8]| {
            let file = Kind::File { digest: store.put(contents).unwrap(), size_bytes: contents.len() as u64 };
            let entry = |path: &str, kind: &Kind| PartEntry { path: path.to_owned(), kind: kind.clone(), mode: 0o755 };
            let part = DebPart {
                control: format!("Package: {name}\nReplaces: {replaces}\nVersion: 1.0\n"),
                scripts: Vec::new(),
                control_files: Vec::new(),
                // Package `a` has its file in `/bin`, and the other package has its file in `/usr/bin`. With the merged
                // `/usr`, both are the same directory.
                entries: vec![
                    entry("usr/bin", &Kind::Directory),
                    entry(if name == "a" { "bin/x" } else { "usr/bin/x" }, &file),
                ],
            };
            let origin = Origin::Deb { name: name.to_owned(), version: "1.0".to_owned() };
            Part {
                parcel: Digest::of(name.as_bytes()),
                origin,
                facts: FileFacts::new(),
                contents: PartContents::Deb(part),
            }
        };
        let table = [
            (deb("a", "", b"1"), deb("b", "", b"1"), "b", 0),
            (deb("a", "", b"1"), deb("b", "a", b"2"), "b", 0),
            (deb("a", "b (<= 1.0)", b"1"), deb("b", "", b"2"), "a", 0),
            (deb("a", "b (<< 1.0)", b"1"), deb("b", "", b"2"), "b", 1),
            (deb("a", "", b"1"), deb("b", "c, d", b"2"), "b", 1),
        ];
        for (first, second, owner, notes) in table {
            let parts = [first, second];
            let (mut conflicts, mut assembly) = (Conflicts::of(&parts), Assembly::default());
            for Part { origin, contents, .. } in &parts {
                let PartContents::Deb(deb) = contents else { unreachable!() };
                place(deb, origin, &mut conflicts, &mut assembly, &store).unwrap();
            }
            let node = &assembly.tree.nodes[&ImagePath::parse("/usr/bin/x").unwrap()];
            assert_eq!(node.origin.to_string(), format!("deb {owner}"));
            let notes_found = conflicts.notes();
            assert_eq!(notes_found.len(), notes, "{notes_found:?}");
            let sentence = "`/usr/bin/x` of deb b replaced the file of deb a, and neither package declares";
            assert!(notes_found.iter().all(|note| note.starts_with(sentence)), "{notes_found:?}");
        }
    }
}
