//! How an image starts its program.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::model::image_path::ImagePath;
use crate::model::start_up::EntryPoint;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Launch {
    /// The entry point, in exec form.
    pub(crate) entrypoint: Vec<String>,
    /// The default arguments, which the user can replace.
    pub(crate) cmd: Vec<String>,
    /// The environment. Each entry has the form `NAME=VALUE`.
    pub(crate) env: Vec<String>,
    /// The user in the form `uid` or `uid:gid`.
    pub(crate) user: String,
    pub(crate) workdir: Option<ImagePath>,
    /// The health check command, in exec form.
    pub(crate) healthcheck: Vec<String>,
    pub(crate) started: Started,
}

/// The scripts, modules and files of the image that the command names. They are loaded when the image starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Started {
    /// The console script.
    pub(crate) script: Option<String>,
    /// The modules, such as `app.main` in `uvicorn app.main:app`.
    pub(crate) modules: BTreeSet<EntryPoint>,
    /// The Python files that run as programs, such as `/app/main.py` in `python main.py`.
    pub(crate) files: BTreeSet<ImagePath>,
}

/// Decides which console scripts of the requested distributions are started by users of the image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exposed<'a> {
    /// Whether users start only the scripts in `named` and the script in `started` (`--only-scripts`).
    pub(crate) only_scripts: bool,
    /// The console scripts that the user named.
    pub(crate) named: &'a [String],
    /// The console script with which the image starts.
    pub(crate) started: Option<&'a str>,
}

impl Exposed<'_> {
    pub(crate) fn contains(&self, script: &str) -> bool {
        let is_all = !self.only_scripts || self.named.is_empty() && self.started.is_none();
        is_all || self.named.iter().any(|name| name == script) || self.started == Some(script)
    }
}

impl Launch {
    /// Returns the whole command.
    pub(crate) fn argv(&self) -> Vec<String> {
        [self.entrypoint.as_slice(), &self.cmd].concat()
    }

    /// Returns the user without the group.
    pub(crate) fn uid(&self) -> &str {
        self.user.split(':').next().unwrap_or_default()
    }
}
