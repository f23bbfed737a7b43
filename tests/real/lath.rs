//! Runs lath. All tests share one cache, the image of every program is built only once, and if the network fails, lath
//! is run again.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use testkit::oci;

/// These tests ignore files that were uploaded after this time.
pub(crate) const NOT_NEWER: &str = "2026-11-20T00:00:00Z";
/// The release of the images in these tests, unless a test sets another release.
const BASE: &str = "debian:trixie";
/// If no server could be reached, the causes of an error contain this text.
const UNREACHED: &str = "error sending request";
const TRIES: u32 = 3;

/// Returns the directory of this run, which contains the cache and all built images.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("real");
        match fs_err::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{}: {error}", folder.display()),
            _ => fs_err::create_dir_all(&folder).unwrap(),
        }
        folder
    })
}

/// Returns the cache of this run.
pub(crate) fn cache() -> PathBuf {
    folder().join("cache")
}

/// Returns a command that runs lath in `home` with the cache of this run.
pub(crate) fn command(home: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lath"));
    command.current_dir(home).args(words);
    command.env("LATH_CACHE_DIR", cache());
    command.env("LATH_EXCLUDE_NEWER", NOT_NEWER).env("LATH_BASE", BASE);
    command
}

/// Runs lath in `home`. If no server could be reached, runs it again.
pub(crate) fn run(home: &Path, words: &[&str]) -> Output {
    again(|| command(home, words))
}

/// Does the same as [`run`], without the variable that sets the release, because some base images have another release,
/// or none.
pub(crate) fn run_without_base(home: &Path, words: &[&str]) -> Output {
    again(|| {
        let mut command = command(home, words);
        command.env_remove("LATH_BASE");
        command
    })
}

/// Does the same as [`run_without_base`], and builds in an engine trust the certificates that this machine trusts.
pub(crate) fn run_with_certificates(home: &Path, words: &[&str]) -> Output {
    let file = variable("SSL_CERT_FILE").unwrap_or_default();
    let trusted: &[&str] = if file.is_empty() { &[] } else { &["--ca", &file] };
    run_without_base(home, &[words, trusted].concat())
}

/// Runs the command that `made` creates. If no server could be reached, creates it and runs it again.
fn again(made: impl Fn() -> Command) -> Output {
    let mut output = made().output().unwrap();
    for pause_secs in (1..TRIES).map(|tried| u64::from(5 * tried)) {
        if output.status.success() || !String::from_utf8_lossy(&output.stderr).contains(UNREACHED) {
            break;
        }
        sleep(Duration::from_secs(pause_secs));
        output = made().output().unwrap();
    }
    output
}

/// Runs `command` with the given `input`, and returns its output. The command must succeed.
pub(crate) fn stdout_of(mut command: Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // An error is ignored, because a program may close its input without reading it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    stdout(&command, child.wait_with_output().unwrap())
}

/// Returns the output of `command`, which must have succeeded.
pub(crate) fn stdout(command: &Command, output: Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{command:?} ends with {}\n{printed}{said}", output.status);
    printed.into_owned()
}

/// Returns the stdout of a program that must have succeeded.
pub(crate) fn succeeded(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A built image. Its directory contains `image.tar`.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    pub(crate) folder: PathBuf,
    tag: String,
    /// The words of the build, without its tag and its destinations.
    asked: Vec<String>,
    pub(crate) checked: oci::Checked,
    /// The contents of the file that `--metadata-file` has written.
    pub(crate) metadata: serde_json::Value,
}

impl Built {
    pub(crate) fn archive(&self) -> PathBuf {
        self.folder.join("image.tar")
    }

    pub(crate) fn layout(&self) -> PathBuf {
        self.written("layout", "oci:layout")
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.written("root", "dir:root")
    }

    /// Writes the image to another destination, unless another test has already done this. It is not written in
    /// advance, because only few tests need it, and all images together would fill a small disk.
    fn written(&self, name: &str, destination: &str) -> PathBuf {
        static WRITING: Mutex<()> = Mutex::new(());
        let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.folder.join(name);
        if !path.exists() {
            let asked = self.asked.iter().map(String::as_str);
            let words: Vec<&str> = ["build", "-t", &self.tag, "-o", destination].into_iter().chain(asked).collect();
            stdout(&command(&self.folder, &words), run(&self.folder, &words));
        }
        path
    }
}

/// Returns the image that is built with the name `name` and the arguments `words`. It is built only once per run.
pub(crate) fn built(name: &str, words: &[&str]) -> Built {
    static BUILT: Mutex<BTreeMap<String, Arc<OnceLock<Built>>>> = Mutex::new(BTreeMap::new());
    let slot = Arc::clone(BUILT.lock().unwrap().entry(name.to_owned()).or_default());
    slot.get_or_init(|| build(name, words)).clone()
}

fn build(name: &str, asked: &[&str]) -> Built {
    let home = folder().join(name);
    fs_err::create_dir_all(&home).unwrap();
    let tag = tag(name);
    let outputs = ["-o", "image.tar", "--metadata-file", "metadata.json"];
    let words = [&["build", "-t", &tag], &outputs[..], asked].concat();
    let output = run(&home, &words);
    let said = stdout(&command(&home, &words), output);
    let checked = oci::check(&home.join("image.tar")).unwrap();
    assert!(said.starts_with(&format!("image.tar@{}\n", checked.digest)), "{said}");
    let metadata = serde_json::from_slice(&fs_err::read(home.join("metadata.json")).unwrap()).unwrap();
    let asked = asked.iter().map(|word| (*word).to_owned()).collect();
    Built { folder: home, tag, asked, checked, metadata }
}

/// Returns the tag that the image of the program `name` has in an engine. Only these tests use tags that begin with
/// `lath-test/`.
pub(crate) fn tag(name: &str) -> String {
    format!("lath-test/{name}:latest")
}

/// If the index or the archive cannot be reached, returns the reason, and otherwise `None`. Other failures are ignored
/// here, because the tests will find them.
pub(crate) fn registries_missing() -> Option<String> {
    let home = folder().join("probe");
    fs_err::create_dir_all(&home).unwrap();
    let output = run(&home, &["build", "six", "--no-verify", "--bytecode", "none", "-o", "six.tar"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let cause = said.lines().rfind(|line| line.contains("cause: ")).unwrap_or_default().trim().to_owned();
    let is_missing = !output.status.success() && said.contains(UNREACHED);
    is_missing.then(|| format!("needs the real Python index and the real Debian archive: {cause}"))
}

/// Returns the value of an environment variable of the test run, if it is set.
#[expect(clippy::disallowed_methods, reason = "the only place of these tests that reads the environment")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
