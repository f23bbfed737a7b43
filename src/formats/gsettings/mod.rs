//! The settings of GLib. This module compiles files of schemas into the file `gschemas.compiled`, with the same bytes
//! as the program `glib-compile-schemas` of GLib.
//!
//! The modules, from the lowest to the highest: `variant_type` and `value` contain GVariant, the type system of GLib.
//! `text`, `pattern`, `typed` and `number` read its text format. `choices`, `key` and `schema` contain the definitions
//! of settings. `xml` and `overrides` read the files with these definitions. `string_table` and `gvdb` write the format
//! of the result.

mod choices;
mod fault;
mod gvdb;
mod key;
mod number;
mod overrides;
mod pattern;
mod schema;
mod string_table;
mod text;
mod typed;
mod value;
mod variant_type;
mod xml;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;

pub(crate) use self::fault::Fault;
use self::fault::{MAX_FILE_BYTES, MAX_SOURCE_BYTES};
use self::schema::Schemas;

const SCHEMAS: &str = ".gschema.xml";
const ENUMERATIONS: &str = ".enums.xml";
const OVERRIDES: &str = ".gschema.override";

/// The files of the folder with settings. Files that exceed the limits against hostile packages are left out.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    files: Vec<SourceFile>,
    /// The total size of `files`.
    size_bytes: u64,
    left_out: Vec<LeftOut>,
}

#[derive(Debug)]
struct SourceFile {
    name: String,
    bytes: Vec<u8>,
}

/// A part of the sources that the result does not contain.
#[derive(Debug)]
pub(crate) struct LeftOut {
    /// The name of the file, with the line or the key in this file if it is known.
    pub(crate) place: String,
    pub(crate) fault: Fault,
}

#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) bytes: Vec<u8>,
    pub(crate) left_out: Vec<LeftOut>,
}

impl Sources {
    /// Adds a file. If it is too large, `read` is not called, and the file is left out.
    pub(crate) fn add<E>(
        &mut self,
        name: &str,
        size_bytes: u64,
        read: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<(), E> {
        let fault = if size_bytes > MAX_FILE_BYTES {
            Fault::Size
        } else if self.size_bytes + size_bytes > MAX_SOURCE_BYTES {
            Fault::SourceSize
        } else {
            self.size_bytes += size_bytes;
            self.files.push(SourceFile { name: name.to_owned(), bytes: read()? });
            return Ok(());
        };
        self.left_out.push(LeftOut { place: name.to_owned(), fault });
        Ok(())
    }
}

/// Whether settings are compiled from a file with this name.
pub(crate) fn is_source(name: &str) -> bool {
    is_xml(name) || name.ends_with(OVERRIDES)
}

/// Whether a file with this name defines schemas or enumerations.
pub(crate) fn is_xml(name: &str) -> bool {
    name.ends_with(SCHEMAS) || name.ends_with(ENUMERATIONS)
}

/// Compiles all files of a folder. Like GLib, this function leaves out every file with a fault.
pub(crate) fn compile(sources: Sources) -> Result<Compiled, Fault> {
    let Sources { mut files, mut left_out, .. } = sources;
    files.sort_by(|one, other| order(one).cmp(&order(other)));
    let mut schemas = Schemas::default();
    let (xml, overrides): (Vec<SourceFile>, Vec<SourceFile>) = files.into_iter().partition(|file| is_xml(&file.name));
    for file in &xml {
        if let Err(missing) = read_xml(file, &mut schemas) {
            left_out.push(missing);
        }
    }
    for file in overrides.iter().filter(|file| is_source(&file.name)) {
        match text(file).and_then(|text| overrides::apply(text, &mut schemas)) {
            Ok(keys) => left_out
                .extend(keys.into_iter().map(|(key, fault)| LeftOut { place: format!("{}, {key}", file.name), fault })),
            Err(fault) => left_out.push(LeftOut { place: file.name.clone(), fault }),
        }
    }
    Ok(Compiled { bytes: gvdb::write(&schemas.table())?, left_out })
}

/// Returns the key for the order of the files. Files with enumerations come first, because schemas use enumerations.
fn order(file: &SourceFile) -> (Reverse<bool>, &str) {
    (Reverse(file.name.ends_with(ENUMERATIONS)), &file.name)
}

fn read_xml(file: &SourceFile, schemas: &mut Schemas) -> Result<(), LeftOut> {
    let whole = |fault| LeftOut { place: file.name.clone(), fault };
    let at_line =
        |found: xml::Located| LeftOut { place: format!("{}, line {}", file.name, found.line), fault: found.fault };
    xml::read(text(file).map_err(whole)?, schemas).map_err(at_line)
}

fn text(file: &SourceFile) -> Result<&str, Fault> {
    let text = std::str::from_utf8(&file.bytes).ok().filter(|text| !text.contains('\0'));
    text.ok_or(Fault::Encoding)
}
