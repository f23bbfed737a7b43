//! The data files whose paths occur as texts in modules.

use std::collections::BTreeMap;

use crate::model::facts::is_extension_module;
use crate::model::image_path::ImagePath;
use crate::model::tree::{Kind, Node, Origin};

/// The data files of distributions, by the name of the file.
#[derive(Debug, Default)]
pub(super) struct DataFiles<'a>(BTreeMap<&'a str, Vec<&'a ImagePath>>);

impl<'a> DataFiles<'a> {
    /// Adds the file if it is data of a distribution, which means that it is neither a module, nor a library, nor
    /// metadata.
    pub(super) fn add(&mut self, path: &'a ImagePath, node: &Node) {
        let name = path.file_name();
        let is_of_wheel = matches!(node.origin, Origin::Wheel { .. }) && node.kind != Kind::Directory;
        let is_module = name.ends_with(".py") || path.is_bytecode() || is_extension_module(name);
        if is_of_wheel && !is_module && !name.contains(".so") && !path.as_str().contains(".dist-info/") {
            self.0.entry(name).or_default().push(path);
        }
    }

    /// Returns the file whose path is `text`, a text in the file `module`. `text` is relative to one of the folders
    /// that contain `module`. If several of these folders have such a file, the innermost folder counts.
    pub(super) fn named(&self, text: &str, module: &ImagePath) -> Option<&'a ImagePath> {
        let paths = self.0.get(text.rsplit('/').next()?)?;
        let folder = |path: &ImagePath| {
            let folder = path.as_str().strip_suffix(text)?;
            let contains_module = folder.len() > 1 && folder.ends_with('/') && module.as_str().starts_with(folder);
            contains_module.then_some(folder.len())
        };
        let found = paths.iter().filter_map(|path| Some((folder(path)?, *path)));
        found.max_by_key(|(length, _)| *length).map(|(_, path)| path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;

    #[test]
    fn a_text_names_the_nearest_file_in_a_folder_that_contains_the_module() {
        let wheel = Origin::Wheel { name: "tool".to_owned(), version: "1".to_owned() };
        let paths: Vec<ImagePath> = [
            "/site/tool/words.txt",
            "/site/tool/cli/words.txt",
            "/site/tool/data/en/words.txt",
            "/site/tool/other/more.txt",
            "/site/other/data/x.txt",
            "/site/tool/run.py",
            "/site/tool-1.dist-info/top.txt",
            "/words.txt",
        ]
        .map(|path| ImagePath::parse(path).unwrap())
        .into();
        let mut data = DataFiles::default();
        for path in &paths {
            data.add(path, &Node::file(Digest::of(b""), 0, 0o644, wheel.clone()));
        }
        let copied = ImagePath::parse("/site/tool/copied.txt").unwrap();
        data.add(&copied, &Node::file(Digest::of(b""), 0, 0o644, Origin::User));
        let module = |name: &str| ImagePath::parse(&format!("/site/tool/{name}.py")).unwrap();
        let named = |text: &str, name: &str| data.named(text, &module(name)).map(ImagePath::as_str);
        assert_eq!(named("words.txt", "cli/main"), Some("/site/tool/cli/words.txt"));
        assert_eq!(named("words.txt", "core"), Some("/site/tool/words.txt"));
        assert_eq!(named("data/en/words.txt", "cli/main"), Some("/site/tool/data/en/words.txt"));
        assert_eq!(named("tool/data/en/words.txt", "cli/main"), Some("/site/tool/data/en/words.txt"));
        // The path of a file of another distribution is relative to the folder with all distributions.
        assert_eq!(named("other/data/x.txt", "core"), Some("/site/other/data/x.txt"));
        for text in ["en/words.txt", "ords.txt", "more.txt", "data/x.txt", "run.py", "copied.txt", "top.txt", ""] {
            assert_eq!(named(text, "core"), None, "{text}");
        }
    }
}
