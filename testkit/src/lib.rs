//! The base of lath's tests: builders of wheels and .debs, fakes of PyPI and of a Debian archive on loopback, and a
//! validator of images.
//!
//! It contains no code of lath, so that both cannot be wrong in the same way.

pub mod chunked;
pub mod deb;
pub mod debian_archive;
pub mod digest;
pub mod elf;
pub mod oci;
pub mod pypi;
pub mod server;
pub mod wheel;

pub use deb::{Compression, DebBuilder};
pub use debian_archive::DebianArchive;
pub use pypi::PyPi;
pub use server::{Fault, Response, Server};
pub use wheel::WheelBuilder;
