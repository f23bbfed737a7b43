//! Checks a user name and a password for `lath login`.

use reqwest::StatusCode;

use crate::outside::credentials::registries::Found;
use crate::outside::credentials::{Login, LoginSource, RegistryLogin};
use crate::outside::http::is_refused;
use crate::outside::registry::Registry;
use crate::outside::registry::error::{RegistryError, Task};
use crate::outside::registry::tokens::Used;

/// The result of a successful check. If the registry refuses the login, the check returns an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoginCheck {
    Accepted,
    /// The registry does not require credentials.
    NotNeeded,
}

impl Registry {
    /// Checks whether a registry accepts a user name and a password. Nothing is saved.
    pub(crate) fn check_login(&self, registry: &str, login: &Login) -> Result<LoginCheck, RegistryError> {
        self.block_on(self.check(registry, login))
    }

    async fn check(&self, registry: &str, login: &Login) -> Result<LoginCheck, RegistryError> {
        let task = Task::LogIn { registry: registry.to_owned() };
        if self.settings.offline {
            return Err(RegistryError::Offline { task });
        }
        let host = self.known_host(registry);
        let reached = self.reach(&host).await?;
        let Some(challenge) = reached.challenge.clone() else { return Ok(LoginCheck::NotNeeded) };
        let found = Found::of(RegistryLogin::Password(login.clone()), LoginSource::Typed);
        // A login requests no access to a repository.
        let grant = self.obtain(&host, Some(challenge), found, Vec::new()).await?;
        let mut request = reached.clients.ordinary.get(reached.base.clone());
        if let Some(header) = &grant.header {
            request = request.header(reqwest::header::AUTHORIZATION, header.clone());
        }
        let response = request.send().await.map_err(|source| RegistryError::network(&task, registry, source))?;
        let status = response.status();
        if is_refused(status) {
            return Err(self.refused(&host, &task, response, Used { grant: &grant, scopes: &[] }).await);
        }
        match status.is_success() || status == StatusCode::NOT_FOUND {
            true => Ok(LoginCheck::Accepted),
            false => Err(self.failure(registry, &task, response, &grant.secrets()).await),
        }
    }
}
