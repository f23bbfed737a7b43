//! Replaces the crate with the same name, which writes software bills of materials. Only the command `uv export` uses
//! it, and lath does not contain this command (docs/decisions/0190-crates-that-never-run-are-replaced.md).
//!
//! These are the parts that uv-resolver names. No value can be written to a file, so nothing can be exported by
//! mistake.

#![allow(non_camel_case_types, reason = "the names are those of the replaced crate")]

pub mod models;

pub mod prelude {
    pub use crate::models::{Bom, Component, Components, DateTime, NormalizedString, Uri};
}
