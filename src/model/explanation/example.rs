//! The explanation of a small image, for tests.

use super::{Explanation, KeptPath, Modules, Package, RemovedPath};
use crate::model::image_path::ImagePath;
use crate::model::options::TrimLevel;
use crate::model::platform::{Architecture, Platform};
use crate::model::reach::Cause;
use crate::model::reason::{Kept, Removed, Why};
use crate::model::tree::Origin;

pub(crate) fn example() -> Explanation {
    Explanation {
        name: "tool".to_owned(),
        platform: Platform { architecture: Architecture::Amd64 },
        trim: TrimLevel::Reach,
        packages: packages(),
        reasons: vec![
            Kept::Requested,
            Kept::Required,
            Kept::Package(Why::Interpreter),
            Kept::NeededBy { path: path("/site/yaml/_yaml.so") },
            Kept::EveryImage,
        ],
        kept: kept(),
        removed: removed(),
        modules: modules(),
    }
}

fn path(text: &str) -> ImagePath {
    ImagePath::parse(text).unwrap()
}

fn packages() -> Vec<Package> {
    let wheel = |name: &str, is_requested, required_by: &[&str]| Package {
        is_requested,
        required_by: required_by.iter().map(|&name| name.to_owned()).collect(),
        ..Package::of(Origin::Wheel { name: name.to_owned(), version: "1".to_owned() })
    };
    let deb = |name: &str, why, required_by: &[&str]| Package {
        why: Some(why),
        required_by: required_by.iter().map(|&name| name.to_owned()).collect(),
        ..Package::of(Origin::Deb { name: name.to_owned(), version: "2".to_owned() })
    };
    vec![
        wheel("tool", true, &[]),
        wheel("yaml", false, &["loader", "tool"]),
        wheel("loader", false, &["tool"]),
        deb("python3", Why::Interpreter, &[]),
        deb("libc6", Why::Dependency { of: "python3".to_owned() }, &["libyaml", "python3"]),
        deb("libyaml", Why::Library { soname: "libyaml.so.0".to_owned(), wheel: "yaml".to_owned() }, &[]),
        Package::of(Origin::Lath),
    ]
}

fn kept() -> Vec<KeptPath> {
    let kept = |text: &str, size_bytes, package, reason| KeptPath {
        path: path(text),
        size_bytes,
        package,
        reason,
        symbol_bytes: 0,
        is_hard_link: false,
    };
    vec![
        kept("/etc/passwd", 10, 6, 4),
        kept("/site/loader.py", 100, 2, 1),
        kept("/site/tool", 0, 0, 0),
        kept("/site/tool/__init__.py", 0, 0, 0),
        kept("/site/tool/data.txt", 1_000, 0, 0),
        kept("/site/tool/main.py", 200, 0, 0),
        kept("/site/yaml/__init__.py", 3_000, 1, 1),
        KeptPath { symbol_bytes: 5_000, ..kept("/site/yaml/_yaml.so", 40_000, 1, 1) },
        kept("/usr/bin/python3", 6_000_000, 3, 2),
        KeptPath { is_hard_link: true, ..kept("/usr/bin/python3.13", 6_000_000, 3, 2) },
        kept("/usr/lib/libyaml.so.0", 150_000, 5, 3),
    ]
}

fn removed() -> Vec<RemovedPath> {
    let removed = |text: &str, size_bytes, package, rule| RemovedPath { path: path(text), size_bytes, package, rule };
    vec![
        removed("/site/yaml/cyaml.py", 4_000, 1, Removed::UnreachedModules),
        removed("/usr/share/doc/libc6/copyright", 9_000, 4, Removed::Documentation),
    ]
}

fn modules() -> Modules {
    let imported = |module: &str| Cause::ImportedBy { module: module.to_owned() };
    let causes = [
        ("tool", vec![Cause::PackageOf { module: "tool.main".to_owned() }]),
        ("tool.main", vec![Cause::Root]),
        ("loader", vec![imported("tool.main")]),
        ("yaml", vec![imported("loader"), imported("tool")]),
    ];
    Modules {
        folders: ["/stdlib/lib-dynload", "/stdlib", "/site"].map(str::to_owned).into(),
        scripts: [("tool".to_owned(), "tool.main".to_owned())].into(),
        started: Vec::new(),
        kept: Vec::new(),
        causes: Some(causes.map(|(module, causes)| (module.to_owned(), causes)).into()),
        cut: ["loader".to_owned()].into(),
    }
}
