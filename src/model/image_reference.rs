//! The name of an image in a registry, such as `registry.example:5000/team/tool:1.4`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::model::digest::{BlobDigest, Digest};
use crate::model::image_name::{is_image_name, qualified};

/// The tag of a name that has neither a tag nor a digest.
const DEFAULT_TAG: &str = "latest";

/// An image in a registry. The defaults are those of Docker: `tool` means `docker.io/library/tool:latest`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ImageReference {
    /// The host, with its port if there is one. For example `docker.io` or `localhost:5000`.
    pub(crate) registry: String,
    /// For example `library/tool`.
    pub(crate) repository: String,
    /// The tag. It is `None` only if there is a digest.
    pub(crate) tag: Option<String>,
    /// The digest of the manifest or index. If the digest is set, the tag is only information for people.
    pub(crate) digest: Option<BlobDigest>,
}

/// A text that is not the name of an image.
#[derive(Debug, Error)]
#[error("`{0}` is not the name of an image: write `[HOST[:PORT]/]NAME[:TAG][@sha256:DIGEST]` in lower case")]
pub(crate) struct ReferenceError(String);

impl ImageReference {
    /// Returns the digest or the tag. It is the last part of a URL in the API of registries (distribution-spec,
    /// "Pulling manifests").
    pub(crate) fn reference(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.0.prefixed(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => DEFAULT_TAG.to_owned(),
        }
    }

    /// Returns the image with this digest in the same repository.
    pub(crate) fn with_digest(&self, digest: BlobDigest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// Returns the registry and the repository, such as `docker.io/library/tool`.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }
}

impl FromStr for ImageReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let refuse = || ReferenceError(text.to_owned());
        let (name, digest) = match text.split_once('@') {
            None => (text, None),
            Some((name, digest)) => {
                let digest = Digest::of_prefixed(digest);
                (name, Some(BlobDigest(digest.ok_or_else(refuse)?)))
            }
        };
        if !is_image_name(name) {
            return Err(refuse());
        }
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag.to_owned())),
            _ => (name, None),
        };
        let full = qualified(name);
        let (registry, repository) = full.split_once('/').ok_or_else(refuse)?;
        let tag = tag.or_else(|| digest.is_none().then(|| DEFAULT_TAG.to_owned()));
        Ok(Self { registry: registry.to_owned(), repository: repository.to_owned(), tag, digest })
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{}", digest.0.prefixed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_defaults_of_docker() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let table = [
            ("tool", "docker.io/library/tool:latest"),
            ("me/tool:1", "docker.io/me/tool:1"),
            ("host.example:5000/a/b", "host.example:5000/a/b:latest"),
            ("localhost/a:x_1", "localhost/a:x_1"),
            ("[::1]:5000/a", "[::1]:5000/a:latest"),
        ];
        for (text, full) in table {
            assert_eq!(text.parse::<ImageReference>().unwrap().to_string(), full);
        }
        let pinned: ImageReference = format!("host.example/a:1@{digest}").parse().unwrap();
        assert_eq!(pinned.to_string(), format!("host.example/a:1@{digest}"));
        assert_eq!(pinned.reference(), digest);
        let bare: ImageReference = format!("a@{digest}").parse().unwrap();
        assert_eq!((bare.tag, bare.repository.as_str()), (None, "library/a"));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "A", "a:b:c", "a@sha256:12", "a@sha512:ab", "https://host/a", "a b", "host.example/"] {
            assert!(text.parse::<ImageReference>().is_err(), "{text}");
        }
    }
}
