//! The files that an engine writes for every container: the host names, the name of the machine and the name servers.
//! They are laid out for programs that run in a tree, but they are not a part of the image.

use super::ProveError;
use crate::model::image_path::ImagePath;
use crate::model::tree::{Kind, Node, Origin, Tree};
use crate::outside::sandbox::HOST_NAME;
use crate::outside::store::Store;

/// The names of loopback addresses, as engines write them.
const LOOPBACK: &str = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n";

/// Returns `tree` with the engine's files. The image's own files at these paths are replaced, like in an engine.
/// `hosts` is the text of `/etc/hosts`.
pub(super) fn with_engine_files(tree: &Tree, hosts: &str, store: &Store) -> Result<Tree, ProveError> {
    let mut tree = tree.clone();
    let name = format!("{HOST_NAME}\n");
    // If `/etc/resolv.conf` contains no name servers, a resolver uses the loopback address. In a check, no server
    // listens at this address.
    for (place, text) in [("/etc/hosts", hosts), ("/etc/hostname", &name), ("/etc/resolv.conf", "")] {
        let Ok(path) = ImagePath::parse(place) else { continue };
        // If the user copied a folder to this path, the folder stays, because an engine could not mount a file over it.
        let is_folder = |path: &ImagePath| matches!(tree.nodes.get(path), Some(Node { kind: Kind::Directory, .. }));
        if is_folder(&path) || !path.parent().is_some_and(|folder| is_folder(&folder)) {
            continue;
        }
        let digest = store.put(text.as_bytes())?;
        tree.insert(path, Node::file(digest, text.len() as u64, 0o644, Origin::Lath));
    }
    Ok(tree)
}

/// Returns the `/etc/hosts` of a check: loopback addresses, and the machine's own name.
pub(super) fn hosts_of_check() -> String {
    hosts_of_run(LOOPBACK)
}

/// Returns the `/etc/hosts` of the user's own run: the text of the host's file, and the lines that this file lacks.
pub(super) fn hosts_of_run(of_host: &str) -> String {
    let mut text = of_host.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    if !has_name(of_host, "localhost") {
        text.push_str(LOOPBACK);
    }
    if !has_name(of_host, HOST_NAME) {
        text.push_str(&format!("127.0.0.1 {HOST_NAME}\n"));
    }
    text
}

/// Whether a line of a hosts(5) file gives `name` an address.
fn has_name(hosts: &str, name: &str) -> bool {
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines.flat_map(|line| line.split_whitespace().skip(1)).any(|known| known == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;

    fn tree(nodes: &[(&str, Node)]) -> Tree {
        let mut tree = Tree::default();
        tree.insert(ImagePath::parse("/etc").unwrap(), Node::directory(Origin::Lath));
        nodes.iter().for_each(|(path, node)| tree.insert(ImagePath::parse(path).unwrap(), node.clone()));
        tree
    }

    fn text(tree: &Tree, path: &str, store: &Store) -> Option<String> {
        let digest = *tree.find(path)?.1.digest()?;
        Some(String::from_utf8(store.read_start(&digest, 999).unwrap()).unwrap())
    }

    #[test]
    fn a_check_sees_the_files_of_an_engine_in_place_of_the_images_own() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("store")).unwrap();
        let own = Node::file(Digest::of(b"own"), 3, 0o600, Origin::User);
        let image = tree(&[("/etc/hosts", own), ("/etc/resolv.conf", Node::link("../run/resolv.conf", Origin::User))]);
        let shown = with_engine_files(&image, &hosts_of_check(), &store).unwrap();
        let hosts = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.0.0.1 lath\n";
        assert_eq!(text(&shown, "/etc/hosts", &store).as_deref(), Some(hosts));
        assert_eq!(text(&shown, "/etc/hostname", &store).as_deref(), Some("lath\n"));
        assert_eq!(text(&shown, "/etc/resolv.conf", &store).as_deref(), Some(""));
        assert_eq!(shown.nodes.len(), 5);
    }

    #[test]
    fn no_file_takes_the_place_of_a_folder_and_none_is_put_below_a_link() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("store")).unwrap();
        let image = tree(&[("/etc/hosts", Node::directory(Origin::User))]);
        let shown = with_engine_files(&image, "", &store).unwrap();
        assert_eq!(shown.nodes[&ImagePath::parse("/etc/hosts").unwrap()].kind, Kind::Directory);
        let mut image = Tree::default();
        image.insert(ImagePath::parse("/etc").unwrap(), Node::link("srv", Origin::User));
        assert_eq!(with_engine_files(&image, "", &store).unwrap(), image);
    }

    #[test]
    fn the_users_own_run_has_the_hosts_names_and_its_own() {
        let own = "127.0.0.1 lath\n";
        assert_eq!(
            hosts_of_run("127.0.0.1 localhost\n10.0.0.1 db"),
            format!("127.0.0.1 localhost\n10.0.0.1 db\n{own}")
        );
        assert_eq!(
            hosts_of_run("10.0.0.1 db # localhost lath\n"),
            format!("10.0.0.1 db # localhost lath\n{LOOPBACK}{own}")
        );
        assert_eq!(hosts_of_run("127.0.0.1 localhost lath\n"), "127.0.0.1 localhost lath\n");
        assert_eq!(hosts_of_run(""), hosts_of_check());
    }
}
