//! Locks: their contents, and that a build from a lock needs no index and no archive.

mod foreign;
mod refused;

use testkit::{DebBuilder, PyPi, WheelBuilder, oci};

use crate::world::{World, archive, stdout, tool};

/// Creates a world with a tool that depends on a distribution, and with a package for `--with`.
fn world() -> World {
    let tool = tool().requires("lib>=1");
    let lib = WheelBuilder::new("lib", "1.5").file("lib/__init__.py", "");
    let extra = DebBuilder::new("extra", "1", "all").file("usr/share/extra/x", 0o644, "x");
    World::new(archive().deb(&extra.build()), PyPi::new().built(&tool).built(&lib))
}

fn assert_same(world: &World, first: &str, second: &str) {
    let [one, other] = [first, second].map(|name| oci::check(&world.path(name)).unwrap());
    assert_eq!(one.difference(&other), "", "{first} and {second} differ");
}

/// Returns the paths of all requests since the last call, except requests for wheels and packages.
fn lists(world: &World) -> Vec<String> {
    let requests = [world.pypi.server.requests(), world.debian.server.requests()].concat();
    world.pypi.server.forget_requests();
    world.debian.server.forget_requests();
    let is_list = |path: &String| !path.ends_with(".whl") && !path.ends_with(".deb");
    requests.into_iter().map(|request| request.path).filter(is_list).collect()
}

#[test]
fn a_build_from_a_lock_gives_the_same_image_and_reads_no_index_and_no_archive() {
    let world = world();
    stdout(world.build("tool --with extra -o plain.tar"));
    stdout(world.lock("tool --with extra"));
    assert!(!lists(&world).is_empty());
    for words in ["tool --with extra --locked", "--locked", "--frozen", "--lock pylock.toml", "other --frozen"] {
        stdout(world.build(&format!("{words} -o locked.tar --cache-dir empty")));
        assert_same(&world, "plain.tar", "locked.tar");
        assert_eq!(lists(&world), [""; 0], "{words}");
        fs_err::remove_dir_all(world.path("empty")).unwrap();
    }
}

#[test]
fn another_user_comes_to_the_same_image_from_a_lock() {
    let world = world();
    stdout(world.build("tool --with extra -o plain.tar"));
    stdout(world.lock("tool --with extra"));
    let Some(output) = world.build_as_another_user("--locked -o other.tar --cache-dir own") else { return };
    stdout(output);
    assert_same(&world, "plain.tar", "other.tar");
}

#[test]
fn the_same_inputs_give_the_same_lock_in_another_folder_with_another_cache() {
    let world = world();
    stdout(world.lock("tool --with extra -o one.toml"));
    stdout(world.lock("tool --with extra -o two.toml --cache-dir other --jobs 1"));
    fs_err::create_dir(world.path("deep")).unwrap();
    stdout(world.lock("tool --with extra -o deep/three.toml"));
    let text = |name: &str| fs_err::read_to_string(world.path(name)).unwrap();
    assert_eq!(text("one.toml"), text("two.toml"));
    assert_eq!(text("one.toml"), text("deep/three.toml"));
    // `one.toml` exists already. The new lock replaces it, and must have the same text.
    stdout(world.lock("tool --with extra -o one.toml"));
    assert_eq!(text("one.toml"), text("two.toml"));
}

#[test]
fn a_lock_has_both_halves_of_every_platform() {
    let world = world();
    stdout(world.lock("tool --with extra --platform linux/amd64,linux/arm64"));
    let text = fs_err::read_to_string(world.path("pylock.toml")).unwrap();
    let lock: toml::Table = text.parse().unwrap();
    let names: Vec<&str> = lock["packages"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["lib", "tool"]);
    assert!(lock["packages"].as_array().unwrap().iter().all(|package| package.get("marker").is_none()), "{text}");
    let own = &lock["tool"]["lath"];
    assert_eq!(own["request"]["requirements"].as_array().unwrap(), &[toml::Value::from("tool")]);
    let platforms = own["platforms"].as_array().unwrap();
    assert_eq!(platforms.len(), 2);
    for (platform, architecture) in platforms.iter().zip(["amd64", "arm64"]) {
        assert_eq!(platform["platform"].as_str(), Some(format!("linux/{architecture}").as_str()));
        let releases = platform["releases"].as_array().unwrap();
        assert_eq!(releases.len(), 3);
        assert!(releases.iter().all(|release| release["keys"].as_array().unwrap().len() == 1), "{text}");
        let debs = platform["debs"].as_array().unwrap();
        let deb = |name: &str| debs.iter().find(|deb| deb["name"].as_str() == Some(name)).unwrap();
        assert_eq!(deb("libc6")["architecture"].as_str(), Some(architecture));
        assert_eq!(deb("libc6")["why"]["dependency"]["of"].as_str(), Some("python3.13-minimal"));
        assert_eq!(deb("extra")["why"]["named"]["package"].as_str(), Some("extra"));
        let wheels = platform["wheels"].as_array().unwrap();
        assert_eq!(wheels[0]["required-by"].as_array().unwrap(), &[toml::Value::from("tool")]);
        assert_eq!(wheels[1]["requested"].as_bool(), Some(true));
    }
}

#[test]
fn a_wheel_for_one_platform_has_a_marker() {
    let tag = |machine: &str| format!("cp313-cp313-manylinux_2_17_{machine}");
    let fast = |machine: &str| WheelBuilder::new("fast", "1").tag(&tag(machine)).file("fast/__init__.py", machine);
    let tool = tool().requires("fast").requires("only; platform_machine == 'x86_64'");
    let only = WheelBuilder::new("only", "1").file("only/__init__.py", "");
    let index = PyPi::new().built(&tool).built(&fast("x86_64")).built(&fast("aarch64")).built(&only);
    let world = World::new(archive(), index);
    stdout(world.lock("tool --platform linux/amd64,linux/arm64"));
    let text = fs_err::read_to_string(world.path("pylock.toml")).unwrap();
    let lock: toml::Table = text.parse().unwrap();
    let packages = lock["packages"].as_array().unwrap();
    let lines: Vec<String> = packages
        .iter()
        .map(|package| {
            let marker = package.get("marker").and_then(|marker| marker.as_str()).unwrap_or("-");
            format!("{} {} {marker}", package["name"].as_str().unwrap(), package["wheels"].as_array().unwrap().len())
        })
        .collect();
    assert_eq!(lines, ["fast 2 -", "only 1 platform_machine == 'x86_64'", "tool 1 -"]);
    stdout(world.build("tool --locked --platform linux/arm64 -o arm.tar"));
    let image = oci::check(&world.path("arm.tar")).unwrap();
    assert!(image.platforms[0].listing().contains("fast/__init__.py"));
}

/// Creates a world with an index to which a newer `lib` was uploaded in June.
fn growing() -> World {
    let lib = |version: &str| WheelBuilder::new("lib", version).file("lib/__init__.py", version);
    let index = PyPi::new().built(&tool().requires("lib")).uploaded("2026-01-01T00:00:00Z");
    let index = index.built(&lib("1.5")).uploaded("2026-01-01T00:00:00Z");
    World::new(archive(), index.built(&lib("1.6")).uploaded("2026-06-01T00:00:00Z"))
}

#[test]
fn versions_stay_until_they_are_upgraded() {
    let world = growing();
    let version = || {
        let text = fs_err::read_to_string(world.path("pylock.toml")).unwrap();
        let lock: toml::Table = text.parse().unwrap();
        lock["packages"][0]["version"].as_str().unwrap().to_owned()
    };
    stdout(world.lock("tool --exclude-newer 2026-02-01"));
    assert_eq!(version(), "1.5");
    stdout(world.lock("tool"));
    assert_eq!(version(), "1.5");
    stdout(world.lock("tool --upgrade-package other"));
    assert_eq!(version(), "1.5");
    stdout(world.lock("tool --upgrade-package Lib"));
    assert_eq!(version(), "1.6");
    stdout(world.lock("tool lib<1.6"));
    assert_eq!(version(), "1.5");
    stdout(world.lock("tool --upgrade"));
    assert_eq!(version(), "1.6");
}

#[test]
fn a_check_lists_newer_versions_and_dead_urls_and_writes_nothing() {
    let world = growing();
    stdout(world.lock("tool --exclude-newer 2026-02-01"));
    stdout(world.lock("tool"));
    let text = fs_err::read(world.path("pylock.toml")).unwrap();
    assert_eq!(stdout(world.lock("tool --check")), "wheel lib: 1.5 -> 1.6 (linux/amd64)\n");
    let path = world.debian.deb_path("netbase").unwrap();
    world.debian.server.remove(&path);
    let said = stdout(world.lock("--check"));
    let gone = format!("gone {}: 404 Not Found\n", world.debian.server.url(&path));
    assert_eq!(said, format!("wheel lib: 1.5 -> 1.6 (linux/amd64)\n{gone}"));
    let output = world.lock("tool other --check");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("the request has `other`, and the lock does not"), "{said}");
    assert_eq!(fs_err::read(world.path("pylock.toml")).unwrap(), text);
}

#[test]
fn a_vendor_folder_replaces_the_network() {
    let world = world();
    stdout(world.lock("tool --with extra --vendor parcels"));
    stdout(world.build("tool --with extra -o plain.tar"));
    let sums = fs_err::read_to_string(world.path("parcels/SHA256SUMS")).unwrap();
    let names: Vec<&str> = sums.lines().filter_map(|line| line.split_once("  ")).map(|(_, name)| name).collect();
    assert!(names.contains(&"lib-1.5-py3-none-any.whl") && names.contains(&"libc6_2.41-12_amd64.deb"), "{names:?}");
    lists(&world);
    stdout(world.build("--locked --offline --vendor parcels --cache-dir empty -o vendored.tar"));
    assert_same(&world, "plain.tar", "vendored.tar");
    assert!(world.pypi.server.requests().is_empty() && world.debian.server.requests().is_empty());
    fs_err::write(world.path("parcels/extra_1_all.deb"), "changed").unwrap();
    fs_err::create_dir(world.path("none")).unwrap();
    insta::assert_snapshot!(world.errors(&[
        "--locked --offline --vendor parcels --cache-dir other",
        "--locked --offline --vendor none --cache-dir other",
        "--locked --offline --cache-dir other --vendor parcels --with extra",
    ]), @"
    $ --locked --offline --vendor parcels --cache-dir other
    exit 1
    error: cannot use `parcels/extra_1_all.deb`: its sha256 is [SHA256], and the lock has [SHA256]

    hint: write the folder again with `lath lock --vendor DIR`

    $ --locked --offline --vendor none --cache-dir other
    exit 1
    error: cannot use the folder `none`: it has no `SHA256SUMS`

    hint: write the folder again with `lath lock --vendor DIR`

    $ --locked --offline --cache-dir other --vendor parcels --with extra
    exit 1
    error: cannot use `parcels/extra_1_all.deb`: its sha256 is [SHA256], and the lock has [SHA256]

    hint: write the folder again with `lath lock --vendor DIR`
    ");
    // A later `lath lock` replaces the files in the folder, and removes those that are no longer needed.
    stdout(world.lock("tool --vendor parcels"));
    assert!(!world.path("parcels/extra_1_all.deb").exists() && world.path("parcels/netbase_1_all.deb").exists());
    stdout(world.build("--locked --offline --vendor parcels --cache-dir third -o again.tar"));
}

#[test]
fn a_list_of_hashes_that_lath_did_not_write_stays_with_its_files() {
    let world = world();
    fs_err::create_dir(world.path("dist")).unwrap();
    fs_err::write(world.path("dist/release.tar.gz"), "release").unwrap();
    for list in [format!("{}  release.tar.gz\n", "0".repeat(64)), format!("{} *release.tar.gz\n", "0".repeat(64))] {
        fs_err::write(world.path("dist/SHA256SUMS"), &list).unwrap();
        let output = world.lock("tool --vendor dist");
        assert_eq!(output.status.code(), Some(1));
        insta::allow_duplicates!(
            insta::assert_snapshot!(world.error_in(&String::from_utf8(output.stderr).unwrap()), @"error: cannot write the files of the lock into `dist`: lath did not write its `SHA256SUMS`; name another folder")
        );
        assert_eq!(fs_err::read_to_string(world.path("dist/SHA256SUMS")).unwrap(), list);
        assert!(world.path("dist/release.tar.gz").is_file());
    }
}

#[test]
fn a_package_that_left_its_mirror_comes_from_the_archive_of_old_packages_or_from_another_mirror() {
    let world = World::new(archive().dated(1_795_252_544), PyPi::new().built(&tool()));
    stdout(world.lock("tool"));
    let path = world.debian.deb_path("netbase").unwrap();
    let deb = world.debian.server.get(&path).unwrap();
    world.debian.server.remove(&path);
    let snapshot = format!("--snapshot {}", world.debian.server.url("/old"));
    let said = world.error(&format!("--locked --cache-dir empty -o x.tar {snapshot}"));
    assert!(said.contains("the server answers 404 Not Found"), "{said}");
    for stamp in ["20261121T091544Z", "20261122T091544Z"] {
        let old = format!("/old/debian/{stamp}/{}", path.trim_start_matches("/debian/"));
        world.debian.server.set(&old, deb.clone());
        stdout(world.build(&format!("--locked --cache-dir {stamp} -o x.tar {snapshot}")));
        world.debian.server.remove(&old);
    }
    world.debian.server.set(&path.replacen("/debian/", "/mirror/", 1), deb);
    let mirror = world.debian.server.url("/mirror");
    stdout(world.build(&format!("--locked --cache-dir mirrored -o x.tar {snapshot} --mirror {mirror}")));
}

#[test]
fn an_image_that_is_already_there_is_not_written_again() {
    use std::os::unix::fs::MetadataExt as _;
    let world = world();
    stdout(world.lock("tool"));
    let file = || fs_err::metadata(world.path("x.tar")).unwrap().ino();
    let first = stdout(world.build("--locked -o x.tar --metadata-file one.json"));
    let inode = file();
    assert_eq!(stdout(world.build("--locked -o x.tar --metadata-file two.json")), first);
    assert_eq!(file(), inode);
    let text = |name: &str| fs_err::read_to_string(world.path(name)).unwrap();
    assert_eq!(text("one.json"), text("two.json"));
    // If the archive was changed or is missing, it is written again.
    let bytes = fs_err::read(world.path("x.tar")).unwrap();
    fs_err::write(world.path("x.tar"), "changed").unwrap();
    stdout(world.build("--locked -o x.tar"));
    assert!(fs_err::read(world.path("x.tar")).unwrap() == bytes);
    fs_err::remove_file(world.path("x.tar")).unwrap();
    stdout(world.build("--locked -o x.tar"));
    assert!(fs_err::read(world.path("x.tar")).unwrap() == bytes);
    // With another option, the image is different.
    stdout(world.build("--locked -o x.tar --env A=1"));
    assert!(fs_err::read(world.path("x.tar")).unwrap() != bytes);
}

#[test]
fn a_lock_contains_no_credentials() {
    let index = PyPi::new().built(&tool()).protected("me", "secret");
    let world = World::new(archive(), index);
    let url = world.pypi.url_with_credentials();
    let mut command = world.lock_command("tool");
    stdout(command.env("LATH_INDEX", &url).output().unwrap());
    let text = fs_err::read_to_string(world.path("pylock.toml")).unwrap();
    assert!(!text.contains("secret"), "{text}");
    let said = world.error(&format!("--frozen --cache-dir empty -o x.tar --default-index {}", world.pypi.url()));
    assert!(said.contains("401"), "{said}");
    stdout(world.build(&format!("--frozen --cache-dir empty -o x.tar --default-index {url}")));
}

#[test]
fn a_wheel_by_path_is_locked_with_its_digest() {
    let world = world();
    fs_err::create_dir(world.path("dist")).unwrap();
    let local = |text: &str| WheelBuilder::new("local", "1").file("local/__init__.py", text).script("local", "local:x");
    let file = format!("dist/{}", local("").file_name());
    fs_err::write(world.path(&file), local("one").build()).unwrap();
    stdout(world.lock(&format!("./{file}")));
    let text = fs_err::read_to_string(world.path("pylock.toml")).unwrap();
    assert!(text.contains(&format!("archive = {{ path = \"{file}\"")), "{text}");
    stdout(world.build(&format!("./{file} --locked -o one.tar --cache-dir empty")));
    stdout(world.build(&format!("./{file} -o plain.tar")));
    assert_same(&world, "plain.tar", "one.tar");
    fs_err::write(world.path(&file), local("two").build()).unwrap();
    insta::assert_snapshot!(world.errors(&[&format!("./{file} --locked"), "--frozen --cache-dir other"]), @"
    $ ./dist/local-1-py3-none-any.whl --locked
    exit 1
    error: cannot build from the lock `pylock.toml`: it does not match the request
      cause: the request has `local @ local-1-py3-none-any.whl --hash=sha256:[SHA256]`, and the lock does not
      cause: the lock has `local @ local-1-py3-none-any.whl --hash=sha256:[SHA256]`, and the request does not

    hint: write it again with `lath lock` and the same inputs and options, or use it as it is with `--frozen`

    $ --frozen --cache-dir other
    exit 1
    error: cannot use `[DIR]/dist/local-1-py3-none-any.whl`: its sha256 is [SHA256], and the lock has [SHA256]

    hint: write it with `lath lock` and the same inputs and options
    ");
}

#[test]
fn a_dockerfile_of_a_lock_has_its_pins() {
    let world = growing();
    stdout(world.lock("tool --exclude-newer 2026-02-01T00:00:00Z"));
    let plain = stdout(world.dockerfile("tool --exclude-newer 2026-02-01T00:00:00Z --style lean"));
    assert!(plain.contains("lib==1.5 --hash=sha256:"), "{plain}");
    for words in
        ["pylock.toml", "--locked", "tool --exclude-newer 2026-02-01T00:00:00Z --locked", "--frozen --cache-dir empty"]
    {
        assert_eq!(stdout(world.dockerfile(&format!("{words} --style lean"))), plain, "{words}");
    }
    let said = world.dockerfile("other --locked");
    let said = world.error_in(&String::from_utf8(said.stderr).unwrap());
    assert!(
        said.starts_with("error: cannot build from the lock `pylock.toml`: it does not match the request"),
        "{said}"
    );
}
