//! Images in the engines of Debian's current release: Docker with each of its two stores, containerd, and Podman.
//!
//! The engines are installed from the archive into a separate root file system, and run in separate namespaces. They do
//! not depend on an engine of the machine.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use fs_err as fs;
use libtest_mimic::Trial;

use crate::lath::{self, stdout_of, succeeded};
use crate::needs::Need::{Debootstrap, Engine, Namespaces, Registries, Root};
use crate::needs::trials_of;
use crate::pushes::Site;

pub(crate) fn trials() -> Vec<Trial> {
    trials_of![&[Debootstrap, Engine, Namespaces, Registries, Root]; current_docker_takes_every_archive_in_both_of_its_stores, containerd_and_podman_take_and_run_the_archive]
}

const SUITE: &str = "trixie";
const PACKAGES: &str = "ca-certificates,containerd,docker.io,iptables,podman,runc";

/// Changes the root directory to `$root`, and then runs the program. In the new root, the machine's `/dev` and `/sys`
/// are mounted, so that the program has devices and control groups.
const ENTER: &str = r#"
root=$0
mount --rbind "$root" "$root"
mount -t proc proc "$root/proc"
for place in sys dev; do mount --rbind "/$place" "$root/$place"; done
mkdir -p "$root/old"
cd "$root"
pivot_root . old
umount -l /old
exec "$@"
"#;

/// Returns the root file system with the engines. If it does not exist yet, it is created.
fn root() -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock();
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("engines-{SUITE}"));
    if !root.exists() {
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let include = format!("--include={PACKAGES}");
        let words = ["--variant=minbase", &include, SUITE, "root"];
        succeeded(Command::new("debootstrap").args(words).current_dir(home.path()).output().unwrap());
        fs::rename(home.path().join("root"), &root).unwrap();
    }
    root
}

/// The network that programs in the separate root file system use.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Network {
    Own,
    /// The network of the machine, so that a registry on loopback can be reached.
    OfTheMachine,
}

/// Returns a command that runs `words` in `root`, with its own mounts and processes. When the command ends, its mounts
/// and processes disappear.
fn inside(root: &Path, network: Network, words: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]);
    if network == Network::Own {
        command.arg("--net");
    }
    command.args(["sh", "-ec", ENTER]).arg(root).args(words);
    command.env("PODMAN_IGNORE_CGROUPSV1_WARNING", "1");
    command
}

/// The network bridge of an engine that uses the network of the machine. Without this bridge, the engine would use or
/// remove the bridge of the machine's own engine.
const BRIDGE: &str = "lath-tests";

/// Creates the bridge, unless an earlier test has created it.
fn make_bridge() {
    let ip = |words: &[&str]| Command::new("ip").args(words).output().unwrap();
    ip(&["link", "add", BRIDGE, "type", "bridge"]);
    ip(&["address", "add", "192.0.2.1/24", "dev", BRIDGE]);
    succeeded(ip(&["link", "set", BRIDGE, "up"]));
}

/// An engine that runs until this value is dropped.
struct Docker {
    daemon: Child,
    socket: String,
}

impl Docker {
    /// Starts the engine in `root`. Its images are in a directory whose name is `store`, which is empty at first. The
    /// names of the directories are short, because the path of a socket is limited to 108 bytes (unix(7)).
    fn start(root: &Path, store: &str, is_containerds: bool, network: Network) -> Self {
        let config = format!("/etc/docker/{store}.json");
        let features = serde_json::json!({ "features": { "containerd-snapshotter": is_containerds } });
        fs::create_dir_all(root.join("etc/docker")).unwrap();
        fs::write(root.join(&config[1..]), features.to_string()).unwrap();
        let (data, state) = (format!("/var/lib/{store}"), format!("/run/{store}"));
        for folder in [&data, &state] {
            let _ = fs::remove_dir_all(root.join(&folder[1..]));
        }
        let (socket, pid) = (format!("{state}/sock"), format!("{state}/pid"));
        let host = format!("unix://{socket}");
        let words =
            ["dockerd", "--config-file", &config, "--data-root", &data, "--exec-root", &state, "--pidfile", &pid];
        let log = fs::File::create(root.join(format!("var/log/{store}.log"))).unwrap().into_parts().0;
        let own_bridge: &[&str] = match network {
            Network::Own => &[],
            Network::OfTheMachine => {
                make_bridge();
                &["--bridge", BRIDGE, "--iptables=false", "--ip-forward=false"]
            }
        };
        let mut command = inside(root, network, &[&words[..], &["--host", &host], own_bridge].concat());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut engine =
            Self { daemon: command.spawn().unwrap(), socket: format!("unix://{}", root.join(&socket[1..]).display()) };
        for _ in 0..240 {
            if engine.command(&["version"]).output().unwrap().status.success() {
                return engine;
            }
            if engine.daemon.try_wait().unwrap().is_some() {
                break;
            }
            sleep(Duration::from_millis(250));
        }
        panic!(
            "the engine does not answer: {}",
            fs::read_to_string(root.join(format!("var/log/{store}.log"))).unwrap()
        );
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(["-H", &self.socket]).args(words);
        command
    }

    fn said(&self, words: &[&str]) -> String {
        stdout_of(self.command(words), "")
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // When the daemon ends, all processes in its namespaces end, too. An error is ignored, because then the daemon
        // has already ended.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

const RUN: [&str; 8] = ["run", "--rm", "--network", "none", "--read-only", "--user", "4711:4711", "--cap-drop=ALL"];

fn current_docker_takes_every_archive_in_both_of_its_stores() {
    let home = tempfile::tempdir().unwrap();
    let archives: [(&str, &[&str]); 4] = [
        ("default", &["-o", "default.tar"]),
        ("both", &["-o", "both.tar", "--platform", "linux/amd64,linux/arm64"]),
        ("zstd", &["-o", "zstd.tar", "--compression", "zstd"]),
        ("docker", &["-o", "docker-archive:docker.tar"]),
    ];
    for (name, words) in archives {
        let tag = lath::tag(name);
        succeeded(lath::run(home.path(), &[&["build", "yamllint", "-t", &tag], words].concat()));
    }
    let root = root();
    for (store, is_containerds) in [("overlay", false), ("snapshots", true)] {
        let engine = Docker::start(&root, store, is_containerds, Network::Own);
        for (name, _) in archives {
            let (tag, archive) = (lath::tag(name), home.path().join(format!("{name}.tar")));
            let loaded = engine.said(&["load", "-i", archive.to_str().unwrap()]);
            assert!(loaded.contains(&tag), "{store}: {loaded}");
            let ran = engine.said(&[&RUN[..], &[&tag, "--version"]].concat());
            assert!(ran.starts_with("yamllint "), "{store}, {name}: {ran}");
        }
        let tag = "lath-test/daemon:latest";
        let words = ["build", "yamllint", "-t", tag, "--load"];
        let output = lath::command(home.path(), &words).env("DOCKER_HOST", &engine.socket).output().unwrap();
        succeeded(output);
        assert!(engine.said(&[&RUN[..], &[tag, "--version"]].concat()).starts_with("yamllint "));
    }
}

pub(crate) fn current_docker_pulls_and_runs_a_pushed_image(site: &Site) {
    // This test runs with each of the two registries. Both runs use the same folders, so they must not run at the same
    // time.
    static RUNNING: Mutex<()> = Mutex::new(());
    let _running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let (image, digest) = site.pushed("team/app:1");
    let config = site.path("docker").display().to_string();
    let root = root();
    // When containerd's store requests a token, it trusts only the certificates of the system, even for a loopback
    // address. So the certificate of the registry is added to these.
    fs::create_dir_all(root.join("etc/ssl/certs")).unwrap();
    fs::copy(site.path("bundle.pem"), root.join("etc/ssl/certs/ca-certificates.crt")).unwrap();
    for (store, is_containerds) in [("pull-overlay", false), ("pull-snapshots", true)] {
        let engine = Docker::start(&root, store, is_containerds, Network::OfTheMachine);
        let pulled = engine.said(&["--config", &config, "pull", &image]);
        assert!(pulled.contains(&digest), "{store}: {pulled}");
        let ran = engine.said(&[&RUN[..], &[&image, "--version"]].concat());
        assert!(ran.starts_with("yamllint "), "{store}: {ran}");
    }
}

fn containerd_and_podman_take_and_run_the_archive() {
    const CONTAINERD: &str = r#"
        ctr="ctr -a /run/test-containerd.sock"
        containerd --root /var/lib/test-containerd --state /run/test-containerd --address /run/test-containerd.sock \
          >/var/log/test-containerd.log 2>&1 &
        for _ in $(seq 60); do $ctr version >/dev/null 2>&1 && break; sleep 1; done
        $ctr image import /tmp/image.tar
        $ctr run --rm "docker.io/$0" "lath-test-$$" /opt/app/bin/yamllint --version
    "#;
    const PODMAN: &str = r#"
        podman="podman --runtime runc --cgroup-manager cgroupfs"
        $podman load --quiet -i /tmp/image.tar
        $podman run --rm --network none --read-only --user 4711 "$0" --version
    "#;
    let home = tempfile::tempdir().unwrap();
    let root = root();
    let tag = lath::tag("others");
    succeeded(lath::run(home.path(), &["build", "yamllint", "-t", &tag, "-o", "image.tar"]));
    fs::copy(home.path().join("image.tar"), root.join("tmp/image.tar")).unwrap();
    for script in [CONTAINERD, PODMAN] {
        let said = stdout_of(inside(&root, Network::Own, &["sh", "-ec", script, &tag]), "");
        assert!(said.lines().any(|line| line.starts_with("yamllint ")), "{said}");
    }
}
