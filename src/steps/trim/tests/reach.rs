//! Tests of the level `reach`.

use super::*;

/// Returns an image with a program that imports a part of another distribution.
fn with_program() -> Given {
    let mut given = Given::new()
        .base("stdlib", &[("/usr/lib/python3.13/os.py", b"x"), ("/usr/lib/python3.13/json/tool.py", b"y")])
        .asked("tool")
        .wheel(
            "tool",
            &[
                ("/opt/app/lib/python3.13/site-packages/tool/__init__.py", b"'tool'"),
                ("/opt/app/lib/python3.13/site-packages/tool/cli.py", b"from helper import used"),
                ("/opt/app/lib/python3.13/site-packages/tool/cli.pyi", b"..."),
                ("/opt/app/lib/python3.13/site-packages/tool/data.txt", b"data"),
                ("/opt/app/lib/python3.13/site-packages/tool/tests/test_a.py", b"import tool"),
                ("/opt/app/lib/python3.13/site-packages/tool/tests/a.json", b"{}"),
            ],
        )
        .wheel(
            "helper",
            &[
                ("/opt/app/lib/python3.13/site-packages/helper/__init__.py", b"'helper'"),
                ("/opt/app/lib/python3.13/site-packages/helper/used.py", b"'used'"),
                ("/opt/app/lib/python3.13/site-packages/helper/other.py", b"import json.tool"),
                ("/opt/app/lib/python3.13/site-packages/helper/fast.hpp", b"int x;"),
                ("/opt/app/lib/python3.13/site-packages/helper/libfast.so", b""),
                ("/opt/app/bin/helper", b"#!"),
            ],
        );
    let script = |name: &str, module: &str, is_requested| InstalledScript {
        name: name.to_owned(),
        distribution: name.to_owned(),
        module: Some(module.to_owned()),
        attribute: Some("main".to_owned()),
        is_requested,
    };
    given.assembly.scripts = vec![script("helper", "helper.other", false), script("tool", "tool.cli", true)];
    given.assembly.programs = vec![Program { name: "tool".to_owned(), ..Program::default() }];
    given
}

#[test]
fn a_module_that_a_check_needs_stays_with_its_imports() {
    let path = ImagePath::parse("/opt/app/lib/python3.13/site-packages/helper/other.py").unwrap();
    let given = Given { put_back: [path.clone()].into(), ..with_program() };
    let slim = given.slim(TrimLevel::Reach, &[]);
    assert_eq!(slim.tree.nodes[&path].kept, Some(Kept::PutBack));
    assert_eq!(
        gone(&slim),
        ["fast.hpp extension-sources", "cli.pyi type-stubs", "a.json test-suites", "test_a.py test-suites"]
    );
    let data = ImagePath::parse("/opt/app/lib/python3.13/site-packages/tool/tests/a.json").unwrap();
    let given = Given { put_back: [data.clone()].into(), ..with_program() };
    assert!(given.slim(TrimLevel::Reach, &[]).tree.nodes.contains_key(&data));
}

#[test]
fn reach_removes_modules_that_no_program_can_import() {
    let given = with_program();
    assert!(given.trim().removed.is_empty());
    let slim = given.slim(TrimLevel::Reach, &[]);
    assert_eq!(slim.notes, [""; 0]);
    assert_eq!(
        gone(&slim),
        [
            "helper unreached-modules",
            "fast.hpp extension-sources",
            "other.py unreached-modules",
            "cli.pyi type-stubs",
            "a.json test-suites",
            "test_a.py test-suites",
            "json emptied-directories",
            "tool.py unreached-modules",
        ]
    );
    let kept = given.slim(TrimLevel::Reach, &["helper"]);
    assert!(
        gone(&kept).iter().all(|line| !line.starts_with("other.py") && !line.starts_with("tool.py")),
        "{:?}",
        gone(&kept)
    );
}

#[test]
fn an_image_that_runs_code_of_its_users_keeps_all_modules() {
    let cli: &[u8] = b"import runpy, sys; runpy.run_path(sys.argv[1])";
    let path = "/opt/app/lib/python3.13/site-packages/tool/cli.py";
    let slim = with_program().wheel("tool", &[(path, cli)]).slim(TrimLevel::Reach, &[]);
    assert_eq!(slim.notes, ["`--trim reach` keeps all modules: the module `tool.cli` runs code that it is given"]);
    assert_eq!(gone(&slim), ["fast.hpp extension-sources", "cli.pyi type-stubs"]);
    let mut known = with_program();
    known.assembly.programs.push(Program { name: "pytest".to_owned(), ..Program::default() });
    let host = known.wheel("pytest", &[("/opt/app/lib/python3.13/site-packages/pytest.py", b"'pytest'")]);
    let notes = host.slim(TrimLevel::Reach, &[]).notes;
    assert_eq!(notes, ["`--trim reach` keeps all modules: `pytest` runs code of its users"]);
    let mut library = with_program();
    library.assembly.scripts.clear();
    let notes = library.slim(TrimLevel::Reach, &[]).notes;
    assert_eq!(notes, ["`--trim reach` keeps all modules: Python runs code of its users"]);
}

/// Returns the path and the lines of the module that contains the names of removed modules.
fn tombstones(given: &Given, slim: &Slim) -> Option<(String, Vec<String>)> {
    let node = slim.tree.nodes.iter().find(|(_, node)| node.kept == Some(Kept::RemovedNames));
    let (path, node) = node?;
    assert_eq!(node.origin, Origin::Lath);
    let text = String::from_utf8(given.store.read(node.digest().unwrap()).unwrap()).unwrap();
    let lines = text.lines().skip_while(|line| !line.starts_with("REMOVED")).skip(1);
    Some((path.to_string(), lines.take_while(|line| *line != "\"\"\"").map(str::to_owned).collect()))
}

#[test]
fn removed_modules_are_named_by_the_highest_package_that_is_gone() {
    let site = SITE;
    let given = with_program()
        .base("stdlib", &[("/usr/lib/python3.13/test/__init__.py", b""), ("/usr/lib/python3.13/test/a/b.py", b"")])
        .wheel(
            "helper",
            &[(&format!("{site}/space/one/two.py"), b"''"), (&format!("{site}/helper/not-a-name.py"), b"")],
        );
    assert_eq!(tombstones(&given, &given.slim(TrimLevel::Standard, &[])), None);
    let (path, lines) = tombstones(&given, &given.slim(TrimLevel::Reach, &[])).unwrap();
    assert_eq!(path, format!("{site}/sitecustomize.py"));
    assert_eq!(
        lines,
        [
            "helper.other unreached-modules --keep-module helper.other",
            "json unreached-modules --keep-module json",
            "space unreached-modules --keep-module space",
            "test stdlib-tests --keep /usr/lib/python3.13/test/**",
            "tool.tests test-suites --keep-module tool.tests",
        ]
    );
}

#[test]
fn the_names_of_removed_modules_replace_debians_hook_and_no_other_file() {
    let path = "/usr/lib/python3.13/sitecustomize.py";
    let debian = |text: &[u8]| {
        let given = with_program().base("stdlib", &[("/etc/python3.13/sitecustomize.py", text)]);
        given.link(path, "/etc/python3.13/sitecustomize.py", "stdlib")
    };
    let hook = debian(b"try:\n    import apport_python_hook\nexcept ImportError: pass");
    let slim = hook.slim(TrimLevel::Reach, &[]);
    assert_eq!(tombstones(&hook, &slim).unwrap().0, path);
    assert_eq!(slim.tree.removed[&ImagePath::parse("/etc/python3.13").unwrap()].reason, Removed::EmptiedDirectories);
    let none = |given: Given| assert_eq!(tombstones(&given, &given.slim(TrimLevel::Reach, &[])), None);
    none(debian(b"import other"));
    none(hook.keep("/etc/python3.13/*"));
    let apport: &[u8] = b"def install(): pass";
    none(debian(b"import apport_python_hook").deb(
        "apport",
        named("apport"),
        &[("/usr/lib/python3/dist-packages/apport_python_hook.py", apport)],
    ));
    none(with_program().wheel("own", &[("/opt/app/lib/python3.13/site-packages/sitecustomize.py", b"x = 1")]));
}

/// Returns the names of the files that `reach` removes if `helper` has these files, too.
fn gone_with(files: &[(&str, &[u8])]) -> Vec<String> {
    let files: Vec<(String, &[u8])> = files.iter().map(|(path, bytes)| (format!("{SITE}/{path}"), *bytes)).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path.as_str(), *bytes)).collect();
    let slim = with_program().wheel("helper", &files).slim(TrimLevel::Reach, &[]);
    assert_eq!(slim.notes, [""; 0]);
    gone(&slim)
}

fn names_no(gone: &[String], name: &str) -> bool {
    gone.iter().all(|line| !line.starts_with(name))
}

#[test]
fn files_for_developers_go_unless_a_python_file_names_them() {
    let files: [(&str, &[u8]); 7] = [
        ("helper/fast.h", b"int x;"),
        ("helper/static/a.js", b"a"),
        ("helper/static/a.js.map", b"{}"),
        ("helper/static/b.map", b"{}"),
        ("helper/types.pyi", b"x: int"),
        ("helper-1.dist-info/METADATA", b"Name: helper"),
        ("helper-1.dist-info/sboms/helper.cdx.json", b"{}"),
    ];
    let gone = gone_with(&files);
    for line in [
        "fast.h extension-sources",
        "a.js.map source-maps",
        "types.pyi type-stubs",
        "helper.cdx.json bills-of-materials",
    ] {
        assert!(gone.iter().any(|gone| gone == line), "{line}: {gone:?}");
    }
    for name in ["a.js ", "b.map", "METADATA"] {
        assert!(names_no(&gone, name), "{name}: {gone:?}");
    }
    // A distribution without compiled code may have headers as its data.
    let firmware = with_program().wheel("firmware", &[("/opt/app/lib/python3.13/site-packages/pins.h", b"int x;")]);
    assert!(names_no(&self::gone(&firmware.slim(TrimLevel::Reach, &[])), "pins.h "));
    let named: (&str, &[u8]) = ("helper/used.py", b"CODE = open(HERE + '/fast.h')");
    let gone = gone_with(&[files.as_slice(), &[named]].concat());
    assert!(names_no(&gone, "fast.h ") && !names_no(&gone, "fast.hpp"), "{gone:?}");
    let mut compiling = with_program().asked("torch");
    compiling.lock.wheels[1].is_requested = false;
    assert!(names_no(&self::gone(&compiling.slim(TrimLevel::Reach, &[])), "fast.hpp"));
}

#[test]
fn a_source_goes_only_if_its_extension_module_is_beside_it() {
    let gone = gone_with(&[
        ("helper/made.c", b"int x;"),
        ("helper/made.cpython-313-x86_64-linux-gnu.so", b""),
        ("helper/template.c", b"int x;"),
    ]);
    assert!(!names_no(&gone, "made.c ") && names_no(&gone, "template.c"), "{gone:?}");
}

#[test]
fn python_files_that_are_data_stay_if_the_image_uses_the_distribution() {
    let site = "/opt/app/lib/python3.13/site-packages";
    let stay = ["tool/lists/words.py", "tool/templates/0-rest/tests/test_app.py", "tool/templates/0-rest/app.py"];
    let go = ["tool/b/__init__.py", "tool/b/c.py", "unused/__init__.py", "unused/lists/words.py"];
    let paths: Vec<(String, &str)> =
        stay.iter().chain(&go).map(|file| (format!("{site}/{file}"), file.split('/').next().unwrap())).collect();
    let files = |name: &str| -> Vec<(&str, &[u8])> {
        let of_name = paths.iter().filter(|(_, of)| *of == name);
        of_name.map(|(path, _)| (path.as_str(), &b"import helper.other"[..])).collect()
    };
    let given = with_program().wheel("tool", &files("tool")).wheel("unused", &files("unused"));
    let slim = given.slim(TrimLevel::Reach, &[]);
    let kept = |file: &&&str| slim.tree.nodes.keys().any(|kept| kept.as_str() == format!("{site}/{file}"));
    assert_eq!(stay.iter().chain(&go).filter(kept).copied().collect::<Vec<_>>(), stay);
}

#[test]
fn a_script_that_is_a_file_of_its_wheel_keeps_what_it_imports() {
    let given = |text: &[u8], is_requested| {
        let mut given = with_program().wheel("tool", &[("/opt/app/bin/old.py", text)]);
        given.assembly.scripts.push(InstalledScript {
            name: "old.py".to_owned(),
            distribution: "tool".to_owned(),
            module: None,
            attribute: None,
            is_requested,
        });
        gone(&given.slim(TrimLevel::Reach, &[]))
    };
    let python = b"#!/usr/bin/python3\nimport helper.other\n";
    for name in ["other.py", "tool.py", "old.py"] {
        assert!(names_no(&given(python, true), name), "{name}");
    }
    let unexposed = given(python, false);
    assert!(!names_no(&unexposed, "other.py") && !names_no(&unexposed, "old.py"), "{unexposed:?}");
    assert!(!names_no(&given(b"\x7fELF", true), "other.py"));
}

#[test]
fn a_script_whose_entry_point_names_the_file_of_a_package_stays() {
    let mut given = with_program();
    given.assembly.scripts[1].module = Some("tool.__init__".to_owned());
    assert!(names_no(&gone(&given.slim(TrimLevel::Reach, &[])), "tool "));
}

#[test]
fn a_file_that_python_cannot_compile_keeps_its_distribution() {
    let python_2: &[u8] = b"print 'x'";
    let deep = format!("import x\n{}", "(".repeat(100_000));
    for bytes in [python_2, b"import x\ndef f(:", b"\xff\xfe\0\x01", deep.as_bytes()] {
        let gone = gone_with(&[("helper/used.py", bytes)]);
        assert!(names_no(&gone, "other.py") && names_no(&gone, "tool.py"), "{gone:?}");
    }
    assert!(!names_no(&gone_with(&[("helper/used.py", b"del __file__")]), "other.py"));
}

#[test]
fn a_generated_module_of_10_mb_is_read() {
    let table = format!("DATA = '''{}'''\nimport json.tool\n", "0123456789abcdef\n".repeat(600_000));
    let gone = gone_with(&[("helper/used.py", table.as_bytes())]);
    assert!(names_no(&gone, "tool.py") && !names_no(&gone, "other.py"), "{gone:?}");
}

#[test]
fn bytecode_without_its_source_keeps_its_distribution() {
    let bytecode: (&str, &[u8]) = ("helper/old.pyc", b"\xcb\r\xda\x09json.tool\xe3");
    let used: (&str, &[u8]) = ("helper/used.py", b"from . import old");
    let gone = gone_with(&[bytecode, used]);
    assert!(names_no(&gone, "other.py") && names_no(&gone, "tool.py"), "{gone:?}");
    assert!(!names_no(&gone_with(&[bytecode]), "old.pyc"), "nothing imports the file");
}

#[test]
fn all_modules_stay_that_a_pth_file_adds() {
    let with_pth = |line: &str| {
        let lines = format!("# comment\nimport sys\n{line}\n/missing\n");
        with_program()
            .wheel("helper", &[(&format!("{SITE}/helper.pth"), lines.as_bytes())])
            .wheel("helper", &[(&format!("{SITE}/added/more.py"), b"import json.tool")])
            .wheel("helper", &[(&format!("{SITE}/code.zip"), b"PK")])
    };
    for line in ["added", "./added", &format!("{SITE}/added")] {
        let gone = gone(&with_pth(line).slim(TrimLevel::Reach, &[]));
        assert!(names_no(&gone, "more.py") && names_no(&gone, "tool.py"), "{line}: {gone:?}");
        assert!(!names_no(&gone, "other.py"), "{line}: {gone:?}");
    }
    assert!(!names_no(&gone(&with_pth("missing").slim(TrimLevel::Reach, &[])), "more.py"));
    let archive = with_pth("code.zip").slim(TrimLevel::Reach, &[]);
    assert_eq!(
        archive.notes,
        [format!("`--trim reach` keeps all modules: `{SITE}/code.zip` is an archive with modules")]
    );
    assert!(names_no(&gone(&archive), "other.py"));
}

#[test]
fn with_only_scripts_the_modules_of_other_scripts_go() {
    let mut given = with_program()
        .wheel("tool", &[(&format!("{SITE}/tool/__main__.py"), b"'main'")])
        .wheel("tool", &[(&format!("{SITE}/tool/admin.py"), b"import json.tool"), ("/opt/app/bin/tool-admin", b"#!")]);
    given.assembly.scripts.push(InstalledScript {
        name: "tool-admin".to_owned(),
        distribution: "tool".to_owned(),
        module: Some("tool.admin".to_owned()),
        attribute: Some("main".to_owned()),
        is_requested: true,
    });
    let gone = |given: &Given| self::gone(&given.slim(TrimLevel::Reach, &[]));
    assert!(names_no(&gone(&given), "admin.py") && names_no(&gone(&given), "tool-admin"));
    given.only_scripts = Some(vec!["tool".to_owned()]);
    for name in ["admin.py", "tool-admin", "__main__.py", "tool.py"] {
        assert!(!names_no(&gone(&given), name), "{name}: {:?}", gone(&given));
    }
    assert!(names_no(&gone(&given), "cli.py "));
    // If `-c` names no script, all scripts stay.
    given.only_scripts = Some(Vec::new());
    assert!(names_no(&gone(&given), "admin.py"));
}

#[test]
fn an_option_that_keeps_nothing_is_a_warning() {
    let given = with_program().keep("/nowhere/*").keep("/opt/app/bin/*");
    let warnings = |keep_modules: &[&str]| given.slim(TrimLevel::Reach, keep_modules).warnings;
    let pattern = "`--keep /nowhere/*` matches no path of the image";
    assert_eq!(warnings(&["helper", "json.tool", "json"]), [pattern]);
    assert_eq!(
        warnings(&["helpe", "json."]),
        [
            pattern,
            "`--keep-module helpe` is not a module of the image",
            "`--keep-module json.` is not a module of the image"
        ]
    );
}

#[test]
fn programs_that_are_no_modules_keep_all_that_they_import() {
    let stays = |given: &Given| {
        let slim = given.slim(TrimLevel::Reach, &[]);
        assert_eq!(slim.notes, [""; 0]);
        ["json/tool.py", "helper/other.py", "bin/old.py", "bin/unused.py"]
            .map(|end| slim.tree.nodes.keys().any(|path| path.as_str().ends_with(end)))
    };
    let mut given = with_program();
    assert_eq!(stays(&given), [false; 4]);
    // Returns a script that a wheel contains as a file. `is_requested` is whether the wheel is requested.
    let script = |name: &str, is_requested| InstalledScript {
        name: name.to_owned(),
        distribution: "tool".to_owned(),
        module: None,
        attribute: None,
        is_requested,
    };
    given.assembly.scripts.extend([script("old.py", true), script("unused.py", false)]);
    let given = given.wheel(
        "tool",
        &[
            ("/opt/app/bin/old.py", b"#!/usr/bin/python3\nimport json.tool"),
            ("/opt/app/bin/unused.py", b"import helper.other"),
        ],
    );
    assert_eq!(stays(&given), [true, false, true, false]);
    // The module stays if a file that is reached names it.
    let naming =
        given.wheel("tool", &[("/opt/app/lib/python3.13/site-packages/tool/__init__.py", b"run('unused.py')")]);
    assert_eq!(stays(&naming), [true; 4]);
    // The files of the user.
    let own = with_program().files(&Origin::User, &[("/srv/main.py", b"def f():\n    from helper import other")]);
    assert_eq!(stays(&own), [true, true, false, false]);
}

#[test]
fn the_distributions_that_an_extra_of_a_library_requires_keep_their_modules() {
    let metadata: &[u8] =
        b"Name: tool\nRequires-Dist: Helper>=1 ; extra == 'fast'\nRequires-Dist: other\n\nRequires-Dist: x; extra";
    let with = |has_script: bool| {
        let mut given = with_program().wheel("tool", &[(&format!("{SITE}/tool-1.dist-info/METADATA"), metadata)]);
        given.assembly.scripts.retain(|script| has_script && script.distribution == "tool");
        gone(&given.slim(TrimLevel::Reach, &[]))
    };
    assert!(names_no(&with(false), "other.py"), "{:?}", with(false));
    assert!(!names_no(&with(true), "other.py"), "a program does not give its users other modules");
}
