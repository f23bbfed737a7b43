//! The indexes that are searched for distributions: their order, and the date up to which uploads count.

use url::Url;
use uv_distribution_types::{ExcludeNewerValue, Index, IndexLocations, IndexUrl};
use uv_requirements::RequirementsSpecification;
use uv_resolver::ExcludeNewer;

use crate::model::all_indexes::AllIndexes;
use crate::model::request::Indexes;
use crate::model::secret_text::{SecretText, is_plain, public};
use crate::outside::credentials::Credentials;
use crate::outside::pypi::{PypiError, redacted};

/// Returns the indexes from the command line and from requirements files. The credentials in their URLs are remembered.
pub(super) fn locations(
    indexes: &Indexes,
    specification: &RequirementsSpecification,
    credentials: &Credentials,
) -> Result<IndexLocations, PypiError> {
    let mut all = Vec::new();
    for extra in &indexes.extra {
        all.push(Index::from_extra_index_url(index_url(extra)?));
    }
    all.extend(specification.extra_index_urls.iter().cloned().map(Index::from_extra_index_url));
    if let Some(default) = &indexes.default_index {
        all.push(Index::from_index_url(index_url(default)?));
    } else if let Some(default) = &specification.index_url {
        all.push(Index::from_index_url(default.clone()));
    }
    let flat: Vec<Index> = specification.find_links.iter().cloned().map(Index::from_find_links).collect();
    for index in all.iter().chain(&flat) {
        if !is_of_index(index.url.url()) {
            return Err(PypiError::IndexUrl { index: public(index.url.url().as_str()) });
        }
        credentials.remember(index.url.url().as_str());
    }
    Ok(IndexLocations::new(all, flat, specification.no_index))
}

/// Returns the indexes of [`locations`] as plain values.
pub(super) fn all(locations: &IndexLocations) -> AllIndexes {
    let shown = |index: &Index| SecretText::from(index.url.url().as_str());
    let (default, extra): (Vec<&Index>, Vec<&Index>) = locations.defined_indexes().partition(|index| index.default);
    AllIndexes {
        default_index: default.first().map(|index| shown(index)),
        extra: extra.into_iter().map(shown).collect(),
        find_links: locations.flat_indexes().map(shown).collect(),
        has_only_links: locations.no_index(),
    }
}

fn index_url(text: &SecretText) -> Result<IndexUrl, PypiError> {
    let refused = || PypiError::IndexUrl { index: text.to_string() };
    // If the scheme of a URL is unknown, uv would use the URL as a path.
    if Url::parse(text.exposed()).is_ok_and(|url| !is_of_index(&url)) || text.exposed().starts_with("//") {
        return Err(refused());
    }
    let index = IndexUrl::parse(text.exposed(), None);
    index.map_err(|error| PypiError::Index { index: text.to_string(), source: redacted(error.into()) })
}

/// Returns whether an index can have this URL, and the end of its credentials is unambiguous.
fn is_of_index(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https" | "file") && is_plain(url)
}

pub(super) fn exclude_newer(indexes: &Indexes) -> Result<ExcludeNewer, PypiError> {
    let Some(date) = &indexes.exclude_newer else { return Ok(ExcludeNewer::default()) };
    let value: ExcludeNewerValue =
        date.parse().map_err(|error: String| PypiError::ExcludeNewer { date: date.clone(), source: error.into() })?;
    Ok(ExcludeNewer::global(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_never_reaches_an_error() {
        let error = index_url(&"https://me:secret@[nonsense/simple".into()).unwrap_err();
        assert!(!format!("{error:?} {error}").contains("secret"), "{error:?}");
    }

    #[test]
    fn a_date_that_is_none_is_named() {
        let indexes = Indexes { exclude_newer: Some("yesteryear".to_owned()), ..Indexes::default() };
        let error = exclude_newer(&indexes).unwrap_err();
        insta::assert_snapshot!(error, @"cannot read `yesteryear` as the date after which files are excluded");
    }
}
