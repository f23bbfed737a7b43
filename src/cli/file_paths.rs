//! The paths in a configuration file, and the limits for files that the user may not have written. For example, the
//! file of a project is part of its repository.

use std::path::{Path, PathBuf};

use crate::cli::layers::REST;
use crate::cli::options::Kind;
use crate::outside::config_files::is_within;

/// How far a file is trusted.
#[derive(Debug)]
pub(super) enum Trust {
    /// The user's own file.
    User,
    /// A file that the user named.
    Named,
    /// A file that was found in a project. Its paths must be in the folder `realm`.
    Project { realm: PathBuf },
}

/// A value of an option. If the value contains a relative path, the path is relative to the current folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) text: String,
    path: Option<PathBuf>,
    /// What the file of a project would do with this value, although it must not.
    refused: Option<&'static str>,
}

/// The options that the file of a project cannot set, and the reason for each.
const REFUSED: [(&str, &str); 9] = [
    ("keyring", "it decides which signatures are trusted"),
    ("keyring-provider", "it starts a program of this machine"),
    ("ca", "it decides which servers are trusted"),
    ("insecure-registry", "it decides which servers are trusted"),
    ("cache-dir", "all projects share the cache"),
    ("build", "it starts an engine"),
    ("measure", "it starts an engine"),
    ("load", "it can replace an image of your engine"),
    ("push", "it writes to a registry with your password"),
];

impl Trust {
    /// Whether the file can describe images.
    pub(super) fn has_images(&self) -> bool {
        !matches!(self, Self::User)
    }

    /// Returns the reason why the option cannot be in this file.
    pub(super) fn refusal(&self, option: &str) -> Option<&'static str> {
        let is_of_project = matches!(self, Self::Project { .. });
        REFUSED.iter().find(|(name, _)| is_of_project && *name == option).map(|(_, reason)| *reason)
    }

    /// Refuses a path that the file may not use.
    pub(super) fn check(&self, placed: &Placed) -> Result<(), String> {
        let Self::Project { realm } = self else { return Ok(()) };
        if let Some(refused) = placed.refused {
            return Err(format!("the file of a project cannot {refused}"));
        }
        let Some(path) = &placed.path else { return Ok(()) };
        if is_within(path, realm) {
            return Ok(());
        }
        Err(format!(
            "the file of a project can only use its own files in `{}`, not `{}`",
            realm.display(),
            path.display()
        ))
    }
}

/// Returns the value of an option that is set in a file in `folder`. A relative path in the value becomes relative to
/// the current folder.
pub(super) fn placed(name: &str, kind: &Kind, text: String, folder: &Path) -> Placed {
    let refused = refused(name, &text);
    let Some((before, path, after)) = path_in(name, kind, &text) else {
        return Placed { text, path: None, refused };
    };
    let path = folder.join(path);
    Placed { text: format!("{before}{}{after}", path.display()), path: Some(path), refused }
}

/// Returns what the file of a project would do with this value, although it must not.
fn refused(name: &str, text: &str) -> Option<&'static str> {
    match (name, text.split_once(':').map(|(scheme, _)| scheme)) {
        // A program of the image can read or change the files at such a path. A value without `:/` is a directory of
        // the image.
        ("volume", _) if text.contains(":/") => Some("mount files of this machine"),
        ("output", Some("docker")) => Some("write to a registry, because that uses your password"),
        ("output", Some("docker-daemon")) => {
            Some("load an image into an engine, because that can replace another image there")
        }
        _ => None,
    }
}

/// Splits the value of an option into the text before its path, the path, and the text after it. `None` if the value
/// contains no path.
fn path_in<'a>(name: &str, kind: &Kind, text: &'a str) -> Option<(&'a str, &'a str, &'a str)> {
    let split = |start: usize, end: usize| Some((&text[..start], &text[start..end], &text[end..]));
    match name {
        _ if text.is_empty() || text == REST => None,
        _ if matches!(kind, Kind::Path | Kind::Paths) && !is_url(text) => split(0, text.len()),
        // `SRC:DST`. DST is absolute, so `:/` separates the two.
        "copy" => split(0, text.find(":/").unwrap_or(text.len())),
        "volume" => split(0, text.find(":/")?),
        "requirement" | "find-links" | "default-index" if is_path(text) => split(0, text.len()),
        // `NAME=PATH`.
        "index" => {
            let start = text.find('=').map_or(0, |at| at + 1);
            if is_path(&text[start..]) { split(start, text.len()) } else { None }
        }
        "output" => match text.split_once(':') {
            None => split(0, text.len()),
            Some(("docker-daemon" | "docker", _)) => None,
            Some((scheme, rest)) => {
                let start = scheme.len() + 1;
                split(start, start + rest.find(':').unwrap_or(rest.len()))
            }
        },
        "base" => match text.split_once(':') {
            Some((scheme @ ("oci" | "oci-archive" | "docker-archive"), rest)) => {
                let start = scheme.len() + 1;
                split(start, start + rest.find(':').unwrap_or(rest.len()))
            }
            _ => None,
        },
        _ => None,
    }
}

fn is_url(text: &str) -> bool {
    text.contains("://")
}

/// Whether a requirement is a path. The name of a distribution begins with a letter or a digit.
fn is_path(text: &str) -> bool {
    !is_url(text) && !text.contains('@') && text.starts_with(['.', '/'])
        || !text.contains([' ', '@', ':']) && text.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_of_a_file_begin_in_its_folder() {
        let table = [
            ("requirements", Kind::Paths, "r.txt", "/f/r.txt"),
            ("requirements", Kind::Paths, "https://host/r.txt", "https://host/r.txt"),
            ("requirements", Kind::Paths, "/r.txt", "/r.txt"),
            ("metadata-file", Kind::Path, "out.json", "/f/out.json"),
            ("copy", Kind::Texts, "conf:/etc/app", "/f/conf:/etc/app"),
            ("copy", Kind::Texts, "/conf:/etc/app", "/conf:/etc/app"),
            ("volume", Kind::Texts, ".:/src:ro", "/f/.:/src:ro"),
            ("volume", Kind::Texts, "/data", "/data"),
            ("output", Kind::Texts, "x.tar", "/f/x.tar"),
            ("output", Kind::Texts, "oci:x:tag", "oci:/f/x:tag"),
            ("output", Kind::Texts, "docker-daemon:x:1", "docker-daemon:x:1"),
            ("output", Kind::Texts, "docker://x/y:1", "docker://x/y:1"),
            ("base", Kind::Text, "oci:x:tag", "oci:/f/x:tag"),
            ("base", Kind::Text, "docker://host.example/x:1", "docker://host.example/x:1"),
            ("base", Kind::Text, "python:3.13", "python:3.13"),
            ("requirement", Kind::Texts, ".", "/f/."),
            ("find-links", Kind::Texts, "./wheels", "/f/./wheels"),
            ("find-links", Kind::Texts, "https://host/wheels", "https://host/wheels"),
            ("index", Kind::Texts, "own=./index", "own=/f/./index"),
            ("index", Kind::Texts, "own=https://host/simple", "own=https://host/simple"),
            ("requirement", Kind::Texts, "dist/x-1.0-py3-none-any.whl", "/f/dist/x-1.0-py3-none-any.whl"),
            ("requirement", Kind::Texts, "httpx[http2]>=0.28", "httpx[http2]>=0.28"),
            ("requirement", Kind::Texts, "x @ https://host/x.whl", "x @ https://host/x.whl"),
            ("requirement", Kind::Texts, "...", "..."),
            ("workdir", Kind::Text, "app", "app"),
            ("tag", Kind::TextOrTexts, "a/b", "a/b"),
        ];
        for (name, kind, text, expected) in table {
            assert_eq!(placed(name, &kind, text.to_owned(), Path::new("/f")).text, expected, "{name} {text}");
            // If the file is in the current folder, the text does not change.
            assert_eq!(placed(name, &kind, text.to_owned(), Path::new("")).text, text, "{name} {text}");
        }
    }
}
