//! The parts of a request that a Dockerfile must contain: all files of the wheels, all indexes, and the right Python.

use fs_err as fs;
use testkit::digest::sha256_hex;
use testkit::pypi::PyPiServer;
use testkit::{PyPi, WheelBuilder};

use super::{outcome, text};
use crate::world::{World, archive, tool};

/// Returns the `COPY` instructions that copy the program from stage one of the recipe to stage two.
fn copied(wheel: &WheelBuilder) -> Vec<String> {
    let world = World::new(archive(), PyPi::new().built(wheel));
    let recipe = text(&world, "demo -t demo");
    recipe.lines().filter(|line| line.starts_with("COPY --from=build")).map(str::to_owned).collect()
}

#[test]
fn the_recipe_copies_every_folder_that_wheels_add_to_the_user_base() {
    let demo = || WheelBuilder::new("demo", "1.0").file("demo/__init__.py", "");
    let all = ["COPY --from=build ${PYTHONUSERBASE}/ ${PYTHONUSERBASE}/"];
    let lib = "COPY --from=build ${PYTHONUSERBASE}/lib/ ${PYTHONUSERBASE}/lib/";
    let bin = "COPY --from=build ${PYTHONUSERBASE}/bin/ ${PYTHONUSERBASE}/bin/";
    assert_eq!(copied(&demo()), [lib]);
    assert_eq!(copied(&demo().script("demo", "demo:main")), [bin, lib]);
    // An executable in the wheel's data is no console script, but it is installed in the same folder as console
    // scripts.
    assert_eq!(copied(&demo().data("data", "bin/demo", "")), [bin, lib]);
    assert_eq!(copied(&demo().data("data", "share/demo/page.html", "")), all);
    assert_eq!(copied(&demo().data("data", "etc/demo.conf", "")), all);
    assert_eq!(copied(&demo().data("data", "demo.txt", "")), all);
    assert_eq!(copied(&demo().data("headers", "demo.h", "")), all);
}

#[test]
fn lean_copies_the_whole_user_base() {
    let demo = WheelBuilder::new("demo", "1.0").file("demo/__init__.py", "").data("data", "share/demo/page.html", "");
    let world = World::new(archive(), PyPi::new().built(&demo));
    let lean = text(&world, "demo -t demo --style lean");
    assert!(lean.contains("\nCOPY --from=build /opt/app /opt/app\n"), "{lean}");
}

/// Runs `lath dockerfile` for the file `req.txt`. The command line contains no index.
fn of_requirements_file(world: &World, style: &str) -> (i32, String, String) {
    let mut command = assert_cmd::Command::cargo_bin("lath").unwrap();
    command.current_dir(world.path("")).env_clear().env("LATH_CACHE_DIR", "cache");
    command.args(["dockerfile", "--platform", "linux/amd64", "--keyring", "keys", "-r", "req.txt", "-t", "demo"]);
    command.args(["--mirror", &world.debian.url(), "--security-mirror", &world.debian.security_url()]);
    command.args(style.split_whitespace());
    outcome(command.output().unwrap())
}

/// Returns the lines of `text` that contain options for indexes. The address of each server is replaced by its name,
/// such as `[INDEX]`.
fn index_lines(text: &str, servers: [(&str, &PyPiServer); 3]) -> Vec<String> {
    let servers = servers.map(|(name, server)| (name, server.url()));
    let named = |line: &str| {
        let line = line.trim().trim_end_matches([' ', '\\']).split(" -r ").next().unwrap().to_owned();
        servers.iter().fold(line, |line, (name, url)| line.replace(url, name))
    };
    let lines = text.lines().map(named);
    lines.filter(|line| line.contains("index") && line.starts_with("--") || line.contains("find-links")).collect()
}

#[test]
fn the_indexes_of_a_requirements_file_are_in_the_dockerfile_without_their_passwords() {
    let uv = WheelBuilder::new("uv", "0.9.0").file("uv/__init__.py", "").script("uv", "uv:main");
    let world = World::new(archive(), PyPi::new().built(&tool()).built(&uv));
    let extra = PyPi::new().built(&WheelBuilder::new("extra", "1.0").file("extra/__init__.py", "")).serve();
    let links = PyPi::new().html().built(&WheelBuilder::new("linked", "1.0").file("linked/__init__.py", "")).serve();
    let with_password = |server: &PyPiServer| server.url().replace("http://", "http://me:secret@");
    let file = format!(
        "--index-url {}\n--extra-index-url {}\n--find-links {}linked/\ntool\nextra\nlinked\n",
        with_password(world.pypi()),
        with_password(&extra),
        with_password(&links),
    );
    fs::write(world.path("req.txt"), file).unwrap();
    let servers = [("[INDEX]", world.pypi()), ("[EXTRA]", &extra), ("[LINKS]", &links)];
    for (style, [default, other]) in [
        ("--style recipe", ["--index-url", "--extra-index-url"]),
        ("--style lean", ["--index-url", "--extra-index-url"]),
        ("--fat", ["--index-url", "--extra-index-url"]),
        ("--style uv", ["--default-index", "--index"]),
    ] {
        let (code, text, stderr) = of_requirements_file(&world, style);
        assert_eq!(code, 0, "{stderr}");
        assert!(!text.contains("secret"), "{text}");
        let lines = index_lines(&text, servers);
        let expected =
            [format!("{default} [INDEX]"), format!("{other} [EXTRA]"), "--find-links [LINKS]linked/".to_owned()];
        // In the style uv, pip first installs uv itself, with the same options. So only the last three lines are
        // compared.
        assert_eq!(lines[lines.len() - 3..], expected, "{style}: {text}");
        assert_eq!(lines.len(), if style == "--style uv" { 6 } else { 3 }, "{style}: {text}");
    }
}

#[test]
fn no_style_installs_from_several_indexes_without_hashes() {
    let world = World::new(archive(), PyPi::new().built(&tool()));
    let extra = PyPi::new().built(&WheelBuilder::new("corp", "1.0").file("corp/__init__.py", "")).serve();
    for style in ["recipe", "lean"] {
        let text = text(&world, &format!("tool corp -c tool --style {style} --index {}", extra.url()));
        for expected in
            ["'corp==1.0 --hash=sha256:", "'tool==1.0 --hash=sha256:", "--require-hashes", "-r /tmp/requirements.txt"]
        {
            assert!(text.contains(expected), "{expected:?} is missing in:\n{text}");
        }
    }
    assert!(!text(&world, "tool --style recipe").contains("--hash"));
}

#[test]
fn a_wheel_of_a_lock_that_is_from_another_index_is_named_by_its_url() {
    let world = World::usual();
    let torch = WheelBuilder::new("torch", "2.0").file("torch/__init__.py", "");
    let other = PyPi::new().built(&torch).serve();
    let package = |name: &str, server: &PyPiServer, wheel: &WheelBuilder| {
        let (url, hash) = (server.server.url(&server.file_path(&wheel.file_name())), sha256_hex(&wheel.build()));
        let wheels = format!("[{{ url = '{url}', hashes = {{ sha256 = '{hash}' }} }}]");
        let version = wheel.file_name().split('-').nth(1).unwrap().to_owned();
        format!("[[packages]]\nname = '{name}'\nversion = '{version}'\nwheels = {wheels}\n")
    };
    let packages = package("tool", world.pypi(), &tool()) + &package("torch", &other, &torch);
    let lock = format!("lock-version = '1.0'\ncreated-by = 'uv'\n{packages}");
    fs::write(world.path("pylock.toml"), lock).unwrap();
    for style in ["recipe", "lean"] {
        let text = text(&world, &format!("pylock.toml -t demo -c tool --style {style}"));
        assert!(text.contains("'tool==1.0 --hash=sha256:"), "{text}");
        let url = format!("'torch @ {} --hash=sha256:", other.server.url(&other.file_path(&torch.file_name())));
        assert!(text.contains(&url), "{url} is missing in:\n{text}");
    }
}

#[test]
fn an_index_on_this_machine_that_has_no_wheel_of_the_lock_is_left_out() {
    let world = World::usual();
    fs::create_dir(world.path("simple")).unwrap();
    let folder = format!("file://{}", world.path("simple").display());
    let file = format!("--index-url {}\n--extra-index-url {folder}\ntool\n", world.pypi_url());
    fs::write(world.path("req.txt"), file).unwrap();
    let (code, text, stderr) = of_requirements_file(&world, "--style lean");
    assert_eq!(code, 0, "{stderr}");
    assert!(text.contains("--index-url") && !text.contains("file:") && !text.contains("extra-index"), "{text}");
}

#[test]
fn a_base_with_a_python_of_its_own_is_refused_unless_the_release_is_named() {
    let world = World::usual();
    for (from, release) in [
        ("python:3.13-slim-trixie", "debian:trixie"),
        ("mirror.example/library/python:3.12-slim-bookworm", "debian:bookworm"),
        ("ghcr.io/astral-sh/uv:python3.13-trixie-slim", "debian:trixie"),
    ] {
        let (code, stdout, stderr) = outcome(world.dockerfile(&format!("tool --from {from}")));
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        let message = format!("cannot start from `{from}`: it has a Python of its own");
        assert!(stderr.contains(&message), "{stderr}");
        assert!(stderr.contains(&format!("hint: `--from {release}` has no other Python")), "{stderr}");
        assert!(stderr.contains(&format!("hint: `--release {release}` adds the `python3` of the release")), "{stderr}");
    }
    let uv = WheelBuilder::new("uv", "0.9.0").file("uv/__init__.py", "").script("uv", "uv:main");
    let world = World::new(archive(), PyPi::new().built(&tool()).built(&uv));
    for style in ["--style recipe", "--style lean --bytecode all", "--style uv", "--fat"] {
        let text = text(&world, &format!("tool {style} --from python:3.13-slim-trixie --base debian:trixie"));
        // No call may use the Python that happens to be the first in `PATH`.
        let is_call = |line: &&str| line.contains("python3 -") || line.contains("pip install");
        let calls: Vec<&str> = text.lines().filter(is_call).filter(|line| !line.starts_with('#')).collect();
        assert!(!calls.is_empty(), "{text}");
        for call in calls {
            let is_named = call.contains("/usr/bin/python3 -")
                || call.contains("uv pip install --prefix /opt/app --python /usr/bin/python3");
            assert!(is_named, "{style}: {call}");
        }
    }
}
