//! The purpose of a Debian package in an image.

use crate::catalog::packages;
use crate::rivals::model::comparison::Content;

/// Classifies a Debian package by its name and its section (Debian Policy, section 2.4).
pub(super) fn content(name: &str, section: &str) -> Content {
    let section = section.rsplit('/').next().unwrap_or_default();
    let is_python = name.starts_with("python3") || name.starts_with("libpython3");
    let is_compiler = matches!(section, "devel" | "libdevel")
        || name.ends_with("-dev")
        || ["gcc", "g++", "cpp", "binutils", "libbinutils"].iter().any(|start| name.starts_with(start))
        || ["libgcc-", "libasan", "libtsan", "liblsan", "libubsan", "libhwasan", "libcc1", "libgprofng", "libitm"]
            .iter()
            .any(|start| name.starts_with(start) && name != "libgcc-s1");
    // A package such as `gcc-14-base` is no compiler, although its name begins with `gcc`: it contains only a
    // directory, and every library of gcc depends on it.
    let is_compiler = is_compiler && !name.ends_with("-base");
    match name {
        _ if packages::is_of_pip(name) => Content::Pip,
        _ if packages::is_of_shell(name) => Content::Shell,
        _ if name == "apt" || name == "dpkg" || name.starts_with("libapt-pkg") => Content::PackageManager,
        _ if is_compiler => Content::Compilers,
        _ if is_python => Content::Python,
        _ => Content::System,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_sorted_by_what_they_are_there_for() {
        let table = [
            ("python3-pip", "python", Content::Pip),
            ("libc6-dev", "libdevel", Content::Compilers),
            ("g++-12", "devel", Content::Compilers),
            ("python3-dev", "python", Content::Compilers),
            ("libgcc-s1", "libs", Content::System),
            ("gcc-12-base", "libs", Content::System),
            ("libgcc-12-dev", "universe/libdevel", Content::Compilers),
            ("libpython3.13-stdlib", "python", Content::Python),
            ("dash", "shells", Content::Shell),
            ("libapt-pkg7.0", "libs", Content::PackageManager),
            ("zlib1g", "libs", Content::System),
        ];
        for (name, section, expected) in table {
            assert_eq!(content(name, section), expected, "{name}");
        }
    }
}
