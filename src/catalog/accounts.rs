//! The users and groups of Debian's `base-passwd`.

use std::sync::LazyLock;

use serde::Deserialize;

static ACCOUNTS: LazyLock<Accounts> = LazyLock::new(|| super::read(include_str!("accounts.toml")));

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Accounts {
    users: Vec<User>,
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) id: u32,
    /// The ID of the user's own group.
    pub(crate) group: u32,
    pub(crate) home: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) id: u32,
}

/// Returns the users except `root`, sorted by ID.
pub(crate) fn users() -> &'static [User] {
    &ACCOUNTS.users
}

/// Returns the groups, sorted by ID.
pub(crate) fn groups() -> &'static [Group] {
    &ACCOUNTS.groups
}
