//! The answer to a question about one path, one package or one module of an image.

use serde::Serialize;

use super::chain::{Chain, Graph, Subject};
use super::{Explanation, Package};
use crate::model::image_path::{ImagePath, usr_merged};
use crate::model::reason::{Kept, Removed};
use crate::model::tree::Origin;

/// The answer about a path, a package or a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub(crate) enum Answer {
    Package(PackageAnswer),
    Module(ModuleAnswer),
    Path(PathAnswer),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PackageAnswer {
    pub(crate) package: Origin,
    pub(crate) size_bytes: u64,
    pub(crate) files: usize,
    pub(crate) removed_bytes: u64,
    /// The same value as `alone_bytes` in [`super::Row`].
    pub(crate) alone_bytes: Option<u64>,
    pub(crate) chains: Vec<Chain>,
    /// Whether there are more chains than these.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) more_chains: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ModuleAnswer {
    pub(crate) module: String,
    /// The files of the module: its source, its bytecode, or an extension module.
    pub(crate) files: Vec<PathAnswer>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PathAnswer {
    pub(crate) path: ImagePath,
    pub(crate) size_bytes: u64,
    pub(crate) origin: Origin,
    #[serde(flatten)]
    pub(crate) fate: Fate,
    /// Set if the path is a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) inside: Option<Inside>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "fate")]
pub(crate) enum Fate {
    Kept {
        reason: Kept,
        symbol_bytes: u64,
        chains: Vec<Chain>,
        /// Whether there are more chains than these.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        more_chains: bool,
    },
    /// `kept_by` is the option that would keep the path, as it is written on a command line.
    Removed { rule: Removed, kept_by: String },
}

/// The contents of a folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Inside {
    pub(crate) paths: usize,
    pub(crate) size_bytes: u64,
    pub(crate) removed_paths: usize,
    pub(crate) removed_bytes: u64,
}

impl Explanation {
    /// Returns answers for everything with this `name`: for a path if `name` contains a `/`, otherwise for packages and
    /// for a module. Returns an empty list if there is no such thing. `all` means that all chains are returned, and not
    /// only the shortest.
    pub(crate) fn answers(&self, name: &str, all: bool) -> Vec<Answer> {
        let question = Question { graph: Graph::new(self), all };
        if name.contains('/') {
            return question.path(name).map(Answer::Path).into_iter().collect();
        }
        let packages = question.packages(name).into_iter().map(Answer::Package);
        packages.chain(question.module(name).map(Answer::Module)).collect()
    }

    /// Returns all existing names of the same kind as `name`, so that the caller can find similar names. They are paths
    /// if `name` contains a `/`. Otherwise they are the names of packages and modules.
    pub(crate) fn names_like(&self, name: &str) -> Vec<String> {
        let kept = self.kept.iter().map(|row| &row.path);
        let paths = kept.chain(self.removed.iter().map(|row| &row.path));
        if name.contains('/') {
            return paths.map(ToString::to_string).collect();
        }
        let graph = Graph::new(self);
        let packages = self.packages.iter().filter_map(Package::name).map(str::to_owned);
        packages.chain(paths.filter_map(|path| graph.module_of(path))).collect()
    }
}

#[cfg(test)]
impl Explanation {
    /// Returns the paths that have no answer, the paths of the image that have no chain, and the removed paths that no
    /// option keeps.
    pub(crate) fn unexplained(&self) -> Vec<String> {
        let question = Question { graph: Graph::new(self), all: false };
        let paths = self.kept.iter().map(|row| &row.path).chain(self.removed.iter().map(|row| &row.path));
        let has_chain = |path: &&ImagePath| match question.path(path.as_str()).map(|answer| answer.fate) {
            Some(Fate::Kept { chains, .. }) => !chains.is_empty(),
            Some(Fate::Removed { kept_by, .. }) => !kept_by.is_empty(),
            None => false,
        };
        paths.filter(|path| !has_chain(path)).map(ToString::to_string).collect()
    }
}

struct Question<'a> {
    graph: Graph<'a>,
    all: bool,
}

impl<'a> Question<'a> {
    fn explanation(&self) -> &'a Explanation {
        self.graph.explanation
    }

    fn packages(&self, name: &str) -> Vec<PackageAnswer> {
        // If names of distributions differ only in these characters, they are equal (PEP 503).
        let normal = name.to_lowercase().replace(['_', '.'], "-");
        let places = [self.graph.wheel(&normal), self.graph.deb(name)];
        let rows = self.explanation().rows();
        let answer = |place: usize| {
            let row = &rows[place];
            let chains = self.graph.chains(&Subject::Package(place), self.all);
            PackageAnswer {
                package: row.package.clone(),
                size_bytes: row.size_bytes,
                files: row.files,
                removed_bytes: row.removed_bytes,
                alone_bytes: row.alone_bytes,
                chains: chains.found,
                more_chains: chains.are_more,
            }
        };
        places.into_iter().flatten().map(answer).collect()
    }

    fn module(&self, name: &str) -> Option<ModuleAnswer> {
        let is_file = |path: &ImagePath| self.graph.module_of(path).is_some_and(|module| module == name);
        let kept = self.explanation().kept.iter().enumerate().filter(|(_, row)| is_file(&row.path));
        let removed = self.explanation().removed.iter().enumerate().filter(|(_, row)| is_file(&row.path));
        let files: Vec<PathAnswer> =
            kept.map(|(place, _)| self.kept(place)).chain(removed.map(|(place, _)| self.removed(place))).collect();
        (!files.is_empty()).then(|| ModuleAnswer { module: name.to_owned(), files })
    }

    /// Returns the answer for a path. A path in `/bin` or `/lib` is searched for in `/usr` too, because these folders
    /// are links in Debian.
    fn path(&self, text: &str) -> Option<PathAnswer> {
        [text, &usr_merged(text)].iter().find_map(|text| {
            let path = ImagePath::parse(text).ok()?;
            if let Some(place) = self.graph.path(&path) {
                return Some(self.kept(place));
            }
            let place = self.explanation().removed.binary_search_by(|row| row.path.cmp(&path)).ok()?;
            Some(self.removed(place))
        })
    }

    fn kept(&self, place: usize) -> PathAnswer {
        let (explanation, row) = (self.explanation(), &self.explanation().kept[place]);
        let chains = self.graph.chains(&Subject::Path(place), self.all);
        PathAnswer {
            path: row.path.clone(),
            size_bytes: row.size_bytes,
            origin: explanation.packages[row.package].origin.clone(),
            fate: Fate::Kept {
                reason: explanation.reasons[row.reason].clone(),
                symbol_bytes: row.symbol_bytes,
                chains: chains.found,
                more_chains: chains.are_more,
            },
            inside: self.inside(&row.path),
        }
    }

    fn removed(&self, place: usize) -> PathAnswer {
        let row = &self.explanation().removed[place];
        let module = self.graph.module_of(&row.path);
        PathAnswer {
            path: row.path.clone(),
            size_bytes: row.size_bytes,
            origin: self.explanation().packages[row.package].origin.clone(),
            fate: Fate::Removed { rule: row.rule, kept_by: row.rule.kept_by(&row.path, module.as_deref()).to_string() },
            inside: self.inside(&row.path),
        }
    }

    fn inside(&self, folder: &ImagePath) -> Option<Inside> {
        let mut inside = Inside::default();
        let is_inside = |path: &ImagePath| path != folder && path.is_within(folder.as_str());
        for row in self.explanation().kept.iter().filter(|row| is_inside(&row.path)) {
            inside.paths += 1;
            inside.size_bytes += if row.is_hard_link { 0 } else { row.size_bytes };
        }
        for row in self.explanation().removed.iter().filter(|row| is_inside(&row.path)) {
            inside.removed_paths += 1;
            inside.removed_bytes += row.size_bytes;
        }
        (inside != Inside::default()).then_some(inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::explanation::example;

    fn one(name: &str) -> Answer {
        let mut answers = example().answers(name, false);
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.remove(0)
    }

    #[test]
    fn a_removed_path_has_the_rule_and_the_option_that_keeps_it() {
        let Answer::Path(answer) = one("/site/yaml/cyaml.py") else { panic!() };
        let kept_by = "--keep-module yaml.cyaml".to_owned();
        assert_eq!(answer.fate, Fate::Removed { rule: Removed::UnreachedModules, kept_by });
        assert_eq!(answer.size_bytes, 4_000);
    }

    #[test]
    fn a_folder_has_the_sums_of_its_files() {
        let Answer::Path(answer) = one("/site/tool") else { panic!() };
        let inside = Inside { paths: 3, size_bytes: 1_200, removed_paths: 0, removed_bytes: 0 };
        assert_eq!(answer.inside, Some(inside));
    }

    #[test]
    fn a_name_is_that_of_a_distribution_and_of_a_module() {
        let kinds = |name: &str| -> Vec<&str> {
            let answers = example().answers(name, false);
            let kind = |answer: &Answer| match answer {
                Answer::Package(_) => "package",
                Answer::Module(_) => "module",
                Answer::Path(_) => "path",
            };
            answers.iter().map(kind).collect()
        };
        let table: [(&str, &[&str]); 9] = [
            ("yaml", &["package", "module"]),
            ("Yaml", &["package"]),
            ("libyaml", &["package"]),
            ("yaml.cyaml", &["module"]),
            ("/usr/bin/python3", &["path"]),
            ("/bin/python3", &["path"]),
            ("site/loader.py", &["path"]),
            ("/nowhere", &[]),
            ("nothing", &[]),
        ];
        for (name, expected) in table {
            assert_eq!(kinds(name), expected, "{name}");
        }
    }
}
