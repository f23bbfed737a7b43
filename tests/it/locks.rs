//! Locks: what they contain, and that a build from one needs no index and no archive.

use testkit::{DebBuilder, PyPi, WheelBuilder, oci};

use crate::world::{World, archive, stdout, tool};

/// A tool that depends on a distribution, and a package for `--with`.
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

/// Returns the paths of all requests since the last call, without those of wheels and packages.
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
fn the_same_inputs_give_the_same_lock_in_another_folder_with_another_cache() {
    let world = world();
    stdout(world.lock("tool --with extra -o one.toml"));
    stdout(world.lock("tool --with extra -o two.toml --cache-dir other --jobs 1"));
    fs_err::create_dir(world.path("deep")).unwrap();
    stdout(world.lock("tool --with extra -o deep/three.toml"));
    let text = |name: &str| fs_err::read_to_string(world.path(name)).unwrap();
    assert_eq!(text("one.toml"), text("two.toml"));
    assert_eq!(text("one.toml"), text("deep/three.toml"));
    // The lock of a lock is the same.
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

#[test]
fn a_lock_of_another_request_is_refused_with_all_differences() {
    let world = world();
    fs_err::write(world.path("wanted.txt"), "tool\n").unwrap();
    stdout(world.lock("-r wanted.txt --with extra"));
    stdout(world.build("-r wanted.txt --with extra --locked -o x.tar -t x"));
    // Comments and the way in which a requirement is given do not matter.
    fs_err::write(world.path("wanted.txt"), "# a comment\ntool\n").unwrap();
    stdout(world.build("-r wanted.txt --with extra --locked -o x.tar -t x"));
    stdout(world.build("tool --with extra --locked -o x.tar"));
    fs_err::write(world.path("wanted.txt"), "tool>=1\nlib\n").unwrap();
    insta::assert_snapshot!(world.errors(&[
        "-r wanted.txt --with extra --locked -t x",
        "tool --locked --shell",
        "tool --with extra --locked --trim none --prerelease allow --exclude-newer 2026-01-01",
        "--frozen --base debian:bookworm",
        "--locked --platform linux/arm64",
        "tool --lock nowhere.toml",
    ]), @"
    $ -r wanted.txt --with extra --locked -t x
    exit 1
    error: cannot build from the lock `pylock.toml`: it does not match the request
      cause: the request has `tool>=1`, and the lock does not
      cause: the request has `lib`, and the lock does not
      cause: the lock has `tool`, and the request does not

    hint: write it again with `lath lock` and the same inputs and options, or use it as it is with `--frozen`

    $ tool --locked --shell
    exit 1
    error: cannot build from the lock `pylock.toml`: it does not match the request
      cause: the lock has the Debian package `extra`, and the request does not
      cause: the lock was made without `--shell`, and the request is with it

    hint: write it again with `lath lock` and the same inputs and options, or use it as it is with `--frozen`

    $ tool --with extra --locked --trim none --prerelease allow --exclude-newer 2026-01-01
    exit 1
    error: cannot build from the lock `pylock.toml`: it does not match the request
      cause: `--trim` of the lock is `standard`, and that of the request is `none`
      cause: `--prerelease` of the lock is `if-necessary`, and that of the request is `allow`
      cause: `--exclude-newer` of the lock is `no date`, and that of the request is `2026-01-01`

    hint: write it again with `lath lock` and the same inputs and options, or use it as it is with `--frozen`

    $ --frozen --base debian:bookworm
    exit 1
    error: cannot build from the lock `pylock.toml`: it does not match the request
      cause: the release of the lock is `debian:trixie`, and that of the request is `debian:bookworm`

    hint: write it with `lath lock` and the same inputs and options

    $ --locked --platform linux/arm64
    exit 1
    error: cannot build for linux/arm64 from the lock `pylock.toml`: it is for linux/amd64

    hint: write it again with `lath lock --platform linux/amd64,linux/arm64`

    $ tool --lock nowhere.toml
    exit 1
    error: cannot find the lock `nowhere.toml`

    hint: write it with `lath lock` and the same inputs and options
    ");
}

#[test]
fn a_lock_that_cannot_be_used_is_refused() {
    let world = world();
    stdout(world.lock("tool"));
    let text = fs_err::read_to_string(world.path("pylock.toml")).unwrap();
    let write = |name: &str, text: String| fs_err::write(world.path(name), text).unwrap();
    write("text.toml", "this is no TOML".to_owned());
    write("other.toml", "[project]\nname = 'x'\n".to_owned());
    write("later.toml", text.replace("lock-version = \"1.0\"", "lock-version = \"2.0\""));
    write("table.toml", text.replace("[tool.lath]\nversion = 1", "[tool.lath]\nversion = 2"));
    write("lost.toml", text.replace("lib-1.5-py3-none-any.whl\", size", "lib-1.6-py3-none-any.whl\", size"));
    write("twice.toml", text.replacen("    { name = \"libc6\"", "    { name = \"libc-bin\"", 1));
    write("wrong.toml", text.replace("version = \"1.5\"", "version = 1.5"));
    write("foreign.toml", text.split("\n[tool.lath]").next().unwrap().to_owned());
    let large = fs_err::File::create(world.path("large.toml")).unwrap();
    large.set_len(50 << 20).unwrap();
    insta::assert_snapshot!(world.errors(&[
        "--lock text.toml",
        "--lock other.toml",
        "--lock later.toml",
        "--lock table.toml",
        "--lock lost.toml",
        "--lock twice.toml",
        "--lock wrong.toml",
        "--lock foreign.toml",
        "--lock large.toml",
        "tool pylock.toml",
    ]), @"
    $ --lock text.toml
    exit 1
    error: cannot use the lock `text.toml`
      cause: it is not TOML
      cause: TOML parse error at line 1, column 6
               |
             1 | this is no TOML
               |      ^
             key with no value, expected `=`

    hint: restore the file, or remove it and write it again with `lath lock`

    $ --lock other.toml
    exit 1
    error: cannot use the lock `other.toml`
      cause: it has no `lock-version`, so it is not a lock as in PEP 751

    hint: restore the file, or remove it and write it again with `lath lock`

    $ --lock later.toml
    exit 1
    error: cannot use the lock `later.toml`
      cause: its `lock-version` is `2.0`, and this lath reads version 1

    hint: use a newer lath, or write the lock again with `lath lock`

    $ --lock table.toml
    exit 1
    error: cannot use the lock `table.toml`
      cause: its `[tool.lath]` table has version 2, and this lath reads version 1

    hint: use a newer lath, or write the lock again with `lath lock`

    $ --lock lost.toml
    exit 1
    error: cannot use the lock `lost.toml`: its `packages` do not contain `lib-1.5-py3-none-any.whl`, which its `[tool.lath]` table names

    hint: restore the file, or remove it and write it again with `lath lock`

    $ --lock twice.toml
    exit 1
    error: cannot use the lock `twice.toml`: it has the Debian package `libc-bin` twice for linux/amd64

    hint: restore the file, or remove it and write it again with `lath lock`

    $ --lock wrong.toml
    exit 1
    error: cannot use the lock `wrong.toml`
      cause: it does not have the form of a lock as in PEP 751
      cause: TOML parse error at line 10, column 11
                |
             10 | version = 1.5
                |           ^^^
             invalid type: floating point `1.5`, expected a string

    hint: restore the file, or remove it and write it again with `lath lock`

    $ --lock foreign.toml
    exit 1
    error: cannot use the lock `foreign.toml`: it has no `[tool.lath]` table, because lath did not write it

    hint: name it as the input, so that the packages of the release are chosen: `lath build foreign.toml`

    $ --lock large.toml
    exit 1
    error: cannot use the lock `large.toml`
      cause: it has more than 33554432 bytes

    hint: restore the file, or remove it and write it again with `lath lock`

    $ tool pylock.toml
    exit 2
    error: cannot add other inputs to the lock `pylock.toml`: it contains all packages of its request
    ");
    // A later minor version only adds keys.
    write("minor.toml", text.replace("lock-version = \"1.0\"", "lock-version = \"1.1\""));
    stdout(world.build("--lock minor.toml -o x.tar"));
}

#[test]
fn bytes_that_the_lock_does_not_have_are_refused() {
    let world = world();
    stdout(world.lock("tool"));
    let path = world.debian.deb_path("netbase").unwrap();
    let other = DebBuilder::new("netbase", "1", "all").file("usr/share/netbase/x", 0o644, "other").build();
    world.debian.server.set(&path, testkit::Response::ok(other));
    let said = world.error("--locked --cache-dir empty -o x.tar");
    assert!(said.contains("its sha256 is [SHA256], not [SHA256]"), "{said}");
    assert!(!world.path("x.tar").exists());
}

/// An index that got a newer `lib` in June.
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
    let names: Vec<&str> = sums.lines().map(|line| &line[66..]).collect();
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
    // A later lock replaces its files, and removes those that it does not need.
    stdout(world.lock("tool --vendor parcels"));
    assert!(!world.path("parcels/extra_1_all.deb").exists() && world.path("parcels/netbase_1_all.deb").exists());
    stdout(world.build("--locked --offline --vendor parcels --cache-dir third -o again.tar"));
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
    // A changed or missing file is written again.
    let bytes = fs_err::read(world.path("x.tar")).unwrap();
    fs_err::write(world.path("x.tar"), "changed").unwrap();
    stdout(world.build("--locked -o x.tar"));
    assert!(fs_err::read(world.path("x.tar")).unwrap() == bytes);
    fs_err::remove_file(world.path("x.tar")).unwrap();
    stdout(world.build("--locked -o x.tar"));
    assert!(fs_err::read(world.path("x.tar")).unwrap() == bytes);
    // Another option gives another image.
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

/// A lock as uv writes one, with the wheel `tool` at `url`.
fn foreign(world: &World, url: &str, rest: &str) {
    let text = format!(
        "lock-version = \"1.0\"\ncreated-by = \"uv\"\nrequires-python = \">=3.11\"\n\n\
         [[packages]]\nname = \"tool\"\nversion = \"1.0\"\n{}\n{rest}",
        wheels(world, url, "")
    );
    fs_err::write(world.path("pylock.toml"), text).unwrap();
}

fn wheels(world: &World, url: &str, more: &str) -> String {
    let tool = world.pypi.server.get(&world.pypi.file_path("tool-1.0-py3-none-any.whl")).unwrap();
    let sha256 = testkit::digest::sha256_hex(&tool.body);
    format!("wheels = [{{ url = \"{url}\"{more}, hashes = {{ sha256 = \"{sha256}\" }} }}]\n")
}

#[test]
fn the_lock_of_another_tool_gives_the_python_half_without_resolving() {
    let world = world();
    let url = world.pypi.server.url(&world.pypi.file_path("tool-1.0-py3-none-any.whl"));
    let lib = world.pypi.server.url(&world.pypi.file_path("lib-1.5-py3-none-any.whl"));
    let bytes = world.pypi.server.get(&world.pypi.file_path("lib-1.5-py3-none-any.whl")).unwrap().body;
    let sha512 = hex::encode(<sha2::Sha512 as sha2::Digest>::digest(&bytes));
    let rest = format!(
        "[[packages]]\nname = \"lib\"\nversion = \"1.5\"\nmarker = \"'docs' not in extras\"\n\
         [[packages.wheels]]\nurl = \"https://nowhere.example/lib-1.5-cp39-cp39-win32.whl\"\nhashes = {{ sha256 = \"{}\" }}\n\
         [[packages.wheels]]\nurl = \"{lib}\"\nhashes = {{ sha512 = \"{sha512}\" }}\n\n\
         [[packages]]\nname = \"later\"\nversion = \"9\"\nmarker = \"sys_platform == 'win32' or 'docs' in extras\"\n\
         [packages.vcs]\ntype = \"git\"\nurl = \"https://nowhere.example/later\"\ncommit-id = \"00\"\n",
        "0".repeat(64)
    );
    foreign(&world, &url, &rest);
    stdout(world.build("tool -o plain.tar -t image"));
    world.pypi.server.forget_requests();
    for words in ["pylock.toml", "-r pylock.toml"] {
        stdout(world.build(&format!("{words} -o foreign.tar -t image --cache-dir empty")));
        assert_same(&world, "plain.tar", "foreign.tar");
    }
    let pages: Vec<String> = world.pypi.server.requests().into_iter().map(|request| request.path).collect();
    assert!(pages.iter().all(|path| path.ends_with(".whl")), "{pages:?}");
    // Its own lock has both halves.
    stdout(world.lock("pylock.toml -o pylock.image.toml"));
    stdout(world.build("pylock.image.toml -o own.tar -t image --cache-dir other"));
    assert_same(&world, "plain.tar", "own.tar");
    let said = world.error("pylock.toml --locked");
    assert!(said.contains("it has no `[tool.lath]` table, because lath did not write it"), "{said}");
    let output = world.lock("tool");
    let said = world.error_in(&String::from_utf8(output.stderr).unwrap());
    assert!(said.starts_with("error: cannot replace `pylock.toml`: lath did not write it"), "{said}");
}

#[test]
fn the_lock_of_another_tool_that_does_not_fit_is_refused() {
    let world = world();
    let url = world.pypi.server.url(&world.pypi.file_path("tool-1.0-py3-none-any.whl"));
    let head = "lock-version = \"1.0\"\ncreated-by = \"x\"\n";
    let tool = |more: &str| format!("{head}[[packages]]\nname = \"tool\"\nversion = \"1.0\"\n{more}\n");
    let zeros = "0".repeat(64);
    let table = [
        ("twice", tool(&wheels(&world, &url, "")) + "[[packages]]\nname = \"Tool\"\nversion = \"2.0\"\n"),
        ("unfit", tool(&wheels(&world, "https://nowhere.example/tool-1.0-cp39-cp39-win_amd64.whl", ""))),
        ("sdist", tool(&format!("sdist = {{ url = \"https://h/t-1.tar.gz\", hashes = {{ sha256 = \"{zeros}\" }} }}"))),
        ("folder", tool("directory = { path = \".\" }")),
        ("md5", tool(&format!("wheels = [{{ url = \"{url}\", hashes = {{ md5 = \"00\" }} }}]"))),
        ("python", format!("requires-python = \"<3.9\"\n{}", tool(&wheels(&world, &url, "")))),
        ("environment", format!("environments = [\"sys_platform == 'win32'\"]\n{}", tool(&wheels(&world, &url, "")))),
        ("marker", tool("marker = \"what is it\"")),
        ("empty", tool("")),
        ("digest", tool(&format!("wheels = [{{ url = \"{url}\", hashes = {{ sha256 = \"{zeros}\" }} }}]"))),
        ("sha512", tool(&format!("wheels = [{{ url = \"{url}\", hashes = {{ sha512 = \"{zeros}\" }} }}]"))),
        ("size", tool(&wheels(&world, &url, ", size = 7"))),
        ("scheme", tool(&wheels(&world, "ftp://h/tool-1.0-py3-none-any.whl", ""))),
    ];
    let mut words = Vec::new();
    for (name, text) in &table {
        fs_err::write(world.path(&format!("pylock.{name}.toml")), text).unwrap();
        words.push(format!("pylock.{name}.toml -t image --cache-dir c-{name}"));
    }
    insta::assert_snapshot!(world.errors(&words.iter().map(String::as_str).collect::<Vec<_>>()), @"
    $ pylock.twice.toml -t image --cache-dir c-twice
    exit 1
    error: cannot use the lock `pylock.twice.toml` for python 3.13 on linux/amd64
      cause: it has `tool` twice for this platform: 1.0 and 2.0

    $ pylock.unfit.toml -t image --cache-dir c-unfit
    exit 1
    error: cannot use the lock `pylock.unfit.toml` for python 3.13 on linux/amd64
      cause: no wheel of `tool` is for this platform: it has `tool-1.0-cp39-cp39-win_amd64.whl`

    $ pylock.sdist.toml -t image --cache-dir c-sdist
    exit 1
    error: cannot use the lock `pylock.sdist.toml` for python 3.13 on linux/amd64
      cause: `tool` is a source distribution, and it would have to be built

    $ pylock.folder.toml -t image --cache-dir c-folder
    exit 1
    error: cannot use the lock `pylock.folder.toml` for python 3.13 on linux/amd64
      cause: `tool` is a project folder, and it would have to be built

    $ pylock.md5.toml -t image --cache-dir c-md5
    exit 1
    error: cannot use the lock `pylock.md5.toml` for python 3.13 on linux/amd64
      cause: it has no sha256, sha384 or sha512 of `tool-1.0-py3-none-any.whl`

    $ pylock.python.toml -t image --cache-dir c-python
    exit 1
    error: cannot use the lock `pylock.python.toml` for python 3.13 on linux/amd64
      cause: it is for python `<3.9`

    $ pylock.environment.toml -t image --cache-dir c-environment
    exit 1
    error: cannot use the lock `pylock.environment.toml` for python 3.13 on linux/amd64
      cause: it is only for environments with `sys_platform == 'win32'`

    $ pylock.marker.toml -t image --cache-dir c-marker
    exit 1
    error: cannot use the lock `pylock.marker.toml` for python 3.13 on linux/amd64
      cause: the marker `what is it` of `tool` cannot be read

    $ pylock.empty.toml -t image --cache-dir c-empty
    exit 1
    error: cannot use the lock `pylock.empty.toml` for python 3.13 on linux/amd64
      cause: `tool` has neither wheels nor another source

    $ pylock.digest.toml -t image --cache-dir c-digest
    exit 1
    error: cannot fetch all wheels and packages
      cause: cannot use `[INDEX]/files/tool-1.0-py3-none-any.whl`: its sha256 is [SHA256], not [SHA256]

    hint: a proxy or a mirror does not send the bytes that were published: use another, or try again later

    $ pylock.sha512.toml -t image --cache-dir c-sha512
    exit 1
    error: cannot use `tool-1.0-py3-none-any.whl`: its bytes do not have the hash of the lock

    $ pylock.size.toml -t image --cache-dir c-size
    exit 1
    error: cannot fetch all wheels and packages
      cause: cannot fetch `[INDEX]/files/tool-1.0-py3-none-any.whl`: it is larger than 7 bytes

    hint: a proxy or a mirror does not send the bytes that were published: use another, or try again later

    $ pylock.scheme.toml -t image --cache-dir c-scheme
    exit 1
    error: cannot use the lock `pylock.scheme.toml` for python 3.13 on linux/amd64
      cause: the URL `ftp://h/tool-1.0-py3-none-any.whl` is not one of http, https or file
    ");
}
