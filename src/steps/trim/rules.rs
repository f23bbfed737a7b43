//! The table of rules for paths: files of Debian packages that no program needs at run time, and files of wheels for
//! other systems.

use super::Base;
use crate::model::image_path::ImagePath;
use crate::model::reason::Removed;
use crate::model::tree::{Kind, Node, Origin, Tree};

/// A rule: the files that it removes from Debian packages, and the reason shown to the user.
struct Rule {
    reason: Removed,
    takes: fn(&ImagePath, &Package<'_>) -> bool,
}

/// The package that a path belongs to, and the image around it.
struct Package<'a> {
    name: &'a str,
    is_base: bool,
    image: &'a Image,
}

/// The properties of the whole image that rules depend on.
struct Image {
    has_compiler: bool,
    has_perl: bool,
    has_bundle: bool,
}

/// In order: the first rule that matches a path gives the reason. All rules concern Debian packages only.
const RULES: [Rule; 14] = [
    Rule { reason: Removed::Documentation, takes: |path, _| is_documentation(path) },
    Rule { reason: Removed::Manuals, takes: |path, _| any_within(path, &["/usr/share/man", "/usr/share/info"]) },
    Rule { reason: Removed::Locales, takes: is_locale },
    Rule { reason: Removed::CharacterSets, takes: |path, _| is_gconv(path) && !is_usual_character_set(path) },
    Rule { reason: Removed::CompilerFiles, takes: is_for_compilers },
    Rule { reason: Removed::PackagerFiles, takes: |path, _| any_within(path, &FOR_PACKAGERS) },
    Rule { reason: Removed::ServiceFiles, takes: |path, _| any_within(path, &FOR_SERVICES) },
    Rule { reason: Removed::StdlibTests, takes: |path, _| is_stdlib_test(path) },
    Rule { reason: Removed::LibcMaintenance, takes: |path, _| is_libc_maintenance(path) },
    Rule { reason: Removed::SecondTimeZones, takes: is_second_time_zone },
    Rule { reason: Removed::BundledCertificates, takes: is_bundled_certificate },
    Rule { reason: Removed::PerlModules, takes: is_for_perl },
    Rule { reason: Removed::GitServers, takes: is_aside_of_git },
    Rule { reason: Removed::GitPlainServers, takes: is_for_plain_servers },
];

/// Returns each path of `tree` that a rule removes, with the reason.
pub(super) fn taken(tree: &Tree, base: &Base) -> Vec<(ImagePath, Removed)> {
    let image = Image {
        has_compiler: tree.nodes.keys().any(is_compiler),
        has_perl: tree.find("/usr/bin/perl").is_some(),
        has_bundle: tree.find("/etc/ssl/certs/ca-certificates.crt").is_some(),
    };
    let reason = |path: &ImagePath, node: &Node| {
        let name = match &node.origin {
            _ if node.kind == Kind::Directory => return None,
            Origin::Deb { name, .. } => name,
            Origin::Wheel { .. } => return is_windows_launcher(path).then_some(Removed::WindowsLaunchers),
            Origin::Lath | Origin::User => return None,
        };
        let package = Package { name, is_base: base.has(&node.origin), image: &image };
        RULES.iter().find(|rule| (rule.takes)(path, &package)).map(|rule| rule.reason)
    };
    tree.nodes.iter().filter_map(|(path, node)| Some((path.clone(), reason(path, node)?))).collect()
}

const FOR_PACKAGERS: [&str; 11] = [
    "/usr/share/lintian",
    "/usr/share/bug",
    "/usr/share/applications",
    "/usr/share/pixmaps",
    "/usr/share/bash-completion",
    "/etc/bash_completion.d",
    "/usr/share/zsh",
    "/usr/share/binfmts",
    "/usr/share/debconf",
    "/var/lib/dpkg/info",
    "/usr/share/menu",
];

const FOR_SERVICES: [&str; 11] = [
    "/etc/apt",
    "/etc/cron.d",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/etc/init.d",
    "/etc/logrotate.d",
    "/usr/lib/init",
    "/usr/lib/systemd/system",
    "/usr/lib/systemd/user",
    "/usr/lib/sysusers.d",
    "/usr/lib/tmpfiles.d",
];

fn any_within(path: &ImagePath, directories: &[&str]) -> bool {
    directories.iter().any(|directory| path.is_within(directory))
}

fn is_documentation(path: &ImagePath) -> bool {
    let is_copyright = path.file_name() == "copyright";
    any_within(path, &["/usr/share/doc", "/usr/share/doc-base"]) && !is_copyright
}

/// If the user names a package of locales, its locales stay.
fn is_locale(path: &ImagePath, package: &Package<'_>) -> bool {
    let is_asked = package.name.starts_with("locales") || package.name.starts_with("language-pack-");
    let is_supported = path.is_within("/usr/lib/locale/C.utf8") || path.is_within("/usr/lib/locale/C.UTF-8");
    any_within(path, &["/usr/share/locale", "/usr/share/i18n", "/usr/lib/locale"]) && !is_supported && !is_asked
}

pub(super) fn is_gconv(path: &ImagePath) -> bool {
    path.as_str().contains("/gconv/")
}

/// The character sets that glibc's packagers keep in their smallest package: Unicode and western European sets.
fn is_usual_character_set(path: &ImagePath) -> bool {
    const USUAL: [&str; 10] = [
        "ANSI_X3.110.so",
        "CP1252.so",
        "ISO8859-1.so",
        "ISO8859-15.so",
        "UNICODE.so",
        "UTF-16.so",
        "UTF-32.so",
        "UTF-7.so",
        "gconv-modules",
        "gconv-modules-extra.conf",
    ];
    USUAL.contains(&path.file_name())
}

/// If the image contains a compiler, or the user named a package of headers, we assume that the user wants to compile
/// in the image.
fn is_for_compilers(path: &ImagePath, package: &Package<'_>) -> bool {
    let is_wanted = package.image.has_compiler || package.name.ends_with("-dev");
    let is_such = any_within(path, &["/usr/include", "/usr/share/aclocal", "/usr/share/gir-1.0"])
        || path.as_str().ends_with(".a")
        || path.as_str().ends_with(".la")
        || path.as_str().contains("/pkgconfig/");
    is_such && !is_wanted
}

fn is_compiler(path: &ImagePath) -> bool {
    const COMPILERS: [&str; 7] = ["c++", "cc", "clang", "cpp", "g++", "gcc", "tcc"];
    let name = path.file_name();
    // `gcc-14`, `x86_64-linux-gnu-gcc-14`.
    let unversioned =
        name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.').trim_end_matches('-');
    path.is_within("/usr/bin")
        && COMPILERS.iter().any(|compiler| {
            unversioned == *compiler || unversioned.strip_suffix(compiler).is_some_and(|before| before.ends_with('-'))
        })
}

/// The extension modules of the tests, and `test`, `idlelib` and `turtledemo`. Debian puts the latter into separate
/// packages, except for a few files.
fn is_stdlib_test(path: &ImagePath) -> bool {
    let mut components = path.components();
    let is_stdlib = components.next() == Some("usr")
        && components.next() == Some("lib")
        && components.next().is_some_and(|name| name.starts_with("python3."));
    let name = components.next();
    let is_module = name == Some("lib-dynload")
        && ["_test", "_ctypes_test.", "_xxtestfuzz.", "xxlimited", "xxsubtype."]
            .iter()
            .any(|prefix| path.file_name().starts_with(prefix));
    is_stdlib && (is_module || name.is_some_and(|name| ["test", "idlelib", "turtledemo"].contains(&name)))
}

/// Programs of `libc-bin` that create files which lath writes itself, or that only administrators use. `ldconfig`,
/// `getent` and `locale` stay.
fn is_libc_maintenance(path: &ImagePath) -> bool {
    const PROGRAMS: [&str; 7] = ["iconv", "iconvconfig", "localedef", "pldd", "tzselect", "zdump", "zic"];
    let is_program = any_within(path, &["/usr/bin", "/usr/sbin"]);
    is_program && PROGRAMS.contains(&path.file_name())
}

/// Debian has packaged these separately since trixie. Programs find them only if a zone's name begins with `right/` or
/// `posix/`.
fn is_second_time_zone(path: &ImagePath, package: &Package<'_>) -> bool {
    package.is_base && any_within(path, &["/usr/share/zoneinfo/right", "/usr/share/zoneinfo/posix"])
}

fn is_bundled_certificate(path: &ImagePath, package: &Package<'_>) -> bool {
    package.image.has_bundle && path.is_within("/usr/share/ca-certificates") && path.as_str().ends_with(".crt")
}

fn is_for_perl(path: &ImagePath, package: &Package<'_>) -> bool {
    !package.image.has_perl && any_within(path, &["/usr/share/perl5", "/usr/share/perl", "/usr/share/gitweb"])
}

/// Programs of git that serve repositories to others, send them by mail or manage a monorepo. No other command of git
/// calls them.
fn is_aside_of_git(path: &ImagePath, package: &Package<'_>) -> bool {
    is_of_git(path, package, &["git-daemon", "git-http-backend", "git-imap-send", "git-shell", "scalar"])
}

/// Programs that push by WebDAV and fetch packs by address. git uses them only if it is configured to. Cloning,
/// fetching and pushing over http, also from plain servers, is done by `git-remote-http`.
fn is_for_plain_servers(path: &ImagePath, package: &Package<'_>) -> bool {
    is_of_git(path, package, &["git-http-push", "git-http-fetch"])
}

fn is_of_git(path: &ImagePath, package: &Package<'_>, programs: &[&str]) -> bool {
    package.name == "git"
        && programs.contains(&path.file_name())
        && any_within(path, &["/usr/bin", "/usr/lib/git-core"])
}

/// The launchers that distlib (also inside pip) and setuptools install next to a script if `os.name` is `nt`. They are
/// not opened on other systems.
fn is_windows_launcher(path: &ImagePath) -> bool {
    const DISTLIB: [&str; 6] = ["t32.exe", "t64.exe", "t64-arm.exe", "w32.exe", "w64.exe", "w64-arm.exe"];
    const SETUPTOOLS: [&str; 8] = [
        "cli.exe",
        "cli-32.exe",
        "cli-64.exe",
        "cli-arm64.exe",
        "gui.exe",
        "gui-32.exe",
        "gui-64.exe",
        "gui-arm64.exe",
    ];
    let directory = path.parent();
    match directory.as_ref().map_or("", ImagePath::file_name) {
        "distlib" => DISTLIB.contains(&path.file_name()),
        "setuptools" => SETUPTOOLS.contains(&path.file_name()),
        _ => false,
    }
}
