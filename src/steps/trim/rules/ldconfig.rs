//! Replaces `ldconfig` by a script, if no file outside the base names `ldconfig` or `find_library`.

use super::{Proposal, Scene, loader_cache};
use crate::formats::ldcache;
use crate::model::image_path::ImagePath;
use crate::model::reason::Removed;
use crate::model::tree::{Node, Origin};
use crate::model::vocabulary::{FIND_LIBRARY, LDCONFIG};
use crate::outside::store::StoreError;

/// The paths of the program in Debian and in Ubuntu. In Ubuntu, `/usr/sbin/ldconfig` itself is a script.
const PROGRAMS: [&str; 2] = ["/usr/sbin/ldconfig", "/usr/sbin/ldconfig.real"];

/// Replaces the static program of 1 MB by a script. In a finished image, no program writes the cache. So the only task
/// of the script is to print the cache for `ctypes.util.find_library`.
pub(super) fn ldconfig(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    let paths: Vec<ImagePath> = PROGRAMS.iter().filter_map(|path| ImagePath::parse(path).ok()).collect();
    if !paths.iter().any(|path| scene.tree.nodes.contains_key(path)) || scene.is_mentioned(&[FIND_LIBRARY, LDCONFIG]) {
        return Ok(Vec::new());
    }
    let libraries = loader_cache::remaining(scene)?;
    let script = script(&ldcache::listing(&libraries, scene.architecture()), &scene.python().interpreter());
    let digest = scene.store().put(script.as_bytes())?;
    let node = Node::file(digest, script.len() as u64, 0o755, Origin::Lath);
    let by = (paths[0].clone(), node);
    Ok(vec![Proposal::Substitute { paths, reason: Removed::Ldconfig, by }])
}

/// Returns the text of the script. Its interpreter runs isolated and without `site`, so it does not read the user base.
fn script(listing: &str, interpreter: &str) -> String {
    format!(
        "#!{interpreter} -IS\n\
         # `ldconfig -p` for ctypes.util.find_library. Nothing in this image names ldconfig's own program: lath left it out.\n\
         import sys\n\
         \n\
         LIBRARIES = \"\"\"\\\n{listing}\"\"\"\n\
         \n\
         if sys.argv[1:] not in ([\"-p\"], [\"--print-cache\"]):\n    \
             sys.exit(\"ldconfig: this image has `ldconfig -p` alone; build it with `--keep /usr/sbin/ldconfig` for the rest\")\n\
         sys.stdout.write(LIBRARIES)\n"
    )
}
