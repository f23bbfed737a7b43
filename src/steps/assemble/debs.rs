//! Files of Debian packages: usr-merged, with their alternatives and an entry for scanners, no maintainer script run.

use super::{AssembleError, write_text};
use crate::model::assembly::Assembly;
use crate::model::image_path::{ImagePath, ImagePathError};
use crate::model::part::{DebPart, PartEntry};
use crate::model::tree::{Kind, Node, Origin, Tree};
use crate::outside::store::Store;

/// Directories of the root that are links into `/usr` (usrmerge).
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

/// Packages whose `postinst` lath stands in for, or that only serves upgrades, other packages or a running system.
const KNOWN: [&str; 30] = [
    "base-files",
    "base-passwd",
    "bash",
    "ca-certificates",
    "coreutils",
    "dash",
    "debianutils",
    "git",
    "gawk",
    "grep",
    "libc-bin",
    "libc6",
    "libgdk-pixbuf-2.0-0",
    "libglib2.0-0t64",
    "libpython3-stdlib",
    "libssl3t64",
    "login",
    "mawk",
    "media-types",
    "netbase",
    "openssh-client",
    "libgssapi-krb5-2",
    "passwd",
    "python3",
    "python3-minimal",
    "readline-common",
    "sed",
    "tar",
    "tzdata",
    "util-linux",
];

/// Adds the package's files, alternatives and metadata.
pub(super) fn place(
    deb: &DebPart,
    origin: &Origin,
    assembly: &mut Assembly,
    store: &Store,
) -> Result<(), AssembleError> {
    let Origin::Deb { name, .. } = origin else { return Ok(()) };
    for entry in &deb.entries {
        let path = merged(entry)?;
        match (&entry.kind, assembly.tree.nodes.get(&path).map(|node| &node.kind)) {
            // A directory that several packages share belongs to the first; one that is a link stays a link.
            (Kind::Directory, Some(Kind::Directory | Kind::Link { .. })) => {}
            (kind, _) => {
                let mode = if *kind == Kind::Directory { entry.mode & 0o7777 } else { entry.mode & 0o1777 };
                let node = Node { kind: kind.clone(), mode, owner: 0, origin: origin.clone(), reason: String::new() };
                assembly.tree.insert(path, node);
            }
        }
    }
    for (script, text) in &deb.scripts {
        if script != "postinst" {
            continue;
        }
        link_alternatives(text, origin, &mut assembly.tree)?;
        if !is_known(name) && !is_idle(text) {
            assembly.notes.push(format!(
                "{name} has a `postinst` that lath does not know and does not run: see that the image does what you expect"
            ));
        }
    }
    // The form that scanners read in images without a package manager.
    let status = deb.control.trim_end().to_owned() + "\n";
    write_text(&mut assembly.tree, &format!("/var/lib/dpkg/status.d/{name}"), &status, store)?;
    for (file, text) in &deb.control_files {
        if file == "md5sums" {
            write_text(&mut assembly.tree, &format!("/var/lib/dpkg/status.d/{name}.md5sums"), text, store)?;
        }
    }
    Ok(())
}

fn merged(entry: &PartEntry) -> Result<ImagePath, ImagePathError> {
    let first = entry.path.split('/').next().unwrap_or_default();
    if MERGED.contains(&first) && entry.path != first {
        ImagePath::parse(&format!("/usr/{}", entry.path))
    } else {
        ImagePath::parse(&entry.path)
    }
}

fn is_known(name: &str) -> bool {
    let is_python = ["python3.", "libpython3."].iter().any(|prefix| name.starts_with(prefix));
    is_python || KNOWN.contains(&name)
}

/// Whether a script does nothing but what lath does itself: linking alternatives, or asking ldconfig to run.
fn is_idle(text: &str) -> bool {
    const HARMLESS: [&str; 5] = ["ldconfig", "dpkg-trigger", "update-alternatives", "rm_conffile", "py3compile"];
    const WORDS: [&str; 12] = ["set", "if", "then", "fi", "case", "esac", "exit", "else", ";;", "abort-", "*)", "#"];
    let joined = text.replace("\\\n", " ");
    joined.lines().map(str::trim).filter(|line| !line.is_empty()).all(|line| {
        WORDS.iter().any(|word| line.starts_with(word))
            || HARMLESS.iter().any(|word| line.contains(word))
            || line.ends_with(')')
            || line == "}"
    })
}

/// Makes the link of each `update-alternatives --install LINK NAME PATH PRIORITY` whose words are literal. The first
/// package that offers a link has it: which of several wins is told by priority only where both are installed.
fn link_alternatives(script: &str, origin: &Origin, tree: &mut Tree) -> Result<(), AssembleError> {
    let joined = script.replace("\\\n", " ");
    for line in joined.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        for (index, word) in words.iter().enumerate() {
            let count = if *word == "--install" || *word == "--slave" { 3 } else { continue };
            let Some([link, _name, target]) = words.get(index + 1..=index + count) else { continue };
            if !link.starts_with('/') || !target.starts_with('/') || line.contains('$') {
                continue;
            }
            let path = ImagePath::parse(link)?;
            if tree.find(target).is_some() && !tree.nodes.contains_key(&path) {
                tree.insert(path, Node::link(*target, origin.clone()));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_at_the_root_goes_to_usr() {
        let entry = |path: &str| PartEntry { path: path.to_owned(), kind: Kind::Directory, mode: 0o755 };
        assert_eq!(
            merged(&entry("lib/x86_64-linux-gnu/libc.so.6")).unwrap().as_str(),
            "/usr/lib/x86_64-linux-gnu/libc.so.6"
        );
        assert_eq!(merged(&entry("lib")).unwrap().as_str(), "/lib");
        assert_eq!(merged(&entry("etc/passwd")).unwrap().as_str(), "/etc/passwd");
    }

    #[test]
    fn an_alternative_becomes_a_link_where_its_target_is() {
        let origin = Origin::Deb { name: "mawk".to_owned(), version: "1".to_owned() };
        let mut tree = Tree::default();
        let path = |text: &str| ImagePath::parse(text).unwrap();
        tree.insert(path("/usr/bin/mawk"), Node::link("x", origin.clone()));
        tree.insert(path("/usr/bin/x"), Node::directory(origin.clone()));
        let script = "update-alternatives --install /usr/bin/awk awk /usr/bin/mawk 5 \\\n  --slave /usr/bin/nawk nawk /usr/bin/none\n";
        link_alternatives(script, &origin, &mut tree).unwrap();
        assert_eq!(tree.nodes[&path("/usr/bin/awk")].kind, Kind::Link { target: "/usr/bin/mawk".to_owned() });
        assert!(!tree.nodes.contains_key(&path("/usr/bin/nawk")));
    }

    #[test]
    fn a_script_that_does_more_than_lath_is_not_idle() {
        assert!(is_idle("#!/bin/sh\nset -e\nif [ x ]; then\n\tldconfig\nfi\nexit 0\n"));
        assert!(!is_idle("#!/bin/sh\nadduser --system postgres\n"));
    }
}
