//! Checks out a commit of a repository in a folder of the cache, with the host's git.

use std::path::PathBuf;

use uv_cache::Cache;
use uv_git::GitResolver;
use uv_git_types::{GitLfs, GitReference, GitUrl};
use uv_redacted::DisplaySafeUrl;

use crate::model::source::SourcePlace;
use crate::outside::pypi::sources::{SourceError, checkout};
use crate::outside::pypi::{Cause, Pypi, PypiError, SourceFailure, on_own_stack, redacted};

impl Pypi {
    /// Fetches the commit of a lock, and returns the folder with its files.
    pub(crate) fn checkout(&self, url: &str, commit: &str) -> Result<PathBuf, SourceFailure> {
        let failed = |error: Cause| SourceError::Git { url: url.to_owned(), source: redacted(error) };
        let fetch = async || -> Result<PathBuf, SourceError> {
            let parsed = DisplaySafeUrl::parse(url).map_err(|error| failed(error.into()))?;
            let precise = commit.parse().map_err(|error: uv_git_types::OidParseError| failed(error.into()))?;
            let reference = GitReference::from_rev(commit.to_owned());
            let git = GitUrl::from_commit(parsed, reference, precise, GitLfs::from_env());
            let git = git.map_err(|error| failed(error.into()))?;
            let cache = Cache::from_path(&self.cache_dir).init().await.map_err(|error| failed(error.into()))?;
            match checkout(&git, &GitResolver::default(), &cache, self.offline).await? {
                SourcePlace::Commit { checkout, .. } => Ok(checkout),
                other => unreachable!("a repository is checked out as {other:?}"),
            }
        };
        let fetched = on_own_stack(|runtime| Ok(runtime.block_on(fetch())));
        fetched.unwrap_or_else(|error: PypiError| Err(failed(error.into()))).map_err(SourceFailure::from)
    }
}
