//! Names and passwords for servers, from URLs that the user wrote and from a netrc file. They live in memory only.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use url::Url;
use uv_netrc::Netrc;

/// Knows who is who to which server. Shows nothing of it when it is printed.
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
    /// With what `netrc` tells; a file that is not there or cannot be read tells nothing, as with other tools.
    pub(crate) fn with_netrc(netrc: Option<&Path>) -> Self {
        Self { netrc: netrc.and_then(|path| Netrc::from_file(path).ok()), known: Mutex::default() }
    }

    /// Remembers the credentials of `url` where it bears any: they are shown to its server, and to no other.
    pub(crate) fn remember(&self, url: &str) {
        let Ok(mut url) = Url::parse(url) else { return };
        let Some(login) = login_of(&url) else { return };
        strip(&mut url);
        url.set_query(None);
        url.set_fragment(None);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.iter().any(|one| one.url == url && one.login == login) {
            known.push(Known { url, login });
        }
    }

    /// Who is to ask for `url`: itself, whoever asked for something nearest to it on the same server, or netrc's.
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

/// A URL, or a text that speaks of some, as it may be shown: without the names and passwords in them.
pub(crate) fn public(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + 3);
        shown.push_str(before);
        let ends_word = |c: char| c.is_whitespace() || matches!(c, '`' | '"' | '\'' | '<' | '>');
        let word = &after[..after.find(ends_word).unwrap_or(after.len())];
        let authority = &word[..word.find(['/', '?', '#']).unwrap_or(word.len())];
        // A password with a slash in it ends the authority early, and what is left is no URL.
        let scheme = &before
            [before.rfind(|c: char| !c.is_ascii_alphanumeric() && !"+-.:/".contains(c)).map_or(0, |at| at + 1)..];
        let is_url = authority.contains('@') || Url::parse(&format!("{scheme}{word}")).is_ok();
        let secret = if is_url { authority.rfind('@') } else { word.rfind('@') };
        rest = &after[secret.map_or(0, |at| at + 1)..];
    }
    shown.push_str(rest);
    shown
}

fn strip(url: &mut Url) {
    // Neither fails on a URL with a host, and one without a host carries no password.
    let _ = url.set_username("");
    let _ = url.set_password(None);
}

fn login_of(url: &Url) -> Option<Login> {
    let password = url.password();
    if url.username().is_empty() && password.is_none() {
        return None;
    }
    Some(Login { user: decoded(url.username()), password: decoded(password.unwrap_or_default()) })
}

/// Undoes percent signs (RFC 3986, section 2.1).
fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// How many leading segments of their paths two URLs share.
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
    fn what_is_shown_has_no_password() {
        let table = [
            ("https://me:secret@index.example/simple", "https://index.example/simple"),
            ("x @ https://me:se@cret@h/x.whl and http://u@v/", "x @ https://h/x.whl and http://v/"),
            ("`https://me:sec/ret@h/x.whl`", "`https://h/x.whl`"),
            ("https://me:secret@[nonsense/simple", "https://[nonsense/simple"),
            ("git+https://host/a/b@v1", "git+https://host/a/b@v1"),
            ("/some/file@2", "/some/file@2"),
        ];
        for (text, expected) in table {
            assert_eq!(public(text), expected);
        }
    }
}
