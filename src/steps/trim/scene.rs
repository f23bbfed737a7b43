//! The input of rules: the tree, the facts about its files, the lock, and some options of the request. Rules cannot
//! change it.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use super::held::Held;
use super::plan::Proposal;
use crate::model::assembly::Assembly;
use crate::model::facts::Linkage;
use crate::model::image_path::ImagePath;
use crate::model::lock::PlatformLock;
use crate::model::platform::{Architecture, PythonVersion};
use crate::model::reason::{Removed, Why};
use crate::model::request::SlimRequest;
use crate::model::tree::{Kind, Node, Origin, Tree};
use crate::outside::store::Store;

/// The inputs of trim that are the same in all stages.
pub(super) struct Inputs<'a> {
    pub(super) whole: &'a Assembly,
    pub(super) lock: &'a PlatformLock,
    pub(super) request: &'a SlimRequest<'a>,
    pub(super) held: Held,
    pub(super) store: &'a Store,
    /// The packages that the interpreter needs or that every image contains, without packages that the user named.
    /// Files that nothing needs are removed only from these packages.
    base: BTreeSet<&'a str>,
    /// Helper packages. They are in the image because scripts of other packages run their programs.
    aides: BTreeSet<&'a str>,
}

impl<'a> Inputs<'a> {
    pub(super) fn new(
        whole: &'a Assembly,
        lock: &'a PlatformLock,
        request: &'a SlimRequest<'a>,
        store: &'a Store,
    ) -> Self {
        let base = lock.debs.iter().filter(|deb| deb.is_base);
        let aides = lock.debs.iter().filter(|deb| matches!(deb.why, Why::ScriptsOf { .. }));
        Self {
            whole,
            lock,
            request,
            held: Held::of(whole, &request.options.keep, &request.options.put_back),
            store,
            base: base.map(|deb| deb.name.as_str()).collect(),
            aides: aides.map(|deb| deb.name.as_str()).collect(),
        }
    }
}

/// The tree at the beginning of a stage, and the inputs that are the same in all stages.
pub(super) struct Scene<'a> {
    pub(super) tree: &'a Tree,
    inputs: &'a Inputs<'a>,
    surveys: OnceCell<BTreeMap<&'a Origin, Survey<'a>>>,
}

impl<'a> Scene<'a> {
    pub(super) fn new(tree: &'a Tree, inputs: &'a Inputs<'a>) -> Self {
        Self { tree, inputs, surveys: OnceCell::new() }
    }

    pub(super) fn lock(&self) -> &'a PlatformLock {
        self.inputs.lock
    }

    pub(super) fn architecture(&self) -> Architecture {
        self.inputs.lock.platform.architecture
    }

    /// Returns the version of the image's Python.
    pub(super) fn python(&self) -> PythonVersion {
        self.inputs.request.python.version
    }

    /// Returns the untrimmed tree and its programs.
    pub(super) fn whole(&self) -> &'a Assembly {
        self.inputs.whole
    }

    pub(super) fn request(&self) -> &'a SlimRequest<'a> {
        self.inputs.request
    }

    pub(super) fn store(&self) -> &'a Store {
        self.inputs.store
    }

    /// Returns whether the path must stay, for example because of `--keep`. A rule needs this only if other files
    /// depend on the path. For the path itself, [`super::carry_out`] makes sure that it stays.
    pub(super) fn is_held(&self, path: &ImagePath) -> bool {
        self.inputs.held.has(path)
    }

    pub(super) fn is_of_base(&self, origin: &Origin) -> bool {
        matches!(origin, Origin::Deb { name, .. } if self.is_base(name))
    }

    pub(super) fn is_base(&self, package: &str) -> bool {
        self.inputs.base.contains(package)
    }

    pub(super) fn is_aide(&self, package: &str) -> bool {
        self.inputs.aides.contains(package)
    }

    /// Returns the files and links of Debian packages, with the names of the packages.
    pub(super) fn package_files(&self) -> impl Iterator<Item = (&'a ImagePath, &'a str)> {
        self.tree.nodes.iter().filter_map(|(path, node)| match &node.origin {
            Origin::Deb { name, .. } if node.kind != Kind::Directory => Some((path, name.as_str())),
            _ => None,
        })
    }

    /// Returns the files of distributions.
    pub(super) fn distribution_files(&self) -> impl Iterator<Item = &'a ImagePath> {
        let files = self.tree.nodes.iter().filter(|(_, node)| node.kind != Kind::Directory);
        files.filter(|(_, node)| matches!(node.origin, Origin::Wheel { .. })).map(|(path, _)| path)
    }

    /// Proposes to remove the files and links of Debian packages for which `is_such` is true. The second argument of
    /// `is_such` is the name of the package.
    pub(super) fn remove(&self, reason: Removed, is_such: impl Fn(&ImagePath, &str) -> bool) -> Vec<Proposal> {
        let going = self.package_files().filter(|(path, package)| is_such(path, package));
        going.map(|(path, _)| Proposal::Remove { path: path.clone(), reason }).collect()
    }

    /// Returns whether one of `words` occurs in a file of a wheel, of the user, or of a package outside the base.
    pub(super) fn is_mentioned(&self, words: &[&str]) -> bool {
        self.surveys().values().any(|survey| words.iter().any(|word| survey.mentions.contains(word)))
    }

    /// Returns the files outside of the base in which `word` occurs.
    pub(super) fn files_that_mention(&self, word: &str) -> impl Iterator<Item = &'a ImagePath> {
        let outside = self.tree.nodes.iter().filter(|(_, node)| node.origin != Origin::Lath);
        let mentions =
            move |node: &Node| self.inputs.whole.facts.of(node).is_some_and(|facts| facts.mentions.contains(word));
        outside.filter(move |(_, node)| mentions(node) && !self.is_of_base(&node.origin)).map(|(path, _)| path)
    }

    /// Returns a survey of every package, every distribution and the user's files. Files that lath wrote are left out.
    /// They contain the names of all files in the image, but do not need these files.
    pub(super) fn surveys(&self) -> &BTreeMap<&'a Origin, Survey<'a>> {
        self.surveys.get_or_init(|| {
            let mut surveys: BTreeMap<&Origin, Survey<'a>> = BTreeMap::new();
            for (path, node) in self.tree.nodes.iter().filter(|(_, node)| node.origin != Origin::Lath) {
                if self.inputs.whole.facts.of(node).is_some() {
                    self.add(surveys.entry(&node.origin).or_default(), path, node);
                }
            }
            surveys
        })
    }

    fn add(&self, survey: &mut Survey<'a>, path: &'a ImagePath, node: &'a Node) {
        let Some(facts) = self.inputs.whole.facts.of(node) else { return };
        let is_of_base = self.is_of_base(&node.origin);
        if let Some(linkage) = facts.linkage().filter(|_| !is_of_base || is_loaded(path)) {
            survey.elf.insert(path, linkage);
        }
        if !is_of_base {
            survey.named_libraries.extend(facts.libraries.iter().map(String::as_str));
            survey.mentions.extend(facts.mentions.iter().map(String::as_str));
        }
    }
}

/// The requirements of the files of one origin.
#[derive(Debug, Default)]
pub(super) struct Survey<'a> {
    /// The ELF files of the origin.
    pub(super) elf: BTreeMap<&'a ImagePath, &'a Linkage>,
    /// The libraries whose names occur in the files of the origin. Empty for a package of the base.
    pub(super) named_libraries: BTreeSet<&'a str>,
    /// The words of [`crate::model::vocabulary`] that occur in the files of the origin. Empty for a package of the
    /// base.
    pub(super) mentions: BTreeSet<&'a str>,
}

/// Returns whether a file of the base can be a library or a program. Other ELF files of the base are data.
fn is_loaded(path: &ImagePath) -> bool {
    path.file_name().contains(".so") || path.is_within("/usr/bin") || path.is_within("/usr/sbin")
}
