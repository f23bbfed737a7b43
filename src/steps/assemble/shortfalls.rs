//! The results of maintainer scripts that lath cannot make, and the consequence of each for the image.

use std::collections::{BTreeMap, BTreeSet};

use super::shell::Command;
use crate::model::tree::Tree;

/// A kind of result that lath cannot make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shortfall {
    InputMethods,
    Aspell,
    Tex,
    XmlCatalog,
    Mecab,
    Locales,
    KeysOfTheHost,
    Database,
    WebServer,
    Php,
    MailServer,
    Directory,
    Kerberos,
    Capabilities,
    Download,
    Mailcap,
}

/// For each kind of result, the programs that would make it.
const PROGRAMS: [(Shortfall, &[&str]); 15] = [
    (Shortfall::Aspell, &["aspell-autobuildhash"]),
    (
        Shortfall::Tex,
        &[
            "update-texmf-config",
            "mktexlsr",
            "updmap-sys",
            "fmtutil-sys",
            "update-updmap",
            "update-fmtutil",
            "mtxrun",
            "tl-paper",
            "fmtutil",
            "update-language",
            "update-texmf",
            "t1c2pfb",
            "kpsewhich",
        ],
    ),
    (Shortfall::XmlCatalog, &["update-xmlcatalog", "update-catalog", "install-sgmlcatalog"]),
    (Shortfall::Mecab, &["mecab-dict-index"]),
    (Shortfall::Locales, &["locale-gen", "update-locale"]),
    (Shortfall::KeysOfTheHost, &["ssh-keygen", "make-ssl-cert", "rndc-confgen", "mungekey"]),
    (
        Shortfall::Database,
        &["pg_createcluster", "mariadb-install-db", "mysql_install_db", "configure_version", "pg_updatedicts"],
    ),
    (Shortfall::WebServer, &["a2enmod", "a2enconf", "a2ensite", "apache2_invoke", "lighty-enable-mod"]),
    (Shortfall::Php, &["phpenmod", "php_invoke", "phpquery"]),
    (Shortfall::MailServer, &["postconf", "update-exim4.conf", "newaliases", "postalias", "postmap"]),
    (Shortfall::Directory, &["slapadd", "slappasswd"]),
    (Shortfall::Capabilities, &["setcap"]),
    (Shortfall::Download, &["wget", "curl", "download-mibs", "b-i_libdvdcss.sh", "update-ms-fonts"]),
    (Shortfall::Mailcap, &["update-mime"]),
    (Shortfall::InputMethods, &["gtk-query-immodules-3.0", "gtk-query-immodules-2.0"]),
];

impl Shortfall {
    /// Returns the kind of result that a command would make.
    pub(super) fn of_command(command: &Command) -> Option<Self> {
        let found = PROGRAMS.iter().find(|(_, programs)| programs.contains(&command.program()));
        found.map(|(shortfall, _)| *shortfall)
    }

    /// Returns the kind of result that a script would make. The script is in another language than shell, so its text
    /// is searched.
    pub(super) fn of_text(text: &str) -> Option<Self> {
        text.contains("/usr/share/kerberos-configs/krb5.conf.template").then_some(Self::Kerberos)
    }

    /// Returns whether a program in the image uses the result.
    fn matters(self, tree: &Tree) -> bool {
        match self {
            Self::InputMethods => tree.nodes.keys().any(|path| {
                path.as_str().contains("/immodules/")
                    && path.as_str().ends_with(".so")
                    && path.as_str().contains("/gtk-")
            }),
            Self::Kerberos => tree.find("/etc/krb5.conf").is_none(),
            _ => true,
        }
    }

    /// Returns a sentence with the missing result, its consequence, and an action that helps.
    fn sentence(self) -> &'static str {
        match self {
            Self::InputMethods => {
                "the list of GTK's input methods is not written: GTK programs only have the built-in ones"
            }
            Self::Aspell => {
                "aspell's dictionaries are not built: aspell finds no dictionary. Use hunspell and its dictionaries"
            }
            Self::Tex => {
                "TeX's formats, font maps and file lists are not built: `latex` and its relatives do not start. Install TeX \
                 with a Dockerfile"
            }
            Self::XmlCatalog => {
                "the catalog of XML and SGML is not written: DTDs and style sheets are not found by their public name or URL, \
                 only by their path"
            }
            Self::Mecab => "MeCab's dictionary is not built: MeCab does not start. Use a wheel such as `unidic-lite`",
            Self::Locales => "no locale is generated, and the image has C.UTF-8 only. Use `--with locales-all`",
            Self::KeysOfTheHost => {
                "no keys and certificates of the machine are made, because all copies of an image would share them"
            }
            Self::Database => "no database is created: the server does not start before you create one",
            Self::WebServer => {
                "the modules and sites of the web server are not enabled: add its configuration with `--copy`"
            }
            Self::Php => "PHP's modules are not enabled: add their `.ini` files with `--copy`",
            Self::MailServer => "the mail server is not configured: add its configuration with `--copy`",
            Self::Directory => "the LDAP server has no configuration and no database",
            Self::Kerberos => "Kerberos has no configuration: add it with `--copy krb5.conf:/etc/krb5.conf`",
            Self::Capabilities => {
                "file capabilities are not set: programs that open raw sockets need root or `--cap-add`"
            }
            Self::Download => "files that are downloaded at installation are missing: add them with `--copy`",
            Self::Mailcap => "`/etc/mailcap` is not written: programs that look up a viewer there find none",
        }
    }
}

/// Returns one note for each kind, with the names of the packages.
pub(super) fn notes(found: &BTreeMap<Shortfall, BTreeSet<String>>, tree: &Tree) -> Vec<String> {
    let found = found.iter().filter(|(shortfall, packages)| shortfall.matters(tree) && !packages.is_empty());
    found.map(|(shortfall, packages)| format!("{}: {}", join(packages), shortfall.sentence())).collect()
}

/// Joins names with commas. If there are many names, only the first ones are shown, with the number of the others.
pub(super) fn join(names: &BTreeSet<String>) -> String {
    const MOST: usize = 6;
    let shown: Vec<&str> = names.iter().take(MOST).map(String::as_str).collect();
    match names.len().saturating_sub(MOST) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
