//! Docker's own registry on loopback. It is started without a password, or with TLS and a password.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use testkit::client::Client;
use testkit::digest::base64;
use testkit::tls::Certificates;

pub(crate) const USER: &str = "builder";
pub(crate) const PASSWORD: &str = "hunter2-of-the-registry";
/// The output of `htpasswd -B` for the user and the password of these tests. The tests do not run `htpasswd`, because
/// it is not installed on every machine.
const HTPASSWD: &str = "builder:$2b$04$CKAv25uStpvzSmE600MYn.kVQKIOcMoWJGy/PnJj2fciDh/bIpdV.\n";

/// A running registry. It stops when this value is dropped.
pub(crate) struct DockerRegistry {
    child: Child,
    /// The host and port, in the form that image names contain.
    pub(crate) host: String,
    folder: tempfile::TempDir,
    certificates: Option<Certificates>,
}

impl DockerRegistry {
    /// Starts a registry without TLS that requires no password.
    pub(crate) fn open() -> Self {
        Self::start(None)
    }

    /// Starts a registry that has a certificate of a private authority and requires the user and the password.
    pub(crate) fn protected() -> Self {
        Self::start(Some(Certificates::for_loopback()))
    }

    fn start(certificates: Option<Certificates>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        // The test must choose a free port. If the kernel chose one for the registry, the registry could not report it.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let mut config = format!(
            "version: 0.1\nlog: {{level: debug}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\n\
             http:\n  addr: {host}\n",
            path("data")
        );
        if let Some(certificates) = &certificates {
            let files = [
                ("authority.pem", &certificates.authority_pem),
                ("certificate.pem", &certificates.certificate_pem),
                ("key.pem", &certificates.key_pem),
                ("htpasswd", &HTPASSWD.to_owned()),
            ];
            for (name, text) in files {
                fs_err::write(path(name), text).unwrap();
            }
            let (certificate, key, passwords) = (path("certificate.pem"), path("key.pem"), path("htpasswd"));
            config.push_str(&format!("  tls: {{certificate: {certificate}, key: {key}}}\n"));
            config.push_str(&format!("auth:\n  htpasswd: {{realm: registry, path: {passwords}}}\n"));
        }
        fs_err::write(path("config.yml"), config).unwrap();
        let log = fs_err::File::create(path("log")).unwrap().into_file();
        let mut command = Command::new("docker-registry");
        command.args(["serve", &path("config.yml")]);
        // The registry writes one line for each request.
        let requests = fs_err::File::create(path("requests")).unwrap().into_file();
        command.stdin(Stdio::null()).stdout(requests).stderr(log);
        let registry = Self { child: command.spawn().unwrap(), host, folder, certificates };
        registry.wait_until_ready();
        registry
    }

    fn wait_until_ready(&self) {
        let begun = Instant::now();
        while self.client().send("GET", "/v2/", &[], b"").is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the registry does not answer:\n{}", self.log());
            sleep(Duration::from_millis(20));
        }
    }

    /// Returns a client of the registry. If the registry requires a password, the client sends it.
    pub(crate) fn client(&self) -> Client {
        let client = Client::new(&self.host);
        match &self.certificates {
            Some(certificates) => client
                .trusting(&certificates.authority_pem)
                .authorized(&format!("Basic {}", base64(format!("{USER}:{PASSWORD}").as_bytes()))),
            None => client,
        }
    }

    /// Returns the path of the certificate of the authority.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// Returns the registry's log.
    pub(crate) fn log(&self) -> String {
        fs_err::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Returns all requests until now, one per line, in the form `... "GET /v2/ HTTP/1.1" 200 ...`.
    pub(crate) fn requests(&self) -> String {
        fs_err::read_to_string(self.folder.path().join("requests")).unwrap()
    }

    /// Returns the folder that contains everything that was pushed.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        // If the process has already ended, this fails, which is harmless.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
