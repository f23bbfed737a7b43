//! The whole life of an image, with registries that require TLS and a password: login, build and push, pull by other
//! programs, run, copy, and push again.
//!
//! Each test is run with two registries: Docker's registry, and the registry of `testkit`, which requires tokens.

use std::cell::RefCell;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use libtest_mimic::Trial;
use testkit::registry::Operation;
use testkit::secrets::{contains, file_contains, files};
use testkit::{Registry, RegistryServer};

use crate::docker_registry::{DockerRegistry, PASSWORD, USER};
use crate::lath::{self, succeeded};
use crate::needs::Need::{self, Containerd, Debootstrap, Engine, Namespaces, Podman, Registries, Root, Skopeo};
use crate::needs::trial;
use crate::newer;

type Test = fn(&Site);

/// The tests. The needs in this list are in addition to the needs that all of these tests have.
const TESTS: [(&str, &[Need], Test); 10] = [
    ("skopeo_copies_a_pushed_image_with_its_digest", &[Skopeo], skopeo_copies_a_pushed_image_with_its_digest),
    ("docker_pulls_and_runs_a_pushed_image", &[Engine], docker_pulls_and_runs_a_pushed_image),
    (
        "current_docker_pulls_and_runs_a_pushed_image",
        &[Debootstrap, Engine, Root],
        newer::current_docker_pulls_and_runs_a_pushed_image,
    ),
    ("podman_pulls_and_runs_a_pushed_image", &[Podman, Root], podman_pulls_and_runs_a_pushed_image),
    ("containerd_pulls_and_runs_a_pushed_image", &[Containerd, Root], containerd_pulls_and_runs_a_pushed_image),
    ("a_second_push_sends_no_blob", &[], a_second_push_sends_no_blob),
    ("a_copy_within_a_registry_sends_no_blob", &[], a_copy_within_a_registry_sends_no_blob),
    ("an_image_that_skopeo_pushed_is_copied_with_its_digest", &[Skopeo], an_image_that_skopeo_pushed_is_copied),
    ("a_build_on_a_pushed_image_sends_only_its_own_layers", &[], a_build_on_a_pushed_image_sends_only_its_own_layers),
    ("no_output_file_or_image_contains_a_secret", &[], no_output_file_or_image_contains_a_secret),
];

pub(crate) fn trials() -> Vec<Trial> {
    let of_test = |(name, needs, test): (&str, &[Need], Test)| {
        let of_docker = [&[Registries, Namespaces, Need::DockerRegistry], needs].concat();
        let of_testkit = [&[Registries, Namespaces], needs].concat();
        [
            trial(format!("{name}_with_dockers_registry"), &of_docker, move || {
                test(&Site::new(Keeper::Docker(DockerRegistry::protected())));
            }),
            trial(format!("{name}_with_our_registry"), &of_testkit, move || {
                test(&Site::new(Keeper::Ours(Registry::new().tls().bearer(USER, PASSWORD).serve())));
            }),
        ]
    };
    TESTS.into_iter().flat_map(of_test).collect()
}

enum Keeper {
    Docker(DockerRegistry),
    Ours(RegistryServer),
}

/// A registry, and a user who has logged in.
pub(crate) struct Site {
    keeper: Keeper,
    home: tempfile::TempDir,
    /// Everything that lath has written to the terminal.
    outputs: RefCell<Vec<u8>>,
}

impl Site {
    /// Creates the folder of the user, and logs in with lath.
    fn new(keeper: Keeper) -> Self {
        let site = Self { keeper, home: tempfile::tempdir().unwrap(), outputs: RefCell::default() };
        let authority = site.authority_pem();
        fs_err::create_dir(site.path("certificates")).unwrap();
        fs_err::write(site.path("certificates/ca.crt"), &authority).unwrap();
        // The file also contains the authorities that the machine trusts, because lath fetches from the Python index.
        let others = lath::variable("SSL_CERT_FILE").unwrap_or("/etc/ssl/certs/ca-certificates.crt".to_owned());
        let others = fs_err::read_to_string(others).unwrap_or_default();
        fs_err::write(site.path("bundle.pem"), format!("{others}\n{authority}")).unwrap();
        site.lath(&["login", &site.host(), "-u", USER, "--password-stdin"], PASSWORD);
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn host(&self) -> String {
        match &self.keeper {
            Keeper::Docker(registry) => registry.host.clone(),
            Keeper::Ours(registry) => registry.host(),
        }
    }

    fn authority_pem(&self) -> String {
        match &self.keeper {
            Keeper::Docker(registry) => fs_err::read_to_string(registry.authority()).unwrap(),
            Keeper::Ours(registry) => registry.authority_pem().unwrap().to_owned(),
        }
    }

    /// Returns how many blobs were uploaded until now.
    fn uploads(&self) -> usize {
        match &self.keeper {
            Keeper::Docker(registry) => {
                let requests = registry.requests();
                let is_upload = |line: &&str| line.contains("\"PUT ") && line.contains("/blobs/uploads/");
                requests.lines().filter(is_upload).count()
            }
            Keeper::Ours(registry) => registry.count(Operation::FinishUpload) + registry.count(Operation::SinglePost),
        }
    }

    /// Runs lath with this user's authority and credentials. It must succeed.
    fn lath(&self, words: &[&str], input: &str) -> String {
        let mut command = lath::command(self.home.path(), words);
        command.env("DOCKER_CONFIG", self.path("docker")).env("SSL_CERT_FILE", self.path("bundle.pem"));
        fs_err::write(self.path("input"), input).unwrap();
        command.stdin(fs_err::File::open(self.path("input")).unwrap().into_file());
        fs_err::remove_file(self.path("input")).unwrap();
        let output: Output = command.output().unwrap();
        self.outputs.borrow_mut().extend([output.stdout.as_slice(), &output.stderr].concat());
        lath::stdout(&command, output)
    }

    /// Builds an image and pushes it. Returns its name and its digest.
    pub(crate) fn pushed(&self, name: &str) -> (String, String) {
        let image = format!("{}/{name}", self.host());
        let printed = self.lath(&["build", "yamllint", "-t", &image, "--push"], "");
        let digest = printed.trim().strip_prefix(&format!("{image}@")).unwrap_or_else(|| panic!("{printed}"));
        (image.clone(), digest.to_owned())
    }

    /// Runs another program in this user's folder. It must succeed.
    fn said(&self, program: &str, words: &[&str]) -> String {
        succeeded(Command::new(program).args(words).current_dir(self.home.path()).output().unwrap())
    }

    fn skopeo(&self, words: &[&str]) -> String {
        let mut command = Command::new("skopeo");
        command.args(["--insecure-policy"]).args(words).current_dir(self.home.path());
        command.env("REGISTRY_AUTH_FILE", self.path("docker/config.json"));
        succeeded(command.output().unwrap())
    }
}

fn skopeo_copies_a_pushed_image_with_its_digest(site: &Site) {
    let (image, digest) = site.pushed("team/app:1");
    site.skopeo(&["copy", "--quiet", "--src-cert-dir", "certificates", &format!("docker://{image}"), "oci:copy:1"]);
    let copied = site.skopeo(&["inspect", "--format", "{{.Digest}}", "oci:copy:1"]);
    assert_eq!(copied.trim(), digest);
}

fn docker_pulls_and_runs_a_pushed_image(site: &Site) {
    let (image, digest) = site.pushed("team/app:1");
    let pulled = site.said("docker", &["--config", "docker", "pull", &image]);
    assert!(pulled.contains(&digest), "{pulled}");
    let ran = site.said("docker", &["run", "--rm", "--network", "none", "--read-only", &image, "--version"]);
    site.said("docker", &["image", "rm", "-f", &image]);
    assert!(ran.starts_with("yamllint "), "{ran}");
}

fn podman_pulls_and_runs_a_pushed_image(site: &Site) {
    let (image, _) = site.pushed("team/app:1");
    let (root, state) = (site.path("podman").display().to_string(), site.path("podman-state").display().to_string());
    let podman = |words: &[&str]| {
        let places = ["--root", &root, "--runroot", &state, "--storage-driver", "vfs"];
        let engine = ["--runtime", "runc", "--cgroup-manager", "cgroupfs"];
        site.said("podman", &[&places[..], &engine, words].concat())
    };
    podman(&["pull", "--quiet", "--authfile", "docker/config.json", "--cert-dir", "certificates", &image]);
    // Without these options, Podman raises the limits of the machine, which is not allowed in a CI container.
    let limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];
    let ran = podman(&[&["run", "--rm", "--network", "none"][..], &limits, &[&image, "--version"]].concat());
    assert!(ran.starts_with("yamllint "), "{ran}");
}

/// A containerd that runs until this value is dropped.
struct Containerds(Child);

impl Drop for Containerds {
    fn drop(&mut self) {
        // An error is ignored, because then containerd has already ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn containerd_pulls_and_runs_a_pushed_image(site: &Site) {
    let (image, _) = site.pushed("team/app:1");
    let socket = site.path("sock").display().to_string();
    let mut command = Command::new("containerd");
    command.current_dir(site.home.path()).args(["--address", &socket]);
    command.arg("--root").arg(site.path("containerd")).arg("--state").arg(site.path("containerd-state"));
    let log = fs_err::File::create(site.path("containerd.log")).unwrap().into_file();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let _daemon = Containerds(command.spawn().unwrap());
    let ctr = |words: &[&str]| Command::new("ctr").args(["--address", &socket]).args(words).output().unwrap();
    for _ in 0..100 {
        if ctr(&["version"]).status.success() {
            break;
        }
        sleep(Duration::from_millis(200));
    }
    // Without this file, `ctr` would use plain HTTP for a registry on loopback.
    let (host, authority) = (site.host(), site.path("certificates/ca.crt"));
    let settings =
        format!("server = \"https://{host}\"\n[host.\"https://{host}\"]\n  ca = \"{}\"\n", authority.display());
    fs_err::create_dir_all(site.path("hosts").join(&host)).unwrap();
    fs_err::write(site.path("hosts").join(&host).join("hosts.toml"), settings).unwrap();
    let (hosts, user) = (site.path("hosts").display().to_string(), format!("{USER}:{PASSWORD}"));
    let pull = ["images", "pull", "--snapshotter", "native", "--hosts-dir", &hosts, "--user", &user, &image];
    succeeded(ctr(&pull));
    // The name of a container must be unique on the machine.
    let name = format!("lath-test-{}", host.replace([':', '.'], "-"));
    let run = ["run", "--rm", "--snapshotter", "native", &image, &name, "/opt/app/bin/yamllint", "--version"];
    let ran = succeeded(ctr(&run));
    assert!(ran.starts_with("yamllint "), "{ran}");
}

fn a_second_push_sends_no_blob(site: &Site) {
    let (_, digest) = site.pushed("team/app:1");
    let before = site.uploads();
    assert!(before > 1, "a first push sends a config and layers");
    assert_eq!(site.pushed("team/app:2").1, digest);
    assert_eq!(site.uploads(), before);
}

fn a_copy_within_a_registry_sends_no_blob(site: &Site) {
    let (image, digest) = site.pushed("team/app:1");
    let before = site.uploads();
    let copy = format!("docker://{}/other/copy:1", site.host());
    let printed = site.lath(&["copy", &format!("docker://{image}"), &copy], "");
    assert!(printed.trim_end().ends_with(&digest), "{printed}");
    assert_eq!(site.uploads(), before);
    site.lath(&["copy", &copy, "oci:layout:1"], "");
    let index: serde_json::Value =
        serde_json::from_slice(&fs_err::read(site.path("layout/index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"][0]["digest"], digest.as_str());
}

/// The base image is an image that lath has pushed. It is like a distroless image: it has Debian's Python, one file per
/// package in `status.d`, and no shell.
fn a_build_on_a_pushed_image_sends_only_its_own_layers(site: &Site) {
    let (base, digest) = site.pushed("team/base:1");
    let before = site.uploads();
    let image = format!("{}/team/on-base:1", site.host());
    let cache = site.path("other-cache");
    let words = ["build", "httpie", "--base", &format!("docker://{base}"), "-t", &image, "--push"];
    let more = ["--metadata-file", "meta.json", "--cache-dir", cache.to_str().unwrap()];
    site.lath(&[&words[..], &more].concat(), "");
    let metadata: serde_json::Value = serde_json::from_slice(&fs_err::read(site.path("meta.json")).unwrap()).unwrap();
    let built = &metadata["platforms"][0];
    assert_eq!(built["base"]["digest"], digest.as_str());
    let (all, below) = (built["layers"].as_array().unwrap().len(), built["base"]["layers"].as_u64().unwrap());
    // The layers of the base image are mounted from its repository, so they are not uploaded. The uploads are lath's
    // own layers and one config.
    assert_eq!(site.uploads() - before, all - usize::try_from(below).unwrap() + 1);
    site.lath(&["copy", &format!("docker://{image}"), "oci:on-base:1"], "");
    let checked = testkit::oci::check(&site.path("on-base")).unwrap();
    let annotations = &checked.platforms[0].manifest["annotations"];
    assert_eq!(annotations["org.opencontainers.image.base.digest"], digest.as_str());
    assert_eq!(annotations["org.opencontainers.image.base.name"], base.as_str());
}

fn an_image_that_skopeo_pushed_is_copied(site: &Site) {
    let built = lath::built("pushed-by-skopeo", &["yamllint"]);
    let (layout, image) =
        (format!("oci:{}", built.layout().display()), format!("docker://{}/skopeo/app:1", site.host()));
    site.skopeo(&["copy", "--quiet", "--dest-cert-dir", "certificates", &layout, &image]);
    site.lath(&["copy", &image, "oci-archive:copy.tar"], "");
    let checked = testkit::oci::check(&site.path("copy.tar")).unwrap();
    assert_eq!(checked.digest, built.checked.digest);
}

fn no_output_file_or_image_contains_a_secret(site: &Site) {
    let login = testkit::digest::base64(format!("{USER}:{PASSWORD}").as_bytes());
    assert!(file_contains(&site.path("docker/config.json"), &login), "the login is saved as Docker does it");
    // This build has a cache of its own, so all files in the cache can be checked.
    let cache = site.path("cache");
    let image = format!("{}/team/app:1", site.host());
    let words = ["build", "yamllint", "-t", &image, "--push", "-v", "--cache-dir", cache.to_str().unwrap()];
    site.lath(&[&words[..], &["--metadata-file", "metadata.json", "-o", "image.tar"]].concat(), "");
    site.lath(&["copy", &format!("docker://{image}"), "oci:layout:1"], "");
    let mut secrets = vec![PASSWORD.to_owned(), login];
    let mut places = files(site.home.path());
    match &site.keeper {
        Keeper::Docker(registry) => {
            places.extend(files(&registry.data()));
            site.outputs.borrow_mut().extend((registry.log() + &registry.requests()).into_bytes());
        }
        Keeper::Ours(registry) => secrets.extend(registry.secrets()),
    }
    places.retain(|path| *path != site.path("docker/config.json"));
    assert!(places.len() > 20, "{places:?}");
    for secret in &secrets {
        assert!(!contains(&site.outputs.borrow(), secret), "an output contains a secret");
        for place in &places {
            assert!(!file_contains(place, secret), "{} contains a secret", place.display());
        }
    }
}
