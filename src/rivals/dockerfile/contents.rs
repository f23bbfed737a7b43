//! The distributions and Debian packages that a Dockerfile installs. They are read from the lock.

use std::collections::{BTreeMap, BTreeSet};

use super::text::shell_word;
use super::{Page, indexes, sources};
use crate::catalog::packages;
use crate::model::assembly::InstalledScript;
use crate::model::lock::{LockedDeb, LockedWheel, PlatformLock, WheelSource};
use crate::model::part::{Part, PartContents};
use crate::model::platform::Platform;
use crate::model::reason::Why;
use crate::model::request::Request;
use crate::model::tree::Origin;
use crate::rivals::model::dockerfile::{Ingredients, Lock};

/// Returns the console scripts and other executables of opened wheels, sorted by name.
pub(crate) fn scripts(lock: &PlatformLock, parts: &[Part]) -> Vec<InstalledScript> {
    let mut scripts = BTreeSet::new();
    for part in parts {
        let (Origin::Wheel { name, .. }, PartContents::Wheel(wheel)) = (&part.origin, &part.contents) else { continue };
        let script = |script: &str, entry_point: Option<(&str, &str)>| InstalledScript {
            name: script.to_owned(),
            distribution: name.clone(),
            module: entry_point.map(|(module, _)| module.to_owned()),
            attribute: entry_point.map(|(_, attribute)| attribute.to_owned()),
            is_requested: lock.requests_script(name, script),
        };
        scripts.extend(wheel.scripts.iter().map(|entry| script(&entry.path, None)));
        let entry_points = wheel.console_scripts.iter();
        scripts.extend(entry_points.map(|one| script(&one.name, Some((&one.module, &one.attribute)))));
    }
    scripts.into_iter().collect()
}

/// Returns the names of the files and folders that are at the top of the user base after an installation of the opened
/// wheels.
pub(crate) fn user_base_names(parts: &[Part]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for part in parts {
        let PartContents::Wheel(wheel) = &part.contents else { continue };
        // Every wheel has metadata, which are installed into `lib`.
        names.insert("lib".to_owned());
        names.extend((!wheel.scripts.is_empty() || !wheel.console_scripts.is_empty()).then(|| "bin".to_owned()));
        names.extend((!wheel.headers.is_empty()).then(|| "include".to_owned()));
        names.extend(wheel.data.iter().filter_map(|entry| entry.path.split('/').next()).map(str::to_owned));
    }
    names
}

/// Returns all distributions whose wheels are on a server, with their versions. Each entry is one shell word that pip
/// and uv can read, such as `httpx==0.28.1`. If `has_hashes` is set, an entry contains the hashes of the wheels for all
/// platforms.
pub(super) fn pins(page: &Page<'_>, has_hashes: bool) -> Vec<String> {
    let lock = &page.ingredients.lock;
    let wheels = lock.platforms.iter().map(|half| (half.platform, half.wheels.as_slice()));
    let is_by_url = |wheel: &LockedWheel| wheel.source == WheelSource::Url || is_of_other_index(page, wheel);
    pinned(wheels, lock, has_hashes, is_by_url).iter().map(|pin| shell_word(pin)).collect()
}

/// Returns whether the lock of another tool has wheels of an index that the request does not name.
pub(super) fn has_other_index(page: &Page<'_>) -> bool {
    let mut wheels = page.ingredients.lock.platforms.iter().flat_map(|half| &half.wheels);
    wheels.any(|wheel| is_of_other_index(page, wheel))
}

/// Returns whether pip would not find the wheel of a lock of another tool by its name. So the Dockerfile has the URL.
fn is_of_other_index(page: &Page<'_>, wheel: &LockedWheel) -> bool {
    let is_foreign = page.request.python.lock.is_some() && wheel.source == WheelSource::Index;
    is_foreign && !sources::is_own(wheel) && !indexes::is_of_default(&page.ingredients.indexes, &wheel.url)
}

/// Returns the requirements as the user typed them.
pub(super) fn requirements(request: &Request) -> Vec<String> {
    request.python.requirements.iter().map(|requirement| shell_word(&requirement.to_string())).collect()
}

/// Returns the distribution `uv` with its version and its hashes.
pub(super) fn uv_pins(ingredients: &Ingredients) -> Vec<String> {
    let lock = &ingredients.lock;
    let wheels =
        lock.platforms.iter().zip(&ingredients.uv).map(|(half, wheel)| (half.platform, std::slice::from_ref(wheel)));
    pinned(wheels, lock, true, |_| false).iter().map(|pin| shell_word(pin)).collect()
}

/// The platforms whose locks contain one version of a distribution, and the allowed hashes of its files.
#[derive(Default)]
struct Pinned {
    platforms: BTreeSet<Platform>,
    hashes: BTreeSet<String>,
}

fn pinned<'a>(
    wheels: impl Iterator<Item = (Platform, &'a [LockedWheel])>,
    lock: &Lock,
    has_hashes: bool,
    is_by_url: impl Fn(&LockedWheel) -> bool,
) -> Vec<String> {
    let mut pins: BTreeMap<String, Pinned> = BTreeMap::new();
    for (platform, wheels) in wheels {
        for wheel in wheels.iter().filter(|wheel| !sources::is_own(wheel)) {
            let pin = match is_by_url(wheel) {
                true => format!("{} @ {}", wheel.name, sources::shown(&wheel.url)),
                false => format!("{}=={}", wheel.name, wheel.version),
            };
            let found = pins.entry(pin).or_default();
            found.platforms.insert(platform);
            found.hashes.insert(format!(" --hash={}", wheel.digest.prefixed()));
        }
    }
    let pins = pins.into_iter().map(|(mut pin, Pinned { platforms, hashes })| {
        if platforms.len() < lock.platforms.len() {
            let machines: Vec<String> =
                platforms.iter().map(|one| format!("platform_machine == \"{}\"", one.architecture.machine())).collect();
            pin = format!("{pin} ; {}", machines.join(" or "));
        }
        if has_hashes {
            pin.extend(hashes);
        }
        pin
    });
    pins.collect()
}

/// Returns the Debian packages that the user added or that the wheels' libraries need. These packages are installed in
/// the stage that runs the program.
pub(super) fn extra_packages(ingredients: &Ingredients, request: &Request) -> Vec<String> {
    let is_library = |deb: &LockedDeb| matches!(deb.why, Why::Library { .. });
    packages(ingredients, |deb| request.release.packages.contains(&deb.name) || is_library(deb))
}

/// Returns the Debian packages of lath's own image, except the interpreter, packages of every base, and packages that
/// are only dependencies of other packages.
pub(super) fn lean_packages(ingredients: &Ingredients) -> Vec<String> {
    let interpreter = format!("python{}-minimal", ingredients.lock.python);
    packages(ingredients, |deb| !matches!(deb.why, Why::Dependency { .. }) && deb.name != interpreter)
}

fn packages(ingredients: &Ingredients, is_wanted: impl Fn(&LockedDeb) -> bool) -> Vec<String> {
    let debs = ingredients.lock.platforms.iter().flat_map(|half| &half.debs);
    let names: BTreeSet<&str> = debs
        .filter(|deb| is_wanted(deb) && !packages::is_in_every_base(&deb.name))
        .map(|deb| deb.name.as_str())
        .collect();
    names.into_iter().map(str::to_owned).collect()
}

/// Returns the modules that contain the entry points of two kinds of scripts: the scripts of requested distributions,
/// and the scripts that the command starts.
pub(super) fn modules(ingredients: &Ingredients) -> Vec<String> {
    let is_run = |name: &str| {
        ingredients.entrypoint.iter().chain(&ingredients.cmd).any(|word| word.ends_with(&format!("/{name}")))
    };
    let requested = ingredients.scripts.iter().filter(|script| script.is_requested || is_run(&script.name));
    let modules: BTreeSet<&str> = requested.filter_map(|script| script.module.as_deref()).collect();
    modules.into_iter().map(str::to_owned).collect()
}
