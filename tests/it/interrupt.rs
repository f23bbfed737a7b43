//! Builds that are ended by a signal.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use testkit::Fault;

use crate::world::{World, stdout};

/// Starts a build that waits for a package, because the server never sends it. `before` are the first words of the
/// command, such as `env`.
fn waiting(world: &World, words: &str, before: &[&str]) -> Child {
    let deb = world.debian.deb_path("netbase").unwrap();
    world.debian.server.forget_requests();
    world.debian.server.fault(&deb, Fault::Hang { times: 1 });
    let inner = world.command(words);
    let mut command = match before {
        [] => inner,
        [program, arguments @ ..] => {
            let mut outer = Command::new(program);
            outer.args(arguments).arg(inner.get_program()).args(inner.get_args());
            outer.current_dir(inner.get_current_dir().unwrap()).env("LATH_CACHE_DIR", "cache");
            outer
        }
    };
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while world.debian.server.requests_of(&deb).is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "it waits for the package");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

fn send(signal: &str, child: &Child) {
    assert!(Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn a_signal_ends_the_build_with_its_code_and_leaves_nothing_unfinished() {
    for (signal, exit_code) in [("HUP", 129), ("INT", 130), ("TERM", 143)] {
        let world = World::usual();
        // If a shell has started the tests in the background, they ignore SIGINT, and lath would inherit this. So `env`
        // restores the default.
        let child = waiting(&world, "tool -o tool.tar -o oci:new/layout", &["env", "--default-signal=HUP,INT,TERM"]);
        send(signal, &child);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(exit_code), "{output:?}");
        assert!(output.stdout.is_empty() && !world.path("tool.tar").exists() && !world.path("new").exists());
        assert_eq!(world.leftovers(), Vec::<std::path::PathBuf>::new());
        stdout(world.build("tool"));
    }
}

#[test]
fn a_build_under_nohup_goes_on_when_its_terminal_goes_away() {
    let world = World::usual();
    let mut child = waiting(&world, "tool", &["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"]);
    send("HUP", &child);
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "it goes on");
    send("TERM", &child);
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
fn a_file_that_a_killed_build_left_is_removed_by_the_next_one_and_that_of_a_living_one_is_not() {
    let world = World::usual();
    stdout(world.build("tool -o oci:layout -o tool.tar"));
    std::fs::create_dir(world.path("out")).unwrap();
    let folders = ["", "out", "layout", "layout/blobs/sha256"].map(|folder| world.path(folder));
    // The paths that end in `dead` and `tree` are like leftovers of killed processes, because no process has a lock on
    // them.
    for folder in &folders {
        std::fs::write(folder.join(".tmp-lath-dead"), "half").unwrap();
        fs_err::create_dir_all(folder.join(".tmp-lath-tree/usr/bin")).unwrap();
        std::fs::write(folder.join(".tmp-lath-tree/usr/bin/x"), "half").unwrap();
        std::fs::write(folder.join(".tmp-lath-living"), "half").unwrap();
    }
    let living = folders.each_ref().map(|folder| std::fs::File::open(folder.join(".tmp-lath-living")).unwrap());
    living.iter().for_each(|file| file.try_lock().unwrap());
    stdout(world.build("tool -o oci:layout -o tool.tar -o dir:out/root --metadata-file out/m.json"));
    for folder in &folders {
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let left: Vec<String> = names.filter(|name| name.starts_with(".tmp-lath-")).collect();
        assert_eq!(left, [".tmp-lath-living"], "{}", folder.display());
    }
}

#[test]
fn a_build_that_is_killed_while_it_writes_leaves_what_the_next_one_can_write_over() {
    let mut wheel = crate::world::tool();
    for number in 0..200 {
        wheel = wheel.file(&format!("tool/part{number}.py"), format!("x = {number}\n").repeat(500));
    }
    let world = World::new(crate::world::archive(), testkit::PyPi::new().built(&wheel));
    let words = "tool -o new.tar -o oci:new/layout -o dir:new/root";
    let mut child = world.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !world.path("new/layout/blobs/sha256").exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let _ = fs_err::remove_dir_all(world.path("new/root"));
    stdout(world.build(words));
    let mut folders = vec![world.path("")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            assert!(!path.file_name().unwrap().to_string_lossy().starts_with(".tmp"), "{}", path.display());
            if path.is_dir() && !path.ends_with("cache") {
                folders.push(path);
            }
        }
    }
}
