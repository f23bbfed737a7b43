//! Registries whose name is not the name of their host, and registries on this machine.

use std::net::Ipv4Addr;

/// The registry that is used if the name of an image contains no registry. Docker uses the same registry.
pub(crate) const DOCKER_HUB: &str = "docker.io";
/// The host that serves the API of Docker Hub.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";
/// The name of Docker Hub in Docker's configuration. The programs that keep credentials use this name, too.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";
/// Other names of Docker Hub in the configuration of Docker and Podman.
const DOCKER_HUB_NAMES: [&str; 2] = ["index.docker.io", DOCKER_HUB_HOST];
/// The registry that accepts tokens of GitHub.
pub(crate) const GITHUB: &str = "ghcr.io";

/// Returns the host of a registry.
pub(crate) fn host(registry: &str) -> &str {
    if registry == DOCKER_HUB { DOCKER_HUB_HOST } else { registry }
}

/// Returns the name of a registry in Docker's configuration.
pub(crate) fn docker_key(registry: &str) -> &str {
    if registry == DOCKER_HUB { DOCKER_HUB_KEY } else { registry }
}

/// Returns the registry that a name in the configuration of Docker or Podman means. If a namespace follows the
/// registry, the namespace is kept. For example, `https://index.docker.io/v1/` is `docker.io`, and `host.example/team`
/// stays the same.
pub(crate) fn of_key(key: &str) -> String {
    let place = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let place = place.trim_end_matches('/');
    let place = place.strip_suffix("/v1").or_else(|| place.strip_suffix("/v2")).unwrap_or(place);
    match place.split_once('/') {
        Some((host, rest)) if DOCKER_HUB_NAMES.contains(&host) => format!("{DOCKER_HUB}/{rest}"),
        None if DOCKER_HUB_NAMES.contains(&place) => DOCKER_HUB.to_owned(),
        _ => place.to_owned(),
    }
}

/// Whether `HOST[:PORT]` is an address of this machine.
pub(crate) fn is_loopback(name: &str) -> bool {
    let host = match name.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => name,
    };
    host == "localhost" || host == "[::1]" || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_are_insecure_without_an_option() {
        for name in ["localhost", "localhost:5000", "127.0.0.1", "127.9.9.9:80", "[::1]:5000"] {
            assert!(is_loopback(name), "{name}");
        }
        for name in ["docker.io", "localhost.example", "127.0.0.1.example", "10.0.0.1:5000", "host:5000"] {
            assert!(!is_loopback(name), "{name}");
        }
    }

    #[test]
    fn keys_of_configuration_files_are_names_of_registries() {
        let table = [
            ("https://index.docker.io/v1/", "docker.io"),
            ("index.docker.io", "docker.io"),
            ("docker.io/library", "docker.io/library"),
            ("registry-1.docker.io/me", "docker.io/me"),
            ("https://host.example:5000/v2/", "host.example:5000"),
            ("http://host.example", "host.example"),
            ("host.example/team/app", "host.example/team/app"),
        ];
        for (key, registry) in table {
            assert_eq!(of_key(key), registry);
        }
        for registry in [DOCKER_HUB, "host.example:5000"] {
            assert_eq!(of_key(docker_key(registry)), registry);
        }
    }
}
