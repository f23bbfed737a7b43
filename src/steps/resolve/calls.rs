//! Programs and libraries that well-known distributions use at run time but that no wheel contains. lath reports them
//! and does not add them.

use crate::model::hint::Hint;
use crate::model::lock::{LockedDeb, LockedWheel};
use crate::model::remedies;

/// A distribution, and a program or library that it uses.
struct Call {
    caller: &'static str,
    called: &'static str,
    /// The Debian package that contains a library. `None` for a program, because its name determines the package.
    package: Option<&'static str>,
    /// Distributions that contain their own copy.
    spared_by: &'static [&'static str],
}

const fn program(caller: &'static str, called: &'static str) -> Call {
    Call { caller, called, package: None, spared_by: &[] }
}

const fn library(caller: &'static str, called: &'static str, package: &'static str) -> Call {
    Call { caller, called, package: Some(package), spared_by: &[] }
}

const CALLS: [Call; 53] = [
    program("ansible-core", "sh"),
    program("ansible-core", "ssh"),
    library("cairocffi", "libcairo.so.2", "libcairo2"),
    library("cairosvg", "libcairo.so.2", "libcairo2"),
    program("commitizen", "git"),
    program("cookiecutter", "git"),
    program("copier", "git"),
    program("cruft", "git"),
    program("detect-secrets", "git"),
    program("diff-cover", "git"),
    program("doit", "sh"),
    program("ffmpeg-python", "ffmpeg"),
    program("ffmpy", "ffmpeg"),
    program("git-filter-repo", "git"),
    program("gitlint-core", "git"),
    program("gitpython", "git"),
    program("graphviz", "dot"),
    program("honcho", "sh"),
    program("invoke", "bash"),
    program("jupyter-server-terminals", "sh"),
    program("nbstripout", "git"),
    program("ninja", "sh"),
    program("ocrmypdf", "tesseract"),
    program("pdf2image", "pdftoppm"),
    program("pre-commit", "git"),
    program("pre-commit-hooks", "git"),
    Call { spared_by: &["psycopg-binary", "psycopg-c"], ..library("psycopg", "libpq.so.5", "libpq5") },
    program("pydot", "dot"),
    program("pydub", "ffmpeg"),
    program("pyinstaller", "ldd"),
    program("pyinstaller", "objdump"),
    program("pypandoc", "pandoc"),
    program("pytesseract", "tesseract"),
    program("python-gnupg", "gpg"),
    Call { spared_by: &["python-magic-bin"], ..library("python-magic", "libmagic.so.1", "libmagic1") },
    library("python-vlc", "libvlc.so.5", "libvlc5"),
    library("pyudev", "libudev.so.1", "libudev1"),
    library("pyusb", "libusb-1.0.so.0", "libusb-1.0-0"),
    library("pyzbar", "libzbar.so.0", "libzbar0"),
    program("scons", "sh"),
    program("semgrep", "uname"),
    program("setuptools-scm", "git"),
    program("snakemake", "bash"),
    library("sounddevice", "libportaudio.so.2", "libportaudio2"),
    program("sshuttle", "ssh"),
    program("towncrier", "git"),
    program("versioneer", "git"),
    program("versioningit", "git"),
    library("weasyprint", "libpangoft2-1.0.so.0", "libpangoft2-1.0-0"),
    program("west", "git"),
    program("yq", "jq"),
    program("yt-dlp", "ffmpeg"),
    library("zbarlight", "libzbar.so.0", "libzbar0"),
];

/// Returns a hint for each call of `wheels` whose program or library is not in `debs`.
pub(super) fn unanswered(wheels: &[LockedWheel], debs: &[LockedDeb]) -> Vec<Hint> {
    let brings = |name: &str| wheels.iter().any(|wheel| wheel.name == name);
    // Packages that were renamed for 64-bit time have `t64` at the end of their names.
    let is_there = |package: &str| debs.iter().any(|deb| deb.name.trim_end_matches("t64") == package);
    let hint = |Call { caller, called, package, spared_by }: &Call| {
        let package = package.or_else(|| remedies::package_of(called))?;
        let is_open = brings(caller) && !is_there(package) && !spared_by.iter().any(|other| brings(other));
        is_open.then(|| Hint::Call {
            caller: (*caller).to_owned(),
            called: (*called).to_owned(),
            add: remedies::of_package(package),
        })
    };
    CALLS.iter().filter_map(hint).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::hint::Addition;
    use crate::model::lock::WheelSource;

    fn wheel(name: &str) -> LockedWheel {
        LockedWheel {
            name: name.to_owned(),
            version: "1".to_owned(),
            file_name: format!("{name}-1-py3-none-any.whl"),
            url: String::new(),
            digest: Digest::of(b""),
            size_bytes: None,
            is_requested: true,
            required_by: Vec::new(),
            source: WheelSource::Index,
        }
    }

    fn call(caller: &str, called: &str, add: Addition) -> Hint {
        Hint::Call { caller: caller.to_owned(), called: called.to_owned(), add }
    }

    #[test]
    fn a_call_has_a_hint_unless_another_wheel_contains_the_library() {
        let hints = unanswered(&[wheel("psycopg"), wheel("rich")], &[]);
        assert_eq!(hints, [call("psycopg", "libpq.so.5", Addition::Package("libpq5".to_owned()))]);
        assert!(unanswered(&[wheel("psycopg"), wheel("psycopg-binary")], &[]).is_empty());
    }

    #[test]
    fn a_shell_and_a_program_have_different_additions() {
        let package = Addition::Package("openssh-client".to_owned());
        let expected = [call("ansible-core", "sh", Addition::Shell), call("ansible-core", "ssh", package)];
        assert_eq!(unanswered(&[wheel("ansible-core")], &[]), expected);
    }

    #[test]
    fn calls_are_sorted_and_each_has_its_package() {
        assert!(CALLS.is_sorted_by(|one, other| (one.caller, one.called) < (other.caller, other.called)));
        assert!(CALLS.iter().all(|call| call.package.is_some() || remedies::package_of(call.called).is_some()));
    }
}
