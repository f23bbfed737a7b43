//! Wheels that require what would have to be built. No program of the host runs for them, and nothing is fetched.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use testkit::server::{Response, Server};
use testkit::{PyPi, WheelBuilder};

use crate::world::{World, archive};

const WHEEL: &str = "tool-1.0-py3-none-any.whl";

/// A world whose `git` and `ssh` write a file if they are started, and a server that has sources.
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

    /// Every kind of URL of a source that a requirement can have.
    fn sources(&self) -> Vec<String> {
        let path = |name: &str| self.world.path(name).display().to_string();
        vec![
            self.server.url("/evil-1.0.tar.gz"),
            format!("file://{}", path("evil-1.0.tar.gz")),
            format!("file://{}", path("repository")),
            format!("git+file://{}", path("repository")),
            format!("git+file://{}#subdirectory=x", path("repository")),
            format!("git+file://{}#path=evil-1.0-py3-none-any.whl", path("repository")),
            format!("git+{}", self.server.url("/repository")),
            "git+ssh://git@127.0.0.1:9/repository".to_owned(),
        ]
    }

    fn command(&self, words: &str) -> Command {
        let programs = self.world.path("programs");
        let mut command = self.world.command(words);
        command.env("PATH", format!("{}:/usr/bin:/bin", programs.display())).env("HOME", self.world.path("home"));
        command
    }

    /// Asserts that `words` are refused with all of `expected`, and that nothing ran and nothing was fetched.
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
fn a_wheel_by_path_or_url_that_requires_a_source_is_refused_before_anything_runs_or_is_fetched() {
    let trap = Trap::new();
    for source in trap.sources() {
        let wheel = tool(&format!("evil @ {source}"));
        trap.write(WHEEL, &wheel);
        trap.server.set(&format!("/{WHEEL}"), Response::ok(wheel.build()));
        let expected = ["cannot use the wheel `tool 1.0`: it requires `evil @ ", "\n\nhint: lath uses only wheels"];
        trap.assert_refused(&format!("./{WHEEL}"), &expected);
        trap.assert_refused(&trap.server.url(&format!("/{WHEEL}")), &expected);
    }
    insta::assert_snapshot!(trap.world.error(&format!("./{WHEEL}")), @"
    exit 1
    error: cannot use the wheel `tool 1.0`: it requires `evil @ git+ssh://127.0.0.1:9/repository`, a repository that would have to be built

    hint: lath uses only wheels: use a wheel that names its dependencies without URLs, or by URLs of wheels
    ");
}

#[test]
fn a_source_is_refused_however_far_it_is_away() {
    let trap = Trap::new();
    for source in trap.sources() {
        let other = WheelBuilder::new("other", "2.0").metadata_line("Provides-Extra: more");
        let other = other.requires(&format!("evil @ {source} ; extra == 'more'"));
        trap.server.set("/other-2.0-py3-none-any.whl", Response::ok(other.build()));
        let url = trap.server.url("/other-2.0-py3-none-any.whl");
        trap.write(WHEEL, &tool(&format!("other[more] @ {url}")));
        trap.assert_refused(&format!("./{WHEEL}"), &["cannot use the wheel `other 2.0`: it requires `evil @ "]);
        // Without the extra nobody wants it.
        trap.write(WHEEL, &tool(&format!("other @ {url}")));
        let output = trap.command(&format!("./{WHEEL} -o fine.tar")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn a_source_in_files_of_requirements_or_constraints_or_of_an_index_is_refused_as_well() {
    let trap = Trap::new();
    for source in trap.sources() {
        fs_err::write(trap.world.path("list.txt"), format!("evil @ {source}\n")).unwrap();
        fs_err::write(trap.world.path("editable.txt"), format!("-e {source}\n")).unwrap();
        let built = ["`evil @ ", "\n\nhint: build a wheel first"];
        trap.assert_refused("-r list.txt -t tool", &built);
        trap.assert_refused("evil --constraint list.txt -t tool", &built);
        trap.assert_refused("-r editable.txt -t tool", &["cannot "]);
        let index = PyPi::new().built(&tool(&format!("evil @ {source}"))).built(&tool("evil").tag("py2-none-any"));
        let index = index.serve();
        trap.assert_refused(&format!("tool --default-index {}", index.url()), &["cannot resolve `tool`"]);
        // The constraint makes the URL one that uv would take.
        let words = format!("tool --constraint list.txt --default-index {}", index.url());
        trap.assert_refused(&words, &["cannot resolve `tool`", "`evil @ "]);
    }
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
    trap.assert_refused(&by_url, &["cannot use the wheel `tool 1.0`: it requires `local @ "]);
    insta::assert_snapshot!(trap.world.error(&by_url), @"
    exit 1
    error: cannot use the wheel `tool 1.0`: it requires `local @ file://[DIR]/local-1.0-py3-none-any.whl`, a file on this machine

    hint: only a wheel that is named by path may require files: if you want this file, name it as well, and use a wheel that requires it by name
    ");

    let trap = Trap { world: World::new(archive(), PyPi::new().built(&wheel)), ..trap };
    let said = trap.world.refusal("tool");
    assert!(said.starts_with("exit 1\n") && said.contains("`local`"), "{said}");

    trap.write(WHEEL, &wheel);
    let built = trap.world.build(&format!("./{WHEEL}"));
    assert!(built.status.success(), "{built:?}");
}
