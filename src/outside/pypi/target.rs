//! Provides the values that uv would get from an interpreter: the markers (PEP 508) and tags (PEP 425) of the image's
//! Python.

use std::fmt;

use uv_pep440::Version;
use uv_pep508::{MarkerEnvironment, MarkerEnvironmentBuilder};
use uv_platform_tags::{Arch, Os, Tags, TagsOptions};

use crate::model::base_image::LibcFamily;
use crate::model::platform::{Architecture, Platform, PythonVersion};
use crate::outside::pypi::Cause;
use crate::outside::pypi::installed::{Installed, InstalledWheel};

/// The properties of an image's base system that decide which wheels fit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct System<'a> {
    pub(crate) platform: Platform,
    /// The exact version of its Python, such as `3.13.5`.
    pub(crate) python: &'a str,
    pub(crate) libc: SystemLibc,
    /// The distributions that it contains.
    pub(crate) installed: &'a [InstalledWheel],
    /// Whether the system is a base image. If so, errors mention its C library, because the user may not know this
    /// library.
    pub(crate) is_image: bool,
}

/// The C library of a system, and the first two numbers of its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SystemLibc {
    pub(crate) family: LibcFamily,
    pub(crate) version: (u16, u16),
}

impl SystemLibc {
    pub(crate) fn glibc(version: (u16, u16)) -> Self {
        Self { family: LibcFamily::Glibc, version }
    }
}

impl fmt::Display for SystemLibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.version;
        match self.family {
            LibcFamily::Glibc => write!(f, "glibc {major}.{minor}"),
            LibcFamily::Musl => write!(f, "musl {major}.{minor}"),
        }
    }
}

#[cfg(test)]
impl System<'_> {
    pub(crate) fn example() -> Self {
        Self {
            platform: Platform { architecture: Architecture::Amd64 },
            python: "3.13.5",
            libc: SystemLibc::glibc((2, 41)),
            installed: &[],
            is_image: false,
        }
    }
}

/// The platform and the Python for which wheels are chosen and markers are evaluated.
pub(crate) struct Target {
    pub(crate) platform: Platform,
    pub(crate) markers: MarkerEnvironment,
    pub(crate) tags: Tags,
    pub(crate) libc: SystemLibc,
    pub(super) installed: Installed,
    is_image: bool,
}

impl Target {
    /// Creates the target for CPython `version` of `system`.
    pub(crate) fn new(system: System<'_>, version: PythonVersion) -> Result<Self, Cause> {
        let System { platform, python: full_version, libc, installed, is_image } = system;
        let short = version.to_string();
        let markers = MarkerEnvironment::try_from(MarkerEnvironmentBuilder {
            implementation_name: "cpython",
            implementation_version: full_version,
            os_name: "posix",
            platform_machine: platform.architecture.machine(),
            platform_python_implementation: "CPython",
            // The values of the kernel are not known before the image runs, so they are empty. uv does the same when it
            // resolves for another platform.
            platform_release: "",
            platform_system: "Linux",
            platform_version: "",
            python_full_version: full_version,
            python_version: &short,
            sys_platform: "linux",
        })?;
        let architecture = match platform.architecture {
            Architecture::Amd64 => Arch::X86_64,
            Architecture::Arm64 => Arch::Aarch64,
        };
        let (major, minor) = libc.version;
        let os = match libc.family {
            LibcFamily::Glibc => Os::Manylinux { major, minor },
            LibcFamily::Musl => Os::Musllinux { major, minor },
        };
        let python = (version.major, version.minor);
        let options = TagsOptions { manylinux_compatible: true, is_cross: true, ..TagsOptions::default() };
        let tags =
            Tags::from_env(uv_platform_tags::Platform::new(os, architecture), python, "cpython", python, options)?;
        Ok(Self { platform, markers, tags, libc, installed: Installed::new(installed), is_image })
    }

    /// Returns the platform for use in an error. For a base image, this includes its C library.
    pub(crate) fn shown(&self) -> String {
        match self.is_image {
            true => format!("{} with {}", self.platform, self.libc),
            false => self.platform.to_string(),
        }
    }

    /// Returns the exact version of Python without the suffix of a pre-release, because pip ignores this suffix when
    /// it compares versions.
    pub(crate) fn python(&self) -> Version {
        self.markers.python_full_version().version.only_release()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_and_tags_are_those_of_the_image() {
        let system = System { platform: "linux/arm64".parse().unwrap(), ..System::example() };
        let target = Target::new(system, "3.13".parse().unwrap()).unwrap();
        assert_eq!(target.markers.platform_machine(), "aarch64");
        assert_eq!(target.markers.python_full_version().to_string(), "3.13.5");
        let tags = target.tags.to_string();
        assert!(tags.contains("cp313-cp313-manylinux_2_41_aarch64"), "{tags}");
        assert!(!tags.contains("manylinux_2_42") && !tags.contains("x86_64"), "{tags}");
    }

    #[test]
    fn a_system_with_musl_has_the_tags_of_musl() {
        let libc = SystemLibc { family: LibcFamily::Musl, version: (1, 2) };
        let target = Target::new(System { libc, ..System::example() }, "3.13".parse().unwrap()).unwrap();
        let tags = target.tags.to_string();
        assert!(tags.contains("cp313-cp313-musllinux_1_2_x86_64") && tags.contains("musllinux_1_0"), "{tags}");
        assert!(!tags.contains("manylinux") && !tags.contains("musllinux_1_3"), "{tags}");
        assert_eq!(libc.to_string(), "musl 1.2");
    }
}
