//! Records of runs in the sandbox, and images that are trimmed according to these records.

use libtest_mimic::Trial;

use crate::lath;
use crate::needs::Need::{Minutes, Namespaces, Registries};
use crate::needs::trials_of;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = trials_of![&[Registries, Namespaces];
        a_record_has_the_files_of_all_children_by_every_way_to_name_them,
        records_are_joined_and_the_exit_code_is_passed_on,
    ];
    trials.extend(
        trials_of![&[Registries, Namespaces, Minutes]; an_image_that_is_trimmed_to_a_record_does_what_was_recorded],
    );
    trials
}

/// Uses files in each of the ways that a record must contain, with one file per way. `/data` is a folder in the image,
/// and `/data/again` is a link to it.
const PROBE: &str = r#"
import ctypes, os, subprocess, sys, threading
os.chdir("/data")
open("by-cwd").close()
folder = os.open("/data", os.O_RDONLY)
os.close(os.open("by-folder", os.O_RDONLY, dir_fd=folder))
open("/data/again/../data/./by-link").close()
os.stat("by-stat")
os.access("by-access", os.R_OK)
os.path.lexists("/data/again")
for name in ("missing", "/tmp/temporary", "/proc/self/status"):
    try:
        open(name, "w" if "tmp" in name else "r").close()
    except OSError:
        pass
thread = threading.Thread(target=lambda: open("by-thread").close())
thread.start()
thread.join()
child = "import os; open('by-child').close(); os.kill(os.getpid(), 9)"
subprocess.run([sys.executable, "-c", child])
if os.fork() == 0:
    open("by-fork").close()
    os._exit(0)
os.wait()
how = (ctypes.c_uint64 * 3)(os.O_RDONLY, 0, 0x10)
libc = ctypes.CDLL(None, use_errno=True)
assert libc.syscall(437, folder, b"/by-openat2", how, 24) >= 0, ctypes.get_errno()
assert libc.syscall(437, -100, b"unaligned" * 30, how, 24) < 0
print(sys.stdin.read(), end="")
"#;

fn a_record_has_the_files_of_all_children_by_every_way_to_name_them() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    fs_err::create_dir(&data).unwrap();
    let used = ["access", "child", "cwd", "folder", "fork", "link", "openat2", "stat", "thread"];
    for name in used.iter().chain(&["nothing"]) {
        fs_err::write(data.join(format!("by-{name}")), "x").unwrap();
    }
    fs_err::os::unix::fs::symlink("../data", data.join("again")).unwrap();
    fs_err::write(home.path().join("probe.py"), PROBE).unwrap();
    let words = ["trace", "six", "--copy", "data:/data", "--copy", "probe.py:/probe.py", "--", "python3", "/probe.py"];
    assert_eq!(lath::stdout_of(lath::command(home.path(), &words), "the input\n"), "the input\n");
    let record = fs_err::read_to_string(home.path().join("lath.trace")).unwrap();
    let own: Vec<&str> = record.lines().filter(|line| line.contains(" /data")).collect();
    let expected = [
        "list,stat /data",
        "stat /data/again",
        "stat /data/by-access",
        "open /data/by-child",
        "open /data/by-cwd",
        "open /data/by-folder",
        "open /data/by-fork",
        "open /data/by-link",
        "open /data/by-openat2",
        "stat /data/by-stat",
        "open /data/by-thread",
    ];
    assert_eq!(own, expected);
    assert!(record.starts_with("lath trace 1\n") && !record.contains("/tmp/temporary") && !record.contains("/proc"));
    assert!(record.lines().any(|line| line.starts_with("exec") && line.contains("/python3")), "{record}");
    let again = lath::stdout_of(lath::command(home.path(), &words), "");
    assert_eq!((again.as_str(), fs_err::read_to_string(home.path().join("lath.trace")).unwrap()), ("", record));
}

fn records_are_joined_and_the_exit_code_is_passed_on() {
    let home = tempfile::tempdir().unwrap();
    let trace = |options: &[&str], code: &str| {
        let words = [&["trace", "six", "-o", "r.trace"], options, &["--", "python3", "-c", code]].concat();
        lath::command(home.path(), &words).output().unwrap().status.code()
    };
    let has = |name: &str| fs_err::read_to_string(home.path().join("r.trace")).unwrap().contains(name);
    assert_eq!(trace(&[], "import six, sys; sys.exit(7)"), Some(7));
    assert!(has("/six.py") && !has("/colorsys.py"));
    assert_eq!(trace(&["--append"], "import colorsys"), Some(0));
    assert!(has("/six.py") && has("/colorsys.py"));
    assert_eq!(trace(&[], "import colorsys"), Some(0));
    assert!(!has("/six.py") && has("/colorsys.py"));
    fs_err::write(home.path().join("r.trace"), "lath trace 9\n").unwrap();
    assert_eq!(trace(&["--append"], "pass"), Some(1));
}

fn an_image_that_is_trimmed_to_a_record_does_what_was_recorded() {
    let home = tempfile::tempdir().unwrap();
    let job = ["--", "black", "--quiet", "--code", "x = {  'a':1 }"];
    let trace = [&["trace", "black", "-o", "black.trace"], &job[..]].concat();
    let recorded = lath::succeeded(lath::run(home.path(), &trace));
    assert_eq!(recorded, "x = {\"a\": 1}\n");
    let size = |words: &[&str]| {
        let words = [&["build", "black", "-t", "x", "-o", "x.tar", "--metadata-file", "x.json"], words].concat();
        lath::succeeded(lath::run(home.path(), &words));
        let text = fs_err::read_to_string(home.path().join("x.json")).unwrap();
        let metadata: serde_json::Value = serde_json::from_str(&text).unwrap();
        (metadata["platforms"][0]["files_bytes"].as_u64().unwrap(), metadata["digest"].to_string())
    };
    let with_record = ["--trim", "trace", "--trace", "black.trace"];
    let traced = size(&with_record);
    assert!(traced.0 < size(&["--trim", "reach"]).0);
    assert_eq!(size(&[&with_record[..], &["--cache-dir", "other"]].concat()), traced);
    let run = [&["run", "black"], &with_record[..], &job].concat();
    assert_eq!(lath::succeeded(lath::run(home.path(), &run)), recorded);
}
