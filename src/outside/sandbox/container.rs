//! The namespaces and mounts of one job: a read-only root, writable directories in memory, and the files of the host
//! that the job can use.

use std::path::Path;

use fs_err as fs;
use hakoniwa::{Container, MountOptions, Namespace, Rlimit};
use rustix::process::Resource;

use super::{EMULATOR, Emulation, HOST_NAME, Job, Refusal};
use crate::model::request::Volume;

/// Flags for every mount. If the host's file system has these flags, a mount without them fails, because a user
/// namespace cannot remove flags.
const NO_PRIVILEGES: MountOptions = MountOptions::NOSUID.union(MountOptions::NODEV);

/// The limits of each directory in memory: its size, and its number of files.
const MEMORY: &str = "size=2g,nr_inodes=262144,mode=1777";

const GIB: u64 = 1 << 30;

/// The limits of a check. They are much higher than a correct program needs, but low enough to keep the machine
/// working. Address space is not limited, because allocators and virtual machines reserve memory that they never use.
/// Processor time is not limited, because each check has a time limit.
const LIMITS: [(Rlimit, Resource, u64); 4] = [
    // The memory that a program writes to. The limit is twice the size of the largest model that a test is expected to
    // load.
    (Rlimit::Data, Resource::Data, 16 * GIB),
    // The size of a file. The size is limited, because files of a check are in memory.
    (Rlimit::Fsize, Resource::Fsize, GIB),
    // Kernels before 5.14 also count processes of the user outside of the sandbox.
    (Rlimit::Nproc, Resource::Nproc, 4096),
    (Rlimit::Core, Resource::Core, 0),
];

/// Describes the sandbox of `job` in the tree at `root`. If `is_mapped`, the process is root in a user namespace that
/// already exists, and the program changes to its user later. Otherwise a namespace is created for this job.
pub(super) fn container(root: &Path, job: &Job, is_mapped: bool) -> Result<Container, Refusal> {
    let mut container = Container::new();
    container.rootdir(root);
    container.unshare(Namespace::Ipc).unshare(Namespace::Uts);
    if is_mapped {
        container.share(Namespace::User);
    } else {
        container.uidmap(job.uid());
        container.gidmap(job.uid());
    }
    container.hostname(HOST_NAME);
    if !job.is_own_run {
        container.unshare(Namespace::Network);
        limit(&mut container);
    }
    mount_all(&mut container, root, job)?;
    Ok(container)
}

fn limit(container: &mut Container) {
    for (limit, resource, wanted) in LIMITS {
        // A limit cannot be higher than the limit of lath's own process.
        let most = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let value = wanted.min(most);
        container.setrlimit(limit, value, value);
    }
}

fn mount_all(container: &mut Container, root: &Path, job: &Job) -> Result<(), Refusal> {
    container.devfsmount("/dev");
    mount_memory(container, "/dev/shm");
    for place in ["/tmp", "/var/tmp", "/home/app"].into_iter().filter(|place| !is_hidden(job, place)) {
        refuse_links(root, place)?;
        cover(container, root, place);
    }
    for (host, inside) in &job.writable {
        refuse_links(root, inside)?;
        let flags = MountOptions::BIND | MountOptions::NOEXEC | NO_PRIVILEGES;
        container.mount(&host.to_string_lossy(), inside, "", flags, None);
    }
    for (host, inside) in &job.readable {
        refuse_links(root, inside)?;
        let flags = MountOptions::BIND | MountOptions::RDONLY | MountOptions::NOEXEC | NO_PRIVILEGES;
        container.mount(&host.to_string_lossy(), inside, "", flags, None);
    }
    if job.is_own_run {
        remove_links(root, job)?;
    }
    for (host, inside) in job.files.iter().filter(|(_, inside)| !is_hidden(job, inside)) {
        mount_file(container, root, File { host, inside, options: MountOptions::empty() })?;
    }
    for (host, inside) in &job.documents {
        mount_file(container, root, File { host, inside, options: MountOptions::NOEXEC })?;
    }
    for Volume { source, target, is_read_only } in &job.volumes {
        refuse_links(root, target.as_str())?;
        let read_only = if *is_read_only { MountOptions::RDONLY } else { MountOptions::empty() };
        let flags = MountOptions::BIND | MountOptions::REC | NO_PRIVILEGES | read_only;
        container.mount(&source.to_string_lossy(), target.as_str(), "", flags, None);
    }
    if let Emulation::Program(emulator) = &job.emulation {
        mount_file(container, root, File { host: emulator, inside: EMULATOR, options: MountOptions::empty() })?;
    }
    Ok(())
}

/// Returns whether `path` is in a folder that the job mounts. If so, nothing is mounted at `path`, because the mount
/// point would be created in that folder.
pub(super) fn is_hidden(job: &Job, path: &str) -> bool {
    let folders = job.writable.iter().map(|(_, inside)| inside.as_str());
    let volumes = job.volumes.iter().map(|volume| volume.target.as_str());
    folders.chain(volumes).any(|place| Path::new(path).starts_with(place))
}

fn mount_memory(container: &mut Container, place: &str) {
    container.mount("tmpfs", place, "tmpfs", NO_PRIVILEGES, Some(MEMORY.to_owned()));
}

/// Mounts a directory in memory at `place`. The directory hides the tree's own files at `place`, for example the user
/// base if it is in the home. So these files are mounted again in the directory. They come from a second mount of the
/// tree's folder. This second mount is below `/dev`. It exists before the files are mounted, because mounts are made
/// in the order of their targets. `/dev` is in memory, so a mount point can be created there.
fn cover(container: &mut Container, root: &Path, place: &str) {
    let flags = MountOptions::BIND | MountOptions::RDONLY | NO_PRIVILEGES;
    let (own, aside) = (root.join(&place[1..]), format!("/dev/covered{place}"));
    mount_memory(container, place);
    for entry in own.read_dir().into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
            let name = entry.file_name();
            container.mount(&own.to_string_lossy(), &aside, "", flags, None);
            let source = root.join(&aside[1..]).join(&name);
            container.mount(&source.to_string_lossy(), &format!("{place}/{}", name.to_string_lossy()), "", flags, None);
        }
    }
}

/// A file of the host, and its path in the image.
struct File<'a> {
    host: &'a Path,
    inside: &'a str,
    options: MountOptions,
}

/// Removes links at the paths of the job's documents, such as `/etc/resolv.conf`, so that files can be mounted there.
/// This is allowed only in the user's own run, because no other program runs in that tree after this run.
fn remove_links(root: &Path, job: &Job) -> Result<(), Refusal> {
    for (_, inside) in &job.documents {
        let (folder, _) = inside.rsplit_once('/').unwrap_or_default();
        refuse_links(root, folder)?;
        let here = root.join(inside.trim_start_matches('/'));
        if is_link(&here) {
            fs::remove_file(&here).map_err(|error| Refusal::Run { cause: error.to_string() })?;
        }
    }
    Ok(())
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink())
}

/// Mounts `file` read-only over the file at the same path in the tree.
fn mount_file(container: &mut Container, root: &Path, file: File<'_>) -> Result<(), Refusal> {
    let File { host, inside, options } = file;
    refuse_links(root, inside)?;
    let flags = MountOptions::BIND | MountOptions::RDONLY | NO_PRIVILEGES | options;
    container.mount(&host.to_string_lossy(), inside, "", flags, None);
    Ok(())
}

/// Refuses links in the path of a mount point. Mount points are created before the root is changed, so a link would
/// lead to a path of the host.
fn refuse_links(root: &Path, inside: &str) -> Result<(), Refusal> {
    let mut here = root.to_owned();
    for component in inside.split('/').filter(|component| !component.is_empty()) {
        here.push(component);
        if component == ".." || is_link(&here) {
            return Err(Refusal::Link { path: inside.to_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_users_own_run_replaces_a_link_by_a_document_and_none_outside_of_the_tree() {
        use fs_err::os::unix::fs::symlink;
        let (root, host) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(root.path().join("etc")).unwrap();
        let link = root.path().join("etc/resolv.conf");
        symlink("../run/resolv.conf", &link).unwrap();
        let of = |inside: &str| vec![("/etc/hosts".into(), inside.to_owned())];
        let check = Job { documents: of("/etc/resolv.conf"), ..Job::default() };
        let refused = mount_all(&mut Container::new(), root.path(), &check);
        assert!(matches!(refused, Err(Refusal::Link { .. })), "{refused:?}");
        assert!(is_link(&link));
        let own_run = Job { is_own_run: true, ..check };
        mount_all(&mut Container::new(), root.path(), &own_run).unwrap();
        assert!(!link.exists() && !is_link(&link));
        // A link in the path of a folder may lead to the host.
        symlink(host.path(), root.path().join("away")).unwrap();
        symlink("/etc/hosts", host.path().join("hosts")).unwrap();
        let away = Job { documents: of("/away/hosts"), ..own_run };
        let refused = mount_all(&mut Container::new(), root.path(), &away);
        assert!(matches!(refused, Err(Refusal::Link { .. })), "{refused:?}");
        assert!(is_link(&host.path().join("hosts")));
    }

    #[test]
    fn a_mount_point_behind_a_link_is_refused() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("var/tmp")).unwrap();
        fs_err::os::unix::fs::symlink("/var", root.path().join("run")).unwrap();
        refuse_links(root.path(), "/var/tmp").unwrap();
        refuse_links(root.path(), "/not/there").unwrap();
        for path in ["/run", "/run/x", "/var/../x"] {
            assert!(matches!(refuse_links(root.path(), path), Err(Refusal::Link { .. })), "{path}");
        }
    }
}
