//! File formats that others defined: bytes to values and back, without I/O of their own.

pub(crate) mod deb;
pub(crate) mod deb822;
pub(crate) mod elf;
pub(crate) mod ldcache;
pub(crate) mod mentions;
pub(crate) mod metadata;
pub(crate) mod relation;
pub(crate) mod release;
pub(crate) mod saved_image;
pub(crate) mod tarball;
pub(crate) mod wheel;
