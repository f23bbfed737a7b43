//! The settings, and the layers that they are made of. The order of the layers, from the top: the command line, the
//! environment, the file of the project, the file of the user, the defaults.
//!
//! Each layer is a `Settings`, in which `None` means that the layer does not contain the option. Defaults that depend
//! on other options, such as the name of the image, are not in a layer: `settings` computes them.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{FalseyValueParser, TypedValueParser as _};
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Args};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cli::choices::{Builder, Color};
use crate::cli::environment::Environment;
use crate::cli::values::is_path;
use crate::model::indexes::{IndexStrategy, Keyring};
use crate::model::request::{Bytecode, Entrypoint, Layering, Prereleases, TrimLevel};
use crate::model::secret_text::SecretText;
use crate::rivals::model::comparison::AptHabits;
use crate::rivals::model::dockerfile::{EngineProgram, Style};

/// Defines a struct of optional values, and functions that combine two such structs.
macro_rules! layer {
    ($(#[$of_type:meta])* $name:ident { $($(#[$of_field:meta])* $field:ident: $type:ty,)+ }) => {
        $(#[$of_type])*
        pub(super) struct $name {
            $(
                $(#[$of_field])*
                #[serde(skip_serializing_if = "Option::is_none")]
                pub(super) $field: Option<$type>,
            )+
        }

        impl $name {
            /// Combines this layer with the layer `lower`. If this layer contains an option, its value is used.
            /// Otherwise, the value in `lower` is used. A list replaces the list in `lower`, because otherwise no layer
            /// could shorten the list of a lower layer. Two lists are joined only if the upper list contains [`REST`].
            pub(super) fn over(self, lower: Self) -> Self {
                let upper = self.without_excluded();
                let lower = lower.without_commands_under(&upper);
                let lower = if upper.has_all_inputs() { lower.without_inputs(&upper) } else { lower };
                Self {
                    $($field: match (upper.$field, lower.$field) {
                        (Some(upper), Some(lower)) => Some(upper.over(stringify!($field), lower)),
                        (upper, lower) => upper.or(lower),
                    }),+
                }
            }

            /// Joins two parts of the same layer. If both contain an option, the value of `self` is used.
            pub(super) fn or(self, other: Self) -> Self {
                Self { $($field: self.$field.or(other.$field)),+ }
            }

            /// Ends the stack: no layer is below this one, so [`REST`] is replaced by an empty list.
            pub(super) fn complete(self) -> Self {
                Self { $($field: self.$field.map(|value| value.complete(stringify!($field)))),+ }
            }
        }
    };
}

/// The element of a list that is replaced by the list in the layer below.
pub(super) const REST: &str = "...";

/// Lists that are the words of one command. In such a list, `...` is an ordinary word.
pub(super) const WORDS: [&str; 2] = ["cmd", "run"];

/// The value of an option in a layer. Lower layers may have other values of the same option.
trait Layered: Sized {
    /// Combines this value with the value in a lower layer.
    fn over(self, _: &str, _: Self) -> Self {
        self
    }

    /// Returns the final value of an option that no lower layer contains.
    fn complete(self, _: &str) -> Self {
        self
    }
}

impl Layered for bool {}
impl Layered for u32 {}
impl Layered for u64 {}
impl Layered for usize {}
impl Layered for String {}
impl Layered for PathBuf {}
impl Layered for SecretText {}
impl Layered for Color {}
impl Layered for TrimLevel {}
impl Layered for Bytecode {}
impl Layered for Entrypoint {}
impl Layered for Layering {}
impl Layered for Prereleases {}
impl Layered for IndexStrategy {}
impl Layered for Keyring {}
impl Layered for Style {}
impl Layered for Builder {}
impl Layered for EngineProgram {}
impl Layered for AptHabits {}

impl<T: Clone + PartialEq + From<&'static str>> Layered for Vec<T> {
    fn over(self, option: &str, lower: Self) -> Self {
        let rest = T::from(REST);
        if WORDS.contains(&option) || !self.contains(&rest) {
            return self;
        }
        let values = self.into_iter().flat_map(|value| if value == rest { lower.clone() } else { vec![value] });
        values.collect()
    }

    fn complete(self, option: &str) -> Self {
        self.over(option, Vec::new())
    }
}

layer! {
    /// The options of all commands. Each field has the name of its option, unless its comment names another option. The
    /// name of the variable is made from the name of the option.
    #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
    Settings {
        cache_dir: PathBuf,
        quiet: bool,
        verbose: bool,
        color: Color,
        /// The configuration file that is read instead of the file of the project.
        config: PathBuf,
        no_config: bool,
        /// The name of one image in the configuration file. The command works on this image.
        image: String,
        /// The command of the image.
        run: Vec<String>,

        /// The inputs that are given without an option, such as requirements and folders.
        requirement: Vec<SecretText>,
        requirements: Vec<PathBuf>,
        constraint: Vec<PathBuf>,
        extra: Vec<String>,
        all_extras: bool,
        group: Vec<String>,
        package: String,
        with: Vec<String>,
        recommends: bool,
        python: String,
        release: String,
        base: String,
        no_base_packages: bool,
        platform: Vec<String>,
        /// Each `SRC:DST[:MODE[:UID[:GID]]]`.
        copy: Vec<String>,

        build_with: Vec<String>,
        no_build: bool,
        no_build_package: Vec<String>,
        no_binary_package: Vec<String>,
        /// Each `KEY=VALUE`.
        config_setting: Vec<String>,
        build_timeout: u64,
        keep_failed: bool,

        trim: TrimLevel,
        keep: Vec<String>,
        keep_module: Vec<String>,
        locale: Vec<String>,
        only_scripts: bool,
        /// The records for `--trim trace`.
        trace: Vec<PathBuf>,
        bytecode: Bytecode,
        shell: bool,

        module: String,
        script: Vec<String>,
        user_base: String,
        entrypoint: Entrypoint,
        cmd: Vec<String>,
        /// Each is `NAME=VALUE`. The same is true for `label` and `annotation`.
        env: Vec<String>,
        label: Vec<String>,
        annotation: Vec<String>,
        user: String,
        workdir: String,
        expose: Vec<String>,
        /// Directories of the image.
        volume: Vec<String>,
        stop_signal: String,
        healthcheck: String,
        healthcheck_interval: String,
        healthcheck_timeout: String,
        healthcheck_start_period: String,
        healthcheck_retries: u32,

        /// The names of the image.
        tag: Vec<String>,
        /// The destinations of the image.
        output: Vec<String>,
        load: bool,
        push: bool,
        repo: String,
        metadata_file: PathBuf,
        explanation: PathBuf,
        attach_explanation: bool,

        check: Vec<String>,
        no_verify: bool,
        proof_timeout: u64,

        offline: bool,
        exclude_newer: String,
        prerelease: Prereleases,
        index: Vec<SecretText>,
        default_index: SecretText,
        find_links: Vec<SecretText>,
        no_index: bool,
        index_strategy: IndexStrategy,
        keyring_provider: Keyring,
        torch_backend: String,
        mirror: SecretText,
        security_mirror: SecretText,
        keyring: PathBuf,
        jobs: usize,
        /// Each `HOST[:PORT]`.
        insecure_registry: Vec<String>,
        /// Each `REGISTRY=HOST`.
        registry_mirror: Vec<String>,
        compression: String,
        layers: Layering,
        max_layers: usize,

        /// The mounts of `lath run`: its option `--volume`.
        mount: Vec<String>,
        lock: PathBuf,
        locked: bool,
        frozen: bool,
        vendor: PathBuf,
        snapshot: SecretText,
        upgrade: bool,
        upgrade_package: Vec<String>,
        /// `--check` of `lath lock`.
        check_lock: bool,
        /// The file for the lock, and the folder for its files: `--output` and `--vendor` of `lath lock`.
        lock_output: PathBuf,
        lock_vendor: PathBuf,
        /// The file for the record: `--output` of `lath trace`.
        trace_output: PathBuf,
        append: bool,


        style: Style,
        fat: bool,
        from: String,
        ca: PathBuf,
        builder: Builder,
        build: bool,
        engine: EngineProgram,
        no_cache: bool,
        /// The file for the Dockerfile: `--output` of `lath dockerfile`.
        dockerfile_output: PathBuf,

        /// Whether `lath copy` also copies manifests about the image.
        referrers: bool,

        measure: bool,
        json: bool,
        svg: PathBuf,
        apt: AptHabits,

        bytes: bool,
        older_than: u64,
        all: bool,

        /// Whether `lath init` replaces settings.
        force: bool,

        /// The user for `lath login`.
        username: String,
        password_stdin: bool,
    }
}

impl Settings {
    /// Returns whether the options say that the image is built from a lock of lath.
    pub(super) fn is_locked(&self) -> bool {
        self.lock.is_some() || self.locked == Some(true) || self.frozen == Some(true)
    }

    /// If this layer contains an option that excludes a flag, turns off this flag, so that a lower layer cannot turn it
    /// on. For example, a `--check` on the command line has to run even if `LATH_NO_VERIFY` is set.
    pub(super) fn without_excluded(mut self) -> Self {
        let (is_quiet, is_verbose) = (self.quiet == Some(true), self.verbose == Some(true));
        let (is_locked, is_frozen) = (self.locked == Some(true), self.frozen == Some(true));
        let exclusions = [
            (self.check.is_some(), &mut self.no_verify),
            (self.extra.is_some(), &mut self.all_extras),
            (self.style.is_some(), &mut self.fat),
            (self.apt.is_some(), &mut self.measure),
            (self.older_than.is_some() || self.image.is_some(), &mut self.all),
            (self.config.is_some(), &mut self.no_config),
            (is_locked, &mut self.frozen),
            (is_frozen, &mut self.locked),
            (is_quiet, &mut self.verbose),
            (is_verbose, &mut self.quiet),
        ];
        for (is_set, excluded) in exclusions {
            if is_set {
                excluded.get_or_insert(false);
            }
        }
        self
    }

    fn has_command(&self) -> bool {
        self.run.is_some() || self.module.is_some() || self.script.is_some()
    }

    /// Removes the command of this layer (`run`, `module` or `script`) if the layer `upper` has a command. The default
    /// arguments belong to the command of their layer, so they are removed with it. Engines do the same if a user
    /// replaces the entry point of an image.
    fn without_commands_under(mut self, upper: &Self) -> Self {
        if upper.has_command() && self.has_command() {
            (self.run, self.module, self.script, self.cmd) = (None, None, None, None);
        }
        self
    }
}

impl Settings {
    /// Whether this layer contains all inputs. If so, the inputs of lower layers are not used. For example, `lath build
    /// httpie` ignores the inputs in a file.
    fn has_all_inputs(&self) -> bool {
        let requirement = self.requirement.as_deref().unwrap_or_default();
        let requirements = self.requirements.as_deref().unwrap_or_default();
        let has_some = !requirement.is_empty() || !requirements.is_empty();
        has_some && !requirement.contains(&REST.into()) && !requirements.contains(&REST.into())
    }

    /// Removes the inputs of this layer, because the layer `upper` contains all inputs. The extras, the groups and the
    /// package of a project are kept if an input in `upper` is a folder, because this folder may be the project.
    fn without_inputs(self, upper: &Self) -> Self {
        let inputs = upper.requirement.iter().flatten();
        let has_folder = inputs.clone().any(|input| is_path(input.exposed()));
        let lower = Self { requirement: None, requirements: None, ..self };
        if has_folder {
            return lower;
        }
        Self { extra: None, all_extras: None, group: None, package: None, ..lower }
    }
}

/// Arguments that are a layer of settings.
pub(super) trait Typed: Args {
    /// Returns the options that were given.
    fn typed(&self) -> Settings;
}

/// Joins the options of groups of arguments into one layer. No two groups contain the same option.
pub(super) fn joined<const N: usize>(groups: [Settings; N]) -> Settings {
    groups.into_iter().fold(Settings::default(), Settings::or)
}

/// Returns the list as the value of an option. An empty list means that the user did not give the option.
pub(super) fn list<T: Clone>(values: &[T]) -> Option<Vec<T>> {
    (!values.is_empty()).then(|| values.to_vec())
}

/// Returns the flag as the value of an option. `None` if the user did not give the flag.
pub(super) fn flag(is_given: bool) -> Option<bool> {
    is_given.then_some(true)
}

/// Returns the name of the environment variable for an option.
pub(super) fn variable(option: &str) -> String {
    format!("LATH_{}", option.to_uppercase().replace('-', "_"))
}

/// Reads the options of `T` from their environment variables. An empty variable counts as not set.
///
/// The relations between options, such as "requires" and "conflicts with", are not checked here. For example,
/// `--engine` requires `--build` on the command line, but `LATH_ENGINE` may be set without `LATH_BUILD`.
pub(super) fn of_variables<T: Typed>(environment: &Environment) -> Result<Settings, clap::Error> {
    let described = T::augment_args(clap::Command::new("lath"));
    let mut words: Vec<OsString> = Vec::new();
    let mut off = Map::new();
    for arg in described.get_arguments() {
        let Some(option) = arg.get_long() else { continue };
        let Some(value) = environment.filled(&variable(option)) else { continue };
        if !matches!(arg.get_action(), ArgAction::SetTrue) {
            let mut word = OsString::from(format!("--{option}="));
            word.push(value);
            words.push(word);
        } else if FalseyValueParser::new().parse_ref(&described, None, value)? {
            words.push(format!("--{option}").into());
        } else {
            off.insert(option.to_owned(), false.into());
        }
    }
    // clap cannot read a variable that turns a flag off, such as `LATH_PUSH=false`, because no option of the command
    // line turns a flag off.
    let off = Settings::deserialize(Value::Object(off)).unwrap_or_default();
    Ok(of_words::<T>(words, variable)?.or(off))
}

/// Reads options in the form `--OPTION=VALUE`, which come from variables. An error names the variable of the option.
pub(super) fn of_words<T: Typed>(
    words: Vec<OsString>,
    variable: impl Fn(&str) -> String,
) -> Result<Settings, clap::Error> {
    let described = T::augment_args(clap::Command::new("lath"));
    let arguments = described.get_arguments().map(without_relations);
    let mut command = clap::Command::new("lath").no_binary_name(true).args(arguments);
    let read = command.try_get_matches_from_mut(words).and_then(|matches| T::from_arg_matches(&matches));
    Ok(read.map_err(|error| of_variable(error.format(&mut command), variable))?.typed())
}

/// Returns a copy of the argument that accepts the same values but has no relations to other arguments.
fn without_relations(arg: &Arg) -> Arg {
    // The values of these options may contain line breaks.
    const OF_ONE_VALUE: [&str; 2] = ["check", "cmd"];
    let mut copy = Arg::new(arg.get_id().clone()).action(arg.get_action().clone());
    copy = copy.value_parser(arg.get_value_parser().clone()).value_names(arg.get_value_names().unwrap_or_default());
    // clap gives no long name to a positional argument. The copy becomes an option with the name of the argument, so
    // that its variable is read like the variables of options.
    let Some(option) = arg.get_long() else { return copy.long(arg.get_id().to_string()) };
    let is_list = matches!(arg.get_action(), ArgAction::Append) && !OF_ONE_VALUE.contains(&option);
    let delimiter = arg.get_value_delimiter().or(is_list.then_some('\n'));
    copy.long(option.to_owned()).value_delimiter(delimiter)
}

/// Replaces the name of the option in an error by the name of its variable.
fn of_variable(mut error: clap::Error, variable: impl Fn(&str) -> String) -> clap::Error {
    if let Some(ContextValue::String(arg)) = error.get(ContextKind::InvalidArg) {
        let option = arg.trim_start_matches('-').split([' ', '=', '[']).next().unwrap_or_default();
        let name = variable(option);
        error.insert(ContextKind::InvalidArg, ContextValue::String(name));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Global;
    use crate::cli::build::Build;
    use crate::cli::compare::Compare;
    use crate::cli::dockerfile::Dockerfile;
    use crate::cli::run::Run;

    /// Returns the layer of a command line.
    fn typed<T: Typed>(line: &str) -> Settings {
        let command = T::augment_args(clap::Command::new("lath").no_binary_name(true));
        let matches = command.try_get_matches_from(line.split_whitespace()).unwrap();
        T::from_arg_matches(&matches).unwrap().typed()
    }

    /// Returns the layer of these variables.
    fn variables<T: Typed>(variables: &[(&str, &str)]) -> Result<Settings, String> {
        of_variables::<T>(&Environment::of(variables)).map_err(|error| error.to_string())
    }

    /// Returns the layer of a configuration file with this text.
    fn file(text: &str) -> Settings {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_command_line_is_over_the_environment_and_this_over_a_file() {
        let environment = [("LATH_TRIM", "none"), ("LATH_WITH", "git\ncurl"), ("LATH_TAG", "variable")];
        let file =
            file("trim = 'standard'\nwith = ['jq']\ntag = ['file']\njobs = 4\nexpose = ['80', '443']\nshell = true");
        let settings = typed::<Build>("tool --tag typed").over(variables::<Build>(&environment).unwrap()).over(file);
        let expected = Settings {
            requirement: Some(vec!["tool".into()]),
            tag: Some(vec!["typed".to_owned()]),
            trim: Some(TrimLevel::None),
            with: Some(vec!["git".to_owned(), "curl".to_owned()]),
            jobs: Some(4),
            expose: Some(vec!["80".to_owned(), "443".to_owned()]),
            shell: Some(true),
            ..Settings::default()
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn an_option_that_no_layer_contains_is_not_set() {
        assert_eq!(typed::<Build>(""), Settings::default());
        assert_eq!(variables::<Build>(&[]).unwrap(), Settings::default());
        assert_eq!(variables::<Build>(&[("LATH_TAG", ""), ("LATH_WITH", "")]).unwrap(), Settings::default());
        assert_eq!(file(""), Settings::default());
        assert_eq!(Settings::default().over(Settings::default()), Settings::default());
    }

    #[test]
    fn three_dots_in_a_list_are_the_list_of_the_layer_below() {
        let over = |upper: &str, lower: &str| file(upper).over(file(lower)).complete();
        let table = [
            ("with = ['...', 'git']", "with = ['curl', 'jq']", "with = ['curl', 'jq', 'git']"),
            ("with = ['git', '...']", "with = ['curl']", "with = ['git', 'curl']"),
            ("with = ['git']", "with = ['curl']", "with = ['git']"),
            ("with = []", "with = ['curl']", "with = []"),
            ("with = ['...', 'git']", "", "with = ['git']"),
            ("", "with = ['...']", "with = []"),
            ("index = ['...', 'https://a']", "index = ['https://b']", "index = ['https://b', 'https://a']"),
            // `cmd` contains the words of a command, so `...` has no special meaning in it.
            ("cmd = ['...']", "cmd = ['a']", "cmd = ['...']"),
            ("run = ['echo', '...']", "run = ['a']", "run = ['echo', '...']"),
        ];
        for (upper, lower, expected) in table {
            assert_eq!(over(upper, lower), file(expected), "{upper} over {lower}");
        }
        let typed = typed::<Build>("--with ... --with git");
        let variables = variables::<Build>(&[("LATH_WITH", "curl\n...")]).unwrap();
        let with = typed.over(variables).over(file("with = ['...', 'jq']")).over(file("with = ['nano']"));
        assert_eq!(with.complete().with.unwrap(), ["curl", "nano", "jq", "git"]);
    }

    #[test]
    fn a_layer_that_names_inputs_is_not_joined_with_the_inputs_below() {
        let over = |upper: &str, lower: &str| {
            let settings = file(upper).over(file(lower)).complete();
            (settings.requirement.map(|inputs| inputs.len()), settings.requirements.map(|files| files.len()))
        };
        assert_eq!(over("requirement = ['a']", "requirements = ['r.txt']"), (Some(1), None));
        assert_eq!(over("requirements = ['r.txt']", "requirement = ['a', 'b']"), (None, Some(1)));
        assert_eq!(over("requirement = ['...', 'a']", "requirements = ['r.txt']"), (Some(1), Some(1)));
        assert_eq!(over("requirement = ['a']\nrequirements = ['...']", "requirements = ['r.txt']"), (Some(1), Some(1)));
        assert_eq!(over("with = ['git']", "requirement = ['a']\nrequirements = ['r.txt']"), (Some(1), Some(1)));
    }

    #[test]
    fn a_variable_turns_a_flag_of_a_lower_layer_off() {
        for (value, expected) in [("0", false), ("false", false), ("off", false), ("1", true), ("yes", true)] {
            let settings = variables::<Build>(&[("LATH_SHELL", value)]).unwrap().over(file("shell = true"));
            assert_eq!(settings.shell, Some(expected), "{value}");
        }
    }

    #[test]
    fn of_two_options_that_exclude_each_other_the_upper_layer_decides() {
        let over = |upper: Settings, lower: &str| upper.over(file(lower));
        assert_eq!(over(typed::<Build>("--check true"), "no-verify = true").no_verify, Some(false));
        assert_eq!(over(typed::<Build>("--no-verify"), "check = ['true']").no_verify, Some(true));
        assert_eq!(over(typed::<Dockerfile>("--style lean"), "fat = true").fat, Some(false));
        assert_eq!(over(typed::<Dockerfile>("--fat"), "style = 'lean'").fat, Some(true));
        assert_eq!(over(typed::<Compare>("--apt plain"), "measure = true").measure, Some(false));
        let loud = over(typed::<Global>("--verbose"), "quiet = true");
        assert_eq!((loud.quiet, loud.verbose), (Some(false), Some(true)));
        let quiet = over(typed::<Global>("--quiet"), "verbose = true");
        assert_eq!((quiet.quiet, quiet.verbose), (Some(true), Some(false)));
        // The same is true if both layers are files.
        assert_eq!(over(file("style = 'uv'"), "fat = true").fat, Some(false));
        assert_eq!(over(file("older-than = 3"), "all = true").all, Some(false));
    }

    #[test]
    fn lists_in_variables_have_a_value_on_each_line() {
        let environment = [
            ("LATH_ENV", "A=1\nB=two words"),
            ("LATH_PLATFORM", "linux/amd64,linux/arm64"),
            ("LATH_INDEX", "https://a/ https://b/"),
            ("LATH_CHECK", "python3 -c '\nprint()'"),
        ];
        let settings = variables::<Build>(&environment).unwrap();
        assert_eq!(settings.env.unwrap(), ["A=1", "B=two words"]);
        assert_eq!(settings.platform.unwrap(), ["linux/amd64", "linux/arm64"]);
        assert_eq!(settings.index.unwrap(), ["https://a/".into(), "https://b/".into()]);
        assert_eq!(settings.check.unwrap(), ["python3 -c '\nprint()'"]);
    }

    #[test]
    fn a_command_has_only_the_variables_of_its_options() {
        let environment = [("LATH_TAG", "x"), ("LATH_LOAD", "1"), ("LATH_OFFLINE", "1"), ("LATH_VOLUME", "a:/a")];
        let settings = variables::<Run>(&environment).unwrap();
        assert_eq!((settings.tag, settings.load), (None, None));
        assert_eq!((settings.offline, settings.mount), (Some(true), Some(vec!["a:/a".to_owned()])));
        // A variable that sets an engine does not start a build.
        let settings = variables::<Dockerfile>(&[("LATH_ENGINE", "podman")]).unwrap();
        assert_eq!((settings.engine, settings.build), (Some(EngineProgram::Podman), None));
    }

    #[test]
    fn an_error_about_a_variable_names_it() {
        let table = [
            ("LATH_JOBS", "many", "invalid value 'many' for 'LATH_JOBS': invalid digit found in string"),
            (
                "LATH_TRIM",
                "most",
                "invalid value 'most' for 'LATH_TRIM'\n  [possible values: none, standard, reach, trace]",
            ),
            ("LATH_PROOF_TIMEOUT", "-1", "invalid value '-1' for 'LATH_PROOF_TIMEOUT'"),
        ];
        for (name, value, expected) in table {
            let error = variables::<Build>(&[(name, value)]).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_file_names_options_as_the_command_line_does() {
        let settings = file("exclude-newer = '2026-01-01'\nprerelease = 'if-necessary'\nuser-base = '/srv'");
        assert_eq!(settings.exclude_newer.as_deref(), Some("2026-01-01"));
        assert_eq!(settings.prerelease, Some(Prereleases::IfNecessary));
        assert_eq!(settings.user_base.as_deref(), Some("/srv"));
        for wrong in ["user_base = '/srv'", "trim = 'most'", "with = 'git'", "jobs = '4'"] {
            assert!(toml::from_str::<Settings>(wrong).is_err(), "{wrong}");
        }
    }
}
