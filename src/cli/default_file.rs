//! The files that lath writes if the user names none, such as `NAME.tar` and `pylock.toml`.

use std::path::Path;

use crate::cli::failure::Failure;
use crate::outside::config_files::is_within;

/// Refuses the default `path` of a command if it is a link that leads out of its folder. Such a link may be part of a
/// stranger's repository, and lath would overwrite a file that has nothing to do with this repository. If the user
/// names the file, lath follows the link. `way_out` is the hint for the user.
pub(super) fn refuse_link(path: &Path, way_out: &str) -> Result<(), Failure> {
    let Ok(target) = fs_err::read_link(path) else { return Ok(()) };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A link to a file that does not exist yet cannot be resolved itself.
    let place = if path.exists() { path.to_owned() } else { folder.join(&target) };
    if fs_err::canonicalize(folder).is_ok_and(|folder| is_within(&place, &folder)) {
        return Ok(());
    }
    let (link, target) = (path.display(), target.display());
    let message = format!("cannot write `{link}`: it is a link to `{target}`, which is not a file of this project");
    Err(Failure::outside(message, Vec::new()).with_hints(vec![way_out.to_owned()]))
}
