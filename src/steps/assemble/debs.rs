//! Files of Debian packages: usr-merged, with their alternatives and an entry for scanners. No maintainer script runs.

use super::{AssembleError, accounts, write_text};
use crate::model::assembly::Assembly;
use crate::model::image_path::{ImagePath, ImagePathError};
use crate::model::part::{DebPart, Part, PartContents, PartEntry};
use crate::model::tree::{Kind, Node, Origin};
use crate::outside::store::Store;

/// Directories of the root that are links into `/usr` (usrmerge).
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

/// Packages whose `postinst` can be ignored, because lath does the same itself or because it only serves upgrades,
/// other packages or a running system.
const KNOWN: [&str; 37] = [
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
    "libglib2.0-0",
    "libglib2.0-0t64",
    "libpython3-stdlib",
    "libselinux1",
    "libssl3",
    "libssl3t64",
    "login",
    "mawk",
    "media-types",
    "netbase",
    "openssh-client",
    "libgssapi-krb5-2",
    "passwd",
    "python3",
    "python3-distutils",
    "python3-gdbm",
    "python3-lib2to3",
    "python3-minimal",
    "python3-tk",
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
            // If several packages share a directory, it belongs to the first one. If the path is already a link, it
            // stays a link.
            (Kind::Directory, Some(Kind::Directory | Kind::Link { .. })) => {}
            (kind, _) => {
                let mode = if *kind == Kind::Directory { entry.mode & 0o7777 } else { entry.mode & 0o1777 };
                let node = Node { kind: kind.clone(), mode, owner: 0, origin: origin.clone(), reason: String::new() };
                assembly.tree.insert(path, node);
            }
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

/// Returns the note about packages whose `postinst` contains commands that lath does not know.
pub(super) fn unknown_scripts(parts: &[Part]) -> Option<String> {
    let unknown: Vec<&str> = parts.iter().filter_map(with_unknown_script).collect();
    let have = if unknown.len() == 1 { "has a `postinst`" } else { "have each a `postinst`" };
    (!unknown.is_empty()).then(|| {
        let names = unknown.join(", ");
        format!("{names} {have} that lath does not know and does not run: see that the image does what you expect")
    })
}

fn with_unknown_script(part: &Part) -> Option<&str> {
    let (Origin::Deb { name, .. }, PartContents::Deb(deb)) = (&part.origin, &part.contents) else { return None };
    (!is_known(name) && deb.postinst().is_some_and(|text| !is_idle(text))).then_some(name)
}

fn is_known(name: &str) -> bool {
    let is_python = ["python3.", "libpython3."].iter().any(|prefix| name.starts_with(prefix));
    is_python || KNOWN.contains(&name)
}

/// Returns whether a script only does things that lath does itself, or that only a running system or an upgrade needs.
/// Such scripts set up alternatives and accounts, activate triggers, register services, use debconf, or remove files of
/// older versions.
fn is_idle(text: &str) -> bool {
    let joined = text.replace("\\\n", " ");
    joined.lines().map(str::trim).filter(|line| !line.starts_with('#')).all(is_idle_line)
}

fn is_idle_line(line: &str) -> bool {
    const SILENCED: [&str; 6] = [">/dev/null", "> /dev/null", "2>&1", "1>&2", ">&2", "2>"];
    if line.ends_with("() {") || line.ends_with("()") {
        return true;
    }
    if line.contains("$(") || line.contains('`') {
        return false;
    }
    // `configure|reconfigure) command ;;`
    let commands = match line.split_once(')') {
        Some((pattern, rest)) if !pattern.contains('(') => rest,
        _ => line,
    };
    let commands = SILENCED.iter().fold(commands.to_owned(), |text, redirection| text.replace(redirection, ""));
    commands.split([';', '|', '&']).all(is_idle_command)
}

fn is_idle_command(command: &str) -> bool {
    const BEFORE: [&str; 10] = ["if", "elif", "then", "else", "while", "do", "!", "{", "}", "fi"];
    const ALONE: [&str; 7] = ["case", "esac", "for", "done", "[", "test", ":"];
    const PROGRAMS: [&str; 33] = [
        ".",
        "break",
        "command",
        "db_get",
        "db_go",
        "db_input",
        "db_purge",
        "db_set",
        "db_stop",
        "db_version",
        "deb-systemd-helper",
        "deb-systemd-invoke",
        "dpkg",
        "dpkg-maintscript-helper",
        "dpkg-trigger",
        "echo",
        "exit",
        "false",
        "getent",
        "invoke-rc.d",
        "ldconfig",
        "local",
        "py3clean",
        "py3compile",
        "return",
        "rm",
        "rm_conffile",
        "set",
        "shift",
        "true",
        "update-alternatives",
        "update-rc.d",
        "which",
    ];
    const SERVICES: [&str; 3] = ["systemctl", "systemd-sysusers", "systemd-tmpfiles"];
    let mut words = command.split_whitespace().skip_while(|word| BEFORE.contains(word));
    let Some(first) = words.next() else { return true };
    let program = first.rsplit('/').next().unwrap_or_default();
    let is_assignment = first
        .split_once('=')
        .is_some_and(|(name, _)| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
    let is_account = ["addgroup", "adduser", "groupadd", "useradd"].contains(&program);
    if is_account {
        return accounts::of_command(command).is_some();
    }
    is_assignment || ALONE.contains(&first) || PROGRAMS.contains(&program) || SERVICES.contains(&program)
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
    fn a_script_that_does_more_than_lath_is_not_idle() {
        assert!(is_idle("#!/bin/sh\nset -e\nif [ x ]; then\n\tldconfig\nfi\nexit 0\n"));
        assert!(is_idle("case \"$1\" in\n  configure)\n    adduser --system postgres || true\n  ;;\nesac\n"));
        assert!(!is_idle("#!/bin/sh\nadduser --system $NAME\n"));
        assert!(is_idle("if [ -d /run/systemd/system ]; then\n systemctl daemon-reload >/dev/null || true\nfi\n"));
        assert!(!is_idle("case x in\n configure) make-cache ;;\nesac\n"));
        assert!(!is_idle("if [ -x /usr/bin/x ]; then x --cache; fi\n"));
        assert!(!is_idle("#!/bin/sh\nset -e\ngdk-pixbuf-query-loaders > /usr/lib/loaders.cache\n"));
    }
}
