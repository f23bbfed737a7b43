//! Names and passwords for servers. The credentials come from URLs that the user wrote or an index returned, from
//! environment variables, from the program `keyring` and from a netrc file. They are kept in memory only. The module
//! `registries` finds the credentials for registries of images.

mod auth_file;
mod helper;
pub(crate) mod registries;

#[cfg(test)]
#[path = "tests.rs"]
mod tests_of_registries;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use url::Url;
use uv_netrc::Netrc;

use crate::model::secret::Secret;
use crate::model::secret_text::without_credentials;

/// The names and passwords for servers. The debug output does not contain them.
#[derive(Default)]
pub(crate) struct Credentials {
    netrc: Option<(PathBuf, Netrc)>,
    known: Mutex<Vec<Known>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

struct Known {
    /// The URL without credentials, query and fragment.
    url: Url,
    login: Login,
    source: LoginSource,
}

/// A user name and its password. The password may be empty.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// The credentials for a registry of images.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum RegistryLogin {
    Password(Login),
    /// A token that the token server exchanges for other tokens (OAuth 2, RFC 6749, section 6).
    Identity(Secret),
    /// A token for the registry itself.
    Bearer(Secret),
}

/// Where a name and a password were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LoginSource {
    /// A URL that the user or an index wrote.
    Url,
    /// The environment variables with these names.
    Variables(Vec<String>),
    /// The program `keyring`.
    Keyring,
    /// The netrc file with this path.
    Netrc(PathBuf),
    /// A file of Docker or Podman.
    File(PathBuf),
    /// A program whose name is in a file of Docker or Podman.
    Helper { program: String, file: PathBuf },
    /// Input that the user typed.
    Typed,
}

impl fmt::Display for LoginSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url => f.write_str("its URL"),
            Self::Variables(names) => write!(f, "`{}`", names.join("` and `")),
            Self::Keyring => f.write_str("the program `keyring`"),
            Self::Netrc(path) => write!(f, "the netrc file `{}`", path.display()),
            Self::File(path) => write!(f, "`{}`", path.display()),
            Self::Helper { program, file } => {
                write!(f, "the program `{program}`, which `{}` names", file.display())
            }
            Self::Typed => f.write_str("the command line"),
        }
    }
}

/// The credentials that were sent with a refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tried {
    None {
        host: String,
    },
    Some {
        host: String,
        source: LoginSource,
    },
    /// One of the sources of credentials could not be read.
    Unreadable {
        host: String,
        problem: String,
    },
    /// The credentials in variables were not sent, because only the file of a project names this registry.
    Withheld {
        host: String,
    },
    /// Another server redirected the request to this server. lath does not send the credentials of one server to
    /// another.
    Redirected {
        host: String,
    },
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None { host } => write!(f, "there are no credentials for `{host}`"),
            Self::Some { host, source } => write!(f, "the credentials for `{host}` came from {source}"),
            Self::Unreadable { host, problem } => write!(f, "there are no credentials for `{host}`: {problem}"),
            Self::Withheld { host } => write!(
                f,
                "`LATH_REGISTRY_USER` and `LATH_REGISTRY_PASSWORD` are not sent to `{host}`, because only the file of the project names this registry: if you trust it, name it with `-t` or `--repo`"
            ),
            Self::Redirected { host } => {
                write!(f, "the request was redirected to `{host}`, and credentials are not sent to another server")
            }
        }
    }
}

impl Credentials {
    /// Reads the credentials in the file `netrc`. If it is missing or unreadable, it is ignored, like in other tools.
    pub(crate) fn with_netrc(netrc: Option<&Path>) -> Self {
        let netrc = netrc.and_then(|path| Some((path.to_owned(), Netrc::from_file(path).ok()?)));
        Self { netrc, known: Mutex::default() }
    }

    /// Remembers the credentials of `url` if it contains any. They are sent only to the server of this URL.
    pub(crate) fn remember(&self, url: &str) {
        self.remember_from(url, LoginSource::Url);
    }

    /// Remembers the credentials of `url` like [`Self::remember`]. `source` is the place where the URL was found. If
    /// the credentials were known before, their first source is kept.
    pub(crate) fn remember_from(&self, url: &str, source: LoginSource) {
        let Ok(url) = Url::parse(url) else { return };
        let Some(login) = login_of(&url) else { return };
        let mut url = without_credentials(&url);
        url.set_query(None);
        url.set_fragment(None);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.iter().any(|one| one.url == url && one.login == login) {
            known.push(Known { url, login, source });
        }
    }

    /// Returns the credentials for `url`. If the URL contains none, those of a remembered URL on the same server are
    /// used. If there are several such URLs, the URL that has the most leading path segments in common with `url` is
    /// used. If there is no such URL, the credentials in netrc are used.
    pub(crate) fn of(&self, url: &str) -> Option<Login> {
        self.find(&Url::parse(url).ok()?).map(|(login, _)| login)
    }

    /// Returns which credentials lath sends with a request for `url`. Errors show the result.
    pub(crate) fn tried(&self, url: &str) -> Option<Tried> {
        let url = Url::parse(url).ok()?;
        let host = match url.port() {
            Some(port) => format!("{}:{port}", url.host_str()?),
            None => url.host_str()?.to_owned(),
        };
        Some(match self.find(&url) {
            Some((_, source)) => Tried::Some { host, source },
            None => Tried::None { host },
        })
    }

    fn find(&self, url: &Url) -> Option<(Login, LoginSource)> {
        if let Some(login) = login_of(url) {
            return Some((login, LoginSource::Url));
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let same_server = known.iter().filter(|known| known.url.origin() == url.origin());
        if let Some(nearest) = same_server.max_by_key(|known| shared_path(&known.url, url)) {
            return Some((nearest.login.clone(), nearest.source.clone()));
        }
        let (path, netrc) = self.netrc.as_ref()?;
        let entry = netrc.hosts.get(url.host_str()?)?;
        let login = Login { user: entry.login.clone(), password: entry.password.clone() };
        Some((login, LoginSource::Netrc(path.clone())))
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
    #[test]
    fn an_error_names_the_place_of_the_credentials_and_no_value() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("netrc");
        std::fs::write(&path, "machine netrc.example login me password secret\n").unwrap();
        let credentials = Credentials::with_netrc(Some(&path));
        let variables = ["LATH_INDEX_CORP_USERNAME", "LATH_INDEX_CORP_PASSWORD"].map(str::to_owned).to_vec();
        credentials.remember("https://me:secret@url.example/simple");
        credentials.remember_from("https://me:secret@variable.example/simple", LoginSource::Variables(variables));
        credentials.remember_from("https://me:secret@keyring.example:8443/simple", LoginSource::Keyring);
        let urls =
            ["url.example/x", "variable.example/x", "keyring.example:8443/x", "netrc.example/x", "none.example/x"];
        let tried = urls.map(|url| format!("{}", credentials.tried(&format!("https://{url}")).unwrap()));
        let tried = tried.join("\n").replace(&path.display().to_string(), "[NETRC]");
        insta::assert_snapshot!(tried, @"
        the credentials for `url.example` came from its URL
        the credentials for `variable.example` came from `LATH_INDEX_CORP_USERNAME` and `LATH_INDEX_CORP_PASSWORD`
        the credentials for `keyring.example:8443` came from the program `keyring`
        the credentials for `netrc.example` came from the netrc file `[NETRC]`
        there are no credentials for `none.example`
        ");
    }
}
