//! Files of overrides (`*.gschema.override`): other defaults for keys, in GLib's format for key files.
//!
//! A group is the id of a schema, or the id, a colon and the name of a desktop.

use std::collections::BTreeMap;

use super::fault::Fault;
use super::schema::Schemas;
use super::text::is_blank;

/// Replaces the defaults that one file names, and returns the keys that stay as they are, with the reasons. If the file
/// itself has a fault, nothing is replaced.
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

/// The lines below one heading, or below all headings of the same name.
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
        // A key with the name of a locale in brackets is only for this locale.
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
