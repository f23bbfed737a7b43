//! Tests of trim. The listing of a tree before trim is compared with the listing after trim.

mod conditional;
mod named;
mod reach;
mod removed_data;
mod trace;
mod translations;

use std::collections::{BTreeMap, BTreeSet};

use testkit::elf::elf;

use super::*;
use crate::formats::ldcache::{self, Library};
use crate::formats::mentions::Texts;
use crate::model::assembly::{InstalledScript, Program};
use crate::model::digest::Digest;
use crate::model::image_path::ImagePath;
use crate::model::launch::Started;
use crate::model::locale::Locale;
use crate::model::lock::{LockedDeb, LockedWheel, WheelSource};
use crate::model::platform::{Architecture, PythonVersion};
use crate::model::python_home::{Python, PythonHome};
use crate::model::reason::{Kept, Removed, Why};
use crate::model::request::{TrimLevel, TrimRequest};
use crate::model::trace::Trace;
use crate::model::tree::{Kind, Node, Origin};
use crate::model::user_base::UserBase;
use crate::outside::facts;

const PYTHON: PythonVersion = PythonVersion { major: 3, minor: 13 };
const SITE: &str = "/opt/app/lib/python3.13/site-packages";
const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";

/// An image under construction: files of packages, and the options of trim.
struct Given {
    _home: tempfile::TempDir,
    store: Store,
    assembly: Assembly,
    lock: PlatformLock,
    keep: Vec<String>,
    locales: Vec<Locale>,
    /// The scripts that `-c` names. `Some` means that `--only-scripts` is set.
    only_scripts: Option<Vec<String>>,
    put_back: BTreeSet<ImagePath>,
}

impl Given {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let lock = PlatformLock::example(Vec::new());
        let (assembly, put_back) = (Assembly::default(), BTreeSet::new());
        Self { _home: home, store, assembly, lock, keep: Vec::new(), locales: Vec::new(), only_scripts: None, put_back }
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

    /// Adds the console script `tool` of the requested distribution `tool`. It calls `main` of the module.
    fn with_script(mut self, module: &str) -> Self {
        self.assembly.scripts = vec![InstalledScript {
            name: "tool".to_owned(),
            distribution: "tool".to_owned(),
            module: Some(module.to_owned()),
            attribute: Some("main".to_owned()),
            is_requested: true,
        }];
        self.assembly.programs = vec![Program { name: "tool".to_owned(), ..Program::default() }];
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

    /// Trims with the level `trace`. `record` is the text of a record without its first line.
    fn traced(&self, record: &str) -> Slim {
        let trace = Trace::parse(&format!("lath trace 1\n{record}")).unwrap();
        self.slim_by(TrimLevel::Trace, &[], Some(&trace))
    }

    fn slim_by(&self, level: TrimLevel, keep_modules: &[&str], trace: Option<&Trace>) -> Slim {
        let keep_modules = keep_modules.iter().map(|&name| name.to_owned()).collect();
        let only_scripts = self.only_scripts.is_some();
        let (keep, put_back) = (self.keep.clone(), self.put_back.clone());
        let locales = self.locales.clone();
        let options =
            TrimRequest { keep, keep_modules, locales, only_scripts, put_back, ..TrimRequest::example(level) };
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

/// Returns an image from which every rule removes a path, except the rule that strips symbols.
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
fn modules_of_idle_stay_if_the_user_names_its_package() {
    let given = Given::new().base("libpython3.13-stdlib", &[("/usr/lib/python3.13/idlelib/x.py", b"x")]).deb(
        "idle-python3.13",
        named("idle"),
        &[("/usr/lib/python3.13/idlelib/tooltip.py", b"x")],
    );
    let tree = given.trim();
    assert!(tree.find("/usr/lib/python3.13/idlelib/tooltip.py").is_some());
    assert!(tree.find("/usr/lib/python3.13/idlelib/x.py").is_none());
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
        // A program may contain a copy of libltdl.
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
    // The user did not name the package.
    let required = Given::new().deb("iso-codes", Why::Dependency { of: "gnome".to_owned() }, files);
    assert_eq!(removed_files(&required), ["/usr/share/doc/iso-codes/README", changelog, german]);
    // The larger part of the package is not bulk.
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
    // A script does not count as a program, because `bash-completion` contains a script.
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

/// Returns the last parts of the removed paths, with the reasons.
fn gone(slim: &Slim) -> Vec<String> {
    let removed = slim.tree.removed.iter();
    removed.map(|(path, removal)| format!("{} {}", path.file_name(), removal.reason.id())).collect()
}
