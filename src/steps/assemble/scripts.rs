//! The results of maintainer scripts. lath makes some of these results itself. Some commands have no effect in an
//! image. The remaining results are missing in the image, and lath reports them.

use std::collections::{BTreeMap, BTreeSet};

use super::accounts::{self, Account};
use super::alternatives::{self, Alternative};
use super::changes::{self, Change};
use super::shell::{self, Command, System};
use super::shortfalls::{self, Shortfall};
use super::systemd::{self, Call};
use super::{AssembleError, debs, odbc};
use crate::catalog::maintainer;
use crate::model::part::{DebPart, Part, PartContents};
use crate::model::tree::{Origin, Tree};
use crate::outside::store::Store;

/// The results of all scripts, in the order of the packages. The accounts and changes of the calls come last.
#[derive(Debug, Default)]
pub(super) struct Scripts {
    pub(super) accounts: Vec<Account>,
    pub(super) alternatives: Vec<Alternative>,
    pub(super) changes: Vec<(Change, Origin)>,
    /// Files with ODBC drivers.
    pub(super) drivers: Vec<String>,
    calls: Vec<Call>,
    shortfalls: BTreeMap<Shortfall, BTreeSet<String>>,
    /// The packages whose scripts run commands that lath does not know, and the programs of these commands.
    unknown: BTreeMap<String, BTreeSet<String>>,
}

/// The effect of one command.
#[derive(Debug, PartialEq, Eq)]
enum Effect {
    /// The command has no effect in an image, or lath itself makes the same changes.
    None,
    Shortfall(Shortfall),
    Unknown,
}

/// Reads the scripts of all packages. `tree` contains the files of all packages.
pub(super) fn read(parts: &[Part], tree: &Tree, store: &Store) -> Result<Scripts, AssembleError> {
    let mut scripts = Scripts::default();
    for part in parts {
        if let PartContents::Deb(deb) = &part.contents {
            for (script, text) in &deb.scripts {
                match script.as_str() {
                    "preinst" => scripts.read_preinst(text, deb, tree),
                    "postinst" => scripts.read_postinst(text, deb, &part.origin, tree),
                    _ => {}
                }
            }
        }
    }
    for call in std::mem::take(&mut scripts.calls) {
        let (accounts, changes) = systemd::read(&call, tree, store)?;
        scripts.accounts.extend(accounts);
        scripts.changes.extend(changes.into_iter().map(|change| (change, call.origin().clone())));
    }
    Ok(scripts)
}

impl Scripts {
    /// Reads only the accounts that a `preinst` creates. Its other commands do not matter, because the files of the
    /// package do not exist yet when the `preinst` runs.
    fn read_preinst(&mut self, text: &str, deb: &DebPart, tree: &Tree) {
        let commands = commands(text, &["install"], deb, tree).unwrap_or_default();
        self.accounts.extend(commands.iter().filter_map(accounts::of_command));
    }

    fn read_postinst(&mut self, text: &str, deb: &DebPart, origin: &Origin, tree: &Tree) {
        let Origin::Deb { name, .. } = origin else { return };
        let is_known = debs::is_known(name);
        let Some(commands) = commands(text, &["configure", ""], deb, tree) else {
            match Shortfall::of_text(text) {
                Some(shortfall) => self.add_shortfall(shortfall, name),
                None if is_known => {}
                None => {
                    self.unknown.entry(name.to_owned()).or_default();
                }
            }
            return;
        };
        for command in &commands {
            self.accounts.extend(accounts::of_command(command));
            self.alternatives.extend(alternatives::of_command(command, origin));
            self.drivers.extend(odbc::of_command(command));
            self.calls.extend(systemd::of_command(command, origin));
            if is_known {
                continue;
            }
            let changes = changes::of_command(command).unwrap_or_default();
            let is_missing = |change: &Change| change.created().is_some_and(|path| tree.find(path).is_none());
            let effect = if !command.is_certain && changes.iter().any(is_missing) {
                // A fresh installation may or may not run this command. So lath cannot know whether the path should
                // exist.
                Effect::Unknown
            } else {
                effect(command)
            };
            if command.is_certain {
                self.changes.extend(changes.into_iter().map(|change| (change, origin.clone())));
            }
            match effect {
                Effect::None => {}
                Effect::Shortfall(shortfall) => self.add_shortfall(shortfall, name),
                Effect::Unknown => {
                    let programs = self.unknown.entry(name.to_owned()).or_default();
                    programs.extend(Some(command.program().to_owned()).filter(|program| !program.is_empty()));
                }
            }
        }
    }

    fn add_shortfall(&mut self, shortfall: Shortfall, package: &str) {
        self.shortfalls.entry(shortfall).or_default().insert(package.to_owned());
    }

    /// Returns the notes for the user.
    pub(super) fn notes(&self, tree: &Tree) -> Vec<String> {
        let mut notes = shortfalls::notes(&self.shortfalls, tree);
        let mut unreadable = BTreeSet::new();
        // If a package has a shortfall, its unknown commands are not listed, because the note about the shortfall is
        // more useful.
        let is_reported = |package: &String| self.shortfalls.values().any(|packages| packages.contains(package));
        for (package, programs) in self.unknown.iter().filter(|(package, _)| !is_reported(package)) {
            if programs.is_empty() {
                unreadable.insert(package.clone());
            } else {
                notes.push(format!(
                    "{package}: lath does not run these commands of its `postinst`: {}. See that the image does what you expect",
                    shortfalls::join(programs)
                ));
            }
        }
        if !unreadable.is_empty() {
            let names = shortfalls::join(&unreadable);
            notes.push(format!("{names}: lath does not understand and does not run the `postinst`. See that the image does what you expect"));
        }
        notes
    }
}

fn commands(text: &str, arguments: &[&str], deb: &DebPart, tree: &Tree) -> Option<Vec<Command>> {
    let templates = deb.control_files.iter().find(|(name, _)| name == "templates");
    let system = System {
        // A profile of AppArmor has no effect in an image, so the commands for it do not matter.
        exists: &|path| !path.starts_with("/etc/apparmor.d/") && tree.find(path).is_some(),
        has_account: &accounts::is_standard,
        templates: templates.map_or("", |(_, text)| text.as_str()),
    };
    shell::commands(text, arguments, &system)
}

fn effect(command: &Command) -> Effect {
    let program = command.program();
    if is_silent(command) {
        return Effect::None;
    }
    if let Some(shortfall) = Shortfall::of_command(command) {
        return Effect::Shortfall(shortfall);
    }
    let is_made = accounts::of_command(command).is_some()
        || changes::of_command(command).is_some()
        || odbc::of_command(command).is_some()
        || program == "update-alternatives";
    if is_made { Effect::None } else { Effect::Unknown }
}

/// Returns whether a command has no effect in an image. Some such commands serve a running system, an upgrade, a
/// package manager or a desktop. Some print or read text, write a cache that programs do not need, or change owners and
/// permissions of paths that lath cannot know. For some commands, lath itself makes the same changes.
fn is_silent(command: &Command) -> bool {
    let program = command.program();
    if program == "adduser" && command.arguments().is_some_and(|arguments| is_membership(&arguments)) {
        return true;
    }
    if program == "cat" || program == "echo" || program == "printf" || program.is_empty() {
        return !command.is_written && !program.is_empty();
    }
    // With these options, a command changes nothing: `--list` and `-q` only read, and `--remove` and `-u` remove
    // entries that a fresh installation does not have.
    let reads = match program {
        "dpkg-statoverride" => ["--list", "--remove"].as_slice(),
        "odbcinst" => ["-q", "-u"].as_slice(),
        "sed" | "awk" => {
            return !command.words.iter().flatten().any(|word| word.starts_with("-i") || word == "--in-place");
        }
        _ => [].as_slice(),
    };
    let is_read = command.words.iter().flatten().any(|word| reads.contains(&word.as_str()));
    is_read || maintainer::is_silent(program)
}

/// Returns whether the arguments of `adduser` add a user to a group. This has no effect, because the groups of an image
/// have no members.
fn is_membership(arguments: &[&str]) -> bool {
    match arguments {
        [options @ .., user, group] => {
            !user.starts_with('-') && !group.starts_with('-') && options.iter().all(|option| option.starts_with("--"))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::image_path::ImagePath;
    use crate::model::tree::Node;
    use crate::outside::store::tests::store;
    use crate::steps::assemble::write_text;

    fn deb(postinst: &str) -> DebPart {
        DebPart {
            control: String::new(),
            scripts: vec![("postinst".to_owned(), postinst.to_owned())],
            control_files: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// Returns the results and the notes for a package `name` whose `postinst` is the given text.
    fn of(name: &str, postinst: &str, tree: &Tree) -> (Scripts, Vec<String>) {
        let mut scripts = Scripts::default();
        let origin = Origin::Deb { name: name.to_owned(), version: "1".to_owned() };
        scripts.read_postinst(postinst, &deb(postinst), &origin, tree);
        let notes = scripts.notes(tree);
        (scripts, notes)
    }

    #[test]
    fn a_script_without_an_effect_in_an_image_gets_no_note() {
        let table = [
            ("x", "#!/bin/sh\nset -e\nif [ x ]; then\n\tldconfig\nfi\nexit 0\n"),
            ("x", "case \"$1\" in\n  configure)\n    adduser --system postgres || true\n  ;;\nesac\n"),
            ("x", "if [ -d /run/systemd/system ]; then\n systemctl daemon-reload >/dev/null || true\nfi\n"),
            ("bc", "if [ \"$1\" = \"configure\" ] && [ -x \"`command -v update-menus`\" ]; then\n\tupdate-menus\nfi\n"),
            ("ocrmypdf", "if command -v pypy3compile >/dev/null 2>&1; then\n\tpypy3compile -p ocrmypdf  || true\nfi\n"),
            (
                "tcpdump",
                "if aa-enabled --quiet 2>/dev/null; then\n apparmor_parser -r -T -W \"$APP_PROFILE\" || true\nfi\n",
            ),
            (
                "libgsl28",
                "case \"$1\" in\n configure) ;;\n *) echo \"unknown argument \\`$1'\" >&2\n exit 1 ;;\nesac\n",
            ),
            (
                "hunspell-en-us",
                "SCRIPT=\"update-dictcommon-hunspell\"\nif command -v $SCRIPT >/dev/null; then\n\t$SCRIPT  \nfi\n",
            ),
            ("pulseaudio", "adduser --quiet pulse audio\n"),
            ("x", "if [ -x /usr/bin/missing ]; then missing --cache; fi\n"),
        ];
        for (name, postinst) in table {
            assert_eq!(of(name, postinst, &Tree::default()).1, [""; 0], "{name}: {postinst}");
        }
    }

    #[test]
    fn profiles_of_apparmor_and_accounts_for_another_root_get_no_note() {
        let mut tree = Tree::default();
        tree.insert(ImagePath::parse("/etc/apparmor.d/usr.bin.tcpdump").unwrap(), Node::directory(Origin::Lath));
        let apparmor = "APP_PROFILE=\"/etc/apparmor.d/usr.bin.tcpdump\"\nif [ -f \"$APP_PROFILE\" ]; then\n\
            LOCAL_APP_PROFILE=\"/etc/apparmor.d/local/usr.bin.tcpdump\"\n\
            test -e \"$LOCAL_APP_PROFILE\" || {\n mkdir -p `dirname \"$LOCAL_APP_PROFILE\"`\n\
            install --mode 644 /dev/null \"$LOCAL_APP_PROFILE\"\n}\nfi\n";
        let dbus = "in_sysroot () {\n if [ -z \"${DPKG_ROOT:-}\" ]; then\n \"$@\"\n else\n chroot \"${DPKG_ROOT}\" \"$@\"\n fi\n}\n\
            if command -v systemd-sysusers >/dev/null; then\n systemd-sysusers dbus.conf\nelse\n\
            in_sysroot adduser --system --quiet --group messagebus\nfi\n";
        for (postinst, accounts) in [(apparmor, 0), (dbus, 1)] {
            let (scripts, notes) = of("x", postinst, &tree);
            assert_eq!((scripts.accounts.len(), notes), (accounts, Vec::new()), "{postinst}");
        }
    }

    #[test]
    fn a_script_that_does_more_than_lath_is_reported_with_its_programs() {
        let mut tree = Tree::default();
        let program = Node::directory(Origin::Lath);
        tree.insert(ImagePath::parse("/usr/bin/x").unwrap(), program);
        let table = [
            ("#!/bin/sh\nadduser --system $NAME\n", "adduser"),
            ("case \"$1\" in\n configure) make-cache ;;\nesac\n", "make-cache"),
            ("if [ -x /usr/bin/x ]; then x --cache; fi\n", "x"),
            ("echo a > /etc/a; sed -i s/a/b/ /etc/a\n", "echo, sed"),
            ("if grep -q x /usr/bin/x; then ln -s /usr/bin/x /etc/a; ln -s /etc/a /usr/bin/x; fi\n", "ln"),
        ];
        for (postinst, programs) in table {
            let note = format!(
                "p: lath does not run these commands of its `postinst`: {programs}. See that the image does what you expect"
            );
            assert_eq!(of("p", postinst, &tree).1, [note], "{postinst}");
        }
        let perl = "#!/usr/bin/perl\nuse strict;\n";
        let note =
            "p: lath does not understand and does not run the `postinst`. See that the image does what you expect";
        assert_eq!(of("p", perl, &tree).1, [note]);
    }

    #[test]
    fn a_result_that_is_missing_is_reported_with_its_consequence() {
        let table = [
            ("aspell", "aspell-autobuildhash\n", "aspell finds no dictionary"),
            (
                "texlive-latex-base",
                "if which update-texmf-config; then :; fi\nupdate-texmf-config format map\n",
                "do not start",
            ),
            (
                "docbook-xml",
                "update-xmlcatalog --sort --add --type system --id \"http://docbook.org/\"\n",
                "only by their path",
            ),
            ("mecab-ipadic", "/usr/lib/mecab/mecab-dict-index -d ${srcdir} -f EUC-JP\n", "MeCab does not start"),
            (
                "krb5-config",
                "#! /usr/bin/perl -w\nsystem ('cp', '/usr/share/kerberos-configs/krb5.conf.template',\n",
                "`--copy krb5.conf:/etc/krb5.conf`",
            ),
        ];
        for (name, postinst, consequence) in table {
            let notes = of(name, postinst, &Tree::default()).1;
            assert_eq!(notes.len(), 1, "{name}: {notes:?}");
            assert!(notes[0].starts_with(&format!("{name}: ")) && notes[0].contains(consequence), "{notes:?}");
        }
    }

    #[test]
    fn drivers_of_odbc_are_found() {
        let table = [
            (
                "db_get freetds/addtoodbc || true\nif [ \"$RET\" = \"true\" ]; then\n\todbcinst -i -d -f /usr/share/tdsodbc/odbcinst.ini 1>&2\nfi\n",
                "/usr/share/tdsodbc/odbcinst.ini",
            ),
            (
                "if ! grep -q PostgreSQL /etc/odbcinst.ini ; then\n odbcinst -i -d -f /usr/share/psqlodbc/odbcinst.ini.template\nfi\n",
                "/usr/share/psqlodbc/odbcinst.ini.template",
            ),
            (
                "if ! odbcinst -q -d -n \"MariaDB Unicode\" >/dev/null 2>&1; then\n odbcinst -i -d -f /usr/share/odbc-mariadb/odbcinst.ini.template\nfi\n",
                "/usr/share/odbc-mariadb/odbcinst.ini.template",
            ),
        ];
        for (postinst, file) in table {
            let (scripts, notes) = of("x", postinst, &Tree::default());
            assert_eq!((scripts.drivers.as_slice(), notes.len()), ([file.to_owned()].as_slice(), 0), "{postinst}");
        }
        let notes = of(
            "odbc-mdbtools",
            "odbcinsttemplate() { cat; }\nodbcinsttemplate | odbcinst -i -d -r -v\n",
            &Tree::default(),
        )
        .1;
        assert!(notes[0].contains("odbcinst"), "{notes:?}");
    }

    #[test]
    fn directories_links_and_copies_are_made() {
        let (_home, store) = store();
        let mut tree = Tree::default();
        write_text(&mut tree, "/usr/share/freetds/freetds.conf", "[global]\n", &store).unwrap();
        write_text(&mut tree, "/etc/redis/redis.conf", "", &store).unwrap();
        tree.insert(ImagePath::parse("/run").unwrap(), Node::directory(Origin::Lath));
        tree.insert(ImagePath::parse("/var/run").unwrap(), Node::link("/run", Origin::Lath));
        let postinst = "if [ ! -d /etc/freetds ]; then\n mkdir /etc/freetds\n cp -a /usr/share/freetds/freetds.conf /etc/freetds/\nfi\n\
            adduser --system --home /var/lib/redis --group redis\n\
            install -d -o redis -g redis -m 2750 /var/log/redis\nmkdir -p -m 0755 /var/run/redis /dev/net ../x /etc/redis/redis.conf/x\n\
            chown redis:redis /etc/redis /etc/redis/redis.conf\nchmod 4600 /etc/redis/redis.conf\n\
            dpkg-statoverride --update --add root root 01733 /etc/redis\nln -sf /etc/redis /usr/lib/redis\n";
        let (scripts, notes) = of("redis-tools", postinst, &tree);
        assert_eq!(notes, [""; 0]);
        let accounts = BTreeMap::from([("root".to_owned(), 0), ("redis".to_owned(), 101)]);
        changes::make(&mut tree, &scripts.changes, &accounts);
        insta::assert_snapshot!(tree.listing(), @"
        dir  0755 0 /  lath
        dir  0755 0 /etc  lath
        dir  0755 0 /etc/freetds  deb redis-tools
        file 0644 0 /etc/freetds/freetds.conf  sha256:c87899c8  lath
        dir  1777 0 /etc/redis  lath
        file 0644 0 /etc/redis/redis.conf  sha256:e3b0c442  lath
        dir  0755 0 /run  lath
        dir  0755 0 /run/redis  deb redis-tools
        dir  0755 0 /usr  lath
        dir  0755 0 /usr/lib  deb redis-tools
        link 0777 0 /usr/lib/redis -> /etc/redis  deb redis-tools
        dir  0755 0 /usr/share  lath
        dir  0755 0 /usr/share/freetds  lath
        file 0644 0 /usr/share/freetds/freetds.conf  sha256:c87899c8  lath
        dir  0755 0 /var  lath
        dir  0755 0 /var/log  deb redis-tools
        dir  2750 101 /var/log/redis  deb redis-tools
        link 0777 0 /var/run -> /run  lath
        ");
    }
}
