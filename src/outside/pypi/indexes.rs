//! The indexes that are searched for distributions. This module determines their order, their credentials, and the date
//! after which uploads are ignored.

use std::path::Path;

use serde_json::json;
use url::Url;
use uv_auth::{AuthPolicy, KeyringProvider};
use uv_client::RegistryClient;
use uv_distribution_types::{
    ExcludeNewerValue, Index, IndexFormat, IndexLocations, IndexMetadata, IndexName, IndexUrl, Requirement,
    RequirementSource,
};
use uv_pep508::VerbatimUrl;
use uv_platform_tags::Os;
use uv_redacted::DisplaySafeUrl;
use uv_requirements::RequirementsSpecification;
use uv_resolver::ExcludeNewer;
use uv_torch::{TorchMode, TorchSource, TorchStrategy};

use crate::model::all_indexes::AllIndexes;
use crate::model::indexes::{Authenticate, IndexEntry, IndexStrategy, Indexes, Keyring};
use crate::model::secret_text::{SecretText, is_plain, public, without_credentials};
use crate::model::world_settings::Variables;
use crate::outside::credentials::{Credentials, LoginSource};
use crate::outside::pypi::{Cause, PypiError, redacted};

/// The sources of credentials for indexes.
#[derive(Clone, Copy)]
pub(super) struct Logins<'a> {
    pub(super) variables: &'a Variables,
    pub(super) credentials: &'a Credentials,
    pub(super) offline: bool,
}

/// Returns the indexes of the request and of its requirements files as values of uv. Their credentials are remembered.
pub(super) async fn locations(
    indexes: &Indexes,
    specification: &RequirementsSpecification,
    logins: Logins<'_>,
) -> Result<IndexLocations, PypiError> {
    let default = indexes.default_index.iter().cloned();
    let default = default.map(|entry| IndexEntry { is_default: true, ..entry });
    let mut all = Vec::new();
    for entry in default.chain(indexes.extra.iter().cloned()) {
        all.push(index(&entry, indexes.keyring, logins).await?);
    }
    all.extend(specification.extra_index_urls.iter().cloned().map(Index::from_extra_index_url));
    all.extend(specification.index_url.iter().cloned().map(Index::from_index_url));
    let mut flat = Vec::new();
    for links in &indexes.find_links {
        flat.push(Index::from_find_links(index_url(links)?));
    }
    flat.extend(specification.find_links.iter().cloned().map(Index::from_find_links));
    for index in all.iter().chain(&flat) {
        if !is_of_index(index.url.url()) {
            return Err(PypiError::IndexUrl { index: public(index.url.url().as_str()) });
        }
        logins.credentials.remember(index.url.url().as_str());
    }
    Ok(IndexLocations::new(all, flat, indexes.has_only_links || specification.no_index))
}

/// Returns an index with its credentials in the URL. Credentials in variables are preferred to those in the URL. If
/// neither has a password, the program `keyring` may provide it.
async fn index(entry: &IndexEntry, keyring: Keyring, logins: Logins<'_>) -> Result<Index, PypiError> {
    let (mut url, source) = with_variables(index_url(&entry.url)?, entry, logins.variables);
    if entry.authenticate == Authenticate::Never {
        url = of_url(without_credentials(url.url()).into(), &url);
    } else if let Some(source) = source {
        logins.credentials.remember_from(url.url().as_str(), source);
    } else if keyring == Keyring::Subprocess && !logins.offline {
        url = with_keyring(url, entry.authenticate, logins.credentials).await;
    }
    let refused = |error: Cause| PypiError::Index { index: entry.url.to_string(), source: redacted(error) };
    let mut index = Index::from(url);
    index.name =
        entry.name.as_deref().map(str::parse::<IndexName>).transpose().map_err(|error| refused(error.into()))?;
    (index.default, index.explicit) = (entry.is_default, entry.is_explicit);
    index.format = if entry.is_flat { IndexFormat::Flat } else { IndexFormat::Simple };
    index.authenticate = match entry.authenticate {
        Authenticate::Auto => AuthPolicy::Auto,
        Authenticate::Always => AuthPolicy::Always,
        Authenticate::Never => AuthPolicy::Never,
    };
    if !entry.ignored_codes.is_empty() {
        let codes = serde_json::from_value(json!(entry.ignored_codes));
        index.ignore_error_codes = Some(codes.map_err(|error| refused(error.into()))?);
    }
    let (api, files) = (&entry.cache_control_of_pages, &entry.cache_control_of_files);
    if api.is_some() || files.is_some() {
        let control = serde_json::from_value(json!({ "api": api, "files": files }));
        index.cache_control = Some(control.map_err(|error| refused(error.into()))?);
    }
    Ok(index)
}

/// Converts an index that uv has read from a project to lath's own type, so that lath can find its credentials like
/// those of other indexes.
pub(super) fn entry(index: &Index) -> IndexEntry {
    let control = index.cache_control.as_ref().and_then(|control| serde_json::to_value(control).ok());
    let header = |name: &str| control.as_ref()?.get(name)?.as_str().map(str::to_owned);
    IndexEntry {
        name: index.name.as_ref().map(ToString::to_string),
        url: SecretText::from(index.url.url().as_str()),
        is_default: index.default,
        is_explicit: index.explicit,
        is_flat: matches!(index.format, IndexFormat::Flat),
        authenticate: match index.authenticate {
            AuthPolicy::Auto => Authenticate::Auto,
            AuthPolicy::Always => Authenticate::Always,
            AuthPolicy::Never => Authenticate::Never,
        },
        ignored_codes: ignored_codes(index),
        cache_control_of_pages: header("api"),
        cache_control_of_files: header("files"),
        is_of_poetry: false,
    }
}

/// Returns a requirement that is searched only in the index at `url`. The requirement may be shown, so it does not
/// contain the credentials in `url`. uv finds them with the index itself.
pub(super) fn assigned(mut requirement: Requirement, url: &str) -> Result<Requirement, Cause> {
    if let RequirementSource::Registry { index, .. } = &mut requirement.source {
        // Poetry removes a slash at the end only in its lock, and uv would take both forms for different indexes.
        let url = DisplaySafeUrl::from_url(without_credentials(&Url::parse(url.trim_end_matches('/'))?));
        *index = Some(IndexMetadata { url: IndexUrl::from(VerbatimUrl::from_url(url)), format: IndexFormat::Simple });
    }
    Ok(requirement)
}

/// Returns the status codes with which this index reports that it does not have a distribution.
fn ignored_codes(index: &Index) -> Vec<u16> {
    let codes = index.ignore_error_codes.as_ref().and_then(|codes| serde_json::to_value(codes).ok());
    codes.and_then(|codes| serde_json::from_value(codes).ok()).unwrap_or_default()
}

/// Gives the credentials in the URLs of indexes to `client`. Otherwise uv would prefer the credentials in its own
/// variables.
pub(super) fn authenticate(client: &RegistryClient, locations: &IndexLocations) -> Result<(), PypiError> {
    for index in locations.known_indexes() {
        let login = uv_auth::Credentials::from_url(index.raw_url()).map_err(|error| PypiError::Setup(error.into()))?;
        let Some(login) = login else { continue };
        let root = index.root_url();
        root.iter().for_each(|root| client.credentials_cache().store_credentials(root, login.clone()));
        client.credentials_cache().store_credentials(index.raw_url(), login);
    }
    Ok(())
}

/// Puts the user name and the password of a named index into its URL, and returns the names of the variables that
/// contained them. lath's variables are preferred to those of uv, and these to those of Poetry.
fn with_variables(url: IndexUrl, entry: &IndexEntry, variables: &Variables) -> (IndexUrl, Option<LoginSource>) {
    let Some(name) = entry.variable_name() else { return (url, None) };
    let of_poetry = Some("POETRY_HTTP_BASIC").filter(|_| entry.is_of_poetry);
    for program in ["LATH_INDEX", "UV_INDEX"].into_iter().chain(of_poetry) {
        let names = ["USERNAME", "PASSWORD"].map(|kind| format!("{program}_{name}_{kind}"));
        let [user, password] = names.each_ref().map(|name| variables.0.get(name).filter(|value| !value.is_empty()));
        if user.is_none() && password.is_none() {
            continue;
        }
        let set = names.into_iter().filter(|name| variables.0.contains_key(name)).collect();
        let (user, password) = (user.map_or("", String::as_str), password.map(String::as_str));
        return (with_login(&url, user, password), Some(LoginSource::Variables(set)));
    }
    (url, None)
}

/// Puts a password from the program `keyring` into the URL, if the URL has none. Like in uv, this happens only if the
/// user name is known or the index always requires credentials.
async fn with_keyring(url: IndexUrl, authenticate: Authenticate, credentials: &Credentials) -> IndexUrl {
    let plain = url.url();
    let user = Some(plain.username()).filter(|user| !user.is_empty());
    let is_wanted = user.is_some() || authenticate == Authenticate::Always;
    if plain.scheme() == "file" || plain.password().is_some() || !is_wanted {
        return url;
    }
    let bare = DisplaySafeUrl::from_url(without_credentials(plain));
    let provided = KeyringProvider::subprocess().fetch(&bare, user).await;
    let login = provided.as_ref().and_then(|login| Some((login.username()?, login.password()?)));
    let Some((user, password)) = login else { return url };
    let url = with_login(&url, user, Some(password));
    credentials.remember_from(url.url().as_str(), LoginSource::Keyring);
    url
}

fn with_login(url: &IndexUrl, user: &str, password: Option<&str>) -> IndexUrl {
    let mut changed: Url = url.url().clone().into();
    // Setting a user or a password fails only if the URL has no host, such as that of a folder. Such a URL needs no
    // credentials.
    let _ = changed.set_username(user);
    let _ = changed.set_password(password);
    of_url(changed.into(), url)
}

/// Returns the index at `url`, which is the index `old` with other credentials.
fn of_url(url: DisplaySafeUrl, old: &IndexUrl) -> IndexUrl {
    if url == *old.url() { old.clone() } else { IndexUrl::from(VerbatimUrl::from_url(url)) }
}

/// Returns the indexes of [`locations`], and the index of PyTorch, as plain values.
pub(super) fn all(locations: &IndexLocations, indexes: &Indexes) -> Result<AllIndexes, PypiError> {
    let shown = |index: &Index| SecretText::from(index.url.url().as_str());
    let (flat, simple): (Vec<&Index>, Vec<&Index>) =
        locations.defined_indexes().partition(|index| index.format == IndexFormat::Flat);
    let (default, extra): (Vec<&Index>, Vec<&Index>) = simple.into_iter().partition(|index| index.default);
    // An explicit index is only for the distributions that are assigned to it. A Dockerfile cannot express that, so
    // all indexes are searched for all distributions. This is safe, because a Dockerfile with several indexes has the
    // hash of every file, or is refused.
    let is_explicit = extra.iter().any(|index| index.explicit);
    let torch = torch(indexes)?;
    Ok(AllIndexes {
        default_index: default.first().map(|index| shown(index)),
        extra: extra.into_iter().map(shown).collect(),
        find_links: flat.into_iter().chain(locations.flat_indexes()).map(shown).collect(),
        has_only_links: locations.no_index(),
        strategy: if is_explicit { IndexStrategy::UnsafeBestMatch } else { indexes.strategy },
        torch: torch.iter().flat_map(TorchStrategy::index_urls).map(|url| url.url().as_str().into()).next(),
        torch_backend: indexes.torch_backend.clone(),
    })
}

/// Returns uv's value for the build of PyTorch that was requested. The value does not depend on this machine.
pub(super) fn torch(indexes: &Indexes) -> Result<Option<TorchStrategy>, PypiError> {
    let Some(backend) = &indexes.torch_backend else { return Ok(None) };
    let refused = |error: Cause| PypiError::TorchBackend { backend: backend.to_string(), source: error };
    let mode: TorchMode = serde_json::from_value(json!(backend.as_str())).map_err(|error| refused(error.into()))?;
    // The operating system and the driver matter only if uv chooses the build.
    let os = Os::Manylinux { major: 2, minor: 17 };
    let strategy = TorchStrategy::from_mode(mode, TorchSource::PyTorch, &os, None, None);
    strategy.map(Some).map_err(|error| refused(error.into()))
}

pub(super) fn strategy(indexes: &Indexes) -> uv_configuration::IndexStrategy {
    match indexes.strategy {
        IndexStrategy::FirstIndex => uv_configuration::IndexStrategy::FirstIndex,
        IndexStrategy::UnsafeFirstMatch => uv_configuration::IndexStrategy::UnsafeFirstMatch,
        IndexStrategy::UnsafeBestMatch => uv_configuration::IndexStrategy::UnsafeBestMatch,
    }
}

fn index_url(text: &SecretText) -> Result<IndexUrl, PypiError> {
    let refused = || PypiError::IndexUrl { index: text.to_string() };
    // If uv does not know the scheme of a URL, it would use the URL as a path. So such a URL is refused.
    if Url::parse(text.exposed()).is_ok_and(|url| !is_of_index(&url)) || text.exposed().starts_with("//") {
        return Err(refused());
    }
    // In the path of a folder, `#` and `%` have no special meaning.
    let folder = std::path::absolute(text.exposed()).ok().filter(|_| Path::new(text.exposed()).exists());
    if let Some(url) = folder.and_then(|path| DisplaySafeUrl::from_file_path(path).ok()) {
        return Ok(IndexUrl::from(VerbatimUrl::from_url(url)));
    }
    // uv would use a folder that does not exist as an empty index.
    if Url::parse(text.exposed()).is_err() {
        return Err(PypiError::NoIndexFolder { index: text.to_string() });
    }
    let index = IndexUrl::parse(text.exposed(), None);
    index.map_err(|error| PypiError::Index { index: text.to_string(), source: redacted(error.into()) })
}

/// Returns whether `url` can be the URL of an index. It must be clear where the credentials in `url` end.
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
    fn a_folder_that_does_not_exist_is_not_an_index() {
        for text in ["nowhere", "./nowhere/simple", "/nowhere"] {
            let error = index_url(&text.into()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("cannot use the index `{text}`: there is no such folder")), "{error}");
        }
    }

    /// Returns `indexes` as values of uv, without variables.
    fn located(indexes: &Indexes) -> Result<IndexLocations, PypiError> {
        let (variables, credentials) = (Variables::default(), Credentials::default());
        let logins = Logins { variables: &variables, credentials: &credentials, offline: true };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(locations(indexes, &RequirementsSpecification::default(), logins))
    }

    #[test]
    fn an_index_has_all_settings_of_uv() {
        let entry = IndexEntry {
            name: Some("corp".to_owned()),
            url: "https://corp.example/simple".into(),
            is_explicit: true,
            authenticate: Authenticate::Always,
            ignored_codes: vec![401, 403],
            cache_control_of_pages: Some("max-age=600".to_owned()),
            ..IndexEntry::default()
        };
        let expected = r#"{
            "name": "corp", "url": "https://corp.example/simple", "explicit": true, "default": false,
            "format": "simple", "publish-url": null, "authenticate": "always", "ignore-error-codes": [401, 403],
            "cache-control": { "api": "max-age=600" }
        }"#;
        let locations = located(&Indexes { extra: vec![entry.clone()], ..Indexes::default() }).unwrap();
        let index = locations.explicit_indexes().next().unwrap();
        let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
        assert_eq!(serde_json::to_value(index).unwrap(), expected);
        // An explicit index is searched only for the distributions that are assigned to it.
        assert_eq!(
            locations.indexes().map(|index| index.url.to_string()).collect::<Vec<_>>(),
            ["https://pypi.org/simple"]
        );
        for wrong in [
            IndexEntry { ignored_codes: vec![7], ..entry.clone() },
            IndexEntry { cache_control_of_files: Some("a\nb".to_owned()), ..entry.clone() },
            IndexEntry { name: Some("not a name".to_owned()), ..entry },
        ] {
            let error = located(&Indexes { extra: vec![wrong], ..Indexes::default() }).unwrap_err();
            assert_eq!(error.to_string(), "cannot use the index `https://corp.example/simple`");
        }
    }

    #[test]
    fn the_default_index_of_the_command_line_is_before_that_of_a_file_and_the_first_of_a_name_counts() {
        let of_file = IndexEntry { is_default: true, ..IndexEntry::from("https://file.example/simple") };
        let extra =
            vec!["corp=https://first.example/simple".into(), "corp=https://second.example/simple".into(), of_file];
        let urls = |indexes: &Indexes| {
            located(indexes).unwrap().indexes().map(|index| index.url.to_string()).collect::<Vec<_>>()
        };
        let mut indexes = Indexes { extra, ..Indexes::default() };
        assert_eq!(urls(&indexes), ["https://first.example/simple", "https://file.example/simple"]);
        indexes.default_index = Some("https://typed.example/simple".into());
        assert_eq!(urls(&indexes), ["https://first.example/simple", "https://typed.example/simple"]);
    }

    #[test]
    fn a_build_of_pytorch_has_an_index_of_its_own() {
        let url = |backend: &str| {
            let indexes = Indexes { torch_backend: Some(backend.parse().unwrap()), ..Indexes::default() };
            let torch = torch(&indexes).map_err(|error| error.to_string())?.unwrap();
            assert!(torch.applies_to(&"torchvision".parse().unwrap()) && !torch.applies_to(&"numpy".parse().unwrap()));
            Ok::<_, String>(torch.index_urls().map(ToString::to_string).collect::<Vec<_>>())
        };
        for backend in ["cpu", "cu128", "cu130", "rocm6.4", "rocm6.2.4", "xpu"] {
            assert_eq!(url(backend).unwrap(), [format!("https://download.pytorch.org/whl/{backend}")]);
        }
        // `auto` does not depend on the graphics card of this machine.
        assert_eq!(url("auto").unwrap(), ["https://download.pytorch.org/whl/cpu"]);
        assert_eq!(url("cu999").unwrap_err(), "cannot use the backend `cu999` of PyTorch");
    }

    #[test]
    fn a_date_that_is_none_is_named() {
        let indexes = Indexes { exclude_newer: Some("yesteryear".to_owned()), ..Indexes::default() };
        let error = exclude_newer(&indexes).unwrap_err();
        insta::assert_snapshot!(error, @"cannot read `yesteryear` as the date after which files are excluded");
    }
}
