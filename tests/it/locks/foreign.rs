//! Locks that other tools wrote.

use testkit::oci;

use super::{assert_same, world};
use crate::world::{World, stdout};

/// Writes a lock like uv does, with the wheel `tool` at `url`.
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
    // The lock that lath writes has both halves.
    stdout(world.lock("pylock.toml -o pylock.image.toml"));
    stdout(world.build("pylock.image.toml -o own.tar -t image --cache-dir other"));
    assert_same(&world, "plain.tar", "own.tar");
    let said = world.error("pylock.toml --locked");
    assert!(said.contains("it has no `[tool.lath]` table, because lath did not write it"), "{said}");
    let output = world.lock("tool");
    let said = world.error_in(&String::from_utf8(output.stderr).unwrap());
    assert!(said.starts_with("error: cannot replace `pylock.toml`: lath did not write it"), "{said}");
}

/// Returns locks with files that lath cannot use. Each lock has a name.
fn unusable(world: &World) -> [(&'static str, String); 12] {
    let url = world.pypi.server.url(&world.pypi.file_path("tool-1.0-py3-none-any.whl"));
    let zeros = "0".repeat(64);
    [
        ("unfit", tool_with(&wheels(world, "https://nowhere.example/tool-1.0-cp39-cp39-win_amd64.whl", ""))),
        ("sdist", tool_with("sdist = { url = \"https://h/tool-1.0.tar.gz\", hashes = { md5 = \"00\" } }")),
        ("archive", tool_with("archive = { path = \"tool-1.0.tar.gz\", hashes = { md5 = \"00\" } }")),
        ("folder", tool_with("directory = { path = \"nowhere\" }")),
        ("commit", tool_with("vcs = { type = \"git\", url = \"file:///nowhere\", commit-id = \"main\" }")),
        ("kind", tool_with("vcs = { type = \"hg\", url = \"https://h/x\", commit-id = \"00\" }")),
        ("empty", tool_with("")),
        ("md5", tool_with(&format!("wheels = [{{ url = \"{url}\", hashes = {{ md5 = \"00\" }} }}]"))),
        ("digest", tool_with(&format!("wheels = [{{ url = \"{url}\", hashes = {{ sha256 = \"{zeros}\" }} }}]"))),
        ("sha512", tool_with(&format!("wheels = [{{ url = \"{url}\", hashes = {{ sha512 = \"{zeros}\" }} }}]"))),
        ("size", tool_with(&wheels(world, &url, ", size = 7"))),
        ("scheme", tool_with(&wheels(world, "ftp://h/tool-1.0-py3-none-any.whl", ""))),
    ]
}

#[test]
fn a_foreign_lock_without_a_usable_file_is_refused() {
    let world = world();
    let table = unusable(&world);
    insta::assert_snapshot!(refusals(&world, &table), @"
    $ pylock.unfit.toml -t image --cache-dir c-unfit
    exit 1
    error: cannot use the lock `pylock.unfit.toml` for python 3.13 on linux/amd64
      cause: no wheel of `tool` is for this platform: it has `tool-1.0-cp39-cp39-win_amd64.whl`

    $ pylock.sdist.toml -t image --cache-dir c-sdist
    exit 1
    error: cannot use the lock `pylock.sdist.toml` for python 3.13 on linux/amd64
      cause: it has no sha256, sha384 or sha512 of `tool-1.0.tar.gz`

    $ pylock.archive.toml -t image --cache-dir c-archive
    exit 1
    error: cannot use the lock `pylock.archive.toml` for python 3.13 on linux/amd64
      cause: it has no sha256, sha384 or sha512 of `tool-1.0.tar.gz`

    $ pylock.folder.toml -t image --cache-dir c-folder
    exit 1
    error: cannot build tool 1.0 from source
      cause: cannot read `[DIR]/nowhere`
      cause: [DIR]/nowhere: IO error for operation on [DIR]/nowhere: No such file or directory (os error 2)

    $ pylock.commit.toml -t image --cache-dir c-commit
    exit 1
    error: cannot fetch the repository `file:///nowhere`
      cause: Object ID must be exactly 40 hex characters

    $ pylock.kind.toml -t image --cache-dir c-kind
    exit 1
    error: cannot use the lock `pylock.kind.toml` for python 3.13 on linux/amd64
      cause: `tool` comes from a repository of the kind `hg`, and lath only reads those of git

    $ pylock.empty.toml -t image --cache-dir c-empty
    exit 1
    error: cannot use the lock `pylock.empty.toml` for python 3.13 on linux/amd64
      cause: `tool` has neither wheels nor another source

    $ pylock.md5.toml -t image --cache-dir c-md5
    exit 1
    error: cannot use the lock `pylock.md5.toml` for python 3.13 on linux/amd64
      cause: it has no sha256, sha384 or sha512 of `tool-1.0-py3-none-any.whl`

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

#[test]
fn a_foreign_lock_for_other_environments_is_refused() {
    let world = world();
    let url = world.pypi.server.url(&world.pypi.file_path("tool-1.0-py3-none-any.whl"));
    let tool = |more: &str| tool_with(&format!("{more}{}", wheels(&world, &url, "")));
    let table = [
        ("twice", tool("") + "[[packages]]\nname = \"Tool\"\nversion = \"2.0\"\n"),
        ("python", format!("requires-python = \"<3.9\"\n{}", tool(""))),
        ("environment", format!("environments = [\"sys_platform == 'win32'\"]\n{}", tool(""))),
        ("marker", tool("marker = \"what is it\"\n")),
        ("package", tool("requires-python = \">=3.14\"\n")),
    ];
    insta::assert_snapshot!(refusals(&world, &table), @"
    $ pylock.twice.toml -t image --cache-dir c-twice
    exit 1
    error: cannot use the lock `pylock.twice.toml` for python 3.13 on linux/amd64
      cause: it has `tool` twice for this platform: 1.0 and 2.0

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

    $ pylock.package.toml -t image --cache-dir c-package
    exit 1
    error: cannot use the lock `pylock.package.toml` for python 3.13 on linux/amd64
      cause: it is for python `>=3.14`
    ");
}

/// Returns a lock with the package `tool`.
fn tool_with(more: &str) -> String {
    let head = "lock-version = \"1.0\"\ncreated-by = \"x\"\n";
    format!("{head}[[packages]]\nname = \"tool\"\nversion = \"1.0\"\n{more}\n")
}

/// Returns the errors of builds from these locks.
fn refusals(world: &World, locks: &[(&str, String)]) -> String {
    let words = locks.iter().map(|(name, text)| {
        fs_err::write(world.path(&format!("pylock.{name}.toml")), text).unwrap();
        format!("pylock.{name}.toml -t image --cache-dir c-{name}")
    });
    let words: Vec<String> = words.collect();
    world.errors(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn extras_and_groups_of_a_foreign_lock_are_chosen() {
    let world = world();
    let url = world.pypi.server.url(&world.pypi.file_path("tool-1.0-py3-none-any.whl"));
    let lib = world.pypi.server.url(&world.pypi.file_path("lib-1.5-py3-none-any.whl"));
    let bytes = world.pypi.server.get(&world.pypi.file_path("lib-1.5-py3-none-any.whl")).unwrap().body;
    let sha256 = testkit::digest::sha256_hex(&bytes);
    let write = |marker: &str| {
        let rest = format!(
            "[[packages]]\nname = \"lib\"\nversion = \"1.5\"\nmarker = \"{marker}\"\n\
             wheels = [{{ url = \"{lib}\", hashes = {{ sha256 = \"{sha256}\" }} }}]\n"
        );
        foreign(&world, &url, &rest);
        let text = fs_err::read_to_string(world.path("pylock.toml")).unwrap();
        let parts = "extras = [\"Docs\"]\ndependency-groups = [\"main\", \"test\"]\ndefault-groups = [\"main\"]\n";
        fs_err::write(world.path("pylock.toml"), text.replacen("created-by", &format!("{parts}created-by"), 1))
            .unwrap();
    };
    let has_lib = |words: &str| {
        stdout(world.build(&format!("pylock.toml -o x.tar -t image -c tool {words}")));
        let image = oci::check(&world.path("x.tar")).unwrap();
        image.platforms[0].listing().contains("/lib/__init__.py")
    };
    write("'docs' in extras");
    assert_eq!(["", "--extra docs", "--all-extras"].map(has_lib), [false, true, true]);
    write("'test' in dependency_groups");
    assert_eq!(["", "--group test"].map(has_lib), [false, true]);
    write("'main' in dependency_groups");
    assert!(has_lib(""));
    let lines = [
        "pylock.toml -t image --extra other",
        "pylock.toml -t image --group other",
        "pylock.toml -t image --package x",
    ];
    insta::assert_snapshot!(world.errors(&lines), @"
    $ pylock.toml -t image --extra other
    exit 1
    error: cannot use the lock `pylock.toml` for python 3.13 on linux/amd64
      cause: it has no extra `other`: it has `Docs`

    $ pylock.toml -t image --group other
    exit 1
    error: cannot use the lock `pylock.toml` for python 3.13 on linux/amd64
      cause: it has no group `other`: it has `main`, `test`

    $ pylock.toml -t image --package x
    exit 2
    error: cannot use `--package` without a project: name its folder, such as `lath build . --package ...`
    ");
    // lath's own lock contains the extras that the user chose.
    write("'docs' in extras");
    stdout(world.lock("pylock.toml --extra docs -o pylock.image.toml"));
    let text = fs_err::read_to_string(world.path("pylock.image.toml")).unwrap();
    assert!(text.contains("requirements = [\"pylock.toml --extra docs --hash=sha256:"), "{text}");
}
