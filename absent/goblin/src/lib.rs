//! Replaces the library goblin. With goblin, uv finds the C library of the building machine, to choose a Python for
//! this machine. lath takes Python from the archive of the image's release, so this code of uv never runs
//! (docs/decisions/0190-crates-that-never-run-are-replaced.md).

/// ELF files.
pub mod elf {
    use std::marker::PhantomData;

    use thiserror::Error;

    #[derive(Debug, Error)]
    #[error("this program does not look for the C library of the building machine")]
    pub struct Absent;

    /// A file that was read. No value of this type is ever made.
    #[derive(Debug)]
    pub struct Elf<'a> {
        pub interpreter: Option<&'a str>,
        never: PhantomData<std::convert::Infallible>,
    }

    impl<'a> Elf<'a> {
        /// Fails.
        ///
        /// # Errors
        ///
        /// Always [`Absent`].
        pub fn parse(_bytes: &'a [u8]) -> Result<Self, Absent> {
            Err(Absent)
        }
    }
}
