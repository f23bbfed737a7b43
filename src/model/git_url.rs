//! URLs of git repositories in requirements.

/// Returns the URL of a revision in a git repository, in the form that PEP 508 has after the `@`. Without a revision,
/// it is the default branch.
pub(crate) fn git_url(repository: &str, revision: Option<&str>, subdirectory: Option<&str>) -> String {
    // `git@host:path` is a way to write an ssh address, but it is not a URL.
    let repository = match repository.split_once(':') {
        Some((host, path)) if !repository.contains("://") => format!("ssh://{host}/{path}"),
        _ => repository.to_owned(),
    };
    let revision = revision.map(|revision| format!("@{revision}")).unwrap_or_default();
    let folder = subdirectory.map(|folder| format!("#subdirectory={folder}")).unwrap_or_default();
    format!("git+{repository}{revision}{folder}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ssh_becomes_a_url() {
        assert_eq!(
            git_url("git@host.example:team/x.git", Some("v1"), None),
            "git+ssh://git@host.example/team/x.git@v1"
        );
        assert_eq!(git_url("https://host.example/x", None, Some("a")), "git+https://host.example/x#subdirectory=a");
    }
}
