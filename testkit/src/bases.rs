//! Base images with the structures that are common in practice. Their programs are ELF files without code, so nothing
//! in them can run.

use serde_json::json;

use crate::elf::elf;
use crate::image::{ImageBuilder, LayerBuilder};

const OS_RELEASE: &str = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n\
    VERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n";
const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GLIBC: &str = "\0GNU C Library (Debian GLIBC 2.36-9+deb12u10) stable release version 2.36.\n\0";

/// Returns an ELF file that contains `text`.
fn elf_with(soname: Option<&str>, needed: &[&str], text: &str) -> Vec<u8> {
    [elf(soname, needed), text.as_bytes().to_vec()].concat()
}

fn paragraph(name: &str, version: &str) -> String {
    format!("Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n")
}

/// Returns the layer of Debian's slim image: merged `/usr`, a shell, glibc, and dpkg's database.
pub fn debian_layer() -> LayerBuilder {
    let status = paragraph("libc6", "2.36-9+deb12u10")
        + &paragraph("dash", "0.5.12-2")
        + "Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n";
    LayerBuilder::new()
        .dir("usr/bin", 0o755)
        .dir("usr/lib/x86_64-linux-gnu", 0o755)
        .dir("tmp", 0o1777)
        .link("bin", "usr/bin")
        .link("lib", "usr/lib")
        .link("lib64", "usr/lib64")
        .file("usr/bin/dash", 0o755, elf(None, &["libc.so.6"]))
        .link("usr/bin/sh", "dash")
        .file("usr/bin/su", 0o4755, elf(None, &["libc.so.6"]))
        .file("usr/lib/x86_64-linux-gnu/libc.so.6", 0o755, elf_with(Some("libc.so.6"), &[], GLIBC))
        .file("usr/lib64/ld-linux-x86-64.so.2", 0o755, elf(Some("ld-linux-x86-64.so.2"), &[]))
        .file("usr/lib/os-release", 0o644, OS_RELEASE)
        .link("etc/os-release", "../usr/lib/os-release")
        .file("etc/debian_version", 0o644, "12.7\n")
        .file("etc/passwd", 0o644, PASSWD)
        .file("etc/group", 0o644, "root:x:0:\nstaff:x:50:\n")
        .file("etc/ld.so.conf", 0o644, "include /etc/ld.so.conf.d/*.conf\n")
        .file("etc/ld.so.conf.d/x86_64-linux-gnu.conf", 0o644, "# Multiarch\n/usr/lib/x86_64-linux-gnu\n")
        .file("etc/ld.so.conf.d/libc.conf", 0o644, "/usr/local/lib\n")
        .file("var/lib/dpkg/status", 0o644, status)
}

/// Adds a distribution to a folder of the layer.
fn distribution(layer: LayerBuilder, folder: &str, name: &str, version: &str) -> LayerBuilder {
    let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nText\n");
    let stem = name.replace('-', "_");
    layer.file(&format!("{folder}/{stem}/__init__.py"), 0o644, "").file(
        &format!("{folder}/{stem}-{version}.dist-info/METADATA"),
        0o644,
        metadata,
    )
}

/// Returns an image like the official one of Python. Its Python was built from source into `/usr/local`, on Debian's
/// slim image.
pub fn official_python() -> ImageBuilder {
    let certificates = LayerBuilder::new().file("etc/ssl/certs/ca-certificates.crt", 0o644, "certificates");
    let python = LayerBuilder::new()
        .file("usr/local/bin/python3.12", 0o755, elf(None, &["libpython3.12.so.1.0", "libc.so.6"]))
        .link("usr/local/bin/python3", "python3.12")
        .link("usr/local/bin/python", "python3")
        .file(
            "usr/local/lib/libpython3.12.so.1.0",
            0o755,
            elf_with(Some("libpython3.12.so.1.0"), &["libc.so.6"], "\x003.12.4\0"),
        )
        .file("usr/local/lib/python3.12/os.py", 0o644, "")
        .file("usr/local/lib/python3.12/site.py", 0o644, "# site-packages")
        .file("usr/local/lib/python3.12/venv/__init__.py", 0o644, "")
        .file("usr/local/lib/python3.12/ensurepip/__init__.py", 0o644, "")
        .file("usr/local/lib/python3.12/ensurepip/_bundled/pip-24.0-py3-none-any.whl", 0o644, "");
    let folder = "usr/local/lib/python3.12/site-packages";
    let pip = distribution(LayerBuilder::new(), folder, "pip", "24.0");
    let path = "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin";
    ImageBuilder::new()
        .layer(&debian_layer())
        .layer(&certificates)
        .layer(&python)
        .layer(&distribution(pip, folder, "Flask-Cors", "4.0.1"))
        .with("Env", json!([path, "LANG=C.UTF-8", "PYTHON_VERSION=3.12.9"]))
        .with("Cmd", json!(["python3"]))
}

/// Returns an image like those of Distroless. It has Debian's Python, no shell, one file per package in `status.d`, and
/// a user that is given as a number.
pub fn distroless() -> ImageBuilder {
    let packages = ["libc6", "python3.11-minimal"].map(|name| {
        let version = if name == "libc6" { "2.36-9+deb12u10" } else { "3.11.2-6+deb12u6" };
        (name, format!("Package: {name}\nArchitecture: amd64\nVersion: {version}\n"))
    });
    let layer = LayerBuilder::new()
        .file("usr/lib/os-release", 0o644, OS_RELEASE)
        .file(
            "etc/passwd",
            0o644,
            "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532::/home/nonroot:/sbin/nologin\n",
        )
        .file("lib/x86_64-linux-gnu/libc.so.6", 0o755, elf_with(Some("libc.so.6"), &[], GLIBC))
        .file("etc/ssl/certs/ca-certificates.crt", 0o644, "certificates");
    let layer = packages.iter().fold(layer, |layer, (name, text)| {
        let sums = format!("var/lib/dpkg/status.d/{name}.md5sums");
        layer.file(&format!("var/lib/dpkg/status.d/{name}"), 0o644, text).file(&sums, 0o644, "0  usr/bin/x\n")
    });
    let python = LayerBuilder::new()
        .file("usr/bin/python3.11", 0o755, elf(None, &["libc.so.6"]))
        .link("usr/bin/python3", "python3.11")
        .link("usr/bin/python", "/usr/bin/python3.11")
        .file("usr/lib/python3.11/os.py", 0o644, "")
        .file("usr/lib/python3.11/site.py", 0o644, "dist-packages")
        .file("usr/lib/python3.11/EXTERNALLY-MANAGED", 0o644, "[externally-managed]\n")
        .file("usr/lib/python3/dist-packages/six-1.16.0.egg-info", 0o644, "Name: six\nVersion: 1.16.0\n")
        .file("usr/lib/python3/dist-packages/odd.egg-info/PKG-INFO", 0o644, "Name: Odd.Name\nVersion: 2\n");
    ImageBuilder::new()
        .layer(&layer)
        .layer(&python)
        .with("User", json!("65532"))
        .with("WorkingDir", json!("/home/nonroot"))
        .with("Entrypoint", json!(["/usr/bin/python3.11"]))
}

/// Returns an image like Red Hat's universal base image. It has rpm and `lib64`, but no metadata of Debian.
pub fn ubi() -> ImageBuilder {
    let os = "NAME=\"Red Hat Enterprise Linux\"\nID=\"rhel\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"9.4\"\n";
    let layer = LayerBuilder::new()
        .link("bin", "usr/bin")
        .link("lib64", "usr/lib64")
        .file("usr/bin/bash", 0o755, elf(None, &["libc.so.6"]))
        .link("usr/bin/sh", "bash")
        .file("usr/lib64/libc.so.6", 0o755, elf_with(Some("libc.so.6"), &[], "\0GLIBC_2.4\0GLIBC_2.34\0"))
        .file("etc/os-release", 0o644, os)
        .file("etc/passwd", 0o644, "root:x:0:0::/root:/bin/bash\ndefault:x:1001:0::/opt/app-root/src:/sbin/nologin\n")
        .file("var/lib/rpm/rpmdb.sqlite", 0o644, "SQLite format 3")
        .file("etc/pki/tls/certs/ca-bundle.crt", 0o644, "certificates")
        .file("usr/bin/python3.9", 0o755, elf_with(None, &["libc.so.6"], "\x003.9.18\0"))
        .link("usr/bin/python3", "/etc/alternatives/python3")
        .link("etc/alternatives/python3", "/usr/bin/python3.9")
        .file("usr/lib64/python3.9/os.py", 0o644, "")
        .file("usr/lib64/python3.9/site.py", 0o644, "if 'RPM_BUILD_ROOT' not in os.environ: '/usr/local'");
    let layer = distribution(layer, "usr/lib/python3.9/site-packages", "setuptools", "53.0.0");
    let layer = distribution(layer, "usr/lib64/python3.9/site-packages", "gpg", "1.15.1");
    let environment = LayerBuilder::new().link("opt/app-root/bin/python3", "/usr/bin/python3.9").file(
        "opt/app-root/pyvenv.cfg",
        0o644,
        "home = /usr/bin\ninclude-system-site-packages = false\n",
    );
    let folder = "opt/app-root/lib/python3.9/site-packages";
    ImageBuilder::new()
        .layer(&layer)
        .layer(&distribution(environment, folder, "wheel", "0.38"))
        .with("Env", json!(["PATH=/opt/app-root/bin:/usr/bin"]))
        .with("User", json!("default:0"))
}

/// Returns an image like Alpine's, with musl, busybox and apk.
pub fn alpine() -> ImageBuilder {
    let layer = LayerBuilder::new()
        .file("bin/busybox", 0o755, elf(None, &["libc.musl-x86_64.so.1"]))
        .link("bin/sh", "/bin/busybox")
        .file("lib/ld-musl-x86_64.so.1", 0o755, elf_with(Some("libc.musl-x86_64.so.1"), &[], "\x001.2.5\0"))
        .link("lib/libc.musl-x86_64.so.1", "ld-musl-x86_64.so.1")
        .file("lib/apk/db/installed", 0o644, "P:musl\nV:1.2.5-r0\n\n")
        .file("etc/os-release", 0o644, "ID=alpine\nVERSION_ID=3.20.3\n")
        .file("etc/ssl/cert.pem", 0o644, "certificates");
    ImageBuilder::new().layer(&layer).with("Cmd", json!(["/bin/sh"]))
}

/// Returns an image without a system. It has `count` layers, each with one file.
pub fn many_layers(count: usize) -> ImageBuilder {
    (0..count).fold(ImageBuilder::new(), |image, number| {
        image.layer(&LayerBuilder::new().file(&format!("data/{number}"), 0o644, number.to_string()))
    })
}
