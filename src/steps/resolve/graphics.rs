//! The libraries of NVIDIA that wheels contain. They are large, and an image that runs without a graphics card of
//! NVIDIA does not need them.

use crate::model::hint::{Hint, RequestHint};
use crate::model::lock::LockedWheel;
use crate::model::part::{Part, PartContents};
use crate::model::request::PythonRequest;
use crate::model::tree::Kind;

/// Smaller libraries are not worth a hint. `nvidia-ml-py`, for example, is only a Python file.
const LEAST_BYTES: u64 = 10_000_000;

/// Returns a hint with the size of NVIDIA's libraries. `None` if the user chose a build of PyTorch, or named a
/// distribution with such libraries. `parts` are the opened `wheels`, in the same order.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::facts::FileFacts;
    use crate::model::lock::WheelSource;
    use crate::model::part::{PartEntry, WheelPart};
    use crate::model::request::Request;

    /// Returns a wheel with one file.
    fn wheel(name: &str, bytes: u64, required_by: &[&str]) -> (LockedWheel, Part) {
        let locked = LockedWheel {
            name: name.to_owned(),
            version: "1".to_owned(),
            file_name: format!("{name}-1-py3-none-any.whl"),
            url: String::new(),
            digest: Digest::of(b""),
            size_bytes: None,
            is_requested: required_by.is_empty(),
            required_by: required_by.iter().map(ToString::to_string).collect(),
            source: WheelSource::Index,
            built: None,
        };
        let kind = Kind::File { digest: Digest::of(b""), size_bytes: bytes };
        let contents = PartContents::Wheel(WheelPart {
            is_purelib: true,
            dist_info: String::new(),
            metadata: String::new(),
            site: vec![PartEntry { path: "x.so".to_owned(), kind, mode: 0o644 }],
            scripts: Vec::new(),
            data: Vec::new(),
            headers: Vec::new(),
            console_scripts: Vec::new(),
            record_faults: Vec::new(),
        });
        let part = Part { parcel: locked.digest, origin: locked.origin(), contents, facts: FileFacts::default() };
        (locked, part)
    }

    fn hint_of(wheels: &[(LockedWheel, Part)], backend: Option<&str>) -> Option<RequestHint> {
        let (wheels, parts): (Vec<LockedWheel>, Vec<Part>) = wheels.iter().cloned().unzip();
        let mut request = Request::example().python;
        request.indexes.torch_backend = backend.map(|backend| backend.parse().unwrap());
        match hint(&wheels, &parts, &request)? {
            Hint::Request(hint) => Some(hint),
            other => panic!("{other:?}"),
        }
    }

    fn libraries(bytes: u64, required_by: &[&str], is_for_torch: bool) -> Option<RequestHint> {
        let required_by = required_by.iter().map(ToString::to_string).collect();
        Some(RequestHint::GraphicsLibraries { bytes, required_by, is_for_torch })
    }

    #[test]
    fn the_libraries_of_nvidia_are_counted_and_those_who_require_them_are_named() {
        let wheels = [
            wheel("torch", 900_000_000, &[]),
            wheel("nvidia-cublas-cu12", 600_000_000, &["nvidia-cudnn-cu12", "torch"]),
            wheel("nvidia-cudnn-cu12", 700_000_000, &["torch"]),
            wheel("triton", 500_000_000, &["torch"]),
        ];
        assert_eq!(hint_of(&wheels, None), libraries(1_800_000_000, &["torch"], true));
        // A user who chose a build of PyTorch needs no hint.
        assert_eq!(hint_of(&wheels, Some("cu128")), None);
        let wheels = [wheel("xgboost", 1, &[]), wheel("nvidia-nccl-cu12", 200_000_000, &["xgboost"])];
        assert_eq!(hint_of(&wheels, None), libraries(200_000_000, &["xgboost"], false));
    }

    #[test]
    fn there_is_no_hint_about_what_the_user_named_or_what_is_small() {
        assert_eq!(hint_of(&[wheel("nvidia-cublas-cu12", 600_000_000, &[])], None), None);
        let small = [wheel("pynvml", 1, &[]), wheel("nvidia-ml-py", 100_000, &["pynvml"])];
        assert_eq!(hint_of(&small, None), None);
        assert_eq!(hint_of(&[wheel("numpy", 100_000_000, &[])], None), None);
    }
}
