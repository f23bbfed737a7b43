//! lath makes the smallest container image in which a Python program still does its whole job.
//!
//! In reading order:
//!
//! - `model`: lath's own types
//! - `catalog`: everything that is known by name
//! - `formats`: the file formats of others
//! - `outside`: everything that can fail for reasons outside of lath
//! - `steps`: the steps of a build
//! - `pipeline`: their order
//! - `rivals`: the Docker side
//! - `present`: values as text
//! - `cli`: input and output

mod catalog;
mod cli;
mod formats;
mod model;
mod outside;
mod pipeline;
mod present;
mod rivals;
mod steps;

/// Runs the command line in `arguments`, which begin with the program's name, and returns the exit code.
pub fn run(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> u8 {
    cli::main(arguments)
}
