//! Arguments and environment -> request, and settings of the world.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use crate::cli::args::{Build, BytecodeKind, EntrypointForm, Global, Prerelease, Trim};
use crate::cli::environment;
use crate::cli::failure::Failure;
use crate::model::glob;
use crate::model::image_path::ImagePath;
use crate::model::platform::{Architecture, Platform, PythonVersion};
use crate::model::request::{
    BaseRequest, Bytecode, Copied, Destination, Distribution, Entrypoint, Indexes, Prereleases, PythonRequest, Request,
    RuntimeRequest, TrimLevel, TrimRequest, Volume, is_image_name,
};
use crate::model::world_settings::{SandboxSettings, WorldSettings};

/// The Python version of each release. The first is the default.
pub(super) const BASES: [(&str, Distribution, &str); 5] = [
    ("3.13", Distribution::Debian, "trixie"),
    ("3.11", Distribution::Debian, "bookworm"),
    ("3.14", Distribution::Debian, "sid"),
    ("3.10", Distribution::Ubuntu, "jammy"),
    ("3.12", Distribution::Ubuntu, "noble"),
];

pub(super) fn usage(error: impl Display) -> Failure {
    Failure::usage(error.to_string())
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(usage)
}

/// Splits `NAME=VALUE`.
fn pairs(option: &str, texts: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut pairs = BTreeMap::new();
    for text in texts {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => pairs.insert(name.to_owned(), value.to_owned()),
            // The whole text may be a secret that the user pasted at the wrong place.
            _ => return Err(usage(format!("cannot read the value of `{option}`: write it as `NAME=VALUE`"))),
        };
    }
    Ok(pairs)
}

/// Turns the arguments into a request.
pub(super) fn request(build: &Build) -> Result<Request, Failure> {
    let (version, base) = base(build)?;
    let name = match &build.tag {
        Some(tag) => checked_name(tag)?,
        None => default_name(build)?,
    };
    let mut destinations = Vec::new();
    for output in &build.output {
        destinations.push(parsed::<Destination>(output)?);
    }
    if build.load {
        destinations.push(Destination::Daemon(name.clone()));
    }
    if destinations.is_empty() {
        let file = name.rsplit('/').next().and_then(|last| last.split(':').next()).unwrap_or("image");
        destinations.push(Destination::Archive(PathBuf::from(format!("{file}.tar"))));
    }
    Ok(Request {
        python: PythonRequest {
            version,
            requirements: build.requirement.clone(),
            requirement_files: build.requirements.clone(),
            constraint_files: build.constraint.clone(),
            prereleases: match build.prerelease {
                Prerelease::Disallow => Prereleases::Disallow,
                Prerelease::Allow => Prereleases::Allow,
                Prerelease::IfNecessary => Prereleases::IfNecessary,
                Prerelease::Explicit => Prereleases::Explicit,
            },
            indexes: Indexes {
                default_index: build.default_index.clone(),
                extra: build.index.clone(),
                exclude_newer: build.exclude_newer.clone(),
            },
        },
        base,
        platforms: platforms(build)?,
        trim: trim(build)?,
        bytecode: match build.bytecode {
            BytecodeKind::None => Bytecode::None,
            BytecodeKind::Start => Bytecode::Start,
            BytecodeKind::All => Bytecode::All,
        },
        user_base: parsed(&build.user_base)?,
        runtime: runtime(build)?,
        copies: copies(build)?,
        checks: checks(build)?,
        verify: !build.no_verify,
        proof_secs: build.proof_timeout.unwrap_or_else(|| default_proof_secs(build.check.len())),
        compression: parsed(&build.compression)?,
        epoch_secs: epoch_secs()?,
        name,
        destinations,
        metadata_file: build.metadata_file.clone(),
    })
}

fn base(build: &Build) -> Result<(PythonVersion, BaseRequest), Failure> {
    let wanted: Option<PythonVersion> = build.python.as_deref().map(parsed).transpose()?;
    let named = match build.base.as_deref() {
        None => None,
        Some(text) => {
            let (distribution, suite) = match text.split_once(':') {
                Some(("debian", suite)) => (Distribution::Debian, suite),
                Some(("ubuntu", suite)) => (Distribution::Ubuntu, suite),
                _ => {
                    return Err(usage(format!(
                        "cannot use the base `{text}`: write `debian:trixie`, `debian:bookworm` or another release"
                    )));
                }
            };
            Some((distribution, suite.to_owned()))
        }
    };
    let known = match (&wanted, &named) {
        (_, Some((_, suite))) => BASES.iter().find(|(_, _, known)| known == suite),
        (Some(version), None) => BASES.iter().find(|(known, _, _)| *known == version.to_string()),
        (None, None) => BASES.first(),
    };
    let list = || BASES.map(|(version, _, suite)| format!("{version} ({suite})")).join(", ");
    let (distribution, suite) = match (&named, known) {
        (Some(named), _) => named.clone(),
        (None, Some((_, distribution, suite))) => (*distribution, (*suite).to_owned()),
        (None, None) => {
            let version = build.python.as_deref().unwrap_or_default();
            return Err(usage(format!("cannot find a release with python {version}: there are {}", list())));
        }
    };
    let version = match (wanted, known) {
        (Some(version), _) => version,
        (None, Some((version, _, _))) => parsed(version)?,
        (None, None) => {
            return Err(usage(format!("cannot tell which Python `{suite}` has: name it with `--python VERSION`")));
        }
    };
    let base = BaseRequest {
        distribution,
        suite,
        packages: build.with.clone(),
        recommends: build.recommends,
        mirror: build.mirror.clone(),
        security_mirror: build.security_mirror.clone(),
    };
    Ok((version, base))
}

fn platforms(build: &Build) -> Result<Vec<Platform>, Failure> {
    let mut platforms: Vec<Platform> = Vec::new();
    for text in &build.platform {
        let platform = parsed(text)?;
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    if platforms.is_empty() {
        let architecture = Architecture::of_host().ok_or_else(|| {
            usage("cannot build for this machine's processor: name a platform with `--platform linux/amd64`")
        })?;
        platforms.push(Platform { architecture });
    }
    Ok(platforms)
}

/// The largest user and group id that engines take (`maxID` of github.com/moby/sys/user).
const MAX_ID: u64 = 2_147_483_647;

fn trim(build: &Build) -> Result<TrimRequest, Failure> {
    let level = match build.trim {
        Trim::None => TrimLevel::None,
        Trim::Standard => TrimLevel::Standard,
    };
    Ok(TrimRequest { level, keep: keep(build)? })
}

fn keep(build: &Build) -> Result<Vec<String>, Failure> {
    match build.keep.iter().find(|pattern| !glob::is_pattern(pattern)) {
        Some(pattern) => Err(usage(format!(
            "cannot read the pattern `{pattern}` of `--keep`: write a path of the image with `*`, `**` and `?`, beginning \
             with `/` or `*`"
        ))),
        None => Ok(build.keep.clone()),
    }
}

fn workdir(text: &str) -> Result<ImagePath, Failure> {
    if !text.starts_with('/') {
        return Err(usage(format!("cannot start in `{text}`: write a path of the image that begins with `/`")));
    }
    ImagePath::parse(text).map_err(usage)
}

fn runtime(build: &Build) -> Result<RuntimeRequest, Failure> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_id = |text: &str| is_digits(text) && text.parse::<u64>().is_ok_and(|id| id <= MAX_ID);
    if !build.user.split(':').all(is_id) || build.user.split(':').count() > 2 {
        return Err(usage(format!(
            "cannot run as `{}`: write `UID` or `UID:GID`, in digits, each at most {MAX_ID}",
            build.user
        )));
    }
    let mut expose = Vec::new();
    for port in &build.expose {
        let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        if number.parse::<u16>().is_err() || !["tcp", "udp", "sctp"].contains(&protocol) {
            return Err(usage(format!("cannot expose `{port}`: write it as `8080` or `8080/udp`")));
        }
        expose.push(format!("{number}/{protocol}"));
    }
    Ok(RuntimeRequest {
        scripts: build.script.clone(),
        entrypoint: match build.entrypoint {
            EntrypointForm::Exec => Entrypoint::Exec,
            EntrypointForm::Shell => Entrypoint::Shell,
        },
        shell: build.shell,
        cmd: build.cmd.clone(),
        env: pairs("--env", &build.env)?,
        labels: pairs("--label", &build.label)?,
        annotations: pairs("--annotation", &build.annotation)?,
        user: build.user.clone(),
        workdir: build.workdir.as_deref().map(workdir).transpose()?,
        expose,
    })
}

/// Splits `SRC:DST`: a path of this machine, and an absolute path in the image.
fn places(text: &str) -> Option<(&str, &str)> {
    text.rsplit_once(':').filter(|(source, target)| !source.is_empty() && target.starts_with('/'))
}

fn copies(build: &Build) -> Result<Vec<Copied>, Failure> {
    let mut copies = Vec::new();
    for text in &build.copy {
        let (source, target) = places(text)
            .ok_or_else(|| usage(format!("cannot copy `{text}`: write it as `SRC:DST`, DST beginning with `/`")))?;
        let source = PathBuf::from(source);
        if !source.exists() {
            return Err(usage(format!("cannot copy `{}`: it is not there", source.display())));
        }
        copies.push(Copied { source, target: ImagePath::parse(target).map_err(usage)? });
    }
    Ok(copies)
}

/// Splits `SRC:DST` or `SRC:DST:ro`, as engines do. SRC is relative to the current folder.
pub(super) fn volumes(texts: &[String]) -> Result<Vec<Volume>, Failure> {
    let mut volumes = Vec::new();
    for text in texts {
        let (pair, is_read_only) = match text.rsplit_once(':') {
            Some((pair, "ro")) => (pair, true),
            Some((pair, "rw")) => (pair, false),
            _ => (text.as_str(), false),
        };
        let (source, target) = places(pair)
            .ok_or_else(|| usage(format!("cannot mount `{text}`: write it as `SRC:DST`, DST beginning with `/`")))?;
        let source = fs_err::canonicalize(source).map_err(|error| usage(format!("cannot mount `{text}`: {error}")))?;
        let target = ImagePath::parse(target).map_err(usage)?;
        if target == ImagePath::root() {
            return Err(usage(format!("cannot mount `{text}`: the root is the image's own")));
        }
        volumes.push(Volume { source, target, is_read_only });
    }
    Ok(volumes)
}

fn default_name(build: &Build) -> Result<String, Failure> {
    let unnamed = || usage("cannot name the image by its requirement: name it with `-t NAME`");
    let first = build.requirement.first().ok_or_else(unnamed)?;
    let first = first.exposed();
    if let Some(name) = name_of_wheel(first) {
        return checked_name(&name).map_err(|_| unnamed());
    }
    let name: String =
        first.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).collect();
    checked_name(&name.to_lowercase()).map_err(|_| unnamed())
}

/// Returns the name in the file name of a wheel, which is given by a path or a URL:
/// `./dist/My_Tool-1.0-py3-none-any.whl`.
fn name_of_wheel(requirement: &str) -> Option<String> {
    let place = requirement.trim().split(['#', '?', ' ']).next()?;
    let file = place.strip_suffix(".whl")?.rsplit('/').next()?;
    Some(file.split('-').next()?.to_lowercase().replace('_', "-"))
}

/// Checks a name by the rules of registries (distribution-spec, "Pulling manifests"), with or without a tag.
fn checked_name(text: &str) -> Result<String, Failure> {
    if !is_image_name(text) {
        return Err(usage(format!(
            "cannot name an image `{text}`: write `name`, `name:tag` or `host/name:tag`, in lower case, of at most 255 characters"
        )));
    }
    Ok(text.to_owned())
}

fn epoch_secs() -> Result<u64, Failure> {
    const LAST: u64 = Request::MAX_EPOCH_SECS;
    let Some(text) = environment::text("SOURCE_DATE_EPOCH") else { return Ok(0) };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.trim().parse() {
        Ok(secs) if secs <= LAST => Ok(secs),
        // A number that is too large for the type is also out of range.
        _ if is_number(text.trim()) => Err(usage(format!(
            "cannot use SOURCE_DATE_EPOCH `{text}`: an image can hold times up to {LAST} (2242-03-16)"
        ))),
        _ => Err(usage(format!("cannot read SOURCE_DATE_EPOCH `{text}`: it is a number of seconds since 1970"))),
    }
}

pub(super) fn cache_dir(global: &Global) -> Result<PathBuf, Failure> {
    if let Some(dir) = &global.cache_dir {
        return Ok(dir.clone());
    }
    let base =
        environment::path("XDG_CACHE_HOME").or_else(|| environment::path("HOME").map(|home| home.join(".cache")));
    base.map(|base| base.join("lath"))
        .ok_or_else(|| usage("cannot find a place for the cache: HOME is not set; name one with `--cache-dir DIR`"))
}

pub(super) fn world(build: &Build, global: &Global) -> Result<WorldSettings, Failure> {
    Ok(WorldSettings {
        cache_dir: cache_dir(global)?,
        offline: build.offline,
        jobs: build.jobs,
        docker_host: environment::text("DOCKER_HOST").filter(|host| !host.is_empty()),
        runtime_dir: environment::path("XDG_RUNTIME_DIR"),
        sandbox: sandbox(),
        netrc: environment::path("NETRC").or_else(|| environment::path("HOME").map(|home| home.join(".netrc"))),
        keyring: build.keyring.clone(),
    })
}

/// The parts of the host that the sandbox uses: emulators on its `PATH`, the certificates that it trusts, its proxies.
fn sandbox() -> SandboxSettings {
    const PROXIES: [&str; 4] = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];
    let names = PROXIES.iter().flat_map(|name| [(*name).to_owned(), name.to_uppercase()]);
    SandboxSettings {
        search_path: environment::variable("PATH").map_or_else(Vec::new, |path| std::env::split_paths(&path).collect()),
        certificates: environment::path("SSL_CERT_FILE"),
        proxies: names.filter_map(|name| environment::text(&name).map(|value| (name, value))).collect(),
    }
}

/// Five minutes for lath's own checks, and for each `--check` its own time limit twice, because it runs in both trees.
fn default_proof_secs(checks: usize) -> u64 {
    300 + 240 * checks as u64
}

/// Returns the checks if a shell could parse them.
fn checks(build: &Build) -> Result<Vec<String>, Failure> {
    let unreadable = |check: &&String| shlex::split(check).is_none_or(|words| words.is_empty());
    match build.check.iter().find(unreadable) {
        Some(check) => Err(usage(format!("cannot read the check `{check}`: a quote is open, or there is no command"))),
        None => Ok(build.check.clone()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::{Arguments, Command};

    fn settle(line: &str) -> Result<Request, String> {
        let words = line.split_whitespace().map(str::to_owned);
        let arguments = Arguments::try_parse_from(["lath", "build"].map(str::to_owned).into_iter().chain(words));
        let Command::Build(build) = arguments.map_err(|error| error.to_string())?.command else {
            return Err("no build".to_owned());
        };
        request(&build).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_name_alone_comes_to_the_defaults() {
        let request = settle("Pre-Commit[x]>=4 --platform amd64,linux/amd64").unwrap();
        assert_eq!(request.name, "pre-commit");
        assert_eq!(request.base.suite, "trixie");
        assert_eq!(request.python.version.to_string(), "3.13");
        assert_eq!(request.platforms.len(), 1);
        assert_eq!(request.destinations, [Destination::Archive("pre-commit.tar".into())]);
    }

    #[test]
    fn a_wheel_by_path_or_url_names_the_image() {
        for line in ["./dist/My_Tool-1.0-py3-none-any.whl", "https://host/x/My_Tool-1.0-py3-none-any.whl#sha256=00"] {
            assert_eq!(settle(line).unwrap().name, "my-tool", "{line}");
        }
        assert_eq!(settle("dist/my_tool-1.0-py3-none-any.whl").unwrap().name, "my-tool");
    }

    #[test]
    fn a_python_brings_its_release_and_a_release_its_python() {
        assert_eq!(settle("x --python 3.11").unwrap().base.suite, "bookworm");
        assert_eq!(settle("x --base debian:bookworm").unwrap().python.version.to_string(), "3.11");
    }

    #[test]
    fn a_volume_is_read_as_engines_read_it() {
        let volume = |text: &str| volumes(&[text.to_owned()]).map_err(|failure| failure.to_string());
        let read = volume("/usr:/src:ro").unwrap();
        let target = ImagePath::parse("/src").unwrap();
        assert_eq!(read, [Volume { source: "/usr".into(), target, is_read_only: true }]);
        assert!(volume(".:/src").unwrap()[0].source.is_absolute());
        for text in ["/usr", "/usr:src", ":/src", "/usr:/", "/not-here:/src", "/usr:/../x"] {
            assert!(volume(text).unwrap_err().contains("cannot mount") || text.contains(".."), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_with_a_way_out() {
        let table = [
            ("x --python 3.9", "cannot find a release with python 3.9"),
            ("x --python three", "cannot read `three` as a Python version"),
            ("x --platform linux/riscv64", "cannot build for the platform `linux/riscv64`"),
            ("x --env SECRET", "cannot read the value of `--env`"),
            ("x --user app", "cannot run as `app`"),
            ("x --expose web", "cannot expose `web`"),
            ("x --compression lzma", "cannot read the compression `lzma`"),
            ("x -o docker:x", "cannot read the destination `docker:x`"),
            ("x -t Big/Name", "cannot name an image `Big/Name`"),
            ("x --base alpine:3", "cannot use the base `alpine:3`"),
            ("x --copy nothing-here:/x", "cannot copy `nothing-here`"),
            ("x --workdir data", "cannot start in `data`"),
            ("x --workdir /../up", "leads outside the image"),
            ("x --keep [", "cannot read the pattern `[` of `--keep`"),
            ("x --keep usr/bin/git", "cannot read the pattern `usr/bin/git`"),
            ("x --user 4294967296", "cannot run as `4294967296`"),
            ("x --user 0:2147483648", "cannot run as `0:2147483648`"),
            ("x --user 1:", "cannot run as `1:`"),
            ("x -t a:b:c", "cannot name an image `a:b:c`"),
            ("x --user-base base", "cannot use `base` as the user base"),
            ("x --user-base /a:b", "cannot use `/a:b` as the user base"),
            ("x --user-base /usr/../proc", "as the user base"),
            ("./dir", "name it with `-t NAME`"),
            ("x --check 'open", "cannot read the check `'open`"),
        ];
        for (line, message) in table {
            let error = settle(line).err().unwrap_or_default();
            assert!(error.contains(message), "{line}: {error}");
        }
        assert!(!settle("x --env SECRET").err().unwrap().contains("SECRET"));
    }
}
