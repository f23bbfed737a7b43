//! Repositories: a commit, checked out in a folder of the cache by the host's git.

use std::path::PathBuf;

use uv_cache::{Cache, CacheBucket};
use uv_git::{GIT, GitHttpSettings, GitResolver};
use uv_git_types::{GitLfs, GitReference, GitUrl};
use uv_redacted::DisplaySafeUrl;

use crate::model::secret_text::without_credentials;
use crate::model::source::SourcePlace;
use crate::outside::pypi::sources::SourceError;
use crate::outside::pypi::{Cause, Pypi, PypiError, SourceFailure, on_own_stack, redacted};

/// Fetches a repository.
pub(super) async fn checkout(
    git: &GitUrl,
    resolver: &GitResolver,
    cache: &Cache,
    is_offline: bool,
) -> Result<SourcePlace, SourceError> {
    let url = String::from(without_credentials(&url::Url::from(git.url().clone())));
    if GIT.is_err() {
        return Err(SourceError::NoGit { url });
    }
    let settings = GitHttpSettings::default().with_offline(is_offline);
    let fetched = resolver.fetch(git, settings, cache.bucket(CacheBucket::Git), None).await;
    let fetched = fetched.map_err(|error| SourceError::Git { url: url.clone(), source: redacted(error.into()) })?;
    let commit = fetched.git().precise().map(|commit| commit.to_string()).unwrap_or_default();
    Ok(SourcePlace::Commit { checkout: fetched.path().to_owned(), url, commit })
}

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
