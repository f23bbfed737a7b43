//! Hints as values. A hint is something that the user can do about an error, or add to an image. Hints contain no
//! texts, because each front end of lath has its own names for options. The texts for the command line are in
//! `cli/hints.rs`.

use serde::{Deserialize, Serialize};

/// A hint. The names of the variants are stable, because they are written to JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Hint {
    /// It is known that the distribution `caller` uses a program or library that is not in the image.
    Call { caller: String, called: String, add: Addition },
    /// Libraries of `wheel` link against the libraries `sonames`, and no known package of `suite` contains these
    /// libraries.
    Libraries { wheel: String, sonames: Vec<String>, suite: String },
    /// Libraries of `wheel` link against the libraries `sonames`. These libraries are missing in the base image, and
    /// lath cannot add packages to this base image.
    BaseLibraries { wheel: String, sonames: Vec<String> },
    /// Libraries of `wheel` link against the libraries `sonames` of NVIDIA's CUDA, which are in no wheel of the image.
    CudaLibraries { wheel: String, sonames: Vec<String> },
    /// A program that ran in the image did not find the program or module `name`.
    Absent { name: String, add: Addition },
    /// Add something that is missing according to the error.
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
    /// Repair the connection to a server, or use another server.
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
    /// A hint of uv's resolver, with uv's text.
    Resolver { text: String },
}

/// Something that can be added to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Addition {
    /// A shell and the programs of coreutils.
    Shell,
    /// A Debian package.
    Package(String),
    /// A Debian package for builds from source.
    BuildPackage(String),
    /// A Python requirement, such as `setuptools<81`.
    Requirement(String),
}

/// How to change the base image, or the part of the request that does not fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BaseHint {
    /// Use a base image that contains Python, or a base image of Debian or Ubuntu.
    WithPython,
    /// Leave out the version of Python, because the base image has its own.
    OwnPython,
    /// Name the user that runs the image's program by its number.
    NameUser,
    /// Run the image's program as `user`, who can use the Python of the base image, or install Python for all users.
    RunAs { user: u32 },
    /// Build the image with lath instead of a Dockerfile, because lath runs no program of the base image.
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
    /// Build a wheel of `name`, because the index has only a source distribution.
    BuildWheelOf { name: String },
    /// Name the repository that a wheel requires, because lath fetches a repository only if the user names it.
    PlainDependencies,
    /// Name the file that a wheel requires, because only a distribution that is named by its path may require files.
    NameRequiredFile,
    /// Name the URL that a distribution requires, because lath replaces variables only in the user's own input.
    NameRequiredUrl,
    /// Use the file as a requirements file (`-r`), because it is one.
    RequirementsFile { path: String },
    /// Update the lock of another tool with `command`.
    UpdateLock { command: String },
    /// Use the version `version` of `name`, because it has a wheel that fits.
    OtherVersion { name: String, version: String },
    /// Use the Python `python`, because the index has wheels of `name` for it.
    OtherPython { name: String, python: String },
    /// Use the Python `python`, because it can run `newer`, the newest version of the distribution `name`. `chosen` is
    /// the older version that was chosen.
    NewerForPython { name: String, chosen: String, newer: String, python: String },
    /// The image contains NVIDIA's libraries. The fields are their size, the distributions that require them, and
    /// whether PyTorch requires them.
    GraphicsLibraries { bytes: u64, required_by: Vec<String>, is_for_torch: bool },
    /// Leave out the version of Python, because the release `base` has `python`.
    OwnPython { base: String, python: String },
    /// Use the release `base`, which has `python`.
    ReleaseOfPython { base: String, python: String },
    /// Name a Python or another release, because this release has no default Python.
    NameRelease,
    /// Use one of these names, because they exist and are similar to the name that was not found.
    SimilarName { names: Vec<String> },
    /// Report the malformed wheel, and use another version.
    OtherWheel { parcel: String },
    /// Check that the malformed parcel comes from a trusted server.
    TrustedParcel { parcel: String },
    /// Choose the script that the image starts.
    ChooseScript,
    /// Exclude files of the application (`.dockerignore`).
    DockerIgnore,
    /// Write the image to another destination or to another file.
    OtherDestination,
    /// Compress with gzip instead of zstd.
    Gzip,
    /// Build the image on this machine, or name a file that contains its explanation (`--from`).
    MakeExplanation,
    /// Choose a platform.
    ChoosePlatform,
}

/// How to change a build from source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BuildHint {
    /// Add the Debian package that contains `missing` to builds.
    Package { missing: String },
    /// Add the Python module that is missing in a build.
    Module { module: String },
    /// Use a source that contains everything, or a wheel, because builds have no network.
    NoNetwork,
    /// Use a wheel, or a source distribution with a `Cargo.lock` and without crates that lath cannot fetch.
    OtherSource,
    /// Allow builds.
    Allow,
    /// Exclude files that a build does not need (`.gitignore`).
    IgnoreFiles,
    /// Allow more time for a build.
    MoreTime,
}

/// How to change the command that the image runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CommandHint {
    /// Name the command that the image runs.
    Name,
    /// The command needs a shell, which would run `line`. Add a shell, or write the command without shell syntax.
    ShellOrWords { line: String },
    /// Run the file `path` with Python, because it cannot be executed directly.
    ByPython { path: String },
}

/// How to write or use a lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LockHint {
    /// Write the lock.
    Write,
    /// Write the lock again, or use it as it is, although the request has changed.
    Again,
    /// Write the lock for these platforms.
    Platforms { platforms: Vec<String> },
    /// Use the lock as an input, because it has no table of lath: another tool wrote it.
    NameAsInput { path: String },
    /// Use a newer version of lath, or write the lock again, because this version of lath does not support the format
    /// of the lock.
    NewerLath,
    /// Restore the lock or write it again, because its contents were changed.
    Restore,
    /// Write the lock to another file.
    OtherFile,
    /// Write the folder with the files of the lock (`--vendor`) again.
    VendorAgain,
}

/// How to change the checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ProofHint {
    /// Allow more time for all checks.
    MoreTime,
    /// Keep the path `path`, which trim removed, because the output of a failed check names this path or its module.
    Keep { path: String },
    /// Build without trimming to find out whether trim is the cause, or build without checks.
    Untrimmed,
}

/// How to reach a server, or which other server to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NetworkHint {
    /// Use the network once, to fill the cache.
    FillCache,
    /// Name the certificates to trust.
    Certificates,
    /// Check the URL, because the server redirects in a circle.
    RedirectLoop,
    /// Check the connection and the settings of the proxy.
    Reachable,
    /// Give a password for the proxy.
    ProxyPassword,
    /// Give a password for the server.
    Password,
    /// Check the proxy, because it sent a page instead of the file.
    ProxyPage,
    /// Use another server or try again later, because the bytes differ from those that were published.
    OtherBytes,
    /// Try again later or use a mirror, because the server is too slow.
    Slow,
    /// Check the URL, because the page is too large for an index.
    LargePage,
    /// Check the URL or the path, because the metadata of a wheel is too large.
    LargeMetadata,
    /// Restrict the versions so that fewer pages are read, because all pages together are too large.
    ManyPages,
}

/// How to get access to a registry of images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RegistryHint {
    /// Log in to `registry`.
    LogIn { registry: String },
    /// Use another account, because this one has no permission in `registry`.
    OtherAccount { registry: String },
    /// Allow the registry `registry` to have no TLS, or a certificate that this machine does not trust.
    Insecure { registry: String },
    /// Log in, use a mirror or wait, because `registry` limits the number of requests.
    RateLimit { registry: String },
    /// Repair the program for credentials whose name is in the file `path`, or remove it from this file.
    Helper { path: String },
    /// Convert the image to a current format.
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
    /// Use one of the releases in `known`, such as `debian:trixie`, or a mirror with older releases.
    OtherRelease { known: Vec<String> },
    /// Check the proxy, because it sent a page instead of a Release file.
    ProxyPage,
    /// Name the keys of the archive.
    Keyring,
    /// Convert the keyring to the binary form.
    BinaryKeyring,
    /// Use another mirror, because this one is out of date.
    StaleMirror,
    /// Wait, because the mirror is being updated.
    UpdatingMirror,
    /// Use another mirror, because this one does not have the packages of the platform.
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
    /// Run lath as an ordinary user, or without the sandbox.
    OrdinaryUser,
    /// Allow more than no user namespaces, or run lath without the sandbox.
    UserNamespaces,
    /// Allow user namespaces of ordinary users, which AppArmor restricts, or run lath as root.
    AppArmor,
    /// Allow user namespaces of ordinary users, or run lath without the sandbox.
    UnprivilegedNamespaces,
    /// Let the engine that runs this container allow user namespaces, or run lath without the sandbox.
    ContainerNamespaces,
    /// Use a cache that can be written to.
    WritableCache,
    /// Empty the cache, which belongs to another version, or use another cache.
    EmptyCache,
    /// Install an emulator for the programs of another processor.
    InstallEmulator,
    /// Run the same command again, because the damaged file was removed.
    RunAgain,
}

impl MachineHint {
    /// Whether the hint is about a machine that cannot run the programs of an image.
    pub(crate) fn is_about_running(self) -> bool {
        matches!(
            self,
            Self::OrdinaryUser
                | Self::UserNamespaces
                | Self::AppArmor
                | Self::UnprivilegedNamespaces
                | Self::ContainerNamespaces
                | Self::InstallEmulator
        )
    }
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
    /// Returns the hints of this error, without the hints of the error that it wraps.
    fn own_hints(&self) -> Vec<Hint> {
        Vec::new()
    }

    /// Returns the error that this error wraps. Returns `None` if that error cannot have hints. `tests/floor_plan.rs`
    /// checks that no implementation is missing.
    fn wrapped(&self) -> Option<&dyn Hints> {
        None
    }

    /// Returns the hints of this error and of all errors that it wraps. The hints of the outermost error come first.
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
