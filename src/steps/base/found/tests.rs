//! The facts in images of the usual shapes.

use testkit::{ImageBuilder, LayerBuilder, bases};

use super::*;
use crate::model::base_image::BaseImage;
use crate::model::image_source::ImageSource;
use crate::model::platform::Architecture;
use crate::outside::images;
use crate::outside::images::fixture::TestDoors;
use crate::steps::base::{BaseError, base};

fn read(image: &ImageBuilder) -> Result<BaseImage, BaseError> {
    let doors = TestDoors::new();
    let folder = doors.home.path().join("layout");
    image.build().write_layout(&folder, "1");
    let open = images::open(&ImageSource::Oci { path: folder, reference: None }, doors.doors())?;
    let platform = Platform { architecture: Architecture::Amd64 };
    base(&open, &open.choose(platform).unwrap(), platform, &doors.store)
}

/// Returns the facts as text: one line for each kind of fact, and one line for each interpreter.
fn facts(image: &ImageBuilder) -> Vec<String> {
    let found = read(image).unwrap().found;
    let text = |path: &Option<ImagePath>| path.as_ref().map_or("-".to_owned(), ToString::to_string);
    let release = found.distribution.clone().unwrap_or_default();
    let mut lines = vec![
        format!("{} {} {}", release.id, release.version.unwrap_or_default(), release.codename.unwrap_or_default()),
        found.libc.as_ref().map_or("no libc".to_owned(), |libc| {
            format!("{:?} {} {}", libc.family, libc.version.as_deref().unwrap_or("?"), libc.path)
        }),
        format!("user {:?} {:?}:{:?} {:?}", found.user.text, found.user.uid, found.user.gid, found.user.home),
        format!("shell {}, certificates {}, in {}", text(&found.shell), text(&found.ca_bundle), found.workdir),
        format!(
            "packages {:?}",
            found.debs.iter().map(|deb| format!("{} {}", deb.name, deb.version)).collect::<Vec<_>>()
        ),
        format!("libraries {:?}", found.libraries.values().map(ToString::to_string).collect::<Vec<_>>()),
    ];
    for python in &found.interpreters {
        lines.push(format!(
            "python {} = {} {}, path {}, stdlib {}, venv {}, ensurepip {}",
            python.path,
            python.program,
            python.full_version.as_deref().unwrap_or("?"),
            python.is_on_path,
            python.stdlib,
            text(&python.environment),
            python.has_ensurepip,
        ));
        lines.push(format!("  managed {}", text(&python.externally_managed)));
        lines.extend(python.site_packages.iter().map(|folder| format!("  in {folder}")));
        let own = python.distributions.iter().map(|own| format!("  {} {} {}", own.name, own.version, own.metadata));
        lines.extend(own);
    }
    lines
}

#[test]
fn the_official_image_of_python_is_known() {
    let expected = [
        "debian 12 bookworm",
        "Glibc 2.36 /usr/lib/x86_64-linux-gnu/libc.so.6",
        "user \"\" Some(0):Some(0) Some(\"/root\")",
        "shell /bin/sh, certificates /etc/ssl/certs/ca-certificates.crt, in /",
        "packages [\"dash 0.5.12-2\", \"libc6 2.36-9+deb12u10\"]",
        "libraries [\"/usr/lib64/ld-linux-x86-64.so.2\", \"/usr/lib/x86_64-linux-gnu/libc.so.6\", \"/usr/local/lib/libpython3.12.so.1.0\"]",
        "python /usr/local/bin/python3 = /usr/local/bin/python3.12 3.12.4, path true, stdlib /usr/local/lib/python3.12, venv -, ensurepip true",
        "  managed -",
        "  in /usr/local/lib/python3.12/site-packages",
        "  flask-cors 4.0.1 /usr/local/lib/python3.12/site-packages/Flask_Cors-4.0.1.dist-info",
        "  pip 24.0 /usr/local/lib/python3.12/site-packages/pip-24.0.dist-info",
    ];
    assert_eq!(facts(&bases::official_python()), expected);
}

#[test]
fn distroless_has_no_shell_and_a_file_per_package() {
    let expected = [
        "debian 12 bookworm",
        "Glibc 2.36 /lib/x86_64-linux-gnu/libc.so.6",
        "user \"65532\" Some(65532):Some(65532) Some(\"/home/nonroot\")",
        "shell -, certificates /etc/ssl/certs/ca-certificates.crt, in /home/nonroot",
        "packages [\"libc6 2.36-9+deb12u10\", \"python3.11-minimal 3.11.2-6+deb12u6\"]",
        "libraries [\"/lib/x86_64-linux-gnu/libc.so.6\"]",
        "python /usr/bin/python3 = /usr/bin/python3.11 3.11.2, path true, stdlib /usr/lib/python3.11, venv -, ensurepip false",
        "  managed /usr/lib/python3.11/EXTERNALLY-MANAGED",
        "  in /usr/local/lib/python3.11/dist-packages",
        "  in /usr/lib/python3/dist-packages",
        "  odd-name 2 /usr/lib/python3/dist-packages/odd.egg-info",
        "  six 1.16.0 /usr/lib/python3/dist-packages/six-1.16.0.egg-info",
    ];
    assert_eq!(facts(&bases::distroless()), expected);
}

#[test]
fn a_virtual_environment_on_the_path_comes_before_the_python_of_the_system() {
    let expected = [
        "rhel 9.4 ",
        "Glibc 2.34 /usr/lib64/libc.so.6",
        "user \"default:0\" Some(1001):Some(0) Some(\"/opt/app-root/src\")",
        "shell /bin/sh, certificates /etc/pki/tls/certs/ca-bundle.crt, in /",
        "packages []",
        "libraries [\"/usr/lib64/libc.so.6\"]",
        "python /opt/app-root/bin/python3 = /usr/bin/python3.9 3.9.18, path true, stdlib /usr/lib64/python3.9, venv /opt/app-root, ensurepip false",
        "  managed -",
        "  in /opt/app-root/lib/python3.9/site-packages",
        "  wheel 0.38 /opt/app-root/lib/python3.9/site-packages/wheel-0.38.dist-info",
        "python /usr/bin/python3 = /usr/bin/python3.9 3.9.18, path false, stdlib /usr/lib64/python3.9, venv -, ensurepip false",
        "  managed -",
        "  in /usr/local/lib64/python3.9/site-packages",
        "  in /usr/lib64/python3.9/site-packages",
        "  in /usr/lib/python3.9/site-packages",
        "  gpg 1.15.1 /usr/lib64/python3.9/site-packages/gpg-1.15.1.dist-info",
        "  setuptools 53.0.0 /usr/lib/python3.9/site-packages/setuptools-53.0.0.dist-info",
    ];
    assert_eq!(facts(&bases::ubi()), expected);
}

#[test]
fn alpine_and_an_image_without_a_system_have_no_python() {
    let expected = [
        "alpine 3.20.3 ",
        "Musl 1.2.5 /lib/ld-musl-x86_64.so.1",
        "user \"\" Some(0):Some(0) None",
        "shell /bin/sh, certificates /etc/ssl/cert.pem, in /",
        "packages []",
        "libraries [\"/lib/ld-musl-x86_64.so.1\"]",
    ];
    assert_eq!(facts(&bases::alpine()), expected);
    let scratch = read(&bases::many_layers(60)).unwrap();
    assert_eq!(scratch.layers.len(), 60);
    assert_eq!(scratch.found.libc, None);
    assert!(scratch.found.interpreters.is_empty() && scratch.found.distribution.is_none());
}

#[test]
fn programs_for_another_processor_are_refused() {
    let arm = LayerBuilder::new().file("bin/sh", 0o755, testkit::elf::elf_for(183, None, &[]));
    let error = read(&ImageBuilder::new().layer(&arm)).unwrap_err().to_string();
    assert_eq!(
        error,
        "cannot use the image for linux/amd64: `/bin/sh` is a program for another processor (ELF machine 183)"
    );
}

#[test]
fn files_that_include_one_another_and_circles_of_links_end() {
    let layer = LayerBuilder::new()
        .file("etc/ld.so.conf", 0o644, "include ld.so.conf\ninclude /etc/*/*/*\n/lib\n/opt\n")
        .link("usr/bin/python3", "python3")
        .link("bin/sh", "../usr/bin/sh")
        .link("usr/bin/sh", "../../bin/sh")
        .file("bin/python3.12", 0o755, "#!/bin/sh\n")
        .file("opt/libown.so.1", 0o644, testkit::elf::elf(Some("libown.so.1"), &[]));
    let found = read(&ImageBuilder::new().layer(&layer)).unwrap().found;
    assert!(found.interpreters.is_empty() && found.shell.is_none());
    let libraries: Vec<(&str, &str)> =
        found.libraries.iter().map(|(name, path)| (name.as_str(), path.as_str())).collect();
    assert_eq!(libraries, [("libown.so.1", "/opt/libown.so.1")]);
}

#[test]
fn users_are_looked_up_by_name_first() {
    let passwd = "root:x:0:0::/root:\napp:x:1000:100::/home/app:\n7:x:8:9::/seven:\n";
    let layer = LayerBuilder::new().file("etc/passwd", 0o644, passwd).file("etc/group", 0o644, "web:x:33:\n");
    let table = [
        ("", Some(0), Some(0)),
        ("app", Some(1000), Some(100)),
        ("1000", Some(1000), Some(100)),
        ("app:web", Some(1000), Some(33)),
        ("5:6", Some(5), Some(6)),
        ("5", Some(5), Some(0)),
        ("7", Some(8), Some(9)),
        ("nobody", None, None),
        ("app:none", Some(1000), None),
    ];
    for (text, uid, gid) in table {
        let user = read(&ImageBuilder::new().layer(&layer).with("User", serde_json::json!(text))).unwrap().found.user;
        assert_eq!((user.uid, user.gid), (uid, gid), "{text}");
    }
}
