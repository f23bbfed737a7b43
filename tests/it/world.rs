//! A small world: an archive with what a base consists of, an index with one tool, and a cache of its own.

use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;
use testkit::{DebBuilder, DebianArchive, PyPi, WheelBuilder};

/// The packages that every image has, as small as can be.
pub(crate) fn archive() -> DebianArchive {
    let mut archive = DebianArchive::new("trixie");
    for (architecture, triplet) in [("amd64", "x86_64-linux-gnu"), ("arm64", "aarch64-linux-gnu")] {
        let interpreter = DebBuilder::new("python3.13-minimal", "3.13.5-2", architecture)
            .depends("libc6 (>= 2.38)")
            .file("usr/bin/python3.13", 0o755, "not really python")
            .file("usr/share/doc/python3.13-minimal/copyright", 0o644, "PSF")
            .file("usr/share/doc/python3.13-minimal/changelog.gz", 0o644, "long");
        let libc = DebBuilder::new("libc6", "2.41-12", architecture);
        let libc = libc.file(&format!("usr/lib/{triplet}/libc.so.6"), 0o755, "libc");
        archive = archive.deb(&interpreter.build()).deb(&libc.build());
    }
    for name in ["libpython3.13-stdlib", "ca-certificates", "libc-bin", "tzdata", "netbase", "media-types"] {
        let package = DebBuilder::new(name, "1", "all").file(&format!("usr/share/{name}/x"), 0o644, name);
        archive = archive.deb(&package.build());
    }
    archive
}

pub(crate) fn tool() -> WheelBuilder {
    WheelBuilder::new("tool", "1.0").file("tool/__init__.py", "def main():\n    return 0\n").script("tool", "tool:main")
}

/// Where lath runs: a folder, with servers that live as long.
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

    /// The ordinary archive and index.
    pub(crate) fn usual() -> Self {
        Self::new(archive(), PyPi::new().built(&tool()))
    }

    /// The index.
    pub(crate) fn pypi(&self) -> &testkit::pypi::PyPiServer {
        &self.pypi
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// `lath build` with `words`, without bytecode and proof: this Python is none.
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

    pub(crate) fn build(&self, words: &str) -> Output {
        self.command(words).output().unwrap()
    }

    /// The same with variables in the environment.
    pub(crate) fn build_with(&self, words: &str, environment: &[(&str, &str)]) -> Output {
        self.command(words).envs(environment.iter().copied()).output().unwrap()
    }

    /// Runs `lath cache` with `words`.
    pub(crate) fn cache(&self, words: &str) -> Output {
        let mut command = Command::new(lath());
        command.current_dir(self.home.path()).env_clear().env("LATH_CACHE_DIR", "cache").arg("cache");
        command.args(words.split_whitespace()).output().unwrap()
    }

    /// Runs `lath dockerfile` with `words`; programs are those of the folder `engines` alone.
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

    /// What lath said when it refused, with the exit code before.
    pub(crate) fn refusal(&self, words: &str) -> String {
        let output = self.build(words);
        assert!(output.stdout.is_empty(), "{output:?}");
        format!("exit {}\n{}", output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    /// Every path that a build has left half-done: beside the destinations, and in the store.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let entries = |path: PathBuf| fs_err::read_dir(path).into_iter().flatten().map(|entry| entry.unwrap().path());
        let beside = entries(self.home.path().to_owned())
            .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(".tmp"));
        beside.chain(entries(self.path("cache/store/tmp"))).collect()
    }
}

/// The binary under test.
pub(crate) fn lath() -> PathBuf {
    assert_cmd::cargo::cargo_bin("lath")
}

/// What a build that succeeded wrote to stdout.
pub(crate) fn stdout(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The digest of a build that succeeded.
pub(crate) fn digest(output: Output) -> String {
    let said = stdout(output);
    said.trim().rsplit_once('@').unwrap_or_else(|| panic!("no digest in {said:?}")).1.to_owned()
}

/// Says that a test lacks what it needs.
#[expect(clippy::print_stderr, reason = "whoever reads the test's output has to know")]
pub(crate) fn skip(why: &str) {
    eprintln!("skipped: {why}");
}
