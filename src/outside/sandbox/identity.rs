//! Chooses the host user who owns the sandboxed processes.
//!
//! If an ordinary user starts lath, the processes belong to that user. If root starts lath, they must not belong to
//! root. Root may write the kernel's settings below `/proc/sys`, and limits of processes do not apply to root. So the
//! program gets an unused ID. For this, lath creates a user namespace (user_namespaces(7)). The namespace maps the
//! program's ID to the unused ID, and all other IDs to themselves.

use std::ops::Range;

use fs_err as fs;

use super::Refusal;

/// A range of IDs that systemd's "Users, Groups, UIDs and GIDs on systemd Systems" lists as unused.
const UNUSED: Range<u32> = 2_000_000_000..2_000_001_000;
/// The highest ID of a system user (`SYS_UID_MAX` in login.defs(5)).
const LAST_SYSTEM_ID: u32 = 999;
/// The ID of `nobody`, and the ID that many system calls with 16-bit IDs understand as "none".
const NOBODY: [u32; 2] = [65_534, 65_535];

/// The contents of `uid_map` and of `gid_map` of the new namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Maps {
    pub(super) users: String,
    pub(super) groups: String,
}

/// Returns the maps if lath runs as root. `inside` is the program's ID in the sandbox. Returns `None` if lath runs as
/// an ordinary user, or as a root that is an ordinary user outside of its namespace. The error is the reason why root
/// cannot run programs here.
pub(super) fn maps(inside: u32) -> Result<Option<Maps>, Refusal> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let read =
        |name: &str| fs::read_to_string(name).map_err(|error| Refusal::Unavailable { reason: error.to_string() });
    let host = Host {
        users: ranges(&read("/proc/self/uid_map")?),
        groups: ranges(&read("/proc/self/gid_map")?),
        is_fake_root: is_fake_root(&read("/proc/self/uid_map")?),
        taken: taken(),
    };
    host.maps(inside)
}

/// The IDs of the user namespace in which lath runs.
#[derive(Debug)]
struct Host {
    users: Vec<Range<u32>>,
    groups: Vec<Range<u32>>,
    /// Whether root is an ordinary user outside of the namespace, and the namespace contains no other user.
    is_fake_root: bool,
    /// The IDs of existing users and groups, and the IDs that are reserved for their containers.
    taken: Vec<Range<u32>>,
}

impl Host {
    fn maps(&self, inside: u32) -> Result<Option<Maps>, Refusal> {
        if self.is_fake_root {
            return Ok(None);
        }
        let outside = self.unused(inside).ok_or(Refusal::OnlyRoot)?;
        Ok(Some(Maps { users: map(&self.users, inside, outside), groups: map(&self.groups, inside, outside) }))
    }

    /// Returns the first unused ID. The range for unused IDs is searched first, and then all IDs from the highest one
    /// downwards.
    fn unused(&self, inside: u32) -> Option<u32> {
        const TRIED: usize = 70_000;
        let has = |ranges: &[Range<u32>], id: u32| ranges.iter().any(|range| range.contains(&id));
        let is_free = |id: &u32| {
            *id != inside
                && *id > LAST_SYSTEM_ID
                && !NOBODY.contains(id)
                && has(&self.users, *id)
                && has(&self.groups, *id)
                && !has(&self.taken, *id)
        };
        let highest = self.users.iter().rev().flat_map(|range| range.clone().rev().take(TRIED));
        UNUSED.chain(highest).find(is_free)
    }
}

/// Returns the ids in `map` (user_namespaces(7), "User and group ID mappings"), in order.
fn ranges(map: &str) -> Vec<Range<u32>> {
    let range = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let (first, _, count) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
        Some(first..first.saturating_add(count))
    };
    let mut ranges: Vec<Range<u32>> = map.lines().filter_map(range).collect();
    ranges.sort_by_key(|range| range.start);
    ranges
}

/// Whether `map` contains only root, and root is an ordinary user outside. `unshare --map-root-user` creates such a
/// map.
fn is_fake_root(map: &str) -> bool {
    let fields: Vec<&str> = map.split_whitespace().collect();
    matches!(fields.as_slice(), ["0", outside, "1"] if *outside != "0")
}

/// Maps `inside` to `outside`, and each other ID of `ranges` to itself.
fn map(ranges: &[Range<u32>], inside: u32, outside: u32) -> String {
    let mut lines = vec![format!("{inside} {outside} 1")];
    for range in ranges {
        let mut start = range.start;
        let mut holes = [inside, outside].map(|id| id.clamp(range.start, range.end));
        holes.sort_unstable();
        for hole in holes.into_iter().chain([range.end]) {
            if hole > start {
                lines.push(format!("{start} {start} {}", hole - start));
            }
            start = start.max(hole.saturating_add(u32::from(hole < range.end)));
        }
    }
    lines.join("\n") + "\n"
}

/// Returns the IDs of this system's users and groups, and those that are reserved for containers (subuid(5),
/// subgid(5)).
fn taken() -> Vec<Range<u32>> {
    let mut taken = Vec::new();
    for file in ["/etc/passwd", "/etc/group"] {
        let text = fs::read_to_string(file).unwrap_or_default();
        let ids = text.lines().filter_map(|line| line.split(':').nth(2)?.parse::<u32>().ok());
        taken.extend(ids.map(|id| id..id.saturating_add(1)));
    }
    for file in ["/etc/subuid", "/etc/subgid"] {
        let text = fs::read_to_string(file).unwrap_or_default();
        taken.extend(text.lines().filter_map(|line| {
            let mut fields = line.split(':').skip(1).map(|field| field.trim().parse::<u32>());
            let (first, count) = (fields.next()?.ok()?, fields.next()?.ok()?);
            Some(first..first.saturating_add(count))
        }));
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(map: &str, taken: &[Range<u32>]) -> Host {
        let ranges = ranges(map);
        Host { users: ranges.clone(), groups: ranges, is_fake_root: is_fake_root(map), taken: taken.to_vec() }
    }

    #[test]
    fn root_of_the_machine_gets_an_id_that_nobody_uses_and_all_others_stay_as_they_are() {
        let maps = host("0 0 4294967295\n", &[]).maps(65_532).unwrap().unwrap();
        let expected = "65532 2000000000 1\n0 0 65532\n65533 65533 1999934467\n2000000001 2000000001 2294967294\n";
        assert_eq!(maps, Maps { users: expected.to_owned(), groups: expected.to_owned() });
    }

    #[test]
    fn an_id_of_a_user_or_of_a_container_is_not_taken() {
        let taken = [2_000_000_000..2_000_000_001, 2_000_000_001..2_000_000_500];
        let maps = host("0 0 4294967295\n", &taken).maps(65_532).unwrap().unwrap();
        assert!(maps.users.starts_with("65532 2000000500 1\n"), "{maps:?}");
    }

    #[test]
    fn root_of_a_container_gets_the_highest_id_that_it_has() {
        let maps = host("0 1000 1\n1 100000 65536\n", &[]).maps(65_532).unwrap().unwrap();
        assert_eq!(maps.users, "65532 65536 1\n0 0 1\n1 1 65531\n65533 65533 3\n");
    }

    #[test]
    fn root_without_any_other_user_is_refused_if_it_is_root_outside_as_well() {
        assert_eq!(host("0 0 1\n", &[]).maps(65_532), Err(Refusal::OnlyRoot));
        assert_eq!(host("0 1000 1\n", &[]).maps(65_532), Ok(None));
    }

    #[test]
    fn an_id_inside_that_the_container_does_not_have_is_added() {
        let maps = host("0 1000 1\n1 100000 1999\n", &[1500..1999, 1999..2000]).maps(70_000).unwrap().unwrap();
        assert_eq!(maps.users, "70000 1499 1\n0 0 1\n1 1 1498\n1500 1500 500\n");
    }
}
