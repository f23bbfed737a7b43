//! Tests of imports in the standard library that count only under a condition.

use super::*;

const STDLIB: &str = "/usr/lib/python3.13";

/// Returns an image with OpenSSL and with a program, whose text is `program`.
fn with_openssl(program: &str) -> Given {
    let at = |name: &str| format!("{LIBRARIES}/{name}");
    let module = |name: &str| format!("{STDLIB}/{name}");
    let extension = |name: &str| format!("{STDLIB}/lib-dynload/{name}.cpython-313-x86_64-linux-gnu.so");
    Given::new()
        .base(
            "stdlib",
            &[
                ("/usr/bin/python3.13", &elf(None, &[])),
                (&module("asyncio.py"), b"try: import ssl\nexcept ImportError: ssl = None"),
                (&module("hashlib.py"), b"try: import _hashlib\nexcept ImportError: pass"),
                (&module("ssl.py"), b"import _ssl"),
                (&extension("_ssl"), &elf(None, &["libssl.so.3"])),
                (&extension("_hashlib"), &elf(None, &["libcrypto.so.3"])),
            ],
        )
        .base(
            "libssl3",
            &[
                (&at("libssl.so.3"), &elf(Some("libssl.so.3"), &["libcrypto.so.3"])),
                (&at("libcrypto.so.3"), &elf(Some("libcrypto.so.3"), &[])),
                (&at("ossl-modules/legacy.so"), &elf(None, &["libcrypto.so.3", "libz.so.1"])),
                (&at("libz.so.1"), &elf(Some("libz.so.1"), &[])),
            ],
        )
        .asked("tool")
        .wheel("tool", &[(&format!("{SITE}/tool.py"), program.as_bytes())])
        .with_script("tool")
}

/// Returns the sorted names of the files that trim removes if the image contains this program.
fn gone_with(program: &str) -> Vec<String> {
    let slim = with_openssl(program).slim(TrimLevel::Reach, &[]);
    let files = slim.tree.removed.iter().filter(|(_, removal)| removal.reason != Removed::EmptiedDirectories);
    let name = |path: &ImagePath| path.file_name().split('.').next().unwrap_or_default().to_owned();
    let names: BTreeSet<String> = files.map(|(path, _)| name(path)).collect();
    names.into_iter().collect()
}

#[test]
fn openssl_stays_only_if_a_program_uses_it() {
    assert_eq!(
        gone_with("import asyncio, hashlib\nhashlib.sha256(b'')"),
        ["_hashlib", "_ssl", "legacy", "libcrypto", "libssl", "libz", "ssl"]
    );
    assert_eq!(gone_with("import asyncio\nasyncio.open_connection(host, 1, ssl=True)"), ["_hashlib", "hashlib"]);
    assert_eq!(gone_with("import hashlib\nhashlib.new(name)"), ["_ssl", "asyncio", "libssl", "ssl"]);
    assert_eq!(gone_with("import hashlib, ssl"), ["asyncio"], "if OpenSSL is there, hashlib uses it");
}

#[test]
fn a_module_that_uses_openssl_in_a_file_that_cannot_be_read_has_it() {
    let given = with_openssl("import asyncio, hashlib, helper")
        .wheel("helper", &[(&format!("{SITE}/helper.py"), b"print 'python 2'")]);
    let removed = given.slim(TrimLevel::Reach, &[]).tree.removed;
    assert_eq!(removed.keys().map(ImagePath::file_name).collect::<Vec<_>>(), [""; 0]);
}
