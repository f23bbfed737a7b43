//! Tree -> smaller tree: the level `standard`, a table of rules. Never a Python file of a distribution.
//!
//! Each removal bears its rule's words, which the user reads.

use rayon::prelude::*;

use crate::formats::elf;
use crate::model::assembly::Assembly;
use crate::model::digest::Digest;
use crate::model::glob;
use crate::model::image_path::ImagePath;
use crate::model::request::{Request, TrimLevel};
use crate::model::tree::{Kind, Node, Origin, Tree};
use crate::outside::store::{Store, StoreError};

/// A rule: what it takes out of Debian's packages, and how the user reads it.
struct Rule {
    reason: &'static str,
    takes: fn(&ImagePath) -> bool,
}

/// In order: the first that takes a path tells the reason. All are about Debian's packages alone.
const RULES: [Rule; 8] = [
    Rule { reason: "documentation", takes: is_documentation },
    Rule { reason: "manuals", takes: |path| any_within(path, &["/usr/share/man", "/usr/share/info"]) },
    Rule { reason: "locales but C.UTF-8", takes: is_locale },
    Rule { reason: "character sets for iconv", takes: |path| path.as_str().contains("/gconv/") },
    Rule { reason: "headers and static libraries", takes: is_for_compilers },
    Rule { reason: "files for packagers and desktops", takes: is_for_packagers },
    Rule { reason: "the stdlib's own tests and its IDE", takes: is_stdlib_test },
    Rule { reason: "programs of libc's maintenance", takes: is_libc_maintenance },
];

/// Takes out what no program asks for at run time.
pub(crate) fn trim(whole: &Assembly, request: &Request, store: &Store) -> Result<Tree, StoreError> {
    let mut tree = whole.tree.clone();
    if request.trim == TrimLevel::None {
        return Ok(tree);
    }
    let paths: Vec<(ImagePath, &'static str)> = whole
        .tree
        .nodes
        .iter()
        .filter(|(path, _)| !request.keep.iter().any(|keep| glob::matches(keep, path.as_str())))
        .filter_map(|(path, node)| Some((path.clone(), reason(path, node)?)))
        .collect();
    for (path, reason) in &paths {
        tree.remove(path, reason);
    }
    remove_empty(&mut tree, &whole.tree);
    strip(&mut tree, request, store)?;
    Ok(tree)
}

/// Takes symbols and debug information out of the extension modules of wheels. Libraries that a repair tool has put
/// into `*.libs/` are left as they are: their layout is no linker's, and stripping has broken such files.
fn strip(tree: &mut Tree, request: &Request, store: &Store) -> Result<(), StoreError> {
    const SHELF: &str = "stripped-2";
    let is_module = |path: &ImagePath, node: &Node| {
        matches!(node.origin, Origin::Wheel { .. })
            && path.file_name().ends_with(".so")
            && !path.components().any(|component| component.ends_with(".libs") || component == ".dylibs")
            && !request.keep.iter().any(|keep| glob::matches(keep, path.as_str()))
    };
    let mut modules: Vec<&mut Node> =
        tree.nodes.iter_mut().filter(|(path, node)| is_module(path, node)).map(|(_, node)| node).collect();
    modules.par_iter_mut().try_for_each(|node| {
        let Kind::File { digest, size_bytes } = &mut node.kind else { return Ok(()) };
        let stripped: Option<(Digest, u64)> = match store.note::<Option<(Digest, u64)>>(SHELF, digest) {
            Some(noted) if noted.is_none_or(|(digest, size_bytes)| store.holds(&digest, size_bytes)) => noted,
            _ => {
                let stripped = match elf::strip_debug(&store.read(digest)?) {
                    Some(bytes) => Some((store.put(&bytes)?, bytes.len() as u64)),
                    None => None,
                };
                store.write_note(SHELF, digest, &stripped)?;
                stripped
            }
        };
        if let Some(stripped) = stripped {
            (*digest, *size_bytes) = stripped;
        }
        Ok(())
    })
}

fn reason(path: &ImagePath, node: &Node) -> Option<&'static str> {
    if node.kind == Kind::Directory || !matches!(node.origin, Origin::Deb { .. }) {
        return None;
    }
    RULES.iter().find(|rule| (rule.takes)(path)).map(|rule| rule.reason)
}

/// Takes out the directories that trimming emptied, deepest first.
fn remove_empty(tree: &mut Tree, whole: &Tree) {
    let mut filled: Vec<ImagePath> = tree.removed.keys().filter_map(ImagePath::parent).collect();
    filled.sort();
    filled.dedup();
    while let Some(directory) = filled.pop() {
        // Between a directory and what is in it, names that go on with a letter before the slash may stand.
        let mut after = tree.nodes.range(directory.clone()..).skip(1).map(|(path, _)| path);
        let is_empty = !after
            .by_ref()
            .take_while(|next| next.as_str().starts_with(directory.as_str()))
            .any(|next| next.is_within(directory.as_str()));
        let is_deb = whole.nodes.get(&directory).is_some_and(|node| matches!(node.origin, Origin::Deb { .. }));
        if is_empty && is_deb && tree.nodes.contains_key(&directory) {
            tree.remove(&directory, "emptied by the rules above");
            if let Some(parent) = directory.parent() {
                let at = filled.partition_point(|other| *other < parent);
                if filled.get(at) != Some(&parent) {
                    filled.insert(at, parent);
                }
            }
        }
    }
}

fn any_within(path: &ImagePath, directories: &[&str]) -> bool {
    directories.iter().any(|directory| path.is_within(directory))
}

fn is_documentation(path: &ImagePath) -> bool {
    let is_copyright = path.file_name() == "copyright";
    any_within(path, &["/usr/share/doc", "/usr/share/doc-base"]) && !is_copyright
}

fn is_locale(path: &ImagePath) -> bool {
    let is_supported = path.is_within("/usr/lib/locale/C.utf8") || path.is_within("/usr/lib/locale/C.UTF-8");
    any_within(path, &["/usr/share/locale", "/usr/share/i18n", "/usr/lib/locale"]) && !is_supported
}

fn is_for_compilers(path: &ImagePath) -> bool {
    path.is_within("/usr/include")
        || path.is_within("/usr/share/aclocal")
        || path.as_str().ends_with(".a")
        || path.as_str().contains("/pkgconfig/")
}

fn is_for_packagers(path: &ImagePath) -> bool {
    const PLACES: [&str; 10] = [
        "/usr/share/lintian",
        "/usr/share/bug",
        "/usr/share/applications",
        "/usr/share/pixmaps",
        "/usr/share/bash-completion",
        "/usr/share/zsh",
        "/usr/share/binfmts",
        "/usr/share/debconf",
        "/var/lib/dpkg/info",
        "/usr/share/menu",
    ];
    any_within(path, &PLACES)
}

/// `test`, `idlelib`, `turtledemo` and `ensurepip`'s wheels: Debian packs them apart, but for pieces.
fn is_stdlib_test(path: &ImagePath) -> bool {
    let mut components = path.components();
    let is_stdlib = components.next() == Some("usr")
        && components.next() == Some("lib")
        && components.next().is_some_and(|name| name.starts_with("python3."));
    is_stdlib && components.next().is_some_and(|name| ["test", "idlelib", "turtledemo"].contains(&name))
}

/// Programs of `libc-bin` that make what lath makes itself, or serve administrators. `ldconfig`, `getent` and `locale` stay.
fn is_libc_maintenance(path: &ImagePath) -> bool {
    const PROGRAMS: [&str; 6] = ["iconv", "iconvconfig", "localedef", "zdump", "zic", "tzselect"];
    let is_program = any_within(path, &["/usr/bin", "/usr/sbin"]);
    is_program && PROGRAMS.contains(&path.file_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[(&str, Origin)]) -> Tree {
        let mut tree = Tree::default();
        for (path, origin) in paths {
            tree.insert(ImagePath::parse(path).unwrap(), Node::file(Digest::of(b"x"), 1, 0o644, origin.clone()));
        }
        tree
    }

    #[test]
    fn what_goes_has_a_reason_and_what_a_wheel_brings_stays() {
        let deb = Origin::Deb { name: "d".to_owned(), version: "1".to_owned() };
        let wheel = Origin::Wheel { name: "w".to_owned(), version: "1".to_owned() };
        let whole = tree(&[
            ("/usr/share/doc/d/changelog.gz", deb.clone()),
            ("/usr/share/doc/d/copyright", deb.clone()),
            ("/usr/share/doc/d-more/changelog.gz", deb.clone()),
            ("/usr/share/doc/d-kept/copyright", deb.clone()),
            ("/usr/share/man/man1/d.1.gz", deb.clone()),
            ("/usr/lib/locale/C.utf8/LC_CTYPE", deb.clone()),
            ("/usr/lib/x86_64-linux-gnu/gconv/X.so", deb.clone()),
            ("/usr/lib/python3.13/test/x.py", deb),
            ("/opt/app/lib/python3.13/site-packages/usr/share/man/x", wheel.clone()),
            ("/opt/app/lib/python3.13/site-packages/w/tests/x.py", wheel),
        ]);
        let mut slim = whole.clone();
        let going: Vec<(ImagePath, &str)> =
            whole.nodes.iter().filter_map(|(path, node)| Some((path.clone(), reason(path, node)?))).collect();
        for (path, reason) in &going {
            slim.remove(path, reason);
        }
        remove_empty(&mut slim, &whole);
        let gone = |path: &str| slim.removed.get(&ImagePath::parse(path).unwrap()).map(|gone| gone.reason.as_str());
        assert_eq!(gone("/usr/share/doc/d/changelog.gz"), Some("documentation"));
        assert_eq!(gone("/usr/share/man/man1/d.1.gz"), Some("manuals"));
        assert_eq!(gone("/usr/share/man"), Some("emptied by the rules above"));
        assert_eq!(gone("/usr/lib/python3.13/test/x.py"), Some("the stdlib's own tests and its IDE"));
        assert!(gone("/usr/lib/x86_64-linux-gnu/gconv/X.so").is_some());
        assert_eq!(gone("/usr/share/doc/d-more"), Some("emptied by the rules above"));
        for stays in ["/usr/share/doc/d", "/usr/share/doc/d/copyright", "/usr/lib/locale/C.utf8/LC_CTYPE", "/usr/share"]
        {
            assert!(slim.nodes.contains_key(&ImagePath::parse(stays).unwrap()), "{stays}");
        }
        assert_eq!(
            slim.nodes
                .values()
                .filter(|node| matches!(node.origin, Origin::Wheel { .. }) && node.size_bytes() > 0)
                .count(),
            2
        );
    }
}
