//! The values of `--release` and `--base`: a release of Debian or Ubuntu, or an image.

use crate::catalog::releases;
use crate::cli::failure::Failure;
use crate::cli::layers::Settings;
use crate::cli::values::usage;
use crate::model::image_source::ImageSource;
use crate::model::request::{BaseImageRequest, Distribution};

/// The schemes with which the place of an image can begin, such as `oci` in `oci:FOLDER`.
const SCHEMES: [&str; 5] = ["docker", "oci", "oci-archive", "docker-archive", "docker-daemon"];

/// The release that the user named. lath may not know a release with this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReleaseName<'a> {
    pub(super) distribution: Distribution,
    /// The suite, the number or an alias, such as `trixie`, `13` or `stable`.
    pub(super) name: &'a str,
}

impl<'a> ReleaseName<'a> {
    /// Reads `debian:trixie`, or only the name of a known release, such as `trixie`.
    pub(super) fn parse(text: &'a str) -> Result<Self, Failure> {
        let of = |distribution, name| Self { distribution, name };
        let known = || {
            let found = releases::all().iter().find(|release| release.suite == text);
            found.map(|release| of(release.distribution, text))
        };
        match text.split_once(':') {
            Some(("debian", name)) => Ok(of(Distribution::Debian, name)),
            Some(("ubuntu", name)) => Ok(of(Distribution::Ubuntu, name)),
            _ => known().ok_or_else(|| {
                usage(format!(
                    "cannot use the release `{text}`: write `debian:trixie`, `debian:bookworm` or another release"
                ))
            }),
        }
    }

    /// Reads a value of `--base`. `None` if the value names an image. For example, `debian:trixie-slim` and
    /// `debian:12.11` name images, because their tags are not names of releases.
    fn of_base(text: &'a str) -> Option<Self> {
        let release = Self::parse(text).ok()?;
        let is_known = releases::find(release.distribution, release.name).is_some();
        let is_suite = !release.name.is_empty() && release.name.bytes().all(|byte| byte.is_ascii_lowercase());
        (is_known || is_suite).then_some(release)
    }
}

/// If the value of `base` is a release, moves this value to `release`, unless `release` already has a value. In the
/// result, `base` is either empty or an image.
pub(super) fn with_release(settings: Settings) -> Settings {
    match settings.base.as_deref().and_then(ReleaseName::of_base) {
        None => settings,
        Some(_) => {
            let Settings { base, release, .. } = &settings;
            let release = release.clone().or_else(|| base.clone());
            Settings { base: None, release, ..settings }
        }
    }
}

/// Returns the base image, if there is one in the settings. `requires_python` is the range of Python versions that the
/// inputs allow.
pub(super) fn image(settings: &Settings, requires_python: Option<String>) -> Result<Option<BaseImageRequest>, Failure> {
    let uses_packages = !settings.no_base_packages.unwrap_or(false);
    let Some(text) = &settings.base else {
        return match uses_packages {
            true => Ok(None),
            false => Err(usage("cannot use `--no-base-packages` without a base image: name one with `--base IMAGE`")),
        };
    };
    Ok(Some(BaseImageRequest {
        source: source(text)?,
        uses_packages,
        requires_python,
        python: settings.python.as_deref().map(str::parse).transpose().map_err(usage)?,
        has_release: settings.release.is_some(),
        has_user: settings.user.is_some(),
        root: None,
        images: Vec::new(),
    }))
}

/// Reads the place of an image. A name without a scheme is the name of an image in a registry, like in Docker.
fn source(text: &str) -> Result<ImageSource, Failure> {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    // `oci:1` is the path of a layout, but `docker:28` is the name of an image in a registry.
    if SCHEMES.contains(&scheme) && (scheme != "docker" || text.starts_with("docker://")) {
        return text.parse().map_err(usage);
    }
    text.parse().map(ImageSource::Registry).map_err(|_| {
        usage(format!(
            "cannot use the base `{text}`: write a release, such as `debian:trixie`, the name of an image, such as \
             `registry.example/base/python:3.13`, or the place of one, such as `oci:FOLDER` or `docker-archive:FILE`"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_a_release_or_an_image() {
        let table = [
            ("debian:trixie", "release debian:trixie"),
            ("bookworm", "release bookworm"),
            ("noble", "release noble"),
            ("ubuntu:26.04", "release ubuntu:26.04"),
            ("debian:12", "release debian:12"),
            ("debian:duke", "release debian:duke"),
            ("debian:12.11", "image docker://docker.io/library/debian:12.11"),
            ("debian:trixie-slim", "image docker://docker.io/library/debian:trixie-slim"),
            ("debian", "image docker://docker.io/library/debian:latest"),
            ("python:3.13-slim", "image docker://docker.io/library/python:3.13-slim"),
            ("docker:28", "image docker://docker.io/library/docker:28"),
            ("registry.example:5000/base/python:3.12", "image docker://registry.example:5000/base/python:3.12"),
            ("docker://registry.example/base", "image docker://registry.example/base:latest"),
            ("oci:dir:1", "image oci:dir:1"),
            ("oci-archive:base.tar", "image oci-archive:base.tar"),
            ("docker-archive:base.tar", "image docker-archive:base.tar"),
            ("docker-daemon:base:1", "image docker-daemon:base:1"),
        ];
        for (text, expected) in table {
            let settings = with_release(Settings { base: Some(text.to_owned()), ..Settings::default() });
            let found = match (&settings.release, image(&settings, None).unwrap()) {
                (Some(release), None) => format!("release {release}"),
                (None, Some(request)) => format!("image {}", request.source),
                other => panic!("{text}: {other:?}"),
            };
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn other_bases_are_refused() {
        for (text, message) in [
            ("Big", "cannot use the base `Big`"),
            ("oci:", "cannot read `oci:` as the place of an image"),
            ("docker://Big", "cannot read `docker://Big`"),
        ] {
            let settings = Settings { base: Some(text.to_owned()), ..Settings::default() };
            let error = image(&settings, None).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
        let alone = Settings { no_base_packages: Some(true), ..Settings::default() };
        assert!(image(&alone, None).unwrap_err().to_string().contains("without a base image"));
        assert!(ReleaseName::parse("alpine:3").unwrap_err().to_string().contains("cannot use the release `alpine:3`"));
    }
}
