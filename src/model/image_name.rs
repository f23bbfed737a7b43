//! Names of images, according to the rules of engines and registries.

use std::net::Ipv6Addr;

/// The maximum length of a name. The length includes the registry but not the tag (`RepositoryNameTotalLengthMax` of
/// github.com/distribution/reference; engines use that library to read names).
const MAX_NAME_CHARACTERS: usize = 255;
/// The registry that an engine uses for a name without a registry.
const DEFAULT_REGISTRY: &str = "docker.io/";
/// The namespace that an engine uses for a name that has neither a registry nor a namespace.
const DEFAULT_NAMESPACE: &str = "library/";

/// Whether engines and registries accept `text` as a name, with or without a tag (distribution-spec, "Pulling
/// manifests").
pub(crate) fn is_image_name(text: &str) -> bool {
    let (name, tag) = match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (text, None),
    };
    let (registry, path) = match name.split_once('/') {
        Some((first, rest)) if is_registry(first) => (Some(first), rest),
        _ => (None, name),
    };
    qualified(name).len() <= MAX_NAME_CHARACTERS
        && registry.is_none_or(is_host)
        && path.split('/').all(is_component)
        // Names of 64 hexadecimal digits are refused, because engines would read such a name as the digest of an image.
        && !(path.len() == 64 && path.bytes().all(|byte| byte.is_ascii_hexdigit()))
        && tag.is_none_or(is_tag)
}

/// Whether the name contains a registry. For example, `registry.example/tool` contains one, and `team/tool` does not.
pub(crate) fn has_registry(name: &str) -> bool {
    name.split_once('/').is_some_and(|(first, _)| is_registry(first))
}

/// Adds the registry and the namespace that a short name such as `tool:1` lacks.
pub(crate) fn qualified(name: &str) -> String {
    match name.split_once('/') {
        Some((first, _)) if is_registry(first) => name.to_owned(),
        Some(_) => format!("{DEFAULT_REGISTRY}{name}"),
        None => format!("{DEFAULT_REGISTRY}{DEFAULT_NAMESPACE}{name}"),
    }
}

/// Whether engines understand the first component of a name as a registry.
fn is_registry(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost"
}

/// Whether `text` is a host, such as `registry.example:5000` or `[::1]:5000`.
fn is_host(text: &str) -> bool {
    let is_port = |port: &str| port.parse::<u16>().is_ok() && port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((address, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        let has_good_port = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
        return address.parse::<Ipv6Addr>().is_ok() && has_good_port;
    }
    let (host, port) = text.split_once(':').unwrap_or((text, "1"));
    let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_label = |label: &str| {
        label.starts_with(is_edge) && label.ends_with(is_edge) && label.chars().all(|c| is_edge(c) || c == '-')
    };
    host.split('.').all(is_label) && is_port(port)
}

/// Whether a component matches `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_component(component: &str) -> bool {
    let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_separator = |text: &str| matches!(text, "" | "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    component.starts_with(is_edge) && component.ends_with(is_edge) && component.split(is_edge).all(is_separator)
}

/// Whether a tag matches `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
fn is_tag(tag: &str) -> bool {
    (1..=128).contains(&tag.len())
        && !tag.starts_with(['-', '.'])
        && tag.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_engines_and_registries_take() {
        let long = |length: usize| "x".repeat(length);
        let good = [
            "tool",
            "tool:1",
            "a/b__c/d.e-f--g:V_1.0-x",
            "host.example:5000/a/b:1",
            "localhost/tool",
            "localhost:5000/tool",
            "127.0.0.1:5000/x",
            "[::1]:5000/x:1",
            "[fd00::2]/a/b",
            &long(237),
            &format!("h.example/{}", long(245)),
            &format!("tool:{}", long(128)),
        ];
        for name in good {
            assert!(is_image_name(name), "{name}");
        }
        let bad = [
            "",
            "a:b:c",
            "a:b/c",
            "Tool",
            "a//b",
            "/a",
            "a/",
            "a..b",
            "a___b",
            "-a",
            "a-",
            "a._b",
            "tool:",
            "tool:-1",
            "tool:a+b",
            "tool:ä",
            "host.example:port/x",
            "[::1/x",
            "[::g]/x",
            "[::1]5000/x",
            "[::1]:port/x",
            "[::1]",
            "host.example:99999/x",
            "host..example/x",
            "a/b:c/d",
            &long(238),
            &long(300),
            &format!("h.example/{}", long(246)),
            &format!("tool:{}", long(129)),
            &"0a".repeat(32),
        ];
        for name in bad {
            assert!(!is_image_name(name), "{name}");
        }
    }

    #[test]
    fn a_name_is_qualified_as_docker_does_it() {
        assert_eq!(qualified("tool:1"), "docker.io/library/tool:1");
        assert_eq!(qualified("me/tool:1"), "docker.io/me/tool:1");
        for name in ["registry.example/me/tool:1", "host:5000/tool:1", "localhost/tool:1"] {
            assert_eq!(qualified(name), name);
        }
    }
}
