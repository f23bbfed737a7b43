//! `lath init`.

mod dockerfile;
mod found;
mod text;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::command::{Call, Command};
use crate::cli::default_file;
use crate::cli::failure::Failure;
use crate::cli::file::Reader;
use crate::cli::file_paths::Trust;
use crate::cli::init::found::Found;
use crate::cli::layers::{Settings, Typed, flag};
use crate::cli::settings::usage;
use crate::cli::stack::Files;
use crate::outside::config_files::{ConfigFile, OWN, PYPROJECT};
use crate::pipeline;

/// Write a file with settings for the current folder
#[derive(Debug, Args)]
pub(super) struct Init {
    /// Replace existing settings
    #[arg(long)]
    force: bool,
}

impl Typed for Init {
    fn typed(&self) -> Settings {
        Settings { force: flag(self.force), ..Settings::default() }
    }
}

impl Command for Init {
    const FILES: Files = Files::Nothing;

    fn main(&self, call: &Call) -> Result<u8, Failure> {
        let is_forced = call.settings.force.unwrap_or(false);
        let (own, pyproject) = (Path::new(OWN), Path::new(PYPROJECT));
        for path in [own, pyproject] {
            default_file::refuse_link(path, "replace the link with a file, or remove it")?;
        }
        // If there is a `lath.toml`, nothing is written to `pyproject.toml`, because other commands would ignore it.
        if own.exists() && !is_forced {
            return Err(refused(own));
        }
        let project = if pyproject.is_file() { Some(read(pyproject)?) } else { None };
        let table = project.as_ref().map(parsed).transpose()?.unwrap_or_default();
        let settings = text::text(&Found::in_folder(Path::new(""), &table), &call.options);
        let (path, whole, part) = match &project {
            Some(file) if !own.exists() => {
                let has_settings = table.get("tool").is_some_and(|tool| tool.get("lath").is_some());
                if has_settings && !is_forced {
                    return Err(refused(pyproject));
                }
                let before = if has_settings { without_settings(file)? } else { file.text.clone() };
                (pyproject, with_settings(&before, &settings), "`[tool.lath]` in ")
            }
            _ => (own, settings, ""),
        };
        check(path, &whole, call)?;
        pipeline::write_document(path, &whole).map_err(|error| Failure::of_build(&error))?;
        call.screen.say(format!("wrote {part}`{}`", path.display()));
        Ok(0)
    }
}

fn refused(path: &Path) -> Failure {
    usage(format!("cannot write settings: `{}` has some", path.display()))
        .with_hints(vec!["replace them with `--force`".to_owned()])
}

fn read(path: &Path) -> Result<ConfigFile, Failure> {
    ConfigFile::read(path).map_err(|error| Failure::of(&error).with_exit_code(2))
}

fn parsed(file: &ConfigFile) -> Result<toml::Table, Failure> {
    toml::from_str(&file.text).map_err(|error| usage(format!("cannot read `{}`: {error}", file.path.display())))
}

/// Returns the text of a `pyproject.toml` without the tables of lath. A table is the lines from its header to the next
/// header.
fn without_settings(file: &ConfigFile) -> Result<String, Failure> {
    let mut is_ours = false;
    let is_kept = |line: &&str| {
        if line.trim_start().starts_with('[') {
            let name = line.trim_start().trim_start_matches(['[', ' ']);
            is_ours = name.strip_prefix("tool.lath").is_some_and(|rest| rest.starts_with(['.', ']', ' ']));
        }
        !is_ours
    };
    let rest: String = file.text.split_inclusive('\n').filter(is_kept).collect();
    // A line of a string value can look like a header of a table, so the result is checked.
    let expected = others(parsed(file)?);
    if toml::from_str(&rest).ok().map(others) != Some(expected) {
        return Err(usage(format!("cannot replace the settings in `{}`", file.path.display()))
            .with_hints(vec!["remove the table `[tool.lath]` first".to_owned()]));
    }
    Ok(rest.trim_end().to_owned())
}

/// Returns all tables except those of lath.
fn others(mut table: toml::Table) -> toml::Table {
    if let Some(tool) = table.get_mut("tool").and_then(toml::Value::as_table_mut) {
        tool.remove("lath");
        if tool.is_empty() {
            table.remove("tool");
        }
    }
    table
}

/// Returns the text of a `pyproject.toml` with a table of settings at its end. The rest of the text does not change.
fn with_settings(before: &str, settings: &str) -> String {
    let end = if before.contains("\r\n") { "\r\n" } else { "\n" };
    let gap = match before {
        "" => String::new(),
        _ if before.ends_with('\n') => end.to_owned(),
        _ => end.repeat(2),
    };
    format!("{before}{gap}{}", format!("[tool.lath]\n{settings}").replace('\n', end))
}

/// Refuses a text that lath could not read. An example is a `pyproject.toml` whose `tool` is not a table of its own.
fn check(path: &Path, text: &str, call: &Call) -> Result<(), Failure> {
    let reader = Reader { options: &call.options, used: BTreeSet::new() };
    let file = ConfigFile { path: path.to_owned(), folder: PathBuf::new(), text: text.to_owned() };
    reader.read(&file, &Trust::Named).map(|_| ()).map_err(|failure| {
        failure.with_hints(vec![format!("nothing was written; write the settings into `{OWN}` yourself")])
    })
}
