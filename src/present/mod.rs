//! Turns values into words, JSON and pictures, without any I/O.

pub(crate) mod chart;
pub(crate) mod explanation;
pub(crate) mod json;
pub(crate) mod megabytes;
pub(crate) mod newer;
pub(crate) mod summary;
pub(crate) mod table;
