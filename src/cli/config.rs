//! `lath config`.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;

use crate::cli::command::{Call, Command};
use crate::cli::defaults;
use crate::cli::environment::Environment;
use crate::cli::failure::Failure;
use crate::cli::file::Image;
use crate::cli::layers::{REST, Settings, Typed, WORDS, variable};
use crate::cli::schema::schema;
use crate::cli::stack::{Files, Layer, Source};
use crate::model::secret_text::public;

/// Show the settings
#[derive(Debug, Args)]
pub(super) struct Config {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print each option that is set, its value and its source
    Show(Show),
    /// Print the paths of the configuration files, the one with priority first
    Path,
    /// Print the JSON schema of configuration files, for editors
    Schema,
}

/// These flags have no environment variables. The command shows the variables that are set, so no variable may also
/// change the form of its output.
#[derive(Debug, Args)]
struct Show {
    /// The image of the configuration file
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print defaults, too
    #[arg(long)]
    defaults: bool,
}

/// An option that is set.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Shown {
    option: String,
    value: Value,
    /// The layers that set the option. There are several layers if the option is a list that extends the list of a
    /// lower layer.
    sources: Vec<String>,
}

impl Typed for Config {
    fn typed(&self) -> Settings {
        match &self.action {
            Action::Show(show) => Settings { image: show.image.clone(), ..Settings::default() },
            Action::Path | Action::Schema => Settings::default(),
        }
    }
}

impl Command for Config {
    const FILES: Files = Files::Shown;

    fn of_variables(&self, _: &Environment) -> Result<Settings, clap::Error> {
        Ok(Settings::default())
    }

    fn main(&self, call: &Call) -> Result<u8, Failure> {
        match &self.action {
            Action::Show(show) => show_settings(show, call)?,
            Action::Path => {
                for path in call.stack.paths() {
                    call.screen.print(path.display())?;
                }
            }
            Action::Schema => {
                let schema =
                    serde_json::to_string_pretty(&schema(&call.options)).map_err(|error| Failure::of(&error))?;
                call.screen.print(schema)?;
            }
        }
        Ok(0)
    }
}

fn show_settings(show: &Show, call: &Call) -> Result<(), Failure> {
    let image = image(call)?;
    let settings = call.stack.settings(image);
    let mut layers = call.stack.layers(image);
    let settings = if show.defaults { settings.over(defaults::layer()) } else { settings };
    if show.defaults {
        layers.push(Layer { source: Source::Defaults, settings: defaults::layer() });
    }
    let mut shown = shown(&settings, &layers);
    shown.retain(|one| call.options.0.contains_key(&one.option));
    if show.json {
        let json = serde_json::to_string_pretty(&shown).map_err(|error| Failure::of(&error))?;
        return call.screen.print(json);
    }
    let lines: Vec<String> = shown.iter().map(|one| format!("{} = {}", one.option, toml_of(&one.value))).collect();
    // The sources are aligned in a column behind the longest line. Lines of more than 50 characters do not widen this
    // column, so their sources are not aligned.
    let width = lines.iter().map(|line| line.chars().count()).filter(|width| *width <= 50).max().unwrap_or(0);
    for (line, one) in lines.iter().zip(&shown) {
        call.screen.print(format!("{line:width$}  # {}", one.sources.join(", ")))?;
    }
    if image.is_none() && !call.stack.images.is_empty() {
        let names: Vec<String> = call.stack.images.iter().map(|image| format!("`{}`", image.name)).collect();
        call.screen.say(format!("the options of an image are shown with `--image`: {}", names.join(", ")));
    }
    Ok(())
}

/// Returns the image whose options are shown.
fn image(call: &Call) -> Result<Option<&Image>, Failure> {
    if call.settings.image.is_none() && call.stack.images.len() != 1 {
        return Ok(None);
    }
    Ok(call.stack.chosen()?.first().copied())
}

/// Returns each option with the layers that set it. `settings` are the combined settings of all layers.
fn shown(settings: &Settings, layers: &[Layer]) -> Vec<Shown> {
    let of = |settings: &Settings| match serde_json::to_value(settings) {
        Ok(Value::Object(options)) => options,
        _ => serde_json::Map::new(),
    };
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| (&layer.source, of(&layer.settings), of(&layer.settings.clone().without_excluded())))
        .collect();
    let mut shown = Vec::new();
    for (option, value) in of(settings) {
        let mut sources = Vec::new();
        for (source, given, all) in &layers {
            let Some(value) = all.get(&option) else { continue };
            sources.push(if given.contains_key(&option) {
                source_of(source, &option)
            } else {
                "excluded by another option".to_owned()
            });
            let rest = Value::from(REST);
            if WORDS.contains(&option.as_str()) || !value.as_array().is_some_and(|list| list.contains(&rest)) {
                break;
            }
        }
        shown.push(Shown { option, value: without_secrets(value), sources });
    }
    shown
}

fn source_of(source: &Source, option: &str) -> String {
    match source {
        Source::CommandLine => "command line".to_owned(),
        Source::Variables => variable(option),
        Source::File { path, lines, .. } => match lines.get(option) {
            Some(line) => format!("{}:{line}", path.display()),
            None => path.display().to_string(),
        },
        Source::Defaults => "default".to_owned(),
    }
}

/// Removes the names and passwords from the URLs in a value.
fn without_secrets(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(public(&text)),
        Value::Array(values) => Value::Array(values.into_iter().map(without_secrets).collect()),
        value => value,
    }
}

/// Returns a value as TOML. The result is the same as JSON, except that a space follows each comma between elements.
fn toml_of(value: &Value) -> String {
    match value {
        Value::Array(values) => format!("[{}]", values.iter().map(toml_of).collect::<Vec<_>>().join(", ")),
        value => value.to_string(),
    }
}
