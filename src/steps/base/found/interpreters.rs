//! Finds all Pythons of an image: the Python that `PATH` finds, and all others.

use std::collections::BTreeSet;

use super::distributions::distributions;
use super::python_version::{Candidate, full_version};
use super::{FoundError, Scene};
use crate::model::base_image::{ImageUser, InstalledDeb, Interpreter};
use crate::model::image_path::ImagePath;
use crate::model::platform::PythonVersion;
use crate::outside::store::StoreError;

/// The search path that an engine sets if the image sets no `PATH` (Moby, `DefaultPathEnv`).
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The folders of programs in which lath searches for interpreters. The interpreter of Red Hat's system tools is in
/// `libexec`.
const PROGRAM_FOLDERS: [&str; 3] = ["bin", "sbin", "libexec"];
/// The folder of wheels that Debian's `ensurepip` uses.
const DEBIAN_WHEELS: &str = "/usr/share/python-wheels";

/// The facts about an image that decide how its interpreters run.
struct Surroundings<'a> {
    library_folders: &'a [ImagePath],
    debs: &'a [InstalledDeb],
    user: &'a ImageUser,
}

/// Returns all interpreters. If `PATH` finds an interpreter, this is the first one.
pub(super) fn interpreters(
    scene: &Scene<'_>,
    library_folders: &[ImagePath],
    debs: &[InstalledDeb],
    user: &ImageUser,
) -> Result<Vec<Interpreter>, FoundError> {
    let surroundings = Surroundings { library_folders, debs, user };
    let mut known = BTreeSet::new();
    let mut interpreters = Vec::new();
    let on_path = on_path(scene);
    // `python3` and shorter names come first. So if an interpreter has the names `python3` and `python3.12`, lath uses
    // `python3`.
    let mut others: Vec<ImagePath> = scene.tree.nodes.keys().filter(|path| is_candidate(path)).cloned().collect();
    others.sort_by_key(|path| (path.parent(), path.file_name() != "python3", path.file_name().len()));
    for path in on_path.iter().chain(&others) {
        let Some(place) = place(scene, path) else { continue };
        if known.insert((place.program.clone(), place.environment.clone())) {
            let is_on_path = on_path.as_ref() == Some(path);
            interpreters.push(interpreter(scene, path, place, is_on_path, &surroundings)?);
        }
    }
    Ok(interpreters)
}

/// Returns the first `python3` of the search path. If there is none, returns the first `python`.
fn on_path(scene: &Scene<'_>) -> Option<ImagePath> {
    let folders = scene.variable("PATH").unwrap_or(DEFAULT_PATH);
    let paths = ["python3", "python"].iter().flat_map(|name| {
        let absolute = folders.split(':').filter(|folder| folder.starts_with('/'));
        absolute.filter_map(move |folder| ImagePath::parse(&format!("{folder}/{name}")).ok())
    });
    let is_program = |path: &ImagePath| scene.file(path.as_str()).is_some_and(|(_, node)| node.is_executable());
    paths.into_iter().find(is_program)
}

/// Whether the path is in a folder of programs and has a name such as `python3`, `python3.12` or `platform-python3.6`.
fn is_candidate(path: &ImagePath) -> bool {
    let name = path.file_name();
    let name = name.strip_prefix("platform-").unwrap_or(name);
    let is_python = name == "python3" || name == "python" || version_in(name, "python").is_some();
    let folder = path.parent();
    is_python && folder.is_some_and(|folder| PROGRAM_FOLDERS.contains(&folder.file_name()))
}

/// Reads the version in `python3.12` or `libpython3.12.so.1.0`.
fn version_in(name: &str, prefix: &str) -> Option<PythonVersion> {
    let rest = name.strip_prefix(prefix)?;
    let rest = rest.split_once(".so").map_or(rest, |(version, _)| version);
    rest.parse().ok().filter(|version: &PythonVersion| version.major == 3)
}

/// The files of an interpreter.
struct Place {
    program: ImagePath,
    prefix: ImagePath,
    environment: Option<ImagePath>,
    version: PythonVersion,
    stdlib: ImagePath,
    /// The `libpython` that the program needs.
    library: Option<String>,
}

/// Returns the files of the interpreter at `path`. `None` if it is not a CPython with a standard library.
fn place(scene: &Scene<'_>, path: &ImagePath) -> Option<Place> {
    let (program, node) = scene.file(path.as_str())?;
    // A script that starts another Python is not an ELF file. It has no linkage, so it is left out.
    let linkage = scene.facts_of(node)?.linkage()?;
    if !node.is_executable() {
        return None;
    }
    let library = linkage.needed.iter().find(|name| version_in(name, "libpython").is_some()).cloned();
    let prefix = program.parent()?.parent()?;
    let name = program.file_name();
    let name = name.strip_prefix("platform-").unwrap_or(name);
    let named = version_in(name, "python");
    let named = named.or_else(|| library.as_ref().and_then(|library| version_in(library, "libpython")));
    let (version, stdlib) = match named {
        Some(version) => (version, stdlib_of(scene, &prefix, version)?),
        None => only_stdlib(scene, &prefix)?,
    };
    let environment = environment(scene, path);
    Some(Place { program, prefix, environment, version, stdlib, library })
}

fn stdlib_of(scene: &Scene<'_>, prefix: &ImagePath, version: PythonVersion) -> Option<ImagePath> {
    let folders = ["lib64", "lib"].map(|lib| prefix.join(&format!("{lib}/python{version}")));
    let is_stdlib = |folder: &ImagePath| scene.file(&format!("{folder}/os.py")).is_some();
    let found = folders.into_iter().flatten().find(is_stdlib)?;
    scene.directory(found.as_str())
}

/// Returns the standard library below a prefix. `None` if there are several versions.
fn only_stdlib(scene: &Scene<'_>, prefix: &ImagePath) -> Option<(PythonVersion, ImagePath)> {
    let libs = ["lib64", "lib"].iter().filter_map(|lib| scene.directory(prefix.join(lib).ok()?.as_str()));
    let children = libs.flat_map(|lib| scene.children(&lib));
    let versions: BTreeSet<PythonVersion> =
        children.filter_map(|(path, _)| version_in(path.file_name(), "python")).collect();
    let found: Vec<_> =
        versions.into_iter().filter_map(|version| Some((version, stdlib_of(scene, prefix, version)?))).collect();
    <[_; 1]>::try_from(found).ok().map(|[only]| only)
}

/// Returns the virtual environment to which the program at `path` belongs. It is the folder of the program or the
/// folder above it. This folder contains `pyvenv.cfg` (PEP 405).
fn environment(scene: &Scene<'_>, path: &ImagePath) -> Option<ImagePath> {
    let folder = path.parent()?;
    let above = folder.parent();
    let folders = std::iter::once(folder).chain(above);
    folders.into_iter().find(|folder| scene.file(&format!("{folder}/pyvenv.cfg")).is_some())
}

fn interpreter(
    scene: &Scene<'_>,
    path: &ImagePath,
    place: Place,
    is_on_path: bool,
    surroundings: &Surroundings<'_>,
) -> Result<Interpreter, FoundError> {
    let (site_packages, user_site) = site_packages(scene, &place, surroundings.user)?;
    let stdlib = &place.stdlib;
    let is_file = |name: &str| scene.file(&format!("{stdlib}/{name}")).is_some();
    let managed = ImagePath::parse(&format!("{stdlib}/EXTERNALLY-MANAGED")).ok();
    let binaries = binaries(scene, &place, surroundings.library_folders);
    let candidate = Candidate { version: place.version, binaries, prefix: &place.prefix, debs: surroundings.debs };
    let full_version = full_version(scene, &candidate)?;
    Ok(Interpreter {
        path: path.clone(),
        is_on_path,
        version: place.version,
        full_version,
        has_ensurepip: is_file("ensurepip/__init__.py") && has_pip_wheel(scene, stdlib),
        externally_managed: managed.filter(|_| is_file("EXTERNALLY-MANAGED")),
        distributions: distributions(scene, &site_packages)?,
        site_packages,
        user_site,
        program: place.program,
        prefix: place.prefix,
        environment: place.environment,
        stdlib: place.stdlib,
    })
}

fn has_pip_wheel(scene: &Scene<'_>, stdlib: &ImagePath) -> bool {
    let folders = [format!("{stdlib}/ensurepip/_bundled"), DEBIAN_WHEELS.to_owned()];
    let mut wheels =
        folders.iter().filter_map(|folder| scene.directory(folder)).flat_map(|folder| scene.children(&folder));
    wheels.any(|(path, _)| path.file_name().starts_with("pip-") && path.file_name().ends_with(".whl"))
}

/// Returns the files that may contain the code of the interpreter: its `libpython` and its program.
fn binaries(scene: &Scene<'_>, place: &Place, library_folders: &[ImagePath]) -> Vec<ImagePath> {
    let own = ["lib", "lib64"].iter().filter_map(|lib| place.prefix.join(lib).ok());
    let folders = own.chain(library_folders.iter().cloned());
    let library = place.library.as_ref().and_then(|name| {
        let mut paths = folders.filter_map(|folder| folder.join(name).ok());
        paths.find_map(|path| scene.file(path.as_str())).map(|(path, _)| path)
    });
    library.into_iter().chain([place.program.clone()]).collect()
}

/// Returns the folders of distributions in the order of `sys.path` (CPython, `Lib/site.py`): `PYTHONPATH`, the folder
/// of the user, then the folders of the prefix or of the virtual environment. The folders of `PYTHONPATH` and of the
/// user are returned only if they exist. The second result is the folder of the user, unless Python also searches it
/// for another reason.
fn site_packages(
    scene: &Scene<'_>,
    place: &Place,
    user: &ImageUser,
) -> Result<(Vec<ImagePath>, Option<ImagePath>), StoreError> {
    let version = place.version;
    let listed = scene.variable("PYTHONPATH").unwrap_or_default();
    let listed =
        listed.split(':').filter(|folder| folder.starts_with('/')).filter_map(|folder| scene.directory(folder));
    let listed: Vec<ImagePath> = listed.collect();
    let system = system_folders(scene, place)?;
    let inside = match &place.environment {
        None => None,
        Some(environment) => {
            let settings = scene.text(&format!("{environment}/pyvenv.cfg"))?.unwrap_or_default();
            let own = ["lib", "lib64"].map(|lib| format!("{environment}/{lib}/python{version}/site-packages"));
            Some((own, uses_system(&settings)))
        }
    };
    let of_user = inside.as_ref().is_none_or(|(_, uses_system)| *uses_system).then(|| {
        let home = || user.home.as_ref().map(|home| format!("{home}/.local"));
        let base = scene.variable("PYTHONUSERBASE").map(str::to_owned).or_else(home)?;
        scene.directory(&format!("{base}/lib/python{version}/site-packages"))
    });
    let of_user = of_user.flatten();
    let mut names: Vec<String> = Vec::new();
    match inside {
        Some((own, true)) => names.extend(own.into_iter().chain(system)),
        Some((own, false)) => names.extend(own),
        None => names.extend(system),
    }
    let others: Vec<ImagePath> = names
        .iter()
        .enumerate()
        .filter_map(|(index, name)| {
            // The first folder is returned even if it is missing, because an installer would create it.
            scene.directory(name).or_else(|| ImagePath::parse(name).ok().filter(|_| index == 0))
        })
        .collect();
    let user_site = of_user.clone().filter(|folder| !listed.contains(folder) && !others.contains(folder));
    let mut folders: Vec<ImagePath> = listed.into_iter().chain(of_user).chain(others).collect();
    let mut known = BTreeSet::new();
    folders.retain(|folder| known.insert(folder.clone()));
    Ok((folders, user_site))
}

/// Whether the `pyvenv.cfg` with this text sets `include-system-site-packages`.
fn uses_system(settings: &str) -> bool {
    let mut lines = settings.lines().filter_map(|line| line.split_once('='));
    lines.any(|(key, value)| key.trim() == "include-system-site-packages" && value.trim().eq_ignore_ascii_case("true"))
}

/// Returns the folders of the prefix that contain distributions. Debian and Fedora changed these folders in `site.py`,
/// so lath searches the text of `site.py`.
fn system_folders(scene: &Scene<'_>, place: &Place) -> Result<Vec<String>, StoreError> {
    let Place { prefix, version, stdlib, .. } = place;
    let site = scene.text(&format!("{stdlib}/site.py"))?.unwrap_or_default();
    if site.contains("dist-packages") {
        return Ok(vec![
            format!("{prefix}/local/lib/python{version}/dist-packages"),
            format!("{prefix}/lib/python3/dist-packages"),
            format!("{prefix}/lib/python{version}/dist-packages"),
        ]);
    }
    let of = |prefix: &str| ["lib64", "lib"].map(|lib| format!("{prefix}/{lib}/python{version}/site-packages"));
    let is_fedoras = prefix.as_str() == "/usr" && site.contains("RPM_BUILD_ROOT");
    let mut folders = vec![format!("{prefix}/lib/python{version}/site-packages")];
    if is_fedoras {
        folders = of("/usr/local").into();
    }
    folders.extend(of(prefix.as_str()));
    Ok(folders)
}
