//! Real programs, and commands that users of these programs really run.

use crate::lath::{self, Built};
use crate::needs::Need;

/// A program from the index.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    requirements: &'static [&'static str],
    /// The Debian packages whose programs this program runs.
    with: &'static [&'static str],
    /// Whether building its image takes more than a minute.
    takes_minutes: bool,
    /// The programs that must be on `PATH`.
    pub(crate) executables: &'static [&'static str],
    pub(crate) jobs: &'static [Job],
}

/// A command and the output that it must print. The command can write only to `/tmp` and to its home directory. In an
/// engine, the command has no network.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) argv: &'static [&'static str],
    pub(crate) input: &'static str,
    pub(crate) prints: &'static [&'static str],
}

impl Program {
    /// Returns the program's arguments for `lath build` and `lath run`.
    pub(crate) fn words(&self) -> Vec<&'static str> {
        self.requirements.iter().copied().chain(self.with.iter().flat_map(|package| ["--with", *package])).collect()
    }

    /// Returns the needs of a test that builds the program's image, including `more`.
    pub(crate) fn needs(&self, more: &[Need]) -> Vec<Need> {
        let minutes = self.takes_minutes.then_some(Need::Minutes);
        [Need::Registries, Need::Namespaces].into_iter().chain(minutes).chain(more.iter().copied()).collect()
    }

    pub(crate) fn built(&self) -> Built {
        lath::built(self.name, &self.words())
    }
}

pub(crate) const PROGRAMS: &[Program] = &[
    Program {
        name: "pre-commit",
        requirements: &["pre-commit"],
        with: &["git"],
        takes_minutes: false,
        executables: &["pre-commit", "git", "python3"],
        jobs: &[
            Job { argv: &["pre-commit", "--version"], input: "", prints: &["pre-commit 4."] },
            Job { argv: &["pre-commit", "sample-config"], input: "", prints: &["repos:", "id: trailing-whitespace"] },
            Job { argv: &["python3", "-c", HOOKS], input: "", prints: &["no tabs", "Failed", "notes.txt:2:"] },
            Job {
                argv: &["python3", "-m", "virtualenv", "--setuptools", "bundle", "/tmp/environment"],
                input: "",
                prints: &["added seed packages: pip==", ", setuptools=="],
            },
        ],
    },
    Program {
        name: "httpie",
        requirements: &["httpie"],
        with: &[],
        takes_minutes: false,
        executables: &["http", "https", "httpie", "python3"],
        jobs: &[
            Job {
                argv: &["http", "--ignore-stdin", "--offline", "PUT", "example.org/shelf", "title=Lathe", "pages:=120"],
                input: "",
                prints: &["PUT /shelf HTTP/1.1", "Host: example.org", r#"{"title": "Lathe", "pages": 120}"#],
            },
            Job { argv: &["https", "--version"], input: "", prints: &["3."] },
            Job { argv: &["python3", "-c", ROUND_TRIP], input: "", prints: &["HTTP/1.0 200 OK", "well met"] },
        ],
    },
    Program {
        name: "black",
        requirements: &["black"],
        with: &[],
        takes_minutes: false,
        executables: &["black"],
        jobs: &[
            Job {
                argv: &["black", "-q", "-"],
                input: "def  twice( n ):\n  return n*2\n",
                prints: &["def twice(n):\n    return n * 2\n"],
            },
            Job { argv: &["black", "--version"], input: "", prints: &["(compiled: yes)"] },
        ],
    },
    Program {
        name: "ansible-core",
        requirements: &["ansible-core"],
        with: &["dash", "coreutils"],
        takes_minutes: true,
        executables: &["ansible", "ansible-playbook", "ansible-doc", "ansible-galaxy", "sh"],
        jobs: &[
            Job {
                argv: &["ansible", "localhost", "-c", "local", "-m", "setup", "-a", "gather_subset=!all,min"],
                input: "",
                prints: &["localhost | SUCCESS", r#""ansible_system": "Linux""#],
            },
            Job { argv: &["ansible-doc", "-t", "filter", "b64encode"], input: "", prints: &["A string to encode."] },
        ],
    },
    Program {
        name: "numpy-pandas",
        requirements: &["numpy", "pandas"],
        with: &[],
        takes_minutes: true,
        executables: &["python3", "f2py"],
        jobs: &[Job {
            argv: &["python3", "-c", TABLES],
            input: "",
            prints: &["solved [2.0, 3.0]", "north 5", "2024-03-31 03:30:00+02:00", "parsed 10"],
        }],
    },
    Program {
        name: "cryptography",
        requirements: &["cryptography"],
        with: &[],
        takes_minutes: false,
        executables: &["python3"],
        jobs: &[Job {
            argv: &["python3", "-c", CIPHERS],
            input: "",
            prints: &["verified", "opened b'plain'", "refused"],
        }],
    },
    Program {
        name: "csvkit",
        requirements: &["csvkit"],
        with: &[],
        takes_minutes: true,
        executables: &["csvcut", "csvgrep", "csvjson", "csvlook", "csvsort", "csvsql", "csvstat", "in2csv"],
        jobs: &[
            Job { argv: &["csvcut", "-c", "town"], input: TOWNS, prints: &["town\nOslo\nTurku\n"] },
            Job {
                argv: &["csvsort", "-r", "-c", "year"],
                input: TOWNS,
                prints: &["town,year\nTurku,1229\nOslo,1040\n"],
            },
            Job { argv: &["csvjson"], input: TOWNS, prints: &[r#"{"town": "Oslo", "year": 1040"#] },
            Job {
                argv: &["csvsql", "--query", "select max(year) as newest from stdin"],
                input: TOWNS,
                prints: &["newest\n1229"],
            },
        ],
    },
    Program {
        takes_minutes: false,
        name: "wand",
        requirements: &["wand"],
        with: &["libmagickwand-7.q16-10"],
        executables: &["python3"],
        jobs: &[Job { argv: &["python3", "-c", PICTURE], input: "", prints: &["png b'PNG' (8, 6) PNG"] }],
    },
    Program {
        takes_minutes: false,
        name: "blessed",
        requirements: &["blessed"],
        with: &[],
        executables: &["python3"],
        jobs: &[Job {
            argv: &["python3", "-c", TERMINALS],
            input: "",
            prints: &["xterm-256color 256", "screen.xterm-256color 256", "linux 8", "vt100 -1"],
        }],
    },
    Program {
        takes_minutes: false,
        name: "pymssql",
        requirements: &["pymssql"],
        with: &[],
        executables: &["python3"],
        jobs: &[Job { argv: &["python3", "-c", CODE_PAGES], input: "", prints: &["missing []"] }],
    },
    Program {
        takes_minutes: false,
        name: "iso-codes",
        requirements: &["six"],
        with: &["iso-codes"],
        executables: &["python3"],
        jobs: &[Job { argv: &["python3", "-c", COUNTRIES], input: "", prints: &["Deutschland", "Alemania"] }],
    },
];

/// ImageMagick finds the plugin for a format by its `.la` file.
const PICTURE: &str = r#"
from wand.color import Color
from wand.image import Image
with Image(width=8, height=6, background=Color("red")) as image:
    png = image.make_blob("png")
with Image(blob=png) as image:
    print("png", png[1:4], image.size, image.format)
"#;

/// Reads the number of colours of terminals, which comes from terminfo.
const TERMINALS: &str = r#"
import subprocess
import blessed
show = "import curses, sys; curses.setupterm(sys.argv[1], 1); print(sys.argv[1], curses.tigetnum('colors'))"
for terminal in ["xterm-256color", "screen.xterm-256color", "linux", "vt100"]:
    subprocess.run(["/usr/bin/python3", "-c", show, terminal], check=True)
"#;

/// Converts between code pages with glibc's iconv. FreeTDS, which is in the wheel, uses iconv for the code pages of SQL
/// Server.
const CODE_PAGES: &str = r#"
import ctypes, pymssql
libc = ctypes.CDLL(None)
libc.iconv_open.restype = ctypes.c_void_p
names = "CP1252 ISO-8859-2 CP1250 CP1251 SHIFT_JIS CP932 GBK CP936 EUC-KR BIG5".split()
print("missing", [name for name in names if libc.iconv_open(b"UTF-8", name.encode()) in (None, 2**64 - 1)])
"#;

const COUNTRIES: &str = r#"
import gettext
for language in ["de", "es"]:
    print(gettext.translation("iso_3166-1", "/usr/share/locale", [language]).gettext("Germany"))
"#;

/// Creates a repository with a file that a hook refuses.
const HOOKS: &str = r#"
import os, pathlib, subprocess
os.makedirs("/tmp/repo")
os.chdir("/tmp/repo")
subprocess.run(["git", "init", "-q"], check=True)
pathlib.Path("notes.txt").write_text("one\n\ttwo\n")
pathlib.Path(".pre-commit-config.yaml").write_text(
    "repos: [{repo: local, hooks: [{id: tabs, name: no tabs, language: pygrep, entry: '\\t', types: [text]}]}]\n")
subprocess.run(["git", "add", "."], check=True)
assert subprocess.run(["pre-commit", "run", "--all-files"]).returncode == 1
"#;

const TOWNS: &str = "town,year\nOslo,1040\nTurku,1229\n";

/// Starts a server of the standard library, and uses httpie as its client.
const ROUND_TRIP: &str = r#"
import http.server, subprocess, threading
class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"well met")
    def log_message(self, *words):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Hello)
threading.Thread(target=server.serve_forever, daemon=True).start()
subprocess.run(["http", "--ignore-stdin", "--all", "--print=hb", f"127.0.0.1:{server.server_port}/"], check=True)
"#;

/// Solves a system of equations, groups rows, uses a time zone with summer time, and writes and reads a table.
const TABLES: &str = r#"
import io, numpy as np, pandas as pd
print("solved", np.linalg.solve(np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([7.0, 11.0])).round(9).tolist())
sales = pd.DataFrame({"place": ["north", "south", "north"], "sold": [2, 4, 3]})
for place, sold in sales.groupby("place")["sold"].sum().items():
    print(place, sold)
print(pd.Timestamp("2024-03-31 01:30", tz="UTC").tz_convert("Europe/Berlin"))
print("parsed", pd.read_csv(io.StringIO(sales.assign(sold=sales["sold"] + 1).to_csv()))["sold"].sum() - 2)
"#;

const CIPHERS: &str = r#"
from cryptography.exceptions import InvalidSignature
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import ed25519
key = ed25519.Ed25519PrivateKey.generate()
key.public_key().verify(key.sign(b"letter"), b"letter")
print("verified")
box = Fernet(Fernet.generate_key())
print("opened", box.decrypt(box.encrypt(b"plain")))
try:
    key.public_key().verify(key.sign(b"letter"), b"forged")
except InvalidSignature:
    print("refused")
"#;
