//! The texts of hints. A text often names an option of the command line. The other parts of lath do not know these
//! names: they return hints without a text.

mod base;
mod machine;

use std::fmt;

use self::base::base;
use self::machine::machine;
use crate::model::hint::{
    Addition, ArchiveHint, BuildHint, CommandHint, EngineHint, Hint, LockHint, NetworkHint, ProofHint, RegistryHint,
    RequestHint,
};
use crate::present::megabytes::megabytes;

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call { caller, called, add } => {
                write!(f, "{caller} calls `{called}`, which is not in the image: {add}")
            }
            Self::Libraries { wheel, sonames, suite } => {
                let (names, them) = (sonames.join("`, `"), if sonames.len() == 1 { "it" } else { "them" });
                write!(
                    f,
                    "{wheel} needs `{names}`, and lath knows no package of `{suite}` that contains {them}: if you know one, add it with `--with PACKAGE`"
                )
            }
            Self::Absent { name, add: add @ Addition::BuildPackage(_) } => {
                write!(f, "`{name}` is not in the build: {add}")
            }
            Self::BaseLibraries { wheel, sonames } => write!(
                f,
                "{wheel} needs `{}`, and the base image does not have it: use a base image that has it",
                sonames.join("` and `")
            ),
            Self::CudaLibraries { wheel, sonames } => write!(
                f,
                "{wheel} needs {} of NVIDIA's CUDA if it uses a graphics card: add the requirements that contain them, \
                 such as `nvidia-cublas-cu12` for CUDA 12 and `nvidia-cublas` for CUDA 13, or an extra of {wheel} that has them",
                listed(sonames)
            ),
            Self::Absent { name, add } => write!(f, "`{name}` is not in the image: {add}"),
            Self::Add(addition) => addition.fmt(f),
            Self::Request(hint) => request(hint, f),
            Self::Base(hint) => base(*hint, f),
            Self::Build(hint) => build(hint, f),
            Self::Command(hint) => command(hint, f),
            Self::Proof(hint) => proof(hint, f),
            Self::Network(hint) => f.write_str(network(*hint)),
            Self::Registry(hint) => registry(hint, f),
            Self::Archive(hint) => archive(hint, f),
            Self::Machine(hint) => f.write_str(machine(*hint)),
            Self::Engine(hint) => f.write_str(engine(*hint)),
            Self::Lock(hint) => lock(hint, f),
            Self::Resolver { text } => f.write_str(text),
        }
    }
}

impl fmt::Display for Addition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shell => f.write_str("add it with `--shell`"),
            Self::Package(package) => write!(f, "add it with `--with {package}`"),
            Self::BuildPackage(package) => write!(f, "add it with `--build-with {package}`"),
            // The requirement is quoted, because a shell would read `<` and `>` as redirections.
            Self::Requirement(requirement) if requirement.contains(['<', '>']) => {
                write!(f, "add the requirement `'{requirement}'`")
            }
            Self::Requirement(requirement) => write!(f, "add the requirement `{requirement}`"),
        }
    }
}

/// Joins names to `` `a`, `b` and `c` ``.
fn listed(names: &[String]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("`{}` and `{last}`", first.join("`, `")),
        _ => format!("`{}`", names.concat()),
    }
}

fn build_wheel_of(name: &str) -> String {
    let file = name.replace('-', "_");
    format!(
        "let lath build it, without `--no-build`; or build a wheel (`pip wheel --no-deps {name}`), then run `lath build ./{file}-….whl`"
    )
}

fn request(hint: &RequestHint, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match hint {
        RequestHint::PercentEncode => f.write_str(
            "encode special characters of a password with percent signs: `%40` for `@`, `%2F` for `/`, `%3A` for `:`",
        ),
        RequestHint::NameProject => f.write_str("name the folder of the project, such as `./project`"),
        RequestHint::InstallGit => {
            f.write_str("install git on this machine, or name an archive of the source by its URL")
        }
        RequestHint::BuildWheelOf { name } => f.write_str(&build_wheel_of(name)),
        RequestHint::PlainDependencies => f.write_str(
            "lath fetches a repository only if you name it: if you trust it, name it as well",
        ),
        RequestHint::NameRequiredFile => f.write_str(
            "only a distribution that is named by path may require files: if you want this file, name it as well, and use \
             a distribution that requires it by name",
        ),
        RequestHint::NameRequiredUrl => f.write_str(
            "lath replaces variables only in your own input: name this requirement yourself, and use a distribution that \
             requires it by name",
        ),
        RequestHint::RequirementsFile { path } => write!(f, "read it with `-r {path}`"),
        RequestHint::UpdateLock { command } => write!(f, "bring the lock up to date with `{command}`"),
        RequestHint::OtherVersion { name, version } => {
            write!(f, "use `{name}=={version}`, which has a wheel that fits")
        }
        RequestHint::OtherPython { name, python } => {
            write!(f, "use `--python {python}`, for which `{name}` has wheels")
        }
        RequestHint::NewerForPython { name, chosen, newer, python } => {
            write!(f, "`{name}` {newer} is newer than {chosen}, but it needs another Python: use `--python {python}`")
        }
        RequestHint::GraphicsLibraries { bytes, required_by, is_for_torch } => {
            f.write_str(&graphics(*bytes, required_by, *is_for_torch))
        }
        RequestHint::OwnPython { base, python } => write!(f, "`{base}` has python {python}: leave out `--python`"),
        RequestHint::ReleaseOfPython { base, python } => {
            write!(f, "use `--release {base}`, which has python {python}")
        }
        RequestHint::NameRelease => {
            f.write_str("name a Python with `--python VERSION`, or another release with `--release RELEASE`")
        }
        RequestHint::SimilarName { names } => write!(f, "did you mean `{}`?", names.join("` or `")),
        RequestHint::OtherWheel { parcel } => write!(
            f,
            "`{parcel}` has this fault on the index itself: report it to its maintainers, and use another version until then"
        ),
        RequestHint::TrustedParcel { parcel } => {
            write!(f, "`{parcel}` has this fault on the server itself: check whether you trust that server")
        }
        RequestHint::ChooseScript => f.write_str("choose one of them with `-c NAME`"),
        RequestHint::DockerIgnore => {
            f.write_str("name the files that the image does not need in `.dockerignore`, one pattern per line")
        }
        RequestHint::OtherDestination => f.write_str("use another destination with `-o DEST`, or another file"),
        RequestHint::Gzip => f.write_str("leave out `--compression zstd`: every engine reads gzip"),
        RequestHint::MakeExplanation => f.write_str("build the image here, or use `--from` with its explanation"),
        RequestHint::ChoosePlatform => f.write_str("name a platform, such as `--platform linux/arm64`"),
    }
}

fn build(hint: &BuildHint, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match hint {
        BuildHint::Package { missing } => {
            write!(f, "add the Debian package that contains `{missing}` with `--build-with PACKAGE`")
        }
        BuildHint::Module { module } => write!(
            f,
            "the build does not find the module `{module}`: if the project does not list it among its build requirements, \
             another version may, or an older setuptools may contain it"
        ),
        BuildHint::NoNetwork => {
            f.write_str("a build has no network: use a version whose source contains everything, or a wheel")
        }
        BuildHint::OtherSource => f.write_str("use a wheel, or a source distribution with a `Cargo.lock`"),
        BuildHint::Allow => f.write_str("leave out `--no-build`, or use a version that has a wheel"),
        BuildHint::IgnoreFiles => {
            f.write_str("name the files that the build does not need in the folder's `.gitignore`")
        }
        BuildHint::MoreTime => {
            f.write_str("allow more time with `--build-timeout SECONDS`; 0 means that there is no limit")
        }
    }
}

/// The text of the hint that NVIDIA's libraries make the image large.
fn graphics(bytes: u64, required_by: &[String], is_for_torch: bool) -> String {
    let require = if required_by.len() == 1 { "requires" } else { "require" };
    let way = ": if the image runs without such a card, leave them out with `--torch-backend cpu`";
    format!(
        "{} are libraries of NVIDIA for graphics cards, which {} {require}{}",
        megabytes(bytes),
        listed(required_by),
        if is_for_torch { way } else { "" }
    )
}

fn command(hint: &CommandHint, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match hint {
        CommandHint::Name => f.write_str(
            "name the command after `--`, such as `lath build . -- uvicorn main:app --host 0.0.0.0`, or the module with `-m MODULE`",
        ),
        CommandHint::ShellOrWords { line } => write!(
            f,
            "write the command without a shell, with a port of your choice: `lath build . -- COMMAND ...`; or add a shell with \
             `--shell`: the image then runs `/bin/sh -c '{line}'`"
        ),
        CommandHint::ByPython { path } => write!(f, "run it with Python: `-- python {path}`"),
    }
}

fn lock(hint: &LockHint, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(match hint {
        LockHint::Write => "write it with `lath lock` and the same inputs and options",
        LockHint::Again => {
            "write it again with `lath lock` and the same inputs and options, or use it as it is with `--frozen`"
        }
        LockHint::Platforms { platforms } => {
            return write!(f, "write it again with `lath lock --platform {}`", platforms.join(","));
        }
        LockHint::NameAsInput { path } => {
            return write!(
                f,
                "name it as the input, so that the packages of the release are chosen: `lath build {path}`"
            );
        }
        LockHint::NewerLath => "use a newer lath, or write the lock again with `lath lock`",
        LockHint::Restore => "restore the file, or remove it and write it again with `lath lock`",
        LockHint::VendorAgain => "write the folder again with `lath lock --vendor DIR`",
        LockHint::OtherFile => "write the lock to another file with `-o FILE`",
    })
}

fn proof(hint: &ProofHint, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match hint {
        ProofHint::MoreTime => {
            f.write_str("allow more time with `--proof-timeout SECONDS`; 0 means that there is no limit")
        }
        ProofHint::Keep { path } => write!(f, "keep a removed path with `--keep {path}`"),
        ProofHint::Untrimmed => f.write_str(
            "build with `--trim none` to find out whether trimming is the cause; `--no-verify` builds without checks",
        ),
    }
}

fn network(hint: NetworkHint) -> &'static str {
    match hint {
        NetworkHint::FillCache => "run once without `--offline` to fill the cache",
        NetworkHint::Certificates => {
            "if a proxy signs with its own certificate, name the file that contains it with `SSL_CERT_FILE=FILE`"
        }
        NetworkHint::RedirectLoop => {
            "the server redirects requests in a circle: check whether the URL is right, or use another server"
        }
        NetworkHint::Reachable => {
            "check whether this machine can reach the host; `HTTPS_PROXY` sets a proxy, `NO_PROXY` sets exceptions"
        }
        NetworkHint::ProxyPassword => {
            "the proxy requires a name and a password: `HTTPS_PROXY=http://NAME:PASSWORD@HOST:PORT`"
        }
        NetworkHint::Password => {
            "give a name and a password in the URL, `https://NAME:PASSWORD@HOST/`, or in a netrc file; for an index with a \
             name, such as `--index CORP=URL`, also in `LATH_INDEX_CORP_USERNAME` and `LATH_INDEX_CORP_PASSWORD`"
        }
        NetworkHint::ProxyPage => "check the proxy settings: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`",
        NetworkHint::OtherBytes => {
            "a proxy or a mirror does not send the bytes that were published: use another, or try again later"
        }
        NetworkHint::Slow => "try again later or with fewer `--jobs`, or use a mirror that is nearer",
        NetworkHint::LargePage => {
            "no honest index or archive sends this much: check whether the URL is right, or use another server"
        }
        NetworkHint::LargeMetadata => "no honest wheel has this much metadata: check whether its URL or path is right",
        NetworkHint::ManyPages => {
            "restrict the versions, so that lath reads fewer pages, or check whether the index is honest"
        }
    }
}

fn registry(hint: &RegistryHint, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match hint {
        RegistryHint::LogIn { registry } => write!(
            f,
            "log in with `lath login {registry}`, or with `docker login` or `podman login`; if the name is wrong, some \
             registries answer in the same way"
        ),
        RegistryHint::OtherAccount { registry } => write!(
            f,
            "check whether the account has access to this repository, whether the repository must be created first, and \
             whether its password is still valid; log in again with `lath login {registry}`"
        ),
        RegistryHint::Insecure { registry } => write!(
            f,
            "if a certificate of your own signs for the registry, name the file that contains it with \
             `SSL_CERT_FILE=FILE`; if the registry has no TLS and you trust the network, use `--insecure-registry \
             {registry}`"
        ),
        RegistryHint::RateLimit { registry } => write!(
            f,
            "try again later, log in with `lath login {registry}`, or use a mirror: `--registry-mirror {registry}=HOST`"
        ),
        RegistryHint::Helper { path } => {
            write!(f, "repair the program, or remove `credsStore` and `credHelpers` from `{path}`")
        }
        RegistryHint::OldFormat => {
            f.write_str("convert the image with `docker pull` and `docker push` of a current version")
        }
        RegistryHint::OtherName => f.write_str("check the registry, the repository and the tag in the name"),
    }
}

fn archive(hint: &ArchiveHint, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let text = match hint {
        ArchiveHint::SecurityMirror => "use a mirror that has the security updates with `--security-mirror URL`",
        ArchiveHint::OtherRelease { known } => {
            let known = known.join("`, `");
            return write!(f, "lath knows `{known}`; older releases are on other mirrors: `--mirror URL`");
        }
        ArchiveHint::ProxyPage => {
            "check whether a proxy intercepts requests to the mirror, or use another mirror with `--mirror URL`"
        }
        ArchiveHint::Keyring => {
            "if the archive is your own, name its keys with `--keyring FILE`; otherwise use another mirror with \
             `--mirror URL`"
        }
        ArchiveHint::BinaryKeyring => {
            "a keyring is a file of public keys in binary form, like those in `/usr/share/keyrings`; `gpg --dearmor` \
             converts an armored file"
        }
        ArchiveHint::StaleMirror => {
            "the mirror is out of date, or the clock of this machine is wrong; use another mirror with `--mirror URL`"
        }
        ArchiveHint::UpdatingMirror => {
            "if the mirror is being updated, try again in some minutes; or use another mirror with `--mirror URL`"
        }
        ArchiveHint::PlatformMirror => {
            "the mirror does not have this platform: use one that has it with `--mirror URL`"
        }
    };
    f.write_str(text)
}

fn engine(hint: EngineHint) -> &'static str {
    match hint {
        EngineHint::Install => {
            "start Docker, or install podman or buildah; `lath build` and `lath run` do not need an engine"
        }
        EngineHint::StartDaemon => {
            "start Docker or Podman's socket (`systemctl --user start podman.socket`), or name another daemon with \
             `DOCKER_HOST`; if there is none, write a file with `-o NAME.tar` and load it on a machine that has one"
        }
        EngineHint::BaseWithApt => "the base image has no apt: use an image of Debian or Ubuntu with `--from`",
        EngineHint::Certificates => "name the file with the certificates of your company with `--ca FILE`",
        EngineHint::Buildx => "install Docker's plugin `buildx`, or leave out `--builder buildkit`",
        EngineHint::Restart => "check whether the engine is running, then build again: finished steps are in its cache",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_names_the_option_that_adds_what_is_missing() {
        let text = str::to_owned;
        let libraries = |sonames: &[&str]| Hint::Libraries {
            wheel: text("w"),
            sonames: sonames.iter().map(|name| text(name)).collect(),
            suite: text("trixie"),
        };
        let hints = [
            Hint::Call { caller: text("yq"), called: text("jq"), add: Addition::Package(text("jq")) },
            libraries(&["liba.so.1"]),
            libraries(&["liba.so.1", "libb.so.1"]),
            Hint::CudaLibraries { wheel: text("w"), sonames: vec![text("libcublas.so.12"), text("libnvrtc.so.12")] },
            Hint::Absent { name: text("sh"), add: Addition::Shell },
            Hint::Absent { name: text("pkg_resources"), add: Addition::Requirement(text("setuptools<81")) },
            Hint::Add(Addition::Requirement(text("pip"))),
        ];
        insta::assert_snapshot!(words(hints), @"
        yq calls `jq`, which is not in the image: add it with `--with jq`
        w needs `liba.so.1`, and lath knows no package of `trixie` that contains it: if you know one, add it with `--with PACKAGE`
        w needs `liba.so.1`, `libb.so.1`, and lath knows no package of `trixie` that contains them: if you know one, add it with `--with PACKAGE`
        w needs `libcublas.so.12` and `libnvrtc.so.12` of NVIDIA's CUDA if it uses a graphics card: add the requirements that contain them, such as `nvidia-cublas-cu12` for CUDA 12 and `nvidia-cublas` for CUDA 13, or an extra of w that has them
        `sh` is not in the image: add it with `--shell`
        `pkg_resources` is not in the image: add the requirement `'setuptools<81'`
        add the requirement `pip`
        ");
    }

    fn words<const COUNT: usize>(hints: [Hint; COUNT]) -> String {
        hints.map(|hint| hint.to_string()).join("\n")
    }

    #[test]
    fn hints_about_requests_in_words() {
        let (name, parcel) = ("x-y".to_owned(), "x_y-1.whl".to_owned());
        let graphics = |bytes, required_by: &[&str], is_for_torch| RequestHint::GraphicsLibraries {
            bytes,
            required_by: required_by.iter().map(ToString::to_string).collect(),
            is_for_torch,
        };
        let hints = [
            RequestHint::PercentEncode,
            RequestHint::NameProject,
            RequestHint::InstallGit,
            RequestHint::BuildWheelOf { name: name.clone() },
            RequestHint::PlainDependencies,
            RequestHint::NameRequiredFile,
            RequestHint::NameRequiredUrl,
            RequestHint::RequirementsFile { path: "r.txt".to_owned() },
            RequestHint::UpdateLock { command: "uv lock".to_owned() },
            RequestHint::OtherVersion { name: name.clone(), version: "1.0".to_owned() },
            RequestHint::OtherPython { name, python: "3.12".to_owned() },
            RequestHint::NewerForPython {
                name: "x-y".to_owned(),
                chosen: "1.0".to_owned(),
                newer: "2.0".to_owned(),
                python: "3.12".to_owned(),
            },
            graphics(2_912_300_000, &["torch"], true),
            graphics(200_000_000, &["a", "b"], false),
            RequestHint::OtherWheel { parcel: parcel.clone() },
            RequestHint::TrustedParcel { parcel },
            RequestHint::ChooseScript,
            RequestHint::DockerIgnore,
            RequestHint::OtherDestination,
            RequestHint::Gzip,
            RequestHint::MakeExplanation,
            RequestHint::ChoosePlatform,
        ];
        insta::assert_snapshot!(words(hints.map(Hint::Request)), @"
        encode special characters of a password with percent signs: `%40` for `@`, `%2F` for `/`, `%3A` for `:`
        name the folder of the project, such as `./project`
        install git on this machine, or name an archive of the source by its URL
        let lath build it, without `--no-build`; or build a wheel (`pip wheel --no-deps x-y`), then run `lath build ./x_y-….whl`
        lath fetches a repository only if you name it: if you trust it, name it as well
        only a distribution that is named by path may require files: if you want this file, name it as well, and use a distribution that requires it by name
        lath replaces variables only in your own input: name this requirement yourself, and use a distribution that requires it by name
        read it with `-r r.txt`
        bring the lock up to date with `uv lock`
        use `x-y==1.0`, which has a wheel that fits
        use `--python 3.12`, for which `x-y` has wheels
        `x-y` 2.0 is newer than 1.0, but it needs another Python: use `--python 3.12`
        2912.3 MB are libraries of NVIDIA for graphics cards, which `torch` requires: if the image runs without such a card, leave them out with `--torch-backend cpu`
        200.0 MB are libraries of NVIDIA for graphics cards, which `a` and `b` require
        `x_y-1.whl` has this fault on the index itself: report it to its maintainers, and use another version until then
        `x_y-1.whl` has this fault on the server itself: check whether you trust that server
        choose one of them with `-c NAME`
        name the files that the image does not need in `.dockerignore`, one pattern per line
        use another destination with `-o DEST`, or another file
        leave out `--compression zstd`: every engine reads gzip
        build the image here, or use `--from` with its explanation
        name a platform, such as `--platform linux/arm64`
        ");
    }

    #[test]
    fn hints_about_builds_in_words() {
        let hints = [
            BuildHint::Package { missing: "x/y.h".to_owned() },
            BuildHint::Module { module: "pkg_resources".to_owned() },
            BuildHint::NoNetwork,
            BuildHint::OtherSource,
            BuildHint::Allow,
            BuildHint::IgnoreFiles,
            BuildHint::MoreTime,
        ];
        insta::assert_snapshot!(words(hints.map(Hint::Build)), @"
        add the Debian package that contains `x/y.h` with `--build-with PACKAGE`
        the build does not find the module `pkg_resources`: if the project does not list it among its build requirements, another version may, or an older setuptools may contain it
        a build has no network: use a version whose source contains everything, or a wheel
        use a wheel, or a source distribution with a `Cargo.lock`
        leave out `--no-build`, or use a version that has a wheel
        name the files that the build does not need in the folder's `.gitignore`
        allow more time with `--build-timeout SECONDS`; 0 means that there is no limit
        ");
    }

    #[test]
    fn hints_about_commands_in_words() {
        let hints = [
            CommandHint::Name,
            CommandHint::ShellOrWords { line: "exec run $PORT".to_owned() },
            CommandHint::ByPython { path: "main.py".to_owned() },
        ];
        insta::assert_snapshot!(words(hints.map(Hint::Command)), @"
        name the command after `--`, such as `lath build . -- uvicorn main:app --host 0.0.0.0`, or the module with `-m MODULE`
        write the command without a shell, with a port of your choice: `lath build . -- COMMAND ...`; or add a shell with `--shell`: the image then runs `/bin/sh -c 'exec run $PORT'`
        run it with Python: `-- python main.py`
        ");
    }

    #[test]
    fn hints_about_checks_in_words() {
        let hints = [ProofHint::MoreTime, ProofHint::Keep { path: "/a".to_owned() }, ProofHint::Untrimmed];
        insta::assert_snapshot!(words(hints.map(Hint::Proof)), @"
        allow more time with `--proof-timeout SECONDS`; 0 means that there is no limit
        keep a removed path with `--keep /a`
        build with `--trim none` to find out whether trimming is the cause; `--no-verify` builds without checks
        ");
    }

    #[test]
    fn hints_about_servers_in_words() {
        let hints = [
            NetworkHint::FillCache,
            NetworkHint::Certificates,
            NetworkHint::RedirectLoop,
            NetworkHint::Reachable,
            NetworkHint::ProxyPassword,
            NetworkHint::Password,
            NetworkHint::ProxyPage,
            NetworkHint::OtherBytes,
            NetworkHint::Slow,
            NetworkHint::LargePage,
            NetworkHint::LargeMetadata,
            NetworkHint::ManyPages,
        ];
        insta::assert_snapshot!(words(hints.map(Hint::Network)), @"
        run once without `--offline` to fill the cache
        if a proxy signs with its own certificate, name the file that contains it with `SSL_CERT_FILE=FILE`
        the server redirects requests in a circle: check whether the URL is right, or use another server
        check whether this machine can reach the host; `HTTPS_PROXY` sets a proxy, `NO_PROXY` sets exceptions
        the proxy requires a name and a password: `HTTPS_PROXY=http://NAME:PASSWORD@HOST:PORT`
        give a name and a password in the URL, `https://NAME:PASSWORD@HOST/`, or in a netrc file; for an index with a name, such as `--index CORP=URL`, also in `LATH_INDEX_CORP_USERNAME` and `LATH_INDEX_CORP_PASSWORD`
        check the proxy settings: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`
        a proxy or a mirror does not send the bytes that were published: use another, or try again later
        try again later or with fewer `--jobs`, or use a mirror that is nearer
        no honest index or archive sends this much: check whether the URL is right, or use another server
        no honest wheel has this much metadata: check whether its URL or path is right
        restrict the versions, so that lath reads fewer pages, or check whether the index is honest
        ");
    }

    #[test]
    fn hints_about_archives_in_words() {
        let hints = [
            ArchiveHint::SecurityMirror,
            ArchiveHint::OtherRelease { known: vec!["debian:trixie".to_owned(), "debian:bookworm".to_owned()] },
            ArchiveHint::ProxyPage,
            ArchiveHint::Keyring,
            ArchiveHint::BinaryKeyring,
            ArchiveHint::StaleMirror,
            ArchiveHint::UpdatingMirror,
            ArchiveHint::PlatformMirror,
        ];
        insta::assert_snapshot!(words(hints.map(Hint::Archive)), @"
        use a mirror that has the security updates with `--security-mirror URL`
        lath knows `debian:trixie`, `debian:bookworm`; older releases are on other mirrors: `--mirror URL`
        check whether a proxy intercepts requests to the mirror, or use another mirror with `--mirror URL`
        if the archive is your own, name its keys with `--keyring FILE`; otherwise use another mirror with `--mirror URL`
        a keyring is a file of public keys in binary form, like those in `/usr/share/keyrings`; `gpg --dearmor` converts an armored file
        the mirror is out of date, or the clock of this machine is wrong; use another mirror with `--mirror URL`
        if the mirror is being updated, try again in some minutes; or use another mirror with `--mirror URL`
        the mirror does not have this platform: use one that has it with `--mirror URL`
        ");
    }

    #[test]
    fn hints_about_engines_in_words() {
        let hints = [
            EngineHint::Install,
            EngineHint::StartDaemon,
            EngineHint::BaseWithApt,
            EngineHint::Certificates,
            EngineHint::Buildx,
            EngineHint::Restart,
        ];
        insta::assert_snapshot!(words(hints.map(Hint::Engine)), @"
        start Docker, or install podman or buildah; `lath build` and `lath run` do not need an engine
        start Docker or Podman's socket (`systemctl --user start podman.socket`), or name another daemon with `DOCKER_HOST`; if there is none, write a file with `-o NAME.tar` and load it on a machine that has one
        the base image has no apt: use an image of Debian or Ubuntu with `--from`
        name the file with the certificates of your company with `--ca FILE`
        install Docker's plugin `buildx`, or leave out `--builder buildkit`
        check whether the engine is running, then build again: finished steps are in its cache
        ");
    }
}
