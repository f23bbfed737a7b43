//! The directories, links, copies, owners and permissions that maintainer scripts would make.

use std::collections::BTreeMap;

use super::shell::Command;
use crate::model::image_path::{ImagePath, usr_merged};
use crate::model::tree::{Kind, Node, Origin, Tree};

/// A change that one command makes in the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Directory {
        path: String,
        mode: u32,
    },
    File {
        path: String,
    },
    Copy {
        from: String,
        to: String,
    },
    Link {
        path: String,
        target: String,
    },
    /// The permission bits of a path.
    Mode {
        path: String,
        mode: u32,
    },
    Owner {
        path: String,
        user: String,
    },
}

impl Change {
    /// Returns the path that the change creates. `None` if the change creates no path.
    pub(super) fn created(&self) -> Option<&str> {
        match self {
            Self::Directory { path, .. } | Self::Link { path, .. } | Self::Copy { to: path, .. } => Some(path),
            Self::File { .. } | Self::Mode { .. } | Self::Owner { .. } => None,
        }
    }
}

/// Returns the changes that one command makes. `None` if its program changes nothing, or if an argument is unknown.
pub(super) fn of_command(command: &Command) -> Option<Vec<Change>> {
    let arguments = command.arguments()?;
    let (options, paths) = options(command.program(), &arguments)?;
    let option = |name: &str| options.iter().find(|(option, _)| *option == name).map(|(_, value)| *value);
    let octal = |text: &str| u32::from_str_radix(text, 8).ok();
    let each =
        |paths: &[&str], change: &dyn Fn(String) -> Change| paths.iter().map(|&path| change(path.to_owned())).collect();
    let changes: Vec<Change> = match (command.program(), paths.as_slice()) {
        ("mkdir", paths) => {
            let mode = option("-m").map_or(Some(0o755), octal)?;
            each(paths, &|path| Change::Directory { path, mode })
        }
        ("install", paths) if option("-d").is_some() => {
            let mode = option("-m").map_or(Some(0o755), octal)?;
            let mut changes: Vec<Change> = each(paths, &|path| Change::Directory { path, mode });
            if let Some(user) = option("-o") {
                changes.extend(each(paths, &|path| Change::Owner { path, user: user.to_owned() }) as Vec<Change>);
            }
            changes
        }
        ("touch", paths) => each(paths, &|path| Change::File { path }),
        ("cp", [from, to]) | ("ucf", [from, to]) => {
            vec![Change::Copy { from: (*from).to_owned(), to: (*to).to_owned() }]
        }
        ("ln", [target, path]) if option("-s").is_some() => {
            vec![Change::Link { path: (*path).to_owned(), target: (*target).to_owned() }]
        }
        // A mode such as `g+w` is ignored, because such a mode only matters for the accounts of services.
        ("chmod", [mode, paths @ ..]) => {
            octal(mode).map_or(Vec::new(), |mode| each(paths, &|path| Change::Mode { path, mode }))
        }
        ("chown", [user, paths @ ..]) => {
            let user = user.split([':', '.']).next().unwrap_or_default();
            each(paths, &|path| Change::Owner { path, user: user.to_owned() })
        }
        // `chgrp` changes nothing, because the owner and the group of a path have the same ID in lath's images.
        ("chgrp", _) => Vec::new(),
        ("dpkg-statoverride", [user, _, mode, path]) if option("--add").is_some() => {
            let (user, path) = ((*user).to_owned(), (*path).to_owned());
            vec![Change::Owner { path: path.clone(), user }, Change::Mode { path, mode: octal(mode)? }]
        }
        _ => return None,
    };
    Some(changes)
}

type Options<'a> = Vec<(&'a str, &'a str)>;

/// Splits the arguments into options with their values, and the rest. In a word such as `-rf`, each letter is an
/// option.
fn options<'a>(program: &str, arguments: &[&'a str]) -> Option<(Options<'a>, Vec<&'a str>)> {
    // The letters of the options that have a value.
    let with_value = match program {
        "mkdir" => "m",
        "install" => "mog",
        "touch" | "cp" | "ucf" | "ln" | "chmod" | "chown" | "chgrp" | "dpkg-statoverride" => "",
        _ => return None,
    };
    let (mut options, mut rest) = (Options::new(), Vec::new());
    let mut words = arguments.iter();
    while let Some(&word) = words.next() {
        if word == "--" {
            rest.extend(words.by_ref());
        } else if word == "--sum-file" {
            words.next();
        } else if let Some((name, value)) = word.split_once('=').filter(|_| word.starts_with("--")) {
            options.push((short(name), value));
        } else if word.starts_with("--") {
            let name = short(word);
            let has_value = name.len() == 2 && with_value.contains(&name[1..]);
            options.push((name, if has_value { words.next()? } else { "" }));
        } else if word.len() > 1 && word.starts_with('-') {
            for (at, letter) in word.char_indices().skip(1) {
                let end = at + letter.len_utf8();
                let name = LETTERS.iter().find(|name| name.ends_with(letter)).copied().unwrap_or_default();
                if with_value.contains(letter) {
                    options.push((name, if end < word.len() { &word[end..] } else { words.next()? }));
                    break;
                }
                options.push((name, ""));
            }
        } else {
            rest.push(word);
        }
    }
    Some((options, rest))
}

/// The options that affect the changes.
const LETTERS: [&str; 5] = ["-d", "-g", "-m", "-o", "-s"];

/// Returns the short form of a long option.
fn short(option: &str) -> &str {
    match option {
        "--directory" => "-d",
        "--group" => "-g",
        "--mode" => "-m",
        "--owner" => "-o",
        "--symbolic" => "-s",
        other => other,
    }
}

/// Makes the changes. A change that is not possible is left out, because a script may expect files that the image does
/// not have.
///
/// Only directories get another owner. Permissions are added, but never removed. The reason: scripts reserve files and
/// directories for the account of a service, but the program in an image runs as another user. Setuid bits are never
/// set. Paths of a base image keep their owner and their permissions.
pub(super) fn make(tree: &mut Tree, changes: &[(Change, Origin)], accounts: &BTreeMap<String, u32>) {
    for (change, origin) in changes {
        match change {
            Change::Directory { path, mode } => {
                add(tree, path, Node { mode: mode & 0o7777, ..Node::directory(origin.clone()) });
            }
            // No file is created. Scripts create empty files for locks and logs. If a program may write such a file,
            // the program can also create it.
            Change::File { .. } => {}
            Change::Copy { from, to } => {
                let source = tree.find(from).map(|(_, node)| node.clone()).filter(|node| node.digest().is_some());
                let is_directory = tree.find(to).is_some_and(|(_, node)| node.kind == Kind::Directory);
                let name = from.rsplit('/').next().unwrap_or_default();
                let to = if is_directory || to.ends_with('/') { format!("{to}/{name}") } else { to.clone() };
                if let Some(node) = source {
                    add(tree, &to, node);
                }
            }
            Change::Link { target, .. } if target.is_empty() => {}
            Change::Link { path, target } => add(tree, path, Node::link(target.clone(), origin.clone())),
            Change::Mode { path, mode } => {
                let Some((path, _)) = tree.find(path) else { continue };
                let Some(node) = tree.nodes.get_mut(&path).filter(|node| node.origin != Origin::Base) else { continue };
                let bits = if node.kind == Kind::Directory { 0o3777 } else { 0o777 };
                node.mode |= mode & bits;
            }
            Change::Owner { path, user } => {
                let Some((path, _)) = tree.find(path) else { continue };
                if let (Some(node), Some(id)) = (tree.nodes.get_mut(&path), accounts.get(user))
                    && node.kind == Kind::Directory
                    && node.origin != Origin::Base
                {
                    node.owner = *id;
                }
            }
        }
    }
}

/// Adds a path, unless it exists or [`place`] returns `None` for it.
fn add(tree: &mut Tree, path: &str, node: Node) {
    if let Some(path) = place(tree, path).filter(|path| !tree.nodes.contains_key(path)) {
        tree.insert(path, node);
    }
}

/// Returns the place of a new path, after the links in its parent directories were resolved. `None` if the path is not
/// absolute, leads outside of the tree, or would be below a file.
fn place(tree: &Tree, path: &str) -> Option<ImagePath> {
    if !path.starts_with('/') || path.contains(['*', '?', '[']) {
        return None;
    }
    let path = ImagePath::parse(&usr_merged(path)).ok()?;
    // Nothing is added to `/proc`, `/sys` and `/dev`, because these directories are empty in every image.
    if ["/proc", "/sys", "/dev"].iter().any(|directory| path.is_within(directory)) || path == ImagePath::root() {
        return None;
    }
    let mut missing = vec![path.file_name().to_owned()];
    let mut above = path.parent()?;
    loop {
        if tree.nodes.contains_key(&above) {
            let directory = tree.canonical(&above)?;
            let is_directory = tree.nodes.get(&directory).is_some_and(|node| node.kind == Kind::Directory);
            missing.reverse();
            return if is_directory { directory.join(&missing.join("/")).ok() } else { None };
        }
        missing.push(above.file_name().to_owned());
        above = above.parent()?;
    }
}
