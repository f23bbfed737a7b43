//! Limits of the machine, and output that cannot be written. Each case must be an error with a cause and a hint, and
//! never a panic, an abort or a signal.

use std::fs::OpenOptions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output, Stdio};

use testkit::PyPi;

use crate::world::{World, archive, lath, limited, skip, stdout, tool};

fn assert_failed(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{:?} {said}", output.status);
    assert!(said.contains("error: cannot ") && said.contains("\n\nhint: "), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

/// Returns a command that builds as an ordinary user, with a limit on the number of processes and threads. Returns
/// `None` if this is not possible on this machine.
fn with_threads(world: &World, count: u32, words: &str) -> Option<Command> {
    const USER: u32 = 65531;
    std::fs::set_permissions(world.path(""), std::fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = limited(&world.command(words), &[&format!("--nproc={count}")])?;
    if rustix::process::geteuid().is_root() {
        // This limit does not apply to root, so an ordinary user runs lath.
        command.uid(USER).gid(USER);
        let may_run = Command::new(lath()).arg("--version").uid(USER).gid(USER).output();
        if !may_run.is_ok_and(|output| output.status.success()) {
            skip("a limit on threads: an ordinary user may not run the binary under test");
            return None;
        }
    }
    Some(command)
}

#[test]
fn too_few_threads_are_an_error_before_anything_is_fetched() {
    let world = World::usual();
    let Some(mut command) = with_threads(&world, 5, "tool") else { return };
    let output = command.output().unwrap();
    assert_failed(&output);
    insta::assert_snapshot!(world.error_in(&String::from_utf8_lossy(&output.stderr)), @"
    error: cannot start the threads of a build
      cause: Resource temporarily unavailable (os error 11)

    hint: raise the limit on processes and threads (`ulimit -u`, `TasksMax=` of systemd, `--pids-limit` of an engine), or the limit on memory (`ulimit -v`)
    ");
    assert!(world.pypi.server.requests().is_empty() && world.debian.server.requests().is_empty());
}

#[test]
fn a_limit_of_any_size_ends_with_an_error_or_an_image() {
    let (world, other) = (World::usual(), World::usual());
    let files = [4, 8, 12, 16, 24, 32, 48, 64].map(|count| format!("--nofile={count}"));
    let memory = [8, 32, 64, 96, 128, 192, 256].map(|megabytes: u64| format!("--data={}", megabytes << 20));
    let addresses = [2, 3, 4].map(|gigabytes: u64| format!("--as={}", gigabytes << 30));
    let limited = |limit: &String| limited(&world.command("tool"), &[limit]).map(|command| (limit.clone(), command));
    let threads = |count: u32| with_threads(&other, count, "tool").map(|command| (format!("{count} threads"), command));
    let commands = files.iter().chain(&memory).chain(&addresses).filter_map(limited);
    let mut wrong = Vec::new();
    for (limit, mut command) in commands.chain([12, 18, 19, 20, 22, 24, 28].into_iter().filter_map(threads)) {
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        if !matches!(output.status.code(), Some(0 | 1)) || said.is_empty() || said.contains("panicked") {
            wrong.push(format!("{limit}: {:?} {said}", output.status));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn too_little_memory_for_data_is_an_error_before_anything_is_fetched() {
    let world = World::usual();
    let Some(mut little) = limited(&world.command("tool"), &["--data=33554432"]) else { return };
    let output = little.output().unwrap();
    assert_failed(&output);
    insta::assert_snapshot!(world.error_in(&String::from_utf8_lossy(&output.stderr)), @"
    error: cannot build with 33 MB of memory for data: a build needs 50 MB

    hint: raise the limit with `ulimit -d unlimited`
    ");
    assert!(world.pypi.server.requests().is_empty() && world.debian.server.requests().is_empty());
}

#[test]
fn too_little_address_space_is_an_error_before_anything_is_fetched() {
    let world = World::usual();
    let Some(mut little) = limited(&world.command("tool"), &["--as=409600000"]) else { return };
    let output = little.output().unwrap();
    assert_failed(&output);
    insta::assert_snapshot!(world.error_in(&String::from_utf8_lossy(&output.stderr)), @"
    error: cannot build with 409 MB of address space: a build needs 2147 MB

    hint: raise the limit with `ulimit -v unlimited`
    ");
    assert!(world.pypi.server.requests().is_empty() && world.debian.server.requests().is_empty());
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_leaves_nothing() {
    let noise: Vec<u8> = testkit::digest::sha256_hex(b"noise").into_bytes().repeat(40_000);
    let world = World::new(archive(), PyPi::new().built(&tool().file("tool/noise", noise)));
    let Some(mut small) = limited(&world.command("tool"), &["--fsize=100000"]) else { return };
    let output = small.output().unwrap();
    assert_failed(&output);
    // In each run, another file may be the first that exceeds the limit. So only the hint is compared.
    let error = world.error_in(&String::from_utf8_lossy(&output.stderr));
    insta::assert_snapshot!(error.split_once("\n\n").unwrap().1, @"
    hint: the file is too large: raise the limit with `ulimit -f unlimited`, or use another file system
    ");
    assert!(error.contains("File too large"), "{error}");
    assert_eq!(world.leftovers(), Vec::<std::path::PathBuf>::new());
    assert!(!world.path("tool.tar").exists());
}

#[test]
fn results_that_cannot_be_written_are_an_error_of_every_command() {
    let world = World::usual();
    stdout(world.build("tool"));
    let full = || Stdio::from(OpenOptions::new().write(true).open("/dev/full").unwrap());
    let plain = |words: &str| {
        let mut command = Command::new(lath());
        command.current_dir(world.path("")).env_clear().env("LATH_CACHE_DIR", "cache");
        command.args(words.split_whitespace());
        command
    };
    let commands = ["cache dir", "cache size", "completions bash", "--help", "--version"].map(plain);
    for mut command in commands.into_iter().chain([world.command("tool")]) {
        let output = command.stdout(full()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
        let expected = "error: cannot write to standard output\n  cause: No space left on device";
        assert!(said.contains(expected) && !said.contains("cache prune"), "{command:?}: {said}");
    }
    let output = world.command("tool").stdout(full()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("hint: the image is written: `tool.tar@sha256:"), "{said}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let world = World::usual();
    for mut command in [world.command("tool"), Command::new(lath())] {
        if command.get_args().len() == 0 {
            command.args(["completions", "bash"]);
        }
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command.stdout(writer).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(!said.contains("error"), "{said}");
    }
}

#[test]
fn a_large_file_is_copied_without_being_held_in_memory_and_its_holes_cost_little() {
    const SIZE: u64 = 3 << 29;
    let world = World::usual();
    std::fs::create_dir(world.path("data")).unwrap();
    let file = fs_err::File::create(world.path("data/large")).unwrap();
    file.set_len(SIZE).unwrap();
    std::os::unix::fs::FileExt::write_all_at(file.file(), b"end", SIZE - 3).unwrap();
    // The limit is half of the size of the file. So the build fails if it holds the file in memory, but buffers and the
    // stacks of threads fit.
    let command = world.command("tool --copy data:/data");
    let Some(mut limited) = limited(&command, &[&format!("--data={}", SIZE / 2)]) else { return };
    stdout(limited.output().unwrap());
    let image = std::fs::metadata(world.path("tool.tar")).unwrap();
    assert!(image.len() < 4 << 20, "{}", image.len());
}

#[test]
fn links_of_a_copied_folder_stay_links() {
    let world = World::usual();
    std::fs::create_dir(world.path("data")).unwrap();
    std::fs::write(world.path("data/file"), "text").unwrap();
    for (target, link) in [("file", "inside"), ("/etc/shadow", "outside"), ("/nowhere", "dangling")] {
        fs_err::os::unix::fs::symlink(target, world.path("data").join(link)).unwrap();
    }
    stdout(world.build("tool --copy data:/data"));
    let image = testkit::oci::check(&world.path("tool.tar")).unwrap();
    let files = &image.platforms[0].files;
    assert_eq!(image.platforms[0].text("data/file"), Some("text"));
    for (target, link) in [("file", "inside"), ("/etc/shadow", "outside"), ("/nowhere", "dangling")] {
        assert_eq!(files[&format!("data/{link}")].kind, testkit::oci::Kind::Link(target.to_owned()), "{link}");
    }
}
