//! The files of wheels in the user base: site-packages, scripts and data. An installer places them in the same way
//! (packaging.python.org, "Recording installed projects", "Entry points specification").

use std::collections::BTreeMap;
use std::io::{self, Read as _, Seek as _};

use memchr::memmem;

use super::{AssembleError, put, write_bytes, write_text};
use crate::formats::mentions::Texts;
use crate::formats::wheel::{self, Scheme, base64_url, with_installed_paths};
use crate::model::assembly::{Assembly, InstalledScript};
use crate::model::digest::Digest;
use crate::model::facts::Facts;
use crate::model::image_path::ImagePath;
use crate::model::lock::{LockedWheel, PlatformLock, WheelSource};
use crate::model::part::{ConsoleScript, PartEntry, RecordFault, RecordFaultKind, WheelPart};
use crate::model::platform::PythonVersion;
use crate::model::python_home::Python;
use crate::model::request::WrittenScript;
use crate::model::source::BuiltPlace;
use crate::model::tree::{Kind, Node, Origin};
use crate::model::user_base::UserBase;
use crate::outside::facts::{self, Kept};
use crate::outside::store::{Store, StoreError};

/// The image into which wheels are placed.
pub(super) struct Target<'a> {
    pub(super) lock: &'a PlatformLock,
    pub(super) python: Python<'a>,
    pub(super) user_base: &'a UserBase,
}

/// Adds one wheel's files and scripts.
pub(super) fn place(
    wheel: &WheelPart,
    origin: &Origin,
    target: &Target<'_>,
    assembly: &mut Assembly,
    store: &Store,
) -> Result<(), AssembleError> {
    let Origin::Wheel { name, .. } = origin else { return Ok(()) };
    let Target { lock, python, user_base: base } = *target;
    let (version, interpreter) = (python.version, python.program());
    let locked = lock.wheels.iter().find(|locked| locked.name == *name);
    let site = base.site(version);
    put_all(&wheel.site, &site, origin, assembly)?;
    put_all(&wheel.data, base.path().as_str(), origin, assembly)?;
    put_all(&wheel.headers, &format!("{base}/include/python{version}/{name}"), origin, assembly)?;
    let mut written = Vec::new();
    for entry in &wheel.scripts {
        let Kind::File { digest, size_bytes } = &entry.kind else { continue };
        let start = store.read_start(digest, FIRST_LINE_BYTES)?;
        let is_program = is_program(entry, &start);
        let rewritten = with_interpreter(digest, &start, &interpreter, store)?;
        let own = Kept { digest: *digest, size_bytes: *size_bytes, facts: Facts::default() };
        let mode = if is_program { 0o755 } else { entry.mode };
        written.push(Written {
            name: &entry.path,
            kept: rewritten.unwrap_or(own),
            mode,
            is_program,
            entry_point: None,
        });
    }
    for script in &wheel.console_scripts {
        let text = script_text(script, &interpreter);
        let kept = facts::keep_bytes(text.as_bytes(), Texts::Scripts, store)?;
        let entry_point = Some(script);
        written.push(Written { name: &script.name, kept, mode: 0o755, is_program: true, entry_point });
    }
    let mut record = String::new();
    for Written { name: script, kept, mode, is_program, entry_point } in written {
        let path = ImagePath::parse(&base.program(script))?;
        record.push_str(&record_line(&format!("../../../bin/{script}"), &kept.digest, kept.size_bytes));
        put(kept, path, mode, origin, assembly);
        if !is_program {
            continue;
        }
        assembly.scripts.push(InstalledScript {
            is_requested: lock.requests_script(name, script),
            name: script.to_owned(),
            distribution: name.clone(),
            module: entry_point.map(|script| script.module.clone()),
            attribute: entry_point.map(|script| script.attribute.clone()),
        });
    }
    let folder = Metadata { site: &site, dist_info: &wheel.dist_info, python: version, name };
    complete_record(&folder, &record, locked, assembly, store)
}

/// Writes a console script that no distribution contains. Refuses a script that would replace another one.
pub(super) fn write_script(
    script: &WrittenScript,
    target: &Target<'_>,
    assembly: &mut Assembly,
    store: &Store,
) -> Result<(), AssembleError> {
    let WrittenScript { name, module, function } = script;
    let path = ImagePath::parse(&target.user_base.program(name))?;
    if let Some(node) = assembly.tree.nodes.get(&path) {
        return Err(AssembleError::Script { name: name.clone(), origin: node.origin.clone() });
    }
    let entry_point = ConsoleScript { name: name.clone(), module: module.clone(), attribute: function.clone() };
    let text = script_text(&entry_point, &target.python.program());
    write_bytes(&mut assembly.tree, path.as_str(), text.as_bytes(), 0o755, store)?;
    assembly.scripts.push(InstalledScript {
        name: name.clone(),
        distribution: String::new(),
        module: Some(module.clone()),
        attribute: Some(function.clone()),
        is_requested: true,
    });
    Ok(())
}

/// Returns one sentence for each pair of wheels that contain the same path with different contents. A wheel can also
/// contain a path twice, for example as a module and in its `data` scheme. Like with pip, the image contains the file
/// that is placed later. If two different wheels contain the path, only files that Python imports or that a user runs
/// are reported. Other files, such as licences, may differ without harm.
pub(super) fn overlaps(wheels: &[(&Origin, &WheelPart)], base: &UserBase, version: PythonVersion) -> Vec<String> {
    let bin = base.program("");
    let mut first: BTreeMap<String, (&Origin, String)> = BTreeMap::new();
    let mut pairs: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
    for (origin, wheel) in wheels {
        for Placed { path, shown, contents } in placed(wheel, base, version) {
            let is_code = [".py", ".so", ".pth"].iter().any(|ending| shown.ends_with(ending)) || path.starts_with(&bin);
            if let Some((other, before)) = first.insert(path, (origin, contents.clone()))
                && before != contents
                && (is_code || other == *origin)
            {
                pairs.entry((other.to_string(), origin.to_string())).or_default().push(shown);
            }
        }
    }
    let sentence = |((earlier, later), paths): ((String, String), Vec<&str>)| {
        let more = match paths.len() - 1 {
            0 => String::new(),
            1 => " and another file".to_owned(),
            more => format!(" and {more} more files"),
        };
        if earlier == later {
            return format!(
                "`{}`{more} of {later} replaced another file of the same wheel that has the same path and other contents",
                paths[0]
            );
        }
        format!("`{}`{more} of {later} replaced the file of {earlier}, which has other contents", paths[0])
    };
    pairs.into_iter().map(sentence).collect()
}

/// Returns one sentence for each kind of difference between a wheel and its RECORD. lath does not refuse such a wheel.
/// Installers accept it, and lath has checked the digest of the whole wheel. But tools in the image that read RECORD
/// get wrong data.
pub(super) fn record_faults(origin: &Origin, wheel: &WheelPart) -> Vec<String> {
    let sentence = |RecordFault { kind, path, others }: &RecordFault| {
        let problem = match kind {
            RecordFaultKind::NotContained => "lists a file that the wheel does not contain",
            RecordFaultKind::NotListed => "does not list a file of the wheel",
            RecordFaultKind::NoDigest => "has no sha256 or stronger digest for a file",
            RecordFaultKind::OtherDigest => "has the digest of other contents for a file",
            RecordFaultKind::Hexadecimal => "has a digest in hexadecimal digits instead of base64",
        };
        let more = match others {
            0 => String::new(),
            others => format!(", and the same for {others} more"),
        };
        format!("the RECORD of {origin} is wrong: it {problem}, `{path}`{more}")
    };
    wheel.record_faults.iter().map(sentence).collect()
}

/// A file of a wheel, and its place in the image.
struct Placed<'a> {
    path: String,
    /// The path in the wheel.
    shown: &'a str,
    /// A text that identifies the contents. It is the same for two files with equal contents.
    contents: String,
}

/// Returns the files that [`place`] puts into the image, in the same order. Headers are left out, because each wheel
/// has a separate folder for them.
fn placed<'a>(wheel: &'a WheelPart, base: &UserBase, version: PythonVersion) -> Vec<Placed<'a>> {
    let folders = [(base.site(version), &wheel.site), (base.to_string(), &wheel.data), (base.bin(), &wheel.scripts)];
    let mut all = Vec::new();
    for (folder, entries) in folders {
        all.extend(entries.iter().map(|entry| Placed {
            path: format!("{folder}/{}", entry.path),
            shown: &entry.path,
            contents: format!("{:?}", entry.kind),
        }));
    }
    all.extend(wheel.console_scripts.iter().map(|script| Placed {
        path: base.program(&script.name),
        shown: &script.name,
        contents: format!("{}:{}", script.module, script.attribute),
    }));
    all
}

fn put_all(
    entries: &[PartEntry],
    directory: &str,
    origin: &Origin,
    assembly: &mut Assembly,
) -> Result<(), AssembleError> {
    for entry in entries {
        let path = ImagePath::parse(&format!("{directory}/{}", entry.path))?;
        let node = Node {
            kind: entry.kind.clone(),
            mode: entry.mode,
            owner: 0,
            group: None,
            origin: origin.clone(),
            kept: None,
        };
        assembly.tree.insert(path, node);
    }
    Ok(())
}

/// If the first line of a script is longer than this, the line is not replaced.
const FIRST_LINE_BYTES: u64 = 4096;

/// A file that is placed in the folder of executables.
struct Written<'a> {
    name: &'a str,
    kept: Kept,
    mode: u32,
    is_program: bool,
    entry_point: Option<&'a ConsoleScript>,
}

/// Returns whether a file of the `scripts` scheme is a program. Files in subfolders are not programs but data of
/// programs, such as the `.proto` files of `protoc`. Some tools write wheels without permissions, so a file that begins
/// like a script or an ELF file is a program, too.
fn is_program(entry: &PartEntry, start: &[u8]) -> bool {
    !entry.path.contains('/') && (entry.mode & 0o111 != 0 || start.starts_with(b"#!") || start.starts_with(b"\x7fELF"))
}

/// Replaces the first line if it does not name a particular Python: `#!python`, `#!pythonw` (Binary distribution
/// format, "Installing a wheel", 2.4) and `#!/usr/bin/env python3`. Returns the new contents. `None` if the file has
/// another first line.
fn with_interpreter(
    digest: &Digest,
    start: &[u8],
    interpreter: &str,
    store: &Store,
) -> Result<Option<Kept>, AssembleError> {
    let line_end = start.iter().position(|byte| *byte == b'\n').unwrap_or(start.len());
    let (line, _) = start.split_at(line_end);
    if !line.starts_with(b"#!python") && !is_python_by_env(line) {
        return Ok(None);
    }
    let mut rest = store.reader(digest)?;
    let skipped = rest.seek(io::SeekFrom::Start(line_end as u64));
    skipped.map_err(|source| StoreError::Read { path: store.contents_place(digest), source })?;
    let first_line = format!("#!{interpreter}");
    let mut rewritten = first_line.as_bytes().chain(rest);
    Ok(Some(facts::keep(&mut rewritten, Texts::Scripts, store, |reader| store.put_reader(reader))?))
}

/// Returns whether `line` is `#!/usr/bin/env python3`, or the same with `python`.
fn is_python_by_env(line: &[u8]) -> bool {
    let Some(command) = str::from_utf8(line).ok().and_then(|line| line.strip_prefix("#!")) else { return false };
    let mut words = command.split_whitespace();
    words.next() == Some("/usr/bin/env") && matches!(words.next(), Some("python" | "python3")) && words.next().is_none()
}

fn script_text(script: &ConsoleScript, interpreter: &str) -> String {
    let ConsoleScript { module, attribute, .. } = script;
    let first = attribute.split('.').next().unwrap_or_default();
    format!(
        "#!{interpreter}\nimport sys\nfrom {module} import {first}\nif __name__ == '__main__':\n    sys.exit({attribute}())\n"
    )
}

fn record_line(path: &str, digest: &Digest, size_bytes: u64) -> String {
    format!("{path},sha256={},{size_bytes}\n", base64_url(digest.as_bytes()))
}

/// The folder with the metadata of a wheel.
struct Metadata<'a> {
    site: &'a str,
    dist_info: &'a str,
    python: PythonVersion,
    /// The name of the distribution.
    name: &'a str,
}

impl Metadata<'_> {
    /// Returns the path of a wheel's file relative to site-packages, like in a RECORD of pip. `None` if the file is a
    /// script, because lath adds other lines for scripts.
    fn installed(&self, path: &str) -> Option<String> {
        let Self { dist_info, python, name, .. } = self;
        match wheel::place(path, dist_info) {
            Ok((Scheme::Site, path)) => Some(path),
            Ok((Scheme::Scripts, _)) => None,
            Ok((Scheme::Data, path)) => Some(format!("../../../{path}")),
            Ok((Scheme::Headers, path)) => Some(format!("../../../include/python{python}/{name}/{path}")),
            Err(_) => Some(path.to_owned()),
        }
    }
}

/// Adds to dist-info the files that an installer writes: the name of the installer, whether the user requested the
/// wheel, the source of the wheel, and a complete RECORD.
fn complete_record(
    metadata: &Metadata<'_>,
    scripts: &str,
    locked: Option<&LockedWheel>,
    assembly: &mut Assembly,
    store: &Store,
) -> Result<(), AssembleError> {
    let dist_info = metadata.dist_info;
    let folder = format!("{}/{dist_info}", metadata.site);
    let mut lines = scripts.to_owned();
    let mut own = vec![("INSTALLER", "lath\n".to_owned())];
    if locked.is_some_and(|locked| locked.is_requested) {
        own.push(("REQUESTED", String::new()));
    }
    own.extend(locked.and_then(direct_url).map(|text| ("direct_url.json", text)));
    for (name, text) in own {
        write_text(&mut assembly.tree, &format!("{folder}/{name}"), &text, store)?;
        lines.push_str(&record_line(&format!("{dist_info}/{name}"), &Digest::of(text.as_bytes()), text.len() as u64));
    }
    let record = ImagePath::parse(&format!("{folder}/RECORD"))?;
    let Some(node) = assembly.tree.nodes.get(&record) else { return Ok(()) };
    let (Some(digest), mode, origin) = (node.digest(), node.mode, node.origin.clone()) else { return Ok(()) };
    let mut bytes = store.read(digest)?;
    if memmem::find(&bytes, b".data/").is_some() {
        let text = String::from_utf8_lossy(&bytes);
        bytes = with_installed_paths(&text, |path| metadata.installed(path)).into_bytes();
    }
    if !bytes.is_empty() && !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(lines.as_bytes());
    put(facts::keep_bytes(&bytes, Texts::Scripts, store)?, record, mode, &origin, assembly);
    Ok(())
}

/// Returns the text of `direct_url.json` (packaging.python.org, "Recording the Direct URL Origin") if a requirement
/// names the wheel or its source by a URL. A distribution that is named by its path gets no such file, because the file
/// would reveal the path on the building machine.
fn direct_url(wheel: &LockedWheel) -> Option<String> {
    if wheel.source != WheelSource::Url {
        return None;
    }
    let archive = |url: &str, digest: &Digest| {
        let digest = digest.to_string();
        let hashes = serde_json::json!({ "hash": format!("sha256={digest}"), "hashes": { "sha256": digest } });
        serde_json::json!({ "archive_info": hashes, "url": url })
    };
    let Some(build) = &wheel.built else { return Some(archive(&wheel.url, &wheel.digest).to_string()) };
    let mut origin = match &build.from.place {
        BuiltPlace::Archive { url } => archive(url, &build.from.archive),
        BuiltPlace::Git { url, commit } => {
            let info = serde_json::json!({ "vcs": "git", "commit_id": commit });
            serde_json::json!({ "vcs_info": info, "url": url })
        }
        BuiltPlace::Folder(_) => return None,
    };
    if let Some(subdirectory) = &build.from.subdirectory {
        origin["subdirectory"] = subdirectory.as_str().into();
    }
    Some(origin.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo(files: &[(&str, &[u8])]) -> WheelPart {
        WheelPart {
            is_purelib: true,
            dist_info: String::new(),
            metadata: String::new(),
            site: files
                .iter()
                .map(|(path, bytes)| PartEntry {
                    path: (*path).to_owned(),
                    kind: Kind::File { digest: Digest::of(bytes), size_bytes: bytes.len() as u64 },
                    mode: 0o644,
                })
                .collect(),
            scripts: Vec::new(),
            data: Vec::new(),
            headers: Vec::new(),
            console_scripts: Vec::new(),
            record_faults: Vec::new(),
        }
    }

    #[test]
    fn a_record_has_the_paths_at_which_files_are_installed() {
        let metadata =
            Metadata { site: "/s", dist_info: "demo-1.dist-info", python: "3.13".parse().unwrap(), name: "demo" };
        let text = "demo/a.py,sha256=x,1\n\"demo-1.data/data/share/a,b\",sha256=y,2\ndemo-1.data/purelib/c.py,,\n\
            demo-1.data/headers/d.h,sha256=z,3\ndemo-1.data/scripts/tool,sha256=o,4\nweather.data/model.bin,,\n";
        insta::assert_snapshot!(with_installed_paths(text, |path| metadata.installed(path)), @r#"
        demo/a.py,sha256=x,1
        "../../../share/a,b",sha256=y,2
        c.py,,
        ../../../include/python3.13/demo/d.h,sha256=z,3
        weather.data/model.bin,,
        "#);
    }

    #[test]
    fn a_script_runs_the_entry_point_by_the_absolute_interpreter() {
        let script =
            ConsoleScript { name: "tool".to_owned(), module: "a.b".to_owned(), attribute: "Main.run".to_owned() };
        let text = script_text(&script, "/usr/bin/python3.13");
        assert!(text.starts_with("#!/usr/bin/python3.13\n"), "{text}");
        assert!(text.contains("from a.b import Main\n") && text.contains("sys.exit(Main.run())"), "{text}");
    }

    #[test]
    fn two_wheels_with_the_same_module_are_told_and_with_the_same_bytes_are_not() {
        let wheel = demo;
        let origin = |name: &str| Origin::Wheel { name: name.to_owned(), version: "1".to_owned() };
        let (one, other) = (origin("opencv-python"), origin("opencv-python-headless"));
        let space: (&str, &[u8]) = ("google/__init__.py", b"");
        let first = wheel(&[("cv2/__init__.py", b"1"), ("cv2/cv2.so", b"1"), space, ("LICENSE", b"1")]);
        let second = wheel(&[("cv2/__init__.py", b"2"), ("cv2/cv2.so", b"2"), space, ("LICENSE", b"2")]);
        let overlaps = |wheels: &[(&Origin, &WheelPart)]| {
            overlaps(wheels, &UserBase::DEFAULT.parse().unwrap(), "3.13".parse().unwrap())
        };
        insta::assert_snapshot!(overlaps(&[(&one, &first), (&other, &second)]).join("\n"), @"
        `cv2/__init__.py` and another file of wheel opencv-python-headless replaced the file of wheel opencv-python, which has other contents
        ");
        assert_eq!(overlaps(&[(&one, &first), (&other, &first)]), Vec::<String>::new());
        let site = "lib/python3.13/site-packages";
        let twice = WheelPart { data: wheel(&[(&format!("{site}/LICENSE"), b"3")]).site, ..first.clone() };
        insta::assert_snapshot!(overlaps(&[(&one, &twice)]).join("\n"), @"
        `lib/python3.13/site-packages/LICENSE` of wheel opencv-python replaced another file of the same wheel that has the same path and other contents
        ");
        let script = |module: &str| ConsoleScript {
            name: "tool".to_owned(),
            module: module.to_owned(),
            attribute: "main".to_owned(),
        };
        let with_script = |module: &str| WheelPart { console_scripts: vec![script(module)], ..wheel(&[]) };
        let (tool, same, by_data) = (with_script("a"), with_script("b"), wheel(&[]));
        let by_data = WheelPart { data: wheel(&[("bin/tool", b"4")]).site, ..by_data };
        assert_eq!(overlaps(&[(&one, &tool), (&other, &tool)]), Vec::<String>::new());
        assert_eq!(overlaps(&[(&one, &tool), (&other, &same)]).len(), 1);
        assert_eq!(overlaps(&[(&one, &tool), (&other, &by_data)]).len(), 1);
    }

    #[test]
    fn a_first_line_that_runs_any_python_is_replaced() {
        for line in ["#!/usr/bin/env python3", "#! /usr/bin/env  python", "#!/usr/bin/env python3\r"] {
            assert!(is_python_by_env(line.as_bytes()), "{line}");
        }
        for line in ["#!/usr/bin/env python2", "#!/usr/bin/env -S python3 -u", "#!/usr/bin/env bash", "#!/bin/sh", ""] {
            assert!(!is_python_by_env(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn a_program_is_at_the_top_and_can_run() {
        let entry = |path: &str, mode| PartEntry { path: path.to_owned(), kind: Kind::Directory, mode };
        assert!(is_program(&entry("protoc", 0o755), b""));
        assert!(is_program(&entry("tool", 0o644), b"#!python"));
        assert!(is_program(&entry("tool", 0o644), b"\x7fELF"));
        assert!(!is_program(&entry("readme.txt", 0o644), b"text"));
        assert!(!is_program(&entry("include/google/api.proto", 0o755), b"syntax"));
    }

    #[test]
    fn a_record_that_is_wrong_is_a_sentence_for_each_kind() {
        let mut wheel = demo(&[]);
        let fault = |kind, others| RecordFault { kind, path: "a.py".to_owned(), others };
        wheel.record_faults = vec![fault(RecordFaultKind::NotListed, 0), fault(RecordFaultKind::OtherDigest, 2)];
        let origin = Origin::Wheel { name: "odd".to_owned(), version: "1".to_owned() };
        assert_eq!(
            record_faults(&origin, &wheel),
            [
                "the RECORD of wheel odd is wrong: it does not list a file of the wheel, `a.py`",
                "the RECORD of wheel odd is wrong: it has the digest of other contents for a file, `a.py`, and the \
                 same for 2 more",
            ]
        );
    }
}
