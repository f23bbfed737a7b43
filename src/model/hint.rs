//! Hints as values: what the user can do about an error, or add to an image. They contain no words, because each front
//! end has its own names for its options; `cli/hints.rs` has those of the command line.

use serde::{Deserialize, Serialize};

/// What the user can do. The names of the variants are stable, because they are written to JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Hint {
    /// The distribution `caller` is known to use a program or a library that the image does not contain.
    Call { caller: String, called: String, add: Addition },
    /// Libraries of `wheel` link against the libraries `sonames`, and no known package of `suite` contains these.
    Libraries { wheel: String, sonames: Vec<String>, suite: String },
    /// Libraries of `wheel` link against the libraries `sonames`, which the base image lacks, and lath cannot add packages to
    /// it.
    BaseLibraries { wheel: String, sonames: Vec<String> },
    /// Libraries of `wheel` link against the libraries `sonames` of NVIDIA's CUDA, which no wheel of the image contains.
    CudaLibraries { wheel: String, sonames: Vec<String> },
    /// A program that ran in the image did not find the program or module `name`.
    Absent { name: String, add: Addition },
    /// Add what the error says is missing.
    Add(Addition),
    /// Change the request.
    Request(RequestHint),
    /// Change the base image, or the part of the request that does not fit it.
    Base(BaseHint),
    /// Change a build from source.
    Build(BuildHint),
    /// Change the command that the image runs.
    Command(CommandHint),
    /// Change the checks.
    Proof(ProofHint),
    /// Mend the connection to a server, or use another server.
    Network(NetworkHint),
    /// Log in to a registry of images, or change its settings.
    Registry(RegistryHint),
    /// Change the Debian or Ubuntu archive.
    Archive(ArchiveHint),
    /// Change this machine: its limits, its sandbox or its cache.
    Machine(MachineHint),
    /// Change the engine or the Dockerfile that it builds.
    Engine(EngineHint),
    /// Write the lock, or use it in another way.
    Lock(LockHint),
    /// A hint of uv's resolver, in uv's words.
    Resolver { text: String },
}

/// What to add to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Addition {
    /// A shell and the programs of coreutils.
    Shell,
    /// A Debian package.
    Package(String),
    /// A Debian package for builds from source.
    BuildPackage(String),
    /// A Python requirement: `setuptools<81`.
    Requirement(String),
}

/// How to change the base image, or the part of the request that does not fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BaseHint {
    /// Use a base image that has Python, or one of Debian or Ubuntu.
    WithPython,
    /// Leave out the version of Python, because the base image decides.
    OwnPython,
    /// Name the user that runs the image.
    NameUser,
    /// Let lath build the image, because that needs no program of the base image.
    BuildInstead,
}

/// How to change the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RequestHint {
    /// A URL contains a character that must be percent-encoded.
    PercentEncode,
    /// Name the folder of the project.
    NameProject,
    /// Install git on this machine.
    InstallGit,
    /// Build a wheel of `name`, of which the index has only a source distribution.
    BuildWheelOf { name: String },
    /// Use a wheel whose dependencies are names or URLs of wheels.
    PlainDependencies,
    /// Name the file that a wheel requires.
    NameRequiredFile,
    /// The file is a list of requirements.
    RequirementsFile { path: String },
    /// Bring the lock of another tool up to date with `command`.
    UpdateLock { command: String },
    /// Use the version that has a wheel that fits.
    OtherVersion { name: String, version: String },
    /// Use the Python for which there are wheels.
    OtherPython { name: String, python: String },
    /// Use the Python that the newest version accepts.
    NewerForPython { name: String, chosen: String, newer: String, python: String },
    /// The libraries of NVIDIA, with their size, the distributions that require them, and whether PyTorch does.
    GraphicsLibraries { bytes: u64, required_by: Vec<String>, is_for_torch: bool },
    /// Leave the version of Python out, because the release `base` has `python`.
    OwnPython { base: String, python: String },
    /// Use the release `base`, which has `python`.
    ReleaseOfPython { base: String, python: String },
    /// Name a Python or another release, because this release has no default Python.
    NameRelease,
    /// Use one of these names, which are known and similar.
    SimilarName { names: Vec<String> },
    /// Report the malformed wheel, and use another version.
    OtherWheel { parcel: String },
    /// Check whether the malformed parcel comes from a trusted server.
    TrustedParcel { parcel: String },
    /// Choose the script that the image starts.
    ChooseScript,
    /// Leave files of the application out.
    DockerIgnore,
    /// Write to another place.
    OtherDestination,
    /// Compress with gzip instead of zstd.
    Gzip,
    /// Write or attach the explanation of an image when it is built.
    MakeExplanation,
    /// Choose a platform.
    ChoosePlatform,
}

/// How to change a build from source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BuildHint {
    /// Add the Debian package with `missing` to builds.
    Package { missing: String },
    /// The Python module is missing in a build.
    Module { module: String },
    /// Builds have no network.
    NoNetwork,
    /// Use a wheel, or a source that lath can build.
    OtherSource,
    /// Allow the build.
    Allow,
    /// Keep large files out of a build.
    IgnoreFiles,
}

/// How to change the command that the image runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CommandHint {
    /// Name a command.
    Name,
    /// The command needs a shell, which would run `line`: add one, or write the command without its syntax.
    ShellOrWords { line: String },
    /// The file `path` cannot be executed: run it with Python.
    ByPython { path: String },
}

/// What to do about a lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LockHint {
    /// Write it.
    Write,
    /// Write it again, or use it although the request has changed.
    Again,
    /// Write it for these platforms.
    Platforms { platforms: Vec<String> },
    /// Another tool wrote it, so it can only be an input.
    NameAsInput { path: String },
    /// Use the lath that wrote it.
    NewerLath,
    /// Its contents were changed, so restore or write it.
    Restore,
    /// Write the lock to another file.
    OtherFile,
    /// Get the file that a lock names again.
    VendorAgain,
}

/// How to change the checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ProofHint {
    /// Allow more time for all checks.
    MoreTime,
    /// Keep a path that trim removed and that a failed check names.
    Keep { path: String },
    /// Build without trimming to find out whether that is the cause, or without checks.
    Untrimmed,
}

/// How to reach a server, or which other one to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NetworkHint {
    /// Go online once, to fill the cache.
    FillCache,
    /// Name the certificates to trust.
    Certificates,
    /// The server redirects in a circle.
    RedirectLoop,
    /// Check the connection and the settings of the proxy.
    Reachable,
    /// The proxy requires a password.
    ProxyPassword,
    /// The server requires a password.
    Password,
    /// A page of a proxy came instead of a file.
    ProxyPage,
    /// The bytes are not those that were published.
    OtherBytes,
    /// The server is too slow.
    Slow,
    /// A page is too large for an index.
    LargePage,
    /// The metadata of a wheel is too large.
    LargeMetadata,
    /// All pages together are too large.
    ManyPages,
}

/// How to get access to a registry of images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RegistryHint {
    /// Log in to `registry`.
    LogIn { registry: String },
    /// The account may not do this in `registry`.
    OtherAccount { registry: String },
    /// The registry `registry` may have no TLS, or a certificate of its own.
    Insecure { registry: String },
    /// Use an account, a mirror or patience, because `registry` limits requests.
    RateLimit { registry: String },
    /// Mend the program for credentials that the file `path` names.
    Helper { path: String },
    /// Convert the image to a format that is in use.
    OldFormat,
    /// Check the name of the image.
    OtherName,
}

/// How to change the archive of Debian or Ubuntu.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ArchiveHint {
    /// Name the mirror with the security updates.
    SecurityMirror,
    /// Use one of the releases `known` (`debian:trixie`), or a mirror with older ones.
    OtherRelease { known: Vec<String> },
    /// A page of a proxy came instead of a Release file.
    ProxyPage,
    /// Name the keys of the archive.
    Keyring,
    /// Convert the keyring to the binary form.
    BinaryKeyring,
    /// The mirror is out of date.
    StaleMirror,
    /// The mirror is being updated.
    UpdatingMirror,
    /// The mirror does not have the platform.
    PlatformMirror,
}

/// How to change this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MachineHint {
    /// Raise the limit on address space.
    AddressSpace,
    /// Raise the limit on memory for data.
    DataMemory,
    /// Raise the limit on processes and threads.
    Threads,
    /// Run lath as an ordinary user, or do without the sandbox.
    OrdinaryUser,
    /// Enable user namespaces, or do without the sandbox.
    UserNamespaces,
    /// Use a cache that can be written to.
    WritableCache,
    /// Empty the cache of another version, or use another cache.
    EmptyCache,
    /// Install an emulator for the programs of another processor.
    InstallEmulator,
    /// Run the same command again, because the damaged file was removed.
    RunAgain,
}

/// How to change the engine or the Dockerfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EngineHint {
    /// Install an engine, or use a command that needs none.
    Install,
    /// Start the daemon, or write a file.
    StartDaemon,
    /// Use a base image that has apt.
    BaseWithApt,
    /// Name the certificates that the build trusts.
    Certificates,
    /// Install buildx, or use the classic builder.
    Buildx,
    /// Start the engine again.
    Restart,
}

/// An error that may have hints.
pub(crate) trait Hints: std::error::Error {
    /// Returns the hints of this error, without those of the error that it wraps.
    fn own_hints(&self) -> Vec<Hint> {
        Vec::new()
    }

    /// Returns the error that this one wraps, if that may have hints. `tests/floor_plan.rs` checks that no error
    /// forgets one.
    fn wrapped(&self) -> Option<&dyn Hints> {
        None
    }

    /// Returns the hints of this error and of all errors that it wraps, from the outside to the inside.
    fn hints(&self) -> Vec<Hint> {
        let mut hints = self.own_hints();
        hints.extend(self.wrapped().into_iter().flat_map(|error| error.hints()));
        hints
    }
}

impl Hints for std::io::Error {}

impl Hints for serde_json::Error {}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Layer(Option<Hint>, Option<Box<Layer>>);

    impl fmt::Display for Layer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("layer")
        }
    }

    impl std::error::Error for Layer {}

    impl Hints for Layer {
        fn own_hints(&self) -> Vec<Hint> {
            self.0.clone().into_iter().collect()
        }

        fn wrapped(&self) -> Option<&dyn Hints> {
            self.1.as_deref().map(|layer| layer as &dyn Hints)
        }
    }

    #[test]
    fn hints_come_through_all_layers_from_the_outside_to_the_inside() {
        let [gzip, slow] = [Hint::Request(RequestHint::Gzip), Hint::Network(NetworkHint::Slow)];
        let inner = Layer(Some(slow.clone()), None);
        let error = Layer(Some(gzip.clone()), Some(Box::new(Layer(None, Some(Box::new(inner))))));
        assert_eq!(error.hints(), [gzip, slow]);
        assert_eq!(Layer(None, None).hints(), []);
    }

    #[test]
    fn a_hint_in_json_has_its_id_and_the_data() {
        let json = |hint: &Hint| serde_json::to_string(hint).unwrap();
        let add = Addition::Package("jq".to_owned());
        assert_eq!(json(&Hint::Add(add)), r#"{"add":{"package":"jq"}}"#);
        assert_eq!(json(&Hint::Network(NetworkHint::FillCache)), r#"{"network":"fill-cache"}"#);
        let keep = ProofHint::Keep { path: "/usr/bin/jq".to_owned() };
        assert_eq!(json(&Hint::Proof(keep)), r#"{"proof":{"keep":{"path":"/usr/bin/jq"}}}"#);
    }
}
