//! A comparison of four images of the same program: their sizes and their contents.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The four ways to make an image of a program: three styles of Dockerfiles, and lath.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    /// A Dockerfile with one stage. Its image also contains the tools for the installation.
    Fat,
    /// A Dockerfile with two stages, as people write it.
    Recipe,
    /// A Dockerfile with two stages, made as small as possible.
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

/// The purpose of a file in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Content {
    /// The user base: the program and its dependencies.
    Program,
    /// The interpreter and its standard library.
    Python,
    Bytecode,
    /// Libraries and programs of Debian that belong to none of the other kinds.
    System,
    Shell,
    Documentation,
    Translations,
    /// apt, dpkg and their databases of packages.
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

    /// Classifies a file by its path, given without a leading slash. `None` if the path is not enough to decide.
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

/// The number of bytes for each purpose.
pub(crate) type Contents = BTreeMap<Content, u64>;

/// The configuration of apt in the base image of the Dockerfiles. It determines which caches and lists stay in an
/// image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AptHabits {
    /// The state after debootstrap: packages stay in the cache, lists and descriptions are uncompressed, and there is
    /// one pocket (part of the archive, such as the security updates).
    Plain,
    /// The configuration of Debian's and Ubuntu's official images: no caches, no descriptions, compressed lists, and
    /// all pockets.
    Official,
}

/// The times of two builds that really ran, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct BuildTimes {
    /// A build without any cache. Only the base image is already there.
    pub(crate) uncached_ms: u64,
    /// A second build, which uses the caches that the first build wrote.
    pub(crate) cached_ms: u64,
}

/// One of the images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ComparedImage {
    pub(crate) way: Way,
    /// Whether the image was built and measured. If not, its sizes are computed.
    pub(crate) is_measured: bool,
    /// The size of all files of all layers, which is also the size that `docker images` reports.
    pub(crate) raw_bytes: u64,
    /// The size of the layers after compression with gzip. In this form, a registry stores them.
    pub(crate) compressed_bytes: u64,
    pub(crate) files: u64,
    pub(crate) debian_packages: u64,
    pub(crate) distributions: u64,
    pub(crate) contents: Contents,
    /// The build times. `None` if the image was not built.
    pub(crate) build: Option<BuildTimes>,
    /// The median time of the check in a container, including the time that the engine itself takes.
    pub(crate) start_ms: Option<u64>,
}

impl ComparedImage {
    /// Returns the contents that take more bytes in this image than in `smaller`, the largest difference first.
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

/// The compared images, with the program, the base and the platform for which they were made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Comparison {
    /// The program and its version, such as `pre-commit 4.7.0`.
    pub(crate) program: String,
    /// The base, such as `debian:trixie`.
    pub(crate) base: String,
    /// The platform, such as `linux/amd64`.
    pub(crate) platform: String,
    pub(crate) habits: AptHabits,
    /// The check that `start_ms` measures. `None` if nothing was run.
    pub(crate) check: Option<String>,
    /// The images, in the order of [`Way`].
    pub(crate) images: Vec<ComparedImage>,
}

#[cfg(test)]
mod tests {
    use super::*;

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
