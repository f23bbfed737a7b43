//! Decides which Python versions a project or a script allows (`requires-python`).

use uv_pep440::{Version, VersionSpecifiers};

use crate::model::platform::PythonVersion;
use crate::outside::pypi::PypiError;

/// The patch numbers that are tried if the exact version is not known: `3.13.0` to `3.13.40`.
const PATCHES: std::ops::RangeInclusive<u64> = 0..=40;

/// Returns whether `specifiers` allow the version `python`. `full` is the version with its patch number, if that is
/// known.
pub(crate) fn allows(specifiers: &str, python: PythonVersion, full: Option<&str>) -> Result<bool, PypiError> {
    let failed = |source: uv_pep440::VersionSpecifiersParseError| PypiError::RequiresPython {
        specifiers: specifiers.to_owned(),
        source: source.into(),
    };
    let specifiers: VersionSpecifiers = specifiers.parse().map_err(failed)?;
    if let Some(version) = full.and_then(|full| full.parse::<Version>().ok()) {
        return Ok(specifiers.contains(&version));
    }
    let version = |patch| Version::new([u64::from(python.major), u64::from(python.minor), patch]);
    Ok(PATCHES.map(version).any(|version| specifiers.contains(&version)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifiers_allow_a_python_by_its_last_number_if_that_is_known() {
        let allowed = |specifiers: &str, full: Option<&str>| allows(specifiers, "3.13".parse().unwrap(), full).unwrap();
        for specifiers in [">=3.12", ">=3.13.9", "==3.13.*", ">=3.10,<4", "~=3.12", ""] {
            assert!(allowed(specifiers, None), "{specifiers}");
        }
        for specifiers in ["<3.13", "==3.12.*", ">=3.14", "~=3.12.1"] {
            assert!(!allowed(specifiers, None), "{specifiers}");
        }
        assert!(allowed(">=3.13.5", Some("3.13.5")) && !allowed(">=3.13.9", Some("3.13.5")));
        let error = allows("new", "3.13".parse().unwrap(), None).unwrap_err();
        assert_eq!(error.to_string(), "cannot read `new` as a requirement on Python");
    }
}
