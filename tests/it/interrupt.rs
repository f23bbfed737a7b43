//! Builds that a signal ends.

use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::Fault;

use crate::world::{World, stdout};

#[test]
fn a_signal_ends_the_build_with_its_code_and_leaves_nothing_unfinished() {
    for (signal, exit_code) in [("INT", 130), ("TERM", 143)] {
        let world = World::usual();
        let deb = world.debian.deb_path("netbase").unwrap();
        world.debian.server.fault(&deb, Fault::Hang { times: 1 });
        let mut child = world.command("tool").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        while world.debian.server.requests_of(&deb).is_empty() {
            assert!(child.try_wait().unwrap().is_none(), "it waits for the package");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(
            Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap().success()
        );
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(exit_code), "{output:?}");
        assert!(output.stdout.is_empty() && !world.path("tool.tar").exists());
        assert_eq!(world.leftovers(), Vec::<std::path::PathBuf>::new());
        stdout(world.build("tool"));
    }
}
