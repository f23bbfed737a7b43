//! The facts about Python files and extension modules. Each file is read when its facts are first needed. The cache has
//! one entry with facts per parcel.

mod parcel_facts;

use self::parcel_facts::{ParcelFacts, Place};
use crate::formats::{names_in_binary, python_imports};
use crate::model::binary_texts::BinaryTexts;
use crate::model::facts::TreeFacts;
use crate::model::image_path::ImagePath;
use crate::model::python_file::PythonFile;
use crate::model::reach::ModuleSource;
use crate::model::start_up::PythonSource;
use crate::model::tree::Tree;
use crate::outside::store::{Bucket, Store, StoreError};

/// The Python files and extension modules of a tree.
pub(crate) struct PythonFiles<'a> {
    tree: &'a Tree,
    facts: &'a TreeFacts,
    store: &'a Store,
    /// The facts are `None` if Python could not compile the file.
    python: ParcelFacts<'a, Option<PythonFile>>,
    binary: ParcelFacts<'a, BinaryTexts>,
}

impl<'a> PythonFiles<'a> {
    pub(crate) fn new(tree: &'a Tree, facts: &'a TreeFacts, store: &'a Store) -> Self {
        let python = ParcelFacts::new(Bucket::PythonFiles, store);
        Self { tree, facts, store, python, binary: ParcelFacts::new(Bucket::BinaryTexts, store) }
    }

    /// Returns the contents of a file of the tree.
    pub(crate) fn contents(&self, path: &ImagePath) -> Result<Vec<u8>, StoreError> {
        match self.place(path) {
            Some(place) => self.store.read(&place.digest),
            None => Ok(Vec::new()),
        }
    }

    /// Writes new facts into the cache.
    pub(crate) fn keep(&mut self) -> Result<(), StoreError> {
        self.python.keep()?;
        self.binary.keep()
    }

    fn place(&self, path: &ImagePath) -> Option<Place> {
        let (_, node) = match self.tree.nodes.get(path) {
            Some(node) if node.digest().is_some() => (path.clone(), node),
            _ => self.tree.find(path.as_str())?,
        };
        Some(Place { parcel: self.facts.parcel_of(&node.origin), digest: *node.digest()? })
    }

    fn places(&self, paths: &[&ImagePath]) -> Places {
        let each: Vec<Option<Place>> = paths.iter().map(|path| self.place(path)).collect();
        Places { found: each.iter().flatten().copied().collect(), each }
    }
}

/// The locations of the tree's files.
struct Places {
    /// One location per path. `None` if the path is not a file.
    each: Vec<Option<Place>>,
    found: Vec<Place>,
}

impl PythonSource for PythonFiles<'_> {
    type Error = StoreError;

    fn read(&mut self, paths: &[&ImagePath]) -> Result<Vec<Option<PythonFile>>, StoreError> {
        let places = self.places(paths);
        self.python.read(&places.found, python_imports::parse)?;
        Ok(places.each.into_iter().map(|place| self.python.get(&place?)?.clone()).collect())
    }
}

impl ModuleSource for PythonFiles<'_> {
    fn texts_in(&mut self, paths: &[&ImagePath]) -> Result<Vec<BinaryTexts>, StoreError> {
        let places = self.places(paths);
        let (bytecode, compiled): (Vec<_>, Vec<_>) =
            paths.iter().copied().partition(|path| path.as_str().ends_with(".pyc"));
        self.binary.read(&self.places(&bytecode).found, names_in_binary::texts_of_bytecode)?;
        self.binary.read(&self.places(&compiled).found, names_in_binary::texts)?;
        let texts = |place: Option<Place>| place.and_then(|place| self.binary.get(&place)).cloned();
        Ok(places.each.into_iter().map(|place| texts(place).unwrap_or_default()).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::digest::Digest;
    use crate::model::facts::FileFacts;
    use crate::model::tree::{Node, Origin};

    type Known = BTreeMap<Digest, Option<PythonFile>>;

    #[test]
    fn files_of_a_parcel_are_parsed_once_and_others_each_time() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("store")).unwrap();
        let wheel = Origin::Wheel { name: "a".to_owned(), version: "1".to_owned() };
        let (parcel, mut facts, mut tree) = (Digest::of(b"parcel"), TreeFacts::default(), Tree::default());
        facts.add_all(&wheel, parcel, &FileFacts::new());
        let path = |name: &str| ImagePath::parse(name).unwrap();
        for (name, text, origin) in
            [("/a.py", "import x", &wheel), ("/b.py", "import (", &wheel), ("/c.py", "import y", &Origin::User)]
        {
            let digest = store.put(text.as_bytes()).unwrap();
            tree.insert(path(name), Node::file(digest, text.len() as u64, 0o644, origin.clone()));
        }
        tree.insert(path("/link.py"), Node::link("a.py", wheel.clone()));
        let imports = |facts: &TreeFacts| {
            let mut files = PythonFiles::new(&tree, facts, &store);
            let paths = ["/a.py", "/b.py", "/c.py", "/link.py", "/missing.py"].map(path);
            let read = files.read(&paths.iter().collect::<Vec<_>>()).unwrap();
            files.keep().unwrap();
            read.into_iter().map(|file| Some(file?.imports.first()?.module.clone())).collect::<Vec<_>>()
        };
        let expected = [Some("x"), None, Some("y"), Some("x"), None].map(|name| name.map(str::to_owned));
        assert_eq!(imports(&facts), expected);
        let mut entry: Known = store.entry(Bucket::PythonFiles, &parcel).unwrap();
        assert_eq!(entry.len(), 2, "a file with errors is not parsed again either");
        // If the cache is used, a changed entry changes the result.
        entry.values_mut().flatten().for_each(|file| file.imports[0].module = "cached".to_owned());
        store.write_entry(Bucket::PythonFiles, &parcel, &entry).unwrap();
        let expected = [Some("cached"), None, Some("y"), Some("cached"), None].map(|name| name.map(str::to_owned));
        assert_eq!(imports(&facts), expected);
    }

    #[test]
    fn an_extension_module_of_a_parcel_is_read_once() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("store")).unwrap();
        let wheel = Origin::Wheel { name: "a".to_owned(), version: "1".to_owned() };
        let (parcel, mut facts, mut tree) = (Digest::of(b"parcel"), TreeFacts::default(), Tree::default());
        facts.add_all(&wheel, parcel, &FileFacts::new());
        let path = ImagePath::parse("/a.so").unwrap();
        let digest = store.put(b"\0json.decoder\0").unwrap();
        tree.insert(path.clone(), Node::file(digest, 14, 0o644, wheel));
        let words = || {
            let mut files = PythonFiles::new(&tree, &facts, &store);
            let read = files.texts_in(&[&path, &ImagePath::parse("/missing.so").unwrap()]).unwrap();
            files.keep().unwrap();
            assert_eq!(read[1], BinaryTexts::default());
            read[0].words.iter().cloned().collect::<Vec<_>>()
        };
        assert_eq!(words(), ["json.decoder"]);
        let cached = BinaryTexts { words: ["cached".to_owned()].into(), ..BinaryTexts::default() };
        store.write_entry(Bucket::BinaryTexts, &parcel, &BTreeMap::from([(digest, cached)])).unwrap();
        assert_eq!(words(), ["cached"]);
    }

    /// For example, to measure jupyterlab, create the folder with `lath build jupyterlab --trim none --bytecode none -t
    /// x -o dir:FOLDER`. The time includes reading the store and writing the cache.
    #[test]
    #[ignore = "measures: LATH_PYTHON_FOLDER=FOLDER cargo test --release --lib all_python_files -- --ignored --nocapture"]
    #[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "it measures a folder that the caller names")]
    fn all_python_files_of_a_large_application_are_parsed_in_two_seconds() {
        let folder = std::env::var_os("LATH_PYTHON_FOLDER").expect("LATH_PYTHON_FOLDER names a folder");
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("store")).unwrap();
        let wheel = Origin::Wheel { name: "a".to_owned(), version: "1".to_owned() };
        let (mut facts, mut tree, mut bytes) = (TreeFacts::default(), Tree::default(), 0);
        facts.add_all(&wheel, Digest::of(b"parcel"), &FileFacts::new());
        for entry in ignore::WalkBuilder::new(&folder).standard_filters(false).build().map(Result::unwrap) {
            let path = entry.path().strip_prefix(&folder).unwrap();
            if path.extension().is_some_and(|extension| extension == "py") && entry.path().is_file() {
                let (path, text) = (format!("/{}", path.display()), fs_err::read(entry.path()).unwrap());
                let node = Node::file(store.put(&text).unwrap(), text.len() as u64, 0o644, wheel.clone());
                tree.insert(ImagePath::parse(&path).unwrap(), node);
                bytes += text.len();
            }
        }
        let is_file = |path: &&ImagePath| tree.nodes[*path].digest().is_some();
        let paths: Vec<&ImagePath> = tree.nodes.keys().filter(is_file).collect();
        let started = std::time::Instant::now();
        let mut files = PythonFiles::new(&tree, &facts, &store);
        let read = files.read(&paths).unwrap();
        files.keep().unwrap();
        let seconds = started.elapsed().as_secs_f64();
        let imports: usize = read.iter().flatten().map(|file| file.imports.len()).sum();
        println!("{} files, {bytes} bytes, {imports} imports: {seconds:.2} s", paths.len());
        assert!(seconds <= 2.0, "{seconds:.2} s");
    }
}
