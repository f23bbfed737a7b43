//! Refuses an image that contains a program or a library for another processor, unless this file is only data.

use super::ProveError;
use crate::model::assembly::Assembly;
use crate::model::facts::is_extension_module;
use crate::model::image_path::ImagePath;
use crate::model::platform::Platform;
use crate::model::tree::{Kind, Node, Origin, Tree};
use crate::model::user_base::UserBase;

/// Refuses the first file, in the order of paths, that is made for another processor. This check runs no program.
///
/// The processor of a file is read from the file in the untrimmed tree, because trim may strip a file, but never
/// changes its processor. Files that are only in the trimmed tree are not checked, because lath has written these
/// files, and they are texts or bytecode.
pub(super) fn refuse_foreign(
    tree: &Tree,
    whole: &Assembly,
    platform: Platform,
    user_base: &UserBase,
) -> Result<(), ProveError> {
    let wanted = platform.architecture.elf_machine();
    let machine = |path: &ImagePath| whole.facts.of(whole.tree.nodes.get(path)?)?.elf.as_ref()?.machine;
    let bin = user_base.bin();
    for (path, node) in tree.nodes.iter().filter(|(path, node)| is_run(path, node, &bin)) {
        if let Some(machine) = machine(path).filter(|machine| *machine != wanted) {
            let (path, origin) = (path.clone(), node.origin.clone());
            return Err(ProveError::Machine { path, origin, platform, machine });
        }
    }
    Ok(())
}

/// Whether the file must be for the processor of the image. This is so if the file is found by its name: a program on
/// `PATH`, an extension module, or a library of a package. Other files may be for any processor, because some wheels
/// contain programs for many processors as data, and choose one of them at run time.
fn is_run(path: &ImagePath, node: &Node, bin: &str) -> bool {
    let name = path.file_name();
    let is_module = is_extension_module(name);
    let is_program = [bin, "/usr/bin", "/usr/sbin"].iter().any(|directory| path.is_within(directory));
    let is_library = || name.contains(".so") && path.components().any(|component| component.ends_with("-linux-gnu"));
    matches!(node.kind, Kind::File { .. })
        && match node.origin {
            Origin::Deb { .. } => is_module || is_program || is_library(),
            Origin::Wheel { .. } | Origin::Lath => is_module || is_program,
            // The author of the base image is responsible for its files.
            Origin::Base => false,
            Origin::User | Origin::Application => is_module || is_program || is_library() || node.is_executable(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::mentions::Texts;
    use crate::model::platform::Architecture;
    use crate::outside::facts;
    use crate::outside::store::Store;

    fn elf_of(architecture: Architecture) -> Vec<u8> {
        let mut header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0".to_vec();
        header.extend(architecture.elf_machine().to_le_bytes());
        header
    }

    #[test]
    fn a_file_of_another_processor_is_refused_wherever_it_came_from_unless_it_is_data() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("store")).unwrap();
        let platform = Platform { architecture: Architecture::Amd64 };
        let (own, other) = (elf_of(Architecture::Amd64), elf_of(Architecture::Arm64));
        let deb = || Origin::Deb { name: "d".to_owned(), version: "1".to_owned() };
        let wheel = || Origin::Wheel { name: "w".to_owned(), version: "1".to_owned() };
        let table = [
            ("/usr/bin/tool", deb(), true),
            ("/usr/lib/x86_64-linux-gnu/libz.so.1", deb(), true),
            ("/usr/share/d/firmware", deb(), false),
            ("/opt/app/bin/tool", wheel(), true),
            ("/opt/app/lib/python3.13/site-packages/w/_x.abi3.so", wheel(), true),
            ("/opt/app/lib/python3.13/site-packages/w/bin/tool-arm64", wheel(), false),
            ("/srv/_x.cpython-313-x86_64-linux-gnu.so", Origin::User, true),
            ("/srv/data", Origin::User, false),
        ];
        for (path, origin, is_refused) in table {
            for (bytes, is_refused) in [(&own, false), (&other, is_refused)] {
                let mut whole = Assembly::default();
                let kept = facts::keep_bytes(bytes, Texts::Scripts, &store).unwrap();
                let node = Node::file(kept.digest, kept.size_bytes, 0o644, origin.clone());
                whole.tree.insert(ImagePath::parse(path).unwrap(), node);
                whole.facts.add(&origin, kept.digest, kept.facts);
                let refused = refuse_foreign(&whole.tree, &whole, platform, &"/opt/app".parse().unwrap());
                assert_eq!(refused.is_err(), is_refused, "{path}");
            }
        }
    }
}
