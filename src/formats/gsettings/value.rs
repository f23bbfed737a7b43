//! Values of GVariant, and their serialised form, which is little-endian and normalised ("normal form").
//!
//! Source: GLib's documentation, "GVariant Specification", section 2.

use super::variant_type::VariantType;

/// A value. Its type is not a part of it, and must fit the value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Boolean(bool),
    /// A value of any type of integers, or a handle.
    Integer(i128),
    Double(f64),
    /// A string, an object path or a signature.
    Text(String),
    Variant(VariantType, Box<Value>),
    Nothing,
    /// A value inside this number of maybes. The maybes are counted and not nested, because a short text may contain
    /// very many of them.
    Just(usize, Box<Value>),
    Array(Vec<Value>),
    /// The members of a tuple, or the key and the value of an entry of a dictionary.
    Tuple(Vec<Value>),
}

impl Value {
    /// Returns the serialised form. `own` is the type of the value.
    pub(super) fn bytes(&self, own: &VariantType) -> Vec<u8> {
        match (self, own) {
            (Self::Boolean(value), _) => vec![u8::from(*value)],
            (Self::Integer(value), _) => value.to_le_bytes()[..own.fixed_size().unwrap_or_default()].to_vec(),
            (Self::Double(value), _) => value.to_le_bytes().to_vec(),
            (Self::Text(text), _) => [text.as_bytes(), b"\0"].concat(),
            (Self::Variant(inner, value), _) => [value.bytes(inner), vec![0], inner.to_string().into_bytes()].concat(),
            (Self::Just(levels, value), _) => {
                let base = own.inside_maybes(*levels);
                let mut bytes = value.bytes(base);
                // Each maybe adds one byte, except a maybe directly around a value of a fixed size.
                let added = levels - usize::from(base.fixed_size().is_some());
                bytes.resize(bytes.len() + added, 0);
                bytes
            }
            (Self::Array(values), VariantType::Array(element)) => array(values, element),
            (Self::Tuple(values), _) => tuple(values, own),
            (Self::Nothing | Self::Array(_), _) => Vec::new(),
        }
    }
}

fn array(values: &[Value], element: &VariantType) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut ends = Vec::new();
    let alignment = element.alignment();
    let is_fixed = element.fixed_size().is_some();
    for value in values {
        bytes.resize(bytes.len().next_multiple_of(alignment), 0);
        bytes.extend(value.bytes(element));
        if !is_fixed {
            ends.push(bytes.len());
        }
    }
    append_offsets(&mut bytes, &ends);
    bytes
}

fn tuple(values: &[Value], own: &VariantType) -> Vec<u8> {
    let members = own.members();
    let mut bytes = Vec::new();
    let mut ends = Vec::new();
    for (number, (value, member)) in values.iter().zip(&members).enumerate() {
        bytes.resize(bytes.len().next_multiple_of(member.alignment()), 0);
        bytes.extend(value.bytes(member));
        // The end of the last member is not stored, because it follows from the end of the tuple.
        if member.fixed_size().is_none() && number + 1 < members.len() {
            ends.push(bytes.len());
        }
    }
    if let Some(size) = own.fixed_size() {
        bytes.resize(size, 0);
    }
    ends.reverse();
    append_offsets(&mut bytes, &ends);
    bytes
}

/// Appends the ends of the members. All ends have the same width: the smallest one that is enough for the size of the
/// whole value, including the ends.
fn append_offsets(bytes: &mut Vec<u8>, ends: &[usize]) {
    let total = |width: usize| (bytes.len() + width * ends.len()) as u64;
    let width = if total(1) <= u64::from(u8::MAX) {
        1
    } else if total(2) <= u64::from(u16::MAX) {
        2
    } else if total(4) <= u64::from(u32::MAX) {
        4
    } else {
        8
    };
    for end in ends {
        bytes.extend(&(*end as u64).to_le_bytes()[..width]);
    }
}
