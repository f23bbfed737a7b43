//! Other places from which a package can be fetched if the mirror in the lock no longer has it: the user's mirror, and
//! the archive of old packages.

use jiff::Timestamp;

use crate::catalog::releases;
use crate::model::lock::{LockedDeb, LockedRelease, PlatformLock};
use crate::model::request::ReleaseRequest;
use crate::model::secret_text::{SecretText, public};

/// The time that is added to the date of a Release file. An archive of old packages copies a mirror some hours after
/// the Release file was made. So lath searches for the package at this later time, too.
const LATER_SECS: i64 = 24 * 60 * 60;

/// Adds the other places of all packages of a lock. If `snapshot` is given, this archive of old packages is used
/// instead of the distribution's own archive of old packages.
pub(super) fn add(lock: &mut PlatformLock, base: &ReleaseRequest, snapshot: Option<&SecretText>) {
    let own = releases::archive(base.distribution).snapshot();
    let snapshot = snapshot.map_or_else(|| own.to_owned(), |snapshot| public(snapshot.exposed()));
    let snapshot = snapshot.trim_end_matches('/');
    add_all(lock, base, snapshot);
}

/// Adds the other places of a lock's packages, including the packages for builds.
fn add_all(lock: &mut PlatformLock, base: &ReleaseRequest, snapshot: &str) {
    let releases = &lock.releases;
    for deb in &mut lock.debs {
        deb.other_urls = others(deb, releases, base, snapshot);
    }
    for build in lock.wheels.iter_mut().filter_map(|wheel| wheel.built.as_mut()) {
        add_all(&mut build.tree, base, snapshot);
    }
}

fn others(deb: &LockedDeb, releases: &[LockedRelease], base: &ReleaseRequest, snapshot: &str) -> Vec<String> {
    // The paths of all packages are below `pool/`. The last occurrence is used, because the URL of a mirror may contain
    // `/pool/`, too.
    let Some(at) = deb.url.rfind("/pool/") else { return Vec::new() };
    let (mirror, path) = deb.url.split_at(at);
    // If the main archive and the archive of security updates are on the same mirror, the URL does not show from which
    // archive a package comes. So lath tries both archives.
    let suites: Vec<&LockedRelease> = releases.iter().filter(|release| release.mirror == mirror).collect();
    let is_security = |release: &&LockedRelease| release.suite.ends_with("-security");
    let [is_of_main, is_of_security] =
        [suites.is_empty() || !suites.iter().all(is_security), suites.iter().any(is_security)];
    let own = [(is_of_main, &base.mirror), (is_of_security, &base.security_mirror)];
    let own = own.into_iter().filter_map(|(is_of, mirror)| mirror.as_ref().filter(|_| is_of));
    let own = own.map(|mirror| format!("{}{path}", public(mirror.exposed()).trim_end_matches('/')));
    let dated = suites.iter().flat_map(|release| {
        let name = releases::archive(base.distribution).snapshot_name(release.suite.ends_with("-security"));
        stamps(release).map(move |stamp| format!("{snapshot}/{name}/{stamp}{path}"))
    });
    let mut urls: Vec<String> = Vec::new();
    for url in own.chain(dated).filter(|url| *url != deb.url) {
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    urls
}

/// Returns the times for which lath requests a package from the archive of old packages, such as `20261121T091544Z`.
fn stamps(release: &LockedRelease) -> impl Iterator<Item = String> {
    let made = release.date.as_deref().and_then(|date| date.parse::<Timestamp>().ok());
    let made = made.map(Timestamp::as_second);
    let times = made.into_iter().flat_map(|made| [made.saturating_add(LATER_SECS), made]);
    times.filter_map(|secs| Some(Timestamp::from_second(secs).ok()?.strftime("%Y%m%dT%H%M%SZ").to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::request::Request;

    fn release(suite: &str, mirror: &str) -> LockedRelease {
        let date = Some("2026-11-21T09:15:44Z".to_owned());
        LockedRelease { suite: suite.to_owned(), mirror: mirror.to_owned(), date, keys: Vec::new() }
    }

    fn deb(url: &str) -> LockedDeb {
        LockedDeb { url: url.to_owned(), ..LockedDeb::example("x") }
    }

    #[test]
    fn a_package_is_also_at_the_users_mirror_and_in_the_archive_of_old_packages() {
        let releases = [
            release("trixie", "https://deb.debian.org/debian"),
            release("trixie-security", "https://deb.debian.org/debian-security"),
        ];
        let mut base = Request::example().release;
        base.mirror = Some("https://me:secret@mirror.example/debian/".into());
        let main = deb("https://deb.debian.org/debian/pool/main/x/x.deb");
        assert_eq!(
            others(&main, &releases, &base, "https://snapshot.example"),
            [
                "https://mirror.example/debian/pool/main/x/x.deb",
                "https://snapshot.example/debian/20261122T091544Z/pool/main/x/x.deb",
                "https://snapshot.example/debian/20261121T091544Z/pool/main/x/x.deb",
            ]
        );
        let security = deb("https://deb.debian.org/debian-security/pool/updates/main/x/x.deb");
        assert_eq!(
            others(&security, &releases, &base, "https://snapshot.example"),
            [
                "https://snapshot.example/debian-security/20261122T091544Z/pool/updates/main/x/x.deb",
                "https://snapshot.example/debian-security/20261121T091544Z/pool/updates/main/x/x.deb",
            ]
        );
    }
}
