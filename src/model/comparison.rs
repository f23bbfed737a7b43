//! Four images of the same program side by side: what each weighs, and what that weight is.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// The four ways to the same program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    /// One stage with everything in it.
    Fat,
    /// Two stages, as by hand.
    Recipe,
    /// Two stages with care.
    Lean,
    /// lath's own image.
    Lath,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fat => "fat",
            Self::Recipe => "recipe",
            Self::Lean => "lean",
            Self::Lath => "lath",
        })
    }
}

/// What bytes of an image are there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Content {
    /// The user base: the program and its dependencies.
    Program,
    /// The interpreter and its standard library.
    Python,
    Bytecode,
    /// Libraries and programs of Debian that are none of the others.
    System,
    Shell,
    Documentation,
    Translations,
    /// apt, dpkg, and what they know of packages.
    PackageManager,
    AptLists,
    AptCaches,
    Pip,
    Compilers,
}

impl Content {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 12] = [
        Self::Program,
        Self::Python,
        Self::Bytecode,
        Self::System,
        Self::Shell,
        Self::Documentation,
        Self::Translations,
        Self::PackageManager,
        Self::AptLists,
        Self::AptCaches,
        Self::Pip,
        Self::Compilers,
    ];

    /// Sorts a Debian package by its name and its section (Debian Policy, section 2.4).
    pub(crate) fn of_package(name: &str, section: &str) -> Self {
        const PIP: [&str; 6] = [
            "python3-pip",
            "python3-pip-whl",
            "python3-setuptools",
            "python3-setuptools-whl",
            "python3-wheel",
            "python3-pkg-resources",
        ];
        const SHELL: [&str; 13] = [
            "bash",
            "coreutils",
            "dash",
            "debianutils",
            "diffutils",
            "findutils",
            "grep",
            "gzip",
            "hostname",
            "mawk",
            "ncurses-bin",
            "sed",
            "tar",
        ];
        let section = section.rsplit('/').next().unwrap_or_default();
        let is_python = name.starts_with("python3") || name.starts_with("libpython3");
        let is_compiler = matches!(section, "devel" | "libdevel")
            || name.ends_with("-dev")
            || ["gcc", "g++", "cpp", "binutils", "libbinutils"].iter().any(|start| name.starts_with(start))
            || ["libgcc-", "libasan", "libtsan", "liblsan", "libubsan", "libhwasan", "libcc1", "libgprofng", "libitm"]
                .iter()
                .any(|start| name.starts_with(start) && name != "libgcc-s1");
        // gcc's bare base is a folder that every library of gcc's needs.
        let is_compiler = is_compiler && !name.ends_with("-base");
        match name {
            _ if PIP.contains(&name) => Self::Pip,
            _ if SHELL.contains(&name) => Self::Shell,
            _ if name == "apt" || name == "dpkg" || name.starts_with("libapt-pkg") => Self::PackageManager,
            _ if is_compiler => Self::Compilers,
            _ if is_python => Self::Python,
            _ => Self::System,
        }
    }

    /// Sorts a file by where it is, where that alone tells; `path` without a leading slash.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        const PLACES: [(&str, Content); 9] = [
            ("usr/share/doc/", Content::Documentation),
            ("usr/share/info/", Content::Documentation),
            ("usr/share/man/", Content::Documentation),
            ("usr/share/locale/", Content::Translations),
            ("var/lib/apt/lists/", Content::AptLists),
            ("var/cache/apt/", Content::AptCaches),
            ("var/lib/dpkg/", Content::PackageManager),
            ("var/lib/apt/", Content::PackageManager),
            ("var/cache/debconf/", Content::PackageManager),
        ];
        if path.contains("__pycache__/") {
            return Some(Self::Bytecode);
        }
        PLACES.iter().find(|(start, _)| path.starts_with(start)).map(|(_, content)| *content)
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Program => "the program",
            Self::Python => "Python",
            Self::Bytecode => "bytecode",
            Self::System => "the system",
            Self::Shell => "a shell and its tools",
            Self::Documentation => "documentation",
            Self::Translations => "translations",
            Self::PackageManager => "a package manager",
            Self::AptLists => "apt's lists",
            Self::AptCaches => "apt's caches",
            Self::Pip => "pip",
            Self::Compilers => "compilers",
        })
    }
}

/// Bytes by what they are there for.
pub(crate) type Contents = BTreeMap<Content, u64>;

/// How the base of the Dockerfiles keeps what apt fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AptHabits {
    /// As debootstrap leaves a system: packages stay in the cache, lists and descriptions unpacked, one pocket.
    Plain,
    /// As Debian's and Ubuntu's images are configured: no caches, no descriptions, lists compressed, all pockets.
    Official,
}

/// Times of a build that really ran, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct BuildTimes {
    /// Nothing cached but the base.
    pub(crate) uncached_ms: u64,
    /// Again, with the caches that the first build left.
    pub(crate) cached_ms: u64,
}

/// One of the images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ComparedImage {
    pub(crate) way: Way,
    /// Whether it was built and weighed, or reckoned from the archive.
    pub(crate) is_measured: bool,
    /// Of all files of all layers, as `docker images` tells it.
    pub(crate) raw_bytes: u64,
    /// Of the layers compressed with gzip, as a registry keeps them.
    pub(crate) compressed_bytes: u64,
    pub(crate) files: u64,
    pub(crate) debian_packages: u64,
    pub(crate) distributions: u64,
    pub(crate) contents: Contents,
    /// Where it was built here.
    pub(crate) build: Option<BuildTimes>,
    /// The check's whole time in a container, the engine's share included; median.
    pub(crate) start_ms: Option<u64>,
}

impl ComparedImage {
    /// What this image has more of than `smaller`, the heaviest first.
    pub(crate) fn surplus(&self, smaller: &Self) -> Vec<(Content, u64)> {
        let more = |(content, bytes): (&Content, &u64)| {
            let has = smaller.contents.get(content).copied().unwrap_or(0);
            (*content, bytes.saturating_sub(has))
        };
        let mut surplus: Vec<(Content, u64)> = self.contents.iter().map(more).filter(|(_, bytes)| *bytes > 0).collect();
        surplus.sort_by_key(|(content, bytes)| (std::cmp::Reverse(*bytes), *content));
        surplus
    }
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Comparison {
    /// The program and its version: `pre-commit 4.7.0`.
    pub(crate) program: String,
    /// `debian:trixie`.
    pub(crate) base: String,
    /// `linux/amd64`.
    pub(crate) platform: String,
    pub(crate) habits: AptHabits,
    /// What `start_ms` is the time of; `None` where nothing ran.
    pub(crate) check: Option<String>,
    /// From the fattest way on.
    pub(crate) images: Vec<ComparedImage>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_sorted_by_what_they_are_there_for() {
        let table = [
            ("python3-pip", "python", Content::Pip),
            ("libc6-dev", "libdevel", Content::Compilers),
            ("g++-12", "devel", Content::Compilers),
            ("python3-dev", "python", Content::Compilers),
            ("libgcc-s1", "libs", Content::System),
            ("gcc-12-base", "libs", Content::System),
            ("libgcc-12-dev", "universe/libdevel", Content::Compilers),
            ("libpython3.13-stdlib", "python", Content::Python),
            ("dash", "shells", Content::Shell),
            ("libapt-pkg7.0", "libs", Content::PackageManager),
            ("zlib1g", "libs", Content::System),
        ];
        for (name, section, content) in table {
            assert_eq!(Content::of_package(name, section), content, "{name}");
        }
    }

    #[test]
    fn files_are_sorted_by_their_place() {
        assert_eq!(Content::of_path("usr/share/man/man1/x.1.gz"), Some(Content::Documentation));
        assert_eq!(Content::of_path("opt/app/lib/__pycache__/x.pyc"), Some(Content::Bytecode));
        assert_eq!(Content::of_path("usr/share/documents"), None);
    }

    #[test]
    fn a_surplus_is_what_the_smaller_one_lacks() {
        let image = |contents: &[(Content, u64)]| ComparedImage {
            way: Way::Fat,
            is_measured: false,
            raw_bytes: 0,
            compressed_bytes: 0,
            files: 0,
            debian_packages: 0,
            distributions: 0,
            contents: contents.iter().copied().collect(),
            build: None,
            start_ms: None,
        };
        let fat = image(&[(Content::Pip, 5), (Content::Python, 9), (Content::Compilers, 50)]);
        let slim = image(&[(Content::Python, 10), (Content::Program, 1)]);
        assert_eq!(fat.surplus(&slim), [(Content::Compilers, 50), (Content::Pip, 5)]);
    }
}
