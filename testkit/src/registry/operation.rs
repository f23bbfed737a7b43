//! The endpoints of the specification (section "Endpoints"). They are recognised by the method and the path of a
//! request.

use super::http::Request;

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// `GET /v2/`
    Version,
    /// A request to the token server.
    Token,
    GetManifest,
    HeadManifest,
    PutManifest,
    DeleteManifest,
    GetBlob,
    HeadBlob,
    DeleteBlob,
    /// `POST` without `mount` and `digest`.
    StartUpload,
    /// `POST` with `digest`, which sends the whole blob in one request.
    SinglePost,
    /// `POST` with `mount`.
    Mount,
    UploadChunk,
    UploadStatus,
    FinishUpload,
    CancelUpload,
    ListTags,
    ListReferrers,
    /// A request that is not in the specification.
    Other,
}

impl Operation {
    /// Returns whether the operation changes the registry.
    pub(super) fn is_write(self) -> bool {
        use Operation::*;
        let uploads = [StartUpload, SinglePost, Mount, UploadChunk, UploadStatus, FinishUpload, CancelUpload];
        uploads.contains(&self) || matches!(self, PutManifest | DeleteManifest | DeleteBlob)
    }
}

/// The parts of a request's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) operation: Operation,
    /// Empty if the path contains no repository.
    pub(super) repository: String,
    /// A tag, a digest or the ID of an upload.
    pub(super) reference: String,
}

impl Target {
    pub(super) fn of(request: &Request) -> Self {
        let target = |operation, repository: &str, reference: &str| Self {
            operation,
            repository: repository.to_owned(),
            reference: reference.to_owned(),
        };
        let other = target(Operation::Other, "", "");
        let method = request.method.as_str();
        if request.path == "/token" {
            return target(Operation::Token, "", "");
        }
        let Some(path) = request.path.strip_prefix("/v2/") else { return other };
        if path.is_empty() && matches!(method, "GET" | "HEAD") {
            return target(Operation::Version, "", "");
        }
        let uploads = path.rsplit_once("/blobs/uploads/").or_else(|| Some((path.strip_suffix("/blobs/uploads")?, "")));
        if let Some((repository, upload)) = uploads {
            return upload_operation(request, upload).map_or(other, |found| target(found, repository, upload));
        }
        if let Some(repository) = path.strip_suffix("/tags/list") {
            return if method == "GET" { target(Operation::ListTags, repository, "") } else { other };
        }
        for (word, pairs) in ENDPOINTS {
            if let Some((repository, reference)) = path.rsplit_once(word) {
                let found = pairs.iter().find(|(verb, _)| *verb == method);
                return found.map_or(other, |(_, found)| target(*found, repository, reference));
            }
        }
        other
    }
}

type Verbs = &'static [(&'static str, Operation)];

const ENDPOINTS: &[(&str, Verbs)] = &[
    (
        "/manifests/",
        &[
            ("GET", Operation::GetManifest),
            ("HEAD", Operation::HeadManifest),
            ("PUT", Operation::PutManifest),
            ("DELETE", Operation::DeleteManifest),
        ],
    ),
    ("/blobs/", &[("GET", Operation::GetBlob), ("HEAD", Operation::HeadBlob), ("DELETE", Operation::DeleteBlob)]),
    ("/referrers/", &[("GET", Operation::ListReferrers)]),
];

fn upload_operation(request: &Request, upload: &str) -> Option<Operation> {
    match (request.method.as_str(), upload.is_empty()) {
        ("POST", true) if request.parameter("mount").is_some() => Some(Operation::Mount),
        ("POST", true) if request.parameter("digest").is_some() => Some(Operation::SinglePost),
        ("POST", true) => Some(Operation::StartUpload),
        ("PATCH", false) => Some(Operation::UploadChunk),
        ("GET", false) => Some(Operation::UploadStatus),
        ("PUT", false) => Some(Operation::FinishUpload),
        ("DELETE", false) => Some(Operation::CancelUpload),
        _ => None,
    }
}

/// Returns whether `name` is valid for a repository: lower-case words that are joined by `.`, `_`, `__` or dashes.
pub(super) fn is_repository(name: &str) -> bool {
    name.len() < 256 && name.split('/').all(is_component)
}

fn is_component(component: &str) -> bool {
    let is_word = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let ends_well = |edge: Option<char>| edge.is_some_and(is_word);
    let separators = component.split(is_word).filter(|separator| !separator.is_empty());
    ends_well(component.chars().next())
        && ends_well(component.chars().next_back())
        && separators.into_iter().all(|text| matches!(text, "." | "_" | "__") || text.chars().all(|c| c == '-'))
}

/// Returns whether `tag` is valid. It may have at most 128 characters, and only some characters are allowed.
pub(super) fn is_tag(tag: &str) -> bool {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    (1..=128).contains(&tag.len())
        && tag.starts_with(is_word)
        && tag.chars().all(|letter| is_word(letter) || matches!(letter, '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_grammar_of_the_specification() {
        for name in ["a", "a/b", "library/python", "a.b_c__d---e/f1"] {
            assert!(is_repository(name), "{name}");
        }
        for name in ["", "A", "a//b", "/a", "a/", "a..b", "a___b", "-a", "a_", "a b"] {
            assert!(!is_repository(name), "{name}");
        }
        for (tag, is_good) in [("v1.0-rc_1", true), ("_", true), (".a", false), ("", false), ("a/b", false)] {
            assert_eq!(is_tag(tag), is_good, "{tag}");
        }
        assert!(is_tag(&"a".repeat(128)) && !is_tag(&"a".repeat(129)));
    }
}
