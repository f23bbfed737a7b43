//! Reasons as values: why a package is in the lock, and why trim has kept or removed a path.
//!
//! Code of lath must compare variants, and other programs must use ids. The texts of `Display` are only for people, so
//! they can change at any time. An id is public, because it is in the JSON of `--metadata-file`. It must never change.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::model::image_path::ImagePath;
use crate::model::origin::Origin;

/// The reason why a Debian package is in the lock. If there are several reasons, this is the first one that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Why {
    Interpreter,
    StandardLibrary,
    /// It contains certificates of authorities, which TLS needs.
    Certificates,
    /// It contains the locale C.UTF-8.
    Locale,
    TimeZones,
    /// It contains the names of ports and protocols.
    NetworkNames,
    /// It contains the table that `mimetypes` in the standard library reads.
    MediaTypes,
    /// It contains the descriptions of terminals, which `curses` in the standard library reads.
    Terminals,
    /// The user requested a shell.
    Shell,
    /// The user named the package, or a virtual package that this package provides.
    Named {
        package: String,
    },
    /// A library of `wheel` links against the library `soname`.
    Library {
        soname: String,
        wheel: String,
    },
    /// The package `of` depends on it.
    Dependency {
        of: String,
    },
    /// Scripts of `package` run programs of this package. `package` does not depend on it, because it is essential:
    /// every Debian system contains it.
    ScriptsOf {
        package: String,
    },
}

impl Why {
    /// Returns the stable name of the kind of reason.
    #[cfg_attr(not(test), expect(dead_code, reason = "needed to write locks and bills of materials"))]
    pub(crate) fn id(&self) -> &'static str {
        match self {
            Self::Interpreter => "interpreter",
            Self::StandardLibrary => "standard-library",
            Self::Certificates => "certificates",
            Self::Locale => "locale",
            Self::TimeZones => "time-zones",
            Self::NetworkNames => "network-names",
            Self::MediaTypes => "media-types",
            Self::Terminals => "terminals",
            Self::Shell => "shell",
            Self::Named { .. } => "named",
            Self::Library { .. } => "library",
            Self::Dependency { .. } => "dependency",
            Self::ScriptsOf { .. } => "scripts-of",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interpreter => f.write_str("the interpreter"),
            Self::StandardLibrary => f.write_str("the standard library"),
            Self::Certificates => f.write_str("TLS"),
            Self::Locale => f.write_str("the C.UTF-8 locale"),
            Self::TimeZones => f.write_str("time zones"),
            Self::NetworkNames => f.write_str("names of ports and protocols"),
            Self::MediaTypes => f.write_str("the stdlib's `mimetypes`"),
            Self::Terminals => f.write_str("the stdlib's `curses`"),
            Self::Shell => f.write_str("`--shell`"),
            Self::Named { package } => write!(f, "`--with {package}`"),
            Self::Library { soname, wheel } => write!(f, "`{soname}`, which wheel {wheel} needs"),
            Self::Dependency { of } => write!(f, "needed by {of}"),
            Self::ScriptsOf { package } => write!(f, "run by scripts of {package}"),
        }
    }
}

/// The reason why a path is in the image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kept {
    /// A `--keep` pattern of the user matches it.
    Pattern,
    /// Trim would remove it, but a check needs it.
    PutBack,
    /// The user copied it into the image.
    Copied,
    /// It is a file of the user's application.
    Application,
    /// It belongs to a Debian package, which is in the lock for this reason.
    Package(Why),
    /// It belongs to a Debian package that is not in the lock.
    Base,
    /// It belongs to the base image.
    BaseImage,
    /// It belongs to a distribution that the user requested.
    Requested,
    /// It belongs to a distribution on which a requested distribution depends.
    Required,
    /// lath writes it into every image.
    EveryImage,
    /// It is a library whose name occurs in files of `origin`.
    NamedBy { origin: Origin },
    /// It is a library that the ELF file `path` needs.
    NeededBy { path: ImagePath },
    /// It contains the names of removed modules or data files. If a program uses one of these, the error reports that
    /// lath removed it.
    RemovedNames,
    /// It is the bytecode of a module that is imported at start-up.
    StartUpBytecode,
    /// It is the bytecode of a module that only the user's application imports at start-up.
    ApplicationBytecode,
    /// It is bytecode, and the user requested bytecode for all modules.
    AllBytecode,
}

impl Kept {
    /// Returns the stable name of the kind of reason.
    #[cfg_attr(not(test), expect(dead_code, reason = "the name is also that of the stored form"))]
    pub(crate) fn id(&self) -> &'static str {
        match self {
            Self::Pattern => "pattern",
            Self::PutBack => "put-back",
            Self::Copied => "copied",
            Self::Application => "application",
            Self::Package(_) => "package",
            Self::Base => "base",
            Self::BaseImage => "base-image",
            Self::Requested => "requested",
            Self::Required => "required",
            Self::EveryImage => "every-image",
            Self::NamedBy { .. } => "named-by",
            Self::NeededBy { .. } => "needed-by",
            Self::RemovedNames => "removed-names",
            Self::StartUpBytecode => "start-up-bytecode",
            Self::ApplicationBytecode => "application-bytecode",
            Self::AllBytecode => "all-bytecode",
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern => f.write_str("`--keep`"),
            Self::PutBack => f.write_str("a check needs it"),
            Self::Copied => f.write_str("`--copy`"),
            Self::Application => f.write_str("application"),
            Self::Package(why) => why.fmt(f),
            Self::Base => f.write_str("in the base"),
            Self::BaseImage => f.write_str("in the base image"),
            Self::Requested => f.write_str("requested"),
            Self::Required => f.write_str("needed by a requested distribution"),
            Self::EveryImage => f.write_str("in every image"),
            Self::NamedBy { origin } => write!(f, "named in files of {origin}"),
            Self::NeededBy { path } => write!(f, "needed by {path}"),
            Self::RemovedNames => f.write_str("names the removed modules or data in errors"),
            Self::StartUpBytecode => f.write_str("bytecode of a module that start-up imports"),
            Self::ApplicationBytecode => f.write_str("bytecode of a module that the application imports"),
            Self::AllBytecode => f.write_str("`--bytecode all`"),
        }
    }
}

/// The reason why trim removed a path, or some bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Removed {
    Documentation,
    Manuals,
    Locales,
    CharacterSets,
    CompilerFiles,
    PackagerFiles,
    ServiceFiles,
    StdlibTests,
    LibcMaintenance,
    SecondTimeZones,
    TabStops,
    BundledCertificates,
    PerlModules,
    GitServers,
    GitPlainServers,
    WindowsLaunchers,
    ExternallyManaged,
    UnnamedPrograms,
    UnneededLibraries,
    UnmetModules,
    HelpTopics,
    Ldconfig,
    ForeignSeeds,
    EmptiedDirectories,
    Symbols,
    UnreachedModules,
    TestSuites,
    TypeStubs,
    ExtensionSources,
    SourceMaps,
    BillsOfMaterials,
    Translations,
    CrashHook,
    UntracedModules,
    UntracedData,
}

impl Removed {
    /// Returns the stable name. It is the key in `removed_bytes_by_reason` of `--metadata-file`.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Documentation => "documentation",
            Self::Manuals => "manuals",
            Self::Locales => "locales",
            Self::CharacterSets => "character-sets",
            Self::CompilerFiles => "compiler-files",
            Self::PackagerFiles => "packager-files",
            Self::ServiceFiles => "service-files",
            Self::StdlibTests => "stdlib-tests",
            Self::LibcMaintenance => "libc-maintenance",
            Self::SecondTimeZones => "second-time-zones",
            Self::TabStops => "tab-stops",
            Self::BundledCertificates => "bundled-certificates",
            Self::PerlModules => "perl-modules",
            Self::GitServers => "git-servers",
            Self::GitPlainServers => "git-plain-servers",
            Self::WindowsLaunchers => "windows-launchers",
            Self::ExternallyManaged => "externally-managed",
            Self::UnnamedPrograms => "unnamed-programs",
            Self::UnneededLibraries => "unneeded-libraries",
            Self::UnmetModules => "unmet-modules",
            Self::HelpTopics => "help-topics",
            Self::Ldconfig => "ldconfig",
            Self::ForeignSeeds => "foreign-seeds",
            Self::EmptiedDirectories => "emptied-directories",
            Self::Symbols => "symbols",
            Self::UnreachedModules => "unreached-modules",
            Self::TestSuites => "test-suites",
            Self::TypeStubs => "type-stubs",
            Self::ExtensionSources => "extension-sources",
            Self::SourceMaps => "source-maps",
            Self::BillsOfMaterials => "bills-of-materials",
            Self::Translations => "translations",
            Self::CrashHook => "crash-hook",
            Self::UntracedModules => "untraced-modules",
            Self::UntracedData => "untraced-data",
        }
    }

    /// Returns the text for people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Documentation => "documentation",
            Self::Manuals => "manuals",
            Self::Locales => "locales other than C.UTF-8",
            Self::CharacterSets => "character sets for iconv",
            Self::CompilerFiles => "headers and static libraries",
            Self::PackagerFiles => "files for packagers and desktops",
            Self::ServiceFiles => "files for init systems, cron and apt",
            Self::StdlibTests => "the stdlib's own tests and its IDE",
            Self::LibcMaintenance => "programs that maintain libc",
            Self::SecondTimeZones => "second copies of time zones, with and without leap seconds",
            Self::TabStops => "tab stops of old terminals",
            Self::BundledCertificates => "certificates that the bundle contains",
            Self::PerlModules => "modules of perl, because the image has no perl",
            Self::GitServers => "git's servers and its tools for mail and huge repositories",
            Self::GitPlainServers => "git's tools for web servers without git",
            Self::WindowsLaunchers => "programs that start scripts on Windows",
            Self::ExternallyManaged => "the mark that keeps pip out of systems that apt manages",
            Self::UnnamedPrograms => "programs of essential packages that no script names",
            Self::UnneededLibraries => "shared libraries that no kept file needs",
            Self::UnmetModules => "extension modules of the stdlib whose library is not in the image",
            Self::HelpTopics => "texts of Python's interactive help",
            Self::Ldconfig => "ldconfig, because a script prints its cache for ctypes",
            Self::ForeignSeeds => "virtualenv's wheels for Pythons that the image does not have",
            Self::EmptiedDirectories => "directories that trim has emptied",
            Self::Symbols => "symbols and debug information",
            Self::UnreachedModules => "modules that no program of the image can import",
            Self::TestSuites => "tests of distributions",
            Self::TypeStubs => "type stubs",
            Self::ExtensionSources => "sources and headers of extension modules",
            Self::SourceMaps => "maps from JavaScript and style sheets to their sources",
            Self::BillsOfMaterials => "bills of materials in the metadata of distributions",
            Self::Translations => "translations of distributions into languages that `--locale` does not name",
            Self::UntracedModules => "modules that no recorded run has used",
            Self::UntracedData => "data of distributions that no recorded run has used",
            Self::CrashHook => "the hook for crash reports of Ubuntu, which is not in the image",
        }
    }
}

impl Removed {
    /// Returns the option that keeps `path`, which was removed by this rule. `module` is the name of the module to
    /// which the file belongs.
    pub(crate) fn kept_by(self, path: &ImagePath, module: Option<&str>) -> KeptBy {
        let module = module.map(str::to_owned);
        match (self, module) {
            (Self::UnreachedModules | Self::UntracedModules | Self::TestSuites, Some(module)) => {
                KeptBy::Module { module }
            }
            (Self::PerlModules, _) => KeptBy::With { package: "perl" },
            (Self::UnmetModules, _) => KeptBy::ItsLibrary,
            _ => KeptBy::Path { path: path.clone() },
        }
    }
}

/// The option of a build that keeps a path which trim would otherwise remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeptBy {
    Path {
        path: ImagePath,
    },
    Module {
        module: String,
    },
    With {
        package: &'static str,
    },
    /// The option is to add the Debian package of the library that the extension module needs.
    ItsLibrary,
}

impl fmt::Display for KeptBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path { path } => write!(f, "--keep {path}"),
            Self::Module { module } => write!(f, "--keep-module {module}"),
            Self::With { package } => write!(f, "--with {package}"),
            Self::ItsLibrary => f.write_str("--with and the Debian package of its library"),
        }
    }
}

impl Serialize for Removed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the name of a variant in stored data.
    fn tag(value: &impl Serialize) -> String {
        match serde_json::to_value(value).unwrap() {
            serde_json::Value::String(tag) => tag,
            serde_json::Value::Object(object) => object.keys().next().unwrap().clone(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_stored_reason_has_its_id_and_reads_back_as_the_same_value() {
        let text = || "x".to_owned();
        let whys = [
            Why::Interpreter,
            Why::StandardLibrary,
            Why::Certificates,
            Why::Locale,
            Why::TimeZones,
            Why::NetworkNames,
            Why::MediaTypes,
            Why::Terminals,
            Why::Shell,
            Why::Named { package: text() },
            Why::Library { soname: text(), wheel: text() },
            Why::Dependency { of: text() },
            Why::ScriptsOf { package: text() },
        ];
        for why in &whys {
            assert_eq!(tag(why), why.id());
            let stored = serde_json::to_string(why).unwrap();
            assert_eq!(serde_json::from_str::<Why>(&stored).unwrap(), *why);
        }
        let kept = [
            Kept::Pattern,
            Kept::PutBack,
            Kept::Copied,
            Kept::Application,
            Kept::Package(Why::Dependency { of: text() }),
            Kept::Base,
            Kept::BaseImage,
            Kept::Requested,
            Kept::Required,
            Kept::EveryImage,
            Kept::NamedBy { origin: Origin::Lath },
            Kept::NeededBy { path: ImagePath::parse("/x").unwrap() },
            Kept::RemovedNames,
            Kept::StartUpBytecode,
            Kept::ApplicationBytecode,
            Kept::AllBytecode,
        ];
        for kept in &kept {
            assert_eq!(tag(kept), kept.id());
            let stored = serde_json::to_string(kept).unwrap();
            assert_eq!(serde_json::from_str::<Kept>(&stored).unwrap(), *kept);
        }
    }

    #[test]
    fn an_option_keeps_what_a_rule_removes() {
        let path = ImagePath::parse("/usr/lib/python3.13/json/tool.py").unwrap();
        let table = [
            (Removed::UnreachedModules, Some("json.tool"), "--keep-module json.tool"),
            (Removed::UnreachedModules, None, "--keep /usr/lib/python3.13/json/tool.py"),
            (Removed::TypeStubs, Some("json.tool"), "--keep /usr/lib/python3.13/json/tool.py"),
            (Removed::PerlModules, None, "--with perl"),
            (Removed::UnmetModules, Some("readline"), "--with and the Debian package of its library"),
        ];
        for (removed, module, option) in table {
            assert_eq!(removed.kept_by(&path, module).to_string(), option);
        }
    }

    #[test]
    fn the_ids_of_removals_are_public_and_do_not_change() {
        let all = [
            (Removed::Documentation, "documentation"),
            (Removed::Manuals, "manuals"),
            (Removed::Locales, "locales"),
            (Removed::CharacterSets, "character-sets"),
            (Removed::CompilerFiles, "compiler-files"),
            (Removed::PackagerFiles, "packager-files"),
            (Removed::ServiceFiles, "service-files"),
            (Removed::StdlibTests, "stdlib-tests"),
            (Removed::LibcMaintenance, "libc-maintenance"),
            (Removed::SecondTimeZones, "second-time-zones"),
            (Removed::TabStops, "tab-stops"),
            (Removed::BundledCertificates, "bundled-certificates"),
            (Removed::PerlModules, "perl-modules"),
            (Removed::GitServers, "git-servers"),
            (Removed::GitPlainServers, "git-plain-servers"),
            (Removed::WindowsLaunchers, "windows-launchers"),
            (Removed::ExternallyManaged, "externally-managed"),
            (Removed::UnnamedPrograms, "unnamed-programs"),
            (Removed::UnneededLibraries, "unneeded-libraries"),
            (Removed::UnmetModules, "unmet-modules"),
            (Removed::HelpTopics, "help-topics"),
            (Removed::Ldconfig, "ldconfig"),
            (Removed::ForeignSeeds, "foreign-seeds"),
            (Removed::EmptiedDirectories, "emptied-directories"),
            (Removed::Symbols, "symbols"),
            (Removed::UnreachedModules, "unreached-modules"),
            (Removed::TestSuites, "test-suites"),
            (Removed::TypeStubs, "type-stubs"),
            (Removed::ExtensionSources, "extension-sources"),
            (Removed::SourceMaps, "source-maps"),
            (Removed::BillsOfMaterials, "bills-of-materials"),
            (Removed::Translations, "translations"),
            (Removed::CrashHook, "crash-hook"),
            (Removed::UntracedModules, "untraced-modules"),
            (Removed::UntracedData, "untraced-data"),
        ];
        for (removed, id) in all {
            assert_eq!((removed.id(), tag(&removed).as_str()), (id, id));
            assert_eq!(serde_json::from_value::<Removed>(id.into()).unwrap(), removed);
        }
    }
}
