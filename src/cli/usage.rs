//! Help and the errors of wrong usage.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use serde_json::Value;

use crate::cli::defaults;
use crate::cli::screen::{self, Screen};

/// Shows a message of clap, and returns the exit code. Help and the version are written to stdout, with exit code 0.
/// Errors are written to stderr, with exit code 2.
pub(super) fn show(error: &clap::Error) -> u8 {
    let printed = screen::written(screen::print_usage(error));
    match printed {
        Err(failure) if !error.use_stderr() => {
            Screen::plain().tell_failure(&failure);
            failure.exit_code
        }
        _ => u8::try_from(error.exit_code()).unwrap_or(2),
    }
}

/// Adds the default of every option to its help text, unless the help text contains a default.
pub(super) fn with_defaults(command: clap::Command) -> clap::Command {
    let defaults = serde_json::to_value(defaults::layer()).unwrap_or_default();
    add_defaults(command, &defaults)
}

fn add_defaults(command: clap::Command, defaults: &Value) -> clap::Command {
    let with_default = |arg: clap::Arg| {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        match arg.get_long().and_then(|option| defaults.get(option)) {
            Some(_) if help.contains("[default: ") => arg,
            Some(Value::String(default)) => arg.help(format!("{help} [default: {default}]")),
            Some(default) => arg.help(format!("{help} [default: {default}]")),
            None => arg,
        }
    };
    command.mut_args(with_default).mut_subcommands(|command| add_defaults(command, defaults))
}

/// The options about the removal of files. `lath dockerfile` does not have these options.
const OF_TRIM: [&str; 5] = ["--trim", "--keep", "--keep-module", "--only-scripts", "--trace"];

/// If other commands have the unknown option, adds the names of these commands to the error.
pub(super) fn with_owners(mut error: clap::Error, command_line: &clap::Command, is_dockerfile: bool) -> clap::Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else { return error };
    let is_same = |arg: &clap::Arg| {
        let long = arg.get_long().map(|long| format!("--{long}"));
        let short = arg.get_short().map(|short| format!("-{short}"));
        [long, short].iter().flatten().any(|name| name == option)
    };
    let owners = command_line.get_subcommands().filter(|command| command.get_arguments().any(is_same));
    let owners: Vec<String> = owners.map(|command| format!("`lath {}`", command.get_name())).collect();
    if let Some((last, others)) = owners.split_last() {
        let owners = if others.is_empty() { last.clone() } else { format!("{} and {last}", others.join(", ")) };
        let why = if is_dockerfile && OF_TRIM.contains(&option.as_str()) {
            "; a Dockerfile installs whole packages"
        } else {
            ""
        };
        let tip = StyledStr::from(format!("`{option}` is an option of {owners}{why}"));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
        // clap's own suggestion is removed, because it is only an option with a similar name.
        error.remove(ContextKind::SuggestedArg);
        error.remove(ContextKind::Usage);
    } else if error.get(ContextKind::SuggestedArg).is_some() {
        // clap also suggests to write the option after `--`, as a word of the image's command. This suggestion is
        // removed, because the option is probably misspelled.
        error.remove(ContextKind::Suggested);
    }
    error
}
