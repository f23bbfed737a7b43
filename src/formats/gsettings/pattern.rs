//! The types that a text may have. They are needed only for a value inside `<...>`, because nothing else determines the
//! type of such a value.

use super::variant_type::VariantType;

/// A type of which some parts may be unknown.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pattern {
    /// Any type.
    Any,
    /// Any type of number.
    Number,
    /// Any type of string.
    Text,
    Basic(u8),
    Variant,
    Array(Box<Pattern>),
    Tuple(Vec<Pattern>),
    Entry(Box<Pattern>, Box<Pattern>),
    Maybe(Box<Pattern>),
    /// The type itself, or the type inside any number of maybes. (GVariant calls an optional value a maybe.)
    Liftable(Box<Pattern>),
}

impl Pattern {
    pub(super) fn liftable(inner: Self) -> Self {
        Self::Liftable(Box::new(inner))
    }

    pub(super) fn array(element: Self) -> Self {
        Self::Array(Box::new(element))
    }

    /// Returns the most general pattern whose types fit both patterns. `None` if no type fits both.
    pub(super) fn with(self, other: Self) -> Option<Self> {
        Some(match (self, other) {
            (Self::Any, pattern) | (pattern, Self::Any) => pattern,
            (Self::Liftable(one), Self::Liftable(other)) => Self::liftable(one.with(*other)?),
            (one @ Self::Liftable(_), Self::Maybe(other)) | (Self::Maybe(other), one @ Self::Liftable(_)) => {
                Self::Maybe(Box::new(one.with(*other)?))
            }
            (Self::Liftable(one), other) | (other, Self::Liftable(one)) => one.with(other)?,
            (Self::Number, Self::Basic(letter)) | (Self::Basic(letter), Self::Number) => {
                b"ynqiuxthd".contains(&letter).then_some(Self::Basic(letter))?
            }
            (Self::Text, Self::Basic(letter)) | (Self::Basic(letter), Self::Text) => {
                b"sog".contains(&letter).then_some(Self::Basic(letter))?
            }
            (Self::Array(one), Self::Array(other)) => Self::array(one.with(*other)?),
            (Self::Maybe(one), Self::Maybe(other)) => Self::Maybe(Box::new(one.with(*other)?)),
            (Self::Entry(key, value), Self::Entry(other_key, other_value)) => {
                Self::Entry(Box::new(key.with(*other_key)?), Box::new(value.with(*other_value)?))
            }
            (Self::Tuple(one), Self::Tuple(other)) => {
                let are_equally_long = one.len() == other.len();
                let members = one.into_iter().zip(other).map(|(one, other)| one.with(other));
                Self::Tuple(are_equally_long.then(|| members.collect::<Option<_>>())??)
            }
            (one, other) => (one == other).then_some(one)?,
        })
    }

    /// Returns the most general pattern whose types fit all `patterns`. `None` if no type fits all of them.
    pub(super) fn of_all(patterns: impl Iterator<Item = Option<Self>>) -> Option<Self> {
        let mut whole = Self::Any;
        for pattern in patterns {
            whole = whole.with(pattern?)?;
        }
        Some(whole)
    }

    /// Returns the type that GLib chooses for the pattern: int32 for numbers, string for texts, and no maybes that are
    /// not necessary. `None` if the type of a part is unknown.
    pub(super) fn usual(&self) -> Option<VariantType> {
        Some(match self {
            Self::Any => return None,
            Self::Number => VariantType::Basic(b'i'),
            Self::Text => VariantType::STRING,
            Self::Basic(letter) => VariantType::Basic(*letter),
            Self::Variant => VariantType::Variant,
            Self::Array(element) => VariantType::array(element.usual()?),
            Self::Tuple(members) => VariantType::tuple(members.iter().map(Self::usual).collect::<Option<_>>()?),
            Self::Entry(key, value) => VariantType::entry(key.usual()?, value.usual()?),
            Self::Maybe(element) => VariantType::maybe(element.usual()?),
            Self::Liftable(inner) => inner.usual()?,
        })
    }
}

impl From<&VariantType> for Pattern {
    fn from(whole: &VariantType) -> Self {
        match whole {
            VariantType::Basic(letter) => Self::Basic(*letter),
            VariantType::Variant => Self::Variant,
            VariantType::Maybe(element) => Self::Maybe(Box::new(element.as_ref().into())),
            VariantType::Array(element) => Self::array(element.as_ref().into()),
            VariantType::Tuple(members, _) => Self::Tuple(members.iter().map(Self::from).collect()),
            VariantType::Entry(key, value, _) => {
                Self::Entry(Box::new(key.as_ref().into()), Box::new(value.as_ref().into()))
            }
        }
    }
}
