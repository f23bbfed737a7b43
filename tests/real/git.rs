//! git in an image. Like a real server, the server of these tests uses https. But it is on loopback, and the tests
//! create its certificate.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use libtest_mimic::Trial;

use crate::lath;
use crate::needs::Need::{GitServer, Namespaces, Registries};
use crate::needs::trials_of;
use crate::programs::PROGRAMS;

/// Serves the repositories in its directory with git's smart protocol (gitprotocol-http), and prints its port.
const SERVER: &str = r#"
import gzip, http.server, ssl, subprocess

class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, kind, body):
        self.send_response(200)
        self.send_header("Content-Type", f"application/x-git-upload-pack-{kind}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def upload_pack(self, *options, given=b""):
        repository = self.path.strip("/").split("/")[0]
        command = ["git", "upload-pack", "--stateless-rpc", *options, repository]
        return subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True).stdout

    def do_GET(self):
        self.answer("advertisement", b"001e# service=git-upload-pack\n0000" + self.upload_pack("--advertise-refs"))

    def do_POST(self):
        given = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            given = gzip.decompress(given)
        self.answer("result", self.upload_pack(given=given))

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("certificate.pem", "key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
"#;

/// Clones the repository of a hook. Then pre-commit installs the hook from that clone, and runs the hook on two files.
const WORK: &str = r#"
import os, pathlib, subprocess, sys
url = sys.argv[1]
os.chdir("/tmp")
def git(*words):
    subprocess.run(["git", "-c", "user.name=me", "-c", "user.email=me@example.org", *words], check=True)
git("clone", "-q", url, "clone")
print("cloned:", (pathlib.Path("clone") / ".pre-commit-hooks.yaml").read_text().splitlines()[0])
git("init", "-q", "work")
os.chdir("work")
pathlib.Path(".pre-commit-config.yaml").write_text(f"repos:\n- repo: {url}\n  rev: v1\n  hooks:\n  - id: no-tabs\n")
pathlib.Path("bad.txt").write_text("a\n\tb\n")
git("add", ".")
ran = subprocess.run(["pre-commit", "run", "--all-files", "--color=never"], capture_output=True, text=True)
print(ran.returncode, ran.stdout, ran.stderr)
"#;

const HOOK: &str = "- id: no-tabs\n  name: no tabs\n  entry: '\\t'\n  language: pygrep\n  types: [text]\n";

pub(crate) fn trials() -> Vec<Trial> {
    trials_of!(&[Registries, Namespaces, GitServer]; git_clones_over_https_and_pre_commit_installs_a_hook_from_there)
}

/// A server that ends when the test ends.
struct Server {
    child: Child,
    port: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", SERVER]).current_dir(folder).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut port).unwrap();
        Self { child, port: port.trim().to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ends_well(folder: &Path, line: &str) {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap());
    command.args(words).current_dir(folder);
    let output = command.output().unwrap();
    lath::stdout(&command, output);
}

fn git_clones_over_https_and_pre_commit_installs_a_hook_from_there() {
    let home = lath::folder().join("git");
    fs_err::create_dir_all(home.join("hooks")).unwrap();
    fs_err::write(home.join("hooks/.pre-commit-hooks.yaml"), HOOK).unwrap();
    for line in [
        "git init -q hooks",
        "git -C hooks add .",
        "git -C hooks -c user.name=me -c user.email=me@example.org commit -q -m hook",
        "git -C hooks -c user.name=me -c user.email=me@example.org tag v1",
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out certificate.pem -days 2 -subj /CN=localhost \
         -addext subjectAltName=IP:127.0.0.1",
    ] {
        ends_well(&home, line);
    }
    let server = Server::start(&home);
    let program = &PROGRAMS[0];
    let built = program.built();
    let url = format!("https://127.0.0.1:{}/hooks", server.port);
    let mut words = vec!["run", "--offline"];
    words.extend(program.words());
    words.extend(["--", "python3", "-c", WORK, &url]);
    let mut command = lath::command(&built.folder, &words);
    for name in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command.env("SSL_CERT_FILE", home.join("certificate.pem"));
    let printed = lath::stdout_of(command, "");
    for expected in ["cloned: - id: no-tabs", "no tabs", "Failed", "bad.txt:2:"] {
        assert!(printed.contains(expected), "no {expected:?} in:\n{printed}");
    }
}
