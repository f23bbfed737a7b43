//! `lath login` and `lath logout`, and the settings of registries.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use testkit::registry::RegistryServer;

use crate::world::lath;

const PASSWORD: &str = "p4ss:w0rd";

/// The home directory of a user.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn config(&self) -> PathBuf {
        self.0.path().join(".docker/config.json")
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(lath());
        command.current_dir(self.0.path()).env_clear().env("HOME", self.0.path());
        command.args(words.split_whitespace()).stdin(Stdio::null());
        command
    }

    fn run(&self, words: &str) -> Output {
        self.command(words).output().unwrap()
    }

    /// Logs in. The password is written to standard input.
    fn login(&self, words: &str, password: &str) -> Output {
        typed(self.command(&format!("login {words} -u me --password-stdin")), password)
    }
}

fn typed(mut command: Command, password: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_login_is_checked_before_it_is_saved_and_a_logout_removes_it() {
    for server in
        [testkit::Registry::new().basic("me", PASSWORD), testkit::Registry::new().bearer("me", PASSWORD).tls()]
    {
        let (home, server) = (Home::new(), server.serve());
        let host = server.host();
        let refused = home.login(&host, "wr0ng");
        assert_eq!(refused.status.code(), Some(1));
        assert!(said(&refused).contains("answers 401 Unauthorized") && !said(&refused).contains("wr0ng"));
        assert!(!home.config().exists());
        let accepted = home.login(&host, PASSWORD);
        assert_eq!(accepted.status.code(), Some(0), "{}", said(&accepted));
        let expected =
            format!("logged in to `{host}`; the credentials are not encrypted in `{}`\n", home.config().display());
        assert_eq!(said(&accepted), expected);
        assert_eq!(fs_err::metadata(home.config()).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs_err::read_to_string(home.config()).unwrap();
        assert!(text.contains(&testkit::digest::base64(format!("me:{PASSWORD}").as_bytes())), "{text}");
        assert_eq!(said(&home.run(&format!("logout {host}"))), format!("removed the credentials for `{host}`\n"));
        assert_eq!(
            said(&home.run(&format!("logout {host}"))),
            format!("there were no saved credentials for `{host}`\n")
        );
        assert!(!fs_err::read_to_string(home.config()).unwrap().contains(&host));
    }
}

#[test]
fn an_open_registry_needs_no_login() {
    let (home, server) = (Home::new(), testkit::Registry::new().serve());
    let output = home.login(&server.host(), PASSWORD);
    assert_eq!(output.status.code(), Some(0));
    assert!(said(&output).contains("accepts requests without credentials, so nothing was saved"));
    assert!(!home.config().exists());
}

#[test]
fn wrong_usage_of_a_login_is_refused() {
    let home = Home::new();
    let table = [
        ("login plain -u me --password-stdin", "`plain` is not a registry"),
        ("login https://host.example/x -u me --password-stdin", "is not a registry"),
        ("login host.example -u a:b --password-stdin", "which has no colon"),
        ("login host.example -u me --password-stdin", "cannot log in with an empty password"),
        ("login host.example -u me", "cannot ask for the name and the password without a terminal"),
        ("logout plain", "`plain` is not a registry"),
    ];
    for (words, expected) in table {
        let output = home.run(words);
        assert_eq!(output.status.code(), Some(2), "{words}: {}", said(&output));
        assert!(said(&output).contains(expected), "{words}: {}", said(&output));
    }
    let output = home.login("host.example --insecure-registry a/b", PASSWORD);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("`a/b` is not a registry"), "{}", said(&output));
}

/// Starts a proxy that connects every request to `server`. Returns its address.
fn proxy(server: &RegistryServer) -> String {
    let (listener, target) = (TcpListener::bind("127.0.0.1:0").unwrap(), server.host());
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut client, target) = (stream.unwrap(), target.clone());
            std::thread::spawn(move || {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if client.read(&mut byte).unwrap_or(0) == 0 {
                        return;
                    }
                    head.push(byte[0]);
                }
                assert!(head.starts_with(b"CONNECT registry.example:443 "));
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                let mut server = TcpStream::connect(target).unwrap();
                let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                let _ = std::io::copy(&mut server, &mut client);
            });
        }
    });
    format!("http://{address}")
}

#[test]
fn a_private_authority_and_a_proxy_are_used() {
    let (home, server) = (Home::new(), testkit::Registry::new().tls().basic("me", PASSWORD).serve());
    let authority = home.0.path().join("ca.pem");
    fs_err::write(&authority, server.authority_pem().unwrap()).unwrap();
    let login = |authority: Option<&PathBuf>, words: &str| {
        let mut command = home.command(&format!("login registry.example -u me --password-stdin {words}"));
        command.env("HTTPS_PROXY", proxy(&server)).envs(authority.map(|path| ("SSL_CERT_FILE", path)));
        typed(command, PASSWORD)
    };
    let unknown = login(None, "");
    assert_eq!(unknown.status.code(), Some(1));
    assert!(said(&unknown).contains("SSL_CERT_FILE=FILE"), "{}", said(&unknown));
    assert!(server.exchanges().is_empty());
    assert_eq!(login(Some(&authority), "").status.code(), Some(0));
    assert_eq!(login(None, "--insecure-registry registry.example").status.code(), Some(0));
}

/// Reads from `output` until the text that was read ends with `prompt`.
fn wait_for(prompt: &str, output: &mut impl std::io::Read) -> String {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(prompt.as_bytes()) {
        let length = output.read(&mut byte).unwrap();
        assert_ne!(length, 0, "no `{prompt}` after {}", String::from_utf8_lossy(&read));
        read.push(byte[0]);
    }
    String::from_utf8(read).unwrap()
}

#[test]
fn a_login_on_a_terminal_asks_for_both_and_shows_no_password() {
    // The program `script` of util-linux runs another program in its own terminal.
    if Command::new("script").arg("--version").output().is_err() {
        return crate::world::skip("a login on a terminal: needs `script`");
    }
    let (home, server) = (Home::new(), testkit::Registry::new().basic("me", PASSWORD).serve());
    let mut command = Command::new("script");
    command.args(["-qec", &format!("{} login {}", lath().display(), server.host()), "/dev/null"]);
    command.current_dir(home.0.path()).env("HOME", home.0.path()).env_remove("DOCKER_CONFIG");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut shown = String::new();
    for (prompt, answer) in [("Username: ", "me"), ("Password: ", PASSWORD)] {
        shown += &wait_for(prompt, &mut output);
        // lath switches off the echo of the terminal after it has shown the prompt. Until then, the terminal would show
        // the password.
        std::thread::sleep(std::time::Duration::from_millis(500));
        input.write_all(format!("{answer}\n").as_bytes()).unwrap();
    }
    output.read_to_string(&mut shown).unwrap();
    assert!(child.wait().unwrap().success() && shown.contains("logged in to `127.0.0.1"), "{shown}");
    assert!(!shown.contains(PASSWORD), "{shown}");
    assert!(fs_err::read_to_string(home.config()).unwrap().contains(&server.host()));
}
