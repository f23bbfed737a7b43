//! The reasons why a file, or a line of a file, is left out.

use thiserror::Error;

/// The maximum size of a file. Real files of settings have at most about 100 kB.
pub(super) const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// The maximum size of all files together.
pub(super) const MAX_SOURCE_BYTES: u64 = 16 * MAX_FILE_BYTES;
/// The maximum size of the compiled settings. The settings of a whole desktop have about 500 kB.
pub(super) const MAX_COMPILED_BYTES: usize = 32 * 1024 * 1024;

/// The reason why a file, or a line of a file, is left out.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    #[error("it has more than {} bytes", MAX_FILE_BYTES)]
    Size,
    #[error("the file would make the total size more than {} bytes", MAX_SOURCE_BYTES)]
    SourceSize,
    #[error("the compiled settings would have more than {} bytes", MAX_COMPILED_BYTES)]
    CompiledSize,
    #[error("it is not UTF-8, or it contains the byte 0")]
    Encoding,
    #[error(transparent)]
    Xml(#[from] quick_xml::Error),
    #[error("it is empty")]
    Empty,
    #[error("it ends inside `<{0}>`")]
    End(&'static str),
    #[error("`&{0};` is not defined")]
    Entity(String),
    #[error("`<{element}>` is not allowed in `<{parent}>`")]
    Element { element: String, parent: String },
    #[error("text is not allowed in `<{0}>`")]
    Text(String),
    #[error("`<{element}>` needs the attribute `{attribute}`")]
    NoAttribute { element: &'static str, attribute: &'static str },
    #[error("`<{element}>` cannot have the attribute `{attribute}`")]
    Attribute { element: &'static str, attribute: String },
    #[error("{kind} `{name}` is already defined")]
    Repeated { kind: &'static str, name: String },
    #[error("there is no {kind} `{name}`")]
    Unknown { kind: &'static str, name: String },
    #[error("`{0}` is not allowed as a name")]
    Name(String),
    #[error("`{0}` is not a type of a value")]
    Type(String),
    #[error("`{0}` cannot be the path of settings of this kind")]
    Path(String),
    #[error("`{0}` is not a number for a member of this enumeration")]
    Number(String),
    #[error("`{text}` is not a value of the type `{own}`")]
    Value { text: String, own: String },
    #[error("`{0}` is not one of the allowed values")]
    Choice(String),
    #[error("`<{element}>` is not possible here")]
    Use { element: &'static str },
    #[error("`<{parent}>` needs a `<{element}>`")]
    Missing { parent: &'static str, element: &'static str },
    #[error(
        "a text can only be translated if its schema has a `gettext-domain`, and `l10n` must be `messages` or `time`"
    )]
    Translation,
    #[error("a translated text has the same default for all desktops")]
    Desktop,
    #[error("schema `{0}` cannot be extended or listed like this")]
    Extension(String),
    #[error("`{0}` is not a line of a file of overrides")]
    Line(String),
}
