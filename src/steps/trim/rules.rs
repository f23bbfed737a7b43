//! What trim takes out by its path alone: an ordered table, each rule with the reason that the user reads.

use std::collections::BTreeSet;

use crate::model::glob;
use crate::model::image_path::ImagePath;
use crate::model::tree::{Kind, Node, Origin, Tree};

/// What the rules must know of the whole image.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Debian packages that the user named.
    pub(super) requested: BTreeSet<String>,
    /// Something in the image compiles C, or hands headers to what does.
    pub(super) compiles: bool,
    /// Another locale than C and POSIX is there, so translations are read.
    pub(super) speaks: bool,
    /// An interactive shell is there.
    pub(super) has_bash: bool,
    /// Something besides the C library itself converts character sets with it.
    pub(super) calls_iconv: bool,
    /// Something that stays is written in Perl or links to it.
    pub(super) uses_perl: bool,
}

/// The path that a rule judges.
pub(super) struct Subject<'a> {
    path: &'a ImagePath,
    node: &'a Node,
    facts: &'a Facts,
}

struct Rule {
    reason: &'static str,
    applies: fn(&Subject<'_>) -> bool,
}

/// The first rule that applies gives the reason.
const RULES: &[Rule] = &[
    Rule { reason: "documentation", applies: is_documentation },
    Rule { reason: "manual", applies: |s| s.is_in_any(&["/usr/share/man", "/usr/share/info"]) && !s.is_wanted_manual() },
    Rule {
        reason: "for the distribution's own quality and bug tools",
        applies: |s| s.is_in_any(&["/usr/share/lintian", "/usr/share/bug", "/usr/share/apport"]),
    },
    Rule {
        reason: "translation, and the image's only locale is C.UTF-8",
        applies: |s| s.is_in_any(&["/usr/share/locale"]) && !s.facts.speaks && s.package() != Some("iso-codes"),
    },
    Rule {
        reason: "completion for a shell that the image does not have",
        applies: |s| s.is_in_any(&["/usr/share/bash-completion", "/etc/bash_completion.d"]) && !s.facts.has_bash,
    },
    Rule { reason: "character set converter that nothing in the image calls", applies: is_unused_converter },
    Rule { reason: "for a compiler, which the image does not have", applies: is_for_compilers },
    Rule { reason: "asks questions for maintainer scripts, which lath never runs", applies: is_configurator },
    Rule { reason: "Perl, and nothing in the image is written in it", applies: is_unused_perl },
];

/// Takes out of `tree` whatever a rule applies to and `is_protected` does not hold.
pub(super) fn apply(tree: &mut Tree, facts: &Facts, is_protected: &dyn Fn(&ImagePath) -> bool) {
    let mut gone = Vec::new();
    for (path, node) in tree.nodes.iter().filter(|(_, node)| node.kind != Kind::Directory) {
        let subject = Subject { path, node, facts };
        let rule = RULES.iter().find(|rule| (rule.applies)(&subject));
        if let Some(rule) = rule.filter(|_| !is_protected(path)) {
            gone.push((path.clone(), rule.reason));
        }
    }
    for (path, reason) in gone {
        tree.remove(&path, reason);
    }
}

impl Subject<'_> {
    /// The Debian package; `None` for what is from elsewhere.
    fn package(&self) -> Option<&str> {
        match &self.node.origin {
            Origin::Deb { name, .. } => Some(name),
            Origin::Wheel { .. } | Origin::Lath | Origin::User => None,
        }
    }

    /// Whether it is a Debian package's and lies below one of `directories`.
    fn is_in_any(&self, directories: &[&str]) -> bool {
        self.package().is_some() && directories.iter().any(|directory| self.path.is_within(directory))
    }

    fn is_requested(&self) -> bool {
        self.package().is_some_and(|name| self.facts.requested.contains(name))
    }

    /// Whoever asks for a package of manuals wants them.
    fn is_wanted_manual(&self) -> bool {
        self.is_requested()
            && self.package().is_some_and(|name| name.ends_with("-doc") || name.starts_with("manpages"))
    }

    fn extension(&self) -> &str {
        self.path.file_name().rsplit_once('.').map_or("", |(_, extension)| extension)
    }
}

/// `/usr/share/doc`, but neither what licences ask for nor the link of one package's folder to another's.
fn is_documentation(subject: &Subject<'_>) -> bool {
    const LICENCES: &[&str] = &["copyright", "licen", "notice", "copying"];
    let is_licence = || {
        let name = subject.path.file_name().to_ascii_lowercase();
        LICENCES.iter().any(|licence| name.starts_with(licence))
    };
    let is_folder_link = || subject.path.components().count() == 4 && matches!(subject.node.kind, Kind::Link { .. });
    subject.is_in_any(&["/usr/share/doc", "/usr/share/doc-base", "/usr/share/gtk-doc"])
        && !subject.is_wanted_manual()
        && !is_licence()
        && !is_folder_link()
}

/// glibc has Unicode and ASCII built in; each other character set is a file of its own.
fn is_unused_converter(subject: &Subject<'_>) -> bool {
    const COMMON: &[&str] = &["gconv-modules", "ISO8859-", "UTF-", "UNICODE", "CP125"];
    let is_converter = subject.is_in_any(&["/usr/lib", "/lib"]) && subject.path.as_str().contains("/gconv/");
    let is_common = COMMON.iter().any(|name| subject.path.file_name().starts_with(name))
        || subject.path.as_str().contains("/gconv-modules.d/");
    is_converter && !(subject.facts.calls_iconv && is_common)
}

fn is_for_compilers(subject: &Subject<'_>) -> bool {
    /// Of wheels only what is known to serve compilers alone: others' headers may be read as data.
    const OF_WHEELS: &[(&str, &str)] = &[
        ("numpy", "**/site-packages/numpy/_core/include/**"),
        ("numpy", "**/site-packages/numpy/core/include/**"),
        ("numpy", "**/site-packages/numpy/**/lib/*.a"),
        ("pyarrow", "**/site-packages/pyarrow/include/**"),
        ("greenlet", "/opt/app/include/**"),
    ];
    const EXTENSIONS: &[&str] = &["h", "hh", "hpp", "a"];
    if subject.facts.compiles {
        return false;
    }
    match &subject.node.origin {
        Origin::Deb { .. } => {
            let is_archive = matches!(subject.extension(), "a" | "la") && subject.is_in_any(&["/usr/lib", "/lib"]);
            is_archive || subject.is_in_any(&["/usr/include", "/usr/share/pkgconfig", "/usr/share/aclocal"])
        }
        Origin::Wheel { name, .. } => {
            EXTENSIONS.contains(&subject.extension())
                && OF_WHEELS.iter().any(|(wheel, glob)| wheel == name && glob::matches(glob, subject.path.as_str()))
        }
        Origin::Lath | Origin::User => false,
    }
}

/// Whether a Debian package serves maintainer scripts alone; its licence stays.
fn is_configurator(subject: &Subject<'_>) -> bool {
    subject.package().is_some_and(|name| matches!(name, "debconf" | "debconf-i18n" | "cdebconf" | "ucf"))
        && !subject.is_requested()
        && !subject.path.is_within("/usr/share/doc")
}

/// Whether a Debian package is Perl, or a library for it.
pub(super) fn is_perl(package: &str) -> bool {
    package == "perl"
        || package.starts_with("perl-")
        || package.starts_with("libperl5.")
        || package.starts_with("lib") && package.ends_with("-perl")
}

fn is_unused_perl(subject: &Subject<'_>) -> bool {
    let is_perls = subject.package().is_some_and(is_perl) || subject.is_in_any(&["/usr/share/perl5"]);
    is_perls && !subject.facts.uses_perl && !subject.is_requested() && !subject.path.is_within("/usr/share/doc")
}
