//! Hostile and broken wheels.

use testkit::PyPi;

use super::{assert_refused, with_wheel};
use crate::world::{World, archive, tool};

#[test]
fn a_hostile_wheel_is_refused_by_its_file() {
    let hostile = [
        (tool().raw_entry("../../etc/passwd", "x"), "`../../etc/passwd` leads outside the wheel"),
        (tool().raw_entry("/etc/passwd", "x"), "`/etc/passwd` leads outside the wheel"),
        (tool().link("tool/link", "/etc"), "`tool/link` is a symbolic link"),
        (tool().without_record(), "`tool-1.0.dist-info/RECORD` is missing"),
        (tool().raw_entry("tool/.wh.__init__.py", "x"), "names that begin with `.wh.` remove other files"),
        (tool().file("twice.py", "a").data("purelib", "twice.py", "b"), "cannot use `twice.py`: it is there twice"),
        (tool().script("..", "tool:main"), "no script can be named `..`, as its entry_points.txt has it"),
        (tool().script("", "tool:main"), "no script can be named ``"),
        (tool().script(&"x".repeat(256), "tool:main"), "no script can be named `xxxx"),
        (tool().file(&format!("tool/{}.py", "x".repeat(253)), ""), "Linux takes names of at most 255 bytes"),
        (tool().data("scripts", &"x".repeat(256), ""), "Linux takes names of at most 255 bytes"),
        (tool().file("zeros", vec![0; 80 << 20]), "as only a zip bomb does"),
    ];
    for (wheel, words) in hostile {
        assert_refused(
            &with_wheel(&wheel),
            "tool",
            &["cannot unpack `tool-1.0-py3-none-any.whl`", words, "\n\nhint: "],
        );
    }
}

#[test]
fn a_file_below_another_wheels_file_is_refused_by_both() {
    let other = testkit::WheelBuilder::new("other", "1").file("tool/__init__.py/below.py", "x");
    let world = World::new(archive(), PyPi::new().built(&tool()).built(&other));
    assert_refused(&world, "tool other", &["tool/__init__.py/below.py", "is no directory there"]);
}

#[test]
fn what_is_no_wheel_is_refused_by_its_name() {
    let name = tool().file_name();
    let world = World::new(archive(), PyPi::new().wheel(&name, b"not a zip at all"));
    assert_refused(&world, "tool", &["tool"]);
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
    assert!(output.status.success() && said.contains("of wheel tool took the place of its own file there"), "{said}");
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
