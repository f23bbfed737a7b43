//! The types of the Docker side: plain values.

pub(crate) mod comparison;
pub(crate) mod dockerfile;
