//! How an image starts its program.

use crate::model::image_path::ImagePath;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Launch {
    /// The entry point, in exec form.
    pub(crate) entrypoint: Vec<String>,
    /// The default arguments, which the user can replace.
    pub(crate) cmd: Vec<String>,
    /// The environment, each `NAME=VALUE`.
    pub(crate) env: Vec<String>,
    /// `uid` or `uid:gid`.
    pub(crate) user: String,
    pub(crate) workdir: Option<ImagePath>,
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
