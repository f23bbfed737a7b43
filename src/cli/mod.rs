//! The command line: arguments, and output.

mod args;
mod build;
mod cache;
mod choices;
mod clean;
mod command;
mod compare;
mod completions;
mod defaults;
mod dockerfile;
mod environment;
mod failure;
mod hints;
mod layers;
mod lock;
mod locked;
mod panic;
mod run;
mod screen;
mod settings;
mod usage;

use std::ffi::OsString;
use std::sync::Arc;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use crate::cli::args::{Arguments, Global};
use crate::cli::command::{Call, Command};
use crate::cli::environment::Environment;
use crate::cli::layers::Typed as _;
use crate::cli::screen::Screen;
use crate::outside::sandbox::serve_warden;
use crate::outside::unfinished::survive_file_size_limit;

/// All commands, in the order of the help. A new command is a file, its `mod` line and an entry here.
const COMMANDS: [Entry; 7] = [
    Entry::of::<build::Build>("build"),
    Entry::of::<run::Run>("run"),
    Entry::of::<lock::Lock>("lock"),
    Entry::of::<dockerfile::Dockerfile>("dockerfile"),
    Entry::of::<compare::Compare>("compare"),
    Entry::of::<cache::Cache>("cache"),
    Entry::of::<completions::Completions>("completions"),
];

/// A command by its name.
struct Entry {
    name: &'static str,
    /// Adds its arguments.
    describe: fn(clap::Command) -> clap::Command,
    start: fn(&ArgMatches, Environment) -> Result<u8, clap::Error>,
}

impl Entry {
    const fn of<C: Command>(name: &'static str) -> Self {
        Self { name, describe: C::augment_args, start: start::<C> }
    }
}

/// Runs the command in `arguments`, which begin with the program's name, and returns the exit code: 0 done; 1 the
/// request cannot be met, or something outside failed; 2 wrong usage; 3 built, but it does not run as promised; 70 a
/// bug in lath.
pub(crate) fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if serve_warden(&arguments) {
        return 0;
    }
    survive_file_size_limit();
    let environment = Environment::read();
    panic::caught(environment.shows_backtrace(), || {
        obey(arguments, environment).unwrap_or_else(|error| usage::show(&error))
    })
    .unwrap_or_else(|failure| {
        Screen::plain().tell_failure(&failure);
        failure.exit_code
    })
}

/// Reads the arguments, starts the command, and returns its exit code.
fn obey(arguments: Vec<OsString>, environment: Environment) -> Result<u8, clap::Error> {
    let mut command_line = described();
    let matches = command_line.try_get_matches_from_mut(arguments);
    let matches = matches.map_err(|error| usage::with_owners(error, &command_line))?;
    let chosen = matches.subcommand().and_then(|(name, matches)| {
        let entry = COMMANDS.iter().find(|entry| entry.name == name)?;
        Some((entry, matches))
    });
    // clap has refused an unknown command, and none.
    let Some((entry, matches)) = chosen else { return Ok(2) };
    (entry.start)(matches, environment).map_err(|error| error.format(&mut command_line))
}

/// Puts the layers of settings over one another, and starts the command.
fn start<C: Command>(matches: &ArgMatches, environment: Environment) -> Result<u8, clap::Error> {
    let (command, global) = (C::from_arg_matches(matches)?, Global::from_arg_matches(matches)?);
    let typed = command.typed().over(global.typed());
    let variables = command.of_variables(&environment)?.over(layers::of_variables::<Global>(&environment)?);
    let settings = typed.over(variables);
    let screen = Arc::new(Screen::new(&settings));
    let call = Call { settings, environment, screen, command_line: described() };
    Ok(command.main(&call).unwrap_or_else(|failure| {
        call.screen.tell_failure(&failure);
        failure.exit_code
    }))
}

/// Returns the whole command line, for reading, for help and for completions.
fn described() -> clap::Command {
    let commands = COMMANDS.iter().map(|entry| (entry.describe)(clap::Command::new(entry.name)));
    let whole = Arguments::command().subcommands(commands).subcommand_required(true).arg_required_else_help(true);
    usage::with_defaults(whole)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::layers::Settings;

    /// Returns the options of a command, without those that every command has.
    fn options(command: &clap::Command) -> Vec<&str> {
        command.get_arguments().filter(|arg| !arg.is_global_set()).filter_map(clap::Arg::get_long).collect()
    }

    #[test]
    fn every_command_has_only_the_options_that_it_accepts() {
        let whole = described();
        let commands =
            whole.get_subcommands().flat_map(|command| [command].into_iter().chain(command.get_subcommands()));
        let lines: Vec<String> = commands
            .map(|command| format!("{}: {}", command.get_name(), options(command).join(" ")).trim_end().to_owned())
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        build: requirements constraint with recommends python base platform copy lock locked frozen vendor snapshot trim keep shell bytecode script user-base entrypoint cmd env user workdir label annotation expose tag output load metadata-file check no-verify proof-timeout offline exclude-newer prerelease index default-index mirror security-mirror keyring jobs compression
        run: requirements constraint with recommends python base platform copy lock locked frozen vendor snapshot trim keep shell bytecode script user-base entrypoint cmd env user workdir offline exclude-newer prerelease index default-index mirror security-mirror keyring jobs volume
        lock: requirements constraint with recommends python base platform copy trim keep shell output vendor upgrade upgrade-package check offline exclude-newer prerelease index default-index mirror security-mirror keyring jobs
        dockerfile: style fat from ca builder build engine no-cache requirements constraint with recommends python base platform copy bytecode script entrypoint cmd env user workdir label annotation expose tag output check no-verify offline exclude-newer prerelease index default-index mirror security-mirror keyring jobs user-base
        compare: requirements constraint with recommends python base platform copy trim keep shell bytecode script user-base entrypoint cmd env user workdir check no-verify proof-timeout offline exclude-newer prerelease index default-index mirror security-mirror keyring jobs compression measure from ca engine json svg apt
        cache:
        dir:
        size: bytes
        prune: older-than all
        completions:
        ");
    }

    #[test]
    fn the_description_is_one_that_clap_accepts() {
        described().debug_assert();
    }

    #[test]
    fn every_option_is_a_setting_of_the_same_name() {
        let whole = described();
        let cache = whole.find_subcommand("cache").unwrap();
        for command in whole.get_subcommands().chain(cache.get_subcommands()).chain([&whole]) {
            let settings = command.get_arguments().filter_map(clap::Arg::get_long);
            for option in settings.filter(|option| !["help", "version"].contains(option)) {
                let layer = serde_json::from_value::<Settings>(json!({ option: Value::Null }));
                assert!(layer.is_ok(), "{} --{option}", command.get_name());
            }
        }
    }

    #[test]
    fn the_help_shows_every_default() {
        let mut whole = described();
        let help = |command: &str, whole: &mut clap::Command| {
            let help = whole.find_subcommand_mut(command).unwrap().render_help().to_string();
            help.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let of_build = help("build", &mut whole);
        for default in ["standard", "start", "/opt/app", "exec", "65532:65532", "if-necessary", "16", "gzip:6"] {
            assert!(of_build.contains(&format!("[default: {default}]")), "{default} is missing in:\n{of_build}");
        }
        let of_dockerfile = help("dockerfile", &mut whole);
        for default in ["recipe", "auto", "/opt/app; /tmp/theuserbase for `recipe` and `--fat`"] {
            assert!(
                of_dockerfile.contains(&format!("[default: {default}]")),
                "{default} is missing in:\n{of_dockerfile}"
            );
        }
        assert!(help("compare", &mut whole).contains("[default: official]"));
    }

    #[test]
    fn an_option_of_another_command_is_refused_with_the_commands_that_have_it() {
        let table = [
            ("run x -t y", "tip: `-t` is an option of `lath build` and `lath dockerfile`"),
            ("run x --annotation A=1", "tip: `--annotation` is an option of `lath build` and `lath dockerfile`"),
            ("compare x --load", "tip: `--load` is an option of `lath build`"),
            ("dockerfile x --metadata-file y", "tip: `--metadata-file` is an option of `lath build`"),
            (
                "dockerfile x --keep /a",
                "tip: `--keep` is an option of `lath build`, `lath run`, `lath lock` and `lath compare`",
            ),
            ("build x --lod", "tip: a similar argument exists: '--load'"),
        ];
        for (line, tip) in table {
            let words = line.split_whitespace().map(OsString::from);
            let words = [OsString::from("lath")].into_iter().chain(words);
            let error = obey(words.collect(), Environment::default()).unwrap_err().to_string();
            assert!(error.starts_with("error: unexpected argument '-") && error.contains(tip), "{line}: {error}");
            assert_eq!(error.matches("tip: ").count(), 1, "{line}: {error}");
        }
    }
}
