//! A control group (cgroups(7)) for all sandboxed programs of a build. lath uses such a group only if it has the
//! permission to create one. The group limits these programs to a part of the machine's memory. The group also limits
//! the number of processes. This limit is higher than any correct check needs.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use fs_err as fs;

const MOUNT: &str = "/sys/fs/cgroup";
/// The names of these groups begin like this. The process ID of lath follows.
const PREFIX: &str = "lath-";
/// The file to which the IDs of processes are written. Every group has this file.
const PROCESSES: &str = "cgroup.procs";
/// The maximum number of processes and threads.
const TASKS: u64 = 8192;

/// The groups that were created: one in version 2, or one per controller in version 1. The groups are removed when this
/// value is dropped. At that time, all processes in them must have ended.
#[derive(Debug)]
pub(super) struct Group {
    folders: Vec<PathBuf>,
}

impl Group {
    /// Creates the group. Returns `None` if lath has no permission for it, or if the machine has no control groups.
    pub(super) fn make() -> Option<Self> {
        let text = fs::read_to_string("/proc/self/cgroup").ok()?;
        let limits = [("memory", memory_bytes()?), ("pids", TASKS)];
        let name = format!("{PREFIX}{}", std::process::id());
        let mut group = Self { folders: Vec::new() };
        for parent in parents(&text).into_iter().filter(|parent| parent.folder.join(PROCESSES).is_file()) {
            sweep(&parent.folder);
            let folder = parent.folder.join(&name);
            if fs::create_dir(&folder).is_err() {
                continue;
            }
            group.folders.push(folder.clone());
            let is_limited = limits
                .iter()
                .filter(|(controller, _)| parent.has(controller))
                .all(|(controller, most)| set(&folder.join(parent.file(controller)), &most.to_string()));
            if is_limited && parent.controller.is_none() {
                return Some(group);
            }
            if !is_limited {
                let _ = fs::remove_dir(&folder);
                group.folders.pop();
            }
        }
        (!group.folders.is_empty()).then_some(group)
    }

    /// Adds a process to the group. The processes that it starts later belong to the group as well.
    pub(super) fn add(&self, process: u32) -> bool {
        self.folders.iter().all(|folder| set(&folder.join(PROCESSES), &process.to_string()))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for folder in &self.folders {
            // If a process is still in the group, the group remains, and the next build removes it.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Writes to a file of the kernel. Returns whether the kernel accepted the value.
fn set(file: &Path, value: &str) -> bool {
    let opened = fs::OpenOptions::new().write(true).open(file);
    opened.is_ok_and(|mut file| file.write_all(value.as_bytes()).is_ok())
}

/// A group in which lath may create another group.
#[derive(Debug, PartialEq, Eq)]
struct Parent {
    folder: PathBuf,
    /// In version 1, the controller of the hierarchy that contains the group. `None` in version 2.
    controller: Option<&'static str>,
}

impl Parent {
    fn has(&self, controller: &str) -> bool {
        self.controller.is_none_or(|own| own == controller)
    }

    fn file(&self, controller: &str) -> &'static str {
        match (controller, self.controller) {
            ("memory", None) => "memory.max",
            ("memory", Some(_)) => "memory.limit_in_bytes",
            _ => "pids.max",
        }
    }
}

/// Returns the groups to try, best first, from the text of `/proc/self/cgroup`. In version 2, the parent of lath's own
/// group is the best one, because a group with processes cannot limit its children.
fn parents(text: &str) -> Vec<Parent> {
    let mut parents = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let below = |mount: &Path| mount.join(path.trim_start_matches('/'));
        if controllers.is_empty() {
            let own = below(Path::new(MOUNT));
            let sibling = own.parent().filter(|parent| parent.starts_with(MOUNT)).map(Path::to_owned);
            parents
                .extend([sibling, Some(own)].into_iter().flatten().map(|folder| Parent { folder, controller: None }));
        }
        for controller in ["memory", "pids"] {
            if controllers.split(',').any(|one| one == controller) {
                let folder = below(&Path::new(MOUNT).join(controller));
                parents.push(Parent { folder, controller: Some(controller) });
            }
        }
    }
    parents
}

/// Returns the memory limit: three quarters of the machine's memory. This prevents a check from using so much memory
/// that the kernel kills other processes.
fn memory_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next())?;
    Some(total.parse::<u64>().ok()? * 1024 / 4 * 3)
}

/// Removes the groups of killed builds. If a process in a group is still running, the kernel does not allow this.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(PREFIX).and_then(|number| number.parse::<u32>().ok());
        if process.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(text: &str) -> Vec<PathBuf> {
        parents(text).into_iter().map(|parent| parent.folder).collect()
    }

    #[test]
    fn a_group_is_made_beside_lath_s_own_and_in_version_1_below_it() {
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        let two = "0::/user.slice/user-1000.slice/session-2.scope\n";
        let session = "/sys/fs/cgroup/user.slice/user-1000.slice";
        assert_eq!(folders(two), paths(&[session, &format!("{session}/session-2.scope")]));
        assert_eq!(folders("0::/\n"), paths(&["/sys/fs/cgroup"]));
        let one = "9:name=systemd:/\n8:pids:/\n4:memory,cpu:/job/7\n";
        assert_eq!(folders(one), paths(&["/sys/fs/cgroup/pids", "/sys/fs/cgroup/memory/job/7"]));
    }
}
