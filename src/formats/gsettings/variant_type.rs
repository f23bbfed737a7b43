//! Types of GVariant, such as `a{sv}`.
//!
//! Source: GLib's documentation, "GVariant Specification" and "GVariant Type Strings".

use std::fmt;

/// The maximum number of nested levels of a type. GLib has the same limit.
pub(super) const MAX_DEPTH: usize = 128;
/// The maximum length of a type in text form. D-Bus has the same limit. Without a limit, a short text could contain
/// many values that each need a huge type.
const MAX_LENGTH: usize = 255;

/// A definite type, which means that no part of it is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum VariantType {
    /// A boolean, a number or a string. The value is the letter of the type, such as `i` for int32.
    Basic(u8),
    Variant,
    Maybe(Box<VariantType>),
    Array(Box<VariantType>),
    /// The types of the members, and the layout that follows from them.
    Tuple(Vec<VariantType>, Layout),
    /// One entry of a dictionary: the types of the key and of the value, and the layout that follows from them.
    Entry(Box<VariantType>, Box<VariantType>, Layout),
}

/// The alignment and the size of the values of a type. The layout is stored, because in nested tuples, the layout of
/// each level depends on the layouts of all levels inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    alignment: usize,
    fixed_size: Option<usize>,
}

impl Layout {
    fn of<'a>(members: impl IntoIterator<Item = &'a VariantType>) -> Self {
        let mut alignment = 1;
        let mut size = Some(0_usize);
        for member in members {
            let own = member.alignment();
            alignment = alignment.max(own);
            size = size.zip(member.fixed_size()).map(|(before, size)| before.next_multiple_of(own) + size);
        }
        // The value of an empty tuple has one byte.
        Self { alignment, fixed_size: size.map(|size| size.next_multiple_of(alignment).max(1)) }
    }
}

impl VariantType {
    pub(super) const STRING: Self = Self::Basic(b's');
    pub(super) const BYTE: Self = Self::Basic(b'y');
    pub(super) const UINT32: Self = Self::Basic(b'u');

    /// Parses the text of a type. `None` if the text is not valid, not definite or too long.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = text.as_bytes();
        let parsed = (text.len() <= MAX_LENGTH).then(|| Self::take(&mut rest, MAX_DEPTH)).flatten()?;
        rest.is_empty().then_some(parsed)
    }

    /// Removes one type from the beginning of `rest`, and returns this type. `depth` is the maximum number of its
    /// levels.
    pub(super) fn take(rest: &mut &[u8], depth: usize) -> Option<Self> {
        let below = depth.checked_sub(1)?;
        let (&letter, after) = rest.split_first()?;
        *rest = after;
        Some(match letter {
            b'b' | b'y' | b'n' | b'q' | b'i' | b'u' | b'x' | b't' | b'h' | b'd' | b's' | b'o' | b'g' => {
                Self::Basic(letter)
            }
            b'v' => Self::Variant,
            b'm' => Self::maybe(Self::take(rest, below)?),
            b'a' => Self::array(Self::take(rest, below)?),
            b'(' => {
                let mut members = Vec::new();
                while rest.first()? != &b')' {
                    members.push(Self::take(rest, below)?);
                }
                *rest = &rest[1..];
                Self::tuple(members)
            }
            b'{' => {
                let key @ Self::Basic(_) = Self::take(rest, below)? else { return None };
                let value = Self::take(rest, below)?;
                *rest = rest.strip_prefix(b"}")?;
                Self::entry(key, value)
            }
            _ => return None,
        })
    }

    pub(super) fn maybe(element: Self) -> Self {
        Self::Maybe(Box::new(element))
    }

    pub(super) fn array(element: Self) -> Self {
        Self::Array(Box::new(element))
    }

    pub(super) fn tuple(members: Vec<Self>) -> Self {
        let layout = Layout::of(&members);
        Self::Tuple(members, layout)
    }

    pub(super) fn entry(key: Self, value: Self) -> Self {
        let layout = Layout::of([&key, &value]);
        Self::Entry(Box::new(key), Box::new(value), layout)
    }

    /// Whether the text of the type is short enough. Types from `parse` need not be checked, because `parse` checks
    /// this itself.
    pub(super) fn has_allowed_length(&self) -> bool {
        self.to_string().len() <= MAX_LENGTH
    }

    /// Returns the number of maybes around the type, and the type inside them.
    pub(super) fn without_maybes(&self) -> (usize, &Self) {
        let mut base = self;
        let mut levels = 0;
        while let Self::Maybe(element) = base {
            base = element;
            levels += 1;
        }
        (levels, base)
    }

    /// Returns the type inside `levels` maybes.
    pub(super) fn inside_maybes(&self, levels: usize) -> &Self {
        match self {
            Self::Maybe(element) if levels > 0 => element.inside_maybes(levels - 1),
            _ => self,
        }
    }

    /// Returns the types of the members of a tuple or of an entry of a dictionary.
    pub(super) fn members(&self) -> Vec<&Self> {
        match self {
            Self::Tuple(members, _) => members.iter().collect(),
            Self::Entry(key, value, _) => vec![key, value],
            _ => Vec::new(),
        }
    }

    /// Returns the alignment: the position of a value is a multiple of this number of bytes.
    pub(super) fn alignment(&self) -> usize {
        match self {
            Self::Basic(b'n' | b'q') => 2,
            Self::Basic(b'i' | b'u' | b'h') => 4,
            Self::Basic(b'x' | b't' | b'd') | Self::Variant => 8,
            Self::Basic(_) => 1,
            Self::Maybe(element) | Self::Array(element) => element.alignment(),
            Self::Tuple(_, layout) | Self::Entry(_, _, layout) => layout.alignment,
        }
    }

    /// Returns the size of every value of the type in bytes. `None` if the values have different sizes.
    pub(super) fn fixed_size(&self) -> Option<usize> {
        match self {
            Self::Basic(b's' | b'o' | b'g') | Self::Variant | Self::Maybe(_) | Self::Array(_) => None,
            // The size of these types is the same as their alignment.
            Self::Basic(_) => Some(self.alignment()),
            Self::Tuple(_, layout) | Self::Entry(_, _, layout) => layout.fixed_size,
        }
    }
}

impl fmt::Display for VariantType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic(letter) => write!(f, "{}", char::from(*letter)),
            Self::Variant => f.write_str("v"),
            Self::Maybe(element) => write!(f, "m{element}"),
            Self::Array(element) => write!(f, "a{element}"),
            Self::Tuple(members, _) => {
                f.write_str("(")?;
                members.iter().try_for_each(|member| member.fmt(f))?;
                f.write_str(")")
            }
            Self::Entry(key, value, _) => write!(f, "{{{key}{value}}}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_a_text_an_alignment_and_perhaps_a_size() {
        let table = [
            ("b", 1, Some(1)),
            ("d", 8, Some(8)),
            ("s", 1, None),
            ("(yiy)", 4, Some(12)),
            ("(yx)", 8, Some(16)),
            ("()", 1, Some(1)),
            ("{yn}", 2, Some(4)),
            ("a{sv}", 8, None),
            ("m(ii)", 4, None),
            ("(s(sa(ii)))", 4, None),
        ];
        for (text, alignment, size) in table {
            let parsed = VariantType::parse(text).unwrap();
            assert_eq!((parsed.to_string().as_str(), parsed.alignment(), parsed.fixed_size()), (text, alignment, size));
        }
    }

    /// If the layout of a member was computed again, the time for nested tuples would grow with the square of their
    /// depth.
    #[test]
    fn the_layout_of_a_member_is_not_computed_again() {
        let layout = Layout { alignment: 8, fixed_size: Some(24) };
        let tuple = VariantType::Tuple(vec![VariantType::BYTE], layout);
        let entry = VariantType::Entry(Box::new(VariantType::BYTE), Box::new(VariantType::BYTE), layout);
        for member in [tuple, entry] {
            let outer = VariantType::tuple(vec![VariantType::BYTE, member.clone()]);
            assert_eq!((outer.alignment(), outer.fixed_size()), (8, Some(32)));
            let outer = VariantType::entry(VariantType::BYTE, member);
            assert_eq!((outer.alignment(), outer.fixed_size()), (8, Some(32)));
        }
    }

    #[test]
    fn what_is_no_definite_type_is_refused() {
        let deep = "a".repeat(MAX_DEPTH);
        for text in ["", "z", "ss", "a", "(s", "{vs}", "{s}", "{sss}", "a*", "r", "?", ")", &deep, &"(s)".repeat(100)] {
            assert_eq!(VariantType::parse(text), None, "{text}");
        }
        assert!(VariantType::parse(&format!("{}s", "a".repeat(MAX_DEPTH - 1))).is_some());
    }
}
