//! Files of overrides (`*.gschema.override`). They contain other defaults for keys, in GLib's format for key files.
//!
//! The name of a group is the id of a schema, for example `[org.example.app]`. If the defaults are only for one
//! desktop, a colon and the name of the desktop follow, for example `[org.example.app:GNOME]`.

use std::collections::BTreeMap;

use super::fault::Fault;
use super::schema::Schemas;
use super::text::is_blank;

/// Replaces the defaults of all keys in one file. Returns the keys whose defaults could not be replaced, with the
/// reasons. If the file itself has a fault, nothing is replaced.
pub(super) fn apply(text: &str, schemas: &mut Schemas) -> Result<Vec<(String, Fault)>, Fault> {
    let mut faults = Vec::new();
    for group in parse(text)? {
        let (id, desktop) = match group.name.split_once(':') {
            Some((id, desktop)) => (id, Some(desktop)),
            None => (group.name.as_str(), None),
        };
        for (key, value) in &group.entries {
            if let Err(fault) = schemas.override_default(id, desktop, key, value) {
                faults.push((format!("{} {key}", group.name), fault));
            }
        }
    }
    Ok(faults)
}

/// The entries below all headings with the same name.
struct Group {
    name: String,
    entries: BTreeMap<String, String>,
}

fn parse(text: &str) -> Result<Vec<Group>, Fault> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places = BTreeMap::new();
    let mut current = None;
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let line = line.trim_start_matches(is_blank);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fault = || Fault::Line(line.to_owned());
        if let Some(name) = heading(line) {
            let is_name = !name.is_empty() && !name.contains(|c: char| c == '[' || c.is_ascii_control());
            is_name.then_some(()).ok_or_else(fault)?;
            let place = *places.entry(name).or_insert(groups.len());
            if place == groups.len() {
                groups.push(Group { name: name.to_owned(), entries: BTreeMap::new() });
            }
            current = Some(place);
            continue;
        }
        let (key, value) = line.split_once('=').ok_or_else(fault)?;
        let key = key.trim_end_matches(is_blank);
        let is_key = !key.is_empty() && (key.ends_with(']') || !key.contains('['));
        let group = current.filter(|_| is_key).and_then(|at: usize| groups.get_mut(at)).ok_or_else(fault)?;
        // If a key ends with the name of a locale in brackets, such as `key[de]`, its value is only for this locale, so
        // the entry is ignored.
        if !key.ends_with(']') {
            group.entries.insert(key.to_owned(), value.trim_start_matches(is_blank).to_owned());
        }
    }
    Ok(groups)
}

/// Returns the text between the brackets of a heading.
fn heading(line: &str) -> Option<&str> {
    let (name, rest) = line.strip_prefix('[')?.split_once(']')?;
    rest.chars().all(|c| matches!(c, ' ' | '\t')).then_some(name)
}
