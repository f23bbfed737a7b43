//! The scripts of `entry_points.txt` (packaging.python.org, "Entry points specification").

use super::WheelError;

/// Returns the scripts of `entry_points.txt`. Refuses names that cannot be the name of a file in an image. For example,
/// in a layer, a file whose name begins with `.wh.` would remove another file.
pub(super) fn scripts(text: &str) -> Result<Vec<(String, String, String)>, WheelError> {
    const MAX_NAME_BYTES: usize = 255;
    let is_name = |name: &str| {
        !matches!(name, "" | "." | "..")
            && name.len() <= MAX_NAME_BYTES
            && !name.starts_with(".wh.")
            && !name.contains(|c: char| matches!(c, '/' | '\\') || c.is_control())
    };
    let scripts = entry_points(text);
    match scripts.iter().find(|(name, ..)| !is_name(name)) {
        Some((name, ..)) => Err(WheelError::Script { name: name.chars().take(64).collect() }),
        None => Ok(scripts),
    }
}

/// A line that is neither empty nor a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line<'a> {
    /// The name of a group: `[name]`.
    Group(&'a str),
    /// Any other line, without spaces at both ends.
    Other(&'a str),
}

/// Returns the lines of `text`. A comment is a line that begins with `#` or `;`, like in Python's `configparser`.
fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    lines.map(|line| match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
        Some(name) => Line::Group(name.trim()),
        None => Line::Other(line),
    })
}

/// Returns the scripts of both groups. Those of console_scripts come first.
fn entry_points(text: &str) -> Vec<(String, String, String)> {
    let mut console = Vec::new();
    let mut gui = Vec::new();
    let mut section = "";
    for line in lines(text) {
        let line = match line {
            Line::Group(name) => {
                section = name;
                continue;
            }
            Line::Other(line) => line,
        };
        let list = match section {
            "console_scripts" => &mut console,
            "gui_scripts" => &mut gui,
            _ => continue,
        };
        let Some((name, target)) = line.split_once('=') else { continue };
        // Extras after the target are allowed but have no effect.
        let target = target.split('[').next().unwrap_or_default();
        if let Some((module, attribute)) = target.split_once(':') {
            list.push((name.trim().to_owned(), module.trim().to_owned(), attribute.trim().to_owned()));
        }
    }
    console.append(&mut gui);
    console
}

/// Returns the module and the group of each entry point.
pub(crate) fn entry_point_groups(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut group = "";
    for line in lines(text) {
        match line {
            Line::Group(name) => group = name,
            Line::Other(line) => {
                let Some((_, target)) = line.split_once('=') else { continue };
                let module = target.split([':', '[']).next().unwrap_or_default().trim();
                found.push((group.to_owned(), module.to_owned()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_modules_of_all_groups_are_read() {
        let text = "[console_scripts]\na = m.n:f\n# c = o:m\n[my.group]\n;b = o\nx = y [extra]\nz= w . v : k\n";
        let found = entry_point_groups(text);
        let found: Vec<(&str, &str)> = found.iter().map(|(group, module)| (&**group, &**module)).collect();
        assert_eq!(found, [("console_scripts", "m.n"), ("my.group", "y"), ("my.group", "w . v")]);
    }

    #[test]
    fn entry_points_are_read_with_extras_dropped() {
        let text = "[console_scripts]\na = m.n:f.g [extra]\n#old = m:f\n ; older = m:f\n[other]\nx = y:z\n[gui_scripts]\ng=m:h\n";
        let expected = [("a", "m.n", "f.g"), ("g", "m", "h")];
        let expected: Vec<_> = expected.iter().map(|(a, b, c)| (a.to_string(), b.to_string(), c.to_string())).collect();
        assert_eq!(entry_points(text), expected);
    }

    #[test]
    fn a_script_has_a_name_that_a_file_can_have() {
        let (whole, long) = ("x".repeat(255), "x".repeat(256));
        for name in ["tool", "tool.py", "..tool", "my tool", &whole] {
            assert!(scripts(&format!("[console_scripts]\n{name} = a:b\n")).is_ok(), "{name}");
        }
        for name in ["", ".", "..", "a/b", "../x", "/x", "a\0b", "a\rb", "a\x1bb", "a\\b", ".wh.a", &long] {
            let error = scripts(&format!("[gui_scripts]\n{name} = a:b\n")).unwrap_err().to_string();
            assert!(
                error.starts_with("cannot use the wheel: its entry_points.txt contains a script named `"),
                "{error}"
            );
        }
    }
}
