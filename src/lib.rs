//! lath makes the smallest container image in which a Python program still does its whole job.
//!
//! In reading order:
//!
//! - `model`: lath's own types
//! - `catalog`: the tables of names that lath knows, such as releases
//! - `formats`: the file formats that other projects define
//! - `outside`: everything that can fail for reasons outside of lath
//! - `steps`: the steps of a build
//! - `pipeline`: the order of the steps
//! - `rivals`: Dockerfiles, and the engines that build them
//! - `present`: values as text
//! - `cli`: the command line and the output

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
