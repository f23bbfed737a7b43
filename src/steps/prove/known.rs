//! The files that earlier proofs of a tree have put back. A build that runs no check puts them back, too.

use serde::Serialize;

use crate::model::digest::Digest;
use crate::model::image_path::ImagePath;
use crate::model::made::Made;
use crate::model::receipt::PutBack;
use crate::model::tree::Node;
use crate::outside::program;
use crate::outside::store::{Bucket, Store, StoreError};

/// The key of these files. Bytecode is not part of the key, because a build without a proof may have no bytecode. The
/// program is part of the key, because another version of lath may put other files back.
#[derive(Serialize)]
struct KnownKey {
    program: String,
    slim: Digest,
    whole: Digest,
}

impl KnownKey {
    fn of(made: &Made) -> Digest {
        let is_code = |path: &ImagePath, _: &Node| !path.is_bytecode() && path.file_name() != "__pycache__";
        Digest::of_key(&Self {
            program: program::identity(),
            slim: made.tree.digest_of(is_code),
            whole: made.assembly.tree.digest_of(is_code),
        })
    }
}

/// Returns the files that earlier proofs of this tree have put back. This works even if the current build runs no
/// check.
pub(crate) fn known_lacks(made: &Made, store: &Store) -> Vec<PutBack> {
    store.entry(Bucket::Lacks, &KnownKey::of(made)).unwrap_or_default()
}

/// Adds `lacks` to the known files of this tree. The known files stay known, because other checks may have found them.
pub(super) fn remember(lacks: &[PutBack], made: &Made, store: &Store) -> Result<(), StoreError> {
    add(lacks, &KnownKey::of(made), store)
}

fn add(lacks: &[PutBack], key: &Digest, store: &Store) -> Result<(), StoreError> {
    // Without the lock, two builds could read the same entry at the same time. Then the entry of the second build would
    // replace the entry of the first build.
    let _guard = store.lock("lacks")?;
    let mut known: Vec<PutBack> = store.entry(Bucket::Lacks, key).unwrap_or_default();
    for lack in lacks {
        if known.iter().all(|other| other.path != lack.path) {
            known.push(lack.clone());
        }
    }
    store.write_entry(Bucket::Lacks, key, &known)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;
    use crate::model::reason::Removed;

    #[test]
    fn builds_at_the_same_time_lose_no_file_that_one_of_them_has_found() {
        const BUILDS: usize = 8;
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("store")).unwrap();
        let key = Digest::of(b"tree");
        let lack = |number: usize| PutBack {
            path: ImagePath::parse(&format!("/file{number}")).unwrap(),
            rule: Removed::TypeStubs,
            check: "tool".to_owned(),
        };
        let start = Barrier::new(BUILDS);
        std::thread::scope(|scope| {
            for number in 0..BUILDS {
                let (store, start, key) = (&store, &start, &key);
                scope.spawn(move || {
                    start.wait();
                    for round in 0..5 {
                        add(&[lack(number * 5 + round), lack(number)], key, store).unwrap();
                    }
                });
            }
        });
        let known: Vec<PutBack> = store.entry(Bucket::Lacks, &key).unwrap();
        assert_eq!(known.len(), BUILDS * 5);
    }
}
