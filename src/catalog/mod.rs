//! Everything that lath knows by name: releases, Debian packages, programs, libraries and accounts. The names are in
//! TOML files. Each file is read when it is first needed.
//!
//! Only names, and facts about these names, belong here. A rule that uses a name belongs to the step that applies it.

pub(crate) mod accounts;
pub(crate) mod builds;
pub(crate) mod maintainer;
pub(crate) mod packages;
pub(crate) mod programs;
pub(crate) mod reach;
pub(crate) mod registries;
pub(crate) mod releases;
pub(crate) mod sonames;
pub(crate) mod time_zones;

use serde::de::DeserializeOwned;

/// Reads a file of the catalogue. In a published version of lath, this does not fail, because the tests read all files.
fn read<T: DeserializeOwned>(text: &str) -> T {
    toml::from_str(text).unwrap_or_else(|error| panic!("cannot read the catalogue: {error}"))
}

#[cfg(test)]
mod tests;
