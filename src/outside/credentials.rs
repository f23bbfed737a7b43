//! Names and passwords for servers, from URLs that the user wrote or an index returned, and from a netrc file. They are
//! kept in memory only.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use url::Url;
use uv_netrc::Netrc;

use crate::model::secret_text::without_credentials;

/// The names and passwords for servers. The debug output contains none of them.
#[derive(Default)]
pub(crate) struct Credentials {
    netrc: Option<Netrc>,
    known: Mutex<Vec<Known>>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

struct Known {
    /// Without credentials, query and fragment.
    url: Url,
    login: Login,
}

/// A name and its password, which may be empty.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Credentials {
    /// Reads the credentials in the file `netrc`. If it is missing or unreadable, it is ignored, like in other tools.
    pub(crate) fn with_netrc(netrc: Option<&Path>) -> Self {
        Self { netrc: netrc.and_then(|path| Netrc::from_file(path).ok()), known: Mutex::default() }
    }

    /// Remembers the credentials of `url` if it contains any. They are sent only to the server of this URL.
    pub(crate) fn remember(&self, url: &str) {
        let Ok(url) = Url::parse(url) else { return };
        let Some(login) = login_of(&url) else { return };
        let mut url = without_credentials(&url);
        url.set_query(None);
        url.set_fragment(None);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.iter().any(|one| one.url == url && one.login == login) {
            known.push(Known { url, login });
        }
    }

    /// Returns the credentials for `url`: its own if it contains any, else those of the remembered URL on the same
    /// server that has the most leading path segments in common, else those in netrc.
    pub(crate) fn of(&self, url: &str) -> Option<Login> {
        let url = Url::parse(url).ok()?;
        if let Some(login) = login_of(&url) {
            return Some(login);
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let same_server = known.iter().filter(|known| known.url.origin() == url.origin());
        if let Some(nearest) = same_server.max_by_key(|known| shared_path(&known.url, &url)) {
            return Some(nearest.login.clone());
        }
        let entry = self.netrc.as_ref()?.hosts.get(url.host_str()?)?;
        Some(Login { user: entry.login.clone(), password: entry.password.clone() })
    }
}

fn login_of(url: &Url) -> Option<Login> {
    let password = url.password();
    if url.username().is_empty() && password.is_none() {
        return None;
    }
    Some(Login { user: decoded(url.username()), password: decoded(password.unwrap_or_default()) })
}

/// Decodes percent-encoded characters (RFC 3986, section 2.1).
fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Returns how many leading path segments two URLs have in common.
fn shared_path(one: &Url, other: &Url) -> usize {
    let (one, other) = (one.path().split('/'), other.path().split('/'));
    one.zip(other).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(credentials: &Credentials, url: &str) -> Option<String> {
        credentials.of(url).map(|login| format!("{}:{}", login.user, login.password))
    }

    #[test]
    fn the_nearest_of_a_server_is_asked_for_and_no_other_server_hears_of_it() {
        let credentials = Credentials::default();
        credentials.remember("https://one:pass%40@host.example/a/simple/");
        credentials.remember("https://two:pass2@host.example/b/simple/");
        credentials.remember("https://host.example/c/simple/");
        let table = [
            ("https://host.example/a/files/x.whl", Some("one:pass@")),
            ("https://host.example/b/files/x.whl", Some("two:pass2")),
            ("https://me:mine@host.example/b/files/x.whl", Some("me:mine")),
            ("http://host.example/a/files/x.whl", None),
            ("https://host.example:8443/a/files/x.whl", None),
            ("https://other.example/a/files/x.whl", None),
        ];
        for (url, expected) in table {
            assert_eq!(user(&credentials, url).as_deref(), expected, "{url}");
        }
        assert_eq!(format!("{credentials:?}"), "Credentials");
    }

    #[test]
    fn a_netrc_file_tells_of_hosts() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("netrc");
        std::fs::write(&path, "machine host.example login me password secret\n").unwrap();
        let credentials = Credentials::with_netrc(Some(&path));
        assert_eq!(user(&credentials, "https://host.example/x").as_deref(), Some("me:secret"));
        assert_eq!(user(&credentials, "https://other.example/x"), None);
        assert_eq!(user(&Credentials::with_netrc(Some(&home.path().join("none"))), "https://host.example/x"), None);
    }
}
