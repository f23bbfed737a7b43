//! `lath lock`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::args::{Inputs, Size, SourceBuilds, Sources};
use crate::cli::command::{Call, Command};
use crate::cli::default_file;
use crate::cli::environment::Environment;
use crate::cli::failure::Failure;
use crate::cli::layers::{self, Settings, Typed, flag, joined, list};
use crate::cli::locked;
use crate::cli::settings::{self, usage};
use crate::model::lock_file::DEFAULT_LOCK;
use crate::model::request::Request;
use crate::pipeline::{self, Locking, Upgrade};
use crate::present::newer;

/// Write a lock of all wheels and Debian packages, from which images are built without resolving
#[derive(Debug, Args)]
pub(super) struct Lock {
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    source_builds: SourceBuilds,
    #[command(flatten)]
    size: Size,
    /// The file for the lock [default: pylock.toml]
    #[arg(long, short, value_name = "FILE", help_heading = "Where to")]
    output: Option<PathBuf>,
    /// Also write all wheels and packages of the lock to this folder
    #[arg(long, value_name = "DIR", help_heading = "Where to")]
    vendor: Option<PathBuf>,
    /// Choose the newest versions, not those of the existing lock
    #[arg(long, help_heading = "How", conflicts_with = "check")]
    upgrade: bool,
    /// Choose the newest version of this Python package; may repeat
    #[arg(long, value_name = "NAME", help_heading = "How", conflicts_with_all = ["check", "upgrade"])]
    upgrade_package: Vec<String>,
    /// Write nothing: list newer versions and dead URLs, and fail if the lock does not match the inputs
    #[arg(long, help_heading = "How", conflicts_with = "vendor")]
    check: bool,
    #[command(flatten)]
    sources: Sources,
    /// The command of the image, as in `lath build`. A lock does not depend on it
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Typed for Lock {
    fn typed(&self) -> Settings {
        let request =
            joined([self.inputs.typed(), self.source_builds.typed(), self.size.typed(), self.sources.typed()]);
        Settings {
            lock_output: self.output.clone(),
            lock_vendor: self.vendor.clone(),
            upgrade: flag(self.upgrade),
            upgrade_package: list(&self.upgrade_package),
            check_lock: flag(self.check),
            ..request
        }
    }
}

impl Command for Lock {
    /// `LATH_OUTPUT`, `LATH_VENDOR` and `LATH_CHECK` are not used, because they set options of builds that have other
    /// meanings.
    fn of_variables(&self, environment: &Environment) -> Result<Settings, clap::Error> {
        layers::of_variables::<Self>(&environment.without(&["LATH_OUTPUT", "LATH_VENDOR", "LATH_CHECK"]))
    }

    fn main(&self, call: &Call) -> Result<u8, Failure> {
        // A lock has no image, so the tag is only a placeholder. Without a tag, lath would derive the name of an image
        // from the first requirement, and refuse a requirement whose name is not valid for an image.
        let settings = Settings { tag: Some(vec!["lock".to_owned()]), ..call.settings.clone() };
        let path = settings.lock_output.clone().unwrap_or_else(|| Path::new(DEFAULT_LOCK).to_owned());
        if settings.check_lock == Some(true) {
            return check(&path, &settings, call);
        }
        if settings.lock_output.is_none() {
            default_file::refuse_link(&path, "name the file for the lock with `-o FILE`")?;
        }
        let request = request(&path, &settings, call)?;
        let upgrade = match (settings.upgrade, &settings.upgrade_package) {
            (Some(true), _) => Upgrade::All,
            (_, names) => Upgrade::Only(names.clone().unwrap_or_default()),
        };
        let world = call.open()?;
        let locking = Locking { path: &path, upgrade, vendor: settings.lock_vendor.as_deref() };
        pipeline::lock(&request, &locking, &world).map_err(|error| Failure::of_build(&error))?;
        call.screen.print(path.display())?;
        Ok(0)
    }
}

/// Returns the request for which the lock is made.
fn request(path: &Path, settings: &Settings, call: &Call) -> Result<Request, Failure> {
    let Some(input) = locked::input_lock(settings)? else { return settings::request(settings, &call.environment) };
    let is_same = |one: &Path, other: &Path| {
        fs_err::canonicalize(one).is_ok_and(|one| fs_err::canonicalize(other).is_ok_and(|other| one == other))
    };
    if is_same(&input, path) {
        return Err(usage(format!(
            "cannot write the lock to `{}`, which is its input: name another file with `-o FILE`",
            path.display()
        )));
    }
    locked::foreign(&input, settings, &call.environment)
}

/// Compares the lock with the inputs. Prints newer versions, and files that no longer exist.
fn check(path: &Path, settings: &Settings, call: &Call) -> Result<u8, Failure> {
    let failed = |error: pipeline::BuildError| Failure::of_build(&error);
    let file = pipeline::read_lock(path).map_err(failed)?;
    let file = file.ok_or_else(|| failed(pipeline::foreign_lock(path)))?;
    let request = locked::from(file, settings, &call.environment)?;
    let world = call.open()?;
    let outdated = pipeline::check_lock(&request, &world).map_err(failed)?;
    for line in newer::lines(&outdated) {
        call.screen.print(line)?;
    }
    Ok(0)
}
