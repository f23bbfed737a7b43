//! Schemas and enumerations that the files define, and the rules for references between them.
//!
//! Source: GLib, `gio/glib-compile-schemas.c` and `gio/gschema.dtd`.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::choices::Choices;
use super::fault::{Fault, MAX_COMPILED_BYTES};
use super::gvdb::{Content, Table};
use super::key::{self, Key, Names, Translation};
use super::string_table::StringTable;
use super::value::Value;
use super::variant_type::VariantType;

const MAX_NAME_BYTES: usize = 1024;
/// A schema can be extended only if it extends at most this number of other schemas, directly or through others.
/// Usually, it extends none. The limit is necessary because the whole chain is searched for each key.
const MAX_CHAIN: usize = 32;

/// Everything that the files define.
#[derive(Debug, Default)]
pub(super) struct Schemas {
    schemas: StringTable<Schema>,
    enumerations: BTreeMap<String, Rc<Choices>>,
    flags: BTreeMap<String, Rc<Choices>>,
    /// The size of the names that are allowed as values, counted again for each key. It is limited, because a short
    /// file could use a large enumeration for many keys.
    names_bytes: usize,
}

/// The attributes of a schema.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    pub(super) path: Option<String>,
    pub(super) domain: Option<String>,
    pub(super) extends: Option<String>,
    pub(super) list_of: Option<String>,
}

#[derive(Debug)]
struct Schema {
    head: Head,
    members: StringTable<Member>,
}

#[derive(Debug)]
enum Member {
    Key(Box<Key>),
    /// The name of another schema.
    Child(String),
}

/// The attributes of a key that determine its type. Exactly one of these attributes must exist.
#[derive(Debug, Default)]
pub(super) struct KeyType {
    pub(super) own: Option<String>,
    pub(super) enumeration: Option<String>,
    pub(super) flags: Option<String>,
}

/// The definitions of one file.
#[derive(Debug, Default)]
pub(super) struct Defined {
    schemas: Vec<String>,
    enumerations: BTreeSet<String>,
    flags: BTreeSet<String>,
    /// The value of `names_bytes` before this file.
    names_bytes_before: usize,
}

impl Schemas {
    /// Returns an empty value for the definitions of the next file.
    pub(super) fn begin_file(&self) -> Defined {
        Defined { names_bytes_before: self.names_bytes, ..Defined::default() }
    }

    /// Adds a schema without keys.
    pub(super) fn add(&mut self, id: &str, mut head: Head, defined: &mut Defined) -> Result<(), Fault> {
        if self.schemas.get(id).is_some() {
            return Err(Fault::Repeated { kind: "schema", name: id.to_owned() });
        }
        if id.len() > MAX_NAME_BYTES {
            return Err(Fault::Name(id.to_owned()));
        }
        if let Some(listed) = &head.list_of
            && self.schema(listed)?.head.path.is_some()
        {
            return Err(Fault::Extension(listed.clone()));
        }
        if let Some(name) = &head.extends {
            let extended = &self.schema(name)?.head;
            let is_list_of_the_same = match (&head.list_of, &extended.list_of) {
                (Some(own), Some(other)) => self.is_kind_of(own, other),
                (Some(_), None) => false,
                (None, _) => true,
            };
            let is_long = self.extended(name).count() > MAX_CHAIN;
            if extended.path.is_some() || !is_list_of_the_same || is_long {
                return Err(Fault::Extension(name.clone()));
            }
            head.list_of = head.list_of.or(extended.list_of.clone());
        }
        if let Some(path) = &head.path {
            let end = if head.list_of.is_some() { ":/" } else { "/" };
            if !path.starts_with('/') || !path.ends_with(end) {
                return Err(Fault::Path(path.clone()));
            }
        }
        defined.schemas.push(id.to_owned());
        self.schemas.insert(id, Schema { head, members: StringTable::default() });
        Ok(())
    }

    fn schema(&self, id: &str) -> Result<&Schema, Fault> {
        self.schemas.get(id).ok_or_else(|| Fault::Unknown { kind: "schema", name: id.to_owned() })
    }

    /// Returns the schemas that the schema `id` extends, directly or through others. The nearest schema comes first.
    fn extended<'a>(&'a self, id: &str) -> impl Iterator<Item = &'a Schema> {
        let above = |schema: &&'a Schema| schema.head.extends.as_deref().and_then(|name| self.schemas.get(name));
        std::iter::successors(self.schemas.get(id), above).skip(1)
    }

    /// Whether the schema `id` is `other`, or extends it.
    fn is_kind_of(&self, id: &str, other: &str) -> bool {
        let own = self.schemas.get(id).into_iter();
        id == other || own.chain(self.extended(id)).any(|schema| schema.head.extends.as_deref() == Some(other))
    }

    pub(super) fn add_child(&mut self, id: &str, name: &str, child: &str) -> Result<(), Fault> {
        check_name(name)?;
        self.insert(id, &format!("{name}/"), Member::Child(child.to_owned()))
    }

    fn insert(&mut self, id: &str, name: &str, member: Member) -> Result<(), Fault> {
        let Some(schema) = self.schemas.get_mut(id) else { return Ok(()) };
        if schema.members.get(name).is_some() {
            return Err(Fault::Repeated { kind: "the key", name: name.to_owned() });
        }
        schema.members.insert(name, member);
        Ok(())
    }

    /// Returns a new key for the schema `id`. It has no default yet.
    pub(super) fn new_key(&self, id: &str, name: &str, key_type: &KeyType) -> Result<Key, Fault> {
        if self.schema(id)?.head.list_of.is_some() {
            return Err(Fault::Use { element: "key" });
        }
        check_name(name)?;
        let is_defined =
            |schema: &Schema| matches!(schema.members.get(name), Some(Member::Key(key)) if !key.is_override);
        if self.extended(id).any(is_defined) {
            return Err(Fault::Repeated { kind: "the key", name: name.to_owned() });
        }
        let unknown = |kind, name: &str| Fault::Unknown { kind, name: name.to_owned() };
        match key_type {
            KeyType { own: Some(own), enumeration: None, flags: None } => {
                let parsed = VariantType::parse(own).ok_or_else(|| Fault::Type(own.clone()))?;
                Ok(Key::new(parsed, Names::Choices, Rc::default()))
            }
            KeyType { own: None, enumeration: Some(name), flags: None } => {
                let choices = self.enumerations.get(name).ok_or_else(|| unknown("enumeration", name))?;
                Ok(Key::new(VariantType::STRING, Names::Enumeration, Rc::clone(choices)))
            }
            KeyType { own: None, enumeration: None, flags: Some(name) } => {
                let choices = self.flags.get(name).ok_or_else(|| unknown("set of flags", name))?;
                Ok(Key::new(VariantType::array(VariantType::STRING), Names::Flags, Rc::clone(choices)))
            }
            _ => Err(Fault::NoAttribute { element: "key", attribute: "type" }),
        }
    }

    /// Returns a key of the schema `id` that replaces the default of the key `name` in an extended schema.
    pub(super) fn new_override(&self, id: &str, name: &str) -> Result<Key, Fault> {
        let find = |schema: &Schema| match schema.members.get(name) {
            Some(Member::Key(key)) => Some(key.overriding()),
            _ => None,
        };
        self.extended(id).find_map(find).ok_or_else(|| Fault::Unknown { kind: "key", name: name.to_owned() })
    }

    pub(super) fn add_key(&mut self, id: &str, name: &str, key: Key) -> Result<(), Fault> {
        if !key.has_default() {
            return Err(Fault::Missing { parent: "key", element: "default" });
        }
        self.names_bytes += key.names_bytes();
        if self.names_bytes > MAX_COMPILED_BYTES {
            return Err(Fault::CompiledSize);
        }
        self.insert(id, name, Member::Key(Box::new(key)))
    }

    /// Reads the attributes that determine how a default in the schema `id` is translated.
    pub(super) fn translation(
        &self,
        id: &str,
        l10n: Option<&str>,
        context: Option<String>,
    ) -> Result<Option<Translation>, Fault> {
        Translation::read(l10n, context, self.schema(id)?.head.domain.is_some())
    }

    pub(super) fn add_members(
        &mut self,
        id: &str,
        members: Choices,
        is_flags: bool,
        defined: &mut Defined,
    ) -> Result<(), Fault> {
        let (kind, own, table) = match is_flags {
            true => ("flags", &mut defined.flags, &mut self.flags),
            false => ("enum", &mut defined.enumerations, &mut self.enumerations),
        };
        if members.is_empty() {
            return Err(Fault::Missing { parent: kind, element: "value" });
        }
        if table.contains_key(id) {
            return Err(Fault::Repeated { kind: "the enumeration", name: id.to_owned() });
        }
        own.insert(id.to_owned());
        table.insert(id.to_owned(), Rc::new(members));
        Ok(())
    }

    /// Removes the definitions of a file that has a fault.
    pub(super) fn forget(&mut self, defined: &Defined) {
        // GLib also begins with the last schema. The order of the removals has an effect on the order of the remaining
        // schemas.
        for id in defined.schemas.iter().rev() {
            self.schemas.remove(id);
        }
        self.enumerations.retain(|id, _| !defined.enumerations.contains(id));
        self.flags.retain(|id, _| !defined.flags.contains(id));
        self.names_bytes = defined.names_bytes_before;
    }

    /// Replaces a default. If the schema does not exist, the override has no effect.
    pub(super) fn override_default(
        &mut self,
        id: &str,
        desktop: Option<&str>,
        name: &str,
        text: &str,
    ) -> Result<(), Fault> {
        let Some(schema) = self.schemas.get_mut(id) else { return Ok(()) };
        match schema.members.get_mut(name) {
            Some(Member::Key(key)) => key.override_default(text, desktop),
            _ => Err(Fault::Unknown { kind: "key", name: name.to_owned() }),
        }
    }

    /// Returns the schemas in the form of GVDB.
    pub(super) fn table(&self) -> Table {
        let mut table = Table::new();
        for (id, schema) in self.schemas.iter() {
            table.add_child(id, Content::Table(schema.table()));
        }
        table
    }
}

impl Schema {
    fn table(&self) -> Table {
        let text = |text: &str| Content::Value(key::variant_bytes(VariantType::STRING, Value::Text(text.to_owned())));
        let mut table = Table::new();
        let mut is_translated = false;
        for (name, member) in self.members.iter() {
            match member {
                Member::Child(schema) => table.add_child(name, text(schema)),
                Member::Key(key) => {
                    is_translated |= key.is_translated();
                    table.add_child(name, Content::Value(key.bytes().unwrap_or_default()));
                }
            }
        }
        let head = &self.head;
        let domain = head.domain.as_ref().filter(|_| is_translated);
        for (name, value) in [
            (".path", head.path.as_ref()),
            (".extends", head.extends.as_ref()),
            (".list-of", head.list_of.as_ref()),
            (".gettext-domain", domain),
        ] {
            if let Some(value) = value {
                table.add(name, text(value));
            }
        }
        table
    }
}

/// Checks the name of a key: lower-case letters, digits, and single hyphens between them.
fn check_name(name: &str) -> Result<(), Fault> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_good = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(is_allowed)
        && !name.contains("--")
        && !name.ends_with('-')
        && name.len() <= MAX_NAME_BYTES;
    is_good.then_some(()).ok_or_else(|| Fault::Name(name.to_owned()))
}
