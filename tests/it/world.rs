//! A small world for tests: an archive with the packages of a base, an index with one tool, and a separate cache.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;
use testkit::{DebBuilder, DebianArchive, PyPi, WheelBuilder};

/// Returns an archive with the packages that every image contains. They are as small as possible.
pub(crate) fn archive() -> DebianArchive {
    archive_of("trixie", "3.13")
}

/// Does the same as [`archive`], for another release and its Python.
pub(crate) fn archive_of(suite: &str, python: &str) -> DebianArchive {
    archive_with(suite, python, b"not really python")
}

/// Does the same as [`archive_of`]. `program` are the bytes of the program `python`.
pub(crate) fn archive_with(suite: &str, python: &str, program: &[u8]) -> DebianArchive {
    let mut archive = DebianArchive::new(suite);
    for (architecture, triplet) in [("amd64", "x86_64-linux-gnu"), ("arm64", "aarch64-linux-gnu")] {
        let interpreter = DebBuilder::new(&format!("python{python}-minimal"), &format!("{python}.5-2"), architecture)
            .depends("libc6 (>= 2.38)")
            .file(&format!("usr/bin/python{python}"), 0o755, program)
            .file(&format!("usr/share/doc/python{python}-minimal/copyright"), 0o644, "PSF")
            .file(&format!("usr/share/doc/python{python}-minimal/changelog.gz"), 0o644, "long");
        let libc = DebBuilder::new("libc6", "2.41-12", architecture);
        let libc = libc.file(&format!("usr/lib/{triplet}/libc.so.6"), 0o755, "libc");
        archive = archive.deb(&interpreter.build()).deb(&libc.build());
    }
    let stdlib = format!("libpython{python}-stdlib");
    for name in [&stdlib, "ca-certificates", "libc-bin", "tzdata", "netbase", "media-types"] {
        let package = DebBuilder::new(name, "1", "all").file(&format!("usr/share/{name}/x"), 0o644, name);
        archive = archive.deb(&package.build());
    }
    archive
}

pub(crate) fn tool() -> WheelBuilder {
    WheelBuilder::new("tool", "1.0").file("tool/__init__.py", "def main():\n    return 0\n").script("tool", "tool:main")
}

/// The environment of lath: a directory, and servers. When this value is dropped, the directory is removed and the
/// servers stop.
pub(crate) struct World {
    home: TempDir,
    pub(crate) debian: testkit::debian_archive::DebianServer,
    pub(crate) pypi: testkit::pypi::PyPiServer,
}

impl World {
    pub(crate) fn new(archive: DebianArchive, pypi: PyPi) -> Self {
        let (home, debian, pypi) = (tempfile::tempdir().unwrap(), archive.serve(), pypi.serve());
        fs_err::write(home.path().join("keys"), debian.keyring()).unwrap();
        Self { home, debian, pypi }
    }

    /// Creates a world with the usual archive and index.
    pub(crate) fn usual() -> Self {
        Self::new(archive(), PyPi::new().built(&tool()))
    }

    /// Returns the index.
    pub(crate) fn pypi(&self) -> &testkit::pypi::PyPiServer {
        &self.pypi
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Returns the command `lath build` with `words`. Bytecode and proof are switched off, because the Python in this
    /// world is not real.
    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = Command::new(lath());
        command.current_dir(self.home.path()).env_clear().env("LATH_CACHE_DIR", "cache");
        command.args(["build", "--platform", "linux/amd64", "--bytecode", "none", "--no-verify"]);
        command.args(["--keyring", "keys"]);
        if !words.contains("--default-index") {
            command.args(["--default-index", &self.pypi.url()]);
        }
        if !words.contains("--mirror") {
            command.args(["--mirror", &self.debian.url()]);
        }
        if !words.contains("--security-mirror") {
            command.args(["--security-mirror", &self.debian.security_url()]);
        }
        command.args(words.split_whitespace());
        command
    }

    /// Builds with `words` as another user of this machine. Returns `None` if that is not possible on this machine.
    pub(crate) fn build_as_another_user(&self, words: &str) -> Option<Output> {
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
        if !is_root || Command::new("setpriv").arg("--version").output().is_err() {
            skip("another user: needs root and `setpriv`");
            return None;
        }
        fs_err::set_permissions(self.path(""), std::fs::Permissions::from_mode(0o777)).unwrap();
        let inner = self.command(words);
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.arg(inner.get_program()).args(inner.get_args()).current_dir(inner.get_current_dir().unwrap());
        let output = command.output().unwrap();
        if String::from_utf8_lossy(&output.stderr).contains("failed to execute") {
            skip("another user: it cannot reach the binary");
            return None;
        }
        Some(output)
    }

    pub(crate) fn build(&self, words: &str) -> Output {
        self.command(words).output().unwrap()
    }

    /// Builds with `words` and with additional environment variables.
    pub(crate) fn build_with(&self, words: &str, environment: &[(&str, &str)]) -> Output {
        self.command(words).envs(environment.iter().copied()).output().unwrap()
    }

    /// Returns the command `lath lock` with `words`.
    pub(crate) fn lock_command(&self, words: &str) -> Command {
        let mut command = Command::new(lath());
        command.current_dir(self.home.path()).env_clear().env("LATH_CACHE_DIR", "cache").arg("lock");
        if !words.contains("--platform") {
            command.args(["--platform", "linux/amd64"]);
        }
        command.args(["--keyring", "keys", "--default-index", &self.pypi.url(), "--mirror", &self.debian.url()]);
        command.args(["--security-mirror", &self.debian.security_url()]).args(words.split_whitespace());
        command
    }

    pub(crate) fn lock(&self, words: &str) -> Output {
        self.lock_command(words).output().unwrap()
    }

    /// Runs `lath cache` with `words`.
    pub(crate) fn cache(&self, words: &str) -> Output {
        let mut command = Command::new(lath());
        command.current_dir(self.home.path()).env_clear().env("LATH_CACHE_DIR", "cache").arg("cache");
        command.args(words.split_whitespace()).output().unwrap()
    }

    /// Runs `lath dockerfile` with `words`. Only the programs in the directory `engines` are on the PATH.
    pub(crate) fn dockerfile(&self, words: &str) -> Output {
        let mut command = assert_cmd::Command::cargo_bin("lath").unwrap();
        command.current_dir(self.home.path()).env_clear().env("LATH_CACHE_DIR", "cache");
        command.env("PATH", self.path("engines")).args([
            "dockerfile",
            "--platform",
            "linux/amd64",
            "--keyring",
            "keys",
        ]);
        if !words.contains("--default-index") {
            command.args(["--default-index", &self.pypi.url()]);
        }
        if !words.contains("--mirror") {
            command.args(["--mirror", &self.debian.url()]);
        }
        if !words.contains("--security-mirror") {
            command.args(["--security-mirror", &self.debian.security_url()]);
        }
        command.args(words.split_whitespace()).output().unwrap()
    }

    pub(crate) fn pypi_url(&self) -> String {
        self.pypi.url()
    }

    /// Runs a build that must fail. Returns the exit code and the messages of lath.
    pub(crate) fn refusal(&self, words: &str) -> String {
        let output = self.build(words);
        assert!(output.stdout.is_empty(), "{output:?}");
        format!("exit {}\n{}", output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    /// Runs a build that must fail. Returns the exit code and the error, for use in a snapshot.
    pub(crate) fn error(&self, words: &str) -> String {
        let said = self.refusal(words);
        let (code, said) = said.split_once('\n').unwrap();
        format!("{code}\n{}", self.error_in(said))
    }

    /// Returns the errors of several builds. The words of a build come before its error.
    pub(crate) fn errors(&self, table: &[&str]) -> String {
        let errors = table.iter().map(|words| format!("$ {words}\n{}\n", self.error(words)));
        errors.collect::<Vec<_>>().join("\n")
    }

    /// Returns the error in the messages of lath. Replaces the parts that differ from run to run: the addresses of
    /// servers, the directory and digests.
    pub(crate) fn error_in(&self, said: &str) -> String {
        let error = said.find("error: ").map_or(said, |at| &said[at..]);
        let error =
            error.replace(&self.pypi.server.url(""), "[INDEX]").replace(&self.debian.server.url(""), "[MIRROR]");
        let error = error.replace(&self.home.path().display().to_string(), "[DIR]");
        without_digests(error.trim_end())
    }

    /// Returns every unfinished path that a build has left, next to the destinations and in the store.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let entries = |path: PathBuf| fs_err::read_dir(path).into_iter().flatten().map(|entry| entry.unwrap().path());
        let beside = entries(self.home.path().to_owned())
            .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(".tmp"));
        beside.chain(entries(self.path("cache/store/tmp"))).collect()
    }
}

/// Returns `command` with limits, which are options of the program `prlimit`. Returns `None` if this machine does not
/// have that program.
pub(crate) fn limited(command: &Command, limits: &[&str]) -> Option<Command> {
    if !Command::new("prlimit").arg("--version").output().is_ok_and(|output| output.status.success()) {
        skip("a limit: this machine has no `prlimit`");
        return None;
    }
    let mut outer = Command::new("prlimit");
    outer.args(limits).arg("--").arg(command.get_program()).args(command.get_args());
    outer.current_dir(command.get_current_dir().unwrap()).env_clear();
    for (name, value) in command.get_envs() {
        outer.env(name, value.unwrap_or_default());
    }
    Some(outer)
}

/// Replaces every sha256 digest by `[SHA256]`.
pub(crate) fn without_digests(text: &str) -> String {
    let mut shown = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_hexdigit()) {
        let digits = word.trim_end_matches(|c: char| !c.is_ascii_hexdigit());
        if digits.len() == 64 {
            shown.push_str("[SHA256]");
            shown.push_str(&word[digits.len()..]);
        } else {
            shown.push_str(word);
        }
    }
    shown
}

/// Returns the path of the program under test.
pub(crate) fn lath() -> PathBuf {
    assert_cmd::cargo::cargo_bin("lath")
}

/// Returns the stdout of a build that must have succeeded.
pub(crate) fn stdout(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the digest of a build that must have succeeded.
pub(crate) fn digest(output: Output) -> String {
    let said = stdout(output);
    said.trim().rsplit_once('@').unwrap_or_else(|| panic!("no digest in {said:?}")).1.to_owned()
}

/// Reports that a test is skipped, because this machine lacks something that the test needs.
#[expect(clippy::print_stderr, reason = "whoever reads the test's output has to know")]
pub(crate) fn skip(why: &str) {
    eprintln!("skipped: {why}");
}
