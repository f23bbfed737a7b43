//! `/etc/passwd` and `/etc/group`, with three kinds of accounts: Debian's own accounts, the accounts that packages
//! create, and the user that runs the program.

use std::collections::{BTreeMap, BTreeSet};

use super::landing::landing;
use super::shell::Command;
use super::{AssembleError, read_text, write_text};
use crate::catalog::accounts::{self, Group, User};
use crate::model::tree::{Node, Origin, Tree};
use crate::outside::store::Store;

/// The ID of the user that runs the program by default.
pub(super) const USER: u32 = 65532;

/// The name of the user [`USER`] and of its group.
const APP: &str = "app";

/// The first ID for accounts of packages (Debian policy, 9.2.2).
const FIRST_SYSTEM_ID: u32 = 100;

const NOLOGIN: &str = "/usr/sbin/nologin";

/// An account that a package creates.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Account {
    pub(super) name: String,
    /// `None` for a group without a user.
    pub(super) home: Option<String>,
    creates_home: bool,
}

/// Writes `/etc/passwd` and `/etc/group`. The accounts in `packages` get consecutive IDs, in the order of `packages`.
/// Creates the home directories that the packages would create. Returns the IDs of all users.
pub(super) fn write(
    tree: &mut Tree,
    packages: &[Account],
    store: &Store,
) -> Result<BTreeMap<String, u32>, AssembleError> {
    let mut numbers = BTreeMap::from([("root".to_owned(), 0)]);
    numbers.extend(accounts::users().iter().map(|user| (user.name.clone(), user.id)));
    let mut passwd = format!("root:x:0:0:root:/root:{NOLOGIN}\n");
    let mut group = String::new();
    for User { name, id, group, home } in accounts::users() {
        passwd.push_str(&format!("{name}:x:{id}:{group}:{name}:{home}:{NOLOGIN}\n"));
    }
    for Group { name, id } in accounts::groups() {
        group.push_str(&format!("{name}:x:{id}:\n"));
    }
    passwd.push_str(&format!("{APP}:x:{USER}:{USER}:{APP}:/home/{APP}:{NOLOGIN}\n"));
    group.push_str(&format!("{APP}:x:{USER}:\n"));
    let mut taken: BTreeSet<&str> = accounts::users().iter().map(|user| user.name.as_str()).collect();
    taken.extend(accounts::groups().iter().map(|group| group.name.as_str()));
    taken.insert(APP);
    // The ID 100 is not used, because it is the ID of the group `users`.
    let mut id = FIRST_SYSTEM_ID + 1;
    for account in packages {
        if !taken.insert(&account.name) {
            continue;
        }
        let name = &account.name;
        group.push_str(&format!("{name}:x:{id}:\n"));
        if let Some(home) = &account.home {
            passwd.push_str(&format!("{name}:x:{id}:{id}::{home}:{NOLOGIN}\n"));
            numbers.insert(name.clone(), id);
            let path = landing(tree, home)?;
            if account.creates_home && !tree.nodes.contains_key(&path) {
                tree.insert(path, Node { owner: id, ..Node::directory(Origin::Lath) });
            }
        }
        id += 1;
    }
    write_text(tree, "/etc/passwd", &passwd, store)?;
    write_text(tree, "/etc/group", &group, store)?;
    Ok(numbers)
}

/// Adds the accounts of `packages` to the files of a base image. If no account is missing, the files stay as they are.
/// Returns the IDs of all users.
pub(super) fn add(
    tree: &mut Tree,
    packages: &[Account],
    store: &Store,
) -> Result<BTreeMap<String, u32>, AssembleError> {
    let Some(mut passwd) = read_text(tree, "/etc/passwd", store)? else { return write(tree, packages, store) };
    let mut group = read_text(tree, "/etc/group", store)?.unwrap_or_default();
    let mut numbers = numbers(&passwd);
    let mut group_numbers = self::numbers(&group);
    let mut taken: BTreeSet<u32> = numbers.values().chain(group_numbers.values()).copied().collect();
    let (mut users, mut groups) = (String::new(), String::new());
    for Account { name, home, creates_home } in packages {
        let has_group = group_numbers.contains_key(name);
        if numbers.contains_key(name) || (home.is_none() && has_group) {
            continue;
        }
        let id = (FIRST_SYSTEM_ID + 1..).find(|id| taken.insert(*id)).unwrap_or(USER);
        let group_id = *group_numbers.entry(name.clone()).or_insert(id);
        if !has_group {
            groups.push_str(&format!("{name}:x:{id}:\n"));
        }
        let Some(home) = home else { continue };
        users.push_str(&format!("{name}:x:{id}:{group_id}::{home}:{NOLOGIN}\n"));
        numbers.insert(name.clone(), id);
        let path = landing(tree, home)?;
        if *creates_home && !tree.nodes.contains_key(&path) {
            tree.insert(path, Node { owner: id, ..Node::directory(Origin::Lath) });
        }
    }
    for (path, text, more) in [("/etc/passwd", &mut passwd, users), ("/etc/group", &mut group, groups)] {
        if !more.is_empty() {
            let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            write_text(tree, path, &format!("{text}{end}{more}"), store)?;
        }
    }
    Ok(numbers)
}

/// Returns the ID of each name in the text of `/etc/passwd` or `/etc/group` (passwd(5), group(5)).
fn numbers(text: &str) -> BTreeMap<String, u32> {
    let number = |line: &str| {
        let mut fields = line.split(':');
        Some((fields.next()?.to_owned(), fields.nth(1)?.parse().ok()?))
    };
    text.lines().filter_map(number).collect()
}

/// Returns whether every image has a user or a group with this name.
pub(super) fn is_standard(name: &str) -> bool {
    name == "root"
        || accounts::users().iter().any(|user| user.name == name)
        || accounts::groups().iter().any(|group| group.name == name)
}

/// Returns the account that a command creates by `adduser`, `addgroup`, `useradd` or `groupadd`. `None` if the command
/// runs another program, or if an argument is unknown.
pub(super) fn of_command(command: &Command) -> Option<Account> {
    const WITH_VALUE: [&str; 14] = [
        "--home",
        "--shell",
        "--gecos",
        "--comment",
        "--ingroup",
        "--uid",
        "--gid",
        "-d",
        "-s",
        "-c",
        "-g",
        "-u",
        "-G",
        "--firstuid",
    ];
    let is_user = match command.program() {
        "adduser" | "useradd" => true,
        "addgroup" | "groupadd" => false,
        _ => return None,
    };
    let mut words = command.arguments()?.into_iter();
    let mut account = Account { name: String::new(), home: None, creates_home: is_user };
    let mut home = "/nonexistent".to_owned();
    while let Some(word) = words.next() {
        let (option, value) = word.split_once('=').map_or((word, None), |(option, value)| (option, Some(value)));
        if WITH_VALUE.contains(&option) {
            let value = value.or_else(|| words.next()).unwrap_or_default();
            if option == "--home" || option == "-d" {
                value.clone_into(&mut home);
            }
        } else if option == "--no-create-home" || option == "-M" {
            account.creates_home = false;
        } else if !word.starts_with('-') && account.name.is_empty() {
            word.clone_into(&mut account.name);
        } else if !word.starts_with('-') {
            // `adduser USER GROUP` creates no account.
            return None;
        }
    }
    if !is_usable(&account.name, &home) {
        return None;
    }
    account.creates_home &= home != "/nonexistent";
    account.home = is_user.then_some(home);
    Some(account)
}

/// Returns an account for which no home directory is created. It is a user if `home` is given, and otherwise a group.
/// `None` if the name or the home cannot be used.
pub(super) fn without_new_home(name: &str, home: Option<&str>) -> Option<Account> {
    let account = || Account { name: name.to_owned(), home: home.map(str::to_owned), creates_home: false };
    is_usable(name, home.unwrap_or("/")).then(account)
}

fn is_usable(name: &str, home: &str) -> bool {
    let is_plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    is_plain && home.starts_with('/') && !home.contains(['$', ':', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::image_path::ImagePath;
    use crate::steps::assemble::shell::tests::commands;

    fn of_script(script: &str) -> Vec<Account> {
        commands(script).iter().filter_map(of_command).collect()
    }

    fn account(name: &str, home: Option<&str>, creates_home: bool) -> Account {
        Account { name: name.to_owned(), home: home.map(str::to_owned), creates_home }
    }

    #[test]
    fn literal_commands_make_accounts() {
        let script = "if ! getent passwd sshd >/dev/null; then\n\
            adduser --quiet --system --no-create-home --home /run/sshd --shell /usr/sbin/nologin sshd\nfi\n\
            getent group ssl || addgroup --system ssl >/dev/null 2>&1\n\
            adduser --system --group \\\n --gecos \"A B\" --home=/var/lib/x x || true\n\
            adduser --system $NAME\nadduser x ssl\nuseradd -r -d \"$HOME\" y\n";
        assert_eq!(
            of_script(script),
            [
                account("sshd", Some("/run/sshd"), false),
                account("ssl", None, false),
                account("x", Some("/var/lib/x"), true)
            ]
        );
    }

    #[test]
    fn accounts_are_added_to_those_of_a_base_and_no_line_of_it_changes() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let mut tree = Tree::default();
        let put = |tree: &mut Tree, path: &str, text: &str| {
            let node = Node::file(store.put(text.as_bytes()).unwrap(), text.len() as u64, 0o644, Origin::Base);
            tree.insert(ImagePath::parse(path).unwrap(), node);
        };
        put(&mut tree, "/etc/passwd", "root:x:0:0::/root:/bin/bash\nold:x:101:101::/:/bin/sh");
        put(&mut tree, "/etc/group", "root:x:0:\nold:x:101:\nssl:x:102:\n");
        let before = tree.clone();
        add(&mut tree, &[account("old", Some("/"), true), account("ssl", None, false)], &store).unwrap();
        assert_eq!(tree, before);
        let more = [account("ssl", Some("/nonexistent"), false), account("new", Some("/var/lib/new"), true)];
        let numbers = add(&mut tree, &more, &store).unwrap();
        let text =
            |path: &str| String::from_utf8(store.read(tree.find(path).unwrap().1.digest().unwrap()).unwrap()).unwrap();
        insta::assert_snapshot!(text("/etc/passwd") + &text("/etc/group"), @"
        root:x:0:0::/root:/bin/bash
        old:x:101:101::/:/bin/sh
        ssl:x:103:102::/nonexistent:/usr/sbin/nologin
        new:x:104:104::/var/lib/new:/usr/sbin/nologin
        root:x:0:
        old:x:101:
        ssl:x:102:
        new:x:104:
        ");
        assert_eq!((numbers["new"], tree.find("/var/lib/new").unwrap().1.owner), (104, 104));
        // A group that another package has just added is not added again.
        add(&mut tree, &[account("both", None, false), account("both", Some("/"), false)], &store).unwrap();
        let text = |path: &str| read_text(&tree, path, &store).unwrap().unwrap();
        assert!(text("/etc/group").ends_with("new:x:104:\nboth:x:105:\n"), "{}", text("/etc/group"));
        assert!(text("/etc/passwd").ends_with("both:x:106:105::/:/usr/sbin/nologin\n"), "{}", text("/etc/passwd"));
    }

    #[test]
    fn accounts_are_numbered_in_order_and_none_is_made_twice() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let mut tree = Tree::default();
        let packages = [
            account("x", Some("/var/lib/x"), true),
            account("www-data", Some("/srv"), true),
            account("g", None, false),
        ];
        write(&mut tree, &packages, &store).unwrap();
        let text =
            |path: &str| String::from_utf8(store.read(tree.find(path).unwrap().1.digest().unwrap()).unwrap()).unwrap();
        assert!(
            text("/etc/passwd").ends_with("x:x:101:101::/var/lib/x:/usr/sbin/nologin\n"),
            "{}",
            text("/etc/passwd")
        );
        assert!(text("/etc/group").ends_with("x:x:101:\ng:x:102:\n"), "{}", text("/etc/group"));
        assert_eq!(tree.find("/var/lib/x").unwrap().1.owner, 101);
        assert!(tree.find("/srv").is_none());
    }
}
