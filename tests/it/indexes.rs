//! Several indexes: their order, their names, folders of wheels, and the credentials for them.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use testkit::pypi::PyPiServer;
use testkit::{PyPi, WheelBuilder};

use crate::world::{self, World, archive, stdout, tool};

fn wheel(name: &str, version: &str) -> WheelBuilder {
    WheelBuilder::new(name, version).file(&format!("{name}.py"), "")
}

/// Returns the versions of `name` in `versions` that were fetched from `index`.
fn fetched(index: &PyPiServer, name: &str, versions: &[&str]) -> Vec<String> {
    let is_fetched = |version: &&&str| {
        let file = index.file_path(&format!("{name}-{version}-py3-none-any.whl"));
        !index.server.requests_of(&file).is_empty()
    };
    versions.iter().filter(is_fetched).map(ToString::to_string).collect()
}

/// Creates a world whose default index contains `internal` 9.0. Also returns a private index, which contains `internal`
/// 1.0.
fn two_indexes() -> (World, PyPiServer) {
    let world = World::new(archive(), PyPi::new().built(&tool().requires("internal")).built(&wheel("internal", "9.0")));
    (world, PyPi::new().built(&wheel("internal", "1.0")).serve())
}

/// Runs lath without an option for the default index.
fn with_variables(world: &World, words: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(world::lath());
    command.current_dir(world.path("")).env_clear().env("LATH_CACHE_DIR", "cache").envs(variables.iter().copied());
    command.args(["build", "--platform", "linux/amd64", "--bytecode", "none", "--no-verify", "--keyring", "keys"]);
    command.args(["--mirror", &world.debian.url(), "--security-mirror", &world.debian.security_url()]);
    command.args(words.split_whitespace()).output().unwrap()
}

#[test]
fn a_private_package_is_never_replaced_by_a_higher_version_of_the_public_index() {
    let (world, private) = two_indexes();
    stdout(world.build(&format!("tool --index corp={}", private.url())));
    assert_eq!(fetched(&private, "internal", &["1.0"]), ["1.0"]);
    assert!(world.pypi().server.requests().iter().all(|request| !request.path.contains("internal")));
    // The default index is not used, even if no version in the private index fits.
    let words = format!("tool internal>=2 --index {}", private.url());
    let error = world.error(&words).replace(&private.server.url(""), "[PRIVATE]");
    insta::assert_snapshot!(error, @"
    exit 1
    error: cannot resolve `tool`, `internal>=2` for python 3.13 on linux/amd64
      cause: Because only internal==1.0 is available and the request requires internal>=2, the request cannot be
             met.
      cause: the index has only 1.0 of `internal`

    hint: `internal` was found on [PRIVATE]/simple/, but not at the requested version (internal>=2). A compatible version may be available on a subsequent index (e.g., [INDEX]/simple/). By default, lath will only consider versions that are published on the first index that contains a given package, to avoid dependency confusion attacks. If all indexes are equally trusted, use `--index-strategy unsafe-best-match` to consider all versions from all indexes, regardless of the order in which they were defined.
    ");
}

#[test]
fn the_best_version_of_all_indexes_is_taken_only_if_the_user_says_so() {
    for (strategy, expected) in [("unsafe-best-match", "9.0"), ("unsafe-first-match", "1.0"), ("first-index", "1.0")] {
        let (world, private) = two_indexes();
        stdout(world.build(&format!("tool --index {} --index-strategy {strategy}", private.url())));
        let from_public = fetched(world.pypi(), "internal", &["9.0"]);
        let found = [from_public, fetched(&private, "internal", &["1.0"])].concat();
        assert_eq!(found, [expected], "{strategy}");
    }
    // With the strategy `unsafe-first-match`, the package comes from the first index that has a fitting version.
    let (world, private) = two_indexes();
    let words = format!("tool internal>=2 --index {} --index-strategy unsafe-first-match", private.url());
    stdout(world.build(&words));
    assert_eq!(fetched(world.pypi(), "internal", &["9.0"]), ["9.0"]);
}

#[test]
fn indexes_are_searched_in_the_order_of_the_command_line() {
    let (world, first) = two_indexes();
    let second = PyPi::new().built(&wheel("internal", "2.0")).serve();
    let both = |one: &PyPiServer, two: &PyPiServer| format!("tool --index a={} --index {}", one.url(), two.url());
    stdout(world.build(&both(&first, &second)));
    assert_eq!((fetched(&first, "internal", &["1.0"]).len(), fetched(&second, "internal", &["2.0"]).len()), (1, 0));
    stdout(world.build(&both(&second, &first)));
    assert_eq!(fetched(&second, "internal", &["2.0"]), ["2.0"]);
}

#[test]
fn a_folder_of_wheels_and_a_page_with_links_are_searched() {
    let world = World::new(archive(), PyPi::new());
    // The name of the folder contains characters that have a special meaning in URLs.
    let folder = world.path("my wheels #1 100%");
    fs_err::create_dir(&folder).unwrap();
    fs_err::write(folder.join(tool().file_name()), tool().requires("linked").build()).unwrap();
    let linked = wheel("linked", "3.0");
    let server = testkit::Server::empty();
    server.set("/linked-3.0-py3-none-any.whl", testkit::Response::ok(linked.build()));
    let page = "<!DOCTYPE html><html><body><a href=\"linked-3.0-py3-none-any.whl\">linked</a></body></html>";
    server.set(
        "/links/",
        testkit::Response::ok(page.replace("linked-3.0", "../linked-3.0")).header("Content-Type", "text/html"),
    );
    let mut command = world.command("tool --no-index");
    command.arg("--find-links").arg(&folder).args(["--find-links", &server.url("/links/")]);
    stdout(command.output().unwrap());
    assert!(world.pypi().server.requests().is_empty(), "{:?}", world.pypi().server.requests());
    assert!(!server.requests_of("/linked-3.0-py3-none-any.whl").is_empty());
    // A relative path is relative to the current folder.
    let mut command = world.command("tool --no-index -o again.tar");
    command.args(["--find-links", "my wheels #1 100%", "--find-links", &server.url("/links/")]);
    stdout(command.output().unwrap());
}

#[test]
fn the_variables_of_uv_are_below_those_of_lath_and_all_are_below_the_command_line() {
    let public = PyPi::new().built(&tool().requires("internal")).built(&wheel("internal", "9.0")).serve();
    let (world, private) = two_indexes();
    let (public_url, private_url) = (public.url(), private.url());
    let corp = format!("corp={private_url}");
    let of_uv = [("UV_DEFAULT_INDEX", public_url.as_str()), ("UV_INDEX", &corp)];
    let output = with_variables(&world, "tool -v", &of_uv);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    stdout(output);
    assert!(said.contains("using the variable `UV_INDEX` of uv"), "{said}");
    assert_eq!(fetched(&private, "internal", &["1.0"]), ["1.0"]);
    assert!(fetched(&public, "internal", &["9.0"]).is_empty());
    // The indexes in lath's own variable replace those in `UV_INDEX`. The indexes on the command line replace those in
    // lath's variable.
    let third = PyPi::new().built(&wheel("internal", "3.0")).serve();
    let third_url = third.url();
    let with_own = [of_uv.as_slice(), &[("LATH_INDEX", &third_url)]].concat();
    stdout(with_variables(&world, "tool", &with_own));
    assert_eq!(fetched(&third, "internal", &["3.0"]), ["3.0"]);
    let fourth = PyPi::new().built(&wheel("internal", "4.0")).serve();
    stdout(with_variables(&world, &format!("tool --index {}", fourth.url()), &with_own));
    assert_eq!(fetched(&fourth, "internal", &["4.0"]), ["4.0"]);
}

#[test]
fn the_variables_of_pip_are_reported_because_they_have_no_effect() {
    let world = World::usual();
    let output = world.build_with("tool", &[("PIP_INDEX_URL", "https://me:p1p-word@h/simple")]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("PIP_"), "an index is set");
    stdout(output);
    // Because of `--offline`, this run sends no request.
    let output = with_variables(&world, "tool --offline", &[("PIP_EXTRA_INDEX_URL", "https://me:p1p-word@h/simple")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("warning: `PIP_EXTRA_INDEX_URL` has no effect: ") && !said.contains("p1p-word"), "{said}");
}

/// Creates a world, and a private index with `internal` that requires a password.
fn protected() -> (World, PyPiServer) {
    let world = World::new(archive(), PyPi::new().built(&tool().requires("internal")));
    let private = PyPi::new().built(&wheel("internal", "1.0")).protected("me", "corp-word").serve();
    (world, private)
}

#[test]
fn the_variables_of_a_named_index_have_its_credentials() {
    let (world, private) = protected();
    let words = format!("tool --index my-corp={}", private.url());
    let of_uv = [("UV_INDEX_MY_CORP_USERNAME", "me"), ("UV_INDEX_MY_CORP_PASSWORD", "corp-word")];
    stdout(world.build_with(&words, &of_uv));
    let of_lath = [
        ("LATH_INDEX_MY_CORP_USERNAME", "me"),
        ("LATH_INDEX_MY_CORP_PASSWORD", "corp-word"),
        ("UV_INDEX_MY_CORP_USERNAME", "other"),
        ("UV_INDEX_MY_CORP_PASSWORD", "other"),
    ];
    stdout(world.build_with(&format!("{words} --cache-dir second"), &of_lath));
    // If a URL and variables contain credentials, those in the variables are used.
    let url = private.url().replace("http://", "http://me:wrong@");
    stdout(world.build_with(&format!("tool --index my-corp={url} --cache-dir third"), &of_lath));
}

/// Writes a program `keyring` that knows the password of `me`, and returns its folder.
fn keyring(world: &World) -> String {
    let folder = world.path("programs");
    fs_err::create_dir(&folder).unwrap();
    let program = "#!/bin/sh\n[ \"$1 $3\" = \"get me\" ] && echo corp-word\n";
    fs_err::write(folder.join("keyring"), program).unwrap();
    fs_err::set_permissions(folder.join("keyring"), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder.display().to_string()
}

#[test]
fn the_program_keyring_has_the_password_only_if_the_user_says_so() {
    let (world, private) = protected();
    let path = keyring(&world);
    let words = format!("tool --index {}", private.url().replace("http://", "http://me@"));
    stdout(world.build_with(&format!("{words} --keyring-provider subprocess"), &[("PATH", &path)]));
    let refused = world.build_with(&format!("{words} --cache-dir second"), &[("PATH", &path)]);
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn a_refusal_names_the_index_and_the_place_of_the_credentials_and_no_password() {
    let (world, private) = protected();
    let url = private.url();
    let as_me = url.replace("http://", "http://me:wr0ng-word@");
    let netrc = world.path("netrc").display().to_string();
    fs_err::write(&netrc, "machine 127.0.0.1 login me password wr0ng-word\n").unwrap();
    let path = keyring(&world);
    fs_err::write(world.path("programs/keyring"), "#!/bin/sh\necho wr0ng-word\n").unwrap();
    let variables = [("LATH_INDEX_CORP_USERNAME", "me"), ("LATH_INDEX_CORP_PASSWORD", "wr0ng-word")];
    let table: [(String, &[(&str, &str)]); 5] = [
        (format!("--index {url}"), &[]),
        (format!("--index {as_me}"), &[]),
        (format!("--index {url}"), &[("NETRC", &netrc)]),
        (format!("--index corp={url}"), &variables),
        (format!("--index {} --keyring-provider subprocess", url.replace("http://", "http://me@")), &[("PATH", &path)]),
    ];
    let mut said = Vec::new();
    for (number, (words, variables)) in table.iter().enumerate() {
        let output = world.build_with(&format!("tool {words} --cache-dir cache{number}"), variables);
        assert_eq!(output.status.code(), Some(1), "{words}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!error.contains("wr0ng-word"), "{error}");
        let host = private.server.url("").replace("http://", "");
        said.push(world.error_in(&error).replace(&host, "PRIVATE").replace(&netrc, "[NETRC]"));
    }
    insta::assert_snapshot!(said.join("\n\n"), @"
    error: cannot resolve `tool` for python 3.13 on linux/amd64
      cause: the index `http://PRIVATE/simple/` answers 401 Unauthorized: there are no credentials for
             `PRIVATE`
      cause: Because tool is not on `http://PRIVATE/simple/` or `[INDEX]/simple/` and the
             request requires tool, the request cannot be met.

    hint: give a name and a password in the URL, `https://NAME:PASSWORD@HOST/`, or in a netrc file; for an index with a name, such as `--index CORP=URL`, also in `LATH_INDEX_CORP_USERNAME` and `LATH_INDEX_CORP_PASSWORD`

    error: cannot resolve `tool` for python 3.13 on linux/amd64
      cause: the index `http://PRIVATE/simple/` answers 401 Unauthorized: the credentials for
             `PRIVATE` came from its URL
      cause: Because tool is not on `http://PRIVATE/simple/` or `[INDEX]/simple/` and the
             request requires tool, the request cannot be met.

    hint: give a name and a password in the URL, `https://NAME:PASSWORD@HOST/`, or in a netrc file; for an index with a name, such as `--index CORP=URL`, also in `LATH_INDEX_CORP_USERNAME` and `LATH_INDEX_CORP_PASSWORD`

    error: cannot resolve `tool` for python 3.13 on linux/amd64
      cause: the index `http://PRIVATE/simple/` answers 401 Unauthorized: the credentials for
             `PRIVATE` came from the netrc file `[DIR]/netrc`
      cause: Because tool is not on `http://PRIVATE/simple/` or `[INDEX]/simple/` and the
             request requires tool, the request cannot be met.

    hint: give a name and a password in the URL, `https://NAME:PASSWORD@HOST/`, or in a netrc file; for an index with a name, such as `--index CORP=URL`, also in `LATH_INDEX_CORP_USERNAME` and `LATH_INDEX_CORP_PASSWORD`

    error: cannot resolve `tool` for python 3.13 on linux/amd64
      cause: the index `http://PRIVATE/simple/` answers 401 Unauthorized: the credentials for
             `PRIVATE` came from `LATH_INDEX_CORP_USERNAME` and `LATH_INDEX_CORP_PASSWORD`
      cause: Because tool is not on `http://PRIVATE/simple/` or `[INDEX]/simple/` and the
             request requires tool, the request cannot be met.

    hint: give a name and a password in the URL, `https://NAME:PASSWORD@HOST/`, or in a netrc file; for an index with a name, such as `--index CORP=URL`, also in `LATH_INDEX_CORP_USERNAME` and `LATH_INDEX_CORP_PASSWORD`

    error: cannot resolve `tool` for python 3.13 on linux/amd64
      cause: the index `http://PRIVATE/simple/` answers 401 Unauthorized: the credentials for
             `PRIVATE` came from the program `keyring`
      cause: Because tool is not on `http://PRIVATE/simple/` or `[INDEX]/simple/` and the
             request requires tool, the request cannot be met.

    hint: give a name and a password in the URL, `https://NAME:PASSWORD@HOST/`, or in a netrc file; for an index with a name, such as `--index CORP=URL`, also in `LATH_INDEX_CORP_USERNAME` and `LATH_INDEX_CORP_PASSWORD`
    ");
}

#[test]
fn an_index_that_is_passed_over_because_it_refuses_is_a_warning() {
    let (world, private) = two_indexes();
    private.server.require_basic("me", "corp-word");
    let output = world.build(&format!("tool --index {} --index-strategy unsafe-best-match", private.url()));
    let said = String::from_utf8_lossy(&output.stderr).replace(&private.server.url(""), "[PRIVATE]");
    let host = private.server.url("").replace("http://", "");
    let warning = said.lines().find(|line| line.starts_with("warning: ")).unwrap_or_default().replace(&host, "PRIVATE");
    insta::assert_snapshot!(warning, @"warning: the index `[PRIVATE]/simple/` answers 401 Unauthorized: there are no credentials for `PRIVATE`");
    stdout(output);
}

#[test]
fn a_download_that_is_refused_after_a_redirect_names_the_other_server() {
    let (world, private) = two_indexes();
    let file = private.file_path("internal-1.0-py3-none-any.whl");
    let files = testkit::Server::empty();
    files.require_basic("me", "f1le-word");
    private.server.set(&file, testkit::Response::redirect(&files.url("/x.whl")));
    let error = world.error(&format!("tool --index {}", private.url()));
    insta::assert_snapshot!(error.replace(&private.server.url(""), "[PRIVATE]"), @"
    exit 1
    error: cannot fetch all wheels and packages
      cause: cannot fetch `[PRIVATE]/files/internal-1.0-py3-none-any.whl`: the server answers 401 Unauthorized; the request was redirected to `127.0.0.1`, and credentials are not sent to another server

    hint: give a name and a password in the URL, `https://NAME:PASSWORD@HOST/`, or in a netrc file; for an index with a name, such as `--index CORP=URL`, also in `LATH_INDEX_CORP_USERNAME` and `LATH_INDEX_CORP_PASSWORD`
    ");
}

#[test]
fn a_dockerfile_has_all_indexes_and_no_password() {
    let (world, private) = protected();
    let links = testkit::Server::empty();
    links.set("/links/", testkit::Response::ok("<html></html>").header("Content-Type", "text/html"));
    let url = private.url().replace("http://", "http://me:corp-word@");
    let words =
        format!("tool --index corp={url} --find-links {} --index-strategy unsafe-best-match", links.url("/links/"));
    let shown = |style: &str| {
        let output = stdout(world.dockerfile(&format!("{words} --style {style}")));
        assert!(!output.contains("corp-word"), "{output}");
        let text = output.replace(&private.server.url(""), "[PRIVATE]").replace(&links.url(""), "[LINKS]");
        let options = ["--index", "--extra-index-url", "--find-links", "--torch-backend"];
        let is_option = |line: &&str| options.iter().any(|option| line.contains(option));
        text.replace(&world.pypi_url(), "[INDEX]")
            .lines()
            .filter(is_option)
            .map(str::trim)
            .collect::<Vec<_>>()
            .join("\n")
    };
    insta::assert_snapshot!(shown("recipe"), @r"
    --index-url [INDEX] \
    --extra-index-url [PRIVATE]/simple/ \
    --find-links [LINKS]/links/ \
    ");
}

#[test]
fn a_build_of_pytorch_comes_only_from_its_own_index() {
    let torch = wheel("torch", "2.0");
    let world = World::new(archive(), PyPi::new().built(&tool().requires("torch")).built(&torch));
    stdout(world.build("tool"));
    // The cache contains the pages of the default index, so a build with this index works offline. The cache does not
    // contain the page of PyTorch's own index, so the next build fails.
    stdout(world.build("tool --offline"));
    world.pypi().server.forget_requests();
    let error = world.error("tool --offline --torch-backend auto");
    insta::assert_snapshot!(error, @"
    exit 1
    error: cannot resolve `tool` for python 3.13 on linux/amd64
      cause: Because torch is not in the cache, and this build is offline and all versions of tool depend on
             torch, all versions of tool cannot be used.
             And because the request requires tool, the request cannot be met.
    ");
    insta::assert_snapshot!(world.errors(&["tool --torch-backend gpu", "tool --torch-backend cu999"]), @"
    $ tool --torch-backend gpu
    exit 2
    error: cannot read the backend of PyTorch `gpu`: write `cpu`, `cu128` for CUDA 12.8, `rocm6.4`, `xpu`, or `auto`, which means `cpu`

    $ tool --torch-backend cu999
    exit 1
    error: cannot use the backend `cu999` of PyTorch
      cause: unknown variant `cu999`, expected one of `auto`, `cpu`, `cu132`, `cu130`, `cu129`, `cu128`, `cu126`, `cu125`, `cu124`, `cu123`, `cu122`, `cu121`, `cu120`, `cu118`, `cu117`, `cu116`, `cu115`, `cu114`, `cu113`, `cu112`, `cu111`, `cu110`, `cu102`, `cu101`, `cu100`, `cu92`, `cu91`, `cu90`, `cu80`, `rocm7.2`, `rocm7.1`, `rocm7.0`, `rocm6.4`, `rocm6.3`, `rocm6.2.4`, `rocm6.2`, `rocm6.1`, `rocm6.0`, `rocm5.7`, `rocm5.6`, `rocm5.5`, `rocm5.4.2`, `rocm5.4`, `rocm5.3`, `rocm5.2`, `rocm5.1.1`, `rocm4.2`, `rocm4.1`, `rocm4.0.1`, `xpu`
    ");
    assert!(world.pypi().server.requests().is_empty());
}
