//! The indexes of the request as options of pip and uv, without credentials.

use url::Url;

use super::text::shell_word;
use crate::model::all_indexes::AllIndexes;
use crate::model::indexes::IndexStrategy;
use crate::model::secret_text::SecretText;

/// The server that has the files of PyPI.
const PYPI_FILES: &str = "files.pythonhosted.org";

/// The names of the options for the default index and for other indexes.
struct Names {
    default: &'static str,
    extra: &'static str,
}

/// Returns the options of pip that name the indexes, one option per entry.
pub(super) fn for_pip(indexes: &AllIndexes) -> Vec<String> {
    // pip searches all indexes in the same way, so the index of PyTorch becomes one of the extra indexes.
    let all = AllIndexes { extra: indexes.extra.iter().chain(&indexes.torch).cloned().collect(), ..indexes.clone() };
    let mut options = Vec::new();
    for (option, url) in options_of(&all, &Names { default: "--index-url", extra: "--extra-index-url" }) {
        options.push(option);
        // pip refuses an index with an `http` URL, unless an option names the host of the index as trusted.
        let parsed = url.and_then(SecretText::url).filter(|url| url.scheme() == "http");
        if let Some(host) = parsed.as_ref().and_then(Url::host_str) {
            options.push(format!("--trusted-host {}", shell_word(host)));
        }
    }
    options
}

/// Returns the options of uv that name the indexes, one option per entry.
pub(super) fn for_uv(indexes: &AllIndexes) -> Vec<String> {
    let options = options_of(indexes, &Names { default: "--default-index", extra: "--index" });
    let strategy = match indexes.strategy {
        IndexStrategy::FirstIndex => None,
        IndexStrategy::UnsafeFirstMatch => Some("--index-strategy unsafe-first-match".to_owned()),
        IndexStrategy::UnsafeBestMatch => Some("--index-strategy unsafe-best-match".to_owned()),
    };
    let torch = indexes.torch_backend.as_ref().map(|backend| format!("--torch-backend {backend}"));
    options.into_iter().map(|(option, _)| option).chain(strategy).chain(torch).collect()
}

/// Returns whether pip searches another index besides the default one.
pub(super) fn are_several(indexes: &AllIndexes) -> bool {
    !(indexes.extra.is_empty() && indexes.torch.is_none() && indexes.find_links.is_empty())
}

/// Returns whether a file is on the server of the default index. The files of PyPI have a server of their own, which
/// mirrors of PyPI use as well.
pub(super) fn is_of_default(indexes: &AllIndexes, file: &str) -> bool {
    let server = |url: &Url| url.host_str().map(|host| (host.to_owned(), url.port_or_known_default()));
    let file = Url::parse(file).ok().and_then(|url| server(&url));
    let index = indexes.default_index.as_ref().and_then(SecretText::url).and_then(|url| server(&url));
    file.is_some() && (file == index || file.is_some_and(|(host, _)| host == PYPI_FILES))
}

/// Returns whether an index is a folder of this machine, which a Dockerfile cannot use.
pub(super) fn is_local(index: &SecretText) -> bool {
    index.exposed().starts_with("file:")
}

/// Returns the indexes from which pip installs if the Dockerfile does not pin versions.
pub(super) fn each(indexes: &AllIndexes) -> impl Iterator<Item = &SecretText> {
    indexes.default_index.iter().chain(&indexes.extra).chain(&indexes.find_links)
}

fn options_of<'a>(indexes: &'a AllIndexes, names: &Names) -> Vec<(String, Option<&'a SecretText>)> {
    let default = indexes.default_index.iter().map(|url| (names.default, url));
    let extra = indexes.extra.iter().map(|url| (names.extra, url));
    let links = indexes.find_links.iter().map(|url| ("--find-links", url));
    let named = default.chain(extra).chain(links).filter(|(_, url)| !is_local(url));
    let only_links = indexes.has_only_links.then(|| ("--no-index".to_owned(), None));
    let named = named.map(|(option, url)| (format!("{option} {}", shell_word(&url.to_string())), Some(url)));
    only_links.into_iter().chain(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_default_index_are_on_its_server_or_on_that_of_pypi() {
        let mut indexes = AllIndexes::default();
        assert!(is_of_default(&indexes, "https://files.pythonhosted.org/packages/a/a-1.0-py3-none-any.whl"));
        assert!(!is_of_default(&indexes, "https://download.pytorch.org/whl/cpu/torch-2.0-py3-none-any.whl"));
        indexes.default_index = Some("https://me:secret@corp.example:8443/simple".into());
        assert!(is_of_default(&indexes, "https://corp.example:8443/files/a-1.0-py3-none-any.whl"));
        assert!(!is_of_default(&indexes, "https://corp.example/files/a-1.0-py3-none-any.whl"));
    }

    #[test]
    fn pip_and_uv_have_the_same_indexes_strategy_and_build_of_pytorch() {
        let indexes = AllIndexes {
            default_index: Some("https://me:secret@default.example/simple".into()),
            extra: vec!["https://me:secret@corp.example/simple".into()],
            find_links: vec!["http://links.example/".into()],
            has_only_links: false,
            strategy: IndexStrategy::UnsafeBestMatch,
            torch: Some("https://download.pytorch.org/whl/cpu".into()),
            torch_backend: Some("cpu".parse().unwrap()),
        };
        assert_eq!(
            for_pip(&indexes),
            [
                "--index-url https://default.example/simple",
                "--extra-index-url https://corp.example/simple",
                "--extra-index-url https://download.pytorch.org/whl/cpu",
                "--find-links http://links.example/",
                "--trusted-host links.example",
            ]
        );
        assert_eq!(
            for_uv(&indexes),
            [
                "--default-index https://default.example/simple",
                "--index https://corp.example/simple",
                "--find-links http://links.example/",
                "--index-strategy unsafe-best-match",
                "--torch-backend cpu",
            ]
        );
        assert_eq!(for_uv(&AllIndexes::default()), [""; 0]);
    }
}
