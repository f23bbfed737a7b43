//! One key of a schema: its type, its default, and the values that it allows.

use std::cmp::Ordering;
use std::rc::Rc;

use super::choices::Choices;
use super::fault::Fault;
use super::string_table::StringTable;
use super::text::is_blank;
use super::typed;
use super::value::Value;
use super::variant_type::VariantType;

/// How a default is translated: the category, which is `messages` or `time`, as its first letter, and the context.
#[derive(Debug, Clone)]
pub(super) struct Translation {
    category: u8,
    context: Option<String>,
}

impl Translation {
    /// Reads the attributes of a default. `has_domain` is true if the schema has a `gettext-domain`.
    pub(super) fn read(l10n: Option<&str>, context: Option<String>, has_domain: bool) -> Result<Option<Self>, Fault> {
        match l10n {
            None if context.is_none() => Ok(None),
            Some(category @ ("messages" | "time")) if has_domain => {
                Ok(Some(Self { category: category.as_bytes()[0], context }))
            }
            _ => Err(Fault::Translation),
        }
    }
}

/// The kind of the names that are allowed as values of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    Choices,
    Enumeration,
    Flags,
}

#[derive(Debug)]
pub(super) struct Key {
    own: VariantType,
    names: Names,
    choices: Rc<Choices>,
    has_choices: bool,
    has_aliases: bool,
    range: Option<(Value, Value)>,
    default: Option<Value>,
    /// The text of the default in the schema, and how it is translated.
    translated: Option<(Translation, String)>,
    /// The defaults for certain desktops, by the name of the desktop.
    desktops: StringTable<Value>,
    /// Whether this key only replaces the default of a key in an extended schema.
    pub(super) is_override: bool,
}

impl Key {
    pub(super) fn new(own: VariantType, names: Names, choices: Rc<Choices>) -> Self {
        Self {
            own,
            names,
            choices,
            has_choices: false,
            has_aliases: false,
            range: None,
            default: None,
            translated: None,
            desktops: StringTable::default(),
            is_override: false,
        }
    }

    /// Returns a key that replaces the default of this key.
    pub(super) fn overriding(&self) -> Self {
        let new = Self::new(self.own.clone(), self.names, Rc::clone(&self.choices));
        Self { range: self.range.clone(), is_override: true, ..new }
    }

    pub(super) fn is_translated(&self) -> bool {
        self.translated.is_some()
    }

    pub(super) fn has_default(&self) -> bool {
        self.default.is_some()
    }

    /// Sets the default that the schema contains.
    pub(super) fn set_default(&mut self, text: String, translation: Option<Translation>) -> Result<(), Fault> {
        self.default = Some(self.parse(&text)?);
        let earlier = self.translated.take().map(|(translation, _)| translation);
        self.translated = translation.or(earlier).map(|translation| (translation, text));
        self.check_default()
    }

    /// Sets the default that an override file contains, for one desktop or for all desktops.
    pub(super) fn override_default(&mut self, text: &str, desktop: Option<&str>) -> Result<(), Fault> {
        if desktop.is_some() && self.is_translated() {
            return Err(Fault::Desktop);
        }
        let value = self.parse(text)?;
        self.check(&value)?;
        match desktop {
            Some(desktop) => self.desktops.insert(desktop, value),
            None => self.default = Some(value),
        }
        Ok(())
    }

    fn parse(&self, text: &str) -> Result<Value, Fault> {
        let fault = || Fault::Value { text: text.trim().to_owned(), own: self.own.to_string() };
        typed::parse(text, &self.own).ok_or_else(fault)
    }

    pub(super) fn set_range(&mut self, least: Option<&str>, most: Option<&str>) -> Result<(), Fault> {
        let limits = match self.own {
            VariantType::Basic(b'd') => Some(("-inf".to_owned(), "inf".to_owned())),
            VariantType::Basic(b'h') => None,
            VariantType::Basic(letter) => {
                typed::limits(letter).map(|(least, most)| (least.to_string(), most.to_string()))
            }
            _ => None,
        };
        let (smallest, greatest) = limits.filter(|_| self.range.is_none()).ok_or(Fault::Use { element: "range" })?;
        let least_value = self.parse(least.unwrap_or(&smallest))?;
        let most_value = self.parse(most.unwrap_or(&greatest))?;
        if is_less(&most_value, &least_value) {
            return Err(Fault::Choice(least.unwrap_or(&smallest).to_owned()));
        }
        self.range = Some((least_value, most_value));
        self.check_default()
    }

    pub(super) fn start_choices(&self) -> Result<(), Fault> {
        let mut element = &self.own;
        while let VariantType::Maybe(inner) | VariantType::Array(inner) = element {
            element = inner;
        }
        let can_have = self.names != Names::Enumeration && !self.has_choices && *element == VariantType::STRING;
        can_have.then_some(()).ok_or(Fault::Use { element: "choices" })
    }

    pub(super) fn add_choice(&mut self, name: &str) -> Result<(), Fault> {
        self.has_choices = true;
        Rc::make_mut(&mut self.choices).add(name)
    }

    pub(super) fn end_choices(&self) -> Result<(), Fault> {
        self.has_choices.then_some(()).ok_or(Fault::Missing { parent: "choices", element: "choice" })?;
        self.check_default()
    }

    pub(super) fn start_aliases(&self) -> Result<(), Fault> {
        let can_have = !self.has_aliases && (self.names != Names::Choices || self.has_choices);
        can_have.then_some(()).ok_or(Fault::Use { element: "aliases" })
    }

    pub(super) fn add_alias(&mut self, alias: &str, target: &str) -> Result<(), Fault> {
        self.has_aliases = true;
        Rc::make_mut(&mut self.choices).add_alias(alias, target)
    }

    pub(super) fn end_aliases(&self) -> Result<(), Fault> {
        self.has_aliases.then_some(()).ok_or(Fault::Missing { parent: "aliases", element: "alias" })
    }

    /// Returns the serialised size of the allowed names.
    pub(super) fn names_bytes(&self) -> usize {
        self.choices.size_bytes()
    }

    fn check_default(&self) -> Result<(), Fault> {
        self.default.as_ref().map_or(Ok(()), |value| self.check(value))
    }

    /// Checks that `value` is allowed for the key.
    fn check(&self, value: &Value) -> Result<(), Fault> {
        if let Some((least, most)) = &self.range {
            let is_inside = !is_less(value, least) && !is_less(most, value);
            return is_inside.then_some(()).ok_or_else(|| Fault::Choice(display(value)));
        }
        if self.choices.is_empty() { Ok(()) } else { self.check_names(value) }
    }

    fn check_names(&self, value: &Value) -> Result<(), Fault> {
        match value {
            Value::Array(values) => values.iter().try_for_each(|value| self.check_names(value)),
            Value::Just(_, value) => self.check_names(value),
            Value::Text(name) if !self.choices.has(name) => Err(Fault::Choice(name.clone())),
            _ => Ok(()),
        }
    }

    /// Returns the key in its stored form: a variant with a tuple of the default, the translation, the allowed names,
    /// the range and the defaults for desktops. Missing parts are left out. `None` if the key has no default.
    pub(super) fn bytes(&self) -> Option<Vec<u8>> {
        let mut members = vec![(self.own.clone(), self.default.clone()?)];
        if let Some((translation, text)) = &self.translated {
            members.push(tagged(b'l', translated_type(), translation.value(text)));
        }
        if !self.choices.is_empty() {
            let tag = match self.names {
                Names::Choices => b'c',
                Names::Enumeration => b'e',
                Names::Flags => b'f',
            };
            members.push(tagged(tag, VariantType::array(VariantType::UINT32), self.choices.value()));
        }
        if let Some((least, most)) = &self.range {
            let both = VariantType::tuple(vec![self.own.clone(), self.own.clone()]);
            members.push(tagged(b'r', both, Value::Tuple(vec![least.clone(), most.clone()])));
        }
        if self.desktops.len() > 0 {
            let entry = VariantType::entry(VariantType::STRING, VariantType::Variant);
            let variant = |value: &Value| Value::Variant(self.own.clone(), Box::new(value.clone()));
            let values = self
                .desktops
                .iter()
                .map(|(name, value)| Value::Tuple(vec![Value::Text(name.to_owned()), variant(value)]));
            members.push(tagged(b'd', VariantType::array(entry), Value::Array(values.collect())));
        }
        let (types, values) = members.into_iter().unzip();
        Some(variant_bytes(VariantType::tuple(types), Value::Tuple(values)))
    }
}

/// Returns the bytes of a value inside a variant.
pub(super) fn variant_bytes(own: VariantType, value: Value) -> Vec<u8> {
    Value::Variant(own, Box::new(value)).bytes(&VariantType::Variant)
}

impl Translation {
    /// Returns the category, and the text for which `gettext` finds the translation: the context, if there is one, and
    /// the text without the blanks around it.
    fn value(&self, text: &str) -> Value {
        let text = text.trim_matches(is_blank);
        let text = self.context.as_ref().map_or(text.to_owned(), |context| format!("{context}\u{4}{text}"));
        Value::Tuple(vec![Value::Integer(self.category.into()), Value::Text(text)])
    }
}

fn translated_type() -> VariantType {
    VariantType::tuple(vec![VariantType::BYTE, VariantType::STRING])
}

/// Returns the type and the value of the pair of a letter and a value.
fn tagged(letter: u8, own: VariantType, value: Value) -> (VariantType, Value) {
    (VariantType::tuple(vec![VariantType::BYTE, own]), Value::Tuple(vec![Value::Integer(letter.into()), value]))
}

/// Compares numbers. Like in GLib, every comparison with NaN ("not a number") is true, so that NaN is outside of every
/// range.
fn is_less(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Integer(one), Value::Integer(other)) => one < other,
        (Value::Double(one), Value::Double(other)) => one.partial_cmp(other).is_none_or(Ordering::is_lt),
        _ => false,
    }
}

fn display(value: &Value) -> String {
    match value {
        Value::Integer(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        _ => String::new(),
    }
}
