//! The destinations of an image, in skopeo's syntax.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

use crate::model::image_reference::ImageReference;
use crate::model::image_source::ImageSource;

/// A destination of the image, in skopeo's syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A tar file that is both an OCI layout and a Docker archive.
    Archive(PathBuf),
    /// `oci:PATH[:REFERENCE]`: an OCI layout in a directory. Images with other names in this layout are kept.
    Oci { path: PathBuf, reference: Option<String> },
    /// `oci-archive:PATH[:REFERENCE]`: an OCI layout in a tar file.
    OciArchive { path: PathBuf, reference: Option<String> },
    /// `docker-archive:PATH[:NAME[:TAG]]`: the format of `docker save`.
    DockerArchive { path: PathBuf, name: Option<String> },
    /// `dir:PATH`: a plain root file system.
    Directory(PathBuf),
    /// `docker-daemon:NAME`: an image of Docker or Podman. lath sends the image to the engine's socket.
    Daemon(String),
    /// `docker://HOST/NAME[:TAG]`: an image in a registry. Here, the reference always has a tag and never a digest.
    Registry(ImageReference),
}

/// A text that is not a destination.
#[derive(Debug, Error)]
#[error(
    "cannot read the destination `{0}`: write `PATH.tar`, `docker://HOST/NAME[:TAG]`, `oci:PATH[:TAG]`, `oci-archive:PATH[:TAG]`, `docker-archive:PATH[:NAME:TAG]`, `dir:PATH` or `docker-daemon:NAME[:TAG]`"
)]
pub(crate) struct DestinationError(String);

impl Destination {
    /// Returns the file or folder that is written. `None` if the destination is a daemon or a registry.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Archive(path) | Self::Directory(path) => Some(path),
            Self::Oci { path, .. } | Self::OciArchive { path, .. } | Self::DockerArchive { path, .. } => Some(path),
            Self::Daemon(_) | Self::Registry(_) => None,
        }
    }
}

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        let refuse = || DestinationError(text.to_owned());
        let (scheme, rest) = match text.split_once(':') {
            None => ("", text),
            Some((scheme, rest)) => (scheme, rest),
        };
        if rest.is_empty() || (rest.starts_with("//") && scheme != "docker") {
            return Err(refuse());
        }
        match scheme {
            "" => Ok(Self::Archive(rest.into())),
            "dir" => Ok(Self::Directory(rest.into())),
            _ => match text.parse().map_err(|_| refuse())? {
                // A destination cannot contain the image's digest, because the digest is known only after the image was
                // built.
                ImageSource::Registry(image) if image.digest.is_some() => Err(refuse()),
                place => Ok(place.into()),
            },
        }
    }
}

/// An image can be written to each kind of place from which it can be read.
impl From<ImageSource> for Destination {
    fn from(place: ImageSource) -> Self {
        match place {
            ImageSource::Registry(image) => Self::Registry(image),
            ImageSource::Oci { path, reference } => Self::Oci { path, reference },
            ImageSource::OciArchive { path, reference } => Self::OciArchive { path, reference },
            ImageSource::DockerArchive { path, name } => Self::DockerArchive { path, name },
            ImageSource::Daemon(name) => Self::Daemon(name),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive(path) => write!(f, "{}", path.display()),
            Self::Oci { path, reference } => write_named(f, "oci", path, reference.as_ref()),
            Self::OciArchive { path, reference } => write_named(f, "oci-archive", path, reference.as_ref()),
            Self::DockerArchive { path, name } => write_named(f, "docker-archive", path, name.as_ref()),
            Self::Directory(path) => write!(f, "dir:{}", path.display()),
            Self::Daemon(name) => write!(f, "docker-daemon:{name}"),
            Self::Registry(image) => write!(f, "docker://{image}"),
        }
    }
}

fn write_named(f: &mut fmt::Formatter<'_>, scheme: &str, path: &Path, name: Option<&String>) -> fmt::Result {
    write!(f, "{scheme}:{}", path.display())?;
    name.map_or(Ok(()), |name| write!(f, ":{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_read_as_skopeo_reads_them_and_written_as_they_were() {
        let table = [
            ("image.tar", Destination::Archive("image.tar".into())),
            ("oci:dir/layout", Destination::Oci { path: "dir/layout".into(), reference: None }),
            ("oci:l:4.7.0", Destination::Oci { path: "l".into(), reference: Some("4.7.0".to_owned()) }),
            (
                "oci-archive:a.tar:x/y:1",
                Destination::OciArchive { path: "a.tar".into(), reference: Some("x/y:1".to_owned()) },
            ),
            ("docker-archive:d.tar", Destination::DockerArchive { path: "d.tar".into(), name: None }),
            (
                "docker-archive:d.tar:a/b:1",
                Destination::DockerArchive { path: "d.tar".into(), name: Some("a/b:1".to_owned()) },
            ),
            ("docker-daemon:a:1", Destination::Daemon("a:1".to_owned())),
            ("dir:root:fs", Destination::Directory("root:fs".into())),
            ("docker://host:5000/a/b:1", Destination::Registry("host:5000/a/b:1".parse().unwrap())),
            ("docker://docker.io/library/a:latest", Destination::Registry("a".parse().unwrap())),
        ];
        for (text, destination) in table {
            assert_eq!(text.parse::<Destination>().unwrap(), destination);
            assert_eq!(destination.to_string(), text);
        }
    }

    #[test]
    fn a_destination_that_means_nothing_is_refused() {
        let pinned = format!("docker://host/a@sha256:{}", "ab".repeat(32));
        for text in [
            "oci:",
            "oci::x",
            "oci:x:",
            "oci:x:/y",
            "oci://x",
            "docker-archive:d:Big",
            "docker-daemon:Big",
            "docker:x",
            "docker://",
            "docker://Big",
            "docker://https://host/x",
            "y:z",
            &pinned,
        ] {
            assert!(text.parse::<Destination>().is_err(), "{text}");
        }
    }
}
