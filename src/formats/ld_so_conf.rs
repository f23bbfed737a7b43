//! `/etc/ld.so.conf`: the folders in which `ldconfig` searches for libraries (ldconfig(8)).

use std::collections::BTreeSet;

use globset::GlobBuilder;

use crate::model::image_path::ImagePath;

/// The path of the configuration. It may include other files.
pub(crate) const LD_SO_CONF: &str = "/etc/ld.so.conf";

/// The maximum length of a chain of files in which each file includes the next one. In real images, only `ld.so.conf`
/// includes files.
const MAX_INCLUDES: usize = 16;

/// The files of an image.
pub(crate) trait ConfFiles {
    type Error;

    /// Follows links. Returns the path of the file without links, and its text. `None` if there is no such file.
    fn text(&self, path: &str) -> Result<Option<(ImagePath, String)>, Self::Error>;

    /// Returns the paths that are directly in a folder, in the order of their names.
    fn children(&self, folder: &str) -> Vec<ImagePath>;
}

/// Returns the folders in the file `path` and in the files that it includes, in the order of the lines. Each file is
/// read once. `known` are the files that were read before.
pub(crate) fn configured<F: ConfFiles>(
    files: &F,
    path: &str,
    known: &mut BTreeSet<ImagePath>,
) -> Result<Vec<String>, F::Error> {
    included(files, path, known, MAX_INCLUDES)
}

fn included<F: ConfFiles>(
    files: &F,
    path: &str,
    known: &mut BTreeSet<ImagePath>,
    includes: usize,
) -> Result<Vec<String>, F::Error> {
    let mut folders = Vec::new();
    let Some((_, text)) = files.text(path)?.filter(|(place, _)| known.insert(place.clone())) else {
        return Ok(folders);
    };
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let Some(pattern) = line.strip_prefix("include").filter(|rest| rest.starts_with([' ', '\t'])).map(str::trim)
        else {
            folders.extend(line.split([' ', '\t', ',', ':']).filter(|name| name.starts_with('/')).map(str::to_owned));
            continue;
        };
        let Some(includes) = includes.checked_sub(1) else { continue };
        let whole = if pattern.starts_with('/') { pattern.to_owned() } else { format!("/etc/{pattern}") };
        // An image may contain any pattern, even a malicious one. `globset` is used, because it matches every pattern
        // in limited time.
        let glob = GlobBuilder::new(&whole).literal_separator(true).build().map(|glob| glob.compile_matcher());
        let (Ok(glob), Some((folder, _))) = (glob, whole.rsplit_once('/')) else { continue };
        for child in files.children(folder).into_iter().filter(|child| glob.is_match(child.as_str())) {
            folders.extend(included(files, child.as_str(), known, includes)?);
        }
    }
    Ok(folders)
}
