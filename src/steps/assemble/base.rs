//! The ground that every image stands on: links, accounts, certificates, and how Python finds the user base.

use super::{AssembleError, write_text};
use crate::model::image_path::ImagePath;
use crate::model::request::{Distribution, Request};
use crate::model::tree::{Kind, Node, Origin, Tree};
use crate::outside::store::Store;

/// Who runs the program, when the user says nothing else.
pub(super) const USER: u32 = 65532;

const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n\
    app:x:65532:65532:app:/home/app:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\ntty:x:5:\nstaff:x:50:\nnogroup:x:65534:\napp:x:65532:\n";
const NSSWITCH: &str = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n\
    protocols: files\nservices: files\nethers: files\nrpc: files\n";

/// Suite, version and the name that `os-release` has for it.
const RELEASES: [(&str, &str); 5] =
    [("bookworm", "12"), ("trixie", "13"), ("forky", "14"), ("jammy", "22.04"), ("noble", "24.04")];

/// What has to be there before any package: the links of usrmerge, mount points, `/tmp` and the user's home.
pub(super) fn lay_ground(tree: &mut Tree, request: &Request) -> Result<(), AssembleError> {
    tree.insert(ImagePath::root(), Node::directory(Origin::Lath));
    for name in ["bin", "sbin", "lib", "lib64"] {
        tree.insert(ImagePath::parse(&format!("/usr/{name}"))?, Node::directory(Origin::Lath));
        tree.insert(ImagePath::parse(name)?, Node::link(format!("usr/{name}"), Origin::Lath));
    }
    let modes = [
        ("/dev", 0o755),
        ("/proc", 0o555),
        ("/sys", 0o555),
        ("/run", 0o755),
        ("/root", 0o700),
        ("/home", 0o755),
        ("/tmp", 0o1777),
        ("/var/tmp", 0o1777),
    ];
    for (path, mode) in modes {
        tree.insert(ImagePath::parse(path)?, Node { mode, ..Node::directory(Origin::Lath) });
    }
    tree.insert(ImagePath::parse(&request.user_base.bin())?, Node::directory(Origin::Lath));
    let home = Node { owner: USER, ..Node::directory(Origin::Lath) };
    tree.insert(ImagePath::parse("/home/app")?, home);
    Ok(())
}

/// What maintainer scripts and an installer would have written, where no package brought it.
pub(super) fn write(tree: &mut Tree, request: &Request, store: &Store) -> Result<(), AssembleError> {
    write_text(tree, "/etc/passwd", PASSWD, store)?;
    write_text(tree, "/etc/group", GROUP, store)?;
    write_text(tree, "/etc/nsswitch.conf", NSSWITCH, store)?;
    if tree.find("/etc/os-release").is_none() {
        write_text(tree, "/usr/lib/os-release", &os_release(request), store)?;
        tree.insert(ImagePath::parse("/etc/os-release")?, Node::link("../usr/lib/os-release", Origin::Lath));
    }
    write_certificates(tree, store)?;
    link_where_missing(tree, "/etc/localtime", "/usr/share/zoneinfo/Etc/UTC")?;
    write_text(tree, "/etc/timezone", "Etc/UTC\n", store)?;
    write_python(tree, request, store)
}

fn link_where_missing(tree: &mut Tree, path: &str, target: &str) -> Result<(), AssembleError> {
    let path = ImagePath::parse(path)?;
    if !tree.nodes.contains_key(&path) && tree.find(target).is_some() {
        tree.insert(path, Node::link(target, Origin::Lath));
    }
    Ok(())
}

/// os-release(5), with what identifies the release to programs and scanners.
fn os_release(request: &Request) -> String {
    let suite = &request.base.suite;
    let (id, name) = match request.base.distribution {
        Distribution::Debian => ("debian", "Debian GNU/Linux"),
        Distribution::Ubuntu => ("ubuntu", "Ubuntu"),
    };
    match RELEASES.iter().find(|(known, _)| known == suite) {
        Some((_, version)) => format!(
            "PRETTY_NAME=\"{name} {version} ({suite})\"\nNAME=\"{name}\"\nVERSION_ID=\"{version}\"\n\
             VERSION=\"{version} ({suite})\"\nVERSION_CODENAME={suite}\nID={id}\n"
        ),
        None => format!("PRETTY_NAME=\"{name} {suite}\"\nNAME=\"{name}\"\nVERSION_CODENAME={suite}\nID={id}\n"),
    }
}

/// The bundle that `update-ca-certificates` makes, at the places where OpenSSL and others look.
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
    let digest = store.put(&bundle)?;
    let node = Node::file(digest, bundle.len() as u64, 0o644, Origin::Lath);
    tree.insert(ImagePath::parse("/etc/ssl/certs/ca-certificates.crt")?, node);
    link_where_missing(tree, "/usr/lib/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt")?;
    link_where_missing(tree, "/usr/lib/ssl/certs", "/etc/ssl/certs")
}

/// The links to the interpreter, and the path file by which it finds the user base with a cleared environment too.
fn write_python(tree: &mut Tree, request: &Request, store: &Store) -> Result<(), AssembleError> {
    let version = request.python.version;
    link_where_missing(tree, "/usr/bin/python3", &format!("/usr/bin/python{version}"))?;
    let base = &request.user_base;
    let site = base.site(version);
    let site_path = ImagePath::parse(&site)?;
    if !tree.nodes.contains_key(&site_path) {
        tree.insert(site_path, Node::directory(Origin::Lath));
    }
    // With a cleared environment the user base is told here, for whoever looks for data in it too. Where the user site
    // is on the path already, its path files have been read and are not read twice.
    let text = format!(
        "import os, site, sys; os.environ.setdefault('PYTHONUSERBASE', '{base}') == '{base}' and \
         (setattr(site, 'USER_BASE', '{base}'), setattr(site, 'USER_SITE', '{site}')); \
         '{site}' in sys.path or site.addsitedir('{site}')\n"
    );
    write_text(tree, "/usr/lib/python3/dist-packages/lath.pth", &text, store)
}
