//! Chains of reasons. A chain begins at a path, a module or a package. It continues with the things that need it, and
//! ends at the request.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Serialize;

use super::{Explanation, Modules, Package};
use crate::model::image_path::ImagePath;
use crate::model::reach::{Cause, module_of};
use crate::model::reason::{Kept, Why};
use crate::model::tree::Origin;

/// A list of reasons. Each reason leads to the next one. The last reason needs no further reason.
pub(crate) type Chain = Vec<Edge>;

/// A reason, such as "imported by a module". It leads to the next thing in the chain, for example to this module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case", tag = "because")]
pub(crate) enum Edge {
    /// The path is a file of this module.
    FileOf {
        module: String,
    },
    PackageOf {
        module: String,
    },
    ImportedBy {
        module: String,
    },
    ComputedBy {
        module: String,
    },
    NamedInTextOf {
        module: String,
    },
    /// The module is kept because the file of `module`, in the same distribution, cannot be read.
    BesideUnread {
        module: String,
    },
    NeededBy {
        path: ImagePath,
    },
    NamedInFilesOf {
        package: String,
    },
    FileIn {
        package: String,
    },
    RequiredBy {
        package: String,
    },
    /// Files of the distribution link against the library.
    LinkedBy {
        package: String,
        soname: String,
    },
    RunByScriptsOf {
        package: String,
    },
    /// The user requested the package. This variant and all variants after it end a chain, because they need no further
    /// reason.
    Requested,
    With {
        package: String,
    },
    EveryImage {
        why: Why,
    },
    ConsoleScript {
        script: String,
    },
    Command,
    KeepModule {
        module: String,
    },
    /// The module is a module of the standard library that every Python program may need.
    EveryProgram,
    Root,
    Kept {
        reason: Kept,
    },
}

/// Something that needs a reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// A path, as a position in `kept`.
    Path(usize),
    Module(String),
    /// A package, as a position in `packages`.
    Package(usize),
}

/// An explanation, and tables with which its entries are found fast.
pub(super) struct Graph<'a> {
    pub(super) explanation: &'a Explanation,
    wheels: BTreeMap<&'a str, usize>,
    debs: BTreeMap<&'a str, usize>,
    /// For each package, the reached modules that are directly in it.
    inside: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Graph<'a> {
    pub(super) fn new(explanation: &'a Explanation) -> Self {
        let (mut wheels, mut debs) = (BTreeMap::new(), BTreeMap::new());
        for (place, package) in explanation.packages.iter().enumerate() {
            match &package.origin {
                Origin::Wheel { name, .. } => wheels.insert(name.as_str(), place),
                Origin::Deb { name, .. } => debs.insert(name.as_str(), place),
                Origin::Base | Origin::Lath | Origin::User | Origin::Application => None,
            };
        }
        let mut inside: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let reached = explanation.modules.causes.iter().flat_map(BTreeMap::keys);
        for (package, module) in reached.filter_map(|module| Some((module.rsplit_once('.')?.0, module.as_str()))) {
            inside.entry(package).or_default().push(module);
        }
        Self { explanation, wheels, debs, inside }
    }

    pub(super) fn wheel(&self, name: &str) -> Option<usize> {
        self.wheels.get(name).copied()
    }

    pub(super) fn deb(&self, name: &str) -> Option<usize> {
        self.debs.get(name).copied()
    }

    /// Returns the position of a path of the image.
    pub(super) fn path(&self, path: &ImagePath) -> Option<usize> {
        self.explanation.kept.binary_search_by(|row| row.path.cmp(path)).ok()
    }

    pub(super) fn shortest(&self, subject: &Subject) -> Option<Chain> {
        let mut before: BTreeMap<Subject, (Subject, Edge)> = BTreeMap::new();
        let mut next = VecDeque::from([subject.clone()]);
        while let Some(current) = next.pop_front() {
            for (edge, target) in self.edges(&current) {
                let Some(target) = target else {
                    let mut chain = vec![edge];
                    let mut at = &current;
                    while let Some((earlier, edge)) = before.get(at).filter(|_| at != subject) {
                        chain.push(edge.clone());
                        at = earlier;
                    }
                    chain.reverse();
                    return Some(chain);
                };
                if target != *subject && !before.contains_key(&target) {
                    before.insert(target.clone(), (current.clone(), edge));
                    next.push_back(target);
                }
            }
        }
        None
    }

    /// Returns the direct reasons of a thing. Each reason is paired with the next thing that needs a reason, if there
    /// is one.
    pub(super) fn edges(&self, subject: &Subject) -> Vec<(Edge, Option<Subject>)> {
        match subject {
            Subject::Path(place) => self.edges_of_path(*place),
            Subject::Module(module) => self.edges_of_module(module),
            Subject::Package(place) => self.edges_of_package(*place),
        }
    }

    fn edges_of_path(&self, place: usize) -> Vec<(Edge, Option<Subject>)> {
        let row = &self.explanation.kept[place];
        let reason = &self.explanation.reasons[row.reason];
        let package = |origin: &Origin| self.explanation.packages.iter().position(|package| package.origin == *origin);
        match reason {
            Kept::Package(_) | Kept::Requested | Kept::Required => {
                let module = self.module_of(&row.path).filter(|module| !self.causes(module).is_empty());
                if let Some(module) = module {
                    return vec![(Edge::FileOf { module: module.clone() }, Some(Subject::Module(module)))];
                }
                let package = self.explanation.packages[row.package].origin.to_string();
                vec![(Edge::FileIn { package }, Some(Subject::Package(row.package)))]
            }
            Kept::NamedBy { origin } => {
                vec![(Edge::NamedInFilesOf { package: origin.to_string() }, package(origin).map(Subject::Package))]
            }
            Kept::NeededBy { path } => {
                vec![(Edge::NeededBy { path: path.clone() }, self.path(path).map(Subject::Path))]
            }
            reason => vec![(Edge::Kept { reason: reason.clone() }, None)],
        }
    }

    /// Returns the causes of a module. The list is empty if the module is not reached, or if trim has not followed
    /// imports.
    fn causes(&self, module: &str) -> &'a [Cause] {
        let causes = self.explanation.modules.causes.as_ref().and_then(|causes| causes.get(module));
        causes.map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether a module has more causes than the explanation contains.
    pub(super) fn is_cut(&self, subject: &Subject) -> bool {
        matches!(subject, Subject::Module(module) if self.explanation.modules.cut.contains(module))
    }

    fn edges_of_module(&self, module: &str) -> Vec<(Edge, Option<Subject>)> {
        let root = OnceCell::new();
        let edge = |cause: &Cause| match cause {
            Cause::Root => root.get_or_init(|| self.root(module)).clone(),
            Cause::PackageOf { module } => Edge::PackageOf { module: module.clone() },
            Cause::ImportedBy { module } => Edge::ImportedBy { module: module.clone() },
            Cause::ComputedBy { module } => Edge::ComputedBy { module: module.clone() },
            Cause::NamedBy { module } => Edge::NamedInTextOf { module: module.clone() },
            Cause::Unread { module } => Edge::BesideUnread { module: module.clone() },
        };
        let next = |module: &str| Some(Subject::Module(module.to_owned()));
        let causes = self.causes(module);
        let mut edges: Vec<(Edge, Option<Subject>)> =
            causes.iter().map(|cause| (edge(cause), cause.module().and_then(next))).collect();
        let packages_of: BTreeSet<&str> = causes
            .iter()
            .filter_map(|cause| match cause {
                Cause::PackageOf { module } => Some(module.as_str()),
                _ => None,
            })
            .collect();
        let of_packages = self.inside.get(module).into_iter().flatten().filter(|inside| !packages_of.contains(*inside));
        edges.extend(of_packages.map(|inside| (Edge::PackageOf { module: (*inside).to_owned() }, next(inside))));
        edges
    }

    /// Returns the reason why `module` is a root, which means that the search for reached modules starts from it.
    fn root(&self, module: &str) -> Edge {
        let modules = &self.explanation.modules;
        let is_in = |package: &String| {
            module.strip_prefix(package.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if let Some((script, _)) = modules.scripts.iter().find(|(_, target)| *target == module) {
            return Edge::ConsoleScript { script: script.clone() };
        }
        if modules.started.iter().any(|started| started == module) {
            return Edge::Command;
        }
        match modules.kept.iter().find(|kept| is_in(kept)) {
            Some(module) => Edge::KeepModule { module: module.clone() },
            None if self.is_of_stdlib(module) => Edge::EveryProgram,
            None => Edge::Root,
        }
    }

    fn is_of_stdlib(&self, module: &str) -> bool {
        let modules = &self.explanation.modules;
        let Some(stdlib) = modules.folders.get(Modules::STDLIB) else { return false };
        let path = format!("{stdlib}/{}", module.replace('.', "/"));
        let files = [format!("{path}.py"), format!("{path}/__init__.py")];
        files.iter().any(|file| ImagePath::parse(file).is_ok_and(|file| self.path(&file).is_some()))
    }

    fn edges_of_package(&self, place: usize) -> Vec<(Edge, Option<Subject>)> {
        let package = &self.explanation.packages[place];
        let mut edges: Vec<(Edge, Option<Subject>)> =
            own_reason(package).map(|edge| (edge, None)).into_iter().collect();
        edges.extend(self.dependents(place).into_iter().map(|(edge, place)| (edge, Some(Subject::Package(place)))));
        edges
    }

    /// Returns the packages that need a package.
    pub(super) fn dependents(&self, place: usize) -> Vec<(Edge, usize)> {
        let package = &self.explanation.packages[place];
        let names = if matches!(package.origin, Origin::Wheel { .. }) { &self.wheels } else { &self.debs };
        let places = package.required_by.iter().filter_map(|name| names.get(name.as_str()));
        let text = |place: usize| self.explanation.packages[place].origin.to_string();
        let mut edges: Vec<(Edge, usize)> =
            places.map(|place| (Edge::RequiredBy { package: text(*place) }, *place)).collect();
        let other = match &package.why {
            Some(Why::Library { soname, wheel }) => {
                self.wheel(wheel).map(|place| (Edge::LinkedBy { package: text(place), soname: soname.clone() }, place))
            }
            Some(Why::ScriptsOf { package }) => {
                self.deb(package).map(|place| (Edge::RunByScriptsOf { package: text(place) }, place))
            }
            Some(Why::Dependency { of }) if !package.required_by.contains(of) => {
                self.deb(of).map(|place| (Edge::RequiredBy { package: text(place) }, place))
            }
            _ => None,
        };
        edges.extend(other);
        edges
    }

    /// Returns the name of the module to which a file belongs.
    pub(super) fn module_of(&self, path: &ImagePath) -> Option<String> {
        module_of(path, &self.explanation.modules.folders)
    }
}

/// Returns the package's own reason, which does not come from another package. `None` if it has no such reason.
pub(super) fn own_reason(package: &Package) -> Option<Edge> {
    let origin = match &package.origin {
        Origin::Deb { .. } => None,
        Origin::Wheel { .. } => package.is_requested.then_some(Edge::Requested),
        Origin::Base => Some(Edge::Kept { reason: Kept::BaseImage }),
        Origin::Lath => Some(Edge::Kept { reason: Kept::EveryImage }),
        Origin::User => Some(Edge::Kept { reason: Kept::Copied }),
        Origin::Application => Some(Edge::Kept { reason: Kept::Application }),
    };
    origin.or_else(|| match package.why.as_ref()? {
        Why::Named { package } => Some(Edge::With { package: package.clone() }),
        Why::Library { .. } | Why::Dependency { .. } | Why::ScriptsOf { .. } => None,
        why => Some(Edge::EveryImage { why: why.clone() }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::explanation::{KeptPath, example};

    fn chains(subject: impl Fn(&Graph<'_>) -> Subject, all: bool) -> Vec<Chain> {
        let explanation = example();
        let graph = Graph::new(&explanation);
        graph.chains(&subject(&graph), all).found
    }

    fn path(text: &str) -> impl Fn(&Graph<'_>) -> Subject {
        move |graph| Subject::Path(graph.path(&ImagePath::parse(text).unwrap()).unwrap())
    }

    #[test]
    fn a_module_is_explained_up_to_the_script_that_imports_it() {
        let module = |module: &str| module.to_owned();
        let expected = vec![
            Edge::FileOf { module: module("yaml") },
            Edge::ImportedBy { module: module("loader") },
            Edge::ImportedBy { module: module("tool.main") },
            Edge::ConsoleScript { script: module("tool") },
        ];
        assert_eq!(chains(path("/site/yaml/__init__.py"), false), [expected]);
    }

    #[test]
    fn a_package_has_the_shortest_chain_or_all_of_them() {
        let by = |package: &str| Edge::RequiredBy { package: package.to_owned() };
        let yaml = |graph: &Graph<'_>| Subject::Package(graph.wheel("yaml").unwrap());
        let shortest = vec![by("wheel tool"), Edge::Requested];
        assert_eq!(chains(yaml, false), std::slice::from_ref(&shortest));
        assert_eq!(chains(yaml, true), [shortest, vec![by("wheel loader"), by("wheel tool"), Edge::Requested]]);
    }

    #[test]
    fn a_library_is_explained_by_the_files_and_the_distribution_that_need_it() {
        let file = ImagePath::parse("/site/yaml/_yaml.so").unwrap();
        let found = chains(path("/usr/lib/libyaml.so.0"), false);
        assert_eq!(found[0][..2], [Edge::NeededBy { path: file }, Edge::FileIn { package: "wheel yaml".to_owned() }]);
        let libyaml = |graph: &Graph<'_>| Subject::Package(graph.deb("libyaml").unwrap());
        let linked = Edge::LinkedBy { package: "wheel yaml".to_owned(), soname: "libyaml.so.0".to_owned() };
        assert_eq!(chains(libyaml, false)[0][0], linked);
    }

    #[test]
    fn the_first_module_has_the_reason_of_its_kind() {
        let mut explanation = example();
        let stdlib =
            KeptPath { path: ImagePath::parse("/stdlib/json/__init__.py").unwrap(), ..explanation.kept[0].clone() };
        explanation.kept.push(stdlib);
        explanation.kept.sort_by(|one, other| one.path.cmp(&other.path));
        explanation.modules.started = vec!["app".to_owned()];
        explanation.modules.kept = vec!["plugins".to_owned()];
        let graph = Graph::new(&explanation);
        let table = [
            ("tool.main", Edge::ConsoleScript { script: "tool".to_owned() }),
            ("app", Edge::Command),
            ("plugins.one", Edge::KeepModule { module: "plugins".to_owned() }),
            ("json", Edge::EveryProgram),
            ("pluginsother", Edge::Root),
        ];
        for (module, edge) in table {
            assert_eq!(graph.root(module), edge, "{module}");
        }
    }

    #[test]
    fn modules_that_need_one_another_end_no_search() {
        let mut explanation = example();
        let causes = explanation.modules.causes.as_mut().unwrap();
        let by = |module: &str| vec![Cause::ImportedBy { module: module.to_owned() }];
        causes.extend([("loader".to_owned(), by("yaml")), ("yaml".to_owned(), by("loader"))]);
        explanation.modules.cut.clear();
        let graph = Graph::new(&explanation);
        for all in [false, true] {
            assert_eq!(graph.chains(&Subject::Module("yaml".to_owned()), all).found, Vec::<Chain>::new());
        }
    }
}
