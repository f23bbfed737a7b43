//! Tests of trim: listings in, listings out.

use std::collections::{BTreeMap, BTreeSet};

use testkit::elf::elf;

use super::*;
use crate::formats::ldcache::{self, Library};
use crate::formats::mentions::Texts;
use crate::model::assembly::{InstalledScript, Program};
use crate::model::digest::Digest;
use crate::model::image_path::ImagePath;
use crate::model::launch::Started;
use crate::model::lock::{LockedDeb, LockedWheel, WheelSource};
use crate::model::platform::{Architecture, Platform, PythonVersion};
use crate::model::python_home::{Python, PythonHome};
use crate::model::reason::{Kept, Removed, Why};
use crate::model::request::{TrimLevel, TrimRequest};
use crate::model::trace::Trace;
use crate::model::tree::{Kind, Node, Origin};
use crate::model::user_base::UserBase;
use crate::outside::facts;

const PYTHON: PythonVersion = PythonVersion { major: 3, minor: 13 };
const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";

/// An image under construction: files of packages, and the options of trim.
struct Given {
    _home: tempfile::TempDir,
    store: Store,
    assembly: Assembly,
    lock: PlatformLock,
    keep: Vec<String>,
    /// With `--only-scripts`, the names of `-c`.
    only_scripts: Option<Vec<String>>,
    put_back: BTreeSet<ImagePath>,
}

impl Given {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let platform = Platform { architecture: Architecture::Amd64 };
        let lock = PlatformLock {
            platform,
            wheels: Vec::new(),
            debs: Vec::new(),
            hints: Vec::new(),
            releases: Vec::new(),
            base: None,
        };
        let (assembly, put_back) = (Assembly::default(), BTreeSet::new());
        Self { _home: home, store, assembly, lock, keep: Vec::new(), only_scripts: None, put_back }
    }

    /// Adds a package that every image has.
    fn base(mut self, name: &str, files: &[(&str, &[u8])]) -> Self {
        self = self.deb(name, Why::Interpreter, files);
        self.lock.debs.iter_mut().filter(|deb| deb.name == name).for_each(|deb| deb.is_base = true);
        self
    }

    fn deb(mut self, name: &str, why: Why, files: &[(&str, &[u8])]) -> Self {
        self.lock.debs.push(LockedDeb { why, ..LockedDeb::example(name) });
        self.files(&deb(name), files)
    }

    fn wheel(self, name: &str, files: &[(&str, &[u8])]) -> Self {
        self.files(&Origin::Wheel { name: name.to_owned(), version: "1".to_owned() }, files)
    }

    /// Locks a wheel that the user named.
    fn asked(mut self, name: &str) -> Self {
        self.lock.wheels.push(LockedWheel {
            name: name.to_owned(),
            version: "1".to_owned(),
            file_name: String::new(),
            url: String::new(),
            digest: Digest::of(b""),
            size_bytes: None,
            is_requested: true,
            required_by: Vec::new(),
            source: WheelSource::default(),
            built: None,
        });
        self
    }

    fn files(mut self, origin: &Origin, files: &[(&str, &[u8])]) -> Self {
        for (path, bytes) in files {
            let texts = if matches!(origin, Origin::Deb { .. }) { Texts::All } else { Texts::Scripts };
            let kept = facts::keep_bytes(bytes, texts, &self.store).unwrap();
            let node = Node::file(kept.digest, kept.size_bytes, 0o644, origin.clone());
            self.assembly.facts.add(origin, kept.digest, kept.facts);
            self.assembly.tree.insert(ImagePath::parse(path).unwrap(), node);
        }
        self
    }

    fn link(mut self, path: &str, target: &str, package: &str) -> Self {
        self.assembly.tree.insert(ImagePath::parse(path).unwrap(), Node::link(target, deb(package)));
        self
    }

    fn keep(mut self, glob: &str) -> Self {
        self.keep.push(glob.to_owned());
        self
    }

    fn trim(&self) -> Tree {
        self.slim(TrimLevel::Standard, &[]).tree
    }

    fn slim(&self, level: TrimLevel, keep_modules: &[&str]) -> Slim {
        self.slim_by(level, keep_modules, None)
    }

    /// Trims to the evidence, which is a record without its first line.
    fn traced(&self, record: &str) -> Slim {
        let trace = Trace::parse(&format!("lath trace 1\n{record}")).unwrap();
        self.slim_by(TrimLevel::Trace, &[], Some(&trace))
    }

    fn slim_by(&self, level: TrimLevel, keep_modules: &[&str], trace: Option<&Trace>) -> Slim {
        let keep_modules = keep_modules.iter().map(|&name| name.to_owned()).collect();
        let only_scripts = self.only_scripts.is_some();
        let (keep, put_back) = (self.keep.clone(), self.put_back.clone());
        let options = TrimRequest { level, keep, keep_modules, only_scripts, records: None, put_back };
        let (user_base, started) = (UserBase::example(), Started::default());
        let request = SlimRequest {
            python: Python { version: PYTHON, home: &PythonHome::Release },
            user_base: &user_base,
            scripts: self.only_scripts.as_deref().unwrap_or_default(),
            started: &started,
            options: &options,
            trace,
        };
        trim(&self.assembly, &self.lock, &request, &self.store).unwrap()
    }

    /// Returns the removed and the kept paths, without directories and digests.
    fn trimmed(&self) -> String {
        let tree = self.trim();
        let mut lines: BTreeMap<String, String> = BTreeMap::new();
        for (path, node) in tree.nodes.iter().filter(|(_, node)| node.kind != Kind::Directory) {
            lines.insert(path.to_string(), format!("kept: {}", node.kept.as_ref().unwrap()));
        }
        for (path, removal) in &tree.removed {
            lines.insert(path.to_string(), format!("gone: {}", removal.reason));
        }
        lines.into_iter().map(|(path, line)| format!("{path}  {line}\n")).collect()
    }
}

fn deb(name: &str) -> Origin {
    Origin::Deb { name: name.to_owned(), version: "1".to_owned() }
}

fn named(package: &str) -> Why {
    Why::Named { package: package.to_owned() }
}

#[test]
fn what_goes_has_a_reason_and_what_a_wheel_brings_stays() {
    let given = Given::new()
        .base(
            "d",
            &[
                ("/usr/share/doc/d/changelog.gz", b"x"),
                ("/usr/share/doc/d/copyright", b"x"),
                ("/usr/share/doc/d-more/changelog.gz", b"x"),
                ("/usr/share/man/man1/d.1.gz", b"x"),
                ("/usr/lib/locale/C.utf8/LC_CTYPE", b"x"),
                ("/usr/lib/python3.13/os.py", b"x"),
                ("/usr/lib/python3.13/test/x.py", b"x"),
                ("/usr/lib/python3.13/lib-dynload/_testcapi.so", b"x"),
                ("/usr/share/zoneinfo/right/UTC", b"x"),
                ("/usr/share/zoneinfo/UTC", b"x"),
            ],
        )
        .wheel(
            "w",
            &[
                ("/opt/app/lib/python3.13/site-packages/usr/share/man/x", b"x"),
                ("/opt/app/lib/python3.13/site-packages/w/tests/x.py", b"x"),
            ],
        );
    insta::assert_snapshot!(given.trimmed(), @"
    /opt/app/lib/python3.13/site-packages/usr/share/man/x  kept: needed by a requested distribution
    /opt/app/lib/python3.13/site-packages/w/tests/x.py  kept: needed by a requested distribution
    /usr/lib/locale/C.utf8/LC_CTYPE  kept: the interpreter
    /usr/lib/python3.13/lib-dynload  gone: directories that trim has emptied
    /usr/lib/python3.13/lib-dynload/_testcapi.so  gone: the stdlib's own tests and its IDE
    /usr/lib/python3.13/os.py  kept: the interpreter
    /usr/lib/python3.13/test  gone: directories that trim has emptied
    /usr/lib/python3.13/test/x.py  gone: the stdlib's own tests and its IDE
    /usr/share/doc/d-more  gone: directories that trim has emptied
    /usr/share/doc/d-more/changelog.gz  gone: documentation
    /usr/share/doc/d/changelog.gz  gone: documentation
    /usr/share/doc/d/copyright  kept: the interpreter
    /usr/share/man  gone: directories that trim has emptied
    /usr/share/man/man1  gone: directories that trim has emptied
    /usr/share/man/man1/d.1.gz  gone: manuals
    /usr/share/zoneinfo/UTC  kept: the interpreter
    /usr/share/zoneinfo/right  gone: directories that trim has emptied
    /usr/share/zoneinfo/right/UTC  gone: second copies of time zones, with and without leap seconds
    ");
}

#[test]
fn a_library_stays_where_something_needs_it_or_names_it_and_says_who() {
    let at = |name: &str| format!("{LIBRARIES}/{name}");
    let given = Given::new()
        .base(
            "libs",
            &[
                (&at("libneeded.so.1.2"), &elf(Some("libneeded.so.1"), &["libbelow.so.1"])),
                (&at("libbelow.so.1"), &elf(Some("libbelow.so.1"), &[])),
                (&at("libnamed.so.3"), &elf(Some("libnamed.so.3"), &[])),
                (&at("libidle.so.2.0"), &elf(Some("libidle.so.2"), &["libidle2.so.1"])),
                (&at("libidle2.so.1"), &elf(Some("libidle2.so.1"), &[])),
                (&at("libnss_dns.so.2"), &elf(Some("libnss_dns.so.2"), &[])),
                (&at("libheld.so.1"), &elf(Some("libheld.so.1"), &[])),
                ("/usr/bin/python3.13", &elf(None, &["libneeded.so.1"])),
            ],
        )
        .link(&at("libidle.so.2"), "libidle.so.2.0", "libs")
        .link(&at("libneeded.so.1"), "libneeded.so.1.2", "libs")
        .deb("asked", named("asked"), &[(&at("libasked.so.1"), &elf(Some("libasked.so.1"), &[]))])
        .wheel("w", &[("/opt/app/lib/w.py", b"ctypes.util.find_library('named')")])
        .keep("/usr/lib/*/libheld.so*");
    insta::assert_snapshot!(given.trimmed(), @"
    /opt/app/lib/w.py  kept: needed by a requested distribution
    /usr/bin/python3.13  kept: the interpreter
    /usr/lib/x86_64-linux-gnu/libasked.so.1  kept: `--with asked`
    /usr/lib/x86_64-linux-gnu/libbelow.so.1  kept: needed by /usr/lib/x86_64-linux-gnu/libneeded.so.1.2
    /usr/lib/x86_64-linux-gnu/libheld.so.1  kept: `--keep`
    /usr/lib/x86_64-linux-gnu/libidle.so.2  gone: shared libraries that no kept file needs
    /usr/lib/x86_64-linux-gnu/libidle.so.2.0  gone: shared libraries that no kept file needs
    /usr/lib/x86_64-linux-gnu/libidle2.so.1  gone: shared libraries that no kept file needs
    /usr/lib/x86_64-linux-gnu/libnamed.so.3  kept: named in files of wheel w
    /usr/lib/x86_64-linux-gnu/libneeded.so.1  kept: the interpreter
    /usr/lib/x86_64-linux-gnu/libneeded.so.1.2  kept: needed by /usr/bin/python3.13
    /usr/lib/x86_64-linux-gnu/libnss_dns.so.2  kept: the interpreter
    ");
}

#[test]
fn a_kept_link_keeps_the_file_that_it_leads_to_and_the_libraries_that_this_needs() {
    let at = |name: &str| format!("{LIBRARIES}/{name}");
    let given = Given::new()
        .base(
            "libs",
            &[
                (&at("libheld.so.1.2"), &elf(Some("libheld.so.1"), &["libbelow.so.1"])),
                (&at("libbelow.so.1"), &elf(Some("libbelow.so.1"), &[])),
                (&at("libidle.so.1"), &elf(Some("libidle.so.1"), &[])),
            ],
        )
        .link(&at("libheld.so.1"), "libheld.so.1.2", "libs")
        .keep("**/libheld.so.1");
    insta::assert_snapshot!(given.trimmed(), @"
    /usr/lib/x86_64-linux-gnu/libbelow.so.1  kept: needed by /usr/lib/x86_64-linux-gnu/libheld.so.1.2
    /usr/lib/x86_64-linux-gnu/libheld.so.1  kept: `--keep`
    /usr/lib/x86_64-linux-gnu/libheld.so.1.2  kept: `--keep`
    /usr/lib/x86_64-linux-gnu/libidle.so.1  gone: shared libraries that no kept file needs
    ");
}

#[test]
fn a_kept_directory_stays_though_it_is_empty() {
    let manual: &[(&str, &[u8])] = &[("/usr/share/man/man1/d.1", b"x")];
    let tree = Given::new().base("d", manual).keep("/usr/share/man/man1").trim();
    let removed: Vec<&str> = tree.removed.keys().map(ImagePath::as_str).collect();
    assert_eq!(removed, ["/usr/share/man/man1/d.1"]);
    assert_eq!(tree.find("/usr/share/man/man1").unwrap().1.kept, Some(Kept::Pattern));
    assert_eq!(tree.find("/usr/share").unwrap().1.kept, Some(Kept::Package(Why::Interpreter)));
}

/// Returns an image from which every rule removes something, except the one that strips symbols.
fn everything() -> Given {
    const EMBED: &str = "/opt/app/virtualenv/seed/wheels/embed";
    let table = b"BUNDLE_SUPPORT = {'3.9': {'pip': 'pip-26.0.whl'}, '3.13': {'pip': 'pip-26.3.whl'}}\nMAX = '3.13'";
    let idle = Library { soname: "libidle.so.1".to_owned(), path: format!("{LIBRARIES}/libidle.so.1") };
    let programs = ["basename", "factor", "nice", "shred", "uname"].map(|name| format!("/usr/bin/{name}"));
    let programs: Vec<(&str, &[u8])> = programs.iter().map(|path| (path.as_str(), b"x".as_slice())).collect();
    Given::new()
        .base(
            "base",
            &[
                ("/usr/share/doc/d/changelog.gz", b"x"),
                ("/usr/share/man/man1/d.1.gz", b"x"),
                ("/usr/share/locale/de/LC_MESSAGES/d.mo", b"x"),
                ("/usr/lib/gconv/EBCDIC-US.so", b"x"),
                ("/usr/lib/gconv/UTF-16.so", b"x"),
                ("/usr/include/d.h", b"x"),
                ("/usr/lib/d.la", b"x"),
                ("/usr/share/lintian/d", b"x"),
                ("/etc/init.d/d", b"x"),
                ("/usr/lib/python3.13/test/x.py", b"x"),
                ("/usr/lib/python3.13/lib-dynload/nis.so", &elf(None, &["libnsl.so.2"])),
                ("/usr/lib/python3.13/pydoc_data/topics.py", b"x"),
                ("/usr/lib/python3.13/EXTERNALLY-MANAGED", b"x"),
                ("/usr/bin/zic", b"x"),
                ("/usr/share/zoneinfo/right/UTC", b"x"),
                ("/usr/share/ca-certificates/a.crt", b"x"),
                ("/usr/share/tabset/vt100", b"x"),
                ("/usr/share/perl5/d.pm", b"x"),
                ("/usr/sbin/ldconfig", b"x"),
                (&idle.path, &elf(Some("libidle.so.1"), &[])),
            ],
        )
        .deb("git", named("git"), &[("/usr/bin/scalar", b"x"), ("/usr/lib/git-core/git-http-push", b"x")])
        .deb("coreutils", Why::ScriptsOf { package: "git".to_owned() }, &programs)
        .files(&Origin::Lath, &[("/etc/ssl/certs/ca-certificates.crt", b"x")])
        .files(&Origin::Lath, &[("/etc/ld.so.cache", &ldcache::write(&[idle], Architecture::Amd64))])
        .wheel("distlib", &[("/opt/app/distlib/t64.exe", b"MZ")])
        .wheel("virtualenv", &[(&format!("{EMBED}/__init__.py"), table), (&format!("{EMBED}/pip-26.0.whl"), b"PK")])
}

#[test]
fn no_rule_removes_or_changes_a_path_that_the_user_keeps() {
    let given = everything();
    let trimmed = given.trim();
    let reasons: BTreeSet<&str> = trimmed.removed.values().map(|removal| removal.reason.id()).collect();
    insta::assert_snapshot!(reasons.into_iter().collect::<Vec<_>>().join("\n"), @"
    bundled-certificates
    character-sets
    compiler-files
    documentation
    emptied-directories
    externally-managed
    foreign-seeds
    git-plain-servers
    git-servers
    help-topics
    ldconfig
    libc-maintenance
    locales
    manuals
    packager-files
    perl-modules
    second-time-zones
    service-files
    stdlib-tests
    tab-stops
    unmet-modules
    unnamed-programs
    unneeded-libraries
    windows-launchers
    ");
    let cache = ImagePath::parse("/etc/ld.so.cache").unwrap();
    assert_ne!(trimmed.nodes[&cache].kind, given.assembly.tree.nodes[&cache].kind);

    let whole = given.assembly.tree.digest();
    let kept = given.keep("**").trim();
    assert!(kept.removed.is_empty());
    assert_eq!(kept.digest(), whole);
}

#[test]
fn the_loaders_cache_forgets_what_is_gone() {
    let path = |name: &str| format!("{LIBRARIES}/{name}");
    let library = |name: &str| Library { soname: name.to_owned(), path: path(name) };
    let cache = ldcache::write(&[library("libidle.so.1"), library("libc.so.6")], Architecture::Amd64);
    let given = Given::new()
        .base(
            "libs",
            &[
                (&path("libidle.so.1"), &elf(Some("libidle.so.1"), &[])),
                (&path("libc.so.6"), &elf(Some("libc.so.6"), &[])),
            ],
        )
        .files(&Origin::Lath, &[("/etc/ld.so.cache", &cache)]);
    let tree = given.trim();
    let (_, node) = tree.find("/etc/ld.so.cache").unwrap();
    let bytes = given.store.read(node.digest().unwrap()).unwrap();
    assert_eq!(ldcache::read(&bytes).unwrap(), [library("libc.so.6")]);
}

#[test]
fn an_extension_module_whose_library_was_never_brought_goes() {
    let module = |name: &str| format!("/usr/lib/python3.11/lib-dynload/{name}.so");
    let given = Given::new().base(
        "stdlib",
        &[
            (&module("nis"), &elf(None, &["libnsl.so.2", "libc.so.6"])),
            (&module("zlib"), &elf(None, &["libc.so.6"])),
            (&format!("{LIBRARIES}/libc.so.6"), &elf(Some("libc.so.6"), &[])),
        ],
    );
    insta::assert_snapshot!(given.trimmed(), @"
    /usr/lib/python3.11/lib-dynload/nis.so  gone: extension modules of the stdlib whose library is not in the image
    /usr/lib/python3.11/lib-dynload/zlib.so  kept: the interpreter
    /usr/lib/x86_64-linux-gnu/libc.so.6  kept: the interpreter
    ");
}

#[test]
fn all_character_sets_stay_if_a_file_outside_the_base_converts() {
    let converter = [elf(None, &[]), b"\0iconv_open\0".to_vec()].concat();
    let sets = || {
        Given::new().base(
            "libc6",
            &[
                ("/usr/lib/gconv/gconv-modules.cache", b"x"),
                ("/usr/lib/gconv/gconv-modules.d/gconv-modules-extra.conf", b"x"),
                ("/usr/lib/gconv/EBCDIC-US.so", b"x"),
                ("/usr/lib/libc.so.6", &converter),
            ],
        )
    };
    insta::assert_snapshot!(sets().trimmed(), @"
    /usr/lib/gconv  gone: directories that trim has emptied
    /usr/lib/gconv/EBCDIC-US.so  gone: character sets for iconv
    /usr/lib/gconv/gconv-modules.cache  gone: character sets for iconv
    /usr/lib/gconv/gconv-modules.d  gone: directories that trim has emptied
    /usr/lib/gconv/gconv-modules.d/gconv-modules-extra.conf  gone: character sets for iconv
    /usr/lib/libc.so.6  kept: the interpreter
    ");
    let module: &[(&str, &[u8])] = &[("/opt/app/pymssql/_mssql.so", &converter)];
    for given in [
        sets().wheel("pymssql", module),
        sets().deb("freetds", named("freetds"), module),
        sets().files(&Origin::User, module),
    ] {
        assert!(given.trim().removed.is_empty());
    }
    let idle: &[(&str, &[u8])] =
        &[("/opt/app/w/conv.c", b"iconv_open"), ("/opt/app/w.libs/libstdc++-a1.so.6", &converter)];
    assert_eq!(sets().wheel("w", idle).trim().removed.len(), 5);
}

#[test]
fn la_files_stay_if_the_image_contains_libltdl() {
    const LA: &str = "/usr/lib/x86_64-linux-gnu/coders/png.la";
    let plugins = || Given::new().deb("libmagickcore", named("libmagickcore"), &[(LA, b"dlname='png.so'")]);
    assert_eq!(plugins().trim().removed[&ImagePath::parse(LA).unwrap()].reason, Removed::CompilerFiles);
    let libltdl = [elf(Some("libltdl.so.7"), &[]), b"\0LTDL_LIBRARY_PATH\0".to_vec()].concat();
    let needed = Why::Dependency { of: "libmagickcore".to_owned() };
    for given in [
        plugins().deb("libltdl7", needed, &[(&format!("{LIBRARIES}/libltdl.so.7"), &libltdl)]),
        // A program may contain a copy of the library.
        plugins().wheel("w", &[("/opt/app/w/_plugins.so", &libltdl)]),
    ] {
        assert!(given.trim().removed.is_empty());
    }
    let manual: &[(&str, &[u8])] = &[("/opt/app/w/ltdl.txt", b"LTDL_LIBRARY_PATH")];
    assert!(plugins().wheel("w", manual).trim().find(LA).is_none());
}

#[test]
fn terminfo_entries_stay_and_tab_stops_go() {
    let files: &[(&str, &[u8])] = &[
        ("/etc/terminfo/README", b"x"),
        ("/usr/lib/terminfo/x/xterm", b"x"),
        ("/usr/share/tabset/vt100", b"x"),
        ("/usr/share/terminfo/v/vt100", b"x"),
    ];
    insta::assert_snapshot!(Given::new().base("ncurses-base", files).trimmed(), @"
    /etc  gone: directories that trim has emptied
    /etc/terminfo  gone: directories that trim has emptied
    /etc/terminfo/README  gone: tab stops of old terminals
    /usr/lib/terminfo/x/xterm  kept: the interpreter
    /usr/share/tabset  gone: directories that trim has emptied
    /usr/share/tabset/vt100  gone: tab stops of old terminals
    /usr/share/terminfo/v/vt100  kept: the interpreter
    ");
    assert!(Given::new().deb("ncurses-base", named("ncurses-base"), files).trim().removed.is_empty());
}

/// Returns the paths that trim removes, without directories.
fn removed_files(given: &Given) -> Vec<String> {
    let removed = given.trim().removed.into_iter();
    removed.filter(|(_, gone)| gone.reason != Removed::EmptiedDirectories).map(|(path, _)| path.to_string()).collect()
}

#[test]
fn a_package_that_the_user_named_because_of_its_bulk_stays_whole() {
    let german = "/usr/share/locale/de/LC_MESSAGES/iso_3166-1.mo";
    let files: &[(&str, &[u8])] = &[
        (german, b"many words"),
        ("/usr/share/doc/iso-codes/README", b"x"),
        ("/usr/share/doc/iso-codes/changelog.gz", b"a hundred versions"),
        ("/usr/share/iso-codes/json/iso_3166-1.json", b"few"),
    ];
    let changelog = "/usr/share/doc/iso-codes/changelog.gz";
    assert_eq!(removed_files(&Given::new().deb("iso-codes", named("iso-codes"), files)), [changelog]);
    // Nobody named it.
    let required = Given::new().deb("iso-codes", Why::Dependency { of: "gnome".to_owned() }, files);
    assert_eq!(removed_files(&required), ["/usr/share/doc/iso-codes/README", changelog, german]);
    // The larger part is no bulk.
    let data = Given::new().deb("iso-codes", named("iso-codes"), files);
    let data = data.files(&deb("iso-codes"), &[("/usr/share/iso-codes/all.xml", b"more words than the translations")]);
    assert_eq!(removed_files(&data).len(), 3);
}

#[test]
fn bulk_about_a_program_goes_though_the_user_named_the_program() {
    let wget = |program: &[u8]| {
        let files = [
            ("/usr/bin/wget", program),
            ("/usr/share/locale/de/LC_MESSAGES/wget.mo", &[b'x'; 1000]),
            ("/usr/share/man/man1/wget.1.gz", &[b'x'; 1000]),
        ];
        removed_files(&Given::new().deb("wget", named("wget"), &files)).len()
    };
    assert_eq!(wget(&elf(None, &["libc.so.6"])), 2);
    // A script is not enough: `bash-completion` contains one.
    assert_eq!(wget(b"#!/bin/sh"), 0);
}

#[test]
fn a_metapackage_names_the_packages_that_it_requires() {
    let manual = "/usr/share/doc/python3.13/html/index.html";
    let given = |paperwork: &[(&str, &[u8])]| {
        let mut given = Given::new().deb("python3-doc", named("python3-doc"), paperwork).deb(
            "python3.13-doc",
            Why::Dependency { of: "python3-doc".to_owned() },
            &[(manual, b"text")],
        );
        given.lock.debs[1].required_by = vec!["python3-doc".to_owned()];
        given
    };
    let copyright: (&str, &[u8]) = ("/usr/share/doc/python3-doc/copyright", b"PSF");
    assert!(given(&[copyright]).trim().removed.is_empty());
    assert_eq!(removed_files(&given(&[copyright, ("/usr/lib/viewer.py", b"x")])), [manual]);
}

#[test]
fn of_essential_packages_the_programs_stay_that_a_script_names() {
    let given = Given::new()
        .deb(
            "coreutils",
            Why::ScriptsOf { package: "git".to_owned() },
            &[
                ("/usr/bin/basename", b"x"),
                ("/usr/bin/factor", b"x"),
                ("/usr/bin/nice", b"x"),
                ("/usr/bin/shred", b"x"),
                ("/usr/bin/uname", b"x"),
            ],
        )
        .deb("sed", Why::ScriptsOf { package: "git".to_owned() }, &[("/usr/bin/sed", b"x")])
        .deb("git", named("git"), &[("/usr/lib/git-core/git-submodule", b"#!/bin/sh\n$(basename $0) (uname -s)")])
        .wheel("w", &[("/opt/app/w/hook", b"#!/usr/bin/env bash\nnice"), ("/opt/app/w/a.py", b"# shred it")]);
    insta::assert_snapshot!(given.trimmed(), @"
    /opt/app/w/a.py  kept: needed by a requested distribution
    /opt/app/w/hook  kept: needed by a requested distribution
    /usr/bin/basename  kept: run by scripts of git
    /usr/bin/factor  gone: programs of essential packages that no script names
    /usr/bin/nice  kept: run by scripts of git
    /usr/bin/sed  kept: run by scripts of git
    /usr/bin/shred  gone: programs of essential packages that no script names
    /usr/bin/uname  kept: run by scripts of git
    /usr/lib/git-core/git-submodule  kept: `--with git`
    ");
}

#[test]
fn headers_stay_for_a_compiler_and_for_whoever_names_them() {
    let headers: &[(&str, &[u8])] = &[("/usr/include/x.h", b"x"), ("/usr/lib/libx.a", b"x")];
    let gone = Given::new().deb("libx", Why::Dependency { of: "y".to_owned() }, headers).trim();
    assert_eq!(gone.removed[&ImagePath::parse("/usr/include/x.h").unwrap()].reason, Removed::CompilerFiles);
    let wanted = Given::new().deb("libx-dev", named("libx-dev"), headers).trim();
    let compiler = ("/usr/bin/x86_64-linux-gnu-gcc-14", b"x".as_slice());
    let compiled = Given::new()
        .deb("libx", Why::Dependency { of: "y".to_owned() }, headers)
        .deb("gcc", named("gcc"), &[compiler])
        .trim();
    for tree in [wanted, compiled] {
        assert!(tree.find("/usr/include/x.h").is_some() && tree.find("/usr/lib/libx.a").is_some());
    }
}

#[test]
fn the_texts_of_help_go_where_nobody_names_them() {
    let stdlib: &[(&str, &[u8])] = &[
        ("/usr/lib/python3.13/pydoc.py", b"import pydoc_data.topics"),
        ("/usr/lib/python3.13/pydoc_data/_pydoc.css", b"x"),
        ("/usr/lib/python3.13/pydoc_data/topics.py", b"x"),
    ];
    insta::assert_snapshot!(Given::new().base("stdlib", stdlib).trimmed(), @"
    /usr/lib/python3.13/pydoc.py  kept: the interpreter
    /usr/lib/python3.13/pydoc_data/_pydoc.css  kept: the interpreter
    /usr/lib/python3.13/pydoc_data/topics.py  gone: texts of Python's interactive help
    ");
    let completer: &[(&str, &[u8])] = &[("/opt/app/jedi.py", b"from pydoc_data import topics")];
    let named = Given::new().base("stdlib", stdlib).wheel("jedi", completer);
    assert!(named.trim().removed.is_empty());
}

#[test]
fn ldconfig_gives_place_to_a_script_where_nobody_names_it() {
    const LDCONFIG: &str = "/usr/sbin/ldconfig";
    let cache = |names: &[&str]| {
        let library = |name: &&str| Library { soname: (*name).to_owned(), path: format!("{LIBRARIES}/{name}") };
        ldcache::write(&names.iter().map(library).collect::<Vec<_>>(), Architecture::Amd64)
    };
    let base = || {
        let libraries = [(&*format!("{LIBRARIES}/libc.so.6"), &*elf(Some("libc.so.6"), &[]))];
        Given::new()
            .base("libc-bin", &[(LDCONFIG, &elf(None, &[]))])
            .base("libc6", &libraries)
            .files(&Origin::Lath, &[("/etc/ld.so.cache", &cache(&["libc.so.6", "libgone.so.1"]))])
    };
    let given = base();
    let tree = given.trim();
    let (_, script) = tree.find(LDCONFIG).unwrap();
    assert_eq!((script.mode, &script.origin), (0o755, &Origin::Lath));
    assert_eq!(tree.removed[&ImagePath::parse(LDCONFIG).unwrap()].origin.to_string(), "deb libc-bin");
    let text = String::from_utf8(given.store.read(script.digest().unwrap()).unwrap()).unwrap();
    assert!(text.starts_with("#!/usr/bin/python3.13 -IS\n"), "{text}");
    assert!(text.contains(&format!("\tlibc.so.6 (libc6,x86-64) => {LIBRARIES}/libc.so.6\n\"\"\"\n")), "{text}");
    assert!(!text.contains("libgone"), "{text}");

    let finder: &[(&str, &[u8])] = &[("/opt/app/f.py", b"from ctypes.util import find_library")];
    for kept in [base().wheel("finder", finder), base().keep("**/ldconfig")] {
        let tree = kept.trim();
        assert_ne!(tree.find(LDCONFIG).unwrap().1.origin, Origin::Lath);
    }
}

#[test]
fn launchers_for_windows_go_and_other_programs_of_wheels_stay() {
    let given = Given::new().wheel(
        "w",
        &[
            ("/opt/app/distlib/t64.exe", b"MZ"),
            ("/opt/app/pip/_vendor/distlib/w64-arm.exe", b"MZ"),
            ("/opt/app/pypsexec/paexec.exe", b"MZ"),
            ("/opt/app/setuptools/gui-32.exe", b"MZ"),
            ("/opt/app/tool/t64.exe", b"MZ"),
        ],
    );
    insta::assert_snapshot!(given.trimmed(), @"
    /opt/app/distlib/t64.exe  gone: programs that start scripts on Windows
    /opt/app/pip/_vendor/distlib/w64-arm.exe  gone: programs that start scripts on Windows
    /opt/app/pypsexec/paexec.exe  kept: needed by a requested distribution
    /opt/app/setuptools/gui-32.exe  gone: programs that start scripts on Windows
    /opt/app/tool/t64.exe  kept: needed by a requested distribution
    ");
}

#[test]
fn seeds_of_other_pythons_go_where_no_other_python_is_or_comes() {
    const EMBED: &str = "/opt/app/virtualenv/seed/wheels/embed";
    let table = b"BUNDLE_SUPPORT = {'3.9': {'pip': 'pip-26.0.whl'}, '3.13': {'pip': 'pip-26.3.whl'}}\nMAX = '3.13'";
    let names = ["__init__.py", "pip-26.0.whl", "pip-26.3.whl"].map(|name| format!("{EMBED}/{name}"));
    let files = [(names[0].as_str(), table.as_slice()), (&names[1], b"PK"), (&names[2], b"PK")];
    let virtualenv = || Given::new().wheel("virtualenv", &files);
    insta::assert_snapshot!(virtualenv().trimmed(), @"
    /opt/app/virtualenv/seed/wheels/embed/__init__.py  kept: needed by a requested distribution
    /opt/app/virtualenv/seed/wheels/embed/pip-26.0.whl  gone: virtualenv's wheels for Pythons that the image does not have
    /opt/app/virtualenv/seed/wheels/embed/pip-26.3.whl  kept: needed by a requested distribution
    ");
    let hatch: (&str, &[u8]) = ("/opt/app/hatch/python.py", b"'https://host/python-build-standalone/releases'");
    let other: (&str, &[u8]) = ("/srv/py/bin/python3.9", b"\x7fELF");
    for all in [
        virtualenv().wheel("hatch", &[hatch]),
        virtualenv().files(&Origin::User, &[other]),
        virtualenv().keep("**/*.whl"),
        virtualenv().asked("virtualenv"),
        Given::new().files(&Origin::User, &files),
    ] {
        assert!(all.trim().removed.is_empty());
    }
}

#[test]
fn the_mark_that_keeps_pip_out_goes_unless_apt_manages_the_image() {
    let mark = "/usr/lib/python3.13/EXTERNALLY-MANAGED";
    let given = || {
        Given::new()
            .base("libpython3.13-stdlib", &[(mark, b"[externally-managed]"), ("/usr/lib/python3.13/os.py", b"")])
    };
    let trimmed = given().trim();
    let gone: Vec<_> = trimmed.removed.iter().map(|(path, removal)| (path.as_str(), removal.reason)).collect();
    assert_eq!(gone, [(mark, Removed::ExternallyManaged)]);
    let why = Why::Named { package: "apt".to_owned() };
    let with_apt = given().deb("apt", why, &[("/usr/bin/apt-get", b"x")]).trim();
    assert!(with_apt.removed.is_empty());
}

/// Returns an image with a program that imports a part of another distribution.
fn with_program() -> Given {
    let mut given = Given::new()
        .base("stdlib", &[("/usr/lib/python3.13/os.py", b"x"), ("/usr/lib/python3.13/json/tool.py", b"y")])
        .asked("tool")
        .wheel(
            "tool",
            &[
                ("/opt/app/lib/python3.13/site-packages/tool/__init__.py", b"'tool'"),
                ("/opt/app/lib/python3.13/site-packages/tool/cli.py", b"from helper import used"),
                ("/opt/app/lib/python3.13/site-packages/tool/cli.pyi", b"..."),
                ("/opt/app/lib/python3.13/site-packages/tool/data.txt", b"data"),
                ("/opt/app/lib/python3.13/site-packages/tool/tests/test_a.py", b"import tool"),
                ("/opt/app/lib/python3.13/site-packages/tool/tests/a.json", b"{}"),
            ],
        )
        .wheel(
            "helper",
            &[
                ("/opt/app/lib/python3.13/site-packages/helper/__init__.py", b"'helper'"),
                ("/opt/app/lib/python3.13/site-packages/helper/used.py", b"'used'"),
                ("/opt/app/lib/python3.13/site-packages/helper/other.py", b"import json.tool"),
                ("/opt/app/lib/python3.13/site-packages/helper/fast.hpp", b"int x;"),
                ("/opt/app/bin/helper", b"#!"),
            ],
        );
    let script = |name: &str, module: &str, is_requested| InstalledScript {
        name: name.to_owned(),
        distribution: name.to_owned(),
        module: Some(module.to_owned()),
        attribute: Some("main".to_owned()),
        is_requested,
    };
    given.assembly.scripts = vec![script("helper", "helper.other", false), script("tool", "tool.cli", true)];
    given.assembly.programs = vec![Program { name: "tool".to_owned(), ..Program::default() }];
    given
}

/// Returns the last parts of the removed paths, with the reasons.
fn gone(slim: &Slim) -> Vec<String> {
    let removed = slim.tree.removed.iter();
    removed.map(|(path, removal)| format!("{} {}", path.file_name(), removal.reason.id())).collect()
}

#[test]
fn a_module_that_a_check_needs_stays_with_its_imports() {
    let path = ImagePath::parse("/opt/app/lib/python3.13/site-packages/helper/other.py").unwrap();
    let given = Given { put_back: [path.clone()].into(), ..with_program() };
    let slim = given.slim(TrimLevel::Reach, &[]);
    assert_eq!(slim.tree.nodes[&path].kept, Some(Kept::PutBack));
    assert_eq!(
        gone(&slim),
        ["fast.hpp extension-sources", "cli.pyi type-stubs", "a.json test-suites", "test_a.py unreached-modules"]
    );
    let data = ImagePath::parse("/opt/app/lib/python3.13/site-packages/tool/tests/a.json").unwrap();
    let given = Given { put_back: [data.clone()].into(), ..with_program() };
    assert!(given.slim(TrimLevel::Reach, &[]).tree.nodes.contains_key(&data));
}

#[test]
fn reach_removes_modules_that_no_program_can_import() {
    let given = with_program();
    assert!(given.trim().removed.is_empty());
    let slim = given.slim(TrimLevel::Reach, &[]);
    assert_eq!(slim.notes, [""; 0]);
    assert_eq!(
        gone(&slim),
        [
            "helper unreached-modules",
            "fast.hpp extension-sources",
            "other.py unreached-modules",
            "cli.pyi type-stubs",
            "a.json test-suites",
            "test_a.py unreached-modules",
            "json emptied-directories",
            "tool.py unreached-modules",
        ]
    );
    let kept = given.slim(TrimLevel::Reach, &["helper"]);
    assert!(
        gone(&kept).iter().all(|line| !line.starts_with("other.py") && !line.starts_with("tool.py")),
        "{:?}",
        gone(&kept)
    );
}

#[test]
fn an_image_that_runs_code_of_its_users_keeps_all_modules() {
    let cli: &[u8] = b"import runpy, sys; runpy.run_path(sys.argv[1])";
    let path = "/opt/app/lib/python3.13/site-packages/tool/cli.py";
    let slim = with_program().wheel("tool", &[(path, cli)]).slim(TrimLevel::Reach, &[]);
    assert_eq!(slim.notes, ["`--trim reach` keeps all modules: the module `tool.cli` runs code that it is given"]);
    assert_eq!(gone(&slim), ["fast.hpp extension-sources", "cli.pyi type-stubs"]);
    let mut known = with_program();
    known.assembly.programs.push(Program { name: "pytest".to_owned(), ..Program::default() });
    let host = known.wheel("pytest", &[("/opt/app/lib/python3.13/site-packages/pytest.py", b"'pytest'")]);
    let notes = host.slim(TrimLevel::Reach, &[]).notes;
    assert_eq!(notes, ["`--trim reach` keeps all modules: `pytest` runs code of its users"]);
}

/// Returns the path and the lines of the module that names the removed ones.
fn tombstones(given: &Given, slim: &Slim) -> Option<(String, Vec<String>)> {
    let node = slim.tree.nodes.iter().find(|(_, node)| node.kept == Some(Kept::RemovedNames));
    let (path, node) = node?;
    assert_eq!(node.origin, Origin::Lath);
    let text = String::from_utf8(given.store.read(node.digest().unwrap()).unwrap()).unwrap();
    let lines = text.lines().skip_while(|line| !line.starts_with("REMOVED")).skip(1);
    Some((path.to_string(), lines.take_while(|line| *line != "\"\"\"").map(str::to_owned).collect()))
}

#[test]
fn removed_modules_are_named_by_the_highest_package_that_is_gone() {
    let site = SITE;
    let given = with_program()
        .base("stdlib", &[("/usr/lib/python3.13/test/__init__.py", b""), ("/usr/lib/python3.13/test/a/b.py", b"")])
        .wheel(
            "helper",
            &[(&format!("{site}/space/one/two.py"), b"''"), (&format!("{site}/helper/not-a-name.py"), b"")],
        );
    assert_eq!(tombstones(&given, &given.slim(TrimLevel::Standard, &[])), None);
    let (path, lines) = tombstones(&given, &given.slim(TrimLevel::Reach, &[])).unwrap();
    assert_eq!(path, format!("{site}/sitecustomize.py"));
    assert_eq!(
        lines,
        [
            "helper.other unreached-modules --keep-module helper.other",
            "json unreached-modules --keep-module json",
            "space unreached-modules --keep-module space",
            "test stdlib-tests --keep /usr/lib/python3.13/test/**",
            "tool.tests unreached-modules --keep-module tool.tests",
        ]
    );
}

#[test]
fn the_names_of_removed_modules_replace_debians_hook_and_no_other_file() {
    let path = "/usr/lib/python3.13/sitecustomize.py";
    let debian = |text: &[u8]| {
        let given = with_program().base("stdlib", &[("/etc/python3.13/sitecustomize.py", text)]);
        given.link(path, "/etc/python3.13/sitecustomize.py", "stdlib")
    };
    let hook = debian(b"try:\n    import apport_python_hook\nexcept ImportError: pass");
    let slim = hook.slim(TrimLevel::Reach, &[]);
    assert_eq!(tombstones(&hook, &slim).unwrap().0, path);
    assert_eq!(slim.tree.removed[&ImagePath::parse("/etc/python3.13").unwrap()].reason, Removed::EmptiedDirectories);
    let none = |given: Given| assert_eq!(tombstones(&given, &given.slim(TrimLevel::Reach, &[])), None);
    none(debian(b"import other"));
    none(hook.keep("/etc/python3.13/*"));
    let apport: &[u8] = b"def install(): pass";
    none(debian(b"import apport_python_hook").deb(
        "apport",
        named("apport"),
        &[("/usr/lib/python3/dist-packages/apport_python_hook.py", apport)],
    ));
    none(with_program().wheel("own", &[("/opt/app/lib/python3.13/site-packages/sitecustomize.py", b"x = 1")]));
}

const SITE: &str = "/opt/app/lib/python3.13/site-packages";

/// Returns the names of the files that `reach` removes if `helper` has these files, too.
fn gone_with(files: &[(&str, &[u8])]) -> Vec<String> {
    let files: Vec<(String, &[u8])> = files.iter().map(|(path, bytes)| (format!("{SITE}/{path}"), *bytes)).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path.as_str(), *bytes)).collect();
    let slim = with_program().wheel("helper", &files).slim(TrimLevel::Reach, &[]);
    assert_eq!(slim.notes, [""; 0]);
    gone(&slim)
}

fn names_no(gone: &[String], name: &str) -> bool {
    gone.iter().all(|line| !line.starts_with(name))
}

#[test]
fn files_for_developers_go_unless_a_python_file_names_them() {
    let files: [(&str, &[u8]); 7] = [
        ("helper/fast.h", b"int x;"),
        ("helper/static/a.js", b"a"),
        ("helper/static/a.js.map", b"{}"),
        ("helper/static/b.map", b"{}"),
        ("helper/types.pyi", b"x: int"),
        ("helper-1.dist-info/METADATA", b"Name: helper"),
        ("helper-1.dist-info/sboms/helper.cdx.json", b"{}"),
    ];
    let gone = gone_with(&files);
    for line in [
        "fast.h extension-sources",
        "a.js.map source-maps",
        "types.pyi type-stubs",
        "helper.cdx.json bills-of-materials",
    ] {
        assert!(gone.iter().any(|gone| gone == line), "{line}: {gone:?}");
    }
    for name in ["a.js ", "b.map", "METADATA"] {
        assert!(names_no(&gone, name), "{name}: {gone:?}");
    }
    let named: (&str, &[u8]) = ("helper/used.py", b"CODE = open(HERE + '/fast.h')");
    let gone = gone_with(&[files.as_slice(), &[named]].concat());
    assert!(names_no(&gone, "fast.h ") && !names_no(&gone, "fast.hpp"), "{gone:?}");
    let mut compiling = with_program().asked("torch");
    compiling.lock.wheels[1].is_requested = false;
    assert!(names_no(&self::gone(&compiling.slim(TrimLevel::Reach, &[])), "fast.hpp"));
}

#[test]
fn a_source_goes_only_if_its_extension_module_is_beside_it() {
    let gone = gone_with(&[
        ("helper/made.c", b"int x;"),
        ("helper/made.cpython-313-x86_64-linux-gnu.so", b""),
        ("helper/template.c", b"int x;"),
    ]);
    assert!(!names_no(&gone, "made.c ") && names_no(&gone, "template.c"), "{gone:?}");
}

#[test]
fn a_script_that_is_a_file_of_its_wheel_keeps_what_it_imports() {
    let given = |text: &[u8], is_requested| {
        let mut given = with_program().wheel("tool", &[("/opt/app/bin/old.py", text)]);
        given.assembly.scripts.push(InstalledScript {
            name: "old.py".to_owned(),
            distribution: "tool".to_owned(),
            module: None,
            attribute: None,
            is_requested,
        });
        gone(&given.slim(TrimLevel::Reach, &[]))
    };
    let python = b"#!/usr/bin/python3\nimport helper.other\n";
    for name in ["other.py", "tool.py", "old.py"] {
        assert!(names_no(&given(python, true), name), "{name}");
    }
    let unexposed = given(python, false);
    assert!(!names_no(&unexposed, "other.py") && !names_no(&unexposed, "old.py"), "{unexposed:?}");
    assert!(!names_no(&given(b"\x7fELF", true), "other.py"));
}

#[test]
fn a_script_whose_entry_point_names_the_file_of_a_package_stays() {
    let mut given = with_program();
    given.assembly.scripts[1].module = Some("tool.__init__".to_owned());
    assert!(names_no(&gone(&given.slim(TrimLevel::Reach, &[])), "tool "));
}

#[test]
fn a_file_that_python_cannot_compile_keeps_its_distribution() {
    let python_2: &[u8] = b"print 'x'";
    let deep = format!("import x\n{}", "(".repeat(100_000));
    for bytes in [python_2, b"import x\ndef f(:", b"\xff\xfe\0\x01", deep.as_bytes()] {
        let gone = gone_with(&[("helper/used.py", bytes)]);
        assert!(names_no(&gone, "other.py") && names_no(&gone, "tool.py"), "{gone:?}");
    }
    assert!(!names_no(&gone_with(&[("helper/used.py", b"del __file__")]), "other.py"));
}

#[test]
fn a_generated_module_of_10_mb_is_read() {
    let table = format!("DATA = '''{}'''\nimport json.tool\n", "0123456789abcdef\n".repeat(600_000));
    let gone = gone_with(&[("helper/used.py", table.as_bytes())]);
    assert!(names_no(&gone, "tool.py") && !names_no(&gone, "other.py"), "{gone:?}");
}

#[test]
fn bytecode_without_its_source_keeps_its_distribution() {
    let bytecode: (&str, &[u8]) = ("helper/old.pyc", b"\xcb\r\xda\x09json.tool\xe3");
    let used: (&str, &[u8]) = ("helper/used.py", b"from . import old");
    let gone = gone_with(&[bytecode, used]);
    assert!(names_no(&gone, "other.py") && names_no(&gone, "tool.py"), "{gone:?}");
    assert!(!names_no(&gone_with(&[bytecode]), "old.pyc"), "nothing imports the file");
}

#[test]
fn all_modules_stay_that_a_pth_file_adds() {
    let with_pth = |line: &str| {
        let lines = format!("# comment\nimport sys\n{line}\n/missing\n");
        with_program()
            .wheel("helper", &[(&format!("{SITE}/helper.pth"), lines.as_bytes())])
            .wheel("helper", &[(&format!("{SITE}/added/more.py"), b"import json.tool")])
            .wheel("helper", &[(&format!("{SITE}/code.zip"), b"PK")])
    };
    for line in ["added", "./added", &format!("{SITE}/added")] {
        let gone = gone(&with_pth(line).slim(TrimLevel::Reach, &[]));
        assert!(names_no(&gone, "more.py") && names_no(&gone, "tool.py"), "{line}: {gone:?}");
        assert!(!names_no(&gone, "other.py"), "{line}: {gone:?}");
    }
    assert!(!names_no(&gone(&with_pth("missing").slim(TrimLevel::Reach, &[])), "more.py"));
    let archive = with_pth("code.zip").slim(TrimLevel::Reach, &[]);
    assert_eq!(
        archive.notes,
        [format!("`--trim reach` keeps all modules: `{SITE}/code.zip` is an archive with modules")]
    );
    assert!(names_no(&gone(&archive), "other.py"));
}

#[test]
fn with_only_scripts_the_modules_of_other_scripts_go() {
    let mut given = with_program()
        .wheel("tool", &[(&format!("{SITE}/tool/__main__.py"), b"'main'")])
        .wheel("tool", &[(&format!("{SITE}/tool/admin.py"), b"import json.tool"), ("/opt/app/bin/tool-admin", b"#!")]);
    given.assembly.scripts.push(InstalledScript {
        name: "tool-admin".to_owned(),
        distribution: "tool".to_owned(),
        module: Some("tool.admin".to_owned()),
        attribute: Some("main".to_owned()),
        is_requested: true,
    });
    let gone = |given: &Given| self::gone(&given.slim(TrimLevel::Reach, &[]));
    assert!(names_no(&gone(&given), "admin.py") && names_no(&gone(&given), "tool-admin"));
    given.only_scripts = Some(vec!["tool".to_owned()]);
    for name in ["admin.py", "tool-admin", "__main__.py", "tool.py"] {
        assert!(!names_no(&gone(&given), name), "{name}: {:?}", gone(&given));
    }
    assert!(names_no(&gone(&given), "cli.py "));
    // Without a name, all scripts stay.
    given.only_scripts = Some(Vec::new());
    assert!(names_no(&gone(&given), "admin.py"));
}

#[test]
fn an_option_that_keeps_nothing_is_a_warning() {
    let given = with_program().keep("/nowhere/*").keep("/opt/app/bin/*");
    let warnings = |keep_modules: &[&str]| given.slim(TrimLevel::Reach, keep_modules).warnings;
    let pattern = "`--keep /nowhere/*` matches no path of the image";
    assert_eq!(warnings(&["helper", "json.tool", "json"]), [pattern]);
    assert_eq!(
        warnings(&["helpe", "json."]),
        [pattern, "`--keep-module helpe` is no module of the image", "`--keep-module json.` is no module of the image"]
    );
}

/// Returns an image with a program that computes names of modules and reads data.
fn with_plugins() -> Given {
    let mut given = Given::new().base("stdlib", &[("/usr/lib/python3.13/os.py", b"x")]).asked("tool").wheel(
        "tool",
        &[
            ("/opt/app/lib/python3.13/site-packages/tool/__init__.py", b"'tool'"),
            (
                "/opt/app/lib/python3.13/site-packages/tool/cli.py",
                b"import importlib, sys\nimportlib.import_module('tool.plugins.' + sys.argv[1])\nopen('named.json')",
            ),
            ("/opt/app/lib/python3.13/site-packages/tool/plugins/__init__.py", b"''"),
            ("/opt/app/lib/python3.13/site-packages/tool/plugins/used.py", b"def f(): from . import later"),
            ("/opt/app/lib/python3.13/site-packages/tool/plugins/later.py", b"'later'"),
            ("/opt/app/lib/python3.13/site-packages/tool/plugins/unused.py", b"'unused'"),
            ("/opt/app/lib/python3.13/site-packages/tool/one.txt", b"1"),
            ("/opt/app/lib/python3.13/site-packages/tool/two.txt", b"2"),
            ("/opt/app/lib/python3.13/site-packages/tool/three.bin", b"3"),
            ("/opt/app/lib/python3.13/site-packages/tool/named.json", b"{}"),
            ("/opt/app/lib/python3.13/site-packages/tool/data/a/x.dat", b"x"),
            ("/opt/app/lib/python3.13/site-packages/tool/data/y.dat", b"y"),
            ("/opt/app/lib/python3.13/site-packages/tool-1.dist-info/METADATA", b"Name: tool"),
            ("/opt/app/share/tool/a/z", b"z"),
        ],
    );
    given.assembly.scripts = vec![InstalledScript {
        name: "tool".to_owned(),
        distribution: "tool".to_owned(),
        module: Some("tool.cli".to_owned()),
        attribute: Some("main".to_owned()),
        is_requested: true,
    }];
    given.assembly.programs = vec![Program { name: "tool".to_owned(), ..Program::default() }];
    given
}

const OF_TOOL: &str = "/opt/app/lib/python3.13/site-packages/tool";

#[test]
fn trace_keeps_modules_that_were_used_and_those_to_which_import_statements_lead() {
    assert_eq!(gone(&with_plugins().slim(TrimLevel::Reach, &[])), [""; 0]);
    let slim = with_plugins().traced(&format!("open {OF_TOOL}/plugins/used.py\nlist {OF_TOOL}/plugins\n"));
    assert_eq!(slim.notes, [""; 0]);
    let unused = [
        "x.dat untraced-data",
        "y.dat untraced-data",
        "one.txt untraced-data",
        "unused.py untraced-modules",
        "three.bin untraced-data",
        "two.txt untraced-data",
        "z untraced-data",
    ];
    assert_eq!(gone(&slim), unused);
}

#[test]
fn trace_keeps_data_that_belongs_to_data_that_was_used() {
    let of = |record: &str| {
        let slim = with_plugins().traced(&record.replace("TOOL", OF_TOOL));
        let data: Vec<String> = gone(&slim).into_iter().filter(|line| line.ends_with("untraced-data")).collect();
        data.iter().map(|line| line.trim_end_matches(" untraced-data").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of("stat TOOL/one.txt\n"), ["x.dat", "y.dat", "three.bin", "z"]);
    assert_eq!(of("open TOOL/data/a/x.dat\n"), ["one.txt", "three.bin", "two.txt", "z"]);
    assert_eq!(of("list TOOL/data/a\n"), ["one.txt", "three.bin", "two.txt", "z"]);
    // Each import lists the folder of its package.
    assert_eq!(of("list TOOL\nlist /opt/app/share\n").len(), 6);
    assert_eq!(of("list /opt/app/share/tool\n").len(), 5);
    let kept = with_plugins().keep("**/*.dat").traced("");
    assert!(gone(&kept).iter().all(|line| !line.contains(".dat")), "{:?}", gone(&kept));
}

#[test]
fn trace_removes_no_more_than_reach_from_an_image_that_runs_code_of_its_users() {
    let cli: &[u8] = b"import runpy, sys; runpy.run_path(sys.argv[1])";
    let slim = with_plugins().wheel("tool", &[(&format!("{OF_TOOL}/cli.py"), cli)]).traced("");
    assert_eq!(
        slim.notes,
        [
            "`--trim reach` keeps all modules: the module `tool.cli` runs code that it is given",
            "`--trim trace` removes no more than `reach`: the module `tool.cli` runs code that it is given",
        ]
    );
    assert_eq!(gone(&slim), [""; 0]);
}

#[test]
fn programs_that_are_no_modules_keep_all_that_they_import() {
    let stays = |given: &Given| {
        let slim = given.slim(TrimLevel::Reach, &[]);
        assert_eq!(slim.notes, [""; 0]);
        ["json/tool.py", "helper/other.py", "bin/old.py", "bin/unused.py"]
            .map(|end| slim.tree.nodes.keys().any(|path| path.as_str().ends_with(end)))
    };
    let mut given = with_program();
    assert_eq!(stays(&given), [false; 4]);
    // A script that the wheel contains as a file, of the requested distribution and of another.
    let script = |name: &str, is_requested| InstalledScript {
        name: name.to_owned(),
        distribution: "tool".to_owned(),
        module: None,
        attribute: None,
        is_requested,
    };
    given.assembly.scripts.extend([script("old.py", true), script("unused.py", false)]);
    let given = given.wheel(
        "tool",
        &[
            ("/opt/app/bin/old.py", b"#!/usr/bin/python3\nimport json.tool"),
            ("/opt/app/bin/unused.py", b"import helper.other"),
        ],
    );
    assert_eq!(stays(&given), [true, false, true, false]);
    // It stays if a file that is reached names it.
    let naming =
        given.wheel("tool", &[("/opt/app/lib/python3.13/site-packages/tool/__init__.py", b"run('unused.py')")]);
    assert_eq!(stays(&naming), [true; 4]);
    // The files of the user.
    let own = with_program().files(&Origin::User, &[("/srv/main.py", b"def f():\n    from helper import other")]);
    assert_eq!(stays(&own), [true, true, false, false]);
}
