//! The text of a configuration file -> layers of settings. Every error contains the place in the file.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::Deserialize as _;
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::cli::failure::Failure;
use crate::cli::file_paths::{Trust, placed};
use crate::cli::layers::Settings;
use crate::cli::options::{Described, Kind, Options};
use crate::cli::values::{shell_hint, words};
use crate::outside::config_files::ConfigFile;
use crate::outside::similar::similar;

/// The key of the tables that describe one image each.
const IMAGE: &str = "image";
/// The key of the tables that describe one registry each.
const REGISTRY: &str = "registry";
/// The key of the mirrors in the table of a registry.
const MIRRORS: &str = "mirrors";
/// The name of the option with the mirrors of all registries.
const MIRROR_OPTION: &str = "registry-mirror";
/// The key for the name of an image.
const NAME: &str = "name";

/// Options of the whole run. The table of one image in a file cannot set them.
pub(super) const OF_THE_RUN: [&str; 10] = [
    "cache-dir",
    "quiet",
    "verbose",
    "color",
    "offline",
    "jobs",
    "keyring",
    "vendor",
    "insecure-registry",
    "registry-mirror",
];

/// The settings in one table of a file, and for each setting its line in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) settings: Settings,
    pub(super) lines: BTreeMap<String, usize>,
}

/// An image that a configuration file describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) name: String,
    pub(super) table: Table,
}

/// The contents of a configuration file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) table: Table,
    pub(super) images: Vec<Image>,
}

/// Reads the settings in configuration files.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) options: &'a Options,
    /// The options that the command has. Other options are checked, but not used.
    pub(super) used: BTreeSet<String>,
}

impl Reader<'_> {
    /// Reads the settings in `file`. `trust` limits the options that the file may set.
    pub(super) fn read(&self, file: &ConfigFile, trust: &Trust) -> Result<Contents, Failure> {
        let of_file = OneFile { reader: self, file, trust };
        let document = DeTable::parse(&file.text)
            .map_err(|error| of_file.refused(&error.span().unwrap_or_default(), error.message()))?;
        let whole = document.into_inner();
        if !file.is_pyproject() {
            return of_file.contents(&whole);
        }
        let lath = whole.get("tool").and_then(|tool| tool.get_ref().get("lath"));
        match lath.map(|lath| (lath.span(), lath.get_ref().as_table())) {
            None => Err(Failure::usage(format!("cannot use `{}`: it has no table `[tool.lath]`", file.path.display()))),
            Some((span, None)) => Err(of_file.refused(&span, "`tool.lath` must be a table")),
            Some((_, Some(table))) => of_file.contents(table),
        }
    }
}

/// A file that is being read.
struct OneFile<'a> {
    reader: &'a Reader<'a>,
    file: &'a ConfigFile,
    trust: &'a Trust,
}

impl OneFile<'_> {
    fn contents(&self, table: &DeTable<'_>) -> Result<Contents, Failure> {
        let mut top = self.table(table, &[IMAGE, REGISTRY])?;
        if let Some(given) = table.get(REGISTRY) {
            self.add_mirrors(given, &mut top)?;
        }
        let mut images: Vec<Image> = Vec::new();
        let Some(given) = table.get(IMAGE) else { return Ok(Contents { table: top, images }) };
        if !self.trust.has_images() {
            return Err(self.refused(&given.span(), "images can only be in the file of a project"));
        }
        let tables = || self.refused(&given.span(), "each image must be a table `[[image]]`, with a `name`");
        for one in given.get_ref().as_array().ok_or_else(tables)? {
            let image = self.image(one.get_ref().as_table().ok_or_else(tables)?, &one.span())?;
            if images.iter().any(|other| other.name == image.name) {
                return Err(self.refused(&one.span(), format!("there are two images `{}`", image.name)));
            }
            images.push(image);
        }
        Ok(Contents { table: top, images })
    }

    /// Reads tables such as `[registry."docker.io"]`. Adds their `mirrors` to the option [`MIRROR_OPTION`].
    fn add_mirrors(&self, given: &Spanned<DeValue<'_>>, top: &mut Table) -> Result<(), Failure> {
        let form = |place: &Range<usize>| {
            let example = "[registry.\"docker.io\"]` with `mirrors = [\"mirror.example\"]";
            self.refused(place, format!("registries are tables, such as `{example}`"))
        };
        let registries = given.get_ref().as_table().ok_or_else(|| form(&given.span()))?;
        let mut mirrors = Vec::new();
        for (name, table) in registries {
            let keys = table.get_ref().as_table().ok_or_else(|| form(&table.span()))?;
            for (key, value) in keys {
                let list = value.get_ref().as_array().filter(|_| key.get_ref() == MIRRORS);
                for mirror in list.ok_or_else(|| form(&key.span()))? {
                    let text = mirror.get_ref().as_str().ok_or_else(|| form(&mirror.span()))?;
                    mirrors.push(format!("{}={text}", name.get_ref()));
                }
            }
        }
        if self.reader.used.contains(MIRROR_OPTION) && !mirrors.is_empty() {
            top.settings.registry_mirror.get_or_insert_default().extend(mirrors);
            top.lines.entry(MIRROR_OPTION.to_owned()).or_insert(self.place(given.span().start).0);
        }
        Ok(())
    }

    fn image(&self, table: &DeTable<'_>, place: &Range<usize>) -> Result<Image, Failure> {
        let name = table.get(NAME).ok_or_else(|| self.refused(place, "this image has no `name`"))?;
        let text = name.get_ref().as_str().filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| self.refused(&name.span(), "the `name` of an image must be a text"))?;
        if let Some((key, _)) = table.iter().find(|(key, _)| OF_THE_RUN.contains(&key.get_ref().as_ref())) {
            let message = format!("`{}` applies to all images: write it before the first `[[image]]`", key.get_ref());
            return Err(self.refused(&key.span(), message));
        }
        let mut table = self.table(table, &[NAME])?;
        if self.reader.used.contains("tag") && table.settings.tag.is_none() {
            table.settings.tag = Some(vec![text.to_owned()]);
            table.lines.insert("tag".to_owned(), self.place(name.span().start).0);
        }
        Ok(Image { name: text.to_owned(), table })
    }

    /// Reads the options of a table. The table may also contain the keys in `others`. These keys are not options, and
    /// are not read here.
    fn table(&self, table: &DeTable<'_>, others: &[&str]) -> Result<Table, Failure> {
        let (mut values, mut lines) = (Map::new(), BTreeMap::new());
        for (key, value) in table.iter().filter(|(key, _)| !others.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref().as_ref();
            let option = self.reader.options.0.get(name).ok_or_else(|| self.unknown(name, &key.span(), others))?;
            self.refuse_untrusted(key)?;
            let value = self.value(name, option, value)?;
            self.refuse_conflict(table, key, &value, option)?;
            lines.insert(name.to_owned(), self.place(key.span().start).0);
            values.insert(name.to_owned(), value);
        }
        values.retain(|name, _| self.reader.used.contains(name));
        lines.retain(|name, _| self.reader.used.contains(name));
        // The types of all values were checked before, so no input leads to this error.
        let settings = Settings::deserialize(Value::Object(values))
            .map_err(|error| Failure::usage(format!("cannot use `{}`: {error}", self.file.path.display())))?;
        Ok(Table { settings, lines })
    }

    /// Refuses an option that this file may not set.
    fn refuse_untrusted(&self, key: &Spanned<DeString<'_>>) -> Result<(), Failure> {
        let name = key.get_ref();
        let Some(reason) = self.trust.refusal(name) else { return Ok(()) };
        let message = format!("`{name}` cannot be in the file of a project: {reason}");
        Err(self.refused(&key.span(), message).with_hints(vec![format!(
            "set it in your own file `~/.config/lath/lath.toml`, or with `--{name}`; or name this file with `--config`, if you trust it"
        )]))
    }

    /// Refuses two options of a table that exclude each other.
    fn refuse_conflict(
        &self,
        table: &DeTable<'_>,
        key: &Spanned<DeString<'_>>,
        value: &Value,
        option: &Described,
    ) -> Result<(), Failure> {
        let is_off = |name: &str| table.get(name).is_none_or(|other| other.get_ref().as_bool() == Some(false));
        let other = option.conflicts.iter().find(|other| !is_off(other));
        match other {
            Some(other) if *value != Value::Bool(false) => {
                Err(self.refused(&key.span(), format!("`{}` cannot be used with `{other}`", key.get_ref())))
            }
            _ => Ok(()),
        }
    }

    fn value(&self, name: &str, option: &Described, given: &Spanned<DeValue<'_>>) -> Result<Value, Failure> {
        let wrong = |value: &Spanned<DeValue<'_>>| {
            self.refused(&value.span(), format!("`{name}` must be {}", expected(name, option)))
        };
        let refuse = || wrong(given);
        let text =
            |value: &Spanned<DeValue<'_>>| value.get_ref().as_str().map(str::to_owned).ok_or_else(|| wrong(value));
        let path = |value: &Spanned<DeValue<'_>>| {
            let placed = placed(name, &option.kind, text(value)?, &self.file.folder);
            self.trust.check(&placed).map_err(|message| self.refused(&value.span(), message))?;
            Ok(Value::String(placed.text))
        };
        let value = given.get_ref();
        let list = || value.as_array().ok_or_else(refuse);
        match &option.kind {
            Kind::Flag => value.as_bool().map(Value::Bool).ok_or_else(refuse),
            Kind::Number => number(value).map(Value::from).ok_or_else(refuse),
            Kind::Text | Kind::Path => path(given),
            Kind::Choice(choices) => {
                let text = text(given)?;
                if choices.contains(&text) { Ok(Value::String(text)) } else { Err(refuse()) }
            }
            Kind::Words if value.is_str() => {
                let line = text(given)?;
                let refused = |why| self.refused(&given.span(), format!("cannot split `{name}`: {why}"));
                let words = words(&line);
                words.map(Value::from).map_err(|why| refused(why).with_hints(shell_hint(&line, "`shell = true`")))
            }
            Kind::TextOrTexts if value.is_str() => Ok(Value::Array(vec![path(given)?])),
            Kind::Words => {
                list()?.iter().map(|word| text(word).map(Value::String)).collect::<Result<_, _>>().map(Value::Array)
            }
            Kind::Texts | Kind::TextOrTexts | Kind::Paths => {
                list()?.iter().map(path).collect::<Result<_, _>>().map(Value::Array)
            }
        }
    }

    fn unknown(&self, name: &str, place: &Range<usize>, others: &[&str]) -> Failure {
        let known = self.reader.options.0.keys().map(String::as_str).chain(others.iter().copied());
        // On the command line and in files, words are separated by `-`.
        let written = name.replace('_', "-").to_lowercase();
        let known: Vec<&str> = known.collect();
        let near = if known.contains(&written.as_str()) { vec![written.as_str()] } else { similar(&written, known) };
        let failure = self.refused(place, format!("there is no option `{name}`"));
        let near: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
        failure.with_hints(vec![match near.is_empty() {
            true => "the options of `lath build --help` are also those of files".to_owned(),
            false => format!("did you mean {}?", near.join(" or ")),
        }])
    }

    fn refused(&self, place: &Range<usize>, message: impl std::fmt::Display) -> Failure {
        let (line, column) = self.place(place.start);
        Failure::usage(format!("cannot use `{}`, line {line}, column {column}: {message}", self.file.path.display()))
    }

    /// Returns the line and the column of a position in the text, both counted from 1.
    fn place(&self, at: usize) -> (usize, usize) {
        let before = self.file.text.get(..at).unwrap_or(&self.file.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// Returns a number that is not negative.
fn number(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// Describes the values of an option.
fn expected(name: &str, option: &Described) -> String {
    let of = if option.value_name.is_empty() { "..." } else { &option.value_name };
    match &option.kind {
        Kind::Flag => "`true` or `false`".to_owned(),
        Kind::Number => format!("a number, such as `{name} = 8`"),
        Kind::Text | Kind::Path => format!("a text, such as `{name} = \"{of}\"`"),
        Kind::Choice(choices) => {
            let choices: Vec<String> = choices.iter().map(|choice| format!("`\"{choice}\"`")).collect();
            format!("one of {}", choices.join(", "))
        }
        Kind::Texts | Kind::Paths => format!("a list of texts, such as `{name} = [\"{of}\"]`"),
        Kind::TextOrTexts => format!("a text or a list of texts, such as `{name} = \"{of}\"`"),
        Kind::Words => format!("a list of texts or one text, such as `{name} = [\"python\", \"-m\", \"app\"]`"),
    }
}
