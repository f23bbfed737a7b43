//! Works with the images of an engine: saves, loads and removes images, and measures their start time.

use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Engine, EngineError, QUESTION, program};
use crate::formats::oci::saved_image::SavedImage;
use crate::rivals::model::dockerfile::{ContainerCheck, EngineProgram};

/// The time limit for transferring an image of some hundreds of megabytes.
const TRANSFER: Duration = Duration::from_secs(600);

impl Engine {
    /// Reads the layers of the image from the output of `docker save`.
    pub(crate) fn saved(&self, tag: &str) -> Result<SavedImage, EngineError> {
        let program = self.program.name();
        let start = |source| EngineError::Start { program, source };
        let mut command = Command::new(program);
        command.arg("save");
        if self.program == EngineProgram::Podman {
            command.args(["--format", "docker-archive"]);
        }
        command.arg(tag).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(start)?;
        let read = child.stdout.take().ok_or_else(|| io::Error::other("no output")).and_then(SavedImage::read);
        let mut said = String::new();
        if let Some(stderr) = &mut child.stderr {
            stderr.read_to_string(&mut said).map_err(start)?;
        }
        let status = child.wait().map_err(start)?;
        match read {
            Ok(image) if status.success() => Ok(image),
            Ok(_) => Err(EngineError::Save {
                program,
                tag: tag.to_owned(),
                source: io::Error::other(said.trim().to_owned()),
            }),
            Err(source) => Err(EngineError::Save { program, tag: tag.to_owned(), source }),
        }
    }

    /// Loads the image in an archive into the engine.
    pub(crate) fn load(&self, archive: &Path) -> Result<(), EngineError> {
        let program = self.program.name();
        let ended = program::run(Command::new(program).args(["load", "--input"]).arg(archive), TRANSFER, None)
            .map_err(|source| EngineError::Start { program, source })?;
        if ended.is_success() {
            return Ok(());
        }
        Err(EngineError::Load { program, how: ended.how(), said: ended.tail })
    }

    /// Measures how long `check` takes in a container, including the time that the engine itself needs. Runs the check
    /// once without a measurement, and then `rounds` times. Returns the median of these times.
    pub(crate) fn time(&self, tag: &str, check: &ContainerCheck, rounds: usize) -> Result<Duration, EngineError> {
        self.check(tag, check)?;
        let mut times = Vec::new();
        for _ in 0..rounds.max(1) {
            let began = Instant::now();
            self.check(tag, check)?;
            times.push(began.elapsed());
        }
        times.sort_unstable();
        Ok(times[times.len() / 2])
    }

    /// Removes the name of the image. The engine also removes the layers that no other image has. An error is ignored,
    /// because an image that stays does no harm.
    pub(crate) fn forget(&self, tag: &str) {
        let mut command = Command::new(self.program.name());
        let _ = program::run(command.args(["image", "rm", tag]), QUESTION, None);
    }
}
