//! The needs of tests. A need is checked only once per run. If the machine does not fulfil one of its needs, a test is
//! left out.

use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::{Completion, Trial};

use crate::lath;

/// If this variable is set, every test must run, like in CI.
const REQUIRE_ALL: &str = "LATH_REQUIRE_ALL";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// The real Python index and the real Debian archive.
    Registries,
    /// User, mount, pid and network namespaces, which the user who runs the tests may create.
    Namespaces,
    /// A Docker engine that is running. A simple `cargo test` does not use an engine, even if one is running.
    Engine,
    /// More than a minute of time. A simple `cargo test` does not take so long.
    Minutes,
    /// debootstrap, which creates base images from the archive.
    Debootstrap,
    Skopeo,
    Umoci,
    /// The program of Docker's registry.
    DockerRegistry,
    Podman,
    /// The program containerd, and its client `ctr`.
    Containerd,
    /// ldconfig, which writes the loader's cache.
    Ldconfig,
    /// qemu-user, for a processor that this machine does not have.
    Emulator,
    /// Python 3.11 or newer, because `tests/corpus/run.py` needs `tomllib`.
    Corpus,
    /// The programs that are needed to serve a git repository over https.
    GitServer,
    /// faketime, which changes the time that a program sees.
    Faketime,
    /// Python 3 and its module for virtual environments.
    Venv,
    /// Root, which is needed to change into a root file system.
    Root,
}

impl Need {
    /// If tests with this need run only if `LATH_REQUIRE_ALL` is set, returns the reason.
    fn only_if_all_run(self) -> Option<&'static str> {
        match self {
            Self::Engine => Some("uses a Docker engine"),
            Self::Minutes => Some("takes more than a minute"),
            _ => None,
        }
    }

    /// Returns `None` if the machine fulfils the need. Otherwise returns the reason why not.
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

/// Returns a test with this name and these needs.
pub(crate) fn trial(name: impl Into<String>, needs: &[Need], body: impl FnOnce() + Send + 'static) -> Trial {
    let name = name.into();
    let left_out = left_out(&name, needs);
    let needs = needs.to_vec();
    Trial::ignorable_test(name.clone(), move || {
        if let Some(reason) = left_out {
            return Ok(Completion::ignored_with(reason));
        }
        let missing: Vec<String> = needs.iter().filter_map(|need| need.missing()).collect();
        if missing.is_empty() {
            timed(name, body);
            Ok(Completion::Completed)
        } else if must_run_all() {
            Err(format!("{}, and {REQUIRE_ALL} is set", missing.join("; ")).into())
        } else {
            Ok(Completion::ignored_with(missing.join("; ")))
        }
    })
}

/// The time that each test took, with its name. The time in which a test waited for an image that another test builds
/// is included.
static TIMES: Mutex<Vec<(Duration, String)>> = Mutex::new(Vec::new());

fn timed(name: String, body: impl FnOnce()) {
    let begun = Instant::now();
    body();
    TIMES.lock().unwrap_or_else(PoisonError::into_inner).push((begun.elapsed(), name));
}

/// Returns the tests that took longest, one in each line, with seconds.
pub(crate) fn slowest(number: usize) -> String {
    let mut times = TIMES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    times.sort_by(|one, other| other.cmp(one));
    times.truncate(number);
    times.iter().map(|(time, name)| format!("{:7.1} {name}\n", time.as_secs_f64())).collect()
}

/// If a simple `cargo test` leaves out the test `name`, returns the reason and the command that runs this test. `None`
/// if the test is not left out.
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

/// Creates a test for each function. The name of the test is the name of the function. All of these tests have the same
/// needs.
macro_rules! trials_of {
    ($needs:expr; $($test:ident),* $(,)?) => {
        vec![$($crate::needs::trial(stringify!($test), $needs, $test)),*]
    };
}
pub(crate) use trials_of;

/// Returns `None` if `program` succeeds. Otherwise returns a message that `what` is missing. The message contains the
/// output of the program.
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
