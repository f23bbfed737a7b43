//! Removes translations of distributions into languages that `--locale` does not name.
//!
//! Translations are the folders `LANG` that contain gettext's folder `LC_MESSAGES`, and Babel's data in
//! `locale-data/LANG.dat`. Without the option, all translations stay.

use std::collections::BTreeSet;

use super::{Proposal, Scene};
use crate::model::image_path::ImagePath;
use crate::model::locale::Locale;
use crate::model::reason::Removed;
use crate::outside::store::StoreError;

/// The name of the folder for messages in each language, which is part of the interface of `gettext`.
const MESSAGES: &str = "LC_MESSAGES";
/// The name of the folder that contains a folder for each language.
const LOCALE: &str = "locale";

pub(super) fn translations(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    let wanted = &scene.request().options.locales;
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let folders: BTreeSet<ImagePath> = scene.distribution_files().filter_map(folder_of_language).collect();
    // English always stays, because the texts of programs themselves are usually English. `root`, from which Babel
    // derives all languages, stays, too, because it is not the name of a language.
    let is_other = |name: &str| {
        let stays = |locale: &Locale| locale.is_english() || wanted.iter().any(|one| one.is_same_language(locale));
        Locale::parse(name).is_some_and(|locale| !stays(&locale))
    };
    let others = folders.iter().filter(|folder| is_other(folder.file_name()) && !is_package(folder, scene));
    let others: BTreeSet<&ImagePath> = others.collect();
    let is_translation = |path: &&ImagePath| {
        let mut above = std::iter::successors(path.parent(), ImagePath::parent);
        above.any(|folder| others.contains(&folder)) || language_of_data(path).is_some_and(is_other)
    };
    let going = scene.distribution_files().filter(is_translation);
    Ok(going.map(|path| Proposal::Remove { path: path.clone(), reason: Removed::Translations }).collect())
}

/// Returns the folder of the language to which a file belongs: `locale/de` for `locale/de/LC_MESSAGES/app.mo`.
fn folder_of_language(path: &ImagePath) -> Option<ImagePath> {
    path.parent().filter(|folder| folder.file_name() == MESSAGES)?.parent()
}

/// Returns whether a folder is a package of Python with a short name, and not the folder of a language. A folder in
/// `site-packages` may be a package whose name is also the name of a language. In Django, the folders of languages are
/// packages, too, but they are in a folder `locale`.
fn is_package(folder: &ImagePath, scene: &Scene<'_>) -> bool {
    let above = folder.parent();
    let above = above.as_ref().map_or("", ImagePath::file_name);
    let has_init = folder.join("__init__.py").is_ok_and(|file| scene.whole().tree.nodes.contains_key(&file));
    above == "site-packages" || has_init && above != LOCALE
}

/// Returns the language of Babel's data: `de` for `locale-data/de.dat`.
fn language_of_data(path: &ImagePath) -> Option<&str> {
    let is_data = path.parent().is_some_and(|folder| folder.file_name() == "locale-data");
    path.file_name().strip_suffix(".dat").filter(|_| is_data)
}
