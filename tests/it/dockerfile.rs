//! `lath dockerfile`: its output, and engines that work, are missing, fail or crash.

mod inputs;

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use fs_err as fs;
use testkit::{PyPi, WheelBuilder};

use crate::world::{World, archive, tool};

/// Returns exit code, stdout and stderr.
fn outcome(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Returns the Dockerfile. Parts that differ from run to run are replaced.
fn text(world: &World, words: &str) -> String {
    let (code, stdout, stderr) = outcome(world.dockerfile(words));
    assert_eq!(code, 0, "{stderr}");
    let mut text = stdout.replace(&world.pypi_url(), "[INDEX]");
    let mut from = 0;
    while let Some(at) = text[from..].find("sha256:") {
        from += at + "sha256:".len();
        let end = text[from..].find(|c: char| !c.is_ascii_hexdigit()).map_or(text.len(), |length| from + length);
        if end - from == 64 {
            text.replace_range(from..end, "[HASH]");
        }
    }
    text
}

/// Adds a shell script to the directory of engines, so that lath finds it as an engine.
fn engine(world: &World, name: &str, script: &str) {
    fs::create_dir_all(world.path("engines")).unwrap();
    let path = world.path("engines").join(name);
    fs::write(&path, format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")).unwrap();
    fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A fake Docker that accepts every command and writes the arguments to a file.
const DOCKER: &str = r#"echo "$@" >> asked
case "$1 $2" in
  "version "*) echo 28.2.2 20.10.24 amd64 ;;
  "buildx version") exit 1 ;;
  "build "*) for folder in "$@"; do :; done; cp -r "$folder" built; echo "Step 1/9 : FROM"; echo "a warning" >&2 ;;
  "image inspect") case "$4" in *Size*) echo 123400000 ;; *) echo "debian@sha256:0123" ;; esac ;;
  "run "*) exit 0 ;;
  *) exit 9 ;;
esac"#;

#[test]
fn a_dockerfile_needs_the_wheels_but_no_package() {
    let world = World::usual();
    text(&world, "tool --with netbase");
    let of = |ending: &str, paths: Vec<String>| paths.iter().filter(|path| path.ends_with(ending)).count();
    let paths = |server: &testkit::Server| server.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(of(".whl", paths(&world.pypi.server)), 1);
    assert_eq!(of(".deb", paths(&world.debian.server)), 0);
    assert!(world.build("tool --with netbase").status.success());
    assert_ne!(of(".deb", paths(&world.debian.server)), 0);
}

#[test]
fn the_recipe_installs_in_one_stage_and_ships_two_folders_on_a_clean_base() {
    let world = World::usual();
    insta::assert_snapshot!(text(&world, "tool --with netbase --env GREETING=hello"), @r#"
    # tool 1.0, with python 3.13 on linux/amd64.
    # Build it: docker build -t tool .

    # Stage one installs. Only the folders that stage two copies are in the final image.
    FROM debian:trixie AS build
    # The folder in which `pip install --user` puts executables (bin) and libraries (lib).
    ENV PYTHONUSERBASE=/tmp/theuserbase
    # Python and pip of the release, and the packages they recommend: compilers, in case something must be built.
    RUN apt-get update \
        && DEBIAN_FRONTEND=noninteractive apt-get install -y python3 python3-pip
    # Every distribution at the version that lath resolved, ignoring versions that Debian packages installed.
    # The distribution marks its Python as externally managed (PEP 668). Overriding that is safe in a build stage.
    RUN /usr/bin/python3 -m pip install --user --no-cache-dir --ignore-installed --no-deps \
          --break-system-packages \
          --index-url [INDEX] \
          --trusted-host 127.0.0.1 \
          tool==1.0

    # Stage two starts from a clean base, without pip and compilers.
    FROM debian:trixie
    ENV PYTHONUSERBASE=/tmp/theuserbase
    # The program and its dependencies from stage one.
    COPY --from=build ${PYTHONUSERBASE}/bin/ ${PYTHONUSERBASE}/bin/
    COPY --from=build ${PYTHONUSERBASE}/lib/ ${PYTHONUSERBASE}/lib/
    # The interpreter. The standard library, which most programs need, is among the packages that apt recommends.
    # Requested, or needed by libraries of wheels: netbase.
    RUN apt-get update \
        && DEBIAN_FRONTEND=noninteractive apt-get install -y python3-minimal netbase
    ENV GREETING="hello"
    # Commands of the user base can be called by name.
    ENV PATH=${PYTHONUSERBASE}/bin:${PATH}
    # The command is one line for a shell: `docker run IMAGE 'NAME --version'`.
    ENTRYPOINT ["/bin/bash", "-c"]
    "#);
}

#[test]
fn the_fat_image_has_one_stage() {
    let world = World::usual();
    insta::assert_snapshot!(text(&world, "tool --fat --from debian:13-slim"), @r#"
    # tool 1.0, with python 3.13 on linux/amd64.
    # Build it: docker build -t tool .

    # One stage: the tools that install are in the image as well.
    FROM debian:13-slim
    ENV PYTHONUSERBASE=/tmp/theuserbase
    # Python and pip of the release, and the packages they recommend: compilers, in case something must be built.
    RUN apt-get update \
        && DEBIAN_FRONTEND=noninteractive apt-get install -y python3 python3-pip
    # Every distribution at the version that lath resolved, ignoring versions that Debian packages installed.
    # The distribution marks its Python as externally managed (PEP 668). Overriding that is safe in a build stage.
    RUN /usr/bin/python3 -m pip install --user --no-cache-dir --ignore-installed --no-deps \
          --break-system-packages \
          --index-url [INDEX] \
          --trusted-host 127.0.0.1 \
          tool==1.0
    # Commands of the user base can be called by name.
    ENV PATH=${PYTHONUSERBASE}/bin:${PATH}
    # The command is one line for a shell: `docker run IMAGE 'NAME --version'`.
    ENTRYPOINT ["/bin/bash", "-c"]
    "#);
}

#[test]
fn lean_is_the_recipe_with_care() {
    let world = World::usual();
    insta::assert_snapshot!(text(&world, "tool --style lean --from debian:trixie@sha256:00ff"), @r#"
    # tool 1.0, with python 3.13 on linux/amd64.
    # Build it: docker build -t tool .
    # Its mounts need BuildKit (Docker 23 has it), Podman or Buildah.

    # Stage one installs. Only the user base is copied from it.
    FROM debian:trixie@sha256:00ff AS build
    ENV PYTHONUSERBASE=/opt/app
    # pip, without the packages that apt recommends, because nothing has to be compiled.
    RUN --mount=type=cache,id=debian-trixie-build-apt-lists,target=/var/lib/apt/lists,sharing=locked \
        --mount=type=cache,id=debian-trixie-build-apt-archives,target=/var/cache/apt,sharing=locked \
        apt-get update \
        && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-pip
    # Every distribution with the version and the hash that lath resolved.
    RUN printf '%s\n' \
          'tool==1.0 --hash=sha256:[HASH]' \
          > /tmp/requirements.txt
    # Install into the user base, and ignore versions that Debian packages already installed.
    # The distribution marks its Python as externally managed (PEP 668). Overriding that is safe in a build stage.
    RUN --mount=type=cache,target=/root/.cache/pip \
        /usr/bin/python3 -m pip install --user --ignore-installed --no-deps --require-hashes \
          --only-binary :all: --break-system-packages \
          --index-url [INDEX] \
          --trusted-host 127.0.0.1 -r /tmp/requirements.txt

    # Stage two starts from a clean base.
    FROM debian:trixie@sha256:00ff
    # The interpreter with its standard library, certificates, time zones, and packages that wheels need.
    RUN --mount=type=cache,id=debian-trixie-ship-apt-lists,target=/var/lib/apt/lists,sharing=locked \
        --mount=type=cache,id=debian-trixie-ship-apt-archives,target=/var/cache/apt,sharing=locked \
        apt-get update \
        && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-minimal \
          ca-certificates libpython3.13-stdlib media-types netbase tzdata \
        && rm -rf /var/log/apt /var/log/dpkg.log /var/log/alternatives.log /var/cache/debconf/*-old \
          /var/cache/ldconfig/aux-cache
    # The program does not run as root. Its user has a name and a home directory.
    RUN groupadd --non-unique --gid 65532 app \
        && useradd --non-unique --no-log-init --uid 65532 --gid 65532 --create-home --shell /usr/sbin/nologin app
    # The program and its dependencies from stage one.
    COPY --from=build /opt/app /opt/app
    # Python and the shell find the user base by these variables.
    ENV PYTHONUSERBASE=/opt/app PATH=/opt/app/bin:${PATH} LANG=C.UTF-8
    # Compile the modules that start-up imports, because the program itself cannot write there.
    # A script of an optional extra may fail.
    RUN /usr/bin/python3 -c 'import tool' || true
    # Labels for registries and scanners.
    LABEL org.opencontainers.image.base.name="debian:trixie"
    LABEL org.opencontainers.image.base.digest="sha256:00ff"
    LABEL org.opencontainers.image.title="tool"
    LABEL org.opencontainers.image.version="1.0"
    USER 65532:65532
    # The program runs without a shell, so it gets arguments and signals directly.
    ENTRYPOINT ["/opt/app/bin/tool"]
    "#);
}

/// A distribution may have a script that needs an optional distribution. So the import of one module may fail. The
/// other modules must be compiled nevertheless.
#[test]
fn a_module_that_cannot_be_imported_does_not_break_the_build() {
    let tool = tool().script("optional", "missing:main");
    let world = World::new(archive(), PyPi::new().built(&tool));
    let text = text(&world, "tool -c tool --style lean");
    let start = text.find("RUN /usr/bin/python3 -c 'import").unwrap();
    let line = text[start..].split("\n#").next().unwrap().trim_start_matches("RUN ");
    // This shell function replaces the interpreter. It fails for the module `missing`, and prints the code for the
    // other modules.
    let python = "python() { case \"$2\" in *missing*) return 1;; *) echo \"$2\";; esac; }";
    let script = format!("{python}\n{}", line.replace("/usr/bin/python3", "python"));
    let output = std::process::Command::new("sh").args(["-ec", &script]).output().unwrap();
    assert_eq!(outcome(output), (0, "import tool\n".to_owned(), String::new()));
}

#[test]
fn uv_comes_from_the_index_and_installs_into_a_prefix() {
    let uv = WheelBuilder::new("uv", "0.9.0").file("uv/__init__.py", "").script("uv", "uv:main");
    let world = World::new(archive(), PyPi::new().built(&tool()).built(&uv));
    let text = text(&world, "tool --style uv");
    for expected in [
        "      'uv==0.9.0 --hash=sha256:[HASH]' \\\n      > /tmp/uv.txt",
        "      'tool==1.0 --hash=sha256:[HASH]' \\\n      > /tmp/requirements.txt",
        "uv pip install --prefix /opt/app --python /usr/bin/python3 --break-system-packages \\\n",
        "--mount=type=cache,target=/root/.cache/uv",
        "ENTRYPOINT [\"/opt/app/bin/tool\"]",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing in:\n{text}");
    }
}

#[test]
fn a_classic_builder_gets_no_mounts_and_no_style_has_heredocs_or_a_frontend() {
    let uv = WheelBuilder::new("uv", "0.9.0").file("uv/__init__.py", "");
    let world = World::new(archive(), PyPi::new().built(&tool()).built(&uv));
    fs::write(world.path("ca.pem"), "certificates").unwrap();
    for style in ["--style recipe", "--style lean", "--style uv", "--fat"] {
        let plain = text(&world, &format!("tool {style} --ca ca.pem --builder classic"));
        assert!(!plain.contains("--mount"), "{plain}");
        assert!(plain.contains("COPY ca.crt /ca.crt"), "{plain}");
        // The certificates are in a stage that is not part of the image, because another stage begins after the `COPY`.
        let after = plain.split("COPY ca.crt").nth(1).unwrap();
        assert!(after.contains("\nFROM ") && !after.split("\nFROM ").nth(1).unwrap().contains("ca.crt "), "{plain}");
        let secret = text(&world, &format!("tool {style} --ca ca.pem --builder buildkit"));
        assert!(secret.contains("--mount=type=secret,id=ca") && !secret.contains("COPY ca.crt"), "{secret}");
        for text in [plain, secret] {
            assert!(!text.contains("<<") && !text.contains("syntax="), "{text}");
        }
    }
}

#[test]
fn the_same_lock_has_the_same_text_and_a_file_is_written_in_one_piece() {
    let world = World::usual();
    let first = text(&world, "tool");
    let (code, stdout, stderr) = outcome(world.dockerfile("tool --cache-dir other -o Dockerfile"));
    assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
    let written = fs::read_to_string(world.path("Dockerfile")).unwrap();
    assert_eq!(written.replace(&world.pypi_url(), "[INDEX]"), first);
    let (code, _, stderr) = outcome(world.dockerfile("tool -o nowhere/Dockerfile"));
    assert!(code == 1 && stderr.contains("cannot write `nowhere/Dockerfile`"), "{stderr}");
}

#[test]
fn a_password_of_an_index_is_not_written() {
    let world = World::usual();
    let index = world.pypi_url().replace("http://", "http://me:secret@");
    let (code, stdout, stderr) = outcome(world.dockerfile(&format!("tool --default-index {index}")));
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("--index-url") && !stdout.contains("secret"), "{stdout}");
}

#[test]
fn what_cannot_be_a_dockerfile_is_refused_by_name() {
    let world = World::usual();
    let table = [
        (2, "tool --from alpine:3.22"),
        (2, "tool --from team/base:7"),
        (1, "tool --from ubuntu:22.04 --python 3.13"),
        (2, "tool --ca nothing.pem"),
        (2, "tool --load"),
        (2, "tool -o a -o b"),
        (2, "tool --engine docker"),
        (2, "tool --build --platform linux/arm64"),
        (1, "tool -c other"),
        (1, "tool --copy /etc/hosts:/x"),
    ];
    let errors = table.map(|(expected, words)| {
        let (code, stdout, stderr) = outcome(world.dockerfile(words));
        assert_eq!((code, stdout.as_str()), (expected, ""), "{words}");
        // clap adds the usage after the error. The usage is cut off.
        format!("$ {words}\n{}\n", world.error_in(&stderr).split("\n\nUsage: ").next().unwrap())
    });
    insta::assert_snapshot!(errors.join("\n"), @"
    $ tool --from alpine:3.22
    error: cannot install with apt on `alpine:3.22`: alpine has no apt; use an image of Debian or Ubuntu, such as `debian:trixie`

    hint: `--base alpine:3.22` reads the image, and uses the Python in it if there is one

    $ tool --from team/base:7
    error: cannot find out the release of `team/base:7`: name it with `--release`, such as `--release debian:trixie`

    hint: `--base team/base:7` reads the image, and uses the Python in it if there is one

    $ tool --from ubuntu:22.04 --python 3.13
    error: cannot install python 3.13 on `ubuntu:22.04`: its `python3` has version 3.10

    hint: use `--from debian:trixie`, which has it

    $ tool --ca nothing.pem
    error: cannot use the certificates `nothing.pem`: there is no such file

    $ tool --load
    error: unexpected argument '--load' found

      tip: `--load` is an option of `lath build`

    For more information, try '--help'.

    $ tool -o a -o b
    error: the argument '--output <FILE>' cannot be used multiple times

    $ tool --engine docker
    error: the following required arguments were not provided:
      --build

    $ tool --build --platform linux/arm64
    error: cannot build for several platforms with an engine: choose one with `--platform`

    $ tool -c other
    error: cannot run `other`: no distribution of the image installs it; it has `tool`

    hint: choose one of them with `-c NAME`

    $ tool --copy /etc/hosts:/x
    error: cannot copy `/etc/hosts` in a Dockerfile: the path must be relative and inside the folder that is built
    ");
}

#[test]
fn an_engine_builds_checks_and_tells_the_size() {
    let world = World::usual();
    engine(&world, "docker", DOCKER);
    fs::write(world.path("ca.pem"), "certificates").unwrap();
    fs::write(world.path("notes"), "notes").unwrap();
    let words = "tool --style lean --build -t mine:1 --ca ca.pem --copy notes:/srv/notes --check true -o Dockerfile";
    let (code, stdout, stderr) = outcome(world.dockerfile(words));
    assert_eq!((code, stdout.as_str()), (0, "mine:1\n"), "{stderr}");
    for expected in
        ["Step 1/9 : FROM", "a warning", "mine:1: 123.4 MB unpacked, built with docker", "tool --version, true"]
    {
        assert!(stderr.contains(expected), "{expected:?} is missing in:\n{stderr}");
    }
    let text = fs::read_to_string(world.path("Dockerfile")).unwrap();
    assert!(!text.contains("--mount") && text.contains("FROM debian:trixie@sha256:0123\n"), "{text}");
    assert_eq!(fs::read_to_string(world.path("built/Dockerfile")).unwrap(), text);
    assert_eq!(fs::read_to_string(world.path("built/ca.crt")).unwrap(), "certificates");
    assert_eq!(fs::read_to_string(world.path("built/notes")).unwrap(), "notes");
    let asked = fs::read_to_string(world.path("asked")).unwrap();
    assert!(asked.contains("run --rm --network none mine:1 --version\n"), "{asked}");
    assert!(asked.contains("run --rm --network none --entrypoint /bin/sh mine:1 -c true\n"), "{asked}");
}

#[test]
fn an_engine_gets_a_copy_of_the_files_that_absolute_paths_name() {
    let world = World::usual();
    engine(&world, "docker", DOCKER);
    fs::create_dir(world.path("shop")).unwrap();
    let script = "# /// script\n# dependencies = ['tool']\n# ///\n";
    let files = [("notes", "notes"), ("shop/app.py", script), ("shop/requirements.txt", "tool\n")];
    files.iter().for_each(|(path, text)| fs::write(world.path(path), text).unwrap());
    let (notes, shop) = (world.path("notes").display().to_string(), world.path("shop").display().to_string());
    let words = format!("{shop} --build -t mine --copy {notes}:/srv/notes -- python app.py");
    let (code, stdout, stderr) = outcome(world.dockerfile(&words));
    assert_eq!((code, stdout.as_str()), (0, "mine\n"), "{stderr}");
    for (path, text) in files {
        assert_eq!(fs::read_to_string(world.path(path)).unwrap(), text, "{path}");
        assert_eq!(fs::read_to_string(world.path("built").join(path)).unwrap(), text, "{path}");
    }
    // The same is true for a script and for links.
    fs::os::unix::fs::symlink(world.path("notes"), world.path("link")).unwrap();
    let link = world.path("link").display().to_string();
    let words = format!("{shop}/app.py --build -t mine --copy {link}:/srv/link --copy {notes}:/srv/notes");
    let (code, _, stderr) = outcome(world.dockerfile(&words));
    assert_eq!(code, 0, "{stderr}");
    for (path, text) in files {
        assert_eq!(fs::read_to_string(world.path(path)).unwrap(), text, "{path}");
    }
}

#[test]
fn an_engine_on_another_platform_is_told_the_platform_of_the_image() {
    let world = World::usual();
    let asked = || fs::read_to_string(world.path("asked")).unwrap();
    engine(&world, "docker", &DOCKER.replace("20.10.24 amd64", "20.10.24 arm64"));
    let (code, _, stderr) = outcome(world.dockerfile("tool --style lean --build"));
    assert_eq!(code, 0, "{stderr}");
    assert!(asked().contains("build --platform linux/amd64 --tag tool "), "{}", asked());
    assert!(asked().contains("run --rm --network none --platform linux/amd64 tool --version\n"), "{}", asked());
    // On its own platform, an engine needs no option.
    fs::remove_file(world.path("asked")).unwrap();
    engine(&world, "docker", DOCKER);
    assert_eq!(outcome(world.dockerfile("tool --style lean --build")).0, 0);
    assert!(asked().contains("build --tag tool ") && !asked().contains("--platform"), "{}", asked());
}

#[test]
fn no_engine_is_told_with_what_was_tried() {
    let world = World::usual();
    engine(&world, "podman", "echo 'cannot reach anything' >&2; exit 125");
    let (code, stdout, stderr) = outcome(world.dockerfile("tool --build"));
    assert_eq!((code, stdout.as_str()), (1, ""));
    insta::assert_snapshot!(world.error_in(&stderr), @"
    error: cannot find an engine: `docker` is not installed; `podman` does not work: cannot reach anything; `buildah` is not installed

    hint: start Docker, or install podman or buildah; `lath build` and `lath run` do not need an engine
    ");
    // lath reports this error before it resolves anything.
    assert!(!stderr.contains("resolving"), "{stderr}");
}

#[test]
fn an_engine_without_buildkit_is_not_given_its_mounts() {
    let world = World::usual();
    engine(&world, "docker", DOCKER);
    let (code, _, stderr) = outcome(world.dockerfile("tool --style lean --build --builder buildkit"));
    assert_eq!(code, 1);
    insta::assert_snapshot!(world.error_in(&stderr), @"
    error: cannot build with the mounts of BuildKit: `docker` has only the classic builder on this machine

    hint: install Docker's plugin `buildx`, or leave out `--builder buildkit`
    ");
    // An older client of Docker contains BuildKit, so it supports the mounts.
    engine(&world, "docker", &DOCKER.replace("28.2.2 20.10.24", "20.10.24 20.10.24"));
    let (code, _, stderr) = outcome(world.dockerfile("tool --style lean --build -o Dockerfile"));
    assert_eq!(code, 0, "{stderr}");
    assert!(fs::read_to_string(world.path("Dockerfile")).unwrap().contains("--mount=type=cache"));
}

#[test]
fn a_failed_build_and_an_engine_that_dies_are_told_apart() {
    let world = World::usual();
    let fails = DOCKER.replace("echo \"a warning\" >&2", "echo '/bin/sh: 1: apt-get: not found' >&2; exit 127");
    engine(&world, "docker", &fails);
    let (code, stdout, stderr) = outcome(world.dockerfile("tool --build"));
    assert_eq!((code, stdout.as_str()), (1, ""));
    // The engine writes to stdout and stderr, and their lines can arrive in any order. So the line on stdout is
    // removed.
    let error = world.error_in(&stderr).replace("\n       Step 1/9 : FROM", "");
    insta::assert_snapshot!(error, @"
    error: cannot build `tool`: `docker build` ended with exit code 127
           /bin/sh: 1: apt-get: not found

    hint: the base image has no apt: use an image of Debian or Ubuntu with `--from`
    ");
    let dies = DOCKER.replace("echo 28.2.2 20.10.24", "[ ! -e dead ] && echo 28.2.2 20.10.24");
    let dies = dies.replace("echo \"a warning\" >&2", "touch dead; kill -9 $$");
    engine(&world, "docker", &dies);
    let (code, _, stderr) = outcome(world.dockerfile("tool --build"));
    assert_eq!(code, 1);
    insta::assert_snapshot!(world.error_in(&stderr), @"
    error: cannot build `tool`: the engine does not answer any more, `docker build` was killed by a signal
           Step 1/9 : FROM

    hint: check whether the engine is running, then build again: finished steps are in its cache
    ");
}

#[test]
fn an_image_that_fails_its_check_has_exit_code_3() {
    let world = World::usual();
    engine(&world, "docker", &DOCKER.replace("\"run \"*) exit 0", "\"run \"*) echo 'no module' >&2; exit 1"));
    let (code, stdout, stderr) = outcome(world.dockerfile("tool --build"));
    assert_eq!((code, stdout.as_str()), (3, ""));
    insta::assert_snapshot!(world.error_in(&stderr), @"
    error: cannot prove that the image works: the check `tool --version` ended with exit code 1
           no module
    ");
}

#[test]
fn the_error_of_a_build_from_source_is_returned() {
    // The archive of the source is broken, so pip could not build it either.
    let world = World::new(archive(), PyPi::new().sdist("oldie-1.0.tar.gz", b"source"));
    for words in ["oldie -c oldie --build-with libpq-dev", "nothing-like-it"] {
        let (code, stdout, stderr) = outcome(world.dockerfile(words));
        let name = words.split(' ').next().unwrap();
        assert!((code, stdout.as_str()) == (1, "") && stderr.contains(name), "{stderr}");
    }
}

/// A fake Buildah whose containers have an entry point.
const BUILDAH: &str = r#"echo "$@" >> asked
case "$1" in
  --version) echo buildah version 1.28.2 ;;
  build) echo "STEP 1/9: FROM" ;;
  from) echo working-container ;;
  inspect) printf '{\n "OCIv1": {"config": {"Entrypoint": ["/opt/app/bin/tool"]}}\n}\n' ;;
  images) echo 181 MB ;;
  run | rm) exit 0 ;;
  *) exit 9 ;;
esac"#;

#[test]
fn buildah_runs_the_entry_point_of_the_image() {
    let world = World::usual();
    engine(&world, "buildah", BUILDAH);
    let (code, stdout, stderr) = outcome(world.dockerfile("tool --style lean --build"));
    assert_eq!((code, stdout.as_str()), (0, "tool\n"), "{stderr}");
    assert!(stderr.contains("tool: 181.0 MB unpacked, built with buildah"), "{stderr}");
    let asked = fs::read_to_string(world.path("asked")).unwrap();
    assert!(asked.contains("run working-container -- /opt/app/bin/tool --version\nrm working-container\n"), "{asked}");
}

#[test]
fn a_user_base_is_the_typed_one_in_every_style_also_if_it_is_the_default_of_another() {
    let world = World::usual();
    let recipe = text(&world, "tool --user-base /opt/app");
    assert!(recipe.contains("ENV PYTHONUSERBASE=/opt/app\n") && !recipe.contains("/tmp/theuserbase"), "{recipe}");
    assert!(text(&world, "tool").contains("ENV PYTHONUSERBASE=/tmp/theuserbase\n"));
}

#[test]
fn the_recipe_and_the_fat_image_run_the_program_with_its_user_and_its_arguments() {
    let world = World::usual();
    for style in ["--style recipe", "--fat"] {
        let text = text(&world, &format!("tool {style} --user 1000:1001 --volume /data --cmd serve --cmd=--name=a$b"));
        for expected in [
            "useradd --non-unique --no-log-init --uid 1000 --gid 1001 --create-home",
            "RUN install -d -o 1000 -g 1001 /data\n",
            "\nUSER 1000:1001\n",
            "\nCMD [\"/tmp/theuserbase/bin/tool serve '--name=a$b'\"]\n",
        ] {
            assert!(text.contains(expected), "{expected:?} is missing in:\n{text}");
        }
    }
}

#[test]
fn a_line_of_a_procfile_for_a_shell_is_run_by_one() {
    let world = World::usual();
    fs::create_dir(world.path("shop")).unwrap();
    fs::write(world.path("shop/requirements.txt"), "tool\n").unwrap();
    fs::write(world.path("shop/Procfile"), "web: tool serve -b 0.0.0.0:$PORT\n").unwrap();
    fs::write(world.path("shop/lath.toml"), "volume = ['/my data']\n").unwrap();
    let lean = text(&world, "./shop -t shop --style lean");
    assert!(lean.contains(r#"ENTRYPOINT ["/bin/sh", "-c", "exec tool serve -b 0.0.0.0:$PORT"]"#), "{lean}");
    assert!(lean.contains("RUN install -d -o 65532 -g 65532 '/my data'\nVOLUME [\"/my data\"]\n"), "{lean}");
    let recipe = text(&world, "./shop -t shop");
    assert!(recipe.contains(r#"CMD ["/bin/sh -c 'exec tool serve -b 0.0.0.0:$PORT'"]"#), "{recipe}");
}
