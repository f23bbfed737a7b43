//! Tests the architecture: a part of `src/` may use only certain other parts, and files must not use one another in a
//! circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Every part, and the paths that it may use. A path also stands for everything below it. If the path of a module
/// begins with several parts of this table, the module belongs to the longest of them. If a part is not in its own
/// list, its children may not use one another.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("model", &["model"]),
    ("catalog", &["catalog", "model"]),
    ("formats", &["model"]),
    // A door that has no entry of its own belongs to this part, and may use nothing.
    ("outside", &[]),
    ("outside/app_files", &["outside/app_files", "formats", "model"]),
    (
        "outside/archive",
        &[
            "outside/archive",
            "outside/credentials",
            "outside/http",
            "outside/similar",
            "outside/store",
            "formats",
            "catalog",
            "model",
        ],
    ),
    ("outside/config_files", &["model"]),
    ("outside/credentials", &["outside/credentials", "outside/staging", "catalog", "model"]),
    ("outside/daemon", &["outside/daemon", "model"]),
    ("outside/facts", &["outside/store", "formats", "model"]),
    ("outside/http", &["outside/http", "outside/credentials", "outside/store", "model"]),
    (
        "outside/pypi",
        &["outside/pypi", "outside/credentials", "outside/http", "outside/similar", "formats", "catalog", "model"],
    ),
    ("outside/images", &["outside/images", "outside/daemon", "outside/registry", "outside/store", "formats", "model"]),
    ("outside/python_files", &["outside/python_files", "outside/store", "formats", "model"]),
    (
        "outside/registry",
        &["outside/registry", "outside/credentials", "outside/http", "formats/oci", "catalog", "model"],
    ),
    ("outside/sandbox", &["outside/sandbox", "outside/unfinished", "formats", "model"]),
    ("outside/script", &["formats", "model"]),
    ("outside/stage", &["outside/stage", "outside/store", "outside/unfinished", "model"]),
    ("outside/staging", &["outside/unfinished"]),
    ("outside/store", &["outside/store", "outside/clock", "outside/unfinished", "model"]),
    ("outside/threads", &["model"]),
    ("outside/trace_file", &["model"]),
    ("outside/unfinished", &["outside/threads"]),
    ("outside/vendor", &["outside/store", "model"]),
    ("outside/world", &["outside", "model"]),
    ("steps", &["outside", "formats", "catalog", "model"]),
    ("pipeline", &["present", "steps", "outside", "formats/oci", "model"]),
    ("present", &["present", "rivals/model", "model"]),
    ("rivals", &["rivals", "pipeline", "steps", "outside", "formats", "catalog", "model"]),
    ("rivals/model", &["model"]),
    (
        "cli",
        &[
            "cli",
            "present",
            "rivals",
            "pipeline",
            "catalog",
            "model",
            // The command line only passes the world to the pipeline. It does not use the doors in the world.
            "outside/world/World",
            // Settings must be read before the world is opened.
            "outside/config_files",
            "outside/similar",
            // The command line calls these functions before or after a command, because they affect the whole process.
            "outside/sandbox/serve_warden",
            "outside/threads/HINT",
            "outside/threads/is_thread_panic",
            "outside/unfinished/survive_file_size_limit",
            "outside/unfinished/remove_and_exit",
            "outside/unfinished/Unfinished",
        ],
    ),
    ("main", &[]),
    ("lib", &["cli"]),
];

/// A module of `src/`, and its code. Comments and the contents of strings were removed.
#[derive(Debug)]
struct Module {
    /// The path, such as `["outside", "store", "packs"]`. If the file is a `mod.rs`, this is the path of its folder.
    path: Vec<String>,
    /// Whether the file is a `mod.rs`.
    is_root: bool,
    code: String,
}

impl Module {
    fn new(file: &str, text: &str) -> Self {
        let mut path: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        let is_root = path.last().is_some_and(|last| last == "mod");
        path.truncate(path.len() - usize::from(is_root));
        Self { path, is_root, code: code_of(text) }
    }

    fn part(&self) -> &'static str {
        part_of(&self.path)
    }

    /// Returns the full paths of everything that the module uses outside of its tests, with line numbers. Tests are
    /// left out, because in a test, `super` means the module itself.
    fn names(&self) -> Vec<(usize, Vec<String>)> {
        let own = self.code.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let mut names = Vec::new();
        for (at, path) in paths(own) {
            let base = match path[0].as_str() {
                "super" => &self.path[..self.path.len() - 1],
                "self" => &self.path[..],
                _ => &[],
            };
            names.push((line_of(own, at), [base, &path[1..]].concat()));
        }
        names
    }
}

/// Returns the part to which a path belongs, or `""` if the floor plan does not contain it.
fn part_of(path: &[String]) -> &'static str {
    let parts = MAY_NAME.iter().map(|(part, _)| *part).filter(|part| is_within(path, part));
    parts.max_by_key(|part| part.len()).unwrap_or_default()
}

/// Whether `path` begins with all components of `place`.
fn is_within(path: &[String], place: &str) -> bool {
    let mut components = path.iter();
    place.split('/').all(|component| components.next().is_some_and(|own| own == component))
}

/// Returns the number of components of a part.
fn depth(part: &str) -> usize {
    part.split('/').count()
}

/// Replaces comments and the contents of strings and characters by blanks. Line numbers and positions stay the same.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => string(rest, 1),
            'b' if !is_word && rest.starts_with("b\"") => string(rest, 2),
            'r' | 'b' if !is_word && raw_string(rest).is_some() => raw_string(rest).unwrap_or(1),
            '\'' => character(rest),
            _ => {
                code.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
        };
        code.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[length..];
    }
    code
}

/// Returns the position after the end of a string. `start` is the position of its contents.
fn string(text: &str, start: usize) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(start) {
        match c {
            '"' if !is_escaped => return at + 1,
            _ => is_escaped = c == '\\' && !is_escaped,
        }
    }
    text.len()
}

/// Returns the length of the raw string with which `text` begins, if there is one.
fn raw_string(text: &str) -> Option<usize> {
    let opening = text.strip_prefix('b').unwrap_or(text).strip_prefix('r')?;
    let hashes = opening.len() - opening.trim_start_matches('#').len();
    opening[hashes..].strip_prefix('"')?;
    let start = text.len() - opening.len() + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(text[start..].find(&end).map_or(text.len(), |at| start + at + end.len()))
}

/// Returns the length of the character literal with which `text` begins. If the quote begins a lifetime, returns only
/// the length of the quote.
fn character(text: &str) -> usize {
    let mut inside = text.char_indices().skip(1);
    match inside.next() {
        // The character after a backslash belongs to the escape sequence, even if it is a quote.
        Some((_, '\\')) => text.get(3..).and_then(|rest| rest.find('\'')).map_or(1, |end| end + 4),
        _ => inside.next().filter(|(_, c)| *c == '\'').map_or(1, |(at, _)| at + 1),
    }
}

/// Returns all paths in `code` that begin with `crate`, `super` or `self`, and their positions. Groups such as `a::{b,
/// c}` become several paths.
fn paths(code: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for first in ["crate", "super", "self"] {
        for (at, _) in code.match_indices(&format!("{first}::")) {
            let before = code[..at].chars().next_back();
            if before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':') {
                let mut expanded = Vec::new();
                expand(&code[at..], &[], &mut expanded);
                found.extend(expanded.into_iter().map(|path| (at, path)));
            }
        }
    }
    found
}

/// Adds the paths with which `text` begins. `prefix` is put before each of them. Returns the rest of the text.
fn expand<'a>(text: &'a str, prefix: &[String], found: &mut Vec<Vec<String>>) -> &'a str {
    let mut path = prefix.to_vec();
    let mut rest = text.trim_start();
    loop {
        let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        match (&rest[..length], rest.strip_prefix('{')) {
            ("", Some(group)) => {
                rest = group;
                while !rest.is_empty() && !rest.starts_with('}') {
                    let after = expand(rest, &path, found);
                    rest = after.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
                    if rest.len() == after.len() && !rest.starts_with('}') {
                        // In `name as other`, the word `other` is skipped.
                        rest = &rest[rest.find([',', '}']).unwrap_or(rest.len())..];
                        rest = rest.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
                    }
                }
                return rest.get(1..).unwrap_or_default();
            }
            ("", None) => {
                path.push(if rest.starts_with('*') { "*" } else { "" }.to_owned());
                found.push(path);
                return rest.strip_prefix('*').unwrap_or(rest);
            }
            (word, _) => path.push(word.to_owned()),
        }
        let Some(next) = rest[length..].strip_prefix("::") else {
            found.push(path);
            return rest[length..].trim_start_matches(' ');
        };
        rest = next;
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Returns the faults of a module, with line numbers: each use of a path that the floor plan does not allow.
fn offences(module: &Module, modules: &[Module]) -> Vec<(usize, String)> {
    let part = module.part();
    let allowed = MAY_NAME.iter().find(|(name, _)| *name == part).map_or(&[][..], |(_, allowed)| allowed);
    let mut found = Vec::new();
    for (at, _) in module.code.match_indices("super::super") {
        found.push((line_of(&module.code, at), "climbs two floors".to_owned()));
    }
    for (at, _) in module.code.match_indices("crate::{") {
        found.push((line_of(&module.code, at), "groups its imports".to_owned()));
    }
    // Paths that begin with `crate` are also checked in tests, because `crate` has the same meaning there.
    let absolute = paths(&module.code).into_iter().filter(|(_, path)| path[0] == "crate");
    let mut names = module.names();
    names.extend(absolute.map(|(at, path)| (line_of(&module.code, at), path[1..].to_vec())));
    found.extend(handed_on(module));
    for (line, path) in names {
        let named = part_of(&path);
        if named == part {
            found.extend(
                sibling(module, &path, modules)
                    .into_iter()
                    .filter(|_| !allowed.contains(&part))
                    .map(|name| (line, name)),
            );
        } else if !named.is_empty() && !allowed.iter().any(|place| is_within(&path, place)) {
            found.push((line, format!("`{part}` may not name `{}`", path.join("::"))));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Returns the items of other parts that the module re-exports. Re-exports are not allowed, because through them, a
/// third part could use a part that the floor plan forbids.
fn handed_on(module: &Module) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, path) in paths(&module.code).into_iter().filter(|(_, path)| path[0] == "crate") {
        let before = module.code[..at].trim_end().strip_suffix("use").map(str::trim_end);
        let is_public = before.is_some_and(|before| before.ends_with("pub") || before.ends_with(')'));
        if is_public && part_of(&path[1..]) != module.part() {
            found.push((line_of(&module.code, at), format!("`{}` hands on `{}`", module.part(), path[1..].join("::"))));
        }
    }
    found
}

/// Returns a fault if `path` is in a sibling of the module. A sibling is another child of the same part.
fn sibling(module: &Module, path: &[String], modules: &[Module]) -> Option<String> {
    let depth = depth(module.part());
    let (own, named) = (module.path.get(depth)?, path.get(depth)?);
    let is_sibling = named == "*" || modules.iter().any(|other| other.path.starts_with(&path[..=depth]));
    (is_sibling && named != own).then(|| format!("`{own}` may not name its sibling `{named}`"))
}

/// Returns the modules that each module uses. The files `mod.rs` are left out, because a `mod.rs` and its children
/// belong together.
fn uses(modules: &[Module]) -> BTreeMap<String, BTreeSet<String>> {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for module in modules.iter().filter(|module| !module.is_root) {
        for (_, path) in module.names() {
            let used =
                modules.iter().filter(|other| path.starts_with(&other.path)).max_by_key(|other| other.path.len());
            if let Some(used) = used.filter(|used| !used.is_root && used.path != module.path) {
                uses.entry(module.path.join("/")).or_default().insert(used.path.join("/"));
            }
        }
    }
    uses
}

/// For each child of a part, returns the other children that any of its files uses.
fn uses_of_children(modules: &[Module], part: &str) -> BTreeMap<String, BTreeSet<String>> {
    let depth = depth(part);
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for module in modules.iter().filter(|module| module.path.len() > depth && is_within(&module.path, part)) {
        for (_, path) in module.names().into_iter().filter(|(_, path)| path.len() > depth && is_within(path, part)) {
            let is_child = modules.iter().any(|other| other.path == path[..=depth]);
            if is_child && path[depth] != module.path[depth] {
                uses.entry(module.path[depth].clone()).or_default().insert(path[depth].clone());
            }
        }
    }
    uses
}

/// If the modules in `uses` use one another in a circle, returns the names in this circle.
fn circle(uses: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<&str>> {
    fn visit<'a>(
        name: &'a str,
        uses: &'a BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> Option<Vec<&'a str>> {
        if let Some(start) = way.iter().position(|earlier| *earlier == name) {
            return Some([&way[start..], &[name]].concat());
        }
        if !done.insert(name) {
            return None;
        }
        way.push(name);
        let found = uses.get(name).into_iter().flatten().find_map(|next| visit(next, uses, way, done));
        way.pop();
        found
    }
    let mut done = BTreeSet::new();
    uses.keys().find_map(|name| visit(name, uses, &mut Vec::new(), &mut done))
}

fn collect(folder: &Path, src: &Path, modules: &mut Vec<Module>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, src, modules);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = path.strip_prefix(src).unwrap().to_str().unwrap();
            modules.push(Module::new(file, &fs::read_to_string(&path).unwrap()));
        }
    }
}

fn modules_of_lath() -> Vec<Module> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut modules = Vec::new();
    collect(&src, &src, &mut modules);
    modules
}

fn modules(files: &[(&str, &str)]) -> Vec<Module> {
    files.iter().map(|(file, text)| Module::new(file, text)).collect()
}

#[test]
fn every_part_names_only_what_the_floor_plan_allows() {
    let modules = modules_of_lath();
    let mut found = Vec::new();
    for module in &modules {
        let file = module.path.join("/");
        if module.part().is_empty() {
            found.push(format!("{file}: the floor plan has no such part"));
        }
        found.extend(offences(module, &modules).into_iter().map(|(line, what)| format!("src/{file}:{line}: {what}")));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn no_files_use_one_another_in_a_circle() {
    let all = modules_of_lath();
    assert_eq!(circle(&uses(&all)), None);
    for (part, _) in MAY_NAME {
        assert_eq!(circle(&uses_of_children(&all, part)), None, "in `{part}`");
    }
}

#[test]
fn every_format_of_the_cache_has_a_name_of_its_own() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![src];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for text in files.iter().map(|file| fs::read_to_string(file).unwrap()) {
        for word in text.split('"').filter(|word| is_format(word)) {
            *names.entry(word.to_owned()).or_default() += 1;
        }
    }
    assert!(names.keys().any(|name| name.starts_with("segment-")), "{names:?}");
    names.retain(|_, times| *times > 1);
    assert!(names.is_empty(), "two formats have the same name: {names:?}");
}

/// Whether `word` is a name with a version number, such as `parts-3`.
fn is_format(word: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let is_number = |number: &str| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    // `utf-8` is excluded, because it is an encoding in calls of Python.
    word != "utf-8" && word.rsplit_once('-').is_some_and(|(name, number)| is_name(name) && is_number(number))
}

#[test]
fn an_arrow_that_runs_backwards_is_an_offence() {
    let has_offence = |file: &str, text: &str| {
        let modules = modules(&[
            (file, text),
            ("steps/fetch.rs", ""),
            ("steps/emit/place.rs", ""),
            ("formats/deb.rs", ""),
            ("rivals/model/way.rs", ""),
        ]);
        !offences(&modules[0], &modules).is_empty()
    };
    for (file, text) in [
        ("model/x.rs", "use crate::steps::fetch;"),
        ("formats/x.rs", "use crate::formats::deb;"),
        ("steps/x.rs", "use crate::{model, outside};"),
        ("cli/x/y.rs", "use super::super::pipeline;"),
        ("model/x.rs", "let url = \"http://host\"; crate::steps::fetch();"),
        ("model/x.rs", "let quote = '\"'; crate::steps::fetch(); let other = '\"';"),
        ("steps/x.rs", "use super::fetch;"),
        ("steps/x.rs", "use super::{\n    fetch::fetch,\n};"),
        ("steps/x.rs", "use super::*;"),
        ("steps/x/mod.rs", "use super::fetch::fetch;"),
        ("formats/x.rs", "fn f() { super::deb::read() }"),
        ("pipeline/x.rs", "use crate::rivals::engine::Engine;"),
        ("present/x.rs", "use crate::rivals::{model::way::Way, engine::Engine};"),
        ("present/x.rs", "use crate::rivals;"),
        ("cli/x.rs", "use crate::outside::world::WorldError;"),
        ("cli/x.rs", "use crate::outside::world::{World, WorldError};"),
        ("cli/x.rs", "use crate::outside::world;"),
        ("pipeline/x.rs", "pub(crate) use crate::outside::world::World;"),
        ("pipeline/x.rs", "pub(super) use crate::outside::store::{\n    Store, Bucket,\n};"),
        ("rivals/x.rs", "pub use crate::pipeline::BuildError;"),
        ("outside/http/x.rs", "use crate::outside::pypi::Pypi;"),
        ("outside/http/mod.rs", "use super::pypi::Pypi;"),
        ("outside/new.rs", "use crate::model::digest::Digest;"),
        ("rivals/model/mod.rs", "use super::engine::Engine;"),
        ("rivals/model/x.rs", "#[cfg(test)]\nmod tests {\n    use crate::rivals::engine::Engine;\n}"),
        ("rivals/model/x.rs", "use super::way::Way;"),
    ] {
        assert!(has_offence(file, text), "{file}: {text}");
    }
    for (file, text) in [
        ("steps/x.rs", "use crate::outside::store::Store; // crate::cli"),
        ("steps/x.rs", "let text = \"crate::cli\"; let raw = r#\"crate::cli \" \"#;"),
        ("steps/x.rs", "fn f<'a>(x: &'a str) {} // crate::cli"),
        ("steps/emit/x.rs", "use super::place::Place;"),
        ("steps/x.rs", "#[cfg(test)]\nmod tests {\n    use super::*;\n}"),
        ("outside/http/x.rs", "use crate::outside::store::Store;"),
        ("outside/http/x.rs", "use crate::outside::http::body::Body;"),
        ("outside/http/mod.rs", "pub(crate) use crate::outside::http::body::Body;"),
        ("outside/world.rs", "use crate::outside::store::Store;"),
        ("cli/x.rs", "use crate::outside::world::World;"),
        ("pipeline/x.rs", "use crate::outside::world::World;"),
        ("pipeline/x.rs", "fn f(x: T) {\n    use crate::outside::world::World;\n}"),
        ("pipeline/mod.rs", "pub(crate) use self::failure::BuildError;"),
        ("present/x.rs", "use crate::rivals::model::way::Way;"),
        ("rivals/x.rs", "use crate::rivals::model::way::Way;"),
        ("rivals/model/mod.rs", "use self::way::Way;"),
    ] {
        assert!(!has_offence(file, text), "{file}: {text}");
    }
}

#[test]
fn a_circle_is_found_by_any_way_of_writing_it() {
    let circle_of = |files: &[(&str, &str)]| {
        let modules = modules(files);
        let (files, children) = (uses(&modules), uses_of_children(&modules, "outside"));
        circle(&files).or_else(|| circle(&children)).map(|names| names.join(" > "))
    };
    let one = ("outside/a/one.rs", "use super::two::Two;");
    let expected = Some("outside/a/one > outside/a/two > outside/a/one".to_owned());
    for text in [
        "use crate::outside::a::one::One;",
        "use super::{Root, one::{One as Other, self}};",
        "fn f() { super::one::f() }",
    ] {
        assert_eq!(circle_of(&[one, ("outside/a/two.rs", text)]), expected, "{text}");
    }
    // All files of a door count as one unit, including its `mod.rs`.
    let doors = [
        ("outside/a/mod.rs", "use crate::outside::b::B;"),
        ("outside/b/mod.rs", ""),
        ("outside/b/x.rs", "use crate::outside::a::A;"),
    ];
    assert_eq!(circle_of(&doors), Some("a > b > a".to_owned()));
    // A folder and its children belong together.
    assert_eq!(
        circle_of(&[("outside/a/mod.rs", "use self::one::One;"), ("outside/a/one.rs", "use super::Root;")]),
        None
    );
    assert_eq!(circle_of(&[one, ("outside/a/two.rs", "// super::one")]), None);
}

/// Returns the error types of `modules` that can have hints, by their names. The value is the code of the type, and its
/// implementation of `Hints` if there is one. Errors of formats and plain values have no hints.
fn errors(modules: &[Module]) -> BTreeMap<&str, (&str, Option<&str>)> {
    let mut errors = BTreeMap::new();
    let has_hints = |module: &&Module| matches!(module.path[0].as_str(), "outside" | "steps" | "pipeline" | "rivals");
    for module in modules.iter().filter(has_hints) {
        let item = |start: usize| &module.code[start..start + module.code[start..].find("\n}\n").unwrap_or_default()];
        for (at, declaration) in
            ["pub(crate) enum ", "pub(crate) struct "].iter().flat_map(|word| module.code.match_indices(word))
        {
            let name = module.code[at + declaration.len()..].split([' ', '(', ';']).next().unwrap_or_default();
            if name.ends_with("Error") {
                let hints = module.code.find(&format!("impl Hints for {name} {{"));
                errors.insert(name, (item(at), hints.map(|at| module.code[at..].split("\n}\n").next().unwrap_or(""))));
            }
        }
    }
    errors
}

/// Returns error types that do not implement `Hints`, and variants that wrap an error but do not pass on its hints.
fn dropped_hints(modules: &[Module]) -> Vec<String> {
    let errors = errors(modules);
    let mut dropped = Vec::new();
    for (name, (code, hints)) in &errors {
        let Some(hints) = hints else {
            dropped.push((*name).to_owned());
            continue;
        };
        let wrapped = hints.split_once("fn wrapped").map_or("", |(_, wrapped)| wrapped);
        for variant in code.split("\n    ").filter(|line| line.starts_with(|c: char| c.is_uppercase())) {
            let mut words = variant.split(|c: char| !c.is_alphanumeric());
            let variant = words.next().unwrap_or_default();
            let is_passed_on = wrapped.match_indices(&format!("Self::{variant}")).any(|(at, found)| {
                let after = &wrapped[at + found.len()..];
                let result = after.split_once("=>").map_or("", |(_, result)| result.trim_start());
                !after.starts_with(char::is_alphanumeric) && result.starts_with("Some(")
            });
            if words.any(|word| errors.contains_key(word) || word == "Self") && !is_passed_on {
                dropped.push(format!("{name}::{variant}"));
            }
        }
    }
    dropped
}

#[test]
fn no_error_drops_the_hints_of_the_error_that_it_wraps() {
    let modules = modules_of_lath();
    assert!(errors(&modules).len() > 20, "{:?}", errors(&modules).keys());
    assert_eq!(dropped_hints(&modules), Vec::<String>::new());
}

#[test]
fn a_dropped_hint_is_found_in_every_form_of_a_variant() {
    let wrapped = |arms: &str| {
        let outer = format!(
            "pub(crate) enum OuterError {{\n    Plain,\n    Inner(#[from] InnerError),\n    Other {{ source: \
             Box<InnerError> }},\n}}\n\nimpl Hints for OuterError {{\n    fn wrapped(&self) {{\n        match self \
             {{\n{arms}        }}\n    }}\n}}\n"
        );
        let inner = "pub(crate) struct InnerError {\n}\n\nimpl Hints for InnerError {}\n";
        dropped_hints(&modules(&[("steps/x.rs", &outer), ("outside/y.rs", inner)]))
    };
    let all =
        "            Self::Inner(error) => Some(error),\n            Self::Other { source } => Some(&**source),\n";
    assert_eq!(wrapped(all), Vec::<String>::new());
    assert_eq!(
        wrapped("            Self::Inner(error) => Some(error),\n            _ => None,\n"),
        ["OuterError::Other"]
    );
    assert_eq!(
        wrapped("            Self::Inner(_) => None,\n            Self::Other { source } => Some(source),\n"),
        ["OuterError::Inner"]
    );
    let without = modules(&[("pipeline/x.rs", "pub(crate) struct LoneError(String);\n")]);
    assert_eq!(dropped_hints(&without), ["LoneError"]);
}
