//! The place of an existing image, in skopeo's syntax.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

use crate::model::image_name::is_image_name;
use crate::model::image_reference::ImageReference;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ImageSource {
    /// `docker://HOST/NAME[:TAG][@DIGEST]`: an image in a registry.
    Registry(ImageReference),
    /// `oci:PATH[:REFERENCE]`: an OCI layout in a directory.
    Oci { path: PathBuf, reference: Option<String> },
    /// `oci-archive:PATH[:REFERENCE]`: an OCI layout in a tar file.
    OciArchive { path: PathBuf, reference: Option<String> },
    /// `docker-archive:PATH[:NAME[:TAG]]`: the format of `docker save`.
    DockerArchive { path: PathBuf, name: Option<String> },
    /// `docker-daemon:NAME`: an image of Docker or Podman.
    Daemon(String),
}

/// A text that is not the place of an image.
#[derive(Debug, Error)]
#[error(
    "cannot read `{0}` as the place of an image: write `docker://HOST/NAME[:TAG]`, `oci:PATH[:TAG]`, `oci-archive:PATH[:TAG]`, `docker-archive:PATH[:NAME:TAG]` or `docker-daemon:NAME[:TAG]`"
)]
pub(crate) struct SourceError(String);

impl FromStr for ImageSource {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let refuse = || SourceError(text.to_owned());
        let (scheme, rest) = text.split_once(':').ok_or_else(refuse)?;
        if rest.is_empty() {
            return Err(refuse());
        }
        match scheme {
            "docker" => {
                let name = rest.strip_prefix("//").ok_or_else(refuse)?;
                name.parse().map(Self::Registry).map_err(|_| refuse())
            }
            "oci" => named(rest).map(|(path, reference)| Self::Oci { path, reference }).ok_or_else(refuse),
            "oci-archive" => {
                named(rest).map(|(path, reference)| Self::OciArchive { path, reference }).ok_or_else(refuse)
            }
            "docker-archive" => match named(rest) {
                Some((path, name)) if name.as_deref().is_none_or(is_image_name) => {
                    Ok(Self::DockerArchive { path, name })
                }
                _ => Err(refuse()),
            },
            "docker-daemon" if is_image_name(rest) => Ok(Self::Daemon(rest.to_owned())),
            _ => Err(refuse()),
        }
    }
}

/// Splits `PATH[:REFERENCE]` at the first colon, like skopeo. For this reason, the path cannot contain a colon. A
/// reference may contain only the characters that image-spec, annotations.md, allows for
/// `org.opencontainers.image.ref.name`.
fn named(text: &str) -> Option<(PathBuf, Option<String>)> {
    let (path, reference) = match text.split_once(':') {
        None => (text, None),
        Some((path, reference)) => (path, Some(reference)),
    };
    let is_reference = |text: &str| {
        let is_edge = |c: char| c.is_ascii_alphanumeric();
        text.starts_with(is_edge)
            && text.ends_with(is_edge)
            && text.chars().all(|c| is_edge(c) || "-._:@/+".contains(c))
    };
    let is_whole = !path.is_empty() && reference.is_none_or(is_reference);
    is_whole.then(|| (path.into(), reference.map(str::to_owned)))
}

impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, path, name) = match self {
            Self::Registry(image) => return write!(f, "docker://{image}"),
            Self::Daemon(name) => return write!(f, "docker-daemon:{name}"),
            Self::Oci { path, reference } => ("oci", path, reference),
            Self::OciArchive { path, reference } => ("oci-archive", path, reference),
            Self::DockerArchive { path, name } => ("docker-archive", path, name),
        };
        write!(f, "{scheme}:{}", path.display())?;
        name.as_ref().map_or(Ok(()), |name| write!(f, ":{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_as_skopeo_reads_them_and_written_as_they_were() {
        for text in [
            "docker://host.example:5000/a/b:1",
            "oci:dir/layout",
            "oci:l:4.7.0",
            "oci-archive:a.tar:x/y:1",
            "docker-archive:d.tar",
            "docker-archive:d.tar:a/b:1",
            "docker-daemon:a:1",
        ] {
            assert_eq!(text.parse::<ImageSource>().unwrap().to_string(), text);
        }
        for text in ["", "x", "docker:x", "docker://", "docker://Big", "oci:", "dir:x", "docker-daemon:Big"] {
            assert!(text.parse::<ImageSource>().is_err(), "{text}");
        }
    }
}
