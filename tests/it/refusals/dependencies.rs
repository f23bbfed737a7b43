//! Wheels that require repositories or files by their URLs. Because of such a requirement, no program of the host is
//! run, and nothing is fetched.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use testkit::server::{Response, Server};
use testkit::{PyPi, WheelBuilder};

use crate::world::{World, archive};

const WHEEL: &str = "tool-1.0-py3-none-any.whl";

/// A world, and a server with sources. In this world, `git` and `ssh` are scripts that write a file if they are
/// started.
struct Trap {
    world: World,
    server: Server,
}

impl Trap {
    fn new() -> Self {
        let index = PyPi::new().built(&WheelBuilder::new("evil", "1.0")).built(&WheelBuilder::new("plain", "1.0"));
        let trap = Self { world: World::new(archive(), index), server: Server::empty() };
        trap.server.set("/evil-1.0.tar.gz", Response::ok("source"));
        fs_err::create_dir(trap.world.path("programs")).unwrap();
        fs_err::create_dir(trap.world.path("repository")).unwrap();
        fs_err::write(trap.world.path("evil-1.0.tar.gz"), "source").unwrap();
        for name in ["git", "ssh"] {
            let program = trap.world.path("programs").join(name);
            let marker = trap.world.path("started");
            fs_err::write(&program, format!("#!/bin/sh\necho $0 $* >> {}\nexit 1\n", marker.display())).unwrap();
            fs_err::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        trap
    }

    /// Returns one URL of each kind of repository that a requirement can name.
    fn repositories(&self) -> Vec<String> {
        let path = |name: &str| self.world.path(name).display().to_string();
        vec![
            format!("git+file://{}", path("repository")),
            format!("git+file://{}#subdirectory=x", path("repository")),
            format!("git+file://{}#path=evil-1.0-py3-none-any.whl", path("repository")),
            format!("git+{}", self.server.url("/repository")),
            "git+ssh://git@127.0.0.1:9/repository".to_owned(),
        ]
    }

    /// Returns the URLs of a file and a folder on this machine that lath could build.
    fn files(&self) -> [String; 2] {
        ["evil-1.0.tar.gz", "repository"].map(|name| format!("file://{}", self.world.path(name).display()))
    }

    fn command(&self, words: &str) -> Command {
        let programs = self.world.path("programs");
        let mut command = self.world.command(words);
        command.env("PATH", format!("{}:/usr/bin:/bin", programs.display())).env("HOME", self.world.path("home"));
        command
    }

    /// Checks that a build with `words` is refused, that the error contains all of `expected`, and that nothing was run
    /// or fetched.
    fn assert_refused(&self, words: &str, expected: &[&str]) {
        let output = self.command(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{words}: {said}");
        for text in expected {
            assert!(said.contains(text), "{text:?} is missing in:\n{said}");
        }
        let started = fs_err::read_to_string(self.world.path("started")).unwrap_or_default();
        assert_eq!(started, "", "{words}: {said}");
        let fetched: Vec<String> = self.server.requests().into_iter().map(|request| request.path).collect();
        assert!(
            !fetched.iter().any(|path| path.contains("evil") || path.contains("repository")),
            "{words}: {fetched:?}"
        );
        assert!(!self.world.path("tool.tar").exists());
    }

    fn write(&self, name: &str, wheel: &WheelBuilder) {
        fs_err::write(self.world.path(name), wheel.build()).unwrap();
    }
}

fn tool(requirement: &str) -> WheelBuilder {
    crate::world::tool().requires(requirement)
}

#[test]
fn a_wheel_by_path_or_url_that_requires_a_repository_is_refused_before_anything_runs_or_is_fetched() {
    let trap = Trap::new();
    for source in trap.repositories() {
        let wheel = tool(&format!("evil @ {source}"));
        trap.write(WHEEL, &wheel);
        trap.server.set(&format!("/{WHEEL}"), Response::ok(wheel.build()));
        let expected = ["cannot use `tool 1.0`: it requires `evil @ ", "\n\nhint: lath fetches a repository only if"];
        trap.assert_refused(&format!("./{WHEEL}"), &expected);
        trap.assert_refused(&trap.server.url(&format!("/{WHEEL}")), &expected);
    }
    insta::assert_snapshot!(trap.world.error(&format!("./{WHEEL}")), @"
    exit 1
    error: cannot use `tool 1.0`: it requires `evil @ git+ssh://127.0.0.1:9/repository`, a repository that it does not contain

    hint: lath fetches a repository only if you name it: if you trust it, name it as well
    ");
}

#[test]
fn a_wheel_from_elsewhere_that_requires_a_file_or_folder_is_refused() {
    let trap = Trap::new();
    for file in trap.files() {
        trap.server.set(&format!("/{WHEEL}"), Response::ok(tool(&format!("evil @ {file}")).build()));
        let expected = ["cannot use `tool 1.0`: it requires `evil @ ", ", a file on this machine"];
        trap.assert_refused(&trap.server.url(&format!("/{WHEEL}")), &expected);
    }
}

#[test]
fn a_wheel_that_requires_a_url_with_a_variable_is_refused_before_the_value_is_sent() {
    let trap = Trap::new();
    let wheel = tool(&format!("evil @ {}", trap.server.url("/${LATH_CACHE_DIR}/evil-1.0-py3-none-any.whl")));
    trap.write(WHEEL, &wheel);
    trap.server.set(&format!("/{WHEEL}"), Response::ok(wheel.build()));
    let expected = ["cannot use `tool 1.0`: a URL in its requirements contains the variable `LATH_CACHE_DIR`"];
    trap.assert_refused(&format!("./{WHEEL}"), &expected);
    trap.assert_refused(&trap.server.url(&format!("/{WHEEL}")), &expected);
}

#[test]
fn a_repository_is_refused_however_far_it_is_away() {
    let trap = Trap::new();
    for source in trap.repositories() {
        let other = WheelBuilder::new("other", "2.0").metadata_line("Provides-Extra: more");
        let other = other.requires(&format!("evil @ {source} ; extra == 'more'"));
        trap.server.set("/other-2.0-py3-none-any.whl", Response::ok(other.build()));
        let url = trap.server.url("/other-2.0-py3-none-any.whl");
        trap.write(WHEEL, &tool(&format!("other[more] @ {url}")));
        trap.assert_refused(&format!("./{WHEEL}"), &["cannot use `other 2.0`: it requires `evil @ "]);
        // This requirement belongs to an extra. If the extra is not requested, the requirement has no effect.
        trap.write(WHEEL, &tool(&format!("other @ {url}")));
        let output = trap.command(&format!("./{WHEEL} -o fine.tar")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn a_source_by_url_that_a_wheel_of_an_index_requires_is_refused() {
    let trap = Trap::new();
    for source in [trap.repositories(), trap.files().to_vec(), vec![trap.server.url("/evil-1.0.tar.gz")]].concat() {
        let index = PyPi::new().built(&tool(&format!("evil @ {source}"))).built(&tool("evil").tag("py2-none-any"));
        let index = index.serve();
        trap.assert_refused(&format!("tool --default-index {}", index.url()), &["cannot resolve `tool`"]);
    }
}

#[test]
fn a_source_that_the_user_names_is_fetched_and_its_failure_is_told() {
    let trap = Trap::new();
    let said = |words: &str| {
        let output = trap.command(words).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{words}");
        String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let url = format!("git+{}", trap.server.url("/repository"));
    fs_err::write(trap.world.path("list.txt"), format!("evil @ {url}\n")).unwrap();
    for words in ["-r list.txt -t tool", "evil --constraint list.txt -t tool"] {
        let said = said(words);
        assert!(said.contains("cannot fetch the repository `http://127.0.0.1:"), "{said}");
        assert!(fs_err::read_to_string(trap.world.path("started")).unwrap().contains("/git"), "{said}");
    }
    let archive = said(&format!("{} -t tool", trap.server.url("/evil-1.0.tar.gz")));
    assert!(archive.contains("cannot use the archive `http://127.0.0.1:"), "{archive}");
    assert!(archive.contains("it is neither a tar archive"), "{archive}");
    fs_err::write(trap.world.path("folder.txt"), "./repository\n").unwrap();
    let folder = said("-r folder.txt -t tool");
    assert!(folder.contains("is not a project: it has neither a pyproject.toml nor a setup.py"), "{folder}");
}

#[test]
fn a_wheel_on_this_machine_is_for_the_user_to_name_and_for_wheels_by_path() {
    let trap = Trap::new();
    let local = "local-1.0-py3-none-any.whl";
    trap.write(local, &WheelBuilder::new("local", "1.0").file("local.py", ""));
    let url = format!("file://{}", trap.world.path(local).display());
    let wheel = tool(&format!("local @ {url}"));
    trap.server.set(&format!("/{WHEEL}"), Response::ok(wheel.build()));
    let by_url = trap.server.url(&format!("/{WHEEL}"));
    trap.assert_refused(&by_url, &["cannot use `tool 1.0`: it requires `local @ "]);
    insta::assert_snapshot!(trap.world.error(&by_url), @"
    exit 1
    error: cannot use `tool 1.0`: it requires `local @ file://[DIR]/local-1.0-py3-none-any.whl`, a file on this machine

    hint: only a distribution that is named by path may require files: if you want this file, name it as well, and use a distribution that requires it by name
    ");

    let trap = Trap { world: World::new(archive(), PyPi::new().built(&wheel)), ..trap };
    let said = trap.world.refusal("tool");
    assert!(said.starts_with("exit 1\n") && said.contains("`local`"), "{said}");

    trap.write(WHEEL, &wheel);
    let built = trap.world.build(&format!("./{WHEEL}"));
    assert!(built.status.success(), "{built:?}");
}
