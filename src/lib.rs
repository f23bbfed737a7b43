//! lath makes the smallest container image in which a Python program still does its whole job.
//!
//! In reading order: `model` is our nouns; `formats` is the nouns of others; `outside` is all that can fail for reasons
//! not ours; `steps` is the verbs of a build; `pipeline` is their order; `cli` is what is typed and shown.

mod cli;
mod formats;
mod model;
mod outside;
mod pipeline;
mod steps;

/// Does what the command line says, the program's name first, and returns the exit code.
pub fn run(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> u8 {
    cli::main(arguments)
}
