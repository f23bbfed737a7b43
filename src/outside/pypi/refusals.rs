//! Collects the requests that were refused for lack of permission. A sentence about such a request names the server
//! that answered 401 or 403 to uv, and the credentials that the request had.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::StatusCode;
use url::Url;
use uv_distribution_types::{Index, IndexLocations, IndexStatusCodeStrategy};

use crate::model::secret_text::{public, without_credentials};
use crate::outside::credentials::Credentials;
use crate::outside::http::is_refused;

/// The refused requests and the status of each, by URL. All copies share one list.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusals(Arc<Mutex<BTreeMap<String, StatusCode>>>);

impl Refusals {
    /// Adds a response if its status is 401 or 403.
    pub(super) fn add(&self, url: &Url, status: StatusCode) {
        if is_refused(status) {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(without_credentials(url).into(), status);
        }
    }

    /// Returns a sentence for each index that refused a page, and for each other URL that was refused. There is no
    /// sentence if the status only means that the index does not have the distribution.
    pub(super) fn sentences(&self, locations: &IndexLocations, credentials: &Credentials) -> Vec<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sentences = BTreeSet::new();
        for (url, status) in all.iter() {
            let index = locations.known_indexes().find(|index| is_page_of(url, index));
            if index.is_some_and(|index| is_ignored(index, *status, locations)) {
                continue;
            }
            let (what, address) = match index {
                Some(index) => ("the index", index.url.url().as_str()),
                None => ("the server of", url.as_str()),
            };
            // `url` is without credentials. So `tried` searches for the credentials that were remembered for the same
            // server, such as those in the URL of the index.
            let tried = credentials.tried(url).map(|tried| format!(": {tried}")).unwrap_or_default();
            sentences.insert(format!("{what} `{}` answers {status}{tried}", public(address)));
        }
        sentences.into_iter().collect()
    }
}

fn is_page_of(url: &str, index: &Index) -> bool {
    let index = without_credentials(index.url.url());
    url.strip_prefix(index.as_str().trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns whether an index uses `status` to report that it does not have a distribution.
fn is_ignored(index: &Index, status: StatusCode, locations: &IndexLocations) -> bool {
    match locations.status_code_strategy_for(&index.url) {
        IndexStatusCodeStrategy::IgnoreErrorCodes { status_codes } => status_codes.contains(&status),
        IndexStatusCodeStrategy::Default => false,
    }
}
