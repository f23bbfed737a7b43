//! The needs of tests, each probed once, and the handling of missing ones.

use std::process::Command;
use std::sync::OnceLock;

use libtest_mimic::{Completion, Trial};

use crate::lath;

/// Set if no test may be skipped, like in CI.
const REQUIRE_ALL: &str = "LATH_REQUIRE_ALL";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// The real Python index and the real Debian archive.
    Registries,
    /// User, mount, pid and network namespaces for the user that runs the tests.
    Namespaces,
    /// A Docker engine that responds.
    Engine,
    /// The tool that makes base images from the archive.
    Debootstrap,
    Skopeo,
    Umoci,
    /// The program that writes the loader's cache.
    Ldconfig,
    /// qemu-user, for the processor that this machine does not have.
    Emulator,
    /// Python 3.11 with `tomllib`, which runs the checks in `tests/corpus`.
    Corpus,
    /// The programs that serve a git repository over https.
    GitServer,
    /// Root, to change into a root file system.
    Root,
}

impl Need {
    /// Returns why it is missing. `None` if it is present.
    fn missing(self) -> Option<String> {
        static PROBED: [OnceLock<Option<String>>; 11] = [const { OnceLock::new() }; 11];
        PROBED[self as usize].get_or_init(|| self.probe()).clone()
    }

    fn probe(self) -> Option<String> {
        match self {
            Self::Registries => lath::registries_missing(),
            Self::Namespaces => {
                let words = ["--user", "--map-root-user", "--mount", "--pid", "--net", "--fork", "true"];
                answers("unshare", &words, "user namespaces")
            }
            Self::Engine => answers("docker", &["version"], "a Docker engine that answers"),
            Self::Debootstrap => answers("debootstrap", &["--version"], "debootstrap"),
            Self::Skopeo => answers("skopeo", &["--version"], "skopeo"),
            Self::Umoci => answers("umoci", &["--version"], "umoci"),
            Self::Ldconfig => answers("ldconfig", &["--version"], "ldconfig"),
            Self::Emulator => {
                let machine = if cfg!(target_arch = "aarch64") { "x86_64" } else { "aarch64" };
                answers(&format!("qemu-{machine}-static"), &["--version"], "qemu-user-static")
            }
            Self::Corpus => answers("python3", &["-c", "import tomllib"], "Python 3.11 for the corpus"),
            Self::GitServer => answers("git", &["--version"], "git")
                .or_else(|| answers("openssl", &["version"], "openssl"))
                .or_else(|| answers("python3", &["--version"], "Python 3")),
            Self::Root => match own_uid() {
                Some(0) => None,
                _ => Some("needs root".to_owned()),
            },
        }
    }
}

/// Returns a test named `name` that needs `needs`.
pub(crate) fn trial(name: impl Into<String>, needs: &'static [Need], body: impl FnOnce() + Send + 'static) -> Trial {
    Trial::ignorable_test(name, move || {
        let missing: Vec<String> = needs.iter().filter_map(|need| need.missing()).collect();
        if missing.is_empty() {
            body();
            Ok(Completion::Completed)
        } else if lath::variable(REQUIRE_ALL).is_some() {
            Err(format!("{}, and {REQUIRE_ALL} is set", missing.join("; ")).into())
        } else {
            Ok(Completion::ignored_with(missing.join("; ")))
        }
    })
}

/// Returns tests for functions under their own names, which all have the same needs.
macro_rules! trials_of {
    ($needs:expr; $($test:ident),* $(,)?) => {
        vec![$($crate::needs::trial(stringify!($test), $needs, $test)),*]
    };
}
pub(crate) use trials_of;

/// Returns `None` if `program` succeeds. If not, returns a message with the missing `what` and the program's output.
fn answers(program: &str, words: &[&str], what: &str) -> Option<String> {
    let said = match Command::new(program).args(words).output() {
        Ok(output) if output.status.success() => return None,
        Ok(output) => String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned(),
        Err(error) => error.to_string(),
    };
    Some(format!("needs {what}: `{program}` says {said:?}"))
}

/// Returns the user that runs the tests, according to the kernel.
pub(crate) fn own_uid() -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").ok().map(|own| own.uid())
}
