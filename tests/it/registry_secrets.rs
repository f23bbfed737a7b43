//! Passwords and tokens of registries. lath sends them only to the registry and its token server, and no output, file
//! or image contains them.

use std::io::{Seek as _, Write as _};
use std::process::{Command, Output};

use testkit::registry::{Fault, Operation};
use testkit::secrets::{contains, file_contains, files};
use testkit::server::{Response, Server};
use testkit::{Registry, RegistryServer};

use crate::world::{World, lath, stdout};

const USER: &str = "pusher";
const PASSWORD: &str = "p4ss-of-the-registry";

/// Returns the user name and the password in the form that headers and Docker's file contain.
fn login_of(password: &str) -> String {
    testkit::digest::base64(format!("{USER}:{password}").as_bytes())
}

/// A world, a registry that requires tokens, and everything that lath has written to the terminal.
struct Site {
    world: World,
    registry: RegistryServer,
    outputs: Vec<u8>,
}

impl Site {
    /// Creates the world and logs in. After that, only Docker's file may contain the password.
    fn new(registry: Registry) -> Self {
        let mut site = Self { world: World::usual(), registry: registry.serve(), outputs: Vec::new() };
        stdout(site.log_in(PASSWORD));
        assert!(file_contains(&site.world.path("docker/config.json"), &login_of(PASSWORD)), "the scan finds a login");
        site
    }

    fn run(&mut self, mut command: Command) -> Output {
        let output = command.env("DOCKER_CONFIG", self.world.path("docker")).output().unwrap();
        self.outputs.extend([output.stdout.as_slice(), &output.stderr].concat());
        output
    }

    fn lath(&self, words: &[&str]) -> Command {
        let mut command = Command::new(lath());
        command.current_dir(self.world.path("")).env_clear().env("LATH_CACHE_DIR", "cache").args(words);
        command
    }

    fn log_in(&mut self, password: &str) -> Output {
        let mut typed = tempfile::tempfile().unwrap();
        typed.write_all(password.as_bytes()).unwrap();
        typed.rewind().unwrap();
        let mut command = self.lath(&["login", &self.registry.host(), "-u", USER, "--password-stdin"]);
        command.stdin(typed);
        self.run(command)
    }

    fn push(&mut self, tag: &str) -> Output {
        let image = self.registry.image(tag);
        let words = format!("tool -t {image} --push -v --metadata-file meta.json -o image.tar");
        self.run(self.world.command(&words))
    }

    fn copy(&mut self, words: &[&str]) -> Output {
        self.run(self.lath(&[&["copy"], words].concat()))
    }

    /// Checks that no output and no file contains the password, a token, or one of `others`.
    fn assert_silent(&self, others: &[&str]) {
        let known = self.registry.secrets();
        let mut files = files(&self.world.path(""));
        files.retain(|file| *file != self.world.path("docker/config.json"));
        assert!(known.len() > 2 && files.len() > 20, "{} secrets, {} files", known.len(), files.len());
        for secret in known.iter().map(String::as_str).chain(others.iter().copied()) {
            assert!(!contains(&self.outputs, secret), "{secret} is in:\n{}", String::from_utf8_lossy(&self.outputs));
            for file in &files {
                assert!(!file_contains(file, secret), "{} contains {secret}", file.display());
            }
        }
    }
}

#[test]
fn no_password_or_token_of_a_registry_is_in_an_output_a_file_or_an_image() {
    let mut site = Site::new(Registry::new().bearer(USER, PASSWORD).tokens_elsewhere().tokens_expire_after(3));
    stdout(site.push("team/tool:1"));
    // The messages of a failed push must not contain a password either.
    site.registry.fault(Fault::on(Operation::PutManifest).always().status(403));
    assert!(!site.push("team/tool:2").status.success());
    site.registry.forget_faults();
    assert!(!site.log_in("wr0ng-of-the-registry").status.success());
    let image = format!("docker://{}", site.registry.image("team/tool:1"));
    stdout(site.copy(&[&image, "oci:layout:1"]));
    site.assert_silent(&["wr0ng-of-the-registry", &login_of("wr0ng-of-the-registry")]);
}

/// If a registry redirects to another host, that host gets neither the password nor a token. The token server gets no
/// token.
#[test]
fn credentials_go_only_to_the_registry_and_its_token_server() {
    let mut site = Site::new(Registry::new().bearer(USER, PASSWORD).tokens_elsewhere());
    let other = Server::empty();
    stdout(site.push("team/tool:1"));
    let manifest = site.registry.manifest("team/tool", "1").unwrap().json();
    let layers = manifest["layers"].as_array().unwrap().iter();
    for descriptor in layers.chain([&manifest["config"]]) {
        let digest = descriptor["digest"].as_str().unwrap();
        other.set(&format!("/{digest}"), Response::ok(site.registry.blob("team/tool", digest).unwrap()));
    }
    site.registry.fault(Fault::on(Operation::GetBlob).always().redirect(&other.url("/{digest}")));
    let image = format!("docker://{}", site.registry.image("team/tool:1"));
    // The cache is removed, so that lath must fetch every blob.
    fs_err::remove_dir_all(site.world.path("cache")).unwrap();
    stdout(site.copy(&[&image, "oci:layout:1"]));
    assert!(other.requests().len() > 1, "every blob comes from the other host");
    for request in other.requests() {
        let names: Vec<&String> = request.headers.keys().collect();
        assert!(!request.headers.contains_key("authorization") && !request.headers.contains_key("cookie"), "{names:?}");
    }
    for exchange in site.registry.exchanges() {
        let sent = exchange.headers.get("authorization").map(String::as_str);
        let at_tokens = exchange.headers["host"] == site.registry.token_host();
        assert_eq!(at_tokens, exchange.operation == Operation::Token, "{exchange:?}");
        let allowed: &[Option<&str>] =
            if at_tokens { &[None, Some("Basic <secret>")] } else { &[None, Some("Bearer <secret>")] };
        assert!(allowed.contains(&sent), "{exchange:?}");
    }
}

/// A pull request can change the file of a project, so this file alone does not decide who gets a password.
#[test]
fn a_registry_that_only_the_file_of_a_project_names_gets_no_password_of_a_variable() {
    let world = World::usual();
    let registry = Registry::new().bearer(USER, PASSWORD).serve();
    let image = registry.image("team/tool:1");
    fs_err::write(world.path("lath.toml"), format!("tag = '{image}'\n")).unwrap();
    let login = [("LATH_REGISTRY_USER", USER), ("LATH_REGISTRY_PASSWORD", PASSWORD)];
    let output = world.build_with("tool --push", &login);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    let expected = format!("are not sent to `{}`, because only the file of the project names", registry.host());
    assert!(error.contains(&expected) && !error.contains("lath login"), "{error}");
    let is_login = |sent: &String| sent.starts_with("Basic");
    let sent = |registry: &RegistryServer| {
        registry.exchanges().iter().any(|exchange| exchange.headers.get("authorization").is_some_and(is_login))
    };
    assert!(!sent(&registry));
    for words in [format!("tool --push -t {image}"), "tool --push --config lath.toml".to_owned()] {
        stdout(world.build_with(&words, &login));
        assert!(sent(&registry), "{words}");
    }
    let [user, password] = login;
    stdout(world.build_with("tool --push", &[user, password, ("LATH_TAG", image.as_str())]));
}
