//! lath makes the smallest container image in which a Python program still does its whole job.
//!
//! In reading order: `model` is our nouns; `catalog` is everything that is known by name; `formats` is the nouns of others; `outside` is everything that can fail for
//! reasons that are not ours; `steps` is the verbs of a build; `pipeline` is their order; `rivals` is the Docker side; `present` is values as words;
//! `cli` is input and output.

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
