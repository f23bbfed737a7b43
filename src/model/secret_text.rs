//! URLs and requirements that the user typed. Such a text may contain a user name and a password. Both are removed when
//! the text is shown.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};
use url::{Position, Url};

/// A text that may contain URLs with credentials. Printing or serialising it leaves out the credentials.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct SecretText(String);

impl SecretText {
    /// Returns the whole text with its credentials, so that they can be sent.
    pub(crate) fn exposed(&self) -> &str {
        &self.0
    }

    /// Returns the URL. Returns `None` if it is invalid, or if it is unclear where its password ends.
    pub(crate) fn url(&self) -> Option<Url> {
        Url::parse(&self.0).ok().filter(is_plain)
    }
}

/// Whether it is clear where the credentials of `url` end. If there is an `@` after the host, the password may contain
/// a slash, and the text that looks like the host may be a part of the password.
pub(crate) fn is_plain(url: &Url) -> bool {
    let rest = &url[Position::BeforePath..];
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    !rest.contains('@') || !has_credentials && !ends_password(rest)
}

/// Whether an `@` comes after a colon.
fn ends_password(path: &str) -> bool {
    path.split_once(':').is_some_and(|(_, after)| after.contains('@'))
}

impl<T: Into<String>> From<T> for SecretText {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl FromStr for SecretText {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&public(&self.0))
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&public(&self.0), f)
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&public(&self.0))
    }
}

/// Returns a text that may be shown, without user names and passwords of URLs. If a URL is malformed, more text may be
/// removed, because it is unclear where its password ends.
pub(crate) fn public(text: &str) -> String {
    let ends_word = |c: char| c.is_whitespace() || matches!(c, '`' | '"' | '\'' | '<' | '>');
    let mut shown = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c| !ends_word(c)) {
        shown.push_str(&rest[..start]);
        let word = &rest[start..];
        let (word, after) = word.split_at(word.find(ends_word).unwrap_or(word.len()));
        push_public(word, &mut shown);
        rest = after;
    }
    shown + rest
}

fn push_public(word: &str, shown: &mut String) {
    let (scheme, body) = match word.find("://") {
        Some(at) => word.split_at(at + 3),
        // It is clear that `user:password@host/simple` is meant as a URL.
        None if word.split_once(':').is_some_and(|(_, after)| after.contains('@')) => ("", word),
        None => ("", ""),
    };
    let Some(last) = body.rfind('@') else { return shown.push_str(word) };
    let (authority, path) = body.split_at(body.find(['/', '?', '#', '\\']).unwrap_or(body.len()));
    // After a host, an `@` begins a version or a scope. But if a colon comes before the `@`, the `@` may end a password
    // that contains a slash.
    let is_free = !scheme.is_empty() && !authority.contains('@') && is_host(authority) && !ends_password(path);
    shown.push_str(scheme);
    shown.push_str(if is_free { body } else { &body[last + 1..] });
}

/// Whether `text` is a host, with or without a port.
fn is_host(text: &str) -> bool {
    Url::parse(&format!("http://{text}/")).is_ok_and(|url| url.has_host()) || text.is_empty()
}

/// Returns a URL without its credentials.
pub(crate) fn without_credentials(url: &Url) -> Url {
    let mut url = url.clone();
    // These calls cannot fail for a URL with a host, and a URL without a host has no credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_has_no_password() {
        let table = [
            ("https://me:secret@index.example/simple", "https://index.example/simple"),
            ("x @ https://me:se@cret@h/x.whl and http://u@v/", "x @ https://h/x.whl and http://v/"),
            ("`https://me:sec/ret@h/x.whl`", "`https://h/x.whl`"),
            ("https://me:secret@[nonsense/simple", "https://[nonsense/simple"),
            ("http://us@er:sec/ret@h/", "http://h/"),
            ("http://us@er/sec:ret@h/", "http://h/"),
            ("me:secret@h/simple", "h/simple"),
            ("me:sec/ret@h/simple", "h/simple"),
            ("htp://me:secret@h/", "htp://h/"),
            ("http:me:secret@h/", "h/"),
            ("http://me:secret@", "http://"),
            ("//me:secret@h/", "h/"),
            ("git+https://host/a/b@v1", "git+https://host/a/b@v1"),
            ("git+https://me:secret@host/a/b@v1", "git+https://v1"),
            ("http://me:se@cret/secret@h/", "http://h/"),
            ("http://us/er:secret@h/", "http://h/"),
            ("tool[more]@https://me:secret@h/x.whl", "tool[more]@https://h/x.whl"),
            ("https://h:8080/@scope/x", "https://h:8080/@scope/x"),
            ("file:///some/file@2", "file:///some/file@2"),
            ("/some/file@2", "/some/file@2"),
            ("mail me@h or 12:30", "mail me@h or 12:30"),
            ("  a\n b ", "  a\n b "),
        ];
        for (text, expected) in table {
            assert_eq!(public(text), expected, "{text}");
        }
    }

    #[test]
    fn a_url_is_one_only_if_its_credentials_are_plain() {
        let table = [
            ("https://me:secret@h/simple", true),
            ("https://h/@scope/x", true),
            ("https://me:se%2Fc%40ret@h/simple", true),
            ("https://us@er/sec:ret@h/", false),
            ("https://me:se@cret/more@h/", false),
            ("https://me:sec/ret@h/", false),
            ("me/simple", false),
        ];
        for (text, expected) in table {
            assert_eq!(SecretText::from(text).url().is_some(), expected, "{text}");
        }
    }

    #[test]
    fn no_way_to_print_or_keep_it_has_the_password() {
        let text = SecretText::from("https://me:secret@index.example/simple");
        let ways = [text.to_string(), format!("{text:?}"), serde_json::to_string(&text).unwrap()];
        for shown in ways {
            assert!(shown.contains("https://index.example/simple") && !shown.contains("secret"), "{shown}");
        }
        assert!(text.exposed().contains("secret"));
    }
}
