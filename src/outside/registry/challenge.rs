//! Reads the header `WWW-Authenticate`. In this header, a registry requests a kind of authentication (RFC 9110, section
//! 11.6.1, and distribution's `docs/spec/auth/token.md`).

use http_auth::parse_challenges;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use url::Url;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Each request must contain a name and a password.
    Basic,
    /// Each request must contain a token, which another server issues.
    Bearer {
        realm: Url,
        service: Option<String>,
        /// The access that the request needs, such as `repository:team/tool:pull`.
        scope: Option<String>,
    },
}

impl Challenge {
    /// Reads the headers of a response. If both schemes are offered, the token is preferred.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let all: Vec<Self> = values.flat_map(Self::each).collect();
        let bearer = all.iter().find(|challenge| matches!(challenge, Self::Bearer { .. }));
        bearer.or(all.first()).cloned()
    }

    /// Returns the challenge without its scope.
    pub(super) fn without_scope(self) -> Self {
        match self {
            Self::Bearer { realm, service, .. } => Self::Bearer { realm, service, scope: None },
            Self::Basic => Self::Basic,
        }
    }

    /// Returns the challenges in the value of a header. Challenges that lath does not support are left out.
    fn each(value: &str) -> Vec<Self> {
        let challenges = parse_challenges(value).unwrap_or_default();
        let known = challenges.iter().filter_map(|challenge| {
            let parameter = |name: &str| {
                let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.to_unescaped()).filter(|value| !value.is_empty())
            };
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                return Some(Self::Basic);
            }
            if !challenge.scheme.eq_ignore_ascii_case("bearer") {
                return None;
            }
            let realm = Url::parse(&parameter("realm")?).ok().filter(|realm| realm.has_host())?;
            Some(Self::Bearer { realm, service: parameter("service"), scope: parameter("scope") })
        });
        known.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        Challenge::read(&headers)
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push",error="insufficient_scope""#;
        let expected = Challenge::Bearer {
            realm: "https://auth.docker.io/token".parse().unwrap(),
            service: Some("registry.docker.io".to_owned()),
            scope: Some("repository:a/b:pull,push".to_owned()),
        };
        assert_eq!(read(&[hub]), Some(expected.clone()));
        assert_eq!(read(&["Basic realm=\"x\"", hub]), Some(expected));
        assert_eq!(read(&["BASIC realm=x"]), Some(Challenge::Basic));
        for other in ["Negotiate", "Bearer realm=\"/token\"", "Bearer realm=\"", "", "Bearer"] {
            assert_eq!(read(&[other]), None, "{other}");
        }
        assert_eq!(read(&[]), None);
    }
}
