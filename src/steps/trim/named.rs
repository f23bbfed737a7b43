//! What of the base stays only where a file of what was asked for names it: pydoc's texts, and `ldconfig`.

use std::collections::BTreeMap;

use super::keeps;
use super::survey::{FOR_LDCONFIG, FOR_TOPICS, Survey, is_mentioned};
use crate::formats::ldcache::{self, Library};
use crate::model::image_path::ImagePath;
use crate::model::platform::Architecture;
use crate::model::request::Request;
use crate::model::tree::{Node, Origin, Tree};
use crate::outside::store::{Store, StoreError};

const TOPICS: &str = "texts of Python's interactive help";
const LDCONFIG: &str = "ldconfig, where a script answers what ctypes asks it";

/// What `/usr/sbin/ldconfig` is, in Debian and in Ubuntu, whose own name for it is a script's.
const PROGRAMS: [&str; 2] = ["/usr/sbin/ldconfig", "/usr/sbin/ldconfig.real"];

/// Takes out the language reference that `help("if")` shows. Without it pydoc says that it is not there.
pub(super) fn remove_topics(tree: &mut Tree, surveys: &BTreeMap<Origin, Survey>, request: &Request) {
    let topics = format!("{}/pydoc_data/topics.py", request.python.version.stdlib());
    let Ok(topics) = ImagePath::parse(&topics) else { return };
    if !is_mentioned(surveys, &FOR_TOPICS) && !keeps(request, &topics) {
        tree.remove(&topics, TOPICS);
    }
}

/// Puts a script into the place of the static program of 1 MB, which has nothing left to do but to print the cache for
/// `ctypes.util.find_library`: nobody writes a cache in an image that is finished.
pub(super) fn replace_ldconfig(
    tree: &mut Tree,
    surveys: &BTreeMap<Origin, Survey>,
    libraries: &[Library],
    request: &Request,
    (architecture, store): (Architecture, &Store),
) -> Result<(), StoreError> {
    let programs: Vec<ImagePath> = PROGRAMS.iter().filter_map(|path| ImagePath::parse(path).ok()).collect();
    let is_there = |path: &ImagePath| tree.nodes.contains_key(path);
    if !programs.iter().any(is_there)
        || is_mentioned(surveys, &FOR_LDCONFIG)
        || programs.iter().any(|path| keeps(request, path))
    {
        return Ok(());
    }
    for path in &programs {
        tree.remove(path, LDCONFIG);
    }
    let script = script(&ldcache::listing(libraries, architecture), &request.python.version.interpreter());
    let digest = store.put(script.as_bytes())?;
    tree.insert(programs[0].clone(), Node::file(digest, script.len() as u64, 0o755, Origin::Lath));
    Ok(())
}

/// Python, isolated and without `site`: nothing of the user base is read for it.
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
