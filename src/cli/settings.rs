//! Makes the request and the settings of the world from the settings and the environment. All defaults are resolved
//! here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use crate::catalog::releases;
use crate::cli::bases::{self, ReleaseName};
use crate::cli::defaults;
use crate::cli::environment::Environment;
use crate::cli::failure::Failure;
use crate::cli::inputs;
use crate::cli::layers::Settings;
use crate::cli::outputs;
use crate::cli::projects;
use crate::cli::registries;
use crate::cli::runtime::{copies, refuse_two_commands, runtime};
pub(super) use crate::cli::values::usage;
use crate::cli::values::{all, shell_hint, words};
use crate::model::destination::Destination;
use crate::model::distribution_name::normalised;
use crate::model::glob;
use crate::model::indexes::{IndexEntry, Indexes};
use crate::model::locale::Locale;
use crate::model::non_empty::NonEmpty;
use crate::model::platform::{Architecture, Platform, PythonVersion};
use crate::model::python_home::PythonHome;
use crate::model::request::{
    BuildsRequest, LayersRequest, PackRequest, ProofRequest, PythonRequest, ReleaseRequest, Request, TrimLevel,
    TrimRequest,
};
use crate::model::trace::Trace;
use crate::model::world_settings::WorldSettings;
use crate::pipeline;

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(usage)
}

/// Turns settings into a request. If no layer contains an option, its default is chosen here.
pub(super) fn request(settings: &Settings, environment: &Environment) -> Result<Request, Failure> {
    let mut inputs = inputs::read(settings)?;
    if inputs.is_empty() {
        return Err(usage(
            "cannot install nothing: name a requirement, such as `pre-commit`, a project, such as `.`, or a file of requirements with `-r`",
        ));
    }
    let settings = &settings.clone().over(inputs.layer.clone());
    let (version, is_expected, base) = release(settings)?;
    let base_image = bases::image(settings, inputs.requires_python.clone())?;
    if base_image.is_none() {
        inputs.check_python(version)?;
    }
    let output = outputs::output(settings, inputs.name().as_deref())?;
    let checks = checks(settings)?;
    let limit_secs = settings.proof_timeout.unwrap_or_else(|| default_proof_secs(checks.len()));
    let compression = parsed(settings.compression.as_deref().unwrap_or(defaults::COMPRESSION))?;
    let layers = layers(settings)?;
    refuse_two_commands(settings)?;
    inputs.check_command(settings.run.as_deref().unwrap_or_default());
    let runtime = runtime(settings, inputs.has_application().then_some(defaults::APPLICATION))?;
    let written = output.destinations.iter().filter_map(Destination::path).map(PathBuf::from);
    let written = written.chain(settings.metadata_file.clone()).chain(settings.explanation.clone());
    let written: Vec<PathBuf> = written.collect();
    let app = runtime.workdir.as_ref().map(|workdir| inputs.application(workdir, &written)).transpose()?.flatten();
    Ok(Request {
        python: PythonRequest {
            version,
            home: PythonHome::Release,
            is_expected,
            requirements: inputs.requirements,
            requirement_files: inputs.requirement_files,
            constraint_files: all(&settings.constraint),
            prereleases: settings.prerelease.unwrap_or(defaults::PRERELEASE),
            indexes: indexes(settings)?,
            script: inputs.script,
            project: inputs.project.as_ref().map(|project| projects::request(project, settings)),
            builds: BuildsRequest { extra_requires: inputs.extra_requires, ..builds(settings)? },
            lock: None,
            preferred: Vec::new(),
        },
        release: base,
        base_image,
        platforms: platforms(settings)?,
        trim: trim(settings)?,
        bytecode: settings.bytecode.unwrap_or(defaults::BYTECODE),
        user_base: parsed(settings.user_base.as_deref().unwrap_or(defaults::USER_BASE))?,
        runtime,
        app,
        copies: copies(settings)?,
        proof: ProofRequest { checks, verify: !settings.no_verify.unwrap_or(false), limit_secs },
        pack: PackRequest { compression, layers, epoch_secs: epoch_secs(environment)? },
        output,
        notices: inputs.notices,
        lock: None,
    })
}

fn trim(settings: &Settings) -> Result<TrimRequest, Failure> {
    Ok(TrimRequest {
        level: settings.trim.unwrap_or(defaults::TRIM),
        keep: keep(settings)?,
        keep_modules: all(&settings.keep_module),
        locales: locales(settings)?,
        only_scripts: settings.only_scripts.unwrap_or(false),
        records: records(settings)?,
        put_back: BTreeSet::new(),
    })
}

/// Returns how files are divided into layers.
fn layers(settings: &Settings) -> Result<LayersRequest, Failure> {
    let max = settings.max_layers.unwrap_or(defaults::MAX_LAYERS);
    if !(1..=LayersRequest::MAX).contains(&max) {
        return Err(usage(format!("cannot make {max} layers: `--max-layers` is from 1 to {}", LayersRequest::MAX)));
    }
    Ok(LayersRequest { layering: settings.layers.unwrap_or(defaults::LAYERS), max })
}

/// Returns the settings for builds from source: which distributions are built, and how.
fn builds(settings: &Settings) -> Result<BuildsRequest, Failure> {
    let names = |names: &Option<Vec<String>>| all(names).iter().map(|name| normalised(name)).collect();
    let mut config_settings: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for text in all(&settings.config_setting) {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                config_settings.entry(name.to_owned()).or_default().push(value.to_owned());
            }
            _ => return Err(usage(format!("cannot read the setting `{text}`: write it as `KEY=VALUE`"))),
        }
    }
    Ok(BuildsRequest {
        packages: all(&settings.build_with),
        no_build: settings.no_build.unwrap_or(false),
        no_build_packages: names(&settings.no_build_package),
        no_binary_packages: names(&settings.no_binary_package),
        config_settings,
        extra_requires: BTreeMap::new(),
        limit_secs: settings.build_timeout,
        keep_failed: settings.keep_failed.unwrap_or(false),
    })
}

fn indexes(settings: &Settings) -> Result<Indexes, Failure> {
    Ok(Indexes {
        default_index: settings.default_index.as_ref().map(IndexEntry::parse),
        extra: settings.index.iter().flatten().map(IndexEntry::parse).collect(),
        find_links: all(&settings.find_links),
        has_only_links: settings.no_index.unwrap_or(false),
        strategy: settings.index_strategy.unwrap_or(defaults::INDEX_STRATEGY),
        keyring: settings.keyring_provider.unwrap_or(defaults::KEYRING_PROVIDER),
        torch_backend: settings.torch_backend.as_deref().map(parsed).transpose()?,
        exclude_newer: settings.exclude_newer.clone(),
    })
}

/// Returns the version of Python, whether this version may still change, and the release. If there is a base image, all
/// three are replaced later by the values of the base image.
fn release(settings: &Settings) -> Result<(PythonVersion, bool, ReleaseRequest), Failure> {
    let wanted: Option<PythonVersion> = settings.python.as_deref().map(parsed).transpose()?;
    let named = settings.release.as_deref().map(ReleaseName::parse).transpose()?;
    let release = match (&wanted, &named) {
        (_, Some(ReleaseName { distribution, name })) => releases::find(*distribution, name),
        // The base image determines the release.
        (_, None) if settings.base.is_some() => None,
        (Some(version), None) => releases::for_python().into_iter().find(|release| release.python == *version),
        (None, None) => Some(releases::default()),
    };
    let (distribution, suite) = match (&named, release) {
        (_, Some(release)) => (release.distribution, release.suite.clone()),
        (Some(ReleaseName { distribution, name }), None) => (*distribution, (*name).to_owned()),
        (None, None) if settings.base.is_some() => {
            (releases::default().distribution, releases::default().suite.clone())
        }
        (None, None) => {
            let version = settings.python.as_deref().unwrap_or_default();
            let known = releases::for_python().into_iter();
            let known: Vec<String> = known.map(|release| format!("{} ({})", release.python, release.suite)).collect();
            return Err(usage(format!(
                "cannot find a release with python {version}: lath knows releases with {}",
                known.join(", ")
            )));
        }
    };
    let (version, is_expected) = match (wanted, release) {
        (Some(version), _) => (version, false),
        // The Python of a published release never changes. The Python of a release that is not published yet may
        // change.
        (None, Some(release)) => (release.python, release.number.is_none()),
        (None, None) => (releases::default().python, true),
    };
    let base = ReleaseRequest {
        distribution,
        suite,
        packages: all(&settings.with),
        recommends: settings.recommends.unwrap_or(false),
        mirror: settings.mirror.clone(),
        security_mirror: settings.security_mirror.clone(),
    };
    Ok((version, is_expected, base))
}

fn platforms(settings: &Settings) -> Result<NonEmpty<Platform>, Failure> {
    let mut platforms: Vec<Platform> = Vec::new();
    for text in all(&settings.platform) {
        let platform = parsed(&text)?;
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    let of_host = || {
        let architecture = Architecture::of_host().ok_or_else(|| {
            usage("cannot build for the processor of this machine: choose a platform with `--platform linux/amd64`")
        })?;
        Ok(NonEmpty::of(Platform { architecture }))
    };
    NonEmpty::new(platforms).map_or_else(of_host, Ok)
}

fn keep(settings: &Settings) -> Result<Vec<String>, Failure> {
    let patterns = all(&settings.keep);
    match patterns.iter().find(|pattern| !glob::is_pattern(pattern)) {
        Some(pattern) => Err(usage(format!(
            "cannot read the pattern `{pattern}` of `--keep`: write a path of the image with `*`, `**` and `?`, beginning \
             with `/` or `*`"
        ))),
        None => Ok(patterns),
    }
}

fn locales(settings: &Settings) -> Result<Vec<Locale>, Failure> {
    let read = |name: &String| {
        let error =
            || usage(format!("cannot read the language `{name}` of `--locale`: write a code such as `de` or `pt_BR`"));
        Locale::parse(name).ok_or_else(error)
    };
    all(&settings.locale).iter().map(read).collect()
}

/// Reads the records for `--trim trace`, and joins them. `None` if there are none. Without records and without checks
/// there would be no evidence, so such settings are refused.
fn records(settings: &Settings) -> Result<Option<Trace>, Failure> {
    if settings.trim != Some(TrimLevel::Trace) {
        return Ok(None);
    }
    let mut joined: Option<Trace> = None;
    for path in all(&settings.trace) {
        let record = pipeline::read_trace(&path).map_err(|error| Failure::of(&error))?;
        joined.get_or_insert_default().merge(record);
    }
    if joined.is_none() && settings.no_verify == Some(true) {
        return Err(usage(
            "cannot trim to the files that runs use: `--no-verify` runs no check, and `--trace` names no record",
        ));
    }
    Ok(joined)
}

fn epoch_secs(environment: &Environment) -> Result<u64, Failure> {
    const LAST: u64 = PackRequest::MAX_EPOCH_SECS;
    let Some(text) = environment.text("SOURCE_DATE_EPOCH") else {
        return Ok(PackRequest::DEFAULT_EPOCH_SECS);
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.trim().parse() {
        Ok(secs) if secs <= LAST => Ok(secs),
        // A number that is too large for its type is reported like every number that is out of range.
        _ if is_number(text.trim()) => Err(usage(format!(
            "cannot use SOURCE_DATE_EPOCH `{text}`: an image can hold times up to {LAST} (2242-03-16)"
        ))),
        _ => Err(usage(format!("cannot read SOURCE_DATE_EPOCH `{text}`: it must be a number of seconds since 1970"))),
    }
}

pub(super) fn cache_dir(settings: &Settings, environment: &Environment) -> Result<PathBuf, Failure> {
    let given = settings.cache_dir.clone();
    given
        .or_else(|| environment.caches().map(|caches| caches.join("lath")))
        .ok_or_else(|| usage("cannot find a directory for the cache: HOME is not set; name one with `--cache-dir DIR`"))
}

pub(super) fn world(
    settings: &Settings,
    environment: &Environment,
    cache_dir: PathBuf,
) -> Result<WorldSettings, Failure> {
    Ok(WorldSettings {
        cache_dir,
        offline: settings.offline.unwrap_or(false),
        jobs: settings.jobs.unwrap_or(defaults::JOBS),
        daemon: environment.daemon(),
        sandbox: environment.sandbox(),
        variables: environment.all(),
        netrc: environment.netrc(),
        keyring: settings.keyring.clone(),
        vendor: settings.vendor.clone(),
        registries: registries::settings(settings, environment)?,
    })
}

/// Returns five minutes for lath's own checks, plus twice the time limit of each `--check`. A `--check` counts twice,
/// because it runs in both trees.
fn default_proof_secs(checks: usize) -> u64 {
    300 + 240 * checks as u64
}

/// Returns the checks. Refuses a check that a shell could not split into words.
fn checks(settings: &Settings) -> Result<Vec<String>, Failure> {
    let unreadable = |check: &&String| shlex::split(check).is_none_or(|words| words.is_empty());
    let checks = all(&settings.check);
    match checks.iter().find(unreadable) {
        Some(check) => {
            Err(usage(format!("cannot read the check `{check}`: a quote is not closed, or there is no command")))
        }
        None => Ok(checks),
    }
}

/// Refuses a check with the syntax of a shell. lath runs checks without a shell. Only an engine runs the checks of a
/// Dockerfile with a shell.
pub(super) fn refuse_checks_for_a_shell(settings: &Settings) -> Result<(), Failure> {
    // A check that cannot be read at all is refused later, for every command.
    let readable = settings.check.iter().flatten().filter(|check| shlex::split(check).is_some());
    for check in readable {
        let refused = |why| usage(format!("cannot run the check `{check}`: {why}"));
        words(check).map_err(|why| refused(why).with_hints(shell_hint(check, "`--shell`")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;
    use crate::cli::bases::with_release;
    use crate::cli::build::Build;
    use crate::cli::layers::Typed as _;
    use crate::model::request::{Bytecode, Compression, Entrypoint, Prereleases};

    fn settle(line: &str) -> Result<Request, String> {
        let command = Build::augment_args(clap::Command::new("build").no_binary_name(true));
        let matches = command.try_get_matches_from(line.split_whitespace());
        let build = matches.and_then(|matches| Build::from_arg_matches(&matches)).map_err(|error| error.to_string())?;
        request(&with_release(build.typed()), &Environment::default()).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_name_alone_comes_to_the_defaults() {
        let request = settle("Pre-Commit[x]>=4 --platform amd64,linux/amd64").unwrap();
        assert_eq!(request.output.name, "pre-commit");
        assert_eq!(request.release.suite, "trixie");
        assert_eq!(request.python.version.to_string(), "3.13");
        assert_eq!(request.platforms.len(), 1);
        assert_eq!(request.output.destinations, [Destination::Archive("pre-commit.tar".into())]);
    }

    #[test]
    fn a_check_with_the_syntax_of_a_shell_is_refused() {
        let refused = |check: &str| {
            let settings = Settings { check: Some(vec![check.to_owned()]), ..Settings::default() };
            refuse_checks_for_a_shell(&settings).map_err(|failure| failure.to_string())
        };
        let error = refused("a > log").unwrap_err();
        assert!(error.contains("cannot run the check `a > log`: no shell reads it, so `>` would be"), "{error}");
        assert!(refused("sh -c 'a > log'").is_ok());
        // An engine runs the checks of a Dockerfile with a shell.
        assert!(settle("x --check a>log").is_ok());
    }

    #[test]
    fn the_layer_of_defaults_has_the_defaults_of_the_request() {
        let environment = Environment::default();
        let tool = Settings { requirement: Some(vec!["tool".into()]), ..Settings::default() };
        let shown = tool.clone().over(defaults::layer());
        let of = |settings: &Settings| format!("{:?}", request(settings, &environment).unwrap());
        assert_eq!(of(&shown), of(&tool));
        let of = |settings: &Settings| format!("{:?}", world(settings, &environment, PathBuf::new()));
        assert_eq!(of(&shown), of(&tool));
        assert!(of(&tool).contains("jobs: 16"));
    }

    #[test]
    fn the_request_of_one_requirement_has_the_defaults_of_the_documentation() {
        let request = settle("tool").unwrap();
        assert_eq!((request.trim.level, request.bytecode), (TrimLevel::Standard, Bytecode::Start));
        assert_eq!(
            (request.user_base.to_string(), request.runtime.user.as_str()),
            ("/opt/app".to_owned(), "65532:65532")
        );
        assert_eq!((request.runtime.entrypoint, request.runtime.shell), (Entrypoint::Exec, false));
        assert_eq!(
            (request.python.prereleases, request.pack.compression),
            (Prereleases::IfNecessary, Compression::Gzip(6))
        );
        assert_eq!((request.proof.verify, request.proof.limit_secs), (true, 300));
        assert_eq!(settle("tool --check true --check false").unwrap().proof.limit_secs, 300 + 2 * 240);
        assert!(!settle("tool --no-verify").unwrap().proof.verify);
    }

    #[test]
    fn a_wheel_by_path_or_url_names_the_image() {
        for line in ["./dist/My_Tool-1.0-py3-none-any.whl", "https://host/x/My_Tool-1.0-py3-none-any.whl#sha256=00"] {
            assert_eq!(settle(line).unwrap().output.name, "my-tool", "{line}");
        }
        assert_eq!(settle("dist/my_tool-1.0-py3-none-any.whl").unwrap().output.name, "my-tool");
    }

    #[test]
    fn a_source_by_path_or_url_names_the_image() {
        for line in [
            "./dist/My_Tool-1.0.tar.gz",
            "https://host/x/my-tool-1.0.zip#sha256=00",
            "git+https://host/x/My-Tool.git@v1",
        ] {
            assert_eq!(settle(line).unwrap().output.name, "my-tool", "{line}");
        }
    }

    #[test]
    fn builds_have_the_options_of_the_command_line() {
        let builds =
            settle("x --build-with libpq-dev --no-binary-package My_Pkg --config-setting a=b --config-setting a=c")
                .unwrap()
                .python
                .builds;
        assert_eq!(
            (builds.packages.join(" "), builds.no_binary_packages.join(" ")),
            ("libpq-dev".to_owned(), "my-pkg".to_owned())
        );
        assert_eq!(builds.config_settings["a"], ["b", "c"]);
        assert!(!builds.no_build && settle("x --no-build").unwrap().python.builds.no_build);
        assert!(settle("x --config-setting a").unwrap_err().contains("write it as `KEY=VALUE`"));
    }

    #[test]
    fn a_python_brings_its_release_and_a_release_its_python() {
        assert_eq!(settle("x --python 3.11").unwrap().release.suite, "bookworm");
        assert_eq!(settle("x --release debian:bookworm").unwrap().python.version.to_string(), "3.11");
    }

    #[test]
    fn a_release_is_known_by_its_suite_its_number_and_other_names() {
        let settled = |line: &str| {
            let Request { release: base, python, .. } = settle(line).unwrap();
            let expected = if python.is_expected { "expected" } else { "certain" };
            format!("{}:{} {} {expected}", base.distribution, base.suite, python.version)
        };
        let table = [
            ("x --python 3.14", "ubuntu:resolute 3.14 certain"),
            ("x --release ubuntu:26.04", "ubuntu:resolute 3.14 certain"),
            ("x --release debian:12", "debian:bookworm 3.11 certain"),
            ("x --release debian:stable --python 3.13", "debian:trixie 3.13 certain"),
            // The versions of Python in these releases may change, so lath reads them from the archive.
            ("x --release debian:testing", "debian:forky 3.14 expected"),
            ("x --release debian:unstable --python 3.14", "debian:sid 3.14 certain"),
            ("x --release debian:duke", "debian:duke 3.13 expected"),
        ];
        for (line, expected) in table {
            assert_eq!(settled(line), expected, "{line}");
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
            ("x --compression zstd:chunked:20", "cannot read the compression `zstd:chunked:20`"),
            ("x --compression gzip:chunked", "cannot read the compression `gzip:chunked`"),
            ("x --max-layers 0", "cannot make 0 layers"),
            ("x --max-layers 126", "`--max-layers` is from 1 to 125"),
            ("x -o docker:x", "cannot read the destination `docker:x`"),
            ("x -t Big/Name", "cannot name an image `Big/Name`"),
            ("x --release alpine:3", "cannot use the release `alpine:3`"),
            ("x --base Alpine:3", "cannot use the base `Alpine:3`"),
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
            ("./dir", "set it with `-t NAME`"),
            ("", "cannot install nothing"),
            ("x --check 'open", "cannot read the check `'open`"),
        ];
        for (line, message) in table {
            let error = settle(line).err().unwrap_or_default();
            assert!(error.contains(message), "{line}: {error}");
        }
        assert!(!settle("x --env SECRET").err().unwrap().contains("SECRET"));
    }
}
