//! Removes parts of the base that are kept only if an application file mentions them: pydoc's topics and `ldconfig`.

use std::collections::BTreeMap;

use super::keeps;
use super::survey::{Survey, is_mentioned};
use crate::formats::ldcache::{self, Library};
use crate::model::image_path::ImagePath;
use crate::model::platform::Architecture;
use crate::model::reason::Removed;
use crate::model::request::Request;
use crate::model::tree::{Node, Origin, Tree};
use crate::model::vocabulary::{FIND_LIBRARY, LDCONFIG, PYDOC_DATA};
use crate::outside::store::{Store, StoreError};

/// The paths of the `ldconfig` program in Debian and in Ubuntu. In Ubuntu, `/usr/sbin/ldconfig` itself is a script.
const PROGRAMS: [&str; 2] = ["/usr/sbin/ldconfig", "/usr/sbin/ldconfig.real"];

/// Removes the language reference that `help("if")` shows. Without it, pydoc reports that the topic is not available.
pub(super) fn remove_topics(tree: &mut Tree, surveys: &BTreeMap<Origin, Survey<'_>>, request: &Request) {
    let topics = format!("{}/pydoc_data/topics.py", request.python.version.stdlib());
    let Ok(topics) = ImagePath::parse(&topics) else { return };
    if !is_mentioned(surveys, &[PYDOC_DATA]) && !keeps(request, &topics) {
        tree.remove(&topics, Removed::HelpTopics);
    }
}

/// Replaces the static `ldconfig` program of 1 MB by a script. In a finished image no program writes a cache, so the
/// only remaining task is to print the cache for `ctypes.util.find_library`.
pub(super) fn replace_ldconfig(
    tree: &mut Tree,
    surveys: &BTreeMap<Origin, Survey<'_>>,
    libraries: &[Library],
    request: &Request,
    (architecture, store): (Architecture, &Store),
) -> Result<(), StoreError> {
    let programs: Vec<ImagePath> = PROGRAMS.iter().filter_map(|path| ImagePath::parse(path).ok()).collect();
    let is_there = |path: &ImagePath| tree.nodes.contains_key(path);
    if !programs.iter().any(is_there)
        || is_mentioned(surveys, &[FIND_LIBRARY, LDCONFIG])
        || programs.iter().any(|path| keeps(request, path))
    {
        return Ok(());
    }
    for path in &programs {
        tree.remove(path, Removed::Ldconfig);
    }
    let script = script(&ldcache::listing(libraries, architecture), &request.python.version.interpreter());
    let digest = store.put(script.as_bytes())?;
    tree.insert(programs[0].clone(), Node::file(digest, script.len() as u64, 0o755, Origin::Lath));
    Ok(())
}

/// The interpreter runs isolated and without `site`, so it reads nothing from the user base.
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
