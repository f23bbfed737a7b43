//! The explanations of images: writes one for every image that lath makes, and finds the explanation of an existing
//! image (docs/decisions/0151-explanations.md).

mod encoded;
mod error;
mod find;
mod kept;

pub(crate) use self::error::ExplainError;
pub(crate) use self::find::{answers, explanation};
pub(crate) use self::kept::{keep, kept};
