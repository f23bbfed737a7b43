//! Passwords are sent only to the server that requires them, and appear nowhere else.

use std::path::{Path, PathBuf};
use std::process::Output;

use testkit::server::{Response, Server};
use testkit::{PyPi, WheelBuilder, oci};

use crate::world::{World, archive, tool};

/// Users and their passwords. There is one user for each kind of URL, and one each for netrc, variables and the program
/// `keyring`.
const LOGINS: [(&str, &str); 10] = [
    ("debian", "m1rror-word"),
    ("updates", "s3curity-word"),
    ("first", "ind3x-word"),
    ("second", "3xtra-word"),
    ("page", "p4ge-word"),
    ("wheel", "wh33l-word"),
    ("netrc", "n3trc-word"),
    ("variable", "v4riable-word"),
    ("keyring", "k3yring-word"),
    ("flat", "fl4t-word"),
];

fn with_login(url: &str, (user, password): (&str, &str)) -> String {
    url.replace("http://", &format!("http://{user}:{password}@"))
}

/// Returns every file below `folder`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Returns all texts that reveal a password: the passwords themselves, and their encoded form in a header.
fn traces() -> Vec<String> {
    let header = |(user, password)| testkit::digest::base64(format!("{user}:{password}").as_bytes());
    LOGINS.iter().map(|(_, password)| (*password).to_owned()).chain(LOGINS.into_iter().map(header)).collect()
}

fn assert_silent(what: &str, bytes: &[u8]) {
    for trace in traces() {
        let found = bytes.windows(trace.len()).position(|window| window == trace.as_bytes());
        let around =
            found.map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(80)..at + trace.len()]).into_owned());
        assert!(found.is_none(), "`{trace}` is in {what}: {around:?}");
    }
}

fn assert_said_nothing(output: &Output) {
    assert_silent("stdout", &output.stdout);
    assert_silent("stderr", &output.stderr);
}

/// Servers, each of which requires other credentials. `words` are the arguments of a build that uses all of these
/// servers.
struct Servers {
    world: World,
    others: Vec<testkit::pypi::PyPiServer>,
    direct: Server,
    words: String,
}

fn servers() -> Servers {
    let needs = ["dependency", "paged", "quiet"].into_iter().fold(tool(), |tool, name| tool.requires(name));
    let wheel = |name: &str| WheelBuilder::new(name, "1.0");
    let paged = wheel("paged").file("paged.py", "");
    let world = World::new(archive(), PyPi::new().built(&needs).built(&paged));
    let extra = PyPi::new().built(&wheel("dependency")).serve();
    let of_netrc = PyPi::new().built(&wheel("quiet")).without_metadata_file().serve();
    let direct = Server::empty();
    let paths = ["/direct-1.0-py3-none-any.whl", "/paged-1.0-py3-none-any.whl"];
    direct.set(paths[0], Response::ok(wheel("direct").build()));
    direct.set(paths[1], Response::ok(paged.build()));
    // The page of one package contains URLs of another server, with the password for that server.
    let page = format!(
        "<!DOCTYPE html><html><body><a href=\"{}#sha256={}\">paged-1.0-py3-none-any.whl</a></body></html>",
        with_login(&direct.url(paths[1]), LOGINS[4]),
        testkit::digest::sha256_hex(&paged.build()),
    );
    world.pypi.server.set("/simple/paged/", Response::ok(page).header("Content-Type", "text/html"));
    for (server, logins) in [
        (&world.debian.server, &LOGINS[0..2]),
        (&world.pypi.server, &LOGINS[2..3]),
        (&extra.server, &LOGINS[3..4]),
        (&direct, &LOGINS[4..6]),
        (&of_netrc.server, &LOGINS[6..7]),
    ] {
        for (user, password) in logins {
            server.require_basic(user, password);
        }
    }
    let (user, password) = LOGINS[6];
    fs_err::write(world.path("netrc"), format!("machine 127.0.0.1 login {user} password {password}\n")).unwrap();
    let requirement = with_login(&direct.url(paths[0]), LOGINS[5]);
    let words = format!(
        "tool {requirement} --mirror {} --security-mirror {} --default-index {} --index {} --index {}",
        with_login(&world.debian.url(), LOGINS[0]),
        with_login(&world.debian.security_url(), LOGINS[1]),
        with_login(&world.pypi.url(), LOGINS[2]),
        with_login(&extra.url(), LOGINS[3]),
        of_netrc.url(),
    );
    Servers { world, others: vec![extra, of_netrc], direct, words }
}

#[test]
fn no_password_is_in_the_cache_the_image_the_metadata_or_anything_that_is_said() {
    let Servers { world, others, direct, words } = servers();
    let netrc = world.path("netrc").display().to_string();
    // The first build has an empty cache, and the second one a filled cache.
    for output in ["tool.tar", "again.tar"] {
        let said = world.build_with(&format!("{words} -v --metadata-file m.json -o {output}"), &[("NETRC", &netrc)]);
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        assert_said_nothing(&said);
    }
    let output = world.dockerfile(&words);
    assert_said_nothing(&output);
    for path in files(&world.path("cache")).into_iter().chain(["tool.tar", "m.json"].map(|name| world.path(name))) {
        assert_silent(&path.display().to_string(), path.display().to_string().as_bytes());
        assert_silent(&path.display().to_string(), &fs_err::read(&path).unwrap());
    }
    let image = oci::check(&world.path("tool.tar")).unwrap();
    let platform = &image.platforms[0];
    assert_silent("the configuration", platform.config.to_string().as_bytes());
    for path in platform.files.keys() {
        assert_silent(path, platform.text(path).unwrap_or_default().as_bytes());
    }
    // Each server has received only its own credentials.
    let servers = [&world.debian.server, &world.pypi.server, &others[0].server, &direct];
    for (number, server) in servers.into_iter().enumerate() {
        let own = [&LOGINS[0..2], &LOGINS[2..3], &LOGINS[3..4], &LOGINS[4..6]][number];
        let header = |(user, password): &(&str, &str)| {
            format!("Basic {}", testkit::digest::base64(format!("{user}:{password}").as_bytes()))
        };
        let of_netrc = header(&LOGINS[6]);
        for request in server.requests() {
            let Some(value) = request.headers.get("authorization") else { continue };
            assert!(own.iter().map(header).any(|header| header == *value) || *value == of_netrc, "{request:?}");
        }
    }
}

#[test]
fn a_build_that_fails_says_no_password_either() {
    let Servers { world, others: _others, direct: _direct, words } = servers();
    let wrong = |kind: usize| words.replace(LOGINS[kind].1, &format!("{}-wr0ng", LOGINS[kind].1));
    let offline = format!("{words} --offline");
    let failing = [wrong(0), wrong(1), wrong(2), wrong(3), wrong(5), words.clone(), offline];
    for (number, words) in failing.iter().enumerate() {
        let output = world.build(&format!("{words} -v --cache-dir other{number}"));
        assert_eq!(output.status.code(), Some(1), "{words}: {output:?}");
        assert_said_nothing(&output);
        for path in files(&world.path(&format!("other{number}"))) {
            assert_silent(&path.display().to_string(), &fs_err::read(&path).unwrap());
        }
    }
}

#[test]
fn a_redirect_of_an_index_or_a_mirror_to_another_server_takes_no_password_along() {
    let Servers { world, others: _others, direct: _direct, words } = servers();
    let elsewhere = Server::empty();
    for (server, path) in [
        (&world.pypi.server, "/simple/tool/".to_owned()),
        (&world.pypi.server, "/files/tool-1.0-py3-none-any.whl".to_owned()),
        (&world.debian.server, world.debian.in_release_path()),
    ] {
        elsewhere.set(&path, server.get(&path).unwrap());
        server.set(&path, Response::redirect(&elsewhere.url(&path)));
    }
    let netrc = world.path("netrc").display().to_string();
    let said = world.build_with(&words, &[("NETRC", &netrc)]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let seen = elsewhere.requests();
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(seen.iter().all(|request| !request.headers.contains_key("authorization")), "{seen:?}");
}

#[test]
fn a_url_that_is_malformed_is_refused_without_its_password() {
    let world = World::usual();
    let urls = [
        "http://us@er:p/m1rror-word@127.0.0.1:9/",
        "http://us@er/p:m1rror-word@127.0.0.1:9/",
        "http://user:m1rror-word/x@127.0.0.1:9/",
        "user:m1rror-word@127.0.0.1:9/simple",
        "htp://user:m1rror-word@127.0.0.1:9/",
        "//user:m1rror-word@127.0.0.1:9/",
        "http://user:m1rror-word@",
        "http://user:m1rror-word@127.0.0.1:x/",
    ];
    for (number, url) in urls.into_iter().enumerate() {
        let options = ["--default-index", "--index", "--mirror", "--security-mirror"];
        let mut tried: Vec<String> = options.iter().map(|option| format!("tool -v {option} {url}")).collect();
        tried.push(format!("{url}tool-1.0-py3-none-any.whl -v -t x"));
        fs_err::write(world.path("list.txt"), format!("--extra-index-url {url}\ntool\n")).unwrap();
        tried.push("-r list.txt -v -t x".to_owned());
        fs_err::write(world.path("named.txt"), format!("tool @ {url}tool-1.0-py3-none-any.whl\n")).unwrap();
        tried.push("-r named.txt -v -t x".to_owned());
        for words in tried {
            let cache = format!("cache{number}");
            let output = world.build(&format!("{words} --cache-dir {cache}"));
            assert!(!output.status.success(), "{words}");
            assert_said_nothing(&output);
            assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{words}: {output:?}");
            for path in files(&world.path(&cache)) {
                assert_silent(&path.display().to_string(), &fs_err::read(&path).unwrap());
            }
        }
    }
}

/// A program `keyring` that knows the password of its user.
const KEYRING: &str = "#!/bin/sh\n[ \"$1 $3\" = \"get keyring\" ] && echo k3yring-word\n";

#[test]
fn no_password_of_a_variable_of_keyring_or_of_a_page_of_links_is_kept_or_said() {
    let needs = ["named", "ringed", "linked"].into_iter().fold(tool(), |tool, name| tool.requires(name));
    let wheel = |name: &str| WheelBuilder::new(name, "1.0").file(&format!("{name}.py"), "");
    let world = World::new(archive(), PyPi::new().built(&needs));
    let protected = |name: &str, (user, password)| PyPi::new().built(&wheel(name)).protected(user, password).serve();
    let (named, ringed) = (protected("named", LOGINS[7]), protected("ringed", LOGINS[8]));
    let links = Server::empty();
    links.set("/linked-1.0-py3-none-any.whl", Response::ok(wheel("linked").build()));
    let page = "<!DOCTYPE html><html><body><a href=\"/linked-1.0-py3-none-any.whl\">linked</a></body></html>";
    links.set("/links/", Response::ok(page).header("Content-Type", "text/html"));
    links.require_basic(LOGINS[9].0, LOGINS[9].1);
    fs_err::create_dir(world.path("programs")).unwrap();
    fs_err::write(world.path("programs/keyring"), KEYRING).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs_err::set_permissions(world.path("programs/keyring"), mode).unwrap();
    let path = world.path("programs").display().to_string();
    let words = format!(
        "tool -v --keyring-provider subprocess --index corp={} --index {} --find-links {}",
        named.url(),
        ringed.url().replace("http://", "http://keyring@"),
        with_login(&links.url("/links/"), LOGINS[9]),
    );
    let variables = |password: &'static str| {
        [("LATH_INDEX_CORP_USERNAME", "variable"), ("LATH_INDEX_CORP_PASSWORD", password), ("PATH", path.as_str())]
    };
    for output in ["tool.tar", "again.tar"] {
        let said = world.build_with(&format!("{words} --metadata-file m.json -o {output}"), &variables(LOGINS[7].1));
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        assert_said_nothing(&said);
    }
    let refused = world.build_with(&format!("{words} --cache-dir other"), &variables("v4riable-word-wr0ng"));
    assert_eq!(refused.status.code(), Some(1));
    assert_said_nothing(&refused);
    let kept = files(&world.path("cache")).into_iter().chain(files(&world.path("other")));
    for path in kept.chain(["tool.tar", "m.json"].map(|name| world.path(name))) {
        assert_silent(&path.display().to_string(), &fs_err::read(&path).unwrap());
    }
    let image = oci::check(&world.path("tool.tar")).unwrap();
    for path in image.platforms[0].files.keys() {
        assert_silent(path, image.platforms[0].text(path).unwrap_or_default().as_bytes());
    }
    // Each server has received only its own password.
    for (server, (user, password)) in [(&named.server, LOGINS[7]), (&ringed.server, LOGINS[8]), (&links, LOGINS[9])] {
        let own = format!("Basic {}", testkit::digest::base64(format!("{user}:{password}").as_bytes()));
        let wrong = format!("Basic {}", testkit::digest::base64(b"variable:v4riable-word-wr0ng"));
        let seen = server.requests().into_iter().filter_map(|request| request.headers.get("authorization").cloned());
        let seen: Vec<String> = seen.collect();
        assert!(seen.contains(&own) && seen.iter().all(|one| *one == own || *one == wrong), "{user}: {seen:?}");
    }
}
