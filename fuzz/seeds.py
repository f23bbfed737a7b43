#!/usr/bin/env python3
"""Writes the first seeds of every target into `seeds/`: small valid inputs, and a few that are wrong in one way.

Needs Python 3.11 and the program `zstd`. The same script gives the same bytes. Seeds that a fuzzer found keep their names.
"""

import base64
import gzip
import hashlib
import io
import lzma
import pathlib
import struct
import subprocess
import tarfile
import zipfile

FOLDER = pathlib.Path(__file__).parent / "seeds"


def seed(target, name, contents):
    folder = FOLDER / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(contents.encode() if isinstance(contents, str) else contents)


# wheel, wheel_texts


def record_line(name, contents):
    digest = base64.urlsafe_b64encode(hashlib.sha256(contents).digest()).decode().rstrip("=")
    return f"{name},sha256={digest},{len(contents)}\n"


def wheel(files, compression, modes=None):
    files = {
        **files,
        "demo-1.dist-info/METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: 1\nSummary: A demo\n\nText.\n",
        "demo-1.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "demo-1.dist-info/entry_points.txt": b"[console_scripts]\ndemo = demo:main\n",
    }
    record = "".join(record_line(*item) for item in files.items()) + "demo-1.dist-info/RECORD,,\n"
    files["demo-1.dist-info/RECORD"] = record.encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, contents in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = compression
            info.create_system = 3
            info.external_attr = ((modes or {}).get(name, 0o100644)) << 16
            archive.writestr(info, contents)
    return buffer.getvalue()


PLAIN = {"demo/__init__.py": b"def main(): pass\n"}
DATA = {
    "demo-1.data/scripts/tool": b"#!python\n",
    "demo-1.data/data/share/x": b"x",
    "demo-1.data/headers/demo.h": b"",
    "demo-1.data/purelib/other.py": b"",
}
seed("wheel", "stored", wheel(PLAIN, zipfile.ZIP_STORED))
seed("wheel", "deflated", wheel({**PLAIN, "demo/zeros": bytes(3000)}, zipfile.ZIP_DEFLATED))
seed("wheel", "data", wheel({**PLAIN, **DATA}, zipfile.ZIP_STORED, {"demo-1.data/scripts/tool": 0o100755}))
seed("wheel", "scheme_is_a_file", wheel({"demo-1.data/scripts": b"x"}, zipfile.ZIP_STORED))
seed("wheel", "link", wheel({"link": b"/etc/passwd"}, zipfile.ZIP_STORED, {"link": 0o120777}))

METADATA = """Metadata-Version: 2.4
Name: demo
Version: 1
Summary: A demo
  of two lines
License-Expression: MIT OR ISC
License: GPL-3.0-only
Classifier: License :: OSI Approved :: MIT License
Home-page: https://demo.example
Project-URL: Source Code, https://code.example/demo
Project-URL: docs , https://docs.example

Summary: not this
"""
ENTRY_POINTS = "[console_scripts]\ndemo = demo.cli:main\nother=demo:other.run [extra]\n# no\n[gui_scripts]\nwindow = demo:w\n"
seed("wheel_texts", "all", f"{METADATA}%%\n{ENTRY_POINTS}%%\n\n%%\ndemo/__init__.py")
seed("wheel_texts", "quoted", 'Name: demo\n%%\n%%\n%%\nshare/my "demo",1.txt')
seed("wheel_texts", "data", "%%\n%%\n%%\ndemo-1.data/scripts/tool")
seed("wheel_texts", "record", '%%\n%%\n"a ""b""",sha512=abc,3\nghost.py,md5=0,0\n%%\nx')

# deb


def tar(entries, form=tarfile.GNU_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, kind, contents in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
            if kind == tarfile.REGTYPE:
                info.size = len(contents)
            else:
                info.linkname = contents.decode()
            archive.addfile(info, io.BytesIO(contents) if kind == tarfile.REGTYPE else None)
    # tarfile fills up a record of twenty blocks; two empty blocks are the end of a tar.
    return buffer.getvalue().rstrip(b"\0").ljust(512, b"\0") if not entries else shortened(buffer.getvalue())


def shortened(contents):
    blocks = -(-len(contents.rstrip(b"\0")) // 512)
    return contents[: blocks * 512].ljust(blocks * 512, b"\0") + bytes(1024)


def member_header(name, size):
    return f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{size:<10}`\n".encode()


def member(name, contents):
    return member_header(name, len(contents)) + contents + b"\n" * (len(contents) % 2)


def deb(control, data, ending="", pack=lambda contents: contents):
    return (
        b"!<arch>\n"
        + member("debian-binary", b"2.0\n")
        + member("control.tar" + ending, pack(control))
        + member("data.tar" + ending, pack(data))
    )


FOLDER_TYPE, FILE, LINK, HARD = tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
PARAGRAPH = b"Package: demo\nVersion: 1:1.0-1\nArchitecture: amd64\nDepends: libc6 (>= 2.38), a | b\nDescription: short\n long\n"
CONTROL = tar([("./", FOLDER_TYPE, b""), ("./control", FILE, PARAGRAPH), ("./postinst", FILE, b"#!/bin/sh\n")])
TREE = tar(
    [
        ("./", FOLDER_TYPE, b""),
        ("./usr/", FOLDER_TYPE, b""),
        ("./usr/demo", FILE, b"demo"),
        ("./usr/link", LINK, b"demo"),
        ("./usr/hard", HARD, b"./usr/demo"),
    ]
)
LONG = "./" + "d" * 120 + "/\u00fc"
seed("deb", "none", deb(CONTROL, TREE))
seed("deb", "xz", deb(CONTROL, TREE, ".xz", lambda contents: lzma.compress(contents, preset=0)))
seed("deb", "gz", deb(CONTROL, TREE, ".gz", lambda contents: gzip.compress(contents, mtime=0)))


def zstd(contents):
    return subprocess.run(["zstd", "-q", "-3", "-c"], input=contents, capture_output=True, check=True).stdout


seed("deb", "zst", deb(CONTROL, TREE, ".zst", zstd))
seed("deb", "long_names", deb(CONTROL, tar([(LONG, FILE, b"x"), ("l", LINK, LONG.encode())])))
seed("deb", "pax", deb(CONTROL, tar([(LONG, FILE, b"x"), ("l", LINK, LONG.encode())], tarfile.PAX_FORMAT)))
seed("deb", "device", deb(CONTROL, tar([("dev", tarfile.CHRTYPE, b"")])))


def header(name, size, flag, after=b"", contents=b""):
    """A block of GNU tar; `after` is what stands from byte 345 on."""
    block = bytearray(512)
    block[0 : len(name)] = name
    block[100:108] = b"0000644\0"
    block[108:124] = b"0000000\0" * 2
    # A size below zero stands for the largest that a number of base 256 can be.
    block[124:136] = b"%011o\0" % size if size >= 0 else b"\xff" * 12
    block[136:148] = b"%011o\0" % 0
    block[148:156] = b" " * 8
    block[156:157] = flag
    block[257:265] = b"ustar  \0"
    block[345 : 345 + len(after)] = after
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + contents.ljust(-(-len(contents) // 512) * 512, b"\0")


# Four pairs of offset and length begin at byte 386; the real size is at byte 483.
def sparse(real_size):
    pairs = b"%011o\0" % 0 + b"%011o\0" % 4 + b"%011o\0" % real_size + b"%011o\0" % 0
    return bytes(41) + pairs.ljust(97, b"\0") + b"%011o\0" % real_size


def data_of(*entries):
    return deb(CONTROL, b"".join(entries) + bytes(1024))


HOLES = 0o77777777777
seed("deb", "sparse", data_of(header(b"holes", 4, b"S", sparse(HOLES), b"abcd")))
seed("deb", "long_name", data_of(header(b"././@LongLink", 3000, b"L", b"", b"n" * 3000), header(b"x", 0, b"0")))
SIZES = header(b"pax", 10, b"x", b"", b"10 size=0\n")
seed("deb", "two_sizes", data_of(SIZES, header(b"x", -1, b"0")))
# Names of GNU and of BSD that ask for a table of ten gigabytes.
seed("deb", "table_of_names", b"!<arch>\n" + member_header("//", 9999999999))
seed("deb", "long_member_name", b"!<arch>\n" + member_header("#1/9999999999", 9999999999))

# control

seed("control", "paragraph", PARAGRAPH)
seed("control", "two", b"\n\nPackage: a\nVersion: 1.0~rc1-2+b1\nProvides: b (= 1), c:any\n\nPackage: b\nVersion: 2:1.10\nSize:\n 1\n .\n")
seed("control", "signs", "Depends: a (<< 1), b (<= 1), c (= 1.0.), d (>= 2:3-4), e (>> 5), f (< 6), g (>7)\n")

# pylock

LOCK = """lock-version = "1.0"
environments = ["sys_platform == 'linux'"]
created-by = "lath"

[[packages]]
name = "a"
version = "1.0"
wheels = [{ url = "https://host/a-1.0-py3-none-any.whl", size = 3, hashes = { sha256 = "00" } }]

[[packages]]
name = "b"
archive = { path = "b-1.tar.gz", hashes = { sha512 = "00" }, subdirectory = "x" }

[tool.lath]
version = 1
lath = "0.1.0"

[tool.lath.request]
requirements = ["a"]
python = "3.13"
base = "debian:trixie"
trim = "standard"
prerelease = "if-necessary"

[[tool.lath.platforms]]
platform = "linux/amd64"
wheels = [{ name = "a", version = "1.0", file = "a-1.0-py3-none-any.whl", requested = true }]
"""
seed("pylock", "own", LOCK)
seed("pylock", "foreign", LOCK[: LOCK.index("[tool.lath]")])

# release, in_release

RELEASE = f"""Origin: Debian
Suite: stable
Codename: trixie
Date: Sat, 10 Jan 2026 10:11:12 UTC
Valid-Until: Sat, 17 Jan 2026 10:11:12 UTC
Architectures: all amd64 arm64
Components: main contrib
Acquire-By-Hash: yes
MD5Sum:
 00 3 main/x
SHA256:
 {hashlib.sha256(b"").hexdigest()} 7 main/binary-amd64/Packages.xz
 {hashlib.sha256(b"x").hexdigest()} 123456 main/Contents-amd64.gz
"""
seed("release", "whole", RELEASE)
seed("release", "short", f"Suite: s\nCodename: c\nSHA256:\n {hashlib.sha256(b'').hexdigest()} 0 x\n")
SIGNED = (pathlib.Path(__file__).parent / "../tests/data/trixie-security.InRelease").read_text()
seed("in_release", "signed", SIGNED)
seed("in_release", "short", SIGNED[:200] + SIGNED[SIGNED.index("-----BEGIN PGP SIGNATURE") - 50 :])

# elf


def elf(needed, soname=None, runpath=None, interpreter=None, machine=62, debug_bytes=0, aliases=0):
    """A library of 64 bits: PT_LOAD, PT_DYNAMIC, perhaps PT_INTERP; with sections if `debug_bytes` is not 0.

    It needs the first library again as often as `aliases`, with no more bytes of names.
    """
    strings, entries = b"\0", []
    for tag, text in [*((1, name) for name in needed), (14, soname), (29, runpath)]:
        if text:
            entries.append((tag, len(strings)))
            strings += text.encode() + b"\0"
    entries += entries[:1] * aliases
    count = 3 if interpreter else 2
    dynamic = 64 + 56 * count
    strings_at = dynamic + 16 * (len(entries) + 3)
    interpreter_at = strings_at + len(strings)
    path = (interpreter.encode() + b"\0") if interpreter else b""
    end = interpreter_at + len(path)
    entries += [(5, strings_at), (10, len(strings)), (0, 0)]
    segments = [(1, 0, end), (2, dynamic, strings_at - dynamic)]
    if interpreter:
        segments.append((3, interpreter_at, len(path)))
    body = b"".join(struct.pack("<IIQQQQQQ", kind, 4, at, at, at, size, size, 8) for kind, at, size in segments)
    body += b"".join(struct.pack("<QQ", *entry) for entry in entries) + strings + path
    sections, sections_at, tail = 0, 0, b""
    if debug_bytes:
        names = b"\0.dynamic\0.debug_info\0.shstrtab\0"
        names_at = end + debug_bytes
        sections_at = -(-(names_at + len(names)) // 8) * 8
        table = bytes(64)
        for name, kind, flags, at, size in [
            (1, 6, 2, dynamic, strings_at - dynamic),
            (10, 1, 0, end, debug_bytes),
            (22, 3, 0, names_at, len(names)),
        ]:
            table += struct.pack("<IIQQQQIIQQ", name, kind, flags, 0, at, size, 0, 0, 1, 0)
        tail = (bytes(debug_bytes) + names).ljust(sections_at - end, b"\0") + table
        sections = 4
    start = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    start += struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, sections_at, 0, 64, 56, count, 64, sections, max(sections - 1, 0))
    return start + body + tail


seed("elf", "library", elf(["libc.so.6", "libm.so.6"], soname="libdemo.so.1", runpath="$ORIGIN/../lib:/opt/lib"))
seed("elf", "program", elf(["libc.so.6"], interpreter="/lib64/ld-linux-x86-64.so.2"))
seed("elf", "arm", elf(["libc.so.6"], machine=183))
seed("elf", "debug", elf(["libc.so.6"], soname="libdemo.so.1", debug_bytes=5000))
seed("elf", "many_names", elf(["n" * 6000], aliases=400))
seed("elf", "narrow", b"\x7fELF\x01\x01\x01" + bytes(45))

# ld_so_cache


def cache(libraries):
    strings_at = 48 + 24 * len(libraries)
    strings, entries = b"", b""
    for soname, path in libraries:
        first = strings_at + len(strings)
        strings += soname.encode() + b"\0"
        entries += struct.pack("<IIIIQ", 0x303, first, strings_at + len(strings), 0, 0)
        strings += path.encode() + b"\0"
    return b"glibc-ld.so.cache1.1" + struct.pack("<IIBxxxIIII", len(libraries), len(strings), 2, 0, 0, 0, 0) + entries + strings


seed("ld_so_cache", "two", cache([("libz.so.1", "/usr/lib/libz.so.1"), ("libc.so.6", "/usr/lib/libc.so.6")]))
seed("ld_so_cache", "none", cache([]))
seed("ld_so_cache", "names", b"libx.so.9\0/x9\0libx.so.10\0/x10\0libx.so.9\0/again\0")

# gsettings

KEYS = """<key name="a" type="a{sv}"><default>{'x': &lt;[1, 2.5]&gt;, 'y': &lt;just b'z'&gt;}</default></key>
<key name="b" enum="e"><default>'one'</default><aliases><alias value="uno" target="one"/></aliases></key>
<key name="c" type="(iuxts)"><default>(-1, 0x2, 3, 010, "\\u00e9")</default></key>
<key name="d" type="s"><choices><choice value="x"/></choices><default l10n="messages">'x'</default></key>
<key name="e" type="d"><range min="0" max="10"/><default>1e0</default></key><child name="f" schema="m"/>"""
SCHEMAS = f"""<schemalist gettext-domain="g"><enum id="e"><value nick="one" value="1"/></enum>
<schema id="l">{KEYS}</schema><schema id="m" extends="l"><override name="e">2</override></schema>
<schema id="n" list-of="l" path="/n:/"/></schemalist>"""
seed("gsettings", "schemas", SCHEMAS)
seed("gsettings", "overrides", SCHEMAS + "\0[l]\ne=3\n# x\n[l:GNOME]\nb='one'\n")
seed("gsettings", "fault", SCHEMAS.replace("'one'", "'two'"))


# git_index


def git_index(version, entries):
    head = b"DIRC" + version.to_bytes(4, "big") + len(entries).to_bytes(4, "big")
    return head + b"".join(entries)


def entry_of_git(path, flags=b"\0\0"):
    entry = bytes(60) + flags + path + b"\0"
    return entry + bytes(-len(entry) % 8)


seed("git_index", "two", git_index(2, [entry_of_git(b"a/b"), entry_of_git(b"main.py")]))
seed("git_index", "flags", git_index(3, [entry_of_git(b"x", b"\x40\0\x20\0")]))
seed("git_index", "prefixes", git_index(4, [bytes(62) + b"\0a/b\0", bytes(62) + b"\x01c\0"]))

# tar: what the target makes of bytes is no format of anybody's; any bytes are a seed.

seed("tar", "letters", b"usr/bin/demo" * 12)
seed("tar", "numbers", bytes(range(256)) * 2)

# saved_image


def saved(files):
    return tar([(name, FILE, contents) for name, contents in files])


BELOW = tar(
    [
        ("var/lib/dpkg/info/bash:amd64.list", FILE, b"/bin/bash\n"),
        ("var/lib/dpkg/status", FILE, b"Package: bash\n"),
        ("tmp/a/b", FILE, b"bytes"),
        ("kept", FILE, b"1234"),
    ]
)
ABOVE = tar([("tmp/.wh.a", FILE, b""), ("kept", FILE, b"12")])
seed("saved_image", "plain", saved([("manifest.json", b"[]"), ("1/layer.tar", BELOW), ("2/layer.tar", ABOVE)]))
PACKED = gzip.compress(ABOVE, mtime=0)
seed("saved_image", "packed", saved([("blobs/sha256/1", gzip.compress(BELOW, mtime=0)), ("blobs/sha256/2", PACKED)]))
SPARSE = header(b"var/lib/dpkg/status", 4, b"S", sparse(HOLES), b"abcd") + bytes(1024)
seed("saved_image", "sparse", saved([("1/layer.tar", SPARSE)]))

# oci_layout

ENTRY = '{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:00","size":7,"annotations":%s}'
INDEX = '{"schemaVersion":2,"manifests":[%s]}'
seed("oci_layout", "two", INDEX % ",".join(ENTRY % f'{{"org.opencontainers.image.ref.name":"{name}"}}' for name in ("latest", "other")))
FIELDS = 'null,"platform":{"os":"linux","architecture":"arm64","variant":"v8"},"data":"e30=","x-own":{"a":[null,1]}'
seed("oci_layout", "fields", '{"manifests":[%s],"annotations":{"a":"b"},"x-own":1}' % (ENTRY % FIELDS))
seed("oci_layout", "bare", INDEX % ('"odd",1e3,' + ENTRY % "null"))

# requirements

seed(
    "requirements",
    "lines",
    """# comment
requests[socks] >=2.31,<3 ; python_version >= "3.9" and sys_platform == 'linux'  # why
idna==3.7 \\
    --hash=sha256:%s
demo @ https://example.org/demo-1-py3-none-any.whl#sha256=%s
./wheels/demo-1-py3-none-any.whl
-e ./project[extra]
--index-url https://user:secret@index.example/simple
--extra-index-url=https://more.example/simple
--find-links ./wheels
--no-binary :all:
--only-binary demo
-c constraints.txt
-r more.txt
git+https://github.com/demo/demo@main#egg=demo&subdirectory=x
${HOME}/wheel.whl
"""
    % ("0" * 64, "1" * 64),
)
seed("requirements", "short", "black==24.1.0\n")
