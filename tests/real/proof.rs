//! The proof, the sandbox and other processors, with the real Python and the real archive.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use libtest_mimic::Trial;
use testkit::{PyPi, WheelBuilder, oci};

use crate::lath;
use crate::needs::Need::{Emulator, Minutes, Namespaces, Registries};
use crate::needs::trials_of;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = trials_of![&[Registries, Namespaces];
        a_file_that_a_check_needs_is_put_back_and_the_image_is_the_same_with_an_empty_store,
        what_trimming_breaks_is_told_with_claim_find_and_the_way_back,
        a_check_cannot_change_its_package_or_its_parent,
        every_subcommand_is_run_with_another_user_and_a_module_that_data_lacks_is_found,
        at_reach_every_check_runs_as_another_user_without_variables_of_the_host,
        the_proof_needs_no_module_that_reach_removes,
        no_check_needs_the_scripts_that_only_scripts_removes,
        data_that_a_module_names_is_put_back_if_a_rule_removed_it,
        a_script_that_hangs_exits_or_fails_hides_no_other, a_program_that_is_missing_is_named_with_what_brings_it,
        an_answer_that_is_never_the_same_is_compared_by_its_exit_code,
        a_check_has_no_network_no_capabilities_and_a_root_that_cannot_be_written,
        a_check_and_a_run_reach_their_server_by_localhost_and_by_the_own_name,
        a_library_that_an_import_misses_is_named_with_its_package,
        pip_installs_at_run_time_and_a_check_without_venv_names_its_package,
        what_a_start_goes_through_has_bytecode_and_what_it_may_come_to_later_has_none,
        run_passes_input_and_exit_codes_on,
        run_passes_signals_on_and_ends_what_does_not_listen,
        a_host_without_user_namespaces_is_told_what_to_do,
    ];
    trials.extend(
        trials_of![&[Registries, Namespaces, Minutes]; bytecode_of_a_changed_program_is_what_a_fresh_cache_makes,
            bytecode_of_the_standard_library_is_compiled_once_for_all_images,
            an_import_of_a_removed_module_names_the_rule_and_the_option_in_every_python,
            a_read_of_removed_data_names_the_rule_and_the_option_in_every_python,
        ],
    );
    trials.extend(trials_of![&[Registries, Namespaces, Minutes, Emulator]; an_image_of_two_platforms_is_the_same_with_and_without_an_emulator]);
    trials
}

/// lath with an index that contains only the wheels of this test, and with the real archive.
struct Own {
    home: tempfile::TempDir,
    index: testkit::pypi::PyPiServer,
}

impl Own {
    fn new(wheels: &[WheelBuilder]) -> Self {
        let index = wheels.iter().fold(PyPi::new(), |pypi, wheel| pypi.built(wheel)).serve();
        Self { home: tempfile::tempdir().unwrap(), index }
    }

    fn home(&self) -> &Path {
        self.home.path()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("lath"));
        command.current_dir(self.home()).env("LATH_CACHE_DIR", lath::cache());
        // Options must come first, because everything after `--` belongs to the program.
        command.arg(words[0]).args(["--default-index", &self.index.url()]).args(&words[1..]);
        command
    }

    fn lath(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Runs lath, which must succeed. Returns its messages.
    fn summary(&self, words: &[&str]) -> String {
        let output = self.lath(words);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stderr).unwrap()
    }

    /// Runs Python code in the sandbox with `lath run`.
    fn python(&self, code: &str) -> Output {
        let mut command = self.command(&["run", "tool"]);
        command.args(["--", "python3", "-c", code]).output().unwrap()
    }
}

fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn tool(source: &str) -> WheelBuilder {
    WheelBuilder::new("tool", "1.0").file("tool/__init__.py", source).script("tool", "tool:main")
}

const FINE: &str = "import sys\ndef main():\n    print('tool 1.0')\n";

const CHANGELOG: &str = "/usr/share/doc/netbase/changelog.gz";

fn a_file_that_a_check_needs_is_put_back_and_the_image_is_the_same_with_an_empty_store() {
    // The output of the program does not contain the name of the file, so lath cannot find the file by its name.
    let source = format!("import os\ndef main():\n    print(os.path.exists('{CHANGELOG}'))\n");
    let own = Own::new(&[tool(&source)]);
    let words = format!("put back: `{CHANGELOG}` (documentation), because `tool --version` needs it\n");
    let digest = |words_of_build: &[&str]| {
        let said = own.summary(&[&["build", "tool"], words_of_build].concat());
        assert!(said.contains(&words) && said.contains("tool --version"), "{said}");
        oci::check(&own.home().join("tool.tar")).unwrap().digest
    };
    let first = digest(&["--metadata-file", "made.json"]);
    let made: serde_json::Value = serde_json::from_slice(&fs_err::read(own.home().join("made.json")).unwrap()).unwrap();
    let put_back = serde_json::json!([{"path": CHANGELOG, "rule": "documentation", "check": "tool --version"}]);
    assert_eq!(made["platforms"][0]["checks"]["put_back"], put_back);
    assert_eq!(digest(&[]), first);
    assert_eq!(digest(&["--cache-dir", "empty"]), first);
    // Without a proof, lath puts back the files that earlier proofs have put back, even if `--bytecode` has another
    // value.
    digest(&["--no-verify", "--bytecode", "none"]);
    let exists = format!("import os; raise SystemExit(not os.path.exists('{CHANGELOG}'))");
    assert_eq!(own.python(&exists).status.code(), Some(0));
    let unproved = own.summary(&["build", "tool", "--no-verify", "--cache-dir", "never-proved"]);
    assert!(!unproved.contains("put back"), "{unproved}");
    own.summary(&["build", "tool", "--keep", CHANGELOG]);
}

fn what_trimming_breaks_is_told_with_claim_find_and_the_way_back() {
    let on_one_line = |own: &Own, words: &[&str]| {
        let output = own.lath(&[&["build", "tool"], words].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(!own.home().join("tool.tar").exists());
        said.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    // This check needs more files than lath puts back, so it fails in the trimmed image.
    let source = "import os\ndef main():\n    print(sum(len(names) for _, _, names in os.walk('/usr/share')))\n";
    let said = on_one_line(&Own::new(&[tool(source)]), &[]);
    for words in [
        "the check `tool --version` has another result than in the untrimmed image",
        "untrimmed: exit code 0 | ",
        "trimmed: exit code ",
        "hint: build with `--trim none`",
    ] {
        assert!(said.contains(words), "{words} in:\n{said}");
    }
    // This check fails in both trees. Its message contains the name of a removed file, so there is a hint.
    let source = format!("def main():\n    raise SystemExit('no {CHANGELOG} here')\n");
    let said = on_one_line(&Own::new(&[tool(&source)]), &["--check", "tool"]);
    for words in [
        "the check `tool` ended with exit code 1",
        &format!("removed: `{CHANGELOG}` (documentation)"),
        &format!("hint: keep a removed path with `--keep {CHANGELOG}`"),
    ] {
        assert!(said.contains(words), "{words} in:\n{said}");
    }
}

fn a_check_cannot_change_its_package_or_its_parent() {
    let source = r#"
import os, signal
failed = []
for change in [
    lambda: os.remove(__file__),
    lambda: open(__file__, "a"),
    lambda: os.mkdir(os.path.join(os.path.dirname(__file__), "data")),
    lambda: os.rename("/opt/app", "/opt/other"),
]:
    try:
        change()
        failed.append(change)
    except OSError:
        pass
# It is the first process, and sees no other one.
failed += [name for name in os.listdir("/proc") if name.isdigit() and int(name) not in (os.getpid(), 1)]
failed += [os.getppid()] if os.getppid() > 1 else []
# Something that is no report of a check.
for number in range(1, 64):
    try:
        os.write(number, b"\xff\x00 7 \n99999999999999999999 \n\n-1 x\n")
    except OSError:
        pass
# A process that is left ends with its parent, and does not keep the output open.
if os.fork() == 0:
    signal.pause()
def main():
    print("fine" if not failed else failed)
    raise SystemExit(len(failed))
"#;
    let own = Own::new(&[tool(source)]);
    let said = own.summary(&["build", "tool", "--check", "tool"]);
    assert!(said.contains("proved: python, tool, tool --version"), "{said}");
}

fn every_subcommand_is_run_with_another_user_and_a_module_that_data_lacks_is_found() {
    // The name of the module is in a data file, so `reach` does not find it.
    let source = r#"
import argparse, importlib, os
def main():
    parser = argparse.ArgumentParser("tool")
    commands = parser.add_subparsers()
    here = os.path.dirname(__file__)
    for line in open(os.path.join(here, "commands.txt")):
        name, module = line.split()
        command = commands.add_parser(name)
        command.add_argument("--as", help=f"as {os.getuid()}")
        command.set_defaults(module=module)
        command.format_help = lambda m=module, f=command.format_help: f() + show(m)
    parser.parse_args()
def show(module):
    import importlib
    return getattr(importlib, "import" + "_module")(module).TEXT
"#;
    let wheel = tool(source).file("tool/commands.txt", "add helper.inner\n");
    let helper = WheelBuilder::new("helper", "1.0")
        .file("helper/__init__.py", "")
        .file("helper/inner.py", "from helper.deep import TEXT\n")
        .file("helper/deep.py", "TEXT = 'deep'\n")
        .file("helper/other.py", "");
    let own = Own::new(&[wheel.requires("helper"), helper]);
    let said = own.summary(&["build", "tool", "--trim", "reach"]);
    assert!(said.contains("the help of tool and its 1 subcommand"), "{said}");
    let put_back = "put back: `/opt/app/lib/python3.13/site-packages/helper/inner.py` (modules that no program of the image can import), \
                    because `tool add --help` needs it";
    assert!(said.contains(put_back), "{said}");
    let image = oci::check(&own.home().join("tool.tar")).unwrap();
    let has = |name: &str| {
        image.platforms[0].files.contains_key(&format!("opt/app/lib/python3.13/site-packages/helper/{name}"))
    };
    assert_eq!(["__init__.py", "inner.py", "deep.py", "other.py"].map(has), [true, true, true, false]);
}

/// Every check of lath and of the user imports this module, so its assertions run in each of them.
fn at_reach_every_check_runs_as_another_user_without_variables_of_the_host() {
    let source = r#"
import os, sys
assert os.getuid() >= 1_000_000_000 or "image" in sys.argv, os.getuid()
assert "LEAKED" not in os.environ and not os.path.exists("/bin/sh")
for path in ["/opt/app/x", "/etc/x", "/x"]:
    try:
        open(path, "w")
    except OSError:
        continue
    raise AssertionError(path)
def main():
    print("hardened")
"#;
    let own = Own::new(&[tool(source)
        .file("tool/inner.py", "import tool\n")
        .file("tool/__main__.py", "import tool.inner\n")]);
    let checks = |level: &str| {
        let mut command =
            own.command(&["build", "tool", "--trim", level, "--check", "tool image", "--metadata-file", "made.json"]);
        let output = command.env("LEAKED", "1").output().unwrap();
        succeeds(&output);
        let made: serde_json::Value =
            serde_json::from_slice(&fs_err::read(own.home().join("made.json")).unwrap()).unwrap();
        made["platforms"][0]["checks"].clone()
    };
    let has = |list: &serde_json::Value, words: &str| list.to_string().contains(words);
    let of_reach = checks("reach");
    assert_eq!(of_reach["failed_alike"], serde_json::json!([]));
    assert!(of_reach.get("drove").is_none(), "{of_reach}");
    for words in [
        "tool --version",
        "\"tool image\"",
        "tool image as another user",
        "script-imports",
        "inner-modules",
        "shared-libraries",
    ] {
        assert!(has(&of_reach["passed"], words), "{words} in {of_reach}");
    }
    // At the level `trace`, the files that some checks use are kept. These checks are listed as `drove`, and all others
    // as `passed`.
    let of_trace = checks("trace");
    for words in ["tool --version", "\"tool image\"", "script-imports"] {
        assert!(has(&of_trace["drove"], words) && !has(&of_trace["passed"], words), "{words} in {of_trace}");
    }
    for words in ["inner-modules", "\"id\":\"help\"", "\"python\""] {
        assert!(has(&of_trace["passed"], words) && !has(&of_trace["drove"], words), "{words} in {of_trace}");
    }
}

/// The file of the extension module `tool.other` is a copy of the library zlib. So the loader can load this file, but
/// Python cannot import it. The proof must not need `ctypes`, which is not in the trimmed image.
fn the_proof_needs_no_module_that_reach_removes() {
    let library = format!("/usr/lib/{}-linux-gnu/libz.so.1", std::env::consts::ARCH);
    let extension = format!("tool/other.cpython-313-{}-linux-gnu.so", std::env::consts::ARCH);
    let source = "def main():\n    from tool import other\n";
    let own = Own::new(&[tool(source).file(&extension, fs_err::read(library).unwrap())]);
    let said = own.summary(&["build", "tool", "--trim", "reach"]);
    assert!(said.contains("extension modules") && !said.contains("put back"), "{said}");
    let files = &oci::check(&own.home().join("tool.tar")).unwrap().platforms[0].files;
    let has = |path: &str| files.contains_key(path);
    assert!(has(&format!("opt/app/lib/python3.13/site-packages/{extension}")));
    assert!(!files.keys().any(|path| path.starts_with("usr/lib/python3.13/ctypes/")));
}

fn no_check_needs_the_scripts_that_only_scripts_removes() {
    let print = "import sys\n\ndef main():\n    print(sys.argv[1:])\n";
    let wheel = WheelBuilder::new("tool", "1.0").file("tool/__init__.py", "").file("tool/first.py", print);
    let wheel = wheel.file("tool/second.py", print).file("tool/third.py", print);
    let wheel = wheel.script("first", "tool.first:main").script("second", "tool.second:main");
    let own = Own::new(&[wheel.script("third", "tool.third:main")]);
    let level = ["build", "tool", "--trim", "reach", "-c", "first", "-c", "second"];
    let said = own.summary(&[&level[..], &["--only-scripts"]].concat());
    assert!(said.contains("first --version") && said.contains("second --version"), "{said}");
    assert!(!said.contains("third") && !said.contains("put back"), "{said}");
    let files = &oci::check(&own.home().join("tool.tar")).unwrap().platforms[0].files;
    let has = |path: &str| files.contains_key(&format!("opt/app/{path}"));
    assert!(has("bin/first") && has("bin/second") && !has("bin/third"));
    let site = "lib/python3.13/site-packages/tool";
    assert!(has(&format!("{site}/second.py")) && !has(&format!("{site}/third.py")));
}

fn a_script_that_hangs_exits_or_fails_hides_no_other() {
    let odd = WheelBuilder::new("odd", "1.0")
        .file("odd/__init__.py", "def main(): pass\n")
        .file("odd/ends.py", "import os\nos._exit(7)\n")
        .file("odd/leaves.py", "raise SystemExit(4)\n")
        .file("odd/lacks.py", "import no_such_module\n")
        .file("odd/hangs.py", "import time\ntime.sleep(1000)\n")
        .file("odd/nested.py", "def main(): pass\n")
        .script("a-ends", "odd.ends:main")
        .script("b-leaves", "odd.leaves:main")
        .script("c-lacks", "odd.lacks:main")
        .script("d-hangs", "odd.hangs:main")
        .script("y-fine", "odd:nested.main")
        .script("z-fine", "odd:main");
    let own = Own::new(&[tool(FINE).requires("odd"), odd]);
    let said = own.summary(&["build", "tool"]);
    assert!(said.contains("tool --version, the imports of 3 console scripts"), "{said}");
    for note in [
        "`a-ends` fails in the untrimmed image too: exit code 7",
        "`b-leaves` fails in the untrimmed image too: SystemExit: 4",
        "`c-lacks` fails in the untrimmed image too: ModuleNotFoundError: No module named 'no_such_module'",
        "`d-hangs` fails in the untrimmed image too: no end within 20 s",
    ] {
        assert!(said.contains(note), "{note} in:\n{said}");
    }
}

fn a_program_that_is_missing_is_named_with_what_brings_it() {
    let calls = "import subprocess\nsubprocess.run(['uname'])\ndef main(): pass\n";
    let wheel = WheelBuilder::new("tool", "1.0").file("calls.py", calls);
    let own = Own::new(&[wheel.script("a-calls", "calls:main").script("b-calls", "calls:main")]);
    let said = own.summary(&["build", "tool"]);
    let note = "note: `a-calls`, `b-calls`, `import calls` fail in the untrimmed image too: FileNotFoundError: [Errno 2] No such file or directory: \
                'uname'; `uname` is not in the image: add it with `--with coreutils`\n";
    assert!(said.contains(note) && !said.contains("warning"), "{said}");
    let said = own.summary(&["build", "tool", "-c", "b-calls"]);
    assert!(said.contains("warning: the program that the image runs fails its check `b-calls`\n"), "{said}");
    let output = own.lath(&["build", "tool", "--check", "a-calls"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("hint: `uname` is not in the image: add it with `--with coreutils`"), "{said}");
    let output = own.lath(&["run", "tool", "--", "uname"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(127), "{said}");
    assert!(said.contains("hint: add it with `--with coreutils`"), "{said}");
    own.summary(&["build", "tool", "--with", "coreutils", "--check", "a-calls"]);
}

fn an_answer_that_is_never_the_same_is_compared_by_its_exit_code() {
    let own = Own::new(&[tool("import time\ndef main():\n    print(time.time_ns())\n")]);
    let said = own.summary(&["build", "tool"]);
    assert!(said.contains("`tool --version` has another output each time: only its exit code is compared"), "{said}");
}

fn a_check_has_no_network_no_capabilities_and_a_root_that_cannot_be_written() {
    let source = r#"
import os, resource, socket
def main():
    status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0, status
    assert status["NoNewPrivs"].strip() == "1" and os.getuid() == 65532
    assert resource.getrlimit(resource.RLIMIT_NPROC)[1] <= 4096
    assert [name for _, name in socket.if_nameindex()] == ["lo"]
    for path in ["/opt/app/x", "/etc/x", "/usr/bin/x", "/x"]:
        try:
            open(path, "w")
        except OSError:
            continue
        raise AssertionError(path)
    for path in ["/tmp/x", "/var/tmp/x", os.path.expanduser("~/x")]:
        open(path, "w").close()
    print("as promised")
"#;
    let own = Own::new(&[tool(source)]);
    own.summary(&["build", "tool", "--check", "tool"]);
    // The user of `--user` also runs the checks, unless this user is root.
    own.summary(&["build", "tool", "--user", "1000", "--check", "python3 -c 'import os; assert os.getuid() == 1000'"]);
    own.summary(&["build", "tool", "--user", "0", "--check", "tool"]);
    // A client in the sandbox can connect to a server in the sandbox, but not to a server outside.
    let asks_itself =
        "import socket\ns = socket.create_server(('127.0.0.1', 0))\nsocket.create_connection(s.getsockname())";
    own.summary(&["build", "tool", "--check", &format!("python3 -c \"{asks_itself}\"")]);
    let asks_others = "import socket; socket.create_connection(('192.0.2.1', 80), 5)";
    let output = own.lath(&["build", "tool", "--check", &format!("python3 -c \"{asks_others}\"")]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(3) && said.contains("Network is unreachable"), "{said}");
}

/// Returns the modules of `tool` that have bytecode in the image.
fn bytecode(wheel: WheelBuilder) -> Vec<String> {
    let own = Own::new(&[wheel]);
    own.summary(&["build", "tool"]);
    let image = oci::check(&own.home().join("tool.tar")).unwrap();
    let of_tool = |path: &String| {
        let (folder, file) = path.split_once("site-packages/")?.1.rsplit_once("__pycache__/")?;
        Some(format!("{folder}{}", file.strip_suffix(".cpython-313.pyc")?))
    };
    image.platforms[0].files.keys().filter_map(of_tool).collect()
}

fn what_a_start_goes_through_has_bytecode_and_what_it_may_come_to_later_has_none() {
    let lazy = "def main():\n    from tool.core import run\n    run()\n    print('tool 1.0')\n";
    let core = "def run():\n    import tool.deep\ndef later():\n    import tool.later\n";
    let wheel = tool(lazy)
        .file("tool/core.py", core)
        .file("tool/deep.py", "")
        .file("tool/later.py", "")
        .file("hook.py", "")
        .file("hook.pth", "import os; enabled = True; enabled and __import__('hook')\n");
    assert_eq!(bytecode(wheel), ["hook", "tool/__init__", "tool/core", "tool/deep"]);
    // If there is no script, Python itself is started and imports the requested distribution.
    let library =
        WheelBuilder::new("tool", "1.0").file("tool/__init__.py", "import tool.core").file("tool/core.py", "");
    assert_eq!(bytecode(library.file("tool/later.py", "")), ["tool/__init__", "tool/core"]);
}

fn bytecode_of_a_changed_program_is_what_a_fresh_cache_makes() {
    let release = |version: &str| {
        WheelBuilder::new("tool", version)
            .file("tool/__init__.py", "def main():\n    from tool.core import run\n    run()\n")
            .file("tool/core.py", format!("import json\ndef run():\n    print('tool {version}')\n"))
            .script("tool", "tool:main")
    };
    let versions: Vec<String> = (1..=10).map(|number| format!("{number}.0")).collect();
    let own = Own::new(&versions.iter().map(|version| release(version)).collect::<Vec<_>>());
    let build = |version: &str, cache: &str| {
        let archive = format!("{version}-{cache}.tar");
        own.summary(&["build", &format!("tool=={version}"), "--no-verify", "--cache-dir", cache, "-o", &archive]);
        oci::check(&own.home().join(archive)).unwrap()
    };
    let changed: Vec<oci::Checked> = versions.iter().map(|version| build(version, "used")).collect();
    let (warm, cold) = (&changed[9], build("10.0", "fresh"));
    assert_eq!(cold.difference(warm), "");
    assert_ne!(cold.difference(&changed[8]), "");
    // In Debian, the source of this bytecode is a link to a file in `/etc`.
    let customize = "usr/lib/python3.13/__pycache__/sitecustomize.cpython-313.pyc";
    assert!(warm.platforms[0].files.contains_key(customize));
}

/// Returns how many packs in the cache contain the bytecode of `source`.
fn packs_with_bytecode_of(source: &str, cache: &Path) -> usize {
    let packs = std::fs::read_dir(cache.join("store/packs")).unwrap().map(|pack| pack.unwrap().path());
    packs.filter(|pack| bytes_contain(&std::fs::read(pack).unwrap(), source.as_bytes())).count()
}

fn bytes_contain(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn bytecode_of_the_standard_library_is_compiled_once_for_all_images() {
    let tool = |name: &str| {
        WheelBuilder::new(name, "1.0")
            .file(
                &format!("{name}/__init__.py"),
                format!(
                    "import json
def main():
    print('{name} 1.0')\n"
                ),
            )
            .script(name, &format!("{name}:main"))
    };
    let own = Own::new(&[tool("first"), tool("second")]);
    let build = |name: &str, cache: &str| {
        let archive = format!("{name}-{cache}.tar");
        own.summary(&["build", name, "--no-verify", "--cache-dir", cache, "-o", &archive]);
        oci::check(&own.home().join(archive)).unwrap()
    };
    build("first", "used");
    let second = build("second", "used");
    assert_eq!(build("second", "fresh").difference(&second), "");
    assert!(second.platforms[0].files.contains_key("usr/lib/python3.13/json/__pycache__/decoder.cpython-313.pyc"));
    // A pack with the bytecode contains the path of the source, because bytecode contains this path.
    let count = |source: &str| packs_with_bytecode_of(source, &own.home().join("used"));
    assert_eq!(count("/usr/lib/python3.13/json/decoder.py"), 1);
    assert_eq!(count("/site-packages/second/__init__.py"), 1);
}

/// Imports removed modules in all possible ways, and prints the errors.
const IMPORTS_OF_REMOVED: &str = r#"
import importlib.util, json, sys, traceback

def show(name, run):
    try:
        print(name, run())
    except ImportError as error:
        frames = len(traceback.extract_tb(error.__traceback__))
        first, _, second = str(error).partition(". ")
        print(name, type(error).__name__, error.name, first.split(" (")[0], "|", second, "|", frames)

def statement(): import json.tool
def from_statement(): from json import tool
def from_module(): from wsgiref.util import x
def other(): from json import missing
show("statement", statement)
show("from", from_statement)
show("package", from_module)
show("other", other)
show("call", lambda: __import__("json", fromlist=["tool"]).__name__)
show("search", lambda: (importlib.util.find_spec("json.tool"), importlib.util.find_spec("wsgiref")))

import _thread, threading
ended = threading.Event()
def unraisable(error):
    print("no frame", error.exc_type.__name__)
    ended.set()
sys.unraisablehook = unraisable
_thread.start_new_thread(__import__, ("wsgiref",))
ended.wait(60)

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "wsgiref":
            print("a later finder is first")
sys.meta_path.append(Finder())
for _ in range(2):
    show("finder", from_module)
"#;

fn an_import_of_a_removed_module_names_the_rule_and_the_option_in_every_python() {
    let wheel = WheelBuilder::new("tool", "1.0")
        .file("tool.py", "import json\ndef main():\n    print('tool 1.0')\n")
        .script("tool", "tool:main");
    let own = Own::new(&[wheel]);
    let reason = |name: &str| {
        format!(
            "lath removed it from this image by the rule unreached-modules: \
             build the image with `--keep-module {name}` to keep it"
        )
    };
    let gone = format!("ModuleNotFoundError wsgiref No module named 'wsgiref' | {} | 2", reason("wsgiref"));
    let (tool, first) = (reason("json.tool"), "a later finder is first");
    let expected = format!(
        "statement ModuleNotFoundError json.tool No module named 'json.tool' | {tool} | 2\n\
         from ImportError json cannot import name 'tool' from 'json' | {tool} | 2\n\
         package {gone}\nother ImportError json cannot import name 'missing' from 'json' |  | 2\n\
         call json\nsearch (None, None)\nno frame ModuleNotFoundError\n{first}\nfinder {gone}\n{first}\nfinder {gone}\n"
    );
    for release in ["jammy", "bookworm", "noble", "trixie", "resolute"] {
        let mut command = own.command(&["run", "tool", "--trim", "reach", "--release", release]);
        let output = command.args(["--", "python3", "-c", IMPORTS_OF_REMOVED]).output().unwrap();
        assert_eq!(lath::succeeded(output), expected, "{release}");
    }
}

/// Reads removed data in all possible ways, and prints the errors.
const READS_OF_REMOVED: &str = r#"
import importlib.resources, pathlib
root = importlib.resources.files("tool")
plain = pathlib.Path(str(root))
def show(name, run):
    try:
        print(name, run())
    except FileNotFoundError as error:
        first, _, second = str(error).removesuffix(f": {error.filename!r}").partition(". ")
        print(name, error.errno, error.filename.removeprefix(f"{root}/"), first, "|", second)
for name in ("gone.pyi", "tests/a.txt", "never.txt"):
    path = root.joinpath(name)
    show("text", path.read_text)
    show("bytes", path.read_bytes)
    show("open", path.open)
    print(path.is_file(), path.exists())
print((root / "there.txt").read_text(), sorted(path.name for path in root.glob("*.txt")))
print(root == plain, hash(root) == hash(plain), repr(root) == repr(plain), root.__reduce__()[0] is type(plain))
"#;

fn a_read_of_removed_data_names_the_rule_and_the_option_in_every_python() {
    let wheel = WheelBuilder::new("tool", "1.0")
        .file("tool/__init__.py", "import importlib.resources, pathlib\ndef main():\n    print('tool 1.0')\n")
        .file("tool/there.txt", "data")
        .file("tool/gone.pyi", "x: int\n")
        .file("tool/tests/test_a.py", "import tool\n")
        .file("tool/tests/a.txt", "a\n")
        .script("tool", "tool:main");
    let own = Own::new(&[wheel]);
    for (release, python) in [
        ("jammy", "python3.10"),
        ("bookworm", "python3.11"),
        ("noble", "python3.12"),
        ("trixie", "python3.13"),
        ("resolute", "python3.14"),
    ] {
        let reads = |name: &str, rule: Option<(&str, &str)>| {
            let reason = rule.map(|(rule, kept)| {
                format!(
                    "lath removed it from this image by the rule {rule}: \
                     build the image with `--keep /opt/app/lib/{python}/site-packages/tool/{kept}` to keep it"
                )
            });
            let error = format!("2 {name} [Errno 2] No such file or directory | {}", reason.unwrap_or_default());
            format!("text {error}\nbytes {error}\nopen {error}\nFalse False\n")
        };
        let expected = [
            reads("gone.pyi", Some(("type-stubs", "gone.pyi"))),
            reads("tests/a.txt", Some(("test-suites", "tests/**"))),
            reads("never.txt", None),
            "data ['there.txt']\nTrue True True True\n".to_owned(),
        ];
        let mut command = own.command(&["run", "tool", "--trim", "reach", "--release", release]);
        let output = command.args(["--", "python3", "-c", READS_OF_REMOVED]).output().unwrap();
        assert_eq!(lath::succeeded(output), expected.concat(), "{release}");
    }
}

fn data_that_a_module_names_is_put_back_if_a_rule_removed_it() {
    let source = "import os\nHERE = os.path.dirname(__file__)\ndef main():\n    print('tool 1.0')\n\
        def job():\n    return open(os.path.join(HERE, 'templates', 'api.pyi')).read()\n";
    let own = Own::new(&[tool(source)
        .file("tool/templates/api.pyi", "x: int\n")
        .file("tool/other.pyi", "y: int\n")
        .file("tool/words.txt", "")]);
    let said = own.summary(&["build", "tool", "--trim", "reach"]);
    let site = "opt/app/lib/python3.13/site-packages";
    let put_back = format!(
        "put back: `/{site}/tool/templates/api.pyi` (type stubs), because `read /{site}/tool/templates/api.pyi` needs it"
    );
    // Besides this file, two files of the tool's metadata are read, because `importlib.metadata` is in the image.
    assert!(said.contains(&put_back) && said.contains("3 data files"), "{said}");
    let files = &oci::check(&own.home().join("tool.tar")).unwrap().platforms[0].files;
    let has = |name: &str| files.contains_key(&format!("{site}/tool/{name}"));
    assert_eq!([has("templates/api.pyi"), has("other.pyi"), has("words.txt")], [true, false, true]);
    let said = own.summary(&["build", "tool", "--trim", "standard"]);
    assert!(!said.contains("data file"), "{said}");
}

fn run_passes_input_and_exit_codes_on() {
    let own = Own::new(&[tool(FINE)]);
    assert_eq!(own.python("import sys; sys.exit(42)").status.code(), Some(42));
    assert_eq!(
        own.python("import os; os.kill(os.getpid(), 0); os.abort()").status.code().map(|code| code > 0),
        Some(true)
    );
    let mut child = own
        .command(&["run", "tool", "--", "python3", "-c", "print(input()[::-1])"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"htal\n").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"lath\n");
    let missing = own.lath(&["run", "tool", "--", "no-such-program"]);
    assert_eq!(missing.status.code(), Some(127));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("cannot find `no-such-program` in the image"));
}

fn run_passes_signals_on_and_ends_what_does_not_listen() {
    let own = Own::new(&[tool(FINE)]);
    let listens = "import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit(5)))
print('ready', flush=True)
time.sleep(60)";
    let deaf = "import time\nprint('ready', flush=True)\ntime.sleep(60)";
    for (code, exit_code, last) in [(listens, 5, "bye\n"), (deaf, 128 + 15, "")] {
        let mut command = own.command(&["run", "tool"]);
        let mut child = command.args(["--", "python3", "-c", code]).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
        line.clear();
        output.read_line(&mut line).unwrap();
        assert_eq!((child.wait().unwrap().code(), line.as_str()), (Some(exit_code), last));
    }
}

fn a_host_without_user_namespaces_is_told_what_to_do() {
    let own = Own::new(&[tool(FINE)]);
    succeeds(&own.lath(&["build", "tool", "--no-verify", "--bytecode", "none"]));
    // Runs lath in a user namespace in which no further user namespaces can be created.
    let inside = |words: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "sh", "-c"]);
        command.arg("echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\" \"$@\"");
        command.arg(assert_cmd::cargo::cargo_bin("lath")).args(words).args(["--default-index", &own.index.url()]);
        command.current_dir(own.home()).env("LATH_CACHE_DIR", lath::cache()).output().unwrap()
    };
    let output = inside(&["build", "tool", "-o", "other.tar"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error: cannot run anything in a sandbox: "), "{said}");
    assert!(said.contains("`--no-verify --bytecode none`"), "{said}");
    assert!(!own.home().join("other.tar").exists());
    succeeds(&inside(&["build", "tool", "-o", "other.tar", "--no-verify", "--bytecode", "none"]));
    oci::check(&own.home().join("other.tar")).unwrap();
}

fn an_image_of_two_platforms_is_the_same_with_and_without_an_emulator() {
    let own = Own::new(&[tool(FINE)]);
    let build = |output: &str, path: &str| {
        let words = ["build", "tool", "--platform", "linux/amd64,linux/arm64", "-o", output];
        let output = own.command(&words).env("PATH", path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stderr).unwrap()
    };
    let foreign = if cfg!(target_arch = "aarch64") { ("linux/amd64", "x86_64") } else { ("linux/arm64", "aarch64") };
    let without = build("oci:without", "/nowhere");
    let is_registered = Path::new("/proc/sys/fs/binfmt_misc").join(format!("qemu-{}", foreign.1)).exists();
    if !is_registered {
        let words = format!("not proved: the checks: this machine does not run {}: there is neither `qemu-", foreign.0);
        assert!(without.contains(&words), "{without}");
    }
    let with = build("oci:with", "/usr/bin");
    assert!(!with.contains("not proved"), "{with}");
    assert_eq!(with.matches("proved: python, tool --version, the imports of 1 console script").count(), 2, "{with}");
    let [one, other] = ["with", "without"].map(|name| oci::check(&own.home().join(name)).unwrap());
    assert_eq!(one.digest, other.digest);
    for (platform, machine) in one.platforms.iter().zip(["x86_64", "aarch64"]) {
        assert!(platform.files.keys().any(|path| path.ends_with(&format!("lib/{machine}-linux-gnu/libc.so.6"))));
        let bytecode = "opt/app/lib/python3.13/site-packages/tool/__pycache__/__init__.cpython-313.pyc";
        assert!(platform.files.contains_key(bytecode), "{}", platform.platform);
    }
}

fn a_check_and_a_run_reach_their_server_by_localhost_and_by_the_own_name() {
    let code = "import socket, sys
name = sys.argv[1] if len(sys.argv) > 1 else socket.gethostname()
server = socket.create_server(('', 0))
socket.create_connection((name, server.getsockname()[1]), 5).close()
print('reached', name, open('/etc/hostname').read().strip())
";
    let own = Own::new(&[tool(FINE)]);
    fs_err::write(own.home().join("reach.py"), code).unwrap();
    let copied = ["build", "tool", "--copy", "reach.py:/srv/reach.py"];
    let with_file = own.summary(&[&copied[..], &["--check", "python3 /srv/reach.py localhost"]].concat());
    assert!(with_file.contains("proved: python, python3 /srv/reach.py localhost"), "{with_file}");
    own.summary(&[&copied[..], &["--check", "python3 /srv/reach.py"]].concat());
    // The image itself contains none of the files that the sandbox adds.
    let image = oci::check(&own.home().join("tool.tar")).unwrap();
    let has = |path: &str| image.platforms[0].files.contains_key(path);
    assert!(has("srv/reach.py") && !["etc/hosts", "etc/hostname", "etc/resolv.conf"].into_iter().any(has));
    for (name, arguments) in [("localhost", &["localhost"][..]), ("lath", &[])] {
        let mut command = own.command(&["run", "tool", "--volume", ".:/mnt", "--", "python3", "/mnt/reach.py"]);
        let output = command.args(arguments).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("reached {name} lath\n"), "{output:?}");
    }
    // If a folder of the user is mounted at `/etc`, the sandbox creates no files in this folder.
    let folder = own.home().join("etc");
    fs_err::create_dir(&folder).unwrap();
    succeeds(&own.lath(&["run", "tool", "--volume", "./etc:/etc", "--", "/usr/bin/python3", "-c", "pass"]));
    assert_eq!(folder.read_dir().unwrap().count(), 0);
}

fn a_library_that_an_import_misses_is_named_with_its_package() {
    let by_ctypes =
        "from ctypes.util import find_library\nif not find_library('udev'):\n    raise ImportError('no luck')\n";
    let by_name = "import ctypes\nctypes.CDLL('libmagic.so.1')\n";
    let wheel = WheelBuilder::new("tool", "1.0").file("fine.py", "").file("tool/__init__.py", by_ctypes);
    let own = Own::new(&[wheel.file("other.py", by_name).file("tests/__init__.py", "raise ValueError\n")]);
    let said = own.summary(&["build", "tool"]);
    for words in [
        "proved: python, the import of 1 module,",
        "note: `import tool` fails in the untrimmed image too: ImportError: no luck (ctypes did not find: udev); `libudev` \
         is not in the image: add it with `--with libudev1`\n",
        "note: `import other` fails in the untrimmed image too: OSError: libmagic.so.1: cannot open shared object file: No such \
         file or directory; `libmagic.so.1` is not in the image: add it with `--with libmagic1t64`\n",
    ] {
        assert!(said.contains(words), "{words} in:\n{said}");
    }
    assert!(!said.contains("ValueError"), "{said}");
    let with = own.summary(&["build", "tool", "--with", "libudev1", "--with", "libmagic1t64"]);
    assert!(with.contains("the import of 3 modules,") && !with.contains("note:"), "{with}");
}

fn pip_installs_at_run_time_and_a_check_without_venv_names_its_package() {
    let own = Own::new(&[tool(FINE)]);
    let wheels = own.home().join("wheels");
    fs_err::create_dir(&wheels).unwrap();
    let later = WheelBuilder::new("later", "1.0").file("later.py", "");
    fs_err::write(wheels.join(later.file_name()), later.build()).unwrap();
    let install = "python3 -m pip install --quiet --user --no-index --find-links /srv later";
    // This build uses PyPI, because the index of this test does not contain pip.
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("lath"));
    command.current_dir(own.home()).env("LATH_CACHE_DIR", lath::cache());
    command.args(["build", "pip", "-o", "dir:root", "--copy", "wheels:/srv", "--env", "PYTHONUSERBASE=/tmp/user"]);
    succeeds(&command.args(["--check", install]).output().unwrap());
    let check =
        "python3 -c \"import subprocess, sys; subprocess.run([sys.executable, '-m', 'venv', '/tmp/v'], check=True)\"";
    let output = own.lath(&["build", "tool", "--check", check, "--env", "TZ=US/Pacific"]);
    let said = String::from_utf8(output.stderr).unwrap();
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("hint: `ensurepip` is not in the image: add it with `--with python3-venv`"), "{said}");
    let warning = "warning: the image has no time zone `US/Pacific`, so programs use UTC in spite of `TZ=US/Pacific`: add it \
                   with `--with tzdata-legacy`";
    assert!(said.contains(warning), "{said}");
}
