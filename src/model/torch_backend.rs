//! The build of PyTorch, which is for the CPU or for a version of CUDA, ROCm or XPU.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use thiserror::Error;

/// A name such as `cpu`, `cu128`, `rocm6.4` or `xpu`. The resolver checks later whether PyTorch has such a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TorchBackend(String);

impl TorchBackend {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that cannot be the name of a build.
#[derive(Debug, Error)]
#[error(
    "cannot read the backend of PyTorch `{0}`: write `cpu`, `cu128` for CUDA 12.8, `rocm6.4`, `xpu`, or `auto`, which means `cpu`"
)]
pub(crate) struct TorchBackendError(String);

impl FromStr for TorchBackend {
    type Err = TorchBackendError;

    /// `auto` means `cpu`, because the image must not depend on the graphics card of this machine.
    fn from_str(text: &str) -> Result<Self, TorchBackendError> {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_cuda = text.strip_prefix("cu").is_some_and(is_number);
        let is_rocm = text.strip_prefix("rocm").is_some_and(|version| version.split('.').all(is_number));
        match text {
            "auto" => Ok(Self("cpu".to_owned())),
            "cpu" | "xpu" => Ok(Self(text.to_owned())),
            _ if is_cuda || is_rocm => Ok(Self(text.to_owned())),
            _ => Err(TorchBackendError(text.to_owned())),
        }
    }
}

impl fmt::Display for TorchBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_read_by_its_name() {
        for (text, expected) in
            [("auto", "cpu"), ("cpu", "cpu"), ("xpu", "xpu"), ("cu128", "cu128"), ("rocm6.2.4", "rocm6.2.4")]
        {
            assert_eq!(text.parse::<TorchBackend>().unwrap().as_str(), expected);
        }
        for wrong in ["", "cu", "cuda", "cu12.8", "rocm", "rocm6.", "gpu", "CPU"] {
            assert!(wrong.parse::<TorchBackend>().is_err(), "{wrong}");
        }
    }
}
