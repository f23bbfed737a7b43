//! Malicious and broken wheels.

use testkit::PyPi;

use super::{causes, refused, unwrapped, with_wheel};
use crate::world::{World, archive, tool};

#[test]
fn a_hostile_wheel_is_refused_by_its_file() {
    let hostile = [
        tool().raw_entry("../../etc/passwd", "x"),
        tool().raw_entry("/etc/passwd", "x"),
        tool().link("tool/link", "/etc"),
        tool().without_record(),
        tool().raw_entry("tool/.wh.__init__.py", "x"),
        tool().file("twice.py", "a").data("purelib", "twice.py", "b"),
        tool().script("..", "tool:main"),
        tool().script("", "tool:main"),
        tool().script(&"x".repeat(256), "tool:main"),
        tool().file(&format!("tool/{}.py", "x".repeat(253)), ""),
        tool().data("scripts", &"x".repeat(256), ""),
        tool().file("zeros", vec![0; 80 << 20]),
    ];
    let errors = hostile.map(|wheel| {
        let error = refused(&with_wheel(&wheel), "tool");
        let start = "error: cannot unpack `tool-1.0-py3-none-any.whl`\n";
        assert!(error.starts_with(start) && error.contains("\n\nhint: "), "{error}");
        causes(&error)
    });
    insta::assert_snapshot!(errors.join("\n"), @"
    cause: cannot use the wheel: `../../etc/passwd` leads outside the wheel
    cause: cannot use the wheel: `/etc/passwd` leads outside the wheel
    cause: cannot use the wheel: `tool/link` is a symbolic link
    cause: cannot use the wheel: `tool-1.0.dist-info/RECORD` is missing
    cause: cannot use the path `tool/.wh.__init__.py`: in a layer, names that begin with `.wh.` remove other files
    cause: cannot use `twice.py`: the path occurs twice
    cause: cannot use the wheel: its entry_points.txt contains a script named `..`, which cannot be the name of a file
    cause: cannot use the wheel: its entry_points.txt contains a script named ``, which cannot be the name of a file
    cause: cannot use the wheel: its entry_points.txt contains a script named `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`, which cannot be the name of a file
    cause: cannot use the path `tool/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…`: Linux allows names of at most 255 bytes and paths of at most 4095 bytes
    cause: cannot use the path `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…`: Linux allows names of at most 255 bytes and paths of at most 4095 bytes
    cause: cannot use the wheel: it unpacks to more than 200 times its size, like a zip bomb
    ");
}

#[test]
fn a_file_below_another_wheels_file_is_refused_by_both() {
    let other = testkit::WheelBuilder::new("other", "1").file("tool/__init__.py/below.py", "x");
    let world = World::new(archive(), PyPi::new().built(&tool()).built(&other));
    insta::assert_snapshot!(refused(&world, "tool other"), @"
    error: cannot put `/opt/app/lib/python3.13/site-packages/tool/__init__.py/below.py` of wheel other into the image: `/opt/app/lib/python3.13/site-packages/tool/__init__.py` is not a directory there
    ");
}

#[test]
fn what_is_no_wheel_is_refused_by_its_name() {
    let name = tool().file_name();
    let world = World::new(archive(), PyPi::new().wheel(&name, b"not a zip at all"));
    insta::assert_snapshot!(unwrapped(&refused(&world, "tool")), @"
    error: cannot resolve `tool` for python 3.13 on linux/amd64
      cause: cannot read the metadata of the wheel
      cause: cannot read `[INDEX]/files/tool-1.0-py3-none-any.whl`: invalid Zip archive: Could not find EOCD
    ");
}

#[test]
fn a_record_that_is_wrong_is_a_note_and_the_image_is_built() {
    let wrong = [
        (
            tool().recorded_as("tool/__init__.py", "other"),
            "has the digest of other contents for a file, `tool/__init__.py`",
        ),
        (tool().record_line("tool/ghost.py,,"), "lists a file that the wheel does not contain, `tool/ghost.py`"),
        (
            tool().file("tool/x.py", "x").without_record_of("tool/x.py"),
            "does not list a file of the wheel, `tool/x.py`",
        ),
    ];
    for (wheel, words) in wrong {
        let output = with_wheel(&wheel).build("tool");
        let shown = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && shown.contains("the RECORD of wheel tool"), "{shown}");
        let unwrapped = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(unwrapped.contains(words), "{words}: {shown}");
    }
}

#[test]
fn a_wheel_that_writes_over_its_own_files_is_reported() {
    let wheel = tool().data("data", "lib/python3.13/site-packages/tool/__init__.py", "other");
    let world = World::new(archive(), PyPi::new().built(&wheel));
    let output = world.build("tool");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    insta::assert_snapshot!(said.lines().find(|line| line.contains("__init__.py")).unwrap(), @"
    hint: `lib/python3.13/site-packages/tool/__init__.py` of wheel tool replaced another file of the same wheel that has the same path and other contents
    ");
}

#[test]
fn the_words_of_a_server_cannot_steer_a_terminal() {
    let world = World::usual();
    let text = "gone\x1b[2J\u{202e}\u{9b}31m\rok";
    world.pypi.server.set("/simple/tool/", testkit::Response::ok(format!("<html>{text}</html>")));
    let outside = tool().raw_entry("../\u{202e}evil\u{9b}.py", "x");
    let is_obeyed = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    for world in [&world, &with_wheel(&outside)] {
        let said = world.refusal("tool");
        assert!(!said.contains(is_obeyed), "{said:?}");
    }
    let unlisted = tool().file("tool/\u{202e}evil\u{9b}.py", "x").without_record_of("tool/\u{202e}evil\u{9b}.py");
    let output = with_wheel(&unlisted).build("tool");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("the RECORD of wheel tool") && !said.contains(is_obeyed),
        "{said:?}"
    );
    let output = world.build("t\u{202e}ool");
    assert!(!String::from_utf8_lossy(&output.stderr).contains('\u{202e}'));
}
