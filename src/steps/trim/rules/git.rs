//! Removes programs of git that no other command of git calls.

use super::{Proposal, Scene, any_within};
use crate::model::image_path::ImagePath;
use crate::model::reason::Removed;
use crate::outside::store::StoreError;

/// Programs that serve repositories to others, send them by mail or manage a monorepo.
const SERVERS: [&str; 5] = ["git-daemon", "git-http-backend", "git-imap-send", "git-shell", "scalar"];

/// Programs that push over WebDAV, and that fetch files over HTTP without a git server. git uses these programs only if
/// it is configured for this. Normally, `git-remote-http` clones, fetches and pushes over HTTP, even from plain
/// servers.
const PLAIN_SERVERS: [&str; 2] = ["git-http-push", "git-http-fetch"];

pub(super) fn servers(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    Ok(scene.remove(Removed::GitServers, |path, package| package == "git" && is_one_of(&SERVERS, path)))
}

pub(super) fn plain_servers(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    Ok(scene.remove(Removed::GitPlainServers, |path, package| package == "git" && is_one_of(&PLAIN_SERVERS, path)))
}

fn is_one_of(programs: &[&str], path: &ImagePath) -> bool {
    programs.contains(&path.file_name()) && any_within(path, &["/usr/bin", "/usr/lib/git-core"])
}
