//! The distributions that the first stage builds from source, and the wheels that the Dockerfile copies because no
//! server has them.
//!
//! pip builds each source into a wheel of `/tmp/wheels`, with the versions of the build tools that lath used. Then the
//! installer of the style, pip or uv, installs these wheels.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::text::{Text, exec_form, listed, shell_word};
use super::{DockerfileError, OwnPython, Page, indexes};
use crate::model::digest::Digest;
use crate::model::lock::{LockedBuild, LockedWheel, WheelSource};
use crate::model::secret_text::SecretText;
use crate::model::source::BuiltPlace;
use crate::rivals::model::dockerfile::{ContextContents, ContextFile, Ingredients, Style};

/// The folder of the first stage that contains the built wheels.
const WHEELS: &str = "/tmp/wheels";
/// The folder of the first stage to which the user's sources are copied.
const SOURCES: &str = "/tmp/sources";
/// The file of the first stage with the versions of the build tools.
const TOOLS: &str = "/tmp/build-tools.txt";

/// Returns whether a wheel is installed from [`WHEELS`].
pub(super) fn is_own(wheel: &LockedWheel) -> bool {
    wheel.built.is_some() || wheel.url.starts_with("file:")
}

/// Returns whether the Dockerfile installs any wheel from [`WHEELS`].
pub(super) fn has_own(ingredients: &Ingredients) -> bool {
    wheels(ingredients).any(is_own)
}

/// Returns the Debian packages that the builds need. `git` is one of them if a source is a commit of a repository. If
/// pip chooses the versions, lath has built nothing, so only the packages of the user are known.
pub(super) fn packages(page: &Page<'_>) -> BTreeSet<String> {
    let of_builds = builds(page.ingredients).flat_map(|(_, build)| build.packages.iter().cloned());
    let is_git = |build: &LockedBuild| matches!(build.from.place, BuiltPlace::Git { .. });
    let git = builds(page.ingredients).any(|(_, build)| is_git(build)).then(|| "git".to_owned());
    let typed = page.request.python.builds.packages.iter().filter(|_| page.is_unpinned());
    of_builds.chain(git).chain(typed.map(|name| shell_word(name))).collect()
}

/// Refuses sources that a Dockerfile cannot contain, or that pip cannot build in the same way as lath.
pub(super) fn refuse_hopeless(page: &Page<'_>) -> Result<(), DockerfileError> {
    refuse_line_breaks(page)?;
    for wheel in wheels(page.ingredients).filter(|wheel| is_own(wheel)) {
        if local_path(wheel).is_some_and(|path| page.in_context(&path).is_err()) {
            let (name, file_name) = (wheel.name.clone(), wheel.file_name.clone());
            return Err(match &wheel.built {
                Some(build) => DockerfileError::Outside { name, place: build.from.place.shown() },
                None => DockerfileError::LocalWheel { file_name },
            });
        }
    }
    let has_release = OwnPython::of(page).is_none_or(|own| own.base.release().is_some());
    for (wheel, build) in builds(page.ingredients) {
        let name = wheel.name.clone();
        let is_git = matches!(build.from.place, BuiltPlace::Git { .. });
        if !has_release && (is_git || !build.packages.is_empty()) {
            return Err(DockerfileError::BuildPackages { name });
        }
        if let BuiltPlace::Git { url, .. } = &build.from.place
            && !(url.starts_with("https:") || url.starts_with("http:"))
        {
            return Err(DockerfileError::Repository { name, url: shown(url) });
        }
        if page.request.python.builds.extra_requires.contains_key(&wheel.name) {
            return Err(DockerfileError::BuildRequirements { name });
        }
    }
    Ok(())
}

/// Refuses texts with line breaks, because a line break ends an instruction, even between quotes.
fn refuse_line_breaks(page: &Page<'_>) -> Result<(), DockerfileError> {
    let has_break = |text: &str| text.contains(['\n', '\r']);
    for (wheel, build) in builds(page.ingredients) {
        let settings = &page.request.python.builds.config_settings;
        let is_broken =
            |(name, values): (&String, &Vec<String>)| has_break(name) || values.iter().any(|one| has_break(one));
        if settings.iter().any(is_broken) || build.from.subdirectory.as_deref().is_some_and(has_break) {
            return Err(DockerfileError::Unwritable { name: wheel.name.clone() });
        }
    }
    Ok(())
}

/// Returns the wheels and sources that the Dockerfile copies, by their paths in the build context.
pub(super) fn context(page: &Page<'_>) -> Result<Vec<ContextFile>, DockerfileError> {
    let mut files = BTreeMap::new();
    for wheel in wheels(page.ingredients) {
        let Some(path) = local_path(wheel) else { continue };
        let place = PathBuf::from(page.in_context(&path)?);
        let contents = match wheel.built.as_deref().map(|build| &build.from) {
            Some(from) if matches!(from.place, BuiltPlace::Folder(_)) => ContextContents::Folder(from.archive),
            _ => ContextContents::File(path),
        };
        files.insert(place, contents);
    }
    Ok(files.into_iter().map(|(path, contents)| ContextFile { path, contents }).collect())
}

/// Writes the instructions that fill [`WHEELS`]. Sources from servers come first, and the user's own sources last. The
/// reason is the build cache: the user's own sources change more often, and a change repeats only the instructions
/// after it.
pub(super) fn build(page: &Page<'_>, text: &mut Text) -> Result<(), DockerfileError> {
    write_tools(page, text);
    build_fetched(page, text);
    build_repositories(page, text);
    build_local(page, text)
}

/// Writes the versions of the build tools to a file.
fn write_tools(page: &Page<'_>, text: &mut Text) {
    if builds(page.ingredients).next().is_none() {
        return;
    }
    text.why("The versions of the tools with which lath built these distributions. pip installs the tools when it needs them.");
    let tools = listed("printf '%s\\n'", &tools(page.ingredients));
    text.run(&[], &[format!("{tools} \\\n      > {TOOLS}")]);
}

/// Returns the build tools with their versions. If two builds need different versions of a tool, the tool is left out,
/// so that pip chooses its version.
fn tools(ingredients: &Ingredients) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for tool in builds(ingredients).flat_map(|(_, build)| &build.tree.wheels) {
        versions.entry(&tool.name).or_default().insert(&tool.version);
    }
    // A tool is left out if the Dockerfile also builds this tool from source. Otherwise pip would also require this
    // version while it builds the tool itself.
    let is_built = |name: &str| builds(ingredients).any(|(wheel, _)| wheel.name == name);
    let single = versions.into_iter().filter(|(name, versions)| versions.len() == 1 && !is_built(name));
    single
        .flat_map(|(name, versions)| versions.into_iter().map(move |version| shell_word(&format!("{name}=={version}"))))
        .collect()
}

/// Builds the source distributions of indexes and URLs.
fn build_fetched(page: &Page<'_>, text: &mut Text) {
    let mut pins: BTreeMap<String, BTreeSet<Digest>> = BTreeMap::new();
    let mut names = BTreeSet::new();
    for (wheel, build) in builds(page.ingredients) {
        if let Some(pin) = fetched(wheel, build) {
            pins.entry(pin).or_default().insert(build.from.archive);
            names.insert(wheel.name.as_str());
        }
    }
    if pins.is_empty() {
        return;
    }
    text.why("Source distributions that have no wheel. pip builds them.");
    let no_binary = format!("--no-binary {}", names.into_iter().collect::<Vec<_>>().join(","));
    if page.has_hashes() {
        let hashes = |digests: BTreeSet<Digest>| {
            digests.iter().map(|digest| format!(" --hash={}", digest.prefixed())).collect::<String>()
        };
        let lines: Vec<String> = pins.into_iter().map(|(pin, digests)| shell_word(&(pin + &hashes(digests)))).collect();
        let write = listed("printf '%s\\n'", &lines);
        let options = [no_binary.as_str(), "--require-hashes"];
        let build = format!("{} -r /tmp/sources.txt", pip_wheel(page, &options));
        text.run(&page.secret_mounts(), &[format!("{write} \\\n      > /tmp/sources.txt"), build]);
    } else {
        let words: Vec<String> = pins.keys().map(|pin| shell_word(pin)).collect();
        text.run(&page.secret_mounts(), &[listed(&pip_wheel(page, &[&no_binary]), &words)]);
    }
}

/// Returns a URL without user name and password. URLs may contain both if a person wrote the lock. The builder gets
/// names and passwords from its own settings. The user of an SSH URL, usually `git`, is not a secret, so it is kept.
pub(super) fn shown(url: &str) -> String {
    let is_key = |url: &url::Url| url.scheme() == "ssh" && url.password().is_none();
    match url::Url::parse(url) {
        Ok(parsed) if is_key(&parsed) => url.to_owned(),
        _ => SecretText::from(url).to_string(),
    }
}

/// Returns the requirement for a source distribution that is on a server, without a hash. `None` if the source is
/// something else.
fn fetched(wheel: &LockedWheel, build: &LockedBuild) -> Option<String> {
    let BuiltPlace::Archive { url } = &build.from.place else { return None };
    if build.from.place.path().is_some() {
        return None;
    }
    let folder = build.from.subdirectory.as_ref().map(|folder| format!("#subdirectory={folder}")).unwrap_or_default();
    Some(match wheel.source {
        WheelSource::Index => format!("{}=={}", wheel.name, wheel.version),
        _ => format!("{} @ {}{folder}", wheel.name, shown(url)),
    })
}

/// Builds the commits of repositories.
fn build_repositories(page: &Page<'_>, text: &mut Text) {
    let mut words = BTreeSet::new();
    for (wheel, build) in builds(page.ingredients) {
        let BuiltPlace::Git { url, commit } = &build.from.place else { continue };
        let folder =
            build.from.subdirectory.as_ref().map(|folder| format!("#subdirectory={folder}")).unwrap_or_default();
        words.insert(shell_word(&format!("{} @ git+{}@{commit}{folder}", wheel.name, shown(url))));
    }
    if !words.is_empty() {
        text.why("Commits of repositories. The commit determines the files, so there is no hash.");
        let trusted = page.certificates().map(|path| format!("GIT_SSL_CAINFO={path} ")).unwrap_or_default();
        let words: Vec<String> = words.into_iter().collect();
        text.run(&page.secret_mounts(), &[listed(&format!("{trusted}{}", pip_wheel(page, &[])), &words)]);
    }
}

/// Copies the user's own folders and files, and builds them.
fn build_local(page: &Page<'_>, text: &mut Text) -> Result<(), DockerfileError> {
    let (mut folders, mut files) = (BTreeMap::new(), BTreeMap::new());
    for wheel in wheels(page.ingredients) {
        let Some(path) = local_path(wheel) else { continue };
        let source = page.in_context(&path)?;
        let name = Path::new(&source).file_name().unwrap_or_default().to_string_lossy().into_owned();
        match wheel.built.as_deref().map(|build| &build.from) {
            None => drop(files.insert(source, (format!("{WHEELS}/{}", wheel.file_name), false))),
            Some(from) if matches!(from.place, BuiltPlace::Folder(_)) => {
                folders.insert(source, (format!("{SOURCES}/{}", wheel.name), from.has_git));
            }
            Some(_) => drop(files.insert(source, (format!("{SOURCES}/{name}"), true))),
        }
    }
    if folders.is_empty() && files.is_empty() {
        return Ok(());
    }
    text.why("The distributions of this folder. Keep virtual environments and caches out of it by a .dockerignore.");
    let mut commands = Vec::new();
    let mut words = Vec::new();
    for (source, (target, has_git)) in folders {
        text.line(format!("COPY {}", exec_form(&[source, format!("{target}/")])));
        // The backend may compute the version from the history of the repository. The copied files have new times, so
        // without a reset, git would treat them as changed files.
        commands.extend(has_git.then(|| format!("git -C {} reset -q", shell_word(&target))));
        words.push(shell_word(&target));
    }
    for (source, (target, is_built)) in files {
        text.line(format!("COPY {}", exec_form(&[source, target.clone()])));
        words.extend(is_built.then(|| shell_word(&target)));
    }
    if !words.is_empty() {
        commands.push(listed(&pip_wheel(page, &[]), &words));
        text.run(&page.secret_mounts(), &commands);
    }
    Ok(())
}

/// Returns the command of pip that builds wheels. The caller adds the sources.
fn pip_wheel(page: &Page<'_>, options: &[&str]) -> String {
    let trusted = page.certificates().map(|path| format!("PIP_CERT={path} ")).unwrap_or_default();
    let mut words: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    for (name, values) in &page.request.python.builds.config_settings {
        words
            .extend(values.iter().map(|value| format!("--config-settings {}", shell_word(&format!("{name}={value}")))));
    }
    words.extend(indexes::for_pip(&page.ingredients.indexes));
    listed(
        &format!(
            "{trusted}PIP_CONSTRAINT={TOOLS} {} -m pip wheel --no-cache-dir --no-deps --use-pep517 --wheel-dir {WHEELS}",
            page.program()
        ),
        &words,
    )
}

/// Writes the instruction that installs the wheels of [`WHEELS`].
pub(super) fn install(page: &Page<'_>, text: &mut Text) {
    text.why("The wheels that were built or copied.");
    if page.wanted.style == Style::Uv {
        let command = uv_install(page);
        text.run(&[], &[command]);
        return;
    }
    let mut options = page.target();
    options.extend(["--no-cache-dir", "--ignore-installed", "--no-index", "--no-deps"]);
    if page.has_hashes() && !page.has_bytecode() {
        options.push("--no-compile");
    }
    if page.is_externally_managed() {
        options.push("--break-system-packages");
    }
    text.run(&[], &[format!("{} -m pip install {} {WHEELS}/*.whl", page.program(), options.join(" "))]);
}

/// Returns the command of uv that installs the wheels of [`WHEELS`].
fn uv_install(page: &Page<'_>) -> String {
    let broken = if page.is_externally_managed() { " --break-system-packages" } else { "" };
    format!(
        "uv pip install --prefix {0} --python {1}{broken} --no-cache --no-index --no-deps {WHEELS}/*.whl \\\n    && rm -f {0}/.lock",
        page.wanted.user_base,
        page.program()
    )
}

fn wheels(ingredients: &Ingredients) -> impl Iterator<Item = &LockedWheel> {
    ingredients.lock.platforms.iter().flat_map(|half| &half.wheels)
}

fn builds(ingredients: &Ingredients) -> impl Iterator<Item = (&LockedWheel, &LockedBuild)> {
    ingredients.lock.platforms.iter().flat_map(|half| half.builds())
}

/// Returns the path of a wheel or a source that is on this machine. `None` if the wheel or source is on a server.
fn local_path(wheel: &LockedWheel) -> Option<PathBuf> {
    match wheel.built.as_deref().map(|build| &build.from.place) {
        Some(BuiltPlace::Folder(path)) => Some(path.clone()),
        Some(place) => place.path(),
        None => url::Url::parse(&wheel.url).ok().filter(|url| url.scheme() == "file")?.to_file_path().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::lock::PlatformLock;

    use crate::model::request::Request;
    use crate::model::source::BuiltFrom;
    use crate::rivals::dockerfile::{dockerfile, from_source};
    use crate::rivals::model::dockerfile::{Dockerfile, DockerfileRequest, Lock, Mounts};

    fn wheel(name: &str, source: WheelSource, place: Option<(BuiltPlace, &[&str])>) -> LockedWheel {
        let tool = |name: &str| wheel(name, WheelSource::Index, None);
        let built = place.map(|(place, packages)| LockedBuild {
            from: BuiltFrom {
                has_git: packages.contains(&"git"),
                place,
                subdirectory: None,
                archive: Digest::of(name.as_bytes()),
            },
            requires: Vec::new(),
            packages: packages.iter().map(|name| (*name).to_owned()).collect(),
            tree: PlatformLock::example(vec![tool("hatchling")]),
            dependencies: Vec::new(),
        });
        LockedWheel {
            name: name.to_owned(),
            version: "1.0".to_owned(),
            file_name: format!("{name}-1.0-py3-none-any.whl"),
            url: format!("https://host.example/{name}-1.0-py3-none-any.whl"),
            digest: Digest::of(name.as_bytes()),
            size_bytes: None,
            is_requested: true,
            required_by: Vec::new(),
            source,
            built: built.map(Box::new),
        }
    }

    fn written(wheels: Vec<LockedWheel>, style: Style, request: &Request) -> Result<Dockerfile, DockerfileError> {
        let wanted = DockerfileRequest { mounts: Mounts::Unknown, ..DockerfileRequest::example(style, request) };
        let lock = Lock::example(wheels, request);
        dockerfile(&from_source(lock, Vec::new(), request, &wanted), request, &wanted)
    }

    fn all() -> Vec<LockedWheel> {
        let archive = |url: &str| BuiltPlace::Archive { url: url.to_owned() };
        let git = BuiltPlace::Git { url: "https://host.example/repo".to_owned(), commit: "c0ffee".to_owned() };
        let local = "file:///work/dist/local-1.0-py3-none-any.whl".to_owned();
        vec![
            wheel("published", WheelSource::Index, None),
            wheel("sdist", WheelSource::Index, Some((archive("https://host.example/sdist-1.0.tar.gz"), &["gcc"]))),
            wheel("repo", WheelSource::Url, Some((git, &[]))),
            wheel("here", WheelSource::Path, Some((archive("file:///work/here-1.0.tar.gz"), &[]))),
            wheel("svc", WheelSource::Path, Some((BuiltPlace::Folder("/work".into()), &["git"]))),
            LockedWheel { url: local, ..wheel("local", WheelSource::Path, None) },
        ]
    }

    /// Returns the first stage.
    fn stage(style: Style) -> String {
        let text = written(all(), style, &Request::example()).unwrap().text;
        text.split("\n\n").nth(1).unwrap().to_owned()
    }

    #[test]
    fn pip_builds_every_kind_of_source_with_the_tools_of_the_lock() {
        insta::assert_snapshot!(stage(Style::Lean), @r#"
        # Stage one installs. Only the user base is copied from it.
        FROM debian:trixie AS build
        ENV PYTHONUSERBASE=/opt/app
        # pip, and the packages that the builds of distributions without a wheel need.
        RUN apt-get update \
            && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-pip gcc git
        # Every distribution with the version and the hash that lath resolved.
        RUN printf '%s\n' \
              'published==1.0 --hash=sha256:b04e5ea201bb040cae53f693f6a38a3e00b62da6039ca248fecd59b7fc842894' \
              > /tmp/requirements.txt
        # Install into the user base, and ignore versions that Debian packages already installed.
        # The distribution marks its Python as externally managed (PEP 668). Overriding that is safe in a build stage.
        RUN /usr/bin/python3 -m pip install --user --ignore-installed --no-deps --require-hashes \
              --only-binary :all: --no-compile --no-cache-dir --break-system-packages -r /tmp/requirements.txt
        # The versions of the tools with which lath built these distributions. pip installs the tools when it needs them.
        RUN printf '%s\n' \
              hatchling==1.0 \
              > /tmp/build-tools.txt
        # Source distributions that have no wheel. pip builds them.
        RUN printf '%s\n' \
              'sdist==1.0 --hash=sha256:714772a9f82b2aeb4fa5f7092d00fe4ac4c9cdeb6800840b6ed39ea64c4d785a' \
              > /tmp/sources.txt \
            && PIP_CONSTRAINT=/tmp/build-tools.txt /usr/bin/python3 -m pip wheel --no-cache-dir --no-deps --use-pep517 --wheel-dir /tmp/wheels \
              --no-binary sdist \
              --require-hashes -r /tmp/sources.txt
        # Commits of repositories. The commit determines the files, so there is no hash.
        RUN PIP_CONSTRAINT=/tmp/build-tools.txt /usr/bin/python3 -m pip wheel --no-cache-dir --no-deps --use-pep517 --wheel-dir /tmp/wheels \
              'repo @ git+https://host.example/repo@c0ffee'
        # The distributions of this folder. Keep virtual environments and caches out of it by a .dockerignore.
        COPY [".", "/tmp/sources/svc/"]
        COPY ["dist/local-1.0-py3-none-any.whl", "/tmp/wheels/local-1.0-py3-none-any.whl"]
        COPY ["here-1.0.tar.gz", "/tmp/sources/here-1.0.tar.gz"]
        RUN git -C /tmp/sources/svc reset -q \
            && PIP_CONSTRAINT=/tmp/build-tools.txt /usr/bin/python3 -m pip wheel --no-cache-dir --no-deps --use-pep517 --wheel-dir /tmp/wheels \
              /tmp/sources/svc \
              /tmp/sources/here-1.0.tar.gz
        # The wheels that were built or copied.
        RUN /usr/bin/python3 -m pip install --user --no-cache-dir --ignore-installed --no-index --no-deps --no-compile --break-system-packages /tmp/wheels/*.whl
        "#);
        let (uv, recipe) = (stage(Style::Uv), stage(Style::Recipe));
        assert!(uv.contains("uv pip install --prefix /opt/app --python /usr/bin/python3 --break-system-packages --no-cache --no-index --no-deps /tmp/wheels/*.whl"), "{uv}");
        assert!(recipe.contains("--no-binary sdist \\\n      sdist==1.0\n") && !recipe.contains("--hash"), "{recipe}");
    }

    #[test]
    fn a_source_that_pip_cannot_build_is_refused() {
        let git = |url: &str| BuiltPlace::Git { url: url.to_owned(), commit: "c0ffee".to_owned() };
        let refused = |place: BuiltPlace, request: &Request| {
            let wheels = vec![wheel("svc", WheelSource::Path, Some((place, &[])))];
            written(wheels, Style::Lean, request).unwrap_err().to_string()
        };
        let request = Request::example();
        let mut extra = request.clone();
        extra.python.builds.extra_requires = [("svc".to_owned(), vec!["numpy".to_owned()])].into();
        let mut broken = request.clone();
        broken.python.builds.config_settings = [("a".to_owned(), vec!["x'\nRUN id".to_owned()])].into();
        let errors = [
            refused(BuiltPlace::Folder("/elsewhere/svc".into()), &request),
            refused(git("ssh://git@host.example/svc"), &request),
            refused(BuiltPlace::Folder("/work/svc".into()), &extra),
            refused(BuiltPlace::Folder("/work/svc".into()), &broken),
        ];
        insta::assert_snapshot!(errors.join("\n"), @"
        cannot write `svc` into a Dockerfile: its source `/elsewhere/svc` is outside the folder that is built, which is the current one
        cannot write `svc` into a Dockerfile: the builder cannot read the repository `ssh://git@host.example/svc` without a key; use a URL with https
        cannot write `svc` into a Dockerfile: pip does not have `extra-build-dependencies`; add them to `requires` in its `[build-system]`
        cannot write `svc` into a Dockerfile: names must not contain blanks, and values must not contain line breaks
        ");
    }

    #[test]
    fn no_password_in_a_lock_is_in_the_dockerfile() {
        let url = "https://me:secret@host.example/a-1.0-py3-none-any.whl".to_owned();
        let archive = BuiltPlace::Archive { url: "https://me:secret@host.example/sdist-1.0.tar.gz".to_owned() };
        let git = BuiltPlace::Git { url: "https://secret@host.example/repo".to_owned(), commit: "c0ffee".to_owned() };
        let wheels = vec![
            LockedWheel { url, ..wheel("a", WheelSource::Url, None) },
            wheel("sdist", WheelSource::Url, Some((archive, &[]))),
            wheel("repo", WheelSource::Url, Some((git, &[]))),
        ];
        for style in [Style::Lean, Style::Uv, Style::Recipe, Style::Fat] {
            let text = written(wheels.clone(), style, &Request::example()).unwrap().text;
            assert!(!text.contains("secret"), "{text}");
            for place in ["a-1.0-py3-none-any.whl", "sdist-1.0.tar.gz", "repo@c0ffee"] {
                assert!(text.contains(&format!("https://host.example/{place}")), "{text}");
            }
        }
    }

    #[test]
    fn the_context_has_the_distributions_of_this_machine() {
        let context = written(all(), Style::Lean, &Request::example()).unwrap().context;
        let paths: Vec<String> = context.iter().map(|file| file.path.display().to_string()).collect();
        assert_eq!(paths, [".", "dist/local-1.0-py3-none-any.whl", "here-1.0.tar.gz"]);
        assert_eq!(context[0].contents, ContextContents::Folder(Digest::of(b"svc")));
    }
}
