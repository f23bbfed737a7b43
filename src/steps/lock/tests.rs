//! Locks with builds from source, written and read again.

use std::path::{Path, PathBuf};

use fs_err as fs;

use super::{LockError, Named, place_project, read, refuse_folders, write};
use crate::formats::pylock;
use crate::model::digest::Digest;
use crate::model::lock::{LockedBuild, LockedDeb, LockedWheel, PlatformLock, WheelSource};
use crate::model::lock_file::LockedRequest;
use crate::model::options::{Prereleases, TrimLevel};
use crate::model::platform::{Architecture, Platform, PythonVersion};
use crate::model::source::{BuiltFrom, BuiltPlace};

fn wheel(name: &str, source: WheelSource) -> LockedWheel {
    let file_name = format!("{name}-1.0-py3-none-any.whl");
    LockedWheel {
        name: name.to_owned(),
        version: "1.0".to_owned(),
        url: format!("https://host.example/{file_name}"),
        digest: Digest::of(file_name.as_bytes()),
        file_name,
        size_bytes: Some(7),
        is_requested: source != WheelSource::Index,
        required_by: Vec::new(),
        source,
        built: None,
    }
}

fn built(name: &str, source: WheelSource, place: BuiltPlace, tools: Vec<LockedWheel>) -> LockedWheel {
    let url = place.shown();
    let subdirectory = (source == WheelSource::Url).then(|| "python".to_owned());
    let has_git = matches!(place, BuiltPlace::Git { .. });
    let archive = Digest::of(name.as_bytes());
    let build = LockedBuild {
        from: BuiltFrom { place, subdirectory, archive, has_git },
        requires: vec!["tool>=1".to_owned()],
        packages: vec!["gcc".to_owned()],
        tree: lock(Architecture::Amd64, tools),
        dependencies: vec!["lib".to_owned(), "python >=3".to_owned()],
    };
    LockedWheel { url, built: Some(Box::new(build)), ..wheel(name, source) }
}

fn lock(architecture: Architecture, wheels: Vec<LockedWheel>) -> PlatformLock {
    let debs = vec![LockedDeb::example("gcc"), LockedDeb::example("python3.13-minimal")];
    let platform = Platform { architecture };
    PlatformLock { platform, debs, ..PlatformLock::example(wheels) }
}

/// Returns a lock in the folder `home` with every kind of source.
fn every_kind(home: &Path) -> PlatformLock {
    let archive = |url: &str| BuiltPlace::Archive { url: url.to_owned() };
    let git = || BuiltPlace::Git { url: "https://host.example/x".to_owned(), commit: "0".repeat(40) };
    let local = url::Url::from_file_path(home.join("dist/local-1.0.tar.gz")).unwrap();
    let nested = built("nested", WheelSource::Index, archive("https://host.example/nested-1.0.tar.gz"), Vec::new());
    let tools =
        vec![nested, built("nested-git", WheelSource::Url, git(), Vec::new()), wheel("tool", WheelSource::Index)];
    let (index, url, path) = (WheelSource::Index, WheelSource::Url, WheelSource::Path);
    let wheels = vec![
        built("a-sdist", index, archive("https://host.example/a_sdist-1.0.tar.gz"), tools),
        built("b-url", url, archive("https://host.example/b.zip"), Vec::new()),
        built("c-path", path, archive(local.as_str()), Vec::new()),
        built("d-git", url, git(), Vec::new()),
        built("e-folder", path, BuiltPlace::Folder(home.join("project")), Vec::new()),
        wheel("f-wheel", index),
    ];
    lock(Architecture::Amd64, wheels)
}

fn request() -> LockedRequest {
    LockedRequest {
        requirements: Vec::new(),
        constraints: Vec::new(),
        has_application: false,
        python: PythonVersion { major: 3, minor: 13 },
        base: "debian:trixie".to_owned(),
        base_image: None,
        no_base_packages: false,
        with: Vec::new(),
        recommends: false,
        shell: false,
        trim: TrimLevel::Standard,
        prerelease: Prereleases::IfNecessary,
        exclude_newer: None,
        default_index: None,
        indexes: Vec::new(),
        find_links: Vec::new(),
        no_index: false,
        index_strategy: Default::default(),
        torch_backend: None,
        builds: Default::default(),
    }
}

fn written(locks: &[&PlatformLock], home: &Path) -> PathBuf {
    let path = home.join("pylock.toml");
    fs::write(&path, write(locks, &request(), home)).unwrap();
    path
}

fn read_again(path: &Path) -> Result<Vec<PlatformLock>, LockError> {
    match read(path)? {
        Named::Own(file) => Ok(file.platforms),
        Named::Foreign => panic!("{}", path.display()),
    }
}

#[test]
fn every_kind_of_source_is_read_as_it_was_written() {
    let home = tempfile::tempdir().unwrap();
    // The other platform uses the same builds.
    let one = every_kind(home.path());
    let mut other = lock(Architecture::Arm64, one.wheels[..2].to_vec());
    other.wheels[0].is_requested = true;
    let path = written(&[&one, &other], home.path());
    assert_eq!(read_again(&path).unwrap(), [one, other]);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!((text.matches("[[tool.lath.builders]]").count(), text.matches("[[tool.lath.builds]]").count()), (1, 7));
    let (packages, _) = text.split_once("\n[tool.lath]").unwrap();
    // Packages that only builds need are not in `[[packages]]`, because an installer installs everything in
    // `[[packages]]`. A source tree has no version.
    insta::assert_snapshot!(packages.split_once("[[packages]]").unwrap().1, @r#"
    name = "a-sdist"
    version = "1.0"
    sdist = { url = "https://host.example/a_sdist-1.0.tar.gz", hashes = { sha256 = "1d57b166df26a65499f15dea6da1f55c8eed7d6df16bf28285881ba4a4b4dc48" } }

    [[packages]]
    name = "b-url"
    version = "1.0"
    archive = { url = "https://host.example/b.zip", hashes = { sha256 = "bb200a42b8b9039f61880d2606a3443970b501f78a911c461d107b01d39337b9" }, subdirectory = "python" }

    [[packages]]
    name = "c-path"
    version = "1.0"
    marker = "platform_machine == 'x86_64'"
    archive = { path = "dist/local-1.0.tar.gz", hashes = { sha256 = "53a129d5073cc53105b2b6fc8cfae94bf7ec1616e2027082cda982ddaafd1224" } }

    [[packages]]
    name = "d-git"
    marker = "platform_machine == 'x86_64'"
    vcs = { type = "git", url = "https://host.example/x", commit-id = "0000000000000000000000000000000000000000", subdirectory = "python" }

    [[packages]]
    name = "e-folder"
    marker = "platform_machine == 'x86_64'"
    directory = { path = "project" }

    [[packages]]
    name = "f-wheel"
    version = "1.0"
    marker = "platform_machine == 'x86_64'"
    wheels = [
        { url = "https://host.example/f-wheel-1.0-py3-none-any.whl", size = 7, hashes = { sha256 = "7f9039f864011ff3efbb16d7a56664d304f912cbb66e7adc0e3eb61ad562fcc3" } },
    ]
    "#);
}

#[test]
fn a_lock_may_be_moved_together_with_its_folders() {
    let (home, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = written(&[&every_kind(home.path())], home.path());
    let moved = elsewhere.path().join("pylock.toml");
    fs::copy(path, &moved).unwrap();
    assert_eq!(read_again(&moved).unwrap(), [every_kind(elsewhere.path())]);
}

#[test]
fn the_project_may_be_elsewhere_than_beside_its_lock() {
    let place = |lock: &PlatformLock, name: &str| {
        let wheel = lock.wheels.iter().find(|wheel| wheel.name == name).unwrap();
        wheel.built.as_ref().unwrap().from.place.clone()
    };
    let mut lock = every_kind(Path::new("/home"));
    place_project(&mut lock, Path::new("/clone"));
    assert_eq!(place(&lock, "e-folder"), BuiltPlace::Folder("/clone".into()));
    // If the lock has two folders, lath does not know which of them is the project.
    let second = built("second", WheelSource::Path, BuiltPlace::Folder("/second".into()), Vec::new());
    lock.wheels.push(second);
    place_project(&mut lock, Path::new("/other"));
    assert_eq!(place(&lock, "e-folder"), BuiltPlace::Folder("/clone".into()));
}

#[test]
fn a_folder_that_only_a_build_needs_is_refused() {
    let tool = built("tool", WheelSource::Path, BuiltPlace::Folder("/tool".into()), Vec::new());
    let place = || BuiltPlace::Archive { url: "https://host.example/x-1.0.tar.gz".to_owned() };
    let inner = built("inner", WheelSource::Index, place(), vec![tool]);
    let outer = lock(Architecture::Amd64, vec![built("outer", WheelSource::Index, place(), vec![inner])]);
    let said = refuse_folders(&[&outer]).unwrap_err().to_string();
    assert_eq!(said, "cannot lock `inner`: its build needs `/tool`, a folder of this machine");
    refuse_folders(&[&every_kind(Path::new("/home"))]).unwrap();
}

#[test]
fn a_lock_whose_builds_do_not_fit_together_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let place = BuiltPlace::Archive { url: "https://host.example/x-1.0.tar.gz".to_owned() };
    let x = built("x", WheelSource::Index, place, vec![wheel("tool", WheelSource::Index)]);
    let digest = x.digest.to_string();
    let text = write(&[&lock(Architecture::Amd64, vec![x])], &request(), home.path());
    let path = home.path().join("pylock.toml");
    let refused = |text: &str| {
        fs::write(&path, text).unwrap();
        let LockError::Content { problem, .. } = read_again(&path).unwrap_err() else { panic!("{text}") };
        problem
    };
    let table = [
        (text.replace("builder = 0", "builder = 1"), "it has no builder 1 for `x`"),
        (
            text.replace("\nfile = \"x-1.0-py3-none-any.whl\"", "\nfile = \"y\""),
            "its `[tool.lath]` table does not contain the build of `x-1.0-py3-none-any.whl`",
        ),
        (text.replace("sdist = ", "other = "), "its `packages` do not contain the source of `x-1.0-py3-none-any.whl`"),
    ];
    for (changed, problem) in table {
        assert_ne!(changed, text);
        assert_eq!(refused(&changed), problem);
    }
    // A build that needs itself.
    let tool = Digest::of(b"tool-1.0-py3-none-any.whl").to_string();
    let circle = text.replace(&tool, &digest).replace("tool-1.0-py3", "x-1.0-py3");
    let circle = circle.replace(&format!("sha256 = \"{digest}\""), &format!("sha256 = \"{digest}\", built = true"));
    let circle =
        circle.replace(&format!("sha256 = \"{digest}\", built = true }} }}"), &format!("sha256 = \"{digest}\" }} }}"));
    assert_eq!(refused(&circle), "more than 10 builds need one another, such as that of `x`");
    assert!(pylock::parse(&text).is_ok());
}
