//! The crates of Rust code. Those that `Cargo.lock` pins are fetched from crates.io into the store. A build has no
//! network, so cargo gets them as files.

use serde::Deserialize;

use super::error::Reason;
use super::open::is_here;
use crate::model::digest::Digest;
use crate::outside::http::Download;
use crate::outside::world::World;

/// The place of crates.io in `Cargo.lock`.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// The server of crates.io (the index's `config.json`, `dl`).
const SERVER: &str = "https://static.crates.io/crates";

/// A crate on crates.io.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Crate {
    name: String,
    /// `NAME-VERSION.crate`.
    pub(super) file: String,
    pub(super) digest: Digest,
}

#[derive(Debug, Deserialize)]
struct CargoLock {
    #[serde(default)]
    package: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<Digest>,
}

/// Returns the crates that are pinned in the files, sorted and without duplicates. `locks` are the texts of
/// `Cargo.lock` files.
pub(super) fn pinned<'a>(locks: impl Iterator<Item = &'a str>) -> Result<Vec<Crate>, Reason> {
    let mut crates = Vec::new();
    let mut has_lock = false;
    for text in locks {
        has_lock = true;
        let lock: CargoLock = toml::from_str(text).map_err(Reason::CargoLock)?;
        for Package { name, version, source, checksum } in lock.package {
            match (source, checksum) {
                // The crate is in the source itself.
                (None, _) => {}
                (Some(source), Some(digest)) if source == CRATES_IO && is_plain(&name) && is_plain(&version) => {
                    crates.push(Crate { file: format!("{name}-{version}.crate"), name, digest });
                }
                (Some(place), _) => return Err(Reason::ForeignCrate { name, place }),
            }
        }
    }
    crates.sort();
    crates.dedup();
    if has_lock { Ok(crates) } else { Err(Reason::NoCargoLock) }
}

/// Returns whether the text can be a part of a URL and of a file name.
fn is_plain(text: &str) -> bool {
    !text.starts_with('.') && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+'))
}

/// Fetches the crates that are not in the store, from the vendor folder if they are there.
pub(super) fn fetch(crates: &[Crate], world: &World) -> Result<(), Reason> {
    if world.vendor.is_some() {
        crates.iter().try_for_each(|one| is_here(&one.digest, world).map(drop))?;
    }
    let download = |Crate { name, file, digest }: &Crate| {
        let url = format!("{SERVER}/{name}/{file}");
        Download { name: file.clone(), url, other_urls: Vec::new(), digest: *digest, size_bytes: None }
    };
    let downloads: Vec<Download> = crates.iter().map(download).collect();
    world.http.download_all(&downloads, &world.store).map_err(Reason::Fetch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(package: &str) -> String {
        format!("version = 4\n[[package]]\nname = 'own'\nversion = '1.0.0'\n[[package]]\n{package}")
    }

    #[test]
    fn a_lock_gives_its_crates_and_its_own_ones_are_left_out() {
        let digest = Digest::of(b"x");
        let text = lock(&format!("name = 'a-b'\nversion = '1.0.0+x'\nsource = '{CRATES_IO}'\nchecksum = '{digest}'"));
        let crates = pinned([text.as_str()].into_iter()).unwrap();
        let file = "a-b-1.0.0+x.crate".to_owned();
        assert_eq!(crates, [Crate { name: "a-b".to_owned(), file, digest }]);
    }

    #[test]
    fn a_source_without_a_lock_and_crates_of_other_places_are_refused() {
        assert!(matches!(pinned(std::iter::empty()), Err(Reason::NoCargoLock)));
        let git = lock("name = 'a'\nversion = '1.0.0'\nsource = 'git+https://git.example/a#1'");
        let hostile = lock(&format!(
            "name = '../a'\nversion = '1.0.0'\nsource = '{CRATES_IO}'\nchecksum = '{}'",
            Digest::of(b"x")
        ));
        for text in [git, hostile] {
            assert!(matches!(pinned([text.as_str()].into_iter()), Err(Reason::ForeignCrate { .. })));
        }
    }
}
