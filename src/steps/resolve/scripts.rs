//! Essential packages that scripts need. Debian installs essential packages, such as a shell, on every system. So a
//! package with scripts does not declare that it needs them.

use std::collections::{BTreeMap, BTreeSet};

use super::Choice;
use super::debian::Wanted;
use crate::catalog::packages;
use crate::model::digest::Digest;
use crate::model::image_path::{ImagePath, usr_merged};
use crate::model::lock::{LockedDeb, PlatformLock};
use crate::model::origin::Origin;
use crate::model::part::{DebPart, Part, PartContents};
use crate::model::reason::Why;
use crate::model::tree::Kind;
use crate::outside::store::{Store, StoreError};

/// For each package with scripts, the essential packages that its scripts need.
pub(crate) type Helpers = BTreeMap<String, BTreeSet<String>>;

/// The maximum number of links that are followed to find a program.
const HOPS: usize = 8;

impl Choice<'_> {
    /// Returns the packages whose programs the user may run: the packages that the user named, and those on which they
    /// depend. Packages of the base are left out. Packages that only contain a library for a wheel are left out, too,
    /// because nothing runs their programs.
    pub(crate) fn named_debs<'a>(&self, lock: &'a PlatformLock) -> Vec<&'a LockedDeb> {
        let named = lock.debs.iter().filter(|deb| deb.is_named(&self.request.release.packages));
        let mut found: BTreeSet<&str> = named.map(|deb| deb.name.as_str()).collect();
        loop {
            let is_required = |deb: &&LockedDeb| deb.required_by.iter().any(|other| found.contains(other.as_str()));
            let required: Vec<&str> = lock.debs.iter().filter(is_required).map(|deb| deb.name.as_str()).collect();
            let before = found.len();
            found.extend(required);
            if found.len() == before {
                break;
            }
        }
        lock.debs.iter().filter(|deb| !deb.is_base && found.contains(deb.name.as_str())).collect()
    }
}

/// Returns the packages that the scripts of the packages `debs` need. A package counts only if scripts are more than
/// half of its programs, or if the program with the name of the package is a script. Otherwise nearly every image would
/// get a shell: `curl` contains the script `wcurl`, but users add it because of the program `curl`.
pub(crate) fn helpers(debs: &[Part], store: &Store) -> Result<Helpers, StoreError> {
    let files = Files::of(debs);
    let mut helpers = Helpers::new();
    for (name, deb) in opened(debs) {
        if packages::has_idle_programs(name) {
            continue;
        }
        let (mut count, mut needed, mut scripts) = (0, BTreeSet::new(), Vec::new());
        for program in deb.entries.iter().filter_map(|entry| program(&entry.path)) {
            let Some(digest) = files.contents(&program) else { continue };
            count += 1;
            if !files.elf.contains(digest)
                && let Some(packages) = of_script(&store.read(digest)?)
            {
                scripts.push(program);
                needed.extend(packages);
            }
        }
        let is_main = |script: &ImagePath| script.file_name() == name;
        if scripts.len() * 2 > count || scripts.iter().any(is_main) {
            helpers.insert(name.to_owned(), needed.into_iter().map(str::to_owned).collect());
        }
    }
    helpers.retain(|_, needed| !needed.is_empty());
    Ok(helpers)
}

/// Returns the essential packages that are added for the scripts of packages in `debs`. `scripts` are the needs of
/// scripts that were read. The catalogue has the needs of other packages.
pub(super) fn essential(debs: &[LockedDeb], scripts: &Helpers) -> Vec<Wanted> {
    let has = |package: &String| debs.iter().any(|deb| deb.name == *package);
    let all = packages::helpers().iter().chain(scripts).filter(|(runner, _)| has(runner));
    let wanted = all.flat_map(|(runner, packages)| {
        let why = Why::ScriptsOf { package: runner.clone() };
        let missing = packages.iter().filter(|package| !has(package));
        missing.map(move |package| Wanted { package: package.clone(), why: why.clone() })
    });
    wanted.collect()
}

fn opened(debs: &[Part]) -> impl Iterator<Item = (&str, &DebPart)> {
    debs.iter().filter_map(|part| match (&part.origin, &part.contents) {
        (Origin::Deb { name, .. }, PartContents::Deb(deb)) => Some((name.as_str(), deb)),
        _ => None,
    })
}

/// Returns the path in the image, if programs are found there by their name.
fn program(path: &str) -> Option<ImagePath> {
    let path = ImagePath::parse(&usr_merged(path)).ok()?;
    let is_there = path.parent().is_some_and(|folder| ["/usr/bin", "/usr/sbin"].contains(&folder.as_str()));
    is_there.then_some(path)
}

/// The files and links of some packages.
struct Files<'a> {
    kinds: BTreeMap<ImagePath, &'a Kind>,
    /// The files that are no scripts, because they are ELF files.
    elf: BTreeSet<&'a Digest>,
}

impl<'a> Files<'a> {
    fn of(debs: &'a [Part]) -> Self {
        let entries = opened(debs).flat_map(|(_, deb)| &deb.entries).filter(|entry| entry.kind != Kind::Directory);
        let place = |path: &str| ImagePath::parse(&usr_merged(path)).ok();
        let kinds = entries.filter_map(|entry| Some((place(&entry.path)?, &entry.kind))).collect();
        let facts = debs.iter().flat_map(|part| &part.facts);
        Self { kinds, elf: facts.filter(|(_, facts)| facts.elf.is_some()).map(|(digest, _)| digest).collect() }
    }

    /// Returns the contents of the file to which `path` leads. `None` if a link leads to another package.
    fn contents(&self, path: &ImagePath) -> Option<&'a Digest> {
        let mut path = path.clone();
        for _ in 0..HOPS {
            match self.kinds.get(&path)? {
                Kind::File { digest, .. } => return Some(digest),
                Kind::Link { target } => {
                    let target = path.resolve_link(target);
                    path = ImagePath::parse(&usr_merged(target.as_str())).ok()?;
                }
                Kind::Directory => return None,
            }
        }
        None
    }
}

/// Returns the essential packages that a script needs. `None` if the file is no script of a shell or of perl.
fn of_script(bytes: &[u8]) -> Option<BTreeSet<&'static str>> {
    let text = String::from_utf8_lossy(bytes.strip_prefix(b"#!")?).into_owned();
    let (first, rest) = text.split_once('\n')?;
    let mut words = first.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or_default());
    let program = words.next()?;
    let program = if program == "env" { words.find(|word| !word.starts_with('-'))? } else { program };
    let mut needed: BTreeSet<&str> = packages::of_interpreter(program)?.iter().map(String::as_str).collect();
    // Scripts of perl contain their documentation, so a word in them is often not a program.
    if program.starts_with("perl") {
        return Some(needed);
    }
    let code = rest.lines().filter(|line| !line.trim_start().starts_with('#'));
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.' | '+');
    needed.extend(code.flat_map(|line| line.split(|letter| !is_part(letter))).filter_map(packages::of_tool));
    Some(needed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facts::{Elf, Facts, FileFacts, Linkage};
    use crate::model::part::PartEntry;
    use crate::outside::store::tests::store;

    /// Returns a package with files and links. A text that begins with `-> ` is the target of a link.
    fn deb(name: &str, files: &[(&str, &str)], store: &Store) -> Part {
        let mut facts = FileFacts::new();
        let entry = |(path, text): &(&str, &str)| {
            let kind = match text.strip_prefix("-> ") {
                Some(target) => Kind::Link { target: target.to_owned() },
                None => Kind::File { digest: store.put(text.as_bytes()).unwrap(), size_bytes: text.len() as u64 },
            };
            if let (Kind::File { digest, .. }, true) = (&kind, text.starts_with("ELF")) {
                let elf = Elf { machine: None, linkage: Ok(Linkage::default()) };
                facts.insert(*digest, Facts { elf: Some(elf), ..Facts::default() });
            }
            PartEntry { path: (*path).to_owned(), kind, mode: 0o755 }
        };
        let entries = files.iter().map(entry).collect();
        let deb = DebPart { control: String::new(), scripts: Vec::new(), control_files: Vec::new(), entries };
        let origin = Origin::Deb { name: name.to_owned(), version: "1".to_owned() };
        Part { parcel: Digest::of(name.as_bytes()), origin, facts, contents: PartContents::Deb(deb) }
    }

    fn found(debs: &[Part], store: &Store) -> Vec<String> {
        let line = |(name, needed): (String, BTreeSet<String>)| {
            format!("{name}: {}", needed.into_iter().collect::<Vec<_>>().join(" "))
        };
        helpers(debs, store).unwrap().into_iter().map(line).collect()
    }

    #[test]
    fn a_package_that_is_run_by_scripts_needs_their_interpreters_and_tools() {
        let (_home, store) = store();
        let shell = "#!/bin/sh\n# find\ngrep x | xargs rm\n";
        let debs = [
            deb("chromium", &[("usr/bin/chromium", shell), ("usr/bin/a", "ELF"), ("usr/bin/b", "ELF")], &store),
            deb("office", &[("usr/bin/soffice", "-> ../lib/office/soffice")], &store),
            deb("office-common", &[("usr/lib/office/soffice", "#! /bin/bash -e\n")], &store),
            deb(
                "wrapper",
                &[("bin/psql", "-> /usr/share/wrapper"), ("usr/share/wrapper", "#!/usr/bin/perl -w\nfind x\n")],
                &store,
            ),
            deb("env", &[("usr/sbin/env-user", "#!/usr/bin/env -S sh\nawk\n")], &store),
        ];
        let expected = [
            "chromium: coreutils dash findutils grep sed",
            "env: coreutils dash grep mawk sed",
            "office: bash coreutils dash grep sed",
            "wrapper: perl-base",
        ];
        assert_eq!(found(&debs, &store), expected);
    }

    #[test]
    fn a_script_beside_a_program_and_an_idle_script_need_nothing() {
        let (_home, store) = store();
        let debs = [
            deb("curl", &[("usr/bin/curl", "ELF"), ("usr/bin/wcurl", "#!/bin/sh\n")], &store),
            deb("ucf", &[("usr/bin/ucf", "#!/bin/sh\n")], &store),
            deb("libx", &[("usr/lib/libx/helper", "#!/bin/sh\n")], &store),
            deb("python3-x", &[("usr/bin/python3-x", "#!/usr/bin/python3\n"), ("usr/bin/gone", "-> /opt/x")], &store),
        ];
        assert_eq!(found(&debs, &store), [""; 0]);
    }
}
