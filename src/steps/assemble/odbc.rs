//! `/etc/odbcinst.ini`: the drivers that packages would register with `odbcinst -i -d -f FILE`.

use super::shell::Command;
use super::{AssembleError, read_text, write_text};
use crate::model::tree::Tree;
use crate::outside::store::Store;

const LIST: &str = "/etc/odbcinst.ini";

/// Returns the file whose drivers a command registers.
pub(super) fn of_command(command: &Command) -> Option<String> {
    let arguments = command.arguments()?;
    let is_registered = command.program() == "odbcinst" && arguments.contains(&"-i") && arguments.contains(&"-d");
    let file = arguments.iter().position(|argument| *argument == "-f").and_then(|at| arguments.get(at + 1))?;
    (is_registered && file.starts_with('/')).then(|| (*file).to_owned())
}

/// Adds the drivers in `files` to the list. If the list already contains a driver with the same name, the driver in the
/// list stays as it is.
pub(super) fn register(tree: &mut Tree, files: &[String], store: &Store) -> Result<(), AssembleError> {
    if files.is_empty() {
        return Ok(());
    }
    let mut text = read_text(tree, LIST, store)?.unwrap_or_default();
    for file in files {
        for (name, values) in sections(&read_text(tree, file, store)?.unwrap_or_default()) {
            let header = format!("[{name}]");
            if text.lines().any(|line| line.trim() == header) {
                continue;
            }
            text.push_str(&format!("{header}\n{values}UsageCount=1\n\n"));
        }
    }
    if text.is_empty() { Ok(()) } else { write_text(tree, LIST, &text, store) }
}

/// Returns the sections of a file with drivers: the name of each section, and its lines `KEY=VALUE`.
fn sections(text: &str) -> Vec<(String, String)> {
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            sections.push((name.to_owned(), String::new()));
        } else if let (Some((key, value)), Some((_, values))) = (line.split_once('='), sections.last_mut())
            && !line.starts_with(['#', ';'])
        {
            values.push_str(&format!("{}={}\n", key.trim(), value.trim()));
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_is_registered_once() {
        let (_home, store) = crate::outside::store::tests::store();
        let mut tree = Tree::default();
        let template =
            "[FreeTDS]\nDescription = TDS driver (Sybase/MS SQL)\n# a comment\nDriver = libtdsodbc.so\nCPTimeout = \n";
        write_text(&mut tree, "/usr/share/tdsodbc/odbcinst.ini", template, &store).unwrap();
        write_text(&mut tree, "/usr/share/x.ini", "[X]\nDriver=x.so\n[FreeTDS]\nDriver=y.so\n", &store).unwrap();
        let files =
            ["/usr/share/tdsodbc/odbcinst.ini", "/usr/share/x.ini", "/usr/share/missing.ini"].map(str::to_owned);
        register(&mut tree, &files, &store).unwrap();
        insta::assert_snapshot!(read_text(&tree, LIST, &store).unwrap().unwrap(), @"
        [FreeTDS]
        Description=TDS driver (Sybase/MS SQL)
        Driver=libtdsodbc.so
        CPTimeout=
        UsageCount=1

        [X]
        Driver=x.so
        UsageCount=1
        ");
    }
}
