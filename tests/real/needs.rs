//! The needs of tests, each probed once, and the handling of missing ones.

use std::process::Command;
use std::sync::OnceLock;

use libtest_mimic::{Completion, Trial};

use crate::lath;

/// Set if every test must run, like in CI.
const REQUIRE_ALL: &str = "LATH_REQUIRE_ALL";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// The real Python index and the real Debian archive.
    Registries,
    /// User, mount, pid and network namespaces for the user that runs the tests.
    Namespaces,
    /// A Docker engine that responds. A plain `cargo test` does not use one, even if it is there.
    Engine,
    /// More than a minute. A plain `cargo test` does not take that long.
    Minutes,
    /// The tool that makes base images from the archive.
    Debootstrap,
    Skopeo,
    Umoci,
    /// Docker's registry as a program.
    DockerRegistry,
    Podman,
    /// containerd as a program, with its client `ctr`.
    Containerd,
    /// The program that writes the loader's cache.
    Ldconfig,
    /// qemu-user, for the processor that this machine does not have.
    Emulator,
    /// Python 3.11 with `tomllib`, which runs the checks in `tests/corpus`.
    Corpus,
    /// The programs that serve a git repository over https.
    GitServer,
    /// The program that gives other programs another time.
    Faketime,
    /// Python 3 with its module for virtual environments.
    Venv,
    /// Root, to change into a root file system.
    Root,
}

impl Need {
    /// Returns why a test with this need runs only if all tests must run. `None` if it always runs.
    fn only_if_all_run(self) -> Option<&'static str> {
        match self {
            Self::Engine => Some("uses a Docker engine"),
            Self::Minutes => Some("takes more than a minute"),
            _ => None,
        }
    }

    /// Returns why it is missing. `None` if it is present.
    fn missing(self) -> Option<String> {
        const COUNT: usize = Need::Root as usize + 1;
        static PROBED: [OnceLock<Option<String>>; COUNT] = [const { OnceLock::new() }; COUNT];
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
            Self::Minutes => None,
            Self::Debootstrap => answers("debootstrap", &["--version"], "debootstrap"),
            Self::Skopeo => answers("skopeo", &["--version"], "skopeo"),
            Self::Umoci => answers("umoci", &["--version"], "umoci"),
            Self::DockerRegistry => answers("docker-registry", &["--version"], "docker-registry"),
            Self::Podman => answers("podman", &["info"], "podman"),
            Self::Containerd => answers("containerd", &["--version"], "containerd")
                .or_else(|| answers("ctr", &["--version"], "containerd's `ctr`")),
            Self::Ldconfig => answers("ldconfig", &["--version"], "ldconfig"),
            Self::Emulator => {
                let machine = if cfg!(target_arch = "aarch64") { "x86_64" } else { "aarch64" };
                answers(&format!("qemu-{machine}-static"), &["--version"], "qemu-user-static")
            }
            Self::Corpus => answers("python3", &["-c", "import tomllib"], "Python 3.11 for the corpus"),
            Self::GitServer => answers("git", &["--version"], "git")
                .or_else(|| answers("openssl", &["version"], "openssl"))
                .or_else(|| answers("python3", &["--version"], "Python 3")),
            Self::Faketime => answers("faketime", &["--version"], "faketime"),
            Self::Venv => answers("python3", &["-c", "import ensurepip, venv"], "Python 3 with `venv`"),
            Self::Root => match own_uid() {
                Some(0) => None,
                _ => Some("needs root".to_owned()),
            },
        }
    }
}

/// Returns a test named `name` that needs `needs`.
pub(crate) fn trial(name: impl Into<String>, needs: &[Need], body: impl FnOnce() + Send + 'static) -> Trial {
    let name = name.into();
    let left_out = left_out(&name, needs);
    let needs = needs.to_vec();
    Trial::ignorable_test(name, move || {
        if let Some(reason) = left_out {
            return Ok(Completion::ignored_with(reason));
        }
        let missing: Vec<String> = needs.iter().filter_map(|need| need.missing()).collect();
        if missing.is_empty() {
            body();
            Ok(Completion::Completed)
        } else if must_run_all() {
            Err(format!("{}, and {REQUIRE_ALL} is set", missing.join("; ")).into())
        } else {
            Ok(Completion::ignored_with(missing.join("; ")))
        }
    })
}

/// Returns why this run leaves out the test `name`, with the command that runs it. `None` if it is not left out.
fn left_out(name: &str, needs: &[Need]) -> Option<String> {
    if must_run_all() {
        return None;
    }
    let reasons: Vec<&str> = needs.iter().filter_map(|need| need.only_if_all_run()).collect();
    let command = format!("{REQUIRE_ALL}=1 cargo test --test real -- {name}");
    (!reasons.is_empty()).then(|| format!("{}: `{command}`", reasons.join(", ")))
}

fn must_run_all() -> bool {
    lath::variable(REQUIRE_ALL).is_some()
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
