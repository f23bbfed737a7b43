//! The types of `rivals`, which are plain values.

pub(crate) mod comparison;
pub(crate) mod dockerfile;
