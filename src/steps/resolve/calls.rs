//! What well-known distributions call or open at run time and no wheel brings: pointed out, not added.

use crate::model::lock::{LockedDeb, LockedWheel};

/// A distribution, the program or library that it reaches for, and the Debian package that carries it.
struct Call {
    caller: &'static str,
    called: &'static str,
    package: &'static str,
    /// Distributions that bring their own.
    spared_by: &'static [&'static str],
}

const fn call(caller: &'static str, called: &'static str, package: &'static str) -> Call {
    Call { caller, called, package, spared_by: &[] }
}

const CALLS: [Call; 27] = [
    call("ansible-core", "ssh", "openssh-client"),
    call("cairocffi", "libcairo.so.2", "libcairo2"),
    call("cairosvg", "libcairo.so.2", "libcairo2"),
    call("commitizen", "git", "git"),
    call("cookiecutter", "git", "git"),
    call("copier", "git", "git"),
    call("detect-secrets", "git", "git"),
    call("ffmpeg-python", "ffmpeg", "ffmpeg"),
    call("gitpython", "git", "git"),
    call("graphviz", "dot", "graphviz"),
    call("pdf2image", "pdftoppm", "poppler-utils"),
    call("pre-commit", "git", "git"),
    Call { spared_by: &["psycopg-binary", "psycopg-c"], ..call("psycopg", "libpq.so.5", "libpq5") },
    call("pydot", "dot", "graphviz"),
    call("pydub", "ffmpeg", "ffmpeg"),
    call("pypandoc", "pandoc", "pandoc"),
    call("pytesseract", "tesseract", "tesseract-ocr"),
    Call { spared_by: &["python-magic-bin"], ..call("python-magic", "libmagic.so.1", "libmagic1") },
    call("pyusb", "libusb-1.0.so.0", "libusb-1.0-0"),
    call("pyzbar", "libzbar.so.0", "libzbar0"),
    call("setuptools-scm", "git", "git"),
    call("sounddevice", "libportaudio.so.2", "libportaudio2"),
    call("versioneer", "git", "git"),
    call("versioningit", "git", "git"),
    call("weasyprint", "libpangoft2-1.0.so.0", "libpangoft2-1.0-0"),
    call("yq", "jq", "jq"),
    call("zbarlight", "libzbar.so.0", "libzbar0"),
];

/// A sentence for each call of `wheels` that `debs` leave unanswered.
pub(super) fn unanswered(wheels: &[LockedWheel], debs: &[LockedDeb]) -> Vec<String> {
    let brings = |name: &str| wheels.iter().any(|wheel| wheel.name == name);
    // Libraries that were renamed for 64-bit time have `t64` after their names.
    let is_there = |package: &str| debs.iter().any(|deb| deb.name.trim_end_matches("t64") == package);
    let is_open = |call: &&Call| {
        brings(call.caller) && !is_there(call.package) && !call.spared_by.iter().any(|other| brings(other))
    };
    let sentence = |call: &Call| {
        let Call { caller, called, package, .. } = call;
        format!("{caller} calls `{called}`, which is not in the image: add it with `--with {package}`")
    };
    CALLS.iter().filter(is_open).map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
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
            source: WheelSource::Index,
        }
    }

    #[test]
    fn a_call_is_told_unless_somebody_answers() {
        let told = unanswered(&[wheel("psycopg"), wheel("rich")], &[]);
        assert_eq!(told, ["psycopg calls `libpq.so.5`, which is not in the image: add it with `--with libpq5`"]);
        assert!(unanswered(&[wheel("psycopg"), wheel("psycopg-binary")], &[]).is_empty());
    }

    #[test]
    fn callers_are_sorted_and_named_once() {
        assert!(CALLS.is_sorted_by(|one, other| one.caller < other.caller));
    }
}
