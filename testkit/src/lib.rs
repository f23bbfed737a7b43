//! The tools of lath's tests: builders of wheels and .debs, a validator of images, and fakes of PyPI, of a Debian
//! archive and of a registry on loopback.
//!
//! It contains no code of lath, so that a mistake in lath is not repeated here.

pub mod bases;
pub mod chunked;
pub mod client;
pub mod conformance;
pub mod deb;
pub mod debian_archive;
pub mod digest;
pub mod elf;
pub mod image;
pub mod oci;
pub mod pypi;
pub mod registry;
pub mod secrets;
pub mod server;
pub mod tls;
pub mod wheel;

pub use client::Client;
pub use deb::{Compression, DebBuilder};
pub use debian_archive::DebianArchive;
pub use image::{BuiltImage, ImageBuilder, LayerBuilder};
pub use pypi::PyPi;
pub use registry::{Registry, RegistryServer};
pub use server::{Fault, Response, Server};
pub use wheel::WheelBuilder;
