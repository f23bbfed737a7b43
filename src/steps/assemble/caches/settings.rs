//! `gschemas.compiled`: the file with the defaults of all settings. If this file is missing, GLib ends every program
//! that reads a setting. Packages contain only the sources of this file: schemas. On an ordinary system, a trigger of
//! libglib2.0-0 runs `glib-compile-schemas`, which makes the file.

use super::files;
use crate::formats::gsettings::{self, LeftOut, Sources};
use crate::model::tree::Tree;
use crate::outside::store::Store;
use crate::steps::assemble::{AssembleError, write_bytes};

const DIRECTORY: &str = "/usr/share/glib-2.0/schemas";
/// The maximum number of left-out parts in the note.
const NAMED: usize = 3;
const MAX_CHARACTERS: usize = 160;

/// Writes the file if the tree contains schemas. If the base image already has the file, it is written again, because
/// it lacks the schemas of added packages. Returns a note about the parts of the schemas that were left out.
pub(in crate::steps::assemble) fn write(tree: &mut Tree, store: &Store) -> Result<Option<String>, AssembleError> {
    let paths = files(tree, DIRECTORY, gsettings::is_source);
    if !paths.iter().any(|path| gsettings::is_xml(path.file_name())) {
        return Ok(None);
    }
    let mut sources = Sources::default();
    for path in paths {
        let Some((_, node)) = tree.find(path.as_str()) else { continue };
        if let Some(digest) = node.digest() {
            sources.add(path.file_name(), node.size_bytes(), || store.read(digest))?;
        }
    }
    match gsettings::compile(sources) {
        Ok(compiled) => {
            write_bytes(tree, &format!("{DIRECTORY}/gschemas.compiled"), &compiled.bytes, 0o644, store)?;
            Ok(note(&compiled.left_out))
        }
        Err(fault) => Ok(Some(format!(
            "the settings in {DIRECTORY} are not compiled: {fault}. Programs that read settings end with an error"
        ))),
    }
}

fn note(left_out: &[LeftOut]) -> Option<String> {
    let shown: Vec<String> = left_out.iter().take(NAMED).map(shown).collect();
    let more = match left_out.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    (!shown.is_empty()).then(|| {
        format!("settings with faults are left out, like in `glib-compile-schemas`: {}{more}", shown.join("; "))
    })
}

/// Returns the place of a left-out part and its fault, on one short line.
fn shown(part: &LeftOut) -> String {
    let text = format!("{}: {}", part.place, part.fault);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_CHARACTERS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::image_path::ImagePath;
    use crate::model::tree::{Node, Origin};
    use crate::outside::store::tests::store;
    use crate::steps::assemble::write_text;

    const COMPILED: &str = "/usr/share/glib-2.0/schemas/gschemas.compiled";

    fn schema(id: &str, default: &str) -> String {
        format!(
            "<schemalist><schema id='{id}'><key name='k' type='i'><default>{default}</default></key></schema></schemalist>"
        )
    }

    fn compiled(tree: &Tree, store: &Store) -> String {
        let (_, node) = tree.find(COMPILED).unwrap();
        assert_eq!((node.mode, &node.origin), (0o644, &Origin::Lath));
        String::from_utf8_lossy(&store.read(node.digest().unwrap()).unwrap()).into_owned()
    }

    #[test]
    fn the_settings_of_all_packages_are_compiled() {
        let (_home, store) = store();
        let mut tree = Tree::default();
        assert_eq!(write(&mut tree, &store).unwrap(), None);
        assert!(tree.nodes.is_empty());
        let path = |name: &str| format!("{DIRECTORY}/{name}");
        write_text(&mut tree, &path("b.gschema.override"), "[org.a]\nk=7\n", &store).unwrap();
        assert_eq!(write(&mut tree, &store).unwrap(), None);
        assert!(tree.find(COMPILED).is_none(), "there is no schema");
        write_text(&mut tree, &path("org.a.gschema.xml"), &schema("org.a", "1"), &store).unwrap();
        write_text(&mut tree, "/usr/share/x/org.c.gschema.xml", &schema("org.c", "1"), &store).unwrap();
        let link = Node::link("/usr/share/x/org.c.gschema.xml", Origin::Lath);
        tree.insert(ImagePath::parse(&path("org.c.gschema.xml")).unwrap(), link);
        assert_eq!(write(&mut tree, &store).unwrap(), None);
        let first = compiled(&tree, &store);
        assert!(first.contains("org.a") && first.contains("\x07\0\0\0\0(i)") && first.contains("org.c"));
        // A file that exists is written again.
        write_text(&mut tree, &path("org.b.gschema.xml"), &schema("org.b", "2"), &store).unwrap();
        assert_eq!(write(&mut tree, &store).unwrap(), None);
        assert!(compiled(&tree, &store).contains("org.b"));
    }

    /// The store does not have the file, so reading it would be an error.
    #[test]
    fn a_file_that_is_too_large_is_not_read() {
        let (_home, store) = store();
        let mut tree = Tree::default();
        write_text(&mut tree, &format!("{DIRECTORY}/a.gschema.xml"), &schema("org.a", "1"), &store).unwrap();
        let large = Node::file(Digest::of(b"not in the store"), 1024 * 1024 + 1, 0o644, Origin::Lath);
        tree.insert(ImagePath::parse("/usr/share/x/large").unwrap(), large);
        for (name, target) in [("b.gschema.xml", "/usr/share/x/large"), ("c.gschema.xml", "/usr/share/x/none")] {
            let path = ImagePath::parse(&format!("{DIRECTORY}/{name}")).unwrap();
            tree.insert(path, Node::link(target, Origin::Lath));
        }
        let note = write(&mut tree, &store).unwrap().unwrap();
        insta::assert_snapshot!(note, @"settings with faults are left out, like in `glib-compile-schemas`: b.gschema.xml: it has more than 1048576 bytes");
        assert!(compiled(&tree, &store).contains("org.a"));
    }

    #[test]
    fn faults_are_reported_on_one_line() {
        let (_home, store) = store();
        let mut tree = Tree::default();
        for number in 0..5 {
            let (path, long) = (format!("{DIRECTORY}/org.{number}.gschema.xml"), format!("'{}'", "a\n".repeat(99)));
            let default = if number == 1 { &long } else { "'x'" };
            write_text(&mut tree, &path, &schema("org.a", default), &store).unwrap();
        }
        let note = write(&mut tree, &store).unwrap().unwrap();
        insta::assert_snapshot!(note, @"settings with faults are left out, like in `glib-compile-schemas`: org.0.gschema.xml, line 1: `'x'` is not a value of the type `i`; org.1.gschema.xml, line 100: `'a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a...; org.2.gschema.xml, line 1: `'x'` is not a value of the type `i`; and 2 more");
        assert!(tree.find(COMPILED).is_some());
    }
}
