//! Tests of the level `trace`.

use super::*;

/// Returns an image with a program that computes names of modules and reads data.
fn with_plugins() -> Given {
    Given::new().base("stdlib", &[("/usr/lib/python3.13/os.py", b"x")]).asked("tool").wheel(
        "tool",
        &[
            ("/opt/app/lib/python3.13/site-packages/tool/__init__.py", b"'tool'"),
            (
                "/opt/app/lib/python3.13/site-packages/tool/cli.py",
                b"import importlib, sys\nimportlib.import_module('tool.plugins.' + sys.argv[1])\nopen('named.json')",
            ),
            ("/opt/app/lib/python3.13/site-packages/tool/plugins/__init__.py", b"''"),
            ("/opt/app/lib/python3.13/site-packages/tool/plugins/used.py", b"def f(): from . import later"),
            ("/opt/app/lib/python3.13/site-packages/tool/plugins/later.py", b"'later'"),
            ("/opt/app/lib/python3.13/site-packages/tool/plugins/unused.py", b"'unused'"),
            ("/opt/app/lib/python3.13/site-packages/tool/one.txt", b"1"),
            ("/opt/app/lib/python3.13/site-packages/tool/two.txt", b"2"),
            ("/opt/app/lib/python3.13/site-packages/tool/three.bin", b"3"),
            ("/opt/app/lib/python3.13/site-packages/tool/named.json", b"{}"),
            ("/opt/app/lib/python3.13/site-packages/tool/data/a/x.dat", b"x"),
            ("/opt/app/lib/python3.13/site-packages/tool/data/y.dat", b"y"),
            ("/opt/app/lib/python3.13/site-packages/tool-1.dist-info/METADATA", b"Name: tool"),
            ("/opt/app/share/tool/a/z", b"z"),
        ],
    ).with_script("tool.cli")
}

const OF_TOOL: &str = "/opt/app/lib/python3.13/site-packages/tool";

#[test]
fn trace_keeps_modules_that_were_used_and_those_to_which_import_statements_lead() {
    assert_eq!(gone(&with_plugins().slim(TrimLevel::Reach, &[])), [""; 0]);
    let slim = with_plugins().traced(&format!("open {OF_TOOL}/plugins/used.py\nlist {OF_TOOL}/plugins\n"));
    assert_eq!(slim.notes, [""; 0]);
    let unused = [
        "x.dat untraced-data",
        "y.dat untraced-data",
        "one.txt untraced-data",
        "unused.py untraced-modules",
        "three.bin untraced-data",
        "two.txt untraced-data",
        "z untraced-data",
    ];
    assert_eq!(gone(&slim), unused);
}

#[test]
fn trace_keeps_data_that_belongs_to_data_that_was_used() {
    let of = |record: &str| {
        let slim = with_plugins().traced(&record.replace("TOOL", OF_TOOL));
        let data: Vec<String> = gone(&slim).into_iter().filter(|line| line.ends_with("untraced-data")).collect();
        data.iter().map(|line| line.trim_end_matches(" untraced-data").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of("stat TOOL/one.txt\n"), ["x.dat", "y.dat", "three.bin", "z"]);
    assert_eq!(of("open TOOL/data/a/x.dat\n"), ["one.txt", "three.bin", "two.txt", "z"]);
    assert_eq!(of("list TOOL/data/a\n"), ["one.txt", "three.bin", "two.txt", "z"]);
    // Each import lists the folder of its package.
    assert_eq!(of("list TOOL\nlist /opt/app/share\n").len(), 6);
    assert_eq!(of("list /opt/app/share/tool\n").len(), 5);
    let kept = with_plugins().keep("**/*.dat").traced("");
    assert!(gone(&kept).iter().all(|line| !line.contains(".dat")), "{:?}", gone(&kept));
}

#[test]
fn trace_removes_no_more_than_reach_from_an_image_that_runs_code_of_its_users() {
    let cli: &[u8] = b"import runpy, sys; runpy.run_path(sys.argv[1])";
    let slim = with_plugins().wheel("tool", &[(&format!("{OF_TOOL}/cli.py"), cli)]).traced("");
    assert_eq!(
        slim.notes,
        [
            "`--trim reach` keeps all modules: the module `tool.cli` runs code that it is given",
            "`--trim trace` removes no more than `reach`: the module `tool.cli` runs code that it is given",
        ]
    );
    assert_eq!(gone(&slim), [""; 0]);
}
