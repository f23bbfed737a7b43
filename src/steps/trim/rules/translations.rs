//! Removes translations of distributions into languages that `--locale` does not name.
//!
//! These are the folders of gettext (`LANG/LC_MESSAGES`), with everything that is beside them in `LANG`, and the data
//! of Babel (`locale-data/LANG.dat`). Without the option, all of them stay.

use std::collections::BTreeSet;

use super::{Proposal, Scene};
use crate::model::image_path::ImagePath;
use crate::model::locale::Locale;
use crate::model::reason::Removed;
use crate::outside::store::StoreError;

/// The name of the folder for messages in each language, which is part of the interface of `gettext`.
const MESSAGES: &str = "LC_MESSAGES";
/// Programs have their texts in English, and Babel derives all other languages from `root`.
const ALWAYS: [&str; 3] = ["en", "en_US", "root"];

pub(super) fn translations(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    let wanted = &scene.request().options.locales;
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let folders: BTreeSet<ImagePath> = scene.distribution_files().filter_map(folder_of_language).collect();
    let is_other = |name: &str| {
        let is_always = ALWAYS.contains(&name) || name.starts_with("en_US_");
        !is_always && Locale::parse(name).is_some_and(|locale| !wanted.iter().any(|wanted| wanted.uses(&locale)))
    };
    let others: BTreeSet<&ImagePath> = folders.iter().filter(|folder| is_other(folder.file_name())).collect();
    let is_translation = |path: &&ImagePath| {
        let mut above = std::iter::successors(path.parent(), ImagePath::parent);
        above.any(|folder| others.contains(&folder)) || language_of_data(path).is_some_and(is_other)
    };
    let going = scene.distribution_files().filter(is_translation);
    Ok(going.map(|path| Proposal::Remove { path: path.clone(), reason: Removed::Translations }).collect())
}

/// Returns `locale/de` for `locale/de/LC_MESSAGES/app.mo`.
fn folder_of_language(path: &ImagePath) -> Option<ImagePath> {
    path.parent().filter(|folder| folder.file_name() == MESSAGES)?.parent()
}

/// Returns `de` for `locale-data/de.dat`.
fn language_of_data(path: &ImagePath) -> Option<&str> {
    let is_data = path.parent().is_some_and(|folder| folder.file_name() == "locale-data");
    path.file_name().strip_suffix(".dat").filter(|_| is_data)
}
