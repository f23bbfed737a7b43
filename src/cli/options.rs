//! The options that configuration files can contain: their names, the types of their values, and their help texts. They
//! come from the description of the command line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, Command, value_parser};

/// The option with the command of the image. Only files use this name. On the command line, the words after `--` are
/// the command.
pub(super) const RUN: &str = "run";

/// Options that are only useful on the command line. For example, they choose the configuration files, or an image in a
/// file.
const ONLY_TYPED: [&str; 6] = ["help", "version", "config", "no-config", "image", "all"];

/// Lists for which a file may contain a single text, because most images have only one value.
const MOSTLY_ONE: [&str; 1] = ["tag"];

/// The type of an option's values in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Flag,
    Number,
    Text,
    Path,
    /// One of these names.
    Choice(Vec<String>),
    Texts,
    /// A list of texts. If the list has only one text, the value may be this text instead of a list.
    TextOrTexts,
    Paths,
    /// A list of words, or a text that is split like in a shell.
    Words,
}

#[derive(Debug)]
pub(super) struct Described {
    pub(super) kind: Kind,
    /// The placeholder for the value in the help, such as `NAME=VALUE`.
    pub(super) value_name: String,
    pub(super) help: String,
    /// The options of the same table that exclude this one.
    pub(super) conflicts: Vec<String>,
}

/// All options that a file can contain, by name.
#[derive(Debug)]
pub(super) struct Options(pub(super) BTreeMap<String, Described>);

impl Options {
    /// Returns the options of these commands. If two commands have the same option, the first one describes it.
    pub(super) fn of<'a>(commands: impl IntoIterator<Item = &'a Command>) -> Self {
        let mut options = BTreeMap::from([(RUN.to_owned(), run())]);
        for command in commands {
            for arg in command.get_arguments() {
                if let Some(name) = name(arg).filter(|name| !ONLY_TYPED.contains(name)) {
                    options.entry(name.to_owned()).or_insert_with(|| described(command, arg));
                }
            }
        }
        Self(options)
    }
}

fn run() -> Described {
    let help = "The command of the image: a list of words, or a text that is split like in a shell";
    Described { kind: Kind::Words, value_name: "COMMAND".to_owned(), help: help.to_owned(), conflicts: Vec::new() }
}

/// Returns the name of an argument in files. `None` for the words after `--`.
pub(super) fn name(arg: &Arg) -> Option<&str> {
    match arg.get_long() {
        None if arg.is_last_set() => None,
        None => Some(arg.get_id().as_str()),
        long => long,
    }
}

fn described(command: &Command, arg: &Arg) -> Described {
    let conflicts = command.get_arg_conflicts_with(arg).into_iter().filter_map(name);
    Described {
        kind: kind(arg),
        value_name: arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default(),
        help: arg.get_help().map(ToString::to_string).unwrap_or_default(),
        conflicts: conflicts.map(str::to_owned).collect(),
    }
}

fn kind(arg: &Arg) -> Kind {
    let is_list = matches!(arg.get_action(), ArgAction::Append) || arg.get_num_args().is_some_and(is_many);
    let parser = arg.get_value_parser();
    let reads = |other: ValueParser| other.type_id() == parser.type_id();
    let is_number =
        reads(value_parser!(u32).into()) || reads(value_parser!(u64).into()) || reads(value_parser!(usize).into());
    let is_path = reads(value_parser!(PathBuf));
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return Kind::Flag;
    }
    if let Some(choices) = parser.possible_values().filter(|_| !is_list) {
        return Kind::Choice(choices.map(|choice| choice.get_name().to_owned()).collect());
    }
    match (is_list, is_path) {
        (true, true) => Kind::Paths,
        (true, false) if name(arg).is_some_and(|name| MOSTLY_ONE.contains(&name)) => Kind::TextOrTexts,
        (true, false) => Kind::Texts,
        (false, true) => Kind::Path,
        (false, false) if is_number => Kind::Number,
        (false, false) => Kind::Text,
    }
}

fn is_many(range: clap::builder::ValueRange) -> bool {
    range.max_values() > 1
}
