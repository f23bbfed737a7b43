//! The target of an image: its processor, and its version of Python.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A processor architecture. It has the same name as in the OCI image specification (Go's `GOARCH`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Architecture {
    Amd64,
    Arm64,
}

impl Architecture {
    /// Returns the architecture of this machine. Returns `None` if lath does not support it.
    pub(crate) fn of_host() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::Amd64),
            "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// Returns the name in OCI and Debian, such as `amd64`. OCI and Debian use the same name for each supported
    /// architecture.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Returns the kernel's name for the architecture, such as `x86_64`. Wheel tags and `uname -m` contain this name.
    pub(crate) fn machine(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// Returns Debian's multiarch triplet, such as `x86_64-linux-gnu`.
    pub(crate) fn triplet(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-gnu",
            Self::Arm64 => "aarch64-linux-gnu",
        }
    }

    /// Returns the value of `e_machine` in ELF files of this architecture.
    pub(crate) fn elf_machine(self) -> u16 {
        match self {
            Self::Amd64 => 62,
            Self::Arm64 => 183,
        }
    }
}

/// The platform on which an image runs. The operating system is always linux.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Platform {
    pub(crate) architecture: Architecture,
}

#[derive(Debug, Error)]
#[error("cannot build for the platform `{0}`: lath supports `linux/amd64` and `linux/arm64`")]
pub(crate) struct PlatformError(String);

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "linux/{}", self.architecture.name())
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let architecture = match text {
            "linux/amd64" | "amd64" | "linux/x86_64" => Architecture::Amd64,
            "linux/arm64" | "arm64" | "linux/aarch64" | "linux/arm64/v8" => Architecture::Arm64,
            _ => return Err(PlatformError(text.to_owned())),
        };
        Ok(Self { architecture })
    }
}

/// A feature release of Python, such as `3.13`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct PythonVersion {
    pub(crate) major: u8,
    pub(crate) minor: u8,
}

impl PythonVersion {
    /// Returns the path of the interpreter in Debian and Ubuntu.
    pub(crate) fn interpreter(self) -> String {
        format!("/usr/bin/python{self}")
    }

    /// Returns the path of the standard library in Debian and Ubuntu.
    pub(crate) fn stdlib(self) -> String {
        format!("/usr/lib/python{self}")
    }
}

#[derive(Debug, Error)]
#[error("cannot read `{0}` as a Python version: write it as `3.13`")]
pub(crate) struct PythonVersionError(String);

impl fmt::Display for PythonVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for PythonVersion {
    type Err = PythonVersionError;

    fn from_str(text: &str) -> Result<Self, PythonVersionError> {
        let refuse = || PythonVersionError(text.to_owned());
        let (major, minor) = text.split_once('.').ok_or_else(refuse)?;
        Ok(Self { major: major.parse().map_err(|_| refuse())?, minor: minor.parse().map_err(|_| refuse())? })
    }
}

impl TryFrom<String> for PythonVersion {
    type Error = PythonVersionError;

    fn try_from(text: String) -> Result<Self, PythonVersionError> {
        text.parse()
    }
}

impl From<PythonVersion> for String {
    fn from(version: PythonVersion) -> Self {
        version.to_string()
    }
}
