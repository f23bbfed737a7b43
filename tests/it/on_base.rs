//! Builds on base images. The base images are OCI layouts whose programs cannot run.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use testkit::elf::elf;
use testkit::oci::{self, CheckedPlatform};
use testkit::{BuiltImage, ImageBuilder, LayerBuilder, PyPi, Registry, WheelBuilder};

use crate::world::{World, archive, stdout, tool};

mod distributions;
mod unmerged;
mod users;

/// A base image. Each list of files becomes a layer.
struct Base {
    layers: Vec<Vec<(String, u32, Vec<u8>)>>,
    config: Value,
}

fn files(files: &[(&str, u32, &[u8])]) -> Vec<(String, u32, Vec<u8>)> {
    files.iter().map(|(path, mode, bytes)| ((*path).to_owned(), *mode, bytes.to_vec())).collect()
}

/// Returns a fake C library. It contains the text from which lath reads the version of a C library.
fn glibc(version: &str) -> Vec<u8> {
    let banner = format!("\0GNU C Library (Debian GLIBC) stable release version {version}.\n");
    [elf(Some("libc.so.6"), &[]), banner.into_bytes()].concat()
}

fn os_release(id: &str, codename: &str) -> Vec<u8> {
    format!("ID={id}\nVERSION_CODENAME={codename}\nPRETTY_NAME=\"{id} {codename}\"\n").into_bytes()
}

impl Base {
    /// Creates an image with a Python in `/usr/local`, like the official images.
    fn with_python(id: &str) -> Self {
        let system = files(&[
            ("etc/os-release", 0o644, &os_release(id, "bookworm")),
            ("etc/ssl/certs/ca-certificates.crt", 0o644, b"certificates"),
            ("bin/sh", 0o755, &elf(None, &["libc.so.6"])),
            ("usr/lib/x86_64-linux-gnu/libc.so.6", 0o755, &glibc("2.36")),
        ]);
        let python = files(&[
            ("usr/local/bin/python3.12", 0o755, &elf(None, &["libc.so.6"])),
            ("usr/local/bin/python3", 0o777, b"-> python3.12"),
            ("usr/local/lib/python3.12/os.py", 0o644, b""),
            ("usr/local/lib/python3.12/site-packages/README", 0o644, b""),
        ]);
        let config = json!({
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "PYTHON_VERSION=3.12.7", "LANG=C"],
            "Cmd": ["python3"], "Entrypoint": ["/entry"], "WorkingDir": "/srv", "User": "1000:1001",
            "Labels": {"maker": "company"}, "ExposedPorts": {"80/tcp": {}}, "StopSignal": "SIGINT",
            "OnBuild": ["RUN false"],
        });
        Self { layers: vec![system, python], config }
    }

    /// Adds a distribution for the image's Python.
    fn with_distribution(mut self, name: &str, version: &str) -> Self {
        let folder = format!("usr/local/lib/python3.12/site-packages/{name}-{version}.dist-info");
        let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
        self.layers.push(files(&[(&format!("{folder}/METADATA"), 0o644, metadata.as_bytes())]));
        self
    }

    /// Returns the image, with Docker's media types.
    fn image(&self) -> ImageBuilder {
        let mut history: Vec<Value> = self.layers.iter().map(|_| json!({"created_by": "company"})).collect();
        history.push(json!({"created_by": "CMD", "empty_layer": true}));
        let image = ImageBuilder::new().dockers().with_beside("author", json!("company"));
        let image = self.layers.iter().fold(image, |image, files| image.layer(&layer(files)));
        let fields = self.config.as_object().unwrap().iter();
        let image = fields.fold(image, |image, (field, value)| image.with(field, value.clone()));
        image.with_beside("history", json!(history))
    }

    /// Writes the image as an OCI layout. Returns the digests of its layers.
    fn write(&self, world: &World, name: &str) -> Vec<String> {
        let built = self.image().build();
        built.write_layout(&world.path(name), "1");
        let layers = built.manifest["layers"].as_array().unwrap();
        layers.iter().map(|layer| layer["digest"].as_str().unwrap().to_owned()).collect()
    }
}

/// Returns a layer. A file whose contents begin with `-> ` becomes a link.
fn layer(files: &[(String, u32, Vec<u8>)]) -> LayerBuilder {
    let mut folders = BTreeSet::new();
    let mut layer = LayerBuilder::new();
    for (path, mode, bytes) in files {
        for (at, _) in path.match_indices('/') {
            if folders.insert(&path[..at]) {
                layer = layer.dir(&path[..at], 0o755);
            }
        }
        layer = match bytes.strip_prefix(b"-> ") {
            Some(target) => layer.link(path, str::from_utf8(target).unwrap()),
            None => layer.file(path, *mode, bytes),
        };
    }
    layer
}

fn helper(version: &str) -> WheelBuilder {
    WheelBuilder::new("helper", version).file("helper.py", version)
}

/// Creates a world with this index and the usual archive.
fn world(pypi: PyPi) -> World {
    World::new(archive(), pypi)
}

/// Options with mirrors that cannot be reached.
const NO_ARCHIVE: &str = "--mirror http://127.0.0.1:1 --security-mirror http://127.0.0.1:1";

/// Builds on the base and returns the only platform of the image.
fn built(world: &World, words: &str) -> CheckedPlatform {
    let output = format!("out-{}", words.len());
    stdout(world.build(&format!("{words} --base oci:base -o oci:{output} {NO_ARCHIVE}")));
    let checked = oci::check(&world.path(&output)).unwrap();
    checked.platforms.into_iter().next().unwrap()
}

/// Returns the files in the layers above the base image, which has `below` layers.
fn added(image: &CheckedPlatform, below: usize) -> Vec<&str> {
    let files = image.files.iter().filter(|(_, file)| file.layer >= below && file.kind != oci::Kind::Folder);
    files.map(|(path, _)| path.as_str()).collect()
}

#[test]
fn an_image_has_the_layers_of_its_base_and_only_what_is_added() {
    let world = world(PyPi::new().built(&tool()));
    let layers = Base::with_python("rhel").write(&world, "base");
    let image = built(&world, "tool");
    let own = image.manifest["layers"].as_array().unwrap();
    let below: Vec<&str> = own[..2].iter().map(|layer| layer["digest"].as_str().unwrap()).collect();
    assert_eq!(below, layers);
    assert!(own.iter().all(|layer| layer["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip"), "{own:?}");
    insta::assert_snapshot!(added(&image, 2).join("\n"), @"
    opt/app/bin/tool
    opt/app/lib/python3.12/site-packages/tool-1.0.dist-info/INSTALLER
    opt/app/lib/python3.12/site-packages/tool-1.0.dist-info/METADATA
    opt/app/lib/python3.12/site-packages/tool-1.0.dist-info/RECORD
    opt/app/lib/python3.12/site-packages/tool-1.0.dist-info/REQUESTED
    opt/app/lib/python3.12/site-packages/tool-1.0.dist-info/WHEEL
    opt/app/lib/python3.12/site-packages/tool-1.0.dist-info/entry_points.txt
    opt/app/lib/python3.12/site-packages/tool/__init__.py
    usr/bin/env
    usr/local/lib/python3.12/site-packages/lath.pth
    ");
    assert!(image.text("opt/app/bin/tool").unwrap().starts_with("#!/usr/local/bin/python3.12\n"));
    let line = image.text("usr/local/lib/python3.12/site-packages/lath.pth").unwrap();
    assert!(line.contains("site.addsitedir('/opt/app/lib/python3.12/site-packages')"), "{line}");
}

#[test]
fn the_config_is_that_of_the_base_with_another_command() {
    let world = world(PyPi::new().built(&tool()));
    Base::with_python("rhel").write(&world, "base");
    let image = built(&world, "tool --env ADDED=1 --label own=1 --expose 90/tcp");
    let config = &image.config["config"];
    let mut labels: BTreeMap<String, Value> = serde_json::from_value(config["Labels"].clone()).unwrap();
    labels.retain(|name, _| !name.starts_with("org.opencontainers"));
    let shown = json!({
        "user": config["User"], "env": config["Env"], "workdir": config["WorkingDir"], "labels": labels,
        "ports": config["ExposedPorts"], "entrypoint": config["Entrypoint"], "cmd": config["Cmd"],
        "signal": config["StopSignal"], "on build": config["OnBuild"], "author": image.config["author"],
    });
    insta::assert_snapshot!(serde_json::to_string_pretty(&shown).unwrap(), @r#"
    {
      "author": "company",
      "cmd": null,
      "entrypoint": [
        "/opt/app/bin/tool"
      ],
      "env": [
        "ADDED=1",
        "HOME=/home/app",
        "LANG=C",
        "PATH=/opt/app/bin:/usr/local/bin:/usr/bin:/bin",
        "PYTHONUSERBASE=/opt/app",
        "PYTHON_VERSION=3.12.7"
      ],
      "labels": {
        "maker": "company",
        "own": "1"
      },
      "on build": null,
      "ports": {
        "80/tcp": {},
        "90/tcp": {}
      },
      "signal": "SIGINT",
      "user": "1000:1001",
      "workdir": "/srv"
    }
    "#);
    let history: Vec<&str> =
        image.config["history"].as_array().unwrap().iter().filter_map(|one| one["created_by"].as_str()).collect();
    assert_eq!(history, ["company", "company", "CMD", "lath: files of lath", "lath: tool"]);
    let annotations = &image.manifest["annotations"];
    assert!(annotations["org.opencontainers.image.base.digest"].as_str().unwrap().starts_with("sha256:"));
    // The base image has no name in a registry, and a path on this machine must not be in the image. So this annotation
    // is missing.
    assert_eq!(annotations["org.opencontainers.image.base.name"], Value::Null);
    let image = built(&world, "tool --user 7:8");
    assert_eq!(image.config["config"]["User"], "7:8");
}

#[test]
fn the_path_of_a_base_that_lath_made_is_not_made_longer() {
    const PATH: &str = "PATH=/opt/app/bin:/usr/local/bin:/usr/bin:/bin";
    let world = world(PyPi::new().built(&tool()));
    let mut base = Base::with_python("debian");
    base.config["Env"] = json!([PATH]);
    base.write(&world, "base");
    let env = &built(&world, "tool").config["config"]["Env"];
    assert!(env.as_array().unwrap().contains(&json!(PATH)), "{env}");
}

#[test]
fn a_distribution_of_the_base_is_used_if_it_fits() {
    let needing = |requirement: &str| tool().requires(requirement);
    let new = world(PyPi::new().built(&needing("helper")).built(&helper("2.0")));
    Base::with_python("rhel").with_distribution("helper", "1.0").write(&new, "base");
    let has_helper = |image: &CheckedPlatform| {
        let folder = "opt/app/lib/python3.12/site-packages/helper-";
        image.files.keys().find_map(|path| path.strip_prefix(folder)?.split(".dist-info").next().map(str::to_owned))
    };
    assert_eq!(has_helper(&built(&new, "tool")), None);
    assert_eq!(has_helper(&built(&new, "tool --no-base-packages")).as_deref(), Some("2.0"));
    assert_eq!(has_helper(&built(&new, "tool helper>=2")).as_deref(), Some("2.0"));
    // `helper` does not need to be in the index, because it is in the base image.
    let own = world(PyPi::new().built(&needing("helper<2")));
    Base::with_python("rhel").with_distribution("helper", "1.0").write(&own, "base");
    assert_eq!(has_helper(&built(&own, "tool")), None);
}

#[test]
fn an_image_with_musl_gets_wheels_for_musl() {
    let native = |tag: &str| WheelBuilder::new("native", "1.0").tag(tag).file("native.py", tag);
    let glibc_only = WheelBuilder::new("other", "1.0").tag("cp312-cp312-manylinux_2_17_x86_64").file("other.py", "");
    let pypi = PyPi::new()
        .built(&native("cp312-cp312-manylinux_2_17_x86_64"))
        .built(&native("cp312-cp312-musllinux_1_2_x86_64"))
        .built(&glibc_only);
    let world = world(pypi);
    let mut base = Base::with_python("alpine");
    base.layers[0].retain(|(path, ..)| !path.ends_with("libc.so.6"));
    let musl = [elf(Some("libc.musl-x86_64.so.1"), &[]), b"\x001.2.5\0musl libc (x86_64)\n".to_vec()].concat();
    base.layers[0].extend(files(&[("lib/ld-musl-x86_64.so.1", 0o755, &musl)]));
    base.write(&world, "base");
    let image = built(&world, "native -t x");
    let module = image.text("opt/app/lib/python3.12/site-packages/native.py").unwrap();
    assert_eq!(module, "cp312-cp312-musllinux_1_2_x86_64");
    assert!(!image.files.contains_key("etc/ld.so.cache"));
    let refusal = world.refusal(&format!("other --base oci:base {NO_ARCHIVE}"));
    assert!(refusal.contains("python 3.12 on linux/amd64 with musl 1.2"), "{refusal}");
}

#[test]
fn a_base_with_an_old_c_library_gets_no_newer_wheel() {
    let native = WheelBuilder::new("native", "1.0").tag("cp312-cp312-manylinux_2_28_x86_64").file("native.py", "");
    let world = world(PyPi::new().built(&native));
    let mut base = Base::with_python("rhel");
    for version in ["2.28", "2.17"] {
        base.layers[0].retain(|(path, ..)| !path.ends_with("libc.so.6"));
        base.layers[0].extend(files(&[("usr/lib/x86_64-linux-gnu/libc.so.6", 0o755, &glibc(version))]));
        base.write(&world, version);
    }
    stdout(world.build(&format!("native -t x --base oci:2.28 {NO_ARCHIVE}")));
    let refusal = world.refusal(&format!("native -t x --base oci:2.17 {NO_ARCHIVE}"));
    assert!(refusal.contains("python 3.12 on linux/amd64 with glibc 2.17"), "{refusal}");
}

#[test]
fn a_base_that_cannot_be_used_is_refused_before_anything_is_resolved() {
    let world = world(PyPi::new().built(&tool()));
    Base::with_python("rhel").write(&world, "base");
    let mut empty = Base::with_python("rhel");
    empty.layers.truncate(1);
    empty.write(&world, "empty");
    let mut named = Base::with_python("rhel");
    named.config["User"] = "nobody-knows".into();
    named.write(&world, "named");
    insta::assert_snapshot!(world.errors(&[
        "tool --base oci:empty",
        "tool --base oci:base --python 3.13",
        "tool --base oci:base --release debian:trixie",
        "tool --base oci:base --with git",
        "tool --base oci:base --platform linux/arm64",
        "tool --base oci:named",
        "tool --base oci:nothing",
        "tool --no-base-packages",
    ]), @"
    $ tool --base oci:empty
    exit 1
    error: cannot build on `oci:empty`: it has no Python, and lath can only add one to images of Debian and Ubuntu, and this one is rhel bookworm

    hint: use a base image that has Python, or one of Debian or Ubuntu, to which lath adds its `python3`

    $ tool --base oci:base --python 3.13
    exit 1
    error: cannot build on `oci:base` for python 3.13: it has python 3.12

    hint: leave out `--python`: the base image decides

    $ tool --base oci:base --release debian:trixie
    exit 1
    error: cannot build on `oci:base`: it is of no release of Debian or Ubuntu, and the request is for debian:trixie

    $ tool --base oci:base --with git
    exit 1
    error: cannot add the Debian package `git`: the base image is no Debian or Ubuntu

    $ tool --base oci:base --platform linux/arm64
    exit 1
    error: cannot find an image for linux/arm64: there is only linux/amd64

    $ tool --base oci:named
    exit 1
    error: cannot build on `oci:named`: it starts as the user `nobody-knows`, who is not in its `/etc/passwd`

    hint: name the user by its number with `--user UID[:GID]`

    $ tool --base oci:nothing
    exit 1
    error: cannot open the image `oci:nothing`
      cause: cannot read the image
      cause: failed to open file `nothing/index.json`: No such file or directory (os error 2)

    $ tool --no-base-packages
    exit 2
    error: cannot use `--no-base-packages` without a base image: name one with `--base IMAGE`
    ");
}

#[test]
fn a_debian_without_python_gets_that_of_its_release() {
    let world = world(PyPi::new().built(&tool()));
    let status = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.41-12\n";
    let layer = files(&[
        ("etc/os-release", 0o644, &os_release("debian", "trixie")),
        ("etc/ssl/certs/ca-certificates.crt", 0o644, b"certificates"),
        ("usr/lib/x86_64-linux-gnu/libc.so.6", 0o755, &glibc("2.41")),
        ("var/lib/dpkg/status", 0o644, status.as_bytes()),
    ]);
    Base { layers: vec![layer], config: json!({}) }.write(&world, "base");
    stdout(world.build("tool --base oci:base -o oci:out"));
    let image = oci::check(&world.path("out")).unwrap().platforms.remove(0);
    let added = added(&image, 1);
    let packages: Vec<&&str> = added.iter().filter(|path| path.starts_with("var/lib/dpkg/status.d/")).collect();
    insta::assert_snapshot!(packages.iter().map(|path| **path).collect::<Vec<_>>().join("\n"), @"
    var/lib/dpkg/status.d/ca-certificates
    var/lib/dpkg/status.d/libc-bin
    var/lib/dpkg/status.d/libpython3.13-stdlib
    var/lib/dpkg/status.d/media-types
    var/lib/dpkg/status.d/netbase
    var/lib/dpkg/status.d/python3.13-minimal
    var/lib/dpkg/status.d/tzdata
    ");
    assert!(added.contains(&"usr/bin/python3.13") && !added.contains(&"usr/lib/x86_64-linux-gnu/libc.so.6"));
    assert_eq!(image.config["config"]["User"], "65532:65532");
}

#[test]
fn a_lock_has_the_digest_of_the_base() {
    let world = world(PyPi::new().built(&tool()));
    Base::with_python("rhel").write(&world, "base");
    let locked = world.lock("tool --base oci:base -o pylock.toml");
    assert!(locked.status.success(), "{}", String::from_utf8_lossy(&locked.stderr));
    let text = fs_err::read_to_string(world.path("pylock.toml")).unwrap();
    assert!(text.contains("base-image = \"oci:base\"") && text.contains("base = { source = \"oci:base\""), "{text}");
    stdout(world.build(&format!("--locked -t tool -o oci:out {NO_ARCHIVE}")));
    fs_err::remove_dir_all(world.path("base")).unwrap();
    Base::with_python("rhel").with_distribution("more", "1").write(&world, "base");
    let refusal = world.refusal(&format!("--locked -t tool -o oci:other --cache-dir other-cache {NO_ARCHIVE}"));
    assert!(refusal.contains("its base image has the digest `sha256:"), "{refusal}");
}

#[test]
fn a_base_with_many_layers_and_one_with_too_many() {
    let world = world(PyPi::new().built(&tool()));
    let with_layers = |count: usize| {
        let mut base = Base::with_python("rhel");
        base.layers.extend((base.layers.len()..count).map(|number| files(&[(&format!("srv/{number}"), 0o644, b"x")])));
        base
    };
    with_layers(60).write(&world, "base");
    let image = built(&world, "tool");
    assert_eq!(image.manifest["layers"].as_array().unwrap().len(), 62);
    with_layers(128).write(&world, "many");
    let refusal = world.refusal("tool --base oci:many");
    assert!(refusal.contains("it has 128 layers, and an image can have at most 125"), "{refusal}");
}

/// Returns the Dockerfile for the base image `oci:base`. With `--from`, this image has a name in a registry.
fn dockerfile(world: &World, words: &str) -> String {
    let output = world.dockerfile(&format!("{words} --base oci:base --from registry.example/base:1 {NO_ARCHIVE}"));
    let text = stdout(output).replace(&world.pypi_url(), "[INDEX]");
    crate::world::without_digests(&text)
}

#[test]
fn a_dockerfile_on_a_base_adds_only_what_is_missing() {
    let uv = WheelBuilder::new("uv", "0.9.0").file("uv/__init__.py", "").script("uv", "uv:main");
    let world = world(PyPi::new().built(&tool().requires("helper")).built(&helper("2.0")).built(&uv));
    let base = Base::with_python("rhel").with_distribution("helper", "1.0").with_distribution("pip", "25.0");
    base.write(&world, "base");
    insta::assert_snapshot!(dockerfile(&world, "tool --style lean"), @r#"
    # tool 1.0, with python 3.12 on linux/amd64.
    # Build it: docker build -t tool .
    # Its mounts need BuildKit (Docker 23 has it), Podman or Buildah.

    # Stage one installs. Only the user base is copied from it.
    FROM registry.example/base:1 AS build
    # The base runs as another user, who may not install.
    USER 0:0
    ENV PYTHONUSERBASE=/opt/app
    # Every distribution with the version and the hash that lath resolved.
    RUN printf '%s\n' \
          'tool==1.0 --hash=sha256:[SHA256]' \
          > /tmp/requirements.txt
    # Install into the user base.
    RUN --mount=type=cache,target=/root/.cache/pip \
        /usr/local/bin/python3.12 -m pip install --user --ignore-installed --no-deps --require-hashes \
          --only-binary :all: \
          --index-url [INDEX] \
          --trusted-host 127.0.0.1 -r /tmp/requirements.txt

    # Stage two starts from the base again, without the tools that install.
    FROM registry.example/base:1
    # The base runs as another user, who may not install.
    USER 0:0
    # The program and its dependencies from stage one.
    COPY --from=build /opt/app /opt/app
    # Python finds the user base by this file, also in a virtual environment and without any variables.
    RUN mkdir -p /usr/local/lib/python3.12/site-packages \
        && printf '%s\n' 'import os, site, sys; os.environ.setdefault('\''PYTHONUSERBASE'\'', '\''/opt/app'\'') == '\''/opt/app'\'' and (setattr(site, '\''USER_BASE'\'', '\''/opt/app'\''), setattr(site, '\''USER_SITE'\'', '\''/opt/app/lib/python3.12/site-packages'\'')); '\''/opt/app/lib/python3.12/site-packages'\'' in sys.path or site.addsitedir('\''/opt/app/lib/python3.12/site-packages'\''); _at = sys.path.index('\''/usr/local/lib/python3.12/site-packages'\'') if '\''/usr/local/lib/python3.12/site-packages'\'' in sys.path else len(sys.path); _own = sys.path.index('\''/opt/app/lib/python3.12/site-packages'\'') if '\''/opt/app/lib/python3.12/site-packages'\'' in sys.path else len(sys.path); sys.path[_at:] = sys.path[_own:] + sys.path[_at:_own] if _at < _own else sys.path[_at:]' \
          > /usr/local/lib/python3.12/site-packages/lath.pth
    # The home directory. Any user that runs the image may write to it.
    RUN mkdir -p /home/app \
        && chown 65532:65532 /home/app \
        && chmod 1777 /home/app
    # Labels for registries and scanners.
    LABEL org.opencontainers.image.base.name="registry.example/base:1"
    LABEL org.opencontainers.image.title="tool"
    LABEL org.opencontainers.image.version="1.0"
    # Programs of the user base can be called by name.
    ENV HOME="/home/app" PATH="/opt/app/bin:/usr/local/bin:/usr/bin:/bin" PYTHONUSERBASE="/opt/app"
    USER 1000:1001
    ENTRYPOINT ["/opt/app/bin/tool"]
    "#);
    let uv = dockerfile(&world, "tool --style uv");
    assert!(
        uv.contains("/usr/local/bin/python3.12 -m uv pip install --prefix /opt/app --python /usr/local/bin/python3.12"),
        "{uv}"
    );
    for style in ["--style recipe", "--fat"] {
        let text = dockerfile(&world, &format!("tool {style}"));
        assert!(text.contains("tool==1.0") && !text.contains("helper"), "{text}");
        assert!(text.contains("ENTRYPOINT [\"/bin/sh\", \"-c\"]\n") && !text.contains("apt-get"), "{text}");
    }
    // If the distributions of the base image are not used, all come from the index.
    assert!(dockerfile(&world, "tool --no-base-packages").contains("helper==2.0"));
}

#[test]
fn a_dockerfile_names_the_digest_of_the_base_that_was_read() {
    let world = world(PyPi::new().built(&tool()));
    let registry = Registry::new().serve();
    let base = Base::with_python("rhel").with_distribution("pip", "25.0").image().build();
    base.serve(&registry, "team/base", "1");
    let name = registry.image("team/base:1");
    let digest = base.descriptor["digest"].as_str().unwrap();
    let text = stdout(world.dockerfile(&format!("tool --base {name} {NO_ARCHIVE}")));
    assert_eq!(text.matches(&format!("FROM {name}@{digest}")).count(), 2, "{text}");
    let text = stdout(world.dockerfile(&format!("tool --base {name} --from mirror.example/base:1 {NO_ARCHIVE}")));
    assert_eq!(text.matches("FROM mirror.example/base:1").count(), 2, "{text}");
}

#[test]
fn a_dockerfile_on_a_base_that_cannot_install_is_refused() {
    let world = world(PyPi::new().built(&tool()));
    Base::with_python("rhel").write(&world, "base");
    let mut silent = Base::with_python("rhel").with_distribution("pip", "25.0");
    silent.layers[0].retain(|(path, ..)| path != "bin/sh");
    silent.write(&world, "silent");
    let table = ["tool --base oci:base", "tool --base oci:base --from x:1", "tool --base oci:silent --from x:1"];
    let errors = table.map(|words| {
        let output = world.dockerfile(words);
        assert!(!output.status.success() && output.stdout.is_empty());
        format!("$ {words}\n{}\n", world.error_in(&String::from_utf8_lossy(&output.stderr)))
    });
    insta::assert_snapshot!(errors.join("\n"), @"
    $ tool --base oci:base
    error: cannot start from `oci:base`: a Dockerfile can only name an image of a registry; add the name of the same image with `--from`

    $ tool --base oci:base --from x:1
    error: cannot write a Dockerfile on `oci:base`: it has neither pip nor `ensurepip`, so nothing in it can install

    hint: use `lath build --base`: it runs no program of the base image to add files

    $ tool --base oci:silent --from x:1
    error: cannot write a Dockerfile on `oci:silent`: it has no `/bin/sh`, so that no instruction of a Dockerfile can run in it

    hint: use `lath build --base`: it runs no program of the base image to add files
    ");
    let compared = std::process::Command::new(crate::world::lath())
        .current_dir(world.path("."))
        .env_clear()
        .args(["compare", "tool", "--base", "oci:base", "--from", "x:1"])
        .output()
        .unwrap();
    insta::assert_snapshot!(world.error_in(&String::from_utf8_lossy(&compared.stderr)), @"
    error: cannot compute the sizes of Dockerfiles on `oci:base`: that is only possible for releases, whose packages are known

    hint: add `--measure`: an engine builds the images
    ");
}

#[test]
fn a_base_for_several_platforms_gives_an_image_for_several_platforms() {
    let world = world(PyPi::new().built(&tool()));
    let registry = Registry::new().serve();
    let (mut other, own) = (Base::with_python("rhel"), Base::with_python("rhel").image().build());
    for (path, _, bytes) in other.layers.iter_mut().flatten() {
        *path = path.replace("x86_64-linux-gnu", "aarch64-linux-gnu");
        if bytes.starts_with(b"\x7fELF") {
            // This byte of an ELF file contains its machine. 183 means arm64 (elf.h, `EM_AARCH64`).
            bytes[18] = 183;
        }
    }
    let other = other.image().architecture("arm64", Some("v8")).build();
    let index = BuiltImage::index(&[own.clone(), other.clone()]);
    index.serve(&registry, "base", "1");
    let name = registry.image("base:1");
    let words = format!("tool --base docker://{name} --platform linux/amd64,linux/arm64");
    stdout(world.build(&format!("{words} -o oci:out {NO_ARCHIVE}")));
    let checked = oci::check(&world.path("out")).unwrap();
    let of = |annotations: &Value| {
        ["name", "digest"].map(|key| annotations[format!("org.opencontainers.image.base.{key}")].clone())
    };
    let found: Vec<_> = checked.platforms.iter().map(|one| of(&one.manifest["annotations"])).collect();
    let expected = [&own, &other].map(|one| [json!(name), one.descriptor["digest"].clone()]);
    assert_eq!(found, expected);
    let index_of = |folder: &str, digest: &str| -> Value {
        let path = world.path(folder).join("blobs/sha256").join(digest.trim_start_matches("sha256:"));
        serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap()
    };
    assert_eq!(of(&index_of("out", &checked.digest)["annotations"]), [json!(name), index.descriptor["digest"].clone()]);
    // A lock contains three digests: of the index and of both images. So it leads to the same image even after the tag
    // was moved.
    let locked = world.lock(&format!("{words} -o pylock.toml"));
    assert!(locked.status.success(), "{}", String::from_utf8_lossy(&locked.stderr));
    own.serve(&registry, "base", "1");
    stdout(world.build(&format!("--locked -t tool --platform linux/arm64 -o oci:again {NO_ARCHIVE}")));
    let again = oci::check(&world.path("again")).unwrap();
    assert_eq!(index_of("again", &again.digest), index_of("out", &checked.digest));
}

#[test]
fn unusual_files_of_a_base_are_reported() {
    let world = world(PyPi::new().built(&tool()));
    let mut layer = LayerBuilder::new().device("dev/null").pipe("run/pipe").dir("usr/sbin", 0o755);
    layer = layer.record("SCHILY.xattr.security.capability", "x").file("usr/sbin/ping", 0o755, "ping");
    for number in 0..8 {
        layer = layer.file(&format!("usr/sbin/su-{number}"), 0o4755, "su");
    }
    let image = Base::with_python("rhel").image().layer(&layer);
    image.with_beside("history", json!([])).build().write_layout(&world.path("base"), "1");
    let output = world.build(&format!("tool --base oci:base --metadata-file meta.json {NO_ARCHIVE}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let notes: Vec<&str> = said.lines().filter(|line| line.starts_with("note: the base image has")).collect();
    insta::assert_snapshot!(notes.join("\n"), @"
    note: the base image has device nodes: `/dev/null`
    note: the base image has named pipes: `/run/pipe`
    note: the base image has files with extended attributes: `/usr/sbin/ping`
    note: the base image has programs that run as their owner (setuid or setgid): `/usr/sbin/su-0`, `/usr/sbin/su-1`, `/usr/sbin/su-2`, `/usr/sbin/su-3`, `/usr/sbin/su-4` and 3 more
    ");
    let receipt: Value = serde_json::from_slice(&fs_err::read(world.path("meta.json")).unwrap()).unwrap();
    let oddities = receipt["platforms"][0]["base"]["oddities"].as_array().unwrap();
    assert_eq!(oddities.len(), 11);
    assert!(oddities.contains(&json!({"path": "dev/null", "kind": "device"})), "{oddities:?}");
    let capability = json!({"path": "usr/sbin/ping", "kind": {"attributes": ["security.capability"]}});
    assert!(oddities.contains(&capability), "{oddities:?}");
}
