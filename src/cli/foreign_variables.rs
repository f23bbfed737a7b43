//! The environment variables of uv and of pip that are about indexes. uv's variables are a layer of settings below
//! lath's own variables. If other variables of uv or pip are set that users expect to have an effect, lath warns that
//! they have none.

use crate::cli::args::Sources;
use crate::cli::environment::Environment;
use crate::cli::layers::{Settings, Typed, of_words};

/// A variable of uv.
struct Variable {
    name: &'static str,
    /// The option of lath that has the same meaning.
    option: &'static str,
    /// The character between the values of a list.
    separator: Option<char>,
}

const fn one(name: &'static str, option: &'static str) -> Variable {
    Variable { name, option, separator: None }
}

const fn list(name: &'static str, option: &'static str, separator: char) -> Variable {
    Variable { name, option, separator: Some(separator) }
}

/// The variables of uv that lath reads. If several variables set an option that has only one value, lath uses the first
/// one of them. If the option is a list, the values of all variables are joined.
const OF_UV: [Variable; 9] = [
    list("UV_INDEX", "index", ' '),
    list("UV_EXTRA_INDEX_URL", "index", ' '),
    one("UV_DEFAULT_INDEX", "default-index"),
    one("UV_INDEX_URL", "default-index"),
    list("UV_FIND_LINKS", "find-links", ','),
    one("UV_INDEX_STRATEGY", "index-strategy"),
    one("UV_KEYRING_PROVIDER", "keyring-provider"),
    one("UV_EXCLUDE_NEWER", "exclude-newer"),
    one("UV_TORCH_BACKEND", "torch-backend"),
];

/// pip's own variables that set indexes.
const OF_PIP: [&str; 3] = ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"];

/// uv's variables for indexes in the storage of a cloud. uv signs requests to these indexes, but lath does not
/// (docs/decisions/0190-crates-that-never-run-are-replaced.md).
const OF_CLOUDS: [&str; 3] = ["UV_S3_ENDPOINT_URL", "UV_GCS_ENDPOINT_URL", "UV_AZURE_ENDPOINT_URL"];

/// The settings in uv's variables, and the names of the variables that are set.
#[derive(Debug, Default)]
pub(super) struct OfUv {
    pub(super) settings: Settings,
    pub(super) names: Vec<&'static str>,
}

/// Returns whether the command of `T` searches indexes.
fn has_indexes<T: Typed>() -> bool {
    T::augment_args(clap::Command::new("lath")).get_arguments().any(|arg| arg.get_long() == Some("default-index"))
}

/// Reads uv's variables if the command of `T` searches indexes.
pub(super) fn of_uv<T: Typed>(environment: &Environment) -> Result<OfUv, clap::Error> {
    if !has_indexes::<T>() {
        return Ok(OfUv::default());
    }
    let mut of_uv = OfUv::default();
    for Variable { name, option, separator } in OF_UV {
        let Some(value) = environment.filled(name).and_then(|value| value.to_str()) else { continue };
        let values: Vec<&str> = match separator {
            Some(separator) => value.split(separator).map(str::trim).filter(|value| !value.is_empty()).collect(),
            None => vec![value],
        };
        let words = values.iter().map(|value| format!("--{option}={value}").into()).collect();
        let read = of_words::<Sources>(words, |_| name.to_owned())?;
        of_uv.settings = with_lists_joined(of_uv.settings, read);
        of_uv.names.push(name);
    }
    Ok(of_uv)
}

/// Combines `first` and `second`. If both set an option, the value in `first` is used. Only the lists of indexes are
/// joined.
fn with_lists_joined(first: Settings, second: Settings) -> Settings {
    let index: Vec<_> = first.index.iter().chain(&second.index).flatten().cloned().collect();
    let index = (!index.is_empty()).then_some(index);
    Settings { index, ..first.over(second) }
}

/// Returns the warnings about variables of pip and of uv that have no effect.
pub(super) fn warnings<T: Typed>(environment: &Environment, settings: &Settings) -> Vec<String> {
    if !has_indexes::<T>() {
        return Vec::new();
    }
    warning_about_pip(environment, settings).into_iter().chain(warning_about_clouds(environment)).collect()
}

/// Returns the names in `names` that are set, as they are shown in a message. `None` if none is set.
fn set_ones(names: &[&str], environment: &Environment) -> Option<String> {
    let set: Vec<&str> = names.iter().copied().filter(|name| environment.filled(name).is_some()).collect();
    (!set.is_empty()).then(|| format!("`{}`", set.join("`, `")))
}

/// Returns a warning if uv's variables contain the storage of a cloud.
fn warning_about_clouds(environment: &Environment) -> Option<String> {
    let names = set_ones(&OF_CLOUDS, environment)?;
    Some(format!(
        "{names} has no effect, because lath does not sign requests to the storage of a cloud: use an index that accepts \
         a user name and a password"
    ))
}

/// Returns a warning if pip's variables contain indexes, but no setting of lath does. Without the warning, a private
/// package could be missing, or come from the public index, and the user would not see why.
fn warning_about_pip(environment: &Environment, settings: &Settings) -> Option<String> {
    let Settings { index, default_index, find_links, no_index, .. } = settings;
    if index.is_some() || default_index.is_some() || find_links.is_some() || no_index.is_some() {
        return None;
    }
    let names = set_ones(&OF_PIP, environment)?;
    Some(format!(
        "{names} has no effect: set the index with `--default-index URL` or `--index URL`, or with `LATH_DEFAULT_INDEX` or \
         `LATH_INDEX`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::build::Build;
    use crate::cli::cache::Cache;
    use crate::model::indexes::IndexStrategy;

    fn settings(variables: &[(&str, &str)]) -> Result<Settings, String> {
        let read = of_uv::<Build>(&Environment::of(variables));
        read.map(|of_uv| of_uv.settings).map_err(|error| error.to_string())
    }

    #[test]
    fn the_variables_of_uv_are_settings() {
        let variables = [
            ("UV_INDEX", "corp=https://a/simple  https://b/simple"),
            ("UV_EXTRA_INDEX_URL", "https://c/simple"),
            ("UV_INDEX_URL", "https://old/simple"),
            ("UV_DEFAULT_INDEX", "https://new/simple"),
            ("UV_FIND_LINKS", "https://d/x, ./my wheels"),
            ("UV_INDEX_STRATEGY", "unsafe-best-match"),
            ("UV_EXCLUDE_NEWER", "2026-01-01"),
            ("UV_TORCH_BACKEND", "cpu"),
            ("UV_PRERELEASE", "allow"),
        ];
        let expected = Settings {
            index: Some(["corp=https://a/simple", "https://b/simple", "https://c/simple"].map(Into::into).to_vec()),
            default_index: Some("https://new/simple".into()),
            find_links: Some(["https://d/x", "./my wheels"].map(Into::into).to_vec()),
            index_strategy: Some(IndexStrategy::UnsafeBestMatch),
            exclude_newer: Some("2026-01-01".to_owned()),
            torch_backend: Some("cpu".to_owned()),
            ..Settings::default()
        };
        assert_eq!(settings(&variables).unwrap(), expected);
        assert_eq!(settings(&[("UV_INDEX", ""), ("UV_DEFAULT_INDEX", "")]).unwrap(), Settings::default());
    }

    #[test]
    fn an_error_about_a_variable_of_uv_names_it_and_concerns_only_commands_with_indexes() {
        let variables = [("UV_INDEX_STRATEGY", "best")];
        let error = settings(&variables).unwrap_err();
        assert!(error.starts_with("error: invalid value 'best' for 'UV_INDEX_STRATEGY'"), "{error}");
        assert_eq!(of_uv::<Cache>(&Environment::of(&variables)).unwrap().settings, Settings::default());
    }

    #[test]
    fn the_variables_of_pip_have_a_warning_unless_an_index_is_set() {
        let environment = Environment::of(&[("PIP_INDEX_URL", "https://me:secret@h/simple"), ("PIP_NO_INDEX", "")]);
        let [warning] = warnings::<Build>(&environment, &Settings::default()).try_into().unwrap();
        assert!(warning.starts_with("`PIP_INDEX_URL` has no effect: ") && !warning.contains("secret"), "{warning}");
        let named = Settings { index: Some(vec!["https://h/".into()]), ..Settings::default() };
        assert!(warnings::<Build>(&environment, &named).is_empty());
        assert!(warnings::<Cache>(&environment, &Settings::default()).is_empty());
    }

    #[test]
    fn the_variables_of_uv_for_the_storage_of_a_cloud_have_a_warning() {
        let variables = [("UV_S3_ENDPOINT_URL", "https://s/"), ("UV_GCS_ENDPOINT_URL", "https://g/")];
        let environment = Environment::of(&variables);
        let settings = Settings { index: Some(vec!["https://s/".into()]), ..Settings::default() };
        insta::assert_snapshot!(warnings::<Build>(&environment, &settings).join("\n"), @"`UV_S3_ENDPOINT_URL`, `UV_GCS_ENDPOINT_URL` has no effect, because lath does not sign requests to the storage of a cloud: use an index that accepts a user name and a password");
        assert!(warnings::<Cache>(&environment, &settings).is_empty());
    }
}
