//! The Debian half's door: archives of Debian and Ubuntu, trusted by signature and never by mirror.

pub(crate) mod signature;
