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
        (tool().recorded_as("tool/__init__.py", "other"), "the sha256 of `tool/__init__.py`"),
        (tool().record_line("tool/ghost.py,,"), "`tool/ghost.py`"),
        (tool().file("tool/extra.py", "x").without_record_of("tool/extra.py"), "does not list `tool/extra.py`"),
        (tool().without_record(), "`tool-1.0.dist-info/RECORD` is missing"),
        (tool().raw_entry("tool/.wh.__init__.py", "x"), "names that begin with `.wh.` remove other files"),
        (tool().file("twice.py", "a").data("purelib", "twice.py", "b"), "cannot use `twice.py`: it is there twice"),
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
