//! The command line: arguments, and output.

mod args;
mod bases;
mod build;
mod cache;
mod choices;
mod clean;
mod command;
mod compare;
mod completions;
mod config;
mod copy;
mod default_file;
mod defaults;
mod dockerfile;
mod environment;
mod explain;
mod failure;
mod file;
mod file_paths;
mod foreign_variables;
mod hints;
mod init;
mod inputs;
mod layers;
mod lock;
mod locked;
mod login;
mod logout;
mod options;
mod outputs;
mod panic;
mod projects;
mod pythons;
mod registries;
mod run;
mod runtime;
mod schema;
mod screen;
mod settings;
mod stack;
#[cfg(feature = "strength")]
mod strength;
mod tool_uv;
mod trace;
mod usage;
mod values;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::sync::Arc;

use clap::{ArgMatches, Args as _, CommandFactory as _, FromArgMatches as _};

use crate::cli::args::{Arguments, Global};
use crate::cli::command::{Call, Command};
use crate::cli::environment::Environment;
use crate::cli::failure::Failure;
use crate::cli::file::Reader;
use crate::cli::layers::{Settings, Typed as _};
use crate::cli::options::Options;
use crate::cli::screen::Screen;
use crate::cli::stack::{Files, Stack};
use crate::model::event::{Event, Listener as _};
use crate::outside::sandbox::serve_warden;
use crate::outside::unfinished::survive_file_size_limit;

/// All commands, in the order of the help. A new command needs a file, a `mod` line for this file, and an entry here.
const COMMANDS: &[Entry] = &[
    Entry::of::<build::Build>("build"),
    Entry::of::<run::Run>("run"),
    Entry::of::<trace::Trace>("trace"),
    Entry::of::<lock::Lock>("lock"),
    Entry::of::<dockerfile::Dockerfile>("dockerfile"),
    Entry::of::<compare::Compare>("compare"),
    Entry::of::<copy::Copy>("copy"),
    Entry::of::<explain::Explain>("explain"),
    Entry::of::<init::Init>("init"),
    Entry::of::<config::Config>("config"),
    Entry::of::<login::Login>("login"),
    Entry::of::<logout::Logout>("logout"),
    Entry::of::<cache::Cache>("cache"),
    Entry::of::<completions::Completions>("completions"),
    #[cfg(feature = "strength")]
    Entry::of::<strength::Strength>("strength"),
];

/// A command with its name.
struct Entry {
    name: &'static str,
    /// Adds the arguments of the command.
    describe: fn(clap::Command) -> clap::Command,
    /// The configuration files that the command reads.
    files: Files,
    variables: fn(&Environment) -> Result<Settings, clap::Error>,
    start: fn(&ArgMatches, Environment) -> Result<u8, clap::Error>,
}

impl Entry {
    const fn of<C: Command>(name: &'static str) -> Self {
        let variables = layers::of_variables::<C>;
        Self { name, describe: C::augment_args, files: C::FILES, variables, start: start::<C> }
    }
}

/// Runs the command that `arguments` contain, and returns the exit code. The first argument is the program's name. The
/// exit codes:
///
/// - 0: done
/// - 1: the request cannot be met, or something outside of lath failed
/// - 2: wrong usage
/// - 3: the image was built, but it does not run as promised
/// - 70: a bug in lath
pub(crate) fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if serve_warden(&arguments) {
        return 0;
    }
    survive_file_size_limit();
    let environment = Environment::read();
    panic::end_with_a_message(environment.shows_backtrace());
    obey(arguments, environment).unwrap_or_else(|error| usage::show(&error))
}

/// Reads the arguments, starts the command, and returns its exit code.
fn obey(arguments: Vec<OsString>, environment: Environment) -> Result<u8, clap::Error> {
    let mut command_line = described();
    let is_dockerfile = arguments.get(1).is_some_and(|command| command == "dockerfile");
    let matches = command_line.try_get_matches_from_mut(arguments);
    let matches = matches.map_err(|error| usage::with_owners(error, &command_line, is_dockerfile))?;
    let chosen = matches.subcommand().and_then(|(name, matches)| {
        let entry = COMMANDS.iter().find(|entry| entry.name == name)?;
        Some((entry, matches))
    });
    // This does not happen, because clap has already refused an unknown or a missing command.
    let Some((entry, matches)) = chosen else { return Ok(2) };
    (entry.start)(matches, environment).map_err(|error| error.format(&mut command_line))
}

/// Combines the layers of settings, and starts the command.
fn start<C: Command>(matches: &ArgMatches, environment: Environment) -> Result<u8, clap::Error> {
    let (command, global) = (C::from_arg_matches(matches)?, Global::from_arg_matches(matches)?);
    let typed = command.typed().or(global.typed());
    let variables = match C::FILES {
        Files::Shown => all_variables(&environment)?,
        _ => command.of_variables(&environment)?,
    };
    let of_uv = foreign_variables::of_uv::<C>(&environment)?;
    let variables = variables.or(layers::of_variables::<Global>(&environment)?).or(of_uv.settings);
    let given = Screen::new(&typed.clone().over(variables.clone()));
    let failed = |screen: &Screen, failure: Failure| {
        screen.tell_failure(&failure);
        failure.exit_code
    };
    match call::<C>(Stack::new(typed, variables), environment) {
        Ok(call) => {
            report_foreign_variables::<C>(&call, &of_uv.names);
            Ok(command.main(&call).unwrap_or_else(|failure| failed(&call.screen, failure)))
        }
        Err(failure) => Ok(failed(&given, failure)),
    }
}

/// Reports which variables of uv are used, and which variables of uv and pip have no effect.
fn report_foreign_variables<C: Command>(call: &Call, of_uv: &[&str]) {
    of_uv.iter().for_each(|name| call.screen.hear(Event::Detail(format!("using the variable `{name}` of uv"))));
    let warnings = foreign_variables::warnings::<C>(&call.environment, &call.settings);
    warnings.into_iter().for_each(|warning| call.screen.hear(Event::Warning(warning)));
}

/// Reads the environment variables of all commands that work on images.
fn all_variables(environment: &Environment) -> Result<Settings, clap::Error> {
    let commands = COMMANDS.iter().filter(|entry| entry.files == Files::OfImages);
    let mut all = Settings::default();
    for command in commands {
        all = all.or((command.variables)(environment)?);
    }
    Ok(all)
}

/// Reads the configuration files, and combines the layers of settings.
fn call<C: Command>(mut stack: Stack, environment: Environment) -> Result<Call, Failure> {
    let command_line = described();
    let options = file_options(&command_line);
    let reader = Reader { used: used::<C>(&options), options: &options };
    stack.read_files(C::FILES, &reader, &environment)?;
    let chosen = if C::FILES == Files::OfImages { stack.chosen()? } else { Vec::new() };
    // If no image is chosen, the settings are those without a table of an image.
    let chosen = if chosen.is_empty() { vec![None] } else { chosen.into_iter().map(Some).collect() };
    let trusted = chosen.iter().map(|image| stack.trusted_settings(*image)).collect();
    let images: Vec<Settings> = chosen.into_iter().map(|image| stack.settings(image)).collect();
    let settings = images[0].clone();
    let screen = Arc::new(Screen::new(&settings));
    Ok(Call { settings, trusted, images, stack, environment, screen, command_line, options })
}

/// Returns the names of the options that the command uses if they are set in a file.
fn used<C: Command>(options: &Options) -> BTreeSet<String> {
    if C::FILES == Files::Shown {
        return options.0.keys().cloned().collect();
    }
    let whole = Global::augment_args(C::augment_args(clap::Command::new("lath")));
    let names = whole.get_arguments().filter_map(options::name).map(str::to_owned);
    names.chain([options::RUN.to_owned()]).collect()
}

/// Returns the options that configuration files can contain. `whole` is the whole command line.
fn file_options(whole: &clap::Command) -> Options {
    let is_of_images = |command: &&clap::Command| {
        COMMANDS.iter().any(|entry| entry.files == Files::OfImages && entry.name == command.get_name())
    };
    Options::of(whole.get_subcommands().filter(is_of_images).chain([whole]))
}

/// Returns the description of the whole command line, which is used to read arguments, and for help and completions.
fn described() -> clap::Command {
    let commands = COMMANDS.iter().map(|entry| (entry.describe)(clap::Command::new(entry.name)));
    let whole = Arguments::command().subcommands(commands).subcommand_required(true).arg_required_else_help(true);
    usage::with_defaults(whole)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::file_paths::Trust;
    use crate::cli::options::Kind;
    use crate::outside::config_files::ConfigFile;

    /// Returns the options of a command, without the options that every command has.
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
        build: requirements constraint extra all-extras group package with recommends python release base no-base-packages platform copy build-with no-build no-build-package no-binary-package config-setting build-timeout keep-failed image all lock locked frozen vendor snapshot trim keep keep-module locale only-scripts trace shell bytecode script module user-base entrypoint cmd env user workdir label annotation expose volume stop-signal healthcheck healthcheck-interval healthcheck-timeout healthcheck-start-period healthcheck-retries tag output load push repo metadata-file explanation attach-explanation check no-verify proof-timeout offline exclude-newer prerelease index default-index find-links no-index index-strategy keyring-provider torch-backend mirror security-mirror keyring jobs insecure-registry registry-mirror compression layers max-layers
        run: requirements constraint extra all-extras group package with recommends python release base no-base-packages platform copy build-with no-build no-build-package no-binary-package config-setting build-timeout keep-failed image lock locked frozen vendor snapshot trim keep keep-module locale only-scripts trace shell bytecode script module user-base entrypoint cmd env user workdir offline exclude-newer prerelease index default-index find-links no-index index-strategy keyring-provider torch-backend mirror security-mirror keyring jobs insecure-registry registry-mirror volume
        trace: requirements constraint extra all-extras group package with recommends python release base no-base-packages platform copy build-with no-build no-build-package no-binary-package config-setting build-timeout keep-failed image lock locked frozen vendor snapshot shell script module user-base entrypoint cmd env user workdir output append offline exclude-newer prerelease index default-index find-links no-index index-strategy keyring-provider torch-backend mirror security-mirror keyring jobs insecure-registry registry-mirror volume
        lock: requirements constraint extra all-extras group package with recommends python release base no-base-packages platform copy build-with no-build no-build-package no-binary-package config-setting build-timeout keep-failed trim keep keep-module locale only-scripts trace shell output vendor upgrade upgrade-package check offline exclude-newer prerelease index default-index find-links no-index index-strategy keyring-provider torch-backend mirror security-mirror keyring jobs insecure-registry registry-mirror
        dockerfile: style fat from ca builder build engine no-cache requirements constraint extra all-extras group package with recommends python release base no-base-packages platform copy build-with no-build no-build-package no-binary-package config-setting build-timeout keep-failed image bytecode script module entrypoint cmd env user workdir label annotation expose volume stop-signal healthcheck healthcheck-interval healthcheck-timeout healthcheck-start-period healthcheck-retries tag output check no-verify lock locked frozen vendor snapshot offline exclude-newer prerelease index default-index find-links no-index index-strategy keyring-provider torch-backend mirror security-mirror keyring jobs insecure-registry registry-mirror user-base
        compare: requirements constraint extra all-extras group package with recommends python release base no-base-packages platform copy build-with no-build no-build-package no-binary-package config-setting build-timeout keep-failed image lock locked frozen vendor snapshot trim keep keep-module locale only-scripts trace shell bytecode script module user-base entrypoint cmd env user workdir check no-verify proof-timeout offline exclude-newer prerelease index default-index find-links no-index index-strategy keyring-provider torch-backend mirror security-mirror keyring jobs insecure-registry registry-mirror compression layers max-layers measure from ca engine json svg apt
        copy: platform referrers jobs insecure-registry registry-mirror
        explain: all json from platform insecure-registry registry-mirror
        init: force
        config:
        show: image json defaults
        path:
        schema:
        login: username password-stdin insecure-registry
        logout:
        cache:
        dir:
        size: bytes
        prune: older-than all
        completions:
        ");
    }

    #[test]
    fn a_setting_has_the_type_that_its_option_has_in_files() {
        let options = file_options(&described());
        assert!(options.0.len() > 40 && !options.0.contains_key("config") && !options.0.contains_key("command"));
        for (name, option) in &options.0 {
            let value = match &option.kind {
                Kind::Flag => json!(true),
                Kind::Number => json!(1),
                Kind::Text | Kind::Path => json!("x"),
                Kind::Choice(choices) => json!(choices[0]),
                Kind::Texts | Kind::TextOrTexts | Kind::Paths | Kind::Words => json!(["x"]),
            };
            let layer = serde_json::from_value::<Settings>(json!({ name: value }));
            assert!(layer.is_ok_and(|layer| layer != Settings::default()), "{name} {:?}", option.kind);
            assert!(!option.help.is_empty(), "{name}");
        }
    }

    /// Returns the places at which a value does not match its schema. The function supports only those parts of JSON
    /// schema that lath's schema uses.
    fn faults(place: &str, value: &Value, schema: &Value) -> Vec<String> {
        let fault = |rule: &str| vec![format!("{place}: {rule}")];
        let kind = match value {
            Value::Bool(_) => "boolean",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
            Value::Null => "null",
        };
        let kinds = &schema["type"];
        if kinds != kind && !kinds.as_array().is_some_and(|kinds| kinds.contains(&kind.into())) {
            return fault("type");
        }
        if schema["enum"].as_array().is_some_and(|choices| !choices.contains(value)) {
            return fault("enum");
        }
        let required = schema["required"].as_array().into_iter().flatten();
        let mut found: Vec<String> = required
            .filter(|name| value.get(name.as_str().unwrap()).is_none())
            .flat_map(|name| fault(&format!("{name} is missing")))
            .collect();
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            found.extend(faults(&format!("{place}[{index}]"), item, &schema["items"]));
        }
        for (name, member) in value.as_object().into_iter().flatten() {
            let place = format!("{place}.{name}");
            match schema["properties"].get(name) {
                Some(schema) => found.extend(faults(&place, member, schema)),
                None if schema["additionalProperties"].is_object() => {
                    found.extend(faults(&place, member, &schema["additionalProperties"]));
                }
                None => found.push(format!("{place}: additionalProperties")),
            }
        }
        found
    }

    fn published_schema() -> Value {
        serde_json::from_str(include_str!("../../docs/lath.schema.json")).unwrap()
    }

    #[test]
    fn the_published_schema_is_that_of_the_options() {
        let schema = schema::schema(&file_options(&described()));
        assert!(
            schema == published_schema(),
            "write it anew: cargo run -- config schema > docs/lath.schema.json\n{schema:#}"
        );
    }

    #[test]
    fn the_schema_refuses_what_files_cannot_contain() {
        let table = [
            ("with = ['...', 'git']\nrun = 'a b'\njobs = 3\nshell = false\n[[image]]\nname = 'x'\ntrim = 'none'", None),
            ("run = ['a', 'b']", None),
            ("wiht = []", Some("file.wiht: additionalProperties")),
            ("with = 'git'", Some("file.with: type")),
            ("with = [1]", Some("file.with[0]: type")),
            ("trim = 'most'", Some("file.trim: enum")),
            ("jobs = '3'", Some("file.jobs: type")),
            ("[registry.'docker.io']\nmirrors = ['m.example']", None),
            (
                "[registry.'docker.io']\nmirror = 'm.example'",
                Some("file.registry.docker.io.mirror: additionalProperties"),
            ),
            ("registry = ['docker.io']", Some("file.registry: type")),
            ("[[image]]\ntag = 'x'", Some("file.image[0]: \"name\" is missing")),
            ("[[image]]\nname = 'x'\nwiht = []", Some("file.image[0].wiht: additionalProperties")),
        ];
        for (text, expected) in table {
            let value: Value = toml::from_str(text).unwrap();
            let found = faults("file", &value, &published_schema());
            assert_eq!(found, Vec::from_iter(expected.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn the_examples_of_the_documentation_are_read_and_have_no_fault() {
        let pages = [include_str!("../../docs/configuration.md"), include_str!("../../README.md")];
        let examples = pages.iter().flat_map(|page| page.split("```toml\n").skip(1));
        let examples: Vec<&str> = examples.filter_map(|rest| rest.split("```").next()).collect();
        assert!(examples.len() > 3, "{examples:?}");
        let options = file_options(&described());
        let reader = Reader { options: &options, used: BTreeSet::new() };
        for example in examples {
            let is_table = example.contains("tool.lath");
            let path = if is_table { "pyproject.toml" } else { "lath.toml" };
            let file = ConfigFile { path: path.into(), folder: "".into(), text: example.to_owned() };
            reader.read(&file, &Trust::Named).unwrap_or_else(|failure| panic!("{failure}\n{example}"));
            let value: Value = toml::from_str(example).unwrap();
            let value = if is_table { &value["tool"]["lath"] } else { &value };
            assert_eq!(faults("file", value, &published_schema()), [""; 0], "{example}");
        }
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
                "tip: `--keep` is an option of `lath build`, `lath run`, `lath lock` and `lath compare`; a Dockerfile installs whole packages",
            ),
            (
                "trace x --trim none",
                "tip: `--trim` is an option of `lath build`, `lath run`, `lath lock` and `lath compare`",
            ),
            (
                "dockerfile x --trim reach",
                "tip: `--trim` is an option of `lath build`, `lath run`, `lath lock` and `lath compare`; a Dockerfile installs whole packages",
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
