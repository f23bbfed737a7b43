//! Reads files of schemas (`*.gschema.xml`) and of enumerations (`*.enums.xml`).

use std::collections::BTreeMap;

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::choices::Choices;
use super::fault::Fault;
use super::key::{Key, Translation};
use super::schema::{Defined, Head, KeyType, Schemas};
use super::text::is_blank;

/// The name that is used here for the parent of the outermost element.
const DOCUMENT: &str = "file";

/// The allowed elements: for each one, its parent, its name and its allowed attributes.
const ELEMENTS: [(&str, &str, &[&str]); 17] = [
    (DOCUMENT, "schemalist", &["gettext-domain"]),
    ("schemalist", "schema", &["id", "path", "gettext-domain", "extends", "list-of"]),
    ("schemalist", "enum", &["id"]),
    ("schemalist", "flags", &["id"]),
    ("enum", "value", &["nick", "value"]),
    ("flags", "value", &["nick", "value"]),
    ("schema", "key", &["name", "type", "enum", "flags"]),
    ("schema", "child", &["name", "schema"]),
    ("schema", "override", &["name", "l10n", "context"]),
    ("key", "default", &["l10n", "context"]),
    ("key", "summary", &[]),
    ("key", "description", &[]),
    ("key", "range", &["min", "max"]),
    ("key", "choices", &[]),
    ("key", "aliases", &[]),
    ("choices", "choice", &["value"]),
    ("aliases", "alias", &["value", "target"]),
];

/// The elements that can contain text.
const WITH_TEXT: [&str; 4] = ["default", "override", "summary", "description"];

/// A fault, and the line of the file in which it was found.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) line: usize,
    pub(super) fault: Fault,
}

/// Adds the definitions of one file. If the file has a fault, none of its definitions is added.
pub(super) fn read(xml: &str, schemas: &mut Schemas) -> Result<(), Located> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().expand_empty_elements = true;
    let mut file = File::new(schemas);
    let result = file.read(&mut reader);
    if result.is_err() {
        file.schemas.forget(&file.defined);
    }
    result.map_err(|fault| {
        let before = xml.as_bytes().get(..reader.buffer_position() as usize).unwrap_or_default();
        Located { line: before.iter().filter(|byte| **byte == b'\n').count() + 1, fault }
    })
}

struct File<'a> {
    schemas: &'a mut Schemas,
    defined: Defined,
    /// The elements that are open at the next event. The outermost element comes first.
    open: Vec<&'static str>,
    /// The number of open elements from the first one whose name has a prefix, such as `its:a`. The contents of such an
    /// element are ignored.
    open_with_prefix: usize,
    /// The text of the innermost element.
    text: String,
    /// The domain of translations for all schemas that have no domain of their own.
    domain: Option<String>,
    /// The id of the open schema, enumeration or set of flags.
    id: String,
    /// The name of the open key or override.
    name: String,
    translation: Option<Translation>,
    key: Option<Key>,
    members: Choices,
}

impl<'a> File<'a> {
    fn new(schemas: &'a mut Schemas) -> Self {
        Self {
            defined: schemas.begin_file(),
            schemas,
            open: vec![DOCUMENT],
            open_with_prefix: 0,
            text: String::new(),
            domain: None,
            id: String::new(),
            name: String::new(),
            translation: None,
            key: None,
            members: Choices::default(),
        }
    }

    fn read(&mut self, reader: &mut Reader<&[u8]>) -> Result<(), Fault> {
        let mut is_empty = true;
        loop {
            match reader.read_event()? {
                Event::Start(tag) if self.open_with_prefix > 0 || tag.name().as_ref().contains(':') => {
                    self.open_with_prefix += 1;
                }
                Event::Start(tag) => {
                    is_empty = false;
                    self.start(&tag)?;
                }
                Event::End(_) if self.open_with_prefix > 0 => self.open_with_prefix -= 1,
                Event::End(_) => self.end()?,
                Event::Text(text) => self.add_text(&text.xml10_content())?,
                Event::CData(text) => self.add_text(&text.xml10_content())?,
                Event::GeneralRef(reference) => self.add_text(&resolved(&reference)?)?,
                Event::Eof if is_empty => return Err(Fault::Empty),
                Event::Eof if self.open.len() > 1 => return Err(Fault::End(self.parent())),
                Event::Eof => return Ok(()),
                _ => {}
            }
        }
    }

    /// Returns the innermost open element.
    fn parent(&self) -> &'static str {
        self.open.last().copied().unwrap_or(DOCUMENT)
    }

    fn add_text(&mut self, text: &str) -> Result<(), Fault> {
        if self.open_with_prefix > 0 {
            return Ok(());
        }
        if WITH_TEXT.contains(&self.parent()) {
            self.text.push_str(text);
        } else if !text.chars().all(is_blank) {
            return Err(Fault::Text(self.parent().to_owned()));
        }
        Ok(())
    }

    fn start(&mut self, tag: &BytesStart<'_>) -> Result<(), Fault> {
        let parent = self.parent();
        let name = tag.name();
        let found = ELEMENTS.iter().copied().find(|(of, element, _)| *of == parent && *element == name.as_ref());
        let Some((_, element, allowed)) = found else {
            return Err(Fault::Element { element: name.as_ref().to_owned(), parent: parent.to_owned() });
        };
        self.text.clear();
        self.begin(Attributes::read(tag, element, allowed)?)?;
        self.open.push(element);
        Ok(())
    }

    /// Begins an element.
    fn begin(&mut self, mut tag: Attributes) -> Result<(), Fault> {
        match tag.element {
            "schemalist" => self.domain = tag.take("gettext-domain"),
            "schema" => self.begin_schema(tag)?,
            "enum" | "flags" => {
                self.id = tag.require("id")?;
                self.members = Choices::default();
            }
            "value" => {
                let is_flags = self.parent() == "flags";
                self.members.add_member(&tag.require("nick")?, &tag.require("value")?, is_flags)?;
            }
            "key" => {
                self.name = tag.require("name")?;
                let key_type =
                    KeyType { own: tag.take("type"), enumeration: tag.take("enum"), flags: tag.take("flags") };
                self.key = Some(self.schemas.new_key(&self.id, &self.name, &key_type)?);
            }
            "child" => self.schemas.add_child(&self.id, &tag.require("name")?, &tag.require("schema")?)?,
            "override" => {
                self.name = tag.require("name")?;
                self.key = Some(self.schemas.new_override(&self.id, &self.name)?);
                self.begin_default(tag)?;
            }
            "default" => self.begin_default(tag)?,
            _ => self.begin_in_key(tag)?,
        }
        Ok(())
    }

    fn begin_schema(&mut self, mut tag: Attributes) -> Result<(), Fault> {
        self.id = tag.require("id")?;
        let head = Head {
            path: tag.take("path"),
            domain: tag.take("gettext-domain").or(self.domain.clone()),
            extends: tag.take("extends"),
            list_of: tag.take("list-of"),
        };
        self.schemas.add(&self.id, head, &mut self.defined)
    }

    fn begin_default(&mut self, mut tag: Attributes) -> Result<(), Fault> {
        let l10n = tag.take("l10n");
        self.translation = self.schemas.translation(&self.id, l10n.as_deref(), tag.take("context"))?;
        Ok(())
    }

    /// Begins an element that restricts the values of a key.
    fn begin_in_key(&mut self, mut tag: Attributes) -> Result<(), Fault> {
        let Some(key) = &mut self.key else { return Ok(()) };
        match tag.element {
            "range" => key.set_range(tag.take("min").as_deref(), tag.take("max").as_deref()),
            "choices" => key.start_choices(),
            "aliases" => key.start_aliases(),
            "choice" => key.add_choice(&tag.require("value")?),
            "alias" => key.add_alias(&tag.require("value")?, &tag.require("target")?),
            _ => Ok(()),
        }
    }

    fn end(&mut self) -> Result<(), Fault> {
        let Some(element) = self.open.pop() else { return Ok(()) };
        let text = std::mem::take(&mut self.text);
        match (element, self.key.as_mut()) {
            ("enum" | "flags", _) => {
                let members = std::mem::take(&mut self.members);
                self.schemas.add_members(&self.id, members, element == "flags", &mut self.defined)?;
            }
            ("default" | "override", Some(key)) => key.set_default(text, self.translation.take())?,
            ("choices", Some(key)) => key.end_choices()?,
            ("aliases", Some(key)) => key.end_aliases()?,
            _ => {}
        }
        if matches!(element, "key" | "override")
            && let Some(key) = self.key.take()
        {
            self.schemas.add_key(&self.id, &self.name, key)?;
        }
        Ok(())
    }
}

/// Returns the text of a reference such as `&lt;`. Only the five entities of XML itself and references to characters by
/// their number are allowed.
fn resolved(reference: &BytesRef<'_>) -> Result<String, Fault> {
    if let Some(character) = reference.resolve_char_ref()? {
        return Ok(character.to_string());
    }
    let name: &str = reference;
    resolve_xml_entity(name).map(str::to_owned).ok_or_else(|| Fault::Entity(name.to_owned()))
}

/// The attributes of an element, without those that have a prefix.
struct Attributes {
    element: &'static str,
    values: BTreeMap<String, String>,
}

impl Attributes {
    fn read(tag: &BytesStart<'_>, element: &'static str, allowed: &[&str]) -> Result<Self, Fault> {
        let mut values = BTreeMap::new();
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(quick_xml::Error::from)?;
            let name = attribute.key.as_ref();
            if name.contains(':') {
                continue;
            }
            if !allowed.contains(&name) {
                return Err(Fault::Attribute { element, attribute: name.to_owned() });
            }
            let value = attribute.normalized_value(XmlVersion::Implicit1_0)?.into_owned();
            values.insert(name.to_owned(), value);
        }
        Ok(Self { element, values })
    }

    fn take(&mut self, name: &str) -> Option<String> {
        self.values.remove(name)
    }

    fn require(&mut self, attribute: &'static str) -> Result<String, Fault> {
        self.take(attribute).ok_or(Fault::NoAttribute { element: self.element, attribute })
    }
}
