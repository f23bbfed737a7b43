//! Checks that the sandbox prevents a program from changing the machine. lath is run by an ordinary user and by root.
//!
//! The programs here open files for writing, but write nothing. They make only system calls that would have no effect,
//! even if the sandbox allowed them.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use libtest_mimic::Trial;

use crate::lath;
use crate::needs::Need::{self, Minutes, Namespaces, Registries, Root};
use crate::needs::{own_uid, trial};

/// A test: its name, its body, and the needs that it has in addition to those of every test for this `Who`.
type Test = (&'static str, fn(Who), &'static [Need]);

const TESTS: [Test; 5] = [
    ("nothing_of_the_host_can_be_opened_for_writing", nothing_is_writable, &[]),
    ("system_calls_that_engines_refuse_are_refused", system_calls, &[]),
    // This test starts thousands of processes at once. If the machine is busy, that takes minutes.
    ("processes_have_a_limit", processes, &[Minutes]),
    ("each_mount_has_a_size_and_a_number_of_files", mounts, &[]),
    ("a_proof_has_a_time_for_all_of_its_checks", proof_time, &[]),
];

/// The user who runs lath.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    User,
    Root,
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (name, body, more) in TESTS {
        let of_user = [&[Registries, Namespaces], more].concat();
        let of_root = [&[Registries, Root], more].concat();
        trials.push(trial(format!("{name}_if_a_user_runs_lath"), &of_user, move || body(Who::User)));
        trials.push(trial(format!("{name}_if_root_runs_lath"), &of_root, move || body(Who::Root)));
    }
    trials.push(trial("root_without_another_user_is_told_so", &[Registries, Root], fake_root));
    trials.push(trial("checks_of_root_are_in_a_control_group", &[Registries, Root], control_group));
    let eight = "eight_builds_at_once_start_the_programs_that_they_write";
    trials.push(trial(eight, &[Registries, Namespaces, Minutes], at_once));
    trials
}

/// The ID of the ordinary user who runs lath, if root runs these tests.
const USER: u32 = 61_234;

/// A home directory with a cache that belongs to `Who`.
struct Home {
    folder: tempfile::TempDir,
    who: Who,
}

impl Home {
    fn new(who: Who) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs_err::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        Self { folder, who }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = lath::command(self.path(), words);
        if self.who == Who::User && own_uid() == Some(0) {
            // This user may not be allowed to read the folder in which cargo has built lath.
            let program = program_for_all();
            command = Command::new(program);
            command.current_dir(self.path()).args(words).uid(USER).gid(USER);
            command.env("LATH_EXCLUDE_NEWER", lath::NOT_NEWER).env("LATH_CACHE_DIR", cache_of_user());
        }
        command.env("HOME", self.path());
        command
    }

    /// Builds an image of a small package that contains `script`. A check runs the script.
    fn check(&self, script: &str, words: &[&str]) -> Output {
        fs_err::write(self.path().join("probe.py"), script).unwrap();
        let mut all = vec!["build", "six", "--copy", "probe.py:/probe.py", "-o", "six.tar"];
        all.extend(["--check", "python3 /probe.py"]);
        all.extend(words);
        self.command(&all).output().unwrap()
    }
}

/// Returns the cache of the ordinary user.
fn cache_of_user() -> &'static Path {
    static CACHE: std::sync::OnceLock<tempfile::TempDir> = std::sync::OnceLock::new();
    let folder = CACHE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        fs_err::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        folder
    });
    folder.path()
}

/// Returns a copy of lath that every user can start.
fn program_for_all() -> PathBuf {
    static COPY: std::sync::OnceLock<tempfile::TempDir> = std::sync::OnceLock::new();
    let folder = COPY.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        fs_err::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        fs_err::copy(env!("CARGO_BIN_EXE_lath"), folder.path().join("lath")).unwrap();
        folder
    });
    folder.path().join("lath")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", text(output));
}

const OPENS: &str = r#"
import os, sys
allowed = ("/tmp", "/var/tmp", "/home/app", "/dev/shm", "/dev/pts", "/proc/1/", "/proc/self", "/proc/thread-self")
devices = {f"/dev/{name}" for name in "null zero full random urandom tty ptmx console".split()}
opened, tried = [], 0
def attempt(path, flags=os.O_WRONLY):
    global tried
    tried += 1
    try:
        # The kernel's files that nobody may see are covered by this device.
        if os.path.exists(path) and os.stat(path).st_rdev == os.stat("/dev/null").st_rdev:
            return
        os.close(os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW))
        opened.append(path)
    except OSError:
        pass
for name in ["kernel/core_pattern", "kernel/randomize_va_space", "vm/swappiness", "fs/file-max"]:
    assert os.path.exists(f"/proc/sys/{name}"), name
for root, folders, files in os.walk("/"):
    own = f"/proc/{os.getpid()}"
    folders[:] = [name for name in folders if not os.path.join(root, name).startswith((*allowed, own))]
    attempt(os.path.join(root, ".lath-test"), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    for name in files:
        path = os.path.join(root, name)
        if path not in devices and not path.startswith(allowed):
            attempt(path)
assert tried > 1000, tried
assert not opened, opened
for path in ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"]:
    assert not os.path.isfile(path) or not open(path, "rb").read(1), path
[mapped] = [line.split() for line in open("/proc/self/uid_map") if line.split()[0] == str(os.getuid())]
assert os.getuid() == 65532 and mapped[1] != "0" and mapped[2] == "1", mapped
capabilities = [line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapPrm", "CapEff", "CapAmb"))]
assert [int(mask, 16) for mask in capabilities] == [0, 0, 0], capabilities
print("as promised")
"#;

fn nothing_is_writable(who: Who) {
    let home = Home::new(who);
    succeeds(&home.check(OPENS, &[]));
    let words = ["run", "--offline", "six", "--copy", "probe.py:/probe.py", "--", "python3", "/probe.py"];
    let output = home.command(&words).output().unwrap();
    succeeds(&output);
    assert!(text(&output).contains("as promised"), "{}", text(&output));
}

const CALLS: &str = r#"
import ctypes, errno, os, platform
libc = ctypes.CDLL(None, use_errno=True)
x86 = platform.machine() == "x86_64"
# Each call has arguments with which it does nothing, or fails for another reason, if it is allowed.
calls = {
    "keyctl": (250 if x86 else 219, (0, -3, 0), errno.EPERM),
    "add_key": (248 if x86 else 217, (0, 0, 0, 0, 0), errno.EPERM),
    "request_key": (249 if x86 else 218, (0, 0, 0, 0), errno.EPERM),
    "io_uring_setup": (425, (0, 0), errno.EPERM),
    "perf_event_open": (298 if x86 else 241, (0, 0, -1, -1, 0), errno.EPERM),
    "bpf": (321 if x86 else 280, (0, 0, 0), errno.EPERM),
    "userfaultfd": (323 if x86 else 282, (-1,), errno.EPERM),
    "mount": (165 if x86 else 40, (0, 0, 0, 0, 0), errno.EPERM),
    "unshare": (272 if x86 else 97, (0x10000000,), errno.EPERM),
    "setns": (308 if x86 else 268, (-1, 0), errno.EPERM),
    "typing into a terminal": (16 if x86 else 29, (0, 0x5412, 0), errno.EPERM),
    "clone3": (435, (0, 0), errno.ENOSYS),
    "x32": ((0x40000000 if x86 else 480) + 250, (0, -3, 0), errno.ENOSYS),
    "a call that is not there yet": (480, (), errno.ENOSYS),
    "socket of the host's": (41 if x86 else 198, (40, 1, 0), errno.EPERM),
}
wrong = {}
for name, (number, arguments, expected) in calls.items():
    ctypes.set_errno(0)
    result = libc.syscall(number, *arguments)
    if (result, ctypes.get_errno()) != (-1, expected):
        wrong[name] = (result, errno.errorcode.get(ctypes.get_errno()))
assert not wrong, wrong
# A namespace by clone: the child, if there is one, ends at once.
result = libc.syscall(56 if x86 else 220, 0x10000000 | 17, 0, 0, 0, 0)
if result == 0:
    os._exit(0)
assert result == -1 and ctypes.get_errno() == errno.EPERM, result
# Threads, processes and sockets work all the same.
import socket, subprocess, sys, threading
threading.Thread(target=print, args=("thread",)).start()
subprocess.run([sys.executable, "-c", "print('process')"], check=True)
socket.socketpair()
"#;

fn system_calls(who: Who) {
    succeeds(&Home::new(who).check(CALLS, &[]));
}

const FORKS: &str = r#"
import os, time
forks = 0
try:
    while forks < 6000:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        forks += 1
except OSError:
    pass
assert 100 < forks <= 4096, forks
os._exit(0)
"#;

fn processes(who: Who) {
    succeeds(&Home::new(who).check(FORKS, &["--trim", "none"]));
}

const MOUNTS: &str = r#"
import os
places = {}
for line in open("/proc/self/mounts"):
    source, place, kind, options, *_ = line.split()
    if kind == "tmpfs":
        options = set(options.split(","))
        names = {option.split("=")[0] for option in options}
        places[place] = "ro" in options or {"size", "nr_inodes"} <= names
assert all(places.values()) and {"/tmp", "/var/tmp", "/dev/shm", "/dev"} <= places.keys(), places
made = 0
try:
    for made in range(300_000):
        os.mkdir(f"/dev/shm/{made}")
except OSError as error:
    print(error)
assert made < 299_999, made
"#;

fn mounts(who: Who) {
    succeeds(&Home::new(who).check(MOUNTS, &["--trim", "none"]));
}

fn proof_time(who: Who) {
    use testkit::{PyPi, WheelBuilder};
    let mut wheel =
        WheelBuilder::new("tool", "1.0").file("tool/__init__.py", "def main():\n    import time\n    time.sleep(60)\n");
    for number in 0..12 {
        wheel = wheel.script(&format!("sleeps-{number}"), "tool:main");
    }
    let index = PyPi::new().built(&wheel).serve();
    let url = index.url();
    let home = Home::new(who);
    let build = |words: &[&str]| {
        let all = [&["build", "tool", "--default-index", &url, "--proof-timeout", "4"], words].concat();
        // The index in this test does not contain upload times.
        home.command(&all).env_remove("LATH_EXCLUDE_NEWER").output().unwrap()
    };
    let output = build(&[]);
    succeeds(&output);
    let said = text(&output);
    assert!(said.contains("not proved: `sleeps-"), "{said}");
    assert!(said.contains("the time for all checks, 4 s, was over (change it with `--proof-timeout`)"), "{said}");
    // If there is no time left for a `--check` of the user, the build fails.
    let output = build(&["--check", "python3 -c 'import time; time.sleep(60)'"]);
    let said = text(&output).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("did not run within the time for all checks, 4 s"), "{said}");
    assert!(said.contains("hint: allow more time with `--proof-timeout SECONDS`"), "{said}");
}

/// lath is run by root in a user namespace that contains no other user. Outside of the namespace, this user is also
/// root.
fn fake_root() {
    let home = Home::new(Who::Root);
    succeeds(&home.check("", &[]));
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user"]).arg(env!("CARGO_BIN_EXE_lath"));
    command.args(["build", "six", "-o", "other.tar", "--check", "python3 -c 'import sys'"]);
    command.current_dir(home.path()).env("LATH_CACHE_DIR", lath::cache()).env("LATH_EXCLUDE_NEWER", lath::NOT_NEWER);
    let output = command.output().unwrap();
    let said = text(&output).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("cannot run anything in a sandbox: lath runs as root, and this user namespace has no other user"),
        "{said}"
    );
    assert!(said.contains("hint: run lath as an ordinary user"), "{said}");
    assert!(!home.path().join("other.tar").exists());
}

/// In version 1 of control groups, root may always create a group below its own. In version 2, this depends on the
/// program that started root's process.
fn control_group() {
    let groups = fs_err::read_to_string("/proc/self/cgroup").unwrap();
    let has_version_1 = groups.lines().any(|line| line.contains(":pids:")) && Path::new("/sys/fs/cgroup/pids").exists();
    let expected = if has_version_1 { "assert 'lath-' in groups, groups" } else { "print(groups)" };
    let home = Home::new(Who::Root);
    succeeds(&home.check(&format!("groups = open('/proc/self/cgroup').read()\n{expected}\n"), &[]));
    let left = |folder: &str| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("lath-")).count()
    };
    // The groups of ended processes must not remain. But builds of other tests may have groups now, so a few groups are
    // accepted.
    if has_version_1 {
        succeeds(&home.check("", &["--trim", "none"]));
        assert!(left("/sys/fs/cgroup/pids") < 20);
    }
}

fn at_once() {
    let home = Home::new(Who::Root);
    for _ in 0..2 {
        let mut builds = Vec::new();
        for number in 0..8 {
            let output = format!("{number}.tar");
            let mut command = home.command(&["build", "six", "-o", &output, "--cache-dir", "shared"]);
            command.stderr(std::process::Stdio::piped());
            builds.push(command.spawn().unwrap());
        }
        for build in builds {
            succeeds(&build.wait_with_output().unwrap());
        }
        fs_err::remove_dir_all(home.path().join("shared/store")).unwrap();
    }
}
