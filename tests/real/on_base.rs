//! Real programs on a real Debian. Its Python is Debian's own. In some base images, it was moved to `/usr/local`, where
//! the official images have their Python.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use libtest_mimic::Trial;

use crate::lath;
use crate::needs::Need::{Debootstrap, Minutes, Registries, Root, Umoci};
use crate::needs::trial;

pub(crate) fn trials() -> Vec<Trial> {
    let needs = [Registries, Minutes, Debootstrap, Umoci, Root];
    vec![
        trial("a_program_works_on_a_debian_with_python", &needs, || works("debian", "/usr/bin/python3.13")),
        trial("a_program_works_on_a_python_in_usr_local", &needs, || works("moved", "/usr/local/bin/python3.13")),
        trial("a_debian_without_python_gets_one", &needs, || works("bare", "/usr/bin/python3.13")),
        trial("a_program_works_on_an_image_without_a_shell", &needs, || works("distroless", "/usr/bin/python3.13")),
        trial("a_program_works_on_an_image_without_metadata_of_debian", &needs, || {
            works("ubi", "/usr/local/bin/python3.13");
        }),
        trial("an_extension_module_for_musl_is_chosen_on_a_base_with_musl", &[Registries, Debootstrap], musl),
    ]
}

/// The kinds of base images. Each kind is a name, and the commands that change a Debian with Python into this kind.
const KINDS: [(&str, &str); 5] = [
    ("debian", ""),
    (
        "moved",
        "mkdir -p usr/local/lib/python3.13/dist-packages; mv usr/bin/python3.13 usr/local/bin/; \
         cp -a usr/lib/python3.13/. usr/local/lib/python3.13/; rm -rf usr/lib/python3.13 usr/lib/python3 usr/bin/python3; \
         ln -s python3.13 usr/local/bin/python3; find . -name '*.pyc' -delete; \
         sed -i -E '/^Package: (lib)?python3/,/^$/d' var/lib/dpkg/status",
    ),
    (
        "bare",
        "chroot . dpkg --purge --force-all python3 python3-minimal python3.13 python3.13-minimal libpython3-stdlib \
         libpython3.13-stdlib libpython3.13-minimal",
    ),
    ("distroless", DISTROLESS),
    ("ubi", UBI),
];

/// Keeps only the files of some packages, and no shell. In place of dpkg's database, there is one file per package in
/// `status.d`.
const DISTROLESS: &str = r#"
    mkdir -p ../bones/var/lib/dpkg/status.d ../bones/etc ../bones/tmp
    for package in base-files libc6 libgcc-s1 libpython3.13-minimal libpython3.13-stdlib python3.13-minimal             python3-minimal zlib1g libexpat1 libssl3t64 libsqlite3-0 libffi8 libbz2-1.0 liblzma5 libncursesw6 libtinfo6             libreadline8t64 libuuid1 libzstd1 media-types netbase tzdata; do
        list=var/lib/dpkg/info/$package.list; test -f $list || list=var/lib/dpkg/info/$package:amd64.list
        sed 's|^/||' $list | while read -r path; do if test -L "$path" || test -f "$path"; then echo "$path"; fi; done > ../files
        grep -v -E '^(bin|lib|lib64|sbin)(/|$)' ../files | tar -c -T - | tar -C ../bones -x
        awk -v name=$package 'BEGIN { RS = "" } $2 == name' var/lib/dpkg/status | grep -v ^Status:             > ../bones/var/lib/dpkg/status.d/$package
    done
    for folder in bin lib lib64 sbin; do ln -s usr/$folder ../bones/$folder; done
    printf 'root:x:0:0:root:/root:/sbin/nologin
' > ../bones/etc/passwd
    find . -mindepth 1 -delete; cp -a ../bones/. .; rm -rf ../bones ../files
"#;

/// Moves Python to `/usr/local`, and makes the system look like a distribution that is not Debian.
const UBI: &str = r#"
    mkdir -p usr/local/lib/python3.13/dist-packages; mv usr/bin/python3.13 usr/local/bin/
    cp -a usr/lib/python3.13/. usr/local/lib/python3.13/; rm -rf usr/lib/python3.13 usr/lib/python3 usr/bin/python3
    ln -s python3.13 usr/local/bin/python3; find . -name '*.pyc' -delete
    rm -rf var/lib/dpkg etc/debian_version etc/apt usr/bin/apt* usr/bin/dpkg* etc/os-release
    printf 'NAME="Red Hat Enterprise Linux"
ID="rhel"
VERSION_ID="9.4"
' > etc/os-release
"#;

/// Builds on an image with musl. Debian's archive has a package of musl, but no Python for it. So the image contains
/// only the files that lath needs to recognise a Python. lath must choose the extension module of a real wheel, and
/// musl's loader must be able to load it.
fn musl() {
    let home = tempfile::tempdir().unwrap();
    let line = "apt-get download musl && dpkg-deb -x musl_*.deb root && mkdir -p root/usr/local/bin root/etc         root/usr/local/lib/python3.13/site-packages && cp root/lib/ld-musl-x86_64.so.1 root/usr/local/bin/python3.13         && ln -s python3.13 root/usr/local/bin/python3 && touch root/usr/local/lib/python3.13/os.py         && printf 'ID=alpine\nVERSION_ID=3.22\n' > root/etc/os-release && tar -C root -cf root.tar .         && umoci init --layout base && umoci new --image base:1 && umoci raw add-layer --image base:1 root.tar         && umoci config --image base:1 --config.env PATH=/usr/local/bin:/usr/bin --config.env PYTHON_VERSION=3.13.5";
    succeeded_in(home.path(), line);
    let words = ["build", "markupsafe", "--base", "oci:base:1", "--bytecode", "none", "--no-verify", "-t", "x"];
    build(home.path(), &[&words[..], &["-o", "oci:out:1"]].concat());
    succeeded_in(home.path(), "umoci unpack --rootless --image out:1 bundle");
    let module =
        "opt/app/lib/python3.13/site-packages/markupsafe/_speedups.cpython-313-x86_64-linux-musl.so".to_owned();
    let listed = Command::new("/usr/sbin/chroot")
        .arg(home.path().join("bundle/rootfs"))
        .args(["/lib/ld-musl-x86_64.so.1", "--list", &format!("/{module}")])
        .output()
        .unwrap();
    // Symbols of Python may be missing, because there is no Python. But no library may be missing.
    let said = String::from_utf8_lossy(&[listed.stdout, listed.stderr].concat()).into_owned();
    assert!(said.contains("libc.musl-x86_64.so.1 => ") && !said.contains("Error loading shared library"), "{said}");
}

/// Builds without the variable that sets the release in other tests, because some of these base images belong to no
/// release.
fn build(folder: &Path, words: &[&str]) {
    lath::succeeded(lath::run_without_base(folder, words));
}

fn succeeded_in(folder: &Path, line: &str) {
    lath::succeeded(Command::new("sh").args(["-ec", line]).current_dir(folder).output().unwrap());
}

/// Creates a base image as an OCI layout, unless another test has created it. Returns the folder of the layout.
fn base(kind: &str) -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock();
    let folder = lath::folder().join("bases");
    let (_, change) = KINDS.iter().find(|(name, _)| *name == kind).unwrap();
    let line = format!(
        "mkdir -p {0}; cd {0}; test -d root || debootstrap --variant=minbase --include=python3 trixie root; \
         test -d {kind} && exit 0; cp -a root {kind}-root; (cd {kind}-root; {change}); \
         tar -C {kind}-root --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' --exclude='./var/cache/apt/archives/*.deb' \
         --exclude='./var/lib/apt/lists/*' -cf {kind}.tar .; \
         umoci init --layout {kind}; umoci new --image {kind}:1; umoci raw add-layer --image {kind}:1 {kind}.tar; \
         umoci config --image {kind}:1 --config.env PATH=/usr/local/bin:/usr/sbin:/usr/bin; rm {kind}.tar",
        folder.display()
    );
    let made = Command::new("sh").args(["-ec", &line]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    folder.join(kind)
}

/// Builds a program on the base image, and unpacks the result with umoci. Then runs the program without environment
/// variables.
fn works(kind: &str, interpreter: &str) {
    let home = tempfile::tempdir().unwrap();
    let source = format!("oci:{}:1", base(kind).display());
    build(home.path(), &["build", "httpie", "--base", &source, "-o", "oci:out:1"]);
    let unpacked = Command::new("umoci")
        .args(["unpack", "--rootless", "--image", "out:1", "bundle"])
        .current_dir(home.path())
        .output()
        .unwrap();
    lath::succeeded(unpacked);
    let root = home.path().join("bundle/rootfs");
    let script = fs_err::read_to_string(root.join("opt/app/bin/http")).unwrap();
    assert!(script.starts_with(&format!("#!{interpreter}\n")), "{script}");
    assert_eq!(said(&root, &["/opt/app/bin/http", "--version"]).trim(), "3.2.4");
    let line = "import requests, sys; print(requests.__file__, sys.executable)";
    let found = said(&root, &[interpreter, "-c", line]);
    assert_eq!(found.trim(), format!("/opt/app/lib/python3.13/site-packages/requests/__init__.py {interpreter}"));
}

fn said(root: &Path, argv: &[&str]) -> String {
    let output = Command::new("/usr/sbin/chroot").arg(root).args(argv).env_clear().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
