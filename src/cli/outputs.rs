//! Settings -> the names of an image and its destinations (docs/decisions/0127-names-and-pushes.md).

use std::path::PathBuf;

use crate::cli::failure::Failure;
use crate::cli::layers::Settings;
use crate::cli::values::{all, usage};
use crate::model::destination::Destination;
use crate::model::image_name::{has_registry, is_image_name};
use crate::model::image_reference::ImageReference;
use crate::model::request::OutputRequest;

/// Returns the names and the destinations of the image. `derived` is the name of a project, a folder or a script. The
/// image gets this name if the user gave it none.
pub(super) fn output(settings: &Settings, derived: Option<&str>) -> Result<OutputRequest, Failure> {
    let mut names = names(settings, derived)?;
    let destinations = destinations(settings, &names)?;
    Ok(OutputRequest {
        name: names.remove(0),
        aliases: names,
        destinations,
        metadata_file: settings.metadata_file.clone(),
        explanation: settings.explanation.clone(),
        attach_explanation: settings.attach_explanation.unwrap_or(false),
    })
}

/// Returns the names of the image. There is at least one name, and no name occurs twice.
fn names(settings: &Settings, derived: Option<&str>) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> = Vec::new();
    for tag in all(&settings.tag) {
        let name = checked_name(&tag)?;
        // `tool` and `tool:latest` are the same name.
        if !names.iter().any(|other| reference(other) == reference(&name)) {
            names.push(name);
        }
    }
    if names.is_empty() {
        names.push(match derived {
            Some(name) => checked_name(name).map_err(|_| unnamed())?,
            None => default_name(settings)?,
        });
    }
    Ok(names)
}

/// Returns the destinations of the image. If there is no destination in the settings, the image is written into the
/// current folder.
fn destinations(settings: &Settings, names: &[String]) -> Result<Vec<Destination>, Failure> {
    let mut destinations = Vec::new();
    for output in all(&settings.output) {
        destinations.push(output.parse::<Destination>().map_err(usage)?);
    }
    if settings.load.unwrap_or(false) {
        destinations.push(Destination::Daemon(names[0].clone()));
    }
    if settings.push.unwrap_or(false) {
        for name in names {
            let pushed = Destination::Registry(pushed(name, settings.repo.as_deref())?);
            if !destinations.contains(&pushed) {
                destinations.push(pushed);
            }
        }
    }
    if destinations.is_empty() {
        let file = names[0].rsplit('/').next().and_then(|last| last.split(':').next()).unwrap_or("image");
        destinations.push(Destination::Archive(PathBuf::from(format!("{file}.tar"))));
    }
    Ok(destinations)
}

/// Returns the registries of the names that are pushed. An invalid name is left out, because `pushed` refuses it.
pub(super) fn pushed_registries(settings: &Settings) -> Vec<String> {
    if !settings.push.unwrap_or(false) {
        return Vec::new();
    }
    let names = settings.tag.clone().unwrap_or_else(|| vec!["image".to_owned()]);
    let images = names.iter().filter_map(|name| pushed(name, settings.repo.as_deref()).ok());
    images.map(|image| image.registry).collect()
}

/// Returns the image in a registry to which `name` is pushed.
fn pushed(name: &str, repo: Option<&str>) -> Result<ImageReference, Failure> {
    let whole = match repo.map(|repo| repo.trim_end_matches('/')) {
        Some(repo) if !is_image_name(&format!("{repo}/x")) => {
            // The text is not shown, because it may be a URL with a password.
            return Err(usage(
                "cannot read the value of `--repo`: write a registry and a prefix, such as `ghcr.io/team`, without `https://`",
            ));
        }
        Some(repo) if !has_registry(name) => format!("{repo}/{name}"),
        None if !name.contains('/') => {
            return Err(usage(format!("cannot push `{name}`: the name has no registry")).with_hints(vec![
                "write the registry into the name, as in `-t ghcr.io/team/NAME`, or set it with `--repo ghcr.io/team` or `LATH_REPO`"
                    .to_owned(),
            ]));
        }
        _ => name.to_owned(),
    };
    whole.parse().map_err(usage)
}

/// Splits a name, which was checked before, into its parts.
fn reference(name: &str) -> Option<ImageReference> {
    name.parse().ok()
}

fn unnamed() -> Failure {
    usage("cannot derive the name of the image from the input: set it with `-t NAME`")
}

fn default_name(settings: &Settings) -> Result<String, Failure> {
    let first = settings.requirement.iter().flatten().next().ok_or_else(unnamed)?;
    let first = first.exposed();
    if let Some(name) = name_of_wheel(first).or_else(|| name_of_source(first)) {
        return checked_name(&name).map_err(|_| unnamed());
    }
    let name: String =
        first.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).collect();
    checked_name(&name.to_lowercase()).map_err(|_| unnamed())
}

/// Returns the name in the file name of a wheel. `requirement` is a path or a URL:
/// `./dist/My_Tool-1.0-py3-none-any.whl`.
fn name_of_wheel(requirement: &str) -> Option<String> {
    let place = requirement.trim().split(['#', '?', ' ']).next()?;
    let file = place.strip_suffix(".whl")?.rsplit('/').next()?;
    Some(file.split('-').next()?.to_lowercase().replace('_', "-"))
}

/// Returns the name in the file name of a source distribution (`./My_Tool-1.0.tar.gz`) or in the URL of a repository
/// (`git+https://host/me/my-tool.git@v1`).
fn name_of_source(requirement: &str) -> Option<String> {
    let place = requirement.trim().split(['#', '?', ' ']).next()?;
    let last = place.rsplit('/').next()?;
    let name = if place.starts_with("git+") {
        last.split('@').next()?.trim_end_matches(".git")
    } else {
        let stem = [".tar.gz", ".tgz", ".zip", ".tar.xz"].iter().find_map(|end| last.strip_suffix(end))?;
        stem.rsplit_once('-').map_or(stem, |(name, _)| name)
    };
    Some(name.to_lowercase().replace('_', "-"))
}

/// Checks a name by the rules of registries (distribution-spec, "Pulling manifests"), with or without a tag.
fn checked_name(text: &str) -> Result<String, Failure> {
    if !is_image_name(text) {
        return Err(usage(format!(
            "cannot name an image `{text}`: write `name`, `name:tag` or `host/name:tag`, in lower case, with at most 255 characters"
        )));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the names and the destinations for the settings in `text`, which is the text of a configuration file.
    fn settle(text: &str) -> Result<String, String> {
        let settings: Settings = toml::from_str(text).unwrap();
        let output = output(&settings, Some("derived")).map_err(|failure| failure.to_string())?;
        let names = [&output.name].into_iter().chain(&output.aliases).map(String::as_str);
        let destinations: Vec<String> = output.destinations.iter().map(ToString::to_string).collect();
        Ok(format!("{} -> {}", names.collect::<Vec<_>>().join(" "), destinations.join(" ")))
    }

    #[test]
    fn the_first_tag_is_the_name_and_all_are_pushed() {
        let table = [
            ("", "derived -> derived.tar"),
            ("tag = ['a:1', 'b']", "a:1 b -> a.tar"),
            ("tag = ['a', 'a:latest', 'a:1']", "a a:1 -> a.tar"),
            ("tag = ['h.io/a:1', 'h.io/a:1']\npush = true", "h.io/a:1 -> docker://h.io/a:1"),
            (
                "tag = ['h.io/a:1', 'localhost:5000/b']\npush = true\nload = true\noutput = ['x.tar']",
                "h.io/a:1 localhost:5000/b -> x.tar docker-daemon:h.io/a:1 docker://h.io/a:1 docker://localhost:5000/b:latest",
            ),
            ("tag = ['h.io/a:1']\npush = true\noutput = ['docker://h.io/a:1']", "h.io/a:1 -> docker://h.io/a:1"),
        ];
        for (text, expected) in table {
            assert_eq!(settle(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_name_without_a_registry_is_pushed_to_the_repository_of_the_user() {
        let pushed = |name: &str, repo: Option<&str>| {
            pushed(name, repo).map(|image| image.to_string()).map_err(|failure| failure.to_string())
        };
        let table = [
            ("tool:1", Some("ghcr.io/team"), "ghcr.io/team/tool:1"),
            ("tool", Some("ghcr.io/team/"), "ghcr.io/team/tool:latest"),
            ("a/tool", Some("localhost:5000"), "localhost:5000/a/tool:latest"),
            ("tool", Some("team"), "docker.io/team/tool:latest"),
            ("quay.io/a/tool:1", Some("ghcr.io/team"), "quay.io/a/tool:1"),
            ("team/tool", None, "docker.io/team/tool:latest"),
        ];
        for (name, repo, expected) in table {
            assert_eq!(pushed(name, repo).unwrap(), expected, "{name} {repo:?}");
        }
        let settings: Settings = toml::from_str("tag = ['a.io/x', 'y']\nrepo = 'b.io'\npush = true").unwrap();
        assert_eq!(pushed_registries(&settings), ["a.io", "b.io"]);
        assert!(pushed("tool", None).unwrap_err().contains("cannot push `tool`: the name has no registry"));
        for repo in ["https://me:secret@ghcr.io/team", "ghcr.io/team:1", "Team", "", "ghcr.io/a b", "/"] {
            let error = pushed("tool", Some(repo)).unwrap_err();
            assert!(error.contains("cannot read the value of `--repo`") && !error.contains("secret"), "{error}");
        }
    }
}
