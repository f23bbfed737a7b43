//! Passwords and tokens (RFC 7617, and the token authentication of Docker's registry).

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use serde_json::{Value, json};

use super::http::{Body, Reply, Request, parse_form};
use super::operation::{Operation, Target};
use super::{Shared, lock};
use crate::digest::base64;

/// The kind of authentication that the registry requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Scheme {
    #[default]
    Open,
    Basic,
    Bearer,
}

#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) password: String,
    pub(super) can_push: bool,
}

impl User {
    fn basic(&self) -> String {
        base64(format!("{}:{}", self.name, self.password).as_bytes())
    }
}

/// The allowed actions on repositories: `pull`, `push` and `delete`.
type Scopes = BTreeMap<String, BTreeSet<String>>;

#[derive(Debug)]
struct Token {
    scopes: Scopes,
    uses_left: u32,
}

/// All tokens that were issued.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    access: BTreeMap<String, Token>,
    /// The user of each refresh token.
    refresh: BTreeMap<String, String>,
    /// All texts that must stay secret, including tokens that are no longer valid.
    secrets: Vec<String>,
}

impl Tokens {
    pub(super) fn expire(&mut self) {
        self.access.values_mut().for_each(|token| token.uses_left = 0);
    }
}

/// Returns a value of `Authorization` without its secret.
pub(super) fn redacted(value: &str) -> String {
    format!("{} <secret>", value.split(' ').next().unwrap_or_default())
}

impl Shared {
    /// Returns the error for a request without valid credentials.
    pub(super) fn refuse(&self, target: &Target, request: &Request) -> Option<Reply> {
        if target.operation == Operation::Token || self.settings.scheme == Scheme::Open {
            return None;
        }
        let sent = request.header("authorization").unwrap_or_default();
        let (scheme, secret) = sent.split_once(' ').unwrap_or_default();
        if self.settings.scheme == Scheme::Basic {
            let user = self.user_of(secret).filter(|_| scheme.eq_ignore_ascii_case("basic"));
            let Some(user) = user else {
                let reply = Reply::error(401, "UNAUTHORIZED", Value::Null);
                return Some(reply.header("WWW-Authenticate", "Basic realm=\"registry\""));
            };
            let is_forbidden = target.operation.is_write() && !user.can_push;
            return is_forbidden.then(|| Reply::error(403, "DENIED", Value::Null));
        }
        let needed = needed_scopes(target, request);
        let mut tokens = lock(&self.tokens);
        let problem = match tokens.access.get_mut(secret).filter(|_| scheme.eq_ignore_ascii_case("bearer")) {
            None if secret.is_empty() => "",
            None => "invalid_token",
            Some(token) if token.uses_left == 0 => "invalid_token",
            Some(token) if covers(&token.scopes, &needed) => {
                token.uses_left -= u32::from(token.uses_left != u32::MAX);
                return None;
            }
            Some(_) => "insufficient_scope",
        };
        drop(tokens);
        Some(self.challenge(&needed, problem))
    }

    fn challenge(&self, needed: &Scopes, problem: &str) -> Reply {
        let mut value = format!("Bearer realm=\"{}\",service=\"registry.test\"", self.token_url());
        if !needed.is_empty() {
            let words: Vec<String> = needed.iter().map(|(name, actions)| scope_text(name, actions)).collect();
            value.push_str(&format!(",scope=\"{}\"", words.join(" ")));
        } else if !self.settings.placeholder_scope.is_empty() {
            value.push_str(&format!(",scope=\"{}\"", self.settings.placeholder_scope));
        }
        if !problem.is_empty() {
            value.push_str(&format!(",error=\"{problem}\""));
        }
        Reply::error(401, "UNAUTHORIZED", Value::Null).header("WWW-Authenticate", value)
    }

    /// The token server. It accepts `GET` with a password, or `POST` with a form (OAuth 2).
    pub(super) fn give_token(&self, request: &Request, body: &mut Body) -> std::io::Result<Reply> {
        let mut text = String::new();
        body.read_to_string(&mut text)?;
        let form = if request.method == "POST" { parse_form(&text) } else { request.query.clone() };
        let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let sent = request.header("authorization").and_then(|value| value.split_once(' '));
        let user = match (field("grant_type"), sent) {
            (Some("password"), _) => self.user_of(&base64(
                format!("{}:{}", field("username").unwrap_or_default(), field("password").unwrap_or_default())
                    .as_bytes(),
            )),
            (Some("refresh_token"), _) => {
                let token = field("refresh_token").unwrap_or_default();
                let name = lock(&self.tokens).refresh.get(token).cloned();
                self.settings.users.iter().find(|user| Some(&user.name) == name.as_ref()).cloned()
            }
            (_, Some((_, secret))) => self.user_of(secret),
            (_, None) if self.settings.anonymous_pulls => {
                Some(User { name: String::new(), password: String::new(), can_push: false })
            }
            _ => None,
        };
        let Some(user) = user else {
            let reply = Reply::error(401, "UNAUTHORIZED", Value::Null);
            return Ok(reply.header("WWW-Authenticate", "Basic realm=\"tokens\""));
        };
        let asked = form.iter().filter(|(key, _)| key == "scope").flat_map(|(_, value)| value.split(' '));
        let mut scopes = asked.filter_map(parse_scope).fold(Scopes::new(), |mut scopes, (name, actions)| {
            scopes.entry(name).or_default().extend(actions);
            scopes
        });
        if !user.can_push {
            scopes.values_mut().for_each(|actions| actions.retain(|action| action == "pull"));
        }
        let wants_refresh = field("offline_token") == Some("true") || field("access_type") == Some("offline");
        Ok(self.token_reply(&user, scopes, wants_refresh))
    }

    fn token_reply(&self, user: &User, scopes: Scopes, wants_refresh: bool) -> Reply {
        let access = format!("access.{}", random_text());
        let mut tokens = lock(&self.tokens);
        tokens.secrets.push(access.clone());
        tokens.access.insert(access.clone(), Token { scopes, uses_left: self.settings.token_uses });
        let mut answer = json!({ "expires_in": 300 });
        for name in &self.settings.token_fields {
            answer[*name] = json!(access);
        }
        if wants_refresh && !user.name.is_empty() {
            let refresh = format!("refresh.{}", random_text());
            tokens.secrets.push(refresh.clone());
            tokens.refresh.insert(refresh.clone(), user.name.clone());
            answer["refresh_token"] = json!(refresh);
        }
        Reply::json(200, &answer)
    }

    fn user_of(&self, basic: &str) -> Option<User> {
        self.settings.users.iter().find(|user| user.basic() == basic).cloned()
    }

    /// Returns every text that must not appear in an output, a file or an image.
    pub(super) fn secrets(&self) -> Vec<String> {
        let of_users = self.settings.users.iter().flat_map(|user| [user.password.clone(), user.basic()]);
        of_users.chain(lock(&self.tokens).secrets.iter().cloned()).collect()
    }
}

fn random_text() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}

fn scope_text(name: &str, actions: &BTreeSet<String>) -> String {
    // Like real registries, this writes `pull` first.
    let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
    format!("repository:{name}:{}", actions.join(","))
}

/// Parses `repository:NAME:ACTION,ACTION`.
fn parse_scope(text: &str) -> Option<(String, Vec<String>)> {
    let (name, actions) = text.strip_prefix("repository:")?.rsplit_once(':')?;
    Some((name.to_owned(), actions.split(',').map(str::to_owned).collect()))
}

/// Returns the scopes that a request needs. A mount also reads the other repository.
fn needed_scopes(target: &Target, request: &Request) -> Scopes {
    let mut needed = Scopes::new();
    if !target.repository.is_empty() {
        let actions: &[&str] = match target.operation {
            Operation::DeleteManifest | Operation::DeleteBlob => &["delete"],
            operation if operation.is_write() => &["pull", "push"],
            _ => &["pull"],
        };
        needed.insert(target.repository.clone(), actions.iter().map(|action| (*action).to_owned()).collect());
    }
    if let Some(from) = request.parameter("from").filter(|_| target.operation == Operation::Mount) {
        needed.entry(from.to_owned()).or_default().insert("pull".to_owned());
    }
    needed
}

fn covers(granted: &Scopes, needed: &Scopes) -> bool {
    needed.iter().all(|(name, actions)| granted.get(name).is_some_and(|granted| actions.is_subset(granted)))
}
