//! Writes lists that programs of packages would write at installation.
//!
//! lath runs none of these programs, because some of them load every plugin to create their list. Instead, lath
//! contains the entries of known plugins, and writes the entries of those plugins that are in the tree.

mod mime;
mod settings;

use std::collections::BTreeMap;

pub(super) use self::settings::write as write_settings;
use super::{AssembleError, write_text};
use crate::model::image_path::ImagePath;
use crate::model::platform::Architecture;
use crate::model::tree::Tree;
use crate::outside::store::Store;

/// The sections of `config6a`, as `dot -c` of Graphviz 2.42 writes them. Each section begins with the SONAME of the
/// library.
const GRAPHVIZ_2_PLUGINS: &str = include_str!("graphviz_2_plugins.txt");
/// The sections of `config8`, as `dot -c` of Graphviz 14.1 writes them. They are also used for other versions, with
/// their SONAMEs, because most sections are the same in all versions.
const GRAPHVIZ_14_PLUGINS: &str = include_str!("graphviz_14_plugins.txt");
/// The paragraphs of `loaders.cache`, as `gdk-pixbuf-query-loaders` 2.42 writes them. Each paragraph begins with the
/// name of the library.
const PIXBUF_LOADERS: &str = include_str!("pixbuf_loaders.txt");

/// Writes the lists, and returns the plugins that lath does not know.
pub(super) fn write(
    tree: &mut Tree,
    architecture: Architecture,
    store: &Store,
) -> Result<Vec<ImagePath>, AssembleError> {
    let libraries = format!("/usr/lib/{}", architecture.triplet());
    let mut unknown = write_graphviz(tree, &format!("{libraries}/graphviz"), store)?;
    unknown.extend(write_pixbuf(tree, &format!("{libraries}/gdk-pixbuf-2.0/2.10.0"), store)?);
    for list in ["Fontmap", "cidfmap"] {
        write_font_map(tree, list, store)?;
    }
    mime::write(tree, store)?;
    Ok(unknown)
}

/// Returns a note with the names of the plugins that lath does not know.
pub(super) fn note(unknown: &[ImagePath]) -> Option<String> {
    let names: Vec<&str> = unknown.iter().map(ImagePath::file_name).collect();
    (!names.is_empty())
        .then(|| format!("{}: lath does not know these plugins, so their programs do not use them", names.join(", ")))
}

/// Writes the list from which `dot` reads its layouts and output formats. The name of the list contains the version in
/// the SONAMEs of the plugins.
fn write_graphviz(tree: &mut Tree, directory: &str, store: &Store) -> Result<Vec<ImagePath>, AssembleError> {
    // Accepts `libgvplugin_core.so.6`, but neither `libgvplugin_core.so` nor `libgvplugin_core.so.6.0.0`.
    let plugins = files(tree, directory, |name| {
        version(name).is_some_and(|(name, version)| name.starts_with("libgvplugin_") && !version.contains('.'))
    });
    let mut by_version: BTreeMap<String, Vec<ImagePath>> = BTreeMap::new();
    for plugin in plugins {
        let version = version(plugin.file_name()).map_or("", |(_, version)| version);
        by_version.entry(version.to_owned()).or_default().push(plugin);
    }
    let mut unknown = Vec::new();
    for (version, plugins) in by_version {
        let (list, sections) = match version.as_str() {
            "6" => ("config6a".to_owned(), GRAPHVIZ_2_PLUGINS),
            other => (format!("config{other}"), GRAPHVIZ_14_PLUGINS),
        };
        let entries = graphviz_sections(sections, &version);
        let head = "# Written from the plugins of this image.\n\n";
        unknown.extend(write_list(tree, &format!("{directory}/{list}"), head, &known(plugins, &entries), store)?);
    }
    Ok(unknown)
}

/// Splits the name of a library, such as `libx.so.6`, into `libx` and `6`.
fn version(name: &str) -> Option<(&str, &str)> {
    name.split_once(".so.")
}

/// Returns for each plugin its SONAME with the number `version`, and its section of the list.
fn graphviz_sections(sections: &str, version: &str) -> BTreeMap<String, String> {
    let section = |text: &str| {
        let (soname, rest) = text.split_once(' ')?;
        let soname = format!("{}.so.{version}", self::version(soname)?.0);
        Some((soname.clone(), format!("{soname} {rest}")))
    };
    sections.split_inclusive("\n}\n").filter_map(section).collect()
}

/// Writes the list of the plugins with which gdk-pixbuf reads formats that are not built in.
fn write_pixbuf(tree: &mut Tree, directory: &str, store: &Store) -> Result<Vec<ImagePath>, AssembleError> {
    let loaders = format!("{directory}/loaders");
    let paragraphs: BTreeMap<String, String> = PIXBUF_LOADERS
        .split("\n\n")
        .filter_map(|paragraph| {
            let (name, rest) = paragraph.trim_end().split_once('\n')?;
            Some((name.to_owned(), format!("\"{loaders}/{name}\"\n{rest}\n\n")))
        })
        .collect();
    let plugins = files(tree, &loaders, |name| name.ends_with(".so"));
    let head = "# GdkPixbuf Image Loader Modules file\n\n";
    write_list(tree, &format!("{directory}/loaders.cache"), head, &known(plugins, &paragraphs), store)
}

/// Writes one of Ghostscript's lists of fonts in the same way as `update-gsfontmap`. The list consists of the `.conf`
/// files of packages, one after the other.
fn write_font_map(tree: &mut Tree, list: &str, store: &Store) -> Result<(), AssembleError> {
    let directory = format!("/etc/ghostscript/{}.d", list.to_lowercase());
    let mut text = String::new();
    for part in files(tree, &directory, |name| name.ends_with(".conf")) {
        if let Some(digest) = tree.nodes[&part].digest() {
            text.push_str(&String::from_utf8_lossy(&store.read(digest)?));
        }
    }
    if text.is_empty() || tree.find("/usr/sbin/update-gsfontmap").is_none() {
        return Ok(());
    }
    write_text(tree, &format!("/var/lib/ghostscript/fonts/{list}"), &text, store)
}

/// Returns the files directly in `directory` whose names `is_plugin` accepts.
fn files(tree: &Tree, directory: &str, is_plugin: impl Fn(&str) -> bool) -> Vec<ImagePath> {
    let here = tree.nodes.keys().filter(|path| path.parent().is_some_and(|parent| parent.as_str() == directory));
    here.filter(|path| is_plugin(path.file_name())).cloned().collect()
}

/// Returns each plugin, and its entry if lath knows the plugin.
fn known(plugins: Vec<ImagePath>, entries: &BTreeMap<String, String>) -> Vec<(ImagePath, Option<&str>)> {
    let entry = |path: &ImagePath| entries.get(path.file_name()).map(String::as_str);
    plugins.into_iter().map(|path| (path.clone(), entry(&path))).collect()
}

/// Writes the entries of `plugins` to `path`. Returns the plugins that have no entry. If there are no entries, no file
/// is written.
fn write_list(
    tree: &mut Tree,
    path: &str,
    head: &str,
    plugins: &[(ImagePath, Option<&str>)],
    store: &Store,
) -> Result<Vec<ImagePath>, AssembleError> {
    let text: String = plugins.iter().filter_map(|(_, entry)| *entry).collect();
    if !text.is_empty() && tree.find(path).is_none() {
        write_text(tree, path, &format!("{head}{text}"), store)?;
    }
    Ok(plugins.iter().filter(|(_, entry)| entry.is_none()).map(|(path, _)| path.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::tree::{Node, Origin};
    use crate::outside::store::tests::store;

    fn tree(paths: &[&str]) -> Tree {
        let mut tree = Tree::default();
        for path in paths {
            let node = Node::file(Digest::of(b"elf"), 3, 0o644, Origin::Lath);
            tree.insert(ImagePath::parse(path).unwrap(), node);
        }
        tree
    }

    fn text(tree: &Tree, path: &str, store: &Store) -> String {
        String::from_utf8(store.read(tree.find(path).unwrap().1.digest().unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn dot_finds_the_plugins_that_are_in_the_tree() {
        let (_home, store) = store();
        let directory = "/usr/lib/x86_64-linux-gnu/graphviz";
        let mut tree = tree(&[
            &format!("{directory}/libgvplugin_dot_layout.so.6"),
            &format!("{directory}/libgvplugin_dot_layout.so.6.0.0"),
            &format!("{directory}/libgvplugin_new.so.6"),
            &format!("{directory}/libgvplugin_visio.so.6"),
        ]);
        let unknown = write(&mut tree, Architecture::Amd64, &store).unwrap();
        assert_eq!(unknown, [ImagePath::parse(&format!("{directory}/libgvplugin_new.so.6")).unwrap()]);
        insta::assert_snapshot!(text(&tree, &format!("{directory}/config6a"), &store), @"
        # Written from the plugins of this image.

        libgvplugin_dot_layout.so.6 dot_layout {
        	layout {
        		dot 0
        	}
        }
        libgvplugin_visio.so.6 visio {
        	device {
        		vdx:visio 1
        	}
        	render {
        		visio 1
        	}
        }
        ");
    }

    #[test]
    fn each_version_of_dot_has_its_own_list() {
        let (_home, store) = store();
        let directory = "/usr/lib/x86_64-linux-gnu/graphviz";
        let names = ["core.so.8", "core.so.8.0.7", "gs.so.8", "new.so.8", "dot_layout.so.9"];
        let mut tree =
            tree(&names.map(|name| format!("{directory}/libgvplugin_{name}")).each_ref().map(String::as_str));
        let unknown = write(&mut tree, Architecture::Amd64, &store).unwrap();
        assert_eq!(unknown, [ImagePath::parse(&format!("{directory}/libgvplugin_new.so.8")).unwrap()]);
        let list = text(&tree, &format!("{directory}/config8"), &store);
        assert!(list.contains("\nlibgvplugin_core.so.8 core {\n") && list.contains("\t\tsvg_inline:svg 1\n"), "{list}");
        assert!(list.ends_with("libgvplugin_gs.so.8 gs {\n\tloadimage {\n\t\tps:cairo 1\n\t\teps:cairo 1\n\t}\n}\n"));
        assert!(
            text(&tree, &format!("{directory}/config9"), &store).contains("libgvplugin_dot_layout.so.9 dot_layout {")
        );
        assert!(tree.find(&format!("{directory}/config6a")).is_none());
    }

    #[test]
    fn gdk_pixbuf_finds_the_loaders_that_are_in_the_tree() {
        let (_home, store) = store();
        let directory = "/usr/lib/aarch64-linux-gnu/gdk-pixbuf-2.0/2.10.0";
        let mut tree = tree(&[&format!("{directory}/loaders/libpixbufloader-gif.so")]);
        assert_eq!(write(&mut tree, Architecture::Arm64, &store).unwrap(), []);
        insta::assert_snapshot!(text(&tree, &format!("{directory}/loaders.cache"), &store), @r#"
        # GdkPixbuf Image Loader Modules file

        "/usr/lib/aarch64-linux-gnu/gdk-pixbuf-2.0/2.10.0/loaders/libpixbufloader-gif.so"
        "gif" 4 "gdk-pixbuf" "GIF" "LGPL"
        "image/gif" ""
        "gif" ""
        "GIF8" "" 100
        "#);
    }

    #[test]
    fn ghostscript_finds_the_fonts_of_all_packages() {
        let (_home, store) = store();
        let mut tree = tree(&["/usr/sbin/update-gsfontmap"]);
        for (name, part) in [("10a.conf", "/A (a.t1);\n"), ("20b.conf", "/B (b.t1);\n"), ("c.dpkg-old", "/C (c.t1);\n")]
        {
            write_text(&mut tree, &format!("/etc/ghostscript/fontmap.d/{name}"), part, &store).unwrap();
        }
        write(&mut tree, Architecture::Amd64, &store).unwrap();
        assert_eq!(text(&tree, "/var/lib/ghostscript/fonts/Fontmap", &store), "/A (a.t1);\n/B (b.t1);\n");
        assert!(tree.find("/var/lib/ghostscript/fonts/cidfmap").is_none());
    }

    #[test]
    fn an_image_without_plugins_gets_no_list() {
        let (_home, store) = store();
        let mut tree = tree(&["/usr/bin/x"]);
        assert_eq!(write(&mut tree, Architecture::Amd64, &store).unwrap(), []);
        assert_eq!(tree.nodes.len(), 4);
    }
}
