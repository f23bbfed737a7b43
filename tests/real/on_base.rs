//! Real programs on a real Debian, whose Python is Debian's own or was moved to `/usr/local`, as in the official images.

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
    ]
}

/// The commands that make the root of each kind of base from a Debian with Python.
const KINDS: [(&str, &str); 3] = [
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
];

/// Makes a base image as an OCI layout, once, and returns its folder.
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

/// Builds a program on the base, unpacks the image with umoci and runs the program with an empty environment.
fn works(kind: &str, interpreter: &str) {
    let home = tempfile::tempdir().unwrap();
    let source = format!("oci:{}:1", base(kind).display());
    lath::succeeded(lath::run(home.path(), &["build", "httpie", "--base", &source, "-o", "oci:out:1"]));
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
