//! A small world: an archive with what a base consists of, an index with one tool, and a cache of its own.

use std::path::PathBuf;
use std::process::Output;

use tempfile::TempDir;
use testkit::{DebBuilder, DebianArchive, PyPi, WheelBuilder};

/// The packages that every image has, as small as can be.
pub(crate) fn archive() -> DebianArchive {
    let interpreter = DebBuilder::new("python3.13-minimal", "3.13.5-2", "amd64")
        .depends("libc6 (>= 2.38)")
        .file("usr/bin/python3.13", 0o755, "not really python")
        .file("usr/share/doc/python3.13-minimal/copyright", 0o644, "PSF")
        .file("usr/share/doc/python3.13-minimal/changelog.gz", 0o644, "long");
    let mut archive = DebianArchive::new("trixie").deb(&interpreter.build());
    let libc = DebBuilder::new("libc6", "2.41-12", "amd64").file("usr/lib/x86_64-linux-gnu/libc.so.6", 0o755, "libc");
    archive = archive.deb(&libc.build());
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
    debian: testkit::debian_archive::DebianServer,
    pypi: testkit::pypi::PyPiServer,
}

impl World {
    pub(crate) fn new(archive: DebianArchive, pypi: PyPi) -> Self {
        let (home, debian, pypi) = (tempfile::tempdir().unwrap(), archive.serve(), pypi.serve());
        std::fs::write(home.path().join("keys"), debian.keyring()).unwrap();
        Self { home, debian, pypi }
    }

    /// The ordinary archive and index.
    pub(crate) fn usual() -> Self {
        Self::new(archive(), PyPi::new().built(&tool()))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Runs `lath build` with `words`, without bytecode and proof: this Python is none.
    pub(crate) fn build(&self, words: &str) -> Output {
        let mut command = assert_cmd::Command::cargo_bin("lath").unwrap();
        command.current_dir(self.home.path()).env_clear().env("LATH_CACHE_DIR", "cache");
        command.args(["build", "--platform", "linux/amd64", "--bytecode", "none", "--no-verify"]);
        command.args(["--keyring", "keys", "--default-index", &self.pypi.url()]);
        command.args(["--mirror", &self.debian.url(), "--security-mirror", &self.debian.security_url()]);
        command.args(words.split_whitespace()).output().unwrap()
    }

    /// What lath said when it refused, with the exit code before.
    pub(crate) fn refusal(&self, words: &str) -> String {
        let output = self.build(words);
        assert!(output.stdout.is_empty(), "{output:?}");
        format!("exit {}\n{}", output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }
}
