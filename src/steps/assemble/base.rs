//! The files that every image needs: links, accounts, certificates, and the files with which Python finds the user
//! base.

use super::accounts::USER;
use super::landing::landing;
use super::{AssembleError, write_bytes, write_text};
use crate::catalog::releases::{self, Release};
use crate::model::image_path::{IN_RUN, ImagePath, MERGED};
use crate::model::python_home::PythonHome;
use crate::model::request::{AssembleRequest, Distribution};
use crate::model::tree::{Kind, Node, Origin, Tree};
use crate::outside::store::Store;

const NSSWITCH: &str = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n\
    protocols: files\nservices: files\nethers: files\nrpc: files\n";

/// A replacement for env(1), for images without coreutils (docs/decisions/0024-programs-by-their-usual-names.md).
const ENV: &str = include_str!("env.py");

/// Creates the paths that must exist before any package is placed: the links of the merged `/usr`, mount points, the
/// links to `/run`, `/tmp`, `/var/log` and the home directory of the user.
pub(super) fn lay_ground(tree: &mut Tree, request: &AssembleRequest<'_>) -> Result<(), AssembleError> {
    tree.insert(ImagePath::root(), Node::directory(Origin::Lath));
    for name in MERGED {
        tree.insert(ImagePath::parse(&format!("/usr/{name}"))?, Node::directory(Origin::Lath));
        tree.insert(ImagePath::parse(name)?, Node::link(format!("usr/{name}"), Origin::Lath));
    }
    let modes = [
        ("/dev", 0o755),
        ("/proc", 0o555),
        ("/sys", 0o555),
        ("/run", 0o755),
        ("/run/lock", 0o1777),
        ("/root", 0o700),
        ("/home", 0o755),
        ("/tmp", 0o1777),
        // Programs do not create this directory.
        ("/var/log", 0o755),
        ("/var/tmp", 0o1777),
    ];
    for (path, mode) in modes {
        tree.insert(ImagePath::parse(path)?, Node { mode, ..Node::directory(Origin::Lath) });
    }
    for (path, target) in IN_RUN {
        tree.insert(ImagePath::parse(path)?, Node::link(target, Origin::Lath));
    }
    tree.insert(ImagePath::parse(&request.user_base.bin())?, Node::directory(Origin::Lath));
    // An engine may run the image as any user. So every user has this home directory and may write to it.
    let home = Node { mode: 0o1777, owner: USER, ..Node::directory(Origin::Lath) };
    tree.insert(ImagePath::parse("/home/app")?, home);
    Ok(())
}

/// Writes the files that maintainer scripts and an installer would write. Most of these files are written only if no
/// package contains them.
pub(super) fn write(tree: &mut Tree, request: &AssembleRequest<'_>, store: &Store) -> Result<(), AssembleError> {
    if request.base.is_none_or(|base| base.image.found.ca_bundle.is_none()) {
        write_certificates(tree, store)?;
    }
    if request.base.is_some() && !request.python.home.is_of_release() {
        return write_python(tree, request, store);
    }
    if request.base.is_none() || tree.find("/etc/nsswitch.conf").is_none() {
        write_text(tree, "/etc/nsswitch.conf", NSSWITCH, store)?;
    }
    if tree.find("/etc/os-release").is_none() {
        write_text(tree, "/usr/lib/os-release", &os_release(request), store)?;
        tree.insert(ImagePath::parse("/etc/os-release")?, Node::link("../usr/lib/os-release", Origin::Lath));
    }
    if tree.find("/etc/debian_version").is_none() && request.release.distribution == Distribution::Debian {
        write_text(tree, "/etc/debian_version", &debian_version(request), store)?;
    }
    // Ubuntu's `ldconfig` is a shell script, but the image may lack a shell. So `ldconfig` becomes a link to the
    // program that the script runs.
    if tree.find("/usr/sbin/ldconfig.real").is_some() {
        tree.insert(ImagePath::parse("/usr/sbin/ldconfig")?, Node::link("ldconfig.real", Origin::Lath));
    }
    link_where_missing(tree, "/etc/localtime", "/usr/share/zoneinfo/Etc/UTC")?;
    if request.base.is_none() || tree.find("/etc/timezone").is_none() {
        write_text(tree, "/etc/timezone", "Etc/UTC\n", store)?;
    }
    write_python(tree, request, store)
}

fn link_where_missing(tree: &mut Tree, path: &str, target: &str) -> Result<(), AssembleError> {
    let path = ImagePath::parse(path)?;
    if !tree.nodes.contains_key(&path) && tree.find(target).is_some() {
        tree.insert(path, Node::link(target, Origin::Lath));
    }
    Ok(())
}

/// Returns the text of `/etc/os-release` (os-release(5)), which is the same as in the distribution's package
/// base-files.
fn os_release(request: &AssembleRequest<'_>) -> String {
    let suite = &request.release.suite;
    let known = release(request);
    let version = known.and_then(|release| release.number.as_deref()).unwrap_or_default();
    let title = known.map_or(suite.as_str(), |release| &release.title);
    let codename = known.map_or(suite.as_str(), Release::codename);
    let (name, tail) = match request.release.distribution {
        Distribution::Debian => (
            "Debian GNU/Linux",
            "ID=debian\nHOME_URL=\"https://www.debian.org/\"\nSUPPORT_URL=\"https://www.debian.org/support\"\n\
             BUG_REPORT_URL=\"https://bugs.debian.org/\"\n"
                .to_owned(),
        ),
        Distribution::Ubuntu => (
            "Ubuntu",
            format!(
                "ID=ubuntu\nID_LIKE=debian\nHOME_URL=\"https://www.ubuntu.com/\"\n\
                 SUPPORT_URL=\"https://help.ubuntu.com/\"\nBUG_REPORT_URL=\"https://bugs.launchpad.net/ubuntu/\"\n\
                 UBUNTU_CODENAME={suite}\n"
            ),
        ),
    };
    if version.is_empty() {
        return format!("PRETTY_NAME=\"{name} {title}\"\nNAME=\"{name}\"\nVERSION_CODENAME={codename}\n{tail}");
    }
    format!(
        "PRETTY_NAME=\"{name} {version} ({title})\"\nNAME=\"{name}\"\nVERSION_ID=\"{version}\"\n\
         VERSION=\"{version} ({title})\"\nVERSION_CODENAME={codename}\n{tail}"
    )
}

/// Returns the text of `/etc/debian_version`. Some scanners read this file to identify the release.
fn debian_version(request: &AssembleRequest<'_>) -> String {
    let known = release(request);
    let name = known.map_or(&request.release.suite, |release| release.number.as_ref().unwrap_or(&release.title));
    format!("{name}\n")
}

fn release(request: &AssembleRequest<'_>) -> Option<&'static Release> {
    releases::find(request.release.distribution, &request.release.suite)
}

/// Writes the bundle of certificates that `update-ca-certificates` would create. Also adds links at the paths that
/// OpenSSL and other programs use.
fn write_certificates(tree: &mut Tree, store: &Store) -> Result<(), AssembleError> {
    let mut bundle = Vec::new();
    for (path, node) in &tree.nodes {
        if let (true, true, Kind::File { digest, .. }) =
            (path.is_within("/usr/share/ca-certificates"), path.as_str().ends_with(".crt"), &node.kind)
        {
            bundle.extend(store.read(digest)?);
            if !bundle.ends_with(b"\n") {
                bundle.push(b'\n');
            }
        }
    }
    if bundle.is_empty() {
        return Ok(());
    }
    write_bytes(tree, "/etc/ssl/certs/ca-certificates.crt", &bundle, 0o644, store)?;
    link_where_missing(tree, "/usr/lib/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt")?;
    link_where_missing(tree, "/usr/lib/ssl/certs", "/etc/ssl/certs")?;
    // Programs that were built for other distributions use these paths. Examples are programs in Go and Rust, and the
    // OpenSSL in wheels.
    link_where_missing(tree, "/etc/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt")?;
    link_where_missing(tree, "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt")
}

/// Writes links to the interpreter, and the path file `lath.pth`. Because of this file, Python finds the user base even
/// if the environment is cleared.
fn write_python(tree: &mut Tree, request: &AssembleRequest<'_>, store: &Store) -> Result<(), AssembleError> {
    let (version, program) = (request.python.version, request.python.program());
    if request.python.home.is_of_release() {
        link_where_missing(tree, "/usr/bin/python3", &program)?;
        // Scripts of users and of other programs begin with `#!/usr/bin/env python3`, or call `python`.
        link_where_missing(tree, "/usr/bin/python", "/usr/bin/python3")?;
    }
    if tree.find("/usr/bin/env").is_none() {
        let text = format!("#!{program} -IS\n{ENV}");
        write_bytes(tree, "/usr/bin/env", text.as_bytes(), 0o755, store)?;
    }
    let base = request.user_base;
    let site = base.site(version);
    let site_path = ImagePath::parse(&site)?;
    if !tree.nodes.contains_key(&site_path) {
        tree.insert(site_path, Node::directory(Origin::Lath));
    }
    let line = base.path_line(request.python) + "\n";
    let PythonHome::Image { sites, .. } = request.python.home else {
        return write_text(tree, "/usr/lib/python3/dist-packages/lath.pth", &line, store);
    };
    let Some(first) = sites.first() else { return Ok(()) };
    let folder = landing(tree, first)?;
    write_text(tree, &format!("{folder}/lath.pth"), &line, store)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::request::Request;

    /// Returns the lines of os-release(5) that identify the release.
    fn identity(distribution: Distribution, suite: &str) -> String {
        let mut request = Request::example();
        (request.release.distribution, request.release.suite) = (distribution, suite.to_owned());
        let text = os_release(&request.to_assemble(*request.platforms.first()));
        let lines =
            text.lines().filter(|line| ["PRETTY", "VERSION", "ID="].iter().any(|start| line.starts_with(start)));
        lines.collect::<Vec<&str>>().join("\n")
    }

    #[test]
    fn a_release_is_identified_by_its_number_and_one_that_is_not_out_by_its_codename() {
        insta::assert_snapshot!(identity(Distribution::Ubuntu, "resolute"), @r#"
        PRETTY_NAME="Ubuntu 26.04 (Resolute Raccoon)"
        VERSION_ID="26.04"
        VERSION="26.04 (Resolute Raccoon)"
        VERSION_CODENAME=resolute
        ID=ubuntu
        "#);
        insta::assert_snapshot!(identity(Distribution::Debian, "trixie"), @r#"
        PRETTY_NAME="Debian GNU/Linux 13 (trixie)"
        VERSION_ID="13"
        VERSION="13 (trixie)"
        VERSION_CODENAME=trixie
        ID=debian
        "#);
        // Debian's `os-release` has these same lines in testing (here `forky`) and in unstable (`sid`).
        let unreleased = identity(Distribution::Debian, "forky");
        insta::assert_snapshot!(unreleased, @r#"
        PRETTY_NAME="Debian GNU/Linux forky/sid"
        VERSION_CODENAME=forky
        ID=debian
        "#);
        assert_eq!(identity(Distribution::Debian, "sid"), unreleased);
    }
}
