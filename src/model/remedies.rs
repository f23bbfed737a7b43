//! What to add for programs and modules that are missing because no metadata declares them: the Debian package that
//! contains a program, and the distribution that contains a module.

use crate::model::hint::Addition;
use crate::model::platform::PythonVersion;

/// Returns the Debian package that contains `program`, if known.
pub(crate) fn package_of(program: &str) -> Option<&'static str> {
    PROGRAMS.iter().find(|(_, programs)| programs.split(' ').any(|known| known == program)).map(|(package, _)| *package)
}

/// Returns the addition that contains a Debian package.
pub(crate) fn of_package(package: &str) -> Addition {
    match package {
        SHELL => Addition::Shell,
        package => Addition::Package(package.to_owned()),
    }
}

/// Returns the addition that contains `program`, if its package is known.
pub(crate) fn of_program(program: &str) -> Option<Addition> {
    package_of(program).map(of_package)
}

/// Returns every program whose package is known.
pub(crate) fn programs() -> impl Iterator<Item = &'static str> {
    PROGRAMS.iter().flat_map(|(_, programs)| programs.split(' '))
}

/// Returns the addition that contains `module`. Covers modules of the standard library that Debian packages separately, and
/// those of setuptools and pip, because many distributions use these without declaring it.
pub(crate) fn of_module(module: &str, python: PythonVersion) -> Option<Addition> {
    let package = |name: &str| Addition::Package(name.to_owned());
    let requirement = |text: &str| Addition::Requirement(text.to_owned());
    Some(match module.split('.').next()? {
        "_gdbm" => package("python3-gdbm"),
        "_tkinter" | "tkinter" | "turtle" => package("python3-tk"),
        "ensurepip" => package("python3-venv"),
        "idlelib" => package(&format!("idle-python{python}")),
        // Python removed its own in 3.12 and 3.13.
        "distutils" if python.minor < 12 => package("python3-distutils"),
        "lib2to3" if python.minor < 13 => package("python3-lib2to3"),
        "distutils" | "setuptools" => requirement("setuptools"),
        "pip" => requirement("pip"),
        // Newer versions of setuptools do not contain it.
        "pkg_resources" => requirement("setuptools<81"),
        _ => return None,
    })
}

/// The package that `--shell` adds.
const SHELL: &str = "dash";

/// Debian packages and their programs, the same in every release.
const PROGRAMS: &[(&str, &str)] = &[
    // `ldd` is included because it is a bash script.
    ("bash", "bash ldd"),
    ("binutils", "ar as ld nm objcopy objdump ranlib readelf strings strip"),
    ("bzip2", "bunzip2 bzip2"),
    ("cmake", "cmake ctest"),
    (
        "coreutils",
        "arch b2sum base32 base64 basename cat chgrp chmod chown chroot cksum comm cp csplit cut date dd df dir dirname du \
         echo env expand expr factor false fmt fold groups head hostid id install join link ln logname ls md5sum mkdir \
         mkfifo mknod mktemp mv nice nl nohup nproc numfmt od paste pathchk pinky pr printenv printf ptx pwd readlink \
         realpath rm rmdir runcon seq sha1sum sha224sum sha256sum sha384sum sha512sum shred shuf sleep sort split stat \
         stdbuf stty sum sync tac tail tee test timeout touch tr true truncate tsort tty uname unexpand uniq unlink users \
         vdir wc who whoami yes",
    ),
    ("curl", "curl"),
    (SHELL, "dash sh"),
    ("diffutils", "cmp diff diff3 sdiff"),
    ("ffmpeg", "ffmpeg ffplay ffprobe"),
    ("file", "file"),
    ("findutils", "find xargs"),
    ("g++", "c++ g++"),
    ("gcc", "cc gcc"),
    ("ghostscript", "gs ps2pdf"),
    ("git", "git"),
    ("gpg", "gpg"),
    ("graphviz", "dot neato"),
    ("grep", "egrep fgrep grep"),
    ("gzip", "gunzip gzip zcat"),
    ("hostname", "hostname"),
    ("imagemagick", "convert identify magick"),
    ("iproute2", "ip ss"),
    ("iputils-ping", "ping"),
    ("jq", "jq"),
    ("less", "less"),
    ("lsof", "lsof"),
    ("make", "make"),
    ("man-db", "man"),
    ("mawk", "awk mawk"),
    ("mercurial", "hg"),
    ("mount", "mount umount"),
    ("nodejs", "node"),
    ("npm", "npm npx"),
    ("openssh-client", "scp sftp ssh ssh-add ssh-agent ssh-keygen ssh-keyscan"),
    ("openssl", "openssl"),
    ("pandoc", "pandoc"),
    ("patch", "patch"),
    ("perl-base", "perl"),
    ("poppler-utils", "pdfinfo pdftocairo pdftoppm pdftotext"),
    ("postgresql-client", "pg_dump pg_restore psql"),
    ("procps", "free pgrep pkill ps sysctl top uptime"),
    ("rsync", "rsync"),
    ("ruby", "ruby"),
    ("sed", "sed"),
    ("sqlite3", "sqlite3"),
    ("subversion", "svn"),
    ("sudo", "sudo"),
    ("tar", "tar"),
    ("tesseract-ocr", "tesseract"),
    ("tmux", "tmux"),
    ("unzip", "unzip"),
    ("util-linux", "dmesg flock getopt lsblk lscpu setsid unshare"),
    ("wget", "wget"),
    ("xdg-utils", "xdg-open"),
    ("xz-utils", "xz unxz"),
    ("zip", "zip"),
    ("zstd", "zstd"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_has_one_package() {
        assert!(PROGRAMS.is_sorted_by(|(one, _), (other, _)| one < other));
        let mut all: Vec<&str> = programs().collect();
        all.sort_unstable();
        assert!(all.is_sorted_by(|one, other| one < other), "{all:?}");
    }

    #[test]
    fn programs_and_modules_have_their_additions() {
        let package = |name: &str| Some(Addition::Package(name.to_owned()));
        let table = [
            ("sh", Some(Addition::Shell)),
            ("uname", package("coreutils")),
            ("psql", package("postgresql-client")),
            ("frobnicate", None),
        ];
        for (program, addition) in table {
            assert_eq!(of_program(program), addition, "{program}");
        }
        let requirement = |text: &str| Some(Addition::Requirement(text.to_owned()));
        let table = [
            ("pkg_resources.extern", requirement("setuptools<81"), requirement("setuptools<81")),
            ("tkinter.ttk", package("python3-tk"), package("python3-tk")),
            ("_gdbm", package("python3-gdbm"), package("python3-gdbm")),
            ("ensurepip", package("python3-venv"), package("python3-venv")),
            ("idlelib", package("idle-python3.11"), package("idle-python3.13")),
            ("distutils.core", package("python3-distutils"), requirement("setuptools")),
            ("lib2to3", package("python3-lib2to3"), None),
            ("frobnicate", None, None),
        ];
        for (module, of_old, of_new) in table {
            let [old, new] = [11, 13].map(|minor| of_module(module, PythonVersion { major: 3, minor }));
            assert_eq!((old, new), (of_old, of_new), "{module}");
        }
    }
}
