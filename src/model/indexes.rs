//! The indexes of a request: which indexes are searched for distributions, in which order, and with which credentials.

use serde::{Deserialize, Serialize};

use crate::model::secret_text::SecretText;
use crate::model::torch_backend::TorchBackend;

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Indexes {
    /// The index that replaces PyPI.
    pub(crate) default_index: Option<IndexEntry>,
    /// Further indexes in the order in which they are searched: first the indexes of the command line, then the indexes
    /// of configuration files. All of them are searched before the default index. If two indexes have the same name,
    /// only the first one is used.
    pub(crate) extra: Vec<IndexEntry>,
    /// Pages and folders that contain lists of files.
    pub(crate) find_links: Vec<SecretText>,
    /// Whether only `find_links` are searched (`--no-index`).
    pub(crate) has_only_links: bool,
    pub(crate) strategy: IndexStrategy,
    pub(crate) keyring: Keyring,
    /// The build of PyTorch that is used. If it is set, the distributions of PyTorch are taken only from the index of
    /// this build. If it is `None`, lath searches for them like for other distributions.
    pub(crate) torch_backend: Option<TorchBackend>,
    /// A date, or a time as in RFC 3339. Files that were uploaded later are ignored.
    pub(crate) exclude_newer: Option<String>,
}

/// An index, with the settings that an entry of `[[tool.uv.index]]` can have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct IndexEntry {
    /// The name. A requirement can name its index by this name. The names of the variables that contain the credentials
    /// of the index also contain it.
    pub(crate) name: Option<String>,
    /// A URL, or the path of a folder.
    pub(crate) url: SecretText,
    /// Whether this index replaces PyPI.
    pub(crate) is_default: bool,
    /// Whether this index is used only for distributions whose requirement names it.
    pub(crate) is_explicit: bool,
    /// Whether the index is a single list of files. Other indexes have a page for each distribution.
    pub(crate) is_flat: bool,
    pub(crate) authenticate: Authenticate,
    /// HTTP status codes with which the index reports that it does not have a distribution.
    pub(crate) ignored_codes: Vec<u16>,
    /// The `Cache-Control` header for pages. It replaces the header of the server.
    pub(crate) cache_control_of_pages: Option<String>,
    /// The `Cache-Control` header for files. It replaces the header of the server.
    pub(crate) cache_control_of_files: Option<String>,
    /// Whether the index is in a file of Poetry. Poetry has its own variables for credentials.
    #[serde(skip)]
    pub(crate) is_of_poetry: bool,
}

impl IndexEntry {
    /// Returns whether uv accepts the name: it consists of ASCII letters, digits, `-`, `_` and `.`.
    pub(crate) fn is_name(text: &str) -> bool {
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !text.is_empty() && text.chars().all(is_of_name)
    }

    /// Reads `URL` or `NAME=URL`. If the text before `=` is not a valid name, it is a part of the URL.
    pub(crate) fn parse(text: &SecretText) -> Self {
        match text.exposed().split_once('=') {
            Some((name, url)) if Self::is_name(name) => {
                Self { name: Some(name.to_owned()), url: url.into(), ..Self::default() }
            }
            _ => Self { url: text.clone(), ..Self::default() },
        }
    }

    /// Returns the name in the form that is used in environment variables, such as `MY_INDEX` for `my-index`.
    pub(crate) fn variable_name(&self) -> Option<String> {
        let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        Some(self.name.as_ref()?.chars().map(letter).collect())
    }
}

impl<T: Into<SecretText>> From<T> for IndexEntry {
    fn from(text: T) -> Self {
        Self::parse(&text.into())
    }
}

/// Decides when credentials are sent to an index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Authenticate {
    /// Credentials are sent if lath knows some for the index, or if the index requires them.
    #[default]
    Auto,
    Always,
    Never,
}

/// Decides which index is used for a distribution, if several indexes have it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum IndexStrategy {
    /// The first index that has the distribution. With this strategy, nobody can replace a distribution of a private
    /// index by publishing a higher version on a public index.
    #[default]
    FirstIndex,
    /// The first index with a version that fits.
    UnsafeFirstMatch,
    /// The index with the best version.
    UnsafeBestMatch,
}

/// Decides whether the program `keyring` on this machine is used to get passwords.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Keyring {
    #[default]
    Disabled,
    Subprocess,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_before_the_url_is_the_name_of_the_index() {
        let table = [
            ("corp=https://me:secret@h/simple", Some("corp"), "https://h/simple"),
            ("my-index.2=./wheels", Some("my-index.2"), "./wheels"),
            ("https://h/simple?a=b", None, "https://h/simple?a=b"),
            ("./a=b", None, "./a=b"),
            ("=https://h/", None, "=https://h/"),
            ("ü=https://h/", None, "ü=https://h/"),
        ];
        for (text, name, url) in table {
            let entry = IndexEntry::from(text);
            assert_eq!((entry.name.as_deref(), entry.url.to_string().as_str()), (name, url), "{text}");
        }
        assert_eq!(IndexEntry::from("my-index.2=x").variable_name().as_deref(), Some("MY_INDEX_2"));
        assert_eq!(IndexEntry::from("https://h/").variable_name(), None);
    }
}
