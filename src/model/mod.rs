//! Our nouns: plain values that every other part may use. No I/O, no clock, no environment.

pub(crate) mod assembly;
pub(crate) mod comparison;
pub(crate) mod digest;
pub(crate) mod dockerfile;
pub(crate) mod event;
pub(crate) mod facts;
pub(crate) mod glob;
pub(crate) mod hint;
pub(crate) mod image;
pub(crate) mod image_path;
pub(crate) mod lock;
pub(crate) mod modules;
pub(crate) mod origin;
pub(crate) mod part;
pub(crate) mod platform;
pub(crate) mod python_file;
pub(crate) mod reason;
pub(crate) mod receipt;
pub(crate) mod remedies;
pub(crate) mod request;
pub(crate) mod secret_text;
pub(crate) mod start_up;
pub(crate) mod tree;
pub(crate) mod vocabulary;
pub(crate) mod zeros;
