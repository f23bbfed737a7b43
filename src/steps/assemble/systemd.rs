//! The accounts, directories and links that `systemd-sysusers` and `systemd-tmpfiles` would make. The maintainer
//! scripts of packages call these programs. The lines of their files are described in sysusers.d(5) and tmpfiles.d(5).

use super::accounts::{self, Account};
use super::changes::Change;
use super::shell::Command;
use super::{AssembleError, read_text};
use crate::model::image_path::ImagePath;
use crate::model::tree::{Origin, Tree};
use crate::outside::store::Store;

/// One call of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    program: Program,
    /// The names or paths of the files that the call reads. Empty if the call reads all files.
    files: Vec<String>,
    origin: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Sysusers,
    Tmpfiles,
}

impl Program {
    /// Returns the folders of the program's files. If a call names a file without a folder, and both folders contain
    /// this file, the file in the first folder is read.
    fn folders(self) -> [&'static str; 2] {
        match self {
            Self::Sysusers => ["/etc/sysusers.d", "/usr/lib/sysusers.d"],
            Self::Tmpfiles => ["/etc/tmpfiles.d", "/usr/lib/tmpfiles.d"],
        }
    }
}

impl Call {
    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }
}

/// Returns the call in a command of the package `origin`. `None` if the command calls neither `systemd-sysusers` nor
/// `systemd-tmpfiles`.
pub(super) fn of_command(command: &Command, origin: &Origin) -> Option<Call> {
    let arguments = command.arguments()?;
    let program = match command.program() {
        "systemd-sysusers" => Program::Sysusers,
        "systemd-tmpfiles" if arguments.contains(&"--create") => Program::Tmpfiles,
        _ => return None,
    };
    let files = arguments.into_iter().filter(|word| !word.is_empty() && !word.starts_with('-')).map(str::to_owned);
    Some(Call { program, files: files.collect(), origin: origin.clone() })
}

/// Returns the accounts and the changes that `call` makes.
pub(super) fn read(call: &Call, tree: &Tree, store: &Store) -> Result<(Vec<Account>, Vec<Change>), AssembleError> {
    let (mut accounts, mut changes) = (Vec::new(), Vec::new());
    for path in paths(call, tree) {
        let Some(text) = read_text(tree, &path, store)? else { continue };
        for line in text.lines() {
            let fields = fields(line);
            let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
            match call.program {
                Program::Sysusers => accounts.extend(account(&fields)),
                Program::Tmpfiles => changes.extend(changes_of(&fields)),
            }
        }
    }
    Ok((accounts, changes))
}

/// Returns the paths of the files that `call` reads.
fn paths(call: &Call, tree: &Tree) -> Vec<String> {
    let folders = call.program.folders();
    let in_folder = |name: &str| {
        let paths = folders.map(|folder| format!("{folder}/{name}"));
        paths.into_iter().find(|path| tree.find(path).is_some())
    };
    if call.files.is_empty() {
        let is_read = |path: &&ImagePath| folders.iter().any(|folder| path.is_within(folder));
        return tree.nodes.keys().filter(is_read).map(|path| path.as_str().to_owned()).collect();
    }
    call.files
        .iter()
        .filter_map(|file| if file.starts_with('/') { Some(file.clone()) } else { in_folder(file) })
        .collect()
}

/// Splits a line into its fields, which may be quoted. Returns no fields for a comment.
fn fields(line: &str) -> Vec<String> {
    if line.trim_start().starts_with('#') { Vec::new() } else { shlex::split(line).unwrap_or_default() }
}

/// Returns the account of a line of sysusers.d: type, name, ID, comment, home, shell. The ID in the line is ignored,
/// because no file outside of the image depends on it. The account gets the next free ID, like any account of a
/// package.
fn account(fields: &[&str]) -> Option<Account> {
    let [kind, name, rest @ ..] = fields else { return None };
    let home = rest.get(2).copied().filter(|home| *home != "-").unwrap_or("/");
    let home = match kind.trim_end_matches('!') {
        "u" => Some(home),
        "g" => None,
        _ => return None,
    };
    accounts::without_new_home(name, home)
}

/// Returns the changes of a line of tmpfiles.d: type, path, mode, user, group, age, argument. Lines that only clean up
/// or empty a file make no changes. Lines with `!` make no changes either, because they only have an effect when a
/// machine boots.
fn changes_of(fields: &[&str]) -> Vec<Change> {
    let [kind, path, rest @ ..] = fields else { return Vec::new() };
    let field = |at: usize| rest.get(at).copied().filter(|value| !value.is_empty() && *value != "-");
    // `%` begins a specifier, such as the name of the machine.
    if kind.contains('!') || rest.iter().chain(Some(path)).any(|field| field.contains('%')) {
        return Vec::new();
    }
    let path = (*path).to_owned();
    match kind.trim_end_matches(['+', '-', '=', '?', '^', '$', '~']) {
        "d" | "D" | "v" | "q" | "Q" => {
            let mode = field(0).and_then(|mode| u32::from_str_radix(mode.trim_start_matches(['~', ':']), 8).ok());
            let owner = field(1).map(|user| Change::Owner { path: path.clone(), user: user.replace(':', "") });
            let directory = Change::Directory { path, mode: mode.unwrap_or(0o755) };
            std::iter::once(directory).chain(owner).collect()
        }
        "L" => field(4).map(|target| Change::Link { path, target: target.to_owned() }).into_iter().collect(),
        "C" => field(4).map(|from| Change::Copy { from: from.to_owned(), to: path }).into_iter().collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::outside::store::tests::store;
    use crate::steps::assemble::shell::tests::commands;
    use crate::steps::assemble::{changes, write_text};

    fn calls(script: &str) -> Vec<Call> {
        let origin = Origin::Deb { name: "x".to_owned(), version: "1".to_owned() };
        commands(script).iter().filter_map(|command| of_command(command, &origin)).collect()
    }

    #[test]
    fn accounts_of_sysusers_are_made_like_those_of_adduser() {
        let (_home, store) = store();
        let mut tree = Tree::default();
        let polkit = "# a comment\nu polkitd - \"User for polkitd\"\n";
        let x = "u! x 4:60 \"With home\" /var/lib/x /bin/sh\ng kvm - -\nm x kvm\nr - 500-900\nu bad%n - -\n";
        write_text(&mut tree, "/usr/lib/sysusers.d/polkit.conf", polkit, &store).unwrap();
        write_text(&mut tree, "/usr/lib/sysusers.d/x.conf", x, &store).unwrap();
        write_text(&mut tree, "/etc/sysusers.d/other.conf", "g other\n", &store).unwrap();
        let names = |script: &str| {
            let calls = calls(script);
            let accounts = calls.iter().flat_map(|call| read(call, &tree, &store).unwrap().0);
            accounts.map(|account| format!("{} {:?}", account.name, account.home)).collect::<Vec<_>>()
        };
        let polkitd = "polkitd Some(\"/\")";
        assert_eq!(names("systemd-sysusers ${DPKG_ROOT:+--root=\"$DPKG_ROOT\"} polkit.conf\n"), [polkitd]);
        assert_eq!(names("systemd-sysusers /usr/lib/sysusers.d/polkit.conf missing.conf\n"), [polkitd]);
        let x = ["x Some(\"/var/lib/x\")", "kvm None"];
        assert_eq!(names("systemd-sysusers x.conf\n"), x);
        assert_eq!(names("systemd-sysusers\n"), ["other None", polkitd, x[0], x[1]]);
        assert_eq!(names("echo systemd-sysusers x.conf\n"), [""; 0]);
    }

    #[test]
    fn directories_and_links_of_tmpfiles_are_made() {
        let (_home, store) = store();
        let mut tree = Tree::default();
        let lines = "d /run/x 2750 x adm -\nL /etc/mtab - - - - ../proc/self/mounts\nD! /run/boot 0755\n\
            d /run/%m 0755\nx /tmp/x*\nL+ /var/x - - - - /run/x\nC /etc/x.conf - - - - /usr/share/x.conf\n\
            f /run/lock.x 0644\nq /var/lib/x\nd ../x\nd /dev/x\nr /etc/shadow\nd\n";
        write_text(&mut tree, "/usr/lib/tmpfiles.d/x.conf", lines, &store).unwrap();
        write_text(&mut tree, "/usr/share/x.conf", "x", &store).unwrap();
        let script = "if [ -x \"$(command -v systemd-tmpfiles)\" ]; then\n\
            systemd-tmpfiles ${DPKG_ROOT:+--root=\"$DPKG_ROOT\"} --create x.conf || true\nfi\n\
            systemd-tmpfiles --remove x.conf\n";
        let calls = calls(script);
        assert_eq!(calls.len(), 1);
        let changes = read(&calls[0], &tree, &store).unwrap().1;
        let changes: Vec<_> = changes.into_iter().map(|change| (change, calls[0].origin().clone())).collect();
        changes::make(&mut tree, &changes, &BTreeMap::from([("x".to_owned(), 101)]));
        insta::assert_snapshot!(tree.listing(), @"
        dir  0755 0 /  lath
        dir  0755 0 /etc  deb x
        link 0777 0 /etc/mtab -> ../proc/self/mounts  deb x
        file 0644 0 /etc/x.conf  sha256:2d711642  lath
        dir  0755 0 /run  deb x
        dir  2750 101 /run/x  deb x
        dir  0755 0 /usr  lath
        dir  0755 0 /usr/lib  lath
        dir  0755 0 /usr/lib/tmpfiles.d  lath
        file 0644 0 /usr/lib/tmpfiles.d/x.conf  sha256:903778cb  lath
        dir  0755 0 /usr/share  lath
        file 0644 0 /usr/share/x.conf  sha256:2d711642  lath
        dir  0755 0 /var  deb x
        dir  0755 0 /var/lib  deb x
        dir  0755 0 /var/lib/x  deb x
        link 0777 0 /var/x -> /run/x  deb x
        ");
    }
}
