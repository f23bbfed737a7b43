//! Removes programs of git that no other command of git calls, and that no file of the user names.

use super::{Proposal, Scene, any_within};
use crate::model::image_path::ImagePath;
use crate::model::reason::Removed;
use crate::model::tree::Origin;
use crate::outside::store::StoreError;

/// Programs that serve repositories to others, send them by mail or manage a monorepo.
const SERVERS: [&str; 5] = ["git-daemon", "git-http-backend", "git-imap-send", "git-shell", "scalar"];

/// Programs that push over WebDAV, and that fetch files over HTTP without a git server. git uses these programs only if
/// it is configured for this. Normally, `git-remote-http` clones, fetches and pushes over HTTP, even from plain
/// servers.
const PLAIN_SERVERS: [&str; 2] = ["git-http-push", "git-http-fetch"];

pub(super) fn servers(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    unnamed(scene, &SERVERS, Removed::GitServers)
}

pub(super) fn plain_servers(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    unnamed(scene, &PLAIN_SERVERS, Removed::GitPlainServers)
}

/// Proposes to remove those `programs` of git that no file of the user names.
fn unnamed(scene: &Scene<'_>, programs: &[&str], reason: Removed) -> Result<Vec<Proposal>, StoreError> {
    let is_going = |path: &ImagePath, package: &str| package == "git" && is_one_of(programs, path);
    let mut proposals = scene.remove(reason, is_going);
    if proposals.is_empty() {
        return Ok(proposals);
    }
    let mut named: Vec<&str> = Vec::new();
    for text in texts_of_user(scene)? {
        named.extend(programs.iter().filter(|program| names(&text, program)));
    }
    proposals.retain(|proposal| match proposal {
        Proposal::Remove { path, .. } => !named.contains(&path.file_name()),
        _ => true,
    });
    Ok(proposals)
}

/// Returns the contents of the files of the application and of `--copy`. Larger files are no scripts.
fn texts_of_user(scene: &Scene<'_>) -> Result<Vec<Vec<u8>>, StoreError> {
    const LARGEST_BYTES: u64 = 1 << 20;
    let nodes = scene.tree.nodes.values().filter(|node| matches!(node.origin, Origin::User | Origin::Application));
    let small = nodes.filter(|node| node.size_bytes() <= LARGEST_BYTES);
    small.filter_map(|node| node.digest()).map(|digest| scene.store().read(digest)).collect()
}

/// Returns whether a text contains a program of git, such as `git-daemon`, as one word or as a command with its
/// subcommand: `git daemon`, `"git", "daemon"`.
fn names(text: &[u8], program: &str) -> bool {
    // The name `scalar` is an ordinary word, so it does not count.
    let Some(command) = program.strip_prefix("git-") else { return false };
    let between = ["-", " ", "\", \"", "', '", "\",\"", "','"];
    between.iter().any(|between| memchr::memmem::find(text, format!("git{between}{command}").as_bytes()).is_some())
}

fn is_one_of(programs: &[&str], path: &ImagePath) -> bool {
    programs.contains(&path.file_name()) && any_within(path, &["/usr/bin", "/usr/lib/git-core"])
}
