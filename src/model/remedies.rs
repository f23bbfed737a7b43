//! Hints for programs and modules that are missing because no metadata declares them: the Debian package that contains
//! a program, and the distribution that contains a module.

/// Returns the Debian package that contains `program`, if known.
pub(crate) fn package_of(program: &str) -> Option<&'static str> {
    PROGRAMS.iter().find(|(_, programs)| programs.split(' ').any(|known| known == program)).map(|(package, _)| *package)
}

/// Returns the hint that adds a Debian package.
pub(crate) fn of_package(package: &str) -> String {
    match package {
        SHELL => "add it with `--shell`".to_owned(),
        package => format!("add it with `--with {package}`"),
    }
}

/// Returns the hint that adds `program`, if its package is known.
pub(crate) fn of_program(program: &str) -> Option<String> {
    package_of(program).map(of_package)
}

/// Returns every program whose package is known.
pub(crate) fn programs() -> impl Iterator<Item = &'static str> {
    PROGRAMS.iter().flat_map(|(_, programs)| programs.split(' '))
}

/// Returns the hint that adds `module`. Covers modules of the standard library that Debian packages separately, and
/// those of setuptools, because many distributions import setuptools without declaring it.
pub(crate) fn of_module(module: &str) -> Option<&'static str> {
    Some(match module.split('.').next()? {
        "_gdbm" => "add it with `--with python3-gdbm`",
        "_tkinter" | "tkinter" | "turtle" => "add it with `--with python3-tk`",
        "ensurepip" => "add it with `--with python3-venv`",
        // Python removed its own distutils in 3.12.
        "distutils" | "setuptools" => "ask for `setuptools`, too",
        // Newer versions of setuptools do not contain it.
        "pkg_resources" => "ask for `'setuptools<81'`, too",
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
    fn remedies_name_the_words_of_the_command_line() {
        let table = [
            ("sh", Some("add it with `--shell`")),
            ("uname", Some("add it with `--with coreutils`")),
            ("psql", Some("add it with `--with postgresql-client`")),
            ("frobnicate", None),
        ];
        for (program, remedy) in table {
            assert_eq!(of_program(program).as_deref(), remedy, "{program}");
        }
        assert_eq!(of_module("pkg_resources.extern"), Some("ask for `'setuptools<81'`, too"));
        assert_eq!(of_module("tkinter.ttk"), Some("add it with `--with python3-tk`"));
        assert_eq!(of_module("frobnicate"), None);
    }
}
