//! The libraries of NVIDIA that wheels contain. They are large, and an image that runs without a graphics card of NVIDIA
//! does not need them.

use crate::model::hint::{Hint, RequestHint};
use crate::model::lock::LockedWheel;
use crate::model::part::{Part, PartContents};
use crate::model::request::PythonRequest;
use crate::model::tree::Kind;

/// Smaller libraries are not worth a hint. `nvidia-ml-py`, for example, is only a Python file.
const LEAST_BYTES: u64 = 10_000_000;

/// Returns a hint with the size of NVIDIA's libraries, unless the user chose a build of PyTorch or named such a library.
/// `parts` are the opened `wheels`, in the same order.
pub(super) fn hint(wheels: &[LockedWheel], parts: &[Part], request: &PythonRequest) -> Option<Hint> {
    let is_wanted = wheels.iter().any(|wheel| is_of_nvidia(&wheel.name) && wheel.is_requested);
    if is_wanted || request.indexes.torch_backend.is_some() {
        return None;
    }
    let libraries = wheels.iter().zip(parts).filter(|(wheel, _)| is_of_nvidia(&wheel.name));
    let bytes = libraries.clone().map(|(_, part)| bytes_of(part)).sum();
    let mut required_by: Vec<String> = libraries.flat_map(|(wheel, _)| wheel.required_by.clone()).collect();
    required_by.retain(|name| !is_of_nvidia(name));
    required_by.sort();
    required_by.dedup();
    let is_for_torch = required_by.iter().any(|name| name == "torch");
    (bytes >= LEAST_BYTES && !required_by.is_empty()).then_some(Hint::Request(RequestHint::GraphicsLibraries {
        bytes,
        required_by,
        is_for_torch,
    }))
}

/// Returns whether a distribution contains libraries of NVIDIA, or the compiler for its cards.
fn is_of_nvidia(name: &str) -> bool {
    name.starts_with("nvidia-") || name.starts_with("cuda-") || name == "triton"
}

/// Returns the size of all files of a wheel.
fn bytes_of(part: &Part) -> u64 {
    let PartContents::Wheel(wheel) = &part.contents else { return 0 };
    let entries = [&wheel.site, &wheel.scripts, &wheel.data, &wheel.headers].into_iter().flatten();
    let size = |kind: &Kind| if let Kind::File { size_bytes, .. } = kind { *size_bytes } else { 0 };
    entries.map(|entry| size(&entry.kind)).sum()
}
