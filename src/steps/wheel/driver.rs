//! Runs the driver: the build backend works in the sandbox, in a copy of the source.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::Reason;
use crate::model::image_path::ImagePath;
use crate::model::platform::PythonVersion;
use crate::model::request::{PackRequest, Volume};
use crate::model::user_base::UserBase;
use crate::outside::sandbox::open_written;
use crate::outside::sandbox::{Emulation, Job, Outcome};
use crate::outside::stage::Shown;
use crate::outside::world::World;

/// The Python script that calls the build backend. Its docstring explains how.
pub(super) const DRIVER: &str = include_str!("driver.py");

/// The folder of the build in the sandbox. It is on the disk, and programs may be started from it.
const BUILD: &str = "/build";
const ARCHIVE: &str = "/run/lath-source";
const CRATES: &str = "/run/lath-crates";

/// The longest time of a build, if the user sets no other limit.
const LIMIT_SECS: u64 = 30 * 60;
/// The number of bytes at the end of the log that are read.
const LOG_BYTES: u64 = 64 << 10;
/// The maximum size of the driver's report, which may contain METADATA.
const RESULT_BYTES: u64 = 64 << 20;

/// The result that a build should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Goal {
    /// The text of METADATA, or a wheel if the backend can only build a whole wheel.
    Metadata,
    Wheel,
}

/// The instructions for the driver.
#[derive(Debug, Serialize)]
pub(super) struct Instructions<'a> {
    pub(super) archive: &'static str,
    /// The folder of the project, relative to the folder of the build.
    pub(super) folder: String,
    /// The folder of the repository.
    pub(super) repository: String,
    pub(super) has_git: bool,
    pub(super) backend: &'a str,
    pub(super) backend_path: &'a [String],
    pub(super) requires: &'a [String],
    pub(super) settings: BTreeMap<&'a str, Value>,
    /// The digest of each crate, by its file name.
    pub(super) crates: Option<BTreeMap<&'a str, String>>,
    pub(super) goal: Goal,
}

impl Instructions<'_> {
    pub(super) const ARCHIVE: &'static str = ARCHIVE;
    pub(super) const BUILD: &'static str = BUILD;
}

/// The driver's report.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Report {
    Requires(Vec<String>),
    Metadata(String),
    Wheel(String),
    Problem(String),
}

/// The tree and the files of a run.
pub(super) struct Run<'a> {
    pub(super) shown: Shown<'a>,
    pub(super) version: PythonVersion,
    pub(super) user_base: &'a UserBase,
    pub(super) emulation: Emulation,
    /// The archive of the source.
    pub(super) archive: PathBuf,
    /// A folder with the crates, if there are any.
    pub(super) crates: Option<PathBuf>,
    /// The time limit that the user set.
    pub(super) limit_secs: Option<u64>,
}

/// The folders of a run on this machine.
pub(super) struct Desk {
    /// The driver's instructions and its results. The backend can write to this folder.
    pub(super) work: PathBuf,
    /// The unpacked source. The backend can write to this folder.
    pub(super) build: PathBuf,
    /// The result in the form in which it is kept. The backend cannot write to this folder.
    pub(super) own: PathBuf,
}

impl Desk {
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let desk = Self { work: folder.join("work"), build: folder.join("build"), own: folder.join("own") };
        fs::create_dir(&desk.own)?;
        fs::create_dir(&desk.work)?;
        fs::create_dir(&desk.build)?;
        // Any user may write to the folder, because if root runs lath, the build runs as another user. But other users
        // of this machine cannot enter the folder above.
        fs::set_permissions(&desk.build, std::fs::Permissions::from_mode(0o777))?;
        Ok(desk)
    }
}

/// Runs the driver.
pub(super) fn drive(
    run: Run<'_>,
    instructions: &Instructions<'_>,
    desk: &Desk,
    world: &World,
) -> Result<Report, Reason> {
    let limit_secs = run.limit_secs.unwrap_or(LIMIT_SECS);
    let text = serde_json::to_vec(instructions).map_err(Reason::Document)?;
    fs::write(desk.work.join("job.json"), text).map_err(Reason::Work)?;
    let target = ImagePath::parse(BUILD).map_err(|error| Reason::Work(io::Error::other(error)))?;
    let job = Job {
        argv: vec![run.version.interpreter(), "-c".to_owned(), DRIVER.to_owned()],
        env: environment(run.user_base),
        cwd: "/".to_owned(),
        writable: vec![(desk.work.clone(), "/work".to_owned())],
        readable: run.crates.into_iter().map(|folder| (folder, CRATES.to_owned())).collect(),
        files: run.shown.files,
        documents: vec![(run.archive, ARCHIVE.to_owned())],
        volumes: vec![Volume { source: desk.build.clone(), target, is_read_only: false }],
        timeout_secs: limit_secs,
        emulation: run.emulation,
        ..Job::default()
    };
    let outcome = world.sandbox.run(run.shown.root, &job)?;
    report(&outcome, &desk.work, limit_secs)
}

/// The environment of a build. It is the same on every machine.
fn environment(user_base: &UserBase) -> BTreeMap<String, String> {
    let own = [
        ("PATH", format!("{user_base}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")),
        ("PYTHONUSERBASE", user_base.to_string()),
        ("SOURCE_DATE_EPOCH", PackRequest::DEFAULT_EPOCH_SECS.to_string()),
        ("CARGO_HOME", format!("{BUILD}/.cargo")),
    ];
    let fixed = [
        ("HOME", "/home/app"),
        ("LANG", "C.UTF-8"),
        ("TMPDIR", "/tmp"),
        ("TZ", "UTC"),
        ("PYTHONHASHSEED", "0"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("PIP_NO_INDEX", "1"),
        ("CARGO_NET_OFFLINE", "true"),
        // git accepts the repository only with this setting, because the copy belongs to another user.
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "safe.directory"),
        ("GIT_CONFIG_VALUE_0", "*"),
    ];
    let fixed = fixed.into_iter().map(|(name, value)| (name, value.to_owned()));
    own.into_iter().chain(fixed).map(|(name, value)| (name.to_owned(), value)).collect()
}

fn report(outcome: &Outcome, work: &Path, limit_secs: u64) -> Result<Report, Reason> {
    let log = super::advice::last_lines(&log(outcome, work));
    if outcome.is_timeout {
        return Err(Reason::Timeout { limit_secs, log });
    }
    if outcome.exit_code != 0 {
        return Err(Reason::Backend { exit_code: outcome.exit_code, log, hints: Vec::new() });
    }
    let Ok(file) = open_written(work, "result.json") else { return Err(Reason::NoResult { log }) };
    let mut text = String::new();
    let read = file.take(RESULT_BYTES).read_to_string(&mut text);
    read.ok().and_then(|_| serde_json::from_str(&text).ok()).ok_or(Reason::NoResult { log })
}

/// Returns the end of the backend's output, followed by the error output of the driver itself. The driver may end
/// before it has written a log.
fn log(outcome: &Outcome, work: &Path) -> Vec<u8> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = open_written(work, "log")?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(LOG_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    [read().unwrap_or_default(), outcome.stderr.clone()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(exit_code: i32, is_timeout: bool) -> Outcome {
        Outcome { exit_code, stdout: Vec::new(), stderr: b"Killed".to_vec(), is_timeout, touches: Vec::new() }
    }

    #[test]
    fn a_report_counts_only_if_the_driver_ended_well() {
        let work = tempfile::tempdir().unwrap();
        let told = |outcome: &Outcome| match report(outcome, work.path(), 90) {
            Ok(Report::Wheel(name)) => format!("wheel {name}"),
            Ok(other) => format!("{other:?}"),
            Err(reason) => reason.to_string(),
        };
        assert_eq!(told(&ended(0, false)), "its build backend gives no result:\nKilled");
        fs::write(work.path().join("result.json"), r#"{"wheel": "x-1-py3-none-any.whl"}"#).unwrap();
        fs::write(work.path().join("log"), [vec![b'x'; 70 << 10], b"\nthe end\n".to_vec()].concat()).unwrap();
        assert_eq!(told(&ended(0, false)), "wheel x-1-py3-none-any.whl");
        let failed = told(&ended(137, false));
        assert!(failed.starts_with("its build backend fails with exit code 137:\nxxx"), "{failed}");
        assert!(failed.ends_with("\nthe end\nKilled"), "{failed}");
        let hung = told(&ended(137, true));
        assert!(hung.starts_with("its build backend does not finish in 90 s; its last lines are:\n"), "{hung}");
        fs::write(work.path().join("result.json"), r#"{"another": 1}"#).unwrap();
        assert!(told(&ended(0, false)).starts_with("its build backend gives no result"));
    }

    #[test]
    fn a_link_in_place_of_a_report_is_not_followed() {
        let work = tempfile::tempdir().unwrap();
        fs::write(work.path().join("secret"), r#"{"metadata": "secret"}"#).unwrap();
        fs_err::os::unix::fs::symlink(work.path().join("secret"), work.path().join("result.json")).unwrap();
        assert!(matches!(report(&ended(0, false), work.path(), 90), Err(Reason::NoResult { .. })));
    }
}
