//! Inputs that are not names: wheels by path and URL, requirements files, and indexes that require credentials.

use testkit::server::{Response, Server};
use testkit::{PyPi, WheelBuilder, oci};

use crate::world::{World, archive, tool};

const FILE: &str = "tool-1.0-py3-none-any.whl";
const DIST_INFO: &str = "opt/app/lib/python3.13/site-packages/tool-1.0.dist-info";

/// Builds with `words`. Returns the messages and the image.
fn built(world: &World, words: &str, environment: &[(&str, &str)]) -> (String, oci::Checked) {
    let output = world.build_with(words, environment);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words}: {said}");
    (said, oci::check(&world.path("tool.tar")).unwrap())
}

/// Creates a world whose index contains only `dependency`. Also returns a wheel of `tool` that requires `dependency`.
fn world_and_wheel() -> (World, Vec<u8>) {
    let dependency = WheelBuilder::new("dependency", "2.0").file("dependency.py", "");
    (World::new(archive(), PyPi::new().built(&dependency)), tool().requires("dependency>=1").build())
}

fn sha256(bytes: &[u8]) -> String {
    testkit::digest::sha256_hex(bytes)
}

#[test]
fn a_wheel_by_path_goes_in_with_what_it_needs_and_tells_nothing_of_where_it_lay() {
    let (world, wheel) = world_and_wheel();
    let (elsewhere, _) = world_and_wheel();
    let mut digests = Vec::new();
    for (world, folder) in [(&world, "dist"), (&elsewhere, "some/other/place")] {
        fs_err::create_dir_all(world.path(folder)).unwrap();
        std::fs::write(world.path(folder).join(FILE), &wheel).unwrap();
        let absolute = world.path(folder).join(FILE);
        let absolute = absolute.to_str().unwrap();
        std::fs::write(world.path("list.txt"), format!("./{folder}/{FILE}\n")).unwrap();
        let forms = [format!("./{folder}/{FILE}"), format!("{absolute} -t tool"), "-r list.txt -t tool".to_owned()];
        for words in forms {
            let (_, image) = built(world, &words, &[]);
            let files = &image.platforms[0].files;
            assert!(files.keys().any(|path| path.ends_with("site-packages/dependency.py")), "{words}");
            assert!(files.contains_key(&format!("{DIST_INFO}/REQUESTED")), "{words}");
            assert!(!files.contains_key(&format!("{DIST_INFO}/direct_url.json")), "{words}");
            digests.push(image.digest);
        }
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "{digests:?}");
}

#[test]
fn a_wheel_by_url_is_recorded_with_its_origin_and_its_sha256_holds() {
    let (world, wheel) = world_and_wheel();
    let server = Server::empty();
    server.set(&format!("/x/{FILE}"), Response::ok(&wheel));
    let url = server.url(&format!("/x/{FILE}"));
    let requirement = |fragment: &str| format!("tool @ {url}{fragment}\n");
    let good = format!("#sha256={}", sha256(&wheel));
    for text in [requirement(""), requirement(&good)] {
        std::fs::write(world.path("list.txt"), text).unwrap();
        let (_, image) = built(&world, "-r list.txt -t tool", &[]);
        let origin = image.platforms[0].text(&format!("{DIST_INFO}/direct_url.json")).unwrap();
        let origin: serde_json::Value = serde_json::from_str(origin).unwrap();
        assert_eq!(origin["url"], url);
        assert_eq!(origin["archive_info"]["hashes"]["sha256"], sha256(&wheel));
        let record = image.platforms[0].text(&format!("{DIST_INFO}/RECORD")).unwrap();
        assert!(record.contains("direct_url.json,sha256="), "{record}");
    }
    for hash in [format!("#sha256={}", sha256(b"other")), format!(" --hash sha256:{}", sha256(b"other"))] {
        std::fs::write(world.path("list.txt"), requirement(&hash)).unwrap();
        fs_err::remove_file(world.path("tool.tar")).ok();
        let said = world.refusal("-r list.txt -t tool --cache-dir another");
        assert!(said.contains("error: cannot ") && said.contains("sha256") || said.contains("Hash mismatch"), "{said}");
        assert!(!world.path("tool.tar").exists());
    }
}

#[test]
fn a_url_without_a_promise_is_asked_again_and_taken_again_only_when_it_changed() {
    let (world, wheel) = world_and_wheel();
    let server = Server::empty();
    let path = format!("/x/{FILE}");
    server.set(&path, Response::ok(&wheel));
    std::fs::write(world.path("list.txt"), format!("tool @ {}\n", server.url(&path))).unwrap();
    let (_, first) = built(&world, "-r list.txt -t tool", &[]);
    server.forget_requests();
    let (_, again) = built(&world, "-r list.txt -t tool", &[]);
    assert_eq!(first.digest, again.digest);
    let statuses: Vec<u16> = server.requests_of(&path).iter().map(|request| request.status).collect();
    assert!(!statuses.is_empty() && statuses.iter().all(|status| *status == 304), "{statuses:?}");
    let (_, offline) = built(&world, "-r list.txt -t tool --offline", &[]);
    assert_eq!(first.digest, offline.digest);
    server.set(&path, Response::ok(tool().file("tool/new.py", "").build()));
    let (_, changed) = built(&world, "-r list.txt -t tool", &[]);
    assert!(changed.platforms[0].files.keys().any(|path| path.ends_with("tool/new.py")));
}

#[test]
fn hashes_of_a_requirements_file_hold_for_wheels_of_an_index_too() {
    let world = World::usual();
    let line = |hash: &str| format!("tool==1.0 --hash=sha256:{hash}\n");
    std::fs::write(world.path("list.txt"), line(&sha256(&tool().build()))).unwrap();
    built(&world, "-r list.txt -t tool", &[]);
    fs_err::remove_file(world.path("tool.tar")).unwrap();
    std::fs::write(world.path("list.txt"), line(&sha256(b"other"))).unwrap();
    insta::assert_snapshot!(world.error("-r list.txt -t tool").replace("\n         ", " "), @"
    exit 1
    error: cannot use `tool-1.0-py3-none-any.whl`: its sha256 in the index is [SHA256], which the requirements do not allow
    ");
    assert!(!world.path("tool.tar").exists());
}

#[test]
fn a_requirement_with_only_a_sha512_is_checked_too() {
    let world = World::usual();
    std::fs::write(world.path("list.txt"), format!("tool==1.0 --hash=sha512:{}\n", "0".repeat(128))).unwrap();
    let error = world.error("-r list.txt -t tool");
    assert!(error.starts_with("exit 1") && error.contains("tool-1.0-py3-none-any.whl"), "{error}");
    assert!(!world.path("tool.tar").exists());
    std::fs::write(world.path("list.txt"), format!("tool==1.0 --hash=md5:{}\n", "0".repeat(32))).unwrap();
    insta::assert_snapshot!(world.error("-r list.txt -t tool"), @"
    exit 1
    error: cannot read the hashes of the requirements
      cause: `tool==1.0` has only an md5 hash, which is not secure: use its sha256
    ");
}

#[test]
fn a_source_with_only_a_sha512_is_checked_too() {
    let world = World::new(archive(), PyPi::new().sdist("one-1.0.tar.gz", b"source"));
    std::fs::write(world.path("list.txt"), format!("one==1.0 --hash=sha512:{}\n", "0".repeat(128))).unwrap();
    insta::assert_snapshot!(world.error("-r list.txt -t tool"), @"
    exit 1
    error: cannot build one 1.0 from source
      cause: the source does not have the hash in the requirement or the lock
    ");
}

#[test]
fn an_input_that_cannot_be_used_is_refused_with_a_way_out() {
    let world = World::usual();
    std::fs::create_dir(world.path("project")).unwrap();
    std::fs::write(world.path("project/pyproject.toml"), "[project]\nname = \"tool\"\nversion = \"1\"\n").unwrap();
    std::fs::write(world.path("tool-1.0.tar.gz"), "source").unwrap();
    std::fs::write(world.path("list.txt"), "tool\n").unwrap();
    let table = [
        "./project -t x",
        "./tool-1.0.tar.gz -t x",
        "git+https://host.example/a/b -t x",
        "list.txt -t x",
        "./gone-1.0-py3-none-any.whl -t x",
        "tool>>1 -t x",
        "-r gone.txt -t x",
    ];
    insta::assert_snapshot!(world.errors(&table), @r#"
    $ ./project -t x
    exit 1
    error: cannot choose the command of the image: the folder has neither a `Procfile` nor a program

    hint: name the command after `--`, such as `lath build . -- uvicorn main:app --host 0.0.0.0`, or the module with `-m MODULE`

    $ ./tool-1.0.tar.gz -t x
    exit 1
    error: cannot build [DIR]/tool-1.0.tar.gz from source
      cause: cannot use the archive `[DIR]/tool-1.0.tar.gz`
      cause: it is neither a tar archive, compressed with gzip or xz, nor a zip archive

    $ git+https://host.example/a/b -t x
    exit 1
    error: cannot fetch the repository `https://host.example/a/b`: this machine has no `git`

    hint: install git on this machine, or name an archive of the source by its URL

    $ list.txt -t x
    exit 1
    error: cannot use `list.txt` as a requirement: it is a file of requirements

    hint: read it with `-r list.txt`

    $ ./gone-1.0-py3-none-any.whl -t x
    exit 1
    error: cannot use `./gone-1.0-py3-none-any.whl`: there is no file `[DIR]/gone-1.0-py3-none-any.whl`

    $ tool>>1 -t x
    exit 1
    error: cannot read the requirement `tool>>1`
      cause: Failed to parse: `tool>>1`
      cause: no such comparison operator ">>", must be one of ~= == != <= >= < > ===
             tool>>1
                 ^^^

    $ -r gone.txt -t x
    exit 1
    error: cannot read the requirement `gone.txt`
      cause: failed to read from file `gone.txt`: No such file or directory (os error 2)
    "#);
}

#[test]
fn an_index_that_asks_who_one_is_gets_told_from_its_url_or_from_netrc_and_nobody_else_hears_it() {
    let secret = "pass-w0rd";
    let world = World::new(archive(), PyPi::new().built(&tool()).protected("me", secret));
    let netrc = format!("machine 127.0.0.1 login me password {secret}\n");
    std::fs::write(world.path("netrc"), netrc).unwrap();
    let netrc = world.path("netrc");
    let url = format!("tool -v --metadata-file m.json --default-index {}", world.pypi().url_with_credentials());
    let ways: [(&str, Vec<(&str, &str)>); 2] = [
        (&url, vec![]),
        ("tool -v --cache-dir other --metadata-file m.json", vec![("NETRC", netrc.to_str().unwrap())]),
    ];
    let mut digests = Vec::new();
    for (words, environment) in &ways {
        let (said, image) = built(&world, words, environment);
        assert!(!said.contains(secret), "{said}");
        let metadata = std::fs::read_to_string(world.path("m.json")).unwrap();
        assert!(!metadata.contains(secret), "{metadata}");
        let platform = &image.platforms[0];
        assert!(!platform.config.to_string().contains(secret));
        for path in platform.files.keys() {
            assert!(!platform.text(path).is_some_and(|text| text.contains(secret)), "{path}");
        }
        digests.push(image.digest);
    }
    assert_eq!(digests[0], digests[1]);
    fs_err::remove_file(world.path("tool.tar")).unwrap();
    let said = world.refusal("tool --cache-dir third");
    assert!(said.starts_with("exit 1\n") && said.contains("401"), "{said}");
    let wrong = world.pypi().url_with_credentials().replace(secret, "wr0ng-word");
    let said = world.refusal(&format!("tool --cache-dir third --default-index {wrong}"));
    assert!(said.starts_with("exit 1\n") && !said.contains("wr0ng-word"), "{said}");
}

#[test]
fn a_dockerfile_names_a_wheel_by_its_url_and_copies_one_of_this_folder() {
    let (world, wheel) = world_and_wheel();
    let server = Server::empty();
    server.set(&format!("/x/{FILE}"), Response::ok(&wheel));
    let url = server.url(&format!("/x/{FILE}"));
    std::fs::write(world.path("list.txt"), format!("tool @ {url}\n")).unwrap();
    let written = world.dockerfile("-r list.txt -t tool --style lean");
    let text = String::from_utf8_lossy(&written.stdout).into_owned();
    assert!(text.contains(&format!("tool @ {url} --hash=sha256:")), "{text}\n{written:?}");
    std::fs::write(world.path(FILE), &wheel).unwrap();
    let written = world.dockerfile(&format!("./{FILE} -t tool --style lean"));
    let text = String::from_utf8_lossy(&written.stdout).into_owned();
    assert!(text.contains(&format!("COPY [\"{FILE}\", \"/tmp/wheels/{FILE}\"]")), "{text}\n{written:?}");
    assert!(text.contains("--no-index --no-deps") && !text.contains("tool==1.0"), "{text}");
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join(FILE), &wheel).unwrap();
    let refused = world.dockerfile(&elsewhere.path().join(FILE).display().to_string());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success(), "{said}");
    insta::assert_snapshot!(world.error_in(&said), @"
    error: cannot write `tool-1.0-py3-none-any.whl` into a Dockerfile: the wheel is only on this machine, outside the current folder; copy it there, or name it by a URL
    ");
}

#[test]
fn versions_that_are_not_final_are_taken_where_nothing_else_fits_or_they_are_allowed() {
    let index = PyPi::new().built(&tool()).built(&WheelBuilder::new("tool", "2.0rc1"));
    let world = World::new(archive(), index);
    let version = |words: &str| {
        let (_, image) = built(&world, words, &[]);
        image.platforms[0].config["config"]["Labels"]["org.opencontainers.image.version"].as_str().map(str::to_owned)
    };
    assert_eq!(version("tool").unwrap(), "1.0");
    assert_eq!(version("tool --prerelease allow").unwrap(), "2.0rc1");
    assert_eq!(version("tool>=2.0rc1").unwrap(), "2.0rc1");
    let said = world.refusal("tool>1.0 --prerelease disallow");
    assert!(said.contains("cannot resolve `tool>1.0`"), "{said}");
}

#[test]
fn a_request_that_came_before_asks_for_all_pages_at_once_and_still_heeds_what_they_say() {
    let dependency = |version: &str| WheelBuilder::new("dependency", version);
    let mut index = PyPi::new().built(&tool().requires("dependency")).built(&dependency("1.0"));
    let world = World::new(archive(), index);
    let digest = built(&world, "tool", &[]).1.digest;
    assert_eq!(built(&world, "tool", &[]).1.digest, digest);
    // The new index has a newer `dependency`, and its `tool` does not require `dependency`. lath prefetches the pages
    // that the last build used, so also the page of `dependency`. But the result must not contain `dependency`.
    index = PyPi::new().built(&tool()).built(&dependency("2.0"));
    let other = index.serve();
    let (_, image) = built(&world, &format!("tool --default-index {}", other.url()), &[]);
    assert!(!image.platforms[0].files.keys().any(|path| path.contains("dependency-")), "{}", image.digest);
}

#[test]
fn an_index_without_metadata_files_is_read_in_ranges_and_a_bomb_in_it_is_refused() {
    let dependency = WheelBuilder::new("dependency", "2.0").file("dependency.py", vec![7; 1_000_000]);
    let index = PyPi::new().built(&tool().requires("dependency")).without_metadata_file();
    let world = World::new(archive(), index.built(&dependency).without_metadata_file());
    let server = &world.pypi().server;
    let path = |name: &str| format!("/files/{name}");
    let asked = |path: &str| -> Vec<(String, bool)> {
        let requests = server.requests_of(path).into_iter();
        requests.map(|request| (request.method, request.headers.contains_key("range"))).collect()
    };
    let (_, first) = built(&world, "tool", &[]);
    assert!(first.platforms[0].files.keys().any(|path| path.ends_with("site-packages/dependency.py")));
    for name in [FILE, "dependency-2.0-py3-none-any.whl"] {
        // The metadata are read with `HEAD` and a `GET` with a range. The last request downloads the whole wheel, and
        // happens only once.
        let expected =
            [("HEAD", false), ("GET", true), ("GET", false)].map(|(method, range)| (method.to_owned(), range));
        assert_eq!(asked(&path(name)), expected, "{name}");
    }
    server.forget_requests();
    let (_, again) = built(&world, "tool", &[]);
    assert_eq!(first.digest, again.digest);
    assert!(asked(&path(FILE)).iter().all(|(method, _)| method == "HEAD"), "{:?}", asked(&path(FILE)));

    fs_err::remove_file(world.path("tool.tar")).unwrap();
    let bomb = tool().metadata_line(&format!("Summary: {}", "x".repeat(20 << 20)));
    server.set(&path(FILE), Response::ok(bomb.build()));
    let said = world.refusal("tool");
    // Long lines are wrapped, so the line breaks are removed.
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in [&path(FILE), "it is larger than 16777216 bytes", " hint: no honest wheel has this much metadata"] {
        assert!(words.contains(text), "{text:?} is missing in:\n{said}");
    }
    assert!(!world.path("tool.tar").exists());
}

#[test]
fn an_index_without_sha256_gives_the_same_image_and_the_requirements_hash_still_holds() {
    let with = World::new(archive(), PyPi::new().built(&tool()).html());
    let (_, expected) = built(&with, "tool", &[]);
    for md5 in [None, Some("d41d8cd98f00b204e9800998ecf8427e")] {
        let world = World::new(archive(), PyPi::new().built(&tool()).without_sha256(md5).html());
        let (_, image) = built(&world, "tool", &[]);
        assert_eq!(image.digest, expected.digest);
        fs_err::write(world.path("list.txt"), format!("tool==1.0 --hash=sha256:{}\n", "0".repeat(64))).unwrap();
        assert!(world.refusal("-r list.txt -t tool").contains("sha256"), "{md5:?}");
        fs_err::write(world.path("list.txt"), format!("tool>=1.0 --hash=sha256:{}\n", sha256(b""))).unwrap();
        assert!(world.refusal("-r list.txt -t tool").contains("has a hash, but no exact version"), "{md5:?}");
    }
}

#[test]
fn a_folder_of_wheels_is_an_index_relative_to_the_file_that_names_it() {
    let world = World::new(archive(), PyPi::new());
    fs_err::create_dir_all(world.path("lists/wheel house+1")).unwrap();
    fs_err::write(world.path("lists/wheel house+1").join(FILE), tool().build()).unwrap();
    fs_err::write(world.path("lists/list.txt"), "--no-index\n--find-links \"./wheel house+1/\"\ntool\n").unwrap();
    let (_, image) = built(&world, "-r lists/list.txt -t tool", &[]);
    assert!(image.platforms[0].files.contains_key("opt/app/bin/tool"));
}

#[test]
fn a_requirements_file_is_read_as_pip_reads_it() {
    let named = |name: &str, version: &str| WheelBuilder::new(name, version).file(&format!("{name}.py"), "");
    let index = PyPi::new().built(&tool()).built(&named("one", "1.0")).built(&named("one", "2.0rc1"));
    let world = World::new(archive(), index.built(&named("two", "1.0")).built(&named("two", "2.0")));
    fs_err::create_dir_all(world.path("sub/deeper")).unwrap();
    let list = "\u{feff}# exported\r\n--requirement=deeper/more.txt # trailing\r\n\ttool \\\r\n  ==1.0\r\n--pre";
    let utf16: Vec<u8> = [0xFF, 0xFE].into_iter().chain(list[3..].encode_utf16().flat_map(u16::to_le_bytes)).collect();
    fs_err::write(world.path("sub/deeper/more.txt"), "-c ../limits.txt\none\ntwo").unwrap();
    fs_err::write(world.path("sub/limits.txt"), "two<${MOST}\n").unwrap();
    for bytes in [list.as_bytes(), &utf16] {
        fs_err::write(world.path("sub/list.txt"), bytes).unwrap();
        let (_, image) = built(&world, "-r sub/list.txt -t tool", &[("MOST", "2")]);
        let site = "opt/app/lib/python3.13/site-packages";
        for dist_info in ["one-2.0rc1.dist-info", "two-1.0.dist-info", "tool-1.0.dist-info"] {
            assert!(image.platforms[0].files.contains_key(&format!("{site}/{dist_info}/METADATA")), "{dist_info}");
        }
    }
}

#[test]
fn an_option_of_a_requirements_file_that_is_not_followed_is_named_with_its_line() {
    let world = World::usual();
    fs_err::write(world.path("list.txt"), "tool\n--use-feature x\n--trusted-host h.example\n").unwrap();
    let (said, _) = built(&world, "-r list.txt -t tool", &[]);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["`--use-feature x` has no effect (list.txt, line 2)", "`--trusted-host h.example` has no effect"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    fs_err::write(world.path("list.txt"), "tool\n\n--colour red\n").unwrap();
    let refusal = world.refusal("-r list.txt -t tool");
    assert!(refusal.contains("line 3 has the option `--colour`"), "{refusal}");
}

#[test]
fn a_path_may_have_blanks_and_signs_and_letters_beyond_ascii() {
    let world = World::usual();
    for folder in ["with blank", "sharp#1", "plus+1", "per%20cent", "größe"] {
        fs_err::create_dir_all(world.path(folder)).unwrap();
        fs_err::write(world.path(folder).join(FILE), tool().build()).unwrap();
        fs_err::write(world.path("list.txt"), format!("./{folder}/{FILE}\n")).unwrap();
        let (_, image) = built(&world, "-r list.txt -t tool", &[]);
        assert!(image.platforms[0].files.contains_key("opt/app/bin/tool"), "{folder}");
        if !folder.contains(' ') {
            built(&world, &format!("./{folder}/{FILE} -t tool"), &[]);
        }
    }
}
