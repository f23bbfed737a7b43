//! The links that `update-alternatives` would create. For example, `/usr/bin/awk` is a link to `/etc/alternatives/awk`,
//! which is a link to the alternative with the highest priority, such as `/usr/bin/gawk`.

use std::collections::BTreeMap;

use super::AssembleError;
use super::shell::Command;
use crate::model::image_path::{ImagePath, usr_merged};
use crate::model::tree::{Node, Origin, Tree};

/// The arguments `--install LINK NAME PATH PRIORITY` of one command, with all its `--slave LINK NAME PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alternative {
    priority: i64,
    master: Linked,
    slaves: Vec<Linked>,
    origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Linked {
    link: String,
    name: String,
    target: String,
}

/// Returns the alternative that a command installs. `None` if the name, the priority or a path of the alternative is
/// unknown.
pub(super) fn of_command(command: &Command, origin: &Origin) -> Option<Alternative> {
    let words: Vec<&str> = command.words.iter().map(|word| word.as_deref().unwrap_or_default()).collect();
    let at = |index: usize| {
        let [link, name, target] = words.get(index + 1..index + 4)? else { return None };
        let is_plain = link.starts_with('/') && target.starts_with('/') && !name.is_empty() && !name.contains('/');
        is_plain.then(|| Linked { link: (*link).into(), name: (*name).into(), target: (*target).into() })
    };
    let install =
        words.iter().position(|word| *word == "--install").filter(|_| command.program() == "update-alternatives")?;
    let priority = words.get(install + 4)?.parse().ok()?;
    let slaves = words.iter().enumerate().filter(|(_, word)| **word == "--slave");
    let slaves = slaves.filter_map(|(index, _)| at(index)).collect();
    Some(Alternative { priority, master: at(install)?, slaves, origin: origin.clone() })
}

/// Creates the links of the alternative with the highest priority for each name. If two alternatives of a name have the
/// same priority, the first one wins.
pub(super) fn link(tree: &mut Tree, alternatives: &[Alternative]) -> Result<(), AssembleError> {
    let mut best: BTreeMap<&str, &Alternative> = BTreeMap::new();
    for alternative in alternatives.iter().filter(|one| tree.find(&one.master.target).is_some()) {
        let held = best.entry(&alternative.master.name).or_insert(alternative);
        if alternative.priority > held.priority {
            *held = alternative;
        }
    }
    for alternative in best.into_values() {
        for linked in std::iter::once(&alternative.master).chain(&alternative.slaves) {
            let path = ImagePath::parse(&usr_merged(&linked.link))?;
            if tree.nodes.contains_key(&path) || tree.find(&linked.target).is_none() {
                continue;
            }
            let middle = format!("/etc/alternatives/{}", linked.name);
            tree.insert(ImagePath::parse(&middle)?, Node::link(linked.target.clone(), alternative.origin.clone()));
            tree.insert(path, Node::link(middle, alternative.origin.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::steps::assemble::shell::tests::commands;

    #[test]
    fn the_highest_priority_wins_with_its_slaves() {
        let origin = |name: &str| Origin::Deb { name: name.to_owned(), version: "1".to_owned() };
        let mut tree = Tree::default();
        for path in ["/usr/bin/mawk", "/usr/bin/gawk", "/usr/share/man/gawk.1"] {
            let node = Node::file(Digest::of(b""), 0, 0o755, origin("x"));
            tree.insert(ImagePath::parse(path).unwrap(), node);
        }
        let mawk = "update-alternatives --install /usr/bin/awk awk /usr/bin/mawk 5 \\\n  --slave /usr/bin/nawk nawk /usr/bin/mawk\n";
        let gawk = "update-alternatives --quiet --install /usr/bin/awk awk /usr/bin/gawk 10 --slave /usr/share/man/awk.1 awk.1 /usr/share/man/gawk.1\n\
            update-alternatives --install /usr/bin/$x $x /usr/bin/gawk 10\n\
            update-alternatives --install /usr/bin/pager pager /usr/bin/none 10\n";
        let of_script = |script, origin: Origin| {
            let commands = commands(script).into_iter();
            commands.filter_map(|command| of_command(&command, &origin)).collect::<Vec<_>>()
        };
        let found = [of_script(mawk, origin("mawk")), of_script(gawk, origin("gawk"))].concat();
        link(&mut tree, &found).unwrap();
        let links: Vec<String> =
            tree.listing().lines().filter(|line| line.starts_with("link")).map(str::to_owned).collect();
        insta::assert_snapshot!(links.join("\n"), @"
        link 0777 0 /etc/alternatives/awk -> /usr/bin/gawk  deb gawk
        link 0777 0 /etc/alternatives/awk.1 -> /usr/share/man/gawk.1  deb gawk
        link 0777 0 /usr/bin/awk -> /etc/alternatives/awk  deb gawk
        link 0777 0 /usr/share/man/awk.1 -> /etc/alternatives/awk.1  deb gawk
        ");
    }
}
