//! Programs that would run with the rights of their owner or their group, because of their setuid or setgid bit. lath
//! never sets these bits (docs/decisions/0021-what-maintainer-scripts-would-have-left.md).

use std::collections::BTreeSet;

use super::changes::Change;
use super::scripts::Scripts;
use super::shortfalls;
use crate::model::image_path::{ImagePath, usr_merged};
use crate::model::lock::PlatformLock;
use crate::model::part::{Part, PartContents};
use crate::model::request::AssembleRequest;
use crate::model::tree::{Kind, Origin};

/// The bits setuid and setgid.
const BITS: u32 = 0o6000;

/// Programs that work without these bits. The only purpose of the bit of `ssh-agent` is that other programs of the user
/// cannot read its memory.
const HARMLESS: [&str; 1] = ["ssh-agent"];

/// Returns a note with the programs that lack the rights of their owner or group. Only packages that the user named
/// count, because other packages are in the image for other reasons than these programs. If the image runs as root, its
/// programs already have all rights.
pub(super) fn note(
    lock: &PlatformLock,
    parts: &[Part],
    scripts: &Scripts,
    request: &AssembleRequest<'_>,
) -> Option<String> {
    if request.owner.user == 0 {
        return None;
    }
    let is_named = |origin: &Origin| match origin {
        Origin::Deb { name, .. } => {
            lock.debs.iter().any(|deb| deb.name == *name && deb.is_named(&request.release.packages))
        }
        _ => false,
    };
    let mut programs = BTreeSet::new();
    for part in parts.iter().filter(|part| is_named(&part.origin)) {
        let PartContents::Deb(deb) = &part.contents else { continue };
        let files = deb.entries.iter().filter(|entry| matches!(entry.kind, Kind::File { .. }));
        programs.extend(files.filter(|entry| entry.mode & BITS != 0).filter_map(|entry| program(&entry.path)));
    }
    for (change, _) in scripts.changes.iter().filter(|(_, origin)| is_named(origin)) {
        if let Change::Mode { path, mode } = change
            && mode & BITS != 0
        {
            programs.extend(program(path));
        }
    }
    (!programs.is_empty()).then(|| {
        format!(
            "these programs run without the rights of their owner or group: {}. lath sets no setuid and no setgid bits. If \
             you need these rights, run the image as root (`--user 0`)",
            shortfalls::join(&programs)
        )
    })
}

/// Returns the name of the program with this path. `None` if nobody runs the file by its name, or if it works anyway.
fn program(path: &str) -> Option<String> {
    let path = ImagePath::parse(&usr_merged(path)).ok()?;
    let is_program = ["/usr/bin", "/usr/sbin"].iter().any(|folder| path.is_within(folder));
    (is_program && !HARMLESS.contains(&path.file_name())).then(|| path.file_name().to_owned())
}
