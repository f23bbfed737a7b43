//! The distribution, its packages, the user, the certificates and the shell.

use super::{FoundError, Scene};
use crate::formats::deb822::paragraphs;
use crate::model::base_image::{ImageUser, InstalledDeb, OsRelease};
use crate::model::image_path::ImagePath;
use crate::outside::store::StoreError;

/// The usual paths of the file with the certificates of authorities: in Debian and Alpine, in Red Hat's distributions,
/// in SUSE's distributions, and OpenSSL's own default.
const CA_BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/cert.pem",
];

/// The paths of shells that can run scripts. The last path is that of the debug images of distroless.
const SHELLS: [&str; 6] = ["/bin/sh", "/usr/bin/sh", "/bin/bash", "/usr/bin/bash", "/bin/ash", "/busybox/sh"];

/// Reads os-release(5). If there is no such file, `debian_version` at least shows that the distribution is Debian.
pub(super) fn os_release(scene: &Scene<'_>) -> Result<Option<OsRelease>, StoreError> {
    for path in ["/etc/os-release", "/usr/lib/os-release"] {
        if let Some(text) = scene.text(path)? {
            return Ok(Some(read_os_release(&text)));
        }
    }
    let version = scene.text("/etc/debian_version")?;
    Ok(version.map(|version| debian(version.trim())))
}

fn read_os_release(text: &str) -> OsRelease {
    let value = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.trim().split_once('='));
        let (_, value) = lines.rfind(|(key, _)| *key == name)?;
        // A value is quoted as in a shell.
        let words = shlex::split(value).unwrap_or_default();
        Some(words.join(" ")).filter(|value| !value.is_empty())
    };
    OsRelease {
        id: value("ID").unwrap_or_else(|| "linux".to_owned()),
        version: value("VERSION_ID"),
        codename: value("VERSION_CODENAME"),
        pretty_name: value("PRETTY_NAME"),
    }
}

/// Reads the text of `debian_version`: `12.7`, or `trixie/sid` before the release.
fn debian(version: &str) -> OsRelease {
    let is_number = version.starts_with(|c: char| c.is_ascii_digit());
    let name = version.split('/').next().unwrap_or_default();
    OsRelease {
        id: "debian".to_owned(),
        version: is_number.then(|| version.split('.').next().unwrap_or_default().to_owned()),
        codename: (!is_number && !name.is_empty()).then(|| name.to_owned()),
        ..OsRelease::default()
    }
}

/// Reads dpkg's database. Images of distroless have no database, but one file for each package. These files are read,
/// too.
pub(super) fn debs(scene: &Scene<'_>) -> Result<Vec<InstalledDeb>, FoundError> {
    let mut debs = scene.text("/var/lib/dpkg/status")?.map_or_else(Vec::new, |text| installed(&text, true));
    if let Some(folder) = scene.directory("/var/lib/dpkg/status.d") {
        for (path, _) in scene.children(&folder) {
            if !path.as_str().ends_with(".md5sums") {
                let text = scene.text(path.as_str())?.unwrap_or_default();
                debs.extend(installed(&text, false));
            }
        }
    }
    debs.sort();
    debs.dedup();
    Ok(debs)
}

/// Returns the installed packages in a text. If `needs_status` is set, a package must have the status `installed`. The
/// files of distroless contain no status.
fn installed(text: &str, needs_status: bool) -> Vec<InstalledDeb> {
    let paragraphs = paragraphs(text.as_bytes()).map_while(Result::ok);
    let debs = paragraphs.filter_map(|paragraph| {
        let [name, version, status] =
            paragraph.fields(["Package", "Version", "Status"]).map(|value| value.map(str::to_owned));
        let is_installed =
            status.map_or(!needs_status, |status| status.split_whitespace().next_back() == Some("installed"));
        is_installed.then_some(())?;
        Some(InstalledDeb { name: name?, version: version? })
    });
    debs.collect()
}

/// Returns the user of the config (image-spec, config.md, `User`): `user`, `uid`, `user:group`, `uid:gid`, `uid:group`
/// or `user:gid`. If the config names no group, the group is read from `/etc/passwd`.
pub(super) fn user(scene: &Scene<'_>) -> Result<ImageUser, StoreError> {
    let text = scene.config.config.user.clone();
    let (name, group) = text.split_once(':').map_or((text.as_str(), None), |(name, group)| (name, Some(group)));
    let name = if name.is_empty() { "0" } else { name };
    let passwd = scene.text("/etc/passwd")?.unwrap_or_default();
    // An engine first searches for a user with this name. If there is no such user, the engine reads the name as a
    // number.
    let by_name = line_of(&passwd, 0, name);
    let line = by_name.or_else(|| name.parse::<u32>().ok().and_then(|uid| line_of(&passwd, 2, &uid.to_string())));
    let number = |at: usize| line.as_ref().and_then(|fields| fields.get(at)?.parse::<u32>().ok());
    let uid = number(2).or_else(|| name.parse().ok());
    let gid = match group {
        None => number(3).or_else(|| uid.map(|_| 0)),
        Some(group) => {
            let groups = scene.text("/etc/group")?.unwrap_or_default();
            let found = line_of(&groups, 0, group).and_then(|fields| fields.get(2)?.parse().ok());
            found.or_else(|| group.parse().ok())
        }
    };
    let home =
        line.as_ref().and_then(|fields| fields.get(5)).filter(|home| !home.is_empty()).map(|&home| home.to_owned());
    Ok(ImageUser { text: text.clone(), uid, gid, home })
}

/// Returns the fields of the first line whose field `at` is `wanted` (passwd(5), group(5)).
fn line_of<'a>(text: &'a str, at: usize, wanted: &str) -> Option<Vec<&'a str>> {
    text.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields.get(at) == Some(&wanted))
}

/// Returns the path of the file with certificates: the path in `SSL_CERT_FILE`, or else the first usual path that
/// exists.
pub(super) fn ca_bundle(scene: &Scene<'_>) -> Option<ImagePath> {
    let named = scene.variable("SSL_CERT_FILE").into_iter();
    let path = named.chain(CA_BUNDLES).find(|path| scene.file(path).is_some())?;
    ImagePath::parse(path).ok()
}

pub(super) fn shell(scene: &Scene<'_>) -> Option<ImagePath> {
    let is_program = |path: &&str| scene.file(path).is_some_and(|(_, node)| node.is_executable());
    ImagePath::parse(SHELLS.iter().find(|path| is_program(path))?).ok()
}
