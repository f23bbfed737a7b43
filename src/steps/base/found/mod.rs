//! Facts in the tree and the config of a base image: how a Python program would run in it.

mod distributions;
mod interpreters;
mod libraries;
mod python_version;
mod system;
#[cfg(test)]
mod tests;

use thiserror::Error;

use crate::formats::oci::Config;
use crate::model::base_image::{Found, Interpreter};
use crate::model::facts::{Facts, FileFacts};
use crate::model::hint::Hints;
use crate::model::image_path::ImagePath;
use crate::model::platform::Platform;
use crate::model::tree::{Kind, Node, Tree};
use crate::outside::store::{Store, StoreError};

/// The maximum size of a file that is searched. The largest `libpython` has about 30 MB.
const MAX_FILE_BYTES: u64 = 64 << 20;

#[derive(Debug, Error)]
pub(crate) enum FoundError {
    #[error("cannot use the image for {platform}: `{path}` is a program for another processor (ELF machine {machine})")]
    Machine { platform: Platform, path: ImagePath, machine: u16 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hints for FoundError {
    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Store(error) => Some(error),
            Self::Machine { .. } => None,
        }
    }
}

/// The image in which lath searches for facts.
pub(super) struct Scene<'a> {
    pub(super) tree: &'a Tree,
    pub(super) facts: &'a FileFacts,
    pub(super) config: &'a Config,
    pub(super) platform: Platform,
    pub(super) store: &'a Store,
}

/// Returns all facts.
pub(super) fn found(scene: &Scene<'_>) -> Result<Found, FoundError> {
    let execution = &scene.config.config;
    let debs = system::debs(scene)?;
    let user = system::user(scene)?;
    let library_folders = libraries::folders(scene)?;
    let interpreters = interpreters::interpreters(scene, &library_folders, &debs, &user)?;
    let shell = system::shell(scene);
    let workdir = execution.working_dir.clone().filter(|folder| !folder.is_empty());
    let found = Found {
        distribution: system::os_release(scene)?,
        libc: libraries::libc(scene, &library_folders, &programs(&interpreters, shell.as_ref()))?,
        debs,
        user,
        env: execution.env.clone(),
        workdir: workdir.unwrap_or_else(|| "/".to_owned()),
        entrypoint: execution.entrypoint.clone(),
        cmd: execution.cmd.clone(),
        ca_bundle: system::ca_bundle(scene),
        has_ld_cache: scene.tree.find("/etc/ld.so.cache").is_some(),
        libraries: libraries::libraries(scene, &library_folders),
        shell,
        interpreters,
    };
    refuse_other_machine(scene, &found)?;
    Ok(found)
}

/// Returns the interpreters and the shell. The loader that they use is the loader of the image.
fn programs<'a>(interpreters: &'a [Interpreter], shell: Option<&'a ImagePath>) -> Vec<&'a ImagePath> {
    interpreters.iter().map(|interpreter| &interpreter.program).chain(shell).collect()
}

/// Refuses an image whose programs are for another platform than its config says. The config of a copied image, for
/// example, may contain a wrong platform.
fn refuse_other_machine(scene: &Scene<'_>, found: &Found) -> Result<(), FoundError> {
    let libc = found.libc.iter().map(|libc| &libc.path);
    let default = found.default_interpreter().map(|interpreter| &interpreter.program);
    for path in libc.chain(default).chain(&found.shell) {
        let Some(machine) = scene.find(path.as_str()).and_then(|(_, node)| scene.facts_of(node)?.elf.as_ref()?.machine)
        else {
            continue;
        };
        let platform = scene.platform;
        if machine != platform.architecture.elf_machine() {
            return Err(FoundError::Machine { platform, path: path.clone(), machine });
        }
    }
    Ok(())
}

impl Scene<'_> {
    /// Follows links and returns the node at `path`.
    fn find(&self, path: &str) -> Option<(ImagePath, &Node)> {
        self.tree.find(path)
    }

    /// Follows links and returns the file at `path`.
    fn file(&self, path: &str) -> Option<(ImagePath, &Node)> {
        self.find(path).filter(|(_, node)| node.digest().is_some())
    }

    /// Follows links and returns the directory at `path`.
    fn directory(&self, path: &str) -> Option<ImagePath> {
        self.find(path).filter(|(_, node)| node.kind == Kind::Directory).map(|(path, _)| path)
    }

    fn facts_of(&self, node: &Node) -> Option<&Facts> {
        self.facts.get(node.digest()?)
    }

    /// Reads a file. `None` if it does not exist or is too large.
    fn bytes(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let Some((_, node)) = self.file(path) else { return Ok(None) };
        match node.digest() {
            Some(digest) if node.size_bytes() <= MAX_FILE_BYTES => self.store.read(digest).map(Some),
            _ => Ok(None),
        }
    }

    /// Reads a text. Bytes that are not UTF-8 are replaced.
    fn text(&self, path: &str) -> Result<Option<String>, StoreError> {
        Ok(self.bytes(path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Returns the paths that are directly in a directory, in the order of their names.
    fn children(&self, directory: &ImagePath) -> Vec<(&ImagePath, &Node)> {
        self.tree.children(directory).collect()
    }

    /// Returns the value of an environment variable of the config.
    fn variable(&self, name: &str) -> Option<&str> {
        let entries = self.config.config.env.iter().rev();
        entries.filter_map(|entry| entry.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}
