//! All indexes of a request, from the command line and from its requirements files.

use crate::model::indexes::IndexStrategy;
use crate::model::secret_text::SecretText;
use crate::model::torch_backend::TorchBackend;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AllIndexes {
    /// The index that replaces PyPI.
    pub(crate) default_index: Option<SecretText>,
    /// Indexes that are searched before the default index, in the order of the search.
    pub(crate) extra: Vec<SecretText>,
    /// Pages and folders that list files (`--find-links`).
    pub(crate) find_links: Vec<SecretText>,
    /// Whether only `find_links` are searched (`--no-index`).
    pub(crate) has_only_links: bool,
    pub(crate) strategy: IndexStrategy,
    /// The index that contains the chosen build of PyTorch. The distributions of PyTorch are taken only from this
    /// index.
    pub(crate) torch: Option<SecretText>,
    pub(crate) torch_backend: Option<TorchBackend>,
}
